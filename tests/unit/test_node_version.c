/* The node's version check: its five cases, each by its name. */
#include "mesh_fleet.h"

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

int main(void)
{
    TCase *t = tcase_create("node_version");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, case_1_1_same_version_digest_agrees);
    tcase_add_test(t, case_1_1_same_version_digest_differs_is_fetched_again);
    tcase_add_test(t, case_1_2_older_asker_fetches);
    tcase_add_test(t, case_2_1_newer_asker_teaches_the_answerer);
    tcase_add_test(t, case_2_2_same_version_is_a_joint_verification);
    tcase_add_test(t, case_2_3_older_asker_learns_from_a_device);
    tcase_add_test(t, an_answer_that_was_changed_closes_the_link);
    return run_node_tests(t, "node_version");
}
