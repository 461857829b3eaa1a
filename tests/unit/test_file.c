/* File helpers: hashing, reading and writing whole files, errno by name. */
#include "store_util.h"

#include <errno.h>

static char dir[256], path[512];
static struct sample image;

static void setup(void)
{
    dir_make(dir);
    in_dir(path, dir, "file");
    sample_make(&image, 65 * BLOCK_LEN + 1, 3);
}

static void teardown(void)
{
    sample_free(&image);
    dir_remove(dir);
}

START_TEST(file_is_hashed_flat)
{
    struct digest d, empty;
    uint64_t size;
    file_put(path, image.data, image.g.size);
    ck_assert_int_eq(file_digest(path, &d, &size), E_OK);
    ck_assert_uint_eq(size, image.g.size);
    ck_assert(digest_equal(&d, &image.digest));
    file_put(path, "", 0);
    hash_sha256(&empty, "", 0);
    ck_assert_int_eq(file_digest(path, &d, &size), E_OK);
    ck_assert_uint_eq(size, 0);
    ck_assert(digest_equal(&d, &empty));
    ck_assert_int_eq(file_digest("/no/such", &d, &size), E_NOENT);
    ck_assert_int_eq(file_digest(dir, &d, &size), E_FORMAT);
    ck_assert_int_eq(file_digest("/dev/zero", &d, &size), E_FORMAT);
    /* A pipe must not be waited for. */
    char pipe[512];
    ck_assert_int_eq(mkfifo(in_dir(pipe, dir, "pipe"), 0600), 0);
    ck_assert_int_eq(file_digest(pipe, &d, &size), E_FORMAT);
}
END_TEST

static void count_up(void *ctx, uint64_t done)
{
    uint64_t *last = ctx;
    ck_assert_uint_gt(done, *last);
    *last = done;
}

START_TEST(file_is_hashed_into_a_tree)
{
    struct geometry g;
    struct digest root, d;
    uint64_t done = 0;
    file_put(path, image.data, image.g.size);
    ck_assert_int_eq(file_tree(path, &g, &root, &d, count_up, &done), E_OK);
    ck_assert_uint_eq(done, image.g.size);
    ck_assert_uint_eq(g.size, image.g.size);
    ck_assert_uint_eq(g.blocks, image.g.blocks);
    ck_assert_uint_eq(g.piece_length, image.g.piece_length);
    ck_assert(digest_equal(&root, &image.root));
    ck_assert(digest_equal(&d, &image.digest));
    file_put(path, "", 0);
    ck_assert_int_eq(file_tree(path, &g, &root, &d, NULL, NULL), E_RANGE);
    ck_assert_int_eq(file_tree("/no/such", &g, &root, &d, NULL, NULL), E_NOENT);
}
END_TEST

START_TEST(small_file_is_read_whole)
{
    uint8_t *out = NULL;
    size_t n;
    file_put(path, image.data, 20000);
    ck_assert_int_eq(file_read(path, 20000, &out, &n), E_OK);
    ck_assert_uint_eq(n, 20000);
    ck_assert_mem_eq(out, image.data, n);
    free(out);
    ck_assert_int_eq(file_read(path, 1u << 20, &out, &n), E_OK);
    ck_assert_uint_eq(n, 20000);
    free(out);
    ck_assert_int_eq(file_read(path, 19999, &out, &n), E_OVERSIZED);
    ck_assert_int_eq(file_read(path, 0, &out, &n), E_OVERSIZED);
    file_put(path, "", 0);
    ck_assert_int_eq(file_read(path, 0, &out, &n), E_OK);
    ck_assert_uint_eq(n, 0);
    free(out);
    ck_assert_int_eq(file_read("/no/such", 10, &out, &n), E_NOENT);
    ck_assert_int_eq(file_read(dir, 10, &out, &n), E_FORMAT);
    /* A file that does not say its size grows as it is read. */
    ck_assert_int_eq(file_read("/proc/self/maps", 1u << 20, &out, &n), E_OK);
    ck_assert_uint_gt(n, 4096);
    free(out);
    ck_assert_int_eq(file_read("/proc/self/maps", 4096, &out, &n), E_OVERSIZED);
}
END_TEST

static void check_file(const char *name, const char *want, mode_t mode)
{
    uint8_t *out;
    size_t n;
    struct stat st;
    ck_assert_int_eq(file_read(name, 1000, &out, &n), E_OK);
    ck_assert_uint_eq(n, strlen(want));
    ck_assert_mem_eq(out, want, n);
    free(out);
    ck_assert_int_eq(stat(name, &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, mode);
}

START_TEST(file_is_written_whole_or_not)
{
    char link_path[512], missing[512];
    ck_assert_int_eq(file_write(path, bytes_str("one"), 0644, false), E_OK);
    check_file(path, "one", 0644);
    ck_assert_int_eq(file_write(path, bytes_str("two"), 0600, false), E_EXISTS);
    check_file(path, "one", 0644);
    ck_assert_int_eq(file_write(path, bytes_str("three"), 0600, true), E_OK);
    check_file(path, "three", 0600);
    ck_assert_int_eq(file_write(path, bytes_str(""), 0600, true), E_OK);
    check_file(path, "", 0600);
    /* A name that leads nowhere is taken as well. */
    ck_assert_int_eq(symlink("/no/such", in_dir(link_path, dir, "link")), 0);
    ck_assert_int_eq(file_write(link_path, bytes_str("x"), 0600, false), E_EXISTS);
    ck_assert_int_eq(file_write(in_dir(missing, dir, "no/such"), bytes_str("x"), 0600, true),
                     E_NOENT);
    ck_assert_int_eq(file_write(dir, bytes_str("x"), 0600, true), E_FORMAT);
    ck_assert_int_eq(unlink(link_path), 0);
    ck_assert_int_eq(dir_count(dir), 1); /* no temporary file stays */
    /* A name without a folder is one of this folder. */
    ck_assert_int_eq(chdir(dir), 0);
    ck_assert_int_eq(file_write("plain", bytes_str("x"), 0600, false), E_OK);
    check_file("plain", "x", 0600);
    static char long_name[4096];
    memset(long_name, 'a', sizeof long_name - 1);
    ck_assert_int_eq(file_write(long_name, bytes_str("x"), 0600, true), E_OVERSIZED);
    long_name[300] = '\0';
    ck_assert_int_eq(file_write(long_name, bytes_str("x"), 0600, true), E_OVERSIZED);
}
END_TEST

START_TEST(errno_has_a_name_here)
{
    const struct {
        int e;
        enum err want;
    } rows[] = {
        {0, E_OK},           {ENOENT, E_NOENT}, {EACCES, E_PERM},       {EPERM, E_PERM},
        {EROFS, E_READONLY}, {ENOSPC, E_FULL},  {EDQUOT, E_FULL},       {EEXIST, E_EXISTS},
        {EBUSY, E_BUSY},     {EAGAIN, E_BUSY},  {EADDRINUSE, E_BUSY},   {ENOMEM, E_MEMORY},
        {EIO, E_IO},         {EINVAL, E_IO},    {EMFILE, E_LIMIT},      {EFBIG, E_LIMIT},
        {EISDIR, E_FORMAT},  {99999, E_IO},     {ETIMEDOUT, E_TIMEOUT}, {EPIPE, E_CLOSED},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        ck_assert_int_eq(err_from_errno(rows[i].e), rows[i].want);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("file");
    TCase *c = tcase_create("file");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, file_is_hashed_flat);
    tcase_add_test(c, file_is_hashed_into_a_tree);
    tcase_add_test(c, small_file_is_read_whole);
    tcase_add_test(c, file_is_written_whole_or_not);
    tcase_add_test(c, errno_has_a_name_here);
    suite_add_tcase(suite, c);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
