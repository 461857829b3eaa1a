/* The loop: take what comes first, give it to one core, do what that core wants, wake it again when
 * it says, and check.
 *
 * Two orders of time meet here: the heap of scheduled ticks and the nodes' deadlines.  At equal
 * times ticks go first.  A core is drained after every event, so the body of a message lives
 * exactly as long as the step that it belongs to.  Whatever names a node's memory (a tick for its
 * disk, say) carries the node's boot number and is dropped when that boot is over. */
#include "world.h"

#include "address.h"
#include "adversary.h"
#include "channel.h"
#include "checks.h"
#include "disk.h"
#include "fault.h"
#include "fleet.h"
#include "lan.h"
#include "net.h"
#include "report.h"
#include "settle.h"
#include "trace.h"
#include "vendor.h"
#include "weather.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define BOOT_SPREAD (SEC / 10) /* devices come up within this time */
#define POLL_US     (600 * SEC)
#define INSTALL_US  (2 * SEC)
#define ACTIONS_MAX 100000u /* of one drain: beyond it a core does not stop */

void world_schedule(struct world *w, usec at, enum tick_kind kind, uint32_t a, uint32_t b,
                    uint32_t c)
{
    assert(at >= w->now);
    heap_push(&w->heap, at, (uint32_t)kind, a, b, c);
}

/* ---- steps ---- */

void world_give(struct world *w, uint32_t node, struct event *ev)
{
    assert(w->node[node].core != NULL);
    ev->now = node_clock(&w->node[node], w->now);
    w->steps++;
    w->log.now_us = w->now;
    if (w->trace != NULL)
        snprintf(w->log.node, sizeof(w->log.node), "%u", node);
    trace_event(w, node, ev);
    if (w->node[node].behaviour != BEHAVE_HONEST && !adversary_event(w, node, ev))
        return;
    check_event(w, node, ev);
    node_step(w->node[node].core, ev);
}

static void do_send(struct world *w, uint32_t node, struct action *act, uint8_t *head)
{
    struct body body = {0};
    bool has = act->send.span.object != OBJ_NONE;
    enum err read = has ? disk_serve(&w->node[node].disk, &act->send.span, &body) : E_OK;
    bool held = read == E_OK;
    if (w->node[node].behaviour != BEHAVE_HONEST &&
        !adversary_action(w, node, act, head, has && held ? &body : NULL)) {
        blob_drop(body.blob);
        return;
    }
    uint32_t credit = act->head_len + act->send.span.len;
    if (read == E_IO) {
        net_unsent(w, node, act->link, credit);
        return;
    }
    if (!held) {
        check_failed(w, node, "serves object %08x at %" PRIu64 " length %u, which it does not hold",
                     act->send.span.object, act->send.span.off, act->send.span.len);
        net_close(w, node, act->link, E_IO);
        return;
    }
    check_send(w, node, act, head, has ? &body : NULL);
    if (!net_send(w, node, act->link, head, act->head_len, has ? &body : NULL, credit))
        blob_drop(body.blob);
}

static void give_current(struct world *w, uint32_t node)
{
    const struct sim_node *n = &w->node[node];
    if (n->member.role != ROLE_NORMAL)
        return;
    uint8_t boot[16] = {0};
    struct wr bw = wr_of(boot, sizeof(boot));
    wr_u32(&bw, node);
    wr_u32(&bw, n->boot);
    struct event ev = {.type = EV_ORDER};
    ev.order.what = ORDER_CURRENT;
    ev.order.digest = n->current;
    ev.order.size = n->current_size;
    ev.order.sequence = n->current_sequence;
    ev.order.text = bytes_str(n->current_version);
    ev.order.data = bytes_of(boot, sizeof(boot));
    world_give(w, node, &ev);
}

static int release_order(const struct world *w, uint32_t a, uint32_t b)
{
    const struct manifest *x = &w->release[a].manifest, *y = &w->release[b].manifest;
    return release_compare(x->root_version, x->sequence, y->root_version, y->sequence);
}

/* A device has come to a release: it holds it, or it runs it for good. */
static void arrived(struct world *w, uint32_t node, uint32_t release, bool confirmed)
{
    struct sim_node *n = &w->node[node];
    bool there = n->want == NONE || release == n->want;
    /* Who runs what was withdrawn later, and is newer, cannot go back. */
    if (confirmed && !there)
        there = release_order(w, release, n->want) > 0;
    if (!there)
        return;
    if (n->held_at == USEC_NEVER) {
        n->held_at = w->now;
        w->unheld -= node_counts(n);
    }
    if (confirmed && n->confirmed_at == USEC_NEVER) {
        n->confirmed_at = w->now;
        w->unconfirmed -= node_counts(n);
    }
}

/* The host hashes the image again; then the installer has what it needs, whatever becomes of it. */
static void install_begin(struct world *w, uint32_t node, uint32_t slot)
{
    struct sim_node *n = &w->node[node];
    uint32_t code = (uint32_t)disk_install_code(&n->disk, slot);
    uint32_t release = n->disk.slot[slot].release;
    assert(slot < 256 && release < 256 && code < 256);
    world_schedule(w, w->now + INSTALL_US, TICK_INSTALLED, node, n->boot,
                   slot | release << 8 | code << 16);
}

static void do_tell(struct world *w, uint32_t node, const struct action *act)
{
    struct sim_node *n = &w->node[node];
    uint32_t slot = act->tell.slot;
    bool bound = slot < n->disk.slots && n->disk.slot[slot].bound;
    switch (act->tell.what) {
    case TELL_INSTALL:
        check_held(w, node, slot);
        if (bound)
            install_begin(w, node, slot);
        return;
    case TELL_HELD:
        check_held(w, node, slot);
        if (!bound)
            return;
        arrived(w, node, n->disk.slot[slot].release, false);
        vendor_held(w, node, n->disk.slot[slot].release);
        return;
    case TELL_CONFIRMED:
        if (bound)
            arrived(w, node, n->disk.slot[slot].release, true);
        return;
    case TELL_REHASH:
        world_schedule(w, w->now, TICK_REHASHED, node, n->boot, 0);
        return;
    case TELL_HELD_AT:
    case TELL_STOPPED_AT:
    case TELL_TRUSTED_AT:
    case TELL_TRUST:
        return;
    }
}

static void perform(struct world *w, uint32_t node, struct action *act, uint8_t *head)
{
    if (w->node[node].behaviour != BEHAVE_HONEST && act->type != ACT_SEND &&
        !adversary_action(w, node, act, head, NULL))
        return;
    check_action(w, node, act, head);
    switch (act->type) {
    case ACT_DIAL:
        net_dial(w, node, act->op, &act->dial.addr);
        return;
    case ACT_SEND:
        do_send(w, node, act, head);
        return;
    case ACT_CAST:
        if (!lan_cast(w, node, head, act->head_len))
            check_failed(w, node, "speaks to a LAN, and there is none");
        return;
    case ACT_CLOSE:
        if (!net_close(w, node, act->link, act->err))
            check_failed(w, node, "closes link %u, which it does not have", act->link);
        return;
    case ACT_OPEN:
        disk_open(w, node, act);
        return;
    case ACT_SHUT:
        disk_shut(w, node, act);
        return;
    case ACT_STORE:
        disk_store(w, node, act);
        return;
    case ACT_SAVE:
        disk_save(w, node, act, head);
        return;
    case ACT_CHECK:
        disk_check(w, node, act);
        return;
    case ACT_TELL:
        do_tell(w, node, act);
        return;
    }
}

/* Does all that a core wants now.  Returns how many actions there were; moved: one of them may have
 * changed what check_state() looks at. */
static uint32_t act_out(struct world *w, uint32_t node, bool *moved)
{
    struct sim_node *n = &w->node[node];
    struct action act;
    uint8_t head[HEAD_MAX];
    uint32_t count = 0;
    w->drains++;
    while (node_next(n->core, &act, head)) {
        if (act.head_len > HEAD_MAX) {
            check_failed(w, node, "a head of %u bytes", act.head_len);
            continue;
        }
        if (w->trace != NULL)
            trace_action(w, &act, head);
        perform(w, node, &act, head);
        *moved = *moved || act.type == ACT_SAVE || act.type == ACT_TELL || act.type == ACT_DIAL;
        if (++count == ACTIONS_MAX) {
            check_failed(w, node, "%u actions in one drain", count);
            w->broken = true;
            break;
        }
    }
    return count;
}

/* Drains, and returns how many actions there were.  What the kernel takes at once gives credit, for
 * which the core may have more to say. */
static uint32_t drain(struct world *w, uint32_t node)
{
    struct sim_node *n = &w->node[node];
    uint32_t count = 0;
    bool moved = false;
    do
        count += act_out(w, node, &moved);
    while (!w->broken && net_flush(w, node));
    disk_kick(w, node);
    check_drained(w, node);
    if (moved && n->ready)
        check_state(w, node);
    alarms_set(&w->alarms, node, node_alarm(n, node_deadline(n->core)));
    return count;
}

void world_drain(struct world *w, uint32_t node)
{
    drain(w, node);
}

/* ---- the lives of nodes ---- */

static void give_known(struct world *w, uint32_t node)
{
    for (uint32_t i = 0; i < w->verify; i++) {
        if (i == node)
            continue;
        struct event ev = {.type = EV_ORDER};
        ev.order.what = ORDER_KNOW;
        ev.order.flag = true;
        ev.order.addr = address_seen(w, i, node);
        world_give(w, node, &ev);
        world_drain(w, node);
    }
}

static void init_core(struct world *w, uint32_t node)
{
    struct sim_node *n = &w->node[node];
    struct node_config conf = {.role = n->member.role,
                               .port = n->addr.port,
                               .install = n->member.role == ROLE_NORMAL,
                               .confirm_on_install = n->member.role == ROLE_NORMAL,
                               .poll_us = POLL_US};
    if (n->model != NONE)
        memcpy(conf.model, w->scn.model[n->model], sizeof(conf.model));
    conf.lan = lan_has(w, node);
    conf.lan_interfaces = conf.lan ? 1 : 0;
    struct digest seed;
    fleet_derive(&seed, w->scn.seed, "boot", (uint64_t)node << 32 | n->boot);
    if (n->mem == NULL)
        n->mem = sim_pages(node_size(n->limits));
    else
        sim_pages_clear(n->mem, node_size(n->limits));
    n->core = node_init(n->mem, n->limits, &conf, seed.b, &w->log);
}

static void boot(struct world *w, uint32_t node)
{
    struct sim_node *n = &w->node[node];
    if (n->core != NULL || n->gone || !fault_lets_boot(w, node))
        return;
    n->boot++;
    init_core(w, node);
    struct event ev = {.type = EV_START};
    ev.start.identity = &n->signer;
    ev.start.root_chain = bytes_of(w->fleet.root->data, w->fleet.root->len);
    ev.start.cert = bytes_of(n->cert, n->cert_len);
    world_give(w, node, &ev);
    world_drain(w, node);
    disk_load(w, node);
    ev = (struct event){.type = EV_READY};
    world_give(w, node, &ev);
    n->ready = true;
    world_drain(w, node);
    give_current(w, node);
    world_drain(w, node);
    give_known(w, node);
}

void world_crash(struct world *w, uint32_t node)
{
    struct sim_node *n = &w->node[node];
    assert(n->core != NULL && n->lent == NULL);
    trace_note(w, node, "crash");
    n->core = NULL;
    n->ready = false;
    n->seen_floor_root = n->kept_floor_root;
    n->seen_floor_sequence = n->kept_floor_sequence;
    n->stores_out = 0;
    n->spins = 0;
    alarms_set(&w->alarms, node, USEC_NEVER);
    net_break(w, node);
    disk_crash(&n->disk);
}

void world_leave(struct world *w, uint32_t node)
{
    struct sim_node *n = &w->node[node];
    bool counted = node_counts(n) && !n->gone;
    w->unheld -= counted && n->held_at == USEC_NEVER;
    w->unconfirmed -= counted && n->confirmed_at == USEC_NEVER;
    n->gone = true;
    if (n->core != NULL)
        world_crash(w, node);
    fault_left(w, node);
}

/* ---- ticks ---- */

static void installed(struct world *w, uint32_t node, uint32_t what)
{
    struct sim_node *n = &w->node[node];
    uint32_t slot = what & 0xff, code = what >> 16;
    const struct manifest *m = &w->release[what >> 8 & 0xff].manifest;
    if (code == 0) {
        n->current = m->digest;
        n->current_size = m->size;
        n->current_sequence = m->sequence;
        memcpy(n->current_version, m->version, sizeof(n->current_version));
        world_schedule(w, w->now, TICK_REHASHED, node, n->boot, 0);
    }
    struct event ev = {.type = EV_ORDER};
    ev.order.what = ORDER_INSTALLED;
    ev.order.slot = slot;
    ev.order.code = (int32_t)code;
    world_give(w, node, &ev);
}

/* Ticks of one boot of a node. */
static void node_tick(struct world *w, const struct tick *t)
{
    const struct sim_node *n = &w->node[t->a];
    if (n->core == NULL || n->boot != t->b)
        return;
    if (t->kind == TICK_DISK)
        disk_done(w, t->a);
    else if (t->kind == TICK_CHECKED)
        disk_checked(w, t->a);
    else if (t->kind == TICK_REHASHED)
        give_current(w, t->a);
    else
        installed(w, t->a, t->c);
    world_drain(w, t->a);
    if (t->kind == TICK_DISK)
        check_kept(w, t->a);
}

static void do_tick(struct world *w, const struct tick *t)
{
    switch ((enum tick_kind)t->kind) {
    case TICK_BOOT:
        boot(w, t->a);
        return;
    case TICK_PUBLISH:
        vendor_publish(w, t->a);
        return;
    case TICK_ADOPT:
        vendor_look(w, t->a, t->b);
        return;
    case TICK_WITHDRAW:
        vendor_withdraw(w, t->a);
        return;
    case TICK_ROTATE:
        vendor_rotate(w);
        return;
    case TICK_GONE:
        world_leave(w, t->a);
        return;
    case TICK_ADVERSARY:
        adversary_tick(w, t->a, t->b);
        return;
    case TICK_LEFT:
    case TICK_PLACE:
    case TICK_ARRIVE:
    case TICK_DELIVER:
    case TICK_ROOM:
    case TICK_ROUND:
    case TICK_PROBE:
    case TICK_IDLE:
    case TICK_SHAKE:
    case TICK_ACCEPT:
    case TICK_DOWN:
        net_tick(w, t);
        return;
    case TICK_CAST:
        lan_tick(w, t->a);
        return;
    case TICK_DISK:
    case TICK_CHECKED:
    case TICK_REHASHED:
    case TICK_INSTALLED:
        node_tick(w, t);
        return;
    case TICK_FAULT:
        fault_strike(w, t->a);
        return;
    }
}

static void wake(struct world *w, uint32_t node)
{
    struct event ev = {.type = EV_TIME};
    world_give(w, node, &ev);
    bool acted = drain(w, node) > 0;
    check_deadline(w, node, acted);
}

static void look_ahead(const struct world *w)
{
    for (unsigned ahead = 1; ahead <= 3; ahead++) {
        const struct tick *t = heap_peek(&w->heap, ahead - 1);
        if (t != NULL)
            net_prefetch(w, t, ahead);
    }
}

bool world_step(struct world *w)
{
    usec tick_at = heap_first(&w->heap), alarm_at = alarms_at(&w->alarms);
    usec at = tick_at <= alarm_at ? tick_at : alarm_at;
    /* What still goes wrong must not break what was reached. */
    bool done = w->unconfirmed == 0 && w->now >= w->chaos_end;
    if (done || w->broken || at == USEC_NEVER)
        return false;
    if (at > w->until) {
        w->now = w->until;
        return false;
    }
    /* A deadline may lie in the past; time does not. */
    if (at > w->now)
        w->now = at;
    if (tick_at <= alarm_at) {
        struct tick t = heap_pop(&w->heap);
        look_ahead(w);
        do_tick(w, &t);
    } else {
        wake(w, alarms_first(&w->alarms));
    }
    return true;
}

/* ---- building ---- */

/* The release that a device shall come to: its model's newest that is not withdrawn. */
static void choose_want(struct world *w, struct sim_node *n)
{
    for (uint32_t i = 0; i < w->releases; i++) {
        const struct release *r = &w->release[i];
        if (w->scn.release[i].model != n->model || r->withdrawal != NULL)
            continue;
        if (n->want == NONE || release_order(w, i, n->want) > 0)
            n->want = i;
    }
    const struct scn_group *g = &w->scn.group[n->group];
    if (n->want == NONE)
        return;
    /* What it runs stands under the first root. */
    const struct manifest *m = &w->release[n->want].manifest;
    int c = release_compare(1, g->installed, m->root_version, m->sequence);
    n->moved = c <= 0 && !digest_equal(&n->current, &m->digest);
}

static void node_build(struct world *w, uint32_t node)
{
    struct sim_node *n = &w->node[node];
    n->ends = NONE;
    n->held_at = USEC_NEVER;
    n->confirmed_at = USEC_NEVER;
    fleet_enrol(w, node);
    disk_init(&n->disk, n->limits->images);
    if (n->model != NONE)
        choose_want(w, n);
    if (!n->moved) {
        n->held_at = 0;
        n->confirmed_at = 0;
    }
    w->unheld += n->moved && node_counts(n);
    w->unconfirmed += n->moved && node_counts(n);
    usec join = w->scn.group[n->group].join;
    if (n->member.role == ROLE_NORMAL)
        join += rng_below(&w->rng, (uint32_t)BOOT_SPREAD);
    world_schedule(w, join, TICK_BOOT, node, 0, 0);
}

/* Faults without an end heal when the others have healed, and not before all could be done. */
static usec chaos_end(const struct world *w, usec bound)
{
    usec end = 0;
    for (uint32_t i = 0; i < w->scn.faults; i++) {
        const struct scn_fault *f = &w->scn.fault[i];
        usec till = f->at + (f->lasts > 0 ? f->lasts : bound);
        if (till > end)
            end = till;
    }
    return end;
}

static usec liveness_limit(const struct world *w, usec bound)
{
    usec from = w->chaos_end, last = vendor_last(&w->scn);
    if (last > from)
        from = last;
    for (uint32_t i = 0; i < w->scn.groups; i++)
        if (w->scn.group[i].join > from)
            from = w->scn.group[i].join;
    return from + 3 * bound + 600 * SEC;
}

static bool open_trace(struct world *w)
{
    if (w->opt.trace == NULL)
        return true;
    w->trace = fopen(w->opt.trace, "w");
    if (w->trace == NULL) {
        fprintf(stderr, "fwswarm-sim: cannot write %s: ", w->opt.trace);
        perror(NULL);
        return false;
    }
    w->log = (struct log){.level = LOG_DEBUG, .sink = trace_log, .ctx = w};
    return true;
}

bool world_init(struct world *w, const struct scenario *scn, const struct options *opt)
{
    memset(w, 0, sizeof(*w));
    w->scn = *scn;
    w->opt = *opt;
    settle_nodes(w);
    net_init(&w->net);
    alarms_init(&w->alarms, w->count);
    struct digest seed;
    fleet_derive(&seed, scn->seed, "world", 0);
    rng_init(&w->rng, seed.b);
    if (!fleet_init(w) || !open_trace(w))
        return false;
    for (uint32_t i = 0; i < w->count; i++)
        node_build(w, i);
    usec bound = report_bound(w);
    w->chaos_end = chaos_end(w, bound);
    w->until = scn->until > 0 ? scn->until : liveness_limit(w, bound);
    if (opt->link_real)
        channel_init(w);
    vendor_plan(w);
    weather_init(w);
    adversary_init(w);
    check_init(w);
    fault_plan(w, bound);
    return true;
}

void world_fini(struct world *w)
{
    net_fini(w);
    for (uint32_t i = 0; i < w->count; i++) {
        disk_fini(&w->node[i].disk);
        sim_pages_free(w->node[i].mem, node_size(w->node[i].limits));
    }
    adversary_fini(w);
    check_fini(w);
    fault_fini(w);
    weather_fini(w);
    fleet_fini(w);
    alarms_fini(&w->alarms);
    heap_fini(&w->heap);
    settle_fini(w);
    if (w->trace != NULL)
        fclose(w->trace);
}
