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

int main(void)
{
    Suite *s = suite_create("node_faults");
    TCase *t = tcase_create("node_faults");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, two_images_with_nothing_to_ask_for_do_not_take_turns_in_selecting);
    tcase_add_test(t, a_release_withdrawn_while_its_storage_opens_stays_withdrawn);
    tcase_add_test(t, sixteen_models_pass_between_two_verify_nodes);
    tcase_add_test(t, after_a_garbled_manifest_another_link_is_asked);
    tcase_add_test(t, a_stop_that_one_link_does_not_give_is_asked_of_another);
    tcase_add_test(t, a_list_of_the_next_root_is_asked_for_after_that_root);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? 0 : 1;
}
