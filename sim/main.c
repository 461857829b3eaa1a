/* fwswarm-sim: a fleet in virtual time.
 *
 * Reads the command line, runs the world, prints the report.  Exit status: 0 when every device
 * holds the image and nothing was violated, 1 when not, 2 when the command line is not understood.
 */
#include "checks.h"
#include "report.h"
#include "units.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PEERS_MAX      60000u /* beyond, addresses run out */
#define PROGRESS_STEPS 4096u

enum flag_kind { FLAG_COUNT, FLAG_SEED, FLAG_SIZE, FLAG_RATE, FLAG_MS, FLAG_S, FLAG_FILE, FLAG_ON };

struct flag {
    const char *name, *value, *help;
    enum flag_kind kind;
    size_t at;
};

struct asked {
    uint32_t peers, verify, crashes;
    uint64_t image_size;
    uint64_t origin_up, peer_up, peer_down; /* bytes a second */
    usec rtt;
    uint64_t seed;
    usec until;
    struct options rest;
};

#define OPT(member) offsetof(struct asked, member)
static const struct flag flags[] = {
    {"--peers", "N", "devices (50)", FLAG_COUNT, OPT(peers)},
    {"--verify", "N", "verify nodes; the first has the image (1)", FLAG_COUNT, OPT(verify)},
    {"--image-size", "S", "size of the image, as 16MiB (16MiB)", FLAG_SIZE, OPT(image_size)},
    {"--origin-up", "R", "a verify node's rate, as 100Mbit (100Mbit)", FLAG_RATE, OPT(origin_up)},
    {"--peer-up", "R", "a device's rate up (10Mbit)", FLAG_RATE, OPT(peer_up)},
    {"--peer-down", "R", "a device's rate down (50Mbit)", FLAG_RATE, OPT(peer_down)},
    {"--rtt", "MS", "round trip between two nodes, milliseconds (20)", FLAG_MS, OPT(rtt)},
    {"--seed", "X", "everything random follows from it (1)", FLAG_SEED, OPT(seed)},
    {"--crash", "K", "devices that lose power once (0)", FLAG_COUNT, OPT(crashes)},
    {"--until", "S", "stop after so many simulated seconds (3 x bound + 600)", FLAG_S, OPT(until)},
    {"--trace", "FILE", "write a readable trace", FLAG_FILE, OPT(rest.trace)},
    {"--json", NULL, "print the result as JSON", FLAG_ON, OPT(rest.json)},
};

static void usage(FILE *f)
{
    fprintf(f, "usage: fwswarm-sim run [flags]\n\n"
               "Runs a fleet of the real node in virtual time, until every device has installed\n"
               "the release that a verify node holds.\n\n");
    for (size_t i = 0; i < sizeof(flags) / sizeof(*flags); i++)
        fprintf(f, "  %-13s%-5s %s\n", flags[i].name, flags[i].value != NULL ? flags[i].value : "",
                flags[i].help);
    fprintf(f, "  %-18s %s\n", "--help", "print this");
}

static int mistake(const char *what, const char *arg, const char *mend)
{
    fprintf(stderr, "fwswarm-sim: %s%s: %s\n", what, arg, mend);
    return 2;
}

static bool take_count(void *at, const char *text, uint64_t max)
{
    uint64_t v;
    if (!units_count(&v, text, 0, max))
        return false;
    *(uint32_t *)at = (uint32_t)v;
    return true;
}

static bool take_flag(const struct flag *f, struct asked *opt, const char *text)
{
    void *at = (char *)opt + f->at;
    switch (f->kind) {
    case FLAG_COUNT:
        return take_count(at, text, PEERS_MAX);
    case FLAG_SEED:
        return units_count(at, text, 0, UINT64_MAX / 1000000 / 100);
    case FLAG_SIZE:
        return units_size(at, text);
    case FLAG_RATE:
        return units_rate(at, text);
    case FLAG_MS:
        return units_ms(at, text);
    case FLAG_S:
        return units_s(at, text);
    case FLAG_FILE:
        *(const char **)at = text;
        return true;
    case FLAG_ON:
        *(bool *)at = true;
        return true;
    }
    return false;
}

static int parse(struct asked *opt, int argc, char **argv)
{
    for (int i = 2; i < argc; i++) {
        const struct flag *f = NULL;
        for (size_t k = 0; k < sizeof(flags) / sizeof(*flags); k++)
            if (strcmp(argv[i], flags[k].name) == 0)
                f = &flags[k];
        if (f == NULL)
            return mistake("unknown flag ", argv[i], "see fwswarm-sim --help");
        const char *text = "";
        if (f->kind != FLAG_ON) {
            if (i + 1 == argc)
                return mistake(f->name, "", "needs a value; see fwswarm-sim --help");
            text = argv[++i];
        }
        if (!take_flag(f, opt, text)) {
            fprintf(stderr, "fwswarm-sim: %s %s: not understood or out of range; %s\n", f->name,
                    text, f->help);
            return 2;
        }
    }
    return 0;
}

static int judge(const struct asked *opt)
{
    if (opt->peers == 0)
        return mistake("--peers 0", "", "a fleet needs at least one device");
    if (opt->verify == 0 || opt->verify > ROOT_VERIFY_MAX)
        return mistake("--verify", "", "from 1 to 32: somebody must have the image");
    if (opt->crashes > opt->peers)
        return mistake("--crash", "", "more crashes than devices");
    if (opt->image_size > IMAGE_SIZE_MAX)
        return mistake("--image-size", "", "larger than any image can be");
    if (opt->origin_up < 1000 || opt->peer_up < 1000 || opt->peer_down < 1000)
        return mistake("rates", "", "at least 8kbit each");
    if (opt->rtt > 60 * SEC)
        return mistake("--rtt", "", "at most 60000 ms");
    return 0;
}

static usec wall_now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (usec)ts.tv_sec * SEC + (usec)ts.tv_nsec / 1000;
}

static void scenario_of(struct scenario *s, const struct asked *opt)
{
    scenario_default(s);
    s->seed = opt->seed;
    s->until = opt->until;
    s->group[0].count = opt->verify;
    s->group[0].up = opt->origin_up;
    s->group[0].down = opt->origin_up;
    s->group[0].rtt = opt->rtt;
    s->group[1].count = opt->peers;
    s->group[1].up = opt->peer_up;
    s->group[1].down = opt->peer_down;
    s->group[1].rtt = opt->rtt;
    s->release[0].size = opt->image_size;
    if (opt->crashes == 0)
        return;
    s->faults = 1;
    s->fault[0] = (struct scn_fault){
        .number = 1, .kind = FAULT_CRASH, .group = NONE, .site = NONE, .count = opt->crashes};
}

static int run(const struct asked *opt)
{
    struct scenario *scn = sim_alloc(1, sizeof(*scn));
    scenario_of(scn, opt);
    struct world *w = sim_alloc(1, sizeof(*w));
    usec began = wall_now(), shown = began;
    bool terminal = isatty(STDERR_FILENO) != 0;
    int status = 2;
    if (world_init(w, scn, &opt->rest)) {
        for (uint64_t i = 1; world_step(w); i++) {
            if (!terminal || i % PROGRESS_STEPS != 0 || wall_now() - shown < SEC / 4)
                continue;
            shown = wall_now();
            report_progress(w, shown - began);
        }
        if (shown != began)
            fputs("\r\x1b[K", stderr);
        check_end(w);
        report_result(w, wall_now() - began);
        status = w->unheld == 0 && w->violations == 0 ? 0 : 1;
    }
    world_fini(w);
    free(w);
    free(scn);
    return status;
}

int main(int argc, char **argv)
{
    struct asked opt = {.peers = 50,
                          .verify = 1,
                          .image_size = 16u << 20,
                          .origin_up = 12500000,
                          .peer_up = 1250000,
                          .peer_down = 6250000,
                          .rtt = 20000,
                          .seed = 1};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            usage(stdout);
            return 0;
        }
    }
    if (argc < 2 || strcmp(argv[1], "run") != 0) {
        usage(stderr);
        return 2;
    }
    int status = parse(&opt, argc, argv);
    if (status == 0)
        status = judge(&opt);
    return status != 0 ? status : run(&opt);
}
