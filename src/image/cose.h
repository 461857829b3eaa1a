/* COSE_Sign1 (RFC 9052) as SUIT uses it: tagged, payload detached, one algorithm in the protected
 * header, a key identifier in the unprotected one. */
#pragma once

#include "fwswarm/cbor.h"
#include "fwswarm/crypto.h"

#define COSE_ALG_EDDSA     (-8)
#define COSE_ALG_ED25519   (-19)
#define COSE_KID           8u /* bytes of ours; others may be longer */
#define COSE_KID_MAX       32u
#define COSE_SIG_MAX       64u
#define COSE_PROTECTED_MAX 16u
#define COSE_PAYLOAD_MAX   64u
#define COSE_TBS_MAX       128u
#define COSE_SIGN1_MAX     160u

struct cose_sign1 {
    struct bytes protected_header; /* as signed, lent */
    int64_t alg;
    struct bytes kid; /* lent; empty when there is none */
    struct bytes sig; /* lent */
};

/* A key's identifier: the first bytes of SHA-256 of its public half. */
void cose_kid(uint8_t kid[static COSE_KID], const struct key *pub);
/* The bytes that are signed.  out has COSE_TBS_MAX bytes; header and payload are within their caps
 * (asserted).  Returns how many. */
size_t cose_tbs(uint8_t out[static COSE_TBS_MAX], struct bytes protected_header,
                struct bytes payload);
/* Reads one object, without judging its algorithm.  E_UNKNOWN for header parameters that are not
 * the two above and for signatures too long for any curve of this size, E_FORMAT for a payload that
 * is not detached. */
MUST enum err cose_read(struct cose_sign1 *out, struct bytes in);
/* Writes algorithm, kid and signature. */
void cose_write(struct wr *w, const struct cose_sign1 *c);
/* Signs with Ed25519 (-19). */
void cose_sign(struct sig *out, const struct signer *s, struct bytes payload);
/* E_UNKNOWN for an algorithm that is not Ed25519 by either number, E_SIGNATURE when it fails. */
MUST enum err cose_verify(const struct cose_sign1 *c, const struct key *pub, struct bytes payload);
