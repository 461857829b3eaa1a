/* Bit-sliced counters against an array of counts. */
#include "swarm/rarity.h"

#include "picker_help.h"
#include "swarm/bits.h"

#define PIECES 200u
#define MOST   9u

static uint64_t memory[4 * 4];

START_TEST(counts_like_an_array)
{
    struct rarity r;
    struct rng rng = rng_of((uint32_t)_i);
    uint32_t count[PIECES] = {0};
    ck_assert_uint_eq(rarity_words(PIECES, MOST), sizeof memory / sizeof *memory);
    rarity_init(&r, memory, MOST);
    rarity_begin(&r, PIECES);
    for (uint32_t step = 0; step < 3000; step++) {
        uint32_t w = rng_below(&rng, 4);
        uint64_t set = rng_u64(&rng) & rng_u64(&rng), fits = 0;
        bool add = rng_below(&rng, 2) == 0;
        for (uint32_t i = 0; i < 64 && w * 64 + i < PIECES; i++) {
            uint32_t *c = &count[w * 64 + i];
            if (!(set & UINT64_C(1) << (63 - i)) || (add ? *c == MOST : *c == 0))
                continue;
            fits |= UINT64_C(1) << (63 - i);
            *c = add ? *c + 1 : *c - 1;
        }
        if (add)
            rarity_add(&r, w, fits);
        else
            rarity_remove(&r, w, fits);
        for (uint32_t i = 0; i < PIECES; i++)
            if (rarity_get(&r, i) != count[i])
                ck_abort_msg("piece %u at step %u", i, step);
        uint64_t among[4];
        uint32_t least = UINT32_MAX;
        for (uint32_t k = 0; k < 4; k++)
            among[k] = k == 3 ? rng_u64(&rng) & UINT64_MAX << 56 : rng_u64(&rng);
        uint64_t left[4];
        memcpy(left, among, sizeof left);
        rarity_least(&r, left);
        for (uint32_t i = 0; i < PIECES; i++)
            if (among[i / 64] >> (63 - i % 64) & 1 && count[i] < least)
                least = count[i];
        for (uint32_t i = 0; i < PIECES; i++) {
            bool in = among[i / 64] >> (63 - i % 64) & 1, kept = left[i / 64] >> (63 - i % 64) & 1;
            if (kept != (in && count[i] == least))
                ck_abort_msg("choice of piece %u at step %u", i, step);
        }
    }
    rarity_begin(&r, PIECES);
    for (uint32_t i = 0; i < PIECES; i++)
        ck_assert_uint_eq(rarity_get(&r, i), 0);
}
END_TEST

START_TEST(below_zero_is_a_bug)
{
    struct rarity r;
    rarity_init(&r, memory, MOST);
    rarity_begin(&r, PIECES);
    rarity_add(&r, 1, 5);
    rarity_remove(&r, 1, 2);
}
END_TEST

START_TEST(beyond_its_range_is_a_bug)
{
    struct rarity r;
    rarity_init(&r, memory, MOST);
    rarity_begin(&r, PIECES);
    for (uint32_t i = 0; i < 16; i++)
        rarity_add(&r, 0, 1);
}
END_TEST

START_TEST(bitmaps_by_words)
{
    uint8_t nine[9] = {0x80, 0, 0, 0, 0, 0, 0, 0x01, 0xc0};
    struct bytes b = bytes_of(nine, 9);
    ck_assert(bits_word(b, 0) == UINT64_C(0x8000000000000001));
    ck_assert(bits_word(b, 1) == UINT64_C(0xc000000000000000));
    ck_assert(bits_word(b, 2) == 0);
    ck_assert(bits_in(b, 65));
    ck_assert(!bits_in(b, 66));
    ck_assert(!bits_in(b, 72));
    uint64_t w = UINT64_C(0x8000000000000001);
    ck_assert_uint_eq(bits_pop(&w), 0);
    ck_assert_uint_eq(bits_pop(&w), 63);
    ck_assert(w == 0);
    ck_assert_uint_eq(bits_count(0), 0);
    ck_assert_uint_eq(bits_count(UINT64_MAX), 64);
    for (uint32_t i = 0; i < 64; i++) {
        ck_assert_uint_eq(bits_count(UINT64_C(1) << i), 1);
        ck_assert_uint_eq(bits_count(UINT64_MAX >> i), 64 - i);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("rarity");
    TCase *t = tcase_create("rarity");
    tcase_add_loop_test(t, counts_like_an_array, 0, 4);
    tcase_add_test_raise_signal(t, below_zero_is_a_bug, 6);
    tcase_add_test_raise_signal(t, beyond_its_range_is_a_bug, 6);
    tcase_add_test(t, bitmaps_by_words);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
