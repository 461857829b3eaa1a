/* Token buckets, meters, round-trip times and what is derived from them. */
#include "swarm/rate.h"

#include <check.h>

#define BLOCK ((uint32_t)BLOCK_LEN)

/* ---- bucket ---- */

START_TEST(bucket_starts_full)
{
    struct bucket b;
    bucket_init(&b, 8 * 1000 * 1000, 5);
    ck_assert(b.burst == 1000 * 1000);
    ck_assert(bucket_ready(&b, 5));
    bucket_init(&b, 1000, 5);
    ck_assert(b.burst == 2 * BLOCK);
}
END_TEST

START_TEST(bucket_without_limit)
{
    struct bucket b;
    bucket_init(&b, 0, 0);
    for (int i = 0; i < 100; i++)
        bucket_take(&b, 0, UINT32_MAX);
    ck_assert(bucket_ready(&b, 0));
    ck_assert(bucket_ready_at(&b, 7) == 7);
}
END_TEST

START_TEST(bucket_pays_back_one_grant)
{
    struct bucket b;
    bucket_init(&b, BLOCK, 0); /* one block a second, a burst of two */
    bucket_take(&b, 0, BLOCK);
    ck_assert(bucket_ready(&b, 0));
    bucket_take(&b, 0, BLOCK - 1);
    ck_assert(bucket_ready(&b, 0)); /* one byte is left: one more grant */
    bucket_take(&b, 0, BLOCK);
    ck_assert(!bucket_ready(&b, 0));
    ck_assert(b.tokens == 1 - (int64_t)BLOCK);
    usec at = bucket_ready_at(&b, 0);
    ck_assert(at == SEC);
    ck_assert(!bucket_ready(&b, at - 1));
    ck_assert(bucket_ready(&b, at));
    ck_assert(bucket_ready_at(&b, at) == at);
}
END_TEST

/* Asked at random moments, it is ready exactly from bucket_ready_at() on. */
START_TEST(bucket_ready_at_is_exact)
{
    const uint64_t rate[] = {1, 3, 999, 1000003, 1500000, 125000000, UINT64_C(1) << 39};
    uint32_t x = 1;
    for (uint32_t r = 0; r < sizeof rate / sizeof *rate; r++) {
        struct bucket b;
        usec now = 123;
        bucket_init(&b, rate[r], now);
        for (uint32_t i = 0; i < 500; i++) {
            x = x * 1664525 + 1013904223;
            bucket_take(&b, now, (x >> 8) % (BLOCK + 32));
            usec at = bucket_ready_at(&b, now);
            ck_assert(at >= now);
            if (at == now)
                continue;
            /* Asking on the way changes nothing. */
            now += (at - now) / 2;
            (void)bucket_ready(&b, now);
            ck_assert(!bucket_ready(&b, at - 1));
            ck_assert(bucket_ready(&b, at));
            now = at;
        }
    }
}
END_TEST

/* Sending whenever it is ready gives the rate, however often it is asked in between. */
START_TEST(bucket_holds_its_rate)
{
    const uint64_t rate[] = {100000, 1250000, 12500000};
    const usec pause[] = {1, 7, 1000, 33333};
    for (uint32_t r = 0; r < 3; r++) {
        for (uint32_t k = 0; k < 4; k++) {
            struct bucket b;
            uint64_t sent = 0;
            usec end = k == 0 ? SEC / 2 : 10 * SEC;
            bucket_init(&b, rate[r], 0);
            for (usec now = 0; now < end; now += pause[k]) {
                while (bucket_ready(&b, now)) {
                    bucket_take(&b, now, BLOCK);
                    sent += BLOCK;
                }
            }
            uint64_t want = rate[r] * end / SEC + b.burst;
            ck_assert(sent + 2 * BLOCK + rate[r] * pause[k] / SEC >= want);
            ck_assert(sent <= want + BLOCK);
        }
    }
}
END_TEST

START_TEST(bucket_never_saves_more_than_a_burst)
{
    struct bucket b;
    bucket_init(&b, UINT64_MAX, 0); /* beyond what is counted: a terabyte a second */
    bucket_take(&b, 0, BLOCK);
    ck_assert(bucket_ready(&b, UINT64_MAX / 2));
    ck_assert(b.tokens == (int64_t)b.burst);
    bucket_init(&b, 10 * BLOCK, 0);
    bucket_take(&b, 0, 2 * BLOCK);
    ck_assert(bucket_ready(&b, 3600 * SEC));
    ck_assert(b.tokens == (int64_t)b.burst);
}
END_TEST

/* ---- meter ---- */

static usec feed(struct meter *m, usec now, uint64_t rate, usec span)
{
    for (usec end = now + span; now < end; now += 10000)
        meter_add(m, now, (uint32_t)(rate / 100));
    return now;
}

static void assert_near(uint64_t got, uint64_t want, uint64_t percent)
{
    ck_assert_msg(got * 100 >= want * (100 - percent) && got * 100 <= want * (100 + percent),
                  "%llu is not near %llu", (unsigned long long)got, (unsigned long long)want);
}

START_TEST(meter_finds_a_steady_rate)
{
    struct meter m;
    meter_init(&m, 0);
    ck_assert(meter_rate(&m, 0) == 0);
    usec now = feed(&m, 0, 1000000, 300000);
    assert_near(meter_rate(&m, now), 1000000, 1); /* young: the plain mean */
    now = feed(&m, now, 1000000, 10 * SEC);
    assert_near(meter_rate(&m, now), 1000000, 1);
}
END_TEST

START_TEST(meter_follows_within_seconds)
{
    struct meter m;
    meter_init(&m, 0);
    usec now = feed(&m, 0, 1000000, 10 * SEC);
    now = feed(&m, now, 3000000, SEC / 2);
    ck_assert(meter_rate(&m, now) < 2000000);
    now = feed(&m, now, 3000000, 6 * SEC);
    assert_near(meter_rate(&m, now), 3000000, 10);
    /* Silence: a third is left after two seconds, a twentieth after six. */
    assert_near(meter_rate(&m, now + 2 * SEC), 1100000, 15);
    ck_assert(meter_rate(&m, now + 6 * SEC) < 160000);
    ck_assert(meter_rate(&m, now + 3600 * SEC) == 0);
    /* After a long silence it is young again. */
    now = feed(&m, now + 3600 * SEC, 500000, 300000);
    assert_near(meter_rate(&m, now), 500000, 1);
}
END_TEST

START_TEST(meter_does_not_stick)
{
    struct meter m;
    meter_init(&m, 0);
    meter_add(&m, 0, 1);
    for (usec now = 0; now < 60 * SEC; now += 100000)
        (void)meter_rate(&m, now);
    ck_assert(meter_rate(&m, 60 * SEC) == 0);
}
END_TEST

/* ---- round-trip time, window, deadline ---- */

START_TEST(rtt_as_in_rfc_6298)
{
    struct rtt r = {0};
    rtt_sample(&r, 100000);
    ck_assert(r.smoothed == 100000);
    ck_assert(r.variance == 50000);
    rtt_sample(&r, 200000);
    ck_assert(r.variance == (3 * 50000 + 100000) / 4);
    ck_assert(r.smoothed == (7 * 100000 + 200000) / 8);
    ck_assert(r.min == 100000);
    rtt_sample(&r, 40000);
    ck_assert(r.min == 40000);
    struct rtt zero = {0};
    rtt_sample(&zero, 0);
    ck_assert(zero.smoothed > 0);
    for (int i = 0; i < 50; i++)
        rtt_sample(&zero, 0);
    ck_assert(zero.smoothed > 0);
}
END_TEST

START_TEST(window_covers_rate_times_delay)
{
    struct rtt r = {0};
    ck_assert_uint_eq(rate_window(0, &r, 256), 4);
    ck_assert_uint_eq(rate_window(0, &r, 3), 3);
    ck_assert_uint_eq(rate_window(0, &r, 0), 0);
    /* 100 blocks a second, 250 ms away: half a second's worth and two. */
    r = (struct rtt){.smoothed = 400000, .min = 250000};
    ck_assert_uint_eq(rate_window(100 * BLOCK, &r, 256), 52);
    ck_assert_uint_eq(rate_window(100 * BLOCK, &r, 40), 40);
    ck_assert_uint_eq(rate_window(UINT64_MAX, &r, 256), 256);
    r.min = UINT64_MAX;
    ck_assert_uint_eq(rate_window(UINT64_MAX, &r, 256), 256);
}
END_TEST

START_TEST(deadline_waits_for_what_is_queued)
{
    struct rtt r = {0};
    ck_assert(rate_deadline(&r, 1000000, 0) == 2 * SEC);
    ck_assert(rate_deadline(&r, 1000000, 500000) == 2 * SEC + SEC / 2);
    r = (struct rtt){.smoothed = SEC, .variance = SEC / 2};
    ck_assert(rate_deadline(&r, 1000000, 0) == 12 * SEC);
    /* A neighbour that has not begun to send is taken for slow, not for dead or for endless. */
    r = (struct rtt){0};
    ck_assert(rate_deadline(&r, 0, 4 * BLOCK) >= 5 * SEC);
    ck_assert(rate_deadline(&r, 0, UINT32_MAX) <= 62 * SEC);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("rate");
    TCase *t = tcase_create("rate");
    tcase_set_timeout(t, 30);
    tcase_add_test(t, bucket_starts_full);
    tcase_add_test(t, bucket_without_limit);
    tcase_add_test(t, bucket_pays_back_one_grant);
    tcase_add_test(t, bucket_ready_at_is_exact);
    tcase_add_test(t, bucket_holds_its_rate);
    tcase_add_test(t, bucket_never_saves_more_than_a_burst);
    tcase_add_test(t, meter_finds_a_steady_rate);
    tcase_add_test(t, meter_follows_within_seconds);
    tcase_add_test(t, meter_does_not_stick);
    tcase_add_test(t, rtt_as_in_rfc_6298);
    tcase_add_test(t, window_covers_rate_times_delay);
    tcase_add_test(t, deadline_waits_for_what_is_queued);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
