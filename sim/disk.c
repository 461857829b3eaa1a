/* Storage as two bitmaps and a list of records (record.c).
 *
 * All that changes the disk waits in one queue, in the order of the actions.  A commit takes what
 * waits, up to an opening, lasts for one sync and the time to write its bytes, and only then marks
 * bits and replaces records: so what is marked is durable, and a crash simply empties the queue.
 * Blocks alone wait a little for company, as in the other host, which spares a sync for each.  A
 * save batch is atomic: while its last record is missing, or while it could not be kept, its
 * records and all later ones stay behind, and everything else goes ahead of them.
 *
 * A job is 40 bytes and the queue keeps its memory, so a disk in steady state allocates nothing. */
#include "disk.h"

#include "checks.h"
#include "fault.h"
#include "record.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define SYNC_US      4000u
#define WRITE_RATE   100000000u /* bytes a second */
#define OPEN_US      2000u
#define HASH_RATE    400000000u
#define GATHER_US    40000u
#define GATHER_JOBS  32u /* that many blocks do not wait */
#define COMMIT_JOBS  512u
#define VERIFY_SLICE 64u /* blocks; others go in between */
#define RETRY_US     (5 * SEC)
#define EXIT_CHANGED 65 /* the image is not the signed one any more */
#define EXIT_UNREAD  74

void disk_init(struct disk *d, uint32_t slots)
{
    *d = (struct disk){.slots = slots, .slow = 1};
    d->slot = sim_alloc(slots, sizeof(*d->slot));
}

void disk_crash(struct disk *d)
{
    for (size_t i = 0; i < d->jobs; i++)
        blob_drop(d->job[i].blob);
    d->jobs = d->running = 0;
    d->unfinished = 0;
    d->urgent = d->holding = false;
    d->gather_until = d->woken_at = 0;
    d->checks = 0;
    d->check_free = 0;
    for (uint32_t i = 0; i < d->slots; i++) {
        d->slot[i].open = false;
        d->slot[i].leaving = d->slot[i].unheard = 0;
    }
}

static void slot_clear(struct disk_slot *s)
{
    free(s->blocks);
    free(s->chunks);
    free(s->rot);
    *s = (struct disk_slot){.leaving = s->leaving};
}

void disk_fini(struct disk *d)
{
    disk_crash(d);
    for (uint32_t i = 0; i < d->slots; i++)
        slot_clear(&d->slot[i]);
    for (size_t i = 0; i < d->records; i++)
        blob_drop(d->record[i].blob);
    free(d->slot);
    free(d->record);
    free(d->job);
    free(d->check);
    *d = (struct disk){0};
}

/* ---- what is wrong ---- */

void disk_ail(struct disk *d, bool full, uint32_t errors, struct rng *rng, uint32_t slow)
{
    d->full = full;
    d->errors = errors;
    d->rng = rng;
    d->slow = slow > 0 ? slow : 1;
}

static bool fails(const struct disk *d)
{
    return d->errors > 0 && rng_below(d->rng, 1000) < d->errors;
}

/* Why a change is refused now. */
static enum err refusal(const struct disk *d)
{
    if (d->full)
        return E_FULL;
    return fails(d) ? E_IO : E_OK;
}

/* ---- bits ---- */

static void bit_put(uint8_t *bits, uint32_t i, bool on)
{
    uint8_t mask = (uint8_t)(0x80u >> (i & 7));
    bits[i >> 3] = (uint8_t)(on ? bits[i >> 3] | mask : bits[i >> 3] & ~mask);
}

static size_t bits_size(uint32_t count)
{
    return ((size_t)count + 7) / 8;
}

static bool is_rotten(const struct disk_slot *s, uint32_t block)
{
    return s->rotten > 0 && bit_test(s->rot, block);
}

static void block_mark(struct disk_slot *s, uint32_t block)
{
    if (bit_test(s->blocks, block))
        return;
    bit_put(s->blocks, block, true);
    s->blocks_have++;
}

/* The block is written anew when it comes again, so its rot goes with it. */
static void block_unmark(struct disk_slot *s, uint32_t block)
{
    if (is_rotten(s, block)) {
        bit_put(s->rot, block, false);
        s->rotten--;
    }
    bit_put(s->blocks, block, false);
    s->blocks_have--;
}

uint32_t disk_rot(struct world *w, uint32_t node, uint32_t count, struct rng *rng)
{
    struct disk *d = &w->node[node].disk;
    struct disk_slot *s = NULL;
    for (uint32_t i = 0; i < d->slots; i++) {
        struct disk_slot *o = &d->slot[i];
        if (!o->bound || o->blocks_have == 0)
            continue;
        if (s == NULL ||
            w->release[o->release].manifest.sequence > w->release[s->release].manifest.sequence)
            s = o;
    }
    if (s == NULL)
        return 0;
    if (s->rot == NULL)
        s->rot = sim_alloc(bits_size(s->geo.blocks), 1);
    uint32_t done = 0;
    for (; done < count && s->rotten < s->blocks_have; done++) {
        uint32_t nth = rng_below(rng, s->blocks_have - s->rotten), b = 0;
        for (;; b++) {
            if (!bit_test(s->blocks, b) || bit_test(s->rot, b))
                continue;
            if (nth-- == 0)
                break;
        }
        bit_put(s->rot, b, true);
        s->rotten++;
    }
    return done;
}

/* ---- slots ---- */

static void slot_bind(struct disk_slot *s, uint32_t release, const struct geometry *geo)
{
    slot_clear(s);
    s->bound = true;
    s->release = release;
    s->geo = *geo;
    s->blocks = sim_alloc(bits_size(geo->blocks), 1);
    s->chunks = sim_alloc(bits_size(geo->chunks), 1);
    /* The root of one block is its leaf, so its chunk record needs no peer. */
    if (geo->blocks == 1) {
        bit_put(s->chunks, 0, true);
        s->chunks_have = 1;
    }
}

static uint32_t find_release(const struct world *w, const struct digest *root, uint64_t size)
{
    for (uint32_t i = 0; i < w->releases; i++) {
        const struct manifest *m = &w->release[i].manifest;
        if (digest_equal(&m->tree_root, root) && m->size == size)
            return i;
    }
    return NONE;
}

void disk_import(struct world *w, uint32_t node, uint32_t slot, uint32_t release)
{
    struct disk_slot *s = &w->node[node].disk.slot[slot];
    if (!s->bound || s->release != release) {
        bool open = s->open;
        slot_bind(s, release, &w->release[release].geo);
        s->open = open;
    }
    for (uint32_t i = 0; i < s->geo.blocks; i++)
        block_mark(s, i);
    for (uint32_t i = 0; i < s->geo.chunks; i++)
        bit_put(s->chunks, i, true);
    s->chunks_have = s->geo.chunks;
    free(s->rot);
    s->rot = NULL;
    s->rotten = 0;
}

bool disk_slot_whole(const struct disk *d, uint32_t slot)
{
    if (slot >= d->slots || !d->slot[slot].bound)
        return false;
    return d->slot[slot].blocks_have == d->slot[slot].geo.blocks;
}

int32_t disk_install_code(const struct disk *d, uint32_t slot)
{
    if (!disk_slot_whole(d, slot) || fails(d))
        return EXIT_UNREAD;
    return d->slot[slot].rotten > 0 ? EXIT_CHANGED : 0;
}

/* ---- reading ---- */

bool disk_read(const struct disk *d, const struct span *at, struct body *body)
{
    enum object_kind kind = object_kind_of(at->object);
    uint32_t number = object_number(at->object);
    *body = (struct body){.kind = kind, .off = at->off, .len = at->len};
    if (kind != OBJ_IMAGE && kind != OBJ_CHUNK) {
        struct blob *blob = record_find(d, at->object);
        if (blob == NULL || at->off != 0 || at->len != 0)
            return false;
        body->blob = blob_hold(blob);
        body->len = body->blob->len;
        return true;
    }
    if (number >= d->slots)
        return false;
    const struct disk_slot *s = &d->slot[number];
    if (!s->bound || !s->open || s->leaving > 0)
        return false;
    body->release = s->release;
    if (kind == OBJ_CHUNK)
        return at->off < s->geo.chunks && at->len == geometry_chunk_len(&s->geo) &&
               bit_test(s->chunks, (uint32_t)at->off);
    if (at->len == 0 || at->off >= s->geo.size || at->len > s->geo.size - at->off)
        return false;
    uint32_t last = (uint32_t)((at->off + at->len - 1) / BLOCK_LEN);
    for (uint32_t b = (uint32_t)(at->off / BLOCK_LEN); b <= last; b++) {
        if (!bit_test(s->blocks, b))
            return false;
        body->corrupt = body->corrupt || is_rotten(s, b);
    }
    return true;
}

/* May the core still believe that this is held?  A long check takes bits away before it ends. */
static bool unheard_of(const struct disk *d, const struct span *at)
{
    uint32_t slot = object_number(at->object);
    if (object_kind_of(at->object) != OBJ_IMAGE || slot >= d->slots)
        return false;
    const struct disk_slot *s = &d->slot[slot];
    return s->open && s->leaving == 0 && s->unheard > 0 && at->off < s->geo.size;
}

enum err disk_serve(const struct disk *d, const struct span *at, struct body *body)
{
    if (!disk_read(d, at, body))
        return unheard_of(d, at) ? E_IO : E_NOENT;
    if (!fails(d))
        return E_OK;
    blob_drop(body->blob);
    body->blob = NULL;
    return E_IO;
}

/* ---- the queue ---- */

static struct disk_job *job_new(struct disk *d, enum disk_kind kind, uint32_t op)
{
    sim_grow(&d->job, &d->jobs_cap, d->jobs + 1, sizeof(*d->job));
    struct disk_job *j = &d->job[d->jobs++];
    *j = (struct disk_job){.kind = (uint8_t)kind, .save = kind == DISK_SAVE, .op = op};
    if (kind != DISK_BLOCK && kind != DISK_SAVE)
        d->urgent = true;
    return j;
}

void disk_open(struct world *w, uint32_t node, const struct action *act)
{
    struct disk *d = &w->node[node].disk;
    if (act->open.slot >= d->slots) {
        check_failed(w, node, "opens slot %u of %u", act->open.slot, d->slots);
        return;
    }
    uint32_t release = find_release(w, &act->open.root, act->open.geo.size);
    if (release == NONE)
        check_failed(w, node, "opens storage for an image that the vendor did not sign");
    struct disk_job *j = job_new(d, DISK_OPEN, act->op);
    j->object = act->open.slot;
    j->release = release;
    j->flag = act->open.create;
}

void disk_shut(struct world *w, uint32_t node, const struct action *act)
{
    struct disk *d = &w->node[node].disk;
    if (act->shut.slot >= d->slots) {
        check_failed(w, node, "shuts slot %u of %u", act->shut.slot, d->slots);
        return;
    }
    struct disk_job *j = job_new(d, DISK_SHUT, 0);
    j->object = act->shut.slot;
    j->flag = act->shut.remove;
    /* What the core gave up it may not name any more, whenever that happens on the disk. */
    d->slot[act->shut.slot].leaving++;
}

void disk_store(struct world *w, uint32_t node, const struct action *act)
{
    struct sim_node *n = &w->node[node];
    const struct body *body = act->store.body;
    const struct span *at = &act->store.at;
    if (body == NULL || body != n->lent) {
        check_failed(w, node, "stores a body that is not lent to it");
        return;
    }
    if (++n->stores_out > n->limits->store_ops)
        check_failed(w, node, "%u stores under way, the limit is %u", n->stores_out,
                     n->limits->store_ops);
    enum object_kind kind = object_kind_of(at->object);
    struct disk_job *j = job_new(&n->disk, kind == OBJ_CHUNK ? DISK_CHUNK : DISK_BLOCK, act->op);
    bool whole = kind == OBJ_CHUNK || at->off % BLOCK_LEN == 0;
    uint64_t index = kind == OBJ_CHUNK ? at->off : at->off / BLOCK_LEN;
    j->object = object_number(at->object);
    j->index =
        whole && (kind == OBJ_CHUNK || kind == OBJ_IMAGE) && index < NONE ? (uint32_t)index : NONE;
    j->count = at->len;
    j->release = body->release;
    j->flag = body->kind == kind && body->off == at->off && body->len == at->len && !body->corrupt;
}

/* Honest nodes with honest disks never ban each other. */
static void judge_ban(struct world *w, uint32_t node, struct bytes key)
{
    const struct sim_node *n = &w->node[node];
    if (n->behaviour != BEHAVE_HONEST || key.n == 0)
        return;
    for (uint32_t i = 0; i < w->count; i++) {
        struct sim_node *far = &w->node[i];
        if (!bytes_equal(key, bytes_of(far->member.node.b, sizeof(far->member.node.b))))
            continue;
        if (far->behaviour == BEHAVE_HONEST && !far->rotten)
            check_failed(w, node, "bans node %u, which is honest and has an honest disk", i);
        if (!far->shunned)
            fault_shunned(w, i);
        return;
    }
    check_failed(w, node, "bans a key that no node has");
}

void disk_save(struct world *w, uint32_t node, const struct action *act, const uint8_t *head)
{
    struct disk *d = &w->node[node].disk;
    struct bytes data = act->save.data;
    if (data.p == NULL)
        data = bytes_of(head, act->head_len);
    struct disk_job *j = job_new(d, DISK_SAVE, act->op);
    j->last = act->save.last;
    j->object = act->save.object;
    j->blob = record_blob(w, j->object, data);
    if (object_kind_of(j->object) < OBJ_ROOT || object_kind_of(j->object) > OBJ_RELEASE)
        check_failed(w, node, "saves object %08x, which is no record", j->object);
    if (object_kind_of(j->object) == OBJ_BAN)
        judge_ban(w, node, data);
    d->unfinished = j->last ? 0 : d->unfinished + 1;
    if (j->last && !d->holding)
        d->urgent = true;
}

/* ---- taking a commit ---- */

/* Blocks alone, few of them, and not for long. */
static bool worth_gathering(const struct world *w, const struct disk *d, uint32_t store_ops)
{
    uint32_t enough = store_ops / 2 < GATHER_JOBS ? store_ops / 2 : GATHER_JOBS;
    return !d->urgent && w->now < d->gather_until && d->jobs < enough;
}

/* Puts what may go now to the front of the queue, in order; how many.  Saves that must stay keep
 * their order too. */
static size_t choose(struct disk *d)
{
    size_t saves_end = d->jobs, take = 0;
    while (d->unfinished > 0 && saves_end > 0 &&
           !(d->job[saves_end - 1].save && d->job[saves_end - 1].last))
        saves_end--;
    bool in_batch = false;
    d->urgent = false;
    for (size_t i = 0; i < d->jobs; i++) {
        struct disk_job j = d->job[i];
        if (j.save && (d->holding || i >= saves_end))
            continue;
        bool full = take >= COMMIT_JOBS && !in_batch;
        if (full || (take > 0 && d->job[take - 1].kind == DISK_OPEN)) {
            d->urgent = d->urgent || j.kind != DISK_BLOCK;
            continue;
        }
        if (i > take) {
            memmove(&d->job[take + 1], &d->job[take], (i - take) * sizeof(j));
            d->job[take] = j;
        }
        take++;
        if (j.save)
            in_batch = !j.last;
    }
    return take;
}

static usec commit_time(const struct disk *d, size_t count)
{
    uint64_t bytes = 0, hashed = 0;
    usec t = 0;
    bool sync = false;
    for (size_t i = 0; i < count; i++) {
        const struct disk_job *j = &d->job[i];
        switch ((enum disk_kind)j->kind) {
        case DISK_BLOCK:
        case DISK_CHUNK:
            bytes += j->count;
            sync = true;
            break;
        case DISK_SAVE:
            bytes += j->blob != NULL ? j->blob->len : 0;
            sync = true;
            break;
        case DISK_OPEN:
            t += OPEN_US;
            break;
        case DISK_SHUT:
            sync = sync || j->flag;
            break;
        case DISK_VERIFY:
            hashed += (j->count < VERIFY_SLICE ? j->count : VERIFY_SLICE) * (uint64_t)BLOCK_LEN;
            break;
        }
    }
    t += (sync ? SYNC_US : 0) + bytes * SEC / WRITE_RATE + hashed * SEC / HASH_RATE;
    return t * d->slow;
}

static void wake_at(struct world *w, uint32_t node, usec at)
{
    world_schedule(w, at, TICK_DISK, node, w->node[node].boot, 0);
}

void disk_kick(struct world *w, uint32_t node)
{
    struct disk *d = &w->node[node].disk;
    if (d->running > 0 || d->jobs == 0)
        return;
    if (worth_gathering(w, d, w->node[node].limits->store_ops)) {
        if (d->woken_at != d->gather_until)
            wake_at(w, node, d->gather_until);
        d->woken_at = d->gather_until;
        return;
    }
    size_t take = choose(d);
    if (take == 0)
        return;
    d->running = take;
    d->done_at = w->now + commit_time(d, take);
    wake_at(w, node, d->done_at);
}

/* ---- what a commit does ---- */

/* Verify and mark: the tag must be the image's, at its own place. */
static enum err apply_store(struct disk *d, const struct disk_job *j)
{
    if (j->object >= d->slots || !d->slot[j->object].open)
        return E_NOENT;
    struct disk_slot *s = &d->slot[j->object];
    bool right = j->flag && j->release == s->release;
    if (j->kind == DISK_CHUNK) {
        if (!right || j->index >= s->geo.chunks || j->count != geometry_chunk_len(&s->geo))
            return E_PROOF;
        enum err e = refusal(d);
        if (e == E_OK && !bit_test(s->chunks, j->index)) {
            bit_put(s->chunks, j->index, true);
            s->chunks_have++;
        }
        return e;
    }
    if (j->index >= s->geo.blocks)
        return E_RANGE;
    if (!bit_test(s->chunks, geometry_chunk_of(&s->geo, j->index)))
        return E_STATE;
    if (!right || j->count != geometry_block_len(&s->geo, j->index))
        return E_HASH;
    enum err e = refusal(d);
    if (e == E_OK)
        block_mark(s, j->index);
    return e;
}

static enum err apply_open(struct world *w, struct disk *d, const struct disk_job *j)
{
    struct disk_slot *s = &d->slot[j->object];
    bool same = s->bound && j->release != NONE && s->release == j->release;
    if (j->release == NONE || (!same && !j->flag)) {
        s->open = false;
        return E_NOENT;
    }
    if (same && s->open)
        return E_OK;
    enum err e = refusal(d);
    if (e == E_OK && !same)
        slot_bind(s, j->release, &w->release[j->release].geo);
    s->open = e == E_OK;
    return e;
}

static enum err apply_shut(struct disk *d, const struct disk_job *j)
{
    struct disk_slot *s = &d->slot[j->object];
    enum err e = j->flag ? refusal(d) : E_OK;
    if (j->flag && e == E_OK)
        slot_clear(s);
    s->open = false;
    s->leaving--;
    return e;
}

/* Hashes a slice again; what is bad is no longer held. */
static enum err apply_verify(struct disk *d, struct disk_job *j)
{
    if (j->object >= d->slots || !d->slot[j->object].open)
        return E_NOENT;
    struct disk_slot *s = &d->slot[j->object];
    if (j->index > s->geo.blocks || j->count > s->geo.blocks - j->index)
        return E_RANGE;
    uint32_t count = j->count < VERIFY_SLICE ? j->count : VERIFY_SLICE;
    for (uint32_t b = j->index; b < j->index + count; b++) {
        if (!bit_test(s->blocks, b))
            continue;
        if (!is_rotten(s, b) && !fails(d))
            continue;
        block_unmark(s, b);
        s->unheard += j->release == 0;
        j->release++; /* found bad */
    }
    j->index += count;
    j->count -= count;
    return E_OK;
}

/* Records of one batch share its fate, and after one that failed all fail: an older record must
 * never replace a newer one. */
static void apply_saves(struct disk *d, size_t count, bool *failed)
{
    enum err e = E_OK;
    bool begins = true;
    *failed = false;
    for (size_t i = 0; i < count; i++) {
        struct disk_job *j = &d->job[i];
        if (!j->save)
            continue;
        if (begins && !*failed)
            e = refusal(d);
        begins = j->last;
        *failed = e != E_OK;
        j->err = e;
        if (e != E_OK)
            continue;
        record_put(d, j->object, j->blob);
        j->blob = NULL;
    }
}

static bool apply(struct world *w, struct disk *d, size_t count)
{
    bool failed;
    for (size_t i = 0; i < count; i++) {
        struct disk_job *j = &d->job[i];
        switch ((enum disk_kind)j->kind) {
        case DISK_BLOCK:
        case DISK_CHUNK:
            j->err = apply_store(d, j);
            break;
        case DISK_OPEN:
            j->err = apply_open(w, d, j);
            break;
        case DISK_SHUT:
            j->err = apply_shut(d, j);
            break;
        case DISK_VERIFY:
            j->err = apply_verify(d, j);
            break;
        case DISK_SAVE:
            break;
        }
    }
    apply_saves(d, count, &failed);
    return !failed;
}

void disk_settle(struct world *w, uint32_t node)
{
    struct disk *d = &w->node[node].disk;
    (void)apply(w, d, d->running);
}

/* ---- what the core hears of it ---- */

static void give(struct world *w, uint32_t node, struct event *ev)
{
    world_give(w, node, ev);
    /* A failure may lead to records and closed links, of which the core holds few at a time. */
    if (ev->err != E_OK)
        world_drain(w, node);
}

static void tell_opened(struct world *w, uint32_t node, const struct disk_job *j)
{
    struct disk_slot *s = &w->node[node].disk.slot[j->object];
    struct event ev = {.type = EV_OPENED, .err = j->err, .op = j->op};
    ev.opened.slot = j->object;
    if (j->err == E_OK) {
        ev.opened.blocks = bytes_of(s->blocks, bits_size(s->geo.blocks));
        ev.opened.chunks = bytes_of(s->chunks, bits_size(s->geo.chunks));
    }
    give(w, node, &ev);
}

static void tell_verified(struct world *w, uint32_t node, const struct disk_job *j)
{
    struct disk *d = &w->node[node].disk;
    if (j->err == E_OK && j->count > 0) {
        struct disk_job *rest = job_new(d, DISK_VERIFY, j->op);
        rest->object = j->object;
        rest->index = j->index;
        rest->count = j->count;
        rest->release = j->release;
        return;
    }
    struct disk_slot *s = j->object < d->slots ? &d->slot[j->object] : NULL;
    if (s != NULL && j->release > 0 && s->unheard > 0)
        s->unheard--;
    struct event ev = {.type = EV_CHECKED, .op = j->op, .err = j->err};
    if (j->err == E_OK && j->release > 0)
        ev.err = E_HASH;
    give(w, node, &ev);
}

/* By value: the core's answer may move the queue. */
static void tell(struct world *w, uint32_t node, struct disk_job j)
{
    struct sim_node *n = &w->node[node];
    struct event ev = {.op = j.op, .err = j.err};
    switch ((enum disk_kind)j.kind) {
    case DISK_BLOCK:
    case DISK_CHUNK:
        assert(n->stores_out > 0);
        n->stores_out--;
        ev.type = EV_STORED;
        give(w, node, &ev);
        return;
    case DISK_SAVE:
        ev.type = EV_SAVED;
        if (j.last && j.err == E_OK)
            give(w, node, &ev);
        return;
    case DISK_OPEN:
        tell_opened(w, node, &j);
        return;
    case DISK_VERIFY:
        tell_verified(w, node, &j);
        return;
    case DISK_SHUT:
        return;
    }
}

/* Takes the commit off the queue, but for records that could not be kept. */
static void remove_done(struct disk *d)
{
    size_t kept = 0, took = d->running;
    for (size_t i = 0; i < took; i++)
        if (d->job[i].save && d->job[i].err != E_OK)
            d->job[kept++] = d->job[i];
    if (kept < took)
        memmove(d->job + kept, d->job + took, (d->jobs - took) * sizeof(*d->job));
    d->jobs -= took - kept;
    d->running = 0;
}

static void commit_done(struct world *w, uint32_t node)
{
    struct disk *d = &w->node[node].disk;
    d->gather_until = w->now + GATHER_US;
    /* All of the commit is durable before the core hears of any of it. */
    if (!apply(w, d, d->running)) {
        d->holding = true;
        d->retry_at = w->now + RETRY_US;
        wake_at(w, node, d->retry_at);
    }
    for (size_t i = 0; i < d->running; i++)
        tell(w, node, d->job[i]);
    remove_done(d);
}

void disk_done(struct world *w, uint32_t node)
{
    struct disk *d = &w->node[node].disk;
    if (d->running > 0 && w->now >= d->done_at)
        commit_done(w, node);
    if (d->holding && w->now >= d->retry_at) {
        d->holding = false;
        d->urgent = true;
    }
}

/* ---- hashing again ---- */

void disk_check(struct world *w, uint32_t node, const struct action *act)
{
    struct disk *d = &w->node[node].disk;
    if (!act->check.whole) {
        struct disk_job *j = job_new(d, DISK_VERIFY, act->op);
        j->object = act->check.slot;
        j->index = act->check.block;
        j->count = act->check.count;
        return;
    }
    uint64_t bytes = 0;
    if (act->check.slot < d->slots && d->slot[act->check.slot].bound)
        bytes = d->slot[act->check.slot].geo.size;
    sim_grow(&d->check, &d->checks_cap, d->checks + 1, sizeof(*d->check));
    d->check[d->checks++] = (struct disk_check){act->op, act->check.slot, act->check.want};
    if (d->check_free < w->now)
        d->check_free = w->now;
    d->check_free += bytes * SEC / HASH_RATE * d->slow;
    world_schedule(w, d->check_free, TICK_CHECKED, node, w->node[node].boot, 0);
}

/* The flat digest of what reads back now. */
static enum err whole_verdict(const struct world *w, const struct disk *d,
                              const struct disk_check *c)
{
    if (c->slot >= d->slots || !d->slot[c->slot].open || !disk_slot_whole(d, c->slot))
        return E_NOENT;
    const struct disk_slot *s = &d->slot[c->slot];
    if (fails(d))
        return E_IO;
    bool same = digest_equal(&w->release[s->release].manifest.digest, &c->want);
    return same && s->rotten == 0 ? E_OK : E_HASH;
}

void disk_checked(struct world *w, uint32_t node)
{
    struct disk *d = &w->node[node].disk;
    assert(d->checks > 0);
    struct disk_check c = d->check[0];
    memmove(d->check, d->check + 1, (d->checks - 1) * sizeof(*d->check));
    d->checks--;
    struct event ev = {.type = EV_CHECKED, .op = c.op, .err = whole_verdict(w, d, &c)};
    give(w, node, &ev);
}
