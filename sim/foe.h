/* What adversaries share among themselves; for adversary.c and foe_*.c alone.
 *
 *   adversary.c    who they are, the links they have, what each hook leads to
 *   foe_blocks.c   false blocks, false claims, endless requests, endless data
 *   foe_links.c    links and datagrams in masses, links that say nothing, false addresses
 *   foe_words.c    false offers, manifests and answers
 *
 * An adversary's core knows nothing of all this: what is sent beside it costs it no credit, and the
 * credit of what is sent in place of its own words is that of its own words. */
#pragma once

#include "adversary.h"
#include "fwswarm/wire.h"

#define FOE_OP    0x80000000u /* our own dials are named from here on; a core's count from 1 */
#define FOE_OPENS 4u          /* images remembered of one link and direction */

/* One link of an adversary. */
struct foe_link {
    uint32_t link;
    uint32_t far;
    bool ours;        /* its core knows nothing of it */
    bool said, heard; /* hello, from here and from there */
    bool offered;
    bool holds;                  /* the other side says that it has something */
    int32_t out_slot, core_slot; /* selected on this link: on the wire, and by the core */
    int32_t in_slot;
    uint32_t opens, far_opens;
    struct {
        uint16_t slot;
        uint32_t release;
    } open[FOE_OPENS], far_open[FOE_OPENS];
    struct msg_ask ask; /* the other side's question; its version's bytes are in version */
    char version[VERSION_MAX];
    bool asked;
    usec since, spoke;
};

struct foe {
    uint32_t node;
    struct foe_link *link; /* limits.links places */
    uint32_t links, cap;
    uint32_t op, dials; /* our own dials: the last one's name, how many are under way */
    uint32_t turn;
    struct rng rng;
    uint8_t heard[WIRE_HEAD_MAX]; /* the last datagram of somebody else, to be said again */
    uint32_t heard_len;
};

/* A release that the vendor did not sign, one for each model. */
struct forgery {
    struct manifest manifest;
    struct blob *envelope[2]; /* by unlisted keys; in the vendor's name */
};

struct harm {
    struct foe *foe;
    uint32_t foes;
    uint32_t *place; /* by node: its place in foe[], or NONE */
    struct forgery forgery[SCN_MODELS];
    uint64_t attempts[BEHAVE_COUNT];
};

/* ---- adversary.c ---- */
struct foe *foe_of(const struct world *w, uint32_t node);
struct foe_link *foe_link(const struct foe *f, uint32_t link);
void foe_tried(struct world *w, const struct foe *f, uint32_t count);
/* Says something that no core asked for.  Takes over body's blob. */
void foe_say(struct world *w, struct foe *f, const struct foe_link *l, const struct wire_msg *m,
             const struct body *body);
/* The same about blocks of a slot of ours. */
void foe_say_on(struct world *w, struct foe *f, struct foe_link *l, uint16_t slot,
                const struct wire_msg *m, const struct body *body);
/* Says something else in place of what the core wants to say; m NULL: nothing that means anything.
 * Always false, as the answer to the hook. */
bool foe_swap(struct world *w, const struct foe *f, const struct action *act,
              const struct wire_msg *m);
/* The release of a manifest or an image, or NONE. */
uint32_t foe_release(const struct world *w, const uint8_t id[static 32]);
uint32_t foe_image(const struct world *w, const uint8_t root[static 32]);
/* Our slot for a release on this link, or -1. */
int32_t foe_slot(const struct foe_link *l, uint32_t release);
/* The release that the other side's block messages are about, or NONE. */
uint32_t foe_far_release(const struct foe_link *l);
/* A node to turn to: not itself. */
uint32_t foe_target(struct world *w, struct foe *f);

/* ---- foe_blocks.c, foe_links.c, foe_words.c: what adversary.h's hooks lead to ---- */
/* Messages that the core wants to send, and that it got; true: let them pass. */
bool foe_blocks_send(struct world *w, struct foe *f, struct foe_link *l, const struct action *act,
                     const struct wire_msg *m, struct body *body);
bool foe_blocks_msg(struct world *w, struct foe *f, struct foe_link *l, const struct wire_msg *m);
bool foe_links_msg(struct world *w, struct foe *f, struct foe_link *l, const struct wire_msg *m);
bool foe_words_send(struct world *w, struct foe *f, struct foe_link *l, const struct action *act,
                    const struct wire_msg *m);
bool foe_words_msg(struct world *w, struct foe *f, struct foe_link *l, const struct wire_msg *m);
/* A link of our own is up. */
void foe_links_up(struct world *w, struct foe *f, struct foe_link *l);
/* What is done unasked; when it is to be done again, or 0. */
usec foe_blocks_tick(struct world *w, struct foe *f);
usec foe_links_tick(struct world *w, struct foe *f);
usec foe_words_tick(struct world *w, struct foe *f);
void foe_words_init(struct world *w);
void foe_words_fini(struct world *w);
