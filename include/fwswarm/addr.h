/* Network addresses as values: an IP address, a port, and the interface of a link-local one.
 *
 * A base header, so that configuration, wire and core share one shape; hosts turn it into what
 * their sockets want.  fwswarm/conf.h reads and prints its text form. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct addr {
    uint8_t family; /* 4 or 6; 0 = none */
    uint8_t ip[16]; /* IPv4 in the first four bytes, the rest zero */
    uint16_t port;
    uint32_t scope; /* interface index of a link-local IPv6 address, else 0 */
};

bool addr_equal(const struct addr *a, const struct addr *b);
