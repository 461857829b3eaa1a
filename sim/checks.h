/* What must hold after every step, whatever goes wrong.
 *
 * Called by world.c, net.c and disk.c.  A violation is recorded with its moment and its node and
 * the run goes on, so that one run shows all that it found. */
#pragma once

#include "world.h"

void check_failed(struct world *w, uint32_t node, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void check_init(struct world *w);
void check_fini(struct world *w);
/* Ahead of an event, of an action; after a drain. */
void check_event(struct world *w, uint32_t node, const struct event *ev);
void check_action(struct world *w, uint32_t node, const struct action *act, const uint8_t *head);
void check_drained(struct world *w, uint32_t node);
/* Before a message leaves: it decodes, its body is what its head says, the link's credit suffices.
 */
void check_send(struct world *w, uint32_t node, const struct action *act, const uint8_t *head,
                const struct body *body);
/* After a drain that may have moved state: versions never go back, nothing exceeds its limits. */
void check_state(struct world *w, uint32_t node);
/* After a group commit: what of the floor a crash cannot take any more. */
void check_kept(struct world *w, uint32_t node);
/* After EV_TIME and its drain; acted: the core did something. */
void check_deadline(struct world *w, uint32_t node, bool acted);
/* When the core says that slot is complete or asks to install it. */
void check_held(struct world *w, uint32_t node, uint32_t slot);
/* When a link is forgotten: all that was sent on it came or was lost. */
void check_link(struct world *w, const struct wire_link *l);
/* At the end of the run: every byte is accounted for, every device is done. */
void check_end(struct world *w);
