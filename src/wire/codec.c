/* Encodes and decodes every message by one interpreter over the rows of messages.def.
 *
 * A row knows where its field lies in the struct and how it lies on the wire.  There is no case per
 * message, so a new message is a new row and nothing else. */
#include "rows.h"

#include <assert.h>
#include <string.h>

static const struct wire_row rows[] = {
#define MSG(name, id, doc) {WIRE_ROW_MSG, id, 0, 0, #name, doc},
#define FIELD(name, field, kind, cap, doc)                                                         \
    {WIRE_ROW_##kind, 0, cap, offsetof(struct wire_msg, name.field), #field, doc},
#define BODY(name, cap, doc) {WIRE_ROW_BODY, 0, cap, 0, "", doc},
#define END(name)            {WIRE_ROW_END, 0, 0, 0, "", ""},
#include "messages.def"
#undef MSG
#undef FIELD
#undef BODY
#undef END
};

/* The number of each MSG row in rows[]. */
enum row_number {
#define MSG(name, id, doc)                 ROW_##name,
#define FIELD(name, field, kind, cap, doc) ROW_FIELD_##name##_##field,
#define BODY(name, cap, doc)               ROW_BODY_##name,
#define END(name)                          ROW_END_##name,
#include "messages.def"
#undef MSG
#undef FIELD
#undef BODY
#undef END
};

/* One more than the row number of each id, so that 0 says there is none. */
static const uint16_t row_of_id[256] = {
#define MSG(name, id, doc) [id] = ROW_##name + 1,
#define FIELD(name, field, kind, cap, doc)
#define BODY(name, cap, doc)
#define END(name)
#include "messages.def"
#undef MSG
#undef FIELD
#undef BODY
#undef END
};

const struct wire_row *wire_row(uint8_t id)
{
    return row_of_id[id] > 0 ? &rows[row_of_id[id] - 1] : NULL;
}

const char *wire_name(uint8_t id)
{
    const struct wire_row *row = wire_row(id);
    return row != NULL ? row->name : "unknown";
}

uint64_t wire_number(const struct wire_msg *m, const struct wire_row *row)
{
    const uint8_t *at = (const uint8_t *)m + row->offset;
    uint16_t v16;
    uint32_t v32;
    uint64_t v64;
    switch (row->kind) {
    case WIRE_ROW_U8:
        return *at;
    case WIRE_ROW_U16:
        memcpy(&v16, at, sizeof v16);
        return v16;
    case WIRE_ROW_U32:
        memcpy(&v32, at, sizeof v32);
        return v32;
    case WIRE_ROW_U64:
        memcpy(&v64, at, sizeof v64);
        return v64;
    case WIRE_ROW_FIX:
    case WIRE_ROW_VAR:
    case WIRE_ROW_REST:
    case WIRE_ROW_MSG:
    case WIRE_ROW_BODY:
    case WIRE_ROW_END:
        break;
    }
    assert(false);
    return 0;
}

void wire_set_number(struct wire_msg *m, const struct wire_row *row, uint64_t v)
{
    uint8_t *at = (uint8_t *)m + row->offset;
    uint8_t v8 = (uint8_t)v;
    uint16_t v16 = (uint16_t)v;
    uint32_t v32 = (uint32_t)v;
    switch (row->kind) {
    case WIRE_ROW_U8:
        memcpy(at, &v8, sizeof v8);
        return;
    case WIRE_ROW_U16:
        memcpy(at, &v16, sizeof v16);
        return;
    case WIRE_ROW_U32:
        memcpy(at, &v32, sizeof v32);
        return;
    case WIRE_ROW_U64:
        memcpy(at, &v, sizeof v);
        return;
    case WIRE_ROW_FIX:
    case WIRE_ROW_VAR:
    case WIRE_ROW_REST:
    case WIRE_ROW_MSG:
    case WIRE_ROW_BODY:
    case WIRE_ROW_END:
        break;
    }
    assert(false);
}

struct bytes wire_view(const struct wire_msg *m, const struct wire_row *row)
{
    const uint8_t *at = (const uint8_t *)m + row->offset;
    if (row->kind == WIRE_ROW_FIX)
        return bytes_of(at, row->cap);
    assert(row->kind == WIRE_ROW_VAR || row->kind == WIRE_ROW_REST);
    struct bytes b;
    memcpy(&b, at, sizeof b);
    return b;
}

void wire_set_view(struct wire_msg *m, const struct wire_row *row, struct bytes b)
{
    uint8_t *at = (uint8_t *)m + row->offset;
    if (row->kind == WIRE_ROW_FIX) {
        assert(b.n == row->cap);
        memcpy(at, b.p, b.n);
        return;
    }
    assert(row->kind == WIRE_ROW_VAR || row->kind == WIRE_ROW_REST);
    memcpy(at, &b, sizeof b);
}

static void encode_field(struct wr *w, const struct wire_msg *m, const struct wire_row *row)
{
    struct bytes b;
    switch (row->kind) {
    case WIRE_ROW_U8:
        wr_u8(w, (uint8_t)wire_number(m, row));
        return;
    case WIRE_ROW_U16:
        wr_u16(w, (uint16_t)wire_number(m, row));
        return;
    case WIRE_ROW_U32:
        wr_u32(w, (uint32_t)wire_number(m, row));
        return;
    case WIRE_ROW_U64:
        wr_u64(w, wire_number(m, row));
        return;
    case WIRE_ROW_VAR:
    case WIRE_ROW_FIX:
    case WIRE_ROW_REST:
        b = wire_view(m, row);
        assert(b.n <= row->cap);
        if (row->kind == WIRE_ROW_VAR)
            wr_u16(w, (uint16_t)b.n);
        wr_bytes(w, b);
        return;
    case WIRE_ROW_MSG:
    case WIRE_ROW_BODY:
    case WIRE_ROW_END:
        return;
    }
    assert(false);
}

size_t wire_encode(const struct wire_msg *m, uint8_t head[WIRE_HEAD_MAX])
{
    const struct wire_row *row = wire_row((uint8_t)m->id);
    assert(row != NULL);
    struct wr w = wr_of(head, WIRE_HEAD_MAX);
    wr_u8(&w, (uint8_t)m->id);
    for (row++; row->kind != WIRE_ROW_END; row++)
        encode_field(&w, m, row);
    assert(w.err == E_OK);
    return wr_len(&w);
}

/* Takes one field off r; into m, unless m is NULL. */
static void decode_field(struct rd *r, struct wire_msg *m, const struct wire_row *row)
{
    uint64_t v;
    size_t n;
    struct bytes b;
    switch (row->kind) {
    case WIRE_ROW_U8:
    case WIRE_ROW_U16:
    case WIRE_ROW_U32:
    case WIRE_ROW_U64:
        v = row->kind == WIRE_ROW_U8    ? rd_u8(r)
            : row->kind == WIRE_ROW_U16 ? rd_u16(r)
            : row->kind == WIRE_ROW_U32 ? rd_u32(r)
                                        : rd_u64(r);
        if (m != NULL)
            wire_set_number(m, row, v);
        return;
    case WIRE_ROW_FIX:
    case WIRE_ROW_VAR:
    case WIRE_ROW_REST:
        n = row->kind == WIRE_ROW_FIX   ? row->cap
            : row->kind == WIRE_ROW_VAR ? rd_u16(r)
                                        : rd_left(r);
        if (n > row->cap)
            rd_fail(r, E_OVERSIZED);
        b = rd_take(r, n);
        if (m != NULL && r->err == E_OK)
            wire_set_view(m, row, b);
        return;
    case WIRE_ROW_MSG:
    case WIRE_ROW_BODY:
    case WIRE_ROW_END:
        return;
    }
    assert(false);
}

enum err wire_decode(struct wire_msg *m, struct bytes head)
{
    memset(m, 0, sizeof *m);
    if (head.n > WIRE_HEAD_MAX)
        return E_OVERSIZED;
    struct rd r = rd_of(head);
    uint8_t id = rd_u8(&r);
    if (r.err != E_OK)
        return r.err;
    const struct wire_row *row = wire_row(id);
    if (row == NULL)
        return E_UNKNOWN;
    m->id = (enum msg_id)id;
    for (row++; row->kind != WIRE_ROW_END; row++)
        decode_field(&r, m, row);
    return rd_end(&r);
}

enum err wire_split(struct bytes msg, uint8_t *id, struct bytes *head, struct bytes *body)
{
    *id = 0;
    *head = *body = bytes_of(msg.p, 0);
    struct rd r = rd_of(msg);
    *id = rd_u8(&r);
    if (r.err != E_OK)
        return r.err;
    const struct wire_row *row = wire_row(*id);
    if (row == NULL)
        return E_UNKNOWN;
    for (row++; row->kind != WIRE_ROW_END && row->kind != WIRE_ROW_BODY; row++)
        decode_field(&r, NULL, row);
    if (row->kind == WIRE_ROW_END) {
        /* What is wrong with a head is wire_decode's to say. */
        if (msg.n > WIRE_HEAD_MAX)
            return E_OVERSIZED;
        *head = msg;
        return E_OK;
    }
    if (r.err != E_OK)
        return r.err;
    if (rd_left(&r) > row->cap)
        return E_OVERSIZED;
    *body = bytes_of(r.p, rd_left(&r));
    *head = bytes_of(msg.p, msg.n - body->n);
    return E_OK;
}

bool wire_equal(const struct wire_msg *a, const struct wire_msg *b)
{
    if (a->id != b->id)
        return false;
    const struct wire_row *row = wire_row((uint8_t)a->id);
    assert(row != NULL);
    for (row++; row->kind != WIRE_ROW_END; row++) {
        switch (row->kind) {
        case WIRE_ROW_U8:
        case WIRE_ROW_U16:
        case WIRE_ROW_U32:
        case WIRE_ROW_U64:
            if (wire_number(a, row) != wire_number(b, row))
                return false;
            break;
        case WIRE_ROW_FIX:
        case WIRE_ROW_VAR:
        case WIRE_ROW_REST:
            if (!bytes_equal(wire_view(a, row), wire_view(b, row)))
                return false;
            break;
        case WIRE_ROW_MSG:
        case WIRE_ROW_BODY:
        case WIRE_ROW_END:
            break;
        }
    }
    return true;
}
