/* Asking: which blocks and chunks are asked of which neighbour, how many ahead, and until when.
 *
 * An ask is counted from the message that makes it to the answer, the deadline, or the end of its
 * link; asks and stores under way together never pass limits.store_ops, so what comes always finds
 * room.  A block whose deadline passed may be asked elsewhere, and is still welcome late. */
#include "node/internal.h"

#include <assert.h>
#include <string.h>

#define CHUNK_TIMEOUT (10 * SEC)
#define MISSES_SLOW   3u
#define MISSES_MAX    12u
#define LATE_KEEP     (30 * SEC)
#define LATE_MOST     16u
#define QUEUE_LOW     (SEC / 4)
#define QUEUE_HIGH    (SEC / 2)
#define OWN_BLOCKS    2u
#define OWN_MOST      (2 * SEC)
#define WINDOW_MIN    2u
#define SPARED_SHARE  4u
#define PEERS_EVERY   (60 * SEC)
#define PEERS_SOON    (10 * SEC)

/* ---- asks ---- */

/* Behind the others of its link; there is room. */
static void ask_append(struct node *n, struct nlink *l, uint32_t slot, uint32_t block, usec lasts)
{
    uint16_t i = n->asks_free;
    if (i != LIST_END)
        n->asks_free = n->asks[i].next;
    else
        i = n->asks_used++;
    assert(i < asks_most(&n->lim));
    n->asks[i] = (struct ask){.block = block,
                              .prev = l->asks_tail,
                              .next = LIST_END,
                              .slot = (uint8_t)slot,
                              .lasts = (uint32_t)lasts,
                              .deadline = n->now + lasts};
    if (l->asks_tail != LIST_END)
        n->asks[l->asks_tail].next = i;
    else
        l->asks_head = i;
    l->asks_tail = i;
    l->asks_count++;
    n->asks_out++;
    if (n->asks[i].deadline < l->asks_due)
        l->asks_due = n->asks[i].deadline;
}

void ask_remove(struct node *n, struct nlink *l, uint32_t i)
{
    struct ask *a = &n->asks[i];
    if (a->late) {
        l->asks_late--;
        n->asks_late--;
    } else {
        n->asks_out--;
    }
    l->asks_count--;
    if (a->prev != LIST_END)
        n->asks[a->prev].next = a->next;
    else
        l->asks_head = a->next;
    if (a->next != LIST_END)
        n->asks[a->next].prev = a->prev;
    else
        l->asks_tail = a->prev;
    a->next = n->asks_free;
    n->asks_free = (uint16_t)i;
}

uint32_t ask_find(const struct node *n, const struct nlink *l, uint32_t slot, uint32_t block)
{
    for (uint32_t i = l->asks_head; i != LIST_END; i = n->asks[i].next) {
        if (n->asks[i].block == block && n->asks[i].slot == slot)
            return i;
    }
    return NONE;
}

/* What comes finds room among the stores: blocks and chunks are asked for only while it is there.
 */
bool ask_room(const struct node *n)
{
    bool place = n->asks_free != LIST_END || n->asks_used < asks_most(&n->lim);
    return place && n->asks_out + n->ops_used < n->lim.store_ops;
}

/* The chunk asked of this stream will not come, or not from here. */
void ask_chunk_over(struct node *n, struct slot *s, struct stream *st)
{
    if (st->chunk_out == 0)
        return;
    picker_chunk_failed(s->picker, st->chunk_out - 1);
    st->chunk_out = 0;
    n->asks_out--;
}

/* ---- origins are spared ---- */

/* What a neighbour holds is left to the neighbours, as long as they give more than this origin, and
 * not much less than it gave when it was asked: one that is spared gives nothing, and that must not
 * keep it spared. */
bool ask_spared(struct node *n, struct nlink *l, const struct slot *s)
{
    if (!l->origin || n->conf.role == ROLE_VERIFY || picker_in_endgame(s->picker))
        return false;
    uint64_t peers = meter_rate(&n->from_peers, n->now);
    return peers > meter_rate(&l->down, n->now) && peers > l->gave / SPARED_SHARE;
}

void ask_gave(struct node *n, struct nlink *l)
{
    uint64_t rate = meter_rate(&l->down, n->now);
    l->gave = rate > l->gave ? rate : l->gave - (l->gave - rate) / 64;
}

/* What may be asked of this link: what it holds, less what is left to others. */
struct bytes ask_bits(struct node *n, struct nlink *l, uint32_t slot, uint8_t *scratch)
{
    const struct slot *s = &n->slots[slot];
    const struct stream *st = stream_of(n, link_index(n, l), slot);
    uint32_t len = (s->geo.pieces + 7) / 8;
    if (!ask_spared(n, l, s))
        return bytes_of(st->bits, len);
    for (uint32_t i = 0; i < len; i++)
        scratch[i] = (uint8_t)(st->bits[i] & ~s->at_peers[i]);
    return bytes_of(scratch, len);
}

/* After a neighbour went or lost something. */
void ask_peers_update(struct node *n, uint32_t slot)
{
    struct slot *s = &n->slots[slot];
    uint32_t len = (s->geo.pieces + 7) / 8;
    memset(s->at_peers, 0, (n->lim.pieces + 7) / 8);
    for (uint32_t i = 0; i < n->links_top; i++) {
        const struct stream *st = stream_of(n, i, slot);
        if (!link_live(&n->links[i]) || n->links[i].origin || !st->far_greeted)
            continue;
        for (uint32_t k = 0; k < len; k++)
            s->at_peers[k] |= st->bits[k];
    }
}

/* ---- how far ahead ---- */

void ask_cancel_elsewhere(struct node *n, const struct nlink *from, uint32_t slot, uint32_t block)
{
    struct picker *p = n->slots[slot].picker;
    /* Late ones may still come, and are not wanted any more either. */
    for (uint32_t i = 0; i < n->links_top && (picker_asks(p, block) > 0 || n->asks_late > 0); i++) {
        struct nlink *l = &n->links[i];
        if (l == from || !link_live(l) || l->asks_count == 0)
            continue;
        uint32_t a = ask_find(n, l, slot, block);
        if (a == NONE || l->cancels_count == CANCELS)
            continue;
        if (!n->asks[a].late)
            picker_unask(p, block);
        ask_remove(n, l, a);
        l->cancelled++;
        l->cancels[l->cancels_count].block = block;
        l->cancels[l->cancels_count].slot = (uint16_t)slot;
        l->cancels_count++;
        link_wake(n, l, WAKE_ALL);
    }
}

/* What is asked ahead is bounded by delay: the window grows while a block comes within a quarter of
 * a second more than the shortest round trip, and shrinks when it waits twice that in queues.  So
 * choices stay late and a long path is still filled.  What the request itself may have waited
 * behind blocks on a slow uplink of our own says nothing about the other side's queue. */
void ask_window(struct node *n, struct nlink *l, usec took)
{
    usec waited = took > l->rtt.min ? took - l->rtt.min : 0;
    uint64_t up = meter_rate(&n->sending, n->now);
    usec own = up > 0 ? OWN_BLOCKS * BLOCK_LEN * SEC / up : 0;
    own = own < OWN_MOST ? own : OWN_MOST;
    if (waited < QUEUE_LOW + own && l->window < n->lim.requests)
        l->window++;
    else if (waited > QUEUE_HIGH + own && l->window > WINDOW_MIN)
        l->window--;
}

/* ---- asking ---- */

static bool next_cancel(struct node *n, struct nlink *l, struct action *act, uint8_t *head)
{
    if (l->cancels_count == 0)
        return false;
    uint32_t slot = l->cancels[0].slot, block = l->cancels[0].block;
    const struct slot *s = &n->slots[slot];
    if (upload_select(n, l, slot, act, head))
        return true;
    l->cancels_count--;
    memmove(l->cancels, l->cancels + 1, l->cancels_count * sizeof(l->cancels[0]));
    struct wire_msg m;
    memset(&m, 0, sizeof(m));
    m.id = MSG_cancel;
    m.cancel.piece = block / s->geo.piece_blocks;
    m.cancel.begin = block % s->geo.piece_blocks * BLOCK_LEN;
    m.cancel.length = geometry_block_len(&s->geo, block);
    link_emit(n, l, act, head, &m, (struct span){0, 0, 0});
    return true;
}

static uint32_t log2_of(uint32_t v)
{
    uint32_t r = 0;
    while (v > 1) {
        v >>= 1;
        r++;
    }
    return r;
}

/* BEP 52 counts the layers below the requested hashes' own root as proof layers that are omitted.
 */
uint32_t ask_proof_count(const struct geometry *g)
{
    return g->proof_layers == 0 ? 0 : g->proof_layers + log2_of(g->chunk_hashes) - 1;
}

static bool next_chunk(struct node *n, struct nlink *l, uint32_t slot, struct action *act,
                       uint8_t *head)
{
    struct stream *st = stream_of(n, link_index(n, l), slot);
    struct slot *s = &n->slots[slot];
    if (st->chunk_out != 0 || n->now < st->chunk_deadline || !ask_room(n))
        return false;
    uint32_t chunk =
        picker_next_chunk(s->picker, bytes_of(st->bits, (s->geo.pieces + 7) / 8), &n->rng);
    if (chunk == PICKER_NONE)
        return false;
    st->chunk_out = chunk + 1;
    st->chunk_deadline = n->now + CHUNK_TIMEOUT;
    n->asks_out++;
    struct wire_msg m;
    memset(&m, 0, sizeof(m));
    m.id = MSG_hash_request;
    memcpy(m.hash_request.root, s->m.tree_root.b, 32);
    m.hash_request.index = chunk * CHUNK_BLOCKS;
    m.hash_request.length = s->geo.chunk_hashes;
    m.hash_request.proof = ask_proof_count(&s->geo);
    link_emit(n, l, act, head, &m, (struct span){0, 0, 0});
    return true;
}

static uint32_t choose_block(struct node *n, struct nlink *l, uint32_t slot)
{
    struct slot *s = &n->slots[slot];
    uint32_t mine[512];
    uint32_t count = 0;
    if (picker_in_endgame(s->picker)) {
        for (uint32_t i = l->asks_head; i != LIST_END && count < 512; i = n->asks[i].next) {
            if (n->asks[i].slot == slot)
                mine[count++] = n->asks[i].block;
        }
    }
    uint8_t scratch[PIECES_BITS_MAX];
    return picker_next(s->picker, link_index(n, l), ask_bits(n, l, slot, scratch), mine, count,
                       &n->rng);
}

static bool next_block(struct node *n, struct nlink *l, uint32_t slot, struct action *act,
                       uint8_t *head)
{
    struct stream *st = stream_of(n, link_index(n, l), slot);
    const struct slot *s = &n->slots[slot];
    uint32_t window = l->misses >= MISSES_SLOW ? 1 : l->window;
    if (!st->far_unchoked || n->now < st->ask_at || l->asks_count >= n->lim.requests ||
        l->asks_count - l->asks_late >= window || !ask_room(n) || !bucket_ready(&n->down, n->now))
        return false;
    uint32_t block = choose_block(n, l, slot);
    if (block == PICKER_NONE)
        return false;
    /* A select is said only when a request follows it: two images that have nothing to ask for
     * would else take turns in saying it, without end. */
    if (upload_select(n, l, slot, act, head)) {
        picker_unask(s->picker, block);
        return true;
    }
    uint32_t len = geometry_block_len(&s->geo, block);
    bucket_take(&n->down, n->now, len);
    uint64_t rate = meter_rate(&l->down, n->now);
    ask_append(n, l, slot, block, rate_deadline(&l->rtt, rate, l->asks_count * BLOCK_LEN));
    struct wire_msg m;
    memset(&m, 0, sizeof(m));
    m.id = MSG_request;
    m.request.piece = block / s->geo.piece_blocks;
    m.request.begin = block % s->geo.piece_blocks * BLOCK_LEN;
    m.request.length = len;
    link_emit(n, l, act, head, &m, (struct span){0, 0, 0});
    return true;
}

bool ask_next(struct node *n, struct nlink *l, struct action *act, uint8_t *head)
{
    if (next_cancel(n, l, act, head))
        return true;
    for (uint32_t i = 0; i < n->slots_top; i++) {
        struct slot *s = &n->slots[i];
        struct stream *st = stream_of(n, link_index(n, l), i);
        if (s->state != RELEASE_FETCHING || !s->opened || !stream_live(st) || !st->far_greeted)
            continue;
        if (next_chunk(n, l, i, act, head))
            return true;
        if (st->want && next_block(n, l, i, act, head))
            return true;
    }
    return false;
}

/* ---- time ---- */

static bool peers_wanted(const struct node *n)
{
    if (n->links_count >= peers_least(n))
        return false;
    for (uint32_t i = 0; i < n->slots_top; i++) {
        if (n->slots[i].state == RELEASE_FETCHING && n->slots[i].opened)
            return true;
    }
    return false;
}

/* An origin that was spared is worth another look when the neighbours have become slow. */
static bool interest_may_grow(const struct node *n, const struct nlink *l, uint32_t slot)
{
    const struct stream *st = stream_of(n, link_index(n, l), slot);
    return l->origin && n->conf.role != ROLE_VERIFY && !st->want && st->far_greeted &&
           n->slots[slot].state == RELEASE_FETCHING && n->slots[slot].opened;
}

usec ask_deadline(const struct node *n, const struct nlink *l)
{
    usec t = l->asks_due;
    for (uint32_t i = 0; i < n->slots_top; i++) {
        const struct stream *st = stream_of(n, link_index(n, l), i);
        if (!stream_live(st))
            continue;
        if (st->ask_at > n->now && st->ask_at < t)
            t = st->ask_at;
        if (interest_may_grow(n, l, i) && st->interest_at + SEC < t)
            t = st->interest_at + SEC;
        if (st->chunk_deadline > n->now && n->slots[i].state == RELEASE_FETCHING &&
            st->chunk_deadline < t)
            t = st->chunk_deadline;
    }
    if (l->uploads_count > 0 && n->up.rate != 0 && l->queued < n->lim.window) {
        struct bucket b = n->up;
        usec d = bucket_ready_at(&b, n->now);
        if (d > n->now && d < t)
            t = d;
    }
    if (n->down.rate != 0 && l->asks_count - l->asks_late < l->window) {
        struct bucket b = n->down;
        usec d = bucket_ready_at(&b, n->now);
        if (d > n->now && d < t)
            t = d;
    }
    if (l->phase == LINK_READY && peers_wanted(n)) {
        usec every = n->links_count < 6 ? PEERS_SOON : PEERS_EVERY;
        if (l->peers_asked + every < t)
            t = l->peers_asked + every;
    }
    return t;
}

static void asks_expire(struct node *n, struct nlink *l)
{
    if (n->now < l->asks_due)
        return;
    l->asks_due = USEC_NEVER;
    bool missed = false, full = !ask_room(n);
    for (uint32_t i = l->asks_head, next; i != LIST_END; i = next) {
        struct ask *a = &n->asks[i];
        next = a->next;
        if (a->late && n->now >= a->deadline + LATE_KEEP) {
            ask_remove(n, l, i);
            l->cancelled++;
            continue;
        }
        if (!a->late && n->now >= a->deadline) {
            picker_unask(n->slots[a->slot].picker, a->block);
            a->late = true;
            l->asks_late++;
            n->asks_late++;
            n->asks_out--;
            l->misses++;
            missed = true;
        }
        usec due = a->late ? a->deadline + LATE_KEEP : a->deadline;
        l->asks_due = due < l->asks_due ? due : l->asks_due;
    }
    if (missed && l->window > WINDOW_MIN)
        l->window = l->window / 2 > WINDOW_MIN ? l->window / 2 : WINDOW_MIN;
    /* The pool is everybody's: of one that is silent only a few are waited for. */
    for (uint32_t i = l->asks_head, next; i != LIST_END && l->asks_late > LATE_MOST; i = next) {
        next = n->asks[i].next;
        if (n->asks[i].late) {
            ask_remove(n, l, i);
            l->cancelled++;
        }
    }
    if (missed || (full && ask_room(n)))
        node_wake_links(n); /* others may be asked */
    if (l->misses > MISSES_MAX && l->asks_count > 0 && n->now >= l->heard + 10 * SEC)
        link_close(n, l, E_TIMEOUT);
}

void ask_time(struct node *n, struct nlink *l)
{
    asks_expire(n, l);
    if (!link_live(l))
        return;
    for (uint32_t i = 0; i < n->slots_top; i++) {
        struct stream *st = stream_of(n, link_index(n, l), i);
        if (interest_may_grow(n, l, i) && n->now >= st->interest_at + SEC)
            exchange_interest(n, l, i);
        if (st->chunk_out != 0 && n->now >= st->chunk_deadline) {
            ask_chunk_over(n, &n->slots[i], st);
            st->chunk_deadline = n->now + CHUNK_PAUSE;
            l->misses++;
        }
    }
    usec every = n->links_count < 6 ? PEERS_SOON : PEERS_EVERY;
    if (l->phase == LINK_READY && peers_wanted(n) && n->now >= l->peers_asked + every) {
        l->peers_asked = n->now;
        for (uint32_t i = 0; i < n->slots_top; i++) {
            if (n->slots[i].state == RELEASE_FETCHING)
                stream_of(n, link_index(n, l), i)->peers_due = true;
        }
    }
}
