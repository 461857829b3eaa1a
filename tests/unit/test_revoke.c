/* The revocation list and withdrawals: who may stop whom, and in which order words arrive. */
#include "fwswarm/manifest.h"
#include "fwswarm/trust.h"

#include <stdlib.h>

#include "fleet.h"
#include "run.h"

/* ---- revocation lists ---- */

static void make_list(struct test_object *o, const struct revocations *r,
                      const struct digest *fleet, const uint32_t *numbers, uint32_t count)
{
    uint8_t body[REVOCATIONS_BYTES_MAX];
    struct wr w = wr_of(body, sizeof(body)), out = wr_of(o->buf, sizeof(o->buf));
    struct key keys[16];
    struct sig sigs[16];
    ck_assert_int_eq(revocations_encode_body(r, fleet, &w), E_OK);
    for (uint32_t i = 0; i < count; i++) {
        struct signer s = test_signer(numbers[i]);
        keys[i] = s.pub;
        revocations_sign(&sigs[i], &s, fleet, wr_done(&w));
    }
    ck_assert_int_eq(revocations_encode(wr_done(&w), keys, sigs, count, &out), E_OK);
    o->n = wr_len(&out);
}

static enum err revoke(struct trust *t, const struct revocations *r, const uint32_t *numbers,
                       uint32_t count)
{
    struct test_object o;
    struct revocations before = t->revoked;
    make_list(&o, r, &t->root.fleet, numbers, count);
    enum err e = trust_revoke(t, test_bytes(&o));
    if (e != E_OK)
        ck_assert_mem_eq(&before, &t->revoked, sizeof(before));
    return e;
}

static struct revocations list(uint32_t root_version, uint32_t version, uint32_t first,
                               uint32_t last)
{
    return (struct revocations){root_version, version, 1, {{first, last}}};
}

START_TEST(newer_wins)
{
    struct trust t = test_trust();
    struct revocations r = list(1, 1, 150, 150);
    ck_assert_int_eq(revoke(&t, &r, NUMBERS(KEY_ENROL)), E_OK);
    ck_assert(revocations_has(&t.revoked, 150));
    ck_assert(!revocations_has(&t.revoked, 149));
    ck_assert(!revocations_has(&t.revoked, 151));
    ck_assert_int_eq(revoke(&t, &r, NUMBERS(KEY_ENROL)), E_STALE);
    r = list(1, 7, 150, 160);
    ck_assert_int_eq(revoke(&t, &r, NUMBERS(KEY_ENROL + 1)), E_OK);
    r = list(1, 6, 150, 170);
    ck_assert_int_eq(revoke(&t, &r, NUMBERS(KEY_ENROL)), E_STALE);
    /* A higher root version beats any version under the lower. */
    struct root next = test_root();
    next.version = 2;
    r = list(2, 1, 150, 161);
    ck_assert_int_eq(revoke(&t, &r, NUMBERS(KEY_ENROL)), E_STATE);
    test_advance(&t, &next);
    ck_assert_int_eq(revoke(&t, &r, NUMBERS(KEY_ENROL)), E_OK);
    r = list(1, 1000, 150, 162);
    ck_assert_int_eq(revoke(&t, &r, NUMBERS(KEY_ENROL)), E_STALE);
}
END_TEST

START_TEST(who_may_revoke)
{
    struct trust t = test_trust();
    struct revocations r = list(1, 1, 150, 150);
    ck_assert_int_eq(revoke(&t, &r, NUMBERS(KEY_STRANGER)), E_UNLISTED);
    ck_assert_int_eq(revoke(&t, &r, NUMBERS(KEY_RELEASE)), E_UNLISTED);
    ck_assert_int_eq(revoke(&t, &r, NUMBERS(KEY_ENROL, KEY_STRANGER)), E_UNLISTED);
    ck_assert_int_eq(revoke(&t, &r, NUMBERS(KEY_ROOT)), E_THRESHOLD);
    ck_assert_int_eq(revoke(&t, &r, NUMBERS(KEY_ROOT, KEY_ROOT)), E_THRESHOLD);
    ck_assert_int_eq(revoke(&t, &r, NUMBERS(KEY_ROOT, KEY_ROOT + 2)), E_OK);
    t = test_trust();
    ck_assert_int_eq(revoke(&t, &r, NUMBERS(KEY_ENROL)), E_OK);

    /* Two enrolment keys asked for. */
    struct root next = test_root();
    next.version = 2;
    next.enrol_threshold = 2;
    t = test_trust();
    test_advance(&t, &next);
    r = list(2, 1, 150, 150);
    ck_assert_int_eq(revoke(&t, &r, NUMBERS(KEY_ENROL)), E_THRESHOLD);
    ck_assert_int_eq(revoke(&t, &r, NUMBERS(KEY_ENROL, KEY_ENROL)), E_THRESHOLD);
    ck_assert_int_eq(revoke(&t, &r, NUMBERS(KEY_ENROL, KEY_ENROL + 1)), E_OK);
}
END_TEST

START_TEST(dropped_key_signs_nothing)
{
    struct trust t = test_trust();
    struct root next = test_root();
    next.version = 2;
    next.enrol[0].retired = true;
    test_advance(&t, &next);
    struct revocations r = list(2, 1, 150, 150);
    ck_assert_int_eq(revoke(&t, &r, NUMBERS(KEY_ENROL)), E_UNLISTED);
    /* Nor under the root in which it was good. */
    r.root_version = 1;
    ck_assert_int_eq(revoke(&t, &r, NUMBERS(KEY_ENROL)), E_UNLISTED);
    ck_assert_int_eq(revoke(&t, &r, NUMBERS(KEY_ENROL + 1)), E_OK);
    /* And a key that came later cannot speak for the root before it. */
    next.version = 3;
    next.enrol[0].key = test_pub(KEY_ENROL + 5);
    next.enrol[0].retired = false;
    test_advance(&t, &next);
    r = list(2, 1, 150, 150);
    ck_assert_int_eq(revoke(&t, &r, NUMBERS(KEY_ENROL + 5)), E_UNLISTED);
    r.root_version = 3;
    ck_assert_int_eq(revoke(&t, &r, NUMBERS(KEY_ENROL + 5)), E_OK);
}
END_TEST

/* 2,000 leased indices: two hundred at once is the most that the enrolment keys may. */
START_TEST(a_tenth_at_once)
{
    struct trust t = test_trust();
    struct revocations r = list(1, 1, 150, 350);
    ck_assert_int_eq(revoke(&t, &r, NUMBERS(KEY_ENROL)), E_THRESHOLD);
    r = list(1, 1, 150, 349);
    ck_assert_int_eq(revoke(&t, &r, NUMBERS(KEY_ENROL)), E_OK);
    /* What is new counts, not what is there. */
    r = list(1, 2, 150, 549);
    ck_assert_int_eq(revoke(&t, &r, NUMBERS(KEY_ENROL)), E_OK);
    r = (struct revocations){1, 3, 2, {{150, 549}, {2000, 2200}}};
    ck_assert_int_eq(revoke(&t, &r, NUMBERS(KEY_ENROL)), E_THRESHOLD);
    ck_assert_int_eq(revoke(&t, &r, NUMBERS(KEY_ROOT, KEY_ROOT + 1)), E_OK);
    /* Indices that nobody leased yet count too. */
    r = (struct revocations){1, 4, 3, {{150, 549}, {2000, 2200}, {5000, UINT32_MAX}}};
    ck_assert_int_eq(revoke(&t, &r, NUMBERS(KEY_ENROL)), E_THRESHOLD);
    r = list(1, 4, 0, UINT32_MAX);
    ck_assert_int_eq(revoke(&t, &r, NUMBERS(KEY_ENROL)), E_THRESHOLD);
    ck_assert_int_eq(revoke(&t, &r, NUMBERS(KEY_ROOT + 1, KEY_ROOT + 2)), E_OK);
    ck_assert(revocations_has(&t.revoked, 0));
    ck_assert(revocations_has(&t.revoked, UINT32_MAX));
}
END_TEST

START_TEST(verify_nodes_need_the_root)
{
    struct trust t = test_trust();
    struct revocations r = (struct revocations){1, 1, 2, {{3, 3}, {150, 150}}};
    ck_assert_int_eq(revoke(&t, &r, NUMBERS(KEY_ENROL)), E_THRESHOLD);
    ck_assert_int_eq(revoke(&t, &r, NUMBERS(KEY_ROOT, KEY_ROOT + 1)), E_OK);
    /* Once it is out, the enrolment keys may add others to the list. */
    r = (struct revocations){1, 2, 2, {{3, 3}, {150, 152}}};
    ck_assert_int_eq(revoke(&t, &r, NUMBERS(KEY_ENROL)), E_OK);
}
END_TEST

START_TEST(giving_back_needs_the_root)
{
    struct trust t = test_trust();
    struct revocations r = list(1, 1, 150, 160);
    ck_assert_int_eq(revoke(&t, &r, NUMBERS(KEY_ENROL)), E_OK);
    r = (struct revocations){1, 2, 2, {{150, 154}, {156, 160}}};
    ck_assert_int_eq(revoke(&t, &r, NUMBERS(KEY_ENROL)), E_THRESHOLD);
    r = (struct revocations){1, 2, 0, {{0, 0}}};
    ck_assert_int_eq(revoke(&t, &r, NUMBERS(KEY_ENROL)), E_THRESHOLD);
    ck_assert_int_eq(revoke(&t, &r, NUMBERS(KEY_ROOT, KEY_ROOT + 1)), E_OK);
    ck_assert(!revocations_has(&t.revoked, 155));
}
END_TEST

START_TEST(lists_name_their_fleet)
{
    struct trust t = test_trust();
    struct revocations r = list(1, 1, 150, 150), back;
    struct digest other = t.root.fleet, fleet;
    struct bytes body;
    struct test_object o;
    other.b[0] ^= 1;
    make_list(&o, &r, &other, NUMBERS(KEY_ENROL));
    ck_assert_int_eq(trust_revoke(&t, test_bytes(&o)), E_FLEET);
    ck_assert_int_eq(revocations_decode(&back, &fleet, &body, test_bytes(&o)), E_OK);
    ck_assert(digest_equal(&fleet, &other));
    ck_assert_mem_eq(&back, &r, sizeof(r));
}
END_TEST

START_TEST(malformed_lists)
{
    struct digest fleet = {{0}};
    uint8_t buf[REVOCATIONS_BYTES_MAX];
    struct wr w = wr_of(buf, sizeof(buf));
    struct revocations r = list(0, 1, 1, 1);
    ck_assert_int_eq(revocations_encode_body(&r, &fleet, &w), E_RANGE);
    r = list(1, 0, 1, 1);
    ck_assert_int_eq(revocations_encode_body(&r, &fleet, &w), E_RANGE);
    r = list(1, 1, 2, 1);
    ck_assert_int_eq(revocations_encode_body(&r, &fleet, &w), E_RANGE);
    r = (struct revocations){1, 1, 2, {{1, 5}, {5, 6}}};
    ck_assert_int_eq(revocations_encode_body(&r, &fleet, &w), E_NONCANONICAL);
    r = (struct revocations){1, 1, 2, {{7, 8}, {5, 6}}};
    ck_assert_int_eq(revocations_encode_body(&r, &fleet, &w), E_NONCANONICAL);
    r.count = REVOKED_RANGES_MAX + 1;
    ck_assert_int_eq(revocations_encode_body(&r, &fleet, &w), E_LIMIT);
    /* The same on the wire: 5..6, 8..9 becomes 5..9, 8..9. */
    struct trust t = test_trust();
    struct test_object o;
    r = (struct revocations){1, 1, 2, {{5, 6}, {8, 9}}};
    make_list(&o, &r, &t.root.fleet, NUMBERS(KEY_ENROL));
    uint8_t *at = o.buf + 3;
    while (memcmp(at, "\x82\x82\x05\x06\x82\x08\x09", 7) != 0)
        at++;
    at[3] = 0x09;
    ck_assert_int_eq(trust_revoke(&t, test_bytes(&o)), E_NONCANONICAL);
    at[3] = 0x04;
    ck_assert_int_eq(trust_revoke(&t, test_bytes(&o)), E_RANGE);
}
END_TEST

START_TEST(largest_list)
{
    struct trust t = test_trust();
    static struct test_object o;
    static struct revocations r;
    r = (struct revocations){1, 1, REVOKED_RANGES_MAX, {{0, 0}}};
    for (uint32_t i = 0; i < REVOKED_RANGES_MAX; i++)
        r.range[i] = (struct index_range){4000000000u + 4 * i, 4000000002u + 4 * i};
    make_list(&o, &r, &t.root.fleet, NUMBERS(0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 30));
    ck_assert_uint_le(o.n, REVOCATIONS_BYTES_MAX);
    ck_assert_int_eq(trust_revoke(&t, test_bytes(&o)), E_OK);
    for (uint32_t i = 0; i < 4 * REVOKED_RANGES_MAX; i++)
        ck_assert(revocations_has(&t.revoked, 4000000000u + i) == (i % 4 != 3));
    static uint8_t big[REVOCATIONS_BYTES_MAX + 1];
    ck_assert_int_eq(trust_revoke(&t, bytes_of(big, sizeof(big))), E_OVERSIZED);
}
END_TEST

START_TEST(every_truncation_and_flip_of_a_list)
{
    struct trust t = test_trust();
    struct revocations r = list(1, 1, 150, 160);
    struct test_object o;
    make_list(&o, &r, &t.root.fleet, NUMBERS(KEY_ENROL, KEY_ENROL + 1));
    for (size_t n = 0; n < o.n; n++) {
        uint8_t *exact = malloc(n > 0 ? n : 1);
        memcpy(exact, o.buf, n);
        ck_assert_int_eq(trust_revoke(&t, bytes_of(exact, n)), E_TRUNCATED);
        free(exact);
    }
    for (size_t bit = 0; bit < o.n * 8; bit++) {
        o.buf[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        ck_assert_int_ne(trust_revoke(&t, test_bytes(&o)), E_OK);
        o.buf[bit / 8] ^= (uint8_t)(1u << (bit % 8));
    }
    ck_assert_uint_eq(t.revoked.version, 0);
    ck_assert_int_eq(trust_revoke(&t, test_bytes(&o)), E_OK);
}
END_TEST

/* ---- withdrawals ---- */

static struct withdrawal plain_withdrawal(void)
{
    struct withdrawal wd = {.root_version = 1, .sequence = 9};
    memset(wd.model.b, 0x33, sizeof(wd.model.b));
    memset(wd.manifest.b, 0x44, sizeof(wd.manifest.b));
    return wd;
}

static void make_withdrawal(struct test_object *o, const struct withdrawal *wd,
                            const struct digest *fleet, const uint32_t *numbers, uint32_t count)
{
    struct key keys[8];
    struct sig sigs[8];
    for (uint32_t i = 0; i < count; i++) {
        struct signer s = test_signer(numbers[i]);
        keys[i] = s.pub;
        withdrawal_sign(&sigs[i], &s, fleet, wd);
    }
    struct wr w = wr_of(o->buf, sizeof(o->buf));
    ck_assert_int_eq(withdrawal_encode(wd, fleet, keys, sigs, count, &w), E_OK);
    o->n = wr_len(&w);
}

static enum err withdraw(const struct trust *t, const struct withdrawal *wd,
                         const uint32_t *numbers, uint32_t count)
{
    struct test_object o;
    struct withdrawal out;
    make_withdrawal(&o, wd, &t->root.fleet, numbers, count);
    enum err e = withdrawal_open(&out, test_bytes(&o), t);
    if (e == E_OK)
        ck_assert_mem_eq(&out, wd, sizeof(out));
    return e;
}

START_TEST(withdrawal_threshold)
{
    struct trust t = test_trust();
    struct withdrawal wd = plain_withdrawal();
    ck_assert_int_eq(withdraw(&t, &wd, NUMBERS(10, 11)), E_OK);
    ck_assert_int_eq(withdraw(&t, &wd, NUMBERS(12, 10, 11)), E_OK);
    ck_assert_int_eq(withdraw(&t, &wd, NUMBERS(10)), E_THRESHOLD);
    ck_assert_int_eq(withdraw(&t, &wd, NUMBERS(10, 10)), E_THRESHOLD);
    ck_assert_int_eq(withdraw(&t, &wd, NUMBERS(10, 11, KEY_STRANGER)), E_UNLISTED);
    ck_assert_int_eq(withdraw(&t, &wd, NUMBERS(KEY_ROOT, KEY_ROOT + 1)), E_UNLISTED);
    wd.root_version = 2;
    ck_assert_int_eq(withdraw(&t, &wd, NUMBERS(10, 11)), E_STATE);
}
END_TEST

START_TEST(withdrawal_over_a_rotation)
{
    struct trust t = test_trust();
    struct root next = test_root();
    struct withdrawal wd = plain_withdrawal();
    next.version = 2;
    next.release = test_set(KEY_RELEASE + 1, 3, 2); /* 11, 12, 13 */
    test_advance(&t, &next);
    ck_assert_int_eq(withdraw(&t, &wd, NUMBERS(11, 12)), E_OK);
    ck_assert_int_eq(withdraw(&t, &wd, NUMBERS(10, 11)), E_UNLISTED); /* 10 is gone */
    ck_assert_int_eq(withdraw(&t, &wd, NUMBERS(12, 13)), E_UNLISTED); /* 13 was not there */
    wd.root_version = 2;
    ck_assert_int_eq(withdraw(&t, &wd, NUMBERS(12, 13)), E_OK);
}
END_TEST

START_TEST(withdrawal_bytes)
{
    struct trust t = test_trust();
    struct withdrawal wd = plain_withdrawal(), out;
    struct test_object o;
    struct digest other = t.root.fleet;
    wd.sequence = UINT64_MAX;
    wd.root_version = UINT32_MAX;
    make_withdrawal(&o, &wd, &t.root.fleet, NUMBERS(10, 11, 12, 10, 11, 12, 10, 11));
    ck_assert_uint_le(o.n, WITHDRAWAL_BYTES_MAX);
    wd = plain_withdrawal();
    other.b[0] ^= 1;
    make_withdrawal(&o, &wd, &other, NUMBERS(10, 11));
    ck_assert_int_eq(withdrawal_open(&out, test_bytes(&o), &t), E_FLEET);
    make_withdrawal(&o, &wd, &t.root.fleet, NUMBERS(10, 11));
    for (size_t n = 0; n < o.n; n++)
        ck_assert_int_eq(withdrawal_open(&out, bytes_of(o.buf, n), &t), E_TRUNCATED);
    for (size_t bit = 0; bit < o.n * 8; bit++) {
        o.buf[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        ck_assert_int_ne(withdrawal_open(&out, test_bytes(&o), &t), E_OK);
        o.buf[bit / 8] ^= (uint8_t)(1u << (bit % 8));
    }
    struct wr w = wr_of(o.buf, sizeof(o.buf));
    wd.root_version = 0;
    struct key key = test_pub(10);
    struct sig sig = {{0}};
    ck_assert_int_eq(withdrawal_encode(&wd, &other, &key, &sig, 1, &w), E_RANGE);
    memset(o.buf, 0, WITHDRAWAL_BYTES_MAX + 1);
    ck_assert_int_eq(withdrawal_open(&out, bytes_of(o.buf, WITHDRAWAL_BYTES_MAX + 1), &t),
                     E_OVERSIZED);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("revoke");
    TCase *c = tcase_create("revoke");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, newer_wins);
    tcase_add_test(c, who_may_revoke);
    tcase_add_test(c, dropped_key_signs_nothing);
    tcase_add_test(c, a_tenth_at_once);
    tcase_add_test(c, verify_nodes_need_the_root);
    tcase_add_test(c, giving_back_needs_the_root);
    tcase_add_test(c, lists_name_their_fleet);
    tcase_add_test(c, malformed_lists);
    tcase_add_test(c, largest_list);
    tcase_add_test(c, every_truncation_and_flip_of_a_list);
    tcase_add_test(c, withdrawal_threshold);
    tcase_add_test(c, withdrawal_over_a_rotation);
    tcase_add_test(c, withdrawal_bytes);
    suite_add_tcase(s, c);
    return test_run(s);
}
