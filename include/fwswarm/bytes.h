/* Bytes: views, fixed-size values, and the sticky big-endian cursors that every codec uses.
 *
 * A view (struct bytes) lends memory and never owns it.  A reader or writer that runs past its end
 * turns its error on and stays there, so a codec checks once, at the end. */
#pragma once

#include "fwswarm/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bytes {
    const uint8_t *p;
    size_t n;
};

struct digest {
    uint8_t b[32];
};

/* An Ed25519 public key; also a node's name. */
struct key {
    uint8_t b[32];
};

struct sig {
    uint8_t b[64];
};

static inline struct bytes bytes_of(const void *p, size_t n)
{
    return (struct bytes){(const uint8_t *)p, n};
}

/* A view of a C string without its terminator. */
struct bytes bytes_str(const char *s);
bool bytes_equal(struct bytes a, struct bytes b);
bool digest_equal(const struct digest *a, const struct digest *b);
bool digest_is_zero(const struct digest *d);
bool key_equal(const struct key *a, const struct key *b);
/* Total order over keys, bytewise: <0, 0, >0. */
int key_compare(const struct key *a, const struct key *b);

/* Lower-case hex with terminator: out has room for 2*n+1. */
void hex_encode(char *out, const uint8_t *p, size_t n);
/* Decodes exactly n bytes from 2*n hex digits; false on anything else (wrong length included). */
bool hex_decode(uint8_t *out, size_t n, const char *hex);

/* ---- reader ---- */
struct rd {
    const uint8_t *p, *end;
    enum err err; /* sticky; E_TRUNCATED when it ran past the end */
};

struct rd rd_of(struct bytes b);
uint8_t rd_u8(struct rd *r);
uint16_t rd_u16(struct rd *r);
uint32_t rd_u32(struct rd *r);
uint64_t rd_u64(struct rd *r);
/* Copies n bytes out (zeroes on error). */
void rd_copy(struct rd *r, void *out, size_t n);
/* Lends the next n bytes (empty on error). */
struct bytes rd_take(struct rd *r, size_t n);
size_t rd_left(const struct rd *r);
/* Sets the error if none is set. */
void rd_fail(struct rd *r, enum err e);
/* The error, or E_TRAILING when bytes are left. */
MUST enum err rd_end(const struct rd *r);

/* ---- writer ---- */
struct wr {
    uint8_t *p, *end, *start;
    enum err err; /* sticky; E_OVERSIZED when it ran past the end */
};

struct wr wr_of(void *p, size_t cap);
void wr_u8(struct wr *w, uint8_t v);
void wr_u16(struct wr *w, uint16_t v);
void wr_u32(struct wr *w, uint32_t v);
void wr_u64(struct wr *w, uint64_t v);
void wr_copy(struct wr *w, const void *p, size_t n);
void wr_bytes(struct wr *w, struct bytes b);
/* Bytes written so far. */
size_t wr_len(const struct wr *w);
/* What was written, lent. */
struct bytes wr_done(const struct wr *w);
