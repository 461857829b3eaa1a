/* What a handshake teaches: roots and revocation lists come before the judgement of the peer. */
#include "link/payload.h"

#include "link_fleet.h"

#include <check.h>
#include <sodium.h>
#include <stdlib.h>

static struct fleet fleet;
static struct node_fixture alice, bob;
static struct pair pair;

static void setup(void)
{
    fleet_start(&fleet, 0x10);
    node_start(&alice, &fleet, 0x20, 1, &fleet.enrol, 7);
    node_start(&bob, &fleet, 0x30, 1, &fleet.enrol, 8);
}

static void assert_errors(enum err dialler, enum err listener)
{
    ck_assert_str_eq(err_name(pair.err[0]), err_name(dialler));
    ck_assert_str_eq(err_name(pair.err[1]), err_name(listener));
}

static void run_open(const struct node_fixture *dialler, const struct node_fixture *listener)
{
    pair_start(&pair, dialler, listener, 1);
    pair_run(&pair, FEED_WHOLE);
    assert_errors(E_OK, E_OK);
    ck_assert(pair_is_open(&pair));
    ck_assert(key_equal(&link_peer(&pair.link[0])->node, &listener->id.pub));
    ck_assert(key_equal(&link_peer(&pair.link[1])->node, &dialler->id.pub));
}

static void assert_learnt(int side, struct bytes roots, struct bytes list)
{
    ck_assert(bytes_equal(link_learnt_roots(&pair.link[side]), roots));
    ck_assert(bytes_equal(link_learnt_revocations(&pair.link[side]), list));
}

static const struct bytes nothing = {NULL, 0};

/* Bob's certificate is by a key that only root 3 lists: roots come before the judgement. */
START_TEST(roots_are_learnt_first)
{
    fleet_advance(&fleet);
    fleet_advance_enrol(&fleet);
    node_start(&bob, &fleet, 0x30, 3, &fleet.enrol2, ENROL_LAST + 5);
    run_open(&alice, &bob);
    assert_learnt(0, fleet_roots(&fleet, 2, 3), nothing);
    assert_learnt(1, nothing, nothing);
    ck_assert_uint_eq(alice.trust.root.version, 1); /* the caller's is not touched */
    run_open(&bob, &alice);
    assert_learnt(0, nothing, nothing);
    assert_learnt(1, fleet_roots(&fleet, 2, 3), nothing);
    link_release_scratch(&pair.link[1]);
    assert_learnt(1, nothing, nothing);
}
END_TEST

/* More roots than one handshake takes: refused, but eight are learnt, and the next one opens. */
START_TEST(far_behind)
{
    for (int i = 0; i < 10; i++)
        fleet_advance(&fleet);
    fleet_advance_enrol(&fleet); /* version 12 */
    node_start(&bob, &fleet, 0x30, 12, &fleet.enrol2, ENROL_LAST + 5);
    node_revoke(&bob, fleet_revoke(&fleet, &fleet.enrol, 12, 1, 99));
    pair_start(&pair, &alice, &bob, 1);
    pair_run(&pair, FEED_WHOLE);
    assert_errors(E_UNLISTED, E_OK);
    assert_learnt(0, fleet_roots(&fleet, 2, 9), nothing);
    node_start(&alice, &fleet, 0x20, 9, &fleet.enrol, 7);
    run_open(&alice, &bob);
    assert_learnt(0, fleet_roots(&fleet, 10, 12), bytes_of(fleet.list, fleet.list_n));
}
END_TEST

/* A chain whose old end was thrown away helps nobody who is older than it. */
START_TEST(gap_in_the_chain)
{
    for (int i = 0; i < 3; i++)
        fleet_advance(&fleet);
    node_start(&bob, &fleet, 0x30, 4, &fleet.enrol, 8);
    bob.self.root_chain = fleet_roots(&fleet, 3, 4);
    run_open(&alice, &bob);
    assert_learnt(0, nothing, nothing);
    node_start(&alice, &fleet, 0x20, 2, &fleet.enrol, 7);
    run_open(&alice, &bob);
    assert_learnt(0, fleet_roots(&fleet, 3, 4), nothing);
    bob.self.root_chain = nothing;
    run_open(&alice, &bob);
    assert_learnt(0, nothing, nothing);
}
END_TEST

/* What fits decides, and a list never travels without the roots that judge it. */
START_TEST(room_is_kept)
{
    for (int i = 0; i < 4; i++)
        fleet_advance(&fleet);
    node_start(&bob, &fleet, 0x30, 5, &fleet.enrol, 8);
    node_revoke(&bob, fleet_revoke(&fleet, &fleet.enrol, 5, 1, 99));
    uint8_t buf[8192], pub[32] = {1};
    struct digest hash = {{3}};
    struct payload_versions peer = {1, 0, 0};
    struct payload_binding b = {LINK_DIALLER, &hash, pub};
    size_t fixed = PAYLOAD_MIN + bob.self.cert.n + fleet.list_n;
    size_t all = fleet_roots(&fleet, 2, 5).n;
    for (size_t short_by = 0; short_by < 2; short_by++) {
        struct wr w = wr_of(buf, sizeof buf);
        payload_write(&w, &bob.self, &peer, &b, fixed + all - short_by);
        struct trust trust = alice.trust;
        struct payload_result result;
        ck_assert_int_eq(payload_judge(&result, &trust, wr_done(&w), &alice.id.pub, &b), E_OK);
        ck_assert_uint_eq(trust.root.version, 5 - short_by);
        ck_assert_uint_eq(result.list.n, short_by ? 0 : fleet.list_n);
    }
}
END_TEST

static enum err judge_roots(struct bytes roots, struct trust *trust, struct payload_result *result)
{
    static uint8_t buf[32768];
    uint8_t pub[32] = {1};
    struct digest hash = {{3}};
    struct payload_binding b = {LINK_DIALLER, &hash, pub};
    struct wr w = wr_of(buf, sizeof buf);
    wr_copy(&w, "\0\0\0\1\0\0\0\0\0\0\0", 12);
    wr_u16(&w, (uint16_t)roots.n);
    wr_bytes(&w, roots);
    wr_u16(&w, 0);
    wr_u16(&w, 0);
    wr_copy(&w, bob.id.pub.b, 32);
    wr_copy(&w, buf, 64);
    ck_assert_int_eq(w.err, E_OK);
    return payload_judge(result, trust, wr_done(&w), &alice.id.pub, &b);
}

/* Without a certificate bob is unlisted, which says that his roots were taken. */
START_TEST(roots_are_judged)
{
    for (int i = 0; i < 9; i++)
        fleet_advance(&fleet);
    struct trust t = alice.trust;
    struct payload_result result;
    ck_assert_int_eq(judge_roots(fleet_roots(&fleet, 2, 9), &t, &result), E_UNLISTED);
    ck_assert_uint_eq(t.root.version, 9);
    /* One more than a handshake may carry. */
    t = alice.trust;
    ck_assert_int_eq(judge_roots(fleet_roots(&fleet, 2, 10), &t, &result), E_LIMIT);
    /* Held ones may lead. */
    t = alice.trust;
    ck_assert_int_eq(trust_chain(&t, fleet_roots(&fleet, 1, 3)), E_OK);
    ck_assert_int_eq(judge_roots(fleet_roots(&fleet, 1, 5), &t, &result), E_UNLISTED);
    ck_assert(bytes_equal(result.roots, fleet_roots(&fleet, 4, 5)));
    /* A gap. */
    t = alice.trust;
    ck_assert_int_eq(judge_roots(fleet_roots(&fleet, 3, 4), &t, &result), E_STATE);
    /* Forged: one bit of the last signature. */
    uint8_t copy[2048];
    struct bytes two = fleet_roots(&fleet, 2, 3);
    memcpy(copy, two.p, two.n);
    copy[two.n - 1] ^= 1;
    ck_assert_int_eq(judge_roots(bytes_of(copy, two.n), &t, &result), E_SIGNATURE);
    ck_assert(bytes_equal(result.roots, fleet_roots(&fleet, 2, 2)));
    /* Cut short. */
    t = alice.trust;
    ck_assert_int_eq(judge_roots(bytes_of(two.p, two.n - 1), &t, &result), E_TRUNCATED);
    /* A new root, then an old one. */
    t = alice.trust;
    struct bytes second = fleet_roots(&fleet, 2, 2);
    memcpy(copy, second.p, second.n);
    memcpy(copy + second.n, second.p, second.n);
    ck_assert_int_eq(judge_roots(bytes_of(copy, 2 * second.n), &t, &result), E_STALE);
    /* Another fleet's. */
    static struct fleet other;
    fleet_start(&other, 0x11);
    fleet_advance(&other);
    ck_assert_int_eq(judge_roots(fleet_roots(&other, 2, 2), &t, &result), E_FLEET);
}
END_TEST

START_TEST(list_is_learnt)
{
    struct bytes list = fleet_revoke(&fleet, &fleet.enrol, 1, 1, 99);
    node_revoke(&bob, list);
    run_open(&alice, &bob);
    assert_learnt(0, nothing, list);
    assert_learnt(1, nothing, nothing);
    run_open(&bob, &alice);
    assert_learnt(0, nothing, nothing);
    assert_learnt(1, nothing, list);
    node_revoke(&alice, list);
    run_open(&alice, &bob);
    assert_learnt(0, nothing, nothing);
    assert_learnt(1, nothing, nothing);
}
END_TEST

START_TEST(revoked_is_refused)
{
    node_revoke(&alice, fleet_revoke(&fleet, &fleet.enrol, 1, 1, 8));
    pair_start(&pair, &alice, &bob, 1);
    pair_run(&pair, FEED_WHOLE);
    assert_errors(E_REVOKED, E_OK);
    ck_assert(!pair_is_open(&pair));
    pair_start(&pair, &bob, &alice, 1);
    pair_run(&pair, FEED_WHOLE);
    assert_errors(E_OK, E_REVOKED);
    ck_assert_int_eq(link_state(&pair.link[1]), LINK_DEAD);
}
END_TEST

/* A list that cannot be judged is left alone; a damaged one is a fault. */
START_TEST(lists_that_are_not_taken)
{
    struct bytes list = fleet_revoke(&fleet, &fleet.enrol2, 1, 1, 99);
    bob.trust.revoked.root_version = 1;
    bob.trust.revoked.version = 1;
    bob.self.revocations = list;
    run_open(&alice, &bob);
    assert_learnt(0, nothing, nothing);
    list = fleet_revoke(&fleet, &fleet.enrol, 1, 1, 99);
    fleet.list[list.n - 1] ^= 1;
    pair_start(&pair, &alice, &bob, 1);
    pair_run(&pair, FEED_WHOLE);
    assert_errors(E_SIGNATURE, E_OK);
    fleet.list[0] ^= 0x40;
    pair_start(&pair, &alice, &bob, 1);
    pair_run(&pair, FEED_WHOLE);
    ck_assert_int_ne(pair.err[0], E_OK);
}
END_TEST

/* Trust that grows between our first word and the answer. */
START_TEST(trust_moves_meanwhile)
{
    for (int i = 0; i < 2; i++)
        fleet_advance(&fleet);
    node_start(&bob, &fleet, 0x30, 3, &fleet.enrol, 8);
    struct bytes list = fleet_revoke(&fleet, &fleet.enrol, 3, 1, 99);
    node_revoke(&bob, list);
    pair_start(&pair, &alice, &bob, 1);
    pair_collect(&pair, 0);
    pair_feed(&pair, 1, FEED_WHOLE);
    ck_assert_int_eq(trust_chain(&alice.trust, fleet_roots(&fleet, 2, 2)), E_OK);
    pair_run(&pair, FEED_WHOLE);
    assert_errors(E_OK, E_OK);
    assert_learnt(0, fleet_roots(&fleet, 3, 3), list);
    node_start(&alice, &fleet, 0x20, 1, &fleet.enrol, 7);
    pair_start(&pair, &alice, &bob, 1);
    pair_collect(&pair, 0);
    pair_feed(&pair, 1, FEED_WHOLE);
    ck_assert_int_eq(trust_chain(&alice.trust, fleet_roots(&fleet, 2, 3)), E_OK);
    node_revoke(&alice, list);
    pair_run(&pair, FEED_WHOLE);
    assert_errors(E_OK, E_OK);
    assert_learnt(0, nothing, nothing);
}
END_TEST

static Suite *learn_suite(void)
{
    Suite *s = suite_create("link_learn");
    TCase *t = tcase_create("learn");
    tcase_add_checked_fixture(t, setup, NULL);
    tcase_add_test(t, roots_are_learnt_first);
    tcase_add_test(t, far_behind);
    tcase_add_test(t, gap_in_the_chain);
    tcase_add_test(t, room_is_kept);
    tcase_add_test(t, roots_are_judged);
    tcase_add_test(t, list_is_learnt);
    tcase_add_test(t, revoked_is_refused);
    tcase_add_test(t, lists_that_are_not_taken);
    tcase_add_test(t, trust_moves_meanwhile);
    tcase_set_timeout(t, 60);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    if (sodium_init() < 0)
        return EXIT_FAILURE;
    SRunner *r = srunner_create(learn_suite());
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
