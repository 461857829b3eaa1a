/* The protocol document: prose that changes rarely, and tables that come from the rows, so that the
 * document cannot say anything else than the codec does.  Even its examples are encoded by it. */
#include "rows.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#define FLEET_FIRST    32u /* ids below are BitTorrent's */
#define DATAGRAM_FIRST 64u

struct doc {
    void (*emit)(void *ctx, const char *text);
    void *ctx;
};

__attribute__((format(printf, 2, 3))) static void say(const struct doc *d, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    assert(n >= 0 && (size_t)n < sizeof text);
    d->emit(d->ctx, text);
}

static void paragraphs(const struct doc *d, const char *const *text, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        d->emit(d->ctx, text[i]);
        d->emit(d->ctx, "\n");
    }
}
#define PARAGRAPHS(d, text) paragraphs((d), (text), sizeof(text) / sizeof((text)[0]))

/* ---- what the rows say ---- */

/* Least and most bytes of a field. */
static void field_size(const struct wire_row *row, uint32_t *least, uint32_t *most)
{
    *least = *most = 0;
    switch (row->kind) {
    case WIRE_ROW_U8:
        *least = *most = 1;
        return;
    case WIRE_ROW_U16:
        *least = *most = 2;
        return;
    case WIRE_ROW_U32:
        *least = *most = 4;
        return;
    case WIRE_ROW_U64:
        *least = *most = 8;
        return;
    case WIRE_ROW_FIX:
        *least = *most = row->cap;
        return;
    case WIRE_ROW_VAR:
        *least = 2;
        *most = 2u + row->cap;
        return;
    case WIRE_ROW_REST:
        *most = row->cap;
        return;
    case WIRE_ROW_MSG:
    case WIRE_ROW_BODY:
    case WIRE_ROW_END:
        return;
    }
    assert(false);
}

static void head_size(const struct wire_row *msg, uint32_t *least, uint32_t *most,
                      const struct wire_row **body)
{
    *least = *most = 1;
    *body = NULL;
    for (const struct wire_row *row = msg + 1; row->kind != WIRE_ROW_END; row++) {
        uint32_t l, m;
        field_size(row, &l, &m);
        *least += l;
        *most += m;
        if (row->kind == WIRE_ROW_BODY)
            *body = row;
    }
}

static void print_range(const struct doc *d, uint32_t least, uint32_t most)
{
    if (least == most)
        say(d, "%u", least);
    else
        say(d, "%u to %u", least, most);
}

static void print_type(const struct doc *d, const struct wire_row *row)
{
    switch (row->kind) {
    case WIRE_ROW_U8:
        say(d, "u8");
        return;
    case WIRE_ROW_U16:
        say(d, "u16");
        return;
    case WIRE_ROW_U32:
        say(d, "u32");
        return;
    case WIRE_ROW_U64:
        say(d, "u64");
        return;
    case WIRE_ROW_FIX:
        say(d, "%u bytes", (unsigned)row->cap);
        return;
    case WIRE_ROW_VAR:
        say(d, "u16 n, then n <= %u bytes", (unsigned)row->cap);
        return;
    case WIRE_ROW_REST:
        say(d, "the rest, <= %u bytes", (unsigned)row->cap);
        return;
    case WIRE_ROW_BODY:
        say(d, "body, <= %u bytes", (unsigned)row->cap);
        return;
    case WIRE_ROW_MSG:
    case WIRE_ROW_END:
        return;
    }
    assert(false);
}

static void overview(const struct doc *d, uint32_t first, uint32_t end)
{
    say(d, "| id | message | head | body | meaning |\n| ---: | --- | ---: | ---: | --- |\n");
    for (uint32_t id = first; id < end; id++) {
        const struct wire_row *msg = wire_row((uint8_t)id), *body;
        if (msg == NULL)
            continue;
        uint32_t least, most;
        head_size(msg, &least, &most, &body);
        say(d, "| %u | `%s` | ", id, msg->name);
        print_range(d, least, most);
        if (body != NULL)
            say(d, " | <= %u", (unsigned)body->cap);
        else
            say(d, " | ");
        say(d, " | %s |\n", msg->doc);
    }
    say(d, "\n");
}

static void layouts(const struct doc *d, uint32_t first, uint32_t end)
{
    for (uint32_t id = first; id < end; id++) {
        const struct wire_row *msg = wire_row((uint8_t)id);
        if (msg == NULL || msg[1].kind == WIRE_ROW_END)
            continue;
        say(d, "#### %u `%s`\n\n*%s*\n\n", id, msg->name, msg->doc);
        say(d, "| offset | field | type | meaning |\n| ---: | --- | --- | --- |\n");
        uint32_t at = 1;
        bool fixed = true;
        for (const struct wire_row *row = msg + 1; row->kind != WIRE_ROW_END; row++) {
            uint32_t least, most;
            field_size(row, &least, &most);
            if (fixed)
                say(d, "| %u | ", at);
            else
                say(d, "| | ");
            if (row->kind == WIRE_ROW_BODY)
                say(d, "*body* | ");
            else
                say(d, "`%s` | ", row->name);
            print_type(d, row);
            say(d, " | %s |\n", row->doc);
            at += least;
            fixed = fixed && least == most;
        }
        say(d, "\n");
    }
}

static void errors(const struct doc *d)
{
    say(d, "| number | name | meaning |\n| ---: | --- | --- |\n");
    for (unsigned e = 0; e < E_COUNT; e++)
        say(d, "| %u | `%s` | %s |\n", e, err_name((enum err)e), err_text((enum err)e));
}

static void example(const struct doc *d, const struct wire_msg *m, uint32_t body)
{
    char line[256];
    uint8_t head[WIRE_HEAD_MAX];
    size_t n = wire_encode(m, head);
    (void)wire_print(m, line, sizeof line);
    say(d, "    %s%s\n    %08x ", line, body > 0 ? ", and its body" : "", (unsigned)(n + body));
    for (size_t i = 0; i < n; i++)
        say(d, "%02x", (unsigned)head[i]);
    say(d, "%s\n\n", body > 0 ? " ..." : "");
}

/* ---- what is the same whatever the rows are ---- */

static const char *const opening[] = {
    "# The fwswarm protocol\n",
    "This file is printed from `messages.def`, the table that also yields the encoder and the\n"
    "decoder, and from `document.c` beside it; a test fails when it differs. Do not edit it:\n"
    "change the table and print it again (`ninja -C build protocol`).\n",
    "## Framing\n",
    "A **message** is a *head* followed by a *body*. The head is the id byte and the fields;\n"
    "most messages have no body. The codec never reads a body: image payload goes from the\n"
    "link to the storage and back as it is. On a stream each message comes behind its length:\n",
    "    u32 length || head || body            length counts head and body\n",
    "Numbers are unsigned and in network byte order. There is one encoding of each value: a\n"
    "receiver refuses a head that is too short, too long, or has a field beyond its cap, by\n"
    "closing the link with the error's name. A length of 0 is a message without id that only\n"
    "keeps a connection alive.\n",
    "| type | on the wire |\n"
    "| --- | --- |\n"
    "| u8, u16, u32, u64 | 1, 2, 4, 8 bytes, highest first |\n"
    "| *n* bytes | exactly *n* bytes |\n"
    "| u16 n, then n bytes | a length, then that many bytes, up to the cap |\n"
    "| the rest | what is left of the head, up to the cap; always the last field |\n"
    "| body | what is left of the message, up to the cap; always last |\n",
    "Bit maps (`bitfield`, `haves`) have one bit for each piece, the highest bit of the first\n"
    "byte first. A `bitfield` begins at piece 0, has exactly as many bytes as the image's\n"
    "pieces need, and its spare bits are zero. A `haves` begins at piece `first`; its set\n"
    "bits are pieces gained, its clear bits say nothing.\n",
};

static const char *const classes[] = {
    "## Classes of links\n",
    "| class | carried by | far end | ids | in this version |\n"
    "| --- | --- | --- | --- | --- |\n"
    "| fleet | TCP, Noise, records | a member, proven by key and certificate | all but 64 | yes |\n"
    "| datagram | UDP to a link-local multicast group | anyone on the segment | 64 | yes |\n"
    "| bt | TCP in the clear | any BitTorrent v2 client | 0 to 31 | no |\n"
    "| http | HTTP range requests | a mirror | none | no |\n",
    "Block messages have BitTorrent's ids and layouts (BEP 3, 6, 10, 52), so that one state\n"
    "machine can serve both a fleet link and a stock client. Hashes are those of BEP 52, over\n"
    "blocks of 16 KiB.\n",
    "On a **fleet** link the stream starts with the handshake of\n"
    "`Noise_XXpsk0_25519_ChaChaPoly_SHA256` and goes on in records, each a u16 length and a\n"
    "ChaCha20-Poly1305 ciphertext. A record holds whole messages; no message spans records.\n"
    "The handshake also brings each side the signed roots and the revocation list that it\n"
    "lacks, before it judges the other's certificate; its layout is described in `src/link`.\n"
    "The first message both ways is `hello`. Then come `state` and `offer`, and again\n"
    "whenever what they say changes.\n",
    "One fleet link carries any number of images. `open` binds a slot, a number of the\n"
    "sender's choice, to a manifest digest. `select` names the slot that the sender's next\n"
    "messages about blocks (ids 0 to 31, `haves`, `donthave`, `bad_block`) belong to, until\n"
    "its next `select`. Each direction has slots and a selection of its own. The first word\n"
    "on a slot is one of `bitfield`, `have_all` and `have_none`. Each `request` is answered\n"
    "once, by `piece` or by `reject`.\n",
    "### What a stranger learns\n",
    "The handshake's pre-shared key is derived from the fleet id (keyed BLAKE2b, domain\n"
    "`fwswarm-psk`), which is also part of the prologue. The fleet id is no public fact, but\n"
    "every device carries it in the fleet's root.\n",
    "- **A prober without the fleet id** gets no byte that tells it anything: its first\n"
    "  message does not authenticate, and the listener closes. It learns that something\n"
    "  listens.\n"
    "- **A prober with the fleet id but without a certificate** can read the listener's\n"
    "  answer: its key, its certificate with index, role and model id, and signed roots. It\n"
    "  comes no further: its own certificate is judged before any message is taken.\n"
    "- **An eavesdropper** sees addresses, sizes and times; sizes tell how much of an image\n"
    "  moved. With the fleet id it also reads the version numbers in the first handshake\n"
    "  message, and nothing after it, because the rest depends on ephemeral keys.\n"
    "- **On the LAN** the datagram is in the clear: a shortened hash of the fleet id, a model\n"
    "  id that is keyed with the fleet, the newest release by number and digest, a per-boot\n"
    "  random id and a port. It names neither device nor model; who has the fleet id can try\n"
    "  names of models.\n",
    "## Evolution\n",
    "- A fleet is mixed by definition. `hello` gives the versions spoken; the highest common\n"
    "  one is used, and without one the link closes with `version`. Unknown feature bits are\n"
    "  ignored.\n"
    "- A layout never changes: another layout is another id, and no field is ever added to a\n"
    "  message.\n"
    "- An unknown id of 128 or above is ignored; one below 128 closes the link with\n"
    "  `unknown`. So what may be overlooked gets a high id, and what must be understood a low\n"
    "  one, sent only under a version or a feature bit that says it will be.\n"
    "- Error numbers keep their meaning; new ones come at the end.\n",
};

static void limits(const struct doc *d)
{
    say(d, "## Limits\n\n| what | bytes |\n| --- | ---: |\n");
    say(d, "| head | %u |\n| body | %u |\n", WIRE_HEAD_MAX, WIRE_BODY_MAX);
    say(d, "| block, and most that one `request` may ask for | 16384 |\n");
    uint32_t least, most;
    const struct wire_row *body;
    head_size(wire_row(MSG_announce), &least, &most, &body);
    say(d, "| datagram | %u |\n\n", most);
    say(d, "Protocol versions spoken: %u to %u.\n\n", WIRE_PROTOCOL_MIN, WIRE_PROTOCOL_MAX);
}

static void examples(const struct doc *d)
{
    static const uint8_t bits[] = {0xa0, 0x01};
    say(d, "## Examples\n\nLength, then the head, in hex.\n\n");
    struct wire_msg m = {.id = MSG_interested};
    example(d, &m, 0);
    m = (struct wire_msg){.id = MSG_have, .have = {.piece = 7}};
    example(d, &m, 0);
    m = (struct wire_msg){.id = MSG_request, .request = {.piece = 3, .length = 16384}};
    example(d, &m, 0);
    m = (struct wire_msg){.id = MSG_piece, .piece = {.piece = 3}};
    example(d, &m, 16384);
    m = (struct wire_msg){.id = MSG_bitfield, .bitfield = {.map = bytes_of(bits, sizeof bits)}};
    example(d, &m, 0);
    m = (struct wire_msg){.id = MSG_haves,
                          .haves = {.first = 256, .map = bytes_of(bits, sizeof bits)}};
    example(d, &m, 0);
    m = (struct wire_msg){.id = MSG_hello, .hello = {.min = 1, .max = 1, .port = 6900}};
    example(d, &m, 0);
}

void wire_document(void (*emit)(void *ctx, const char *text), void *ctx)
{
    struct doc d = {emit, ctx};
    PARAGRAPHS(&d, opening);
    PARAGRAPHS(&d, classes);
    limits(&d);
    examples(&d);
    say(&d, "## Messages\n\nSizes are in bytes; a head's size includes its id.\n\n");
    say(&d, "### Block exchange, on fleet and bt links\n\n");
    overview(&d, 0, FLEET_FIRST);
    layouts(&d, 0, FLEET_FIRST);
    say(&d, "### Fleet links only\n\n");
    overview(&d, FLEET_FIRST, DATAGRAM_FIRST);
    layouts(&d, FLEET_FIRST, DATAGRAM_FIRST);
    say(&d,
        "### Datagrams to the LAN group\n\nThe whole datagram is one head, without a length.\n\n");
    overview(&d, DATAGRAM_FIRST, 256);
    layouts(&d, DATAGRAM_FIRST, 256);
    say(&d, "## Error numbers\n\nAs `bye` carries them.\n\n");
    errors(&d);
}
