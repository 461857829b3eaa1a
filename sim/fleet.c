/* A fleet with one key of each kind and one release.
 *
 * Node numbers are member indices; the first opt.verify nodes are listed in the root as verify
 * nodes, the others hold certificates of the enrolment key. */
#include "fleet.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define OLD_SEQUENCE 1u
#define NEW_SEQUENCE 2u

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

static void make_root(struct world *w)
{
    struct fleet *f = &w->fleet;
    uint64_t seed = w->opt.seed;
    derive_signer(&f->root_key, seed, "root", 0);
    derive_signer(&f->release_key, seed, "release", 0);
    derive_signer(&f->enrol_key, seed, "enrol", 0);
    struct signer publisher;
    derive_signer(&publisher, seed, "publisher", 0);
    struct root r = {.version = 1};
    fleet_derive(&r.fleet, seed, "fleet", 0);
    r.root = (struct key_set){1, 1, {f->root_key.pub}};
    r.release = (struct key_set){1, 1, {f->release_key.pub}};
    r.publisher = (struct key_set){1, 1, {publisher.pub}};
    r.enrol_count = 1;
    r.enrol_threshold = 1;
    r.enrol[0] =
        (struct enrol_lease){.key = f->enrol_key.pub, .first = w->opt.verify, .last = w->count - 1};
    r.verify_count = w->opt.verify;
    for (uint32_t i = 0; i < w->opt.verify; i++) {
        r.verify[i].key = w->node[i].signer.pub;
        r.verify[i].index = i;
    }
    struct digest audit;
    fleet_derive(&audit, seed, "audit", 0);
    dh_public(r.audit.b, audit.b);

    uint8_t body[ROOT_BYTES_MAX], whole[ROOT_BYTES_MAX];
    struct wr bw = wr_of(body, sizeof(body)), ww = wr_of(whole, sizeof(whole));
    enum err e = root_encode_body(&r, &bw);
    assert(e == E_OK);
    struct sig sig;
    root_sign(&sig, &f->root_key, wr_done(&bw));
    e = root_encode(wr_done(&bw), &f->root_key.pub, &sig, 1, &ww);
    assert(e == E_OK);
    f->root = blob_make(whole, wr_len(&ww));
    e = trust_init(&f->trust, wr_done(&ww));
    assert(e == E_OK);
    model_id(&f->model, &f->trust.root.fleet, SIM_MODEL);
}

static bool make_release(struct world *w, struct release *r)
{
    struct fleet *f = &w->fleet;
    struct manifest *m = &r->manifest;
    m->fleet = f->trust.root.fleet;
    m->root_version = f->trust.root.version;
    m->sequence = NEW_SEQUENCE;
    snprintf(m->model, sizeof(m->model), "%s", SIM_MODEL);
    snprintf(m->version, sizeof(m->version), "%u.0", NEW_SEQUENCE);
    snprintf(m->vendor, sizeof(m->vendor), "vendor");
    m->model_id = f->model;
    m->size = w->opt.image_size;
    m->piece_length = tree_piece_length(m->size);
    fleet_derive(&m->tree_root, w->opt.seed, "tree", NEW_SEQUENCE);
    fleet_derive(&m->digest, w->opt.seed, "image", NEW_SEQUENCE);
    if (geometry_init(&r->geo, m->size, m->piece_length) != E_OK) {
        fprintf(stderr,
                "fwswarm-sim: an image of %" PRIu64 " bytes cannot be: use --image-size "
                "up to %" PRIu64 "\n",
                m->size, IMAGE_SIZE_MAX);
        return false;
    }
    uint8_t *buf = sim_alloc(2, MANIFEST_MAX);
    struct wr inner = wr_of(buf, MANIFEST_MAX), outer = wr_of(buf + MANIFEST_MAX, MANIFEST_MAX);
    enum err e = manifest_encode(m, &inner);
    assert(e == E_OK);
    manifest_id(&m->id, wr_done(&inner));
    struct sig sig, token;
    manifest_sign(&sig, &f->release_key, &m->id);
    token_sign(&token, &f->release_key, m);
    e = envelope_encode(wr_done(&inner), &f->release_key.pub, &sig, &token, 1, &outer);
    assert(e == E_OK);
    e = manifest_open(m, wr_done(&outer), &f->trust);
    assert(e == E_OK);
    r->envelope = blob_make(outer.start, wr_len(&outer));
    free(buf);
    return true;
}

bool fleet_init(struct world *w)
{
    for (uint32_t i = 0; i < w->count; i++)
        derive_signer(&w->node[i].signer, w->opt.seed, "node", i);
    make_root(w);
    w->release = sim_alloc(1, sizeof(*w->release));
    w->releases = 1;
    return make_release(w, &w->release[0]);
}

void fleet_fini(struct world *w)
{
    for (uint32_t i = 0; i < w->releases; i++)
        blob_drop(w->release[i].envelope);
    free(w->release);
    blob_drop(w->fleet.root);
}

void fleet_enrol(struct world *w, uint32_t node)
{
    struct sim_node *n = &w->node[node];
    n->member = (struct member){.node = n->signer.pub, .index = node, .role = ROLE_VERIFY};
    if (node < w->opt.verify)
        return;
    n->member.role = ROLE_NORMAL;
    n->member.model = w->fleet.model;
    struct wr cw = wr_of(n->cert, sizeof(n->cert));
    enum err e = cert_make(&cw, &n->member, &w->fleet.enrol_key, &w->fleet.trust.root.fleet);
    assert(e == E_OK);
    n->cert_len = wr_len(&cw);
    /* Every device leaves the factory with the release before. */
    fleet_derive(&n->current, w->opt.seed, "image", OLD_SEQUENCE);
    n->current_size = w->opt.image_size;
    n->current_sequence = OLD_SEQUENCE;
    snprintf(n->current_version, sizeof(n->current_version), "%u.0", OLD_SEQUENCE);
}
