/* A shadow of each link, made of the real thing.
 *
 * A record's bytes travel with the last parcel of it; the parcels before it are parts of the same
 * record and carry nothing.  Bodies without bytes are made up from their place.  Links end without
 * ceremony, as the model's do, and are wiped when their slot is used again. */
#include "channel.h"

#include "checks.h"
#include "fleet.h"
#include "fwswarm/link.h"
#include "fwswarm/wire.h"
#include "net_links.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct side {
    struct link link;
    struct link_self self;
    struct link_scratch *scratch; /* until the handshake is done */
    bool begun, open;
    uint8_t *record; /* begun, with room around it; NULL: none */
    uint32_t len, last;
};

struct channel {
    struct side side[2];
};

struct channels {
    struct channel **of_link;
    struct blob **of_parcel;
    size_t links_cap, parcels_cap;
    struct blob *chain; /* of both roots */
    uint64_t count;     /* links begun: each has its own randomness */
};

void channel_init(struct world *w)
{
    const struct blob *first = w->fleet.root, *next = w->fleet.next_root;
    uint8_t both[2 * ROOT_BYTES_MAX];
    struct wr all = wr_of(both, sizeof(both));
    wr_copy(&all, first->data, first->len);
    if (next != NULL)
        wr_copy(&all, next->data, next->len);
    w->net.channels = sim_alloc(1, sizeof(*w->net.channels));
    w->net.channels->chain = blob_make(both, wr_len(&all));
}

static void side_free(struct side *s)
{
    if (s->begun)
        link_wipe(&s->link);
    free(s->scratch);
    free(s->record);
}

void channel_free(struct world *w, uint32_t slot)
{
    struct channels *c = w->net.channels;
    if (slot >= c->links_cap || c->of_link[slot] == NULL)
        return;
    side_free(&c->of_link[slot]->side[0]);
    side_free(&c->of_link[slot]->side[1]);
    free(c->of_link[slot]);
    c->of_link[slot] = NULL;
}

void channel_drop(struct world *w, uint32_t parcel)
{
    struct channels *c = w->net.channels;
    if (parcel >= c->parcels_cap)
        return;
    blob_drop(c->of_parcel[parcel]);
    c->of_parcel[parcel] = NULL;
}

void channel_fini(struct world *w)
{
    struct channels *c = w->net.channels;
    for (size_t i = 0; i < c->links_cap; i++)
        channel_free(w, (uint32_t)i);
    for (size_t i = 0; i < c->parcels_cap; i++)
        channel_drop(w, (uint32_t)i);
    blob_drop(c->chain);
    free(c->of_link);
    free(c->of_parcel);
    free(c);
    w->net.channels = NULL;
}

static struct side *side_at(const struct world *w, uint32_t slot, unsigned side)
{
    const struct channels *c = w->net.channels;
    return slot < c->links_cap && c->of_link[slot] != NULL ? &c->of_link[slot]->side[side] : NULL;
}

static void carry(struct world *w, uint32_t parcel, struct blob *bytes)
{
    struct channels *c = w->net.channels;
    sim_grow(&c->of_parcel, &c->parcels_cap, (size_t)parcel + 1, sizeof(struct blob *));
    assert(c->of_parcel[parcel] == NULL);
    c->of_parcel[parcel] = bytes;
}

static struct blob *carried(const struct world *w, uint32_t parcel)
{
    const struct channels *c = w->net.channels;
    return parcel < c->parcels_cap ? c->of_parcel[parcel] : NULL;
}

/* ---- handshakes ---- */

static struct side *side_begin(struct world *w, uint32_t slot, unsigned side)
{
    struct channels *c = w->net.channels;
    sim_grow(&c->of_link, &c->links_cap, (size_t)slot + 1, sizeof(struct channel *));
    if (c->of_link[slot] == NULL)
        c->of_link[slot] = sim_alloc(1, sizeof(struct channel));
    struct side *s = &c->of_link[slot]->side[side];
    uint32_t node = link_at(w, slot)->end[side].node;
    const struct sim_node *n = &w->node[node];
    const struct trust *t = node_trust(n->core);
    struct digest secret, ephemeral;
    assert(!s->begun);
    fleet_derive(&secret, w->scn.seed, "static", (uint64_t)node << 32 | n->boot);
    fleet_derive(&ephemeral, w->scn.seed, "ephemeral", c->count++);
    s->self = (struct link_self){.identity = &n->signer,
                                 .cert = bytes_of(n->cert, n->cert_len),
                                 .trust = t,
                                 .root_chain = bytes_of(c->chain->data, w->fleet.root->len)};
    if (t->root.version > 1)
        s->self.root_chain = bytes_of(c->chain->data, c->chain->len);
    memcpy(s->self.static_secret, secret.b, sizeof(s->self.static_secret));
    s->scratch = sim_alloc(1, sizeof(*s->scratch));
    s->begun = true;
    link_init(&s->link, side == 0 ? LINK_DIALLER : LINK_LISTENER, &s->self, ephemeral.b,
              &aead_sodium, s->scratch);
    return s;
}

void channel_shake(struct world *w, uint32_t parcel, uint32_t payload)
{
    const struct parcel *p = parcel_at(w, parcel);
    struct side *s = side_at(w, p->link, p->side);
    if (p->kind == PARCEL_HELLO)
        s = side_begin(w, p->link, p->side);
    assert(s != NULL && s->begun);
    struct bytes out = link_handshake_out(&s->link);
    if (out.n != payload)
        check_failed(w, link_at(w, p->link)->end[p->side].node,
                     "a handshake message of %zu bytes, the model says %u", out.n, payload);
    carry(w, parcel, blob_make(out.p, out.n));
}

/* Both halves of the handshake are over: the other is who the model says. */
static void opened(struct world *w, uint32_t slot, unsigned side, struct side *s)
{
    const struct wire_link *l = link_at(w, slot);
    const struct member *far = &w->node[l->end[!side].node].member, *m = link_peer(&s->link);
    s->open = true;
    if (!key_equal(&m->node, &far->node) || m->index != far->index || m->role != far->role ||
        !digest_equal(&m->model, &far->model))
        check_failed(w, l->end[side].node, "the channel proves member %u, the model says %u",
                     m->index, far->index);
}

bool channel_shaken(struct world *w, uint32_t parcel)
{
    const struct parcel *p = parcel_at(w, parcel);
    unsigned side = !p->side;
    struct side *s =
        p->kind == PARCEL_HELLO ? side_begin(w, p->link, side) : side_at(w, p->link, side);
    const struct blob *b = carried(w, parcel);
    size_t used = 0;
    assert(s != NULL && s->begun && b != NULL);
    enum err e = link_handshake(&s->link, b->data, b->len, &used);
    if (e != E_OK || used != b->len)
        return false;
    if (link_state(&s->link) == LINK_OPEN)
        opened(w, p->link, side, s);
    return true;
}

/* ---- records ---- */

static void release(struct side *s)
{
    if (s->scratch == NULL)
        return;
    link_release_scratch(&s->link);
    free(s->scratch);
    s->scratch = NULL;
}

void channel_seal(struct world *w, uint32_t slot, unsigned side)
{
    struct side *s = side_at(w, slot, side);
    if (s == NULL || s->record == NULL)
        return;
    size_t n = link_seal_record(&s->link, s->record, s->len);
    carry(w, s->last, blob_make(s->record, n));
    free(s->record);
    s->record = NULL;
}

static void write_body(struct wr *out, const struct body *b)
{
    if (b->blob != NULL) {
        wr_copy(out, b->blob->data + b->off, b->len);
        return;
    }
    uint8_t fill[256];
    memset(fill, (int)(b->off / BLOCK_LEN & 0xff), sizeof(fill));
    for (uint32_t left = b->len; left > 0;) {
        uint32_t n = left < sizeof(fill) ? left : (uint32_t)sizeof(fill);
        wr_copy(out, fill, n);
        left -= n;
    }
}

void channel_write(struct world *w, uint32_t parcel, const uint8_t *head, bool fresh)
{
    const struct parcel *p = parcel_at(w, parcel);
    const struct end *e = &link_at(w, p->link)->end[p->side];
    struct side *s = side_at(w, p->link, p->side);
    assert(s != NULL && s->open);
    release(s);
    if (fresh)
        channel_seal(w, p->link, p->side);
    if (s->record == NULL) {
        s->record = sim_alloc(1, LINK_HEAD_ROOM + LINK_RECORD_MAX + LINK_TAIL_ROOM);
        s->len = 0;
    }
    uint32_t n = p->head_len + (p->has_body ? p->body.len : 0);
    struct wr out = wr_of(s->record + LINK_HEAD_ROOM + s->len, LINK_RECORD_MAX - s->len);
    wr_u32(&out, n);
    wr_copy(&out, head, p->head_len);
    if (p->has_body)
        write_body(&out, &p->body);
    s->len += (uint32_t)wr_len(&out);
    s->last = parcel;
    if (s->len != e->record)
        check_failed(w, e->node, "a record of %u bytes, the model says %u", s->len, e->record);
}

void channel_read(struct world *w, uint32_t parcel)
{
    const struct parcel *p = parcel_at(w, parcel);
    uint32_t node = link_at(w, p->link)->end[!p->side].node;
    struct side *s = side_at(w, p->link, !p->side);
    channel_seal(w, p->link, p->side);
    struct blob *b = carried(w, parcel);
    if (b == NULL)
        return; /* its record is not whole yet */
    assert(s != NULL && s->open);
    release(s);
    struct bytes plain, msg, last = {NULL, 0};
    size_t used = 0;
    enum err e = link_open_record(&s->link, b->data, b->len, &used, &plain);
    while (e == E_OK && plain.n > 0) {
        e = link_next_message(&plain, &msg);
        last = e == E_OK && msg.n > 0 ? msg : last;
    }
    const uint8_t *head = parcel_head(w, p);
    uint32_t n = p->head_len + (p->has_body ? p->body.len : 0);
    if (e != E_OK || used != b->len)
        check_failed(w, node, "a record does not open: %s", err_text(e));
    else if (last.n != n || memcmp(last.p, head, p->head_len) != 0)
        check_failed(w, node, "the channel brings another message than the model");
}
