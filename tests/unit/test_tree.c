/* The tree against a second, naive computation of BEP 52, its vector, and every way in which a
 * chunk record can lie. */
#include "fwswarm/tree.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "fwswarm/crypto.h"
#include "run.h"

#define MIB ((uint64_t)1 << 20)

/* ---- the naive tree: all padded layers, in one array ---- */

static uint32_t padded(uint32_t blocks)
{
    uint32_t n = 1;
    while (n < blocks)
        n *= 2;
    return n;
}

/* Hash of the subtree over n leaves (a power of two) that starts at first; absent leaves are zero.
 */
static struct digest naive_subtree(const struct digest *leaf, uint32_t count, uint32_t first,
                                   uint32_t n)
{
    struct digest *row = calloc(n, sizeof(*row));
    for (uint32_t i = 0; i < n && first + i < count; i++)
        row[i] = leaf[first + i];
    for (; n > 1; n /= 2) {
        for (uint32_t i = 0; i < n / 2; i++)
            hash_pair(&row[i], &row[2 * i], &row[2 * i + 1]);
    }
    struct digest root = row[0];
    free(row);
    return root;
}

static uint8_t *make_image(uint64_t size)
{
    uint8_t *image = malloc(size);
    uint32_t x = 2463534242u;
    for (uint64_t i = 0; i < size; i++) {
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        image[i] = (uint8_t)x;
    }
    return image;
}

struct built {
    struct geometry g;
    struct digest *leaf;
    struct tree_builder *t;
    struct digest root;
};

static struct built build_leaves(uint64_t size, uint32_t piece_length, struct digest *leaf)
{
    struct built b = {.leaf = leaf};
    ck_assert_int_eq(geometry_init(&b.g, size, piece_length), E_OK);
    b.t = tree_builder_init(malloc(tree_builder_size(&b.g)), &b.g);
    for (uint32_t i = 0; i < b.g.blocks; i++)
        tree_builder_leaf(b.t, &leaf[i]);
    tree_builder_root(b.t, &b.root);
    return b;
}

static struct built build_image(const uint8_t *image, uint64_t size, uint32_t piece_length)
{
    struct geometry g;
    ck_assert_int_eq(geometry_init(&g, size, piece_length), E_OK);
    struct digest *leaf = calloc(g.blocks, sizeof(*leaf));
    for (uint32_t i = 0; i < g.blocks; i++)
        tree_leaf(&leaf[i], image + (uint64_t)i * BLOCK_LEN, geometry_block_len(&g, i));
    return build_leaves(size, piece_length, leaf);
}

static void built_free(struct built *b)
{
    free(b->leaf);
    free(b->t);
}

static enum err verify(const struct built *b, uint32_t chunk, const uint8_t *record)
{
    return tree_chunk_verify(&b->g, &b->root, chunk, bytes_of(record, geometry_chunk_len(&b->g)));
}

static void check_geometry(const struct geometry *g)
{
    uint64_t sum = 0, in_pieces = 0;
    for (uint32_t i = 0; i < g->blocks; i++) {
        ck_assert_uint_ge(geometry_block_len(g, i), 1);
        ck_assert_uint_le(geometry_block_len(g, i), BLOCK_LEN);
        sum += geometry_block_len(g, i);
    }
    ck_assert_uint_eq(sum, g->size);
    for (uint32_t i = 0; i < g->pieces; i++)
        in_pieces += geometry_piece_blocks(g, i);
    ck_assert_uint_eq(in_pieces, g->blocks);
    ck_assert_uint_eq(geometry_chunk_of(g, g->blocks - 1), g->chunks - 1);
}

/* Root, every chunk and every piece agree with the naive tree. */
static void check_built(const struct built *b)
{
    struct digest want = naive_subtree(b->leaf, b->g.blocks, 0, padded(b->g.blocks));
    ck_assert(digest_equal(&want, &b->root));
    uint8_t record[CHUNK_MAX];
    for (uint32_t c = 0; c < b->g.chunks; c++) {
        tree_builder_chunk(b->t, c, record);
        ck_assert_int_eq(verify(b, c, record), E_OK);
        ck_assert_mem_eq(record, &b->leaf[c * CHUNK_BLOCKS], 32);
    }
    for (uint32_t p = 0; b->g.pieces > 1 && p < b->g.pieces; p++) {
        struct digest got;
        tree_builder_piece(b->t, p, &got);
        want = naive_subtree(b->leaf, b->g.blocks, p * b->g.piece_blocks, b->g.piece_blocks);
        ck_assert(digest_equal(&want, &got));
    }
}

static const uint64_t sizes[] = {
    1,        16383,           16384,        16385,        2 * 16384,   3 * 16384 + 5,
    100000,   8 * MIB - 16384, 8 * MIB - 1,  8 * MIB,      8 * MIB + 1, 8 * MIB + 16384,
    12345678, 16 * MIB,        16 * MIB + 1, 20 * MIB + 7,
};

START_TEST(builder_agrees_with_naive)
{
    uint64_t size = sizes[_i];
    uint8_t *image = make_image(size);
    struct built b = build_image(image, size, tree_piece_length(size));
    check_geometry(&b.g);
    check_built(&b);
    built_free(&b);
    /* And with a piece length of four blocks, whatever the size. */
    b = build_image(image, size, 4 * BLOCK_LEN);
    check_geometry(&b.g);
    check_built(&b);
    built_free(&b);
    free(image);
}
END_TEST

/* Every single hash of every chunk matters: flips one bit in each, in turn. */
START_TEST(flipped_bit_is_refused)
{
    uint64_t size = sizes[_i];
    uint8_t *image = make_image(size);
    struct built b = build_image(image, size, tree_piece_length(size));
    uint8_t record[CHUNK_MAX];
    uint32_t length = geometry_chunk_len(&b.g);
    for (uint32_t c = 0; c < b.g.chunks; c++) {
        tree_builder_chunk(b.t, c, record);
        /* A step that meets every hash of the short records and some of each in the long ones. */
        for (uint32_t at = 0; at<length; at += length> 4096 ? 32 * 19 + 1 : 1) {
            record[at] ^= (uint8_t)(1u << (at % 8));
            ck_assert_int_eq(verify(&b, c, record), E_PROOF);
            record[at] ^= (uint8_t)(1u << (at % 8));
        }
        ck_assert_int_eq(verify(&b, c, record), E_OK);
    }
    built_free(&b);
    free(image);
}
END_TEST

START_TEST(wrong_place_is_refused)
{
    uint64_t size = 40 * MIB + 1;
    uint8_t *image = make_image(size);
    struct built b = build_image(image, size, tree_piece_length(size));
    uint8_t record[CHUNK_MAX];
    ck_assert_uint_eq(b.g.chunks, 6);
    for (uint32_t c = 0; c < b.g.chunks; c++) {
        tree_builder_chunk(b.t, c, record);
        for (uint32_t other = 0; other < b.g.chunks; other++)
            ck_assert_int_eq(verify(&b, other, record), other == c ? E_OK : E_PROOF);
        ck_assert_int_eq(verify(&b, b.g.chunks, record), E_RANGE);
        ck_assert_int_eq(verify(&b, UINT32_MAX, record), E_RANGE);
    }
    built_free(&b);
    free(image);
}
END_TEST

/* Leaves and nodes look alike in BEP 52, so only the signed length keeps them apart. */
START_TEST(wrong_depth_is_refused)
{
    uint64_t size = 20 * MIB;
    uint8_t *image = make_image(size);
    struct built b = build_image(image, size, tree_piece_length(size));
    uint8_t record[CHUNK_MAX];
    uint32_t length = geometry_chunk_len(&b.g);
    tree_builder_chunk(b.t, 0, record);
    for (uint32_t n = 0; n <= length + 64; n += 32) {
        enum err e = tree_chunk_verify(&b.g, &b.root, 0, bytes_of(record, n));
        ck_assert_int_eq(e, n == length ? E_OK : E_FORMAT);
    }
    ck_assert_int_eq(tree_chunk_verify(&b.g, &b.root, 0, bytes_of(record, length - 1)), E_FORMAT);
    /* A shallower image with the same root: its `leaves` would be inner nodes of the true one. */
    struct geometry half;
    ck_assert_int_eq(geometry_init(&half, size / 2, BLOCK_LEN), E_OK);
    struct digest node[2];
    node[0] = naive_subtree(b.leaf, b.g.blocks, 0, 1024);
    node[1] = naive_subtree(b.leaf, b.g.blocks, 1024, 1024);
    struct digest top;
    hash_pair(&top, &node[0], &node[1]);
    ck_assert(digest_equal(&top, &b.root));
    ck_assert_int_eq(tree_chunk_verify(&half, &b.root, 0, bytes_of(node, sizeof(node))), E_FORMAT);
    /* With two blocks the record has that length, and then it is judged by that size alone: such a
     * root belongs to (root, size), never to the root. */
    struct geometry two;
    ck_assert_int_eq(geometry_init(&two, 2 * BLOCK_LEN, BLOCK_LEN), E_OK);
    ck_assert_int_eq(tree_chunk_verify(&two, &b.root, 0, bytes_of(node, sizeof(node))), E_OK);
    ck_assert_int_eq(tree_chunk_verify(&b.g, &b.root, 0, bytes_of(node, sizeof(node))), E_FORMAT);
    built_free(&b);
    free(image);
}
END_TEST

/* A signer who put a hash where padding belongs made a root that no chunk proves. */
START_TEST(nonzero_padding_is_refused)
{
    struct digest leaf[4];
    for (uint32_t i = 0; i < 4; i++)
        tree_leaf(&leaf[i], &i, sizeof(i));
    struct built four = {.leaf = NULL};
    struct geometry three;
    ck_assert_int_eq(geometry_init(&four.g, 4 * BLOCK_LEN, BLOCK_LEN), E_OK);
    ck_assert_int_eq(geometry_init(&three, 3 * BLOCK_LEN, BLOCK_LEN), E_OK);
    struct digest root = naive_subtree(leaf, 4, 0, 4);
    struct bytes record = bytes_of(leaf, sizeof(leaf));
    ck_assert_int_eq(tree_chunk_verify(&four.g, &root, 0, record), E_OK);
    ck_assert_int_eq(tree_chunk_verify(&three, &root, 0, record), E_PROOF);
    memset(&leaf[3], 0, sizeof(leaf[3]));
    root = naive_subtree(leaf, 4, 0, 4);
    ck_assert_int_eq(tree_chunk_verify(&three, &root, 0, record), E_OK);
}
END_TEST

/* Beyond 4 GiB: leaves are made up, the tree over them is not. */
START_TEST(huge_image)
{
    uint64_t size = 5 * 1024 * MIB + 12345;
    struct geometry g;
    ck_assert_int_eq(geometry_init(&g, size, tree_piece_length(size)), E_OK);
    ck_assert_uint_eq(g.blocks, 5u * 65536 + 1);
    ck_assert_uint_eq(geometry_block_len(&g, g.blocks - 1), 12345);
    ck_assert_uint_le(g.pieces, 2048);
    ck_assert_uint_ge(g.pieces, 512);
    struct digest *leaf = calloc(g.blocks, sizeof(*leaf));
    for (uint32_t i = 0; i < g.blocks; i++)
        memcpy(leaf[i].b, &i, sizeof(i));
    memset(&leaf[0].b[31], 1, 1);
    ck_assert_uint_le(tree_builder_size(&g), (size_t)g.blocks * 64 + 4096);
    struct built b = build_leaves(size, g.piece_length, leaf);
    struct digest want = naive_subtree(leaf, g.blocks, 0, padded(g.blocks));
    ck_assert(digest_equal(&want, &b.root));
    static const uint32_t chunks[] = {0, 1, 255, 511, 512, 639, 640};
    uint8_t record[CHUNK_MAX];
    for (size_t i = 0; i < sizeof(chunks) / sizeof(chunks[0]); i++) {
        tree_builder_chunk(b.t, chunks[i], record);
        ck_assert_int_eq(verify(&b, chunks[i], record), E_OK);
        record[geometry_chunk_len(&g) - 1] ^= 1;
        ck_assert_int_eq(verify(&b, chunks[i], record), E_PROOF);
    }
    ck_assert_uint_eq(b.g.chunks, 641);
    built_free(&b);
}
END_TEST

START_TEST(geometry_limits)
{
    struct geometry g;
    ck_assert_int_eq(geometry_init(&g, 0, BLOCK_LEN), E_RANGE);
    ck_assert_int_eq(geometry_init(&g, 1, 0), E_RANGE);
    ck_assert_int_eq(geometry_init(&g, 1, BLOCK_LEN / 2), E_RANGE);
    ck_assert_int_eq(geometry_init(&g, 1, BLOCK_LEN * 3), E_RANGE);
    ck_assert_int_eq(geometry_init(&g, 1, BLOCK_LEN + 1), E_RANGE);
    ck_assert_int_eq(geometry_init(&g, UINT64_MAX, BLOCK_LEN), E_RANGE);
    ck_assert_int_eq(geometry_init(&g, IMAGE_SIZE_MAX + 1, 1u << 31), E_RANGE);
    ck_assert_int_eq(geometry_init(&g, IMAGE_SIZE_MAX, 1u << 31), E_OK);
    ck_assert_uint_eq(g.blocks, UINT32_MAX - CHUNK_BLOCKS);
    ck_assert_uint_eq(g.chunk_hashes, CHUNK_BLOCKS);
    ck_assert_uint_eq(g.proof_layers, 23);
    ck_assert_uint_le(geometry_chunk_len(&g), CHUNK_MAX);
    ck_assert_uint_eq(geometry_block_len(&g, g.blocks - 1), BLOCK_LEN);
}
END_TEST

START_TEST(piece_length)
{
    ck_assert_uint_eq(tree_piece_length(1), BLOCK_LEN);
    ck_assert_uint_eq(tree_piece_length(16 * MIB), BLOCK_LEN);
    ck_assert_uint_eq(tree_piece_length(32 * MIB), BLOCK_LEN);
    ck_assert_uint_eq(tree_piece_length(32 * MIB + 1), 2 * BLOCK_LEN);
    ck_assert_uint_eq(tree_piece_length(64 * MIB), 2 * BLOCK_LEN);
    ck_assert_uint_eq(tree_piece_length(1024 * MIB), 512u * 1024);
    ck_assert_uint_eq(tree_piece_length(1024 * MIB + 1), 1024u * 1024);
    for (uint64_t size = 8 * MIB; size < (uint64_t)1 << 42; size += size / 3 + 1) {
        struct geometry g;
        ck_assert_int_eq(geometry_init(&g, size, tree_piece_length(size)), E_OK);
        ck_assert_uint_ge(g.pieces, 512);
        ck_assert_uint_le(g.pieces, 2048);
    }
    /* The largest images have more pieces, as a piece length has 32 bits. */
    ck_assert_uint_eq(tree_piece_length(IMAGE_SIZE_MAX), 1u << 31);
}
END_TEST

/* ---- BEP 52: pieces root and infohash of a v2 torrent as the BEP's own script makes it ---- */

static size_t append(uint8_t *out, size_t n, const void *p, size_t len)
{
    memcpy(out + n, p, len);
    return n + len;
}

START_TEST(bep52_vector)
{
    uint8_t image[3125 * 32];
    for (uint64_t i = 0; i < 3125; i++) {
        uint8_t be[8];
        struct wr w = wr_of(be, sizeof(be));
        wr_u64(&w, i);
        hash_sha256((struct digest *)(void *)(image + 32 * i), be, sizeof(be));
    }
    char hex[65];
    struct built b = build_image(image, sizeof(image), 32768);
    check_built(&b);
    hex_encode(hex, b.root.b, 32);
    ck_assert_str_eq(hex, "0f170b646c3ea55d3892804150c43cc86cffe31108e3762b21596a89f69d74bb");

    static const char before[] = "d9:file treed6:fw.imgd0:d6:lengthi100000e11:pieces root32:";
    static const char after[] = "eee12:meta versioni2e4:name6:fw.img12:piece lengthi32768ee";
    uint8_t info[256];
    size_t n = append(info, 0, before, sizeof(before) - 1);
    n = append(info, n, b.root.b, 32);
    n = append(info, n, after, sizeof(after) - 1);
    struct digest hash;
    hash_sha256(&hash, info, n);
    hex_encode(hex, hash.b, 32);
    ck_assert_str_eq(hex, "6ca5dedc97fab589995a273b7d1353a30515b26dad82751735b19a9e442c1861");
    built_free(&b);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("tree");
    TCase *c = tcase_create("tree");
    int n = (int)(sizeof(sizes) / sizeof(sizes[0]));
    tcase_set_timeout(c, 60);
    tcase_add_loop_test(c, builder_agrees_with_naive, 0, n);
    tcase_add_loop_test(c, flipped_bit_is_refused, 0, n);
    tcase_add_test(c, wrong_place_is_refused);
    tcase_add_test(c, wrong_depth_is_refused);
    tcase_add_test(c, nonzero_padding_is_refused);
    tcase_add_test(c, huge_image);
    tcase_add_test(c, geometry_limits);
    tcase_add_test(c, piece_length);
    tcase_add_test(c, bep52_vector);
    suite_add_tcase(s, c);
    return test_run(s);
}
