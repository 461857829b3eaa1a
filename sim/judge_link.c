/* What a node says to a neighbour and asks of it.
 *
 * A claim to hold something is compared with what was durable when it was made.  A request is
 * remembered until it is answered, taken back or forgotten with its link: whoever waits for a block
 * that it has already, or asks one whose blocks were bad, is found out by that. */
#include "judge.h"

#include "net.h"
#include "record.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define NOT_LATE     (2 * SEC) /* the shortest deadline of a request */
#define FORGOTTEN    (1200 * SEC)
#define CANCELS_MAX  8u /* of one link at once */
#define CREDIT_EVERY 64u
#define SERVED_LEAST 4u /* neighbours at once, when so many want something */
#define STARVED_TIME (30 * SEC)
#define ASKS_FIRST   8u

/* ---- ends ---- */

static struct judge_end *end_of(const struct world *w, uint32_t node, uint32_t link)
{
    uint32_t at = net_end_place(link);
    if (at >= w->judge->ends_cap)
        return NULL;
    struct judge_end *e = &w->judge->end[at];
    return e->link == link && e->node == node && e->boot == w->node[node].boot ? e : NULL;
}

/* The same by place; a link of an earlier boot is no more, though nobody heard of its end. */
static struct judge_end *end_at(const struct world *w, uint32_t node, uint32_t place)
{
    struct judge_end *e = place < w->judge->ends_cap ? &w->judge->end[place] : NULL;
    return e != NULL && e->link != 0 && e->node == node && e->boot == w->node[node].boot ? e : NULL;
}

/* ---- requests ---- */

static struct judge_ask *ask_at(const struct judge_end *e, uint32_t i)
{
    return &e->ask[(e->first + i) & (e->cap - 1)];
}

/* Counts a request that begins to wait (by = 1) or ends (by = -1). */
static void count_ask(struct world *w, const struct judge_end *e, const struct judge_ask *a, int by)
{
    uint8_t **asked = &judge_of(w, e->node)->asked[a->release];
    if (*asked == NULL)
        *asked = sim_alloc(w->release[a->release].geo.blocks, 1);
    (*asked)[a->block] = (uint8_t)((*asked)[a->block] + by);
}

static void drop_first(struct world *w, struct judge_end *e)
{
    count_ask(w, e, ask_at(e, 0), -1);
    e->first++;
    e->count--;
}

static void drop_all(struct world *w, struct judge_end *e)
{
    while (e->count > 0)
        drop_first(w, e);
}

static void ask_add(struct world *w, struct judge_end *e, uint8_t release, uint32_t block)
{
    while (e->count > 0 && ask_at(e, 0)->at + FORGOTTEN < w->now)
        drop_first(w, e);
    if (e->count == e->cap) {
        uint32_t cap = e->cap > 0 ? e->cap * 2 : ASKS_FIRST;
        struct judge_ask *ask = sim_alloc(cap, sizeof(*ask));
        for (uint32_t i = 0; i < e->count; i++)
            ask[i] = *ask_at(e, i);
        free(e->ask);
        e->ask = ask;
        e->cap = cap;
        e->first = 0;
    }
    struct judge_ask *a = ask_at(e, e->count++);
    *a = (struct judge_ask){.block = block, .release = release, .at = w->now};
    count_ask(w, e, a, 1);
}

static uint32_t ask_find(const struct judge_end *e, uint8_t release, uint32_t block)
{
    for (uint32_t i = 0; i < e->count; i++)
        if (ask_at(e, i)->block == block && ask_at(e, i)->release == release)
            return i;
    return NONE;
}

/* The same block may be asked of the same neighbour again, when the first request was late. */
static uint32_t ask_find_last(const struct judge_end *e, uint8_t release, uint32_t block)
{
    for (uint32_t i = e->count; i-- > 0;)
        if (ask_at(e, i)->block == block && ask_at(e, i)->release == release)
            return i;
    return NONE;
}

/* Answers come in order most of the time, so the first is removed at no cost. */
static void ask_remove(struct world *w, struct judge_end *e, uint32_t i)
{
    struct judge_ask gone = *ask_at(e, i);
    for (; i > 0; i--)
        *ask_at(e, i) = *ask_at(e, i - 1);
    *ask_at(e, 0) = gone;
    drop_first(w, e);
}

static void asks_forget(struct world *w, struct judge_end *e, uint8_t release)
{
    for (uint32_t i = e->count; i-- > 0;)
        if (ask_at(e, i)->release == release)
            ask_remove(w, e, i);
}

static uint32_t asks_doomed(const struct judge_end *e)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < e->count; i++)
        count += ask_at(e, i)->doomed;
    return count;
}

/* ---- who is served ---- */

static uint32_t bits_of(uint32_t bits)
{
    uint32_t count = 0;
    for (; bits != 0; bits &= bits - 1)
        count++;
    return count;
}

/* All changes go through here, so that the sums are right. */
static void end_serves(struct world *w, struct judge_end *e, uint32_t wants, uint32_t greeted,
                       uint32_t serves)
{
    struct judge_node *n = judge_of(w, e->node);
    n->waiting -= bits_of(e->wants & e->greeted & ~(uint32_t)e->serves);
    n->served -= bits_of(e->serves);
    e->wants = (uint16_t)wants;
    e->greeted = (uint16_t)greeted;
    e->serves = (uint16_t)serves;
    n->waiting += bits_of(wants & greeted & ~serves);
    n->served += bits_of(serves);
    bool starved = n->waiting > 0 && n->served < SERVED_LEAST;
    if (!starved)
        n->starved_at = USEC_NEVER;
    else if (n->starved_at == USEC_NEVER)
        n->starved_at = w->now;
}

static void end_unserves(struct world *w, struct judge_end *e, uint32_t slots)
{
    e->opened = (uint16_t)(e->opened & ~slots);
    end_serves(w, e, e->wants & ~slots, e->greeted & ~slots, e->serves & ~slots);
}

void judge_unserve(struct world *w, uint32_t node, uint32_t slot)
{
    for (uint32_t id = w->node[node].ends; id != NONE; id = net_end_next(w, id)) {
        struct judge_end *e = end_at(w, node, id);
        if (e != NULL)
            end_unserves(w, e, 1u << slot);
    }
}

/* This node's slots that hold a release, as bits. */
static uint32_t slots_of(const struct world *w, uint32_t node, uint8_t release)
{
    const struct judge_node *n = judge_of(w, node);
    uint32_t bits = 0;
    for (uint32_t i = 0; release != JUDGE_NONE && i < w->node[node].limits->images; i++)
        bits |= n->slot[i].release == release ? 1u << i : 0;
    return bits;
}

/* Has this slot something to give? */
static bool slot_gives(const struct world *w, uint32_t node, uint32_t slot)
{
    struct node_image_status st;
    return node_image_status(w->node[node].core, slot, &st) && st.pieces_have > 0 &&
           judge_in_use(st.state);
}

static bool still_fetching(const struct world *w, uint32_t node, uint8_t release)
{
    const struct judge_node *n = judge_of(w, node);
    for (uint32_t i = 0; i < w->node[node].limits->images; i++) {
        struct node_image_status st;
        if (n->slot[i].release == release && node_image_status(w->node[node].core, i, &st) &&
            digest_equal(&st.manifest->id, &w->release[release].manifest.id))
            return st.state == RELEASE_FETCHING;
    }
    return false;
}

/* Must the other still be served of one of these slots of ours?  One that means harm or whose disk
 * rots may have taken enough; one that is whole, or lost its power, may not have said so yet. */
static bool is_owed(const struct world *w, uint32_t node, uint32_t far, uint32_t slots)
{
    if (!is_sound(w, far) || w->node[far].core == NULL)
        return false;
    for (uint32_t i = 0; i < w->node[node].limits->images; i++) {
        uint8_t release = judge_of(w, node)->slot[i].release;
        if ((slots >> i & 1) != 0 && release != JUDGE_NONE && still_fetching(w, far, release))
            return true;
    }
    return false;
}

void judge_starved(struct world *w, uint32_t node)
{
    struct judge_node *n = judge_of(w, node);
    if (n->starved_at == USEC_NEVER || w->now < n->starved_at + STARVED_TIME)
        return;
    n->starved_at = w->now;
    uint32_t giving = 0;
    for (uint32_t i = 0; i < w->node[node].limits->images; i++)
        giving |= slot_gives(w, node, i) ? 1u << i : 0;
    for (uint32_t id = w->node[node].ends; id != NONE; id = net_end_next(w, id)) {
        const struct judge_end *e = end_at(w, node, id);
        uint32_t waits = e != NULL ? e->wants & e->greeted & ~(uint32_t)e->serves & giving : 0;
        if (waits == 0 || !is_owed(w, node, e->far, waits))
            continue;
        check_failed(w, node, "serves %u neighbours while node %u waits", n->served, e->far);
        return;
    }
}

/* ---- links ---- */

void judge_up(struct world *w, uint32_t node, const struct event *ev)
{
    uint32_t at = net_end_place(ev->link);
    sim_grow(&w->judge->end, &w->judge->ends_cap, at + 1, sizeof(*w->judge->end));
    struct judge_end *e = &w->judge->end[at];
    *e = (struct judge_end){.link = ev->link,
                            .node = node,
                            .boot = w->node[node].boot,
                            .far = net_far(w, node, ev->link),
                            .out_slot = -1,
                            .in_slot = -1,
                            .ask = e->ask,
                            .cap = e->cap};
    memset(e->open, JUDGE_NONE, sizeof(e->open));
}

void judge_closes(struct world *w, uint32_t node, uint32_t link)
{
    struct judge_end *e = end_of(w, node, link);
    if (e != NULL)
        drop_all(w, e);
}

void judge_down(struct world *w, uint32_t node, const struct event *ev)
{
    struct judge_end *e = ev->link != 0 ? end_of(w, node, ev->link) : NULL;
    if (e == NULL)
        return;
    drop_all(w, e);
    end_unserves(w, e, UINT16_MAX);
    e->link = 0;
}

/* ---- what is heard ---- */

static uint8_t far_release(const struct judge_end *e)
{
    return e->in_slot >= 0 && e->in_slot < (int32_t)JUDGE_OPENS ? e->open[e->in_slot] : JUDGE_NONE;
}

/* A block came: whoever else was asked for it has to hear that it is not wanted any more. */
static void doom(struct world *w, uint32_t node, const struct judge_end *from, uint8_t release,
                 uint32_t block)
{
    struct judge_node *n = judge_of(w, node);
    for (uint32_t id = w->node[node].ends; id != NONE; id = net_end_next(w, id)) {
        struct judge_end *e = end_at(w, node, id);
        if (e == NULL || e == from || e->count == 0)
            continue;
        uint32_t i = ask_find_last(e, release, block);
        if (i == NONE || ask_at(e, i)->at + NOT_LATE <= w->now || n->dooms == JUDGE_DOOMS)
            continue;
        ask_at(e, i)->doomed = true;
        n->doomed[n->dooms++] = id;
    }
}

static void heard_piece(struct world *w, uint32_t node, struct judge_end *e, struct bytes head)
{
    struct wire_msg m;
    uint8_t release = far_release(e);
    if (release == JUDGE_NONE || wire_decode(&m, head) != E_OK)
        return;
    const struct geometry *g = &w->release[release].geo;
    if (m.piece.piece >= g->pieces || m.piece.begin % BLOCK_LEN != 0)
        return;
    uint32_t block = m.piece.piece * g->piece_blocks + m.piece.begin / BLOCK_LEN;
    uint32_t i = ask_find(e, release, block);
    if (i == NONE)
        return;
    bool late = ask_at(e, i)->at + NOT_LATE <= w->now;
    /* A late request may have been given up: then this answers the one that followed it. */
    for (; i != NONE; i = late ? ask_find(e, release, block) : NONE)
        ask_remove(w, e, i);
    if (m.id == MSG_piece && !late && judge_of(w, node)->asked[release][block] > 0)
        doom(w, node, e, release, block);
}

void judge_heard(struct world *w, uint32_t node, const struct event *ev)
{
    struct judge_node *n = judge_of(w, node);
    struct judge_end *e = end_of(w, node, ev->link);
    struct wire_msg m;
    struct digest id;
    uint32_t slots;
    if (e == NULL || ev->msg.head.n == 0)
        return;
    n->lent_from = e->far;
    n->lent_link = e->link;
    switch (ev->msg.head.p[0]) {
    case MSG_piece:
    case MSG_reject:
        heard_piece(w, node, e, ev->msg.head);
        return;
    case MSG_select:
        if (wire_decode(&m, ev->msg.head) == E_OK)
            e->in_slot = m.select.slot;
        return;
    case MSG_open:
    case MSG_shut:
        if (wire_decode(&m, ev->msg.head) != E_OK || m.open.slot >= JUDGE_OPENS)
            return;
        if (m.id == MSG_shut) {
            asks_forget(w, e, e->open[m.shut.slot]);
            slots = e->opened;
            end_unserves(w, e, slots_of(w, node, e->open[m.shut.slot]));
            e->opened = (uint16_t)slots;
            e->open[m.shut.slot] = JUDGE_NONE;
            return;
        }
        memcpy(id.b, m.open.manifest, sizeof(id.b));
        e->open[m.open.slot] = judge_release_of(w, &id);
        return;
    case MSG_interested:
    case MSG_not_interested:
        /* What crosses a shut of ours is not heard. */
        slots = slots_of(w, node, far_release(e)) & e->opened;
        end_serves(w, e, ev->msg.head.p[0] == MSG_interested ? e->wants | slots : e->wants & ~slots,
                   e->greeted, e->serves);
        return;
    case MSG_answer:
        judge_answered(w, node, e->far);
        return;
    default:
        return;
    }
}

/* ---- what is said ---- */

static struct judge_slot *out_slot(const struct world *w, uint32_t node, const struct judge_end *e)
{
    if (e->out_slot < 0 || e->out_slot >= (int32_t)w->node[node].limits->images)
        return NULL;
    return &judge_of(w, node)->slot[e->out_slot];
}

static void claims_piece(struct world *w, uint32_t node, const struct judge_slot *s, uint32_t piece)
{
    if (!judge_has_piece(w, s, piece))
        check_failed(w, node, "says that it holds piece %u, which is not durable", piece);
}

static void claims_map(struct world *w, uint32_t node, const struct judge_slot *s, uint32_t first,
                       struct bytes map)
{
    for (size_t i = 0; i < map.n; i++) {
        uint32_t byte = map.p[i];
        for (uint32_t bit = 0; byte != 0; bit++, byte = byte << 1 & 0xffu) {
            if ((byte & 0x80u) != 0)
                claims_piece(w, node, s, first + (uint32_t)i * 8 + bit);
        }
    }
}

static void says_claim(struct world *w, uint32_t node, const struct judge_end *e,
                       const struct wire_msg *m)
{
    const struct judge_slot *s = out_slot(w, node, e);
    if (s == NULL || s->release == JUDGE_NONE) {
        check_failed(w, node, "speaks of what it holds in a slot in which nothing is");
        return;
    }
    if (m->id == MSG_have)
        claims_piece(w, node, s, m->have.piece);
    else if (m->id == MSG_haves)
        claims_map(w, node, s, m->haves.first, m->haves.map);
    else if (m->id == MSG_bitfield)
        claims_map(w, node, s, 0, m->bitfield.map);
    else if (s->have != w->release[s->release].geo.blocks)
        check_failed(w, node, "says that it holds all, and %u of %u blocks are durable", s->have,
                     w->release[s->release].geo.blocks);
}

static void says_request(struct world *w, uint32_t node, struct judge_end *e,
                         const struct msg_request *q)
{
    const struct judge_slot *s = out_slot(w, node, e);
    if (s == NULL || s->release == JUDGE_NONE)
        return;
    const struct geometry *g = &w->release[s->release].geo;
    uint32_t block = q->piece * g->piece_blocks + q->begin / BLOCK_LEN;
    if (q->piece >= g->pieces || block >= g->blocks || q->length != geometry_block_len(g, block)) {
        check_failed(w, node, "asks for piece %u at %u, which there is not", q->piece, q->begin);
        return;
    }
    if (judge_has(s, block) && !w->node[node].rotten && !w->judge->reads_fail)
        check_failed(w, node, "asks for block %u, which it holds", block);
    if (judge_is_blamed(w, node, e->far))
        check_failed(w, node, "asks node %u, which sent it a bad block", e->far);
    ask_add(w, e, s->release, block);
    uint32_t most = w->node[node].limits->requests;
    if (e->count > most && ask_at(e, e->count - 1 - most)->at + NOT_LATE > w->now)
        check_failed(w, node, "asks for more than %u blocks at once", most);
}

static void says_cancel(struct world *w, uint32_t node, struct judge_end *e,
                        const struct msg_cancel *q)
{
    const struct judge_slot *s = out_slot(w, node, e);
    if (s == NULL || s->release == JUDGE_NONE)
        return;
    uint32_t block = q->piece * w->release[s->release].geo.piece_blocks + q->begin / BLOCK_LEN;
    uint32_t i = ask_find_last(e, s->release, block);
    if (i != NONE)
        ask_remove(w, e, i);
}

/* A manifest that is spoken of is the vendor's, and not known to be withdrawn. */
static void says_release(struct world *w, uint32_t node, const uint8_t id[static 32],
                         const char *verb)
{
    struct digest d;
    memcpy(d.b, id, sizeof(d.b));
    uint8_t r = judge_release_of(w, &d);
    if (r == JUDGE_NONE)
        check_failed(w, node, "%s what the vendor did not sign", verb);
    else if (judge_stopped(w, node, r))
        check_failed(w, node, "%s %s, which it knows to be withdrawn", verb,
                     w->release[r].manifest.version);
}

static void says_block(struct world *w, uint32_t node, const struct judge_end *e,
                       const struct body *body)
{
    const struct judge_slot *s = out_slot(w, node, e);
    if (body == NULL || s == NULL || s->release == JUDGE_NONE)
        return;
    if (judge_stopped(w, node, s->release))
        check_failed(w, node, "serves %s, which it knows to be withdrawn",
                     w->release[s->release].manifest.version);
    if (!judge_has(s, (uint32_t)(body->off / BLOCK_LEN)))
        check_failed(w, node, "serves block %" PRIu64 ", which was never stored",
                     body->off / BLOCK_LEN);
}

/* What is said to be trusted is durable: others may stop telling because of it. */
static void says_state(struct world *w, uint32_t node, const struct msg_state *m)
{
    const struct disk *d = &w->node[node].disk;
    if (m->root_version > 1 && record_find(d, object_id(OBJ_ROOT, m->root_version)) == NULL)
        check_failed(w, node, "says that it holds root %u, which is not durable", m->root_version);
    if (m->list_version > 0 && record_find(d, object_id(OBJ_REVOCATIONS, 0)) == NULL)
        check_failed(w, node, "says that it holds a revocation list, which is not durable");
}

static void says_stop(struct world *w, uint32_t node, const struct msg_withdrawn *m)
{
    struct digest id;
    memcpy(id.b, m->manifest, sizeof(id.b));
    uint8_t r = judge_release_of(w, &id);
    const struct disk *d = &w->node[node].disk;
    for (size_t i = 0; r != JUDGE_NONE && i < d->records; i++) {
        const struct blob *b = d->record[i].blob, *stop = w->release[r].withdrawal;
        if (object_kind_of(d->record[i].object) == OBJ_WITHDRAWAL && stop != NULL &&
            b->len == stop->len && memcmp(b->data, stop->data, b->len) == 0)
            return;
    }
    check_failed(w, node, "says that it holds a stop, which is not durable");
}

static void says_blame(struct world *w, uint32_t node, const struct judge_end *e,
                       const struct wire_msg *m)
{
    if (m->id == MSG_bye && m->bye.code != E_BANNED)
        return;
    if (is_sound(w, e->far))
        check_failed(w, node, "blames node %u, which is honest and has an honest disk", e->far);
}

/* Greetings and turns. */
static void says_turn(struct world *w, uint32_t node, struct judge_end *e, const struct wire_msg *m)
{
    if (e->out_slot < 0 || e->out_slot >= (int32_t)w->node[node].limits->images)
        return;
    uint32_t slot = 1u << e->out_slot;
    if (m->id == MSG_unchoke)
        end_serves(w, e, e->wants, e->greeted, e->serves | slot);
    else if (m->id == MSG_choke)
        end_serves(w, e, e->wants, e->greeted, e->serves & ~slot);
    else
        end_serves(w, e, e->wants, e->greeted | slot, e->serves);
}

void judge_says(struct world *w, uint32_t node, uint32_t link, const struct wire_msg *m,
                const struct body *body)
{
    struct judge_end *e = end_of(w, node, link);
    if (e == NULL)
        return;
    if (m->id == MSG_select) {
        e->out_slot = m->select.slot;
    } else if (m->id == MSG_shut) {
        if (m->shut.slot < w->node[node].limits->images && e->out_slot == m->shut.slot)
            e->out_slot = -1;
        if (m->shut.slot < w->node[node].limits->images)
            end_unserves(w, e, 1u << m->shut.slot);
        drop_all(w, e); /* what was asked for in that slot is forgotten; the rest is not judged */
    } else if (m->id == MSG_have || m->id == MSG_haves || m->id == MSG_bitfield ||
               m->id == MSG_have_all) {
        says_claim(w, node, e, m);
        if (m->id == MSG_bitfield || m->id == MSG_have_all)
            says_turn(w, node, e, m);
    } else if (m->id == MSG_have_none || m->id == MSG_unchoke || m->id == MSG_choke) {
        says_turn(w, node, e, m);
    } else if (m->id == MSG_request) {
        says_request(w, node, e, &m->request);
    } else if (m->id == MSG_cancel) {
        says_cancel(w, node, e, &m->cancel);
    } else if (m->id == MSG_piece) {
        says_block(w, node, e, body);
    } else if (m->id == MSG_open) {
        says_release(w, node, m->open.manifest, "opens");
        if (m->open.slot < w->node[node].limits->images)
            e->opened = (uint16_t)(e->opened | 1u << m->open.slot);
    } else if (m->id == MSG_offer) {
        says_release(w, node, m->offer.manifest, "offers");
    } else if (m->id == MSG_held) {
        says_release(w, node, m->held.manifest, "says that it holds");
    } else if (m->id == MSG_state) {
        says_state(w, node, &m->state);
    } else if (m->id == MSG_withdrawn) {
        says_stop(w, node, &m->withdrawn);
    } else if (m->id == MSG_bad_block || m->id == MSG_bye) {
        says_blame(w, node, e, m);
    }
}

/* A datagram is an announcement, of nothing or of what the vendor signed. */
void judge_casts(struct world *w, uint32_t node, struct bytes head)
{
    struct wire_msg m;
    if (wire_decode(&m, head) != E_OK || m.id != MSG_announce)
        check_failed(w, node, "tells the LAN what is no announcement");
    else if (m.announce.root_version != 0)
        says_release(w, node, m.announce.manifest, "announces");
}

/* ---- after a drain ---- */

void judge_cancels(struct world *w, uint32_t node)
{
    struct judge_node *n = judge_of(w, node);
    for (uint32_t k = 0; k < n->dooms; k++) {
        struct judge_end *e = end_at(w, node, n->doomed[k]);
        if (e == NULL)
            continue;
        /* A link that takes nothing now is told later; one that has much to take back, in part. */
        bool excused = asks_doomed(e) >= CANCELS_MAX ||
                       net_queued(w, node, e->link) >= w->node[node].limits->window;
        for (uint32_t i = 0; i < e->count; i++) {
            struct judge_ask *a = ask_at(e, i);
            if (!a->doomed)
                continue;
            a->doomed = false;
            if (!excused && still_fetching(w, node, a->release))
                check_failed(w, node,
                             "goes on asking node %u for block %u, which came from another", e->far,
                             a->block);
        }
    }
    n->dooms = 0;
}

/* What the core counts as queued is what the network has. */
void judge_credit(struct world *w, uint32_t node)
{
    struct judge_node *n = judge_of(w, node);
    struct node_link_status st;
    n->check_credit = false;
    if (++n->sents % CREDIT_EVERY != 1)
        return;
    for (uint32_t i = 0; node_link_status(w->node[node].core, i, &st); i++) {
        uint64_t queued = net_queued(w, node, st.link);
        if (queued != UINT64_MAX && queued != st.queued)
            check_failed(w, node, "counts %u bytes queued on a link that has %" PRIu64, st.queued,
                         queued);
    }
}
