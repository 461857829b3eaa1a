/* Pictures of a run: completion curves, bytes by source over time, a heat map of sites, as SVG.
 *
 * Called by world.c while a run goes on and by main.c at its end.  Keeps a bounded number of
 * samples: when they are full, every second one is dropped and the interval doubles.  Drawing is
 * gnuplot's; the data files that it reads stay beside the pictures, so that a later run can be laid
 * over an earlier one. */
#pragma once

#include "world.h"

struct plot;
/* NULL with a message on stderr when dir cannot be made. */
struct plot *plot_open(const char *dir, const char *title);
/* Is the data of an earlier run in that directory?  False with a message on stderr: better before a
 * run than after it. */
bool plot_over(const char *over);
/* Sees the world after a step. */
void plot_step(struct plot *p, const struct world *w);
/* Writes data and pictures; over: the directory of an earlier run, or NULL.  False with a message
 * on stderr. */
bool plot_close(struct plot *p, const struct world *w, const char *over);
