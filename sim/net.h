/* The network: links over access lines of limited rate.
 *
 * Called by world.c.  A message waits in its sender's uplink, travels for the latency of the pair,
 * waits in the receiver's downlink and is then given to its core.  Everything is charged at the
 * exact size that the real channel puts on the wire, with the headers of the segments around it. */
#pragma once

#include "world.h"

void net_init(struct net *net);
void net_fini(struct world *w);
/* Bytes of handshake message 0, 1 or 2 as the channel makes it; cert_len: of its sender's
 * certificate. */
uint32_t net_handshake_bytes(uint32_t message, size_t cert_len);

void net_dial(struct world *w, uint32_t node, uint32_t op, const struct addr *addr);
/* credit: what EV_SENT will count.  False when the node has no such link.  Takes over body's blob.
 */
bool net_send(struct world *w, uint32_t node, uint32_t link, const uint8_t *head, uint32_t head_len,
              const struct body *body, uint32_t credit);
/* Nothing is sent, and the credit comes back: the disk could not read what was to go. */
void net_unsent(struct world *w, uint32_t node, uint32_t link, uint32_t credit);
/* At the end of a drain of this node: credit for what the kernel has taken.  True when some was
 * given, so that the core wants to be drained again. */
bool net_flush(struct world *w, uint32_t node);
bool net_close(struct world *w, uint32_t node, uint32_t link, enum err err);
/* A node's machine loses power: it says nothing any more, and forgets all its links. */
void net_break(struct world *w, uint32_t node);
/* One of the links of a node breaks, by number modulo how many there are; both ends hear of it.
 * False: it has none. */
bool net_cut(struct world *w, uint32_t node, uint32_t which);
/* Bytes that the core handed to a link and has no credit for yet; UINT64_MAX: no such link. */
uint64_t net_queued(const struct world *w, uint32_t node, uint32_t link);
/* The node at the other end; NONE: no such link. */
uint32_t net_far(const struct world *w, uint32_t node, uint32_t link);
/* The place of a link's end among all ends, which is another's when that link is no more; the next
 * end of the same node, NONE after the last (sim_node.ends is the first). */
uint32_t net_end_place(uint32_t link);
uint32_t net_end_next(const struct world *w, uint32_t end);
/* A slot for a new link; its ends are in no list yet. */
uint32_t net_slot(struct world *w);
/* This tick comes soon, as the first, second or third from now: fetches what it will look at, which
 * changes nothing. */
void net_prefetch(const struct world *w, const struct tick *t, unsigned ahead);
/* TICK_LEFT .. TICK_DOWN, but TICK_CAST. */
void net_tick(struct world *w, const struct tick *t);
