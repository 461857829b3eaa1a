/* Hashing again what is on the disk, and taking back the bits of what is bad.
 *
 * The page cache is asked to drop the file first, so that the disk's own bytes are hashed and not
 * those that were just received.  A bad block is unmarked in memory at once, so it is no longer
 * served, and in the database right after; when that fails, the next commit that succeeds does it.
 */
#include "internal.h"

#include <assert.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

/* Verifies the marked blocks [first, last] of one chunk.  An unreadable block is a bad block. */
static enum err verify_chunk(struct store *s, struct image *img, MDB_txn *txn, uint32_t first,
                             uint32_t last, uint32_t *bad)
{
    uint8_t buf[BLOCK_LEN];
    for (uint32_t b = first; b <= last; b++) {
        if (!bit_get(img->blocks, b))
            continue;
        uint32_t len = geometry_block_len(&img->geo, b);
        struct digest want, got;
        enum err err = image_leaf(&s->db, txn, img, b, &want);
        if (err && err != E_STATE)
            return err;
        if (!err && fd_pread(img->fd, buf, len, (uint64_t)b * BLOCK_LEN) == E_OK) {
            tree_leaf(&got, buf, len);
            if (digest_equal(&want, &got))
                continue;
        }
        bit_clear(img->blocks, b);
        bit_set(img->unsaved, geometry_chunk_of(&img->geo, b));
        *bad += 1;
    }
    return E_OK;
}

enum err image_verify(struct store *s, struct image *img, uint32_t first, uint32_t count,
                      uint32_t *bad)
{
    *bad = 0;
    (void)posix_fadvise(img->fd, (off_t)((uint64_t)first * BLOCK_LEN),
                        (off_t)((uint64_t)count * BLOCK_LEN), POSIX_FADV_DONTNEED);
    while (count > 0) {
        uint32_t here = CHUNK_BLOCKS - first % CHUNK_BLOCKS;
        if (here > count)
            here = count;
        /* A transaction for each chunk: a long one would keep pages that batches want to reuse. */
        MDB_txn *txn;
        enum err err = db_read_begin(&s->db, &txn);
        if (err)
            return err;
        err = verify_chunk(s, img, txn, first, first + here - 1, bad);
        db_read_end(&s->db, txn);
        if (err)
            return err;
        first += here;
        count -= here;
    }
    return E_OK;
}

/* What is bad in a closed image is bad in the open one that took its place from the database. */
static void pass_on(struct image *now, const struct image *img)
{
    for (uint32_t c = 0; c < img->geo.chunks; c++) {
        if (!bit_get(img->unsaved, c))
            continue;
        for (size_t i = (size_t)c * SLICE; i < ((size_t)c + 1) * SLICE; i++)
            (void)__atomic_fetch_and(&now->blocks[i], img->blocks[i], __ATOMIC_ACQ_REL);
        bit_set(now->unsaved, c);
    }
}

/* Saves what a verification took away.  The slot may have been closed meanwhile. */
static enum err save_verified(struct store *s, struct image *img)
{
    if (!atomic_load(&img->shut))
        return image_save(s, img);
    for (uint32_t i = 0; i < s->slots; i++) {
        struct image *now = s->slot[i];
        if (!now || memcmp(now->key.b, img->key.b, IMAGE_KEY) != 0)
            continue;
        pass_on(now, img);
        return image_save(s, now);
    }
    MDB_txn *txn;
    enum err err = db_read_begin(&s->db, &txn);
    if (err)
        return err;
    struct image_entry entry;
    err = db_entry_get(&s->db, txn, &img->key, &entry);
    db_read_end(&s->db, txn);
    if (err)
        return err == E_NOENT ? E_OK : err;
    return image_save(s, img);
}

enum err store_verify(struct store *s, uint32_t slot, uint32_t first, uint32_t count, uint32_t *bad)
{
    *bad = 0;
    struct image *img = image_hold(s, slot);
    if (!img)
        return E_NOENT;
    enum err err = E_RANGE;
    if (first <= img->geo.blocks && count <= img->geo.blocks - first)
        err = image_verify(s, img, first, count, bad);
    if (*bad > 0) {
        char shown[PATH_SHOWN];
        log_warn(s->log, "store.bad", "path=%s blocks=%u mend=\"%s\"", show_path(shown, img->path),
                 *bad, "check the disk if this repeats, they are fetched again");
        (void)pthread_mutex_lock(&s->work);
        enum err saved = save_verified(s, img);
        (void)pthread_mutex_unlock(&s->work);
        err = err ? err : saved;
    }
    image_drop(img);
    return err;
}

enum err store_digest(struct store *s, uint32_t slot, struct digest *out)
{
    struct image *img = image_hold(s, slot);
    if (!img)
        return E_NOENT;
    enum err err = E_OK;
    for (uint32_t b = 0; b < img->geo.blocks && !err; b++)
        err = bit_get(img->blocks, b) ? E_OK : E_NOENT;
    if (!err) {
        (void)posix_fadvise(img->fd, 0, 0, POSIX_FADV_DONTNEED);
        err = fd_hash(img->fd, img->geo.size, NULL, out, NULL, NULL);
    }
    image_drop(img);
    return err;
}
