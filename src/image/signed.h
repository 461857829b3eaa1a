/* A signed object: CBOR array [bstr body, [[key, signature], ...]].
 *
 * Roots, revocation lists and withdrawals all have this shape; only the domain string and the keys
 * that may sign differ.  A signature covers SHA-256(body) under its domain and fleet, so a body may
 * be of any size.  Who may sign is asked before any signature is verified: an unlisted signer costs
 * a comparison and no curve arithmetic. */
#pragma once

#include "fwswarm/trust.h"

#define SIGNED_MAX (2u * ROOT_KEYS_MAX)

struct signed_object {
    struct bytes body; /* lent */
    uint32_t count;
    struct key key[SIGNED_MAX];
    struct sig sig[SIGNED_MAX];
};

/* Reads the shape; count is 1..sigs_max, E_LIMIT above it. */
MUST enum err signed_read(struct signed_object *out, struct bytes in, uint32_t sigs_max);
MUST enum err signed_write(struct bytes body, const struct key *keys, const struct sig *sigs,
                           uint32_t count, uint32_t sigs_max, struct wr *w);
void signed_sign(struct sig *out, const struct signer *s, const char *domain,
                 const struct digest *fleet, struct bytes body);
/* Every signature must verify: E_SIGNATURE otherwise. */
MUST enum err signed_verify(const struct signed_object *o, const char *domain,
                            const struct digest *fleet);

/* Distinct keys among these signers that are in the set. */
uint32_t signers_count(const struct key *keys, uint32_t count, const struct key_set *set);
/* Every signer must be in the set (E_UNLISTED) and enough of them distinct (E_THRESHOLD). */
MUST enum err signers_judge(const struct key *keys, uint32_t count, const struct key_set *set);
/* The same for a statement about a release, under the root version it names: E_STATE when that root
 * is not held yet, E_STALE when it is no longer remembered. */
MUST enum err signers_judge_release(const struct key *keys, uint32_t count, const struct trust *t,
                                    uint32_t root_version);
/* The enrolment keys of a root that may still sign lists. */
void root_enrol_signers(struct key_set *out, const struct root *r);
