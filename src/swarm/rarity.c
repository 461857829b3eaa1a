/* Counters, bit-sliced.
 *
 * Plane k is bit k of the count of every piece; the words of all planes for the same 64 pieces lie
 * side by side.  Adding a whole bitfield is a ripple of half adders, and the least of any set is
 * found by going down the planes from the top and keeping, where some have it, those whose bit is
 * zero: a few word operations for 64 pieces, where an array of counts would need one comparison for
 * each piece.
 * Choosing a block is the most frequent decision of a node; this is what makes it cheap. */
#include "swarm/rarity.h"

#include <assert.h>
#include <string.h>

static uint32_t planes_for(uint32_t most)
{
    uint32_t planes = 1;
    while (planes < 32 && most >> planes != 0)
        planes++;
    return planes;
}

size_t rarity_words(uint32_t pieces, uint32_t most)
{
    return (size_t)planes_for(most) * ((pieces + 63) / 64);
}

void rarity_init(struct rarity *r, uint64_t *mem, uint32_t most)
{
    *r = (struct rarity){.plane = mem, .planes = planes_for(most)};
}

void rarity_begin(struct rarity *r, uint32_t pieces)
{
    r->words = (pieces + 63) / 64;
    memset(r->plane, 0, sizeof *r->plane * r->planes * r->words);
}

void rarity_add(struct rarity *r, uint32_t w, uint64_t set)
{
    assert(w < r->words);
    uint64_t *plane = r->plane + (size_t)w * r->planes;
    for (uint32_t k = 0; k < r->planes && set != 0; k++, plane++) {
        uint64_t carry = *plane & set;
        *plane ^= set;
        set = carry;
    }
    assert(set == 0);
}

void rarity_remove(struct rarity *r, uint32_t w, uint64_t set)
{
    assert(w < r->words);
    uint64_t *plane = r->plane + (size_t)w * r->planes;
    for (uint32_t k = 0; k < r->planes && set != 0; k++, plane++) {
        uint64_t borrow = ~*plane & set;
        *plane ^= set;
        set = borrow;
    }
    assert(set == 0);
}

uint32_t rarity_get(const struct rarity *r, uint32_t piece)
{
    assert(piece / 64 < r->words);
    const uint64_t *plane = r->plane + (size_t)(piece / 64) * r->planes;
    uint32_t count = 0;
    for (uint32_t k = 0; k < r->planes; k++, plane++)
        count |= (uint32_t)(*plane >> (63 - piece % 64) & 1) << k;
    return count;
}

void rarity_least(const struct rarity *r, uint64_t *set)
{
    for (uint32_t k = r->planes; k-- > 0;) {
        const uint64_t *plane = r->plane + k;
        uint64_t some = 0;
        for (uint32_t w = 0; w < r->words; w++)
            some |= set[w] & ~plane[(size_t)w * r->planes];
        if (some == 0)
            continue;
        for (uint32_t w = 0; w < r->words; w++)
            set[w] &= ~plane[(size_t)w * r->planes];
    }
}
