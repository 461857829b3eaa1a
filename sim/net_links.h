/* What the parts of the network share: links, their ends, parcels.
 *
 * Private to net.c, pace.c, shake.c, probe.c, turn.c and channel.c.
 *
 *   net.c    ends and names, messages out and in, closing
 *   pace.c   when what was said may go
 *   shake.c  dialling, admission, the three messages of a handshake
 *   turn.c   who may put something on a line next
 *   probe.c  what is not acknowledged: tries again, gives up, notices what is gone */
#pragma once

#include "line.h"
#include "net.h"

/* ---- net.c ---- */
void end_begin(struct world *w, uint32_t slot, unsigned side, uint32_t node, enum end_state state);
/* Ends the life of an end; what waits in it is lost. */
void end_close(struct world *w, uint32_t slot, unsigned side);
bool end_is_over(const struct end *e);
void link_unref(struct world *w, uint32_t slot);
/* A tick for an end, which keeps its link's slot until link_unref(). */
void end_tick(struct world *w, usec at, enum tick_kind kind, uint32_t slot, unsigned side,
              uint32_t c);
void end_down(struct world *w, uint32_t slot, unsigned side, usec at, enum err err);
/* The end is up: its core hears of the link. */
void end_up(struct world *w, uint32_t slot, unsigned side);

/* payload: bytes of the TCP stream. */
uint32_t parcel_new(struct world *w, uint32_t slot, unsigned side, enum parcel_kind kind,
                    uint32_t payload);
void parcel_free(struct world *w, uint32_t i);
/* The head of its message: head_len bytes. */
const uint8_t *parcel_head(struct world *w, const struct parcel *p);
/* It is gone; the counts of bytes say so. */
void parcel_lost(struct world *w, uint32_t i);
void parcels_push(struct world *w, struct parcels *list, uint32_t i);
uint32_t parcels_pop(struct world *w, struct parcels *list);
/* Says goodbye on a link: an end that does not want it, behind what it said before. */
void fin_send(struct world *w, uint32_t slot, unsigned side);
/* What a machine answers that does not know a connection: not behind what is queued. */
void reset_send(struct world *w, uint32_t slot, unsigned side);
/* Counts a parcel that left its uplink, and sends it on. */
void parcel_depart(struct world *w, uint32_t i);

/* ---- turn.c ---- */
/* A line that links share: a node's, up and down, or a place's, out and in. */
enum gate_kind { GATE_UP, GATE_DOWN, GATE_OUT, GATE_IN };
struct gate {
    enum gate_kind kind;
    uint32_t at; /* node or place */
};
/* Must an end wait there?  given: it is its turn. */
bool turn_waits(struct world *w, struct gate g, bool given);
/* Waits for its turn there; an end waits at one line at a time. */
void turn_join(struct world *w, struct gate g, uint32_t slot, unsigned side);
/* The end whose turn it is, with a reference to its link; NONE: nobody waits. */
uint32_t turn_leave(struct world *w, struct gate g);
/* Those who wait go on while there is room.  For an uplink: when something has left it. */
void turn_next(struct world *w, struct gate g);
/* TICK_ROOM: likewise. */
void turn_tick(struct world *w, const struct tick *t);

/* ---- pace.c ---- */
#define PACE_FIRST (10u * (LINE_MSS + LINE_HEADER)) /* window of a new link */
/* Lets go of what waits at an end as far as it may; the rest goes later. */
void pace_out(struct world *w, uint32_t slot, unsigned side);
/* The same at an end whose turn it is at a line. */
void pace_turn(struct world *w, uint32_t slot, unsigned side, struct gate given);
/* TICK_ROUND. */
void pace_tick(struct world *w, uint32_t slot, unsigned side);

/* ---- shake.c ---- */
/* A parcel of the handshake is in. */
void shake_message(struct world *w, uint32_t parcel);
/* TICK_SHAKE, TICK_ACCEPT. */
void shake_late(struct world *w, uint32_t slot, unsigned side);
void shake_accept(struct world *w, uint32_t slot);
/* The dialler's kernel asks, for the first time or again. */
void shake_syn(struct world *w, uint32_t slot);

/* ---- probe.c ---- */
/* Nothing acknowledges what an end says, from now on until a probe finds otherwise. */
void probe_start(struct world *w, uint32_t slot, unsigned side);
/* Does the way between the ends work, both ways? */
bool probe_way_open(const struct world *w, const struct wire_link *l);
/* The far end of this one is gone without a word. */
void probe_orphan(struct world *w, uint32_t slot, unsigned side);
/* TICK_PROBE, TICK_IDLE. */
void probe_tick(struct world *w, uint32_t slot, unsigned side);
void probe_idle(struct world *w, uint32_t slot, unsigned side);
