/* The node's insides, shared by the files of src/node only.
 *
 * State is queued, messages are not: events set flags and small fixed rings here, and node_next()
 * builds the next message of a link when that link has credit.  So HAVEs coalesce, cancels of what
 * was not sent are free, and memory is bounded by struct limits.
 *
 *   node.c      start, time, the order of actions, deadlines
 *   links.c     the link table: up, down, credit, hello, duplicates, dispatch, sending
 *   peers.c     addresses: dialling, peer lists, bans
 *   lan.c       announcements on the LAN
 *   wants.c     which roots, lists, manifests and withdrawals are asked for, and of whom
 *   objects.c   the same: serving and taking them, by get and data
 *   release.c   image slots: taking a manifest, storage, completion, supersession
 *   install.c   what runs now, freshness, the installer, confirm and reject
 *   version.c   the version check in its five cases
 *   exchange.c  block exchange, the taking side: streams, what neighbours hold, arrival, blame
 *   ask.c       which blocks and chunks are asked of whom, and how many ahead
 *   upload.c    block exchange, what we give: bitfields, haves, choking, serving
 *   status.c    what status and the simulator may look at */
#pragma once

#include "fwswarm/node.h"
#include "fwswarm/wire.h"
#include "swarm/bits.h"
#include "swarm/known.h"
#include "swarm/picker.h"
#include "swarm/rate.h"
#include "swarm/tally.h"
#include "swarm/trickle.h"
#include "track/table.h"

#define NONE                 UINT32_MAX
#define PIECES_BITS_MAX      256u /* bytes of a bitmap of 2,048 pieces */
#define CHUNK_PAUSE          SEC /* before a chunk that did not come is asked again of the same link */
#define FAR_OPENS            16u /* slots of the other side remembered per link */
#define FAR_ID               16u /* bytes of a digest that tell images of a link apart */
#define PENDING_GETS         4u  /* objects asked of us and not yet answered, per link */
#define PENDING_CHUNKS       4u  /* chunk requests of a link waiting here */
#define CANCELS              8u
#define GAINED               256u   /* pieces gained last that are remembered in order */
#define SENT_RING            32u    /* blocks last sent on a link, for judging bad_block */
#define GETS_AT_ONCE         4u     /* objects asked of one link at once */
#define WANTS                16u    /* small objects wanted at once */
#define SAVES_BANS           24u    /* bans waiting to be saved */
#define ROOTS_AT_ONCE        16u    /* roots of one chain taken and saved */
#define CONTROL_ROOM         65536u /* beyond limits.window, for what is no block */
#define HINTS                4u
#define LAN_MAX              16u
#define LAN_SOURCES          32u /* senders that wait before another address of theirs is taken */
#define LAN_PACKETS_A_SECOND 20u
#define LAN_BUCKET_RATE      20480u /* so that the bucket's least burst holds 32 packets */
#define UPLOAD_SLOTS         4u
#define UPLOAD_SLOTS_MOST    16u /* while the uplink has room */
#define CHOKED_UPLOADS       64u /* requests of a link that is not served, each to be rejected */
#define LINKS_LEAST          12u /* with fewer a node looks for more */
#define HALF_OPEN_MAX        8u
#define ASK_NONCE            16u

/* The end of a list in a pool. */
#define LIST_END UINT16_MAX

/* A block asked of a link.  All links share one pool; those of a link are a list, oldest first. */
struct ask {
    uint32_t block;
    uint16_t prev, next;
    uint8_t slot;
    bool late;      /* its deadline passed: no longer counted as asked */
    uint32_t lasts; /* from when it was asked to its deadline */
    usec deadline;
};

/* A block that a link asked of us; likewise. */
struct upload {
    uint32_t block;
    uint16_t next;
    uint8_t slot;
    bool reject : 1; /* answer with a reject */
    bool choked : 1; /* it came while its stream was not served */
};

/* One image on one link.  All zeros: nothing passed yet. */
struct stream {
    bool open_sent, open_got;  /* live when both */
    bool greeted, far_greeted; /* bitfield or its short forms: sent, received */
    bool want, want_sent;      /* interested */
    bool far_want;
    bool unchoked, unchoked_sent; /* we serve it */
    bool far_unchoked;            /* it serves us */
    bool held_due;                /* say `held` */
    bool peers_due;               /* ask for peers */
    bool peers_reply;             /* answer want_peers */
    bool shut_due;
    uint8_t peers_want;
    uint32_t told;      /* of slot.gained_count, what it knows */
    uint32_t lost;      /* a piece to withdraw, plus one; 0 = none */
    uint32_t far_have;  /* pieces it holds */
    uint32_t served;    /* blocks served since unchoked */
    usec asked;         /* when it last asked us for a block */
    usec ask_at;        /* nothing is asked before: it rejected what it said it would serve */
    usec interest_at;   /* when our interest in it was last judged */
    usec turned;        /* when it was last unchoked or choked */
    struct taken taken; /* blocks served lately, also over links before */
    uint32_t chunk_out; /* chunk asked of it, plus one; 0 = none */
    usec chunk_deadline;
    uint32_t chunk_in[PENDING_CHUNKS];
    uint32_t chunk_in_count;
    uint8_t *bits; /* pieces it holds, limits.pieces bits; NULL until it greeted */
};

/* What a link is woken for, so that it is not asked for all that it might say after each block. */
enum {
    WAKE_TALK = 1,    /* about itself, releases, objects, addresses */
    WAKE_STREAMS = 2, /* what is held, wanted and served */
    WAKE_BLOCKS = 4,  /* requests, rejects, blocks */
    WAKE_ALL = 7,
};

/* A release that the other side says it holds. */
struct offer {
    bool set;
    usec refused; /* it did not give it, or what it gave could not be taken: until when; 0 = no */
    uint32_t root_version;
    uint64_t sequence;
    struct digest manifest, model;
};

/* A slot of the other side. */
struct far_open {
    uint16_t slot;
    int16_t mine;             /* which of ours it is, or -1 */
    uint8_t manifest[FAR_ID]; /* how its digest begins: nobody finds two alike */
};

enum link_phase { LINK_FREE, LINK_HELLO, LINK_READY, LINK_CLOSING, LINK_GONE };

struct nlink {
    /* Looked at for every block. */
    uint32_t id;
    enum link_phase phase;
    uint8_t wake; /* WAKE_ bits: may have something to send */
    bool dialled;
    bool origin;  /* a verify node */
    bool stalled; /* its queue does not move */
    bool hello_due, state_due, offer_due, ask_due, answer_due, agree_due, bye_due, close_due;
    bool bad_due;    /* a bad_block to send before closing */
    uint16_t port;   /* where it listens, from its hello */
    uint32_t queued; /* bytes handed to the host and not yet sent */
    uint32_t window; /* blocks */
    usec since, heard, drained, spoke;
    int32_t out_slot, in_slot;      /* selected: ours as sent, theirs as received; -1 = none */
    uint32_t asks_count, asks_late; /* asked; of them, late */
    usec asks_due;                  /* no deadline of them is earlier */
    uint16_t asks_head, asks_tail;
    uint16_t uploads_head, uploads_tail;
    uint32_t uploads_count, uploads_choked;
    uint32_t dropped; /* requests beyond what is kept in mind */
    uint32_t cancels_count;
    uint32_t cancelled; /* blocks not waited for any more, which may come all the same */
    uint32_t misses, rejects, faults, false_claims;
    uint32_t serves; /* streams of it that are served */
    uint32_t stores; /* stores under way with its bytes */
    uint32_t gets_count;
    uint32_t far_count;
    struct meter down;
    struct rtt rtt;
    uint64_t gave; /* its rate in its better moments */
    usec reacts;   /* from when we serve it until it asks: its round trip and more; 0 = unknown */
    uint64_t bytes_up, bytes_down;
    struct member who;
    struct {
        uint32_t block;
        uint16_t slot;
    } cancels[CANCELS];
    uint32_t sent_next;
    uint8_t sent_slot[SENT_RING]; /* plus one; 0 = none */
    uint32_t sent_block[SENT_RING];
    /* What it has of the first image, and the first of its lists: most links need no more, and all
     * that is needed lies together. */
    struct stream stream;
    uint8_t bits[PIECES_BITS_MAX];
    struct offer offer;
    struct far_open far;
    struct msg_get get;
    /* Looked at now and then. */
    enum err close_err;
    struct addr addr;          /* as connected */
    struct known_entry *known; /* of our dial, or NULL */
    uint32_t answer_left;      /* of what is queued, up to the end of the object given last */
    uint32_t state_root, list_root, list_version;
    uint32_t offers_next, unanswered;
    uint32_t offer_next;     /* next slot to offer while offer_due */
    uint32_t withdrawn_next; /* next withdrawal to mention */
    bool asked;
    bool introduced; /* it was told of others */
    bool answered_joint;
    bool mismatch_told;          /* in the log, once per link */
    uint8_t my_nonce[ASK_NONCE]; /* of our question, for judging the answer and for `agree` */
    struct digest my_ask;        /* the whole question */
    struct msg_ask far_ask;      /* to be answered */
    char far_version[VERSION_MAX];
    uint8_t agree_hash[32], answer_hash[32];
    uint32_t bad_block;
    uint16_t bad_slot;
    uint32_t lists_due;  /* peer lists asked for and not yet received */
    uint32_t ask_credit; /* version checks that it may still ask now */
    usec ask_credit_at;
    usec peers_asked;
    usec answered; /* its last answer to a version check; 0 = none */
};

/* One image. */
struct slot {
    enum release_state state;
    enum err err;
    bool newest; /* its model's release in force */
    bool opened; /* storage is open */
    bool open_due, shut_due, shut_remove, check_due, checking;
    bool adopt;
    bool opening;    /* the host is at it: the place is not free */
    bool open_stale; /* and it was told to shut it meanwhile: the answer opens nothing */
    bool
        unserved; /* the installer may be writing where the image lies: until it is checked again */
    bool taken_over;       /* its storage was an older manifest's of the same image */
    bool confirmed_before; /* and that one was confirmed */
    bool recheck_all;      /* the block check after a flat digest that disagreed */
    uint32_t stores;       /* stores under way */
    struct geometry geo;
    struct picker *picker;
    uint16_t *gained;      /* a ring of the pieces gained last, GAINED of them */
    uint32_t gained_count; /* pieces ever gained */
    uint32_t gained_due;   /* of them, those that everybody must be told by now */
    usec haves_at;         /* when the others must be told; 0 = none */
    uint64_t *idle;        /* links that want nothing here: told at once; first bit highest */
    uint8_t *at_peers; /* pieces that a neighbour holds which is no origin, limits.pieces bits */
    uint64_t bytes_origin, bytes_peer, bytes_resumed, bytes_up, bytes_wasted;
    uint32_t recheck; /* a block to hash again, or NONE */
    usec since;
    /* install */
    uint32_t install_tries;
    int32_t install_code;
    usec install_at;
    uint32_t install_batch; /* save batch that must be durable before the installer starts */
    uint8_t boot[16];
    bool loaded; /* from a record: the previous run's */
    struct manifest m;
};

struct store_op {
    bool used, chunk;
    uint16_t slot;
    uint32_t index; /* block or chunk; of a free place: the next free one, or NONE */
    uint32_t link;  /* index into the link table */
    uint32_t len;
};

/* Kinds of small objects, as on the wire. */
enum { KIND_MANIFEST = 1, KIND_ROOT = 2, KIND_REVOCATIONS = 3, KIND_WITHDRAWAL = 4 };

struct want {
    uint8_t kind; /* 0 = free */
    uint32_t number;
    struct digest id;
    uint32_t link;  /* index asked */
    uint32_t tries; /* links asked before it */
    bool sent;
    usec deadline;
};

struct save_item {
    uint32_t object;
    struct bytes data; /* p == NULL: built when emitted; n == 1 then means delete */
};

struct tell_item {
    enum tell what;
    uint32_t slot;
    struct digest digest;
};

/* A release announced on the LAN whose manifest we do not have yet. */
struct hint {
    struct digest manifest;
    struct addr addr; /* who claimed it last */
    uint32_t dials, claims;
    usec until; /* ignored until then */
};

struct lan_source {
    struct addr addr;
    usec until;
};

struct withdrawn {
    struct digest manifest, model;
    uint32_t root_version;
    uint64_t sequence;
    bool used;
};

struct current {
    bool known;
    struct digest digest;
    char version[VERSION_MAX + 1];
    uint32_t root_version;
    uint64_t sequence; /* 0 = unknown */
    uint8_t boot[16];
    bool boot_known;
    bool mismatch;
};

struct node {
    /* Looked at for every block. */
    usec now;
    struct log *log;
    bool started, loaded, stopping;
    bool stir; /* more than blocks moved: storage, dialling and every time are looked at again */
    bool installer_runs;  /* told to, and not answered */
    bool held_back;       /* blocks wait because enough is queued already */
    uint32_t unchoked;    /* streams being served */
    uint32_t wants_count; /* places of wants[] in use */
    struct slot *slots;
    struct nlink *links;
    /* Beyond the first, which lies in the link. */
    struct stream *streams; /* (images - 1) x links */
    uint8_t *bits;          /* likewise, limits.pieces of them each */
    struct offer *offers;   /* likewise: the newest that each link said it holds, of each model */
    struct far_open *far;   /* (FAR_OPENS - 1) x links */
    struct msg_get *gets;   /* (PENDING_GETS - 1) x links: objects asked of us */
    /* By link: its id or 0; when it must be looked at; whether it is awake; whether its time may
     * have changed since the last drain. */
    uint32_t *link_ids;
    usec *link_due;
    uint64_t *awake, *touched;            /* first bit highest */
    usec links_due, haves_due, other_due; /* the earliest of the links; of news; of all else */
    usec busy_at, widened_at; /* the uplink had its fill; another place was made for an upload */
    usec widen_due;           /* when another may be, if somebody waits */
    uint32_t links_count, next_link;
    /* Places in use lie below these: what is done for every message looks no further. */
    uint32_t links_top, slots_top;
    struct ask *asks;
    struct upload *uploads;
    struct store_op *ops;
    /* The first free places of these, and how many were ever taken: memory that was not needed yet
     * stays untouched. */
    uint16_t asks_free, uploads_free, asks_used, uploads_used;
    uint32_t ops_free, ops_ever;
    uint32_t ops_used;
    uint32_t asks_late; /* asks whose deadline passed, of all links */
    uint32_t asks_out;  /* blocks and chunks that may still come, each with a place kept for it */
    struct {
        bool due;
        struct span at;
        struct body *body;
        uint32_t op;
    } store;
    struct save_item *saves;
    struct tell_item *tells;
    uint32_t saves_count, saves_head, save_batch;
    uint32_t saved_batch; /* the newest batch that is durable */
    uint32_t trust_batch; /* batch that makes a new root or list durable; 0 = none */
    uint32_t tells_count;
    uint64_t queued;         /* bytes handed to all links that are not stalled, and not yet sent */
    struct meter from_peers; /* payload from neighbours that are no origins */
    struct meter sending;    /* bytes that leave, all links */
    struct bucket up, down;
    uint64_t bytes_up, bytes_down;
    struct limits lim;
    struct rng rng;
    struct node_config conf;
    /* Looked at now and then. */
    struct signer identity;
    struct member self;
    struct digest model; /* our model id; zero when every model */
    uint32_t root_at_start;
    struct current current;
    uint32_t floor_root;
    uint64_t floor_sequence;
    struct known known;
    struct bans bans;
    struct tally tally;
    struct table table;
    struct want wants[WANTS];
    uint32_t want_turn; /* the link that is considered first */
    struct withdrawn *withdrawals;
    struct {
        struct known_entry *entry;
        uint32_t op;
    } dials[HALF_OPEN_MAX];
    uint32_t dials_count, dial_op;
    uint8_t boot[8];
    uint8_t fleet_tag[8];
    bool cast_due[LAN_MAX];
    struct bucket datagrams, datagrams_strange;
    usec poll_at;
    usec verify_at; /* when a verify node is dialled although there are neighbours enough */
    struct {
        bool on;
        usec since;
    } fresh;
    usec fresh_at, rehash_at, ready_at, bans_at;
    uint64_t cases[5], jointly, mismatches;
    struct trickle trickle[LAN_MAX];
    struct hint hints[HINTS];
    struct lan_source sources[LAN_SOURCES];
    struct trust trust;
};

/* ---- small helpers ---- */
static inline struct stream *stream_of(const struct node *n, uint32_t link, uint32_t slot)
{
    return slot == 0 ? &n->links[link].stream
                     : &n->streams[(size_t)(slot - 1) * n->lim.links + link];
}
static inline uint8_t *stream_bits(const struct node *n, uint32_t link, uint32_t slot)
{
    size_t size = (n->lim.pieces + 7) / 8;
    return slot == 0 ? n->links[link].bits
                     : n->bits + ((size_t)(slot - 1) * n->lim.links + link) * size;
}
static inline uint32_t link_index(const struct node *n, const struct nlink *l)
{
    return (uint32_t)(l - n->links);
}
static inline struct offer *offer_of(const struct node *n, uint32_t link, uint32_t i)
{
    return i == 0 ? &n->links[link].offer : &n->offers[(size_t)(i - 1) * n->lim.links + link];
}
static inline struct far_open *far_of(const struct node *n, uint32_t link, uint32_t i)
{
    return i == 0 ? &n->links[link].far : &n->far[(size_t)(i - 1) * n->lim.links + link];
}
static inline struct msg_get *get_of(const struct node *n, uint32_t link, uint32_t i)
{
    return i == 0 ? &n->links[link].get : &n->gets[(size_t)(i - 1) * n->lim.links + link];
}
static inline bool stream_live(const struct stream *s)
{
    return s->open_sent && s->open_got;
}
static inline bool link_live(const struct nlink *l)
{
    return l->phase == LINK_HELLO || l->phase == LINK_READY;
}
/* Room for small messages; EV_SENT makes it anew. */
static inline bool link_has_credit(const struct node *n, const struct nlink *l)
{
    return l->queued < n->lim.window + CONTROL_ROOM;
}
/* The times of a link may have changed. */
static inline void link_touch(struct node *n, const struct nlink *l)
{
    uint32_t i = link_index(n, l);
    n->touched[i / 64] |= UINT64_C(1) << (63 - i % 64);
}
/* A link may have something to send. */
static inline void link_wake(struct node *n, struct nlink *l, uint8_t what)
{
    uint32_t i = link_index(n, l);
    l->wake |= what;
    n->awake[i / 64] |= UINT64_C(1) << (63 - i % 64);
    n->touched[i / 64] |= UINT64_C(1) << (63 - i % 64);
}
/* The rings hold all that can be queued before one drain.  Records: state and deletion of each
 * slot, the floor, bans up to their share, and what one event lends (roots and a list).  Tells: to
 * install, held, confirmed, held at, of each slot; three of the node; withdrawals. */
static inline uint32_t saves_most(const struct limits *lim)
{
    return 2 * lim->images + 1 + SAVES_BANS + ROOTS_AT_ONCE + 1;
}
static inline uint32_t tells_most(const struct limits *lim)
{
    return 4 * lim->images + lim->withdrawals + 3;
}
static inline uint32_t link_words(const struct limits *lim)
{
    return (lim->links + 63) / 64;
}
/* Asks of all links at once, late ones too; requests of all links that wait here. */
static inline uint32_t asks_most(const struct limits *lim)
{
    return 2 * lim->store_ops;
}
static inline uint32_t uploads_most(const struct limits *lim)
{
    return UPLOAD_SLOTS_MOST * lim->uploads + CHOKED_UPLOADS * lim->links;
}
static inline struct bytes digest_bytes(const struct digest *d)
{
    return bytes_of(d->b, sizeof(d->b));
}

/* Is every record durable that was to be saved? */
static inline bool node_all_saved(const struct node *n)
{
    return n->saves_count == 0 && n->saved_batch == n->save_batch;
}

/* ---- node.c ---- */
void node_tell(struct node *n, enum tell what, uint32_t slot, const struct digest *digest);
/* Queues a record; data.p == NULL: the record is built when it is emitted.  Returns the batch. */
uint32_t node_save(struct node *n, uint32_t object, struct bytes data);
void node_delete(struct node *n, uint32_t object);
void node_wake_links(struct node *n); /* every link may have something to send */

/* ---- links.c ---- */
struct nlink *link_find(struct node *n, uint32_t id);
void link_up(struct node *n, const struct event *ev);
void link_down(struct node *n, const struct event *ev);
void link_message(struct node *n, const struct event *ev);
void link_sent(struct node *n, const struct event *ev);
void link_close(struct node *n, struct nlink *l, enum err e);
bool link_next(struct node *n, struct nlink *l, struct action *act, uint8_t *head);
usec link_deadline(const struct node *n, const struct nlink *l);
void link_time(struct node *n, struct nlink *l);
void links_rejudge(struct node *n); /* after the trust changed */
/* Counts something that an honest neighbour does rarely; too many close the link. */
void link_fault(struct node *n, struct nlink *l, enum err e);
/* Fills act with an encoded message; bytes = head + span. */
void link_emit(struct node *n, struct nlink *l, struct action *act, uint8_t *head,
               const struct wire_msg *m, struct span span);

/* ---- peers.c ---- */
void peers_know(struct node *n, const struct addr *addr, enum known_source src, bool verify);
void peers_linked_from(struct node *n, struct nlink *l);
void peers_origin_gone(struct node *n); /* a link to a verify node ended */
bool peers_next_dial(struct node *n, struct action *act);
void peers_dial_result(struct node *n, uint32_t op, struct nlink *up, enum err e);
usec peers_deadline(const struct node *n);
uint32_t peers_verify_wanted(const struct node *n);
/* With fewer neighbours more are looked for. */
uint32_t peers_least(const struct node *n);
void peers_on_list(struct node *n, struct nlink *l, const struct msg_peers *m);
void peers_on_want(struct node *n, struct nlink *l, const struct msg_want_peers *m);
void peers_build_reply(struct node *n, struct nlink *l, uint32_t slot, struct wire_msg *m,
                       uint8_t *scratch);
void peers_time(struct node *n); /* bans that ended */
void peers_ban(struct node *n, const struct key *who, const char *why);

/* ---- lan.c ---- */
void lan_start(struct node *n);
void lan_datagram(struct node *n, const struct event *ev);
void lan_time(struct node *n);
void lan_news(struct node *n);
bool lan_next(struct node *n, struct action *act, uint8_t *head);
usec lan_deadline(const struct node *n);
/* A dial to addr, or the link that came of it, is over. */
void lan_dial_ended(struct node *n, const struct addr *addr);

/* ---- wants.c ---- */
/* What links claim to hold.  anew: said of its own accord, so that an earlier failure is forgotten.
 */
void wants_on_state(struct node *n, struct nlink *l, uint32_t root, uint32_t list_root,
                    uint32_t list_version);
void wants_on_offer(struct node *n, struct nlink *l, const struct offer *o, bool anew);
void wants_on_withdrawn(struct node *n, struct nlink *l, const struct msg_withdrawn *m);
void wants_manifest(struct node *n, struct nlink *l, const struct digest *id);
/* A manifest was asked for and has not come yet. */
bool wants_a_manifest(const struct node *n);
/* Looks again at what all links claim, after what is held changed. */
void wants_again(struct node *n);
/* Was this asked of this link?  Then want_over() follows: right = the object came. */
bool want_arrived(struct node *n, struct nlink *l, uint8_t kind, uint32_t number,
                  const struct digest *id);
void want_over(struct node *n, struct nlink *l, uint8_t kind, uint32_t number,
               const struct digest *id, bool right);
void wants_link_gone(struct node *n, uint32_t link);
void wants_time(struct node *n);
usec wants_deadline(const struct node *n);
bool wants_next(struct node *n, struct nlink *l, struct action *act, uint8_t *head);

/* ---- objects.c ---- */
void objects_on_get(struct node *n, struct nlink *l, const struct msg_get *m);
void objects_on_data(struct node *n, struct nlink *l, const struct msg_data *m, struct bytes data);
void objects_on_nodata(struct node *n, struct nlink *l, const struct msg_nodata *m);
bool objects_next(struct node *n, struct nlink *l, struct action *act, uint8_t *head);
void objects_take_roots(struct node *n, struct bytes chain, bool save_known);
enum err objects_take_revocations(struct node *n, struct bytes list, bool save);
enum err objects_take_withdrawal(struct node *n, struct bytes data, uint32_t index);
const struct withdrawn *objects_withdrawn(const struct node *n, const struct digest *manifest);
void objects_trust_changed(struct node *n);

/* ---- release.c ---- */
/* Our newest release in force of a model, or NULL. */
struct slot *release_newest(const struct node *n, const struct digest *model);
struct slot *release_by_manifest(const struct node *n, const struct digest *id);
bool release_slot_used(const struct slot *s);
bool release_slot_shared(const struct slot *s); /* fetched or served: exists on links */
enum err release_take(struct node *n, struct bytes envelope, uint32_t load_slot, uint32_t from);
void release_load_state(struct node *n, uint32_t slot, struct bytes data);
size_t release_save_state(const struct slot *s, uint8_t *out);
void release_ready(struct node *n);
void release_opened(struct node *n, const struct event *ev);
void release_complete(struct node *n, struct slot *s);
void release_checked(struct node *n, const struct event *ev);
void release_withdraw(struct node *n, struct slot *s);
void release_drop(struct node *n, struct slot *s);
void release_consider(struct node *n, struct nlink *l, const struct digest *model,
                      uint32_t root_version, uint64_t sequence, const struct digest *manifest);
void release_set_state(struct node *n, struct slot *s, enum release_state state);
void release_adopt(struct node *n, uint32_t slot);
/* The world's fault (disk full, I/O): stop, say so, try again later. */
void release_storage_failed(struct node *n, struct slot *s, enum err e);
void release_unserve(struct node *n, struct slot *s);
void release_serve_again(struct slot *s);
/* Compares the whole image with the signed digest; it is held again when they agree. */
void release_check(struct node *n, struct slot *s);
void release_retry(struct node *n, struct slot *s);
/* Do the manifests still have their threshold? */
void release_rejudge(struct node *n);
void release_runs(struct node *n, struct slot *s);
bool release_mendable(const struct slot *s);
/* Has the installer been started for it? */
bool release_was_installed(const struct slot *s);
void release_open_again(struct node *n, struct slot *s);
void release_clean_older(struct node *n, const struct slot *newest);
bool release_next(struct node *n, struct action *act);
bool release_wanted_model(const struct node *n, const struct digest *model);

/* ---- install.c ---- */
void install_current(struct node *n, const struct event *ev);
void install_consider(struct node *n, struct slot *s);
void install_result(struct node *n, uint32_t slot, int32_t code);
void install_confirm(struct node *n);
void install_reject(struct node *n);
void install_saved(struct node *n, uint32_t batch, enum err e);
void install_fresh_answer(struct node *n, struct nlink *l);
void install_time(struct node *n);
usec install_deadline(const struct node *n);
/* A failed installation found at start waits as it would have. */
void install_again_later(struct node *n, struct slot *s);
bool install_floor_allows(const struct node *n, const struct manifest *m);
void install_loaded(struct node *n);
size_t install_floor_encode(const struct node *n, uint8_t *out);
void install_floor_load(struct node *n, struct bytes data);

/* ---- version.c ---- */
void version_ask_all(struct node *n);
void version_compare_own(struct node *n, const struct digest *manifest);
void version_build_ask(struct node *n, struct nlink *l, struct wire_msg *m);
void version_build_answer(struct node *n, struct nlink *l, struct wire_msg *m);
void version_build_agree(struct node *n, struct nlink *l, struct wire_msg *m);
void version_on_ask(struct node *n, struct nlink *l, const struct msg_ask *m);
void version_on_answer(struct node *n, struct nlink *l, const struct msg_answer *m);
void version_on_agree(struct node *n, struct nlink *l, const struct msg_agree *m);

/* ---- exchange.c ---- */
/* Resolves opens in both directions for a slot that appeared. */
void exchange_slot_appeared(struct node *n, uint32_t slot);
/* The same for one link, which has just opened a slot of its own. */
void exchange_resolve(struct node *n, struct nlink *l, uint32_t slot);
void exchange_slot_gone(struct node *n, uint32_t slot);
void exchange_link_gone(struct node *n, struct nlink *l);
/* The other side shut its slot. */
void exchange_stream_closed(struct node *n, struct nlink *l, uint32_t slot);
/* Block messages on a stream; ev for a body. */
void exchange_message(struct node *n, struct nlink *l, uint32_t slot, const struct wire_msg *m,
                      const struct event *ev);
void exchange_stored(struct node *n, const struct event *ev);
void exchange_update_interest(struct node *n, uint32_t slot);
void exchange_piece_gained(struct node *n, uint32_t slot, uint32_t piece);
/* What was gained must be told by now. */
void exchange_time(struct node *n);
usec exchange_deadline(const struct node *n);
void exchange_block_lost(struct node *n, uint32_t slot, uint32_t block);
void exchange_hash_reply(struct node *n, struct nlink *l, const struct wire_msg *m,
                         const struct event *ev);

/* Judges whether we want something of this stream. */
void exchange_interest(struct node *n, struct nlink *l, uint32_t slot);

/* ---- ask.c ---- */
bool ask_next(struct node *n, struct nlink *l, struct action *act, uint8_t *head);
void ask_time(struct node *n, struct nlink *l);
usec ask_deadline(const struct node *n, const struct nlink *l);
/* The index of an ask of this link, or NONE. */
uint32_t ask_find(const struct node *n, const struct nlink *l, uint32_t slot, uint32_t block);
void ask_remove(struct node *n, struct nlink *l, uint32_t i);
void ask_cancel_elsewhere(struct node *n, const struct nlink *from, uint32_t slot, uint32_t block);
/* A block came after so long: adjusts how many are asked ahead. */
void ask_window(struct node *n, struct nlink *l, usec took);
/* Is there room among the stores for what would come? */
bool ask_room(const struct node *n);
/* The chunk asked of this stream will not come, or not from here. */
void ask_chunk_over(struct node *n, struct slot *s, struct stream *st);
/* A block came: remembers how fast this link can be. */
void ask_gave(struct node *n, struct nlink *l);
/* Is this origin spared what neighbours hold? */
bool ask_spared(struct node *n, struct nlink *l, const struct slot *s);
/* What may be asked of a link; lent from the stream or from scratch (PIECES_BITS_MAX bytes). */
struct bytes ask_bits(struct node *n, struct nlink *l, uint32_t slot, uint8_t *scratch);
/* Makes slot.at_peers anew, after a neighbour went or lost something. */
void ask_peers_update(struct node *n, uint32_t slot);
/* The proof layers that a whole chunk has in BEP 52's count. */
uint32_t ask_proof_count(const struct geometry *g);

/* ---- upload.c ---- */
void upload_plan(struct node *n); /* choose whom to serve; called when something changed */
usec upload_deadline(const struct node *n, const struct nlink *l);
/* Must what was gained be said now? */
bool upload_haves_due(const struct slot *s, const struct stream *st);
/* A neighbour's wish, or what it holds, may have changed: is it told at once of what is gained? */
void upload_idle(struct node *n, const struct nlink *l, uint32_t slot);
bool upload_next_control(struct node *n, struct nlink *l, struct action *act, uint8_t *head);
bool upload_next_reject(struct node *n, struct nlink *l, struct action *act, uint8_t *head);
bool upload_next_block(struct node *n, struct nlink *l, struct action *act, uint8_t *head);
/* Marks a link whose queue does not move. */
void upload_time(struct node *n, struct nlink *l);
/* Blocks that were held back while too much was queued may be sent. */
void upload_resume(struct node *n);
/* Drops all that a link asked for. */
void uploads_clear(struct node *n, struct nlink *l);
void upload_on_request(struct node *n, struct nlink *l, uint32_t slot, const struct msg_request *m);
void upload_on_cancel(struct node *n, struct nlink *l, uint32_t slot, const struct msg_cancel *m);
void upload_on_hash_request(struct node *n, struct nlink *l, const struct msg_hash_request *m);
void upload_stream_here(struct node *n, struct nlink *l, uint32_t slot); /* both sides have it */
void upload_stream_gone(struct node *n, struct nlink *l, uint32_t slot);
void upload_on_bad_block(struct node *n, struct nlink *l, uint32_t slot, uint32_t block);
/* Selects a slot on a link before a block message: true when a select had to be emitted first. */
bool upload_select(struct node *n, struct nlink *l, uint32_t slot, struct action *act,
                   uint8_t *head);
