/* What tests on the mesh say often. */
#pragma once

#include "mesh.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define MIB  ((uint64_t)1 << 20)
#define SIZE (MIB + 12345)

static inline struct digest other_digest(uint8_t fill)
{
    struct digest d;
    memset(d.b, fill, sizeof(d.b));
    return d;
}

/* One verify node that holds release 0, and devices; only the verify node runs. */
static inline struct mesh *fleet(uint32_t devices, uint64_t size)
{
    struct mesh *m = mesh_make(7, 1, devices, 1);
    mesh_release(m, NULL, "1.0", 1, size);
    mesh_start(m, 0);
    mesh_seed(m, 0, 0);
    return m;
}

static inline void device_up(struct mesh *m, uint32_t node)
{
    mesh_start(m, node);
    mesh_know(m, node, 0, true);
}

/* The device says that it runs what no release here is. */
static inline void runs_factory(struct mesh *m, uint32_t node)
{
    struct digest factory = other_digest(0xfa);
    mesh_current(m, node, "0.1", &factory, 0);
}

/* The node is the vendor's publisher from now on. */
static inline void make_publisher(struct mesh *m, uint32_t node)
{
    struct mesh_node *p = &m->node[node];
    p->signer = m->publisher;
    p->member =
        (struct member){.node = m->publisher.pub, .index = UINT32_MAX, .role = ROLE_PUBLISHER};
    p->conf.role = ROLE_PUBLISHER;
    p->conf.publish = true;
    p->conf.model[0] = '\0';
    p->cert_len = 0;
}

static inline void order(struct mesh *m, uint32_t node, enum order what)
{
    struct event ev = {0};
    ev.order.what = what;
    mesh_order(m, node, &ev);
}

static inline void order_bytes(struct mesh *m, uint32_t node, enum order what, const void *p,
                               size_t n)
{
    struct event ev = {0};
    ev.order.what = what;
    ev.order.data = bytes_of(p, n);
    mesh_order(m, node, &ev);
}

static inline void withdraw(struct mesh *m, uint32_t node, uint32_t release)
{
    uint8_t buf[WITHDRAWAL_BYTES_MAX];
    size_t n = mesh_withdrawal(m, release, buf, sizeof(buf));
    order_bytes(m, node, ORDER_WITHDRAW, buf, n);
}

static inline void run(struct mesh *m, usec time)
{
    mesh_run(m, m->now + time);
}

static inline enum release_state state_of(struct mesh *m, uint32_t node, uint32_t release)
{
    return mesh_state(m, node, release, NULL);
}

static inline struct wire_msg message(enum msg_id id)
{
    struct wire_msg m;
    memset(&m, 0, sizeof(m));
    m.id = id;
    return m;
}

/* Runs the case and says how main() is to end. */
static inline int run_node_tests(TCase *t, const char *name)
{
    Suite *s = suite_create(name);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? 0 : 1;
}
