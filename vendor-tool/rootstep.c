/* A root is judged by trust_advance and by nothing else: this file collects signatures until that
 * says yes.  What must be signed again after it is found in the same way, by judging what lies in
 * the directory with the new trust. */
#include "rootstep.h"

#include "newdevice.h"
#include "records.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int rootstep_begin(struct rootstep *s, const struct fleet_dir *d, bool force)
{
    struct path path;

    int status = path_join(&path, d->path, "root.next", NULL);
    if (status != STATUS_OK)
        return status;
    if (!force && path_exists(path.s))
        return fail_err(E_EXISTS, path.s,
                        "a next root waits for signatures: use `root sign` and `root merge`, or "
                        "remove it, or say --force");
    if (d->trust.root.version == UINT32_MAX)
        return fail(STATUS_REFUSED,
                    "%s: root version %u: is the last there can be: make a new fleet", d->path,
                    d->trust.root.version);
    s->next = d->trust.root;
    s->next.version++;
    s->taken = false;
    return STATUS_OK;
}

uint32_t rootstep_signers(const struct root *now, const struct root *next,
                          struct key out[static COSIGN_MAX])
{
    uint32_t n = now->root.count;

    _Static_assert(COSIGN_MAX >= 2 * ROOT_KEYS_MAX, "both sets fit");
    memcpy(out, now->root.key, n * sizeof out[0]);
    for (uint32_t i = 0; i < next->root.count; i++)
        if (!key_set_has(&now->root, &next->root.key[i]))
            out[n++] = next->root.key[i];
    return n;
}

static uint32_t signed_by(const struct cosign *c, const struct key_set *set)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < c->count; i++)
        n += key_set_has(set, &c->key[i]);
    return n;
}

int rootstep_take(struct rootstep *s, struct fleet_dir *d, struct cosign *c)
{
    uint8_t out[COSIGN_BYTES_MAX];
    struct key may[COSIGN_MAX];
    struct trust trial = d->trust;
    struct root now = d->trust.root;
    struct path path;

    int status = path_join(&path, d->path, "root.next", NULL);
    if (status != STATUS_OK)
        return status;
    cosign_keep(c, may, rootstep_signers(&now, &s->next, may));
    if (c->count == 0)
        return fail_err(E_THRESHOLD, path.s, "sign it with a root key first");
    struct bytes signed_root = cosign_encode(c, out);
    enum err e = trust_advance(&trial, signed_root);
    if (e == E_THRESHOLD) {
        status = file_put(path.s, signed_root, 0644, true);
        if (status != STATUS_OK)
            return status;
        say("root version %u: waits in %s: %u of %u signatures of the present root's keys, %u of "
            "%u of its own",
            s->next.version, path.s, signed_by(c, &now.root), now.root.threshold,
            signed_by(c, &s->next.root), s->next.root.threshold);
        note("on the other machines: fwswarm-vendor root sign root.next --fleet root.pub --key "
             "FILE; then here: fwswarm-vendor root merge %s FILES",
             d->path);
        return STATUS_OK;
    }
    if (e != E_OK)
        return fail_err(e, path.s, "rotate again from the newest root");
    status = fleet_dir_append(d, signed_root);
    if (status != STATUS_OK)
        return status;
    unlink(path.s);
    s->taken = true;
    say("root %s/root.pub: version %u", d->path, d->trust.root.version);
    rootstep_explain(&now, &d->trust.root);
    return rootstep_resign(d);
}

int rootstep_collect(const struct rootstep *s, const struct fleet_dir *d, struct keyring *ring,
                     const struct list *key_files)
{
    const struct root *now = &d->trust.root;
    struct key may[COSIGN_MAX];
    struct wanted both = {may, rootstep_signers(now, &s->next, may), COSIGN_MAX, "root key"};
    const struct wanted old = {now->root.key, now->root.count, now->root.threshold, both.what};
    const struct wanted new = {s->next.root.key, s->next.root.count, s->next.root.threshold,
                               both.what};

    if (key_files->count > 0)
        return keyring_collect(ring, d->path, key_files, &both);
    int status = keyring_collect_any(ring, d->path, key_files, &old);
    if (status == STATUS_OK)
        status = keyring_collect_any(ring, d->path, key_files, &new);
    both.enough = 0; /* only to refuse when none was found */
    if (status == STATUS_OK)
        status = keyring_collect(ring, d->path, key_files, &both);
    return status;
}

int rootstep_sign(struct rootstep *s, struct fleet_dir *d, const struct keyring *ring)
{
    uint8_t body[ROOT_BYTES_MAX];
    struct wr w = wr_of(body, sizeof body);
    struct cosign c;

    enum err e = root_encode_body(&s->next, &w);
    if (e != E_OK)
        return fail_err(e, "the next root",
                        "thresholds, leases or keys contradict each other: change the flags");
    cosign_start(&c, wr_done(&w));
    for (uint32_t i = 0; i < ring->count; i++) {
        struct sig sig;
        root_sign(&sig, &ring->key[i], c.body);
        if (!cosign_add(&c, &ring->key[i].pub, &sig))
            return fail_err(E_LIMIT, "root signatures", "name fewer keys");
    }
    return rootstep_take(s, d, &c);
}

/* ---- saying what changed ---- */

static void explain_set(const char *what, const struct key_set *now, const struct key_set *next)
{
    for (uint32_t i = 0; i < next->count; i++)
        if (!key_set_has(now, &next->key[i]))
            say("  + %s key %s", what, hex32(next->key[i].b).s);
    for (uint32_t i = 0; i < now->count; i++)
        if (!key_set_has(next, &now->key[i]))
            say("  - %s key %s", what, hex32(now->key[i].b).s);
    if (now->threshold != next->threshold && strcmp(what, "publisher") != 0)
        say("  %s threshold %u -> %u", what, now->threshold, next->threshold);
}

static const struct enrol_lease *lease_of(const struct root *r, const struct key *k)
{
    for (uint32_t i = 0; i < r->enrol_count; i++)
        if (key_equal(&r->enrol[i].key, k))
            return &r->enrol[i];
    return NULL;
}

static void explain_enrol(const struct root *now, const struct root *next)
{
    for (uint32_t i = 0; i < next->enrol_count; i++) {
        const struct enrol_lease *b = &next->enrol[i];
        const struct enrol_lease *a = lease_of(now, &b->key);
        if (a == NULL)
            say("  + enrolment key %s, indices %u to %u", hex32(b->key.b).s, b->first, b->last);
        else if (b->retired && !a->retired)
            say("  - enrolment key %s, certificates up to index %u stand", hex32(b->key.b).s,
                b->last);
        else if (a->last != b->last)
            say("  enrolment key %s, last index %u -> %u", hex32(b->key.b).s, a->last, b->last);
    }
    for (uint32_t i = 0; i < now->enrol_count; i++)
        if (lease_of(next, &now->enrol[i].key) == NULL)
            say("  - enrolment key %s with all its certificates", hex32(now->enrol[i].key.b).s);
    if (now->enrol_threshold != next->enrol_threshold)
        say("  revocation threshold %u -> %u", now->enrol_threshold, next->enrol_threshold);
}

static bool verifies(const struct root *r, const struct key *k)
{
    for (uint32_t i = 0; i < r->verify_count; i++)
        if (key_equal(&r->verify[i].key, k))
            return true;
    return false;
}

void rootstep_explain(const struct root *now, const struct root *next)
{
    explain_set("root", &now->root, &next->root);
    explain_set("release", &now->release, &next->release);
    explain_set("publisher", &now->publisher, &next->publisher);
    explain_enrol(now, next);
    for (uint32_t i = 0; i < next->verify_count; i++)
        if (!verifies(now, &next->verify[i].key))
            say("  + verify node %u, key %s", next->verify[i].index,
                hex32(next->verify[i].key.b).s);
    for (uint32_t i = 0; i < now->verify_count; i++)
        if (!verifies(next, &now->verify[i].key))
            say("  - verify node %u, key %s", now->verify[i].index, hex32(now->verify[i].key.b).s);
    if (!key_equal(&now->audit, &next->audit))
        say("  audit key %s -> %s", hex32(now->audit.b).s, hex32(next->audit.b).s);
    if (now->verify_count != next->verify_count)
        warn_verify_count(next->verify_count);
}

/* ---- what to sign again ---- */

/* Do enough of the release's signers still count, in its root version and in the newest? */
static bool release_stands(const struct trust *t, const struct release_entry *e)
{
    const struct key_set *then = trust_release_keys(t, e->root_version);
    uint32_t n = 0;

    if (then == NULL)
        return false;
    for (uint32_t i = 0; i < e->signers_count; i++) {
        if (!key_set_has(then, &e->signers[i]) || !key_set_has(&t->root.release, &e->signers[i]))
            return false; /* one stranger spoils the envelope */
        n++;
    }
    return n >= then->threshold && n >= t->root.release.threshold;
}

static int resign_releases(const struct fleet_dir *d)
{
    struct releases releases;
    struct release_entry e, last;

    int status = releases_open(&releases, d->path);
    if (status != STATUS_OK)
        return status;
    for (uint32_t i = 0; i < releases_count(&releases); i++) {
        e = releases_at(&releases, i);
        if (!releases_last(&releases, e.model, &last) || strcmp(last.manifest, e.manifest) != 0)
            continue;
        if (!release_stands(&d->trust, &e))
            say("sign again: release %s %s, sequence %llu", e.model, e.version,
                (unsigned long long)e.sequence);
    }
    releases_close(&releases);
    return STATUS_OK;
}

int rootstep_resign(const struct fleet_dir *d)
{
    struct trust fresh = d->trust;
    uint8_t *list;
    size_t n;
    bool present;

    int status = fleet_dir_revocations(d, &list, &n, &present);
    if (status != STATUS_OK)
        return status;
    memset(&fresh.revoked, 0, sizeof fresh.revoked);
    if (present && trust_revoke(&fresh, bytes_of(list, n)) != E_OK)
        say("sign again: the revocation list, with `device revoke %s`", d->path);
    free(list);
    return resign_releases(d);
}
