/* Values of the configuration to and from text: numbers with units, and addresses.
 *
 * A number is taken as digits and fraction apart and multiplied in integers, so "0.1MB" is exact.
 * Case tells nothing in a unit except that a byte is B: "Mb" would be read both ways, so it is
 * refused, and so is a rate without a unit. */
#include "fwswarm/conf.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* A unit is worth mul / div bytes or microseconds. */
struct unit {
    const char *name;
    uint64_t mul, div;
};

#define KI UINT64_C(1024)

static const struct unit rate_units[] = {
    {"bit", 1, 8},  {"kbit", 1000, 8},  {"Mbit", 1000000, 8},   {"Gbit", 1000000000, 8},
    {"B", 1, 1},    {"kB", 1000, 1},    {"MB", 1000000, 1},     {"GB", 1000000000, 1},
    {"KiB", KI, 1}, {"MiB", KI *KI, 1}, {"GiB", KI *KI *KI, 1}, {NULL, 0, 0},
};

static const struct unit size_units[] = {
    {"", 1, 1},
    {"B", 1, 1},
    {"kB", 1000, 1},
    {"MB", 1000000, 1},
    {"GB", 1000000000, 1},
    {"TB", UINT64_C(1000000000000), 1},
    {"KiB", KI, 1},
    {"MiB", KI *KI, 1},
    {"GiB", KI *KI *KI, 1},
    {"TiB", KI *KI *KI *KI, 1},
    {NULL, 0, 0},
};

static const struct unit duration_units[] = {
    {"us", 1, 1},
    {"ms", 1000, 1},
    {"s", 1000000, 1},
    {"min", UINT64_C(60000000), 1},
    {"m", UINT64_C(60000000), 1},
    {"h", UINT64_C(3600000000), 1},
    {"d", UINT64_C(86400000000), 1},
    {NULL, 0, 0},
};

/* ---- a cursor over text ---- */

static bool at_end(const struct bytes *t)
{
    return t->n == 0;
}

static void step(struct bytes *t, size_t n)
{
    *t = bytes_of(t->p + n, t->n - n);
}

static bool take_char(struct bytes *t, char c)
{
    if (at_end(t) || t->p[0] != (uint8_t)c)
        return false;
    step(t, 1);
    return true;
}

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static uint8_t lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c - 'A' + 'a') : c;
}

static bool is_letter(uint8_t c)
{
    return lower(c) >= 'a' && lower(c) <= 'z';
}

/* Decimal digits, at least one. */
static enum err take_digits(struct bytes *t, uint64_t *out)
{
    if (at_end(t) || !is_digit(t->p[0]))
        return E_FORMAT;
    uint64_t v = 0;
    for (; !at_end(t) && is_digit(t->p[0]); step(t, 1)) {
        uint64_t digit = (uint64_t)(t->p[0] - '0');
        if (v > (UINT64_MAX - digit) / 10)
            return E_RANGE;
        v = v * 10 + digit;
    }
    *out = v;
    return E_OK;
}

/* ---- numbers with units ---- */

static const struct unit *find_unit(const struct unit *units, struct bytes name)
{
    for (const struct unit *u = units; u->name != NULL; u++) {
        size_t n = strlen(u->name), i = 0;
        while (i < n && i < name.n && lower(name.p[i]) == lower((uint8_t)u->name[i]))
            i++;
        if (i != n || i != name.n)
            continue;
        if (n > 0 && u->name[n - 1] == 'B' && name.p[n - 1] != 'B')
            return NULL;
        return u;
    }
    return NULL;
}

/* value * mul / div, rounded up. */
static enum err scale(uint64_t value, uint64_t mul, uint64_t div, uint64_t *out)
{
    uint64_t whole = value / div, part = value % div;
    /* part < div, and div * mul stays far below 64 bits for each unit and fraction. */
    uint64_t rest = (part * mul + div - 1) / div;
    if (mul > 0 && whole > (UINT64_MAX - rest) / mul)
        return E_RANGE;
    *out = whole * mul + rest;
    return E_OK;
}

/* The digits behind a point, as a fraction of ten_to: at most four, which keeps scale() exact. */
static enum err take_fraction(struct bytes *t, uint64_t *digits, uint64_t *ten_to)
{
    size_t before = t->n;
    enum err e = take_digits(t, digits);
    if (e != E_OK)
        return E_FORMAT;
    size_t n = before - t->n;
    if (n > 4)
        return E_FORMAT;
    for (*ten_to = 1; n > 0; n--)
        *ten_to *= 10;
    return E_OK;
}

static enum err take_quantity(struct bytes *t, const struct unit *units, uint64_t *out)
{
    uint64_t whole, fraction = 0, ten_to = 1;
    enum err e = take_digits(t, &whole);
    if (e == E_OK && take_char(t, '.'))
        e = take_fraction(t, &fraction, &ten_to);
    if (e != E_OK)
        return e;
    (void)take_char(t, ' ');
    size_t n = 0;
    while (n < t->n && is_letter(t->p[n]))
        n++;
    const struct unit *u = find_unit(units, bytes_of(t->p, n));
    step(t, n);
    if (u == NULL) {
        /* Nothing is nothing in every unit. */
        if (whole != 0 || fraction != 0 || !at_end(t))
            return E_FORMAT;
        *out = 0;
        return E_OK;
    }
    uint64_t a, b;
    e = scale(whole, u->mul, u->div, &a);
    if (e == E_OK)
        e = scale(fraction, u->mul, u->div * ten_to, &b);
    if (e != E_OK)
        return e;
    if (a > UINT64_MAX - b)
        return E_RANGE;
    *out = a + b;
    return E_OK;
}

enum err conf_parse_u64(struct bytes text, uint64_t *out)
{
    uint64_t v;
    enum err e = take_digits(&text, &v);
    if (e != E_OK)
        return e;
    if (!at_end(&text))
        return E_FORMAT;
    *out = v;
    return E_OK;
}

enum err conf_parse_rate(struct bytes text, uint64_t *out)
{
    uint64_t v;
    enum err e = take_quantity(&text, rate_units, &v);
    if (e != E_OK)
        return e;
    if (take_char(&text, '/') && !take_char(&text, 's'))
        return E_FORMAT;
    if (!at_end(&text))
        return E_FORMAT;
    *out = v;
    return E_OK;
}

enum err conf_parse_size(struct bytes text, uint64_t *out)
{
    uint64_t v;
    enum err e = take_quantity(&text, size_units, &v);
    if (e != E_OK)
        return e;
    if (!at_end(&text))
        return E_FORMAT;
    *out = v;
    return E_OK;
}

enum err conf_parse_duration(struct bytes text, uint64_t *out)
{
    uint64_t sum = 0;
    do {
        uint64_t v;
        enum err e = take_quantity(&text, duration_units, &v);
        if (e != E_OK)
            return e;
        if (v > UINT64_MAX - sum)
            return E_RANGE;
        sum += v;
    } while (!at_end(&text));
    *out = sum;
    return E_OK;
}

/* The largest of these units that leaves no remainder. */
static const char *print_units(char *out, uint64_t v, const struct unit *units)
{
    const struct unit *u = units;
    while (u->mul > 1 && (v == 0 || v % u->mul != 0))
        u++;
    (void)snprintf(out, CONF_NUMBER_TEXT, "%" PRIu64 "%s", v / u->mul, v == 0 ? "" : u->name);
    return out;
}

const char *conf_print_rate(char out[CONF_NUMBER_TEXT], uint64_t v)
{
    static const struct unit units[] = {
        {"Gbit", 125000000, 1}, {"Mbit", 125000, 1}, {"kbit", 125, 1}, {"B", 1, 1}};
    return print_units(out, v, units);
}

const char *conf_print_size(char out[CONF_NUMBER_TEXT], uint64_t v)
{
    static const struct unit units[] = {{"TiB", KI * KI * KI * KI, 1},
                                        {"GiB", KI * KI * KI, 1},
                                        {"MiB", KI * KI, 1},
                                        {"KiB", KI, 1},
                                        {"B", 1, 1}};
    return print_units(out, v, units);
}

const char *conf_print_duration(char out[CONF_NUMBER_TEXT], uint64_t v)
{
    static const struct unit units[] = {{"d", UINT64_C(86400000000), 1},
                                        {"h", UINT64_C(3600000000), 1},
                                        {"min", 60000000, 1},
                                        {"s", 1000000, 1},
                                        {"ms", 1000, 1},
                                        {"us", 1, 1}};
    return print_units(out, v, units);
}

/* ---- addresses ---- */

/* A decimal number without leading zeros, which some readers take for octal. */
static enum err take_decimal(struct bytes *t, uint64_t max, uint64_t *out)
{
    if (t->n > 1 && t->p[0] == '0' && is_digit(t->p[1]))
        return E_FORMAT;
    enum err e = take_digits(t, out);
    return e == E_OK && *out > max ? E_RANGE : e;
}

static bool take_ipv4(struct bytes *t, uint8_t ip[4])
{
    for (size_t i = 0; i < 4; i++) {
        uint64_t v;
        if ((i > 0 && !take_char(t, '.')) || take_decimal(t, 255, &v) != E_OK)
            return false;
        ip[i] = (uint8_t)v;
    }
    return true;
}

/* One to four hex digits. */
static bool take_group(struct bytes *t, uint8_t out[2])
{
    uint32_t v = 0;
    size_t n = 0;
    for (; n < 4 && n < t->n; n++) {
        uint8_t c = lower(t->p[n]);
        if (!is_digit(c) && (c < 'a' || c > 'f'))
            break;
        v = v << 4 | (uint32_t)(is_digit(c) ? c - '0' : c - 'a' + 10);
    }
    step(t, n);
    out[0] = (uint8_t)(v >> 8);
    out[1] = (uint8_t)v;
    return n > 0;
}

/* Does the text up to its first ':', '%' or ']' hold a dot, so that it is an IPv4 tail? */
static bool at_ipv4(struct bytes t)
{
    for (size_t i = 0; i < t.n && (is_digit(t.p[i]) || t.p[i] == '.'); i++) {
        if (t.p[i] == '.')
            return true;
    }
    return false;
}

static bool take_ipv6(struct bytes *t, uint8_t ip[16])
{
    size_t n = 0, gap = SIZE_MAX; /* bytes so far; where "::" stood */
    memset(ip, 0, 16);
    if (t->n >= 2 && t->p[0] == ':' && t->p[1] == ':') {
        gap = 0;
        step(t, 2);
    }
    while (n < 16 && !at_end(t) && t->p[0] != ']' && t->p[0] != '%') {
        if (at_ipv4(*t)) {
            if (n > 12 || !take_ipv4(t, ip + n))
                return false;
            n += 4;
            break;
        }
        if (!take_group(t, ip + n))
            return false;
        n += 2;
        if (!take_char(t, ':'))
            break;
        if (take_char(t, ':')) {
            if (gap != SIZE_MAX)
                return false;
            gap = n;
        } else if (at_end(t) || t->p[0] == ']' || t->p[0] == '%' || n == 16) {
            return false; /* a single colon at the end */
        }
    }
    if (gap == SIZE_MAX)
        return n == 16;
    if (n > 14)
        return false; /* "::" stands for one group at least */
    memmove(ip + 16 - (n - gap), ip + gap, n - gap);
    memset(ip + gap, 0, 16 - n);
    return true;
}

enum err conf_parse_addr(struct bytes text, struct addr *out)
{
    struct addr a;
    uint64_t v;
    memset(&a, 0, sizeof a);
    if (take_char(&text, '[')) {
        a.family = 6;
        if (!take_ipv6(&text, a.ip))
            return E_FORMAT;
        if (take_char(&text, '%')) {
            if (take_decimal(&text, UINT32_MAX, &v) != E_OK || v == 0)
                return E_FORMAT;
            a.scope = (uint32_t)v;
        }
        if (!take_char(&text, ']'))
            return E_FORMAT;
    } else {
        a.family = 4;
        if (!take_ipv4(&text, a.ip))
            return E_FORMAT;
    }
    if (!take_char(&text, ':'))
        return E_FORMAT;
    enum err e = take_decimal(&text, UINT16_MAX, &v);
    if (e != E_OK)
        return e;
    if (!at_end(&text))
        return E_FORMAT;
    a.port = (uint16_t)v;
    *out = a;
    return E_OK;
}

static uint32_t group(const struct addr *a, size_t i)
{
    return (uint32_t)a->ip[2 * i] << 8 | a->ip[2 * i + 1];
}

/* The longest run of zero groups, two at least, the first of equals (RFC 5952, section 4.2). */
static void longest_zeros(const struct addr *a, size_t *first, size_t *count)
{
    *first = 8;
    *count = 1;
    for (size_t i = 0; i < 8; i++) {
        size_t n = 0;
        while (i + n < 8 && group(a, i + n) == 0)
            n++;
        if (n > *count) {
            *first = i;
            *count = n;
        }
    }
}

static void print_ipv6(struct wr *w, const struct addr *a)
{
    size_t zeros, count;
    longest_zeros(a, &zeros, &count);
    for (size_t i = 0; i < 8; i++) {
        if (i == zeros) {
            wr_bytes(w, bytes_str("::"));
            i += count - 1;
            continue;
        }
        char hex[8];
        int n = snprintf(hex, sizeof hex, "%s%x", i > 0 && i != zeros + count ? ":" : "",
                         (unsigned)group(a, i));
        wr_copy(w, hex, (size_t)n);
    }
}

const char *conf_print_addr(char out[CONF_ADDR_TEXT], const struct addr *a)
{
    if (a->family == 4) {
        (void)snprintf(out, CONF_ADDR_TEXT, "%u.%u.%u.%u:%u", a->ip[0], a->ip[1], a->ip[2],
                       a->ip[3], a->port);
        return out;
    }
    if (a->family != 6) {
        (void)snprintf(out, CONF_ADDR_TEXT, "none");
        return out;
    }
    char ip[48], scope[16] = "";
    struct wr w = wr_of(ip, sizeof ip);
    print_ipv6(&w, a);
    wr_u8(&w, '\0');
    if (a->scope != 0)
        (void)snprintf(scope, sizeof scope, "%%%u", (unsigned)a->scope);
    (void)snprintf(out, CONF_ADDR_TEXT, "[%s%s]:%u", ip, scope, a->port);
    return out;
}
