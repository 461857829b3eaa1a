/* Rates: a token bucket for limits and a meter for estimates.  Integers only. */
#pragma once

#include "fwswarm/core.h"

struct bucket {
    uint64_t rate;  /* bytes a second; 0 = no limit */
    uint64_t burst; /* bytes */
    int64_t tokens; /* may go negative by one grant, which is then paid back */
    uint64_t rest;  /* millionths of a byte */
    usec at;
};
/* Starts full. Burst = rate / 8, at least two blocks: 125 ms of sending. */
void bucket_init(struct bucket *b, uint64_t rate, usec now);
/* May something be sent now?  (tokens > 0, or no limit). */
bool bucket_ready(struct bucket *b, usec now);
void bucket_take(struct bucket *b, usec now, uint32_t bytes);
/* When bucket_ready() will be true; `now` when it is. */
usec bucket_ready_at(struct bucket *b, usec now);

/* Bytes a second over roughly the last two seconds (exponential, in 100 ms steps). */
struct meter {
    uint64_t rate;
    uint64_t pending;
    usec at;
    uint32_t steps; /* of its life, up to 20: a young meter is a plain mean */
};
void meter_init(struct meter *m, usec now);
void meter_add(struct meter *m, usec now, uint32_t bytes);
uint64_t meter_rate(struct meter *m, usec now);

/* Smoothed round-trip time (RFC 6298 weights), microseconds; 0 = none yet. */
struct rtt {
    usec smoothed, variance, min;
};
void rtt_sample(struct rtt *r, usec sample);
/* How many blocks to keep asked of a neighbour: rate * (rtt.min + 0.25 s) / 16 KiB + 2, within
 * [4, max]. */
uint32_t rate_window(uint64_t rate, const struct rtt *r, uint32_t max);
/* Deadline for one request: max(2 s, 4 * (smoothed + 4 * variance)) plus what is queued before it.
 */
usec rate_deadline(const struct rtt *r, uint64_t rate, uint32_t queued_bytes);
