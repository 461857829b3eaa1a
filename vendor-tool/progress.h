/* Progress of a long step: a live line on a terminal, a plain line now and then elsewhere.
 *
 * Passed as the callback of file_tree and of publishing. */
#pragma once

#include "say.h"

struct progress {
    const char *what; /* "hashing image.bin", lent */
    uint64_t total;   /* bytes, 0 = unknown */
    uint64_t begun_ms, shown_ms;
    bool live, shown;
};

void progress_begin(struct progress *p, const char *what, uint64_t total);
/* ctx is a struct progress. */
void progress_at(void *ctx, uint64_t done);
/* Clears the live line, or says how it ended. */
void progress_end(struct progress *p, uint64_t done);
