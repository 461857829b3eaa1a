/* What the handshake messages carry: layout in LINK.md.
 *
 * Called by link.c between the halves of a Noise message.  Decoding takes hostile bytes; judging
 * changes only the trust it is given. */
#pragma once

#include "fwswarm/link.h"

#define PAYLOAD_HELLO 12u /* bytes of the first message's payload */
/* The least a later payload can be: versions, three empty strings, key and signature. */
#define PAYLOAD_MIN (PAYLOAD_HELLO + 3u * 2u + 32u + 64u)

/* What a side holds, so that the other knows what it lacks. */
struct payload_versions {
    uint32_t root, list_root, list;
};

/* What an identity's signature ties together. */
struct payload_binding {
    enum link_side side;       /* the signer's */
    const struct digest *hash; /* handshake hash before this payload */
    const uint8_t *static_pub; /* the signer's X25519 key */
};

/* What a later payload taught.  roots and list lend from the payload. */
struct payload_result {
    struct payload_versions versions;
    struct bytes roots; /* those that were newer than ours, oldest first */
    struct bytes list;  /* when it was newer than ours */
    struct member peer; /* only when judged well */
};

struct payload_versions payload_versions_of(const struct trust *t);

/* The first message's payload. */
void payload_write_hello(struct wr *w, const struct trust *t);
MUST enum err payload_read_hello(struct payload_versions *v, struct bytes payload);

/* The second's and third's: all that the peer lacks and fits in `room` bytes. */
void payload_write(struct wr *w, const struct link_self *self, const struct payload_versions *peer,
                   const struct payload_binding *binding, size_t room);
/* Applies roots, then list, to trust, and judges certificate and signature by the outcome.  On
 * error result still names what was applied, except for errors in the layout itself. */
MUST enum err payload_judge(struct payload_result *result, struct trust *trust,
                            struct bytes payload, const struct key *self,
                            const struct payload_binding *binding);
