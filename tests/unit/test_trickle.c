/* Trickle as RFC 6206 section 4.2 says, and our two additions. */
#include "swarm/trickle.h"

#include <check.h>
#include <string.h>

#define IMIN (SEC / 2)

static struct rng rng_of(uint32_t n)
{
    struct rng r;
    uint8_t seed[32] = {0};
    memcpy(seed, &n, sizeof n);
    rng_init(&r, seed);
    return r;
}

/* Steps at each deadline until the present interval has ended; says whether it transmitted. */
static bool run_interval(struct trickle *t, uint32_t consistent, bool may_suppress, struct rng *rng)
{
    usec end = t->start + t->interval;
    bool sent = false;
    for (uint32_t i = 0; i < consistent; i++)
        trickle_consistent(t);
    while (t->start < end) {
        usec at = trickle_deadline(t);
        ck_assert(!trickle_step(t, at - 1, may_suppress, rng));
        sent |= trickle_step(t, at, may_suppress, rng);
    }
    return sent;
}

START_TEST(silent_before_it_starts)
{
    struct trickle t;
    struct rng rng = rng_of(1);
    trickle_init(&t, IMIN, 10, 2);
    ck_assert(trickle_deadline(&t) == USEC_NEVER);
    ck_assert(!trickle_step(&t, 1000 * SEC, true, &rng));
    trickle_reset(&t, 5, &rng);
    ck_assert(trickle_deadline(&t) == USEC_NEVER);
}
END_TEST

START_TEST(interval_doubles_to_its_most)
{
    struct trickle t;
    struct rng rng = rng_of(2);
    trickle_init(&t, IMIN, 10, 2);
    trickle_start(&t, 7, &rng);
    usec want = IMIN, start = 7;
    for (uint32_t i = 0; i < 14; i++) {
        ck_assert(t.interval == want);
        ck_assert(t.start == start);
        ck_assert(run_interval(&t, 0, true, &rng));
        start += want;
        want = want < IMIN << 10 ? 2 * want : want;
    }
    ck_assert(t.interval == IMIN << 10);
}
END_TEST

START_TEST(fires_in_the_second_half)
{
    /* In each eighth of the second half about an eighth of all. */
    uint32_t eighth[8] = {0};
    for (uint32_t seed = 0; seed < 800; seed++) {
        struct trickle t;
        struct rng rng = rng_of(seed);
        trickle_init(&t, IMIN, 10, 2);
        trickle_start(&t, 1000, &rng);
        usec half = IMIN / 2, fire = trickle_deadline(&t);
        ck_assert(fire >= 1000 + half);
        ck_assert(fire < 1000 + IMIN);
        eighth[(fire - 1000 - half) * 8 / half]++;
    }
    for (uint32_t i = 0; i < 8; i++) {
        ck_assert_uint_gt(eighth[i], 60);
        ck_assert_uint_lt(eighth[i], 140);
    }
}
END_TEST

START_TEST(one_decision_an_interval)
{
    struct trickle t;
    struct rng rng = rng_of(3);
    trickle_init(&t, IMIN, 10, 2);
    trickle_start(&t, 0, &rng);
    usec fire = trickle_deadline(&t);
    ck_assert(trickle_step(&t, fire, true, &rng));
    ck_assert(trickle_deadline(&t) == IMIN);
    if (fire + 1 < IMIN)
        ck_assert(!trickle_step(&t, fire + 1, true, &rng));
    ck_assert(!trickle_step(&t, IMIN, true, &rng));
    ck_assert(t.start == IMIN);
    ck_assert(t.interval == 2 * IMIN);
}
END_TEST

START_TEST(k_consistent_messages_suppress)
{
    struct trickle t;
    struct rng rng = rng_of(4);
    trickle_init(&t, IMIN, 10, 2);
    trickle_start(&t, 0, &rng);
    ck_assert(run_interval(&t, 1, true, &rng));
    ck_assert(!run_interval(&t, 2, true, &rng));
    /* The count begins anew with each interval. */
    ck_assert(run_interval(&t, 1, true, &rng));
    ck_assert(run_interval(&t, 0, true, &rng));
    /* A node with too few links is never silenced. */
    ck_assert(run_interval(&t, 1000, false, &rng));
    ck_assert(!run_interval(&t, 1000, true, &rng));
}
END_TEST

START_TEST(k_zero_never_suppresses)
{
    struct trickle t;
    struct rng rng = rng_of(5);
    trickle_init(&t, IMIN, 10, 0);
    trickle_start(&t, 0, &rng);
    for (uint32_t i = 0; i < 5; i++)
        ck_assert(run_interval(&t, 9, true, &rng));
}
END_TEST

START_TEST(every_16th_interval_transmits)
{
    struct trickle t;
    struct rng rng = rng_of(6);
    trickle_init(&t, IMIN, 10, 2);
    trickle_start(&t, 0, &rng);
    for (uint32_t i = 1; i <= 64; i++)
        ck_assert_int_eq(run_interval(&t, 50, true, &rng), i % 16 == 0);
}
END_TEST

START_TEST(reset_goes_back_to_imin)
{
    struct trickle t;
    struct rng rng = rng_of(7);
    trickle_init(&t, IMIN, 10, 2);
    trickle_start(&t, 0, &rng);
    for (uint32_t i = 0; i < 6; i++)
        run_interval(&t, 0, true, &rng);
    ck_assert(t.interval == IMIN << 6);
    trickle_consistent(&t);
    trickle_consistent(&t);
    usec now = t.start + 3;
    trickle_reset(&t, now, &rng);
    ck_assert(t.interval == IMIN);
    ck_assert(t.start == now);
    ck_assert(trickle_deadline(&t) >= now + IMIN / 2);
    ck_assert(trickle_deadline(&t) < now + IMIN);
    /* In the least interval another inconsistency changes nothing. */
    struct trickle before = t;
    trickle_reset(&t, now + 10, &rng);
    ck_assert_mem_eq(&before, &t, sizeof t);
    /* What was heard before the reset does not count. */
    ck_assert(run_interval(&t, 0, true, &rng));
}
END_TEST

/* A flood of inconsistencies cannot keep a node from its turn to speak. */
START_TEST(resets_do_not_silence)
{
    struct trickle t;
    struct rng rng = rng_of(8);
    trickle_init(&t, IMIN, 10, 2);
    trickle_start(&t, 0, &rng);
    uint32_t sent = 0;
    for (usec now = 0; now < 100 * SEC; now += 10000) {
        trickle_consistent(&t);
        trickle_reset(&t, now, &rng);
        if (now >= trickle_deadline(&t))
            sent += trickle_step(&t, now, true, &rng);
    }
    ck_assert_uint_ge(sent, 6);
}
END_TEST

/* A device that slept through a week speaks once, not a thousand times. */
START_TEST(late_steps_do_not_burst)
{
    struct trickle t;
    struct rng rng = rng_of(9);
    trickle_init(&t, IMIN, 3, 2);
    trickle_start(&t, 0, &rng);
    usec now = 7 * 24 * 3600 * SEC;
    ck_assert(trickle_step(&t, now, true, &rng));
    ck_assert(t.start == now);
    ck_assert(trickle_deadline(&t) > now);
    ck_assert(!trickle_step(&t, now, true, &rng));
    /* A little late is made good: the next interval begins where the last ended. */
    usec end = t.start + t.interval;
    ck_assert(trickle_step(&t, end + 5, true, &rng));
    ck_assert(t.start == end);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("trickle");
    TCase *t = tcase_create("trickle");
    tcase_add_test(t, silent_before_it_starts);
    tcase_add_test(t, interval_doubles_to_its_most);
    tcase_add_test(t, fires_in_the_second_half);
    tcase_add_test(t, one_decision_an_interval);
    tcase_add_test(t, k_consistent_messages_suppress);
    tcase_add_test(t, k_zero_never_suppresses);
    tcase_add_test(t, every_16th_interval_transmits);
    tcase_add_test(t, reset_goes_back_to_imin);
    tcase_add_test(t, resets_do_not_silence);
    tcase_add_test(t, late_steps_do_not_burst);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
