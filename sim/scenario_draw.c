/* A random scenario, all of it from one seed.
 *
 * What is always a little of everything finds less than what is much of a few things: each seed
 * first draws which features it has at all (FEATURES, the kinds of fault, the behaviours), and then
 * how much of them.  Whatever is drawn leaves a way to the end: one honest verify node stays and is
 * reached, or, where the vendor leaves, nothing that could take the last copy is drawn; every fault
 * ends but those after which the others still can finish. */
#include "scenario.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define MS            ((usec)1000)
#define KBIT          125u /* bytes a second */
#define MBIT          125000u
#define SIZE_LEAST    65536u
#define SIZE_MOST     (4u << 20)
#define WORK_MOST     (64u << 20) /* bytes over all nodes and releases: what a seed may cost */
#define CHAOS_LEAST   (10 * SEC)
#define CHAOS_MOST    (240 * SEC)
#define FAULTS_DRAWN  14u
#define DEVICE_KINDS  4u         /* groups of honest devices */
#define FLOODED_LEAST (8 * MBIT) /* rate of a line that is flooded */

/* Which features a seed has, each with its share of seeds in hundredths. */
enum feature {
    FEATURE_SITES,
    FEATURE_SHARED_LINES,
    FEATURE_NAT,
    FEATURE_MODELS,
    FEATURE_RELEASES,
    FEATURE_STOPS,
    FEATURE_TAMPERED,
    FEATURE_LATE,
    FEATURE_HOSTILE,
    FEATURE_FAULTS,
    FEATURE_VENDOR_GONE,
    FEATURE_VERIFY,
    FEATURE_FAR,
    FEATURE_SLOW,
    FEATURE_UNEQUAL,
    FEATURE_UNKNOWN,
    FEATURE_KEYS,
    FEATURE_COUNT,
};

static const uint8_t share[FEATURE_COUNT] = {
    [FEATURE_SITES] = 45,    [FEATURE_SHARED_LINES] = 50, [FEATURE_NAT] = 30,
    [FEATURE_MODELS] = 25,   [FEATURE_RELEASES] = 35,     [FEATURE_STOPS] = 35,
    [FEATURE_TAMPERED] = 20, [FEATURE_LATE] = 30,         [FEATURE_HOSTILE] = 40,
    [FEATURE_FAULTS] = 80,   [FEATURE_VENDOR_GONE] = 15,  [FEATURE_VERIFY] = 45,
    [FEATURE_FAR] = 35,      [FEATURE_SLOW] = 25,         [FEATURE_UNEQUAL] = 50,
    [FEATURE_UNKNOWN] = 15,  [FEATURE_KEYS] = 25,
};

struct draw {
    struct scenario *s;
    struct rng rng;
    bool has[FEATURE_COUNT];
    uint32_t nodes, verify, hostile; /* in all; honest verify nodes; adversaries */
    uint32_t flooded;                /* site whose LAN is flooded, or NONE */
    usec chaos;                      /* about how long things go wrong */
};

/* ---- numbers ---- */

static uint32_t between(struct draw *d, uint32_t least, uint32_t most)
{
    return least + rng_below(&d->rng, most - least + 1);
}

static bool chance(struct draw *d, uint32_t hundredths)
{
    return rng_below(&d->rng, 100) < hundredths;
}

/* Small values as often as large ones: a power of two between the two ends, and what lies between
 * it and the next. */
static uint64_t spread(struct draw *d, uint64_t least, uint64_t most)
{
    uint32_t doublings = 0;
    while (least << (doublings + 1) <= most)
        doublings++;
    uint64_t v = least << between(d, 0, doublings);
    v += rng_u64(&d->rng) % v;
    return v < most ? v : most;
}

static usec moment(struct draw *d, usec most)
{
    return most > 0 ? rng_u64(&d->rng) % most / MS * MS : 0;
}

/* ---- places ---- */

static void draw_sites(struct draw *d)
{
    struct scenario *s = d->s;
    if (!d->has[FEATURE_SITES])
        return;
    s->sites = between(d, 1, 3);
    for (uint32_t i = 0; i < s->sites; i++) {
        struct scn_site *site = &s->site[i];
        snprintf(site->name, sizeof(site->name), "site%u", i + 1);
        site->count = chance(d, 50) ? 1 : between(d, 2, 4);
        site->rtt = between(d, 0, 4) * MS / 2;
        site->lan = chance(d, 75);
        if (!d->has[FEATURE_SHARED_LINES])
            continue;
        site->up = spread(d, 1, 40) * MBIT;
        site->down = spread(d, 2, 100) * MBIT;
    }
}

/* ---- who is there ---- */

static usec draw_rtt(struct draw *d)
{
    static const uint16_t near[] = {0, 1, 5, 20, 40}, far[] = {80, 150, 300, 600};
    return d->has[FEATURE_FAR] && chance(d, 70) ? far[rng_below(&d->rng, 4)] * MS
                                                : near[rng_below(&d->rng, 5)] * MS;
}

static void draw_rates(struct draw *d, struct scn_group *g)
{
    g->up = d->has[FEATURE_SLOW] && chance(d, 50) ? spread(d, 256, 2048) * KBIT
                                                  : spread(d, 2, 100) * MBIT;
    g->down = d->has[FEATURE_UNEQUAL] ? g->up * between(d, 1, 10) : g->up;
}

static struct scn_group *group_add(struct draw *d, const char *name, uint32_t count)
{
    struct scenario *s = d->s;
    assert(s->groups < SCN_GROUPS);
    struct scn_group *g = &s->group[s->groups++];
    snprintf(g->name, sizeof(g->name), "%s", name);
    g->count = count;
    g->site = NONE;
    g->rtt = draw_rtt(d);
    g->installed = 1;
    draw_rates(d, g);
    return g;
}

static void draw_verify(struct draw *d)
{
    d->verify = d->has[FEATURE_VERIFY] || d->has[FEATURE_VENDOR_GONE] ? between(d, 2, 4) : 1;
    struct scn_group *g = group_add(d, "verify", d->verify);
    g->verify = true;
    g->installed = 0;
    g->up = g->down = spread(d, 8, 200) * MBIT;
}

/* One group of honest devices of at most `room` nodes; exactly so many when it is the last. */
static uint32_t draw_devices(struct draw *d, uint32_t number, uint32_t room, bool last)
{
    struct scenario *s = d->s;
    char name[SCN_NAME + 1];
    snprintf(name, sizeof(name), "devices%u", number);
    struct scn_group *g = group_add(d, name, room);
    uint32_t places = 1;
    if (s->sites > 0 && chance(d, 75)) {
        g->site = rng_below(&d->rng, s->sites);
        places = s->site[g->site].count;
        if (places > room || (last && room % places != 0)) {
            g->site = NONE;
            places = 1;
        }
    }
    if (!last)
        room = between(d, places, room > places ? room : places);
    g->count = room / places;
    g->nat = d->has[FEATURE_NAT] && chance(d, 60);
    g->model = s->models > 1 ? rng_below(&d->rng, s->models) : 0;
    /* A line that is full of somebody else's datagrams leads nowhere, whatever a node does. */
    if (g->site != NONE && g->site == d->flooded && g->down < FLOODED_LEAST)
        g->down = FLOODED_LEAST;
    if (d->has[FEATURE_UNKNOWN] && chance(d, 50))
        g->installed = 0;
    if (d->has[FEATURE_LATE] && chance(d, 60))
        g->join = moment(d, 60 * SEC);
    return g->count * places;
}

/* Some of a group were changed after they were installed, or run the newest release already. */
static uint32_t draw_tampered(struct draw *d, uint32_t room)
{
    struct scenario *s = d->s;
    if (!d->has[FEATURE_TAMPERED] || room < 4)
        return 0;
    uint32_t count = between(d, 1, room / 4);
    struct scn_group *g = group_add(d, "tampered", count);
    g->model = s->models > 1 ? rng_below(&d->rng, s->models) : 0;
    g->tampered = chance(d, 75);
    for (uint32_t i = 0; i < s->releases; i++) {
        const struct scn_release *r = &s->release[i];
        bool early = s->keys.rotate_at == 0 || r->at < s->keys.rotate_at;
        if (r->model == g->model && !r->withdrawn && early && chance(d, 60))
            g->installed = r->sequence;
    }
    return count;
}

static bool lan_site(struct draw *d, uint32_t *site)
{
    for (uint32_t i = 0; i < d->s->sites; i++) {
        if (d->s->site[i].lan && d->s->site[i].count == 1) {
            *site = i;
            return true;
        }
    }
    return false;
}

/* A place's line that others fill with dials leads nowhere either. */
static void widen_lines(struct draw *d)
{
    for (uint32_t i = 0; i < d->s->sites; i++) {
        struct scn_site *site = &d->s->site[i];
        if (site->up > 0 && site->up < FLOODED_LEAST)
            site->up = FLOODED_LEAST;
        if (site->down > 0 && site->down < FLOODED_LEAST)
            site->down = FLOODED_LEAST;
    }
}

static uint32_t draw_hostile(struct draw *d, uint32_t room)
{
    uint32_t left = room / 5, kinds = between(d, 1, 3);
    if (!d->has[FEATURE_HOSTILE])
        return 0;
    bool drawn[BEHAVE_COUNT] = {false};
    for (uint32_t i = 0; i < kinds && left > 0; i++) {
        uint32_t b = between(d, BEHAVE_HONEST + 1, BEHAVE_COUNT - 1), site = NONE;
        if (drawn[b] || (b == BEHAVE_CAST_FLOOD && !lan_site(d, &site)) ||
            (b == BEHAVE_LYING_VERIFY && d->verify < 2))
            continue;
        drawn[b] = true;
        bool flood = b == BEHAVE_CAST_FLOOD || b == BEHAVE_LINK_FLOOD;
        uint32_t most = b == BEHAVE_LYING_VERIFY ? 1 : flood ? 2 : left;
        uint32_t count = between(d, 1, most < left ? most : left);
        struct scn_group *g = group_add(d, behaviour_name[b], count);
        g->behaviour = (enum behaviour)b;
        g->verify = b == BEHAVE_LYING_VERIFY;
        g->installed = g->verify ? 0 : 1;
        g->site = site;
        d->flooded = b == BEHAVE_CAST_FLOOD ? site : d->flooded;
        if (b == BEHAVE_LINK_FLOOD)
            widen_lines(d);
        g->model = d->s->models > 1 && !g->verify ? rng_below(&d->rng, d->s->models) : 0;
        left -= count;
        d->hostile += count;
    }
    return d->hostile;
}

static void draw_nodes(struct draw *d)
{
    draw_verify(d);
    uint32_t room = d->nodes > d->verify + 1 ? d->nodes - d->verify : 1;
    room -= draw_hostile(d, room);
    room -= draw_tampered(d, room);
    uint32_t kinds = between(d, 1, DEVICE_KINDS);
    for (uint32_t i = 1; i <= kinds && room > 0; i++)
        room -= draw_devices(d, i, room, i == kinds);
}

/* ---- what is published ---- */

static uint64_t draw_size(struct draw *d)
{
    uint64_t most = WORK_MOST / d->nodes;
    uint64_t size = spread(d, SIZE_LEAST, most < SIZE_MOST ? most : SIZE_MOST);
    if (chance(d, 50))
        return size / BLOCK_LEN * BLOCK_LEN;
    return size;
}

/* What comes between releases of one model may be withdrawn; the last one is what all end at. */
static void draw_releases(struct draw *d)
{
    struct scenario *s = d->s;
    s->models = d->has[FEATURE_MODELS] ? between(d, 2, 3) : 1;
    for (uint32_t m = 0; m < s->models; m++) {
        snprintf(s->model[m], sizeof(s->model[m]), "model%u", m + 1);
        uint32_t count = d->has[FEATURE_RELEASES] && s->releases < 3 ? between(d, 1, 3) : 1;
        uint64_t sequence = 1;
        usec at = chance(d, 50) ? 0 : moment(d, 5 * SEC);
        for (uint32_t i = 0; i < count; i++) {
            struct scn_release *r = &s->release[s->releases++];
            r->model = m;
            sequence += between(d, 1, 3);
            r->sequence = sequence;
            snprintf(r->version, sizeof(r->version), "%u.%u", (unsigned)sequence, i);
            r->size = draw_size(d);
            r->at = at;
            at += MS + (usec)spread(d, 100, 60000) * MS;
            if (i + 1 == count || !d->has[FEATURE_STOPS] || !chance(d, 60))
                continue;
            r->withdrawn = true;
            r->stop_at = r->at + (usec)spread(d, 100, 60000) * MS;
        }
    }
}

/* When the last release of the first model to have its last one is out. */
static usec last_of_all(const struct scenario *s)
{
    usec last[SCN_MODELS] = {0}, first = USEC_NEVER;
    for (uint32_t i = 0; i < s->releases; i++)
        if (s->release[i].at > last[s->release[i].model])
            last[s->release[i].model] = s->release[i].at;
    for (uint32_t m = 0; m < s->models; m++)
        first = last[m] < first ? last[m] : first;
    return first;
}

/* Several keys, of which too few are stolen, or a root with others.  What only the old
 * ones signed is worth nothing from then on, so something comes later. */
static void draw_keys(struct draw *d)
{
    struct scn_keys *k = &d->s->keys;
    if (!d->has[FEATURE_KEYS])
        return;
    k->count = between(d, 1, 4);
    k->threshold = between(d, 1, k->count);
    k->stolen = between(d, 0, k->threshold - 1);
    if (chance(d, 60))
        k->rotate_at = moment(d, last_of_all(d->s));
}

/* ---- what goes wrong ---- */

/* About how long a release takes to spread: faults are drawn into twice that. */
static void measure(struct draw *d)
{
    const struct scenario *s = d->s;
    uint64_t ups = 0, size = 0;
    uint64_t slowest = UINT64_MAX;
    usec last = 0;
    for (uint32_t i = 0; i < s->groups; i++) {
        ups += s->group[i].up * s->group[i].count;
        slowest = s->group[i].down < slowest ? s->group[i].down : slowest;
        last = s->group[i].join > last ? s->group[i].join : last;
    }
    for (uint32_t i = 0; i < s->releases; i++) {
        size = s->release[i].size > size ? s->release[i].size : size;
        last = s->release[i].at > last ? s->release[i].at : last;
    }
    uint64_t all = size * d->nodes * 1000 / ups * MS, one = size * 1000 / slowest * MS;
    d->chaos = last + 2 * (all + one) + CHAOS_LEAST;
    if (d->chaos > CHAOS_MOST)
        d->chaos = CHAOS_MOST;
}

static uint32_t draw_strength(struct draw *d, enum fault_kind kind)
{
    switch (kind) {
    case FAULT_LOSS:
        return (uint32_t)spread(d, 1, 250);
    case FAULT_BREAK:
        return (uint32_t)spread(d, 1, 30);
    case FAULT_SLOW:
        return (uint32_t)spread(d, 10, 500);
    case FAULT_CHURN:
        return (uint32_t)spread(d, 2, 60);
    case FAULT_DISK_ERROR:
        return (uint32_t)spread(d, 1, 500);
    case FAULT_BIT_ROT:
        return (uint32_t)spread(d, 1, 16);
    case FAULT_SLOW_DISK:
        return (uint32_t)spread(d, 2, 250);
    case FAULT_CLOCK:
        return between(d, 0, 1);
    case FAULT_LAN_LOSS:
        return between(d, 1, 10) * 100;
    case FAULT_CRASH:
    case FAULT_SITE_CRASH:
    case FAULT_PARTITION:
    case FAULT_ONE_WAY:
    case FAULT_STALL:
    case FAULT_DISK_FULL:
    case FAULT_GONE:
    case FAULT_COUNT:
        return 0;
    }
    return 0;
}

/* What would take the last copy is not drawn where the vendor leaves. */
static bool fault_fits(const struct draw *d, enum fault_kind kind)
{
    if (kind == FAULT_SITE_CRASH || kind == FAULT_LAN_LOSS)
        return d->s->sites > 0;
    if (kind == FAULT_BIT_ROT || kind == FAULT_GONE)
        return !d->has[FEATURE_VENDOR_GONE];
    return true;
}

static void draw_target(struct draw *d, struct scn_fault *f)
{
    const struct scenario *s = d->s;
    f->group = f->site = NONE;
    uint32_t devices = scenario_devices(s);
    if (f->kind == FAULT_SITE_CRASH || f->kind == FAULT_LAN_LOSS ||
        (s->sites > 0 && f->kind != FAULT_GONE && chance(d, 25))) {
        f->site = rng_below(&d->rng, s->sites);
        f->count = chance(d, 50) ? 0 : between(d, 1, s->site[f->site].count);
        return;
    }
    /* Who leaves for good, and whose copy rots, is no verify node: one of those may be the only
     * one that holds a release. */
    bool keep = f->kind == FAULT_GONE || f->kind == FAULT_BIT_ROT;
    uint32_t most = devices;
    if (!keep && chance(d, 50)) {
        f->group = rng_below(&d->rng, s->groups);
        most = s->group[f->group].count;
    }
    f->count = f->kind == FAULT_GONE ? (uint32_t)spread(d, 1, most > 8 ? most / 4 : 1)
               : chance(d, 20)       ? 0
                                     : (uint32_t)spread(d, 1, most > 1 ? most : 1);
}

static void draw_faults(struct draw *d)
{
    struct scenario *s = d->s;
    if (!d->has[FEATURE_FAULTS])
        return;
    enum fault_kind kind[FAULT_COUNT];
    uint32_t kinds = 0;
    for (uint32_t k = 0; k < FAULT_COUNT; k++)
        if (fault_fits(d, (enum fault_kind)k) && chance(d, 30))
            kind[kinds++] = (enum fault_kind)k;
    uint32_t count = (uint32_t)spread(d, 1, FAULTS_DRAWN);
    for (uint32_t i = 0; i < count && kinds > 0; i++) {
        struct scn_fault *f = &s->fault[s->faults++];
        f->number = s->faults;
        f->kind = kind[rng_below(&d->rng, kinds)];
        draw_target(d, f);
        f->at = moment(d, d->chaos);
        f->lasts = f->kind == FAULT_GONE ? 0 : (usec)spread(d, 200, 90000) * MS;
        f->strength = draw_strength(d, f->kind);
    }
}

void scenario_draw(struct scenario *s, uint64_t seed, uint32_t least, uint32_t most)
{
    assert(least >= 2 && least <= most);
    struct draw d = {.s = s, .flooded = NONE};
    uint8_t text[8];
    struct wr w = wr_of(text, sizeof(text));
    wr_u64(&w, seed);
    struct digest key;
    hash_domain(&key, "fwswarm-sim", wr_done(&w), bytes_str("scenario"));
    rng_init(&d.rng, key.b);
    memset(s, 0, sizeof(*s));
    s->seed = seed;
    for (uint32_t i = 0; i < FEATURE_COUNT; i++)
        d.has[i] = chance(&d, share[i]);
    d.nodes = between(&d, least, most);
    draw_releases(&d);
    draw_keys(&d);
    draw_sites(&d);
    draw_nodes(&d);
    s->vendor_gone = d.has[FEATURE_VENDOR_GONE];
    measure(&d);
    draw_faults(&d);
}
