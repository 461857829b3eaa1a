/* Records of an open link: sealing, messages, rekeying, and what kills it. */
#include "link/noise.h"

#include "link_fleet.h"

#include <check.h>
#include <sodium.h>
#include <stdlib.h>

#define REKEY_RECORDS 65536u

static struct fleet fleet;
static struct node_fixture alice, bob;
static struct pair pair;

static void open_pair(const struct aead *bulk)
{
    fleet_start(&fleet, 0x10);
    node_start(&alice, &fleet, 0x20, 1, &fleet.enrol, 7);
    node_start(&bob, &fleet, 0x30, 1, &fleet.enrol, 8);
    pair_start_with(&pair, &alice.self, &bob.self, 1, bulk);
    pair_run(&pair, FEED_WHOLE);
    ck_assert(pair_is_open(&pair));
    link_release_scratch(&pair.link[0]);
    link_release_scratch(&pair.link[1]);
}

static void setup(void)
{
    open_pair(&aead_sodium);
}

struct record {
    uint8_t b[LINK_HEAD_ROOM + LINK_RECORD_MAX + LINK_TAIL_ROOM];
    size_t n;
};

static void seal(int side, struct record *r, const void *p, size_t n)
{
    memcpy(r->b + LINK_HEAD_ROOM, p, n);
    r->n = link_seal_record(&pair.link[side], r->b, n);
    ck_assert_uint_eq(r->n, n + 18);
}

static enum err open_whole(int side, struct record *r, struct bytes *plain)
{
    size_t used;
    enum err e = link_open_record(&pair.link[side], r->b, r->n, &used, plain);
    ck_assert_uint_eq(used, e ? 0 : r->n);
    return e;
}

START_TEST(both_ways)
{
    static struct record r;
    static uint8_t big[LINK_RECORD_MAX];
    struct bytes plain;
    memset(big, 0x5c, sizeof big);
    for (int i = 0; i < 10; i++) {
        for (int side = 0; side < 2; side++) {
            size_t n = i == 0 ? 1 : i == 1 ? sizeof big : (size_t)i * 100;
            seal(side, &r, big, n);
            ck_assert_uint_eq((size_t)r.b[0] << 8 | r.b[1], n + AEAD_TAG);
            ck_assert_int_eq(open_whole(1 - side, &r, &plain), E_OK);
            ck_assert_ptr_eq(plain.p, r.b + LINK_HEAD_ROOM); /* in place */
            ck_assert(bytes_equal(plain, bytes_of(big, n)));
        }
    }
}
END_TEST

START_TEST(payload_is_hidden)
{
    static struct record r;
    uint8_t secret[256];
    for (size_t i = 0; i < sizeof secret; i++)
        secret[i] = (uint8_t)i;
    seal(0, &r, secret, sizeof secret);
    for (size_t i = 0; i + 8 <= r.n; i++) {
        for (size_t k = 0; k + 8 <= sizeof secret; k++)
            ck_assert(memcmp(r.b + i, secret + k, 8) != 0);
    }
    /* The same plaintext never looks the same. */
    static struct record again;
    seal(0, &again, secret, sizeof secret);
    ck_assert(memcmp(r.b + 2, again.b + 2, r.n - 2) != 0);
    seal(1, &again, secret, sizeof secret);
    ck_assert(memcmp(r.b + 2, again.b + 2, r.n - 2) != 0);
}
END_TEST

START_TEST(needs_the_whole_record)
{
    static struct record r;
    struct bytes plain;
    size_t used;
    seal(0, &r, "hello", 5);
    for (size_t n = 0; n < r.n; n++) {
        ck_assert_int_eq(link_open_record(&pair.link[1], r.b, n, &used, &plain), E_OK);
        ck_assert_uint_eq(used, 0);
        ck_assert_uint_eq(plain.n, 0);
    }
    memset(r.b + r.n, 0xee, 10); /* bytes of the next one */
    ck_assert_int_eq(link_open_record(&pair.link[1], r.b, r.n + 10, &used, &plain), E_OK);
    ck_assert_uint_eq(used, r.n);
    ck_assert(bytes_equal(plain, bytes_str("hello")));
}
END_TEST

static void assert_killed(int side, enum err got, enum err want)
{
    static struct record r = {.b = {0, 17}, .n = 19};
    struct bytes plain;
    ck_assert_str_eq(err_name(got), err_name(want));
    ck_assert_int_eq(link_state(&pair.link[side]), LINK_DEAD);
    ck_assert_int_eq(open_whole(side, &r, &plain), E_STATE);
}

START_TEST(every_flipped_bit)
{
    static struct record r;
    struct bytes plain;
    size_t bits = 18 * 8 + 3 * 8, used;
    for (size_t bit = 0; bit < bits; bit++) {
        setup();
        seal(0, &r, "abc", 3);
        r.b[bit / 8] ^= (uint8_t)(1u << bit % 8);
        memset(r.b + r.n, 0, sizeof r.b - r.n);
        /* A longer length swallows what follows; it must not open either. */
        enum err e = link_open_record(&pair.link[1], r.b, sizeof r.b, &used, &plain);
        if (bit / 8 == 0)
            ck_assert(e == E_AUTH || e == E_OVERSIZED);
        else if (bit / 8 == 1)
            ck_assert(e == E_AUTH || e == E_FORMAT);
        else
            ck_assert_int_eq(e, E_AUTH);
        assert_killed(1, e, e);
        ck_assert_uint_eq(plain.n, 0);
    }
}
END_TEST

START_TEST(reorder)
{
    static struct record a, b;
    struct bytes plain;
    seal(0, &a, "one", 3);
    seal(0, &b, "two", 3);
    assert_killed(1, open_whole(1, &b, &plain), E_AUTH);
}
END_TEST

START_TEST(replay)
{
    static struct record a, copy;
    struct bytes plain;
    seal(0, &a, "one", 3);
    copy = a;
    ck_assert_int_eq(open_whole(1, &a, &plain), E_OK);
    assert_killed(1, open_whole(1, &copy, &plain), E_AUTH);
}
END_TEST

START_TEST(reflection)
{
    static struct record a;
    struct bytes plain;
    seal(0, &a, "one", 3);
    assert_killed(0, open_whole(0, &a, &plain), E_AUTH);
}
END_TEST

START_TEST(other_session)
{
    static struct record a;
    struct bytes plain;
    seal(0, &a, "one", 3);
    pair_start(&pair, &alice, &bob, 2);
    pair_run(&pair, FEED_WHOLE);
    assert_killed(1, open_whole(1, &a, &plain), E_AUTH);
}
END_TEST

START_TEST(lengths)
{
    static struct record r;
    struct bytes plain;
    size_t used;
    size_t over = LINK_RECORD_MAX + AEAD_TAG + 1;
    r.b[0] = (uint8_t)(over >> 8);
    r.b[1] = (uint8_t)over;
    /* Known from its head alone. */
    assert_killed(1, link_open_record(&pair.link[1], r.b, 2, &used, &plain), E_OVERSIZED);
    for (uint8_t n = 0; n <= AEAD_TAG; n++) {
        setup();
        r.b[0] = 0;
        r.b[1] = n;
        assert_killed(1, link_open_record(&pair.link[1], r.b, 2, &used, &plain), E_FORMAT);
    }
}
END_TEST

START_TEST(not_open_yet)
{
    static struct record r = {.b = {0, 17}, .n = 19};
    struct bytes plain;
    pair_start(&pair, &alice, &bob, 1);
    ck_assert_int_eq(open_whole(1, &r, &plain), E_STATE);
    ck_assert_int_eq(link_state(&pair.link[1]), LINK_DEAD);
}
END_TEST

START_TEST(seal_nothing)
{
    static struct record r;
    link_seal_record(&pair.link[0], r.b, 0);
}
END_TEST

START_TEST(seal_too_much)
{
    static uint8_t b[LINK_RECORD_MAX + 100];
    link_seal_record(&pair.link[0], b, LINK_RECORD_MAX + 1);
}
END_TEST

START_TEST(seal_when_dead)
{
    static struct record r;
    link_wipe(&pair.link[0]);
    link_seal_record(&pair.link[0], r.b, 1);
}
END_TEST

/* ---- messages ---- */

START_TEST(messages)
{
    uint8_t b[64];
    struct wr w = wr_of(b, sizeof b);
    wr_u32(&w, 0);
    wr_u32(&w, 3);
    wr_copy(&w, "abc", 3);
    wr_u32(&w, 0);
    wr_u32(&w, 0);
    wr_u32(&w, 1);
    wr_copy(&w, "d", 1);
    wr_u32(&w, 0);
    struct bytes plain = wr_done(&w), msg;
    ck_assert_int_eq(link_next_message(&plain, &msg), E_OK);
    ck_assert(bytes_equal(msg, bytes_str("abc")));
    ck_assert_int_eq(link_next_message(&plain, &msg), E_OK);
    ck_assert(bytes_equal(msg, bytes_str("d")));
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(link_next_message(&plain, &msg), E_OK);
        ck_assert_uint_eq(msg.n, 0);
        ck_assert_uint_eq(plain.n, 0);
    }
}
END_TEST

START_TEST(messages_that_span)
{
    static const uint8_t whole[] = {0, 0, 0, 3, 'a', 'b', 'c'};
    static const uint8_t huge[] = {0xff, 0xff, 0xff, 0xff, 'a', 'b', 'c'};
    struct bytes plain, msg;
    for (size_t n = 1; n < sizeof whole; n++) {
        plain = bytes_of(whole, n);
        ck_assert_int_eq(link_next_message(&plain, &msg), E_TRUNCATED);
        ck_assert_uint_eq(msg.n, 0);
        ck_assert_uint_eq(plain.n, 0); /* a loop over it ends */
    }
    plain = bytes_of(huge, sizeof huge);
    ck_assert_int_eq(link_next_message(&plain, &msg), E_TRUNCATED);
}
END_TEST

/* ---- rekeying, seen through a sealer that notes its keys ---- */

struct spy {
    uint8_t seal_key[4][32], open_key[4][32]; /* in the order in which they came up */
    uint64_t seal_at[4], open_at[4];          /* the nonce with which they did */
    int seal_keys, open_keys;
};

static void spy_note(uint8_t keys[4][32], uint64_t at[4], int *count, const uint8_t key[32],
                     uint64_t nonce)
{
    if (*count > 0 && memcmp(keys[*count - 1], key, 32) == 0)
        return;
    ck_assert_int_lt(*count, 4);
    memcpy(keys[*count], key, 32);
    at[(*count)++] = nonce;
}

static void spy_seal(void *ctx, const uint8_t key[32], uint64_t nonce, struct bytes ad,
                     uint8_t *out, const uint8_t *in, size_t n)
{
    struct spy *s = ctx;
    spy_note(s->seal_key, s->seal_at, &s->seal_keys, key, nonce);
    aead_sodium.seal(NULL, key, nonce, ad, out, in, n);
}

static bool spy_open(void *ctx, const uint8_t key[32], uint64_t nonce, struct bytes ad,
                     uint8_t *out, const uint8_t *in, size_t n)
{
    struct spy *s = ctx;
    spy_note(s->open_key, s->open_at, &s->open_keys, key, nonce);
    return aead_sodium.open(NULL, key, nonce, ad, out, in, n);
}

START_TEST(rekeys)
{
    static struct record r;
    struct bytes plain;
    int from = _i;
    struct spy spy = {0};
    struct aead bulk = {spy_seal, spy_open, &spy};
    open_pair(&bulk);
    for (uint32_t i = 0; i < 2 * REKEY_RECORDS + 10; i++) {
        seal(from, &r, &i, sizeof i);
        ck_assert_int_eq(open_whole(1 - from, &r, &plain), E_OK);
        ck_assert_mem_eq(plain.p, &i, sizeof i);
    }
    /* Three keys, each the REKEY of the one before, and the nonce goes on. */
    ck_assert_int_eq(spy.seal_keys, 3);
    ck_assert_int_eq(spy.open_keys, 3);
    for (int k = 0; k < 3; k++) {
        ck_assert_uint_eq(spy.seal_at[k], (uint64_t)k * REKEY_RECORDS);
        ck_assert_uint_eq(spy.open_at[k], (uint64_t)k * REKEY_RECORDS);
        ck_assert_mem_eq(spy.seal_key[k], spy.open_key[k], 32);
        struct noise_cipher c = {.nonce = 0};
        memcpy(c.key, spy.seal_key[k], 32);
        noise_rekey(&c);
        if (k < 2)
            ck_assert_mem_eq(c.key, spy.seal_key[k + 1], 32);
    }
    /* The other direction has not moved. */
    seal(1 - from, &r, "x", 1);
    ck_assert_int_eq(open_whole(from, &r, &plain), E_OK);
    ck_assert_uint_eq(spy.seal_at[3], 0);
}
END_TEST

static Suite *record_suite(void)
{
    Suite *s = suite_create("link_record");
    TCase *t = tcase_create("records");
    tcase_add_checked_fixture(t, setup, NULL);
    tcase_add_test(t, both_ways);
    tcase_add_test(t, payload_is_hidden);
    tcase_add_test(t, needs_the_whole_record);
    tcase_add_test(t, every_flipped_bit);
    tcase_add_test(t, reorder);
    tcase_add_test(t, replay);
    tcase_add_test(t, reflection);
    tcase_add_test(t, other_session);
    tcase_add_test(t, lengths);
    tcase_add_test(t, not_open_yet);
    tcase_add_test_raise_signal(t, seal_nothing, 6);
    tcase_add_test_raise_signal(t, seal_too_much, 6);
    tcase_add_test_raise_signal(t, seal_when_dead, 6);
    tcase_add_test(t, messages);
    tcase_add_test(t, messages_that_span);
    tcase_add_loop_test(t, rekeys, 0, 2);
    tcase_set_timeout(t, 60);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    if (sodium_init() < 0)
        return EXIT_FAILURE;
    SRunner *r = srunner_create(record_suite());
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
