/* Places and their lines, NAT, the LAN, cuts and what TCP makes of them, slow start: around a core
 * that does what it is told. */
#include "address.h"
#include "checks.h"
#include "line.h"
#include "net.h"
#include "puppet.h"

#include <string.h>

#define RATE 1000000u /* of nodes: a byte takes a microsecond */
#define SLOW 100000u  /* of places: a byte takes ten */
#define RTT  100000u
#define NEAR 2000u /* round trip within a place */

/* Two places of three nodes, of which the second group's are behind a NAT; one node elsewhere. */
enum { ORIGIN, LEFT_A, LEFT_B, RIGHT_A, RIGHT_B, LEFT_NAT, RIGHT_NAT, ALONE };
enum { OPEN_GROUP = 1, NAT_GROUP, ALONE_GROUP };

static void set_rates(uint32_t rate)
{
    for (uint32_t i = 0; i < scn->groups; i++) {
        scn->group[i].up = rate;
        scn->group[i].down = rate;
    }
}

static void setup(void)
{
    stage_plan(11);
    scn->sites = 1;
    scn->site[0] =
        (struct scn_site){.name = "site", .count = 2, .up = SLOW, .down = SLOW, .rtt = NEAR};
    add_group("nat", 1)->nat = true;
    add_group("alone", 1);
    scn->group[OPEN_GROUP].count = 2;
    scn->group[OPEN_GROUP].site = 0;
    scn->group[NAT_GROUP].site = 0;
    set_rates(RATE);
    for (uint32_t i = 0; i < scn->groups; i++)
        scn->group[i].rtt = RTT;
    scn->release[0].size = 1 << 20;
}

static void say(uint32_t who, uint32_t link, uint32_t count)
{
    struct wire_msg m = {.id = MSG_have};
    for (uint32_t i = 0; i < count; i++)
        queue_msg(who, link, &m, NULL);
    world_drain(w, who);
}

/* From the origin, which has the image. */
static void send_blocks(uint32_t link, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        queue_block(ORIGIN, link, i);
    world_drain(w, ORIGIN);
}

/* What the first block of a link is on the line. */
#define BLOCK_WIRE (4u + 9u + BLOCK_LEN + 18u + 12u * LINE_HEADER)

static usec message_at(uint32_t who, uint32_t nth)
{
    const struct stub_seen *s = stub_find(core(who), EV_MSG, nth);
    ck_assert_ptr_nonnull(s);
    return s->ev.now;
}

static void begin_linked(uint32_t from, uint32_t to, uint32_t *near, uint32_t *far)
{
    puppet_begin();
    link_two(from, to, near, far);
}

/* How many events of a type it has had so far. */
static void expect_seen(uint32_t who, enum event_type type, uint32_t count)
{
    ck_assert_uint_eq(stub_seen_of(core(who), type), count);
}

/* Its first link that ended or dial that failed, which did so for want of an answer. */
static const struct stub_seen *timed_out(uint32_t who)
{
    const struct stub_seen *down = stub_find(core(who), EV_DOWN, 0);
    ck_assert_ptr_nonnull(down);
    ck_assert_int_eq(down->ev.err, E_TIMEOUT);
    return down;
}

/* ---- places ---- */

START_TEST(nodes_of_a_place_are_numbered_by_place)
{
    puppet_begin();
    ck_assert_uint_eq(w->count, 8);
    ck_assert_uint_eq(w->places, 2);
    ck_assert_uint_eq(w->node[LEFT_A].place, w->node[LEFT_NAT].place);
    ck_assert_uint_eq(w->node[RIGHT_A].place, w->node[RIGHT_NAT].place);
    ck_assert_uint_ne(w->node[LEFT_A].place, w->node[RIGHT_A].place);
    ck_assert_uint_eq(w->node[ALONE].place, NONE);
    ck_assert_uint_eq(w->place[0].nodes, 3);
    ck_assert(w->node[LEFT_NAT].nat && !w->node[LEFT_A].nat);
}
END_TEST

START_TEST(an_address_leads_to_its_node_and_no_other_does)
{
    scn->group[OPEN_GROUP].count = 300;
    stage_begin();
    for (uint32_t i = 0; i < w->count; i++)
        ck_assert_uint_eq(address_node(w, &w->node[i].addr), i);
    uint32_t found = 0;
    struct addr a = w->node[0].addr;
    for (uint32_t i = 0; i < 1u << 16; i++) {
        a.ip[1] = (uint8_t)(i >> 14);
        a.ip[2] = (uint8_t)(i >> 6);
        a.ip[3] = (uint8_t)((i & 63) * 4);
        uint32_t node = address_node(w, &a);
        found += node != NONE;
        ck_assert(node == NONE || addr_equal(&a, &w->node[node].addr));
    }
    ck_assert_uint_gt(found, w->count / 5);
    a = w->node[1].addr;
    a.port++;
    ck_assert_uint_eq(address_node(w, &a), NONE);
    /* More than 250 nodes of a place need a second network, which is the place's too. */
    ck_assert_int_eq(memcmp(w->node[1].addr.ip, w->node[250].addr.ip, 3), 0);
    ck_assert_int_ne(memcmp(w->node[1].addr.ip, w->node[251].addr.ip, 3), 0);
}
END_TEST

START_TEST(what_enters_a_place_passes_its_line)
{
    uint32_t near, far;
    begin_linked(LEFT_A, ORIGIN, &near, &far);
    usec from = w->now;
    send_blocks(far, 1);
    run_until(from + SEC);
    /* The node's line twice, the place's once. */
    ck_assert_uint_eq(message_at(LEFT_A, 0),
                      from + BLOCK_WIRE * (1 + 10 + 1) + address_latency(w, 0, LEFT_A));
    ck_assert_uint_eq(w->place[0].image_in, BLOCK_LEN);
    ck_assert_uint_eq(w->place[1].image_in, 0);
    ck_assert_uint_eq(w->violations, 0);
}
END_TEST

START_TEST(what_stays_in_a_place_does_not)
{
    uint32_t near, far;
    begin_linked(LEFT_A, LEFT_B, &near, &far);
    usec from = w->now, way = address_latency(w, LEFT_A, LEFT_B);
    ck_assert_uint_le(way, NEAR / 2 * 11 / 10);
    say(LEFT_A, near, 1);
    run_until(from + SEC);
    ck_assert_uint_eq(message_at(LEFT_B, 0), from + 2 * line_bytes(0, 4 + 5 + 18) + way);
}
END_TEST

START_TEST(two_nodes_of_a_place_share_its_line)
{
    uint32_t near, far_a, far_b;
    puppet_begin();
    link_two(LEFT_A, ORIGIN, &near, &far_a);
    link_two(LEFT_B, ORIGIN, &near, &far_b);
    usec from = w->now;
    send_blocks(far_a, 1);
    send_blocks(far_b, 1);
    run_until(from + SEC);
    /* The second waits for the first at the place's line. */
    usec a = message_at(LEFT_A, 0), b = message_at(LEFT_B, 0);
    usec last = a > b ? a : b;
    ck_assert_uint_ge(last, from + BLOCK_WIRE * (1 + 10 + 10 + 1) + RTT / 2 * 9 / 10);
    ck_assert_uint_le(last, from + BLOCK_WIRE * (1 + 10 + 10 + 1) + RTT / 2 * 11 / 10);
}
END_TEST

/* Both nodes of the left place have a link to the origin; the first says a lot. */
#define WORDS   480u /* about a second of the place's line, all of it in the kernel */
#define AT_ONCE 60u
#define WORD    200u

static void say_much(uint32_t who, uint32_t link)
{
    static const uint8_t map[WORD];
    struct wire_msg m = {.id = MSG_haves};
    m.haves.map = bytes_of(map, sizeof(map));
    for (uint32_t i = 0; i < AT_ONCE; i++)
        queue_msg(who, link, &m, NULL);
    world_drain(w, who);
}

static void begin_talk(uint32_t near[2], uint32_t far[2])
{
    puppet_begin();
    link_two(LEFT_A, ORIGIN, &near[0], &far[0]);
    link_two(LEFT_B, ORIGIN, &near[1], &far[1]);
    for (uint32_t said = 0; said < WORDS; said += AT_ONCE)
        say_much(LEFT_A, near[0]);
}

static void hang_up(uint32_t who, uint32_t link)
{
    const struct action bye = {.type = ACT_CLOSE, .link = link, .err = E_LIMIT};
    act(who, &bye, NULL, 0);
    run_for(SEC / 10);
}

/* How many messages the origin has had on a link. */
static uint32_t heard_on(uint32_t link)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < stub_seen_of(core(ORIGIN), EV_MSG); i++)
        count += stub_find(core(ORIGIN), EV_MSG, i)->ev.link == link;
    return count;
}

START_TEST(a_word_does_not_wait_for_all_that_another_has_to_say)
{
    uint32_t near[2], far[2];
    begin_talk(near, far);
    run_for(SEC / 10);
    say(LEFT_B, near[1], 1);
    run_for(SEC / 2 + RTT);
    ck_assert_uint_eq(heard_on(far[1]), 1);
    ck_assert_uint_gt(heard_on(far[0]), WORDS / 8);
    ck_assert_uint_lt(heard_on(far[0]), WORDS);
    run_for(2 * SEC);
    ck_assert_uint_eq(heard_on(far[0]), WORDS);
}
END_TEST

START_TEST(a_link_that_closes_has_no_better_turn)
{
    uint32_t near[2], far[2];
    begin_talk(near, far);
    hang_up(LEFT_A, near[0]);
    expect_seen(LEFT_A, EV_DOWN, 1); /* its core has heard it, its kernel is still at it */
    say(LEFT_B, near[1], 1);
    run_for(SEC / 2 + RTT);
    ck_assert_uint_eq(heard_on(far[1]), 1);
    ck_assert_uint_lt(heard_on(far[0]), WORDS);
    expect_seen(ORIGIN, EV_DOWN, 0);
    run_for(2 * SEC);
    ck_assert_uint_eq(heard_on(far[0]), WORDS);
    expect_seen(ORIGIN, EV_DOWN, 1);
}
END_TEST

START_TEST(what_a_closed_link_had_to_say_goes_with_its_machine)
{
    uint32_t near[2], far[2];
    begin_talk(near, far);
    hang_up(LEFT_A, near[0]);
    world_crash(w, LEFT_A);
    run_for(3 * SEC);
    ck_assert_uint_lt(heard_on(far[0]), WORDS);
}
END_TEST

START_TEST(places_are_as_far_away_as_their_groups)
{
    scn->group[ALONE_GROUP].rtt = 3 * RTT;
    puppet_begin();
    usec way = address_latency(w, ALONE, LEFT_A);
    ck_assert_uint_ge(way, RTT * 9 / 10);
    ck_assert_uint_le(way, RTT * 11 / 10);
    ck_assert_uint_eq(way, address_latency(w, LEFT_A, ALONE));
}
END_TEST

/* ---- NAT ---- */

START_TEST(nobody_outside_reaches_a_node_behind_a_nat)
{
    puppet_begin();
    const struct sim_node *n = &w->node[LEFT_NAT];
    dial(ALONE, &n->addr);
    run_until(20 * SEC);
    ck_assert_uint_eq(timed_out(ALONE)->ev.now, 9 * SEC);
    expect_seen(LEFT_NAT, EV_UP, 0);
    /* Its public address leads to nobody, from inside either. */
    struct addr seen = address_seen(w, LEFT_NAT, ALONE);
    ck_assert(!addr_equal(&seen, &n->addr));
    ck_assert_uint_eq(address_node(w, &seen), NONE);
    dial(LEFT_A, &seen);
    run_until(40 * SEC);
    expect_seen(LEFT_A, EV_UP, 0);
    ck_assert_uint_eq(pool_used(&w->net.links), 0);
}
END_TEST

START_TEST(inside_its_place_and_outwards_nat_hinders_nothing)
{
    uint32_t near, far;
    begin_linked(LEFT_A, LEFT_NAT, &near, &far);
    const struct addr *inside = &stub_find(core(LEFT_NAT), EV_UP, 0)->ev.up.addr;
    ck_assert_mem_eq(inside->ip, w->node[LEFT_A].addr.ip, 4);
    link_two(LEFT_NAT, ORIGIN, &near, &far);
    link_two(RIGHT_NAT, ORIGIN, &near, &far);
    link_two(LEFT_NAT, LEFT_B, &near, &far);
    /* Outside, each is its place's public address. */
    struct addr left = stub_find(core(ORIGIN), EV_UP, 0)->ev.up.addr;
    struct addr right = stub_find(core(ORIGIN), EV_UP, 1)->ev.up.addr;
    ck_assert_mem_ne(left.ip, w->node[LEFT_NAT].addr.ip, 4);
    ck_assert_mem_eq(left.ip, w->node[LEFT_NAT].addr.ip, 3);
    ck_assert_mem_ne(left.ip, right.ip, 3);
    const struct addr *b = &stub_find(core(LEFT_B), EV_UP, 0)->ev.up.addr;
    ck_assert_mem_eq(b->ip, w->node[LEFT_NAT].addr.ip, 4);
}
END_TEST

/* ---- LAN ---- */

START_TEST(a_datagram_reaches_everybody_of_its_place)
{
    scn->site[0].lan = true;
    puppet_begin();
    struct action a = {.type = ACT_CAST};
    act(LEFT_A, &a, "hello", 5);
    run_until(2 * SEC);
    const uint32_t hears[] = {LEFT_B, LEFT_NAT}, not [] = {ORIGIN, LEFT_A, RIGHT_A, ALONE};
    for (uint32_t i = 0; i < 2; i++) {
        const struct stub_seen *s = stub_find(core(hears[i]), EV_DATAGRAM, 0);
        ck_assert_ptr_nonnull(s);
        ck_assert(addr_equal(&s->ev.datagram.from, &w->node[LEFT_A].addr));
        ck_assert_uint_eq(s->ev.datagram.data.n, 5);
        ck_assert_uint_eq(s->ev.now, SEC + 5 + 42 + NEAR / 2);
    }
    for (uint32_t i = 0; i < 4; i++)
        expect_seen(not [i], EV_DATAGRAM, 0);
    ck_assert_uint_eq(w->net.cast_bytes, 47);
    ck_assert_uint_eq(pool_used(&w->net.casts), 0);
}
END_TEST

START_TEST(where_there_is_no_lan_speaking_to_it_is_found)
{
    puppet_begin();
    struct action a = {.type = ACT_CAST};
    act(LEFT_A, &a, "hello", 5);
    bool found = false;
    for (uint32_t i = 0; i < w->violations; i++)
        found = found || strstr(w->violation[i].what, "there is none") != NULL;
    ck_assert(found);
}
END_TEST

/* ---- cuts ---- */

/* A fault of the one that is alone. */
static void cut(enum fault_kind kind, usec at, usec lasts)
{
    scn->fault[scn->faults] = (struct scn_fault){.number = scn->faults + 1,
                                                 .kind = kind,
                                                 .group = ALONE_GROUP,
                                                 .site = NONE,
                                                 .at = at,
                                                 .lasts = lasts};
    scn->faults++;
}

/* The same while it has a link to the origin; a second has passed since. */
static void cut_link(enum fault_kind kind, usec lasts, uint32_t *near, uint32_t *far)
{
    cut(kind, 4 * SEC, lasts);
    begin_linked(ALONE, ORIGIN, near, far);
    run_until(5 * SEC);
}

START_TEST(what_a_partition_holds_back_comes_when_it_heals)
{
    uint32_t near, far;
    cut_link(FAULT_PARTITION, 10 * SEC, &near, &far);
    say(ALONE, near, 1);
    run_until(7 * SEC);
    say(ALONE, near, 2);
    run_until(14 * SEC);
    expect_seen(ORIGIN, EV_MSG, 0);
    /* A retransmission is due within as long again as the silence lasted. */
    run_until(24 * SEC);
    expect_seen(ORIGIN, EV_MSG, 3);
    expect_seen(ALONE, EV_DOWN, 0);
    expect_seen(ORIGIN, EV_DOWN, 0);
}
END_TEST

START_TEST(a_link_does_not_outlive_half_a_minute_of_silence)
{
    uint32_t near, far;
    cut_link(FAULT_PARTITION, 200 * SEC, &near, &far);
    say(ALONE, near, 1);
    run_until(34 * SEC);
    expect_seen(ALONE, EV_DOWN, 0);
    run_until(36 * SEC);
    timed_out(ALONE);
    /* The other end has nothing to say: its keepalive finds out. */
    expect_seen(ORIGIN, EV_DOWN, 0);
    run_until(130 * SEC);
    expect_seen(ORIGIN, EV_DOWN, 1);
    expect_seen(ORIGIN, EV_MSG, 0);
    ck_assert_uint_eq(pool_used(&w->net.links), 0);
    ck_assert_uint_eq(pool_used(&w->net.parcels), 0);
    ck_assert_uint_eq(w->net.wire_sent, w->net.wire_received + w->net.wire_lost);
}
END_TEST

START_TEST(one_way_cuts_break_links_too)
{
    uint32_t near, far;
    cut_link(FAULT_ONE_WAY, 200 * SEC, &near, &far);
    say(ORIGIN, far, 1);
    run_until(6 * SEC);
    /* It arrives, but nothing acknowledges it. */
    expect_seen(ALONE, EV_MSG, 1);
    say(ORIGIN, far, 1);
    run_until(40 * SEC);
    expect_seen(ALONE, EV_MSG, 1);
    timed_out(ORIGIN);
}
END_TEST

START_TEST(nobody_dials_across_a_cut)
{
    cut(FAULT_PARTITION, SEC / 2, 100 * SEC);
    puppet_begin();
    dial(ALONE, &w->node[0].addr);
    run_until(12 * SEC);
    ck_assert_uint_eq(timed_out(ALONE)->ev.now, 9 * SEC);
}
END_TEST

START_TEST(nothing_moves_at_a_node_that_stalls)
{
    uint32_t near, far;
    cut_link(FAULT_STALL, 40 * SEC, &near, &far);
    say(ALONE, near, 1);
    say(ORIGIN, far, 1);
    run_until(43 * SEC);
    expect_seen(ALONE, EV_MSG, 0);
    expect_seen(ORIGIN, EV_MSG, 0);
    run_until(46 * SEC);
    expect_seen(ALONE, EV_MSG, 1);
    expect_seen(ORIGIN, EV_MSG, 1);
    expect_seen(ALONE, EV_DOWN, 0);
}
END_TEST

/* ---- the kernel ---- */

START_TEST(slow_start_lets_a_window_go_each_round_trip)
{
    uint32_t near, far;
    set_rates(1000 * RATE);
    begin_linked(ALONE, ORIGIN, &near, &far);
    usec from = w->now, trip = 2 * address_latency(w, 0, ALONE);
    send_blocks(far, 4);
    run_until(from + SEC);
    /* One block fills a window of ten segments; the next round trip has twice that. */
    ck_assert_uint_lt(message_at(ALONE, 0), from + trip);
    ck_assert_uint_ge(message_at(ALONE, 1), from + trip * 3 / 2);
    ck_assert_uint_lt(message_at(ALONE, 2), from + trip * 2);
    ck_assert_uint_ge(message_at(ALONE, 3), from + trip * 5 / 2);
}
END_TEST

/* How many bytes the origin's kernel has taken so far. */
static uint32_t taken(void)
{
    uint32_t sum = 0;
    for (uint32_t i = 0; i < stub_seen_of(core(ORIGIN), EV_SENT); i++)
        sum += stub_find(core(ORIGIN), EV_SENT, i)->ev.sent.bytes;
    return sum;
}

START_TEST(the_kernel_takes_so_much_and_no_more)
{
    uint32_t near, far;
    begin_linked(ALONE, ORIGIN, &near, &far);
    for (uint32_t i = 0; i < 3; i++)
        send_blocks(far, 4);
    ck_assert_uint_eq(taken(), 128 * 1024);
    run_until(w->now + SEC);
    ck_assert_uint_eq(taken(), 12 * (BLOCK_LEN + 9));
    expect_seen(ALONE, EV_MSG, 12);
    ck_assert_uint_eq(w->violations, 0);
}
END_TEST

START_TEST(a_crowd_that_dials_at_once_is_taken_in_turn)
{
    scn->group[ALONE_GROUP].count = 100;
    puppet_begin();
    for (uint32_t i = ALONE; i < ALONE + 100; i++)
        dial(i, &w->node[ORIGIN].addr);
    run_until(10 * SEC);
    /* Fifty a second behind a burst of sixteen, and only as many as it has room for. */
    uint32_t ups = stub_seen_of(core(ORIGIN), EV_UP);
    ck_assert_uint_eq(ups, w->node[0].limits->links);
    usec last = 0;
    uint32_t away = 0;
    for (uint32_t i = ALONE; i < ALONE + 100; i++) {
        const struct stub_seen *down = stub_find(core(i), EV_DOWN, 0);
        if (down == NULL)
            continue;
        away++;
        ck_assert_int_eq(down->ev.err, E_CLOSED);
        last = down->ev.now > last ? down->ev.now : last;
    }
    ck_assert_uint_eq(away, 100 - ups);
    ck_assert_uint_ge(last, SEC + (100 - 16) * SEC / 50);
    ck_assert_uint_le(last, 2 * SEC + (100 - 16) * SEC / 50);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("sim net");
    TCase *t = tcase_create("net");
    suite_add_tcase(s, t);
    tcase_add_checked_fixture(t, setup, stage_clear);
    tcase_add_test(t, nodes_of_a_place_are_numbered_by_place);
    tcase_add_test(t, an_address_leads_to_its_node_and_no_other_does);
    tcase_add_test(t, what_enters_a_place_passes_its_line);
    tcase_add_test(t, what_stays_in_a_place_does_not);
    tcase_add_test(t, two_nodes_of_a_place_share_its_line);
    tcase_add_test(t, a_word_does_not_wait_for_all_that_another_has_to_say);
    tcase_add_test(t, a_link_that_closes_has_no_better_turn);
    tcase_add_test(t, what_a_closed_link_had_to_say_goes_with_its_machine);
    tcase_add_test(t, places_are_as_far_away_as_their_groups);
    tcase_add_test(t, nobody_outside_reaches_a_node_behind_a_nat);
    tcase_add_test(t, inside_its_place_and_outwards_nat_hinders_nothing);
    tcase_add_test(t, a_datagram_reaches_everybody_of_its_place);
    tcase_add_test(t, where_there_is_no_lan_speaking_to_it_is_found);
    tcase_add_test(t, what_a_partition_holds_back_comes_when_it_heals);
    tcase_add_test(t, a_link_does_not_outlive_half_a_minute_of_silence);
    tcase_add_test(t, one_way_cuts_break_links_too);
    tcase_add_test(t, nobody_dials_across_a_cut);
    tcase_add_test(t, nothing_moves_at_a_node_that_stalls);
    tcase_add_test(t, slow_start_lets_a_window_go_each_round_trip);
    tcase_add_test(t, the_kernel_takes_so_much_and_no_more);
    tcase_add_test(t, a_crowd_that_dials_at_once_is_taken_in_turn);
    return test_run(s);
}
