/* Payloads: each side brings the other up to date before it asks to be judged.
 *
 * Sending picks a run of the root chain: what is held is consecutive, so the first root's version
 * gives them all.  Roots of the largest size would not fit one message beside the rest; then as
 * many as fit go, and the revocation list stays at home, because the receiver could not tell its
 * signers yet.  The next handshake goes on from there.
 *
 * Judging is in an order that keeps a stranger's cost to us low: layout, ourselves, roots one at a
 * time (each must advance, so a forged one costs one check), list, certificate, and last the
 * identity's signature over this very handshake. */
#include "payload.h"

#include <assert.h>
#include <string.h>

static const char binding_domain[] = "fwswarm-link";

#define BINDING_SIZE (1u + 32u + 32u)

struct payload_versions payload_versions_of(const struct trust *t)
{
    return (struct payload_versions){t->root.version, t->revoked.root_version, t->revoked.version};
}

static void write_versions(struct wr *w, const struct payload_versions *v)
{
    wr_u32(w, v->root);
    wr_u32(w, v->list_root);
    wr_u32(w, v->list);
}

static void read_versions(struct rd *r, struct payload_versions *v)
{
    v->root = rd_u32(r);
    v->list_root = rd_u32(r);
    v->list = rd_u32(r);
}

void payload_write_hello(struct wr *w, const struct trust *t)
{
    struct payload_versions v = payload_versions_of(t);
    write_versions(w, &v);
}

enum err payload_read_hello(struct payload_versions *v, struct bytes payload)
{
    struct rd r = rd_of(payload);
    read_versions(&r, v);
    return rd_end(&r);
}

static void write_string(struct wr *w, struct bytes b)
{
    assert(b.n <= UINT16_MAX);
    wr_u16(w, (uint16_t)b.n);
    wr_bytes(w, b);
}

static struct bytes read_string(struct rd *r, size_t max)
{
    uint16_t n = rd_u16(r);
    if (n > max)
        rd_fail(r, E_OVERSIZED);
    return rd_take(r, n);
}

/* ---- sending ---- */

static bool list_is_newer(const struct payload_versions *a, const struct payload_versions *b)
{
    if (a->list_root != b->list_root)
        return a->list_root > b->list_root;
    return a->list > b->list;
}

/* The run of our chain that starts just above the peer's root.  *complete says whether it brings
 * the peer to our own. */
static struct bytes roots_for(const struct link_self *self, uint32_t peer_root, size_t room,
                              bool *complete)
{
    struct bytes none = {NULL, 0};
    *complete = peer_root >= self->trust->root.version;
    struct bytes left = self->root_chain;
    struct root first;
    struct bytes item, body;
    if (*complete || root_chain_next(&left, &item) || root_decode(&first, &body, item) ||
        first.version > (uint64_t)peer_root + 1)
        return none;
    struct bytes run = none;
    uint32_t count = 0;
    left = self->root_chain;
    for (uint64_t version = first.version; left.n > 0; version++) {
        if (root_chain_next(&left, &item))
            return none;
        if (version <= peer_root)
            continue;
        if (count == ROOT_CHAIN_MAX || run.n + item.n > room)
            return run;
        if (run.p == NULL)
            run.p = item.p;
        run.n += item.n;
        count++;
    }
    *complete = true;
    return run;
}

static void binding_encode(uint8_t out[static BINDING_SIZE], const struct payload_binding *b)
{
    out[0] = (uint8_t)b->side;
    memcpy(out + 1, b->hash->b, 32);
    memcpy(out + 33, b->static_pub, 32);
}

void payload_write(struct wr *w, const struct link_self *self, const struct payload_versions *peer,
                   const struct payload_binding *binding, size_t room)
{
    const struct trust *t = self->trust;
    struct payload_versions own = payload_versions_of(t);
    struct bytes list = {NULL, 0};
    if (list_is_newer(&own, peer))
        list = self->revocations;
    assert(self->cert.n <= CERT_BYTES_MAX);
    assert(list.n <= REVOCATIONS_BYTES_MAX);
    size_t fixed = PAYLOAD_MIN + list.n + self->cert.n;
    assert(fixed <= room);
    bool complete;
    struct bytes roots = roots_for(self, peer->root, room - fixed, &complete);
    if (!complete)
        list = (struct bytes){NULL, 0};
    write_versions(w, &own);
    write_string(w, roots);
    write_string(w, list);
    write_string(w, self->cert);
    wr_copy(w, self->identity->pub.b, sizeof self->identity->pub.b);
    uint8_t bound[BINDING_SIZE];
    binding_encode(bound, binding);
    struct sig sig;
    sign_statement(&sig, self->identity, binding_domain, &t->root.fleet,
                   bytes_of(bound, sizeof bound));
    wr_copy(w, sig.b, sizeof sig.b);
}

/* ---- receiving ---- */

struct payload {
    struct payload_versions versions;
    struct bytes roots, list, cert;
    struct key node;
    struct sig sig;
};

static enum err payload_decode(struct payload *p, struct bytes bytes)
{
    struct rd r = rd_of(bytes);
    read_versions(&r, &p->versions);
    p->roots = read_string(&r, UINT16_MAX);
    p->list = read_string(&r, REVOCATIONS_BYTES_MAX);
    p->cert = read_string(&r, CERT_BYTES_MAX);
    rd_copy(&r, p->node.b, sizeof p->node.b);
    rd_copy(&r, p->sig.b, sizeof p->sig.b);
    return rd_end(&r);
}

/* Roots that we hold already may lead (we may have learnt them since we said what we hold); from
 * the first new one on, each must be the next. */
static enum err apply_roots(struct trust *t, struct bytes roots, struct bytes *learnt)
{
    struct bytes left = roots;
    for (uint32_t count = 0; left.n > 0; count++) {
        if (count == ROOT_CHAIN_MAX)
            return E_LIMIT;
        struct bytes item;
        enum err e = root_chain_next(&left, &item);
        if (e)
            return e;
        uint32_t held = t->root.version;
        e = trust_chain(t, item);
        if (e)
            return e;
        if (t->root.version > held) {
            if (learnt->n == 0)
                learnt->p = item.p;
            learnt->n += item.n;
        } else if (learnt->n > 0) {
            return E_STALE;
        }
    }
    return E_OK;
}

/* A list that we cannot take is no fault of the peer.  Ours may have changed since we said what we
 * hold; its signers may have left a root that the peer has not seen; and it may change more against
 * an old list than enrolment keys may change in one step, though it came about in many.  None of
 * this has cost a verification, and the peer is judged by what we hold. */
static enum err apply_list(struct trust *t, struct bytes list, struct bytes *learnt)
{
    if (list.n == 0)
        return E_OK;
    enum err e = trust_revoke(t, list);
    if (!e)
        *learnt = list;
    if (e == E_STALE || e == E_UNLISTED || e == E_THRESHOLD)
        return E_OK;
    return e;
}

enum err payload_judge(struct payload_result *result, struct trust *trust, struct bytes bytes,
                       const struct key *self, const struct payload_binding *binding)
{
    memset(result, 0, sizeof *result);
    struct payload p;
    enum err e = payload_decode(&p, bytes);
    if (e)
        return e;
    result->versions = p.versions;
    if (key_equal(&p.node, self))
        return E_SELF;
    e = apply_roots(trust, p.roots, &result->roots);
    if (e)
        return e;
    e = apply_list(trust, p.list, &result->list);
    if (e)
        return e;
    struct member peer;
    e = cert_judge(&peer, p.cert, &p.node, trust);
    if (e)
        return e;
    uint8_t bound[BINDING_SIZE];
    binding_encode(bound, binding);
    if (!sign_statement_verify(&p.sig, &p.node, binding_domain, &trust->root.fleet,
                               bytes_of(bound, sizeof bound)))
        return E_SIGNATURE;
    result->peer = peer;
    return E_OK;
}
