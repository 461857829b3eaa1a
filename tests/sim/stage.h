/* The world that a test program of the simulator looks at, from its scenario to its end.
 *
 * For test_sim_*.c; everything is static because each of them is one program. */
#pragma once

#include "unit/run.h"
#include "world.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

static struct scenario *scn;
static struct world *w;

/* The default scenario with this seed, to be changed until stage_begin(). */
static inline void stage_plan(uint64_t seed)
{
    free(scn);
    scn = sim_alloc(1, sizeof(*scn));
    scenario_default(scn);
    scn->seed = seed;
}

/* One more group, in all else like the first of the devices. */
static inline struct scn_group *add_group(const char *name, uint32_t count)
{
    struct scn_group *g = &scn->group[scn->groups++];
    *g = scn->group[1];
    snprintf(g->name, sizeof(g->name), "%s", name);
    g->count = count;
    return g;
}

/* Ends the world, if there is one; its scenario stays. */
static inline void stage_end(void)
{
    if (w == NULL)
        return;
    world_fini(w);
    free(w);
    w = NULL;
}

/* Makes the world of the scenario, in place of the last one. */
static inline void stage_begin(void)
{
    char why[200];
    const struct options opt = {0};
    stage_end();
    ck_assert_msg(!scenario_wrong(scn, why, sizeof(why)), "%s", why);
    w = sim_alloc(1, sizeof(*w));
    ck_assert(world_init(w, scn, &opt));
}

static inline void stage_clear(void)
{
    stage_end();
    free(scn);
    scn = NULL;
}

/* All that happens up to a moment; false when the run is over before. */
static inline bool stage_reach(usec at)
{
    while (heap_first(&w->heap) <= at || alarms_at(&w->alarms) <= at)
        if (!world_step(w))
            return false;
    w->now = at;
    return true;
}

/* The same where the run must go on. */
static inline void run_until(usec at)
{
    ck_assert(stage_reach(at));
}

static inline void run_for(usec span)
{
    run_until(w->now + span);
}
