/* The rows of messages.def as data, for the codec and for what else walks over messages: printer,
 * comparison, generator, document.  Private to src/wire.
 *
 * A message is a WIRE_ROW_MSG row, its field rows in order, a WIRE_ROW_BODY row if it has a body,
 * and a WIRE_ROW_END row. */
#pragma once

#include "fwswarm/wire.h"

enum wire_row_kind {
    WIRE_ROW_MSG,
    WIRE_ROW_U8,
    WIRE_ROW_U16,
    WIRE_ROW_U32,
    WIRE_ROW_U64,
    WIRE_ROW_FIX,
    WIRE_ROW_VAR,
    WIRE_ROW_REST,
    WIRE_ROW_BODY,
    WIRE_ROW_END,
};

struct wire_row {
    enum wire_row_kind kind;
    uint8_t id;      /* of a message */
    uint16_t cap;    /* bytes of a FIX field, most bytes of VAR, REST and BODY */
    uint32_t offset; /* of a field in struct wire_msg */
    const char *name, *doc;
};

/* The MSG row of an id, or NULL. */
const struct wire_row *wire_row(uint8_t id);

/* A number field's value, whatever its width; and the reverse. */
uint64_t wire_number(const struct wire_msg *m, const struct wire_row *row);
void wire_set_number(struct wire_msg *m, const struct wire_row *row, uint64_t v);

/* A FIX, VAR or REST field's bytes, lent; and the reverse (FIX copies, the others lend). */
struct bytes wire_view(const struct wire_msg *m, const struct wire_row *row);
void wire_set_view(struct wire_msg *m, const struct wire_row *row, struct bytes b);
