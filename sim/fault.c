/* Crashes: a device loses power at a random moment and is back after one to five seconds.
 *
 * Victims are drawn without repetition by a partial shuffle, so the same seed always means the same
 * victims at the same moments. */
#include "fault.h"

#include <stdlib.h>

#define AFTER    (SEC / 10) /* all are up by then */
#define BACK_MIN (1 * SEC)
#define BACK_MAX (5 * SEC)

static usec draw_usec(struct rng *r, usec below)
{
    return below > 0 ? rng_u64(r) % below : 0;
}

void fault_plan(struct world *w, usec window)
{
    uint32_t count = 0, devices = w->devices;
    for (uint32_t i = 0; i < w->scn.faults; i++)
        if (w->scn.fault[i].kind == FAULT_CRASH)
            count += w->scn.fault[i].count;
    if (count > devices)
        count = devices;
    if (count == 0)
        return;
    uint32_t *victim = sim_alloc(devices, sizeof(*victim));
    for (uint32_t i = 0; i < devices; i++)
        victim[i] = w->verify + i;
    w->fault = sim_alloc(count, sizeof(*w->fault));
    w->faults = count;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t k = i + rng_below(&w->rng, devices - i);
        uint32_t node = victim[k];
        victim[k] = victim[i];
        struct fault *f = &w->fault[i];
        f->kind = FAULT_CRASH;
        f->node = node;
        f->at = AFTER + draw_usec(&w->rng, window + SEC);
        f->lasts = BACK_MIN + draw_usec(&w->rng, BACK_MAX - BACK_MIN);
        world_schedule(w, f->at, TICK_FAULT, i, 0, 0);
    }
    free(victim);
}

void fault_fini(struct world *w)
{
    free(w->fault);
}

void fault_strike(struct world *w, uint32_t fault)
{
    struct fault *f = &w->fault[fault];
    f->struck = w->node[f->node].core != NULL;
    if (!f->struck)
        return;
    world_crash(w, f->node);
    world_schedule(w, w->now + f->lasts, TICK_BOOT, f->node, 0, 0);
}
