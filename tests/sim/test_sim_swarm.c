/* Drawn scenarios, runs in child processes, and the shrinking of what fails: with runs that fail by
 * a rule of the test instead of a world, so that the smallest scenario is known beforehand. */
#include "shrink.h"
#include "unit/run.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DRAWN    1500u
#define LEAST    20u
#define MOST     60u
#define TEXT_MAX 65536u
#define NO_HURRY (60 * SEC)

/* ---- drawing ---- */

static struct scenario a, b;

START_TEST(drawn_can_be_run)
{
    static char text[TEXT_MAX];
    char why[256];
    for (uint32_t seed = 0; seed < DRAWN; seed++) {
        scenario_draw(&a, seed, LEAST, MOST);
        ck_assert_msg(!scenario_wrong(&a, why, sizeof(why)), "seed %u: %s", seed, why);
        uint32_t nodes = scenario_nodes(&a), honest = scenario_verify(&a) + scenario_devices(&a);
        ck_assert_msg(nodes >= LEAST && nodes <= MOST, "seed %u: %u nodes", seed, nodes);
        ck_assert_uint_ge(scenario_verify(&a), 1);
        ck_assert_uint_ge(scenario_devices(&a), nodes / 2);
        ck_assert_uint_le(nodes - honest, nodes / 4);
        size_t n = scenario_write(&a, text, sizeof(text));
        ck_assert_uint_lt(n, sizeof(text));
        uint32_t line = 0;
        ck_assert_msg(scenario_read(&b, text, n, &line, why, sizeof(why)), "seed %u line %u: %s",
                      seed, line, why);
        ck_assert_msg(memcmp(&a, &b, sizeof(a)) == 0, "seed %u reads otherwise:\n%s", seed, text);
    }
}
END_TEST

START_TEST(drawn_is_the_same)
{
    for (uint32_t seed = 0; seed < 50; seed++) {
        scenario_draw(&a, seed, LEAST, MOST);
        scenario_draw(&b, seed, LEAST, MOST);
        ck_assert_int_eq(memcmp(&a, &b, sizeof(a)), 0);
        scenario_draw(&b, seed + 1, LEAST, MOST);
        b.seed = a.seed;
        ck_assert_int_ne(memcmp(&a, &b, sizeof(a)), 0);
    }
}
END_TEST

/* Everything is drawn at times, and nothing always: a part that is in every scenario hides what
 * only shows without it. */
START_TEST(drawn_covers)
{
    uint32_t fault[FAULT_COUNT] = {0}, behaviour[BEHAVE_COUNT] = {0};
    uint32_t sites = 0, nat = 0, models = 0, stops = 0, tampered = 0, late = 0, gone = 0, plain = 0;
    for (uint32_t seed = 0; seed < DRAWN; seed++) {
        scenario_draw(&a, seed, LEAST, MOST);
        bool f[FAULT_COUNT] = {false}, h[BEHAVE_COUNT] = {false};
        bool any_nat = false, any_tampered = false, any_late = false, any_stop = false;
        for (uint32_t i = 0; i < a.faults; i++)
            f[a.fault[i].kind] = true;
        for (uint32_t i = 0; i < a.groups; i++) {
            h[a.group[i].behaviour] = true;
            any_nat = any_nat || a.group[i].nat;
            any_tampered = any_tampered || a.group[i].tampered;
            any_late = any_late || a.group[i].join > 0;
        }
        for (uint32_t i = 0; i < a.releases; i++)
            any_stop = any_stop || a.release[i].withdrawn;
        for (uint32_t i = 0; i < FAULT_COUNT; i++)
            fault[i] += f[i] ? 1 : 0;
        for (uint32_t i = 0; i < BEHAVE_COUNT; i++)
            behaviour[i] += h[i] ? 1 : 0;
        sites += a.sites > 0 ? 1 : 0;
        nat += any_nat ? 1 : 0;
        models += a.models > 1 ? 1 : 0;
        stops += any_stop ? 1 : 0;
        tampered += any_tampered ? 1 : 0;
        late += any_late ? 1 : 0;
        gone += a.vendor_gone ? 1 : 0;
        plain += a.faults == 0 ? 1 : 0;
    }
    for (uint32_t i = 0; i < FAULT_COUNT; i++)
        ck_assert_msg(fault[i] > DRAWN / 100 && fault[i] < DRAWN / 2, "%s: %u of %u", fault_name[i],
                      fault[i], DRAWN);
    for (uint32_t i = BEHAVE_HONEST + 1; i < BEHAVE_COUNT; i++)
        ck_assert_msg(behaviour[i] > DRAWN / 100 && behaviour[i] < DRAWN / 2, "%s: %u of %u",
                      behaviour_name[i], behaviour[i], DRAWN);
    const uint32_t counts[] = {sites, nat, models, stops, tampered, late, gone, plain};
    for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++)
        ck_assert_msg(counts[i] > DRAWN / 50 && counts[i] < DRAWN * 3 / 4, "feature %zu: %u of %u",
                      i, counts[i], DRAWN);
}
END_TEST

/* ---- one run ---- */

static struct trial_job job;

static void setup(void)
{
    ck_assert(trial_open(&job));
}

static void teardown(void)
{
    trial_close(&job);
}

static void violate(const struct scenario *s, struct trial *out, const char *what)
{
    out->end = TRIAL_VIOLATION;
    out->steps = out->step = 1000;
    out->violations = 1;
    out->trace_hash = s->seed;
    snprintf(out->what, sizeof(out->what), "%s", what);
}

static void run_good(const struct scenario *s, struct trial *out)
{
    out->nodes = scenario_nodes(s);
    out->steps = 5;
}

static void run_violation(const struct scenario *s, struct trial *out)
{
    violate(s, out, "node 17 does what it must not");
}

static void run_abort(const struct scenario *s, struct trial *out)
{
    (void)s;
    out->at = 7;
    out->step = 8;
    fprintf(stderr, "t=1 lvl=info ev=something\n"
                    "fwswarm-sim: ../src/node/ask.c:17: ask_room: Assertion `n > 3' failed.\n");
    abort();
}

static void run_exit(const struct scenario *s, struct trial *out)
{
    (void)s;
    (void)out;
    exit(9);
}

static void run_forever(const struct scenario *s, struct trial *out)
{
    volatile struct trial *seen = out;
    (void)s;
    for (seen->step = 1;; seen->at++)
        ;
}

START_TEST(ends_are_told)
{
    struct trial t;
    scenario_draw(&a, 1, LEAST, MOST);
    trial_once(&job, run_good, &a, NO_HURRY, &t);
    ck_assert_int_eq(t.end, TRIAL_GOOD);
    ck_assert_uint_eq(t.nodes, scenario_nodes(&a));
    trial_once(&job, run_violation, &a, NO_HURRY, &t);
    ck_assert_int_eq(t.end, TRIAL_VIOLATION);
    ck_assert_str_eq(t.what, "node 17 does what it must not");
    trial_once(&job, run_abort, &a, NO_HURRY, &t);
    ck_assert_int_eq(t.end, TRIAL_CRASH);
    ck_assert_str_eq(t.what, "ask.c:17: ask_room: Assertion `n > 3' failed.");
    ck_assert_uint_eq(t.at, 7);
    ck_assert_uint_eq(t.step, 8);
    trial_once(&job, run_exit, &a, NO_HURRY, &t);
    ck_assert_int_eq(t.end, TRIAL_CRASH);
    ck_assert_str_eq(t.what, "exit status 9");
    trial_once(&job, run_forever, &a, SEC / 5, &t);
    ck_assert_int_eq(t.end, TRIAL_HANG);
    ck_assert_uint_eq(t.step, 1);
    ck_assert_uint_gt(t.at, 0);
    /* What the run before left behind is gone. */
    trial_once(&job, run_good, &a, NO_HURRY, &t);
    ck_assert_int_eq(t.end, TRIAL_GOOD);
    ck_assert_str_eq(t.what, "");
}
END_TEST

static void alike(const char *one, const char *two, bool same)
{
    struct trial p = {.end = TRIAL_VIOLATION}, q = {.end = TRIAL_VIOLATION};
    snprintf(p.what, sizeof(p.what), "%s", one);
    snprintf(q.what, sizeof(q.what), "%s", two);
    ck_assert_msg(trial_alike(&p, &q) == same, "%s | %s", one, two);
    q.end = TRIAL_CRASH;
    ck_assert(!trial_alike(&p, &q));
}

START_TEST(failures_are_compared)
{
    alike("has 3 links, the limit is 2", "has 17 links, the limit is 16", true);
    alike("serves object 01000a00 at 5", "serves object 02c00000 at 77", true);
    alike("has 3 links", "has 3 bans", false);
    alike("has 3", "has 3 links", false);
    alike("7", "", true);
    alike("bad cafe", "bad face", false);
}
END_TEST

/* ---- shrinking ---- */

static const struct scn_fault *find_fault(const struct scenario *s, enum fault_kind kind)
{
    for (uint32_t i = 0; i < s->faults; i++)
        if (s->fault[i].kind == kind)
            return &s->fault[i];
    return NULL;
}

/* Needs one kind of fault of a strength, and five nodes; the number in the words does not matter.
 */
static void run_picky(const struct scenario *s, struct trial *out)
{
    const struct scn_fault *f = find_fault(s, FAULT_LOSS);
    char what[64];
    snprintf(what, sizeof(what), "breaks after %u", scenario_nodes(s));
    out->steps = 1000;
    if (f != NULL && f->strength >= 2 && scenario_nodes(s) >= 5)
        violate(s, out, what);
    else if (scenario_nodes(s) >= 5)
        violate(s, out, "something else");
}

static void run_needs_stop(const struct scenario *s, struct trial *out)
{
    for (uint32_t i = 0; i < s->releases; i++)
        if (s->release[i].withdrawn && s->release[i].size > 20000)
            violate(s, out, "the stop is not heard");
}

static bool shrunk(trial_run *run, uint32_t runs, struct shrink *k, struct trial *how)
{
    *k = (struct shrink){.run = run, .timeout = NO_HURRY, .runs_max = runs, .steps_max = 100000000};
    trial_once(&job, run, &a, NO_HURRY, how);
    return shrink_scenario(k, &a, how);
}

static void draw_such(bool (*such)(const struct scenario *))
{
    for (uint32_t seed = 0; seed < 100000; seed++) {
        scenario_draw(&a, seed, LEAST, MOST);
        if (such(&a))
            return;
    }
    ck_abort_msg("no such scenario");
}

static bool lossy(const struct scenario *s)
{
    const struct scn_fault *f = find_fault(s, FAULT_LOSS);
    return s->faults > 7 && s->groups > 4 && s->sites > 1 && f != NULL && f->strength > 5;
}

START_TEST(shrinks)
{
    struct shrink k;
    struct trial how;
    draw_such(lossy);
    struct scenario was = a;
    ck_assert(shrunk(run_picky, 2000, &k, &how));
    ck_assert_uint_eq(a.faults, 1);
    ck_assert_int_eq(a.fault[0].kind, FAULT_LOSS);
    ck_assert_uint_ge(a.fault[0].strength, 2);
    ck_assert_uint_le(a.fault[0].strength, 3);
    ck_assert_uint_eq(scenario_nodes(&a), 5);
    ck_assert_uint_eq(a.sites, 0);
    ck_assert_uint_eq(a.models, 1);
    ck_assert_uint_eq(a.releases, 1);
    ck_assert_uint_eq(a.release[0].size, 16384);
    ck_assert_str_eq(how.what, "breaks after 5");
    bool known = false; /* a fault keeps its number */
    for (uint32_t i = 0; i < was.faults; i++)
        known = known ||
                (was.fault[i].number == a.fault[0].number && was.fault[i].kind == a.fault[0].kind);
    ck_assert(known);
    char why[256];
    ck_assert(!scenario_wrong(&a, why, sizeof(why)));
    /* The same again. */
    b = a;
    a = was;
    uint32_t runs = k.runs;
    ck_assert(shrunk(run_picky, 2000, &k, &how));
    ck_assert_int_eq(memcmp(&a, &b, sizeof(a)), 0);
    ck_assert_uint_eq(k.runs, runs);
}
END_TEST

static bool stopped(const struct scenario *s)
{
    for (uint32_t i = 0; i < s->releases; i++)
        if (s->release[i].withdrawn && s->release[i].size > 200000)
            return s->models > 1 && s->faults > 2;
    return false;
}

START_TEST(shrinks_releases)
{
    struct shrink k;
    struct trial how;
    draw_such(stopped);
    ck_assert(shrunk(run_needs_stop, 2000, &k, &how));
    ck_assert_uint_eq(a.models, 1);
    ck_assert_uint_eq(a.faults, 0);
    ck_assert_uint_le(scenario_nodes(&a), 2);
    ck_assert_uint_le(a.releases, 2);
}
END_TEST

/* What always fails must not be shrunk without end, and a crash stays a crash. */
START_TEST(shrinking_ends)
{
    struct shrink k;
    struct trial how;
    draw_such(lossy);
    struct scenario was = a;
    ck_assert(shrunk(run_abort, 20, &k, &how));
    ck_assert_uint_le(k.runs, 20);
    ck_assert_int_eq(how.end, TRIAL_CRASH);
    a = was;
    ck_assert(shrunk(run_violation, 5000, &k, &how));
    ck_assert_uint_lt(k.runs, 500);
    ck_assert_uint_le(scenario_nodes(&a), 2);
    ck_assert_uint_eq(a.faults, 0);
    a = was;
    k = (struct shrink){
        .run = run_violation, .timeout = NO_HURRY, .runs_max = 5000, .steps_max = 10000};
    trial_once(&job, run_violation, &a, NO_HURRY, &how);
    ck_assert(shrink_scenario(&k, &a, &how));
    ck_assert_uint_le(k.runs, 11);
}
END_TEST

START_TEST(what_does_not_fail_again_is_said)
{
    struct shrink k = {.run = run_good, .timeout = NO_HURRY, .runs_max = 50, .steps_max = 1000000};
    struct trial how;
    scenario_draw(&a, 3, LEAST, MOST);
    b = a;
    trial_once(&job, run_violation, &a, NO_HURRY, &how);
    ck_assert(!shrink_scenario(&k, &a, &how));
    ck_assert_int_eq(memcmp(&a, &b, sizeof(a)), 0);
    ck_assert_uint_eq(k.runs, 1);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("sim-swarm");
    TCase *draw = tcase_create("draw"), *run = tcase_create("run");
    tcase_set_timeout(draw, 120);
    tcase_set_timeout(run, 120);
    tcase_add_test(draw, drawn_can_be_run);
    tcase_add_test(draw, drawn_is_the_same);
    tcase_add_test(draw, drawn_covers);
    tcase_add_checked_fixture(run, setup, teardown);
    tcase_add_test(run, ends_are_told);
    tcase_add_test(run, failures_are_compared);
    tcase_add_test(run, shrinks);
    tcase_add_test(run, shrinks_releases);
    tcase_add_test(run, shrinking_ends);
    tcase_add_test(run, what_does_not_fail_again_is_said);
    suite_add_tcase(s, draw);
    suite_add_tcase(s, run);
    return test_run(s);
}
