/* A world for breaking the invariants that are judged step by step: a vendor, two devices and an
 * adversary whose cores say, store and save what a test tells them, and what was found.
 *
 * For test_sim_judge.c and test_sim_judge_link.c. */
#pragma once

#include "disk.h"
#include "judge.h"
#include "puppet.h"

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

static inline void judged_begin(void)
{
    stage_plan(12);
    scn->group[1].count = 2;
    add_group("foe", 1)->behaviour = BEHAVE_GARBAGE;
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
    puppet_begin();
}

/* ---- what a core is told to do ---- */

static inline void say(uint32_t node, uint32_t link, const struct wire_msg *m)
{
    queue_msg(node, link, m, NULL);
    world_drain(w, node);
}

/* A message of this kind, with nothing in it yet. */
static inline struct wire_msg blank(enum msg_id id)
{
    struct wire_msg m;
    memset(&m, 0, sizeof(m));
    m.id = id;
    return m;
}

static inline void say_blank(uint32_t node, uint32_t link, enum msg_id id)
{
    struct wire_msg m = blank(id);
    say(node, link, &m);
}

static inline void open_slot(uint32_t node, uint32_t release)
{
    open_release(node, release);
    run_for(SEC);
}

static inline void tell_of(uint32_t node, uint32_t link, enum msg_id id, uint32_t release)
{
    struct wire_msg m = blank(id);
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
static inline void meet(uint32_t from, uint32_t to, uint32_t *near, uint32_t *far)
{
    link_two(from, to, near, far);
    tell_of(from, *near, MSG_open, OLD);
    tell_of(to, *far, MSG_open, OLD);
    say_blank(from, *near, MSG_select);
    say_blank(to, *far, MSG_select);
    run_for(SEC);
}

static inline void send_span(uint32_t node, uint32_t link, bool chunk, uint32_t index)
{
    if (chunk)
        queue_chunk(node, link, index);
    else
        queue_block(node, link, index);
    world_drain(w, node);
}

/* An empty slot 0, to be filled by somebody that it is linked to. */
static inline void fetch_from(uint32_t who, uint32_t *near, uint32_t *far)
{
    open_slot(DEVICE, OLD);
    meet(DEVICE, who, near, far);
}

/* One block or chunk from `from`, which the other stores. */
static inline void store(uint32_t from, uint32_t link, uint32_t to, bool chunk, uint32_t index)
{
    core(to)->store_body = true;
    core(to)->store_at = chunk ? chunk_span(index) : block_span(index);
    send_span(from, link, chunk, index);
    run_for(SEC);
    core(to)->store_body = false;
}

static inline void save(uint32_t node, uint32_t object, const void *data, size_t len)
{
    struct action a = {.type = ACT_SAVE, .op = 1};
    a.save.object = object;
    a.save.data = bytes_of(data, len);
    a.save.last = true;
    act(node, &a, NULL, 0);
}

static inline void save_manifest(uint32_t node, uint32_t slot, uint32_t release)
{
    const struct blob *b = w->release[release].envelope;
    save(node, object_id(OBJ_MANIFEST, slot), b->data, b->len);
}

static inline void save_stop(uint32_t node)
{
    const struct blob *b = w->release[OLD].withdrawal;
    save(node, object_id(OBJ_WITHDRAWAL, 0), b->data, b->len);
}

static inline void tell(uint32_t node, enum tell what)
{
    struct action a = {.type = ACT_TELL};
    a.tell.what = what;
    act(node, &a, NULL, 0);
}

static inline void ask(uint32_t node, uint32_t link, enum msg_id id, uint32_t block)
{
    const struct geometry *g = &w->release[OLD].geo;
    struct wire_msg m = blank(id);
    m.request.piece = block / g->piece_blocks;
    m.request.begin = block % g->piece_blocks * BLOCK_LEN;
    m.request.length = BLOCK_LEN;
    say(node, link, &m);
}

/* Puts the whole image into slot 0, as the vendor does. */
static inline void give_image(uint32_t node)
{
    disk_import(w, node, 0, OLD);
    struct event ev = {.type = EV_ORDER};
    ev.order.what = ORDER_ADOPT;
    world_give(w, node, &ev);
    world_drain(w, node);
    run_for(SEC);
}

/* The same to the device, where nobody is to hear that its stub says so. */
static inline void hold_image(void)
{
    give_image(DEVICE);
    w->violations = 0;
}

static inline void restart(uint32_t node)
{
    world_crash(w, node);
    world_schedule(w, w->now + SEC, TICK_BOOT, node, 0, 0);
    run_for(2 * SEC);
}

/* ---- what is found ---- */

static inline void none(void)
{
    ck_assert_msg(w->violations == 0, "%s", w->violation[0].what);
}

static inline void found(uint32_t node, const char *what)
{
    ck_assert_uint_ge(w->violations, 1);
    const struct violation *v = &w->violation[w->violations - 1];
    ck_assert_msg(strstr(v->what, what) != NULL, "%s", v->what);
    ck_assert_uint_eq(v->node, node);
    w->violations = 0;
}
