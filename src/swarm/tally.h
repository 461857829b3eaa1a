/* What each neighbour took of each image lately, whatever link it took it over.
 *
 * A device needs an image once, and may need it again when its flash failed.  Who takes more is
 * broken or wants to do harm: it is served no more until part of what it took is forgotten, and a
 * new link does not make it forgotten.  What was taken counts half after ten minutes, a quarter
 * after twenty, and so on, so that even a device with a failing disk is done one day. */
#pragma once

#include "fwswarm/core.h"

struct taken {
    uint32_t blocks;
    usec since; /* when blocks was true; 0 with no blocks */
};
/* Blocks, with the past halved. */
uint32_t taken_lately(const struct taken *t, usec now);
void taken_add(struct taken *t, usec now);
/* Blocks that one neighbour may take lately of an image of so many. */
uint32_t taken_most(uint32_t image_blocks);

struct tally_entry {
    struct key who;
    struct digest image; /* root of its tree */
    struct taken taken;  /* blocks = 0: free place */
};
struct tally {
    struct tally_entry *entry;
    uint32_t cap;
};
/* mem: cap of them, all zeros. */
void tally_init(struct tally *t, struct tally_entry *mem, uint32_t cap);
/* In place of what was kept of the same two; when full, in place of who took least. */
void tally_keep(struct tally *t, const struct key *who, const struct digest *image,
                const struct taken *taken, usec now);
/* What was kept, or nothing taken. */
struct taken tally_find(const struct tally *t, const struct key *who, const struct digest *image);
