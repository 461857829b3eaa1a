/* Messages: structs and codec, all made from src/wire/messages.def.
 *
 * A *head* is the id byte and the fields; a *body*, where the row has one, is the bytes after it,
 * which the codec never reads (image payload stays opaque).  On a stream a message is u32 length ||
 * head || body.  There is exactly one encoding of each value, so for every accepted head x:
 * encode(decode(x)) == x. */
#pragma once

#include "fwswarm/bytes.h"

#define WIRE_PROTOCOL_MIN 1u
#define WIRE_PROTOCOL_MAX 1u
#define WIRE_HEAD_MAX     1024u
#define WIRE_BODY_MAX     17408u
#define WIRE_LENGTH_BYTES 4u

/* struct msg_have { uint32_t piece; }; ... one for each row.  VAR and REST fields are views lent
 * from the head that was decoded. A message without fields has one unused byte. */
#define U8_FIELD(f, cap)   uint8_t f;
#define U16_FIELD(f, cap)  uint16_t f;
#define U32_FIELD(f, cap)  uint32_t f;
#define U64_FIELD(f, cap)  uint64_t f;
#define FIX_FIELD(f, cap)  uint8_t f[cap];
#define VAR_FIELD(f, cap)  struct bytes f;
#define REST_FIELD(f, cap) struct bytes f;

#define MSG(name, id, doc)                                                                         \
    struct msg_##name {                                                                            \
        uint8_t unused_;
#define FIELD(name, field, kind, cap, doc) kind##_FIELD(field, cap)
#define BODY(name, cap, doc)
#define END(name)                                                                                  \
    }                                                                                              \
    ;
#include "../../src/wire/messages.def"
#undef MSG
#undef FIELD
#undef BODY
#undef END

enum msg_id {
#define MSG(name, id, doc) MSG_##name = id,
#define FIELD(name, field, kind, cap, doc)
#define BODY(name, cap, doc)
#define END(name)
#include "../../src/wire/messages.def"
#undef MSG
#undef FIELD
#undef BODY
#undef END
};

/* Any message, decoded. */
struct wire_msg {
    enum msg_id id;
    union {
#define MSG(name, id, doc) struct msg_##name name;
#define FIELD(name, field, kind, cap, doc)
#define BODY(name, cap, doc)
#define END(name)
#include "../../src/wire/messages.def"
#undef MSG
#undef FIELD
#undef BODY
#undef END
    };
};

/* Encodes id and fields of m; returns the head's length.  The head always fits WIRE_HEAD_MAX;
 * views beyond their cap are our bug (asserted). */
size_t wire_encode(const struct wire_msg *m, uint8_t head[WIRE_HEAD_MAX]);

/* Decodes a head (from the id on, body excluded).  E_UNKNOWN for an id that has no row,
 * E_TRUNCATED, E_TRAILING, E_OVERSIZED. */
MUST enum err wire_decode(struct wire_msg *m, struct bytes head);

/* Splits a message (head || body, without the length) into both.  Uses the row's fixed layout; for
 * rows without BODY the head is everything.  E_UNKNOWN with *id set, E_TRUNCATED, E_OVERSIZED. */
MUST enum err wire_split(struct bytes msg, uint8_t *id, struct bytes *head, struct bytes *body);

/* May this id be ignored when unknown? */
static inline bool wire_ignorable(uint8_t id)
{
    return id >= 128;
}
/* "have", or "unknown". */
const char *wire_name(uint8_t id);
/* One readable line, always terminated; returns its length. */
size_t wire_print(const struct wire_msg *m, char *out, size_t cap);
bool wire_equal(const struct wire_msg *a, const struct wire_msg *b);
/* A random valid message from entropy; views point into scratch (>= WIRE_HEAD_MAX bytes). */
void wire_random(struct wire_msg *m, uint32_t (*draw)(void *), void *ctx, uint8_t *scratch);
/* The protocol document (Markdown), for PROTOCOL.md. */
void wire_document(void (*emit)(void *ctx, const char *text), void *ctx);
