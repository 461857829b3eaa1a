/* Reads configuration from flags and from the bytes of a file.
 *
 * Both come down to one function that parses a value for a row and stores it unless a stronger
 * source did so before; so a value is judged even where it will not be used.  A complaint is put
 * together at the place that knows most, and always ends in what to write instead. */
#include "fwswarm/conf.h"

#include "fwswarm/log.h"
#include "fwswarm/utf8.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define SHOWN_VALUE 80u

/* Where a value stands, for complaints: in a file, or among the arguments when file is NULL. */
struct place {
    const char *file;
    unsigned line;
    struct bytes name;
};

/* ---- complaints ---- */

__attribute__((format(printf, 4, 5))) static enum err
complain(struct conf *c, const struct place *at, enum err e, const char *fmt, ...)
{
    char name[SHOWN_VALUE], file[SHOWN_VALUE];
    log_value(name, sizeof name, at->name);
    size_t n = 0;
    if (at->file != NULL) {
        log_value(file, sizeof file, bytes_str(at->file));
        n = (size_t)snprintf(c->error, sizeof c->error, "%s:%u: ", file, at->line);
    }
    if (at->name.n > 0)
        n += (size_t)snprintf(c->error + n, sizeof c->error - n,
                              "%s%s: ", at->file == NULL ? "--" : "", name);
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(c->error + n, sizeof c->error - n, fmt, ap);
    va_end(ap);
    return e;
}

/* What to write for a value of this kind. */
static const char *mend(enum conf_kind kind)
{
    switch (kind) {
    case CONF_BOOL:
        return "write on or off";
    case CONF_U64:
        return "write a whole number";
    case CONF_RATE:
        return "write a rate such as 500kbit, 10Mbit or 2MB";
    case CONF_SIZE:
        return "write a size such as 64KiB, 16MiB or 2GB";
    case CONF_DURATION:
        return "write a time such as 250ms, 30s or 2h";
    case CONF_ADDR:
    case CONF_ADDRS:
        return "write an address such as 192.0.2.1:6900 or [2001:db8::1]:6900";
    case CONF_TEXT:
    case CONF_TEXTS:
        return "write some text in UTF-8 without control characters";
    case CONF_PATH:
        return "write a path without control characters";
    case CONF_ENUM:
        return "write one of";
    }
    assert(false);
    return "";
}

static const char *number_text(char out[CONF_NUMBER_TEXT], enum conf_kind kind, uint64_t v)
{
    if (kind == CONF_RATE)
        return conf_print_rate(out, v);
    if (kind == CONF_SIZE)
        return conf_print_size(out, v);
    if (kind == CONF_DURATION)
        return conf_print_duration(out, v);
    (void)snprintf(out, CONF_NUMBER_TEXT, "%llu", (unsigned long long)v);
    return out;
}

static enum err complain_value(struct conf *c, const struct place *at, const struct conf_row *row,
                               struct bytes text, enum err e)
{
    char value[SHOWN_VALUE], low[CONF_NUMBER_TEXT], high[CONF_NUMBER_TEXT];
    log_value(value, sizeof value, text);
    const char *port = row->kind == CONF_ADDR || row->kind == CONF_ADDRS ? " port" : "";
    number_text(low, row->kind, row->min);
    number_text(high, row->kind, row->max);
    if (e == E_RANGE && row->max == 0 && row->min == 0)
        return complain(c, at, e, "%s is too large; write a smaller one", value);
    if (e == E_RANGE && row->max == 0)
        return complain(c, at, e, "%s is out of range; write a%s from %s on", value,
                        port[0] != '\0' ? port : " value", low);
    if (e == E_RANGE)
        return complain(c, at, e, "%s is out of range; write a%s from %s to %s", value,
                        port[0] != '\0' ? port : " value", low, high);
    if (e == E_OVERSIZED)
        return complain(c, at, e, "%s is too long; write at most %zu bytes", value,
                        row->kind == CONF_TEXTS ? (size_t)CONF_TEXT_MAX : row->size - 1);
    return complain(c, at, e, "%s is not understood; %s%s%s", value, mend(row->kind),
                    row->kind == CONF_ENUM ? " " : "", row->kind == CONF_ENUM ? row->metavar : "");
}

/* How many letters to change, add or drop until a is b; large for names that are too long. */
static size_t distance(struct bytes a, struct bytes b)
{
    size_t line[CONF_NAME_MAX + 1];
    if (a.n > CONF_NAME_MAX || b.n > CONF_NAME_MAX)
        return SIZE_MAX;
    for (size_t j = 0; j <= b.n; j++)
        line[j] = j;
    for (size_t i = 1; i <= a.n; i++) {
        size_t diagonal = line[0];
        line[0] = i;
        for (size_t j = 1; j <= b.n; j++) {
            size_t change = diagonal + (a.p[i - 1] != b.p[j - 1]);
            diagonal = line[j];
            size_t best = line[j] < line[j - 1] ? line[j] + 1 : line[j - 1] + 1;
            line[j] = change < best ? change : best;
        }
    }
    return line[b.n];
}

static enum err complain_unknown(struct conf *c, const struct place *at)
{
    const struct conf_row *near = NULL;
    size_t least = at->name.n < 6 ? 1 : at->name.n / 3;
    for (const struct conf_row *row = c->rows; row < c->rows + c->count; row++) {
        if (at->file != NULL && (row->flags & CONF_FLAG_ONLY) != 0)
            continue;
        size_t d = distance(at->name, bytes_str(row->name));
        if (d <= least && (near == NULL || d < least)) {
            near = row;
            least = d;
        }
    }
    const char *dashes = at->file == NULL ? "--" : "";
    if (near != NULL)
        return complain(c, at, E_UNKNOWN, "there is no such option; did you mean %s%s?", dashes,
                        near->name);
    return complain(c, at, E_UNKNOWN, "there is no such option; --help lists them all");
}

/* ---- one value ---- */

static void *member(const struct conf *c, const struct conf_row *row)
{
    return (uint8_t *)c->values + row->offset;
}

static const struct conf_row *find_row(const struct conf *c, struct bytes name)
{
    for (const struct conf_row *row = c->rows; row < c->rows + c->count; row++) {
        if (bytes_equal(name, bytes_str(row->name)))
            return row;
    }
    return NULL;
}

/* A value parsed, before it is known whether it will be stored. */
union parsed {
    bool on;
    uint32_t choice;
    uint64_t number;
    struct addr addr;
};

static enum err parse_bool(struct bytes text, bool *out)
{
    static const char *const words[] = {"off", "on", "no", "yes", "false", "true"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (bytes_equal(text, bytes_str(words[i]))) {
            *out = i % 2 == 1;
            return E_OK;
        }
    }
    return E_FORMAT;
}

static enum err parse_choice(struct bytes text, const char *choices, uint32_t *out)
{
    for (*out = 0; choices != NULL; (*out)++) {
        const char *bar = strchr(choices, '|');
        size_t n = bar != NULL ? (size_t)(bar - choices) : strlen(choices);
        if (bytes_equal(text, bytes_of(choices, n)))
            return E_OK;
        choices = bar != NULL ? bar + 1 : NULL;
    }
    return E_FORMAT;
}

static enum err check_text(struct bytes text, bool utf8)
{
    while (text.n > 0) {
        uint32_t code = text.p[0];
        size_t n = 1;
        if (utf8) {
            n = utf8_next(text, &code);
            if (n == 0 || utf8_unsafe(code))
                return E_FORMAT;
        } else if (code < 0x20 || code == 0x7f) {
            return E_FORMAT;
        }
        text = bytes_of(text.p + n, text.n - n);
    }
    return E_OK;
}

static enum err parse_addr(struct bytes text, const struct conf_row *row, struct addr *out)
{
    if (row->kind == CONF_ADDR && bytes_equal(text, bytes_str("none"))) {
        memset(out, 0, sizeof *out);
        return E_OK;
    }
    enum err e = conf_parse_addr(text, out);
    if (e == E_OK && (out->port < row->min || (row->max > 0 && out->port > row->max)))
        return E_RANGE;
    return e;
}

static enum err parse_number(struct bytes text, const struct conf_row *row, uint64_t *out)
{
    enum err e = row->kind == CONF_RATE       ? conf_parse_rate(text, out)
                 : row->kind == CONF_SIZE     ? conf_parse_size(text, out)
                 : row->kind == CONF_DURATION ? conf_parse_duration(text, out)
                                              : conf_parse_u64(text, out);
    if (e == E_OK && (*out < row->min || (row->max > 0 && *out > row->max)))
        return E_RANGE;
    return e;
}

static enum err parse(struct bytes text, const struct conf_row *row, union parsed *out)
{
    enum err e;
    switch (row->kind) {
    case CONF_BOOL:
        return parse_bool(text, &out->on);
    case CONF_U64:
    case CONF_RATE:
    case CONF_SIZE:
    case CONF_DURATION:
        return parse_number(text, row, &out->number);
    case CONF_ADDR:
    case CONF_ADDRS:
        return parse_addr(text, row, &out->addr);
    case CONF_ENUM:
        return parse_choice(text, row->metavar, &out->choice);
    case CONF_TEXT:
    case CONF_PATH:
    case CONF_TEXTS:
        e = check_text(text, row->kind != CONF_PATH);
        if (e == E_OK && row->kind == CONF_TEXTS && text.n == 0)
            return E_FORMAT;
        if (e == E_OK && text.n > (row->kind == CONF_TEXTS ? CONF_TEXT_MAX : row->size - 1))
            return E_OVERSIZED;
        return e;
    }
    assert(false);
    return E_FORMAT;
}

static void put_text(char *out, struct bytes text)
{
    if (text.n > 0)
        memcpy(out, text.p, text.n);
    out[text.n] = '\0';
}

/* False when a list is full. */
static bool store(void *at, const struct conf_row *row, const union parsed *v, struct bytes text)
{
    struct conf_addrs *addrs = at;
    struct conf_texts *texts = at;
    switch (row->kind) {
    case CONF_BOOL:
        memcpy(at, &v->on, sizeof v->on);
        return true;
    case CONF_U64:
    case CONF_RATE:
    case CONF_SIZE:
    case CONF_DURATION:
        memcpy(at, &v->number, sizeof v->number);
        return true;
    case CONF_ADDR:
        memcpy(at, &v->addr, sizeof v->addr);
        return true;
    case CONF_ENUM:
        memcpy(at, &v->choice, sizeof v->choice);
        return true;
    case CONF_TEXT:
    case CONF_PATH:
        put_text(at, text);
        return true;
    case CONF_ADDRS:
        if (addrs->count == CONF_ADDRS_MAX)
            return false;
        addrs->item[addrs->count++] = v->addr;
        return true;
    case CONF_TEXTS:
        if (texts->count == CONF_TEXTS_MAX)
            return false;
        put_text(texts->item[texts->count++], text);
        return true;
    }
    assert(false);
    return false;
}

static bool is_list(const struct conf_row *row)
{
    return row->kind == CONF_ADDRS || row->kind == CONF_TEXTS;
}

static enum err set(struct conf *c, const struct conf_row *row, const struct place *at,
                    struct bytes text, enum conf_from from)
{
    union parsed v;
    memset(&v, 0, sizeof v);
    enum err e = parse(text, row, &v);
    if (e != E_OK)
        return complain_value(c, at, row, text, e);
    uint8_t *known = &c->from[row - c->rows];
    if (*known > from)
        return E_OK;
    /* Both kinds of list begin with their count. */
    if (*known < from && is_list(row))
        memset(member(c, row), 0, sizeof(uint32_t));
    *known = (uint8_t)from;
    if (!store(member(c, row), row, &v, text))
        return complain(c, at, E_OVERSIZED, "is given too often; %u values are the most",
                        row->kind == CONF_ADDRS ? CONF_ADDRS_MAX : CONF_TEXTS_MAX);
    return E_OK;
}

_Static_assert(offsetof(struct conf_addrs, count) == 0, "a list begins with its count");
_Static_assert(offsetof(struct conf_texts, count) == 0, "a list begins with its count");

/* ---- beginning and end ---- */

/* The size that a member of this kind must have; 0: any. */
static size_t size_of_kind(enum conf_kind kind)
{
    switch (kind) {
    case CONF_BOOL:
        return sizeof(bool);
    case CONF_U64:
    case CONF_RATE:
    case CONF_SIZE:
    case CONF_DURATION:
        return sizeof(uint64_t);
    case CONF_ADDR:
        return sizeof(struct addr);
    case CONF_ENUM:
        return sizeof(uint32_t);
    case CONF_ADDRS:
        return sizeof(struct conf_addrs);
    case CONF_TEXTS:
        return sizeof(struct conf_texts);
    case CONF_TEXT:
    case CONF_PATH:
        return 0;
    }
    assert(false);
    return 0;
}

void conf_init(struct conf *c, const struct conf_row *rows, size_t count, void *values)
{
    assert(count <= CONF_ROWS_MAX);
    memset(c, 0, sizeof *c);
    c->rows = rows;
    c->count = count;
    c->values = values;
    for (const struct conf_row *row = rows; row < rows + count; row++) {
        size_t want = size_of_kind(row->kind);
        assert(strlen(row->name) <= CONF_NAME_MAX);
        assert(want == row->size || (want == 0 && row->size > 1 && row->size <= CONF_VALUE_MAX));
        memset(member(c, row), 0, row->size);
        if (row->fallback == NULL)
            continue;
        struct place at = {NULL, 0, bytes_str(row->name)};
        enum err e = set(c, row, &at, bytes_str(row->fallback), CONF_FROM_DEFAULT);
        assert(e == E_OK);
    }
}

enum err conf_check(struct conf *c)
{
    for (const struct conf_row *row = c->rows; row < c->rows + c->count; row++) {
        if ((row->flags & CONF_REQUIRED) == 0 || c->from[row - c->rows] != CONF_FROM_DEFAULT)
            continue;
        struct place at = {NULL, 0, bytes_str(row->name)};
        return complain(c, &at, E_USAGE, "is missing; give --%s %s", row->name,
                        row->metavar != NULL ? row->metavar : "");
    }
    return E_OK;
}

bool conf_given(const struct conf *c, const char *name)
{
    const struct conf_row *row = find_row(c, bytes_str(name));
    assert(row != NULL);
    return c->from[row - c->rows] != CONF_FROM_DEFAULT;
}

/* ---- flags ---- */

/* The arguments, and how far they were read. */
struct argv {
    int at, argc;
    char *const *argv;
};

/* The value of a flag: behind its '=', or the next argument. */
static enum err flag_value(struct conf *c, const struct place *at, const char *metavar,
                           const char *equals, struct argv *args, const char **value)
{
    if (equals != NULL) {
        *value = equals + 1;
        return E_OK;
    }
    /* A flag in the place of a value is more likely a value forgotten. */
    if (args->at == args->argc || strncmp(args->argv[args->at], "--", 2) == 0)
        return complain(c, at, E_FORMAT, "needs a value; write --%.*s=%s", (int)at->name.n,
                        (const char *)at->name.p, metavar != NULL ? metavar : "VALUE");
    *value = args->argv[args->at++];
    return E_OK;
}

/* The flags that every program has: is this one, and which? */
static bool *own_flag(struct conf *c, struct bytes name)
{
    if (bytes_equal(name, bytes_str("help")))
        return &c->help;
    if (!c->no_file && bytes_equal(name, bytes_str("print-config")))
        return &c->print_config;
    if (!c->no_file && bytes_equal(name, bytes_str("dump")))
        return &c->dump;
    return NULL;
}

static enum err flag(struct conf *c, const char *text, struct argv *args)
{
    const char *equals = strchr(text, '=');
    struct place at = {NULL, 0, bytes_str(text)};
    if (equals != NULL)
        at.name.n = (size_t)(equals - text);
    bool *own = own_flag(c, at.name);
    if (own != NULL) {
        if (equals != NULL)
            return complain(c, &at, E_FORMAT, "takes no value; write it alone");
        *own = true;
        return E_OK;
    }
    if (!c->no_file && bytes_equal(at.name, bytes_str("config")))
        return flag_value(c, &at, "FILE", equals, args, &c->config);
    const struct conf_row *row = find_row(c, at.name);
    if (row == NULL)
        return complain_unknown(c, &at);
    const char *value = "on";
    if (row->kind == CONF_BOOL && row->metavar == NULL && equals == NULL)
        return set(c, row, &at, bytes_str(value), CONF_FROM_FLAG);
    enum err e = flag_value(c, &at, row->metavar, equals, args, &value);
    if (e != E_OK)
        return e;
    return set(c, row, &at, bytes_str(value), CONF_FROM_FLAG);
}

enum err conf_flags(struct conf *c, int argc, char *const *argv)
{
    struct argv args = {0, argc, argv};
    bool flags = true;
    while (args.at < argc) {
        const char *text = argv[args.at++];
        enum err e = E_OK;
        if (flags && strcmp(text, "--") == 0) {
            flags = false;
        } else if (flags && strcmp(text, "-h") == 0) {
            c->help = true;
        } else if (flags && strncmp(text, "--", 2) == 0) {
            e = flag(c, text + 2, &args);
        } else if (flags && text[0] == '-' && text[1] != '\0') {
            struct place at = {NULL, 0, bytes_of(NULL, 0)};
            char shown[SHOWN_VALUE];
            e = complain(c, &at, E_UNKNOWN, "%s: options begin with two dashes; --help lists them",
                         log_value(shown, sizeof shown, bytes_str(text)));
        } else if (c->arg_count == CONF_ARGS_MAX) {
            struct place at = {NULL, 0, bytes_of(NULL, 0)};
            e = complain(c, &at, E_OVERSIZED, "too many arguments; %u are the most", CONF_ARGS_MAX);
        } else {
            c->args[c->arg_count++] = text;
        }
        if (e != E_OK)
            return e;
    }
    return E_OK;
}

/* ---- file ---- */

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static struct bytes trim(struct bytes b)
{
    while (b.n > 0 && is_blank(b.p[0]))
        b = bytes_of(b.p + 1, b.n - 1);
    while (b.n > 0 && is_blank(b.p[b.n - 1]))
        b.n--;
    return b;
}

/* Takes the next line off text, without its end. */
static struct bytes take_line(struct bytes *text)
{
    const uint8_t *end = memchr(text->p, '\n', text->n);
    size_t n = end != NULL ? (size_t)(end - text->p) : text->n;
    struct bytes line = bytes_of(text->p, n);
    n += end != NULL;
    *text = bytes_of(text->p + n, text->n - n);
    return line;
}

/* A value as it stands, up to a comment. */
static struct bytes bare_value(struct bytes b)
{
    for (size_t i = 0; i < b.n; i++) {
        if (b.p[i] == '#' && (i == 0 || is_blank(b.p[i - 1])))
            return trim(bytes_of(b.p, i));
    }
    return b;
}

/* A value in quotes, undone into buf; nothing but a comment may follow. */
static enum err quoted_value(struct conf *c, const struct place *at, struct bytes b,
                             uint8_t buf[CONF_VALUE_MAX], struct bytes *value)
{
    struct wr w = wr_of(buf, CONF_VALUE_MAX);
    size_t i = 1;
    for (; i < b.n && b.p[i] != '"'; i++) {
        if (b.p[i] == '\\' && ++i < b.n && b.p[i] != '"' && b.p[i] != '\\')
            return complain(c, at, E_FORMAT, "unknown escape; only \\\" and \\\\ are known");
        if (i < b.n)
            wr_u8(&w, b.p[i]);
    }
    if (i >= b.n)
        return complain(c, at, E_FORMAT, "the quoted value has no end; close it with \"");
    struct bytes after = trim(bytes_of(b.p + i + 1, b.n - i - 1));
    if (after.n > 0 && after.p[0] != '#')
        return complain(c, at, E_FORMAT, "text after the quoted value; quote all of it");
    if (w.err != E_OK)
        return complain(c, at, E_OVERSIZED, "is too long; write at most %u bytes", CONF_VALUE_MAX);
    *value = wr_done(&w);
    return E_OK;
}

static enum err file_line(struct conf *c, struct place *at, struct bytes line,
                          bool seen[CONF_ROWS_MAX])
{
    uint8_t buf[CONF_VALUE_MAX];
    const uint8_t *equals = memchr(line.p, '=', line.n);
    if (equals == NULL)
        return complain(c, at, E_FORMAT, "no \"=\" in this line; write name = value");
    size_t n = (size_t)(equals - line.p);
    at->name = trim(bytes_of(line.p, n));
    struct bytes value = trim(bytes_of(equals + 1, line.n - n - 1));
    const struct conf_row *row = find_row(c, at->name);
    if (at->name.n == 0)
        return complain(c, at, E_FORMAT, "no name before \"=\"; write name = value");
    if (row != NULL ? (row->flags & CONF_FLAG_ONLY) != 0
                    : own_flag(c, at->name) != NULL || bytes_equal(at->name, bytes_str("config")))
        return complain(c, at, E_UNKNOWN, "is no setting; give it as a flag");
    if (row == NULL)
        return complain_unknown(c, at);
    if (!is_list(row) && seen[row - c->rows])
        return complain(c, at, E_DUPLICATE, "is given twice in this file; keep one");
    seen[row - c->rows] = true;
    if (value.n > 0 && value.p[0] == '"') {
        enum err e = quoted_value(c, at, value, buf, &value);
        if (e != E_OK)
            return e;
    } else {
        value = bare_value(value);
    }
    return set(c, row, at, value, CONF_FROM_FILE);
}

enum err conf_file(struct conf *c, const char *name, struct bytes text)
{
    bool seen[CONF_ROWS_MAX] = {false};
    for (unsigned line = 1; text.n > 0; line++) {
        struct place at = {name, line, bytes_of(NULL, 0)};
        struct bytes b = trim(take_line(&text));
        if (b.n == 0 || b.p[0] == '#')
            continue;
        enum err e = file_line(c, &at, b, seen);
        if (e != E_OK)
            return e;
    }
    return E_OK;
}
