/* The authenticated channel between two nodes, sans-I/O: bytes in, messages out.
 *
 * Noise XX (25519, ChaChaPoly, SHA256) over a reliable stream; XXpsk0 with a key derived from the
 * fleet id, so that a prober without the fleet id reads no identity.  The handshake payloads carry,
 * in this order: root chain the other side lacks, a newer revocation list, the certificate, and the
 * identity's signature over (domain, role, fleet, handshake hash at that point, own static).  What
 * arrives is applied to a copy of the caller's trust before the peer's certificate is judged, and
 * is handed to the caller to persist.
 *
 * After the handshake the stream is records: u16 length || ChaCha20-Poly1305.  A record holds one
 * or more whole messages (u32 length || head || body) and a message never spans records.  Both
 * sides rekey each direction every 65,536 records.  Nothing allocates; a link is one struct. */
#pragma once

#include "fwswarm/trust.h"

#define LINK_RECORD_MAX    20480u /* plaintext bytes of a record */
#define LINK_HANDSHAKE_MAX 65535u
#define LINK_HEAD_ROOM     2u       /* room before the plaintext of a record */
#define LINK_TAIL_ROOM     AEAD_TAG /* room after it */

enum link_side { LINK_DIALLER, LINK_LISTENER };
enum link_state { LINK_HANDSHAKE, LINK_OPEN, LINK_DEAD };

/* What one node brings to all of its links.  Kept by the caller while links live. */
struct link_self {
    const struct signer *identity;
    struct bytes cert;         /* empty for nodes that the root lists */
    const struct trust *trust; /* read at link_init and at judgement */
    struct bytes root_chain;   /* all signed roots held, oldest first (a CBOR sequence) */
    struct bytes revocations;  /* the signed list held, or empty */
    uint8_t static_secret[32]; /* X25519, fresh per boot */
};

/* Room that a link needs for its handshake, given by the caller and free again once it is open and
 * link_release_scratch was called. */
struct link_scratch {
    uint8_t in[LINK_HANDSHAKE_MAX + 2], out[LINK_HANDSHAKE_MAX + 2];
    uint32_t in_len, out_len, out_sent;
    struct trust trust; /* the peer is judged by this copy */
};

/* The layout is private to src/link. */
struct link {
    _Alignas(8) uint8_t opaque[1024];
};

void link_init(struct link *l, enum link_side side, const struct link_self *self,
               const uint8_t ephemeral_seed[static 32], const struct aead *bulk,
               struct link_scratch *scratch);
void link_wipe(struct link *l);
enum link_state link_state(const struct link *l);

/* Handshake phase: takes up to n bytes off the wire.  *used says how many; the rest belongs to the
 * record phase.  On error the link is dead and the error names why: E_AUTH (bad key, fleet, tag),
 * E_FORMAT, E_SIGNATURE, E_REVOKED, E_UNLISTED, E_SELF, E_OVERSIZED ... */
MUST enum err link_handshake(struct link *l, const uint8_t *p, size_t n, size_t *used);
/* Handshake bytes to send, lent until the next call; empty when there are none.  Each byte is given
 * once.  The dialler's last ones come with LINK_OPEN: ask once more then, before any record. */
struct bytes link_handshake_out(struct link *l);

/* Valid once LINK_OPEN. */
const struct member *link_peer(const struct link *l);
/* Signed roots and list learnt in the handshake that are newer than the caller's trust; lent from
 * scratch; empty when none.  They carry their own signatures, so they hold (and are worth keeping)
 * also when the peer was refused and the link is dead: a node many roots behind gets on that way.
 */
struct bytes link_learnt_roots(const struct link *l);
struct bytes link_learnt_revocations(const struct link *l);
/* Says that scratch is no longer needed; what was learnt is gone with it.  All handshake bytes must
 * have been taken (asserted).  link_wipe does it too. */
void link_release_scratch(struct link *l);

/* Record phase, receive.  p holds n bytes starting at a record boundary.  When a whole record is
 * there it is decrypted in place: *used = bytes of the record, *plain = its messages.  When more
 * bytes are needed: E_OK with *used = 0 and plain empty.  E_AUTH, E_OVERSIZED kill the link. */
MUST enum err link_open_record(struct link *l, uint8_t *p, size_t n, size_t *used,
                               struct bytes *plain);
/* Takes the next message off a record's plaintext: E_OK and an empty msg when none is left.
 * Keep-alives (length 0) are skipped.  E_TRUNCATED when a message spans records: the caller must
 * close the link. */
MUST enum err link_next_message(struct bytes *plain, struct bytes *msg);

/* Record phase, send.  record has LINK_HEAD_ROOM bytes, then n plaintext bytes (1 to
 * LINK_RECORD_MAX, asserted), then LINK_TAIL_ROOM.  Seals in place; returns the bytes to put on the
 * wire (n + 18), starting at record. */
size_t link_seal_record(struct link *l, uint8_t *record, size_t n);
