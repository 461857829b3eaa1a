/* The bytes of one connection.
 *
 * In: the socket is read into a pooled buffer, records are opened in place, and each message is
 * given to the core as pointers into that buffer.  The read is sized so that every record ends in
 * the buffer it began in: bytes are asked for up to RBUF_SOFT, and beyond it only as many as the
 * last record lacks.  So nothing is ever moved, and a block on its way to disk keeps its buffer
 * alive by a reference.
 *
 * Out: messages are written into an open record, payload straight from the store behind its head;
 * a record is sealed in place when the next message does not fit or when the turn ends.  All sealed
 * records of a link leave in one uv_try_write; what the kernel does not take goes by uv_write, a
 * few buffers at a time so that credit returns steadily. */
#include "loop.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "fwswarm/wire.h"

#define PENDING_BUFS 4u /* handed to one uv_write */

/* Debug level shows every message, without its body. */
static void trace(const struct conn *c, const char *event, struct bytes head, size_t body)
{
    struct log *log = c->host->log;
    struct wire_msg m;
    char text[600];
    if (log->sink == NULL || log->level < LOG_DEBUG || wire_decode(&m, head) != E_OK)
        return;
    wire_print(&m, text, sizeof(text));
    log_debug(log, event, "link=%u body=%zu msg=\"%s\"", c->id, body, text);
}

/* ---- the send queue ---- */
static void mark_dirty(struct conn *c)
{
    if (c->dirty)
        return;
    c->dirty = true;
    c->next_dirty = c->host->net.dirty;
    c->host->net.dirty = c;
}

static void append(struct conn *c, struct sbuf *b)
{
    if (c->out_last == NULL)
        c->out_first = b;
    else
        c->out_last->next = b;
    c->out_last = b;
    mark_dirty(c);
}

static void seal_open(struct conn *c)
{
    struct sbuf *b = c->out_last;
    if (b == NULL || b->sealed)
        return;
    if (b->len > 0)
        b->len = (uint32_t)link_seal_record(&c->link, b->data, b->len);
    b->sealed = true;
}

/* The record that takes n more plaintext bytes. */
static struct sbuf *room_for(struct conn *c, uint32_t n)
{
    struct sbuf *b = c->out_last;
    if (b != NULL && !b->sealed && b->len + n <= LINK_RECORD_MAX)
        return b;
    seal_open(c);
    b = pool_sbuf(&c->host->pool, RECORD_WIRE_MAX);
    append(c, b);
    return b;
}

/* Reads a span of an image or a chunk record to out, which has span->len bytes. */
static enum err read_span(struct host *h, const struct span *span, uint8_t *out)
{
    uint32_t slot = object_number(span->object);
    size_t n = 0;
    if (object_kind_of(span->object) == OBJ_IMAGE)
        return store_read(h->store, slot, span->off, span->len, out);
    enum err e = store_read_chunk(h->store, slot, (uint32_t)span->off, out, span->len, &n);
    return e == E_OK && n != span->len ? E_STATE : e;
}

static void unreadable(const struct conn *c, const struct span *span, enum err e)
{
    log_error(c->host->log, "send.unreadable", "link=%u object=%08x off=%llu len=%u err=%s", c->id,
              span->object, (unsigned long long)span->off, span->len, err_name(e));
}

/* Writes length and head; returns where the body goes. */
static uint8_t *put_head(struct sbuf *b, const uint8_t *head, uint32_t head_len, uint32_t body_len)
{
    uint8_t *at = b->data + LINK_HEAD_ROOM + b->len;
    struct wr w = wr_of(at, WIRE_LENGTH_BYTES + head_len);
    wr_u32(&w, head_len + body_len);
    wr_copy(&w, head, head_len);
    return at + WIRE_LENGTH_BYTES + head_len;
}

/* The core may send what it has just saved, before it is on disk. */
static enum err read_record(struct host *h, uint32_t object, uint8_t *out, size_t cap, size_t *n)
{
    struct bytes pending;
    if (!disk_pending_record(h, object, &pending))
        return store_record_get(h->store, object, out, cap, n);
    if (pending.n == 0)
        return E_NOENT;
    if (pending.n > cap)
        return E_OVERSIZED;
    memcpy(out, pending.p, pending.n);
    *n = pending.n;
    return E_OK;
}

/* A record object goes whole; its length is known only once it is read. */
static void send_record(struct conn *c, const uint8_t *head, uint32_t head_len,
                        const struct span *span)
{
    uint8_t record[WIRE_BODY_MAX];
    size_t n = 0;
    enum err e = read_record(c->host, span->object, record, sizeof(record), &n);
    struct sbuf *b = room_for(c, (uint32_t)(WIRE_LENGTH_BYTES + head_len + n));
    b->credit += head_len + span->len;
    if (e != E_OK) {
        unreadable(c, span, e);
        return;
    }
    uint8_t *body = put_head(b, head, head_len, (uint32_t)n);
    memcpy(body, record, n);
    b->len += (uint32_t)(WIRE_LENGTH_BYTES + head_len + n);
}

void stream_send(struct conn *c, const uint8_t *head, uint32_t head_len, const struct span *span)
{
    trace(c, "msg.out", bytes_of(head, head_len), span->len);
    if (object_kind_of(span->object) > OBJ_CHUNK) {
        send_record(c, head, head_len, span);
        return;
    }
    uint32_t n = WIRE_LENGTH_BYTES + head_len + span->len;
    assert(n <= LINK_RECORD_MAX);
    struct sbuf *b = room_for(c, n);
    uint8_t *body = put_head(b, head, head_len, span->len);
    /* Credit comes back even when the object cannot be read: the other side asks elsewhere after
     * its timeout, and this link's window must not leak. */
    b->credit += head_len + span->len;
    if (span->len > 0) {
        enum err e = read_span(c->host, span, body);
        if (e != E_OK) {
            unreadable(c, span, e);
            return;
        }
    }
    b->len += n;
}

/* Takes n sent bytes off the queue; returns the credit of records that are out. */
static uint32_t advance(struct conn *c, size_t n)
{
    uint32_t credit = 0;
    while (c->out_first != NULL && c->out_first->sealed) {
        struct sbuf *b = c->out_first;
        size_t left = b->len - b->sent;
        if (n < left) {
            b->sent += (uint32_t)n;
            break;
        }
        n -= left;
        credit += b->credit;
        c->out_first = b->next;
        if (c->out_first == NULL)
            c->out_last = NULL;
        pool_sbuf_free(&c->host->pool, b);
    }
    return credit;
}

static void give_credit(struct conn *c, uint32_t credit)
{
    if (credit == 0 || !c->told_up || c->state == CONN_CLOSING || c->host->done)
        return;
    struct event ev = {.type = EV_SENT, .link = c->id, .sent = {.bytes = credit}};
    host_event(c->host, &ev);
}

static uint32_t gather(struct conn *c, uv_buf_t *bufs, uint32_t max, size_t *total)
{
    uint32_t count = 0;
    *total = 0;
    for (struct sbuf *b = c->out_first; b != NULL && b->sealed && count < max; b = b->next) {
        if (b->len == b->sent)
            continue; /* a record whose only message could not be read: credit alone */
        bufs[count++] = uv_buf_init((char *)b->data + b->sent, b->len - b->sent);
        *total += b->len - b->sent;
    }
    return count;
}

static void flushed(struct conn *c)
{
    if (c->state == CONN_FLUSHING && c->out_first == NULL)
        conn_close(c, c->why);
}

static void on_written(uv_write_t *req, int status)
{
    struct conn *c = req->data;
    c->writing = false;
    if (c->state == CONN_CLOSING)
        return;
    if (status != 0) {
        conn_close(c, err_from_uv(status));
        return;
    }
    give_credit(c, advance(c, c->sending));
    if (c->out_first != NULL)
        mark_dirty(c);
    flushed(c);
}

static void flush(struct conn *c)
{
    uv_buf_t bufs[WRITE_BUFS];
    size_t total;
    if (c->writing || c->state == CONN_CLOSING || c->state == CONN_DIALLING)
        return;
    if (c->state != CONN_HANDSHAKE)
        seal_open(c);
    while (c->out_first != NULL) {
        uint32_t count = gather(c, bufs, WRITE_BUFS, &total);
        int r = count == 0 ? 0 : uv_try_write((uv_stream_t *)&c->tcp, bufs, count);
        if (r < 0 && r != UV_EAGAIN) {
            conn_close(c, err_from_uv(r));
            return;
        }
        size_t out = r < 0 ? 0 : (size_t)r;
        uint32_t credit = advance(c, out);
        if (out < total) {
            count = gather(c, bufs, PENDING_BUFS, &total);
            c->sending = (uint32_t)total;
            c->write.data = c;
            r = uv_write(&c->write, (uv_stream_t *)&c->tcp, bufs, count, on_written);
            c->writing = r == 0;
            if (r != 0) {
                conn_close(c, err_from_uv(r));
                return;
            }
            give_credit(c, credit);
            return;
        }
        give_credit(c, credit);
    }
    flushed(c);
}

void stream_flush_all(struct host *h)
{
    struct conn *c = h->net.dirty;
    h->net.dirty = NULL;
    while (c != NULL) {
        struct conn *next = c->next_dirty;
        c->dirty = false;
        flush(c);
        c = next;
    }
}

/* ---- messages in ---- */
static void give_message(struct conn *c, uint8_t id, struct bytes head, struct bytes body)
{
    struct body real = {.buf = c->in, .p = body.p, .n = (uint32_t)body.n};
    struct event ev = {.type = EV_MSG, .link = c->id};
    trace(c, "msg.in", head, body.n);
    ev.msg.head = head;
    if (body.n == 0) {
        host_event(c->host, &ev);
        return;
    }
    ev.msg.body = &real;
    ev.msg.body_len = real.n;
    if (id != MSG_piece && id != MSG_hashes)
        ev.msg.data = body;
    host_event_drain(c->host, &ev);
}

static void split_messages(struct conn *c, struct bytes plain)
{
    while (c->state == CONN_OPEN) {
        struct bytes msg, head, body;
        uint8_t id = 0;
        enum err e = link_next_message(&plain, &msg);
        if (e == E_OK && msg.n == 0)
            return;
        if (e == E_OK)
            e = wire_split(msg, &id, &head, &body);
        if (e == E_UNKNOWN && wire_ignorable(id))
            continue;
        if (e != E_OK) {
            log_info(c->host->log, "link.message", "link=%u id=%u msg=%s err=%s", c->id, id,
                     wire_name(id), err_name(e));
            conn_close(c, e);
            return;
        }
        give_message(c, id, head, body);
    }
}

static void take_records(struct conn *c)
{
    while (c->state == CONN_OPEN && c->in_start < c->in_end) {
        struct bytes plain;
        size_t used;
        enum err e = link_open_record(&c->link, c->in->data + c->in_start, c->in_end - c->in_start,
                                      &used, &plain);
        if (e != E_OK) {
            log_info(c->host->log, "link.record", "link=%u err=%s", c->id, err_name(e));
            conn_close(c, e);
            return;
        }
        if (used == 0)
            return;
        c->in_start += (uint32_t)used;
        split_messages(c, plain);
    }
}

/* ---- handshake ---- */
static void queue_handshake(struct conn *c)
{
    struct bytes out = link_handshake_out(&c->link);
    if (out.n == 0)
        return;
    struct sbuf *b = pool_sbuf(&c->host->pool, out.n);
    memcpy(b->data, out.p, out.n);
    b->len = (uint32_t)out.n;
    b->sealed = true;
    append(c, b);
}

static void free_scratch(struct conn *c)
{
    if (c->scratch == NULL)
        return;
    crypto_wipe(c->scratch, sizeof(*c->scratch));
    free(c->scratch);
    c->scratch = NULL;
}

/* What a handshake taught holds by its own signatures, also when the peer was refused. */
static void give_learnt(struct conn *c)
{
    struct event ev = {.type = EV_LEARNT};
    ev.learnt.roots = link_learnt_roots(&c->link);
    ev.learnt.revocations = link_learnt_revocations(&c->link);
    if (ev.learnt.roots.n > 0 || ev.learnt.revocations.n > 0)
        host_event_drain(c->host, &ev);
}

static void opened(struct conn *c)
{
    struct host *h = c->host;
    struct net *n = &h->net;
    if (n->links_open >= h->opt->limits->links) {
        conn_close(c, E_LIMIT);
        return;
    }
    if (c->inbound_counted) {
        c->inbound_counted = false;
        n->unproven--;
    }
    c->state = CONN_OPEN;
    c->deadline = USEC_NEVER;
    give_learnt(c);
    link_release_scratch(&c->link);
    free_scratch(c);
    c->told_up = true;
    n->links_open++;
    struct event ev = {.type = EV_UP, .link = c->id, .op = c->op};
    ev.up.who = *link_peer(&c->link);
    ev.up.addr = c->addr;
    host_event(h, &ev);
}

static void take_handshake(struct conn *c)
{
    while (c->state == CONN_HANDSHAKE && c->in_start < c->in_end) {
        size_t used = 0;
        enum err e =
            link_handshake(&c->link, c->in->data + c->in_start, c->in_end - c->in_start, &used);
        if (e != E_OK) {
            char text[CONF_ADDR_TEXT];
            conf_print_addr(text, &c->addr);
            log_info(c->host->log, "link.handshake", "addr=%s dialled=%d err=%s", text, c->dialled,
                     err_name(e));
            give_learnt(c);
            conn_close(c, e);
            return;
        }
        c->in_start += (uint32_t)used;
        queue_handshake(c);
        if (link_state(&c->link) == LINK_OPEN) {
            opened(c);
            return;
        }
        if (used == 0)
            return;
    }
}

/* ---- reading ---- */

/* How far the buffer may be filled: see the head of this file. */
static uint32_t read_limit(const struct conn *c)
{
    uint32_t have = c->in_end - c->in_start, limit = RBUF_SOFT, end;
    if (have == 0 || c->state == CONN_HANDSHAKE)
        return limit;
    if (have < LINK_HEAD_ROOM) {
        end = c->in_start + LINK_HEAD_ROOM;
    } else {
        const uint8_t *p = c->in->data + c->in_start;
        end = c->in_start + LINK_HEAD_ROOM + ((uint32_t)p[0] << 8 | p[1]);
    }
    /* A length beyond the cap kills the link before its bytes are waited for. */
    assert(end <= RBUF_SIZE);
    return end > limit ? end : limit;
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct conn *c = handle->data;
    (void)suggested;
    if (c->in == NULL) {
        c->in = pool_rbuf(&c->host->pool);
        c->in_start = c->in_end = 0;
    }
    uint32_t limit = read_limit(c);
    assert(limit > c->in_end);
    *buf = uv_buf_init((char *)c->in->data + c->in_end, limit - c->in_end);
}

static void on_read(uv_stream_t *stream, ssize_t nread, const uv_buf_t *buf)
{
    struct conn *c = stream->data;
    (void)buf;
    if (nread < 0) {
        conn_close(c, err_from_uv((int)nread));
        return;
    }
    c->in_end += (uint32_t)nread;
    take_handshake(c);
    take_records(c);
    if (c->in_start == c->in_end && c->in != NULL) {
        pool_rbuf_unref(&c->host->pool, c->in);
        c->in = NULL;
        host_trim_later(c->host);
    }
}

void stream_start(struct conn *c)
{
    struct host *h = c->host;
    uint8_t seed[32];
    c->scratch = must_alloc(sizeof(*c->scratch));
    randombytes_buf(seed, sizeof(seed));
    link_init(&c->link, c->dialled ? LINK_DIALLER : LINK_LISTENER, &h->net.self, seed, &h->aead,
              c->scratch);
    c->linked = true;
    crypto_wipe(seed, sizeof(seed));
    queue_handshake(c);
    int r = uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read);
    if (r != 0)
        conn_close(c, err_from_uv(r));
}

void stream_drop(struct conn *c)
{
    struct pool *p = &c->host->pool;
    while (c->out_first != NULL) {
        struct sbuf *b = c->out_first;
        c->out_first = b->next;
        pool_sbuf_free(p, b);
    }
    c->out_last = NULL;
    if (c->in != NULL)
        pool_rbuf_unref(p, c->in);
    c->in = NULL;
    if (c->linked)
        link_wipe(&c->link);
    free_scratch(c);
}
