/* The world of fuzz_node.c: a fixed fleet, its signed objects, and a host of one node that keeps
 * the contract of core.h to the letter and checks the node after everything it does.
 *
 * Payload is virtual: a body says of which release's which block it is and whether it is good, so
 * nothing is hashed and an image of ten megabytes costs nothing.  Manifests, roots, lists, tokens
 * and answers are really signed.  Everything is static because a fuzz target is one program. */
#pragma once

#include "node_checks.h"

/* ---- what the node does ---- */

static struct op *op_new(enum op_kind kind, const struct action *a)
{
    struct op *o = calloc(1, sizeof(*o));
    if (o == NULL)
        abort();
    o->kind = kind;
    o->act = *a;
    return o;
}

static void op_push(struct op *o)
{
    assert(w.ops < OPS);
    w.op[w.ops++] = o;
}

static void op_free(struct op *o)
{
    for (uint32_t i = 0; i < o->records; i++)
        free(o->rec[i].data);
    free(o);
}

static void on_save(const struct action *a, const uint8_t *head)
{
    struct bytes data = a->save.data.p != NULL ? a->save.data : bytes_of(head, a->head_len);
    if (w.batch == NULL)
        w.batch = op_new(OP_SAVE, a);
    assert(w.batch->act.op == a->op && w.batch->records < BATCH);
    struct record *r = &w.batch->rec[w.batch->records++];
    r->object = a->save.object;
    r->n = data.n;
    r->data = malloc(data.n > 0 ? data.n : 1);
    if (r->data == NULL)
        abort();
    memcpy(r->data, data.p, data.n);
    if (!a->save.last)
        return;
    op_push(w.batch);
    w.batch = NULL;
}

/* What leaves must be what storage proved: a piece span of told blocks, a chunk that is held, a
 * record that is durable. */
static void check_span(const struct span *sp)
{
    uint32_t s = object_number(sp->object);
    switch (object_kind_of(sp->object)) {
    case OBJ_NONE:
        assert(sp->len == 0);
        return;
    case OBJ_IMAGE:
        assert(s < SLOTS && w.slot[s].open && sp->off % BLOCK_LEN == 0);
        assert(sp->off / BLOCK_LEN < w.slot[s].geo.blocks);
        assert(sp->len == geometry_block_len(&w.slot[s].geo, (uint32_t)(sp->off / BLOCK_LEN)));
        assert(bit(w.slot[s].told, (uint32_t)(sp->off / BLOCK_LEN)));
        return;
    case OBJ_CHUNK:
        assert(s < SLOTS && w.slot[s].open && sp->off < w.slot[s].geo.chunks);
        assert(sp->len == geometry_chunk_len(&w.slot[s].geo));
        assert(bit(w.slot[s].told_chunks, (uint32_t)sp->off));
        return;
    case OBJ_ROOT:
    case OBJ_REVOCATIONS:
    case OBJ_WITHDRAWAL:
    case OBJ_FLOOR:
    case OBJ_BAN:
    case OBJ_MANIFEST:
    case OBJ_RELEASE:
        break;
    }
    assert(sp->len == 0);
    const struct record *r = record_find(sp->object);
    assert(r != NULL && r->n > 0);
}

static void on_send(const struct action *a, const uint8_t *head)
{
    struct hlink *h = hlink_by_id(a->link);
    assert(h != NULL && !h->closing && a->head_len > 0 && a->head_len <= HEAD_MAX);
    struct wire_msg m;
    enum err e = wire_decode(&m, bytes_of(head, a->head_len));
    assert(e == E_OK);
    check_span(&a->send.span);
    h->unsent += a->head_len + a->send.span.len;
    if (m.id == MSG_select)
        h->out_slot = m.select.slot;
    if (m.id == MSG_open) {
        assert(m.open.slot < SLOTS);
        memcpy(h->opened[m.open.slot].b, m.open.manifest, 32);
    }
    if (m.id != MSG_hello && m.id != MSG_open && m.id != MSG_request && m.id != MSG_hash_request &&
        m.id != MSG_get && m.id != MSG_ask && m.id != MSG_interested && m.id != MSG_want_peers &&
        m.id != MSG_answer)
        return;
    if (h->demands == DEMANDS)
        return;
    struct demand *d = &h->demand[h->demands++];
    d->slot = h->out_slot < 0 ? SLOTS : (uint32_t)h->out_slot;
    d->m = m;
    if (m.id == MSG_ask) {
        memcpy(h->version, m.ask.version.p, m.ask.version.n);
        d->m.ask.version = bytes_of(h->version, m.ask.version.n);
    }
}

/* Nothing starts an installer but a manifest with its threshold, whole, proven flat, in force,
 * above the floor, and with `installing` on disk. */
static void on_install(const struct action *a)
{
    uint32_t s = a->tell.slot;
    assert(s < SLOTS && w.conf.install && !w.conf.publish);
    const struct slot *sl = &w.n->slots[s];
    uint32_t r = release_of_id(sl->m.id.b);
    assert(r < RELEASES && fix.release[r].valid);
    assert(digest_equal(&a->tell.digest, &fix.release[r].m.digest));
    assert(w.slot[s].whole && count_bits(w.slot[s].told, sl->geo.blocks) == sl->geo.blocks);
    assert(objects_withdrawn(w.n, &sl->m.id) == NULL);
    assert(release_compare(sl->m.root_version, sl->m.sequence, w.n->floor_root,
                           w.n->floor_sequence) >= 0);
    const struct record *rec = record_find(object_id(OBJ_RELEASE, s));
    assert(rec != NULL && rec->n > 1 && rec->data[1] == RELEASE_INSTALLING);
    for (uint32_t i = 0; i < w.rejections; i++)
        assert(!digest_equal(&w.rejected[i], &sl->m.id));
    w.installing = true;
    w.install_slot = s;
}

static void on_tell(const struct action *a)
{
    switch (a->tell.what) {
    case TELL_INSTALL:
        on_install(a);
        return;
    case TELL_HELD:
        assert(a->tell.slot < SLOTS && w.slot[a->tell.slot].whole);
        return;
    case TELL_CONFIRMED:
    case TELL_REHASH:
    case TELL_HELD_AT:
    case TELL_STOPPED_AT:
    case TELL_TRUSTED_AT:
    case TELL_TRUST:
        return;
    }
    assert(false);
}

static void on_dial(const struct action *a)
{
    assert(a->op != 0 && w.dials < HALF_OPEN_MAX && !w.stopped);
    for (uint32_t i = 0; i < w.dials; i++)
        assert(w.dial_op[i] != a->op);
    w.dial[w.dials] = a->dial.addr;
    w.dial_op[w.dials++] = a->op;
}

static void on_store(const struct action *a)
{
    uint32_t s = object_number(a->store.at.object);
    bool chunk = object_kind_of(a->store.at.object) == OBJ_CHUNK;
    assert(s < SLOTS && a->store.body == &w.lent && w.lent.chunk == chunk);
    assert(w.n->slots[s].opened);
    const struct geometry *g = &w.n->slots[s].geo;
    if (chunk)
        assert(a->store.at.off < g->chunks && a->store.at.len == geometry_chunk_len(g));
    else
        assert(a->store.at.off % BLOCK_LEN == 0 && a->store.at.off / BLOCK_LEN < g->blocks);
    struct op *o = op_new(OP_STORE, a);
    o->body = w.lent;
    op_push(o);
}

static void perform(const struct action *a, const uint8_t *head)
{
    struct hlink *h;
    switch (a->type) {
    case ACT_DIAL:
        on_dial(a);
        return;
    case ACT_SEND:
        on_send(a, head);
        return;
    case ACT_CAST: {
        struct wire_msg m;
        assert(a->head_len <= 300 && a->cast.iface < w.conf.lan_interfaces);
        enum err e = wire_decode(&m, bytes_of(head, a->head_len));
        assert(e == E_OK && m.id == MSG_announce);
        return;
    }
    case ACT_CLOSE:
        h = hlink_by_id(a->link);
        assert(h != NULL && !h->closing);
        h->closing = true;
        return;
    case ACT_OPEN:
        assert(a->open.slot < SLOTS);
        memset(w.slot[a->open.slot].told, 0, sizeof(w.slot[0].told));
        memset(w.slot[a->open.slot].told_chunks, 0, sizeof(w.slot[0].told_chunks));
        op_push(op_new(OP_OPEN, a));
        return;
    case ACT_SHUT:
        assert(a->shut.slot < SLOTS);
        memset(w.slot[a->shut.slot].told, 0, sizeof(w.slot[0].told));
        memset(w.slot[a->shut.slot].told_chunks, 0, sizeof(w.slot[0].told_chunks));
        op_push(op_new(OP_SHUT, a));
        return;
    case ACT_STORE:
        on_store(a);
        return;
    case ACT_SAVE:
        on_save(a, head);
        return;
    case ACT_CHECK:
        assert(a->check.slot < SLOTS && w.n->slots[a->check.slot].opened);
        if (!a->check.whole)
            assert(a->check.count > 0 &&
                   a->check.block + a->check.count <= w.n->slots[a->check.slot].geo.blocks);
        op_push(op_new(OP_CHECK, a));
        return;
    case ACT_TELL:
        on_tell(a);
        return;
    }
    assert(false);
}

static void drain(void)
{
    struct action a;
    uint8_t *head = malloc(HEAD_MAX); /* on the heap, so that a byte beyond is seen */
    if (head == NULL)
        abort();
    for (uint32_t i = 0; node_next(w.n, &a, head); i++) {
        assert(i < ACTIONS_MOST);
        perform(&a, head);
    }
    free(head);
    if (w.healing && ++w.drains % 64 != 0)
        return; /* nothing new is to be seen block by block */
    check_links();
    check_slots();
}

static void step(struct event *ev)
{
    ev->now = w.now;
    node_step(w.n, ev);
}

/* A deadline that stays in the past makes a host spin. */
static void settle(void)
{
    drain();
    for (uint32_t i = 0; node_deadline(w.n) <= w.now; i++) {
        assert(i < SPINS_MOST);
        struct event ev = {.type = EV_TIME};
        step(&ev);
        drain();
    }
}

/* ---- events ---- */

static void order(struct event *ev, enum order what)
{
    ev->type = EV_ORDER;
    ev->order.what = what;
    drain();
    step(ev);
    drain();
}

static void link_gone(struct hlink *h, enum err e)
{
    struct event ev = {.type = EV_DOWN, .link = h->id, .err = e};
    h->used = false;
    step(&ev);
}

static struct hlink *bring_up(uint32_t who, uint32_t op, struct addr addr)
{
    for (uint32_t i = 0; i < LINKS; i++) {
        struct hlink *h = &w.link[i];
        if (h->used)
            continue;
        memset(h, 0, sizeof(*h));
        h->used = true;
        h->id = w.next_id++;
        h->who = who;
        h->out_slot = -1;
        struct event ev = {.type = EV_UP, .link = h->id, .op = op};
        ev.up.who = member_of(who);
        ev.up.addr = addr;
        step(&ev);
        return h;
    }
    return NULL;
}

/* Gives a message; bytes are copied to the heap at their exact size. */
static void give(struct hlink *h, struct bytes head, struct body *body, uint32_t body_len,
                 struct bytes data)
{
    if (!h->used || h->closing)
        return;
    uint8_t *copy = malloc(head.n > 0 ? head.n : 1), *more = malloc(data.n > 0 ? data.n : 1);
    if (copy == NULL || more == NULL)
        abort();
    if (head.n > 0)
        memcpy(copy, head.p, head.n);
    if (data.n > 0)
        memcpy(more, data.p, data.n);
    struct event ev = {.type = EV_MSG, .link = h->id};
    ev.msg.head = bytes_of(copy, head.n);
    if (body_len > 0)
        drain(); /* a body is named only until the drain ends */
    if (h->used && !h->closing) {
        if (body != NULL)
            w.lent = *body;
        ev.msg.body = body != NULL ? &w.lent : NULL;
        ev.msg.body_len = body_len;
        ev.msg.data = bytes_of(more, data.n);
        step(&ev);
        if (body_len > 0)
            drain();
    }
    memset(&w.lent, 0xee, sizeof(w.lent));
    free(copy);
    free(more);
}

static void say(struct hlink *h, const struct wire_msg *m)
{
    uint8_t head[WIRE_HEAD_MAX];
    size_t n = wire_encode(m, head);
    give(h, bytes_of(head, n), NULL, 0, (struct bytes){NULL, 0});
}

static void say_with(struct hlink *h, const struct wire_msg *m, struct bytes data)
{
    uint8_t head[WIRE_HEAD_MAX];
    size_t n = wire_encode(m, head);
    struct body lump = {.release = RELEASES};
    give(h, bytes_of(head, n), data.n > 0 ? &lump : NULL, (uint32_t)data.n, data);
}

/* ---- results of storage, in order ---- */

static void result_open(const struct op *o)
{
    struct hslot *s = &w.slot[o->act.open.slot];
    struct event ev = {.type = EV_OPENED, .op = o->act.op};
    ev.opened.slot = o->act.open.slot;
    if (w.full_disk) {
        ev.err = E_FULL;
        step(&ev);
        return;
    }
    /* One image lies in one place, whatever slot it is opened as. */
    for (uint32_t i = 0; i < SLOTS; i++) {
        struct hslot *other = &w.slot[i];
        if (other == s || !other->bound || !digest_equal(&other->root, &o->act.open.root))
            continue;
        if (other->open) {
            ev.err = E_BUSY;
            step(&ev);
            return;
        }
        *s = *other;
        memset(other, 0, sizeof(*other));
    }
    if (!s->bound || !digest_equal(&s->root, &o->act.open.root)) {
        memset(s, 0, sizeof(*s));
        s->bound = true;
        s->root = o->act.open.root;
    }
    s->geo = o->act.open.geo;
    s->open = true;
    /* The end of an input need not take long: most of a large image turns up. */
    for (uint32_t b = 48; w.healing && b + 16 < s->geo.blocks; b++)
        set(s->disk, b, true);
    memcpy(s->told, s->disk, sizeof(s->told));
    memcpy(s->told_chunks, s->chunks, sizeof(s->told_chunks));
    ev.opened.blocks = bytes_of(s->disk, (s->geo.blocks + 7) / 8);
    ev.opened.chunks = bytes_of(s->chunks, (s->geo.chunks + 7) / 8);
    step(&ev);
}

static void result_store(const struct op *o)
{
    uint32_t slot = object_number(o->act.store.at.object);
    struct hslot *s = &w.slot[slot];
    bool chunk = o->body.chunk;
    uint32_t at = (uint32_t)(chunk ? o->act.store.at.off : o->act.store.at.off / BLOCK_LEN);
    struct event ev = {.type = EV_STORED, .op = o->act.op};
    bool same = o->body.release < RELEASES &&
                digest_equal(&fix.release[o->body.release].m.tree_root, &s->root);
    if (!s->open)
        ev.err = E_NOENT;
    else if (w.full_disk)
        ev.err = E_FULL;
    else if (!o->body.good || !same || o->body.index != at)
        ev.err = chunk ? E_PROOF : E_HASH;
    if (ev.err == E_OK) {
        set(chunk ? s->chunks : s->disk, at, true);
        set(chunk ? s->told_chunks : s->told, at, true);
        if (!chunk)
            s->rotten[at] = false;
    }
    step(&ev);
    if (ev.err != E_OK)
        drain(); /* as the host does */
}

static void result_check(const struct op *o)
{
    struct hslot *s = &w.slot[o->act.check.slot];
    struct event ev = {.type = EV_CHECKED, .op = o->act.op};
    uint32_t first = o->act.check.whole ? 0 : o->act.check.block;
    uint32_t end = o->act.check.whole ? s->geo.blocks : first + o->act.check.count;
    if (!s->open)
        ev.err = E_NOENT;
    for (uint32_t b = first; b < end && s->open; b++) {
        if (!s->rotten[b] && bit(s->disk, b))
            continue;
        ev.err = E_HASH;
        if (!o->act.check.whole) {
            set(s->disk, b, false);
            set(s->told, b, false);
        }
    }
    if (ev.err == E_OK && o->act.check.whole) {
        uint32_t r = release_of(&s->root);
        assert(digest_equal(&o->act.check.want, &fix.release[r].m.digest));
        s->whole = true;
    }
    step(&ev);
}

static void result_save(struct op *o)
{
    struct event ev = {.type = EV_SAVED, .op = o->act.op};
    for (uint32_t i = 0; i < o->records; i++)
        record_put(&o->rec[i]);
    step(&ev);
}

static void result(uint32_t at)
{
    if (at >= w.ops)
        return;
    /* Whole checks run beside the queue; everything else keeps its order, but that saves wait while
     * they cannot be done. */
    if (w.op[at]->kind != OP_CHECK || !w.op[at]->act.check.whole)
        at = 0;
    while (at < w.ops && w.saves_fail && w.op[at]->kind == OP_SAVE)
        at++;
    if (at == w.ops)
        return;
    struct op *o = w.op[at];
    w.ops--;
    memmove(w.op + at, w.op + at + 1, (w.ops - at) * sizeof(o));
    switch (o->kind) {
    case OP_OPEN:
        result_open(o);
        break;
    case OP_SHUT:
        w.slot[o->act.shut.slot].open = false;
        if (o->act.shut.remove)
            memset(&w.slot[o->act.shut.slot], 0, sizeof(w.slot[0]));
        break;
    case OP_STORE:
        result_store(o);
        break;
    case OP_SAVE:
        result_save(o);
        break;
    case OP_CHECK:
        result_check(o);
        break;
    }
    op_free(o);
}

static void results_all(void)
{
    for (uint32_t i = 0, before = UINT32_MAX; i < 4 * OPS && w.ops > 0 && w.ops != before; i++) {
        before = w.saves_fail ? w.ops : UINT32_MAX;
        result(0);
        drain();
    }
}

/* ---- start and end ---- */

static void boot(void)
{
    uint8_t seed[32] = {0};
    seed[0] = (uint8_t)++w.boots;
    free(w.mem);
    w.mem = calloc(1, node_size(&w.lim));
    if (w.mem == NULL)
        abort();
    w.log = (struct log){.level = LOG_DEBUG, .sink = sink};
    w.n = node_init(w.mem, &w.lim, &w.conf, seed, &w.log);
    w.dials = 0;
    w.installing = w.stopped = false;
    memset(w.link, 0, sizeof(w.link));
    for (uint32_t s = 0; s < SLOTS; s++) {
        w.slot[s].open = false;
        memset(w.slot[s].told, 0, sizeof(w.slot[s].told));
        memset(w.slot[s].told_chunks, 0, sizeof(w.slot[s].told_chunks));
    }
    struct event ev = {.type = EV_START};
    ev.start.identity = &w.self;
    ev.start.root_chain = test_bytes(&fix.root_signed[0]);
    step(&ev);
    drain();
    for (uint32_t kind = OBJ_ROOT; kind <= OBJ_RELEASE; kind++) {
        for (uint32_t number = 0; number < 64; number++) {
            const struct record *r = record_find(object_id((enum object_kind)kind, number));
            if (r == NULL || r->n == 0)
                continue;
            struct event l = {.type = EV_LOADED};
            l.loaded.object = r->object;
            l.loaded.data = bytes_of(r->data, r->n);
            step(&l);
        }
    }
    ev = (struct event){.type = EV_READY};
    step(&ev);
    drain();
}

static void power_cut(uint32_t done)
{
    while (w.ops > 0) {
        struct op *o = w.op[0];
        w.ops--;
        memmove(w.op, w.op + 1, w.ops * sizeof(o));
        if (o->kind == OP_SAVE && done-- > 0 && !w.saves_fail)
            for (uint32_t i = 0; i < o->records; i++)
                record_put(&o->rec[i]);
        op_free(o);
    }
    if (w.batch != NULL)
        op_free(w.batch);
    w.batch = NULL;
    boot();
}

static void world_end(void)
{
    while (w.ops > 0)
        op_free(w.op[--w.ops]);
    if (w.batch != NULL)
        op_free(w.batch);
    for (uint32_t i = 0; i < w.records; i++)
        free(w.rec[i].data);
    free(w.mem);
    memset(&w, 0, sizeof(w));
}
