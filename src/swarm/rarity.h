/* Rarity: how many neighbours hold each piece, and which of a set are the rarest.
 *
 * For the picker.  A set is words of 64 pieces, the first piece in the top bit.  Memory is the
 * caller's: rarity_words() words, which rarity_init() keeps. */
#pragma once

#include "fwswarm/bytes.h"

struct rarity {
    uint64_t *plane;        /* for each word of pieces: bit 0 of their counts, bit 1, ... */
    uint32_t planes, words; /* bits of a count; words of the pieces counted now */
};

/* Words of memory for counts up to `most` of that many pieces. */
size_t rarity_words(uint32_t pieces, uint32_t most);
/* Counts nothing yet, and writes nothing to mem. */
void rarity_init(struct rarity *r, uint64_t *mem, uint32_t most);
/* Begins to count these pieces, no more than at init, all from zero. */
void rarity_begin(struct rarity *r, uint32_t pieces);
/* One neighbour more, or one less, holds the pieces of word w that `set` names.  A count that would
 * leave its range is the caller's bug. */
void rarity_add(struct rarity *r, uint32_t w, uint64_t set);
void rarity_remove(struct rarity *r, uint32_t w, uint64_t set);
uint32_t rarity_get(const struct rarity *r, uint32_t piece);
/* Leaves in set, rarity.words long, only the pieces with the least count of those in it. */
void rarity_least(const struct rarity *r, uint64_t *set);
