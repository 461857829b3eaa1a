/* Connections: who may have one, how they begin and how they end.
 *
 * A stranger costs little: at most UNPROVEN_MAX inbound links are in their handshake, a few from
 * one network, each for five seconds, and handshakes start no faster than a token bucket allows.
 * When the bucket is empty a connection is left waiting in the listener rather than refused, so a
 * fleet that comes up at once is slowed and not turned away.
 *
 * A connection ends in one place, on_closed(), which runs after every libuv request of it has
 * ended; the core hears EV_DOWN from there, never from within an action. */
#include "loop.h"

#include <assert.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define DIALS_MAX       16u
#define BACKLOG         128
#define NOTSENT_LOWAT   (128 * 1024)
#define KEEPALIVE_S     60
#define USER_TIMEOUT_MS 30000
#define NO_INDEX        UINT32_MAX

/* ---- addresses ---- */
bool addr_from_sockaddr(struct addr *out, const struct sockaddr *sa)
{
    memset(out, 0, sizeof(*out));
    if (sa->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, sa, sizeof(in));
        out->family = 4;
        memcpy(out->ip, &in.sin_addr, 4);
        out->port = ntohs(in.sin_port);
        return true;
    }
    if (sa->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, sa, sizeof(in6));
        out->family = 6;
        memcpy(out->ip, &in6.sin6_addr, 16);
        out->port = ntohs(in6.sin6_port);
        /* A scope means something for link-local addresses only. */
        if (out->ip[0] == 0xfe && (out->ip[1] & 0xc0) == 0x80)
            out->scope = in6.sin6_scope_id;
        return true;
    }
    return false;
}

void addr_to_sockaddr(const struct addr *a, struct sockaddr_storage *ss)
{
    memset(ss, 0, sizeof(*ss));
    if (a->family == 4) {
        struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(a->port)};
        memcpy(&in.sin_addr, a->ip, 4);
        memcpy(ss, &in, sizeof(in));
        return;
    }
    assert(a->family == 6);
    struct sockaddr_in6 in6 = {
        .sin6_family = AF_INET6, .sin6_port = htons(a->port), .sin6_scope_id = a->scope};
    memcpy(&in6.sin6_addr, a->ip, 16);
    memcpy(ss, &in6, sizeof(in6));
}

bool addr_is_loopback(const struct addr *a)
{
    static const uint8_t one[16] = {[15] = 1};
    if (a->family == 4)
        return a->ip[0] == 127;
    return memcmp(a->ip, one, sizeof(one)) == 0;
}

bool addr_is_near(const struct addr *a)
{
    const uint8_t *p = a->ip;
    if (addr_is_loopback(a))
        return true;
    if (a->family == 4)
        return p[0] == 10 || (p[0] == 172 && (p[1] & 0xf0) == 16) || (p[0] == 192 && p[1] == 168) ||
               (p[0] == 169 && p[1] == 254);
    return (p[0] == 0xfe && (p[1] & 0xc0) == 0x80) || (p[0] & 0xfe) == 0xfc;
}

/* The network that a stranger's quota belongs to, never 0 outside loopback. */
static uint32_t addr_group(const struct addr *a)
{
    struct digest d;
    if (addr_is_loopback(a))
        return 0;
    hash_domain(&d, "fwswarm-group", bytes_of(a->ip, a->family == 4 ? 3 : 8),
                bytes_of(&a->family, 1));
    struct rd r = rd_of(bytes_of(d.b, 4));
    return rd_u32(&r) | 1u;
}

enum err err_from_uv(int e)
{
    switch (e) {
    case UV_EOF:
    case UV_ECONNRESET:
    case UV_EPIPE:
    case UV_ECONNABORTED:
        return E_CLOSED;
    case UV_ECONNREFUSED:
    case UV_ENETUNREACH:
    case UV_EHOSTUNREACH:
    case UV_EADDRNOTAVAIL:
        return E_REFUSED;
    case UV_ETIMEDOUT:
        return E_TIMEOUT;
    case UV_ENOMEM:
    case UV_ENOBUFS:
        return E_MEMORY;
    default:
        return err_from_errno(-e);
    }
}

/* ---- the life of a connection ---- */
static struct conn *conn_new(struct host *h)
{
    struct net *n = &h->net;
    struct conn *c = must_alloc(sizeof(*c));
    memset(c, 0, sizeof(*c));
    c->host = h;
    c->index = NO_INDEX;
    for (uint32_t i = 0; i < n->conns_cap; i++) {
        if (n->conns[i] == NULL) {
            n->conns[i] = c;
            c->index = i;
            break;
        }
    }
    /* Generation 0 is left out so that no link is ever called 0. */
    n->generation = n->generation % ((1u << (32 - CONN_INDEX_BITS)) - 1) + 1;
    c->id = n->generation << CONN_INDEX_BITS | (c->index & ((1u << CONN_INDEX_BITS) - 1));
    n->conns_count++;
    int r = uv_tcp_init(&h->loop, &c->tcp);
    assert(r == 0);
    c->tcp.data = c;
    c->deadline = USEC_NEVER;
    return c;
}

struct conn *net_find(struct host *h, uint32_t link)
{
    uint32_t index = link & ((1u << CONN_INDEX_BITS) - 1);
    if (index >= h->net.conns_cap)
        return NULL;
    struct conn *c = h->net.conns[index];
    return c != NULL && c->id == link ? c : NULL;
}

static void forget_dirty(struct conn *c)
{
    struct conn **at = &c->host->net.dirty;
    while (*at != NULL && *at != c)
        at = &(*at)->next_dirty;
    if (*at == c)
        *at = c->next_dirty;
}

static void proven(struct conn *c)
{
    if (!c->inbound_counted)
        return;
    c->inbound_counted = false;
    c->host->net.unproven--;
}

static void on_closed(uv_handle_t *handle)
{
    struct conn *c = handle->data;
    struct host *h = c->host;
    struct net *n = &h->net;
    uint32_t link = c->told_up ? c->id : 0;
    uint32_t op = c->told_up ? 0 : c->op;
    enum err why = c->why;
    if (c->dirty)
        forget_dirty(c);
    stream_drop(c);
    proven(c);
    if (c->told_up)
        n->links_open--;
    if (c->index != NO_INDEX)
        n->conns[c->index] = NULL;
    n->conns_count--;
    free(c);
    if (h->done || (link == 0 && op == 0))
        return;
    struct event ev = {.type = EV_DOWN, .link = link, .op = op, .err = why};
    host_event(h, &ev);
    if (h->watch.down != NULL)
        h->watch.down(h->watch.ctx, op, why);
}

void conn_close(struct conn *c, enum err why)
{
    if (c->state == CONN_CLOSING)
        return;
    if (c->state != CONN_FLUSHING)
        c->why = why;
    c->state = CONN_CLOSING;
    c->deadline = USEC_NEVER;
    uv_close((uv_handle_t *)&c->tcp, on_closed);
}

void conn_close_flushed(struct conn *c, enum err why)
{
    if (c->state != CONN_OPEN) {
        conn_close(c, why);
        return;
    }
    c->why = why;
    if (c->out_first == NULL) {
        conn_close(c, why);
        return;
    }
    c->state = CONN_FLUSHING;
    c->deadline = host_now(c->host) + FLUSH_MS * 1000u;
    uv_read_stop((uv_stream_t *)&c->tcp);
    net_sweep_soon(c->host);
}

/* Small writes leave at once; what the kernel has not sent stays short, so that the core's choice
 * of what to send next is made late; a far side that vanished is noticed. */
static void conn_tune(struct conn *c)
{
    int fd, lowat = NOTSENT_LOWAT, timeout = USER_TIMEOUT_MS;
    (void)uv_tcp_nodelay(&c->tcp, 1);
    (void)uv_tcp_keepalive(&c->tcp, 1, KEEPALIVE_S);
    if (uv_fileno((uv_handle_t *)&c->tcp, &fd) != 0)
        return;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &lowat, sizeof(lowat));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout, sizeof(timeout));
}

static void begin_handshake(struct conn *c)
{
    conn_tune(c);
    c->state = CONN_HANDSHAKE;
    c->deadline = host_now(c->host) + HANDSHAKE_MS * 1000u;
    net_sweep_soon(c->host);
    stream_start(c);
}

/* ---- dialling ---- */
static void on_connect(uv_connect_t *req, int status)
{
    struct conn *c = req->data;
    if (c->state != CONN_DIALLING)
        return;
    if (status != 0) {
        conn_close(c, err_from_uv(status));
        return;
    }
    begin_handshake(c);
}

void net_dial(struct host *h, const struct addr *addr, uint32_t op)
{
    struct sockaddr_storage ss;
    struct conn *c = conn_new(h);
    c->dialled = true;
    c->op = op;
    c->addr = *addr;
    c->state = CONN_DIALLING;
    if (c->index == NO_INDEX || h->net.closing) {
        conn_close(c, E_LIMIT);
        return;
    }
    c->deadline = host_now(h) + (addr_is_near(addr) ? DIAL_NEAR_MS : DIAL_MS) * 1000u;
    addr_to_sockaddr(addr, &ss);
    c->connect.data = c;
    int r = uv_tcp_connect(&c->connect, &c->tcp, (struct sockaddr *)&ss, on_connect);
    if (r != 0) {
        conn_close(c, err_from_uv(r));
        return;
    }
    net_sweep_soon(h);
}

/* ---- admission ---- */
/* A handshake costs a good part of a millisecond: a flood of them must not take a device's
 * processor, and a verify node must be able to greet a fleet that comes up at once. */
static uint32_t handshakes_rate(const struct host *h)
{
    uint32_t links = h->opt->limits->links;
    return links > HANDSHAKES_RATE ? links : HANDSHAKES_RATE;
}

static bool take_token(struct host *h)
{
    const usec cost = SEC / handshakes_rate(h);
    struct net *n = &h->net;
    usec now = host_now(h);
    n->tokens_us += now - n->tokens_at;
    n->tokens_at = now;
    if (n->tokens_us > HANDSHAKES_BURST * cost)
        n->tokens_us = HANDSHAKES_BURST * cost;
    if (n->tokens_us < cost)
        return false;
    n->tokens_us -= cost;
    return true;
}

/* E_OK when a stranger at this address may try its handshake. */
static enum err admit(struct host *h, const struct addr *addr, uint32_t group)
{
    const struct net *n = &h->net;
    uint32_t same = 0;
    if (n->closing || h->stopping || n->links_open >= h->opt->limits->links ||
        n->unproven >= UNPROVEN_MAX)
        return E_LIMIT;
    for (uint32_t i = 0; i < n->conns_cap; i++) {
        const struct conn *c = n->conns[i];
        if (c != NULL && c->inbound_counted && c->group == group)
            same++;
    }
    uint32_t most = addr_is_loopback(addr) ? UNPROVEN_LOCAL_MAX : UNPROVEN_GROUP_MAX;
    if (same >= most)
        return E_FLOOD;
    return E_OK;
}

static void note_refused(struct host *h, const struct addr *addr, enum err e)
{
    struct net *n = &h->net;
    char text[CONF_ADDR_TEXT];
    usec now = host_now(h);
    n->refused++;
    if (n->logged_at != 0 && now - n->logged_at < SEC)
        return;
    conf_print_addr(text, addr);
    log_info(h->log, "link.refused", "addr=%s err=%s count=%u links=%u unproven=%u", text,
             err_name(e), n->refused, n->links_open, n->unproven);
    n->logged_at = now;
    n->refused = 0;
}

static void on_admit(uv_timer_t *timer);

/* Takes one waiting connection off a listener. */
static void accept_one(struct listener *l)
{
    struct host *h = l->host;
    struct sockaddr_storage ss;
    int len = sizeof(ss);
    l->waiting = false;
    if (!take_token(h)) {
        l->waiting = true;
        uv_update_time(&h->loop);
        int r = uv_timer_start(&h->net.admit, on_admit, 1000u / handshakes_rate(h), 0);
        assert(r == 0);
        return;
    }
    struct conn *c = conn_new(h);
    c->state = CONN_DIALLING;
    if (uv_accept((uv_stream_t *)&l->tcp, (uv_stream_t *)&c->tcp) != 0 ||
        uv_tcp_getpeername(&c->tcp, (struct sockaddr *)&ss, &len) != 0 ||
        !addr_from_sockaddr(&c->addr, (struct sockaddr *)&ss)) {
        conn_close(c, E_CLOSED);
        return;
    }
    c->group = addr_group(&c->addr);
    enum err e = c->index == NO_INDEX ? E_LIMIT : admit(h, &c->addr, c->group);
    if (e != E_OK) {
        note_refused(h, &c->addr, e);
        conn_close(c, e);
        return;
    }
    c->inbound_counted = true;
    h->net.unproven++;
    begin_handshake(c);
}

/* The handshake budget has grown by one. */
static void on_admit(uv_timer_t *timer)
{
    struct host *h = timer->data;
    for (uint32_t i = 0; i < h->net.listeners; i++)
        if (h->net.listener[i].waiting)
            accept_one(&h->net.listener[i]);
}

static void on_connection(uv_stream_t *server, int status)
{
    struct listener *l = server->data;
    if (status != 0) {
        log_warn(l->host->log, "listen.accept", "err=%s", uv_err_name(status));
        return;
    }
    accept_one(l);
}

/* ---- timeouts ---- */
static void on_sweep(uv_timer_t *timer)
{
    struct host *h = timer->data;
    struct net *n = &h->net;
    usec now = host_now(h);
    bool more = false;
    for (uint32_t i = 0; i < n->conns_cap; i++) {
        struct conn *c = n->conns[i];
        if (c == NULL || c->deadline == USEC_NEVER)
            continue;
        if (c->deadline <= now)
            conn_close(c, E_TIMEOUT);
        else
            more = true;
    }
    if (!more) {
        uv_timer_stop(timer);
        n->sweeping = false;
    }
}

void net_sweep_soon(struct host *h)
{
    if (h->net.sweeping || h->net.closing)
        return;
    uv_update_time(&h->loop);
    if (uv_timer_start(&h->net.sweep, on_sweep, SWEEP_MS, SWEEP_MS) == 0)
        h->net.sweeping = true;
}

/* ---- listening ---- */
static enum err listen_on(struct host *h, struct listener *l, const struct addr *addr)
{
    struct sockaddr_storage ss;
    char text[CONF_ADDR_TEXT];
    int len = sizeof(ss);
    l->host = h;
    l->addr = *addr;
    l->tcp.data = l;
    int r = uv_tcp_init(&h->loop, &l->tcp);
    assert(r == 0);
    l->open = true;
    addr_to_sockaddr(addr, &ss);
    r = uv_tcp_bind(&l->tcp, (struct sockaddr *)&ss, addr->family == 6 ? UV_TCP_IPV6ONLY : 0);
    if (r == 0)
        r = uv_listen((uv_stream_t *)&l->tcp, BACKLOG, on_connection);
    if (r == 0)
        r = uv_tcp_getsockname(&l->tcp, (struct sockaddr *)&ss, &len);
    conf_print_addr(text, addr);
    if (r == UV_EADDRINUSE) {
        log_error(h->log, "listen.failed",
                  "addr=%s err=busy mend=\"choose another port with --listen, or stop the program "
                  "that has it\"",
                  text);
        return E_BUSY;
    }
    if (r == UV_EACCES) {
        log_error(h->log, "listen.failed",
                  "addr=%s err=perm mend=\"choose a port from 1024 up with --listen\"", text);
        return E_PERM;
    }
    if (r != 0) {
        log_error(h->log, "listen.failed",
                  "addr=%s err=%s mend=\"--listen must name an address of this machine\"", text,
                  uv_err_name(r));
        return err_from_uv(r);
    }
    if (!addr_from_sockaddr(&l->addr, (struct sockaddr *)&ss))
        return E_IO;
    conf_print_addr(text, &l->addr);
    log_info(h->log, "listening", "addr=%s", text);
    return E_OK;
}

enum err net_open(struct host *h)
{
    struct net *n = &h->net;
    n->conns_cap = h->opt->limits->links + UNPROVEN_MAX + DIALS_MAX;
    assert(n->conns_cap < 1u << CONN_INDEX_BITS);
    n->conns = must_alloc(n->conns_cap * sizeof(struct conn *));
    memset(n->conns, 0, n->conns_cap * sizeof(struct conn *));
    n->tokens_us = SEC; /* take_token() cuts it to the burst */
    n->tokens_at = host_now(h);
    int r = uv_timer_init(&h->loop, &n->sweep);
    r |= uv_timer_init(&h->loop, &n->admit);
    assert(r == 0);
    n->sweep.data = n->admit.data = h;
    randombytes_buf(n->self.static_secret, sizeof(n->self.static_secret));
    assert(h->opt->listen.count <= HOST_LISTEN_MAX);
    for (uint32_t i = 0; i < h->opt->listen.count; i++) {
        n->listeners = i + 1;
        enum err e = listen_on(h, &n->listener[i], &h->opt->listen.addr[i]);
        if (e != E_OK)
            return e;
    }
    return E_OK;
}

bool host_listen_addr(const struct host *h, uint32_t i, struct addr *out)
{
    if (i >= h->net.listeners)
        return false;
    *out = h->net.listener[i].addr;
    return true;
}

void net_close(struct host *h)
{
    struct net *n = &h->net;
    if (n->closing || n->conns == NULL)
        return;
    n->closing = true;
    uv_close((uv_handle_t *)&n->sweep, NULL);
    uv_close((uv_handle_t *)&n->admit, NULL);
    for (uint32_t i = 0; i < n->listeners; i++)
        if (n->listener[i].open)
            uv_close((uv_handle_t *)&n->listener[i].tcp, NULL);
    for (uint32_t i = 0; i < n->conns_cap; i++)
        if (n->conns[i] != NULL)
            conn_close(n->conns[i], E_CLOSED);
}

/* ---- what links show and judge by ---- */

/* Newest version in a chain of signed roots. */
static uint32_t chain_newest(struct bytes chain)
{
    uint32_t newest = 0;
    struct bytes one, body;
    struct root *root = must_alloc(sizeof(*root));
    while (chain.n > 0 && root_chain_next(&chain, &one) == E_OK)
        if (root_decode(root, &body, one) == E_OK && root->version > newest)
            newest = root->version;
    free(root);
    return newest;
}

void net_trust_changed(struct host *h)
{
    struct net *n = &h->net;
    struct bytes given = h->opt->device->root_chain;
    uint32_t newest = chain_newest(given);
    size_t total = given.n;
    for (uint32_t i = 0; i < h->root_records; i++)
        if (h->root_record[i].version > newest)
            total += h->root_record[i].n;
    uint8_t *roots = must_alloc(total == 0 ? 1 : total);
    struct wr w = wr_of(roots, total);
    wr_bytes(&w, given);
    for (uint32_t i = 0; i < h->root_records; i++)
        if (h->root_record[i].version > newest)
            wr_copy(&w, h->root_record[i].p, h->root_record[i].n);
    assert(w.err == E_OK);
    free(n->roots);
    n->roots = roots;
    n->self.identity = &h->opt->device->identity;
    n->self.cert = h->opt->device->cert;
    n->self.trust = node_trust(h->node);
    n->self.root_chain = bytes_of(roots, total);
    n->self.revocations = bytes_of(h->revocations, h->revocations_len);
}

void net_free(struct host *h)
{
    crypto_wipe(h->net.self.static_secret, sizeof(h->net.self.static_secret));
    free(h->net.conns);
    free(h->net.roots);
}
