/* Orders of time.
 *
 * Ticks lie in buckets of WIDTH microseconds, one list each, around a wheel of about a second; what
 * is later waits in a 4-ary heap until the wheel comes near.  Only the bucket that comes first is
 * sorted, when it comes to be the first, so a tick costs two list operations and a few comparisons
 * whatever else is pending.
 *
 * The alarms are a 4-ary heap too: four children a parent make it half as deep as a binary one and
 * keep the children of one parent in two cache lines. */
#include "heap.h"

#include "mem.h"

#include <assert.h>
#include <stdlib.h>

#define ARITY   4u
#define WIDTH   5u          /* bits: 32 us */
#define BUCKETS (1u << 15u) /* 1.05 s */
#define FEW     24u         /* beyond, sorting by insertion is slow */

struct tick_node {
    struct tick t;
    uint32_t next; /* from 1; 0: none */
};

static bool tick_before(const struct tick *a, const struct tick *b)
{
    if (a->at != b->at)
        return a->at < b->at;
    return a->sequence < b->sequence;
}

static uint64_t bucket_of(const struct tick *t)
{
    return t->at >> WIDTH;
}

void heap_fini(struct heap *h)
{
    free(h->ready);
    free(h->node);
    free(h->bucket);
    free(h->used);
    free(h->far);
    *h = (struct heap){0};
}

/* ---- what is far ---- */

static void far_push(struct heap *h, const struct tick *t)
{
    sim_grow(&h->far, &h->far_cap, h->fars + 1, sizeof(*h->far));
    size_t i = h->fars++;
    while (i > 0) {
        size_t parent = (i - 1) / ARITY;
        if (!tick_before(t, &h->far[parent]))
            break;
        h->far[i] = h->far[parent];
        i = parent;
    }
    h->far[i] = *t;
}

static struct tick far_pop(struct heap *h)
{
    struct tick first = h->far[0];
    struct tick t = h->far[--h->fars];
    size_t i = 0;
    for (;;) {
        size_t child = i * ARITY + 1;
        if (child >= h->fars)
            break;
        size_t best = child;
        size_t end = child + ARITY < h->fars ? child + ARITY : h->fars;
        for (size_t k = child + 1; k < end; k++)
            if (tick_before(&h->far[k], &h->far[best]))
                best = k;
        if (!tick_before(&h->far[best], &t))
            break;
        h->far[i] = h->far[best];
        i = best;
    }
    h->far[i] = t;
    return first;
}

/* ---- the wheel ---- */

static void list_push(struct heap *h, const struct tick *t)
{
    uint32_t at = (uint32_t)bucket_of(t) & (BUCKETS - 1);
    uint32_t i = h->free;
    if (i != 0) {
        h->free = h->node[i - 1].next;
    } else {
        if (h->nodes == h->node_cap)
            sim_grow(&h->node, &h->node_cap, h->nodes + 1, sizeof(*h->node));
        i = (uint32_t)++h->nodes;
    }
    struct tick_node *n = &h->node[i - 1];
    n->t = *t;
    n->next = h->bucket[at];
    h->bucket[at] = i;
    h->used[at / 64] |= (uint64_t)1 << at % 64;
    h->listed++;
}

static void store(struct heap *h, const struct tick *t)
{
    if (bucket_of(t) < h->low + BUCKETS)
        list_push(h, t);
    else
        far_push(h, t);
}

/* The first bucket from low on that has something; there is one. */
static uint64_t next_bucket(const struct heap *h)
{
    uint32_t from = (uint32_t)h->low & (BUCKETS - 1);
    uint32_t word = from / 64;
    uint64_t bits = h->used[word] & ~(uint64_t)0 << from % 64;
    while (bits == 0) {
        word = (word + 1) % (BUCKETS / 64);
        bits = h->used[word];
    }
    uint32_t at = word * 64 + (uint32_t)__builtin_ctzll(bits);
    return h->low + ((at - from) & (BUCKETS - 1));
}

static void ready_push(struct heap *h, const struct tick *t)
{
    if (h->readies == h->ready_cap)
        sim_grow(&h->ready, &h->ready_cap, h->readies + 1, sizeof(*h->ready));
    h->ready[h->readies++] = *t;
}

static int compare_ticks(const void *a, const void *b)
{
    return tick_before(a, b) ? 1 : -1;
}

static void sort_ready(struct heap *h)
{
    if (h->readies > FEW) {
        qsort(h->ready, h->readies, sizeof(*h->ready), compare_ticks);
        return;
    }
    for (size_t i = 1; i < h->readies; i++) {
        struct tick t = h->ready[i];
        size_t k = i;
        for (; k > 0 && tick_before(&h->ready[k - 1], &t); k--)
            h->ready[k] = h->ready[k - 1];
        h->ready[k] = t;
    }
}

/* Makes ready what comes first. */
static void load(struct heap *h)
{
    if (h->listed == 0) {
        h->current = bucket_of(&h->far[0]);
        while (h->fars > 0 && bucket_of(&h->far[0]) == h->current) {
            struct tick t = far_pop(h);
            ready_push(h, &t);
        }
        sort_ready(h);
        return;
    }
    h->current = next_bucket(h);
    uint32_t at = (uint32_t)h->current & (BUCKETS - 1);
    for (uint32_t i = h->bucket[at]; i != 0;) {
        struct tick_node *n = &h->node[i - 1];
        uint32_t next = n->next;
        ready_push(h, &n->t);
        n->next = h->free;
        h->free = i;
        h->listed--;
        i = next;
    }
    h->bucket[at] = 0;
    h->used[at / 64] &= ~((uint64_t)1 << at % 64);
    sort_ready(h);
}

void heap_push(struct heap *h, usec at, uint32_t kind, uint32_t a, uint32_t b, uint32_t c)
{
    struct tick t = {at, h->sequence++, kind, a, b, c};
    uint64_t bucket = bucket_of(&t);
    if (h->bucket == NULL) {
        h->bucket = sim_alloc(BUCKETS, sizeof(*h->bucket));
        h->used = sim_alloc(BUCKETS / 64, sizeof(*h->used));
    }
    assert(bucket >= h->low);
    if (h->count++ > 0 && bucket > h->current) {
        store(h, &t);
        return;
    }
    if (h->readies > 0 && bucket < h->current) {
        for (size_t i = 0; i < h->readies; i++)
            store(h, &h->ready[i]);
        h->readies = 0;
    }
    h->current = bucket;
    ready_push(h, &t);
    size_t i = h->readies - 1;
    for (; i > 0 && h->ready[i - 1].at <= at; i--)
        h->ready[i] = h->ready[i - 1];
    h->ready[i] = t;
}

struct tick heap_pop(struct heap *h)
{
    assert(h->count > 0);
    struct tick t = h->ready[--h->readies];
    h->count--;
    if (bucket_of(&t) > h->low) {
        h->low = bucket_of(&t);
        while (h->fars > 0 && bucket_of(&h->far[0]) < h->low + BUCKETS) {
            struct tick near = far_pop(h);
            list_push(h, &near);
        }
    }
    if (h->readies == 0 && h->count > 0)
        load(h);
    return t;
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
