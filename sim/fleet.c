/* A fleet with one key of each kind and the releases of its scenario.
 *
 * Node numbers are member indices; the first w->verify nodes are listed in the root as verify
 * nodes, the others hold certificates of the enrolment key.  An image is named by its model and
 * sequence, so that a device may run from the start what is published later. */
#include "fleet.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define OLD_SIZE (16u << 20) /* of what runs and was never published here */

void fleet_derive(struct digest *out, uint64_t seed, const char *what, uint64_t number)
{
    uint8_t key[16];
    struct wr w = wr_of(key, sizeof(key));
    wr_u64(&w, seed);
    wr_u64(&w, number);
    hash_domain(out, "fwswarm-sim", wr_done(&w), bytes_str(what));
}

static void derive_signer(struct signer *s, uint64_t seed, const char *what, uint64_t number)
{
    struct digest d;
    fleet_derive(&d, seed, what, number);
    signer_from_seed(s, d.b);
}

/* What no two images share, for an image of this model. */
static void derive_image(const struct world *w, struct digest *out, const char *what,
                         uint32_t model, uint64_t sequence)
{
    char name[16 + MODEL_MAX];
    snprintf(name, sizeof(name), "%s %s", what, w->scn.model[model]);
    fleet_derive(out, w->scn.seed, name, sequence);
}

/* ---- roots and signatures ---- */

static uint32_t keys_count(const struct scn_keys *k)
{
    return k->count > 0 ? k->count : 1;
}

static uint32_t keys_threshold(const struct scn_keys *k)
{
    return k->threshold > 0 ? k->threshold : 1;
}

static struct blob *sign_root(const struct fleet *f, const struct root *r)
{
    uint8_t body[ROOT_BYTES_MAX], whole[ROOT_BYTES_MAX];
    struct wr bw = wr_of(body, sizeof(body)), ww = wr_of(whole, sizeof(whole));
    enum err e = root_encode_body(r, &bw);
    assert(e == E_OK);
    struct sig sig;
    root_sign(&sig, &f->root_key, wr_done(&bw));
    e = root_encode(wr_done(&bw), &f->root_key.pub, &sig, 1, &ww);
    assert(e == E_OK);
    return blob_make(whole, wr_len(&ww));
}

static void list_release_keys(const struct world *w, struct root *r, uint32_t generation)
{
    const struct scn_keys *k = &w->scn.keys;
    r->version = generation + 1;
    r->release = (struct key_set){.count = keys_count(k), .threshold = keys_threshold(k)};
    for (uint32_t i = 0; i < r->release.count; i++)
        r->release.key[i] = w->fleet.release_key[generation][i].pub;
}

static void make_keys(struct world *w)
{
    struct fleet *f = &w->fleet;
    uint64_t seed = w->scn.seed;
    derive_signer(&f->root_key, seed, "root", 0);
    derive_signer(&f->enrol_key, seed, "enrol", 0);
    for (uint32_t g = 0; g < FLEET_ROOTS; g++)
        for (uint32_t i = 0; i < ROOT_KEYS_MAX; i++)
            derive_signer(&f->release_key[g][i], seed, "release", g * ROOT_KEYS_MAX + i);
}

static void make_root(struct world *w)
{
    struct fleet *f = &w->fleet;
    uint64_t seed = w->scn.seed;
    make_keys(w);
    struct signer publisher;
    derive_signer(&publisher, seed, "publisher", 0);
    struct root r = {.version = 1};
    fleet_derive(&r.fleet, seed, "fleet", 0);
    r.root = (struct key_set){1, 1, {f->root_key.pub}};
    r.publisher = (struct key_set){1, 1, {publisher.pub}};
    r.enrol_count = 1;
    r.enrol_threshold = 1;
    r.enrol[0] =
        (struct enrol_lease){.key = f->enrol_key.pub, .first = w->verify, .last = w->count - 1};
    r.verify_count = w->verify;
    for (uint32_t i = 0; i < w->verify; i++) {
        r.verify[i].key = w->node[i].signer.pub;
        r.verify[i].index = i;
    }
    struct digest audit;
    fleet_derive(&audit, seed, "audit", 0);
    dh_public(r.audit.b, audit.b);
    list_release_keys(w, &r, 0);
    f->root = sign_root(f, &r);
    enum err e = trust_init(&f->trust, bytes_of(f->root->data, f->root->len));
    assert(e == E_OK);
    f->newest = f->trust;
    if (w->scn.keys.rotate_at > 0) {
        list_release_keys(w, &r, 1);
        f->next_root = sign_root(f, &r);
        e = trust_advance(&f->newest, bytes_of(f->next_root->data, f->next_root->len));
        assert(e == E_OK);
    }
    for (uint32_t i = 0; i < w->scn.models; i++)
        model_id(&f->model[i], &f->trust.root.fleet, w->scn.model[i]);
}

/* Signatures stand in the order of their keys. */
static uint32_t sort_signers(struct signer *out, const struct signer *in, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = i;
        for (; at > 0 && key_compare(&out[at - 1].pub, &in[i].pub) > 0; at--)
            out[at] = out[at - 1];
        out[at] = in[i];
    }
    return count;
}

struct blob *fleet_envelope(struct manifest *m, const struct signer *signers, uint32_t count)
{
    struct signer s[ROOT_KEYS_MAX];
    struct key keys[ROOT_KEYS_MAX];
    struct sig sigs[ROOT_KEYS_MAX], tokens[ROOT_KEYS_MAX];
    assert(count <= ROOT_KEYS_MAX);
    uint8_t *buf = sim_alloc(2, MANIFEST_MAX);
    struct wr inner = wr_of(buf, MANIFEST_MAX), outer = wr_of(buf + MANIFEST_MAX, MANIFEST_MAX);
    enum err e = manifest_encode(m, &inner);
    assert(e == E_OK);
    manifest_id(&m->id, wr_done(&inner));
    sort_signers(s, signers, count);
    for (uint32_t i = 0; i < count; i++) {
        keys[i] = s[i].pub;
        manifest_sign(&sigs[i], &s[i], &m->id);
        token_sign(&tokens[i], &s[i], m);
    }
    e = envelope_encode(wr_done(&inner), keys, sigs, tokens, count, &outer);
    assert(e == E_OK);
    struct blob *envelope = blob_make(outer.start, wr_len(&outer));
    free(buf);
    return envelope;
}

/* Who signs what stands under this root. */
static const struct signer *signers_of(const struct fleet *f, uint32_t root_version)
{
    return f->release_key[root_version - 1];
}

/* The vendor's stop for a release. */
static struct blob *make_withdrawal(const struct world *w, const struct manifest *m)
{
    struct withdrawal wd = {.model = m->model_id,
                            .manifest = m->id,
                            .root_version = m->root_version,
                            .sequence = m->sequence};
    struct signer s[ROOT_KEYS_MAX];
    struct key keys[ROOT_KEYS_MAX];
    struct sig sigs[ROOT_KEYS_MAX];
    uint32_t count = keys_threshold(&w->scn.keys);
    sort_signers(s, signers_of(&w->fleet, m->root_version), count);
    for (uint32_t i = 0; i < count; i++) {
        keys[i] = s[i].pub;
        withdrawal_sign(&sigs[i], &s[i], &m->fleet, &wd);
    }
    uint8_t buf[WITHDRAWAL_BYTES_MAX];
    struct wr out = wr_of(buf, sizeof(buf));
    enum err e = withdrawal_encode(&wd, &m->fleet, keys, sigs, count, &out);
    assert(e == E_OK);
    return blob_make(buf, wr_len(&out));
}

/* A stop that the vendor is not there any more to publish is none. */
static bool is_withdrawn(const struct scenario *scn, const struct scn_release *r)
{
    if (!r->withdrawn || !scn->vendor_gone)
        return r->withdrawn;
    for (uint32_t i = 0; i < scn->releases; i++)
        if (scn->release[i].at >= r->stop_at)
            return true;
    return false;
}

/* Signs a manifest, and opens the result as everybody else will. */
static struct blob *sign_release(const struct world *w, struct manifest *m)
{
    const struct fleet *f = &w->fleet;
    struct blob *b =
        fleet_envelope(m, signers_of(f, m->root_version), keys_threshold(&w->scn.keys));
    const struct trust *t = m->root_version > 1 ? &f->newest : &f->trust;
    enum err e = manifest_open(m, bytes_of(b->data, b->len), t);
    assert(e == E_OK);
    return b;
}

static bool make_release(struct world *w, uint32_t number)
{
    struct release *r = &w->release[number];
    const struct scn_release *s = &w->scn.release[number];
    struct fleet *f = &w->fleet;
    struct manifest *m = &r->manifest;
    r->taker = NONE;
    m->fleet = f->trust.root.fleet;
    bool rotated = w->scn.keys.rotate_at > 0 && s->at >= w->scn.keys.rotate_at;
    m->root_version = rotated ? f->newest.root.version : f->trust.root.version;
    m->sequence = s->sequence;
    memcpy(m->model, w->scn.model[s->model], sizeof(m->model));
    memcpy(m->version, s->version, sizeof(m->version));
    snprintf(m->vendor, sizeof(m->vendor), "vendor");
    m->model_id = f->model[s->model];
    m->size = s->size;
    m->piece_length = tree_piece_length(m->size);
    derive_image(w, &m->tree_root, "tree", s->model, s->sequence);
    derive_image(w, &m->digest, "image", s->model, s->sequence);
    if (geometry_init(&r->geo, m->size, m->piece_length) != E_OK) {
        fprintf(stderr,
                "fwswarm-sim: an image of %" PRIu64 " bytes cannot be: use at most %" PRIu64 "\n",
                m->size, IMAGE_SIZE_MAX);
        return false;
    }
    r->envelope = sign_release(w, m);
    if (is_withdrawn(&w->scn, s))
        r->withdrawal = make_withdrawal(w, m);
    return true;
}

bool fleet_init(struct world *w)
{
    for (uint32_t i = 0; i < w->count; i++) {
        struct sim_node *n = &w->node[i];
        bool cloned = i > 0 && n->behaviour == BEHAVE_CLONES && w->node[i - 1].group == n->group;
        if (cloned)
            n->signer = w->node[i - 1].signer;
        else
            derive_signer(&n->signer, w->scn.seed, "node", i);
    }
    make_root(w);
    w->releases = w->scn.releases;
    w->release = sim_alloc(w->releases, sizeof(*w->release));
    for (uint32_t i = 0; i < w->releases; i++)
        if (!make_release(w, i))
            return false;
    return true;
}

void fleet_fini(struct world *w)
{
    for (uint32_t i = 0; i < w->releases; i++) {
        blob_drop(w->release[i].envelope);
        blob_drop(w->release[i].withdrawal);
    }
    free(w->release);
    blob_drop(w->fleet.root);
    blob_drop(w->fleet.next_root);
}

/* What a device runs when it leaves the factory. */
static void fleet_factory(const struct world *w, struct sim_node *n)
{
    const struct scn_group *g = &w->scn.group[n->group];
    const struct manifest *m = NULL;
    n->current_size = OLD_SIZE;
    for (uint32_t i = 0; i < w->releases; i++) {
        if (w->scn.release[i].model != n->model)
            continue;
        n->current_size = w->scn.release[i].size;
        if (w->scn.release[i].sequence == g->installed) {
            m = &w->release[i].manifest;
            break;
        }
    }
    n->current_sequence = g->installed;
    if (m != NULL)
        memcpy(n->current_version, m->version, sizeof(n->current_version));
    else
        snprintf(n->current_version, sizeof(n->current_version), "%" PRIu64 ".0", g->installed);
    derive_image(w, &n->current, g->tampered ? "tampered" : "image", n->model, g->installed);
}

void fleet_enrol(struct world *w, uint32_t node)
{
    struct sim_node *n = &w->node[node];
    uint32_t index = node;
    while (index > 0 && key_equal(&w->node[index - 1].signer.pub, &n->signer.pub))
        index--;
    n->member = (struct member){.node = n->signer.pub, .index = index, .role = ROLE_VERIFY};
    if (node < w->verify)
        return;
    n->member.role = ROLE_NORMAL;
    n->member.model = w->fleet.model[n->model];
    struct wr cw = wr_of(n->cert, sizeof(n->cert));
    enum err e = cert_make(&cw, &n->member, &w->fleet.enrol_key, &w->fleet.trust.root.fleet);
    assert(e == E_OK);
    n->cert_len = wr_len(&cw);
    fleet_factory(w, n);
}
