/* Rates in integers.
 *
 * A bucket keeps what is left of a byte in `rest` (millionths), so that being asked often loses and
 * gains nothing.  A meter moves 1/20 of the way to the last 100 ms each step; while it is young it
 * is the plain mean of its steps instead, so that the first estimate is not far too low. */
#include "swarm/rate.h"

#include <assert.h>

#define MICRO UINT64_C(1000000)
/* A terabyte a second: products of rates and microseconds below stay within 64 bits. */
#define RATE_MAX        (UINT64_C(1) << 40)
#define STEP_US         UINT64_C(100000)
#define STEPS           20u
#define STEPS_FORGOTTEN 200u
#define QUEUE_MIN_RATE  8192u
#define QUEUE_MAX_US    (60 * SEC)

/* ---- bucket ---- */

void bucket_init(struct bucket *b, uint64_t rate, usec now)
{
    if (rate > RATE_MAX)
        rate = RATE_MAX;
    uint64_t burst = rate / 8 > 2 * BLOCK_LEN ? rate / 8 : 2 * BLOCK_LEN;
    *b = (struct bucket){.rate = rate, .burst = burst, .tokens = (int64_t)burst, .at = now};
}

static void bucket_fill(struct bucket *b, usec now)
{
    assert(now >= b->at);
    usec passed = now - b->at;
    b->at = now;
    if (b->rate == 0 || b->tokens >= (int64_t)b->burst) {
        b->rest = 0;
        return;
    }
    uint64_t lacks = b->burst - (uint64_t)b->tokens; /* right for negative tokens too */
    if (passed / MICRO >= lacks / b->rate + 1) {
        b->tokens = (int64_t)b->burst;
        b->rest = 0;
        return;
    }
    /* passed < (lacks / rate + 2) s, so this is below lacks + 2 * rate, in millionths. */
    uint64_t seconds = passed / MICRO, millionths = passed % MICRO * b->rate + b->rest;
    uint64_t gained = seconds * b->rate + millionths / MICRO;
    b->rest = millionths % MICRO;
    if (gained >= lacks) {
        gained = lacks;
        b->rest = 0;
    }
    b->tokens += (int64_t)gained;
}

bool bucket_ready(struct bucket *b, usec now)
{
    bucket_fill(b, now);
    return b->rate == 0 || b->tokens > 0;
}

void bucket_take(struct bucket *b, usec now, uint32_t bytes)
{
    bucket_fill(b, now);
    if (b->rate != 0)
        b->tokens -= bytes;
}

usec bucket_ready_at(struct bucket *b, usec now)
{
    if (bucket_ready(b, now))
        return now;
    assert(b->tokens > -(INT64_C(1) << 40));
    uint64_t lacks = (uint64_t)(1 - b->tokens) * MICRO - b->rest;
    return now + (lacks + b->rate - 1) / b->rate;
}

/* ---- meter ---- */

void meter_init(struct meter *m, usec now)
{
    *m = (struct meter){.at = now};
}

static void meter_step(struct meter *m)
{
    uint64_t sample = m->pending * (MICRO / STEP_US);
    m->pending = 0;
    if (m->steps < STEPS)
        m->steps++;
    m->rate = (m->rate * (m->steps - 1) + sample) / m->steps;
}

static void meter_advance(struct meter *m, usec now)
{
    assert(now >= m->at);
    uint64_t steps = (now - m->at) / STEP_US;
    m->at += steps * STEP_US;
    if (steps >= STEPS_FORGOTTEN) {
        m->rate = 0;
        m->pending = 0;
        m->steps = 0;
        return;
    }
    for (; steps > 0; steps--)
        meter_step(m);
}

void meter_add(struct meter *m, usec now, uint32_t bytes)
{
    meter_advance(m, now);
    m->pending += bytes;
}

uint64_t meter_rate(struct meter *m, usec now)
{
    meter_advance(m, now);
    return m->rate;
}

/* ---- round-trip time ---- */

void rtt_sample(struct rtt *r, usec sample)
{
    if (sample == 0)
        sample = 1; /* 0 means none yet */
    if (r->smoothed == 0) {
        *r = (struct rtt){.smoothed = sample, .variance = sample / 2, .min = sample};
        return;
    }
    usec off = r->smoothed > sample ? r->smoothed - sample : sample - r->smoothed;
    r->variance = (3 * r->variance + off) / 4;
    r->smoothed = (7 * r->smoothed + sample) / 8;
    if (r->smoothed == 0)
        r->smoothed = 1;
    if (sample < r->min)
        r->min = sample;
}

uint32_t rate_window(uint64_t rate, const struct rtt *r, uint32_t max)
{
    uint32_t least = max < 4 ? max : 4;
    usec span = (r->min < 10 * SEC ? r->min : 10 * SEC) + SEC / 4;
    if (rate > RATE_MAX)
        rate = RATE_MAX;
    uint64_t blocks = rate * span / MICRO / BLOCK_LEN + 2;
    if (blocks > max)
        return max;
    return blocks < least ? least : (uint32_t)blocks;
}

usec rate_deadline(const struct rtt *r, uint64_t rate, uint32_t queued_bytes)
{
    usec base = 4 * (r->smoothed + 4 * r->variance);
    if (base < 2 * SEC)
        base = 2 * SEC;
    if (base > QUEUE_MAX_US)
        base = QUEUE_MAX_US;
    /* Without a rate yet a slow one is assumed, so that nobody is given up while still starting. */
    usec queue = queued_bytes * MICRO / (rate > QUEUE_MIN_RATE ? rate : QUEUE_MIN_RATE);
    return base + (queue < QUEUE_MAX_US ? queue : QUEUE_MAX_US);
}
