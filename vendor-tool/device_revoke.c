/* `device revoke`: a newer revocation list with more indices on it.
 *
 * Signed by enrolment keys; where those are not enough (a verify node, more than a tenth of all
 * indices), by root keys as well. */
#include "verbs.h"

#include "records.h"
#include "revlist.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct options {
    struct list index, range, serial, keys, passwords;
};

static const struct flag flags[] = {
    {"index", FLAG_LIST, offsetof(struct options, index), "I", "revoke this index; may be repeated",
     false, 0, 0},
    {"range", FLAG_LIST, offsetof(struct options, range), "A-B",
     "revoke the indices A to B; may be repeated", false, 0, 0},
    {"serial", FLAG_LIST, offsetof(struct options, serial), "S",
     "revoke the device with this serial; may be repeated", false, 0, 0},
    FLAG_KEYS(struct options),
    FLAG_PASSWORDS(struct options),
    FLAG_END,
};

/* Adds a range, joined with those it touches; the list stays sorted.  False when it is full. */
static bool add_range(struct revocations *r, uint32_t first, uint32_t last)
{
    struct index_range joined = {first, last};
    uint32_t kept = 0, at = 0;

    for (uint32_t i = 0; i < r->count; i++) {
        struct index_range x = r->range[i];
        bool apart = (uint64_t)x.last + 1 < joined.first || (uint64_t)joined.last + 1 < x.first;
        if (apart) {
            r->range[kept++] = x;
            continue;
        }
        if (x.first < joined.first)
            joined.first = x.first;
        if (x.last > joined.last)
            joined.last = x.last;
    }
    if (kept == REVOKED_RANGES_MAX)
        return false;
    while (at < kept && r->range[at].first < joined.first)
        at++;
    memmove(&r->range[at + 1], &r->range[at], (kept - at) * sizeof r->range[0]);
    r->range[at] = joined;
    r->count = kept + 1;
    return true;
}

static int add_checked(struct revocations *r, uint64_t first, uint64_t last)
{
    if (add_range(r, (uint32_t)first, (uint32_t)last))
        return STATUS_OK;
    return fail(STATUS_REFUSED,
                "device revoke: more than %u ranges: revoke ranges that lie together",
                REVOKED_RANGES_MAX);
}

static int add_range_text(struct revocations *r, const char *text)
{
    char first[16];
    uint64_t a, b;
    const char *dash = strchr(text, '-');
    size_t n = dash == NULL ? sizeof first : (size_t)(dash - text);

    if (n < sizeof first) {
        memcpy(first, text, n);
        first[n] = '\0';
        if (number_parse(first, 0, UINT32_MAX - 1, &a) &&
            number_parse(dash + 1, a, UINT32_MAX - 1, &b))
            return add_checked(r, a, b);
    }
    return fail(STATUS_USAGE, "device revoke: --range %s: say two indices A-B, A not above B",
                text);
}

static int add_serials(struct revocations *r, const struct list *serials, const char *dir)
{
    struct devices devices;

    if (serials->count == 0)
        return STATUS_OK;
    int status = devices_open(&devices, dir, false);
    for (uint32_t s = 0; status == STATUS_OK && s < serials->count; s++) {
        bool found = false;
        for (uint32_t i = 0; status == STATUS_OK && i < devices_count(&devices); i++) {
            struct device_entry e = devices_at(&devices, i);
            if (strcmp(e.serial, serials->item[s]) != 0 || e.serial[0] == '\0')
                continue;
            found = true;
            status = add_checked(r, e.index, e.index);
        }
        if (status == STATUS_OK && !found)
            status =
                fail_err(E_NOENT, serials->item[s], "see `device list %s` for the serials", dir);
    }
    devices_close(&devices);
    return status;
}

/* A slip of the finger shuts out the wrong device; what was enrolled elsewhere is not listed here.
 */
static void warn_unknown(const char *dir, uint64_t index)
{
    struct devices devices;
    bool known = false;

    if (devices_open(&devices, dir, true) != STATUS_OK)
        return;
    for (uint32_t i = 0; i < devices_count(&devices); i++)
        known = known || devices_at(&devices, i).index == index;
    devices_close(&devices);
    if (!known)
        warn("index %" PRIu64 ": not enrolled here: see `device list %s`", index, dir);
}

static int add_all(struct revocations *r, const struct options *opt, const char *dir)
{
    int status = STATUS_OK;

    for (uint32_t i = 0; status == STATUS_OK && i < opt->index.count; i++) {
        uint64_t index;
        if (!number_parse(opt->index.item[i], 0, UINT32_MAX - 1, &index))
            return fail(STATUS_USAGE, "device revoke: --index %s: no index: say a number",
                        opt->index.item[i]);
        warn_unknown(dir, index);
        status = add_checked(r, index, index);
    }
    for (uint32_t i = 0; status == STATUS_OK && i < opt->range.count; i++)
        status = add_range_text(r, opt->range.item[i]);
    return status != STATUS_OK ? status : add_serials(r, &opt->serial, dir);
}

static int sign_with(struct cosign *c, const struct keyring *ring, const struct digest *fleet)
{
    for (uint32_t i = 0; i < ring->count; i++) {
        struct sig sig;
        revocations_sign(&sig, &ring->key[i], fleet, c->body);
        if (!cosign_add(c, &ring->key[i].pub, &sig))
            return fail_err(E_LIMIT, "revocation signatures", "name fewer keys");
    }
    return STATUS_OK;
}

/* Enrolment keys first; the root's only where those do not suffice. */
static int sign_list(struct cosign *c, const struct fleet_dir *d, struct keyring *ring,
                     const struct list *files)
{
    const struct root *r = &d->trust.root;
    uint8_t encoded[COSIGN_BYTES_MAX];
    struct key may[COSIGN_MAX];
    struct key_set enrol = {.threshold = r->enrol_threshold};
    const struct wanted any = {may, revlist_signers(r, may), COSIGN_MAX, "enrolment or root key"};

    if (files->count > 0) {
        int named = keyring_collect(ring, d->path, files, &any);
        return named != STATUS_OK ? named : sign_with(c, ring, &r->fleet);
    }
    for (uint32_t i = 0; i < r->enrol_count; i++)
        if (!r->enrol[i].retired)
            enrol.key[enrol.count++] = r->enrol[i].key;
    const struct wanted few = {enrol.key, enrol.count, enrol.threshold, "enrolment key"};
    int status = keyring_collect_any(ring, d->path, files, &few);
    if (status == STATUS_OK)
        status = sign_with(c, ring, &r->fleet);
    if (status != STATUS_OK)
        return status;
    if (c->count > 0 && revlist_judge(&d->trust, cosign_encode(c, encoded)) != E_THRESHOLD)
        return STATUS_OK;
    const struct wanted more = {r->root.key, r->root.count, r->root.threshold, "root key"};
    status = keyring_collect_any(ring, d->path, files, &more);
    return status != STATUS_OK ? status : sign_with(c, ring, &r->fleet);
}

/* Starts from the list that is there; *present tells whether there is one. */
static int read_held(const struct fleet_dir *d, struct revocations *r, bool *present)
{
    struct digest fleet;
    struct bytes body;
    uint8_t *list;
    size_t n;

    memset(r, 0, sizeof *r);
    int status = fleet_dir_revocations(d, &list, &n, present);
    if (status != STATUS_OK || !*present)
        return status;
    enum err e = revocations_decode(r, &fleet, &body, bytes_of(list, n));
    free(list);
    if (e == E_OK && !digest_equal(&fleet, &d->trust.root.fleet))
        e = E_FLEET;
    if (e != E_OK)
        return fail(STATUS_FILE, "%s/revocations.bin: %s: restore it from a copy", d->path,
                    err_text(e));
    return STATUS_OK;
}

static int revoke(const struct fleet_dir *d, const struct options *opt)
{
    struct revocations held, next;
    uint8_t body[REVOCATIONS_BYTES_MAX];
    struct wr w = wr_of(body, sizeof body);
    struct keyring ring;
    struct cosign c;
    bool present;

    int status = read_held(d, &held, &present);
    next = held;
    if (status == STATUS_OK)
        status = add_all(&next, opt, d->path);
    if (status != STATUS_OK)
        return status;
    if (next.count == 0)
        return fail(STATUS_USAGE, "device revoke: needs --index, --range or --serial");
    if (present && memcmp(held.range, next.range, sizeof held.range) == 0 &&
        held.root_version == d->trust.root.version) {
        say("revocation list %u.%u: has them already", held.root_version, held.version);
        return STATUS_OK;
    }
    next.root_version = d->trust.root.version;
    next.version = held.version + 1;
    enum err e = revocations_encode_body(&next, &d->trust.root.fleet, &w);
    if (e != E_OK)
        return fail_err(e, "the revocation list", "revoke ranges that lie together");
    cosign_start(&c, wr_done(&w));
    status = keyring_open(&ring, &opt->passwords);
    if (status == STATUS_OK)
        status = sign_list(&c, d, &ring, &opt->keys);
    keyring_close(&ring);
    if (status == STATUS_OK && c.count == 0)
        status = fail(STATUS_FILE,
                      "%s/keys: no enrolment or root key lies there: name one with "
                      "--key FILE",
                      d->path);
    return status != STATUS_OK ? status : revlist_take(d, &c, &next);
}

static int run(const struct verb *v, int argc, char **argv)
{
    struct options opt = {0};
    struct list operands;
    struct fleet_dir d;
    int status;

    if (!args_parse(v, argc, argv, &opt, &operands, &status))
        return status;
    status = fleet_dir_open(&d, operands.item[0], true);
    if (status != STATUS_OK)
        return status;
    status = revoke(&d, &opt);
    fleet_dir_close(&d);
    return status;
}

const struct verb verb_device_revoke = {
    "device",
    "revoke",
    "DIR",
    1,
    1,
    "Put devices on the fleet's revocation list, DIR/revocations.bin",
    "With no device named, the list is signed again under the newest root.  A verify node, or "
    "more\n"
    "than a tenth of all leased indices, needs root keys.  When keys are missing the list waits\n"
    "in DIR/revocations.next for `revocation sign` and `revocation merge`.\n"
    "`release publish --fleet DIR --to ADDR:PORT` hands it to a verify node; from there it "
    "reaches\n"
    "every node.",
    flags,
    run,
};
