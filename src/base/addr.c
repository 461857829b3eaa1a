/* Comparing addresses: the scope only means something where the address is link-local. */
#include "fwswarm/addr.h"

#include <string.h>

bool addr_equal(const struct addr *a, const struct addr *b)
{
    return a->family == b->family && a->port == b->port && a->scope == b->scope &&
           memcmp(a->ip, b->ip, sizeof(a->ip)) == 0;
}
