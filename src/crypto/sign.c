/* Ed25519 by libsodium, whose verifier also refuses small-order keys and non-canonical signatures.
 *
 * A statement is framed before it is signed: the domain's length comes first and the fleet has a
 * fixed size, so no two (domain, fleet, payload) give the same bytes. */
#include "fwswarm/crypto.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

#define STATEMENT_PAYLOAD_MAX 4096u
#define DOMAIN_MAX            64u

_Static_assert(sizeof((struct signer *)0)->secret == crypto_sign_SECRETKEYBYTES, "secret key size");

void signer_from_seed(struct signer *s, const uint8_t seed[static 32])
{
    (void)crypto_sign_seed_keypair(s->pub.b, s->secret, seed);
}

void signer_wipe(struct signer *s)
{
    crypto_wipe(s, sizeof *s);
}

void sign_make(struct sig *out, const struct signer *s, const void *p, size_t n)
{
    (void)crypto_sign_detached(out->b, NULL, p, n, s->secret);
}

bool sign_verify(const struct sig *sig, const struct key *pub, const void *p, size_t n)
{
    return crypto_sign_verify_detached(sig->b, p, n, pub->b) == 0;
}

struct statement {
    uint8_t b[1 + DOMAIN_MAX + 32 + STATEMENT_PAYLOAD_MAX];
    size_t n;
};

static void statement_frame(struct statement *st, const char *domain, const struct digest *fleet,
                            struct bytes payload)
{
    size_t len = strlen(domain);
    assert(len >= 1);
    assert(len <= DOMAIN_MAX);
    assert(payload.n <= STATEMENT_PAYLOAD_MAX);
    uint8_t *p = st->b;
    *p++ = (uint8_t)len;
    memcpy(p, domain, len);
    p += len;
    memcpy(p, fleet->b, sizeof fleet->b);
    p += sizeof fleet->b;
    if (payload.n > 0)
        memcpy(p, payload.p, payload.n);
    st->n = (size_t)(p - st->b) + payload.n;
}

void sign_statement(struct sig *out, const struct signer *s, const char *domain,
                    const struct digest *fleet, struct bytes payload)
{
    struct statement st;
    statement_frame(&st, domain, fleet, payload);
    sign_make(out, s, st.b, st.n);
}

bool sign_statement_verify(const struct sig *sig, const struct key *pub, const char *domain,
                           const struct digest *fleet, struct bytes payload)
{
    struct statement st;
    statement_frame(&st, domain, fleet, payload);
    return sign_verify(sig, pub, st.b, st.n);
}
