/* Links as parcels through two queues.
 *
 * A parcel has exactly one tick pending: LEFT (through the uplink), then ARRIVE (after the pair's
 * latency), then DELIVER (through the downlink).  A queue is a time until which it is busy, so
 * passing it is one addition; the remainder of each division is carried on, so that rates are
 * exact. Order within a link holds because all three stages keep order.
 *
 * A node's host admits no more links than its limits say.  A handshake is three parcels of the real
 * channel's sizes; the dialler is up when the reply is in, the listener when the third is: one and
 * a half round trips.  An orderly close sends a FIN behind what is queued.  A crash loses what had
 * not left, and the far side hears of it one latency later.
 *
 * The name of a link is its generation, slot and side; a slot is used again only when no parcel and
 * no tick names it and both ends are closed. */
#include "net.h"

#include "checks.h"
#include "fwswarm/link.h"
#include "fwswarm/wire.h"

#include <assert.h>
#include <string.h>

#define PORT            7400u
#define PORT_EPHEMERAL  32768u
#define RECORD_OVERHEAD (LINK_HEAD_ROOM + LINK_TAIL_ROOM)
#define NAME_BITS       21u /* of slot and side, plus one */

/* The three messages of a handshake between nodes that trust the same root and list: u16 length,
 * the pattern's keys and tags, then three versions; in the later two also three strings of which
 * only the certificate is not empty, an identity and a signature. */
#define SHAKE_VERSIONS      12u
#define SHAKE_PAYLOAD(cert) (SHAKE_VERSIONS + 3u * 2u + 32u + 64u + (uint32_t)(cert))
#define SHAKE_HELLO         (2u + 32u + SHAKE_VERSIONS + AEAD_TAG)
#define SHAKE_REPLY(cert)   (2u + 32u + 32u + AEAD_TAG + SHAKE_PAYLOAD(cert) + AEAD_TAG)
#define SHAKE_PROOF(cert)   (2u + 32u + AEAD_TAG + SHAKE_PAYLOAD(cert) + AEAD_TAG)
/* TCP's own words. */
#define FIN_BYTES 40u

void net_init(struct net *net)
{
    pool_init(&net->links, sizeof(struct wire_link));
    pool_init(&net->parcels, sizeof(struct parcel));
    pool_init(&net->heads, HEAD_MAX);
}

uint32_t net_handshake_bytes(uint32_t message, size_t cert_len)
{
    if (message == 0)
        return SHAKE_HELLO;
    return message == 1 ? SHAKE_REPLY(cert_len) : SHAKE_PROOF(cert_len);
}

/* ---- addresses ---- */

/* 10.x.y.1, one /24 each, so that rules about crowded networks see separate ones. */
struct addr net_addr(uint32_t node)
{
    struct addr a = {.family = 4, .port = PORT};
    a.ip[0] = 10;
    a.ip[1] = (uint8_t)(node >> 8);
    a.ip[2] = (uint8_t)node;
    a.ip[3] = 1;
    return a;
}

uint32_t net_node_at(const struct world *w, const struct addr *addr)
{
    uint32_t node = (uint32_t)addr->ip[1] << 8 | addr->ip[2];
    if (node >= w->count)
        return NONE;
    struct addr a = net_addr(node);
    return addr_equal(&a, addr) ? node : NONE;
}

static uint64_t mix(uint64_t h)
{
    h ^= h >> 31;
    h *= 0x9e3779b97f4a7c15u;
    h ^= h >> 29;
    h *= 0xbf58476d1ce4e5b9u;
    return h ^ h >> 32;
}

/* Half of what lies between two nodes of one place, or of the mean of their groups' round trips;
 * give or take a tenth by pair, so that equal distances do not march in step. */
usec net_latency(const struct world *w, uint32_t a, uint32_t b)
{
    uint64_t lo = a < b ? a : b, hi = a < b ? b : a;
    uint64_t h = mix(w->scn.seed ^ mix(lo << 32 | hi));
    const struct sim_node *x = &w->node[a], *y = &w->node[b];
    usec way = (w->scn.group[x->group].rtt + w->scn.group[y->group].rtt) / 4;
    if (x->place != NONE && x->place == y->place)
        way = w->scn.site[w->place[x->place].site].rtt / 2;
    return way * (900 + h % 201) / 1000;
}

/* ---- queues ---- */

/* When the last of n more bytes will have passed. */
static usec pipe_pass(struct pipe *p, usec now, uint32_t n)
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

/* ---- names and life of links ---- */

static struct wire_link *link_at(const struct world *w, uint32_t slot)
{
    return pool_at(&w->net.links, slot);
}

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

static void end_begin(struct world *w, uint32_t slot, unsigned side, uint32_t node,
                      enum end_state state)
{
    struct end *e = &link_at(w, slot)->end[side];
    uint32_t id = slot * 2 + side;
    struct sim_node *n = &w->node[node];
    *e = (struct end){.node = node, .state = state, .prev = NONE, .next = n->ends};
    if (n->ends != NONE)
        end_at(w, n->ends)->prev = id;
    n->ends = id;
}

static void end_close(struct world *w, uint32_t slot, unsigned side)
{
    struct end *e = &link_at(w, slot)->end[side];
    if (e->state == END_NONE || e->state == END_CLOSED)
        return;
    if (e->prev != NONE)
        end_at(w, e->prev)->next = e->next;
    else
        w->node[e->node].ends = e->next;
    if (e->next != NONE)
        end_at(w, e->next)->prev = e->prev;
    if (e->state == END_UP || e->state == END_CLOSING)
        w->node[e->node].links--;
    e->state = END_CLOSED;
}

static bool end_is_over(const struct end *e)
{
    return e->state == END_NONE || e->state == END_CLOSED;
}

static void link_unref(struct world *w, uint32_t slot)
{
    struct wire_link *l = link_at(w, slot);
    assert(l->refs > 0);
    if (--l->refs > 0 || !end_is_over(&l->end[0]) || !end_is_over(&l->end[1]))
        return;
    uint32_t generation = (l->generation + 1) & ((1u << (32 - NAME_BITS)) - 1);
    *l = (struct wire_link){.generation = generation};
    pool_give(&w->net.links, slot);
}

/* ---- parcels ---- */

static struct parcel *parcel_at(const struct world *w, uint32_t i)
{
    return pool_at(&w->net.parcels, i);
}

static uint32_t parcel_new(struct world *w, uint32_t slot, unsigned side, enum parcel_kind kind,
                           uint32_t wire)
{
    uint32_t i = pool_take(&w->net.parcels);
    struct parcel *p = parcel_at(w, i);
    p->link = slot;
    p->side = (uint8_t)side;
    p->kind = kind;
    p->err = E_OK;
    p->wire = wire;
    p->credit = 0;
    p->head_len = 0;
    p->long_head = NONE;
    p->has_body = false;
    p->body = (struct body){0};
    link_at(w, slot)->refs++;
    return i;
}

static void parcel_free(struct world *w, uint32_t i)
{
    struct parcel *p = parcel_at(w, i);
    if (p->long_head != NONE)
        pool_give(&w->net.heads, p->long_head);
    blob_drop(p->body.blob);
    uint32_t slot = p->link;
    pool_give(&w->net.parcels, i);
    link_unref(w, slot);
}

static void parcel_lost(struct world *w, uint32_t i)
{
    w->net.wire_lost += parcel_at(w, i)->wire;
    parcel_free(w, i);
}

static void parcel_send(struct world *w, uint32_t i)
{
    const struct parcel *p = parcel_at(w, i);
    const struct end *e = &link_at(w, p->link)->end[p->side];
    world_schedule(w, pipe_pass(&w->node[e->node].up, w->now, p->wire), TICK_LEFT, i, 0, 0);
}

static void down_later(struct world *w, uint32_t slot, unsigned side, usec at, enum err err)
{
    link_at(w, slot)->refs++;
    world_schedule(w, at, TICK_DOWN, slot, side, (uint32_t)err);
}

/* ---- what a core asks for ---- */

void net_dial(struct world *w, uint32_t node, uint32_t op, const struct addr *addr)
{
    uint32_t far = net_node_at(w, addr);
    uint32_t slot = pool_take(&w->net.links);
    assert(slot < 1u << (NAME_BITS - 1));
    struct wire_link *l = link_at(w, slot);
    uint32_t generation = l->generation;
    *l = (struct wire_link){.generation = generation};
    end_begin(w, slot, 0, node, END_DIALLING);
    l->end[0].op = op;
    l->end[1].node = far;
    if (far == NONE) {
        down_later(w, slot, 0, w->now + w->scn.group[w->node[node].group].rtt, E_REFUSED);
        return;
    }
    if (far == node) {
        down_later(w, slot, 0, w->now, E_SELF);
        return;
    }
    parcel_send(w, parcel_new(w, slot, 0, PARCEL_HELLO, SHAKE_HELLO));
}

/* Messages of one drain share records, as they share writes in the other host. */
static uint32_t wire_size(struct world *w, struct end *e, uint32_t n)
{
    uint32_t size = n + WIRE_LENGTH_BYTES;
    if (e->drain == w->drains && e->record + size <= LINK_RECORD_MAX) {
        e->record += size;
        return size;
    }
    e->drain = w->drains;
    e->record = size;
    return size + RECORD_OVERHEAD;
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
    uint32_t i = parcel_new(w, slot, side, PARCEL_DATA, wire_size(w, e, len));
    struct parcel *p = parcel_at(w, i);
    p->credit = credit;
    p->head_len = head_len;
    if (head_len > HEAD_INLINE)
        p->long_head = pool_take(&w->net.heads);
    memcpy(p->long_head != NONE ? pool_at(&w->net.heads, p->long_head) : p->head, head, head_len);
    if (body != NULL) {
        p->has_body = true;
        p->body = *body;
    }
    e->queued += credit;
    parcel_send(w, i);
    return true;
}

void net_unsent(struct world *w, uint32_t node, uint32_t link, uint32_t credit)
{
    uint32_t slot;
    unsigned side;
    struct end *e = find_end(w, node, link, &slot, &side);
    if (e == NULL || e->state == END_CLOSING)
        return;
    uint32_t i = parcel_new(w, slot, side, PARCEL_VOID, 0);
    parcel_at(w, i)->credit = credit;
    e->queued += credit;
    parcel_send(w, i);
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
    down_later(w, slot, side, w->now, err);
    uint32_t i = parcel_new(w, slot, side, PARCEL_FIN, FIN_BYTES);
    parcel_at(w, i)->err = E_CLOSED;
    parcel_send(w, i);
    return true;
}

/* What a machine that forgot a connection answers with: behind what is on the way already, but not
 * behind what was queued. */
static void reset_send(struct world *w, uint32_t slot, unsigned side)
{
    uint32_t i = parcel_new(w, slot, side, PARCEL_FIN, FIN_BYTES);
    const struct wire_link *l = link_at(w, slot);
    parcel_at(w, i)->err = E_CLOSED;
    w->net.wire_sent += FIN_BYTES;
    w->net.wire_flying += FIN_BYTES;
    usec way = net_latency(w, l->end[side].node, l->end[!side].node);
    world_schedule(w, w->now + way, TICK_ARRIVE, i, 0, 0);
}

void net_break(struct world *w, uint32_t node)
{
    struct sim_node *n = &w->node[node];
    while (n->ends != NONE) {
        uint32_t slot = n->ends / 2;
        unsigned side = n->ends % 2;
        struct wire_link *l = link_at(w, slot);
        l->refs++;
        l->end[side].broken = true;
        end_close(w, slot, side);
        const struct end *far = &l->end[!side];
        if (!end_is_over(far))
            reset_send(w, slot, side);
        link_unref(w, slot);
    }
    n->up = (struct pipe){.rate = n->up.rate, .free = w->now};
    n->down = (struct pipe){.rate = n->down.rate, .free = w->now};
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
            l->end[side].broken = true;
            if (!end_is_over(&l->end[side]))
                down_later(w, id / 2, side, w->now, E_CLOSED);
        }
        return true;
    }
    return false;
}

void net_weather(struct world *w)
{
    (void)w;
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

static bool is_full(const struct sim_node *n)
{
    return n->links >= n->limits->links;
}

/* This end has no room for another link; the other hears of it by a FIN. */
static void turn_away(struct world *w, uint32_t slot, unsigned side)
{
    uint32_t i = parcel_new(w, slot, side, PARCEL_FIN, FIN_BYTES);
    parcel_at(w, i)->err = E_CLOSED;
    parcel_send(w, i);
    down_later(w, slot, side, w->now, E_LIMIT);
}

/* The handshake of this end is done: its core hears of the link. */
static void tell_up(struct world *w, uint32_t slot, unsigned side)
{
    struct wire_link *l = link_at(w, slot);
    struct end *e = &l->end[side];
    const struct end *far = &l->end[!side];
    e->state = END_UP;
    w->node[e->node].links++;
    struct event ev = {.type = EV_UP, .link = link_name(l, slot, side), .op = e->op};
    ev.up.who = w->node[far->node].member;
    ev.up.addr = w->node[far->node].addr;
    if (side == 1)
        ev.up.addr.port = (uint16_t)(PORT_EPHEMERAL + slot % PORT_EPHEMERAL);
    world_give(w, e->node, &ev);
    world_drain(w, e->node);
}

static void left(struct world *w, uint32_t i)
{
    const struct parcel *p = parcel_at(w, i);
    struct wire_link *l = link_at(w, p->link);
    struct end *e = &l->end[p->side];
    if (e->broken) {
        parcel_free(w, i);
        return;
    }
    w->net.wire_sent += p->wire;
    w->net.wire_flying += p->wire;
    if (p->has_body && p->body.kind == OBJ_IMAGE) {
        if (w->node[e->node].member.role == ROLE_VERIFY)
            w->net.payload_origin += p->body.len;
        else
            w->net.payload_peer += p->body.len;
    }
    uint32_t credit = p->credit;
    bool told = (p->kind == PARCEL_DATA || p->kind == PARCEL_VOID) && e->state == END_UP;
    struct event ev = {.type = EV_SENT, .link = link_name(l, p->link, p->side)};
    ev.sent.bytes = credit;
    assert(e->queued >= credit);
    e->queued -= credit;
    if (p->kind == PARCEL_VOID)
        parcel_free(w, i);
    else
        world_schedule(w, w->now + net_latency(w, e->node, l->end[!p->side].node), TICK_ARRIVE, i,
                       0, 0);
    if (!told)
        return;
    uint32_t node = e->node;
    world_give(w, node, &ev);
    world_drain(w, node);
}

/* Nobody is there.  A dial is told so; on a link that was up, its break told it already. */
static void parcel_refused(struct world *w, uint32_t i)
{
    const struct parcel *p = parcel_at(w, i);
    const struct wire_link *l = link_at(w, p->link);
    if (p->kind == PARCEL_HELLO)
        down_later(w, p->link, p->side, w->now + net_latency(w, l->end[0].node, l->end[1].node),
                   E_REFUSED);
    parcel_lost(w, i);
}

static void arrive(struct world *w, uint32_t i)
{
    const struct parcel *p = parcel_at(w, i);
    const struct wire_link *l = link_at(w, p->link);
    const struct end *to = &l->end[!p->side];
    w->net.wire_flying -= p->wire;
    struct sim_node *n = &w->node[to->node];
    if (n->core == NULL) {
        parcel_refused(w, i);
        return;
    }
    w->net.wire_flying += p->wire;
    world_schedule(w, pipe_pass(&n->down, w->now, p->wire), TICK_DELIVER, i, 0, 0);
}

static void deliver_data(struct world *w, uint32_t i)
{
    struct parcel *p = parcel_at(w, i);
    struct wire_link *l = link_at(w, p->link);
    uint32_t node = l->end[!p->side].node;
    struct event ev = {.type = EV_MSG, .link = link_name(l, p->link, !p->side)};
    const uint8_t *head = p->long_head != NONE ? pool_at(&w->net.heads, p->long_head) : p->head;
    ev.msg.head = bytes_of(head, p->head_len);
    if (p->has_body) {
        ev.msg.body = &p->body;
        ev.msg.body_len = p->body.len;
        if (p->body.blob != NULL)
            ev.msg.data = bytes_of(p->body.blob->data + p->body.off, p->body.len);
        w->node[node].lent = &p->body;
    }
    world_give(w, node, &ev);
    world_drain(w, node);
    w->node[node].lent = NULL;
}

static void deliver(struct world *w, uint32_t i)
{
    const struct parcel *p = parcel_at(w, i);
    uint32_t slot = p->link;
    unsigned to_side = !p->side;
    struct end *to = &link_at(w, slot)->end[to_side];
    w->net.wire_flying -= p->wire;
    struct sim_node *n = &w->node[to->node];
    /* A hello opens an end; everything else needs the end that its predecessor made. */
    enum end_state want = END_UP;
    if (p->kind == PARCEL_HELLO)
        want = END_NONE;
    else if (p->kind == PARCEL_REPLY)
        want = END_DIALLING;
    else if (p->kind == PARCEL_PROOF)
        want = END_SHAKING;
    else if (p->kind == PARCEL_FIN && !end_is_over(to))
        want = to->state;
    if (n->core == NULL || to->state != want) {
        parcel_refused(w, i);
        return;
    }
    w->net.wire_received += p->wire;
    switch (p->kind) {
    case PARCEL_HELLO:
        end_begin(w, slot, to_side, to->node, END_SHAKING);
        if (is_full(n)) {
            turn_away(w, slot, to_side);
            break;
        }
        parcel_send(w, parcel_new(w, slot, to_side, PARCEL_REPLY, SHAKE_REPLY(n->cert_len)));
        break;
    case PARCEL_REPLY:
        if (is_full(n)) {
            turn_away(w, slot, to_side);
            break;
        }
        parcel_send(w, parcel_new(w, slot, to_side, PARCEL_PROOF, SHAKE_PROOF(n->cert_len)));
        tell_up(w, slot, to_side);
        break;
    case PARCEL_PROOF:
        if (is_full(n))
            turn_away(w, slot, to_side);
        else
            tell_up(w, slot, to_side);
        break;
    case PARCEL_DATA:
        deliver_data(w, i);
        break;
    case PARCEL_FIN:
        down_later(w, slot, to_side, w->now, p->err);
        break;
    case PARCEL_VOID:
        assert(false); /* those never leave */
        break;
    }
    parcel_free(w, i);
}

static void down(struct world *w, uint32_t slot, unsigned side, enum err err)
{
    struct wire_link *l = link_at(w, slot);
    struct end *e = &l->end[side];
    enum end_state was = e->state;
    end_close(w, slot, side);
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
    if (t->kind == TICK_LEFT)
        left(w, t->a);
    else if (t->kind == TICK_ARRIVE)
        arrive(w, t->a);
    else if (t->kind == TICK_DELIVER)
        deliver(w, t->a);
    else
        down(w, t->a, t->b, (enum err)t->c);
}

void net_fini(struct world *w)
{
    for (size_t i = 0; i < w->heap.count; i++) {
        const struct tick *t = &w->heap.tick[i];
        if (t->kind == TICK_LEFT || t->kind == TICK_ARRIVE || t->kind == TICK_DELIVER)
            blob_drop(parcel_at(w, t->a)->body.blob);
    }
    pool_fini(&w->net.links);
    pool_fini(&w->net.parcels);
    pool_fini(&w->net.heads);
}
