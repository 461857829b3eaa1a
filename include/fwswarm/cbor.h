/* CBOR (RFC 8949), strict and deterministic (section 4.2.1), by cursor and without a tree.
 *
 * The reader refuses what signed data must not contain: heads that are not the shortest, indefinite
 * lengths, floats, unsorted or repeated map keys, depth over 16, bytes after the end.  Errors are
 * sticky, as in struct rd: read everything, then ask cbor_end() once.  Byte and text strings are
 * lent from the input.  Text must be UTF-8. */
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
    CBOR_NONE, /* at the end of the input, or after an error */
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

/* The writer emits shortest heads; the caller writes map pairs in bytewise key order (asserted in
 * cbor_w_map scopes is not possible without state, so tests read back what every encoder emits). */
void cbor_w_uint(struct wr *w, uint64_t v);
void cbor_w_int(struct wr *w, int64_t v);
void cbor_w_bstr(struct wr *w, struct bytes b);
void cbor_w_bstr_head(struct wr *w, uint64_t n);
void cbor_w_tstr(struct wr *w, struct bytes b);
void cbor_w_array(struct wr *w, uint64_t n);
void cbor_w_map(struct wr *w, uint64_t n);
void cbor_w_tag(struct wr *w, uint64_t v);
void cbor_w_bool(struct wr *w, bool v);
void cbor_w_null(struct wr *w);
