/* The message codec: golden bytes, one encoding per value in both directions, every cap, every cut,
 * and the protocol document against the table. */
#include "fwswarm/wire.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire/rows.h"

static uint32_t draw(void *ctx)
{
    uint64_t *state = ctx;
    *state = *state * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (uint32_t)(*state >> 33) ^ (uint32_t)(*state << 20);
}

/* Decodes from an allocation of exactly this size, so that a sanitizer sees an overrun. */
static enum err decode(struct wire_msg *m, const uint8_t *p, size_t n)
{
    static uint8_t *last; /* views of *m live until the next call */
    free(last);
    last = malloc(n > 0 ? n : 1);
    ck_assert_ptr_nonnull(last);
    if (n > 0)
        memcpy(last, p, n);
    return wire_decode(m, bytes_of(last, n));
}

static void check_golden(const struct wire_msg *m, const char *hex, const char *line)
{
    uint8_t head[WIRE_HEAD_MAX];
    char got[2 * WIRE_HEAD_MAX + 1], text[256];
    size_t n = wire_encode(m, head);
    hex_encode(got, head, n);
    ck_assert_str_eq(got, hex);
    struct wire_msg back;
    ck_assert_int_eq(decode(&back, head, n), E_OK);
    ck_assert(wire_equal(m, &back));
    ck_assert_uint_eq(wire_print(&back, text, sizeof text), strlen(text));
    ck_assert_str_eq(text, line);
}

START_TEST(block_messages_are_bittorrents)
{
    check_golden(&(struct wire_msg){.id = MSG_choke}, "00", "choke");
    check_golden(&(struct wire_msg){.id = MSG_have, .have = {.piece = 258}}, "0400000102",
                 "have piece=258");
    check_golden(&(struct wire_msg){.id = MSG_request,
                                    .request = {.piece = 1, .begin = 16384, .length = 16384}},
                 "06000000010000400000004000", "request piece=1 begin=16384 length=16384");
    check_golden(&(struct wire_msg){.id = MSG_piece, .piece = {.piece = 1, .begin = 2}},
                 "070000000100000002", "piece piece=1 begin=2");
    check_golden(&(struct wire_msg){.id = MSG_bitfield, .bitfield = {.map = bytes_str("\xff\x80")}},
                 "05ff80", "bitfield map=ff80");
    check_golden(&(struct wire_msg){.id = MSG_have_all}, "0e", "have_all");
    struct wire_msg m = {.id = MSG_hash_request,
                         .hash_request = {.base = 1, .index = 2, .length = 4, .proof = 5}};
    memset(m.hash_request.root, 0xab, 32);
    check_golden(&m,
                 "15abababababababababababababababababababababababababababababababab"
                 "00000001000000020000000400000005",
                 "hash_request "
                 "root=abababababababababababababababababababababababababababababababab base=1 "
                 "index=2 length=4 proof=5");
}
END_TEST

START_TEST(fleet_messages_have_their_layout)
{
    check_golden(&(struct wire_msg){.id = MSG_hello,
                                    .hello = {.min = 1, .max = 2, .features = 3, .port = 0x1af4}},
                 "200001000200000000000000031af4", "hello min=1 max=2 features=3 port=6900");
    check_golden(
        &(struct wire_msg){.id = MSG_haves, .haves = {.first = 8, .map = bytes_of("\x81\0", 2)}},
        "2f0000000800028100", "haves first=8 map=8100");
    check_golden(&(struct wire_msg){.id = MSG_haves, .haves = {.first = 8}}, "2f000000080000",
                 "haves first=8 map=");
    check_golden(&(struct wire_msg){.id = MSG_bye, .bye = {.code = E_VERSION}}, "3307",
                 "bye code=7");

    char text[512];
    struct wire_msg m = {.id = MSG_ask, .ask = {.sequence = UINT64_MAX}};
    m.ask.version = bytes_str("1.2.3");
    (void)wire_print(&m, text, sizeof text);
    ck_assert_ptr_nonnull(strstr(text, " sequence=18446744073709551615 "));
    ck_assert_ptr_nonnull(strstr(text, " version=\"1.2.3\""));
}
END_TEST

START_TEST(a_print_is_cut_to_its_room)
{
    struct wire_msg m = {.id = MSG_have, .have = {.piece = 7}};
    char text[8];
    memset(text, 'x', sizeof text);
    ck_assert_uint_eq(wire_print(&m, text, sizeof text), 7);
    ck_assert_str_eq(text, "have pi");
    ck_assert_uint_eq(wire_print(&m, text, 1), 0);
    ck_assert_str_eq(text, "");

    /* What a stranger wrote prints as hex unless it is plain, so no byte of it reaches a terminal.
     */
    char line[256];
    m = (struct wire_msg){.id = MSG_ask};
    m.ask.version = bytes_str("1\x1b[2J\n");
    (void)wire_print(&m, line, sizeof line);
    ck_assert_ptr_nonnull(strstr(line, " version=311b5b324a0a"));
    m.ask.version = bytes_str("1\" x=\"");
    (void)wire_print(&m, line, sizeof line);
    ck_assert_ptr_nonnull(strstr(line, " version=312220783d22"));
    uint8_t map[40] = {0};
    m = (struct wire_msg){.id = MSG_bitfield, .bitfield = {.map = bytes_of(map, sizeof map)}};
    (void)wire_print(&m, line, sizeof line);
    ck_assert_ptr_nonnull(strstr(line, "00..(40)"));
}
END_TEST

START_TEST(a_random_message_comes_back_equal)
{
    uint64_t state = 7;
    bool seen[256] = {false};
    for (unsigned round = 0; round < 20000; round++) {
        uint8_t scratch[WIRE_HEAD_MAX], head[WIRE_HEAD_MAX], again[WIRE_HEAD_MAX];
        struct wire_msg m, back;
        wire_random(&m, draw, &state, scratch);
        size_t n = wire_encode(&m, head);
        ck_assert_int_eq(decode(&back, head, n), E_OK);
        ck_assert(wire_equal(&m, &back));
        ck_assert_uint_eq(wire_encode(&back, again), n);
        ck_assert_mem_eq(head, again, n);
        seen[m.id] = true;

        /* Every cut and every addition is refused, but for what ends in the rest. */
        struct wire_msg other;
        enum err e = n > 1 ? decode(&other, head, draw(&state) % n) : E_TRUNCATED;
        if (m.id != MSG_bitfield && m.id != MSG_peers)
            ck_assert_int_eq(e, E_TRUNCATED);
        if (n < WIRE_HEAD_MAX && m.id != MSG_bitfield && m.id != MSG_peers) {
            memcpy(again, head, n);
            again[n] = 0;
            ck_assert_int_eq(decode(&other, again, n + 1), E_TRAILING);
        }
        /* A bit elsewhere is another value. */
        if (n > 1) {
            uint32_t bit = 8 + draw(&state) % (uint32_t)(8 * (n - 1));
            memcpy(again, head, n);
            again[bit / 8] ^= (uint8_t)(1u << bit % 8);
            if (decode(&other, again, n) == E_OK)
                ck_assert(!wire_equal(&m, &other));
        }
    }
    for (unsigned id = 0; id < 256; id++)
        ck_assert_int_eq(seen[id], wire_row((uint8_t)id) != NULL);
}
END_TEST

START_TEST(random_bytes_that_are_accepted_are_canonical)
{
    uint64_t state = 11;
    unsigned accepted = 0;
    for (unsigned round = 0; round < 100000; round++) {
        uint8_t p[WIRE_HEAD_MAX], again[WIRE_HEAD_MAX];
        size_t n = draw(&state) % 180;
        for (size_t i = 0; i < n; i++)
            p[i] = (uint8_t)draw(&state);
        struct wire_msg m;
        if (decode(&m, p, n) != E_OK)
            continue;
        accepted++;
        ck_assert_uint_eq(wire_encode(&m, again), n);
        ck_assert_mem_eq(p, again, n);
    }
    ck_assert_uint_gt(accepted, 100);
}
END_TEST

START_TEST(each_cap_holds)
{
    uint8_t p[WIRE_HEAD_MAX + 1] = {0};
    struct wire_msg m;
    p[0] = MSG_bitfield;
    ck_assert_int_eq(decode(&m, p, 1), E_OK);
    ck_assert_uint_eq(m.bitfield.map.n, 0);
    ck_assert_int_eq(decode(&m, p, 1 + 1016), E_OK);
    ck_assert_uint_eq(m.bitfield.map.n, 1016);
    ck_assert_int_eq(decode(&m, p, 1 + 1017), E_OVERSIZED);
    ck_assert_int_eq(decode(&m, p, WIRE_HEAD_MAX + 1), E_OVERSIZED);

    p[0] = MSG_haves;
    p[5] = 256 >> 8;
    ck_assert_int_eq(decode(&m, p, 7 + 256), E_OK);
    ck_assert_uint_eq(m.haves.map.n, 256);
    p[6] = 1;
    ck_assert_int_eq(decode(&m, p, 7 + 257), E_OVERSIZED);
    p[5] = 0xff;
    p[6] = 0xff;
    ck_assert_int_eq(decode(&m, p, 7), E_OVERSIZED);
}
END_TEST

START_TEST(unknown_ids_are_named)
{
    struct wire_msg m;
    uint8_t id;
    struct bytes head, body;
    for (unsigned i = 0; i < 256; i++) {
        uint8_t p[2] = {(uint8_t)i, 0};
        if (wire_row((uint8_t)i) != NULL) {
            ck_assert_str_ne(wire_name((uint8_t)i), "unknown");
            continue;
        }
        ck_assert_str_eq(wire_name((uint8_t)i), "unknown");
        ck_assert_int_eq(decode(&m, p, 2), E_UNKNOWN);
        ck_assert_int_eq(wire_split(bytes_of(p, 2), &id, &head, &body), E_UNKNOWN);
        ck_assert_uint_eq(id, i);
        ck_assert_uint_eq(head.n + body.n, 0);
    }
    ck_assert_str_eq(wire_name(MSG_have), "have");
    ck_assert(!wire_ignorable(127));
    ck_assert(wire_ignorable(128));
    ck_assert_int_eq(decode(&m, NULL, 0), E_TRUNCATED);
}
END_TEST

START_TEST(a_body_is_split_off_unread)
{
    static uint8_t p[9 + 16384 + 1];
    uint8_t id;
    struct bytes head, body;
    p[0] = MSG_piece;
    p[9] = 0xaa;
    ck_assert_int_eq(wire_split(bytes_of(p, 12), &id, &head, &body), E_OK);
    ck_assert_uint_eq(id, MSG_piece);
    ck_assert_ptr_eq(head.p, p);
    ck_assert_uint_eq(head.n, 9);
    ck_assert_ptr_eq(body.p, p + 9);
    ck_assert_uint_eq(body.n, 3);
    struct wire_msg m;
    ck_assert_int_eq(wire_decode(&m, head), E_OK);
    ck_assert_int_eq(wire_decode(&m, bytes_of(p, 12)), E_TRAILING);

    ck_assert_int_eq(wire_split(bytes_of(p, 9), &id, &head, &body), E_OK);
    ck_assert_uint_eq(body.n, 0);
    ck_assert_int_eq(wire_split(bytes_of(p, 9 + 16384), &id, &head, &body), E_OK);
    ck_assert_int_eq(wire_split(bytes_of(p, 9 + 16385), &id, &head, &body), E_OVERSIZED);
    ck_assert_int_eq(wire_split(bytes_of(p, 8), &id, &head, &body), E_TRUNCATED);
    ck_assert_uint_eq(head.n + body.n, 0);
    ck_assert_int_eq(wire_split(bytes_of(p, 0), &id, &head, &body), E_TRUNCATED);

    /* Without a body the head is everything; what is wrong with it shows when it is decoded. */
    p[0] = MSG_have;
    ck_assert_int_eq(wire_split(bytes_of(p, 7), &id, &head, &body), E_OK);
    ck_assert_uint_eq(head.n, 7);
    ck_assert_int_eq(wire_decode(&m, head), E_TRAILING);
    ck_assert_int_eq(wire_split(bytes_of(p, WIRE_HEAD_MAX + 1), &id, &head, &body), E_OVERSIZED);
}
END_TEST

START_TEST(the_table_keeps_its_own_rules)
{
    for (unsigned id = 0; id < 256; id++) {
        const struct wire_row *row = wire_row((uint8_t)id);
        if (row == NULL)
            continue;
        ck_assert_uint_eq(row->id, id);
        uint32_t most = 1;
        bool last = false;
        for (row++; row->kind != WIRE_ROW_END; row++) {
            /* Nothing comes after a rest or a body. */
            ck_assert_msg(!last, "%s: %s", wire_name((uint8_t)id), row->name);
            last = row->kind == WIRE_ROW_REST || row->kind == WIRE_ROW_BODY;
            if (row->kind == WIRE_ROW_BODY) {
                ck_assert_uint_le(row->cap, WIRE_BODY_MAX);
                continue;
            }
            most += row->kind == WIRE_ROW_U8    ? 1
                    : row->kind == WIRE_ROW_U16 ? 2
                    : row->kind == WIRE_ROW_U32 ? 4
                    : row->kind == WIRE_ROW_U64 ? 8
                    : row->kind == WIRE_ROW_VAR ? 2u + row->cap
                                                : row->cap;
        }
        ck_assert_msg(most <= WIRE_HEAD_MAX, "%s", wire_name((uint8_t)id));
    }
    uint8_t head[WIRE_HEAD_MAX];
    struct wire_msg m = {.id = MSG_announce};
    ck_assert_uint_le(wire_encode(&m, head), 300);
}
END_TEST

START_TEST(different_messages_are_not_equal)
{
    struct wire_msg a = {.id = MSG_have, .have = {.piece = 1}};
    struct wire_msg b = {.id = MSG_have, .have = {.piece = 2}};
    struct wire_msg c = {.id = MSG_suggest, .suggest = {.piece = 1}};
    ck_assert(wire_equal(&a, &a));
    ck_assert(!wire_equal(&a, &b));
    ck_assert(!wire_equal(&a, &c));
    /* Views are compared by content. */
    char x[] = "ab", y[] = "ab";
    a = (struct wire_msg){.id = MSG_bitfield, .bitfield = {.map = bytes_str(x)}};
    b = (struct wire_msg){.id = MSG_bitfield, .bitfield = {.map = bytes_str(y)}};
    ck_assert(wire_equal(&a, &b));
    y[1] = 'c';
    ck_assert(!wire_equal(&a, &b));
}
END_TEST

/* ---- the document ---- */

struct reader {
    FILE *file;
    size_t at;
    bool differs;
};

static void compare(void *ctx, const char *text)
{
    struct reader *r = ctx;
    for (; *text != '\0' && !r->differs; text++, r->at++)
        r->differs = fgetc(r->file) != (unsigned char)*text;
}

START_TEST(the_document_is_what_the_table_yields)
{
    const char *source = getenv("FWSWARM_SOURCE");
    ck_assert_msg(source != NULL, "FWSWARM_SOURCE must name the source tree");
    char path[4096];
    snprintf(path, sizeof path, "%s/src/wire/PROTOCOL.md", source);
    struct reader r = {.file = fopen(path, "rb")};
    ck_assert_msg(r.file != NULL, "cannot read %s", path);
    wire_document(compare, &r);
    ck_assert_msg(!r.differs && fgetc(r.file) == EOF,
                  "PROTOCOL.md differs at byte %zu; print it again: ninja -C build protocol", r.at);
    fclose(r.file);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("wire");
    TCase *t = tcase_create("wire");
    tcase_add_test(t, block_messages_are_bittorrents);
    tcase_add_test(t, fleet_messages_have_their_layout);
    tcase_add_test(t, a_print_is_cut_to_its_room);
    tcase_add_test(t, a_random_message_comes_back_equal);
    tcase_add_test(t, random_bytes_that_are_accepted_are_canonical);
    tcase_add_test(t, each_cap_holds);
    tcase_add_test(t, unknown_ids_are_named);
    tcase_add_test(t, a_body_is_split_off_unread);
    tcase_add_test(t, the_table_keeps_its_own_rules);
    tcase_add_test(t, different_messages_are_not_equal);
    tcase_add_test(t, the_document_is_what_the_table_yields);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
