/* `revocation merge`: puts signatures on a revocation list together and takes it when there are
 * enough. */
#include "verbs.h"

#include "revlist.h"

struct options {
    bool unused;
};

static const struct flag flags[] = {FLAG_END};

static int merge(const struct fleet_dir *d, const struct list *operands)
{
    uint8_t encoded[COSIGN_BYTES_MAX];
    struct cosign c, other;
    struct revocations r;
    struct digest fleet;
    struct bytes body;

    int status = cosign_read(&c, operands->item[1]);
    for (uint32_t i = 2; status == STATUS_OK && i < operands->count; i++) {
        status = cosign_read(&other, operands->item[i]);
        if (status == STATUS_OK && !cosign_merge(&c, &other))
            status = fail(STATUS_REFUSED, "%s: is another list than %s: sign the same one",
                          operands->item[i], operands->item[1]);
    }
    if (status != STATUS_OK)
        return status;
    if (c.count == 0)
        return fail_err(E_THRESHOLD, operands->item[1], "sign it with `revocation sign` first");
    enum err e = revocations_decode(&r, &fleet, &body, cosign_encode(&c, encoded));
    if (e != E_OK)
        return fail_err(e, operands->item[1],
                        "is no revocation list: take it from `device revoke`");
    return revlist_take(d, &c, &r);
}

static int run(const struct verb *v, int argc, char **argv)
{
    struct options opt = {0};
    struct list operands;
    struct fleet_dir d;
    struct path waiting;
    int status;

    if (!args_parse(v, argc, argv, &opt, &operands, &status))
        return status;
    status = fleet_dir_open(&d, operands.item[0], true);
    if (status != STATUS_OK)
        return status;
    /* What was signed here already counts too, named or not. */
    status = path_join(&waiting, d.path, "revocations.next", NULL);
    if (status == STATUS_OK && path_exists(waiting.s) && operands.count < LIST_MAX)
        operands.item[operands.count++] = waiting.s;
    if (status == STATUS_OK)
        status = merge(&d, &operands);
    fleet_dir_close(&d);
    return status;
}

const struct verb verb_revocation_merge = {
    "revocation",
    "merge",
    "DIR FILE...",
    2,
    LIST_MAX,
    "Put signatures on a revocation list together, and take it when there are enough",
    "FILEs are copies of DIR/revocations.next that `revocation sign` signed on other machines.",
    flags,
    run,
};
