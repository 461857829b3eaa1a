/* A fleet's directory on the vendor's machine: where things lie in it, its root chain, its lock.
 *
 *   root.pub          signed roots, oldest first (a CBOR sequence); public
 *   root.next         the next root while signatures are missing
 *   keys/NAME.key     private keys, mode 0600; keys/NAME.pub beside them
 *   devices.json      who got which index
 *   releases.json     what was signed, so that sequences rise
 *   revocations.bin   the signed revocation list, once there is one
 *
 * Nothing but fleetdir.c and records.c knows these names.  Functions that return int give an exit
 * status and have said what is wrong. */
#pragma once

#include "fwswarm/trust.h"
#include "say.h"

#include <limits.h>

struct path {
    char s[PATH_MAX];
};

struct fleet_dir {
    const char *path;   /* lent */
    struct trust trust; /* at the newest root */
    uint8_t *chain;     /* root.pub, owned */
    size_t chain_len;
    int lock; /* -1 when not locked */
};

/* DIR/a or DIR/a/b (b NULL for the former); E_RANGE by exit status when it is too long. */
int path_join(struct path *out, const char *dir, const char *a, const char *b);

/* Reads a root chain from a file, or from a fleet's directory.  chain is malloc'd and given. */
int root_chain_read(const char *path_or_dir, struct trust *t, uint8_t **chain, size_t *n);

/* Opens DIR; with lock, waits for other users of the directory to finish first. */
int fleet_dir_open(struct fleet_dir *d, const char *path, bool lock);
void fleet_dir_close(struct fleet_dir *d);
/* Locks a directory that is no fleet yet. */
int fleet_dir_lock(struct fleet_dir *d, const char *path);

/* Takes the next root, judged already by trust_advance on a copy, into root.pub and into d. */
int fleet_dir_append(struct fleet_dir *d, struct bytes signed_root);

/* Takes DIR/revocations.bin, when there is one, into *revoked, judged by the newest root.  present
 * tells whether it was there; err what the root thinks of it. */
int fleet_dir_revocations(const struct fleet_dir *d, uint8_t **list, size_t *n, bool *present);

/* Makes a directory; it may exist. */
int dir_make(const char *path, unsigned mode);
bool path_exists(const char *path);

/* Writes a file, refusing to replace one unless force; says the mend. */
int file_put(const char *path, struct bytes data, unsigned mode, bool force);
