/* The fleet of a mesh: keys, roots, certificates, releases, all made from the seed and signed. */
#include "mesh_make.h"
#include "mesh.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MODEL "mesh-1"

void *mesh_need(size_t n)
{
    void *p = calloc(1, n > 0 ? n : 1);
    if (p == NULL)
        abort();
    return p;
}

void mesh_derive(uint8_t out[32], uint64_t seed, const char *what, uint64_t number)
{
    struct digest d;
    uint64_t v[2] = {seed, number};
    hash_domain(&d, "mesh", bytes_of(v, sizeof(v)), bytes_str(what));
    memcpy(out, d.b, 32);
}

static void derive_signer(struct signer *s, uint64_t seed, const char *what, uint64_t number)
{
    uint8_t b[32];
    mesh_derive(b, seed, what, number);
    signer_from_seed(s, b);
}

/* ---- the fleet ---- */

static void root_append(struct mesh *m)
{
    uint8_t body[ROOT_BYTES_MAX], whole[ROOT_BYTES_MAX];
    struct wr bw = wr_of(body, sizeof(body)), ww = wr_of(whole, sizeof(whole));
    enum err e = root_encode_body(&m->root, &bw);
    assert(e == E_OK);
    struct key keys[3];
    struct sig sigs[3];
    for (int i = 0; i < 3; i++) {
        keys[i] = m->root_key[i].pub;
        root_sign(&sigs[i], &m->root_key[i], wr_done(&bw));
    }
    e = root_encode(wr_done(&bw), keys, sigs, 3, &ww);
    assert(e == E_OK);
    memcpy(m->chain + m->chain_len, whole, wr_len(&ww));
    m->chain_len += wr_len(&ww);
    e = trust_chain(&m->trust, bytes_of(m->chain, m->chain_len));
    assert(e == E_OK);
    (void)e;
}

size_t mesh_rotate(struct mesh *m)
{
    size_t at = m->chain_len;
    m->root.version++;
    root_append(m);
    return at;
}

static void enrol(struct mesh *m, struct mesh_node *n, enum role role, const char *model)
{
    n->member = (struct member){.node = n->signer.pub, .index = n->index, .role = role};
    n->conf.role = role;
    if (role != ROLE_NORMAL)
        return;
    snprintf(n->conf.model, sizeof(n->conf.model), "%s", model);
    model_id(&n->member.model, &m->root.fleet, model);
    struct wr w = wr_of(n->cert, sizeof(n->cert));
    enum err e = cert_make(&w, &n->member, &m->enrol_key, &m->root.fleet);
    assert(e == E_OK);
    (void)e;
    n->cert_len = wr_len(&w);
}

struct mesh *mesh_make(uint64_t seed, uint32_t verify, uint32_t devices, uint32_t threshold)
{
    struct mesh *m = mesh_need(sizeof(*m));
    m->seed = seed;
    m->now = 1000 * SEC;
    m->next_id = 1;
    m->count = verify + devices;
    m->release_threshold = threshold;
    assert(m->count <= MESH_NODES);
    for (uint32_t i = 0; i < m->count; i++)
        derive_signer(&m->node[i].signer, seed, "node", i);
    m->root.version = 1;
    mesh_derive(m->root.fleet.b, seed, "fleet", 0);
    for (uint32_t i = 0; i < 3; i++) {
        derive_signer(&m->root_key[i], seed, "root", i);
        derive_signer(&m->release_key[i], seed, "release", i);
        m->root.root.key[i] = m->root_key[i].pub;
        m->root.release.key[i] = m->release_key[i].pub;
    }
    m->root.root.count = m->root.release.count = 3;
    m->root.root.threshold = 2;
    m->root.release.threshold = threshold;
    derive_signer(&m->enrol_key, seed, "enrol", 0);
    derive_signer(&m->publisher, seed, "publisher", 0);
    m->root.publisher = (struct key_set){1, 1, {m->publisher.pub}};
    m->root.enrol_count = m->root.enrol_threshold = 1;
    m->root.enrol[0] = (struct enrol_lease){.key = m->enrol_key.pub, .first = 0, .last = 255};
    m->root.verify_count = verify;
    for (uint32_t i = 0; i < verify; i++) {
        m->root.verify[i].key = m->node[i].signer.pub;
        m->root.verify[i].index = i;
    }
    dh_public(m->root.audit.b, m->root_key[0].secret);
    root_append(m);
    for (uint32_t i = 0; i < m->count; i++) {
        struct mesh_node *n = &m->node[i];
        n->mesh = m;
        n->index = i;
        n->lim = (struct limits){.links = 16,
                                 .images = 4,
                                 .pieces = 256,
                                 .open_blocks = 256,
                                 .chunks = 32,
                                 .known = 32,
                                 .announced = 128,
                                 .requests = 16,
                                 .uploads = 32,
                                 .window = 65536,
                                 .store_ops = 64,
                                 .bans = 8,
                                 .withdrawals = 4};
        n->conf.port = (uint16_t)(1000 + i);
        n->conf.lan_interfaces = 1;
        n->install_exit = -1;
        enrol(m, n, i < verify ? ROLE_VERIFY : ROLE_NORMAL, MODEL);
    }
    return m;
}

/* Encodes and signs a release whose manifest is filled in. */
static void release_sign(struct mesh *m, uint32_t at)
{
    struct manifest *mf = &m->release[at].m;
    enum err e;
    uint8_t inner[MANIFEST_MAX], outer[MANIFEST_MAX];
    struct wr iw = wr_of(inner, sizeof(inner)), ow = wr_of(outer, sizeof(outer));
    e = manifest_encode(mf, &iw);
    assert(e == E_OK);
    manifest_id(&mf->id, wr_done(&iw));
    struct key keys[3];
    struct sig sigs[3], tokens[3];
    uint32_t order[3] = {0, 1, 2};
    for (uint32_t i = 0; i < 3; i++) {
        for (uint32_t k = i + 1; k < 3; k++) {
            if (key_compare(&m->release_key[order[k]].pub, &m->release_key[order[i]].pub) < 0) {
                uint32_t x = order[i];
                order[i] = order[k];
                order[k] = x;
            }
        }
    }
    for (uint32_t i = 0; i < m->release_threshold; i++) {
        keys[i] = m->release_key[order[i]].pub;
        manifest_sign(&sigs[i], &m->release_key[order[i]], &mf->id);
        token_sign(&tokens[i], &m->release_key[order[i]], mf);
    }
    e = envelope_encode(wr_done(&iw), keys, sigs, tokens, m->release_threshold, &ow);
    assert(e == E_OK);
    m->release[at].envelope_len = wr_len(&ow);
    m->release[at].envelope = mesh_need(wr_len(&ow));
    memcpy(m->release[at].envelope, outer, wr_len(&ow));
    e = manifest_open(mf, bytes_of(outer, wr_len(&ow)), &m->trust);
    assert(e == E_OK);
    (void)e;
}

uint32_t mesh_release(struct mesh *m, const char *model, const char *version, uint64_t sequence,
                      uint64_t size)
{
    uint32_t at = m->releases++;
    struct manifest *mf = &m->release[at].m;
    uint8_t *image = m->release[at].image = mesh_need((size_t)size);
    struct rng rng;
    uint8_t seed[32];
    mesh_derive(seed, m->seed, version, sequence);
    rng_init(&rng, seed);
    rng_bytes(&rng, image, (size_t)size);
    struct geometry g;
    enum err e = geometry_init(&g, size, BLOCK_LEN);
    assert(e == E_OK);
    void *mem = mesh_need(tree_builder_size(&g));
    struct tree_builder *t = tree_builder_init(mem, &g);
    for (uint32_t b = 0; b < g.blocks; b++) {
        struct digest leaf;
        tree_leaf(&leaf, image + (size_t)b * BLOCK_LEN, geometry_block_len(&g, b));
        tree_builder_leaf(t, &leaf);
    }
    tree_builder_root(t, &mf->tree_root);
    free(mem);
    hash_sha256(&mf->digest, image, (size_t)size);
    mf->fleet = m->root.fleet;
    mf->root_version = m->root.version;
    mf->sequence = sequence;
    snprintf(mf->model, sizeof(mf->model), "%s", model != NULL ? model : MODEL);
    snprintf(mf->version, sizeof(mf->version), "%s", version);
    snprintf(mf->vendor, sizeof(mf->vendor), "vendor");
    model_id(&mf->model_id, &m->root.fleet, mf->model);
    mf->size = size;
    mf->piece_length = BLOCK_LEN;
    release_sign(m, at);
    return at;
}

uint32_t mesh_release_again(struct mesh *m, uint32_t release, const char *version,
                            uint64_t sequence)
{
    uint32_t at = m->releases++;
    const struct manifest *was = &m->release[release].m;
    m->release[at].m = *was;
    struct manifest *mf = &m->release[at].m;
    m->release[at].image = mesh_need((size_t)was->size);
    memcpy(m->release[at].image, m->release[release].image, (size_t)was->size);
    snprintf(mf->version, sizeof(mf->version), "%s", version);
    mf->sequence = sequence;
    mf->root_version = m->root.version;
    release_sign(m, at);
    return at;
}

size_t mesh_withdrawal(struct mesh *m, uint32_t release, uint8_t *out, size_t cap)
{
    const struct manifest *mf = &m->release[release].m;
    struct withdrawal w = {mf->model_id, mf->id, mf->root_version, mf->sequence};
    struct key keys[3];
    struct sig sigs[3];
    for (uint32_t i = 0; i < m->release_threshold; i++) {
        keys[i] = m->release_key[i].pub;
        withdrawal_sign(&sigs[i], &m->release_key[i], &m->root.fleet, &w);
    }
    struct wr wr = wr_of(out, cap);
    enum err e = withdrawal_encode(&w, &m->root.fleet, keys, sigs, m->release_threshold, &wr);
    assert(e == E_OK);
    (void)e;
    return wr_len(&wr);
}

size_t mesh_revoke(struct mesh *m, uint32_t index, uint32_t version, uint8_t *out, size_t cap)
{
    struct revocations *r = mesh_need(sizeof(*r));
    r->root_version = m->root.version;
    r->version = version;
    r->count = 1;
    r->range[0] = (struct index_range){index, index};
    uint8_t body[4096];
    struct wr bw = wr_of(body, sizeof(body)), w = wr_of(out, cap);
    enum err e = revocations_encode_body(r, &m->root.fleet, &bw);
    assert(e == E_OK);
    struct sig sig;
    revocations_sign(&sig, &m->enrol_key, &m->root.fleet, wr_done(&bw));
    e = revocations_encode(wr_done(&bw), &m->enrol_key.pub, &sig, 1, &w);
    assert(e == E_OK);
    (void)e;
    free(r);
    return wr_len(&w);
}
