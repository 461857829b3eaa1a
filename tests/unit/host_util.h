/* What the tests of the host share: a fleet on disk (keys and images come from mesh.h), hosts that
 * run in turns on one thread, and a stranger with a socket and a link of its own.  Included by
 * test_host*.c and test_publish.c only. */
#pragma once

#include "mesh.h"
#include "store_util.h"
#include "uv/loop.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sodium.h>
#include <sys/socket.h>
#include <time.h>

#define RIG_IMAGE (3u * 1024u * 1024u + 777u)

struct rig {
    struct mesh *mesh;
    char dir[256];
    uint32_t release;
    char image[512]; /* path of the release's image */
};

/* One host under test. */
struct actor {
    struct rig *rig;
    uint32_t node;
    char device_dir[512], data_dir[512];
    struct device device;
    struct host_options opt;
    struct addr listen, tracker;
    struct kept_log log;
    struct host *host;
    bool ended; /* its loop has nothing left to do */
};

static UNUSED void rig_make(struct rig *r, uint32_t verify, uint32_t devices)
{
    memset(r, 0, sizeof(*r));
    host_process_setup();
    dir_make(r->dir);
    r->mesh = mesh_make(7, verify, devices, 1);
    r->release = mesh_release(r->mesh, NULL, "1.1.0", 5, RIG_IMAGE);
    in_dir(r->image, r->dir, "image.bin");
    file_put(r->image, r->mesh->release[r->release].image, RIG_IMAGE);
}

static UNUSED void rig_free(struct rig *r)
{
    mesh_free(r->mesh);
    dir_remove(r->dir);
}

static UNUSED const struct manifest *rig_manifest(const struct rig *r)
{
    return &r->mesh->release[r->release].m;
}

/* Writes the device directory of a mesh node. */
static UNUSED void rig_device(struct rig *r, uint32_t node, const char *dir)
{
    char path[512];
    const struct mesh_node *n = &r->mesh->node[node];
    ck_assert_int_eq(mkdir(dir, 0700), 0);
    in_dir(path, dir, "node.key");
    ck_assert_int_eq(keyfile_write(path, n->signer.secret, "node", bytes_of(NULL, 0), false), E_OK);
    file_put(in_dir(path, dir, "root.pub"), r->mesh->chain, r->mesh->chain_len);
    file_put(in_dir(path, dir, "node.cert"), n->cert, n->cert_len);
    file_put(in_dir(path, dir, "model"), n->conf.model, strlen(n->conf.model));
}

/* Prepares a host for a mesh node; nothing runs yet. */
static UNUSED void actor_make(struct actor *a, struct rig *r, uint32_t node)
{
    char name[32];
    memset(a, 0, sizeof(*a));
    a->rig = r;
    a->node = node;
    (void)snprintf(name, sizeof(name), "device%u", node);
    in_dir(a->device_dir, r->dir, name);
    (void)snprintf(name, sizeof(name), "data%u", node);
    in_dir(a->data_dir, r->dir, name);
    if (access(a->device_dir, F_OK) != 0)
        rig_device(r, node, a->device_dir);
    log_keep(&a->log);
    ck_assert_int_eq(device_open(&a->device, a->device_dir, &a->log.log), E_OK);
    ck_assert_int_eq(conf_parse_addr(bytes_str("127.0.0.1:0"), &a->listen), E_OK);
    a->opt = (struct host_options){
        .device = &a->device,
        .limits = a->device.who.role == ROLE_VERIFY ? &limits_verify : &limits_device,
        .data_dir = a->data_dir,
        .listen = {1, &a->listen},
        .lan_port = HOST_LAN_PORT,
        .poll_us = 2 * SEC,
    };
}

static UNUSED void actor_open(struct actor *a)
{
    a->ended = false;
    ck_assert_int_eq(host_open(&a->host, &a->opt, &a->log.log, NULL), E_OK);
}

static UNUSED void actor_start(struct actor *a)
{
    actor_open(a);
    ck_assert_int_eq(host_start(a->host), E_OK);
}

static UNUSED void actor_knows(struct actor *a, const struct actor *verify)
{
    ck_assert(host_listen_addr(verify->host, 0, &a->tracker));
    a->opt.trackers = (struct host_addrs){1, &a->tracker};
}

/* A verify node that holds the rig's release. */
static UNUSED void actor_seed(struct actor *a)
{
    struct geometry g;
    const struct manifest *m = rig_manifest(a->rig);
    actor_open(a);
    ck_assert_int_eq(geometry_init(&g, m->size, m->piece_length), E_OK);
    ck_assert_int_eq(store_image_import(a->host->store, 0, a->rig->image, &m->tree_root, &m->digest,
                                        &g, NULL, NULL),
                     E_OK);
    ck_assert_int_eq(host_start(a->host), E_OK);
    struct event ev = {.type = EV_ORDER};
    ev.order.what = ORDER_RELEASE;
    ev.order.data = bytes_of(a->rig->mesh->release[a->rig->release].envelope,
                             a->rig->mesh->release[a->rig->release].envelope_len);
    host_order(a->host, &ev);
    ev = (struct event){.type = EV_ORDER};
    ev.order.what = ORDER_ADOPT;
    host_order(a->host, &ev);
}

static UNUSED enum release_state actor_state(const struct actor *a)
{
    struct node_image_status st;
    return node_image_status(a->host->node, 0, &st) ? st.state : RELEASE_NONE;
}

/* ---- turns ---- */
static UNUSED double seconds(void)
{
    return (double)uv_hrtime() / 1e9;
}

static UNUSED void turn(struct actor *const *actors, size_t n)
{
    struct timespec nap = {.tv_nsec = 200000};
    for (size_t i = 0; i < n; i++)
        if (actors[i]->host != NULL && !actors[i]->ended)
            actors[i]->ended = uv_run(&actors[i]->host->loop, UV_RUN_NOWAIT) == 0;
    nanosleep(&nap, NULL);
}

/* Runs until the condition holds; fails the test after a while. */
#define run_until(actors, n, limit_s, condition)                                                   \
    do {                                                                                           \
        double end_ = seconds() + (limit_s);                                                       \
        while (!(condition)) {                                                                     \
            turn((actors), (n));                                                                   \
            ck_assert_msg(seconds() < end_, "not within %d s: %s", (int)(limit_s), #condition);    \
        }                                                                                          \
    } while (0)

static UNUSED void run_for(struct actor *const *actors, size_t n, double s)
{
    double end = seconds() + s;
    while (seconds() < end)
        turn(actors, n);
}

/* An orderly stop; the others keep running meanwhile. */
static UNUSED void actor_stop(struct actor *a, struct actor *const *actors, size_t n)
{
    host_stop(a->host);
    run_until(actors, n, 10, a->ended);
    host_close(a->host);
    a->host = NULL;
}

static UNUSED void actor_free(struct actor *a)
{
    if (a->host != NULL)
        host_close(a->host);
    device_close(&a->device);
}

/* ---- a stranger ---- */
struct stranger {
    int fd;
    struct trust trust;
    struct link_self self;
    struct link link;
    struct link_scratch scratch;
    bool linked;
    uint8_t in[1 << 16];
    size_t in_len;
};

static UNUSED void stranger_connect(struct stranger *s, const struct actor *to)
{
    struct addr a;
    struct sockaddr_storage ss;
    memset(s, 0, sizeof(*s));
    ck_assert(host_listen_addr(to->host, 0, &a));
    addr_to_sockaddr(&a, &ss);
    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(s->fd, 0);
    ck_assert_int_eq(connect(s->fd, (struct sockaddr *)&ss, sizeof(struct sockaddr_in)), 0);
    ck_assert_int_eq(fcntl(s->fd, F_SETFL, O_NONBLOCK), 0);
}

static UNUSED void stranger_send(struct stranger *s, const void *p, size_t n)
{
    ck_assert_int_eq(send(s->fd, p, n, MSG_NOSIGNAL), (ssize_t)n);
}

/* Has the other side hung up? Reads what comes before that. */
static UNUSED bool stranger_closed(struct stranger *s)
{
    if (s->in_len == sizeof(s->in))
        s->in_len = 0;
    ssize_t n = recv(s->fd, s->in + s->in_len, sizeof(s->in) - s->in_len, 0);
    if (n > 0)
        s->in_len += (size_t)n;
    return n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
}

static UNUSED void stranger_end(struct stranger *s)
{
    if (s->linked)
        link_wipe(&s->link);
    close(s->fd);
}

static UNUSED void stranger_flush(struct stranger *s)
{
    struct bytes out = link_handshake_out(&s->link);
    if (out.n > 0)
        stranger_send(s, out.p, out.n);
}

/* Opens a real link as mesh node `node`. */
static UNUSED void stranger_link(struct stranger *s, struct actor *to, uint32_t node)
{
    uint8_t seed[32];
    struct rig *r = to->rig;
    const struct mesh_node *n = &r->mesh->node[node];
    double end = seconds() + 5;
    stranger_connect(s, to);
    s->trust = r->mesh->trust;
    s->self.identity = &n->signer;
    s->self.cert = bytes_of(n->cert, n->cert_len);
    s->self.trust = &s->trust;
    s->self.root_chain = bytes_of(r->mesh->chain, r->mesh->chain_len);
    randombytes_buf(s->self.static_secret, sizeof(s->self.static_secret));
    randombytes_buf(seed, sizeof(seed));
    link_init(&s->link, LINK_DIALLER, &s->self, seed, &aead_sodium, &s->scratch);
    s->linked = true;
    stranger_flush(s);
    while (link_state(&s->link) == LINK_HANDSHAKE) {
        uint8_t byte[4096];
        size_t used;
        turn(&to, 1);
        ck_assert(seconds() < end);
        ssize_t got = recv(s->fd, byte, sizeof(byte), 0);
        if (got <= 0)
            continue;
        ck_assert_int_eq(link_handshake(&s->link, byte, (size_t)got, &used), E_OK);
        memcpy(s->in, byte + used, (size_t)got - used);
        s->in_len = (size_t)got - used;
        stranger_flush(s);
    }
    ck_assert_int_eq(link_state(&s->link), LINK_OPEN);
    link_release_scratch(&s->link);
}

/* Seals one record of n plaintext bytes and sends it. */
static UNUSED void stranger_record(struct stranger *s, const void *plain, size_t n)
{
    uint8_t record[RECORD_WIRE_MAX];
    memcpy(record + LINK_HEAD_ROOM, plain, n);
    size_t wire = link_seal_record(&s->link, record, n);
    stranger_send(s, record, wire);
}

/* Puts length, head and body at out; returns how many bytes. */
static UNUSED size_t frame(uint8_t *out, const struct wire_msg *m, const void *body, size_t n)
{
    uint8_t head[WIRE_HEAD_MAX];
    size_t head_len = wire_encode(m, head);
    struct wr w = wr_of(out, 4 + head_len + n);
    wr_u32(&w, (uint32_t)(head_len + n));
    wr_copy(&w, head, head_len);
    if (n > 0)
        wr_copy(&w, body, n);
    return wr_len(&w);
}

static UNUSED void stranger_says(struct stranger *s, const struct wire_msg *m, const void *body,
                                 size_t n)
{
    uint8_t plain[LINK_RECORD_MAX];
    stranger_record(s, plain, frame(plain, m, body, n));
}

static UNUSED void stranger_hello(struct stranger *s)
{
    struct wire_msg m = {.id = MSG_hello};
    m.hello.min = WIRE_PROTOCOL_MIN;
    m.hello.max = WIRE_PROTOCOL_MAX;
    stranger_says(s, &m, NULL, 0);
}
