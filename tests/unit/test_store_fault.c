/* Faults: the N-th system call of an operation fails, for N = 1, 2, 3 ... until none is left to
 * fail.
 *
 * The program defines the calls itself, so that the store's and LMDB's own both come by here; each
 * counts, fails when its turn has come, and else does what its original does.  After every failure
 * nothing unverified is marked, the same store goes on once the fault is gone, and a store opened
 * anew agrees.  The same seam stands in for a block device and for a file system without fallocate.
 */
#include "store_util.h"

#include <dlfcn.h>
#include <errno.h>
#include <lmdb.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/statvfs.h>

enum fault_kind {
    FAIL_NOT,
    FAIL_CALL,  /* the call does nothing and fails */
    FAIL_TORN,  /* a write puts half of its bytes and then fails; other calls as above */
    FAIL_SHORT, /* every write is short, which is no failure */
};

static struct {
    enum fault_kind kind;
    int error;         /* what the failing call says */
    uint32_t at, seen; /* the call that fails, calls so far */
    bool fired;
    bool sparse;        /* fallocate is not supported */
    bool roomy;         /* the file system has an exabyte free */
    const char *device; /* this regular file is shown as a block device */
    ino_t device_ino;
    bool device_exclusive, device_held, resized;
    void (*behind)(void); /* happens once, while bytes are being read */
} fault;

/* Is it this call's turn? */
static bool strike(void)
{
    if (fault.kind != FAIL_CALL && fault.kind != FAIL_TORN)
        return false;
    if (++fault.seen != fault.at)
        return false;
    fault.fired = true;
    errno = fault.error;
    return true;
}

static void *original(const char *name)
{
    void *p = dlsym(RTLD_NEXT, name);
    if (!p)
        abort();
    return p;
}

#define ORIGINAL(type, name) ((type)(uintptr_t)original(name))

/* Declared by assembler name: the headers may give the plain names to their 64-bit forms. */
ssize_t seam_pwrite(int fd, const void *p, size_t n, off_t off) __asm__("pwrite");
ssize_t seam_pwrite64(int fd, const void *p, size_t n, off_t off) __asm__("pwrite64");
ssize_t seam_pread64(int fd, void *p, size_t n, off_t off) __asm__("pread64");
int seam_fdatasync(int fd) __asm__("fdatasync");
int seam_fallocate(int fd, int mode, off_t off, off_t len) __asm__("fallocate64");
int seam_ftruncate(int fd, off_t len) __asm__("ftruncate64");
int seam_fstatvfs(int fd, struct statvfs *vfs) __asm__("fstatvfs64");
int seam_stat(const char *path, struct stat *st) __asm__("stat64");
int seam_fstat(int fd, struct stat *st) __asm__("fstat64");
int seam_open(const char *path, int flags, ...) __asm__("open64");
int seam_ioctl(int fd, unsigned long request, ...) __asm__("ioctl");
int seam_commit(MDB_txn *txn) __asm__("mdb_txn_commit");

static ssize_t write_some(int fd, const void *p, size_t n, off_t off)
{
    ssize_t (*real)(int, const void *, size_t, off_t) =
        ORIGINAL(ssize_t(*)(int, const void *, size_t, off_t), "pwrite64");
    if (fault.kind == FAIL_SHORT && n > 1 && fault.seen++ % 2 == 0)
        return real(fd, p, n / 2, off);
    if (!strike())
        return real(fd, p, n, off);
    if (fault.kind == FAIL_TORN)
        (void)real(fd, p, n / 2, off);
    errno = fault.error;
    return -1;
}

ssize_t seam_pwrite(int fd, const void *p, size_t n, off_t off)
{
    /* LMDB's: it takes a short write for an error, so those are only made for ours. */
    enum fault_kind kind = fault.kind;
    if (kind == FAIL_SHORT)
        fault.kind = FAIL_NOT;
    ssize_t put = write_some(fd, p, n, off);
    fault.kind = kind;
    return put;
}

ssize_t seam_pwrite64(int fd, const void *p, size_t n, off_t off)
{
    return write_some(fd, p, n, off);
}

ssize_t seam_pread64(int fd, void *p, size_t n, off_t off)
{
    ssize_t got = ORIGINAL(ssize_t(*)(int, void *, size_t, off_t), "pread64")(fd, p, n, off);
    void (*behind)(void) = fault.behind;
    fault.behind = NULL;
    if (behind)
        behind();
    return got;
}

int seam_fdatasync(int fd)
{
    return strike() ? -1 : ORIGINAL(int (*)(int), "fdatasync")(fd);
}

int seam_fallocate(int fd, int mode, off_t off, off_t len)
{
    if (fault.sparse) {
        errno = EOPNOTSUPP;
        return -1;
    }
    fault.resized = true;
    return strike() ? -1
                    : ORIGINAL(int (*)(int, int, off_t, off_t), "fallocate64")(fd, mode, off, len);
}

int seam_ftruncate(int fd, off_t len)
{
    fault.resized = true;
    return strike() ? -1 : ORIGINAL(int (*)(int, off_t), "ftruncate64")(fd, len);
}

int seam_fstatvfs(int fd, struct statvfs *vfs)
{
    if (strike())
        return -1;
    int rc = ORIGINAL(int (*)(int, struct statvfs *), "fstatvfs64")(fd, vfs);
    if (fault.roomy) {
        vfs->f_frsize = 1u << 20;
        vfs->f_bavail = (fsblkcnt_t)1 << 40;
    }
    return rc;
}

static void show_device(struct stat *st)
{
    if (fault.device && st->st_ino == fault.device_ino)
        st->st_mode = S_IFBLK | 0600;
}

int seam_stat(const char *path, struct stat *st)
{
    int rc = ORIGINAL(int (*)(const char *, struct stat *), "stat64")(path, st);
    if (rc == 0)
        show_device(st);
    return rc;
}

int seam_fstat(int fd, struct stat *st)
{
    int rc = ORIGINAL(int (*)(int, struct stat *), "fstat64")(fd, st);
    if (rc == 0)
        show_device(st);
    return rc;
}

int seam_open(const char *path, int flags, ...)
{
    va_list ap;
    va_start(ap, flags);
    int mode = (flags & O_CREAT) ? va_arg(ap, int) : 0;
    va_end(ap);
    if (strike())
        return -1;
    if (fault.device && strcmp(path, fault.device) == 0) {
        fault.device_exclusive = (flags & O_EXCL) != 0;
        if (fault.device_held) {
            errno = EBUSY;
            return -1;
        }
        flags &= ~O_EXCL;
    }
    return ORIGINAL(int (*)(const char *, int, int), "open64")(path, flags, mode);
}

int seam_ioctl(int fd, unsigned long request, ...)
{
    va_list ap;
    va_start(ap, request);
    void *arg = va_arg(ap, void *);
    va_end(ap);
    struct stat st;
    int (*real_fstat)(int, struct stat *) = ORIGINAL(int (*)(int, struct stat *), "fstat64");
    if (fault.device && real_fstat(fd, &st) == 0 && st.st_ino == fault.device_ino) {
        uint64_t size = (uint64_t)st.st_size;
        memcpy(arg, &size, sizeof size);
        return 0;
    }
    return ORIGINAL(int (*)(int, unsigned long, void *), "ioctl")(fd, request, arg);
}

int seam_commit(MDB_txn *txn)
{
    if (!strike())
        return ORIGINAL(int (*)(MDB_txn *), "mdb_txn_commit")(txn);
    mdb_txn_abort(txn);
    return fault.error;
}

/* ---- a directory and an image ---- */

#define BLOCKS 40u
#define DEVICE "partition"
#define RECORD 7u
#define GIB    (UINT64_C(1) << 30)
#define ROUNDS 400u /* no operation here makes as many calls */
#define FEWEST 8u   /* and each makes more than these */

static char dir[256], data[512];
static struct kept_log kept;
static struct sample image;

static void setup(void)
{
    dir_make(dir);
    in_dir(data, dir, "data");
    log_keep(&kept);
    sample_make(&image, (BLOCKS - 1) * BLOCK_LEN + 5, 1);
}

static void teardown(void)
{
    sample_free(&image);
    dir_remove(dir);
}

static void arm(enum fault_kind kind, int error, uint32_t at)
{
    fault.kind = kind;
    fault.error = error;
    fault.at = at;
    fault.seen = 0;
    fault.fired = false;
}

static bool disarm(void)
{
    fault.kind = FAIL_NOT;
    return fault.fired;
}

/* Failure is named, and what it is named after is the fault. */
static void check_named(enum err err)
{
    ck_assert(fault.fired);
    ck_assert_int_eq(err, fault.error == ENOSPC ? E_FULL : E_IO);
    ck_assert(log_has(&kept, "mend="));
    log_clear(&kept);
}

static enum err put_all(struct store *s)
{
    struct store_batch *b;
    uint8_t record[CHUNK_MAX];
    enum err err = store_batch_begin(s, &b);
    if (err)
        return err;
    enum err worst = store_put_chunk(b, 0, 0, sample_chunk(&image, 0, record));
    for (uint32_t i = 0; i < BLOCKS; i++) {
        err = store_put_block(b, 0, i, sample_block(&image, i));
        worst = worst || err == E_STATE ? worst : err;
    }
    err = store_put_record(b, RECORD, bytes_str("kept"));
    worst = worst ? worst : err;
    err = store_batch_commit(b);
    /* Items may fail alone: then the rest of the batch is stored. */
    return err ? err : worst;
}

static void check_whole(struct store *s)
{
    uint32_t bad;
    uint8_t out[8];
    size_t n;
    ck_assert_uint_eq(check_marked(s, 0, &image), BLOCKS);
    ck_assert_int_eq(store_verify(s, 0, 0, BLOCKS, &bad), E_OK);
    ck_assert_uint_eq(bad, 0);
    ck_assert_int_eq(store_record_get(s, RECORD, out, sizeof out, &n), E_OK);
    ck_assert_uint_eq(n, 4);
}

/* Each step is tried under the fault; when it fails the fault is over and it is tried again. */
static bool round_of_writes(enum fault_kind kind, int error, uint32_t at)
{
    struct store *s = NULL;
    struct store_options opt = options_of(data);
    arm(kind, error, at);
    enum err err = store_open(&s, &opt, &kept.log);
    if (err) {
        check_named(err);
        (void)disarm();
        ck_assert_int_eq(store_open(&s, &opt, &kept.log), E_OK);
    }
    err = store_image_open(s, 0, &image.root, &image.g, true);
    if (err) {
        check_named(err);
        (void)disarm();
        ck_assert_ptr_null(store_image_path(s, 0));
        image_make(s, 0, &image);
    }
    ck_assert_uint_eq(check_marked(s, 0, &image), 0);
    err = put_all(s);
    if (err) {
        check_named(err);
        (void)disarm();
        /* What counts as stored reads back as it should; a failed commit stores nothing. */
        uint32_t marked = check_marked(s, 0, &image);
        ck_assert_uint_lt(marked, BLOCKS + 1);
        uint32_t bad;
        ck_assert_int_eq(store_verify(s, 0, 0, BLOCKS, &bad), E_OK);
        ck_assert_uint_eq(bad, 0);
        ck_assert_int_eq(put_all(s), E_OK);
    }
    bool fired = disarm();
    check_whole(s);
    store_close(s);
    s = store_at(data, &kept.log);
    image_make(s, 0, &image);
    check_whole(s);
    store_close(s);
    return fired;
}

static void every_call(bool (*round)(enum fault_kind, int, uint32_t), enum fault_kind kind,
                       int error)
{
    uint32_t n = 1;
    while (n < ROUNDS && round(kind, error, n)) {
        dir_remove(data);
        n++;
    }
    ck_assert_uint_lt(n, ROUNDS);
    ck_assert_uint_gt(n, FEWEST);
    dir_remove(data);
}

START_TEST(every_call_of_a_first_run_may_fail)
{
    every_call(round_of_writes, FAIL_CALL, EIO);
    every_call(round_of_writes, FAIL_CALL, ENOSPC);
    every_call(round_of_writes, FAIL_TORN, EIO);
    every_call(round_of_writes, FAIL_TORN, ENOSPC);
}
END_TEST

/* A commit that fails stores nothing: neither blocks nor chunks nor records. */
static bool round_of_commit(enum fault_kind kind, int error, uint32_t at)
{
    struct store *s = store_at(data, &kept.log);
    image_make(s, 0, &image);
    struct store_batch *b;
    uint8_t record[CHUNK_MAX], out[8];
    size_t n;
    ck_assert_int_eq(store_batch_begin(s, &b), E_OK);
    ck_assert_int_eq(store_put_chunk(b, 0, 0, sample_chunk(&image, 0, record)), E_OK);
    for (uint32_t i = 0; i < BLOCKS; i++)
        ck_assert_int_eq(store_put_block(b, 0, i, sample_block(&image, i)), E_OK);
    ck_assert_int_eq(store_put_record(b, RECORD, bytes_str("kept")), E_OK);
    arm(kind, error, at);
    enum err err = store_batch_commit(b);
    bool fired = disarm();
    if (fired && err) {
        check_named(err);
        ck_assert_uint_eq(check_marked(s, 0, &image), 0);
        ck_assert_uint_eq(bits_of(store_image_chunks(s, 0)), 0);
        ck_assert_int_eq(store_record_get(s, RECORD, out, sizeof out, &n), E_NOENT);
        ck_assert_int_eq(put_all(s), E_OK);
    }
    ck_assert(err || !fired);
    check_whole(s);
    store_close(s);
    s = store_at(data, &kept.log);
    image_make(s, 0, &image);
    check_whole(s);
    store_close(s);
    return fired;
}

START_TEST(failed_commit_stores_nothing)
{
    const enum fault_kind kinds[] = {FAIL_CALL, FAIL_TORN};
    const int errors[] = {EIO, ENOSPC};
    for (int i = 0; i < 4; i++) {
        uint32_t n = 1;
        while (round_of_commit(kinds[i / 2], errors[i % 2], n)) {
            dir_remove(data);
            n++;
        }
        ck_assert_uint_gt(n, 4); /* sync of the image, LMDB's pages, sync and meta page, commit */
        dir_remove(data);
    }
}
END_TEST

/* A block that was found bad is not served any more, whatever fails; the database learns it by the
 * next commit that succeeds. */
static bool round_of_verify(enum fault_kind kind, int error, uint32_t at)
{
    struct store *s = store_at(data, &kept.log);
    image_make(s, 0, &image);
    ck_assert_int_eq(put_all(s), E_OK);
    file_poke(store_image_path(s, 0), 9 * BLOCK_LEN, "bad");
    uint32_t bad;
    arm(kind, error, at);
    enum err err = store_verify(s, 0, 0, BLOCKS, &bad);
    bool fired = disarm();
    ck_assert_uint_eq(bad, 1);
    if (err)
        check_named(err);
    ck_assert_uint_eq(check_marked(s, 0, &image), BLOCKS - 1);
    if (at % 2 == 0) { /* else closing does it */
        struct store_batch *b;
        ck_assert_int_eq(store_batch_begin(s, &b), E_OK);
        ck_assert_int_eq(store_batch_commit(b), E_OK);
    }
    store_close(s);
    s = store_at(data, &kept.log);
    image_make(s, 0, &image);
    ck_assert_uint_eq(check_marked(s, 0, &image), BLOCKS - 1);
    store_close(s);
    return fired;
}

START_TEST(bad_block_stays_unserved_when_unmarking_fails)
{
    uint32_t n = 1;
    while (round_of_verify(FAIL_CALL, EIO, n)) {
        dir_remove(data);
        n++;
    }
    ck_assert_uint_gt(n, 3);
}
END_TEST

/* Entries of a table, by LMDB itself. */
static size_t entries_of(const char *table)
{
    char path[1024];
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;
    MDB_stat stat;
    (void)snprintf(path, sizeof path, "%s/db", data);
    ck_assert_int_eq(mdb_env_create(&env), 0);
    ck_assert_int_eq(mdb_env_set_maxdbs(env, 8), 0);
    ck_assert_int_eq(mdb_env_open(env, path, MDB_NOSUBDIR, 0600), 0);
    ck_assert_int_eq(mdb_txn_begin(env, NULL, MDB_RDONLY, &txn), 0);
    ck_assert_int_eq(mdb_dbi_open(txn, table, 0, &dbi), 0);
    ck_assert_int_eq(mdb_stat(txn, dbi, &stat), 0);
    mdb_txn_abort(txn);
    mdb_env_close(env);
    return stat.ms_entries;
}

/* Replacing and importing: whatever fails, the slot holds one image or none, and nothing unproven.
 */
static bool round_of_replace(enum fault_kind kind, int error, uint32_t at)
{
    char file[512];
    struct sample other;
    sample_make(&other, 3 * BLOCK_LEN, 2);
    file_put(in_dir(file, dir, "other.img"), other.data, other.g.size);
    struct store *s = store_at(data, &kept.log);
    image_make(s, 0, &image);
    ck_assert_int_eq(put_all(s), E_OK);
    arm(kind, error, at);
    enum err err = store_image_import(s, 0, file, &other.root, &other.digest, &other.g, NULL, NULL);
    bool fired = disarm();
    if (err) {
        ck_assert_int_eq(err, error == ENOSPC ? E_FULL : E_IO);
        const char *path = store_image_path(s, 0);
        if (path)
            ck_assert_uint_eq(check_marked(s, 0, &image), BLOCKS);
    } else {
        ck_assert_uint_eq(check_marked(s, 0, &other), 3);
    }
    store_close(s);
    /* Chunk records that went in before the entry did not are wiped; each image here has one. */
    store_close(store_at(data, &kept.log));
    ck_assert_uint_le(entries_of("chunks"), entries_of("images"));
    ck_assert_uint_le(entries_of("blocks"), entries_of("images"));
    s = store_at(data, &kept.log);
    ck_assert_int_eq(
        store_image_import(s, 0, file, &other.root, &other.digest, &other.g, NULL, NULL), E_OK);
    ck_assert_uint_eq(check_marked(s, 0, &other), 3);
    char images[1024];
    (void)snprintf(images, sizeof images, "%s/images", data);
    ck_assert_int_eq(dir_count(images), 0);
    store_close(s);
    sample_free(&other);
    return fired;
}

START_TEST(every_call_of_an_import_may_fail)
{
    every_call(round_of_replace, FAIL_CALL, EIO);
    every_call(round_of_replace, FAIL_CALL, ENOSPC);
}
END_TEST

START_TEST(short_writes_are_no_failures)
{
    arm(FAIL_SHORT, 0, 0);
    struct store *s = store_at(data, &kept.log);
    image_make(s, 0, &image);
    ck_assert_int_eq(put_all(s), E_OK);
    ck_assert_uint_gt(fault.seen, BLOCKS);
    (void)disarm();
    check_whole(s);
    store_close(s);
}
END_TEST

START_TEST(read_only_file_system_is_named)
{
    struct store *s;
    struct store_options opt = options_of(data);
    ck_assert_int_eq(mkdir(data, 0700), 0);
    arm(FAIL_CALL, EROFS, 1);
    ck_assert_int_eq(store_open(&s, &opt, &kept.log), E_READONLY);
    (void)disarm();
    ck_assert(log_has(&kept, data));
    ck_assert(log_has(&kept, "mend=\"mount it writable or choose another directory\""));
}
END_TEST

/* ---- what happens while a block is being read ---- */

static struct store *reading;

static void shut_behind(void)
{
    ck_assert_int_eq(store_image_shut(reading, 0, false), E_OK);
}

static void unmark_behind(void)
{
    uint32_t bad;
    file_poke(store_image_path(reading, 0), 0, "bad");
    ck_assert_int_eq(store_verify(reading, 0, 0, 1, &bad), E_OK);
    ck_assert_uint_eq(bad, 1);
}

START_TEST(block_lost_while_read_is_not_served)
{
    uint8_t out[16];
    reading = store_at(data, &kept.log);
    image_make(reading, 0, &image);
    ck_assert_int_eq(put_all(reading), E_OK);
    fault.behind = unmark_behind;
    ck_assert_int_eq(store_read(reading, 0, 0, sizeof out, out), E_NOENT);
    ck_assert_int_eq(store_read(reading, 0, BLOCK_LEN, sizeof out, out), E_OK);
    fault.behind = shut_behind;
    ck_assert_int_eq(store_read(reading, 0, BLOCK_LEN, sizeof out, out), E_NOENT);
    store_close(reading);
}
END_TEST

/* A slot closed and opened again while it was verified: what is bad is gone from the new one too.
 */
static void reopen_behind(void)
{
    ck_assert_int_eq(store_image_shut(reading, 0, false), E_OK);
    image_make(reading, 0, &image);
}

START_TEST(verification_outlives_its_slot)
{
    uint32_t bad;
    void (*const behinds[])(void) = {shut_behind, reopen_behind};
    for (size_t i = 0; i < 2; i++) {
        reading = store_at(data, &kept.log);
        image_make(reading, 0, &image);
        ck_assert_int_eq(put_all(reading), E_OK);
        file_poke(store_image_path(reading, 0), 9 * BLOCK_LEN, "bad");
        fault.behind = behinds[i];
        ck_assert_int_eq(store_verify(reading, 0, 0, BLOCKS, &bad), E_OK);
        ck_assert_uint_eq(bad, 1);
        image_make(reading, 0, &image);
        ck_assert_uint_eq(check_marked(reading, 0, &image), BLOCKS - 1);
        store_close(reading);
        reading = store_at(data, &kept.log);
        image_make(reading, 0, &image);
        ck_assert_uint_eq(check_marked(reading, 0, &image), BLOCKS - 1);
        store_close(reading);
    }
}
END_TEST

/* ---- a block device ---- */

static struct store *store_on_device(uint64_t capacity)
{
    static char path[512];
    struct stat st;
    struct store *s = NULL;
    struct store_options opt = options_of(data);
    file_put(in_dir(path, dir, DEVICE), "", 0);
    ck_assert_int_eq(truncate(path, (off_t)capacity), 0);
    ck_assert_int_eq(stat(path, &st), 0);
    fault.device = path;
    fault.device_ino = st.st_ino;
    opt.image_path = path;
    ck_assert_int_eq(store_open(&s, &opt, &kept.log), E_OK);
    fault.resized = false;
    return s;
}

START_TEST(block_device_holds_an_image)
{
    struct store *s = store_on_device(2 << 20);
    image_make(s, 0, &image);
    ck_assert_str_eq(store_image_path(s, 0), fault.device);
    ck_assert(fault.device_exclusive);
    ck_assert_int_eq(put_all(s), E_OK);
    ck_assert_int_eq(store_image_shut(s, 0, false), E_OK);
    /* What is on a device is hashed again: others may have written it. */
    file_poke(fault.device, 0, "a boot loader");
    image_make(s, 0, &image);
    ck_assert_uint_eq(check_marked(s, 0, &image), BLOCKS - 1);
    ck_assert_int_eq(put_all(s), E_OK);
    check_whole(s);
    struct digest flat;
    ck_assert_int_eq(store_digest(s, 0, &flat), E_OK); /* of the image, not of the device */
    ck_assert(digest_equal(&flat, &image.digest));
    ck_assert(!fault.resized);
    store_close(s);
}
END_TEST

START_TEST(block_device_that_is_too_small_is_refused)
{
    struct store *s = store_on_device(image.g.size - 1);
    ck_assert_int_eq(store_image_open(s, 0, &image.root, &image.g, true), E_FULL);
    char want[64];
    (void)snprintf(want, sizeof want, "needed=%llu capacity=%llu", (unsigned long long)image.g.size,
                   (unsigned long long)image.g.size - 1);
    ck_assert(log_has(&kept, want));
    ck_assert(log_has(&kept, "mend=\"configure a larger block device\""));
    ck_assert(!fault.resized);
    store_close(s);
}
END_TEST

START_TEST(block_device_in_use_is_refused)
{
    struct store *s = store_on_device(2 << 20);
    fault.device_held = true;
    ck_assert_int_eq(store_image_open(s, 0, &image.root, &image.g, true), E_BUSY);
    ck_assert(log_has(&kept, "mend=\"unmount it\""));
    fault.device_held = false;
    image_make(s, 0, &image);
    store_close(s);
}
END_TEST

/* ---- beyond 4 GiB, in a sparse file: zeroes but for the last three blocks ---- */

START_TEST(image_beyond_4_gib_is_kept)
{
    static uint8_t zero[BLOCK_LEN], out[3 * BLOCK_LEN];
    struct sample tail, big;
    sample_make(&tail, 2 * BLOCK_LEN + 1234, 5);
    uint64_t size = 4 * GIB + tail.g.size;
    const uint32_t first = (uint32_t)(4 * GIB / BLOCK_LEN);
    ck_assert_int_eq(geometry_init(&big.g, size, tree_piece_length(size)), E_OK);
    big.tree = tree_builder_init(malloc(tree_builder_size(&big.g)), &big.g);
    struct digest leaf;
    tree_leaf(&leaf, zero, sizeof zero);
    for (uint32_t b = 0; b < big.g.blocks; b++) {
        struct bytes block =
            b < first ? bytes_of(zero, sizeof zero) : sample_block(&tail, b - first);
        if (b >= first)
            tree_leaf(&leaf, block.p, block.n);
        tree_builder_leaf(big.tree, &leaf);
    }
    tree_builder_root(big.tree, &big.root);

    fault.sparse = true;
    fault.roomy = true;
    struct store *s = store_at(data, &kept.log);
    image_make(s, 0, &big);
    ck_assert(log_has(&kept, "ev=store.sparse"));
    struct store_batch *b;
    uint8_t record[CHUNK_MAX];
    ck_assert_int_eq(store_batch_begin(s, &b), E_OK);
    const uint32_t last_chunk = first / CHUNK_BLOCKS;
    ck_assert_int_eq(store_put_chunk(b, 0, 0, sample_chunk(&big, 0, record)), E_OK);
    ck_assert_int_eq(store_put_chunk(b, 0, last_chunk, sample_chunk(&big, last_chunk, record)),
                     E_OK);
    ck_assert_int_eq(store_put_block(b, 0, 1, bytes_of(zero, sizeof zero)), E_OK);
    ck_assert_int_eq(store_put_block(b, 0, first, bytes_of(zero, sizeof zero)), E_HASH);
    for (uint32_t i = 0; i < tail.g.blocks; i++)
        ck_assert_int_eq(store_put_block(b, 0, first + i, sample_block(&tail, i)), E_OK);
    ck_assert_int_eq(store_batch_commit(b), E_OK);
    store_close(s);

    s = store_at(data, &kept.log);
    image_make(s, 0, &big);
    ck_assert_uint_eq(bits_of(store_image_blocks(s, 0)), 1 + tail.g.blocks);
    struct stat st;
    ck_assert_int_eq(stat(store_image_path(s, 0), &st), 0);
    ck_assert_uint_eq((uint64_t)st.st_size, size);
    ck_assert_int_eq(store_read(s, 0, 4 * GIB, (uint32_t)tail.g.size, out), E_OK);
    ck_assert_mem_eq(out, tail.data, tail.g.size);
    /* Nothing wrapped around to the start. */
    ck_assert_int_eq(store_read(s, 0, 0, 1, out), E_NOENT);
    ck_assert_int_eq(store_read(s, 0, BLOCK_LEN, BLOCK_LEN, out), E_OK);
    ck_assert_mem_eq(out, zero, BLOCK_LEN);
    uint32_t bad;
    ck_assert_int_eq(store_verify(s, 0, 0, big.g.blocks, &bad), E_OK);
    ck_assert_uint_eq(bad, 0);
    file_poke(store_image_path(s, 0), size - 4, "bad");
    ck_assert_int_eq(store_verify(s, 0, first, tail.g.blocks, &bad), E_OK);
    ck_assert_uint_eq(bad, 1);
    store_close(s);
    free(big.tree);
    sample_free(&tail);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store_fault");
    TCase *c = tcase_create("store_fault");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_set_timeout(c, 240);
    tcase_add_test(c, every_call_of_a_first_run_may_fail);
    tcase_add_test(c, failed_commit_stores_nothing);
    tcase_add_test(c, bad_block_stays_unserved_when_unmarking_fails);
    tcase_add_test(c, every_call_of_an_import_may_fail);
    tcase_add_test(c, short_writes_are_no_failures);
    tcase_add_test(c, read_only_file_system_is_named);
    tcase_add_test(c, block_lost_while_read_is_not_served);
    tcase_add_test(c, verification_outlives_its_slot);
    tcase_add_test(c, block_device_holds_an_image);
    tcase_add_test(c, block_device_that_is_too_small_is_refused);
    tcase_add_test(c, block_device_in_use_is_refused);
    tcase_add_test(c, image_beyond_4_gib_is_kept);
    suite_add_tcase(suite, c);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
