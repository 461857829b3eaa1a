/* UTF-8 by arithmetic: decode the bits, then refuse whatever has a shorter form, is a surrogate, or
 * lies beyond the last code point. */
#include "fwswarm/utf8.h"

size_t utf8_next(struct bytes b, uint32_t *code)
{
    /* The lowest code point that needs that many bytes. */
    static const uint32_t lowest[5] = {0, 0, 0x80, 0x800, 0x10000};
    if (b.n == 0)
        return 0;
    uint8_t first = b.p[0];
    if (first < 0x80) {
        *code = first;
        return 1;
    }
    size_t n = first >= 0xf8 ? 0 : first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc0 ? 2 : 0;
    if (n == 0 || b.n < n)
        return 0;
    uint32_t v = first & (0x7fu >> n);
    for (size_t i = 1; i < n; i++) {
        if ((b.p[i] & 0xc0) != 0x80)
            return 0;
        v = v << 6 | (b.p[i] & 0x3fu);
    }
    if (v < lowest[n] || v > 0x10ffff || (v >= 0xd800 && v <= 0xdfff))
        return 0;
    *code = v;
    return n;
}

bool utf8_valid(struct bytes b)
{
    while (b.n > 0) {
        uint32_t code;
        size_t n = utf8_next(b, &code);
        if (n == 0)
            return false;
        b = bytes_of(b.p + n, b.n - n);
    }
    return true;
}

bool utf8_unsafe(uint32_t code)
{
    return code < 0x20 || (code >= 0x7f && code <= 0x9f) || (code >= 0x2028 && code <= 0x202e) ||
           (code >= 0x2066 && code <= 0x2069);
}
