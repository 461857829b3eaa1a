/* Who may lack an image when all is over: rules of fault.h, around a core that does nothing. */
#include "disk.h"
#include "fault.h"
#include "puppet.h"

#define VERIFY 2u /* nodes 0 and 1 */
#define A      2u
#define B      3u
#define C      4u
#define D      5u

static void begin(bool nat)
{
    stage_plan(13);
    scn->group[0].count = VERIFY;
    scn->group[1].count = 4;
    scn->group[1].nat = nat;
    scn->release[0].size = 1 << 20;
    puppet_begin();
}

static void setup(void)
{
    begin(false);
}

static void join(uint32_t from, uint32_t to)
{
    dial(from, &w->node[to].addr);
    run_for(SEC);
    ck_assert_uint_gt(w->node[from].links, 0);
    ck_assert_uint_gt(w->node[to].links, 0);
}

static void restart(uint32_t node)
{
    world_crash(w, node);
    world_schedule(w, w->now + SEC, TICK_BOOT, node, 0, 0);
    run_for(2 * SEC);
}

/* Whom of A to D it names is excused, and nobody else of them. */
static void expect_excused(const char *who)
{
    for (uint32_t i = A; i <= D; i++) {
        bool named = false;
        for (const char *p = who; *p != '\0'; p++)
            named = named || (uint32_t)(*p - 'A') + A == i;
        ck_assert_msg(fault_excused(w, i) == named, "%c is%s excused", (char)('A' + (i - A)),
                      named ? " not" : "");
    }
}

/* A - B - C and D, all linked before both verify nodes leave. */
static void chain(void)
{
    join(A, B);
    join(C, B);
    disk_import(w, A, 0, 0);
}

START_TEST(nobody_is_excused_while_all_are_there)
{
    expect_excused("");
    world_crash(w, 0);
    world_crash(w, 1);
    expect_excused("");
}
END_TEST

START_TEST(a_verify_node_that_is_left_leads_everybody)
{
    chain();
    world_leave(w, 0);
    expect_excused("");
    /* Nobody else is left that holds it. */
    world_leave(w, A);
    ck_assert(fault_excused(w, A));
    ck_assert(fault_excused(w, B));
    ck_assert(fault_excused(w, D));
}
END_TEST

START_TEST(who_is_on_no_path_is_excused)
{
    chain();
    world_leave(w, 0);
    world_leave(w, 1);
    expect_excused("D");
    /* Links that come later lead nobody: no more than luck made them. */
    join(D, A);
    expect_excused("D");
}
END_TEST

START_TEST(who_restarts_forgets_and_is_still_remembered)
{
    chain();
    world_leave(w, 0);
    world_leave(w, 1);
    restart(B);
    expect_excused("BD");
    /* Now neither A nor B knows the other, while C still knows B. */
    restart(A);
    expect_excused("ABCD");
}
END_TEST

START_TEST(who_cannot_be_dialled_must_remember_itself)
{
    begin(true);
    for (uint32_t i = A; i <= D; i++)
        w->node[i].nat = i != A;
    join(B, A);
    join(C, A);
    join(D, A);
    disk_import(w, A, 0, 0);
    world_leave(w, 0);
    world_leave(w, 1);
    expect_excused("");
    restart(A);
    expect_excused("A");
    restart(B);
    expect_excused("AB");
    /* What is left of a whole image is behind a NAT, and the way to it has forgotten it. */
    disk_import(w, C, 0, 0);
    w->node[A].disk.slot[0].blocks[0] = 0;
    w->node[A].nat = true;
    w->steps++;
    expect_excused("ABD");
}
END_TEST

START_TEST(disks_are_put_together)
{
    chain();
    disk_import(w, C, 0, 0);
    struct disk_slot *a = &w->node[A].disk.slot[0], *c = &w->node[C].disk.slot[0];
    a->blocks[0] = 0x0f;
    c->blocks[0] = 0xf0;
    world_leave(w, 0);
    world_leave(w, 1);
    expect_excused("D");
    c->blocks[0] = 0xe0;
    disk_import(w, D, 0, 0);
    w->steps++;
    expect_excused("ABC");
}
END_TEST

START_TEST(what_rotted_is_not_held_and_who_is_shunned_holds_nothing)
{
    chain();
    struct rng rng;
    const uint8_t seed[32] = {1};
    rng_init(&rng, seed);
    world_leave(w, 0);
    expect_excused("");
    ck_assert_uint_eq(disk_rot(w, A, 1, &rng), 1);
    w->node[A].rotten = true;
    w->steps++;
    expect_excused("ABCD");
    disk_import(w, 1, 0, 0);
    w->steps++;
    expect_excused("");
    fault_shunned(w, A);
    expect_excused("A");
    fault_shunned(w, 1);
    expect_excused("ABCD");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("sim verdict");
    TCase *t = tcase_create("verdict");
    suite_add_tcase(s, t);
    tcase_add_checked_fixture(t, setup, stage_clear);
    tcase_add_test(t, nobody_is_excused_while_all_are_there);
    tcase_add_test(t, a_verify_node_that_is_left_leads_everybody);
    tcase_add_test(t, who_is_on_no_path_is_excused);
    tcase_add_test(t, who_restarts_forgets_and_is_still_remembered);
    tcase_add_test(t, who_cannot_be_dialled_must_remember_itself);
    tcase_add_test(t, disks_are_put_together);
    tcase_add_test(t, what_rotted_is_not_held_and_who_is_shunned_holds_nothing);
    return test_run(s);
}
