/* What can still be demanded after nodes left or their disks rotted.
 *
 * Called by fault.c, whose header says the rules. */
#pragma once

#include "world.h"

void verdict_init(struct world *w);
void verdict_fini(struct world *w);
/* A node left for good, its disk rots from now on, or it is shunned from now on. */
void verdict_left(struct world *w);
/* Can this device not come to its release any more, whatever it does? */
bool verdict_lost(const struct world *w, uint32_t node);
