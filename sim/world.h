/* The simulated world: nodes, the network and disks between them, and one order of events.
 *
 * This is the second host of the node core (include/fwswarm/core.h): virtual time, modelled links
 * and disks, payload without bytes.  Integers only: microseconds, bytes, bytes a second.  A run is
 * a function of its scenario alone.
 *
 *   world.c    the event loop, the nodes' lives, actions performed, the trace hash
 *   settle.c   who is where
 *   fleet.c    roots, keys, certificates and signed releases, made from the seed
 *   vendor.c   what is published
 *   net.c      links: what is said on them; with pace.c, shake.c, probe.c, and channel.c beside it
 *   line.c     access lines and places; address.c: who is called what; lan.c: datagrams
 *   disk.c     storage with unsynced data, group commit, re-hashing
 *   fault.c    what goes wrong and when
 *   checks.c   what must hold after every step
 *   trace.c    the readable trace
 *   report.c   what the run amounted to */
#pragma once

#include "fwswarm/node.h"
#include "heap.h"
#include "mem.h"
#include "scenario.h"

#include <stdio.h>

/* ---- what is asked for and is not the scenario ---- */
struct options {
    bool json;
    const char *trace;            /* file, or NULL */
    const char *plot, *plot_over; /* directories, or NULL */
    bool link_real;               /* the true channel in place of its exact sizes */
};

/* ---- payload ---- */
/* What a message carries after its head.  Payload of images and chunk records is virtual: its tag
 * (release, place, soundness) stands for its bytes.  Small objects are real. */
struct body {
    enum object_kind kind; /* OBJ_IMAGE, OBJ_CHUNK, or a record kind */
    uint32_t release;      /* whose bytes these are */
    uint64_t off;
    uint32_t len;
    bool corrupt;      /* a twin that differs in at least one bit */
    struct blob *blob; /* records: the bytes, held */
};

/* ---- network ---- */
/* One direction of an access line: a queue served at a constant rate. */
struct pipe {
    uint64_t rate;            /* bytes a second; 0: a place without a line of its own */
    usec free;                /* when all that is queued will have passed, in good weather */
    uint64_t carry;           /* what the last division left over, in bytes * 10^6 */
    uint64_t ahead;           /* a place's uplink: bytes that wait at its nodes' lines for it */
    uint32_t first, last;     /* parcels that wait; the first of them is on the line */
    uint32_t turn, turn_last; /* ends that wait for room in it */
    bool looks;               /* a TICK_ROOM is due */
    bool late;                /* bad weather has kept what is queued */
    uint32_t epoch;           /* of the tick for the first: grows when the queue is thrown away */
};

enum end_state {
    END_NONE,
    END_DIALLING, /* dialler: the handshake is under way */
    END_SHAKING,  /* listener: likewise; its core knows nothing yet */
    END_UP,
    END_CLOSING, /* the core asked to close and waits for EV_DOWN */
    END_LEAVING, /* it has heard that; the kernel still sends what it had taken */
    END_CLOSED,
};

struct parcels {
    uint32_t first, last;
};

struct end {
    uint32_t node;
    enum end_state state;
    uint32_t op;         /* of the dial */
    uint32_t prev, next; /* in the list of its node's ends */
    bool connected;      /* dialler: its SYN was answered */
    bool dirty;          /* written to since the last flush */
    bool pacing;         /* a TICK_ROUND is due */
    bool probing;        /* a TICK_PROBE is due */
    bool refuses;        /* the channel does not want the other */
    bool told;           /* the other end hears, or has heard, that this one is closed */
    uint32_t queued;     /* head and body bytes given by the core for which it has no credit yet */
    uint32_t unsent;     /* the same, and those that the kernel has taken and not sent */
    uint32_t record;     /* plaintext bytes in the record begun last */
    uint32_t stream;     /* bytes since its segments were last begun anew */
    uint64_t drain;      /* the drain in which both were written last */
    usec since;          /* dialler: connected; listener: when its host accepts it */
    usec arrival;        /* of what left last: nothing overtakes */
    bool turning;        /* it waits for its turn at a line, before turn_next */
    uint32_t turn_next;
    /* Slow start. */
    uint32_t window, round; /* bytes that may leave in a round trip; that have left in this one */
    usec round_at;
    struct parcels wait;
    /* What is not acknowledged. */
    usec silent_at; /* since when; USEC_NEVER: all is well */
    usec again;     /* between tries */
    struct parcels held;
};

struct wire_link {
    struct end end[2];   /* 0 dialled, 1 listened */
    usec way;            /* latency, one way */
    bool near;           /* both ends are in one place */
    uint32_t root[2];    /* versions that the ends said they hold */
    uint32_t generation; /* so that a name is not used again soon */
    uint32_t refs;       /* parcels and ticks that name it */
    uint64_t flying;     /* bytes that left one end and are neither lost nor at the other */
};

enum parcel_kind {
    PARCEL_SYN,
    PARCEL_SYNACK,
    PARCEL_HELLO,
    PARCEL_REPLY,
    PARCEL_PROOF,
    PARCEL_DATA,
    PARCEL_FIN
};

#define HEAD_INLINE 44u
#define HEAD_SOME   144u /* news of many pieces; longer ones are few */
/* One message in flight. */
struct parcel {
    uint32_t next; /* in its queue */
    uint32_t link;
    usec at;         /* when it will have left the queue that it is in, in good weather */
    uint32_t wire;   /* bytes on the line */
    uint32_t credit; /* bytes of the core's */
    uint8_t side;    /* of the sender */
    uint8_t kind, err;
    bool has_body;
    bool roots; /* of a handshake: it brings the newer root */
    uint16_t head_len;
    uint32_t long_head;
    uint8_t head[HEAD_INLINE];
    struct body body;
};

struct net {
    struct pool links, parcels, heads, long_heads, casts;
    uint32_t *dirty; /* ends written to since the last flush */
    size_t dirties, dirty_cap;
    uint64_t wire_sent, wire_received, wire_lost, wire_flying;
    struct channels *channels; /* channel.c's own; NULL: sizes are enough */
    uint64_t acks, cast_bytes; /* acknowledgements and datagrams, beside these */
    /* Image bytes that left uplinks; of those of peers, those that stayed in their place. */
    uint64_t payload_origin, payload_peer, payload_near;
};

/* ---- disks ---- */
struct disk_slot {
    bool bound, open;
    uint32_t leaving; /* times that the core gave it up and the disk has not yet */
    uint32_t release;
    struct geometry geo;
    uint8_t *blocks, *chunks; /* durable bits, first bit highest */
    uint8_t *rot;             /* blocks that read as other bytes; NULL: none ever did */
    uint32_t blocks_have, chunks_have, rotten;
    uint32_t unheard; /* checks that found a block bad, which the core has not heard yet */
};

struct disk_record {
    uint32_t object;
    struct blob *blob;
};

enum disk_kind { DISK_BLOCK, DISK_CHUNK, DISK_SAVE, DISK_OPEN, DISK_SHUT, DISK_VERIFY };

/* A change that waits for its group commit. */
struct disk_job {
    uint8_t kind;
    bool save, last; /* a record; the last of its batch */
    bool flag;       /* store: sound and in its place; open: create; shut: remove */
    enum err err;
    uint32_t op;
    uint32_t object;   /* save: its object; else the slot */
    uint32_t index;    /* block or chunk; verify: the first */
    uint32_t count;    /* store: bytes; verify: blocks */
    uint32_t release;  /* store, open: whose; verify: blocks found bad */
    struct blob *blob; /* save; NULL = delete */
};

/* A hash of a whole image. */
struct disk_check {
    uint32_t op, slot;
    struct digest want;
};

struct disk {
    struct disk_slot *slot;
    uint32_t slots;
    struct disk_record *record; /* sorted by object */
    size_t records, records_cap;
    struct disk_job *job; /* the first `running` are in the commit under way */
    size_t jobs, jobs_cap, running;
    size_t unfinished; /* records of a batch whose last is not there yet */
    bool urgent;       /* more than blocks waits */
    bool holding;      /* a save failed: all saves wait until retry_at */
    usec done_at, gather_until, woken_at, retry_at;
    struct disk_check *check;
    size_t checks, checks_cap;
    usec check_free;
    bool full;       /* what is wrong with it: fault.c */
    uint32_t errors; /* thousandths of operations that fail */
    uint32_t slow;   /* how many times as long a commit takes */
    struct rng *rng; /* of what fails */
};

/* ---- nodes ---- */
struct sim_node {
    /* Looked at for every event: few cache lines. */
    struct node *core; /* NULL while it is down */
    usec clock;        /* what it counts beyond the world's time, modulo 2^64 */
    const struct limits *limits;
    struct body *lent; /* the body of the event whose drain is under way */
    uint32_t boot;     /* counts from 1 */
    uint32_t ends;     /* list of its link ends */
    uint32_t links;    /* of them those that its core knows */
    uint32_t place;    /* in place[], or NONE */
    enum behaviour behaviour;
    bool ready;  /* its records are loaded */
    bool rotten; /* a block rotted on its disk: honest nodes may ban it */
    bool gone;   /* and does not come back */
    uint32_t spins;
    uint32_t stores_out;
    struct pipe up, down;
    struct disk disk;
    /* Who it is. */
    void *mem;
    uint32_t group; /* in scn.group[] */
    uint32_t model; /* in scn.model[]; NONE: a verify node's */
    uint32_t seat;  /* which of the place's */
    bool nat;
    uint32_t want;    /* the release that it shall come to, in release[]; NONE: there is none */
    bool moved;       /* it did not run that release from the start */
    bool shunned;     /* its disk rotted, and an honest node banned it */
    struct addr addr; /* as its place sees it */
    usec accepts;     /* when the budget for handshakes of others will be whole again */
    struct member member;
    struct signer signer;
    uint8_t cert[CERT_BYTES_MAX];
    size_t cert_len;
    /* What it runs, as its installer left it. */
    struct digest current;
    uint64_t current_size, current_sequence;
    char current_version[VERSION_MAX + 1];
    /* What was seen of it. */
    usec held_at, confirmed_at; /* USEC_NEVER until then */
    uint32_t seen_floor_root;
    uint64_t seen_floor_sequence;
    uint32_t kept_floor_root; /* what of it a crash cannot take */
    uint64_t kept_floor_sequence;
};

/* ---- places: sites of the scenario, each as often as it says ---- */
struct place {
    uint32_t site;        /* in scn.site[] */
    struct pipe up, down; /* rate 0: no line but the nodes' own */
    uint32_t *node;       /* who is there */
    uint32_t nodes;
    uint64_t image_in; /* image bytes that came from elsewhere */
};

/* ---- releases and the fleet ---- */
/* Release i is scn.release[i]. */
struct release {
    struct manifest manifest;
    struct geometry geo;
    struct blob *envelope, *withdrawal; /* NULL: it is not withdrawn */
    uint32_t taker;                     /* the verify node that the vendor gave it to, or NONE */
    uint32_t taker_boot;
    bool adopted, taken; /* the image is in its storage; it says that it holds it */
    bool spread;         /* another honest node says so too */
};

#define FLEET_ROOTS 2u
struct fleet {
    struct signer root_key, release_key[FLEET_ROOTS][ROOT_KEYS_MAX], enrol_key;
    struct trust trust, newest;    /* of the first root; of the second, where there is one */
    struct blob *root, *next_root; /* signed, versions 1 and 2; NULL: there is none */
    struct digest model[SCN_MODELS];
};

/* ---- faults ---- */
/* Fault i is scn.fault[i]. */
struct fault {
    const struct scn_fault *scn;
    enum fault_kind kind;
    bool on;
    usec ends;
    struct rng rng;   /* its own, so that no other fault's draws hang on it */
    uint32_t *target; /* nodes */
    uint32_t *left;   /* by target: blocks still to rot */
    uint32_t targets;
    uint32_t struck; /* nodes, links or blocks that it found and struck */
};

/* ---- findings ---- */
#define VIOLATIONS_MAX 64u
struct violation {
    usec at;
    uint64_t step;
    uint32_t node;
    char what[160];
};

/* ---- the world ---- */
enum tick_kind {
    TICK_BOOT,      /* node */
    TICK_PUBLISH,   /* release */
    TICK_ADOPT,     /* release, tries */
    TICK_LEFT,      /* node, epoch, paused: the first of its uplink's queue has left */
    TICK_PLACE,     /* parcel: it reached the line of the receiver's place */
    TICK_ARRIVE,    /* parcel: it reached the receiver's downlink */
    TICK_DELIVER,   /* node, epoch, paused: the first of its downlink's queue is in */
    TICK_CAST,      /* cast: a datagram reaches its place */
    TICK_ROOM,      /* a line, as turn.c names it: it has room for who waits there */
    TICK_ROUND,     /* link end: slow start lets more go */
    TICK_PROBE,     /* link end: what is not acknowledged is sent again */
    TICK_IDLE,      /* link end: keepalive looks at a link whose far end is gone */
    TICK_SHAKE,     /* link end: the time for dialling or for a handshake is up */
    TICK_ACCEPT,    /* link end: its host takes it off the listener */
    TICK_DOWN,      /* link end, err: that end learns that the link is gone */
    TICK_DISK,      /* node, boot: a group commit is done, or is to begin */
    TICK_CHECKED,   /* node, boot */
    TICK_REHASHED,  /* node, boot: what runs now was hashed again */
    TICK_INSTALLED, /* node, boot, slot */
    TICK_FAULT,     /* what, packed by fault.c */
    TICK_WITHDRAW,  /* release */
    TICK_ROTATE,    /* nothing */
    TICK_GONE,      /* node: it leaves and does not come back */
    TICK_ADVERSARY, /* node, what */
};

struct world {
    struct scenario scn;
    struct options opt;
    usec now, until;
    usec chaos_end; /* when the last fault heals; those without an end heal then */
    uint64_t steps; /* events given to cores */
    uint64_t drains;
    uint64_t trace_hash;
    struct heap heap;
    struct alarms alarms;
    struct sim_node *node;
    uint32_t count;   /* nodes of verify groups, then all others, each in the file's order */
    uint32_t verify;  /* those of verify groups, listed in the root */
    uint32_t devices; /* honest ones */
    uint32_t unheld, unconfirmed; /* honest devices that are not yet where they shall be */
    struct place *place;
    uint32_t places;
    struct fleet fleet;
    struct release *release;
    uint32_t releases;
    struct net net;
    struct rng rng;
    struct fault *fault;
    uint32_t faults;
    struct violation violation[VIOLATIONS_MAX];
    uint32_t violations;     /* found; the first VIOLATIONS_MAX are kept */
    bool broken;             /* a core does not stop: the run cannot go on */
    bool interrupted;        /* a signal ended it */
    struct sky *sky;         /* what faults do to the way between nodes: weather.c's own */
    struct chaos *chaos;     /* who is struck by what: fault.c's own */
    struct verdict *verdict; /* what can be demanded: verdict.c's own */
    struct harm *harm;       /* what adversaries remember: adversary.c's own */
    struct judge *judge;     /* what checks remember: checks.c's own */
    struct log log;
    FILE *trace;
};

/* Builds everything.  The scenario is one that scenario_wrong() lets pass; it is copied.  False
 * with a message on stderr when the options ask for what cannot be. */
bool world_init(struct world *w, const struct scenario *scn, const struct options *opt);
void world_fini(struct world *w);
/* Does what is due next.  False when the run is over: all devices are done, nothing is left to
 * happen, or the time is up. */
bool world_step(struct world *w);

/* For the other files: gives an event to a node's core, and does what it wants in return. */
void world_give(struct world *w, uint32_t node, struct event *ev);
void world_drain(struct world *w, uint32_t node);
void world_schedule(struct world *w, usec at, enum tick_kind kind, uint32_t a, uint32_t b,
                    uint32_t c);
/* Takes a node's power away: memory, links and unsynced data are gone.  TICK_BOOT brings it back.
 */
void world_crash(struct world *w, uint32_t node);

/* The same for good. */
void world_leave(struct world *w, uint32_t node);

/* An honest device: one that counts. */
static inline bool node_counts(const struct sim_node *n)
{
    return n->behaviour == BEHAVE_HONEST && n->member.role == ROLE_NORMAL;
}

/* The world's time as a node counts it, and back: a deadline of its core as the world's. */
static inline usec node_clock(const struct sim_node *n, usec at)
{
    return at + n->clock;
}
static inline usec node_alarm(const struct sim_node *n, usec deadline)
{
    const usec half = (usec)1 << 63;
    if (deadline == USEC_NEVER || n->clock == 0)
        return deadline;
    /* A clock that is ahead is below half of all numbers, one that is behind above. */
    if (n->clock < half)
        return deadline > n->clock ? deadline - n->clock : 0;
    return deadline < n->clock ? deadline - n->clock : USEC_NEVER;
}

static inline bool bit_test(const uint8_t *bits, uint32_t i)
{
    return (bits[i >> 3] & (0x80u >> (i & 7))) != 0;
}
