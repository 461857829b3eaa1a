/* What the peers of fuzz_node.c say: honest answers to what the node asked, and others. */
#pragma once

#include "node_world.h"

static struct hlink *some_link(void)
{
    struct hlink *h = &w.link[take_below(LINKS)];
    return h->used && !h->closing ? h : NULL;
}

static struct addr some_addr(void)
{
    struct addr a = {.family = 4, .ip = {10}, .port = 7000};
    a.ip[2] = take_below(8) > 5;
    a.ip[3] = take();
    return a;
}

static void say_hello(struct hlink *h)
{
    struct wire_msg m = {.id = MSG_hello};
    m.hello.min = m.hello.max = 1;
    m.hello.port = (uint16_t)(7001 + h->who);
    h->greeted = true;
    say(h, &m);
}

static void say_offer(struct hlink *h, uint32_t r)
{
    const struct manifest *mf = &fix.release[r].m;
    struct wire_msg m = {.id = MSG_offer};
    memcpy(m.offer.model, mf->model_id.b, 32);
    m.offer.root_version = mf->root_version;
    m.offer.sequence = mf->sequence;
    memcpy(m.offer.manifest, mf->id.b, 32);
    say(h, &m);
}

static void say_state(struct hlink *h, uint32_t root, uint32_t list_root, uint32_t list)
{
    struct wire_msg m = {.id = MSG_state};
    m.state.root_version = root;
    m.state.list_root = list_root;
    m.state.list_version = list;
    say(h, &m);
}

/* The far side's slot number for a release is the release's own. */
static void say_open(struct hlink *h, uint32_t r)
{
    struct wire_msg m = {.id = MSG_open};
    m.open.slot = (uint16_t)r;
    memcpy(m.open.manifest, fix.release[r].m.id.b, 32);
    say(h, &m);
}

static void say_select(struct hlink *h, uint32_t r)
{
    struct wire_msg m = {.id = MSG_select};
    m.select.slot = (uint16_t)r;
    say(h, &m);
}

static void say_simple(struct hlink *h, enum msg_id id)
{
    struct wire_msg m = {.id = id};
    say(h, &m);
}

/* Question and answer as both sides sign them: a second writer of what version.c builds. */
static void statement(struct digest *out, const struct msg_ask *q, const struct msg_answer *a,
                      const struct key *asker, const struct key *answerer)
{
    uint8_t buf[512];
    struct digest question;
    struct wr b = wr_of(buf, sizeof(buf));
    wr_copy(&b, q->nonce, 16);
    wr_copy(&b, q->model, 32);
    wr_u32(&b, q->root_version);
    wr_u64(&b, q->sequence);
    wr_copy(&b, q->image, 32);
    wr_u8(&b, (uint8_t)q->version.n);
    wr_bytes(&b, q->version);
    hash_domain(&question, "fwswarm-question", wr_done(&b), (struct bytes){NULL, 0});
    b = wr_of(buf, sizeof(buf));
    wr_copy(&b, asker->b, 32);
    wr_copy(&b, answerer->b, 32);
    wr_copy(&b, question.b, 32);
    wr_u8(&b, a->verdict);
    wr_u32(&b, a->root_version);
    wr_u32(&b, a->list_root);
    wr_u32(&b, a->list_version);
    wr_u32(&b, a->release_root);
    wr_u64(&b, a->sequence);
    wr_copy(&b, a->manifest, 32);
    wr_copy(&b, a->image, 32);
    hash_domain(out, "fwswarm-version", wr_done(&b), (struct bytes){NULL, 0});
}

static void answer(struct hlink *h, const struct msg_ask *q, uint8_t verdict, uint32_t r)
{
    const struct manifest *mf = &fix.release[r].m;
    struct wire_msg m = {.id = MSG_answer};
    memcpy(m.answer.nonce, q->nonce, 16);
    m.answer.verdict = verdict;
    m.answer.root_version = 1;
    m.answer.release_root = mf->root_version;
    m.answer.sequence = mf->sequence;
    memcpy(m.answer.manifest, mf->id.b, 32);
    memcpy(m.answer.image, mf->digest.b, 32);
    struct digest st;
    struct sig sig;
    struct signer s = member_signer(h->who);
    statement(&st, q, &m.answer, &w.self.pub, &s.pub);
    sign_statement(&sig, &s, "fwswarm-answer", &fix.root[0].fleet, bytes_of(st.b, 32));
    memcpy(m.answer.sig, sig.b, 64);
    say(h, &m);
}

static void agree(struct hlink *h, const struct msg_answer *a)
{
    struct wire_msg m = {.id = MSG_agree};
    memcpy(m.agree.nonce, a->nonce, 16);
    memset(m.agree.sig, 1, 64);
    say(h, &m);
}

static struct bytes object_bytes(const struct msg_get *g)
{
    uint32_t r;
    switch (g->kind) {
    case 1:
        r = release_of_id(g->id);
        return r < RELEASES ? test_bytes(&fix.release[r].envelope) : (struct bytes){NULL, 0};
    case 2:
        return g->number >= 1 && g->number <= 3 ? test_bytes(&fix.root_signed[g->number - 1])
                                                : (struct bytes){NULL, 0};
    case 3:
        return test_bytes(&fix.list[take_below(3)]);
    case 4:
        r = release_of_id(g->id);
        return r < RELEASES ? test_bytes(&fix.release[r].withdrawal) : (struct bytes){NULL, 0};
    default:
        return (struct bytes){NULL, 0};
    }
}

enum { HONEST, GARBAGE, REFUSE, WAYS };

static void reply_get(struct hlink *h, const struct msg_get *g, uint32_t way)
{
    struct bytes data = object_bytes(g);
    uint8_t bad[64];
    struct wire_msg m = {.id = MSG_data};
    m.data.kind = g->kind;
    m.data.number = g->number;
    memcpy(m.data.id, g->id, 32);
    if (way == GARBAGE && data.n > sizeof(bad)) {
        memcpy(bad, data.p, sizeof(bad));
        bad[take_below(sizeof(bad))] ^= (uint8_t)(1u << take_below(8));
        data = take_below(2) ? bytes_of(bad, sizeof(bad)) : test_bytes(&fix.release[0].envelope);
    }
    if (way == REFUSE || data.n == 0) {
        m.id = MSG_nodata;
        say(h, &m);
        return;
    }
    say_with(h, &m, data);
}

static void reply_request(struct hlink *h, const struct demand *d, uint32_t way)
{
    const struct msg_request *q = &d->m.request;
    struct wire_msg m = {.id = MSG_piece};
    uint32_t r = d->slot < SLOTS ? release_of_id(h->opened[d->slot].b) : RELEASES;
    if (r == RELEASES)
        return;
    const struct manifest *mf = &fix.release[r].m;
    say_select(h, r);
    if (way == REFUSE) {
        m.id = MSG_reject;
        m.reject = (struct msg_reject){.piece = q->piece, .begin = q->begin, .length = q->length};
        say(h, &m);
        return;
    }
    m.piece.piece = q->piece;
    m.piece.begin = q->begin;
    uint32_t index = q->piece * (mf->piece_length / BLOCK_LEN) + q->begin / BLOCK_LEN;
    struct body b = {.release = r, .index = index, .good = way == HONEST};
    uint8_t head[WIRE_HEAD_MAX];
    size_t n = wire_encode(&m, head);
    give(h, bytes_of(head, n), &b, q->length, (struct bytes){NULL, 0});
}

static void reply_hashes(struct hlink *h, const struct msg_hash_request *q, uint32_t way)
{
    struct digest root;
    memcpy(root.b, q->root, 32);
    uint32_t r = release_of(&root);
    struct geometry g;
    struct wire_msg m = {.id = way == REFUSE ? MSG_hash_reject : MSG_hashes};
    if (r == RELEASES)
        return;
    test_ok(geometry_init(&g, fix.release[r].m.size, fix.release[r].m.piece_length));
    memcpy(m.hashes.root, q->root, 32);
    m.hashes.index = q->index;
    m.hashes.length = q->length;
    m.hashes.proof = q->proof;
    struct body b = {
        .release = r, .index = q->index / CHUNK_BLOCKS, .chunk = true, .good = way == HONEST};
    uint8_t head[WIRE_HEAD_MAX];
    size_t n = wire_encode(&m, head);
    give(h, bytes_of(head, n), way == REFUSE ? NULL : &b,
         way == REFUSE ? 0 : geometry_chunk_len(&g), (struct bytes){NULL, 0});
}

static void reply_open(struct hlink *h, const struct msg_open *o, uint32_t way)
{
    uint32_t r = release_of_id(o->manifest);
    if (r == RELEASES)
        return;
    say_open(h, r);
    say_select(h, r);
    say_simple(h, way == REFUSE ? MSG_have_none : MSG_have_all);
    say_simple(h, MSG_unchoke);
    if (way != HONEST)
        say_simple(h, MSG_interested);
}

static void reply(struct hlink *h, const struct demand *d, uint32_t way)
{
    switch ((int)d->m.id) {
    case MSG_hello:
        if (!h->greeted)
            say_hello(h);
        return;
    case MSG_open:
        reply_open(h, &d->m.open, way);
        return;
    case MSG_get:
        reply_get(h, &d->m.get, way);
        return;
    case MSG_ask:
        answer(h, &d->m.ask, way == HONEST ? 1 : (uint8_t)take_below(6),
               w.healing ? w.best : take_below(RELEASES));
        return;
    case MSG_answer:
        agree(h, &d->m.answer);
        return;
    case MSG_request:
        reply_request(h, d, way);
        return;
    case MSG_hash_request:
        reply_hashes(h, &d->m.hash_request, way);
        return;
    default:
        return;
    }
}

static void answer_demands(struct hlink *h, uint32_t count, uint32_t way)
{
    while (count-- > 0 && h->used && !h->closing && h->demands > 0) {
        struct demand d = h->demand[0];
        h->demands--;
        memmove(h->demand, h->demand + 1, h->demands * sizeof(d));
        reply(h, &d, way);
        drain();
    }
}
