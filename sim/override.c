/* Flags over a scenario.
 *
 * --crash becomes ordinary faults with numbers of their own, at moments drawn from the seed within
 * the time that the download takes at best, so that what is run can be written as a file. */
#include "override.h"

#include "units.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define CRASH_WAVES 16u        /* more crashes than this share moments */
#define CRASH_AFTER (SEC / 10) /* all are up by then */
#define CRASH_BACK  (SEC)      /* the least that it takes to be back, and by */
#define CRASH_RANGE (4 * SEC)  /* so much it may take longer */

static bool honest(const struct scn_group *g, bool verify)
{
    return g->behaviour == BEHAVE_HONEST && g->verify == verify;
}

/* ---- counts ---- */

static bool set_count(struct scenario *s, bool verify, uint64_t count, char *why, size_t cap)
{
    const char *flag = verify ? "--verify" : "--peers";
    struct scn_group *only = NULL;
    uint32_t groups = 0;
    for (uint32_t i = 0; i < s->groups; i++) {
        if (!honest(&s->group[i], verify))
            continue;
        only = &s->group[i];
        groups++;
    }
    if (groups != 1) {
        (void)snprintf(why, cap,
                       "%s %" PRIu64 ": the scenario has %u groups of %s; write count= in the file",
                       flag, count, groups, verify ? "verify nodes" : "devices");
        return false;
    }
    uint32_t places = only->site != NONE ? s->site[only->site].count : 1;
    if (count > SCN_NODES_MAX || count % places != 0) {
        (void)snprintf(why, cap, "%s %" PRIu64 ": group %s; write a multiple of %u, to %u", flag,
                       count, only->name, places, SCN_NODES_MAX);
        return false;
    }
    only->count = (uint32_t)count / places;
    return true;
}

/* ---- rates, sizes, times ---- */

static void set_groups(struct scenario *s, enum override what, uint64_t v)
{
    for (uint32_t i = 0; i < s->groups; i++) {
        struct scn_group *g = &s->group[i];
        if (what == OVERRIDE_RTT)
            g->rtt = v;
        else if (what == OVERRIDE_ORIGIN_UP && honest(g, true))
            g->up = g->down = v;
        else if (what == OVERRIDE_PEER_UP && honest(g, false))
            g->up = v;
        else if (what == OVERRIDE_PEER_DOWN && honest(g, false))
            g->down = v;
    }
}

static bool set(struct scenario *s, enum override what, uint64_t v, char *why, size_t cap)
{
    switch (what) {
    case OVERRIDE_SEED:
        s->seed = v;
        return true;
    case OVERRIDE_UNTIL:
        s->until = v;
        return true;
    case OVERRIDE_PEERS:
    case OVERRIDE_VERIFY:
        return set_count(s, what == OVERRIDE_VERIFY, v, why, cap);
    case OVERRIDE_IMAGE_SIZE:
        for (uint32_t i = 0; i < s->releases; i++)
            s->release[i].size = v;
        return true;
    case OVERRIDE_ORIGIN_UP:
    case OVERRIDE_PEER_UP:
    case OVERRIDE_PEER_DOWN:
    case OVERRIDE_RTT:
        set_groups(s, what, v);
        return true;
    case OVERRIDE_CRASH: /* after all others: it looks at rates and counts */
    case OVERRIDES:
        return true;
    }
    return true;
}

/* ---- crashes ---- */

/* About how long the first release takes at best. */
static usec window_of(const struct scenario *s)
{
    uint64_t ups = 0, slowest = UINT64_MAX, size = s->releases > 0 ? s->release[0].size : 0;
    for (uint32_t i = 0; i < s->groups; i++) {
        const struct scn_group *g = &s->group[i];
        if (g->behaviour != BEHAVE_HONEST || g->up == 0 || g->down == 0)
            continue;
        uint64_t places = g->site != NONE ? s->site[g->site].count : 1;
        ups += g->up * g->count * places;
        uint64_t rate = g->verify ? g->up : g->down;
        slowest = rate < slowest ? rate : slowest;
    }
    if (ups == 0)
        return 0;
    /* Milliseconds first: bytes times microseconds would not fit for large fleets. */
    uint64_t one = size / 1024 * 1000 / (slowest / 1024 + 1);
    uint64_t all = size / 1024 * scenario_devices(s) * 1000 / (ups / 1024 + 1);
    return (one > all ? one : all) * 1000;
}

static bool add_crashes(struct scenario *s, uint64_t count, char *why, size_t cap)
{
    uint32_t devices = scenario_devices(s), room = SCN_FAULTS - s->faults, number = 0;
    if (count > devices) {
        (void)snprintf(why, cap, "--crash %" PRIu64 ": there are %u devices; write at most that",
                       count, devices);
        return false;
    }
    uint32_t waves = count < CRASH_WAVES ? (uint32_t)count : CRASH_WAVES;
    if (waves > room)
        waves = room;
    if (waves == 0 && count > 0) {
        (void)snprintf(why, cap,
                       "--crash %" PRIu64 ": the scenario has %u faults already; leave "
                       "one out, as --without %u",
                       count, s->faults, s->fault[0].number);
        return false;
    }
    for (uint32_t i = 0; i < s->faults; i++)
        number = s->fault[i].number > number ? s->fault[i].number : number;
    if (number > UINT32_MAX - CRASH_WAVES) {
        (void)snprintf(why, cap, "--crash: no number is left behind fault %u; number it lower",
                       number);
        return false;
    }
    uint8_t seed[32] = {'c', 'r', 'a', 's', 'h'};
    struct wr w = wr_of(seed + 8, 8);
    struct rng rng;
    wr_u64(&w, s->seed);
    rng_init(&rng, seed);
    usec window = window_of(s) + SEC;
    for (uint32_t i = 0; i < waves; i++) {
        struct scn_fault *f = &s->fault[s->faults++];
        memset(f, 0, sizeof(*f));
        f->number = number + 1 + i;
        f->kind = FAULT_CRASH;
        f->group = f->site = NONE;
        f->count = (uint32_t)(count / waves + (i < count % waves ? 1 : 0));
        f->at = s->release[0].at + CRASH_AFTER + rng_u64(&rng) % window;
        f->lasts = CRASH_BACK + rng_u64(&rng) % CRASH_RANGE;
    }
    return true;
}

/* ---- faults left out ---- */

static bool leave_out(struct scenario *s, const char *number, char *why, size_t cap)
{
    uint64_t v = 0;
    uint32_t i = 0;
    bool ok = units_count(&v, number, 1, UINT32_MAX);
    while (ok && i < s->faults && s->fault[i].number != v)
        i++;
    if (!ok || i == s->faults) {
        (void)snprintf(why, cap,
                       "--without %.20s: there is no fault of that number; the scenario "
                       "has %u",
                       number, s->faults);
        return false;
    }
    memmove(&s->fault[i], &s->fault[i + 1], (s->faults - i - 1) * sizeof(s->fault[0]));
    memset(&s->fault[--s->faults], 0, sizeof(s->fault[0]));
    return true;
}

static bool leave_out_all(struct scenario *s, const char *list, char *why, size_t cap)
{
    while (*list != '\0') {
        char number[24];
        size_t n = strcspn(list, ",");
        if (n >= sizeof(number)) {
            (void)snprintf(why, cap, "--without: a list of numbers with commas, as --without 2,5");
            return false;
        }
        memcpy(number, list, n);
        number[n] = '\0';
        if (!leave_out(s, number, why, cap))
            return false;
        list += n;
        list += *list == ',';
    }
    return true;
}

bool override_apply(struct scenario *s, const struct overrides *o, char *why, size_t cap)
{
    for (uint32_t i = 0; i < OVERRIDES; i++)
        if (o->given[i] && !set(s, (enum override)i, o->value[i], why, cap))
            return false;
    if (o->without != NULL && !leave_out_all(s, o->without, why, cap))
        return false;
    return !o->given[OVERRIDE_CRASH] || add_crashes(s, o->value[OVERRIDE_CRASH], why, cap);
}
