/* Bytes as CBOR: what is skipped as a whole item must come out of the writer as the same bytes, so
 * there is one encoding for each value; and a reader that guesses types at random comes to no
 * harm. */
#include "fwswarm/cbor.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Copies what is left of r, item by item, to w. */
static void copy(struct cbor_rd *r, struct wr *w, uint64_t left[CBOR_DEPTH_MAX + 1])
{
    uint32_t depth = 0;
    left[0] = 1;
    while (r->in.err == E_OK) {
        while (depth > 0 && left[depth] == 0) {
            cbor_leave(r);
            depth--;
        }
        if (left[depth] == 0)
            return;
        enum cbor_type type = cbor_peek(r);
        if (type != CBOR_TAG)
            left[depth]--;
        switch (type) {
        case CBOR_UINT:
            cbor_w_uint(w, cbor_uint(r));
            break;
        case CBOR_NINT:
            cbor_w_int(w, cbor_int(r));
            break;
        case CBOR_BSTR:
            cbor_w_bstr(w, cbor_bstr(r));
            break;
        case CBOR_TSTR:
            cbor_w_tstr(w, cbor_tstr(r));
            break;
        case CBOR_ARRAY:
            left[++depth] = cbor_enter_array(r);
            cbor_w_array(w, left[depth]);
            break;
        case CBOR_MAP:
            left[++depth] = cbor_enter_map(r);
            cbor_w_map(w, left[depth]);
            left[depth] *= 2;
            break;
        case CBOR_TAG:
            cbor_w_tag(w, cbor_tag(r));
            break;
        case CBOR_BOOL:
            cbor_w_bool(w, cbor_bool(r));
            break;
        case CBOR_NULL:
            cbor_null(r);
            cbor_w_null(w);
            break;
        case CBOR_NONE:
            assert(false); /* a whole item was skipped here before */
        }
    }
}

static void check_copy(struct bytes item)
{
    static uint8_t again[1u << 16];
    uint64_t left[CBOR_DEPTH_MAX + 1];
    struct cbor_rd r = cbor_rd_of(item);
    struct wr w = wr_of(again, sizeof again);
    copy(&r, &w, left);
    enum err e = cbor_end(&r);
    assert(e == E_OK || e == E_RANGE); /* a negative number beyond int64 */
    assert(e != E_OK || w.err != E_OK || bytes_equal(wr_done(&w), item));
}

/* Each byte of the choices picks a call. */
static void guess(struct bytes choices, struct bytes input)
{
    struct cbor_rd r = cbor_rd_of(input);
    for (size_t i = 0; i < choices.n; i++) {
        switch (choices.p[i] % 12) {
        case 0:
            (void)cbor_uint(&r);
            break;
        case 1:
            (void)cbor_int(&r);
            break;
        case 2:
            (void)cbor_bstr(&r);
            break;
        case 3:
            (void)cbor_tstr(&r);
            break;
        case 4:
            (void)cbor_bool(&r);
            break;
        case 5:
            cbor_null(&r);
            break;
        case 6:
            (void)cbor_tag(&r);
            break;
        case 7:
            (void)cbor_enter_array(&r);
            break;
        case 8:
            (void)cbor_enter_map(&r);
            break;
        case 9:
            if (r.depth > 0)
                cbor_leave(&r);
            break;
        case 10: {
            struct bytes b = cbor_skip(&r);
            assert(b.n == 0 || (b.p >= input.p && b.p + b.n <= input.p + input.n));
            break;
        }
        default:
            (void)cbor_peek(&r);
            break;
        }
        assert(r.depth <= CBOR_DEPTH_MAX);
    }
    enum err e = cbor_end(&r);
    assert(e == E_OK || r.in.err == E_OK || e == r.in.err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes all = bytes_of(data, size);
    struct cbor_rd r = cbor_rd_of(all);
    while (r.in.err == E_OK && rd_left(&r.in) > 0) {
        struct bytes item = cbor_skip(&r);
        if (r.in.err == E_OK)
            check_copy(item);
    }
    size_t half = size / 2;
    guess(bytes_of(data, half), bytes_of(data + half, size - half));
    return 0;
}
