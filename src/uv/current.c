/* What the device runs now.
 *
 * Either a file (or partition) that is hashed on the pool, or a version text, or both; the text is
 * fixed by an option or printed by a command.  When the digest is that of a release this node
 * holds, the signed version and sequence of that release are taken instead of the configured ones,
 * which are out of date after the first update. */
#include "loop.h"

#include <assert.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COMMAND_MS 10000u

static void read_boot_id(struct host_current *c)
{
    char text[64] = {0}, hex[33];
    size_t k = 0;
    FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");
    if (f == NULL)
        return;
    size_t n = fread(text, 1, sizeof(text) - 1, f);
    fclose(f);
    for (size_t i = 0; i < n && k < 32; i++)
        if (text[i] != '-')
            hex[k++] = text[i];
    hex[k] = '\0';
    if (k == 32 && hex_decode(c->boot, sizeof(c->boot), hex))
        c->boot_len = sizeof(c->boot);
}

/* The release among ours with this image, or NULL. */
static const struct manifest *by_digest(struct host *h, const struct digest *d)
{
    struct node_image_status st;
    for (uint32_t i = 0; i < h->opt->limits->images; i++)
        if (node_image_status(h->node, i, &st) && digest_equal(&st.manifest->digest, d))
            return st.manifest;
    return NULL;
}

static void tell(struct host *h)
{
    struct host_current *c = &h->current;
    struct event ev = {.type = EV_ORDER};
    const struct manifest *m = digest_is_zero(&c->digest) ? NULL : by_digest(h, &c->digest);
    char version[VERSION_MAX + 1], hex[65];
    c->hashing = false;
    if (c->boot_len == 0)
        read_boot_id(c);
    memcpy(version, c->version, sizeof(version));
    ev.order.what = ORDER_CURRENT;
    ev.order.digest = c->digest;
    ev.order.size = c->size;
    ev.order.sequence = h->opt->current_sequence;
    if (m != NULL) {
        memcpy(version, m->version, sizeof(version));
        ev.order.sequence = m->sequence;
    }
    ev.order.text = bytes_str(version);
    /* Without a digest nobody can tell whether a reboot brought the new image or the old one. */
    if (!digest_is_zero(&c->digest))
        ev.order.data = bytes_of(c->boot, c->boot_len);
    hex_encode(hex, c->digest.b, sizeof(c->digest.b));
    log_info(h->log, "current", "version=%s digest=%s size=%llu", version[0] ? version : "unknown",
             digest_is_zero(&c->digest) ? "unknown" : hex, (unsigned long long)c->size);
    host_order(h, &ev);
    if (c->again) {
        c->again = false;
        host_current_refresh(h);
    }
}

static void on_hashed(struct host *h, void *ctx, enum err err, const struct digest *d,
                      uint64_t size)
{
    struct host_current *c = &h->current;
    char shown[SHOWN_MAX];
    (void)ctx;
    if (h->done)
        return;
    memset(&c->digest, 0, sizeof(c->digest));
    c->size = 0;
    if (err == E_OK) {
        c->digest = *d;
        c->size = size;
    } else {
        log_warn(h->log, "current.unreadable",
                 "path=%s err=%s mend=\"--current-image must name what the device runs\"",
                 show(shown, h->opt->current_image), err_name(err));
    }
    tell(h);
}

static void hash_image(struct host *h)
{
    if (h->opt->current_image != NULL)
        disk_digest(h, 0, h->opt->current_image, on_hashed, NULL);
    else
        tell(h);
}

/* ---- the version command ---- */
static void take_text(struct host *h)
{
    struct host_current *c = &h->current;
    char shown[SHOWN_MAX];
    c->text[c->text_len] = '\0';
    c->text[strcspn(c->text, "\r\n")] = '\0';
    if (release_name_valid(c->text, VERSION_MAX))
        memcpy(c->version, c->text, strlen(c->text) + 1);
    else
        log_warn(h->log, "current.command",
                 "path=%s mend=\"it must print one line: a version of 1 to "
                 "%u characters from A-Z a-z 0-9 . _ + ~ -\"",
                 show(shown, h->opt->current_command), VERSION_MAX);
}

static void on_handle_gone(uv_handle_t *handle)
{
    struct host *h = handle->data;
    struct host_current *c = &h->current;
    if (--c->handles > 0)
        return;
    c->asking = false;
    if (h->done)
        return;
    take_text(h);
    hash_image(h);
}

static void close_command(struct host_current *c)
{
    uv_handle_t *all[3] = {(uv_handle_t *)&c->process, (uv_handle_t *)&c->out,
                           (uv_handle_t *)&c->limit};
    for (int i = 0; i < 3; i++)
        if (!uv_is_closing(all[i]))
            uv_close(all[i], on_handle_gone);
}

static void on_child_exit(uv_process_t *process, int64_t status, int signal)
{
    struct host *h = process->data;
    char shown[SHOWN_MAX];
    h->current.exited = true;
    if (status != 0 || signal != 0)
        log_warn(h->log, "current.command", "path=%s code=%d signal=%d",
                 show(shown, h->opt->current_command), (int)status, signal);
    if (h->current.ended)
        close_command(&h->current);
}

static void on_limit(uv_timer_t *timer)
{
    struct host *h = timer->data;
    if (!h->current.exited)
        (void)uv_process_kill(&h->current.process, SIGKILL);
    h->current.text_len = 0;
    close_command(&h->current);
}

static void on_text_room(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct host_current *c = &((struct host *)handle->data)->current;
    (void)suggested;
    *buf = uv_buf_init(c->text + c->text_len, (unsigned)(sizeof(c->text) - 1 - c->text_len));
}

static void on_text(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct host_current *c = &((struct host *)stream->data)->current;
    (void)buf;
    if (n > 0) {
        c->text_len += (size_t)n;
        return;
    }
    if (n == 0)
        return;
    c->ended = true;
    uv_read_stop(stream);
    if (c->exited)
        close_command(c);
}

static void run_command(struct host *h)
{
    struct host_current *c = &h->current;
    char shown[SHOWN_MAX], program[PATH_MAX];
    char *args[] = {program, NULL};
    char *env[] = {(char[]){"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}, NULL};
    if (realpath(h->opt->current_command, program) ==
        NULL) /* spawning says what is wrong with it */
        snprintf(program, sizeof(program), "%s", h->opt->current_command);
    c->text_len = 0;
    c->asking = true;
    c->exited = c->ended = false;
    c->handles = 3;
    c->process.data = c->out.data = c->limit.data = h;
    int r = uv_pipe_init(&h->loop, &c->out, 0);
    assert(r == 0);
    r = uv_timer_init(&h->loop, &c->limit);
    assert(r == 0);
    uv_stdio_container_t io[3] = {
        {.flags = UV_IGNORE},
        {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&c->out},
        {.flags = UV_INHERIT_FD, .data.fd = STDERR_FILENO},
    };
    uv_process_options_t options = {.exit_cb = on_child_exit,
                                    .file = args[0],
                                    .args = args,
                                    .env = env,
                                    .cwd = "/",
                                    .stdio_count = 3,
                                    .stdio = io};
    r = uv_spawn(&h->loop, &c->process, &options);
    if (r == 0)
        r = uv_read_start((uv_stream_t *)&c->out, on_text_room, on_text);
    if (r != 0) {
        log_warn(
            h->log, "current.command",
            "path=%s err=%s mend=\"--current-command must name a program that may be executed\"",
            show(shown, args[0]), uv_err_name(r));
        close_command(c);
        return;
    }
    r = uv_timer_start(&c->limit, on_limit, COMMAND_MS, 0);
    assert(r == 0);
}

void host_current_refresh(struct host *h)
{
    struct host_current *c = &h->current;
    const struct host_options *opt = h->opt;
    if (opt->current_image == NULL && opt->current_version == NULL && opt->current_command == NULL)
        return;
    if (c->hashing) {
        c->again = true;
        return;
    }
    c->hashing = true;
    if (opt->current_version != NULL)
        snprintf(c->version, sizeof(c->version), "%s", opt->current_version);
    if (opt->current_command != NULL)
        run_command(h);
    else
        hash_image(h);
}

void host_current_close(struct host *h)
{
    if (h->current.asking)
        close_command(&h->current);
}
