/* The node: memory, start, dispatch of events, the order of actions, the next deadline.
 *
 * All memory is carved out of one block whose size follows from the limits.  The order in
 * node_next() is part of the contract with ourselves: bytes that an event lent are named first
 * (store, saves), then what the device must hear, then storage, then the network. */
#include "node/internal.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

const struct limits limits_device = {
    .links = 32,
    .images = 3,
    .pieces = 2048,
    .open_blocks = 16384,
    .chunks = 8192,
    .known = 256,
    .announced = 96,
    .requests = 256,
    .uploads = 256,
    .window = 512 * 1024,
    .store_ops = 512,
    .bans = 128,
    .withdrawals = 16,
};
const struct limits limits_verify = {
    .links = 200,
    .images = 16,
    .pieces = 2048,
    .open_blocks = 16384,
    .chunks = 8192,
    .known = 1024,
    .announced = 4096,
    .requests = 256,
    .uploads = 256,
    .window = 512 * 1024,
    .store_ops = 512,
    .bans = 1024,
    .withdrawals = 64,
};

#define CARVE_PAGE 4096u

/* Hands out aligned parts of one block; with a NULL base it only measures. */
struct carve {
    uint8_t *base;
    size_t used;
};

static void *carve(struct carve *c, size_t n)
{
    c->used = (c->used + 15) & ~(size_t)15;
    void *p = c->base != NULL ? c->base + c->used : NULL;
    c->used += n;
    return p;
}

/* What is long and mostly used at its beginning starts a page, so that it takes one and not two. */
static void *carve_long(struct carve *c, size_t n)
{
    c->used = (c->used + CARVE_PAGE - 1) & ~(size_t)(CARVE_PAGE - 1);
    return carve(c, n);
}

static void carve_slots(struct node *n, struct carve *c, const struct limits *lim)
{
    void *slots = carve(c, sizeof(struct slot) * lim->images);
    if (n != NULL)
        n->slots = slots;
    for (uint32_t i = 0; i < lim->images; i++) {
        void *gained = carve(c, sizeof(uint16_t) * GAINED);
        void *at_peers = carve(c, (lim->pieces + 7) / 8);
        void *idle = carve(c, sizeof(uint64_t) * link_words(lim));
        if (n != NULL) {
            n->slots[i].gained = gained;
            n->slots[i].at_peers = at_peers;
            n->slots[i].idle = idle;
            n->slots[i].recheck = NONE;
        }
    }
}

static void carve_picker(struct node *n, struct carve *c, const struct limits *lim, uint32_t slot)
{
    void *picker = carve(c, picker_size(lim));
    if (n != NULL)
        n->slots[slot].picker = picker;
}

/* What is short, and looked at for every event. */
static void carve_short(struct node *n, struct carve *c, const struct limits *lim)
{
    void *awake = carve(c, sizeof(uint64_t) * link_words(lim));
    void *touched = carve(c, sizeof(uint64_t) * link_words(lim));
    void *ids = carve(c, sizeof(uint32_t) * lim->links);
    void *due = carve(c, sizeof(usec) * lim->links);
    void *saves = carve(c, sizeof(struct save_item) * saves_most(lim));
    void *tells = carve(c, sizeof(struct tell_item) * tells_most(lim));
    void *withdrawals = carve(c, sizeof(struct withdrawn) * lim->withdrawals);
    if (n != NULL) {
        n->awake = awake;
        n->touched = touched;
        n->link_ids = ids;
        n->link_due = due;
        n->saves = saves;
        n->tells = tells;
        n->withdrawals = withdrawals;
    }
}

/* What belongs to links beyond the first image and the first of their lists. */
static void carve_more(struct node *n, struct carve *c, const struct limits *lim)
{
    size_t more = (size_t)lim->links * (lim->images - 1);
    void *streams = carve(c, sizeof(struct stream) * more);
    void *bits = carve(c, (size_t)((lim->pieces + 7) / 8) * more);
    void *offers = carve(c, sizeof(struct offer) * more);
    void *far = carve(c, sizeof(struct far_open) * lim->links * (FAR_OPENS - 1));
    void *gets = carve(c, sizeof(struct msg_get) * lim->links * (PENDING_GETS - 1));
    if (n != NULL) {
        n->streams = streams;
        n->bits = bits;
        n->offers = offers;
        n->far = far;
        n->gets = gets;
    }
}

/* One pass measures and one lays out, by the same code.  What is used first or often lies together,
 * and nothing is written that is not used: in memory that the system gives as zeros, only the pages
 * in use are taken. */
static size_t lay_out(void *mem, const struct limits *lim, struct node **out)
{
    struct carve c = {mem, 0};
    struct node *n = carve(&c, sizeof(struct node));
    carve_short(n, &c, lim);
    carve_slots(n, &c, lim);
    void *links = carve(&c, sizeof(struct nlink) * lim->links);
    void *known = carve(&c, sizeof(struct known_entry) * lim->known);
    void *table = carve(&c, sizeof(struct table_entry) * lim->announced);
    carve_picker(n, &c, lim, 0);
    void *ops = carve_long(&c, sizeof(struct store_op) * lim->store_ops);
    void *asks = carve_long(&c, sizeof(struct ask) * asks_most(lim));
    void *uploads = carve_long(&c, sizeof(struct upload) * uploads_most(lim));
    void *bans = carve(&c, sizeof(struct ban) * lim->bans);
    void *tally = carve(&c, sizeof(struct tally_entry) * lim->links);
    carve_more(n, &c, lim);
    for (uint32_t i = 1; i < lim->images; i++)
        carve_picker(n, &c, lim, i);
    if (n != NULL) {
        n->lim = *lim;
        n->links = links;
        n->ops = ops;
        n->asks = asks;
        n->uploads = uploads;
        known_init(&n->known, known, lim->known);
        bans_init(&n->bans, bans, lim->bans);
        tally_init(&n->tally, tally, lim->links);
        table_init(&n->table, table, lim->announced);
    }
    if (out != NULL)
        *out = n;
    return (c.used + 15) & ~(size_t)15;
}

size_t node_size(const struct limits *lim)
{
    return lay_out(NULL, lim, NULL);
}

struct node *node_init(void *mem, const struct limits *lim, const struct node_config *conf,
                       const uint8_t seed[static 32], struct log *log)
{
    assert(((uintptr_t)mem & 15) == 0);
    assert(asks_most(lim) < LIST_END && uploads_most(lim) < LIST_END);
    assert(lim->pieces <= PIECES_BITS_MAX * 8 && lim->links < 65536);
    assert(lim->images <= FAR_OPENS); /* so that a whole neighbour's images fit a link */
    struct node *n;
    (void)lay_out(mem, lim, &n);
    n->asks_free = n->uploads_free = LIST_END;
    n->ops_free = NONE;
    for (uint32_t i = 0; i < lim->links; i++)
        n->link_due[i] = USEC_NEVER;
    n->links_due = n->haves_due = n->widen_due = n->other_due = USEC_NEVER;
    n->conf = *conf;
    n->log = log;
    rng_init(&n->rng, seed);
    rng_bytes(&n->rng, n->boot, sizeof(n->boot));
    n->poll_at = n->rehash_at = USEC_NEVER;
    return n;
}

/* Each thing is told once until the host has heard it, so what peers repeat takes no room. */
void node_tell(struct node *n, enum tell what, uint32_t slot, const struct digest *digest)
{
    struct tell_item t = {.what = what, .slot = slot};
    if (digest != NULL)
        t.digest = *digest;
    for (uint32_t i = 0; i < n->tells_count; i++) {
        struct tell_item *o = &n->tells[i];
        if (o->what != what || o->slot != slot)
            continue;
        if (what == TELL_STOPPED_AT && !digest_equal(&o->digest, &t.digest))
            continue; /* one for each withdrawal */
        o->digest = t.digest;
        return;
    }
    assert(n->tells_count < tells_most(&n->lim));
    n->tells[n->tells_count++] = t;
}

static void save_push(struct node *n, uint32_t object, struct bytes data)
{
    /* A record that is built when it is emitted needs to stand in the queue only once. */
    for (uint32_t i = n->saves_head; i < n->saves_count && data.p == NULL; i++) {
        struct save_item *it = &n->saves[i];
        if (it->object == object && it->data.p == NULL) {
            it->data.n = data.n;
            return;
        }
    }
    assert(n->saves_count < saves_most(&n->lim));
    n->saves[n->saves_count++] = (struct save_item){object, data};
}

uint32_t node_save(struct node *n, uint32_t object, struct bytes data)
{
    save_push(n, object, data);
    return n->save_batch + 1;
}

void node_delete(struct node *n, uint32_t object)
{
    save_push(n, object, (struct bytes){NULL, 1});
}

void node_wake_links(struct node *n)
{
    for (uint32_t i = 0; i < n->links_top; i++)
        link_wake(n, &n->links[i], WAKE_ALL);
}

/* ---- start ---- */

static void start_trust(struct node *n, const struct start *s)
{
    enum err e = trust_chain(&n->trust, s->root_chain);
    assert(e == E_OK); /* the host verified its own provisioning before it started us */
    n->root_at_start = n->trust.root.version;
    objects_take_roots(n, s->root_chain, true);
}

static void start(struct node *n, const struct start *s)
{
    assert(!n->started);
    n->started = true;
    n->identity = *s->identity;
    start_trust(n, s);
    n->self = (struct member){.node = n->identity.pub, .role = n->conf.role};
    if (n->conf.model[0] != '\0')
        model_id(&n->model, &n->trust.root.fleet, n->conf.model);
    n->self.model = n->model;
    struct digest tag;
    hash_domain(&tag, "fwswarm-lan", digest_bytes(&n->trust.root.fleet), (struct bytes){NULL, 0});
    memcpy(n->fleet_tag, tag.b, sizeof(n->fleet_tag));
    n->busy_at = n->widened_at = n->now;
    meter_init(&n->sending, n->now);
    meter_init(&n->from_peers, n->now);
    bucket_init(&n->up, n->conf.up_rate, n->now);
    bucket_init(&n->down, n->conf.down_rate, n->now);
    bucket_init(&n->datagrams, LAN_BUCKET_RATE, n->now);
    bucket_init(&n->datagrams_strange, LAN_BUCKET_RATE, n->now);
}

static void load(struct node *n, uint32_t object, struct bytes data)
{
    uint32_t number = object_number(object);
    enum err e = E_OK;
    switch (object_kind_of(object)) {
    case OBJ_ROOT:
        objects_take_roots(n, data, false);
        break;
    case OBJ_REVOCATIONS:
        e = objects_take_revocations(n, data, false);
        break;
    case OBJ_WITHDRAWAL:
        e = objects_take_withdrawal(n, data, number);
        break;
    case OBJ_FLOOR:
        install_floor_load(n, data);
        break;
    case OBJ_BAN:
        if (data.n == 32) {
            struct key who;
            memcpy(who.b, data.p, 32);
            bans_add(&n->bans, &who, n->now + 24 * 3600 * SEC);
        }
        break;
    case OBJ_MANIFEST:
        e = number < n->lim.images ? release_take(n, data, number, NONE) : E_LIMIT;
        break;
    case OBJ_RELEASE:
        if (number < n->lim.images)
            release_load_state(n, number, data);
        break;
    case OBJ_NONE:
    case OBJ_IMAGE:
    case OBJ_CHUNK:
        e = E_UNKNOWN;
        break;
    }
    if (e != E_OK && e != E_STALE)
        log_warn(n->log, "record.refused", "object=%08" PRIx32 " err=%s", object, err_name(e));
}

static void ready(struct node *n)
{
    n->loaded = true;
    n->ready_at = n->now;
    release_ready(n);
    install_loaded(n);
    if (n->conf.lan)
        lan_start(n);
    if (n->conf.poll_us > 0)
        n->poll_at = n->now + n->conf.poll_us / 2 + rng_u64(&n->rng) % (n->conf.poll_us + 1);
}

static void saved(struct node *n, uint32_t batch, enum err e)
{
    if (e != E_OK) {
        /* Nothing that hangs on these records goes on: neither promises nor an installation. */
        log_error(n->log, "save.failed", "err=%s", err_name(e));
        install_saved(n, batch, e);
        return;
    }
    n->saved_batch = batch;
    node_wake_links(n); /* what was asked for may have waited to be durable */
    if (n->trust_batch != 0 && batch >= n->trust_batch) {
        n->trust_batch = 0;
        objects_trust_changed(n);
    }
    install_saved(n, batch, e);
}

static void stop(struct node *n)
{
    n->stopping = true;
    for (uint32_t i = 0; i < n->links_top; i++) {
        if (link_live(&n->links[i]))
            link_close(n, &n->links[i], E_OK);
    }
}

static void order_trust(struct node *n, struct bytes roots, struct bytes list)
{
    objects_take_roots(n, roots, false);
    if (list.n == 0)
        return;
    enum err e = objects_take_revocations(n, list, true);
    if (e != E_OK && e != E_STALE)
        log_warn(n->log, "revocations.refused", "err=%s", err_name(e));
}

static void order(struct node *n, const struct event *ev)
{
    enum err e = E_OK;
    switch (ev->order.what) {
    case ORDER_KNOW:
        peers_know(n, &ev->order.addr, KNOWN_CONFIGURED, ev->order.flag);
        break;
    case ORDER_CURRENT:
        install_current(n, ev);
        break;
    case ORDER_RELEASE:
        e = release_take(n, ev->order.data, NONE, NONE);
        break;
    case ORDER_ADOPT:
        release_adopt(n, ev->order.slot);
        break;
    case ORDER_CHECK:
        version_ask_all(n);
        break;
    case ORDER_INSTALLED:
        install_result(n, ev->order.slot, ev->order.code);
        break;
    case ORDER_CONFIRM:
        install_confirm(n);
        break;
    case ORDER_REJECT:
        install_reject(n);
        break;
    case ORDER_WITHDRAW:
        e = objects_take_withdrawal(n, ev->order.data, NONE);
        break;
    case ORDER_TRUST:
        order_trust(n, ev->order.data, ev->order.data2);
        break;
    case ORDER_STOP:
        stop(n);
        break;
    }
    if (e != E_OK)
        log_warn(n->log, "order.refused", "order=%d err=%s", (int)ev->order.what, err_name(e));
}

static void timers(struct node *n)
{
    for (uint32_t i = 0; i < n->links_top; i++) {
        if (n->now < n->link_due[i])
            continue;
        link_touch(n, &n->links[i]);
        link_time(n, &n->links[i]);
    }
    exchange_time(n);
    upload_plan(n);
    peers_time(n);
    if (n->now < n->other_due)
        return;
    n->stir = true;
    wants_time(n);
    install_time(n);
    if (n->conf.lan && n->loaded)
        lan_time(n);
    if (n->now >= n->poll_at) {
        version_ask_all(n);
        n->poll_at = n->now + n->conf.poll_us / 2 + rng_u64(&n->rng) % (n->conf.poll_us + 1);
    }
}

static void learnt(struct node *n, const struct event *ev)
{
    order_trust(n, ev->learnt.roots, ev->learnt.revocations);
}

void node_step(struct node *n, const struct event *ev)
{
    assert(ev->now >= n->now);
    assert(n->started || ev->type == EV_START);
    n->now = ev->now;
    n->log->now_us = ev->now;
    /* For each message, store or departure of a block it is known what may change. */
    if (ev->type != EV_MSG && ev->type != EV_SENT && ev->type != EV_STORED && ev->type != EV_TIME)
        n->stir = true;
    switch (ev->type) {
    case EV_START:
        start(n, &ev->start);
        break;
    case EV_LOADED:
        load(n, ev->loaded.object, ev->loaded.data);
        break;
    case EV_READY:
        ready(n);
        break;
    case EV_TIME:
        timers(n);
        break;
    case EV_UP:
        link_up(n, ev);
        break;
    case EV_DOWN:
        link_down(n, ev);
        break;
    case EV_MSG:
        link_message(n, ev);
        break;
    case EV_DATAGRAM:
        if (n->conf.lan && n->loaded)
            lan_datagram(n, ev);
        break;
    case EV_SENT:
        link_sent(n, ev);
        break;
    case EV_OPENED:
        release_opened(n, ev);
        break;
    case EV_STORED:
        exchange_stored(n, ev);
        break;
    case EV_SAVED:
        saved(n, ev->op, ev->err);
        break;
    case EV_CHECKED:
        release_checked(n, ev);
        break;
    case EV_LEARNT:
        learnt(n, ev);
        break;
    case EV_ORDER:
        order(n, ev);
        break;
    }
}

/* ---- actions ---- */

static bool next_store(struct node *n, struct action *act)
{
    if (!n->store.due)
        return false;
    n->store.due = false;
    act->type = ACT_STORE;
    act->op = n->store.op;
    act->store.at = n->store.at;
    act->store.body = n->store.body;
    return true;
}

/* Builds a record that the node itself makes. */
static size_t record_build(struct node *n, uint32_t object, uint8_t *head)
{
    uint32_t number = object_number(object);
    switch (object_kind_of(object)) {
    case OBJ_RELEASE:
        return release_save_state(&n->slots[number], head);
    case OBJ_FLOOR:
        return install_floor_encode(n, head);
    case OBJ_BAN:
        memcpy(head, n->bans.ban[number].who.b, 32);
        return 32;
    case OBJ_NONE:
    case OBJ_IMAGE:
    case OBJ_CHUNK:
    case OBJ_ROOT:
    case OBJ_REVOCATIONS:
    case OBJ_WITHDRAWAL:
    case OBJ_MANIFEST:
        break;
    }
    assert(false); /* a record of lent bytes has no builder */
    return 0;
}

static bool next_save(struct node *n, struct action *act, uint8_t *head)
{
    if (n->saves_head == n->saves_count) {
        n->saves_head = n->saves_count = 0;
        return false;
    }
    const struct save_item *it = &n->saves[n->saves_head++];
    bool last = n->saves_head == n->saves_count;
    act->type = ACT_SAVE;
    act->op = n->save_batch + 1;
    act->save.object = it->object;
    act->save.data = (struct bytes){NULL, 0};
    act->save.last = last;
    if (it->data.p != NULL)
        act->save.data = it->data;
    else if (it->data.n == 0)
        act->head_len = (uint32_t)record_build(n, it->object, head);
    if (last)
        n->save_batch++;
    return true;
}

static bool next_tell(struct node *n, struct action *act)
{
    if (n->tells_count == 0)
        return false;
    struct tell_item t = n->tells[0];
    n->tells_count--;
    memmove(n->tells, n->tells + 1, n->tells_count * sizeof(t));
    act->type = ACT_TELL;
    act->tell.what = t.what;
    act->tell.slot = t.slot;
    act->tell.digest = t.digest;
    return true;
}

/* The first link from `from` on that is awake, round the table; NONE: all sleep. */
static uint32_t next_awake(const struct node *n, uint32_t from)
{
    uint32_t words = link_words(&n->lim);
    if (from >= n->lim.links)
        from = 0;
    /* The first word is looked at twice: from its middle on, and as a whole. */
    uint64_t mask = UINT64_MAX >> (from % 64);
    for (uint32_t k = 0; k <= words; k++) {
        uint32_t w = (from / 64 + k) % words;
        uint64_t set = n->awake[w] & mask;
        if (set != 0)
            return w * 64 + bits_pop(&set);
        mask = UINT64_MAX;
    }
    return NONE;
}

static bool next_link(struct node *n, struct action *act, uint8_t *head)
{
    for (;;) {
        uint32_t i = next_awake(n, n->next_link);
        if (i == NONE)
            return false;
        struct nlink *l = &n->links[i];
        n->next_link = i;
        if (l->phase != LINK_FREE && link_next(n, l, act, head)) {
            /* Blocks go round the links one at a time; small messages stay with their link, so that
             * they share a record. */
            if (act->type == ACT_SEND && act->send.span.len > 0)
                n->next_link++;
            return true;
        }
        l->wake = 0;
        n->awake[i / 64] &= ~(UINT64_C(1) << (63 - i % 64));
        n->next_link++;
    }
}

static usec earlier(usec a, usec b)
{
    return a < b ? a : b;
}

static void settle_link(struct node *n, uint32_t i)
{
    const struct nlink *l = &n->links[i];
    n->link_due[i] = l->phase != LINK_FREE ? link_deadline(n, l) : USEC_NEVER;
}

/* After a drain: when must what was touched be looked at again? */
static void settle(struct node *n)
{
    bool any = n->stir;
    for (uint32_t w = 0; w < link_words(&n->lim); w++) {
        uint64_t set = n->touched[w];
        n->touched[w] = 0;
        any = any || set != 0;
        while (set != 0 && !n->stir)
            settle_link(n, w * 64 + bits_pop(&set));
    }
    if (n->stir) {
        for (uint32_t i = 0; i < n->links_top; i++)
            settle_link(n, i);
        usec t = earlier(n->poll_at, peers_deadline(n));
        t = earlier(t, wants_deadline(n));
        t = earlier(t, install_deadline(n));
        n->other_due = n->conf.lan ? earlier(t, lan_deadline(n)) : t;
        n->stir = false;
    }
    if (!any)
        return;
    n->links_due = USEC_NEVER;
    for (uint32_t i = 0; i < n->links_top; i++)
        n->links_due = earlier(n->links_due, n->link_due[i]);
}

bool node_next(struct node *n, struct action *act, uint8_t head[static HEAD_MAX])
{
    memset(act, 0, sizeof(*act));
    if (next_store(n, act) || next_save(n, act, head) || next_tell(n, act))
        return true;
    if (!n->loaded)
        return false;
    for (bool stir = true; stir;) {
        stir = n->stir;
        if (stir && (release_next(n, act) || (n->conf.lan && lan_next(n, act, head)) ||
                     peers_next_dial(n, act)))
            return true;
        if (next_link(n, act, head))
            return true;
        stir = n->stir && !stir; /* it came about just now */
    }
    settle(n);
    return false;
}

usec node_deadline(const struct node *n)
{
    if (!n->loaded)
        return USEC_NEVER;
    usec t = earlier(n->links_due, n->other_due);
    return earlier(t, earlier(n->haves_due, n->widen_due));
}

const struct trust *node_trust(const struct node *n)
{
    return &n->trust;
}
