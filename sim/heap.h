/* The two orders of virtual time: what will happen, and when each node wants to be woken.
 *
 * Called by world.c and by whatever schedules.  The event heap is ordered by (time, sequence), so
 * there are no ties and the order of two things at the same moment is the order in which they were
 * scheduled.  The alarms hold one deadline a node in an indexed heap: moving a deadline replaces
 * it, and no stale timer is ever popped. */
#pragma once

#include "fwswarm/core.h"

/* What happens at a moment; a, b, c mean what kind says (world.h). */
struct tick {
    usec at;
    uint64_t sequence;
    uint32_t kind, a, b, c;
};

/* All zeros is an empty one. */
struct heap {
    uint64_t sequence;
    size_t count;
    /* The bucket that comes first, in order, the first at the end. */
    struct tick *ready;
    size_t readies, ready_cap;
    uint64_t current; /* its number */
    uint64_t low;     /* bucket of what was taken last: nothing comes before it */
    /* Buckets from low on, as lists. */
    struct tick_node *node;
    size_t nodes, node_cap;
    uint32_t free; /* list, from 1 */
    uint32_t *bucket;
    uint64_t *used; /* one bit a bucket */
    size_t listed;
    /* What is later than all buckets: a heap. */
    struct tick *far;
    size_t fars, far_cap;
};
void heap_fini(struct heap *h);
/* at: not before what was taken last. */
void heap_push(struct heap *h, usec at, uint32_t kind, uint32_t a, uint32_t b, uint32_t c);
/* Takes the first; the heap must not be empty. */
struct tick heap_pop(struct heap *h);
/* When the first is due, or USEC_NEVER. */
static inline usec heap_first(const struct heap *h)
{
    return h->readies > 0 ? h->ready[h->readies - 1].at : USEC_NEVER;
}

/* The one that comes so many after the first, where that is known already; else NULL. */
static inline const struct tick *heap_peek(const struct heap *h, size_t after)
{
    return after < h->readies ? &h->ready[h->readies - 1 - after] : NULL;
}

struct alarms {
    usec *at;        /* by node */
    uint32_t *place; /* by node: its place in order */
    uint32_t *order; /* heap of nodes */
    uint32_t count;
};
/* All of count nodes start at USEC_NEVER. */
void alarms_init(struct alarms *a, uint32_t count);
void alarms_fini(struct alarms *a);
void alarms_set(struct alarms *a, uint32_t node, usec at);
/* The node whose deadline comes first; among equals the lowest number. */
uint32_t alarms_first(const struct alarms *a);
usec alarms_at(const struct alarms *a);
