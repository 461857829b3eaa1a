/* Noise (revision 34) with 25519, ChaChaPoly and SHA256: the XX handshake, with or without a
 * pre-shared key mixed in first.
 *
 * Called by link.c, which needs each message in two halves: the head (the pattern's tokens), then
 * the payload, because what a payload signs is the handshake hash between them.  The caller says
 * how long messages may be; nothing here reads past what it is given.  After any error the state is
 * good for nothing but noise_wipe. */
#pragma once

#include "fwswarm/crypto.h"

#define NOISE_KEY      32u
#define NOISE_MESSAGES 3u
/* Head of the longest message: an ephemeral key and a sealed static key. */
#define NOISE_HEAD_MAX (NOISE_KEY + NOISE_KEY + AEAD_TAG)

enum noise_pattern { NOISE_XX, NOISE_XXPSK0 };

struct noise {
    enum noise_pattern pattern;
    bool initiator;
    bool keyed;       /* a cipher key is set: what follows is sealed */
    uint8_t messages; /* handshake messages finished */
    uint64_t nonce;
    struct digest hash; /* h */
    struct digest ck;
    uint8_t key[NOISE_KEY]; /* k */
    uint8_t psk[NOISE_KEY];
    uint8_t s[NOISE_KEY], s_pub[NOISE_KEY]; /* own static */
    uint8_t e[NOISE_KEY], e_pub[NOISE_KEY]; /* own ephemeral */
    uint8_t rs[NOISE_KEY], re[NOISE_KEY];   /* the other side's, once read */
};

/* One direction after the handshake. */
struct noise_cipher {
    uint8_t key[NOISE_KEY];
    uint64_t nonce;
};

/* psk is 32 bytes for XXpsk0 and not read for XX.  Everything is copied. */
void noise_init(struct noise *n, enum noise_pattern pattern, bool initiator, struct bytes prologue,
                const uint8_t *psk, const uint8_t static_secret[static 32],
                const uint8_t ephemeral_secret[static 32]);
void noise_wipe(struct noise *n);

/* Writes the tokens of the next message; the caller then appends the payload in clear.  E_AUTH when
 * the other side's ephemeral key turns out to be of low order. */
MUST enum err noise_write_head(struct noise *n, struct wr *w);
/* Seals in place what was written since offset `at` of w, and ends the message. */
void noise_write_payload(struct noise *n, struct wr *w, size_t at);

/* Reads the tokens of the next message and says how many bytes they took.  E_TRUNCATED, or E_AUTH
 * for a static key that does not open or a public key of low order. */
MUST enum err noise_read_head(struct noise *n, struct bytes msg, size_t *used);
/* Opens the payload in place and ends the message; lends the payload.  E_TRUNCATED, E_AUTH. */
MUST enum err noise_read_payload(struct noise *n, uint8_t *p, size_t len, struct bytes *payload);

/* After the last message: the two directions' keys; wipes the handshake. */
void noise_split(struct noise *n, struct noise_cipher *send, struct noise_cipher *receive);

/* REKEY (section 4.2) of one direction; the nonce goes on. */
void noise_rekey(struct noise_cipher *c);
