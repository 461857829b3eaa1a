/* How the picker works.
 *
 * Pieces.  A piece is held, begun (it has a slot) or neither.  `fresh` marks the pieces that may be
 * begun now: not held, not begun, and the chunk of the first block is there.  A choice narrows
 * (fresh & the neighbour's bits) to the rarest, 64 pieces at a time, and draws one of them: exactly
 * uniform, and a fraction of a microsecond for 2,048 pieces.
 *
 * Blocks.  Only a begun piece has block states, one byte a block: held, coming (on the way to
 * storage), and the number of asks outstanding, 0 to 2.  Each missing block of the image is held,
 * coming, asked or free, counted in exactly this order of precedence, so that the endgame test is
 * an addition.  All transitions go through state_put(), which keeps the counts.
 *
 * A slot is given back when its piece completes or when nothing of it is held, coming or asked.
 * When all slots are taken, one whose piece no neighbour holds any more makes room: else pieces
 * begun with neighbours that left would stop the download for ever. */
#include "swarm/picker.h"

#include "swarm/bits.h"
#include "swarm/rarity.h"

#include <assert.h>
#include <string.h>

#define NONE16         UINT16_MAX
#define PIECES_MAX     65534u
#define RANDOM_PIECES  2u
#define ENDGAME_BLOCKS 32u
#define SLOTS_WANTED   4u
#define SLOTS_MOST     512u /* pieces begun at once */

enum { ASKS = 0x03, COMING = 0x40, HELD = 0x80 };

struct slot {
    uint16_t piece;
    uint16_t who;  /* the neighbour it was begun with, NONE16 after a restart */
    uint16_t free; /* blocks neither held nor coming nor asked for */
    uint16_t held;
};

struct picker {
    struct geometry g;
    uint32_t max_pieces, max_open_blocks, max_chunks;
    uint32_t stride, slots; /* block states of each slot; slots of this image */
    uint32_t open;          /* slots in use */
    uint32_t pieces_have, blocks_have, blocks_coming, blocks_asked;
    uint32_t chunks_have, chunks_asked;
    uint8_t *have, *fresh;             /* bits of pieces */
    uint8_t *chunk_have, *chunk_asked; /* bits of chunks */
    uint8_t *used, *wanted;            /* bits of slots: in use, with a free block */
    uint16_t *slot_of;                 /* of pieces */
    struct rarity rarity;              /* of pieces among neighbours */
    uint64_t *choice;                  /* room for one set of pieces */
    struct slot *slot;
    uint8_t *state; /* stride of them for each slot */
};

static uint32_t slots_most_of(uint32_t open_blocks, uint32_t pieces)
{
    uint32_t most = open_blocks < pieces ? open_blocks : pieces;
    return most < SLOTS_MOST ? most : SLOTS_MOST;
}

static uint32_t slots_most(const struct limits *lim)
{
    return slots_most_of(lim->open_blocks, lim->pieces);
}

static size_t align8(size_t n)
{
    return (n + 7) & ~(size_t)7;
}

size_t picker_size(const struct limits *lim)
{
    assert(lim->pieces > 0 && lim->pieces <= PIECES_MAX);
    assert(lim->links < NONE16);
    uint32_t slots = slots_most(lim);
    return align8(sizeof(struct picker)) + 3 * bits_size(lim->pieces) + 2 * bits_size(lim->chunks) +
           2 * bits_size(slots) + align8(sizeof(uint16_t) * lim->pieces) +
           sizeof(uint64_t) * rarity_words(lim->pieces, lim->links) + sizeof(struct slot) * slots +
           align8(lim->open_blocks);
}

static uint8_t *part(uint8_t **at, size_t n)
{
    uint8_t *p = *at;
    *at += align8(n);
    return p;
}

struct picker *picker_init(void *mem, const struct limits *lim)
{
    uint8_t *at = mem;
    assert((uintptr_t)mem % 8 == 0);
    memset(mem, 0, sizeof(struct picker)); /* the rest is made by picker_begin() */
    struct picker *p = (void *)part(&at, sizeof *p);
    uint32_t slots = slots_most(lim);
    p->max_pieces = lim->pieces;
    p->max_open_blocks = lim->open_blocks;
    p->max_chunks = lim->chunks;
    p->have = part(&at, bits_size(lim->pieces));
    p->fresh = part(&at, bits_size(lim->pieces));
    p->chunk_have = part(&at, bits_size(lim->chunks));
    p->chunk_asked = part(&at, bits_size(lim->chunks));
    p->used = part(&at, bits_size(slots));
    p->wanted = part(&at, bits_size(slots));
    p->choice = (void *)part(&at, bits_size(lim->pieces));
    uint64_t *planes = (void *)part(&at, 8 * rarity_words(lim->pieces, lim->links));
    rarity_init(&p->rarity, planes, lim->links);
    p->slot_of = (void *)part(&at, sizeof(uint16_t) * lim->pieces);
    p->slot = (void *)part(&at, sizeof(struct slot) * slots);
    p->state = part(&at, lim->open_blocks);
    assert((size_t)(at - (uint8_t *)mem) == picker_size(lim));
    return p;
}

/* ---- arithmetic ---- */

static uint32_t piece_of(const struct picker *p, uint32_t block)
{
    assert(block < p->g.blocks);
    return block / p->g.piece_blocks;
}

static uint32_t piece_first(const struct picker *p, uint32_t piece)
{
    return piece * p->g.piece_blocks;
}

static uint32_t piece_count(const struct picker *p, uint32_t piece)
{
    uint32_t left = p->g.blocks - piece_first(p, piece);
    return left < p->g.piece_blocks ? left : p->g.piece_blocks;
}

/* Can this block be verified?  The one block of an image is its own root. */
static bool block_provable(const struct picker *p, uint32_t block)
{
    return p->g.blocks == 1 || bits_get(p->chunk_have, geometry_chunk_of(&p->g, block));
}

static void piece_refresh(struct picker *p, uint32_t piece)
{
    bits_put(p->fresh, piece,
             !bits_get(p->have, piece) && p->slot_of[piece] == NONE16 &&
                 block_provable(p, piece_first(p, piece)));
}

/* ---- slots and block states ---- */

static uint8_t *state_at(const struct picker *p, uint32_t slot, uint32_t i)
{
    return &p->state[(size_t)slot * p->stride + i];
}

/* Counts one block in (by = 1) or out (by = -1) of the class that its state says. */
static void state_count(struct picker *p, uint32_t slot, uint8_t state, int by)
{
    struct slot *s = &p->slot[slot];
    if (state & HELD) {
        s->held = (uint16_t)(s->held + by);
        p->blocks_have += (uint32_t)by;
    } else if (state & COMING) {
        p->blocks_coming += (uint32_t)by;
    } else if (state & ASKS) {
        p->blocks_asked += (uint32_t)by;
    } else {
        s->free = (uint16_t)(s->free + by);
    }
}

static void state_put(struct picker *p, uint32_t slot, uint32_t i, uint8_t state)
{
    uint8_t *at = state_at(p, slot, i);
    state_count(p, slot, *at, -1);
    *at = state;
    state_count(p, slot, state, 1);
    bits_put(p->wanted, slot, p->slot[slot].free > 0);
}

/* Where block's state is, or NULL when its piece is not begun. */
static uint8_t *state_find(const struct picker *p, uint32_t block, uint32_t *slot, uint32_t *i)
{
    uint32_t piece = piece_of(p, block);
    *slot = p->slot_of[piece];
    *i = block - piece_first(p, piece);
    return *slot == NONE16 ? NULL : state_at(p, *slot, *i);
}

static void slot_close(struct picker *p, uint32_t slot)
{
    uint16_t piece = p->slot[slot].piece;
    bits_clear(p->used, slot);
    bits_clear(p->wanted, slot);
    p->slot_of[piece] = NONE16;
    p->open--;
    piece_refresh(p, piece);
}

/* A piece of which nothing is held, coming or asked for is not begun any more. */
static void slot_close_idle(struct picker *p, uint32_t slot)
{
    const struct slot *s = &p->slot[slot];
    if (s->free == piece_count(p, s->piece))
        slot_close(p, slot);
}

/* Does anybody still owe us a block of this slot, or storage an answer? */
static bool slot_busy(const struct picker *p, uint32_t slot)
{
    uint32_t count = piece_count(p, p->slot[slot].piece);
    for (uint32_t i = 0; i < count; i++)
        if (*state_at(p, slot, i) & (ASKS | COMING))
            return true;
    return false;
}

/* Forgets one begun piece that no neighbour holds.  False when there is none. */
static bool slot_evict(struct picker *p)
{
    for (uint32_t slot = 0; slot < p->slots; slot++) {
        const struct slot *s = &p->slot[slot];
        if (!bits_get(p->used, slot) || rarity_get(&p->rarity, s->piece) > 0 || slot_busy(p, slot))
            continue;
        p->blocks_have -= s->held;
        slot_close(p, slot);
        return true;
    }
    return false;
}

static uint32_t slot_unused(const struct picker *p)
{
    if (p->open == p->slots)
        return PICKER_NONE;
    for (uint32_t w = 0;; w++) {
        uint64_t idle = ~bits_own_word(p->used, w);
        if (idle != 0)
            return w * 64 + bits_pop(&idle);
    }
}

/* PICKER_NONE when all are in use. */
static uint32_t slot_open(struct picker *p, uint32_t piece, uint16_t who)
{
    uint32_t slot = slot_unused(p);
    if (slot == PICKER_NONE)
        return PICKER_NONE;
    assert(slot < p->slots && p->slot_of[piece] == NONE16);
    uint32_t count = piece_count(p, piece);
    p->slot[slot] = (struct slot){.piece = (uint16_t)piece, .who = who, .free = (uint16_t)count};
    memset(state_at(p, slot, 0), 0, count);
    bits_set(p->used, slot);
    bits_set(p->wanted, slot);
    p->slot_of[piece] = (uint16_t)slot;
    p->open++;
    piece_refresh(p, piece);
    return slot;
}

/* ---- beginning, loading, forgetting ---- */

static void forget_held(struct picker *p)
{
    memset(p->have, 0, bits_size(p->g.pieces));
    memset(p->fresh, 0, bits_size(p->g.pieces));
    memset(p->chunk_have, 0, bits_size(p->g.chunks));
    memset(p->chunk_asked, 0, bits_size(p->g.chunks));
    p->pieces_have = 0;
    p->blocks_have = 0;
    p->blocks_coming = 0;
    p->chunks_have = 0;
    p->chunks_asked = 0;
}

static void forget_begun(struct picker *p)
{
    memset(p->used, 0, bits_size(p->slots));
    memset(p->wanted, 0, bits_size(p->slots));
    memset(p->slot_of, 0xff, sizeof(uint16_t) * p->g.pieces);
    p->open = 0;
    p->blocks_asked = 0;
}

static void refresh_all(struct picker *p)
{
    for (uint32_t piece = 0; piece < p->g.pieces; piece++)
        piece_refresh(p, piece);
}

enum err picker_begin(struct picker *p, const struct geometry *g)
{
    p->g = (struct geometry){0};
    p->slots = 0;
    forget_held(p);
    forget_begun(p);
    if (g->pieces > p->max_pieces || g->chunks > p->max_chunks)
        return E_LIMIT;
    uint32_t stride = g->blocks < g->piece_blocks ? g->blocks : g->piece_blocks;
    uint32_t least = g->pieces < SLOTS_WANTED ? g->pieces : SLOTS_WANTED;
    if (stride >= NONE16 || (uint64_t)stride * least > p->max_open_blocks)
        return E_LIMIT;
    p->g = *g;
    p->stride = stride;
    p->slots = p->max_open_blocks / stride;
    if (p->slots > g->pieces)
        p->slots = g->pieces;
    if (p->slots > slots_most_of(p->max_open_blocks, p->max_pieces))
        p->slots = slots_most_of(p->max_open_blocks, p->max_pieces);
    forget_held(p);
    forget_begun(p);
    rarity_begin(&p->rarity, g->pieces);
    refresh_all(p);
    return E_OK;
}

static void load_piece(struct picker *p, struct bytes blocks, uint32_t piece)
{
    uint32_t first = piece_first(p, piece), count = piece_count(p, piece), held = 0;
    for (uint32_t i = 0; i < count; i++)
        held += bits_in(blocks, first + i);
    if (held == count) {
        bits_set(p->have, piece);
        p->pieces_have++;
        p->blocks_have += count;
        return;
    }
    uint32_t slot = held > 0 ? slot_open(p, piece, NONE16) : PICKER_NONE;
    if (slot == PICKER_NONE)
        return;
    for (uint32_t i = 0; i < count; i++)
        if (bits_in(blocks, first + i))
            state_put(p, slot, i, HELD);
}

void picker_load(struct picker *p, struct bytes blocks, struct bytes chunks)
{
    forget_held(p);
    forget_begun(p);
    for (uint32_t c = 0; c < p->g.chunks; c++) {
        if (!bits_in(chunks, c))
            continue;
        bits_set(p->chunk_have, c);
        p->chunks_have++;
    }
    for (uint32_t piece = 0; piece < p->g.pieces; piece++)
        load_piece(p, blocks, piece);
    refresh_all(p);
}

void picker_forget_all(struct picker *p)
{
    forget_held(p);
    /* What was asked for stays asked for: the answers will come and must not be asked thrice. */
    for (uint32_t slot = 0; slot < p->slots; slot++) {
        struct slot *s = &p->slot[slot];
        if (!bits_get(p->used, slot))
            continue;
        uint32_t count = piece_count(p, s->piece), free = 0;
        for (uint32_t i = 0; i < count; i++) {
            uint8_t *at = state_at(p, slot, i);
            if (*at & (HELD | COMING) && *at & ASKS)
                p->blocks_asked++;
            *at &= ASKS;
            free += *at == 0;
        }
        s->held = 0;
        s->free = (uint16_t)free;
        bits_put(p->wanted, slot, free > 0);
        slot_close_idle(p, slot);
    }
    refresh_all(p);
}

/* ---- what is held ---- */

struct bytes picker_bitmap(const struct picker *p)
{
    return bytes_of(p->have, (p->g.pieces + 7) / 8);
}

bool picker_has(const struct picker *p, uint32_t piece)
{
    return piece < p->g.pieces && bits_get(p->have, piece);
}

bool picker_has_block(const struct picker *p, uint32_t block)
{
    if (block >= p->g.blocks)
        return false;
    uint32_t slot, i;
    const uint8_t *state = state_find(p, block, &slot, &i);
    return state != NULL ? (*state & HELD) != 0 : bits_get(p->have, piece_of(p, block));
}

bool picker_has_chunk(const struct picker *p, uint32_t chunk)
{
    return chunk < p->g.chunks && bits_get(p->chunk_have, chunk);
}

uint32_t picker_pieces_have(const struct picker *p)
{
    return p->pieces_have;
}

uint32_t picker_blocks_have(const struct picker *p)
{
    return p->blocks_have;
}

bool picker_complete(const struct picker *p)
{
    return p->g.pieces > 0 && p->pieces_have == p->g.pieces;
}

/* ---- what neighbours hold ---- */

/* Word w of what a neighbour says it holds, without bits beyond the last piece. */
static uint64_t peer_word(const struct picker *p, struct bytes bits, uint32_t w)
{
    uint32_t left = p->g.pieces - w * 64;
    uint64_t spare = left < 64 ? UINT64_MAX >> left : 0;
    return bits_word(bits, w) & ~spare;
}

void picker_peer_add(struct picker *p, struct bytes bits)
{
    for (uint32_t w = 0; w < bits_words(p->g.pieces); w++)
        rarity_add(&p->rarity, w, peer_word(p, bits, w));
}

void picker_peer_remove(struct picker *p, struct bytes bits)
{
    for (uint32_t w = 0; w < bits_words(p->g.pieces); w++)
        rarity_remove(&p->rarity, w, peer_word(p, bits, w));
}

void picker_peer_have(struct picker *p, uint32_t piece)
{
    assert(piece < p->g.pieces);
    rarity_add(&p->rarity, piece / 64, UINT64_C(1) << (63 - piece % 64));
}

void picker_peer_lost(struct picker *p, uint32_t piece)
{
    assert(piece < p->g.pieces);
    rarity_remove(&p->rarity, piece / 64, UINT64_C(1) << (63 - piece % 64));
}

bool picker_wants(const struct picker *p, struct bytes bits)
{
    for (uint32_t w = 0; w < bits_words(p->g.pieces); w++)
        if ((peer_word(p, bits, w) & ~bits_own_word(p->have, w)) != 0)
            return true;
    return false;
}

uint32_t picker_availability(const struct picker *p, uint32_t piece)
{
    return piece < p->g.pieces ? rarity_get(&p->rarity, piece) : 0;
}

/* ---- chunks ---- */

static bool chunk_open(const struct picker *p, uint32_t chunk)
{
    return !bits_get(p->chunk_have, chunk) && !bits_get(p->chunk_asked, chunk);
}

/* Does a neighbour with these bits hold a missing piece that lies in this chunk?  Then it holds the
 * chunk too. */
static bool chunk_useful(const struct picker *p, struct bytes bits, uint32_t chunk)
{
    uint64_t first = (uint64_t)chunk * CHUNK_BLOCKS, end = first + CHUNK_BLOCKS;
    if (end > p->g.blocks)
        end = p->g.blocks;
    uint32_t last = (uint32_t)((end - 1) / p->g.piece_blocks);
    for (uint32_t piece = (uint32_t)(first / p->g.piece_blocks); piece <= last; piece++)
        if (bits_in(bits, piece) && !bits_get(p->have, piece))
            return true;
    return false;
}

/* A chunk that a begun piece waits for: only pieces larger than a chunk ever do. */
static uint32_t chunk_of_begun(const struct picker *p, struct bytes bits)
{
    if (p->g.piece_blocks <= CHUNK_BLOCKS)
        return PICKER_NONE;
    for (uint32_t slot = 0; slot < p->slots; slot++) {
        uint32_t piece = p->slot[slot].piece;
        if (!bits_get(p->wanted, slot) || !bits_in(bits, piece))
            continue;
        uint32_t first = geometry_chunk_of(&p->g, piece_first(p, piece));
        uint32_t count = (piece_count(p, piece) + CHUNK_BLOCKS - 1) / CHUNK_BLOCKS;
        for (uint32_t c = first; c < first + count; c++)
            if (chunk_open(p, c))
                return c;
    }
    return PICKER_NONE;
}

static uint32_t chunk_of_any(const struct picker *p, struct bytes bits, struct rng *rng)
{
    uint32_t start = rng_below(rng, p->g.chunks);
    for (uint32_t i = 0; i < p->g.chunks; i++) {
        uint32_t c = start + i < p->g.chunks ? start + i : start + i - p->g.chunks;
        if (chunk_open(p, c) && chunk_useful(p, bits, c))
            return c;
    }
    return PICKER_NONE;
}

uint32_t picker_next_chunk(struct picker *p, struct bytes bits, struct rng *rng)
{
    if (p->g.blocks <= 1 || p->chunks_have + p->chunks_asked == p->g.chunks)
        return PICKER_NONE;
    uint32_t chunk = chunk_of_begun(p, bits);
    if (chunk == PICKER_NONE)
        chunk = chunk_of_any(p, bits, rng);
    if (chunk == PICKER_NONE)
        return PICKER_NONE;
    bits_set(p->chunk_asked, chunk);
    p->chunks_asked++;
    return chunk;
}

void picker_chunk_failed(struct picker *p, uint32_t chunk)
{
    assert(chunk < p->g.chunks);
    if (!bits_get(p->chunk_asked, chunk))
        return;
    bits_clear(p->chunk_asked, chunk);
    p->chunks_asked--;
}

void picker_chunk_stored(struct picker *p, uint32_t chunk)
{
    picker_chunk_failed(p, chunk);
    if (bits_get(p->chunk_have, chunk))
        return;
    bits_set(p->chunk_have, chunk);
    p->chunks_have++;
    uint64_t first = (uint64_t)chunk * CHUNK_BLOCKS;
    uint64_t piece = (first + p->g.piece_blocks - 1) / p->g.piece_blocks;
    for (; piece < p->g.pieces && piece * p->g.piece_blocks < first + CHUNK_BLOCKS; piece++)
        piece_refresh(p, (uint32_t)piece);
}

/* ---- choosing a block ---- */

static bool listed(const uint32_t *list, uint32_t count, uint32_t block)
{
    for (uint32_t i = 0; i < count; i++)
        if (list[i] == block)
            return true;
    return false;
}

/* The first free block of a begun piece that can be verified, or PICKER_NONE. */
static uint32_t slot_free_block(const struct picker *p, uint32_t slot, const uint32_t *mine,
                                uint32_t count)
{
    uint32_t first = piece_first(p, p->slot[slot].piece);
    uint32_t blocks = piece_count(p, p->slot[slot].piece);
    for (uint32_t i = 0; i < blocks; i++) {
        if (*state_at(p, slot, i) != 0)
            continue;
        if (!block_provable(p, first + i))
            i |= CHUNK_BLOCKS - 1; /* the next chunk may be there */
        else if (!listed(mine, count, first + i))
            return first + i;
    }
    return PICKER_NONE;
}

/* A free block of a begun piece: first of one begun with this neighbour, then of any. */
static uint32_t next_begun(const struct picker *p, uint32_t who, struct bytes bits,
                           const uint32_t *mine, uint32_t count)
{
    uint32_t other = PICKER_NONE;
    for (uint32_t w = 0; w < bits_words(p->slots); w++) {
        uint64_t set = bits_own_word(p->wanted, w);
        while (set != 0) {
            uint32_t slot = w * 64 + bits_pop(&set);
            const struct slot *s = &p->slot[slot];
            if (!bits_in(bits, s->piece) || (s->who != who && other != PICKER_NONE))
                continue;
            uint32_t block = slot_free_block(p, slot, mine, count);
            if (s->who == who && block != PICKER_NONE)
                return block;
            if (block != PICKER_NONE)
                other = block;
        }
    }
    return other;
}

/* A missing piece to begin: the rarest that the neighbour holds, or any while almost none is held.
 * Ties are drawn. */
static uint32_t next_fresh(struct picker *p, struct bytes bits, struct rng *rng)
{
    uint32_t words = bits_words(p->g.pieces), ties = 0, w = 0;
    uint64_t *set = p->choice, some = 0;
    for (uint32_t i = 0; i < words; i++) {
        set[i] = bits_word(bits, i) & bits_own_word(p->fresh, i);
        some |= set[i];
    }
    if (some == 0)
        return PICKER_NONE;
    if (p->pieces_have + p->open >= RANDOM_PIECES)
        rarity_least(&p->rarity, set);
    for (uint32_t i = 0; i < words; i++)
        ties += bits_count(set[i]);
    uint32_t drawn = rng_below(rng, ties);
    for (; drawn >= bits_count(set[w]); w++)
        drawn -= bits_count(set[w]);
    while (drawn-- > 0)
        (void)bits_pop(&set[w]);
    return w * 64 + bits_pop(&set[w]);
}

/* Of the blocks that were asked once, of another neighbour, number `nth`; *seen counts them. */
static uint32_t endgame_nth(const struct picker *p, struct bytes bits, const uint32_t *mine,
                            uint32_t count, uint32_t nth, uint32_t *seen)
{
    *seen = 0;
    for (uint32_t w = 0; w < bits_words(p->slots); w++) {
        uint64_t set = bits_own_word(p->used, w);
        while (set != 0) {
            uint32_t slot = w * 64 + bits_pop(&set);
            uint32_t piece = p->slot[slot].piece;
            uint32_t blocks = piece_count(p, piece), first = piece_first(p, piece);
            if (!bits_in(bits, piece))
                continue;
            for (uint32_t i = 0; i < blocks; i++)
                if (*state_at(p, slot, i) == 1 && !listed(mine, count, first + i) &&
                    (*seen)++ == nth)
                    return first + i;
        }
    }
    return PICKER_NONE;
}

static uint32_t next_endgame(const struct picker *p, struct bytes bits, const uint32_t *mine,
                             uint32_t count, struct rng *rng)
{
    uint32_t seen, again;
    (void)endgame_nth(p, bits, mine, count, UINT32_MAX, &seen);
    if (seen == 0)
        return PICKER_NONE;
    return endgame_nth(p, bits, mine, count, rng_below(rng, seen), &again);
}

bool picker_in_endgame(const struct picker *p)
{
    uint32_t missing = p->g.blocks - p->blocks_have - p->blocks_coming;
    uint32_t most = p->g.blocks / 100 > ENDGAME_BLOCKS ? p->g.blocks / 100 : ENDGAME_BLOCKS;
    return missing > 0 && missing <= most && missing == p->blocks_asked;
}

/* Begins a piece with this neighbour and returns its first block. */
static uint32_t begin_piece(struct picker *p, uint32_t who, struct bytes bits, struct rng *rng)
{
    uint32_t piece = next_fresh(p, bits, rng);
    if (piece == PICKER_NONE)
        return PICKER_NONE;
    if (p->open == p->slots && !slot_evict(p))
        return PICKER_NONE;
    uint32_t slot = slot_open(p, piece, (uint16_t)who);
    assert(slot != PICKER_NONE);
    return piece_first(p, piece);
}

uint32_t picker_next(struct picker *p, uint32_t who, struct bytes bits, const uint32_t *mine,
                     uint32_t count, struct rng *rng)
{
    assert(who < NONE16);
    uint32_t block = next_begun(p, who, bits, mine, count);
    if (block == PICKER_NONE)
        block = begin_piece(p, who, bits, rng);
    if (block == PICKER_NONE && picker_in_endgame(p))
        block = next_endgame(p, bits, mine, count, rng);
    if (block == PICKER_NONE)
        return PICKER_NONE;
    uint32_t slot, i;
    const uint8_t *state = state_find(p, block, &slot, &i);
    assert(state != NULL);
    assert((*state & ASKS) < 2 && !(*state & (HELD | COMING)));
    state_put(p, slot, i, (uint8_t)(*state + 1));
    return block;
}

/* ---- what became of a block ---- */

static uint8_t less_one_ask(uint8_t state)
{
    return (state & ASKS) > 0 ? (uint8_t)(state - 1) : state;
}

void picker_unask(struct picker *p, uint32_t block)
{
    uint32_t slot, i;
    const uint8_t *state = state_find(p, block, &slot, &i);
    if (state == NULL)
        return;
    state_put(p, slot, i, less_one_ask(*state));
    slot_close_idle(p, slot);
}

static bool received(struct picker *p, uint32_t block, bool asked)
{
    uint32_t slot, i;
    const uint8_t *state = state_find(p, block, &slot, &i);
    if (state == NULL) {
        /* It comes late, after its ask was given up: as welcome as any, if its piece can be begun.
         */
        uint32_t piece = piece_of(p, block);
        if (bits_get(p->have, piece) || !block_provable(p, block) ||
            slot_open(p, piece, NONE16) == PICKER_NONE)
            return false;
        state = state_find(p, block, &slot, &i);
    }
    uint8_t after = asked ? less_one_ask(*state) : *state;
    bool wanted = !(after & (HELD | COMING)) && block_provable(p, block);
    state_put(p, slot, i, wanted ? after | COMING : after);
    slot_close_idle(p, slot);
    return wanted;
}

bool picker_received(struct picker *p, uint32_t block)
{
    return received(p, block, true);
}

bool picker_received_late(struct picker *p, uint32_t block)
{
    return received(p, block, false);
}

void picker_failed(struct picker *p, uint32_t block)
{
    uint32_t slot, i;
    const uint8_t *state = state_find(p, block, &slot, &i);
    if (state == NULL)
        return;
    state_put(p, slot, i, (uint8_t)(*state & ~COMING));
    slot_close_idle(p, slot);
}

bool picker_stored(struct picker *p, uint32_t block)
{
    uint32_t slot, i;
    const uint8_t *state = state_find(p, block, &slot, &i);
    /* Forgotten meanwhile: then it is fetched again. */
    if (state == NULL || !(*state & COMING))
        return false;
    state_put(p, slot, i, (uint8_t)((*state & ~COMING) | HELD));
    uint32_t piece = p->slot[slot].piece;
    if (p->slot[slot].held < piece_count(p, piece))
        return false;
    bits_set(p->have, piece);
    p->pieces_have++;
    slot_close(p, slot);
    return true;
}

bool picker_lost(struct picker *p, uint32_t block)
{
    uint32_t slot, i;
    const uint8_t *state = state_find(p, block, &slot, &i);
    if (state != NULL) {
        state_put(p, slot, i, (uint8_t)(*state & ~HELD));
        slot_close_idle(p, slot);
        return false;
    }
    uint32_t piece = piece_of(p, block), count = piece_count(p, piece);
    if (!bits_get(p->have, piece))
        return false;
    bits_clear(p->have, piece);
    p->pieces_have--;
    p->blocks_have -= count;
    slot = count > 1 ? slot_open(p, piece, NONE16) : PICKER_NONE;
    for (uint32_t k = 0; slot != PICKER_NONE && k < count; k++)
        if (k != i)
            state_put(p, slot, k, HELD);
    piece_refresh(p, piece);
    return true;
}

uint32_t picker_asks(const struct picker *p, uint32_t block)
{
    uint32_t slot, i;
    const uint8_t *state = state_find(p, block, &slot, &i);
    return state != NULL ? *state & ASKS : 0;
}
