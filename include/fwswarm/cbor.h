/* CBOR (RFC 8949), strict and deterministic (section 4.2.1), by cursor and without a tree.
 *
 * The reader refuses what signed data must not contain, each by name:
 *
 *   E_NONCANONICAL  a head that is not the shortest, an indefinite length, map keys out of order
 *   E_DUPLICATE     a map key again
 *   E_FORMAT        another type than the one asked for, a float, `undefined` or another simple
 *                   value, text that is not UTF-8, a map key that is neither number nor string
 *   E_LIMIT         more than CBOR_DEPTH_MAX containers in each other
 *   E_RANGE         an integer that does not fit
 *   E_TRUNCATED     the input or the container ends before the item; a count that the bytes left
 *                   cannot fill, so a loop over a count is bounded by the input's size
 *   E_TRAILING      the input or the container goes on
 *
 * Errors are sticky, as in struct rd: read everything, then ask cbor_end() once.  After an error
 * numbers are 0, strings and counts empty, cbor_peek() says CBOR_NONE.  Byte and text strings are
 * lent from the input.  At depth 0 items may follow each other (a CBOR sequence). */
#pragma once

#include "fwswarm/bytes.h"

#define CBOR_DEPTH_MAX 16u

enum cbor_type {
    CBOR_UINT,
    CBOR_NINT,
    CBOR_BSTR,
    CBOR_TSTR,
    CBOR_ARRAY,
    CBOR_MAP,
    CBOR_TAG,
    CBOR_BOOL,
    CBOR_NULL,
    CBOR_NONE, /* nothing to take: the end of input or container, an error, a refused kind */
};

/* One open container. */
struct cbor_level {
    uint64_t left;           /* items (for a map: keys and values) still to come */
    const uint8_t *prev_key; /* the previous key's encoding, for the order check */
    size_t prev_len;
    bool map, at_key;
};

struct cbor_rd {
    struct rd in;
    struct cbor_level level[CBOR_DEPTH_MAX];
    uint32_t depth;
    bool tagged; /* a tag was read and what it marks was not yet */
};

struct cbor_rd cbor_rd_of(struct bytes b);
/* The type of the next item, without taking it. */
enum cbor_type cbor_peek(const struct cbor_rd *r);
uint64_t cbor_uint(struct cbor_rd *r);
int64_t cbor_int(struct cbor_rd *r); /* signed; E_RANGE outside int64 */
struct bytes cbor_bstr(struct cbor_rd *r);
struct bytes cbor_tstr(struct cbor_rd *r);
bool cbor_bool(struct cbor_rd *r);
void cbor_null(struct cbor_rd *r);
/* Takes a tag; the item it marks comes next and counts for both. */
uint64_t cbor_tag(struct cbor_rd *r);
/* Opens a container and returns its count (pairs for a map); close with cbor_leave after exactly
 * that many items, or E_TRAILING. */
uint64_t cbor_enter_array(struct cbor_rd *r);
uint64_t cbor_enter_map(struct cbor_rd *r);
void cbor_leave(struct cbor_rd *r);
/* Skips one item of any type, checking it as strictly; returns its encoding, lent. */
struct bytes cbor_skip(struct cbor_rd *r);
void cbor_fail(struct cbor_rd *r, enum err e);
MUST enum err cbor_end(const struct cbor_rd *r);

/* The writer.  Heads come out shortest; text that is not UTF-8 sets E_FORMAT.  Counts and the order
 * of map keys are the caller's to keep: write pairs in the bytewise order of their encoded keys.
 * The writer holds no state that could check it, so the tests of each encoder read back what it
 * wrote with the reader above, which does. */
void cbor_w_uint(struct wr *w, uint64_t v);
void cbor_w_int(struct wr *w, int64_t v);
void cbor_w_bstr(struct wr *w, struct bytes b);
/* Only the head of a byte string; the caller writes its n bytes. */
void cbor_w_bstr_head(struct wr *w, uint64_t n);
void cbor_w_tstr(struct wr *w, struct bytes b);
void cbor_w_array(struct wr *w, uint64_t n);
void cbor_w_map(struct wr *w, uint64_t n);
void cbor_w_tag(struct wr *w, uint64_t v);
void cbor_w_bool(struct wr *w, bool v);
void cbor_w_null(struct wr *w);
