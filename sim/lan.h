/* Datagrams to everybody of a place.
 *
 * Called by world.c.  Each costs its sender's uplink and every receiver's downlink; it is a hint,
 * so a line that stands still or bad weather may lose it. */
#pragma once

#include "world.h"

/* ACT_CAST.  False when the node's place has no LAN. */
bool lan_cast(struct world *w, uint32_t node, const uint8_t *head, uint32_t head_len);
/* Has the node a LAN? */
bool lan_has(const struct world *w, uint32_t node);
/* TICK_CAST. */
void lan_tick(struct world *w, uint32_t cast);
