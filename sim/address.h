/* Addresses: how nodes are called by whom, who can be reached, and how far away everybody is.
 *
 * Called by net.c, lan.c and world.c. */
#pragma once

#include "world.h"

/* What a node is called inside its place; outside of places, what it is called at all. */
struct addr address_of(const struct world *w, uint32_t node);
/* What another node sees when this one comes to it: behind a NAT the place's public address. */
struct addr address_seen(const struct world *w, uint32_t node, uint32_t by);
/* Whose address it is; NONE: nobody's. */
uint32_t address_node(const struct world *w, const struct addr *addr);
/* Can one node open a link to another? */
bool address_reaches(const struct world *w, uint32_t from, uint32_t to);
/* Are two nodes in one place? */
bool address_near(const struct world *w, uint32_t a, uint32_t b);
/* One-way delay between two nodes. */
usec address_latency(const struct world *w, uint32_t a, uint32_t b);
