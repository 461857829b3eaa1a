/* Crypto: the few primitives the fleet uses, each a thin name over libsodium or libcrypto.
 *
 * Pure: no allocation, no randomness but what the caller passes in.  Bulk SHA-256 is libcrypto's
 * low-level API (five times libsodium's speed with SHA-NI).  The bulk AEAD of the hosts lives with
 * them, behind struct aead, because libcrypto's needs an allocated context.
 *
 * Every program calls sodium_init() once before anything here: it picks the code for this processor
 * (and is not ours to call, because it opens the system's generator). */
#pragma once

#include "fwswarm/bytes.h"

/* ---- hash ---- */
void hash_sha256(struct digest *out, const void *p, size_t n);

struct hash_sha256_state {
    _Alignas(8) uint8_t opaque[128];
};
void hash_sha256_init(struct hash_sha256_state *s);
void hash_sha256_update(struct hash_sha256_state *s, const void *p, size_t n);
void hash_sha256_final(struct hash_sha256_state *s, struct digest *out);
/* Feeds two hashes n bytes each.  Where it pays, both take little longer than one.  The question
 * whether it does is a slow one for virtual machines: whoever hashes much asks once and keeps the
 * answer. */
bool hash_sha256_two_pays(void);
void hash_sha256_update_two(struct hash_sha256_state *a, const void *pa,
                            struct hash_sha256_state *b, const void *pb, size_t n, bool pays);
/* SHA-256(left || right): an inner node of a BEP 52 tree. */
void hash_pair(struct digest *out, const struct digest *left, const struct digest *right);

/* BLAKE2b-256 over a || b, keyed with domain (1..64 bytes): the fleet's own derivations.  Nothing
 * marks where a ends, so a has one fixed size in each domain. */
void hash_domain(struct digest *out, const char *domain, struct bytes a, struct bytes b);

/* ---- Ed25519 (RFC 8032) ---- */
struct signer {
    struct key pub;
    uint8_t secret[64];
};
void signer_from_seed(struct signer *s, const uint8_t seed[static 32]);
void signer_wipe(struct signer *s);
void sign_make(struct sig *out, const struct signer *s, const void *p, size_t n);
MUST bool sign_verify(const struct sig *sig, const struct key *pub, const void *p, size_t n);

/* A signature over a named statement, so that none can be replayed as another kind or for another
 * fleet.  Signed bytes = u8 len(domain) || domain || fleet || payload.
 * domain <= 64 and payload <= 4096 bytes (asserted). */
void sign_statement(struct sig *out, const struct signer *s, const char *domain,
                    const struct digest *fleet, struct bytes payload);
MUST bool sign_statement_verify(const struct sig *sig, const struct key *pub, const char *domain,
                                const struct digest *fleet, struct bytes payload);

/* ---- X25519 (RFC 7748) ---- */
void dh_public(uint8_t pub[static 32], const uint8_t secret[static 32]);
/* False when the shared secret is all zero (a low-order point). */
MUST bool dh_shared(uint8_t out[static 32], const uint8_t secret[static 32],
                    const uint8_t pub[static 32]);

/* ---- HMAC-SHA-256, HKDF as Noise defines it (section 4.3) ---- */
void hmac_sha256(struct digest *out, struct bytes key, struct bytes data);
void hkdf_sha256(struct digest *out1, struct digest *out2, struct digest *out3 /* may be NULL */,
                 struct bytes chaining_key, struct bytes input);

/* ---- AEAD: ChaCha20-Poly1305 (RFC 8439), nonce = 4 zero bytes || LE64(n) ---- */
#define AEAD_TAG 16u

/* A sealer for one key in one direction.  Hosts pass a faster one; aead_sodium is always there.
 * ctx is the host's (kept while the link lives).  All work in place (out == in is allowed). */
struct aead {
    /* Returns nothing: sealing cannot fail. out has n + AEAD_TAG bytes. */
    void (*seal)(void *ctx, const uint8_t key[32], uint64_t nonce, struct bytes ad, uint8_t *out,
                 const uint8_t *in, size_t n);
    /* in has n + AEAD_TAG bytes, out n.  False when the tag does not verify. */
    bool (*open)(void *ctx, const uint8_t key[32], uint64_t nonce, struct bytes ad, uint8_t *out,
                 const uint8_t *in, size_t n);
    void *ctx;
};
extern const struct aead aead_sodium;

/* ---- deterministic generator: ChaCha20 over a 32-byte seed ---- */
struct rng {
    uint8_t key[32];
    uint64_t counter;
    uint8_t buf[256];
    uint32_t used;
};
void rng_init(struct rng *r, const uint8_t seed[static 32]);
void rng_bytes(struct rng *r, void *out, size_t n);
uint32_t rng_u32(struct rng *r);
uint64_t rng_u64(struct rng *r);
/* Uniform in [0, n), n > 0, without modulo bias. */
uint32_t rng_below(struct rng *r, uint32_t n);

void crypto_wipe(void *p, size_t n);
