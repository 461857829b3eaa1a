/* Configuration: one table of options per program; the file, the flags, the help text, the sample
 * file and the dump all come from it.
 *
 * The programs and the host call this; the core never does.  It is pure: the program reads the file
 * and passes its bytes, text comes out through an emit callback, and lists go into arrays of fixed
 * size.  A default gives way to the file and the file to a flag, in whatever order the two are
 * read, so a program reads the flags first, opens the file that --config names, and reads that.
 *
 *     struct settings { uint64_t up_rate; struct conf_addrs peer; };
 *     static const struct conf_row rows[] = {
 *         {.name = "up-rate", .kind = CONF_RATE, CONF_AT(struct settings, up_rate),
 *          .fallback = "0", .metavar = "RATE", .help = "most bytes a second sent; 0 = no limit"},
 *         {.name = "peer", .kind = CONF_ADDRS, CONF_AT(struct settings, peer),
 *          .metavar = "ADDR:PORT", .help = "a node to begin with; may be repeated"},
 *     };
 *     conf_init(&conf, rows, 2, &settings);
 *     if (conf_flags(&conf, argc - 1, argv + 1) != E_OK) puts(conf.error);
 *
 * File: `name = value` a line; `#` starts a comment at the start of a line or after a blank; a
 * value in double quotes may hold blanks and #, with \" and \\ for those two.
 * Flags: `--name value`, `--name=value`, `--name` alone for a switch.  What is given for a list in
 * the file adds up, and so does what the flags give, but flags replace what the file gave. */
#pragma once

#include "fwswarm/addr.h"
#include "fwswarm/bytes.h"

#define CONF_ROWS_MAX  64u
#define CONF_ARGS_MAX  32u
#define CONF_ERROR_MAX 320u
#define CONF_VALUE_MAX 4096u /* bytes of one value */
#define CONF_NAME_MAX  32u
#define CONF_ADDRS_MAX 64u
#define CONF_TEXTS_MAX 32u
#define CONF_TEXT_MAX  255u

enum conf_kind {
    CONF_BOOL,     /* bool: on, yes, true; off, no, false.  Without metavar a switch */
    CONF_U64,      /* uint64_t */
    CONF_RATE,     /* uint64_t, bytes a second: 500kbit, 10Mbit, 2MB, 1.5MiB; 0 */
    CONF_SIZE,     /* uint64_t, bytes: 4096, 64KiB, 16MiB, 2GB */
    CONF_DURATION, /* uint64_t, microseconds: 250ms, 30s, 10min, 1h30min, 7d; 0 */
    CONF_ADDR,     /* struct addr: 192.0.2.1:6900, [2001:db8::1]:6900, none; min, max: the port */
    CONF_TEXT,     /* char[]: UTF-8 without control characters */
    CONF_PATH,     /* char[]: any bytes but control characters */
    CONF_ENUM,     /* uint32_t: the place in the choices that metavar names, "on|off" */
    CONF_ADDRS,    /* struct conf_addrs, a value each time it is given */
    CONF_TEXTS,    /* struct conf_texts, likewise */
};

struct conf_addrs {
    uint32_t count;
    struct addr item[CONF_ADDRS_MAX];
};

struct conf_texts {
    uint32_t count;
    char item[CONF_TEXTS_MAX][CONF_TEXT_MAX + 1];
};

/* Bits of conf_row.flags. */
#define CONF_FLAG_ONLY 1u /* no setting: neither in the file nor in sample and dump */
#define CONF_REQUIRED  2u /* conf_check() asks for it */

struct conf_row {
    const char *name; /* as in the file; "--" goes before it among the arguments */
    enum conf_kind kind;
    uint32_t flags;
    size_t offset, size;  /* of the member: CONF_AT */
    uint64_t min, max;    /* of numbers and ports; max 0 = none */
    const char *fallback; /* the default as it would be written; NULL: zero or empty */
    const char *metavar;  /* "RATE"; for an ENUM its choices */
    const char *help;
};
#define CONF_AT(type, member) .offset = offsetof(type, member), .size = sizeof(((type *)0)->member)

enum conf_from { CONF_FROM_DEFAULT, CONF_FROM_FILE, CONF_FROM_FLAG };

struct conf {
    const struct conf_row *rows; /* lent */
    size_t count;
    void *values; /* lent: the program's struct */
    bool no_file; /* set after conf_init by programs without a file: --config and its like vanish */

    uint8_t from[CONF_ROWS_MAX]; /* enum conf_from of each row */
    /* What the arguments said beside the rows. */
    bool help, print_config, dump;   /* --help or -h, --print-config, --dump */
    const char *config;              /* --config FILE, or NULL; lends from argv */
    const char *args[CONF_ARGS_MAX]; /* what was no flag, in order; lends from argv */
    uint32_t arg_count;
    char error[CONF_ERROR_MAX]; /* one line: what, which value, and the mend */
};

/* Sets every value to its default.  A row that does not fit its kind or its default is our bug. */
void conf_init(struct conf *c, const struct conf_row *rows, size_t count, void *values);

/* Both stop at the first mistake, tell it in c->error and return: E_UNKNOWN (no such name),
 * E_FORMAT (value or line), E_RANGE, E_OVERSIZED (too long, too many), E_DUPLICATE (twice in the
 * file). argv is without the program's name; "--" ends the flags. */
MUST enum err conf_flags(struct conf *c, int argc, char *const *argv);
MUST enum err conf_file(struct conf *c, const char *name, struct bytes text);
/* E_USAGE when a required value is missing; after file and flags. */
MUST enum err conf_check(struct conf *c);

/* Was this given, by file or flag? */
bool conf_given(const struct conf *c, const char *name);

/* The options of a --help text; a sample file with every default; the values in force, as a file.
 */
void conf_help(const struct conf *c, void (*emit)(void *ctx, const char *text), void *ctx);
void conf_sample(const struct conf *c, void (*emit)(void *ctx, const char *text), void *ctx);
void conf_dump(const struct conf *c, void (*emit)(void *ctx, const char *text), void *ctx);

/* ---- values alone: the whole text must be the value.  E_FORMAT, E_RANGE (beyond 64 bits) ----
 * Fractions are taken ("1.5MiB") and rounded up to a whole byte or microsecond. */
MUST enum err conf_parse_u64(struct bytes text, uint64_t *out);
MUST enum err conf_parse_rate(struct bytes text, uint64_t *out);
MUST enum err conf_parse_size(struct bytes text, uint64_t *out);
MUST enum err conf_parse_duration(struct bytes text, uint64_t *out);
/* "192.0.2.1:6900", "[2001:db8::1]:6900", "[fe80::1%3]:6900" with an interface's index. */
MUST enum err conf_parse_addr(struct bytes text, struct addr *out);

/* And back: the shortest text that parses to the same value.  Return out. */
#define CONF_NUMBER_TEXT 32u
#define CONF_ADDR_TEXT   80
const char *conf_print_rate(char out[CONF_NUMBER_TEXT], uint64_t v);
const char *conf_print_size(char out[CONF_NUMBER_TEXT], uint64_t v);
const char *conf_print_duration(char out[CONF_NUMBER_TEXT], uint64_t v);
/* An address as RFC 5952 writes it; "none" for family 0. */
const char *conf_print_addr(char out[CONF_ADDR_TEXT], const struct addr *a);
