/* A deterministic generator: the ChaCha20 key stream of its seed, 256 bytes at a time.
 *
 * Numbers are read little-endian from the stream, so a seed gives the same numbers on every machine
 * and through any mix of calls with the same sizes.  Used bytes are wiped from the buffer; the seed
 * stays, so an rng is as secret as its seed. */
#include "fwswarm/crypto.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

#define BLOCKS_PER_FILL (sizeof((struct rng *)0)->buf / 64u)

void rng_init(struct rng *r, const uint8_t seed[static 32])
{
    memset(r, 0, sizeof *r);
    memcpy(r->key, seed, sizeof r->key);
    r->used = sizeof r->buf;
}

static void rng_fill(struct rng *r)
{
    static const uint8_t nonce[crypto_stream_chacha20_NONCEBYTES] = {0};
    memset(r->buf, 0, sizeof r->buf);
    (void)crypto_stream_chacha20_xor_ic(r->buf, r->buf, sizeof r->buf, nonce,
                                        r->counter * BLOCKS_PER_FILL, r->key);
    r->counter++;
    r->used = 0;
}

void rng_bytes(struct rng *r, void *out, size_t n)
{
    uint8_t *p = out;
    while (n > 0) {
        if (r->used == sizeof r->buf)
            rng_fill(r);
        size_t take = sizeof r->buf - r->used;
        if (take > n)
            take = n;
        memcpy(p, r->buf + r->used, take);
        memset(r->buf + r->used, 0, take);
        r->used += (uint32_t)take;
        p += take;
        n -= take;
    }
}

uint32_t rng_u32(struct rng *r)
{
    uint8_t b[4];
    rng_bytes(r, b, sizeof b);
    return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

uint64_t rng_u64(struct rng *r)
{
    uint64_t low = rng_u32(r);
    return low | (uint64_t)rng_u32(r) << 32;
}

uint32_t rng_below(struct rng *r, uint32_t n)
{
    assert(n > 0);
    /* 2^32 mod n lowest values are thrown away, so each remainder is left equally often. */
    uint32_t first = (0u - n) % n;
    uint32_t v = rng_u32(r);
    while (v < first)
        v = rng_u32(r);
    return v % n;
}
