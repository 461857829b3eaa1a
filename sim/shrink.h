/* Makes a scenario that fails smaller, such that it still fails in the same way.
 *
 * Called by swarm.c.  The order of what is tried follows from the scenario alone, and what is spent
 * is counted in runs and in events, never in real time: the same scenario shrinks to the same one
 * on every machine. */
#pragma once

#include "trial.h"

struct shrink {
    trial_run *run;
    usec timeout; /* real time of one run */
    uint32_t runs_max;
    uint64_t steps_max; /* events of all runs together */
    /* ---- what it amounted to ---- */
    uint32_t runs, taken; /* tried; of them those that failed alike */
    uint64_t steps;
};

/* `how` is the failure of *s; both become those of the smallest scenario that was found.  False:
 * *s does not fail like that when it runs again, which is a failure of its own. */
bool shrink_scenario(struct shrink *k, struct scenario *s, struct trial *how);
