/* Faults: what goes wrong, when, and with whom; and who may be excused for it.
 *
 * Called by world.c.  Every fault of the scenario draws from a generator of its own, made from the
 * seed and the fault's number, so that leaving one out changes no draw of another.  A fault ends at
 * its time or, when it has none, with the chaos (world.chaos_end); then it heals: power comes back,
 * cuts close, disks have room and answer.  Two things do not heal: who is gone stays away, and a
 * block that rotted stays bad until somebody finds it.
 *
 * What can be demanded.  A device must come to its release (sim_node.want) within the limit of
 * liveness after the last fault healed, unless it is excused, because
 *
 *   - it is gone for good, or shunned: its disk rots, and somebody whom it served a bad block has
 *     banned it, who may be all that it could fetch from;
 *   - somebody is gone or rotten, and the sound blocks of the honest nodes that are left and not
 *     shunned do not make up the image: then nobody can complete it;
 *   - the last verify node is gone or shunned, and the device has restarted since, so that it knows
 *     nobody and waits to be dialled; or no path leads from it to such an image.  A path goes from
 *     node to node over links that were there at that moment, of which one end still remembers the
 *     other (it has not restarted) and can dial it (it is not behind a NAT elsewhere).
 *
 * Nobody is excused from safety but by adversary.c.  A node whose disk rots (sim_node.rotten, from
 * the first rotten block on) may be banned by honest ones. */
#pragma once

#include "world.h"

/* Draws whom each fault strikes and schedules them.  bound: about how long the release takes; a
 * crash with neither time nor length strikes each target once, at a moment within it. */
void fault_plan(struct world *w, usec bound);
void fault_fini(struct world *w);
/* TICK_FAULT. */
void fault_strike(struct world *w, uint32_t what);
/* A node is about to boot.  False: a fault keeps it without power, and boots it later. */
bool fault_lets_boot(struct world *w, uint32_t node);
/* A node has left for good. */
void fault_left(struct world *w, uint32_t node);
/* An honest node has banned it. */
void fault_shunned(struct world *w, uint32_t node);

/* May this device lack its release when all is over?  See above. */
bool fault_excused(const struct world *w, uint32_t node);
/* Honest devices that lack their release: those that are excused, or those that are not. */
uint32_t fault_lacking(const struct world *w, bool excused);
