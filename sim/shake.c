/* How a link begins: dialling, admission, and a handshake of the real channel's sizes.
 *
 * SYN and its answer are the kernels'; the three messages are the hosts'.  The dialler is up when
 * the reply is in, two round trips after it dialled; the listener half a round trip later.  A host
 * takes connections off its listener no faster than its budget for handshakes allows, has few
 * unproven ones at a time, fewer of one network, and no more links than its limits say; whom it
 * does not admit it says goodbye to.  Nobody answers at an address that is nobody's, is behind a
 * NAT, or whose node is down: such a dial fails when its time is up. */
#include "address.h"
#include "channel.h"
#include "fwswarm/link.h"
#include "net_links.h"

#include <assert.h>
#include <string.h>

/* The three messages of a handshake between nodes that trust the same root and list: u16 length,
 * the pattern's keys and tags, then three versions; in the later two also three strings of which
 * only the certificate is not empty, an identity and a signature. */
#define SHAKE_VERSIONS      12u
#define SHAKE_PAYLOAD(cert) (SHAKE_VERSIONS + 3u * 2u + 32u + 64u + (uint32_t)(cert))
#define SHAKE_HELLO         (2u + 32u + SHAKE_VERSIONS + AEAD_TAG)
#define SHAKE_REPLY(cert)   (2u + 32u + 32u + AEAD_TAG + SHAKE_PAYLOAD(cert) + AEAD_TAG)
#define SHAKE_PROOF(cert)   (2u + 32u + AEAD_TAG + SHAKE_PAYLOAD(cert) + AEAD_TAG)

/* Those of the real host, src/uv/loop.h. */
#define DIAL_US      (8 * SEC)
#define DIAL_NEAR_US (3 * SEC)
#define HANDSHAKE_US (5 * SEC)
#define HANDSHAKES   50u /* a second, or as many as it may have links */
#define BURST        16u
#define BACKLOG      128u /* of its listener */
#define UNPROVEN     64u
#define UNPROVEN_NET 16u

uint32_t net_handshake_bytes(uint32_t message, size_t cert_len)
{
    if (message == 0)
        return SHAKE_HELLO;
    return message == 1 ? SHAKE_REPLY(cert_len) : SHAKE_PROOF(cert_len);
}

/* Who holds a newer root than the other says to have sends it along. */
static void send_shake(struct world *w, uint32_t slot, unsigned side, enum parcel_kind kind)
{
    struct wire_link *l = link_at(w, slot);
    const struct sim_node *n = &w->node[l->end[side].node];
    uint32_t message = kind == PARCEL_HELLO ? 0 : kind == PARCEL_REPLY ? 1 : 2;
    uint32_t payload = net_handshake_bytes(message, n->cert_len);
    l->root[side] = node_trust(n->core)->root.version;
    bool roots = message > 0 && l->root[side] > l->root[!side] && w->fleet.next_root != NULL;
    if (roots)
        payload += w->fleet.next_root->len;
    uint32_t i = parcel_new(w, slot, side, kind, payload);
    parcel_at(w, i)->roots = roots;
    if (channel_on(w))
        channel_shake(w, i, payload);
    line_send(w, i);
}

/* What a handshake brings counts whatever becomes of the link. */
static void learn(struct world *w, uint32_t node)
{
    const struct blob *root = w->fleet.next_root;
    struct event ev = {.type = EV_LEARNT};
    ev.learnt.roots = bytes_of(root->data, root->len);
    world_give(w, node, &ev);
    world_drain(w, node);
}

void shake_syn(struct world *w, uint32_t slot)
{
    line_send(w, parcel_new(w, slot, 0, PARCEL_SYN, 0));
}

void net_dial(struct world *w, uint32_t node, uint32_t op, const struct addr *addr)
{
    uint32_t far = address_node(w, addr);
    if (far != NONE && !address_reaches(w, node, far))
        far = NONE;
    uint32_t slot = net_slot(w);
    struct wire_link *l = link_at(w, slot);
    end_begin(w, slot, 0, node, END_DIALLING);
    l->end[0].op = op;
    l->end[1].node = far;
    if (far == node) {
        end_down(w, slot, 0, w->now, E_SELF);
        return;
    }
    if (far != NONE) {
        l->way = address_latency(w, node, far);
        l->near = address_near(w, node, far);
        shake_syn(w, slot);
    }
    end_tick(w, w->now + (l->near ? DIAL_NEAR_US : DIAL_US), TICK_SHAKE, slot, 0, 0);
}

/* ---- the listener ---- */

static bool is_full(const struct sim_node *n)
{
    return n->links >= n->limits->links;
}

/* May this stranger try?  Its host counts those whose handshake is under way. */
static bool admitted(const struct world *w, uint32_t slot)
{
    const struct wire_link *l = link_at(w, slot);
    const struct sim_node *n = &w->node[l->end[1].node];
    struct addr who = address_seen(w, l->end[0].node, l->end[1].node);
    uint32_t all = 0, same = 0;
    if (is_full(n))
        return false;
    for (uint32_t id = n->ends; id != NONE;) {
        const struct wire_link *other = link_at(w, id / 2);
        const struct end *e = &other->end[id % 2];
        if (e->state == END_SHAKING && e->since <= w->now && other != l) {
            struct addr a = address_seen(w, other->end[0].node, e->node);
            all++;
            same += memcmp(a.ip, who.ip, 3) == 0;
        }
        id = e->next;
    }
    return all < UNPROVEN && same < UNPROVEN_NET;
}

static void turn_away(struct world *w, uint32_t slot, unsigned side)
{
    fin_send(w, slot, side);
    end_down(w, slot, side, w->now, E_LIMIT);
}

/* The kernel answers while its queue of connections is not full; the host comes to them in turn. */
static void on_syn(struct world *w, uint32_t slot)
{
    struct wire_link *l = link_at(w, slot);
    struct sim_node *n = &w->node[l->end[1].node];
    if (l->end[1].state != END_NONE)
        return; /* sent twice */
    usec gap = SEC / (n->limits->links > HANDSHAKES ? n->limits->links : HANDSHAKES);
    usec whole = n->accepts > w->now ? n->accepts : w->now;
    if (whole > w->now + (BURST + BACKLOG) * gap) {
        probe_start(w, slot, 0);
        return;
    }
    n->accepts = whole + gap;
    end_begin(w, slot, 1, l->end[1].node, END_SHAKING);
    l->end[1].since = w->now;
    if (n->accepts > w->now + BURST * gap)
        l->end[1].since = n->accepts - BURST * gap;
    line_send(w, parcel_new(w, slot, 1, PARCEL_SYNACK, 0));
    end_tick(w, l->end[1].since + HANDSHAKE_US, TICK_SHAKE, slot, 1, 0);
}

static void on_synack(struct world *w, uint32_t slot)
{
    struct end *e = &link_at(w, slot)->end[0];
    if (e->connected)
        return;
    e->connected = true;
    e->silent_at = USEC_NEVER;
    e->since = w->now;
    send_shake(w, slot, 0, PARCEL_HELLO);
}

static void take_hello(struct world *w, uint32_t slot)
{
    if (!link_at(w, slot)->end[1].refuses && admitted(w, slot))
        send_shake(w, slot, 1, PARCEL_REPLY);
    else
        turn_away(w, slot, 1);
}

void shake_accept(struct world *w, uint32_t slot)
{
    if (link_at(w, slot)->end[1].state == END_SHAKING)
        take_hello(w, slot);
    link_unref(w, slot);
}

void shake_message(struct world *w, uint32_t parcel)
{
    const struct parcel *p = parcel_at(w, parcel);
    uint32_t slot = p->link;
    unsigned side = !p->side;
    struct end *to = &link_at(w, slot)->end[side];
    bool shaken = p->kind != PARCEL_SYN && p->kind != PARCEL_SYNACK;
    to->refuses = shaken && channel_on(w) && !channel_shaken(w, parcel);
    if (p->roots)
        learn(w, to->node);
    switch ((enum parcel_kind)p->kind) {
    case PARCEL_SYN:
        on_syn(w, slot);
        return;
    case PARCEL_SYNACK:
        on_synack(w, slot);
        return;
    case PARCEL_HELLO:
        if (to->since > w->now)
            end_tick(w, to->since, TICK_ACCEPT, slot, side, 0);
        else
            take_hello(w, slot);
        return;
    case PARCEL_REPLY:
        if (to->refuses || is_full(&w->node[to->node])) {
            turn_away(w, slot, side);
            return;
        }
        send_shake(w, slot, side, PARCEL_PROOF);
        end_up(w, slot, side);
        return;
    case PARCEL_PROOF:
        if (to->refuses || is_full(&w->node[to->node]))
            turn_away(w, slot, side);
        else
            end_up(w, slot, side);
        return;
    case PARCEL_DATA:
    case PARCEL_FIN:
        assert(false);
    }
}

/* The time for this end's dial or handshake is up. */
void shake_late(struct world *w, uint32_t slot, unsigned side)
{
    struct end *e = &link_at(w, slot)->end[side];
    bool dialling = e->state == END_DIALLING;
    if (dialling && e->connected && w->now < e->since + HANDSHAKE_US) {
        end_tick(w, e->since + HANDSHAKE_US, TICK_SHAKE, slot, side, 0);
    } else if (dialling || e->state == END_SHAKING) {
        if (side == 1 || e->connected)
            fin_send(w, slot, side);
        end_down(w, slot, side, w->now, E_TIMEOUT);
    }
    link_unref(w, slot);
}
