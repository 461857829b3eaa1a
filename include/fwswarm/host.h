/* The host: one node on libuv, with its sockets, its store and its installer.
 *
 * The daemons call host_open, host_start, host_run and host_close, in this order, from one thread;
 * everything else happens inside.  A host promises the core what core.h asks of it: events in the
 * order they happened, `now` that never goes back, bodies that live as long as the drain, one disk
 * job at a time.  Every failure at start is logged in one line that names the thing, its value and
 * the mend. */
#pragma once

#include "fwswarm/log.h"
#include "fwswarm/node.h"

/* ---- who this node is: a directory written by `fwswarm-vendor device enrol` ---- */
struct device {
    struct signer identity;
    struct bytes root_chain;   /* signed roots, oldest first */
    struct bytes cert;         /* empty for verify nodes and publishers */
    char model[MODEL_MAX + 1]; /* empty for verify nodes and publishers */
    struct digest fleet;
    struct member who;  /* as the certificate, or the root, has it */
    uint8_t *memory[2]; /* what root_chain and cert point into; freed by device_close */
};
/* Reads node.key, root.pub, node.cert and model of dir and judges them against each other. */
MUST enum err device_open(struct device *d, const char *dir, struct log *log);
/* The same from memory (a publisher): keeps copies of what the caller lends. */
MUST enum err device_make(struct device *d, const struct signer *identity, struct bytes root_chain,
                          struct log *log);
void device_close(struct device *d);

/* ---- options; everything a pointer names is lent until host_close ---- */
#define HOST_LISTEN_MAX 8u
#define HOST_NAMES_MAX  32u
#define HOST_LAN_PORT   7654u

struct host_addrs {
    uint32_t count;
    const struct addr *addr;
};
struct host_names {
    uint32_t count;
    const char *name[HOST_NAMES_MAX];
};
struct host_options {
    const struct device *device;
    const struct limits *limits;
    const char *data_dir;   /* "" = a scratch store, no control socket, no listen file */
    const char *image_path; /* NULL, or the file or block device that holds slot images */
    uint64_t reserve;       /* bytes that must stay free beside an image */
    struct host_addrs listen, trackers, peers;
    bool lan;
    uint16_t lan_port;
    struct host_names lan_interfaces; /* none = every interface but loopback */
    const char *install;              /* NULL, or the path of the installer */
    struct host_names install_args;
    bool confirm_on_install;
    const char *current_image, *current_version, *current_command; /* each may be NULL */
    uint64_t current_sequence;
    uint64_t up_rate, down_rate;
    usec poll_us;
    bool publish;
};

struct host;
/* E_USAGE, E_BUSY (port or directory in use), E_PERM ... as logged.  *exit_status, when not NULL,
 * is what a program should end with after an error (EXIT_OPEN or EXIT_NET). */
MUST enum err host_open(struct host **out, const struct host_options *opt, struct log *log,
                        int *exit_status);
/* Gives the core its start, its records, its configured addresses and what runs now. */
MUST enum err host_start(struct host *h);
/* Runs until a signal, a stop command or host_stop; then says goodbye, waits for the disk (at most
 * three seconds) and returns. */
void host_run(struct host *h);
/* Asks for an orderly stop; may be called from any callback of the loop. */
void host_stop(struct host *h);
void host_close(struct host *h);

/* Address that listener i is bound to (a port chosen by the kernel included); false beyond the
 * last. */
bool host_listen_addr(const struct host *h, uint32_t i, struct addr *out);

/* Exit statuses of the daemons. */
enum host_exit {
    EXIT_DONE = 0,
    EXIT_FAILED = 1, /* the request was refused, or the daemon ended on an error */
    EXIT_MISUSE = 2, /* flags or configuration not understood */
    EXIT_OPEN = 3,   /* keys, certificates or the data directory cannot be used */
    EXIT_NET = 4,    /* an address cannot be listened on */
    EXIT_ABSENT = 5, /* no daemon answers on the control socket */
};

/* Process-wide settings that keep a daemon small: call first thing in main(). */
void host_process_setup(void);
