/* The announce table of a verify node (and, smaller, of every peer): who holds or fetches what.
 *
 * One entry per (image, identity).  A sample is uniform over live entries, at most a third complete
 * holders while others exist, never the whole table (if it has more than eight entries), never the
 * asker, at most a quarter (and at least one) of one /24 or /64 group outside loopback. Swap-remove
 * array and partial Fisher-Yates: O(count) per sample plus a scan for expiry. */
#pragma once

#include "fwswarm/core.h"

struct table_entry {
    struct digest image; /* manifest digest */
    struct key who;
    struct addr addr;
    uint8_t have; /* 255 = all */
    usec expires;
};
struct table {
    struct table_entry *entry;
    uint32_t count, cap;
};
void table_init(struct table *t, struct table_entry *mem, uint32_t cap);
/* Adds or refreshes; when full the entry that expires first makes room. */
void table_announce(struct table *t, const struct digest *image, const struct key *who,
                    const struct addr *addr, uint8_t have, usec now, usec lifetime);
void table_forget(struct table *t, const struct key *who);
/* Up to `want` addresses of image, not the asker's. Returns how many. */
uint32_t table_sample(struct table *t, const struct digest *image, const struct key *asker,
                      usec now, uint32_t want, struct addr *out, struct rng *rng);
uint32_t table_count(const struct table *t, const struct digest *image, usec now);
