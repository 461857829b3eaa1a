/* X25519 by libsodium.  Its crypto_scalarmult refuses low-order points and an all-zero result, so a
 * peer cannot force a shared secret that does not depend on ours. */
#include "fwswarm/crypto.h"

#include <sodium.h>

void dh_public(uint8_t pub[static 32], const uint8_t secret[static 32])
{
    (void)crypto_scalarmult_base(pub, secret);
}

bool dh_shared(uint8_t out[static 32], const uint8_t secret[static 32],
               const uint8_t pub[static 32])
{
    return crypto_scalarmult(out, secret, pub) == 0;
}
