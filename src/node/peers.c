/* Addresses: whom to dial, what others tell and are told, who is banned.
 *
 * Every node keeps an announce table, a verify node a large one, so a swarm that lost its verify
 * nodes still introduces its members to each other. */
#include "node/internal.h"

#include <inttypes.h>
#include <string.h>

#define BANS_LOOK         (600 * SEC)
#define BAN_TIME          (24 * 3600 * SEC)
#define ANNOUNCE_LIFETIME (3600 * SEC)
#define VERIFY_PAUSE      (60 * SEC)
#define PEER_BYTES        19u
#define PEERS_MAX         50u
#define DIALLED_MIN       8u /* links of our own choice */
#define OTHERS_DIAL       (10 * SEC)

static bool fetching(const struct node *n)
{
    for (uint32_t i = 0; i < n->lim.images; i++) {
        if (n->slots[i].state == RELEASE_FETCHING)
            return true;
    }
    return false;
}

void peers_know(struct node *n, const struct addr *addr, enum known_source src, bool verify)
{
    /* Devices come to a verify node; it dials them only for what it lacks itself. */
    if (n->conf.role == ROLE_VERIFY && !verify && src != KNOWN_CONFIGURED && !fetching(n))
        return;
    known_add(&n->known, addr, src, verify, n->now);
}

/* Who dialled us can be dialled again, later; now it is linked. A verify node waits to be dialled.
 */
void peers_linked_from(struct node *n, struct nlink *l)
{
    if (l->port == 0 || l->who.role == ROLE_PUBLISHER || l->known != NULL ||
        (n->conf.role == ROLE_VERIFY && !l->origin))
        return;
    struct addr a = l->addr;
    a.port = l->port;
    struct known_entry *e = known_add(&n->known, &a, KNOWN_PEER, l->origin, n->now);
    if (e == NULL || e->linked || e->dialling)
        return;
    known_up(&n->known, e);
    l->known = e;
}

/* f + 1 of m = 3f + 1 verify nodes answer for freshness; two links are kept in any case. */
uint32_t peers_verify_wanted(const struct node *n)
{
    uint32_t f = n->trust.root.verify_count > 0 ? (n->trust.root.verify_count - 1) / 3 : 0;
    return f + 1 > 2 ? f + 1 : 2;
}

uint32_t peers_least(const struct node *n)
{
    return n->lim.links / 2 < LINKS_LEAST ? n->lim.links / 2 : LINKS_LEAST;
}

static usec others_dial_until(const struct node *n)
{
    return n->conf.role == ROLE_VERIFY ? 0 : n->ready_at + OTHERS_DIAL;
}

/* About 16 neighbours: half of them are of our own choice, whoever dials us, and the others have
 * time to dial before we dial in their place. */
static bool neighbours_wanted(const struct node *n)
{
    uint32_t links = n->links_count + n->dials_count;
    if (links < peers_least(n) && n->now >= others_dial_until(n))
        return true;
    uint32_t own = n->dials_count,
             least = n->lim.links / 4 < DIALLED_MIN ? n->lim.links / 4 : DIALLED_MIN;
    for (uint32_t i = 0; i < n->links_top && own < least; i++)
        own += link_live(&n->links[i]) && n->links[i].dialled ? 1 : 0;
    return n->conf.role != ROLE_VERIFY && own < least && links < n->lim.links;
}

/* However many neighbours there are: news comes from verify nodes.  Who lost its last one because
 * others need the place comes back after a while. */
static bool verify_missed(const struct node *n)
{
    return n->conf.role != ROLE_VERIFY && n->known.verify_used == 0 &&
           n->links_count + n->dials_count < n->lim.links;
}

static bool verify_wanted(const struct node *n)
{
    return verify_missed(n) && n->now >= n->verify_at;
}

void peers_origin_gone(struct node *n)
{
    n->verify_at = n->now + VERIFY_PAUSE + rng_below(&n->rng, (uint32_t)VERIFY_PAUSE);
}

static bool dial_wanted(const struct node *n)
{
    return !n->stopping && n->dials_count < HALF_OPEN_MAX &&
           (neighbours_wanted(n) || verify_wanted(n));
}

bool peers_next_dial(struct node *n, struct action *act)
{
    n->known.only_verify = !neighbours_wanted(n);
    if (!dial_wanted(n))
        return false;
    struct known_entry *e = known_next(&n->known, n->now, peers_verify_wanted(n), &n->rng);
    if (e == NULL)
        return false;
    n->dial_op++;
    if (n->dial_op == 0)
        n->dial_op = 1;
    for (uint32_t i = 0; i < HALF_OPEN_MAX; i++) {
        if (n->dials[i].op != 0)
            continue;
        n->dials[i].op = n->dial_op;
        n->dials[i].entry = e;
        break;
    }
    n->dials_count++;
    act->type = ACT_DIAL;
    act->op = n->dial_op;
    act->dial.addr = e->addr;
    return true;
}

void peers_dial_result(struct node *n, uint32_t op, struct nlink *up, enum err e)
{
    for (uint32_t i = 0; i < HALF_OPEN_MAX; i++) {
        if (op == 0 || n->dials[i].op != op)
            continue;
        struct known_entry *k = n->dials[i].entry;
        n->dials[i].op = 0;
        n->dials_count--;
        if (up != NULL) {
            known_up(&n->known, k);
            up->known = k;
            return;
        }
        if (e == E_SELF)
            k->self = true;
        lan_dial_ended(n, &k->addr);
        known_down(&n->known, k, true, n->now, &n->rng);
        log_debug(n->log, "dial.failed", "err=%s failures=%u", err_name(e), (unsigned)k->failures);
        return;
    }
}

usec peers_deadline(const struct node *n)
{
    usec t = USEC_NEVER, until = others_dial_until(n);
    if (dial_wanted(n)) {
        t = known_deadline(&n->known);
        t = t == USEC_NEVER || t > n->now ? t : n->now + SEC / 10;
    } else if (verify_missed(n) && n->verify_at > n->now) {
        t = n->verify_at;
    }
    bool few = n->links_count + n->dials_count < peers_least(n);
    return few && until > n->now && until < t ? until : t;
}

/* ---- lists ---- */

static void peer_write(struct wr *w, const struct addr *a)
{
    wr_u8(w, a->family);
    wr_copy(w, a->ip, 16);
    wr_u16(w, a->port);
}

void peers_on_want(struct node *n, struct nlink *l, const struct msg_want_peers *m)
{
    struct digest id;
    memcpy(id.b, m->manifest, 32);
    struct slot *s = release_by_manifest(n, &id);
    if (s == NULL)
        return;
    if (l->port != 0 && l->who.role != ROLE_PUBLISHER) {
        struct addr a = l->addr;
        a.port = l->port;
        table_announce(&n->table, &id, &l->who.node, &a, m->have, n->now, ANNOUNCE_LIFETIME);
    }
    if (m->count == 0)
        return;
    struct stream *st = stream_of(n, link_index(n, l), (uint32_t)(s - n->slots));
    st->peers_reply = true;
    st->peers_want = m->count;
    link_wake(n, l, WAKE_ALL);
}

void peers_build_reply(struct node *n, struct nlink *l, uint32_t slot, struct wire_msg *m,
                       uint8_t *scratch)
{
    struct addr list[PEERS_MAX];
    struct stream *st = stream_of(n, link_index(n, l), slot);
    uint32_t want = st->peers_want < PEERS_MAX ? st->peers_want : PEERS_MAX;
    const struct digest *id = &n->slots[slot].m.id;
    uint32_t count = table_sample(&n->table, id, &l->who.node, n->now, want, list, &n->rng);
    struct wr w = wr_of(scratch, PEERS_MAX * PEER_BYTES);
    for (uint32_t i = 0; i < count; i++)
        peer_write(&w, &list[i]);
    memset(m, 0, sizeof(*m));
    m->id = MSG_peers;
    memcpy(m->peers.manifest, id->b, 32);
    m->peers.list = wr_done(&w);
}

static bool addr_is_loopback(const struct addr *a)
{
    static const uint8_t six[16] = {[15] = 1};
    return a->family == 4 ? a->ip[0] == 127 : memcmp(a->ip, six, 16) == 0;
}

/* Does an address mean the same here as where it was told?  What leads to nobody, to many, or back
 * to this device would fill the table for good. */
static bool addr_tellable(const struct addr *a, const struct addr *teller)
{
    static const uint8_t zero[16] = {0};
    if (a->family != 4 && a->family != 6)
        return false;
    if (addr_is_loopback(a))
        return addr_is_loopback(teller);
    if (a->family == 4)
        return a->ip[0] != 0 && a->ip[0] != 127 && a->ip[0] < 224 &&
               !(a->ip[0] == 169 && a->ip[1] == 254) && memcmp(a->ip + 4, zero, 12) == 0;
    /* Link-local ones need an interface; IPv4 has a family of its own. */
    bool local = a->ip[0] == 0xfe && (a->ip[1] & 0xc0) == 0x80;
    bool mapped = memcmp(a->ip, zero, 10) == 0;
    return a->ip[0] != 0xff && !local && !mapped;
}

void peers_on_list(struct node *n, struct nlink *l, const struct msg_peers *m)
{
    if (m->list.n % PEER_BYTES != 0) {
        link_close(n, l, E_FORMAT);
        return;
    }
    if (l->lists_due == 0) {
        link_fault(n, l, E_FLOOD); /* nobody chooses unasked whom we dial */
        return;
    }
    l->lists_due--;
    if (n->conf.publish)
        return; /* it hands over to the verify node that it was told, and to nobody else */
    struct rd r = rd_of(m->list);
    enum known_source src = l->origin ? KNOWN_TRACKER : KNOWN_PEER;
    while (rd_left(&r) >= PEER_BYTES) {
        struct addr a;
        memset(&a, 0, sizeof(a));
        a.family = rd_u8(&r);
        rd_copy(&r, a.ip, 16);
        a.port = rd_u16(&r);
        if (addr_tellable(&a, &l->addr))
            peers_know(n, &a, src, false);
    }
}

/* The record of a ban that ended must not ban anew at the next start. */
void peers_time(struct node *n)
{
    if (n->now < n->bans_at)
        return;
    n->bans_at = n->now + BANS_LOOK;
    for (uint32_t i = 0; i < n->bans.cap && n->saves_count < SAVES_BANS; i++) {
        struct ban *b = &n->bans.ban[i];
        if (b->until == 0 || b->until > n->now)
            continue;
        *b = (struct ban){.until = 0};
        node_delete(n, object_id(OBJ_BAN, i));
    }
}

void peers_ban(struct node *n, const struct key *who, const char *why)
{
    char hex[17];
    hex_encode(hex, who->b, 4);
    log_warn(n->log, "peer.banned", "peer=%s why=%s hours=24", hex, why);
    uint32_t i = bans_add(&n->bans, who, n->now + BAN_TIME);
    /* Losing the record of a ban costs one more bad block, so it never crowds out other records. */
    if (n->saves_count < SAVES_BANS)
        node_save(n, object_id(OBJ_BAN, i), (struct bytes){NULL, 0});
}
