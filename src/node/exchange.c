/* Block exchange, the taking side: streams come and go, what neighbours hold, what is asked of
 * whom, what arrives, and who is to blame.
 *
 * Every block is verified by the host before it is kept (ACT_STORE); a block that does not match
 * the signed tree costs its sender the link and its name for a day.  An ask has a deadline; a block
 * whose deadline passed may be asked elsewhere, and is still welcome when it comes late. */
#include "node/internal.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#define REJECTS_MAX 4u
#define HAVES_BATCH 32u
#define HAVES_TIME  (SEC / 2)

/* ---- streams come and go ---- */

/* Gives back all that this link was asked for or told us of one image. */
static void stream_clear(struct node *n, struct nlink *l, uint32_t slot)
{
    struct stream *st = stream_of(n, link_index(n, l), slot);
    struct slot *s = &n->slots[slot];
    assert(slot < n->slots_top); /* above it nothing was ever said, and all is zeros */
    for (uint32_t i = l->asks_head, next; i != LIST_END; i = next) {
        next = n->asks[i].next;
        if (n->asks[i].slot != slot)
            continue;
        if (!n->asks[i].late)
            picker_unask(s->picker, n->asks[i].block);
        ask_remove(n, l, i);
        l->cancelled++;
    }
    ask_chunk_over(n, s, st);
    bool had_greeted = st->far_greeted;
    if (had_greeted)
        picker_peer_remove(s->picker, bytes_of(st->bits, (s->geo.pieces + 7) / 8));
    upload_stream_gone(n, l, slot);
    bool open_sent = st->open_sent, open_got = st->open_got, shut_due = st->shut_due;
    memset(st, 0, sizeof(*st));
    upload_idle(n, l, slot);
    st->open_sent = open_sent;
    st->open_got = open_got;
    st->shut_due = shut_due;
    if (had_greeted && !l->origin)
        ask_peers_update(n, slot);
}

void exchange_stream_closed(struct node *n, struct nlink *l, uint32_t slot)
{
    stream_clear(n, l, slot);
    stream_of(n, link_index(n, l), slot)->open_got = false;
    /* What it was asked for can be asked of others, and its place to be served is another's. */
    upload_plan(n);
    node_wake_links(n);
}

void exchange_resolve(struct node *n, struct nlink *l, uint32_t slot)
{
    for (uint32_t k = 0; k < l->far_count; k++) {
        struct far_open *far = far_of(n, link_index(n, l), k);
        if (memcmp(far->manifest, n->slots[slot].m.id.b, FAR_ID) != 0)
            continue;
        far->mine = (int16_t)slot;
        struct stream *st = stream_of(n, link_index(n, l), slot);
        if (!st->open_got)
            upload_stream_here(n, l, slot);
        st->open_got = true;
    }
    link_wake(n, l, WAKE_ALL);
}

void exchange_slot_appeared(struct node *n, uint32_t slot)
{
    for (uint32_t i = 0; i < n->links_top; i++) {
        struct nlink *l = &n->links[i];
        if (!link_live(l))
            continue;
        exchange_resolve(n, l, slot);
        stream_of(n, i, slot)->peers_due = true;
    }
}

/* What is remembered of a slot's image means nothing of the next image in it. */
static void forget_blocks(struct nlink *l, uint32_t slot)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < l->cancels_count; i++) {
        if (l->cancels[i].slot != slot)
            l->cancels[kept++] = l->cancels[i];
    }
    l->cancels_count = kept;
    for (uint32_t i = 0; i < SENT_RING; i++) {
        if (l->sent_slot[i] == slot + 1)
            l->sent_slot[i] = 0;
    }
}

void exchange_slot_gone(struct node *n, uint32_t slot)
{
    for (uint32_t i = 0; i < n->links_top; i++) {
        struct nlink *l = &n->links[i];
        struct stream *st = stream_of(n, i, slot);
        if (!link_live(l))
            continue;
        stream_clear(n, l, slot);
        forget_blocks(l, slot);
        st->shut_due = st->shut_due || st->open_sent;
        st->open_sent = st->open_got = false;
        for (uint32_t k = 0; k < l->far_count; k++) {
            if (far_of(n, i, k)->mine == (int16_t)slot)
                far_of(n, i, k)->mine = -1;
        }
        if (l->out_slot == (int32_t)slot)
            l->out_slot = -1;
        link_wake(n, l, WAKE_ALL);
    }
    upload_plan(n);
}

void exchange_link_gone(struct node *n, struct nlink *l)
{
    for (uint32_t s = 0; s < n->slots_top; s++) {
        stream_clear(n, l, s);
        struct stream *st = stream_of(n, link_index(n, l), s);
        st->open_sent = st->open_got = st->shut_due = false;
    }
    assert(l->asks_count == 0);
    l->cancels_count = l->gets_count = l->far_count = 0;
    uploads_clear(n, l);
    node_wake_links(n); /* what it was asked for can be asked of others */
}

/* ---- what neighbours hold ---- */

void exchange_interest(struct node *n, struct nlink *l, uint32_t slot)
{
    struct stream *st = stream_of(n, link_index(n, l), slot);
    const struct slot *s = &n->slots[slot];
    uint8_t scratch[PIECES_BITS_MAX];
    st->interest_at = n->now;
    st->want = s->state == RELEASE_FETCHING && s->opened && st->far_greeted &&
               picker_wants(s->picker, ask_bits(n, l, slot, scratch));
    if (st->want != st->want_sent || st->want)
        link_wake(n, l, WAKE_STREAMS | WAKE_BLOCKS);
    else
        link_touch(n, l);
}

void exchange_update_interest(struct node *n, uint32_t slot)
{
    for (uint32_t i = 0; i < n->links_top; i++) {
        if (link_live(&n->links[i]))
            exchange_interest(n, &n->links[i], slot);
    }
}

static void far_greets(struct node *n, struct nlink *l, uint32_t slot, struct bytes map, bool all)
{
    uint32_t link = link_index(n, l);
    struct stream *st = stream_of(n, link, slot);
    struct slot *s = &n->slots[slot];
    uint32_t len = (s->geo.pieces + 7) / 8;
    uint32_t spare = len * 8 - s->geo.pieces;
    if (map.p != NULL && (map.n != len || (map.p[len - 1] & ((1u << spare) - 1)) != 0)) {
        link_close(n, l, E_FORMAT);
        return;
    }
    /* It greets once; but when a slot was shut and opened again here at once, a greeting and news
     * from before may cross that.  The last greeting counts. */
    if (st->far_greeted) {
        link_fault(n, l, E_STATE);
        if (!link_live(l))
            return;
        picker_peer_remove(s->picker, bytes_of(st->bits, len));
        st->far_have = 0;
    }
    size_t size = (n->lim.pieces + 7) / 8;
    st->bits = stream_bits(n, link, slot);
    memset(st->bits, 0, size);
    if (map.p != NULL) {
        memcpy(st->bits, map.p, len);
    } else if (all) {
        for (uint32_t p = 0; p < s->geo.pieces; p++)
            bits_set(st->bits, p);
    }
    for (uint32_t p = 0; p < s->geo.pieces; p++)
        st->far_have += bits_get(st->bits, p) ? 1 : 0;
    st->far_greeted = true;
    upload_idle(n, l, slot);
    picker_peer_add(s->picker, bytes_of(st->bits, len));
    for (uint32_t i = 0; i < len && !l->origin; i++)
        s->at_peers[i] |= st->bits[i];
    exchange_interest(n, l, slot);
    upload_plan(n);
    link_wake(n, l, WAKE_ALL);
}

static void far_has(struct node *n, struct nlink *l, uint32_t slot, uint32_t piece)
{
    struct stream *st = stream_of(n, link_index(n, l), slot);
    struct slot *s = &n->slots[slot];
    if (piece >= s->geo.pieces) {
        link_close(n, l, E_RANGE);
        return;
    }
    if (!st->far_greeted || bits_get(st->bits, piece))
        return;
    bits_set(st->bits, piece);
    if (!l->origin)
        bits_set(s->at_peers, piece);
    st->far_have++;
    picker_peer_have(s->picker, piece);
    if (st->far_have == s->geo.pieces)
        upload_idle(n, l, slot);
    if (picker_has(s->picker, piece))
        return;
    if (s->state == RELEASE_FETCHING && (!ask_spared(n, l, s) || !bits_get(s->at_peers, piece))) {
        st->want = true;
        link_wake(n, l, WAKE_STREAMS | WAKE_BLOCKS);
    }
}

static void far_haves(struct node *n, struct nlink *l, uint32_t slot, const struct msg_haves *m)
{
    uint32_t pieces = n->slots[slot].geo.pieces;
    for (uint32_t w = 0; w < (m->map.n + 7) / 8; w++) {
        uint64_t set = bits_word(m->map, w);
        while (set != 0) {
            uint32_t i = w * 64 + bits_pop(&set);
            if (m->first >= pieces || i >= pieces - m->first) {
                link_close(n, l, E_RANGE);
                return;
            }
            far_has(n, l, slot, m->first + i);
        }
    }
}

static void far_lost(struct node *n, struct nlink *l, uint32_t slot, uint32_t piece)
{
    struct stream *st = stream_of(n, link_index(n, l), slot);
    struct slot *s = &n->slots[slot];
    if (piece >= s->geo.pieces || !st->far_greeted || !bits_get(st->bits, piece))
        return;
    bits_clear(st->bits, piece);
    st->far_have--;
    upload_idle(n, l, slot);
    picker_peer_lost(s->picker, piece);
    ask_peers_update(n, slot);
    exchange_interest(n, l, slot);
}

/* ---- what arrives ---- */

/* Takes the first of the free places, which are a list through `index`. */
static uint32_t op_alloc(struct node *n)
{
    uint32_t op = n->ops_free;
    if (op != NONE)
        n->ops_free = n->ops[op].index;
    else
        op = n->ops_ever++;
    assert(op < n->lim.store_ops && !n->ops[op].used);
    n->ops_used++;
    return op;
}

static struct store_op op_free(struct node *n, uint32_t op)
{
    assert(op < n->lim.store_ops && n->ops[op].used);
    struct store_op was = n->ops[op];
    n->ops[op].used = false;
    n->ops[op].index = n->ops_free;
    n->ops_free = op;
    n->ops_used--;
    return was;
}

static void store_begin(struct node *n, struct nlink *l, uint32_t slot, bool chunk, uint32_t index,
                        const struct event *ev)
{
    uint32_t op = op_alloc(n);
    assert(!n->store.due); /* bodies are drained */
    n->ops[op] =
        (struct store_op){true, chunk, (uint16_t)slot, index, link_index(n, l), ev->msg.body_len};
    n->slots[slot].stores++;
    l->stores++;
    n->store.due = true;
    n->store.op = op + 1;
    n->store.body = ev->msg.body;
    n->store.at.object = object_id(chunk ? OBJ_CHUNK : OBJ_IMAGE, slot);
    n->store.at.off = chunk ? index : (uint64_t)index * BLOCK_LEN;
    n->store.at.len = ev->msg.body_len;
}

static void on_piece(struct node *n, struct nlink *l, uint32_t slot, const struct msg_piece *m,
                     const struct event *ev)
{
    struct slot *s = &n->slots[slot];
    uint32_t block = m->piece * s->geo.piece_blocks + m->begin / BLOCK_LEN;
    if (m->piece >= s->geo.pieces || m->begin % BLOCK_LEN != 0 || block >= s->geo.blocks ||
        m->begin >= s->geo.piece_length || ev->msg.body_len != geometry_block_len(&s->geo, block)) {
        link_close(n, l, E_RANGE);
        return;
    }
    uint32_t a = ask_find(n, l, slot, block);
    if (a == NONE) {
        s->bytes_wasted += ev->msg.body_len; /* cancelled while under way, or never asked for */
        if (l->cancelled > 0)
            l->cancelled--;
        else
            link_fault(n, l, E_FLOOD);
        return;
    }
    bool late = n->asks[a].late;
    usec took = n->now - (n->asks[a].deadline - n->asks[a].lasts);
    if (!late)
        rtt_sample(&l->rtt, took);
    ask_remove(n, l, a);
    l->misses = l->rejects = 0;
    l->bytes_down += ev->msg.body_len;
    n->bytes_down += ev->msg.body_len;
    meter_add(&l->down, n->now, ev->msg.body_len);
    ask_gave(n, l);
    if (!l->origin)
        meter_add(&n->from_peers, n->now, ev->msg.body_len);
    ask_window(n, l, took);
    link_wake(n, l, WAKE_BLOCKS);
    bool wanted = late ? picker_received_late(s->picker, block) : picker_received(s->picker, block);
    if (!wanted || (late && !ask_room(n))) {
        if (wanted)
            picker_failed(s->picker, block);
        s->bytes_wasted += ev->msg.body_len;
        return;
    }
    if (picker_asks(s->picker, block) > 0 || n->asks_late > 0)
        ask_cancel_elsewhere(n, l, slot, block);
    store_begin(n, l, slot, false, block, ev);
}

static void on_reject(struct node *n, struct nlink *l, uint32_t slot, const struct msg_reject *m)
{
    struct slot *s = &n->slots[slot];
    if (m->piece >= s->geo.pieces) {
        link_close(n, l, E_RANGE);
        return;
    }
    uint32_t a = ask_find(n, l, slot, m->piece * s->geo.piece_blocks + m->begin / BLOCK_LEN);
    if (a == NONE)
        return;
    if (!n->asks[a].late)
        picker_unask(s->picker, n->asks[a].block);
    ask_remove(n, l, a);
    /* One that says that it serves and then does not is asked again later. */
    struct stream *st = stream_of(n, link_index(n, l), slot);
    if (st->far_unchoked && ++l->rejects >= REJECTS_MAX)
        st->ask_at = n->now + SEC;
    node_wake_links(n);
}

void exchange_message(struct node *n, struct nlink *l, uint32_t slot, const struct wire_msg *m,
                      const struct event *ev)
{
    struct stream *st = stream_of(n, link_index(n, l), slot);
    struct slot *s = &n->slots[slot];
    if (!stream_live(st) || !release_slot_shared(s))
        return; /* it crossed a shut of ours */
    link_wake(n, l, WAKE_BLOCKS);
    if (m->id == MSG_choke || m->id == MSG_unchoke) {
        st->far_unchoked = m->id == MSG_unchoke;
    } else if (m->id == MSG_interested || m->id == MSG_not_interested) {
        bool wants = m->id == MSG_interested;
        if (wants != st->far_want) {
            st->far_want = wants;
            upload_idle(n, l, slot);
            link_wake(n, l, WAKE_STREAMS); /* who wants nothing now hears the news at once */
            upload_plan(n);
        }
    } else if (m->id == MSG_bitfield) {
        far_greets(n, l, slot, m->bitfield.map, false);
    } else if (m->id == MSG_have_all || m->id == MSG_have_none) {
        far_greets(n, l, slot, (struct bytes){NULL, 0}, m->id == MSG_have_all);
    } else if (m->id == MSG_have) {
        far_has(n, l, slot, m->have.piece);
    } else if (m->id == MSG_haves) {
        far_haves(n, l, slot, &m->haves);
    } else if (m->id == MSG_donthave) {
        far_lost(n, l, slot, m->donthave.piece);
    } else if (m->id == MSG_request) {
        upload_on_request(n, l, slot, &m->request);
    } else if (m->id == MSG_cancel) {
        upload_on_cancel(n, l, slot, &m->cancel);
    } else if (m->id == MSG_piece) {
        on_piece(n, l, slot, &m->piece, ev);
    } else if (m->id == MSG_reject) {
        on_reject(n, l, slot, &m->reject);
    } else if (m->id == MSG_bad_block) {
        upload_on_bad_block(n, l, slot, m->bad_block.block);
    } /* suggest and allowed_fast are advice that is not taken */
}

/* A chunk of leaf hashes, or the refusal of one. */
void exchange_hash_reply(struct node *n, struct nlink *l, const struct wire_msg *m,
                         const struct event *ev)
{
    /* hashes and hash_reject have the same layout. */
    const struct msg_hashes *h = &m->hashes;
    uint32_t chunk = h->index / CHUNK_BLOCKS;
    for (uint32_t i = 0; i < n->slots_top; i++) {
        struct slot *s = &n->slots[i];
        struct stream *st = stream_of(n, link_index(n, l), i);
        if (!release_slot_used(s) || st->chunk_out != chunk + 1 || h->index % CHUNK_BLOCKS != 0 ||
            memcmp(s->m.tree_root.b, h->root, 32) != 0)
            continue;
        st->chunk_out = 0;
        st->chunk_deadline = 0;
        n->asks_out--;
        link_wake(n, l, WAKE_ALL);
        if (m->id == MSG_hash_reject) {
            picker_chunk_failed(s->picker, chunk);
            st->chunk_deadline = n->now + CHUNK_PAUSE;
            node_wake_links(n);
            return;
        }
        if (ev->msg.body_len != geometry_chunk_len(&s->geo) || h->length != s->geo.chunk_hashes) {
            picker_chunk_failed(s->picker, chunk);
            link_close(n, l, E_FORMAT);
            return;
        }
        store_begin(n, l, i, true, chunk, ev);
        return;
    }
}

/* ---- what storing said ---- */

/* Tells everybody, and looks again at who still has something for us. */
static void haves_tell(struct node *n, uint32_t slot)
{
    struct slot *s = &n->slots[slot];
    s->gained_due = s->gained_count;
    s->haves_at = 0;
    for (uint32_t i = 0; i < n->links_top; i++) {
        struct nlink *l = &n->links[i];
        const struct stream *st = stream_of(n, i, slot);
        if (st->want)
            exchange_interest(n, l, slot);
        if (st->greeted && upload_haves_due(s, st))
            link_wake(n, l, WAKE_STREAMS);
    }
}

void exchange_time(struct node *n)
{
    if (n->now < n->haves_due)
        return;
    for (uint32_t i = 0; i < n->slots_top; i++) {
        if (n->slots[i].haves_at != 0 && n->now >= n->slots[i].haves_at)
            haves_tell(n, i);
    }
    n->haves_due = exchange_deadline(n);
}

usec exchange_deadline(const struct node *n)
{
    usec t = USEC_NEVER;
    for (uint32_t i = 0; i < n->slots_top; i++) {
        usec at = n->slots[i].haves_at;
        t = at != 0 && at < t ? at : t;
    }
    return t;
}

/* A neighbour that wants nothing here may be waiting for just this piece; the others hear of many
 * at once, so that news costs little. */
void exchange_piece_gained(struct node *n, uint32_t slot, uint32_t piece)
{
    struct slot *s = &n->slots[slot];
    s->gained[s->gained_count++ % GAINED] = (uint16_t)piece;
    if (s->gained_count - s->gained_due >= HAVES_BATCH) {
        haves_tell(n, slot);
    } else {
        if (s->haves_at == 0)
            s->haves_at = n->now + HAVES_TIME;
        n->haves_due = s->haves_at < n->haves_due ? s->haves_at : n->haves_due;
    }
    for (uint32_t w = 0; w < link_words(&n->lim); w++) {
        for (uint64_t set = s->idle[w]; set != 0;)
            link_wake(n, &n->links[w * 64 + bits_pop(&set)], WAKE_STREAMS);
    }
    if (picker_pieces_have(s->picker) == 1)
        upload_plan(n); /* now there is something to serve */
}

/* When a piece was gained, as counted by gained_count; NONE: longer ago than is remembered. */
static uint32_t gained_at(const struct slot *s, uint32_t piece)
{
    for (uint32_t k = 1; k <= s->gained_count && k <= GAINED; k++) {
        if (s->gained[(s->gained_count - k) % GAINED] == piece)
            return s->gained_count - k;
    }
    return NONE;
}

void exchange_block_lost(struct node *n, uint32_t slot, uint32_t block)
{
    struct slot *s = &n->slots[slot];
    if (!picker_lost(s->picker, block))
        return;
    uint32_t piece = block / s->geo.piece_blocks;
    log_warn(n->log, "image.block_lost", "slot=%" PRIu32 " block=%" PRIu32, slot, block);
    uint32_t at = gained_at(s, piece);
    for (uint32_t i = 0; i < n->links_top; i++) {
        struct stream *st = stream_of(n, i, slot);
        /* Who has not heard of it yet will not hear of it: what is not held is not told. */
        if (!link_live(&n->links[i]) || !st->greeted || (at != NONE && st->told <= at))
            continue;
        if (st->lost != 0)
            link_close(n, &n->links[i], E_LIMIT); /* too slow to hear of one loss before the next */
        else
            st->lost = piece + 1;
    }
    if (release_mendable(s))
        release_set_state(n, s, RELEASE_FETCHING);
    exchange_update_interest(n, slot);
    node_wake_links(n);
}

static void blame(struct node *n, struct nlink *l, const struct store_op *op, enum err e)
{
    if (l == NULL)
        return;
    log_warn(n->log, "block.bad", "%s=%" PRIu32 " err=%s", op->chunk ? "chunk" : "block", op->index,
             err_name(e));
    peers_ban(n, &l->who.node, op->chunk ? "hashes" : "block");
    if (link_live(l)) {
        if (!op->chunk) {
            l->bad_due = true;
            l->bad_slot = op->slot;
            l->bad_block = op->index;
        }
        link_close(n, l, e);
    }
    /* The link may be another by now: what is banned is the name. */
    for (uint32_t i = 0; i < n->links_top; i++) {
        struct nlink *o = &n->links[i];
        if (link_live(o) && key_equal(&o->who.node, &l->who.node))
            link_close(n, o, E_BANNED);
    }
}

static void stored_block(struct node *n, struct nlink *l, const struct store_op *op)
{
    struct slot *s = &n->slots[op->slot];
    if (l != NULL && l->origin)
        s->bytes_origin += op->len;
    else
        s->bytes_peer += op->len;
    if (picker_stored(s->picker, op->index)) {
        exchange_piece_gained(n, op->slot, op->index / s->geo.piece_blocks);
        if (l != NULL && link_live(l))
            exchange_interest(n, l, op->slot);
    }
    if (picker_complete(s->picker)) {
        n->stir = true;
        release_complete(n, s);
    }
}

static void store_failed(struct node *n, struct nlink *l, const struct store_op *op, enum err e)
{
    struct slot *s = &n->slots[op->slot];
    if (op->chunk)
        picker_chunk_failed(s->picker, op->index);
    else
        picker_failed(s->picker, op->index);
    if (e == E_HASH || e == E_PROOF) {
        s->bytes_wasted += op->len;
        blame(n, l, op, e);
    } else {
        release_storage_failed(n, s, e);
    }
    n->stir = true;
    node_wake_links(n);
}

void exchange_stored(struct node *n, const struct event *ev)
{
    assert(ev->op >= 1);
    bool full = !ask_room(n);
    struct store_op op = op_free(n, ev->op - 1);
    if (full)
        node_wake_links(n); /* what was not asked for lack of room may be */
    struct slot *s = &n->slots[op.slot];
    s->stores--;
    struct nlink *l = op.link != NONE ? &n->links[op.link] : NULL;
    if (l != NULL)
        l->stores--;
    if (release_slot_used(s) && s->opened) {
        if (ev->err != E_OK)
            store_failed(n, l, &op, ev->err);
        else if (op.chunk)
            picker_chunk_stored(s->picker, op.index);
        else
            stored_block(n, l, &op);
        if (ev->err == E_OK && op.chunk)
            node_wake_links(n);
    }
    if (l != NULL && l->phase == LINK_GONE && l->stores == 0)
        l->phase = LINK_FREE;
    if (l != NULL && link_live(l))
        link_wake(n, l, WAKE_BLOCKS); /* there is room among the stores again */
}
