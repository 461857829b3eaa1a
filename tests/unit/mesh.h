/* A handful of nodes in one process, for tests of the node: a third, very small host.
 *
 * Links are instant and lossless unless a test says otherwise, storage is memory, images are real
 * bytes that are verified as src/store does.  Everything is driven by mesh_run(), in virtual time.
 */
#pragma once

#include "fwswarm/node.h"
#include "fwswarm/wire.h"

#define MESH_NODES   24u
#define MESH_RECORDS 64u
#define MESH_LINKS   512u
#define MESH_SLOTS   16u

struct mesh_record {
    uint32_t object;
    uint8_t *data;
    size_t n;
};

/* What is kept of one image slot. */
struct mesh_store {
    bool used;
    struct digest root;
    struct geometry geo;
    uint8_t *data, *blocks, *chunks, *records; /* bytes, bitmaps, chunk records */
};

struct mesh_node {
    struct mesh *mesh;
    uint32_t index;
    bool up; /* has a core now */
    struct signer signer;
    struct member member;
    uint8_t cert[CERT_BYTES_MAX];
    size_t cert_len;
    struct node_config conf;
    struct limits lim;
    struct node *core;
    void *mem;
    struct log log;
    struct mesh_record record[MESH_RECORDS];
    uint32_t records;
    struct mesh_store store[MESH_SLOTS];
    uint32_t boots;
    /* what it told */
    uint32_t installs, confirms, held, held_at, trusts, stopped_at, trusted_at, rehashes;
    struct digest held_digest;
    uint32_t install_slot;
    int32_t install_exit; /* what the pretended installer answers; < 0: never answers */
    bool install_runs;    /* a success makes the image what runs */
    /* faults */
    bool corrupt; /* blocks that it sends are changed */
    bool fail_open, fail_store;
    enum err fail_err; /* E_OK: E_FULL */
    uint32_t sent_blocks;
    uint32_t casts;
    uint32_t stalled; /* a node + 1: what is sent to it never leaves */
    uint32_t hold;    /* events that wait for mesh_let_go(), 1 << enum event_type each */
    bool undrained;
};

struct mesh_link {
    bool used, cut;
    uint32_t node[2], id[2], op[2];
};

struct mesh_event;

struct mesh {
    usec now;
    uint64_t seed;
    struct signer root_key[3], release_key[3], enrol_key, publisher;
    struct root root;   /* as last encoded */
    struct trust trust; /* knows all roots made so far */
    uint8_t chain[8 * ROOT_BYTES_MAX];
    size_t chain_len;
    uint32_t release_threshold;
    struct mesh_node node[MESH_NODES];
    uint32_t count;
    struct mesh_link link[MESH_LINKS];
    uint32_t next_id;
    struct mesh_event *head, *tail;
    struct mesh_event *held;
    bool lazy; /* several events reach a core before it is drained, as far as core.h allows */
    bool lan;  /* casts reach the others */
    bool verbose;
    /* An image and its envelope, for each release made. */
    struct {
        struct manifest m;
        uint8_t *image;
        uint8_t *envelope;
        size_t envelope_len;
    } release[16];
    uint32_t releases;
    /* A hook on every message that is delivered: false drops it. */
    bool (*filter)(struct mesh *m, uint32_t from, uint32_t to, const struct wire_msg *msg);
    void *filter_ctx;
    uint64_t delivered[256]; /* messages by id */
    uint64_t turns;          /* moments at which a deadline came */
};

/* verify nodes are 0..verify-1, devices follow; nothing runs yet. threshold: signers of a release.
 */
struct mesh *mesh_make(uint64_t seed, uint32_t verify, uint32_t devices, uint32_t threshold);
void mesh_free(struct mesh *m);
/* A new release of `size` bytes; returns its number.  model NULL: the mesh's own. */
uint32_t mesh_release(struct mesh *m, const char *model, const char *version, uint64_t sequence,
                      uint64_t size);
/* The image of a release under another manifest. */
uint32_t mesh_release_again(struct mesh *m, uint32_t release, const char *version,
                            uint64_t sequence);
/* Starts a node: EV_START, its records, EV_READY. */
void mesh_start(struct mesh *m, uint32_t node);
/* Takes a node away at once, as a power cut does; its storage stays. */
void mesh_kill(struct mesh *m, uint32_t node);
/* Empties a node's storage. */
void mesh_forget(struct mesh *m, uint32_t node);
/* Tells a node of another's address. */
void mesh_know(struct mesh *m, uint32_t node, uint32_t other, bool verify);
void mesh_order(struct mesh *m, uint32_t node, struct event *ev);
/* Gives node a whole release (manifest and image), as its publisher would. */
void mesh_seed(struct mesh *m, uint32_t node, uint32_t release);
/* Says what runs on node: a release's image, or (tampered) other bytes under its version. */
void mesh_current(struct mesh *m, uint32_t node, const char *version, const struct digest *digest,
                  uint64_t sequence);
void mesh_message(struct mesh *m, uint32_t from, uint32_t to, const struct wire_msg *msg,
                  const void *body, uint32_t body_len);
/* The same with a head of any bytes and no body. */
void mesh_raw(struct mesh *m, uint32_t from, uint32_t to, const void *head, size_t n);
/* A datagram from an address to a node's first interface. */
void mesh_datagram(struct mesh *m, uint32_t node, const struct addr *from,
                   const struct wire_msg *msg);
/* Gives a node all events that were held back, in order; from now on none is. */
void mesh_let_go(struct mesh *m, uint32_t node);
/* Runs until nothing is left to do before `until`. */
void mesh_run(struct mesh *m, usec until);
/* Signed bytes of a withdrawal of a release / of a revocation list; out has room. */
size_t mesh_withdrawal(struct mesh *m, uint32_t release, uint8_t *out, size_t cap);
size_t mesh_revoke(struct mesh *m, uint32_t index, uint32_t version, uint8_t *out, size_t cap);
/* Makes the next root (same keys); returns where it starts in the chain. */
size_t mesh_rotate(struct mesh *m);
/* The state of a release on a node, RELEASE_NONE when it has none. */
enum release_state mesh_state(struct mesh *m, uint32_t node, uint32_t release,
                              struct node_image_status *out);
bool mesh_linked(struct mesh *m, uint32_t a, uint32_t b);
struct node_status mesh_status(struct mesh *m, uint32_t node);
