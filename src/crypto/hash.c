/* Hashes: SHA-256 by libcrypto's low-level calls, BLAKE2b and HMAC by libsodium.
 *
 * The low-level SHA-256 calls are deprecated in favour of EVP, but EVP allocates and fetches; these
 * work on a struct of the caller's and reach SHA-NI all the same.  The one-shot SHA256() is not
 * used because it goes through EVP inside.  HKDF is Noise's own (section 4.3): two or three blocks,
 * empty info, with the chaining key as salt. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "fwswarm/crypto.h"

#include <assert.h>
#include <openssl/sha.h>
#include <sodium.h>
#include <string.h>

_Static_assert(sizeof(SHA256_CTX) <= sizeof(struct hash_sha256_state),
               "SHA256_CTX outgrew its room");

void hash_sha256_init(struct hash_sha256_state *s)
{
    int ok = SHA256_Init((SHA256_CTX *)(void *)s->opaque);
    assert(ok == 1);
}

void hash_sha256_update(struct hash_sha256_state *s, const void *p, size_t n)
{
    int ok = SHA256_Update((SHA256_CTX *)(void *)s->opaque, p, n);
    assert(ok == 1);
}

void hash_sha256_final(struct hash_sha256_state *s, struct digest *out)
{
    int ok = SHA256_Final(out->b, (SHA256_CTX *)(void *)s->opaque);
    assert(ok == 1);
}

void hash_sha256(struct digest *out, const void *p, size_t n)
{
    struct hash_sha256_state s;
    hash_sha256_init(&s);
    hash_sha256_update(&s, p, n);
    hash_sha256_final(&s, out);
}

void hash_pair(struct digest *out, const struct digest *left, const struct digest *right)
{
    struct hash_sha256_state s;
    hash_sha256_init(&s);
    hash_sha256_update(&s, left->b, sizeof left->b);
    hash_sha256_update(&s, right->b, sizeof right->b);
    hash_sha256_final(&s, out);
}

void hash_domain(struct digest *out, const char *domain, struct bytes a, struct bytes b)
{
    size_t n = strlen(domain);
    assert(n >= 1);
    assert(n <= crypto_generichash_KEYBYTES_MAX);
    crypto_generichash_state s;
    (void)crypto_generichash_init(&s, (const unsigned char *)domain, n, sizeof out->b);
    (void)crypto_generichash_update(&s, a.p, a.n);
    (void)crypto_generichash_update(&s, b.p, b.n);
    (void)crypto_generichash_final(&s, out->b, sizeof out->b);
}

void hmac_sha256(struct digest *out, struct bytes key, struct bytes data)
{
    crypto_auth_hmacsha256_state s;
    /* libsodium wants a pointer even to no bytes. */
    (void)crypto_auth_hmacsha256_init(&s, key.n > 0 ? key.p : out->b, key.n);
    (void)crypto_auth_hmacsha256_update(&s, data.p, data.n);
    (void)crypto_auth_hmacsha256_final(&s, out->b);
    crypto_wipe(&s, sizeof s);
}

/* One HKDF block: HMAC(temp_key, previous block || index). */
static void hkdf_block(struct digest *out, const struct digest *temp, const struct digest *previous,
                       uint8_t index)
{
    uint8_t in[33];
    size_t n = 0;
    if (previous) {
        memcpy(in, previous->b, sizeof previous->b);
        n = sizeof previous->b;
    }
    in[n] = index;
    hmac_sha256(out, bytes_of(temp->b, sizeof temp->b), bytes_of(in, n + 1));
    crypto_wipe(in, sizeof in);
}

void hkdf_sha256(struct digest *out1, struct digest *out2, struct digest *out3,
                 struct bytes chaining_key, struct bytes input)
{
    struct digest temp;
    hmac_sha256(&temp, chaining_key, input);
    hkdf_block(out1, &temp, NULL, 1);
    hkdf_block(out2, &temp, out1, 2);
    if (out3)
        hkdf_block(out3, &temp, out2, 3);
    crypto_wipe(&temp, sizeof temp);
}

void crypto_wipe(void *p, size_t n)
{
    sodium_memzero(p, n);
}
