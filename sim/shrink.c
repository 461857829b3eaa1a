/* Delta debugging of scenarios.
 *
 * A change is tried on a copy; the copy is kept when it can be run and fails alike.  Changes go
 * from coarse to fine: faults by halves, quarters and so on down to single ones, then groups,
 * releases and places, then counts and sizes by halves, then single features to their plainest
 * value.  After a round that gained anything comes another, since what could not be left out before
 * may be now.
 *
 * When who is there changes, the same seed means other keys and moments, and a failure that needs
 * luck is lost; so such changes are tried with a few seeds. */
#include "shrink.h"

#include <stdio.h>
#include <string.h>

#define SEEDS     4u /* tried for one change of who is there */
#define SIZE_LOW  16384u
#define PLAIN_UP  1250000u
#define PLAIN_RTT ((usec)20000)
#define SHORT     (SEC / 2)

struct state {
    struct shrink *k;
    struct scenario best;
    struct trial how;
};

static bool spent(const struct shrink *k)
{
    return k->runs >= k->runs_max || k->steps >= k->steps_max;
}

static bool fails(struct state *st, const struct scenario *s, struct trial_job *j)
{
    struct trial t;
    st->k->runs++;
    trial_once(j, st->k->run, s, st->k->timeout, &t);
    st->k->steps += t.steps > t.step ? t.steps : t.step;
    if (!trial_alike(&t, &st->how))
        return false;
    st->how = t;
    return true;
}

/* Keeps the candidate when it fails alike, with its own seed or one of the next. */
static bool try(struct state *st, struct trial_job *j, struct scenario *s, uint32_t seeds)
{
    char why[256];
    if (memcmp(s, &st->best, sizeof(*s)) == 0 || scenario_wrong(s, why, sizeof(why)))
        return false;
    for (uint32_t i = 0; i < seeds && !spent(st->k); i++) {
        if (fails(st, s, j)) {
            st->best = *s;
            st->k->taken++;
            return true;
        }
        s->seed++;
    }
    return false;
}

/* ---- faults ---- */

static void faults_without(struct scenario *s, const struct scenario *from, uint32_t first,
                           uint32_t count)
{
    *s = *from;
    memmove(&s->fault[first], &s->fault[first + count],
            (s->faults - first - count) * sizeof(s->fault[0]));
    s->faults -= count;
    memset(&s->fault[s->faults], 0, count * sizeof(s->fault[0]));
}

static bool fewer_faults(struct state *st, struct trial_job *j)
{
    bool any = false;
    struct scenario s;
    for (uint32_t part = st->best.faults; part > 0; part /= 2) {
        for (uint32_t at = 0; at < st->best.faults;) {
            uint32_t count = st->best.faults - at < part ? st->best.faults - at : part;
            faults_without(&s, &st->best, at, count);
            if (try(st, j, &s, 1))
                any = true;
            else
                at += count;
        }
    }
    return any;
}

/* ---- groups ---- */

/* Without a group, and without the faults that were for it. */
static void group_out(struct scenario *s, uint32_t g)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < s->faults; i++) {
        if (s->fault[i].group == g)
            continue;
        s->fault[kept] = s->fault[i];
        if (s->fault[kept].group != NONE && s->fault[kept].group > g)
            s->fault[kept].group--;
        kept++;
    }
    memset(&s->fault[kept], 0, (s->faults - kept) * sizeof(s->fault[0]));
    s->faults = kept;
    memmove(&s->group[g], &s->group[g + 1], (s->groups - g - 1) * sizeof(s->group[0]));
    s->groups--;
    memset(&s->group[s->groups], 0, sizeof(s->group[0]));
}

static bool fewer_groups(struct state *st, struct trial_job *j)
{
    bool any = false;
    for (uint32_t g = st->best.groups; g-- > 0;) {
        if (st->best.groups < 2)
            break;
        struct scenario s = st->best;
        group_out(&s, g);
        any = try(st, j, &s, SEEDS) || any;
    }
    return any;
}

static bool fewer_nodes(struct state *st, struct trial_job *j)
{
    bool any = false;
    for (uint32_t g = 0; g < st->best.groups; g++) {
        for (uint32_t less = st->best.group[g].count / 2; less > 0;) {
            struct scenario s = st->best;
            if (less >= s.group[g].count)
                less = s.group[g].count - 1;
            if (less == 0)
                break;
            s.group[g].count -= less;
            if (try(st, j, &s, SEEDS))
                any = true;
            else
                less /= 2;
        }
    }
    return any;
}

/* ---- places ---- */

static void site_out(struct scenario *s, uint32_t site)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < s->faults; i++) {
        if (s->fault[i].site == site)
            continue;
        s->fault[kept] = s->fault[i];
        if (s->fault[kept].site != NONE && s->fault[kept].site > site)
            s->fault[kept].site--;
        kept++;
    }
    memset(&s->fault[kept], 0, (s->faults - kept) * sizeof(s->fault[0]));
    s->faults = kept;
    for (uint32_t g = 0; g < s->groups; g++) {
        if (s->group[g].site == site)
            s->group[g].site = NONE;
        else if (s->group[g].site != NONE && s->group[g].site > site)
            s->group[g].site--;
    }
    memmove(&s->site[site], &s->site[site + 1], (s->sites - site - 1) * sizeof(s->site[0]));
    s->sites--;
    memset(&s->site[s->sites], 0, sizeof(s->site[0]));
}

static bool fewer_sites(struct state *st, struct trial_job *j)
{
    bool any = false;
    for (uint32_t i = st->best.sites; i-- > 0;) {
        struct scenario s = st->best;
        site_out(&s, i);
        if (try(st, j, &s, SEEDS)) {
            any = true;
            continue;
        }
        s = st->best;
        s.site[i].count = 1;
        any = try(st, j, &s, SEEDS) || any;
    }
    return any;
}

/* ---- releases ---- */

static void release_out(struct scenario *s, uint32_t r)
{
    memmove(&s->release[r], &s->release[r + 1], (s->releases - r - 1) * sizeof(s->release[0]));
    s->releases--;
    memset(&s->release[s->releases], 0, sizeof(s->release[0]));
}

/* Without a model and what is published for it; who has it goes too, or gets another one. */
static void model_out(struct scenario *s, uint32_t model, bool move)
{
    for (uint32_t g = s->groups; g-- > 0;) {
        if (s->group[g].verify || s->group[g].model != model)
            continue;
        if (move)
            s->group[g].model = model == 0 ? 1 : 0;
        else
            group_out(s, g);
    }
    for (uint32_t r = s->releases; r-- > 0;)
        if (s->release[r].model == model)
            release_out(s, r);
    for (uint32_t g = 0; g < s->groups; g++)
        if (s->group[g].model > model)
            s->group[g].model--;
    for (uint32_t r = 0; r < s->releases; r++)
        if (s->release[r].model > model)
            s->release[r].model--;
    memmove(s->model[model], s->model[model + 1], (s->models - model - 1) * sizeof(s->model[0]));
    s->models--;
    memset(s->model[s->models], 0, sizeof(s->model[0]));
}

static bool fewer_releases(struct state *st, struct trial_job *j)
{
    bool any = false;
    for (uint32_t m = st->best.models; m-- > 0 && st->best.models > 1;) {
        for (unsigned move = 0; move < 2; move++) {
            struct scenario s = st->best;
            model_out(&s, m, move == 1);
            if (!try(st, j, &s, SEEDS))
                continue;
            any = true;
            break;
        }
    }
    for (uint32_t r = st->best.releases; r-- > 0 && st->best.releases > 1;) {
        struct scenario s = st->best;
        release_out(&s, r);
        any = try(st, j, &s, SEEDS) || any;
    }
    return any;
}

static bool smaller_images(struct state *st, struct trial_job *j)
{
    bool any = false;
    for (uint32_t r = 0; r < st->best.releases; r++) {
        while (st->best.release[r].size > SIZE_LOW) {
            struct scenario s = st->best;
            s.release[r].size = SIZE_LOW;
            if (try(st, j, &s, 1)) {
                any = true;
                break;
            }
            s = st->best;
            s.release[r].size /= 2;
            if (s.release[r].size < SIZE_LOW || !try(st, j, &s, 1))
                break;
            any = true;
        }
    }
    return any;
}

/* ---- plain values ---- */

/* Each returns false when there is no such step; the last arguments say which of its kind. */
static bool plain_whole(struct scenario *s, uint32_t step)
{
    if (step == 0)
        s->vendor_gone = false;
    else if (step == 1)
        s->until = 0;
    return step < 2;
}

static bool plain_group(struct scenario *s, uint32_t g, uint32_t step)
{
    struct scn_group *p = &s->group[g];
    if (step == 0)
        p->nat = false;
    else if (step == 1)
        p->tampered = false;
    else if (step == 2)
        p->join = 0;
    else if (step == 3)
        p->behaviour = BEHAVE_HONEST;
    else if (step == 4)
        p->site = NONE;
    else if (step == 5)
        p->installed = p->verify ? 0 : 1;
    else if (step == 6)
        p->up = p->down = PLAIN_UP;
    else if (step == 7)
        p->rtt = PLAIN_RTT;
    return step < 8;
}

static bool plain_site(struct scenario *s, uint32_t i, uint32_t step)
{
    struct scn_site *p = &s->site[i];
    if (step == 0)
        p->lan = false;
    else if (step == 1)
        p->up = p->down = 0;
    else if (step == 2)
        p->rtt = SEC / 1000;
    return step < 3;
}

static bool plain_release(struct scenario *s, uint32_t r, uint32_t step)
{
    struct scn_release *p = &s->release[r];
    if (step == 0) {
        p->withdrawn = false;
        p->stop_at = 0;
    } else if (step == 1 && (r == 0 || s->release[r - 1].model != p->model)) {
        p->at = 0;
    }
    return step < 2;
}

static bool plain_fault(struct scenario *s, uint32_t f, uint32_t step)
{
    struct scn_fault *p = &s->fault[f];
    if (step == 0)
        p->count = 1;
    else if (step == 1)
        p->lasts = p->lasts == 0 || p->lasts > SHORT ? SHORT : p->lasts;
    else if (step == 2)
        p->at = p->at / SEC * SEC;
    else if (step == 3 && p->strength > 1)
        p->strength /= 2;
    return step < 4;
}

typedef bool plain(struct scenario *s, uint32_t which, uint32_t step);

static bool plain_each(struct state *st, struct trial_job *j, plain *change, uint32_t count)
{
    bool any = false;
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t step = 0;; step++) {
            struct scenario s = st->best;
            if (!change(&s, i, step))
                break;
            any = try(st, j, &s, 1) || any;
        }
    }
    return any;
}

static bool plainer(struct state *st, struct trial_job *j)
{
    bool any = false;
    for (uint32_t step = 0;; step++) {
        struct scenario s = st->best;
        if (!plain_whole(&s, step))
            break;
        any = try(st, j, &s, 1) || any;
    }
    any = plain_each(st, j, plain_release, st->best.releases) || any;
    any = plain_each(st, j, plain_group, st->best.groups) || any;
    any = plain_each(st, j, plain_site, st->best.sites) || any;
    return plain_each(st, j, plain_fault, st->best.faults) || any;
}

bool shrink_scenario(struct shrink *k, struct scenario *s, struct trial *how)
{
    struct trial_job job;
    static struct state st;
    memset(&st, 0, sizeof(st));
    st.k = k;
    st.best = *s;
    st.how = *how;
    k->runs = k->taken = 0;
    k->steps = 0;
    if (!trial_open(&job))
        return false;
    bool same = fails(&st, s, &job);
    for (bool any = same; any && !spent(k);) {
        any = fewer_faults(&st, &job);
        any = fewer_groups(&st, &job) || any;
        any = fewer_releases(&st, &job) || any;
        any = fewer_sites(&st, &job) || any;
        any = fewer_nodes(&st, &job) || any;
        any = smaller_images(&st, &job) || any;
        any = plainer(&st, &job) || any;
    }
    trial_close(&job);
    *s = st.best;
    *how = st.how;
    return same;
}
