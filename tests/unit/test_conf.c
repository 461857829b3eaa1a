/* Configuration by its table: defaults, flags, files, what is printed, and that each complaint
 * names the thing, the value and the mend. */
#include "fwswarm/conf.h"

#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- a table ---- */

struct settings {
    bool quiet, confirm;
    uint32_t lan;
    uint64_t links, up_rate, cache, poll;
    struct addr listen;
    char model[9], data[64];
    struct conf_addrs peer;
    struct conf_texts install;
    bool json;
};

static const struct conf_row rows[] = {
    {.name = "data",
     .kind = CONF_PATH,
     .flags = CONF_REQUIRED,
     CONF_AT(struct settings, data),
     .metavar = "DIR",
     .help = "where the state lies"},
    {.name = "model",
     .kind = CONF_TEXT,
     CONF_AT(struct settings, model),
     .metavar = "NAME",
     .help = "this device's model"},
    {.name = "listen",
     .kind = CONF_ADDR,
     CONF_AT(struct settings, listen),
     .min = 1,
     .fallback = "0.0.0.0:6900",
     .metavar = "ADDR:PORT",
     .help = "take links here"},
    {.name = "peer",
     .kind = CONF_ADDRS,
     CONF_AT(struct settings, peer),
     .metavar = "ADDR:PORT",
     .help = "a node to begin with"},
    {.name = "lan",
     .kind = CONF_ENUM,
     CONF_AT(struct settings, lan),
     .fallback = "on",
     .metavar = "on|off|listen",
     .help = "announce on the local network, do not, or only listen there, which costs nothing and "
             "still finds what others announce"},
    {.name = "up-rate",
     .kind = CONF_RATE,
     CONF_AT(struct settings, up_rate),
     .fallback = "0",
     .metavar = "RATE",
     .help = "most bytes a second sent; 0 = no limit"},
    {.name = "cache",
     .kind = CONF_SIZE,
     CONF_AT(struct settings, cache),
     .min = 4096,
     .max = UINT64_C(1) << 30,
     .fallback = "16MiB",
     .metavar = "SIZE",
     .help = "memory for blocks"},
    {.name = "poll",
     .kind = CONF_DURATION,
     CONF_AT(struct settings, poll),
     .min = 1000000,
     .fallback = "1h",
     .metavar = "TIME",
     .help = "mean time between checks"},
    {.name = "links",
     .kind = CONF_U64,
     CONF_AT(struct settings, links),
     .min = 1,
     .max = 64,
     .fallback = "16",
     .metavar = "N",
     .help = "links at once"},
    {.name = "install",
     .kind = CONF_TEXTS,
     CONF_AT(struct settings, install),
     .metavar = "ARG",
     .help = "the installer and its arguments"},
    {.name = "quiet", .kind = CONF_BOOL, CONF_AT(struct settings, quiet), .help = "say less"},
    {.name = "confirm",
     .kind = CONF_BOOL,
     CONF_AT(struct settings, confirm),
     .fallback = "on",
     .metavar = "on|off",
     .help = "confirm by itself"},
    {.name = "json",
     .kind = CONF_BOOL,
     .flags = CONF_FLAG_ONLY,
     CONF_AT(struct settings, json),
     .help = "report as JSON"},
};
#define ROWS (sizeof rows / sizeof rows[0])

static struct settings v;
static struct conf c;

static void begin(void)
{
    conf_init(&c, rows, ROWS, &v);
}

static enum err file(const char *text)
{
    return conf_file(&c, "x.conf", bytes_str(text));
}

/* Arguments, ended by NULL. */
static enum err flags(const char *first, ...)
{
    static char store[40][128];
    char *argv[40];
    int argc = 0;
    va_list ap;
    va_start(ap, first);
    for (const char *a = first; a != NULL; a = va_arg(ap, const char *)) {
        snprintf(store[argc], sizeof store[argc], "%s", a);
        argv[argc] = store[argc];
        argc++;
    }
    va_end(ap);
    return conf_flags(&c, argc, argv);
}

START_TEST(defaults_are_set)
{
    memset(&v, 0xa5, sizeof v);
    begin();
    ck_assert(!v.quiet && v.confirm && !v.json);
    ck_assert_uint_eq(v.lan, 0);
    ck_assert_uint_eq(v.links, 16);
    ck_assert_uint_eq(v.up_rate, 0);
    ck_assert_uint_eq(v.cache, 16777216);
    ck_assert_uint_eq(v.poll, UINT64_C(3600000000));
    ck_assert_uint_eq(v.listen.family, 4);
    ck_assert_uint_eq(v.listen.port, 6900);
    ck_assert_uint_eq(v.peer.count, 0);
    ck_assert_uint_eq(v.install.count, 0);
    ck_assert_str_eq(v.model, "");
    ck_assert(!conf_given(&c, "links"));
    ck_assert_int_eq(conf_check(&c), E_USAGE);
    ck_assert_str_eq(c.error, "--data: is missing; give --data DIR");
}
END_TEST

START_TEST(a_file_sets_every_kind)
{
    begin();
    ck_assert_int_eq(file("# a comment\n"
                          "\n"
                          "   # another\n"
                          "data = /var/lib/x#y   # a comment behind a blank\n"
                          "model=\"a #\\\"\\\\b\"  # quoted\n"
                          "\tlisten\t=\t[::1]:1234\r\n"
                          "peer = 192.0.2.1:1\n"
                          "peer = [2001:db8::2]:2\n"
                          "lan = listen\n"
                          "up-rate = 10 Mbit\n"
                          "cache = 4096\n"
                          "poll = 1s\n"
                          "links = 64\n"
                          "install = /bin/true\n"
                          "install = --flag\n"
                          "install = \"two words\"\n"
                          "quiet = yes\n"
                          "confirm = off"),
                     E_OK);
    ck_assert_str_eq(v.data, "/var/lib/x#y");
    ck_assert_str_eq(v.model, "a #\"\\b");
    ck_assert_uint_eq(v.listen.port, 1234);
    ck_assert_uint_eq(v.peer.count, 2);
    ck_assert_uint_eq(v.peer.item[1].port, 2);
    ck_assert_uint_eq(v.lan, 2);
    ck_assert_uint_eq(v.up_rate, 1250000);
    ck_assert_uint_eq(v.cache, 4096);
    ck_assert_uint_eq(v.poll, 1000000);
    ck_assert_uint_eq(v.links, 64);
    ck_assert_uint_eq(v.install.count, 3);
    ck_assert_str_eq(v.install.item[1], "--flag");
    ck_assert_str_eq(v.install.item[2], "two words");
    ck_assert(v.quiet && !v.confirm);
    ck_assert(conf_given(&c, "links"));
    ck_assert_int_eq(conf_check(&c), E_OK);
    ck_assert_int_eq(conf_file(&c, "empty.conf", bytes_of(NULL, 0)), E_OK);
}
END_TEST

START_TEST(flags_set_every_kind)
{
    begin();
    ck_assert_int_eq(flags("run", "--data=/x", "--model", "m", "--listen=none", "--peer",
                           "192.0.2.1:1", "--peer=192.0.2.2:2", "--lan", "off", "--up-rate=2MB",
                           "--quiet", "--confirm", "off", "--json", "--install=--now", "more", "-",
                           "--", "--quiet=x", NULL),
                     E_OK);
    ck_assert_str_eq(v.data, "/x");
    ck_assert_str_eq(v.model, "m");
    ck_assert_uint_eq(v.listen.family, 0);
    ck_assert_uint_eq(v.peer.count, 2);
    ck_assert_uint_eq(v.lan, 1);
    ck_assert_uint_eq(v.up_rate, 2000000);
    ck_assert(v.quiet && !v.confirm && v.json);
    ck_assert_str_eq(v.install.item[0], "--now");
    ck_assert_uint_eq(c.arg_count, 4);
    ck_assert_str_eq(c.args[0], "run");
    ck_assert_str_eq(c.args[1], "more");
    ck_assert_str_eq(c.args[2], "-");
    ck_assert_str_eq(c.args[3], "--quiet=x");
    ck_assert(!c.help && !c.dump && !c.print_config);
    ck_assert_ptr_null(c.config);
    /* A later flag wins; a switch can be said to be off. */
    ck_assert_int_eq(flags("--up-rate=1MB", "--up-rate=3MB", "--quiet=off", "--model=", NULL),
                     E_OK);
    ck_assert_uint_eq(v.up_rate, 3000000);
    ck_assert(!v.quiet);
    ck_assert_str_eq(v.model, "");
}
END_TEST

START_TEST(own_flags)
{
    begin();
    ck_assert_int_eq(flags("--help", "--dump", "--print-config", "--config", "a.conf", NULL), E_OK);
    ck_assert(c.help && c.dump && c.print_config);
    ck_assert_str_eq(c.config, "a.conf");
    begin();
    ck_assert_int_eq(flags("-h", "--config=", NULL), E_OK);
    ck_assert(c.help);
    begin();
    ck_assert_int_eq(flags("--help=1", NULL), E_FORMAT);
    begin();
    c.no_file = true;
    ck_assert_int_eq(flags("--config=a", NULL), E_UNKNOWN);
    ck_assert_int_eq(flags("--dump", NULL), E_UNKNOWN);
    ck_assert_int_eq(flags("--help", NULL), E_OK);
}
END_TEST

START_TEST(a_flag_wins_over_the_file_in_either_order)
{
    for (int file_first = 0; file_first < 2; file_first++) {
        begin();
        if (file_first)
            ck_assert_int_eq(file("links = 2\npeer = 192.0.2.9:9\npoll = 2s\n"), E_OK);
        ck_assert_int_eq(flags("--links=3", "--peer=192.0.2.1:1", "--peer=192.0.2.2:2", NULL),
                         E_OK);
        if (!file_first)
            ck_assert_int_eq(file("links = 2\npeer = 192.0.2.9:9\npoll = 2s\n"), E_OK);
        ck_assert_uint_eq(v.links, 3);
        ck_assert_uint_eq(v.poll, 2000000);
        ck_assert_uint_eq(v.peer.count, 2);
        ck_assert_uint_eq(v.peer.item[0].port, 1);
        ck_assert_uint_eq(v.peer.item[1].port, 2);
    }
    /* What loses is judged all the same. */
    begin();
    ck_assert_int_eq(flags("--links=3", NULL), E_OK);
    ck_assert_int_eq(file("links = many\n"), E_FORMAT);
    ck_assert_uint_eq(v.links, 3);
}
END_TEST

static const struct {
    const char *text;
    enum err want;
    const char *error;
} bad_lines[] = {
    {"\nlinks = 65\n", E_RANGE, "x.conf:2: links: 65 is out of range; write a value from 1 to 64"},
    {"links = 0", E_RANGE, "x.conf:1: links: 0 is out of range; write a value from 1 to 64"},
    {"links = 99999999999999999999", E_RANGE,
     "x.conf:1: links: 99999999999999999999 is out of range; write a value from 1 to 64"},
    {"links = -1", E_FORMAT, "x.conf:1: links: -1 is not understood; write a whole number"},
    {"cache = 1KiB", E_RANGE,
     "x.conf:1: cache: 1KiB is out of range; write a value from 4KiB to 1GiB"},
    {"poll = 1ms", E_RANGE, "x.conf:1: poll: 1ms is out of range; write a value from 1s on"},
    {"up-rate = 99999999999999999999GB", E_RANGE,
     "x.conf:1: up-rate: 99999999999999999999GB is too large; write a smaller one"},
    {"up-rate = 10Mbps", E_FORMAT,
     "x.conf:1: up-rate: 10Mbps is not understood; write a rate such as 500kbit, 10Mbit or "
     "2MB"},
    {"cache = lots", E_FORMAT,
     "x.conf:1: cache: lots is not understood; write a size such as 64KiB, 16MiB or 2GB"},
    {"poll = 30", E_FORMAT,
     "x.conf:1: poll: 30 is not understood; write a time such as 250ms, 30s or 2h"},
    {"quiet = maybe", E_FORMAT, "x.conf:1: quiet: maybe is not understood; write on or off"},
    {"lan = o", E_FORMAT, "x.conf:1: lan: o is not understood; write one of on|off|listen"},
    {"lan = on|off", E_FORMAT,
     "x.conf:1: lan: on|off is not understood; write one of on|off|listen"},
    {"listen = here", E_FORMAT,
     "x.conf:1: listen: here is not understood; write an address such as 192.0.2.1:6900 or "
     "[2001:db8::1]:6900"},
    {"listen = 192.0.2.1:0", E_RANGE,
     "x.conf:1: listen: 192.0.2.1:0 is out of range; write a port from 1 on"},
    {"peer = none", E_FORMAT,
     "x.conf:1: peer: none is not understood; write an address such as 192.0.2.1:6900 or "
     "[2001:db8::1]:6900"},
    {"model = 123456789", E_OVERSIZED,
     "x.conf:1: model: 123456789 is too long; write at most 8 bytes"},
    {"model = a\x01", E_FORMAT,
     "x.conf:1: model: \"a\\x01\" is not understood; write some text in UTF-8 without control "
     "characters"},
    {"model = \xff", E_FORMAT,
     "x.conf:1: model: \"\\xff\" is not understood; write some text in UTF-8 without control "
     "characters"},
    {"data = a\x1b", E_FORMAT,
     "x.conf:1: data: \"a\\x1b\" is not understood; write a path without control characters"},
    {"install =", E_FORMAT,
     "x.conf:1: install: \"\" is not understood; write some text in UTF-8 without control "
     "characters"},
    {"links = 2\nlinks = 2", E_DUPLICATE, "x.conf:2: links: is given twice in this file; keep one"},
    {"link = 2", E_UNKNOWN, "x.conf:1: link: there is no such option; did you mean links?"},
    {"up_rate = 2MB", E_UNKNOWN,
     "x.conf:1: up_rate: there is no such option; did you mean up-rate?"},
    {"colour = red", E_UNKNOWN, "x.conf:1: colour: there is no such option; --help lists them all"},
    {"json = on", E_UNKNOWN, "x.conf:1: json: is no setting; give it as a flag"},
    {"config = x", E_UNKNOWN, "x.conf:1: config: is no setting; give it as a flag"},
    {"a\nb = c", E_FORMAT, "x.conf:1: no \"=\" in this line; write name = value"},
    {"= c", E_FORMAT, "x.conf:1: no name before \"=\"; write name = value"},
    {"model = \"a", E_FORMAT, "x.conf:1: model: the quoted value has no end; close it with \""},
    {"model = \"a\\", E_FORMAT, "x.conf:1: model: the quoted value has no end; close it with \""},
    {"model = \"a\\n\"", E_FORMAT, "x.conf:1: model: unknown escape; only \\\" and \\\\ are known"},
    {"model = \"a\" b", E_FORMAT, "x.conf:1: model: text after the quoted value; quote all of it"},
};

START_TEST(bad_lines_are_told_with_their_mend)
{
    for (size_t i = 0; i < sizeof bad_lines / sizeof bad_lines[0]; i++) {
        begin();
        size_t len = strlen(bad_lines[i].text);
        char *copy = malloc(len);
        ck_assert_ptr_nonnull(copy);
        memcpy(copy, bad_lines[i].text, len);
        enum err e = conf_file(&c, "x.conf", bytes_of(copy, len));
        free(copy);
        ck_assert_str_eq(c.error, bad_lines[i].error);
        ck_assert_int_eq(e, bad_lines[i].want);
    }
}
END_TEST

static const struct {
    const char *flag;
    enum err want;
    const char *error;
} bad_flags[] = {
    {"--links=65", E_RANGE, "--links: 65 is out of range; write a value from 1 to 64"},
    {"--links", E_FORMAT, "--links: needs a value; write --links=N"},
    {"--link=2", E_UNKNOWN, "--link: there is no such option; did you mean --links?"},
    {"--jso", E_UNKNOWN, "--jso: there is no such option; did you mean --json?"},
    {"--quiet=maybe", E_FORMAT, "--quiet: maybe is not understood; write on or off"},
    {"--config", E_FORMAT, "--config: needs a value; write --config=FILE"},
    {"--help=x", E_FORMAT, "--help: takes no value; write it alone"},
    {"-x", E_UNKNOWN, "-x: options begin with two dashes; --help lists them"},
    {"-\n", E_UNKNOWN, "\"-\\n\": options begin with two dashes; --help lists them"},
    {"--=x", E_UNKNOWN, "there is no such option; --help lists them all"},
    {"--a-name-that-is-much-longer-than-any-name-may-be=1", E_UNKNOWN,
     "--a-name-that-is-much-longer-than-any-name-may-be: there is no such option; --help lists "
     "them all"},
};

START_TEST(bad_flags_are_told_with_their_mend)
{
    for (size_t i = 0; i < sizeof bad_flags / sizeof bad_flags[0]; i++) {
        begin();
        enum err e = flags(bad_flags[i].flag, NULL);
        ck_assert_str_eq(c.error, bad_flags[i].error);
        ck_assert_int_eq(e, bad_flags[i].want);
    }
    /* A flag is not taken for the value of the one before it. */
    begin();
    ck_assert_int_eq(flags("--data", "--quiet", NULL), E_FORMAT);
    ck_assert_str_eq(c.error, "--data: needs a value; write --data=DIR");
}
END_TEST

START_TEST(lists_and_arguments_end_at_their_caps)
{
    begin();
    for (unsigned i = 0; i < CONF_ADDRS_MAX; i++)
        ck_assert_int_eq(flags("--peer=192.0.2.1:1", NULL), E_OK);
    ck_assert_int_eq(flags("--peer=192.0.2.1:1", NULL), E_OVERSIZED);
    ck_assert_str_eq(c.error, "--peer: is given too often; 64 values are the most");
    ck_assert_uint_eq(v.peer.count, CONF_ADDRS_MAX);
    for (unsigned i = 0; i < CONF_TEXTS_MAX; i++)
        ck_assert_int_eq(file("install = x\n"), E_OK);
    ck_assert_int_eq(file("install = x\n"), E_OVERSIZED);
    for (unsigned i = 0; i < CONF_ARGS_MAX; i++)
        ck_assert_int_eq(flags("x", NULL), E_OK);
    ck_assert_int_eq(flags("x", NULL), E_OVERSIZED);
    ck_assert_str_eq(c.error, "too many arguments; 32 are the most");

    static char text[CONF_VALUE_MAX + 64];
    begin();
    int n = snprintf(text, sizeof text, "install = ");
    memset(text + n, 'x', CONF_TEXT_MAX + 1);
    ck_assert_int_eq(file(text), E_OVERSIZED);
    text[n + (int)CONF_TEXT_MAX] = '\0';
    ck_assert_int_eq(file(text), E_OK);
    ck_assert_uint_eq(strlen(v.install.item[0]), CONF_TEXT_MAX);
    begin();
    n = snprintf(text, sizeof text, "data = \"");
    memset(text + n, 'x', CONF_VALUE_MAX + 1);
    text[n + (int)CONF_VALUE_MAX + 1] = '"';
    ck_assert_int_eq(file(text), E_OVERSIZED);
    ck_assert_str_eq(c.error, "x.conf:1: data: is too long; write at most 4096 bytes");
}
END_TEST

/* ---- what it prints ---- */

struct text {
    char s[16384];
    size_t n;
};

static void collect(void *ctx, const char *s)
{
    struct text *t = ctx;
    size_t n = strlen(s);
    ck_assert_uint_lt(t->n + n, sizeof t->s);
    memcpy(t->s + t->n, s, n + 1);
    t->n += n;
}

static struct text text;

/* The values in force, without where they came from. */
static void dump_values(struct text *out)
{
    static struct text full;
    full.n = out->n = 0;
    conf_dump(&c, collect, &full);
    for (char *line = full.s; *line != '\0'; line += strcspn(line, "\n") + 1) {
        char *origin = strstr(line, "  # ");
        ck_assert_ptr_nonnull(origin);
        origin[0] = '\0';
        collect(out, line);
        collect(out, "\n");
        origin[0] = ' ';
    }
}

START_TEST(help_is_aligned_and_whole)
{
    begin();
    text.n = 0;
    conf_help(&c, collect, &text);
    for (size_t i = 0; i < ROWS; i++) {
        char option[64];
        snprintf(option, sizeof option, "\n  --%s%s%s", rows[i].name,
                 rows[i].metavar != NULL ? " " : "",
                 rows[i].metavar != NULL ? rows[i].metavar : "");
        ck_assert_msg(strstr(text.s, option + (i == 0)) != NULL, "%s", option);
    }
    ck_assert_ptr_nonnull(strstr(text.s, "  --config FILE "));
    ck_assert_ptr_nonnull(strstr(text.s, "  --help "));
    ck_assert_ptr_nonnull(strstr(text.s, "links at once (default 16)\n"));
    ck_assert_ptr_nonnull(strstr(text.s, "a node to begin with (may be repeated)\n"));
    ck_assert_ptr_nonnull(strstr(text.s, "where the state lies (required)\n"));
    /* Descriptions stand in one column, no line is too long, none ends in a blank. */
    size_t column = (size_t)(strstr(text.s, "where the state") - text.s);
    for (const char *line = text.s; *line != '\0';) {
        size_t n = strcspn(line, "\n");
        ck_assert_uint_le(n, 80);
        ck_assert_uint_gt(n, column);
        ck_assert_int_eq(line[column - 1], ' ');
        ck_assert_int_ne(line[column], ' ');
        ck_assert_int_ne(line[n - 1], ' ');
        line += n + 1;
    }
    c.no_file = true;
    text.n = 0;
    conf_help(&c, collect, &text);
    ck_assert_ptr_null(strstr(text.s, "--config"));
    ck_assert_ptr_nonnull(strstr(text.s, "--help"));
}
END_TEST

START_TEST(the_sample_holds_the_defaults)
{
    begin();
    text.n = 0;
    conf_sample(&c, collect, &text);
    ck_assert_int_eq(file(text.s), E_OK); /* all comments */
    ck_assert(!conf_given(&c, "links"));
    ck_assert_ptr_nonnull(strstr(text.s, "# links at once (default 16)\n#links = 16\n\n"));
    ck_assert_ptr_nonnull(strstr(text.s, "\n#quiet = off\n"));
    ck_assert_ptr_null(strstr(text.s, "json"));
    for (const char *line = text.s; *line != '\0'; line += strcspn(line, "\n") + 1)
        ck_assert_uint_le(strcspn(line, "\n"), 80);

    /* With the settings that have a default switched on, nothing changes. */
    static char on[16384];
    size_t n = 0;
    for (const char *line = text.s; *line != '\0'; line += strcspn(line, "\n") + 1) {
        for (size_t i = 0; i < ROWS; i++) {
            size_t len = strlen(rows[i].name);
            if (rows[i].fallback == NULL || strncmp(line + 1, rows[i].name, len) != 0 ||
                line[1 + len] != ' ' || line[0] != '#')
                continue;
            size_t m = strcspn(line, "\n");
            memcpy(on + n, line + 1, m);
            n += m;
        }
    }
    on[n] = '\0';
    static struct text before, after;
    dump_values(&before);
    ck_assert_int_eq(file(on), E_OK);
    ck_assert(conf_given(&c, "links") && conf_given(&c, "lan") && conf_given(&c, "listen"));
    dump_values(&after);
    ck_assert_str_eq(before.s, after.s);
}
END_TEST

START_TEST(a_dump_reads_back)
{
    begin();
    ck_assert_int_eq(file("model = \"a #\\\"\\\\\"\nup-rate = 1234567B\npeer = [::1]:1\n"
                          "peer = 192.0.2.1:2\ninstall = \"x y\"\nlan = off\nlisten = none\n"),
                     E_OK);
    ck_assert_int_eq(flags("--data=", "--links=5", "--json", NULL), E_OK);
    text.n = 0;
    conf_dump(&c, collect, &text);
    ck_assert_ptr_nonnull(strstr(text.s, "data = \"\"  # flag\n"));
    ck_assert_ptr_nonnull(strstr(text.s, "\nlinks = 5  # flag\n"));
    ck_assert_ptr_nonnull(strstr(text.s, "\nlan = off  # file\n"));
    ck_assert_ptr_nonnull(strstr(text.s, "\ncache = 16MiB  # default\n"));
    ck_assert_ptr_null(strstr(text.s, "json"));
    static struct text before, after;
    dump_values(&before);
    begin();
    ck_assert_int_eq(file(text.s), E_OK);
    dump_values(&after);
    ck_assert_str_eq(before.s, after.s);
    ck_assert_str_eq(v.model, "a #\"\\");
    ck_assert_str_eq(v.install.item[0], "x y");

    begin();
    text.n = 0;
    conf_dump(&c, collect, &text);
    ck_assert_ptr_nonnull(strstr(text.s, "\n#peer =   # default\n"));
    ck_assert_int_eq(file(text.s), E_OK);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("conf");
    TCase *t = tcase_create("conf");
    tcase_add_test(t, defaults_are_set);
    tcase_add_test(t, a_file_sets_every_kind);
    tcase_add_test(t, flags_set_every_kind);
    tcase_add_test(t, own_flags);
    tcase_add_test(t, a_flag_wins_over_the_file_in_either_order);
    tcase_add_test(t, bad_lines_are_told_with_their_mend);
    tcase_add_test(t, bad_flags_are_told_with_their_mend);
    tcase_add_test(t, lists_and_arguments_end_at_their_caps);
    tcase_add_test(t, help_is_aligned_and_whole);
    tcase_add_test(t, the_sample_holds_the_defaults);
    tcase_add_test(t, a_dump_reads_back);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
