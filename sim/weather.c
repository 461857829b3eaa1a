/* What the faults of the moment do to the way between two nodes. */
#include "weather.h"

void weather_init(struct world *w)
{
    (void)w;
}

void weather_fini(struct world *w)
{
    (void)w;
}

bool weather_open(const struct world *w, uint32_t from, uint32_t to)
{
    (void)w;
    (void)from;
    (void)to;
    return true;
}

usec weather_delay(struct world *w, uint32_t from, uint32_t to)
{
    (void)w;
    (void)from;
    (void)to;
    return 0;
}

uint32_t weather_rate(const struct world *w, uint32_t node)
{
    (void)w;
    (void)node;
    return 1000;
}

bool weather_lost(struct world *w, uint32_t from, uint32_t to)
{
    (void)w;
    (void)from;
    (void)to;
    return false;
}
