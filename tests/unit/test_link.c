/* The handshake of the link: what opens it, what each side learns, and that nothing else opens it.
 */
#include "link/noise.h"
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

static bool contains(const uint8_t *p, size_t n, const void *what, size_t len)
{
    for (size_t i = 0; i + len <= n; i++) {
        if (memcmp(p + i, what, len) == 0)
            return true;
    }
    return false;
}

START_TEST(opens)
{
    run_open(&alice, &bob);
    const struct member *m = link_peer(&pair.link[1]);
    ck_assert_uint_eq(m->index, 7);
    ck_assert_int_eq(m->role, ROLE_NORMAL);
    ck_assert_uint_eq(m->model.b[0], 0x4d);
    for (int i = 0; i < 2; i++) {
        ck_assert_uint_eq(link_learnt_roots(&pair.link[i]).n, 0);
        ck_assert_uint_eq(link_learnt_revocations(&pair.link[i]).n, 0);
        ck_assert_uint_eq(link_handshake_out(&pair.link[i]).n, 0);
    }
    /* Sizes: frame head, Noise, versions, three empty strings, certificate, key, signature. */
    ck_assert_uint_eq(pair.frame_len[1], 2 + 32 + 12 + 16);
    ck_assert_uint_eq(pair.frame_len[2], 2 + 80 + 12 + 6 + 166 + 96 + 16);
    ck_assert_uint_eq(pair.frame_len[3], 2 + 48 + 12 + 6 + 166 + 96 + 16);
}
END_TEST

START_TEST(opens_in_fragments)
{
    pair_start(&pair, &alice, &bob, 1);
    pair_run(&pair, FEED_BYTES);
    ck_assert(pair_is_open(&pair));
    for (uint8_t seed = 0; seed < 50; seed++) {
        pair_start(&pair, &alice, &bob, seed);
        pair_run(&pair, FEED_RANDOM);
        ck_assert(pair_is_open(&pair));
    }
}
END_TEST

START_TEST(rest_is_left_for_records)
{
    pair_start(&pair, &alice, &bob, 1);
    pair_collect(&pair, 0);
    pair_feed(&pair, 1, FEED_WHOLE);
    pair_collect(&pair, 1);
    pair_feed(&pair, 0, FEED_WHOLE);
    ck_assert_int_eq(link_state(&pair.link[0]), LINK_OPEN);
    pair_collect(&pair, 0);
    struct pipe *pipe = &pair.pipe[0];
    memset(pipe->b + pipe->n, 0xee, 100);
    size_t m3 = pipe->n - pipe->taken, used;
    ck_assert_int_eq(link_handshake(&pair.link[1], pipe->b + pipe->taken, m3 + 100, &used), E_OK);
    ck_assert_uint_eq(used, m3);
    ck_assert_int_eq(link_state(&pair.link[1]), LINK_OPEN);
    /* Once open, the handshake takes nothing. */
    ck_assert_int_eq(link_handshake(&pair.link[1], pipe->b, 100, &used), E_OK);
    ck_assert_uint_eq(used, 0);
}
END_TEST

START_TEST(verify_node_needs_no_certificate)
{
    struct node_fixture v;
    node_start(&v, &fleet, 5, 1, NULL, 0);
    run_open(&alice, &v);
    ck_assert_int_eq(link_peer(&pair.link[0])->role, ROLE_VERIFY);
    ck_assert_uint_eq(link_peer(&pair.link[0])->index, VERIFY_INDEX);
    run_open(&v, &alice);
    ck_assert_int_eq(link_peer(&pair.link[1])->role, ROLE_VERIFY);
}
END_TEST

START_TEST(unlisted_is_refused)
{
    struct node_fixture stranger;
    node_start(&stranger, &fleet, 0x66, 1, NULL, 0);
    pair_start(&pair, &stranger, &bob, 1);
    pair_run(&pair, FEED_WHOLE);
    assert_errors(E_OK, E_UNLISTED);
    ck_assert_int_eq(link_state(&pair.link[1]), LINK_DEAD);
    pair_start(&pair, &alice, &stranger, 1);
    pair_run(&pair, FEED_WHOLE);
    assert_errors(E_UNLISTED, E_OK);
    /* An enrolment key that no root lists. */
    node_start(&stranger, &fleet, 0x66, 1, &fleet.enrol2, 7);
    pair_start(&pair, &stranger, &bob, 1);
    pair_run(&pair, FEED_WHOLE);
    assert_errors(E_OK, E_UNLISTED);
}
END_TEST

START_TEST(other_fleet_gets_no_answer)
{
    static struct fleet other;
    fleet_start(&other, 0x11);
    struct node_fixture stranger;
    node_start(&stranger, &other, 0x20, 1, &other.enrol, 7);
    pair_start(&pair, &stranger, &bob, 1);
    pair_run(&pair, FEED_WHOLE);
    assert_errors(E_OK, E_AUTH);
    ck_assert_uint_eq(pair.pipe[1].n, 0);
    pair_start(&pair, &alice, &stranger, 1);
    pair_run(&pair, FEED_WHOLE);
    assert_errors(E_OK, E_AUTH);
    ck_assert_uint_eq(pair.pipe[1].n, 0);
}
END_TEST

START_TEST(self_is_refused)
{
    pair_start(&pair, &alice, &alice, 1);
    pair_run(&pair, FEED_WHOLE);
    assert_errors(E_SELF, E_OK);
    ck_assert(!pair_is_open(&pair));
}
END_TEST

/* A thief of a certificate lacks its key. */
START_TEST(stolen_certificate)
{
    struct node_fixture thief = bob;
    fleet_signer(&thief.id, 0x10, 0x77);
    thief.id.pub = bob.id.pub;
    thief.self.identity = &thief.id;
    pair_start(&pair, &thief, &alice, 1);
    pair_run(&pair, FEED_WHOLE);
    assert_errors(E_OK, E_SIGNATURE);
    pair_start(&pair, &alice, &thief, 1);
    pair_run(&pair, FEED_WHOLE);
    assert_errors(E_SIGNATURE, E_OK);
    /* With a key of its own it does not match the certificate. */
    fleet_signer(&thief.id, 0x10, 0x77);
    pair_start(&pair, &thief, &alice, 1);
    pair_run(&pair, FEED_WHOLE);
    assert_errors(E_OK, E_AUTH);
}
END_TEST

/* The signature is over role, fleet, handshake hash and static key: each in turn is wrong. */
START_TEST(binding_is_checked)
{
    uint8_t buf[1024], pub[32] = {1}, other_pub[32] = {2};
    struct digest hash = {{3}}, other_hash = {{4}};
    struct payload_versions peer = {1, 0, 0};
    struct payload_binding good = {LINK_DIALLER, &hash, pub};
    struct wr w = wr_of(buf, sizeof buf);
    payload_write(&w, &bob.self, &peer, &good, sizeof buf);
    struct payload_result result;
    struct trust trust = alice.trust;
    ck_assert_int_eq(payload_judge(&result, &trust, wr_done(&w), &alice.id.pub, &good), E_OK);
    ck_assert(key_equal(&result.peer.node, &bob.id.pub));
    struct payload_binding bad[] = {{LINK_LISTENER, &hash, pub},
                                    {LINK_DIALLER, &other_hash, pub},
                                    {LINK_DIALLER, &hash, other_pub}};
    for (int i = 0; i < 3; i++) {
        trust = alice.trust;
        enum err e = payload_judge(&result, &trust, wr_done(&w), &alice.id.pub, &bad[i]);
        ck_assert_int_eq(e, E_SIGNATURE);
        ck_assert(!key_equal(&result.peer.node, &bob.id.pub));
    }
    /* Another fleet with the same keys. */
    trust = alice.trust;
    trust.root.fleet.b[0] ^= 1;
    ck_assert_int_eq(payload_judge(&result, &trust, wr_done(&w), &alice.id.pub, &good),
                     E_SIGNATURE);
}
END_TEST

START_TEST(payload_layout_is_checked)
{
    uint8_t buf[1024], pub[32] = {1};
    struct digest hash = {{3}};
    struct payload_versions peer = {1, 0, 0};
    struct payload_binding b = {LINK_DIALLER, &hash, pub};
    struct wr w = wr_of(buf, sizeof buf);
    payload_write(&w, &bob.self, &peer, &b, sizeof buf);
    size_t n = wr_len(&w);
    struct payload_result result;
    struct trust trust = alice.trust;
    for (size_t cut = 0; cut < n; cut++)
        ck_assert_int_eq(payload_judge(&result, &trust, bytes_of(buf, cut), &alice.id.pub, &b),
                         E_TRUNCATED);
    ck_assert_int_eq(payload_judge(&result, &trust, bytes_of(buf, n + 1), &alice.id.pub, &b),
                     E_TRAILING);
    buf[16] = 0x01; /* a certificate of 257 bytes or more */
    buf[17] |= 0x01;
    ck_assert_int_eq(payload_judge(&result, &trust, bytes_of(buf, n), &alice.id.pub, &b),
                     E_OVERSIZED);
    buf[14] = 0x30; /* a list of more than 12,288 bytes */
    buf[15] = 0x01;
    ck_assert_int_eq(payload_judge(&result, &trust, bytes_of(buf, n), &alice.id.pub, &b),
                     E_OVERSIZED);
    struct payload_versions v;
    ck_assert_int_eq(payload_read_hello(&v, bytes_of(buf, 11)), E_TRUNCATED);
    ck_assert_int_eq(payload_read_hello(&v, bytes_of(buf, 13)), E_TRAILING);
    ck_assert_int_eq(payload_read_hello(&v, bytes_of(buf, 12)), E_OK);
}
END_TEST

/* ---- attacks ---- */

static const struct bytes nothing = {NULL, 0};

/* After damage somebody must have failed; one who still waits for bytes fails on any. */
static void assert_not_opened(void)
{
    ck_assert(!pair_is_open(&pair));
    static const uint8_t zeros[LINK_HANDSHAKE_MAX + 2];
    bool failed = pair.err[0] || pair.err[1];
    for (int i = 0; i < 2 && !failed; i++) {
        size_t used;
        if (link_state(&pair.link[i]) != LINK_HANDSHAKE)
            continue;
        if (link_handshake(&pair.link[i], zeros, sizeof zeros, &used)) {
            failed = true;
            ck_assert_int_eq(link_state(&pair.link[i]), LINK_DEAD);
        }
    }
    ck_assert(failed);
    ck_assert(!pair_is_open(&pair));
}

START_TEST(every_flipped_bit)
{
    run_open(&alice, &bob);
    size_t bits = pair.frame_len[_i] * 8;
    for (size_t bit = 0; bit < bits; bit++) {
        pair_start(&pair, &alice, &bob, 1);
        pair.flip_frame = _i;
        pair.flip_bit = bit;
        pair_run(&pair, FEED_WHOLE);
        assert_not_opened();
    }
}
END_TEST

START_TEST(every_truncation)
{
    run_open(&alice, &bob);
    size_t whole = pair.frame_len[_i];
    for (size_t cut = 0; cut < whole - 2; cut++) {
        pair_start(&pair, &alice, &bob, 1);
        while (pair.frames < _i) {
            pair_collect(&pair, 0);
            if (pair.frames < _i)
                pair_feed(&pair, 1, FEED_WHOLE);
            pair_collect(&pair, 1);
            if (pair.frames < _i)
                pair_feed(&pair, 0, FEED_WHOLE);
        }
        int from = _i == 2 ? 1 : 0;
        struct pipe *pipe = &pair.pipe[from];
        uint8_t *frame = pipe->b + pair.frame_at[_i];
        frame[0] = (uint8_t)(cut >> 8);
        frame[1] = (uint8_t)cut;
        pipe->n = pair.frame_at[_i] + 2 + cut;
        pair_feed(&pair, 1 - from, FEED_WHOLE);
        enum err e = pair.err[1 - from];
        ck_assert_msg(e == E_TRUNCATED || e == E_AUTH, "%s at %zu", err_name(e), cut);
        ck_assert_int_eq(link_state(&pair.link[1 - from]), LINK_DEAD);
        size_t used;
        ck_assert_int_eq(link_handshake(&pair.link[1 - from], frame, 1, &used), E_STATE);
    }
}
END_TEST

START_TEST(oversized_hello)
{
    /* The first message has one length; a longer one is refused before it is gathered. */
    uint8_t frame[2] = {0, 61};
    size_t used;
    pair_start(&pair, &alice, &bob, 1);
    ck_assert_int_eq(link_handshake(&pair.link[1], frame, 2, &used), E_OVERSIZED);
    pair_start(&pair, &alice, &bob, 1);
    frame[0] = frame[1] = 0xff;
    ck_assert_int_eq(link_handshake(&pair.link[1], frame, 2, &used), E_OVERSIZED);
    pair_start(&pair, &alice, &bob, 1);
    frame[0] = frame[1] = 0;
    ck_assert_int_eq(link_handshake(&pair.link[1], frame, 2, &used), E_TRUNCATED);
}
END_TEST

START_TEST(largest_frame)
{
    /* A dialler gathers a second message of any length, and no more. */
    static uint8_t frame[LINK_HANDSHAKE_MAX + 2 + 10];
    frame[0] = frame[1] = 0xff;
    size_t used;
    pair_start(&pair, &alice, &bob, 1);
    pair_collect(&pair, 0);
    ck_assert_int_eq(link_handshake(&pair.link[0], frame, 65536, &used), E_OK);
    ck_assert_uint_eq(used, 65536);
    ck_assert_int_eq(link_state(&pair.link[0]), LINK_HANDSHAKE);
    ck_assert_int_eq(link_handshake(&pair.link[0], frame, 11, &used), E_AUTH);
    ck_assert_uint_eq(used, 1);
}
END_TEST

/* Recorded messages, played to links with ephemeral keys of their own. */
START_TEST(replays)
{
    static struct pair recorded;
    pair_start(&recorded, &alice, &bob, 1);
    pair_run(&recorded, FEED_WHOLE);
    ck_assert(pair_is_open(&recorded));
    size_t used;
    const uint8_t *m1 = recorded.pipe[0].b;
    const uint8_t *m3 = m1 + recorded.frame_at[3];
    pair_start(&pair, &alice, &bob, 2);
    /* The first is answered, but the answer is for who knows the ephemeral secret. */
    ck_assert_int_eq(link_handshake(&pair.link[1], m1, recorded.frame_len[1], &used), E_OK);
    ck_assert_int_eq(link_handshake(&pair.link[1], m3, recorded.frame_len[3], &used), E_AUTH);
    ck_assert_int_eq(link_state(&pair.link[1]), LINK_DEAD);
    /* The second. */
    ck_assert_int_eq(
        link_handshake(&pair.link[0], recorded.pipe[1].b, recorded.frame_len[2], &used), E_AUTH);
    /* The first in place of the third, and in place of the second. */
    pair_start(&pair, &alice, &bob, 2);
    pair_collect(&pair, 0);
    pair_feed(&pair, 1, FEED_WHOLE);
    ck_assert_int_eq(link_handshake(&pair.link[1], pair.pipe[0].b, pair.frame_len[1], &used),
                     E_TRUNCATED);
    ck_assert_int_eq(link_handshake(&pair.link[0], pair.pipe[0].b, pair.frame_len[1], &used),
                     E_TRUNCATED);
    /* A listener's own message comes back to it as the third. */
    pair_start(&pair, &alice, &bob, 3);
    pair_collect(&pair, 0);
    pair_feed(&pair, 1, FEED_WHOLE);
    pair_collect(&pair, 1);
    ck_assert_int_eq(link_handshake(&pair.link[1], pair.pipe[1].b, pair.frame_len[2], &used),
                     E_AUTH);
}
END_TEST

/* A side under the test's control, which knows the fleet id. */
static void evil_start(struct noise *n, bool initiator)
{
    uint8_t prologue[7 + 2 + 32], s[32] = {1}, e[32] = {2};
    struct digest psk;
    memcpy(prologue, "fwswarm\0\1", 9);
    memcpy(prologue + 9, fleet.body.fleet.b, 32);
    hash_domain(&psk, "fwswarm-psk", bytes_of(fleet.body.fleet.b, 32), nothing);
    noise_init(n, NOISE_XXPSK0, initiator, bytes_of(prologue, sizeof prologue), psk.b, s, e);
}

static size_t evil_write(struct noise *n, uint8_t *frame, size_t cap, struct bytes payload)
{
    struct wr w = wr_of(frame, cap);
    wr_u16(&w, 0);
    ck_assert_int_eq(noise_write_head(n, &w), E_OK);
    size_t at = wr_len(&w);
    wr_bytes(&w, payload);
    noise_write_payload(n, &w, at);
    frame[0] = (uint8_t)((wr_len(&w) - 2) >> 8);
    frame[1] = (uint8_t)(wr_len(&w) - 2);
    return wr_len(&w);
}

static enum err evil_read(struct noise *n, uint8_t *frame, size_t len)
{
    size_t used;
    struct bytes payload;
    enum err e = noise_read_head(n, bytes_of(frame + 2, len - 2), &used);
    return e ? e : noise_read_payload(n, frame + 2 + used, len - 2 - used, &payload);
}

static const uint8_t low_order[][32] = {
    {0},
    {1},
    {0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3,
     0xfa, 0xf1, 0x9f, 0xc4, 0x6a, 0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32,
     0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00},
    {0xed, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
     0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
     0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
};

START_TEST(low_order_keys)
{
    uint8_t frame[1024], hello[12] = {0};
    struct bytes body = bytes_of(frame + 500, PAYLOAD_MIN);
    size_t used, n;
    struct noise evil;
    /* As dialler, with a bad ephemeral key. */
    evil_start(&evil, true);
    memcpy(evil.e_pub, low_order[_i], 32);
    n = evil_write(&evil, frame, 500, bytes_of(hello, 12));
    pair_start(&pair, &alice, &bob, 1);
    ck_assert_int_eq(link_handshake(&pair.link[1], frame, n, &used), E_AUTH);
    ck_assert_uint_eq(link_handshake_out(&pair.link[1]).n, 0);
    /* As listener, with a bad ephemeral, then a bad static key. */
    for (int i = 0; i < 2; i++) {
        pair_start(&pair, &alice, &bob, 1);
        pair_collect(&pair, 0);
        evil_start(&evil, false);
        ck_assert_int_eq(evil_read(&evil, pair.pipe[0].b, pair.pipe[0].n), E_OK);
        memcpy(i ? evil.s_pub : evil.e_pub, low_order[_i], 32);
        n = evil_write(&evil, frame, 500, body);
        ck_assert_int_eq(link_handshake(&pair.link[0], frame, n, &used), E_AUTH);
    }
    /* As dialler, with a bad static key in the third message. */
    pair_start(&pair, &alice, &bob, 1);
    evil_start(&evil, true);
    n = evil_write(&evil, frame, 500, bytes_of(hello, 12));
    ck_assert_int_eq(link_handshake(&pair.link[1], frame, n, &used), E_OK);
    pair_collect(&pair, 1);
    ck_assert_int_eq(evil_read(&evil, pair.pipe[1].b, pair.pipe[1].n), E_OK);
    memcpy(evil.s_pub, low_order[_i], 32);
    n = evil_write(&evil, frame, 500, body);
    ck_assert_int_eq(link_handshake(&pair.link[1], frame, n, &used), E_AUTH);
}
END_TEST

/* A hello of the right size is all that a listener's first message may be, also from inside. */
START_TEST(knows_the_fleet_but_is_nobody)
{
    uint8_t frame[1024], zero[600] = {0};
    struct noise evil;
    size_t used;
    evil_start(&evil, true);
    pair_start(&pair, &alice, &bob, 1);
    size_t n = evil_write(&evil, frame, sizeof frame, bytes_of(zero, 12));
    ck_assert_int_eq(link_handshake(&pair.link[1], frame, n, &used), E_OK);
    pair_collect(&pair, 1);
    ck_assert_int_eq(evil_read(&evil, pair.pipe[1].b, pair.pipe[1].n), E_OK);
    n = evil_write(&evil, frame, sizeof frame, bytes_of(zero, PAYLOAD_MIN));
    ck_assert_int_eq(link_handshake(&pair.link[1], frame, n, &used), E_UNLISTED);
    /* Bytes behind the layout. */
    evil_start(&evil, true);
    pair_start(&pair, &alice, &bob, 1);
    n = evil_write(&evil, frame, sizeof frame, bytes_of(zero, 12));
    ck_assert_int_eq(link_handshake(&pair.link[1], frame, n, &used), E_OK);
    pair_collect(&pair, 1);
    ck_assert_int_eq(evil_read(&evil, pair.pipe[1].b, pair.pipe[1].n), E_OK);
    n = evil_write(&evil, frame, sizeof frame, bytes_of(zero, 600));
    ck_assert_int_eq(link_handshake(&pair.link[1], frame, n, &used), E_TRAILING);
}
END_TEST

/* ---- secrecy ---- */

static void assert_hidden(const void *what, size_t len)
{
    const uint8_t *p = what;
    for (size_t i = 0; i + 16 <= len; i += 8) {
        for (int side = 0; side < 2; side++)
            ck_assert(!contains(pair.pipe[side].b, pair.pipe[side].n, p + i, 16));
    }
}

START_TEST(nothing_in_the_clear)
{
    fleet_advance(&fleet);
    node_start(&bob, &fleet, 0x30, 2, &fleet.enrol, 8);
    struct bytes list = fleet_revoke(&fleet, &fleet.enrol, 2, 1, 99);
    node_revoke(&bob, list);
    run_open(&alice, &bob);
    const struct node_fixture *nodes[2] = {&alice, &bob};
    for (int i = 0; i < 2; i++) {
        uint8_t pub[32];
        dh_public(pub, nodes[i]->self.static_secret);
        assert_hidden(pub, 32);
        assert_hidden(nodes[i]->id.pub.b, 32);
        assert_hidden(nodes[i]->self.cert.p, nodes[i]->self.cert.n);
    }
    assert_hidden(fleet.chain, fleet.end[2]);
    assert_hidden(list.p, list.n);
    assert_hidden(fleet.body.fleet.b, 32);
    /* The same node looks different each time. */
    static struct pair again;
    pair_start(&again, &alice, &bob, 9);
    pair_run(&again, FEED_WHOLE);
    for (size_t i = 2; i + 16 <= pair.pipe[0].n; i++)
        ck_assert(!contains(again.pipe[0].b, again.pipe[0].n, pair.pipe[0].b + i, 16));
}
END_TEST

static bool link_holds(const struct link *l, const uint8_t *secret)
{
    return contains((const uint8_t *)l, sizeof *l, secret, 32);
}

START_TEST(secrets_are_wiped)
{
    uint8_t e[2][32];
    memset(e[0], 1, 32);
    memset(e[1], 1 ^ 0x80, 32);
    const struct node_fixture *nodes[2] = {&alice, &bob};
    pair_start(&pair, &alice, &bob, 1);
    for (int i = 0; i < 2; i++) {
        ck_assert(link_holds(&pair.link[i], e[i]));
        ck_assert(link_holds(&pair.link[i], nodes[i]->self.static_secret));
    }
    pair_run(&pair, FEED_WHOLE);
    ck_assert(pair_is_open(&pair));
    for (int i = 0; i < 2; i++) {
        ck_assert(!link_holds(&pair.link[i], e[i]));
        ck_assert(!link_holds(&pair.link[i], nodes[i]->self.static_secret));
    }
    pair_wipe(&pair);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(link_state(&pair.link[i]), LINK_DEAD);
        const uint8_t *p = (const uint8_t *)&pair.link[i];
        size_t set = 0;
        for (size_t k = 0; k < sizeof pair.link[i]; k++)
            set += p[k] != 0;
        ck_assert_uint_le(set, 1); /* the state itself */
        ck_assert(
            !contains(pair.scratch[i].in, sizeof pair.scratch[i].in, nodes[1 - i]->id.pub.b, 32));
        link_wipe(&pair.link[i]); /* twice does no harm */
    }
    /* An error wipes too. */
    pair_start(&pair, &alice, &bob, 1);
    uint8_t junk[100] = {0, 60};
    size_t used;
    ck_assert_int_eq(link_handshake(&pair.link[1], junk, sizeof junk, &used), E_AUTH);
    ck_assert(!link_holds(&pair.link[1], e[1]));
    ck_assert(!link_holds(&pair.link[1], bob.self.static_secret));
}
END_TEST

START_TEST(release_before_the_last_word)
{
    pair_start(&pair, &alice, &bob, 1);
    pair_collect(&pair, 0);
    pair_feed(&pair, 1, FEED_WHOLE);
    pair_collect(&pair, 1);
    pair_feed(&pair, 0, FEED_WHOLE);
    ck_assert_int_eq(link_state(&pair.link[0]), LINK_OPEN);
    link_release_scratch(&pair.link[0]); /* asserts: the third message was not taken */
}
END_TEST

static Suite *link_suite(void)
{
    Suite *s = suite_create("link");
    TCase *t = tcase_create("handshake");
    tcase_add_checked_fixture(t, setup, NULL);
    tcase_add_test(t, opens);
    tcase_add_test(t, opens_in_fragments);
    tcase_add_test(t, rest_is_left_for_records);
    tcase_add_test(t, verify_node_needs_no_certificate);
    tcase_add_test(t, unlisted_is_refused);
    tcase_add_test(t, other_fleet_gets_no_answer);
    tcase_add_test(t, self_is_refused);
    tcase_add_test(t, stolen_certificate);
    tcase_add_test(t, binding_is_checked);
    tcase_add_test(t, payload_layout_is_checked);
    tcase_add_loop_test(t, every_flipped_bit, 1, 4);
    tcase_add_loop_test(t, every_truncation, 1, 4);
    tcase_add_test(t, oversized_hello);
    tcase_add_test(t, largest_frame);
    tcase_add_test(t, replays);
    tcase_add_loop_test(t, low_order_keys, 0, sizeof low_order / sizeof low_order[0]);
    tcase_add_test(t, knows_the_fleet_but_is_nobody);
    tcase_add_test(t, nothing_in_the_clear);
    tcase_add_test(t, secrets_are_wiped);
    tcase_add_test_raise_signal(t, release_before_the_last_word, 6);
    tcase_set_timeout(t, 60);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    if (sodium_init() < 0)
        return EXIT_FAILURE;
    SRunner *r = srunner_create(link_suite());
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
