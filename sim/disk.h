/* Disks: what a node keeps, and what of it survives a crash.
 *
 * Called by world.c and net.c.  Does what src/store promises, without bytes: only blocks whose tag
 * is the signed image's are kept, stores and saves become durable together in group commits, and a
 * crash loses all that was not yet durable. */
#pragma once

#include "world.h"

void disk_init(struct disk *d, uint32_t slots);
void disk_fini(struct disk *d);
/* Loses what is not durable. */
void disk_crash(struct disk *d);

void disk_open(struct world *w, uint32_t node, const struct action *act);
void disk_shut(struct world *w, uint32_t node, const struct action *act);
void disk_store(struct world *w, uint32_t node, const struct action *act);
void disk_save(struct world *w, uint32_t node, const struct action *act, const uint8_t *head);
void disk_check(struct world *w, uint32_t node, const struct action *act);
/* Starts a group commit when there is work and none is under way. */
void disk_kick(struct world *w, uint32_t node);
/* TICK_OPENED, TICK_DISK, TICK_CHECKED: give the events; the caller drains. */
void disk_opened(struct world *w, uint32_t node, uint32_t slot);
void disk_done(struct world *w, uint32_t node);
void disk_checked(struct world *w, uint32_t node);

/* Marks a release as imported whole into slot, as a publisher's verify node does. */
void disk_import(struct world *w, uint32_t node, uint32_t slot, uint32_t release);
/* Reads a span for sending; of a record all, by a length of 0.  False when the disk does not hold
 * it.  Holds body's blob. */
bool disk_read(const struct disk *d, const struct span *at, struct body *body);
/* Is every block of the slot's image durable? */
bool disk_slot_whole(const struct disk *d, uint32_t slot);
/* Gives EV_LOADED for each record, in object order. */
void disk_load(struct world *w, uint32_t node);
