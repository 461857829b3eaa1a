/* UUID version 5 is SHA-1 of namespace and name, cut to 16 bytes.  SHA-1 is broken as a promise of
 * uniqueness, which is no matter here: nothing trusts these identifiers.  It is written out because
 * it must not become one of the crypto layer's primitives, where someone might use it. */
#include "uuid.h"

#include <assert.h>
#include <string.h>

const uint8_t uuid_dns[UUID_SIZE] = {0x6b, 0xa7, 0xb8, 0x10, 0x9d, 0xad, 0x11, 0xd1,
                                     0x80, 0xb4, 0x00, 0xc0, 0x4f, 0xd4, 0x30, 0xc8};

static uint32_t rotate(uint32_t v, unsigned n)
{
    return v << n | v >> (32 - n);
}

/* One 64-byte block (FIPS 180-4, section 6.1.2). */
static void sha1_block(uint32_t h[static 5], const uint8_t *p)
{
    uint32_t w[80];
    for (uint32_t i = 0; i < 16; i++, p += 4)
        w[i] = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
    for (uint32_t i = 16; i < 80; i++)
        w[i] = rotate(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    uint32_t a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];
    for (uint32_t i = 0; i < 80; i++) {
        uint32_t f, k;
        if (i < 20) {
            f = (b & c) | (~b & d);
            k = 0x5a827999;
        } else if (i < 40) {
            f = b ^ c ^ d;
            k = 0x6ed9eba1;
        } else if (i < 60) {
            f = (b & c) | (b & d) | (c & d);
            k = 0x8f1bbcdc;
        } else {
            f = b ^ c ^ d;
            k = 0xca62c1d6;
        }
        uint32_t t = rotate(a, 5) + f + e + k + w[i];
        e = d;
        d = c;
        c = rotate(b, 30);
        b = a;
        a = t;
    }
    h[0] += a;
    h[1] += b;
    h[2] += c;
    h[3] += d;
    h[4] += e;
}

void uuid_v5(uint8_t out[static UUID_SIZE], const uint8_t space[static UUID_SIZE],
             struct bytes name)
{
    uint32_t h[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
    uint8_t m[UUID_SIZE + UUID_NAME_MAX + 128];
    assert(name.n <= UUID_NAME_MAX);
    memset(m, 0, sizeof(m));
    memcpy(m, space, UUID_SIZE);
    if (name.n > 0)
        memcpy(m + UUID_SIZE, name.p, name.n);
    size_t n = UUID_SIZE + name.n;
    m[n] = 0x80;
    size_t padded = (n + 1 + 8 + 63) / 64 * 64;
    m[padded - 2] = (uint8_t)(n * 8 >> 8);
    m[padded - 1] = (uint8_t)(n * 8);
    for (size_t i = 0; i < padded; i += 64)
        sha1_block(h, m + i);
    for (uint32_t i = 0; i < UUID_SIZE; i++)
        out[i] = (uint8_t)(h[i / 4] >> (24 - 8 * (i % 4)));
    out[6] = (uint8_t)((out[6] & 0x0f) | 0x50);
    out[8] = (uint8_t)((out[8] & 0x3f) | 0x80);
}
