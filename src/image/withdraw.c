/* Withdrawals: the vendor's signed stop for one release.
 *
 * It names the manifest digest, so it cannot stop any other release, and takes as many signatures
 * as making a release does: one stolen key can neither ship nor stop. */
#include "fwswarm/trust.h"

#include <assert.h>
#include <string.h>

#include "field.h"
#include "signed.h"

#define WITHDRAW_FORMAT 1u
#define WITHDRAW_PAIRS  6u
#define WITHDRAW_DOMAIN "fwswarm-withdraw"
#define BODY_MAX        160u

static struct bytes encode_body(const struct withdrawal *wd, const struct digest *fleet,
                                uint8_t buf[BODY_MAX])
{
    struct wr w = wr_of(buf, BODY_MAX);
    cbor_w_map(&w, WITHDRAW_PAIRS);
    cbor_w_uint(&w, 1);
    cbor_w_uint(&w, WITHDRAW_FORMAT);
    cbor_w_uint(&w, 2);
    cbor_w_bstr(&w, bytes_of(fleet->b, sizeof(fleet->b)));
    cbor_w_uint(&w, 3);
    cbor_w_uint(&w, wd->root_version);
    cbor_w_uint(&w, 4);
    cbor_w_bstr(&w, bytes_of(wd->model.b, sizeof(wd->model.b)));
    cbor_w_uint(&w, 5);
    cbor_w_uint(&w, wd->sequence);
    cbor_w_uint(&w, 6);
    cbor_w_bstr(&w, bytes_of(wd->manifest.b, sizeof(wd->manifest.b)));
    assert(w.err == E_OK);
    return wr_done(&w);
}

enum err withdrawal_encode(const struct withdrawal *wd, const struct digest *fleet,
                           const struct key *keys, const struct sig *sigs, uint32_t count,
                           struct wr *w)
{
    uint8_t buf[BODY_MAX];
    if (wd->root_version == 0)
        return E_RANGE;
    return signed_write(encode_body(wd, fleet, buf), keys, sigs, count, ROOT_KEYS_MAX, w);
}

void withdrawal_sign(struct sig *out, const struct signer *s, const struct digest *fleet,
                     const struct withdrawal *wd)
{
    uint8_t buf[BODY_MAX];
    signed_sign(out, s, WITHDRAW_DOMAIN, fleet, encode_body(wd, fleet, buf));
}

static enum err decode_body(struct withdrawal *out, struct digest *fleet, struct bytes body)
{
    struct cbor_rd r = cbor_rd_of(body);
    memset(out, 0, sizeof(*out));
    field_map(&r, WITHDRAW_PAIRS);
    field_key(&r, 1, WITHDRAW_PAIRS);
    field_format(&r, WITHDRAW_FORMAT);
    field_key(&r, 2, WITHDRAW_PAIRS);
    field_fixed(&r, fleet->b, sizeof(fleet->b));
    field_key(&r, 3, WITHDRAW_PAIRS);
    out->root_version = field_u32(&r);
    field_key(&r, 4, WITHDRAW_PAIRS);
    field_fixed(&r, out->model.b, sizeof(out->model.b));
    field_key(&r, 5, WITHDRAW_PAIRS);
    out->sequence = cbor_uint(&r);
    field_key(&r, 6, WITHDRAW_PAIRS);
    field_fixed(&r, out->manifest.b, sizeof(out->manifest.b));
    cbor_leave(&r);
    enum err e = cbor_end(&r);
    if (e == E_OK && out->root_version == 0)
        return E_RANGE;
    return e;
}

enum err withdrawal_open(struct withdrawal *out, struct bytes bytes, const struct trust *t)
{
    struct signed_object o;
    struct digest fleet;
    if (bytes.n > WITHDRAWAL_BYTES_MAX)
        return E_OVERSIZED;
    enum err e = signed_read(&o, bytes, ROOT_KEYS_MAX);
    if (e == E_OK)
        e = decode_body(out, &fleet, o.body);
    if (e != E_OK)
        return e;
    if (!digest_equal(&fleet, &t->root.fleet))
        return E_FLEET;
    e = signers_judge(o.key, o.count, &t->root.release);
    if (e == E_OK)
        e = signers_judge_release(o.key, o.count, t, out->root_version);
    return e != E_OK ? e : signed_verify(&o, WITHDRAW_DOMAIN, &fleet);
}
