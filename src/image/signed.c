/* See signed.h.  One bad signature spoils the object: whoever merges signatures has made a mistake
 * or an attack, and skipping it would let the same statement travel in many shapes.  So listing and
 * threshold can be judged first and the curve arithmetic, if it comes to that, last.  A key that
 * signs twice is only counted once. */
#include "signed.h"

#include <assert.h>

#include "field.h"

enum err signed_read(struct signed_object *out, struct bytes in, uint32_t sigs_max)
{
    assert(sigs_max <= SIGNED_MAX);
    struct cbor_rd r = cbor_rd_of(in);
    field_array(&r, 2);
    out->body = cbor_bstr(&r);
    out->count = field_array_upto(&r, 1, sigs_max);
    for (uint32_t i = 0; i < out->count; i++) {
        field_array(&r, 2);
        field_fixed(&r, out->key[i].b, sizeof(out->key[i].b));
        field_fixed(&r, out->sig[i].b, sizeof(out->sig[i].b));
        cbor_leave(&r);
    }
    cbor_leave(&r);
    cbor_leave(&r);
    return cbor_end(&r);
}

enum err signed_write(struct bytes body, const struct key *keys, const struct sig *sigs,
                      uint32_t count, uint32_t sigs_max, struct wr *w)
{
    if (count == 0)
        return E_THRESHOLD;
    if (count > sigs_max)
        return E_LIMIT;
    cbor_w_array(w, 2);
    cbor_w_bstr(w, body);
    cbor_w_array(w, count);
    for (uint32_t i = 0; i < count; i++) {
        cbor_w_array(w, 2);
        cbor_w_bstr(w, bytes_of(keys[i].b, sizeof(keys[i].b)));
        cbor_w_bstr(w, bytes_of(sigs[i].b, sizeof(sigs[i].b)));
    }
    return w->err;
}

void signed_sign(struct sig *out, const struct signer *s, const char *domain,
                 const struct digest *fleet, struct bytes body)
{
    struct digest d;
    hash_sha256(&d, body.p, body.n);
    sign_statement(out, s, domain, fleet, bytes_of(d.b, sizeof(d.b)));
}

enum err signed_verify(const struct signed_object *o, const char *domain,
                       const struct digest *fleet)
{
    struct digest d;
    hash_sha256(&d, o->body.p, o->body.n);
    for (uint32_t i = 0; i < o->count; i++) {
        if (!sign_statement_verify(&o->sig[i], &o->key[i], domain, fleet,
                                   bytes_of(d.b, sizeof(d.b))))
            return E_SIGNATURE;
    }
    return E_OK;
}

uint32_t signers_count(const struct key *keys, uint32_t count, const struct key_set *set)
{
    uint32_t distinct = 0;
    for (uint32_t i = 0; i < count; i++) {
        bool again = false;
        for (uint32_t k = 0; k < i && !again; k++)
            again = key_equal(&keys[k], &keys[i]);
        if (!again && key_set_has(set, &keys[i]))
            distinct++;
    }
    return distinct;
}

enum err signers_judge(const struct key *keys, uint32_t count, const struct key_set *set)
{
    for (uint32_t i = 0; i < count; i++) {
        if (!key_set_has(set, &keys[i]))
            return E_UNLISTED;
    }
    return signers_count(keys, count, set) < set->threshold ? E_THRESHOLD : E_OK;
}

enum err signers_judge_release(const struct key *keys, uint32_t count, const struct trust *t,
                               uint32_t root_version)
{
    if (root_version > t->root.version)
        return E_STATE;
    const struct key_set *set = trust_release_keys(t, root_version);
    return set == NULL ? E_STALE : signers_judge(keys, count, set);
}
