/* Signatures that were made in this process need not be verified by arithmetic.
 *
 * A fleet of ten thousand nodes verifies each other's signatures a million times, and all of them
 * were made here.  The linker puts these two functions in front of libsodium's (sim/meson.build):
 * signing also notes (key, message, signature), and verifying looks there first.  What was not
 * noted, or was crowded out, is verified as ever, so every answer is the true one. */
#include <sodium.h>
#include <string.h>

#define NOTES 32768u /* a power of two */

struct note {
    unsigned char key[32], message[16], sig[64];
};

static struct note notes[NOTES];

int __real_crypto_sign_detached(unsigned char *sig, unsigned long long *sig_len,
                                const unsigned char *m, unsigned long long n,
                                const unsigned char *sk);
int __real_crypto_sign_verify_detached(const unsigned char *sig, const unsigned char *m,
                                       unsigned long long n, const unsigned char *pk);
int __wrap_crypto_sign_detached(unsigned char *sig, unsigned long long *sig_len,
                                const unsigned char *m, unsigned long long n,
                                const unsigned char *sk);
int __wrap_crypto_sign_verify_detached(const unsigned char *sig, const unsigned char *m,
                                       unsigned long long n, const unsigned char *pk);

/* A signature's first half is a point: as good as random. */
static struct note *note_at(const unsigned char *sig)
{
    return &notes[(sig[0] | (unsigned)sig[1] << 8) & (NOTES - 1)];
}

static void note_make(struct note *out, const unsigned char *sig, const unsigned char *m,
                      unsigned long long n, const unsigned char *pk)
{
    memcpy(out->key, pk, sizeof(out->key));
    memcpy(out->sig, sig, sizeof(out->sig));
    (void)crypto_generichash(out->message, sizeof(out->message), m, n, NULL, 0);
}

int __wrap_crypto_sign_detached(unsigned char *sig, unsigned long long *sig_len,
                                const unsigned char *m, unsigned long long n,
                                const unsigned char *sk)
{
    int status = __real_crypto_sign_detached(sig, sig_len, m, n, sk);
    if (status == 0)
        note_make(note_at(sig), sig, m, n, sk + 32); /* a secret key ends with its public key */
    return status;
}

int __wrap_crypto_sign_verify_detached(const unsigned char *sig, const unsigned char *m,
                                       unsigned long long n, const unsigned char *pk)
{
    struct note wanted;
    note_make(&wanted, sig, m, n, pk);
    if (memcmp(&wanted, note_at(sig), sizeof(wanted)) == 0)
        return 0;
    return __real_crypto_sign_verify_detached(sig, m, n, pk);
}
