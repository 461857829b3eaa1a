/* Images whose bytes are not in a file of the store's own: imported files, which others may change,
 * and the configured path, which others may have written since. */
#include "store_util.h"

#define MIB (1024u * 1024u)

static char dir[256], data[512], file[512];
static struct kept_log kept;
static struct sample image;
static uint64_t progress_done;
static uint32_t progress_calls;

static void set_time(time_t seconds)
{
    struct timespec t[2] = {{seconds, 0}, {seconds, 0}};
    ck_assert_int_eq(utimensat(AT_FDCWD, file, t, 0), 0);
}

static void setup(void)
{
    dir_make(dir);
    in_dir(data, dir, "data");
    log_keep(&kept);
    sample_make(&image, 599 * BLOCK_LEN + 77, 1);
    file_put(in_dir(file, dir, "firmware.img"), image.data, image.g.size);
    set_time(5); /* long ago, however coarse the clock of the file system */
}

static void teardown(void)
{
    sample_free(&image);
    dir_remove(dir);
}

static void progress(void *ctx, uint64_t done)
{
    ck_assert_ptr_eq(ctx, &progress_done);
    ck_assert_uint_gt(done, progress_done);
    progress_done = done;
    progress_calls++;
}

static enum err import(struct store *s, uint32_t slot)
{
    progress_done = 0;
    progress_calls = 0;
    return store_image_import(s, slot, file, &image.root, &image.digest, &image.g, progress,
                              &progress_done);
}

/* ---- imported files ---- */

START_TEST(import_serves_the_file_where_it_lies)
{
    char images[1024];
    struct store *s = store_at(data, &kept.log);
    ck_assert_int_eq(import(s, 0), E_OK);
    ck_assert_uint_eq(progress_done, image.g.size);
    ck_assert_uint_gt(progress_calls, 1);
    ck_assert_str_eq(store_image_path(s, 0), file);
    ck_assert_uint_eq(check_marked(s, 0, &image), 600);
    ck_assert_uint_eq(bits_of(store_image_chunks(s, 0)), 2);
    (void)snprintf(images, sizeof images, "%s/images", data);
    ck_assert_int_eq(dir_count(images), 0);
    for (uint32_t c = 0; c < 2; c++) {
        uint8_t record[CHUNK_MAX], out[CHUNK_MAX];
        size_t n;
        struct bytes want = sample_chunk(&image, c, record);
        ck_assert_int_eq(store_read_chunk(s, 0, c, out, sizeof out, &n), E_OK);
        ck_assert_uint_eq(n, want.n);
        ck_assert_mem_eq(out, want.p, n);
    }
    ck_assert_int_eq(store_image_open(s, 0, &image.root, &image.g, false), E_OK);
    ck_assert_int_eq(store_image_open(s, 0, &image.root, &image.g, true), E_OK);
    ck_assert_str_eq(store_image_path(s, 0), file);
    struct digest flat;
    ck_assert_int_eq(store_digest(s, 0, &flat), E_OK);
    ck_assert(digest_equal(&flat, &image.digest));
    /* Removing it forgets it and leaves the file alone. */
    ck_assert_int_eq(store_image_shut(s, 0, true), E_OK);
    ck_assert_int_eq(store_image_open(s, 0, &image.root, &image.g, false), E_NOENT);
    ck_assert_int_eq(access(file, R_OK), 0);
    store_close(s);
}
END_TEST

START_TEST(import_of_another_file_is_refused)
{
    struct store *s = store_at(data, &kept.log);
    struct digest wrong = image.digest;
    wrong.b[0] ^= 1;
    ck_assert_int_eq(store_image_import(s, 0, file, &wrong, &image.digest, &image.g, NULL, NULL),
                     E_HASH);
    ck_assert(log_has(&kept, "what=\"tree root\""));
    ck_assert_int_eq(store_image_import(s, 0, file, &image.root, &wrong, &image.g, NULL, NULL),
                     E_HASH);
    ck_assert(log_has(&kept, "what=\"digest\""));
    file_poke(file, 5 * BLOCK_LEN, "x");
    ck_assert_int_eq(import(s, 0), E_HASH);
    ck_assert_int_eq(truncate(file, (off_t)image.g.size - 1), 0);
    ck_assert_int_eq(import(s, 0), E_HASH);
    ck_assert(log_has(&kept, "what=\"size\""));
    ck_assert_int_eq(
        store_image_import(s, 0, "/no/such", &image.root, &image.digest, &image.g, NULL, NULL),
        E_NOENT);
    ck_assert_int_eq(
        store_image_import(s, 0, dir, &image.root, &image.digest, &image.g, NULL, NULL), E_FORMAT);
    ck_assert_int_eq(import(s, 3), E_LIMIT);
    ck_assert_ptr_null(store_image_path(s, 0));
    ck_assert_int_eq(store_image_open(s, 0, &image.root, &image.g, false), E_NOENT);
    store_close(s);
}
END_TEST

static void change_behind(void *ctx, uint64_t done)
{
    (void)ctx;
    if (done < image.g.size)
        return;
    file_poke(file, 0, "changed after it was hashed");
    set_time(6);
}

START_TEST(file_that_changes_while_hashed_is_refused)
{
    struct store *s = store_at(data, &kept.log);
    ck_assert_int_eq(
        store_image_import(s, 0, file, &image.root, &image.digest, &image.g, change_behind, NULL),
        E_HASH);
    ck_assert(log_has(&kept, "what=\"changed while it was hashed\""));
    ck_assert_int_eq(store_image_open(s, 0, &image.root, &image.g, false), E_NOENT);
    store_close(s);
}
END_TEST

START_TEST(unchanged_file_is_not_hashed_again)
{
    struct store *s = store_at(data, &kept.log);
    ck_assert_int_eq(import(s, 0), E_OK);
    store_close(s);
    s = store_at(data, &kept.log);
    ck_assert_int_eq(import(s, 0), E_OK);
    ck_assert_uint_eq(progress_calls, 0);
    ck_assert_uint_eq(check_marked(s, 0, &image), 600);
    store_close(s);
    /* Without import too: the entry says where the file lies. */
    s = store_at(data, &kept.log);
    ck_assert_int_eq(store_image_open(s, 1, &image.root, &image.g, false), E_OK);
    ck_assert_uint_eq(check_marked(s, 1, &image), 600);
    /* But another digest must be shown to be wrong. */
    struct digest wrong = image.digest;
    wrong.b[0] ^= 1;
    ck_assert_int_eq(store_image_import(s, 1, file, &image.root, &wrong, &image.g, NULL, NULL),
                     E_HASH);
    store_close(s);
}
END_TEST

START_TEST(file_changed_while_served_is_no_longer_served)
{
    uint8_t out[16];
    struct store *s = store_at(data, &kept.log);
    ck_assert_int_eq(import(s, 0), E_OK);
    ck_assert_int_eq(store_read(s, 0, 0, sizeof out, out), E_OK);
    file_poke(file, 3 * BLOCK_LEN, "changed");
    ck_assert_int_eq(store_read(s, 0, 0, sizeof out, out), E_NOENT);
    ck_assert_int_eq(store_read(s, 0, 3 * BLOCK_LEN, sizeof out, out), E_NOENT);
    ck_assert(log_has(&kept, "ev=store.changed"));
    /* Opened again, what is still right is served, and the rest is not. */
    ck_assert_int_eq(store_image_open(s, 0, &image.root, &image.g, false), E_OK);
    ck_assert(!bit_of(store_image_blocks(s, 0), 3));
    ck_assert_uint_eq(check_marked(s, 0, &image), 599);
    /* The file is not ours to mend. */
    struct store_batch *b;
    ck_assert_int_eq(store_batch_begin(s, &b), E_OK);
    ck_assert_int_eq(store_put_block(b, 0, 3, sample_block(&image, 3)), E_READONLY);
    ck_assert_int_eq(store_put_block(b, 0, 4, sample_block(&image, 4)), E_OK);
    ck_assert_int_eq(store_batch_commit(b), E_OK);
    store_close(s);
}
END_TEST

START_TEST(file_changed_while_closed_is_hashed_again)
{
    struct store *s = store_at(data, &kept.log);
    ck_assert_int_eq(import(s, 0), E_OK);
    store_close(s);
    /* Touched, but the same bytes. */
    set_time(1);
    s = store_at(data, &kept.log);
    ck_assert_int_eq(store_image_open(s, 0, &image.root, &image.g, false), E_OK);
    ck_assert_uint_eq(check_marked(s, 0, &image), 600);
    store_close(s);
    /* Shorter, and one block changed; the times are put back, which ctime tells. */
    file_poke(file, 9 * BLOCK_LEN, "changed");
    ck_assert_int_eq(truncate(file, 550 * BLOCK_LEN), 0);
    set_time(1);
    s = store_at(data, &kept.log);
    ck_assert_int_eq(store_image_open(s, 0, &image.root, &image.g, false), E_OK);
    ck_assert_uint_eq(check_marked(s, 0, &image), 549);
    store_close(s);
    s = store_at(data, &kept.log);
    ck_assert_int_eq(store_image_open(s, 0, &image.root, &image.g, false), E_OK);
    ck_assert_uint_eq(check_marked(s, 0, &image), 549);
    /* Whoever wants the whole image gets storage that can be written. */
    image_make(s, 0, &image);
    ck_assert_str_ne(store_image_path(s, 0), file);
    ck_assert_uint_eq(check_marked(s, 0, &image), 0);
    ck_assert_int_eq(put_range(s, 0, &image, 0, 600), E_OK);
    store_close(s);
    s = store_at(data, &kept.log);
    image_make(s, 0, &image);
    ck_assert_uint_eq(check_marked(s, 0, &image), 600);
    store_close(s);
}
END_TEST

START_TEST(file_that_is_gone_is_forgotten_when_wanted)
{
    struct store *s = store_at(data, &kept.log);
    ck_assert_int_eq(import(s, 0), E_OK);
    store_close(s);
    ck_assert_int_eq(unlink(file), 0);
    s = store_at(data, &kept.log);
    ck_assert_int_eq(store_image_open(s, 0, &image.root, &image.g, false), E_NOENT);
    image_make(s, 0, &image);
    ck_assert_uint_eq(check_marked(s, 0, &image), 0);
    store_close(s);
}
END_TEST

START_TEST(import_takes_the_place_of_a_fetched_image)
{
    char images[1024];
    struct store *s = store_at(data, &kept.log);
    image_make(s, 0, &image);
    ck_assert_int_eq(put_range(s, 0, &image, 0, 100), E_OK);
    ck_assert_int_eq(import(s, 1), E_BUSY);
    ck_assert_int_eq(import(s, 0), E_OK);
    (void)snprintf(images, sizeof images, "%s/images", data);
    ck_assert_int_eq(dir_count(images), 0);
    ck_assert_uint_eq(check_marked(s, 0, &image), 600);
    store_close(s);
}
END_TEST

/* ---- the configured path ---- */

static char fixed[512];

static struct store *fixed_store(void)
{
    struct store *s = NULL;
    struct store_options opt = options_of(data);
    opt.image_path = in_dir(fixed, dir, "partition");
    ck_assert_int_eq(store_open(&s, &opt, &kept.log), E_OK);
    return s;
}

START_TEST(fixed_file_gets_the_size_of_its_image)
{
    struct sample small;
    sample_make(&small, 5 * BLOCK_LEN, 4);
    struct stat st;
    struct store *s = fixed_store();
    image_make(s, 0, &image);
    ck_assert_str_eq(store_image_path(s, 0), fixed);
    ck_assert_int_eq(stat(fixed, &st), 0);
    ck_assert_uint_eq((uint64_t)st.st_size, image.g.size);
    ck_assert_int_eq(put_range(s, 0, &image, 0, 600), E_OK);
    /* One image at a time. */
    ck_assert_int_eq(store_image_open(s, 1, &small.root, &small.g, true), E_BUSY);
    ck_assert(log_has(&kept, "ev=store.busy"));
    ck_assert_uint_eq(check_marked(s, 0, &image), 600);
    ck_assert_int_eq(store_image_shut(s, 0, false), E_OK);
    image_make(s, 1, &small);
    ck_assert_int_eq(stat(fixed, &st), 0);
    ck_assert_uint_eq((uint64_t)st.st_size, small.g.size);
    ck_assert_uint_eq(check_marked(s, 1, &small), 0);
    ck_assert_int_eq(put_range(s, 1, &small, 0, 5), E_OK);
    ck_assert_int_eq(store_image_shut(s, 1, false), E_OK);
    ck_assert_int_eq(store_image_open(s, 0, &image.root, &image.g, false), E_NOENT);
    ck_assert_int_eq(store_image_open(s, 1, &small.root, &small.g, false), E_OK);
    ck_assert_uint_eq(check_marked(s, 1, &small), 5);
    /* Removing forgets what is there; the file itself stays. */
    ck_assert_int_eq(store_image_shut(s, 1, true), E_OK);
    ck_assert_int_eq(access(fixed, F_OK), 0);
    store_close(s);
    sample_free(&small);
}
END_TEST

START_TEST(fixed_file_is_hashed_again_when_opened)
{
    struct store *s = fixed_store();
    image_make(s, 0, &image);
    ck_assert_int_eq(put_range(s, 0, &image, 0, 300), E_OK);
    store_close(s);
    file_poke(fixed, 200 * BLOCK_LEN + 1, "somebody was here");
    s = fixed_store();
    image_make(s, 0, &image);
    ck_assert(log_has(&kept, "bad_blocks=1"));
    ck_assert_uint_eq(check_marked(s, 0, &image), 299);
    ck_assert(!bit_of(store_image_blocks(s, 0), 200));
    ck_assert_int_eq(put_range(s, 0, &image, 200, 201), E_OK);
    store_close(s);
    ck_assert_int_eq(truncate(fixed, 10 * BLOCK_LEN), 0);
    s = fixed_store();
    image_make(s, 0, &image);
    ck_assert_uint_eq(check_marked(s, 0, &image), 10);
    store_close(s);
}
END_TEST

START_TEST(configured_path_that_moves_takes_nothing_along)
{
    char images[1024];
    (void)snprintf(images, sizeof images, "%s/images", data);
    struct store *s = store_at(data, &kept.log);
    image_make(s, 0, &image);
    ck_assert_int_eq(put_range(s, 0, &image, 0, 10), E_OK);
    store_close(s);
    s = fixed_store();
    image_make(s, 0, &image);
    ck_assert_uint_eq(check_marked(s, 0, &image), 0);
    ck_assert_int_eq(dir_count(images), 0);
    ck_assert_int_eq(put_range(s, 0, &image, 0, 10), E_OK);
    store_close(s);
    s = store_at(data, &kept.log);
    image_make(s, 0, &image);
    ck_assert_uint_eq(check_marked(s, 0, &image), 0);
    store_close(s);
}
END_TEST

START_TEST(configured_path_that_cannot_hold_an_image_is_refused)
{
    struct store *s = NULL;
    struct store_options opt = options_of(data);
    opt.image_path = dir;
    ck_assert_int_eq(store_open(&s, &opt, &kept.log), E_OK);
    ck_assert_int_eq(store_image_open(s, 0, &image.root, &image.g, true), E_FORMAT);
    store_close(s);
    opt.image_path = "/no/such/device";
    ck_assert_int_eq(store_open(&s, &opt, &kept.log), E_OK);
    ck_assert_int_eq(store_image_open(s, 0, &image.root, &image.g, true), E_NOENT);
    store_close(s);
    opt.image_path = "/dev/null";
    ck_assert_int_eq(store_open(&s, &opt, &kept.log), E_OK);
    ck_assert_int_eq(store_image_open(s, 0, &image.root, &image.g, true), E_FORMAT);
    ck_assert_ptr_null(store_image_path(s, 0));
    store_close(s);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store_import");
    TCase *c = tcase_create("store_import");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_set_timeout(c, 120);
    tcase_add_test(c, import_serves_the_file_where_it_lies);
    tcase_add_test(c, import_of_another_file_is_refused);
    tcase_add_test(c, file_that_changes_while_hashed_is_refused);
    tcase_add_test(c, unchanged_file_is_not_hashed_again);
    tcase_add_test(c, file_changed_while_served_is_no_longer_served);
    tcase_add_test(c, file_changed_while_closed_is_hashed_again);
    tcase_add_test(c, file_that_is_gone_is_forgotten_when_wanted);
    tcase_add_test(c, import_takes_the_place_of_a_fetched_image);
    tcase_add_test(c, fixed_file_gets_the_size_of_its_image);
    tcase_add_test(c, fixed_file_is_hashed_again_when_opened);
    tcase_add_test(c, configured_path_that_moves_takes_nothing_along);
    tcase_add_test(c, configured_path_that_cannot_hold_an_image_is_refused);
    suite_add_tcase(suite, c);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
