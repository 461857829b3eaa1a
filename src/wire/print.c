/* A message as one readable line, for logs and for a reader of a failed test:
 *
 *   request piece=3 begin=0 length=16384
 *
 * Bytes are hex, long ones cut with their length; a length-prefixed field of plain text is quoted.
 */
#include "rows.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#define SHOWN_BYTES 32u

struct line {
    char *out;
    size_t cap, n;
};

__attribute__((format(printf, 2, 3))) static void put(struct line *l, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(l->out + l->n, l->cap - l->n, fmt, ap);
    va_end(ap);
    assert(n >= 0);
    /* What does not fit is cut; the terminator keeps its byte. */
    size_t room = l->cap - l->n - 1;
    l->n += (size_t)n < room ? (size_t)n : room;
}

static bool is_text(struct bytes b)
{
    for (size_t i = 0; i < b.n; i++) {
        if (b.p[i] < 0x20 || b.p[i] > 0x7e || b.p[i] == '"' || b.p[i] == '\\')
            return false;
    }
    return b.n > 0;
}

static void put_bytes(struct line *l, struct bytes b, bool maybe_text)
{
    if (maybe_text && is_text(b)) {
        put(l, "\"%.*s\"", (int)b.n, (const char *)b.p);
        return;
    }
    for (size_t i = 0; i < b.n && i < SHOWN_BYTES; i++)
        put(l, "%02x", (unsigned)b.p[i]);
    if (b.n > SHOWN_BYTES)
        put(l, "..(%zu)", b.n);
}

size_t wire_print(const struct wire_msg *m, char *out, size_t cap)
{
    assert(cap > 0);
    struct line l = {out, cap, 0};
    const struct wire_row *row = wire_row((uint8_t)m->id);
    assert(row != NULL);
    put(&l, "%s", row->name);
    for (row++; row->kind != WIRE_ROW_END; row++) {
        switch (row->kind) {
        case WIRE_ROW_U8:
        case WIRE_ROW_U16:
        case WIRE_ROW_U32:
        case WIRE_ROW_U64:
            put(&l, " %s=%" PRIu64, row->name, wire_number(m, row));
            break;
        case WIRE_ROW_FIX:
        case WIRE_ROW_VAR:
        case WIRE_ROW_REST:
            put(&l, " %s=", row->name);
            put_bytes(&l, wire_view(m, row), row->kind == WIRE_ROW_VAR);
            break;
        case WIRE_ROW_MSG:
        case WIRE_ROW_BODY:
        case WIRE_ROW_END:
            break;
        }
    }
    return l.n;
}
