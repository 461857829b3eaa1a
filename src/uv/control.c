/* The control socket: DIR/control.sock, for the user who runs the daemon.
 *
 * One line of JSON in ({"cmd": "status"}), one line of JSON out, then the connection ends.  Answers
 * carry "ok"; a refused request carries "error" with a sentence. */
#include "loop.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define REQUEST_MAX 4096u
#define CONTROL_MAX 8u
#define CONTROL_MS  5000u
#define PATH_CAP    4096u

struct control_conn {
    uv_pipe_t pipe;
    uv_timer_t limit;
    uv_write_t write;
    struct host *host;
    struct control_conn *next;
    int handles;
    char *answer;
    size_t n;
    char request[REQUEST_MAX];
};

/* ---- commands ---- */
static json_t *refused(const char *why)
{
    return json_pack("{s:b, s:s}", "ok", 0, "error", why);
}

static bool any_in_state(struct host *h, enum release_state state)
{
    struct node_image_status st;
    for (uint32_t i = 0; i < h->opt->limits->images; i++)
        if (node_image_status(h->node, i, &st) && st.state == state)
            return true;
    return false;
}

static json_t *order(struct host *h, enum order what)
{
    struct event ev = {.type = EV_ORDER};
    ev.order.what = what;
    host_order(h, &ev);
    return json_pack("{s:b}", "ok", 1);
}

static json_t *obey(struct host *h, const char *cmd)
{
    if (strcmp(cmd, "status") == 0)
        return host_status_json(h);
    if (strcmp(cmd, "check") == 0)
        return order(h, ORDER_CHECK);
    if (strcmp(cmd, "confirm") == 0 || strcmp(cmd, "reject") == 0) {
        if (!any_in_state(h, RELEASE_PENDING))
            return refused("no installed release waits for confirm or reject");
        return order(h, cmd[0] == 'c' ? ORDER_CONFIRM : ORDER_REJECT);
    }
    if (strcmp(cmd, "stop") == 0) {
        host_stop(h);
        return json_pack("{s:b}", "ok", 1);
    }
    return refused("unknown command: status, check, confirm, reject or stop");
}

static char *answer_to(struct host *h, const char *line, size_t n)
{
    json_error_t error;
    json_t *request = json_loadb(line, n, JSON_REJECT_DUPLICATES, &error);
    const char *cmd = json_string_value(json_object_get(request, "cmd"));
    json_t *reply = cmd == NULL ? refused("not a JSON object with \"cmd\"") : obey(h, cmd);
    char *text = reply == NULL ? NULL : json_dumps(reply, JSON_COMPACT | JSON_ENSURE_ASCII);
    json_decref(request);
    json_decref(reply);
    return text;
}

/* ---- connections ---- */
static void on_handle_gone(uv_handle_t *handle)
{
    struct control_conn *c = handle->data;
    struct host_control *ctl = &c->host->control;
    if (--c->handles > 0)
        return;
    struct control_conn **at = &ctl->conns;
    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    ctl->count--;
    free(c->answer);
    free(c);
}

static void drop(struct control_conn *c)
{
    if (uv_is_closing((uv_handle_t *)&c->pipe))
        return;
    uv_close((uv_handle_t *)&c->pipe, on_handle_gone);
    uv_close((uv_handle_t *)&c->limit, on_handle_gone);
}

static void on_limit(uv_timer_t *timer)
{
    drop(timer->data);
}

static void on_answered(uv_write_t *req, int status)
{
    (void)status;
    drop(req->data);
}

static void reply(struct control_conn *c, size_t line_len)
{
    static char newline[] = "\n";
    uv_read_stop((uv_stream_t *)&c->pipe);
    c->answer = answer_to(c->host, c->request, line_len);
    if (c->answer == NULL) {
        drop(c);
        return;
    }
    uv_buf_t bufs[2] = {uv_buf_init(c->answer, (unsigned)strlen(c->answer)),
                        uv_buf_init(newline, 1)};
    c->write.data = c;
    if (uv_write(&c->write, (uv_stream_t *)&c->pipe, bufs, 2, on_answered) != 0)
        drop(c);
}

static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct control_conn *c = handle->data;
    (void)suggested;
    *buf = uv_buf_init(c->request + c->n, (unsigned)(REQUEST_MAX - c->n));
}

static void on_request(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct control_conn *c = stream->data;
    (void)buf;
    if (n < 0) {
        drop(c);
        return;
    }
    c->n += (size_t)n;
    const char *end = memchr(c->request, '\n', c->n);
    if (end != NULL)
        reply(c, (size_t)(end - c->request));
    else if (c->n == REQUEST_MAX)
        drop(c);
}

static void on_connection(uv_stream_t *server, int status)
{
    struct host *h = server->data;
    if (status != 0)
        return;
    struct control_conn *c = must_alloc(sizeof(*c));
    memset(c, 0, sizeof(*c));
    c->host = h;
    c->handles = 2;
    c->next = h->control.conns;
    h->control.conns = c;
    h->control.count++;
    c->pipe.data = c->limit.data = c;
    int r = uv_pipe_init(&h->loop, &c->pipe, 0);
    r |= uv_timer_init(&h->loop, &c->limit);
    assert(r == 0);
    if (uv_accept(server, (uv_stream_t *)&c->pipe) != 0 || h->control.count > CONTROL_MAX ||
        uv_timer_start(&c->limit, on_limit, CONTROL_MS, 0) != 0 ||
        uv_read_start((uv_stream_t *)&c->pipe, on_room, on_request) != 0)
        drop(c);
}

/* ---- the socket ---- */

/* A Unix socket's path is short; a long one is reached through a descriptor of its directory. */
static int short_path(char out[static PATH_CAP], const char *dir, int *dir_fd)
{
    int n = snprintf(out, PATH_CAP, "%s/control.sock", dir);
    *dir_fd = -1;
    if (n < 0 || (size_t)n >= PATH_CAP)
        return -ENAMETOOLONG;
    if ((size_t)n < sizeof(((struct sockaddr_un *)0)->sun_path))
        return 0;
    *dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (*dir_fd < 0)
        return -errno;
    snprintf(out, PATH_CAP, "/proc/self/fd/%d/control.sock", *dir_fd);
    return 0;
}

enum err host_control_open(struct host *h)
{
    struct host_control *ctl = &h->control;
    char path[PATH_CAP], shown[SHOWN_MAX];
    int r = short_path(path, h->opt->data_dir, &ctl->dir_fd);
    if (r == 0) {
        r = uv_pipe_init(&h->loop, &ctl->pipe, 0);
        assert(r == 0);
        ctl->open = true;
        ctl->pipe.data = h;
        /* The store's lock says that no other daemon uses this directory: what is left is stale. */
        (void)unlink(path);
        mode_t mask = umask(0177);
        r = uv_pipe_bind(&ctl->pipe, path);
        umask(mask);
    }
    if (r == 0)
        r = uv_listen((uv_stream_t *)&ctl->pipe, (int)CONTROL_MAX, on_connection);
    if (r != 0) {
        log_error(h->log, "control.socket",
                  "dir=%s socket=control.sock err=%s mend=\"let this user write there\"",
                  show(shown, h->opt->data_dir), uv_err_name(r));
        return err_from_uv(r);
    }
    return E_OK;
}

void host_control_close(struct host *h)
{
    struct host_control *ctl = &h->control;
    if (!ctl->open)
        return;
    ctl->open = false;
    uv_close((uv_handle_t *)&ctl->pipe, NULL);
    for (struct control_conn *c = ctl->conns; c != NULL; c = c->next)
        drop(c);
    if (ctl->dir_fd >= 0)
        close(ctl->dir_fd);
}

/* ---- the other end ---- */
static enum err talk(int fd, const char *request, char **answer)
{
    size_t n = 0, cap = 1u << 16;
    struct timeval limit = {.tv_sec = CONTROL_MS / 1000};
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    if (send(fd, request, strlen(request), MSG_NOSIGNAL) != (ssize_t)strlen(request))
        return E_CLOSED;
    char *text = must_alloc(cap);
    for (;;) {
        ssize_t r = recv(fd, text + n, cap - n - 1, 0);
        if (r < 0 && errno == EINTR)
            continue;
        if (r <= 0)
            break;
        n += (size_t)r;
        if (n + 1 == cap) {
            cap *= 2;
            text = realloc(text, cap);
            if (text == NULL)
                abort();
        }
    }
    text[n] = '\0';
    if (n == 0 || text[n - 1] != '\n') {
        free(text);
        return E_CLOSED;
    }
    *answer = text;
    return E_OK;
}

enum err control_ask(const char *dir, const char *cmd, char **answer)
{
    char path[PATH_CAP], request[128];
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    int dir_fd;
    int r = short_path(path, dir, &dir_fd);
    if (r != 0)
        return err_from_errno(-r);
    int n = snprintf(request, sizeof(request), "{\"cmd\":\"%s\"}\n", cmd);
    assert(n > 0 && (size_t)n < sizeof(request));
    memcpy(un.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    enum err e = E_IO;
    if (fd >= 0) {
        e = E_OK;
        if (connect(fd, (struct sockaddr *)&un, sizeof(un)) != 0)
            e = errno == ECONNREFUSED ? E_REFUSED : err_from_errno(errno);
        if (e == E_OK)
            e = talk(fd, request, answer);
        close(fd);
    }
    if (dir_fd >= 0)
        close(dir_fd);
    return e;
}
