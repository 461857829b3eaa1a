/* Queues in which only the first has a tick.
 *
 * A queue knows when all that is in it will have passed, so entering it is one addition; the
 * remainder of each division is carried on, so that rates are exact.  Only the parcel on the line
 * has a tick pending, so the heap of ticks stays small however long the queues are.  Bad weather
 * slows the line from the next parcel on; what is behind it then goes by the clock and not by what
 * was foreseen.
 *
 * A place's line is shared and steady, so it has no queue of its own: parcels come to it in order
 * of time, and for each it is known at once when it will have passed.
 *
 * Order within a link holds because each stage keeps order, and where delays differ (loss) nothing
 * overtakes what left before. */
#include "line.h"

#include "address.h"
#include "weather.h"

#include <assert.h>

#define LOOK_US (SEC / 10) /* a line that stands still is looked at so often */
#define FULL    1000u      /* thousandths */

usec line_pass(struct pipe *p, usec now, uint32_t n)
{
    if (p->free < now) {
        p->free = now;
        p->carry = 0;
    }
    uint64_t work = (uint64_t)n * SEC + p->carry;
    p->free += work / p->rate;
    p->carry = work % p->rate;
    return p->free;
}

static uint32_t segments(uint32_t n)
{
    return (n + LINE_MSS - 1) / LINE_MSS;
}

uint32_t line_bytes(uint32_t before, uint32_t n)
{
    return n + (segments(before + n) - segments(before)) * LINE_HEADER;
}

/* Every second full segment; what a single one costs rides on the answer. */
uint32_t line_acks(const struct parcel *p)
{
    return p->wire / (LINE_MSS + LINE_HEADER) / 2 * LINE_HEADER;
}

/* ---- a node's queues ---- */

/* Puts the first of the queue on the line. */
static void begin(struct world *w, uint32_t node, struct pipe *q, enum tick_kind kind)
{
    const struct parcel *p = parcel_at(w, q->first);
    uint32_t rate = weather_rate(w, node);
    if (rate == 0) {
        q->late = true;
        world_schedule(w, w->now + LOOK_US, kind, node, q->epoch, 1);
        return;
    }
    usec at = p->at;
    q->late = q->late || rate < FULL;
    if (q->late) {
        usec least = w->now + (usec)p->wire * SEC / q->rate * FULL / rate;
        at = at > least ? at : least;
    }
    world_schedule(w, at, kind, node, q->epoch, 0);
}

static void enter(struct world *w, uint32_t node, struct pipe *q, uint32_t i, enum tick_kind kind)
{
    struct parcel *p = parcel_at(w, i);
    p->next = NONE;
    if (q->first == NONE)
        q->late = false;
    p->at = line_pass(q, w->now, p->wire);
    if (q->first != NONE) {
        parcel_at(w, q->last)->next = i;
        q->last = i;
        return;
    }
    q->first = i;
    q->last = i;
    begin(w, node, q, kind);
}

/* The tick for the first of a queue: it has passed, or the line is looked at again. */
static uint32_t pass_first(struct world *w, const struct tick *t, struct pipe *q)
{
    if (t->b != q->epoch)
        return NONE;
    assert(q->first != NONE);
    if (t->c != 0) {
        begin(w, t->a, q, (enum tick_kind)t->kind);
        return NONE;
    }
    uint32_t i = q->first;
    q->first = parcel_at(w, i)->next;
    if (q->first != NONE)
        begin(w, t->a, q, (enum tick_kind)t->kind);
    return i;
}

struct pipe *line_out(struct world *w, const struct wire_link *l, unsigned side)
{
    uint32_t place = w->node[l->end[side].node].place;
    return !l->near && place != NONE && w->place[place].up.rate > 0 ? &w->place[place].up : NULL;
}

void line_send(struct world *w, uint32_t parcel)
{
    const struct parcel *p = parcel_at(w, parcel);
    const struct wire_link *l = link_at(w, p->link);
    uint32_t node = l->end[p->side].node;
    struct pipe *out = line_out(w, l, p->side);
    if (out != NULL)
        out->ahead += p->wire;
    enter(w, node, &w->node[node].up, parcel, TICK_LEFT);
}

usec line_ahead(const struct world *w, uint32_t place)
{
    const struct pipe *p = &w->place[place].up;
    usec free = p->free > w->now ? p->free : w->now;
    return free + p->ahead * SEC / p->rate;
}

/* It is in its sender's queue no more. */
static void leave(struct world *w, uint32_t parcel)
{
    const struct parcel *p = parcel_at(w, parcel);
    struct pipe *out = line_out(w, link_at(w, p->link), p->side);
    if (out != NULL) {
        assert(out->ahead >= p->wire);
        out->ahead -= p->wire;
    }
}

uint32_t line_left(struct world *w, const struct tick *t)
{
    uint32_t i = pass_first(w, t, &w->node[t->a].up);
    if (i != NONE)
        leave(w, i);
    return i;
}

void line_arrive(struct world *w, uint32_t parcel)
{
    const struct parcel *p = parcel_at(w, parcel);
    uint32_t node = link_at(w, p->link)->end[!p->side].node;
    enter(w, node, &w->node[node].down, parcel, TICK_DELIVER);
}

uint32_t line_delivered(struct world *w, const struct tick *t)
{
    return pass_first(w, t, &w->node[t->a].down);
}

void line_clear(struct world *w, struct pipe *q, void (*drop)(struct world *, uint32_t))
{
    uint32_t i = q->first;
    *q = (struct pipe){.rate = q->rate,
                       .free = w->now,
                       .first = NONE,
                       .last = NONE,
                       .turn = q->turn,
                       .turn_last = q->turn_last,
                       .looks = q->looks,
                       .epoch = q->epoch + 1};
    while (i != NONE) {
        const struct parcel *p = parcel_at(w, i);
        uint32_t next = p->next;
        if (q == &w->node[link_at(w, p->link)->end[p->side].node].up)
            leave(w, i);
        drop(w, i);
        i = next;
    }
}

/* ---- between the nodes ---- */

void line_depart(struct world *w, uint32_t parcel, usec t)
{
    const struct parcel *p = parcel_at(w, parcel);
    struct wire_link *l = link_at(w, p->link);
    struct end *e = &l->end[p->side];
    uint32_t far = l->end[!p->side].node;
    struct pipe *out = line_out(w, l, p->side);
    struct place *in = NULL;
    if (!l->near && w->node[far].place != NONE)
        in = &w->place[w->node[far].place];
    if (out != NULL)
        t = line_pass(out, t, p->wire);
    t += l->way + weather_delay(w, e->node, far);
    if (t < e->arrival)
        t = e->arrival;
    e->arrival = t;
    if (in != NULL && p->has_body && p->body.kind == OBJ_IMAGE)
        in->image_in += p->body.len;
    world_schedule(w, t, in != NULL && in->down.rate > 0 ? TICK_PLACE : TICK_ARRIVE, parcel, 0, 0);
}

void line_place(struct world *w, uint32_t parcel)
{
    const struct parcel *p = parcel_at(w, parcel);
    uint32_t node = link_at(w, p->link)->end[!p->side].node;
    struct place *in = &w->place[w->node[node].place];
    world_schedule(w, line_pass(&in->down, w->now, p->wire), TICK_ARRIVE, parcel, 0, 0);
}
