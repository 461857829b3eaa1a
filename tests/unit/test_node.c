/* The node, a few at a time: every rule of the version check, of releases and of the exchange that
 * can be told without a network. */
#include "mesh.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define MIB  ((uint64_t)1 << 20)
#define SIZE (MIB + 12345)

static struct digest other_digest(uint8_t fill)
{
    struct digest d;
    memset(d.b, fill, sizeof(d.b));
    return d;
}

/* One verify node that holds release `version`, and devices that know it. Nothing has run yet. */
static struct mesh *fleet(uint32_t devices, uint64_t size)
{
    struct mesh *m = mesh_make(7, 1, devices, 1);
    mesh_release(m, NULL, "1.0", 1, size);
    mesh_start(m, 0);
    mesh_seed(m, 0, 0);
    return m;
}

static void device_up(struct mesh *m, uint32_t node)
{
    mesh_start(m, node);
    mesh_know(m, node, 0, true);
}

/* ---- the five cases ---- */

START_TEST(case_1_1_same_version_digest_agrees)
{
    struct mesh *m = fleet(1, SIZE);
    device_up(m, 1);
    mesh_current(m, 1, "1.0", &m->release[0].m.digest, 0);
    mesh_run(m, m->now + 5 * SEC);
    ck_assert_uint_ge(mesh_status(m, 0).cases[0], 1);
    ck_assert_uint_ge(mesh_status(m, 1).cases[0], 1);
    ck_assert_uint_eq(mesh_status(m, 0).mismatches, 0);
    ck_assert(!mesh_status(m, 1).current_mismatch);
    ck_assert_uint_eq(mesh_status(m, 1).bytes_down, 0);
    mesh_free(m);
}
END_TEST

START_TEST(case_1_1_same_version_digest_differs_is_fetched_again)
{
    struct mesh *m = fleet(1, SIZE);
    struct digest bad = other_digest(0x66);
    m->node[1].conf.install = true;
    device_up(m, 1);
    mesh_current(m, 1, "1.0", &bad, 0);
    mesh_run(m, m->now + 120 * SEC);
    ck_assert_uint_ge(mesh_status(m, 0).mismatches, 1);
    ck_assert_uint_ge(mesh_status(m, 1).mismatches, 1);
    ck_assert(mesh_status(m, 1).current_mismatch);
    ck_assert_uint_eq(m->node[1].held, 1);
    ck_assert_uint_eq(m->node[1].installs, 1);
    mesh_free(m);
}
END_TEST

START_TEST(case_1_2_older_asker_fetches)
{
    struct mesh *m = fleet(1, SIZE);
    struct digest old = other_digest(0x11);
    device_up(m, 1);
    mesh_current(m, 1, "0.9", &old, 0);
    mesh_run(m, m->now + 20 * SEC);
    struct node_image_status st;
    ck_assert_int_eq(mesh_state(m, 1, 0, &st), RELEASE_HELD);
    ck_assert_uint_ge(mesh_status(m, 0).cases[1], 1);
    ck_assert_uint_ge(mesh_status(m, 1).cases[1], 1);
    ck_assert_uint_eq(st.bytes_origin, SIZE);
    ck_assert_uint_eq(st.bytes_wasted, 0);
    ck_assert_int_eq(memcmp(m->node[1].store[0].data, m->release[0].image, SIZE), 0);
    mesh_free(m);
}
END_TEST

/* Two devices and no verify node: the first holds and runs the release. */
static struct mesh *pair(void)
{
    struct mesh *m = mesh_make(9, 1, 2, 1);
    mesh_release(m, NULL, "1.0", 1, SIZE);
    mesh_start(m, 1);
    mesh_seed(m, 1, 0);
    mesh_run(m, m->now + SEC);
    mesh_current(m, 1, "1.0", &m->release[0].m.digest, 0);
    mesh_run(m, m->now + SEC);
    mesh_start(m, 2);
    return m;
}

START_TEST(case_2_1_newer_asker_teaches_the_answerer)
{
    struct mesh *m = pair();
    mesh_know(m, 1, 2, false); /* the newer one dials and asks */
    mesh_run(m, m->now + 20 * SEC);
    ck_assert_uint_ge(mesh_status(m, 2).cases[2], 1);
    ck_assert_int_eq(mesh_state(m, 2, 0, NULL), RELEASE_HELD);
    mesh_free(m);
}
END_TEST

START_TEST(case_2_2_same_version_is_a_joint_verification)
{
    struct mesh *m = pair();
    mesh_current(m, 2, "1.0", &m->release[0].m.digest, 0);
    mesh_know(m, 2, 1, false);
    mesh_run(m, m->now + 20 * SEC);
    mesh_current(m, 2, "1.0", &m->release[0].m.digest, 0); /* asks again, now that both hold it */
    mesh_run(m, m->now + 20 * SEC);
    ck_assert_uint_ge(mesh_status(m, 1).cases[3], 1);
    ck_assert_uint_ge(mesh_status(m, 2).cases[3], 1);
    ck_assert_uint_ge(mesh_status(m, 1).verified_jointly, 1);
    ck_assert_uint_ge(mesh_status(m, 2).verified_jointly, 1);
    ck_assert_uint_ge(m->delivered[MSG_agree], 1);
    mesh_free(m);
}
END_TEST

START_TEST(case_2_3_older_asker_learns_from_a_device)
{
    struct mesh *m = pair();
    struct digest old = other_digest(0x22);
    mesh_current(m, 2, "0.9", &old, 0);
    mesh_know(m, 2, 1, false);
    mesh_run(m, m->now + 20 * SEC);
    struct node_image_status st;
    ck_assert_uint_ge(mesh_status(m, 2).cases[4], 1);
    ck_assert_uint_ge(mesh_status(m, 1).cases[4], 1);
    ck_assert_int_eq(mesh_state(m, 2, 0, &st), RELEASE_HELD);
    ck_assert_uint_eq(st.bytes_peer, SIZE);
    ck_assert_uint_eq(st.bytes_origin, 0);
    mesh_free(m);
}
END_TEST

static bool forge_answers(struct mesh *m, uint32_t from, uint32_t to, const struct wire_msg *msg)
{
    (void)from;
    (void)to;
    (void)m;
    if (msg->id == MSG_answer)
        ((struct wire_msg *)(uintptr_t)msg)->answer.sequence++;
    return true;
}

START_TEST(an_answer_that_was_changed_closes_the_link)
{
    struct mesh *m = fleet(1, SIZE);
    m->filter = forge_answers;
    device_up(m, 1);
    mesh_run(m, m->now + SEC);
    ck_assert_uint_ge(m->delivered[MSG_bye], 1);
    ck_assert(!mesh_linked(m, 0, 1));
    mesh_free(m);
}
END_TEST

/* ---- order of releases ---- */

START_TEST(newer_release_supersedes_and_older_is_refused)
{
    struct mesh *m = fleet(1, SIZE);
    device_up(m, 1);
    mesh_run(m, m->now + 10 * SEC);
    uint32_t two = mesh_release(m, NULL, "2.0", 2, SIZE / 2);
    mesh_seed(m, 0, two);
    mesh_run(m, m->now + 10 * SEC);
    ck_assert_int_eq(mesh_state(m, 1, two, NULL), RELEASE_HELD);
    ck_assert_int_eq(mesh_state(m, 1, 0, NULL), RELEASE_NONE);
    struct event ev = {0};
    ev.order.what = ORDER_RELEASE;
    ev.order.data = bytes_of(m->release[0].envelope, m->release[0].envelope_len);
    mesh_order(m, 1, &ev);
    ck_assert_int_eq(mesh_state(m, 1, 0, NULL), RELEASE_NONE);
    mesh_free(m);
}
END_TEST

START_TEST(factory_device_refuses_what_is_older_than_it_runs)
{
    struct mesh *m = fleet(1, SIZE);
    struct digest running = other_digest(0x33);
    device_up(m, 1);
    mesh_current(m, 1, "5.0", &running, 5);
    mesh_run(m, m->now + 10 * SEC);
    ck_assert_int_eq(mesh_state(m, 1, 0, NULL), RELEASE_NONE);
    uint32_t six = mesh_release(m, NULL, "6.0", 6, SIZE);
    mesh_seed(m, 0, six);
    mesh_run(m, m->now + 10 * SEC);
    ck_assert_int_eq(mesh_state(m, 1, six, NULL), RELEASE_HELD);
    mesh_free(m);
}
END_TEST

START_TEST(floor_survives_restart_and_holds)
{
    struct mesh *m = mesh_make(3, 1, 1, 1);
    uint32_t five = mesh_release(m, NULL, "5.0", 5, SIZE);
    uint32_t four = mesh_release(m, NULL, "4.0", 4, SIZE);
    m->node[1].conf.install = m->node[1].conf.confirm_on_install = true;
    m->node[1].install_exit = 0;
    m->node[1].install_runs = true;
    mesh_start(m, 0);
    mesh_seed(m, 0, five);
    device_up(m, 1);
    mesh_run(m, m->now + 120 * SEC);
    ck_assert_int_eq(mesh_state(m, 1, five, NULL), RELEASE_CONFIRMED);
    ck_assert_uint_eq(mesh_status(m, 1).floor_sequence, 5);
    mesh_kill(m, 1);
    mesh_kill(m, 0);
    /* A verify node that lost its memory offers what is below the floor. */
    mesh_forget(m, 0);
    mesh_start(m, 0);
    mesh_seed(m, 0, four);
    mesh_run(m, m->now + SEC);
    device_up(m, 1);
    ck_assert_uint_eq(mesh_status(m, 1).floor_sequence, 5);
    mesh_run(m, m->now + 10 * SEC);
    ck_assert_int_eq(mesh_state(m, 1, four, NULL), RELEASE_NONE);
    mesh_free(m);
}
END_TEST

START_TEST(a_rotated_root_undoes_a_fast_forward)
{
    struct mesh *m = mesh_make(4, 1, 1, 1);
    uint32_t far = mesh_release(m, NULL, "9.9", UINT64_MAX, SIZE);
    mesh_start(m, 0);
    mesh_seed(m, 0, far);
    device_up(m, 1);
    mesh_run(m, m->now + 10 * SEC);
    ck_assert_int_eq(mesh_state(m, 1, far, NULL), RELEASE_HELD);
    size_t at = mesh_rotate(m);
    struct event ev = {0};
    ev.order.what = ORDER_TRUST;
    ev.order.data = bytes_of(m->chain + at, m->chain_len - at);
    mesh_order(m, 0, &ev);
    uint32_t next = mesh_release(m, NULL, "2.0", 2, SIZE);
    mesh_seed(m, 0, next);
    mesh_run(m, m->now + 20 * SEC);
    ck_assert_uint_eq(mesh_status(m, 1).root_version, 2);
    ck_assert_int_eq(mesh_state(m, 1, next, NULL), RELEASE_HELD);
    mesh_free(m);
}
END_TEST

START_TEST(two_manifests_with_one_sequence_are_not_both_taken)
{
    struct mesh *m = fleet(1, SIZE);
    uint32_t twin = mesh_release(m, NULL, "1.0b", 1, SIZE);
    device_up(m, 1);
    mesh_run(m, m->now + 10 * SEC);
    struct event ev = {0};
    ev.order.what = ORDER_RELEASE;
    ev.order.data = bytes_of(m->release[twin].envelope, m->release[twin].envelope_len);
    mesh_order(m, 1, &ev);
    ck_assert_int_eq(mesh_state(m, 1, twin, NULL), RELEASE_NONE);
    ck_assert_int_eq(mesh_state(m, 1, 0, NULL), RELEASE_HELD);
    mesh_free(m);
}
END_TEST

START_TEST(another_models_release_is_not_taken)
{
    struct mesh *m = mesh_make(5, 1, 1, 1);
    uint32_t other = mesh_release(m, "other-model", "1.0", 1, SIZE);
    mesh_start(m, 0);
    mesh_seed(m, 0, other);
    device_up(m, 1);
    mesh_run(m, m->now + 10 * SEC);
    ck_assert_int_eq(mesh_state(m, 0, other, NULL), RELEASE_HELD);
    ck_assert_int_eq(mesh_state(m, 1, other, NULL), RELEASE_NONE);
    mesh_free(m);
}
END_TEST

START_TEST(too_few_signatures_are_not_enough)
{
    struct mesh *m = mesh_make(6, 1, 1, 1); /* signs once */
    mesh_start(m, 1);
    mesh_release(m, NULL, "1.0", 1, SIZE / 4);
    m->root.release.threshold = 2; /* the next root asks for two */
    size_t at = mesh_rotate(m);
    struct event ev = {0};
    ev.order.what = ORDER_TRUST;
    ev.order.data = bytes_of(m->chain + at, m->chain_len - at);
    mesh_order(m, 1, &ev);
    ev = (struct event){0};
    ev.order.what = ORDER_RELEASE;
    ev.order.data = bytes_of(m->release[0].envelope, m->release[0].envelope_len);
    mesh_order(m, 1, &ev);
    ck_assert_int_eq(mesh_state(m, 1, 0, NULL), RELEASE_NONE);
    mesh_free(m);
}
END_TEST

/* ---- several images ---- */

START_TEST(one_link_carries_several_images)
{
    struct mesh *m = mesh_make(8, 2, 0, 1);
    uint32_t a = mesh_release(m, "model-a", "1.0", 1, SIZE);
    uint32_t b = mesh_release(m, "model-b", "1.0", 1, SIZE / 2);
    uint32_t c = mesh_release(m, "model-c", "1.0", 1, SIZE / 3);
    mesh_start(m, 0);
    mesh_seed(m, 0, a);
    mesh_seed(m, 0, b);
    mesh_seed(m, 0, c);
    mesh_start(m, 1);
    mesh_know(m, 1, 0, true);
    mesh_run(m, m->now + 20 * SEC);
    ck_assert_int_eq(mesh_state(m, 1, a, NULL), RELEASE_HELD);
    ck_assert_int_eq(mesh_state(m, 1, b, NULL), RELEASE_HELD);
    ck_assert_int_eq(mesh_state(m, 1, c, NULL), RELEASE_HELD);
    ck_assert_uint_eq(mesh_status(m, 1).links, 1);
    mesh_free(m);
}
END_TEST

START_TEST(sizes_around_a_block)
{
    static const uint64_t sizes[] = {1, 16383, 16384, 16385, 100000};
    struct mesh *m = fleet(1, sizes[_i]);
    device_up(m, 1);
    mesh_run(m, m->now + 10 * SEC);
    ck_assert_int_eq(mesh_state(m, 1, 0, NULL), RELEASE_HELD);
    ck_assert_int_eq(memcmp(m->node[1].store[0].data, m->release[0].image, sizes[_i]), 0);
    mesh_free(m);
}
END_TEST

START_TEST(an_image_beyond_the_limits_is_refused_before_a_byte)
{
    struct mesh *m = mesh_make(7, 1, 1, 1);
    mesh_release(m, NULL, "1.0", 1, 5 * MIB); /* 320 pieces, the device has room for 256 */
    m->node[0].lim.pieces = 512;
    m->node[0].lim.open_blocks = 512;
    mesh_start(m, 0);
    mesh_seed(m, 0, 0);
    device_up(m, 1);
    mesh_run(m, m->now + 10 * SEC);
    struct node_image_status st;
    ck_assert_int_eq(mesh_state(m, 1, 0, &st), RELEASE_REFUSED);
    ck_assert_int_eq(st.err, E_LIMIT);
    ck_assert_uint_eq(mesh_status(m, 1).bytes_down, 0);
    mesh_free(m);
}
END_TEST

/* ---- neighbours ---- */

START_TEST(devices_learn_of_each_other_and_share)
{
    struct mesh *m = fleet(6, 2 * MIB);
    for (uint32_t i = 1; i <= 6; i++)
        device_up(m, i);
    mesh_run(m, m->now + 120 * SEC);
    uint64_t peer = 0;
    for (uint32_t i = 1; i <= 6; i++) {
        struct node_image_status st;
        ck_assert_int_eq(mesh_state(m, i, 0, &st), RELEASE_HELD);
        ck_assert_uint_eq(st.bytes_origin + st.bytes_peer, 2 * MIB);
        peer += st.bytes_peer;
        ck_assert_uint_ge(mesh_status(m, i).links, 3);
    }
    ck_assert_uint_gt(peer, 0);
    mesh_free(m);
}
END_TEST

START_TEST(a_late_device_is_served_by_devices_alone)
{
    struct mesh *m = fleet(3, SIZE);
    device_up(m, 1);
    device_up(m, 2);
    mesh_run(m, m->now + 30 * SEC);
    mesh_kill(m, 0);
    m->lan = true; /* what is left is the LAN */
    m->node[1].conf.lan = m->node[2].conf.lan = m->node[3].conf.lan = true;
    mesh_kill(m, 1);
    mesh_kill(m, 2);
    mesh_start(m, 1);
    mesh_start(m, 2);
    mesh_run(m, m->now + 2000 * SEC);
    mesh_start(m, 3);
    usec at = m->now;
    mesh_run(m, m->now + 10 * SEC);
    struct node_image_status st;
    ck_assert_int_eq(mesh_state(m, 3, 0, &st), RELEASE_HELD);
    ck_assert_uint_eq(st.bytes_peer, SIZE);
    ck_assert_uint_ge(m->now, at);
    mesh_free(m);
}
END_TEST

START_TEST(lan_settles_down)
{
    struct mesh *m = fleet(8, SIZE);
    m->lan = true;
    for (uint32_t i = 1; i <= 8; i++) {
        m->node[i].conf.lan = true;
        device_up(m, i);
    }
    mesh_run(m, m->now + 4000 * SEC);
    uint32_t before = 0, after = 0;
    for (uint32_t i = 1; i <= 8; i++)
        before += m->node[i].casts;
    mesh_run(m, m->now + 5120 * SEC); /* ten longest intervals */
    for (uint32_t i = 1; i <= 8; i++)
        after += m->node[i].casts;
    ck_assert_uint_gt(before, 0);
    ck_assert_uint_le(after - before, 10 * 8); /* k = 2, eight nodes, with room for chance */
    mesh_free(m);
}
END_TEST

START_TEST(garbage_costs_one_block_and_the_name)
{
    struct mesh *m = fleet(2, SIZE);
    device_up(m, 1);
    mesh_run(m, m->now + 30 * SEC);
    ck_assert_int_eq(mesh_state(m, 1, 0, NULL), RELEASE_HELD);
    m->node[1].corrupt = true;
    mesh_kill(m, 0);
    mesh_start(m, 2);
    mesh_know(m, 2, 1, false);
    mesh_run(m, m->now + 60 * SEC);
    struct node_image_status st;
    ck_assert_int_eq(mesh_state(m, 2, 0, &st), RELEASE_FETCHING);
    ck_assert_uint_eq(mesh_status(m, 2).bans, 1);
    ck_assert(!mesh_linked(m, 1, 2));
    ck_assert_uint_eq(st.bytes_peer, 0);
    ck_assert_uint_le(st.bytes_wasted, 4 * BLOCK_LEN); /* the asks that were on their way */
    mesh_start(m, 0);
    mesh_know(m, 2, 0, true);
    mesh_run(m, m->now + 60 * SEC);
    ck_assert_int_eq(mesh_state(m, 2, 0, &st), RELEASE_HELD);
    mesh_free(m);
}
END_TEST

START_TEST(bit_rot_is_told_checked_and_withdrawn)
{
    struct mesh *m = fleet(2, SIZE);
    device_up(m, 1);
    mesh_run(m, m->now + 30 * SEC);
    m->node[1].store[0].data[3 * BLOCK_LEN + 5] ^= 0x40;
    mesh_kill(m, 0);
    mesh_start(m, 2);
    mesh_know(m, 2, 1, false);
    mesh_run(m, m->now + 30 * SEC);
    struct node_image_status st;
    mesh_state(m, 1, 0, &st);
    ck_assert_uint_eq(st.pieces_have, st.geo.pieces - 1);
    mesh_free(m);
}
END_TEST

START_TEST(false_accusations_cost_the_link)
{
    struct mesh *m = fleet(1, SIZE);
    device_up(m, 1);
    mesh_run(m, m->now + 30 * SEC);
    struct node_image_status st;
    struct wire_msg sel = {.id = MSG_select};
    sel.select.slot = 0;
    mesh_message(m, 1, 0, &sel, NULL, 0);
    for (uint32_t i = 0; i < 2; i++) {
        struct wire_msg bad = {.id = MSG_bad_block};
        bad.bad_block.block = 1; /* a block that was sent, and is good; then the same again */
        mesh_message(m, 1, 0, &bad, NULL, 0);
        bad.bad_block.block = 900000;
        mesh_message(m, 1, 0, &bad, NULL, 0);
    }
    mesh_run(m, m->now + SEC / 10);
    ck_assert(!mesh_linked(m, 0, 1));
    mesh_state(m, 0, 0, &st);
    ck_assert_uint_eq(st.pieces_have, st.geo.pieces);
    mesh_free(m);
}
END_TEST

START_TEST(two_links_to_one_node_become_one)
{
    struct mesh *m = mesh_make(11, 1, 2, 1);
    mesh_start(m, 1);
    mesh_start(m, 2);
    mesh_know(m, 1, 2, false);
    mesh_know(m, 2, 1, false);
    mesh_run(m, m->now + 10 * SEC);
    ck_assert_uint_eq(mesh_status(m, 1).links, 1);
    ck_assert_uint_eq(mesh_status(m, 2).links, 1);
    mesh_free(m);
}
END_TEST

START_TEST(messages_out_of_order_close_by_name)
{
    struct mesh *m = fleet(1, SIZE);
    device_up(m, 1);
    mesh_run(m, m->now + 10 * SEC);
    struct wire_msg hello = {.id = MSG_hello};
    hello.hello.min = hello.hello.max = 1;
    mesh_message(m, 1, 0, &hello, NULL, 0); /* a second hello */
    mesh_run(m, m->now + SEC / 10);
    ck_assert(!mesh_linked(m, 0, 1));
    mesh_free(m);
}
END_TEST

START_TEST(requests_past_the_end_close_the_link)
{
    struct mesh *m = fleet(1, SIZE);
    device_up(m, 1);
    mesh_run(m, m->now + 10 * SEC);
    struct wire_msg sel = {.id = MSG_select};
    mesh_message(m, 1, 0, &sel, NULL, 0);
    struct wire_msg req = {.id = MSG_request};
    req.request.piece = 1u << 31;
    req.request.length = BLOCK_LEN;
    mesh_message(m, 1, 0, &req, NULL, 0);
    mesh_run(m, m->now + SEC / 10);
    ck_assert(!mesh_linked(m, 0, 1));
    mesh_free(m);
}
END_TEST

/* ---- resume ---- */

static bool stop_after(struct mesh *m, uint32_t from, uint32_t to, const struct wire_msg *msg)
{
    (void)from;
    (void)to;
    uint32_t *left = m->filter_ctx;
    if (msg->id != MSG_piece)
        return true;
    if (*left == 0)
        return false;
    (*left)--;
    return true;
}

START_TEST(a_killed_device_resumes_where_it_was)
{
    struct mesh *m = fleet(1, 2 * MIB);
    uint32_t left = 50;
    m->filter = stop_after;
    m->filter_ctx = &left;
    device_up(m, 1);
    mesh_run(m, m->now + SEC);
    struct node_image_status st;
    ck_assert_int_eq(mesh_state(m, 1, 0, &st), RELEASE_FETCHING);
    ck_assert_uint_eq(st.blocks_have, 50);
    mesh_kill(m, 1);
    m->filter = NULL;
    uint32_t before = m->node[0].sent_blocks;
    device_up(m, 1);
    mesh_run(m, m->now + 60 * SEC);
    ck_assert_int_eq(mesh_state(m, 1, 0, &st), RELEASE_HELD);
    ck_assert_uint_eq(st.bytes_resumed, 50 * BLOCK_LEN);
    ck_assert_uint_eq(st.bytes_origin, 78 * BLOCK_LEN);
    ck_assert_uint_eq(m->node[0].sent_blocks - before, 78);
    mesh_free(m);
}
END_TEST

START_TEST(a_full_disk_is_said_and_tried_again)
{
    struct mesh *m = fleet(1, SIZE);
    m->node[1].fail_open = true;
    device_up(m, 1);
    mesh_run(m, m->now + 10 * SEC);
    struct node_image_status st;
    ck_assert_int_eq(mesh_state(m, 1, 0, &st), RELEASE_REFUSED);
    ck_assert_int_eq(st.err, E_FULL);
    ck_assert_uint_eq(mesh_status(m, 1).bytes_down, 0);
    m->node[1].fail_open = false;
    m->node[1].fail_store = true; /* room at open, none while writing */
    mesh_run(m, m->now + 61 * SEC);
    ck_assert_int_eq(mesh_state(m, 1, 0, &st), RELEASE_REFUSED);
    m->node[1].fail_store = false;
    mesh_run(m, m->now + 120 * SEC);
    ck_assert_int_eq(mesh_state(m, 1, 0, &st), RELEASE_HELD);
    mesh_free(m);
}
END_TEST

/* ---- installing ---- */

static struct mesh *installing(int32_t code, bool confirm)
{
    struct mesh *m = fleet(1, SIZE);
    m->node[1].conf.install = true;
    m->node[1].conf.confirm_on_install = confirm;
    m->node[1].install_exit = code;
    m->node[1].install_runs = code == 0;
    struct digest old = other_digest(0x44);
    device_up(m, 1);
    mesh_current(m, 1, "0.9", &old, 0);
    mesh_run(m, m->now + 70 * SEC);
    return m;
}

static void order(struct mesh *m, uint32_t node, enum order what)
{
    struct event ev = {0};
    ev.order.what = what;
    mesh_order(m, node, &ev);
}

START_TEST(exit_0_waits_for_confirm_which_raises_the_floor)
{
    struct mesh *m = installing(0, false);
    ck_assert_int_eq(mesh_state(m, 1, 0, NULL), RELEASE_PENDING);
    ck_assert_uint_eq(mesh_status(m, 1).floor_sequence, 0);
    order(m, 1, ORDER_CONFIRM);
    ck_assert_int_eq(mesh_state(m, 1, 0, NULL), RELEASE_CONFIRMED);
    ck_assert_uint_eq(mesh_status(m, 1).floor_sequence, 1);
    ck_assert_uint_eq(m->node[1].confirms, 1);
    mesh_free(m);
}
END_TEST

START_TEST(exit_0_with_confirm_on_install)
{
    struct mesh *m = installing(0, true);
    ck_assert_int_eq(mesh_state(m, 1, 0, NULL), RELEASE_CONFIRMED);
    ck_assert_uint_eq(mesh_status(m, 1).floor_sequence, 1);
    mesh_free(m);
}
END_TEST

START_TEST(exit_4_waits_for_the_reboot)
{
    struct mesh *m = installing(4, true);
    ck_assert_int_eq(mesh_state(m, 1, 0, NULL), RELEASE_PENDING);
    mesh_kill(m, 1);
    device_up(m, 1);
    mesh_current(m, 1, "1.0", &m->release[0].m.digest, 0);
    mesh_run(m, m->now + SEC);
    ck_assert_int_eq(mesh_state(m, 1, 0, NULL), RELEASE_CONFIRMED);
    ck_assert_uint_eq(m->node[1].installs, 1);
    mesh_free(m);
}
END_TEST

START_TEST(exit_75_tries_later)
{
    struct mesh *m = installing(75, false);
    struct node_image_status st;
    ck_assert_int_eq(mesh_state(m, 1, 0, &st), RELEASE_FAILED);
    ck_assert_int_eq(st.install_code, 75);
    ck_assert_uint_eq(m->node[1].installs, 1);
    mesh_run(m, m->now + 700 * SEC);
    ck_assert_uint_eq(m->node[1].installs, 2);
    mesh_free(m);
}
END_TEST

START_TEST(a_failing_installer_is_never_looped_hot)
{
    struct mesh *m = installing(1, false);
    mesh_run(m, m->now + 24 * 3600 * SEC);
    ck_assert_uint_ge(m->node[1].installs, 5);
    ck_assert_uint_le(m->node[1].installs, 12); /* one minute, doubling */
    mesh_free(m);
}
END_TEST

START_TEST(a_rejected_release_is_not_tried_again)
{
    struct mesh *m = installing(0, false);
    order(m, 1, ORDER_REJECT);
    ck_assert_int_eq(mesh_state(m, 1, 0, NULL), RELEASE_REJECTED);
    struct digest old = other_digest(0x44);
    mesh_current(m, 1, "0.9", &old, 0); /* the old image runs again */
    mesh_run(m, m->now + 24 * 3600 * SEC);
    ck_assert_uint_eq(m->node[1].installs, 1);
    mesh_kill(m, 1);
    device_up(m, 1);
    mesh_current(m, 1, "0.9", &old, 0);
    mesh_run(m, m->now + 3600 * SEC);
    ck_assert_int_eq(mesh_state(m, 1, 0, NULL), RELEASE_REJECTED);
    ck_assert_uint_eq(m->node[1].installs, 1);
    uint32_t two = mesh_release(m, NULL, "2.0", 2, SIZE);
    mesh_seed(m, 0, two);
    mesh_run(m, m->now + 120 * SEC);
    ck_assert_uint_eq(m->node[1].installs, 2);
    mesh_free(m);
}
END_TEST

START_TEST(a_crash_while_installing_is_resolved_by_what_runs)
{
    struct mesh *m = installing(-1, true); /* the installer never answers */
    ck_assert_int_eq(mesh_state(m, 1, 0, NULL), RELEASE_INSTALLING);
    mesh_kill(m, 1);
    device_up(m, 1);
    mesh_run(m, m->now + 300 * SEC);
    ck_assert_uint_eq(m->node[1].installs, 1); /* not blindly again: nobody said what runs */
    mesh_current(m, 1, "1.0", &m->release[0].m.digest, 0);
    mesh_run(m, m->now + SEC);
    ck_assert_int_eq(mesh_state(m, 1, 0, NULL), RELEASE_CONFIRMED);
    mesh_free(m);
}
END_TEST

START_TEST(freshness_is_asked_before_the_installer_starts)
{
    /* Four verify nodes, so f + 1 = 2; the device's first link knows only the older release. */
    struct mesh *m = mesh_make(12, 4, 1, 1);
    uint32_t one = mesh_release(m, NULL, "1.0", 1, SIZE);
    uint32_t two = mesh_release(m, NULL, "2.0", 2, SIZE);
    m->node[4].conf.install = true;
    m->node[4].install_exit = 0;
    mesh_start(m, 0);
    mesh_seed(m, 0, one);
    mesh_start(m, 1);
    mesh_seed(m, 1, two);
    mesh_run(m, m->now + SEC);
    mesh_start(m, 4);
    mesh_know(m, 4, 0, true);
    mesh_run(m, m->now + 20 * SEC);
    ck_assert_int_eq(mesh_state(m, 4, one, NULL), RELEASE_ASKING);
    ck_assert_uint_eq(m->node[4].installs, 0);
    mesh_know(m, 4, 1, true);
    mesh_run(m, m->now + 20 * SEC);
    ck_assert_int_eq(mesh_state(m, 4, two, NULL), RELEASE_PENDING);
    ck_assert_uint_eq(m->node[4].installs, 1);
    ck_assert_int_ne(mesh_state(m, 4, one, NULL), RELEASE_PENDING);
    mesh_free(m);
}
END_TEST

START_TEST(one_verify_node_that_answers_twice_is_one)
{
    struct mesh *m = mesh_make(15, 4, 1, 1);
    uint32_t one = mesh_release(m, NULL, "1.0", 1, SIZE);
    m->node[4].conf.install = true;
    mesh_start(m, 0);
    mesh_seed(m, 0, one);
    mesh_start(m, 4);
    mesh_know(m, 4, 0, true);
    mesh_run(m, m->now + 10 * SEC);
    for (int i = 0; i < 5; i++) {
        order(m, 4, ORDER_CHECK);
        mesh_run(m, m->now + SEC);
    }
    ck_assert_uint_ge(mesh_status(m, 4).cases[1], 4);
    ck_assert_uint_eq(mesh_status(m, 4).fresh_at, 0);
    ck_assert_uint_eq(m->node[4].installs, 0);
    mesh_free(m);
}
END_TEST

START_TEST(a_partition_is_not_served_while_the_installer_may_write)
{
    struct mesh *m = fleet(2, SIZE);
    m->node[1].conf.install = m->node[1].conf.image_in_place = true;
    device_up(m, 1);
    mesh_run(m, m->now + 30 * SEC);
    ck_assert_int_eq(mesh_state(m, 1, 0, NULL), RELEASE_INSTALLING);
    mesh_kill(m, 0);
    mesh_start(m, 2);
    mesh_know(m, 2, 1, false);
    mesh_run(m, m->now + 30 * SEC);
    ck_assert_uint_eq(m->node[1].sent_blocks, 0);
    struct event ev = {0};
    ev.order.what = ORDER_INSTALLED;
    ev.order.slot = m->node[1].install_slot;
    mesh_order(m, 1, &ev); /* done; what lies there is checked, and served again */
    mesh_run(m, m->now + 30 * SEC);
    ck_assert_uint_gt(m->node[1].sent_blocks, 0);
    ck_assert_int_eq(mesh_state(m, 2, 0, NULL), RELEASE_HELD);
    mesh_free(m);
}
END_TEST

START_TEST(freshness_gives_up_after_a_minute)
{
    struct mesh *m = mesh_make(13, 4, 1, 1);
    uint32_t one = mesh_release(m, NULL, "1.0", 1, SIZE);
    m->node[4].conf.install = true;
    mesh_start(m, 0);
    mesh_seed(m, 0, one);
    mesh_start(m, 4);
    mesh_know(m, 4, 0, true);
    mesh_run(m, m->now + 50 * SEC);
    ck_assert_uint_eq(m->node[4].installs, 0);
    mesh_run(m, m->now + 20 * SEC);
    ck_assert_uint_eq(m->node[4].installs, 1);
    mesh_free(m);
}
END_TEST

/* ---- stops and revocations ---- */

START_TEST(a_withdrawal_gossips_and_stops_everything)
{
    struct mesh *m = fleet(3, SIZE);
    for (uint32_t i = 1; i <= 2; i++)
        device_up(m, i);
    mesh_run(m, m->now + 30 * SEC);
    uint8_t buf[WITHDRAWAL_BYTES_MAX];
    size_t n = mesh_withdrawal(m, 0, buf, sizeof(buf));
    struct event ev = {0};
    ev.order.what = ORDER_WITHDRAW;
    ev.order.data = bytes_of(buf, n);
    mesh_order(m, 1, &ev); /* any node can bring it in */
    mesh_run(m, m->now + 5 * SEC);
    for (uint32_t i = 0; i <= 2; i++)
        ck_assert_int_eq(mesh_state(m, i, 0, NULL), RELEASE_WITHDRAWN);
    device_up(m, 3); /* who comes late gets nothing of it */
    mesh_run(m, m->now + 20 * SEC);
    ck_assert_int_eq(mesh_state(m, 3, 0, NULL), RELEASE_NONE);
    ck_assert_uint_eq(mesh_status(m, 3).bytes_down, 0);
    /* and it is not forgotten */
    mesh_kill(m, 2);
    device_up(m, 2);
    mesh_run(m, m->now + 10 * SEC);
    ck_assert_int_ne(mesh_state(m, 2, 0, NULL), RELEASE_HELD);
    mesh_free(m);
}
END_TEST

START_TEST(a_revoked_device_loses_its_links_at_once)
{
    struct mesh *m = fleet(2, SIZE);
    device_up(m, 1);
    device_up(m, 2);
    mesh_run(m, m->now + 30 * SEC);
    ck_assert(mesh_linked(m, 0, 1));
    uint8_t buf[4096];
    size_t n = mesh_revoke(m, m->node[1].member.index, 1, buf, sizeof(buf));
    struct event ev = {0};
    ev.order.what = ORDER_TRUST;
    ev.order.data2 = bytes_of(buf, n);
    mesh_order(m, 0, &ev);
    mesh_run(m, m->now + SEC);
    ck_assert(!mesh_linked(m, 0, 1));
    ck_assert(!mesh_linked(m, 1, 2)); /* the list gossiped to device 2 */
    ck_assert_uint_eq(mesh_status(m, 2).revocation_version, 1);
    ck_assert_uint_ge(m->node[2].trusts, 1);
    mesh_free(m);
}
END_TEST

START_TEST(a_publisher_hands_over_a_release_and_hears_that_it_is_held)
{
    struct mesh *m = mesh_make(14, 1, 1, 1);
    uint32_t one = mesh_release(m, NULL, "1.0", 1, SIZE);
    struct mesh_node *p = &m->node[1];
    p->signer = m->publisher;
    p->member =
        (struct member){.node = m->publisher.pub, .index = UINT32_MAX, .role = ROLE_PUBLISHER};
    p->conf.role = ROLE_PUBLISHER;
    p->conf.publish = true;
    p->conf.model[0] = '\0';
    p->cert_len = 0;
    mesh_start(m, 0);
    for (int twice = 0; twice < 2; twice++) {
        mesh_start(m, 1);
        mesh_seed(m, 1, one);
        mesh_know(m, 1, 0, true);
        mesh_run(m, m->now + 20 * SEC);
        ck_assert_uint_ge(p->held_at, 1u + (uint32_t)twice);
        ck_assert(digest_equal(&p->held_digest, &m->release[one].m.digest));
        ck_assert_int_eq(mesh_state(m, 0, one, NULL), RELEASE_HELD);
        ck_assert_uint_eq(mesh_status(m, 0).bytes_down, SIZE); /* the second time moves nothing */
        mesh_kill(m, 1);
        mesh_run(m, m->now + SEC);
    }
    mesh_free(m);
}
END_TEST

START_TEST(a_publisher_hands_over_withdrawals_and_revocations)
{
    struct mesh *m = mesh_make(16, 1, 2, 1);
    uint32_t one = mesh_release(m, NULL, "1.0", 1, SIZE);
    mesh_start(m, 0);
    mesh_seed(m, 0, one);
    mesh_run(m, m->now + SEC);
    struct mesh_node *p = &m->node[1];
    p->signer = m->publisher;
    p->member =
        (struct member){.node = m->publisher.pub, .index = UINT32_MAX, .role = ROLE_PUBLISHER};
    p->conf.role = ROLE_PUBLISHER;
    p->conf.publish = true;
    p->conf.model[0] = '\0';
    p->cert_len = 0;
    mesh_start(m, 1);
    uint8_t stop[WITHDRAWAL_BYTES_MAX], list[4096];
    struct event ev = {0};
    ev.order.what = ORDER_WITHDRAW;
    ev.order.data = bytes_of(stop, mesh_withdrawal(m, one, stop, sizeof(stop)));
    mesh_order(m, 1, &ev);
    ev = (struct event){0};
    ev.order.what = ORDER_TRUST;
    ev.order.data2 = bytes_of(list, mesh_revoke(m, 2, 1, list, sizeof(list)));
    mesh_order(m, 1, &ev);
    mesh_know(m, 1, 0, true);
    mesh_run(m, m->now + 5 * SEC);
    ck_assert_int_eq(mesh_state(m, 0, one, NULL), RELEASE_WITHDRAWN);
    ck_assert_uint_eq(mesh_status(m, 0).revocation_version, 1);
    ck_assert_uint_ge(p->stopped_at, 1);
    ck_assert_uint_ge(p->trusted_at, 1);
    mesh_free(m);
}
END_TEST

START_TEST(one_image_under_a_new_manifest_moves_no_byte)
{
    struct mesh *m = fleet(1, SIZE);
    m->node[1].conf.install = m->node[1].conf.confirm_on_install = true;
    m->node[1].install_exit = 0;
    m->node[1].install_runs = true;
    device_up(m, 1);
    mesh_run(m, m->now + 120 * SEC);
    ck_assert_int_eq(mesh_state(m, 1, 0, NULL), RELEASE_CONFIRMED);
    uint64_t moved = mesh_status(m, 1).bytes_down;
    uint32_t again = mesh_release_again(m, 0, "1.0-resigned", 2);
    mesh_seed(m, 0, again);
    mesh_run(m, m->now + 120 * SEC);
    ck_assert_int_eq(mesh_state(m, 1, again, NULL), RELEASE_CONFIRMED);
    ck_assert_uint_eq(mesh_status(m, 1).bytes_down, moved);
    ck_assert_uint_eq(m->node[1].installs, 1);
    ck_assert_uint_eq(mesh_status(m, 1).floor_sequence, 2);
    mesh_free(m);
}
END_TEST

START_TEST(what_runs_is_hashed_again_daily)
{
    struct mesh *m = fleet(1, SIZE);
    device_up(m, 1);
    mesh_current(m, 1, "1.0", &m->release[0].m.digest, 0);
    mesh_run(m, m->now + 73 * 3600 * SEC);
    ck_assert_uint_eq(m->node[1].rehashes, 3);
    mesh_free(m);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("node");
    TCase *t = tcase_create("node");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, case_1_1_same_version_digest_agrees);
    tcase_add_test(t, case_1_1_same_version_digest_differs_is_fetched_again);
    tcase_add_test(t, case_1_2_older_asker_fetches);
    tcase_add_test(t, case_2_1_newer_asker_teaches_the_answerer);
    tcase_add_test(t, case_2_2_same_version_is_a_joint_verification);
    tcase_add_test(t, case_2_3_older_asker_learns_from_a_device);
    tcase_add_test(t, an_answer_that_was_changed_closes_the_link);
    tcase_add_test(t, newer_release_supersedes_and_older_is_refused);
    tcase_add_test(t, factory_device_refuses_what_is_older_than_it_runs);
    tcase_add_test(t, floor_survives_restart_and_holds);
    tcase_add_test(t, a_rotated_root_undoes_a_fast_forward);
    tcase_add_test(t, two_manifests_with_one_sequence_are_not_both_taken);
    tcase_add_test(t, another_models_release_is_not_taken);
    tcase_add_test(t, too_few_signatures_are_not_enough);
    tcase_add_test(t, one_link_carries_several_images);
    tcase_add_loop_test(t, sizes_around_a_block, 0, 5);
    tcase_add_test(t, an_image_beyond_the_limits_is_refused_before_a_byte);
    tcase_add_test(t, devices_learn_of_each_other_and_share);
    tcase_add_test(t, a_late_device_is_served_by_devices_alone);
    tcase_add_test(t, lan_settles_down);
    tcase_add_test(t, garbage_costs_one_block_and_the_name);
    tcase_add_test(t, bit_rot_is_told_checked_and_withdrawn);
    tcase_add_test(t, false_accusations_cost_the_link);
    tcase_add_test(t, two_links_to_one_node_become_one);
    tcase_add_test(t, messages_out_of_order_close_by_name);
    tcase_add_test(t, requests_past_the_end_close_the_link);
    tcase_add_test(t, a_killed_device_resumes_where_it_was);
    tcase_add_test(t, a_full_disk_is_said_and_tried_again);
    tcase_add_test(t, exit_0_waits_for_confirm_which_raises_the_floor);
    tcase_add_test(t, exit_0_with_confirm_on_install);
    tcase_add_test(t, exit_4_waits_for_the_reboot);
    tcase_add_test(t, exit_75_tries_later);
    tcase_add_test(t, a_failing_installer_is_never_looped_hot);
    tcase_add_test(t, a_rejected_release_is_not_tried_again);
    tcase_add_test(t, a_crash_while_installing_is_resolved_by_what_runs);
    tcase_add_test(t, freshness_is_asked_before_the_installer_starts);
    tcase_add_test(t, one_verify_node_that_answers_twice_is_one);
    tcase_add_test(t, a_partition_is_not_served_while_the_installer_may_write);
    tcase_add_test(t, freshness_gives_up_after_a_minute);
    tcase_add_test(t, a_withdrawal_gossips_and_stops_everything);
    tcase_add_test(t, a_revoked_device_loses_its_links_at_once);
    tcase_add_test(t, a_publisher_hands_over_a_release_and_hears_that_it_is_held);
    tcase_add_test(t, a_publisher_hands_over_withdrawals_and_revocations);
    tcase_add_test(t, one_image_under_a_new_manifest_moves_no_byte);
    tcase_add_test(t, what_runs_is_hashed_again_daily);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? 0 : 1;
}
