/* The link: three framed handshake messages, then records.
 *
 * Both phases are fed bytes as they come.  The handshake gathers one frame at a time in the
 * caller's scratch, opens it in place and answers at once; how long the next frame may be is known
 * before its first byte is kept.  Records are opened and sealed in the caller's own buffers, so
 * payload is never copied here.
 *
 * Frames:   u16 length || Noise message          (layout of the payloads: LINK.md)
 * Records:  u16 length || ChaCha20-Poly1305 under the direction's key, nonce = records so far
 * Messages: u32 length || bytes, whole in one record; length 0 keeps the connection alive
 *
 * Any error is final: keys are wiped and the link is dead.  What was learnt before the error stays
 * readable, so that a node too far behind still makes progress. */
#include "fwswarm/link.h"

#include "noise.h"
#include "payload.h"

#include <assert.h>
#include <string.h>

#define PROTOCOL_MAJOR 1u
#define REKEY_RECORDS  65536u
#define FRAME_HEAD     2u
#define HELLO_FRAME    (NOISE_KEY + PAYLOAD_HELLO + AEAD_TAG)

static const char prologue_name[] = "fwswarm";
static const char psk_domain[] = "fwswarm-psk";

struct state {
    enum link_side side;
    enum link_state state;
    const struct link_self *self;
    struct link_scratch *scratch; /* NULL once it was released */
    struct aead bulk;
    struct noise noise;
    struct payload_versions peer_holds;
    struct member peer;
    struct bytes learnt_roots, learnt_list; /* lend from scratch->in */
    struct noise_cipher send, receive;
};

_Static_assert(sizeof(struct state) <= sizeof(struct link), "struct link lacks room");
_Static_assert(LINK_TAIL_ROOM == AEAD_TAG, "the tag follows the plaintext");
_Static_assert(LINK_RECORD_MAX + AEAD_TAG <= UINT16_MAX, "a record's length is a u16");
_Static_assert(NOISE_HEAD_MAX + PAYLOAD_MIN + AEAD_TAG + CERT_BYTES_MAX + REVOCATIONS_BYTES_MAX +
                       ROOT_BYTES_MAX <=
                   LINK_HANDSHAKE_MAX,
               "a message has room for at least one root");

static struct state *state_of(struct link *l)
{
    return (struct state *)(void *)l->opaque;
}

static const struct state *state_of_const(const struct link *l)
{
    return (const struct state *)(const void *)l->opaque;
}

static void die(struct state *s)
{
    noise_wipe(&s->noise);
    crypto_wipe(&s->send, sizeof s->send);
    crypto_wipe(&s->receive, sizeof s->receive);
    s->state = LINK_DEAD;
    if (s->scratch)
        s->scratch->out_sent = s->scratch->out_len;
}

/* ---- handshake ---- */

/* Starts a frame behind what still waits to be sent, or says that there is no place for it, which
 * only a peer that answers before it was asked can bring about. */
static enum err frame_begin(struct state *s, struct wr *w)
{
    struct link_scratch *c = s->scratch;
    if (c->out_sent != c->out_len)
        return E_STATE;
    *w = wr_of(c->out, sizeof c->out);
    wr_u16(w, 0);
    return noise_write_head(&s->noise, w);
}

static void frame_end(struct state *s, struct wr *w, size_t payload_at)
{
    noise_write_payload(&s->noise, w, payload_at);
    struct link_scratch *c = s->scratch;
    c->out_len = (uint32_t)wr_len(w);
    c->out_sent = 0;
    struct wr head = wr_of(c->out, FRAME_HEAD);
    wr_u16(&head, (uint16_t)(c->out_len - FRAME_HEAD));
}

static enum err send_hello(struct state *s)
{
    struct wr w;
    enum err e = frame_begin(s, &w);
    if (e)
        return e;
    size_t at = wr_len(&w);
    payload_write_hello(&w, s->self->trust);
    frame_end(s, &w, at);
    return E_OK;
}

static enum err send_identity(struct state *s)
{
    struct wr w;
    enum err e = frame_begin(s, &w);
    if (e)
        return e;
    size_t at = wr_len(&w);
    struct payload_binding binding = {s->side, &s->noise.hash, s->noise.s_pub};
    size_t room = sizeof s->scratch->out - at - AEAD_TAG;
    payload_write(&w, s->self, &s->peer_holds, &binding, room);
    frame_end(s, &w, at);
    return E_OK;
}

void link_init(struct link *l, enum link_side side, const struct link_self *self,
               const uint8_t ephemeral_seed[static 32], const struct aead *bulk,
               struct link_scratch *scratch)
{
    struct state *s = state_of(l);
    const struct digest *fleet = &self->trust->root.fleet;
    assert(self->trust->root.version > 0);
    memset(l, 0, sizeof *l);
    s->side = side;
    s->state = LINK_HANDSHAKE;
    s->self = self;
    s->scratch = scratch;
    s->bulk = *bulk;
    scratch->in_len = 0;
    scratch->out_len = 0;
    scratch->out_sent = 0;

    uint8_t prologue[sizeof prologue_name - 1 + 2 + 32];
    struct wr w = wr_of(prologue, sizeof prologue);
    wr_copy(&w, prologue_name, sizeof prologue_name - 1);
    wr_u16(&w, PROTOCOL_MAJOR);
    wr_copy(&w, fleet->b, sizeof fleet->b);
    struct digest psk;
    hash_domain(&psk, psk_domain, bytes_of(fleet->b, sizeof fleet->b), bytes_of(NULL, 0));
    noise_init(&s->noise, NOISE_XXPSK0, side == LINK_DIALLER, wr_done(&w), psk.b,
               self->static_secret, ephemeral_seed);
    crypto_wipe(&psk, sizeof psk);
    if (side == LINK_DIALLER) {
        enum err e = send_hello(s);
        assert(e == E_OK);
    }
}

void link_wipe(struct link *l)
{
    struct state *s = state_of(l);
    link_release_scratch(l);
    crypto_wipe(l, sizeof *l);
    s->state = LINK_DEAD;
}

enum link_state link_state(const struct link *l)
{
    return state_of_const(l)->state;
}

/* Whether the frame being gathered may have this length. */
static enum err frame_check(const struct state *s, size_t len)
{
    if (s->side == LINK_LISTENER && s->noise.messages == 0) {
        if (len > HELLO_FRAME)
            return E_OVERSIZED;
        return len < HELLO_FRAME ? E_TRUNCATED : E_OK;
    }
    size_t head = s->side == LINK_DIALLER ? NOISE_HEAD_MAX : NOISE_HEAD_MAX - NOISE_KEY;
    return len < head + PAYLOAD_MIN + AEAD_TAG ? E_TRUNCATED : E_OK;
}

static enum err take_identity(struct state *s, struct bytes payload, const struct digest *hash)
{
    struct trust *trust = &s->scratch->trust;
    *trust = *s->self->trust;
    enum link_side signer = s->side == LINK_DIALLER ? LINK_LISTENER : LINK_DIALLER;
    struct payload_binding binding = {signer, hash, s->noise.rs};
    struct payload_result result;
    enum err e = payload_judge(&result, trust, payload, &s->self->identity->pub, &binding);
    s->learnt_roots = result.roots;
    s->learnt_list = result.list;
    s->peer_holds = result.versions;
    s->peer = result.peer;
    return e;
}

/* One whole frame is in scratch->in. */
static enum err frame_take(struct state *s)
{
    uint8_t *msg = s->scratch->in + FRAME_HEAD;
    size_t len = s->scratch->in_len - FRAME_HEAD;
    size_t head;
    enum err e = noise_read_head(&s->noise, bytes_of(msg, len), &head);
    if (e)
        return e;
    struct digest hash = s->noise.hash;
    struct bytes payload;
    e = noise_read_payload(&s->noise, msg + head, len - head, &payload);
    if (e)
        return e;
    if (s->noise.messages == 1) {
        e = payload_read_hello(&s->peer_holds, payload);
        return e ? e : send_identity(s);
    }
    e = take_identity(s, payload, &hash);
    if (e)
        return e;
    if (s->side == LINK_DIALLER) {
        e = send_identity(s);
        if (e)
            return e;
    }
    noise_split(&s->noise, &s->send, &s->receive);
    s->state = LINK_OPEN;
    return E_OK;
}

static size_t frame_size(const struct link_scratch *c)
{
    return c->in_len < FRAME_HEAD ? FRAME_HEAD : FRAME_HEAD + ((size_t)c->in[0] << 8 | c->in[1]);
}

/* After bytes were gathered: judges the length as soon as it is there, then the frame. */
static enum err frame_progress(struct state *s)
{
    struct link_scratch *c = s->scratch;
    if (c->in_len < FRAME_HEAD)
        return E_OK;
    size_t size = frame_size(c);
    if (c->in_len == FRAME_HEAD)
        return frame_check(s, size - FRAME_HEAD);
    if (c->in_len < size)
        return E_OK;
    enum err e = frame_take(s);
    /* The last frame stays: what was learnt lends from it. */
    if (!e && s->state == LINK_HANDSHAKE)
        c->in_len = 0;
    return e;
}

enum err link_handshake(struct link *l, const uint8_t *p, size_t n, size_t *used)
{
    struct state *s = state_of(l);
    *used = 0;
    if (s->state == LINK_DEAD)
        return E_STATE;
    while (s->state == LINK_HANDSHAKE && *used < n) {
        struct link_scratch *c = s->scratch;
        size_t take = frame_size(c) - c->in_len;
        if (take > n - *used)
            take = n - *used;
        memcpy(c->in + c->in_len, p + *used, take);
        c->in_len += (uint32_t)take;
        *used += take;
        enum err e = frame_progress(s);
        if (e) {
            die(s);
            return e;
        }
    }
    return E_OK;
}

struct bytes link_handshake_out(struct link *l)
{
    struct link_scratch *c = state_of(l)->scratch;
    if (c == NULL || c->out_sent == c->out_len)
        return bytes_of(NULL, 0);
    struct bytes out = bytes_of(c->out + c->out_sent, c->out_len - c->out_sent);
    c->out_sent = c->out_len;
    return out;
}

const struct member *link_peer(const struct link *l)
{
    const struct state *s = state_of_const(l);
    assert(s->state == LINK_OPEN);
    return &s->peer;
}

struct bytes link_learnt_roots(const struct link *l)
{
    return state_of_const(l)->learnt_roots;
}

struct bytes link_learnt_revocations(const struct link *l)
{
    return state_of_const(l)->learnt_list;
}

void link_release_scratch(struct link *l)
{
    struct state *s = state_of(l);
    struct link_scratch *c = s->scratch;
    if (c == NULL)
        return;
    assert(s->state != LINK_OPEN || c->out_sent == c->out_len);
    s->learnt_roots = bytes_of(NULL, 0);
    s->learnt_list = bytes_of(NULL, 0);
    /* Certificates and keys of nodes are nobody else's business. */
    crypto_wipe(c->in, c->in_len);
    crypto_wipe(c->out, c->out_len);
    c->in_len = 0;
    c->out_len = 0;
    c->out_sent = 0;
    s->scratch = NULL;
}

/* ---- records ---- */

/* Both sides count, so a new key needs no message. */
static void rekey_when_due(struct noise_cipher *c)
{
    assert(c->nonce < UINT64_MAX);
    if (c->nonce > 0 && c->nonce % REKEY_RECORDS == 0)
        noise_rekey(c);
}

static enum err kill_with(struct state *s, enum err e)
{
    die(s);
    return e;
}

enum err link_open_record(struct link *l, uint8_t *p, size_t n, size_t *used, struct bytes *plain)
{
    struct state *s = state_of(l);
    *used = 0;
    *plain = bytes_of(NULL, 0);
    if (s->state != LINK_OPEN)
        return kill_with(s, E_STATE);
    if (n < LINK_HEAD_ROOM)
        return E_OK;
    size_t len = (size_t)p[0] << 8 | p[1];
    if (len > LINK_RECORD_MAX + AEAD_TAG)
        return kill_with(s, E_OVERSIZED);
    if (len <= AEAD_TAG)
        return kill_with(s, E_FORMAT);
    if (n < LINK_HEAD_ROOM + len)
        return E_OK;
    uint8_t *body = p + LINK_HEAD_ROOM;
    rekey_when_due(&s->receive);
    if (!s->bulk.open(s->bulk.ctx, s->receive.key, s->receive.nonce, bytes_of(NULL, 0), body, body,
                      len - AEAD_TAG))
        return kill_with(s, E_AUTH);
    s->receive.nonce++;
    *used = LINK_HEAD_ROOM + len;
    *plain = bytes_of(body, len - AEAD_TAG);
    return E_OK;
}

enum err link_next_message(struct bytes *plain, struct bytes *msg)
{
    *msg = bytes_of(NULL, 0);
    while (plain->n > 0) {
        struct rd r = rd_of(*plain);
        uint32_t n = rd_u32(&r);
        struct bytes m = rd_take(&r, n);
        if (r.err) {
            *plain = bytes_of(NULL, 0);
            return r.err;
        }
        *plain = bytes_of(r.p, rd_left(&r));
        if (m.n > 0) {
            *msg = m;
            return E_OK;
        }
    }
    return E_OK;
}

size_t link_seal_record(struct link *l, uint8_t *record, size_t n)
{
    struct state *s = state_of(l);
    assert(s->state == LINK_OPEN);
    assert(n > 0);
    assert(n <= LINK_RECORD_MAX);
    rekey_when_due(&s->send);
    struct wr head = wr_of(record, LINK_HEAD_ROOM);
    wr_u16(&head, (uint16_t)(n + AEAD_TAG));
    uint8_t *body = record + LINK_HEAD_ROOM;
    s->bulk.seal(s->bulk.ctx, s->send.key, s->send.nonce, bytes_of(NULL, 0), body, body, n);
    s->send.nonce++;
    return LINK_HEAD_ROOM + n + LINK_TAIL_ROOM;
}
