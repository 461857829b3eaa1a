/* What the checks remember of each node and each link, so that a step is judged by what came
 * before; for checks.c and judge*.c alone.
 *
 *   checks.c      what can be judged by looking: versions, limits, credit, the end
 *   judge.c       what a node keeps: its image's blocks, its records, what a restart must know
 *   judge_node.c  what it does with that: taking, stopping and installing releases, whom it trusts
 *   judge_link.c  what it says to a neighbour and asks of it
 *
 * Only honest nodes are judged.  Memory is bounded by what the cores' limits let happen. */
#pragma once

#include "checks.h"
#include "fwswarm/wire.h"

#define JUDGE_OPENS   16u
#define JUDGE_ANSWERS 16u
#define JUDGE_DOOMS   16u
#define JUDGE_NONE    0xffu /* no release; there are at most SCN_RELEASES */

/* A block asked of a neighbour. */
struct judge_ask {
    uint32_t block;
    uint8_t release;
    bool doomed; /* it came from elsewhere: to be cancelled */
    usec at;
};

/* One end of a link, by its place in the world. */
struct judge_end {
    uint32_t link; /* 0: none */
    uint32_t node, boot, far;
    int32_t out_slot;          /* selected by this node */
    int32_t in_slot;           /* by the other */
    uint8_t open[JUDGE_OPENS]; /* the release of each slot of the other */
    /* A bit for each slot of this node: it was opened here, the other wants something of it, was
     * told what there is, and is served. */
    uint16_t opened, wants, greeted, serves;
    struct judge_ask *ask;      /* a ring */
    uint32_t first, count, cap; /* cap: a power of two */
};

/* What of a slot's image was said to be durable. */
struct judge_slot {
    uint8_t release;
    bool open;       /* the core may use it */
    bool imported;   /* its bytes were put there by the vendor */
    uint32_t serial; /* of the storage: another when it was removed */
    uint32_t have;
    uint8_t *blocks; /* bits; NULL: none yet */
    uint8_t *maybe;  /* on its way when power went, or to be removed: the disk may have it */
    usec held_at;    /* when it was told to be whole, this boot; USEC_NEVER: not yet */
};

struct judge_op {
    bool used, chunk;
    uint8_t slot, release;
    uint32_t serial, index;
    uint32_t from, link; /* who sent it, on which link */
};

/* Somebody who sent what does not match. */
struct judge_blame {
    uint32_t who; /* index of the member */
    uint32_t bad; /* blocks and chunks, this boot */
    usec at;      /* when the core heard of the last; USEC_NEVER: it is not to be held to it */
};

struct judge_answer {
    uint32_t who;
    bool verify;
    usec at;
};

struct judge_node {
    /* Looked at after every event: few cache lines. */
    bool on; /* it is up */
    /* To be judged when what the event caused has been done. */
    bool check_ready, check_credit;
    uint32_t opened_slot, opened_blocks; /* NONE: none was */
    uint32_t dooms;
    usec starved_at;          /* since when one waits though there is room; USEC_NEVER */
    uint32_t waiting, served; /* streams of neighbours that want something */
    uint32_t sents;
    uint32_t lent_from, lent_link;
    struct judge_slot *slot; /* limits.images */
    struct judge_op *op;     /* by the core's number */
    size_t ops_cap;
    struct judge_blame *blame;
    size_t blames, blames_cap;
    uint8_t *asked[SCN_RELEASES]; /* by block: requests that wait, on all links */
    uint32_t doomed[JUDGE_DOOMS]; /* ends */
    /* Looked at now and then. */
    usec ready_at;
    struct judge_answer answer[JUDGE_ANSWERS];
    uint32_t answers;
    uint32_t stopped;         /* releases that it knows to be withdrawn, a bit each */
    uint8_t best[SCN_MODELS]; /* the newest that it took of each model */
    usec best_at[SCN_MODELS];
};

struct judge {
    bool reads_fail; /* disks may give up blocks that they cannot read */
    struct judge_node *node;
    struct judge_end *end;
    size_t ends_cap;
};

static inline struct judge_node *judge_of(const struct world *w, uint32_t node)
{
    return &w->judge->node[node];
}
static inline bool judged(const struct world *w, uint32_t node)
{
    return w->node[node].behaviour == BEHAVE_HONEST;
}
/* Honest, with an honest disk: not to be banned. */
static inline bool is_sound(const struct world *w, uint32_t node)
{
    return judged(w, node) && !w->node[node].rotten;
}

/* ---- judge.c ---- */
void judge_boot(struct world *w, uint32_t node);
void judge_opened(struct world *w, uint32_t node, const struct event *ev);
void judge_stored(struct world *w, uint32_t node, const struct event *ev);
void judge_storage(struct world *w, uint32_t node, const struct action *act);
void judge_ready(struct world *w, uint32_t node);
void judge_after_open(struct world *w, uint32_t node);
/* Is this block of a slot durable, as far as anybody ever said so? */
bool judge_has(const struct judge_slot *s, uint32_t block);
bool judge_has_piece(const struct world *w, const struct judge_slot *s, uint32_t piece);
/* Is an image in this state fetched, held or given? */
bool judge_in_use(enum release_state state);
/* What waits to become the durable record of an object, or NULL. */
const struct disk_job *judge_pending(const struct disk *d, uint32_t object);

/* ---- judge_node.c ---- */
uint8_t judge_release_of(const struct world *w, const struct digest *manifest);
void judge_records(struct world *w, uint32_t node);
void judge_save(struct world *w, uint32_t node, const struct action *act);
void judge_tell(struct world *w, uint32_t node, const struct action *act);
void judge_answered(struct world *w, uint32_t node, uint32_t far);
/* Is this release withdrawn, as this node knows? */
bool judge_stopped(const struct world *w, uint32_t node, uint8_t release);
/* Who sent what does not match, and whether the core must have heard whose it was. */
void judge_blame(struct world *w, uint32_t node, const struct judge_op *op, bool known);
bool judge_is_blamed(const struct world *w, uint32_t node, uint32_t far);

/* ---- judge_link.c ---- */
void judge_up(struct world *w, uint32_t node, const struct event *ev);
void judge_down(struct world *w, uint32_t node, const struct event *ev);
/* The core gave a link up, and hears of it later. */
void judge_closes(struct world *w, uint32_t node, uint32_t link);
void judge_heard(struct world *w, uint32_t node, const struct event *ev);
void judge_says(struct world *w, uint32_t node, uint32_t link, const struct wire_msg *m,
                const struct body *body);
void judge_casts(struct world *w, uint32_t node, struct bytes head);
/* A slot was shut: nobody is served from it. */
void judge_unserve(struct world *w, uint32_t node, uint32_t slot);
/* Does a neighbour wait for nothing? */
void judge_starved(struct world *w, uint32_t node);
void judge_cancels(struct world *w, uint32_t node);
void judge_credit(struct world *w, uint32_t node);
