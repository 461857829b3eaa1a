/* Releases: which manifests are taken, where their images lie, and how a release moves through its
 * states until it is held.  What comes after (installing) is install.c's.
 *
 * A slot is free again only when the host has finished what was asked of it (open, check, stores),
 * so a late answer can never be taken for the next image's. */
#include "node/internal.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#define STATE_FORMAT  1u
#define STATE_BYTES   27u
#define RETRY_STORAGE (60 * SEC)

static uint32_t slot_index(const struct node *n, const struct slot *s)
{
    return (uint32_t)(s - n->slots);
}

bool release_slot_used(const struct slot *s)
{
    return s->state != RELEASE_NONE;
}

bool release_slot_shared(const struct slot *s)
{
    switch (s->state) {
    case RELEASE_NONE:
    case RELEASE_KNOWN:
    case RELEASE_WITHDRAWN:
    case RELEASE_REFUSED:
        return false;
    case RELEASE_FETCHING:
    case RELEASE_CHECKING:
    case RELEASE_HELD:
    case RELEASE_ASKING:
    case RELEASE_INSTALLING:
    case RELEASE_PENDING:
    case RELEASE_CONFIRMED:
    case RELEASE_FAILED:
    case RELEASE_REJECTED:
        return s->opened && !s->unserved;
    }
    return false;
}

bool release_wanted_model(const struct node *n, const struct digest *model)
{
    if (n->conf.publish)
        return false;
    return digest_is_zero(&n->model) || digest_equal(&n->model, model);
}

struct slot *release_by_manifest(const struct node *n, const struct digest *id)
{
    for (uint32_t i = 0; i < n->lim.images; i++) {
        if (release_slot_used(&n->slots[i]) && digest_equal(&n->slots[i].m.id, id))
            return &n->slots[i];
    }
    return NULL;
}

struct slot *release_newest(const struct node *n, const struct digest *model)
{
    for (uint32_t i = 0; i < n->lim.images; i++) {
        if (release_slot_used(&n->slots[i]) && n->slots[i].newest &&
            digest_equal(&n->slots[i].m.model_id, model))
            return &n->slots[i];
    }
    return NULL;
}

static int slot_compare(const struct slot *a, const struct slot *b)
{
    return release_compare(a->m.root_version, a->m.sequence, b->m.root_version, b->m.sequence);
}

static bool in_force(const struct slot *s)
{
    return s->state != RELEASE_WITHDRAWN && !(s->state == RELEASE_REFUSED && s->err == E_THRESHOLD);
}

/* Marks, for one model, the highest release that was not withdrawn. */
static void newest_update(struct node *n, const struct digest *model)
{
    struct slot *best = NULL;
    for (uint32_t i = 0; i < n->lim.images; i++) {
        struct slot *s = &n->slots[i];
        if (!release_slot_used(s) || !digest_equal(&s->m.model_id, model))
            continue;
        s->newest = false;
        if (in_force(s) && (best == NULL || slot_compare(s, best) > 0))
            best = s;
    }
    if (best != NULL)
        best->newest = true;
}

void release_set_state(struct node *n, struct slot *s, enum release_state state)
{
    if (s->state == state)
        return;
    log_info(n->log, "release.state", "slot=%" PRIu32 " version=%s sequence=%" PRIu64 " state=%s",
             slot_index(n, s), s->m.version, s->m.sequence, release_state_name(state));
    s->state = state;
    s->since = n->now;
    n->stir = true;
    node_save(n, object_id(OBJ_RELEASE, slot_index(n, s)), (struct bytes){NULL, 0});
}

/* ---- taking a manifest ---- */

static bool slot_free(const struct slot *s)
{
    return s->state == RELEASE_NONE && !s->opening && !s->checking && s->stores == 0;
}

void release_drop(struct node *n, struct slot *s)
{
    uint32_t i = slot_index(n, s);
    exchange_slot_gone(n, i);
    if (s->opened || s->opening) {
        s->shut_due = true;
        s->shut_remove = true;
    }
    s->opened = s->open_due = s->check_due = s->newest = s->loaded = false;
    s->state = RELEASE_NONE;
    s->install_batch = 0;
    node_delete(n, object_id(OBJ_MANIFEST, i));
    node_delete(n, object_id(OBJ_RELEASE, i));
}

static bool slot_busy(const struct slot *s)
{
    return s->state == RELEASE_INSTALLING || s->state == RELEASE_PENDING || s->opening ||
           s->checking || s->stores > 0;
}

/* A place for a new release of a model: a free one, else the oldest that a newer one of its model
 * replaced; else, where every place has a model of its own, that of this model. */
static struct slot *slot_place(struct node *n, const struct digest *model)
{
    struct slot *worst = NULL, *own = NULL;
    for (uint32_t i = 0; i < n->lim.images; i++) {
        struct slot *s = &n->slots[i];
        if (slot_free(s))
            return s;
        if (!release_slot_used(s) || slot_busy(s))
            continue;
        if (s->newest && digest_equal(&s->m.model_id, model))
            own = s;
        else if (!s->newest && (worst == NULL || slot_compare(s, worst) < 0))
            worst = s;
    }
    struct slot *place = worst != NULL ? worst : own;
    if (place != NULL)
        release_drop(n, place);
    return place;
}

/* May this manifest be taken now?  Order and floor; who wants it. */
static enum err take_allowed(struct node *n, const struct manifest *m, bool ordered)
{
    if (!release_wanted_model(n, &m->model_id) && !(ordered && n->conf.publish))
        return E_MODEL;
    if (objects_withdrawn(n, &m->id) != NULL)
        return E_WITHDRAWN;
    const struct slot *same = release_by_manifest(n, &m->id);
    if (same != NULL)
        return E_STALE;
    const struct slot *held = release_newest(n, &m->model_id);
    if (held != NULL) {
        int c =
            release_compare(m->root_version, m->sequence, held->m.root_version, held->m.sequence);
        if (c == 0) {
            log_error(n->log, "release.equivocation",
                      "model=%s sequence=%" PRIu64
                      " detail=\"two manifests carry one sequence number\"",
                      m->model, m->sequence);
            return E_DUPLICATE;
        }
        if (c < 0)
            return E_STALE;
    }
    return install_floor_allows(n, m) ? E_OK : E_STALE;
}

static void slot_fill(struct slot *s, const struct manifest *m)
{
    struct picker *picker = s->picker;
    uint16_t *gained = s->gained;
    uint8_t *at_peers = s->at_peers;
    uint64_t *idle = s->idle;
    bool shut_due = s->shut_due, shut_remove = s->shut_remove; /* of the image that was here */
    memset(s, 0, sizeof(*s));
    s->picker = picker;
    s->gained = gained;
    s->at_peers = at_peers;
    s->idle = idle;
    s->shut_due = shut_due;
    s->shut_remove = shut_remove;
    s->recheck = NONE;
    s->m = *m;
    s->install_at = USEC_NEVER;
}

/* An image that is here under an older manifest stays where it is and is taken over: signing it
 * anew moves no byte. */
static void take_over(struct node *n, struct slot *s)
{
    for (uint32_t i = 0; i < n->lim.images; i++) {
        struct slot *o = &n->slots[i];
        if (o == s || !release_slot_used(o) || o->m.size != s->m.size ||
            !digest_equal(&o->m.tree_root, &s->m.tree_root) ||
            !digest_equal(&o->m.model_id, &s->m.model_id))
            continue;
        s->confirmed_before = o->state == RELEASE_CONFIRMED;
        bool held_storage = o->opened || o->opening;
        s->taken_over = s->taken_over || held_storage;
        release_drop(n, o);
        o->shut_remove = false;
    }
}

/* Older releases of the model that are still on their way have lost their point. */
static void supersede(struct node *n, const struct slot *s)
{
    for (uint32_t i = 0; i < n->lim.images; i++) {
        struct slot *o = &n->slots[i];
        if (o == s || !digest_equal(&o->m.model_id, &s->m.model_id))
            continue;
        if (o->state == RELEASE_FETCHING || o->state == RELEASE_CHECKING ||
            o->state == RELEASE_KNOWN || o->state == RELEASE_REFUSED)
            release_drop(n, o);
        else if (o->state == RELEASE_ASKING)
            release_set_state(n, o, RELEASE_HELD);
    }
}

static void begin_fetch(struct node *n, struct slot *s)
{
    enum err e = geometry_init(&s->geo, s->m.size, s->m.piece_length);
    if (e == E_OK)
        e = picker_begin(s->picker, &s->geo);
    if (e != E_OK) {
        s->err = e;
        log_error(n->log, "release.beyond_limits",
                  "version=%s size=%" PRIu64 " piece_length=%" PRIu32 " err=%s", s->m.version,
                  s->m.size, s->m.piece_length, err_name(e));
        release_set_state(n, s, RELEASE_REFUSED);
        return;
    }
    /* The very image that runs here needs no fetching. */
    if (!s->taken_over && n->current.known && digest_equal(&n->current.digest, &s->m.digest) &&
        n->conf.role != ROLE_VERIFY && !n->conf.publish) {
        release_set_state(n, s, RELEASE_KNOWN);
        return;
    }
    release_set_state(n, s, RELEASE_FETCHING);
    s->open_due = !n->conf.publish && n->loaded;
}

static void announce_news(struct node *n)
{
    for (uint32_t i = 0; i < n->links_top; i++) {
        n->links[i].offer_due = true;
        n->links[i].offer_next = 0;
    }
    node_wake_links(n);
    lan_news(n);
}

enum err release_take(struct node *n, struct bytes envelope, uint32_t load_slot, uint32_t from)
{
    struct manifest m;
    enum err e = manifest_open(&m, envelope, &n->trust);
    if (e != E_OK)
        return e;
    bool loading = load_slot != NONE;
    if (!loading) {
        e = take_allowed(n, &m, from == NONE);
        if (e != E_OK)
            return e;
    }
    struct slot *s = loading ? &n->slots[load_slot] : slot_place(n, &m.model_id);
    if (s == NULL)
        return E_LIMIT;
    slot_fill(s, &m);
    for (; n->slots_top <= slot_index(n, s); n->slots_top++)
        (void)picker_init(n->slots[n->slots_top].picker, &n->lim);
    s->loaded = loading;
    s->state = RELEASE_KNOWN;
    newest_update(n, &m.model_id);
    if (loading)
        return E_OK;
    char hex[17];
    hex_encode(hex, m.id.b, 8);
    log_info(n->log, "release.taken",
             "model=%s version=%s sequence=%" PRIu64 " size=%" PRIu64
             " manifest=%s signers=%" PRIu32,
             m.model, m.version, m.sequence, m.size, hex, m.signers_count);
    node_save(n, object_id(OBJ_MANIFEST, slot_index(n, s)), envelope);
    version_compare_own(n, &m.id);
    take_over(n, s);
    supersede(n, s);
    begin_fetch(n, s);
    announce_news(n);
    return E_OK;
}

void release_consider(struct node *n, struct nlink *l, const struct digest *model,
                      uint32_t root_version, uint64_t sequence, const struct digest *manifest)
{
    if (!n->loaded || !release_wanted_model(n, model) || root_version > n->trust.root.version)
        return;
    if (objects_withdrawn(n, manifest) != NULL || release_by_manifest(n, manifest) != NULL)
        return;
    const struct slot *held = release_newest(n, model);
    if (held != NULL &&
        release_compare(root_version, sequence, held->m.root_version, held->m.sequence) <= 0)
        return;
    if (release_compare(root_version, sequence, n->floor_root, n->floor_sequence) < 0)
        return;
    wants_manifest(n, l, manifest);
}

/* ---- records ---- */

size_t release_save_state(const struct slot *s, uint8_t *out)
{
    if (s->state == RELEASE_NONE)
        return 0;
    struct wr w = wr_of(out, HEAD_MAX);
    wr_u8(&w, STATE_FORMAT);
    wr_u8(&w, (uint8_t)s->state);
    wr_u8(&w, (uint8_t)s->err);
    wr_u32(&w, s->install_tries);
    wr_u32(&w, (uint32_t)s->install_code);
    wr_copy(&w, s->boot, sizeof(s->boot));
    assert(wr_len(&w) == STATE_BYTES);
    return wr_len(&w);
}

void release_load_state(struct node *n, uint32_t slot, struct bytes data)
{
    struct slot *s = &n->slots[slot];
    struct rd r = rd_of(data);
    uint8_t format = rd_u8(&r);
    uint8_t state = rd_u8(&r);
    uint8_t err = rd_u8(&r);
    uint32_t tries = rd_u32(&r);
    uint32_t code = rd_u32(&r);
    rd_copy(&r, s->boot, sizeof(s->boot));
    if (rd_end(&r) != E_OK || format != STATE_FORMAT || state > RELEASE_REFUSED || err >= E_COUNT) {
        log_warn(n->log, "record.refused", "slot=%" PRIu32 " what=release", slot);
        return;
    }
    if (!s->loaded || state == RELEASE_NONE)
        return;
    s->state = (enum release_state)state;
    s->err = (enum err)err;
    s->install_tries = tries;
    s->install_code = (int32_t)code;
}

/* A release that will not come back needs no room; what was to be removed may still be there. */
static void storage_remove(struct slot *s)
{
    s->shut_due = s->shut_remove = true;
    s->opened = s->open_due = s->check_due = false;
}

static void slot_ready(struct node *n, struct slot *s)
{
    newest_update(n, &s->m.model_id);
    enum err e = geometry_init(&s->geo, s->m.size, s->m.piece_length);
    if (e == E_OK)
        e = picker_begin(s->picker, &s->geo);
    if (e != E_OK) {
        s->err = e;
        s->state = RELEASE_REFUSED;
        return;
    }
    if (objects_withdrawn(n, &s->m.id) != NULL)
        s->state = RELEASE_WITHDRAWN;
    if (s->state == RELEASE_REFUSED || s->state == RELEASE_CHECKING)
        s->state = RELEASE_FETCHING;
    if (s->state == RELEASE_ASKING)
        s->state = RELEASE_HELD;
    if (s->state == RELEASE_FAILED)
        install_again_later(n, s);
}

/* What lies there is opened, but for what nobody may use and for what is just what runs here: the
 * device will soon say whether that is still so. */
static void slot_storage(struct slot *s)
{
    bool useless = s->state == RELEASE_WITHDRAWN ||
                   (s->state == RELEASE_REJECTED && (!s->newest || s->err == E_HASH));
    if (useless)
        storage_remove(s);
    else if (s->state != RELEASE_KNOWN && s->state != RELEASE_REFUSED)
        s->open_due = true;
}

void release_ready(struct node *n)
{
    for (uint32_t i = 0; i < n->lim.images; i++) {
        if (release_slot_used(&n->slots[i]))
            slot_ready(n, &n->slots[i]);
    }
    for (uint32_t i = 0; i < n->lim.images; i++) {
        if (release_slot_used(&n->slots[i]))
            slot_storage(&n->slots[i]);
    }
    announce_news(n);
}

void release_adopt(struct node *n, uint32_t slot)
{
    if (slot >= n->lim.images || !release_slot_used(&n->slots[slot]))
        return;
    struct slot *s = &n->slots[slot];
    if (s->state == RELEASE_REFUSED || s->state == RELEASE_WITHDRAWN ||
        s->state == RELEASE_REJECTED)
        return;
    s->adopt = true;
    s->open_due = true;
}

/* ---- storage ---- */

/* Neither fetched nor served from now on; the bytes stay. */
static void storage_close(struct node *n, struct slot *s, enum err e)
{
    s->err = e;
    exchange_slot_gone(n, slot_index(n, s));
    if (s->opened || s->opening)
        s->shut_due = true;
    s->shut_remove = s->opened = s->open_due = s->check_due = false;
    s->install_at = USEC_NEVER;
}

static void refuse(struct node *n, struct slot *s, enum err e)
{
    storage_close(n, s, e);
    release_set_state(n, s, RELEASE_REFUSED);
}

void release_storage_failed(struct node *n, struct slot *s, enum err e)
{
    log_error(n->log, "release.storage", "version=%s size=%" PRIu64 " err=%s retry_s=60",
              s->m.version, s->m.size, err_name(e));
    /* What became of an installation is not forgotten because its image cannot be read. */
    if (release_was_installed(s))
        storage_close(n, s, e);
    else
        refuse(n, s, e);
    s->install_at = n->now + RETRY_STORAGE;
}

bool release_was_installed(const struct slot *s)
{
    return s->state == RELEASE_INSTALLING || s->state == RELEASE_PENDING ||
           s->state == RELEASE_CONFIRMED;
}

void release_open_again(struct node *n, struct slot *s)
{
    s->err = E_OK;
    s->open_due = !s->opened && !s->opening;
    n->stir = true;
}

void release_retry(struct node *n, struct slot *s)
{
    s->install_at = USEC_NEVER;
    s->err = E_OK;
    release_set_state(n, s, RELEASE_FETCHING);
    s->open_due = true;
}

/* It turned out to be what runs here already. */
void release_runs(struct node *n, struct slot *s)
{
    exchange_slot_gone(n, slot_index(n, s));
    storage_remove(s);
    release_set_state(n, s, RELEASE_KNOWN);
}

void release_unserve(struct node *n, struct slot *s)
{
    s->unserved = true;
    exchange_slot_gone(n, slot_index(n, s));
}

void release_check(struct node *n, struct slot *s)
{
    release_set_state(n, s, RELEASE_CHECKING);
    s->check_due = true;
}

void release_serve_again(struct slot *s)
{
    if (s->unserved && s->opened)
        s->check_due = true;
}

void release_opened(struct node *n, const struct event *ev)
{
    assert(ev->opened.slot < n->lim.images);
    struct slot *s = &n->slots[ev->opened.slot];
    bool stale = s->open_stale;
    s->opening = s->open_stale = false;
    if (!release_slot_used(s) || s->shut_due || stale)
        return;
    if (ev->err != E_OK) {
        release_storage_failed(n, s, ev->err);
        return;
    }
    if (s->opened)
        exchange_slot_gone(n, ev->opened.slot);
    enum err e = picker_begin(s->picker, &s->geo);
    assert(e == E_OK); /* it was begun with the same geometry before */
    picker_load(s->picker, ev->opened.blocks, ev->opened.chunks);
    s->opened = true;
    s->gained_count = s->gained_due = 0;
    s->haves_at = 0;
    uint32_t blocks = picker_blocks_have(s->picker);
    if (s->loaded && blocks > 0) {
        s->bytes_resumed = (uint64_t)blocks * BLOCK_LEN;
        uint32_t last = s->geo.blocks - 1;
        if (picker_has_block(s->picker, last))
            s->bytes_resumed -= BLOCK_LEN - geometry_block_len(&s->geo, last);
    }
    log_info(n->log, "image.open",
             "slot=%" PRIu32 " version=%s pieces=%" PRIu32 "/%" PRIu32 " blocks=%" PRIu32
             "/%" PRIu32,
             ev->opened.slot, s->m.version, picker_pieces_have(s->picker), s->geo.pieces, blocks,
             s->geo.blocks);
    exchange_slot_appeared(n, ev->opened.slot);
    if (s->unserved && s->state != RELEASE_INSTALLING)
        release_serve_again(s);
    if (picker_complete(s->picker))
        release_complete(n, s);
    else if (release_mendable(s))
        release_set_state(n, s, RELEASE_FETCHING);
}

/* Is an image that lacks something fetched again?  Not once the installer had it: what became of
 * that must not be forgotten. */
bool release_mendable(const struct slot *s)
{
    switch (s->state) {
    case RELEASE_FETCHING:
    case RELEASE_CHECKING:
    case RELEASE_HELD:
    case RELEASE_ASKING:
    case RELEASE_FAILED:
        return true;
    case RELEASE_NONE:
    case RELEASE_KNOWN:
    case RELEASE_INSTALLING:
    case RELEASE_PENDING:
    case RELEASE_CONFIRMED:
    case RELEASE_REJECTED:
    case RELEASE_WITHDRAWN:
    case RELEASE_REFUSED:
        return false;
    }
    return false;
}

void release_complete(struct node *n, struct slot *s)
{
    if (s->state == RELEASE_FETCHING || s->state == RELEASE_CHECKING) {
        release_set_state(n, s, RELEASE_CHECKING);
        s->check_due = true;
        return;
    }
    if (s->state == RELEASE_HELD)
        install_consider(n, s);
}

void release_clean_older(struct node *n, const struct slot *newest)
{
    for (uint32_t i = 0; i < n->lim.images; i++) {
        struct slot *o = &n->slots[i];
        if (o == newest || !release_slot_used(o) || o->state == RELEASE_INSTALLING ||
            !digest_equal(&o->m.model_id, &newest->m.model_id) || slot_compare(o, newest) >= 0)
            continue;
        if (o->state != RELEASE_REJECTED) {
            release_drop(n, o);
            continue;
        }
        /* That it was rejected is kept: it would come back if this newer one were withdrawn. */
        exchange_slot_gone(n, slot_index(n, o));
        if (o->opened || o->opening)
            storage_remove(o);
    }
}

static void held(struct node *n, struct slot *s)
{
    uint32_t i = slot_index(n, s);
    char hex[17];
    hex_encode(hex, s->m.digest.b, 8);
    log_info(n->log, "image.complete",
             "slot=%" PRIu32 " version=%s digest=%s origin=%" PRIu64 " peers=%" PRIu64
             " resumed=%" PRIu64,
             i, s->m.version, hex, s->bytes_origin, s->bytes_peer, s->bytes_resumed);
    release_set_state(n, s, RELEASE_HELD);
    node_tell(n, TELL_HELD, i, &s->m.digest);
    for (uint32_t k = 0; k < n->links_top; k++) {
        if (!link_live(&n->links[k]))
            continue;
        stream_of(n, k, i)->held_due = n->links[k].who.role == ROLE_PUBLISHER;
        stream_of(n, k, i)->peers_due = true;
    }
    node_wake_links(n);
    if (s->newest)
        release_clean_older(n, s);
    install_consider(n, s);
}

static void whole_checked(struct node *n, struct slot *s, enum err e)
{
    if (e == E_OK) {
        held(n, s);
        return;
    }
    if (e != E_HASH) {
        release_storage_failed(n, s, e);
        return;
    }
    /* Every block proved itself and yet the flat digest disagrees: either storage changed what was
     * written, or the vendor signed two images in one manifest.  The blocks tell which. */
    s->recheck_all = true;
    s->check_due = true;
}

static void blocks_checked(struct node *n, struct slot *s, enum err e)
{
    s->recheck_all = false;
    if (e == E_OK) {
        s->err = E_HASH;
        log_error(n->log, "release.inconsistent",
                  "version=%s detail=\"tree and flat digest disagree\"", s->m.version);
        exchange_slot_gone(n, slot_index(n, s));
        storage_remove(s);
        release_set_state(n, s, RELEASE_REJECTED);
        return;
    }
    log_warn(n->log, "image.rotten",
             "version=%s detail=\"blocks that changed in storage are fetched again\"",
             s->m.version);
    /* Until it is opened anew nobody knows which blocks are still good. */
    exchange_slot_gone(n, slot_index(n, s));
    s->opened = false;
    release_set_state(n, s, RELEASE_FETCHING);
    s->open_due = true;
}

void release_checked(struct node *n, const struct event *ev)
{
    assert(ev->op >= 1 && (ev->op - 1) / 2 < n->lim.images);
    struct slot *s = &n->slots[(ev->op - 1) / 2];
    bool flat = ((ev->op - 1) & 1) != 0;
    s->checking = false;
    uint32_t block = NONE;
    if (!flat && !s->recheck_all) {
        block = s->recheck;
        s->recheck = NONE; /* another may have been blamed during a check of all: that comes next */
    }
    if (!release_slot_used(s) || !s->opened)
        return;
    if (flat && s->unserved && ev->err == E_OK) {
        s->unserved = false;
        exchange_slot_appeared(n, slot_index(n, s));
    }
    if (flat && s->state == RELEASE_CHECKING)
        whole_checked(n, s, ev->err);
    else if (s->recheck_all)
        blocks_checked(n, s, ev->err);
    else if (ev->err != E_OK && block != NONE)
        exchange_block_lost(n, slot_index(n, s), block);
}

/* A new root may have dropped keys that signed what is held.  What the installer had stays as it
 * is; the bytes stay too, because they may be signed anew. */
void release_rejudge(struct node *n)
{
    bool any = false;
    for (uint32_t i = 0; i < n->lim.images; i++) {
        struct slot *s = &n->slots[i];
        if (!release_slot_used(s) || (!release_mendable(s) && s->state != RELEASE_KNOWN))
            continue;
        uint32_t listed = 0;
        for (uint32_t k = 0; k < s->m.signers_count; k++)
            listed += key_set_has(&n->trust.root.release, &s->m.signers[k]) ? 1 : 0;
        if (listed >= n->trust.root.release.threshold)
            continue;
        log_warn(n->log, "release.unlisted", "version=%s signers=%" PRIu32 " of=%" PRIu32,
                 s->m.version, listed, n->trust.root.release.threshold);
        refuse(n, s, E_THRESHOLD);
        newest_update(n, &s->m.model_id);
        any = true;
    }
    if (any)
        announce_news(n);
}

void release_withdraw(struct node *n, struct slot *s)
{
    uint32_t i = slot_index(n, s);
    exchange_slot_gone(n, i);
    if (s->opened || s->opening)
        storage_remove(s);
    s->open_due = s->check_due = false;
    s->install_batch = 0;
    release_set_state(n, s, RELEASE_WITHDRAWN);
    newest_update(n, &s->m.model_id);
    announce_news(n);
    /* The one before it may be held already. */
    for (uint32_t k = 0; k < n->lim.images; k++)
        install_consider(n, &n->slots[k]);
}

/* ---- actions ---- */

static void next_check(struct node *n, struct slot *s, struct action *act)
{
    uint32_t i = slot_index(n, s);
    bool flat = s->check_due && !s->recheck_all;
    act->type = ACT_CHECK;
    act->op = i * 2 + (flat ? 1u : 0u) + 1;
    act->check.slot = i;
    act->check.whole = flat;
    act->check.want = s->m.digest;
    act->check.block = s->check_due ? 0 : s->recheck;
    act->check.count = s->check_due ? s->geo.blocks : 1;
    if (s->check_due)
        s->recheck = NONE;
    s->check_due = false;
    s->checking = true;
}

bool release_next(struct node *n, struct action *act)
{
    /* All that is shut goes first: its storage may be opened again under another slot. */
    for (uint32_t i = 0; i < n->slots_top; i++) {
        struct slot *s = &n->slots[i];
        if (!s->shut_due)
            continue;
        s->shut_due = false;
        s->open_stale = s->opening; /* what is opened by now is shut again */
        act->type = ACT_SHUT;
        act->shut.slot = i;
        act->shut.remove = s->shut_remove;
        return true;
    }
    for (uint32_t i = 0; i < n->slots_top; i++) {
        struct slot *s = &n->slots[i];
        if (s->open_due && !s->opening && !s->checking) {
            s->open_due = false;
            s->opening = true;
            act->type = ACT_OPEN;
            act->open.slot = i;
            act->open.root = s->m.tree_root;
            act->open.digest = s->m.digest;
            act->open.geo = s->geo;
            act->open.create = !s->adopt;
            return true;
        }
        if ((s->check_due || s->recheck != NONE) && s->opened && !s->checking) {
            next_check(n, s, act);
            return true;
        }
    }
    return false;
}
