/* Turns at the lines.
 *
 * TCP keeps little in the queue of a line and the rest in the socket of each connection, so what
 * one link has to say does not wait behind all that others were given: they take turns.  Here a
 * link sends one message a turn.  The queue of a node's uplink holds what passes in a tenth of a
 * second, but at least 64 segments, as that of a home router or of tc's token bucket does.  What
 * waits ahead of a line that lies behind it, the receiver's or a place's, is about half a second's;
 * a real TCP learns of more by losses, and slows down. */
#include "line.h"
#include "net_links.h"

#define QUEUE_US       (SEC / 10)
#define QUEUE_SEGMENTS 64u
#define AHEAD_US       (SEC / 2)

static struct end *end_of(const struct world *w, uint32_t id)
{
    return &link_at(w, id / 2)->end[id % 2];
}

static struct pipe *gate_pipe(struct world *w, struct gate g)
{
    switch (g.kind) {
    case GATE_UP:
        return &w->node[g.at].up;
    case GATE_DOWN:
        return &w->node[g.at].down;
    case GATE_OUT:
        return &w->place[g.at].up;
    case GATE_IN:
        break;
    }
    return &w->place[g.at].down;
}

/* Until when its line has no room, which lies in the past when it has. */
static usec full_until(struct world *w, struct gate g)
{
    const struct pipe *q = gate_pipe(w, g);
    if (g.kind == GATE_UP) {
        usec most = QUEUE_SEGMENTS * (LINE_MSS + LINE_HEADER) * SEC / q->rate;
        most = most < QUEUE_US ? QUEUE_US : most;
        return q->first != NONE && q->free > w->now + most ? q->free - most : 0;
    }
    usec free = g.kind == GATE_OUT ? line_ahead(w, g.at) : q->free;
    return free > AHEAD_US ? free - AHEAD_US : 0;
}

bool turn_waits(struct world *w, struct gate g, bool given)
{
    return (!given && gate_pipe(w, g)->turn != NONE) || full_until(w, g) > w->now;
}

/* Room in an uplink's queue is noticed when something leaves it. */
static void look_later(struct world *w, struct gate g)
{
    struct pipe *q = gate_pipe(w, g);
    if (g.kind == GATE_UP || q->looks || q->turn == NONE)
        return;
    usec at = full_until(w, g);
    q->looks = true;
    world_schedule(w, at > w->now ? at : w->now, TICK_ROOM, g.kind, g.at, 0);
}

void turn_join(struct world *w, struct gate g, uint32_t slot, unsigned side)
{
    uint32_t id = slot * 2 + side;
    struct end *e = end_of(w, id);
    struct pipe *q = gate_pipe(w, g);
    e->turning = true;
    e->turn_next = NONE;
    link_at(w, slot)->refs++;
    if (q->turn == NONE)
        q->turn = id;
    else
        end_of(w, q->turn_last)->turn_next = id;
    q->turn_last = id;
    look_later(w, g);
}

uint32_t turn_leave(struct world *w, struct gate g)
{
    struct pipe *q = gate_pipe(w, g);
    uint32_t id = q->turn;
    if (id != NONE) {
        q->turn = end_of(w, id)->turn_next;
        end_of(w, id)->turning = false;
    }
    return id;
}

void turn_next(struct world *w, struct gate g)
{
    while (gate_pipe(w, g)->turn != NONE && full_until(w, g) <= w->now) {
        uint32_t id = turn_leave(w, g);
        pace_turn(w, id / 2, id % 2, g);
        link_unref(w, id / 2);
    }
    look_later(w, g);
}

void turn_tick(struct world *w, const struct tick *t)
{
    struct gate g = {(enum gate_kind)t->a, t->b};
    gate_pipe(w, g)->looks = false;
    turn_next(w, g);
}
