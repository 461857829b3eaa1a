/* The signed manifest: a SUIT envelope (draft-ietf-suit-manifest-37 profile) for one image.
 *
 * COSE_Sign1 with Ed25519 (alg -19; -8 accepted from keys the root lists), payload detached,
 * several signatures over one digest.  Facts that SUIT has no field for (fleet, root version, tree
 * root, piece length, model name, version) are one private-use parameter; see src/image/FORMATS.md.
 * The envelope also carries the announce tokens as an integrated payload.  A signature is verified
 * before the manifest inside it is parsed. */
#pragma once

#include "fwswarm/tree.h"
#include "fwswarm/trust.h"

#define MANIFEST_MAX 16384u /* bytes of an envelope */
#define VERSION_MAX  64u    /* bytes of a version string, [A-Za-z0-9._+~-] */
#define SIGNERS_MAX  8u

struct manifest {
    struct digest id; /* SUIT digest: SHA-256 over the bstr-wrapped manifest */
    struct digest fleet;
    uint32_t root_version;
    uint64_t sequence;
    char model[MODEL_MAX + 1];
    char version[VERSION_MAX + 1];
    char vendor[MODEL_MAX + 1];
    struct digest model_id;  /* derived from fleet and model */
    uint64_t size;           /* bytes of the image */
    struct digest digest;    /* flat SHA-256 of the image */
    struct digest tree_root; /* BEP 52 root */
    uint32_t piece_length;
    uint32_t signers_count; /* signatures that verified, distinct listed keys, in file order */
    struct key signers[SIGNERS_MAX];
    struct sig tokens[SIGNERS_MAX]; /* announce token of each signer, same order */
};

/* Releases of a model are ordered by (root version, sequence). <0, 0, >0. */
int release_compare(uint32_t root_a, uint64_t seq_a, uint32_t root_b, uint64_t seq_b);

/* True when s is 1..max bytes of [A-Za-z0-9._+~-]. */
bool release_name_valid(const char *s, size_t max);

/* Encodes the manifest proper (the bytes that key 3 wraps).  Deterministic. */
MUST enum err manifest_encode(const struct manifest *m, struct wr *w);
/* The SUIT digest of an encoded manifest. */
void manifest_id(struct digest *out, struct bytes manifest);
/* One COSE_Sign1 signature over the digest. */
void manifest_sign(struct sig *out, const struct signer *s, const struct digest *id);
/* An announce token: (domain, fleet, root version, model_id, sequence, manifest id). */
void token_sign(struct sig *out, const struct signer *s, const struct manifest *m);
MUST bool token_verify(const struct sig *token, const struct key *signer,
                       const struct digest *fleet, uint32_t root_version,
                       const struct digest *model_id, uint64_t sequence, const struct digest *id);
/* Wraps manifest, signatures and tokens into an envelope; signers sorted by key by the caller. */
MUST enum err envelope_encode(struct bytes manifest, const struct key *signers,
                              const struct sig *sigs, const struct sig *tokens, uint32_t count,
                              struct wr *w);
/* Opens an envelope for use: structure, threshold of distinct listed signers (in the manifest's
 * root version and in the newest), fleet, then the manifest.  Fills out; lends nothing. */
MUST enum err manifest_open(struct manifest *out, struct bytes envelope, const struct trust *t);
/* Reads an envelope without a root: for show and merge.  Signatures are listed, not judged. */
MUST enum err manifest_read(struct manifest *out, struct bytes envelope, struct bytes *manifest,
                            struct sig sigs[SIGNERS_MAX]);
