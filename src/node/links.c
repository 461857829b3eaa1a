/* Links: the table, the life of one link, the dispatch of its messages, and what it says next.
 *
 * A link is `hello` until both sides said what they speak, then `ready`.  A closed link keeps its
 * place until the blocks it sent are judged, so that a peer cannot send garbage and hang up to keep
 * its name.  Two nodes that dial each other at once keep the link of the smaller key. */
#include "node/internal.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#define HELLO_TIMEOUT (5 * SEC)
#define IDLE_SAY      (60 * SEC)
#define IDLE_CLOSE    (180 * SEC)
#define DRAIN_TIMEOUT (20 * SEC)
#define FAULTS_MAX    32u
#define SPARE_AFTER   (3 * SEC)

struct nlink *link_find(struct node *n, uint32_t id)
{
    for (uint32_t i = 0; i < n->links_top; i++) {
        if (n->link_ids[i] == id)
            return id != 0 ? &n->links[i] : NULL;
    }
    return NULL;
}

static void key_hex8(char out[17], const struct key *k)
{
    hex_encode(out, k->b, 4);
}

/* ---- up and down ---- */

/* A free place, else one that is only kept for judgement: its blocks are then judged without a name
 * to blame. */
static struct nlink *link_slot(struct node *n)
{
    uint32_t gone = NONE;
    for (uint32_t i = 0; i < n->lim.links; i++) {
        if (n->links[i].phase == LINK_FREE)
            return &n->links[i];
        if (n->links[i].phase == LINK_GONE)
            gone = i;
    }
    if (gone == NONE)
        return NULL;
    for (uint32_t i = 0; i < n->ops_ever; i++) {
        if (n->ops[i].used && n->ops[i].link == gone)
            n->ops[i].link = NONE;
    }
    return &n->links[gone];
}

static void link_reset(struct nlink *l)
{
    memset(l, 0, sizeof(*l));
    l->asks_head = l->asks_tail = LIST_END;
    l->asks_due = USEC_NEVER;
    l->out_slot = l->in_slot = -1;
    l->window = 4; /* it grows with every block that comes in time */
}

/* The address that led to a link which goes because of another link leads to that one. */
static void known_pass(struct node *n, struct nlink *from, struct nlink *to)
{
    if (from->known == NULL)
        return;
    if (to->known == NULL)
        to->known = from->known;
    else
        known_down(&n->known, from->known, true, n->now, &n->rng);
    from->known = NULL;
}

/* A second link to one identity.  True when the new one must go. */
static bool link_duplicate(struct node *n, struct nlink *l)
{
    for (uint32_t i = 0; i < n->links_top; i++) {
        struct nlink *o = &n->links[i];
        if (o == l || !link_live(o) || !key_equal(&o->who.node, &l->who.node))
            continue;
        bool mine_smaller = key_compare(&n->self.node, &l->who.node) < 0;
        /* The same side dialled twice: the old link is a dead one that was not noticed yet. */
        if (o->dialled == l->dialled || l->dialled == mine_smaller) {
            known_pass(n, o, l);
            link_close(n, o, E_DUPLICATE);
            return false;
        }
        known_pass(n, l, o);
        return true;
    }
    return false;
}

/* Could this link make room for another?  It was introduced to others and is not being served. */
static bool link_spare(const struct node *n, const struct nlink *l)
{
    if (l->phase != LINK_READY || l->dialled || l->who.role == ROLE_VERIFY ||
        l->who.role == ROLE_PUBLISHER || l->asks_count > 0 || l->uploads_count > 0)
        return false;
    for (uint32_t s = 0; s < n->lim.images; s++) {
        if (stream_of(n, link_index(n, l), s)->unchoked)
            return false;
    }
    return true;
}

/* A few places stay free, so that nobody is turned away without having been told of others: the
 * oldest spare links go. */
static bool links_crowded(const struct node *n)
{
    return n->links_count + n->lim.links / 16 + 1 > n->lim.links;
}

/* From when on a spare link may go.  Who was told of others needs us no more. */
static usec spare_at(const struct nlink *l)
{
    return l->since + (l->introduced ? SPARE_AFTER / 4 : SPARE_AFTER);
}

static void link_make_room(struct node *n)
{
    struct nlink *worst = NULL;
    for (uint32_t i = 0; i < n->links_top; i++) {
        struct nlink *l = &n->links[i];
        if (!link_spare(n, l) || n->now < spare_at(l))
            continue;
        if (worst == NULL || l->since < worst->since)
            worst = l;
    }
    if (worst != NULL)
        link_close(n, worst, E_LIMIT);
}

/* The host judged by the trust of its last TELL_TRUST; ours may be newer. */
static enum err link_judge(const struct node *n, const struct member *who)
{
    const struct root *r = &n->trust.root;
    if (revocations_has(&n->trust.revoked, who->index))
        return E_REVOKED;
    if (who->role == ROLE_PUBLISHER)
        return key_set_has(&r->publisher, &who->node) ? E_OK : E_UNLISTED;
    for (uint32_t i = 0; i < r->verify_count && who->role == ROLE_VERIFY; i++) {
        if (key_equal(&r->verify[i].key, &who->node))
            return E_OK;
    }
    for (uint32_t i = 0; i < r->enrol_count && who->role != ROLE_VERIFY; i++) {
        if (who->index >= r->enrol[i].first && who->index <= r->enrol[i].last)
            return E_OK;
    }
    return E_UNLISTED;
}

void link_up(struct node *n, const struct event *ev)
{
    assert(ev->link != 0);
    struct nlink *l = link_slot(n);
    assert(l != NULL); /* the host keeps to limits.links */
    link_reset(l);
    l->id = ev->link;
    n->link_ids[link_index(n, l)] = ev->link;
    l->who = ev->up.who;
    l->addr = ev->up.addr;
    l->dialled = ev->op != 0;
    l->phase = LINK_HELLO;
    l->since = l->heard = l->drained = l->spoke = n->now;
    l->origin = l->who.role == ROLE_VERIFY;
    link_wake(n, l, WAKE_ALL);
    meter_init(&l->down, n->now);
    n->links_count++;
    if (link_index(n, l) >= n->links_top)
        n->links_top = link_index(n, l) + 1;
    if (ev->op != 0)
        peers_dial_result(n, ev->op, l, E_OK);
    char hex[17];
    key_hex8(hex, &l->who.node);
    log_debug(n->log, "link.up", "link=%" PRIu32 " peer=%s role=%s dialled=%d", l->id, hex,
              role_name(l->who.role), l->dialled);
    if (bans_has(&n->bans, &l->who.node, n->now)) {
        link_close(n, l, E_BANNED);
        return;
    }
    enum err judged = link_judge(n, &l->who);
    if (n->stopping || judged != E_OK) {
        link_close(n, l, n->stopping ? E_OK : judged);
        return;
    }
    if (link_duplicate(n, l)) {
        link_close(n, l, E_DUPLICATE);
        return;
    }
    l->hello_due = true;
    if (links_crowded(n))
        link_make_room(n);
}

static void link_end(struct node *n, struct nlink *l, enum err why)
{
    exchange_link_gone(n, l);
    wants_link_gone(n, link_index(n, l));
    if (l->known != NULL) {
        /* Also when the other side closed: it is not dialled again at once. */
        bool bad = l->close_err != E_OK || why != E_OK;
        lan_dial_ended(n, &l->known->addr);
        known_down(&n->known, l->known, bad, n->now, &n->rng);
        l->known = NULL;
    }
    if (l->origin)
        peers_origin_gone(n);
    n->queued -= l->stalled ? 0 : l->queued;
    l->queued = 0;
    l->wake = 0;
    n->link_ids[link_index(n, l)] = 0;
    n->link_due[link_index(n, l)] = USEC_NEVER;
    n->links_count--;
    if (n->held_back)
        upload_resume(n);
    l->phase = l->stores > 0 ? LINK_GONE : LINK_FREE;
    while (n->links_top > 0 && n->links[n->links_top - 1].phase == LINK_FREE)
        n->links_top--;
    upload_plan(n);
}

void link_down(struct node *n, const struct event *ev)
{
    if (ev->link == 0) {
        peers_dial_result(n, ev->op, NULL, ev->err);
        return;
    }
    struct nlink *l = link_find(n, ev->link);
    if (l == NULL)
        return;
    log_debug(n->log, "link.down", "link=%" PRIu32 " err=%s", l->id,
              err_name(l->close_err != E_OK ? l->close_err : ev->err));
    link_end(n, l, ev->err);
}

void link_close(struct node *n, struct nlink *l, enum err e)
{
    if (!link_live(l))
        return;
    if (e != E_OK && e != E_DUPLICATE && e != E_BANNED) {
        char hex[17];
        key_hex8(hex, &l->who.node);
        log_info(n->log, "link.close", "link=%" PRIu32 " peer=%s err=%s", l->id, hex, err_name(e));
    }
    /* Asks come back at once; the place stays until the host says that the link is down. */
    exchange_link_gone(n, l);
    wants_link_gone(n, link_index(n, l));
    l->phase = LINK_CLOSING;
    l->close_err = e;
    l->bye_due = true;
    l->close_due = true;
    link_wake(n, l, WAKE_ALL);
    n->stir = true;
}

void links_rejudge(struct node *n)
{
    for (uint32_t i = 0; i < n->links_top; i++) {
        struct nlink *l = &n->links[i];
        if (!link_live(l))
            continue;
        enum err e = link_judge(n, &l->who);
        if (e != E_OK)
            link_close(n, l, e);
    }
}

void link_sent(struct node *n, const struct event *ev)
{
    struct nlink *l = link_find(n, ev->link);
    if (l == NULL)
        return;
    assert(l->queued >= ev->sent.bytes);
    bool had_room = l->queued < n->lim.window;
    n->queued -= l->stalled ? 0 : l->queued;
    l->stalled = false;
    l->queued -= ev->sent.bytes;
    n->queued += l->queued;
    l->answer_left -= ev->sent.bytes < l->answer_left ? ev->sent.bytes : l->answer_left;
    meter_add(&n->sending, n->now, ev->sent.bytes);
    l->drained = n->now;
    if (n->held_back)
        upload_resume(n);
    link_wake(n, l, had_room && l->gets_count == 0 ? WAKE_BLOCKS : WAKE_ALL);
}

/* ---- messages in ---- */

void link_fault(struct node *n, struct nlink *l, enum err e)
{
    l->faults++;
    if (l->faults > FAULTS_MAX)
        link_close(n, l, e);
}

static void on_hello(struct node *n, struct nlink *l, const struct msg_hello *m)
{
    if (l->phase != LINK_HELLO) {
        link_close(n, l, E_STATE);
        return;
    }
    if (m->min > WIRE_PROTOCOL_MAX || m->max < WIRE_PROTOCOL_MIN || m->min > m->max) {
        link_close(n, l, E_VERSION);
        return;
    }
    l->phase = LINK_READY;
    l->port = m->port;
    l->state_due = true;
    l->offer_due = true;
    l->offer_next = 0;
    l->withdrawn_next = 0;
    l->ask_due = n->conf.role == ROLE_NORMAL || n->conf.role == ROLE_GATEWAY;
    link_wake(n, l, WAKE_ALL);
    if (!l->dialled)
        peers_linked_from(n, l);
    for (uint32_t s = 0; s < n->lim.images; s++) {
        if (release_slot_shared(&n->slots[s]))
            stream_of(n, link_index(n, l), s)->peers_due = true;
    }
}

static void on_open(struct node *n, struct nlink *l, const struct msg_open *m)
{
    uint32_t at = l->far_count, link = link_index(n, l);
    for (uint32_t i = 0; i < l->far_count; i++) {
        if (far_of(n, link, i)->slot == m->slot)
            at = i;
    }
    if (at == FAR_OPENS) {
        link_close(n, l, E_FLOOD);
        return;
    }
    struct far_open *far = far_of(n, link, at);
    if (at < l->far_count && far->mine >= 0 && memcmp(far->manifest, m->manifest, FAR_ID) != 0) {
        link_close(n, l, E_STATE); /* a slot is rebound only after a shut */
        return;
    }
    if (at == l->far_count)
        l->far_count++;
    *far = (struct far_open){.slot = m->slot, .mine = -1};
    memcpy(far->manifest, m->manifest, FAR_ID);
    struct digest id;
    memcpy(id.b, m->manifest, 32);
    struct slot *s = release_by_manifest(n, &id);
    if (s != NULL)
        exchange_resolve(n, l, (uint32_t)(s - n->slots));
    link_wake(n, l, WAKE_ALL);
}

static void on_shut(struct node *n, struct nlink *l, const struct msg_shut *m)
{
    uint32_t link = link_index(n, l);
    for (uint32_t i = 0; i < l->far_count; i++) {
        struct far_open *far = far_of(n, link, i);
        if (far->slot != m->slot)
            continue;
        int32_t mine = far->mine;
        *far = *far_of(n, link, --l->far_count);
        if (l->in_slot == m->slot)
            l->in_slot = -1;
        if (mine >= 0)
            exchange_stream_closed(n, l, (uint32_t)mine);
        return;
    }
}

/* Our slot for one of theirs, or -1: not opened, or nothing that is held here. */
static int32_t far_resolve(const struct node *n, const struct nlink *l, int32_t far_slot)
{
    uint32_t link = link_index(n, l);
    for (uint32_t i = 0; i < l->far_count; i++) {
        if (far_of(n, link, i)->slot == far_slot)
            return far_of(n, link, i)->mine;
    }
    return -1;
}

static void on_offer(struct node *n, struct nlink *l, const struct msg_offer *m)
{
    struct offer o = {.root_version = m->root_version, .sequence = m->sequence};
    memcpy(o.manifest.b, m->manifest, 32);
    memcpy(o.model.b, m->model, 32);
    wants_on_offer(n, l, &o, true);
}

static void on_held(struct node *n, struct nlink *l, const struct msg_held *m)
{
    struct digest id, image;
    memcpy(id.b, m->manifest, 32);
    memcpy(image.b, m->image, 32);
    struct slot *s = release_by_manifest(n, &id);
    if (s == NULL || !n->conf.publish || !l->origin)
        return;
    node_tell(n, TELL_HELD_AT, (uint32_t)(s - n->slots), &image);
}

static void on_block_message(struct node *n, struct nlink *l, const struct wire_msg *m,
                             const struct event *ev)
{
    /* A slot that was shut here while the message was under way: nothing to say about it. */
    int32_t slot = far_resolve(n, l, l->in_slot);
    if (slot >= 0)
        exchange_message(n, l, (uint32_t)slot, m, ev);
}

/* Messages about the link itself and about releases; false when it is none of them. */
static bool dispatch_release(struct node *n, struct nlink *l, const struct wire_msg *m)
{
    if (m->id == MSG_hello)
        on_hello(n, l, &m->hello);
    else if (m->id == MSG_open)
        on_open(n, l, &m->open);
    else if (m->id == MSG_shut)
        on_shut(n, l, &m->shut);
    else if (m->id == MSG_offer)
        on_offer(n, l, &m->offer);
    else if (m->id == MSG_ask)
        version_on_ask(n, l, &m->ask);
    else if (m->id == MSG_answer)
        version_on_answer(n, l, &m->answer);
    else if (m->id == MSG_agree)
        version_on_agree(n, l, &m->agree);
    else if (m->id == MSG_held)
        on_held(n, l, &m->held);
    else if (m->id == MSG_bye)
        log_debug(n->log, "link.bye", "link=%" PRIu32 " err=%s", l->id,
                  m->bye.code < E_COUNT ? err_name((enum err)m->bye.code) : "unknown");
    else
        return false;
    return true;
}

/* Small objects and addresses. */
static bool dispatch_object(struct node *n, struct nlink *l, const struct wire_msg *m,
                            const struct event *ev)
{
    if (m->id == MSG_state)
        wants_on_state(n, l, m->state.root_version, m->state.list_root, m->state.list_version);
    else if (m->id == MSG_get)
        objects_on_get(n, l, &m->get);
    else if (m->id == MSG_data)
        objects_on_data(n, l, &m->data, ev->msg.data);
    else if (m->id == MSG_nodata)
        objects_on_nodata(n, l, &m->nodata);
    else if (m->id == MSG_withdrawn)
        wants_on_withdrawn(n, l, &m->withdrawn);
    else if (m->id == MSG_want_peers)
        peers_on_want(n, l, &m->want_peers);
    else if (m->id == MSG_peers)
        peers_on_list(n, l, &m->peers);
    else
        return false;
    return true;
}

static void dispatch(struct node *n, struct nlink *l, const struct wire_msg *m,
                     const struct event *ev)
{
    if (m->id == MSG_select) {
        l->in_slot = m->select.slot;
        return;
    }
    if (dispatch_release(n, l, m) || dispatch_object(n, l, m, ev)) {
        n->stir = true;
        return;
    }
    if (m->id == MSG_hash_request)
        upload_on_hash_request(n, l, &m->hash_request);
    else if (m->id == MSG_hashes || m->id == MSG_hash_reject)
        exchange_hash_reply(n, l, m, ev);
    else if (m->id == MSG_extended || m->id == MSG_announce)
        link_close(n, l, E_STATE); /* neither belongs on a fleet link */
    else
        on_block_message(n, l, m, ev);
}

void link_message(struct node *n, const struct event *ev)
{
    struct nlink *l = link_find(n, ev->link);
    if (l == NULL || !link_live(l))
        return;
    l->heard = n->now;
    struct wire_msg m;
    enum err e = wire_decode(&m, ev->msg.head);
    /* A newer version of this program may say more than we understand. */
    if (e == E_UNKNOWN && ev->msg.head.n > 0 && wire_ignorable(ev->msg.head.p[0]))
        return;
    if (e != E_OK) {
        link_close(n, l, e);
        return;
    }
    if (l->phase == LINK_HELLO && m.id != MSG_hello && m.id != MSG_bye) {
        link_close(n, l, E_STATE);
        return;
    }
    dispatch(n, l, &m, ev);
}

/* ---- messages out ---- */

void link_emit(struct node *n, struct nlink *l, struct action *act, uint8_t *head,
               const struct wire_msg *m, struct span span)
{
    act->type = ACT_SEND;
    act->link = l->id;
    act->head_len = (uint32_t)wire_encode(m, head);
    act->send.span = span;
    if (l->queued == 0)
        l->drained = n->now;
    l->queued += act->head_len + span.len;
    n->queued += l->stalled ? 0 : act->head_len + span.len;
    l->spoke = n->now;
    link_touch(n, l);
}

static void emit(struct node *n, struct nlink *l, struct action *act, uint8_t *head,
                 const struct wire_msg *m)
{
    link_emit(n, l, act, head, m, (struct span){0, 0, 0});
}

static bool next_offer(struct node *n, struct nlink *l, struct action *act, uint8_t *head)
{
    for (; l->offer_next < n->lim.images; l->offer_next++) {
        const struct slot *s = &n->slots[l->offer_next];
        if (!release_slot_used(s) || !s->newest || s->state == RELEASE_WITHDRAWN)
            continue;
        if (!digest_is_zero(&l->who.model) && !digest_equal(&l->who.model, &s->m.model_id))
            continue;
        l->offer_next++;
        struct wire_msg m = {.id = MSG_offer};
        memcpy(m.offer.model, s->m.model_id.b, 32);
        m.offer.root_version = s->m.root_version;
        m.offer.sequence = s->m.sequence;
        memcpy(m.offer.manifest, s->m.id.b, 32);
        emit(n, l, act, head, &m);
        return true;
    }
    l->offer_due = false;
    return false;
}

static bool next_withdrawn(struct node *n, struct nlink *l, struct action *act, uint8_t *head)
{
    for (; l->withdrawn_next < n->lim.withdrawals; l->withdrawn_next++) {
        const struct withdrawn *w = &n->withdrawals[l->withdrawn_next];
        if (!w->used)
            continue;
        if (!digest_is_zero(&l->who.model) && !digest_equal(&l->who.model, &w->model))
            continue;
        l->withdrawn_next++;
        struct wire_msg m = {.id = MSG_withdrawn};
        memcpy(m.withdrawn.manifest, w->manifest.b, 32);
        emit(n, l, act, head, &m);
        return true;
    }
    return false;
}

static bool next_greeting(struct node *n, struct nlink *l, struct action *act, uint8_t *head)
{
    struct wire_msg m;
    memset(&m, 0, sizeof(m));
    if (l->hello_due) {
        l->hello_due = false;
        m.id = MSG_hello;
        m.hello.min = WIRE_PROTOCOL_MIN;
        m.hello.max = WIRE_PROTOCOL_MAX;
        m.hello.port = n->conf.port;
        emit(n, l, act, head, &m);
        return true;
    }
    if (l->phase != LINK_READY)
        return false;
    /* What is said to be held is durable: the other side may stop telling others because of it. */
    if (l->state_due && n->trust_batch == 0) {
        l->state_due = false;
        m.id = MSG_state;
        m.state.root_version = n->trust.root.version;
        m.state.list_root = n->trust.revoked.root_version;
        m.state.list_version = n->trust.revoked.version;
        emit(n, l, act, head, &m);
        return true;
    }
    /* A stop travels ahead of anything that it stops. */
    if (node_all_saved(n) && next_withdrawn(n, l, act, head))
        return true;
    return l->offer_due && next_offer(n, l, act, head);
}

static bool next_version(struct node *n, struct nlink *l, struct action *act, uint8_t *head)
{
    struct wire_msg m;
    memset(&m, 0, sizeof(m));
    if (l->answer_due) {
        l->answer_due = false;
        version_build_answer(n, l, &m);
    } else if (l->agree_due) {
        l->agree_due = false;
        version_build_agree(n, l, &m);
    } else if (l->ask_due && !l->asked) {
        l->ask_due = false;
        version_build_ask(n, l, &m);
    } else {
        return false;
    }
    emit(n, l, act, head, &m);
    return true;
}

static bool next_peers(struct node *n, struct nlink *l, struct action *act, uint8_t *head)
{
    uint8_t scratch[WIRE_HEAD_MAX];
    for (uint32_t s = 0; s < n->slots_top; s++) {
        struct stream *st = stream_of(n, link_index(n, l), s);
        struct wire_msg m;
        memset(&m, 0, sizeof(m));
        if (!release_slot_used(&n->slots[s]))
            continue;
        if (st->peers_due) {
            st->peers_due = false;
            m.id = MSG_want_peers;
            memcpy(m.want_peers.manifest, n->slots[s].m.id.b, 32);
            uint32_t have = picker_pieces_have(n->slots[s].picker);
            m.want_peers.have = n->slots[s].geo.pieces == 0
                                    ? 0
                                    : (uint8_t)((uint64_t)have * 255 / n->slots[s].geo.pieces);
            m.want_peers.count = n->slots[s].state == RELEASE_FETCHING ? 50 : 8;
            l->peers_asked = n->now;
            l->lists_due++;
        } else if (st->peers_reply) {
            st->peers_reply = false;
            peers_build_reply(n, l, s, &m, scratch);
            l->introduced = l->introduced || m.peers.list.n > 0;
        } else {
            continue;
        }
        emit(n, l, act, head, &m);
        return true;
    }
    return false;
}

static bool next_closing(struct node *n, struct nlink *l, struct action *act, uint8_t *head)
{
    struct wire_msg m;
    memset(&m, 0, sizeof(m));
    if (l->bad_due) {
        l->bad_due = false;
        if (upload_select(n, l, l->bad_slot, act, head)) {
            l->bad_due = true;
            return true;
        }
        m.id = MSG_bad_block;
        m.bad_block.block = l->bad_block;
        emit(n, l, act, head, &m);
        return true;
    }
    if (l->bye_due) {
        l->bye_due = false;
        m.id = MSG_bye;
        m.bye.code = (uint8_t)l->close_err;
        emit(n, l, act, head, &m);
        return true;
    }
    if (!l->close_due)
        return false;
    l->close_due = false;
    act->type = ACT_CLOSE;
    act->link = l->id;
    act->err = l->close_err;
    return true;
}

bool link_next(struct node *n, struct nlink *l, struct action *act, uint8_t *head)
{
    if (l->phase == LINK_CLOSING)
        return next_closing(n, l, act, head);
    if (!link_live(l) || !link_has_credit(n, l))
        return false; /* when there is credit again, it is woken for all */
    if (l->wake & WAKE_TALK) {
        if (next_greeting(n, l, act, head))
            return true;
        if (l->phase != LINK_READY)
            return false;
        if (next_version(n, l, act, head) || objects_next(n, l, act, head) ||
            wants_next(n, l, act, head) || next_peers(n, l, act, head))
            return true;
        l->wake &= (uint8_t)~WAKE_TALK;
    }
    if (l->phase != LINK_READY)
        return false;
    if (l->wake & WAKE_STREAMS) {
        if (upload_next_control(n, l, act, head))
            return true;
        l->wake &= (uint8_t)~WAKE_STREAMS;
    }
    if (upload_next_reject(n, l, act, head) || ask_next(n, l, act, head))
        return true;
    return l->queued < n->lim.window && upload_next_block(n, l, act, head);
}

/* ---- time ---- */

usec link_deadline(const struct node *n, const struct nlink *l)
{
    if (!link_live(l))
        return USEC_NEVER;
    if (l->phase == LINK_HELLO)
        return l->since + HELLO_TIMEOUT;
    usec t = l->heard + IDLE_CLOSE;
    usec say = l->spoke + IDLE_SAY;
    t = say < t ? say : t;
    if (l->queued > 0 && l->drained + DRAIN_TIMEOUT < t)
        t = l->drained + DRAIN_TIMEOUT;
    if (links_crowded(n) && link_spare(n, l)) {
        usec spare = spare_at(l);
        spare = spare > n->now ? spare : n->now + SEC / 4;
        t = spare < t ? spare : t;
    }
    usec u = upload_deadline(n, l);
    t = u < t ? u : t;
    usec x = ask_deadline(n, l);
    return x < t ? x : t;
}

void link_time(struct node *n, struct nlink *l)
{
    if (!link_live(l))
        return;
    if ((l->phase == LINK_HELLO && n->now >= l->since + HELLO_TIMEOUT) ||
        n->now >= l->heard + IDLE_CLOSE ||
        (l->queued > 0 && n->now >= l->drained + DRAIN_TIMEOUT)) {
        link_close(n, l, E_TIMEOUT);
        return;
    }
    if (links_crowded(n))
        link_make_room(n);
    if (!link_live(l))
        return;
    if (l->phase == LINK_READY && n->now >= l->spoke + IDLE_SAY) {
        l->state_due = true;
        l->spoke = n->now;
    }
    link_wake(n, l, WAKE_ALL);
    upload_time(n, l);
    ask_time(n, l);
}
