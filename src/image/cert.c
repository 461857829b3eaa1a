/* Membership certificates: one enrolment key's word that a node key belongs to the fleet.
 *
 * Layout, big-endian, always 166 bytes: format u8, role u8, index u32, node key, model id,
 * enrolment key, signature over all before it.  There is one encoding, so a node's certificate can
 * be compared by its bytes.  Roles verify and publisher are never certified: those keys are listed
 * in the root, and a stolen enrolment key cannot make one. */
#include "fwswarm/trust.h"

#include <string.h>

#define CERT_FORMAT 1u
#define CERT_SIGNED 102u
#define CERT_DOMAIN "fwswarm-cert"

_Static_assert(CERT_SIGNED == 1 + 1 + 4 + 3 * 32, "the layout above");
_Static_assert(CERT_SIGNED + sizeof(struct sig) <= CERT_BYTES_MAX, "fits its cap");

static bool role_is_certified(enum role role)
{
    return role == ROLE_NORMAL || role == ROLE_GATEWAY;
}

enum err cert_make(struct wr *w, const struct member *m, const struct signer *enrol,
                   const struct digest *fleet)
{
    uint8_t body[CERT_SIGNED];
    struct wr b = wr_of(body, sizeof(body));
    struct sig sig;
    if (!role_is_certified(m->role))
        return E_ROLE;
    if (m->index == UINT32_MAX)
        return E_RANGE;
    wr_u8(&b, CERT_FORMAT);
    wr_u8(&b, (uint8_t)m->role);
    wr_u32(&b, m->index);
    wr_copy(&b, m->node.b, sizeof(m->node.b));
    wr_copy(&b, m->model.b, sizeof(m->model.b));
    wr_copy(&b, enrol->pub.b, sizeof(enrol->pub.b));
    sign_statement(&sig, enrol, CERT_DOMAIN, fleet, wr_done(&b));
    wr_bytes(w, wr_done(&b));
    wr_copy(w, sig.b, sizeof(sig.b));
    return w->err;
}

/* A node without a certificate says: the root lists me. */
static enum err judge_listed(struct member *out, const struct key *node, const struct trust *t)
{
    out->node = *node;
    for (uint32_t i = 0; i < t->root.verify_count; i++) {
        if (!key_equal(&t->root.verify[i].key, node))
            continue;
        out->role = ROLE_VERIFY;
        out->index = t->root.verify[i].index;
        return revocations_has(&t->revoked, out->index) ? E_REVOKED : E_OK;
    }
    if (!key_set_has(&t->root.publisher, node))
        return E_UNLISTED;
    out->role = ROLE_PUBLISHER;
    out->index = UINT32_MAX; /* none: publishers mine and verify nothing */
    return E_OK;
}

static const struct enrol_lease *find_lease(const struct root *r, const struct key *enrol)
{
    for (uint32_t i = 0; i < r->enrol_count; i++) {
        if (key_equal(&r->enrol[i].key, enrol))
            return &r->enrol[i];
    }
    return NULL;
}

static bool is_verify_index(const struct root *r, uint32_t index)
{
    for (uint32_t i = 0; i < r->verify_count; i++) {
        if (r->verify[i].index == index)
            return true;
    }
    return false;
}

/* May this key hand out this index? */
static enum err judge_index(const struct root *r, const struct key *enrol, uint32_t index)
{
    const struct enrol_lease *lease = find_lease(r, enrol);
    if (lease == NULL)
        return E_UNLISTED;
    if (index < lease->first || index > lease->last || is_verify_index(r, index))
        return E_RANGE;
    return E_OK;
}

enum err cert_judge(struct member *out, struct bytes cert, const struct key *node,
                    const struct trust *t)
{
    struct key enrol;
    struct sig sig;
    memset(out, 0, sizeof(*out));
    if (cert.n == 0)
        return judge_listed(out, node, t);
    struct rd r = rd_of(cert);
    uint8_t format = rd_u8(&r);
    uint8_t role = rd_u8(&r);
    out->index = rd_u32(&r);
    rd_copy(&r, out->node.b, sizeof(out->node.b));
    rd_copy(&r, out->model.b, sizeof(out->model.b));
    rd_copy(&r, enrol.b, sizeof(enrol.b));
    rd_copy(&r, sig.b, sizeof(sig.b));
    if (format != CERT_FORMAT)
        return E_VERSION;
    enum err e = rd_end(&r);
    if (e != E_OK)
        return e;
    if (role != ROLE_NORMAL && role != ROLE_GATEWAY)
        return E_ROLE;
    out->role = (enum role)role;
    if (!key_equal(&out->node, node))
        return E_AUTH;
    e = judge_index(&t->root, &enrol, out->index);
    if (e != E_OK)
        return e;
    if (!sign_statement_verify(&sig, &enrol, CERT_DOMAIN, &t->root.fleet,
                               bytes_of(cert.p, CERT_SIGNED)))
        return E_SIGNATURE;
    return revocations_has(&t->revoked, out->index) ? E_REVOKED : E_OK;
}
