/* Allocation that ends the program when it fails, counted bytes, and chunked pools.
 *
 * A pool grows by chunks of 1,024 items, so that a pointer into it stays good while it grows. */
#include "mem.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define PAGE 4096u /* as counted: the same on every machine */

static void *must_have(void *p)
{
    if (p == NULL) {
        fprintf(stderr, "fwswarm-sim: out of memory: use fewer peers or a smaller image\n");
        exit(1);
    }
    return p;
}

void *sim_alloc(size_t count, size_t size)
{
    return must_have(calloc(count > 0 ? count : 1, size > 0 ? size : 1));
}

void sim_grow(void *items, size_t *cap, size_t want, size_t size)
{
    if (want <= *cap)
        return;
    size_t to = *cap > 0 ? *cap : 8;
    while (to < want)
        to *= 2;
    /* The caller's pointer has its own type, so it is moved by its bytes. */
    void *old;
    memcpy(&old, items, sizeof(old));
    uint8_t *grown = must_have(realloc(old, to * size));
    memset(grown + *cap * size, 0, (to - *cap) * size);
    memcpy(items, &grown, sizeof(old));
    *cap = to;
}

struct blob *blob_make(const void *p, size_t n)
{
    assert(n <= UINT32_MAX);
    struct blob *b = sim_alloc(1, sizeof(*b) + n);
    b->refs = 1;
    b->len = (uint32_t)n;
    if (n > 0)
        memcpy(b->data, p, n);
    return b;
}

void *sim_pages(size_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                   -1, 0);
    return must_have(p != MAP_FAILED ? p : NULL);
}

void sim_pages_clear(void *p, size_t size)
{
    if (madvise(p, size, MADV_DONTNEED) != 0)
        memset(p, 0, size);
}

void sim_pages_free(void *p, size_t size)
{
    if (p != NULL)
        (void)munmap(p, size);
}

size_t sim_pages_used(const void *p, size_t size)
{
    static const uint8_t zeros[PAGE];
    const uint8_t *at = p;
    size_t used = 0;
    for (size_t i = 0; i < size; i += PAGE) {
        size_t n = size - i < PAGE ? size - i : PAGE;
        used += memcmp(at + i, zeros, n) != 0 ? PAGE : 0;
    }
    return used;
}

struct blob *blob_hold(struct blob *b)
{
    if (b != NULL)
        b->refs++;
    return b;
}

void blob_drop(struct blob *b)
{
    if (b == NULL)
        return;
    assert(b->refs > 0);
    if (--b->refs == 0)
        free(b);
}

void pool_init(struct pool *p, size_t size)
{
    *p = (struct pool){.size = (size + 15u) & ~(size_t)15u};
}

void pool_fini(struct pool *p)
{
    for (size_t i = 0; i < p->chunk_cap; i++)
        free(p->chunk[i]);
    free(p->chunk);
    free(p->free);
    *p = (struct pool){0};
}

uint32_t pool_take(struct pool *p)
{
    if (p->free_count > 0)
        return p->free[--p->free_count];
    assert(p->count < NONE);
    uint32_t i = p->count++;
    size_t c = i / POOL_CHUNK;
    sim_grow(&p->chunk, &p->chunk_cap, c + 1, sizeof(*p->chunk));
    if (p->chunk[c] == NULL)
        p->chunk[c] = sim_alloc(POOL_CHUNK, p->size);
    return i;
}

void pool_give(struct pool *p, uint32_t i)
{
    assert(i < p->count);
    sim_grow(&p->free, &p->free_cap, (size_t)p->free_count + 1, sizeof(*p->free));
    p->free[p->free_count++] = i;
}

uint32_t pool_used(const struct pool *p)
{
    return p->count - p->free_count;
}
