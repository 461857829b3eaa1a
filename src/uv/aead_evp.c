/* Two contexts, one for each direction, keep the cipher that was fetched once; a record then costs
 * one re-initialisation with key and nonce and no allocation.
 *
 * libcrypto decrypts before it has checked the tag, so what a forged record gave is wiped. */
#include "fwswarm/aead_evp.h"

#include <assert.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>

#define NONCE_SIZE 12

struct aead_evp {
    EVP_CIPHER *cipher;
    EVP_CIPHER_CTX *seal, *open;
};

static void nonce_put(uint8_t out[NONCE_SIZE], uint64_t n)
{
    for (int i = 0; i < 4; i++)
        out[i] = 0;
    for (int i = 0; i < 8; i++)
        out[4 + i] = (uint8_t)(n >> (8 * i));
}

static void seal(void *ctx, const uint8_t key[32], uint64_t nonce, struct bytes ad, uint8_t *out,
                 const uint8_t *in, size_t n)
{
    EVP_CIPHER_CTX *c = ((struct aead_evp *)ctx)->seal;
    uint8_t iv[NONCE_SIZE];
    int len = 0;
    nonce_put(iv, nonce);
    assert(n <= INT_MAX);
    assert(ad.n <= INT_MAX);
    int ok = EVP_EncryptInit_ex2(c, NULL, key, iv, NULL);
    if (ad.n > 0)
        ok = ok && EVP_EncryptUpdate(c, NULL, &len, ad.p, (int)ad.n);
    if (n > 0)
        ok = ok && EVP_EncryptUpdate(c, out, &len, in, (int)n);
    ok = ok && EVP_EncryptFinal_ex(c, out + n, &len);
    ok = ok && EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, AEAD_TAG, out + n);
    assert(ok);
}

static bool open_sealed(void *ctx, const uint8_t key[32], uint64_t nonce, struct bytes ad,
                        uint8_t *out, const uint8_t *in, size_t n)
{
    EVP_CIPHER_CTX *c = ((struct aead_evp *)ctx)->open;
    uint8_t iv[NONCE_SIZE], tag[AEAD_TAG], none[1];
    int len = 0;
    nonce_put(iv, nonce);
    assert(n <= INT_MAX);
    assert(ad.n <= INT_MAX);
    for (size_t i = 0; i < AEAD_TAG; i++)
        tag[i] = in[n + i];
    int ok = EVP_DecryptInit_ex2(c, NULL, key, iv, NULL);
    ok = ok && EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, AEAD_TAG, tag);
    if (ad.n > 0)
        ok = ok && EVP_DecryptUpdate(c, NULL, &len, ad.p, (int)ad.n);
    if (n > 0)
        ok = ok && EVP_DecryptUpdate(c, out, &len, in, (int)n);
    assert(ok);
    if (EVP_DecryptFinal_ex(c, none, &len) == 1)
        return true;
    OPENSSL_cleanse(out, n);
    return false;
}

struct aead_evp *aead_evp_open(void)
{
    static const uint8_t zero[32] = {0};
    struct aead_evp *a = calloc(1, sizeof *a);
    if (a == NULL)
        return NULL;
    a->cipher = EVP_CIPHER_fetch(NULL, "ChaCha20-Poly1305", NULL);
    a->seal = EVP_CIPHER_CTX_new();
    a->open = EVP_CIPHER_CTX_new();
    if (a->cipher && a->seal && a->open &&
        EVP_EncryptInit_ex2(a->seal, a->cipher, zero, zero, NULL) == 1 &&
        EVP_DecryptInit_ex2(a->open, a->cipher, zero, zero, NULL) == 1)
        return a;
    aead_evp_close(a);
    return NULL;
}

void aead_evp_close(struct aead_evp *a)
{
    if (a == NULL)
        return;
    EVP_CIPHER_CTX_free(a->seal);
    EVP_CIPHER_CTX_free(a->open);
    EVP_CIPHER_free(a->cipher);
    free(a);
}

struct aead aead_evp_view(struct aead_evp *a)
{
    return (struct aead){seal, open_sealed, a};
}
