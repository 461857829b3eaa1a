/* Every cap of the node, filled by a member that means harm: each ends in a close by name or in
 * being ignored, and an honest neighbour gets its image all the while. */
#include "mesh_fleet.h"
#include "node/internal.h"

#include <stdio.h>

/* Node 0 is the verify node under attack, node 1 the member that floods, node 2 the honest one. */

static uint32_t byes[E_COUNT]; /* of node 0, by error */

static bool note_byes(struct mesh *m, uint32_t from, uint32_t to, const struct wire_msg *msg)
{
    (void)m;
    (void)to;
    if (from == 0 && msg->id == MSG_bye && msg->bye.code < E_COUNT)
        byes[msg->bye.code]++;
    return true;
}

static struct mesh *attacked(void)
{
    struct mesh *m = fleet(2, SIZE);
    memset(byes, 0, sizeof(byes));
    m->filter = note_byes;
    device_up(m, 1);
    run(m, 30 * SEC);
    ck_assert_int_eq(state_of(m, 1, 0), RELEASE_HELD);
    m->node[2].conf.down_rate = 200000;
    device_up(m, 2);
    return m;
}

/* Bursts ten times a second until the honest node must be done; each reaches the core at once. */
static void flood(struct mesh *m, void (*burst)(struct mesh *m))
{
    for (uint32_t i = 0; i < 100; i++) {
        m->lazy = true;
        burst(m);
        run(m, SEC / 10);
        m->lazy = false;
    }
    ck_assert_int_eq(state_of(m, 2, 0), RELEASE_HELD);
    ck_assert(mesh_linked(m, 0, 2));
}

static void hit(struct mesh *m, const struct wire_msg *msg, uint32_t times)
{
    while (times-- > 0)
        mesh_message(m, 1, 0, msg, NULL, 0);
}

/* ---- rings of a link ---- */

static void ask_much(struct mesh *m)
{
    struct wire_msg ask = message(MSG_ask);
    hit(m, &ask, 200);
}

START_TEST(questions)
{
    struct mesh *m = attacked();
    uint64_t before = m->delivered[MSG_answer];
    flood(m, ask_much);
    ck_assert_uint_le(m->delivered[MSG_answer] - before, 60); /* two a second, and a few */
    mesh_free(m);
}
END_TEST

static void request_much(struct mesh *m)
{
    struct wire_msg select = message(MSG_select), want = message(MSG_interested);
    hit(m, &select, 1);
    hit(m, &want, 1);
    for (uint32_t i = 0; i < 200; i++) {
        struct wire_msg req = message(MSG_request);
        req.request.piece = i % 64;
        req.request.length = BLOCK_LEN;
        hit(m, &req, 1);
    }
}

START_TEST(requests_beyond_the_ring)
{
    struct mesh *m = attacked();
    flood(m, request_much);
    ck_assert_uint_ge(byes[E_FLOOD], 1);
    mesh_free(m);
}
END_TEST

static void get_much(struct mesh *m)
{
    struct wire_msg get = message(MSG_get);
    get.get.kind = 1;
    memcpy(get.get.id, m->release[0].m.id.b, 32);
    hit(m, &get, PENDING_GETS + 1);
}

START_TEST(objects_asked_for)
{
    struct mesh *m = attacked();
    flood(m, get_much);
    ck_assert_uint_ge(byes[E_FLOOD], 1);
    mesh_free(m);
}
END_TEST

static void hash_much(struct mesh *m)
{
    struct geometry g;
    struct wire_msg req = message(MSG_hash_request);
    ck_assert_int_eq(geometry_init(&g, SIZE, BLOCK_LEN), E_OK);
    memcpy(req.hash_request.root, m->release[0].m.tree_root.b, 32);
    req.hash_request.length = g.chunk_hashes;
    hit(m, &req, PENDING_CHUNKS + 1);
}

START_TEST(chunks_asked_for)
{
    struct mesh *m = attacked();
    flood(m, hash_much);
    ck_assert_uint_ge(byes[E_FLOOD], 1);
    mesh_free(m);
}
END_TEST

static void open_much(struct mesh *m)
{
    for (uint32_t i = 0; i <= FAR_OPENS; i++) {
        struct wire_msg open = message(MSG_open);
        open.open.slot = (uint16_t)(100 + i);
        memset(open.open.manifest, (int)i, 32);
        hit(m, &open, 1);
    }
}

START_TEST(slots_opened)
{
    struct mesh *m = attacked();
    flood(m, open_much);
    ck_assert_uint_ge(byes[E_FLOOD], 1);
    mesh_free(m);
}
END_TEST

static void give_much(struct mesh *m)
{
    static uint8_t block[BLOCK_LEN];
    struct wire_msg select = message(MSG_select), piece = message(MSG_piece);
    hit(m, &select, 1);
    for (uint32_t i = 0; i < 40; i++) {
        piece.piece.piece = i;
        mesh_message(m, 1, 0, &piece, block, BLOCK_LEN);
    }
}

START_TEST(blocks_that_nobody_asked_for)
{
    struct mesh *m = attacked();
    flood(m, give_much);
    ck_assert_uint_ge(byes[E_FLOOD], 1);
    ck_assert_uint_eq(mesh_status(m, 0).bytes_down, 0);
    mesh_free(m);
}
END_TEST

static void data_much(struct mesh *m)
{
    struct wire_msg data = message(MSG_data);
    data.data.kind = 1;
    for (uint32_t i = 0; i < 40; i++)
        mesh_message(m, 1, 0, &data, "unasked", 7);
}

START_TEST(objects_that_nobody_asked_for)
{
    struct mesh *m = attacked();
    flood(m, data_much);
    ck_assert_uint_ge(byes[E_FLOOD], 1);
    mesh_free(m);
}
END_TEST

static void greet_much(struct mesh *m)
{
    struct wire_msg select = message(MSG_select), all = message(MSG_have_all);
    hit(m, &select, 1);
    hit(m, &all, 40);
}

START_TEST(greetings)
{
    struct mesh *m = attacked();
    flood(m, greet_much);
    ck_assert_uint_ge(byes[E_STATE], 1);
    mesh_free(m);
}
END_TEST

static void change_much(struct mesh *m)
{
    struct wire_msg select = message(MSG_select);
    hit(m, &select, 1);
    for (uint32_t i = 0; i < 200; i++) {
        struct wire_msg mind = message(i % 2 == 0 ? MSG_interested : MSG_not_interested);
        hit(m, &mind, 1);
    }
}

START_TEST(changes_of_mind)
{
    struct mesh *m = attacked();
    uint64_t before = m->delivered[MSG_unchoke] + m->delivered[MSG_choke];
    flood(m, change_much);
    /* What is said follows the state, so a burst brings one word at most. */
    ck_assert_uint_le(m->delivered[MSG_unchoke] + m->delivered[MSG_choke] - before, 300);
    mesh_free(m);
}
END_TEST

/* ---- messages as such ---- */

static void unknown_much(struct mesh *m)
{
    for (uint32_t i = 0; i < 200; i++) {
        uint8_t head[3] = {(uint8_t)(128 + i % 128), 1, 2};
        mesh_raw(m, 1, 0, head, sizeof(head));
    }
}

START_TEST(messages_of_a_later_version)
{
    struct mesh *m = attacked();
    flood(m, unknown_much);
    ck_assert(mesh_linked(m, 0, 1)); /* they are ignored, however many */
    mesh_free(m);
}
END_TEST

START_TEST(heads_that_are_none)
{
    static const struct {
        uint8_t id;
        size_t n;
        enum err e;
    } bad[] = {
        {60, 1, E_UNKNOWN},
        {MSG_have, 3, E_TRUNCATED},
        {MSG_have, 6, E_TRAILING},
        {MSG_peers, 33 + 951, E_OVERSIZED},
        {MSG_peers, 33 + 20, E_FORMAT},
        {MSG_announce, 220, E_STATE},
    };
    struct mesh *m = fleet(1, SIZE);
    uint8_t head[1024] = {0};
    memset(byes, 0, sizeof(byes));
    m->filter = note_byes;
    device_up(m, 1);
    run(m, 20 * SEC);
    head[0] = bad[_i].id;
    size_t n = bad[_i].n;
    if (bad[_i].id == MSG_announce) {
        struct wire_msg a = message(MSG_announce);
        n = wire_encode(&a, head);
    }
    mesh_raw(m, 1, 0, head, n);
    run(m, SEC / 10);
    ck_assert_uint_eq(byes[bad[_i].e], 1);
    mesh_free(m);
}
END_TEST

/* ---- tables of the node ---- */

START_TEST(links)
{
    struct mesh *m = mesh_make(30, 1, 20, 1);
    m->node[0].lim.links = 8;
    uint32_t one = mesh_release(m, NULL, "1.0", 1, SIZE / 4);
    mesh_start(m, 0);
    mesh_seed(m, 0, one);
    for (uint32_t i = 1; i <= 20; i++)
        device_up(m, i);
    /* Nobody keeps a place for long who was told of others. */
    run(m, 12 * SEC);
    for (uint32_t i = 1; i <= 20; i++)
        ck_assert_int_eq(state_of(m, i, one), RELEASE_HELD);
    run(m, 300 * SEC);
    for (uint32_t i = 1; i <= 20; i++)
        ck_assert_int_eq(state_of(m, i, one), RELEASE_HELD);
    ck_assert_uint_le(mesh_status(m, 0).links, 8);
    mesh_free(m);
}
END_TEST

START_TEST(links_that_others_dialled)
{
    struct mesh *m = mesh_make(31, 1, 14, 1);
    mesh_start(m, 1);
    for (uint32_t i = 2; i <= 13; i++) { /* all that node 1 hears from are of one mind */
        mesh_start(m, i);
        mesh_know(m, i, 1, false);
    }
    run(m, 10 * SEC);
    ck_assert_uint_ge(mesh_status(m, 1).links, 10);
    mesh_start(m, 0);
    mesh_know(m, 1, 0, true);
    run(m, 10 * SEC);
    ck_assert(mesh_linked(m, 1, 0));
    mesh_free(m);
}
END_TEST

/* Others have time to dial before more is dialled than is of our own choice. */
START_TEST(links_of_our_own_choice)
{
    struct mesh *m = mesh_make(32, 1, 20, 1);
    m->node[1].lim.links = 32;
    for (uint32_t i = 1; i <= 20; i++)
        mesh_start(m, i);
    for (uint32_t i = 2; i <= 20; i++)
        mesh_know(m, 1, i, false);
    run(m, 5 * SEC);
    ck_assert_uint_eq(mesh_status(m, 1).links, 8);
    run(m, 15 * SEC);
    ck_assert_uint_eq(mesh_status(m, 1).links, 12);
    mesh_free(m);
}
END_TEST

/* Every question for addresses is answered with fifty that lead nowhere. */
static bool lie_about_peers(struct mesh *m, uint32_t from, uint32_t to, const struct wire_msg *msg)
{
    static uint32_t drawn;
    if (msg->id != MSG_want_peers || to != 1)
        return true;
    uint8_t list[950];
    memset(list, 0, sizeof(list));
    for (uint32_t i = 0; i < 50; i++) {
        uint8_t *a = list + (size_t)i * 19;
        drawn++;
        a[0] = 4;
        a[1] = 10;
        a[2] = (uint8_t)(drawn >> 8);
        a[3] = (uint8_t)drawn;
        a[4] = 1;
        a[18] = 9;
    }
    struct wire_msg peers = message(MSG_peers);
    memcpy(peers.peers.manifest, msg->want_peers.manifest, 32);
    peers.peers.list = bytes_of(list, sizeof(list));
    mesh_message(m, to, from, &peers, NULL, 0);
    return false;
}

START_TEST(addresses)
{
    struct mesh *m = fleet(3, SIZE);
    device_up(m, 1);
    run(m, 20 * SEC);
    mesh_kill(m, 0);
    m->filter = lie_about_peers;
    m->node[2].conf.down_rate = 50000;
    mesh_start(m, 2);
    mesh_know(m, 2, 1, false);
    run(m, 20 * SEC);
    ck_assert_uint_eq(mesh_status(m, 2).known, m->node[2].lim.known); /* full of lies */
    mesh_start(m, 3);
    mesh_know(m, 2, 3, false); /* the operator knows better */
    run(m, 20 * SEC);
    ck_assert(mesh_linked(m, 2, 3));
    ck_assert_uint_eq(mesh_status(m, 2).known, m->node[2].lim.known);
    run(m, 60 * SEC);
    ck_assert_int_eq(state_of(m, 2, 0), RELEASE_HELD);
    mesh_free(m);
}
END_TEST

START_TEST(addresses_that_mean_nothing_here)
{
    static const uint8_t ips[][17] = {
        {4, 0, 0, 0, 0},
        {4, 224, 0, 0, 1},
        {4, 255, 255, 255, 255},
        {4, 169, 254, 1, 1},
        {6, 0xff, 2, 0},
        {6, 0xfe, 0x80, 0},
        {6, 0},
        {5, 10, 0, 0, 1},
        {6, [11] = 0xff, 0xff, 127, 0, 0, 1},
        {4, 10, 0, 0, 1, 7},
        {6, 0, [16] = 9},
    };
    struct mesh *m = fleet(1, SIZE);
    device_up(m, 1);
    run(m, 20 * SEC);
    uint32_t known = mesh_status(m, 1).known;
    m->node[1].core->links[0].lists_due = sizeof(ips) / 17;
    for (uint32_t i = 0; i < sizeof(ips) / 17; i++) {
        uint8_t entry[19] = {0};
        memcpy(entry, ips[i], 17);
        entry[18] = 9;
        struct wire_msg peers = message(MSG_peers);
        memcpy(peers.peers.manifest, m->release[0].m.id.b, 32);
        peers.peers.list = bytes_of(entry, sizeof(entry));
        mesh_message(m, 0, 1, &peers, NULL, 0);
    }
    run(m, SEC / 10);
    ck_assert_uint_eq(mesh_status(m, 1).known, known);
    ck_assert_uint_eq(m->node[1].core->links[0].lists_due, 0);
    mesh_free(m);
}
END_TEST

START_TEST(announcements)
{
    struct mesh *m = mesh_make(32, 1, 20, 1);
    m->node[0].lim.announced = 8;
    m->node[0].lim.links = 24;
    uint32_t one = mesh_release(m, NULL, "1.0", 1, SIZE / 4);
    mesh_start(m, 0);
    mesh_seed(m, 0, one);
    for (uint32_t i = 1; i <= 20; i++)
        device_up(m, i);
    run(m, 60 * SEC);
    const struct table *t = &m->node[0].core->table;
    ck_assert_uint_eq(t->cap, 8);
    ck_assert_uint_eq(t->count, 8);
    for (uint32_t i = 1; i <= 20; i++)
        ck_assert_int_eq(state_of(m, i, one), RELEASE_HELD);
    mesh_free(m);
}
END_TEST

START_TEST(bans)
{
    struct mesh *m = fleet(6, SIZE);
    for (uint32_t i = 1; i <= 5; i++)
        device_up(m, i);
    run(m, 60 * SEC);
    mesh_kill(m, 0);
    m->node[6].lim.bans = 2;
    mesh_start(m, 6);
    for (uint32_t i = 1; i <= 5; i++) {
        m->node[i].corrupt = i != 3;
        mesh_know(m, 6, i, false);
    }
    run(m, 120 * SEC);
    struct node_image_status st;
    ck_assert_int_eq(mesh_state(m, 6, 0, &st), RELEASE_HELD);
    ck_assert_uint_eq(mesh_status(m, 6).bans, 2);
    ck_assert_uint_ge(st.bytes_wasted, 4 * BLOCK_LEN); /* each of the four sent one at least */
    mesh_free(m);
}
END_TEST

START_TEST(withdrawals)
{
    struct mesh *m = mesh_make(33, 1, 1, 1);
    m->node[0].lim.withdrawals = 2;
    mesh_start(m, 0);
    for (uint32_t i = 0; i < 5; i++) {
        char version[16];
        snprintf(version, sizeof(version), "1.%u", i);
        uint32_t at = mesh_release(m, NULL, version, i + 1, 20000);
        mesh_seed(m, 0, at);
        run(m, SEC);
        withdraw(m, 0, at);
        run(m, SEC);
        ck_assert_int_eq(state_of(m, 0, at), RELEASE_WITHDRAWN);
    }
    mesh_free(m);
}
END_TEST

/* ---- wants ---- */

static void claim_much(struct mesh *m)
{
    static uint32_t drawn;
    for (uint32_t i = 0; i < 40; i++) {
        struct wire_msg stop = message(MSG_withdrawn), offer = message(MSG_offer);
        drawn++;
        memcpy(stop.withdrawn.manifest, &drawn, sizeof(drawn));
        memcpy(offer.offer.model, m->release[0].m.model_id.b, 32);
        memcpy(offer.offer.manifest, &drawn, sizeof(drawn));
        offer.offer.root_version = 1;
        offer.offer.sequence = UINT64_MAX;
        hit(m, &stop, 1);
        hit(m, &offer, 1);
    }
    struct wire_msg state = message(MSG_state);
    state.state.root_version = 99;
    state.state.list_root = 99;
    hit(m, &state, 1);
}

static bool mute_1(struct mesh *m, uint32_t from, uint32_t to, const struct wire_msg *msg)
{
    (void)m;
    (void)from;
    return msg->id != MSG_get || to != 1;
}

START_TEST(wants)
{
    struct mesh *m = mesh_make(34, 2, 1, 1);
    m->filter = mute_1; /* node 1 claims, and gives nothing */
    uint32_t one = mesh_release(m, NULL, "1.0", 1, SIZE);
    mesh_start(m, 0);
    mesh_start(m, 1);
    mesh_start(m, 2);
    mesh_know(m, 1, 0, true);
    mesh_know(m, 2, 0, true);
    run(m, SEC);
    claim_much(m);
    run(m, SEC / 10);
    size_t at = mesh_rotate(m);
    order_bytes(m, 2, ORDER_TRUST, m->chain + at, m->chain_len - at);
    order_bytes(m, 2, ORDER_RELEASE, m->release[one].envelope, m->release[one].envelope_len);
    for (uint32_t i = 0; i < 150; i++) {
        claim_much(m);
        run(m, SEC / 10);
    }
    /* A claim that nobody can prove delays a root by one turn, and a manifest not at all. */
    ck_assert_uint_eq(mesh_status(m, 0).root_version, 2);
    ck_assert_int_ne(state_of(m, 0, one), RELEASE_NONE);
    mesh_free(m);
}
END_TEST

/* Every question for a manifest is answered with the one that is held already. */
static bool answer_with_old(struct mesh *m, uint32_t from, uint32_t to, const struct wire_msg *msg)
{
    note_byes(m, from, to, msg);
    if (msg->id != MSG_get || to != 1)
        return true;
    struct wire_msg data = message(MSG_data);
    data.data.kind = msg->get.kind;
    memcpy(data.data.id, msg->get.id, 32);
    mesh_message(m, to, from, &data, m->release[0].envelope, (uint32_t)m->release[0].envelope_len);
    return false;
}

static void offer_much(struct mesh *m)
{
    struct wire_msg offer = message(MSG_offer);
    memcpy(offer.offer.model, m->release[0].m.model_id.b, 32);
    memset(offer.offer.manifest, 0x77, 32);
    offer.offer.root_version = 1;
    offer.offer.sequence = 99;
    hit(m, &offer, 20);
}

START_TEST(manifests_that_were_not_asked_for)
{
    struct mesh *m = attacked();
    m->filter = answer_with_old;
    flood(m, offer_much);
    ck_assert_uint_ge(byes[E_FLOOD], 1);
    mesh_free(m);
}
END_TEST

/* ---- what is told and saved between two drains ---- */

START_TEST(tells)
{
    struct mesh *m = mesh_make(35, 1, 1, 1);
    uint32_t one = mesh_release(m, NULL, "1.0", 1, SIZE);
    make_publisher(m, 1);
    const struct mesh_node *p = &m->node[1];
    mesh_start(m, 0);
    mesh_start(m, 1);
    mesh_seed(m, 1, one);
    mesh_know(m, 1, 0, true);
    run(m, 10 * SEC);
    uint32_t before = p->held_at;
    m->lazy = true;
    for (uint32_t i = 0; i < 500; i++) {
        struct wire_msg held = message(MSG_held), state = message(MSG_state);
        memcpy(held.held.manifest, m->release[one].m.id.b, 32);
        state.state.root_version = 1;
        mesh_message(m, 0, 1, &held, NULL, 0);
        mesh_message(m, 0, 1, &state, NULL, 0);
    }
    run(m, SEC / 10);
    ck_assert_uint_eq(p->held_at, before + 1); /* told once for all of them */
    mesh_free(m);
}
END_TEST

START_TEST(records)
{
    /* Many bans and a change of every slot before one drain. */
    struct mesh *m = fleet(12, SIZE);
    for (uint32_t i = 1; i <= 11; i++)
        device_up(m, i);
    run(m, 100 * SEC);
    mesh_kill(m, 0);
    m->node[12].lim.bans = 64;
    mesh_start(m, 12);
    for (uint32_t i = 1; i <= 11; i++) {
        m->node[i].corrupt = true;
        mesh_know(m, 12, i, false);
    }
    m->lazy = true;
    run(m, 60 * SEC);
    ck_assert_uint_eq(mesh_status(m, 12).bans, 11);
    mesh_free(m);
}
END_TEST

/* ---- the LAN ---- */

static void announce(struct mesh *m, uint8_t host, uint16_t port, uint64_t sequence)
{
    struct wire_msg a = message(MSG_announce);
    struct manifest claimed = m->release[0].m;
    struct sig token;
    struct addr from = {.family = 4, .ip = {192, 168, 1, host}, .port = 7654};
    claimed.sequence = sequence;
    token_sign(&token, &m->release_key[0], &claimed);
    memcpy(a.announce.magic, "fws1", 4);
    memcpy(a.announce.fleet, m->node[1].core->fleet_tag, 8);
    memcpy(a.announce.model, claimed.model_id.b, 32);
    a.announce.port = port;
    a.announce.root_version = claimed.root_version;
    a.announce.sequence = sequence;
    memcpy(a.announce.manifest, claimed.id.b, 32);
    memcpy(a.announce.signer, m->release_key[0].pub.b, 32);
    memcpy(a.announce.token, token.b, 64);
    mesh_datagram(m, 1, &from, &a);
}

START_TEST(datagrams)
{
    struct mesh *m = fleet(1, SIZE);
    m->node[1].conf.lan = true;
    device_up(m, 1);
    run(m, 20 * SEC);
    struct node *n = m->node[1].core;
    n->links[0].addr.ip[0] = 192; /* its neighbour is on the LAN too */
    n->links[0].addr.ip[1] = 168;
    n->links[0].addr.ip[2] = 1;
    n->links[0].addr.ip[3] = 77;
    uint32_t casts = m->node[1].casts;
    for (uint32_t i = 0; i < 300; i++)
        announce(m, 66, 9, 1);
    run(m, SEC / 100);
    ck_assert_int_le(n->datagrams_strange.tokens, 1024); /* strangers have used their share */
    announce(m, 77, 9, 9);
    run(m, SEC / 100);
    uint32_t claims = 0;
    for (uint32_t i = 0; i < HINTS; i++)
        claims += n->hints[i].claims;
    ck_assert_uint_eq(claims, 1); /* the neighbour is heard */
    run(m, 10 * SEC);
    ck_assert_uint_le(m->node[1].casts - casts, 25); /* nothing is made louder than Imin allows */
    mesh_free(m);
}
END_TEST

START_TEST(ports_of_one_sender)
{
    struct mesh *m = fleet(1, SIZE);
    m->node[1].conf.lan = true;
    device_up(m, 1);
    run(m, 20 * SEC);
    uint32_t known = mesh_status(m, 1).known;
    for (uint32_t i = 0; i < 25; i++) {
        announce(m, 66, (uint16_t)(100 + i), 1);
        run(m, SEC);
    }
    ck_assert_uint_eq(mesh_status(m, 1).known, known + 1);
    announce(m, 67, 9, 1); /* another sender is as good as the first */
    run(m, SEC);
    ck_assert_uint_eq(mesh_status(m, 1).known, known + 2);
    mesh_free(m);
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("node_caps");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, questions);
    tcase_add_test(t, requests_beyond_the_ring);
    tcase_add_test(t, objects_asked_for);
    tcase_add_test(t, chunks_asked_for);
    tcase_add_test(t, slots_opened);
    tcase_add_test(t, blocks_that_nobody_asked_for);
    tcase_add_test(t, objects_that_nobody_asked_for);
    tcase_add_test(t, greetings);
    tcase_add_test(t, changes_of_mind);
    tcase_add_test(t, messages_of_a_later_version);
    tcase_add_loop_test(t, heads_that_are_none, 0, 6);
    tcase_add_test(t, links);
    tcase_add_test(t, links_that_others_dialled);
    tcase_add_test(t, links_of_our_own_choice);
    tcase_add_test(t, addresses);
    tcase_add_test(t, addresses_that_mean_nothing_here);
    tcase_add_test(t, announcements);
    tcase_add_test(t, bans);
    tcase_add_test(t, withdrawals);
    tcase_add_test(t, wants);
    tcase_add_test(t, manifests_that_were_not_asked_for);
    tcase_add_test(t, tells);
    tcase_add_test(t, records);
    tcase_add_test(t, datagrams);
    tcase_add_test(t, ports_of_one_sender);
    return run_node_tests(t, "node_caps");
}
