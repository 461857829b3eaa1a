/* A host that hands over what it was given to one verify node and ends.
 *
 * The image is not copied: the scratch store imports it where it lies.  The end is the verify
 * node's own word: TELL_HELD_AT, TELL_STOPPED_AT and TELL_TRUSTED_AT, as far as each was waited
 * for.  Failure has no single event, so a clock watches: no progress for the timeout ends it with
 * the last thing that went wrong; a far side that cannot be what we want (wrong fleet, wrong key)
 * ends it at once.  A node of another fleet cannot read our first word, and hangs up without one
 * of its own: a connection that was made and then closed before there was a link. */
#include "loop.h"

#include "fwswarm/publish.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define WATCH_MS         100u
#define TIMEOUT_MS       30000u
#define FAILURES_MAX     2u /* dials in a row, before there was a link */
#define FAILURES_LATER   4u /* and after: the verify node may have been started again */
#define PUBLISH_RESERVE  0u
#define CHECK_BYTES_A_MS 20000u /* the far side hashes at 20 MB/s or better */

/* What the verify node has still to confirm. */
enum {
    WAIT_HELD = 1,
    WAIT_STOPPED = 2,
    WAIT_TRUSTED = 4,
};

struct publish {
    const struct host_publish_options *opt;
    struct host *host;
    struct manifest manifest;
    struct withdrawal withdrawal;
    struct digest *held;
    enum err result, last;
    uint32_t waiting;
    bool done, link_seen;
    uint32_t failures;
    uint64_t sent;
    usec moved_at;
    uv_timer_t watch;
};

static void finish(struct publish *p, enum err e)
{
    if (p->done)
        return;
    p->done = true;
    p->result = e;
    host_stop(p->host);
}

static void confirmed(struct publish *p, uint32_t what)
{
    if ((p->waiting & what) == 0)
        return;
    p->waiting &= ~what;
    p->moved_at = host_now(p->host);
    if (p->waiting == 0)
        finish(p, E_OK);
}

/* Is all that was given good by these roots? */
static enum err judge(struct publish *p, const struct trust *t)
{
    struct member who;
    enum err e = cert_judge(&who, bytes_of(NULL, 0), &p->opt->identity->pub, t);
    if (e == E_OK && p->opt->envelope.n > 0)
        e = manifest_open(&p->manifest, p->opt->envelope, t);
    if (e == E_OK && p->opt->withdrawal.n > 0)
        e = withdrawal_open(&p->withdrawal, p->opt->withdrawal, t);
    return e;
}

/* The verify node may know newer roots than we came with. */
static void trust_changed(struct publish *p)
{
    const struct trust *t = node_trust(p->host->node);
    enum err e = judge(p, t);
    if (e != E_OK)
        finish(p, key_set_has(&t->root.publisher, &p->opt->identity->pub) ? E_STALE : E_UNLISTED);
}

static void on_tell(void *ctx, enum tell what, uint32_t slot, const struct digest *digest)
{
    struct publish *p = ctx;
    switch (what) {
    case TELL_HELD_AT:
        if (slot != 0)
            return;
        *p->held = *digest;
        if (digest_equal(digest, &p->manifest.digest))
            confirmed(p, WAIT_HELD);
        else
            finish(p, E_HASH);
        return;
    case TELL_STOPPED_AT:
        if (digest_equal(digest, &p->withdrawal.manifest))
            confirmed(p, WAIT_STOPPED);
        return;
    case TELL_TRUSTED_AT:
        confirmed(p, WAIT_TRUSTED);
        return;
    case TELL_TRUST:
        trust_changed(p);
        return;
    case TELL_INSTALL:
    case TELL_HELD:
    case TELL_CONFIRMED:
    case TELL_REHASH:
        return;
    }
}

/* A dial that failed, or a link that ended. */
static void on_down(void *ctx, uint32_t op, enum err e)
{
    struct publish *p = ctx;
    if (p->done || e == E_OK)
        return;
    p->last = e;
    if (op == 0)
        return;
    if (e == E_CLOSED && !p->link_seen)
        p->last = E_AUTH;
    bool hopeless = e == E_AUTH || e == E_FLEET || e == E_UNLISTED || e == E_REVOKED ||
                    e == E_SIGNATURE || e == E_ROLE || e == E_SELF || e == E_VERSION;
    if (hopeless || ++p->failures >= (p->link_seen ? FAILURES_LATER : FAILURES_MAX))
        finish(p, p->last);
}

/* Is there a link?  The far side is known by then: is it a verify node at all? */
static bool look_at_link(struct publish *p)
{
    struct node_link_status st;
    if (!node_link_status(p->host->node, 0, &st))
        return false;
    if (!p->link_seen)
        p->moved_at = host_now(p->host);
    p->link_seen = true;
    p->failures = 0;
    if (st.who.role != ROLE_VERIFY)
        finish(p, E_ROLE);
    return true;
}

static void look_at_image(struct publish *p)
{
    struct node_image_status st;
    if (!node_image_status(p->host->node, 0, &st))
        return;
    if (st.state == RELEASE_WITHDRAWN)
        finish(p, E_WITHDRAWN);
    if (st.bytes_up == p->sent)
        return;
    p->sent = st.bytes_up;
    p->moved_at = host_now(p->host);
    if (p->opt->progress != NULL)
        p->opt->progress(p->opt->ctx, p->sent < p->manifest.size ? p->sent : p->manifest.size,
                         p->manifest.size);
}

static void on_watch(uv_timer_t *timer)
{
    struct publish *p = timer->data;
    uint64_t patience_ms = p->opt->timeout_ms != 0 ? p->opt->timeout_ms : TIMEOUT_MS;
    bool linked = look_at_link(p);
    look_at_image(p);
    /* When the far side has all bytes, now or from before, it reads the whole image once more. */
    if (p->link_seen)
        patience_ms += p->manifest.size / CHECK_BYTES_A_MS;
    if (host_now(p->host) - p->moved_at < patience_ms * 1000u)
        return;
    if (linked)
        finish(p, p->sent > 0 && (p->waiting & WAIT_HELD) ? E_TIMEOUT : E_REJECTED);
    else
        finish(p, p->link_seen || p->last == E_OK ? E_TIMEOUT : p->last);
}

static void on_hashing(void *ctx, uint64_t done)
{
    struct publish *p = ctx;
    (void)done;
    if (p->opt->progress != NULL)
        p->opt->progress(p->opt->ctx, 0, p->manifest.size);
}

static enum err import(struct publish *p)
{
    const struct manifest *m = &p->manifest;
    struct geometry g;
    enum err e = geometry_init(&g, m->size, m->piece_length);
    if (e != E_OK)
        return e;
    return store_image_import(p->host->store, 0, p->opt->image_path, &m->tree_root, &m->digest, &g,
                              on_hashing, p);
}

static void give_order(struct publish *p, enum order what, struct bytes data, struct bytes data2)
{
    struct event ev = {.type = EV_ORDER};
    ev.order.what = what;
    ev.order.data = data;
    ev.order.data2 = data2;
    host_order(p->host, &ev);
}

/* The core refuses quietly what it is ordered to take, so all of it was judged before. */
static enum err give_orders(struct publish *p)
{
    const struct host_publish_options *opt = p->opt;
    const struct bytes none = bytes_of(NULL, 0);
    struct node_image_status st;
    if (opt->revocations.n > 0)
        give_order(p, ORDER_TRUST, none, opt->revocations);
    if (opt->withdrawal.n > 0)
        give_order(p, ORDER_WITHDRAW, opt->withdrawal, none);
    if (opt->envelope.n == 0)
        return E_OK;
    give_order(p, ORDER_RELEASE, opt->envelope, none);
    give_order(p, ORDER_ADOPT, none, none);
    if (!node_image_status(p->host->node, 0, &st))
        return E_WITHDRAWN; /* by the withdrawal that came with it */
    return st.state == RELEASE_REFUSED ? st.err : E_OK;
}

static void on_closed(uv_handle_t *handle)
{
    (void)handle;
}

static enum err judge_list(const struct publish *p)
{
    struct trust *t = must_alloc(sizeof(*t));
    *t = *node_trust(p->host->node);
    enum err e = p->opt->revocations.n > 0 ? trust_revoke(t, p->opt->revocations) : E_OK;
    free(t);
    return e;
}

static enum err run(struct publish *p)
{
    enum err e = p->opt->envelope.n > 0 ? import(p) : E_OK;
    if (e == E_OK)
        e = host_start(p->host);
    if (e == E_OK)
        e = judge(p, node_trust(p->host->node));
    if (e == E_OK)
        e = judge_list(p);
    if (e == E_OK)
        e = give_orders(p);
    if (e != E_OK)
        return e;
    p->moved_at = host_now(p->host);
    p->watch.data = p;
    int r = uv_timer_init(&p->host->loop, &p->watch);
    r |= uv_timer_start(&p->watch, on_watch, WATCH_MS, WATCH_MS);
    assert(r == 0);
    uv_unref((uv_handle_t *)&p->watch);
    host_run(p->host);
    if (!p->done)
        p->result = E_CLOSED; /* a signal */
    p->done = true;
    uv_close((uv_handle_t *)&p->watch, on_closed);
    return p->result;
}

/* Size and roots are needed before there is a node that could judge the envelope; it judges it
 * before anything is offered. */
static enum err read_manifest(struct publish *p)
{
    struct bytes proper;
    struct sig sigs[SIGNERS_MAX];
    if ((p->opt->envelope.n > 0) != (p->opt->image_path != NULL))
        return E_USAGE;
    return p->opt->envelope.n > 0 ? manifest_read(&p->manifest, p->opt->envelope, &proper, sigs)
                                  : E_OK;
}

enum err host_publish(const struct host_publish_options *opt, struct digest *held, struct log *log)
{
    struct publish p = {.opt = opt, .held = held, .waiting = WAIT_TRUSTED};
    struct device device;
    memset(held, 0, sizeof(*held));
    if (opt->envelope.n > 0)
        p.waiting |= WAIT_HELD;
    if (opt->withdrawal.n > 0)
        p.waiting |= WAIT_STOPPED;
    enum err e = read_manifest(&p);
    if (e == E_OK)
        e = device_make(&device, opt->identity, opt->root_chain, log);
    if (e != E_OK)
        return e;
    struct limits limits = limits_verify;
    limits.links = 8;
    limits.images = 1;
    limits.known = 16;
    struct host_options ho = {
        .device = &device,
        .limits = &limits,
        .data_dir = "",
        .reserve = PUBLISH_RESERVE,
        .trackers = {.count = 1, .addr = &opt->to},
        .up_rate = opt->up_rate,
        .publish = true,
    };
    e = device.who.role == ROLE_PUBLISHER ? host_open(&p.host, &ho, log, NULL) : E_ROLE;
    if (e == E_OK) {
        p.host->watch.ctx = &p;
        p.host->watch.tell = on_tell;
        p.host->watch.down = on_down;
        e = run(&p);
        host_close(p.host);
    }
    device_close(&device);
    return e;
}
