/* Name-based UUIDs (RFC 9562 version 5), which SUIT uses for vendor and class identifiers.  They
 * are compatibility checks for stock tools and never an assertion of identity. */
#pragma once

#include "fwswarm/bytes.h"

#define UUID_SIZE     16u
#define UUID_NAME_MAX 128u

/* The namespace of domain names (RFC 9562, section 6.6). */
extern const uint8_t uuid_dns[UUID_SIZE];

/* name.n <= UUID_NAME_MAX (asserted). */
void uuid_v5(uint8_t out[static UUID_SIZE], const uint8_t space[static UUID_SIZE],
             struct bytes name);
