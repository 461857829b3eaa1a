/* The trace: a hash of everything that cores were told, and, when asked for, a readable file.
 *
 * Called by world.c.  Two runs with the same hash gave the same events to the same nodes at the
 * same moments in the same order. */
#pragma once

#include "world.h"

/* Before each step. */
void trace_event(struct world *w, uint32_t node, const struct event *ev);
/* After each action, with the trace file open. */
void trace_action(struct world *w, const struct action *act, const uint8_t *head);
/* A line of its own. */
void trace_note(struct world *w, uint32_t node, const char *what);
/* Where a core's log goes when the trace file is open; ctx is the world. */
void trace_log(void *ctx, enum log_level level, const char *line, size_t n);
