/* The picker against a naive model under random operations, and downloads from neighbours that
 * fail.
 */
#include "picker_help.h"

#include "swarm/bits.h"

#define PEERS      6u
#define MINE_MAX   64u
#define BLOCKS_MAX 4608u

/* ---- the naive model ---- */

struct peer {
    bool here;
    uint8_t bits[512];
    struct bytes view;
    uint32_t mine[MINE_MAX], count;
};

struct model {
    struct geometry g;
    struct picker *p;
    struct rng rng;
    bool held[BLOCKS_MAX], coming[BLOCKS_MAX];
    uint32_t asks[BLOCKS_MAX];
    bool chunk[16], chunk_asked[16];
    struct peer peer[PEERS];
};

static uint32_t piece_of(const struct model *m, uint32_t block)
{
    return block / m->g.piece_blocks;
}

static uint32_t first_of(const struct model *m, uint32_t piece)
{
    return piece * m->g.piece_blocks;
}

static uint32_t end_of(const struct model *m, uint32_t piece)
{
    uint32_t end = first_of(m, piece) + m->g.piece_blocks;
    return end < m->g.blocks ? end : m->g.blocks;
}

static bool has_piece(const struct model *m, uint32_t piece)
{
    for (uint32_t b = first_of(m, piece); b < end_of(m, piece); b++)
        if (!m->held[b])
            return false;
    return true;
}

static bool is_begun(const struct model *m, uint32_t piece)
{
    if (has_piece(m, piece))
        return false;
    for (uint32_t b = first_of(m, piece); b < end_of(m, piece); b++)
        if (m->held[b] || m->coming[b] || m->asks[b] > 0)
            return true;
    return false;
}

static bool is_provable(const struct model *m, uint32_t block)
{
    return m->g.blocks == 1 || m->chunk[block / CHUNK_BLOCKS];
}

static bool is_mine(const struct peer *peer, uint32_t block)
{
    for (uint32_t i = 0; i < peer->count; i++)
        if (peer->mine[i] == block)
            return true;
    return false;
}

static uint32_t availability(const struct model *m, uint32_t piece)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < PEERS; i++)
        n += m->peer[i].here && bits_in(m->peer[i].view, piece);
    return n;
}

static bool in_endgame(const struct model *m)
{
    uint32_t missing = 0;
    for (uint32_t b = 0; b < m->g.blocks; b++) {
        if (m->held[b] || m->coming[b])
            continue;
        if (m->asks[b] == 0)
            return false;
        missing++;
    }
    return missing > 0 && missing <= (m->g.blocks / 100 > 32 ? m->g.blocks / 100 : 32);
}

/* What picker_next may answer to a neighbour, by kind. */
struct offers {
    uint32_t of_begun, fresh, least, begun, again;
};

static struct offers offers_to(const struct model *m, const struct peer *peer)
{
    struct offers o = {.least = UINT32_MAX};
    bool endgame = in_endgame(m);
    for (uint32_t piece = 0; piece < m->g.pieces; piece++) {
        bool begun = is_begun(m, piece);
        o.begun += begun;
        if (!bits_in(peer->view, piece) || has_piece(m, piece))
            continue;
        if (!begun) {
            if (!is_provable(m, first_of(m, piece)))
                continue;
            o.fresh++;
            uint32_t a = availability(m, piece);
            o.least = a < o.least ? a : o.least;
            continue;
        }
        for (uint32_t b = first_of(m, piece); b < end_of(m, piece); b++) {
            if (m->held[b] || m->coming[b] || is_mine(peer, b))
                continue;
            o.of_begun += m->asks[b] == 0 && is_provable(m, b);
            o.again += endgame && m->asks[b] == 1;
        }
    }
    return o;
}

static void op_next(struct model *m, uint32_t who)
{
    struct peer *peer = &m->peer[who];
    if (!peer->here || peer->count == MINE_MAX)
        return;
    struct offers o = offers_to(m, peer);
    uint32_t have = 0;
    for (uint32_t piece = 0; piece < m->g.pieces; piece++)
        have += has_piece(m, piece);
    uint32_t b = picker_next(m->p, who, peer->view, peer->mine, peer->count, &m->rng);
    if (b == PICKER_NONE) {
        ck_assert_uint_eq(o.of_begun + o.fresh + o.again, 0);
        return;
    }
    ck_assert_uint_lt(b, m->g.blocks);
    uint32_t piece = piece_of(m, b);
    ck_assert(bits_in(peer->view, piece));
    ck_assert(!m->held[b] && !m->coming[b] && !is_mine(peer, b));
    ck_assert(is_provable(m, b));
    if (m->asks[b] == 1) {
        ck_assert(in_endgame(m));
        ck_assert_uint_eq(o.of_begun + o.fresh, 0);
    } else {
        ck_assert_uint_eq(m->asks[b], 0);
    }
    if (!is_begun(m, piece)) {
        ck_assert_uint_eq(o.of_begun, 0);
        ck_assert_uint_eq(b, first_of(m, piece));
        if (have + o.begun >= 2)
            ck_assert_uint_eq(availability(m, piece), o.least);
    }
    m->asks[b]++;
    peer->mine[peer->count++] = b;
}

static void drop_ask(struct model *m, uint32_t b)
{
    if (m->asks[b] > 0)
        m->asks[b]--;
}

static uint32_t take_mine(struct model *m, struct peer *peer)
{
    uint32_t i = rng_below(&m->rng, peer->count), b = peer->mine[i];
    peer->mine[i] = peer->mine[--peer->count];
    return b;
}

static void op_received(struct model *m, uint32_t b)
{
    drop_ask(m, b);
    bool wanted = !m->held[b] && !m->coming[b] && is_provable(m, b);
    ck_assert_int_eq(picker_received(m->p, b), wanted);
    m->coming[b] |= wanted;
}

static void op_stored(struct model *m, uint32_t b)
{
    uint32_t piece = piece_of(m, b);
    bool was = has_piece(m, piece), counted = m->coming[b];
    m->held[b] |= counted;
    m->coming[b] = false;
    bool completed = counted && !was && has_piece(m, piece);
    ck_assert_int_eq(picker_stored(m->p, b), completed);
    if (!completed)
        return;
    for (uint32_t i = first_of(m, piece); i < end_of(m, piece); i++)
        m->asks[i] = 0;
}

static void op_lost(struct model *m, uint32_t b)
{
    bool was = has_piece(m, piece_of(m, b));
    ck_assert_int_eq(picker_lost(m->p, b), was);
    m->held[b] = false;
}

static void op_peer(struct model *m, struct peer *peer)
{
    peer->view = bytes_of(peer->bits, (m->g.pieces + 7) / 8);
    if (peer->here) {
        picker_peer_remove(m->p, peer->view);
        while (peer->count > 0) {
            uint32_t b = take_mine(m, peer);
            picker_unask(m->p, b);
            drop_ask(m, b);
        }
    } else {
        rng_bytes(&m->rng, peer->bits, (m->g.pieces + 7) / 8);
        if (rng_below(&m->rng, 3) == 0)
            memset(peer->bits, 0xff, sizeof peer->bits);
        /* Spare bits never count, whoever sets them. */
        picker_peer_add(m->p, peer->view);
    }
    peer->here = !peer->here;
}

static void op_have(struct model *m, struct peer *peer)
{
    uint32_t piece = rng_below(&m->rng, m->g.pieces);
    if (!peer->here)
        return;
    bool had = bits_get(peer->bits, piece);
    if (had)
        picker_peer_lost(m->p, piece);
    else
        picker_peer_have(m->p, piece);
    bits_put(peer->bits, piece, !had);
}

static void op_chunk(struct model *m, const struct peer *peer)
{
    if (!peer->here)
        return;
    uint32_t useful = 0;
    for (uint32_t b = 0; b < m->g.blocks; b++)
        useful += m->g.blocks > 1 && bits_in(peer->view, piece_of(m, b)) &&
                  !has_piece(m, piece_of(m, b)) && !m->chunk[b / CHUNK_BLOCKS] &&
                  !m->chunk_asked[b / CHUNK_BLOCKS];
    uint32_t c = picker_next_chunk(m->p, peer->view, &m->rng);
    ck_assert_int_eq(c == PICKER_NONE, useful == 0);
    if (c == PICKER_NONE)
        return;
    ck_assert_uint_lt(c, m->g.chunks);
    ck_assert(!m->chunk[c] && !m->chunk_asked[c]);
    m->chunk_asked[c] = true;
}

static void op_chunk_end(struct model *m)
{
    uint32_t c = rng_below(&m->rng, m->g.chunks);
    if (!m->chunk_asked[c])
        return;
    m->chunk_asked[c] = false;
    if (rng_below(&m->rng, 2) == 0) {
        picker_chunk_failed(m->p, c);
        return;
    }
    picker_chunk_stored(m->p, c);
    m->chunk[c] = true;
}

static void forget_chunks(struct model *m)
{
    memset(m->chunk, 0, sizeof m->chunk);
    memset(m->chunk_asked, 0, sizeof m->chunk_asked);
    memset(m->coming, 0, sizeof m->coming);
}

static void op_forget(struct model *m)
{
    picker_forget_all(m->p);
    forget_chunks(m);
    memset(m->held, 0, sizeof m->held);
}

static void op_load(struct model *m)
{
    uint8_t blocks[BLOCKS_MAX / 8] = {0}, chunks[2];
    forget_chunks(m);
    memset(m->asks, 0, sizeof m->asks);
    for (uint32_t i = 0; i < PEERS; i++)
        m->peer[i].count = 0;
    rng_bytes(&m->rng, chunks, sizeof chunks);
    for (uint32_t b = 0; b < m->g.blocks; b++) {
        m->held[b] = rng_below(&m->rng, 4) > 0;
        bits_put(blocks, b, m->held[b]);
    }
    for (uint32_t c = 0; c < m->g.chunks; c++)
        m->chunk[c] = bits_get(chunks, c);
    picker_load(m->p, bytes_of(blocks, sizeof blocks), bytes_of(chunks, sizeof chunks));
}

/* Counts where the two differ: an assertion for each block would take most of the test's time. */
static void compare(const struct model *m)
{
    uint32_t blocks = 0, pieces = 0, differ = 0;
    struct bytes map = picker_bitmap(m->p);
    for (uint32_t b = 0; b < m->g.blocks; b++) {
        differ += picker_has_block(m->p, b) != m->held[b];
        differ += picker_asks(m->p, b) != m->asks[b] || m->asks[b] > 2;
        blocks += m->held[b];
    }
    for (uint32_t piece = 0; piece < m->g.pieces; piece++) {
        bool has = has_piece(m, piece);
        differ += picker_has(m->p, piece) != has;
        differ += bits_in(map, piece) != has;
        differ += picker_availability(m->p, piece) != availability(m, piece);
        pieces += has;
    }
    for (uint32_t c = 0; c < m->g.chunks; c++)
        differ += picker_has_chunk(m->p, c) != m->chunk[c];
    for (uint32_t i = 0; i < PEERS; i++) {
        bool wants = false;
        for (uint32_t piece = 0; m->peer[i].here && piece < m->g.pieces; piece++)
            wants |= bits_in(m->peer[i].view, piece) && !bits_in(map, piece);
        differ += m->peer[i].here && picker_wants(m->p, m->peer[i].view) != wants;
    }
    ck_assert_uint_eq(differ, 0);
    ck_assert_uint_eq(picker_blocks_have(m->p), blocks);
    ck_assert_uint_eq(picker_pieces_have(m->p), pieces);
    ck_assert_int_eq(picker_complete(m->p), pieces == m->g.pieces);
    ck_assert_int_eq(picker_in_endgame(m->p), in_endgame(m));
}

static void random_op(struct model *m)
{
    struct peer *peer = &m->peer[rng_below(&m->rng, PEERS)];
    uint32_t what = rng_below(&m->rng, 1000), block = rng_below(&m->rng, m->g.blocks);
    if (what < 400) {
        op_next(m, (uint32_t)(peer - m->peer));
    } else if (what < 650 && peer->count > 0) {
        op_received(m, take_mine(m, peer));
    } else if (what < 700 && peer->count > 0) {
        uint32_t b = take_mine(m, peer);
        picker_unask(m->p, b);
        drop_ask(m, b);
    } else if (what < 890) {
        for (uint32_t b = block; b < m->g.blocks; b++)
            if (m->coming[b] && rng_below(&m->rng, 2) == 0)
                op_stored(m, b);
    } else if (what < 900) {
        picker_failed(m->p, block);
        m->coming[block] = false;
    } else if (what < 915) {
        op_received(m, block);
    } else if (what < 925) {
        op_stored(m, block);
    } else if (what < 930) {
        op_lost(m, block);
    } else if (what < 935) {
        op_peer(m, peer);
    } else if (what < 950) {
        op_have(m, peer);
    } else if (what < 970) {
        op_chunk(m, peer);
    } else if (what < 997) {
        op_chunk_end(m);
    } else if (what == 997) {
        op_forget(m);
    } else if (what == 998) {
        op_load(m);
    }
}

static void run_model(uint32_t seed, uint32_t blocks, uint32_t piece_blocks, uint32_t ops)
{
    struct model *m = calloc(1, sizeof *m);
    m->g = geometry_of(blocks, piece_blocks);
    m->p = picker_of(&roomy, &m->g);
    m->rng = rng_of(seed);
    for (uint32_t i = 0; i < ops; i++) {
        random_op(m);
        if (i % 16 == 0)
            compare(m);
    }
    compare(m);
    free(m->p);
    free(m);
}

START_TEST(agrees_with_a_naive_model)
{
    uint32_t seed = (uint32_t)_i * 10;
    run_model(seed, 1, 1, 2000);
    run_model(seed + 1, 1, 64, 1000);
    run_model(seed + 2, 7, 1, 4000);
    run_model(seed + 3, 30, 4, 6000);
    run_model(seed + 4, 65, 64, 4000);
    run_model(seed + 5, 700, 1, 4000);
    run_model(seed + 6, 1000, 16, 4000);
    run_model(seed + 7, 4100, 1024, 1500);
}
END_TEST

/* ---- completeness ---- */

/* Neighbours with random parts, failures of all kinds, until all is held.  Returns how many blocks
 * came in vain. */
static uint32_t fetch_all(uint32_t seed, const struct limits *lim, struct geometry g)
{
    static struct model m; /* only its peers and rng are used */
    memset(&m, 0, sizeof m);
    m.g = g;
    m.rng = rng_of(seed);
    m.p = picker_of(lim, &g);
    for (uint32_t i = 0; i < PEERS; i++) {
        rng_bytes(&m.rng, m.peer[i].bits, sizeof m.peer[i].bits);
        m.peer[i].view = bytes_of(m.peer[i].bits, (g.pieces + 7) / 8);
        for (uint32_t k = 0; i == 0 && k < sizeof m.peer[i].bits; k++)
            for (uint32_t o = 1; o < PEERS; o++)
                m.peer[0].bits[k] |= (uint8_t)~m.peer[o].bits[k];
        picker_peer_add(m.p, m.peer[i].view);
    }
    uint32_t waste = 0, steps = 0;
    while (!picker_complete(m.p)) {
        struct peer *peer = &m.peer[rng_below(&m.rng, PEERS)];
        uint32_t who = (uint32_t)(peer - m.peer), chance = rng_below(&m.rng, 100);
        ck_assert_uint_lt(steps++, 200 * g.blocks + 20000);
        uint32_t c = picker_next_chunk(m.p, peer->view, &m.rng);
        if (c != PICKER_NONE && chance < 50)
            picker_chunk_stored(m.p, c);
        else if (c != PICKER_NONE)
            picker_chunk_failed(m.p, c);
        if (chance < 50 && peer->count < 16) {
            uint32_t b = picker_next(m.p, who, peer->view, peer->mine, peer->count, &m.rng);
            if (b != PICKER_NONE) {
                ck_assert_uint_le(picker_asks(m.p, b), 2);
                peer->mine[peer->count++] = b;
            }
        } else if (peer->count > 0 && chance < 55) {
            picker_unask(m.p, take_mine(&m, peer));
        } else if (peer->count > 0) {
            uint32_t b = take_mine(&m, peer);
            if (!picker_received(m.p, b))
                waste++;
            else if (chance < 60)
                picker_failed(m.p, b);
            else
                (void)picker_stored(m.p, b);
        }
    }
    ck_assert_uint_eq(picker_blocks_have(m.p), g.blocks);
    ck_assert_uint_eq(picker_next(m.p, 0, m.peer[0].view, NULL, 0, &m.rng), PICKER_NONE);
    free(m.p);
    return waste;
}

START_TEST(completes_from_neighbours_that_fail)
{
    const uint32_t shape[][2] = {{1, 1},    {3, 1},     {40, 8},     {600, 1},
                                 {2048, 1}, {2000, 16}, {4100, 1024}};
    struct limits tight = roomy;
    tight.open_blocks = 4096;
    for (uint32_t i = 0; i < sizeof shape / sizeof *shape; i++) {
        struct geometry g = geometry_of(shape[i][0], shape[i][1]);
        uint32_t most = g.blocks / 100 > 32 ? g.blocks / 100 : 32;
        /* Each failure reopens the endgame, so the waste is bounded by twice its size here. */
        ck_assert_uint_le(fetch_all((uint32_t)_i * 100 + i, &roomy, g), 2 * most);
        (void)fetch_all((uint32_t)_i * 100 + 50 + i, &tight, g);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("picker_model");
    TCase *model = tcase_create("model");
    tcase_set_timeout(model, 100);
    tcase_add_loop_test(model, agrees_with_a_naive_model, 0, 6);
    tcase_add_loop_test(model, completes_from_neighbours_that_fail, 0, 6);
    suite_add_tcase(s, model);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
