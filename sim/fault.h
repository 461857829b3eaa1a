/* Faults: what goes wrong, drawn from the seed before the run starts.
 *
 * Called by world.c.  A fault has a number, so that a run can be repeated without it. */
#pragma once

#include "world.h"

/* Draws opt.crashes crashes of distinct devices, within `window` and a second from when all are up.
 */
void fault_plan(struct world *w, usec window);
void fault_fini(struct world *w);
/* TICK_FAULT. */
void fault_strike(struct world *w, uint32_t fault);
