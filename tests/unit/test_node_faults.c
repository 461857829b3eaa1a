/* The node on bad days: storage that is late, rots or fails, power that goes, neighbours that
 * stall, races that honest nodes run into. */
#include "mesh_fleet.h"

#include <stdio.h>

/* ---- exchange ---- */

static bool drop_hashes(struct mesh *m, uint32_t from, uint32_t to, const struct wire_msg *msg)
{
    (void)m;
    (void)from;
    (void)to;
    return msg->id != MSG_hashes;
}

START_TEST(two_images_with_nothing_to_ask_for_do_not_take_turns_in_selecting)
{
    struct mesh *m = mesh_make(8, 2, 0, 1);
    uint32_t a = mesh_release(m, "model-a", "1.0", 1, SIZE);
    uint32_t b = mesh_release(m, "model-b", "1.1", 1, SIZE);
    mesh_start(m, 0);
    mesh_seed(m, 0, a);
    mesh_seed(m, 0, b);
    m->filter = drop_hashes; /* so that no block may be asked for */
    mesh_start(m, 1);
    mesh_know(m, 1, 0, true);
    run(m, 5 * SEC);
    ck_assert_uint_ge(m->delivered[MSG_unchoke], 2);
    ck_assert_uint_le(m->delivered[MSG_select], 20);
    m->filter = NULL;
    run(m, 20 * SEC);
    ck_assert_int_eq(state_of(m, 1, a), RELEASE_HELD);
    ck_assert_int_eq(state_of(m, 1, b), RELEASE_HELD);
    mesh_free(m);
}
END_TEST

/* ---- storage ---- */

START_TEST(a_release_withdrawn_while_its_storage_opens_stays_withdrawn)
{
    struct mesh *m = fleet(1, SIZE);
    m->node[1].hold = 1u << EV_OPENED;
    device_up(m, 1);
    run(m, SEC);
    ck_assert_int_eq(state_of(m, 1, 0), RELEASE_FETCHING);
    withdraw(m, 1, 0);
    run(m, SEC);
    mesh_let_go(m, 1);
    run(m, 10 * SEC);
    ck_assert_int_eq(state_of(m, 1, 0), RELEASE_WITHDRAWN);
    ck_assert_uint_eq(mesh_status(m, 1).bytes_down, 0);
    mesh_free(m);
}
END_TEST

/* ---- small objects ---- */

START_TEST(sixteen_models_pass_between_two_verify_nodes)
{
    struct mesh *m = mesh_make(20, 2, 0, 1);
    m->lazy = true; /* all questions arrive before the first is answered */
    for (uint32_t i = 0; i < 2; i++)
        m->node[i].lim.images = 16;
    mesh_start(m, 0);
    for (uint32_t i = 0; i < 16; i++) {
        char model[16], version[16];
        snprintf(model, sizeof(model), "model-%u", i);
        snprintf(version, sizeof(version), "1.%u", i);
        mesh_seed(m, 0, mesh_release(m, model, version, 1, 20000 + i));
    }
    run(m, SEC);
    mesh_start(m, 1);
    mesh_know(m, 1, 0, true);
    run(m, 30 * SEC);
    for (uint32_t i = 0; i < 16; i++)
        ck_assert_int_eq(state_of(m, 1, i), RELEASE_HELD);
    ck_assert_uint_eq(m->delivered[MSG_bye], 0);
    mesh_free(m);
}
END_TEST

START_TEST(where_every_place_has_a_model_its_next_release_takes_it)
{
    struct mesh *m = mesh_make(26, 2, 0, 1);
    for (uint32_t i = 0; i < 2; i++) {
        m->node[i].lim.images = 2;
        mesh_start(m, i);
    }
    mesh_know(m, 1, 0, true);
    uint32_t a = mesh_release(m, "model-a", "1.0", 1, 20000);
    uint32_t b = mesh_release(m, "model-b", "1.1", 1, 20001);
    uint32_t next = mesh_release(m, "model-a", "2.0", 2, 20002);
    mesh_seed(m, 0, a);
    mesh_seed(m, 0, b);
    run(m, 10 * SEC);
    ck_assert_int_eq(state_of(m, 1, b), RELEASE_HELD);
    mesh_seed(m, 0, next);
    run(m, 10 * SEC);
    for (uint32_t i = 0; i < 2; i++) {
        ck_assert_int_eq(state_of(m, i, next), RELEASE_HELD);
        ck_assert_int_eq(state_of(m, i, b), RELEASE_HELD);
        ck_assert_int_eq(state_of(m, i, a), RELEASE_NONE);
    }
    mesh_free(m);
}
END_TEST

/* Node 0 answers every question for an object with bytes that are none. */
static bool garble(struct mesh *m, uint32_t from, uint32_t to, const struct wire_msg *msg)
{
    if (msg->id != MSG_get || to != 0)
        return true;
    struct wire_msg data = message(MSG_data);
    data.data.kind = msg->get.kind;
    data.data.number = msg->get.number;
    memcpy(data.data.id, msg->get.id, 32);
    mesh_message(m, to, from, &data, "garbage", 7);
    return false;
}

START_TEST(after_a_garbled_manifest_another_link_is_asked)
{
    struct mesh *m = mesh_make(21, 2, 1, 1);
    uint32_t one = mesh_release(m, NULL, "1.0", 1, SIZE);
    mesh_start(m, 0);
    mesh_start(m, 1);
    mesh_start(m, 2);
    mesh_know(m, 2, 0, true);
    mesh_know(m, 2, 1, true);
    run(m, SEC);
    m->filter = garble;
    m->lazy = true; /* both offers are there before the first is followed */
    mesh_seed(m, 0, one);
    mesh_seed(m, 1, one);
    run(m, 5 * SEC);
    ck_assert_uint_ge(m->delivered[MSG_get], 2);
    ck_assert_int_eq(state_of(m, 2, one), RELEASE_HELD);
    mesh_free(m);
}
END_TEST

/* Node 0 answers no question for an object. */
static bool mute(struct mesh *m, uint32_t from, uint32_t to, const struct wire_msg *msg)
{
    (void)m;
    (void)from;
    return msg->id != MSG_get || to != 0;
}

START_TEST(a_stop_that_one_link_does_not_give_is_asked_of_another)
{
    struct mesh *m = mesh_make(22, 2, 1, 1);
    uint32_t one = mesh_release(m, NULL, "1.0", 1, SIZE);
    for (uint32_t i = 0; i < 2; i++) {
        mesh_start(m, i);
        mesh_seed(m, i, one);
    }
    device_up(m, 2);
    run(m, 20 * SEC);
    ck_assert_int_eq(state_of(m, 2, one), RELEASE_HELD);
    mesh_kill(m, 2);
    withdraw(m, 0, one);
    withdraw(m, 1, one);
    run(m, SEC);
    m->filter = mute;
    device_up(m, 2);
    run(m, SEC);
    mesh_know(m, 2, 1, true);
    run(m, 20 * SEC);
    ck_assert_int_eq(state_of(m, 2, one), RELEASE_WITHDRAWN);
    mesh_free(m);
}
END_TEST

START_TEST(a_list_of_the_next_root_is_asked_for_after_that_root)
{
    struct mesh *m = mesh_make(23, 1, 2, 1);
    uint8_t list[4096];
    mesh_start(m, 0);
    device_up(m, 1);
    run(m, SEC);
    size_t at = mesh_rotate(m);
    struct event ev = {0};
    ev.order.what = ORDER_TRUST;
    ev.order.data = bytes_of(m->chain + at, m->chain_len - at);
    ev.order.data2 = bytes_of(list, mesh_revoke(m, 2, 1, list, sizeof(list)));
    mesh_order(m, 0, &ev); /* one `state` tells of both */
    run(m, 5 * SEC);
    ck_assert_uint_eq(mesh_status(m, 1).root_version, 2);
    ck_assert_uint_eq(mesh_status(m, 1).revocation_version, 1);
    mesh_free(m);
}
END_TEST

/* ---- installing, and what power cuts leave ---- */

/* Device 1 has fetched release 0 and its installer was started; it answers with code (< 0: not). */
static struct mesh *installing(uint32_t devices, int32_t code, bool confirm)
{
    struct mesh *m = fleet(devices, SIZE);
    m->node[1].conf.install = true;
    m->node[1].conf.confirm_on_install = confirm;
    m->node[1].install_exit = code;
    struct digest old = other_digest(0x44);
    device_up(m, 1);
    mesh_current(m, 1, "0.9", &old, 0);
    run(m, 30 * SEC);
    ck_assert_uint_eq(m->node[1].installs, 1);
    return m;
}

static void boots(struct mesh *m, uint32_t node, uint8_t fill, uint64_t sequence)
{
    struct digest runs = other_digest(fill);
    mesh_kill(m, node);
    device_up(m, node);
    mesh_current(m, node, "0.9", &runs, sequence);
}

START_TEST(rot_in_a_rejected_image_does_not_bring_it_back)
{
    struct mesh *m = installing(2, 0, false);
    order(m, 1, ORDER_REJECT);
    m->node[1].store[0].data[3 * BLOCK_LEN + 5] ^= 0x40;
    mesh_kill(m, 0);
    mesh_start(m, 2);
    mesh_know(m, 2, 1, false);
    run(m, 30 * SEC);
    struct node_image_status st;
    ck_assert_int_eq(mesh_state(m, 1, 0, &st), RELEASE_REJECTED);
    ck_assert_uint_eq(st.pieces_have, st.geo.pieces - 1);
    mesh_start(m, 0);
    mesh_know(m, 1, 0, true);
    run(m, 300 * SEC);
    ck_assert_int_eq(state_of(m, 1, 0), RELEASE_REJECTED);
    ck_assert_uint_eq(m->node[1].installs, 1);
    mesh_free(m);
}
END_TEST

START_TEST(rot_in_what_waits_for_confirm_does_not_lose_the_confirm)
{
    struct mesh *m = installing(2, 0, false);
    m->node[1].store[0].data[3 * BLOCK_LEN + 5] ^= 0x40;
    mesh_start(m, 2);
    mesh_kill(m, 0);
    mesh_know(m, 2, 1, false);
    run(m, 30 * SEC);
    ck_assert_int_eq(state_of(m, 1, 0), RELEASE_PENDING);
    order(m, 1, ORDER_CONFIRM);
    ck_assert_uint_eq(mesh_status(m, 1).floor_sequence, 1);
    mesh_free(m);
}
END_TEST

START_TEST(a_failed_installation_is_tried_again_after_a_restart)
{
    struct mesh *m = installing(1, 1, false);
    ck_assert_int_eq(state_of(m, 1, 0), RELEASE_FAILED);
    boots(m, 1, 0x44, 0);
    run(m, 30 * SEC);
    ck_assert_uint_eq(m->node[1].installs, 1); /* not at once */
    run(m, 600 * SEC);
    ck_assert_uint_ge(m->node[1].installs, 2);
    mesh_free(m);
}
END_TEST

START_TEST(an_installer_that_takes_the_power_away_is_not_looped_hot)
{
    struct mesh *m = installing(1, -1, false);
    for (int i = 0; i < 20; i++) {
        boots(m, 1, 0x44, 0);
        run(m, 60 * SEC);
    }
    ck_assert_uint_le(m->node[1].installs, 6);
    run(m, 24 * 3600 * SEC);
    ck_assert_uint_ge(m->node[1].installs, 2);
    mesh_free(m);
}
END_TEST

START_TEST(a_newer_release_that_came_during_an_installation_is_installed_after_it)
{
    struct mesh *m = installing(1, -1, false);
    uint32_t two = mesh_release(m, NULL, "2.0", 2, SIZE);
    mesh_seed(m, 0, two);
    run(m, 60 * SEC);
    ck_assert_int_eq(state_of(m, 1, two), RELEASE_HELD);
    struct event ev = {0};
    ev.order.what = ORDER_INSTALLED;
    ev.order.slot = m->node[1].install_slot;
    ev.order.code = 1;
    mesh_order(m, 1, &ev);
    run(m, 70 * SEC);
    ck_assert_int_eq(state_of(m, 1, two), RELEASE_INSTALLING);
    mesh_free(m);
}
END_TEST

START_TEST(what_runs_already_is_not_fetched_after_a_restart)
{
    struct mesh *m = fleet(1, SIZE);
    device_up(m, 1);
    mesh_current(m, 1, "1.0", &m->release[0].m.digest, 0);
    run(m, 10 * SEC);
    ck_assert_int_eq(state_of(m, 1, 0), RELEASE_KNOWN);
    mesh_kill(m, 1);
    device_up(m, 1);
    run(m, 10 * SEC); /* hashing what runs takes a while */
    mesh_current(m, 1, "1.0", &m->release[0].m.digest, 0);
    run(m, 10 * SEC);
    ck_assert_int_eq(state_of(m, 1, 0), RELEASE_KNOWN);
    ck_assert_uint_eq(mesh_status(m, 1).bytes_down, 0);
    mesh_kill(m, 1);
    device_up(m, 1);
    struct digest other = other_digest(0x44);
    mesh_current(m, 1, "0.9", &other, 0);
    run(m, 10 * SEC);
    ck_assert_int_eq(state_of(m, 1, 0), RELEASE_HELD);
    mesh_free(m);
}
END_TEST

START_TEST(fetching_ends_when_the_device_says_that_it_runs_just_that)
{
    struct mesh *m = fleet(1, SIZE);
    m->node[1].conf.down_rate = 20000;
    device_up(m, 1);
    run(m, 10 * SEC);
    ck_assert_int_eq(state_of(m, 1, 0), RELEASE_FETCHING);
    mesh_current(m, 1, "1.0", &m->release[0].m.digest, 0);
    run(m, 100 * SEC);
    ck_assert_int_eq(state_of(m, 1, 0), RELEASE_KNOWN);
    ck_assert_uint_le(mesh_status(m, 1).bytes_down, SIZE / 2);
    mesh_free(m);
}
END_TEST

START_TEST(nothing_is_installed_before_the_device_said_what_runs)
{
    struct mesh *m = fleet(1, SIZE);
    m->node[1].conf.install = true;
    device_up(m, 1);
    run(m, 120 * SEC);
    ck_assert_int_eq(state_of(m, 1, 0), RELEASE_ASKING);
    struct digest newer = other_digest(0x33);
    mesh_current(m, 1, "3.0", &newer, 3); /* somebody flashed it by hand */
    run(m, 1000 * SEC);
    ck_assert_uint_eq(m->node[1].installs, 0);
    mesh_free(m);
}
END_TEST

START_TEST(what_was_confirmed_and_then_changed_is_installed_again)
{
    struct mesh *m = installing(1, 0, true);
    struct digest bad = other_digest(0x66);
    mesh_current(m, 1, "1.0", &m->release[0].m.digest, 0);
    run(m, SEC);
    ck_assert_int_eq(state_of(m, 1, 0), RELEASE_CONFIRMED);
    for (int i = 0; i < 100; i++) {
        mesh_current(m, 1, "1.0", &bad, 0); /* and whatever changes it does so again */
        run(m, 60 * SEC);
    }
    ck_assert(mesh_status(m, 1).current_mismatch);
    ck_assert_uint_ge(m->node[1].installs, 3);
    ck_assert_uint_le(m->node[1].installs, 8);
    mesh_current(m, 1, "1.0", &m->release[0].m.digest, 0);
    run(m, 24 * 3600 * SEC);
    ck_assert(!mesh_status(m, 1).current_mismatch);
    ck_assert_uint_le(m->node[1].installs, 8);
    mesh_free(m);
}
END_TEST

START_TEST(a_version_without_a_digest_is_no_tampering)
{
    struct mesh *m = fleet(1, SIZE);
    struct digest none = other_digest(0);
    device_up(m, 1);
    mesh_current(m, 1, "1.0", &none, 0);
    run(m, 20 * SEC);
    ck_assert(!mesh_status(m, 1).current_mismatch);
    mesh_free(m);
}
END_TEST

START_TEST(a_rejection_outlives_a_newer_release)
{
    struct mesh *m = installing(1, 0, false);
    order(m, 1, ORDER_REJECT);
    uint32_t two = mesh_release(m, NULL, "2.0", 2, SIZE);
    m->node[1].install_exit = -1;
    mesh_seed(m, 0, two);
    run(m, 60 * SEC);
    ck_assert_uint_eq(m->node[1].installs, 2);
    withdraw(m, 0, two);
    run(m, 300 * SEC);
    ck_assert_int_eq(state_of(m, 1, two), RELEASE_WITHDRAWN);
    ck_assert_int_eq(state_of(m, 1, 0), RELEASE_REJECTED);
    ck_assert_uint_eq(m->node[1].installs, 2);
    mesh_free(m);
}
END_TEST

START_TEST(storage_that_refuses_for_good_is_tried_again_in_peace)
{
    struct mesh *m = fleet(1, SIZE);
    m->node[1].fail_open = true;
    m->node[1].fail_err = _i == 0 ? E_LIMIT : E_RANGE;
    device_up(m, 1);
    run(m, 300 * SEC);
    struct node_image_status st;
    ck_assert_int_eq(mesh_state(m, 1, 0, &st), RELEASE_REFUSED);
    ck_assert_int_eq(st.err, m->node[1].fail_err);
    m->node[1].fail_open = false;
    run(m, 100 * SEC);
    ck_assert_int_eq(state_of(m, 1, 0), RELEASE_HELD);
    mesh_free(m);
}
END_TEST

START_TEST(bytes_of_a_withdrawn_image_go_at_the_next_start_at_the_latest)
{
    struct mesh *m = fleet(1, SIZE);
    device_up(m, 1);
    run(m, 20 * SEC);
    withdraw(m, 1, 0);
    run(m, SEC);
    mesh_kill(m, 1);
    m->node[1].store[0].used = true; /* power went before they were removed */
    device_up(m, 1);
    run(m, SEC);
    ck_assert(!m->node[1].store[0].used);
    mesh_free(m);
}
END_TEST

START_TEST(answers_count_in_the_first_minutes_of_a_clock)
{
    struct mesh *m = fleet(1, SIZE);
    m->now = SEC;
    mesh_kill(m, 0);
    mesh_start(m, 0);
    device_up(m, 1);
    run(m, 5 * SEC);
    ck_assert_uint_ne(mesh_status(m, 1).fresh_at, 0);
    mesh_free(m);
}
END_TEST

START_TEST(one_image_of_two_models_is_two_releases)
{
    struct mesh *m = mesh_make(24, 1, 0, 1);
    uint32_t a = mesh_release(m, "model-a", "1.0", 1, SIZE);
    uint32_t b = mesh_release(m, "model-b", "1.0", 1, SIZE);
    mesh_start(m, 0);
    mesh_seed(m, 0, a);
    run(m, SEC);
    mesh_seed(m, 0, b);
    run(m, SEC);
    ck_assert_int_eq(state_of(m, 0, a), RELEASE_HELD);
    ck_assert_int_ne(state_of(m, 0, b), RELEASE_NONE);
    mesh_free(m);
}
END_TEST

/* ---- what is lost, and who keeps others waiting ---- */

START_TEST(a_link_without_credit_does_not_make_the_host_spin)
{
    struct mesh *m = fleet(2, SIZE);
    m->node[1].conf.down_rate = 100000;
    device_up(m, 1);
    mesh_start(m, 2);
    mesh_know(m, 2, 1, false);
    run(m, SEC);
    m->node[1].stalled = 3; /* node 2 reads nothing more, and asks and asks */
    for (uint32_t i = 0; i < 5000; i++) {
        struct wire_msg ask = message(MSG_want_peers);
        memcpy(ask.want_peers.manifest, m->release[0].m.id.b, 32);
        ask.want_peers.count = 50;
        mesh_message(m, 2, 1, &ask, NULL, 0);
    }
    uint64_t turns = m->turns;
    run(m, 15 * SEC); /* pieces are gained all the while, and cannot be told */
    struct node_image_status st;
    ck_assert_int_ne(mesh_state(m, 1, 0, &st), RELEASE_NONE);
    ck_assert_uint_gt(st.pieces_have, 20);
    ck_assert_uint_le(m->turns - turns, 1000);
    mesh_free(m);
}
END_TEST

START_TEST(a_neighbour_that_does_not_read_keeps_nobody_waiting)
{
    struct mesh *m = fleet(2, SIZE);
    device_up(m, 1);
    m->node[0].stalled = 2;
    run(m, SEC);
    device_up(m, 2);
    run(m, 15 * SEC);
    ck_assert_int_eq(state_of(m, 2, 0), RELEASE_HELD);
    mesh_free(m);
}
END_TEST

static bool reject_all(struct mesh *m, uint32_t from, uint32_t to, const struct wire_msg *msg)
{
    if (msg->id != MSG_request || to != 0)
        return true;
    struct wire_msg no = message(MSG_reject);
    no.reject.piece = msg->request.piece;
    no.reject.begin = msg->request.begin;
    no.reject.length = msg->request.length;
    mesh_message(m, to, from, &no, NULL, 0);
    return false;
}

START_TEST(rejects_are_not_answered_with_requests_without_end)
{
    struct mesh *m = fleet(1, SIZE);
    m->filter = reject_all;
    device_up(m, 1);
    run(m, 20 * SEC);
    ck_assert_uint_ge(m->delivered[MSG_request], 20);
    ck_assert_uint_le(m->delivered[MSG_request], 200);
    m->filter = NULL;
    run(m, 20 * SEC);
    ck_assert_int_eq(state_of(m, 1, 0), RELEASE_HELD);
    mesh_free(m);
}
END_TEST

START_TEST(greetings_that_cross_a_reopening_do_no_harm)
{
    struct mesh *m = fleet(1, SIZE);
    m->node[1].conf.down_rate = 100000;
    device_up(m, 1);
    run(m, SEC);
    struct wire_msg none = message(MSG_have_none), all = message(MSG_have_all);
    struct wire_msg have = message(MSG_have);
    for (uint32_t i = 0; i < 4; i++) {
        mesh_message(m, 0, 1, &none, NULL, 0);
        mesh_message(m, 0, 1, &have, NULL, 0);
        mesh_message(m, 0, 1, &all, NULL, 0);
    }
    run(m, 60 * SEC);
    ck_assert_uint_eq(m->delivered[MSG_bye], 0);
    ck_assert_int_eq(state_of(m, 1, 0), RELEASE_HELD);
    mesh_free(m);
}
END_TEST

START_TEST(a_ban_that_ended_does_not_come_back_with_a_restart)
{
    struct mesh *m = fleet(2, SIZE);
    device_up(m, 1);
    run(m, 30 * SEC);
    m->node[1].corrupt = true;
    mesh_kill(m, 0);
    mesh_start(m, 2);
    mesh_know(m, 2, 1, false);
    run(m, 30 * SEC);
    ck_assert_uint_eq(mesh_status(m, 2).bans, 1);
    mesh_kill(m, 2);
    mesh_start(m, 2);
    ck_assert_uint_eq(mesh_status(m, 2).bans, 1);
    m->node[1].corrupt = false;
    mesh_know(m, 2, 1, false); /* something to do now and then */
    run(m, 25 * 3600 * SEC);
    mesh_kill(m, 2);
    mesh_start(m, 2);
    ck_assert_uint_eq(mesh_status(m, 2).bans, 0);
    mesh_free(m);
}
END_TEST

/* ---- what a new root changes ---- */

static void trust_next(struct mesh *m, uint32_t node)
{
    size_t at = mesh_rotate(m);
    order_bytes(m, node, ORDER_TRUST, m->chain + at, m->chain_len - at);
}

START_TEST(a_release_whose_signer_the_root_dropped_is_not_installed_or_served)
{
    struct mesh *m = fleet(1, SIZE);
    m->node[1].conf.install = true;
    device_up(m, 1); /* it has not said yet what runs */
    run(m, 10 * SEC);
    ck_assert_int_eq(state_of(m, 1, 0), RELEASE_ASKING);
    uint64_t moved = mesh_status(m, 1).bytes_down;
    m->release_key[0] = m->root_key[1];
    m->root.release.key[0] = m->root_key[1].pub;
    trust_next(m, 0);
    run(m, 5 * SEC);
    struct node_image_status st;
    ck_assert_uint_eq(mesh_status(m, 1).root_version, 2);
    ck_assert_int_eq(mesh_state(m, 1, 0, &st), RELEASE_REFUSED);
    ck_assert_int_eq(st.err, E_THRESHOLD);
    runs_factory(m, 1);
    run(m, 300 * SEC);
    ck_assert_uint_eq(m->node[1].installs, 0);
    uint32_t again = mesh_release_again(m, 0, "1.0-again", 1);
    mesh_seed(m, 0, again);
    run(m, 100 * SEC);
    ck_assert_uint_eq(m->node[1].installs, 1);
    ck_assert_int_eq(state_of(m, 1, again), RELEASE_INSTALLING);
    (void)moved;
    mesh_free(m);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("node_faults");
    TCase *t = tcase_create("node_faults");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, two_images_with_nothing_to_ask_for_do_not_take_turns_in_selecting);
    tcase_add_test(t, a_release_withdrawn_while_its_storage_opens_stays_withdrawn);
    tcase_add_test(t, sixteen_models_pass_between_two_verify_nodes);
    tcase_add_test(t, where_every_place_has_a_model_its_next_release_takes_it);
    tcase_add_test(t, after_a_garbled_manifest_another_link_is_asked);
    tcase_add_test(t, a_stop_that_one_link_does_not_give_is_asked_of_another);
    tcase_add_test(t, a_list_of_the_next_root_is_asked_for_after_that_root);
    tcase_add_test(t, rot_in_a_rejected_image_does_not_bring_it_back);
    tcase_add_test(t, rot_in_what_waits_for_confirm_does_not_lose_the_confirm);
    tcase_add_test(t, a_failed_installation_is_tried_again_after_a_restart);
    tcase_add_test(t, an_installer_that_takes_the_power_away_is_not_looped_hot);
    tcase_add_test(t, a_newer_release_that_came_during_an_installation_is_installed_after_it);
    tcase_add_test(t, what_runs_already_is_not_fetched_after_a_restart);
    tcase_add_test(t, fetching_ends_when_the_device_says_that_it_runs_just_that);
    tcase_add_test(t, nothing_is_installed_before_the_device_said_what_runs);
    tcase_add_test(t, what_was_confirmed_and_then_changed_is_installed_again);
    tcase_add_test(t, a_version_without_a_digest_is_no_tampering);
    tcase_add_test(t, a_rejection_outlives_a_newer_release);
    tcase_add_loop_test(t, storage_that_refuses_for_good_is_tried_again_in_peace, 0, 2);
    tcase_add_test(t, bytes_of_a_withdrawn_image_go_at_the_next_start_at_the_latest);
    tcase_add_test(t, answers_count_in_the_first_minutes_of_a_clock);
    tcase_add_test(t, one_image_of_two_models_is_two_releases);
    tcase_add_test(t, a_link_without_credit_does_not_make_the_host_spin);
    tcase_add_test(t, a_neighbour_that_does_not_read_keeps_nobody_waiting);
    tcase_add_test(t, rejects_are_not_answered_with_requests_without_end);
    tcase_add_test(t, greetings_that_cross_a_reopening_do_no_harm);
    tcase_add_test(t, a_ban_that_ended_does_not_come_back_with_a_restart);
    tcase_add_test(t, a_release_whose_signer_the_root_dropped_is_not_installed_or_served);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? 0 : 1;
}
