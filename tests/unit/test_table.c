/* The announce table: one entry an identity, expiry, room, and what a sample may hold. */
#include "track/table.h"

#include <check.h>
#include <string.h>

#define CAP 200u

static struct table_entry memory[CAP];
static const struct digest image = {.b = {1}}, other = {.b = {2}};

static struct rng rng_of(uint32_t n)
{
    struct rng r;
    uint8_t seed[32] = {0};
    memcpy(seed, &n, sizeof n);
    rng_init(&r, seed);
    return r;
}

static struct key key_of(uint32_t n)
{
    struct key k = {.b = {7}};
    memcpy(k.b + 1, &n, sizeof n);
    return k;
}

/* Each in a /24 of its own. */
static struct addr far(uint32_t n)
{
    return (struct addr){
        .family = 4, .ip = {198, (uint8_t)(n >> 8), (uint8_t)n, 1}, .port = (uint16_t)(1000 + n)};
}

static struct table empty(uint32_t cap)
{
    struct table t;
    memset(memory, 0xa5, sizeof memory);
    table_init(&t, memory, cap);
    return t;
}

static void announce(struct table *t, uint32_t n, struct addr a, uint8_t have, usec expires)
{
    struct key who = key_of(n);
    table_announce(t, &image, &who, &a, have, 0, expires);
}

static uint32_t sample(struct table *t, uint32_t asker, usec now, uint32_t want, struct addr *out,
                       struct rng *rng)
{
    struct key who = key_of(asker);
    memset(out, 0, sizeof *out * want);
    uint32_t n = table_sample(t, &image, &who, now, want, out, rng);
    ck_assert_uint_le(n, want);
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t k = 0; k < i; k++)
            ck_assert(!addr_equal(&out[i], &out[k]));
    return n;
}

START_TEST(one_entry_for_image_and_identity)
{
    struct table t = empty(CAP);
    struct key who = key_of(1);
    struct addr a = far(1), b = far(2), out[4];
    struct rng rng = rng_of(1);
    table_announce(&t, &image, &who, &a, 3, 0, 100);
    table_announce(&t, &other, &who, &a, 3, 0, 100);
    ck_assert_uint_eq(t.count, 2);
    /* A refresh moves the address, the share and the end. */
    table_announce(&t, &image, &who, &b, 255, 50, 100);
    ck_assert_uint_eq(t.count, 2);
    ck_assert_uint_eq(table_count(&t, &image, 149), 1);
    ck_assert_uint_eq(table_count(&t, &image, 150), 0);
    ck_assert_uint_eq(table_count(&t, &other, 99), 1);
    ck_assert_uint_eq(table_count(&t, &other, 100), 0);
    ck_assert_uint_eq(sample(&t, 9, 120, 4, out, &rng), 1);
    ck_assert(addr_equal(&out[0], &b));
    table_forget(&t, &who);
    ck_assert_uint_eq(t.count, 0);
}
END_TEST

START_TEST(forget_drops_all_of_one)
{
    struct table t = empty(CAP);
    for (uint32_t i = 0; i < 30; i++) {
        struct key who = key_of(i % 3);
        struct digest d = {.b = {(uint8_t)i}};
        struct addr a = far(i);
        table_announce(&t, &d, &who, &a, 0, 0, 100);
    }
    struct key one = key_of(1);
    table_forget(&t, &one);
    ck_assert_uint_eq(t.count, 20);
    for (uint32_t i = 0; i < t.count; i++)
        ck_assert(!key_equal(&t.entry[i].who, &one));
}
END_TEST

START_TEST(full_drops_the_first_to_expire)
{
    struct table t = empty(10);
    for (uint32_t i = 0; i < 10; i++)
        announce(&t, i, far(i), 0, i == 6 ? 50 : 100 + i);
    announce(&t, 77, far(77), 0, 500);
    ck_assert_uint_eq(t.count, 10);
    struct key gone = key_of(6), came = key_of(77);
    bool found = false;
    for (uint32_t i = 0; i < t.count; i++) {
        ck_assert(!key_equal(&t.entry[i].who, &gone));
        found |= key_equal(&t.entry[i].who, &came);
    }
    ck_assert(found);
    /* A refresh needs no room. */
    announce(&t, 3, far(3), 9, 900);
    ck_assert_uint_eq(t.count, 10);
}
END_TEST

START_TEST(never_the_asker_nor_another_image)
{
    struct rng rng = rng_of(2);
    for (uint32_t round = 0; round < 100; round++) {
        struct table t = empty(CAP);
        struct addr out[16], mine = far(5);
        for (uint32_t i = 0; i < 12; i++)
            announce(&t, i, far(i), 0, 100);
        for (uint32_t i = 0; i < 12; i++) {
            struct key who = key_of(100 + i);
            struct addr a = far(100 + i);
            table_announce(&t, &other, &who, &a, 0, 0, 100);
        }
        uint32_t n = sample(&t, 5, 1, 16, out, &rng);
        ck_assert_uint_eq(n, 8);
        for (uint32_t i = 0; i < n; i++) {
            ck_assert(!addr_equal(&out[i], &mine));
            ck_assert_uint_lt(out[i].port, 1100);
        }
    }
}
END_TEST

START_TEST(never_the_whole_of_a_large_table)
{
    struct rng rng = rng_of(3);
    struct addr out[CAP];
    const uint32_t count[] = {0, 1, 3, 8, 9, 16, 30, 200};
    const uint32_t most[] = {0, 1, 3, 8, 8, 8, 15, 100};
    for (uint32_t k = 0; k < sizeof count / sizeof *count; k++) {
        struct table t = empty(CAP);
        for (uint32_t i = 0; i < count[k]; i++)
            announce(&t, i, far(i), 0, 100);
        ck_assert_uint_eq(sample(&t, 999, 1, CAP, out, &rng), most[k]);
        ck_assert_uint_eq(sample(&t, 999, 1, 2, out, &rng), most[k] < 2 ? most[k] : 2);
        ck_assert_uint_eq(sample(&t, 999, 1, 0, out, &rng), 0);
        /* Sampling loses nothing. */
        ck_assert_uint_eq(table_count(&t, &image, 1), count[k]);
    }
}
END_TEST

START_TEST(expired_entries_go)
{
    struct rng rng = rng_of(4);
    struct table t = empty(CAP);
    struct addr out[50];
    for (uint32_t i = 0; i < 40; i++)
        announce(&t, i, far(i), 0, i < 33 ? 10 : 20);
    uint32_t n = sample(&t, 999, 10, 50, out, &rng);
    ck_assert_uint_eq(n, 7);
    for (uint32_t i = 0; i < n; i++)
        ck_assert_uint_ge(out[i].port, 1033);
    ck_assert_uint_eq(t.count, 7);
}
END_TEST

START_TEST(sample_is_uniform)
{
    struct rng rng = rng_of(5);
    struct table t = empty(CAP);
    struct addr out[10];
    uint32_t drawn[100] = {0};
    for (uint32_t i = 0; i < 100; i++)
        announce(&t, i, far(i), 0, 100);
    /* 4,000 times 10 of 100: 400 each, standard deviation 19. */
    for (uint32_t round = 0; round < 4000; round++) {
        ck_assert_uint_eq(sample(&t, 999, 1, 10, out, &rng), 10);
        for (uint32_t i = 0; i < 10; i++)
            drawn[out[i].port - 1000]++;
    }
    for (uint32_t i = 0; i < 100; i++) {
        ck_assert_uint_gt(drawn[i], 310);
        ck_assert_uint_lt(drawn[i], 490);
    }
}
END_TEST

START_TEST(a_third_complete_while_others_exist)
{
    struct rng rng = rng_of(6);
    struct addr out[30];
    for (uint32_t round = 0; round < 100; round++) {
        struct table t = empty(CAP);
        for (uint32_t i = 0; i < 100; i++)
            announce(&t, i, far(i), i < 60 ? 255 : 10, 100);
        uint32_t n = sample(&t, 999, 1, 30, out, &rng), complete = 0;
        ck_assert_uint_eq(n, 30);
        for (uint32_t i = 0; i < n; i++)
            complete += out[i].port < 1060;
        ck_assert_uint_le(complete, 10);
    }
    /* Where others are too few, complete ones fill up, after all others. */
    struct table t = empty(CAP);
    for (uint32_t i = 0; i < 100; i++)
        announce(&t, i, far(i), i < 96 ? 255 : 10, 100);
    uint32_t n = sample(&t, 999, 1, 30, out, &rng), others = 0;
    for (uint32_t i = 0; i < n; i++)
        others += out[i].port >= 1096;
    ck_assert_uint_eq(n, 30);
    ck_assert_uint_eq(others, 4);
    /* One that asks for one or two gets a holder too. */
    t = empty(CAP);
    for (uint32_t i = 0; i < 9; i++)
        announce(&t, i, far(i), 255, 100);
    ck_assert_uint_eq(sample(&t, 999, 1, 1, out, &rng), 1);
}
END_TEST

START_TEST(a_quarter_of_one_group)
{
    struct rng rng = rng_of(7);
    struct addr out[50];
    for (uint32_t round = 0; round < 100; round++) {
        struct table t = empty(CAP);
        for (uint32_t i = 0; i < 150; i++) {
            struct addr a = far(i);
            if (i < 100)
                a = (struct addr){
                    .family = 4, .ip = {203, 0, 113, (uint8_t)i}, .port = (uint16_t)(1000 + i)};
            announce(&t, i, a, 0, 100);
        }
        uint32_t n = sample(&t, 999, 1, 20, out, &rng), group = 0;
        ck_assert_uint_eq(n, 20);
        for (uint32_t i = 0; i < n; i++)
            group += out[i].ip[0] == 203;
        ck_assert_uint_le(group, 5);
        /* At least one. */
        n = sample(&t, 999, 1, 2, out, &rng);
        ck_assert_uint_eq(n, 2);
        ck_assert(out[0].ip[0] != 203 || out[1].ip[0] != 203);
    }
    /* A /64 is a group, loopback is none. */
    struct table t = empty(CAP);
    for (uint32_t i = 0; i < 40; i++) {
        struct addr a = {.family = 6, .ip = {0x20, 1, 0, 0, 0, 0, 0, 9, (uint8_t)i}, .port = 9};
        announce(&t, i, a, 0, 100);
    }
    ck_assert_uint_eq(sample(&t, 999, 1, 20, out, &rng), 5);
    t = empty(CAP);
    for (uint32_t i = 0; i < 40; i++) {
        struct addr a = {.family = 4, .ip = {127, 0, 0, 1}, .port = (uint16_t)(1000 + i)};
        if (i % 2 == 0)
            a = (struct addr){.family = 6, .ip = {[15] = 1}, .port = (uint16_t)(1000 + i)};
        announce(&t, i, a, 0, 100);
    }
    ck_assert_uint_eq(sample(&t, 999, 1, 20, out, &rng), 20);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("table");
    TCase *t = tcase_create("table");
    tcase_set_timeout(t, 30);
    tcase_add_test(t, one_entry_for_image_and_identity);
    tcase_add_test(t, forget_drops_all_of_one);
    tcase_add_test(t, full_drops_the_first_to_expire);
    tcase_add_test(t, never_the_asker_nor_another_image);
    tcase_add_test(t, never_the_whole_of_a_large_table);
    tcase_add_test(t, expired_entries_go);
    tcase_add_test(t, sample_is_uniform);
    tcase_add_test(t, a_third_complete_while_others_exist);
    tcase_add_test(t, a_quarter_of_one_group);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
