/* Who is where: the numbers of nodes, the places, and who shares one.
 *
 * Called by world.c once, before anything else is built. */
#pragma once

#include "world.h"

/* Makes node[] and place[] of w->scn: groups, models, places, rates, behaviours. */
void settle_nodes(struct world *w);
void settle_fini(struct world *w);
