/* Bitmaps with the first bit highest, as in a bitfield message, read by words of 64.
 *
 * For the files of src/swarm.  A view shorter than asked for reads as zeros beyond its end, so that
 * what a neighbour sent is never read out of bounds. */
#pragma once

#include "fwswarm/bytes.h"

/* Bytes of a bitmap of n bits, rounded up to whole words. */
static inline size_t bits_size(uint32_t n)
{
    return ((size_t)n + 63) / 64 * 8;
}

static inline uint32_t bits_words(uint32_t n)
{
    return (uint32_t)(bits_size(n) / 8);
}

static inline bool bits_get(const uint8_t *p, uint32_t i)
{
    return (p[i / 8] & 0x80u >> i % 8) != 0;
}

static inline bool bits_in(struct bytes b, uint32_t i)
{
    return i / 8 < b.n && bits_get(b.p, i);
}

static inline void bits_set(uint8_t *p, uint32_t i)
{
    p[i / 8] = (uint8_t)(p[i / 8] | 0x80u >> i % 8);
}

static inline void bits_clear(uint8_t *p, uint32_t i)
{
    p[i / 8] = (uint8_t)(p[i / 8] & ~(0x80u >> i % 8));
}

static inline void bits_put(uint8_t *p, uint32_t i, bool on)
{
    if (on)
        bits_set(p, i);
    else
        bits_clear(p, i);
}

/* Bits 64w .. 64w+63 of a bitmap made of whole words, the first of them in the top bit. */
static inline uint64_t bits_own_word(const uint8_t *p, uint32_t w)
{
    p += (size_t)w * 8;
    return (uint64_t)p[0] << 56 | (uint64_t)p[1] << 48 | (uint64_t)p[2] << 40 |
           (uint64_t)p[3] << 32 | (uint64_t)p[4] << 24 | (uint64_t)p[5] << 16 |
           (uint64_t)p[6] << 8 | (uint64_t)p[7];
}

/* The same of any bitmap. */
static inline uint64_t bits_word(struct bytes b, uint32_t w)
{
    size_t at = (size_t)w * 8;
    uint64_t v = 0;
    if (at + 8 <= b.n)
        return bits_own_word(b.p, w);
    for (size_t i = at; i < at + 8; i++)
        v = v << 8 | (i < b.n ? b.p[i] : 0u);
    return v;
}

/* Takes the first set bit off *word and returns its place, 0..63; *word is not zero. */
static inline uint32_t bits_pop(uint64_t *word)
{
    uint32_t i = (uint32_t)__builtin_clzll(*word);
    *word &= ~(UINT64_C(1) << 63 >> i);
    return i;
}

/* Set bits, by adding neighbours in ever wider fields: most processors that we build for have no
 * instruction that may be relied on. */
static inline uint32_t bits_count(uint64_t word)
{
    word -= word >> 1 & UINT64_C(0x5555555555555555);
    word = (word & UINT64_C(0x3333333333333333)) + (word >> 2 & UINT64_C(0x3333333333333333));
    word = (word + (word >> 4)) & UINT64_C(0x0f0f0f0f0f0f0f0f);
    return (uint32_t)(word * UINT64_C(0x0101010101010101) >> 56);
}
