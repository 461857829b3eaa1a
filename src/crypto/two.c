/* Two SHA-256 at once.
 *
 * The processor's instructions for SHA-256 take a few cycles each to answer, and within one hash
 * each waits for the one before it; a second hash, of something else, fits into the waiting.  So
 * two hashes that are fed in step take little longer than one.
 *
 * The instructions hold the eight words of the state as ABEF and CDGH, and do two rounds each; a
 * group below is four rounds, over four words of the message schedule in one register.  The states
 * are libcrypto's own, so what does not fill a block of 64 bytes is left to it. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "fwswarm/crypto.h"

#include <assert.h>
#include <openssl/sha.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>

#define SHA_FAST   __attribute__((target("sha,sse4.1"), always_inline)) static inline
#define SHA_CALLED __attribute__((target("sha,sse4.1"))) static

/* FIPS 180-4, section 4.2.2. */
static const _Alignas(16) uint32_t round_constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

/* One of the two hashes, in registers. */
struct lane {
    __m128i abef, cdgh;
    __m128i w0, w1, w2, w3; /* sixteen words of the schedule */
};

SHA_FAST __m128i load_words(const uint8_t *p)
{
    const __m128i big_endian = _mm_set_epi8(12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3);
    return _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(const void *)p), big_endian);
}

SHA_FAST void lane_load(struct lane *l, const SHA256_CTX *s)
{
    __m128i dcba = _mm_loadu_si128((const __m128i *)(const void *)&s->h[0]);
    __m128i hgfe = _mm_loadu_si128((const __m128i *)(const void *)&s->h[4]);
    __m128i cdab = _mm_shuffle_epi32(dcba, 0xb1);
    __m128i efgh = _mm_shuffle_epi32(hgfe, 0x1b);
    l->abef = _mm_alignr_epi8(cdab, efgh, 8);
    l->cdgh = _mm_blend_epi16(efgh, cdab, 0xf0);
}

SHA_FAST void lane_store(const struct lane *l, SHA256_CTX *s)
{
    __m128i feba = _mm_shuffle_epi32(l->abef, 0x1b);
    __m128i dchg = _mm_shuffle_epi32(l->cdgh, 0xb1);
    _mm_storeu_si128((__m128i *)(void *)&s->h[0], _mm_blend_epi16(feba, dchg, 0xf0));
    _mm_storeu_si128((__m128i *)(void *)&s->h[4], _mm_alignr_epi8(dchg, feba, 8));
}

SHA_FAST void lane_message(struct lane *l, const uint8_t *p)
{
    l->w0 = load_words(p);
    l->w1 = load_words(p + 16);
    l->w2 = load_words(p + 32);
    l->w3 = load_words(p + 48);
}

/* Four rounds over the words w. */
SHA_FAST void rounds(struct lane *l, __m128i w, const uint32_t *constants)
{
    __m128i sum = _mm_add_epi32(w, _mm_load_si128((const __m128i *)(const void *)constants));
    l->cdgh = _mm_sha256rnds2_epu32(l->cdgh, l->abef, sum);
    l->abef = _mm_sha256rnds2_epu32(l->abef, l->cdgh, _mm_shuffle_epi32(sum, 0x0e));
}

/* The four words that follow sixteen. */
SHA_FAST __m128i following(__m128i w0, __m128i w1, __m128i w2, __m128i w3)
{
    __m128i partial = _mm_add_epi32(_mm_sha256msg1_epu32(w0, w1), _mm_alignr_epi8(w3, w2, 4));
    return _mm_sha256msg2_epu32(partial, w3);
}

/* Sixteen rounds of both, in step; the schedule goes on to the next sixteen. */
SHA_FAST void sixteen(struct lane *a, struct lane *b, const uint32_t *constants)
{
    rounds(a, a->w0, constants);
    rounds(b, b->w0, constants);
    a->w0 = following(a->w0, a->w1, a->w2, a->w3);
    b->w0 = following(b->w0, b->w1, b->w2, b->w3);
    rounds(a, a->w1, constants + 4);
    rounds(b, b->w1, constants + 4);
    a->w1 = following(a->w1, a->w2, a->w3, a->w0);
    b->w1 = following(b->w1, b->w2, b->w3, b->w0);
    rounds(a, a->w2, constants + 8);
    rounds(b, b->w2, constants + 8);
    a->w2 = following(a->w2, a->w3, a->w0, a->w1);
    b->w2 = following(b->w2, b->w3, b->w0, b->w1);
    rounds(a, a->w3, constants + 12);
    rounds(b, b->w3, constants + 12);
    a->w3 = following(a->w3, a->w0, a->w1, a->w2);
    b->w3 = following(b->w3, b->w0, b->w1, b->w2);
}

SHA_FAST void last_sixteen(struct lane *a, struct lane *b, const uint32_t *constants)
{
    rounds(a, a->w0, constants);
    rounds(b, b->w0, constants);
    rounds(a, a->w1, constants + 4);
    rounds(b, b->w1, constants + 4);
    rounds(a, a->w2, constants + 8);
    rounds(b, b->w2, constants + 8);
    rounds(a, a->w3, constants + 12);
    rounds(b, b->w3, constants + 12);
}

SHA_FAST void lane_add(struct lane *l, const struct lane *before)
{
    l->abef = _mm_add_epi32(l->abef, before->abef);
    l->cdgh = _mm_add_epi32(l->cdgh, before->cdgh);
}

SHA_CALLED void compress_two(SHA256_CTX *sa, const uint8_t *pa, SHA256_CTX *sb, const uint8_t *pb,
                             size_t blocks)
{
    struct lane a, b;
    lane_load(&a, sa);
    lane_load(&b, sb);
    for (size_t i = 0; i < blocks; i++) {
        const struct lane before_a = a, before_b = b;
        lane_message(&a, pa + i * SHA256_CBLOCK);
        lane_message(&b, pb + i * SHA256_CBLOCK);
        sixteen(&a, &b, round_constants);
        sixteen(&a, &b, round_constants + 16);
        sixteen(&a, &b, round_constants + 32);
        last_sixteen(&a, &b, round_constants + 48);
        lane_add(&a, &before_a);
        lane_add(&b, &before_b);
    }
    lane_store(&a, sa);
    lane_store(&b, sb);
}

bool hash_sha256_two_pays(void)
{
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || (c & bit_SSSE3) == 0 || (c & bit_SSE4_1) == 0)
        return false;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & bit_SHA) != 0;
}

/* libcrypto counts the bits in two words. */
static void count(SHA256_CTX *s, size_t n)
{
    uint64_t bits = ((uint64_t)s->Nh << 32 | s->Nl) + (uint64_t)n * 8;
    s->Nl = (SHA_LONG)bits;
    s->Nh = (SHA_LONG)(bits >> 32);
}

void hash_sha256_update_two(struct hash_sha256_state *a, const void *pa,
                            struct hash_sha256_state *b, const void *pb, size_t n, bool pays)
{
    SHA256_CTX *sa = (SHA256_CTX *)(void *)a->opaque, *sb = (SHA256_CTX *)(void *)b->opaque;
    size_t whole = n - n % SHA256_CBLOCK;
    if (!pays || sa->num != 0 || sb->num != 0)
        whole = 0;
    if (whole > 0) {
        compress_two(sa, pa, sb, pb, whole / SHA256_CBLOCK);
        count(sa, whole);
        count(sb, whole);
    }
    if (whole == n)
        return;
    hash_sha256_update(a, (const uint8_t *)pa + whole, n - whole);
    hash_sha256_update(b, (const uint8_t *)pb + whole, n - whole);
}

#else

bool hash_sha256_two_pays(void)
{
    return false;
}

void hash_sha256_update_two(struct hash_sha256_state *a, const void *pa,
                            struct hash_sha256_state *b, const void *pb, size_t n, bool pays)
{
    (void)pays;
    hash_sha256_update(a, pa, n);
    hash_sha256_update(b, pb, n);
}

#endif
