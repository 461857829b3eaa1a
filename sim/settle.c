/* Numbers follow the file: verify groups first, then all others.
 *
 * A group of a site that stands for K places has its nodes at each of the K, place after place, so
 * that neighbours in number are neighbours in space. */
#include "settle.h"

#include "address.h"

#include <assert.h>
#include <stdlib.h>

static struct pipe pipe_of(uint64_t rate)
{
    return (struct pipe){.rate = rate, .first = NONE, .last = NONE, .turn = NONE};
}

static void make_places(struct world *w)
{
    const struct scenario *scn = &w->scn;
    for (uint32_t i = 0; i < scn->sites; i++)
        w->places += scn->site[i].count;
    w->place = sim_alloc(w->places, sizeof(*w->place));
    uint32_t at = 0;
    for (uint32_t i = 0; i < scn->sites; i++) {
        for (uint32_t k = 0; k < scn->site[i].count; k++, at++) {
            w->place[at].site = i;
            w->place[at].up = pipe_of(scn->site[i].up);
            w->place[at].down = pipe_of(scn->site[i].down);
        }
    }
}

static uint32_t first_place(const struct world *w, uint32_t site)
{
    uint32_t at = 0;
    for (uint32_t i = 0; i < site; i++)
        at += w->scn.site[i].count;
    return at;
}

static uint32_t group_size(const struct world *w, const struct scn_group *g)
{
    return g->site == NONE ? g->count : g->count * w->scn.site[g->site].count;
}

static void settle_group(struct world *w, uint32_t group, uint32_t first)
{
    const struct scn_group *g = &w->scn.group[group];
    uint32_t size = group_size(w, g);
    uint32_t place = g->site != NONE ? first_place(w, g->site) : NONE;
    for (uint32_t i = 0; i < size; i++) {
        struct sim_node *n = &w->node[first + i];
        n->group = group;
        n->model = g->verify ? NONE : g->model;
        n->place = place != NONE ? place + i / g->count : NONE;
        n->behaviour = g->behaviour;
        n->nat = g->nat;
        n->want = NONE;
        n->limits = g->verify ? &limits_verify : &limits_device;
        n->up = pipe_of(g->up);
        n->down = pipe_of(g->down);
        if (n->place != NONE)
            w->place[n->place].nodes++;
    }
}

static void fill_places(struct world *w)
{
    for (uint32_t i = 0; i < w->places; i++) {
        w->place[i].node = sim_alloc(w->place[i].nodes, sizeof(*w->place[i].node));
        w->place[i].nodes = 0;
    }
    for (uint32_t i = 0; i < w->count; i++) {
        if (w->node[i].place == NONE)
            continue;
        struct place *p = &w->place[w->node[i].place];
        w->node[i].seat = p->nodes;
        p->node[p->nodes++] = i;
    }
}

void settle_nodes(struct world *w)
{
    const struct scenario *scn = &w->scn;
    make_places(w);
    for (uint32_t i = 0; i < scn->groups; i++) {
        uint32_t size = group_size(w, &scn->group[i]);
        w->count += size;
        if (scn->group[i].verify)
            w->verify += size;
        else if (scn->group[i].behaviour == BEHAVE_HONEST)
            w->devices += size;
    }
    assert(w->verify > 0);
    w->node = sim_alloc(w->count, sizeof(*w->node));
    uint32_t at = 0;
    for (unsigned pass = 0; pass < 2; pass++) {
        for (uint32_t i = 0; i < scn->groups; i++) {
            if (scn->group[i].verify != (pass == 0))
                continue;
            settle_group(w, i, at);
            at += group_size(w, &scn->group[i]);
        }
    }
    fill_places(w);
    for (uint32_t i = 0; i < w->count; i++)
        w->node[i].addr = address_of(w, i);
}

void settle_fini(struct world *w)
{
    for (uint32_t i = 0; i < w->places; i++)
        free(w->place[i].node);
    free(w->place);
    free(w->node);
}
