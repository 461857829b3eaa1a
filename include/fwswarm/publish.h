/* Publishing: what the vendor made, from its files to one verify node.
 *
 * Called by `fwswarm-vendor release publish`.  Runs a node of role publisher with a scratch store
 * until the verify node says that it has all that was given: an image, verified again from its
 * storage; a withdrawal; a revocation list; and in any case the roots.  Holds no signing key: the
 * signer here is a publisher that the root lists.  Publishing what the node has already changes
 * nothing and returns at once. */
#pragma once

#include "fwswarm/host.h"

/* Everything is lent.  Each part may be empty, but image_path comes with envelope and not alone;
 * with all of them empty the roots are handed over. */
struct host_publish_options {
    const struct signer *identity;
    struct bytes root_chain;  /* signed roots, oldest first */
    struct bytes envelope;    /* a signed manifest */
    struct bytes withdrawal;  /* a signed stop */
    struct bytes revocations; /* a signed revocation list */
    const char *image_path;   /* the manifest's image */
    struct addr to;
    uint64_t up_rate;    /* bytes a second, 0 = no limit */
    uint32_t timeout_ms; /* without any progress; 0 = 30 s */
    /* May be NULL.  First while the file is hashed (sent = 0), then as bytes leave. */
    void (*progress)(void *ctx, uint64_t sent, uint64_t size);
    void *ctx;
};

/* Fills held with the digest of the image that the verify node holds (zero when none was given).
 * What stood in the way:
 *   E_REFUSED             nobody listens there
 *   E_AUTH                it hangs up at the first word, as a node of another fleet does
 *   E_ROLE                it is no verify node, or identity is no publisher's role
 *   E_UNLISTED            the roots do not list identity, ours or the newer ones of the node
 *   E_STALE               the node has newer roots, and by these what was given is not signed
 *   E_WITHDRAWN           the node has a withdrawal of this release
 *   E_REJECTED            the node is there and takes nothing (it holds a newer release, has no
 *                         space, ...)
 *   E_TIMEOUT, E_CLOSED   it took too long; a signal ended it
 *   E_HASH, E_NOENT ...   the image
 * or what the envelope, the withdrawal or the list is refused for. */
MUST enum err host_publish(const struct host_publish_options *opt, struct digest *held,
                           struct log *log);
