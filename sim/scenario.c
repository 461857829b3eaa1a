/* Scenarios: what stands where nothing is said, and the judge.
 *
 * The judge looks at single values by the tables that the reader and the writer go by, then at what
 * the parts say of each other.  It says the first thing that is wrong. */
#include "scenario.h"

#include "scenario_table.h"

#include "units.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

const char *const behaviour_name[BEHAVE_COUNT] = {
    [BEHAVE_HONEST] = "honest",         [BEHAVE_GARBAGE] = "garbage",
    [BEHAVE_FALSE_HAVE] = "false-have", [BEHAVE_HIDER] = "hider",
    [BEHAVE_ENDLESS] = "endless",       [BEHAVE_SLOW_LORIS] = "slow-loris",
    [BEHAVE_LINK_FLOOD] = "link-flood", [BEHAVE_CAST_FLOOD] = "cast-flood",
    [BEHAVE_STALE] = "stale",           [BEHAVE_LYING_VERIFY] = "lying-verify",
    [BEHAVE_ECLIPSE] = "eclipse",       [BEHAVE_CLONES] = "clones",
    [BEHAVE_FORGER] = "forger",         [BEHAVE_ENDLESS_DATA] = "endless-data",
    [BEHAVE_MIXER] = "mixer",           [BEHAVE_WRONG_MODEL] = "wrong-model",
};

const char *const fault_name[FAULT_COUNT] = {
    [FAULT_CRASH] = "crash",
    [FAULT_SITE_CRASH] = "site-crash",
    [FAULT_PARTITION] = "partition",
    [FAULT_ONE_WAY] = "one-way",
    [FAULT_LOSS] = "loss",
    [FAULT_BREAK] = "break",
    [FAULT_SLOW] = "slow",
    [FAULT_STALL] = "stall",
    [FAULT_CHURN] = "churn",
    [FAULT_DISK_FULL] = "disk-full",
    [FAULT_DISK_ERROR] = "disk-error",
    [FAULT_BIT_ROT] = "bit-rot",
    [FAULT_SLOW_DISK] = "slow-disk",
    [FAULT_CLOCK] = "clock",
    [FAULT_LAN_LOSS] = "lan-loss",
    [FAULT_GONE] = "gone",
};

/* ---- the words ---- */

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

// clang-format off
#define AT(member) .at = offsetof(struct scn_site, member)
static const struct scn_field site_fields[] = {
    {"count", SCN_U32, AT(count), .min = 1, .max = SCN_NODES_MAX, .always = true},
    {"up", SCN_RATE, AT(up), .min = SCN_RATE_MIN, .max = SCN_RATE_MAX, .zero = true},
    {"down", SCN_RATE, AT(down), .min = SCN_RATE_MIN, .max = SCN_RATE_MAX, .zero = true},
    {"rtt", SCN_TIME, AT(rtt), .max = SCN_RTT_MAX},
    {"lan", SCN_FLAG, AT(lan)},
};
#undef AT
#define AT(member) .at = offsetof(struct scn_group, member)
static const struct scn_field group_fields[] = {
    {"count", SCN_U32, AT(count), .min = 1, .max = SCN_NODES_MAX, .always = true},
    {"up", SCN_RATE, AT(up), .min = SCN_RATE_MIN, .max = SCN_RATE_MAX, .always = true},
    {"down", SCN_RATE, AT(down), .min = SCN_RATE_MIN, .max = SCN_RATE_MAX, .always = true},
    {"rtt", SCN_TIME, AT(rtt), .max = SCN_RTT_MAX, .always = true},
    {"site", SCN_IN_SITE, AT(site)},
    {"nat", SCN_FLAG, AT(nat), .device = true},
    {"model", SCN_OF_MODEL, AT(model), .device = true},
    {"installed", SCN_U64, AT(installed), .max = UINT64_MAX, .device = true},
    {"tampered", SCN_FLAG, AT(tampered), .device = true},
    {"join", SCN_TIME, AT(join), .max = SCN_TIME_MAX},
};
#undef AT
#define AT(member) .at = offsetof(struct scn_release, member)
static const struct scn_field release_fields[] = {
    {"model", SCN_OF_MODEL, AT(model)},
    {"version", SCN_VERSION, AT(version), .always = true},
    {"sequence", SCN_U64, AT(sequence), .min = 1, .max = UINT64_MAX, .always = true},
    {"size", SCN_SIZE, AT(size), .min = 1, .max = IMAGE_SIZE_MAX, .always = true},
    {"at", SCN_TIME, AT(at), .max = SCN_TIME_MAX},
    {"stop-at", SCN_STOP, AT(stop_at), .max = SCN_TIME_MAX},
};
#undef AT
#define AT(member) .at = offsetof(struct scn_fault, member)
static const struct scn_field fault_fields[] = {
    {"at", SCN_TIME, AT(at), .max = SCN_TIME_MAX, .always = true},
    {"lasts", SCN_TIME, AT(lasts), .max = SCN_TIME_MAX},
    {"group", SCN_IN_GROUP, AT(group)},
    {"site", SCN_IN_SITE, AT(site)},
    {"count", SCN_U32, AT(count), .min = 1, .max = SCN_NODES_MAX, .zero = true},
    {"strength", SCN_STRENGTH, AT(strength), .always = true},
};
#undef AT
#define AT(member) .at = offsetof(struct scn_keys, member)
static const struct scn_field keys_fields[] = {
    {"count", SCN_U32, AT(count), .min = 1, .max = ROOT_KEYS_MAX, .zero = true},
    {"threshold", SCN_U32, AT(threshold), .min = 1, .max = ROOT_KEYS_MAX, .zero = true},
    {"stolen", SCN_U32, AT(stolen), .max = ROOT_KEYS_MAX},
    {"rotate-at", SCN_TIME, AT(rotate_at), .max = SCN_TIME_MAX},
};
#undef AT

const struct scn_line scn_line[SCN_THINGS] = {
    [SCN_SITE] = {site_fields, COUNT(site_fields), sizeof(struct scn_site)},
    [SCN_GROUP] = {group_fields, COUNT(group_fields), sizeof(struct scn_group)},
    [SCN_RELEASE] = {release_fields, COUNT(release_fields), sizeof(struct scn_release)},
    [SCN_FAULT] = {fault_fields, COUNT(fault_fields), sizeof(struct scn_fault)},
    [SCN_KEYS] = {keys_fields, COUNT(keys_fields), sizeof(struct scn_keys)},
};

const struct scn_strength_row scn_strength[FAULT_COUNT] = {
    [FAULT_LOSS] = {STRENGTH_SHARE, 1, 1000, 50},
    [FAULT_BREAK] = {STRENGTH_NUMBER, 1, 6000, 6},
    [FAULT_SLOW] = {STRENGTH_SHARE, 1, 999, 100},
    [FAULT_CHURN] = {STRENGTH_SECONDS, 1, 86400, 30},
    [FAULT_DISK_ERROR] = {STRENGTH_SHARE, 1, 1000, 10},
    [FAULT_BIT_ROT] = {STRENGTH_NUMBER, 1, 1000000, 1},
    [FAULT_SLOW_DISK] = {STRENGTH_NUMBER, 2, 1000000, 10},
    [FAULT_CLOCK] = {STRENGTH_CLOCK, 0, 1, 0},
    [FAULT_LAN_LOSS] = {STRENGTH_SHARE, 1, 1000, 500},
};
// clang-format on

static size_t place_of(enum scn_thing thing, uint32_t i)
{
    static const size_t first[SCN_THINGS] = {
        [SCN_SITE] = offsetof(struct scenario, site),
        [SCN_GROUP] = offsetof(struct scenario, group),
        [SCN_RELEASE] = offsetof(struct scenario, release),
        [SCN_FAULT] = offsetof(struct scenario, fault),
        [SCN_KEYS] = offsetof(struct scenario, keys),
    };
    assert(thing < SCN_THINGS);
    /* There is one set of keys, whatever number its line has. */
    return first[thing] + (thing == SCN_KEYS ? 0 : i) * scn_line[thing].size;
}

void *scn_at(struct scenario *s, enum scn_thing thing, uint32_t i)
{
    return (uint8_t *)s + place_of(thing, i);
}

const void *scn_at_const(const struct scenario *s, enum scn_thing thing, uint32_t i)
{
    return (const uint8_t *)s + place_of(thing, i);
}

/* ---- words that are like others ---- */

/* How many letters to change, add or drop until a is b. */
static size_t distance(const char *a, const char *b)
{
    size_t line[SCN_TEXT_MAX + 1], m = strlen(a), n = strlen(b);
    assert(m <= SCN_TEXT_MAX && n <= SCN_TEXT_MAX);
    for (size_t k = 0; k <= n; k++)
        line[k] = k;
    for (size_t i = 0; i < m; i++) {
        size_t corner = line[0];
        line[0] = i + 1;
        for (size_t k = 0; k < n; k++) {
            size_t best = corner + (a[i] == b[k] ? 0 : 1);
            if (line[k + 1] + 1 < best)
                best = line[k + 1] + 1;
            if (line[k] + 1 < best)
                best = line[k] + 1;
            corner = line[k + 1];
            line[k + 1] = best;
        }
    }
    return line[n];
}

const char *scn_nearest(const char *word, const char *const *words, size_t count)
{
    size_t n = strlen(word), least = n < 4 ? 1 : (n + 2) / 3;
    const char *nearest = NULL;
    for (size_t i = 0; i < count; i++) {
        size_t d = distance(word, words[i]);
        if (d < least || (d == least && nearest == NULL)) {
            nearest = words[i];
            least = d;
        }
    }
    return nearest;
}

/* ---- defaults ---- */

void scn_site_default(struct scn_site *site)
{
    memset(site, 0, sizeof(*site));
    site->count = 1;
    site->rtt = 1000;
}

void scn_group_default(struct scn_group *group, bool verify, enum behaviour behaviour)
{
    memset(group, 0, sizeof(*group));
    group->verify = verify;
    group->behaviour = behaviour;
    group->count = verify || behaviour != BEHAVE_HONEST ? 1 : 50;
    group->up = verify ? 12500000 : 1250000;
    group->down = verify ? 12500000 : 6250000;
    group->rtt = 20000;
    group->site = NONE;
    group->installed = verify ? 0 : 1;
}

void scn_release_default(struct scn_release *release)
{
    memset(release, 0, sizeof(*release));
    memcpy(release->version, "2.0", 4);
    release->sequence = 2;
    release->size = 16u << 20;
}

void scn_fault_default(struct scn_fault *fault, enum fault_kind kind)
{
    memset(fault, 0, sizeof(*fault));
    fault->kind = kind;
    fault->at = 10 * SEC;
    fault->lasts = kind == FAULT_GONE ? 0 : 30 * SEC;
    fault->strength = scn_strength[kind].fallback;
    fault->group = NONE;
    fault->site = NONE;
}

void scenario_default(struct scenario *s)
{
    memset(s, 0, sizeof(*s));
    s->seed = 1;
    s->groups = 2;
    scn_group_default(&s->group[0], true, BEHAVE_HONEST);
    memcpy(s->group[0].name, "origin", 7);
    scn_group_default(&s->group[1], false, BEHAVE_HONEST);
    memcpy(s->group[1].name, "devices", 8);
    s->models = 1;
    memcpy(s->model[0], "sim", 4);
    s->releases = 1;
    scn_release_default(&s->release[0]);
}

/* ---- how many ---- */

static uint64_t nodes_of(const struct scenario *s, const struct scn_group *g)
{
    uint64_t places = g->site != NONE && g->site < s->sites ? s->site[g->site].count : 1;
    return places * g->count;
}

static uint32_t capped(uint64_t count)
{
    return count < UINT32_MAX ? (uint32_t)count : UINT32_MAX;
}

uint32_t scenario_nodes(const struct scenario *s)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < s->groups; i++)
        count += nodes_of(s, &s->group[i]);
    return capped(count);
}

static uint32_t honest(const struct scenario *s, bool verify)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < s->groups; i++)
        if (s->group[i].behaviour == BEHAVE_HONEST && s->group[i].verify == verify)
            count += nodes_of(s, &s->group[i]);
    return capped(count);
}

uint32_t scenario_devices(const struct scenario *s)
{
    return honest(s, false);
}

uint32_t scenario_verify(const struct scenario *s)
{
    return honest(s, true);
}

/* ---- the judge ---- */

const char *scn_number_text(char out[CONF_NUMBER_TEXT], enum scn_kind kind, uint64_t v)
{
    if (kind == SCN_RATE)
        return conf_print_rate(out, v);
    if (kind == SCN_SIZE)
        return conf_print_size(out, v);
    if (kind == SCN_TIME || kind == SCN_STOP)
        return conf_print_duration(out, v);
    (void)snprintf(out, CONF_NUMBER_TEXT, "%" PRIu64, v);
    return out;
}

const char *scn_strength_text(char out[CONF_NUMBER_TEXT], enum scn_strength kind, uint32_t v)
{
    if (kind == STRENGTH_SHARE)
        return units_print_share(out, v);
    if (kind == STRENGTH_SECONDS)
        return conf_print_duration(out, v * SEC);
    if (kind == STRENGTH_CLOCK && v < 2)
        (void)snprintf(out, CONF_NUMBER_TEXT, "%s", v == 0 ? "1970" : "ahead");
    else
        (void)snprintf(out, CONF_NUMBER_TEXT, "%u", v);
    return out;
}

bool scn_in_range(const struct scn_field *f, uint64_t v)
{
    return (v >= f->min && v <= f->max) || (v == 0 && f->zero);
}

void scn_range_text(char *out, size_t cap, const struct scn_field *f, const char *value)
{
    char low[CONF_NUMBER_TEXT], high[CONF_NUMBER_TEXT];
    (void)snprintf(out, cap, "%s=%s is out of range; write %s to %s%s", f->key, value,
                   scn_number_text(low, f->kind, f->min), scn_number_text(high, f->kind, f->max),
                   f->zero ? ", or 0" : "");
}

struct judge {
    const struct scenario *s;
    struct scn_culprit *who;
    char *why;
    size_t cap;
};

__attribute__((format(printf, 4, 5))) static bool blame(struct judge *j, enum scn_thing thing,
                                                        uint32_t i, const char *fmt, ...)
{
    *j->who = (struct scn_culprit){thing, i};
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(j->why, j->cap, fmt, ap);
    va_end(ap);
    return true;
}

/* A name of a thing for complaints that no line number stands before. */
static const char *name_of(const struct scenario *s, enum scn_thing thing, uint32_t i,
                           char out[SCN_TEXT_MAX + 20])
{
    const char *word = "", *name = "";
    if (thing == SCN_SITE) {
        word = "site";
        name = s->site[i].name;
    } else if (thing == SCN_GROUP) {
        word = "group";
        name = s->group[i].name;
    } else if (thing == SCN_RELEASE) {
        word = "release";
        name = s->release[i].version;
    }
    if (thing == SCN_KEYS)
        (void)snprintf(out, SCN_TEXT_MAX + 20, "keys");
    else if (thing == SCN_FAULT)
        (void)snprintf(out, SCN_TEXT_MAX + 20, "fault %u", s->fault[i].number);
    else
        (void)snprintf(out, SCN_TEXT_MAX + 20, "%s %s", word, name);
    return out;
}

/* Single numbers, by the tables. */
static bool wrong_numbers(struct judge *j, enum scn_thing thing, uint32_t i)
{
    const uint8_t *at = scn_at_const(j->s, thing, i);
    for (size_t k = 0; k < scn_line[thing].count; k++) {
        const struct scn_field *f = &scn_line[thing].field[k];
        uint64_t v = 0;
        uint32_t small = 0;
        if (f->kind == SCN_U32) {
            memcpy(&small, at + f->at, sizeof(small));
            v = small;
        } else if (f->kind == SCN_U64 || f->kind == SCN_RATE || f->kind == SCN_SIZE ||
                   f->kind == SCN_TIME || f->kind == SCN_STOP) {
            memcpy(&v, at + f->at, sizeof(v));
        } else {
            continue;
        }
        if (scn_in_range(f, v))
            continue;
        char value[CONF_NUMBER_TEXT], name[SCN_TEXT_MAX + 20], text[200];
        scn_range_text(text, sizeof(text), f, scn_number_text(value, f->kind, v));
        return blame(j, thing, i, "%s: %s", name_of(j->s, thing, i, name), text);
    }
    return false;
}

#define NAME_MEND "write 1 to 31 of A-Z a-z 0-9 . _ + ~ -"

static bool wrong_sites(struct judge *j)
{
    const struct scenario *s = j->s;
    for (uint32_t i = 0; i < s->sites; i++) {
        const struct scn_site *site = &s->site[i];
        if (!release_name_valid(site->name, SCN_NAME))
            return blame(j, SCN_SITE, i, "\"%s\" is no name for a site; " NAME_MEND, site->name);
        for (uint32_t k = 0; k < i; k++)
            if (strcmp(s->site[k].name, site->name) == 0)
                return blame(j, SCN_SITE, i, "there is a site %s already; give each its own name",
                             site->name);
        if (wrong_numbers(j, SCN_SITE, i))
            return true;
    }
    return false;
}

static bool wrong_verify(struct judge *j, uint32_t i)
{
    const struct scn_group *g = &j->s->group[i];
    if (g->nat || g->model != 0 || g->installed != 0 || g->tampered)
        return blame(j, SCN_GROUP, i,
                     "group %s: verify nodes run no release and are reached by all; leave out nat, "
                     "model, installed and tampered",
                     g->name);
    return false;
}

static bool wrong_group(struct judge *j, uint32_t i)
{
    const struct scenario *s = j->s;
    const struct scn_group *g = &s->group[i];
    if (!release_name_valid(g->name, SCN_NAME))
        return blame(j, SCN_GROUP, i, "\"%s\" is no name for a group; " NAME_MEND, g->name);
    for (uint32_t k = 0; k < i; k++)
        if (strcmp(s->group[k].name, g->name) == 0)
            return blame(j, SCN_GROUP, i, "there is a group %s already; give each its own name",
                         g->name);
    if ((uint32_t)g->behaviour >= BEHAVE_COUNT)
        return blame(j, SCN_GROUP, i, "group %s: behaviour %u is none that is known", g->name,
                     (uint32_t)g->behaviour);
    if (g->site != NONE && g->site >= s->sites)
        return blame(j, SCN_GROUP, i, "group %s: site %u is not there", g->name, g->site);
    if (g->model >= s->models)
        return blame(j, SCN_GROUP, i, "group %s: model %u is not there", g->name, g->model);
    if (g->behaviour == BEHAVE_LYING_VERIFY && !g->verify)
        return blame(j, SCN_GROUP, i, "group %s: only a verify node can be a lying-verify",
                     g->name);
    if (g->verify && wrong_verify(j, i))
        return true;
    if (g->tampered && g->installed == 0)
        return blame(j, SCN_GROUP, i,
                     "group %s: tampered needs installed=N, the sequence that it claims to run",
                     g->name);
    return wrong_numbers(j, SCN_GROUP, i);
}

static bool wrong_counts(struct judge *j)
{
    const struct scenario *s = j->s;
    if (scenario_devices(s) == 0)
        return blame(j, SCN_THINGS, 0, "no devices; add a line such as: peers NAME count=50");
    if (scenario_verify(s) == 0)
        return blame(j, SCN_THINGS, 0,
                     "no honest verify node, which releases are published to; add a line such as: "
                     "verify NAME");
    uint64_t nodes = 0, verify = 0;
    for (uint32_t i = 0; i < s->groups; i++) {
        nodes += nodes_of(s, &s->group[i]);
        if (s->group[i].verify)
            verify += nodes_of(s, &s->group[i]);
        if (verify > ROOT_VERIFY_MAX)
            return blame(j, SCN_GROUP, i,
                         "%" PRIu64 " verify nodes; a root lists at most %u, lower count=", verify,
                         ROOT_VERIFY_MAX);
        if (nodes > SCN_NODES_MAX)
            return blame(j, SCN_GROUP, i,
                         "%" PRIu64 " nodes, counting each place of a site; addresses end at %u, "
                         "lower count=",
                         nodes, SCN_NODES_MAX);
    }
    return false;
}

static bool wrong_models(struct judge *j)
{
    const struct scenario *s = j->s;
    if (s->models == 0)
        return blame(j, SCN_THINGS, 0, "no model; add a line such as: model NAME");
    for (uint32_t i = 0; i < s->models; i++) {
        if (!release_name_valid(s->model[i], MODEL_MAX))
            return blame(j, SCN_THINGS, 0,
                         "\"%s\" is no name for a model; write 1 to 64 of A-Z a-z 0-9 . _ + ~ -",
                         s->model[i]);
        for (uint32_t k = 0; k < i; k++)
            if (strcmp(s->model[k], s->model[i]) == 0)
                return blame(j, SCN_THINGS, 0, "model %s is there twice; name it once",
                             s->model[i]);
    }
    return false;
}

static bool wrong_release(struct judge *j, uint32_t i)
{
    const struct scenario *s = j->s;
    const struct scn_release *r = &s->release[i];
    if (r->model >= s->models)
        return blame(j, SCN_RELEASE, i, "release %s: model %u is not there", r->version, r->model);
    if (!release_name_valid(r->version, VERSION_MAX))
        return blame(j, SCN_RELEASE, i,
                     "\"%s\" is no version; write 1 to 64 of A-Z a-z 0-9 . _ + ~ -", r->version);
    if (wrong_numbers(j, SCN_RELEASE, i))
        return true;
    char size[CONF_NUMBER_TEXT], most[CONF_NUMBER_TEXT];
    uint64_t cap = (uint64_t)limits_device.chunks * CHUNK_BLOCKS * BLOCK_LEN;
    if (r->size > cap)
        return blame(j, SCN_RELEASE, i,
                     "release %s: size=%s is more than a device takes; write at "
                     "most %s",
                     r->version, conf_print_size(size, r->size), conf_print_size(most, cap));
    if (r->withdrawn ? r->stop_at <= r->at : r->stop_at != 0)
        return blame(j, SCN_RELEASE, i, "release %s: stop-at must lie after at", r->version);
    for (uint32_t k = 0; k < i; k++) {
        const struct scn_release *other = &s->release[k];
        if (other->model != r->model)
            continue;
        if (other->sequence == r->sequence)
            return blame(j, SCN_RELEASE, i,
                         "release %s: sequence=%" PRIu64 " is that of %s; give each its own",
                         r->version, r->sequence, other->version);
        if (strcmp(other->version, r->version) == 0)
            return blame(j, SCN_RELEASE, i,
                         "release %s: there is a version %s of that model already; give each its "
                         "own",
                         r->version, r->version);
    }
    return false;
}

static bool wrong_keys(struct judge *j)
{
    const struct scn_keys *k = &j->s->keys;
    uint32_t count = k->count > 0 ? k->count : 1, threshold = k->threshold > 0 ? k->threshold : 1;
    if (wrong_numbers(j, SCN_KEYS, 0))
        return true;
    if (threshold > count || k->stolen > count)
        return blame(j, SCN_KEYS, 0,
                     "keys: there are %u; lower threshold= and stolen= to that, or "
                     "raise count=",
                     count);
    return false;
}

/* How many a fault's count may choose from. */
static uint64_t targets_of(const struct scenario *s, const struct scn_fault *f)
{
    if (f->group != NONE)
        return nodes_of(s, &s->group[f->group]);
    if (f->site == NONE)
        return scenario_devices(s);
    uint64_t places = s->site[f->site].count, nodes = 0;
    for (uint32_t i = 0; i < s->groups; i++)
        if (s->group[i].site == f->site)
            nodes += nodes_of(s, &s->group[i]);
    return f->kind == FAULT_SITE_CRASH || nodes < places ? places : nodes;
}

static bool wrong_strength(struct judge *j, uint32_t i)
{
    const struct scn_fault *f = &j->s->fault[i];
    const struct scn_strength_row *row = &scn_strength[f->kind];
    char value[CONF_NUMBER_TEXT], low[CONF_NUMBER_TEXT], high[CONF_NUMBER_TEXT];
    if (f->strength >= row->min && f->strength <= row->max)
        return false;
    scn_strength_text(value, row->kind, f->strength);
    if (row->kind == STRENGTH_NONE)
        return blame(j, SCN_FAULT, i, "fault %u: %s has no strength; leave it out", f->number,
                     fault_name[f->kind]);
    if (row->kind == STRENGTH_CLOCK)
        return blame(j, SCN_FAULT, i, "fault %u: strength=%s: write 1970 or ahead", f->number,
                     value);
    return blame(j, SCN_FAULT, i, "fault %u: strength=%s is out of range; write %s to %s",
                 f->number, value, scn_strength_text(low, row->kind, row->min),
                 scn_strength_text(high, row->kind, row->max));
}

static bool wrong_fault(struct judge *j, uint32_t i)
{
    const struct scenario *s = j->s;
    const struct scn_fault *f = &s->fault[i];
    if (f->number == 0)
        return blame(j, SCN_FAULT, i, "fault 0: numbers count from 1");
    for (uint32_t k = 0; k < i; k++)
        if (s->fault[k].number == f->number)
            return blame(j, SCN_FAULT, i, "there is a fault %u already; give each its own number",
                         f->number);
    if ((uint32_t)f->kind >= FAULT_COUNT)
        return blame(j, SCN_FAULT, i, "fault %u: kind %u is none that is known", f->number,
                     (uint32_t)f->kind);
    if ((f->group != NONE && f->group >= s->groups) || (f->site != NONE && f->site >= s->sites))
        return blame(j, SCN_FAULT, i, "fault %u: its target is not there", f->number);
    if (f->group != NONE && f->site != NONE)
        return blame(j, SCN_FAULT, i, "fault %u: give group= or site=, not both", f->number);
    if (f->kind == FAULT_SITE_CRASH && f->site == NONE)
        return blame(j, SCN_FAULT, i, "fault %u: site-crash needs site=NAME", f->number);
    if (f->kind == FAULT_GONE && f->lasts != 0)
        return blame(j, SCN_FAULT, i,
                     "fault %u: who is gone does not come back; leave out lasts=", f->number);
    if (wrong_strength(j, i) || wrong_numbers(j, SCN_FAULT, i))
        return true;
    uint64_t most = targets_of(s, f);
    if (f->count > most)
        return blame(j, SCN_FAULT, i,
                     "fault %u: count=%u, and there are %" PRIu64 "; lower it, or leave it out for "
                     "all",
                     f->number, f->count, most);
    return false;
}

bool scn_judge(const struct scenario *s, struct scn_culprit *who, char *why, size_t cap)
{
    struct judge j = {s, who, why, cap};
    assert(s->sites <= SCN_SITES && s->groups <= SCN_GROUPS && s->models <= SCN_MODELS);
    assert(s->releases <= SCN_RELEASES && s->faults <= SCN_FAULTS);
    if (wrong_sites(&j) || wrong_models(&j))
        return true;
    for (uint32_t i = 0; i < s->groups; i++)
        if (wrong_group(&j, i))
            return true;
    if (wrong_counts(&j))
        return true;
    if (wrong_keys(&j))
        return true;
    if (s->releases == 0)
        return blame(&j, SCN_THINGS, 0, "no release; add a line such as: release size=16MiB");
    for (uint32_t i = 0; i < s->releases; i++)
        if (wrong_release(&j, i))
            return true;
    for (uint32_t i = 0; i < s->faults; i++)
        if (wrong_fault(&j, i))
            return true;
    if (s->until > SCN_TIME_MAX)
        return blame(&j, SCN_THINGS, 0, "until is out of range; write at most 365d");
    return false;
}

bool scenario_wrong(const struct scenario *s, char *why, size_t cap)
{
    struct scn_culprit who;
    return scn_judge(s, &who, why, cap);
}
