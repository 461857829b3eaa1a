/* What a node says to its neighbours and asks of them: each of these invariants broken once by a
 * core that does what it is told, and kept once where that is not what every other test does. */
#include "checks.h"
#include "judged.h"
#include "net.h"

START_TEST(requests_make_sense)
{
    uint32_t near, far;
    fetch_from(ORIGIN, &near, &far);
    store(ORIGIN, far, DEVICE, true, 0);
    store(ORIGIN, far, DEVICE, false, 5);
    ask(DEVICE, near, MSG_request, 4);
    none();
    ask(DEVICE, near, MSG_request, 5);
    found(DEVICE, "asks for block 5, which it holds");
    ask(DEVICE, near, MSG_request, 9999);
    found(DEVICE, "which there is not");
    uint32_t most = w->node[DEVICE].limits->requests;
    for (uint32_t i = 0; i < most - 2; i++)
        ask(DEVICE, near, MSG_request, 10 + i);
    none();
    ask(DEVICE, near, MSG_request, 40);
    found(DEVICE, "asks for more than 8 blocks at once");
    /* What is answered or taken back counts no more. */
    ask(DEVICE, near, MSG_cancel, 10);
    ask(DEVICE, near, MSG_cancel, 11);
    ask(DEVICE, near, MSG_request, 41);
    none();
}
END_TEST

/* Is linked to the origin and another who has all, and fetches. */
static void fetch_from_two(uint32_t *near, uint32_t *far, uint32_t *other, uint32_t *back)
{
    open_slot(DEVICE, OLD);
    give_image(OTHER);
    w->violations = 0;
    meet(DEVICE, ORIGIN, near, far);
    meet(DEVICE, OTHER, other, back);
    core(DEVICE)->has_release = true;
    core(DEVICE)->state = RELEASE_FETCHING;
}

START_TEST(what_came_is_asked_of_nobody_else)
{
    uint32_t near, far, other, back;
    fetch_from_two(&near, &far, &other, &back);
    ask(DEVICE, near, MSG_request, 5);
    ask(DEVICE, other, MSG_request, 5);
    send_span(ORIGIN, far, false, 5);
    run_for(SEC);
    found(DEVICE, "goes on asking node 2 for block 5, which came from another");
    /* With a cancel in the same drain as the block, all is well. */
    ask(DEVICE, near, MSG_request, 6);
    ask(DEVICE, other, MSG_request, 6);
    send_span(ORIGIN, far, false, 6);
    uint32_t had = stub_seen_of(core(DEVICE), EV_MSG);
    const struct geometry *g = &w->release[OLD].geo;
    struct wire_msg m = blank(MSG_cancel);
    m.cancel.piece = 6 / g->piece_blocks;
    m.cancel.begin = 6 % g->piece_blocks * BLOCK_LEN;
    m.cancel.length = BLOCK_LEN;
    uint8_t head[WIRE_HEAD_MAX];
    struct action a = {.type = ACT_SEND, .link = other};
    stub_do(core(DEVICE), &a, head, (uint32_t)wire_encode(&m, head));
    while (stub_seen_of(core(DEVICE), EV_MSG) == had)
        ck_assert(world_step(w));
    none();
}
END_TEST

/* A core hears later that a link which it gave up is gone. */
START_TEST(nothing_is_asked_on_a_link_given_up)
{
    uint32_t near, far, other, back;
    fetch_from_two(&near, &far, &other, &back);
    ask(DEVICE, near, MSG_request, 5);
    ask(DEVICE, other, MSG_request, 5);
    struct action a = {.type = ACT_CLOSE, .link = other};
    check_action(w, DEVICE, &a, NULL);
    send_span(ORIGIN, far, false, 5);
    run_for(SEC);
    none();
}
END_TEST

/* The first request was late and is not to be taken back; the second is. */
START_TEST(what_was_asked_twice_is_taken_back)
{
    uint32_t near, far, other, back;
    fetch_from_two(&near, &far, &other, &back);
    ask(DEVICE, other, MSG_request, 5);
    run_for(3 * SEC);
    ask(DEVICE, near, MSG_request, 5);
    send_span(ORIGIN, far, false, 5);
    run_for(SEC);
    none();
    ask(DEVICE, other, MSG_request, 6);
    run_for(3 * SEC);
    ask(DEVICE, other, MSG_request, 6);
    ask(DEVICE, near, MSG_request, 6);
    send_span(ORIGIN, far, false, 6);
    run_for(SEC);
    found(DEVICE, "goes on asking node 2 for block 6, which came from another");
}
END_TEST

/* Fetches from the adversary, whose chunk of hashes is good. */
static void begin_with_foe(uint32_t *near, uint32_t *far)
{
    give_image(FOE);
    fetch_from(FOE, near, far);
    store(FOE, *far, DEVICE, true, 0);
}

START_TEST(who_sent_a_bad_block_is_left_alone)
{
    uint32_t near, far;
    begin_with_foe(&near, &far);
    ask(DEVICE, near, MSG_request, 7);
    none();
    store(FOE, far, DEVICE, false, 7); /* garbage */
    const struct stub_seen *s = stub_find(core(DEVICE), EV_STORED, 1);
    ck_assert_int_eq(s->ev.err, E_HASH);
    none();
    ask(DEVICE, near, MSG_request, 8);
    found(DEVICE, "asks node 3, which sent it a bad block");
    restart(DEVICE);
    fetch_from(FOE, &near, &far);
    ask(DEVICE, near, MSG_request, 8);
    none(); /* the stub saved no ban, so nothing durable was forgotten */
}
END_TEST

START_TEST(garbage_costs_one_window)
{
    uint32_t near, far;
    begin_with_foe(&near, &far);
    for (uint32_t i = 0; i < w->node[DEVICE].limits->requests + 4; i++)
        store(FOE, far, DEVICE, false, i);
    none();
    store(FOE, far, DEVICE, false, 20);
    found(DEVICE, "took 13 bad blocks of one identity");
}
END_TEST

START_TEST(honest_nodes_do_not_blame_each_other)
{
    uint32_t near, far;
    fetch_from(ORIGIN, &near, &far);
    struct wire_msg m = blank(MSG_bye);
    say(DEVICE, near, &m);
    none();
    m.bye.code = E_BANNED;
    say(DEVICE, near, &m);
    found(DEVICE, "blames node 0, which is honest");
    m.id = MSG_bad_block;
    say(DEVICE, near, &m);
    found(DEVICE, "blames node 0, which is honest");
    w->node[ORIGIN].rotten = true;
    say(DEVICE, near, &m);
    none();
}
END_TEST

START_TEST(who_wants_something_is_served)
{
    uint32_t near, far;
    give_image(DEVICE);
    core(DEVICE)->has_release = true;
    core(DEVICE)->state = RELEASE_HELD;
    core(DEVICE)->pieces = 64;
    open_release(OTHER, 0);
    core(OTHER)->has_release = true;
    core(OTHER)->state = RELEASE_FETCHING;
    w->violations = 0;
    meet(DEVICE, OTHER, &near, &far);
    struct wire_msg all = {.id = MSG_have_all}, want = {.id = MSG_interested};
    struct wire_msg unchoke = {.id = MSG_unchoke};
    say(DEVICE, near, &all);
    say(OTHER, far, &want);
    run_for(20 * SEC);
    check_drained(w, DEVICE);
    none();
    say(DEVICE, near, &unchoke);
    run_for(60 * SEC);
    check_drained(w, DEVICE);
    none();
    unchoke.id = MSG_choke;
    say(DEVICE, near, &unchoke);
    run_for(31 * SEC);
    check_drained(w, DEVICE);
    found(DEVICE, "serves 0 neighbours while node 2 waits");
    core(OTHER)->state = RELEASE_HELD; /* it is whole, whatever was heard of that */
    run_for(31 * SEC);
    check_drained(w, DEVICE);
    none();
    core(OTHER)->state = RELEASE_FETCHING;
    want.id = MSG_not_interested;
    say(OTHER, far, &want);
    run_for(31 * SEC);
    check_drained(w, DEVICE);
    none();
}
END_TEST

START_TEST(credit_is_what_the_network_has)
{
    uint32_t near, far;
    link_two(DEVICE, ORIGIN, &near, &far);
    core(DEVICE)->link.link = near;
    struct wire_msg m = {.id = MSG_bye};
    say(DEVICE, near, &m);
    run_for(SEC);
    none();
    core(DEVICE)->link.queued = 4;
    for (uint32_t i = 0; i < 64; i++) {
        say(DEVICE, near, &m);
        run_for(SEC);
    }
    found(DEVICE, "counts 4 bytes queued on a link that has 0");
}
END_TEST

START_TEST(bytes_of_a_link_are_accounted_for)
{
    struct wire_link l = {.end = {{.node = DEVICE}, {.node = OTHER}}};
    check_link(w, &l);
    none();
    l.flying = 5;
    check_link(w, &l);
    found(DEVICE, "5 bytes of a link to node 2 are unaccounted for");
}
END_TEST

START_TEST(adversaries_are_not_judged)
{
    uint32_t near, far;
    link_two(FOE, ORIGIN, &near, &far);
    say_blank(FOE, near, MSG_open);
    save(FOE, object_id(OBJ_MANIFEST, 0), "manifest", 8);
    none();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("sim judge link");
    TCase *t = tcase_create("judge link");
    suite_add_tcase(s, t);
    tcase_add_checked_fixture(t, judged_begin, stage_clear);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, requests_make_sense);
    tcase_add_test(t, what_came_is_asked_of_nobody_else);
    tcase_add_test(t, nothing_is_asked_on_a_link_given_up);
    tcase_add_test(t, what_was_asked_twice_is_taken_back);
    tcase_add_test(t, who_sent_a_bad_block_is_left_alone);
    tcase_add_test(t, garbage_costs_one_window);
    tcase_add_test(t, honest_nodes_do_not_blame_each_other);
    tcase_add_test(t, who_wants_something_is_served);
    tcase_add_test(t, credit_is_what_the_network_has);
    tcase_add_test(t, bytes_of_a_link_are_accounted_for);
    tcase_add_test(t, adversaries_are_not_judged);
    return test_run(s);
}
