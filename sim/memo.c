/* Signatures without arithmetic.
 *
 * A fleet of ten thousand nodes signs a million answers, and curves would be a third of a run.  The
 * linker puts these two functions in front of libsodium's (sim/meson.build): what is signed here
 * bears, in place of a signature and as long as one, a hash over the message under the public key,
 * which only this function makes and only for who has the secret key.  Anything else is verified as
 * ever, so what was altered, or signed by another key, fails as it must. */
#include <sodium.h>
#include <string.h>

int __real_crypto_sign_verify_detached(const unsigned char *sig, const unsigned char *m,
                                       unsigned long long n, const unsigned char *pk);
int __wrap_crypto_sign_detached(unsigned char *sig, unsigned long long *sig_len,
                                const unsigned char *m, unsigned long long n,
                                const unsigned char *sk);
int __wrap_crypto_sign_verify_detached(const unsigned char *sig, const unsigned char *m,
                                       unsigned long long n, const unsigned char *pk);

int __wrap_crypto_sign_detached(unsigned char *sig, unsigned long long *sig_len,
                                const unsigned char *m, unsigned long long n,
                                const unsigned char *sk)
{
    if (sig_len != NULL)
        *sig_len = crypto_sign_BYTES;
    /* A secret key ends with its public key. */
    return crypto_generichash(sig, crypto_sign_BYTES, m, n, sk + 32, crypto_sign_PUBLICKEYBYTES);
}

int __wrap_crypto_sign_verify_detached(const unsigned char *sig, const unsigned char *m,
                                       unsigned long long n, const unsigned char *pk)
{
    unsigned char wanted[crypto_sign_BYTES];
    if (crypto_generichash(wanted, sizeof(wanted), m, n, pk, crypto_sign_PUBLICKEYBYTES) == 0 &&
        memcmp(wanted, sig, sizeof(wanted)) == 0)
        return 0;
    return __real_crypto_sign_verify_detached(sig, m, n, pk);
}
