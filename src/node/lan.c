/* The LAN: Trickle announcements, hints that lead to a link and never to an install.
 *
 * One Trickle per interface and family.  What is announced is the newest release held at threshold
 * (or that none is held).  A token that claims something newer is verified against one listed
 * signer; the threshold is checked on the manifest, fetched over a link.  A claim whose manifest
 * three links failed to yield is ignored for an hour, and resets nothing. */
#include "node/internal.h"

#include <string.h>

#define IMIN         (SEC / 2)
#define DOUBLINGS    10u
#define REDUNDANCY   2u
#define HINT_DIALS   3u
#define HINT_IGNORE  (3600 * SEC)
#define HINT_CLAIMS  64u
#define SOURCE_PAUSE (30 * SEC) /* between two new addresses of one sender */
/* Twice the share of one packet: strangers and neighbours have a bucket each. */
#define DATAGRAM_COST (2 * LAN_BUCKET_RATE / LAN_PACKETS_A_SECOND)

void lan_start(struct node *n)
{
    for (uint32_t i = 0; i < n->conf.lan_interfaces && i < LAN_MAX; i++) {
        trickle_init(&n->trickle[i], IMIN, DOUBLINGS, REDUNDANCY);
        trickle_start(&n->trickle[i], n->now, &n->rng);
    }
}

void lan_news(struct node *n)
{
    if (!n->conf.lan || !n->loaded)
        return;
    for (uint32_t i = 0; i < n->conf.lan_interfaces && i < LAN_MAX; i++)
        trickle_reset(&n->trickle[i], n->now, &n->rng);
}

static uint32_t lan_neighbours(const struct node *n)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < n->links_top; i++)
        count += n->links[i].phase == LINK_READY ? 1 : 0;
    return count;
}

void lan_time(struct node *n)
{
    bool suppress = lan_neighbours(n) >= 2;
    for (uint32_t i = 0; i < n->conf.lan_interfaces && i < LAN_MAX; i++) {
        if (trickle_step(&n->trickle[i], n->now, suppress, &n->rng))
            n->cast_due[i] = true;
    }
}

usec lan_deadline(const struct node *n)
{
    usec t = USEC_NEVER;
    for (uint32_t i = 0; i < n->conf.lan_interfaces && i < LAN_MAX; i++) {
        usec d = trickle_deadline(&n->trickle[i]);
        t = d < t ? d : t;
    }
    return t;
}

/* What a node speaks for: its own model, or any that a verify node holds, in turn. */
static const struct slot *lan_release(struct node *n)
{
    if (!digest_is_zero(&n->model))
        return release_newest(n, &n->model);
    uint32_t at = rng_below(&n->rng, n->lim.images);
    for (uint32_t i = 0; i < n->lim.images; i++) {
        const struct slot *s = &n->slots[(at + i) % n->lim.images];
        if (release_slot_used(s) && s->newest && s->state != RELEASE_WITHDRAWN)
            return s;
    }
    return NULL;
}

bool lan_next(struct node *n, struct action *act, uint8_t *head)
{
    for (uint32_t i = 0; i < n->conf.lan_interfaces && i < LAN_MAX; i++) {
        if (!n->cast_due[i])
            continue;
        n->cast_due[i] = false;
        if (n->conf.port == 0)
            continue;
        const struct slot *s = lan_release(n);
        struct wire_msg m;
        memset(&m, 0, sizeof(m));
        m.id = MSG_announce;
        memcpy(m.announce.magic, "fws1", 4);
        memcpy(m.announce.fleet, n->fleet_tag, 8);
        memcpy(m.announce.model, n->model.b, 32);
        memcpy(m.announce.boot, n->boot, 8);
        m.announce.port = n->conf.port;
        if (s != NULL && s->m.signers_count > 0) {
            memcpy(m.announce.model, s->m.model_id.b, 32);
            m.announce.root_version = s->m.root_version;
            m.announce.sequence = s->m.sequence;
            memcpy(m.announce.manifest, s->m.id.b, 32);
            memcpy(m.announce.signer, s->m.signers[0].b, 32);
            memcpy(m.announce.token, s->m.tokens[0].b, 64);
        }
        act->type = ACT_CAST;
        act->cast.iface = i;
        act->head_len = (uint32_t)wire_encode(&m, head);
        return true;
    }
    return false;
}

static bool token_good(const struct node *n, const struct msg_announce *a)
{
    struct key signer;
    struct sig token;
    struct digest model, id;
    memcpy(signer.b, a->signer, 32);
    memcpy(token.b, a->token, 64);
    memcpy(model.b, a->model, 32);
    memcpy(id.b, a->manifest, 32);
    if (!key_set_has(&n->trust.root.release, &signer))
        return false;
    return token_verify(&token, &signer, &n->trust.root.fleet, a->root_version, &model, a->sequence,
                        &id);
}

static struct hint *hint_find(struct node *n, const struct digest *manifest)
{
    for (uint32_t i = 0; i < HINTS; i++) {
        if (digest_equal(&n->hints[i].manifest, manifest))
            return &n->hints[i];
    }
    return NULL;
}

/* The claim of something newer, or NULL when it is not to be followed.  Only a token that verifies
 * takes the place of another. */
static struct hint *hint_take(struct node *n, const struct msg_announce *a)
{
    struct digest id;
    memcpy(id.b, a->manifest, 32);
    struct hint *h = hint_find(n, &id);
    if ((h != NULL && h->until > n->now) || !token_good(n, a))
        return NULL;
    if (h != NULL)
        return h;
    h = &n->hints[0];
    for (uint32_t i = 1; i < HINTS; i++) {
        if (n->hints[i].until < h->until)
            h = &n->hints[i];
    }
    *h = (struct hint){.manifest = id};
    return h;
}

static void hint_ignore(struct node *n, struct hint *h)
{
    h->dials = h->claims = 0;
    h->until = n->now + HINT_IGNORE;
    log_warn(n->log, "lan.token_ignored", "minutes=60");
}

void lan_dial_ended(struct node *n, const struct addr *addr)
{
    for (uint32_t i = 0; i < HINTS; i++) {
        struct hint *h = &n->hints[i];
        if (digest_is_zero(&h->manifest) || !addr_equal(&h->addr, addr))
            continue;
        if (release_by_manifest(n, &h->manifest) == NULL && ++h->dials >= HINT_DIALS)
            hint_ignore(n, h);
    }
}

/* <0: the sender is behind us, 0: the same, >0: it claims something newer. */
static int lan_compare(const struct node *n, const struct msg_announce *a)
{
    struct digest model;
    memcpy(model.b, a->model, 32);
    const struct slot *s = release_newest(n, &model);
    uint32_t root = s != NULL ? s->m.root_version : 0;
    uint64_t seq = s != NULL ? s->m.sequence : 0;
    return release_compare(a->root_version, a->sequence, root, seq);
}

static bool same_ip(const struct addr *a, const struct addr *b)
{
    return a->family == b->family && memcmp(a->ip, b->ip, 16) == 0;
}

static bool sender_linked(const struct node *n, const struct addr *from)
{
    for (uint32_t i = 0; i < n->links_top; i++) {
        if (n->links[i].phase == LINK_READY && same_ip(&n->links[i].addr, from))
            return true;
    }
    return false;
}

/* One sender leads to one new address in a while, whatever ports it announces.  More senders than
 * are remembered wait for the first of them. */
static bool source_rested(struct node *n, const struct addr *from)
{
    if (from->family == 4 && from->ip[0] == 127)
        return true; /* one machine that runs several nodes */
    struct lan_source *at = &n->sources[0];
    for (uint32_t i = 0; i < LAN_SOURCES; i++) {
        struct lan_source *s = &n->sources[i];
        if (s->until > n->now && same_ip(&s->addr, from))
            return false;
        if (s->until < at->until)
            at = s;
    }
    if (at->until > n->now)
        return false;
    *at = (struct lan_source){.addr = *from, .until = n->now + SOURCE_PAUSE};
    return true;
}

void lan_datagram(struct node *n, const struct event *ev)
{
    struct wire_msg m;
    uint32_t i = ev->datagram.iface;
    if (i >= n->conf.lan_interfaces || i >= LAN_MAX)
        return;
    struct bucket *b = sender_linked(n, &ev->datagram.from) ? &n->datagrams : &n->datagrams_strange;
    if (!bucket_ready(b, n->now))
        return;
    bucket_take(b, n->now, DATAGRAM_COST);
    if (wire_decode(&m, ev->datagram.data) != E_OK || m.id != MSG_announce)
        return;
    const struct msg_announce *a = &m.announce;
    if (memcmp(a->magic, "fws1", 4) != 0 || memcmp(a->fleet, n->fleet_tag, 8) != 0 ||
        memcmp(a->boot, n->boot, 8) == 0 || a->port == 0)
        return;
    struct digest model;
    memcpy(model.b, a->model, 32);
    if (!digest_is_zero(&model) && !release_wanted_model(n, &model))
        return;
    int c = lan_compare(n, a);
    if (c > 0) {
        struct hint *h = hint_take(n, a);
        if (h == NULL)
            return;
        h->addr = ev->datagram.from;
        h->addr.port = a->port;
        if (++h->claims >= HINT_CLAIMS) {
            hint_ignore(n, h);
            return;
        }
    }
    if (c == 0)
        trickle_consistent(&n->trickle[i]);
    else
        trickle_reset(&n->trickle[i], n->now, &n->rng);
    struct addr from = ev->datagram.from;
    from.port = a->port;
    if (known_find(&n->known, &from) != NULL || source_rested(n, &from))
        known_add(&n->known, &from, KNOWN_LAN, false, n->now);
}
