/* Numbers with units, by way of the configuration's own reading of them.
 *
 * Two things are the simulator's: a time without a unit is milliseconds, and shares. */
#include "units.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static bool take(uint64_t *out, const char *text,
                 enum err (*parse)(struct bytes text, uint64_t *out))
{
    uint64_t v = 0;
    if (parse(bytes_str(text), &v) != E_OK)
        return false;
    *out = v;
    return true;
}

bool units_count(uint64_t *out, const char *text, uint64_t min, uint64_t max)
{
    uint64_t v = 0;
    if (!take(&v, text, conf_parse_u64) || v < min || v > max)
        return false;
    *out = v;
    return true;
}

bool units_size(uint64_t *out, const char *text)
{
    return take(out, text, conf_parse_size);
}

bool units_rate(uint64_t *out, const char *text)
{
    return take(out, text, conf_parse_rate);
}

bool units_time(uint64_t *out, const char *text)
{
    char with_unit[64];
    size_t n = strlen(text);
    if (n == 0 || strspn(text, "0123456789.") != n)
        return take(out, text, conf_parse_duration);
    if (n + sizeof("ms") > sizeof(with_unit))
        return false;
    (void)snprintf(with_unit, sizeof(with_unit), "%sms", text);
    return take(out, with_unit, conf_parse_duration);
}

/* Digits, and one place behind a point: tenths of a percent are thousandths. */
bool units_share(uint64_t *out, const char *text)
{
    uint64_t v = 0, tenth = 0;
    size_t n = 0;
    for (; text[n] >= '0' && text[n] <= '9' && n < 4; n++)
        v = v * 10 + (uint64_t)(text[n] - '0');
    if (n == 0)
        return false;
    if (text[n] != '\0') {
        if (text[n] == '.') {
            if (text[n + 1] < '0' || text[n + 1] > '9')
                return false;
            tenth = (uint64_t)(text[n + 1] - '0');
            n += 2;
        }
        if (strcmp(text + n, "%") != 0)
            return false;
        v = v * 10 + tenth;
    }
    if (v > 1000)
        return false;
    *out = v;
    return true;
}

const char *units_print_share(char out[CONF_NUMBER_TEXT], uint64_t thousandths)
{
    if (thousandths % 10 == 0)
        (void)snprintf(out, CONF_NUMBER_TEXT, "%" PRIu64 "%%", thousandths / 10);
    else
        (void)snprintf(out, CONF_NUMBER_TEXT, "%" PRIu64 ".%" PRIu64 "%%", thousandths / 10,
                       thousandths % 10);
    return out;
}
