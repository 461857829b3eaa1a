/* The node: one member of the fleet, as a pure state machine.
 *
 * Called by two hosts, src/uv and sim.  See core.h for the contract.  The node copies what it needs
 * of config at init; mem is the caller's, node_size() bytes aligned to 16 and all zeros, and must
 * outlive it. */
#pragma once

#include "fwswarm/core.h"
#include "fwswarm/log.h"
#include "fwswarm/manifest.h"

struct node_config {
    enum role role;
    char model[MODEL_MAX + 1];   /* empty for verify nodes and publishers: every model */
    uint16_t port;               /* TCP port it listens on, 0 = none */
    uint64_t up_rate, down_rate; /* bytes a second, 0 = no limit */
    bool lan;                    /* take part in LAN announcements */
    uint32_t lan_interfaces;     /* how many (interface, family) pairs the host has */
    bool install;                /* an installer is there: TELL_INSTALL is wanted */
    bool confirm_on_install;
    bool image_in_place; /* slot images lie where the installer writes (a partition) */
    usec poll_us;        /* mean interval between version checks of verify nodes */
    bool publish;        /* a publisher: offers one image, takes none */
};

struct node;
size_t node_size(const struct limits *lim);
struct node *node_init(void *mem, const struct limits *lim, const struct node_config *conf,
                       const uint8_t seed[static 32], struct log *log);
void node_step(struct node *n, const struct event *ev);
bool node_next(struct node *n, struct action *act, uint8_t head[static HEAD_MAX]);
usec node_deadline(const struct node *n);

/* What links judge peers by. Lent; changes are told by TELL_TRUST. */
const struct trust *node_trust(const struct node *n);

/* ---- for status and for the simulator's checks; none changes anything ---- */
enum release_state {
    RELEASE_NONE,
    RELEASE_KNOWN, /* manifest held, image not wanted or beyond the limits */
    RELEASE_FETCHING,
    RELEASE_CHECKING, /* complete; flat digest being checked from storage */
    RELEASE_HELD,     /* verified, served */
    RELEASE_ASKING,   /* freshness before install */
    RELEASE_INSTALLING,
    RELEASE_PENDING, /* installed, waiting for confirm */
    RELEASE_CONFIRMED,
    RELEASE_FAILED, /* installer failed; retried with back-off */
    RELEASE_REJECTED,
    RELEASE_WITHDRAWN,
    RELEASE_REFUSED, /* beyond this node's limits, or its storage failed: see err */
};
const char *release_state_name(enum release_state s);

struct node_image_status {
    enum release_state state;
    enum err err;
    const struct manifest *manifest; /* lent */
    struct geometry geo;
    uint32_t pieces_have, blocks_have;
    uint64_t bytes_origin, bytes_peer; /* verified payload by where it came from */
    uint64_t bytes_resumed;            /* verified payload found in storage at start */
    uint64_t bytes_up, bytes_wasted;   /* payload served; payload that came twice or was bad */
    uint32_t install_tries;
    int32_t install_code;
    bool newest; /* this model's release in force */
};
/* False when slot holds nothing. */
bool node_image_status(const struct node *n, uint32_t slot, struct node_image_status *out);

struct node_link_status {
    uint32_t link;
    struct member who;
    struct addr addr;
    bool dialled, ready;
    uint64_t bytes_up, bytes_down;
    uint32_t requests_out, requests_in;
    uint32_t queued; /* bytes handed to the host and not yet sent */
};
/* i counts from 0 over live links; false beyond the last. */
bool node_link_status(const struct node *n, uint32_t i, struct node_link_status *out);

struct node_status {
    struct key self;
    enum role role;
    uint32_t root_version, revocation_root, revocation_version;
    uint32_t floor_root;
    uint64_t floor_sequence;
    uint32_t links, known, bans;
    char current_version[VERSION_MAX + 1];
    struct digest current_digest;
    uint64_t current_sequence; /* 0 = unknown */
    bool current_mismatch;     /* the last check found another digest than the vendor's */
    /* Version checks by case (design 2): c1_1, c1_2, c2_1, c2_2, c2_3, as asker or answerer. */
    uint64_t cases[5];
    uint64_t verified_jointly, mismatches;
    usec fresh_at;                 /* when f+1 verify nodes last answered; 0 = never */
    uint64_t bytes_up, bytes_down; /* payload, all images */
};
void node_status(const struct node *n, struct node_status *out);
