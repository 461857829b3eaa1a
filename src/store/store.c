/* Opening and closing the store, and its records.
 *
 * Layout of the directory: `lock` (held by flock for as long as the store is open, with the pid of
 * the holder in it), `db` and `db-lock` (LMDB), `images/`.  The database's first commit writes the
 * format and whose directory it is; later a newer format, another fleet or another node is refused
 * by name before anything is touched. */
#include "internal.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define NAME_ROOM 128u /* for the longest name below the directory */

static const char meta_format[] = "format", meta_fleet[] = "fleet", meta_node[] = "node";

static void join(char out[static PATH_BYTES], const char *dir, const char *name)
{
    int n = snprintf(out, PATH_BYTES, "%s/%s", dir, name);
    assert(n > 0 && n < (int)PATH_BYTES);
}

static enum err fail(struct store *s, const char *path, const char *doing, int e)
{
    enum err err = err_from_errno(e);
    const char *mend = err == E_READONLY ? "mount it writable or choose another directory"
                       : err == E_PERM   ? "let this user write there"
                       : err == E_NOENT  ? "make the directory above it"
                       : err == E_FULL   ? "free space there"
                                         : "choose another directory";
    char shown[PATH_SHOWN];
    log_error(s->log, "store.open", "path=%s doing=%s err=%s detail=\"%s\" mend=\"%s\"",
              show_path(shown, path), doing, err_name(err), strerror(e), mend);
    return err;
}

/* ---- directory and lock ---- */

static enum err make_dir(struct store *s, const char *path)
{
    if (mkdir(path, 0700) == 0)
        return E_OK;
    int e = errno;
    struct stat st;
    /* Some read-only file systems say so although the directory is there. */
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        return E_OK;
    return fail(s, path, "mkdir", e == EEXIST ? ENOTDIR : e);
}

static enum err choose_dir(struct store *s, const struct store_options *opt)
{
    if (strlen(opt->dir) >= sizeof s->dir - NAME_ROOM ||
        (opt->image_path && strlen(opt->image_path) >= sizeof s->image_path))
        return fail(s, opt->dir, "open", ENAMETOOLONG);
    if (opt->image_path)
        (void)snprintf(s->image_path, sizeof s->image_path, "%s", opt->image_path);
    s->scratch = opt->dir[0] == '\0';
    if (!s->scratch) {
        (void)snprintf(s->dir, sizeof s->dir, "%s", opt->dir);
        return make_dir(s, s->dir);
    }
    const char *tmp = getenv("TMPDIR");
    if (!tmp || tmp[0] != '/' || strlen(tmp) >= sizeof s->dir - NAME_ROOM)
        tmp = "/tmp";
    (void)snprintf(s->dir, sizeof s->dir, "%s/fwswarm-XXXXXX", tmp);
    return mkdtemp(s->dir) ? E_OK : fail(s, tmp, "mkdtemp", errno);
}

static enum err take_lock(struct store *s)
{
    char path[PATH_BYTES], shown[PATH_SHOWN], pid[16] = "";
    join(path, s->dir, "lock");
    s->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (s->lock_fd < 0)
        return fail(s, path, "open", errno);
    if (flock(s->lock_fd, LOCK_EX | LOCK_NB) == 0) {
        int n = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
        /* The pid only helps whoever reads the log of a second process. */
        if (ftruncate(s->lock_fd, 0) != 0 || fd_pwrite(s->lock_fd, pid, (size_t)n, 0) != E_OK)
            log_debug(s->log, "store.lock", "path=%s pid=unwritten", show_path(shown, path));
        return E_OK;
    }
    if (errno != EWOULDBLOCK)
        return fail(s, path, "lock", errno);
    ssize_t n = pread(s->lock_fd, pid, sizeof pid - 1, 0);
    pid[n > 0 ? n : 0] = '\0';
    pid[strspn(pid, "0123456789")] = '\0';
    log_error(s->log, "store.busy",
              "path=%s pid=%s mend=\"stop the other process or choose another directory\"",
              show_path(shown, path), pid);
    return E_BUSY;
}

/* Removes a scratch directory: what we put there, and nothing else. */
static void remove_scratch(const struct store *s)
{
    char path[PATH_BYTES];
    DIR *dir = s->images_dir[0] ? opendir(s->images_dir) : NULL;
    if (dir) {
        for (struct dirent *d; (d = readdir(dir)) != NULL;)
            (void)unlinkat(dirfd(dir), d->d_name, 0);
        (void)closedir(dir);
        (void)rmdir(s->images_dir);
    }
    static const char *const names[] = {"db", "db-lock", "db.new", "db.new-lock", "lock"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        join(path, s->dir, names[i]);
        (void)unlink(path);
    }
    (void)rmdir(s->dir);
}

/* ---- whose directory, and of which format ---- */

static enum err meta_put(struct db *d, MDB_txn *txn, const char *name, const void *p, size_t n)
{
    MDB_val k = {strlen(name), (void *)(uintptr_t)name}, v = {n, (void *)(uintptr_t)p};
    return db_err(d, mdb_put(txn, d->meta, &k, &v, 0), "put meta");
}

static enum err meta_get(struct db *d, MDB_txn *txn, const char *name, struct bytes *out)
{
    MDB_val k = {strlen(name), (void *)(uintptr_t)name}, v;
    enum err err = db_err(d, mdb_get(txn, d->meta, &k, &v), "get meta");
    *out = err ? bytes_of(NULL, 0) : bytes_of(v.mv_data, v.mv_size);
    return err;
}

static enum err claim(struct store *s, MDB_txn *txn, const struct store_options *opt)
{
    uint8_t format[4];
    struct wr w = wr_of(format, sizeof format);
    wr_u32(&w, DB_FORMAT);
    enum err err = meta_put(&s->db, txn, meta_format, format, sizeof format);
    if (!err)
        err = meta_put(&s->db, txn, meta_fleet, opt->fleet.b, sizeof opt->fleet.b);
    if (!err)
        err = meta_put(&s->db, txn, meta_node, opt->node.b, sizeof opt->node.b);
    return err;
}

/* One field that must be ours. */
static enum err check_owner(struct store *s, MDB_txn *txn, const char *name, const uint8_t want[32])
{
    struct bytes have;
    enum err err = meta_get(&s->db, txn, name, &have);
    if (err)
        return err == E_NOENT ? E_FORMAT : err;
    if (bytes_equal(have, bytes_of(want, 32)))
        return E_OK;
    char shown[PATH_SHOWN], has[9] = "", ours[9];
    hex_encode(has, have.p, have.n < 4 ? have.n : 4);
    hex_encode(ours, want, 4);
    log_error(s->log, "store.foreign",
              "path=%s %s=%s expected=%s mend=\"choose the directory of this %s or an empty one\"",
              show_path(shown, s->dir), name, has, ours, name);
    return E_FOREIGN;
}

static enum err check_format(struct store *s, MDB_txn *txn, const struct store_options *opt)
{
    struct bytes value;
    char shown[PATH_SHOWN];
    enum err err = meta_get(&s->db, txn, meta_format, &value);
    if (err == E_NOENT)
        return claim(s, txn, opt);
    if (err)
        return err;
    struct rd r = rd_of(value);
    uint32_t format = rd_u32(&r);
    if (rd_end(&r) || format == 0) {
        log_error(s->log, "store.format", "path=%s mend=\"remove the directory\"",
                  show_path(shown, s->db.path));
        return E_FORMAT;
    }
    if (format > DB_FORMAT) {
        log_error(s->log, "store.newer",
                  "path=%s format=%u known=%u mend=\"install the newer program again\"",
                  show_path(shown, s->db.path), format, DB_FORMAT);
        return E_NEWER;
    }
    /* A format below DB_FORMAT is migrated here, inside this transaction.  1 is the first. */
    err = check_owner(s, txn, meta_fleet, opt->fleet.b);
    return err ? err : check_owner(s, txn, meta_node, opt->node.b);
}

static enum err check_database(struct store *s, const struct store_options *opt)
{
    MDB_txn *txn;
    enum err err = db_write_begin(&s->db, &txn);
    if (err)
        return err;
    err = check_format(s, txn, opt);
    if (!err)
        err = db_orphans_wipe(&s->db, txn);
    if (!err)
        return db_write_commit(&s->db, txn);
    db_write_abort(&s->db, txn);
    return err;
}

/* ---- open and close ---- */

/* Makes the database beside its name and renames it when it is whole and synced: LMDB takes a file
 * with half a header for corrupt, and power may fail in the first second of a device's life. */
static enum err make_database(struct store *s, const struct store_options *opt)
{
    static const char *const stale[] = {"db.new", "db.new-lock", "db-lock"};
    char path[PATH_BYTES], made[PATH_BYTES];
    join(path, s->dir, "db");
    struct stat st;
    if (stat(path, &st) == 0)
        return E_OK;
    for (size_t i = 0; i < sizeof stale / sizeof stale[0]; i++) {
        join(made, s->dir, stale[i]);
        if (unlink(made) != 0 && errno != ENOENT)
            return fail(s, made, "remove", errno);
    }
    join(made, s->dir, "db.new");
    enum err err = db_open(&s->db, made, opt->map_size, s->log);
    if (err)
        return err;
    err = check_database(s, opt);
    db_close(&s->db);
    if (err)
        return err;
    if (rename(made, path) != 0)
        return fail(s, made, "rename", errno);
    join(made, s->dir, "db.new-lock");
    if (unlink(made) != 0)
        return fail(s, made, "remove", errno);
    return dir_sync(s, s->dir);
}

/* Each step needs the ones before it; *steps tells how many are to be undone. */
static enum err open_steps(struct store *s, const struct store_options *opt, unsigned *steps)
{
    char path[PATH_BYTES];
    enum err err = choose_dir(s, opt);
    if (err)
        return err;
    *steps = 1;
    err = take_lock(s);
    if (err)
        return err;
    join(s->images_dir, s->dir, "images");
    err = make_dir(s, s->images_dir);
    if (err)
        return err;
    err = make_database(s, opt);
    if (err)
        return err;
    join(path, s->dir, "db");
    err = db_open(&s->db, path, opt->map_size, s->log);
    if (err)
        return err;
    *steps = 2;
    err = check_database(s, opt);
    if (!err && s->slots < UINT32_MAX)
        err = image_unbind(s, s->slots, UINT32_MAX, false, NULL);
    return err ? err : image_file_sweep(s);
}

static void undo(struct store *s, unsigned steps)
{
    if (steps >= 2)
        db_close(&s->db);
    if (steps >= 1 && s->scratch)
        remove_scratch(s);
    if (s->lock_fd >= 0)
        (void)close(s->lock_fd);
    (void)pthread_mutex_destroy(&s->work);
    (void)pthread_mutex_destroy(&s->table);
    free(s);
}

enum err store_open(struct store **out, const struct store_options *opt, struct log *log)
{
    struct store *s = calloc(1, sizeof *s + opt->slots * sizeof s->slot[0]);
    if (!s)
        return E_MEMORY;
    s->log = log;
    s->slots = opt->slots;
    s->reserve = opt->reserve;
    s->two_pays = hash_sha256_two_pays();
    s->lock_fd = -1;
    pthread_mutexattr_t attr;
    int rc = pthread_mutexattr_init(&attr);
    assert(rc == 0);
    /* A second begin on one thread is a bug of ours, and then an assertion and not a hang. */
    rc = pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ERRORCHECK);
    assert(rc == 0);
    rc = pthread_mutex_init(&s->work, &attr);
    assert(rc == 0);
    (void)pthread_mutexattr_destroy(&attr);
    rc = pthread_mutex_init(&s->table, NULL);
    assert(rc == 0);
    unsigned steps = 0;
    enum err err = open_steps(s, opt, &steps);
    if (err) {
        undo(s, steps);
        return err;
    }
    char shown[PATH_SHOWN];
    log_info(log, "store.open", "path=%s format=%u slots=%u", show_path(shown, s->dir), DB_FORMAT,
             s->slots);
    *out = s;
    return E_OK;
}

void store_close(struct store *s)
{
    if (!s)
        return;
    for (uint32_t i = 0; i < s->slots; i++) {
        struct image *img = s->slot[i];
        if (img && !image_is_saved(img) && image_save(s, img) != E_OK)
            log_error(s->log, "store.close", "slot=%u mend=\"check the disk, then the image\"", i);
        image_place(s, i, NULL);
    }
    undo(s, 2);
}

/* ---- records ---- */

enum err store_records(struct store *s, void (*each)(void *ctx, uint32_t object, struct bytes data),
                       void *ctx)
{
    MDB_txn *txn;
    enum err err = db_read_begin(&s->db, &txn);
    if (err)
        return err;
    MDB_cursor *cursor;
    MDB_val k, v;
    int rc = mdb_cursor_open(txn, s->db.records, &cursor);
    if (!rc) {
        for (rc = mdb_cursor_get(cursor, &k, &v, MDB_FIRST); !rc;
             rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT)) {
            struct rd r = rd_of(bytes_of(k.mv_data, k.mv_size));
            uint32_t object = rd_u32(&r);
            if (rd_end(&r) == E_OK)
                each(ctx, object, bytes_of(v.mv_data, v.mv_size));
        }
        mdb_cursor_close(cursor);
    }
    err = db_err(&s->db, rc, "list");
    db_read_end(&s->db, txn);
    return err == E_NOENT ? E_OK : err;
}

enum err store_record_get(struct store *s, uint32_t object, uint8_t *out, size_t cap, size_t *n)
{
    *n = 0;
    MDB_txn *txn;
    enum err err = db_read_begin(&s->db, &txn);
    if (err)
        return err;
    uint8_t key[4];
    struct wr w = wr_of(key, sizeof key);
    wr_u32(&w, object);
    MDB_val k = {sizeof key, key}, v;
    err = db_err(&s->db, mdb_get(txn, s->db.records, &k, &v), "get");
    if (!err) {
        *n = v.mv_size;
        if (*n > cap)
            err = E_OVERSIZED;
        else
            memcpy(out, v.mv_data, *n);
    }
    db_read_end(&s->db, txn);
    return err;
}
