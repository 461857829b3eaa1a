/* Each kind of fault, seen to do what it says to the real core, and to heal. */
#include "checks.h"
#include "fault.h"
#include "net.h"
#include "stage.h"
#include "weather.h"

#include <string.h>

#define MIB     (1u << 20)
#define DEVICES 12u
#define VERIFY  0u
#define FOREVER (7 * 24 * 3600 * SEC)

/* ---- scenarios and runs ---- */

static void setup(void)
{
    stage_plan(5);
    scn->group[1].count = DEVICES;
    scn->release[0].size = 2 * MIB;
}

static struct scn_fault *add(enum fault_kind kind, uint32_t count, usec at, usec lasts,
                             uint32_t strength)
{
    struct scn_fault *f = &scn->fault[scn->faults++];
    *f = (struct scn_fault){.number = scn->faults,
                            .kind = kind,
                            .group = NONE,
                            .site = NONE,
                            .count = count,
                            .at = at,
                            .lasts = lasts,
                            .strength = strength};
    return f;
}

static uint32_t add_site(uint32_t count)
{
    struct scn_site *s = &scn->site[scn->sites];
    *s = (struct scn_site){.name = "site", .count = count, .rtt = 1000};
    return scn->sites++;
}

static void expect_no_violation(void)
{
    ck_assert_msg(w->violations == 0, "%s (node %u at %u ms)", w->violation[0].what,
                  w->violation[0].node, (unsigned)(w->violation[0].at / 1000));
}

/* To the end: all that are not excused hold the image and nothing was violated. */
static void finish(void)
{
    while (world_step(w)) {
    }
    check_end(w);
    expect_no_violation();
}

static void run(void)
{
    stage_begin();
    finish();
}

static usec makespan(void)
{
    usec last = 0;
    for (uint32_t i = 0; i < w->count; i++)
        if (node_counts(&w->node[i]) && w->node[i].held_at != USEC_NEVER &&
            w->node[i].held_at > last)
            last = w->node[i].held_at;
    return last;
}

static usec plain_makespan(void)
{
    uint32_t faults = scn->faults;
    scn->faults = 0;
    run();
    scn->faults = faults;
    return makespan();
}

static bool is_target(uint32_t fault, uint32_t node)
{
    const struct fault *f = &w->fault[fault];
    for (uint32_t i = 0; i < f->targets; i++)
        if (f->target[i] == node)
            return true;
    return false;
}

static uint32_t blocks_of(uint32_t node)
{
    uint32_t most = 0;
    for (uint32_t i = 0; i < w->node[node].disk.slots; i++)
        if (w->node[node].disk.slot[i].blocks_have > most)
            most = w->node[node].disk.slot[i].blocks_have;
    return most;
}

/* ---- the plan ---- */

struct drawn {
    uint32_t target[DEVICES], targets;
    struct rng rng;
};

static void take_draws(uint32_t fault, struct drawn *d)
{
    const struct fault *f = &w->fault[fault];
    memset(d, 0, sizeof(*d));
    d->targets = f->targets;
    memcpy(d->target, f->target, f->targets * sizeof(*f->target));
    d->rng = f->rng;
}

START_TEST(leaving_a_fault_out_leaves_the_others_alone)
{
    struct drawn before[3], after[2];
    add(FAULT_CRASH, 3, 0, 0, 0);
    add(FAULT_CHURN, 4, SEC, 5 * SEC, 2);
    add(FAULT_SLOW, 5, 2 * SEC, 5 * SEC, 100);
    stage_begin();
    for (uint32_t i = 0; i < 3; i++)
        take_draws(i, &before[i]);
    ck_assert_int_ne(memcmp(before[0].target, before[1].target, 3 * sizeof(uint32_t)), 0);
    scn->fault[1] = scn->fault[2];
    scn->faults = 2;
    stage_begin();
    take_draws(0, &after[0]);
    take_draws(1, &after[1]);
    ck_assert_int_eq(memcmp(&before[0], &after[0], sizeof(before[0])), 0);
    ck_assert_int_eq(memcmp(&before[2], &after[1], sizeof(before[2])), 0);
    scn->seed++;
    stage_begin();
    take_draws(0, &after[0]);
    ck_assert_int_ne(memcmp(&before[0], &after[0], sizeof(before[0])), 0);
}
END_TEST

/* What a churning node draws does not depend on what else befalls it. */
START_TEST(draws_do_not_depend_on_who_is_up)
{
    usec boots[2][16] = {{0}};
    for (uint32_t with = 0; with < 2; with++) {
        scn->faults = 0;
        add(FAULT_CHURN, 1, SEC, 20 * SEC, 2);
        if (with)
            add(FAULT_CRASH, 0, 3 * SEC, SEC / 2, 0);
        stage_begin();
        run_until(30 * SEC);
        take_draws(0, &(struct drawn){0});
        rng_bytes(&w->fault[0].rng, boots[with], sizeof(boots[with]));
    }
    ck_assert_int_eq(memcmp(boots[0], boots[1], sizeof(boots[0])), 0);
}
END_TEST

START_TEST(everybody_is_struck_when_no_count_is_said)
{
    add(FAULT_CRASH, 0, SEC, SEC, 0);
    add(FAULT_CRASH, 0, SEC, SEC, 0)->group = 0;
    stage_begin();
    ck_assert_uint_eq(w->fault[0].targets, DEVICES);
    ck_assert_uint_eq(w->fault[1].targets, 1);
    ck_assert(is_target(1, VERIFY));
    ck_assert(!is_target(0, VERIFY));
}
END_TEST

/* ---- power ---- */

START_TEST(a_crash_takes_power_and_gives_it_back)
{
    add(FAULT_CRASH, 5, 2 * SEC, 3 * SEC, 0);
    stage_begin();
    run_until(2 * SEC + 1);
    uint32_t down = 0;
    for (uint32_t i = 0; i < w->count; i++) {
        ck_assert_int_eq(w->node[i].core == NULL, is_target(0, i));
        down += w->node[i].core == NULL;
    }
    ck_assert_uint_eq(down, 5);
    ck_assert_uint_eq(w->fault[0].struck, 5);
    run_until(5 * SEC - 1);
    for (uint32_t i = 0; i < w->count; i++)
        ck_assert_int_eq(w->node[i].core == NULL, is_target(0, i));
    finish();
    for (uint32_t i = 0; i < w->count; i++)
        ck_assert_uint_eq(w->node[i].boot, is_target(0, i) ? 2 : 1);
    ck_assert_uint_eq(w->unheld, 0);
}
END_TEST

START_TEST(a_crash_without_a_time_scatters)
{
    add(FAULT_CRASH, DEVICES, 0, 0, 0);
    run();
    uint32_t twice = 0;
    for (uint32_t i = 1; i < w->count; i++)
        twice += w->node[i].boot == 2;
    ck_assert_uint_gt(twice, DEVICES / 3);
    ck_assert_uint_eq(w->unheld, 0);
}
END_TEST

START_TEST(power_is_back_when_the_last_fault_lets_go)
{
    add(FAULT_CRASH, 0, 1 * SEC, 4 * SEC, 0);
    add(FAULT_CRASH, 0, 3 * SEC, 6 * SEC, 0);
    stage_begin();
    for (usec t = SEC + 1; t < 9 * SEC; t += SEC / 2) {
        run_until(t);
        for (uint32_t i = 1; i < w->count; i++)
            ck_assert_ptr_null(w->node[i].core);
    }
    finish();
    ck_assert_uint_eq(w->node[1].boot, 2);
}
END_TEST

START_TEST(who_is_to_join_without_power_joins_when_it_is_back)
{
    scn->group[1].join = 4 * SEC;
    add(FAULT_CRASH, 0, 1 * SEC, 9 * SEC, 0);
    stage_begin();
    run_until(10 * SEC - 1);
    for (uint32_t i = 1; i < w->count; i++)
        ck_assert_uint_eq(w->node[i].boot, 0);
    finish();
    ck_assert_uint_eq(w->node[1].boot, 1);
    ck_assert_uint_eq(w->unheld, 0);
}
END_TEST

START_TEST(a_place_goes_dark_as_a_whole)
{
    uint32_t site = add_site(4);
    scn->group[1].site = site;
    scn->group[1].count = 3;
    add(FAULT_SITE_CRASH, 2, 2 * SEC, 2 * SEC, 0)->site = site;
    stage_begin();
    run_until(2 * SEC + 1);
    uint32_t dark = 0;
    for (uint32_t p = 0; p < w->places; p++) {
        uint32_t down = 0;
        for (uint32_t i = 0; i < w->place[p].nodes; i++)
            down += w->node[w->place[p].node[i]].core == NULL;
        ck_assert(down == 0 || down == 3);
        dark += down == 3;
    }
    ck_assert_uint_eq(dark, 2);
    ck_assert_ptr_nonnull(w->node[VERIFY].core);
    finish();
    ck_assert_uint_eq(w->unheld, 0);
}
END_TEST

START_TEST(who_churns_leaves_and_comes_back)
{
    scn->release[0].size = 8 * MIB;
    add(FAULT_CHURN, 4, SEC, 40 * SEC, 3);
    run();
    uint32_t most = 0;
    for (uint32_t i = 0; i < w->count; i++) {
        ck_assert_ptr_nonnull(w->node[i].core);
        most = w->node[i].boot > most ? w->node[i].boot : most;
        if (!is_target(0, i))
            ck_assert_uint_eq(w->node[i].boot, 1);
    }
    ck_assert_uint_gt(most, 2);
    ck_assert_uint_eq(w->unheld, 0);
}
END_TEST

/* A core that were told another time of day would do the same as one that just lost power. */
START_TEST(a_wrong_clock_changes_nothing)
{
    usec held[3][DEVICES + 1];
    uint64_t steps[3];
    for (uint32_t k = 0; k < 3; k++) {
        scn->faults = 0;
        if (k < 2)
            add(FAULT_CLOCK, 6, 2 * SEC, 60 * SEC, k);
        else
            add(FAULT_CRASH, 6, 2 * SEC, SEC, 0);
        stage_begin();
        run_until(3 * SEC + SEC / 100);
        for (uint32_t i = 0; i < w->count; i++) {
            usec now = node_clock(&w->node[i], w->now);
            if (!is_target(0, i) || k == 2)
                ck_assert_uint_eq(now, w->now);
            else if (k == 0)
                ck_assert_uint_le(now, SEC / 50);
            else
                ck_assert_uint_gt(now, (usec)1 << 62);
        }
        finish();
        for (uint32_t i = 0; i < w->count; i++)
            held[k][i] = w->node[i].held_at;
        steps[k] = w->steps;
    }
    /* From zero on, the first half second differs: nothing can be half a second ago. */
    for (uint32_t i = 1; i <= DEVICES; i++) {
        ck_assert_uint_ne(held[0][i], USEC_NEVER);
        ck_assert_uint_eq(held[1][i], held[2][i]);
    }
    ck_assert_uint_eq(steps[1], steps[2]);
}
END_TEST

/* ---- links ---- */

START_TEST(a_link_that_breaks_is_gone_at_both_ends)
{
    scn->release[0].size = 64 * MIB;
    stage_begin();
    run_until(2 * SEC);
    uint32_t links = w->node[1].links;
    ck_assert_uint_gt(links, 0);
    const struct wire_link *first = NULL;
    for (uint32_t i = w->node[1].ends; i != NONE && first == NULL; i = net_end_next(w, i)) {
        const struct wire_link *l = pool_at(&w->net.links, i / 2);
        first = l->end[i % 2].state == END_UP ? l : NULL;
    }
    ck_assert_ptr_nonnull(first);
    uint32_t generation = first->generation, far = first->end[first->end[0].node == 1].node;
    uint32_t far_links = w->node[far].links;
    ck_assert(net_cut(w, 1, 0));
    run_until(w->now + 1);
    ck_assert_uint_eq(w->node[1].links, links - 1);
    ck_assert_uint_eq(w->node[far].links, far_links - 1);
    run_until(w->now + 10 * SEC); /* the last tick that names it is the end of the time to dial */
    ck_assert_uint_ne(first->generation, generation); /* its place is free, or another's */
    world_crash(w, 1);
    ck_assert(!net_cut(w, 1, 0));
}
END_TEST

START_TEST(links_break_and_are_made_anew)
{
    scn->release[0].size = 8 * MIB;
    add(FAULT_BREAK, 0, 0, 30 * SEC, 60);
    run();
    ck_assert_uint_gt(w->fault[0].struck, 20);
    ck_assert_uint_eq(w->unheld, 0);
    for (uint32_t i = 1; i < w->count; i++)
        ck_assert_uint_eq(w->node[i].boot, 1);
}
END_TEST

/* ---- the way ---- */

/* Counts what nodes on both sides say to each other, as their links know it. */
static uint32_t links_across(uint32_t fault)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < w->net.links.count; i++) {
        const struct wire_link *l = pool_at(&w->net.links, i);
        if (l->end[0].state == END_UP && l->end[1].state == END_UP)
            count += is_target(fault, l->end[0].node) != is_target(fault, l->end[1].node);
    }
    return count;
}

START_TEST(nothing_crosses_a_partition_while_it_lasts)
{
    scn->release[0].size = 8 * MIB;
    struct scn_fault *f = add(FAULT_PARTITION, 5, SEC / 10, 60 * SEC, 0);
    stage_begin();
    /* What was in the air when it began arrives; nobody of the targets knows of the release. */
    run_until(SEC / 2);
    for (usec t = SEC; t < 60 * SEC; t += SEC) {
        run_until(t);
        for (uint32_t i = 0; i < w->count; i++) {
            ck_assert_int_eq(weather_open(w, i, VERIFY), !is_target(0, i));
            if (is_target(0, i))
                ck_assert_uint_eq(blocks_of(i), 0);
        }
    }
    ck_assert_uint_eq(links_across(0), 0);
    for (uint32_t i = 1; i < w->count; i++)
        ck_assert_int_eq(w->node[i].held_at == USEC_NEVER, is_target(0, i));
    finish();
    ck_assert_uint_eq(w->unheld, 0);
    ck_assert_uint_gt(makespan(), f->at + f->lasts);
    ck_assert_uint_gt(links_across(0), 0);
}
END_TEST

START_TEST(a_one_way_cut_lets_the_other_way_pass)
{
    add(FAULT_ONE_WAY, 3, SEC / 10, 40 * SEC, 0);
    stage_begin();
    run_until(SEC);
    for (uint32_t i = 0; i < w->count; i++)
        for (uint32_t k = 0; k < w->count; k++)
            ck_assert_int_eq(weather_open(w, i, k), !is_target(0, i) || is_target(0, k));
    run_until(40 * SEC);
    for (uint32_t i = 1; i < w->count; i++)
        ck_assert_int_eq(w->node[i].held_at == USEC_NEVER, is_target(0, i));
    finish();
    ck_assert_uint_eq(w->unheld, 0);
}
END_TEST

START_TEST(loss_is_delay)
{
    usec plain = plain_makespan();
    for (uint32_t strength = 20; strength <= 320; strength *= 4) {
        scn->faults = 0;
        add(FAULT_LOSS, 0, 0, 300 * SEC, strength);
        run();
        ck_assert_uint_eq(w->unheld, 0);
        if (strength == 320)
            ck_assert_uint_gt(makespan(), plain * 4 / 3);
        /* So many of a thousand messages wait for their second try. */
        uint32_t late = 0;
        w->now = SEC;
        weather_begin(w, 0, FAULT_LOSS, strength, &w->fault[0].rng);
        weather_strike(w, 0, 1);
        for (uint32_t i = 0; i < 4000; i++)
            late += weather_delay(w, 1, 2) >= SEC / 5;
        ck_assert_uint_gt(late, strength * 3);
        ck_assert_uint_lt(late, strength * 5);
        ck_assert_uint_eq(weather_delay(w, 2, 3), 0);
    }
}
END_TEST

START_TEST(slow_nodes_are_slow)
{
    usec plain = plain_makespan();
    add(FAULT_SLOW, 4, 0, 300 * SEC, 50);
    stage_begin();
    run_until(SEC / 2);
    for (uint32_t i = 0; i < w->count; i++)
        ck_assert_uint_eq(weather_rate(w, i), is_target(0, i) ? 50 : 1000);
    finish();
    ck_assert_uint_eq(w->unheld, 0);
    /* A twentieth of 50 Mbit takes 6.7 s for 2 MiB. */
    for (uint32_t i = 1; i < w->count; i++)
        if (is_target(0, i))
            ck_assert_uint_gt(w->node[i].held_at, 6 * SEC);
    ck_assert_uint_gt(makespan(), plain);
}
END_TEST

START_TEST(nothing_moves_at_a_node_that_stalls)
{
    scn->release[0].size = 8 * MIB;
    add(FAULT_STALL, 4, SEC, 20 * SEC, 0);
    stage_begin();
    run_until(SEC + SEC / 4);
    uint32_t had[DEVICES + 1], boots = 0;
    for (uint32_t i = 0; i < w->count; i++)
        had[i] = blocks_of(i);
    run_until(20 * SEC);
    for (uint32_t i = 1; i < w->count; i++) {
        if (is_target(0, i))
            ck_assert_uint_le(blocks_of(i), had[i] + 1);
        boots += w->node[i].boot;
    }
    ck_assert_uint_eq(boots, DEVICES);
    finish();
    ck_assert_uint_eq(w->unheld, 0);
}
END_TEST

START_TEST(the_worst_of_two_counts_and_both_heal)
{
    add(FAULT_SLOW, 0, SEC, 10 * SEC, 500);
    add(FAULT_SLOW, 0, 2 * SEC, 2 * SEC, 100);
    add(FAULT_STALL, 0, 3 * SEC, SEC / 2, 0);
    stage_begin();
    const uint32_t want[][2] = {{500, 1000}, {1500, 500}, {2500, 100},  {3200, 0},
                                {3700, 100}, {4500, 500}, {11500, 1000}};
    for (uint32_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
        stage_reach(want[i][0] * SEC / 1000);
        ck_assert_uint_eq(weather_rate(w, 1), want[i][1]);
    }
}
END_TEST

START_TEST(datagrams_are_lost_where_the_lan_is_bad)
{
    uint32_t site = add_site(1);
    scn->site[site].lan = true;
    scn->group[1].site = site;
    add(FAULT_LAN_LOSS, 1, SEC, 10 * SEC, 1000);
    add(FAULT_LAN_LOSS, 0, 20 * SEC, 10 * SEC, 500)->site = site;
    stage_begin();
    run_until(2 * SEC);
    uint32_t struck = w->fault[0].target[0], lost = 0;
    uint32_t other = struck == 1 ? 2 : 1, third = struck == 3 ? 4 : 3;
    ck_assert(weather_lost(w, struck, other));
    ck_assert(weather_lost(w, other, struck));
    ck_assert(!weather_lost(w, other, third));
    ck_assert_uint_eq(weather_delay(w, struck, other), 0);
    run_until(21 * SEC);
    for (uint32_t i = 0; i < 1000; i++)
        lost += weather_lost(w, other, third);
    ck_assert_uint_gt(lost, 400);
    ck_assert_uint_lt(lost, 600);
    finish();
    ck_assert(!weather_lost(w, struck, other));
}
END_TEST

/* ---- disks ---- */

START_TEST(nothing_is_kept_while_a_disk_is_full_and_nothing_is_lost)
{
    scn->release[0].size = 8 * MIB;
    add(FAULT_DISK_FULL, 4, SEC, 20 * SEC, 0);
    stage_begin();
    run_until(SEC + 5000);
    uint32_t had[DEVICES + 1];
    for (uint32_t i = 0; i < w->count; i++)
        had[i] = blocks_of(i);
    for (usec t = 2 * SEC; t < 21 * SEC; t += SEC) {
        run_until(t);
        for (uint32_t i = 0; i < w->count; i++)
            if (is_target(0, i))
                ck_assert_uint_eq(blocks_of(i), had[i]);
    }
    for (uint32_t i = 1; i < w->count; i++)
        ck_assert_int_eq(w->node[i].held_at == USEC_NEVER, is_target(0, i));
    finish();
    ck_assert_uint_eq(w->unheld, 0);
    for (uint32_t i = 1; i < w->count; i++)
        ck_assert_uint_eq(blocks_of(i), 8 * MIB / BLOCK_LEN);
}
END_TEST

START_TEST(a_disk_that_fails_now_and_then_delays)
{
    usec plain = plain_makespan();
    add(FAULT_DISK_ERROR, 4, SEC / 2, 30 * SEC, 200);
    run();
    ck_assert_uint_gt(makespan(), plain);
    ck_assert_uint_eq(w->unheld, 0);
}
END_TEST

START_TEST(a_slow_disk_delays)
{
    usec plain = plain_makespan();
    add(FAULT_SLOW_DISK, 0, 0, 60 * SEC, 100);
    run();
    ck_assert_uint_gt(makespan(), plain);
    ck_assert_uint_eq(w->unheld, 0);
}
END_TEST

/* One device holds the image, all of it rotten, when another comes to fetch it. */
START_TEST(a_rotten_block_is_withdrawn_and_fetched_again)
{
    scn->groups = 3;
    scn->group[2] = scn->group[1];
    memcpy(scn->group[2].name, "later", 6);
    scn->group[1].count = 1;
    scn->group[2].count = 3;
    scn->group[2].join = 20 * SEC;
    scn->group[0].up = scn->group[0].down = 125000;
    scn->release[0].size = MIB;
    struct scn_fault *f = add(FAULT_BIT_ROT, 0, 15 * SEC, SEC, 64);
    f->group = 1;
    stage_begin();
    run_until(15 * SEC + 1);
    ck_assert_uint_ne(w->node[1].held_at, USEC_NEVER);
    ck_assert(w->node[1].rotten);
    const struct disk_slot *s = &w->node[1].disk.slot[0];
    ck_assert_uint_eq(s->rotten, MIB / BLOCK_LEN);
    uint32_t least = s->blocks_have;
    while (world_step(w))
        least = s->blocks_have < least ? s->blocks_have : least;
    check_end(w);
    expect_no_violation();
    ck_assert_uint_lt(least, MIB / BLOCK_LEN);
    ck_assert_uint_lt(s->rotten, MIB / BLOCK_LEN);
    uint32_t bans = 0;
    for (uint32_t i = 2; i < w->count; i++) {
        struct node_status st;
        node_status(w->node[i].core, &st);
        bans += st.bans;
        ck_assert_uint_ne(w->node[i].held_at, USEC_NEVER);
        ck_assert_uint_eq(w->node[i].disk.slot[0].rotten, 0);
    }
    ck_assert_uint_gt(bans, 0);
}
END_TEST

START_TEST(rot_waits_for_something_to_rot)
{
    add(FAULT_BIT_ROT, 2, 0, 60 * SEC, 3);
    stage_begin();
    ck_assert(!w->node[w->fault[0].target[0]].rotten);
    run_until(50 * SEC);
    ck_assert_uint_eq(w->fault[0].struck, 6);
    ck_assert(w->node[w->fault[0].target[0]].rotten);
    ck_assert(w->node[w->fault[0].target[1]].rotten);
}
END_TEST

/* ---- who is gone ---- */

START_TEST(who_is_gone_stays_away_and_is_not_missed)
{
    add(FAULT_GONE, 3, 2 * SEC, 0, 0);
    run();
    uint32_t gone = 0;
    for (uint32_t i = 1; i < w->count; i++) {
        gone += w->node[i].gone;
        ck_assert_int_eq(w->node[i].gone, is_target(0, i));
        if (!w->node[i].gone)
            ck_assert_uint_ne(w->node[i].held_at, USEC_NEVER);
        else
            ck_assert_ptr_null(w->node[i].core);
    }
    ck_assert_uint_eq(gone, 3);
    ck_assert_uint_eq(w->unheld, 0);
    ck_assert_uint_lt(w->now, 100 * SEC);
}
END_TEST

START_TEST(nobody_is_asked_for_what_nobody_has)
{
    scn->release[0].size = 8 * MIB;
    add(FAULT_GONE, 0, SEC, 0, 0)->group = 0;
    stage_begin();
    run_until(SEC + 1);
    ck_assert(w->node[VERIFY].gone);
    for (uint32_t i = 1; i < w->count; i++)
        ck_assert(fault_excused(w, i));
    scn->faults = 0;
    stage_begin();
    run_until(SEC + 1);
    for (uint32_t i = 1; i < w->count; i++)
        ck_assert(!fault_excused(w, i));
}
END_TEST

START_TEST(all_complete_without_the_vendor)
{
    scn->vendor_gone = true;
    run();
    ck_assert(w->node[VERIFY].gone);
    ck_assert_uint_eq(w->unheld, 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("sim fault");
    TCase *t = tcase_create("fault");
    suite_add_tcase(s, t);
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, setup, stage_clear);
    tcase_add_test(t, leaving_a_fault_out_leaves_the_others_alone);
    tcase_add_test(t, draws_do_not_depend_on_who_is_up);
    tcase_add_test(t, everybody_is_struck_when_no_count_is_said);
    tcase_add_test(t, a_crash_takes_power_and_gives_it_back);
    tcase_add_test(t, a_crash_without_a_time_scatters);
    tcase_add_test(t, power_is_back_when_the_last_fault_lets_go);
    tcase_add_test(t, who_is_to_join_without_power_joins_when_it_is_back);
    tcase_add_test(t, a_place_goes_dark_as_a_whole);
    tcase_add_test(t, who_churns_leaves_and_comes_back);
    tcase_add_test(t, a_wrong_clock_changes_nothing);
    tcase_add_test(t, a_link_that_breaks_is_gone_at_both_ends);
    tcase_add_test(t, links_break_and_are_made_anew);
    tcase_add_test(t, nothing_crosses_a_partition_while_it_lasts);
    tcase_add_test(t, a_one_way_cut_lets_the_other_way_pass);
    tcase_add_test(t, loss_is_delay);
    tcase_add_test(t, slow_nodes_are_slow);
    tcase_add_test(t, nothing_moves_at_a_node_that_stalls);
    tcase_add_test(t, the_worst_of_two_counts_and_both_heal);
    tcase_add_test(t, datagrams_are_lost_where_the_lan_is_bad);
    tcase_add_test(t, nothing_is_kept_while_a_disk_is_full_and_nothing_is_lost);
    tcase_add_test(t, a_disk_that_fails_now_and_then_delays);
    tcase_add_test(t, a_slow_disk_delays);
    tcase_add_test(t, a_rotten_block_is_withdrawn_and_fetched_again);
    tcase_add_test(t, rot_waits_for_something_to_rot);
    tcase_add_test(t, who_is_gone_stays_away_and_is_not_missed);
    tcase_add_test(t, nobody_is_asked_for_what_nobody_has);
    tcase_add_test(t, all_complete_without_the_vendor);
    return test_run(s);
}
