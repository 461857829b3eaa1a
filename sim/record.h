/* The records that a disk keeps: small, and replaced or deleted whole.
 *
 * Called by disk.c; the judge looks into them. */
#pragma once

#include "world.h"

/* Lent; NULL: there is none. */
struct blob *record_find(const struct disk *d, uint32_t object);
/* Keeps blob (taken over) under object; NULL deletes. */
void record_put(struct disk *d, uint32_t object, struct blob *blob);
/* The bytes of a record, held once, or NULL when there are none. */
struct blob *record_blob(struct world *w, uint32_t object, struct bytes data);
