/* Trickle (RFC 6206), one instance per network interface and family.
 *
 * Imin 0.5 s, 10 doublings, k = 2.  Two additions: every 16th interval transmits whatever was
 * heard, so that a flood of consistent messages cannot silence a node for ever; and suppression can
 * be switched off (a node with fewer than two live fleet links). */
#pragma once

#include "fwswarm/core.h"

struct trickle {
    usec imin, interval;
    usec start, fire; /* of the present interval; fire is in its second half */
    uint32_t doublings, k, heard, count;
    bool fired, running;
};
void trickle_init(struct trickle *t, usec imin, uint32_t doublings, uint32_t k);
/* Begins with an interval of Imin. */
void trickle_start(struct trickle *t, usec now, struct rng *rng);
/* A consistent message was heard. */
void trickle_consistent(struct trickle *t);
/* An inconsistency, or news of our own: back to Imin (nothing when it is there already). */
void trickle_reset(struct trickle *t, usec now, struct rng *rng);
/* Call at the deadline or later: true = transmit now. */
bool trickle_step(struct trickle *t, usec now, bool may_suppress, struct rng *rng);
usec trickle_deadline(const struct trickle *t);
