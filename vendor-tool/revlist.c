/* A list grows in steps, and each step may be small enough for the enrolment keys.  A device that
 * was switched off all along, or comes from the factory, sees all steps as one.  Therefore the list
 * is judged here as that device will, from an empty one. */
#include "revlist.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum err revlist_judge(const struct trust *t, struct bytes signed_list)
{
    struct trust fresh = *t;

    memset(&fresh.revoked, 0, sizeof fresh.revoked);
    return trust_revoke(&fresh, signed_list);
}

uint32_t revlist_signers(const struct root *r, struct key out[static COSIGN_MAX])
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < r->root.count; i++)
        out[n++] = r->root.key[i];
    for (uint32_t i = 0; i < r->enrol_count; i++)
        if (!r->enrol[i].retired && !key_set_has(&r->root, &r->enrol[i].key))
            out[n++] = r->enrol[i].key;
    return n;
}

void revlist_explain(const struct revocations *r)
{
    for (uint32_t i = 0; i < r->count; i++) {
        if (r->range[i].first == r->range[i].last)
            say("  revoked: %u", r->range[i].first);
        else
            say("  revoked: %u to %u", r->range[i].first, r->range[i].last);
    }
}

/* An older list must not come back by an old copy of its file. */
static int refuse_older(const struct fleet_dir *d, const struct revocations *r)
{
    struct revocations held;
    struct digest fleet;
    struct bytes body;
    uint8_t *list;
    size_t n;
    bool present;

    int status = fleet_dir_revocations(d, &list, &n, &present);
    if (status != STATUS_OK || !present)
        return status;
    enum err e = revocations_decode(&held, &fleet, &body, bytes_of(list, n));
    free(list);
    if (e == E_OK && (held.root_version > r->root_version ||
                      (held.root_version == r->root_version && held.version >= r->version)))
        return fail(STATUS_REFUSED,
                    "%s/revocations.bin: list %u.%u is held: %u.%u is not newer: "
                    "revoke again",
                    d->path, held.root_version, held.version, r->root_version, r->version);
    return STATUS_OK;
}

int revlist_take(const struct fleet_dir *d, struct cosign *c, const struct revocations *r)
{
    uint8_t out[COSIGN_BYTES_MAX];
    struct path next, done;
    struct key may[COSIGN_MAX];

    int status = path_join(&next, d->path, "revocations.next", NULL);
    if (status == STATUS_OK)
        status = path_join(&done, d->path, "revocations.bin", NULL);
    if (status == STATUS_OK)
        status = refuse_older(d, r);
    if (status != STATUS_OK)
        return status;
    cosign_keep(c, may, revlist_signers(&d->trust.root, may));
    if (c->count == 0)
        return fail_err(E_THRESHOLD, next.s, "sign it with an enrolment or root key first");
    struct bytes list = cosign_encode(c, out);
    if (list.n > REVOCATIONS_BYTES_MAX)
        return fail_err(E_OVERSIZED, done.s, "revoke ranges that lie together");
    enum err e = revlist_judge(&d->trust, list);
    if (e == E_THRESHOLD) {
        status = file_put(next.s, list, 0644, true);
        if (status != STATUS_OK)
            return status;
        say("revocation list %u.%u: waits in %s with %u signatures", r->root_version, r->version,
            next.s, c->count);
        note("more enrolment keys have to sign it, or root keys where a verify node or more than a "
             "tenth of all indices are revoked: `revocation sign` there, `revocation merge` here");
        return STATUS_OK;
    }
    if (e != E_OK)
        return fail_err(e, done.s, "nothing was revoked");
    status = file_put(done.s, list, 0644, true);
    if (status != STATUS_OK)
        return status;
    unlink(next.s);
    say("revocation list %u.%u: %s", r->root_version, r->version, done.s);
    revlist_explain(r);
    note("it takes effect where it is known: `release publish --fleet %s --to ADDR:PORT`", d->path);
    return STATUS_OK;
}
