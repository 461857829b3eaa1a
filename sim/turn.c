/* Turns at a node's own line.
 *
 * TCP keeps little in the queue of the line and the rest in the socket of each connection, so what
 * one link has to say does not wait behind all that others were given: they take turns.  Here a
 * link sends one message a turn.  The queue itself holds what passes in a tenth of a second, but at
 * least 64 segments, as that of a home router or of tc's token bucket does. */
#include "net_links.h"

#define QUEUE_US       (SEC / 10)
#define QUEUE_SEGMENTS 64u

static struct end *end_of(const struct world *w, uint32_t id)
{
    return &link_at(w, id / 2)->end[id % 2];
}

bool turn_full(const struct world *w, uint32_t node)
{
    const struct pipe *q = &w->node[node].up;
    usec most = QUEUE_SEGMENTS * (LINE_MSS + LINE_HEADER) * SEC / q->rate;
    if (most < QUEUE_US)
        most = QUEUE_US;
    return q->first != NONE && q->free > w->now + most;
}

void turn_join(struct world *w, uint32_t slot, unsigned side)
{
    uint32_t id = slot * 2 + side;
    struct end *e = end_of(w, id);
    struct pipe *q = &w->node[e->node].up;
    if (e->turning)
        return;
    e->turning = true;
    e->turn_next = NONE;
    link_at(w, slot)->refs++;
    if (q->turn == NONE)
        q->turn = id;
    else
        end_of(w, q->turn_last)->turn_next = id;
    q->turn_last = id;
}

uint32_t turn_leave(struct world *w, uint32_t node)
{
    struct pipe *q = &w->node[node].up;
    uint32_t id = q->turn;
    if (id != NONE) {
        q->turn = end_of(w, id)->turn_next;
        end_of(w, id)->turning = false;
    }
    return id;
}
