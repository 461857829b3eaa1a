/* Random valid messages, for property tests and fuzzers.
 *
 * Faults sit at the edges, so half of all numbers and lengths are drawn from there. */
#include "rows.h"

#include <assert.h>
#include <string.h>

struct source {
    uint32_t (*draw)(void *);
    void *ctx;
    uint8_t *at; /* where the next view's bytes go */
};

static uint32_t below(struct source *s, uint32_t n)
{
    return s->draw(s->ctx) % n;
}

static uint64_t number(struct source *s, uint64_t max)
{
    switch (below(s, 8)) {
    case 0:
        return 0;
    case 1:
        return max;
    case 2:
        return max / 2 + 1;
    case 3:
        return below(s, 200);
    default:
        return ((uint64_t)s->draw(s->ctx) << 32 | s->draw(s->ctx)) & max;
    }
}

static uint32_t length(struct source *s, const struct wire_row *row)
{
    if (row->kind == WIRE_ROW_FIX)
        return row->cap;
    switch (below(s, 4)) {
    case 0:
        return 0;
    case 1:
        return row->cap;
    default:
        return below(s, row->cap + 1u);
    }
}

static void field(struct source *s, struct wire_msg *m, const struct wire_row *row)
{
    uint32_t n;
    switch (row->kind) {
    case WIRE_ROW_U8:
        wire_set_number(m, row, number(s, UINT8_MAX));
        return;
    case WIRE_ROW_U16:
        wire_set_number(m, row, number(s, UINT16_MAX));
        return;
    case WIRE_ROW_U32:
        wire_set_number(m, row, number(s, UINT32_MAX));
        return;
    case WIRE_ROW_U64:
        wire_set_number(m, row, number(s, UINT64_MAX));
        return;
    case WIRE_ROW_FIX:
    case WIRE_ROW_VAR:
    case WIRE_ROW_REST:
        n = length(s, row);
        for (uint32_t i = 0; i < n; i++)
            s->at[i] = (uint8_t)s->draw(s->ctx);
        wire_set_view(m, row, bytes_of(s->at, n));
        s->at += n;
        return;
    case WIRE_ROW_MSG:
    case WIRE_ROW_BODY:
    case WIRE_ROW_END:
        return;
    }
    assert(false);
}

void wire_random(struct wire_msg *m, uint32_t (*draw)(void *), void *ctx, uint8_t *scratch)
{
    uint8_t ids[256];
    uint32_t count = 0;
    for (uint32_t id = 0; id < 256; id++) {
        if (wire_row((uint8_t)id) != NULL)
            ids[count++] = (uint8_t)id;
    }
    struct source s = {draw, ctx, scratch};
    memset(m, 0, sizeof *m);
    m->id = (enum msg_id)ids[below(&s, count)];
    for (const struct wire_row *row = wire_row((uint8_t)m->id) + 1; row->kind != WIRE_ROW_END;
         row++)
        field(&s, m, row);
}
