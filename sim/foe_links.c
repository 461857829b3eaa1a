/* Links and datagrams in masses, links that say nothing, and addresses that lead nowhere. */
#include "foe.h"
#include "lan.h"
#include "net.h"

#include <string.h>

#define LORIS_EVERY  SEC
#define LORIS_DIALS  4u
#define LORIS_WORD   (60 * SEC) /* just often enough not to be taken for dead */
#define FLOOD_EVERY  (SEC / 50)
#define FLOOD_DIALS  1u
#define UNDER_WAY    64u
#define CAST_EVERY   (SEC / 5) /* in all more than a core reads, and less than fills a slow line */
#define CAST_BURST   4u
#define ECLIPSE_LIST 50u
#define PEER_BYTES   19u

static enum behaviour behaviour_of(const struct world *w, const struct foe *f)
{
    return w->node[f->node].behaviour;
}

/* ---- links ---- */

static void dial(struct world *w, struct foe *f, uint32_t to)
{
    for (uint32_t i = 0; i < f->links; i++)
        if (f->link[i].far == to)
            return;
    if (f->dials >= UNDER_WAY)
        return;
    f->dials++;
    f->op = f->op == UINT32_MAX ? FOE_OP : f->op + 1;
    foe_tried(w, f, 1);
    net_dial(w, f->node, f->op, &w->node[to].addr);
}

static void say_hello(struct world *w, struct foe *f, struct foe_link *l)
{
    struct wire_msg m;
    memset(&m, 0, sizeof(m));
    m.id = MSG_hello;
    m.hello.min = WIRE_PROTOCOL_MIN;
    m.hello.max = WIRE_PROTOCOL_MAX;
    m.hello.port = w->node[f->node].addr.port;
    foe_say(w, f, l, &m, NULL);
    l->said = true;
}

void foe_links_up(struct world *w, struct foe *f, struct foe_link *l)
{
    /* Half of them say hello: they are kept longer, and count as neighbours. */
    bool hello = rng_below(&f->rng, 2) == 0;
    if (hello)
        say_hello(w, f, l);
    if (behaviour_of(w, f) == BEHAVE_LINK_FLOOD)
        (void)net_close(w, f->node, l->link, E_OK);
}

static void loris(struct world *w, struct foe *f)
{
    for (uint32_t i = 0; i < LORIS_DIALS && w->count > 1; i++)
        dial(w, f, foe_target(w, f));
    for (uint32_t i = 0; i < f->links; i++) {
        struct foe_link *l = &f->link[i];
        if (!l->said || w->now < l->spoke + LORIS_WORD)
            continue;
        l->spoke = w->now;
        struct wire_msg m;
        memset(&m, 0, sizeof(m));
        m.id = MSG_state;
        m.state.root_version = 1;
        foe_say(w, f, l, &m, NULL);
    }
}

static void flood(struct world *w, struct foe *f)
{
    for (uint32_t i = 0; i < FLOOD_DIALS && w->count > 1; i++)
        dial(w, f, foe_target(w, f));
}

/* ---- datagrams ---- */

static void cast(struct world *w, struct foe *f, const uint8_t *data, uint32_t len)
{
    foe_tried(w, f, 1);
    (void)lan_cast(w, f->node, data, len);
}

static void cast_flood(struct world *w, struct foe *f)
{
    uint8_t data[WIRE_HEAD_MAX];
    /* What somebody said, again and as if from another boot and port. */
    if (f->heard_len > 10) {
        memcpy(data, f->heard, f->heard_len);
        rng_bytes(&f->rng, data + f->heard_len - 10, 10);
        cast(w, f, data, f->heard_len);
    }
    /* A release that nobody has, in words that are right and with a token that is not. */
    struct wire_msg m;
    memset(&m, 0, sizeof(m));
    m.id = MSG_announce;
    memcpy(m.announce.magic, "fws1", 4);
    struct digest tag;
    hash_domain(&tag, "fwswarm-lan",
                bytes_of(w->fleet.trust.root.fleet.b, sizeof(w->fleet.trust.root.fleet.b)),
                (struct bytes){NULL, 0});
    memcpy(m.announce.fleet, tag.b, sizeof(m.announce.fleet));
    const struct manifest *like = &w->release[rng_below(&f->rng, w->releases)].manifest;
    memcpy(m.announce.model, like->model_id.b, 32);
    m.announce.root_version = like->root_version;
    m.announce.sequence = like->sequence + 1 + rng_below(&f->rng, 1000);
    rng_bytes(&f->rng, m.announce.manifest, 32);
    memcpy(m.announce.signer, w->fleet.trust.root.release.key[0].b, 32);
    rng_bytes(&f->rng, m.announce.token, 64);
    rng_bytes(&f->rng, m.announce.boot, 8);
    m.announce.port = (uint16_t)(1 + rng_below(&f->rng, 65535));
    for (uint32_t i = 0; i < CAST_BURST; i++)
        cast(w, f, data, (uint32_t)wire_encode(&m, data));
    /* Noise. */
    uint32_t len = 1 + rng_below(&f->rng, 300);
    rng_bytes(&f->rng, data, len);
    cast(w, f, data, len);
}

usec foe_links_tick(struct world *w, struct foe *f)
{
    switch (behaviour_of(w, f)) {
    case BEHAVE_SLOW_LORIS:
        loris(w, f);
        return LORIS_EVERY;
    case BEHAVE_LINK_FLOOD:
        flood(w, f);
        return FLOOD_EVERY;
    case BEHAVE_CAST_FLOOD:
        cast_flood(w, f);
        return CAST_EVERY;
    case BEHAVE_HONEST:
    case BEHAVE_GARBAGE:
    case BEHAVE_FALSE_HAVE:
    case BEHAVE_HIDER:
    case BEHAVE_ENDLESS:
    case BEHAVE_STALE:
    case BEHAVE_LYING_VERIFY:
    case BEHAVE_ECLIPSE:
    case BEHAVE_CLONES:
    case BEHAVE_FORGER:
    case BEHAVE_ENDLESS_DATA:
    case BEHAVE_MIXER:
    case BEHAVE_WRONG_MODEL:
    case BEHAVE_COUNT:
        break;
    }
    return 0;
}

/* ---- addresses ---- */

/* In turn: one of its own kind, one that exists nowhere, one where nobody listens. */
static struct addr false_addr(const struct world *w, struct foe *f, uint32_t i)
{
    struct addr a = {.family = 4, .port = 1};
    if (i % 3 == 0) {
        const struct foe *kind = &w->harm->foe[rng_below(&f->rng, w->harm->foes)];
        return w->node[kind->node].addr;
    }
    a.ip[0] = 10;
    a.ip[1] = (uint8_t)rng_below(&f->rng, 256);
    a.ip[2] = (uint8_t)rng_below(&f->rng, 256);
    a.ip[3] = i % 3 == 1 ? 77 : 1;
    return a;
}

bool foe_links_msg(struct world *w, struct foe *f, struct foe_link *l, const struct wire_msg *q)
{
    enum behaviour b = behaviour_of(w, f);
    if ((b != BEHAVE_ECLIPSE && b != BEHAVE_LYING_VERIFY) || q->id != MSG_want_peers ||
        q->want_peers.count == 0)
        return true;
    uint8_t list[ECLIPSE_LIST * PEER_BYTES];
    struct wr out = wr_of(list, sizeof(list));
    uint32_t count = q->want_peers.count < ECLIPSE_LIST ? q->want_peers.count : ECLIPSE_LIST;
    /* One that lies about versions just tells of nobody. */
    for (uint32_t i = 0; i < count && b == BEHAVE_ECLIPSE; i++) {
        struct addr a = false_addr(w, f, i);
        wr_u8(&out, a.family);
        wr_copy(&out, a.ip, 16);
        wr_u16(&out, a.port);
    }
    struct wire_msg m;
    memset(&m, 0, sizeof(m));
    m.id = MSG_peers;
    memcpy(m.peers.manifest, q->want_peers.manifest, 32);
    m.peers.list = wr_done(&out);
    foe_say(w, f, l, &m, NULL);
    foe_tried(w, f, 1);
    return false;
}
