/* Formats a log line on the stack and gives it to the sink.
 *
 * The caller's format is expanded first and then copied character by character: what could end a
 * line, move a cursor or is no UTF-8 becomes an escape.  That is done to the whole output rather
 * than to each argument, so that no caller can forget it. */
#include "fwswarm/log.h"

#include "fwswarm/utf8.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define CUT "..."

static const char *level_name(enum log_level level)
{
    switch (level) {
    case LOG_ERROR:
        return "error";
    case LOG_WARN:
        return "warn";
    case LOG_INFO:
        return "info";
    case LOG_DEBUG:
        return "debug";
    }
    assert(false);
    return "";
}

/* An escape for one character (quoting: also what would end a quoted value); its length, or 0 when
 * the character may stand as it is.  *used gets the bytes taken off text. */
static size_t escape(char out[12], struct bytes text, bool quoting, size_t *used)
{
    uint32_t code = 0;
    *used = utf8_next(text, &code);
    if (*used == 0) {
        *used = 1;
        return (size_t)snprintf(out, 12, "\\x%02x", (unsigned)text.p[0]);
    }
    if (code == '\n')
        return (size_t)snprintf(out, 12, "\\n");
    if (code == '\t')
        return (size_t)snprintf(out, 12, "\\t");
    if (quoting && (code == '"' || code == '\\'))
        return (size_t)snprintf(out, 12, "\\%c", (char)code);
    if (!utf8_unsafe(code))
        return 0;
    return (size_t)snprintf(out, 12, code < 0x80 ? "\\x%02x" : "\\u%04x", (unsigned)code);
}

/* Copies text with escapes while each character fits before keep bytes of the end. */
static bool put_text(struct wr *w, struct bytes text, bool quoting, size_t keep)
{
    while (text.n > 0) {
        char esc[12];
        size_t used;
        size_t n = escape(esc, text, quoting, &used);
        struct bytes put = n > 0 ? bytes_of(esc, n) : bytes_of(text.p, used);
        if ((size_t)(w->end - w->p) < put.n + keep)
            return false;
        wr_bytes(w, put);
        text = bytes_of(text.p + used, text.n - used);
    }
    return true;
}

/* Drops the character that the end of a full buffer cut in two. */
static size_t whole_characters(const char *text, size_t n)
{
    for (size_t back = 1; back <= 3 && back <= n; back++) {
        uint8_t c = (uint8_t)text[n - back];
        if (c < 0x80)
            return n;
        if (c < 0xc0)
            continue;
        size_t need = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
        return need > back ? n - back : n;
    }
    return n;
}

void log_write(struct log *l, enum log_level level, const char *event, const char *fmt, ...)
{
    if (l->sink == NULL || level > l->level)
        return;
    char text[LOG_LINE_MAX];
    va_list ap;
    va_start(ap, fmt);
    int want = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    size_t n = want < 0 ? 0 : (size_t)want;
    bool whole = want >= 0 && n < sizeof text;
    if (n >= sizeof text)
        n = whole_characters(text, sizeof text - 1);

    char node[2 * sizeof l->node];
    size_t node_len = 0;
    while (node_len < sizeof l->node && l->node[node_len] != '\0')
        node_len++;
    log_value(node, sizeof node, bytes_of(l->node, node_len));

    char line[LOG_LINE_MAX];
    size_t head = (size_t)snprintf(
        line, sizeof line, "t=%" PRIu64 ".%06u lvl=%s node=%s ev=%.64s%s", l->now_us / 1000000,
        (unsigned)(l->now_us % 1000000), level_name(level), node, event, n > 0 ? " " : "");
    assert(head < sizeof line / 2);
    struct wr w = wr_of(line + head, sizeof line - head);
    if (!put_text(&w, bytes_of(text, n), false, strlen(CUT "\n")))
        whole = false;
    if (!whole)
        wr_copy(&w, CUT, strlen(CUT));
    wr_u8(&w, '\n');
    assert(w.err == E_OK);
    l->sink(l->ctx, level, line, head + wr_len(&w));
}

static bool is_plain(struct bytes text)
{
    if (text.n == 0)
        return false;
    for (size_t at = 0; at < text.n;) {
        uint32_t code;
        size_t n = utf8_next(bytes_of(text.p + at, text.n - at), &code);
        if (n == 0 || utf8_unsafe(code) || code == ' ' || code == '"' || code == '=' ||
            code == '\\')
            return false;
        at += n;
    }
    return true;
}

const char *log_value(char *out, size_t cap, struct bytes text)
{
    assert(cap >= 8);
    struct wr w = wr_of(out, cap);
    if (is_plain(text) && text.n < cap) {
        wr_bytes(&w, text);
    } else {
        wr_u8(&w, '"');
        /* Three dots, the closing quote and the terminator must still fit. */
        if (!put_text(&w, text, true, strlen(CUT) + 2))
            wr_copy(&w, CUT, strlen(CUT));
        wr_u8(&w, '"');
    }
    wr_u8(&w, '\0');
    assert(w.err == E_OK);
    return out;
}

const char *log_key(char out[9], const struct key *k)
{
    hex_encode(out, k->b, 4);
    return out;
}
