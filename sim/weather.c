/* Faults on the way, as one word of bits a node.
 *
 * A fault's bit is its place in the scenario, so a node's word says which faults strike it, and a
 * word for each kind says which are at work.  Whether something passes is then a few operations on
 * words, and which generator a draw comes from follows from the bit. */
#include "weather.h"

#include "address.h"

#include <assert.h>
#include <stdlib.h>

#define RESEND_US (SEC / 5) /* what TCP waits at least before it sends again */

_Static_assert(SCN_FAULTS <= 64, "a fault is a bit of a word");

struct sky {
    uint64_t cut, one_way, loss, lan, slow, stall; /* faults at work, by kind */
    uint64_t *struck;                              /* by node: those that strike it */
    uint16_t *left;                                /* by node: thousandths of its rates */
    uint32_t strength[SCN_FAULTS];
    struct rng *rng[SCN_FAULTS];
};

void weather_init(struct world *w)
{
    w->sky = sim_alloc(1, sizeof(*w->sky));
    w->sky->struck = sim_alloc(w->count, sizeof(*w->sky->struck));
    w->sky->left = sim_alloc(w->count, sizeof(*w->sky->left));
    for (uint32_t i = 0; i < w->count; i++)
        w->sky->left[i] = 1000;
}

void weather_fini(struct world *w)
{
    if (w->sky == NULL)
        return;
    free(w->sky->struck);
    free(w->sky->left);
    free(w->sky);
    w->sky = NULL;
}

/* ---- questions ---- */

bool weather_open(const struct world *w, uint32_t from, uint32_t to)
{
    const struct sky *s = w->sky;
    if ((s->cut | s->one_way) == 0)
        return true;
    uint64_t a = s->struck[from], b = s->struck[to];
    return ((a ^ b) & s->cut) == 0 && (a & ~b & s->one_way) == 0;
}

/* Draws once for each of these faults, so that what one of them draws hangs on no other. */
static uint32_t draw_losses(struct sky *s, uint64_t faults)
{
    uint32_t lost = 0;
    for (uint32_t i = 0; faults != 0; i++, faults >>= 1)
        if ((faults & 1) != 0 && rng_below(s->rng[i], 1000) < s->strength[i])
            lost++;
    return lost;
}

usec weather_delay(struct world *w, uint32_t from, uint32_t to)
{
    struct sky *s = w->sky;
    if (s->loss == 0)
        return 0;
    uint32_t lost = draw_losses(s, (s->struck[from] | s->struck[to]) & s->loss);
    return lost > 0 ? lost * (RESEND_US + 2 * address_latency(w, from, to)) : 0;
}

uint32_t weather_rate(const struct world *w, uint32_t node)
{
    const struct sky *s = w->sky;
    return (s->slow | s->stall) == 0 ? 1000 : s->left[node];
}

bool weather_lost(struct world *w, uint32_t from, uint32_t to)
{
    struct sky *s = w->sky;
    uint64_t work = s->loss | s->lan;
    if ((work | s->cut | s->one_way | s->stall) == 0)
        return false;
    uint32_t lost = draw_losses(s, (s->struck[from] | s->struck[to]) & work);
    return lost > 0 || !weather_open(w, from, to) || s->left[from] == 0 || s->left[to] == 0;
}

/* ---- changes ---- */

static uint64_t *word_of(struct sky *s, enum fault_kind kind)
{
    switch (kind) {
    case FAULT_PARTITION:
        return &s->cut;
    case FAULT_ONE_WAY:
        return &s->one_way;
    case FAULT_LOSS:
        return &s->loss;
    case FAULT_LAN_LOSS:
        return &s->lan;
    case FAULT_SLOW:
        return &s->slow;
    case FAULT_STALL:
        return &s->stall;
    case FAULT_CRASH:
    case FAULT_SITE_CRASH:
    case FAULT_BREAK:
    case FAULT_CHURN:
    case FAULT_DISK_FULL:
    case FAULT_DISK_ERROR:
    case FAULT_BIT_ROT:
    case FAULT_SLOW_DISK:
    case FAULT_CLOCK:
    case FAULT_GONE:
    case FAULT_COUNT:
        break;
    }
    assert(false); /* those are no weather */
    return NULL;
}

/* The worst of what slows a node down counts. */
static void rate_again(struct sky *s, uint32_t node)
{
    uint32_t left = 1000;
    uint64_t slow = s->struck[node] & s->slow;
    for (uint32_t i = 0; slow != 0; i++, slow >>= 1) {
        uint32_t strength = s->strength[i] > 0 ? s->strength[i] : 1;
        if ((slow & 1) != 0 && strength < left)
            left = strength;
    }
    s->left[node] = (uint16_t)((s->struck[node] & s->stall) != 0 ? 0 : left);
}

void weather_begin(struct world *w, uint32_t fault, enum fault_kind kind, uint32_t strength,
                   struct rng *rng)
{
    struct sky *s = w->sky;
    assert(fault < SCN_FAULTS);
    *word_of(s, kind) |= (uint64_t)1 << fault;
    s->strength[fault] = strength;
    s->rng[fault] = rng;
}

void weather_strike(struct world *w, uint32_t fault, uint32_t node)
{
    w->sky->struck[node] |= (uint64_t)1 << fault;
    rate_again(w->sky, node);
}

void weather_end(struct world *w, uint32_t fault)
{
    struct sky *s = w->sky;
    uint64_t bit = (uint64_t)1 << fault;
    s->cut &= ~bit;
    s->one_way &= ~bit;
    s->loss &= ~bit;
    s->lan &= ~bit;
    s->slow &= ~bit;
    s->stall &= ~bit;
    for (uint32_t i = 0; i < w->count; i++) {
        if ((s->struck[i] & bit) == 0)
            continue;
        s->struck[i] &= ~bit;
        rate_again(s, i);
    }
}
