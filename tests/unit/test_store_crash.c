/* Crashes: a writer is killed at random moments, and what it left is looked through.
 *
 * SIGKILL alone would prove little, since the kernel keeps what was written.  So in the writer's
 * process the image's writes go through a page cache of our own that dies with it: a block reaches
 * the file by fdatasync, or before that by chance, whole or torn, as a kernel may write back.  A
 * bit that claims a block whose sync had not ended is then found by its hash. */
#include "store_util.h"

#include <dlfcn.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

#define KILLS      80
#define BLOCKS     530u /* two chunks */
#define BATCH_MAX  24u
#define RECORD     9u
#define TICKS_MAX  70u   /* of writes and syncs before a kill */
#define DELAY_US   1500u /* and then a little more */
#define PATIENCE   100000
#define ALIVE_LOOP 100000u

/* What the writer has done and has been told is stored; outlives it. */
struct told {
    atomic_bool stored[BLOCKS];
    atomic_uint record; /* the last count that a commit said is stored */
    atomic_uint ticks;  /* writes and syncs of this life */
    atomic_uint commits, completions;
};

/* ---- a page cache that is lost ---- */

static struct {
    bool on;
    struct told *told;
    off_t image_size;
    struct rng rng;
    uint32_t n;
    struct {
        off_t off;
        size_t len;
        uint8_t data[BLOCK_LEN];
    } unsynced[BATCH_MAX];
} cache;

/* Declared by assembler name: the headers may give the plain name to its 64-bit form. */
ssize_t seam_pwrite(int fd, const void *p, size_t n, off_t off) __asm__("pwrite64");
int seam_fdatasync(int fd) __asm__("fdatasync");

static ssize_t real_pwrite(int fd, const void *p, size_t n, off_t off)
{
    ssize_t (*real)(int, const void *, size_t, off_t) =
        (ssize_t(*)(int, const void *, size_t, off_t))(uintptr_t)dlsym(RTLD_NEXT, "pwrite64");
    return real(fd, p, n, off);
}

static bool is_image(int fd)
{
    struct stat st;
    if (cache.on)
        atomic_fetch_add(&cache.told->ticks, 1);
    return cache.on && fstat(fd, &st) == 0 && st.st_size == cache.image_size;
}

ssize_t seam_pwrite(int fd, const void *p, size_t n, off_t off)
{
    if (!is_image(fd))
        return real_pwrite(fd, p, n, off);
    if (cache.n == BATCH_MAX || n > BLOCK_LEN)
        abort();
    cache.unsynced[cache.n].off = off;
    cache.unsynced[cache.n].len = n;
    memcpy(cache.unsynced[cache.n++].data, p, n);
    uint32_t chance = rng_below(&cache.rng, 8);
    if (chance == 0)
        (void)real_pwrite(fd, p, n, off);
    if (chance == 1)
        (void)real_pwrite(fd, p, n / 2, off);
    return (ssize_t)n;
}

int seam_fdatasync(int fd)
{
    int (*real)(int) = (int (*)(int))(uintptr_t)dlsym(RTLD_NEXT, "fdatasync");
    if (!is_image(fd))
        return real(fd);
    for (; cache.n > 0; cache.n--) {
        size_t i = cache.n - 1;
        if (real_pwrite(fd, cache.unsynced[i].data, cache.unsynced[i].len, cache.unsynced[i].off) <
            0)
            return -1;
    }
    return real(fd);
}

/* ---- the writer ---- */

static char dir[256];
static struct kept_log kept;
static struct sample image;

static void write_record(struct store_batch *b, uint32_t count)
{
    uint8_t text[4];
    struct wr w = wr_of(text, sizeof text);
    wr_u32(&w, count);
    if (store_put_record(b, RECORD, wr_done(&w)) != E_OK)
        abort();
}

/* Stores a few blocks that are missing; false when none is. */
static bool write_batch(struct store *s, struct told *told, struct rng *rng)
{
    uint32_t put[BATCH_MAX], n = 0, want = 1 + rng_below(rng, BATCH_MAX);
    uint8_t record[CHUNK_MAX];
    struct store_batch *b;
    if (store_batch_begin(s, &b) != E_OK)
        abort();
    for (uint32_t c = 0; c < image.g.chunks; c++) {
        if (store_put_chunk(b, 0, c, sample_chunk(&image, c, record)) != E_OK)
            abort();
    }
    uint32_t start = rng_below(rng, BLOCKS);
    for (uint32_t i = 0; i < BLOCKS && n < want; i++) {
        uint32_t block = (start + i) % BLOCKS;
        if (bit_of(store_image_blocks(s, 0), block))
            continue;
        if (store_put_block(b, 0, block, sample_block(&image, block)) != E_OK)
            abort();
        put[n++] = block;
    }
    uint32_t count = atomic_load(&told->record) + 1;
    write_record(b, count);
    if (store_batch_commit(b) != E_OK)
        abort();
    for (uint32_t i = 0; i < n; i++)
        atomic_store(&told->stored[put[i]], true);
    atomic_store(&told->record, count);
    atomic_fetch_add(&told->commits, 1);
    return n > 0;
}

static void write_until_killed(struct told *told, uint8_t seed)
{
    uint8_t key[32] = {seed};
    struct rng rng;
    rng_init(&rng, key);
    cache.rng = rng;
    cache.on = true;
    struct store *s = store_at(dir, &kept.log);
    for (uint32_t i = 0; i < ALIVE_LOOP; i++) {
        image_make(s, 0, &image);
        if (write_batch(s, told, &rng))
            continue;
        /* Complete: a new start, which the ones who look must not take for a loss. */
        atomic_fetch_add(&told->completions, 1);
        for (uint32_t b = 0; b < BLOCKS; b++)
            atomic_store(&told->stored[b], false);
        if (store_image_shut(s, 0, true) != E_OK)
            abort();
    }
    abort(); /* nobody killed us */
}

/* ---- looking through what was left ---- */

static void look(struct told *told)
{
    struct store *s = store_at(dir, &kept.log);
    image_make(s, 0, &image);
    (void)check_marked(s, 0, &image);
    uint32_t bad, count = 0;
    ck_assert_int_eq(store_verify(s, 0, 0, BLOCKS, &bad), E_OK);
    ck_assert_uint_eq(bad, 0);
    for (uint32_t b = 0; b < BLOCKS; b++) {
        if (atomic_load(&told->stored[b]))
            ck_assert(bit_of(store_image_blocks(s, 0), b));
    }
    uint8_t text[4];
    size_t n;
    enum err err = store_record_get(s, RECORD, text, sizeof text, &n);
    if (err == E_OK) {
        struct rd r = rd_of(bytes_of(text, n));
        count = rd_u32(&r);
    }
    /* The last commit may have ended without its writer having lived to hear it. */
    ck_assert_uint_ge(count, atomic_load(&told->record));
    ck_assert_uint_le(count, atomic_load(&told->record) + 1);
    atomic_store(&told->record, count);
    store_close(s);
}

static void pause_us(uint32_t us)
{
    struct timespec t = {0, 1000 * (long)us};
    (void)nanosleep(&t, NULL);
}

/* Progress and not time decides, so that a slow disk leaves as much to find as a fast one. */
static void wait_for(struct told *told, uint32_t ticks)
{
    for (int i = 0; i < PATIENCE && atomic_load(&told->ticks) < ticks; i++)
        pause_us(50);
}

START_TEST(no_bit_claims_what_was_not_synced)
{
    dir_make(dir);
    log_keep(&kept);
    kept.log.level = LOG_ERROR;
    sample_make(&image, (BLOCKS - 1) * BLOCK_LEN + 77, 1);
    cache.image_size = (off_t)image.g.size;
    struct told *told =
        mmap(NULL, sizeof *told, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(told, MAP_FAILED);
    cache.told = told;
    uint8_t key[32] = {99};
    struct rng rng;
    rng_init(&rng, key);
    for (int kill_no = 0; kill_no < KILLS; kill_no++) {
        atomic_store(&told->ticks, 0);
        pid_t child = fork();
        ck_assert_int_ge(child, 0);
        if (child == 0)
            write_until_killed(told, (uint8_t)kill_no);
        wait_for(told, rng_below(&rng, TICKS_MAX));
        pause_us(rng_below(&rng, DELAY_US));
        ck_assert_int_eq(kill(child, SIGKILL), 0);
        int status;
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert(WIFSIGNALED(status));
        ck_assert_int_eq(WTERMSIG(status), SIGKILL);
        look(told);
    }
    /* The writers did get somewhere. */
    ck_assert_uint_gt(atomic_load(&told->commits), KILLS / 2);
    ck_assert_uint_gt(atomic_load(&told->completions), 0);
    (void)munmap(told, sizeof *told);
    sample_free(&image);
    dir_remove(dir);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store_crash");
    TCase *c = tcase_create("store_crash");
    tcase_set_timeout(c, 240);
    tcase_add_test(c, no_bit_claims_what_was_not_synced);
    suite_add_tcase(suite, c);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
