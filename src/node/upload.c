/* Block exchange, the giving side: opening slots, saying what is held, whom to serve, serving.
 *
 * Uploads are unchoked by events: UPLOAD_SLOTS neighbours are served at once, a few more while the
 * uplink has room, the most deprived first, and one that took its share makes room for a more
 * deprived one that waits.  What was asked before a choke is still served, so no ask is wasted.
 * Payload leaves only as a span: the host reads it, and reads only what it verified. */
#include "node/internal.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#define QUANTUM_BLOCKS   16u
#define IDLE_TIME        (SEC / 2)
#define QUEUE_LEAST      BLOCK_LEN
#define STALL_SHORTEST   (SEC / 2)
#define STALL_LONGEST    (4 * SEC)
#define REACTS_UNKNOWN   SEC
#define REACTS_MOST      (4 * SEC)
#define WIDEN_AFTER      (SEC / 2)
#define WIDEN_PAUSE      (SEC / 50)
#define QUANTUM_TIME     SEC /* a turn costs a round trip, so it is worth a while */
#define CHOKE_GRACE      SEC /* requests that crossed a choke are still served */
#define FALSE_CLAIMS_MAX 2u
#define HAVES_MAP        256u

bool upload_select(struct node *n, struct nlink *l, uint32_t slot, struct action *act,
                   uint8_t *head)
{
    if (l->out_slot == (int32_t)slot)
        return false;
    l->out_slot = (int32_t)slot;
    struct wire_msg m;
    memset(&m, 0, sizeof(m));
    m.id = MSG_select;
    m.select.slot = (uint16_t)slot;
    link_emit(n, l, act, head, &m, (struct span){0, 0, 0});
    return true;
}

/* ---- what waits ---- */

/* Behind the others of its link; there is room. */
static void upload_push(struct node *n, struct nlink *l, uint32_t slot, uint32_t block, bool reject,
                        bool choked)
{
    uint16_t i = n->uploads_free;
    if (i != LIST_END)
        n->uploads_free = n->uploads[i].next;
    else
        i = n->uploads_used++;
    assert(i < uploads_most(&n->lim));
    n->uploads[i] = (struct upload){.block = block,
                                    .next = LIST_END,
                                    .slot = (uint8_t)slot,
                                    .reject = reject,
                                    .choked = choked};
    l->uploads_choked += choked;
    if (l->uploads_count++ == 0)
        l->uploads_head = i;
    else
        n->uploads[l->uploads_tail].next = i;
    l->uploads_tail = i;
}

static struct upload upload_pop(struct node *n, struct nlink *l)
{
    assert(l->uploads_count > 0);
    uint16_t i = l->uploads_head;
    struct upload u = n->uploads[i];
    l->uploads_head = u.next;
    l->uploads_count--;
    l->uploads_choked -= u.choked;
    n->uploads[i].next = n->uploads_free;
    n->uploads_free = i;
    return u;
}

/* ---- whom to serve ---- */

/* It says that it holds this; it has no need of it. */
static bool far_holds(const struct stream *st, uint32_t piece)
{
    return st->far_greeted && bits_get(st->bits, piece);
}

/* Lower = more deprived.  What we served counts too, so that nobody gains by hiding what it has. */
static uint64_t deprivation(const struct node *n, uint32_t slot, const struct stream *st)
{
    uint64_t declared = (uint64_t)st->far_have * n->slots[slot].geo.piece_blocks;
    uint64_t taken = taken_lately(&st->taken, n->now);
    return declared > taken ? declared : taken;
}

/* It took more than an image is worth; nothing of it is served for a while. */
static bool greedy(const struct node *n, uint32_t slot, const struct stream *st)
{
    uint32_t most = taken_most(n->slots[slot].geo.blocks);
    return st->taken.blocks >= most && taken_lately(&st->taken, n->now) >= most;
}

static bool candidate(const struct node *n, uint32_t link, uint32_t slot)
{
    const struct stream *st = stream_of(n, link, slot);
    return link_live(&n->links[link]) && stream_live(st) && st->greeted && st->far_want &&
           !st->unchoked && st->far_have < n->slots[slot].geo.pieces && !greedy(n, slot, st) &&
           release_slot_shared(&n->slots[slot]) && picker_pieces_have(n->slots[slot].picker) > 0;
}

static bool find_deprived(struct node *n, uint32_t *link, uint32_t *slot, uint64_t *value)
{
    uint32_t total = n->links_top * n->slots_top;
    uint32_t start = total > 0 ? rng_below(&n->rng, total) : 0;
    bool found = false;
    for (uint32_t k = 0; k < total; k++) {
        uint32_t at = start + k < total ? start + k : start + k - total;
        uint32_t i = at / n->slots_top, s = at % n->slots_top;
        if (!candidate(n, i, s))
            continue;
        uint64_t d = deprivation(n, s, stream_of(n, i, s));
        if (found && d >= *value)
            continue;
        found = true;
        *value = d;
        *link = i;
        *slot = s;
    }
    return found;
}

/* A turn begins with a round trip in which nothing is asked. */
static usec reacts(const struct nlink *l)
{
    return l->reacts != 0 ? l->reacts : REACTS_UNKNOWN;
}

static usec idle_at(const struct nlink *l, const struct stream *st)
{
    return st->turned >= st->asked ? st->turned + reacts(l) + IDLE_TIME : st->asked + IDLE_TIME;
}

/* Served, and asks for nothing: its place is another's as soon as one waits. */
static bool idle(const struct node *n, uint32_t link, const struct stream *st)
{
    return n->links[link].uploads_count == 0 && n->now >= idle_at(&n->links[link], st);
}

/* Is there room for another upload?  UPLOAD_SLOTS keep a turn short when the uplink is full.  When
 * it has not been for a while, on long paths say, one more is served at a time. */
static bool place_free(const struct node *n)
{
    return n->unchoked < UPLOAD_SLOTS ||
           (n->unchoked < UPLOAD_SLOTS_MOST && !n->held_back &&
            n->now >= n->busy_at + WIDEN_AFTER && n->now >= n->widened_at + WIDEN_PAUSE);
}

/* A turn begins or ends. */
static void turn(struct node *n, uint32_t link, struct stream *st, bool serve)
{
    assert(st->unchoked != serve);
    st->unchoked = serve;
    st->turned = n->now;
    n->unchoked = serve ? n->unchoked + 1 : n->unchoked - 1;
    n->links[link].serves = serve ? n->links[link].serves + 1 : n->links[link].serves - 1;
}

static void serve(struct node *n, uint32_t link, uint32_t slot)
{
    struct stream *st = stream_of(n, link, slot);
    if (n->unchoked >= UPLOAD_SLOTS)
        n->widened_at = n->now;
    turn(n, link, st, true);
    st->served = 0;
    link_wake(n, &n->links[link], WAKE_ALL);
}

void upload_plan(struct node *n)
{
    uint32_t link = 0, slot = 0;
    uint64_t value = 0;
    bool waiting = find_deprived(n, &link, &slot, &value);
    for (uint32_t i = 0; i < n->links_top && n->unchoked > 0; i++) {
        for (uint32_t s = 0; s < n->slots_top && n->links[i].serves > 0; s++) {
            struct stream *st = stream_of(n, i, s);
            if (st->unchoked && (!st->far_want || (waiting && idle(n, i, st)))) {
                turn(n, i, st, false);
                link_wake(n, &n->links[i], WAKE_ALL);
            }
        }
    }
    while (waiting && place_free(n)) {
        serve(n, link, slot);
        waiting = find_deprived(n, &link, &slot, &value);
    }
    n->widen_due = USEC_NEVER;
    if (waiting && n->unchoked < UPLOAD_SLOTS_MOST) {
        usec at = (n->held_back ? n->now : n->busy_at) + WIDEN_AFTER,
             next = n->widened_at + WIDEN_PAUSE;
        n->widen_due = at > next ? at : next;
    }
}

/* After a block was served: has this neighbour had its share while a more deprived one waits? */
static void rotate(struct node *n, const struct nlink *l, uint32_t slot, struct stream *st)
{
    uint32_t quantum = n->slots[slot].geo.piece_blocks;
    if (quantum < QUANTUM_BLOCKS)
        quantum = QUANTUM_BLOCKS;
    usec least = 4 * l->reacts;
    if (!st->unchoked || st->served < quantum ||
        n->now < st->turned + (least > QUANTUM_TIME ? least : QUANTUM_TIME))
        return;
    st->served = 0;
    uint32_t link, s;
    uint64_t value;
    bool crowd = n->unchoked > UPLOAD_SLOTS && n->now < n->busy_at + WIDEN_AFTER;
    if (!find_deprived(n, &link, &s, &value) || (value > deprivation(n, slot, st) && !crowd))
        return;
    turn(n, link_index(n, l), st, false);
    upload_plan(n);
}

/* Enough: what waits is refused, and the place is another's. */
static void enough(struct node *n, struct nlink *l, uint32_t slot, struct stream *st)
{
    char hex[9];
    hex_encode(hex, l->who.node.b, 4);
    log_warn(n->log, "peer.greedy", "peer=%s version=%s blocks=%" PRIu32 " of=%" PRIu32, hex,
             n->slots[slot].m.version, st->taken.blocks, n->slots[slot].geo.blocks);
    for (uint32_t i = l->uploads_head, left = l->uploads_count; left > 0; left--) {
        if (n->uploads[i].slot == slot)
            n->uploads[i].reject = true;
        i = n->uploads[i].next;
    }
    if (!st->unchoked)
        return;
    turn(n, link_index(n, l), st, false);
    upload_plan(n);
    link_wake(n, l, WAKE_ALL);
}

void upload_stream_here(struct node *n, struct nlink *l, uint32_t slot)
{
    stream_of(n, link_index(n, l), slot)->taken =
        tally_find(&n->tally, &l->who.node, &n->slots[slot].m.tree_root);
}

void upload_stream_gone(struct node *n, struct nlink *l, uint32_t slot)
{
    struct stream *st = stream_of(n, link_index(n, l), slot);
    if (st->unchoked)
        turn(n, link_index(n, l), st, false);
    if (st->taken.blocks > 0)
        tally_keep(&n->tally, &l->who.node, &n->slots[slot].m.tree_root, &st->taken, n->now);
    for (uint32_t left = l->uploads_count; left > 0; left--) {
        struct upload u = upload_pop(n, l);
        if (u.slot != slot)
            upload_push(n, l, u.slot, u.block, u.reject, u.choked);
    }
}

void uploads_clear(struct node *n, struct nlink *l)
{
    while (l->uploads_count > 0)
        (void)upload_pop(n, l);
}

/* ---- requests in ---- */

void upload_on_request(struct node *n, struct nlink *l, uint32_t slot, const struct msg_request *m)
{
    struct slot *s = &n->slots[slot];
    struct stream *st = stream_of(n, link_index(n, l), slot);
    uint32_t block = m->piece * s->geo.piece_blocks + m->begin / BLOCK_LEN;
    if (m->piece >= s->geo.pieces || m->begin % BLOCK_LEN != 0 || m->begin >= s->geo.piece_length ||
        block >= s->geo.blocks || m->length != geometry_block_len(&s->geo, block)) {
        link_close(n, l, E_RANGE);
        return;
    }
    bool crossed = !st->unchoked && st->turned != 0 && n->now < st->turned + CHOKE_GRACE;
    bool served = st->unchoked || (crossed && !greedy(n, slot, st));
    /* The pool has room for all that may wait of those that are served, and a little of the rest.
     */
    bool full = served ? l->uploads_count >= n->lim.uploads : l->uploads_choked >= CHOKED_UPLOADS;
    bool place = n->uploads_free != LIST_END || n->uploads_used < uploads_most(&n->lim);
    if (full || !place) {
        if (full && ++l->dropped > n->lim.uploads)
            link_close(n, l, E_FLOOD);
        return;
    }
    l->dropped = served ? 0 : l->dropped;
    if (st->unchoked && st->asked <= st->turned) {
        usec took = n->now - st->turned < REACTS_MOST ? n->now - st->turned : REACTS_MOST;
        l->reacts = l->reacts != 0 ? (3 * l->reacts + took) / 4 : took;
    }
    st->asked = n->now;
    upload_push(n, l, slot, block, !served || !picker_has(s->picker, m->piece), !served);
}

void upload_on_cancel(struct node *n, struct nlink *l, uint32_t slot, const struct msg_cancel *m)
{
    const struct slot *s = &n->slots[slot];
    uint32_t block = m->piece * s->geo.piece_blocks + m->begin / BLOCK_LEN;
    for (uint32_t i = l->uploads_head, left = l->uploads_count; left > 0; left--) {
        struct upload *u = &n->uploads[i];
        if (u->slot == slot && u->block == block)
            u->reject = true;
        i = u->next;
    }
}

void upload_on_hash_request(struct node *n, struct nlink *l, const struct msg_hash_request *m)
{
    for (uint32_t i = 0; i < n->lim.images; i++) {
        struct slot *s = &n->slots[i];
        struct stream *st = stream_of(n, link_index(n, l), i);
        if (!release_slot_shared(s) || !stream_live(st) ||
            memcmp(s->m.tree_root.b, m->root, 32) != 0)
            continue;
        if (st->chunk_in_count == PENDING_CHUNKS) {
            link_close(n, l, E_FLOOD);
            return;
        }
        /* Fleet links ask for whole chunks with their whole proof and for nothing else. */
        bool whole = m->base == 0 && m->index % CHUNK_BLOCKS == 0 &&
                     m->index / CHUNK_BLOCKS < s->geo.chunks && m->length == s->geo.chunk_hashes &&
                     m->proof == ask_proof_count(&s->geo);
        if (!whole) {
            link_close(n, l, E_RANGE);
            return;
        }
        st->chunk_in[st->chunk_in_count++] = m->index / CHUNK_BLOCKS;
        link_wake(n, l, WAKE_ALL);
        return;
    }
    l->faults++; /* it crossed a shut of ours */
}

void upload_on_bad_block(struct node *n, struct nlink *l, uint32_t slot, uint32_t block)
{
    struct slot *s = &n->slots[slot];
    for (uint32_t i = 0; i < SENT_RING; i++) {
        if (l->sent_slot[i] != slot + 1 || l->sent_block[i] != block)
            continue;
        l->sent_slot[i] = 0; /* once per index */
        if (s->recheck == NONE)
            s->recheck = block;
        n->stir = true;
        return;
    }
    if (++l->false_claims >= FALSE_CLAIMS_MAX)
        link_close(n, l, E_STATE);
}

/* ---- saying ---- */

static bool relevant(const struct node *n, const struct nlink *l, uint32_t slot)
{
    if (!release_slot_shared(&n->slots[slot]))
        return false;
    return digest_is_zero(&l->who.model) || digest_equal(&l->who.model, &n->slots[slot].m.model_id);
}

static void emit(struct node *n, struct nlink *l, struct action *act, uint8_t *head,
                 const struct wire_msg *m)
{
    link_emit(n, l, act, head, m, (struct span){0, 0, 0});
}

static bool next_open(struct node *n, struct nlink *l, uint32_t slot, struct action *act,
                      uint8_t *head)
{
    struct stream *st = stream_of(n, link_index(n, l), slot);
    struct wire_msg m;
    memset(&m, 0, sizeof(m));
    if (st->shut_due) {
        st->shut_due = false;
        m.id = MSG_shut;
        m.shut.slot = (uint16_t)slot;
    } else if (!st->open_sent && relevant(n, l, slot)) {
        st->open_sent = true;
        m.id = MSG_open;
        m.open.slot = (uint16_t)slot;
        memcpy(m.open.manifest, n->slots[slot].m.id.b, 32);
    } else {
        return false;
    }
    emit(n, l, act, head, &m);
    return true;
}

static void build_greeting(const struct slot *s, struct wire_msg *m)
{
    if (picker_complete(s->picker)) {
        m->id = MSG_have_all;
    } else if (picker_pieces_have(s->picker) == 0) {
        m->id = MSG_have_none;
    } else {
        m->id = MSG_bitfield;
        m->bitfield.map = bytes_of(picker_bitmap(s->picker).p, (s->geo.pieces + 7) / 8);
    }
}

bool upload_haves_due(const struct slot *s, const struct stream *st)
{
    uint32_t untold = s->gained_count - st->told;
    if (untold == 0)
        return false;
    /* A neighbour that is idle here may be waiting for just this piece. */
    return !st->far_want || s->gained_count - s->gained_due < untold;
}

void upload_idle(struct node *n, const struct nlink *l, uint32_t slot)
{
    struct slot *s = &n->slots[slot];
    uint32_t link = link_index(n, l);
    const struct stream *st = stream_of(n, link, slot);
    bool complete = st->far_greeted && st->far_have == s->geo.pieces;
    uint64_t bit = UINT64_C(1) << (63 - link % 64);
    if (st->greeted && !st->far_want && !complete)
        s->idle[link / 64] |= bit;
    else
        s->idle[link / 64] &= ~bit;
}

static void build_haves(const struct slot *s, struct stream *st, struct wire_msg *m,
                        uint8_t map[HAVES_MAP])
{
    uint32_t from = st->told, low = UINT32_MAX, high = 0;
    st->told = s->gained_count;
    if (s->gained_count - from > GAINED) {
        m->id = MSG_haves;
        m->haves.first = 0;
        m->haves.map = bytes_of(picker_bitmap(s->picker).p, (s->geo.pieces + 7) / 8);
        return;
    }
    for (uint32_t i = from; i < s->gained_count; i++) {
        uint32_t piece = s->gained[i % GAINED];
        if (!picker_has(s->picker, piece))
            continue;
        low = piece < low ? piece : low;
        high = piece > high ? piece : high;
    }
    if (low == high) {
        m->id = MSG_have;
        m->have.piece = low;
        return;
    }
    memset(map, 0, HAVES_MAP);
    uint32_t first = low & ~7u;
    for (uint32_t i = from; i < s->gained_count; i++) {
        uint32_t piece = s->gained[i % GAINED];
        if (picker_has(s->picker, piece))
            bits_set(map, piece - first);
    }
    m->id = MSG_haves;
    m->haves.first = first;
    m->haves.map = bytes_of(map, (high - first) / 8 + 1);
}

/* What was gained and lost again before it was told is passed over, so that something of what is
 * left is held. */
static void haves_skip(const struct slot *s, struct stream *st)
{
    while (s->gained_count != st->told && s->gained_count - st->told <= GAINED &&
           !picker_has(s->picker, s->gained[st->told % GAINED]))
        st->told++;
}

/* What is due on a live stream, most pressing first; false when nothing is. */
static bool stream_says(struct node *n, uint32_t slot, struct stream *st, struct wire_msg *m,
                        uint8_t map[HAVES_MAP], bool build)
{
    struct slot *s = &n->slots[slot];
    bool far_complete = st->far_greeted && st->far_have == s->geo.pieces;
    if (!st->greeted) {
        if (build) {
            build_greeting(s, m);
            st->greeted = true;
            st->told = s->gained_count;
            upload_plan(n);
        }
        return true;
    }
    if (st->lost != 0) {
        if (build) {
            m->id = MSG_donthave;
            m->donthave.piece = st->lost - 1;
            st->lost = 0;
        }
        return true;
    }
    if (st->want != st->want_sent) {
        if (build) {
            m->id = st->want ? MSG_interested : MSG_not_interested;
            st->want_sent = st->want;
        }
        return true;
    }
    if (st->unchoked != st->unchoked_sent) {
        if (build) {
            m->id = st->unchoked ? MSG_unchoke : MSG_choke;
            st->unchoked_sent = st->unchoked;
        }
        return true;
    }
    haves_skip(s, st);
    if (far_complete) {
        st->told = s->gained_count;
    } else if (upload_haves_due(s, st)) {
        if (build)
            build_haves(s, st, m, map);
        return true;
    }
    return false;
}

static bool next_chunk_reply(struct node *n, struct nlink *l, uint32_t slot, struct action *act,
                             uint8_t *head)
{
    struct stream *st = stream_of(n, link_index(n, l), slot);
    const struct slot *s = &n->slots[slot];
    if (st->chunk_in_count == 0 || l->queued >= n->lim.window)
        return false;
    uint32_t chunk = st->chunk_in[0];
    st->chunk_in_count--;
    memmove(st->chunk_in, st->chunk_in + 1, st->chunk_in_count * sizeof(chunk));
    bool have = picker_has_chunk(s->picker, chunk) && !greedy(n, slot, st);
    if (have)
        taken_add(&st->taken, n->now); /* about as much as a block */
    struct wire_msg m;
    memset(&m, 0, sizeof(m));
    m.id = have ? MSG_hashes : MSG_hash_reject;
    /* Both have the layout of the request. */
    memcpy(m.hashes.root, s->m.tree_root.b, 32);
    m.hashes.index = chunk * CHUNK_BLOCKS;
    m.hashes.length = s->geo.chunk_hashes;
    m.hashes.proof = ask_proof_count(&s->geo);
    struct span span = {0, 0, 0};
    if (have)
        span = (struct span){object_id(OBJ_CHUNK, slot), chunk, geometry_chunk_len(&s->geo)};
    link_emit(n, l, act, head, &m, span);
    return true;
}

bool upload_next_reject(struct node *n, struct nlink *l, struct action *act, uint8_t *head)
{
    if (l->uploads_count == 0)
        return false;
    struct upload u = n->uploads[l->uploads_head];
    const struct slot *s = &n->slots[u.slot];
    uint32_t piece = u.block / s->geo.piece_blocks;
    if (!u.reject && picker_has(s->picker, piece) &&
        !far_holds(stream_of(n, link_index(n, l), u.slot), piece))
        return false;
    if (upload_select(n, l, u.slot, act, head))
        return true;
    (void)upload_pop(n, l);
    struct wire_msg m;
    memset(&m, 0, sizeof(m));
    m.id = MSG_reject;
    m.reject.piece = piece;
    m.reject.begin = u.block % s->geo.piece_blocks * BLOCK_LEN;
    m.reject.length = geometry_block_len(&s->geo, u.block);
    emit(n, l, act, head, &m);
    return true;
}

static bool next_held(struct node *n, struct nlink *l, uint32_t slot, struct action *act,
                      uint8_t *head)
{
    struct stream *st = stream_of(n, link_index(n, l), slot);
    const struct slot *s = &n->slots[slot];
    if (!st->held_due || s->state != RELEASE_HELD)
        return false;
    st->held_due = false;
    struct wire_msg m;
    memset(&m, 0, sizeof(m));
    m.id = MSG_held;
    memcpy(m.held.manifest, s->m.id.b, 32);
    memcpy(m.held.image, s->m.digest.b, 32);
    emit(n, l, act, head, &m);
    return true;
}

bool upload_next_control(struct node *n, struct nlink *l, struct action *act, uint8_t *head)
{
    for (uint32_t i = 0; i < n->slots_top; i++) {
        struct stream *st = stream_of(n, link_index(n, l), i);
        uint8_t map[HAVES_MAP];
        struct wire_msg m;
        if (next_open(n, l, i, act, head))
            return true;
        if (!stream_live(st) || !release_slot_shared(&n->slots[i]))
            continue;
        if (next_held(n, l, i, act, head) || next_chunk_reply(n, l, i, act, head))
            return true;
        if (!stream_says(n, i, st, NULL, map, false))
            continue;
        if (upload_select(n, l, i, act, head))
            return true;
        memset(&m, 0, sizeof(m));
        if (stream_says(n, i, st, &m, map, true)) {
            upload_idle(n, l, i);
            /* A publisher's upload is complete when it may have been all along. */
            if (m.id == MSG_have_all && l->who.role == ROLE_PUBLISHER)
                st->held_due = true;
            emit(n, l, act, head, &m);
            return true;
        }
    }
    return false;
}

/* When a link whose queue does not move counts as stalled: after many times what its queue should
 * take.  Looked at first when that can be, and then exactly. */
static usec stalls_at(const struct node *n, const struct nlink *l)
{
    if (n->now < l->drained + STALL_SHORTEST)
        return l->drained + STALL_SHORTEST;
    struct meter m = n->sending;
    uint64_t rate = meter_rate(&m, n->now);
    usec wait = rate > 0 ? l->queued * 8 * SEC / rate : STALL_LONGEST;
    if (wait > STALL_LONGEST)
        wait = STALL_LONGEST;
    return l->drained + (wait > STALL_SHORTEST ? wait : STALL_SHORTEST);
}

void upload_resume(struct node *n)
{
    n->held_back = false;
    n->busy_at = n->now;
    for (uint32_t i = 0; i < n->links_top; i++) {
        struct nlink *l = &n->links[i];
        if (l->uploads_count > 0 && !l->stalled)
            link_wake(n, l, WAKE_BLOCKS);
    }
}

/* A neighbour that does not read keeps nobody waiting. */
void upload_time(struct node *n, struct nlink *l)
{
    if (l->stalled || l->queued == 0 || n->now < stalls_at(n, l))
        return;
    l->stalled = true;
    n->queued -= l->queued;
    if (n->held_back)
        upload_resume(n);
}

/* No more than a quarter of a second of sending is queued, so that a slow uplink does not keep its
 * own requests waiting behind blocks. */
static bool queue_short(struct node *n)
{
    uint64_t enough = meter_rate(&n->sending, n->now) / 4;
    return n->queued < (enough < QUEUE_LEAST ? QUEUE_LEAST : enough);
}

/* When an idle place must be looked at again, or a queue that keeps others waiting. */
usec upload_deadline(const struct node *n, const struct nlink *l)
{
    usec t = USEC_NEVER;
    for (uint32_t s = 0; s < n->slots_top && l->serves > 0 && l->uploads_count == 0; s++) {
        const struct stream *st = stream_of(n, link_index(n, l), s);
        usec at = idle_at(l, st);
        if (st->unchoked && at > n->now && at < t)
            t = at;
    }
    if (l->queued > 0 && !l->stalled) {
        /* The rate that it follows from changes meanwhile. */
        usec d = stalls_at(n, l), look = n->now + STALL_SHORTEST;
        d = d < look ? d : look;
        t = d < t ? d : t;
    }
    return t;
}

bool upload_next_block(struct node *n, struct nlink *l, struct action *act, uint8_t *head)
{
    if (l->uploads_count == 0 || !bucket_ready(&n->up, n->now))
        return false;
    if (n->held_back || l->stalled)
        return false;
    if (!queue_short(n)) {
        n->held_back = true;
        n->busy_at = n->now;
        return false;
    }
    struct upload u = n->uploads[l->uploads_head];
    struct slot *s = &n->slots[u.slot];
    if (upload_select(n, l, u.slot, act, head))
        return true;
    (void)upload_pop(n, l);
    uint32_t len = geometry_block_len(&s->geo, u.block);
    bucket_take(&n->up, n->now, len);
    struct stream *st = stream_of(n, link_index(n, l), u.slot);
    struct wire_msg m;
    memset(&m, 0, sizeof(m));
    m.id = MSG_piece;
    m.piece.piece = u.block / s->geo.piece_blocks;
    m.piece.begin = u.block % s->geo.piece_blocks * BLOCK_LEN;
    struct span span = {object_id(OBJ_IMAGE, u.slot), (uint64_t)u.block * BLOCK_LEN, len};
    link_emit(n, l, act, head, &m, span);
    l->bytes_up += len;
    n->bytes_up += len;
    s->bytes_up += len;
    l->sent_slot[l->sent_next] = (uint8_t)(u.slot + 1);
    l->sent_block[l->sent_next] = u.block;
    l->sent_next = (l->sent_next + 1) % SENT_RING;
    st->served++;
    taken_add(&st->taken, n->now);
    if (greedy(n, u.slot, st))
        enough(n, l, u.slot, st);
    else
        rotate(n, l, u.slot, st);
    if (st->unchoked != st->unchoked_sent)
        link_wake(n, l, WAKE_STREAMS);
    return true;
}
