/* Storage as two bitmaps and a list of records.
 *
 * Stores and saves wait in one queue.  A commit takes all that wait, lasts for one sync and the
 * time to write their bytes, and only then marks bits and replaces records: so what is marked is
 * durable, and a crash simply empties the queue.  A save batch that was cut by the commit's start
 * (its last record is not there yet) waits for the next one, since a batch is atomic. */
#include "disk.h"

#include "checks.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define SYNC_US    4000u
#define WRITE_RATE 100000000u /* bytes a second */
#define OPEN_US    2000u
#define HASH_RATE  400000000u

void disk_init(struct disk *d, uint32_t slots)
{
    *d = (struct disk){.slots = slots};
    d->slot = sim_alloc(slots, sizeof(*d->slot));
}

void disk_crash(struct disk *d)
{
    for (size_t i = 0; i < d->jobs; i++)
        blob_drop(d->job[i].blob);
    d->jobs = 0;
    d->running = 0;
    d->checks = 0;
    d->check_free = 0;
    for (uint32_t i = 0; i < d->slots; i++)
        d->slot[i].open = false;
}

void disk_fini(struct disk *d)
{
    disk_crash(d);
    for (uint32_t i = 0; i < d->slots; i++) {
        free(d->slot[i].blocks);
        free(d->slot[i].chunks);
    }
    for (size_t i = 0; i < d->records; i++)
        blob_drop(d->record[i].blob);
    free(d->slot);
    free(d->record);
    free(d->job);
    free(d->check);
    *d = (struct disk){0};
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

/* ---- slots ---- */

static void slot_clear(struct disk_slot *s)
{
    free(s->blocks);
    free(s->chunks);
    *s = (struct disk_slot){0};
}

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

void disk_open(struct world *w, uint32_t node, const struct action *act)
{
    struct disk *d = &w->node[node].disk;
    uint32_t number = act->open.slot;
    if (number >= d->slots) {
        check_failed(w, node, "opens slot %u of %u", number, d->slots);
        return;
    }
    struct disk_slot *s = &d->slot[number];
    uint32_t release = find_release(w, &act->open.root, act->open.geo.size);
    if (release == NONE)
        check_failed(w, node, "opens storage for an image that the vendor did not sign");
    bool same = s->bound && release != NONE && s->release == release;
    s->err = E_OK;
    if (release == NONE || (!same && !act->open.create)) {
        s->err = E_NOENT;
    } else if (!same) {
        slot_bind(s, release, &act->open.geo);
    }
    s->open = s->err == E_OK;
    s->op = act->op;
    world_schedule(w, w->now + OPEN_US, TICK_OPENED, node, w->node[node].boot, number);
}

void disk_opened(struct world *w, uint32_t node, uint32_t slot)
{
    const struct disk_slot *s = &w->node[node].disk.slot[slot];
    struct event ev = {.type = EV_OPENED, .err = s->err, .op = s->op};
    ev.opened.slot = slot;
    if (s->err == E_OK && s->open) {
        ev.opened.blocks = bytes_of(s->blocks, bits_size(s->geo.blocks));
        ev.opened.chunks = bytes_of(s->chunks, bits_size(s->geo.chunks));
    } else if (s->err == E_OK) {
        return; /* shut again meanwhile */
    }
    world_give(w, node, &ev);
}

void disk_shut(struct world *w, uint32_t node, const struct action *act)
{
    struct disk *d = &w->node[node].disk;
    if (act->shut.slot >= d->slots) {
        check_failed(w, node, "shuts slot %u of %u", act->shut.slot, d->slots);
        return;
    }
    struct disk_slot *s = &d->slot[act->shut.slot];
    s->open = false;
    if (act->shut.remove)
        slot_clear(s);
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
        bit_put(s->blocks, i, true);
    for (uint32_t i = 0; i < s->geo.chunks; i++)
        bit_put(s->chunks, i, true);
    s->blocks_have = s->geo.blocks;
    s->chunks_have = s->geo.chunks;
}

bool disk_slot_whole(const struct disk *d, uint32_t slot)
{
    if (slot >= d->slots || !d->slot[slot].bound)
        return false;
    return d->slot[slot].blocks_have == d->slot[slot].geo.blocks;
}

/* ---- records ---- */

static size_t record_place(const struct disk *d, uint32_t object)
{
    size_t lo = 0, hi = d->records;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (d->record[mid].object < object)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

/* Keeps blob (taken over) under object; NULL deletes. */
static void record_put(struct disk *d, uint32_t object, struct blob *blob)
{
    size_t i = record_place(d, object);
    bool there = i < d->records && d->record[i].object == object;
    if (there)
        blob_drop(d->record[i].blob);
    if (there && blob == NULL) {
        memmove(&d->record[i], &d->record[i + 1], (d->records - i - 1) * sizeof(*d->record));
        d->records--;
    } else if (there) {
        d->record[i].blob = blob;
    } else if (blob != NULL) {
        sim_grow(&d->record, &d->records_cap, d->records + 1, sizeof(*d->record));
        memmove(&d->record[i + 1], &d->record[i], (d->records - i) * sizeof(*d->record));
        d->record[i] = (struct disk_record){object, blob};
        d->records++;
    }
}

void disk_load(struct world *w, uint32_t node)
{
    struct disk *d = &w->node[node].disk;
    for (size_t i = 0; i < d->records; i++) {
        struct event ev = {.type = EV_LOADED};
        ev.loaded.object = d->record[i].object;
        ev.loaded.data = bytes_of(d->record[i].blob->data, d->record[i].blob->len);
        world_give(w, node, &ev);
    }
}

bool disk_read(const struct disk *d, const struct span *at, struct body *body)
{
    enum object_kind kind = object_kind_of(at->object);
    uint32_t number = object_number(at->object);
    *body = (struct body){.kind = kind, .off = at->off, .len = at->len};
    if (kind != OBJ_IMAGE && kind != OBJ_CHUNK) {
        size_t i = record_place(d, at->object);
        if (i >= d->records || d->record[i].object != at->object || at->off != 0 || at->len != 0)
            return false;
        body->blob = blob_hold(d->record[i].blob);
        body->len = body->blob->len;
        return true;
    }
    if (number >= d->slots || !d->slot[number].bound || !d->slot[number].open)
        return false;
    const struct disk_slot *s = &d->slot[number];
    body->release = s->release;
    if (kind == OBJ_CHUNK)
        return at->off < s->geo.chunks && at->len == geometry_chunk_len(&s->geo) &&
               bit_test(s->chunks, (uint32_t)at->off);
    if (at->len == 0 || at->off >= s->geo.size || at->len > s->geo.size - at->off)
        return false;
    uint32_t last = (uint32_t)((at->off + at->len - 1) / BLOCK_LEN);
    for (uint32_t b = (uint32_t)(at->off / BLOCK_LEN); b <= last; b++)
        if (!bit_test(s->blocks, b))
            return false;
    return true;
}

/* ---- the queue ---- */

static struct disk_job *job_new(struct disk *d)
{
    sim_grow(&d->job, &d->jobs_cap, d->jobs + 1, sizeof(*d->job));
    struct disk_job *j = &d->job[d->jobs++];
    *j = (struct disk_job){0};
    return j;
}

void disk_store(struct world *w, uint32_t node, const struct action *act)
{
    struct sim_node *n = &w->node[node];
    const struct body *body = act->store.body;
    if (body == NULL || body != n->lent) {
        check_failed(w, node, "stores a body that is not lent to it");
        return;
    }
    if (++n->stores_out > n->limits->store_ops)
        check_failed(w, node, "%u stores under way, the limit is %u", n->stores_out,
                     n->limits->store_ops);
    struct disk_job *j = job_new(&n->disk);
    j->op = act->op;
    j->at = act->store.at;
    j->body = *body;
    j->body.blob = NULL; /* the tag is enough: payload has no bytes */
}

void disk_save(struct world *w, uint32_t node, const struct action *act, const uint8_t *head)
{
    struct disk_job *j = job_new(&w->node[node].disk);
    struct bytes data = act->save.data;
    if (data.p == NULL)
        data = bytes_of(head, act->head_len);
    j->save = true;
    j->last = act->save.last;
    j->op = act->op;
    j->object = act->save.object;
    j->blob = data.n > 0 ? blob_make(data.p, data.n) : NULL;
    if (object_kind_of(j->object) < OBJ_ROOT || object_kind_of(j->object) > OBJ_RELEASE)
        check_failed(w, node, "saves object %08x, which is no record", j->object);
    if (object_kind_of(j->object) == OBJ_BAN && j->blob != NULL)
        check_failed(w, node, "bans a node, and all are honest");
}

void disk_kick(struct world *w, uint32_t node)
{
    struct disk *d = &w->node[node].disk;
    if (d->running > 0)
        return;
    /* From the first record of an unfinished batch on, all stays behind. */
    size_t take = d->jobs, begun = d->jobs;
    for (size_t i = 0; i < d->jobs; i++) {
        if (d->job[i].save && begun == d->jobs)
            begun = i;
        if (d->job[i].save && d->job[i].last)
            begun = d->jobs;
    }
    if (begun < take)
        take = begun;
    if (take == 0)
        return;
    uint64_t bytes = 0;
    for (size_t i = 0; i < take; i++)
        bytes += d->job[i].save ? (d->job[i].blob != NULL ? d->job[i].blob->len : 0)
                                : d->job[i].body.len;
    d->running = take;
    world_schedule(w, w->now + SYNC_US + bytes * SEC / WRITE_RATE, TICK_DISK, node,
                   w->node[node].boot, 0);
}

/* Verify and mark: the tag must be the image's, at its own place. */
static enum err store_apply(struct disk *d, const struct disk_job *j)
{
    enum object_kind kind = object_kind_of(j->at.object);
    uint32_t number = object_number(j->at.object);
    if (number >= d->slots || !d->slot[number].open)
        return E_NOENT;
    struct disk_slot *s = &d->slot[number];
    bool right = j->body.kind == kind && j->body.release == s->release &&
                 j->body.off == j->at.off && j->body.len == j->at.len && !j->body.corrupt;
    if (kind == OBJ_CHUNK) {
        if (!right || j->at.off >= s->geo.chunks || j->at.len != geometry_chunk_len(&s->geo))
            return E_PROOF;
        if (!bit_test(s->chunks, (uint32_t)j->at.off))
            s->chunks_have++;
        bit_put(s->chunks, (uint32_t)j->at.off, true);
        return E_OK;
    }
    uint64_t block = j->at.off / BLOCK_LEN;
    if (kind != OBJ_IMAGE || j->at.off % BLOCK_LEN != 0 || block >= s->geo.blocks)
        return E_RANGE;
    if (!bit_test(s->chunks, geometry_chunk_of(&s->geo, (uint32_t)block)))
        return E_STATE;
    if (!right || j->at.len != geometry_block_len(&s->geo, (uint32_t)block))
        return E_HASH;
    if (!bit_test(s->blocks, (uint32_t)block))
        s->blocks_have++;
    bit_put(s->blocks, (uint32_t)block, true);
    return E_OK;
}

void disk_done(struct world *w, uint32_t node)
{
    struct sim_node *n = &w->node[node];
    struct disk *d = &n->disk;
    size_t took = d->running;
    /* All of the commit is durable before the core hears of any of it. */
    for (size_t i = 0; i < took; i++) {
        struct disk_job *j = &d->job[i];
        if (j->save) {
            record_put(d, j->object, j->blob);
            j->blob = NULL;
        } else {
            j->err = store_apply(d, j);
        }
    }
    for (size_t i = 0; i < took; i++) {
        const struct disk_job *j = &d->job[i];
        if (j->save && !j->last)
            continue;
        struct event ev = {.type = j->save ? EV_SAVED : EV_STORED, .op = j->op, .err = j->err};
        if (!j->save) {
            assert(n->stores_out > 0);
            n->stores_out--;
        }
        world_give(w, node, &ev);
    }
    memmove(d->job, d->job + took, (d->jobs - took) * sizeof(*d->job));
    d->jobs -= took;
    d->running = 0;
}

/* ---- hashing again ---- */

void disk_check(struct world *w, uint32_t node, const struct action *act)
{
    struct disk *d = &w->node[node].disk;
    uint64_t bytes = 0;
    if (act->check.slot < d->slots && d->slot[act->check.slot].bound)
        bytes = act->check.whole ? d->slot[act->check.slot].geo.size
                                 : (uint64_t)act->check.count * BLOCK_LEN;
    sim_grow(&d->check, &d->checks_cap, d->checks + 1, sizeof(*d->check));
    d->check[d->checks++] =
        (struct disk_check){act->op,          act->check.slot,  act->check.block,
                            act->check.count, act->check.whole, act->check.want};
    if (d->check_free < w->now)
        d->check_free = w->now;
    d->check_free += bytes * SEC / HASH_RATE;
    world_schedule(w, d->check_free, TICK_CHECKED, node, w->node[node].boot, 0);
}

static enum err check_verdict(const struct world *w, const struct disk *d,
                              const struct disk_check *c)
{
    if (c->slot >= d->slots || !d->slot[c->slot].open)
        return E_IO;
    const struct disk_slot *s = &d->slot[c->slot];
    if (c->whole) {
        bool same = digest_equal(&w->release[s->release].manifest.digest, &c->want);
        return disk_slot_whole(d, c->slot) && same ? E_OK : E_HASH;
    }
    for (uint32_t i = 0; i < c->count; i++)
        if (c->block + i >= s->geo.blocks || !bit_test(s->blocks, c->block + i))
            return E_HASH;
    return E_OK;
}

void disk_checked(struct world *w, uint32_t node)
{
    struct disk *d = &w->node[node].disk;
    assert(d->checks > 0);
    struct disk_check c = d->check[0];
    memmove(d->check, d->check + 1, (d->checks - 1) * sizeof(*d->check));
    d->checks--;
    struct event ev = {.type = EV_CHECKED, .op = c.op, .err = check_verdict(w, d, &c)};
    world_give(w, node, &ev);
}
