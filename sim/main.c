/* fwswarm-sim: a fleet in virtual time.
 *
 * Reads the command line and the scenario, lets flags have their say over it, judges what came of
 * it, runs the world, and prints the report.  Exit status: 0 when every device holds what it shall
 * and nothing was violated, 1 when not, 2 when the command line or the scenario is not understood,
 * 130 when a signal ended the run.
 *
 * SIGINT and SIGTERM are blocked while a world runs and asked for between steps, so the result so
 * far is that of whole steps, and no handler has to share anything with the loop. */
#include "channel.h"
#include "checks.h"
#include "fault.h"
#include "override.h"
#include "plot.h"
#include "report.h"
#include "room.h"
#include "swarm.h"
#include "units.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LOOK_STEPS   1024u      /* between looks at clock and signals */
#define SHOW_LIVE    (SEC / 4)  /* between lines of progress on a terminal */
#define SHOW_PLAIN   (10 * SEC) /* elsewhere */
#define FILE_MAX     (1u << 20)
#define PATH_LEN     1024u
#define WHY_MAX      512u
#define STATUS_USAGE 2
#define STATUS_ENDED 130

/* ---- the command line ---- */

struct settings {
    uint64_t peers, verify, image_size, origin_up, peer_up, peer_down, seed, crash;
    char rtt[32], until[32]; /* text: their units are the simulator's */
    char without[256];
    uint32_t link; /* 0 model, 1 real */
    bool json;
    char trace[PATH_LEN], plot[PATH_LEN], over[PATH_LEN];
};

#define ROW(text, what, member)                                                                    \
    .name = (text), .kind = (what), .flags = CONF_FLAG_ONLY, CONF_AT(struct settings, member)
static const struct conf_row rows[] = {
    {ROW("peers", CONF_U64, peers), .min = 1, .max = SCN_NODES_MAX, .metavar = "N",
     .help = "devices in all (50)"},
    {ROW("verify", CONF_U64, verify), .min = 1, .max = ROOT_VERIFY_MAX, .metavar = "N",
     .help = "verify nodes in all (1)"},
    {ROW("image-size", CONF_SIZE, image_size), .min = 1, .max = IMAGE_SIZE_MAX, .metavar = "SIZE",
     .help = "of every release, as 16MiB (16MiB)"},
    {ROW("origin-up", CONF_RATE, origin_up), .min = 1000, .max = UINT64_C(125000000000),
     .metavar = "RATE", .help = "of each verify node, both ways (100Mbit)"},
    {ROW("peer-up", CONF_RATE, peer_up), .min = 1000, .max = UINT64_C(125000000000),
     .metavar = "RATE", .help = "of each device, up (10Mbit)"},
    {ROW("peer-down", CONF_RATE, peer_down), .min = 1000, .max = UINT64_C(125000000000),
     .metavar = "RATE", .help = "of each device, down (50Mbit)"},
    {ROW("rtt", CONF_TEXT, rtt), .metavar = "TIME",
     .help = "round trip between nodes of different sites, as 20ms; a bare number is milliseconds "
             "(20ms)"},
    {ROW("seed", CONF_U64, seed), .metavar = "N", .help = "everything random follows from it (1)"},
    {ROW("crash", CONF_U64, crash), .max = SCN_NODES_MAX, .metavar = "N",
     .help = "so many devices lose power while they download"},
    {ROW("without", CONF_TEXT, without), .metavar = "LIST",
     .help = "leave out these faults of the scenario, by number, as 2,5"},
    {ROW("until", CONF_TEXT, until), .metavar = "TIME",
     .help =
         "stop then, as 90s or 2h (three times the bound and ten minutes after the last fault)"},
    {ROW("link", CONF_ENUM, link), .fallback = "model", .metavar = "model|real",
     .help = "model charges the channel's exact sizes; real runs the channel, for up to 200 nodes"},
    {ROW("json", CONF_BOOL, json), .help = "print the result as one JSON object"},
    {ROW("trace", CONF_PATH, trace), .metavar = "FILE",
     .help = "write what every node was told and did"},
    {ROW("plot", CONF_PATH, plot), .metavar = "DIR", .help = "draw pictures of the run there"},
    {ROW("over", CONF_PATH, over), .metavar = "DIR",
     .help = "lay them over those of an earlier run, which --plot wrote there"},
};
#undef ROW

static void usage(FILE *f)
{
    fputs("usage: fwswarm-sim run [SCENARIO.scn] [flags]   run a fleet in virtual time\n"
          "       fwswarm-sim show [SCENARIO.scn] [flags]  print that scenario with all it says\n"
          "       fwswarm-sim swarm --seeds A..B [flags]   run many drawn scenarios with faults\n"
          "       fwswarm-sim VERB --help                  what a verb takes\n",
          f);
}

static void emit(void *ctx, const char *text)
{
    fputs(text, ctx);
}

static void usage_run(const struct conf *c, bool show)
{
    if (show)
        fputs("usage: fwswarm-sim show [SCENARIO.scn] [flags]\n\n"
              "Prints the scenario that `run` would run with the same arguments, as a scenario\n"
              "file with everything in it that matters, and runs nothing.\n\n",
              stdout);
    else
        fputs("usage: fwswarm-sim run [SCENARIO.scn] [flags]\n\n"
              "Runs a fleet of the real node in virtual time, until every device has installed\n"
              "what it shall.  Without a scenario file (\"-\" is standard input) it is what the\n"
              "flags say; with one, flags prevail over it.  What is in parentheses holds where\n"
              "neither says anything.  sim/README.md tells how to write a scenario.\n\n",
              stdout);
    conf_help(c, emit, stdout);
}

/* Says why on one line; returns the status. */
static int refuse(const char *file, uint32_t line, const char *why)
{
    if (file != NULL && strcmp(file, "-") == 0)
        file = "stdin";
    if (file == NULL)
        fprintf(stderr, "fwswarm-sim: %s\n", why);
    else if (line == 0)
        fprintf(stderr, "%s: %s\n", file, why);
    else
        fprintf(stderr, "%s:%u: %s\n", file, line, why);
    return STATUS_USAGE;
}

/* ---- the scenario ---- */

/* The file's text, to be freed; NULL with a line on stderr. */
static char *load(const char *path, size_t *len)
{
    bool standard = strcmp(path, "-") == 0;
    FILE *f = standard ? stdin : fopen(path, "rb");
    char why[WHY_MAX];
    if (f == NULL) {
        (void)snprintf(why, sizeof(why), "cannot be read: %s; name a scenario file",
                       strerror(errno));
        refuse(path, 0, why);
        return NULL;
    }
    char *text = sim_alloc(1, FILE_MAX + 1);
    *len = fread(text, 1, FILE_MAX + 1, f);
    bool failed = ferror(f) != 0;
    (void)snprintf(why, sizeof(why), "cannot be read: %s; name a scenario file",
                   failed ? strerror(errno) : "more than 1 MiB");
    if (!standard)
        fclose(f);
    if (!failed && *len <= FILE_MAX)
        return text;
    refuse(path, 0, why);
    free(text);
    return NULL;
}

static int read_file(struct scenario *s, const char *path)
{
    char why[WHY_MAX];
    size_t len = 0;
    uint32_t line = 0;
    char *text = load(path, &len);
    if (text == NULL)
        return STATUS_USAGE;
    bool ok = scenario_read(s, text, len, &line, why, sizeof(why));
    free(text);
    return ok ? 0 : refuse(path, line, why);
}

static bool take_time(uint64_t *out, const char *flag, const char *text, bool bare)
{
    if (bare ? units_time(out, text) : conf_parse_duration(bytes_str(text), out) == E_OK)
        return true;
    char why[WHY_MAX];
    (void)snprintf(why, sizeof(why), "--%s %s: not understood; write a time such as 20ms or 90s",
                   flag, text);
    refuse(NULL, 0, why);
    return false;
}

static int override(struct scenario *s, const struct conf *c, const struct settings *set)
{
    static const struct {
        enum override what;
        const char *name;
        size_t at;
    } numbers[] = {
        {OVERRIDE_SEED, "seed", offsetof(struct settings, seed)},
        {OVERRIDE_PEERS, "peers", offsetof(struct settings, peers)},
        {OVERRIDE_VERIFY, "verify", offsetof(struct settings, verify)},
        {OVERRIDE_IMAGE_SIZE, "image-size", offsetof(struct settings, image_size)},
        {OVERRIDE_ORIGIN_UP, "origin-up", offsetof(struct settings, origin_up)},
        {OVERRIDE_PEER_UP, "peer-up", offsetof(struct settings, peer_up)},
        {OVERRIDE_PEER_DOWN, "peer-down", offsetof(struct settings, peer_down)},
        {OVERRIDE_CRASH, "crash", offsetof(struct settings, crash)},
    };
    struct overrides o = {.without = set->without};
    char why[WHY_MAX];
    for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
        o.given[numbers[i].what] = conf_given(c, numbers[i].name);
        memcpy(&o.value[numbers[i].what], (const char *)set + numbers[i].at, sizeof(uint64_t));
    }
    o.given[OVERRIDE_RTT] = conf_given(c, "rtt");
    o.given[OVERRIDE_UNTIL] = conf_given(c, "until");
    if ((o.given[OVERRIDE_RTT] && !take_time(&o.value[OVERRIDE_RTT], "rtt", set->rtt, true)) ||
        (o.given[OVERRIDE_UNTIL] &&
         !take_time(&o.value[OVERRIDE_UNTIL], "until", set->until, false)))
        return STATUS_USAGE;
    return override_apply(s, &o, why, sizeof(why)) ? 0 : refuse(NULL, 0, why);
}

/* From file and flags to a scenario that can be run. */
static int prepare(struct scenario *s, const struct conf *c, const struct settings *set)
{
    const char *file = c->arg_count > 0 ? c->args[0] : NULL;
    char why[WHY_MAX];
    if (c->arg_count > 1) {
        (void)snprintf(why, sizeof(why), "%s: one scenario at a time; --help tells more",
                       c->args[1]);
        return refuse(NULL, 0, why);
    }
    scenario_default(s);
    int status = file != NULL ? read_file(s, file) : 0;
    if (status == 0)
        status = override(s, c, set);
    if (status != 0)
        return status;
    if (scenario_wrong(s, why, sizeof(why)))
        return refuse(file, 0, why);
    return 0;
}

/* ---- the run ---- */

static usec wall_now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (usec)ts.tv_sec * SEC + (usec)ts.tv_nsec / 1000;
}

/* The command as it was given, such that a shell takes it again. */
static void print_replay(int argc, char **argv)
{
    fputs("replay:", stderr);
    for (int i = 0; i < argc; i++) {
        const char *plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                            "-_./,=+:@%";
        fputc(' ', stderr);
        if (argv[i][0] != '\0' && strspn(argv[i], plain) == strlen(argv[i])) {
            fputs(argv[i], stderr);
            continue;
        }
        fputc('\'', stderr);
        for (const char *p = argv[i]; *p != '\0'; p++)
            fputs(*p == '\'' ? "'\\''" : (const char[]){*p, '\0'}, stderr);
        fputc('\'', stderr);
    }
    fputc('\n', stderr);
}

/* Steps the world to its end; false when a signal came first. */
static bool turn(struct world *w, struct plot *plot, const sigset_t *ends, usec began)
{
    bool live = isatty(STDERR_FILENO) != 0;
    const struct timespec at_once = {0, 0};
    usec shown = began, every = live ? SHOW_LIVE : SHOW_PLAIN;
    bool ended = false;
    for (uint64_t i = 1; !ended && world_step(w); i++) {
        if (plot != NULL)
            plot_step(plot, w);
        if (i % LOOK_STEPS != 0)
            continue;
        ended = sigtimedwait(ends, NULL, &at_once) > 0;
        usec now = wall_now();
        if (now - shown < every)
            continue;
        shown = now;
        report_progress(w, now - began, live);
    }
    if (live && shown != began)
        fputs("\r\x1b[K", stderr);
    return !ended;
}

static int run_world(struct world *w, struct plot *plot, const struct options *opt,
                     const sigset_t *ends)
{
    usec began = wall_now();
    w->interrupted = !turn(w, plot, ends, began);
    if (!w->interrupted)
        check_end(w);
    report_result(w, wall_now() - began);
    fflush(stdout);
    sigprocmask(SIG_UNBLOCK, ends, NULL);
    bool drawn = plot == NULL || plot_close(plot, w, opt->plot_over);
    if (w->interrupted)
        return STATUS_ENDED;
    if (!drawn)
        return STATUS_USAGE;
    return fault_lacking(w, false) == 0 && w->violations == 0 ? 0 : 1;
}

static int run(const struct scenario *scn, const char *file, const struct options *opt)
{
    char why[WHY_MAX];
    sigset_t ends;
    if (opt->link_real && scenario_nodes(scn) > CHANNEL_NODES_MAX) {
        snprintf(why, sizeof(why),
                 "--link real: %u nodes, and at most %u have a channel of their "
                 "own; leave it out, or use fewer",
                 scenario_nodes(scn), CHANNEL_NODES_MAX);
        return refuse(NULL, 0, why);
    }
    if (room_lacks(scn, room_available(), why, sizeof(why)))
        return refuse(NULL, 0, why);
    if (opt->plot_over != NULL && !plot_over(opt->plot_over))
        return STATUS_USAGE;
    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    sigprocmask(SIG_BLOCK, &ends, NULL);
    struct world *w = sim_alloc(1, sizeof(*w));
    struct plot *plot = NULL;
    int status = STATUS_USAGE;
    if (world_init(w, scn, opt)) {
        if (opt->plot != NULL)
            plot = plot_open(opt->plot, file != NULL ? file : "fwswarm-sim");
        if (opt->plot == NULL || plot != NULL)
            status = run_world(w, plot, opt, &ends);
    }
    world_fini(w);
    free(w);
    return status;
}

static int show(const struct scenario *s)
{
    size_t n = scenario_write(s, NULL, 0);
    char *text = sim_alloc(1, n + 1);
    scenario_write(s, text, n + 1);
    fputs(text, stdout);
    free(text);
    return 0;
}

/* The verbs that take a scenario. */
static int scenario_main(int argc, char **argv)
{
    bool showing = strcmp(argv[1], "show") == 0;
    struct settings set;
    struct conf c;
    conf_init(&c, rows, sizeof(rows) / sizeof(*rows), &set);
    c.no_file = true;
    if (conf_flags(&c, argc - 2, argv + 2) != E_OK)
        return refuse(NULL, 0, c.error);
    if (c.help) {
        usage_run(&c, showing);
        return 0;
    }
    if (set.over[0] != '\0' && set.plot[0] == '\0')
        return refuse(NULL, 0, "--over needs pictures to lay over; give --plot DIR too");
    struct scenario *scn = sim_alloc(1, sizeof(*scn));
    int status = prepare(scn, &c, &set);
    const struct options opt = {.json = set.json,
                                .trace = set.trace[0] != '\0' ? set.trace : NULL,
                                .plot = set.plot[0] != '\0' ? set.plot : NULL,
                                .plot_over = set.over[0] != '\0' ? set.over : NULL,
                                .link_real = set.link == 1};
    if (status == 0)
        status = showing ? show(scn) : run(scn, c.arg_count > 0 ? c.args[0] : NULL, &opt);
    if (status == 1)
        print_replay(argc, argv);
    free(scn);
    return status;
}

int main(int argc, char **argv)
{
    const char *verb = argc > 1 ? argv[1] : "";
    if (strcmp(verb, "run") == 0 || strcmp(verb, "show") == 0)
        return scenario_main(argc, argv);
    if (strcmp(verb, "swarm") == 0)
        return swarm_main(argc, argv);
    if (strcmp(verb, "--help") == 0 || strcmp(verb, "-h") == 0 || strcmp(verb, "help") == 0) {
        usage(stdout);
        return 0;
    }
    if (verb[0] != '\0')
        fprintf(stderr, "fwswarm-sim: there is no verb %s; write run, show or swarm\n", verb);
    else
        usage(stderr);
    return STATUS_USAGE;
}
