/* Importing: a whole local file becomes a slot's image where it lies.
 *
 * The file is hashed once, flat and into a tree, and nothing is kept unless both are as signed.
 * Chunk records go in by small commits, because a transaction's dirty pages are anonymous memory;
 * the entry and the bitmaps come in the last one, so an import that was cut short is an orphan that
 * the next start wipes.  A file that was imported before and has not changed since (inode, size,
 * times) is not hashed again. */
#include "internal.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHUNKS_PER_COMMIT 32u

/* Is this very file imported under this key, whole and unchanged? */
static bool is_known(struct store *s, const struct image_key *key, const char *path,
                     const struct stamp *stamp, const struct digest *digest)
{
    MDB_txn *txn;
    struct image_entry entry;
    if (db_read_begin(&s->db, &txn) != E_OK)
        return false;
    enum err err = db_entry_get(&s->db, txn, key, &entry);
    db_read_end(&s->db, txn);
    return !err && entry.storage == STORAGE_IMPORT && strcmp(entry.path, path) == 0 &&
           stamp_equal(&entry.stamp, stamp) && digest_equal(&entry.digest, digest);
}

/* What one import carries from step to step. */
struct import {
    struct store *s;
    const struct digest *root, *digest;
    const struct geometry *g;
    uint32_t slot;
    char path[PATH_BYTES];
    int fd;
    struct stamp stamp;
    void *mem; /* the tree */
    size_t mem_size;
    struct tree_builder *tree;
};

static enum err refuse(const struct import *im, const char *what)
{
    char shown[PATH_SHOWN];
    log_error(im->s->log, "store.import",
              "path=%s err=hash what=\"%s\" size=%" PRIu64 " signed_size=%" PRIu64
              " mend=\"give the file that was signed\"",
              show_path(shown, im->path), what, im->stamp.size, im->g->size);
    return E_HASH;
}

static enum err open_file(struct import *im, const char *path)
{
    char *full = realpath(path, NULL);
    if (full && strlen(full) < sizeof im->path)
        (void)snprintf(im->path, sizeof im->path, "%s", full);
    else
        (void)snprintf(im->path, sizeof im->path, "%s", path);
    bool fits = full ? strlen(full) < sizeof im->path : strlen(path) < sizeof im->path;
    free(full);
    if (!fits)
        return E_OVERSIZED;
    return image_file_import(im->s, im->path, &im->fd, &im->stamp);
}

static enum err hash_file(struct import *im, void (*progress)(void *ctx, uint64_t done), void *ctx)
{
    im->mem_size = tree_builder_size(im->g);
    im->mem = scratch_get(im->mem_size);
    if (!im->mem)
        return E_MEMORY;
    im->tree = tree_builder_init(im->mem, im->g);
    struct digest root, digest;
    enum err err = fd_hash(im->fd, im->g->size, im->tree, &digest, progress, ctx);
    if (err)
        return err == E_HASH ? refuse(im, "ends early") : err;
    tree_builder_root(im->tree, &root);
    if (!digest_equal(&root, im->root))
        return refuse(im, "tree root");
    if (!digest_equal(&digest, im->digest))
        return refuse(im, "digest");
    /* Whoever wrote the file may not have synced it, and its bits are about to be. */
    if (fdatasync(im->fd) != 0)
        return err_from_errno(errno);
    struct stat st;
    if (fstat(im->fd, &st) != 0)
        return err_from_errno(errno);
    struct stamp now = stamp_of(&st);
    return stamp_equal(&now, &im->stamp) ? E_OK : refuse(im, "changed while it was hashed");
}

static enum err put_chunks(struct import *im, uint32_t first, uint32_t end)
{
    struct db *d = &im->s->db;
    MDB_txn *txn;
    enum err err = db_write_begin(d, &txn);
    if (err)
        return err;
    struct image_key key = image_key_of(im->root, im->g->size);
    uint8_t record[CHUNK_MAX];
    for (uint32_t c = first; c < end && !err; c++) {
        tree_builder_chunk(im->tree, c, record);
        MDB_val k = image_key_chunk(&key, c), v = {geometry_chunk_len(im->g), record};
        err = db_err(d, mdb_put(txn, d->chunks, &k, &v, 0), "import");
    }
    if (!err)
        return db_write_commit(d, txn);
    db_write_abort(d, txn);
    return err;
}

static enum err put_entry(struct import *im, struct image *img)
{
    struct db *d = &im->s->db;
    struct image_entry entry = {
        .storage = STORAGE_IMPORT, .slot = im->slot, .stamp = im->stamp, .digest = *im->digest};
    memcpy(entry.path, im->path, sizeof entry.path);
    MDB_txn *txn;
    enum err err = db_write_begin(d, &txn);
    if (err)
        return err;
    err = db_entry_put(d, txn, &img->key, &entry);
    if (!err)
        err = image_save_slices(d, txn, img);
    if (!err)
        return db_write_commit(d, txn);
    db_write_abort(d, txn);
    return err;
}

static struct image *whole_image(const struct import *im)
{
    struct image *img = image_new(im->slot, im->root, im->g);
    if (!img)
        return NULL;
    img->storage = STORAGE_IMPORT;
    img->digest = *im->digest;
    img->stamp = im->stamp;
    memcpy(img->path, im->path, sizeof img->path);
    for (uint32_t b = 0; b < im->g->blocks; b++)
        bit_set(img->blocks, b);
    for (uint32_t c = 0; c < im->g->chunks; c++) {
        bit_set(img->chunks, c);
        bit_set(img->unsaved, c);
    }
    return img;
}

/* Binds the hashed file to the slot; work is held. */
static enum err take(struct import *im)
{
    struct store *s = im->s;
    struct image_key key = image_key_of(im->root, im->g->size);
    enum err err = image_check_free(s, im->slot, &key, false);
    if (!err)
        err = image_unbind(s, im->slot, im->slot, false, &key);
    for (uint32_t c = 0; c < im->g->chunks && !err; c += CHUNKS_PER_COMMIT) {
        uint32_t left = im->g->chunks - c;
        err = put_chunks(im, c, c + (left < CHUNKS_PER_COMMIT ? left : CHUNKS_PER_COMMIT));
    }
    if (err)
        return err;
    struct image *img = whole_image(im);
    if (!img)
        return E_MEMORY;
    err = put_entry(im, img);
    if (err) {
        image_drop(img);
        return err;
    }
    image_saved(img, true);
    img->fd = im->fd;
    im->fd = -1;
    image_place(s, im->slot, img);
    /* The image may have been fetched into a file of ours before. */
    char name[96];
    image_file_name(name, &key);
    image_file_remove(s, name);
    return E_OK;
}

/* Opens what an earlier import left; false when the file must be hashed after all. */
static bool resume(struct import *im)
{
    struct store *s = im->s;
    struct image_key key = image_key_of(im->root, im->g->size);
    if (!is_known(s, &key, im->path, &im->stamp, im->digest))
        return false;
    (void)pthread_mutex_lock(&s->work);
    bool whole = image_open(s, im->slot, im->root, im->g, false) == E_OK &&
                 image_is_complete(s->slot[im->slot]);
    (void)pthread_mutex_unlock(&s->work);
    return whole;
}

enum err store_image_import(struct store *s, uint32_t slot, const char *path,
                            const struct digest *root, const struct digest *digest,
                            const struct geometry *g, void (*progress)(void *ctx, uint64_t done),
                            void *ctx)
{
    struct import im = {.s = s, .root = root, .digest = digest, .g = g, .slot = slot, .fd = -1};
    if (slot >= s->slots)
        return E_LIMIT;
    enum err err = open_file(&im, path);
    if (err)
        return err;
    if (im.stamp.size != g->size)
        err = refuse(&im, "size");
    else if (!resume(&im)) {
        err = hash_file(&im, progress, ctx);
        if (!err) {
            (void)pthread_mutex_lock(&s->work);
            err = take(&im);
            (void)pthread_mutex_unlock(&s->work);
        }
        if (!err)
            log_info(s->log, "store.import", "slot=%u path=%s size=%" PRIu64, slot, im.path,
                     g->size);
    }
    scratch_free(im.mem, im.mem_size);
    if (im.fd >= 0)
        (void)close(im.fd);
    return err;
}
