/* The client's side of a daemon's control socket.
 *
 * Called by `fwswarm-peer status` and its like.  Blocks for at most five seconds. */
#pragma once

#include "fwswarm/err.h"

/* Asks the daemon whose data directory is dir; cmd is status, check, confirm, reject or stop.
 * *answer is one line of JSON with its newline; the caller frees it.  E_NOENT and E_REFUSED: no
 * daemon runs there; E_PERM; E_CLOSED: it broke off. */
MUST enum err control_ask(const char *dir, const char *cmd, char **answer);
