/* Everything that passes between a node's core and its host.
 *
 * A core is a pure function of (limits, seed, events).  It reads no clock, draws no randomness,
 * touches no socket or file and allocates nothing.  The host owns every byte, the core owns
 * decisions.  The contract:
 *
 * - Feed any number of events, then call node_next() until it says false, then sleep until the
 *   earlier of I/O and node_deadline().  After an EV_MSG that carries a body, and after EV_START,
 *   EV_LEARNT and EV_ORDER, drain before the next event: until that drain ends the core may name
 * the body in an ACT_STORE and point at the lent bytes in an ACT_SAVE.
 * - `now` never goes back.  Everything else an event points to is lent for that call.
 * - Image payload never enters the core: it is verified, kept and sent by the host, which holds the
 *   leaf hashes too and keeps nothing that they do not prove.
 * - Actions come in order.  "Persist before send" is the core waiting for EV_SAVED; it never relies
 *   on the host's order. */
#pragma once

#include "fwswarm/addr.h"
#include "fwswarm/tree.h"
#include "fwswarm/trust.h"

typedef uint64_t usec; /* monotonic microseconds; zero is the host's choice */

#define HEAD_MAX   1024u
#define USEC_NEVER UINT64_MAX
#define SEC        ((usec)1000000)

/* ---- objects: bytes that the host keeps and the core names by number ---- */
enum object_kind {
    OBJ_NONE = 0,
    OBJ_IMAGE = 1, /* slot's image; spans are byte ranges */
    OBJ_CHUNK = 2, /* slot's chunk records; span.off = chunk index, len = its record's length */
    /* Records: small, saved and loaded whole; the number is slot or version as said.  Loaded in
     * this order, so that a manifest is judged by the newest root. */
    OBJ_ROOT = 8,        /* root version: signed root */
    OBJ_REVOCATIONS = 9, /* 0: signed revocation list */
    OBJ_WITHDRAWAL = 10, /* n: signed withdrawal */
    OBJ_FLOOR = 11,      /* 0: anti-rollback floor */
    OBJ_BAN = 12,        /* n: a banned identity */
    OBJ_MANIFEST = 13,   /* slot: SUIT envelope */
    OBJ_RELEASE = 14,    /* slot: the core's state of that release (private layout, versioned) */
};
static inline uint32_t object_id(enum object_kind kind, uint32_t number)
{
    return (uint32_t)kind << 24 | (number & 0xffffffu);
}
static inline enum object_kind object_kind_of(uint32_t object)
{
    return (enum object_kind)(object >> 24);
}
static inline uint32_t object_number(uint32_t object)
{
    return object & 0xffffffu;
}
struct span {
    uint32_t object;
    uint64_t off;
    uint32_t len;
};

struct body; /* payload bytes: real in the daemons, virtual in the simulator */

/* ---- events ---- */
enum event_type {
    EV_START,    /* once, first */
    EV_LOADED,   /* a saved record, all of them after EV_START in object order; then EV_READY */
    EV_READY,    /* all records have been given */
    EV_TIME,     /* node_deadline() has come */
    EV_UP,       /* a link is open; its far identity is proven (op != 0: our dial) */
    EV_DOWN,     /* a link closed (link != 0), or a dial failed (op != 0, link == 0) */
    EV_MSG,      /* one authenticated message */
    EV_DATAGRAM, /* one datagram to the LAN group */
    EV_SENT,     /* bytes of a link have left: credit returns */
    EV_OPENED,   /* an image's storage is open: what of it is verified */
    EV_STORED,   /* an ACT_STORE is durable, or failed: E_HASH and E_PROOF blame its sender */
    EV_SAVED,    /* a batch of ACT_SAVE is durable; a host that cannot save yet tries again, in
                  * order, and says so to the operator */
    EV_CHECKED,  /* an ACT_CHECK is done: E_OK, E_HASH, E_IO */
    EV_LEARNT,   /* a handshake brought newer signed roots or a newer revocation list */
    EV_ORDER,    /* the operator, the installer, or the device asks */
};

enum order {
    ORDER_KNOW,      /* addr, flag: is a verify node.  A configured address */
    ORDER_CURRENT,   /* what runs now: image digest, size, text = version, sequence (0 = unknown),
                      * data = an id of this boot of the machine (16 bytes, or empty) */
    ORDER_RELEASE,   /* data: a manifest envelope to take as if a peer had offered it */
    ORDER_ADOPT,     /* slot's image was imported whole by the host (publisher): open it */
    ORDER_CHECK,     /* ask all links now */
    ORDER_INSTALLED, /* slot, code: the installer's exit status (0, 4, 75, else) */
    ORDER_CONFIRM,   /* the pending release is good */
    ORDER_REJECT,    /* the pending release is bad */
    ORDER_WITHDRAW,  /* data: a signed withdrawal */
    ORDER_TRUST,     /* data: signed roots; data2: signed revocation list (either may be empty) */
    ORDER_STOP,      /* say goodbye on all links */
};

struct start {
    const struct signer *identity;
    struct bytes root_chain; /* signed roots from provisioning; newer ones come by EV_LOADED */
    struct bytes cert;       /* own certificate, empty for verify nodes and publishers */
};

struct event {
    usec now;
    enum event_type type;
    enum err err;
    uint32_t link; /* host's name for a link, never 0, never reused while the core knows it */
    uint32_t op;   /* core's name for a DIAL, STORE, SAVE batch or CHECK */
    union {
        struct start start;
        struct {
            uint32_t object;
            struct bytes data;
        } loaded;
        struct {
            struct member who;
            struct addr addr;
        } up;
        struct {
            struct bytes head; /* from the id byte on */
            struct body *body; /* NULL when there is none */
            uint32_t body_len;
            struct bytes data; /* the body's bytes, lent, for messages that are not payload */
        } msg;
        struct {
            uint32_t iface;
            struct addr from;
            struct bytes data;
        } datagram;
        struct {
            uint32_t bytes;
        } sent;
        struct {
            uint32_t slot;
            struct bytes blocks; /* one bit per verified block, first bit highest */
            struct bytes chunks; /* one bit per chunk record held */
        } opened;
        struct {
            struct bytes roots, revocations;
        } learnt;
        struct {
            enum order what;
            uint32_t slot;
            int32_t code;
            bool flag;
            struct addr addr;
            struct digest digest;
            uint64_t size, sequence;
            struct bytes text, data, data2;
        } order;
    };
};

/* ---- actions ---- */
enum action_type {
    ACT_DIAL,  /* addr, op -> EV_UP or EV_DOWN with that op */
    ACT_SEND,  /* link: head, then a span of an object (object 0 = none) -> EV_SENT; of a record
                * object the whole record, with len 0, and EV_SENT counts head_len + span.len */
    ACT_CAST,  /* head to the LAN group: iface, family */
    ACT_CLOSE, /* link, err -> EV_DOWN */
    ACT_OPEN,  /* open or make the storage of an image -> EV_OPENED */
    ACT_SHUT,  /* forget the storage of a slot; remove = delete its bytes */
    ACT_STORE, /* verify body against the signed tree, then keep it at span -> EV_STORED */
    ACT_SAVE,  /* keep a record; empty = delete; last ends the batch op -> EV_SAVED */
    ACT_CHECK, /* hash again from storage: a block range, or the whole image flat -> EV_CHECKED */
    ACT_TELL,  /* something for the operator or the device */
};

enum tell {
    TELL_INSTALL,    /* start the installer for slot -> ORDER_INSTALLED */
    TELL_HELD,       /* slot is complete and verified */
    TELL_CONFIRMED,  /* slot's release is confirmed */
    TELL_REHASH,     /* hash what runs now again -> ORDER_CURRENT */
    TELL_HELD_AT,    /* a verify node says it holds slot whole (publisher) */
    TELL_STOPPED_AT, /* a verify node says it holds a withdrawal that we hold (publisher) */
    TELL_TRUSTED_AT, /* a verify node holds our root and revocation list, or newer (publisher) */
    TELL_TRUST,      /* trust changed: read node_trust() again */
};

struct action {
    enum action_type type;
    enum err err;
    uint32_t link, op;
    uint32_t head_len; /* bytes written to the caller's head[] */
    union {
        struct {
            struct addr addr;
        } dial;
        struct {
            struct span span;
        } send;
        struct {
            uint32_t iface;
            uint8_t family;
        } cast;
        struct {
            uint32_t slot;
            struct digest root, digest; /* tree root, flat digest */
            struct geometry geo;
            bool create; /* false: open what ORDER_ADOPT brought */
        } open;
        struct {
            uint32_t slot;
            bool remove;
        } shut;
        struct {
            struct span at;
            struct body *body;
        } store;
        struct {
            uint32_t object;
            struct bytes data; /* lent by the event just given; p == NULL: the record is head[] */
            bool last;
        } save;
        struct {
            uint32_t slot, block, count;
            bool whole;
            struct digest want;
        } check;
        struct {
            enum tell what;
            uint32_t slot;
            struct digest digest;
        } tell;
    };
};

/* ---- limits: every array in the core is sized from these at node_init ---- */
struct limits {
    uint32_t links;       /* links at once */
    uint32_t images;      /* image slots */
    uint32_t pieces;      /* pieces of one image */
    uint32_t open_blocks; /* blocks of pieces begun, per image */
    uint32_t chunks;      /* chunk records of one image */
    uint32_t known;       /* addresses remembered */
    uint32_t announced;   /* members remembered to be told to others */
    uint32_t requests;    /* blocks asked of one link at once */
    uint32_t uploads;     /* requests of one link waiting here */
    uint32_t window;      /* bytes handed to one link and not yet sent */
    uint32_t store_ops;   /* stores under way */
    uint32_t bans;        /* banned identities remembered */
    uint32_t withdrawals; /* withdrawals remembered */
};
/* A device; a verify node. */
extern const struct limits limits_device, limits_verify;
