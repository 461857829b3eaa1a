/* Every action is performed at once; what it causes is queued as an event and delivered in order.
 */
#include "mesh.h"
#include "mesh_make.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct mesh_event {
    struct mesh_event *next;
    uint32_t node, boot;
    struct event ev;
    uint8_t *bytes; /* owned: head and body, or other lent bytes */
};

static void append(struct mesh *m, struct mesh_event *e)
{
    if (m->tail != NULL)
        m->tail->next = e;
    else
        m->head = e;
    m->tail = e;
}

static void push(struct mesh *m, uint32_t node, const struct event *ev, uint8_t *bytes)
{
    struct mesh_event *e = mesh_need(sizeof(*e));
    e->node = node;
    e->boot = m->node[node].boots;
    e->ev = *ev;
    e->bytes = bytes;
    if ((m->node[node].hold & 1u << ev->type) != 0) {
        struct mesh_event **at = &m->held;
        while (*at != NULL)
            at = &(*at)->next;
        *at = e;
        return;
    }
    append(m, e);
}

void mesh_let_go(struct mesh *m, uint32_t node)
{
    struct mesh_event **at = &m->held;
    m->node[node].hold = 0;
    while (*at != NULL) {
        struct mesh_event *e = *at;
        if (e->node != node) {
            at = &e->next;
            continue;
        }
        *at = e->next;
        e->next = NULL;
        append(m, e);
    }
}

void mesh_free(struct mesh *m)
{
    for (uint32_t i = 0; i < m->count; i++) {
        struct mesh_node *n = &m->node[i];
        free(n->mem);
        for (uint32_t k = 0; k < n->records; k++)
            free(n->record[k].data);
        for (uint32_t k = 0; k < MESH_SLOTS; k++) {
            free(n->store[k].data);
            free(n->store[k].blocks);
            free(n->store[k].chunks);
            free(n->store[k].records);
        }
    }
    for (uint32_t i = 0; i < m->releases; i++) {
        free(m->release[i].image);
        free(m->release[i].envelope);
    }
    for (uint32_t i = 0; i < m->count; i++)
        mesh_let_go(m, i);
    while (m->head != NULL) {
        struct mesh_event *e = m->head;
        m->head = e->next;
        free(e->bytes);
        free(e);
    }
    free(m);
}

/* ---- actions ---- */

static void log_line(void *ctx, enum log_level level, const char *line, size_t n)
{
    struct mesh_node *node = ctx;
    (void)level;
    if (node->mesh->verbose)
        fwrite(line, 1, n, stderr);
}

static struct mesh_link *link_by_id(struct mesh *m, uint32_t node, uint32_t id, int *side)
{
    for (uint32_t i = 0; i < MESH_LINKS; i++) {
        for (int s = 0; s < 2; s++) {
            if (m->link[i].used && m->link[i].node[s] == node && m->link[i].id[s] == id) {
                *side = s;
                return &m->link[i];
            }
        }
    }
    return NULL;
}

static struct mesh_record *record_find(struct mesh_node *n, uint32_t object)
{
    for (uint32_t i = 0; i < n->records; i++) {
        if (n->record[i].object == object)
            return &n->record[i];
    }
    return NULL;
}

static void record_put(struct mesh_node *n, uint32_t object, struct bytes data)
{
    struct mesh_record *r = record_find(n, object);
    if (r == NULL) {
        assert(n->records < MESH_RECORDS);
        r = &n->record[n->records++];
        r->object = object;
        r->data = NULL;
    }
    free(r->data);
    r->n = data.n;
    r->data = mesh_need(data.n);
    if (data.n > 0)
        memcpy(r->data, data.p, data.n);
}

static bool bit(const uint8_t *p, uint32_t i)
{
    return (p[i / 8] & (0x80u >> (i % 8))) != 0;
}

/* Links of a node: a host takes no more than limits.links. */
static uint32_t links_of(const struct mesh *m, uint32_t node)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < MESH_LINKS; i++) {
        const struct mesh_link *l = &m->link[i];
        count += l->used && (l->node[0] == node || l->node[1] == node) ? 1 : 0;
    }
    return count;
}

static void do_dial(struct mesh *m, uint32_t node, const struct action *a)
{
    uint32_t to = (uint32_t)(a->dial.addr.port - 1000);
    struct event down = {.type = EV_DOWN, .op = a->op, .err = E_REFUSED};
    if (a->dial.addr.port < 1000 || to >= m->count || !m->node[to].up) {
        push(m, node, &down, NULL);
        return;
    }
    if (to == node) {
        down.err = E_SELF;
        push(m, node, &down, NULL);
        return;
    }
    if (links_of(m, to) >= m->node[to].lim.links || links_of(m, node) >= m->node[node].lim.links) {
        down.err = E_LIMIT;
        push(m, node, &down, NULL);
        return;
    }
    for (uint32_t i = 0; i < MESH_LINKS; i++) {
        struct mesh_link *l = &m->link[i];
        if (l->used)
            continue;
        *l = (struct mesh_link){
            .used = true, .node = {node, to}, .id = {m->next_id, m->next_id + 1}, .op = {a->op, 0}};
        m->next_id += 2;
        for (int s = 0; s < 2; s++) {
            struct event up = {.type = EV_UP, .link = l->id[s], .op = l->op[s]};
            up.up.who = m->node[l->node[1 - s]].member;
            up.up.addr = (struct addr){.family = 4,
                                       .ip = {127, 0, 0, 1},
                                       .port = (uint16_t)(s == 0 ? 1000 + to : 50000 + node)};
            push(m, l->node[s], &up, NULL);
        }
        return;
    }
    abort();
}

static size_t body_bytes(struct mesh_node *n, const struct span *sp, uint8_t *out)
{
    uint32_t number = object_number(sp->object);
    struct mesh_store *st = &n->store[number % MESH_SLOTS];
    switch (object_kind_of(sp->object)) {
    case OBJ_NONE:
        return 0;
    case OBJ_IMAGE:
        assert(st->used && bit(st->blocks, (uint32_t)(sp->off / BLOCK_LEN)));
        memcpy(out, st->data + sp->off, sp->len);
        n->sent_blocks++;
        if (n->corrupt)
            out[0] ^= 1;
        return sp->len;
    case OBJ_CHUNK:
        assert(st->used && bit(st->chunks, (uint32_t)sp->off));
        memcpy(out, st->records + sp->off * geometry_chunk_len(&st->geo), sp->len);
        return sp->len;
    case OBJ_ROOT:
    case OBJ_REVOCATIONS:
    case OBJ_WITHDRAWAL:
    case OBJ_FLOOR:
    case OBJ_BAN:
    case OBJ_MANIFEST:
    case OBJ_RELEASE:
        break;
    }
    const struct mesh_record *r = record_find(n, sp->object);
    assert(r != NULL);
    memcpy(out, r->data, r->n);
    return r->n;
}

/* Queues a message on the first link between two nodes; keeps bytes. */
static void deliver_to(struct mesh *m, uint32_t from, uint32_t to, uint8_t *bytes, size_t n,
                       uint32_t body_len)
{
    for (uint32_t i = 0; i < MESH_LINKS; i++) {
        const struct mesh_link *l = &m->link[i];
        for (int s = 0; s < 2; s++) {
            if (!l->used || l->node[s] != from || l->node[1 - s] != to)
                continue;
            struct event ev = {.type = EV_MSG, .link = l->id[1 - s]};
            ev.msg.head = bytes_of(bytes, n);
            ev.msg.body_len = body_len;
            ev.msg.data = bytes_of(bytes + n, body_len);
            ev.msg.body = body_len > 0 ? (struct body *)(void *)(bytes + n) : NULL;
            push(m, to, &ev, bytes);
            return;
        }
    }
    free(bytes);
}

void mesh_message(struct mesh *m, uint32_t from, uint32_t to, const struct wire_msg *msg,
                  const void *body, uint32_t body_len)
{
    uint8_t *bytes = mesh_need(WIRE_HEAD_MAX + body_len);
    size_t n = wire_encode(msg, bytes);
    if (body_len > 0)
        memcpy(bytes + n, body, body_len);
    deliver_to(m, from, to, bytes, n, body_len);
}

void mesh_raw(struct mesh *m, uint32_t from, uint32_t to, const void *head, size_t n)
{
    uint8_t *bytes = mesh_need(n);
    memcpy(bytes, head, n);
    deliver_to(m, from, to, bytes, n, 0);
}

static void do_send(struct mesh *m, uint32_t node, const struct action *a, const uint8_t *head)
{
    int side = 0;
    struct mesh_link *l = link_by_id(m, node, a->link, &side);
    struct event sent = {.type = EV_SENT, .link = a->link};
    sent.sent.bytes = a->head_len + a->send.span.len;
    if (l == NULL)
        return;
    if (m->node[node].stalled != l->node[1 - side] + 1)
        push(m, node, &sent, NULL);
    static uint8_t body[65536];
    size_t n = body_bytes(&m->node[node], &a->send.span, body);
    struct wire_msg msg;
    enum err e = wire_decode(&msg, bytes_of(head, a->head_len));
    assert(e == E_OK);
    (void)e;
    m->delivered[msg.id]++;
    uint32_t to = l->node[1 - side];
    if (l->cut || (m->filter != NULL && !m->filter(m, node, to, &msg)))
        return;
    mesh_message(m, node, to, &msg, body, (uint32_t)n);
}

static void do_close(struct mesh *m, uint32_t node, uint32_t id)
{
    int side = 0;
    struct mesh_link *l = link_by_id(m, node, id, &side);
    if (l == NULL)
        return;
    l->used = false;
    for (int s = 0; s < 2; s++) {
        struct event ev = {.type = EV_DOWN, .link = l->id[s], .err = E_CLOSED};
        push(m, l->node[s], &ev, NULL);
    }
}

static void do_open(struct mesh *m, struct mesh_node *n, const struct action *a)
{
    struct mesh_store *st = &n->store[a->open.slot];
    struct event ev = {.type = EV_OPENED, .op = a->op};
    ev.opened.slot = a->open.slot;
    if (n->fail_open) {
        ev.err = n->fail_err != E_OK ? n->fail_err : E_FULL;
        push(m, n->index, &ev, NULL);
        return;
    }
    /* Storage is found by (root, size), whatever slot it was opened for. */
    for (uint32_t k = 0; k < MESH_SLOTS; k++) {
        struct mesh_store *o = &n->store[k];
        if (o == st || !o->used || !digest_equal(&o->root, &a->open.root) ||
            o->geo.size != a->open.geo.size)
            continue;
        struct mesh_store moved = *o;
        *o = *st;
        o->used = false;
        *st = moved;
    }
    if (!st->used || !digest_equal(&st->root, &a->open.root) || st->geo.size != a->open.geo.size) {
        free(st->data);
        free(st->blocks);
        free(st->chunks);
        free(st->records);
        st->used = true;
        st->root = a->open.root;
        st->geo = a->open.geo;
        st->data = mesh_need((size_t)st->geo.size);
        st->blocks = mesh_need(st->geo.blocks / 8 + 1);
        st->chunks = mesh_need(st->geo.chunks / 8 + 1);
        st->records = mesh_need((size_t)st->geo.chunks * geometry_chunk_len(&st->geo));
    }
    ev.opened.blocks = bytes_of(st->blocks, (st->geo.blocks + 7) / 8);
    ev.opened.chunks = bytes_of(st->chunks, (st->geo.chunks + 7) / 8);
    push(m, n->index, &ev, NULL);
}

/* The same judgement as src/store: hash against the proven leaf, keep nothing else. */
static enum err keep(struct mesh_node *n, const struct action *a)
{
    uint32_t slot = object_number(a->store.at.object);
    struct mesh_store *st = &n->store[slot];
    const uint8_t *body = (const uint8_t *)(const void *)a->store.body;
    if (!st->used)
        return E_NOENT;
    if (n->fail_store)
        return E_FULL;
    uint32_t len = geometry_chunk_len(&st->geo);
    if (object_kind_of(a->store.at.object) == OBJ_CHUNK) {
        uint32_t chunk = (uint32_t)a->store.at.off;
        enum err e = tree_chunk_verify(&st->geo, &st->root, chunk, bytes_of(body, a->store.at.len));
        if (e != E_OK)
            return e;
        memcpy(st->records + (size_t)chunk * len, body, len);
        st->chunks[chunk / 8] |= (uint8_t)(0x80u >> (chunk % 8));
        return E_OK;
    }
    uint32_t block = (uint32_t)(a->store.at.off / BLOCK_LEN);
    struct digest leaf, want = st->root;
    if (st->geo.blocks > 1) {
        uint32_t chunk = block / CHUNK_BLOCKS;
        assert(bit(st->chunks, chunk));
        memcpy(want.b, st->records + (size_t)chunk * len + 32u * (block % CHUNK_BLOCKS), 32);
    }
    tree_leaf(&leaf, body, a->store.at.len);
    if (!digest_equal(&leaf, &want))
        return E_HASH;
    memcpy(st->data + a->store.at.off, body, a->store.at.len);
    st->blocks[block / 8] |= (uint8_t)(0x80u >> (block % 8));
    return E_OK;
}

static void do_check(struct mesh *m, struct mesh_node *n, const struct action *a)
{
    struct mesh_store *st = &n->store[a->check.slot];
    struct event ev = {.type = EV_CHECKED, .op = a->op};
    struct digest d;
    if (a->check.whole) {
        hash_sha256(&d, st->data, (size_t)st->geo.size);
        ev.err = digest_equal(&d, &a->check.want) ? E_OK : E_HASH;
        push(m, n->index, &ev, NULL);
        return;
    }
    for (uint32_t b = a->check.block; b < a->check.block + a->check.count; b++) {
        const uint8_t *rec =
            st->records + (size_t)(b / CHUNK_BLOCKS) * geometry_chunk_len(&st->geo);
        tree_leaf(&d, st->data + (size_t)b * BLOCK_LEN, geometry_block_len(&st->geo, b));
        if (st->geo.blocks > 1 && memcmp(d.b, rec + 32u * (b % CHUNK_BLOCKS), 32) != 0) {
            ev.err = E_HASH;
            st->blocks[b / 8] = (uint8_t)(st->blocks[b / 8] & ~(0x80u >> (b % 8)));
        }
    }
    push(m, n->index, &ev, NULL);
}

static void do_tell(struct mesh *m, struct mesh_node *n, const struct action *a)
{
    switch (a->tell.what) {
    case TELL_INSTALL:
        n->installs++;
        n->install_slot = a->tell.slot;
        if (n->install_exit < 0)
            return;
        {
            struct event ev = {.type = EV_ORDER};
            ev.order.what = ORDER_INSTALLED;
            ev.order.slot = a->tell.slot;
            ev.order.code = n->install_exit;
            push(m, n->index, &ev, NULL);
            struct node_image_status st;
            if (n->install_runs && node_image_status(n->core, a->tell.slot, &st))
                mesh_current(m, n->index, st.manifest->version, &st.manifest->digest, 0);
        }
        return;
    case TELL_HELD:
        n->held++;
        return;
    case TELL_CONFIRMED:
        n->confirms++;
        return;
    case TELL_HELD_AT:
        n->held_at++;
        n->held_digest = a->tell.digest;
        return;
    case TELL_TRUST:
        n->trusts++;
        return;
    case TELL_STOPPED_AT:
        n->stopped_at++;
        return;
    case TELL_TRUSTED_AT:
        n->trusted_at++;
        return;
    case TELL_REHASH:
        n->rehashes++;
        return;
    }
}

static void do_cast(struct mesh *m, uint32_t node, const struct action *a, const uint8_t *head)
{
    m->node[node].casts++;
    for (uint32_t i = 0; i < m->count && m->lan; i++) {
        if (i == node || !m->node[i].up)
            continue;
        uint8_t *bytes = mesh_need(a->head_len);
        memcpy(bytes, head, a->head_len);
        struct event ev = {.type = EV_DATAGRAM};
        ev.datagram.from = (struct addr){.family = 4, .ip = {127, 0, 0, 1}, .port = 9};
        ev.datagram.data = bytes_of(bytes, a->head_len);
        push(m, i, &ev, bytes);
    }
}

static void do_save(struct mesh *m, struct mesh_node *n, const struct action *a,
                    const uint8_t *head)
{
    struct bytes data = a->save.data.p != NULL ? a->save.data : bytes_of(head, a->head_len);
    record_put(n, a->save.object, data);
    if (!a->save.last)
        return;
    struct event ev = {.type = EV_SAVED, .op = a->op};
    push(m, n->index, &ev, NULL);
}

static void perform(struct mesh *m, struct mesh_node *n, const struct action *a,
                    const uint8_t *head)
{
    switch (a->type) {
    case ACT_DIAL:
        do_dial(m, n->index, a);
        return;
    case ACT_SEND:
        do_send(m, n->index, a, head);
        return;
    case ACT_CAST:
        do_cast(m, n->index, a, head);
        return;
    case ACT_CLOSE:
        do_close(m, n->index, a->link);
        return;
    case ACT_OPEN:
        do_open(m, n, a);
        return;
    case ACT_SHUT:
        if (a->shut.remove)
            n->store[a->shut.slot].used = false;
        return;
    case ACT_STORE: {
        struct event ev = {.type = EV_STORED, .op = a->op, .err = keep(n, a)};
        push(m, n->index, &ev, NULL);
        return;
    }
    case ACT_SAVE:
        do_save(m, n, a, head);
        return;
    case ACT_CHECK:
        do_check(m, n, a);
        return;
    case ACT_TELL:
        do_tell(m, n, a);
        return;
    }
}

static void drain(struct mesh *m, struct mesh_node *n)
{
    struct action a;
    uint8_t head[HEAD_MAX];
    uint32_t boots = n->boots;
    n->undrained = false;
    while (n->up && n->boots == boots && node_next(n->core, &a, head))
        perform(m, n, &a, head);
}

/* These are drained alone: what they lend is named until their drain ends. */
static bool lends(const struct event *ev)
{
    return ev->type == EV_START || ev->type == EV_LEARNT || ev->type == EV_ORDER ||
           (ev->type == EV_MSG && ev->msg.body_len > 0);
}

static void step(struct mesh *m, struct mesh_node *n, struct event *ev)
{
    if (n->undrained && lends(ev))
        drain(m, n);
    ev->now = m->now;
    node_step(n->core, ev);
    n->undrained = true;
    if (!m->lazy || lends(ev))
        drain(m, n);
}

/* ---- running ---- */

void mesh_order(struct mesh *m, uint32_t node, struct event *ev)
{
    ev->type = EV_ORDER;
    step(m, &m->node[node], ev);
}

void mesh_start(struct mesh *m, uint32_t node)
{
    struct mesh_node *n = &m->node[node];
    uint8_t seed[32];
    n->boots++;
    n->up = true;
    n->undrained = false;
    mesh_derive(seed, m->seed, "boot", node * 1000u + n->boots);
    n->log = (struct log){.level = LOG_DEBUG, .sink = log_line, .ctx = n};
    snprintf(n->log.node, sizeof(n->log.node), "%u", node);
    free(n->mem);
    n->mem = mesh_need(node_size(&n->lim));
    n->core = node_init(n->mem, &n->lim, &n->conf, seed, &n->log);
    struct event ev = {.type = EV_START};
    ev.start.identity = &n->signer;
    ev.start.root_chain = bytes_of(m->chain, m->chain_len);
    ev.start.cert = bytes_of(n->cert, n->cert_len);
    step(m, n, &ev);
    for (uint32_t kind = OBJ_ROOT; kind <= OBJ_RELEASE; kind++) {
        for (uint32_t i = 0; i < n->records; i++) {
            if ((uint32_t)object_kind_of(n->record[i].object) != kind || n->record[i].n == 0)
                continue;
            struct event l = {.type = EV_LOADED};
            l.loaded.object = n->record[i].object;
            l.loaded.data = bytes_of(n->record[i].data, n->record[i].n);
            step(m, n, &l);
        }
    }
    struct event ready = {.type = EV_READY};
    step(m, n, &ready);
}

void mesh_datagram(struct mesh *m, uint32_t node, const struct addr *from,
                   const struct wire_msg *msg)
{
    uint8_t *bytes = mesh_need(WIRE_HEAD_MAX);
    struct event ev = {.type = EV_DATAGRAM};
    ev.datagram.from = *from;
    ev.datagram.data = bytes_of(bytes, wire_encode(msg, bytes));
    push(m, node, &ev, bytes);
}

void mesh_kill(struct mesh *m, uint32_t node)
{
    m->node[node].up = false;
    for (uint32_t i = 0; i < MESH_LINKS; i++) {
        struct mesh_link *l = &m->link[i];
        if (l->used && (l->node[0] == node || l->node[1] == node))
            do_close(m, node, l->node[0] == node ? l->id[0] : l->id[1]);
    }
}

void mesh_forget(struct mesh *m, uint32_t node)
{
    struct mesh_node *n = &m->node[node];
    for (uint32_t k = 0; k < n->records; k++)
        free(n->record[k].data);
    n->records = 0;
    for (uint32_t k = 0; k < MESH_SLOTS; k++)
        n->store[k].used = false;
}

void mesh_know(struct mesh *m, uint32_t node, uint32_t other, bool verify)
{
    struct event ev = {.type = EV_ORDER};
    ev.order.what = ORDER_KNOW;
    ev.order.flag = verify;
    ev.order.addr =
        (struct addr){.family = 4, .ip = {127, 0, 0, 1}, .port = (uint16_t)(1000 + other)};
    mesh_order(m, node, &ev);
}

void mesh_seed(struct mesh *m, uint32_t node, uint32_t release)
{
    struct mesh_node *n = &m->node[node];
    struct event ev = {.type = EV_ORDER};
    ev.order.what = ORDER_RELEASE;
    ev.order.data = bytes_of(m->release[release].envelope, m->release[release].envelope_len);
    mesh_order(m, node, &ev);
    for (uint32_t slot = 0; slot < n->lim.images; slot++) {
        struct node_image_status st;
        if (!node_image_status(n->core, slot, &st) ||
            !digest_equal(&st.manifest->id, &m->release[release].m.id))
            continue;
        struct action open = {.type = ACT_OPEN};
        open.open.slot = slot;
        open.open.root = st.manifest->tree_root;
        open.open.geo = st.geo;
        do_open(m, n, &open);
        struct mesh_store *s = &n->store[slot];
        memcpy(s->data, m->release[release].image, (size_t)s->geo.size);
        memset(s->blocks, 0xff, s->geo.blocks / 8 + 1);
        memset(s->chunks, 0xff, s->geo.chunks / 8 + 1);
        void *mem = mesh_need(tree_builder_size(&s->geo));
        struct tree_builder *t = tree_builder_init(mem, &s->geo);
        for (uint32_t b = 0; b < s->geo.blocks; b++) {
            struct digest leaf;
            tree_leaf(&leaf, s->data + (size_t)b * BLOCK_LEN, geometry_block_len(&s->geo, b));
            tree_builder_leaf(t, &leaf);
        }
        for (uint32_t c = 0; c < s->geo.chunks; c++)
            tree_builder_chunk(t, c, s->records + (size_t)c * geometry_chunk_len(&s->geo));
        free(mem);
        struct event adopt = {.type = EV_ORDER};
        adopt.order.what = ORDER_ADOPT;
        adopt.order.slot = slot;
        mesh_order(m, node, &adopt);
    }
}

void mesh_current(struct mesh *m, uint32_t node, const char *version, const struct digest *digest,
                  uint64_t sequence)
{
    struct event ev = {.type = EV_ORDER};
    ev.order.what = ORDER_CURRENT;
    ev.order.digest = *digest;
    ev.order.sequence = sequence;
    uint8_t *copy = mesh_need(128);
    memcpy(copy, version, strlen(version));
    ev.order.text = bytes_of(copy, strlen(version));
    copy[64] = 1;
    ev.order.data = bytes_of(copy + 64, 16);
    push(m, node, &ev, copy);
}

static void deliver(struct mesh *m)
{
    struct mesh_event *e = m->head;
    m->head = e->next;
    if (m->head == NULL)
        m->tail = NULL;
    struct mesh_node *n = &m->node[e->node];
    if (n->up && n->boots == e->boot)
        step(m, n, &e->ev);
    free(e->bytes);
    free(e);
}

void mesh_run(struct mesh *m, usec until)
{
    for (;;) {
        while (m->head != NULL)
            deliver(m);
        for (uint32_t i = 0; i < m->count; i++) {
            if (m->node[i].up && m->node[i].undrained)
                drain(m, &m->node[i]);
        }
        if (m->head != NULL)
            continue;
        usec next = USEC_NEVER;
        for (uint32_t i = 0; i < m->count; i++) {
            if (m->node[i].up && node_deadline(m->node[i].core) < next)
                next = node_deadline(m->node[i].core);
        }
        if (next > until) {
            m->now = until > m->now ? until : m->now;
            return;
        }
        if (next > m->now)
            m->now = next;
        bool any = false;
        for (uint32_t i = 0; i < m->count; i++) {
            struct event ev = {.type = EV_TIME};
            if (m->node[i].up && node_deadline(m->node[i].core) <= m->now) {
                step(m, &m->node[i], &ev);
                any = true;
            }
        }
        assert(any);
        m->turns++;
        /* A deadline that stays in the past would spin for ever: the smallest step of time ends a
         * spin as a test that never gets anywhere, which its time limit shows. */
        m->now++;
    }
}

/* ---- looking ---- */

enum release_state mesh_state(struct mesh *m, uint32_t node, uint32_t release,
                              struct node_image_status *out)
{
    struct node_image_status st;
    for (uint32_t i = 0; i < m->node[node].lim.images; i++) {
        if (!node_image_status(m->node[node].core, i, &st) ||
            !digest_equal(&st.manifest->id, &m->release[release].m.id))
            continue;
        if (out != NULL)
            *out = st;
        return st.state;
    }
    return RELEASE_NONE;
}

bool mesh_linked(struct mesh *m, uint32_t a, uint32_t b)
{
    for (uint32_t i = 0; i < MESH_LINKS; i++) {
        const struct mesh_link *l = &m->link[i];
        if (l->used &&
            ((l->node[0] == a && l->node[1] == b) || (l->node[0] == b && l->node[1] == a)))
            return true;
    }
    return false;
}

struct node_status mesh_status(struct mesh *m, uint32_t node)
{
    struct node_status st;
    node_status(m->node[node].core, &st);
    return st;
}
