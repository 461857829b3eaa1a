/* False words about releases: old ones as the newest, answers that say that nothing newer exists,
 * manifests that the vendor did not sign, manifests of another model or of another release.
 *
 * What is told is told in the protocol's own order (an offer, then what is asked for because of
 * it), so that each lie comes as far as the signature or the sequence that stops it. */
#include "fleet.h"
#include "foe.h"
#include "net.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define OFFER_EVERY   SEC
#define OFFER_AGAIN   10u  /* ticks after which a link is told again */
#define AHEAD         1000 /* how much newer an old release is said to be */
#define KIND_MANIFEST 1u
#define KIND_STOP     4u

/* Verdicts of an answer. */
enum { SAYS_OLDER = 1, SAYS_SAME = 2 };

/* What it lies about, if it does. */
enum lie { LIE_NONE, LIE_OLD, LIE_NOTHING_NEWER, LIE_FORGED, LIE_WRONG_MODEL, LIE_MIXED };

static enum lie lie_of(const struct world *w, const struct foe *f)
{
    switch (w->node[f->node].behaviour) {
    case BEHAVE_STALE:
        return LIE_OLD;
    case BEHAVE_LYING_VERIFY:
        return LIE_NOTHING_NEWER;
    case BEHAVE_FORGER:
        return LIE_FORGED;
    case BEHAVE_WRONG_MODEL:
        return LIE_WRONG_MODEL;
    case BEHAVE_MIXER:
        return LIE_MIXED;
    case BEHAVE_HONEST:
    case BEHAVE_GARBAGE:
    case BEHAVE_FALSE_HAVE:
    case BEHAVE_HIDER:
    case BEHAVE_ENDLESS:
    case BEHAVE_SLOW_LORIS:
    case BEHAVE_LINK_FLOOD:
    case BEHAVE_CAST_FLOOD:
    case BEHAVE_ECLIPSE:
    case BEHAVE_CLONES:
    case BEHAVE_ENDLESS_DATA:
    case BEHAVE_COUNT:
        return LIE_NONE;
    }
    return LIE_NONE;
}

/* ---- forgeries ---- */

/* A manifest in all right, of an image that does not exist, newer than anything can be. */
static void forge_manifest(const struct world *w, uint32_t model, const struct manifest *like,
                           struct manifest *m)
{
    *m = *like;
    m->root_version = 1;
    m->sequence = UINT64_MAX;
    memcpy(m->version, "9.9", sizeof("9.9"));
    fleet_derive(&m->tree_root, w->scn.seed, "false tree", model);
    fleet_derive(&m->digest, w->scn.seed, "false image", model);
}

static struct signer thief_of(const struct world *w)
{
    struct digest seed;
    struct signer thief;
    fleet_derive(&seed, w->scn.seed, "thief", 0);
    signer_from_seed(&thief, seed.b);
    return thief;
}

/* Signed by all the keys that were stolen, or by one that nobody lists. */
static struct blob *forge_signed(const struct world *w, struct manifest *m)
{
    struct signer thief = thief_of(w);
    uint32_t stolen = w->scn.keys.stolen;
    return stolen > 0 ? fleet_envelope(m, w->fleet.release_key[0], stolen)
                      : fleet_envelope(m, &thief, 1);
}

/* In the name of a key that is listed. */
static struct blob *forge_named(const struct world *w, const struct manifest *m)
{
    uint8_t *buf = sim_alloc(2, MANIFEST_MAX);
    struct wr inner = wr_of(buf, MANIFEST_MAX), outer = wr_of(buf + MANIFEST_MAX, MANIFEST_MAX);
    enum err e = manifest_encode(m, &inner);
    assert(e == E_OK);
    struct signer thief = thief_of(w);
    struct sig sig, token;
    manifest_sign(&sig, &thief, &m->id);
    token_sign(&token, &thief, m);
    const struct key *name = &w->fleet.trust.root.release.key[0];
    e = envelope_encode(wr_done(&inner), name, &sig, &token, 1, &outer);
    assert(e == E_OK);
    struct blob *b = blob_make(outer.start, wr_len(&outer));
    free(buf);
    return b;
}

void foe_words_init(struct world *w)
{
    for (uint32_t i = 0; i < w->releases; i++) {
        uint32_t model = w->scn.release[i].model;
        struct forgery *y = &w->harm->forgery[model];
        if (y->envelope[0] != NULL)
            continue;
        forge_manifest(w, model, &w->release[i].manifest, &y->manifest);
        y->envelope[0] = forge_signed(w, &y->manifest);
        y->envelope[1] = forge_named(w, &y->manifest);
    }
}

void foe_words_fini(struct world *w)
{
    for (uint32_t i = 0; i < SCN_MODELS; i++) {
        blob_drop(w->harm->forgery[i].envelope[0]);
        blob_drop(w->harm->forgery[i].envelope[1]);
    }
}

/* ---- which release ---- */

/* The lowest or highest of a model that was published by now, or NONE. */
static uint32_t published(const struct world *w, uint32_t model, bool highest)
{
    uint32_t best = NONE;
    for (uint32_t i = 0; i < w->releases; i++) {
        const struct scn_release *r = &w->scn.release[i];
        if (r->model != model || r->at > w->now)
            continue;
        if (best == NONE || (r->sequence > w->scn.release[best].sequence) == highest)
            best = i;
    }
    return best;
}

static uint32_t other_model(const struct world *w, uint32_t model)
{
    for (uint32_t i = 0; i < w->releases; i++)
        if (w->scn.release[i].model != model)
            return i;
    return NONE;
}

/* The model to talk about with the other side. */
static uint32_t model_for(const struct world *w, struct foe *f, const struct foe_link *l)
{
    uint32_t model = l->far != NONE ? w->node[l->far].model : NONE;
    return model != NONE ? model : rng_below(&f->rng, w->scn.models);
}

static uint32_t model_named(const struct world *w, const uint8_t id[static 32])
{
    for (uint32_t i = 0; i < w->scn.models; i++)
        if (memcmp(w->fleet.model[i].b, id, 32) == 0)
            return i;
    return NONE;
}

/* ---- offers ---- */

/* False when it has nothing to lie about. */
static bool make_offer(const struct world *w, struct foe *f, uint32_t model, struct wire_msg *m)
{
    memset(m, 0, sizeof(*m));
    m->id = MSG_offer;
    memcpy(m->offer.model, w->fleet.model[model].b, 32);
    uint32_t old = published(w, model, false), newest = published(w, model, true);
    uint32_t other = other_model(w, model);
    const struct manifest *named = NULL;
    enum lie lie = lie_of(w, f);
    switch (lie) {
    case LIE_OLD:
        named = old != NONE ? &w->release[old].manifest : NULL;
        break;
    case LIE_NOTHING_NEWER:
        named = old != NONE && old != newest ? &w->release[old].manifest : NULL;
        break;
    case LIE_FORGED:
        named = &w->harm->forgery[model].manifest;
        break;
    case LIE_WRONG_MODEL:
        named = other != NONE ? &w->release[other].manifest : NULL;
        break;
    case LIE_MIXED: /* waits to be asked */
    case LIE_NONE:
        break;
    }
    if (named == NULL || named->size == 0)
        return false;
    m->offer.root_version = named->root_version;
    m->offer.sequence = named->sequence;
    memcpy(m->offer.manifest, named->id.b, 32);
    /* Every second time it is said to be newer than it is; that is not signed. */
    bool ahead = lie == LIE_WRONG_MODEL || (lie == LIE_OLD && rng_below(&f->rng, 2) == 0);
    if (ahead && newest != NONE)
        m->offer.sequence = w->release[newest].manifest.sequence + AHEAD;
    return true;
}

usec foe_words_tick(struct world *w, struct foe *f)
{
    enum lie lie = lie_of(w, f);
    if (lie == LIE_NONE || lie == LIE_MIXED)
        return 0;
    for (uint32_t i = 0; i < f->links; i++) {
        struct foe_link *l = &f->link[i];
        struct wire_msg m;
        if (l->ours || !l->said || !l->heard || (l->offered && (f->turn + i) % OFFER_AGAIN != 0) ||
            !make_offer(w, f, model_for(w, f, l), &m))
            continue;
        l->offered = true;
        foe_say(w, f, l, &m, NULL);
        foe_tried(w, f, 1);
    }
    return OFFER_EVERY;
}

/* ---- answers ---- */

static void copy_key(struct wr *out, const struct world *w, uint32_t node)
{
    wr_copy(out, w->node[node].signer.pub.b, 32);
}

/* Signs an answer to the question of this link, as a version check signs it. */
static void sign_answer(const struct world *w, const struct foe *f, const struct foe_link *l,
                        struct msg_answer *a)
{
    const struct msg_ask *q = &l->ask;
    uint8_t buf[512];
    struct wr out = wr_of(buf, sizeof(buf));
    copy_key(&out, w, l->far);
    copy_key(&out, w, f->node);
    wr_copy(&out, q->nonce, sizeof(q->nonce));
    wr_copy(&out, q->model, 32);
    wr_u32(&out, q->root_version);
    wr_u64(&out, q->sequence);
    wr_copy(&out, q->image, 32);
    wr_u8(&out, (uint8_t)q->version.n);
    wr_copy(&out, l->version, q->version.n);
    wr_u8(&out, a->verdict);
    wr_u32(&out, a->root_version);
    wr_u32(&out, a->list_root);
    wr_u32(&out, a->list_version);
    wr_u32(&out, a->release_root);
    wr_u64(&out, a->sequence);
    wr_copy(&out, a->manifest, 32);
    wr_copy(&out, a->image, 32);
    struct digest st;
    hash_domain(&st, "fwswarm-version", wr_done(&out), (struct bytes){NULL, 0});
    struct sig sig;
    sign_statement(&sig, &w->node[f->node].signer, "fwswarm-answer", &w->fleet.trust.root.fleet,
                   bytes_of(st.b, sizeof(st.b)));
    memcpy(a->sig, sig.b, sizeof(a->sig));
}

static bool answer_falsely(struct world *w, struct foe *f, struct foe_link *l,
                           const struct action *act)
{
    const struct msg_ask *q = &l->ask;
    uint32_t model = model_named(w, q->model);
    uint32_t old = model != NONE ? published(w, model, false) : NONE;
    struct wire_msg m;
    memset(&m, 0, sizeof(m));
    m.id = MSG_answer;
    struct msg_answer *a = &m.answer;
    memcpy(a->nonce, q->nonce, sizeof(a->nonce));
    a->root_version = w->fleet.trust.root.version;
    if (lie_of(w, f) == LIE_OLD && old != NONE) {
        const struct manifest *named = &w->release[old].manifest;
        a->verdict = SAYS_OLDER;
        a->release_root = named->root_version;
        a->sequence = named->sequence + AHEAD;
        memcpy(a->manifest, named->id.b, 32);
        memcpy(a->image, named->digest.b, 32);
    } else {
        /* What you run is the newest, and it is what was signed. */
        a->verdict = SAYS_SAME;
        a->release_root = q->root_version > 0 ? q->root_version : 1;
        a->sequence = q->sequence;
        memcpy(a->image, q->image, 32);
    }
    sign_answer(w, f, l, a);
    foe_tried(w, f, 1);
    return foe_swap(w, f, act, &m);
}

bool foe_words_send(struct world *w, struct foe *f, struct foe_link *l, const struct action *act,
                    const struct wire_msg *m)
{
    enum lie lie = lie_of(w, f);
    if (lie == LIE_WRONG_MODEL && m->id == MSG_offer)
        return foe_swap(w, f, act, NULL);
    if (lie != LIE_OLD && lie != LIE_NOTHING_NEWER)
        return true;
    if (m->id == MSG_answer && l->asked)
        return answer_falsely(w, f, l, act);
    if (m->id == MSG_withdrawn) {
        foe_tried(w, f, 1);
        return foe_swap(w, f, act, NULL);
    }
    if (m->id != MSG_offer)
        return true;
    struct wire_msg says;
    uint32_t model = model_named(w, m->offer.model);
    bool has = model != NONE && make_offer(w, f, model, &says);
    foe_tried(w, f, 1);
    return foe_swap(w, f, act, has ? &says : NULL);
}

/* ---- manifests ---- */

static void say_data(struct world *w, struct foe *f, const struct foe_link *l,
                     const struct msg_get *q, struct blob *b)
{
    struct wire_msg m;
    memset(&m, 0, sizeof(m));
    m.id = b != NULL ? MSG_data : MSG_nodata;
    m.data.kind = q->kind; /* both have one layout */
    m.data.number = q->number;
    memcpy(m.data.id, q->id, 32);
    foe_tried(w, f, 1);
    if (b == NULL) {
        foe_say(w, f, l, &m, NULL);
        return;
    }
    struct body body = {.kind = OBJ_MANIFEST, .len = b->len, .blob = blob_hold(b)};
    foe_say(w, f, l, &m, &body);
}

/* What is given for the manifest asked for: what was offered under that name, or another. */
static struct blob *false_manifest(const struct world *w, struct foe *f, const struct msg_get *q)
{
    uint32_t named = foe_release(w, q->id), other;
    switch (lie_of(w, f)) {
    case LIE_FORGED:
        for (uint32_t i = 0; i < w->scn.models; i++) {
            const struct forgery *y = &w->harm->forgery[i];
            if (memcmp(y->manifest.id.b, q->id, 32) == 0)
                return y->envelope[rng_below(&f->rng, 2)];
        }
        return NULL;
    case LIE_OLD:
        other = named != NONE ? published(w, w->scn.release[named].model, true) : NONE;
        return named != NONE && named != other ? w->release[named].envelope : NULL;
    case LIE_WRONG_MODEL:
        return named != NONE ? w->release[named].envelope : NULL;
    case LIE_MIXED:
        other = rng_below(&f->rng, w->releases);
        return w->release[other].envelope;
    case LIE_NOTHING_NEWER:
    case LIE_NONE:
        return NULL;
    }
    return NULL;
}

bool foe_words_msg(struct world *w, struct foe *f, struct foe_link *l, const struct wire_msg *m)
{
    enum lie lie = lie_of(w, f);
    if (lie == LIE_NONE || l->ours || m->id != MSG_get)
        return true;
    bool stop = (lie == LIE_OLD || lie == LIE_NOTHING_NEWER) && m->get.kind == KIND_STOP;
    if (m->get.kind != KIND_MANIFEST && !stop)
        return true;
    say_data(w, f, l, &m->get, stop ? NULL : false_manifest(w, f, &m->get));
    return false;
}
