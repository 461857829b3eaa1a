/* A publisher that does not give up.
 *
 * It hands the manifest to a verify node, puts the image beside it once the core has a slot for it,
 * and looks again until that node says that it holds it; when the node lost power meanwhile it
 * begins anew with the first that is up.  The same for a stop, which is small: it is given again
 * until the node that took it has it on its disk. */
#include "vendor.h"

#include "checks.h"
#include "disk.h"

#include <string.h>

#define LOOK_US   (SEC / 100)
#define LOOKS_MAX 1000u
#define AGAIN_US  SEC
#define HOLD_MAX  60u /* seconds from adoption to holding, after which it begins anew */

static uint32_t live_verify(const struct world *w)
{
    for (uint32_t i = 0; i < w->verify; i++)
        if (w->node[i].core != NULL && w->node[i].ready && w->node[i].behaviour == BEHAVE_HONEST)
            return i;
    return NONE;
}

usec vendor_last(const struct scenario *scn)
{
    usec last = 0;
    for (uint32_t i = 0; i < scn->releases; i++) {
        const struct scn_release *r = &scn->release[i];
        usec at = r->withdrawn && !scn->vendor_gone ? r->stop_at : r->at;
        if (at > last)
            last = at;
        if (r->at > last)
            last = r->at;
    }
    return last;
}

void vendor_plan(struct world *w)
{
    for (uint32_t i = 0; i < w->releases; i++)
        world_schedule(w, w->scn.release[i].at, TICK_PUBLISH, i, 0, 0);
    if (w->fleet.next_root != NULL)
        world_schedule(w, w->scn.keys.rotate_at, TICK_ROTATE, 0, 0, 0);
    for (uint32_t i = 0; i < w->releases; i++)
        if (w->release[i].withdrawal != NULL)
            world_schedule(w, w->scn.release[i].stop_at, TICK_WITHDRAW, i, 0, 0);
}

void vendor_publish(struct world *w, uint32_t release)
{
    struct release *r = &w->release[release];
    uint32_t node = live_verify(w);
    if (node == NONE) {
        world_schedule(w, w->now + AGAIN_US, TICK_PUBLISH, release, 0, 0);
        return;
    }
    r->taker = node;
    r->taker_boot = w->node[node].boot;
    r->adopted = false;
    struct event ev = {.type = EV_ORDER};
    ev.order.what = ORDER_RELEASE;
    ev.order.data = bytes_of(r->envelope->data, r->envelope->len);
    world_give(w, node, &ev);
    world_drain(w, node);
    world_schedule(w, w->now, TICK_ADOPT, release, 0, 0);
}

/* The slot in which the taker's core keeps the release; NONE: it has not taken it yet. */
static uint32_t find_slot(const struct world *w, uint32_t node, const struct release *r)
{
    const struct sim_node *n = &w->node[node];
    for (uint32_t slot = 0; slot < n->limits->images; slot++) {
        struct node_image_status st;
        if (node_image_status(n->core, slot, &st) &&
            digest_equal(&st.manifest->id, &r->manifest.id))
            return slot;
    }
    return NONE;
}

static bool is_withdrawn(const struct world *w, uint32_t release)
{
    return w->release[release].withdrawal != NULL && w->now >= w->scn.release[release].stop_at;
}

/* A newer one is in force: nodes need not keep this one. */
static bool is_outdone(const struct world *w, uint32_t release)
{
    const struct scn_release *r = w->scn.release;
    const struct manifest *m = &w->release[release].manifest;
    for (uint32_t i = 0; i < w->releases; i++) {
        const struct manifest *o = &w->release[i].manifest;
        if (r[i].model == r[release].model && r[i].at <= w->now && !is_withdrawn(w, i) &&
            release_compare(o->root_version, o->sequence, m->root_version, m->sequence) > 0)
            return true;
    }
    return false;
}

/* After a stop the release before may be at no node any more: it is published anew. */
static void publish_again(struct world *w, uint32_t stopped)
{
    for (uint32_t i = 0; i < w->releases; i++) {
        if (w->scn.release[i].model != w->scn.release[stopped].model ||
            w->scn.release[i].at > w->now || is_withdrawn(w, i) || is_outdone(w, i))
            continue;
        w->release[i].taken = false;
        world_schedule(w, w->now, TICK_PUBLISH, i, 0, 0);
    }
}

static bool has_image(enum release_state s)
{
    return s == RELEASE_HELD || s == RELEASE_ASKING || s == RELEASE_CONFIRMED;
}

static void put_image(struct world *w, uint32_t release, uint32_t slot)
{
    struct release *r = &w->release[release];
    r->adopted = true;
    disk_import(w, r->taker, slot, release);
    struct event ev = {.type = EV_ORDER};
    ev.order.what = ORDER_ADOPT;
    ev.order.slot = slot;
    world_give(w, r->taker, &ev);
    world_drain(w, r->taker);
    world_schedule(w, w->now + AGAIN_US, TICK_ADOPT, release, 0, 0);
}

void vendor_look(struct world *w, uint32_t release, uint32_t tries)
{
    struct release *r = &w->release[release];
    const struct sim_node *n = &w->node[r->taker];
    if (r->taken || is_withdrawn(w, release) || is_outdone(w, release))
        return;
    bool again = n->core == NULL || n->boot != r->taker_boot;
    uint32_t slot = again || r->adopted ? NONE : find_slot(w, r->taker, r);
    /* What was there before leaves first, and would take the image with it. */
    if (slot != NONE && n->disk.slot[slot].leaving > 0)
        slot = NONE;
    if (slot != NONE) {
        struct node_image_status st;
        r->taken = node_image_status(n->core, slot, &st) && has_image(st.state);
        if (!r->taken)
            put_image(w, release, slot);
        return;
    }
    if (!again && tries >= (r->adopted ? HOLD_MAX : LOOKS_MAX)) {
        again = true;
        if (w->scn.faults == 0)
            check_failed(w, r->taker, "does not take a release that the vendor signed");
    }
    if (again)
        world_schedule(w, w->now + AGAIN_US, TICK_PUBLISH, release, 0, 0);
    else
        world_schedule(w, w->now + (r->adopted ? AGAIN_US : LOOK_US), TICK_ADOPT, release,
                       tries + 1, 0);
}

/* Does the node's disk hold a record of this kind with these bytes? */
static bool disk_keeps(const struct disk *d, enum object_kind kind, const struct blob *b)
{
    for (size_t i = 0; i < d->records; i++)
        if (object_kind_of(d->record[i].object) == kind && d->record[i].blob->len == b->len &&
            memcmp(d->record[i].blob->data, b->data, b->len) == 0)
            return true;
    return false;
}

void vendor_rotate(struct world *w)
{
    const struct blob *root = w->fleet.next_root;
    uint32_t node = live_verify(w);
    if (node != NONE && disk_keeps(&w->node[node].disk, OBJ_ROOT, root))
        return;
    if (node != NONE) {
        struct event ev = {.type = EV_ORDER};
        ev.order.what = ORDER_TRUST;
        ev.order.data = bytes_of(root->data, root->len);
        world_give(w, node, &ev);
        world_drain(w, node);
    }
    /* Its disk may lose it. */
    world_schedule(w, w->now + AGAIN_US, TICK_ROTATE, 0, 0, 0);
}

void vendor_withdraw(struct world *w, uint32_t release)
{
    struct release *r = &w->release[release];
    uint32_t node = live_verify(w);
    if (node == NONE) {
        world_schedule(w, w->now + AGAIN_US, TICK_WITHDRAW, release, 0, 0);
        return;
    }
    struct event ev = {.type = EV_ORDER};
    ev.order.what = ORDER_WITHDRAW;
    ev.order.data = bytes_of(r->withdrawal->data, r->withdrawal->len);
    world_give(w, node, &ev);
    world_drain(w, node);
    /* Its disk may lose it. */
    if (disk_keeps(&w->node[node].disk, OBJ_WITHDRAWAL, r->withdrawal))
        publish_again(w, release);
    else
        world_schedule(w, w->now + AGAIN_US, TICK_WITHDRAW, release, 0, 0);
}

static bool replaced(const struct world *w, uint32_t release)
{
    const struct scn_release *r = w->scn.release;
    for (uint32_t i = 0; i < w->releases; i++)
        if (r[i].model == r[release].model && r[i].sequence > r[release].sequence &&
            !r[i].withdrawn)
            return true;
    return false;
}

/* Everything that devices shall come to is out, and nothing of it is at one node alone. */
static bool all_spread(const struct world *w)
{
    for (uint32_t i = 0; i < w->releases; i++)
        if (!w->release[i].spread && !replaced(w, i) && !w->scn.release[i].withdrawn)
            return false;
    return true;
}

static uint32_t last_release(const struct world *w)
{
    uint32_t last = 0;
    for (uint32_t i = 1; i < w->releases; i++)
        if (w->scn.release[i].at >= w->scn.release[last].at)
            last = i;
    return last;
}

void vendor_held(struct world *w, uint32_t node, uint32_t release)
{
    struct release *r = &w->release[release];
    if (node == r->taker)
        r->taken = true;
    else if (w->node[node].behaviour == BEHAVE_HONEST)
        r->spread = true;
    else
        return;
    const struct release *last = &w->release[last_release(w)];
    if (w->scn.vendor_gone && last->taken && all_spread(w))
        world_schedule(w, w->now, TICK_GONE, last->taker, 0, 0);
}
