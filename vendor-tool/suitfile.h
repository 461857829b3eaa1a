/* Release files: FILE.suit (a manifest envelope) and FILE.stop (a withdrawal).
 *
 * Used by the verbs `release ...`.  Which of the two a file is shows in its first byte. */
#pragma once

#include "cosign.h"
#include "fleetdir.h"

#include "fwswarm/manifest.h"

struct suit {
    uint8_t data[MANIFEST_MAX];
    size_t len;
    struct manifest m;     /* as it says; judged only where a verb judges it */
    struct bytes manifest; /* points into data */
    struct sig sigs[SIGNERS_MAX];
};

/* Is it a withdrawal?  Anything unreadable is not. */
bool file_is_stop(const char *path);
int suit_read(struct suit *s, const char *path);
/* Do all its signatures verify by the keys it names?  Says nothing about who those are. */
enum err suit_self_check(const struct suit *s);

/* Size, flat digest and tree of an image, with progress on standard error. */
struct image_facts {
    struct geometry geo;
    struct digest root, digest;
};
int image_hash(const char *path, struct image_facts *out);

/* Prints a signers list, for people. */
void say_signers(const struct key *keys, uint32_t count);
