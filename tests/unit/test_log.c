/* Log lines: their shape, and that no text from elsewhere can forge one. */
#include "fwswarm/log.h"

#include "fwswarm/utf8.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

struct sink {
    char line[LOG_LINE_MAX + 1];
    size_t n;
    unsigned lines;
    enum log_level level;
};

static void keep(void *ctx, enum log_level level, const char *line, size_t n)
{
    struct sink *s = ctx;
    ck_assert_uint_le(n, LOG_LINE_MAX);
    memcpy(s->line, line, n);
    s->line[n] = '\0';
    s->n = n;
    s->level = level;
    s->lines++;
}

static struct log log_to(struct sink *s, enum log_level level)
{
    memset(s, 0, sizeof *s);
    return (struct log){.level = level, .node = "p1", .sink = keep, .ctx = s};
}

/* Whatever was written: one line, ended by its only line end, in clean UTF-8. */
static void check_line(const struct sink *s)
{
    ck_assert_uint_eq(s->lines, 1);
    ck_assert_uint_gt(s->n, 1);
    ck_assert_ptr_eq(memchr(s->line, '\n', s->n), s->line + s->n - 1);
    ck_assert_uint_eq(strlen(s->line), s->n);
    ck_assert_int_eq(strncmp(s->line, "t=", 2), 0);
    struct bytes b = bytes_of(s->line, s->n - 1);
    while (b.n > 0) {
        uint32_t code;
        size_t n = utf8_next(b, &code);
        ck_assert_uint_gt(n, 0);
        ck_assert(!utf8_unsafe(code));
        b = bytes_of(b.p + n, b.n - n);
    }
}

START_TEST(a_line_has_time_level_node_and_event)
{
    struct sink s;
    struct log l = log_to(&s, LOG_DEBUG);
    l.now_us = 12000345;
    log_info(&l, "image.complete", "slot=%u bytes=%llu", 2u, 67108864ull);
    ck_assert_str_eq(s.line,
                     "t=12.000345 lvl=info node=p1 ev=image.complete slot=2 bytes=67108864\n");
    log_error(&l, "x", "%s", "");
    ck_assert_str_eq(s.line, "t=12.000345 lvl=error node=p1 ev=x\n");
    ck_assert_int_eq(s.level, LOG_ERROR);
    l.node[0] = '\0';
    l.now_us = UINT64_MAX;
    log_warn(&l, "x", "a=1");
    ck_assert_str_eq(s.line, "t=18446744073709.551615 lvl=warn node=\"\" ev=x a=1\n");
    log_debug(&l, "x", "a=1");
    ck_assert_uint_eq(s.lines, 4);
}
END_TEST

START_TEST(a_level_hides_what_is_below)
{
    struct sink s;
    struct log l = log_to(&s, LOG_WARN);
    log_info(&l, "x", "a=1");
    log_debug(&l, "x", "a=1");
    log_write(&l, LOG_INFO, "x", "a=1");
    ck_assert_uint_eq(s.lines, 0);
    log_warn(&l, "x", "a=1");
    log_error(&l, "x", "a=1");
    ck_assert_uint_eq(s.lines, 2);
    l.sink = NULL;
    log_error(&l, "x", "a=1");
    log_write(&l, LOG_ERROR, "x", "a=1");
}
END_TEST

START_TEST(a_hostile_text_stays_in_its_line)
{
    struct sink s;
    struct log l = log_to(&s, LOG_DEBUG);
    log_info(&l, "x", "v=%s", "1\nt=0.000000 lvl=error node=p1 ev=disk.full");
    check_line(&s);
    ck_assert_ptr_nonnull(strstr(s.line, "v=1\\nt=0.000000"));

    static const char *const texts[] = {
        "a\rb",
        "a\tb",
        "a\x1b[2Jb",
        "a\x7f",
        "\xc2\x9b"
        "31m",
        "\xe2\x80\xa8next",
        "\xe2\x80\xae"
        "txt",
        "\xff\xfe",
        "\xe2\x82",
        "\xc0\x8a",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        l = log_to(&s, LOG_DEBUG);
        log_info(&l, "x", "v=%s", texts[i]);
        check_line(&s);
    }
    l = log_to(&s, LOG_DEBUG);
    log_info(&l, "x", "v=%s", "\x1b\xff\xc2\x85gr\xc3\xbcn");
    ck_assert_str_eq(s.line, "t=0.000000 lvl=info node=p1 ev=x v=\\x1b\\xff\\u0085gr\xc3\xbcn\n");

    l = log_to(&s, LOG_DEBUG);
    memcpy(l.node, "a\nb c=\"d\" 012345", sizeof l.node); /* no terminator either */
    log_info(&l, "x", "a=1");
    check_line(&s);
}
END_TEST

START_TEST(a_long_line_is_cut_and_says_so)
{
    static char text[3 * LOG_LINE_MAX];
    struct sink s;
    for (size_t n = LOG_LINE_MAX - 80; n < sizeof text; n += n < LOG_LINE_MAX + 8 ? 1 : 97) {
        /* Plain, escaped to fourfold length, and characters of more than a byte each. */
        static const char *const parts[] = {"x", "\x01", "\xc3\xbc", "\xf0\x9f\x8c\x8d"};
        for (size_t k = 0; k < 4; k++) {
            size_t m = 0;
            while (m + strlen(parts[k]) < n) {
                memcpy(text + m, parts[k], strlen(parts[k]));
                m += strlen(parts[k]);
            }
            text[m] = '\0';
            struct log l = log_to(&s, LOG_DEBUG);
            log_info(&l, "x", "%s", text);
            check_line(&s);
            bool cut = s.n >= 4 && memcmp(s.line + s.n - 4, "...\n", 4) == 0;
            if (k == 0)
                ck_assert_int_eq(cut, strlen("t=0.000000 lvl=info node=p1 ev=x \n") + m >
                                          LOG_LINE_MAX - 3);
            else
                ck_assert(cut || s.n < LOG_LINE_MAX);
            /* No half of a character turns up as an escape of its own. */
            if (k >= 2)
                ck_assert_ptr_null(strchr(s.line, '\\'));
        }
    }
}
END_TEST

static const char *value(const char *text)
{
    static char out[64];
    return log_value(out, sizeof out, bytes_str(text));
}

START_TEST(a_value_keeps_to_its_field)
{
    ck_assert_str_eq(value("1.2.3-rc1"), "1.2.3-rc1");
    ck_assert_str_eq(value("gr\xc3\xbcn"), "gr\xc3\xbcn");
    ck_assert_str_eq(value(""), "\"\"");
    ck_assert_str_eq(value("a b"), "\"a b\"");
    ck_assert_str_eq(value("a=b"), "\"a=b\"");
    ck_assert_str_eq(value("say \"x\""), "\"say \\\"x\\\"\"");
    ck_assert_str_eq(value("a\\b"), "\"a\\\\b\"");
    ck_assert_str_eq(value("1\" lvl=error ev=forged"), "\"1\\\" lvl=error ev=forged\"");
    ck_assert_str_eq(value("a\nb\tc\x1b\xff"), "\"a\\nb\\tc\\x1b\\xff\"");

    /* A value inside a line goes through both without being escaped twice. */
    struct sink s;
    struct log l = log_to(&s, LOG_DEBUG);
    log_info(&l, "x", "v=%s", value("a\n\"b"));
    ck_assert_str_eq(s.line, "t=0.000000 lvl=info node=p1 ev=x v=\"a\\n\\\"b\"\n");
}
END_TEST

START_TEST(a_value_is_cut_to_fit)
{
    char out[12];
    ck_assert_str_eq(log_value(out, sizeof out, bytes_str("abcdefghijk")), "abcdefghijk");
    ck_assert_str_eq(log_value(out, sizeof out, bytes_str("abcdefghijkl")), "\"abcdef...\"");
    ck_assert_str_eq(log_value(out, sizeof out, bytes_str("\n\n\n\n\n\n")), "\"\\n\\n\\n...\"");
    char small[8];
    ck_assert_str_eq(log_value(small, sizeof small, bytes_str("a b c d e")), "\"a ...\"");
}
END_TEST

START_TEST(a_key_is_eight_digits)
{
    struct key k = {{0xde, 0xad, 0xbe, 0xef, 0x55}};
    char out[9];
    ck_assert_str_eq(log_key(out, &k), "deadbeef");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("log");
    TCase *t = tcase_create("log");
    tcase_add_test(t, a_line_has_time_level_node_and_event);
    tcase_add_test(t, a_level_hides_what_is_below);
    tcase_add_test(t, a_hostile_text_stays_in_its_line);
    tcase_add_test(t, a_long_line_is_cut_and_says_so);
    tcase_add_test(t, a_value_keeps_to_its_field);
    tcase_add_test(t, a_value_is_cut_to_fit);
    tcase_add_test(t, a_key_is_eight_digits);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
