/* The simulator's disks, well and ill, under a core that does what it is told. */
#include "disk.h"
#include "stage.h"
#include "stub.h"

#include <string.h>

#define DEVICE 1u
#define SIZE   (4u << 20)

static struct rng rng;

static void setup(void)
{
    stage_plan(12);
    scn->group[1].count = 2;
    scn->release[0].size = SIZE;
    stage_begin();
    stub_use(w);
    w->until = 24 * 3600 * SEC;
    const uint8_t seed[32] = {7};
    rng_init(&rng, seed);
}

static void teardown(void)
{
    ck_assert_msg(w->violations == 0, "%s", w->violation[0].what);
    stage_clear();
}

static struct node *core(void)
{
    return w->node[DEVICE].core;
}

static struct disk *disk(void)
{
    return &w->node[DEVICE].disk;
}

static struct disk_slot *slot(void)
{
    return &disk()->slot[0];
}

static void act(const struct action *a, const char *head)
{
    stub_do(core(), a, head, head != NULL ? (uint32_t)strlen(head) : 0);
    world_drain(w, DEVICE);
}

static void open_slot(uint32_t number, bool create)
{
    struct action a = {.type = ACT_OPEN};
    a.open.slot = number;
    a.open.create = create;
    a.open.root = w->release[0].manifest.tree_root;
    a.open.geo = w->release[0].geo;
    act(&a, NULL);
}

static void shut_slot(bool remove)
{
    struct action a = {.type = ACT_SHUT};
    a.shut.remove = remove;
    act(&a, NULL);
}

/* Stores a block or chunk as if it had just come. */
static void put(enum object_kind kind, uint32_t index, uint32_t op, bool corrupt)
{
    const struct geometry *g = &w->release[0].geo;
    bool chunk = kind == OBJ_CHUNK;
    struct body b = {.kind = kind, .release = 0, .corrupt = corrupt};
    b.off = chunk ? index : (uint64_t)index * BLOCK_LEN;
    b.len = chunk ? geometry_chunk_len(g) : geometry_block_len(g, index);
    struct action a = {.type = ACT_STORE, .op = op};
    a.store.at = (struct span){object_id(kind, 0), b.off, b.len};
    a.store.body = &b;
    w->node[DEVICE].lent = &b;
    act(&a, NULL);
    w->node[DEVICE].lent = NULL;
}

static void put_block(uint32_t index)
{
    put(OBJ_IMAGE, index, index + 1, false);
}

static void save(uint32_t number, uint32_t op, const char *text, bool last)
{
    struct action a = {.type = ACT_SAVE, .op = op};
    a.save.object = object_id(OBJ_RELEASE, number);
    a.save.last = last;
    act(&a, text);
}

static void check_blocks(uint32_t first, uint32_t count, uint32_t op)
{
    struct action a = {.type = ACT_CHECK, .op = op};
    a.check.block = first;
    a.check.count = count;
    act(&a, NULL);
}

static void check_whole(uint32_t op)
{
    struct action a = {.type = ACT_CHECK, .op = op};
    a.check.whole = true;
    a.check.want = w->release[0].manifest.digest;
    act(&a, NULL);
}

static struct event last_of(enum event_type type)
{
    uint32_t seen = stub_seen_of(core(), type);
    ck_assert_uint_gt(seen, 0);
    return stub_find(core(), type, seen - 1)->ev;
}

static void ail(bool full, uint32_t errors, uint32_t slow)
{
    disk_ail(disk(), full, errors, &rng, slow);
}

/* Open, with its only chunk record and so many blocks. */
static void begin(uint32_t blocks)
{
    run_until(SEC);
    open_slot(0, true);
    run_until(2 * SEC);
    put(OBJ_CHUNK, 0, 500, false);
    run_until(3 * SEC);
    for (uint32_t i = 0; i < blocks; i++) {
        put_block(i);
        run_until(w->now + SEC / 10);
    }
    ck_assert_uint_eq(slot()->blocks_have, blocks);
}

static const char *record_text(uint32_t number)
{
    for (size_t i = 0; i < disk()->records; i++)
        if (disk()->record[i].object == object_id(OBJ_RELEASE, number))
            return (const char *)disk()->record[i].blob->data;
    return NULL;
}

/* ---- well ---- */

START_TEST(blocks_wait_for_company_and_no_longer)
{
    begin(0);
    usec t = w->now;
    put_block(0);
    run_until(t + 10000);
    ck_assert_uint_eq(slot()->blocks_have, 1);
    /* The next comes right behind a commit, so it waits; another joins it. */
    put_block(1);
    run_until(t + 30000);
    put_block(2);
    run_until(t + 40000);
    ck_assert_uint_eq(slot()->blocks_have, 1);
    run_until(t + 60000);
    ck_assert_uint_eq(slot()->blocks_have, 3);
    ck_assert_uint_eq(stub_find(core(), EV_STORED, 2)->ev.now,
                      stub_find(core(), EV_STORED, 3)->ev.now);
    /* Half of what may be under way does not wait, nor does what is no block. */
    t = w->now;
    for (uint32_t i = 3; i < 7; i++)
        put_block(i);
    run_until(t + 8000);
    ck_assert_uint_eq(slot()->blocks_have, 7);
    put_block(7);
    save(0, 1, "state", true);
    run_until(t + 16000);
    ck_assert_uint_eq(slot()->blocks_have, 8);
}
END_TEST

START_TEST(what_was_stored_before_a_shut_is_not_blamed)
{
    begin(1);
    put_block(1);
    put_block(2);
    ck_assert_uint_eq(disk()->running, 1);
    shut_slot(true);
    open_slot(0, true);
    run_until(w->now + SEC);
    ck_assert_uint_eq(last_of(EV_STORED).op, 3);
    ck_assert_int_eq(last_of(EV_STORED).err, E_OK);
    ck_assert_uint_eq(stub_find(core(), EV_OPENED, 1)->blocks, 0);
    ck_assert_uint_eq(slot()->blocks_have, 0);
}
END_TEST

START_TEST(what_is_given_up_is_not_served)
{
    begin(1);
    struct body body;
    const struct span at = {object_id(OBJ_IMAGE, 0), 0, BLOCK_LEN};
    ck_assert(disk_read(disk(), &at, &body));
    shut_slot(false);
    ck_assert(!disk_read(disk(), &at, &body));
    open_slot(0, false);
    run_until(w->now + SEC);
    ck_assert(disk_read(disk(), &at, &body));
    ck_assert(!body.corrupt);
}
END_TEST

START_TEST(a_long_check_lets_others_in_between)
{
    begin(0);
    disk_import(w, DEVICE, 0, 0);
    check_blocks(0, SIZE / BLOCK_LEN, 9);
    usec t = w->now;
    save(0, 1, "state", true);
    run_until(t + SEC);
    ck_assert_uint_lt(last_of(EV_SAVED).now, last_of(EV_CHECKED).now);
    ck_assert_int_eq(last_of(EV_CHECKED).err, E_OK);
    ck_assert_uint_ge(last_of(EV_CHECKED).now, t + SIZE * SEC / 400000000u);
}
END_TEST

START_TEST(an_unfinished_batch_holds_back_no_blocks)
{
    begin(0);
    save(0, 1, "half", false);
    put_block(0);
    run_until(w->now + SEC);
    ck_assert_uint_eq(slot()->blocks_have, 1);
    ck_assert_ptr_null(record_text(0));
    save(1, 1, "whole", true);
    run_until(w->now + SEC);
    ck_assert_ptr_nonnull(record_text(0));
    ck_assert_uint_eq(stub_seen_of(core(), EV_SAVED), 1);
}
END_TEST

START_TEST(a_commit_cut_by_a_crash_may_have_been_in_time)
{
    begin(1);
    for (uint32_t in_time = 0; in_time < 2; in_time++) {
        put_block(1 + in_time);
        run_until(w->now + 1000);
        ck_assert_uint_gt(disk()->running, 0);
        if (in_time)
            disk_settle(w, DEVICE);
        uint32_t have = slot()->blocks_have;
        world_crash(w, DEVICE);
        ck_assert_uint_eq(have, 1 + in_time);
        world_schedule(w, w->now + SEC, TICK_BOOT, DEVICE, 0, 0);
        run_until(w->now + 2 * SEC);
        ck_assert_uint_eq(stub_seen_of(core(), EV_STORED), 0);
        open_slot(0, true);
        run_until(w->now + SEC);
        ck_assert_uint_eq(stub_find(core(), EV_OPENED, 0)->blocks, 1 + in_time);
    }
}
END_TEST

/* ---- full ---- */

START_TEST(a_full_disk_keeps_nothing_new)
{
    begin(1);
    ail(true, 0, 1);
    put_block(1);
    run_until(w->now + SEC);
    ck_assert_int_eq(last_of(EV_STORED).err, E_FULL);
    ck_assert_uint_eq(slot()->blocks_have, 1);
    /* Who sent what does not match is still to blame. */
    put(OBJ_IMAGE, 2, 3, true);
    run_until(w->now + SEC);
    ck_assert_int_eq(last_of(EV_STORED).err, E_HASH);
    /* What is open stays open, nothing else is opened or removed, and it can be read. */
    open_slot(0, true);
    run_until(w->now + SEC);
    ck_assert_int_eq(last_of(EV_OPENED).err, E_OK);
    open_slot(1, true);
    run_until(w->now + SEC);
    ck_assert_int_eq(last_of(EV_OPENED).err, E_FULL);
    struct body body;
    const struct span at = {object_id(OBJ_IMAGE, 0), 0, BLOCK_LEN};
    ck_assert_int_eq(disk_serve(disk(), &at, &body), E_OK);
    shut_slot(true);
    run_until(w->now + SEC);
    ck_assert_uint_eq(slot()->blocks_have, 1);
    ail(false, 0, 1);
    open_slot(0, false);
    run_until(w->now + SEC);
    put_block(1);
    run_until(w->now + SEC);
    ck_assert_int_eq(last_of(EV_STORED).err, E_OK);
    ck_assert_uint_eq(slot()->blocks_have, 2);
}
END_TEST

START_TEST(saves_are_tried_again_in_order_until_they_are_kept)
{
    begin(0);
    ail(true, 0, 1);
    save(0, 1, "old", true);
    run_until(w->now + SEC);
    save(0, 2, "new", true);
    save(1, 3, "other", true);
    run_until(w->now + 12 * SEC);
    ck_assert_uint_eq(stub_seen_of(core(), EV_SAVED), 0);
    ck_assert_uint_eq(disk()->records, 0);
    ail(false, 0, 1);
    /* One more that comes before the old ones are tried again does not overtake them. */
    save(1, 4, "newest", true);
    put_block(0);
    run_until(w->now + SEC / 10);
    ck_assert_uint_eq(stub_seen_of(core(), EV_SAVED), 0);
    ck_assert_uint_eq(slot()->blocks_have, 1);
    run_until(w->now + 6 * SEC);
    for (uint32_t i = 0; i < 4; i++)
        ck_assert_uint_eq(stub_find(core(), EV_SAVED, i)->ev.op, i + 1);
    ck_assert_int_eq(memcmp(record_text(0), "new", 3), 0);
    ck_assert_int_eq(memcmp(record_text(1), "newest", 6), 0);
}
END_TEST

START_TEST(after_a_batch_that_failed_none_of_the_commit_is_kept)
{
    begin(0);
    /* Three of four fail: sooner or later one fails with another behind it in the same commit. */
    ail(false, 750, 1);
    for (uint32_t round = 0; round < 20; round++) {
        uint32_t before = stub_seen_of(core(), EV_SAVED);
        struct action a = {.type = ACT_SAVE};
        for (uint32_t i = 0; i < 3; i++) {
            a.op = round * 3 + i + 1;
            a.save.object = object_id(OBJ_RELEASE, i);
            a.save.last = true;
            stub_do(core(), &a, "x", 1);
        }
        world_drain(w, DEVICE);
        run_until(w->now + 200 * SEC);
        for (uint32_t i = before; i < stub_seen_of(core(), EV_SAVED); i++)
            ck_assert_uint_eq(stub_find(core(), EV_SAVED, i)->ev.op, i + 1);
    }
    ail(false, 0, 1);
    run_until(w->now + 6 * SEC);
    ck_assert_uint_eq(stub_seen_of(core(), EV_SAVED), 60);
}
END_TEST

/* ---- failing ---- */

START_TEST(a_disk_that_fails_says_so)
{
    begin(2);
    ail(false, 1000, 1);
    put_block(2);
    run_until(w->now + SEC);
    ck_assert_int_eq(last_of(EV_STORED).err, E_IO);
    open_slot(1, true);
    run_until(w->now + SEC);
    ck_assert_int_eq(last_of(EV_OPENED).err, E_IO);
    struct body body;
    const struct span at = {object_id(OBJ_IMAGE, 0), 0, BLOCK_LEN},
                      not_held = {object_id(OBJ_IMAGE, 0), 9 * BLOCK_LEN, BLOCK_LEN};
    ck_assert_int_eq(disk_serve(disk(), &at, &body), E_IO);
    ck_assert_int_eq(disk_serve(disk(), &not_held, &body), E_NOENT);
    /* A block that cannot be read is a bad block. */
    check_blocks(0, 1, 9);
    run_until(w->now + SEC);
    ck_assert_int_eq(last_of(EV_CHECKED).err, E_HASH);
    ck_assert_uint_eq(slot()->blocks_have, 1);
    ail(false, 0, 1);
    disk_import(w, DEVICE, 0, 0);
    ail(false, 1000, 1);
    check_whole(10);
    run_until(w->now + SEC);
    ck_assert_int_eq(last_of(EV_CHECKED).err, E_IO);
    ck_assert_int_eq(disk_install_code(disk(), 0), 74);
}
END_TEST

START_TEST(some_operations_fail_and_others_do_not)
{
    begin(0);
    ail(false, 300, 1);
    uint32_t failed = 0;
    for (uint32_t i = 0; i < 100; i++) {
        put_block(i);
        run_until(w->now + SEC / 10);
        failed += last_of(EV_STORED).err == E_IO;
    }
    ck_assert_uint_eq(slot()->blocks_have, 100 - failed);
    ck_assert_uint_gt(failed, 10);
    ck_assert_uint_lt(failed, 60);
}
END_TEST

/* ---- rotten ---- */

START_TEST(rot_shows_when_it_is_read_or_hashed_and_goes_with_a_new_copy)
{
    begin(0);
    ck_assert_uint_eq(disk_rot(w, DEVICE, 5, &rng), 0);
    disk_import(w, DEVICE, 0, 0);
    ck_assert_int_eq(disk_install_code(disk(), 0), 0);
    ck_assert_uint_eq(disk_rot(w, DEVICE, 5, &rng), 5);
    ck_assert_uint_eq(slot()->rotten, 5);
    ck_assert(disk_slot_whole(disk(), 0));
    ck_assert_int_eq(disk_install_code(disk(), 0), 65);
    uint32_t bad = 0, one = NONE;
    for (uint32_t i = 0; i < SIZE / BLOCK_LEN; i++) {
        struct body body;
        const struct span at = {object_id(OBJ_IMAGE, 0), (uint64_t)i * BLOCK_LEN, BLOCK_LEN};
        ck_assert_int_eq(disk_serve(disk(), &at, &body), E_OK);
        bad += body.corrupt;
        one = body.corrupt ? i : one;
    }
    ck_assert_uint_eq(bad, 5);
    check_whole(8);
    run_until(w->now + SEC);
    ck_assert_int_eq(last_of(EV_CHECKED).err, E_HASH);
    ck_assert_uint_eq(slot()->rotten, 5);
    check_blocks(one, 1, 9);
    run_until(w->now + SEC);
    ck_assert_int_eq(last_of(EV_CHECKED).err, E_HASH);
    ck_assert_uint_eq(slot()->rotten, 4);
    ck_assert_uint_eq(slot()->blocks_have, SIZE / BLOCK_LEN - 1);
    check_blocks(0, SIZE / BLOCK_LEN, 10);
    run_until(w->now + SEC);
    ck_assert_uint_eq(slot()->rotten, 0);
    ck_assert_uint_eq(slot()->blocks_have, SIZE / BLOCK_LEN - 5);
    put_block(one);
    run_until(w->now + SEC);
    check_blocks(one, 1, 11);
    run_until(w->now + SEC);
    ck_assert_int_eq(last_of(EV_CHECKED).err, E_OK);
}
END_TEST

START_TEST(what_a_check_has_just_found_bad_is_no_lie)
{
    begin(0);
    disk_import(w, DEVICE, 0, 0);
    ck_assert_uint_eq(disk_rot(w, DEVICE, SIZE / BLOCK_LEN, &rng), SIZE / BLOCK_LEN);
    check_blocks(0, SIZE / BLOCK_LEN, 9);
    while (slot()->rotten == SIZE / BLOCK_LEN)
        ck_assert(world_step(w));
    ck_assert_uint_eq(stub_seen_of(core(), EV_CHECKED), 0);
    struct body body;
    const struct span at = {object_id(OBJ_IMAGE, 0), 0, BLOCK_LEN};
    ck_assert_int_eq(disk_serve(disk(), &at, &body), E_IO);
    run_until(w->now + SEC);
    ck_assert_int_eq(last_of(EV_CHECKED).err, E_HASH);
    ck_assert_int_eq(disk_serve(disk(), &at, &body), E_NOENT);
}
END_TEST

START_TEST(no_more_rots_than_is_there)
{
    begin(3);
    ck_assert_uint_eq(disk_rot(w, DEVICE, 2, &rng), 2);
    ck_assert_uint_eq(disk_rot(w, DEVICE, 2, &rng), 1);
    ck_assert_uint_eq(disk_rot(w, DEVICE, 2, &rng), 0);
}
END_TEST

/* ---- slow ---- */

START_TEST(a_slow_disk_takes_that_many_times_as_long)
{
    begin(1);
    usec t = w->now;
    put_block(1);
    run_until(t + SEC);
    usec well = last_of(EV_STORED).now - t;
    ail(false, 0, 25);
    t = w->now;
    put_block(2);
    run_until(t + SEC);
    ck_assert_uint_eq(last_of(EV_STORED).now - t, 25 * well);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("sim disk");
    TCase *t = tcase_create("disk");
    suite_add_tcase(s, t);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, blocks_wait_for_company_and_no_longer);
    tcase_add_test(t, what_was_stored_before_a_shut_is_not_blamed);
    tcase_add_test(t, what_is_given_up_is_not_served);
    tcase_add_test(t, a_long_check_lets_others_in_between);
    tcase_add_test(t, an_unfinished_batch_holds_back_no_blocks);
    tcase_add_test(t, a_commit_cut_by_a_crash_may_have_been_in_time);
    tcase_add_test(t, a_full_disk_keeps_nothing_new);
    tcase_add_test(t, saves_are_tried_again_in_order_until_they_are_kept);
    tcase_add_test(t, after_a_batch_that_failed_none_of_the_commit_is_kept);
    tcase_add_test(t, a_disk_that_fails_says_so);
    tcase_add_test(t, some_operations_fail_and_others_do_not);
    tcase_add_test(t, rot_shows_when_it_is_read_or_hashed_and_goes_with_a_new_copy);
    tcase_add_test(t, what_a_check_has_just_found_bad_is_no_lie);
    tcase_add_test(t, no_more_rots_than_is_there);
    tcase_add_test(t, a_slow_disk_takes_that_many_times_as_long);
    return test_run(s);
}
