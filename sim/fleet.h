/* The fleet of a simulation: its root, its keys and certificates, its releases.
 *
 * Called by world.c.  Everything is derived from the seed and signed with the real encoders; only
 * the image has no bytes, so its tree root and digest are made up from the seed too. */
#pragma once

#include "world.h"

/* A 32-byte value of its own for (seed, what, number). */
void fleet_derive(struct digest *out, uint64_t seed, const char *what, uint64_t number);
/* Keys, root and releases.  False with a message when an image cannot be. */
bool fleet_init(struct world *w);
void fleet_fini(struct world *w);
/* Encodes a manifest and signs it; fills its id. */
struct blob *fleet_envelope(struct manifest *m, const struct signer *signers, uint32_t count);
/* Key, certificate and membership of a node. */
void fleet_enrol(struct world *w, uint32_t node);
