/* The state of fuzz_node.c: the input, the node, and what its host keeps. */
#pragma once

#include "node_fleet.h"

#define LINKS        5u /* links the harness holds at most; limits.links of the node */
#define SLOTS        3u
#define RECORDS      64u
#define DEMANDS      128u
#define OPS          4096u
#define BATCH        128u
#define ACTIONS_MOST 1500u
#define SPINS_MOST   4u

struct body {
    uint32_t release, index; /* block, or chunk */
    bool chunk, good;
};

/* ---- the host ---- */

struct demand {    /* a message of the node that waits for an answer */
    uint32_t slot; /* selected when it came */
    struct wire_msg m;
};

struct hlink {
    bool used, closing;
    uint32_t id, who, unsent;
    bool greeted;                /* said hello */
    int32_t out_slot;            /* selected by the node */
    struct digest opened[SLOTS]; /* by the node: its slot -> manifest */
    struct demand demand[DEMANDS];
    uint32_t demands;
    char version[VERSION_MAX];
};

struct hslot {
    bool bound; /* something lies there */
    struct digest root;
    struct geometry geo;
    uint8_t disk[1024], chunks[16];      /* what storage holds, verified */
    uint8_t told[1024], told_chunks[16]; /* what the node may name */
    bool rotten[1024 * 8];
    bool open;  /* as performed */
    bool whole; /* a flat check said so of these bytes, once; the host does it again to install */
};

struct record {
    uint32_t object;
    uint8_t *data;
    size_t n;
};

enum op_kind { OP_OPEN, OP_SHUT, OP_STORE, OP_SAVE, OP_CHECK };

struct op {
    enum op_kind kind;
    struct action act;
    struct body body;
    struct record rec[BATCH];
    uint32_t records;
};

static struct world {
    const uint8_t *in;
    size_t left;
    struct limits lim;
    struct node_config conf;
    struct signer self;
    struct node *n;
    void *mem;
    struct log log;
    usec now;
    struct hlink link[LINKS];
    uint32_t next_id;
    struct hslot slot[SLOTS];
    struct record rec[RECORDS];
    uint32_t records;
    struct op *op[OPS]; /* in order; whole checks may be answered out of it */
    uint32_t ops;
    struct op *batch; /* of saves, being gathered */
    struct addr dial[HALF_OPEN_MAX];
    uint32_t dial_op[HALF_OPEN_MAX], dials;
    struct body lent;
    bool full_disk, saves_fail;
    bool stopped;
    uint32_t boots, install_slot;
    bool installing;
    struct digest rejected[8];
    uint32_t rejections;
    bool healing;
    uint32_t best; /* what the world heals to */
    uint32_t drains;
} w;

static uint8_t take(void)
{
    if (w.left == 0)
        return 0;
    w.left--;
    return *w.in++;
}

static uint32_t take_below(uint32_t n)
{
    return take() % n;
}

static uint32_t draw(void *ctx)
{
    (void)ctx;
    return (uint32_t)take() | (uint32_t)take() << 8;
}

static void sink(void *ctx, enum log_level level, const char *line, size_t n)
{
    (void)ctx;
    (void)level;
    if (getenv("FUZZ_NODE_LOG") != NULL)
        fwrite(line, 1, n, stderr);
}

static bool bit(const uint8_t *p, uint32_t i)
{
    return (p[i / 8] & (0x80u >> (i % 8))) != 0;
}

static void set(uint8_t *p, uint32_t i, bool v)
{
    p[i / 8] = (uint8_t)(v ? p[i / 8] | (0x80u >> (i % 8)) : p[i / 8] & ~(0x80u >> (i % 8)));
}

static struct hlink *hlink_by_id(uint32_t id)
{
    for (uint32_t i = 0; i < LINKS; i++)
        if (w.link[i].used && w.link[i].id == id)
            return &w.link[i];
    return NULL;
}

static uint32_t release_of(const struct digest *root)
{
    for (uint32_t i = 0; i < RELEASES; i++)
        if (digest_equal(&fix.release[i].m.tree_root, root))
            return i;
    return RELEASES;
}

static uint32_t release_of_id(const uint8_t id[32])
{
    for (uint32_t i = 0; i < RELEASES; i++)
        if (memcmp(fix.release[i].m.id.b, id, 32) == 0)
            return i;
    return RELEASES;
}

/* ---- records ---- */

static struct record *record_find(uint32_t object)
{
    for (uint32_t i = 0; i < w.records; i++)
        if (w.rec[i].object == object)
            return &w.rec[i];
    return NULL;
}

static void record_put(struct record *from)
{
    struct record *r = record_find(from->object);
    if (r == NULL) {
        assert(w.records < RECORDS);
        r = &w.rec[w.records++];
        *r = (struct record){.object = from->object};
    }
    free(r->data);
    r->data = from->data;
    r->n = from->n;
    from->data = NULL;
}
