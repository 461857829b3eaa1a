/* Each of the invariants that are judged step by step, broken once by a core that does what it is
 * told, and kept once where that is not what every other test does. */
#include "checks.h"
#include "disk.h"
#include "fwswarm/wire.h"
#include "judge.h"
#include "net.h"
#include "stub.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define ORIGIN 0u
#define DEVICE 1u
#define OTHER  2u
#define FOE    3u
#define OLD    0u /* releases */
#define NEW    1u
#define ALIEN  2u
#define RATE   10000000u
#define LATER  (3600 * SEC)

static struct world *w;

static void run_for(usec span)
{
    usec at = w->now + span;
    while (heap_first(&w->heap) <= at || alarms_at(&w->alarms) <= at)
        ck_assert(world_step(w));
    w->now = at;
}

static void setup(void)
{
    struct scenario *scn = sim_alloc(1, sizeof(*scn));
    scenario_default(scn);
    scn->seed = 12;
    scn->group[1].count = 2;
    scn->group[2] = scn->group[1];
    scn->groups = 3;
    memcpy(scn->group[2].name, "foe", sizeof("foe"));
    scn->group[2].count = 1;
    scn->group[2].behaviour = BEHAVE_GARBAGE;
    for (uint32_t i = 0; i < scn->groups; i++)
        scn->group[i].up = scn->group[i].down = RATE;
    memcpy(scn->model[1], "alien", sizeof("alien"));
    scn->models = 2;
    scn->releases = 3;
    for (uint32_t i = 0; i < scn->releases; i++) {
        scn->release[i] = scn->release[0];
        snprintf(scn->release[i].version, sizeof(scn->release[i].version), "%u.0", i + 2);
        scn->release[i].sequence = i + 2;
        scn->release[i].size = 1 << 20;
        scn->release[i].at = i > 0 ? LATER : 0;
    }
    scn->release[ALIEN].model = 1;
    scn->release[OLD].withdrawn = true;
    scn->release[OLD].stop_at = LATER;
    char why[200];
    ck_assert_msg(!scenario_wrong(scn, why, sizeof(why)), "%s", why);
    const struct options opt = {0};
    w = sim_alloc(1, sizeof(*w));
    ck_assert(world_init(w, scn, &opt));
    free(scn);
    stub_use(w);
    run_for(SEC); /* all boot */
}

static void teardown(void)
{
    world_fini(w);
    free(w);
}

/* ---- what a core is told to do ---- */

static struct node *core(uint32_t node)
{
    return w->node[node].core;
}

static void act(uint32_t node, const struct action *a, const void *head, uint32_t head_len)
{
    stub_do(core(node), a, head, head_len);
    world_drain(w, node);
}

static void say(uint32_t node, uint32_t link, const struct wire_msg *m)
{
    uint8_t head[WIRE_HEAD_MAX];
    struct action a = {.type = ACT_SEND, .link = link};
    act(node, &a, head, (uint32_t)wire_encode(m, head));
}

/* A link from one to the other, and what each calls it; all are up. */
static void join(uint32_t from, uint32_t to, uint32_t *near, uint32_t *far)
{
    struct action a = {.type = ACT_DIAL, .op = 77 + to};
    uint32_t had = stub_seen_of(core(to), EV_UP), mine = stub_seen_of(core(from), EV_UP);
    a.dial.addr = w->node[to].addr;
    act(from, &a, NULL, 0);
    run_for(SEC);
    *near = stub_find(core(from), EV_UP, mine)->ev.link;
    *far = stub_find(core(to), EV_UP, had)->ev.link;
}

static void open_slot(uint32_t node, uint32_t release)
{
    struct action a = {.type = ACT_OPEN};
    a.open.create = true;
    a.open.root = w->release[release].manifest.tree_root;
    a.open.geo = w->release[release].geo;
    act(node, &a, NULL, 0);
    run_for(SEC);
}

static void choose(uint32_t node, uint32_t link)
{
    struct wire_msg m = {.id = MSG_select};
    say(node, link, &m);
}

static void tell_of(uint32_t node, uint32_t link, enum msg_id id, uint32_t release)
{
    struct wire_msg m;
    memset(&m, 0, sizeof(m));
    m.id = id;
    const uint8_t *name = w->release[release].manifest.id.b;
    if (id == MSG_open)
        memcpy(m.open.manifest, name, 32);
    else if (id == MSG_offer)
        memcpy(m.offer.manifest, name, 32);
    else if (id == MSG_withdrawn)
        memcpy(m.withdrawn.manifest, name, 32);
    else
        memcpy(m.held.manifest, name, 32);
    say(node, link, &m);
}

/* Both have the release in slot 0 and say so on a link. */
static void meet(uint32_t from, uint32_t to, uint32_t *near, uint32_t *far)
{
    join(from, to, near, far);
    tell_of(from, *near, MSG_open, OLD);
    tell_of(to, *far, MSG_open, OLD);
    choose(from, *near);
    choose(to, *far);
    run_for(SEC);
}

static void send_span(uint32_t node, uint32_t link, bool chunk, uint32_t index)
{
    const struct geometry *g = &w->release[OLD].geo;
    struct wire_msg m;
    memset(&m, 0, sizeof(m));
    struct action a = {.type = ACT_SEND, .link = link};
    if (chunk) {
        m.id = MSG_hashes;
        m.hashes.index = index * CHUNK_BLOCKS;
        m.hashes.length = g->chunk_hashes;
        a.send.span = (struct span){object_id(OBJ_CHUNK, 0), index, geometry_chunk_len(g)};
    } else {
        m.id = MSG_piece;
        m.piece.piece = index / g->piece_blocks;
        m.piece.begin = index % g->piece_blocks * BLOCK_LEN;
        a.send.span =
            (struct span){object_id(OBJ_IMAGE, 0), (uint64_t)index * BLOCK_LEN, BLOCK_LEN};
    }
    uint8_t head[WIRE_HEAD_MAX];
    act(node, &a, head, (uint32_t)wire_encode(&m, head));
}

/* One block or chunk from `from`, which the other stores. */
static void store(uint32_t from, uint32_t link, uint32_t to, bool chunk, uint32_t index)
{
    const struct geometry *g = &w->release[OLD].geo;
    core(to)->store_body = true;
    core(to)->store_at =
        chunk ? (struct span){object_id(OBJ_CHUNK, 0), index, geometry_chunk_len(g)}
              : (struct span){object_id(OBJ_IMAGE, 0), (uint64_t)index * BLOCK_LEN, BLOCK_LEN};
    send_span(from, link, chunk, index);
    run_for(SEC);
    core(to)->store_body = false;
}

static void save(uint32_t node, uint32_t object, const void *data, size_t len)
{
    struct action a = {.type = ACT_SAVE, .op = 1};
    a.save.object = object;
    a.save.data = bytes_of(data, len);
    a.save.last = true;
    act(node, &a, NULL, 0);
}

static void save_manifest(uint32_t node, uint32_t slot, uint32_t release)
{
    const struct blob *b = w->release[release].envelope;
    save(node, object_id(OBJ_MANIFEST, slot), b->data, b->len);
}

static void save_stop(uint32_t node)
{
    const struct blob *b = w->release[OLD].withdrawal;
    save(node, object_id(OBJ_WITHDRAWAL, 0), b->data, b->len);
}

static void tell(uint32_t node, enum tell what)
{
    struct action a = {.type = ACT_TELL};
    a.tell.what = what;
    act(node, &a, NULL, 0);
}

static void ask(uint32_t node, uint32_t link, enum msg_id id, uint32_t block)
{
    const struct geometry *g = &w->release[OLD].geo;
    struct wire_msg m;
    memset(&m, 0, sizeof(m));
    m.id = id;
    m.request.piece = block / g->piece_blocks;
    m.request.begin = block % g->piece_blocks * BLOCK_LEN;
    m.request.length = BLOCK_LEN;
    say(node, link, &m);
}

/* Puts the whole image into slot 0, as the vendor does. */
static void give_image(uint32_t node)
{
    disk_import(w, node, 0, OLD);
    struct event ev = {.type = EV_ORDER};
    ev.order.what = ORDER_ADOPT;
    world_give(w, node, &ev);
    world_drain(w, node);
    run_for(SEC);
}

static void restart(uint32_t node)
{
    world_crash(w, node);
    world_schedule(w, w->now + SEC, TICK_BOOT, node, 0, 0);
    run_for(2 * SEC);
}

/* ---- what is found ---- */

static void none(void)
{
    ck_assert_msg(w->violations == 0, "%s", w->violation[0].what);
}

static void found(uint32_t node, const char *what)
{
    ck_assert_uint_ge(w->violations, 1);
    const struct violation *v = &w->violation[w->violations - 1];
    ck_assert_msg(strstr(v->what, what) != NULL, "%s", v->what);
    ck_assert_uint_eq(v->node, node);
    w->violations = 0;
}

/* ---- blocks ---- */

START_TEST(what_is_claimed_is_durable)
{
    uint32_t near, far;
    open_slot(DEVICE, OLD);
    meet(DEVICE, ORIGIN, &near, &far);
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
    join(DEVICE, ORIGIN, &near, &far);
    struct wire_msg have = {.id = MSG_have};
    say(DEVICE, near, &have);
    found(DEVICE, "in a slot in which nothing is");
}
END_TEST

START_TEST(what_is_served_was_stored)
{
    uint32_t near, far;
    open_slot(DEVICE, OLD);
    meet(DEVICE, ORIGIN, &near, &far);
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
    open_slot(DEVICE, OLD);
    meet(DEVICE, ORIGIN, &near, &far);
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
    open_slot(DEVICE, OLD);
    meet(DEVICE, ORIGIN, &near, &far);
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
    open_slot(DEVICE, OLD);
    meet(DEVICE, ORIGIN, &near, &far);
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
    join(DEVICE, ORIGIN, &near, &far);
    w->violations = 0;
    tell_of(DEVICE, near, MSG_offer, OLD);
    found(DEVICE, "offers 2.0, which it knows to be withdrawn");
}
END_TEST

START_TEST(only_what_the_vendor_signed_is_spoken_of)
{
    uint32_t near, far;
    join(DEVICE, ORIGIN, &near, &far);
    struct wire_msg m;
    memset(&m, 0, sizeof(m));
    m.id = MSG_open;
    say(DEVICE, near, &m);
    found(DEVICE, "opens what the vendor did not sign");
    m.id = MSG_offer;
    say(DEVICE, near, &m);
    found(DEVICE, "offers what the vendor did not sign");
    uint8_t head[WIRE_HEAD_MAX];
    memset(&m, 0, sizeof(m));
    m.id = MSG_announce;
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
    join(DEVICE, ORIGIN, &near, &far);
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
    give_image(DEVICE);
    w->violations = 0;
    join(DEVICE, ORIGIN, &near, &far);
    install(DEVICE);
    found(DEVICE, "installs after 0 answers, 0 of them by verify nodes, where 1 are needed");
    struct wire_msg m;
    memset(&m, 0, sizeof(m));
    m.id = MSG_answer;
    say(ORIGIN, far, &m);
    run_for(SEC);
    install(DEVICE);
    none();
}
END_TEST

START_TEST(one_peer_is_not_enough_and_a_minute_is)
{
    uint32_t near, far;
    give_image(DEVICE);
    w->violations = 0;
    join(DEVICE, OTHER, &near, &far);
    struct wire_msg m;
    memset(&m, 0, sizeof(m));
    m.id = MSG_answer;
    say(OTHER, far, &m);
    say(OTHER, far, &m);
    say(OTHER, far, &m);
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
    give_image(DEVICE);
    w->violations = 0;
    save_manifest(DEVICE, 1, NEW);
    run_for(59 * SEC);
    run_for(2 * SEC);
    install(DEVICE);
    found(DEVICE, "installs sequence 2 and knows of 3");
}
END_TEST

START_TEST(confirmed_is_on_the_disk)
{
    give_image(DEVICE);
    w->violations = 0;
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

/* ---- neighbours ---- */

START_TEST(requests_make_sense)
{
    uint32_t near, far;
    open_slot(DEVICE, OLD);
    meet(DEVICE, ORIGIN, &near, &far);
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

START_TEST(what_came_is_asked_of_nobody_else)
{
    uint32_t near, far, other, back;
    open_slot(DEVICE, OLD);
    give_image(OTHER);
    w->violations = 0;
    meet(DEVICE, ORIGIN, &near, &far);
    meet(DEVICE, OTHER, &other, &back);
    core(DEVICE)->has_release = true;
    core(DEVICE)->state = RELEASE_FETCHING;
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
    struct wire_msg m;
    memset(&m, 0, sizeof(m));
    m.id = MSG_cancel;
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

/* The first request was late and is not to be taken back; the second is. */
START_TEST(what_was_asked_twice_is_taken_back)
{
    uint32_t near, far, other, back;
    open_slot(DEVICE, OLD);
    give_image(OTHER);
    w->violations = 0;
    meet(DEVICE, ORIGIN, &near, &far);
    meet(DEVICE, OTHER, &other, &back);
    core(DEVICE)->has_release = true;
    core(DEVICE)->state = RELEASE_FETCHING;
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

START_TEST(who_sent_a_bad_block_is_left_alone)
{
    uint32_t near, far;
    open_slot(DEVICE, OLD);
    give_image(FOE);
    meet(DEVICE, FOE, &near, &far);
    store(FOE, far, DEVICE, true, 0);
    ask(DEVICE, near, MSG_request, 7);
    none();
    store(FOE, far, DEVICE, false, 7); /* garbage */
    const struct stub_seen *s = stub_find(core(DEVICE), EV_STORED, 1);
    ck_assert_int_eq(s->ev.err, E_HASH);
    none();
    ask(DEVICE, near, MSG_request, 8);
    found(DEVICE, "asks node 3, which sent it a bad block");
    restart(DEVICE);
    open_slot(DEVICE, OLD);
    meet(DEVICE, FOE, &near, &far);
    ask(DEVICE, near, MSG_request, 8);
    none(); /* the stub saved no ban, so nothing durable was forgotten */
}
END_TEST

START_TEST(garbage_costs_one_window)
{
    uint32_t near, far;
    open_slot(DEVICE, OLD);
    give_image(FOE);
    meet(DEVICE, FOE, &near, &far);
    store(FOE, far, DEVICE, true, 0);
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
    open_slot(DEVICE, OLD);
    meet(DEVICE, ORIGIN, &near, &far);
    struct wire_msg m;
    memset(&m, 0, sizeof(m));
    m.id = MSG_bye;
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
    join(DEVICE, ORIGIN, &near, &far);
    core(DEVICE)->link.link = near;
    struct wire_msg m = {.id = MSG_bye};
    say(DEVICE, near, &m);
    run_for(SEC);
    none();
    core(DEVICE)->link.queued = 4;
    for (uint32_t i = 0; i < 16; i++) {
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
    join(FOE, ORIGIN, &near, &far);
    struct wire_msg m;
    memset(&m, 0, sizeof(m));
    m.id = MSG_open;
    say(FOE, near, &m);
    save(FOE, object_id(OBJ_MANIFEST, 0), "manifest", 8);
    none();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("sim judge");
    TCase *t = tcase_create("judge");
    tcase_add_checked_fixture(t, setup, teardown);
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
    tcase_add_test(t, requests_make_sense);
    tcase_add_test(t, what_came_is_asked_of_nobody_else);
    tcase_add_test(t, what_was_asked_twice_is_taken_back);
    tcase_add_test(t, who_sent_a_bad_block_is_left_alone);
    tcase_add_test(t, garbage_costs_one_window);
    tcase_add_test(t, honest_nodes_do_not_blame_each_other);
    tcase_add_test(t, who_wants_something_is_served);
    tcase_add_test(t, credit_is_what_the_network_has);
    tcase_add_test(t, bytes_of_a_link_are_accounted_for);
    tcase_add_test(t, adversaries_are_not_judged);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
