/* Links: what a core asks for, and what reaches the other core.
 *
 * What a link sends takes its host's way: the kernel takes some of it at once, and credit returns
 * when it does; pace.c lets the rest go by and by; line.c brings it over.  An orderly close
 * sends a FIN behind what is queued.  A machine that loses power says nothing: the others notice
 * because nothing acknowledges them (probe.c), or are told by the machine when it is back.
 *
 * The name of a link is its generation, slot and side; a slot is used again only when no parcel and
 * no tick names it and both ends are closed. */
#include "net.h"

#include "address.h"
#include "channel.h"
#include "checks.h"
#include "fwswarm/link.h"
#include "fwswarm/wire.h"
#include "net_links.h"
#include "weather.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define PORT_EPHEMERAL  32768u
#define RECORD_OVERHEAD (LINK_HEAD_ROOM + LINK_TAIL_ROOM)
#define NAME_BITS       21u /* of slot and side, plus one */
/* What the kernel takes of a link beyond what it can send now, as the real host sets it. */
#define NOTSENT_LOWAT (128u * 1024u)
#define CORE_LINES    6u /* of a core, looked at for every event */

void net_init(struct net *net)
{
    pool_init(&net->links, sizeof(struct wire_link));
    pool_init(&net->parcels, sizeof(struct parcel));
    pool_init(&net->heads, HEAD_SOME);
    pool_init(&net->long_heads, HEAD_MAX);
}

/* ---- names and life of links ---- */

static uint32_t link_name(const struct wire_link *l, uint32_t slot, unsigned side)
{
    return l->generation << NAME_BITS | (slot * 2 + side + 1);
}

/* The end that a node's core calls by this name; NULL when it has none such. */
static struct end *find_end(const struct world *w, uint32_t node, uint32_t name, uint32_t *slot,
                            unsigned *side)
{
    uint32_t low = name & ((1u << NAME_BITS) - 1);
    if (low == 0 || (low - 1) / 2 >= w->net.links.count)
        return NULL;
    *slot = (low - 1) / 2;
    *side = (low - 1) % 2;
    struct wire_link *l = link_at(w, *slot);
    struct end *e = &l->end[*side];
    if (link_name(l, *slot, *side) != name || e->node != node)
        return NULL;
    return e->state == END_UP || e->state == END_CLOSING ? e : NULL;
}

static struct end *end_at(const struct world *w, uint32_t id)
{
    return &link_at(w, id / 2)->end[id % 2];
}

uint32_t net_slot(struct world *w)
{
    uint32_t slot = pool_take(&w->net.links);
    assert(slot < 1u << (NAME_BITS - 1));
    struct wire_link *l = link_at(w, slot);
    *l = (struct wire_link){.generation = l->generation};
    return slot;
}

void end_begin(struct world *w, uint32_t slot, unsigned side, uint32_t node, enum end_state state)
{
    struct end *e = &link_at(w, slot)->end[side];
    uint32_t id = slot * 2 + side;
    struct sim_node *n = &w->node[node];
    *e = (struct end){.node = node,
                      .state = state,
                      .prev = NONE,
                      .next = n->ends,
                      .window = PACE_FIRST,
                      .round_at = w->now,
                      .wait = {NONE, NONE},
                      .held = {NONE, NONE},
                      .silent_at = USEC_NEVER};
    if (n->ends != NONE)
        end_at(w, n->ends)->prev = id;
    n->ends = id;
}

bool end_is_over(const struct end *e)
{
    return e->state == END_NONE || e->state == END_CLOSED;
}

/* To its core the link is gone. */
static void known_no_more(struct world *w, const struct end *e)
{
    if (e->state == END_UP || e->state == END_CLOSING)
        w->node[e->node].links--;
}

void end_close(struct world *w, uint32_t slot, unsigned side)
{
    struct end *e = &link_at(w, slot)->end[side];
    if (end_is_over(e))
        return;
    if (e->prev != NONE)
        end_at(w, e->prev)->next = e->next;
    else
        w->node[e->node].ends = e->next;
    if (e->next != NONE)
        end_at(w, e->next)->prev = e->prev;
    known_no_more(w, e);
    e->state = END_CLOSED;
    link_at(w, slot)->refs++;
    for (uint32_t i = parcels_pop(w, &e->wait); i != NONE; i = parcels_pop(w, &e->wait))
        parcel_free(w, i);
    for (uint32_t i = parcels_pop(w, &e->held); i != NONE; i = parcels_pop(w, &e->held))
        parcel_free(w, i);
    link_unref(w, slot);
}

void link_unref(struct world *w, uint32_t slot)
{
    struct wire_link *l = link_at(w, slot);
    assert(l->refs > 0);
    if (--l->refs > 0 || !end_is_over(&l->end[0]) || !end_is_over(&l->end[1]))
        return;
    check_link(w, l);
    if (channel_on(w))
        channel_free(w, slot);
    uint32_t generation = (l->generation + 1) & ((1u << (32 - NAME_BITS)) - 1);
    *l = (struct wire_link){.generation = generation};
    pool_give(&w->net.links, slot);
}

void end_tick(struct world *w, usec at, enum tick_kind kind, uint32_t slot, unsigned side,
              uint32_t c)
{
    link_at(w, slot)->refs++;
    world_schedule(w, at, kind, slot, side, c);
}

void end_down(struct world *w, uint32_t slot, unsigned side, usec at, enum err err)
{
    end_tick(w, at, TICK_DOWN, slot, side, (uint32_t)err);
}

void end_up(struct world *w, uint32_t slot, unsigned side)
{
    struct wire_link *l = link_at(w, slot);
    struct end *e = &l->end[side];
    const struct sim_node *far = &w->node[l->end[!side].node];
    e->state = END_UP;
    w->node[e->node].links++;
    struct event ev = {.type = EV_UP, .link = link_name(l, slot, side), .op = e->op};
    ev.up.who = far->member;
    ev.up.addr = far->addr;
    if (side == 1) {
        ev.up.addr = address_seen(w, l->end[0].node, e->node);
        ev.up.addr.port = (uint16_t)(PORT_EPHEMERAL + slot % PORT_EPHEMERAL);
    }
    world_give(w, e->node, &ev);
    world_drain(w, e->node);
}

/* ---- parcels ---- */

/* Where a head lies that has no room in its parcel. */
static struct pool *heads_for(struct world *w, uint32_t len)
{
    return len <= HEAD_SOME ? &w->net.heads : &w->net.long_heads;
}

const uint8_t *parcel_head(struct world *w, const struct parcel *p)
{
    return p->long_head != NONE ? pool_at(heads_for(w, p->head_len), p->long_head) : p->head;
}

static void head_put(struct world *w, struct parcel *p, const uint8_t *head, uint32_t len)
{
    uint8_t *to = p->head;
    p->head_len = (uint16_t)len;
    if (len > HEAD_INLINE) {
        struct pool *heads = heads_for(w, len);
        p->long_head = pool_take(heads);
        to = pool_at(heads, p->long_head);
    }
    memcpy(to, head, len);
}

void parcels_push(struct world *w, struct parcels *list, uint32_t i)
{
    parcel_at(w, i)->next = NONE;
    if (list->first == NONE)
        list->first = i;
    else
        parcel_at(w, list->last)->next = i;
    list->last = i;
}

uint32_t parcels_pop(struct world *w, struct parcels *list)
{
    uint32_t i = list->first;
    if (i != NONE)
        list->first = parcel_at(w, i)->next;
    return i;
}

uint32_t parcel_new(struct world *w, uint32_t slot, unsigned side, enum parcel_kind kind,
                    uint32_t payload)
{
    uint32_t i = pool_take(&w->net.parcels);
    struct parcel *p = parcel_at(w, i);
    p->link = slot;
    p->side = (uint8_t)side;
    p->kind = (uint8_t)kind;
    p->err = E_OK;
    p->wire = payload > 0 ? line_bytes(0, payload) : LINE_HEADER;
    p->credit = 0;
    p->head_len = 0;
    p->long_head = NONE;
    p->has_body = false;
    p->roots = false;
    p->body.blob = NULL;
    link_at(w, slot)->refs++;
    return i;
}

void parcel_free(struct world *w, uint32_t i)
{
    struct parcel *p = parcel_at(w, i);
    if (p->long_head != NONE)
        pool_give(heads_for(w, p->head_len), p->long_head);
    blob_drop(p->body.blob);
    p->body.blob = NULL;
    if (channel_on(w))
        channel_drop(w, i);
    uint32_t slot = p->link;
    pool_give(&w->net.parcels, i);
    link_unref(w, slot);
}

void parcel_lost(struct world *w, uint32_t i)
{
    uint32_t wire = parcel_at(w, i)->wire;
    w->net.wire_flying -= wire;
    w->net.wire_lost += wire;
    link_at(w, parcel_at(w, i)->link)->flying -= wire;
    parcel_free(w, i);
}

void parcel_depart(struct world *w, uint32_t i)
{
    const struct parcel *p = parcel_at(w, i);
    struct sim_node *n = &w->node[link_at(w, p->link)->end[p->side].node];
    uint32_t acks = line_acks(p);
    w->net.wire_sent += p->wire;
    w->net.wire_flying += p->wire;
    link_at(w, p->link)->flying += p->wire;
    if (acks > 0) {
        w->net.acks += acks;
        (void)line_pass(&n->down, w->now, acks);
    }
    if (p->has_body && p->body.kind == OBJ_IMAGE) {
        if (n->member.role == ROLE_VERIFY)
            w->net.payload_origin += p->body.len;
        else
            w->net.payload_peer += p->body.len;
        if (n->member.role != ROLE_VERIFY && link_at(w, p->link)->near)
            w->net.payload_near += p->body.len;
    }
    line_depart(w, i, w->now);
}

/* ---- sending ---- */

/* Messages of one drain share records and segments, as they share writes in the other host; what
 * the kernel still has shares segments with what comes behind it. */
static uint32_t wire_size(struct world *w, struct end *e, uint32_t n)
{
    uint32_t size = n + WIRE_LENGTH_BYTES;
    bool same = e->drain == w->drains;
    if (!same && e->unsent == 0)
        e->stream = 0;
    if (same && e->record + size <= LINK_RECORD_MAX) {
        e->record += size;
    } else {
        e->record = size;
        size += RECORD_OVERHEAD;
    }
    e->drain = w->drains;
    uint32_t wire = line_bytes(e->stream % LINE_MSS, size);
    e->stream += size;
    return wire;
}

static void mark_dirty(struct world *w, struct end *e, uint32_t slot, unsigned side)
{
    if (e->dirty)
        return;
    e->dirty = true;
    sim_grow(&w->net.dirty, &w->net.dirty_cap, w->net.dirties + 1, sizeof(*w->net.dirty));
    w->net.dirty[w->net.dirties++] = slot * 2 + side;
    link_at(w, slot)->refs++;
}

bool net_send(struct world *w, uint32_t node, uint32_t link, const uint8_t *head, uint32_t head_len,
              const struct body *body, uint32_t credit)
{
    uint32_t slot;
    unsigned side;
    struct end *e = find_end(w, node, link, &slot, &side);
    if (e == NULL)
        return false;
    if (e->state == END_CLOSING) {
        if (body != NULL)
            blob_drop(body->blob);
        return true;
    }
    uint32_t len = head_len + (body != NULL ? body->len : 0);
    uint32_t i = parcel_new(w, slot, side, PARCEL_DATA, 0);
    struct parcel *p = parcel_at(w, i);
    p->wire = wire_size(w, e, len);
    p->credit = credit;
    head_put(w, p, head, head_len);
    if (body != NULL) {
        p->has_body = true;
        p->body = *body;
    }
    if (channel_on(w))
        channel_write(w, i, head, e->record == len + WIRE_LENGTH_BYTES);
    e->queued += credit;
    e->unsent += credit;
    mark_dirty(w, e, slot, side);
    parcels_push(w, &e->wait, i);
    pace_out(w, slot, side);
    return true;
}

void net_unsent(struct world *w, uint32_t node, uint32_t link, uint32_t credit)
{
    uint32_t slot;
    unsigned side;
    struct end *e = find_end(w, node, link, &slot, &side);
    if (e == NULL || e->state == END_CLOSING)
        return;
    e->queued += credit;
    mark_dirty(w, e, slot, side);
}

/* Credit for what the kernel has taken: all but what is too much for it. */
static void give_credit(struct world *w, uint32_t slot, unsigned side)
{
    struct wire_link *l = link_at(w, slot);
    struct end *e = &l->end[side];
    uint32_t keep = e->unsent > NOTSENT_LOWAT ? e->unsent - NOTSENT_LOWAT : 0;
    if (e->state != END_UP || e->queued <= keep)
        return;
    struct event ev = {.type = EV_SENT, .link = link_name(l, slot, side)};
    ev.sent.bytes = e->queued - keep;
    e->queued = keep;
    world_give(w, e->node, &ev);
}

bool net_flush(struct world *w, uint32_t node)
{
    uint64_t before = w->steps;
    for (size_t i = 0; i < w->net.dirties; i++) {
        uint32_t slot = w->net.dirty[i] / 2, side = w->net.dirty[i] % 2;
        struct end *e = &link_at(w, slot)->end[side];
        e->dirty = false;
        if (channel_on(w))
            channel_seal(w, slot, side);
        if (e->node == node)
            give_credit(w, slot, side);
        link_unref(w, slot);
    }
    w->net.dirties = 0;
    return w->steps > before;
}

/* ---- closing ---- */

void fin_send(struct world *w, uint32_t slot, unsigned side)
{
    struct end *e = &link_at(w, slot)->end[side];
    uint32_t fin = parcel_new(w, slot, side, PARCEL_FIN, 0);
    parcel_at(w, fin)->err = E_CLOSED;
    e->told = true;
    if (e->wait.first != NONE)
        parcels_push(w, &e->wait, fin);
    else
        line_send(w, fin);
}

void reset_send(struct world *w, uint32_t slot, unsigned side)
{
    uint32_t i = parcel_new(w, slot, side, PARCEL_FIN, 0);
    struct wire_link *l = link_at(w, slot);
    parcel_at(w, i)->err = E_CLOSED;
    l->end[side].told = true;
    w->net.wire_sent += parcel_at(w, i)->wire;
    w->net.wire_flying += parcel_at(w, i)->wire;
    l->flying += parcel_at(w, i)->wire;
    world_schedule(w, w->now + l->way, TICK_ARRIVE, i, 0, 0);
}

bool net_close(struct world *w, uint32_t node, uint32_t link, enum err err)
{
    uint32_t slot;
    unsigned side;
    struct end *e = find_end(w, node, link, &slot, &side);
    if (e == NULL)
        return false;
    if (e->state == END_CLOSING)
        return true;
    e->state = END_CLOSING;
    end_down(w, slot, side, w->now, err);
    fin_send(w, slot, side);
    return true;
}

void net_break(struct world *w, uint32_t node)
{
    struct sim_node *n = &w->node[node];
    const struct gate up = {GATE_UP, node};
    for (uint32_t id = turn_leave(w, up); id != NONE; id = turn_leave(w, up))
        link_unref(w, id / 2);
    line_clear(w, &n->up, parcel_free);
    line_clear(w, &n->down, parcel_lost);
    n->accepts = w->now;
    while (n->ends != NONE) {
        uint32_t slot = n->ends / 2;
        unsigned side = n->ends % 2;
        struct wire_link *l = link_at(w, slot);
        l->refs++;
        l->end[side].told = false;
        end_close(w, slot, side);
        probe_orphan(w, slot, !side);
        link_unref(w, slot);
    }
}

bool net_cut(struct world *w, uint32_t node, uint32_t which)
{
    const struct sim_node *n = &w->node[node];
    if (n->links == 0)
        return false;
    which %= n->links;
    for (uint32_t id = n->ends; id != NONE; id = end_at(w, id)->next) {
        enum end_state state = end_at(w, id)->state;
        if ((state != END_UP && state != END_CLOSING) || which-- > 0)
            continue;
        struct wire_link *l = link_at(w, id / 2);
        for (unsigned side = 0; side < 2; side++) {
            l->end[side].told = true;
            if (!end_is_over(&l->end[side]))
                end_down(w, id / 2, side, w->now, E_CLOSED);
        }
        return true;
    }
    return false;
}

uint64_t net_queued(const struct world *w, uint32_t node, uint32_t link)
{
    uint32_t slot;
    unsigned side;
    const struct end *e = find_end(w, node, link, &slot, &side);
    return e != NULL ? e->queued : UINT64_MAX;
}

uint32_t net_end_place(uint32_t link)
{
    return (link & ((1u << NAME_BITS) - 1)) - 1;
}

uint32_t net_end_next(const struct world *w, uint32_t end)
{
    return end_at(w, end)->next;
}

uint32_t net_far(const struct world *w, uint32_t node, uint32_t link)
{
    uint32_t slot;
    unsigned side;
    const struct end *e = find_end(w, node, link, &slot, &side);
    return e != NULL ? link_at(w, slot)->end[!side].node : NONE;
}

/* ---- what happens on the way ---- */

/* It has left the uplink, and the way ahead is closed or nothing was acknowledged of late. */
static void hold(struct world *w, uint32_t i)
{
    struct parcel *p = parcel_at(w, i);
    uint32_t slot = p->link;
    unsigned side = p->side;
    struct wire_link *l = link_at(w, slot);
    struct end *e = &l->end[side];
    if (end_is_over(e)) {
        e->told = e->told && p->kind != PARCEL_FIN;
        if (!e->told)
            probe_orphan(w, slot, !side);
        parcel_free(w, i);
        return;
    }
    bool known = e->silent_at != USEC_NEVER;
    probe_start(w, slot, side);
    if (p->kind == PARCEL_SYN)
        parcel_free(w, i);
    else if (!known && weather_open(w, e->node, l->end[!side].node))
        parcel_depart(w, i); /* it arrives, but its acknowledgement does not */
    else
        parcels_push(w, &e->held, i);
}

static void left(struct world *w, uint32_t i)
{
    const struct parcel *p = parcel_at(w, i);
    uint32_t slot = p->link;
    unsigned side = p->side;
    struct wire_link *l = link_at(w, slot);
    struct end *e = &l->end[side];
    assert(e->unsent >= p->credit);
    e->unsent -= p->credit;
    l->refs++;
    if (e->silent_at != USEC_NEVER || !probe_way_open(w, l))
        hold(w, i);
    else
        parcel_depart(w, i);
    if (e->queued > 0 && !e->dirty && e->state == END_UP) {
        give_credit(w, slot, side);
        world_drain(w, e->node);
    }
    link_unref(w, slot);
}

static void arrive(struct world *w, uint32_t i)
{
    const struct parcel *p = parcel_at(w, i);
    const struct end *to = &link_at(w, p->link)->end[!p->side];
    if (w->node[to->node].core != NULL) {
        line_arrive(w, i);
        return;
    }
    if (p->kind != PARCEL_FIN)
        probe_start(w, p->link, p->side);
    parcel_lost(w, i);
}

static void deliver_data(struct world *w, uint32_t i)
{
    struct parcel *p = parcel_at(w, i);
    struct wire_link *l = link_at(w, p->link);
    uint32_t node = l->end[!p->side].node;
    struct sim_node *n = &w->node[node];
    uint32_t acks = line_acks(p);
    if (acks > 0) {
        (void)line_pass(&n->up, w->now, acks);
        struct pipe *out = line_out(w, l, !p->side);
        if (out != NULL)
            (void)line_pass(out, w->now, acks);
    }
    if (channel_on(w))
        channel_read(w, i);
    struct event ev = {.type = EV_MSG, .link = link_name(l, p->link, !p->side)};
    ev.msg.head = bytes_of(parcel_head(w, p), p->head_len);
    if (p->has_body) {
        ev.msg.body = &p->body;
        ev.msg.body_len = p->body.len;
        if (p->body.blob != NULL)
            ev.msg.data = bytes_of(p->body.blob->data + p->body.off, p->body.len);
        n->lent = &p->body;
    }
    world_give(w, node, &ev);
    world_drain(w, node);
    n->lent = NULL;
}

/* Is an end in the state that its predecessors left it in for a parcel of this kind? */
static bool expects(const struct end *to, enum parcel_kind kind)
{
    switch (kind) {
    case PARCEL_SYN:
        return to->state == END_NONE || to->state == END_SHAKING;
    case PARCEL_SYNACK:
    case PARCEL_REPLY:
        return to->state == END_DIALLING;
    case PARCEL_HELLO:
    case PARCEL_PROOF:
        return to->state == END_SHAKING;
    case PARCEL_DATA:
        return to->state == END_UP;
    case PARCEL_FIN:
        return !end_is_over(to);
    }
    return false;
}

static void deliver(struct world *w, uint32_t i)
{
    const struct parcel *p = parcel_at(w, i);
    uint32_t slot = p->link;
    unsigned side = !p->side;
    const struct end *to = &link_at(w, slot)->end[side];
    if (!expects(to, (enum parcel_kind)p->kind)) {
        /* A machine that knows of no such connection says so. */
        if (end_is_over(to) && !to->told && p->kind != PARCEL_FIN)
            reset_send(w, slot, side);
        parcel_lost(w, i);
        return;
    }
    w->net.wire_flying -= p->wire;
    w->net.wire_received += p->wire;
    link_at(w, slot)->flying -= p->wire;
    if (p->kind == PARCEL_DATA)
        deliver_data(w, i);
    else if (p->kind == PARCEL_FIN)
        end_down(w, slot, side, w->now, (enum err)p->err);
    else
        shake_message(w, i);
    parcel_free(w, i);
}

static void down(struct world *w, uint32_t slot, unsigned side, enum err err)
{
    struct wire_link *l = link_at(w, slot);
    struct end *e = &l->end[side];
    enum end_state was = e->state;
    if (was == END_CLOSING && e->wait.first != NONE) {
        known_no_more(w, e);
        e->state = END_LEAVING;
    } else {
        end_close(w, slot, side);
    }
    if (was == END_UP || was == END_CLOSING || was == END_DIALLING) {
        struct event ev = {.type = EV_DOWN, .err = err};
        if (was == END_DIALLING)
            ev.op = e->op;
        else
            ev.link = link_name(l, slot, side);
        world_give(w, e->node, &ev);
        world_drain(w, e->node);
    }
    link_unref(w, slot);
}

void net_tick(struct world *w, const struct tick *t)
{
    uint32_t i;
    switch ((enum tick_kind)t->kind) {
    case TICK_LEFT:
        i = line_left(w, t);
        if (i != NONE)
            left(w, i);
        turn_next(w, (struct gate){GATE_UP, t->a});
        return;
    case TICK_PLACE:
        line_place(w, t->a);
        return;
    case TICK_ARRIVE:
        arrive(w, t->a);
        return;
    case TICK_DELIVER:
        i = line_delivered(w, t);
        if (i != NONE)
            deliver(w, i);
        return;
    case TICK_ROOM:
        turn_tick(w, t);
        return;
    case TICK_ROUND:
        pace_tick(w, t->a, t->b);
        return;
    case TICK_PROBE:
        probe_tick(w, t->a, t->b);
        return;
    case TICK_IDLE:
        probe_idle(w, t->a, t->b);
        return;
    case TICK_SHAKE:
        shake_late(w, t->a, t->b);
        return;
    case TICK_ACCEPT:
        shake_accept(w, t->a);
        return;
    case TICK_DOWN:
        down(w, t->a, t->b, (enum err)t->c);
        return;
    case TICK_BOOT:
    case TICK_PUBLISH:
    case TICK_ADOPT:
    case TICK_CAST:
    case TICK_DISK:
    case TICK_CHECKED:
    case TICK_REHASHED:
    case TICK_INSTALLED:
    case TICK_FAULT:
    case TICK_WITHDRAW:
    case TICK_ROTATE:
    case TICK_GONE:
    case TICK_ADVERSARY:
        assert(false);
    }
}

/* Memory is slow beside all this: at ten thousand nodes nearly every tick looks at what no cache
 * holds.  Three ticks ahead the node is fetched, two ahead what waits in its queue, one ahead what
 * that names and what every event looks at in a core. */
void net_prefetch(const struct world *w, const struct tick *t, unsigned ahead)
{
    const struct parcel *p = NULL;
    if (t->kind == TICK_ARRIVE || t->kind == TICK_PLACE) {
        p = parcel_at(w, t->a);
    } else if (t->kind == TICK_LEFT || t->kind == TICK_DELIVER) {
        const struct sim_node *n = &w->node[t->a];
        const struct pipe *q = t->kind == TICK_LEFT ? &n->up : &n->down;
        if (ahead == 3) {
            __builtin_prefetch(q);
            __builtin_prefetch(&n->core);
            return;
        }
        p = q->first != NONE ? parcel_at(w, q->first) : NULL;
        bool core = ahead == 1 && t->kind == TICK_DELIVER && n->core != NULL;
        for (unsigned i = 0; i < CORE_LINES && core; i++)
            __builtin_prefetch((const uint8_t *)n->core + i * 64);
    }
    if (p == NULL)
        return;
    if (ahead > 1) {
        __builtin_prefetch(p);
        __builtin_prefetch((const uint8_t *)p + 64);
    } else {
        const struct wire_link *l = link_at(w, p->link);
        __builtin_prefetch(l);
        __builtin_prefetch(&l->end[!p->side].queued);
        __builtin_prefetch(&l->way);
    }
}

void net_fini(struct world *w)
{
    if (channel_on(w))
        channel_fini(w);
    for (uint32_t i = 0; i < w->net.parcels.count; i++)
        blob_drop(parcel_at(w, i)->body.blob);
    pool_fini(&w->net.links);
    pool_fini(&w->net.parcels);
    pool_fini(&w->net.heads);
    pool_fini(&w->net.long_heads);
    pool_fini(&w->net.casts);
    free(w->net.dirty);
}
