/* Keys on the vendor's side: making them, finding those that a root lists, opening them.
 *
 * A private key is NAME.key (keyfile.h), its public half NAME.pub beside it, a text file that may
 * travel.  A keyring holds opened keys for the length of one verb and wipes them at its end. */
#pragma once

#include "password.h"

#include "fwswarm/crypto.h"
#include "fwswarm/trust.h"

#define RING_MAX 32u

struct keyring {
    struct signer key[RING_MAX]; /* sorted by public key after keyring_collect */
    uint32_t count;
    struct passwords passwords;
};

/* Reads the password files; opens no key yet. */
int keyring_open(struct keyring *r, const struct list *password_files);
void keyring_close(struct keyring *r);

/* Which keys are wanted, and how many are enough. */
struct wanted {
    const struct key *key;
    uint32_t count, enough;
    const char *what; /* "release key": for refusals */
};

/* Adds keys: the files named, each of which must be wanted; or, when none is named, wanted ones
 * from DIR/keys until there are enough.  Fewer than enough is no error, none at all is. */
int keyring_collect(struct keyring *r, const char *dir, const struct list *files,
                    const struct wanted *w);
/* The same, but finding none is no error either. */
int keyring_collect_any(struct keyring *r, const char *dir, const struct list *files,
                        const struct wanted *w);
/* Opens one key file whatever it is for. */
int keyring_take(struct keyring *r, const char *path);
bool keyring_has(const struct keyring *r, const struct key *pub);

/* 32 bytes that nobody can guess. */
int random_seed(uint8_t out[static 32]);

/* Makes PATH.key and PATH.pub; an audit key's public half is its X25519 one.  An empty password
 * leaves the key in clear. */
int key_make(const char *path, const char *kind, struct bytes password, bool force,
             struct key *pub);
/* Writes a public half. */
int pub_write(const char *path, const char *kind, const struct key *pub, bool force);
/* Reads a public key: a .pub file of that kind, or 64 hex digits. */
int pub_read(const char *file_or_hex, const char *kind, struct key *out);
