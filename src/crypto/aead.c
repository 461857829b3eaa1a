/* ChaCha20-Poly1305 (RFC 8439) by libsodium: the sealer that is always there.
 *
 * The 96-bit nonce is Noise's: four zero bytes, then the counter, little-endian.  libsodium works
 * in place and checks the tag before it decrypts. */
#include "fwswarm/crypto.h"

#include <assert.h>
#include <sodium.h>

_Static_assert(crypto_aead_chacha20poly1305_ietf_ABYTES == AEAD_TAG, "tag size");
_Static_assert(crypto_aead_chacha20poly1305_ietf_NPUBBYTES == 12, "nonce size");

static void nonce_put(uint8_t out[12], uint64_t n)
{
    for (int i = 0; i < 4; i++)
        out[i] = 0;
    for (int i = 0; i < 8; i++)
        out[4 + i] = (uint8_t)(n >> (8 * i));
}

static void seal(void *ctx, const uint8_t key[32], uint64_t nonce, struct bytes ad, uint8_t *out,
                 const uint8_t *in, size_t n)
{
    (void)ctx;
    uint8_t npub[12];
    nonce_put(npub, nonce);
    int rc =
        crypto_aead_chacha20poly1305_ietf_encrypt(out, NULL, in, n, ad.p, ad.n, NULL, npub, key);
    assert(rc == 0);
}

static bool open_sealed(void *ctx, const uint8_t key[32], uint64_t nonce, struct bytes ad,
                        uint8_t *out, const uint8_t *in, size_t n)
{
    (void)ctx;
    uint8_t npub[12];
    nonce_put(npub, nonce);
    return crypto_aead_chacha20poly1305_ietf_decrypt(out, NULL, NULL, in, n + AEAD_TAG, ad.p, ad.n,
                                                     npub, key) == 0;
}

const struct aead aead_sodium = {seal, open_sealed, NULL};
