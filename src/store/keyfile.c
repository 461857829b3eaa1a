/* Key files: an Ed25519 seed at rest, as text that a person can recognise.
 *
 *   fwswarm-key: 1
 *   kind: release
 *   public: 64 hex digits
 *   cipher: none                             | argon2id13-xchacha20poly1305
 *                                            | ops: 3
 *                                            | memory: 67108864
 *                                            | salt: 32 hex digits
 *                                            | nonce: 48 hex digits
 *   seed: 64 hex digits                      | 96 hex digits
 *
 * One order, one spelling.  A sealed seed authenticates every line above it, so neither kind nor
 * public key can be exchanged under it; a clear one is checked against the public key.  The
 * parameters of Argon2id stand in the file so that they can be raised later, and are bounded when
 * read, because a hostile file must not make us allocate without end.  Every copy of the seed, the
 * derived key and the text that held them is wiped. */
#include "fwswarm/keyfile.h"

#include "fwswarm/store.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define VERSION    1u
#define TEXT_MAX   1024u
#define VALUE_MAX  128u
#define KIND_MAX   16u
#define OPS        3u
#define MEMORY     (UINT64_C(64) << 20)
#define OPS_MAX    64u
#define MEMORY_MAX (UINT64_C(1) << 30)
#define SEED       32u
#define SALT       crypto_pwhash_argon2id_SALTBYTES
#define NONCE      crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define TAG        crypto_aead_xchacha20poly1305_ietf_ABYTES

static const char cipher_none[] = "none", cipher_sealed[] = "argon2id13-xchacha20poly1305";

struct keyfile {
    char kind[KIND_MAX + 1];
    struct key pub;
    bool sealed;
    uint64_t ops, memory;
    uint8_t salt[SALT], nonce[NONCE];
    uint8_t seed[SEED + TAG]; /* sealed, or in clear without a tag */
    size_t head;              /* bytes of the text that a sealed seed authenticates */
};

static bool kind_valid(const char *kind)
{
    size_t n = strlen(kind);
    return n > 0 && n <= KIND_MAX && strspn(kind, "abcdefghijklmnopqrstuvwxyz0123456789-") == n;
}

static enum err derive(uint8_t key[32], const struct keyfile *kf, struct bytes password)
{
    int rc =
        crypto_pwhash_argon2id(key, 32, (const char *)password.p, password.n, kf->salt, kf->ops,
                               (size_t)kf->memory, crypto_pwhash_argon2id_ALG_ARGON2ID13);
    return rc == 0 ? E_OK : E_MEMORY;
}

/* ---- writing ---- */

static void put_line(struct wr *w, const char *name, const char *value)
{
    wr_bytes(w, bytes_str(name));
    wr_copy(w, ": ", 2);
    wr_bytes(w, bytes_str(value));
    wr_u8(w, '\n');
}

static void put_hex(struct wr *w, const char *name, const uint8_t *p, size_t n)
{
    char hex[VALUE_MAX];
    assert(2 * n < sizeof hex);
    hex_encode(hex, p, n);
    put_line(w, name, hex);
    crypto_wipe(hex, sizeof hex);
}

static void put_number(struct wr *w, const char *name, uint64_t v)
{
    char text[24];
    (void)snprintf(text, sizeof text, "%" PRIu64, v);
    put_line(w, name, text);
}

static void put_head(struct wr *w, const struct keyfile *kf)
{
    put_number(w, "fwswarm-key", VERSION);
    put_line(w, "kind", kf->kind);
    put_hex(w, "public", kf->pub.b, sizeof kf->pub.b);
    put_line(w, "cipher", kf->sealed ? cipher_sealed : cipher_none);
    if (!kf->sealed)
        return;
    put_number(w, "ops", kf->ops);
    put_number(w, "memory", kf->memory);
    put_hex(w, "salt", kf->salt, sizeof kf->salt);
    put_hex(w, "nonce", kf->nonce, sizeof kf->nonce);
}

/* Puts the seed line, sealed over what w holds so far. */
static enum err put_seed(struct wr *w, const struct keyfile *kf, const uint8_t seed[SEED],
                         struct bytes password)
{
    if (!kf->sealed) {
        put_hex(w, "seed", seed, SEED);
        return E_OK;
    }
    uint8_t key[32], box[SEED + TAG];
    enum err err = derive(key, kf, password);
    if (!err) {
        int rc = crypto_aead_xchacha20poly1305_ietf_encrypt(box, NULL, seed, SEED, w->start,
                                                            wr_len(w), NULL, kf->nonce, key);
        assert(rc == 0);
        put_hex(w, "seed", box, sizeof box);
    }
    crypto_wipe(key, sizeof key);
    return err;
}

enum err keyfile_write(const char *path, const uint8_t seed[static 32], const char *kind,
                       struct bytes password, bool force)
{
    assert(kind_valid(kind));
    int rc = sodium_init();
    assert(rc >= 0);
    struct keyfile kf = {.sealed = password.n > 0, .ops = OPS, .memory = MEMORY};
    (void)snprintf(kf.kind, sizeof kf.kind, "%s", kind);
    struct signer signer;
    signer_from_seed(&signer, seed);
    kf.pub = signer.pub;
    signer_wipe(&signer);
    randombytes_buf(kf.salt, sizeof kf.salt);
    randombytes_buf(kf.nonce, sizeof kf.nonce);
    uint8_t text[TEXT_MAX];
    struct wr w = wr_of(text, sizeof text);
    put_head(&w, &kf);
    enum err err = put_seed(&w, &kf, seed, password);
    assert(err || w.err == E_OK);
    if (!err)
        err = file_write(path, wr_done(&w), 0600, force);
    crypto_wipe(text, sizeof text);
    return err;
}

/* ---- reading ---- */

/* Takes the line `name: value` off the text. */
static enum err take_line(struct rd *r, const char *name, char value[static VALUE_MAX])
{
    size_t n = strlen(name);
    struct bytes head = rd_take(r, n + 2);
    if (r->err || memcmp(head.p, name, n) != 0 || memcmp(head.p + n, ": ", 2) != 0)
        return E_FORMAT;
    for (size_t i = 0; i < VALUE_MAX; i++) {
        uint8_t c = rd_u8(r);
        if (r->err)
            return E_FORMAT;
        if (c == '\n') {
            value[i] = '\0';
            return i > 0 ? E_OK : E_FORMAT;
        }
        if (c < 0x20 || c > 0x7e)
            return E_FORMAT;
        value[i] = (char)c;
    }
    return E_FORMAT;
}

static enum err take_hex(struct rd *r, const char *name, uint8_t *out, size_t n)
{
    char value[VALUE_MAX];
    enum err err = take_line(r, name, value);
    /* One spelling: hex_decode would take capitals too. */
    if (!err && (strspn(value, "0123456789abcdef") != 2 * n || !hex_decode(out, n, value)))
        err = E_FORMAT;
    crypto_wipe(value, sizeof value);
    return err;
}

/* A decimal number without leading zeroes. */
static enum err take_number(struct rd *r, const char *name, uint64_t max, uint64_t *out)
{
    char value[VALUE_MAX];
    enum err err = take_line(r, name, value);
    if (err || value[0] == '0')
        return E_FORMAT;
    *out = 0;
    for (const char *c = value; *c; c++) {
        if (*c < '0' || *c > '9' || *out > (UINT64_MAX - 9) / 10)
            return E_FORMAT;
        *out = *out * 10 + (uint64_t)(*c - '0');
    }
    return *out > max ? E_FORMAT : E_OK;
}

static enum err parse_sealing(struct rd *r, struct keyfile *kf)
{
    enum err err = take_number(r, "ops", OPS_MAX, &kf->ops);
    if (!err)
        err = take_number(r, "memory", MEMORY_MAX, &kf->memory);
    if (!err)
        err = take_hex(r, "salt", kf->salt, sizeof kf->salt);
    if (!err)
        err = take_hex(r, "nonce", kf->nonce, sizeof kf->nonce);
    if (!err && (kf->ops < crypto_pwhash_argon2id_OPSLIMIT_MIN ||
                 kf->memory < crypto_pwhash_argon2id_MEMLIMIT_MIN))
        err = E_FORMAT;
    return err;
}

static enum err parse(struct keyfile *kf, struct bytes text)
{
    struct rd r = rd_of(text);
    char value[VALUE_MAX];
    uint64_t version;
    enum err err = take_number(&r, "fwswarm-key", UINT64_MAX, &version);
    if (err)
        return err;
    if (version > VERSION)
        return E_NEWER;
    err = take_line(&r, "kind", value);
    if (err || !kind_valid(value))
        return E_FORMAT;
    (void)snprintf(kf->kind, sizeof kf->kind, "%.16s", value);
    err = take_hex(&r, "public", kf->pub.b, sizeof kf->pub.b);
    if (!err)
        err = take_line(&r, "cipher", value);
    if (err)
        return err;
    kf->sealed = strcmp(value, cipher_sealed) == 0;
    if (!kf->sealed && strcmp(value, cipher_none) != 0)
        return E_FORMAT;
    if (kf->sealed)
        err = parse_sealing(&r, kf);
    kf->head = (size_t)(r.p - text.p);
    if (!err)
        err = take_hex(&r, "seed", kf->seed, kf->sealed ? SEED + TAG : SEED);
    if (!err && rd_end(&r) != E_OK)
        err = E_FORMAT;
    return err;
}

/* Reads the text of a file that only its owner may touch. */
static enum err load(const char *path, uint8_t text[static TEXT_MAX], size_t *n)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return err_from_errno(errno);
    struct stat st;
    enum err err = fstat(fd, &st) == 0 ? E_OK : err_from_errno(errno);
    if (!err && !S_ISREG(st.st_mode))
        err = E_FORMAT;
    if (!err && (st.st_mode & 077) != 0)
        err = E_EXPOSED;
    for (*n = 0; !err;) {
        ssize_t got = read(fd, text + *n, TEXT_MAX - *n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            err = err_from_errno(errno);
        if (got <= 0)
            break;
        *n += (size_t)got;
        if (*n == TEXT_MAX)
            err = E_FORMAT;
    }
    (void)close(fd);
    return err;
}

/* The seed in clear. */
static enum err unseal(uint8_t seed[SEED], const struct keyfile *kf, struct bytes text,
                       struct bytes password)
{
    if (!kf->sealed) {
        memcpy(seed, kf->seed, SEED);
        return E_OK;
    }
    if (password.n == 0)
        return E_PASSWORD;
    uint8_t key[32];
    enum err err = derive(key, kf, password);
    if (!err &&
        crypto_aead_xchacha20poly1305_ietf_decrypt(seed, NULL, NULL, kf->seed, sizeof kf->seed,
                                                   text.p, kf->head, kf->nonce, key) != 0)
        err = E_PASSWORD;
    crypto_wipe(key, sizeof key);
    return err;
}

enum err keyfile_read(const char *path, struct signer *out, struct bytes password, bool *encrypted)
{
    int rc = sodium_init();
    assert(rc >= 0);
    uint8_t text[TEXT_MAX], seed[SEED] = {0};
    size_t n;
    struct keyfile kf = {.sealed = false};
    enum err err = load(path, text, &n);
    if (!err)
        err = parse(&kf, bytes_of(text, n));
    *encrypted = !err && kf.sealed;
    if (!err)
        err = unseal(seed, &kf, bytes_of(text, n), password);
    if (!err) {
        signer_from_seed(out, seed);
        if (!key_equal(&out->pub, &kf.pub)) {
            signer_wipe(out);
            err = E_FORMAT;
        }
    }
    crypto_wipe(seed, sizeof seed);
    crypto_wipe(&kf, sizeof kf);
    crypto_wipe(text, sizeof text);
    return err;
}

enum err keyfile_public(const char *path, struct key *out, char kind[static 17])
{
    uint8_t text[TEXT_MAX];
    size_t n;
    struct keyfile kf = {.sealed = false};
    enum err err = load(path, text, &n);
    if (!err)
        err = parse(&kf, bytes_of(text, n));
    if (!err) {
        *out = kf.pub;
        (void)snprintf(kind, KIND_MAX + 1, "%s", kf.kind);
    }
    crypto_wipe(&kf, sizeof kf);
    crypto_wipe(text, sizeof text);
    return err;
}
