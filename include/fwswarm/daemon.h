/* What fwswarm-peer and fwswarm-tracker share: verbs, settings, the run itself, and the printing of
 * status.  Each program is a table of options and a few words about itself. */
#pragma once

#include "fwswarm/conf.h"
#include "fwswarm/host.h"

struct daemon_settings {
    char device[1024], data[1024], image_path[1024];
    char install[1024], current_image[1024], current_command[1024];
    char current_version[VERSION_MAX + 1];
    struct conf_addrs listen, trackers, peers;
    struct conf_texts lan_interfaces, install_args;
    bool lan, confirm_on_install;
    uint64_t lan_port, current_sequence, up_rate, down_rate, reserve, poll;
    uint32_t log_level;
};

/* Rows that both programs have. */
#define DAEMON_ROW_DEVICE                                                                          \
    {                                                                                              \
        .name = "device", .kind = CONF_PATH, .flags = CONF_REQUIRED,                               \
        CONF_AT(struct daemon_settings, device), .metavar = "DIR",                                 \
        .help = "who this node is: node.key, node.cert, root.pub and model, as enrolled"           \
    }
#define DAEMON_ROW_DATA                                                                            \
    {                                                                                              \
        .name = "data", .kind = CONF_PATH, .flags = CONF_REQUIRED,                                 \
        CONF_AT(struct daemon_settings, data), .metavar = "DIR",                                   \
        .help = "where images and state are kept; made when absent"                                \
    }
#define DAEMON_ROW_TRACKER                                                                         \
    {                                                                                              \
        .name = "tracker", .kind = CONF_ADDRS, CONF_AT(struct daemon_settings, trackers),          \
        .min = 1, .max = 65535, .metavar = "ADDR:PORT", .help = "a verify node"                    \
    }
#define DAEMON_ROW_PEER                                                                            \
    {                                                                                              \
        .name = "peer", .kind = CONF_ADDRS, CONF_AT(struct daemon_settings, peers), .min = 1,      \
        .max = 65535, .metavar = "ADDR:PORT", .help = "a node to begin with"                       \
    }
#define DAEMON_ROWS_LAN                                                                            \
    {.name = "lan",                                                                                \
     .kind = CONF_BOOL,                                                                            \
     CONF_AT(struct daemon_settings, lan),                                                         \
     .fallback = "on",                                                                             \
     .metavar = "on|off",                                                                          \
     .help = "find neighbours by multicast on the LAN; off opens no multicast socket"},            \
        {.name = "lan-interface",                                                                  \
         .kind = CONF_TEXTS,                                                                       \
         CONF_AT(struct daemon_settings, lan_interfaces),                                          \
         .metavar = "NAME",                                                                        \
         .help = "an interface to use; default: all but loopback"},                                \
    {                                                                                              \
        .name = "lan-port", .kind = CONF_U64, CONF_AT(struct daemon_settings, lan_port), .min = 1, \
        .max = 65535, .fallback = "7654", .metavar = "PORT",                                       \
        .help = "UDP port of the announcements, the same in the whole fleet"                       \
    }
#define DAEMON_ROWS_RATE                                                                           \
    {.name = "up-rate",                                                                            \
     .kind = CONF_RATE,                                                                            \
     CONF_AT(struct daemon_settings, up_rate),                                                     \
     .fallback = "0",                                                                              \
     .metavar = "RATE",                                                                            \
     .help = "most bytes of images sent a second; 0 = no limit"},                                  \
    {                                                                                              \
        .name = "down-rate", .kind = CONF_RATE, CONF_AT(struct daemon_settings, down_rate),        \
        .fallback = "0", .metavar = "RATE",                                                        \
        .help = "most bytes of images fetched a second; 0 = no limit"                              \
    }
#define DAEMON_ROWS_REST                                                                           \
    {.name = "reserve",                                                                            \
     .kind = CONF_SIZE,                                                                            \
     CONF_AT(struct daemon_settings, reserve),                                                     \
     .fallback = "16MiB",                                                                          \
     .metavar = "SIZE",                                                                            \
     .help = "space to leave free on the file system of --data"},                                  \
        {.name = "poll",                                                                           \
         .kind = CONF_DURATION,                                                                    \
         CONF_AT(struct daemon_settings, poll),                                                    \
         .fallback = "30min",                                                                      \
         .metavar = "TIME",                                                                        \
         .help = "mean time between version checks; 0 = none"},                                    \
    {                                                                                              \
        .name = "log-level", .kind = CONF_ENUM, CONF_AT(struct daemon_settings, log_level),        \
        .fallback = "info", .metavar = "error|warn|info|debug", .help = "how much is logged"       \
    }

struct daemon {
    const char *name;  /* "fwswarm-peer" */
    const char *about; /* a paragraph for --help */
    const struct conf_row *rows;
    size_t rows_count;
    bool verify;       /* runs as a verify node */
    bool device_verbs; /* has check, confirm and reject */
};

/* main() of a daemon: returns the exit status (enum host_exit). */
int daemon_main(const struct daemon *d, int argc, char **argv);
