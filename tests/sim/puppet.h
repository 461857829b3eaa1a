/* A world whose cores do what a test tells them: stage.h around the core of stub.h.
 *
 * For the test_sim_*.c that are linked with stub.c. */
#pragma once

#include "fwswarm/wire.h"
#include "stage.h"
#include "stub.h"

/* Makes the world and boots all. */
static inline void puppet_begin(void)
{
    stage_begin();
    stub_use(w);
    run_until(SEC);
}

static inline struct node *core(uint32_t node)
{
    return w->node[node].core;
}

static inline void act(uint32_t node, const struct action *a, const void *head, uint32_t head_len)
{
    stub_do(core(node), a, head, head_len);
    world_drain(w, node);
}

/* ---- links ---- */

#define DIAL_OP 77u

static inline void dial(uint32_t from, const struct addr *to)
{
    struct action a = {.type = ACT_DIAL, .op = DIAL_OP};
    a.dial.addr = *to;
    act(from, &a, NULL, 0);
}

/* A link from one to another, which is new to both; their names of it. */
static inline void link_two(uint32_t from, uint32_t to, uint32_t *near, uint32_t *far)
{
    uint32_t had = stub_seen_of(core(to), EV_UP), own = stub_seen_of(core(from), EV_UP);
    dial(from, &w->node[to].addr);
    run_for(SEC);
    const struct stub_seen *up = stub_find(core(from), EV_UP, own);
    const struct stub_seen *in = stub_find(core(to), EV_UP, had);
    ck_assert_ptr_nonnull(up);
    ck_assert_ptr_nonnull(in);
    ck_assert_uint_eq(stub_seen_of(core(from), EV_UP), own + 1);
    *near = up->ev.link;
    *far = in->ev.link;
}

/* ---- messages, which leave with the next drain ---- */

/* span: what of the store follows the head, or NULL. */
static inline void queue_msg(uint32_t node, uint32_t link, const struct wire_msg *m,
                             const struct span *span)
{
    uint8_t head[WIRE_HEAD_MAX];
    size_t n = wire_encode(m, head);
    struct action a = {.type = ACT_SEND, .link = link};
    if (span != NULL)
        a.send.span = *span;
    stub_do(core(node), &a, head, (uint32_t)n);
}

/* Of the image of release 0, in slot 0. */
static inline struct span block_span(uint32_t block)
{
    return (struct span){object_id(OBJ_IMAGE, 0), (uint64_t)block * BLOCK_LEN, BLOCK_LEN};
}

static inline struct span chunk_span(uint32_t chunk)
{
    return (struct span){object_id(OBJ_CHUNK, 0), chunk, geometry_chunk_len(&w->release[0].geo)};
}

static inline void queue_block(uint32_t node, uint32_t link, uint32_t block)
{
    const struct geometry *g = &w->release[0].geo;
    const struct span span = block_span(block);
    struct wire_msg m = {.id = MSG_piece};
    m.piece.piece = block / g->piece_blocks;
    m.piece.begin = block % g->piece_blocks * BLOCK_LEN;
    queue_msg(node, link, &m, &span);
}

static inline void queue_chunk(uint32_t node, uint32_t link, uint32_t chunk)
{
    const struct span span = chunk_span(chunk);
    struct wire_msg m = {.id = MSG_hashes};
    m.hashes.index = chunk * CHUNK_BLOCKS;
    m.hashes.length = w->release[0].geo.chunk_hashes;
    queue_msg(node, link, &m, &span);
}

/* ---- storage ---- */

/* Makes room for a release in slot 0. */
static inline void open_release(uint32_t node, uint32_t release)
{
    struct action a = {.type = ACT_OPEN};
    a.open.create = true;
    a.open.root = w->release[release].manifest.tree_root;
    a.open.geo = w->release[release].geo;
    act(node, &a, NULL, 0);
}
