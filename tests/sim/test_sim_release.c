/* Several models and releases, stops, tampered devices and late ones, around the real core. */
#include "checks.h"
#include "report.h"
#include "stage.h"

#include <string.h>

#define MIB (1u << 20)

static void setup(void)
{
    stage_plan(3);
    scn->group[1].count = 6;
    scn->release[0].size = MIB;
}

static struct scn_release *add_release(uint32_t model, const char *version, uint64_t sequence,
                                       usec at)
{
    struct scn_release *r = &scn->release[scn->releases++];
    *r = (struct scn_release){.model = model, .sequence = sequence, .size = MIB, .at = at};
    memcpy(r->version, version, strlen(version));
    return r;
}

/* To the end: everybody is where it shall be, and nothing was found. */
static void run_whole(void)
{
    while (world_step(w)) {
    }
    check_end(w);
    ck_assert_msg(w->violations == 0, "%s", w->violation[0].what);
    ck_assert_uint_eq(w->unheld, 0);
    ck_assert_uint_eq(w->unconfirmed, 0);
}

static void expect_runs(uint32_t group, const char *version)
{
    uint32_t seen = 0;
    for (uint32_t i = 0; i < w->count; i++) {
        const struct sim_node *n = &w->node[i];
        if (n->group != group)
            continue;
        seen++;
        ck_assert_str_eq(n->current_version, version);
        ck_assert(n->want == NONE ||
                  digest_equal(&n->current, &w->release[n->want].manifest.digest));
    }
    ck_assert_uint_gt(seen, 0);
}

START_TEST(each_model_comes_to_its_own_release)
{
    scn->models = 2;
    memcpy(scn->model[1], "other", 6);
    add_group("others", 5)->model = 1;
    add_release(1, "5.1", 51, 0);
    stage_begin();
    run_whole();
    expect_runs(1, "2.0");
    expect_runs(2, "5.1");
}
END_TEST

START_TEST(the_newest_of_several_releases_is_what_counts)
{
    add_release(0, "4.0", 4, 3 * SEC);
    add_release(0, "3.0", 3, 5 * SEC);
    stage_begin();
    run_until(2 * SEC);
    for (uint32_t i = 1; i < w->count; i++)
        ck_assert_uint_eq(w->node[i].want, 1);
    ck_assert_uint_eq(w->unheld, 6);
    run_whole();
    expect_runs(1, "4.0");
    ck_assert_uint_ge(w->now, 3 * SEC);
    /* Time counts from the first release that anybody must fetch. */
    for (uint32_t i = 1; i < w->count; i++)
        ck_assert_uint_gt(w->node[i].held_at, 3 * SEC);
}
END_TEST

START_TEST(a_stop_ends_the_way_of_a_release)
{
    struct scn_release *r = add_release(0, "3.0", 3, 0);
    r->size = 32 * MIB; /* nobody holds it when it is stopped */
    r->withdrawn = true;
    r->stop_at = 2 * SEC;
    stage_begin();
    run_whole();
    expect_runs(1, "2.0");
    ck_assert_ptr_nonnull(w->release[1].withdrawal);
}
END_TEST

START_TEST(who_runs_what_was_stopped_later_and_is_newer_is_done)
{
    struct scn_release *r = add_release(0, "3.0", 3, 0);
    r->size = MIB / 4;
    r->withdrawn = true;
    r->stop_at = 60 * SEC;
    stage_begin();
    stage_reach(50 * SEC);
    ck_assert_uint_eq(w->unconfirmed, 0);
    ck_assert_uint_eq(w->violations, 0);
    for (uint32_t i = 1; i < w->count; i++)
        ck_assert_str_eq(w->node[i].current_version, "3.0");
}
END_TEST

START_TEST(who_runs_it_already_is_done_at_once)
{
    add_group("done", 4)->installed = 2;
    stage_begin();
    ck_assert_uint_eq(w->unheld, 6);
    ck_assert_uint_eq(w->devices, 10);
    run_whole();
    expect_runs(2, "2.0");
    for (uint32_t i = 7; i < 11; i++)
        ck_assert_uint_eq(w->node[i].held_at, 0);
}
END_TEST

START_TEST(tampered_devices_are_mended)
{
    struct scn_group *g = add_group("tampered", 3);
    g->installed = 2;
    g->tampered = true;
    stage_begin();
    ck_assert_uint_eq(w->unheld, 9);
    const struct digest *right = &w->release[0].manifest.digest;
    ck_assert(!digest_equal(&w->node[7].current, right));
    ck_assert_str_eq(w->node[7].current_version, "2.0");
    run_whole();
    expect_runs(2, "2.0");
}
END_TEST

START_TEST(who_joins_late_completes_late)
{
    add_group("late", 2)->join = 40 * SEC;
    stage_begin();
    run_until(39 * SEC);
    ck_assert_uint_eq(w->unheld, 2);
    ck_assert_ptr_null(w->node[7].core);
    run_whole();
    ck_assert_uint_gt(w->node[7].held_at, 40 * SEC);
    ck_assert_uint_ge(report_bound(w), 40 * SEC);
}
END_TEST

START_TEST(the_bound_knows_the_narrowest_way)
{
    stage_begin();
    /* One image down a device's line: 1 MiB at 6,250,000 bytes a second. */
    usec device = (usec)MIB * SEC / 6250000;
    ck_assert_uint_ge(report_bound(w), device);
    usec all = (usec)6 * MIB * SEC / (12500000 + 6 * 1250000);
    ck_assert_uint_eq(report_bound(w), all > device ? all : device);
}
END_TEST

START_TEST(the_bound_knows_the_lines_of_places)
{
    scn->sites = 1;
    scn->site[0] = (struct scn_site){.name = "s", .count = 2, .down = 100000, .rtt = 1000};
    scn->group[1].site = 0;
    stage_begin();
    ck_assert_uint_eq(w->devices, 12);
    ck_assert_uint_eq(report_bound(w), (usec)MIB * SEC / 100000);
}
END_TEST

START_TEST(the_bound_of_two_releases_counts_from_the_first)
{
    scn->models = 2;
    memcpy(scn->model[1], "other", 6);
    add_group("others", 1)->model = 1;
    add_release(1, "5.1", 51, 30 * SEC);
    scn->release[0].at = 10 * SEC;
    stage_begin();
    ck_assert_uint_eq(report_bound(w), 20 * SEC + (usec)MIB * SEC / 6250000);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("sim release");
    TCase *t = tcase_create("release");
    suite_add_tcase(s, t);
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, setup, stage_clear);
    tcase_add_test(t, each_model_comes_to_its_own_release);
    tcase_add_test(t, the_newest_of_several_releases_is_what_counts);
    tcase_add_test(t, a_stop_ends_the_way_of_a_release);
    tcase_add_test(t, who_runs_what_was_stopped_later_and_is_newer_is_done);
    tcase_add_test(t, who_runs_it_already_is_done_at_once);
    tcase_add_test(t, tampered_devices_are_mended);
    tcase_add_test(t, who_joins_late_completes_late);
    tcase_add_test(t, the_bound_knows_the_narrowest_way);
    tcase_add_test(t, the_bound_knows_the_lines_of_places);
    tcase_add_test(t, the_bound_of_two_releases_counts_from_the_first);
    return test_run(s);
}
