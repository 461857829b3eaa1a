/* See field.h.  Each helper names one mistake, so that a rejected object says what is wrong with it
 * and not only that it is. */
#include "field.h"

#include <string.h>

void field_array(struct cbor_rd *r, uint64_t n)
{
    uint64_t count = cbor_enter_array(r);
    if (field_ok(r) && count != n)
        cbor_fail(r, E_FORMAT);
}

uint32_t field_array_upto(struct cbor_rd *r, uint32_t min, uint32_t max)
{
    uint64_t count = cbor_enter_array(r);
    if (field_ok(r) && count < min)
        cbor_fail(r, E_FORMAT);
    if (field_ok(r) && count > max)
        cbor_fail(r, E_LIMIT);
    return field_ok(r) ? (uint32_t)count : 0;
}

void field_map(struct cbor_rd *r, uint64_t n)
{
    uint64_t count = cbor_enter_map(r);
    if (field_ok(r) && count != n)
        cbor_fail(r, count > n ? E_UNKNOWN : E_FORMAT);
}

void field_key(struct cbor_rd *r, int64_t want, int64_t known)
{
    int64_t key = cbor_int(r);
    if (field_ok(r) && key != want)
        cbor_fail(r, key < 1 || key > known ? E_UNKNOWN : E_FORMAT);
}

void field_fixed(struct cbor_rd *r, void *out, size_t n)
{
    struct bytes b = cbor_bstr(r);
    memset(out, 0, n);
    if (!field_ok(r))
        return;
    if (b.n != n)
        cbor_fail(r, E_FORMAT);
    else
        memcpy(out, b.p, n);
}

uint32_t field_u32(struct cbor_rd *r)
{
    uint64_t v = cbor_uint(r);
    if (v > UINT32_MAX)
        cbor_fail(r, E_RANGE);
    return field_ok(r) ? (uint32_t)v : 0;
}

void field_exactly(struct cbor_rd *r, uint64_t want)
{
    uint64_t v = cbor_uint(r);
    if (field_ok(r) && v != want)
        cbor_fail(r, E_UNKNOWN);
}

void field_format(struct cbor_rd *r, uint64_t want)
{
    uint64_t v = cbor_uint(r);
    if (field_ok(r) && v != want)
        cbor_fail(r, E_VERSION);
}

void field_text(struct cbor_rd *r, char *out, size_t max)
{
    struct bytes b = cbor_tstr(r);
    out[0] = '\0';
    if (!field_ok(r))
        return;
    if (b.n > max) {
        cbor_fail(r, E_RANGE);
        return;
    }
    /* Text with a zero byte inside would compare equal to another, shorter name. */
    if (b.n > 0 && memchr(b.p, 0, b.n) != NULL) {
        cbor_fail(r, E_RANGE);
        return;
    }
    if (b.n > 0)
        memcpy(out, b.p, b.n);
    out[b.n] = '\0';
}
