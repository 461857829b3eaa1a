/* The node against members that mean harm: they are enrolled, speak the protocol, and say what no
 * honest node says, or at a time when none does. */
#include "mesh_fleet.h"
#include "node/internal.h"

#include <stdio.h>

/* ---- what was said of one image is not taken for the next in its slot ---- */

struct seen {
    uint32_t slot, block, blocks; /* of node 0's last block to node 1 */
    uint32_t far_slot;            /* of node 1, as selected last */
    uint32_t piece_blocks;
};

static bool watch(struct mesh *m, uint32_t from, uint32_t to, const struct wire_msg *msg)
{
    struct seen *s = m->filter_ctx;
    if (from == 0 && to == 1 && msg->id == MSG_piece) {
        uint32_t block = msg->piece.piece * s->piece_blocks + msg->piece.begin / BLOCK_LEN;
        s->block = block > s->block ? block : s->block;
        s->blocks++;
    }
    if (from == 1 && to == 0 && msg->id == MSG_open)
        s->far_slot = msg->open.slot;
    return true;
}

START_TEST(a_block_of_an_image_that_is_gone_is_not_rechecked_in_the_next)
{
    struct mesh *m = fleet(1, SIZE);
    struct seen seen = {0};
    struct geometry g;
    ck_assert_int_eq(geometry_init(&g, SIZE, m->release[0].m.piece_length), E_OK);
    seen.piece_blocks = g.piece_blocks;
    m->filter = watch;
    m->filter_ctx = &seen;
    device_up(m, 1);
    run(m, 20 * SEC);
    ck_assert_int_eq(state_of(m, 1, 0), RELEASE_HELD);
    ck_assert_uint_gt(seen.block, 10);
    /* The slot of release 0 goes to a much smaller one. */
    mesh_release(m, NULL, "1.1", 2, 20000);
    mesh_seed(m, 0, 1);
    run(m, 20 * SEC);
    ck_assert_int_eq(state_of(m, 0, 0), RELEASE_NONE);
    mesh_release(m, NULL, "1.2", 3, 20001);
    mesh_seed(m, 0, 2);
    run(m, 20 * SEC);
    ck_assert_int_eq(state_of(m, 1, 2), RELEASE_HELD);
    struct wire_msg select = message(MSG_select), bad = message(MSG_bad_block);
    select.select.slot = (uint16_t)seen.far_slot;
    bad.bad_block.block = seen.block;
    mesh_message(m, 1, 0, &select, NULL, 0);
    mesh_message(m, 1, 0, &bad, NULL, 0);
    run(m, 5 * SEC);
    ck_assert_int_eq(state_of(m, 0, 2), RELEASE_HELD);
    mesh_free(m);
}
END_TEST

/* ---- small objects ---- */

START_TEST(a_link_that_does_not_read_is_not_given_more_objects)
{
    struct mesh *m = fleet(1, SIZE);
    device_up(m, 1);
    run(m, 20 * SEC);
    uint64_t before = m->delivered[MSG_data];
    m->node[0].hold = 1u << EV_SENT; /* nothing leaves */
    struct wire_msg get = message(MSG_get);
    get.get.kind = 2;
    get.get.number = 1;
    for (int i = 0; i < 40; i++) {
        mesh_message(m, 1, 0, &get, NULL, 0);
        run(m, SEC / 100);
    }
    ck_assert_uint_le(m->delivered[MSG_data] - before, 1);
    mesh_let_go(m, 0);
    run(m, SEC);
    /* Whoever asks for more than is kept in mind floods. */
    ck_assert_uint_eq(m->delivered[MSG_bye], 1);
    mesh_free(m);
}
END_TEST

START_TEST(objects_asked_for_at_once_are_all_given)
{
    struct mesh *m = fleet(1, SIZE);
    device_up(m, 1);
    run(m, 20 * SEC);
    uint64_t before = m->delivered[MSG_data];
    struct wire_msg get = message(MSG_get);
    get.get.kind = 2;
    get.get.number = 1;
    for (uint32_t i = 0; i < PENDING_GETS; i++)
        mesh_message(m, 1, 0, &get, NULL, 0);
    run(m, SEC);
    ck_assert_uint_eq(m->delivered[MSG_data] - before, PENDING_GETS);
    mesh_free(m);
}
END_TEST

START_TEST(a_banned_name_loses_all_its_links)
{
    struct mesh *m = fleet(3, SIZE);
    m->node[1].conf.up_rate = 100000;
    device_up(m, 1);
    run(m, 30 * SEC);
    mesh_kill(m, 0);
    struct mesh_node *twin = &m->node[3]; /* of the same key */
    twin->signer = m->node[1].signer;
    twin->member = m->node[1].member;
    memcpy(twin->cert, m->node[1].cert, sizeof(twin->cert));
    twin->cert_len = m->node[1].cert_len;
    mesh_start(m, 3);
    uint64_t before = m->delivered[MSG_piece];
    mesh_start(m, 2);
    mesh_know(m, 2, 1, false);
    for (int i = 0; i < 10000 && m->delivered[MSG_piece] == before; i++)
        run(m, SEC / 10000);
    m->node[1].corrupt = true;
    m->node[2].hold = 1u << EV_STORED;
    run(m, SEC);
    ck_assert(mesh_linked(m, 1, 2));
    mesh_know(m, 2, 3, false); /* the newer link of two takes the place of the older */
    run(m, SEC);
    ck_assert(!mesh_linked(m, 1, 2));
    ck_assert(mesh_linked(m, 2, 3));
    mesh_let_go(m, 2);
    run(m, SEC / 10);
    ck_assert_uint_eq(mesh_status(m, 2).bans, 1);
    ck_assert(!mesh_linked(m, 2, 3));
    mesh_free(m);
}
END_TEST

START_TEST(more_stops_than_places_do_not_go_round)
{
    struct mesh *m = mesh_make(9, 1, 2, 1);
    for (uint32_t i = 0; i < 4; i++) {
        char version[16];
        snprintf(version, sizeof(version), "1.%u", i);
        mesh_release(m, NULL, version, i + 1, 20000 + i);
    }
    m->node[0].lim.withdrawals = 2;
    mesh_start(m, 0);
    run(m, SEC);
    for (uint32_t i = 0; i < 3; i++)
        withdraw(m, 0, i); /* 1 and 2 stay */
    run(m, SEC);
    withdraw(m, 0, 0);
    run(m, SEC);
    uint8_t first[WITHDRAWAL_BYTES_MAX];
    size_t n = mesh_withdrawal(m, 0, first, sizeof(first));
    uint32_t kept = 0;
    for (uint32_t i = 0; i < m->node[0].records; i++) {
        const struct mesh_record *r = &m->node[0].record[i];
        if (object_kind_of(r->object) != OBJ_WITHDRAWAL || r->n == 0)
            continue;
        kept++;
        ck_assert(r->n != n || memcmp(r->data, first, n) != 0);
    }
    ck_assert_uint_eq(kept, 2);
    mesh_free(m);
}
END_TEST

/* ---- what the root no longer lists ---- */

START_TEST(a_verify_node_that_the_root_drops_loses_its_links)
{
    struct mesh *m = mesh_make(10, 2, 0, 1);
    mesh_start(m, 0);
    mesh_start(m, 1);
    mesh_know(m, 1, 0, true);
    run(m, 5 * SEC);
    ck_assert(mesh_linked(m, 0, 1));
    m->root.verify_count = 1; /* node 0 stays */
    ck_assert(key_equal(&m->root.verify[0].key, &m->node[0].signer.pub));
    size_t at = mesh_rotate(m);
    order_bytes(m, 0, ORDER_TRUST, m->chain + at, m->chain_len - at);
    run(m, SEC);
    ck_assert(!mesh_linked(m, 0, 1));
    mesh_free(m);
}
END_TEST

/* ---- the LAN ---- */

static void announce(struct mesh *m, const struct manifest *mf, uint8_t fill, bool good)
{
    struct node *n = m->node[1].core;
    struct manifest claimed = *mf;
    struct wire_msg a = message(MSG_announce);
    uint8_t head[WIRE_HEAD_MAX];
    struct sig token = {{0}};
    claimed.sequence += 1;
    claimed.id = other_digest(fill);
    if (good)
        token_sign(&token, &m->release_key[0], &claimed);
    memcpy(a.announce.magic, "fws1", 4);
    memcpy(a.announce.fleet, n->fleet_tag, 8);
    memcpy(a.announce.model, mf->model_id.b, 32);
    a.announce.port = 9;
    a.announce.root_version = mf->root_version;
    a.announce.sequence = claimed.sequence;
    memcpy(a.announce.manifest, claimed.id.b, 32);
    memcpy(a.announce.signer, m->release_key[0].pub.b, 32);
    memcpy(a.announce.token, token.b, 64);
    struct event ev = {.type = EV_DATAGRAM, .now = m->now};
    ev.datagram.from = (struct addr){.family = 4, .ip = {127, 0, 0, 1}, .port = 9};
    ev.datagram.data = bytes_of(head, wire_encode(&a, head));
    node_step(n, &ev);
}

static bool hinted(const struct node *n, uint8_t fill)
{
    struct digest id = other_digest(fill);
    for (uint32_t i = 0; i < HINTS; i++) {
        if (digest_equal(&n->hints[i].manifest, &id))
            return true;
    }
    return false;
}

START_TEST(a_stranger_on_the_lan_washes_no_hint_out)
{
    struct mesh *m = fleet(1, SIZE);
    m->node[1].conf.lan = true;
    device_up(m, 1);
    run(m, 10 * SEC);
    announce(m, &m->release[0].m, 0x11, true);
    ck_assert(hinted(m->node[1].core, 0x11));
    for (uint8_t i = 0; i < 2 * HINTS; i++)
        announce(m, &m->release[0].m, (uint8_t)(0x20 + i), false);
    ck_assert(!hinted(m->node[1].core, 0x20));
    ck_assert(hinted(m->node[1].core, 0x11));
    mesh_free(m);
}
END_TEST

/* ---- who takes without end ---- */

struct taker {
    uint32_t slot;    /* node 1's, as it opened it */
    uint32_t blocks;  /* that node 0 sent it */
    uint32_t refused; /* its requests for hashes */
    bool lies;        /* says nothing of what it holds, and takes what it did not ask for */
};

static bool watch_taker(struct mesh *m, uint32_t from, uint32_t to, const struct wire_msg *msg)
{
    struct taker *t = m->filter_ctx;
    if (from == 0 && to == 1 && msg->id == MSG_piece) {
        t->blocks++;
        return !t->lies;
    }
    t->refused += from == 0 && to == 1 && msg->id == MSG_hash_reject;
    if (from == 0 && to == 1 && t->lies && (msg->id == MSG_reject || msg->id == MSG_hash_reject))
        return false;
    if (from == 1 && to == 0 && msg->id == MSG_open)
        t->slot = msg->open.slot;
    return !(t->lies && from == 1 && (msg->id == MSG_have_all || msg->id == MSG_not_interested));
}

/* Node 1 asks node 0 for a block, again and again. */
static void take(struct mesh *m, const struct taker *t, uint32_t times)
{
    struct wire_msg select = message(MSG_select), want = message(MSG_interested),
                    ask = message(MSG_request);
    select.select.slot = (uint16_t)t->slot;
    ask.request.length = BLOCK_LEN;
    for (uint32_t i = 0; i < times; i++) {
        mesh_message(m, 1, 0, &select, NULL, 0);
        mesh_message(m, 1, 0, &want, NULL, 0);
        mesh_message(m, 1, 0, &ask, NULL, 0);
        run(m, SEC / 20);
    }
}

/* Node 1 has the whole image, and once it lies says that it has none of it. */
static struct mesh *fleet_with_taker(struct taker *t, uint32_t *blocks)
{
    struct mesh *m = fleet(1, SIZE);
    *t = (struct taker){.lies = false};
    m->filter = watch_taker;
    m->filter_ctx = t;
    device_up(m, 1);
    run(m, 20 * SEC);
    *blocks = t->blocks;
    ck_assert_uint_eq(*blocks, SIZE / BLOCK_LEN + 1);
    return m;
}

static void link_anew(struct mesh *m)
{
    mesh_kill(m, 1);
    run(m, SEC);
    device_up(m, 1);
    run(m, 5 * SEC);
    ck_assert(mesh_linked(m, 0, 1));
}

START_TEST(what_a_neighbour_says_it_holds_is_not_sent_to_it)
{
    struct taker t;
    uint32_t blocks;
    struct mesh *m = fleet_with_taker(&t, &blocks);
    link_anew(m);
    take(m, &t, 5);
    ck_assert_uint_eq(t.blocks, blocks);
    mesh_free(m);
}
END_TEST

START_TEST(nobody_takes_an_image_for_ever)
{
    struct taker t;
    uint32_t blocks;
    struct mesh *m = fleet_with_taker(&t, &blocks);
    const uint32_t most = taken_most(blocks);
    t.lies = true;
    link_anew(m);
    take(m, &t, most);
    /* The hashes of a chunk count as a block. */
    ck_assert_uint_le(t.blocks, most);
    ck_assert_uint_ge(t.blocks, most - 2);
    uint32_t before = t.blocks;
    link_anew(m); /* which changes nothing */
    take(m, &t, 40);
    ck_assert_uint_eq(t.blocks, before);
    run(m, 600 * SEC);
    take(m, &t, most);
    ck_assert_uint_gt(t.blocks, before + most / 4);
    ck_assert_uint_le(t.blocks, before + most);
    mesh_free(m);
}
END_TEST

/* A device whose disk fails asks on; what it is refused does not keep it waiting longer. */
START_TEST(what_is_refused_is_not_taken)
{
    struct taker t;
    uint32_t blocks;
    struct geometry g;
    struct wire_msg ask = message(MSG_hash_request);
    struct mesh *m = fleet_with_taker(&t, &blocks);
    const uint32_t most = taken_most(blocks);
    ck_assert_int_eq(geometry_init(&g, SIZE, BLOCK_LEN), E_OK);
    memcpy(ask.hash_request.root, m->release[0].m.tree_root.b, 32);
    ask.hash_request.length = g.chunk_hashes;
    t.lies = true;
    link_anew(m);
    take(m, &t, most);
    uint32_t before = t.blocks;
    t.refused = 0;
    for (uint32_t i = 0; i < 2 * most; i++) {
        mesh_message(m, 1, 0, &ask, NULL, 0);
        run(m, SEC / 20);
    }
    ck_assert_uint_eq(t.refused, 2 * most);
    run(m, 600 * SEC);
    take(m, &t, most / 2);
    ck_assert_uint_gt(t.blocks, before + most / 4);
    mesh_free(m);
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("node_hostile");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, a_block_of_an_image_that_is_gone_is_not_rechecked_in_the_next);
    tcase_add_test(t, a_link_that_does_not_read_is_not_given_more_objects);
    tcase_add_test(t, objects_asked_for_at_once_are_all_given);
    tcase_add_test(t, a_banned_name_loses_all_its_links);
    tcase_add_test(t, more_stops_than_places_do_not_go_round);
    tcase_add_test(t, a_verify_node_that_the_root_drops_loses_its_links);
    tcase_add_test(t, a_stranger_on_the_lan_washes_no_hint_out);
    tcase_add_test(t, what_a_neighbour_says_it_holds_is_not_sent_to_it);
    tcase_add_test(t, nobody_takes_an_image_for_ever);
    tcase_add_test(t, what_is_refused_is_not_taken);
    return run_node_tests(t, "node_hostile");
}
