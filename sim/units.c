/* Decimal numbers with up to six places, times a unit, in integers.
 *
 * A value is held in millionths while it is read, so that 1.5Mbit and 0.25 (ms) are exact; what is
 * finer than the unit's base is cut off. */
#include "units.h"

#include <string.h>

#define MILLION 1000000u

struct unit {
    const char *name;
    uint64_t factor;
};

/* Reads digits[.digits] in millionths; *rest is what follows.  False on overflow or no digit. */
static bool read_millionths(uint64_t *out, const char *text, const char **rest)
{
    uint64_t v = 0;
    const char *p = text;
    for (; *p >= '0' && *p <= '9'; p++) {
        if (v > UINT64_MAX / MILLION / 100)
            return false;
        v = v * 10 + (uint64_t)(*p - '0');
    }
    if (p == text)
        return false;
    v *= MILLION;
    if (*p == '.') {
        const char *first = ++p;
        uint64_t scale = MILLION / 10;
        for (; *p >= '0' && *p <= '9'; p++) {
            v += scale * (uint64_t)(*p - '0');
            scale /= 10;
        }
        if (p == first)
            return false;
    }
    *out = v;
    *rest = p;
    return true;
}

static bool read_with_unit(uint64_t *out, const char *text, const struct unit *units, size_t count,
                           uint64_t divisor)
{
    uint64_t v = 0;
    const char *rest = NULL;
    if (!read_millionths(&v, text, &rest))
        return false;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(rest, units[i].name) != 0)
            continue;
        uint64_t factor = units[i].factor;
        uint64_t whole = v / MILLION, part = v % MILLION;
        if (whole > UINT64_MAX / 2 / factor)
            return false;
        *out = (whole * factor + part * factor / MILLION) / divisor;
        return true;
    }
    return false;
}

bool units_count(uint64_t *out, const char *text, uint64_t min, uint64_t max)
{
    static const struct unit none[] = {{"", 1}};
    uint64_t v = 0;
    if (strchr(text, '.') != NULL || !read_with_unit(&v, text, none, 1, 1))
        return false;
    if (v < min || v > max)
        return false;
    *out = v;
    return true;
}

bool units_size(uint64_t *out, const char *text)
{
    static const struct unit units[] = {
        {"", 1}, {"B", 1}, {"KiB", 1u << 10}, {"MiB", 1u << 20}, {"GiB", 1u << 30}};
    uint64_t v = 0;
    if (!read_with_unit(&v, text, units, sizeof(units) / sizeof(*units), 1) || v == 0)
        return false;
    *out = v;
    return true;
}

bool units_rate(uint64_t *out, const char *text)
{
    static const struct unit units[] = {
        {"bit", 1}, {"kbit", 1000}, {"Mbit", 1000000}, {"Gbit", 1000000000}};
    uint64_t v = 0;
    if (!read_with_unit(&v, text, units, sizeof(units) / sizeof(*units), 8) || v == 0)
        return false;
    *out = v;
    return true;
}

bool units_ms(uint64_t *out, const char *text)
{
    static const struct unit units[] = {{"", 1000}, {"ms", 1000}};
    return read_with_unit(out, text, units, 2, 1);
}

bool units_s(uint64_t *out, const char *text)
{
    static const struct unit units[] = {{"", 1000000}, {"s", 1000000}};
    return read_with_unit(out, text, units, 2, 1);
}
