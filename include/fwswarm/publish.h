/* Publishing: one image from a local file to one verify node.
 *
 * Called by `fwswarm-vendor release publish`.  Runs a node of role publisher with a scratch store
 * until the verify node says that it holds the image, verified again from its storage.  Holds no
 * signing key: the signer here is a publisher that the root lists.  Publishing what the node holds
 * already changes nothing and returns at once. */
#pragma once

#include "fwswarm/host.h"

struct host_publish_options {
    const struct signer *identity;
    struct bytes root_chain; /* signed roots, oldest first */
    struct bytes envelope;   /* the signed manifest */
    const char *image_path;
    struct addr to;
    uint64_t up_rate;    /* bytes a second, 0 = no limit */
    uint32_t timeout_ms; /* without any progress; 0 = 30 s */
    /* May be NULL.  First while the file is hashed (sent = 0), then as bytes leave. */
    void (*progress)(void *ctx, uint64_t sent, uint64_t size);
    void *ctx;
};

/* Fills held with the digest of what the verify node holds.  E_REFUSED: nobody listens there, or
 * the node does not take this release (an older one than it holds); E_TIMEOUT; E_AUTH (another
 * fleet); E_ROLE (to is no verify node); E_UNLISTED (this key is no publisher); E_HASH, E_NOENT
 * (the image); or what the envelope is refused for. */
MUST enum err host_publish(const struct host_publish_options *opt, struct digest *held,
                           struct log *log);
