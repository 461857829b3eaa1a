/* What the tests of the store share: a directory that is removed, a log that is kept, an image with
 * its tree, and a store opened in one line.  Included by test_store*.c and test_keyfile.c only. */
#pragma once

#include "fwswarm/store.h"

#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define UNUSED __attribute__((unused))

/* ---- a directory ---- */

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st;
    (void)flag;
    (void)ftw;
    return remove(path);
}

static UNUSED void dir_remove(const char *dir)
{
    ck_assert_int_eq(nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

static UNUSED void dir_make(char out[static 256])
{
    const char *tmp = getenv("TMPDIR");
    (void)snprintf(out, 256, "%s/fwswarm-test-XXXXXX", tmp && tmp[0] ? tmp : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(out));
}

static UNUSED const char *in_dir(char out[static 512], const char *dir, const char *name)
{
    ck_assert_int_lt(snprintf(out, 512, "%s/%s", dir, name), 512);
    return out;
}

/* Entries of a directory, without . and .. */
static UNUSED int dir_count(const char *dir)
{
    DIR *d = opendir(dir);
    int n = 0;
    if (!d)
        return -1;
    while (readdir(d))
        n++;
    (void)closedir(d);
    return n - 2;
}

/* ---- a log that is kept ---- */

struct kept_log {
    struct log log;
    char text[1 << 16];
    size_t n;
};

static UNUSED void keep_line(void *ctx, enum log_level level, const char *line, size_t n)
{
    (void)level;
    struct kept_log *k = ctx;
    if (k->n + n >= sizeof k->text)
        k->n = 0;
    memcpy(k->text + k->n, line, n);
    k->n += n;
    k->text[k->n] = '\0';
}

static UNUSED void log_keep(struct kept_log *k)
{
    memset(k, 0, sizeof *k);
    k->log.level = LOG_INFO;
    k->log.sink = keep_line;
    k->log.ctx = k;
}

static UNUSED bool log_has(const struct kept_log *k, const char *text)
{
    return strstr(k->text, text) != NULL;
}

static UNUSED void log_clear(struct kept_log *k)
{
    k->n = 0;
    k->text[0] = '\0';
}

/* ---- an image ---- */

struct sample {
    struct geometry g;
    uint8_t *data;
    struct digest root, digest;
    struct tree_builder *tree;
};

static UNUSED void sample_make(struct sample *im, uint64_t size, uint8_t seed)
{
    ck_assert_int_eq(geometry_init(&im->g, size, tree_piece_length(size)), E_OK);
    im->data = malloc(size);
    im->tree = malloc(tree_builder_size(&im->g));
    ck_assert_ptr_nonnull(im->data);
    ck_assert_ptr_nonnull(im->tree);
    uint8_t key[32] = {seed};
    struct rng rng;
    rng_init(&rng, key);
    rng_bytes(&rng, im->data, size);
    hash_sha256(&im->digest, im->data, size);
    im->tree = tree_builder_init(im->tree, &im->g);
    for (uint32_t b = 0; b < im->g.blocks; b++) {
        struct digest leaf;
        tree_leaf(&leaf, im->data + (size_t)b * BLOCK_LEN, geometry_block_len(&im->g, b));
        tree_builder_leaf(im->tree, &leaf);
    }
    tree_builder_root(im->tree, &im->root);
}

static UNUSED void sample_free(struct sample *im)
{
    free(im->data);
    free(im->tree);
}

static UNUSED struct bytes sample_block(const struct sample *im, uint32_t block)
{
    return bytes_of(im->data + (size_t)block * BLOCK_LEN, geometry_block_len(&im->g, block));
}

static UNUSED struct bytes sample_chunk(const struct sample *im, uint32_t chunk,
                                        uint8_t out[static CHUNK_MAX])
{
    tree_builder_chunk(im->tree, chunk, out);
    return bytes_of(out, geometry_chunk_len(&im->g));
}

static UNUSED void file_put(const char *path, const void *p, size_t n)
{
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(p, 1, n, f), n);
    ck_assert_int_eq(fclose(f), 0);
}

/* Overwrites bytes in place. */
static UNUSED void file_poke(const char *path, uint64_t off, const char *text)
{
    int fd = open(path, O_WRONLY);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(pwrite(fd, text, strlen(text), (off_t)off), (int)strlen(text));
    ck_assert_int_eq(close(fd), 0);
}

/* ---- a store ---- */

static UNUSED struct store_options options_of(const char *dir)
{
    struct store_options opt = {.dir = dir, .slots = 3, .map_size = 16u << 20};
    memset(opt.fleet.b, 0xf1, sizeof opt.fleet.b);
    memset(opt.node.b, 0x0d, sizeof opt.node.b);
    return opt;
}

static UNUSED struct store *store_at(const char *dir, struct log *log)
{
    struct store *s = NULL;
    struct store_options opt = options_of(dir);
    ck_assert_int_eq(store_open(&s, &opt, log), E_OK);
    return s;
}

static UNUSED bool bit_of(struct bytes map, uint32_t i)
{
    return i / 8 < map.n && (map.p[i / 8] & (0x80u >> (i % 8))) != 0;
}

static UNUSED uint32_t bits_of(struct bytes map)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < map.n * 8; i++)
        n += bit_of(map, i);
    return n;
}

static UNUSED void image_make(struct store *s, uint32_t slot, const struct sample *im)
{
    ck_assert_int_eq(store_image_open(s, slot, &im->root, &im->g, true), E_OK);
}

/* Puts chunk records and blocks [first, end) in one batch. */
static UNUSED enum err put_range(struct store *s, uint32_t slot, const struct sample *im,
                                 uint32_t first, uint32_t end)
{
    struct store_batch *b;
    enum err err = store_batch_begin(s, &b);
    if (err)
        return err;
    enum err worst = E_OK;
    for (uint32_t i = first; i < end; i++) {
        uint8_t record[CHUNK_MAX];
        if (i == first || i % CHUNK_BLOCKS == 0) {
            uint32_t chunk = i / CHUNK_BLOCKS;
            err = store_put_chunk(b, slot, chunk, sample_chunk(im, chunk, record));
            worst = worst ? worst : err;
        }
        err = store_put_block(b, slot, i, sample_block(im, i));
        worst = worst ? worst : err;
    }
    err = store_batch_commit(b);
    return worst ? worst : err;
}

/* Every marked block reads back as it was made; returns how many are marked. */
static UNUSED uint32_t check_marked(struct store *s, uint32_t slot, const struct sample *im)
{
    static uint8_t buf[BLOCK_LEN];
    uint32_t n = 0;
    struct bytes map = store_image_blocks(s, slot);
    ck_assert_uint_eq(map.n, (im->g.blocks + 7) / 8);
    for (uint32_t b = 0; b < im->g.blocks; b++) {
        struct bytes want = sample_block(im, b);
        enum err err = store_read(s, slot, (uint64_t)b * BLOCK_LEN, (uint32_t)want.n, buf);
        ck_assert_int_eq(err, bit_of(map, b) ? E_OK : E_NOENT);
        if (err == E_OK)
            ck_assert_mem_eq(buf, want.p, want.n);
        n += bit_of(map, b);
    }
    ck_assert_uint_eq(bits_of(map), n);
    return n;
}
