/* The loop: events in, actions out, one timer.
 *
 * A guided tour.  Callbacks of libuv (a read, a finished disk job, the timer) call host_event().
 * When all of a turn have run, on_prepare() drains the core's actions, flushes each link with one
 * write and arms the timer from the core's deadline; libuv computes how long to sleep only after
 * that, so nothing waits a turn.  What is sent at once gives credit at once, which may make the
 * core say more: a few rounds are run, then the loop turns without sleeping so that reading is not
 * starved.
 *
 * An action never leads to an event within perform(): the core is not entered while it is being
 * drained (asserted). */
#include "loop.h"

#include <assert.h>
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NODE_ALIGN 16u

#define ROUNDS   8u
#define STOP_MS  3000u
#define TRIM_MS  1000u
#define PATH_CAP 4096u

usec host_now(struct host *h)
{
    usec now = uv_hrtime() / 1000u;
    if (now > h->now)
        h->now = now;
    h->log->now_us = h->now;
    return h->now;
}

/* ---- actions ---- */
static void remember_root(struct host *h, uint32_t version, struct bytes data)
{
    uint32_t i = h->root_records;
    if (data.n == 0 || i == ROOT_RECORDS_MAX)
        return;
    while (i > 0 && h->root_record[i - 1].version >= version)
        i--;
    if (i < h->root_records && h->root_record[i].version == version)
        return;
    memmove(&h->root_record[i + 1], &h->root_record[i],
            (h->root_records - i) * sizeof(h->root_record[0]));
    h->root_record[i].version = version;
    h->root_record[i].n = data.n;
    h->root_record[i].p = must_alloc(data.n);
    memcpy(h->root_record[i].p, data.p, data.n);
    h->root_records++;
}

/* Links show roots and the revocation list to the other side, so the host keeps both at hand. */
static void remember(struct host *h, uint32_t object, struct bytes data)
{
    if (object_kind_of(object) == OBJ_ROOT)
        remember_root(h, object_number(object), data);
    if (object_kind_of(object) != OBJ_REVOCATIONS)
        return;
    free(h->revocations);
    h->revocations = NULL;
    h->revocations_len = data.n;
    if (data.n == 0)
        return;
    h->revocations = must_alloc(data.n);
    memcpy(h->revocations, data.p, data.n);
}

static void perform_tell(struct host *h, const struct action *act)
{
    switch (act->tell.what) {
    case TELL_INSTALL:
        host_install_begin(h, act->tell.slot, &act->tell.digest);
        break;
    case TELL_REHASH:
        h->refresh_current = true;
        break;
    case TELL_TRUST:
        net_trust_changed(h);
        break;
    case TELL_HELD:
    case TELL_CONFIRMED:
    case TELL_HELD_AT:
    case TELL_STOPPED_AT:
    case TELL_TRUSTED_AT:
        break;
    }
    if (h->watch.tell != NULL)
        h->watch.tell(h->watch.ctx, act->tell.what, act->tell.slot, &act->tell.digest);
}

static void perform(struct host *h, const struct action *act, const uint8_t *head)
{
    struct conn *c;
    switch (act->type) {
    case ACT_DIAL:
        net_dial(h, &act->dial.addr, act->op);
        break;
    case ACT_SEND:
        c = net_find(h, act->link);
        if (c != NULL && c->state == CONN_OPEN)
            stream_send(c, head, act->head_len, &act->send.span);
        break;
    case ACT_CAST:
        host_lan_send(h, act->cast.iface, head, act->head_len);
        break;
    case ACT_CLOSE:
        c = net_find(h, act->link);
        if (c != NULL)
            conn_close_flushed(c, act->err);
        break;
    case ACT_OPEN:
        disk_image_open(h, act);
        break;
    case ACT_SHUT:
        disk_image_shut(h, act->shut.slot, act->shut.remove);
        break;
    case ACT_STORE:
        disk_store(h, act);
        break;
    case ACT_SAVE:
        remember(h, act->save.object,
                 act->save.data.p != NULL ? act->save.data : bytes_of(head, act->head_len));
        disk_save(h, act, head);
        break;
    case ACT_CHECK:
        disk_check(h, act);
        break;
    case ACT_TELL:
        perform_tell(h, act);
        break;
    }
}

static void drain(struct host *h)
{
    uint8_t head[HEAD_MAX];
    struct action act;
    assert(!h->draining);
    h->draining = true;
    h->again = false;
    while (node_next(h->node, &act, head))
        perform(h, &act, head);
    h->draining = false;
}

/* ---- events ---- */
void host_event(struct host *h, struct event *ev)
{
    assert(!h->draining);
    ev->now = host_now(h);
    node_step(h->node, ev);
    h->again = true;
}

void host_event_drain(struct host *h, struct event *ev)
{
    host_event(h, ev);
    drain(h);
}

void host_order(struct host *h, struct event *ev)
{
    ev->type = EV_ORDER;
    host_event_drain(h, ev);
}

/* ---- the end ---- */
static void close_handle(void *handle)
{
    uv_handle_t *handle_uv = handle;
    if (handle_uv->loop != NULL && !uv_is_closing(handle_uv))
        uv_close(handle_uv, NULL);
}

static void close_all(struct host *h)
{
    if (h->done)
        return;
    h->done = true;
    net_close(h);
    host_lan_close(h);
    host_control_close(h);
    host_current_close(h);
    host_install_close(h);
    disk_close(h);
    close_handle(&h->prepare);
    close_handle(&h->idle);
    close_handle(&h->timer);
    close_handle(&h->stop_timer);
    close_handle(&h->trim);
    close_handle(&h->sig[0]);
    close_handle(&h->sig[1]);
}

static void on_stop_limit(uv_timer_t *timer)
{
    struct host *h = timer->data;
    log_warn(h->log, "stop.hurried", "links=%u disk_idle=%d", h->net.conns_count, disk_idle(h));
    close_all(h);
}

static void begin_stop(struct host *h)
{
    struct event ev = {.type = EV_ORDER};
    log_info(h->log, "stopping", "links=%u", h->net.links_open);
    ev.order.what = ORDER_STOP;
    host_order(h, &ev);
    h->stopping = true;
    for (uint32_t i = 0; i < h->net.conns_cap; i++) {
        struct conn *c = h->net.conns[i];
        if (c != NULL && c->state != CONN_FLUSHING)
            conn_close_flushed(c, E_CLOSED);
    }
    uv_update_time(&h->loop);
    int r = uv_timer_start(&h->stop_timer, on_stop_limit, STOP_MS, 0);
    assert(r == 0);
}

void host_stop(struct host *h)
{
    h->stop_asked = true;
    /* Makes the loop turn if it would sleep otherwise. */
    if (!h->done)
        uv_idle_start(&h->idle, h->idle_cb);
}

static void on_signal(uv_signal_t *sig, int number)
{
    struct host *h = sig->data;
    if (++h->signals > 1)
        _exit(EXIT_FAILED);
    host_now(h);
    log_info(h->log, "signal", "number=%d", number);
    host_stop(h);
}

/* ---- the turn ---- */
static void on_idle(uv_idle_t *idle)
{
    uv_idle_stop(idle);
}

static void on_timer(uv_timer_t *timer)
{
    struct host *h = timer->data;
    if (node_deadline(h->node) > host_now(h))
        return; /* libuv counts in milliseconds and may be early by one; on_prepare arms again */
    struct event ev = {.type = EV_TIME};
    host_event(h, &ev);
}

static void arm_timer(struct host *h)
{
    usec deadline = node_deadline(h->node), now = host_now(h), ms = 0;
    if (deadline == USEC_NEVER) {
        uv_timer_stop(&h->timer);
        return;
    }
    if (deadline > now)
        ms = (deadline - now + 999u) / 1000u;
    uv_update_time(&h->loop);
    int r = uv_timer_start(&h->timer, on_timer, ms, 0);
    assert(r == 0);
}

static void on_prepare(uv_prepare_t *prepare)
{
    struct host *h = prepare->data;
    host_now(h);
    if (h->stop_asked && !h->stopping)
        begin_stop(h);
    if (h->refresh_current) {
        h->refresh_current = false;
        host_current_refresh(h);
    }
    for (uint32_t i = 0; i < ROUNDS; i++) {
        drain(h);
        stream_flush_all(h);
        if (!h->again)
            break;
    }
    disk_pump(h);
    if (h->stopping && h->net.conns_count == 0 && disk_idle(h)) {
        close_all(h);
        return;
    }
    if (h->again || h->refresh_current)
        uv_idle_start(&h->idle, on_idle);
    arm_timer(h);
}

static void on_trim(uv_timer_t *timer)
{
    struct host *h = timer->data;
    pool_trim(&h->pool);
    (void)malloc_trim(0);
}

void host_trim_later(struct host *h)
{
    if (h->done || uv_is_active((uv_handle_t *)&h->trim))
        return;
    uv_update_time(&h->loop);
    int r = uv_timer_start(&h->trim, on_trim, TRIM_MS, 0);
    assert(r == 0);
}

/* ---- opening ---- */
static void open_loop(struct host *h)
{
    int r = uv_loop_init(&h->loop);
    assert(r == 0);
    h->loop_open = true;
    r = uv_prepare_init(&h->loop, &h->prepare);
    r |= uv_idle_init(&h->loop, &h->idle);
    r |= uv_timer_init(&h->loop, &h->timer);
    r |= uv_timer_init(&h->loop, &h->stop_timer);
    r |= uv_timer_init(&h->loop, &h->trim);
    r |= uv_signal_init(&h->loop, &h->sig[0]);
    r |= uv_signal_init(&h->loop, &h->sig[1]);
    assert(r == 0);
    h->idle_cb = on_idle;
    h->prepare.data = h->timer.data = h->stop_timer.data = h->trim.data = h;
    h->sig[0].data = h->sig[1].data = h;
}

static enum err open_store(struct host *h)
{
    struct store_options so = {
        .dir = h->opt->data_dir,
        .image_path = h->opt->image_path,
        .fleet = h->opt->device->fleet,
        .node = h->opt->device->identity.pub,
        .slots = h->opt->limits->images,
        .reserve = h->opt->reserve,
    };
    return store_open(&h->store, &so, &h->store_log);
}

static bool listen_path(const struct host *h, char out[static PATH_CAP])
{
    int n = snprintf(out, PATH_CAP, "%s/listen", h->opt->data_dir);
    return h->opt->data_dir[0] != '\0' && n > 0 && (size_t)n < PATH_CAP;
}

/* Nobody shall dial what a run before this one listened on. */
static void remove_listen_file(const struct host *h)
{
    char path[PATH_CAP];
    if (listen_path(h, path))
        (void)unlink(path);
}

/* The chosen addresses, one a line, for scripts that asked for port 0. */
static enum err write_listen_file(struct host *h)
{
    char text[HOST_LISTEN_MAX * (CONF_ADDR_TEXT + 1)], path[PATH_CAP], one[CONF_ADDR_TEXT];
    char shown[SHOWN_MAX];
    size_t n = 0;
    struct addr a;
    for (uint32_t i = 0; host_listen_addr(h, i, &a); i++)
        n += (size_t)snprintf(text + n, sizeof(text) - n, "%s\n", conf_print_addr(one, &a));
    if (!listen_path(h, path))
        return E_OVERSIZED;
    enum err e = file_write(path, bytes_of(text, n), 0644, true);
    if (e != E_OK)
        log_error(h->log, "listen.file",
                  "path=%s err=%s mend=\"free space there, and let this user write it\"",
                  show(shown, path), err_name(e));
    return e;
}

static void open_node(struct host *h)
{
    const struct host_options *opt = h->opt;
    uint8_t seed[32];
    struct addr a;
    h->conf.role = opt->device->who.role;
    memcpy(h->conf.model, opt->device->model, sizeof(h->conf.model));
    h->conf.port = host_listen_addr(h, 0, &a) ? a.port : 0;
    h->conf.up_rate = opt->up_rate;
    h->conf.down_rate = opt->down_rate;
    h->conf.lan = opt->lan;
    h->conf.lan_interfaces = h->lan.places;
    h->conf.install = opt->install != NULL;
    h->conf.confirm_on_install = opt->confirm_on_install;
    h->conf.image_in_place = opt->image_path != NULL;
    h->conf.poll_us = opt->poll_us;
    h->conf.publish = opt->publish;
    /* What is not used of it is never taken. */
    uint8_t *mem = calloc(1, node_size(opt->limits) + NODE_ALIGN - 1);
    if (mem == NULL)
        abort();
    randombytes_buf(seed, sizeof(seed));
    size_t off = (NODE_ALIGN - (uintptr_t)mem % NODE_ALIGN) % NODE_ALIGN;
    h->node = node_init(mem + off, opt->limits, &h->conf, seed, h->log);
    h->node_mem = mem;
    crypto_wipe(seed, sizeof(seed));
}

static void start_signals(struct host *h)
{
    int r = uv_prepare_start(&h->prepare, on_prepare);
    r |= uv_signal_start(&h->sig[0], on_signal, SIGTERM);
    r |= uv_signal_start(&h->sig[1], on_signal, SIGINT);
    assert(r == 0);
}

enum err host_open(struct host **out, const struct host_options *opt, struct log *log,
                   int *exit_status)
{
    struct host *h = must_alloc(sizeof(*h));
    int status = EXIT_OPEN;
    *out = NULL;
    memset(h, 0, sizeof(*h));
    h->opt = opt;
    h->log = log;
    h->store_log = *log;
    hex_encode(log->node, opt->device->identity.pub.b, 4);
    memcpy(h->store_log.node, log->node, sizeof(log->node));
    h->started_at = host_now(h);
    h->store_log.now_us = h->now;
    h->evp = aead_evp_open();
    h->aead = h->evp != NULL ? aead_evp_view(h->evp) : aead_sodium;
    open_loop(h);
    disk_open(h);
    enum err e = open_store(h);
    if (e == E_OK) {
        status = EXIT_NET;
        remove_listen_file(h);
        e = net_open(h);
    }
    if (e == E_OK && opt->data_dir[0] != '\0') {
        status = EXIT_OPEN;
        e = write_listen_file(h);
        if (e == E_OK)
            e = host_control_open(h);
    }
    if (e != E_OK) {
        if (exit_status != NULL)
            *exit_status = status;
        host_close(h);
        return e;
    }
    host_lan_open(h);
    open_node(h);
    start_signals(h);
    *out = h;
    return E_OK;
}

/* ---- starting ---- */
static void on_record(void *ctx, uint32_t object, struct bytes data)
{
    struct host *h = ctx;
    struct event ev = {.type = EV_LOADED};
    ev.loaded.object = object;
    ev.loaded.data = data;
    remember(h, object, data);
    host_event(h, &ev);
}

static void know(struct host *h, const struct host_addrs *list, bool verify)
{
    for (uint32_t i = 0; i < list->count; i++) {
        struct event ev = {.type = EV_ORDER};
        ev.order.what = ORDER_KNOW;
        ev.order.addr = list->addr[i];
        ev.order.flag = verify;
        host_order(h, &ev);
    }
}

enum err host_start(struct host *h)
{
    struct event ev = {.type = EV_START};
    ev.start.identity = &h->opt->device->identity;
    ev.start.root_chain = h->opt->device->root_chain;
    ev.start.cert = h->opt->device->cert;
    host_event_drain(h, &ev);
    enum err e = store_records(h->store, on_record, h);
    if (e != E_OK) {
        log_error(h->log, "start.records",
                  "dir=%s err=%s mend=\"check the disk, or remove the directory\"",
                  h->opt->data_dir, err_name(e));
        return e;
    }
    ev = (struct event){.type = EV_READY};
    host_event_drain(h, &ev);
    net_trust_changed(h);
    know(h, &h->opt->trackers, true);
    know(h, &h->opt->peers, false);
    h->started = true;
    host_current_refresh(h);
    return E_OK;
}

void host_run(struct host *h)
{
    (void)uv_run(&h->loop, UV_RUN_DEFAULT);
}

void host_close(struct host *h)
{
    if (h == NULL)
        return;
    close_all(h);
    (void)uv_run(&h->loop, UV_RUN_DEFAULT);
    disk_free(h);
    net_free(h);
    pool_trim(&h->pool);
    if (h->store != NULL) {
        remove_listen_file(h);
        store_close(h->store);
    }
    aead_evp_close(h->evp);
    for (uint32_t i = 0; i < h->root_records; i++)
        free(h->root_record[i].p);
    free(h->revocations);
    free(h->node_mem);
    int r = uv_loop_close(&h->loop);
    assert(r == 0);
    free(h);
}

void host_process_setup(void)
{
    /* Two pool threads: one job writes, one long job reads.  libuv reads this once. */
    (void)setenv("UV_THREADPOOL_SIZE", "2", 0);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN); /* a limit on file sizes is an error like a full disk */
    /* Large buffers come from mmap and go back on free; one arena serves the few threads. */
    (void)mallopt(M_MMAP_THRESHOLD, 64 * 1024);
    (void)mallopt(M_ARENA_MAX, 1);
    if (sodium_init() < 0)
        abort();
}
