/* Trust: the fleet root, its chain, membership certificates, the revocation list, withdrawals.
 *
 * Everything here is bytes in, judgement out; who stores and who gossips is decided elsewhere.  The
 * fleet root is TUF's root without expiry: version N is signed by the thresholds of N-1 and of N.
 * Roles `verify` and `publisher` exist only by listing in the root; `normal` and `gateway` by a
 * certificate of an enrolment key.  Formats are documented in src/image/FORMATS.md. */
#pragma once

#include "fwswarm/bytes.h"
#include "fwswarm/crypto.h"

#define ROOT_KEYS_MAX         8u    /* of each kind: root, release, enrolment, publisher */
#define ROOT_VERIFY_MAX       32u   /* verify nodes */
#define ROOT_BYTES_MAX        8192u /* one encoded, signed root */
#define ROOT_CHAIN_MAX        8u    /* roots taken inline in one handshake */
#define ROOT_PAST_MAX         8u    /* older roots whose release keys are remembered */
#define CERT_BYTES_MAX        256u
#define REVOKED_RANGES_MAX    512u
#define REVOCATIONS_BYTES_MAX 12288u
#define WITHDRAWAL_BYTES_MAX  1024u
#define MODEL_MAX             64u /* bytes of a model name, [A-Za-z0-9._+~-] */

enum role { ROLE_NORMAL = 0, ROLE_VERIFY = 1, ROLE_GATEWAY = 2, ROLE_PUBLISHER = 3 };
const char *role_name(enum role r);

/* A model's name on the wire: BLAKE2b(domain "fwswarm-model", fleet, name). */
void model_id(struct digest *out, const struct digest *fleet, const char *model);

struct key_set {
    uint32_t count, threshold;
    struct key key[ROOT_KEYS_MAX];
};

struct enrol_lease {
    struct key key;
    uint32_t first, last; /* indices it may hand out, inclusive; last is cut when it is dropped */
    bool retired;         /* dropped: its certificates stand, its signature on lists does not */
};

struct root {
    struct digest fleet;
    uint32_t version; /* from 1 */
    struct key_set root, release, publisher;
    uint32_t enrol_count, enrol_threshold; /* threshold: signatures on a revocation list */
    struct enrol_lease enrol[ROOT_KEYS_MAX];
    uint32_t verify_count;
    struct {
        struct key key;
        uint32_t index;
    } verify[ROOT_VERIFY_MAX];
    struct key audit; /* an X25519 public key for sealed alarms */
};

struct index_range {
    uint32_t first, last; /* inclusive */
};

struct revocations {
    uint32_t root_version, version; /* compared as a pair; 0,0 = none yet */
    uint32_t count;
    struct index_range range[REVOKED_RANGES_MAX]; /* sorted, disjoint */
};

/* What a node trusts now.  Owned by the node (or by a tool); links read it. */
struct trust {
    struct root root;
    uint32_t past_count; /* who could sign under the newest roots before it, oldest first */
    struct {
        uint32_t version;
        struct key_set release, root, enrol;
    } past[ROOT_PAST_MAX];
    struct revocations revoked;
};

/* ---- roots ---- */
/* Encodes the part that is signed.  E_OVERSIZED when cap is too small. */
MUST enum err root_encode_body(const struct root *r, struct wr *w);
/* A signed root = CBOR array [bstr body, [[key, signature], ...]]. */
MUST enum err root_encode(struct bytes body, const struct key *keys, const struct sig *sigs,
                          uint32_t count, struct wr *w);
/* Signs a body with one key, under its own domain. */
void root_sign(struct sig *out, const struct signer *s, struct bytes body);
/* Decodes without judging signatures; lends body. */
MUST enum err root_decode(struct root *r, struct bytes *body, struct bytes signed_root);
/* Takes the first root as given by provisioning: it must verify against its own threshold. */
MUST enum err trust_init(struct trust *t, struct bytes signed_root);
/* Takes the next root: version = held + 1, same fleet, both thresholds.  On error t is unchanged.
 * Lists that a dropped root threshold made must be checked again by the caller. */
MUST enum err trust_advance(struct trust *t, struct bytes signed_root);
/* The same over a file or message of several signed roots (a CBOR sequence, oldest first); roots at
 * or below the held version are skipped; starts an empty trust (version 0) from the first. */
MUST enum err trust_chain(struct trust *t, struct bytes chain);
/* Takes one item off the front of a chain. */
MUST enum err root_chain_next(struct bytes *chain, struct bytes *signed_root);
/* Release keys of a root version that is still remembered, or NULL. */
const struct key_set *trust_release_keys(const struct trust *t, uint32_t root_version);
bool key_set_has(const struct key_set *s, const struct key *k);

/* ---- certificates ---- */
struct member {
    struct key node;
    uint32_t index;
    enum role role;
    struct digest model; /* model_id; zero for verify nodes and publishers */
};
/* A certificate by an enrolment key (normal, gateway). Fixed binary layout, no serial number. */
MUST enum err cert_make(struct wr *w, const struct member *m, const struct signer *enrol,
                        const struct digest *fleet);
/* Judges a certificate against root and revocations.  An empty certificate stands for `I am listed
 * in the root`: node must then be a verify node or publisher there. */
MUST enum err cert_judge(struct member *out, struct bytes cert, const struct key *node,
                         const struct trust *t);
bool revocations_has(const struct revocations *r, uint32_t index);

/* ---- revocation list ---- */
MUST enum err revocations_encode_body(const struct revocations *r, const struct digest *fleet,
                                      struct wr *w);
void revocations_sign(struct sig *out, const struct signer *s, const struct digest *fleet,
                      struct bytes body);
MUST enum err revocations_encode(struct bytes body, const struct key *keys, const struct sig *sigs,
                                 uint32_t count, struct wr *w);
/* Takes a newer list: E_STALE when not newer, E_THRESHOLD / E_UNLISTED / E_SIGNATURE when not
 * signed enough.  Verify-node indices, or more than a tenth of all leased indices newly revoked in
 * one step, need the root's threshold instead of the enrolment threshold. */
MUST enum err trust_revoke(struct trust *t, struct bytes signed_list);
/* Reads without judging, for tools. */
MUST enum err revocations_decode(struct revocations *r, struct digest *fleet, struct bytes *body,
                                 struct bytes signed_list);

/* ---- withdrawal: a signed stop for one release ---- */
struct withdrawal {
    struct digest model; /* model_id */
    struct digest manifest;
    uint32_t root_version;
    uint64_t sequence;
};
MUST enum err withdrawal_encode(const struct withdrawal *wd, const struct digest *fleet,
                                const struct key *keys, const struct sig *sigs, uint32_t count,
                                struct wr *w);
/* The statement that release signers sign (domain "fwswarm-withdraw"). */
void withdrawal_sign(struct sig *out, const struct signer *s, const struct digest *fleet,
                     const struct withdrawal *wd);
/* Threshold of release keys, listed both in its root version and in the newest. */
MUST enum err withdrawal_open(struct withdrawal *out, struct bytes bytes, const struct trust *t);
