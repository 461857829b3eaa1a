/* Trickle, RFC 6206 section 4.2, with steps driven by the caller's clock.
 *
 * An interval that ended long ago (a suspended device) is not made up for: the next one begins now,
 * so that waking up never causes a burst. */
#include "swarm/trickle.h"

#include <assert.h>

#define ALWAYS_EACH 16u

void trickle_init(struct trickle *t, usec imin, uint32_t doublings, uint32_t k)
{
    assert(imin >= 2);
    assert(doublings < 32);
    assert(imin << doublings >> doublings == imin);
    assert((imin << doublings) / 2 <= UINT32_MAX);
    *t = (struct trickle){.imin = imin, .doublings = doublings, .k = k};
}

static void begin_interval(struct trickle *t, usec start, usec interval, struct rng *rng)
{
    usec half = interval / 2;
    t->interval = interval;
    t->start = start;
    t->fire = start + half + rng_below(rng, (uint32_t)half);
    t->heard = 0;
    t->fired = false;
}

void trickle_start(struct trickle *t, usec now, struct rng *rng)
{
    t->running = true;
    t->count = 0;
    begin_interval(t, now, t->imin, rng);
}

void trickle_consistent(struct trickle *t)
{
    if (t->heard < UINT32_MAX)
        t->heard++;
}

void trickle_reset(struct trickle *t, usec now, struct rng *rng)
{
    if (t->running && t->interval > t->imin)
        begin_interval(t, now, t->imin, rng);
}

/* The decision of an interval, at its time t of the RFC. */
static bool decide(struct trickle *t, bool may_suppress)
{
    t->fired = true;
    t->count++;
    /* RFC 6206 section 6.5: k = 0 means that nothing is ever suppressed. */
    return t->k == 0 || t->heard < t->k || !may_suppress || t->count % ALWAYS_EACH == 0;
}

bool trickle_step(struct trickle *t, usec now, bool may_suppress, struct rng *rng)
{
    if (!t->running || now < t->fire)
        return false;
    bool transmit = !t->fired && decide(t, may_suppress);
    usec end = t->start + t->interval;
    if (now < end)
        return transmit;
    usec most = t->imin << t->doublings;
    usec interval = t->interval < most ? 2 * t->interval : most;
    begin_interval(t, now - end < interval / 2 ? end : now, interval, rng);
    return transmit;
}

usec trickle_deadline(const struct trickle *t)
{
    if (!t->running)
        return USEC_NEVER;
    return t->fired ? t->start + t->interval : t->fire;
}
