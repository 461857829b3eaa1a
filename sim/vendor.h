/* The vendor: gives releases and withdrawals to verify nodes, as the scenario says.
 *
 * Called by world.c. */
#pragma once

#include "world.h"

/* Schedules what will be published. */
void vendor_plan(struct world *w);
/* TICK_PUBLISH: gives a release to the first live verify node. */
void vendor_publish(struct world *w, uint32_t release);
/* TICK_ADOPT: looks whether that node has come so far that its image can be put there. */
void vendor_look(struct world *w, uint32_t release, uint32_t tries);
/* TICK_WITHDRAW: gives the stop for a release to the first live verify node. */
void vendor_withdraw(struct world *w, uint32_t release);
/* TICK_ROTATE: gives the next root to the first live verify node. */
void vendor_rotate(struct world *w);
/* A node holds a release whole. */
void vendor_held(struct world *w, uint32_t node, uint32_t release);
/* When the vendor is done. */
usec vendor_last(const struct scenario *scn);
