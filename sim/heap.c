/* Two 4-ary heaps.  Four children a parent make the heap half as deep as a binary one and keep the
 * children of one parent in two cache lines; both matter at a million events a second. */
#include "heap.h"

#include "mem.h"

#include <assert.h>
#include <stdlib.h>

#define ARITY 4u

static bool tick_before(const struct tick *a, const struct tick *b)
{
    if (a->at != b->at)
        return a->at < b->at;
    return a->sequence < b->sequence;
}

void heap_fini(struct heap *h)
{
    free(h->tick);
    *h = (struct heap){0};
}

void heap_push(struct heap *h, usec at, uint32_t kind, uint32_t a, uint32_t b, uint32_t c)
{
    sim_grow(&h->tick, &h->cap, h->count + 1, sizeof(*h->tick));
    struct tick t = {at, h->sequence++, kind, a, b, c};
    size_t i = h->count++;
    while (i > 0) {
        size_t parent = (i - 1) / ARITY;
        if (!tick_before(&t, &h->tick[parent]))
            break;
        h->tick[i] = h->tick[parent];
        i = parent;
    }
    h->tick[i] = t;
}

struct tick heap_pop(struct heap *h)
{
    assert(h->count > 0);
    struct tick first = h->tick[0];
    struct tick t = h->tick[--h->count];
    size_t i = 0;
    for (;;) {
        size_t child = i * ARITY + 1;
        if (child >= h->count)
            break;
        size_t best = child;
        size_t end = child + ARITY < h->count ? child + ARITY : h->count;
        for (size_t k = child + 1; k < end; k++)
            if (tick_before(&h->tick[k], &h->tick[best]))
                best = k;
        if (!tick_before(&h->tick[best], &t))
            break;
        h->tick[i] = h->tick[best];
        i = best;
    }
    h->tick[i] = t;
    return first;
}

usec heap_first(const struct heap *h)
{
    return h->count > 0 ? h->tick[0].at : USEC_NEVER;
}

void alarms_init(struct alarms *a, uint32_t count)
{
    assert(count > 0);
    a->count = count;
    a->at = sim_alloc(count, sizeof(*a->at));
    a->place = sim_alloc(count, sizeof(*a->place));
    a->order = sim_alloc(count, sizeof(*a->order));
    for (uint32_t i = 0; i < count; i++) {
        a->at[i] = USEC_NEVER;
        a->place[i] = i;
        a->order[i] = i;
    }
}

void alarms_fini(struct alarms *a)
{
    free(a->at);
    free(a->place);
    free(a->order);
    *a = (struct alarms){0};
}

static bool alarm_before(const struct alarms *a, uint32_t x, uint32_t y)
{
    if (a->at[x] != a->at[y])
        return a->at[x] < a->at[y];
    return x < y;
}

static void alarm_put(struct alarms *a, uint32_t place, uint32_t node)
{
    a->order[place] = node;
    a->place[node] = place;
}

static uint32_t alarm_rise(struct alarms *a, uint32_t i, uint32_t node)
{
    while (i > 0) {
        uint32_t parent = (i - 1) / ARITY;
        if (!alarm_before(a, node, a->order[parent]))
            break;
        alarm_put(a, i, a->order[parent]);
        i = parent;
    }
    return i;
}

static uint32_t alarm_sink(struct alarms *a, uint32_t i, uint32_t node)
{
    for (;;) {
        uint32_t child = i * ARITY + 1;
        if (child >= a->count)
            break;
        uint32_t best = child;
        uint32_t end = child + ARITY < a->count ? child + ARITY : a->count;
        for (uint32_t k = child + 1; k < end; k++)
            if (alarm_before(a, a->order[k], a->order[best]))
                best = k;
        if (!alarm_before(a, a->order[best], node))
            break;
        alarm_put(a, i, a->order[best]);
        i = best;
    }
    return i;
}

void alarms_set(struct alarms *a, uint32_t node, usec at)
{
    assert(node < a->count);
    if (a->at[node] == at)
        return;
    bool earlier = at < a->at[node];
    a->at[node] = at;
    uint32_t i = a->place[node];
    i = earlier ? alarm_rise(a, i, node) : alarm_sink(a, i, node);
    alarm_put(a, i, node);
}

uint32_t alarms_first(const struct alarms *a)
{
    return a->order[0];
}

usec alarms_at(const struct alarms *a)
{
    return a->at[a->order[0]];
}
