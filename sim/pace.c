/* When what a link has to say may go: TCP's reasons to wait.
 *
 * Slow start: ten segments at first, twice as many each round trip in which they were used, half as
 * many for each time-out's length of silence.  And buffers: what passes a line ahead in a while is
 * all that waits there; a real TCP learns of more by losses, and slows down.  And the others: the
 * links of a node take turns at its line (turn.c). */
#include "net_links.h"

/* Without it everything leaves at once. */
static const bool slow_start = true;
#define WINDOW_MOST (8u * 1024u * 1024u) /* no limit any more */
#define SILENCE     (SEC / 5)            /* least time-out */
#define BUFFER_US   (SEC / 2)            /* what waits ahead of a line, at most about */

/* Has slow start room for more in this round trip? */
static bool window_open(struct world *w, const struct wire_link *l, struct end *e)
{
    usec trip = 2 * l->way, gone = w->now - e->round_at;
    if (!slow_start)
        return true;
    if (gone >= trip) {
        usec quiet = gone / (SILENCE + trip);
        if (quiet > 0)
            e->window >>= quiet < 16 ? quiet : 16;
        else if (e->round * 2 >= e->window && e->window < WINDOW_MOST)
            e->window *= 2;
        if (e->window < PACE_FIRST)
            e->window = PACE_FIRST;
        e->round = 0;
        e->round_at = w->now;
    }
    return e->round < e->window;
}

/* Until when nothing more goes into the buffers ahead, which lies in the past when there is room.
 */
static usec crowded(const struct world *w, const struct wire_link *l, unsigned side)
{
    const struct sim_node *from = &w->node[l->end[side].node], *to = &w->node[l->end[!side].node];
    usec free = to->down.free;
    if (!l->near && from->place != NONE && w->place[from->place].up.free > free)
        free = w->place[from->place].up.free;
    if (!l->near && to->place != NONE && w->place[to->place].down.free > free)
        free = w->place[to->place].down.free;
    return free > BUFFER_US ? free - BUFFER_US : 0;
}

/* turn: one message may go ahead of the others that wait. */
static void pace(struct world *w, uint32_t slot, unsigned side, bool turn)
{
    const struct wire_link *l = link_at(w, slot);
    struct end *e = &link_at(w, slot)->end[side];
    bool open = true;
    usec room = 0;
    while (e->wait.first != NONE) {
        if (!turn && (w->node[e->node].up.turn != NONE || turn_full(w, e->node))) {
            turn_join(w, slot, side);
            return;
        }
        open = window_open(w, l, e);
        room = crowded(w, l, side);
        if (!open || room > w->now)
            break;
        uint32_t i = parcels_pop(w, &e->wait);
        e->round += parcel_at(w, i)->wire;
        line_send(w, i);
        turn = false;
    }
    if (e->wait.first == NONE || e->pacing)
        return;
    usec at = open ? room : e->round_at + 2 * l->way;
    e->pacing = true;
    end_tick(w, at > room ? at : room, TICK_ROUND, slot, side, 0);
}

void pace_out(struct world *w, uint32_t slot, unsigned side)
{
    pace(w, slot, side, false);
}

void pace_turns(struct world *w, uint32_t node)
{
    while (w->node[node].up.turn != NONE && !turn_full(w, node)) {
        uint32_t id = turn_leave(w, node);
        pace(w, id / 2, id % 2, true);
        link_unref(w, id / 2);
    }
}

void pace_tick(struct world *w, uint32_t slot, unsigned side)
{
    link_at(w, slot)->end[side].pacing = false;
    pace(w, slot, side, false);
    link_unref(w, slot);
}
