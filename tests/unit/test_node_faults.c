/* The node on bad days: storage that is late, rots or fails, power that goes, neighbours that
 * stall, races that honest nodes run into. */
#include "mesh_fleet.h"

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

int main(void)
{
    Suite *s = suite_create("node_faults");
    TCase *t = tcase_create("node_faults");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, two_images_with_nothing_to_ask_for_do_not_take_turns_in_selecting);
    tcase_add_test(t, a_release_withdrawn_while_its_storage_opens_stays_withdrawn);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? 0 : 1;
}
