/* The true channel beside the modelled one: every handshake is shaken, every record sealed and
 * opened, and what comes out is held against what the model says.
 *
 * Called by net.c and shake.c when options say so.  The model's sizes and moments stay what counts,
 * so a run gives the same trace hash with and without; what differs is a finding. */
#pragma once

#include "world.h"

#define CHANNEL_NODES_MAX 200u

void channel_init(struct world *w);
void channel_fini(struct world *w);
/* Is it there?  The others are called only when it is. */
static inline bool channel_on(const struct world *w)
{
    return w->net.channels != NULL;
}

/* A parcel of the handshake is made: its bytes.  payload: what the model says that they are. */
void channel_shake(struct world *w, uint32_t parcel, uint32_t payload);
/* It is in.  False: the channel refuses the other. */
bool channel_shaken(struct world *w, uint32_t parcel);
/* A message is sent; fresh: it begins a record. */
void channel_write(struct world *w, uint32_t parcel, const uint8_t *head, bool fresh);
/* Ends a side's record, if one is begun. */
void channel_seal(struct world *w, uint32_t slot, unsigned side);
/* A message is in. */
void channel_read(struct world *w, uint32_t parcel);
/* A parcel, a link is no more. */
void channel_drop(struct world *w, uint32_t parcel);
void channel_free(struct world *w, uint32_t slot);
