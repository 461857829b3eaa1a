/* Objects that several people sign: the next root, a revocation list, a withdrawal.
 *
 * All three are [body, [[key, signature], ...]] (src/image/FORMATS.md).  While signatures are
 * missing such an object travels as a file from machine to machine; the verbs `sign` add one and
 * the verbs `merge` put several together.  What a body means and whether it is signed enough is
 * judged by trust.h; here are only its bytes. */
#pragma once

#include "keyring.h"

#define COSIGN_MAX       (2u * ROOT_KEYS_MAX)
#define COSIGN_BYTES_MAX 16384u

struct cosign {
    uint8_t memory[COSIGN_BYTES_MAX]; /* what body points into, when read from a file */
    struct bytes body;
    uint32_t count;
    struct key key[COSIGN_MAX]; /* sorted, distinct */
    struct sig sig[COSIGN_MAX];
};

/* Starts from a body without signatures; body is kept by reference. */
void cosign_start(struct cosign *c, struct bytes body);
int cosign_read(struct cosign *c, const char *path);
/* Adds a signature in its place; one by the same key is replaced.  False when it is full. */
bool cosign_add(struct cosign *c, const struct key *key, const struct sig *sig);
/* Adds another's signatures; the bodies must be equal (false otherwise, or when full). */
bool cosign_merge(struct cosign *c, const struct cosign *other);
/* Drops signatures whose key is not wanted: a verifier refuses strangers. */
void cosign_keep(struct cosign *c, const struct key *wanted, uint32_t count);
/* Encodes; at least one signature must be there. */
struct bytes cosign_encode(const struct cosign *c, uint8_t out[static COSIGN_BYTES_MAX]);
int cosign_write(const struct cosign *c, const char *path, bool force);
