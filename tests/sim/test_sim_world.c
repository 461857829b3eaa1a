/* The world, network, disks and checks of the simulator, around a core that does what it is told.
 */
#include "address.h"
#include "checks.h"
#include "disk.h"
#include "line.h"
#include "net.h"
#include "puppet.h"

#include <string.h>

#define DEVICE 1u
#define OTHER  2u
#define RATE   1000000u /* bytes a second: a byte takes a microsecond */
#define RTT    100000u

static void setup(void)
{
    stage_plan(11);
    scn->group[1].count = 2;
    for (uint32_t i = 0; i < 2; i++) {
        scn->group[i].up = RATE;
        scn->group[i].down = RATE;
        scn->group[i].rtt = RTT;
    }
    scn->release[0].size = 1 << 20;
    puppet_begin();
}

/* What n bytes of a stream of their own are on the line. */
static usec line(uint32_t n)
{
    return line_bytes(0, n);
}

/* One record of one message: its length, the channel's room, head and body. */
static usec record(uint32_t n)
{
    return line(4 + n + 18);
}

/* ---- network ---- */

START_TEST(dial_takes_two_round_trips)
{
    uint32_t near, far;
    link_two(DEVICE, 0, &near, &far);
    const struct stub_seen *up = stub_find(core(DEVICE), EV_UP, 0);
    usec way = address_latency(w, DEVICE, 0);
    ck_assert_uint_ge(way, RTT / 2 * 9 / 10);
    ck_assert_uint_le(way, RTT / 2 * 11 / 10);
    /* At a byte a microsecond each message spends its size in the uplink and in the downlink. */
    usec syn = LINE_HEADER, hello = line(net_handshake_bytes(0, 0));
    usec reply = line(net_handshake_bytes(1, 0));
    usec proof = line(net_handshake_bytes(2, w->node[DEVICE].cert_len));
    ck_assert_uint_eq(up->ev.now, SEC + 4 * syn + 2 * hello + 2 * reply + 4 * way);
    ck_assert_uint_eq(up->ev.op, 77);
    ck_assert_int_eq(up->ev.up.who.role, ROLE_VERIFY);
    const struct stub_seen *in = stub_find(core(0), EV_UP, 0);
    ck_assert_uint_eq(in->ev.now, up->ev.now + 2 * proof + way);
    ck_assert_uint_eq(in->ev.op, 0);
    ck_assert_uint_eq(in->ev.up.who.index, DEVICE);
    ck_assert_uint_ne(in->ev.up.addr.port, w->node[DEVICE].addr.port);
}
END_TEST

START_TEST(dial_to_nobody_and_to_itself_fails)
{
    struct action a = {.type = ACT_DIAL, .op = 5};
    a.dial.addr = w->node[DEVICE].addr;
    act(DEVICE, &a, NULL, 0);
    a.op = 6;
    a.dial.addr.ip[1] = 77;
    act(DEVICE, &a, NULL, 0);
    world_crash(w, OTHER);
    a.op = 7;
    a.dial.addr = w->node[OTHER].addr;
    act(DEVICE, &a, NULL, 0);
    run_until(12 * SEC);
    /* Who is not there does not say so. */
    const enum err errs[] = {E_SELF, E_TIMEOUT, E_TIMEOUT};
    const usec at[] = {SEC, 9 * SEC, 9 * SEC};
    uint32_t seen = 0;
    for (uint32_t i = 0; i < 3; i++) {
        const struct stub_seen *down = stub_find(core(DEVICE), EV_DOWN, i);
        ck_assert_ptr_nonnull(down);
        ck_assert_uint_eq(down->ev.link, 0);
        ck_assert_int_eq(down->ev.err, errs[down->ev.op - 5]);
        ck_assert_uint_eq(down->ev.now, at[down->ev.op - 5]);
        seen |= 1u << (down->ev.op - 5);
    }
    ck_assert_uint_eq(seen, 7);
    run_until(20 * SEC);
    ck_assert_uint_eq(pool_used(&w->net.links), 0);
    ck_assert_uint_eq(pool_used(&w->net.parcels), 0);
}
END_TEST

START_TEST(a_node_that_comes_back_answers_a_dial_under_way)
{
    world_crash(w, OTHER);
    world_schedule(w, 3 * SEC, TICK_BOOT, OTHER, 0, 0);
    struct action a = {.type = ACT_DIAL, .op = 7};
    a.dial.addr = w->node[OTHER].addr;
    act(DEVICE, &a, NULL, 0);
    run_until(8 * SEC);
    /* The kernel asks again after 1, 3 and 7 seconds. */
    const struct stub_seen *up = stub_find(core(DEVICE), EV_UP, 0);
    ck_assert_ptr_nonnull(up);
    ck_assert_uint_gt(up->ev.now, 4 * SEC);
    ck_assert_uint_lt(up->ev.now, 5 * SEC);
}
END_TEST

START_TEST(message_is_charged_for_every_byte)
{
    uint32_t near, far;
    link_two(DEVICE, 0, &near, &far);
    uint64_t before = w->net.wire_sent;
    queue_block(0, far, 3);
    world_drain(w, 0);
    run_until(3 * SEC);
    const uint32_t head = 9, wire = 4 + head + BLOCK_LEN + 18 + 12 * LINE_HEADER;
    ck_assert_uint_eq(w->net.wire_sent - before, wire);
    const struct stub_seen *sent = stub_find(core(0), EV_SENT, 0);
    ck_assert_uint_eq(sent->ev.sent.bytes, head + BLOCK_LEN);
    ck_assert_uint_eq(sent->ev.now, 2 * SEC); /* the kernel has room for it */
    const struct stub_seen *msg = stub_find(core(DEVICE), EV_MSG, 0);
    ck_assert_uint_eq(msg->ev.now, 2 * SEC + 2 * wire + address_latency(w, 0, DEVICE));
    /* One acknowledgement of two segments. */
    ck_assert_uint_eq(w->net.acks, 11 / 2 * LINE_HEADER);
    ck_assert_uint_eq(msg->head_len, head);
    ck_assert_uint_eq(msg->body_len, BLOCK_LEN);
    ck_assert_uint_eq(msg->data_len, 0);
    ck_assert_uint_eq(w->net.payload_origin, BLOCK_LEN);
    ck_assert_uint_eq(w->violations, 0);
}
END_TEST

START_TEST(messages_of_one_drain_share_a_record)
{
    uint32_t near, far;
    link_two(DEVICE, 0, &near, &far);
    uint64_t before = w->net.wire_sent;
    struct wire_msg m = {.id = MSG_have};
    for (m.have.piece = 0; m.have.piece < 3; m.have.piece++)
        queue_msg(0, far, &m, NULL);
    world_drain(w, 0);
    queue_block(0, far, 0);
    queue_block(0, far, 1);
    world_drain(w, 0);
    run_until(3 * SEC);
    /* Three small ones in one record; two blocks do not fit one. */
    /* All of it waits at once, so it shares segments too. */
    ck_assert_uint_eq(w->net.wire_sent - before, line(3 * 9 + 18 + 2 * (4 + 9 + BLOCK_LEN + 18)));
    for (uint32_t i = 0; i < 3; i++)
        ck_assert_uint_eq(stub_find(core(DEVICE), EV_MSG, i)->head[4], i);
}
END_TEST

START_TEST(two_links_share_an_uplink)
{
    uint32_t a_near, a_far;
    link_two(DEVICE, 0, &a_near, &a_far);
    struct action a = {.type = ACT_DIAL, .op = 78};
    a.dial.addr = w->node[0].addr;
    act(OTHER, &a, NULL, 0);
    run_until(3 * SEC);
    uint32_t b_far = stub_find(core(0), EV_UP, 1)->ev.link;
    for (uint32_t i = 0; i < 4; i++)
        queue_block(0, i % 2 == 0 ? a_far : b_far, i);
    world_drain(w, 0);
    run_until(4 * SEC);
    /* One after the other through the uplink: the last of a link is in when all are out. */
    const usec each = record(9 + BLOCK_LEN);
    const struct stub_seen *first = stub_find(core(DEVICE), EV_MSG, 0);
    const struct stub_seen *second = stub_find(core(OTHER), EV_MSG, 0);
    ck_assert_uint_eq(first->ev.now, 3 * SEC + 2 * each + address_latency(w, 0, DEVICE));
    ck_assert_uint_eq(second->ev.now, 3 * SEC + 3 * each + address_latency(w, 0, OTHER));
    ck_assert_uint_eq(stub_seen_of(core(DEVICE), EV_MSG), 2);
    ck_assert_uint_eq(stub_seen_of(core(OTHER), EV_MSG), 2);
}
END_TEST

START_TEST(close_comes_after_what_was_said)
{
    uint32_t near, far;
    link_two(DEVICE, 0, &near, &far);
    struct wire_msg m = {.id = MSG_bye};
    queue_msg(0, far, &m, NULL);
    struct action a = {.type = ACT_CLOSE, .link = far, .err = E_FLOOD};
    act(0, &a, NULL, 0);
    run_until(3 * SEC);
    ck_assert_uint_eq(stub_seen_of(core(DEVICE), EV_MSG), 1);
    const struct stub_seen *down = stub_find(core(DEVICE), EV_DOWN, 0);
    ck_assert_uint_eq(down->ev.link, near);
    ck_assert_int_eq(down->ev.err, E_CLOSED);
    down = stub_find(core(0), EV_DOWN, 0);
    ck_assert_uint_eq(down->ev.now, 2 * SEC);
    ck_assert_int_eq(down->ev.err, E_FLOOD);
    ck_assert_uint_eq(stub_seen_of(core(0), EV_SENT), 0);
    run_until(20 * SEC);
    ck_assert_uint_eq(pool_used(&w->net.links), 0);
    ck_assert_uint_eq(pool_used(&w->net.parcels), 0);
    ck_assert_uint_eq(w->violations, 0);
}
END_TEST

START_TEST(crash_loses_what_had_not_left)
{
    uint32_t near, far;
    link_two(DEVICE, 0, &near, &far);
    for (uint32_t i = 0; i < 3; i++)
        queue_block(0, far, i);
    world_drain(w, 0);
    /* The first has left, the second is half out. */
    run_until(2 * SEC + BLOCK_LEN * 3 / 2);
    world_crash(w, 0);
    run_until(3 * SEC);
    ck_assert_uint_eq(stub_seen_of(core(DEVICE), EV_MSG), 1);
    ck_assert_uint_eq(w->net.wire_flying, 0);
    ck_assert_uint_eq(pool_used(&w->net.parcels), 0);
    /* Nobody says that it is gone.  Keepalive asks after a minute, and gives up half a minute on.
     */
    run_until(80 * SEC);
    ck_assert_uint_eq(stub_seen_of(core(DEVICE), EV_DOWN), 0);
    run_until(100 * SEC);
    const struct stub_seen *down = stub_find(core(DEVICE), EV_DOWN, 0);
    ck_assert_int_eq(down->ev.err, E_TIMEOUT);
    ck_assert_uint_eq(down->ev.now, 2 * SEC + BLOCK_LEN * 3 / 2 + 90 * SEC);
    ck_assert_uint_eq(pool_used(&w->net.links), 0);
}
END_TEST

START_TEST(who_speaks_to_the_dead_hears_of_it_when_they_are_back)
{
    uint32_t near, far;
    link_two(DEVICE, 0, &near, &far);
    world_crash(w, 0);
    world_schedule(w, 5 * SEC, TICK_BOOT, 0, 0, 0);
    struct wire_msg m = {.id = MSG_choke};
    queue_msg(DEVICE, near, &m, NULL);
    world_drain(w, DEVICE);
    run_until(5 * SEC);
    ck_assert_uint_eq(stub_seen_of(core(DEVICE), EV_DOWN), 0);
    run_until(10 * SEC);
    const struct stub_seen *down = stub_find(core(DEVICE), EV_DOWN, 0);
    ck_assert_ptr_nonnull(down);
    ck_assert_int_eq(down->ev.err, E_CLOSED);
    ck_assert_uint_eq(down->ev.link, near);
}
END_TEST

START_TEST(a_full_node_turns_dials_away)
{
    struct action a = {.type = ACT_DIAL};
    a.dial.addr = w->node[0].addr;
    /* No more than sixteen strangers of one network at a time: one more is sent away. */
    for (a.op = 1; a.op <= 17; a.op++)
        act(DEVICE, &a, NULL, 0);
    run_until(2 * SEC);
    ck_assert_uint_eq(stub_seen_of(core(DEVICE), EV_UP), 16);
    ck_assert_uint_eq(stub_seen_of(core(DEVICE), EV_DOWN), 1);
    for (; a.op <= 23; a.op++) {
        act(DEVICE, &a, NULL, 0);
        run_for(SEC);
    }
    /* Both ends have the same limit of twenty; the two beyond fail. */
    ck_assert_uint_eq(stub_seen_of(core(DEVICE), EV_UP), 20);
    ck_assert_uint_eq(stub_seen_of(core(0), EV_UP), 20);
    ck_assert_uint_eq(stub_seen_of(core(DEVICE), EV_DOWN), 3);
    ck_assert_uint_eq(stub_find(core(DEVICE), EV_DOWN, 0)->ev.link, 0);
    ck_assert_uint_eq(stub_seen_of(core(0), EV_DOWN), 0);
    act(OTHER, &a, NULL, 0);
    run_until(30 * SEC);
    ck_assert_int_eq(stub_find(core(OTHER), EV_DOWN, 0)->ev.err, E_CLOSED);
    ck_assert_uint_eq(w->node[0].links, 20);
    ck_assert_uint_eq(pool_used(&w->net.links), 20);
}
END_TEST

START_TEST(small_objects_arrive_with_their_bytes)
{
    uint32_t near, far;
    link_two(DEVICE, 0, &near, &far);
    struct action a = {.type = ACT_SAVE, .op = 3};
    a.save.object = object_id(OBJ_MANIFEST, 0);
    a.save.data = bytes_of(w->release[0].envelope->data, w->release[0].envelope->len);
    a.save.last = true;
    act(0, &a, NULL, 0);
    run_until(3 * SEC);
    struct wire_msg m = {.id = MSG_data};
    m.data.kind = 1;
    struct span span = {object_id(OBJ_MANIFEST, 0), 0, 0};
    queue_msg(0, far, &m, &span);
    world_drain(w, 0);
    run_until(4 * SEC);
    const struct stub_seen *msg = stub_find(core(DEVICE), EV_MSG, 0);
    ck_assert_uint_eq(msg->body_len, w->release[0].envelope->len);
    ck_assert_uint_eq(msg->data_len, w->release[0].envelope->len);
    /* A record's bytes are not the core's to count. */
    ck_assert_uint_eq(stub_find(core(0), EV_SENT, 0)->ev.sent.bytes, msg->head_len);
    ck_assert_uint_eq(w->violations, 0);
}
END_TEST

/* ---- disks ---- */

/* One message with a body from 0 to DEVICE, stored at `at`; the error it comes back with. */
static enum err store_one(uint32_t far, struct span at, bool chunk, uint32_t block, bool spoil)
{
    uint32_t before = stub_seen_of(core(DEVICE), EV_STORED);
    core(DEVICE)->store_body = true;
    core(DEVICE)->store_at = at;
    if (chunk)
        queue_chunk(0, far, 0);
    else
        queue_block(0, far, block);
    world_drain(w, 0);
    for (uint32_t i = 0; spoil && i < w->net.parcels.count; i++) {
        struct parcel *p = pool_at(&w->net.parcels, i);
        p->body.corrupt = p->has_body;
    }
    run_until(w->now + SEC);
    core(DEVICE)->store_body = false;
    const struct stub_seen *s = stub_find(core(DEVICE), EV_STORED, before);
    ck_assert_ptr_nonnull(s);
    return s->ev.err;
}

START_TEST(only_the_right_bytes_are_kept)
{
    uint32_t near, far;
    link_two(DEVICE, 0, &near, &far);
    w->node[0].rotten = true; /* it may send what is not right */
    open_release(DEVICE, 0);
    const struct geometry *g = &w->release[0].geo;
    struct span chunk = {object_id(OBJ_CHUNK, 0), 0, geometry_chunk_len(g)};
    struct span five = {object_id(OBJ_IMAGE, 0), 5u * BLOCK_LEN, BLOCK_LEN};
    ck_assert_int_eq(store_one(far, five, false, 5, false), E_STATE);
    ck_assert_int_eq(store_one(far, chunk, true, 0, true), E_PROOF);
    ck_assert_int_eq(store_one(far, chunk, true, 0, false), E_OK);
    ck_assert_int_eq(store_one(far, five, false, 6, false), E_HASH);
    ck_assert_int_eq(store_one(far, five, false, 5, true), E_HASH);
    ck_assert_uint_eq(w->node[DEVICE].disk.slot[0].blocks_have, 0);
    ck_assert_int_eq(store_one(far, five, false, 5, false), E_OK);
    ck_assert_int_eq(store_one(far, five, false, 5, false), E_OK);
    ck_assert_uint_eq(w->node[DEVICE].disk.slot[0].blocks_have, 1);
    struct span beyond = {object_id(OBJ_IMAGE, 0), 1u << 20, BLOCK_LEN};
    ck_assert_int_eq(store_one(far, beyond, false, 5, false), E_RANGE);
    ck_assert_uint_eq(w->violations, 0);
}
END_TEST

START_TEST(crash_keeps_what_was_durable_and_no_more)
{
    uint32_t near, far;
    link_two(DEVICE, 0, &near, &far);
    open_release(DEVICE, 0);
    const struct geometry *g = &w->release[0].geo;
    struct span chunk = {object_id(OBJ_CHUNK, 0), 0, geometry_chunk_len(g)};
    struct span at = {object_id(OBJ_IMAGE, 0), 5u * BLOCK_LEN, BLOCK_LEN};
    ck_assert_int_eq(store_one(far, chunk, true, 0, false), E_OK);
    ck_assert_int_eq(store_one(far, at, false, 5, false), E_OK);
    /* Another block and a record reach the disk, and power fails before their sync is done. */
    core(DEVICE)->store_body = true;
    core(DEVICE)->store_at.off = 6u * BLOCK_LEN;
    queue_block(0, far, 6);
    world_drain(w, 0);
    uint32_t had = stub_seen_of(core(DEVICE), EV_MSG);
    while (stub_seen_of(core(DEVICE), EV_MSG) == had)
        ck_assert(world_step(w));
    struct action a = {.type = ACT_SAVE, .op = 4};
    a.save.object = object_id(OBJ_RELEASE, 0);
    a.save.last = true;
    act(DEVICE, &a, "state", 5);
    world_crash(w, DEVICE);
    world_schedule(w, w->now + SEC, TICK_BOOT, DEVICE, 0, 0);
    run_until(w->now + 2 * SEC);
    ck_assert_uint_eq(w->node[DEVICE].boot, 2);
    ck_assert_uint_eq(stub_seen_of(core(DEVICE), EV_LOADED), 0);
    open_release(DEVICE, 0);
    run_until(w->now + SEC);
    ck_assert_uint_eq(stub_find(core(DEVICE), EV_OPENED, 0)->blocks, 1);
    ck_assert_uint_eq(stub_seen_of(core(DEVICE), EV_STORED), 0);
}
END_TEST

START_TEST(batch_is_kept_whole_and_loaded_in_order)
{
    struct action a = {.type = ACT_SAVE, .op = 9};
    a.save.object = object_id(OBJ_RELEASE, 1);
    act(DEVICE, &a, "second", 6);
    run_until(2 * SEC);
    ck_assert_uint_eq(stub_seen_of(core(DEVICE), EV_SAVED), 0);
    ck_assert_uint_eq(w->node[DEVICE].disk.records, 0);
    a.save.object = object_id(OBJ_FLOOR, 0);
    a.save.last = true;
    act(DEVICE, &a, "first", 5);
    run_until(3 * SEC);
    ck_assert_uint_eq(stub_seen_of(core(DEVICE), EV_SAVED), 1);
    ck_assert_uint_eq(stub_find(core(DEVICE), EV_SAVED, 0)->ev.op, 9);
    world_crash(w, DEVICE);
    world_schedule(w, w->now + SEC, TICK_BOOT, DEVICE, 0, 0);
    run_until(5 * SEC);
    ck_assert_uint_eq(stub_find(core(DEVICE), EV_LOADED, 0)->ev.loaded.object,
                      object_id(OBJ_FLOOR, 0));
    ck_assert_uint_eq(stub_find(core(DEVICE), EV_LOADED, 1)->ev.loaded.object,
                      object_id(OBJ_RELEASE, 1));
    a.save.object = object_id(OBJ_FLOOR, 0);
    act(DEVICE, &a, NULL, 0);
    run_until(6 * SEC);
    ck_assert_uint_eq(w->node[DEVICE].disk.records, 1);
}
END_TEST

START_TEST(adopted_image_is_whole)
{
    const struct stub_seen *o = stub_find(core(0), EV_OPENED, 1);
    ck_assert_ptr_nonnull(o);
    ck_assert_int_eq(o->ev.err, E_OK);
    ck_assert_uint_eq(o->blocks, w->release[0].geo.blocks);
    struct action a = {.type = ACT_CHECK, .op = 8};
    a.check.whole = true;
    a.check.want = w->release[0].manifest.digest;
    act(0, &a, NULL, 0);
    a.op = 9;
    a.check.want.b[0] ^= 1;
    act(0, &a, NULL, 0);
    run_until(2 * SEC);
    ck_assert_int_eq(stub_find(core(0), EV_CHECKED, 0)->ev.err, E_OK);
    ck_assert_int_eq(stub_find(core(0), EV_CHECKED, 1)->ev.err, E_HASH);
}
END_TEST

/* ---- checks: each must be able to fail ---- */

static void expect_violation(uint32_t node, const char *part)
{
    ck_assert_uint_ge(w->violations, 1);
    ck_assert_uint_eq(w->violation[0].node, node);
    ck_assert_msg(strstr(w->violation[0].what, part) != NULL, "%s", w->violation[0].what);
}

START_TEST(serving_what_is_not_held_is_found)
{
    uint32_t near, far;
    link_two(DEVICE, 0, &near, &far);
    open_release(DEVICE, 0);
    queue_block(DEVICE, near, 1);
    world_drain(w, DEVICE);
    expect_violation(DEVICE, "does not hold");
}
END_TEST

START_TEST(serving_under_a_wrong_name_is_found)
{
    uint32_t near, far;
    link_two(DEVICE, 0, &near, &far);
    struct wire_msg m = {.id = MSG_piece};
    struct span span = {object_id(OBJ_IMAGE, 0), 2u * BLOCK_LEN, BLOCK_LEN};
    queue_msg(0, far, &m, &span);
    world_drain(w, 0);
    expect_violation(0, "as piece 0");
}
END_TEST

START_TEST(what_does_not_decode_is_found)
{
    uint32_t near, far;
    link_two(DEVICE, 0, &near, &far);
    struct action a = {.type = ACT_SEND, .link = near};
    act(DEVICE, &a, "\x04\x00", 2);
    expect_violation(DEVICE, "does not decode");
}
END_TEST

START_TEST(a_link_of_another_node_is_found)
{
    uint32_t near, far;
    link_two(DEVICE, 0, &near, &far);
    struct wire_msg m = {.id = MSG_choke};
    queue_msg(DEVICE, far, &m, NULL);
    world_drain(w, DEVICE);
    expect_violation(DEVICE, "does not have");
}
END_TEST

START_TEST(more_than_the_window_is_found)
{
    uint32_t near, far;
    link_two(DEVICE, 0, &near, &far);
    for (uint32_t i = 0; i < 5; i++)
        queue_block(0, far, i);
    world_drain(w, 0);
    /* Four fill 64 KiB and a little more, so the fifth is too much. */
    ck_assert_uint_eq(w->violations, 1);
    expect_violation(0, "window");
}
END_TEST

START_TEST(a_deadline_that_stays_behind_is_found)
{
    core(DEVICE)->stuck = true;
    core(DEVICE)->deadline = SEC / 2;
    world_drain(w, DEVICE);
    for (uint32_t i = 0; i < 10 && w->violations == 0; i++)
        ck_assert(world_step(w));
    expect_violation(DEVICE, "passed twice");
}
END_TEST

START_TEST(going_back_is_found)
{
    struct action a = {.type = ACT_TELL};
    a.tell.what = TELL_TRUST;
    core(DEVICE)->floor = 7;
    act(DEVICE, &a, NULL, 0);
    ck_assert_uint_eq(w->violations, 0);
    core(DEVICE)->floor = 6;
    act(DEVICE, &a, NULL, 0);
    expect_violation(DEVICE, "floor goes back");
}
END_TEST

START_TEST(a_ban_among_honest_nodes_is_found)
{
    struct action a = {.type = ACT_SAVE, .op = 1};
    a.save.object = object_id(OBJ_BAN, 0);
    a.save.last = true;
    act(DEVICE, &a, "key", 3);
    expect_violation(DEVICE, "bans");
}
END_TEST

START_TEST(holding_without_the_bytes_is_found)
{
    core(DEVICE)->has_release = true;
    open_release(DEVICE, 0);
    struct action a = {.type = ACT_TELL};
    a.tell.what = TELL_HELD;
    act(DEVICE, &a, NULL, 0);
    expect_violation(DEVICE, "0 of 64 blocks");
}
END_TEST

START_TEST(an_unsigned_image_is_found)
{
    struct action a = {.type = ACT_OPEN};
    a.open.create = true;
    a.open.geo = w->release[0].geo;
    act(DEVICE, &a, NULL, 0);
    expect_violation(DEVICE, "did not sign");
}
END_TEST

START_TEST(devices_without_the_image_are_found)
{
    while (world_step(w)) {
    }
    check_end(w);
    expect_violation(NONE, "2 devices lack the image");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("sim world");
    TCase *t = tcase_create("world");
    suite_add_tcase(s, t);
    tcase_add_checked_fixture(t, setup, stage_clear);
    tcase_add_test(t, dial_takes_two_round_trips);
    tcase_add_test(t, a_node_that_comes_back_answers_a_dial_under_way);
    tcase_add_test(t, dial_to_nobody_and_to_itself_fails);
    tcase_add_test(t, message_is_charged_for_every_byte);
    tcase_add_test(t, messages_of_one_drain_share_a_record);
    tcase_add_test(t, two_links_share_an_uplink);
    tcase_add_test(t, close_comes_after_what_was_said);
    tcase_add_test(t, crash_loses_what_had_not_left);
    tcase_add_test(t, who_speaks_to_the_dead_hears_of_it_when_they_are_back);
    tcase_add_test(t, a_full_node_turns_dials_away);
    tcase_add_test(t, small_objects_arrive_with_their_bytes);
    tcase_add_test(t, only_the_right_bytes_are_kept);
    tcase_add_test(t, crash_keeps_what_was_durable_and_no_more);
    tcase_add_test(t, batch_is_kept_whole_and_loaded_in_order);
    tcase_add_test(t, adopted_image_is_whole);
    tcase_add_test(t, serving_what_is_not_held_is_found);
    tcase_add_test(t, serving_under_a_wrong_name_is_found);
    tcase_add_test(t, what_does_not_decode_is_found);
    tcase_add_test(t, a_link_of_another_node_is_found);
    tcase_add_test(t, more_than_the_window_is_found);
    tcase_add_test(t, a_deadline_that_stays_behind_is_found);
    tcase_add_test(t, going_back_is_found);
    tcase_add_test(t, a_ban_among_honest_nodes_is_found);
    tcase_add_test(t, holding_without_the_bytes_is_found);
    tcase_add_test(t, an_unsigned_image_is_found);
    tcase_add_test(t, devices_without_the_image_are_found);
    return test_run(s);
}
