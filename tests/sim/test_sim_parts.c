/* The simulator's small parts: orders of time, pools, shared bytes, sizes of handshakes. */
#include "fleet.h"
#include "fwswarm/link.h"
#include "heap.h"
#include "mem.h"
#include "net.h"
#include "unit/run.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

START_TEST(heap_orders_by_time_then_by_arrival)
{
    struct heap h = {0};
    struct rng r;
    uint8_t seed[32] = {1};
    rng_init(&r, seed);
    for (uint32_t i = 0; i < 5000; i++)
        heap_push(&h, rng_below(&r, 50), 0, i, 0, 0);
    usec at = 0;
    uint64_t sequence = 0;
    for (uint32_t i = 0; i < 5000; i++) {
        usec first = heap_first(&h);
        struct tick t = heap_pop(&h);
        ck_assert_uint_eq(first, t.at);
        ck_assert_uint_ge(t.at, at);
        ck_assert(i == 0 || t.at > at || t.sequence > sequence);
        ck_assert_uint_eq(t.sequence, t.a);
        at = t.at;
        sequence = t.sequence;
    }
    ck_assert_uint_eq(heap_first(&h), USEC_NEVER);
    heap_fini(&h);
}
END_TEST

/* Against a list that is searched: near and far ticks, pushed between pops, also before what was
 * the first. */
START_TEST(heap_keeps_order_while_time_goes_on)
{
    enum { MOST = 400 };
    const uint32_t reach[] = {1, 40, 3000, 900000, 1100000, 50000000};
    struct heap h = {0};
    struct tick list[MOST];
    uint32_t count = 0;
    usec now = 0;
    struct rng r;
    uint8_t seed[32] = {3};
    rng_init(&r, seed);
    for (uint32_t i = 0; i < 60000; i++) {
        bool grow = i % 5000 < 2500;
        if (count < MOST && (count == 0 || rng_below(&r, 100) < (grow ? 60u : 40u))) {
            usec at = now + rng_below(&r, reach[rng_below(&r, 6)]);
            list[count++] = (struct tick){at, i, 0, i, 0, 0};
            heap_push(&h, at, 0, i, 0, 0);
            continue;
        }
        uint32_t first = 0;
        for (uint32_t k = 1; k < count; k++)
            if (list[k].at < list[first].at ||
                (list[k].at == list[first].at && list[k].sequence < list[first].sequence))
                first = k;
        ck_assert_uint_eq(heap_first(&h), list[first].at);
        struct tick t = heap_pop(&h);
        ck_assert_uint_eq(t.a, list[first].a);
        now = t.at;
        list[first] = list[--count];
        ck_assert_uint_eq(h.count, count);
    }
    heap_fini(&h);
}
END_TEST

START_TEST(alarms_follow_every_change)
{
    enum { COUNT = 97 };
    struct alarms a;
    usec at[COUNT];
    struct rng r;
    uint8_t seed[32] = {2};
    rng_init(&r, seed);
    alarms_init(&a, COUNT);
    for (uint32_t i = 0; i < COUNT; i++)
        at[i] = USEC_NEVER;
    for (uint32_t i = 0; i < 20000; i++) {
        uint32_t node = rng_below(&r, COUNT);
        at[node] = rng_below(&r, 8) == 0 ? USEC_NEVER : rng_below(&r, 1000);
        alarms_set(&a, node, at[node]);
        uint32_t first = 0;
        for (uint32_t k = 1; k < COUNT; k++)
            if (at[k] < at[first])
                first = k;
        ck_assert_uint_eq(alarms_at(&a), at[first]);
        ck_assert_uint_eq(alarms_first(&a), first);
    }
    alarms_fini(&a);
}
END_TEST

START_TEST(pool_items_stay_where_they_are)
{
    struct pool p;
    pool_init(&p, 24);
    for (uint32_t i = 0; i < 3000; i++) {
        ck_assert_uint_eq(pool_take(&p), i);
        memset(pool_at(&p, i), (int)(i & 255), 24);
    }
    for (uint32_t i = 0; i < 3000; i++) {
        const uint8_t *b = pool_at(&p, i);
        ck_assert_uint_eq(b[0], i & 255);
        ck_assert_uint_eq(b[23], i & 255);
    }
    pool_give(&p, 7);
    pool_give(&p, 2000);
    ck_assert_uint_eq(pool_used(&p), 2998);
    ck_assert_uint_eq(pool_take(&p), 2000);
    ck_assert_uint_eq(pool_take(&p), 7);
    ck_assert_uint_eq(pool_take(&p), 3000);
    pool_fini(&p);
}
END_TEST

START_TEST(shared_bytes_live_as_long_as_a_holder)
{
    struct blob *b = blob_make("abc", 3);
    ck_assert_ptr_eq(blob_hold(b), b);
    blob_drop(b);
    ck_assert_mem_eq(b->data, "abc", 3);
    blob_drop(b);
    ck_assert_ptr_null(blob_hold(NULL));
    blob_drop(NULL);
}
END_TEST

/* ---- a real handshake, for its sizes ---- */

static size_t carry(struct link *from, struct link *to)
{
    struct bytes out = link_handshake_out(from);
    size_t used = 0;
    ck_assert_int_eq(link_handshake(to, out.p, out.n, &used), E_OK);
    ck_assert_uint_eq(used, out.n);
    return out.n;
}

START_TEST(handshake_sizes_are_the_real_ones)
{
    struct scenario *scn = sim_alloc(1, sizeof(*scn));
    scenario_default(scn);
    scn->group[1].count = 2;
    const struct options opt = {0};
    struct world *w = sim_alloc(1, sizeof(*w));
    ck_assert(world_init(w, scn, &opt));
    free(scn);
    struct link_scratch *scratch = sim_alloc(2, sizeof(*scratch));
    /* A device dials the verify node, then another device. */
    for (uint32_t far = 0; far < 3; far += 2) {
        struct link_self self[2];
        const uint32_t who[2] = {1, far};
        for (uint32_t i = 0; i < 2; i++) {
            const struct sim_node *n = &w->node[who[i]];
            self[i] =
                (struct link_self){.identity = &n->signer,
                                   .cert = bytes_of(n->cert, n->cert_len),
                                   .trust = &w->fleet.trust,
                                   .root_chain = bytes_of(w->fleet.root->data, w->fleet.root->len),
                                   .static_secret = {(uint8_t)(i + 1)}};
        }
        struct link a, b;
        const uint8_t seed_a[32] = {5}, seed_b[32] = {6};
        link_init(&a, LINK_DIALLER, &self[0], seed_a, &aead_sodium, &scratch[0]);
        link_init(&b, LINK_LISTENER, &self[1], seed_b, &aead_sodium, &scratch[1]);
        size_t near_cert = w->node[1].cert_len, far_cert = w->node[far].cert_len;
        ck_assert_uint_eq(carry(&a, &b), net_handshake_bytes(0, near_cert));
        ck_assert_uint_eq(carry(&b, &a), net_handshake_bytes(1, far_cert));
        ck_assert_uint_eq(carry(&a, &b), net_handshake_bytes(2, near_cert));
        ck_assert_int_eq(link_state(&a), LINK_OPEN);
        ck_assert_int_eq(link_state(&b), LINK_OPEN);
        /* The model hands the core the same member that the real channel proves. */
        const struct member *m = link_peer(&a);
        ck_assert_mem_eq(&m->node, &w->node[far].member.node, sizeof(m->node));
        ck_assert_mem_eq(&m->model, &w->node[far].member.model, sizeof(m->model));
        ck_assert_uint_eq(m->index, w->node[far].member.index);
        ck_assert_int_eq(m->role, w->node[far].member.role);
        link_wipe(&a);
        link_wipe(&b);
    }
    free(scratch);
    world_fini(w);
    free(w);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("sim parts");
    TCase *t = tcase_create("parts");
    suite_add_tcase(s, t);
    tcase_add_test(t, heap_orders_by_time_then_by_arrival);
    tcase_add_test(t, heap_keeps_order_while_time_goes_on);
    tcase_add_test(t, alarms_follow_every_change);
    tcase_add_test(t, pool_items_stay_where_they_are);
    tcase_add_test(t, shared_bytes_live_as_long_as_a_holder);
    tcase_add_test(t, handshake_sizes_are_the_real_ones);
    return test_run(s);
}
