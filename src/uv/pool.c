/* Buffers of the host, on free lists.
 *
 * A busy link takes and returns a buffer for every turn of the loop, so the lists save the system
 * calls and page faults of large allocations; a second after the last use the lists are emptied, so
 * a node at rest holds none. */
#include "loop.h"

#include <assert.h>
#include <stdlib.h>

#define RBUFS_KEPT 96u /* what the stores of a fast download hold */
#define SBUFS_KEPT 64u

void *must_alloc(size_t n)
{
    void *p = malloc(n);
    if (p == NULL)
        abort();
    return p;
}

struct rbuf *pool_rbuf(struct pool *p)
{
    struct rbuf *b = p->rbufs;
    if (b != NULL) {
        p->rbufs = b->next;
        p->rbufs_free--;
    } else {
        b = must_alloc(sizeof(*b));
    }
    b->next = NULL;
    b->refs = 1;
    p->rbufs_used++;
    return b;
}

void pool_rbuf_ref(struct rbuf *b)
{
    assert(b->refs > 0);
    b->refs++;
}

void pool_rbuf_unref(struct pool *p, struct rbuf *b)
{
    assert(b->refs > 0);
    if (--b->refs > 0)
        return;
    p->rbufs_used--;
    if (p->rbufs_free == RBUFS_KEPT) {
        free(b);
        return;
    }
    b->next = p->rbufs;
    p->rbufs = b;
    p->rbufs_free++;
}

struct sbuf *pool_sbuf(struct pool *p, size_t n)
{
    struct sbuf *b = p->sbufs;
    if (n <= RECORD_WIRE_MAX && b != NULL) {
        p->sbufs = b->next;
        p->sbufs_free--;
    } else {
        size_t cap = n > RECORD_WIRE_MAX ? n : RECORD_WIRE_MAX;
        b = must_alloc(sizeof(*b) + cap);
        b->cap = (uint32_t)cap;
    }
    b->next = NULL;
    b->len = b->sent = b->credit = 0;
    b->sealed = false;
    return b;
}

void pool_sbuf_free(struct pool *p, struct sbuf *b)
{
    if (b->cap != RECORD_WIRE_MAX || p->sbufs_free == SBUFS_KEPT) {
        free(b);
        return;
    }
    b->next = p->sbufs;
    p->sbufs = b;
    p->sbufs_free++;
}

void pool_trim(struct pool *p)
{
    while (p->rbufs != NULL) {
        struct rbuf *b = p->rbufs;
        p->rbufs = b->next;
        free(b);
    }
    while (p->sbufs != NULL) {
        struct sbuf *b = p->sbufs;
        p->sbufs = b->next;
        free(b);
    }
    p->rbufs_free = p->sbufs_free = 0;
}
