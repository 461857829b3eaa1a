/* Random scenarios by seed, several at once, and what broke in which.
 *
 * Seeds are started in order and end in any; what is said at the end is put together in order, so
 * it does not depend on how many run at once.  A failure is told when it is found.  The first one
 * in order is made smaller when that is asked for. */
#include "swarm.h"

#include "shrink.h"
#include "units.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define JOBS_MAX     256u
#define SEEDS_MAX    10000000u
#define PEERS_LOW    20u
#define PEERS_HIGH   60u
#define TIMEOUT_S    60u
#define SHOW_LIVE    (SEC / 4)
#define SHOW_PLAIN   (10 * SEC)
#define SHRINK_RUNS  400u
#define SHRINK_STEPS 20000000u
#define TEXT_MAX     65536u

struct swarm {
    /* ---- what is asked for ---- */
    uint64_t first, last;
    uint32_t jobs, least, most;
    usec timeout;
    bool json, shrink, stop;
    const char *save; /* folder for shrunken scenarios */
    /* ---- how it goes ---- */
    struct trial_job *job;
    uint64_t next;  /* seed */
    uint64_t *hash; /* by seed */
    uint64_t ran, failed, nodes, steps, simulated;
    uint64_t struck[FAULT_COUNT];
    uint64_t failure[4]; /* by enum trial_end */
    struct trial worst;  /* the failure of the lowest seed */
    uint64_t worst_seed;
    bool interrupted, live;
    usec began, shown;
};

/* ---- the command line ---- */

static void usage(FILE *f)
{
    fputs("usage: fwswarm-sim swarm --seeds A..B [flags]\n\n"
          "Draws a scenario with faults from each seed, runs it, and tells which of them fail.\n\n"
          "  --seeds A..B  the seeds; A alone is one\n"
          "  --peers A..B  nodes of a scenario (20..60)\n"
          "  --jobs N      runs at once (one for each processor)\n"
          "  --timeout S   real seconds that one run may take (60)\n"
          "  --first       stop at the first failure\n"
          "  --shrink      find a smaller scenario that fails like the first one, and save it\n"
          "  --save DIR    where to save it (.)\n"
          "  --json        print the result as JSON\n"
          "  --print       print the scenario of seed A and run nothing\n",
          f);
}

static int mistake(const char *flag, const char *text, const char *mend)
{
    fprintf(stderr, "fwswarm-sim: %s %s: %s\n", flag, text, mend);
    return 2;
}

/* A..B, or A for A..A. */
static bool range(const char *text, uint64_t most, uint64_t *a, uint64_t *b)
{
    char first[24];
    const char *dots = strstr(text, "..");
    size_t n = dots != NULL ? (size_t)(dots - text) : strlen(text);
    if (n == 0 || n >= sizeof(first))
        return false;
    memcpy(first, text, n);
    first[n] = '\0';
    return units_count(a, first, 0, most) &&
           units_count(b, dots != NULL ? dots + 2 : first, 0, most) && *a <= *b;
}

static bool take(struct swarm *sw, const char *flag, const char *text)
{
    uint64_t a = 0, b = 0;
    if (strcmp(flag, "--seeds") == 0)
        return range(text, UINT64_MAX / 100000000, &sw->first, &sw->last) &&
               sw->last - sw->first < SEEDS_MAX;
    if (strcmp(flag, "--peers") == 0) {
        if (!range(text, SCN_NODES_MAX, &a, &b) || a < 4)
            return false;
        sw->least = (uint32_t)a;
        sw->most = (uint32_t)b;
        return true;
    }
    if (strcmp(flag, "--jobs") == 0) {
        bool good = units_count(&a, text, 1, JOBS_MAX);
        sw->jobs = (uint32_t)a;
        return good;
    }
    if (strcmp(flag, "--timeout") == 0) {
        bool good = units_count(&a, text, 1, 86400);
        sw->timeout = a * SEC;
        return good;
    }
    sw->save = text;
    return true;
}

static int parse(struct swarm *sw, int argc, char **argv, bool *print)
{
    bool seeds = false;
    for (int i = 2; i < argc; i++) {
        const char *f = argv[i];
        if (strcmp(f, "--json") == 0) {
            sw->json = true;
        } else if (strcmp(f, "--shrink") == 0) {
            sw->shrink = true;
        } else if (strcmp(f, "--first") == 0) {
            sw->stop = true;
        } else if (strcmp(f, "--print") == 0) {
            *print = true;
        } else if (strcmp(f, "--seeds") == 0 || strcmp(f, "--peers") == 0 ||
                   strcmp(f, "--jobs") == 0 || strcmp(f, "--timeout") == 0 ||
                   strcmp(f, "--save") == 0) {
            if (i + 1 == argc)
                return mistake(f, "", "needs a value; see fwswarm-sim swarm --help");
            if (!take(sw, f, argv[++i]))
                return mistake(f, argv[i], "not understood or out of range; see --help");
            seeds = seeds || strcmp(f, "--seeds") == 0;
        } else {
            return mistake("unknown flag", f, "see fwswarm-sim swarm --help");
        }
    }
    return seeds ? 0 : mistake("--seeds", "", "say which, as in --seeds 1..300");
}

/* ---- what is said ---- */

static void progress(struct swarm *sw, bool end)
{
    usec now = trial_clock();
    if (sw->live && end && sw->shown != sw->began)
        fputs("\r\x1b[K", stderr);
    if (end || now - sw->shown < (sw->live ? SHOW_LIVE : SHOW_PLAIN))
        return;
    sw->shown = now;
    fprintf(stderr, "%s%" PRIu64 " of %" PRIu64 " seeds, %" PRIu64 " failed, %" PRIu64 " s%s",
            sw->live ? "\r" : "", sw->ran, sw->last - sw->first + 1, sw->failed,
            (now - sw->began) / SEC, sw->live ? "\x1b[K" : "\n");
}

static void print_where(FILE *f, const struct trial *t)
{
    fprintf(f, "%" PRIu64 ".%06" PRIu64 " s, step %" PRIu64, t->at / SEC, t->at % SEC, t->step);
    if (t->node != NONE)
        fprintf(f, ", node %" PRIu32, t->node);
}

static void print_failure(struct swarm *sw, uint64_t seed, const struct trial *t)
{
    FILE *f = sw->json ? stderr : stdout;
    if (sw->live)
        fputs("\r\x1b[K", stderr);
    fprintf(f, "seed %" PRIu64 ": %s at ", seed, trial_end_name(t->end));
    print_where(f, t);
    fprintf(f, ": %s\n", t->what);
    fprintf(f, "    fwswarm-sim swarm --seeds %" PRIu64 "..%" PRIu64 " --peers %u..%u\n", seed,
            seed, sw->least, sw->most);
    fflush(f);
}

/* One number for all runs, in the order of their seeds. */
static uint64_t hash_all(const struct swarm *sw)
{
    uint64_t all = 0;
    for (uint64_t i = 0; i <= sw->last - sw->first; i++) {
        uint8_t pair[16];
        struct wr w = wr_of(pair, sizeof(pair));
        wr_u64(&w, all);
        wr_u64(&w, sw->hash[i]);
        struct digest d;
        hash_domain(&d, "fwswarm-sim", wr_done(&w), bytes_str("swarm"));
        struct rd r = rd_of(bytes_of(d.b, 8));
        all = rd_u64(&r);
    }
    return all;
}

static void print_json(const struct swarm *sw, usec wall)
{
    printf("{\"first\": %" PRIu64 ", \"last\": %" PRIu64 ", \"seeds\": %" PRIu64
           ", \"nodes\": %" PRIu64 ", \"events\": %" PRIu64 ", \"simulated_s\": %" PRIu64 ", ",
           sw->first, sw->last, sw->ran, sw->nodes, sw->steps, sw->simulated / SEC);
    printf("\"faults\": {");
    for (uint32_t i = 0; i < FAULT_COUNT; i++)
        printf("%s\"%s\": %" PRIu64, i > 0 ? ", " : "", fault_name[i], sw->struck[i]);
    printf("}, \"failed\": %" PRIu64 ", \"violations\": %" PRIu64 ", \"crashes\": %" PRIu64
           ", \"hangs\": %" PRIu64 ", ",
           sw->failed, sw->failure[TRIAL_VIOLATION], sw->failure[TRIAL_CRASH],
           sw->failure[TRIAL_HANG]);
    if (sw->failed > 0) {
        printf("\"failure\": {\"seed\": %" PRIu64 ", \"kind\": \"%s\", \"step\": %" PRIu64
               ", \"what\": \"",
               sw->worst_seed, trial_end_name(sw->worst.end), sw->worst.step);
        for (const char *p = sw->worst.what; *p != '\0'; p++)
            putchar(*p == '"' || *p == '\\' || (unsigned char)*p < 0x20 ? '\'' : *p);
        printf("\"}, ");
    }
    printf("\"trace_hash\": \"%016" PRIx64 "\", \"interrupted\": %s, \"wall_s\": %" PRIu64
           ".%03" PRIu64 "}\n",
           hash_all(sw), sw->interrupted ? "true" : "false", wall / SEC, wall % SEC / 1000);
}

static void print_text(const struct swarm *sw, usec wall)
{
    uint64_t rate = wall > 0 ? sw->ran * 10 * SEC / wall : 0;
    printf(
        "seeds       %" PRIu64 " of %" PRIu64 "..%" PRIu64 "%s, %" PRIu64 ".%" PRIu64 " a second\n",
        sw->ran, sw->first, sw->last, sw->interrupted ? ", interrupted" : "", rate / 10, rate % 10);
    printf("nodes       %" PRIu64 ", %" PRIu64 " events, %" PRIu64 " s simulated, %" PRIu64
           ".%" PRIu64 " s real\n",
           sw->nodes, sw->steps, sw->simulated / SEC, wall / SEC, wall % SEC * 10 / SEC);
    printf("faults     ");
    for (uint32_t i = 0; i < FAULT_COUNT; i++)
        if (sw->struck[i] > 0)
            printf(" %s %" PRIu64, fault_name[i], sw->struck[i]);
    printf("\nfailed      %" PRIu64 ": %" PRIu64 " violations, %" PRIu64 " crashes, %" PRIu64
           " hangs\n",
           sw->failed, sw->failure[TRIAL_VIOLATION], sw->failure[TRIAL_CRASH],
           sw->failure[TRIAL_HANG]);
    printf("trace hash  %016" PRIx64 "\n", hash_all(sw));
}

/* ---- running ---- */

static void ended(struct swarm *sw, struct trial_job *j, int status)
{
    struct trial t;
    uint64_t seed = j->tag;
    trial_end(j, status, &t);
    if (t.end == TRIAL_STOPPED) {
        sw->interrupted = true;
        return;
    }
    sw->ran++;
    sw->nodes += t.nodes;
    sw->steps += t.steps > t.step ? t.steps : t.step;
    sw->simulated += t.now;
    sw->hash[seed - sw->first] = t.trace_hash;
    for (uint32_t i = 0; i < FAULT_COUNT; i++)
        sw->struck[i] += t.struck[i];
    if (t.end == TRIAL_GOOD)
        return;
    print_failure(sw, seed, &t);
    sw->failure[t.end]++;
    if (sw->failed++ == 0 || seed < sw->worst_seed) {
        sw->worst = t;
        sw->worst_seed = seed;
    }
}

/* Starts what there is room for; false when nothing runs and nothing is left. */
static bool feed(struct swarm *sw, struct scenario *s)
{
    bool any = false;
    for (uint32_t i = 0; i < sw->jobs; i++) {
        struct trial_job *j = &sw->job[i];
        bool more = sw->next <= sw->last && !sw->interrupted && !(sw->stop && sw->failed > 0);
        if (j->pid == 0 && more) {
            scenario_draw(s, sw->next, sw->least, sw->most);
            j->tag = sw->next++;
            trial_start(j, trial_world, s);
        }
        any = any || j->pid != 0;
    }
    return any;
}

static void reap(struct swarm *sw)
{
    int status = 0;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        for (uint32_t i = 0; i < sw->jobs; i++)
            if (sw->job[i].pid == pid)
                ended(sw, &sw->job[i], status);
}

/* Signals are waited for, so that none is lost between a look and a sleep. */
static void run_all(struct swarm *sw)
{
    struct scenario *s = sim_alloc(1, sizeof(*s));
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    while (feed(sw, s)) {
        struct timespec wait = {.tv_nsec = (long)SHOW_LIVE * 1000};
        int signal = sigtimedwait(&set, NULL, &wait);
        if (signal == SIGINT || signal == SIGTERM) {
            sw->interrupted = true;
            for (uint32_t i = 0; i < sw->jobs; i++)
                if (sw->job[i].pid != 0)
                    kill(sw->job[i].pid, SIGTERM);
        }
        reap(sw);
        for (uint32_t i = 0; i < sw->jobs; i++)
            trial_hurry(&sw->job[i], sw->timeout);
        progress(sw, false);
    }
    progress(sw, true);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    free(s);
}

/* ---- a smaller one ---- */

static bool save(const char *path, const char *text, size_t n)
{
    FILE *f = fopen(path, "w");
    bool good = f != NULL && fwrite(text, 1, n, f) == n;
    if (f != NULL && fclose(f) != 0)
        good = false;
    if (!good)
        fprintf(stderr, "fwswarm-sim: cannot write %s: %s\n", path, strerror(errno));
    return good;
}

static void make_smaller(const struct swarm *sw)
{
    FILE *f = sw->json ? stderr : stdout;
    struct scenario *s = sim_alloc(1, sizeof(*s));
    char *text = sim_alloc(1, TEXT_MAX), path[4096];
    struct shrink k = {.run = trial_world,
                       .timeout = sw->timeout,
                       .runs_max = sw->worst.end == TRIAL_HANG ? SHRINK_RUNS / 10 : SHRINK_RUNS,
                       .steps_max = SHRINK_STEPS};
    struct trial how = sw->worst;
    scenario_draw(s, sw->worst_seed, sw->least, sw->most);
    uint32_t nodes = scenario_nodes(s), faults = s->faults;
    if (!shrink_scenario(&k, s, &how)) {
        fprintf(f, "shrink      seed %" PRIu64 " does not fail like that a second time\n",
                sw->worst_seed);
    } else {
        size_t n = scenario_write(s, text, TEXT_MAX);
        fprintf(f, "shrink      %u nodes to %u, %u faults to %u, in %u runs\n", nodes,
                scenario_nodes(s), faults, s->faults, k.runs);
        fprintf(f, "%s at ", trial_end_name(how.end));
        print_where(f, &how);
        fprintf(f, ": %s\n\n%.*s\n", how.what, (int)(n < TEXT_MAX ? n : TEXT_MAX), text);
        snprintf(path, sizeof(path), "%s/seed-%" PRIu64 ".scn", sw->save, sw->worst_seed);
        if (save(path, text, n))
            fprintf(f, "    fwswarm-sim run %s\n", path);
    }
    free(text);
    free(s);
}

static int print_scenario(const struct swarm *sw)
{
    struct scenario *s = sim_alloc(1, sizeof(*s));
    char *text = sim_alloc(1, TEXT_MAX), why[256];
    scenario_draw(s, sw->first, sw->least, sw->most);
    size_t n = scenario_write(s, text, TEXT_MAX);
    fwrite(text, 1, n < TEXT_MAX ? n : TEXT_MAX, stdout);
    bool wrong = scenario_wrong(s, why, sizeof(why));
    if (wrong)
        fprintf(stderr, "fwswarm-sim: seed %" PRIu64 ": %s\n", sw->first, why);
    free(text);
    free(s);
    return wrong ? 1 : 0;
}

int swarm_main(int argc, char **argv)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    struct swarm sw = {.jobs = cores < 1          ? 1
                               : cores > JOBS_MAX ? JOBS_MAX
                                                  : (uint32_t)cores,
                       .least = PEERS_LOW,
                       .most = PEERS_HIGH,
                       .timeout = TIMEOUT_S * SEC,
                       .save = "."};
    bool print = false;
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            usage(stdout);
            return 0;
        }
    }
    int status = parse(&sw, argc, argv, &print);
    if (status != 0)
        return status;
    if (print)
        return print_scenario(&sw);
    sw.next = sw.first;
    sw.live = isatty(STDERR_FILENO) != 0;
    sw.hash = sim_alloc(sw.last - sw.first + 1, sizeof(*sw.hash));
    sw.job = sim_alloc(sw.jobs, sizeof(*sw.job));
    for (uint32_t i = 0; i < sw.jobs; i++)
        if (!trial_open(&sw.job[i]))
            return 2;
    sw.began = sw.shown = trial_clock();
    run_all(&sw);
    usec wall = trial_clock() - sw.began;
    if (sw.json)
        print_json(&sw, wall);
    else
        print_text(&sw, wall);
    if (sw.failed > 0 && sw.shrink && !sw.interrupted)
        make_smaller(&sw);
    for (uint32_t i = 0; i < sw.jobs; i++)
        trial_close(&sw.job[i]);
    free(sw.job);
    free(sw.hash);
    return sw.failed > 0 ? 1 : sw.interrupted ? 130 : 0;
}
