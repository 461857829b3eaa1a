/* The plan of the faults, and each kind's doing.
 *
 * A fault is scheduled by its beginning and its end; some kinds schedule more in between.  What a
 * TICK_FAULT means is packed into one number: the fault's place, what is to be done, and to which
 * of its targets.
 *
 * Several faults may strike one node at once.  Those that take power hold it by a bit of its word
 * `down`, and the node boots when the last of them lets go; those of disks leave a bit in `ill`,
 * from which the disk's state follows; those of the way are weather.c's.
 *
 * Draws are made whether or not the target is there to be struck, so that what one fault draws does
 * not depend on what others did to its targets. */
#include "fault.h"

#include "disk.h"
#include "fleet.h"
#include "net.h"
#include "verdict.h"
#include "weather.h"

#include <assert.h>
#include <stdlib.h>

#define AFTER      (SEC / 10) /* all are up by then */
#define BACK_MIN   (1 * SEC)
#define BACK_MAX   (5 * SEC)
#define AWAY_MIN   (1 * SEC)
#define GOODBYE_US (SEC / 2) /* from saying goodbye to losing power */
#define CLOCK_DOWN (1 * SEC) /* a clock shows at a boot */
#define ROT_AGAIN  (1 * SEC) /* looks again for something that can rot */
#define YEAR       (365 * 24 * 3600 * SEC)
#define CLOCK_FAR  ((usec)1 << 62)

enum doing {
    DO_BEGIN,
    DO_END,
    DO_OFF,   /* target: power goes */
    DO_ON,    /* target: and is back */
    DO_LEAVE, /* target: churn */
    DO_BREAK, /* one link of one target */
    DO_ROT,   /* target */
};

#define PLACE_BITS 6u
#define DOING_BITS 4u

static uint32_t pack(uint32_t place, enum doing doing, uint32_t target)
{
    assert(target < 1u << (32 - PLACE_BITS - DOING_BITS));
    return target << (PLACE_BITS + DOING_BITS) | (uint32_t)doing << PLACE_BITS | place;
}

/* By node. */
struct chaos {
    uint64_t *down; /* faults that keep it without power */
    uint64_t *ill;  /* faults of its disk */
    uint64_t *odd;  /* faults of its clock */
    bool *due;      /* it would boot if it were not for them */
};

static uint64_t bit_of(uint32_t place)
{
    return (uint64_t)1 << place;
}

/* Uniform in [low, high]. */
static usec draw(struct rng *r, usec low, usec high)
{
    return low + (high > low ? rng_u64(r) % (high - low + 1) : 0);
}

static void later(struct world *w, usec at, uint32_t place, enum doing doing, uint32_t target)
{
    world_schedule(w, at, TICK_FAULT, pack(place, doing, target), 0, 0);
}

/* ---- power ---- */

/* Whether a commit under way was in time is a coin's decision. */
static void power_off(struct world *w, uint32_t place, uint32_t node)
{
    struct fault *f = &w->fault[place];
    struct chaos *c = w->chaos;
    bool in_time = rng_below(&f->rng, 2) == 0;
    if (w->node[node].gone)
        return;
    c->down[node] |= bit_of(place);
    if (w->node[node].core == NULL)
        return;
    f->struck++;
    c->due[node] = true;
    if (in_time)
        disk_settle(w, node);
    world_crash(w, node);
}

static void power_on(struct world *w, uint32_t place, uint32_t node)
{
    struct chaos *c = w->chaos;
    c->down[node] &= ~bit_of(place);
    if (c->down[node] != 0 || !c->due[node] || w->node[node].gone)
        return;
    c->due[node] = false;
    world_schedule(w, w->now, TICK_BOOT, node, 0, 0);
}

/* Nothing in a node reads a wall clock.  What a wrong one could reach is where a host begins to
 * count `now`, which is its choice at each boot: 1970 counts from zero, a year ahead from a number
 * that is large. */
static void clock_set(struct world *w, uint32_t node)
{
    struct sim_node *n = &w->node[node];
    uint64_t odd = w->chaos->odd[node];
    n->clock = 0;
    for (uint32_t i = 0; odd != 0; i++, odd >>= 1) {
        if ((odd & 1) != 0)
            n->clock = w->fault[i].scn->strength == 0 ? 0 - w->now : CLOCK_FAR + YEAR;
    }
}

bool fault_lets_boot(struct world *w, uint32_t node)
{
    if (w->chaos->down[node] != 0) {
        w->chaos->due[node] = true;
        return false;
    }
    clock_set(w, node);
    return true;
}

static void clock_begin(struct world *w, uint32_t place, uint32_t node)
{
    w->chaos->odd[node] |= bit_of(place);
    power_off(w, place, node);
    later(w, w->now + CLOCK_DOWN, place, DO_ON, node);
}

/* ---- disks ---- */

static void disk_again(struct world *w, uint32_t node)
{
    bool full = false;
    uint32_t errors = 0, slow = 1;
    struct rng *rng = NULL;
    uint64_t ill = w->chaos->ill[node];
    for (uint32_t i = 0; ill != 0; i++, ill >>= 1) {
        if ((ill & 1) == 0)
            continue;
        struct fault *f = &w->fault[i];
        full = full || f->kind == FAULT_DISK_FULL;
        if (f->kind == FAULT_SLOW_DISK && f->scn->strength > slow)
            slow = f->scn->strength;
        if (f->kind == FAULT_DISK_ERROR && f->scn->strength > errors) {
            errors = f->scn->strength;
            rng = &f->rng;
        }
    }
    disk_ail(&w->node[node].disk, full, errors, rng, slow);
}

static void disk_begin(struct world *w, uint32_t place, uint32_t node)
{
    w->chaos->ill[node] |= bit_of(place);
    w->fault[place].struck++;
    disk_again(w, node);
}

/* Rots what is there, and comes again for the rest. */
static void rot(struct world *w, uint32_t place, uint32_t target)
{
    struct fault *f = &w->fault[place];
    uint32_t node = f->target[target];
    struct sim_node *n = &w->node[node];
    if (!f->on || n->gone)
        return;
    uint32_t done = disk_rot(w, node, f->left[target], &f->rng);
    f->left[target] -= done;
    f->struck += done;
    if (done > 0 && !n->rotten) {
        n->rotten = true;
        verdict_left(w);
    }
    if (f->left[target] > 0 && w->now + ROT_AGAIN < f->ends)
        later(w, w->now + ROT_AGAIN, place, DO_ROT, target);
}

/* ---- links ---- */

static void break_later(struct world *w, uint32_t place)
{
    struct fault *f = &w->fault[place];
    uint64_t a_minute = (uint64_t)f->scn->strength * f->targets;
    usec mean = a_minute > 0 ? 60 * SEC / a_minute : 60 * SEC;
    usec at = w->now + draw(&f->rng, 1, 2 * mean);
    if (at < f->ends)
        later(w, at, place, DO_BREAK, 0);
}

static void break_one(struct world *w, uint32_t place)
{
    struct fault *f = &w->fault[place];
    uint32_t node = f->target[rng_below(&f->rng, f->targets)];
    uint32_t which = rng_u32(&f->rng);
    if (net_cut(w, node, which))
        f->struck++;
    break_later(w, place);
}

/* ---- churn ---- */

static void leave_later(struct world *w, uint32_t place, uint32_t target, usec from)
{
    struct fault *f = &w->fault[place];
    usec at = from + draw(&f->rng, 1, 2 * (usec)f->scn->strength * SEC);
    if (at < f->ends)
        later(w, at, place, DO_LEAVE, target);
}

/* Half of the time it says goodbye first. */
static void leave(struct world *w, uint32_t place, uint32_t target)
{
    struct fault *f = &w->fault[place];
    uint32_t node = f->target[target];
    const struct sim_node *n = &w->node[node];
    bool goodbye = rng_below(&f->rng, 2) == 0;
    usec back = w->now + GOODBYE_US + draw(&f->rng, AWAY_MIN, AWAY_MIN + f->scn->strength * SEC);
    if (goodbye && n->core != NULL && n->ready) {
        struct event ev = {.type = EV_ORDER};
        ev.order.what = ORDER_STOP;
        world_give(w, node, &ev);
        world_drain(w, node);
    }
    later(w, goodbye ? w->now + GOODBYE_US : w->now, place, DO_OFF, target);
    later(w, back, place, DO_ON, node);
    leave_later(w, place, target, back);
}

/* ---- beginning and end ---- */

static void begin_one(struct world *w, uint32_t place, uint32_t target)
{
    struct fault *f = &w->fault[place];
    uint32_t node = f->target[target];
    switch (f->kind) {
    case FAULT_CRASH:
    case FAULT_SITE_CRASH:
        power_off(w, place, node);
        return;
    case FAULT_PARTITION:
    case FAULT_ONE_WAY:
    case FAULT_LOSS:
    case FAULT_LAN_LOSS:
    case FAULT_SLOW:
    case FAULT_STALL:
        weather_strike(w, place, node);
        f->struck++;
        return;
    case FAULT_CHURN:
        leave_later(w, place, target, w->now);
        return;
    case FAULT_DISK_FULL:
    case FAULT_DISK_ERROR:
    case FAULT_SLOW_DISK:
        disk_begin(w, place, node);
        return;
    case FAULT_BIT_ROT:
        rot(w, place, target);
        return;
    case FAULT_CLOCK:
        clock_begin(w, place, node);
        return;
    case FAULT_GONE:
        f->struck += !w->node[node].gone;
        world_leave(w, node);
        return;
    case FAULT_BREAK:
    case FAULT_COUNT:
        return;
    }
}

static bool is_weather(enum fault_kind kind)
{
    return kind == FAULT_PARTITION || kind == FAULT_ONE_WAY || kind == FAULT_LOSS ||
           kind == FAULT_LAN_LOSS || kind == FAULT_SLOW || kind == FAULT_STALL;
}

static void begin(struct world *w, uint32_t place)
{
    struct fault *f = &w->fault[place];
    f->on = true;
    if (is_weather(f->kind))
        weather_begin(w, place, f->kind, f->scn->strength, &f->rng);
    for (uint32_t i = 0; i < f->targets; i++)
        begin_one(w, place, i);
    if (f->kind == FAULT_BREAK && f->targets > 0)
        break_later(w, place);
}

static void end(struct world *w, uint32_t place)
{
    struct fault *f = &w->fault[place];
    f->on = false;
    if (is_weather(f->kind)) {
        weather_end(w, place);
        return;
    }
    for (uint32_t i = 0; i < f->targets; i++) {
        uint32_t node = f->target[i];
        w->chaos->odd[node] &= ~bit_of(place);
        if (w->chaos->ill[node] & bit_of(place)) {
            w->chaos->ill[node] &= ~bit_of(place);
            disk_again(w, node);
        }
        if (f->kind != FAULT_CHURN)
            power_on(w, place, node);
    }
}

void fault_strike(struct world *w, uint32_t what)
{
    uint32_t place = what & ((1u << PLACE_BITS) - 1), target = what >> (PLACE_BITS + DOING_BITS);
    struct fault *f = &w->fault[place];
    switch ((enum doing)(what >> PLACE_BITS & ((1u << DOING_BITS) - 1))) {
    case DO_BEGIN:
        begin(w, place);
        return;
    case DO_END:
        end(w, place);
        return;
    case DO_OFF:
        power_off(w, place, f->target[target]);
        return;
    case DO_ON:
        power_on(w, place, target);
        return;
    case DO_LEAVE:
        leave(w, place, target);
        return;
    case DO_BREAK:
        if (f->on)
            break_one(w, place);
        return;
    case DO_ROT:
        rot(w, place, target);
        return;
    }
}

void fault_left(struct world *w, uint32_t node)
{
    w->chaos->due[node] = false;
    verdict_left(w);
}

void fault_shunned(struct world *w, uint32_t node)
{
    w->node[node].shunned = true;
    verdict_left(w);
}

bool fault_excused(const struct world *w, uint32_t node)
{
    const struct sim_node *n = &w->node[node];
    return n->gone || n->shunned || verdict_lost(w, node);
}

uint32_t fault_lacking(const struct world *w, bool excused)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < w->count; i++)
        count += node_counts(&w->node[i]) && w->node[i].held_at == USEC_NEVER &&
                 fault_excused(w, i) == excused;
    return count;
}

/* ---- the plan ---- */

/* Fills list with those who may be struck: nodes, or places for a fault of places. */
static uint32_t candidates(const struct world *w, const struct scn_fault *f, uint32_t *list)
{
    uint32_t count = 0;
    if (f->kind == FAULT_SITE_CRASH) {
        for (uint32_t i = 0; i < w->places; i++)
            if (f->site == NONE || w->place[i].site == f->site)
                list[count++] = i;
        return count;
    }
    for (uint32_t i = 0; i < w->count; i++) {
        const struct sim_node *n = &w->node[i];
        if (f->group != NONE  ? n->group == f->group
            : f->site != NONE ? n->place != NONE && w->place[n->place].site == f->site
                              : node_counts(n))
            list[count++] = i;
    }
    return count;
}

/* The first `want` of a shuffle; all when want is 0. */
static uint32_t draw_some(struct rng *rng, uint32_t *list, uint32_t count, uint32_t want)
{
    if (want == 0 || want >= count)
        return count;
    for (uint32_t i = 0; i < want; i++) {
        uint32_t k = i + rng_below(rng, count - i), chosen = list[k];
        list[k] = list[i];
        list[i] = chosen;
    }
    return want;
}

static void draw_targets(struct world *w, struct fault *f)
{
    uint32_t most = w->count > w->places ? w->count : w->places;
    uint32_t *list = sim_alloc(most, sizeof(*list));
    uint32_t count = candidates(w, f->scn, list);
    count = draw_some(&f->rng, list, count, f->scn->count);
    if (f->kind != FAULT_SITE_CRASH) {
        f->target = list;
        f->targets = count;
        return;
    }
    f->target = sim_alloc(w->count, sizeof(*f->target));
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t k = 0; k < w->place[list[i]].nodes; k++)
            f->target[f->targets++] = w->place[list[i]].node[k];
    free(list);
}

/* A crash with neither time nor length: everyone's own moment. */
static void plan_scattered(struct world *w, uint32_t place, usec bound)
{
    struct fault *f = &w->fault[place];
    for (uint32_t i = 0; i < f->targets; i++) {
        usec at = AFTER + draw(&f->rng, 0, bound + SEC);
        later(w, at, place, DO_OFF, i);
        later(w, at + draw(&f->rng, BACK_MIN, BACK_MAX), place, DO_ON, f->target[i]);
    }
}

static void plan_one(struct world *w, uint32_t place, usec bound)
{
    struct fault *f = &w->fault[place];
    const struct scn_fault *scn = &w->scn.fault[place];
    struct digest seed;
    fleet_derive(&seed, w->scn.seed, "fault", scn->number);
    rng_init(&f->rng, seed.b);
    f->scn = scn;
    f->kind = scn->kind;
    f->ends = scn->lasts > 0 ? scn->at + scn->lasts : w->chaos_end;
    draw_targets(w, f);
    if (f->kind == FAULT_BIT_ROT) {
        f->left = sim_alloc(f->targets, sizeof(*f->left));
        for (uint32_t i = 0; i < f->targets; i++)
            f->left[i] = scn->strength;
    }
    if (f->kind == FAULT_CRASH && scn->at == 0 && scn->lasts == 0) {
        plan_scattered(w, place, bound);
        return;
    }
    later(w, scn->at, place, DO_BEGIN, 0);
    if (f->kind != FAULT_GONE)
        later(w, f->ends > scn->at ? f->ends : scn->at, place, DO_END, 0);
}

void fault_plan(struct world *w, usec bound)
{
    _Static_assert(SCN_FAULTS <= 1u << PLACE_BITS, "a place fits");
    struct chaos *c = w->chaos = sim_alloc(1, sizeof(*c));
    c->down = sim_alloc(w->count, sizeof(*c->down));
    c->ill = sim_alloc(w->count, sizeof(*c->ill));
    c->odd = sim_alloc(w->count, sizeof(*c->odd));
    c->due = sim_alloc(w->count, sizeof(*c->due));
    verdict_init(w);
    w->faults = w->scn.faults;
    w->fault = sim_alloc(w->faults, sizeof(*w->fault));
    for (uint32_t i = 0; i < w->faults; i++)
        plan_one(w, i, bound);
}

void fault_fini(struct world *w)
{
    for (uint32_t i = 0; i < w->faults; i++) {
        free(w->fault[i].target);
        free(w->fault[i].left);
    }
    free(w->fault);
    verdict_fini(w);
    if (w->chaos == NULL)
        return;
    free(w->chaos->down);
    free(w->chaos->ill);
    free(w->chaos->odd);
    free(w->chaos->due);
    free(w->chaos);
}
