/* The node's exchange of blocks: neighbours good and bad, the LAN, resuming. */
#include "mesh_fleet.h"

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

/* Storage answers late, so that as many blocks are on their way to it as may be: whatever was asked
 * for still has room when it comes, and each chunk of hashes is asked for once. */
START_TEST(storage_that_lags_wastes_nothing)
{
    const uint32_t chunks = 4;
    struct mesh *m = mesh_make(7, 1, 1, 1);
    for (uint32_t i = 0; i < 2; i++)
        m->node[i].lim.pieces = 2048;
    m->node[1].lim.store_ops = 3;
    mesh_release(m, NULL, "1.0", 1, 24 * MIB + 5);
    mesh_start(m, 0);
    mesh_seed(m, 0, 0);
    device_up(m, 1);
    usec begun = m->now;
    struct node_image_status st;
    for (uint32_t i = 0; i < 900 && mesh_state(m, 1, 0, &st) != RELEASE_HELD; i++) {
        m->node[1].hold = 1u << EV_STORED;
        mesh_run(m, m->now + SEC / 1000);
        mesh_let_go(m, 1);
    }
    ck_assert_int_eq(mesh_state(m, 1, 0, &st), RELEASE_HELD);
    ck_assert_uint_eq(st.bytes_wasted, 0);
    ck_assert_uint_eq(m->delivered[MSG_hash_request], chunks);
    ck_assert_uint_lt(m->now - begun, SEC);
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

int main(void)
{
    TCase *t = tcase_create("node_exchange");
    tcase_set_timeout(t, 60);
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
    tcase_add_test(t, storage_that_lags_wastes_nothing);
    tcase_add_test(t, a_full_disk_is_said_and_tried_again);
    return run_node_tests(t, "node_exchange");
}
