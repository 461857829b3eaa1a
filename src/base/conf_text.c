/* Writes configuration: the help text, a sample file, the values in force.
 *
 * What is dumped is a file that reads back to the same values; tests hold it to that. */
#include "fwswarm/conf.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define WIDTH      80u
#define INDENT     2u
#define COLUMN_MAX 30u /* a longer option gets a line of its own */

struct out {
    void (*emit)(void *ctx, const char *text);
    void *ctx;
    size_t column;
};

/* Emits bytes that have no terminator, a piece at a time. */
static void put(struct out *o, struct bytes b)
{
    char piece[128];
    while (b.n > 0) {
        size_t n = b.n < sizeof piece - 1 ? b.n : sizeof piece - 1;
        memcpy(piece, b.p, n);
        piece[n] = '\0';
        o->emit(o->ctx, piece);
        o->column += n;
        b = bytes_of(b.p + n, b.n - n);
    }
}

static void put_str(struct out *o, const char *s)
{
    put(o, bytes_str(s));
}

static void end_line(struct out *o)
{
    put_str(o, "\n");
    o->column = 0;
}

static void indent(struct out *o, const char *prefix, size_t to)
{
    if (o->column == 0)
        put_str(o, prefix);
    while (o->column < to)
        put_str(o, " ");
}

/* Puts words one after another; a line that would grow too long goes on below, behind the prefix
 * and at the same indentation.  Each line holds one word at least. */
static void put_words(struct out *o, const char *prefix, size_t to, const char *text)
{
    while (*text != '\0') {
        size_t n = strcspn(text, " ");
        if (o->column > to && o->column + 1 + n > WIDTH)
            end_line(o);
        if (o->column > to)
            put_str(o, " ");
        indent(o, prefix, to);
        put(o, bytes_of(text, n));
        text += n;
        text += strspn(text, " ");
    }
}

static bool is_list(const struct conf_row *row)
{
    return row->kind == CONF_ADDRS || row->kind == CONF_TEXTS;
}

/* ---- help ---- */

static const struct conf_row own_rows[] = {
    {.name = "config", .metavar = "FILE", .help = "read settings from this file"},
    {.name = "print-config", .kind = CONF_BOOL, .help = "print a sample of that file, and exit"},
    {.name = "dump", .kind = CONF_BOOL, .help = "print the settings in force, and exit"},
    {.name = "help", .kind = CONF_BOOL, .help = "print this, and exit"},
};
#define OWN_ROWS (sizeof own_rows / sizeof own_rows[0])

static bool takes_value(const struct conf_row *row)
{
    return row->metavar != NULL;
}

static size_t option_width(const struct conf_row *row)
{
    return INDENT + 2 + strlen(row->name) + (takes_value(row) ? 1 + strlen(row->metavar) : 0);
}

static void put_default(struct out *o, const char *prefix, size_t to, const struct conf_row *row)
{
    if (is_list(row))
        put_words(o, prefix, to, "(may be repeated)");
    if ((row->flags & CONF_REQUIRED) != 0)
        put_words(o, prefix, to, "(required)");
    if (row->fallback == NULL || row->fallback[0] == '\0' ||
        (row->kind == CONF_BOOL && (row->flags & CONF_FLAG_ONLY) != 0))
        return;
    put_words(o, prefix, to, "(default");
    put_str(o, " ");
    put_str(o, row->fallback);
    put_str(o, ")");
}

static void help_row(struct out *o, const struct conf_row *row, size_t column)
{
    indent(o, "", INDENT);
    put_str(o, "--");
    put_str(o, row->name);
    if (takes_value(row)) {
        put_str(o, " ");
        put_str(o, row->metavar);
    }
    if (o->column + 2 > column)
        end_line(o);
    indent(o, "", column);
    put_words(o, "", column, row->help);
    put_default(o, "", column, row);
    end_line(o);
}

void conf_help(const struct conf *c, void (*emit)(void *ctx, const char *text), void *ctx)
{
    struct out o = {emit, ctx, 0};
    const struct conf_row *own = c->no_file ? own_rows + OWN_ROWS - 1 : own_rows;
    size_t column = 0;
    for (const struct conf_row *row = c->rows; row < c->rows + c->count; row++) {
        size_t n = option_width(row) + 2;
        if (n <= COLUMN_MAX && n > column)
            column = n;
    }
    for (const struct conf_row *row = own; row < own_rows + OWN_ROWS; row++) {
        if (option_width(row) + 2 > column)
            column = option_width(row) + 2;
    }
    for (const struct conf_row *row = c->rows; row < c->rows + c->count; row++)
        help_row(&o, row, column);
    for (const struct conf_row *row = own; row < own_rows + OWN_ROWS; row++)
        help_row(&o, row, column);
}

/* ---- files ---- */

/* A text value, in quotes where a bare one would read back as something else. */
static void put_value(struct out *o, struct bytes b)
{
    bool bare = b.n > 0;
    for (size_t i = 0; i < b.n; i++)
        bare = bare && b.p[i] != ' ' && b.p[i] != '#' && b.p[i] != '"' && b.p[i] != '\\';
    if (bare) {
        put(o, b);
        return;
    }
    put_str(o, "\"");
    for (size_t i = 0; i < b.n; i++) {
        if (b.p[i] == '"' || b.p[i] == '\\')
            put_str(o, "\\");
        put(o, bytes_of(b.p + i, 1));
    }
    put_str(o, "\"");
}

void conf_sample(const struct conf *c, void (*emit)(void *ctx, const char *text), void *ctx)
{
    struct out o = {emit, ctx, 0};
    for (const struct conf_row *row = c->rows; row < c->rows + c->count; row++) {
        if ((row->flags & CONF_FLAG_ONLY) != 0)
            continue;
        put_words(&o, "# ", 2, row->help);
        put_default(&o, "# ", 2, row);
        end_line(&o);
        put_str(&o, "#");
        put_str(&o, row->name);
        put_str(&o, " = ");
        if (row->fallback != NULL)
            put_value(&o, bytes_str(row->fallback));
        else
            put_str(&o, takes_value(row) ? row->metavar : "off");
        end_line(&o);
        end_line(&o);
    }
}

static const void *member(const struct conf *c, const struct conf_row *row)
{
    return (const uint8_t *)c->values + row->offset;
}

static uint64_t number_of(const void *at)
{
    uint64_t v;
    memcpy(&v, at, sizeof v);
    return v;
}

/* The choice of this number among "on|off". */
static struct bytes choice_of(const char *choices, uint32_t number)
{
    for (; number > 0; number--) {
        choices = strchr(choices, '|');
        assert(choices != NULL);
        choices++;
    }
    return bytes_of(choices, strcspn(choices, "|"));
}

static void put_member(struct out *o, const struct conf_row *row, const void *at, uint32_t item)
{
    char text[CONF_ADDR_TEXT];
    uint32_t choice;
    switch (row->kind) {
    case CONF_BOOL:
        put_str(o, *(const bool *)at ? "on" : "off");
        return;
    case CONF_U64:
        (void)snprintf(text, sizeof text, "%" PRIu64, number_of(at));
        put_str(o, text);
        return;
    case CONF_RATE:
        put_str(o, conf_print_rate(text, number_of(at)));
        return;
    case CONF_SIZE:
        put_str(o, conf_print_size(text, number_of(at)));
        return;
    case CONF_DURATION:
        put_str(o, conf_print_duration(text, number_of(at)));
        return;
    case CONF_ENUM:
        memcpy(&choice, at, sizeof choice);
        put(o, choice_of(row->metavar, choice));
        return;
    case CONF_ADDR:
        put_str(o, conf_print_addr(text, at));
        return;
    case CONF_ADDRS:
        put_str(o, conf_print_addr(text, &((const struct conf_addrs *)at)->item[item]));
        return;
    case CONF_TEXT:
    case CONF_PATH:
        put_value(o, bytes_str(at));
        return;
    case CONF_TEXTS:
        put_value(o, bytes_str(((const struct conf_texts *)at)->item[item]));
        return;
    }
    assert(false);
}

static const char *from_name(enum conf_from from)
{
    switch (from) {
    case CONF_FROM_DEFAULT:
        return "default";
    case CONF_FROM_FILE:
        return "file";
    case CONF_FROM_FLAG:
        return "flag";
    }
    assert(false);
    return "";
}

void conf_dump(const struct conf *c, void (*emit)(void *ctx, const char *text), void *ctx)
{
    struct out o = {emit, ctx, 0};
    for (const struct conf_row *row = c->rows; row < c->rows + c->count; row++) {
        if ((row->flags & CONF_FLAG_ONLY) != 0)
            continue;
        uint32_t items = 1;
        const void *at = member(c, row);
        if (is_list(row))
            memcpy(&items, at, sizeof items);
        for (uint32_t i = 0; i < items || i == 0; i++) {
            /* An empty list has no line that would say so. */
            if (items == 0)
                put_str(&o, "#");
            put_str(&o, row->name);
            put_str(&o, " = ");
            if (items > 0)
                put_member(&o, row, at, i);
            put_str(&o, "  # ");
            put_str(&o, from_name((enum conf_from)c->from[row - c->rows]));
            end_line(&o);
        }
    }
}
