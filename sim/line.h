/* Access lines: how long it takes a parcel to get from one node's host to another's.
 *
 * Called by net.c and lan.c.  A parcel waits for its sender's uplink, then for the line of its
 * place when it leaves one, travels for the latency of the pair, waits for the line of the place
 * that it enters, and for its receiver's downlink; then net.c is told. */
#pragma once

#include "world.h"

#define LINE_MSS    1448u /* payload of a full segment, with time stamps */
#define LINE_HEADER 66u   /* Ethernet, IP, TCP with time stamps */

static inline struct wire_link *link_at(const struct world *w, uint32_t slot)
{
    return pool_at(&w->net.links, slot);
}

static inline struct parcel *parcel_at(const struct world *w, uint32_t i)
{
    return pool_at(&w->net.parcels, i);
}

/* When the last of n more bytes will have passed. */
usec line_pass(struct pipe *p, usec now, uint32_t n);
/* Bytes on the line of n bytes of a TCP stream, of which `before` share segments with them. */
uint32_t line_bytes(uint32_t before, uint32_t n);

/* Puts a parcel into its sender's uplink queue. */
void line_send(struct world *w, uint32_t parcel);
/* The line of its place that what an end sends passes on its way out, or NULL. */
struct pipe *line_out(struct world *w, const struct wire_link *l, unsigned side);
/* When a place's uplink will have passed all that is on its way to it. */
usec line_ahead(const struct world *w, uint32_t place);
/* Sends a parcel on its way that has left the uplink at t, now or later. */
void line_depart(struct world *w, uint32_t parcel, usec t);
/* TICK_LEFT: returns the parcel that left its uplink, or NONE. */
uint32_t line_left(struct world *w, const struct tick *t);
/* TICK_PLACE, TICK_ARRIVE. */
void line_place(struct world *w, uint32_t parcel);
void line_arrive(struct world *w, uint32_t parcel);
/* TICK_DELIVER: returns the parcel that is in, or NONE. */
uint32_t line_delivered(struct world *w, const struct tick *t);
/* Makes a node's queue empty: each parcel is given to drop.  Who waits for a turn there stays. */
void line_clear(struct world *w, struct pipe *q, void (*drop)(struct world *, uint32_t));
/* Bytes of acknowledgements that a parcel costs the way back. */
uint32_t line_acks(const struct parcel *p);
