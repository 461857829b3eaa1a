/* The node's releases: their order, several at once, stops, revocations, publishers. */
#include "mesh_fleet.h"

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
    runs_factory(m, 1);
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
    make_publisher(m, 1);
    const struct mesh_node *p = &m->node[1];
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
    make_publisher(m, 1);
    const struct mesh_node *p = &m->node[1];
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
    runs_factory(m, 1);
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
    TCase *t = tcase_create("node_release");
    tcase_set_timeout(t, 60);
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
    tcase_add_test(t, a_withdrawal_gossips_and_stops_everything);
    tcase_add_test(t, a_revoked_device_loses_its_links_at_once);
    tcase_add_test(t, a_publisher_hands_over_a_release_and_hears_that_it_is_held);
    tcase_add_test(t, a_publisher_hands_over_withdrawals_and_revocations);
    tcase_add_test(t, one_image_under_a_new_manifest_moves_no_byte);
    tcase_add_test(t, what_runs_is_hashed_again_daily);
    return run_node_tests(t, "node_release");
}
