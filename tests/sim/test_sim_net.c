/* Places and their lines, NAT, the LAN, cuts and what TCP makes of them, slow start: around a core
 * that does what it is told. */
#include "address.h"
#include "checks.h"
#include "fwswarm/wire.h"
#include "line.h"
#include "net.h"
#include "stub.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define RATE 1000000u /* of nodes: a byte takes a microsecond */
#define SLOW 100000u  /* of places: a byte takes ten */
#define RTT  100000u
#define NEAR 2000u /* round trip within a place */

/* Two places of three nodes, of which the second group's are behind a NAT; one node elsewhere. */
enum { ORIGIN, LEFT_A, LEFT_B, LEFT_NAT, RIGHT_A, RIGHT_B, RIGHT_NAT, ALONE };
static const uint32_t number[] = {[ORIGIN] = 0,  [LEFT_A] = 1,   [LEFT_B] = 2,    [RIGHT_A] = 3,
                                  [RIGHT_B] = 4, [LEFT_NAT] = 5, [RIGHT_NAT] = 6, [ALONE] = 7};

static struct scenario *scn;
static struct world *w;

static void setup(void)
{
    scn = sim_alloc(1, sizeof(*scn));
    scenario_default(scn);
    scn->seed = 11;
    scn->sites = 1;
    scn->site[0] =
        (struct scn_site){.name = "site", .count = 2, .up = SLOW, .down = SLOW, .rtt = NEAR};
    scn->groups = 4;
    scn->group[2] = scn->group[1];
    scn->group[3] = scn->group[1];
    scn->group[1].count = 2;
    scn->group[1].site = 0;
    scn->group[2].count = 1;
    scn->group[2].site = 0;
    scn->group[2].nat = true;
    scn->group[3].count = 1;
    for (uint32_t i = 0; i < scn->groups; i++) {
        scn->group[i].up = RATE;
        scn->group[i].down = RATE;
        scn->group[i].rtt = RTT;
    }
    scn->release[0].size = 1 << 20;
    w = NULL;
}

static void teardown(void)
{
    if (w != NULL)
        world_fini(w);
    free(w);
    free(scn);
}

static void run_until(usec at)
{
    while (heap_first(&w->heap) <= at || alarms_at(&w->alarms) <= at)
        ck_assert(world_step(w));
    w->now = at;
}

static void begin(void)
{
    const struct options opt = {0};
    w = sim_alloc(1, sizeof(*w));
    ck_assert(world_init(w, scn, &opt));
    stub_use(w);
    run_until(SEC);
}

static struct node *core(uint32_t who)
{
    return w->node[number[who]].core;
}

static void act(uint32_t who, const struct action *a, const void *head, uint32_t head_len)
{
    stub_do(core(who), a, head, head_len);
    world_drain(w, number[who]);
}

static void dial(uint32_t from, const struct addr *to)
{
    struct action a = {.type = ACT_DIAL, .op = 7};
    a.dial.addr = *to;
    act(from, &a, NULL, 0);
}

/* A link from one to another, which is new to both; their names of it. */
static void link_two(uint32_t from, uint32_t to, uint32_t *near, uint32_t *far)
{
    uint32_t ups = stub_seen_of(core(to), EV_UP), own = stub_seen_of(core(from), EV_UP);
    dial(from, &w->node[number[to]].addr);
    run_until(w->now + 2 * SEC);
    ck_assert_uint_eq(stub_seen_of(core(from), EV_UP), own + 1);
    *near = stub_find(core(from), EV_UP, own)->ev.link;
    *far = stub_find(core(to), EV_UP, ups)->ev.link;
}

static void say(uint32_t who, uint32_t link, uint32_t count)
{
    struct wire_msg m = {.id = MSG_have};
    uint8_t head[WIRE_HEAD_MAX];
    size_t n = wire_encode(&m, head);
    struct action a = {.type = ACT_SEND, .link = link};
    for (uint32_t i = 0; i < count; i++)
        stub_do(core(who), &a, head, (uint32_t)n);
    world_drain(w, number[who]);
}

/* From the origin, which has the image. */
static void send_blocks(uint32_t link, uint32_t count)
{
    const struct geometry *g = &w->release[0].geo;
    uint8_t head[WIRE_HEAD_MAX];
    for (uint32_t i = 0; i < count; i++) {
        struct wire_msg m = {.id = MSG_piece};
        m.piece.piece = i / g->piece_blocks;
        m.piece.begin = i % g->piece_blocks * BLOCK_LEN;
        struct action a = {.type = ACT_SEND, .link = link};
        a.send.span = (struct span){object_id(OBJ_IMAGE, 0), (uint64_t)i * BLOCK_LEN, BLOCK_LEN};
        stub_do(core(ORIGIN), &a, head, (uint32_t)wire_encode(&m, head));
    }
    world_drain(w, 0);
}

/* What the first block of a link is on the line. */
#define BLOCK_WIRE (4u + 9u + BLOCK_LEN + 18u + 12u * LINE_HEADER)

static usec message_at(uint32_t who, uint32_t nth)
{
    const struct stub_seen *s = stub_find(core(who), EV_MSG, nth);
    ck_assert_ptr_nonnull(s);
    return s->ev.now;
}

/* ---- places ---- */

START_TEST(nodes_of_a_place_are_numbered_by_place)
{
    begin();
    ck_assert_uint_eq(w->count, 8);
    ck_assert_uint_eq(w->places, 2);
    ck_assert_uint_eq(w->node[number[LEFT_A]].place, w->node[number[LEFT_NAT]].place);
    ck_assert_uint_eq(w->node[number[RIGHT_A]].place, w->node[number[RIGHT_NAT]].place);
    ck_assert_uint_ne(w->node[number[LEFT_A]].place, w->node[number[RIGHT_A]].place);
    ck_assert_uint_eq(w->node[number[ALONE]].place, NONE);
    ck_assert_uint_eq(w->place[0].nodes, 3);
    ck_assert(w->node[number[LEFT_NAT]].nat && !w->node[number[LEFT_A]].nat);
}
END_TEST

START_TEST(an_address_leads_to_its_node_and_no_other_does)
{
    scn->group[1].count = 300;
    const struct options opt = {0};
    w = sim_alloc(1, sizeof(*w));
    ck_assert(world_init(w, scn, &opt));
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
    begin();
    link_two(LEFT_A, ORIGIN, &near, &far);
    usec from = w->now;
    send_blocks(far, 1);
    run_until(from + SEC);
    /* The node's line twice, the place's once. */
    ck_assert_uint_eq(message_at(LEFT_A, 0),
                      from + BLOCK_WIRE * (1 + 10 + 1) + address_latency(w, 0, number[LEFT_A]));
    ck_assert_uint_eq(w->place[0].image_in, BLOCK_LEN);
    ck_assert_uint_eq(w->place[1].image_in, 0);
    ck_assert_uint_eq(w->violations, 0);
}
END_TEST

START_TEST(what_stays_in_a_place_does_not)
{
    uint32_t near, far;
    begin();
    link_two(LEFT_A, LEFT_B, &near, &far);
    usec from = w->now, way = address_latency(w, number[LEFT_A], number[LEFT_B]);
    ck_assert_uint_le(way, NEAR / 2 * 11 / 10);
    say(LEFT_A, near, 1);
    run_until(from + SEC);
    ck_assert_uint_eq(message_at(LEFT_B, 0), from + 2 * line_bytes(0, 4 + 5 + 18) + way);
}
END_TEST

START_TEST(two_nodes_of_a_place_share_its_line)
{
    uint32_t near, far_a, far_b;
    begin();
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

START_TEST(places_are_as_far_away_as_their_groups)
{
    scn->group[3].rtt = 3 * RTT;
    begin();
    usec way = address_latency(w, number[ALONE], number[LEFT_A]);
    ck_assert_uint_ge(way, RTT * 9 / 10);
    ck_assert_uint_le(way, RTT * 11 / 10);
    ck_assert_uint_eq(way, address_latency(w, number[LEFT_A], number[ALONE]));
}
END_TEST

/* ---- NAT ---- */

START_TEST(nobody_outside_reaches_a_node_behind_a_nat)
{
    begin();
    const struct sim_node *n = &w->node[number[LEFT_NAT]];
    dial(ALONE, &n->addr);
    run_until(20 * SEC);
    const struct stub_seen *down = stub_find(core(ALONE), EV_DOWN, 0);
    ck_assert_ptr_nonnull(down);
    ck_assert_int_eq(down->ev.err, E_TIMEOUT);
    ck_assert_uint_eq(down->ev.now, 9 * SEC);
    ck_assert_uint_eq(stub_seen_of(core(LEFT_NAT), EV_UP), 0);
    /* Its public address leads to nobody, from inside either. */
    struct addr seen = address_seen(w, number[LEFT_NAT], number[ALONE]);
    ck_assert(!addr_equal(&seen, &n->addr));
    ck_assert_uint_eq(address_node(w, &seen), NONE);
    dial(LEFT_A, &seen);
    run_until(40 * SEC);
    ck_assert_uint_eq(stub_seen_of(core(LEFT_A), EV_UP), 0);
    ck_assert_uint_eq(pool_used(&w->net.links), 0);
}
END_TEST

START_TEST(inside_its_place_and_outwards_nat_hinders_nothing)
{
    uint32_t near, far;
    begin();
    link_two(LEFT_A, LEFT_NAT, &near, &far);
    const struct addr *inside = &stub_find(core(LEFT_NAT), EV_UP, 0)->ev.up.addr;
    ck_assert_mem_eq(inside->ip, w->node[number[LEFT_A]].addr.ip, 4);
    link_two(LEFT_NAT, ORIGIN, &near, &far);
    link_two(RIGHT_NAT, ORIGIN, &near, &far);
    link_two(LEFT_NAT, LEFT_B, &near, &far);
    /* Outside, each is its place's public address. */
    struct addr left = stub_find(core(ORIGIN), EV_UP, 0)->ev.up.addr;
    struct addr right = stub_find(core(ORIGIN), EV_UP, 1)->ev.up.addr;
    ck_assert_mem_ne(left.ip, w->node[number[LEFT_NAT]].addr.ip, 4);
    ck_assert_mem_eq(left.ip, w->node[number[LEFT_NAT]].addr.ip, 3);
    ck_assert_mem_ne(left.ip, right.ip, 3);
    const struct addr *b = &stub_find(core(LEFT_B), EV_UP, 0)->ev.up.addr;
    ck_assert_mem_eq(b->ip, w->node[number[LEFT_NAT]].addr.ip, 4);
}
END_TEST

/* ---- LAN ---- */

START_TEST(a_datagram_reaches_everybody_of_its_place)
{
    scn->site[0].lan = true;
    begin();
    struct action a = {.type = ACT_CAST};
    act(LEFT_A, &a, "hello", 5);
    run_until(2 * SEC);
    const uint32_t hears[] = {LEFT_B, LEFT_NAT}, not [] = {ORIGIN, LEFT_A, RIGHT_A, ALONE};
    for (uint32_t i = 0; i < 2; i++) {
        const struct stub_seen *s = stub_find(core(hears[i]), EV_DATAGRAM, 0);
        ck_assert_ptr_nonnull(s);
        ck_assert(addr_equal(&s->ev.datagram.from, &w->node[number[LEFT_A]].addr));
        ck_assert_uint_eq(s->ev.datagram.data.n, 5);
        ck_assert_uint_eq(s->ev.now, SEC + 5 + 42 + NEAR / 2);
    }
    for (uint32_t i = 0; i < 4; i++)
        ck_assert_uint_eq(stub_seen_of(core(not [i]), EV_DATAGRAM), 0);
    ck_assert_uint_eq(w->net.cast_bytes, 47);
    ck_assert_uint_eq(pool_used(&w->net.casts), 0);
}
END_TEST

START_TEST(where_there_is_no_lan_speaking_to_it_is_found)
{
    begin();
    struct action a = {.type = ACT_CAST};
    act(LEFT_A, &a, "hello", 5);
    bool found = false;
    for (uint32_t i = 0; i < w->violations; i++)
        found = found || strstr(w->violation[i].what, "there is none") != NULL;
    ck_assert(found);
}
END_TEST

/* ---- cuts ---- */

static void cut(enum fault_kind kind, uint32_t group, usec at, usec lasts)
{
    scn->fault[scn->faults] = (struct scn_fault){.number = scn->faults + 1,
                                                 .kind = kind,
                                                 .group = group,
                                                 .site = NONE,
                                                 .at = at,
                                                 .lasts = lasts};
    scn->faults++;
}

START_TEST(what_a_partition_holds_back_comes_when_it_heals)
{
    uint32_t near, far;
    cut(FAULT_PARTITION, 3, 4 * SEC, 10 * SEC);
    begin();
    link_two(ALONE, ORIGIN, &near, &far);
    run_until(5 * SEC);
    say(ALONE, near, 1);
    run_until(7 * SEC);
    say(ALONE, near, 2);
    run_until(14 * SEC);
    ck_assert_uint_eq(stub_seen_of(core(ORIGIN), EV_MSG), 0);
    /* A retransmission is due within as long again as the silence lasted. */
    run_until(24 * SEC);
    ck_assert_uint_eq(stub_seen_of(core(ORIGIN), EV_MSG), 3);
    ck_assert_uint_eq(stub_seen_of(core(ALONE), EV_DOWN), 0);
    ck_assert_uint_eq(stub_seen_of(core(ORIGIN), EV_DOWN), 0);
}
END_TEST

START_TEST(a_link_does_not_outlive_half_a_minute_of_silence)
{
    uint32_t near, far;
    cut(FAULT_PARTITION, 3, 4 * SEC, 200 * SEC);
    begin();
    link_two(ALONE, ORIGIN, &near, &far);
    run_until(5 * SEC);
    say(ALONE, near, 1);
    run_until(34 * SEC);
    ck_assert_uint_eq(stub_seen_of(core(ALONE), EV_DOWN), 0);
    run_until(36 * SEC);
    const struct stub_seen *down = stub_find(core(ALONE), EV_DOWN, 0);
    ck_assert_ptr_nonnull(down);
    ck_assert_int_eq(down->ev.err, E_TIMEOUT);
    /* The other end has nothing to say: its keepalive finds out. */
    ck_assert_uint_eq(stub_seen_of(core(ORIGIN), EV_DOWN), 0);
    run_until(130 * SEC);
    ck_assert_uint_eq(stub_seen_of(core(ORIGIN), EV_DOWN), 1);
    ck_assert_uint_eq(stub_seen_of(core(ORIGIN), EV_MSG), 0);
    ck_assert_uint_eq(pool_used(&w->net.links), 0);
    ck_assert_uint_eq(pool_used(&w->net.parcels), 0);
    ck_assert_uint_eq(w->net.wire_sent, w->net.wire_received + w->net.wire_lost);
}
END_TEST

START_TEST(one_way_cuts_break_links_too)
{
    uint32_t near, far;
    cut(FAULT_ONE_WAY, 3, 4 * SEC, 200 * SEC);
    begin();
    link_two(ALONE, ORIGIN, &near, &far);
    run_until(5 * SEC);
    say(ORIGIN, far, 1);
    run_until(6 * SEC);
    /* It arrives, but nothing acknowledges it. */
    ck_assert_uint_eq(stub_seen_of(core(ALONE), EV_MSG), 1);
    say(ORIGIN, far, 1);
    run_until(40 * SEC);
    ck_assert_uint_eq(stub_seen_of(core(ALONE), EV_MSG), 1);
    ck_assert_int_eq(stub_find(core(ORIGIN), EV_DOWN, 0)->ev.err, E_TIMEOUT);
}
END_TEST

START_TEST(nobody_dials_across_a_cut)
{
    cut(FAULT_PARTITION, 3, SEC / 2, 100 * SEC);
    begin();
    dial(ALONE, &w->node[0].addr);
    run_until(12 * SEC);
    const struct stub_seen *down = stub_find(core(ALONE), EV_DOWN, 0);
    ck_assert_ptr_nonnull(down);
    ck_assert_int_eq(down->ev.err, E_TIMEOUT);
    ck_assert_uint_eq(down->ev.now, 9 * SEC);
}
END_TEST

START_TEST(nothing_moves_at_a_node_that_stalls)
{
    uint32_t near, far;
    cut(FAULT_STALL, 3, 4 * SEC, 40 * SEC);
    begin();
    link_two(ALONE, ORIGIN, &near, &far);
    run_until(5 * SEC);
    say(ALONE, near, 1);
    say(ORIGIN, far, 1);
    run_until(43 * SEC);
    ck_assert_uint_eq(stub_seen_of(core(ALONE), EV_MSG), 0);
    ck_assert_uint_eq(stub_seen_of(core(ORIGIN), EV_MSG), 0);
    run_until(46 * SEC);
    ck_assert_uint_eq(stub_seen_of(core(ALONE), EV_MSG), 1);
    ck_assert_uint_eq(stub_seen_of(core(ORIGIN), EV_MSG), 1);
    ck_assert_uint_eq(stub_seen_of(core(ALONE), EV_DOWN), 0);
}
END_TEST

/* ---- the kernel ---- */

START_TEST(slow_start_lets_a_window_go_each_round_trip)
{
    uint32_t near, far;
    for (uint32_t i = 0; i < scn->groups; i++) {
        scn->group[i].up = 1000 * RATE;
        scn->group[i].down = 1000 * RATE;
    }
    begin();
    link_two(ALONE, ORIGIN, &near, &far);
    usec from = w->now, trip = 2 * address_latency(w, 0, number[ALONE]);
    send_blocks(far, 4);
    run_until(from + SEC);
    /* One block fills a window of ten segments; the next round trip has twice that. */
    ck_assert_uint_lt(message_at(ALONE, 0), from + trip);
    ck_assert_uint_ge(message_at(ALONE, 1), from + trip * 3 / 2);
    ck_assert_uint_lt(message_at(ALONE, 2), from + trip * 2);
    ck_assert_uint_ge(message_at(ALONE, 3), from + trip * 5 / 2);
}
END_TEST

START_TEST(the_kernel_takes_so_much_and_no_more)
{
    uint32_t near, far, credit = 0;
    begin();
    link_two(ALONE, ORIGIN, &near, &far);
    for (uint32_t i = 0; i < 3; i++)
        send_blocks(far, 4);
    for (uint32_t i = 0; i < stub_seen_of(core(ORIGIN), EV_SENT); i++)
        credit += stub_find(core(ORIGIN), EV_SENT, i)->ev.sent.bytes;
    ck_assert_uint_eq(credit, 128 * 1024);
    run_until(w->now + SEC);
    credit = 0;
    for (uint32_t i = 0; i < stub_seen_of(core(ORIGIN), EV_SENT); i++)
        credit += stub_find(core(ORIGIN), EV_SENT, i)->ev.sent.bytes;
    ck_assert_uint_eq(credit, 12 * (BLOCK_LEN + 9));
    ck_assert_uint_eq(stub_seen_of(core(ALONE), EV_MSG), 12);
    ck_assert_uint_eq(w->violations, 0);
}
END_TEST

START_TEST(a_crowd_that_dials_at_once_is_taken_in_turn)
{
    scn->group[3].count = 100;
    begin();
    struct action a = {.type = ACT_DIAL, .op = 1};
    a.dial.addr = w->node[0].addr;
    for (uint32_t i = 7; i < 107; i++) {
        stub_do(w->node[i].core, &a, NULL, 0);
        world_drain(w, i);
    }
    run_until(10 * SEC);
    /* Fifty a second behind a burst of sixteen, and only as many as it has room for. */
    uint32_t ups = stub_seen_of(core(ORIGIN), EV_UP);
    ck_assert_uint_eq(ups, w->node[0].limits->links);
    usec last = 0;
    uint32_t away = 0;
    for (uint32_t i = 7; i < 107; i++) {
        const struct stub_seen *down = stub_find(w->node[i].core, EV_DOWN, 0);
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
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, nodes_of_a_place_are_numbered_by_place);
    tcase_add_test(t, an_address_leads_to_its_node_and_no_other_does);
    tcase_add_test(t, what_enters_a_place_passes_its_line);
    tcase_add_test(t, what_stays_in_a_place_does_not);
    tcase_add_test(t, two_nodes_of_a_place_share_its_line);
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
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? 0 : 1;
}
