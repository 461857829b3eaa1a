/* The version check: a question over a link, a signed answer, and what each side learns.
 *
 * Five cases.  A verify node answers: c1-1 same version (the asker's digest is compared with the
 * signed one), c1-2 the asker is older (it is told the newest manifest).  A normal node answers:
 * c2-1 the asker is newer (the answerer learns that it is behind), c2-2 same (both compare and both
 * sign: a joint verification), c2-3 the asker is older.  An answer is never enough to act on: every
 * path ends at a manifest that the vendor signed. */
#include "node/internal.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

enum verdict {
    VERDICT_UNKNOWN = 0,
    VERDICT_OLDER = 1, /* the asker is older */
    VERDICT_SAME = 2,
    VERDICT_DIFFERS = 3,
    VERDICT_NEWER = 4,
};

/* Questions that one link may put at once. */
#define ASK_BURST 8u

enum { CASE_1_1, CASE_1_2, CASE_2_1, CASE_2_2, CASE_2_3 };

void version_ask_all(struct node *n)
{
    if (n->conf.publish)
        return;
    for (uint32_t i = 0; i < n->links_top; i++) {
        struct nlink *l = &n->links[i];
        if (l->phase != LINK_READY || l->who.role == ROLE_PUBLISHER)
            continue;
        l->asked = false; /* an old question without an answer does not stand in the way */
        l->ask_due = true;
        link_wake(n, l, WAKE_ALL);
    }
}

static void question(struct digest *out, const struct msg_ask *q)
{
    uint8_t buf[256];
    struct wr w = wr_of(buf, sizeof(buf));
    wr_copy(&w, q->nonce, ASK_NONCE);
    wr_copy(&w, q->model, 32);
    wr_u32(&w, q->root_version);
    wr_u64(&w, q->sequence);
    wr_copy(&w, q->image, 32);
    wr_u8(&w, (uint8_t)q->version.n);
    wr_bytes(&w, q->version);
    assert(w.err == E_OK);
    hash_domain(out, "fwswarm-question", wr_done(&w), (struct bytes){NULL, 0});
}

/* Question and answer as they are signed, whoever signs. */
static void statement(struct digest *out, const struct digest *ask, const struct msg_answer *a,
                      const struct key *asker, const struct key *answerer)
{
    uint8_t buf[256];
    struct wr w = wr_of(buf, sizeof(buf));
    wr_copy(&w, asker->b, 32);
    wr_copy(&w, answerer->b, 32);
    wr_copy(&w, ask->b, 32);
    wr_u8(&w, a->verdict);
    wr_u32(&w, a->root_version);
    wr_u32(&w, a->list_root);
    wr_u32(&w, a->list_version);
    wr_u32(&w, a->release_root);
    wr_u64(&w, a->sequence);
    wr_copy(&w, a->manifest, 32);
    wr_copy(&w, a->image, 32);
    assert(w.err == E_OK);
    hash_domain(out, "fwswarm-version", wr_done(&w), (struct bytes){NULL, 0});
}

/* ---- asking ---- */

void version_build_ask(struct node *n, struct nlink *l, struct wire_msg *m)
{
    struct msg_ask *q = &m->ask;
    memset(q, 0, sizeof(*q));
    rng_bytes(&n->rng, q->nonce, ASK_NONCE);
    memcpy(l->my_nonce, q->nonce, ASK_NONCE);
    memcpy(q->model, n->model.b, 32);
    if (n->current.known) {
        q->root_version = n->current.sequence != 0 ? n->current.root_version : 0;
        q->sequence = n->current.sequence;
        memcpy(q->image, n->current.digest.b, 32);
        size_t len = strlen(n->current.version);
        q->version = bytes_of(n->current.version, len < VERSION_MAX ? len : VERSION_MAX);
    }
    question(&l->my_ask, q);
    l->asked = true;
    m->id = MSG_ask;
}

/* ---- answering ---- */

/* How the asker stands to a release.  Its sequence decides; without one, its digest, then the name
 * of its version: a tampered image claims the version that it replaced. */
static enum verdict judge(const struct msg_ask *q, const struct manifest *m)
{
    struct digest image;
    memcpy(image.b, q->image, 32);
    if (digest_is_zero(&image))
        return VERDICT_OLDER;
    bool agrees = digest_equal(&image, &m->digest);
    if (agrees)
        return VERDICT_SAME;
    if (q->sequence != 0) {
        int c = release_compare(q->root_version, q->sequence, m->root_version, m->sequence);
        return c < 0 ? VERDICT_OLDER : c > 0 ? VERDICT_NEWER : VERDICT_DIFFERS;
    }
    return bytes_equal(q->version, bytes_str(m->version)) ? VERDICT_DIFFERS : VERDICT_OLDER;
}

void version_on_ask(struct node *n, struct nlink *l, const struct msg_ask *m)
{
    if (n->conf.publish)
        return;
    /* Each answer costs a signature: a few at once, then two a second. */
    uint64_t refill = (n->now - l->ask_credit_at) / (SEC / 2);
    if (l->ask_credit_at == 0 || refill >= ASK_BURST)
        l->ask_credit = ASK_BURST;
    else
        l->ask_credit += (uint32_t)refill;
    if (l->ask_credit > ASK_BURST)
        l->ask_credit = ASK_BURST;
    if (refill > 0 || l->ask_credit_at == 0)
        l->ask_credit_at = n->now;
    if (l->ask_credit == 0)
        return;
    l->ask_credit--;
    l->far_ask = *m;
    memcpy(l->far_version, m->version.p, m->version.n);
    l->far_ask.version = bytes_of(l->far_version, m->version.n);
    l->answer_due = true;
    link_wake(n, l, WAKE_ALL);
}

static void count_case(struct node *n, const struct nlink *l, uint32_t which, const char *name)
{
    n->cases[which]++;
    char hex[17];
    hex_encode(hex, l->who.node.b, 4);
    log_debug(n->log, "version.case", "case=%s peer=%s", name, hex);
}

/* What the answerer learns and records by answering. */
static void answered(struct node *n, struct nlink *l, enum verdict v)
{
    if (n->conf.role == ROLE_VERIFY) {
        if (v == VERDICT_OLDER)
            count_case(n, l, CASE_1_2, "c1-2");
        else if (v == VERDICT_SAME || v == VERDICT_DIFFERS)
            count_case(n, l, CASE_1_1, "c1-1");
    } else if (v == VERDICT_NEWER) {
        count_case(n, l, CASE_2_1, "c2-1");
    } else if (v == VERDICT_SAME || v == VERDICT_DIFFERS) {
        count_case(n, l, CASE_2_2, "c2-2");
    } else if (v == VERDICT_OLDER) {
        count_case(n, l, CASE_2_3, "c2-3");
    }
    if (v == VERDICT_DIFFERS) {
        if (l->mismatch_told)
            return;
        l->mismatch_told = true;
        n->mismatches++;
        char hex[17];
        hex_encode(hex, l->who.node.b, 4);
        log_warn(n->log, "version.mismatch",
                 "peer=%s detail=\"its image is not the one that was signed\"", hex);
    }
}

void version_build_answer(struct node *n, struct nlink *l, struct wire_msg *m)
{
    struct msg_answer *a = &m->answer;
    struct digest model;
    memcpy(model.b, l->far_ask.model, 32);
    const struct slot *s = release_newest(n, &model);
    m->id = MSG_answer;
    memcpy(a->nonce, l->far_ask.nonce, ASK_NONCE);
    a->root_version = n->trust.root.version;
    a->list_root = n->trust.revoked.root_version;
    a->list_version = n->trust.revoked.version;
    enum verdict v = VERDICT_UNKNOWN;
    if (s != NULL) {
        v = judge(&l->far_ask, &s->m);
        a->release_root = s->m.root_version;
        a->sequence = s->m.sequence;
        memcpy(a->manifest, s->m.id.b, 32);
        memcpy(a->image, s->m.digest.b, 32);
    } else if (l->far_ask.sequence != 0) {
        v = VERDICT_NEWER; /* we hold nothing, it runs a release */
    }
    a->verdict = (uint8_t)v;
    struct digest st, asked;
    question(&asked, &l->far_ask);
    statement(&st, &asked, a, &l->who.node, &n->self.node);
    struct sig sig;
    sign_statement(&sig, &n->identity, "fwswarm-answer", &n->trust.root.fleet, digest_bytes(&st));
    memcpy(a->sig, sig.b, 64);
    memcpy(l->answer_hash, st.b, 32);
    l->answered_joint = n->conf.role != ROLE_VERIFY && v == VERDICT_SAME;
    answered(n, l, v);
}

/* ---- taking an answer ---- */

static void learn_case(struct node *n, struct nlink *l, enum verdict v)
{
    if (l->origin) {
        if (v == VERDICT_OLDER)
            count_case(n, l, CASE_1_2, "c1-2");
        else if (v == VERDICT_SAME || v == VERDICT_DIFFERS)
            count_case(n, l, CASE_1_1, "c1-1");
    } else if (v == VERDICT_NEWER) {
        count_case(n, l, CASE_2_1, "c2-1");
    } else if (v == VERDICT_SAME || v == VERDICT_DIFFERS) {
        count_case(n, l, CASE_2_2, "c2-2");
    } else if (v == VERDICT_OLDER) {
        count_case(n, l, CASE_2_3, "c2-3");
    }
}

/* The vendor's manifest, not the answer, says whether what runs here is right. */
void version_compare_own(struct node *n, const struct digest *manifest)
{
    const struct slot *s = release_by_manifest(n, manifest);
    if (s == NULL || !n->current.known)
        return;
    bool same_release = n->current.sequence != 0 ? n->current.sequence == s->m.sequence &&
                                                       n->current.root_version == s->m.root_version
                                                 : strcmp(n->current.version, s->m.version) == 0;
    if (!same_release || digest_is_zero(&n->current.digest))
        return; /* of another release, or nothing to compare */
    bool differs = !digest_equal(&n->current.digest, &s->m.digest);
    if (differs && !n->current.mismatch)
        log_warn(n->log, "version.tampered",
                 "version=%s detail=\"what runs here is not what was signed; it is fetched again\"",
                 s->m.version);
    n->current.mismatch = differs;
}

void version_on_answer(struct node *n, struct nlink *l, const struct msg_answer *m)
{
    if (!l->asked || memcmp(m->nonce, l->my_nonce, ASK_NONCE) != 0)
        return; /* of a question that was asked again since */
    l->asked = false;
    struct digest st;
    struct sig sig;
    statement(&st, &l->my_ask, m, &n->self.node, &l->who.node);
    memcpy(sig.b, m->sig, 64);
    if (m->verdict > VERDICT_NEWER ||
        !sign_statement_verify(&sig, &l->who.node, "fwswarm-answer", &n->trust.root.fleet,
                               digest_bytes(&st))) {
        link_close(n, l, E_SIGNATURE);
        return;
    }
    struct digest model, manifest;
    model = n->model;
    memcpy(manifest.b, m->manifest, 32);
    learn_case(n, l, (enum verdict)m->verdict);
    wants_on_state(n, l, m->root_version, m->list_root, m->list_version);
    struct offer o = {.root_version = m->release_root,
                      .sequence = m->sequence,
                      .manifest = manifest,
                      .model = model};
    if (m->release_root != 0 && !digest_is_zero(&model))
        wants_on_offer(n, l, &o, false);
    if (m->verdict == VERDICT_DIFFERS)
        n->mismatches++;
    version_compare_own(n, &manifest);
    if (m->verdict == VERDICT_SAME && !l->origin) {
        memcpy(l->agree_hash, st.b, 32);
        l->agree_due = true;
        n->jointly++;
    }
    link_wake(n, l, WAKE_ALL);
    install_fresh_answer(n, l);
}

/* ---- the asker's signature on a joint verification ---- */

void version_build_agree(struct node *n, struct nlink *l, struct wire_msg *m)
{
    struct sig sig;
    sign_statement(&sig, &n->identity, "fwswarm-agree", &n->trust.root.fleet,
                   bytes_of(l->agree_hash, 32));
    m->id = MSG_agree;
    memcpy(m->agree.nonce, l->my_nonce, ASK_NONCE);
    memcpy(m->agree.sig, sig.b, 64);
}

void version_on_agree(struct node *n, struct nlink *l, const struct msg_agree *m)
{
    if (!l->answered_joint || memcmp(m->nonce, l->far_ask.nonce, ASK_NONCE) != 0)
        return;
    l->answered_joint = false;
    struct sig sig;
    memcpy(sig.b, m->sig, 64);
    if (!sign_statement_verify(&sig, &l->who.node, "fwswarm-agree", &n->trust.root.fleet,
                               bytes_of(l->answer_hash, 32))) {
        link_close(n, l, E_SIGNATURE);
        return;
    }
    n->jointly++;
}
