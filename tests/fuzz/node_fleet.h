/* The fleet of fuzz_node.c: roots, lists, releases and members, made once from fixed keys and
 * really signed.  Images are names only.  Everything is static because a fuzz target is one
 * program. */
#pragma once

#include "node/internal.h"

#include "../unit/fleet.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#define RELEASES 12u

enum { REL_UNDERSIGNED = 8, REL_FUTURE = 9, REL_VAST = 4, REL_AGAIN = 11 };

/* ---- the fleet: made once ---- */

struct made_release {
    struct manifest m;
    struct test_object envelope;
    struct test_object withdrawal;
    bool valid; /* enough signatures under the roots it names */
};

static struct fixture {
    bool made;
    struct root root[3];
    struct test_object root_signed[3];
    struct made_release release[RELEASES];
    struct test_object list[3]; /* revocation lists */
    struct digest model, other;
} fix;

static void make_release(uint32_t at, const char *model, const char *version, uint32_t root_version,
                         uint64_t sequence, uint32_t blocks, uint32_t piece_blocks,
                         uint32_t signers)
{
    struct made_release *r = &fix.release[at];
    struct manifest *m = &r->m;
    memset(m, 0, sizeof(*m));
    m->fleet = fix.root[0].fleet;
    m->root_version = root_version;
    m->sequence = sequence;
    snprintf(m->model, sizeof(m->model), "%s", model);
    snprintf(m->version, sizeof(m->version), "%s", version);
    snprintf(m->vendor, sizeof(m->vendor), "vendor");
    model_id(&m->model_id, &m->fleet, m->model);
    m->size = (uint64_t)(blocks - 1) * BLOCK_LEN + 777;
    m->piece_length = piece_blocks * BLOCK_LEN;
    uint32_t image = at == REL_AGAIN ? 1 : at;
    memset(m->digest.b, 0xd0 + (int)image, 32);
    memset(m->tree_root.b, 0x70 + (int)image, 32);
    uint8_t inner[MANIFEST_MAX];
    struct wr iw = wr_of(inner, sizeof(inner)), ow = wr_of(r->envelope.buf, MANIFEST_MAX);
    test_ok(manifest_encode(m, &iw));
    manifest_id(&m->id, wr_done(&iw));
    struct signer s[2] = {test_signer(KEY_RELEASE), test_signer(KEY_RELEASE + 1)};
    if (key_compare(&s[0].pub, &s[1].pub) > 0) {
        struct signer t = s[0];
        s[0] = s[1];
        s[1] = t;
    }
    struct key keys[2] = {s[0].pub, s[1].pub};
    struct sig sigs[2], tokens[2];
    for (uint32_t i = 0; i < 2; i++) {
        manifest_sign(&sigs[i], &s[i], &m->id);
        token_sign(&tokens[i], &s[i], m);
    }
    test_ok(envelope_encode(wr_done(&iw), keys, sigs, tokens, signers, &ow));
    r->envelope.n = wr_len(&ow);
    r->valid = signers == 2;
    m->signers[0] = keys[0];
    m->signers[1] = keys[1];
    m->tokens[0] = tokens[0];
    struct withdrawal wd = {m->model_id, m->id, m->root_version, m->sequence};
    for (uint32_t i = 0; i < 2; i++)
        withdrawal_sign(&sigs[i], &s[i], &m->fleet, &wd);
    struct wr ww = wr_of(r->withdrawal.buf, sizeof(r->withdrawal.buf));
    test_ok(withdrawal_encode(&wd, &m->fleet, keys, sigs, 2, &ww));
    r->withdrawal.n = wr_len(&ww);
}

static void make_list(uint32_t at, uint32_t root_version, uint32_t version, uint32_t index)
{
    static struct revocations r;
    memset(&r, 0, sizeof(r));
    r.root_version = root_version;
    r.version = version;
    r.count = 1;
    r.range[0] = (struct index_range){index, index};
    uint8_t body[8192];
    struct wr bw = wr_of(body, sizeof(body));
    struct wr w = wr_of(fix.list[at].buf, sizeof(fix.list[at].buf));
    test_ok(revocations_encode_body(&r, &fix.root[0].fleet, &bw));
    struct signer s = test_signer(KEY_ENROL);
    struct sig sig;
    revocations_sign(&sig, &s, &fix.root[0].fleet, wr_done(&bw));
    test_ok(revocations_encode(wr_done(&bw), &s.pub, &sig, 1, &w));
    fix.list[at].n = wr_len(&w);
}

static void fixture_make(void)
{
    if (fix.made)
        return;
    if (sodium_init() < 0)
        abort();
    fix.made = true;
    fix.root[0] = test_root();
    fix.root[1] = fix.root[0];
    fix.root[1].version = 2;
    fix.root[2] = fix.root[1]; /* the third drops a release key and a verify node */
    fix.root[2].version = 3;
    fix.root[2].release = test_set(KEY_RELEASE + 1, 3, 2);
    fix.root[2].verify_count = 3;
    for (uint32_t i = 0; i < 3; i++)
        test_make_root(&fix.root_signed[i], &fix.root[i], NUMBERS(KEY_ROOT, KEY_ROOT + 1));
    model_id(&fix.model, &fix.root[0].fleet, "m");
    model_id(&fix.other, &fix.root[0].fleet, "other");
    make_release(0, "m", "1", 1, 1, 3, 1, 2);
    make_release(1, "m", "2", 1, 2, 40, 2, 2);
    make_release(2, "m", "3", 1, 3, 520, 16, 2); /* two chunks */
    make_release(3, "m", "2r", 2, 1, 1, 1, 2);   /* of the second root: above all of the first */
    make_release(REL_VAST, "m", "4", 1, 4, 200, 1, 2); /* more pieces than there is room for */
    make_release(5, "other", "1", 1, 1, 5, 1, 2);
    make_release(6, "other", "2", 1, 2, 70, 4, 2);
    make_release(7, "m", "2b", 1, 2, 7, 1, 2); /* the twin of 1 */
    make_release(REL_UNDERSIGNED, "m", "8", 1, 8, 4, 1, 1);
    make_release(REL_FUTURE, "m", "9", 7, 9, 4, 1, 2); /* of a root that nobody has */
    make_release(10, "third", "1", 1, 1, 9, 1, 2);
    make_release(REL_AGAIN, "m", "2again", 2, 2, 40, 2, 2); /* the image of 1 */
    make_list(0, 1, 1, 101);
    make_list(1, 1, 2, 102);
    make_list(2, 2, 1, 103);
}

/* ---- members that a link may lead to ---- */

#define MEMBERS 12u

static struct signer member_signer(uint32_t i)
{
    if (i < 3)
        return test_signer(KEY_VERIFY + i);
    if (i == 3)
        return test_signer(KEY_PUBLISH);
    return test_signer(KEY_NODE + i);
}

static struct member member_of(uint32_t i)
{
    struct member m = {.node = member_signer(i).pub};
    m.role = i < 3 ? ROLE_VERIFY : i == 3 ? ROLE_PUBLISHER : ROLE_NORMAL;
    m.index = i < 3 ? 1 + i : i == 3 ? UINT32_MAX : 100 + i - 4;
    if (i > 3)
        m.model = i == MEMBERS - 1 ? fix.other : fix.model;
    return m;
}
