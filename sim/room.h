/* Whether a scenario fits into memory.
 *
 * Called by main.c before anything is built: a run that the system would kill half way says so
 * first. */
#pragma once

#include "scenario.h"

/* About how many bytes the scenario takes at its largest. */
uint64_t room_needed(const struct scenario *s);
/* How many the system would give now; 0: it does not say. */
uint64_t room_available(void);
/* True with one line that says both and the mend, when it does not fit. */
bool room_lacks(const struct scenario *s, uint64_t available, char *why, size_t cap);
