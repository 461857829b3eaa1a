/* Storage: what the core wants kept, verified or hashed, done on the thread pool.
 *
 * One writing job runs at a time and takes everything that waits: puts, one sync, one commit.  The
 * next job gathers while it runs, so batches grow with the load; when the load is low, blocks wait
 * up to GATHER_MS for company, which spares flash one sync for each.  Operations keep the order of
 * the actions.  A job ends behind an OPEN, because the bitmaps that it lends to EV_OPENED live
 * until the next commit.
 *
 * Reading jobs that take long (the flat digest of an image or file) have a queue of their own, also
 * one at a time, so that with two pool threads neither waits for the other.  Re-verifying blocks
 * writes when it finds damage; it goes in slices through the writing queue. */
#include "loop.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define GATHER_MS     40u
#define SAVE_RETRY_MS 5000u
#define GATHER_OPS    32u /* that many blocks do not wait */
#define JOB_OPS_MAX   512u
#define PUT_AT_ONCE   16u /* blocks given to the store in one call */
#define VERIFY_SLICE  64u /* blocks */

enum disk_kind { DISK_BLOCK, DISK_CHUNK, DISK_SAVE, DISK_OPEN, DISK_SHUT, DISK_VERIFY };

struct record {
    struct record *next;
    uint32_t object;
    size_t n;
    uint8_t data[];
};

struct disk_op {
    struct disk_op *next;
    enum disk_kind kind;
    enum err err;
    uint32_t op, slot;
    union {
        struct {
            struct rbuf *buf;
            const uint8_t *p;
            uint32_t n, index;
        } put;
        struct {
            struct record *first, *last;
        } save;
        struct {
            struct digest root;
            struct geometry geo;
            bool create;
        } open;
        struct {
            bool remove;
        } shut;
        struct {
            uint32_t block, count, bad;
        } verify;
    };
};

struct long_job {
    struct long_job *next;
    uint32_t slot;
    char *path; /* NULL: the slot's image */
    struct digest digest;
    uint64_t size;
    enum err err;
    disk_digest_done done;
    void *ctx;
};

/* ---- the writing job; everything down to on_work runs on the pool ---- */

/* Ends a batch: what was put since it began has failed if the commit failed. */
static void commit(struct store_batch **batch, struct disk_op *from, const struct disk_op *to)
{
    if (*batch == NULL)
        return;
    enum err e = store_batch_commit(*batch);
    *batch = NULL;
    for (struct disk_op *op = from; op != to; op = op->next)
        if (op->err == E_OK)
            op->err = e;
}

/* A run of blocks of one slot; returns the last of it. */
static struct disk_op *put_blocks(struct store_batch *batch, struct disk_op *first)
{
    struct store_block list[PUT_AT_ONCE];
    struct disk_op *last = first;
    uint32_t count = 0;
    for (struct disk_op *op = first; op != NULL && count < PUT_AT_ONCE; op = op->next) {
        if (op->kind != DISK_BLOCK || op->slot != first->slot)
            break;
        list[count++] =
            (struct store_block){.block = op->put.index, .data = bytes_of(op->put.p, op->put.n)};
        last = op;
    }
    store_put_blocks(batch, first->slot, list, count);
    for (uint32_t i = 0; i < count; i++, first = first->next)
        first->err = list[i].err;
    return last;
}

static enum err put(struct store_batch *batch, struct disk_op *op)
{
    if (op->kind == DISK_CHUNK)
        return store_put_chunk(batch, op->slot, op->put.index, bytes_of(op->put.p, op->put.n));
    for (const struct record *r = op->save.first; r != NULL; r = r->next) {
        enum err e = store_put_record(batch, r->object, bytes_of(r->data, r->n));
        if (e != E_OK)
            return e;
    }
    return E_OK;
}

static void perform_alone(struct store *s, struct disk_op *op)
{
    uint32_t bad = 0, count;
    switch (op->kind) {
    case DISK_OPEN:
        op->err = store_image_open(s, op->slot, &op->open.root, &op->open.geo, op->open.create);
        break;
    case DISK_SHUT:
        op->err = store_image_shut(s, op->slot, op->shut.remove);
        break;
    case DISK_VERIFY:
        count = op->verify.count < VERIFY_SLICE ? op->verify.count : VERIFY_SLICE;
        op->err = store_verify(s, op->slot, op->verify.block, count, &bad);
        op->verify.bad += bad;
        op->verify.block += count;
        op->verify.count -= count;
        break;
    case DISK_BLOCK:
    case DISK_CHUNK:
    case DISK_SAVE:
        assert(false);
    }
}

/* A save behind one that failed must not come to be kept before it. */
static enum err earlier_failure(const struct disk_op *first, const struct disk_op *to)
{
    for (const struct disk_op *op = first; op != to; op = op->next)
        if (op->kind == DISK_SAVE && op->err != E_OK)
            return op->err;
    return E_OK;
}

static void on_work(uv_work_t *work)
{
    struct host *h = work->data;
    struct store_batch *batch = NULL;
    struct disk_op *from = h->disk.running;
    for (struct disk_op *op = from; op != NULL; op = op->next) {
        if (op->kind == DISK_SAVE && (op->err = earlier_failure(h->disk.running, op)) != E_OK)
            continue;
        if (op->kind > DISK_SAVE) {
            commit(&batch, from, op);
            perform_alone(h->store, op);
            from = op->next;
            continue;
        }
        if (batch == NULL) {
            op->err = store_batch_begin(h->store, &batch);
            if (op->err != E_OK) {
                batch = NULL;
                from = op->next;
                continue;
            }
        }
        if (op->kind == DISK_BLOCK)
            op = put_blocks(batch, op);
        else
            op->err = put(batch, op);
    }
    commit(&batch, from, NULL);
}

/* ---- results, on the loop ---- */

static void op_free(struct host *h, struct disk_op *op)
{
    if (op->kind <= DISK_CHUNK)
        pool_rbuf_unref(&h->pool, op->put.buf);
    if (op->kind == DISK_SAVE) {
        while (op->save.first != NULL) {
            struct record *r = op->save.first;
            op->save.first = r->next;
            free(r);
        }
    }
    free(op);
}

static void enqueue(struct host *h, struct disk_op *op)
{
    struct disk *d = &h->disk;
    op->next = NULL;
    if (d->last == NULL)
        d->first = op;
    else
        d->last->next = op;
    d->last = op;
    d->waiting++;
}

static void on_retry(uv_timer_t *timer)
{
    struct host *h = timer->data;
    struct disk *d = &h->disk;
    while (d->failed_first != NULL) {
        struct disk_op *op = d->failed_first;
        d->failed_first = op->next;
        enqueue(h, op);
    }
    d->failed_last = NULL;
    disk_pump(h);
}

static void tell_opened(struct host *h, const struct disk_op *op)
{
    struct event ev = {.type = EV_OPENED, .op = op->op, .err = op->err};
    ev.opened.slot = op->slot;
    if (op->err == E_OK) {
        ev.opened.blocks = store_image_blocks(h->store, op->slot);
        ev.opened.chunks = store_image_chunks(h->store, op->slot);
    }
    host_event(h, &ev);
}

/* The world failed a save (disk full, I/O).  The core said what must not be forgotten, so it is
 * tried again until it is kept; what comes after it waits, so that an older record never replaces a
 * newer one.  The core goes on without it and promises nothing that hangs on it. */
static void save_later(struct disk *d, struct disk_op *op)
{
    op->err = E_OK;
    op->next = NULL;
    if (d->failed_first == NULL)
        d->failed_first = op;
    else
        d->failed_last->next = op;
    d->failed_last = op;
}

/* Takes the saves out of a list that end as said, and lets them wait in their order; the last that
 * stays. */
static struct disk_op *saves_wait(struct disk *d, struct disk_op **at, bool failed)
{
    struct disk_op *kept = NULL;
    while (*at != NULL) {
        struct disk_op *op = *at;
        if (op->kind != DISK_SAVE || (failed && op->err == E_OK)) {
            kept = op;
            at = &op->next;
            continue;
        }
        *at = op->next;
        save_later(d, op);
    }
    return kept;
}

/* A job is done: saves that failed, and behind them all that were queued since, are tried again
 * later.  What the results of the job bring on comes behind them. */
static void saves_judge(struct host *h, struct disk_op **job)
{
    struct disk *d = &h->disk;
    enum err e = E_OK;
    for (const struct disk_op *op = *job; op != NULL && e == E_OK; op = op->next)
        e = op->kind == DISK_SAVE ? op->err : E_OK;
    if (e == E_OK)
        return;
    log_error(h->log, "save.failed",
              "err=%s retry_s=%u mend=\"make room, or make the data directory writable\"",
              err_name(e), SAVE_RETRY_MS / 1000u);
    (void)saves_wait(d, job, true);
    d->last = saves_wait(d, &d->first, false);
    d->waiting = 0;
    for (const struct disk_op *op = d->first; op != NULL; op = op->next)
        d->waiting++;
    if (!h->stopping) {
        int r = uv_timer_start(&d->retry, on_retry, SAVE_RETRY_MS, 0);
        assert(r == 0);
    }
}

/* Gives the core the result of one operation; false when it is not done yet and was queued again.
 */
static bool tell_result(struct host *h, struct disk_op *op)
{
    struct event ev = {.op = op->op, .err = op->err};
    switch (op->kind) {
    case DISK_BLOCK:
    case DISK_CHUNK:
        ev.type = EV_STORED;
        break;
    case DISK_SAVE:
        assert(op->err == E_OK); /* saves_judge() kept the others back */
        ev.type = EV_SAVED;
        break;
    case DISK_OPEN:
        tell_opened(h, op);
        return true;
    case DISK_SHUT:
        if (op->err != E_OK)
            log_warn(h->log, "store.shut", "slot=%u err=%s", op->slot, err_name(op->err));
        return true;
    case DISK_VERIFY:
        if (op->err == E_OK && op->verify.count > 0) {
            enqueue(h, op);
            return false;
        }
        if (op->err == E_OK && op->verify.bad > 0)
            ev.err = E_HASH;
        ev.type = EV_CHECKED;
        break;
    }
    /* A failure may lead to records and closed links, which the core holds few of at a time. */
    if (ev.err == E_OK)
        host_event(h, &ev);
    else
        host_event_drain(h, &ev);
    return true;
}

static void after_work(uv_work_t *work, int status)
{
    struct host *h = work->data;
    struct disk *d = &h->disk;
    struct disk_op *op = d->running;
    assert(status == 0);
    d->busy = false;
    d->running = NULL;
    d->gather_until = host_now(h) + GATHER_MS * 1000u;
    if (!h->done)
        saves_judge(h, &op);
    while (op != NULL) {
        struct disk_op *next = op->next;
        if (h->done || tell_result(h, op))
            op_free(h, op);
        op = next;
    }
    host_trim_later(h);
    disk_pump(h);
}

/* ---- starting a job ---- */

static void on_gathered(uv_timer_t *timer)
{
    disk_pump(timer->data);
}

/* True when blocks alone wait, few of them, and not for long. */
static bool worth_gathering(struct host *h)
{
    const struct disk *d = &h->disk;
    usec now = host_now(h);
    uint32_t enough = h->opt->limits->store_ops / 2;
    if (enough > GATHER_OPS)
        enough = GATHER_OPS;
    if (h->stopping || d->waiting >= enough || now >= d->gather_until)
        return false;
    for (const struct disk_op *op = d->first; op != NULL; op = op->next)
        if (op->kind != DISK_BLOCK)
            return false;
    return true;
}

void disk_pump(struct host *h)
{
    struct disk *d = &h->disk;
    struct disk_op *last;
    uint32_t count = 1;
    if (d->busy || d->first == NULL || h->done)
        return;
    if (worth_gathering(h)) {
        if (!uv_is_active((uv_handle_t *)&d->gather)) {
            uv_update_time(&h->loop);
            int r = uv_timer_start(&d->gather, on_gathered,
                                   (d->gather_until - host_now(h)) / 1000u + 1, 0);
            assert(r == 0);
        }
        return;
    }
    uv_timer_stop(&d->gather);
    last = d->first;
    while (last->kind != DISK_OPEN && last->next != NULL && count < JOB_OPS_MAX) {
        last = last->next;
        count++;
    }
    d->running = d->first;
    d->first = last->next;
    if (d->first == NULL)
        d->last = NULL;
    last->next = NULL;
    d->waiting -= count;
    d->busy = true;
    h->store_log.now_us = h->log->now_us;
    d->work.data = h;
    int r = uv_queue_work(&h->loop, &d->work, on_work, after_work);
    assert(r == 0);
}

/* ---- actions ---- */
static struct disk_op *op_new(enum disk_kind kind, uint32_t op, uint32_t slot)
{
    struct disk_op *o = must_alloc(sizeof(*o));
    memset(o, 0, sizeof(*o));
    o->kind = kind;
    o->op = op;
    o->slot = slot;
    return o;
}

void disk_store(struct host *h, const struct action *act)
{
    const struct span *at = &act->store.at;
    const struct body *body = act->store.body;
    bool chunk = object_kind_of(at->object) == OBJ_CHUNK;
    assert(body != NULL && body->n == at->len);
    assert(chunk || at->off % BLOCK_LEN == 0);
    struct disk_op *op =
        op_new(chunk ? DISK_CHUNK : DISK_BLOCK, act->op, object_number(at->object));
    op->put.buf = body->buf;
    op->put.p = body->p;
    op->put.n = body->n;
    op->put.index = (uint32_t)(chunk ? at->off : at->off / BLOCK_LEN);
    pool_rbuf_ref(body->buf);
    enqueue(h, op);
}

void disk_save(struct host *h, const struct action *act, const uint8_t *head)
{
    struct disk *d = &h->disk;
    struct bytes data = act->save.data;
    if (data.p == NULL)
        data = bytes_of(head, act->head_len);
    struct record *r = must_alloc(sizeof(*r) + data.n);
    r->next = NULL;
    r->object = act->save.object;
    r->n = data.n;
    if (data.n > 0)
        memcpy(r->data, data.p, data.n);
    if (d->save == NULL)
        d->save = op_new(DISK_SAVE, act->op, 0);
    struct disk_op *op = d->save;
    assert(op->op == act->op);
    if (op->save.last == NULL)
        op->save.first = r;
    else
        op->save.last->next = r;
    op->save.last = r;
    if (!act->save.last)
        return;
    d->save = NULL;
    if (d->failed_first != NULL)
        save_later(d, op); /* behind what could not be saved yet */
    else
        enqueue(h, op);
}

void disk_image_open(struct host *h, const struct action *act)
{
    struct disk_op *op = op_new(DISK_OPEN, act->op, act->open.slot);
    assert(act->open.slot < h->opt->limits->images);
    op->open.root = act->open.root;
    op->open.geo = act->open.geo;
    op->open.create = act->open.create;
    enqueue(h, op);
}

void disk_image_shut(struct host *h, uint32_t slot, bool remove)
{
    struct disk_op *op = op_new(DISK_SHUT, 0, slot);
    assert(slot < h->opt->limits->images);
    op->shut.remove = remove;
    enqueue(h, op);
}

struct whole_check {
    uint32_t op;
    struct digest want;
};

static void on_whole(struct host *h, void *ctx, enum err err, const struct digest *d, uint64_t size)
{
    struct whole_check *check = ctx;
    struct event ev = {.type = EV_CHECKED, .op = check->op, .err = err};
    (void)size;
    if (err == E_OK && !digest_equal(d, &check->want))
        ev.err = E_HASH;
    free(check);
    if (!h->done)
        host_event(h, &ev);
}

void disk_check(struct host *h, const struct action *act)
{
    if (act->check.whole) {
        struct whole_check *check = must_alloc(sizeof(*check));
        check->op = act->op;
        check->want = act->check.want;
        disk_digest(h, act->check.slot, NULL, on_whole, check);
        return;
    }
    struct disk_op *op = op_new(DISK_VERIFY, act->op, act->check.slot);
    op->verify.block = act->check.block;
    op->verify.count = act->check.count;
    enqueue(h, op);
}

/* ---- records that are on their way to disk ---- */
static bool find_record(const struct disk_op *op, uint32_t object, struct bytes *out)
{
    bool found = false;
    for (; op != NULL; op = op->next) {
        if (op->kind != DISK_SAVE)
            continue;
        for (const struct record *r = op->save.first; r != NULL; r = r->next) {
            if (r->object != object)
                continue;
            *out = bytes_of(r->data, r->n);
            found = true;
        }
    }
    return found;
}

bool disk_pending_record(const struct host *h, uint32_t object, struct bytes *out)
{
    const struct disk *d = &h->disk;
    return find_record(d->save, object, out) || find_record(d->failed_first, object, out) ||
           find_record(d->first, object, out) || find_record(d->running, object, out);
}

bool disk_idle(const struct host *h)
{
    return !h->disk.busy && h->disk.first == NULL;
}

/* ---- long reading jobs ---- */
static void long_pump(struct host *h); /* after_long() starts the next */

static void on_long(uv_work_t *work)
{
    struct host *h = work->data;
    struct long_job *j = h->disk.long_running;
    if (j->path != NULL)
        j->err = file_digest(j->path, &j->digest, &j->size);
    else
        j->err = store_digest(h->store, j->slot, &j->digest);
}

static void after_long(uv_work_t *work, int status)
{
    struct host *h = work->data;
    struct long_job *j = h->disk.long_running;
    assert(status == 0);
    h->disk.long_running = NULL;
    j->done(h, j->ctx, j->err, &j->digest, j->size);
    free(j->path);
    free(j);
    if (h->done)
        return;
    long_pump(h);
}

static void long_pump(struct host *h)
{
    struct disk *d = &h->disk;
    if (d->long_running != NULL || d->long_first == NULL)
        return;
    struct long_job *j = d->long_first;
    d->long_first = j->next;
    if (d->long_first == NULL)
        d->long_last = NULL;
    d->long_running = j;
    d->long_work.data = h;
    int r = uv_queue_work(&h->loop, &d->long_work, on_long, after_long);
    assert(r == 0);
}

void disk_digest(struct host *h, uint32_t slot, const char *path, disk_digest_done done, void *ctx)
{
    struct disk *d = &h->disk;
    struct long_job *j = must_alloc(sizeof(*j));
    memset(j, 0, sizeof(*j));
    j->slot = slot;
    j->done = done;
    j->ctx = ctx;
    if (path != NULL) {
        size_t n = strlen(path) + 1;
        j->path = must_alloc(n);
        memcpy(j->path, path, n);
    }
    if (d->long_last == NULL)
        d->long_first = j;
    else
        d->long_last->next = j;
    d->long_last = j;
    long_pump(h);
}

/* ---- begin and end ---- */
void disk_open(struct host *h)
{
    struct disk *d = &h->disk;
    int r = uv_timer_init(&h->loop, &d->gather);
    assert(r == 0);
    d->gather.data = h;
    r = uv_timer_init(&h->loop, &d->retry);
    assert(r == 0);
    d->retry.data = h;
    d->open = true;
}

void disk_close(struct host *h)
{
    if (!h->disk.open)
        return;
    uv_close((uv_handle_t *)&h->disk.gather, NULL);
    uv_close((uv_handle_t *)&h->disk.retry, NULL);
}

void disk_free(struct host *h)
{
    struct disk *d = &h->disk;
    assert(!d->busy && d->long_running == NULL);
    while (d->first != NULL) {
        struct disk_op *op = d->first;
        d->first = op->next;
        op_free(h, op);
    }
    while (d->failed_first != NULL) {
        struct disk_op *op = d->failed_first;
        d->failed_first = op->next;
        op_free(h, op);
    }
    if (d->save != NULL)
        op_free(h, d->save);
    while (d->long_first != NULL) {
        struct long_job *j = d->long_first;
        d->long_first = j->next;
        j->done(h, j->ctx, E_CLOSED, &j->digest, 0);
        free(j->path);
        free(j);
    }
}
