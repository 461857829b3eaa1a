/* A core that does what a test tells it, in place of src/node: for testing the simulator itself.
 *
 * Used by tests by way of puppet.h.  It remembers the events that it was given and plays back
 * actions.  On its own it takes a release into slot 0 and opens it, again when it is adopted, says
 * then that it holds it, and is idle otherwise. */
#pragma once

#include "world.h"

#define STUB_QUEUE  64u
#define STUB_EVENTS 512u
#define STUB_HEAD   256u

struct stub_seen {
    struct event ev; /* what it points to is gone */
    uint8_t head[64];
    size_t head_len;
    uint32_t body_len, data_len;
    uint32_t blocks; /* EV_OPENED: bits set */
};

struct node {
    struct action queue[STUB_QUEUE];
    uint8_t head[STUB_QUEUE][STUB_HEAD];
    uint32_t first, count;
    struct stub_seen seen[STUB_EVENTS];
    uint32_t seen_count;
    usec deadline;
    bool stuck; /* does not move its deadline on EV_TIME */
    bool has_release, adopts;
    struct body *body; /* of the last message */
    bool store_body;   /* STORE the body of each message at store_at */
    struct span store_at;
    /* What its status says. */
    uint32_t floor;
    uint64_t current;
    enum release_state state;
    uint32_t blocks, pieces;
    struct node_link_status link; /* of its only link, when that has a name */
};

/* The release whose manifest the stub's status shows. */
void stub_use(const struct world *w);
/* Queues an action; head may be NULL. */
void stub_do(struct node *n, const struct action *act, const void *head, uint32_t head_len);
/* The nth (from 0) event of a type that was seen, or NULL. */
const struct stub_seen *stub_find(const struct node *n, enum event_type type, uint32_t nth);
uint32_t stub_seen_of(const struct node *n, enum event_type type);
