/* What neighbours took: counted, halved with time, kept over links. */
#include "run.h"
#include "swarm/tally.h"

#include <check.h>
#include <string.h>

#define CAP  4u
#define HALF (600 * SEC) /* until it counts half */

static struct tally_entry memory[CAP];

static struct tally empty(void)
{
    struct tally t;
    memset(memory, 0, sizeof memory);
    tally_init(&t, memory, CAP);
    return t;
}

static struct key who(uint8_t n)
{
    return (struct key){.b = {n}};
}

static struct digest image(uint8_t n)
{
    return (struct digest){.b = {n}};
}

static struct taken took(uint32_t blocks, usec at)
{
    struct taken t = {0};
    for (uint32_t i = 0; i < blocks; i++)
        taken_add(&t, at);
    return t;
}

static void keep(struct tally *t, uint8_t a, uint8_t b, uint32_t blocks, usec at)
{
    const struct key k = who(a);
    const struct digest d = image(b);
    const struct taken n = took(blocks, at);
    tally_keep(t, &k, &d, &n, at);
}

static uint32_t kept(const struct tally *t, uint8_t a, uint8_t b, usec now)
{
    const struct key k = who(a);
    const struct digest d = image(b);
    const struct taken n = tally_find(t, &k, &d);
    return taken_lately(&n, now);
}

START_TEST(what_was_taken_counts_half_after_a_while)
{
    const usec start = 5 * HALF + 17;
    struct taken t = took(100, start);
    ck_assert_uint_eq(taken_lately(&t, start), 100);
    ck_assert_uint_eq(taken_lately(&t, start + HALF - 1), 100);
    ck_assert_uint_eq(taken_lately(&t, start + HALF), 50);
    ck_assert_uint_eq(taken_lately(&t, start + 3 * HALF), 12);
    ck_assert_uint_eq(taken_lately(&t, start + 7 * HALF), 0);
    ck_assert_uint_eq(taken_lately(&t, start + 100 * HALF), 0);
    taken_add(&t, start + 2 * HALF + HALF / 2);
    ck_assert_uint_eq(taken_lately(&t, start + 2 * HALF + HALF / 2), 26);
    /* And the time goes on from where it was. */
    ck_assert_uint_eq(taken_lately(&t, start + 3 * HALF), 13);
}
END_TEST

START_TEST(an_image_may_be_taken_twice_and_a_little_more)
{
    ck_assert_uint_ge(taken_most(1), 2);
    ck_assert_uint_ge(taken_most(1000), 2000);
    ck_assert_uint_lt(taken_most(1000), 2100);
    ck_assert_uint_lt(taken_most(5), 80);
}
END_TEST

START_TEST(each_neighbour_and_image_is_kept_apart)
{
    struct tally t = empty();
    keep(&t, 1, 1, 10, 1);
    keep(&t, 1, 2, 20, 1);
    keep(&t, 2, 1, 30, 1);
    ck_assert_uint_eq(kept(&t, 1, 1, 1), 10);
    ck_assert_uint_eq(kept(&t, 1, 2, 1), 20);
    ck_assert_uint_eq(kept(&t, 2, 1, 1), 30);
    ck_assert_uint_eq(kept(&t, 2, 2, 1), 0);
    keep(&t, 1, 1, 15, 2); /* in place of the first */
    ck_assert_uint_eq(kept(&t, 1, 1, 2), 15);
}
END_TEST

START_TEST(who_took_least_makes_room)
{
    struct tally t = empty();
    for (uint8_t i = 1; i <= CAP; i++)
        keep(&t, i, 1, 10u * i, 1);
    keep(&t, 9, 1, 5, 1); /* less than all that is kept */
    ck_assert_uint_eq(kept(&t, 9, 1, 1), 0);
    ck_assert_uint_eq(kept(&t, 1, 1, 1), 10);
    keep(&t, 9, 1, 15, 1);
    ck_assert_uint_eq(kept(&t, 9, 1, 1), 15);
    ck_assert_uint_eq(kept(&t, 1, 1, 1), 0);
    ck_assert_uint_eq(kept(&t, 4, 1, 1), 40);
    /* What is long ago is little. */
    keep(&t, 8, 1, 6, 1 + 3 * HALF);
    ck_assert_uint_eq(kept(&t, 8, 1, 1 + 3 * HALF), 6);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("tally");
    TCase *t = tcase_create("tally");
    tcase_add_test(t, what_was_taken_counts_half_after_a_while);
    tcase_add_test(t, an_image_may_be_taken_twice_and_a_little_more);
    tcase_add_test(t, each_neighbour_and_image_is_kept_apart);
    tcase_add_test(t, who_took_least_makes_room);
    suite_add_tcase(s, t);
    return test_run(s);
}
