/* The hash tree of an image, and the arithmetic of its blocks.
 *
 * Layer 0 holds the leaves, the top layer one digest, the root.  What lies beyond the last real
 * leaf is never stored: a subtree of nothing but padding has one digest per height, pad[height],
 * and a node's missing right child is that digest.  So the builder keeps one digest for each real
 * node, about two for each leaf.
 *
 * Verifying a chunk needs no builder.  Its hashes are folded like a binary counter: a stack holds
 * at most one finished subtree of each height, which bounds the memory at ten digests; then the
 * uncles lead to the root, left or right by the bits of the chunk's number. */
#include "fwswarm/tree.h"

#include <assert.h>
#include <string.h>

#include "fwswarm/crypto.h"

#define HEIGHT_MAX       32u
#define PIECES_MAX       2048u
#define PIECE_LENGTH_MAX ((uint32_t)1 << 31)

struct tree_builder {
    struct geometry g;
    uint32_t height;                   /* layers above the leaves */
    uint32_t filled;                   /* leaves taken so far */
    uint32_t count[HEIGHT_MAX + 1];    /* real nodes of each layer */
    size_t start[HEIGHT_MAX + 1];      /* index in node[] of each layer's first */
    struct digest pad[HEIGHT_MAX + 1]; /* digest of an all-padding subtree of each height */
    struct digest node[];
};

_Static_assert(IMAGE_SIZE_MAX / BLOCK_LEN <= UINT32_MAX, "a block index fits in 32 bits");
_Static_assert((1u << 9) == CHUNK_BLOCKS, "chunk heights below count on 512 hashes");

static bool is_power_of_two(uint64_t v)
{
    return v != 0 && (v & (v - 1)) == 0;
}

/* Smallest h with 2^h >= n, n >= 1. */
static uint32_t height_of(uint64_t n)
{
    uint32_t h = 0;
    while (((uint64_t)1 << h) < n)
        h++;
    return h;
}

static uint64_t ceil_div(uint64_t a, uint64_t b)
{
    return a / b + (a % b != 0);
}

uint32_t tree_piece_length(uint64_t size)
{
    uint32_t length = BLOCK_LEN;
    while (length < PIECE_LENGTH_MAX && ceil_div(size, length) > PIECES_MAX)
        length <<= 1;
    return length;
}

enum err geometry_init(struct geometry *g, uint64_t size, uint32_t piece_length)
{
    memset(g, 0, sizeof(*g));
    if (size == 0 || size > IMAGE_SIZE_MAX)
        return E_RANGE;
    if (!is_power_of_two(piece_length) || piece_length < BLOCK_LEN)
        return E_RANGE;
    g->size = size;
    g->piece_length = piece_length;
    g->blocks = (uint32_t)ceil_div(size, BLOCK_LEN);
    g->pieces = (uint32_t)ceil_div(size, piece_length);
    g->piece_blocks = piece_length / BLOCK_LEN;
    g->chunks = (uint32_t)ceil_div(g->blocks, CHUNK_BLOCKS);
    uint32_t height = height_of(g->blocks);
    uint32_t chunk_height = height < 9 ? height : 9;
    g->chunk_hashes = (uint32_t)1 << chunk_height;
    g->proof_layers = height - chunk_height;
    assert(g->proof_layers <= CHUNK_PROOF_MAX);
    return E_OK;
}

uint32_t geometry_block_len(const struct geometry *g, uint32_t block)
{
    assert(block < g->blocks);
    if (block + 1 < g->blocks)
        return BLOCK_LEN;
    return (uint32_t)(g->size - (uint64_t)block * BLOCK_LEN);
}

uint32_t geometry_piece_blocks(const struct geometry *g, uint32_t piece)
{
    assert(piece < g->pieces);
    if (piece + 1 < g->pieces)
        return g->piece_blocks;
    return (uint32_t)(g->blocks - (uint64_t)piece * g->piece_blocks);
}

void tree_leaf(struct digest *out, const void *block, size_t n)
{
    assert(n > 0);
    assert(n <= BLOCK_LEN);
    hash_sha256(out, block, n);
}

/* ---- verifying a chunk ---- */

static void digest_load(struct digest *d, const uint8_t *p)
{
    memcpy(d->b, p, sizeof(d->b));
}

/* The root of the subtree over n hashes, n a power of two up to CHUNK_BLOCKS. */
static void fold(struct digest *out, const uint8_t *hashes, uint32_t n)
{
    struct digest stack[10];
    uint32_t top = 0;
    for (uint32_t i = 0; i < n; i++) {
        assert(top < sizeof(stack) / sizeof(stack[0]));
        digest_load(&stack[top++], hashes + 32 * (size_t)i);
        /* Each trailing one bit of i closes a subtree of that height. */
        for (uint32_t bits = i; (bits & 1) != 0; bits >>= 1) {
            struct digest joined;
            hash_pair(&joined, &stack[top - 2], &stack[top - 1]);
            stack[top - 2] = joined;
            top--;
        }
    }
    assert(top == 1);
    *out = stack[0];
}

static bool padding_is_zero(const struct geometry *g, uint32_t chunk, const uint8_t *hashes)
{
    uint64_t first = (uint64_t)chunk * CHUNK_BLOCKS;
    for (uint32_t i = 0; i < g->chunk_hashes; i++) {
        struct digest d;
        if (first + i < g->blocks)
            continue;
        digest_load(&d, hashes + 32 * (size_t)i);
        if (!digest_is_zero(&d))
            return false;
    }
    return true;
}

enum err tree_chunk_verify(const struct geometry *g, const struct digest *root, uint32_t chunk,
                           struct bytes record)
{
    if (chunk >= g->chunks)
        return E_RANGE;
    if (record.n != geometry_chunk_len(g))
        return E_FORMAT;
    if (!padding_is_zero(g, chunk, record.p))
        return E_PROOF;
    struct digest node;
    fold(&node, record.p, g->chunk_hashes);
    const uint8_t *uncle = record.p + 32 * (size_t)g->chunk_hashes;
    uint32_t index = chunk;
    for (uint32_t i = 0; i < g->proof_layers; i++, uncle += 32, index >>= 1) {
        struct digest other, joined;
        digest_load(&other, uncle);
        if ((index & 1) != 0)
            hash_pair(&joined, &other, &node);
        else
            hash_pair(&joined, &node, &other);
        node = joined;
    }
    return digest_equal(&node, root) ? E_OK : E_PROOF;
}

/* ---- building ---- */

static uint32_t layer_count(uint32_t blocks, uint32_t layer)
{
    return (uint32_t)ceil_div(blocks, (uint64_t)1 << layer);
}

size_t tree_builder_size(const struct geometry *g)
{
    uint64_t nodes = 0;
    for (uint32_t i = 0; i <= height_of(g->blocks); i++)
        nodes += layer_count(g->blocks, i);
    return sizeof(struct tree_builder) + (size_t)nodes * sizeof(struct digest);
}

struct tree_builder *tree_builder_init(void *mem, const struct geometry *g)
{
    struct tree_builder *t = mem;
    assert((uintptr_t)mem % _Alignof(struct tree_builder) == 0);
    memset(t, 0, sizeof(*t));
    t->g = *g;
    t->height = height_of(g->blocks);
    size_t start = 0;
    for (uint32_t i = 0; i <= t->height; i++) {
        t->count[i] = layer_count(g->blocks, i);
        t->start[i] = start;
        start += t->count[i];
        if (i > 0)
            hash_pair(&t->pad[i], &t->pad[i - 1], &t->pad[i - 1]);
    }
    return t;
}

/* A node, or the padding that stands in its place. */
static const struct digest *node_at(const struct tree_builder *t, uint32_t layer, uint32_t index)
{
    assert(layer <= t->height);
    if (index >= t->count[layer])
        return &t->pad[layer];
    return &t->node[t->start[layer] + index];
}

static void join_children(struct tree_builder *t, uint32_t layer, uint32_t index)
{
    /* index * 2 fits: a layer above the leaves has at most 2^31 nodes. */
    const struct digest *left = node_at(t, layer - 1, index * 2);
    const struct digest *right = node_at(t, layer - 1, index * 2 + 1);
    hash_pair(&t->node[t->start[layer] + index], left, right);
}

void tree_builder_leaf(struct tree_builder *t, const struct digest *leaf)
{
    assert(t->filled < t->g.blocks);
    uint32_t index = t->filled++;
    t->node[index] = *leaf;
    for (uint32_t layer = 1; layer <= t->height && (index & 1) != 0; layer++) {
        index >>= 1;
        join_children(t, layer, index);
    }
    if (t->filled < t->g.blocks)
        return;
    /* The right edge: nodes with a missing child were not joined above. */
    for (uint32_t layer = 1; layer <= t->height; layer++)
        join_children(t, layer, t->count[layer] - 1);
}

void tree_builder_root(const struct tree_builder *t, struct digest *root)
{
    assert(t->filled == t->g.blocks);
    *root = *node_at(t, t->height, 0);
}

void tree_builder_chunk(const struct tree_builder *t, uint32_t chunk, uint8_t *record)
{
    assert(t->filled == t->g.blocks);
    assert(chunk < t->g.chunks);
    uint64_t first = (uint64_t)chunk * CHUNK_BLOCKS;
    for (uint32_t i = 0; i < t->g.chunk_hashes; i++, record += 32) {
        uint64_t leaf = first + i;
        const struct digest *d = leaf < t->g.blocks ? &t->node[leaf] : &t->pad[0];
        memcpy(record, d->b, 32);
    }
    uint32_t layer = t->height - t->g.proof_layers;
    uint32_t index = chunk;
    for (uint32_t i = 0; i < t->g.proof_layers; i++, record += 32, layer++, index >>= 1)
        memcpy(record, node_at(t, layer, index ^ 1)->b, 32);
}

void tree_builder_piece(const struct tree_builder *t, uint32_t piece, struct digest *out)
{
    assert(t->filled == t->g.blocks);
    assert(t->g.pieces > 1);
    assert(piece < t->g.pieces);
    *out = *node_at(t, height_of(t->g.piece_blocks), piece);
}
