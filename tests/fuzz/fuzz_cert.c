/* The signed objects of trust, by the first byte: 0 certificate, 1 root, 2 revocation list, 3
 * withdrawal, 4 chain of roots.  What a reader accepts, its writer gives back byte for byte. */
#include "fwswarm/trust.h"

#include <stdlib.h>

#include "../unit/fleet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void check_cert(struct bytes in, const struct trust *t)
{
    struct member m;
    struct key node = test_pub(KEY_NODE);
    if (cert_judge(&m, in, &node, t) != E_OK)
        return;
    require(m.role == ROLE_NORMAL || m.role == ROLE_GATEWAY);
    require(!revocations_has(&t->revoked, m.index));
}

static void check_root(struct bytes in, const struct trust *held)
{
    static uint8_t again[ROOT_BYTES_MAX];
    struct wr w = wr_of(again, sizeof(again));
    struct trust t = *held;
    struct root r;
    struct bytes body;
    if (root_decode(&r, &body, in) == E_OK) {
        require(root_encode_body(&r, &w) == E_OK);
        /* A root with keys from the future comes back without them. */
        require(bytes_equal(wr_done(&w), body) || body.p[0] != again[0]);
    }
    if (trust_advance(&t, in) == E_OK)
        require(t.root.version == held->root.version + 1);
    if (trust_init(&t, in) == E_OK)
        require(t.past_count == 0);
}

static void check_list(struct bytes in, const struct trust *held)
{
    static uint8_t again[REVOCATIONS_BYTES_MAX];
    struct wr w = wr_of(again, sizeof(again));
    struct trust t = *held;
    struct revocations r;
    struct digest fleet;
    struct bytes body;
    if (revocations_decode(&r, &fleet, &body, in) == E_OK) {
        require(revocations_encode_body(&r, &fleet, &w) == E_OK);
        require(bytes_equal(wr_done(&w), body));
    }
    if (trust_revoke(&t, in) == E_OK)
        require(t.revoked.root_version <= t.root.version);
}

static void check_chain(struct bytes in, const struct trust *held)
{
    struct trust t = *held;
    enum err e = trust_chain(&t, in);
    require(t.root.version >= held->root.version);
    require(e != E_OK || t.root.version < UINT32_MAX);
    memset(&t, 0, sizeof(t));
    if (trust_chain(&t, in) == E_OK)
        require(t.root.version > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct trust t;
    struct withdrawal wd;
    if (t.root.version == 0)
        t = test_trust();
    if (size == 0)
        return 0;
    struct bytes in = bytes_of(data + 1, size - 1);
    switch (data[0] % 5) {
    case 0:
        check_cert(in, &t);
        break;
    case 1:
        check_root(in, &t);
        break;
    case 2:
        check_list(in, &t);
        break;
    case 3:
        if (withdrawal_open(&wd, in, &t) == E_OK)
            require(wd.root_version == t.root.version);
        break;
    case 4:
        check_chain(in, &t);
        break;
    }
    return 0;
}
