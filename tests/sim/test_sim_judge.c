/* What a node keeps and does with it: each of these invariants broken once by a core that does what
 * it is told, and kept once where that is not what every other test does. */
#include "judged.h"

/* ---- blocks ---- */

START_TEST(what_is_claimed_is_durable)
{
    uint32_t near, far;
    fetch_from(ORIGIN, &near, &far);
    const uint8_t map[8] = {0x80};
    struct wire_msg have = {.id = MSG_have};
    struct wire_msg all = {.id = MSG_have_all};
    struct wire_msg some = {.id = MSG_haves};
    some.haves.map = bytes_of(map, 1);
    struct wire_msg field = {.id = MSG_bitfield};
    field.bitfield.map = bytes_of(map, (w->release[OLD].geo.pieces + 7) / 8);
    const struct wire_msg *claim[] = {&have, &some, &field, &all};
    for (uint32_t i = 0; i < 4; i++) {
        say(DEVICE, near, claim[i]);
        found(DEVICE, i < 3 ? "holds piece 0, which is not durable" : "holds all, and 0 of");
    }
    store(ORIGIN, far, DEVICE, true, 0);
    for (uint32_t b = 0; b < w->release[OLD].geo.piece_blocks; b++)
        store(ORIGIN, far, DEVICE, false, b);
    for (uint32_t i = 0; i < 3; i++)
        say(DEVICE, near, claim[i]);
    none();
    say(DEVICE, near, &all);
    found(DEVICE, "holds all, and 1 of");
}
END_TEST

START_TEST(claims_name_a_slot)
{
    uint32_t near, far;
    link_two(DEVICE, ORIGIN, &near, &far);
    struct wire_msg have = {.id = MSG_have};
    say(DEVICE, near, &have);
    found(DEVICE, "in a slot in which nothing is");
}
END_TEST

START_TEST(what_is_served_was_stored)
{
    uint32_t near, far;
    fetch_from(ORIGIN, &near, &far);
    /* A bit that is written before its block is. */
    w->node[DEVICE].disk.slot[0].blocks[0] |= 0x80;
    send_span(DEVICE, near, false, 0);
    found(DEVICE, "serves block 0, which was never stored");
    restart(DEVICE);
    none();
    open_slot(DEVICE, OLD);
    found(DEVICE, "holds 1 blocks that it never stored");
}
END_TEST

START_TEST(what_power_cut_short_may_be_there)
{
    uint32_t near, far;
    fetch_from(ORIGIN, &near, &far);
    store(ORIGIN, far, DEVICE, true, 0);
    core(DEVICE)->store_body = true;
    core(DEVICE)->store_at = (struct span){object_id(OBJ_IMAGE, 0), 0, BLOCK_LEN};
    uint32_t had = stub_seen_of(core(DEVICE), EV_MSG);
    send_span(ORIGIN, far, false, 0);
    while (stub_seen_of(core(DEVICE), EV_MSG) == had)
        ck_assert(world_step(w));
    disk_settle(w, DEVICE);
    restart(DEVICE);
    open_slot(DEVICE, OLD);
    none();
}
END_TEST

START_TEST(what_was_kept_stays)
{
    uint32_t near, far;
    fetch_from(ORIGIN, &near, &far);
    store(ORIGIN, far, DEVICE, true, 0);
    store(ORIGIN, far, DEVICE, false, 3);
    w->node[DEVICE].disk.slot[0].blocks[0] = 0;
    restart(DEVICE);
    open_slot(DEVICE, OLD);
    found(DEVICE, "its disk lost 1 blocks");
}
END_TEST

START_TEST(core_goes_on_from_what_is_there)
{
    uint32_t near, far;
    fetch_from(ORIGIN, &near, &far);
    store(ORIGIN, far, DEVICE, true, 0);
    store(ORIGIN, far, DEVICE, false, 3);
    restart(DEVICE);
    core(DEVICE)->has_release = true;
    core(DEVICE)->state = RELEASE_FETCHING;
    core(DEVICE)->blocks = 1;
    open_slot(DEVICE, OLD);
    none();
    core(DEVICE)->blocks = 0;
    open_slot(DEVICE, OLD);
    found(DEVICE, "1 blocks are in its storage, and it knows of 0");
}
END_TEST

START_TEST(whole_is_whole)
{
    const struct action held = {.type = ACT_TELL, .tell = {.what = TELL_HELD}};
    judge_tell(w, DEVICE, &held);
    found(DEVICE, "has slot 0, in which nothing is");
    open_slot(DEVICE, OLD);
    judge_tell(w, DEVICE, &held);
    found(DEVICE, "says that slot 0 is whole, and 0 of 64 blocks were stored");
    give_image(DEVICE);
    judge_tell(w, DEVICE, &held);
    ck_assert_uint_eq(w->violations, 1); /* the stub says so too, and has nothing in its status */
}
END_TEST

/* ---- restarts ---- */

START_TEST(saved_manifest_is_known_again)
{
    save_manifest(DEVICE, 0, OLD);
    run_for(SEC);
    none();
    restart(DEVICE);
    found(DEVICE, "has forgotten the manifest that it saved in slot 0");
}
END_TEST

START_TEST(saved_bans_are_known_again)
{
    save(DEVICE, object_id(OBJ_BAN, 0), w->node[FOE].member.node.b, 32);
    run_for(SEC);
    none();
    restart(DEVICE);
    found(DEVICE, "has forgotten all of its 1 bans");
    save(DEVICE, object_id(OBJ_BAN, 1), w->node[OTHER].member.node.b, 32);
    found(DEVICE, "bans node 2, which is honest");
}
END_TEST

START_TEST(saved_root_is_known_again)
{
    save(DEVICE, object_id(OBJ_ROOT, 1), w->fleet.root->data, w->fleet.root->len);
    run_for(SEC);
    restart(DEVICE);
    found(DEVICE, "has forgotten root 1"); /* the stub's status speaks of root 0 */
}
END_TEST

/* ---- releases ---- */

START_TEST(only_what_the_vendor_signed_is_kept)
{
    save(DEVICE, object_id(OBJ_MANIFEST, 0), "manifest", 8);
    found(DEVICE, "keeps a manifest that the vendor did not sign");
    save(DEVICE, object_id(OBJ_WITHDRAWAL, 0), "stop", 4);
    found(DEVICE, "keeps a stop that the vendor did not sign");
    save_manifest(DEVICE, 0, ALIEN);
    found(DEVICE, "another model's");
    save_manifest(ORIGIN, 1, ALIEN); /* a verify node holds every model's */
    none();
}
END_TEST

START_TEST(sequence_does_not_go_back)
{
    save_manifest(DEVICE, 0, NEW);
    none();
    save_manifest(DEVICE, 1, OLD);
    found(DEVICE, "goes back from sequence 3 to 2");
}
END_TEST

START_TEST(sequence_does_not_go_back_in_another_boot)
{
    core(DEVICE)->has_release = true;
    save_manifest(DEVICE, 0, NEW);
    run_for(SEC);
    restart(DEVICE);
    w->violations = 0; /* the stub forgets it */
    save_manifest(DEVICE, 1, OLD);
    found(DEVICE, "goes back from sequence 3 to 2");
}
END_TEST

START_TEST(floor_and_what_runs_bound_the_sequence)
{
    core(DEVICE)->floor = 3;
    save_manifest(DEVICE, 0, OLD);
    found(DEVICE, "below its floor 3");
    core(OTHER)->current = 3;
    save_manifest(OTHER, 0, OLD);
    found(OTHER, "takes sequence 2 while it runs 3");
}
END_TEST

START_TEST(what_is_withdrawn_is_let_be)
{
    uint32_t near, far;
    give_image(DEVICE);
    meet(DEVICE, ORIGIN, &near, &far);
    save_stop(DEVICE);
    w->violations = 0;
    tell_of(DEVICE, near, MSG_withdrawn, OLD);
    found(DEVICE, "holds a stop, which is not durable");
    run_for(SEC);
    tell_of(DEVICE, near, MSG_withdrawn, OLD);
    none();
    tell_of(DEVICE, near, MSG_open, OLD);
    found(DEVICE, "opens 2.0, which it knows to be withdrawn");
    tell_of(DEVICE, near, MSG_offer, OLD);
    found(DEVICE, "offers 2.0, which it knows to be withdrawn");
    send_span(DEVICE, near, false, 0);
    found(DEVICE, "serves 2.0, which it knows to be withdrawn");
    save_manifest(DEVICE, 1, OLD);
    found(DEVICE, "takes 2.0, which it knows to be withdrawn");
    run_for(60 * SEC);
    w->node[DEVICE].disk.slot[0].open = true;
    judge_tell(w, DEVICE, &(struct action){.type = ACT_TELL, .tell = {.what = TELL_INSTALL}});
    found(DEVICE, "installs 2.0, which it knows to be withdrawn");
    restart(DEVICE);
    link_two(DEVICE, ORIGIN, &near, &far);
    w->violations = 0;
    tell_of(DEVICE, near, MSG_offer, OLD);
    found(DEVICE, "offers 2.0, which it knows to be withdrawn");
}
END_TEST

START_TEST(only_what_the_vendor_signed_is_spoken_of)
{
    uint32_t near, far;
    link_two(DEVICE, ORIGIN, &near, &far);
    struct wire_msg m = blank(MSG_open);
    say(DEVICE, near, &m);
    found(DEVICE, "opens what the vendor did not sign");
    m.id = MSG_offer;
    say(DEVICE, near, &m);
    found(DEVICE, "offers what the vendor did not sign");
    uint8_t head[WIRE_HEAD_MAX];
    m = blank(MSG_announce);
    m.announce.root_version = 1;
    judge_casts(w, DEVICE, bytes_of(head, wire_encode(&m, head)));
    found(DEVICE, "announces what the vendor did not sign");
    m.announce.root_version = 0;
    judge_casts(w, DEVICE, bytes_of(head, wire_encode(&m, head)));
    none();
    judge_casts(w, DEVICE, bytes_of("\x20", 1));
    found(DEVICE, "tells the LAN what is no announcement");
}
END_TEST

START_TEST(what_is_trusted_is_durable)
{
    uint32_t near, far;
    link_two(DEVICE, ORIGIN, &near, &far);
    struct wire_msg m = {.id = MSG_state};
    m.state.root_version = 1;
    say(DEVICE, near, &m);
    none(); /* every device is provisioned with the first */
    m.state.root_version = 2;
    say(DEVICE, near, &m);
    found(DEVICE, "holds root 2, which is not durable");
    m.state.root_version = 1;
    m.state.list_version = 1;
    say(DEVICE, near, &m);
    found(DEVICE, "holds a revocation list, which is not durable");
}
END_TEST

/* ---- installing ---- */

static void install(uint32_t node)
{
    judge_tell(w, node, &(struct action){.type = ACT_TELL, .tell = {.what = TELL_INSTALL}});
}

START_TEST(somebody_is_asked_before_an_installation)
{
    uint32_t near, far;
    hold_image();
    link_two(DEVICE, ORIGIN, &near, &far);
    install(DEVICE);
    found(DEVICE, "installs after 0 answers, 0 of them by verify nodes, where 1 are needed");
    say_blank(ORIGIN, far, MSG_answer);
    run_for(SEC);
    install(DEVICE);
    none();
}
END_TEST

START_TEST(one_peer_is_not_enough_and_a_minute_is)
{
    uint32_t near, far;
    hold_image();
    link_two(DEVICE, OTHER, &near, &far);
    say_blank(OTHER, far, MSG_answer);
    say_blank(OTHER, far, MSG_answer);
    say_blank(OTHER, far, MSG_answer);
    run_for(SEC);
    install(DEVICE);
    found(DEVICE, "installs after 1 answers, 0 of them by verify nodes");
    run_for(60 * SEC);
    install(DEVICE);
    none();
}
END_TEST

START_TEST(installation_is_on_the_disk_first)
{
    give_image(DEVICE);
    run_for(60 * SEC);
    w->violations = 0;
    save(DEVICE, object_id(OBJ_RELEASE, 0), "state", 5);
    install(DEVICE);
    found(DEVICE, "installs 2.0 before it is on its disk that it does");
    run_for(SEC);
    install(DEVICE);
    none();
}
END_TEST

START_TEST(newest_known_is_installed)
{
    hold_image();
    save_manifest(DEVICE, 1, NEW);
    run_for(59 * SEC);
    run_for(2 * SEC);
    install(DEVICE);
    found(DEVICE, "installs sequence 2 and knows of 3");
}
END_TEST

START_TEST(confirmed_is_on_the_disk)
{
    hold_image();
    tell(DEVICE, TELL_CONFIRMED);
    found(DEVICE, "confirms sequence 2, and its disk's floor is 0");
    uint8_t floor[13];
    struct wr out = wr_of(floor, sizeof(floor));
    wr_u8(&out, 1);
    wr_u32(&out, 1);
    wr_u64(&out, 2);
    save(DEVICE, object_id(OBJ_FLOOR, 0), floor, sizeof(floor));
    tell(DEVICE, TELL_CONFIRMED);
    none();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("sim judge");
    TCase *t = tcase_create("judge");
    suite_add_tcase(s, t);
    tcase_add_checked_fixture(t, judged_begin, stage_clear);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, what_is_claimed_is_durable);
    tcase_add_test(t, claims_name_a_slot);
    tcase_add_test(t, what_is_served_was_stored);
    tcase_add_test(t, what_power_cut_short_may_be_there);
    tcase_add_test(t, what_was_kept_stays);
    tcase_add_test(t, core_goes_on_from_what_is_there);
    tcase_add_test(t, whole_is_whole);
    tcase_add_test(t, saved_manifest_is_known_again);
    tcase_add_test(t, saved_bans_are_known_again);
    tcase_add_test(t, saved_root_is_known_again);
    tcase_add_test(t, only_what_the_vendor_signed_is_kept);
    tcase_add_test(t, sequence_does_not_go_back);
    tcase_add_test(t, sequence_does_not_go_back_in_another_boot);
    tcase_add_test(t, floor_and_what_runs_bound_the_sequence);
    tcase_add_test(t, what_is_withdrawn_is_let_be);
    tcase_add_test(t, only_what_the_vendor_signed_is_spoken_of);
    tcase_add_test(t, what_is_trusted_is_durable);
    tcase_add_test(t, somebody_is_asked_before_an_installation);
    tcase_add_test(t, one_peer_is_not_enough_and_a_minute_is);
    tcase_add_test(t, installation_is_on_the_disk_first);
    tcase_add_test(t, newest_known_is_installed);
    tcase_add_test(t, confirmed_is_on_the_disk);
    return test_run(s);
}
