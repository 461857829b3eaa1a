/* Passwords: from files or from the terminal, never from the command line, wiped after use.
 *
 * The keyring asks for them when it meets an encrypted key; `fleet create` and `key create` ask for
 * a new one.  Passwords once given are tried on every further key, so that a directory of keys
 * under one password asks once. */
#pragma once

#include "args.h"

#define PASSWORD_MAX  1024u
#define PASSWORDS_MAX 8u

struct password {
    char text[PASSWORD_MAX];
    size_t len;
};

struct passwords {
    struct password known[PASSWORDS_MAX];
    uint32_t count;
    bool from_files; /* files were given: never ask the terminal */
};

/* Reads the first line of each file. */
int passwords_open(struct passwords *p, const struct list *files);
void passwords_wipe(struct passwords *p);
/* Asks the terminal for one more and remembers it; lends it.  NULL with *status set. */
const struct password *passwords_ask(struct passwords *p, const char *prompt, int *status);
/* Forgets the last one again: it was wrong. */
void passwords_forget(struct passwords *p);
/* A new password: the one from the files, or asked twice.  what names the thing it will seal. */
const struct password *passwords_new(struct passwords *p, const char *what, int *status);

static inline struct bytes password_bytes(const struct password *p)
{
    return bytes_of(p->text, p->len);
}
