/* Key files: Ed25519 seeds at rest.
 *
 * A text file of `name: value` lines, mode 0600, refused (E_EXPOSED) when group or others may read
 * it.  The seed is in clear (devices, --no-password) or sealed with a key that Argon2id derives
 * from a password; the parameters stand in the file.  Public keys are files of their own. */
#pragma once

#include "fwswarm/crypto.h"

/* password empty: not encrypted.  E_EXISTS unless force. */
MUST enum err keyfile_write(const char *path, const uint8_t seed[static 32], const char *kind,
                            struct bytes password, bool force);
/* E_PASSWORD when the password is wrong or missing (*encrypted tells), E_EXPOSED, E_NOENT,
 * E_FORMAT, E_NEWER. */
MUST enum err keyfile_read(const char *path, struct signer *out, struct bytes password,
                           bool *encrypted);
/* The public key and kind alone, without a password. */
MUST enum err keyfile_public(const char *path, struct key *out, char kind[static 17]);
