/* False blocks, false claims, requests without end, data without end.
 *
 * Whoever sends false blocks says that it holds all, serves everybody at once and answers each
 * request itself, so that it does as much harm as its identity lets it do, and as early. */
#include "foe.h"
#include "net.h"

#include <string.h>

#define ENDLESS_BLOCKS 4u /* the same ones, again and again */
#define ENDLESS_BURST  32u
#define ENDLESS_EVERY  (SEC / 10)
#define DATA_BURST     8u
#define DATA_SHARE                                                                                 \
    8u /* of a line, for all adversaries together: whoever fills it needs no lies                  \
        */
#define DATA_EVERY   (SEC / 20)
#define FALSE_HASHES 8u /* one chunk record in so many is false too */

static enum behaviour behaviour_of(const struct world *w, const struct foe *f)
{
    return w->node[f->node].behaviour;
}

/* Does it answer requests with what is not asked for? */
static bool sends_false(enum behaviour b)
{
    return b == BEHAVE_GARBAGE || b == BEHAVE_CLONES || b == BEHAVE_MIXER;
}

/* ---- bodies ---- */

/* Another release that has a block of this length there, or NONE. */
static uint32_t other_release(const struct world *w, uint32_t release, uint32_t block, uint32_t len)
{
    for (uint32_t i = 0; i < w->releases; i++) {
        const struct geometry *g = &w->release[i].geo;
        if (i != release && block < g->blocks && geometry_block_len(g, block) == len)
            return i;
    }
    return NONE;
}

static struct body false_block(const struct world *w, enum behaviour b, uint32_t release,
                               uint32_t block)
{
    const struct geometry *g = &w->release[release].geo;
    struct body body = {.kind = OBJ_IMAGE,
                        .release = release,
                        .off = (uint64_t)block * BLOCK_LEN,
                        .len = geometry_block_len(g, block),
                        .corrupt = true};
    uint32_t other = b == BEHAVE_MIXER ? other_release(w, release, block, body.len) : NONE;
    if (other != NONE) {
        body.release = other;
        body.corrupt = false;
    }
    return body;
}

static void say_block(struct world *w, struct foe *f, struct foe_link *l, uint32_t release,
                      uint32_t block)
{
    const struct geometry *g = &w->release[release].geo;
    int32_t slot = foe_slot(l, release);
    if (slot < 0)
        return;
    struct wire_msg m;
    memset(&m, 0, sizeof(m));
    m.id = MSG_piece;
    m.piece.piece = block / g->piece_blocks;
    m.piece.begin = block % g->piece_blocks * BLOCK_LEN;
    struct body body = false_block(w, behaviour_of(w, f), release, block);
    foe_say_on(w, f, l, (uint16_t)slot, &m, &body);
}

/* Leaf hashes are no secret, so a liar has them; one that mixes takes another release's. */
static void say_hashes(struct world *w, struct foe *f, struct foe_link *l,
                       const struct msg_hash_request *q)
{
    uint32_t release = foe_image(w, q->root);
    if (release == NONE)
        return;
    enum behaviour b = behaviour_of(w, f);
    const struct geometry *g = &w->release[release].geo;
    struct body body = {.kind = OBJ_CHUNK,
                        .release = release,
                        .off = q->index / CHUNK_BLOCKS,
                        .len = geometry_chunk_len(g)};
    body.corrupt = sends_false(b) && rng_below(&f->rng, FALSE_HASHES) == 0;
    foe_tried(w, f, body.corrupt);
    struct wire_msg m;
    memset(&m, 0, sizeof(m));
    m.id = MSG_hashes;
    memcpy(&m.hashes, q, sizeof(m.hashes)); /* both have one layout */
    foe_say(w, f, l, &m, &body);
}

/* ---- hooks ---- */

bool foe_blocks_send(struct world *w, struct foe *f, struct foe_link *l, const struct action *act,
                     const struct wire_msg *m, struct body *body)
{
    (void)l;
    enum behaviour b = behaviour_of(w, f);
    bool greets = m->id == MSG_bitfield || m->id == MSG_have_none || m->id == MSG_have_all;
    struct wire_msg says;
    memset(&says, 0, sizeof(says));
    if (b == BEHAVE_HIDER && (greets || m->id == MSG_have || m->id == MSG_haves)) {
        says.id = MSG_have_none;
        foe_tried(w, f, m->id != MSG_have_none);
        return foe_swap(w, f, act, greets ? &says : NULL);
    }
    if (b == BEHAVE_ENDLESS && m->id == MSG_cancel)
        return foe_swap(w, f, act, NULL);
    if (!sends_false(b) && b != BEHAVE_FALSE_HAVE)
        return true;
    if (greets) {
        says.id = MSG_have_all;
        foe_tried(w, f, b == BEHAVE_FALSE_HAVE);
        return foe_swap(w, f, act, &says);
    }
    if (m->id == MSG_choke || m->id == MSG_donthave)
        return foe_swap(w, f, act, NULL);
    if (m->id == MSG_piece && body != NULL && sends_false(b)) {
        body->corrupt = true;
        foe_tried(w, f, 1);
    }
    return true;
}

/* A request is answered at once with what is false, or never. */
static bool on_request(struct world *w, struct foe *f, struct foe_link *l,
                       const struct msg_request *q)
{
    /* A request is about a slot of the one who asks. */
    uint32_t release = foe_far_release(l);
    if (release == NONE)
        return true;
    const struct geometry *g = &w->release[release].geo;
    uint32_t block = q->piece * g->piece_blocks + q->begin / BLOCK_LEN;
    if (q->piece >= g->pieces || block >= g->blocks)
        return true;
    foe_tried(w, f, 1);
    if (sends_false(behaviour_of(w, f)))
        say_block(w, f, l, release, block);
    return false;
}

bool foe_blocks_msg(struct world *w, struct foe *f, struct foe_link *l, const struct wire_msg *m)
{
    enum behaviour b = behaviour_of(w, f);
    if (b == BEHAVE_ENDLESS && m->id == MSG_piece) {
        uint32_t release = foe_far_release(l);
        /* Its core did not ask for these and would say so. */
        return release == NONE ||
               m->piece.piece * w->release[release].geo.piece_blocks + m->piece.begin / BLOCK_LEN >=
                   ENDLESS_BLOCKS;
    }
    if (!sends_false(b) && b != BEHAVE_FALSE_HAVE)
        return true;
    if (m->id == MSG_request)
        return on_request(w, f, l, &m->request);
    if (m->id == MSG_hash_request) {
        say_hashes(w, f, l, &m->hash_request);
        return false;
    }
    if (m->id == MSG_interested) {
        int32_t slot = foe_slot(l, foe_far_release(l));
        struct wire_msg says;
        memset(&says, 0, sizeof(says));
        says.id = MSG_unchoke;
        if (slot >= 0)
            foe_say_on(w, f, l, (uint16_t)slot, &says, NULL);
    }
    return true;
}

/* ---- unasked ---- */

/* The next link with an image on it, in turn. */
static struct foe_link *next_link(struct foe *f, uint32_t *release)
{
    for (uint32_t k = 0; k < f->links; k++) {
        struct foe_link *l = &f->link[(f->turn + k) % f->links];
        *release = foe_far_release(l);
        if (!l->ours && *release != NONE && foe_slot(l, *release) >= 0)
            return l;
    }
    return NULL;
}

static void ask_again(struct world *w, struct foe *f)
{
    uint32_t release;
    struct foe_link *l = next_link(f, &release);
    if (l == NULL || !l->holds)
        return;
    const struct geometry *g = &w->release[release].geo;
    struct wire_msg m;
    memset(&m, 0, sizeof(m));
    m.id = MSG_interested;
    uint16_t slot = (uint16_t)foe_slot(l, release);
    foe_say_on(w, f, l, slot, &m, NULL);
    for (uint32_t i = 0; i < ENDLESS_BURST; i++) {
        uint32_t block = i % ENDLESS_BLOCKS % g->blocks;
        memset(&m, 0, sizeof(m));
        m.id = MSG_request;
        m.request.piece = block / g->piece_blocks;
        m.request.begin = block % g->piece_blocks * BLOCK_LEN;
        m.request.length = geometry_block_len(g, block);
        foe_say_on(w, f, l, slot, &m, NULL);
    }
    foe_tried(w, f, ENDLESS_BURST);
}

/* What a node's line down can take, when all of its place are sent to. */
static uint64_t line_share(const struct world *w, uint32_t node)
{
    const struct sim_node *n = &w->node[node];
    uint64_t rate = n->down.rate;
    if (n->place == NONE || w->place[n->place].down.rate == 0)
        return rate;
    uint64_t share = w->place[n->place].down.rate / w->place[n->place].nodes;
    return share < rate ? share : rate;
}

static void send_unasked(struct world *w, struct foe *f)
{
    uint32_t release;
    struct foe_link *l = next_link(f, &release);
    if (l == NULL || w->now < l->spoke)
        return;
    uint64_t rate = line_share(w, l->far) / DATA_SHARE / w->harm->foes + 1;
    l->spoke = w->now + (uint64_t)DATA_BURST * BLOCK_LEN * SEC / rate;
    const struct geometry *g = &w->release[release].geo;
    for (uint32_t i = 0; i < DATA_BURST; i++)
        say_block(w, f, l, release, rng_below(&f->rng, g->blocks));
    static const uint8_t filler[WIRE_HEAD_MAX];
    struct blob *b = blob_make(filler, sizeof(filler));
    struct body body = {.kind = OBJ_MANIFEST, .len = b->len, .blob = b};
    struct wire_msg m;
    memset(&m, 0, sizeof(m));
    m.id = MSG_data;
    m.data.kind = 1;
    rng_bytes(&f->rng, m.data.id, sizeof(m.data.id));
    foe_say(w, f, l, &m, &body);
    foe_tried(w, f, DATA_BURST + 1);
}

usec foe_blocks_tick(struct world *w, struct foe *f)
{
    enum behaviour b = behaviour_of(w, f);
    if (b == BEHAVE_ENDLESS) {
        ask_again(w, f);
        return ENDLESS_EVERY;
    }
    if (b == BEHAVE_ENDLESS_DATA) {
        send_unasked(w, f);
        return DATA_EVERY;
    }
    return 0;
}
