/* Views, hex, and the two cursors.
 *
 * An empty view may have no address; the cursors then stand on a byte of their own, so that no
 * arithmetic is ever done on NULL. */
#include "fwswarm/bytes.h"

#include <string.h>

struct bytes bytes_str(const char *s)
{
    return bytes_of(s, strlen(s));
}

bool bytes_equal(struct bytes a, struct bytes b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

bool digest_equal(const struct digest *a, const struct digest *b)
{
    return memcmp(a->b, b->b, sizeof a->b) == 0;
}

bool digest_is_zero(const struct digest *d)
{
    static const struct digest zero;
    return digest_equal(d, &zero);
}

bool key_equal(const struct key *a, const struct key *b)
{
    return key_compare(a, b) == 0;
}

int key_compare(const struct key *a, const struct key *b)
{
    return memcmp(a->b, b->b, sizeof a->b);
}

/* ---- hex ---- */

void hex_encode(char *out, const uint8_t *p, size_t n)
{
    static const char digit[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        *out++ = digit[p[i] >> 4];
        *out++ = digit[p[i] & 15];
    }
    *out = '\0';
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool hex_decode(uint8_t *out, size_t n, const char *hex)
{
    /* The first pair that is no pair ends it, a terminator included, so nothing is read beyond. */
    for (size_t i = 0; i < n; i++) {
        int high = hex_value(hex[2 * i]);
        if (high < 0)
            return false;
        int low = hex_value(hex[2 * i + 1]);
        if (low < 0)
            return false;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return hex[2 * n] == '\0';
}

/* ---- reader ---- */

struct rd rd_of(struct bytes b)
{
    static const uint8_t nothing[1];
    if (b.n == 0)
        return (struct rd){b.p != NULL ? b.p : nothing, b.p != NULL ? b.p : nothing, E_OK};
    return (struct rd){b.p, b.p + b.n, E_OK};
}

size_t rd_left(const struct rd *r)
{
    return r->err == E_OK ? (size_t)(r->end - r->p) : 0;
}

void rd_fail(struct rd *r, enum err e)
{
    if (r->err == E_OK)
        r->err = e;
}

struct bytes rd_take(struct rd *r, size_t n)
{
    if (rd_left(r) < n) {
        rd_fail(r, E_TRUNCATED);
        return bytes_of(r->p, 0);
    }
    struct bytes b = bytes_of(r->p, n);
    r->p += n;
    return b;
}

static uint64_t rd_number(struct rd *r, size_t n)
{
    struct bytes b = rd_take(r, n);
    uint64_t v = 0;
    for (size_t i = 0; i < b.n; i++)
        v = v << 8 | b.p[i];
    return v;
}

uint8_t rd_u8(struct rd *r)
{
    return (uint8_t)rd_number(r, 1);
}

uint16_t rd_u16(struct rd *r)
{
    return (uint16_t)rd_number(r, 2);
}

uint32_t rd_u32(struct rd *r)
{
    return (uint32_t)rd_number(r, 4);
}

uint64_t rd_u64(struct rd *r)
{
    return rd_number(r, 8);
}

void rd_copy(struct rd *r, void *out, size_t n)
{
    struct bytes b = rd_take(r, n);
    if (n == 0)
        return;
    if (b.n == n)
        memcpy(out, b.p, n);
    else
        memset(out, 0, n);
}

enum err rd_end(const struct rd *r)
{
    if (r->err != E_OK)
        return r->err;
    return rd_left(r) > 0 ? E_TRAILING : E_OK;
}

/* ---- writer ---- */

struct wr wr_of(void *p, size_t cap)
{
    uint8_t *start = p;
    return (struct wr){start, cap > 0 ? start + cap : start, start, E_OK};
}

/* Room for n bytes, or NULL with the error set. */
static uint8_t *wr_room(struct wr *w, size_t n)
{
    if (w->err == E_OK && (size_t)(w->end - w->p) < n)
        w->err = E_OVERSIZED;
    if (w->err != E_OK || n == 0)
        return NULL;
    uint8_t *at = w->p;
    w->p += n;
    return at;
}

static void wr_number(struct wr *w, uint64_t v, size_t n)
{
    uint8_t *at = wr_room(w, n);
    if (at == NULL)
        return;
    for (size_t i = 0; i < n; i++)
        at[i] = (uint8_t)(v >> 8 * (n - 1 - i));
}

void wr_u8(struct wr *w, uint8_t v)
{
    wr_number(w, v, 1);
}

void wr_u16(struct wr *w, uint16_t v)
{
    wr_number(w, v, 2);
}

void wr_u32(struct wr *w, uint32_t v)
{
    wr_number(w, v, 4);
}

void wr_u64(struct wr *w, uint64_t v)
{
    wr_number(w, v, 8);
}

void wr_copy(struct wr *w, const void *p, size_t n)
{
    uint8_t *at = wr_room(w, n);
    if (at != NULL)
        memcpy(at, p, n);
}

void wr_bytes(struct wr *w, struct bytes b)
{
    wr_copy(w, b.p, b.n);
}

size_t wr_len(const struct wr *w)
{
    return (size_t)(w->p - w->start);
}

struct bytes wr_done(const struct wr *w)
{
    return bytes_of(w->start, wr_len(w));
}
