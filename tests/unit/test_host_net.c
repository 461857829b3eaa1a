/* A host among strangers and on bad days: what is refused at start and why, who is let in, and what
 * bytes that no honest node sends lead to. */
#include "host_util.h"

#include "run.h"

#include <signal.h>

/* ---- the device directory ---- */
static void device_refused(const char *dir, enum err want, const char *said)
{
    struct device d;
    struct kept_log log;
    log_keep(&log);
    ck_assert_int_eq(device_open(&d, dir, &log.log), want);
    ck_assert_msg(log_has(&log, said), "%s", log.text);
    ck_assert(log_has(&log, "mend=\""));
    ck_assert_ptr_eq(strchr(log.text, '\n'), log.text + log.n - 1);
}

START_TEST(device_directory_is_judged)
{
    struct rig r;
    char dir[512], path[512];
    uint8_t *data;
    size_t n;
    rig_make(&r, 1, 2);
    device_refused("/no/such/dir", E_NOENT, "ev=device.key path=/no/such/dir/node.key");

    rig_device(&r, 1, in_dir(dir, r.dir, "exposed"));
    ck_assert_int_eq(chmod(in_dir(path, dir, "node.key"), 0640), 0);
    device_refused(dir, E_EXPOSED, "err=exposed");

    rig_device(&r, 1, in_dir(dir, r.dir, "model"));
    file_put(in_dir(path, dir, "model"), "mesh-2\n", 7);
    device_refused(dir, E_MODEL, "model=mesh-2 err=model");
    file_put(path, "a b", 3);
    device_refused(dir, E_FORMAT, "ev=device.model");

    rig_device(&r, 1, in_dir(dir, r.dir, "cert"));
    in_dir(path, r.dir, "other");
    rig_device(&r, 2, path);
    ck_assert_int_eq(file_read(in_dir(path, r.dir, "other/node.cert"), 4096, &data, &n), E_OK);
    file_put(in_dir(path, dir, "node.cert"), data, n); /* another device's */
    free(data);
    device_refused(dir, E_AUTH, "ev=device.cert");
    file_put(path, "", 0); /* what a verify node has, and this key is none */
    device_refused(dir, E_UNLISTED, "ev=device.cert");

    rig_device(&r, 1, in_dir(dir, r.dir, "root"));
    file_put(in_dir(path, dir, "root.pub"), r.mesh->chain, r.mesh->chain_len - 1);
    device_refused(dir, E_TRUNCATED, "ev=device.root");
    ck_assert_int_eq(unlink(path), 0);
    device_refused(dir, E_NOENT, "root.pub err=noent");
    rig_free(&r);
}
END_TEST

/* ---- start ---- */
START_TEST(start_failures_have_an_exit_status)
{
    struct rig r;
    struct actor a, b, *all[] = {&a};
    struct host *h;
    int status = -1;
    rig_make(&r, 1, 2);
    actor_make(&a, &r, 1);
    actor_make(&b, &r, 2);
    actor_start(&a);

    ck_assert(host_listen_addr(a.host, 0, &b.listen));
    ck_assert_int_eq(host_open(&h, &b.opt, &b.log.log, &status), E_BUSY);
    ck_assert_int_eq(status, EXIT_NET);
    ck_assert(log_has(&b.log, "ev=listen.failed"));
    b.listen.port = 0;

    b.opt.data_dir = a.data_dir; /* in use, and of another node */
    ck_assert_int_ne(host_open(&h, &b.opt, &b.log.log, &status), E_OK);
    ck_assert_int_eq(status, EXIT_OPEN);
    actor_stop(&a, all, 1);
    ck_assert_int_eq(host_open(&h, &b.opt, &b.log.log, &status), E_FOREIGN);
    ck_assert_int_eq(status, EXIT_OPEN);
    b.opt.data_dir = "/proc/1/no";
    ck_assert_int_ne(host_open(&h, &b.opt, &b.log.log, &status), E_OK);
    actor_free(&a);
    actor_free(&b);
    rig_free(&r);
}
END_TEST

START_TEST(listen_file_names_the_port)
{
    struct rig r;
    struct actor a, *all[] = {&a};
    struct addr two[2];
    char path[600], want[2 * CONF_ADDR_TEXT + 3], one[CONF_ADDR_TEXT];
    uint8_t *data;
    size_t n;
    rig_make(&r, 1, 1);
    actor_make(&a, &r, 1);
    two[0] = a.listen;
    ck_assert_int_eq(conf_parse_addr(bytes_str("[::1]:0"), &two[1]), E_OK);
    a.opt.listen = (struct host_addrs){2, two};
    actor_start(&a);
    ck_assert(host_listen_addr(a.host, 0, &two[0]));
    ck_assert(host_listen_addr(a.host, 1, &two[1]));
    ck_assert_int_ne(two[0].port, 0);
    ck_assert_int_ne(two[1].port, 0);
    int len = snprintf(want, sizeof(want), "%s\n", conf_print_addr(one, &two[0]));
    (void)snprintf(want + len, sizeof(want) - (size_t)len, "%s\n", conf_print_addr(one, &two[1]));
    (void)snprintf(path, sizeof(path), "%s/listen", a.data_dir);
    ck_assert_int_eq(file_read(path, 4096, &data, &n), E_OK);
    ck_assert_uint_eq(n, strlen(want));
    ck_assert_mem_eq(data, want, n);
    free(data);
    actor_stop(&a, all, 1);
    ck_assert_int_ne(access(path, F_OK), 0);
    actor_free(&a);
    rig_free(&r);
}
END_TEST

/* ---- admission ---- */
START_TEST(silent_strangers_are_few_and_short_lived)
{
    struct rig r;
    struct actor a, *all[] = {&a};
    enum { MANY = 100 };
    static struct stranger s[MANY];
    rig_make(&r, 1, 1);
    actor_make(&a, &r, 1);
    actor_start(&a);
    for (int i = 0; i < MANY; i++) {
        stranger_connect(&s[i], &a);
        turn(all, 1);
        ck_assert_uint_le(a.host->net.unproven, UNPROVEN_MAX);
    }
    /* The handshake rate lets them in over two seconds; the cap holds all the while. */
    double end = seconds() + 3;
    uint32_t most = 0;
    while (seconds() < end) {
        turn(all, 1);
        if (a.host->net.unproven > most)
            most = a.host->net.unproven;
    }
    ck_assert_uint_eq(most, UNPROVEN_MAX);
    ck_assert(log_has(&a.log, "ev=link.refused"));
    run_until(all, 1, 10, a.host->net.unproven == 0);
    for (int i = 0; i < MANY; i++) {
        ck_assert(stranger_closed(&s[i]));
        stranger_end(&s[i]);
    }
    ck_assert_uint_eq(a.host->net.conns_count, 0);
    ck_assert_uint_eq(a.host->net.links_open, 0);
    /* An honest one still gets in. */
    stranger_link(&s[0], &a, 0);
    run_until(all, 1, 5, a.host->net.links_open == 1);
    stranger_end(&s[0]);
    actor_stop(&a, all, 1);
    actor_free(&a);
    rig_free(&r);
}
END_TEST

START_TEST(links_have_a_limit)
{
    struct rig r;
    struct actor a, *all[] = {&a};
    static struct stranger s[8];
    struct limits few = limits_device;
    rig_make(&r, 1, 8);
    actor_make(&a, &r, 1);
    few.links = 6;
    a.opt.limits = &few;
    actor_start(&a);
    for (uint32_t i = 0; i < 6; i++) {
        stranger_link(&s[i], &a, 2 + i);
        stranger_hello(&s[i]);
        run_until(all, 1, 5, a.host->net.links_open == i + 1);
    }
    stranger_connect(&s[6], &a);
    run_until(all, 1, 5, stranger_closed(&s[6]));
    ck_assert_uint_eq(a.host->net.links_open, 6);
    for (uint32_t i = 0; i < 7; i++)
        stranger_end(&s[i]);
    run_until(all, 1, 5, a.host->net.links_open == 0);
    actor_stop(&a, all, 1);
    actor_free(&a);
    rig_free(&r);
}
END_TEST

/* ---- bytes that no honest node sends ---- */
START_TEST(noise_before_the_handshake)
{
    struct rig r;
    struct actor a, *all[] = {&a};
    struct stranger s;
    static uint8_t noise[70000];
    rig_make(&r, 1, 1);
    actor_make(&a, &r, 1);
    actor_start(&a);
    randombytes_buf(noise, sizeof(noise));
    static const size_t lengths[] = {1, 2, 3, 64, 4096, 60000};
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        stranger_connect(&s, &a);
        stranger_send(&s, noise, lengths[i]);
        ck_assert_int_eq(shutdown(s.fd, SHUT_WR), 0);
        run_until(all, 1, 8, stranger_closed(&s));
        stranger_end(&s);
    }
    run_until(all, 1, 5, a.host->net.conns_count == 0);
    ck_assert_uint_eq(a.host->pool.rbufs_used, 0);
    ck_assert(!log_has(&a.log, "ev=link.up"));
    actor_stop(&a, all, 1);
    actor_free(&a);
    rig_free(&r);
}
END_TEST

enum trick {
    FLIPPED_BIT,
    LONG_RECORD,
    EMPTY_RECORD,
    REPLAYED_RECORD,
    CUT_MESSAGE,
    UNKNOWN_CRITICAL,
    TRUNCATED_FIELDS,
    BODY_TOO_LONG,
    NO_HELLO,
    TRICKS
};

static void play(struct stranger *s, enum trick trick)
{
    static const uint8_t zeros[17000];
    uint8_t record[RECORD_WIRE_MAX], plain[LINK_RECORD_MAX];
    struct wire_msg have = {.id = MSG_have}, data = {.id = MSG_data};
    size_t n, wire;
    if (trick != NO_HELLO)
        stranger_hello(s);
    switch (trick) {
    case FLIPPED_BIT:
        n = frame(record + LINK_HEAD_ROOM, &have, NULL, 0);
        wire = link_seal_record(&s->link, record, n);
        record[wire / 2] ^= 1;
        stranger_send(s, record, wire);
        break;
    case LONG_RECORD:
        stranger_send(s, "\xff\xff", 2);
        break;
    case EMPTY_RECORD:
        stranger_send(s, "\x00\x10xxxxxxxxxxxxxxxx", 18);
        break;
    case REPLAYED_RECORD:
        n = frame(record + LINK_HEAD_ROOM, &data, NULL, 0);
        wire = link_seal_record(&s->link, record, n);
        stranger_send(s, record, wire);
        stranger_send(s, record, wire);
        break;
    case CUT_MESSAGE:
        n = frame(plain, &have, NULL, 0);
        stranger_record(s, plain, n - 1);
        break;
    case UNKNOWN_CRITICAL:
        stranger_record(s, "\x00\x00\x00\x01\x7f", 5);
        break;
    case TRUNCATED_FIELDS:
        stranger_record(s, "\x00\x00\x00\x02\x04\x00", 6);
        break;
    case BODY_TOO_LONG:
        n = frame(plain, &data, zeros, sizeof(zeros));
        stranger_record(s, plain, n);
        break;
    case NO_HELLO:
        stranger_says(s, &have, NULL, 0);
        break;
    case TRICKS:
        ck_abort();
    }
}

START_TEST(tricks_close_the_link)
{
    struct rig r;
    struct actor a, *all[] = {&a};
    struct stranger s;
    rig_make(&r, 1, 2);
    actor_make(&a, &r, 1);
    actor_start(&a);
    stranger_link(&s, &a, 2);
    run_until(all, 1, 5, a.host->net.links_open == 1);
    play(&s, (enum trick)_i);
    run_until(all, 1, 5, stranger_closed(&s));
    run_until(all, 1, 5, a.host->net.conns_count == 0);
    ck_assert_uint_eq(a.host->pool.rbufs_used, 0);
    stranger_end(&s);
    actor_stop(&a, all, 1);
    actor_free(&a);
    rig_free(&r);
}
END_TEST

/* Messages of a later protocol are ignored; so are keep-alives; records may come byte by byte. */
START_TEST(later_messages_are_ignored)
{
    struct rig r;
    struct actor a, *all[] = {&a};
    struct stranger s;
    uint8_t record[RECORD_WIRE_MAX];
    struct wire_msg bye = {.id = MSG_bye};
    rig_make(&r, 1, 2);
    actor_make(&a, &r, 1);
    a.log.log.level = LOG_DEBUG;
    actor_start(&a);
    stranger_link(&s, &a, 2);
    stranger_hello(&s);
    stranger_record(&s, "\x00\x00\x00\x03\xfexy\x00\x00\x00\x00", 11);
    run_for(all, 1, 0.2);
    ck_assert(!stranger_closed(&s));
    ck_assert_uint_eq(a.host->net.links_open, 1);
    size_t n = frame(record + LINK_HEAD_ROOM, &bye, NULL, 0);
    size_t wire = link_seal_record(&s.link, record, n);
    for (size_t i = 0; i < wire; i++) {
        stranger_send(&s, record + i, 1);
        run_for(all, 1, 0.005);
    }
    run_until(all, 1, 5, log_has(&a.log, "msg=\"bye"));
    ck_assert_uint_eq(a.host->net.links_open, 1);
    stranger_end(&s);
    run_until(all, 1, 5, a.host->net.links_open == 0);
    ck_assert_uint_eq(a.host->pool.rbufs_used, 0);
    actor_stop(&a, all, 1);
    actor_free(&a);
    rig_free(&r);
}
END_TEST

/* A record that a turn left half read keeps one buffer, and every record ends in its own. */
START_TEST(many_large_records)
{
    struct rig r;
    struct actor a, *all[] = {&a};
    struct stranger s;
    static uint8_t stream[64 * RECORD_WIRE_MAX], body[16384];
    struct wire_msg piece = {.id = MSG_piece};
    size_t total = 0;
    rig_make(&r, 1, 2);
    actor_make(&a, &r, 1);
    actor_start(&a);
    stranger_link(&s, &a, 2);
    stranger_hello(&s);
    for (int i = 0; i < 64; i++) {
        uint8_t *record = stream + total;
        size_t n = frame(record + LINK_HEAD_ROOM, &piece, body, (size_t)i * 256 + 1);
        total += link_seal_record(&s.link, record, n);
    }
    /* Odd portions: the borders of reads fall everywhere. */
    for (size_t at = 0, step = 1; at < total; at += step, step = step * 3 % 70001 + 1) {
        if (step > total - at)
            step = total - at;
        size_t sent = 0;
        while (sent < step) {
            ssize_t w = send(s.fd, stream + at + sent, step - sent, MSG_NOSIGNAL);
            sent += w > 0 ? (size_t)w : 0;
            turn(all, 1);
        }
    }
    run_for(all, 1, 0.2);
    /* None was asked for; the node counts that and holds nothing. */
    ck_assert_uint_eq(a.host->pool.rbufs_used, 0);
    stranger_end(&s);
    actor_stop(&a, all, 1);
    actor_free(&a);
    rig_free(&r);
}
END_TEST

START_TEST(second_signal_is_not_needed)
{
    struct rig r;
    struct actor a, *all[] = {&a};
    rig_make(&r, 1, 1);
    actor_make(&a, &r, 1);
    actor_start(&a);
    run_for(all, 1, 0.05);
    ck_assert_int_eq(raise(SIGTERM), 0);
    double from = seconds();
    run_until(all, 1, 5, a.ended);
    ck_assert(seconds() - from < 2.0);
    actor_free(&a);
    rig_free(&r);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("host_net");
    TCase *t = tcase_create("host_net");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, device_directory_is_judged);
    tcase_add_test(t, start_failures_have_an_exit_status);
    tcase_add_test(t, listen_file_names_the_port);
    tcase_add_test(t, silent_strangers_are_few_and_short_lived);
    tcase_add_test(t, links_have_a_limit);
    tcase_add_test(t, noise_before_the_handshake);
    tcase_add_loop_test(t, tricks_close_the_link, 0, TRICKS);
    tcase_add_test(t, later_messages_are_ignored);
    tcase_add_test(t, many_large_records);
    tcase_add_test(t, second_signal_is_not_needed);
    suite_add_tcase(s, t);
    return test_run(s);
}
