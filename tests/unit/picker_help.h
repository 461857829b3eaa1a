/* What the picker's tests share: limits, geometries, pickers, seeded chance. */
#pragma once

#include "swarm/picker.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static const struct limits roomy = {
    .links = 32, .pieces = 2048, .open_blocks = 8192, .chunks = 4096, .requests = 256};

static inline struct rng rng_of(uint32_t n)
{
    struct rng r;
    uint8_t seed[32] = {0};
    memcpy(seed, &n, sizeof n);
    rng_init(&r, seed);
    return r;
}

/* The last block is five bytes short. */
static inline struct geometry geometry_of(uint32_t blocks, uint32_t piece_blocks)
{
    struct geometry g;
    uint64_t size = (uint64_t)blocks * BLOCK_LEN - 5;
    ck_assert_int_eq(geometry_init(&g, size, piece_blocks * BLOCK_LEN), E_OK);
    ck_assert_uint_eq(g.blocks, blocks);
    return g;
}

/* The caller frees it. */
static inline struct picker *picker_of(const struct limits *lim, const struct geometry *g)
{
    struct picker *p = picker_init(malloc(picker_size(lim)), lim);
    ck_assert_int_eq(picker_begin(p, g), E_OK);
    return p;
}
