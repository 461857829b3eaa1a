/* fwswarm-peer: a device of the fleet.
 *
 * Everything it does is the host's and the core's; here stand its options.  A run goes:
 * daemon_main() reads flags and file, opens the device directory, opens a host over the data
 * directory, and turns the loop until SIGTERM.  The other verbs talk to a running peer through
 * DIR/control.sock. */
#include "fwswarm/daemon.h"

static const struct conf_row rows[] = {
    DAEMON_ROW_DEVICE,
    DAEMON_ROW_DATA,
    {.name = "listen",
     .kind = CONF_ADDRS,
     CONF_AT(struct daemon_settings, listen),
     .max = 65535,
     .metavar = "ADDR:PORT",
     .help = "address to listen on; port 0 = any free one, written to DIR/listen; "
             "default: every address, port 7654"},
    DAEMON_ROW_TRACKER,
    DAEMON_ROW_PEER,
    DAEMON_ROWS_LAN,
    {.name = "install",
     .kind = CONF_PATH,
     CONF_AT(struct daemon_settings, install),
     .metavar = "PROGRAM",
     .help = "runs when an image is verified, with FWSWARM_IMAGE, FWSWARM_VERSION, FWSWARM_DIGEST, "
             "FWSWARM_SEQUENCE and FWSWARM_MODEL set; exit 0 = installed, 4 = reboot needed, 75 = "
             "try later, else failed"},
    {.name = "install-arg",
     .kind = CONF_TEXTS,
     CONF_AT(struct daemon_settings, install_args),
     .metavar = "TEXT",
     .help = "an argument for it"},
    {.name = "confirm-on-install",
     .kind = CONF_BOOL,
     CONF_AT(struct daemon_settings, confirm_on_install),
     .fallback = "off",
     .help = "installed means good: for devices without a health check"},
    {.name = "current-image",
     .kind = CONF_PATH,
     CONF_AT(struct daemon_settings, current_image),
     .metavar = "FILE",
     .help =
         "file or partition that the device runs; hashed at start, after each install and daily"},
    {.name = "current-version",
     .kind = CONF_TEXT,
     CONF_AT(struct daemon_settings, current_version),
     .metavar = "VERSION",
     .help = "version that the device runs"},
    {.name = "current-command",
     .kind = CONF_PATH,
     CONF_AT(struct daemon_settings, current_command),
     .metavar = "PROGRAM",
     .help = "prints the version that the device runs, as one line"},
    {.name = "current-sequence",
     .kind = CONF_U64,
     CONF_AT(struct daemon_settings, current_sequence),
     .fallback = "0",
     .metavar = "N",
     .help = "sequence number of what a factory device runs; 0 = unknown"},
    DAEMON_ROWS_RATE,
    {.name = "image-path",
     .kind = CONF_PATH,
     CONF_AT(struct daemon_settings, image_path),
     .metavar = "FILE",
     .help = "file or block device that holds the image; default: files below --data"},
    DAEMON_ROWS_REST,
};

int main(int argc, char **argv)
{
    const struct daemon peer = {
        .name = "fwswarm-peer",
        .about =
            "fwswarm-peer: keeps this device's firmware at the newest signed release, fetching "
            "it from\nneighbours and serving it to them.",
        .rows = rows,
        .rows_count = sizeof(rows) / sizeof(rows[0]),
        .device_verbs = true,
    };
    return daemon_main(&peer, argc, argv);
}
