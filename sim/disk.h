/* Disks: what a node keeps, and what of it survives a crash.
 *
 * Called by world.c, vendor.c and fault.c.  Does what src/store and src/uv/disk.c promise, without
 * bytes: only blocks whose tag is the signed image's are kept, what waits becomes durable together
 * in group commits and in the order of the actions, a crash loses all that was not yet durable, and
 * a record that cannot be saved yet is tried again, ahead of later ones, until it is kept.
 *
 * The node's faults show here: a full disk refuses every change; one that fails now and then
 * refuses some and leaves some reads unanswered; a rotten block reads as other bytes than were
 * written, which nobody notices until it is sent to a neighbour or hashed again. */
#pragma once

#include "world.h"

void disk_init(struct disk *d, uint32_t slots);
void disk_fini(struct disk *d);
/* Loses what is not durable. */
void disk_crash(struct disk *d);
/* Ahead of disk_crash(): the commit under way reached the disk, and nobody heard of it. */
void disk_settle(struct world *w, uint32_t node);

void disk_open(struct world *w, uint32_t node, const struct action *act);
void disk_shut(struct world *w, uint32_t node, const struct action *act);
void disk_store(struct world *w, uint32_t node, const struct action *act);
void disk_save(struct world *w, uint32_t node, const struct action *act, const uint8_t *head);
void disk_check(struct world *w, uint32_t node, const struct action *act);
/* Starts a group commit when there is work that should not wait and none is under way. */
void disk_kick(struct world *w, uint32_t node);
/* TICK_DISK, TICK_CHECKED: give the events; the caller drains. */
void disk_done(struct world *w, uint32_t node);
void disk_checked(struct world *w, uint32_t node);

/* Marks a release as imported whole into slot, as a publisher's verify node does. */
void disk_import(struct world *w, uint32_t node, uint32_t slot, uint32_t release);
/* Reads a span for sending; of a record all, by a length of 0.  False when the disk does not hold
 * it.  Holds body's blob. */
bool disk_read(const struct disk *d, const struct span *at, struct body *body);
/* The same with the disk's faults: E_NOENT when the core has no reason to think that it is held;
 * E_IO when it cannot be read now, or was just found bad by a check that has not ended. */
enum err disk_serve(const struct disk *d, const struct span *at, struct body *body);
/* Is every block of the slot's image durable? */
bool disk_slot_whole(const struct disk *d, uint32_t slot);
/* What the device's installer says at once of the image that it is to install: 0, or the status
 * with which the host gives up after hashing it again. */
int32_t disk_install_code(const struct disk *d, uint32_t slot);
/* Gives EV_LOADED for each record, in object order. */
void disk_load(struct world *w, uint32_t node);

/* ---- for fault.c ---- */
/* What is wrong with it from now on: full; thousandths of operations that fail, drawn from rng,
 * which is kept; how many times as long a commit takes. */
void disk_ail(struct disk *d, bool full, uint32_t errors, struct rng *rng, uint32_t slow);
/* Lets up to count more of the blocks rot that are held of its newest release.  How many did. */
uint32_t disk_rot(struct world *w, uint32_t node, uint32_t count, struct rng *rng);
