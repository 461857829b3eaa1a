/* The host's insides, shared by the files of src/uv only.
 *
 * Input happens in libuv callbacks: each turns what happened into an event and gives it to the
 * core. Output happens in one prepare callback: drain the core's actions, flush every link once,
 * arm one timer from the core's deadline.  perform() never gives an event; what an action leads to
 * always comes back in a later callback.
 *
 *   host.c     the loop: events, actions, the drain, timers, start and stop
 *   pool.c     receive and send buffers
 *   net.c      listening, dialling, admission, timeouts, the life of a connection
 *   stream.c   bytes of one connection: handshake, records, messages, the send queue
 *   disk.c     one batch job at a time, one long reading job at a time
 *   lan.c      multicast
 *   install.c  the installer
 *   current.c  what runs on the device now
 *   control.c  the control socket; status.c what it answers
 *   device.c   the directory that says who this node is
 *   publish.c  a host that hands things over to one verify node and ends */
#pragma once

#include "fwswarm/aead_evp.h"
#include "fwswarm/conf.h"
#include "fwswarm/control.h"
#include "fwswarm/host.h"
#include "fwswarm/keyfile.h"
#include "fwswarm/link.h"
#include "fwswarm/store.h"

#include <jansson.h>
#include <uv.h>

/* ---- pool.c ---- */
/* A receive buffer.  A link reads into one; blocks that are on the way to disk keep it alive, so a
 * payload is never copied between the socket and the store.  Record starts stay below
 * RBUF_SIZE - RECORD_WIRE_MAX, so every record ends inside the buffer it started in. */
#define RECORD_WIRE_MAX (LINK_HEAD_ROOM + LINK_RECORD_MAX + LINK_TAIL_ROOM)
#define RBUF_SIZE       (128u * 1024u - 64u)
#define RBUF_SOFT       (RBUF_SIZE - RECORD_WIRE_MAX)
struct rbuf {
    struct rbuf *next;
    uint32_t refs;
    uint8_t data[RBUF_SIZE];
};
/* A send buffer: one record, built and sealed in place; or handshake bytes, of any length. */
struct sbuf {
    struct sbuf *next;
    uint32_t cap, len; /* len: plaintext while open, wire bytes once sealed */
    uint32_t sent;     /* wire bytes that have left */
    uint32_t credit;   /* bytes of ACT_SENDs inside, for EV_SENT */
    bool sealed;
    uint8_t data[]; /* LINK_HEAD_ROOM, plaintext, LINK_TAIL_ROOM */
};
struct pool {
    struct rbuf *rbufs;
    struct sbuf *sbufs;
    uint32_t rbufs_free, sbufs_free, rbufs_used;
};
struct rbuf *pool_rbuf(struct pool *p); /* one reference; never NULL */
void pool_rbuf_ref(struct rbuf *b);
void pool_rbuf_unref(struct pool *p, struct rbuf *b);
/* For one record, or for exactly n bytes when n is larger than a record. */
struct sbuf *pool_sbuf(struct pool *p, size_t n);
void pool_sbuf_free(struct pool *p, struct sbuf *b);
/* Gives free buffers back to the system. */
void pool_trim(struct pool *p);
/* malloc that never fails: at start memory is there or the program ends; later only small things
 * are asked for. */
void *must_alloc(size_t n);

struct body {
    struct rbuf *buf;
    const uint8_t *p;
    uint32_t n;
};

/* ---- net.c, stream.c ---- */
enum conn_state { CONN_DIALLING, CONN_HANDSHAKE, CONN_OPEN, CONN_FLUSHING, CONN_CLOSING };
#define UNPROVEN_MAX       64u  /* links not yet authenticated that others opened */
#define UNPROVEN_GROUP_MAX 16u  /* of one /24 or /64: a site comes up at once */
#define UNPROVEN_LOCAL_MAX 256u /* of loopback */
#define HANDSHAKES_RATE    50u  /* a second, or as many as it may have links */
#define HANDSHAKES_BURST   16u
#define HANDSHAKE_MS       5000u
#define DIAL_MS            8000u
#define DIAL_NEAR_MS       3000u
#define FLUSH_MS           2000u
#define SWEEP_MS           250u
#define CONN_INDEX_BITS    12u
#define WRITE_BUFS         32u

struct conn {
    uv_tcp_t tcp;
    uv_connect_t connect;
    uv_write_t write;
    struct host *host;
    struct conn *next_dirty;
    uint32_t index; /* in host.conns */
    uint32_t id;    /* the core's name for it */
    uint32_t op;    /* of the dial, or 0 */
    enum conn_state state;
    enum err why; /* of the close */
    bool dialled, told_up, told_down, dirty, writing, inbound_counted;
    struct addr addr;
    uint32_t group; /* /24 or /64 of an inbound link; 0 = loopback */
    usec deadline;  /* of a dial, a handshake or a flush */
    struct rbuf *in;
    uint32_t in_start, in_end;
    struct sbuf *out_first, *out_last;
    uint32_t sending; /* buffers handed to uv_write */
    bool linked;      /* link is initialised */
    struct link_scratch *scratch;
    struct link link;
};
struct listener {
    uv_tcp_t tcp;
    struct host *host;
    struct addr addr;
    bool open, waiting; /* waiting: a connection is there, the handshake rate is used up */
};
struct net {
    struct conn **conns;
    uint32_t conns_cap, conns_count, links_open, unproven, generation;
    struct conn *dirty;
    struct listener listener[HOST_LISTEN_MAX];
    uint32_t listeners;
    uint64_t tokens_us; /* handshake budget, as microseconds saved up */
    usec tokens_at;
    usec logged_at; /* refusals are logged at most once a second */
    uint32_t refused;
    uv_timer_t sweep, admit;
    bool sweeping, closing;
    struct link_self self;
    uint8_t *roots; /* what self.root_chain points at */
};
MUST enum err net_open(struct host *h);
/* Stops listening and closes every connection. */
void net_close(struct host *h);
void net_free(struct host *h); /* after the loop has ended */
/* Links made from now on show and judge by what the core trusts now. */
void net_trust_changed(struct host *h);
void net_dial(struct host *h, const struct addr *addr, uint32_t op);
struct conn *net_find(struct host *h, uint32_t link);
/* Ends a connection: now, or after what is queued has left. */
void conn_close(struct conn *c, enum err why);
void conn_close_flushed(struct conn *c, enum err why);
void net_sweep_soon(struct host *h);
enum err err_from_uv(int e);
bool addr_from_sockaddr(struct addr *out, const struct sockaddr *sa);
void addr_to_sockaddr(const struct addr *a, struct sockaddr_storage *ss);
bool addr_is_loopback(const struct addr *a);
bool addr_is_near(const struct addr *a); /* loopback, private or link-local */

/* The stream of a connected socket: starts the handshake. */
void stream_start(struct conn *c);
/* ACT_SEND: head, then a span read straight into the record. */
void stream_send(struct conn *c, const uint8_t *head, uint32_t head_len, const struct span *span);
/* Sends what links have queued, as one write for each. */
void stream_flush_all(struct host *h);
void stream_drop(struct conn *c); /* frees buffers and scratch */

/* ---- disk.c ---- */
struct disk_op;
struct long_job;
struct disk {
    struct disk_op *first, *last; /* waiting */
    uint32_t waiting;
    struct disk_op *running;                    /* the job under way */
    struct disk_op *failed_first, *failed_last; /* saves that the world refused, in order */
    uv_timer_t retry;
    struct disk_op *save; /* records of a save batch whose last one has not come yet */
    bool busy;
    uint64_t gather_until; /* blocks wait for company until then */
    uv_work_t work;
    uv_timer_t gather;
    struct long_job *long_first, *long_last;
    struct long_job *long_running;
    uv_work_t long_work;
    bool open;
};
void disk_open(struct host *h);
void disk_store(struct host *h, const struct action *act);
void disk_save(struct host *h, const struct action *act, const uint8_t *head);
void disk_image_open(struct host *h, const struct action *act);
void disk_image_shut(struct host *h, uint32_t slot, bool remove);
void disk_check(struct host *h, const struct action *act);
/* Flat digest of a slot's image (path NULL) or of a file, on the pool; done is called on the loop.
 */
typedef void (*disk_digest_done)(struct host *h, void *ctx, enum err err, const struct digest *d,
                                 uint64_t size);
void disk_digest(struct host *h, uint32_t slot, const char *path, disk_digest_done done, void *ctx);
/* The newest bytes of a record that was saved and is not committed yet; lent for the moment. */
bool disk_pending_record(const struct host *h, uint32_t object, struct bytes *out);
bool disk_idle(const struct host *h); /* nothing to be written waits or runs */
void disk_pump(struct host *h);       /* starts a job when there is cause */
void disk_close(struct host *h);
void disk_free(struct host *h); /* after the loop has ended */

/* ---- lan.c ---- */
#define LAN_PAIRS_MAX 16u
#define LAN_SPARE     4u /* places for interfaces that come up later */
#define LAN_RESCAN_MS 30000u
struct lan_pair {
    bool live;
    uint8_t family;
    uint32_t ifindex;
    uint8_t ip4[4]; /* the interface's own address: what neighbours are to dial */
    char name[32];
};
struct host_lan {
    bool on;
    int fd[2]; /* IPv4, IPv6; -1 = none */
    uv_poll_t poll[2];
    bool polling[2];
    uv_timer_t rescan;
    struct lan_pair pair[LAN_PAIRS_MAX];
    uint32_t pairs, places; /* known; promised to the core */
    uint8_t group4[4], group6[16];
};
/* Finds interfaces and opens the sockets; does nothing when off. */
void host_lan_open(struct host *h);
void host_lan_send(struct host *h, uint32_t iface, const uint8_t *p, size_t n);
void host_lan_close(struct host *h);

/* ---- install.c, current.c ---- */
struct host_install {
    bool busy, process_open;
    uint32_t slot;
    int code;
    uv_process_t process;
    struct digest want;
    struct digest release; /* its manifest's id: a slot may come to hold another */
};
void host_install_begin(struct host *h, uint32_t slot, const struct digest *digest);
void host_install_close(struct host *h);

struct host_current {
    bool hashing, again;        /* under way; to be done once more */
    bool asking, exited, ended; /* the version command: handles open, exited, output at its end */
    struct digest digest;
    uint64_t size;
    char version[VERSION_MAX + 1];
    uint8_t boot[16];
    uint32_t boot_len;
    uv_process_t process;
    uv_pipe_t out;
    uv_timer_t limit;
    char text[VERSION_MAX + 8];
    size_t text_len;
    int handles;
};
/* Asks (again) what runs: version command, then digest, then ORDER_CURRENT. */
void host_current_refresh(struct host *h);
void host_current_close(struct host *h);

/* ---- control.c, status.c ---- */
struct control_conn;
struct host_control {
    uv_pipe_t pipe;
    bool open;
    int dir_fd; /* of a directory with a long path, or -1 */
    struct control_conn *conns;
    uint32_t count;
};
MUST enum err host_control_open(struct host *h);
void host_control_close(struct host *h);
json_t *host_status_json(struct host *h);

/* ---- host.c ---- */
/* Text that an operator chose, as one value of a log line. */
#define SHOWN_MAX 320u
static inline const char *show(char out[static SHOWN_MAX], const char *text)
{
    return log_value(out, SHOWN_MAX, bytes_str(text));
}

#define ROOT_RECORDS_MAX 64u

/* What publish.c watches. */
struct host_watch {
    void *ctx;
    void (*tell)(void *ctx, enum tell what, uint32_t slot, const struct digest *digest);
    void (*down)(void *ctx, uint32_t op, enum err err);
};
struct host {
    uv_loop_t loop;
    uv_prepare_t prepare;
    uv_idle_t idle;
    uv_idle_cb idle_cb; /* does nothing: an active idle handle keeps the loop from sleeping */
    uv_timer_t timer, stop_timer, trim;
    uv_signal_t sig[2];
    const struct host_options *opt;
    struct log *log;
    struct log store_log; /* the store's threads have their own */
    struct node *node;
    void *node_mem;
    struct node_config conf;
    struct store *store;
    struct pool pool;
    struct aead_evp *evp; /* NULL: libsodium seals */
    struct aead aead;
    struct net net;
    struct disk disk;
    struct host_lan lan;
    struct host_install install;
    struct host_current current;
    struct host_control control;
    struct host_watch watch;
    usec now, started_at;
    bool loop_open, started, stop_asked, stopping, done, draining;
    bool again;           /* an event came since the last drain */
    bool refresh_current; /* the core wants what runs hashed again */
    uint32_t signals;
    struct {
        uint32_t version;
        uint8_t *p;
        size_t n;
    } root_record[ROOT_RECORDS_MAX];
    uint32_t root_records; /* signed roots that were saved, in rising order */
    uint8_t *revocations;  /* the signed list held */
    size_t revocations_len;
};
usec host_now(struct host *h);
/* Gives one event; the drain may wait for the prepare callback. */
void host_event(struct host *h, struct event *ev);
/* Gives one event and drains: for events that lend bytes to the drain. */
void host_event_drain(struct host *h, struct event *ev);
void host_order(struct host *h, struct event *ev);
void host_trim_later(struct host *h);
