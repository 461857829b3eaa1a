/* Views, hex, cursors, UTF-8, and the names of errors. */
#include "fwswarm/bytes.h"

#include "fwswarm/err.h"
#include "fwswarm/utf8.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

START_TEST(err_names_follow_their_table)
{
    static const char *const spelled[] = {
#define X(name, text) #name,
        ERR_TABLE(X)
#undef X
    };
    for (unsigned e = 0; e < E_COUNT; e++) {
        char want[32];
        snprintf(want, sizeof want, "%s", spelled[e] + 2);
        for (char *c = want; *c != '\0'; c++)
            *c = (char)(*c >= 'A' && *c <= 'Z' ? *c - 'A' + 'a' : *c);
        ck_assert_ptr_nonnull(err_name((enum err)e));
        ck_assert_str_eq(err_name((enum err)e), want);
        ck_assert_uint_gt(strlen(err_text((enum err)e)), 1);
    }
    ck_assert_int_eq(E_OK, 0);
    ck_assert_str_eq(err_text(E_HASH), "hash differs");
}
END_TEST

START_TEST(views_compare_by_content)
{
    char a[] = "abc", b[] = "abc";
    ck_assert(bytes_equal(bytes_str(a), bytes_str(b)));
    ck_assert(!bytes_equal(bytes_str("abc"), bytes_str("abd")));
    ck_assert(!bytes_equal(bytes_str("abc"), bytes_str("ab")));
    ck_assert(bytes_equal(bytes_of(NULL, 0), bytes_str("")));

    struct key k = {{0}}, l = {{0}};
    l.b[31] = 1;
    ck_assert(key_equal(&k, &k));
    ck_assert(!key_equal(&k, &l));
    ck_assert_int_lt(key_compare(&k, &l), 0);
    ck_assert_int_gt(key_compare(&l, &k), 0);
    /* Bytewise and unsigned: the first byte decides. */
    k.b[0] = 0x80;
    ck_assert_int_gt(key_compare(&k, &l), 0);

    struct digest d = {{0}}, e = {{0}};
    ck_assert(digest_is_zero(&d));
    e.b[31] = 1;
    ck_assert(!digest_is_zero(&e));
    ck_assert(!digest_equal(&d, &e));
}
END_TEST

START_TEST(hex_goes_there_and_back)
{
    const uint8_t p[] = {0x00, 0x9a, 0xff};
    char text[7];
    uint8_t back[3];
    hex_encode(text, p, sizeof p);
    ck_assert_str_eq(text, "009aff");
    ck_assert(hex_decode(back, sizeof back, "009AfF"));
    ck_assert_mem_eq(back, p, sizeof p);
    ck_assert(hex_decode(back, 0, ""));

    static const char *const bad[] = {"",       "0",      "009af",  "009aff0", "009aff00",
                                      "009afg", "0 9aff", "0x9aff", "-09aff",  "009af\n"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ck_assert_msg(!hex_decode(back, sizeof back, bad[i]), "took \"%s\"", bad[i]);
}
END_TEST

START_TEST(numbers_are_big_endian)
{
    uint8_t buf[15];
    struct wr w = wr_of(buf, sizeof buf);
    wr_u8(&w, 0x01);
    wr_u16(&w, 0x0203);
    wr_u32(&w, 0x04050607);
    wr_u64(&w, UINT64_C(0x08090a0b0c0d0e0f));
    ck_assert_int_eq(w.err, E_OK);
    ck_assert_uint_eq(wr_len(&w), sizeof buf);
    for (size_t i = 0; i < sizeof buf; i++)
        ck_assert_uint_eq(buf[i], i + 1);

    struct rd r = rd_of(wr_done(&w));
    ck_assert_uint_eq(rd_u8(&r), 0x01);
    ck_assert_uint_eq(rd_u16(&r), 0x0203);
    ck_assert_uint_eq(rd_u32(&r), 0x04050607);
    ck_assert_int_eq(rd_end(&r), E_TRAILING);
    ck_assert_uint_eq(rd_left(&r), 8);
    ck_assert_uint_eq(rd_u64(&r), UINT64_C(0x08090a0b0c0d0e0f));
    ck_assert_int_eq(rd_end(&r), E_OK);
}
END_TEST

START_TEST(a_reader_fails_once_and_for_all)
{
    const uint8_t p[] = {1, 2, 3};
    uint8_t out[4] = {9, 9, 9, 9};
    struct rd r = rd_of(bytes_of(p, sizeof p));
    ck_assert_uint_eq(rd_u32(&r), 0);
    ck_assert_int_eq(r.err, E_TRUNCATED);
    /* The byte that is there is not given either: a half-read value is no value. */
    ck_assert_uint_eq(rd_u8(&r), 0);
    rd_copy(&r, out, sizeof out);
    ck_assert_mem_eq(out, "\0\0\0\0", 4);
    ck_assert_uint_eq(rd_take(&r, 1).n, 0);
    ck_assert_uint_eq(rd_left(&r), 0);
    rd_fail(&r, E_HASH);
    ck_assert_int_eq(rd_end(&r), E_TRUNCATED);

    r = rd_of(bytes_of(p, sizeof p));
    rd_fail(&r, E_RANGE);
    ck_assert_uint_eq(rd_u8(&r), 0);
    ck_assert_int_eq(rd_end(&r), E_RANGE);

    r = rd_of(bytes_of(p, sizeof p));
    struct bytes b = rd_take(&r, 2);
    ck_assert_ptr_eq(b.p, p);
    ck_assert_uint_eq(b.n, 2);
    ck_assert_uint_eq(rd_take(&r, SIZE_MAX).n, 0);
    ck_assert_int_eq(rd_end(&r), E_TRUNCATED);
}
END_TEST

START_TEST(nothing_is_read_and_written_at_no_address)
{
    struct rd r = rd_of(bytes_of(NULL, 0));
    ck_assert_uint_eq(rd_take(&r, 0).n, 0);
    rd_copy(&r, NULL, 0);
    ck_assert_int_eq(rd_end(&r), E_OK);
    ck_assert_uint_eq(rd_u8(&r), 0);
    ck_assert_int_eq(rd_end(&r), E_TRUNCATED);

    struct wr w = wr_of(NULL, 0);
    wr_bytes(&w, bytes_of(NULL, 0));
    ck_assert_int_eq(w.err, E_OK);
    ck_assert_uint_eq(wr_len(&w), 0);
    wr_u8(&w, 1);
    ck_assert_int_eq(w.err, E_OVERSIZED);
}
END_TEST

START_TEST(a_writer_fails_once_and_for_all)
{
    uint8_t buf[4] = {0};
    struct wr w = wr_of(buf, 3);
    wr_u16(&w, 0x0102);
    wr_u16(&w, 0x0304);
    ck_assert_int_eq(w.err, E_OVERSIZED);
    wr_u8(&w, 5); /* would fit, but what comes after a gap is worthless */
    ck_assert_uint_eq(wr_len(&w), 2);
    ck_assert_mem_eq(buf, "\1\2\0\0", 4);
    wr_copy(&w, buf, SIZE_MAX);
    ck_assert_uint_eq(wr_len(&w), 2);
}
END_TEST

START_TEST(utf8_takes_every_length)
{
    static const struct {
        const char *text;
        uint32_t code;
    } good[] = {{"a", 'a'},
                {"\xc2\x80", 0x80},
                {"\xdf\xbf", 0x7ff},
                {"\xe0\xa0\x80", 0x800},
                {"\xed\x9f\xbf", 0xd7ff},
                {"\xee\x80\x80", 0xe000},
                {"\xef\xbf\xbf", 0xffff},
                {"\xf0\x90\x80\x80", 0x10000},
                {"\xf4\x8f\xbf\xbf", 0x10ffff}};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        uint32_t code = 0;
        ck_assert_uint_eq(utf8_next(bytes_str(good[i].text), &code), strlen(good[i].text));
        ck_assert_uint_eq(code, good[i].code);
    }
    ck_assert(utf8_valid(bytes_str("gr\xc3\xbc\xc3\x9f dich")));
    ck_assert(utf8_valid(bytes_of(NULL, 0)));
}
END_TEST

START_TEST(utf8_refuses_all_else)
{
    static const char *const bad[] = {
        "\x80",             /* a continuation alone */
        "\xc2",             /* cut short */
        "\xc2 ",            /* no continuation */
        "\xc0\xaf",         /* overlong "/" */
        "\xc1\xbf",         /* overlong */
        "\xe0\x9f\xbf",     /* overlong */
        "\xf0\x8f\xbf\xbf", /* overlong */
        "\xed\xa0\x80",     /* a surrogate */
        "\xed\xbf\xbf",     /* a surrogate */
        "\xf4\x90\x80\x80", /* beyond the last */
        "\xf8\x88\x80\x80\x80",
        "\xff",
        "abc\xe2\x82",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ck_assert_msg(!utf8_valid(bytes_str(bad[i])), "took number %zu", i);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("bytes");
    TCase *t = tcase_create("bytes");
    tcase_add_test(t, err_names_follow_their_table);
    tcase_add_test(t, views_compare_by_content);
    tcase_add_test(t, hex_goes_there_and_back);
    tcase_add_test(t, numbers_are_big_endian);
    tcase_add_test(t, a_reader_fails_once_and_for_all);
    tcase_add_test(t, nothing_is_read_and_written_at_no_address);
    tcase_add_test(t, a_writer_fails_once_and_for_all);
    tcase_add_test(t, utf8_takes_every_length);
    tcase_add_test(t, utf8_refuses_all_else);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
