/* Strict CBOR: the examples of RFC 8949, appendix A, as far as they are in the subset, and each
 * form that is refused, by its name. */
#include "fwswarm/cbor.h"

#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Bytes from hex, in an allocation of exactly their size so that a sanitizer sees an overrun. */
struct input {
    uint8_t *p;
    struct bytes b;
};

static struct input input(const char *hex)
{
    size_t n = strlen(hex) / 2;
    struct input in;
    in.p = malloc(n > 0 ? n : 1);
    ck_assert_ptr_nonnull(in.p);
    ck_assert_msg(hex_decode(in.p, n, hex), "bad hex %s", hex);
    in.b = bytes_of(in.p, n);
    return in;
}

/* What a strict reader says of one whole item. */
static enum err judge(const char *hex)
{
    struct input in = input(hex);
    struct cbor_rd r = cbor_rd_of(in.b);
    struct bytes got = cbor_skip(&r);
    enum err e = cbor_end(&r);
    if (e == E_OK)
        ck_assert(bytes_equal(got, in.b));
    free(in.p);
    return e;
}

static void check_written(const struct wr *w, const char *hex)
{
    char got[256];
    ck_assert_int_eq(w->err, E_OK);
    ck_assert_uint_lt(wr_len(w), 120);
    hex_encode(got, w->start, wr_len(w));
    ck_assert_str_eq(got, hex);
}

START_TEST(integers_of_appendix_a)
{
    static const struct {
        const char *hex;
        uint64_t v;
    } rows[] = {{"00", 0},
                {"01", 1},
                {"0a", 10},
                {"17", 23},
                {"1818", 24},
                {"1819", 25},
                {"1864", 100},
                {"1903e8", 1000},
                {"1a000f4240", 1000000},
                {"1b000000e8d4a51000", UINT64_C(1000000000000)},
                {"1bffffffffffffffff", UINT64_MAX},
                {"18ff", 255},
                {"190100", 256},
                {"19ffff", 65535},
                {"1a00010000", 65536},
                {"1affffffff", UINT32_MAX},
                {"1b0000000100000000", UINT64_C(1) << 32}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct input in = input(rows[i].hex);
        struct cbor_rd r = cbor_rd_of(in.b);
        ck_assert_int_eq(cbor_peek(&r), CBOR_UINT);
        ck_assert_uint_eq(cbor_uint(&r), rows[i].v);
        ck_assert_int_eq(cbor_peek(&r), CBOR_NONE);
        ck_assert_int_eq(cbor_end(&r), E_OK);
        uint8_t buf[16];
        struct wr w = wr_of(buf, sizeof buf);
        cbor_w_uint(&w, rows[i].v);
        check_written(&w, rows[i].hex);
        free(in.p);
    }
}
END_TEST

START_TEST(signed_integers_of_appendix_a)
{
    static const struct {
        const char *hex;
        int64_t v;
    } rows[] = {{"20", -1},
                {"29", -10},
                {"3863", -100},
                {"3903e7", -1000},
                {"0a", 10},
                {"1b7fffffffffffffff", INT64_MAX},
                {"3b7fffffffffffffff", INT64_MIN}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct input in = input(rows[i].hex);
        struct cbor_rd r = cbor_rd_of(in.b);
        ck_assert_int_eq(cbor_int(&r), rows[i].v);
        ck_assert_int_eq(cbor_end(&r), E_OK);
        uint8_t buf[16];
        struct wr w = wr_of(buf, sizeof buf);
        cbor_w_int(&w, rows[i].v);
        check_written(&w, rows[i].hex);
        free(in.p);
    }
    /* -18446744073709551616 is whole and canonical, but no int64. */
    static const char *const beyond[] = {"3bffffffffffffffff", "3b8000000000000000",
                                         "1b8000000000000000"};
    for (size_t i = 0; i < 3; i++) {
        struct input in = input(beyond[i]);
        struct cbor_rd r = cbor_rd_of(in.b);
        ck_assert_int_eq(cbor_int(&r), 0);
        ck_assert_int_eq(cbor_end(&r), E_RANGE);
        free(in.p);
        ck_assert_int_eq(judge(beyond[i]), E_OK);
    }
}
END_TEST

START_TEST(strings_of_appendix_a)
{
    static const struct {
        const char *hex, *text;
        bool bytes;
    } rows[] = {{"40", "", true},
                {"4401020304", "\1\2\3\4", true},
                {"60", "", false},
                {"6161", "a", false},
                {"6449455446", "IETF", false},
                {"62225c", "\"\\", false},
                {"62c3bc", "\xc3\xbc", false},
                {"63e6b0b4", "\xe6\xb0\xb4", false},
                {"64f0908591", "\xf0\x90\x85\x91", false}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct input in = input(rows[i].hex);
        struct cbor_rd r = cbor_rd_of(in.b);
        ck_assert_int_eq(cbor_peek(&r), rows[i].bytes ? CBOR_BSTR : CBOR_TSTR);
        struct bytes got = rows[i].bytes ? cbor_bstr(&r) : cbor_tstr(&r);
        ck_assert(bytes_equal(got, bytes_str(rows[i].text)));
        ck_assert_int_eq(cbor_end(&r), E_OK);
        uint8_t buf[16];
        struct wr w = wr_of(buf, sizeof buf);
        if (rows[i].bytes)
            cbor_w_bstr(&w, got);
        else
            cbor_w_tstr(&w, got);
        check_written(&w, rows[i].hex);
        free(in.p);
    }
}
END_TEST

START_TEST(simple_values_and_tags_of_appendix_a)
{
    struct input in = input("83f4f5f6");
    struct cbor_rd r = cbor_rd_of(in.b);
    ck_assert_uint_eq(cbor_enter_array(&r), 3);
    ck_assert_int_eq(cbor_peek(&r), CBOR_BOOL);
    ck_assert(!cbor_bool(&r));
    ck_assert(cbor_bool(&r));
    ck_assert_int_eq(cbor_peek(&r), CBOR_NULL);
    cbor_null(&r);
    ck_assert_int_eq(cbor_peek(&r), CBOR_NONE);
    cbor_leave(&r);
    ck_assert_int_eq(cbor_end(&r), E_OK);
    free(in.p);

    in = input("c11a514b67b0");
    r = cbor_rd_of(in.b);
    ck_assert_int_eq(cbor_peek(&r), CBOR_TAG);
    ck_assert_uint_eq(cbor_tag(&r), 1);
    ck_assert_uint_eq(cbor_uint(&r), 1363896240);
    ck_assert_int_eq(cbor_end(&r), E_OK);
    free(in.p);

    ck_assert_int_eq(judge("d74401020304"), E_OK);
    ck_assert_int_eq(judge("d818456449455446"), E_OK);
    ck_assert_int_eq(judge("c249010000000000000000"), E_OK);
    ck_assert_int_eq(judge("d82076687474703a2f2f7777772e6578616d706c652e636f6d"), E_OK);

    uint8_t buf[16];
    struct wr w = wr_of(buf, sizeof buf);
    cbor_w_tag(&w, 24);
    cbor_w_bool(&w, false);
    cbor_w_bool(&w, true);
    cbor_w_null(&w);
    check_written(&w, "d818f4f5f6");
}
END_TEST

START_TEST(containers_of_appendix_a)
{
    struct input in = input("8301820203820405");
    struct cbor_rd r = cbor_rd_of(in.b);
    ck_assert_uint_eq(cbor_enter_array(&r), 3);
    ck_assert_uint_eq(cbor_uint(&r), 1);
    ck_assert_uint_eq(cbor_enter_array(&r), 2);
    ck_assert_uint_eq(cbor_uint(&r), 2);
    ck_assert_uint_eq(cbor_uint(&r), 3);
    cbor_leave(&r);
    struct bytes rest = cbor_skip(&r);
    ck_assert(bytes_equal(rest, bytes_of("\x82\x04\x05", 3)));
    cbor_leave(&r);
    ck_assert_int_eq(cbor_end(&r), E_OK);
    free(in.p);

    in = input("a26161016162820203");
    r = cbor_rd_of(in.b);
    ck_assert_uint_eq(cbor_enter_map(&r), 2);
    ck_assert(bytes_equal(cbor_tstr(&r), bytes_str("a")));
    ck_assert_uint_eq(cbor_uint(&r), 1);
    ck_assert(bytes_equal(cbor_tstr(&r), bytes_str("b")));
    ck_assert_uint_eq(cbor_skip(&r).n, 3);
    cbor_leave(&r);
    ck_assert_int_eq(cbor_end(&r), E_OK);
    free(in.p);

    static const char *const good[] = {
        "80",
        "83010203",
        "98190102030405060708090a0b0c0d0e0f101112131415161718181819",
        "a0",
        "a201020304",
        "826161a161626163",
        "a56161614161626142616361436164614461656145",
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        ck_assert_msg(judge(good[i]) == E_OK, "refused %s", good[i]);
}
END_TEST

static const struct {
    const char *hex;
    enum err want;
    const char *what;
} refused[] = {
    /* heads that are not the shortest */
    {"1800", E_NONCANONICAL, "0 in two bytes"},
    {"1817", E_NONCANONICAL, "23 in two bytes"},
    {"190017", E_NONCANONICAL, "23 in three bytes"},
    {"1900ff", E_NONCANONICAL, "255 in three bytes"},
    {"1a0000ffff", E_NONCANONICAL, "65535 in five bytes"},
    {"1b00000000ffffffff", E_NONCANONICAL, "2^32 - 1 in nine bytes"},
    {"3800", E_NONCANONICAL, "-1 in two bytes"},
    {"5801aa", E_NONCANONICAL, "a byte string's length in two bytes"},
    {"780161", E_NONCANONICAL, "a text's length in two bytes"},
    {"980100", E_NONCANONICAL, "an array's count in two bytes"},
    {"b8010000", E_NONCANONICAL, "a map's count in two bytes"},
    {"d80100", E_NONCANONICAL, "a tag in two bytes"},
    {"81190017", E_NONCANONICAL, "a long head inside an array"},
    /* indefinite lengths, from appendix A */
    {"5f42010243030405ff", E_NONCANONICAL, "an indefinite byte string"},
    {"7f657374726561646d696e67ff", E_NONCANONICAL, "an indefinite text"},
    {"9fff", E_NONCANONICAL, "an indefinite array"},
    {"9f018202039f0405ffff", E_NONCANONICAL, "an indefinite array with items"},
    {"83018202039f0405ff", E_NONCANONICAL, "an indefinite array inside"},
    {"bf61610161629f0203ffff", E_NONCANONICAL, "an indefinite map"},
    {"ff", E_FORMAT, "a break alone"},
    {"1f", E_FORMAT, "an integer of indefinite length"},
    {"3f", E_FORMAT, "a negative integer of indefinite length"},
    {"df00", E_FORMAT, "a tag of indefinite length"},
    /* reserved additional information */
    {"1c", E_FORMAT, "28"},
    {"5d", E_FORMAT, "29"},
    {"9e", E_FORMAT, "30"},
    /* keys */
    {"a202010102", E_NONCANONICAL, "keys that fall"},
    {"a2616201616102", E_NONCANONICAL, "text keys that fall"},
    {"a262616101616202", E_NONCANONICAL, "a longer key before a shorter"},
    {"a220010002", E_NONCANONICAL, "-1 before 0"},
    {"a201010102", E_DUPLICATE, "a key again"},
    {"a3616101616202616203", E_DUPLICATE, "a text key again"},
    {"81a201010102", E_DUPLICATE, "a key again inside an array"},
    {"a1a000", E_FORMAT, "a map as a key"},
    {"a18000", E_FORMAT, "an array as a key"},
    {"a1c10000", E_FORMAT, "a tagged key"},
    {"a1f500", E_FORMAT, "true as a key"},
    /* floats and other simple values, from appendix A */
    {"f90000", E_FORMAT, "a half float"},
    {"fa47c35000", E_FORMAT, "a single float"},
    {"fb3ff199999999999a", E_FORMAT, "a double float"},
    {"f97e00", E_FORMAT, "not a number"},
    {"f7", E_FORMAT, "undefined"},
    {"f0", E_FORMAT, "simple(16)"},
    {"f8ff", E_FORMAT, "simple(255)"},
    {"f815", E_FORMAT, "true in two bytes"},
    {"fc", E_FORMAT, "simple with reserved information"},
    /* text */
    {"61ff", E_FORMAT, "text that is not UTF-8"},
    {"62c0af", E_FORMAT, "an overlong character"},
    {"63eda080", E_FORMAT, "a surrogate"},
    {"61c3", E_FORMAT, "half a character"},
    /* ends */
    {"", E_TRUNCATED, "nothing"},
    {"18", E_TRUNCATED, "half a head"},
    {"1b00000001000000", E_TRUNCATED, "most of a head"},
    {"44010203", E_TRUNCATED, "half a string"},
    {"5bffffffffffffffff", E_TRUNCATED, "a string of 2^64 - 1 bytes"},
    {"830102", E_TRUNCATED, "an array that lacks an item"},
    {"a101", E_TRUNCATED, "a map that lacks a value"},
    {"9bffffffffffffffff", E_TRUNCATED, "an array of 2^64 - 1 items"},
    {"bbffffffffffffffff", E_TRUNCATED, "a map of 2^64 - 1 pairs"},
    {"bb8000000000000000", E_TRUNCATED, "a map whose items overflow"},
    {"c1", E_TRUNCATED, "a tag of nothing"},
    {"c1c2", E_TRUNCATED, "tags of nothing"},
    {"81c1", E_TRUNCATED, "a tag of nothing in an array"},
    {"0000", E_TRAILING, "another item"},
    {"8000", E_TRAILING, "an item after an array"},
    {"40ff", E_TRAILING, "rubbish"},
};

START_TEST(what_is_not_canonical_is_refused_by_name)
{
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        enum err got = judge(refused[i].hex);
        ck_assert_msg(got == refused[i].want, "%s (%s): %s, not %s", refused[i].what,
                      refused[i].hex, err_name(got), err_name(refused[i].want));
    }
}
END_TEST

START_TEST(key_order_is_that_of_the_encodings)
{
    /* 10, 100, -1, "z", "aa": section 4.2.1's own example, less the keys that are not taken here.
     */
    ck_assert_int_eq(judge("a50a001864002000617a0062616100"), E_OK);
    ck_assert_int_eq(judge("a21864000a00"), E_NONCANONICAL);
    ck_assert_int_eq(judge("a22000186400"), E_NONCANONICAL);
    ck_assert_int_eq(judge("a262616100617a00"), E_NONCANONICAL);
    /* Byte strings come before texts, whatever their length. */
    ck_assert_int_eq(judge("a242ffff006000"), E_OK);
    ck_assert_int_eq(judge("a2600042ffff00"), E_NONCANONICAL);
}
END_TEST

START_TEST(depth_ends_at_its_limit)
{
    char hex[80] = "";
    for (unsigned i = 0; i < CBOR_DEPTH_MAX; i++)
        strcat(hex, "81");
    char deeper[80];
    snprintf(deeper, sizeof deeper, "%s8100", hex);
    strcat(hex, "00");
    ck_assert_int_eq(judge(hex), E_OK);
    ck_assert_int_eq(judge(deeper), E_LIMIT);

    /* Depth, not number: containers that were left count no more. */
    ck_assert_int_eq(judge("948080808080808080808080808080808080808080"), E_OK);
    /* Maps count as arrays do, and tags do not. */
    char maps[200] = "";
    for (unsigned i = 0; i < CBOR_DEPTH_MAX; i++)
        strcat(maps, "a100");
    snprintf(deeper, sizeof deeper, "%sa10000", maps);
    strcat(maps, "00");
    ck_assert_int_eq(judge(maps), E_OK);
    ck_assert_int_eq(judge(deeper), E_LIMIT);
    char tags[2 * 100 + 3] = "";
    for (unsigned i = 0; i < 100; i++)
        strcat(tags, "c1");
    strcat(tags, "00");
    ck_assert_int_eq(judge(tags), E_OK);
}
END_TEST

START_TEST(a_reader_of_the_wrong_type_says_so)
{
    static const char *const items[] = {"00", "20", "40", "60", "80", "a0", "c100", "f5", "f6"};
    for (unsigned have = 0; have < 9; have++) {
        for (unsigned want = 0; want < 9; want++) {
            struct input in = input(items[have]);
            struct cbor_rd r = cbor_rd_of(in.b);
            ck_assert_int_eq(cbor_peek(&r), (enum cbor_type)have);
            switch ((enum cbor_type)want) {
            case CBOR_UINT:
                (void)cbor_uint(&r);
                break;
            case CBOR_NINT:
                (void)cbor_int(&r);
                break;
            case CBOR_BSTR:
                (void)cbor_bstr(&r);
                break;
            case CBOR_TSTR:
                (void)cbor_tstr(&r);
                break;
            case CBOR_ARRAY:
                (void)cbor_enter_array(&r);
                break;
            case CBOR_MAP:
                (void)cbor_enter_map(&r);
                break;
            case CBOR_TAG:
                (void)cbor_tag(&r);
                break;
            case CBOR_BOOL:
                (void)cbor_bool(&r);
                break;
            case CBOR_NULL:
                cbor_null(&r);
                break;
            case CBOR_NONE:
                break;
            }
            bool fits = have == want || (have == CBOR_UINT && want == CBOR_NINT);
            ck_assert_msg(r.in.err == (fits ? E_OK : E_FORMAT), "%u as %u", have, want);
            free(in.p);
        }
    }
}
END_TEST

START_TEST(errors_stick_and_lend_nothing)
{
    struct input in = input("8318000102");
    struct cbor_rd r = cbor_rd_of(in.b);
    ck_assert_uint_eq(cbor_enter_array(&r), 3);
    ck_assert_uint_eq(cbor_uint(&r), 0);
    ck_assert_int_eq(cbor_peek(&r), CBOR_NONE);
    ck_assert_uint_eq(cbor_uint(&r), 0);
    ck_assert_uint_eq(cbor_enter_map(&r), 0);
    ck_assert_uint_eq(cbor_bstr(&r).n, 0);
    ck_assert_uint_eq(cbor_skip(&r).n, 0);
    ck_assert_uint_eq(cbor_tag(&r), 0);
    cbor_leave(&r);
    cbor_leave(&r);
    cbor_leave(&r);
    cbor_fail(&r, E_HASH);
    ck_assert_int_eq(cbor_end(&r), E_NONCANONICAL);
    free(in.p);

    in = input("00");
    r = cbor_rd_of(in.b);
    (void)cbor_uint(&r);
    cbor_fail(&r, E_HASH);
    ck_assert_int_eq(cbor_end(&r), E_HASH);
    free(in.p);
}
END_TEST

START_TEST(a_container_holds_what_its_count_says)
{
    struct input in = input("820102");
    struct cbor_rd r = cbor_rd_of(in.b);
    (void)cbor_enter_array(&r);
    (void)cbor_uint(&r);
    cbor_leave(&r);
    ck_assert_int_eq(cbor_end(&r), E_TRAILING);
    free(in.p);

    in = input("810102");
    r = cbor_rd_of(in.b);
    (void)cbor_enter_array(&r);
    (void)cbor_uint(&r);
    ck_assert_uint_eq(cbor_uint(&r), 0); /* the 2 lies outside */
    ck_assert_int_eq(cbor_end(&r), E_TRUNCATED);
    free(in.p);

    /* A key without its value, and a tag without its item. */
    in = input("a10102");
    r = cbor_rd_of(in.b);
    (void)cbor_enter_map(&r);
    (void)cbor_uint(&r);
    cbor_leave(&r);
    ck_assert_int_eq(cbor_end(&r), E_TRAILING);
    free(in.p);
    in = input("81c100");
    r = cbor_rd_of(in.b);
    (void)cbor_enter_array(&r);
    (void)cbor_tag(&r);
    cbor_leave(&r);
    ck_assert_int_eq(cbor_end(&r), E_TRAILING);
    free(in.p);

    /* A container left open is not a whole item. */
    in = input("8100");
    r = cbor_rd_of(in.b);
    (void)cbor_enter_array(&r);
    (void)cbor_uint(&r);
    ck_assert_int_eq(cbor_end(&r), E_FORMAT);
    free(in.p);
}
END_TEST

START_TEST(a_sequence_is_read_item_by_item)
{
    struct input in = input("81016161a0");
    struct cbor_rd r = cbor_rd_of(in.b);
    ck_assert_uint_eq(cbor_skip(&r).n, 2);
    ck_assert_uint_eq(cbor_skip(&r).n, 2);
    ck_assert_int_eq(cbor_end(&r), E_TRAILING);
    ck_assert_uint_eq(cbor_skip(&r).n, 1);
    ck_assert_int_eq(cbor_end(&r), E_OK);
    free(in.p);
}
END_TEST

START_TEST(the_writer_minds_its_room_and_its_text)
{
    uint8_t buf[4];
    struct wr w = wr_of(buf, sizeof buf);
    cbor_w_bstr(&w, bytes_str("abcd"));
    ck_assert_int_eq(w.err, E_OVERSIZED);
    w = wr_of(buf, sizeof buf);
    cbor_w_tstr(&w, bytes_str("\xff"));
    ck_assert_int_eq(w.err, E_FORMAT);

    uint8_t more[8];
    w = wr_of(more, sizeof more);
    cbor_w_map(&w, 1);
    cbor_w_int(&w, -1);
    cbor_w_array(&w, 1);
    cbor_w_bstr_head(&w, 2);
    wr_u16(&w, 0xabcd);
    check_written(&w, "a1208142abcd");
}
END_TEST

/* ---- properties ---- */

static uint32_t next(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (uint32_t)(*state >> 33);
}

/* A random number of any size. */
static uint64_t any(uint64_t *state)
{
    uint64_t v = (uint64_t)next(state) << 33 | (uint64_t)next(state) << 2 | (next(state) & 3);
    return v >> next(state) % 64;
}

/* Writes a random item of at most this depth. */
static void write_any(struct wr *w, uint64_t *state, unsigned depth)
{
    uint8_t text[40];
    uint32_t n = next(state) % sizeof text;
    for (uint32_t i = 0; i < n; i++)
        text[i] = (uint8_t)('a' + next(state) % 26);
    switch (next(state) % (depth > 0 ? 8 : 6)) {
    case 0:
        cbor_w_uint(w, any(state));
        return;
    case 1:
        cbor_w_int(w, -1 - (int64_t)(any(state) >> 1));
        return;
    case 2:
        cbor_w_bstr(w, bytes_of(text, n));
        return;
    case 3:
        cbor_w_tstr(w, bytes_of(text, n));
        return;
    case 4:
        cbor_w_bool(w, next(state) % 2 != 0);
        return;
    case 5:
        cbor_w_null(w);
        return;
    case 6:
        n %= 5;
        cbor_w_array(w, n);
        while (n-- > 0)
            write_any(w, state, depth - 1);
        return;
    default:
        n %= 5;
        cbor_w_map(w, n);
        for (uint64_t key = any(state) >> 3; n > 0; n--, key += 1 + next(state) % 300) {
            cbor_w_uint(w, key);
            write_any(w, state, depth - 1);
        }
        return;
    }
}

START_TEST(what_is_written_reads_back_and_every_cut_is_refused)
{
    uint64_t state = 1;
    for (unsigned round = 0; round < 2000; round++) {
        uint8_t buf[4096];
        struct wr w = wr_of(buf, sizeof buf);
        write_any(&w, &state, 5);
        if (w.err != E_OK)
            continue;
        struct bytes whole = wr_done(&w);
        struct cbor_rd r = cbor_rd_of(whole);
        ck_assert(bytes_equal(cbor_skip(&r), whole));
        ck_assert_int_eq(cbor_end(&r), E_OK);
        size_t cut = next(&state) % whole.n;
        r = cbor_rd_of(bytes_of(whole.p, cut));
        (void)cbor_skip(&r);
        ck_assert_int_eq(cbor_end(&r), E_TRUNCATED);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("cbor");
    TCase *t = tcase_create("cbor");
    tcase_add_test(t, integers_of_appendix_a);
    tcase_add_test(t, signed_integers_of_appendix_a);
    tcase_add_test(t, strings_of_appendix_a);
    tcase_add_test(t, simple_values_and_tags_of_appendix_a);
    tcase_add_test(t, containers_of_appendix_a);
    tcase_add_test(t, what_is_not_canonical_is_refused_by_name);
    tcase_add_test(t, key_order_is_that_of_the_encodings);
    tcase_add_test(t, depth_ends_at_its_limit);
    tcase_add_test(t, a_reader_of_the_wrong_type_says_so);
    tcase_add_test(t, errors_stick_and_lend_nothing);
    tcase_add_test(t, a_container_holds_what_its_count_says);
    tcase_add_test(t, a_sequence_is_read_item_by_item);
    tcase_add_test(t, the_writer_minds_its_room_and_its_text);
    tcase_add_test(t, what_is_written_reads_back_and_every_cut_is_refused);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
