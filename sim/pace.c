/* When what a link has to say may go: TCP's reasons to wait.
 *
 * Slow start: ten segments at first, twice as many each round trip in which they were used, half as
 * many for each time-out's length of silence.  And the others: links take turns at the lines that
 * they share (turn.c). */
#include "line.h"
#include "net_links.h"

/* Without it everything leaves at once. */
static const bool slow_start = true;
#define WINDOW_MOST (8u * 1024u * 1024u) /* no limit any more */
#define SILENCE     (SEC / 5)            /* least time-out */

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

/* The lines that something passes on its way, in order. */
static uint32_t gates_of(struct world *w, const struct wire_link *l, unsigned side,
                         struct gate g[4])
{
    uint32_t from = l->end[side].node, to = l->end[!side].node, count = 0;
    uint32_t in = w->node[to].place;
    g[count++] = (struct gate){GATE_UP, from};
    if (line_out(w, l, side) != NULL)
        g[count++] = (struct gate){GATE_OUT, w->node[from].place};
    if (!l->near && in != NONE && w->place[in].down.rate > 0)
        g[count++] = (struct gate){GATE_IN, in};
    g[count++] = (struct gate){GATE_DOWN, to};
    return count;
}

/* `given`: it is this end's turn there, for one message; or NULL. */
static void pace(struct world *w, uint32_t slot, unsigned side, const struct gate *given)
{
    const struct wire_link *l = link_at(w, slot);
    struct end *e = &link_at(w, slot)->end[side];
    if (e->turning)
        return;
    struct gate gate[4];
    uint32_t gates = gates_of(w, l, side, gate);
    bool open = true;
    while (e->wait.first != NONE) {
        open = window_open(w, l, e);
        if (!open)
            break;
        for (uint32_t i = 0; i < gates; i++) {
            bool mine = given != NULL && given->kind == gate[i].kind;
            if (turn_waits(w, gate[i], mine)) {
                turn_join(w, gate[i], slot, side);
                return;
            }
        }
        uint32_t i = parcels_pop(w, &e->wait);
        e->round += parcel_at(w, i)->wire;
        line_send(w, i);
        given = NULL;
    }
    if (e->wait.first == NONE && e->state == END_LEAVING)
        end_close(w, slot, side);
    if (open || e->pacing)
        return;
    e->pacing = true;
    end_tick(w, e->round_at + 2 * l->way, TICK_ROUND, slot, side, 0);
}

void pace_out(struct world *w, uint32_t slot, unsigned side)
{
    pace(w, slot, side, NULL);
}

void pace_turn(struct world *w, uint32_t slot, unsigned side, struct gate given)
{
    pace(w, slot, side, &given);
}

void pace_tick(struct world *w, uint32_t slot, unsigned side)
{
    link_at(w, slot)->end[side].pacing = false;
    pace(w, slot, side, NULL);
    link_unref(w, slot);
}
