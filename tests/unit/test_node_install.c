/* The node's installations: what each exit status leads to, freshness, confirm and reject. */
#include "mesh_fleet.h"

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

START_TEST(an_image_that_rots_before_it_is_installed_is_mended)
{
    struct mesh *m = installing(65, false); /* it found the image to be another */
    ck_assert_int_eq(mesh_state(m, 1, 0, NULL), RELEASE_FAILED);
    m->node[1].store[0].data[2 * BLOCK_LEN + 9] ^= 1;
    m->node[1].install_exit = 0;
    mesh_run(m, m->now + 700 * SEC);
    ck_assert_int_eq(memcmp(m->node[1].store[0].data, m->release[0].image, SIZE), 0);
    ck_assert_int_eq(mesh_state(m, 1, 0, NULL), RELEASE_PENDING);
    mesh_free(m);
}
END_TEST

/* A device that confirmed its release starts while its storage cannot be read. */
static struct mesh *unreadable(void)
{
    struct mesh *m = installing(0, true);
    ck_assert_int_eq(mesh_state(m, 1, 0, NULL), RELEASE_CONFIRMED);
    mesh_kill(m, 1);
    m->node[1].fail_open = true;
    device_up(m, 1);
    return m;
}

START_TEST(what_was_confirmed_is_not_forgotten_with_its_storage)
{
    struct mesh *m = unreadable();
    struct node_image_status st;
    mesh_current(m, 1, "1.0", &m->release[0].m.digest, 0);
    mesh_run(m, m->now + 10 * SEC);
    ck_assert_int_eq(mesh_state(m, 1, 0, &st), RELEASE_CONFIRMED);
    ck_assert_uint_eq(st.pieces_have, 0);
    m->node[1].fail_open = false;
    mesh_run(m, m->now + 100 * SEC);
    ck_assert_int_eq(mesh_state(m, 1, 0, &st), RELEASE_CONFIRMED);
    ck_assert_uint_eq(st.pieces_have, st.geo.pieces); /* it is served again */
    ck_assert_uint_eq(m->node[1].installs, 1);
    mesh_free(m);
}
END_TEST

START_TEST(a_tampered_device_is_mended_when_its_storage_is_back)
{
    struct mesh *m = unreadable();
    struct digest tampered = other_digest(0x66);
    mesh_current(m, 1, "1.0", &tampered, 1);
    mesh_run(m, m->now + 100 * SEC);
    ck_assert_uint_eq(m->node[1].installs, 1);
    m->node[1].fail_open = false;
    mesh_run(m, m->now + 1000 * SEC);
    ck_assert_uint_ge(m->node[1].installs, 2);
    ck_assert_int_eq(mesh_state(m, 1, 0, NULL), RELEASE_CONFIRMED);
    mesh_free(m);
}
END_TEST

START_TEST(after_a_stop_the_release_before_it_is_installed)
{
    struct mesh *m = fleet(1, SIZE);
    m->node[1].conf.install = true;
    m->node[1].install_exit = 0;
    device_up(m, 1); /* for ten minutes it waits to be told what runs */
    mesh_run(m, m->now + 20 * SEC);
    m->node[1].hold = 1u << EV_STORED;
    uint32_t two = mesh_release(m, NULL, "2.0", 2, SIZE);
    mesh_seed(m, 0, two);
    mesh_run(m, m->now + 10 * SEC);
    ck_assert_int_eq(mesh_state(m, 1, two, NULL), RELEASE_FETCHING);
    ck_assert_int_eq(mesh_state(m, 1, 0, NULL), RELEASE_HELD);
    withdraw(m, 0, two);
    mesh_run(m, m->now + 700 * SEC);
    ck_assert_int_eq(mesh_state(m, 1, two, NULL), RELEASE_WITHDRAWN);
    ck_assert_int_eq(mesh_state(m, 1, 0, NULL), RELEASE_PENDING);
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
    runs_factory(m, 4);
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
    runs_factory(m, 4);
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
    runs_factory(m, 1);
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
    runs_factory(m, 4);
    mesh_know(m, 4, 0, true);
    mesh_run(m, m->now + 50 * SEC);
    ck_assert_uint_eq(m->node[4].installs, 0);
    mesh_run(m, m->now + 20 * SEC);
    ck_assert_uint_eq(m->node[4].installs, 1);
    mesh_free(m);
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("node_install");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, exit_0_waits_for_confirm_which_raises_the_floor);
    tcase_add_test(t, exit_0_with_confirm_on_install);
    tcase_add_test(t, exit_4_waits_for_the_reboot);
    tcase_add_test(t, exit_75_tries_later);
    tcase_add_test(t, a_failing_installer_is_never_looped_hot);
    tcase_add_test(t, an_image_that_rots_before_it_is_installed_is_mended);
    tcase_add_test(t, what_was_confirmed_is_not_forgotten_with_its_storage);
    tcase_add_test(t, a_tampered_device_is_mended_when_its_storage_is_back);
    tcase_add_test(t, after_a_stop_the_release_before_it_is_installed);
    tcase_add_test(t, a_rejected_release_is_not_tried_again);
    tcase_add_test(t, a_crash_while_installing_is_resolved_by_what_runs);
    tcase_add_test(t, freshness_is_asked_before_the_installer_starts);
    tcase_add_test(t, one_verify_node_that_answers_twice_is_one);
    tcase_add_test(t, a_partition_is_not_served_while_the_installer_may_write);
    tcase_add_test(t, freshness_gives_up_after_a_minute);
    return run_node_tests(t, "node_install");
}
