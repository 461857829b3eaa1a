/* Reading: only what is marked, straight into the caller's memory.
 *
 * Any thread may read, beside a batch and beside a slot being closed.  The bits are looked at
 * before and after: a block that was unmarked, or a slot that was given to another image while the
 * bytes came in, is then not served. */
#include "internal.h"

#include <inttypes.h>
#include <string.h>

static bool is_present(const struct image *img, uint64_t off, uint32_t len)
{
    uint32_t first = (uint32_t)(off / BLOCK_LEN);
    uint32_t last = (uint32_t)((off + len - 1) / BLOCK_LEN);
    for (uint32_t b = first; b <= last; b++) {
        if (!bit_get(img->blocks, b))
            return false;
    }
    return !atomic_load(&img->shut) && !atomic_load(&img->stale);
}

/* An imported file is not ours: look whether it was written since it was hashed. */
static bool is_unchanged(struct store *s, struct image *img)
{
    if (img->storage != STORAGE_IMPORT)
        return true;
    struct stat st;
    if (fstat(img->fd, &st) == 0) {
        struct stamp now = stamp_of(&st);
        if (stamp_equal(&now, &img->stamp))
            return true;
    }
    if (!atomic_exchange(&img->stale, true)) {
        char shown[PATH_SHOWN];
        log_error(s->log, "store.changed",
                  "path=%s slot=%u mend=\"put the imported file back and import it again\"",
                  show_path(shown, img->path), img->slot);
    }
    return false;
}

static enum err image_read(struct store *s, struct image *img, uint64_t off, uint32_t len,
                           uint8_t *out)
{
    if (off > img->geo.size || len > img->geo.size - off)
        return E_RANGE;
    if (len == 0)
        return E_OK;
    if (!is_present(img, off, len))
        return E_NOENT;
    enum err err = fd_pread(img->fd, out, len, off);
    if (err) {
        char shown[PATH_SHOWN];
        log_error(s->log, "store.read",
                  "path=%s off=%" PRIu64 " len=%u err=%s mend=\"check the disk\"",
                  show_path(shown, img->path), off, len, err_name(err));
        return E_IO;
    }
    return is_unchanged(s, img) && is_present(img, off, len) ? E_OK : E_NOENT;
}

enum err store_read(struct store *s, uint32_t slot, uint64_t off, uint32_t len, uint8_t *out)
{
    struct image *img = image_hold(s, slot);
    if (!img)
        return E_NOENT;
    enum err err = image_read(s, img, off, len, out);
    image_drop(img);
    return err;
}

static enum err read_chunk(struct store *s, struct image *img, uint32_t chunk, uint8_t *out,
                           size_t cap, size_t *n)
{
    *n = geometry_chunk_len(&img->geo);
    if (chunk >= img->geo.chunks)
        return E_RANGE;
    if (!bit_get(img->chunks, chunk))
        return E_NOENT;
    if (*n > cap)
        return E_OVERSIZED;
    MDB_txn *txn;
    enum err err = db_read_begin(&s->db, &txn);
    if (err)
        return err;
    struct image_key key = img->key;
    MDB_val k = image_key_chunk(&key, chunk), v;
    err = db_err(&s->db, mdb_get(txn, s->db.chunks, &k, &v), "read");
    if (!err && v.mv_size != *n)
        err = E_IO;
    if (!err)
        memcpy(out, v.mv_data, *n);
    db_read_end(&s->db, txn);
    return err;
}

enum err store_read_chunk(struct store *s, uint32_t slot, uint32_t chunk, uint8_t *out, size_t cap,
                          size_t *n)
{
    *n = 0;
    struct image *img = image_hold(s, slot);
    if (!img)
        return E_NOENT;
    enum err err = read_chunk(s, img, chunk, out, cap, n);
    image_drop(img);
    return err;
}
