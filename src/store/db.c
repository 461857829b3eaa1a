/* LMDB, tamed: one environment, transactions, keys, and errors by name.
 *
 * LMDB refuses every transaction after a commit that failed while it wrote its meta page
 * (MDB_PANIC), because it no longer knows which of the two meta pages stands.  Opening the file
 * again decides that, and both outcomes are true states: blocks are synced before the commit that
 * marks them begins.  So a panicked environment is closed and opened anew, alone under `lock`,
 * which every transaction shares for as long as it lives.  A write that ran into an error thus
 * costs its own batch and not the process. */
#include "db.h"

#include "fwswarm/store.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define MAP_DEFAULT  (sizeof(void *) > 4 ? UINT64_C(1) << 30 : UINT64_C(128) << 20)
#define MAP_MIN      (UINT64_C(64) << 10)
#define DATABASES    5u
#define ENTRY_BYTES  (1u + 4u + 40u + 32u + 2u + PATH_BYTES)
#define MODE_PRIVATE 0600
#define FULL_BELOW   (UINT64_C(64) << 10)

static enum err err_from_mdb(int rc)
{
    if (rc >= 0)
        return err_from_errno(rc);
    switch (rc) {
    case MDB_NOTFOUND:
        return E_NOENT;
    case MDB_MAP_FULL:
    case MDB_TXN_FULL:
        return E_FULL;
    case MDB_READERS_FULL:
        return E_BUSY;
    case MDB_INVALID:
    case MDB_VERSION_MISMATCH:
    case MDB_INCOMPATIBLE:
        return E_FORMAT;
    case MDB_BAD_VALSIZE:
        return E_OVERSIZED;
    default:
        return E_IO;
    }
}

/* What the operator can do about it. */
static const char *mend_of(int rc)
{
    enum err err = err_from_mdb(rc);
    if (rc == MDB_MAP_FULL)
        return "raise the size of the database map";
    if (rc == MDB_CORRUPTED || rc == MDB_PAGE_NOTFOUND || err == E_FORMAT)
        return "stop this program and remove the directory, it will fetch again";
    if (err == E_FULL)
        return "free space on this file system";
    if (err == E_PERM)
        return "let this user write there";
    if (err == E_READONLY)
        return "mount it writable or choose another directory";
    return "check the disk and the kernel log";
}

/* LMDB calls a write that came up short an input/output error; on a full disk that is its cause. */
static int cause_of(const struct db *d, int rc)
{
    struct statvfs vfs;
    if (rc != EIO || statvfs(d->path, &vfs) != 0)
        return rc;
    return (uint64_t)vfs.f_bavail * vfs.f_frsize < FULL_BELOW ? ENOSPC : rc;
}

enum err db_err(struct db *d, int rc, const char *doing)
{
    if (rc == MDB_SUCCESS)
        return E_OK;
    rc = cause_of(d, rc);
    enum err err = err_from_mdb(rc);
    if (err == E_NOENT)
        return err;
    char path[DB_PATH_SHOWN];
    log_error(d->log, "store.database", "path=%s doing=%s err=%s detail=\"%s\" mend=\"%s\"",
              log_value(path, sizeof path, bytes_str(d->path)), doing, err_name(err),
              mdb_strerror(rc), mend_of(rc));
    return err;
}

/* ---- environment ---- */

static int databases_open(struct db *d)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(d->env, NULL, 0, &txn);
    if (rc)
        return rc;
    struct {
        const char *name;
        MDB_dbi *dbi;
    } const table[DATABASES] = {{"meta", &d->meta},
                                {"records", &d->records},
                                {"images", &d->images},
                                {"chunks", &d->chunks},
                                {"blocks", &d->blocks}};
    for (size_t i = 0; i < DATABASES && !rc; i++)
        rc = mdb_dbi_open(txn, table[i].name, MDB_CREATE, table[i].dbi);
    if (!rc)
        return mdb_txn_commit(txn);
    mdb_txn_abort(txn);
    return rc;
}

static int env_open(struct db *d)
{
    MDB_env *env;
    int rc = mdb_env_create(&env);
    if (rc)
        return rc;
    rc = mdb_env_set_mapsize(env, (size_t)d->map_size);
    if (!rc)
        rc = mdb_env_set_maxdbs(env, DATABASES);
    if (!rc)
        rc = mdb_env_open(env, d->path, MDB_NOSUBDIR | MDB_NOTLS | MDB_NORDAHEAD, MODE_PRIVATE);
    d->env = env;
    if (!rc)
        rc = databases_open(d);
    if (rc) {
        mdb_env_close(env);
        d->env = NULL;
    }
    return rc;
}

enum err db_open(struct db *d, const char *path, uint64_t map_size, struct log *log)
{
    assert(strlen(path) < sizeof d->path);
    memset(d, 0, sizeof *d);
    (void)snprintf(d->path, sizeof d->path, "%s", path);
    d->log = log;
    if (map_size == 0)
        map_size = MAP_DEFAULT;
    if (map_size < MAP_MIN)
        map_size = MAP_MIN;
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    d->map_size = (map_size + page - 1) / page * page;
    if (d->map_size > SIZE_MAX / 2)
        return db_err(d, ERANGE, "map");
    int rc = env_open(d);
    if (rc)
        return db_err(d, rc, "open");
    rc = pthread_rwlock_init(&d->lock, NULL);
    assert(rc == 0);
    return E_OK;
}

void db_close(struct db *d)
{
    if (d->env)
        mdb_env_close(d->env);
    (void)pthread_rwlock_destroy(&d->lock);
    memset(d, 0, sizeof *d);
}

/* ---- transactions ---- */

static void share(struct db *d)
{
    int rc = pthread_rwlock_rdlock(&d->lock);
    assert(rc == 0);
}

static void unlock(struct db *d)
{
    int rc = pthread_rwlock_unlock(&d->lock);
    assert(rc == 0);
}

/* Begins a transaction under the shared lock; it is kept when this succeeds. */
static int try_begin(struct db *d, unsigned flags, MDB_txn **txn)
{
    share(d);
    int rc = d->env ? mdb_txn_begin(d->env, NULL, flags, txn) : MDB_PANIC;
    if (rc)
        unlock(d);
    return rc;
}

/* Opens the environment again, unless somebody else just did. */
static int reopen(struct db *d)
{
    int rc = pthread_rwlock_wrlock(&d->lock);
    assert(rc == 0);
    MDB_txn *txn;
    rc = d->env ? mdb_txn_begin(d->env, NULL, MDB_RDONLY, &txn) : MDB_PANIC;
    if (!rc) {
        mdb_txn_abort(txn);
    } else if (rc == MDB_PANIC) {
        if (d->env)
            mdb_env_close(d->env);
        rc = env_open(d);
    }
    unlock(d);
    return rc;
}

static enum err begin(struct db *d, unsigned flags, MDB_txn **txn)
{
    int rc = try_begin(d, flags, txn);
    if (rc == MDB_PANIC) {
        rc = reopen(d);
        if (!rc)
            rc = try_begin(d, flags, txn);
    }
    return db_err(d, rc, "begin");
}

enum err db_read_begin(struct db *d, MDB_txn **txn)
{
    return begin(d, MDB_RDONLY, txn);
}

void db_read_end(struct db *d, MDB_txn *txn)
{
    mdb_txn_abort(txn);
    unlock(d);
}

enum err db_write_begin(struct db *d, MDB_txn **txn)
{
    return begin(d, 0, txn);
}

enum err db_write_commit(struct db *d, MDB_txn *txn)
{
    int rc = mdb_txn_commit(txn);
    unlock(d);
    return db_err(d, rc, "commit");
}

void db_write_abort(struct db *d, MDB_txn *txn)
{
    mdb_txn_abort(txn);
    unlock(d);
}

enum err db_put_apart(struct db *d, MDB_txn *txn, MDB_dbi dbi, MDB_val key, MDB_val value)
{
    MDB_txn *child;
    int rc = mdb_txn_begin(d->env, txn, 0, &child);
    if (rc)
        return db_err(d, rc, "begin");
    rc = value.mv_size > 0 ? mdb_put(child, dbi, &key, &value, 0) : mdb_del(child, dbi, &key, NULL);
    if (rc == MDB_SUCCESS)
        return db_err(d, mdb_txn_commit(child), "put");
    mdb_txn_abort(child);
    return rc == MDB_NOTFOUND ? E_OK : db_err(d, rc, "put");
}

/* ---- keys ---- */

struct image_key image_key_of(const struct digest *root, uint64_t size)
{
    struct image_key k;
    struct wr w = wr_of(k.b, sizeof k.b);
    wr_copy(&w, root->b, sizeof root->b);
    wr_u64(&w, size);
    wr_u32(&w, 0);
    assert(w.err == E_OK);
    return k;
}

MDB_val image_key_val(const struct image_key *k)
{
    return (MDB_val){IMAGE_KEY, (void *)(uintptr_t)k->b};
}

MDB_val image_key_chunk(struct image_key *k, uint32_t chunk)
{
    struct wr w = wr_of(k->b + IMAGE_KEY, sizeof k->b - IMAGE_KEY);
    wr_u32(&w, chunk);
    assert(w.err == E_OK);
    return (MDB_val){CHUNK_KEY, k->b};
}

/* ---- image entries ---- */

enum err db_entry_put(struct db *d, MDB_txn *txn, const struct image_key *key,
                      const struct image_entry *e)
{
    uint8_t buf[ENTRY_BYTES];
    struct wr w = wr_of(buf, sizeof buf);
    size_t n = strlen(e->path);
    wr_u8(&w, (uint8_t)e->storage);
    wr_u32(&w, e->slot);
    wr_u64(&w, e->stamp.ino);
    wr_u64(&w, e->stamp.size);
    wr_u64(&w, e->stamp.mtime_s);
    wr_u64(&w, e->stamp.ctime_s);
    wr_u32(&w, e->stamp.mtime_ns);
    wr_u32(&w, e->stamp.ctime_ns);
    wr_copy(&w, e->digest.b, sizeof e->digest.b);
    wr_u16(&w, (uint16_t)n);
    wr_copy(&w, e->path, n);
    assert(w.err == E_OK);
    MDB_val k = image_key_val(key), v = {wr_len(&w), buf};
    return db_err(d, mdb_put(txn, d->images, &k, &v, 0), "bind");
}

enum err db_entry_decode(struct image_entry *e, MDB_val v)
{
    memset(e, 0, sizeof *e);
    struct rd r = rd_of(bytes_of(v.mv_data, v.mv_size));
    uint8_t storage = rd_u8(&r);
    if (storage < STORAGE_OWN || storage > STORAGE_IMPORT)
        return E_FORMAT;
    e->storage = (enum storage)storage;
    e->slot = rd_u32(&r);
    e->stamp.ino = rd_u64(&r);
    e->stamp.size = rd_u64(&r);
    e->stamp.mtime_s = rd_u64(&r);
    e->stamp.ctime_s = rd_u64(&r);
    e->stamp.mtime_ns = rd_u32(&r);
    e->stamp.ctime_ns = rd_u32(&r);
    rd_copy(&r, e->digest.b, sizeof e->digest.b);
    struct bytes path = rd_take(&r, rd_u16(&r));
    if (rd_end(&r) || path.n == 0 || path.n >= sizeof e->path)
        return E_FORMAT;
    memcpy(e->path, path.p, path.n);
    return E_OK;
}

enum err db_entry_get(struct db *d, MDB_txn *txn, const struct image_key *key,
                      struct image_entry *e)
{
    MDB_val k = image_key_val(key), v;
    enum err err = db_err(d, mdb_get(txn, d->images, &k, &v), "look up");
    return err ? err : db_entry_decode(e, v);
}

/* Deletes every entry of a database whose key starts with an image's.  Each is looked up afresh,
 * which needs no rule about where a cursor stands after a deletion. */
static int wipe(MDB_txn *txn, MDB_dbi dbi, const struct image_key *key)
{
    MDB_cursor *cursor = NULL;
    int rc = mdb_cursor_open(txn, dbi, &cursor);
    while (!rc) {
        MDB_val k = image_key_val(key), v;
        rc = mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE);
        if (rc || k.mv_size < IMAGE_KEY || memcmp(k.mv_data, key->b, IMAGE_KEY) != 0)
            break;
        rc = mdb_cursor_del(cursor, 0);
    }
    if (cursor)
        mdb_cursor_close(cursor);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

enum err db_blocks_wipe(struct db *d, MDB_txn *txn, const struct image_key *key)
{
    return db_err(d, wipe(txn, d->blocks, key), "wipe");
}

enum err db_image_wipe(struct db *d, MDB_txn *txn, const struct image_key *key)
{
    int rc = wipe(txn, d->blocks, key);
    if (!rc)
        rc = wipe(txn, d->chunks, key);
    return db_err(d, rc, "wipe");
}

/* Finds an image in dbi that no entry names; MDB_NOTFOUND when there is none. */
static int orphan_find(struct db *d, MDB_txn *txn, MDB_dbi dbi, struct image_key *key)
{
    MDB_cursor *cursor;
    int rc = mdb_cursor_open(txn, dbi, &cursor);
    if (rc)
        return rc;
    MDB_val k, v;
    rc = mdb_cursor_get(cursor, &k, &v, MDB_FIRST);
    while (!rc) {
        if (k.mv_size != CHUNK_KEY) {
            rc = MDB_CORRUPTED;
            break;
        }
        memcpy(key->b, k.mv_data, CHUNK_KEY);
        MDB_val image = image_key_val(key);
        rc = mdb_get(txn, d->images, &image, &v);
        if (rc) {
            rc = rc == MDB_NOTFOUND ? 0 : rc;
            break;
        }
        /* On to the next image: behind the highest chunk of this one. */
        k = image_key_chunk(key, UINT32_MAX);
        rc = mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE);
    }
    mdb_cursor_close(cursor);
    return rc;
}

enum err db_orphans_wipe(struct db *d, MDB_txn *txn)
{
    const MDB_dbi dbis[] = {d->chunks, d->blocks};
    for (size_t i = 0; i < sizeof dbis / sizeof dbis[0]; i++) {
        struct image_key key;
        int rc = orphan_find(d, txn, dbis[i], &key);
        while (!rc) {
            rc = wipe(txn, dbis[i], &key);
            if (!rc)
                rc = orphan_find(d, txn, dbis[i], &key);
        }
        if (rc != MDB_NOTFOUND)
            return db_err(d, rc, "sweep");
    }
    return E_OK;
}
