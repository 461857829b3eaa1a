/* fwswarm-tracker: a verify node of the fleet.
 *
 * The same host and core as fwswarm-peer, with the role that the fleet root gives this key: it
 * takes releases of every model from publishers, seeds them, answers version checks and hands out
 * peers. */
#include "fwswarm/daemon.h"

static const struct conf_row rows[] = {
    DAEMON_ROW_DEVICE,
    DAEMON_ROW_DATA,
    {.name = "listen",
     .kind = CONF_ADDRS,
     .flags = CONF_REQUIRED,
     CONF_AT(struct daemon_settings, listen),
     .max = 65535,
     .metavar = "ADDR:PORT",
     .help = "address to listen on; port 0 = any free one, written to DIR/listen"},
    DAEMON_ROW_TRACKER,
    DAEMON_ROW_PEER,
    DAEMON_ROWS_LAN,
    DAEMON_ROWS_RATE,
    DAEMON_ROWS_REST,
};

int main(int argc, char **argv)
{
    const struct daemon tracker = {
        .name = "fwswarm-tracker",
        .about = "fwswarm-tracker: a verify node: takes published releases, seeds them, answers "
                 "version checks\nand hands out peers.",
        .rows = rows,
        .rows_count = sizeof(rows) / sizeof(rows[0]),
        .verify = true,
    };
    return daemon_main(&tracker, argc, argv);
}
