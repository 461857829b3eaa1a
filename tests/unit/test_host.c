/* Hosts together: fetching over real sockets and storage, resuming, the installer, what runs now,
 * the control socket, multicast on loopback. */
#include "host_util.h"

#include "fwswarm/control.h"
#include "run.h"

#include <pthread.h>
#include <signal.h>
#include <sys/un.h>

/* ---- fetching ---- */
static void check_image(const struct actor *a)
{
    uint8_t *data;
    size_t n;
    const struct rig *r = a->rig;
    const char *path = store_image_path(a->host->store, 0);
    ck_assert_ptr_nonnull(path);
    ck_assert_int_eq(file_read(path, RIG_IMAGE, &data, &n), E_OK);
    ck_assert_uint_eq(n, RIG_IMAGE);
    ck_assert_mem_eq(data, r->mesh->release[r->release].image, n);
    free(data);
}

START_TEST(fetch_from_verify_node_and_peer)
{
    struct rig r;
    struct actor v, a, b;
    struct actor *all[] = {&v, &a, &b};
    rig_make(&r, 1, 2);
    actor_make(&v, &r, 0);
    actor_make(&a, &r, 1);
    actor_make(&b, &r, 2);
    actor_seed(&v);
    actor_knows(&a, &v);
    actor_start(&a);
    run_until(all, 2, 20, actor_state(&a) == RELEASE_HELD);
    check_image(&a);

    /* The verify node goes; a device teaches the next one release and image. */
    actor_stop(&v, all, 2);
    actor_knows(&b, &a);
    b.opt.peers = b.opt.trackers;
    b.opt.trackers.count = 0;
    actor_start(&b);
    run_until(all, 3, 20, actor_state(&b) == RELEASE_HELD);
    check_image(&b);
    struct node_image_status st;
    ck_assert(node_image_status(b.host->node, 0, &st));
    ck_assert_uint_eq(st.bytes_peer, RIG_IMAGE);
    ck_assert_uint_eq(st.bytes_origin, 0);
    ck_assert(node_image_status(a.host->node, 0, &st));
    ck_assert_uint_eq(st.bytes_origin, RIG_IMAGE);
    actor_stop(&b, all, 3);
    actor_stop(&a, all, 2);
    actor_free(&a);
    actor_free(&b);
    actor_free(&v);
    rig_free(&r);
}
END_TEST

START_TEST(resume_after_a_stop)
{
    struct rig r;
    struct actor v, a;
    struct actor *all[] = {&v, &a};
    struct node_image_status st;
    rig_make(&r, 1, 1);
    actor_make(&v, &r, 0);
    actor_make(&a, &r, 1);
    actor_seed(&v);
    actor_knows(&a, &v);
    a.opt.down_rate = 2000000;
    actor_start(&a);
    run_until(all, 2, 20,
              node_image_status(a.host->node, 0, &st) && st.blocks_have >= 20 &&
                  st.blocks_have < st.geo.blocks);
    uint32_t had = st.blocks_have;
    actor_stop(&a, all, 2);
    a.opt.down_rate = 0;
    actor_start(&a);
    run_until(all, 2, 20, actor_state(&a) == RELEASE_HELD);
    check_image(&a);
    ck_assert(node_image_status(a.host->node, 0, &st));
    /* What was kept is not fetched again.  The last block, which is short, may be among it. */
    ck_assert_uint_ge(st.bytes_resumed, (uint64_t)(had - 1) * BLOCK_LEN + RIG_IMAGE % BLOCK_LEN);
    ck_assert_uint_le(st.bytes_resumed + st.bytes_origin, RIG_IMAGE + BLOCK_LEN);
    actor_stop(&a, all, 2);
    actor_stop(&v, all, 1);
    actor_free(&a);
    actor_free(&v);
    rig_free(&r);
}
END_TEST

/* Nothing of a busy host stays allocated once it is at rest. */
START_TEST(buffers_go_back)
{
    struct rig r;
    struct actor v, a;
    struct actor *all[] = {&v, &a};
    rig_make(&r, 1, 1);
    actor_make(&v, &r, 0);
    actor_make(&a, &r, 1);
    actor_seed(&v);
    actor_knows(&a, &v);
    actor_start(&a);
    run_until(all, 2, 20, actor_state(&a) == RELEASE_HELD);
    run_until(all, 2, 5, a.host->pool.rbufs_free == 0 && v.host->pool.sbufs_free == 0);
    ck_assert_uint_eq(a.host->pool.rbufs_used, 0);
    ck_assert_uint_eq(v.host->pool.rbufs_used, 0);
    actor_stop(&a, all, 2);
    actor_stop(&v, all, 1);
    actor_free(&a);
    actor_free(&v);
    rig_free(&r);
}
END_TEST

/* ---- the installer ---- */

/* Runs a peer with this installer script until its release is in `state`. */
static void install_with(struct rig *r, const char *script, bool confirm, enum release_state state,
                         struct node_image_status *st, struct kept_log *log)
{
    struct actor v, a;
    struct actor *all[] = {&v, &a};
    char program[512], current[512];
    actor_make(&v, r, 0);
    actor_make(&a, r, 1);
    file_put(in_dir(program, r->dir, "install.sh"), script, strlen(script));
    ck_assert_int_eq(chmod(program, 0755), 0);
    file_put(in_dir(current, r->dir, "running.bin"), "old", 3);
    actor_seed(&v);
    actor_knows(&a, &v);
    a.opt.install = program;
    a.opt.install_args = (struct host_names){2, {r->dir, "two words"}};
    a.opt.confirm_on_install = confirm;
    a.opt.current_image = current;
    a.opt.current_version = "1.0.0";
    actor_start(&a);
    run_until(all, 2, 30, actor_state(&a) == state);
    run_for(all, 2, 0.2);
    ck_assert(node_image_status(a.host->node, 0, st));
    *log = a.log;
    actor_stop(&a, all, 2);
    actor_stop(&v, all, 1);
    actor_free(&a);
    actor_free(&v);
}

static char *slurp(const struct rig *r, const char *name)
{
    char path[512];
    uint8_t *data;
    size_t n;
    ck_assert_int_eq(file_read(in_dir(path, r->dir, name), 65536, &data, &n), E_OK);
    data = realloc(data, n + 1);
    ck_assert_ptr_nonnull(data);
    data[n] = '\0';
    return (char *)data;
}

START_TEST(installer_gets_a_clean_house)
{
    static const char script[] =
        "#!/bin/sh\n"
        "set -e\n"
        "env | sort > \"$1/env\"\n"
        "echo \"$2\" > \"$1/args\"\n"
        "pwd > \"$1/cwd\"\n"
        ": > \"$1/fds\"\n"
        "for f in $(seq 3 40); do readlink /proc/$$/fd/$f >> \"$1/fds\" || true; done\n"
        "readlink /proc/$$/fd/0 > \"$1/stdin\"\n"
        "[ \"$(cut -d' ' -f6 /proc/$$/stat)\" = $$ ] && echo own > \"$1/session\"\n"
        "cp \"$FWSWARM_IMAGE\" \"$1/running.bin\"\n";
    struct rig r;
    struct node_image_status st;
    static struct kept_log log;
    char hex[65], line[512], *text;
    rig_make(&r, 1, 1);
    in_dir(line, r.dir, "running.bin");
    file_put(line, "old", 3);
    int forgotten = open(line, O_RDONLY);
    ck_assert_int_ge(forgotten, 0);
    install_with(&r, script, true, RELEASE_CONFIRMED, &st, &log);
    ck_assert_int_eq(st.install_code, 0);
    ck_assert_uint_eq(st.install_tries, 1);
    text = slurp(&r, "env");
    hex_encode(hex, rig_manifest(&r)->digest.b, 32);
    (void)snprintf(line, sizeof(line), "FWSWARM_DIGEST=%s\n", hex);
    ck_assert_ptr_nonnull(strstr(text, line));
    ck_assert_ptr_nonnull(strstr(text, "FWSWARM_VERSION=1.1.0\n"));
    ck_assert_ptr_nonnull(strstr(text, "FWSWARM_SEQUENCE=5\n"));
    ck_assert_ptr_nonnull(strstr(text, "FWSWARM_MODEL=mesh-1\n"));
    ck_assert_ptr_nonnull(strstr(text, "PATH=/usr/sbin:/usr/bin:/sbin:/bin\n"));
    ck_assert_ptr_null(strstr(text, "HOME="));
    free(text);
    text = slurp(&r, "args");
    ck_assert_str_eq(text, "two words\n");
    free(text);
    text = slurp(&r, "fds");
    /* Beside what the shell itself opens: nothing, not even what its grandparent forgot. */
    ck_assert_ptr_null(strstr(text, "running.bin"));
    ck_assert_ptr_null(strstr(text, "socket:"));
    ck_assert_ptr_null(strstr(text, "anon_inode:"));
    ck_assert_ptr_null(strstr(text, "/data"));
    close(forgotten);
    free(text);
    text = slurp(&r, "stdin");
    ck_assert_str_eq(text, "/dev/null\n");
    free(text);
    text = slurp(&r, "session");
    ck_assert_str_eq(text, "own\n");
    free(text);
    /* What runs was hashed again and is known by its digest, with the signed version. */
    ck_assert(log_has(&log, "ev=current version=1.1.0"));
    rig_free(&r);
}
END_TEST

static const struct {
    const char *script;
    int code;
    enum release_state state;
} exits[] = {
    {"#!/bin/sh\nexit 0\n", 0, RELEASE_PENDING},
    {"#!/bin/sh\nexit 4\n", 4, RELEASE_PENDING},
    {"#!/bin/sh\nexit 75\n", 75, RELEASE_FAILED},
    {"#!/bin/sh\nexit 9\n", 9, RELEASE_FAILED},
    {"#!/bin/sh\nkill -9 $$\n", 128 + SIGKILL, RELEASE_FAILED},
    {"#!/no/such/interpreter\n", 127, RELEASE_FAILED},
};

START_TEST(installer_exit_status)
{
    struct rig r;
    struct node_image_status st;
    static struct kept_log log;
    rig_make(&r, 1, 1);
    install_with(&r, exits[_i].script, false, exits[_i].state, &st, &log);
    ck_assert_int_eq(st.install_code, exits[_i].code);
    rig_free(&r);
}
END_TEST

/* A release that was withdrawn while its image was hashed once more is not installed. */
START_TEST(withdrawn_before_the_installer_starts)
{
    static const char script[] = "#!/bin/sh\n: > \"$1/ran\"\n";
    struct rig r;
    struct actor v, a;
    struct actor *all[] = {&v, &a};
    char program[512], current[512], ran[512];
    uint8_t stop[WITHDRAWAL_BYTES_MAX];
    rig_make(&r, 1, 1);
    actor_make(&v, &r, 0);
    actor_make(&a, &r, 1);
    file_put(in_dir(program, r.dir, "install.sh"), script, strlen(script));
    ck_assert_int_eq(chmod(program, 0755), 0);
    file_put(in_dir(current, r.dir, "running.bin"), "old", 3);
    actor_seed(&v);
    actor_knows(&a, &v);
    a.opt.install = program;
    a.opt.install_args = (struct host_names){1, {r.dir}};
    a.opt.current_image = current;
    a.opt.current_version = "1.0.0";
    actor_start(&a);
    run_until(all, 2, 30, a.host->install.busy);
    ck_assert(!a.host->install.process_open);
    struct event ev = {.type = EV_ORDER};
    ev.order.what = ORDER_WITHDRAW;
    ev.order.data = bytes_of(stop, mesh_withdrawal(r.mesh, 0, stop, sizeof(stop)));
    host_order(a.host, &ev);
    run_until(all, 2, 10, !a.host->install.busy);
    run_for(all, 2, 0.3);
    ck_assert_int_eq(actor_state(&a), RELEASE_WITHDRAWN);
    ck_assert_int_ne(access(in_dir(ran, r.dir, "ran"), F_OK), 0);
    actor_stop(&a, all, 2);
    actor_stop(&v, all, 1);
    actor_free(&a);
    actor_free(&v);
    rig_free(&r);
}
END_TEST

/* ---- what runs now ---- */
START_TEST(version_command)
{
    static const char good[] = "#!/bin/sh\necho 3.2.1-rc~1\n";
    static const char bad[] = "#!/bin/sh\necho 'no version; rm -rf'\n";
    struct rig r;
    struct actor a, *all[] = {&a};
    struct node_status st;
    char program[512];
    rig_make(&r, 1, 1);
    in_dir(program, r.dir, "version.sh");
    for (int i = 0; i < 2; i++) {
        file_put(program, i == 0 ? good : bad, strlen(i == 0 ? good : bad));
        ck_assert_int_eq(chmod(program, 0755), 0);
        actor_make(&a, &r, 1);
        a.opt.current_command = program;
        actor_start(&a);
        run_until(all, 1, 10, log_has(&a.log, "ev=current version="));
        node_status(a.host->node, &st);
        ck_assert_str_eq(st.current_version, i == 0 ? "3.2.1-rc~1" : "");
        ck_assert_int_eq(log_has(&a.log, "ev=current.command"), i == 1);
        actor_stop(&a, all, 1);
        actor_free(&a);
    }
    rig_free(&r);
}
END_TEST

START_TEST(unreadable_current_image_is_said)
{
    struct rig r;
    struct actor a, *all[] = {&a};
    struct node_status st;
    rig_make(&r, 1, 1);
    actor_make(&a, &r, 1);
    a.opt.current_image = "/no/such/image";
    a.opt.current_version = "1.0";
    actor_start(&a);
    run_until(all, 1, 10, log_has(&a.log, "ev=current version="));
    ck_assert(log_has(&a.log, "ev=current.unreadable path=/no/such/image err=noent"));
    node_status(a.host->node, &st);
    ck_assert_str_eq(st.current_version, "1.0");
    ck_assert(digest_is_zero(&st.current_digest));
    actor_stop(&a, all, 1);
    actor_free(&a);
    rig_free(&r);
}
END_TEST

/* ---- the control socket ---- */
struct asking {
    const char *dir, *cmd;
    char *answer;
    enum err err;
    bool done;
};

static void *ask_thread(void *p)
{
    struct asking *q = p;
    q->err = control_ask(q->dir, q->cmd, &q->answer);
    __atomic_store_n(&q->done, true, __ATOMIC_RELEASE);
    return NULL;
}

/* Asks while the actor runs; the parsed answer. */
static json_t *ask(struct actor *a, const char *cmd)
{
    struct asking q = {.dir = a->data_dir, .cmd = cmd};
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, ask_thread, &q), 0);
    run_until(&a, 1, 10, __atomic_load_n(&q.done, __ATOMIC_ACQUIRE));
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_int_eq(q.err, E_OK);
    json_error_t error;
    json_t *o = json_loads(q.answer, 0, &error);
    ck_assert_ptr_nonnull(o);
    free(q.answer);
    return o;
}

static void control_works(struct rig *r, struct actor *a)
{
    struct stat st;
    char path[1024], hex[65];
    ck_assert_int_lt(snprintf(path, sizeof(path), "%s/control.sock", a->data_dir), 1024);
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_int_eq(st.st_mode & 0777, 0600);
    json_t *o = ask(a, "status");
    hex_encode(hex, r->mesh->node[1].signer.pub.b, 32);
    ck_assert_str_eq(json_string_value(json_object_get(o, "self")), hex);
    ck_assert_str_eq(json_string_value(json_object_get(o, "model")), "mesh-1");
    ck_assert_str_eq(json_string_value(json_object_get(o, "role")), "normal");
    ck_assert(json_is_array(json_object_get(o, "images")));
    ck_assert(json_is_array(json_object_get(o, "links")));
    ck_assert_int_eq(json_integer_value(json_object_get(json_object_get(o, "cases"), "c1_1")), 0);
    json_decref(o);
    o = ask(a, "check");
    ck_assert(json_is_true(json_object_get(o, "ok")));
    json_decref(o);
    o = ask(a, "confirm");
    ck_assert(json_is_false(json_object_get(o, "ok")));
    ck_assert_ptr_nonnull(json_string_value(json_object_get(o, "error")));
    json_decref(o);
    o = ask(a, "dance");
    ck_assert(json_is_false(json_object_get(o, "ok")));
    json_decref(o);
    o = ask(a, "stop");
    ck_assert(json_is_true(json_object_get(o, "ok")));
    json_decref(o);
    run_until(&a, 1, 10, a->ended);
    host_close(a->host);
    a->host = NULL;
    ck_assert_int_ne(stat(path, &st), 0);
}

START_TEST(control_socket)
{
    struct rig r;
    struct actor a;
    struct asking q;
    rig_make(&r, 1, 1);
    actor_make(&a, &r, 1);
    q = (struct asking){.dir = a.data_dir, .cmd = "status"};
    ask_thread(&q);
    ck_assert_int_eq(q.err, E_NOENT);
    actor_start(&a);
    control_works(&r, &a);
    actor_free(&a);
    rig_free(&r);
}
END_TEST

/* A Unix socket's path has 108 bytes; a data directory's may have more. */
START_TEST(control_socket_in_a_deep_directory)
{
    struct rig r;
    struct actor a;
    char deep[400];
    rig_make(&r, 1, 1);
    actor_make(&a, &r, 1);
    ck_assert_int_lt(snprintf(deep, sizeof(deep), "%s/%0150d", r.dir, 7), 400);
    (void)snprintf(a.data_dir, sizeof(a.data_dir), "%s", deep);
    actor_start(&a);
    control_works(&r, &a);
    actor_free(&a);
    rig_free(&r);
}
END_TEST

static int control_connect(const struct actor *a)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    int n = snprintf(un.sun_path, sizeof(un.sun_path), "%s/control.sock", a->data_dir);
    ck_assert_int_lt(n, (int)sizeof(un.sun_path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&un, sizeof(un)), 0);
    ck_assert_int_eq(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    return fd;
}

static bool hung_up(int fd)
{
    char c[256];
    ssize_t n;
    do
        n = recv(fd, c, sizeof(c), 0);
    while (n > 0);
    return n == 0 || (errno != EAGAIN && errno != EINTR);
}

START_TEST(control_takes_nonsense)
{
    struct rig r;
    struct actor a, *all[] = {&a};
    static char big[8192];
    rig_make(&r, 1, 1);
    actor_make(&a, &r, 1);
    actor_start(&a);
    memset(big, 'x', sizeof(big));
    int fd = control_connect(&a);
    ck_assert_int_gt(send(fd, big, sizeof(big), MSG_NOSIGNAL), 0);
    run_until(all, 1, 5, hung_up(fd));
    close(fd);
    fd = control_connect(&a);
    ck_assert_int_eq(send(fd, "]}{\n", 4, MSG_NOSIGNAL), 4);
    run_until(all, 1, 5, hung_up(fd));
    close(fd);
    /* A client that says nothing does not keep its place. */
    fd = control_connect(&a);
    run_until(all, 1, 7, hung_up(fd));
    close(fd);
    json_t *o = ask(&a, "status");
    ck_assert(json_is_true(json_object_get(o, "ok")));
    json_decref(o);
    actor_stop(&a, all, 1);
    actor_free(&a);
    rig_free(&r);
}
END_TEST

/* ---- the LAN ---- */
START_TEST(neighbours_find_each_other)
{
    struct rig r;
    struct actor v, a;
    struct actor *all[] = {&v, &a};
    rig_make(&r, 1, 1);
    actor_make(&v, &r, 0);
    actor_make(&a, &r, 1);
    v.opt.lan = a.opt.lan = true;
    v.opt.lan_port = a.opt.lan_port = 17654;
    v.opt.lan_interfaces = a.opt.lan_interfaces = (struct host_names){1, {"lo"}};
    actor_seed(&v);
    actor_start(&a);
    ck_assert_uint_eq(a.host->lan.pairs, 1);
    run_until(all, 2, 30, actor_state(&a) == RELEASE_HELD);
    actor_stop(&a, all, 2);
    actor_stop(&v, all, 1);
    actor_free(&a);
    actor_free(&v);
    rig_free(&r);
}
END_TEST

START_TEST(lan_off_opens_no_socket)
{
    struct rig r;
    struct actor a, *all[] = {&a};
    char text[4096];
    rig_make(&r, 1, 1);
    actor_make(&a, &r, 1);
    a.opt.lan_port = 17655;
    actor_start(&a);
    run_for(all, 1, 0.2);
    FILE *f = fopen("/proc/net/udp", "re");
    ck_assert_ptr_nonnull(f);
    while (fgets(text, sizeof(text), f) != NULL)
        ck_assert_ptr_null(strstr(text, ":44F7 ")); /* 17655 */
    ck_assert_int_eq(fclose(f), 0);
    actor_stop(&a, all, 1);
    actor_free(&a);
    rig_free(&r);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("host");
    TCase *t = tcase_create("host");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, fetch_from_verify_node_and_peer);
    tcase_add_test(t, resume_after_a_stop);
    tcase_add_test(t, buffers_go_back);
    tcase_add_test(t, installer_gets_a_clean_house);
    tcase_add_test(t, withdrawn_before_the_installer_starts);
    tcase_add_loop_test(t, installer_exit_status, 0, sizeof(exits) / sizeof(exits[0]));
    tcase_add_test(t, version_command);
    tcase_add_test(t, unreadable_current_image_is_said);
    tcase_add_test(t, control_socket);
    tcase_add_test(t, control_socket_in_a_deep_directory);
    tcase_add_test(t, control_takes_nonsense);
    tcase_add_test(t, neighbours_find_each_other);
    tcase_add_test(t, lan_off_opens_no_socket);
    suite_add_tcase(s, t);
    return test_run(s);
}
