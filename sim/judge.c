/* What a node keeps, and what a restart must know of it.
 *
 * A second account of the disk, kept from what the core was told: a block is durable when an
 * EV_STORED said so, or when the vendor put it there.  What the disk itself says at an opening is
 * compared with that; between the two lies only what was given to it and not answered when power
 * went. */
#include "judge.h"

#include "net.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define OPS_MAX 65536u /* no core numbers its stores beyond */

static size_t bits_size(const struct geometry *g)
{
    return ((size_t)g->blocks + 7) / 8;
}

static void bit_put(uint8_t *bits, uint32_t i)
{
    bits[i >> 3] = (uint8_t)(bits[i >> 3] | (0x80u >> (i & 7)));
}

/* ---- blocks ---- */

bool judge_has(const struct judge_slot *s, uint32_t block)
{
    return s->blocks != NULL && bit_test(s->blocks, block);
}

bool judge_has_piece(const struct world *w, const struct judge_slot *s, uint32_t piece)
{
    if (s->release == JUDGE_NONE || s->blocks == NULL)
        return false;
    const struct geometry *g = &w->release[s->release].geo;
    if (piece >= g->pieces)
        return false;
    uint32_t first = piece * g->piece_blocks, end = first + g->piece_blocks;
    if (end > g->blocks)
        end = g->blocks;
    for (uint32_t b = first; b < end; b++)
        if (!bit_test(s->blocks, b))
            return false;
    return true;
}

static void slot_forget(struct judge_slot *s)
{
    free(s->blocks);
    free(s->maybe);
    *s = (struct judge_slot){.release = JUDGE_NONE, .serial = s->serial + 1, .held_at = USEC_NEVER};
}

/* What is to be removed may stay, where the disk fails or power goes. */
static void slot_removed(const struct world *w, struct judge_slot *s)
{
    s->serial++;
    s->open = s->imported = false;
    if (s->release == JUDGE_NONE || s->blocks == NULL)
        return;
    size_t size = bits_size(&w->release[s->release].geo);
    if (s->maybe == NULL)
        s->maybe = sim_alloc(size, 1);
    for (size_t i = 0; i < size; i++)
        s->maybe[i] |= s->blocks[i];
    memset(s->blocks, 0, size);
    s->have = 0;
}

static void slot_may_have(const struct world *w, struct judge_slot *s, uint32_t block)
{
    const struct geometry *g = &w->release[s->release].geo;
    if (s->maybe == NULL)
        s->maybe = sim_alloc(bits_size(g), 1);
    if (block < g->blocks)
        bit_put(s->maybe, block);
}

static void slot_has(const struct world *w, struct judge_slot *s, uint32_t block)
{
    const struct geometry *g = &w->release[s->release].geo;
    if (s->blocks == NULL)
        s->blocks = sim_alloc(bits_size(g), 1);
    if (!bit_test(s->blocks, block)) {
        bit_put(s->blocks, block);
        s->have++;
    }
}

/* ---- storage ---- */

static uint8_t release_of_image(const struct world *w, const struct digest *root, uint64_t size)
{
    for (uint32_t i = 0; i < w->releases; i++) {
        const struct manifest *m = &w->release[i].manifest;
        if (m->size == size && digest_equal(&m->tree_root, root))
            return (uint8_t)i;
    }
    return JUDGE_NONE;
}

static void store_begins(struct judge_node *n, const struct action *act)
{
    sim_grow(&n->op, &n->ops_cap, act->op + 1, sizeof(*n->op));
    struct judge_op *o = &n->op[act->op];
    uint32_t slot = object_number(act->store.at.object);
    bool chunk = object_kind_of(act->store.at.object) == OBJ_CHUNK;
    *o = (struct judge_op){
        .used = true,
        .chunk = chunk,
        .slot = (uint8_t)slot,
        .release = n->slot[slot].release,
        .serial = n->slot[slot].serial,
        .index = (uint32_t)(chunk ? act->store.at.off : act->store.at.off / BLOCK_LEN),
        .from = n->lent_from,
        .link = n->lent_link};
}

void judge_storage(struct world *w, uint32_t node, const struct action *act)
{
    struct judge_node *n = judge_of(w, node);
    const struct limits *lim = w->node[node].limits;
    if (act->type == ACT_OPEN && act->open.slot < lim->images) {
        struct judge_slot *s = &n->slot[act->open.slot];
        uint8_t release = release_of_image(w, &act->open.root, act->open.geo.size);
        if (release == s->release)
            return;
        slot_forget(s);
        s->release = release;
    } else if (act->type == ACT_SHUT && act->shut.slot < lim->images) {
        struct judge_slot *s = &n->slot[act->shut.slot];
        if (act->shut.remove)
            slot_removed(w, s);
        s->open = false;
        s->held_at = USEC_NEVER;
        judge_unserve(w, node, act->shut.slot);
    } else if (act->type == ACT_STORE && act->op < OPS_MAX &&
               object_number(act->store.at.object) < lim->images) {
        store_begins(n, act);
    }
}

void judge_stored(struct world *w, uint32_t node, const struct event *ev)
{
    struct judge_node *n = judge_of(w, node);
    if (ev->op >= n->ops_cap || !n->op[ev->op].used)
        return;
    struct judge_op *o = &n->op[ev->op];
    struct judge_slot *s = &n->slot[o->slot];
    o->used = false;
    bool same = s->release == o->release && s->release != JUDGE_NONE;
    bool there = same && s->serial == o->serial;
    if (ev->err == E_OK && !o->chunk && there)
        slot_has(w, s, o->index);
    else if (ev->err == E_OK && !o->chunk && same)
        slot_may_have(w, s, o->index);
    if (ev->err == E_HASH || ev->err == E_PROOF)
        judge_blame(w, node, o, there && s->open);
}

/* Blocks that the disk says it has, against those that anybody ever wrote. */
void judge_opened(struct world *w, uint32_t node, const struct event *ev)
{
    struct judge_node *n = judge_of(w, node);
    if (ev->err != E_OK || ev->opened.slot >= w->node[node].limits->images)
        return;
    struct judge_slot *s = &n->slot[ev->opened.slot];
    /* Given up again since it was asked to open: this tells of what was there then. */
    if (s->release == JUDGE_NONE || w->node[node].disk.slot[ev->opened.slot].leaving > 0)
        return;
    const struct geometry *g = &w->release[s->release].geo;
    uint32_t count = 0, news = 0, gone = 0;
    if (s->blocks == NULL)
        s->blocks = sim_alloc(bits_size(g), 1);
    for (uint32_t b = 0; b < g->blocks; b++) {
        bool has = bit_test(ev->opened.blocks.p, b), had = bit_test(s->blocks, b);
        count += has;
        gone += had && !has;
        news += has && !had && !s->imported && (s->maybe == NULL || !bit_test(s->maybe, b));
    }
    if (news > 0)
        check_failed(w, node, "slot %u: its disk says that it holds %u blocks that it never stored",
                     ev->opened.slot, news);
    if (gone > 0 && !w->node[node].rotten && !w->judge->reads_fail)
        check_failed(w, node, "slot %u: its disk lost %u blocks that it said it had kept",
                     ev->opened.slot, gone);
    memcpy(s->blocks, ev->opened.blocks.p, bits_size(g));
    s->have = count;
    s->open = true;
    free(s->maybe);
    s->maybe = NULL;
    n->opened_slot = ev->opened.slot;
    n->opened_blocks = count;
}

bool judge_in_use(enum release_state state)
{
    switch (state) {
    case RELEASE_FETCHING:
    case RELEASE_CHECKING:
    case RELEASE_HELD:
    case RELEASE_ASKING:
    case RELEASE_INSTALLING:
    case RELEASE_PENDING:
    case RELEASE_CONFIRMED:
        return true;
    case RELEASE_NONE:
    case RELEASE_KNOWN:
    case RELEASE_FAILED:
    case RELEASE_REJECTED:
    case RELEASE_WITHDRAWN:
    case RELEASE_REFUSED:
        return false;
    }
    return false;
}

/* After an opening: the core goes on from what it was told. */
void judge_after_open(struct world *w, uint32_t node)
{
    struct judge_node *n = judge_of(w, node);
    struct node_image_status st;
    uint32_t slot = n->opened_slot;
    n->opened_slot = NONE;
    const struct judge_slot *s = &n->slot[slot];
    if (s->release == JUDGE_NONE || !node_image_status(w->node[node].core, slot, &st) ||
        !digest_equal(&st.manifest->id, &w->release[s->release].manifest.id))
        return;
    if (!judge_in_use(st.state))
        return;
    /* It was shut while it was being opened: the core waits for the next opening. */
    const struct disk *d = &w->node[node].disk;
    for (size_t i = 0; i < d->jobs; i++)
        if (d->job[i].kind == DISK_SHUT && d->job[i].object == slot)
            return;
    if (st.blocks_have != n->opened_blocks)
        check_failed(w, node, "slot %u: %u blocks are in its storage, and it knows of %u", slot,
                     n->opened_blocks, st.blocks_have);
}

/* ---- records ---- */

const struct disk_job *judge_pending(const struct disk *d, uint32_t object)
{
    for (size_t i = d->jobs; i-- > 0;)
        if (d->job[i].save && d->job[i].object == object)
            return &d->job[i];
    return NULL;
}

/* ---- restarts ---- */

/* What was on its way to the disk may have reached it. */
static void ops_lost(struct world *w, struct judge_node *n)
{
    for (size_t i = 0; i < n->ops_cap; i++) {
        struct judge_op *o = &n->op[i];
        struct judge_slot *s = &n->slot[o->slot];
        bool there = o->used && !o->chunk && s->release == o->release && s->release != JUDGE_NONE;
        o->used = false;
        if (there)
            slot_may_have(w, s, o->index);
    }
}

/* A removal that power cut short may not have happened: then the disk still has what it had. */
static void slots_found(struct world *w, uint32_t node)
{
    struct judge_node *n = judge_of(w, node);
    const struct disk *d = &w->node[node].disk;
    for (uint32_t i = 0; i < d->slots; i++) {
        struct judge_slot *s = &n->slot[i];
        const struct disk_slot *o = &d->slot[i];
        s->held_at = USEC_NEVER;
        s->open = false;
        if (!o->bound) {
            if (s->release != JUDGE_NONE)
                slot_forget(s);
            continue;
        }
        if (s->release == o->release)
            continue;
        slot_forget(s);
        s->release = (uint8_t)o->release;
        s->imported = true; /* what it held before is not remembered here */
    }
}

void judge_boot(struct world *w, uint32_t node)
{
    struct judge_node *n = judge_of(w, node);
    const struct sim_node *sn = &w->node[node];
    if (n->slot == NULL) {
        n->slot = sim_alloc(sn->limits->images, sizeof(*n->slot));
        for (uint32_t i = 0; i < sn->limits->images; i++)
            n->slot[i] = (struct judge_slot){.release = JUDGE_NONE, .held_at = USEC_NEVER};
    }
    ops_lost(w, n);
    slots_found(w, node);
    n->on = true;
    for (uint32_t i = 0; i < w->releases; i++)
        if (n->asked[i] != NULL)
            memset(n->asked[i], 0, w->release[i].geo.blocks);
    n->answers = n->dooms = n->sents = n->waiting = n->served = 0;
    n->starved_at = USEC_NEVER;
    n->check_ready = n->check_credit = false;
    n->opened_slot = NONE;
    n->lent_from = NONE;
    n->ready_at = w->now;
    judge_records(w, node);
}

static void ready_manifest(struct world *w, uint32_t node, const struct disk_record *r)
{
    struct node_image_status st;
    struct manifest m;
    uint32_t slot = object_number(r->object);
    struct bytes envelope = bytes_of(r->blob->data, r->blob->len);
    const struct node *core = w->node[node].core;
    if (slot >= w->node[node].limits->images ||
        manifest_open(&m, envelope, node_trust(core)) != E_OK)
        return;
    if (!node_image_status(core, slot, &st))
        check_failed(w, node, "has forgotten the manifest that it saved in slot %u", slot);
    else if (!digest_equal(&st.manifest->id, &m.id))
        check_failed(w, node, "has another manifest in slot %u than it saved there", slot);
    else if (judge_stopped(w, node, judge_release_of(w, &m.id)) && st.state != RELEASE_WITHDRAWN)
        check_failed(w, node, "has forgotten that the release in slot %u was withdrawn", slot);
}

/* All of its records are loaded: what was durable is known again. */
void judge_ready(struct world *w, uint32_t node)
{
    const struct sim_node *sn = &w->node[node];
    struct node_status s;
    struct root root;
    struct revocations list;
    struct digest fleet;
    struct bytes body;
    uint32_t bans = 0;
    judge_of(w, node)->check_ready = false;
    node_status(sn->core, &s);
    for (size_t i = 0; i < sn->disk.records; i++) {
        const struct disk_record *r = &sn->disk.record[i];
        struct bytes data = bytes_of(r->blob->data, r->blob->len);
        enum object_kind kind = object_kind_of(r->object);
        if (kind == OBJ_MANIFEST)
            ready_manifest(w, node, r);
        else if (kind == OBJ_BAN)
            bans++;
        else if (kind == OBJ_ROOT && root_decode(&root, &body, data) == E_OK &&
                 root.version > s.root_version)
            check_failed(w, node, "has forgotten root %u", root.version);
        else if (kind == OBJ_REVOCATIONS &&
                 revocations_decode(&list, &fleet, &body, data) == E_OK &&
                 release_compare(list.root_version, list.version, s.revocation_root,
                                 s.revocation_version) > 0)
            check_failed(w, node, "has forgotten revocation list %u", list.version);
    }
    /* Two records may name one identity, which is banned once. */
    if (bans > 0 && s.bans == 0)
        check_failed(w, node, "has forgotten all of its %u bans", bans);
}
