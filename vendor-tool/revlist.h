/* The revocation list on its way to being signed enough.
 *
 * Used by `device revoke`, `revocation sign` and `revocation merge`. */
#pragma once

#include "cosign.h"
#include "fleetdir.h"

/* Is it signed enough for a device that has never seen a list?  Such a device finds every entry
 * new, so it asks for the most. */
enum err revlist_judge(const struct trust *t, struct bytes signed_list);
/* Writes DIR/revocations.bin when it is signed enough, else DIR/revocations.next. */
int revlist_take(const struct fleet_dir *d, struct cosign *c, const struct revocations *r);
/* Active enrolment keys and root keys: who may sign one; returns how many. */
uint32_t revlist_signers(const struct root *r, struct key out[static COSIGN_MAX]);
/* Says what a list revokes. */
void revlist_explain(const struct revocations *r);
