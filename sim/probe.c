/* What TCP does when nobody answers.
 *
 * An end is silent from the moment at which something it sent was not acknowledged.  What leaves
 * its uplink then is held.  Tries follow each other at twice the distance, as a retransmission
 * timer's do; when one gets through, what was held goes on, and when the far machine does not know
 * the connection any more, it says so.  After the user timeout of the real host the end gives up.
 * An end that has nothing to say notices only by its keepalive that the far end is gone. */
#include "net_links.h"
#include "weather.h"

#include <assert.h>

#define AGAIN_LEAST (SEC / 5)
#define AGAIN_SYN   SEC
#define PATIENCE    (30 * SEC) /* TCP_USER_TIMEOUT of the real host */
#define KEEPALIVE   (60 * SEC) /* and its keepalive */

bool probe_way_open(const struct world *w, const struct wire_link *l)
{
    return weather_open(w, l->end[0].node, l->end[1].node) &&
           weather_open(w, l->end[1].node, l->end[0].node);
}

static void probe_next(struct world *w, uint32_t slot, unsigned side)
{
    struct end *e = &link_at(w, slot)->end[side];
    usec at = w->now + e->again, last = e->silent_at + PATIENCE;
    e->again *= 2;
    e->probing = true;
    if (at > last && e->state != END_DIALLING)
        at = last > w->now ? last : w->now;
    end_tick(w, at, TICK_PROBE, slot, side, 0);
}

void probe_start(struct world *w, uint32_t slot, unsigned side)
{
    const struct wire_link *l = link_at(w, slot);
    struct end *e = &link_at(w, slot)->end[side];
    if (end_is_over(e) || e->silent_at != USEC_NEVER)
        return;
    e->silent_at = w->now;
    if (e->again < AGAIN_LEAST + 2 * l->way)
        e->again = AGAIN_LEAST + 2 * l->way;
    if (e->state == END_DIALLING && e->again < AGAIN_SYN)
        e->again = AGAIN_SYN;
    if (!e->probing)
        probe_next(w, slot, side);
}

static void resume(struct world *w, uint32_t slot, unsigned side)
{
    struct end *e = &link_at(w, slot)->end[side];
    e->silent_at = USEC_NEVER;
    e->again = 0;
    for (uint32_t i = parcels_pop(w, &e->held); i != NONE; i = parcels_pop(w, &e->held))
        parcel_depart(w, i);
}

void probe_tick(struct world *w, uint32_t slot, unsigned side)
{
    const struct wire_link *l = link_at(w, slot);
    struct end *e = &link_at(w, slot)->end[side];
    const struct end *far = &l->end[!side];
    e->probing = false;
    if (end_is_over(e) || e->silent_at == USEC_NEVER) {
        link_unref(w, slot);
        return;
    }
    bool open = probe_way_open(w, l) && w->node[far->node].core != NULL;
    if (open && e->state == END_DIALLING && !e->connected) {
        usec again = e->again;
        e->silent_at = USEC_NEVER;
        shake_syn(w, slot);
        e->again = again;
    } else if (open && end_is_over(far)) {
        end_down(w, slot, side, w->now + 2 * l->way, E_CLOSED);
    } else if (open) {
        resume(w, slot, side);
    } else if (w->now >= e->silent_at + PATIENCE && e->state != END_DIALLING) {
        end_down(w, slot, side, w->now, E_TIMEOUT);
        probe_orphan(w, slot, !side);
    } else {
        probe_next(w, slot, side);
    }
    link_unref(w, slot);
}

void probe_orphan(struct world *w, uint32_t slot, unsigned side)
{
    const struct wire_link *l = link_at(w, slot);
    if (end_is_over(&l->end[side]) || l->end[!side].told)
        return;
    end_tick(w, w->now + KEEPALIVE, TICK_IDLE, slot, side, 0);
}

void probe_idle(struct world *w, uint32_t slot, unsigned side)
{
    const struct wire_link *l = link_at(w, slot);
    if (!end_is_over(&l->end[side])) {
        if (probe_way_open(w, l) && w->node[l->end[!side].node].core != NULL)
            end_down(w, slot, side, w->now + 2 * l->way, E_CLOSED);
        else
            probe_start(w, slot, side);
    }
    link_unref(w, slot);
}
