/* Slots: which image lies where, what of it is verified, and reading it.
 *
 * "Nothing unverified is kept or served" is kept here and in batch.c: a block's bit is set only by
 * a commit whose blocks matched their signed leaf hashes and were synced before, and a read is
 * served only while the bits of all its blocks are set, before and after the bytes were read.  What
 * else may write to a configured path cannot be known, so there every marked block is hashed again
 * when the image is opened; an imported file is hashed again when its inode, size or times changed.
 */
#include "internal.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- counted images and the table ---- */

struct image *image_hold(struct store *s, uint32_t slot)
{
    if (slot >= s->slots)
        return NULL;
    (void)pthread_mutex_lock(&s->table);
    struct image *img = s->slot[slot];
    if (img)
        (void)atomic_fetch_add(&img->refs, 1);
    (void)pthread_mutex_unlock(&s->table);
    return img;
}

void image_drop(struct image *img)
{
    if (!img || atomic_fetch_sub(&img->refs, 1) > 1)
        return;
    if (img->fd >= 0)
        (void)close(img->fd);
    free(img);
}

struct image *image_new(uint32_t slot, const struct digest *root, const struct geometry *g)
{
    size_t slices = (size_t)g->chunks * SLICE;
    size_t flags = (g->chunks + 7u) / 8u;
    struct image *img = calloc(1, sizeof *img + 2 * slices + 5 * flags);
    if (!img)
        return NULL;
    atomic_init(&img->refs, 1);
    atomic_init(&img->shut, false);
    atomic_init(&img->stale, false);
    img->fd = -1;
    img->slot = slot;
    img->root = *root;
    img->geo = *g;
    img->key = image_key_of(root, g->size);
    img->blocks = (uint8_t *)(img + 1);
    img->pending = img->blocks + slices;
    img->chunks = img->pending + slices;
    img->chunks_new = img->chunks + flags;
    img->dirty = img->chunks_new + flags;
    img->unsaved = img->dirty + flags;
    img->saving = img->unsaved + flags;
    return img;
}

void image_place(struct store *s, uint32_t slot, struct image *img)
{
    (void)pthread_mutex_lock(&s->table);
    struct image *old = s->slot[slot];
    s->slot[slot] = img;
    (void)pthread_mutex_unlock(&s->table);
    if (old)
        atomic_store(&old->shut, true);
    image_drop(old);
}

/* ---- bitmaps and chunk records in the database ---- */

static enum err save_slice(struct db *d, MDB_txn *txn, struct image *img, uint32_t chunk)
{
    uint8_t slice[SLICE];
    uint8_t any = 0;
    for (size_t i = 0; i < SLICE; i++) {
        size_t at = (size_t)chunk * SLICE + i;
        slice[i] =
            (uint8_t)(__atomic_load_n(&img->blocks[at], __ATOMIC_ACQUIRE) | img->pending[at]);
        any |= slice[i];
    }
    struct image_key key = img->key;
    MDB_val k = image_key_chunk(&key, chunk), v = {SLICE, slice};
    int rc = any ? mdb_put(txn, d->blocks, &k, &v, 0) : mdb_del(txn, d->blocks, &k, NULL);
    return rc == MDB_NOTFOUND ? E_OK : db_err(d, rc, "mark");
}

enum err image_save_slices(struct db *d, MDB_txn *txn, struct image *img)
{
    enum err err = E_OK;
    for (uint32_t c = 0; c < img->geo.chunks && !err; c++) {
        bool unsaved = bit_get(img->unsaved, c);
        if (unsaved) {
            /* Before the slice is read: a verification that unmarks meanwhile says so again. */
            bit_clear(img->unsaved, c);
            bit_set(img->saving, c);
        }
        if (unsaved || bit_get(img->dirty, c))
            err = save_slice(d, txn, img, c);
    }
    return err;
}

void image_saved(struct image *img, bool stored)
{
    for (uint32_t c = 0; c < img->geo.chunks; c++) {
        if (!stored && bit_get(img->saving, c))
            bit_set(img->unsaved, c);
    }
    memset(img->saving, 0, (img->geo.chunks + 7u) / 8u);
}

enum err image_save(struct store *s, struct image *img)
{
    MDB_txn *txn;
    enum err err = db_write_begin(&s->db, &txn);
    if (err)
        return err;
    err = image_save_slices(&s->db, txn, img);
    if (err)
        db_write_abort(&s->db, txn);
    else
        err = db_write_commit(&s->db, txn);
    image_saved(img, err == E_OK);
    return err;
}

bool image_is_saved(const struct image *img)
{
    for (uint32_t c = 0; c < img->geo.chunks; c++) {
        if (bit_get(img->unsaved, c))
            return false;
    }
    return true;
}

enum err image_leaf(struct db *d, MDB_txn *txn, struct image *img, uint32_t block,
                    struct digest *out)
{
    struct image_key key = img->key;
    MDB_val k = image_key_chunk(&key, geometry_chunk_of(&img->geo, block)), v;
    enum err err = db_err(d, mdb_get(txn, d->chunks, &k, &v), "look up");
    if (err)
        return err == E_NOENT ? E_STATE : err;
    if (v.mv_size != geometry_chunk_len(&img->geo))
        return E_STATE;
    memcpy(out->b, (const uint8_t *)v.mv_data + (size_t)(block % CHUNK_BLOCKS) * 32, 32);
    return E_OK;
}

/* Reads the bitmaps of one chunk.  A bitmap without its chunk record counts for nothing. */
static enum err load_chunk(struct db *d, MDB_txn *txn, struct image *img, uint32_t chunk)
{
    struct image_key key = img->key;
    MDB_val k = image_key_chunk(&key, chunk), v;
    enum err err = db_err(d, mdb_get(txn, d->chunks, &k, &v), "load");
    if (err || v.mv_size != geometry_chunk_len(&img->geo))
        return err == E_NOENT ? E_OK : err;
    bit_set(img->chunks, chunk);
    err = db_err(d, mdb_get(txn, d->blocks, &k, &v), "load");
    if (err || v.mv_size != SLICE)
        return err == E_NOENT ? E_OK : err;
    memcpy(img->blocks + (size_t)chunk * SLICE, v.mv_data, SLICE);
    return E_OK;
}

static enum err image_load(struct store *s, struct image *img)
{
    MDB_txn *txn;
    enum err err = db_read_begin(&s->db, &txn);
    if (err)
        return err;
    for (uint32_t c = 0; !err && c < img->geo.chunks; c++)
        err = load_chunk(&s->db, txn, img, c);
    db_read_end(&s->db, txn);
    for (uint32_t b = img->geo.blocks; b < img->geo.chunks * CHUNK_BLOCKS; b++)
        bit_clear(img->blocks, b);
    return err;
}

bool image_is_complete(const struct image *img)
{
    for (uint32_t b = 0; b < img->geo.blocks; b++) {
        if (!bit_get(img->blocks, b))
            return false;
    }
    return true;
}

/* ---- bindings ---- */

/* Finds an entry other than keep's that is bound to one of the slots first..last, or (fixed) lies
 * at the configured path. */
static enum err binding_find(struct store *s, uint32_t first, uint32_t last, bool fixed,
                             const struct image_key *keep, struct image_key *key,
                             struct image_entry *entry)
{
    MDB_txn *txn;
    enum err err = db_read_begin(&s->db, &txn);
    if (err)
        return err;
    MDB_cursor *cursor;
    int rc = mdb_cursor_open(txn, s->db.images, &cursor);
    if (rc) {
        db_read_end(&s->db, txn);
        return db_err(&s->db, rc, "look up");
    }
    MDB_val k, v;
    for (rc = mdb_cursor_get(cursor, &k, &v, MDB_FIRST); !rc;
         rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT)) {
        if (k.mv_size != IMAGE_KEY || (keep && memcmp(k.mv_data, keep->b, IMAGE_KEY) == 0))
            continue;
        if (db_entry_decode(entry, v) != E_OK)
            continue;
        bool bound = entry->slot >= first && entry->slot <= last;
        if (!bound && !(fixed && entry->storage == STORAGE_FIXED))
            continue;
        memset(key, 0, sizeof *key);
        memcpy(key->b, k.mv_data, IMAGE_KEY);
        break;
    }
    mdb_cursor_close(cursor);
    db_read_end(&s->db, txn);
    return db_err(&s->db, rc, "look up");
}

/* Forgets one image in a commit of its own, then deletes its file. */
static enum err forget(struct store *s, const struct image_key *key,
                       const struct image_entry *entry)
{
    MDB_txn *txn;
    enum err err = db_write_begin(&s->db, &txn);
    if (err)
        return err;
    MDB_val k = image_key_val(key);
    err = db_err(&s->db, mdb_del(txn, s->db.images, &k, NULL), "forget");
    if (!err)
        err = db_image_wipe(&s->db, txn, key);
    if (err) {
        db_write_abort(&s->db, txn);
        return err;
    }
    err = db_write_commit(&s->db, txn);
    if (err)
        return err;
    /* Whoever has it open keeps its file until the last read is done. */
    for (uint32_t i = 0; i < s->slots; i++) {
        if (s->slot[i] && memcmp(s->slot[i]->key.b, key->b, IMAGE_KEY) == 0)
            image_place(s, i, NULL);
    }
    if (entry->storage == STORAGE_OWN)
        image_file_remove(s, entry->path);
    char hex[9];
    hex_encode(hex, key->b, 4);
    log_info(s->log, "store.forget", "slot=%u image=%s", entry->slot, hex);
    return E_OK;
}

enum err image_unbind(struct store *s, uint32_t first, uint32_t last, bool fixed,
                      const struct image_key *keep)
{
    for (;;) {
        struct image_key key;
        struct image_entry entry;
        enum err err = binding_find(s, first, last, fixed, keep, &key, &entry);
        if (err)
            return err == E_NOENT ? E_OK : err;
        err = forget(s, &key, &entry);
        if (err)
            return err;
    }
}

/* Is the image, or the configured path, in use by another slot? */
enum err image_check_free(struct store *s, uint32_t slot, const struct image_key *key, bool fixed)
{
    for (uint32_t i = 0; i < s->slots; i++) {
        const struct image *img = s->slot[i];
        if (!img || i == slot)
            continue;
        bool same = memcmp(img->key.b, key->b, IMAGE_KEY) == 0;
        if (!same && !(fixed && img->storage == STORAGE_FIXED))
            continue;
        char shown[PATH_SHOWN];
        log_error(s->log, "store.busy", "slot=%u held_by=%u path=%s mend=\"%s\"", slot, i,
                  show_path(shown, img->path),
                  same ? "one slot is enough for one image"
                       : "the configured path holds one image at a time, give the other slot up");
        return E_BUSY;
    }
    return E_OK;
}

/* ---- opening ---- */

/* What is known of an image when it is opened. */
struct opening {
    struct image_entry entry;
    bool found;   /* an entry is there */
    bool trusted; /* and its bitmaps may be believed, after verify if that is set */
    bool verify;
};

/* Writes entry, and what a new or changed storage makes untrue away. */
static enum err bind(struct store *s, struct image *img, const struct opening *o)
{
    struct image_entry entry = {
        .storage = img->storage, .slot = img->slot, .stamp = img->stamp, .digest = img->digest};
    if (img->storage == STORAGE_OWN)
        image_file_name(entry.path, &img->key);
    else
        memcpy(entry.path, img->path, sizeof entry.path);
    MDB_txn *txn;
    enum err err = db_write_begin(&s->db, &txn);
    if (err)
        return err;
    if (!o->found)
        err = db_image_wipe(&s->db, txn, &img->key);
    else if (!o->trusted)
        err = db_blocks_wipe(&s->db, txn, &img->key);
    if (!err)
        err = db_entry_put(&s->db, txn, &img->key, &entry);
    if (!err && img->geo.blocks == 1) {
        /* The root of one block is its leaf, so its chunk record needs no peer. */
        struct image_key key = img->key;
        MDB_val k = image_key_chunk(&key, 0), v = {sizeof img->root.b, img->root.b};
        assert(geometry_chunk_len(&img->geo) == v.mv_size);
        err = db_err(&s->db, mdb_put(txn, s->db.chunks, &k, &v, 0), "bind");
    }
    if (err) {
        db_write_abort(&s->db, txn);
        return err;
    }
    return db_write_commit(&s->db, txn);
}

/* Loads what is believed, and hashes it again where that is called for. */
static enum err load_and_verify(struct store *s, struct image *img, const struct opening *o)
{
    enum err err = image_load(s, img);
    if (err || !o->verify)
        return err;
    uint32_t bad;
    err = image_verify(s, img, 0, img->geo.blocks, &bad);
    if (err || bad == 0)
        return err;
    char shown[PATH_SHOWN];
    log_warn(s->log, "store.changed",
             "path=%s bad_blocks=%u mend=\"none needed, they are fetched\"",
             show_path(shown, img->path), bad);
    return image_save(s, img);
}

/* Tries to go on with an imported file.  E_NOENT: it is gone or no longer whole, and create asks
 * for storage that can be written. */
static enum err reopen_import(struct store *s, struct image *img, struct opening *o, bool create)
{
    img->storage = STORAGE_IMPORT;
    memcpy(img->path, o->entry.path, sizeof img->path);
    img->digest = o->entry.digest;
    enum err err = image_file_import(s, img->path, &img->fd, &img->stamp);
    if (err)
        return E_NOENT;
    o->trusted = true;
    o->verify = !stamp_equal(&img->stamp, &o->entry.stamp);
    if (o->verify)
        memset(&img->digest, 0, sizeof img->digest); /* no longer known */
    /* Bits go before the new stamp comes, else a crash in between would leave old bits believed. */
    err = load_and_verify(s, img, o);
    if (!err && create && !image_is_complete(img))
        return E_NOENT;
    return err ? err : bind(s, img, o);
}

/* Opens storage that can be written. */
static enum err open_writable(struct store *s, struct image *img, struct opening *o)
{
    img->storage = s->image_path[0] ? STORAGE_FIXED : STORAGE_OWN;
    char name[96];
    image_file_name(name, &img->key);
    bool same = o->found && o->entry.storage == img->storage &&
                strcmp(o->entry.path, img->storage == STORAGE_OWN ? name : s->image_path) == 0;
    bool fresh;
    enum err err = image_file_open(s, img, &fresh);
    if (err)
        return err;
    o->trusted = same && !fresh;
    o->verify = img->storage == STORAGE_FIXED;
    if (same && fresh) {
        char shown[PATH_SHOWN];
        log_warn(s->log, "store.lost", "path=%s mend=\"none needed, it is fetched again\"",
                 show_path(shown, img->path));
    }
    err = bind(s, img, o);
    if (err && !o->found && img->storage == STORAGE_OWN)
        image_file_remove(s, name);
    if (err)
        return err;
    if (o->found && o->entry.storage == STORAGE_OWN && img->storage != STORAGE_OWN)
        image_file_remove(s, o->entry.path);
    return load_and_verify(s, img, o);
}

static enum err fill(struct store *s, struct image **img, struct opening *o, bool create)
{
    if (o->found && o->entry.storage == STORAGE_IMPORT) {
        enum err err = reopen_import(s, *img, o, create);
        if (err != E_NOENT || !create)
            return err;
        struct image *again = image_new((*img)->slot, &(*img)->root, &(*img)->geo);
        if (!again)
            return E_MEMORY;
        image_drop(*img);
        *img = again;
    }
    return open_writable(s, *img, o);
}

enum err image_open(struct store *s, uint32_t slot, const struct digest *root,
                    const struct geometry *g, bool create)
{
    struct opening o = {.found = false};
    struct image_key key = image_key_of(root, g->size);
    struct image *now = s->slot[slot];
    if (now && memcmp(now->key.b, key.b, IMAGE_KEY) == 0) {
        bool writable = now->storage != STORAGE_IMPORT;
        if (!atomic_load(&now->stale) && (writable || !create || image_is_complete(now)))
            return E_OK;
        image_place(s, slot, NULL);
    }
    MDB_txn *txn;
    enum err err = db_read_begin(&s->db, &txn);
    if (err)
        return err;
    err = db_entry_get(&s->db, txn, &key, &o.entry);
    db_read_end(&s->db, txn);
    o.found = err == E_OK;
    if (err && !create)
        return err;
    if (err && err != E_NOENT && err != E_FORMAT)
        return err;
    bool fixed = s->image_path[0] && !(o.found && o.entry.storage == STORAGE_IMPORT);
    err = image_check_free(s, slot, &key, fixed);
    if (!err)
        err = image_unbind(s, slot, slot, fixed, &key);
    if (err)
        return err;
    struct image *img = image_new(slot, root, g);
    if (!img)
        return E_MEMORY;
    err = fill(s, &img, &o, create);
    if (err) {
        image_drop(img);
        return err;
    }
    log_info(s->log, "store.image", "slot=%u path=%s size=%" PRIu64 " resumed=%d", slot, img->path,
             g->size, o.trusted);
    image_place(s, slot, img);
    return E_OK;
}

enum err store_image_open(struct store *s, uint32_t slot, const struct digest *root,
                          const struct geometry *g, bool create)
{
    assert(g->size > 0);
    if (slot >= s->slots)
        return E_LIMIT;
    (void)pthread_mutex_lock(&s->work);
    enum err err = image_open(s, slot, root, g, create);
    (void)pthread_mutex_unlock(&s->work);
    return err;
}

enum err store_image_shut(struct store *s, uint32_t slot, bool remove)
{
    if (slot >= s->slots)
        return E_LIMIT;
    (void)pthread_mutex_lock(&s->work);
    struct image *img = s->slot[slot];
    enum err err = E_OK;
    if (remove)
        err = image_unbind(s, slot, slot, false, NULL);
    else if (img && !image_is_saved(img))
        err = image_save(s, img);
    if (!err)
        image_place(s, slot, NULL);
    (void)pthread_mutex_unlock(&s->work);
    return err;
}

struct bytes store_image_blocks(struct store *s, uint32_t slot)
{
    const struct image *img = slot < s->slots ? s->slot[slot] : NULL;
    return img ? bytes_of(img->blocks, (img->geo.blocks + 7u) / 8u) : bytes_of(NULL, 0);
}

struct bytes store_image_chunks(struct store *s, uint32_t slot)
{
    const struct image *img = slot < s->slots ? s->slot[slot] : NULL;
    return img ? bytes_of(img->chunks, (img->geo.chunks + 7u) / 8u) : bytes_of(NULL, 0);
}

const char *store_image_path(struct store *s, uint32_t slot)
{
    const struct image *img = slot < s->slots ? s->slot[slot] : NULL;
    return img ? img->path : NULL;
}
