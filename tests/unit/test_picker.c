/* The picker's rules, one by one.  test_picker_model.c has the rest: everything at once. */
#include "picker_help.h"

/* All bits on, with junk in the spare bits as a careless neighbour would send. */
static struct bytes everything(uint8_t *room, uint32_t pieces)
{
    memset(room, 0xff, (pieces + 7) / 8);
    return bytes_of(room, (pieces + 7) / 8);
}

static void all_chunks(struct picker *p, const struct geometry *g)
{
    for (uint32_t c = 0; c < g->chunks; c++)
        picker_chunk_stored(p, c);
}

static uint32_t ask(struct picker *p, uint32_t who, struct bytes bits, struct rng *rng)
{
    return picker_next(p, who, bits, NULL, 0, rng);
}

static void keep(struct picker *p, uint32_t block)
{
    ck_assert(picker_received(p, block));
    picker_stored(p, block);
}

/* Four pieces may be open, and all four were begun with a neighbour that has left. */
START_TEST(pieces_nobody_holds_make_room)
{
    struct limits lim = roomy;
    lim.open_blocks = 64;
    struct geometry g = geometry_of(320, 16);
    struct picker *p = picker_of(&lim, &g);
    struct rng rng = rng_of(1);
    uint8_t gone[3] = {0xf0, 0, 0}, here[3] = {0x0f, 0xff, 0xf0};
    struct bytes first = bytes_of(gone, 3), second = bytes_of(here, 3);
    all_chunks(p, &g);
    picker_peer_add(p, first);
    picker_peer_add(p, second);
    uint32_t asked[64], n = 0;
    for (uint32_t b; n < 64 && (b = ask(p, 0, first, &rng)) != PICKER_NONE;)
        asked[n++] = b;
    ck_assert_uint_eq(n, 64);
    for (uint32_t i = 0; i < n; i++) {
        if (asked[i] % 16 == 3)
            keep(p, asked[i]);
        else if (asked[i] != 0)
            picker_unask(p, asked[i]);
    }
    ck_assert_uint_eq(picker_blocks_have(p), 4);
    /* While a neighbour holds them they stay. */
    ck_assert_uint_eq(ask(p, 1, second, &rng), PICKER_NONE);
    picker_peer_remove(p, first);
    /* Piece 0 still waits for block 0; the three others go, one at a time. */
    for (uint32_t i = 0; i < 3; i++) {
        uint32_t b = PICKER_NONE;
        for (uint32_t k = 0; k < 16; k++) {
            b = ask(p, 1, second, &rng);
            ck_assert_uint_ne(b, PICKER_NONE);
            ck_assert_uint_ge(b, 64);
        }
        ck_assert_uint_eq(picker_blocks_have(p), 3 - i);
    }
    ck_assert_uint_eq(ask(p, 1, second, &rng), PICKER_NONE);
    ck_assert(picker_has_block(p, 3));
    ck_assert(!picker_has_block(p, 19));
    ck_assert_uint_eq(picker_asks(p, 0), 1);
    free(p);
}
END_TEST

/* ---- rule by rule ---- */

START_TEST(memory_and_limits)
{
    ck_assert_uint_lt(picker_size(&roomy), 40 * 1024);
    struct picker *p = picker_init(malloc(picker_size(&roomy)), &roomy);
    struct geometry g = geometry_of(2048, 1);
    ck_assert_int_eq(picker_begin(p, &g), E_OK);
    g = geometry_of(2049, 1);
    ck_assert_int_eq(picker_begin(p, &g), E_LIMIT);
    ck_assert(!picker_complete(p));
    ck_assert_uint_eq(picker_bitmap(p).n, 0);
    g = geometry_of(4 * 2048, 2048);
    ck_assert_int_eq(picker_begin(p, &g), E_OK);
    g = geometry_of(4 * 4096, 4096);
    ck_assert_int_eq(picker_begin(p, &g), E_LIMIT);
    g = geometry_of(2 * 4096, 4096);
    ck_assert_int_eq(picker_begin(p, &g), E_OK);
    g = geometry_of(3, 65536);
    ck_assert_int_eq(picker_begin(p, &g), E_OK);
    free(p);
    struct limits few = roomy;
    few.chunks = 3;
    p = picker_init(malloc(picker_size(&few)), &few);
    g = geometry_of(3 * 512, 1);
    ck_assert_int_eq(picker_begin(p, &g), E_OK);
    g = geometry_of(3 * 512 + 1, 1);
    ck_assert_int_eq(picker_begin(p, &g), E_LIMIT);
    free(p);
}
END_TEST

START_TEST(rarest_first_with_random_ties)
{
    /* Pieces 0..9 are held by three neighbours, 10..14 by two. */
    uint32_t drawn[15] = {0};
    struct geometry g = geometry_of(15, 1);
    uint8_t all[2] = {0xff, 0xfe}, common[2] = {0xff, 0xc0};
    for (uint32_t seed = 0; seed < 500; seed++) {
        struct picker *p = picker_of(&roomy, &g);
        struct rng rng = rng_of(seed);
        all_chunks(p, &g);
        picker_peer_add(p, bytes_of(all, 2));
        picker_peer_add(p, bytes_of(all, 2));
        picker_peer_add(p, bytes_of(common, 2));
        uint32_t rare = 0;
        for (uint32_t i = 0; i < 2; i++)
            rare += ask(p, 0, bytes_of(all, 2), &rng) >= 10;
        /* From the third on, the rare ones, then the common ones. */
        uint32_t third = ask(p, 0, bytes_of(all, 2), &rng);
        ck_assert_uint_ge(third, 10);
        drawn[third]++;
        for (uint32_t i = rare + 1; i < 5; i++)
            ck_assert_uint_ge(ask(p, 0, bytes_of(all, 2), &rng), 10);
        ck_assert_uint_lt(ask(p, 0, bytes_of(all, 2), &rng), 10);
        free(p);
    }
    for (uint32_t i = 10; i < 15; i++) {
        ck_assert_uint_gt(drawn[i], 60);
        ck_assert_uint_lt(drawn[i], 140);
    }
}
END_TEST

START_TEST(first_two_pieces_are_random)
{
    /* One piece is rare.  Rarest first would begin with it always; chance does in one of eight. */
    struct geometry g = geometry_of(8, 1);
    uint8_t all[1] = {0xff}, most[1] = {0xfe};
    uint32_t first[8] = {0}, second[8] = {0};
    for (uint32_t seed = 0; seed < 800; seed++) {
        struct picker *p = picker_of(&roomy, &g);
        struct rng rng = rng_of(seed);
        all_chunks(p, &g);
        picker_peer_add(p, bytes_of(all, 1));
        picker_peer_add(p, bytes_of(most, 1));
        first[ask(p, 0, bytes_of(all, 1), &rng)]++;
        second[ask(p, 0, bytes_of(all, 1), &rng)]++;
        free(p);
    }
    for (uint32_t i = 0; i < 8; i++) {
        ck_assert_uint_gt(first[i], 60);
        ck_assert_uint_lt(first[i], 140);
        ck_assert_uint_gt(second[i], 60);
        ck_assert_uint_lt(second[i], 140);
    }
}
END_TEST

START_TEST(begun_pieces_first_own_before_others)
{
    struct geometry g = geometry_of(64, 4);
    uint8_t all[2];
    struct bytes bits = everything(all, g.pieces);
    for (uint32_t seed = 0; seed < 50; seed++) {
        struct picker *p = picker_of(&roomy, &g);
        struct rng rng = rng_of(seed);
        all_chunks(p, &g);
        picker_peer_add(p, bits);
        /* Each of three begins a piece: the others of its blocks are denied to the next. */
        uint32_t piece[3], mine[4];
        for (uint32_t who = 0; who < 3; who++) {
            for (uint32_t i = 0; i < 4; i++)
                mine[i] = ask(p, who, bits, &rng);
            piece[who] = mine[0] / 4;
            for (uint32_t i = 0; i < 4; i++)
                ck_assert_uint_eq(mine[i], piece[who] * 4 + i);
        }
        for (uint32_t who = 0; who < 3; who++)
            picker_unask(p, piece[who] * 4 + 2);
        for (uint32_t who = 3; who-- > 1;)
            ck_assert_uint_eq(ask(p, who, bits, &rng), piece[who] * 4 + 2);
        /* A neighbour that began none finishes what is open. */
        ck_assert_uint_eq(ask(p, 9, bits, &rng), piece[0] * 4 + 2);
        /* Only then is a new piece begun. */
        uint32_t fresh = ask(p, 9, bits, &rng) / 4;
        for (uint32_t who = 0; who < 3; who++)
            ck_assert_uint_ne(fresh, piece[who]);
        free(p);
    }
}
END_TEST

START_TEST(nothing_without_its_chunk)
{
    struct geometry g = geometry_of(1500, 1);
    struct picker *p = picker_of(&roomy, &g);
    struct rng rng = rng_of(3);
    uint8_t room[256];
    struct bytes bits = everything(room, g.pieces);
    picker_peer_add(p, bits);
    ck_assert_uint_eq(ask(p, 0, bits, &rng), PICKER_NONE);
    ck_assert(!picker_received(p, 700));
    bool asked[3] = {false};
    for (uint32_t i = 0; i < 3; i++) {
        uint32_t c = picker_next_chunk(p, bits, &rng);
        ck_assert_uint_lt(c, 3);
        ck_assert(!asked[c]);
        asked[c] = true;
    }
    ck_assert_uint_eq(picker_next_chunk(p, bits, &rng), PICKER_NONE);
    picker_chunk_failed(p, 1);
    ck_assert_uint_eq(picker_next_chunk(p, bits, &rng), 1);
    picker_chunk_stored(p, 1);
    ck_assert_uint_eq(picker_next_chunk(p, bits, &rng), PICKER_NONE);
    for (uint32_t i = 0; i < 512; i++) {
        uint32_t b = ask(p, 0, bits, &rng);
        ck_assert(b >= 512 && b < 1024);
    }
    ck_assert_uint_eq(ask(p, 0, bits, &rng), PICKER_NONE);
    /* A neighbour that holds nothing of a chunk is not asked for it. */
    picker_chunk_failed(p, 2);
    uint8_t low[64];
    memset(low, 0xff, sizeof low);
    ck_assert_uint_eq(picker_next_chunk(p, bytes_of(low, sizeof low), &rng), PICKER_NONE);
    free(p);
}
END_TEST

START_TEST(piece_larger_than_a_chunk)
{
    struct geometry g = geometry_of(4096, 1024);
    struct picker *p = picker_of(&roomy, &g);
    struct rng rng = rng_of(4);
    uint8_t room[1];
    struct bytes bits = everything(room, g.pieces);
    picker_peer_add(p, bits);
    picker_chunk_stored(p, 3);
    ck_assert_uint_eq(ask(p, 0, bits, &rng), PICKER_NONE);
    picker_chunk_stored(p, 4);
    for (uint32_t i = 0; i < 512; i++)
        ck_assert_uint_eq(ask(p, 0, bits, &rng), 2048 + i);
    ck_assert_uint_eq(ask(p, 0, bits, &rng), PICKER_NONE);
    /* What the begun piece waits for comes first. */
    ck_assert_uint_eq(picker_next_chunk(p, bits, &rng), 5);
    picker_chunk_stored(p, 5);
    ck_assert_uint_eq(ask(p, 0, bits, &rng), 2048 + 512);
    /* A piece begun before a restart goes on with the blocks whose chunk is there. */
    uint8_t blocks[1] = {0x80}, chunks[1] = {0x40};
    picker_load(p, bytes_of(blocks, 1), bytes_of(chunks, 1));
    ck_assert_uint_eq(ask(p, 0, bits, &rng), 512);
    free(p);
}
END_TEST

START_TEST(single_block_image_needs_no_chunk)
{
    struct geometry g = geometry_of(1, 1);
    struct picker *p = picker_of(&roomy, &g);
    struct rng rng = rng_of(5);
    uint8_t one[1] = {0xff};
    struct bytes bits = bytes_of(one, 1);
    picker_peer_add(p, bits);
    ck_assert_uint_eq(picker_next_chunk(p, bits, &rng), PICKER_NONE);
    ck_assert_uint_eq(ask(p, 0, bits, &rng), 0);
    keep(p, 0);
    ck_assert(picker_complete(p));
    ck_assert(picker_lost(p, 0));
    ck_assert_uint_eq(ask(p, 0, bits, &rng), 0);
    free(p);
}
END_TEST

START_TEST(endgame_asks_twice_and_never_thrice)
{
    const uint32_t blocks[] = {40, 8000};
    const uint32_t most[] = {32, 80};
    for (uint32_t t = 0; t < 2; t++) {
        struct geometry g = geometry_of(blocks[t], 16);
        struct picker *p = picker_of(&roomy, &g);
        struct rng rng = rng_of(6);
        uint8_t room[256];
        struct bytes bits = everything(room, g.pieces);
        all_chunks(p, &g);
        picker_peer_add(p, bits);
        static uint32_t mine[8000];
        for (uint32_t i = 0; i < g.blocks; i++)
            mine[i] = ask(p, 0, bits, &rng);
        /* All asked for, but too many left. */
        ck_assert(!picker_in_endgame(p));
        ck_assert_uint_eq(ask(p, 1, bits, &rng), PICKER_NONE);
        for (uint32_t i = 0; i < g.blocks - most[t]; i++) {
            ck_assert(!picker_in_endgame(p));
            keep(p, mine[i]);
        }
        ck_assert(picker_in_endgame(p));
        const uint32_t *left = mine + g.blocks - most[t];
        /* Not of the one that has them already. */
        ck_assert_uint_eq(picker_next(p, 0, bits, left, most[t], &rng), PICKER_NONE);
        uint32_t second[80];
        for (uint32_t i = 0; i < most[t]; i++) {
            second[i] = picker_next(p, 1, bits, second, i, &rng);
            ck_assert_uint_ne(second[i], PICKER_NONE);
            ck_assert_uint_eq(picker_asks(p, second[i]), 2);
        }
        ck_assert_uint_eq(ask(p, 2, bits, &rng), PICKER_NONE);
        /* One free block ends it. */
        picker_unask(p, left[0]);
        ck_assert(picker_in_endgame(p));
        picker_unask(p, left[0]);
        ck_assert(!picker_in_endgame(p));
        ck_assert_uint_eq(ask(p, 2, bits, &rng), left[0]);
        /* The first copy wins; the second is refused and ends its ask. */
        ck_assert(picker_received(p, left[1]));
        ck_assert_uint_eq(picker_asks(p, left[1]), 1);
        ck_assert(!picker_received(p, left[1]));
        ck_assert_uint_eq(picker_asks(p, left[1]), 0);
        ck_assert(!picker_received(p, left[1]));
        free(p);
    }
}
END_TEST

START_TEST(storage_decides)
{
    struct geometry g = geometry_of(10, 4);
    struct picker *p = picker_of(&roomy, &g);
    uint8_t room[1];
    struct bytes bits = everything(room, g.pieces);
    all_chunks(p, &g);
    picker_peer_add(p, bits);
    ck_assert(picker_received(p, 8));
    ck_assert(!picker_has_block(p, 8));
    picker_failed(p, 8);
    ck_assert(picker_received(p, 8));
    ck_assert(!picker_stored(p, 8));
    ck_assert(picker_has_block(p, 8));
    ck_assert(!picker_has(p, 2));
    ck_assert(picker_received(p, 9));
    ck_assert(picker_stored(p, 9));
    ck_assert(picker_has(p, 2));
    /* Nothing that was not on its way becomes held. */
    ck_assert(!picker_stored(p, 0));
    ck_assert(!picker_has_block(p, 0));
    ck_assert(picker_lost(p, 8));
    ck_assert(!picker_has(p, 2));
    ck_assert(picker_has_block(p, 9));
    ck_assert(!picker_lost(p, 9));
    ck_assert_uint_eq(picker_blocks_have(p), 0);
    free(p);
}
END_TEST

START_TEST(load_beyond_the_open_limit_forgets)
{
    struct limits lim = roomy;
    lim.open_blocks = 16;
    struct geometry g = geometry_of(32, 4);
    struct picker *p = picker_of(&lim, &g);
    /* Piece 0 whole, all others half. */
    uint8_t blocks[4] = {0xfc, 0xcc, 0xcc, 0xcc}, chunks[1] = {0x80};
    picker_load(p, bytes_of(blocks, 4), bytes_of(chunks, 1));
    ck_assert(picker_has(p, 0));
    ck_assert_uint_eq(picker_blocks_have(p), 4 + 4 * 2);
    ck_assert(picker_has_block(p, 17));
    ck_assert(!picker_has_block(p, 20));
    ck_assert(picker_has_chunk(p, 0));
    /* Short maps are zeros beyond their end. */
    picker_load(p, bytes_of(blocks, 1), bytes_of(NULL, 0));
    ck_assert_uint_eq(picker_blocks_have(p), 6);
    ck_assert(!picker_has_chunk(p, 0));
    free(p);
}
END_TEST

START_TEST(short_bitfields_read_as_zeros)
{
    struct geometry g = geometry_of(100, 1);
    struct picker *p = picker_of(&roomy, &g);
    struct rng rng = rng_of(8);
    uint8_t one[1] = {0x01};
    all_chunks(p, &g);
    picker_peer_add(p, bytes_of(one, 1));
    ck_assert(picker_wants(p, bytes_of(one, 1)));
    ck_assert(!picker_wants(p, bytes_of(NULL, 0)));
    ck_assert_uint_eq(ask(p, 0, bytes_of(NULL, 0), &rng), PICKER_NONE);
    ck_assert_uint_eq(ask(p, 0, bytes_of(one, 1), &rng), 7);
    ck_assert_uint_eq(picker_availability(p, 7), 1);
    picker_peer_remove(p, bytes_of(one, 1));
    ck_assert_uint_eq(picker_availability(p, 7), 0);
    free(p);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("picker");
    TCase *rules = tcase_create("rules");
    tcase_set_timeout(rules, 30);
    tcase_add_test(rules, pieces_nobody_holds_make_room);
    tcase_add_test(rules, memory_and_limits);
    tcase_add_test(rules, rarest_first_with_random_ties);
    tcase_add_test(rules, first_two_pieces_are_random);
    tcase_add_test(rules, begun_pieces_first_own_before_others);
    tcase_add_test(rules, nothing_without_its_chunk);
    tcase_add_test(rules, piece_larger_than_a_chunk);
    tcase_add_test(rules, single_block_image_needs_no_chunk);
    tcase_add_test(rules, endgame_asks_twice_and_never_thrice);
    tcase_add_test(rules, storage_decides);
    tcase_add_test(rules, load_beyond_the_open_limit_forgets);
    tcase_add_test(rules, short_bitfields_read_as_zeros);
    suite_add_tcase(s, rules);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
