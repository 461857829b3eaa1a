/* Installing: what runs now, the floor, freshness, the installer, confirm and reject.
 *
 * The floor (root version, sequence) rises at confirm and lies in a record of its own.  Before the
 * installer starts: the image is held, f+1 verify nodes (else three peers from two kinds of source,
 * else a minute) were asked for something newer, and `installing` is durable.  After a crash in the
 * middle, what runs is hashed and decides; nothing is run again blindly. */
#include "node/internal.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#define FRESH_WAIT     (60 * SEC)
#define FRESH_PEERS    3u
#define FRESH_TOGETHER (600 * SEC) /* answers this near count as one round */
#define SOURCE_INBOUND 0x80u       /* beside enum known_source: it dialled us */
#define RETRY_LATER    (600 * SEC)
#define RETRY_FIRST    (60 * SEC)
#define RETRY_LONGEST  (24 * 3600 * SEC)
#define REHASH_EVERY   (24 * 3600 * SEC)
#define CURRENT_WAIT   (600 * SEC) /* for the device to say what runs */
#define CODE_STOPPED   (-1)        /* it was not started, or power went while it ran */
#define CODE_TAMPERED  (-2)        /* it had succeeded, and then what runs was changed */
#define EXIT_REBOOT    4
#define EXIT_LATER     75
#define FLOOR_FORMAT   1u

static uint32_t slot_index(const struct node *n, const struct slot *s)
{
    return (uint32_t)(s - n->slots);
}

/* ---- the floor ---- */

size_t install_floor_encode(const struct node *n, uint8_t *out)
{
    struct wr w = wr_of(out, HEAD_MAX);
    wr_u8(&w, FLOOR_FORMAT);
    wr_u32(&w, n->floor_root);
    wr_u64(&w, n->floor_sequence);
    return wr_len(&w);
}

void install_floor_load(struct node *n, struct bytes data)
{
    struct rd r = rd_of(data);
    uint8_t format = rd_u8(&r);
    uint32_t root = rd_u32(&r);
    uint64_t sequence = rd_u64(&r);
    if (rd_end(&r) != E_OK || format != FLOOR_FORMAT) {
        log_error(n->log, "record.refused", "what=floor");
        return;
    }
    n->floor_root = root;
    n->floor_sequence = sequence;
}

static void floor_raise(struct node *n, const struct manifest *m)
{
    if (release_compare(m->root_version, m->sequence, n->floor_root, n->floor_sequence) <= 0)
        return;
    n->floor_root = m->root_version;
    n->floor_sequence = m->sequence;
    node_save(n, object_id(OBJ_FLOOR, 0), (struct bytes){NULL, 0});
}

/* Above the floor and above what runs; equal to either only to repair. */
bool install_floor_allows(const struct node *n, const struct manifest *m)
{
    if (n->conf.role == ROLE_VERIFY || n->conf.publish)
        return true;
    if (release_compare(m->root_version, m->sequence, n->floor_root, n->floor_sequence) < 0)
        return false;
    if (!n->current.known || n->current.sequence == 0)
        return true;
    return release_compare(m->root_version, m->sequence, n->current.root_version,
                           n->current.sequence) >= 0;
}

/* ---- what runs now ---- */

/* A release that is held here and is what runs tells its sequence. */
static void current_identify(struct node *n)
{
    for (uint32_t i = 0; i < n->lim.images; i++) {
        const struct slot *s = &n->slots[i];
        if (!release_slot_used(s) || !digest_equal(&s->m.digest, &n->current.digest))
            continue;
        n->current.root_version = s->m.root_version;
        n->current.sequence = s->m.sequence;
        n->current.mismatch = false;
    }
}

static void confirm_slot(struct node *n, struct slot *s)
{
    floor_raise(n, &s->m);
    release_set_state(n, s, RELEASE_CONFIRMED);
    if (s->opened)
        s->install_at = USEC_NEVER; /* else its storage is opened again then */
    node_tell(n, TELL_CONFIRMED, slot_index(n, s), &s->m.digest);
}

static void installed(struct node *n, struct slot *s)
{
    if (n->conf.confirm_on_install)
        confirm_slot(n, s);
    else
        release_set_state(n, s, RELEASE_PENDING);
}

static void install_failed(struct node *n, struct slot *s, int32_t code, usec wait)
{
    s->install_code = code;
    s->install_at = n->now + wait;
    log_warn(n->log, "install.failed",
             "version=%s code=%" PRId32 " tries=%" PRIu32 " retry_s=%" PRIu64, s->m.version, code,
             s->install_tries, wait / SEC);
    release_set_state(n, s, RELEASE_FAILED);
}

static usec backoff(uint32_t tries)
{
    usec wait = RETRY_FIRST;
    for (uint32_t i = 1; i < tries && wait < RETRY_LONGEST; i++)
        wait *= 2;
    return wait < RETRY_LONGEST ? wait : RETRY_LONGEST;
}

void install_again_later(struct node *n, struct slot *s)
{
    s->install_at = n->now + backoff(s->install_tries);
}

/* What was installed and confirmed was changed since: the signed image goes there again, with
 * back-off, because what changed it may do so again. */
static void repair(struct node *n, struct slot *s)
{
    version_compare_own(n, &s->m.id);
    if (n->current.mismatch && n->conf.install)
        install_failed(n, s, CODE_TAMPERED, backoff(s->install_tries));
}

/* The device tells what runs: a pending or interrupted installation is resolved by it. */
static void resolve(struct node *n, struct slot *s)
{
    bool runs = digest_equal(&s->m.digest, &n->current.digest);
    static const uint8_t unknown[16] = {0};
    bool rebooted = n->current.boot_known && memcmp(s->boot, unknown, 16) != 0 &&
                    memcmp(s->boot, n->current.boot, 16) != 0;
    if (s->state == RELEASE_INSTALLING && s->loaded && s->install_batch == 0) {
        s->loaded = false;
        if (runs)
            installed(n, s);
        else /* an installer that takes the device down with it must not do so without end */
            install_failed(n, s, CODE_STOPPED, backoff(s->install_tries));
        return;
    }
    if (s->state != RELEASE_PENDING)
        return;
    if (runs && n->conf.confirm_on_install) {
        confirm_slot(n, s);
    } else if (!runs && rebooted) {
        log_warn(n->log, "release.fell_back",
                 "version=%s detail=\"the device booted another image\"", s->m.version);
        release_set_state(n, s, RELEASE_REJECTED);
    }
}

void install_current(struct node *n, const struct event *ev)
{
    struct current *c = &n->current;
    bool first = !c->known;
    bool changed = first || !digest_equal(&c->digest, &ev->order.digest);
    c->known = true;
    c->digest = ev->order.digest;
    size_t len = ev->order.text.n < VERSION_MAX ? ev->order.text.n : VERSION_MAX;
    memset(c->version, 0, sizeof(c->version));
    if (len > 0)
        memcpy(c->version, ev->order.text.p, len);
    if (changed) {
        c->mismatch = false;
        c->sequence = ev->order.sequence;
        c->root_version = ev->order.sequence != 0 ? n->root_at_start : 0;
    }
    if (ev->order.data.n == sizeof(c->boot)) {
        memcpy(c->boot, ev->order.data.p, sizeof(c->boot));
        c->boot_known = true;
    }
    n->rehash_at = n->now + REHASH_EVERY;
    current_identify(n);
    for (uint32_t i = 0; i < n->lim.images; i++) {
        if (release_slot_used(&n->slots[i]))
            resolve(n, &n->slots[i]);
    }
    if (!n->loaded)
        return;
    version_ask_all(n);
    for (uint32_t i = 0; i < n->lim.images; i++) {
        struct slot *s = &n->slots[i];
        bool runs = digest_equal(&s->m.digest, &c->digest);
        /* What ran was the newest release, and no longer is: it must be fetched after all. */
        if (s->state == RELEASE_KNOWN && !runs && install_floor_allows(n, &s->m))
            release_retry(n, s);
        else if (s->state == RELEASE_FETCHING && runs && first && n->conf.role != ROLE_VERIFY)
            release_runs(n, s);
        else if (s->state == RELEASE_CONFIRMED && !runs && s->newest)
            repair(n, s);
        else if (release_slot_used(s))
            install_consider(n, s);
    }
    install_time(n);
}

/* ---- freshness ---- */

static void fresh_begin(struct node *n)
{
    n->fresh.on = true;
    n->fresh.since = n->now;
    version_ask_all(n);
}

static uint32_t fresh_need(const struct node *n)
{
    return n->trust.root.verify_count > 0 ? (n->trust.root.verify_count - 1) / 3 + 1 : 1;
}

/* Who answered since then: each identity counts once, as it has one link. */
static void fresh_count(const struct node *n, usec since, uint32_t *verify, uint32_t *peers,
                        uint8_t *sources)
{
    *verify = *peers = 0;
    *sources = 0;
    for (uint32_t i = 0; i < n->links_top; i++) {
        const struct nlink *l = &n->links[i];
        if (!link_live(l) || l->answered == 0 || l->answered < since)
            continue;
        if (l->origin)
            (*verify)++;
        else
            (*peers)++;
        *sources |= l->known != NULL ? l->known->sources : SOURCE_INBOUND;
    }
}

void install_fresh_answer(struct node *n, struct nlink *l)
{
    uint32_t verify, peers;
    uint8_t sources;
    l->answered = n->now;
    usec since = n->now > FRESH_TOGETHER ? n->now - FRESH_TOGETHER : 0;
    fresh_count(n, since, &verify, &peers, &sources);
    if (verify >= fresh_need(n))
        n->fresh_at = n->now;
    install_time(n);
}

/* When asking ends in any case. */
static usec fresh_until(const struct node *n)
{
    usec t = n->fresh.since + FRESH_WAIT, current = n->ready_at + CURRENT_WAIT;
    return n->current.known || t > current ? t : current;
}

static bool fresh_enough(const struct node *n)
{
    uint32_t verify, peers;
    uint8_t sources;
    if (n->now >= fresh_until(n))
        return true;
    /* What runs may be newer than all that is known here. */
    if (!n->current.known)
        return false;
    /* An answer told of something newer: it must be seen before anything older is installed. */
    if (wants_a_manifest(n))
        return false;
    fresh_count(n, n->fresh.since, &verify, &peers, &sources);
    if (verify >= fresh_need(n))
        return true;
    bool two_kinds = (sources & (sources - 1)) != 0;
    return verify + peers >= FRESH_PEERS && two_kinds;
}

/* ---- the installer ---- */

/* Is this release to be installed: newer than what runs, or the repair of it? */
static bool install_needed(const struct node *n, const struct slot *s)
{
    if (!n->conf.install || n->conf.role == ROLE_VERIFY || n->conf.publish || !s->newest)
        return false;
    if (n->current.known && digest_equal(&n->current.digest, &s->m.digest))
        return false;
    return install_floor_allows(n, &s->m);
}

void install_consider(struct node *n, struct slot *s)
{
    if (!n->loaded || s->state != RELEASE_HELD ||
        (s->install_at != USEC_NEVER && n->now < s->install_at))
        return;
    s->install_at = USEC_NEVER;
    /* The same image, signed anew, needs no second confirmation. */
    if (s->confirmed_before && n->current.known && digest_equal(&n->current.digest, &s->m.digest)) {
        current_identify(n);
        confirm_slot(n, s);
        return;
    }
    if (!install_needed(n, s))
        return;
    for (uint32_t i = 0; i < n->lim.images; i++) {
        if (n->slots[i].state == RELEASE_INSTALLING || n->installer_runs)
            return; /* one at a time; its end considers again */
    }
    release_set_state(n, s, RELEASE_ASKING);
    fresh_begin(n);
}

static void install_begin(struct node *n, struct slot *s)
{
    n->fresh.on = false;
    s->install_tries++;
    if (n->conf.image_in_place)
        release_unserve(n, s);
    if (n->current.boot_known)
        memcpy(s->boot, n->current.boot, sizeof(s->boot));
    release_set_state(n, s, RELEASE_INSTALLING);
    s->loaded = false;
    s->install_batch =
        node_save(n, object_id(OBJ_RELEASE, slot_index(n, s)), (struct bytes){NULL, 0});
}

/* Back to where an installation begins, or where the image is mended first.  An installer that
 * tried and failed may have found an image that changed in storage. */
static void held_again(struct node *n, struct slot *s)
{
    if (!picker_complete(s->picker))
        release_set_state(n, s, RELEASE_FETCHING);
    else if (s->install_code == EXIT_LATER || s->install_code == 0)
        release_set_state(n, s, RELEASE_HELD);
    else
        release_check(n, s);
    exchange_update_interest(n, slot_index(n, s));
}

/* It does not come to an installation after all. */
static void install_off(struct node *n, struct slot *s)
{
    s->install_tries--;
    release_serve_again(s);
    if (s->opened)
        held_again(n, s);
    else
        install_failed(n, s, EXIT_LATER, RETRY_FIRST);
    for (uint32_t i = 0; i < n->lim.images; i++)
        install_consider(n, &n->slots[i]);
}

void install_saved(struct node *n, uint32_t batch, enum err e)
{
    for (uint32_t i = 0; i < n->lim.images; i++) {
        struct slot *s = &n->slots[i];
        if (s->install_batch == 0 || batch < s->install_batch)
            continue;
        s->install_batch = 0;
        if (s->state != RELEASE_INSTALLING)
            continue;
        if (e != E_OK) {
            install_failed(n, s, CODE_STOPPED, RETRY_FIRST);
        } else if (install_needed(n, s) && s->opened && picker_complete(s->picker)) {
            n->installer_runs = true;
            node_tell(n, TELL_INSTALL, i, &s->m.digest);
        } else {
            install_off(n,
                        s); /* saving took so long that something newer is here, or a block went */
        }
    }
}

static void install_ended(struct node *n, struct slot *s, int32_t code)
{
    s->install_code = code;
    log_info(n->log, "install.done", "version=%s code=%" PRId32, s->m.version, code);
    release_serve_again(s);
    if (code == 0) {
        installed(n, s);
    } else if (code == EXIT_REBOOT) {
        release_set_state(n, s, RELEASE_PENDING);
    } else if (code == EXIT_LATER) {
        s->install_tries--; /* it did not try */
        install_failed(n, s, code, RETRY_LATER);
    } else {
        install_failed(n, s, code, backoff(s->install_tries));
    }
}

void install_result(struct node *n, uint32_t slot, int32_t code)
{
    if (slot >= n->lim.images)
        return;
    n->installer_runs = false;
    /* When it was withdrawn meanwhile, what runs now the device will say. */
    if (n->slots[slot].state == RELEASE_INSTALLING)
        install_ended(n, &n->slots[slot], code);
    /* Something newer may have come while it ran. */
    for (uint32_t i = 0; i < n->lim.images; i++)
        install_consider(n, &n->slots[i]);
}

/* ---- the health check's word ---- */

static struct slot *pending(struct node *n)
{
    for (uint32_t i = 0; i < n->lim.images; i++) {
        if (n->slots[i].state == RELEASE_PENDING)
            return &n->slots[i];
    }
    return NULL;
}

void install_confirm(struct node *n)
{
    struct slot *s = pending(n);
    if (s != NULL)
        confirm_slot(n, s);
}

void install_reject(struct node *n)
{
    struct slot *s = pending(n);
    if (s == NULL)
        return;
    log_warn(n->log, "release.rejected", "version=%s", s->m.version);
    release_set_state(n, s, RELEASE_REJECTED);
}

/* ---- time ---- */

void install_loaded(struct node *n)
{
    if (!n->current.known)
        return;
    current_identify(n);
    for (uint32_t i = 0; i < n->lim.images; i++) {
        if (release_slot_used(&n->slots[i]))
            resolve(n, &n->slots[i]);
    }
}

void install_time(struct node *n)
{
    if (n->now >= n->rehash_at) {
        n->rehash_at = n->now + REHASH_EVERY;
        node_tell(n, TELL_REHASH, 0, NULL);
    }
    for (uint32_t i = 0; i < n->lim.images; i++) {
        struct slot *s = &n->slots[i];
        if (s->state == RELEASE_ASKING && n->fresh.on && fresh_enough(n)) {
            /* Something newer may have been learnt while asking. */
            if (install_needed(n, s))
                install_begin(n, s);
            else
                release_set_state(n, s, RELEASE_HELD);
        }
        if (n->now < s->install_at)
            continue;
        s->install_at = USEC_NEVER;
        if (s->state == RELEASE_FAILED && !s->opened) {
            release_open_again(n, s);
            install_again_later(n, s);
        } else if (s->state == RELEASE_FAILED)
            held_again(n, s);
        else if (s->state == RELEASE_REFUSED)
            release_retry(n, s);
        else if (release_was_installed(s))
            release_open_again(n, s);
        install_consider(n, s);
    }
}

usec install_deadline(const struct node *n)
{
    usec t = n->rehash_at;
    for (uint32_t i = 0; i < n->lim.images; i++) {
        const struct slot *s = &n->slots[i];
        if (s->state == RELEASE_ASKING && n->fresh.on && fresh_until(n) < t)
            t = fresh_until(n);
        if ((s->state == RELEASE_FAILED || s->state == RELEASE_REFUSED ||
             s->state == RELEASE_HELD || release_was_installed(s)) &&
            s->install_at < t)
            t = s->install_at;
    }
    return t;
}
