/* The hash tree of an image: BEP 52 exactly, and the arithmetic of blocks, pieces and chunks.
 *
 * Leaf = SHA-256 of a 16 KiB block (the last one at its true length); leaves are padded with zero
 * digests to a power of two; node = SHA-256(left || right).  BEP 52 does not separate leaves from
 * nodes, so a hash is only ever judged at the exact depth that the signed length implies.
 *
 * Leaf hashes travel and are stored in *chunks*: the hashes of 512 blocks (8 MiB of image), then
 * the uncle hashes from that subtree up to the root.  A tree of fewer leaves is one chunk of all of
 * its padded leaves without uncles.  A chunk proves itself against the root, so each is one
 * message. */
#pragma once

#include "fwswarm/bytes.h"

/* Not BLOCK_SIZE: <linux/fs.h> takes that name for 1,024. */
#define BLOCK_LEN       16384u
#define CHUNK_BLOCKS    512u
#define CHUNK_PROOF_MAX 24u
/* Longest chunk record in bytes. */
#define CHUNK_MAX (32u * (CHUNK_BLOCKS + CHUNK_PROOF_MAX))
/* Largest image: 2^32 - 512 blocks, so that an index always fits. */
#define IMAGE_SIZE_MAX ((uint64_t)BLOCK_LEN * (UINT32_MAX - CHUNK_BLOCKS))

struct geometry {
    uint64_t size;         /* bytes of the image, > 0 */
    uint32_t piece_length; /* bytes, a power of two >= BLOCK_LEN */
    uint32_t blocks, pieces, chunks;
    uint32_t piece_blocks; /* blocks in a full piece */
    uint32_t chunk_hashes; /* hashes in each chunk record (a power of two, <= 512) */
    uint32_t proof_layers; /* uncles in each chunk record */
};

/* The piece length of an image: 512 to 2,048 pieces, a power of two of blocks (design 8). */
uint32_t tree_piece_length(uint64_t size);
/* E_RANGE when size is 0 or too large or piece_length is no power of two of at least a block. */
MUST enum err geometry_init(struct geometry *g, uint64_t size, uint32_t piece_length);
/* Bytes in block (all 16 KiB but the last). */
uint32_t geometry_block_len(const struct geometry *g, uint32_t block);
uint32_t geometry_piece_blocks(const struct geometry *g, uint32_t piece);
static inline uint32_t geometry_chunk_of(const struct geometry *g, uint32_t block)
{
    (void)g;
    return block / CHUNK_BLOCKS;
}
/* Bytes of every chunk record of this image: 32 * (chunk_hashes + proof_layers). */
static inline uint32_t geometry_chunk_len(const struct geometry *g)
{
    return 32u * (g->chunk_hashes + g->proof_layers);
}

void tree_leaf(struct digest *out, const void *block, size_t n);
/* Does this chunk record (hashes, then uncles from the lowest up) reach root?  E_PROOF if not;
 * E_FORMAT on a wrong length; hashes beyond the last block must be zero digests. */
MUST enum err tree_chunk_verify(const struct geometry *g, const struct digest *root, uint32_t chunk,
                                struct bytes record);

/* Builds a tree from its leaves in order, in memory the caller gives. */
struct tree_builder;
size_t tree_builder_size(const struct geometry *g);
struct tree_builder *tree_builder_init(void *mem, const struct geometry *g);
void tree_builder_leaf(struct tree_builder *t, const struct digest *leaf); /* exactly g->blocks */
/* After the last leaf. */
void tree_builder_root(const struct tree_builder *t, struct digest *root);
/* Writes chunk record number chunk (geometry_chunk_len bytes). */
void tree_builder_chunk(const struct tree_builder *t, uint32_t chunk, uint8_t *record);
/* Hash of a piece's subtree: an entry of BEP 52's piece layer (only for pieces > 1). */
void tree_builder_piece(const struct tree_builder *t, uint32_t piece, struct digest *out);
