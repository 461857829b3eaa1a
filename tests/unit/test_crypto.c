/* Primitives against the examples of their standards, and the edges that the standards leave open.
 */
#include "fwswarm/crypto.h"

#include <check.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

/* Decodes hex of any length up to cap; gives the number of bytes. */
static size_t unhex(uint8_t *out, size_t cap, const char *hex)
{
    size_t n = strlen(hex) / 2;
    ck_assert_uint_le(n, cap);
    ck_assert(hex_decode(out, n, hex));
    return n;
}

static void assert_hex(const void *p, size_t n, const char *hex)
{
    uint8_t want[512];
    ck_assert_uint_eq(unhex(want, sizeof want, hex), n);
    ck_assert_mem_eq(p, want, n);
}

/* ---- SHA-256: FIPS 180-2 appendix B ---- */
START_TEST(sha256_known)
{
    struct digest d;
    hash_sha256(&d, "abc", 3);
    assert_hex(d.b, 32, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    hash_sha256(&d, "", 0);
    assert_hex(d.b, 32, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    hash_sha256(&d, NULL, 0);
    assert_hex(d.b, 32, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    const char *two = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    hash_sha256(&d, two, strlen(two));
    assert_hex(d.b, 32, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    struct hash_sha256_state s;
    hash_sha256_init(&s);
    uint8_t a[1000];
    memset(a, 'a', sizeof a);
    for (int i = 0; i < 1000; i++)
        hash_sha256_update(&s, a, sizeof a);
    hash_sha256_final(&s, &d);
    assert_hex(d.b, 32, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}
END_TEST

/* Two at once are each what they are alone, whatever the lengths, and wherever they begin. */
START_TEST(sha256_two)
{
    static const size_t sizes[] = {0, 1, 63, 64, 65, 128, 1000, 16384};
    static uint8_t p[2][16384 + 3];
    struct rng r;
    uint8_t seed[32] = {7};
    rng_init(&r, seed);
    rng_bytes(&r, p[0], sizeof p[0]);
    rng_bytes(&r, p[1], sizeof p[1]);
    bool pays = hash_sha256_two_pays();
    for (size_t i = 0; i < 8 * sizeof sizes / sizeof sizes[0]; i++) {
        size_t n = sizes[i / 8], before = i % 8 / 4 * 3, start = i % 4;
        for (int way = 0; way <= (pays ? 1 : 0); way++) {
            struct hash_sha256_state a, b;
            struct digest got, want;
            hash_sha256_init(&a);
            hash_sha256_init(&b);
            hash_sha256_update(&a, p[0], before);
            hash_sha256_update_two(&a, p[0] + before, &b, p[1] + start, n - n % 2, way == 1);
            hash_sha256_update_two(&a, p[0] + before + n - n % 2, &b, p[1] + start + n - n % 2,
                                   n % 2, way == 1);
            hash_sha256_final(&a, &got);
            hash_sha256(&want, p[0], before + n);
            ck_assert_mem_eq(got.b, want.b, 32);
            hash_sha256_final(&b, &got);
            hash_sha256(&want, p[1] + start, n);
            ck_assert_mem_eq(got.b, want.b, 32);
        }
    }
}
END_TEST

/* The count of bits carries from one word of libcrypto's into the other. */
START_TEST(sha256_two_long)
{
    static uint8_t p[1 << 20];
    struct hash_sha256_state a, b, c;
    struct digest got, want;
    bool pays = hash_sha256_two_pays();
    hash_sha256_init(&a);
    hash_sha256_init(&b);
    hash_sha256_init(&c);
    for (uint32_t i = 0; i < 520; i++) {
        hash_sha256_update_two(&a, p, &b, p, sizeof p, pays);
        hash_sha256_update(&c, p, sizeof p);
    }
    hash_sha256_final(&c, &want);
    hash_sha256_final(&a, &got);
    ck_assert_mem_eq(got.b, want.b, 32);
    hash_sha256_final(&b, &got);
    ck_assert_mem_eq(got.b, want.b, 32);
}
END_TEST

START_TEST(sha256_pieces_and_pair)
{
    uint8_t p[300];
    for (size_t i = 0; i < sizeof p; i++)
        p[i] = (uint8_t)(i * 7);
    struct digest whole, split, pair;
    hash_sha256(&whole, p, sizeof p);
    for (size_t cut = 0; cut <= sizeof p; cut += 13) {
        struct hash_sha256_state s;
        hash_sha256_init(&s);
        hash_sha256_update(&s, p, cut);
        hash_sha256_update(&s, p + cut, sizeof p - cut);
        hash_sha256_final(&s, &split);
        ck_assert(digest_equal(&whole, &split));
    }
    struct digest left, right;
    memcpy(left.b, p, 32);
    memcpy(right.b, p + 32, 32);
    hash_pair(&pair, &left, &right);
    hash_sha256(&whole, p, 64);
    ck_assert(digest_equal(&whole, &pair));
    hash_pair(&pair, &right, &left);
    ck_assert(!digest_equal(&whole, &pair));
}
END_TEST

/* ---- BLAKE2b: keyed, so checked against one call of libsodium; RFC 7693 gives no keyed example
 * ---- */
START_TEST(domain_hash)
{
    struct digest a, b;
    uint8_t want[32];
    hash_domain(&a, "fwswarm-test", bytes_str("one"), bytes_str("two"));
    crypto_generichash(want, 32, (const uint8_t *)"onetwo", 6, (const uint8_t *)"fwswarm-test", 12);
    ck_assert_mem_eq(a.b, want, 32);
    hash_domain(&b, "fwswarm-tess", bytes_str("one"), bytes_str("two"));
    ck_assert(!digest_equal(&a, &b));
    hash_domain(&b, "fwswarm-test", bytes_str("one"), bytes_of(NULL, 0));
    ck_assert(!digest_equal(&a, &b));
    char domain[66];
    memset(domain, 'd', 64);
    domain[64] = '\0';
    hash_domain(&b, domain, bytes_of(NULL, 0), bytes_of(NULL, 0));
}
END_TEST

START_TEST(domain_too_long)
{
    char domain[66];
    memset(domain, 'd', 65);
    domain[65] = '\0';
    struct digest d;
    hash_domain(&d, domain, bytes_of(NULL, 0), bytes_of(NULL, 0));
}
END_TEST

START_TEST(domain_empty)
{
    struct digest d;
    hash_domain(&d, "", bytes_of(NULL, 0), bytes_of(NULL, 0));
}
END_TEST

/* ---- HMAC: RFC 4231; HKDF: RFC 5869, whose expansion with empty info is Noise's HKDF ---- */
START_TEST(hmac_known)
{
    struct digest d;
    uint8_t key[131];
    memset(key, 0x0b, 20);
    hmac_sha256(&d, bytes_of(key, 20), bytes_str("Hi There"));
    assert_hex(d.b, 32, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    hmac_sha256(&d, bytes_str("Jefe"), bytes_str("what do ya want for nothing?"));
    assert_hex(d.b, 32, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    memset(key, 0xaa, 131);
    hmac_sha256(&d, bytes_of(key, 131),
                bytes_str("Test Using Larger Than Block-Size Key - Hash Key First"));
    assert_hex(d.b, 32, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}
END_TEST

/* RFC 5869 A.3: zero-length salt and info; the first 42 bytes of two blocks. */
START_TEST(hkdf_known)
{
    uint8_t ikm[22];
    memset(ikm, 0x0b, sizeof ikm);
    struct digest a, b, c, a2, b2;
    hkdf_sha256(&a, &b, NULL, bytes_of(NULL, 0), bytes_of(ikm, sizeof ikm));
    uint8_t okm[64];
    memcpy(okm, a.b, 32);
    memcpy(okm + 32, b.b, 32);
    assert_hex(okm, 42,
               "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"
               "9d201395faa4b61a96c8");
    hkdf_sha256(&a2, &b2, &c, bytes_of(NULL, 0), bytes_of(ikm, sizeof ikm));
    ck_assert(digest_equal(&a, &a2));
    ck_assert(digest_equal(&b, &b2));
    /* The third block by its definition. */
    struct digest prk, want;
    uint8_t in[33];
    hmac_sha256(&prk, bytes_of(NULL, 0), bytes_of(ikm, sizeof ikm));
    memcpy(in, b.b, 32);
    in[32] = 3;
    hmac_sha256(&want, bytes_of(prk.b, 32), bytes_of(in, 33));
    ck_assert(digest_equal(&c, &want));
}
END_TEST

/* ---- Ed25519: RFC 8032 section 7.1, tests 1 to 3 ---- */
struct ed25519_case {
    const char *seed, *pub, *msg, *sig;
};
static const struct ed25519_case ed25519_cases[] = {
    {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
     "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b"
     "4"
     "6bd25bf5f0595bbe24655141438e7a100b"},
    {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
     "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11"
     "d"
     "8c387b2eaeb4302aeeb00d291612bb0c00"},
    {"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
     "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
     "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc"
     "6"
     "594a7c15e9716ed28dc027beceea1ec40a"},
};

START_TEST(ed25519_known)
{
    const struct ed25519_case *c = &ed25519_cases[_i];
    uint8_t seed[32], msg[8];
    unhex(seed, sizeof seed, c->seed);
    size_t n = unhex(msg, sizeof msg, c->msg);
    struct signer s;
    signer_from_seed(&s, seed);
    assert_hex(s.pub.b, 32, c->pub);
    struct sig sig;
    sign_make(&sig, &s, msg, n);
    assert_hex(sig.b, 64, c->sig);
    ck_assert(sign_verify(&sig, &s.pub, msg, n));
    for (size_t bit = 0; bit < 512; bit++) {
        sig.b[bit / 8] ^= (uint8_t)(1u << bit % 8);
        ck_assert(!sign_verify(&sig, &s.pub, msg, n));
        sig.b[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    ck_assert(!sign_verify(&sig, &s.pub, "other", 5));
    struct key pub = s.pub;
    pub.b[0] ^= 1;
    ck_assert(!sign_verify(&sig, &pub, msg, n));
    signer_wipe(&s);
    static const struct signer zero;
    ck_assert_mem_eq(&s, &zero, sizeof s);
}
END_TEST

/* A key of small order would verify an all-zero signature for any message. */
START_TEST(ed25519_small_order)
{
    struct key pub = {{1}};
    struct sig sig = {{1}};
    ck_assert(!sign_verify(&sig, &pub, "m", 1));
    memset(&pub, 0, sizeof pub);
    memset(&sig, 0, sizeof sig);
    ck_assert(!sign_verify(&sig, &pub, "m", 1));
}
END_TEST

START_TEST(statements_are_apart)
{
    uint8_t seed[32] = {7};
    struct signer s;
    signer_from_seed(&s, seed);
    struct digest fleet = {{1}}, other = {{2}};
    struct sig sig;
    struct bytes payload = bytes_str("payload");
    sign_statement(&sig, &s, "fwswarm-a", &fleet, payload);
    ck_assert(sign_statement_verify(&sig, &s.pub, "fwswarm-a", &fleet, payload));
    ck_assert(!sign_statement_verify(&sig, &s.pub, "fwswarm-b", &fleet, payload));
    ck_assert(!sign_statement_verify(&sig, &s.pub, "fwswarm-", &fleet, payload));
    ck_assert(!sign_statement_verify(&sig, &s.pub, "fwswarm-a", &other, payload));
    ck_assert(!sign_statement_verify(&sig, &s.pub, "fwswarm-a", &fleet, bytes_str("payloae")));
    /* The framing is what the header says. */
    uint8_t framed[1 + 9 + 32 + 7];
    framed[0] = 9;
    memcpy(framed + 1, "fwswarm-a", 9);
    memcpy(framed + 10, fleet.b, 32);
    memcpy(framed + 42, "payload", 7);
    ck_assert(sign_verify(&sig, &s.pub, framed, sizeof framed));
    static uint8_t big[4096];
    sign_statement(&sig, &s, "fwswarm-a", &fleet, bytes_of(big, sizeof big));
    ck_assert(sign_statement_verify(&sig, &s.pub, "fwswarm-a", &fleet, bytes_of(big, sizeof big)));
    sign_statement(&sig, &s, "fwswarm-a", &fleet, bytes_of(NULL, 0));
    ck_assert(sign_statement_verify(&sig, &s.pub, "fwswarm-a", &fleet, bytes_of(NULL, 0)));
}
END_TEST

START_TEST(statement_too_long)
{
    static uint8_t big[4097];
    struct signer s = {0};
    struct digest fleet = {{0}};
    struct sig sig;
    sign_statement(&sig, &s, "d", &fleet, bytes_of(big, sizeof big));
}
END_TEST

/* ---- X25519: RFC 7748 sections 5.2 and 6.1 ---- */
START_TEST(x25519_known)
{
    uint8_t k[32], u[32], out[32];
    unhex(k, 32, "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4");
    unhex(u, 32, "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c");
    ck_assert(dh_shared(out, k, u));
    assert_hex(out, 32, "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552");
    unhex(k, 32, "4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d");
    unhex(u, 32, "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493");
    ck_assert(dh_shared(out, k, u));
    assert_hex(out, 32, "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957");
    uint8_t a[32], b[32], pa[32], pb[32], other[32];
    unhex(a, 32, "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a");
    unhex(b, 32, "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb");
    dh_public(pa, a);
    assert_hex(pa, 32, "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
    dh_public(pb, b);
    assert_hex(pb, 32, "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
    ck_assert(dh_shared(out, a, pb));
    ck_assert(dh_shared(other, b, pa));
    ck_assert_mem_eq(out, other, 32);
    assert_hex(out, 32, "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
}
END_TEST

START_TEST(x25519_iterated)
{
    uint8_t k[32] = {9}, u[32] = {9}, out[32];
    for (int i = 1; i <= 1000; i++) {
        ck_assert(dh_shared(out, k, u));
        memcpy(u, k, 32);
        memcpy(k, out, 32);
        if (i == 1)
            assert_hex(k, 32, "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079");
    }
    assert_hex(k, 32, "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51");
}
END_TEST

/* Points of order 1, 2, 4 and 8, and their non-canonical forms: the result would be zero. */
static const char *const low_order[] = {
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
};

START_TEST(x25519_low_order)
{
    uint8_t u[32], k[32], out[32];
    memset(k, 0x5a, sizeof k);
    unhex(u, 32, low_order[_i]);
    ck_assert(!dh_shared(out, k, u));
    u[31] |= 0x80; /* the top bit is ignored, so this is the same point */
    ck_assert(!dh_shared(out, k, u));
}
END_TEST

/* ---- ChaCha20-Poly1305: RFC 8439 appendix A.5, whose nonce begins with four zero bytes ---- */
static const char aead_key[] = "1c9240a5eb55d38af333888604f6b5f0473917c1402b80099dca5cbc207075c0";
static const char aead_ad[] = "f33388860000000000004e91";
static const char aead_plain[] =
    "Internet-Drafts are draft documents valid for a maximum of six months and may be updated, "
    "replaced, or obsoleted by other documents at any time. It is inappropriate to use "
    "Internet-Drafts as reference material or to cite them other than as /\xe2\x80\x9cwork in "
    "progress./\xe2\x80\x9d";
static const char aead_sealed[] =
    "64a0861575861af460f062c79be643bd5e805cfd345cf389f108670ac76c8cb24c6cfc18755d43eea09ee94e382d26"
    "b0"
    "bdb7b73c321b0100d4f03b7f355894cf332f830e710b97ce98c8a84abd0b948114ad176e008d33bd60f982b1ff37c8"
    "55"
    "9797a06ef4f0ef61c186324e2b3506383606907b6a7c02b0f9f6157b53c867e4b9166c767b804d46a59b5216cde7a4"
    "e9"
    "9040c5a40433225ee282a1b0a06c523eaf4534d7f83fa1155b0047718cbc546a0d072b04b3564eea1b422273f54827"
    "1a"
    "0bb2316053fa76991955ebd63159434ecebb4e466dae5a1073a6727627097a1049e617d91d361094fa68f0ff779871"
    "30"
    "305beaba2eda04df997b714d6c6f2c29a6ad5cb4022b02709beead9d67890cbb22392336fea1851f38";
#define AEAD_NONCE UINT64_C(0x0807060504030201)

START_TEST(aead_known)
{
    uint8_t key[32], ad[12], buf[300], out[300];
    size_t n = sizeof aead_plain - 1;
    ck_assert_uint_eq(n, 265);
    unhex(key, 32, aead_key);
    unhex(ad, 12, aead_ad);
    struct bytes a = bytes_of(ad, 12);
    aead_sodium.seal(NULL, key, AEAD_NONCE, a, out, (const uint8_t *)aead_plain, n);
    assert_hex(out, n + AEAD_TAG, aead_sealed);
    ck_assert(aead_sodium.open(NULL, key, AEAD_NONCE, a, buf, out, n));
    ck_assert_mem_eq(buf, aead_plain, n);
    /* In place, both ways. */
    aead_sodium.seal(NULL, key, AEAD_NONCE, a, buf, buf, n);
    ck_assert_mem_eq(buf, out, n + AEAD_TAG);
    ck_assert(aead_sodium.open(NULL, key, AEAD_NONCE, a, buf, buf, n));
    ck_assert_mem_eq(buf, aead_plain, n);
}
END_TEST

START_TEST(aead_refuses)
{
    uint8_t key[32], ad[12], sealed[300], buf[300];
    size_t n = sizeof aead_plain - 1;
    unhex(key, 32, aead_key);
    unhex(ad, 12, aead_ad);
    unhex(sealed, sizeof sealed, aead_sealed);
    for (size_t bit = 0; bit < (n + AEAD_TAG) * 8; bit++) {
        sealed[bit / 8] ^= (uint8_t)(1u << bit % 8);
        ck_assert(!aead_sodium.open(NULL, key, AEAD_NONCE, bytes_of(ad, 12), buf, sealed, n));
        sealed[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    ck_assert(!aead_sodium.open(NULL, key, AEAD_NONCE + 1, bytes_of(ad, 12), buf, sealed, n));
    ck_assert(!aead_sodium.open(NULL, key, AEAD_NONCE, bytes_of(ad, 11), buf, sealed, n));
    ck_assert(!aead_sodium.open(NULL, key, AEAD_NONCE, bytes_of(NULL, 0), buf, sealed, n));
    ck_assert(!aead_sodium.open(NULL, key, AEAD_NONCE, bytes_of(ad, 12), buf, sealed, n - 1));
    key[0] ^= 1;
    ck_assert(!aead_sodium.open(NULL, key, AEAD_NONCE, bytes_of(ad, 12), buf, sealed, n));
}
END_TEST

START_TEST(aead_empty)
{
    uint8_t key[32] = {1}, tag[AEAD_TAG], none[1] = {0};
    aead_sodium.seal(NULL, key, 0, bytes_of(NULL, 0), tag, none, 0);
    ck_assert(aead_sodium.open(NULL, key, 0, bytes_of(NULL, 0), none, tag, 0));
    ck_assert(!aead_sodium.open(NULL, key, UINT64_MAX, bytes_of(NULL, 0), none, tag, 0));
}
END_TEST

/* ---- generator: its stream is ChaCha20's (RFC 8439 appendix A.1, vectors 1 and 2) ---- */
START_TEST(rng_known)
{
    uint8_t seed[32] = {0}, out[128];
    struct rng r;
    rng_init(&r, seed);
    rng_bytes(&r, out, sizeof out);
    assert_hex(out, 128,
               "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7"
               "da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586"
               "9f07e7be5551387a98ba977c732d080dcb0f29a048e3656912c6533e32ee7aed"
               "29b721769ce64e43d57133b074d839d531ed1f28510afb45ace10a1f4b794d6f");
    rng_init(&r, seed);
    ck_assert_uint_eq(rng_u32(&r), 0xade0b876u);
    ck_assert_uint_eq(rng_u64(&r), UINT64_C(0xe56a5d40903df1a0));
}
END_TEST

START_TEST(rng_is_deterministic)
{
    uint8_t seed[32] = {42}, a[5000], b[5000];
    struct rng r;
    rng_init(&r, seed);
    rng_bytes(&r, a, sizeof a);
    rng_init(&r, seed);
    for (size_t at = 0, step = 0; at < sizeof b; at += step, step = step % 300 + 1) {
        if (step > sizeof b - at)
            step = sizeof b - at;
        rng_bytes(&r, b + at, step);
    }
    ck_assert_mem_eq(a, b, sizeof a);
    seed[31] ^= 1;
    rng_init(&r, seed);
    rng_bytes(&r, b, sizeof b);
    ck_assert(memcmp(a, b, sizeof a) != 0);
    /* Blocks differ from each other: the counter counts. */
    for (size_t i = 256; i + 256 <= sizeof a; i += 256)
        ck_assert(memcmp(a, a + i, 256) != 0);
}
END_TEST

START_TEST(rng_below_bounds)
{
    uint8_t seed[32] = {3};
    struct rng r;
    rng_init(&r, seed);
    static const uint32_t bounds[] = {1, 2, 3, 10, 255, 256, 0x7fffffff, 0x80000001, 0xffffffff};
    for (size_t i = 0; i < sizeof bounds / sizeof bounds[0]; i++) {
        for (int j = 0; j < 2000; j++)
            ck_assert_uint_lt(rng_below(&r, bounds[i]), bounds[i]);
    }
    uint32_t count[6] = {0};
    for (int j = 0; j < 60000; j++)
        count[rng_below(&r, 6)]++;
    for (int i = 0; i < 6; i++) {
        ck_assert_uint_gt(count[i], 9500);
        ck_assert_uint_lt(count[i], 10500);
    }
    /* With modulo instead of rejection two thirds would fall into the lower half. */
    uint32_t low = 0;
    for (int j = 0; j < 30000; j++)
        low += rng_below(&r, 0xc0000000u) < 0x60000000u;
    ck_assert_uint_gt(low, 14400);
    ck_assert_uint_lt(low, 15600);
}
END_TEST

START_TEST(rng_below_zero)
{
    uint8_t seed[32] = {3};
    struct rng r;
    rng_init(&r, seed);
    rng_below(&r, 0);
}
END_TEST

static Suite *crypto_suite(void)
{
    Suite *s = suite_create("crypto");
    TCase *t = tcase_create("crypto");
    tcase_add_test(t, sha256_known);
    tcase_add_test(t, sha256_pieces_and_pair);
    tcase_add_test(t, sha256_two);
    tcase_add_test(t, sha256_two_long);
    tcase_add_test(t, domain_hash);
    tcase_add_test_raise_signal(t, domain_too_long, 6);
    tcase_add_test_raise_signal(t, domain_empty, 6);
    tcase_add_test(t, hmac_known);
    tcase_add_test(t, hkdf_known);
    tcase_add_loop_test(t, ed25519_known, 0, sizeof ed25519_cases / sizeof ed25519_cases[0]);
    tcase_add_test(t, ed25519_small_order);
    tcase_add_test(t, statements_are_apart);
    tcase_add_test_raise_signal(t, statement_too_long, 6);
    tcase_add_test(t, x25519_known);
    tcase_add_test(t, x25519_iterated);
    tcase_add_loop_test(t, x25519_low_order, 0, sizeof low_order / sizeof low_order[0]);
    tcase_add_test(t, aead_known);
    tcase_add_test(t, aead_refuses);
    tcase_add_test(t, aead_empty);
    tcase_add_test(t, rng_known);
    tcase_add_test(t, rng_is_deterministic);
    tcase_add_test(t, rng_below_bounds);
    tcase_add_test_raise_signal(t, rng_below_zero, 6);
    tcase_set_timeout(t, 60);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    if (sodium_init() < 0)
        return EXIT_FAILURE;
    SRunner *r = srunner_create(crypto_suite());
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
