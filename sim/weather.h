/* The weather: what the faults of the moment do to the way between two nodes.
 *
 * Called by net.c for each parcel and each datagram; fault.c changes it.  When nothing is wrong
 * every question costs one comparison. */
#pragma once

#include "world.h"

void weather_init(struct world *w);
void weather_fini(struct world *w);

/* Does anything pass from one node to another?  What cannot pass waits at the sender until the cut
 * heals or a timeout breaks the link: probe.c asks again by itself, as TCP does. */
bool weather_open(const struct world *w, uint32_t from, uint32_t to);
/* Extra delay of one parcel, microseconds: loss, sent again. */
usec weather_delay(struct world *w, uint32_t from, uint32_t to);
/* Thousandths of a node's rates that are left; 0: it stalls. */
uint32_t weather_rate(const struct world *w, uint32_t node);
/* Is this datagram lost? */
bool weather_lost(struct world *w, uint32_t from, uint32_t to);

/* ---- for fault.c; a fault is named by its place in the scenario ---- */
/* It is at work from now on, on nobody yet.  Draws come from rng, which is kept. */
void weather_begin(struct world *w, uint32_t fault, enum fault_kind kind, uint32_t strength,
                   struct rng *rng);
void weather_strike(struct world *w, uint32_t fault, uint32_t node);
/* It is over, for all. */
void weather_end(struct world *w, uint32_t fault);
