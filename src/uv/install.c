/* The installer: someone else's program, given a proven image and nothing else of ours.
 *
 * The image is hashed again from storage, then the program is started by exec, never by a shell,
 * with a fixed PATH, five variables that name the release, /dev/null as input, and no descriptor
 * beyond 0-2.  It is a session of its own: stopping the peer never stops an installation.  Its exit
 * status goes to the core, which decides what it means. */
#include "loop.h"

#include <assert.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CODE_CHANGED    65  /* EX_DATAERR: the image in storage is not the signed one any more */
#define CODE_UNREADABLE 74  /* EX_IOERR */
#define CODE_VOID       75  /* it was not started after all */
#define CODE_NOT_EXEC   126 /* as a shell says it */
#define CODE_NOT_FOUND  127
#define CODE_SIGNAL     128

static void tell_code(struct host *h, uint32_t slot, int code)
{
    struct event ev = {.type = EV_ORDER};
    ev.order.what = ORDER_INSTALLED;
    ev.order.slot = slot;
    ev.order.code = code;
    host_order(h, &ev);
}

/* Is the slot's release still the one that was begun, and still to be installed?  It may have been
 * withdrawn, and its slot given away, while its image was hashed or the installer ran. */
static bool still_due(const struct host *h)
{
    struct node_image_status st;
    return node_image_status(h->node, h->install.slot, &st) && st.state == RELEASE_INSTALLING &&
           digest_equal(&st.manifest->id, &h->install.release);
}

static void finish(struct host *h, int code)
{
    h->install.busy = false;
    host_now(h);
    log_at(h->log, code == 0 || code == 4 ? LOG_INFO : LOG_WARN, "install.exit", "slot=%u code=%d",
           h->install.slot, code);
    if (h->done)
        return;
    /* Also when it was withdrawn meanwhile: the core waits for the end of what it began. */
    tell_code(h, h->install.slot, code);
    if (code == 0 || code == 4)
        host_current_refresh(h);
}

static void on_gone(uv_handle_t *handle)
{
    struct host *h = handle->data;
    h->install.process_open = false;
    if (!h->done)
        finish(h, h->install.code);
}

static void on_child_exit(uv_process_t *process, int64_t status, int signal)
{
    struct host *h = process->data;
    h->install.code = signal != 0 ? CODE_SIGNAL + signal : (int)status;
    if (!uv_is_closing((uv_handle_t *)process))
        uv_close((uv_handle_t *)process, on_gone);
}

struct environment {
    char path[48], image[PATH_MAX + 16], version[VERSION_MAX + 24], digest[96], sequence[48],
        model[MODEL_MAX + 24];
    char *list[8];
};

static bool describe(struct host *h, struct environment *env)
{
    struct node_image_status st;
    char hex[65];
    uint32_t i = 0;
    const char *path = store_image_path(h->store, h->install.slot);
    char whole[PATH_MAX];
    /* The installer's working directory is not ours. */
    if (path == NULL || realpath(path, whole) == NULL ||
        !node_image_status(h->node, h->install.slot, &st))
        return false;
    hex_encode(hex, h->install.want.b, sizeof(h->install.want.b));
    int n = snprintf(env->image, sizeof(env->image), "FWSWARM_IMAGE=%s", whole);
    if (n < 0 || (size_t)n >= sizeof(env->image))
        return false;
    snprintf(env->version, sizeof(env->version), "FWSWARM_VERSION=%s", st.manifest->version);
    snprintf(env->digest, sizeof(env->digest), "FWSWARM_DIGEST=%s", hex);
    snprintf(env->sequence, sizeof(env->sequence), "FWSWARM_SEQUENCE=%" PRIu64,
             st.manifest->sequence);
    snprintf(env->model, sizeof(env->model), "FWSWARM_MODEL=%s", st.manifest->model);
    snprintf(env->path, sizeof(env->path), "PATH=/usr/sbin:/usr/bin:/sbin:/bin");
    env->list[i++] = env->path;
    env->list[i++] = env->image;
    env->list[i++] = env->version;
    env->list[i++] = env->digest;
    env->list[i++] = env->sequence;
    env->list[i++] = env->model;
    env->list[i] = NULL;
    return true;
}

static void spawn(struct host *h)
{
    struct environment env;
    char *args[HOST_NAMES_MAX + 2], shown[SHOWN_MAX], program[PATH_MAX];
    const struct host_options *opt = h->opt;
    uint32_t n = 0;
    if (!describe(h, &env)) {
        finish(h, CODE_UNREADABLE);
        return;
    }
    if (realpath(opt->install, program) == NULL) /* spawning says what is wrong with it */
        snprintf(program, sizeof(program), "%s", opt->install);
    args[n++] = program;
    for (uint32_t i = 0; i < opt->install_args.count; i++)
        args[n++] = (char *)(uintptr_t)opt->install_args.name[i];
    args[n] = NULL;
    uv_stdio_container_t io[3] = {
        {.flags = UV_IGNORE},
        {.flags = UV_INHERIT_FD, .data.fd = STDOUT_FILENO},
        {.flags = UV_INHERIT_FD, .data.fd = STDERR_FILENO},
    };
    uv_process_options_t options = {
        .exit_cb = on_child_exit,
        .file = program,
        .args = args,
        .env = env.list,
        .cwd = "/",
        .flags = UV_PROCESS_DETACHED,
        .stdio_count = 3,
        .stdio = io,
    };
    /* Whatever was opened without close-on-exec, here or by who started us. */
    (void)close_range(3, ~0u, CLOSE_RANGE_CLOEXEC);
    h->install.process.data = h;
    h->install.process_open = true;
    int r = uv_spawn(&h->loop, &h->install.process, &options);
    if (r != 0) {
        log_error(h->log, "install.spawn",
                  "path=%s err=%s mend=\"--install must name a program that "
                  "may be executed\"",
                  show(shown, opt->install), uv_err_name(r));
        h->install.code = r == UV_ENOENT ? CODE_NOT_FOUND : CODE_NOT_EXEC;
        uv_close((uv_handle_t *)&h->install.process, on_gone);
        return;
    }
    log_info(h->log, "install.start", "slot=%u path=%s pid=%d", h->install.slot,
             show(shown, opt->install), uv_process_get_pid(&h->install.process));
}

static void on_hashed(struct host *h, void *ctx, enum err err, const struct digest *d,
                      uint64_t size)
{
    (void)ctx;
    (void)size;
    if (h->stopping || h->done) {
        /* The core finds the release still `installing` at its next start and begins again. */
        h->install.busy = false;
        return;
    }
    if (!still_due(h)) {
        log_warn(h->log, "install.void", "slot=%u", h->install.slot);
        h->install.busy = false;
        tell_code(h, h->install.slot, CODE_VOID);
        return;
    }
    if (err != E_OK || !digest_equal(d, &h->install.want)) {
        log_error(h->log, "install.image", "slot=%u err=%s", h->install.slot,
                  err_name(err != E_OK ? err : E_HASH));
        finish(h, err != E_OK ? CODE_UNREADABLE : CODE_CHANGED);
        return;
    }
    spawn(h);
}

void host_install_begin(struct host *h, uint32_t slot, const struct digest *digest)
{
    struct node_image_status st;
    assert(!h->install.busy); /* the core waits for the end of what it began */
    bool known = node_image_status(h->node, slot, &st);
    assert(known); /* the core has just named it */
    h->install.busy = true;
    h->install.slot = slot;
    h->install.want = *digest;
    h->install.release = st.manifest->id;
    disk_digest(h, slot, NULL, on_hashed, NULL);
}

void host_install_close(struct host *h)
{
    /* The child lives on; only our view of it is closed. */
    if (h->install.process_open && !uv_is_closing((uv_handle_t *)&h->install.process))
        uv_close((uv_handle_t *)&h->install.process, on_gone);
}
