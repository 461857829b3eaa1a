/* A daemon's main: verb, settings, the run.
 *
 *   NAME run [options]          the node, in the foreground, logging to standard error
 *   NAME status --data DIR      asks a running one (status_print.c shows the answer)
 *   NAME check|confirm|reject   tells a running one something */
#include "fwswarm/daemon.h"

#include "fwswarm/control.h"
#include "fwswarm/store.h"
#include "status_print.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#define CONFIG_FILE_MAX 65536u
#define DEFAULT_PORT    7654u

static void put(void *ctx, const char *text)
{
    fputs(text, ctx);
}

static void log_to_stderr(void *ctx, enum log_level level, const char *line, size_t n)
{
    (void)ctx;
    (void)level;
    /* One write a line, so that lines of several threads and processes do not mix. */
    ssize_t r = write(STDERR_FILENO, line, n);
    (void)r;
}

/* ---- help ---- */
static void usage(const struct daemon *d, FILE *to)
{
    fprintf(to, "%s\n\nusage: %s run --device DIR --data DIR [options]\n", d->about, d->name);
    fprintf(to, "       %s status --data DIR [--json]\n", d->name);
    if (d->device_verbs)
        fprintf(to, "       %s check | confirm | reject --data DIR\n", d->name);
    fprintf(to, "\n  run      be a node of the fleet, in the foreground\n"
                "  status   what the node that runs on DIR holds, runs and is linked to\n");
    if (d->device_verbs)
        fprintf(to, "  check    ask all links now whether there is something newer\n"
                    "  confirm  the installed release is good: older ones are refused from now on\n"
                    "  reject   the installed release is bad: it is not tried again\n");
    fprintf(to,
            "\n`%s VERB --help` has the options of a verb.\n\n"
            "exit status: 0 done; 1 refused or failed; 2 usage; 3 keys, certificate or data\n"
            "directory cannot be used; 4 an address cannot be listened on; 5 no node runs "
            "on DIR\n",
            d->name);
}

static int misuse(const struct daemon *d, const char *verb, const char *what)
{
    fprintf(stderr, "%s: %s (`%s%s%s --help` has the options)\n", d->name, what, d->name,
            verb[0] != '\0' ? " " : "", verb);
    return EXIT_MISUSE;
}

/* ---- settings ---- */

/* Reads flags, then the file they name; -1 = go on, else the exit status. */
static int settle(const struct daemon *d, const char *verb, struct conf *c, int argc, char **argv)
{
    if (conf_flags(c, argc, argv) != E_OK)
        return misuse(d, verb, c->error);
    if (c->help) {
        printf("usage: %s %s [options]\n\n", d->name, verb);
        conf_help(c, put, stdout);
        return EXIT_DONE;
    }
    if (c->print_config) {
        conf_sample(c, put, stdout);
        return EXIT_DONE;
    }
    if (c->arg_count > 0) {
        fprintf(stderr, "%s: %s: not understood: options begin with --\n", d->name, c->args[0]);
        return EXIT_MISUSE;
    }
    if (c->config != NULL) {
        uint8_t *text;
        size_t n;
        enum err e = file_read(c->config, CONFIG_FILE_MAX, &text, &n);
        if (e != E_OK) {
            fprintf(stderr, "%s: %s: %s: --config must name a readable file\n", d->name, c->config,
                    err_text(e));
            return EXIT_MISUSE;
        }
        e = conf_file(c, c->config, bytes_of(text, n));
        free(text);
        if (e != E_OK)
            return misuse(d, verb, c->error);
    }
    if (conf_check(c) != E_OK)
        return misuse(d, verb, c->error);
    if (c->dump) {
        conf_dump(c, put, stdout);
        return EXIT_DONE;
    }
    return -1;
}

static void take_names(struct host_names *out, const struct conf_texts *in)
{
    _Static_assert(HOST_NAMES_MAX >= CONF_TEXTS_MAX, "every text has a place");
    out->count = in->count;
    for (uint32_t i = 0; i < in->count; i++)
        out->name[i] = in->item[i];
}

static const char *or_null(const char *text)
{
    return text[0] != '\0' ? text : NULL;
}

static void take_options(struct host_options *o, const struct daemon *d,
                         const struct daemon_settings *s, const struct device *device)
{
    memset(o, 0, sizeof(*o));
    o->device = device;
    o->limits = d->verify ? &limits_verify : &limits_device;
    o->data_dir = s->data;
    o->image_path = or_null(s->image_path);
    o->reserve = s->reserve;
    o->listen = (struct host_addrs){s->listen.count, s->listen.item};
    o->trackers = (struct host_addrs){s->trackers.count, s->trackers.item};
    o->peers = (struct host_addrs){s->peers.count, s->peers.item};
    o->lan = s->lan;
    o->lan_port = (uint16_t)s->lan_port;
    take_names(&o->lan_interfaces, &s->lan_interfaces);
    o->install = or_null(s->install);
    take_names(&o->install_args, &s->install_args);
    o->confirm_on_install = s->confirm_on_install;
    o->current_image = or_null(s->current_image);
    o->current_version = or_null(s->current_version);
    o->current_command = or_null(s->current_command);
    o->current_sequence = s->current_sequence;
    o->up_rate = s->up_rate;
    o->down_rate = s->down_rate;
    o->poll_us = s->poll;
}

/* ---- run ---- */
static int wrong_role(const struct daemon *d, const struct daemon_settings *s,
                      const struct device *device)
{
    bool verify = device->who.role == ROLE_VERIFY;
    bool normal = device->who.role == ROLE_NORMAL || device->who.role == ROLE_GATEWAY;
    if (d->verify ? verify : normal)
        return -1;
    fprintf(stderr, "%s: %s: this key has the role %s: run it with %s\n", d->name, s->device,
            role_name(device->who.role),
            verify   ? "fwswarm-tracker"
            : normal ? "fwswarm-peer"
                     : "fwswarm-vendor release publish");
    return EXIT_OPEN;
}

static int run_host(const struct daemon *d, const struct daemon_settings *s,
                    const struct device *device, struct log *log)
{
    struct host_options options;
    struct host *host;
    int status = EXIT_FAILED;
    take_options(&options, d, s, device);
    enum err e = host_open(&host, &options, log, &status);
    if (e != E_OK)
        return status;
    e = host_start(host);
    if (e == E_OK)
        host_run(host);
    host_close(host);
    log_info(log, "stopped", "err=%s", err_name(e));
    return e == E_OK ? EXIT_DONE : EXIT_OPEN;
}

/* Where a node listens when nothing is said: everywhere. */
static void default_listen(struct conf_addrs *listen)
{
    if (listen->count > 0)
        return;
    listen->count = 1;
    listen->item[0] = (struct addr){.family = 4, .port = DEFAULT_PORT};
    /* A machine without IPv6 has no file of IPv6 addresses either. */
    if (access("/proc/net/if_inet6", F_OK) != 0)
        return;
    listen->count = 2;
    listen->item[1] = (struct addr){.family = 6, .port = DEFAULT_PORT};
}

static int verb_run(const struct daemon *d, int argc, char **argv)
{
    struct conf conf;
    struct daemon_settings *s = calloc(1, sizeof(*s));
    struct log log = {.sink = log_to_stderr};
    struct device device;
    if (s == NULL)
        abort();
    conf_init(&conf, d->rows, d->rows_count, s);
    int status = settle(d, "run", &conf, argc, argv);
    if (status < 0 && s->listen.count > HOST_LISTEN_MAX)
        status = misuse(d, "run", "--listen may be given eight times");
    if (status < 0 && s->current_version[0] != '\0' &&
        !release_name_valid(s->current_version, VERSION_MAX))
        status =
            misuse(d, "run", "--current-version: up to 64 characters of A-Z a-z 0-9 . _ + ~ -");
    if (status >= 0) {
        free(s);
        return status;
    }
    default_listen(&s->listen);
    log.level = (enum log_level)s->log_level;
    log.now_us = uv_hrtime() / 1000u;
    log_info(&log, "starting", "program=%s role=%s", d->name, d->verify ? "verify" : "normal");
    if (device_open(&device, s->device, &log) != E_OK) {
        free(s);
        return EXIT_OPEN;
    }
    status = wrong_role(d, s, &device);
    if (status < 0)
        status = run_host(d, s, &device, &log);
    device_close(&device);
    free(s);
    return status;
}

/* ---- asking a running node ---- */
struct ask_settings {
    char data[1024];
    bool json;
};
static const struct conf_row ask_rows[] = {
    {.name = "data",
     .kind = CONF_PATH,
     .flags = CONF_REQUIRED,
     CONF_AT(struct ask_settings, data),
     .metavar = "DIR",
     .help = "data directory of the running node"},
    {.name = "json",
     .kind = CONF_BOOL,
     .flags = CONF_FLAG_ONLY,
     CONF_AT(struct ask_settings, json),
     .help = "print the answer as JSON"},
};

static int ask(const struct daemon *d, const char *verb, int argc, char **argv)
{
    struct conf conf;
    struct ask_settings s;
    char *answer;
    conf_init(&conf, ask_rows, sizeof(ask_rows) / sizeof(ask_rows[0]), &s);
    conf.no_file = true;
    int status = settle(d, verb, &conf, argc, argv);
    if (status >= 0)
        return status;
    enum err e = control_ask(s.data, verb, &answer);
    if (e == E_NOENT || e == E_REFUSED) {
        fprintf(stderr, "%s: %s: no node runs on this directory: start it with `%s run`\n", d->name,
                s.data, d->name);
        return EXIT_ABSENT;
    }
    if (e != E_OK) {
        fprintf(stderr, "%s: %s/control.sock: %s: ask as the user who runs the node\n", d->name,
                s.data, err_text(e));
        return e == E_PERM ? EXIT_FAILED : EXIT_ABSENT;
    }
    status = status_print(d->name, verb, answer, s.json, stdout);
    free(answer);
    return status;
}

int daemon_main(const struct daemon *d, int argc, char **argv)
{
    const char *verb = argc > 1 ? argv[1] : "";
    host_process_setup();
    if (strcmp(verb, "--help") == 0 || strcmp(verb, "-h") == 0 || strcmp(verb, "help") == 0) {
        usage(d, stdout);
        return EXIT_DONE;
    }
    if (strcmp(verb, "run") == 0)
        return verb_run(d, argc - 2, argv + 2);
    bool device_verb =
        strcmp(verb, "check") == 0 || strcmp(verb, "confirm") == 0 || strcmp(verb, "reject") == 0;
    if (strcmp(verb, "status") == 0 || (device_verb && d->device_verbs))
        return ask(d, verb, argc - 2, argv + 2);
    if (verb[0] == '\0')
        usage(d, stderr);
    else
        fprintf(stderr, "%s: %s: no such verb (`%s --help` lists them)\n", d->name, verb, d->name);
    return EXIT_MISUSE;
}
