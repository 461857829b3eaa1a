/* A batch: one worker's round of verify, write, sync, mark.
 *
 * The order is the whole of crash safety.  Blocks are hashed against their proven leaf and written
 * at once, but only noted as pending; the commit syncs every image that was written, and only then
 * are their bits put into the database, together with the batch's records, in one LMDB commit that
 * is itself atomic and synced.  The bits in memory, by which blocks are served, come last.  A crash
 * in between leaves bytes that no bit claims.
 *
 * A batch holds the store's work lock and one write transaction from begin to commit, both of which
 * belong to a thread: the one that began it.  It allocates nothing for a block. */
#include "internal.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

enum err store_batch_begin(struct store *s, struct store_batch **out)
{
    int rc = pthread_mutex_lock(&s->work);
    assert(rc == 0);
    enum err err = db_write_begin(&s->db, &s->batch.txn);
    if (err) {
        (void)pthread_mutex_unlock(&s->work);
        return err;
    }
    s->batch.store = s;
    *out = &s->batch;
    return E_OK;
}

/* The batch's thread holds work, and nothing else changes the table. */
static struct image *batch_image(struct store_batch *b, uint32_t slot)
{
    struct store *s = b->store;
    return slot < s->slots ? s->slot[slot] : NULL;
}

/* What a block must hash to; or why it is not even hashed. */
static enum err block_leaf(struct store_batch *b, struct image *img, const struct store_block *it,
                           struct digest *want)
{
    if (!img)
        return E_NOENT;
    if (it->block >= img->geo.blocks)
        return E_RANGE;
    if (it->data.n != geometry_block_len(&img->geo, it->block))
        return E_HASH;
    return image_leaf(&b->store->db, b->txn, img, it->block, want);
}

static void leaf_hash(struct digest *out, const struct store_block *it)
{
    if (it->err == E_OK)
        tree_leaf(out, it->data.p, it->data.n);
}

/* Hashes two blocks, at once when both are to be hashed and as long as each other. */
static void leaves_hash(bool pays, struct digest out[2], const struct store_block it[2])
{
    if (!pays || it[0].err || it[1].err || it[0].data.n != it[1].data.n) {
        leaf_hash(&out[0], &it[0]);
        leaf_hash(&out[1], &it[1]);
        return;
    }
    struct hash_sha256_state a, b;
    hash_sha256_init(&a);
    hash_sha256_init(&b);
    hash_sha256_update_two(&a, it[0].data.p, &b, it[1].data.p, it[0].data.n, pays);
    hash_sha256_final(&a, &out[0]);
    hash_sha256_final(&b, &out[1]);
}

/* Writes a block that proved itself, unless it is there. */
static enum err block_keep(struct store *s, struct image *img, const struct store_block *it)
{
    if (bit_get(img->blocks, it->block) || bit_get(img->pending, it->block))
        return E_OK;
    if (img->storage == STORAGE_IMPORT)
        return E_READONLY;
    enum err err = fd_pwrite(img->fd, it->data.p, it->data.n, (uint64_t)it->block * BLOCK_LEN);
    if (err) {
        char shown[PATH_SHOWN];
        log_error(s->log, "store.write", "path=%s block=%u err=%s mend=\"%s\"",
                  show_path(shown, img->path), it->block, err_name(err),
                  err == E_FULL ? "free space there" : "check the disk");
        return err == E_FULL ? E_FULL : E_IO;
    }
    bit_set(img->pending, it->block);
    bit_set(img->dirty, geometry_chunk_of(&img->geo, it->block));
    img->written = true;
    return E_OK;
}

void store_put_blocks(struct store_batch *b, uint32_t slot, struct store_block *list,
                      uint32_t count)
{
    struct image *img = batch_image(b, slot);
    for (uint32_t i = 0; i < count; i += 2) {
        struct digest want[2], got[2];
        uint32_t here = count - i < 2 ? 1 : 2;
        for (uint32_t k = 0; k < here; k++)
            list[i + k].err = block_leaf(b, img, &list[i + k], &want[k]);
        if (here == 2)
            leaves_hash(b->store->two_pays, got, &list[i]);
        else
            leaf_hash(&got[0], &list[i]);
        for (uint32_t k = 0; k < here; k++) {
            struct store_block *it = &list[i + k];
            if (it->err == E_OK)
                it->err = digest_equal(&want[k], &got[k]) ? block_keep(b->store, img, it) : E_HASH;
        }
    }
}

enum err store_put_block(struct store_batch *b, uint32_t slot, uint32_t block, struct bytes data)
{
    struct store_block one = {.block = block, .data = data};
    store_put_blocks(b, slot, &one, 1);
    return one.err;
}

enum err store_put_chunk(struct store_batch *b, uint32_t slot, uint32_t chunk, struct bytes record)
{
    struct store *s = b->store;
    struct image *img = batch_image(b, slot);
    if (!img)
        return E_NOENT;
    if (chunk >= img->geo.chunks)
        return E_RANGE;
    if (tree_chunk_verify(&img->geo, &img->root, chunk, record) != E_OK)
        return E_PROOF;
    if (bit_get(img->chunks, chunk) || bit_get(img->chunks_new, chunk))
        return E_OK;
    struct image_key key = img->key;
    MDB_val v = {record.n, (void *)(uintptr_t)record.p};
    enum err err = db_put_apart(&s->db, b->txn, s->db.chunks, image_key_chunk(&key, chunk), v);
    if (err)
        return err;
    bit_set(img->chunks_new, chunk);
    return E_OK;
}

enum err store_put_record(struct store_batch *b, uint32_t object, struct bytes data)
{
    struct db *d = &b->store->db;
    uint8_t key[4];
    struct wr w = wr_of(key, sizeof key);
    wr_u32(&w, object);
    MDB_val k = {sizeof key, key}, v = {data.n, (void *)(uintptr_t)data.p};
    return db_put_apart(d, b->txn, d->records, k, v);
}

/* Syncs what was written of an image, then puts its new bits into the transaction. */
static enum err commit_image(struct store *s, MDB_txn *txn, struct image *img)
{
    if (img->written && fdatasync(img->fd) != 0) {
        enum err err = err_from_errno(errno);
        char shown[PATH_SHOWN];
        log_error(s->log, "store.sync", "path=%s detail=\"%s\" mend=\"check the disk\"",
                  show_path(shown, img->path), strerror(errno));
        return err == E_FULL ? E_FULL : E_IO;
    }
    return image_save_slices(&s->db, txn, img);
}

/* Ends the batch for an image: its pending bits become true, or are forgotten. */
static void settle_image(struct image *img, bool stored)
{
    for (uint32_t c = 0; c < img->geo.chunks; c++) {
        if (stored && bit_get(img->chunks_new, c))
            bit_set(img->chunks, c);
        if (!bit_get(img->dirty, c))
            continue;
        for (size_t i = (size_t)c * SLICE; i < ((size_t)c + 1) * SLICE; i++) {
            if (stored && img->pending[i])
                (void)__atomic_fetch_or(&img->blocks[i], img->pending[i], __ATOMIC_RELEASE);
            img->pending[i] = 0;
        }
    }
    size_t flags = (img->geo.chunks + 7u) / 8u;
    memset(img->chunks_new, 0, flags);
    memset(img->dirty, 0, flags);
    img->written = false;
    image_saved(img, stored);
}

enum err store_batch_commit(struct store_batch *b)
{
    struct store *s = b->store;
    enum err err = E_OK;
    for (uint32_t i = 0; i < s->slots && !err; i++) {
        if (s->slot[i])
            err = commit_image(s, b->txn, s->slot[i]);
    }
    if (err)
        db_write_abort(&s->db, b->txn);
    else
        err = db_write_commit(&s->db, b->txn);
    for (uint32_t i = 0; i < s->slots; i++) {
        if (s->slot[i])
            settle_image(s->slot[i], err == E_OK);
    }
    b->txn = NULL;
    int rc = pthread_mutex_unlock(&s->work);
    assert(rc == 0);
    return err;
}
