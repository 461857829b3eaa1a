/* A small fleet with fixed keys, its nodes, and two links back to back.
 *
 * Used by the tests and the fuzz target of the link.  Nothing here reads a clock or draws
 * randomness, so what a link writes is the same in every run.  Failures are asserts: they mean that
 * the fixture is wrong, not the link. */
#pragma once

#include "fwswarm/link.h"

#include <assert.h>
#include <string.h>

#define FLEET_ROOTS  24u
#define ENROL_FIRST  1u
#define ENROL_LAST   999u
#define VERIFY_INDEX 5000u

struct fleet {
    struct signer root, release, enrol, enrol2, verify;
    struct root body; /* the newest root */
    uint8_t chain[FLEET_ROOTS * 1024];
    size_t end[FLEET_ROOTS + 1]; /* of version i */
    uint8_t list[2048];
    size_t list_n;
};

static inline void fleet_signer(struct signer *s, uint8_t fleet, uint8_t which)
{
    uint8_t seed[32] = {fleet, which, 0x5e};
    signer_from_seed(s, seed);
}

/* Signs the body as it stands and appends it to the chain. */
static inline void fleet_publish(struct fleet *f)
{
    uint8_t buf[1024];
    struct wr w = wr_of(buf, sizeof buf);
    enum err e = root_encode_body(&f->body, &w);
    assert(e == E_OK);
    struct sig sig;
    root_sign(&sig, &f->root, wr_done(&w));
    uint32_t v = f->body.version;
    assert(v <= FLEET_ROOTS);
    struct wr out = wr_of(f->chain + f->end[v - 1], sizeof f->chain - f->end[v - 1]);
    e = root_encode(wr_done(&w), &f->root.pub, &sig, 1, &out);
    assert(e == E_OK);
    f->end[v] = f->end[v - 1] + wr_len(&out);
}

static inline void fleet_start(struct fleet *f, uint8_t id)
{
    memset(f, 0, sizeof *f);
    fleet_signer(&f->root, id, 1);
    fleet_signer(&f->release, id, 2);
    fleet_signer(&f->enrol, id, 3);
    fleet_signer(&f->enrol2, id, 4);
    fleet_signer(&f->verify, id, 5);
    struct root *r = &f->body;
    memset(r->fleet.b, id, sizeof r->fleet.b);
    r->version = 1;
    r->root = (struct key_set){1, 1, {f->root.pub}};
    r->release = (struct key_set){1, 1, {f->release.pub}};
    r->enrol_count = 1;
    r->enrol_threshold = 1;
    r->enrol[0] =
        (struct enrol_lease){.key = f->enrol.pub, .first = ENROL_FIRST, .last = ENROL_LAST};
    r->verify_count = 1;
    r->verify[0].key = f->verify.pub;
    r->verify[0].index = VERIFY_INDEX;
    fleet_publish(f);
}

/* The next root, the same but for its version. */
static inline void fleet_advance(struct fleet *f)
{
    f->body.version++;
    fleet_publish(f);
}

/* The next root, which lists a second enrolment key. */
static inline void fleet_advance_enrol(struct fleet *f)
{
    struct root *r = &f->body;
    r->enrol[r->enrol_count++] =
        (struct enrol_lease){.key = f->enrol2.pub, .first = ENROL_LAST + 1, .last = 2 * ENROL_LAST};
    fleet_advance(f);
}

static inline struct bytes fleet_roots(const struct fleet *f, uint32_t first, uint32_t last)
{
    return bytes_of(f->chain + f->end[first - 1], f->end[last] - f->end[first - 1]);
}

/* A list that revokes one index. */
static inline struct bytes fleet_revoke(struct fleet *f, const struct signer *by, uint32_t root,
                                        uint32_t version, uint32_t index)
{
    struct revocations r = {.root_version = root, .version = version, .count = 1};
    r.range[0] = (struct index_range){index, index};
    uint8_t buf[1024];
    struct wr w = wr_of(buf, sizeof buf);
    enum err e = revocations_encode_body(&r, &f->body.fleet, &w);
    assert(e == E_OK);
    struct sig sig;
    revocations_sign(&sig, by, &f->body.fleet, wr_done(&w));
    struct wr out = wr_of(f->list, sizeof f->list);
    e = revocations_encode(wr_done(&w), &by->pub, &sig, 1, &out);
    assert(e == E_OK);
    f->list_n = wr_len(&out);
    return wr_done(&out);
}

struct node_fixture {
    struct signer id;
    struct trust trust;
    uint8_t cert[CERT_BYTES_MAX];
    struct link_self self;
};

/* A node that holds roots 1..version; without a certificate when enrol is NULL. */
static inline void node_start(struct node_fixture *n, const struct fleet *f, uint8_t which,
                              uint32_t version, const struct signer *enrol, uint32_t index)
{
    memset(n, 0, sizeof *n);
    fleet_signer(&n->id, f->body.fleet.b[0], which);
    enum err e = trust_chain(&n->trust, fleet_roots(f, 1, version));
    assert(e == E_OK);
    struct wr w = wr_of(n->cert, sizeof n->cert);
    if (enrol) {
        struct member m = {.node = n->id.pub, .index = index, .role = ROLE_NORMAL};
        memset(m.model.b, 0x4d, sizeof m.model.b);
        e = cert_make(&w, &m, enrol, &f->body.fleet);
        assert(e == E_OK);
    }
    n->self = (struct link_self){.identity = &n->id,
                                 .cert = wr_done(&w),
                                 .trust = &n->trust,
                                 .root_chain = fleet_roots(f, 1, version)};
    memset(n->self.static_secret, which + 1, sizeof n->self.static_secret);
}

/* Gives the node a list, as if it had come earlier. */
static inline void node_revoke(struct node_fixture *n, struct bytes list)
{
    enum err e = trust_revoke(&n->trust, list);
    assert(e == E_OK);
    n->self.revocations = list;
}

/* ---- two links ---- */

enum feed { FEED_WHOLE, FEED_BYTES, FEED_RANDOM };

/* What one side wrote, all of it, and how much the other has taken. */
struct pipe {
    uint8_t b[160000];
    size_t n, taken;
};

struct pair {
    struct link link[2]; /* 0 dials */
    struct link_scratch scratch[2];
    struct pipe pipe[2]; /* what that side wrote */
    enum err err[2];
    int frames; /* handshake messages so far */
    size_t frame_at[4], frame_len[4];
    int flip_frame; /* 1..3: which one to damage, 0: none */
    size_t flip_bit;
    struct rng rng;
};

static inline void pair_start_with(struct pair *p, const struct link_self *dialler,
                                   const struct link_self *listener, uint8_t seed,
                                   const struct aead *bulk)
{
    uint8_t e[2][32], r[32] = {seed};
    memset(e[0], seed, 32);
    memset(e[1], seed ^ 0x80, 32);
    link_init(&p->link[0], LINK_DIALLER, dialler, e[0], bulk, &p->scratch[0]);
    link_init(&p->link[1], LINK_LISTENER, listener, e[1], bulk, &p->scratch[1]);
    for (int i = 0; i < 2; i++) {
        p->pipe[i].n = p->pipe[i].taken = 0;
        p->err[i] = E_OK;
    }
    p->frames = 0;
    p->flip_frame = 0;
    rng_init(&p->rng, r);
}

static inline void pair_start(struct pair *p, const struct node_fixture *dialler,
                              const struct node_fixture *listener, uint8_t seed)
{
    pair_start_with(p, &dialler->self, &listener->self, seed, &aead_sodium);
}

/* Takes what a side has to send. */
static inline bool pair_collect(struct pair *p, int side)
{
    struct bytes out = link_handshake_out(&p->link[side]);
    struct pipe *pipe = &p->pipe[side];
    if (out.n == 0)
        return false;
    assert(pipe->n + out.n <= sizeof pipe->b);
    memcpy(pipe->b + pipe->n, out.p, out.n);
    p->frames++;
    assert(p->frames <= 3);
    p->frame_at[p->frames] = pipe->n;
    p->frame_len[p->frames] = out.n;
    if (p->frames == p->flip_frame)
        pipe->b[pipe->n + p->flip_bit / 8] ^= (uint8_t)(1u << p->flip_bit % 8);
    pipe->n += out.n;
    return true;
}

/* Gives a side more of what the other wrote. */
static inline bool pair_feed(struct pair *p, int side, enum feed feed)
{
    struct pipe *pipe = &p->pipe[1 - side];
    size_t n = pipe->n - pipe->taken, used;
    if (n == 0 || p->err[side] || link_state(&p->link[side]) != LINK_HANDSHAKE)
        return false;
    if (feed == FEED_BYTES)
        n = 1;
    if (feed == FEED_RANDOM)
        n = 1 + rng_below(&p->rng, (uint32_t)n);
    p->err[side] = link_handshake(&p->link[side], pipe->b + pipe->taken, n, &used);
    assert(used <= n);
    pipe->taken += used;
    return true;
}

static inline void pair_run(struct pair *p, enum feed feed)
{
    bool moved = true;
    while (moved) {
        moved = false;
        for (int side = 0; side < 2; side++) {
            moved |= pair_collect(p, side);
            moved |= pair_feed(p, side, feed);
        }
    }
}

static inline bool pair_is_open(const struct pair *p)
{
    return link_state(&p->link[0]) == LINK_OPEN && link_state(&p->link[1]) == LINK_OPEN;
}

static inline void pair_wipe(struct pair *p)
{
    link_wipe(&p->link[0]);
    link_wipe(&p->link[1]);
}
