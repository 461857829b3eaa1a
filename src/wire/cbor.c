/* Strict CBOR by cursor.
 *
 * Every open container has a level that counts what is still to come and remembers the last key, so
 * the order check costs one memcmp a key.  Each item goes the same way: is one due here, read its
 * head, take its content, count it.  Nothing recurses: cbor_skip() walks with the same levels. */
#include "fwswarm/cbor.h"

#include "fwswarm/utf8.h"

#include <assert.h>
#include <string.h>

/* Major types (RFC 8949, section 3.1). */
enum major { UINT, NINT, BSTR, TSTR, ARRAY, MAP, TAG, SIMPLE };

#define SIMPLE_FALSE 20u
#define SIMPLE_TRUE  21u
#define SIMPLE_NULL  22u

struct cbor_rd cbor_rd_of(struct bytes b)
{
    struct cbor_rd r;
    memset(&r, 0, sizeof r);
    r.in = rd_of(b);
    return r;
}

void cbor_fail(struct cbor_rd *r, enum err e)
{
    rd_fail(&r->in, e);
}

static struct cbor_level *top(struct cbor_rd *r)
{
    return r->depth > 0 ? &r->level[r->depth - 1] : NULL;
}

static enum cbor_type type_of(uint8_t first)
{
    switch ((enum major)(first >> 5)) {
    case UINT:
        return CBOR_UINT;
    case NINT:
        return CBOR_NINT;
    case BSTR:
        return CBOR_BSTR;
    case TSTR:
        return CBOR_TSTR;
    case ARRAY:
        return CBOR_ARRAY;
    case MAP:
        return CBOR_MAP;
    case TAG:
        return CBOR_TAG;
    case SIMPLE:
        break;
    }
    uint8_t value = first & 31u;
    if (value == SIMPLE_FALSE || value == SIMPLE_TRUE)
        return CBOR_BOOL;
    return value == SIMPLE_NULL ? CBOR_NULL : CBOR_NONE;
}

enum cbor_type cbor_peek(const struct cbor_rd *r)
{
    if (rd_left(&r->in) == 0 || (r->depth > 0 && r->level[r->depth - 1].left == 0))
        return CBOR_NONE;
    return type_of(*r->in.p);
}

/* The argument of a head whose first byte was taken (section 3); must be in its shortest form. */
static uint64_t argument(struct rd *in, uint8_t info)
{
    if (info < 24)
        return info;
    uint64_t v, least;
    switch (info) {
    case 24:
        v = rd_u8(in);
        least = 24;
        break;
    case 25:
        v = rd_u16(in);
        least = UINT64_C(1) << 8;
        break;
    case 26:
        v = rd_u32(in);
        least = UINT64_C(1) << 16;
        break;
    case 27:
        v = rd_u64(in);
        least = UINT64_C(1) << 32;
        break;
    case 31: /* indefinite length */
        rd_fail(in, E_NONCANONICAL);
        return 0;
    default: /* 28 to 30 mean nothing */
        rd_fail(in, E_FORMAT);
        return 0;
    }
    if (v < least)
        rd_fail(in, E_NONCANONICAL);
    return in->err == E_OK ? v : 0;
}

/* Takes the head of the next item, which must be of this major type; returns its argument. */
static uint64_t take_head(struct cbor_rd *r, enum major want)
{
    const struct cbor_level *l = top(r);
    if (l != NULL && l->left == 0)
        cbor_fail(r, E_TRUNCATED);
    uint8_t first = rd_u8(&r->in);
    if (r->in.err != E_OK)
        return 0;
    /* Keys are numbers and strings: others have no use here and would need room to compare. */
    if (first >> 5 != want || (l != NULL && l->at_key && want > TSTR)) {
        cbor_fail(r, E_FORMAT);
        return 0;
    }
    uint8_t info = first & 31u;
    if (want == SIMPLE) {
        /* Floats, undefined, break and the unassigned simple values. */
        if (info < SIMPLE_FALSE || info > SIMPLE_NULL)
            cbor_fail(r, E_FORMAT);
        return info;
    }
    uint64_t v = argument(&r->in, info);
    /* An indefinite length exists for strings and containers only. */
    if (info == 31 && (want < BSTR || want == TAG) && r->in.err == E_NONCANONICAL)
        r->in.err = E_FORMAT;
    return v;
}

/* Section 4.2.1: keys rise in the bytewise order of their encodings. */
static void check_key(struct cbor_rd *r, struct cbor_level *l, const uint8_t *start)
{
    size_t n = (size_t)(r->in.p - start);
    if (l->prev_key != NULL) {
        /* No encoding is the beginning of another, so the shorter length decides nothing. */
        int order = memcmp(l->prev_key, start, n < l->prev_len ? n : l->prev_len);
        if (order == 0)
            cbor_fail(r, E_DUPLICATE);
        if (order > 0)
            cbor_fail(r, E_NONCANONICAL);
    }
    l->prev_key = start;
    l->prev_len = n;
}

/* The item that began at start is whole: counts it in the container that is open. */
static void count_item(struct cbor_rd *r, const uint8_t *start)
{
    struct cbor_level *l = top(r);
    r->tagged = false;
    if (r->in.err != E_OK || l == NULL)
        return;
    if (l->map) {
        if (l->at_key)
            check_key(r, l, start);
        l->at_key = !l->at_key;
    }
    l->left--;
}

uint64_t cbor_uint(struct cbor_rd *r)
{
    const uint8_t *start = r->in.p;
    uint64_t v = take_head(r, UINT);
    count_item(r, start);
    return r->in.err == E_OK ? v : 0;
}

int64_t cbor_int(struct cbor_rd *r)
{
    const uint8_t *start = r->in.p;
    bool negative = cbor_peek(r) == CBOR_NINT;
    uint64_t v = take_head(r, negative ? NINT : UINT);
    if (v > INT64_MAX)
        cbor_fail(r, E_RANGE);
    count_item(r, start);
    if (r->in.err != E_OK)
        return 0;
    return negative ? -1 - (int64_t)v : (int64_t)v;
}

static struct bytes string(struct cbor_rd *r, enum major want)
{
    const uint8_t *start = r->in.p;
    uint64_t n = take_head(r, want);
    if (n > rd_left(&r->in))
        cbor_fail(r, E_TRUNCATED);
    struct bytes b = rd_take(&r->in, r->in.err == E_OK ? (size_t)n : 0);
    if (want == TSTR && !utf8_valid(b))
        cbor_fail(r, E_FORMAT);
    count_item(r, start);
    return r->in.err == E_OK ? b : bytes_of(b.p, 0);
}

struct bytes cbor_bstr(struct cbor_rd *r)
{
    return string(r, BSTR);
}

struct bytes cbor_tstr(struct cbor_rd *r)
{
    return string(r, TSTR);
}

bool cbor_bool(struct cbor_rd *r)
{
    const uint8_t *start = r->in.p;
    uint64_t v = take_head(r, SIMPLE);
    if (v == SIMPLE_NULL)
        cbor_fail(r, E_FORMAT);
    count_item(r, start);
    return r->in.err == E_OK && v == SIMPLE_TRUE;
}

void cbor_null(struct cbor_rd *r)
{
    const uint8_t *start = r->in.p;
    if (take_head(r, SIMPLE) != SIMPLE_NULL)
        cbor_fail(r, E_FORMAT);
    count_item(r, start);
}

uint64_t cbor_tag(struct cbor_rd *r)
{
    uint64_t v = take_head(r, TAG);
    /* The tag and what it marks are one item, counted when that comes. */
    r->tagged = r->in.err == E_OK;
    return r->tagged ? v : 0;
}

static uint64_t enter(struct cbor_rd *r, enum major want)
{
    uint64_t n = take_head(r, want);
    /* Each item takes a byte at least, so a count that cannot be true is refused before any loop
     * over it begins. */
    if (n > rd_left(&r->in) / (want == MAP ? 2 : 1))
        cbor_fail(r, E_TRUNCATED);
    if (r->depth == CBOR_DEPTH_MAX)
        cbor_fail(r, E_LIMIT);
    count_item(r, NULL);
    if (r->in.err != E_OK)
        return 0;
    struct cbor_level *l = &r->level[r->depth++];
    *l = (struct cbor_level){want == MAP ? 2 * n : n, NULL, 0, want == MAP, want == MAP};
    return n;
}

uint64_t cbor_enter_array(struct cbor_rd *r)
{
    return enter(r, ARRAY);
}

uint64_t cbor_enter_map(struct cbor_rd *r)
{
    return enter(r, MAP);
}

void cbor_leave(struct cbor_rd *r)
{
    if (r->in.err != E_OK)
        return;
    assert(r->depth > 0);
    if (top(r)->left > 0)
        cbor_fail(r, E_TRAILING);
    else
        r->depth--;
}

/* Takes one head, and its content if it is a string; enters a container. */
static void skip_step(struct cbor_rd *r)
{
    const uint8_t *start = r->in.p;
    switch (cbor_peek(r)) {
    case CBOR_UINT:
        (void)cbor_uint(r);
        return;
    case CBOR_NINT:
        (void)take_head(r, NINT);
        count_item(r, start);
        return;
    case CBOR_BSTR:
        (void)cbor_bstr(r);
        return;
    case CBOR_TSTR:
        (void)cbor_tstr(r);
        return;
    case CBOR_ARRAY:
        (void)cbor_enter_array(r);
        return;
    case CBOR_MAP:
        (void)cbor_enter_map(r);
        return;
    case CBOR_TAG:
        (void)cbor_tag(r);
        return;
    case CBOR_BOOL:
        (void)cbor_bool(r);
        return;
    case CBOR_NULL:
    case CBOR_NONE: /* names what is wrong there */
        cbor_null(r);
        return;
    }
    assert(false);
}

struct bytes cbor_skip(struct cbor_rd *r)
{
    const uint8_t *start = r->in.p;
    uint32_t outside = r->depth;
    do {
        skip_step(r);
        while (r->in.err == E_OK && r->depth > outside && top(r)->left == 0)
            cbor_leave(r);
    } while (r->in.err == E_OK && (r->depth > outside || r->tagged));
    return bytes_of(start, r->in.err == E_OK ? (size_t)(r->in.p - start) : 0);
}

enum err cbor_end(const struct cbor_rd *r)
{
    if (r->in.err != E_OK)
        return r->in.err;
    if (r->tagged)
        return E_TRUNCATED;
    return r->depth > 0 ? E_FORMAT : rd_end(&r->in);
}

/* ---- writer ---- */

static void head(struct wr *w, enum major major, uint64_t v)
{
    uint8_t first = (uint8_t)(major << 5);
    if (v < 24) {
        wr_u8(w, (uint8_t)(first | v));
    } else if (v <= UINT8_MAX) {
        wr_u8(w, first | 24);
        wr_u8(w, (uint8_t)v);
    } else if (v <= UINT16_MAX) {
        wr_u8(w, first | 25);
        wr_u16(w, (uint16_t)v);
    } else if (v <= UINT32_MAX) {
        wr_u8(w, first | 26);
        wr_u32(w, (uint32_t)v);
    } else {
        wr_u8(w, first | 27);
        wr_u64(w, v);
    }
}

void cbor_w_uint(struct wr *w, uint64_t v)
{
    head(w, UINT, v);
}

void cbor_w_int(struct wr *w, int64_t v)
{
    if (v < 0)
        head(w, NINT, (uint64_t)(-1 - v));
    else
        head(w, UINT, (uint64_t)v);
}

void cbor_w_bstr(struct wr *w, struct bytes b)
{
    head(w, BSTR, b.n);
    wr_bytes(w, b);
}

void cbor_w_bstr_head(struct wr *w, uint64_t n)
{
    head(w, BSTR, n);
}

void cbor_w_tstr(struct wr *w, struct bytes b)
{
    if (!utf8_valid(b) && w->err == E_OK)
        w->err = E_FORMAT;
    head(w, TSTR, b.n);
    wr_bytes(w, b);
}

void cbor_w_array(struct wr *w, uint64_t n)
{
    head(w, ARRAY, n);
}

void cbor_w_map(struct wr *w, uint64_t n)
{
    head(w, MAP, n);
}

void cbor_w_tag(struct wr *w, uint64_t v)
{
    head(w, TAG, v);
}

void cbor_w_bool(struct wr *w, bool v)
{
    head(w, SIMPLE, v ? SIMPLE_TRUE : SIMPLE_FALSE);
}

void cbor_w_null(struct wr *w)
{
    head(w, SIMPLE, SIMPLE_NULL);
}
