/* One /24 for each node outside of places, and for each place, so that rules about crowded
 * networks see what they would see.
 *
 * A /24 is 10.x.y.0 with the number of a node in x and y: its own, or that of a node of the place.
 * A place of more than HOSTS nodes has several.  Behind a NAT a place is one public address to
 * everybody outside; nobody answers at it. */
#include "address.h"

#include <string.h>

#define PORT   7400u
#define HOSTS  250u
#define PUBLIC 254u

static struct addr address(uint32_t net, uint32_t host)
{
    struct addr a = {.family = 4, .port = PORT};
    a.ip[0] = 10;
    a.ip[1] = (uint8_t)(net >> 8);
    a.ip[2] = (uint8_t)net;
    a.ip[3] = (uint8_t)host;
    return a;
}

struct addr address_of(const struct world *w, uint32_t node)
{
    const struct sim_node *n = &w->node[node];
    if (n->place == NONE)
        return address(node, 1);
    return address(w->place[n->place].node[n->seat / HOSTS], 1 + n->seat % HOSTS);
}

bool address_near(const struct world *w, uint32_t a, uint32_t b)
{
    return w->node[a].place != NONE && w->node[a].place == w->node[b].place;
}

struct addr address_seen(const struct world *w, uint32_t node, uint32_t by)
{
    const struct sim_node *n = &w->node[node];
    if (!n->nat || address_near(w, node, by))
        return n->addr;
    return address(n->place == NONE ? node : w->place[n->place].node[0], PUBLIC);
}

uint32_t address_node(const struct world *w, const struct addr *addr)
{
    uint32_t node = (uint32_t)addr->ip[1] << 8 | addr->ip[2];
    if (node >= w->count)
        return NONE;
    const struct sim_node *n = &w->node[node];
    if (n->place != NONE) {
        const struct place *p = &w->place[n->place];
        uint32_t seat = n->seat * HOSTS + addr->ip[3] - 1u;
        if (addr->ip[3] == 0 || addr->ip[3] > HOSTS || seat >= p->nodes)
            return NONE;
        node = p->node[seat];
    }
    return addr_equal(&w->node[node].addr, addr) ? node : NONE;
}

bool address_reaches(const struct world *w, uint32_t from, uint32_t to)
{
    return !w->node[to].nat || from == to || address_near(w, from, to);
}

static uint64_t mix(uint64_t h)
{
    h ^= h >> 31;
    h *= 0x9e3779b97f4a7c15u;
    h ^= h >> 29;
    h *= 0xbf58476d1ce4e5b9u;
    return h ^ h >> 32;
}

/* Half of what lies between two nodes of one place, or of the mean of their groups' round trips;
 * give or take a tenth by pair, so that equal distances do not march in step. */
usec address_latency(const struct world *w, uint32_t a, uint32_t b)
{
    uint64_t lo = a < b ? a : b, hi = a < b ? b : a;
    uint64_t h = mix(w->scn.seed ^ mix(lo << 32 | hi));
    const struct sim_node *x = &w->node[a], *y = &w->node[b];
    usec way = (w->scn.group[x->group].rtt + w->scn.group[y->group].rtt) / 4;
    if (address_near(w, a, b))
        way = w->scn.site[w->place[x->place].site].rtt / 2;
    return way * (900 + h % 201) / 1000;
}
