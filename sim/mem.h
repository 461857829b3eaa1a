/* Memory of the simulator: allocation that cannot fail, shared bytes, and pools.
 *
 * Called by every file of sim/.  A simulation that runs out of memory cannot say anything true any
 * more, so allocation failure ends the program with a message. */
#pragma once

#include "fwswarm/bytes.h"

#define NONE UINT32_MAX

/* Zeroed memory; the caller keeps it and frees it with free(). */
void *sim_alloc(size_t count, size_t size);
/* Makes room for at least want items in *items, growing by doubling; new items are zero. */
void sim_grow(void *items, size_t *cap, size_t want, size_t size);

/* Whole pages of zeros, taken from the system only where they are written. */
void *sim_pages(size_t size);
/* All zeros again, and given back. */
void sim_pages_clear(void *p, size_t size);
void sim_pages_free(void *p, size_t size);
/* Bytes of the pages that hold anything but zeros. */
size_t sim_pages_used(const void *p, size_t size);

/* Bytes that several owners share: a manifest is the same for ten thousand disks. */
struct blob {
    uint32_t refs, len;
    uint8_t data[];
};
/* A copy of p, held once. */
struct blob *blob_make(const void *p, size_t n);
/* One more holder; b may be NULL. */
struct blob *blob_hold(struct blob *b);
/* One holder less; b may be NULL. */
void blob_drop(struct blob *b);

/* Items of one size, named by number.  Numbers are given out last-freed-first, so they depend on
 * nothing but the calls made; items never move. */
#define POOL_CHUNK 1024u
struct pool {
    size_t size, chunk_cap;
    uint8_t **chunk;
    uint32_t *free;
    size_t free_cap;
    uint32_t free_count, count;
};
void pool_init(struct pool *p, size_t size);
void pool_fini(struct pool *p);
/* Takes an item; its bytes are as its last owner left them (zero when new). */
uint32_t pool_take(struct pool *p);
void pool_give(struct pool *p, uint32_t i);
static inline void *pool_at(const struct pool *p, uint32_t i)
{
    return p->chunk[i / POOL_CHUNK] + (size_t)(i % POOL_CHUNK) * p->size;
}
/* Items taken and not given back. */
uint32_t pool_used(const struct pool *p);
