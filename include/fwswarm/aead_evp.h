/* The hosts' bulk sealer: libcrypto's ChaCha20-Poly1305, the same bytes as aead_sodium and about
 * twice as fast where the processor has wide vectors.
 *
 * Called by programs at start: one per thread, because its contexts are not shared.  A host without
 * it passes aead_sodium. */
#pragma once

#include "fwswarm/crypto.h"

struct aead_evp;

/* Gives a sealer, or NULL when libcrypto does not offer the cipher (or memory is out). */
struct aead_evp *aead_evp_open(void);
/* No link may use its view any more.  NULL is allowed. */
void aead_evp_close(struct aead_evp *a);
/* A view for link_init; lends a. */
struct aead aead_evp_view(struct aead_evp *a);
