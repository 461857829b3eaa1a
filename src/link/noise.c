/* The XX handshake as the Noise specification writes it: a symmetric state (chaining key, hash,
 * cipher key) and a table of tokens per message.
 *
 * One routine walks the tokens for writing and one for reading.  With a pre-shared key every
 * ephemeral key is mixed into the chaining key too, as section 9.2 asks, so that the first payload
 * is never sealed under the same key twice.  Names of the specification in comments: h, ck, k. */
#include "noise.h"

#include <assert.h>
#include <string.h>

enum token { T_END, T_E, T_S, T_EE, T_ES, T_SE, T_PSK };

#define TOKENS_MAX 5

struct pattern {
    const char *name;
    bool psk;
    enum token tokens[NOISE_MESSAGES][TOKENS_MAX];
};

static const struct pattern patterns[] = {
    [NOISE_XX] = {"Noise_XX_25519_ChaChaPoly_SHA256",
                  false,
                  {{T_E}, {T_E, T_EE, T_S, T_ES}, {T_S, T_SE}}},
    [NOISE_XXPSK0] = {"Noise_XXpsk0_25519_ChaChaPoly_SHA256",
                      true,
                      {{T_PSK, T_E}, {T_E, T_EE, T_S, T_ES}, {T_S, T_SE}}},
};

/* ---- symmetric state ---- */

/* h = HASH(h || data) */
static void mix_hash(struct noise *n, const void *p, size_t len)
{
    struct hash_sha256_state s;
    hash_sha256_init(&s);
    hash_sha256_update(&s, n->hash.b, sizeof n->hash.b);
    hash_sha256_update(&s, p, len);
    hash_sha256_final(&s, &n->hash);
}

static struct bytes ck_bytes(const struct noise *n)
{
    return bytes_of(n->ck.b, sizeof n->ck.b);
}

static void set_key(struct noise *n, struct digest *temp)
{
    memcpy(n->key, temp->b, sizeof n->key);
    crypto_wipe(temp, sizeof *temp);
    n->nonce = 0;
    n->keyed = true;
}

/* ck, k = HKDF(ck, input) */
static void mix_key(struct noise *n, const uint8_t input[static NOISE_KEY])
{
    struct digest ck, k;
    hkdf_sha256(&ck, &k, NULL, ck_bytes(n), bytes_of(input, NOISE_KEY));
    n->ck = ck;
    crypto_wipe(&ck, sizeof ck);
    set_key(n, &k);
}

/* ck, temp_h, k = HKDF(ck, psk); h = HASH(h || temp_h) */
static void mix_key_and_hash(struct noise *n, const uint8_t input[static NOISE_KEY])
{
    struct digest ck, temp_h, k;
    hkdf_sha256(&ck, &temp_h, &k, ck_bytes(n), bytes_of(input, NOISE_KEY));
    n->ck = ck;
    crypto_wipe(&ck, sizeof ck);
    mix_hash(n, temp_h.b, sizeof temp_h.b);
    crypto_wipe(&temp_h, sizeof temp_h);
    set_key(n, &k);
}

/* Bytes that sealing adds now. */
static size_t tag_size(const struct noise *n)
{
    return n->keyed ? AEAD_TAG : 0;
}

/* EncryptAndHash in place: p has room for the tag. */
static void seal_and_hash(struct noise *n, uint8_t *p, size_t len)
{
    size_t tag = tag_size(n);
    if (n->keyed)
        aead_sodium.seal(aead_sodium.ctx, n->key, n->nonce++, bytes_of(n->hash.b, sizeof n->hash.b),
                         p, p, len);
    mix_hash(n, p, len + tag);
}

/* DecryptAndHash: out may be p.  The hash takes the sealed bytes, so it is done first. */
static bool open_and_hash(struct noise *n, uint8_t *out, const uint8_t *p, size_t sealed)
{
    struct digest ad = n->hash;
    mix_hash(n, p, sealed);
    if (!n->keyed) {
        memmove(out, p, sealed);
        return true;
    }
    assert(sealed >= AEAD_TAG);
    return aead_sodium.open(aead_sodium.ctx, n->key, n->nonce++, bytes_of(ad.b, sizeof ad.b), out,
                            p, sealed - AEAD_TAG);
}

/* ---- handshake state ---- */

void noise_init(struct noise *n, enum noise_pattern pattern, bool initiator, struct bytes prologue,
                const uint8_t *psk, const uint8_t static_secret[static 32],
                const uint8_t ephemeral_secret[static 32])
{
    const struct pattern *p = &patterns[pattern];
    memset(n, 0, sizeof *n);
    n->pattern = pattern;
    n->initiator = initiator;
    size_t len = strlen(p->name);
    if (len <= sizeof n->hash.b)
        memcpy(n->hash.b, p->name, len);
    else
        hash_sha256(&n->hash, p->name, len);
    n->ck = n->hash;
    mix_hash(n, prologue.p, prologue.n);
    if (p->psk)
        memcpy(n->psk, psk, sizeof n->psk);
    memcpy(n->s, static_secret, sizeof n->s);
    dh_public(n->s_pub, n->s);
    memcpy(n->e, ephemeral_secret, sizeof n->e);
    dh_public(n->e_pub, n->e);
}

void noise_wipe(struct noise *n)
{
    crypto_wipe(n, sizeof *n);
}

static bool mix_dh(struct noise *n, const uint8_t secret[static NOISE_KEY],
                   const uint8_t pub[static NOISE_KEY])
{
    uint8_t shared[NOISE_KEY];
    bool ok = dh_shared(shared, secret, pub);
    if (ok)
        mix_key(n, shared);
    crypto_wipe(shared, sizeof shared);
    return ok;
}

/* The tokens that read and write alike.  ES is the initiator's ephemeral with the responder's
 * static, whoever sends it. */
static bool mix_token(struct noise *n, enum token t)
{
    switch (t) {
    case T_EE:
        return mix_dh(n, n->e, n->re);
    case T_ES:
        return n->initiator ? mix_dh(n, n->e, n->rs) : mix_dh(n, n->s, n->re);
    case T_SE:
        return n->initiator ? mix_dh(n, n->s, n->re) : mix_dh(n, n->e, n->rs);
    case T_PSK:
        mix_key_and_hash(n, n->psk);
        return true;
    case T_E:
    case T_S:
    case T_END:
        break;
    }
    assert(false); /* has no key to mix */
    return false;
}

static void mix_ephemeral(struct noise *n, const uint8_t pub[static NOISE_KEY])
{
    mix_hash(n, pub, NOISE_KEY);
    if (patterns[n->pattern].psk)
        mix_key(n, pub);
}

/* Even messages are the initiator's. */
static bool our_turn(const struct noise *n)
{
    return n->messages < NOISE_MESSAGES && (n->messages % 2 == 0) == n->initiator;
}

static void write_static(struct noise *n, struct wr *w)
{
    uint8_t sealed[NOISE_KEY + AEAD_TAG];
    memcpy(sealed, n->s_pub, NOISE_KEY);
    size_t len = NOISE_KEY + tag_size(n);
    seal_and_hash(n, sealed, NOISE_KEY);
    wr_copy(w, sealed, len);
}

enum err noise_write_head(struct noise *n, struct wr *w)
{
    assert(our_turn(n));
    const enum token *tokens = patterns[n->pattern].tokens[n->messages];
    for (int i = 0; i < TOKENS_MAX && tokens[i] != T_END; i++) {
        if (tokens[i] == T_E) {
            wr_copy(w, n->e_pub, NOISE_KEY);
            mix_ephemeral(n, n->e_pub);
        } else if (tokens[i] == T_S) {
            write_static(n, w);
        } else if (!mix_token(n, tokens[i])) {
            return E_AUTH;
        }
    }
    return E_OK;
}

void noise_write_payload(struct noise *n, struct wr *w, size_t at)
{
    static const uint8_t room[AEAD_TAG] = {0};
    size_t len = wr_len(w) - at;
    wr_copy(w, room, tag_size(n));
    assert(w->err == E_OK);
    seal_and_hash(n, w->start + at, len);
    n->messages++;
}

static enum err read_static(struct noise *n, struct rd *r)
{
    struct bytes sealed = rd_take(r, NOISE_KEY + tag_size(n));
    if (r->err)
        return r->err;
    return open_and_hash(n, n->rs, sealed.p, sealed.n) ? E_OK : E_AUTH;
}

enum err noise_read_head(struct noise *n, struct bytes msg, size_t *used)
{
    assert(n->messages < NOISE_MESSAGES);
    assert(!our_turn(n));
    struct rd r = rd_of(msg);
    const enum token *tokens = patterns[n->pattern].tokens[n->messages];
    for (int i = 0; i < TOKENS_MAX && tokens[i] != T_END; i++) {
        enum err e = E_OK;
        if (tokens[i] == T_E) {
            rd_copy(&r, n->re, NOISE_KEY);
            e = r.err;
            if (!e)
                mix_ephemeral(n, n->re);
        } else if (tokens[i] == T_S) {
            e = read_static(n, &r);
        } else if (!mix_token(n, tokens[i])) {
            e = E_AUTH;
        }
        if (e)
            return e;
    }
    *used = msg.n - rd_left(&r);
    return E_OK;
}

enum err noise_read_payload(struct noise *n, uint8_t *p, size_t len, struct bytes *payload)
{
    size_t tag = tag_size(n);
    if (len < tag)
        return E_TRUNCATED;
    if (!open_and_hash(n, p, p, len))
        return E_AUTH;
    *payload = bytes_of(p, len - tag);
    n->messages++;
    return E_OK;
}

void noise_split(struct noise *n, struct noise_cipher *send, struct noise_cipher *receive)
{
    assert(n->messages == NOISE_MESSAGES);
    struct digest first, second;
    hkdf_sha256(&first, &second, NULL, ck_bytes(n), bytes_of(NULL, 0));
    memcpy(n->initiator ? send->key : receive->key, first.b, NOISE_KEY);
    memcpy(n->initiator ? receive->key : send->key, second.b, NOISE_KEY);
    send->nonce = 0;
    receive->nonce = 0;
    crypto_wipe(&first, sizeof first);
    crypto_wipe(&second, sizeof second);
    noise_wipe(n);
}

void noise_rekey(struct noise_cipher *c)
{
    uint8_t block[NOISE_KEY + AEAD_TAG] = {0};
    aead_sodium.seal(aead_sodium.ctx, c->key, UINT64_MAX, bytes_of(NULL, 0), block, block,
                     NOISE_KEY);
    memcpy(c->key, block, NOISE_KEY);
    crypto_wipe(block, sizeof block);
}
