/* Roots and their chain: what a fleet accepts as its next set of keys, and what it must not. */
#include "fwswarm/trust.h"

#include <stdlib.h>

#include "fleet.h"
#include "fwswarm/cbor.h"
#include "run.h"

static enum err init_with(const struct root *r, const uint32_t *numbers, uint32_t count)
{
    struct test_object o;
    struct trust t;
    test_make_root(&o, r, numbers, count);
    return trust_init(&t, test_bytes(&o));
}

START_TEST(round_trip)
{
    struct root r = test_root(), back;
    struct test_object o;
    struct bytes body;
    uint8_t again[ROOT_BYTES_MAX];
    struct wr w = wr_of(again, sizeof(again));
    r.enrol[1].retired = true;
    r.enrol_threshold = 1;
    test_make_root(&o, &r, NUMBERS(KEY_ROOT, KEY_ROOT + 2));
    ck_assert_int_eq(root_decode(&back, &body, test_bytes(&o)), E_OK);
    ck_assert_int_eq(root_encode_body(&back, &w), E_OK);
    ck_assert(bytes_equal(wr_done(&w), body));
    ck_assert_uint_eq(back.version, 1);
    ck_assert_uint_eq(back.release.threshold, 2);
    ck_assert_uint_eq(back.enrol[1].last, 2999);
    ck_assert(back.enrol[1].retired);
    ck_assert_uint_eq(back.verify[3].index, 4);
    ck_assert(key_equal(&back.audit, &r.audit));
    ck_assert(digest_equal(&back.fleet, &r.fleet));
}
END_TEST

START_TEST(largest_root_fits)
{
    struct root r = test_root();
    struct test_object o;
    struct trust t;
    r.root = test_set(KEY_ROOT, ROOT_KEYS_MAX, ROOT_KEYS_MAX);
    r.release = test_set(KEY_RELEASE, ROOT_KEYS_MAX, 1);
    r.publisher = test_set(KEY_PUBLISH, ROOT_KEYS_MAX, 1);
    r.enrol_count = ROOT_KEYS_MAX;
    for (uint32_t i = 0; i < ROOT_KEYS_MAX; i++)
        r.enrol[i] = (struct enrol_lease){.key = test_pub(KEY_ENROL + i),
                                          .first = 4000000000u + 1000 * i,
                                          .last = 4000000999u + 1000 * i};
    r.verify_count = ROOT_VERIFY_MAX;
    for (uint32_t i = 0; i < ROOT_VERIFY_MAX; i++) {
        r.verify[i].key = test_pub(KEY_VERIFY + i);
        r.verify[i].index = 3999999000u + i;
    }
    test_make_root(&o, &r, NUMBERS(0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3, 4, 5, 6, 7));
    ck_assert_uint_le(o.n, ROOT_BYTES_MAX);
    ck_assert_int_eq(trust_init(&t, test_bytes(&o)), E_OK);
}
END_TEST

START_TEST(own_threshold)
{
    struct root r = test_root();
    ck_assert_int_eq(init_with(&r, NUMBERS(KEY_ROOT, KEY_ROOT + 1)), E_OK);
    ck_assert_int_eq(init_with(&r, NUMBERS(KEY_ROOT + 2, KEY_ROOT)), E_OK);
    ck_assert_int_eq(init_with(&r, NUMBERS(KEY_ROOT, KEY_ROOT + 1, KEY_ROOT + 2)), E_OK);
    ck_assert_int_eq(init_with(&r, NUMBERS(KEY_ROOT)), E_THRESHOLD);
    /* One key twice is one key. */
    ck_assert_int_eq(init_with(&r, NUMBERS(KEY_ROOT, KEY_ROOT)), E_THRESHOLD);
    ck_assert_int_eq(init_with(&r, NUMBERS(KEY_ROOT, KEY_STRANGER)), E_UNLISTED);
    /* Keys of other kinds sign no roots. */
    ck_assert_int_eq(init_with(&r, NUMBERS(KEY_RELEASE, KEY_RELEASE + 1)), E_UNLISTED);
}
END_TEST

START_TEST(bad_signature)
{
    struct root r = test_root();
    struct test_object o;
    struct trust t;
    test_make_root(&o, &r, NUMBERS(KEY_ROOT, KEY_ROOT + 1, KEY_ROOT + 2));
    o.buf[o.n - 1] ^= 1;
    /* Two good ones would do, but an object with a bad one is refused whole. */
    ck_assert_int_eq(trust_init(&t, test_bytes(&o)), E_SIGNATURE);
}
END_TEST

START_TEST(senseless_roots_are_not_encoded)
{
    uint8_t buf[ROOT_BYTES_MAX];
    struct wr w = wr_of(buf, sizeof(buf));
    struct root r = test_root();
    r.version = 0;
    ck_assert_int_eq(root_encode_body(&r, &w), E_RANGE);
    r = test_root();
    r.root.threshold = 0;
    ck_assert_int_eq(root_encode_body(&r, &w), E_RANGE);
    r = test_root();
    r.release.threshold = 4;
    ck_assert_int_eq(root_encode_body(&r, &w), E_RANGE);
    r = test_root();
    r.release.count = 0;
    ck_assert_int_eq(root_encode_body(&r, &w), E_RANGE);
    r = test_root();
    r.root.key[2] = r.root.key[0];
    ck_assert_int_eq(root_encode_body(&r, &w), E_DUPLICATE);
    r = test_root();
    r.enrol[1].first = r.enrol[0].last;
    ck_assert_int_eq(root_encode_body(&r, &w), E_RANGE);
    r = test_root();
    r.enrol[1].key = r.enrol[0].key;
    ck_assert_int_eq(root_encode_body(&r, &w), E_DUPLICATE);
    r = test_root();
    r.enrol[0].retired = true;
    r.enrol_threshold = 2;
    ck_assert_int_eq(root_encode_body(&r, &w), E_RANGE);
    r = test_root();
    r.verify[1].index = r.verify[0].index;
    ck_assert_int_eq(root_encode_body(&r, &w), E_DUPLICATE);
    r = test_root();
    r.verify[1].key = r.verify[0].key;
    ck_assert_int_eq(root_encode_body(&r, &w), E_DUPLICATE);
    ck_assert_uint_eq(wr_len(&w), 0);
    r = test_root();
    w = wr_of(buf, 100);
    ck_assert_int_eq(root_encode_body(&r, &w), E_OVERSIZED);
}
END_TEST

/* ---- the chain ---- */

START_TEST(advance)
{
    struct trust t = test_trust();
    struct root next = test_root();
    struct test_object o;
    next.version = 2;
    next.root = test_set(KEY_ROOT + 1, 3, 2); /* key 0 goes, key 3 comes */
    next.release = test_set(KEY_RELEASE + 1, 3, 1);
    test_make_root(&o, &next, NUMBERS(1, 2));
    ck_assert_int_eq(trust_advance(&t, test_bytes(&o)), E_OK);
    ck_assert_uint_eq(t.root.version, 2);
    ck_assert_uint_eq(t.past_count, 1);
    ck_assert(!key_set_has(trust_release_keys(&t, 2), &(struct key){{0}}));
    struct key first = test_pub(KEY_RELEASE), last = test_pub(KEY_RELEASE + 3);
    ck_assert(key_set_has(trust_release_keys(&t, 1), &first));
    ck_assert(!key_set_has(trust_release_keys(&t, 2), &first));
    ck_assert(key_set_has(trust_release_keys(&t, 2), &last));
    ck_assert_ptr_null(trust_release_keys(&t, 3));
    ck_assert_ptr_null(trust_release_keys(&t, 0));
    /* The same again, and the one before, are no news. */
    ck_assert_int_eq(trust_advance(&t, test_bytes(&o)), E_STALE);
}
END_TEST

static void refuse_advance(const struct root *next, const uint32_t *numbers, uint32_t count,
                           enum err want)
{
    struct trust t = test_trust(), before = t;
    struct test_object o;
    test_make_root(&o, next, numbers, count);
    ck_assert_int_eq(trust_advance(&t, test_bytes(&o)), want);
    ck_assert_mem_eq(&t, &before, sizeof(t));
}

START_TEST(advance_refused)
{
    struct root next = test_root();
    next.version = 2;
    next.root = test_set(KEY_ROOT + 2, 3, 2);             /* 2, 3, 4: only key 2 stays */
    refuse_advance(&next, NUMBERS(2, 3), E_THRESHOLD);    /* new alone */
    refuse_advance(&next, NUMBERS(0, 1), E_THRESHOLD);    /* old alone */
    refuse_advance(&next, NUMBERS(0, 3), E_THRESHOLD);    /* one of each */
    refuse_advance(&next, NUMBERS(0, 0, 2), E_THRESHOLD); /* old twice by one key */
    refuse_advance(&next, NUMBERS(0, 2, 3, KEY_STRANGER), E_UNLISTED);
    struct trust t = test_trust();
    struct test_object o;
    test_make_root(&o, &next, NUMBERS(0, 2, 3));
    ck_assert_int_eq(trust_advance(&t, test_bytes(&o)), E_OK);

    next = test_root();
    next.version = 3;
    refuse_advance(&next, NUMBERS(0, 1), E_STATE);
    next.version = 1;
    refuse_advance(&next, NUMBERS(0, 1), E_STALE);
    next.version = 2;
    next.fleet.b[0] ^= 1;
    refuse_advance(&next, NUMBERS(0, 1), E_FLEET);
}
END_TEST

/* A signature under one fleet says nothing in another, though the keys be the same. */
START_TEST(signatures_name_their_fleet)
{
    struct root r = test_root(), other = test_root();
    uint8_t a[ROOT_BYTES_MAX], b[ROOT_BYTES_MAX];
    struct wr wa = wr_of(a, sizeof(a)), wb = wr_of(b, sizeof(b));
    other.fleet.b[5] ^= 1;
    ck_assert_int_eq(root_encode_body(&r, &wa), E_OK);
    ck_assert_int_eq(root_encode_body(&other, &wb), E_OK);
    struct signer s = test_signer(KEY_ROOT), s1 = test_signer(KEY_ROOT + 1);
    struct key keys[2] = {s.pub, s1.pub};
    struct sig sigs[2], cross[2];
    root_sign(&sigs[0], &s, wr_done(&wa));
    root_sign(&sigs[1], &s1, wr_done(&wa));
    root_sign(&cross[0], &s, wr_done(&wb));
    root_sign(&cross[1], &s1, wr_done(&wb));
    ck_assert_mem_ne(&sigs[0], &cross[0], sizeof(sigs[0]));
    struct test_object o;
    struct trust t;
    struct wr w = wr_of(o.buf, sizeof(o.buf));
    ck_assert_int_eq(root_encode(wr_done(&wa), keys, cross, 2, &w), E_OK);
    ck_assert_int_eq(trust_init(&t, wr_done(&w)), E_SIGNATURE);
}
END_TEST

static size_t make_chain(uint8_t *out, size_t cap, uint32_t from, uint32_t to)
{
    size_t n = 0;
    for (uint32_t v = from; v <= to; v++) {
        struct root r = test_root();
        struct test_object o;
        r.version = v;
        test_make_root(&o, &r, NUMBERS(0, 1));
        ck_assert_uint_le(n + o.n, cap);
        memcpy(out + n, o.buf, o.n);
        n += o.n;
    }
    return n;
}

START_TEST(whole_chain)
{
    static uint8_t chain[65536];
    struct trust t;
    size_t n = make_chain(chain, sizeof(chain), 1, 12);
    memset(&t, 0, sizeof(t));
    ck_assert_int_eq(trust_chain(&t, bytes_of(chain, n)), E_OK);
    ck_assert_uint_eq(t.root.version, 12);
    ck_assert_uint_eq(t.past_count, ROOT_PAST_MAX);
    ck_assert_uint_eq(t.past[0].version, 4);
    ck_assert_ptr_null(trust_release_keys(&t, 3));
    ck_assert_ptr_nonnull(trust_release_keys(&t, 4));
    /* All of it again is skipped; an empty chain is no news. */
    ck_assert_int_eq(trust_chain(&t, bytes_of(chain, n)), E_OK);
    ck_assert_int_eq(trust_chain(&t, bytes_of(chain, 0)), E_OK);
    ck_assert_uint_eq(t.root.version, 12);

    memset(&t, 0, sizeof(t));
    ck_assert_int_eq(trust_chain(&t, bytes_of(chain, 0)), E_TRUNCATED);
    ck_assert_int_eq(trust_chain(&t, bytes_of(chain, n - 1)), E_TRUNCATED);
    ck_assert_uint_eq(t.root.version, 11); /* what was proven stays */

    /* A gap. */
    t = test_trust();
    n = make_chain(chain, sizeof(chain), 3, 4);
    ck_assert_int_eq(trust_chain(&t, bytes_of(chain, n)), E_STATE);
    /* Another fleet's chain is not skipped in silence. */
    n = make_chain(chain, sizeof(chain), 1, 1);
    t.root.fleet.b[0] ^= 1;
    ck_assert_int_eq(trust_chain(&t, bytes_of(chain, n)), E_FLEET);
}
END_TEST

START_TEST(chain_next)
{
    static uint8_t chain[65536];
    size_t n = make_chain(chain, sizeof(chain), 1, 3);
    struct bytes left = bytes_of(chain, n), one;
    for (uint32_t v = 1; v <= 3; v++) {
        struct root r;
        struct bytes body;
        ck_assert_int_eq(root_chain_next(&left, &one), E_OK);
        ck_assert_int_eq(root_decode(&r, &body, one), E_OK);
        ck_assert_uint_eq(r.version, v);
    }
    ck_assert_uint_eq(left.n, 0);
    ck_assert_int_eq(root_chain_next(&left, &one), E_TRUNCATED);
    uint8_t big[ROOT_BYTES_MAX + 16];
    struct wr w = wr_of(big, sizeof(big));
    cbor_w_bstr_head(&w, ROOT_BYTES_MAX);
    left = bytes_of(big, wr_len(&w) + ROOT_BYTES_MAX);
    memset(big + wr_len(&w), 0, ROOT_BYTES_MAX);
    ck_assert_int_eq(root_chain_next(&left, &one), E_OVERSIZED);
}
END_TEST

/* ---- hostile bytes ---- */

START_TEST(every_truncation_and_flip)
{
    struct root r = test_root();
    struct test_object o;
    test_make_root(&o, &r, NUMBERS(0, 1));
    for (size_t n = 0; n < o.n; n++) {
        struct trust t;
        uint8_t *exact = malloc(n > 0 ? n : 1);
        memcpy(exact, o.buf, n);
        ck_assert_int_eq(trust_init(&t, bytes_of(exact, n)), E_TRUNCATED);
        free(exact);
    }
    for (size_t bit = 0; bit < o.n * 8; bit++) {
        struct trust t;
        o.buf[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        ck_assert_int_ne(trust_init(&t, test_bytes(&o)), E_OK);
        o.buf[bit / 8] ^= (uint8_t)(1u << (bit % 8));
    }
    struct trust t;
    o.buf[o.n++] = 0;
    ck_assert_int_eq(trust_init(&t, test_bytes(&o)), E_TRAILING);
}
END_TEST

/* Signs whatever body, as a vendor with a newer program would. */
static enum err init_body(struct bytes body)
{
    struct test_object o;
    struct trust t;
    struct root r = test_root();
    struct key keys[2];
    struct sig sigs[2];
    struct digest d;
    hash_sha256(&d, body.p, body.n);
    for (uint32_t i = 0; i < 2; i++) {
        struct signer s = test_signer(i);
        keys[i] = s.pub;
        sign_statement(&sigs[i], &s, "fwswarm-root", &r.fleet, bytes_of(d.b, 32));
    }
    struct wr w = wr_of(o.buf, sizeof(o.buf));
    ck_assert_int_eq(root_encode(body, keys, sigs, 2, &w), E_OK);
    return trust_init(&t, wr_done(&w));
}

START_TEST(keys_from_the_future)
{
    struct root r = test_root();
    uint8_t body[1024];
    struct wr w = wr_of(body, sizeof(body));
    ck_assert_int_eq(root_encode_body(&r, &w), E_OK);
    ck_assert_int_eq(init_body(wr_done(&w)), E_OK);
    ck_assert_uint_eq(body[0], 0xa9);
    body[0] = 0xaa;
    struct wr known = w;
    cbor_w_uint(&w, 10); /* a tenth key that this program should understand */
    cbor_w_uint(&w, 7);
    ck_assert_int_eq(init_body(wr_done(&w)), E_UNKNOWN);
    w = known;
    cbor_w_uint(&w, 32); /* one that it may skip */
    cbor_w_array(&w, 1);
    cbor_w_uint(&w, 7);
    ck_assert_int_eq(init_body(wr_done(&w)), E_OK);
    w = known;
    cbor_w_uint(&w, 32);
    wr_u8(&w, 0x18); /* 7 in two bytes: skipped, but still strictly */
    wr_u8(&w, 0x07);
    ck_assert_int_eq(init_body(wr_done(&w)), E_NONCANONICAL);
    w = known;
    cbor_w_tstr(&w, bytes_str("x"));
    cbor_w_uint(&w, 7);
    ck_assert_int_eq(init_body(wr_done(&w)), E_UNKNOWN);
    body[0] = 0xa9;
    body[2] = 2; /* the format */
    ck_assert_int_eq(init_body(wr_done(&known)), E_VERSION);
}
END_TEST

START_TEST(too_many_signatures)
{
    struct root r = test_root();
    struct signer s = test_signer(0);
    uint8_t body[1024], buf[ROOT_BYTES_MAX];
    struct wr w = wr_of(body, sizeof(body)), out = wr_of(buf, sizeof(buf));
    struct key keys[17];
    struct sig sigs[17];
    ck_assert_int_eq(root_encode_body(&r, &w), E_OK);
    for (uint32_t i = 0; i < 17; i++) {
        keys[i] = s.pub;
        root_sign(&sigs[i], &s, wr_done(&w));
    }
    ck_assert_int_eq(root_encode(wr_done(&w), keys, sigs, 17, &out), E_LIMIT);
    ck_assert_int_eq(root_encode(wr_done(&w), keys, sigs, 0, &out), E_THRESHOLD);
    ck_assert_int_eq(root_encode(wr_done(&w), keys, sigs, 16, &out), E_OK);
    struct trust t;
    ck_assert_int_eq(trust_init(&t, wr_done(&out)), E_THRESHOLD);
    /* Seventeen on the wire, written by hand: array head 0x90 becomes 0x91. */
    size_t sig_head = wr_len(&w) + 4;
    ck_assert_uint_eq(buf[sig_head], 0x90);
    buf[sig_head] = 0x91;
    wr_copy(&out, buf + sig_head + 1, 101);
    ck_assert_int_eq(trust_init(&t, wr_done(&out)), E_LIMIT);
    static uint8_t big[ROOT_BYTES_MAX + 1];
    ck_assert_int_eq(trust_init(&t, bytes_of(big, sizeof(big))), E_OVERSIZED);
}
END_TEST

/* ---- names ---- */

START_TEST(names)
{
    struct digest fleet = {{1}}, other = {{2}}, a, b;
    ck_assert_str_eq(role_name(ROLE_NORMAL), "normal");
    ck_assert_str_eq(role_name(ROLE_PUBLISHER), "publisher");
    model_id(&a, &fleet, "gw-9");
    model_id(&b, &fleet, "gw-9");
    ck_assert(digest_equal(&a, &b));
    model_id(&b, &other, "gw-9");
    ck_assert(!digest_equal(&a, &b));
    model_id(&b, &fleet, "gw-10");
    ck_assert(!digest_equal(&a, &b));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("trust");
    TCase *c = tcase_create("trust");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, round_trip);
    tcase_add_test(c, largest_root_fits);
    tcase_add_test(c, own_threshold);
    tcase_add_test(c, bad_signature);
    tcase_add_test(c, senseless_roots_are_not_encoded);
    tcase_add_test(c, advance);
    tcase_add_test(c, advance_refused);
    tcase_add_test(c, signatures_name_their_fleet);
    tcase_add_test(c, whole_chain);
    tcase_add_test(c, chain_next);
    tcase_add_test(c, every_truncation_and_flip);
    tcase_add_test(c, keys_from_the_future);
    tcase_add_test(c, too_many_signatures);
    tcase_add_test(c, names);
    suite_add_tcase(s, c);
    return test_run(s);
}
