/* Lines are formatted into one buffer first, cleaned of control characters, then written whole: a
 * file name with a newline in it cannot forge a second line. */
#include "say.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define LINE_MAX_BYTES 2048

PRINTF(3, 0) static void put_line(FILE *to, const char *prefix, const char *fmt, va_list ap)
{
    char line[LINE_MAX_BYTES];

    int n = vsnprintf(line, sizeof line, fmt, ap);
    assert(n >= 0);
    for (char *p = line; *p != '\0'; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = '?';
    /* What was said before stands before it, also when both streams share a terminal. */
    fflush(stdout);
    fprintf(to, "%s%s\n", prefix, line);
    fflush(to);
}

void say(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    put_line(stdout, "", fmt, ap);
    va_end(ap);
}

void warn(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    put_line(stderr, "fwswarm-vendor: warning: ", fmt, ap);
    va_end(ap);
}

void note(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    put_line(stderr, "", fmt, ap);
    va_end(ap);
}

int fail(enum status status, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    put_line(stderr, "fwswarm-vendor: ", fmt, ap);
    va_end(ap);
    return (int)status;
}

enum status status_of(enum err e)
{
    /* The world's faults and everything about keys are 3; what is judged and found wanting is 1. */
    if (e == E_OK)
        return STATUS_OK;
    if (e == E_USAGE)
        return STATUS_USAGE;
    if (e == E_TIMEOUT || e == E_CLOSED)
        return STATUS_NET;
    if (e == E_NOENT || e == E_PERM || e == E_EXPOSED || e == E_FULL || e == E_READONLY ||
        e == E_IO || e == E_BUSY || e == E_NEWER || e == E_PASSWORD || e == E_MEMORY)
        return STATUS_FILE;
    return STATUS_REFUSED;
}

int fail_err(enum err e, const char *thing, const char *mend, ...)
{
    char text[LINE_MAX_BYTES];
    va_list ap;

    assert(e != E_OK);
    va_start(ap, mend);
    int n = vsnprintf(text, sizeof text, mend, ap);
    va_end(ap);
    assert(n >= 0);
    return fail(status_of(e), "%s: %s: %s", thing, err_text(e), text);
}

int say_end(int status)
{
    if (fflush(stdout) == 0 && ferror(stdout) == 0)
        return status;
    if (status != STATUS_OK)
        return status;
    return fail(STATUS_FILE, "standard output: cannot be written: see whether its disk is full");
}

struct hex hex32(const uint8_t b[static 32])
{
    struct hex h;

    hex_encode(h.s, b, 32);
    return h;
}

struct hex size_text(uint64_t bytes)
{
    static const char *const unit[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    struct hex h;
    uint64_t tenths = bytes * 10;
    size_t u = 0;

    if (bytes < 1024) {
        snprintf(h.s, sizeof h.s, "%" PRIu64 " B", bytes);
        return h;
    }
    while (tenths >= 10240 && u + 1 < sizeof unit / sizeof unit[0]) {
        tenths /= 1024;
        u++;
    }
    snprintf(h.s, sizeof h.s, "%" PRIu64 ".%" PRIu64 " %s", tenths / 10, tenths % 10, unit[u]);
    return h;
}
