/* The report: what the run amounted to, for people and for programs.
 *
 * Called by main.c; world.c asks for the bound. */
#pragma once

#include "world.h"

/* The fluid bound of the scenario: no way of sharing can be faster. */
usec report_bound(const struct world *w);
/* One line on stderr; live: on a terminal, over the one before. */
void report_progress(const struct world *w, usec wall, bool live);
/* The result on stdout; wall is real time spent, in microseconds. */
void report_result(const struct world *w, usec wall);
