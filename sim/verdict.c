/* Who can still complete: sound disks, put together along the paths that are left.
 *
 * While a verify node is sound, everybody finds everybody through it: all sound nodes are one
 * island.  When the last one goes, the links of that moment are remembered; from then on islands
 * are what these links join, of those that can still be dialled anew, and who restarts is lost: it
 * knows nobody, and nobody needs to dial it.  An island is good for a
 * release when its disks hold every block of it.
 *
 * Answers are kept until the next event, because they are asked for many devices at one moment. */
#include "verdict.h"

#include <stdlib.h>
#include <string.h>

struct pair {
    uint32_t a, b;
};

struct verdict {
    bool left;     /* somebody is gone, rotten or shunned; else everything can be demanded */
    bool orphaned; /* no sound verify node is left */
    struct pair *met;
    size_t mets, mets_cap;
    uint32_t *boot; /* by node: its boot then */
    /* Of one release at one moment. */
    bool fresh;
    uint32_t release;
    uint64_t steps;
    usec at;
    uint32_t *island; /* by node: the least of its island */
    bool *good;       /* by island */
};

void verdict_init(struct world *w)
{
    w->verdict = sim_alloc(1, sizeof(*w->verdict));
    w->verdict->boot = sim_alloc(w->count, sizeof(*w->verdict->boot));
    w->verdict->island = sim_alloc(w->count, sizeof(*w->verdict->island));
    w->verdict->good = sim_alloc(w->count, sizeof(*w->verdict->good));
}

void verdict_fini(struct world *w)
{
    if (w->verdict == NULL)
        return;
    free(w->verdict->met);
    free(w->verdict->boot);
    free(w->verdict->island);
    free(w->verdict->good);
    free(w->verdict);
    w->verdict = NULL;
}

static bool is_sound(const struct sim_node *n)
{
    return n->behaviour == BEHAVE_HONEST && !n->gone && !n->shunned;
}

/* ---- the moment when nobody introduces anybody any more ---- */

static void remember_links(struct world *w)
{
    struct verdict *v = w->verdict;
    for (uint32_t i = 0; i < w->count; i++)
        v->boot[i] = w->node[i].boot;
    for (uint32_t i = 0; i < w->net.links.count; i++) {
        const struct wire_link *l = pool_at(&w->net.links, i);
        if (l->end[0].state != END_UP || l->end[1].state != END_UP)
            continue;
        sim_grow(&v->met, &v->mets_cap, v->mets + 1, sizeof(*v->met));
        v->met[v->mets++] = (struct pair){l->end[0].node, l->end[1].node};
    }
}

void verdict_left(struct world *w)
{
    struct verdict *v = w->verdict;
    v->left = true;
    v->fresh = false;
    if (v->orphaned)
        return;
    for (uint32_t i = 0; i < w->verify; i++)
        if (is_sound(&w->node[i]))
            return;
    v->orphaned = true;
    remember_links(w);
}

/* ---- islands ---- */

static uint32_t root_of(uint32_t *island, uint32_t node)
{
    while (island[node] != node) {
        island[node] = island[island[node]];
        node = island[node];
    }
    return node;
}

static bool can_dial(const struct world *w, const struct verdict *v, uint32_t from, uint32_t to)
{
    const struct sim_node *a = &w->node[from], *b = &w->node[to];
    bool near = a->place != NONE && a->place == b->place;
    return a->boot == v->boot[from] && (!b->nat || near);
}

static void join_islands(const struct world *w, struct verdict *v)
{
    uint32_t *island = v->island;
    uint32_t first = NONE;
    for (uint32_t i = 0; i < w->count; i++) {
        island[i] = i;
        if (v->orphaned || !is_sound(&w->node[i]))
            continue;
        first = first == NONE ? i : first;
        island[i] = first;
    }
    for (size_t i = 0; i < v->mets; i++) {
        uint32_t a = v->met[i].a, b = v->met[i].b;
        if (!is_sound(&w->node[a]) || !is_sound(&w->node[b]))
            continue;
        if (!can_dial(w, v, a, b) && !can_dial(w, v, b, a))
            continue;
        uint32_t x = root_of(island, a), y = root_of(island, b);
        if (x < y)
            island[y] = x;
        else
            island[x] = y;
    }
    for (uint32_t i = 0; i < w->count; i++)
        island[i] = root_of(island, i);
}

/* ---- what they hold ---- */

static void add_disk(const struct sim_node *n, uint32_t release, uint8_t *all, size_t size)
{
    for (uint32_t i = 0; i < n->disk.slots; i++) {
        const struct disk_slot *s = &n->disk.slot[i];
        if (!s->bound || s->release != release)
            continue;
        for (size_t k = 0; k < size; k++)
            all[k] |= s->rot == NULL ? s->blocks[k] : s->blocks[k] & (uint8_t)~s->rot[k];
    }
}

static void judge_islands(const struct world *w, struct verdict *v)
{
    uint32_t blocks = w->release[v->release].geo.blocks;
    size_t size = ((size_t)blocks + 7) / 8;
    uint8_t **all = sim_alloc(w->count, sizeof(*all));
    for (uint32_t i = 0; i < w->count; i++) {
        if (!is_sound(&w->node[i]))
            continue;
        uint32_t x = v->island[i];
        if (all[x] == NULL)
            all[x] = sim_alloc(size, 1);
        add_disk(&w->node[i], v->release, all[x], size);
    }
    for (uint32_t i = 0; i < w->count; i++) {
        v->good[i] = all[i] != NULL;
        for (uint32_t b = 0; v->good[i] && b < blocks; b++)
            v->good[i] = bit_test(all[i], b);
        free(all[i]);
    }
    free(all);
}

bool verdict_lost(const struct world *w, uint32_t node)
{
    struct verdict *v = w->verdict;
    uint32_t release = w->node[node].want;
    if (!v->left || release == NONE)
        return false;
    if (!v->fresh || v->release != release || v->steps != w->steps || v->at != w->now) {
        v->fresh = true;
        v->release = release;
        v->steps = w->steps;
        v->at = w->now;
        join_islands(w, v);
        judge_islands(w, v);
    }
    bool forgot = v->orphaned && w->node[node].boot != v->boot[node];
    return forgot || !v->good[v->island[node]];
}
