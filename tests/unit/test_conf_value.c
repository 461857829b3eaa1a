/* Values of the configuration, to and from text: units, limits of 64 bits, addresses. */
#include "fwswarm/conf.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

struct number_row {
    const char *text;
    enum err err;
    uint64_t v;
};

static void check_numbers(enum err (*parse)(struct bytes, uint64_t *),
                          const struct number_row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        /* An exact copy without terminator: nothing beyond the view may be read. */
        size_t len = strlen(rows[i].text);
        char *copy = malloc(len > 0 ? len : 1);
        ck_assert_ptr_nonnull(copy);
        memcpy(copy, rows[i].text, len);
        uint64_t v = 42;
        enum err e = parse(bytes_of(copy, len), &v);
        free(copy);
        ck_assert_msg(e == rows[i].err, "\"%s\": %s", rows[i].text, err_name(e));
        ck_assert_msg(v == (e == E_OK ? rows[i].v : 42), "\"%s\": %llu", rows[i].text,
                      (unsigned long long)v);
    }
}
#define CHECK_NUMBERS(parse, rows) check_numbers(parse, rows, sizeof(rows) / sizeof((rows)[0]))

START_TEST(rates)
{
    static const struct number_row rows[] = {
        {"10Mbit", E_OK, 1250000},
        {"2MB", E_OK, 2000000},
        {"500kbit", E_OK, 62500},
        {"1Gbit", E_OK, 125000000},
        {"8bit", E_OK, 1},
        {"1bit", E_OK, 1}, /* never down to nothing, which would mean no limit */
        {"1.5MiB", E_OK, 1572864},
        {"0.1MB", E_OK, 100000},
        {"2 MB/s", E_OK, 2000000},
        {"10mbit", E_OK, 1250000},
        {"10KiB", E_OK, 10240},
        {"0", E_OK, 0},
        {"0MB", E_OK, 0},
        {"10", E_FORMAT, 0},
        {"10Mb", E_FORMAT, 0},
        {"10M", E_FORMAT, 0},
        {"10Mbps", E_FORMAT, 0},
        {"MB", E_FORMAT, 0},
        {"", E_FORMAT, 0},
        {"-1MB", E_FORMAT, 0},
        {"+1MB", E_FORMAT, 0},
        {" 1MB", E_FORMAT, 0},
        {"1MB ", E_FORMAT, 0},
        {"1  MB", E_FORMAT, 0},
        {"1.MB", E_FORMAT, 0},
        {".5MB", E_FORMAT, 0},
        {"1.5.5MB", E_FORMAT, 0},
        {"1.00001MB", E_FORMAT, 0},
        {"1MB/h", E_FORMAT, 0},
        {"1MB/ss", E_FORMAT, 0},
        {"1e6B", E_FORMAT, 0},
        {"0x10B", E_FORMAT, 0},
        {"18446744073709551615B", E_OK, UINT64_MAX},
        {"18446744073709551616B", E_RANGE, 0},
        {"18446744073709551615GB", E_RANGE, 0},
        {"17179869184GiB", E_RANGE, 0},
        {"99999999999999999999999999MB", E_RANGE, 0},
    };
    CHECK_NUMBERS(conf_parse_rate, rows);
}
END_TEST

START_TEST(sizes)
{
    static const struct number_row rows[] = {
        {"16MiB", E_OK, 16777216},
        {"4096", E_OK, 4096},
        {"4096B", E_OK, 4096},
        {"64KiB", E_OK, 65536},
        {"2GB", E_OK, 2000000000},
        {"1TiB", E_OK, UINT64_C(1) << 40},
        {"0.5KiB", E_OK, 512},
        {"0.0001B", E_OK, 1},
        {"16777215.9999TiB", E_OK, UINT64_C(18446744073599600454)},
        {"0", E_OK, 0},
        {"16M", E_FORMAT, 0},
        {"16Mbit", E_FORMAT, 0},
        {"16MiB/s", E_FORMAT, 0},
        {"MiB", E_FORMAT, 0},
        {"", E_FORMAT, 0},
        {"16777216TiB", E_RANGE, 0},
        {"18446744073709551615.5", E_RANGE, 0},
    };
    CHECK_NUMBERS(conf_parse_size, rows);
}
END_TEST

START_TEST(durations)
{
    static const struct number_row rows[] = {
        {"30s", E_OK, 30000000},
        {"250ms", E_OK, 250000},
        {"7us", E_OK, 7},
        {"1h30min", E_OK, UINT64_C(5400000000)},
        {"5m", E_OK, 300000000},
        {"1.5h", E_OK, UINT64_C(5400000000)},
        {"7d", E_OK, UINT64_C(604800000000)},
        {"0", E_OK, 0},
        {"30", E_FORMAT, 0},
        {"0 5s", E_FORMAT, 0},
        {"1h30", E_FORMAT, 0},
        {"1h 30min", E_FORMAT, 0},
        {"s", E_FORMAT, 0},
        {"", E_FORMAT, 0},
        {"30sec", E_FORMAT, 0},
        {"213503983d", E_RANGE, 0},
        {"18446744073709551615us1us", E_RANGE, 0},
    };
    CHECK_NUMBERS(conf_parse_duration, rows);
    static const struct number_row whole[] = {
        {"0", E_OK, 0},
        {"18446744073709551615", E_OK, UINT64_MAX},
        {"18446744073709551616", E_RANGE, 0},
        {"12a", E_FORMAT, 0},
        {"1.5", E_FORMAT, 0},
        {"-1", E_FORMAT, 0},
        {"", E_FORMAT, 0},
    };
    CHECK_NUMBERS(conf_parse_u64, whole);
}
END_TEST

START_TEST(numbers_print_as_they_parse)
{
    char out[CONF_NUMBER_TEXT];
    ck_assert_str_eq(conf_print_rate(out, 1250000), "10Mbit");
    ck_assert_str_eq(conf_print_rate(out, 62500), "500kbit");
    ck_assert_str_eq(conf_print_rate(out, 1234567), "1234567B");
    ck_assert_str_eq(conf_print_rate(out, 0), "0");
    ck_assert_str_eq(conf_print_size(out, 16777216), "16MiB");
    ck_assert_str_eq(conf_print_size(out, 4097), "4097B");
    ck_assert_str_eq(conf_print_duration(out, 30000000), "30s");
    ck_assert_str_eq(conf_print_duration(out, 90000000), "90s");
    ck_assert_str_eq(conf_print_duration(out, UINT64_C(86400000000)), "1d");

    uint64_t v = 1;
    for (unsigned i = 0; i < 3000; i++) {
        uint64_t got;
        v = v * UINT64_C(6364136223846793005) + 1442695040888963407u;
        static const uint64_t step[] = {1, 125, 1000, 1024, 125000, 1000000, 1048576};
        uint64_t n = (v >> i % 64) / step[i % 7] * step[i % 7];
        ck_assert_int_eq(conf_parse_rate(bytes_str(conf_print_rate(out, n)), &got), E_OK);
        ck_assert_uint_eq(got, n);
        ck_assert_int_eq(conf_parse_size(bytes_str(conf_print_size(out, n)), &got), E_OK);
        ck_assert_uint_eq(got, n);
        ck_assert_int_eq(conf_parse_duration(bytes_str(conf_print_duration(out, n)), &got), E_OK);
        ck_assert_uint_eq(got, n);
    }
}
END_TEST

static const struct {
    const char *text, *canonical;
} good_addresses[] = {
    {"192.0.2.1:6900", NULL},
    {"0.0.0.0:0", NULL},
    {"255.255.255.255:65535", NULL},
    {"[::]:0", NULL},
    {"[::1]:6900", NULL},
    {"[2001:db8::1]:6900", NULL},
    {"[fe80::1%3]:1", NULL},
    {"[fe80::1%4294967295]:1", NULL},
    {"[2001:db8:0:1:1:1:1:1]:1", NULL},
    {"[1:2:3:4:5:6:7:8]:1", NULL},
    {"[1::]:1", NULL},
    {"[2001:DB8::00a1]:1", "[2001:db8::a1]:1"},
    {"[2001:db8:0:0:1:0:0:1]:1", "[2001:db8::1:0:0:1]:1"},
    {"[0:0:0:0:0:0:0:0]:1", "[::]:1"},
    {"[1:2:3:4:5:6:7::]:1", "[1:2:3:4:5:6:7:0]:1"},
    {"[::2:3:4:5:6:7:8]:1", "[0:2:3:4:5:6:7:8]:1"},
    {"[::ffff:192.0.2.1]:1", "[::ffff:c000:201]:1"},
    {"[1:2:3:4:5:6:192.0.2.1]:1", "[1:2:3:4:5:6:c000:201]:1"},
    {"[64:ff9b::192.0.2.33]:1", "[64:ff9b::c000:221]:1"},
};

START_TEST(addresses)
{
    for (size_t i = 0; i < sizeof good_addresses / sizeof good_addresses[0]; i++) {
        struct addr a, b;
        char out[CONF_ADDR_TEXT];
        ck_assert_msg(conf_parse_addr(bytes_str(good_addresses[i].text), &a) == E_OK, "%s",
                      good_addresses[i].text);
        ck_assert_str_eq(conf_print_addr(out, &a), good_addresses[i].canonical != NULL
                                                       ? good_addresses[i].canonical
                                                       : good_addresses[i].text);
        ck_assert_int_eq(conf_parse_addr(bytes_str(out), &b), E_OK);
        ck_assert(addr_equal(&a, &b));
        b.port ^= 1;
        ck_assert(!addr_equal(&a, &b));
    }
    struct addr a;
    ck_assert_int_eq(conf_parse_addr(bytes_str("[fe80::12%7]:258"), &a), E_OK);
    ck_assert_uint_eq(a.family, 6);
    ck_assert_uint_eq(a.ip[0], 0xfe);
    ck_assert_uint_eq(a.ip[1], 0x80);
    ck_assert_uint_eq(a.ip[15], 0x12);
    ck_assert_uint_eq(a.scope, 7);
    ck_assert_uint_eq(a.port, 258);
    char out[CONF_ADDR_TEXT];
    ck_assert_str_eq(conf_print_addr(out, &(struct addr){0}), "none");
}
END_TEST

START_TEST(bad_addresses)
{
    static const char *const bad[] = {
        "",
        "192.0.2.1",
        "192.0.2.1:",
        ":6900",
        "192.0.2.1:x",
        "192.0.2.1:+1",
        "192.0.2:1",
        "192.0.2.1.1:1",
        "192.0.2.256:1",
        "192.0.2.01:1",
        "192.0.2.1:01",
        "192.0.2.1:1 ",
        " 192.0.2.1:1",
        "example.org:1",
        "localhost:1",
        "::1:6900",
        "[::1]",
        "[::1]6900",
        "[::1:1",
        "[]:1",
        "[:]:1",
        "[:1]:1",
        "[1:]:1",
        "[:::]:1",
        "[1::2::3]:1",
        "[1:2:3:4:5:6:7]:1",
        "[1:2:3:4:5:6:7:8:9]:1",
        "[1:2:3:4:5:6:7:8:]:1",
        "[1:2:3:4:5:6:7:8::]:1",
        "[::1:2:3:4:5:6:7:8]:1",
        "[12345::]:1",
        "[g::]:1",
        "[192.0.2.1]:1",
        "[::192.0.2]:1",
        "[::192.0.2.1:1]:1",
        "[1:2:3:4:5:6:7:192.0.2.1]:1",
        "[fe80::1%]:1",
        "[fe80::1%0]:1",
        "[fe80::1%eth0]:1",
        "[fe80::1%4294967296]:1",
        "[::1]:",
        "none",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        size_t len = strlen(bad[i]);
        char *copy = malloc(len > 0 ? len : 1);
        ck_assert_ptr_nonnull(copy);
        memcpy(copy, bad[i], len);
        struct addr a;
        ck_assert_msg(conf_parse_addr(bytes_of(copy, len), &a) == E_FORMAT, "%s", bad[i]);
        free(copy);
    }
    struct addr a;
    ck_assert_int_eq(conf_parse_addr(bytes_str("192.0.2.1:65536"), &a), E_RANGE);
    ck_assert_int_eq(conf_parse_addr(bytes_str("[::1]:99999999999999999999999"), &a), E_RANGE);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("conf_value");
    TCase *t = tcase_create("conf_value");
    tcase_add_test(t, rates);
    tcase_add_test(t, sizes);
    tcase_add_test(t, durations);
    tcase_add_test(t, numbers_print_as_they_parse);
    tcase_add_test(t, addresses);
    tcase_add_test(t, bad_addresses);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
