/* What flags change in a scenario.
 *
 * Called by main.c between reading a scenario and judging it.  A flag speaks of a kind of thing
 * (devices, verify nodes, releases) and changes all of that kind; a count can only be shared out
 * when there is one group of the kind, so with several it is refused and the file has to say it. */
#pragma once

#include "scenario.h"

enum override {
    OVERRIDE_SEED,
    OVERRIDE_UNTIL,
    OVERRIDE_PEERS,      /* devices in all */
    OVERRIDE_VERIFY,     /* verify nodes in all */
    OVERRIDE_IMAGE_SIZE, /* of every release */
    OVERRIDE_ORIGIN_UP,  /* of every verify node, both ways */
    OVERRIDE_PEER_UP,    /* of every device */
    OVERRIDE_PEER_DOWN,
    OVERRIDE_RTT,   /* of every group, adversaries too; not of sites */
    OVERRIDE_CRASH, /* more faults: so many devices lose power while they download */
    OVERRIDES,
};

struct overrides {
    bool given[OVERRIDES];
    uint64_t value[OVERRIDES];
    const char *without; /* numbers of faults that are left out, "2,5"; or NULL */
};

/* Changes s.  False with one line that names the flag, the value and the mend. */
bool override_apply(struct scenario *s, const struct overrides *o, char *why, size_t cap);
