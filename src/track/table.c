/* The announce table: one unordered array.
 *
 * A sample first drops what expired, then moves the live entries of the image, but the asker's, to
 * the front, and draws from that part without putting back (partial Fisher-Yates, in place: order
 * carries no meaning).  What is taken moves to the very front; complete holders beyond their third
 * stay behind and fill up only what no other entry could. */
#include "track/table.h"

#include <assert.h>
#include <string.h>

#define HAVE_ALL 255u
/* A table of more entries than this is never given away whole. */
#define WHOLE_MAX 8u

void table_init(struct table *t, struct table_entry *mem, uint32_t cap)
{
    assert(cap > 0);
    *t = (struct table){.entry = mem, .cap = cap};
}

static void table_remove(struct table *t, uint32_t i)
{
    t->entry[i] = t->entry[--t->count];
}

static void table_swap(struct table *t, uint32_t a, uint32_t b)
{
    struct table_entry held = t->entry[a];
    t->entry[a] = t->entry[b];
    t->entry[b] = held;
}

void table_announce(struct table *t, const struct digest *image, const struct key *who,
                    const struct addr *addr, uint8_t have, usec now, usec lifetime)
{
    uint32_t at = t->count, soonest = 0;
    for (uint32_t i = 0; i < t->count; i++) {
        const struct table_entry *e = &t->entry[i];
        if (key_equal(&e->who, who) && digest_equal(&e->image, image)) {
            at = i;
            break;
        }
        if (e->expires < t->entry[soonest].expires)
            soonest = i;
    }
    if (at == t->count && t->count == t->cap)
        at = soonest;
    else if (at == t->count)
        t->count++;
    t->entry[at] = (struct table_entry){
        .image = *image, .who = *who, .addr = *addr, .have = have, .expires = now + lifetime};
}

void table_forget(struct table *t, const struct key *who)
{
    for (uint32_t i = 0; i < t->count;) {
        if (key_equal(&t->entry[i].who, who))
            table_remove(t, i);
        else
            i++;
    }
}

static bool addr_is_loopback(const struct addr *a)
{
    static const uint8_t loopback6[16] = {[15] = 1};
    return a->family == 4 ? a->ip[0] == 127 : memcmp(a->ip, loopback6, sizeof loopback6) == 0;
}

static bool same_group(const struct addr *a, const struct addr *b)
{
    return a->family == b->family && memcmp(a->ip, b->ip, a->family == 4 ? 3 : 8) == 0;
}

/* Would one more of this address's group be too many beside the first `taken` entries? */
static bool group_is_full(const struct table *t, uint32_t taken, const struct addr *a,
                          uint32_t most)
{
    uint32_t n = 0;
    if (addr_is_loopback(a))
        return false;
    for (uint32_t i = 0; i < taken; i++)
        n += same_group(&t->entry[i].addr, a);
    return n >= most;
}

/* Moves the entries to choose from to the front and returns how many. */
static uint32_t candidates(struct table *t, const struct digest *image, const struct key *asker,
                           usec now)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < t->count;) {
        const struct table_entry *e = &t->entry[i];
        if (e->expires <= now) {
            table_remove(t, i);
            continue;
        }
        if (digest_equal(&e->image, image) && !key_equal(&e->who, asker))
            table_swap(t, n++, i);
        i++;
    }
    return n;
}

uint32_t table_sample(struct table *t, const struct digest *image, const struct key *asker,
                      usec now, uint32_t want, struct addr *out, struct rng *rng)
{
    uint32_t n = candidates(t, image, asker, now), most = n, taken = 0, complete = 0;
    if (n > WHOLE_MAX)
        most = n / 2 > WHOLE_MAX ? n / 2 : WHOLE_MAX;
    if (most > want)
        most = want;
    uint32_t complete_most = most / 3 > 0 ? most / 3 : 1;
    uint32_t group_most = most / 4 > 0 ? most / 4 : 1;
    for (uint32_t i = 0; i < n && taken < most; i++) {
        table_swap(t, i, i + rng_below(rng, n - i));
        const struct table_entry *e = &t->entry[i];
        bool whole = e->have == HAVE_ALL;
        if ((whole && complete >= complete_most) || group_is_full(t, taken, &e->addr, group_most))
            continue;
        complete += whole;
        table_swap(t, taken++, i);
    }
    /* All others are used up: complete holders beyond their third, in the order drawn. */
    for (uint32_t i = taken; i < n && taken < most; i++)
        if (!group_is_full(t, taken, &t->entry[i].addr, group_most))
            table_swap(t, taken++, i);
    for (uint32_t i = 0; i < taken; i++)
        out[i] = t->entry[i].addr;
    return taken;
}

uint32_t table_count(const struct table *t, const struct digest *image, usec now)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < t->count; i++)
        n += t->entry[i].expires > now && digest_equal(&t->entry[i].image, image);
    return n;
}
