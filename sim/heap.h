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

struct heap {
    struct tick *tick;
    size_t count, cap;
    uint64_t sequence;
};
void heap_fini(struct heap *h);
void heap_push(struct heap *h, usec at, uint32_t kind, uint32_t a, uint32_t b, uint32_t c);
/* Takes the first; the heap must not be empty. */
struct tick heap_pop(struct heap *h);
/* When the first is due, or USEC_NEVER. */
usec heap_first(const struct heap *h);

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
