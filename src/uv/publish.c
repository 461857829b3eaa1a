/* A host that offers one image to one verify node and ends.
 *
 * The image is not copied: the scratch store imports it where it lies.  The end is the verify
 * node's own word (TELL_HELD_AT).  Failure has no single event, so a clock watches: no progress for
 * the timeout ends it with the last thing that went wrong; a far side that cannot be what we want
 * (wrong fleet, wrong key) ends it at once. */
#include "loop.h"

#include "fwswarm/publish.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define WATCH_MS         100u
#define TIMEOUT_MS       30000u
#define REFUSALS_MAX     3u
#define PUBLISH_RESERVE  0u
#define CHECK_BYTES_A_MS 20000u /* the far side hashes at 20 MB/s or better */

struct publish {
    const struct host_publish_options *opt;
    struct host *host;
    struct manifest manifest;
    struct digest *held;
    enum err result, last;
    bool done, link_seen;
    uint32_t refusals;
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

static void on_tell(void *ctx, enum tell what, uint32_t slot, const struct digest *digest)
{
    struct publish *p = ctx;
    if (what != TELL_HELD_AT || slot != 0)
        return;
    *p->held = *digest;
    finish(p, digest_equal(digest, &p->manifest.digest) ? E_OK : E_HASH);
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
    bool hopeless = e == E_AUTH || e == E_FLEET || e == E_UNLISTED || e == E_REVOKED ||
                    e == E_SIGNATURE || e == E_ROLE || e == E_SELF || e == E_VERSION;
    if (hopeless || ++p->refusals == REFUSALS_MAX)
        finish(p, e);
}

/* The far side is known by now: is it a verify node at all? */
static void look_at_link(struct publish *p)
{
    struct node_link_status st;
    if (!node_link_status(p->host->node, 0, &st))
        return;
    if (!p->link_seen)
        p->moved_at = host_now(p->host);
    p->link_seen = true;
    if (st.who.role != ROLE_VERIFY)
        finish(p, E_ROLE);
}

static void on_watch(uv_timer_t *timer)
{
    struct publish *p = timer->data;
    struct node_image_status st;
    uint64_t patience_ms = p->opt->timeout_ms != 0 ? p->opt->timeout_ms : TIMEOUT_MS;
    look_at_link(p);
    usec now = host_now(p->host);
    if (node_image_status(p->host->node, 0, &st) && st.bytes_up != p->sent) {
        p->sent = st.bytes_up;
        p->moved_at = now;
        if (p->opt->progress != NULL)
            p->opt->progress(p->opt->ctx, p->sent < p->manifest.size ? p->sent : p->manifest.size,
                             p->manifest.size);
    }
    /* When all has been sent, the far side reads the whole image once more. */
    if (p->sent > 0)
        patience_ms += p->manifest.size / CHECK_BYTES_A_MS;
    if (now - p->moved_at < patience_ms * 1000u)
        return;
    if (p->link_seen && p->sent == 0)
        finish(p, E_REFUSED);
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

static void give_orders(struct publish *p)
{
    struct event ev = {.type = EV_ORDER};
    ev.order.what = ORDER_RELEASE;
    ev.order.data = p->opt->envelope;
    host_order(p->host, &ev);
    ev = (struct event){.type = EV_ORDER};
    ev.order.what = ORDER_ADOPT;
    host_order(p->host, &ev);
}

static void on_closed(uv_handle_t *handle)
{
    (void)handle;
}

static enum err run(struct publish *p)
{
    struct node_image_status st;
    enum err e = import(p);
    if (e == E_OK)
        e = host_start(p->host);
    if (e != E_OK)
        return e;
    e = manifest_open(&p->manifest, p->opt->envelope, node_trust(p->host->node));
    if (e != E_OK)
        return e;
    give_orders(p);
    if (!node_image_status(p->host->node, 0, &st))
        return E_REFUSED;
    if (st.state == RELEASE_REFUSED)
        return st.err;
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

enum err host_publish(const struct host_publish_options *opt, struct digest *held, struct log *log)
{
    struct publish p = {.opt = opt, .held = held};
    struct device device;
    struct bytes proper;
    struct sig sigs[SIGNERS_MAX];
    memset(held, 0, sizeof(*held));
    /* Size and roots are needed before there is a node that could judge the envelope; it judges it
     * before anything is offered. */
    enum err e = manifest_read(&p.manifest, opt->envelope, &proper, sigs);
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
