/* From one root to the next: signing, waiting for signatures, taking it.
 *
 * Used by `root rotate`, `root merge` and by `device enrol --role verify`, which all end in the
 * same place: a root that both thresholds signed is appended to root.pub; one that is not yet lies
 * in root.next for others to sign. */
#pragma once

#include "cosign.h"
#include "fleetdir.h"

struct rootstep {
    struct root next; /* version already raised */
    bool taken;       /* it is the newest root now */
};

/* Starts from the newest root; refuses when a next root is already waiting, unless force. */
int rootstep_begin(struct rootstep *s, const struct fleet_dir *d, bool force);
/* Opens the keys named, or those in DIR/keys that the two thresholds ask for. */
int rootstep_collect(const struct rootstep *s, const struct fleet_dir *d, struct keyring *ring,
                     const struct list *key_files);
/* Signs with all keys of the ring, then takes it or leaves root.next. */
int rootstep_sign(struct rootstep *s, struct fleet_dir *d, const struct keyring *ring);
/* Takes a root that was signed elsewhere too, or says what is missing and leaves root.next. */
int rootstep_take(struct rootstep *s, struct fleet_dir *d, struct cosign *c);

/* The keys that may sign the step from one root to the next; returns how many. */
uint32_t rootstep_signers(const struct root *now, const struct root *next,
                          struct key out[static COSIGN_MAX]);
/* Says, line by line, what differs. */
void rootstep_explain(const struct root *now, const struct root *next);
/* Says which signed things no longer verify, or are outranked, and have to be signed again. */
int rootstep_resign(const struct fleet_dir *d);
