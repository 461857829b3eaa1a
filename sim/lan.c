/* One tick for a datagram, whoever hears it: within a place all are equally far away. */
#include "lan.h"

#include "address.h"
#include "line.h"
#include "weather.h"

#include <string.h>

#define DATAGRAM_HEADER 42u /* Ethernet, IP, UDP */

struct cast {
    uint32_t node, boot, len;
    uint8_t data[HEAD_MAX];
};

bool lan_has(const struct world *w, uint32_t node)
{
    uint32_t place = w->node[node].place;
    return place != NONE && w->scn.site[w->place[place].site].lan;
}

bool lan_cast(struct world *w, uint32_t node, const uint8_t *head, uint32_t head_len)
{
    struct sim_node *n = &w->node[node];
    if (!lan_has(w, node))
        return false;
    if (w->net.casts.size == 0)
        pool_init(&w->net.casts, sizeof(struct cast));
    uint32_t i = pool_take(&w->net.casts);
    struct cast *c = pool_at(&w->net.casts, i);
    c->node = node;
    c->boot = n->boot;
    c->len = head_len;
    memcpy(c->data, head, head_len);
    w->net.cast_bytes += head_len + DATAGRAM_HEADER;
    usec out = line_pass(&n->up, w->now, head_len + DATAGRAM_HEADER);
    world_schedule(w, out + w->scn.site[w->place[n->place].site].rtt / 2, TICK_CAST, i, 0, 0);
    return true;
}

static void hear(struct world *w, uint32_t node, const struct cast *c)
{
    struct sim_node *n = &w->node[node];
    if (n->core == NULL || !n->ready || weather_rate(w, node) == 0 ||
        !weather_open(w, c->node, node) || weather_lost(w, c->node, node))
        return;
    (void)line_pass(&n->down, w->now, c->len + DATAGRAM_HEADER);
    struct event ev = {.type = EV_DATAGRAM};
    ev.datagram.from = w->node[c->node].addr;
    ev.datagram.data = bytes_of(c->data, c->len);
    world_give(w, node, &ev);
    world_drain(w, node);
}

void lan_tick(struct world *w, uint32_t cast)
{
    struct cast c = *(const struct cast *)pool_at(&w->net.casts, cast);
    const struct sim_node *from = &w->node[c.node];
    pool_give(&w->net.casts, cast);
    if (from->core == NULL || from->boot != c.boot)
        return;
    const struct place *p = &w->place[from->place];
    for (uint32_t i = 0; i < p->nodes; i++)
        if (p->node[i] != c.node)
            hear(w, p->node[i], &c);
}
