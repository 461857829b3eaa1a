/* See cose.h.  Ed25519 has two algorithm numbers: -19 names the curve (RFC 9864) and is what we
 * write; -8 is the older, looser `EdDSA` that other tools still write.  Both are read, because the
 * key decides the curve here and the root lists only Ed25519 keys. */
#include "cose.h"

#include <assert.h>
#include <string.h>

#include "field.h"

#define TAG_SIGN1  18u
#define HEADER_ALG 1
#define HEADER_KID 4

void cose_kid(uint8_t kid[static COSE_KID], const struct key *pub)
{
    struct digest d;
    hash_sha256(&d, pub->b, sizeof(pub->b));
    memcpy(kid, d.b, COSE_KID);
}

size_t cose_tbs(uint8_t out[static COSE_TBS_MAX], struct bytes protected_header,
                struct bytes payload)
{
    struct wr w = wr_of(out, COSE_TBS_MAX);
    assert(protected_header.n <= COSE_PROTECTED_MAX);
    assert(payload.n <= COSE_PAYLOAD_MAX);
    cbor_w_array(&w, 4);
    cbor_w_tstr(&w, bytes_str("Signature1"));
    cbor_w_bstr(&w, protected_header);
    cbor_w_bstr(&w, bytes_of(NULL, 0));
    cbor_w_bstr(&w, payload);
    assert(w.err == E_OK);
    return wr_len(&w);
}

static enum err read_protected(struct cose_sign1 *out)
{
    struct cbor_rd r = cbor_rd_of(out->protected_header);
    field_map(&r, 1);
    field_key(&r, HEADER_ALG, HEADER_ALG);
    out->alg = cbor_int(&r);
    cbor_leave(&r);
    return cbor_end(&r);
}

enum err cose_read(struct cose_sign1 *out, struct bytes in)
{
    struct cbor_rd r = cbor_rd_of(in);
    memset(out, 0, sizeof(*out));
    if (cbor_tag(&r) != TAG_SIGN1)
        cbor_fail(&r, E_FORMAT);
    field_array(&r, 4);
    out->protected_header = cbor_bstr(&r);
    if (out->protected_header.n > COSE_PROTECTED_MAX)
        cbor_fail(&r, E_UNKNOWN);
    uint64_t pairs = cbor_enter_map(&r);
    if (pairs > 1)
        cbor_fail(&r, E_UNKNOWN);
    if (pairs == 1) {
        if (cbor_int(&r) != HEADER_KID)
            cbor_fail(&r, E_UNKNOWN);
        out->kid = cbor_bstr(&r);
        if (out->kid.n == 0 || out->kid.n > COSE_KID_MAX)
            cbor_fail(&r, E_FORMAT);
    }
    cbor_leave(&r);
    cbor_null(&r);
    out->sig = cbor_bstr(&r);
    if (out->sig.n > COSE_SIG_MAX)
        cbor_fail(&r, E_UNKNOWN);
    cbor_leave(&r);
    enum err e = cbor_end(&r);
    return e != E_OK ? e : read_protected(out);
}

static struct bytes write_protected(uint8_t buf[static COSE_PROTECTED_MAX], int64_t alg)
{
    struct wr w = wr_of(buf, COSE_PROTECTED_MAX);
    cbor_w_map(&w, 1);
    cbor_w_int(&w, HEADER_ALG);
    cbor_w_int(&w, alg);
    assert(w.err == E_OK);
    return wr_done(&w);
}

void cose_write(struct wr *w, const struct cose_sign1 *c)
{
    uint8_t buf[COSE_PROTECTED_MAX];
    cbor_w_tag(w, TAG_SIGN1);
    cbor_w_array(w, 4);
    cbor_w_bstr(w, write_protected(buf, c->alg));
    cbor_w_map(w, c->kid.n > 0 ? 1 : 0);
    if (c->kid.n > 0) {
        cbor_w_int(w, HEADER_KID);
        cbor_w_bstr(w, c->kid);
    }
    cbor_w_null(w);
    cbor_w_bstr(w, c->sig);
}

void cose_sign(struct sig *out, const struct signer *s, struct bytes payload)
{
    uint8_t header[COSE_PROTECTED_MAX], tbs[COSE_TBS_MAX];
    size_t n = cose_tbs(tbs, write_protected(header, COSE_ALG_ED25519), payload);
    sign_make(out, s, tbs, n);
}

enum err cose_verify(const struct cose_sign1 *c, const struct key *pub, struct bytes payload)
{
    uint8_t tbs[COSE_TBS_MAX];
    struct sig sig;
    if (c->alg != COSE_ALG_ED25519 && c->alg != COSE_ALG_EDDSA)
        return E_UNKNOWN;
    if (c->sig.n != sizeof(sig.b))
        return E_FORMAT;
    memcpy(sig.b, c->sig.p, sizeof(sig.b));
    size_t n = cose_tbs(tbs, c->protected_header, payload);
    return sign_verify(&sig, pub, tbs, n) ? E_OK : E_SIGNATURE;
}
