/* SUIT envelopes and manifests (draft-ietf-suit-manifest-37), in the one profile that the fleet
 * speaks: one component, shared sequence with vendor, class, digest and size, image-match, and
 * optionally an install sequence that fetches a URI and a severed text.
 *
 * This is the codec; what the fields mean to the fleet and who may sign is manifest.c's.  Reading
 * lends from the input.  A command, parameter or member outside the profile is E_UNKNOWN. */
#pragma once

#include "cose.h"
#include "fwswarm/manifest.h"
#include "uuid.h"

#define SUIT_DIGEST_LEN 36u /* an encoded SUIT_Digest: what a COSE signature covers */
#define SUIT_CUSTOM_MAX 512u
#define SUIT_URI_MAX    512u
#define SUIT_TOKENS_KEY "fwswarm.tokens"

struct suit_manifest {
    uint64_t sequence;
    uint8_t vendor_id[UUID_SIZE], class_id[UUID_SIZE];
    struct digest digest; /* of the image */
    uint64_t size;
    struct bytes custom; /* our private parameter's content; empty = absent */
    struct bytes uri;    /* empty = no install sequence */
    bool has_text;
    struct digest text; /* of the severed text, bstr head included */
};

struct suit_envelope {
    struct digest digest; /* as the authentication wrapper states it */
    uint32_t count;
    struct cose_sign1 sig[SIGNERS_MAX];
    struct bytes manifest;
    struct bytes text;   /* empty = absent */
    struct bytes tokens; /* empty = absent */
};

/* SHA-256 over a byte string with its head: the digest of a manifest or of a severed member. */
void suit_digest(struct digest *out, struct bytes content);
/* The SUIT_Digest array that signatures cover. */
void suit_digest_encode(uint8_t out[static SUIT_DIGEST_LEN], const struct digest *d);

MUST enum err suit_manifest_write(const struct suit_manifest *m, struct wr *w);
MUST enum err suit_manifest_read(struct suit_manifest *m, struct bytes in);
MUST enum err suit_envelope_write(const struct suit_envelope *e, struct wr *w);
/* Reads the structure and checks the digest over the manifest (E_HASH), without parsing that. */
MUST enum err suit_envelope_read(struct suit_envelope *e, struct bytes in);
/* A text map that shows vendor, model and version in a stock tool. */
MUST enum err suit_text_write(const char *vendor, const char *model, const char *version,
                              struct wr *w);
