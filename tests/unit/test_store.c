/* The store as its callers see it: opening and its refusals, records, images by block and chunk,
 * batches, reads, resuming, replacing, verifying again. */
#include "store_util.h"

#include <errno.h>
#include <grp.h>
#include <lmdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>

#define KIB 1024u
#define MIB (1024u * KIB)

static char dir[256];
static struct kept_log kept;
static struct sample image; /* 700 blocks, the last one short: two chunks */

static void setup(void)
{
    dir_make(dir);
    log_keep(&kept);
    sample_make(&image, 699 * BLOCK_LEN + 5000, 1);
}

static void teardown(void)
{
    sample_free(&image);
    dir_remove(dir);
}

static enum err open_with(const struct store_options *opt)
{
    struct store *s;
    enum err err = store_open(&s, opt, &kept.log);
    if (err == E_OK)
        store_close(s);
    return err;
}

/* ---- opening ---- */

START_TEST(directory_is_made_private)
{
    char path[512];
    struct store_options opt = options_of(in_dir(path, dir, "data"));
    ck_assert_int_eq(open_with(&opt), E_OK);
    struct stat st;
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0700);
    char db[512];
    ck_assert_int_eq(stat(in_dir(db, path, "db"), &st), 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0600);
    ck_assert_int_eq(open_with(&opt), E_OK);
}
END_TEST

START_TEST(second_process_is_refused)
{
    struct store *s = store_at(dir, &kept.log);
    struct store_options opt = options_of(dir);
    char pid[32];
    (void)snprintf(pid, sizeof pid, "pid=%ld", (long)getpid());
    ck_assert_int_eq(open_with(&opt), E_BUSY);
    ck_assert(log_has(&kept, "ev=store.busy"));
    ck_assert(log_has(&kept, pid));
    ck_assert(log_has(&kept, "mend="));
    /* And from another process. */
    pid_t child = fork();
    if (child == 0)
        _exit(open_with(&opt) == E_BUSY ? 0 : 1);
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    store_close(s);
    ck_assert_int_eq(open_with(&opt), E_OK);
}
END_TEST

START_TEST(foreign_directories_are_refused)
{
    struct store_options opt = options_of(dir);
    ck_assert_int_eq(open_with(&opt), E_OK);
    opt.fleet.b[0] ^= 1;
    ck_assert_int_eq(open_with(&opt), E_FOREIGN);
    ck_assert(log_has(&kept, "fleet=f1f1f1f1 expected=f0f1f1f1"));
    opt = options_of(dir);
    opt.node.b[31] ^= 1;
    ck_assert_int_eq(open_with(&opt), E_FOREIGN);
    ck_assert(log_has(&kept, "mend=\"choose the directory of this node"));
    opt = options_of(dir);
    ck_assert_int_eq(open_with(&opt), E_OK);
}
END_TEST

/* Writes a format number into the database, as a later program would. */
static void set_format(const uint8_t *p, size_t n)
{
    char path[512];
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;
    ck_assert_int_eq(mdb_env_create(&env), 0);
    ck_assert_int_eq(mdb_env_set_maxdbs(env, 8), 0);
    ck_assert_int_eq(mdb_env_open(env, in_dir(path, dir, "db"), MDB_NOSUBDIR, 0600), 0);
    ck_assert_int_eq(mdb_txn_begin(env, NULL, 0, &txn), 0);
    ck_assert_int_eq(mdb_dbi_open(txn, "meta", MDB_CREATE, &dbi), 0);
    MDB_val k = {6, (void *)(uintptr_t) "format"}, v = {n, (void *)(uintptr_t)p};
    ck_assert_int_eq(mdb_put(txn, dbi, &k, &v, 0), 0);
    ck_assert_int_eq(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
}

START_TEST(newer_format_is_refused_by_name)
{
    struct store_options opt = options_of(dir);
    ck_assert_int_eq(open_with(&opt), E_OK);
    set_format((const uint8_t[]){0, 0, 0, 2}, 4);
    ck_assert_int_eq(open_with(&opt), E_NEWER);
    ck_assert(log_has(&kept, "ev=store.newer"));
    ck_assert(log_has(&kept, "format=2 known=1"));
    set_format((const uint8_t[]){0, 0, 0, 0}, 4);
    ck_assert_int_eq(open_with(&opt), E_FORMAT);
    set_format((const uint8_t[]){1}, 1);
    ck_assert_int_eq(open_with(&opt), E_FORMAT);
    set_format((const uint8_t[]){0, 0, 0, 1}, 4);
    ck_assert_int_eq(open_with(&opt), E_OK);
}
END_TEST

START_TEST(what_is_no_directory_or_database_is_refused)
{
    char path[512], long_path[2048];
    struct store_options opt = options_of(in_dir(path, dir, "file"));
    file_put(path, "x", 1);
    ck_assert_int_eq(open_with(&opt), E_NOENT);
    opt.dir = in_dir(path, dir, "no/such");
    ck_assert_int_eq(open_with(&opt), E_NOENT);
    ck_assert(log_has(&kept, "mend=\"make the directory above it\""));
    memset(long_path, 'a', sizeof long_path - 1);
    long_path[sizeof long_path - 1] = '\0';
    opt.dir = long_path;
    ck_assert_int_eq(open_with(&opt), E_OVERSIZED);
    opt = options_of(dir);
    static char noise[64 * KIB];
    memset(noise, 'n', sizeof noise);
    file_put(in_dir(path, dir, "db"), noise, sizeof noise);
    ck_assert_int_eq(open_with(&opt), E_FORMAT);
    ck_assert(log_has(&kept, "ev=store.database"));
}
END_TEST

/* Root may write anywhere, so the refusal is seen by a child that gave its rights away. */
START_TEST(directory_without_permission_is_refused)
{
    struct store_options opt = options_of(dir);
    ck_assert_int_eq(chmod(dir, 0555), 0);
    pid_t child = fork();
    if (child == 0) {
        if (geteuid() == 0 && (setgroups(0, NULL) != 0 || setgid(65534) != 0 || setuid(65534) != 0))
            _exit(2);
        bool right = open_with(&opt) == E_PERM && log_has(&kept, "mend=\"let this user write");
        _exit(right ? 0 : 1);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    ck_assert_int_eq(chmod(dir, 0700), 0);
}
END_TEST

START_TEST(scratch_directory_goes_with_the_store)
{
    ck_assert_int_eq(setenv("TMPDIR", dir, 1), 0);
    struct store *s = store_at("", &kept.log);
    ck_assert_int_eq(dir_count(dir), 1);
    image_make(s, 0, &image);
    ck_assert_int_eq(put_range(s, 0, &image, 0, 3), E_OK);
    store_close(s);
    ck_assert_int_eq(dir_count(dir), 0);
    ck_assert_int_eq(unsetenv("TMPDIR"), 0);
}
END_TEST

/* ---- records ---- */

struct listing {
    uint32_t n, object[8];
    char data[8][32];
};

static void list_one(void *ctx, uint32_t object, struct bytes data)
{
    struct listing *l = ctx;
    ck_assert_uint_lt(l->n, 8);
    l->object[l->n] = object;
    (void)snprintf(l->data[l->n++], sizeof l->data[0], "%.*s", (int)data.n, (const char *)data.p);
}

static enum err put_record(struct store *s, uint32_t object, const char *text)
{
    struct store_batch *b;
    ck_assert_int_eq(store_batch_begin(s, &b), E_OK);
    enum err err = store_put_record(b, object, bytes_str(text));
    ck_assert_int_eq(store_batch_commit(b), E_OK);
    return err;
}

START_TEST(records_come_back_in_object_order)
{
    struct store *s = store_at(dir, &kept.log);
    const uint32_t release = object_id(OBJ_RELEASE, 1), root2 = object_id(OBJ_ROOT, 2);
    const uint32_t root1 = object_id(OBJ_ROOT, 1), ban = object_id(OBJ_BAN, 0);
    struct store_batch *b;
    ck_assert_int_eq(store_batch_begin(s, &b), E_OK);
    ck_assert_int_eq(store_put_record(b, release, bytes_str("release")), E_OK);
    ck_assert_int_eq(store_put_record(b, root2, bytes_str("root two")), E_OK);
    ck_assert_int_eq(store_put_record(b, root1, bytes_str("root one")), E_OK);
    ck_assert_int_eq(store_put_record(b, ban, bytes_str("ban")), E_OK);
    ck_assert_int_eq(store_batch_commit(b), E_OK);
    ck_assert_int_eq(put_record(s, root2, "root two again"), E_OK);
    ck_assert_int_eq(put_record(s, ban, ""), E_OK);
    ck_assert_int_eq(put_record(s, object_id(OBJ_BAN, 7), ""), E_OK); /* there is none */
    store_close(s);

    s = store_at(dir, &kept.log);
    struct listing l = {.n = 0};
    ck_assert_int_eq(store_records(s, list_one, &l), E_OK);
    ck_assert_uint_eq(l.n, 3);
    ck_assert_uint_eq(l.object[0], root1);
    ck_assert_str_eq(l.data[0], "root one");
    ck_assert_uint_eq(l.object[1], root2);
    ck_assert_str_eq(l.data[1], "root two again");
    ck_assert_uint_eq(l.object[2], release);

    uint8_t out[16];
    size_t n;
    ck_assert_int_eq(store_record_get(s, root1, out, sizeof out, &n), E_OK);
    ck_assert_uint_eq(n, 8);
    ck_assert_mem_eq(out, "root one", 8);
    ck_assert_int_eq(store_record_get(s, root1, out, 7, &n), E_OVERSIZED);
    ck_assert_uint_eq(n, 8);
    ck_assert_int_eq(store_record_get(s, ban, out, sizeof out, &n), E_NOENT);
    store_close(s);
}
END_TEST

/* A full map costs the item that does not fit; what went before it and after it is kept. */
START_TEST(full_map_costs_one_item)
{
    struct store_options opt = options_of(dir);
    opt.map_size = 512 * KIB;
    struct store *s;
    ck_assert_int_eq(store_open(&s, &opt, &kept.log), E_OK);
    static uint8_t large[300 * KIB];
    struct store_batch *b;
    ck_assert_int_eq(store_batch_begin(s, &b), E_OK);
    ck_assert_int_eq(store_put_record(b, 1, bytes_str("before")), E_OK);
    ck_assert_int_eq(store_put_record(b, 2, bytes_of(large, sizeof large)), E_OK);
    ck_assert_int_eq(store_put_record(b, 3, bytes_of(large, sizeof large)), E_FULL);
    ck_assert(log_has(&kept, "mend=\"raise the size of the database map\""));
    ck_assert_int_eq(store_put_record(b, 4, bytes_str("after")), E_OK);
    ck_assert_int_eq(store_batch_commit(b), E_OK);
    ck_assert_int_eq(put_record(s, 2, ""), E_OK);
    uint8_t out[16];
    size_t n;
    ck_assert_int_eq(store_record_get(s, 1, out, sizeof out, &n), E_OK);
    ck_assert_int_eq(store_record_get(s, 3, out, sizeof out, &n), E_NOENT);
    ck_assert_int_eq(store_record_get(s, 4, out, sizeof out, &n), E_OK);
    store_close(s);
}
END_TEST

/* ---- images ---- */

START_TEST(new_image_is_allocated_and_empty)
{
    struct store *s = store_at(dir, &kept.log);
    image_make(s, 1, &image);
    struct stat st;
    ck_assert_int_eq(stat(store_image_path(s, 1), &st), 0);
    ck_assert_uint_eq((uint64_t)st.st_size, image.g.size);
    ck_assert_uint_ge((uint64_t)st.st_blocks * 512, image.g.size);
    ck_assert_uint_eq(st.st_mode & 0777, 0600);
    ck_assert_uint_eq(store_image_blocks(s, 1).n, 88);
    ck_assert_uint_eq(store_image_chunks(s, 1).n, 1);
    ck_assert_uint_eq(check_marked(s, 1, &image), 0);
    ck_assert_uint_eq(bits_of(store_image_chunks(s, 1)), 0);
    ck_assert_ptr_null(store_image_path(s, 0));
    ck_assert_uint_eq(store_image_blocks(s, 0).n, 0);
    ck_assert_int_eq(store_image_open(s, 3, &image.root, &image.g, true), E_LIMIT);
    ck_assert_int_eq(store_image_open(s, 0, &image.root, &image.g, true), E_BUSY);
    ck_assert_int_eq(store_image_shut(s, 3, true), E_LIMIT);
    store_close(s);
}
END_TEST

START_TEST(image_that_is_not_there_is_not_made_unasked)
{
    struct store *s = store_at(dir, &kept.log);
    ck_assert_int_eq(store_image_open(s, 0, &image.root, &image.g, false), E_NOENT);
    ck_assert_ptr_null(store_image_path(s, 0));
    image_make(s, 0, &image);
    ck_assert_int_eq(store_image_shut(s, 0, false), E_OK);
    ck_assert_int_eq(store_image_open(s, 0, &image.root, &image.g, false), E_OK);
    store_close(s);
}
END_TEST

START_TEST(only_proven_chunks_are_kept)
{
    struct store *s = store_at(dir, &kept.log);
    image_make(s, 0, &image);
    uint8_t record[CHUNK_MAX + 32], out[CHUNK_MAX];
    size_t n;
    struct bytes good = sample_chunk(&image, 1, record);
    struct store_batch *b;
    ck_assert_int_eq(store_batch_begin(s, &b), E_OK);
    ck_assert_int_eq(store_put_block(b, 0, 600, sample_block(&image, 600)), E_STATE);
    ck_assert_int_eq(store_put_chunk(b, 0, 0, good), E_PROOF);
    ck_assert_int_eq(store_put_chunk(b, 0, 2, good), E_RANGE);
    ck_assert_int_eq(store_put_chunk(b, 1, 1, good), E_NOENT);
    ck_assert_int_eq(store_put_chunk(b, 9, 1, good), E_NOENT);
    ck_assert_int_eq(store_put_chunk(b, 0, 1, bytes_of(record, good.n - 32)), E_PROOF);
    ck_assert_int_eq(store_put_chunk(b, 0, 1, bytes_of(record, good.n + 32)), E_PROOF);
    ck_assert_int_eq(store_put_chunk(b, 0, 1, bytes_of(record, 0)), E_PROOF);
    for (size_t at = 0; at < good.n; at += 1001) {
        record[at] ^= 0x10;
        ck_assert_int_eq(store_put_chunk(b, 0, 1, good), E_PROOF);
        record[at] ^= 0x10;
    }
    ck_assert_int_eq(store_put_block(b, 0, 600, sample_block(&image, 600)), E_STATE);
    ck_assert_int_eq(store_put_chunk(b, 0, 1, good), E_OK);
    ck_assert_int_eq(store_put_chunk(b, 0, 1, good), E_OK);
    ck_assert_int_eq(store_read_chunk(s, 0, 1, out, sizeof out, &n), E_NOENT);
    ck_assert_int_eq(store_batch_commit(b), E_OK);
    ck_assert(!bit_of(store_image_chunks(s, 0), 0));
    ck_assert(bit_of(store_image_chunks(s, 0), 1));
    ck_assert_int_eq(store_read_chunk(s, 0, 1, out, sizeof out, &n), E_OK);
    ck_assert_uint_eq(n, good.n);
    ck_assert_mem_eq(out, record, n);
    ck_assert_int_eq(store_read_chunk(s, 0, 1, out, n - 1, &n), E_OVERSIZED);
    ck_assert_int_eq(store_read_chunk(s, 0, 0, out, sizeof out, &n), E_NOENT);
    ck_assert_int_eq(store_read_chunk(s, 0, 2, out, sizeof out, &n), E_RANGE);
    ck_assert_int_eq(store_read_chunk(s, 1, 0, out, sizeof out, &n), E_NOENT);
    store_close(s);
}
END_TEST

START_TEST(only_verified_blocks_are_kept)
{
    struct store *s = store_at(dir, &kept.log);
    image_make(s, 0, &image);
    uint8_t record[CHUNK_MAX], bad[BLOCK_LEN];
    struct store_batch *b;
    ck_assert_int_eq(store_batch_begin(s, &b), E_OK);
    ck_assert_int_eq(store_put_chunk(b, 0, 0, sample_chunk(&image, 0, record)), E_OK);
    ck_assert_int_eq(store_put_chunk(b, 0, 1, sample_chunk(&image, 1, record)), E_OK);
    memcpy(bad, sample_block(&image, 5).p, BLOCK_LEN);
    bad[BLOCK_LEN - 1] ^= 1;
    ck_assert_int_eq(store_put_block(b, 0, 5, bytes_of(bad, BLOCK_LEN)), E_HASH);
    ck_assert_int_eq(store_put_block(b, 0, 5, sample_block(&image, 6)), E_HASH);
    ck_assert_int_eq(store_put_block(b, 0, 5, bytes_of(bad, BLOCK_LEN - 1)), E_HASH);
    ck_assert_int_eq(store_put_block(b, 0, 5, bytes_of(bad, 0)), E_HASH);
    ck_assert_int_eq(store_put_block(b, 0, 700, sample_block(&image, 5)), E_RANGE);
    ck_assert_int_eq(store_put_block(b, 1, 5, sample_block(&image, 5)), E_NOENT);
    ck_assert_int_eq(store_put_block(b, 0, 5, sample_block(&image, 5)), E_OK);
    ck_assert_int_eq(store_put_block(b, 0, 5, sample_block(&image, 5)), E_OK);
    ck_assert_int_eq(store_put_block(b, 0, 699, sample_block(&image, 699)), E_OK);
    ck_assert_int_eq(store_put_block(b, 0, 512, sample_block(&image, 512)), E_OK);
    /* Not to be had before it is synced. */
    ck_assert_int_eq(store_read(s, 0, 5 * BLOCK_LEN, 1, bad), E_NOENT);
    ck_assert_uint_eq(bits_of(store_image_blocks(s, 0)), 0);
    ck_assert_int_eq(store_batch_commit(b), E_OK);
    ck_assert(bit_of(store_image_blocks(s, 0), 5));
    ck_assert(bit_of(store_image_blocks(s, 0), 512));
    ck_assert(bit_of(store_image_blocks(s, 0), 699));
    ck_assert_uint_eq(check_marked(s, 0, &image), 3);
    store_close(s);
}
END_TEST

/* Each of several is judged for itself, whatever stands beside it. */
START_TEST(several_blocks_are_judged_one_by_one)
{
    struct store *s = store_at(dir, &kept.log);
    image_make(s, 0, &image);
    uint8_t record[CHUNK_MAX], bad[BLOCK_LEN];
    memcpy(bad, sample_block(&image, 8).p, BLOCK_LEN);
    bad[0] ^= 1;
    uint32_t last = image.g.blocks - 1;
    struct bytes wrong = bytes_of(bad, BLOCK_LEN);
    struct store_block list[] = {
        {0, sample_block(&image, 0), E_IO},
        {1, sample_block(&image, 1), E_IO},
        {8, wrong, E_IO},
        {3, sample_block(&image, 3), E_IO},
        {4, sample_block(&image, 4), E_IO},
        {9, wrong, E_IO},
        {last, sample_block(&image, last), E_IO},
        {5, sample_block(&image, 5), E_IO},
        {6, sample_block(&image, 6), E_IO},
        {6, sample_block(&image, 6), E_IO},
        {700, sample_block(&image, 7), E_IO},
        {7, sample_block(&image, 7), E_IO},
        {10, sample_block(&image, 11), E_IO},
        {11, sample_block(&image, 10), E_IO},
        {600, sample_block(&image, 600), E_IO},
        {2, bytes_of(bad, 3), E_IO},
        {12, sample_block(&image, 12), E_IO},
    };
    static const enum err want[] = {E_OK,    E_OK,   E_HASH,  E_OK,   E_OK,    E_HASH,
                                    E_STATE, E_OK,   E_OK,    E_OK,   E_RANGE, E_OK,
                                    E_HASH,  E_HASH, E_STATE, E_HASH, E_OK};
    const uint32_t count = sizeof list / sizeof list[0];
    struct store_batch *b;
    ck_assert_int_eq(store_batch_begin(s, &b), E_OK);
    ck_assert_int_eq(store_put_chunk(b, 0, 0, sample_chunk(&image, 0, record)), E_OK);
    store_put_blocks(b, 0, list, count);
    for (uint32_t i = 0; i < count; i++)
        ck_assert_msg(list[i].err == want[i], "item %u: %s", i, err_name(list[i].err));
    store_put_blocks(b, 1, list, 2);
    ck_assert_int_eq(list[0].err, E_NOENT);
    ck_assert_int_eq(list[1].err, E_NOENT);
    ck_assert_int_eq(store_batch_commit(b), E_OK);
    ck_assert_uint_eq(check_marked(s, 0, &image), 8);
    store_close(s);
}
END_TEST

START_TEST(spans_are_served_when_all_of_them_is_there)
{
    struct store *s = store_at(dir, &kept.log);
    image_make(s, 0, &image);
    ck_assert_int_eq(put_range(s, 0, &image, 2, 5), E_OK);
    ck_assert_int_eq(put_range(s, 0, &image, 690, 700), E_OK);
    static uint8_t out[16 * BLOCK_LEN];
    const struct {
        uint64_t off;
        uint32_t len;
        enum err want;
    } reads[] = {
        {2 * BLOCK_LEN, 3 * BLOCK_LEN, E_OK},
        {2 * BLOCK_LEN + 1, 3 * BLOCK_LEN - 1, E_OK},
        {2 * BLOCK_LEN + 1, 3 * BLOCK_LEN, E_NOENT},
        {2 * BLOCK_LEN - 1, 2, E_NOENT},
        {3 * BLOCK_LEN + 77, 1, E_OK},
        {0, 0, E_OK},
        {image.g.size - 9 * BLOCK_LEN, 9 * BLOCK_LEN, E_OK},
        {image.g.size - 1, 1, E_OK},
        {image.g.size, 0, E_OK},
        {image.g.size - 1, 2, E_RANGE},
        {image.g.size + 1, 0, E_RANGE},
        {UINT64_MAX, 2, E_RANGE},
    };
    for (size_t i = 0; i < sizeof reads / sizeof reads[0]; i++) {
        ck_assert_int_eq(store_read(s, 0, reads[i].off, reads[i].len, out), reads[i].want);
        if (reads[i].want == E_OK && reads[i].len > 0)
            ck_assert_mem_eq(out, image.data + reads[i].off, reads[i].len);
    }
    ck_assert_int_eq(store_read(s, 1, 0, 1, out), E_NOENT);
    ck_assert_int_eq(store_read(s, 77, 0, 1, out), E_NOENT);
    store_close(s);
}
END_TEST

START_TEST(what_was_kept_is_there_after_a_restart)
{
    struct store *s = store_at(dir, &kept.log);
    image_make(s, 0, &image);
    ck_assert_int_eq(put_range(s, 0, &image, 500, 520), E_OK);
    store_close(s);
    s = store_at(dir, &kept.log);
    ck_assert_ptr_null(store_image_path(s, 0));
    image_make(s, 0, &image);
    ck_assert_uint_eq(check_marked(s, 0, &image), 20);
    ck_assert_uint_eq(bits_of(store_image_chunks(s, 0)), 2);
    /* Another slot may take it over. */
    ck_assert_int_eq(store_image_shut(s, 0, false), E_OK);
    ck_assert_int_eq(store_read(s, 0, 500 * BLOCK_LEN, 1, (uint8_t[1]){0}), E_NOENT);
    image_make(s, 2, &image);
    ck_assert_uint_eq(check_marked(s, 2, &image), 20);
    ck_assert_int_eq(put_range(s, 2, &image, 0, 700), E_OK);
    struct digest flat;
    ck_assert_int_eq(store_digest(s, 2, &flat), E_OK);
    ck_assert(digest_equal(&flat, &image.digest));
    store_close(s);
}
END_TEST

START_TEST(every_size_around_a_boundary_completes)
{
    const uint64_t sizes[] = {1,
                              BLOCK_LEN - 1,
                              BLOCK_LEN,
                              BLOCK_LEN + 1,
                              3 * BLOCK_LEN,
                              511 * BLOCK_LEN + 1,
                              512 * BLOCK_LEN,
                              512 * BLOCK_LEN + 1,
                              1025 * BLOCK_LEN};
    struct store *s = store_at(dir, &kept.log);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct sample im;
        sample_make(&im, sizes[i], (uint8_t)(i + 2));
        image_make(s, 0, &im);
        /* One block needs no chunk record: its root is its leaf. */
        ck_assert_uint_eq(bits_of(store_image_chunks(s, 0)), im.g.blocks == 1);
        if (im.g.blocks == 1) {
            uint8_t out[32];
            size_t n;
            struct store_batch *b;
            ck_assert_int_eq(store_batch_begin(s, &b), E_OK);
            ck_assert_int_eq(store_put_block(b, 0, 0, sample_block(&im, 0)), E_OK);
            ck_assert_int_eq(store_batch_commit(b), E_OK);
            ck_assert_int_eq(store_read_chunk(s, 0, 0, out, sizeof out, &n), E_OK);
            ck_assert_mem_eq(out, im.root.b, 32);
        } else {
            ck_assert_int_eq(put_range(s, 0, &im, 0, im.g.blocks), E_OK);
        }
        ck_assert_uint_eq(check_marked(s, 0, &im), im.g.blocks);
        uint32_t bad;
        ck_assert_int_eq(store_verify(s, 0, 0, im.g.blocks, &bad), E_OK);
        ck_assert_uint_eq(bad, 0);
        struct digest flat;
        ck_assert_int_eq(store_digest(s, 0, &flat), E_OK);
        ck_assert(digest_equal(&flat, &im.digest));
        sample_free(&im);
    }
    store_close(s);
}
END_TEST

/* ---- binding ---- */

START_TEST(slot_is_given_to_another_image)
{
    char images[512];
    struct sample other;
    sample_make(&other, 10 * BLOCK_LEN, 9);
    struct store *s = store_at(dir, &kept.log);
    image_make(s, 0, &image);
    ck_assert_int_eq(put_range(s, 0, &image, 0, 4), E_OK);
    ck_assert_int_eq(dir_count(in_dir(images, dir, "images")), 1);
    image_make(s, 0, &other);
    ck_assert_int_eq(dir_count(images), 1);
    ck_assert_uint_eq(check_marked(s, 0, &other), 0);
    ck_assert_int_eq(put_range(s, 0, &other, 0, 10), E_OK);
    /* The first one is forgotten, also after a restart; so is the second, by name. */
    store_close(s);
    s = store_at(dir, &kept.log);
    ck_assert_int_eq(store_image_open(s, 0, &image.root, &image.g, false), E_NOENT);
    ck_assert_int_eq(store_image_open(s, 0, &other.root, &other.g, false), E_OK);
    ck_assert_uint_eq(check_marked(s, 0, &other), 10);
    image_make(s, 1, &image);
    ck_assert_uint_eq(check_marked(s, 1, &image), 0);
    ck_assert_uint_eq(bits_of(store_image_chunks(s, 1)), 0);
    ck_assert_int_eq(dir_count(images), 2);
    store_close(s);
    sample_free(&other);
}
END_TEST

START_TEST(images_are_keyed_by_root_and_length)
{
    /* The same root claimed at another length is another image and inherits nothing. */
    struct geometry longer;
    ck_assert_int_eq(geometry_init(&longer, image.g.size + BLOCK_LEN, image.g.piece_length), E_OK);
    struct store *s = store_at(dir, &kept.log);
    image_make(s, 0, &image);
    ck_assert_int_eq(put_range(s, 0, &image, 0, 600), E_OK);
    ck_assert_int_eq(store_image_open(s, 1, &image.root, &longer, true), E_OK);
    ck_assert_uint_eq(bits_of(store_image_blocks(s, 1)), 0);
    ck_assert_uint_eq(bits_of(store_image_chunks(s, 1)), 0);
    ck_assert_int_eq(store_image_shut(s, 1, true), E_OK);
    ck_assert_uint_eq(check_marked(s, 0, &image), 600);
    store_close(s);
}
END_TEST

START_TEST(removed_image_leaves_nothing)
{
    char images[512];
    struct store *s = store_at(dir, &kept.log);
    image_make(s, 0, &image);
    ck_assert_int_eq(put_range(s, 0, &image, 0, 4), E_OK);
    ck_assert_int_eq(store_image_shut(s, 0, true), E_OK);
    ck_assert_int_eq(store_image_shut(s, 0, true), E_OK);
    ck_assert_int_eq(dir_count(in_dir(images, dir, "images")), 0);
    ck_assert_int_eq(store_image_open(s, 0, &image.root, &image.g, false), E_NOENT);
    image_make(s, 0, &image);
    ck_assert_uint_eq(check_marked(s, 0, &image), 0);
    ck_assert_uint_eq(bits_of(store_image_chunks(s, 0)), 0);
    store_close(s);
    /* A slot can also be removed without having been opened. */
    s = store_at(dir, &kept.log);
    ck_assert_int_eq(store_image_shut(s, 0, true), E_OK);
    ck_assert_int_eq(dir_count(images), 0);
    store_close(s);
}
END_TEST

START_TEST(fewer_slots_forget_the_images_beyond)
{
    char images[512];
    struct sample other;
    sample_make(&other, 10 * BLOCK_LEN, 9);
    struct store *s = store_at(dir, &kept.log);
    image_make(s, 0, &image);
    image_make(s, 2, &other);
    ck_assert_int_eq(put_range(s, 0, &image, 0, 4), E_OK);
    store_close(s);
    struct store_options opt = options_of(dir);
    opt.slots = 1;
    ck_assert_int_eq(store_open(&s, &opt, &kept.log), E_OK);
    ck_assert_int_eq(dir_count(in_dir(images, dir, "images")), 1);
    image_make(s, 0, &image);
    ck_assert_uint_eq(check_marked(s, 0, &image), 4);
    store_close(s);
    sample_free(&other);
}
END_TEST

START_TEST(file_that_no_entry_names_is_swept)
{
    char images[512], stray[1024], foreign[1024], name[80];
    store_close(store_at(dir, &kept.log));
    in_dir(images, dir, "images");
    memset(name, 'a', 64);
    (void)snprintf(name + 64, sizeof name - 64, "-16384");
    (void)snprintf(stray, sizeof stray, "%s/%s", images, name);
    (void)snprintf(foreign, sizeof foreign, "%s/README", images);
    file_put(stray, "x", 1);
    file_put(foreign, "x", 1);
    store_close(store_at(dir, &kept.log));
    ck_assert_int_ne(access(stray, F_OK), 0);
    ck_assert_int_eq(access(foreign, F_OK), 0);
}
END_TEST

START_TEST(file_cut_while_closed_is_not_trusted)
{
    char path[1024];
    struct store *s = store_at(dir, &kept.log);
    image_make(s, 0, &image);
    (void)snprintf(path, sizeof path, "%s", store_image_path(s, 0));
    ck_assert_int_eq(put_range(s, 0, &image, 0, 700), E_OK);
    store_close(s);
    ck_assert_int_eq(truncate(path, 100), 0);
    s = store_at(dir, &kept.log);
    image_make(s, 0, &image);
    ck_assert(log_has(&kept, "ev=store.lost"));
    ck_assert_uint_eq(check_marked(s, 0, &image), 0);
    ck_assert_uint_eq(bits_of(store_image_chunks(s, 0)), 2); /* proofs are as good as before */
    store_close(s);
    ck_assert_int_eq(unlink(path), 0);
    s = store_at(dir, &kept.log);
    image_make(s, 0, &image);
    ck_assert_uint_eq(check_marked(s, 0, &image), 0);
    store_close(s);
}
END_TEST

START_TEST(too_little_space_is_said_before_a_byte)
{
    char images[512];
    struct store_options opt = options_of(dir);
    opt.reserve = UINT64_MAX / 2;
    struct store *s;
    ck_assert_int_eq(store_open(&s, &opt, &kept.log), E_OK);
    ck_assert_int_eq(store_image_open(s, 0, &image.root, &image.g, true), E_FULL);
    ck_assert_ptr_null(store_image_path(s, 0));
    ck_assert(log_has(&kept, "ev=store.full"));
    char needed[64];
    (void)snprintf(needed, sizeof needed,
                   "needed=%llu reserve=%llu free=", (unsigned long long)image.g.size,
                   (unsigned long long)opt.reserve);
    ck_assert(log_has(&kept, needed));
    ck_assert(log_has(&kept, dir));
    ck_assert(log_has(&kept, "mend=\"free space"));
    ck_assert_int_eq(dir_count(in_dir(images, dir, "images")), 0);
    store_close(s);
}
END_TEST

/* ---- verifying again ---- */

START_TEST(bad_blocks_are_found_and_taken_back)
{
    struct store *s = store_at(dir, &kept.log);
    image_make(s, 0, &image);
    struct digest flat;
    ck_assert_int_eq(put_range(s, 0, &image, 0, 699), E_OK);
    ck_assert_int_eq(store_digest(s, 0, &flat), E_NOENT);
    ck_assert_int_eq(put_range(s, 0, &image, 699, 700), E_OK);
    char path[1024];
    (void)snprintf(path, sizeof path, "%s", store_image_path(s, 0));
    file_poke(path, 7 * BLOCK_LEN + 99, "bad");
    file_poke(path, 600 * (uint64_t)BLOCK_LEN, "bad");
    file_poke(path, image.g.size - 3, "bad");
    ck_assert_int_eq(store_digest(s, 0, &flat), E_OK);
    ck_assert(!digest_equal(&flat, &image.digest));
    uint32_t bad;
    ck_assert_int_eq(store_verify(s, 0, 8, 500, &bad), E_OK);
    ck_assert_uint_eq(bad, 0);
    ck_assert_int_eq(store_verify(s, 0, 7, 1, &bad), E_OK);
    ck_assert_uint_eq(bad, 1);
    ck_assert_int_eq(store_verify(s, 0, 0, 700, &bad), E_OK);
    ck_assert_uint_eq(bad, 2);
    ck_assert_int_eq(store_verify(s, 0, 0, 701, &bad), E_RANGE);
    ck_assert_int_eq(store_verify(s, 0, 700, 0, &bad), E_OK);
    ck_assert_int_eq(store_verify(s, 1, 0, 1, &bad), E_NOENT);
    ck_assert(log_has(&kept, "ev=store.bad"));
    ck_assert_uint_eq(check_marked(s, 0, &image), 697);
    store_close(s);
    s = store_at(dir, &kept.log);
    image_make(s, 0, &image);
    ck_assert_uint_eq(check_marked(s, 0, &image), 697);
    ck_assert_int_eq(put_range(s, 0, &image, 0, 700), E_OK);
    ck_assert_uint_eq(check_marked(s, 0, &image), 700);
    ck_assert_int_eq(store_digest(s, 0, &flat), E_OK);
    ck_assert(digest_equal(&flat, &image.digest));
    store_close(s);
}
END_TEST

/* ---- threads ---- */

struct readers {
    struct store *s;
    atomic_bool stop;
    atomic_uint served, wrong;
};

static void *read_always(void *ctx)
{
    struct readers *r = ctx;
    uint8_t out[BLOCK_LEN], record[CHUNK_MAX];
    size_t n;
    for (uint32_t i = 0; !atomic_load(&r->stop); i++) {
        uint32_t block = i * 37 % image.g.blocks;
        struct bytes want = sample_block(&image, block);
        enum err err = store_read(r->s, 0, (uint64_t)block * BLOCK_LEN, (uint32_t)want.n, out);
        if (err != E_OK && err != E_NOENT)
            atomic_fetch_add(&r->wrong, 1);
        if (err == E_OK && memcmp(out, want.p, want.n) != 0)
            atomic_fetch_add(&r->wrong, 1);
        if (err == E_OK)
            atomic_fetch_add(&r->served, 1);
        err = store_read_chunk(r->s, 0, i % 2, record, sizeof record, &n);
        if (err != E_OK && err != E_NOENT)
            atomic_fetch_add(&r->wrong, 1);
    }
    return NULL;
}

/* Reads beside batches, beside a slot that comes and goes, and beside another image in its place
 * are right or refused. */
START_TEST(reads_run_beside_everything_else)
{
    char fixed[512];
    struct sample other;
    sample_make(&other, image.g.size, 9);
    struct store_options opt = options_of(dir);
    opt.image_path = in_dir(fixed, dir, "image");
    struct readers r = {.served = 0};
    ck_assert_int_eq(store_open(&r.s, &opt, &kept.log), E_OK);
    pthread_t thread[2];
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(pthread_create(&thread[i], NULL, read_always, &r), 0);
    for (int round = 0; round < 4; round++) {
        image_make(r.s, 0, &image);
        for (uint32_t at = 0; at < 700; at += 70)
            ck_assert_int_eq(put_range(r.s, 0, &image, at, at + 70), E_OK);
        ck_assert_int_eq(store_image_shut(r.s, 0, false), E_OK);
        image_make(r.s, 1, &other);
        ck_assert_int_eq(put_range(r.s, 1, &other, 0, 300), E_OK);
        ck_assert_int_eq(store_image_shut(r.s, 1, round % 2 == 0), E_OK);
    }
    atomic_store(&r.stop, true);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(pthread_join(thread[i], NULL), 0);
    ck_assert_uint_eq(atomic_load(&r.wrong), 0);
    ck_assert_uint_gt(atomic_load(&r.served), 0);
    store_close(r.s);
    sample_free(&other);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store");
    TCase *c = tcase_create("store");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_set_timeout(c, 120);
    tcase_add_test(c, directory_is_made_private);
    tcase_add_test(c, second_process_is_refused);
    tcase_add_test(c, foreign_directories_are_refused);
    tcase_add_test(c, newer_format_is_refused_by_name);
    tcase_add_test(c, what_is_no_directory_or_database_is_refused);
    tcase_add_test(c, directory_without_permission_is_refused);
    tcase_add_test(c, scratch_directory_goes_with_the_store);
    tcase_add_test(c, records_come_back_in_object_order);
    tcase_add_test(c, full_map_costs_one_item);
    tcase_add_test(c, new_image_is_allocated_and_empty);
    tcase_add_test(c, image_that_is_not_there_is_not_made_unasked);
    tcase_add_test(c, only_proven_chunks_are_kept);
    tcase_add_test(c, only_verified_blocks_are_kept);
    tcase_add_test(c, several_blocks_are_judged_one_by_one);
    tcase_add_test(c, spans_are_served_when_all_of_them_is_there);
    tcase_add_test(c, what_was_kept_is_there_after_a_restart);
    tcase_add_test(c, every_size_around_a_boundary_completes);
    tcase_add_test(c, slot_is_given_to_another_image);
    tcase_add_test(c, images_are_keyed_by_root_and_length);
    tcase_add_test(c, removed_image_leaves_nothing);
    tcase_add_test(c, fewer_slots_forget_the_images_beyond);
    tcase_add_test(c, file_that_no_entry_names_is_swept);
    tcase_add_test(c, file_cut_while_closed_is_not_trusted);
    tcase_add_test(c, too_little_space_is_said_before_a_byte);
    tcase_add_test(c, bad_blocks_are_found_and_taken_back);
    tcase_add_test(c, reads_run_beside_everything_else);
    suite_add_tcase(suite, c);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
