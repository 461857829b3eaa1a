/* Nodes that mean harm.
 *
 * Called by world.c.  An adversary is a member of the fleet with an honest core that something
 * stands in front of: what the core wants is looked at, changed or withheld before it is done, and
 * things are done that no core asked for.  Adversaries are outside of every invariant but one:
 * whatever they do, the others keep theirs. */
#pragma once

#include "world.h"

void adversary_init(struct world *w);
void adversary_fini(struct world *w);
/* Looks at an action of an adversary's core ahead of its performance.  False: it is not done. */
bool adversary_action(struct world *w, uint32_t node, struct action *act, uint8_t *head,
                      struct body *body);
/* Sees an event that its core will be given.  False: the core does not get it. */
bool adversary_event(struct world *w, uint32_t node, struct event *ev);
/* TICK_ADVERSARY: does what it does by itself; schedules the next. */
void adversary_tick(struct world *w, uint32_t node, uint32_t what);
/* How often nodes that behave so have tried what they are there for. */
uint64_t adversary_attempts(const struct world *w, enum behaviour b);
