/* Publishing to a verify node, once and twice, and everything that stands in its way. */
#include "host_util.h"

#include "fwswarm/publish.h"
#include "run.h"

#include <pthread.h>

struct publishing {
    struct host_publish_options opt;
    struct digest held;
    struct kept_log log;
    enum err err;
    bool done;
    uint32_t steps;
    uint64_t sent;
};

static void on_progress(void *ctx, uint64_t sent, uint64_t size)
{
    struct publishing *p = ctx;
    ck_assert_uint_eq(size, RIG_IMAGE);
    ck_assert_uint_ge(sent, p->sent);
    p->sent = sent;
    p->steps++;
}

static void *publish_thread(void *arg)
{
    struct publishing *p = arg;
    p->err = host_publish(&p->opt, &p->held, &p->log.log);
    __atomic_store_n(&p->done, true, __ATOMIC_RELEASE);
    return NULL;
}

static void prepare(struct publishing *p, struct rig *r, const struct actor *to)
{
    memset(p, 0, sizeof(*p));
    log_keep(&p->log);
    p->opt.identity = &r->mesh->publisher;
    p->opt.root_chain = bytes_of(r->mesh->chain, r->mesh->chain_len);
    p->opt.envelope =
        bytes_of(r->mesh->release[r->release].envelope, r->mesh->release[r->release].envelope_len);
    p->opt.image_path = r->image;
    p->opt.timeout_ms = 4000;
    p->opt.progress = on_progress;
    p->opt.ctx = p;
    if (to != NULL)
        ck_assert(host_listen_addr(to->host, 0, &p->opt.to));
}

static enum err publish(struct publishing *p, struct actor *const *all, size_t n)
{
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, publish_thread, p), 0);
    run_until(all, n, 40, __atomic_load_n(&p->done, __ATOMIC_ACQUIRE));
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    return p->err;
}

START_TEST(once_and_twice)
{
    struct rig r;
    struct actor v, *all[] = {&v};
    struct publishing p;
    struct node_image_status st;
    rig_make(&r, 1, 1);
    actor_make(&v, &r, 0);
    actor_start(&v);
    prepare(&p, &r, &v);
    ck_assert_int_eq(publish(&p, all, 1), E_OK);
    ck_assert(digest_equal(&p.held, &rig_manifest(&r)->digest));
    ck_assert_uint_gt(p.steps, 1);
    ck_assert_int_eq(actor_state(&v), RELEASE_HELD);
    ck_assert(node_image_status(v.host->node, 0, &st));
    ck_assert_uint_eq(st.bytes_peer, RIG_IMAGE);

    prepare(&p, &r, &v);
    double from = seconds();
    ck_assert_int_eq(publish(&p, all, 1), E_OK);
    ck_assert(seconds() - from < 3.0);
    ck_assert(digest_equal(&p.held, &rig_manifest(&r)->digest));
    ck_assert_uint_eq(p.sent, 0);
    ck_assert(node_image_status(v.host->node, 0, &st));
    ck_assert_uint_eq(st.bytes_peer, RIG_IMAGE);
    actor_stop(&v, all, 1);
    actor_free(&v);
    rig_free(&r);
}
END_TEST

START_TEST(what_stands_in_the_way)
{
    struct rig r;
    struct actor v, a, *all[] = {&v, &a};
    struct publishing p;
    char other[512];
    rig_make(&r, 1, 1);
    actor_make(&v, &r, 0);
    actor_make(&a, &r, 1);
    actor_start(&v);
    actor_start(&a);

    prepare(&p, &r, &a); /* a device is no verify node */
    ck_assert_int_eq(publish(&p, all, 2), E_ROLE);

    prepare(&p, &r, &v);
    p.opt.identity = &r.mesh->node[1].signer; /* a device's key is no publisher's */
    ck_assert_int_eq(publish(&p, all, 2), E_UNLISTED);
    p.done = false;
    p.opt.identity = &r.mesh->node[0].signer; /* nor is a verify node's */
    ck_assert_int_eq(publish(&p, all, 2), E_ROLE);

    prepare(&p, &r, &v);
    p.opt.image_path = "/no/such/image";
    ck_assert_int_eq(publish(&p, all, 2), E_NOENT);
    r.mesh->release[r.release].image[70000] ^= 1;
    file_put(in_dir(other, r.dir, "other.bin"), r.mesh->release[r.release].image, RIG_IMAGE);
    prepare(&p, &r, &v);
    p.opt.image_path = other;
    ck_assert_int_eq(publish(&p, all, 2), E_HASH);
    ck_assert_int_eq(actor_state(&v), RELEASE_NONE);

    prepare(&p, &r, &v);
    actor_stop(&v, all, 2);
    ck_assert_int_eq(publish(&p, all + 1, 1), E_REFUSED); /* nobody listens there */
    actor_stop(&a, all + 1, 1);
    actor_free(&v);
    actor_free(&a);
    rig_free(&r);
}
END_TEST

START_TEST(another_fleet_is_not_spoken_to)
{
    struct rig r;
    struct actor v, *all[] = {&v};
    struct publishing p;
    struct mesh *other = mesh_make(99, 1, 0, 1);
    rig_make(&r, 1, 0);
    actor_make(&v, &r, 0);
    actor_start(&v);
    uint32_t release = mesh_release(other, NULL, "6.6.6", 9, 40000);
    char image[512];
    file_put(in_dir(image, r.dir, "foreign.bin"), other->release[release].image, 40000);
    prepare(&p, &r, &v);
    p.opt.identity = &other->publisher;
    p.opt.root_chain = bytes_of(other->chain, other->chain_len);
    p.opt.envelope =
        bytes_of(other->release[release].envelope, other->release[release].envelope_len);
    p.opt.image_path = image;
    p.opt.progress = NULL;
    double from = seconds();
    ck_assert_int_eq(publish(&p, all, 1), E_AUTH);
    ck_assert(seconds() - from < 8.0);
    ck_assert_int_eq(actor_state(&v), RELEASE_NONE);
    actor_stop(&v, all, 1);
    actor_free(&v);
    rig_free(&r);
    mesh_free(other);
}
END_TEST

START_TEST(an_older_release_is_refused)
{
    struct rig r;
    struct actor v, *all[] = {&v};
    struct publishing p;
    char old[512];
    rig_make(&r, 1, 0);
    actor_make(&v, &r, 0);
    actor_start(&v);
    prepare(&p, &r, &v);
    ck_assert_int_eq(publish(&p, all, 1), E_OK);
    uint32_t release = mesh_release(r.mesh, NULL, "1.0.0", 4, RIG_IMAGE);
    file_put(in_dir(old, r.dir, "old.bin"), r.mesh->release[release].image, RIG_IMAGE);
    prepare(&p, &r, &v);
    p.opt.envelope =
        bytes_of(r.mesh->release[release].envelope, r.mesh->release[release].envelope_len);
    p.opt.image_path = old;
    p.opt.timeout_ms = 2000;
    ck_assert_int_eq(publish(&p, all, 1), E_REJECTED);
    ck_assert_uint_eq(p.sent, 0);
    actor_stop(&v, all, 1);
    actor_free(&v);
    rig_free(&r);
}
END_TEST

/* Publishes no image: a stop, a list, or the roots. */
static void prepare_papers(struct publishing *p, struct rig *r, const struct actor *to)
{
    prepare(p, r, to);
    p->opt.envelope = bytes_of(NULL, 0);
    p->opt.image_path = NULL;
    p->opt.progress = NULL;
}

START_TEST(stops_lists_and_roots_alone)
{
    struct rig r;
    struct actor v, *all[] = {&v};
    struct publishing p;
    struct node_status st;
    uint8_t stop[WITHDRAWAL_BYTES_MAX], list[4096];
    rig_make(&r, 1, 1);
    actor_make(&v, &r, 0);
    actor_start(&v);
    prepare(&p, &r, &v);
    ck_assert_int_eq(publish(&p, all, 1), E_OK);

    for (int twice = 0; twice < 2; twice++) {
        prepare_papers(&p, &r, &v);
        p.opt.withdrawal = bytes_of(stop, mesh_withdrawal(r.mesh, r.release, stop, sizeof(stop)));
        ck_assert_int_eq(publish(&p, all, 1), E_OK);
        ck_assert(digest_is_zero(&p.held));
        ck_assert_int_eq(actor_state(&v), RELEASE_WITHDRAWN);
    }
    prepare_papers(&p, &r, &v);
    p.opt.revocations = bytes_of(list, mesh_revoke(r.mesh, 1, 1, list, sizeof(list)));
    for (int twice = 0; twice < 2; twice++) {
        p.done = false;
        ck_assert_int_eq(publish(&p, all, 1), E_OK);
        node_status(v.host->node, &st);
        ck_assert_uint_eq(st.revocation_version, 1);
    }

    (void)mesh_rotate(r.mesh);
    prepare_papers(&p, &r, &v);
    ck_assert_int_eq(publish(&p, all, 1), E_OK);
    node_status(v.host->node, &st);
    ck_assert_uint_eq(st.root_version, 2);
    actor_stop(&v, all, 1);
    actor_free(&v);
    rig_free(&r);
}
END_TEST

START_TEST(papers_that_are_not_good)
{
    struct rig r;
    struct actor v, *all[] = {&v};
    struct publishing p;
    uint8_t stop[WITHDRAWAL_BYTES_MAX], list[4096];
    rig_make(&r, 1, 1);
    actor_make(&v, &r, 0);
    actor_start(&v);

    prepare_papers(&p, &r, &v);
    size_t n = mesh_withdrawal(r.mesh, r.release, stop, sizeof(stop));
    stop[n - 1] ^= 1;
    p.opt.withdrawal = bytes_of(stop, n);
    ck_assert_int_eq(publish(&p, all, 1), E_SIGNATURE);

    prepare_papers(&p, &r, &v);
    n = mesh_revoke(r.mesh, 1, 1, list, sizeof(list));
    list[n - 1] ^= 1;
    p.opt.revocations = bytes_of(list, n);
    ck_assert_int_eq(publish(&p, all, 1), E_SIGNATURE);

    prepare(&p, &r, &v); /* an image without its manifest, and the other way round */
    p.opt.envelope = bytes_of(NULL, 0);
    ck_assert_int_eq(publish(&p, all, 1), E_USAGE);
    prepare(&p, &r, &v);
    p.opt.image_path = NULL;
    ck_assert_int_eq(publish(&p, all, 1), E_USAGE);

    /* What is stopped is not published again: here, and at a node that knows better. */
    prepare(&p, &r, &v);
    p.opt.withdrawal = bytes_of(stop, mesh_withdrawal(r.mesh, r.release, stop, sizeof(stop)));
    ck_assert_int_eq(publish(&p, all, 1), E_WITHDRAWN);
    struct bytes signed_stop = p.opt.withdrawal;
    prepare_papers(&p, &r, &v);
    p.opt.withdrawal = signed_stop;
    ck_assert_int_eq(publish(&p, all, 1), E_OK);
    prepare(&p, &r, &v);
    ck_assert_int_eq(publish(&p, all, 1), E_WITHDRAWN);
    actor_stop(&v, all, 1);
    actor_free(&v);
    rig_free(&r);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("publish");
    TCase *t = tcase_create("publish");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, once_and_twice);
    tcase_add_test(t, what_stands_in_the_way);
    tcase_add_test(t, another_fleet_is_not_spoken_to);
    tcase_add_test(t, an_older_release_is_refused);
    tcase_add_test(t, stops_lists_and_roots_alone);
    tcase_add_test(t, papers_that_are_not_good);
    suite_add_tcase(s, t);
    return test_run(s);
}
