/* `root rotate`: the next version of the fleet's root, with keys added, dropped or unchanged.
 *
 * An unchanged root is useful too: releases are ordered by (root version, sequence), so a mere step
 * outranks every sequence that a thief may have used up. */
#include "verbs.h"

#include "records.h"
#include "rootstep.h"

#include <string.h>

struct options {
    struct list add_root, drop_root, add_release, drop_release, add_publisher, drop_publisher;
    struct list add_verify, drop_verify;
    const char *add_enrol, *drop_enrol, *audit;
    struct number root_threshold, threshold, enrol_threshold, first, last, index;
    struct list keys, passwords;
    bool force;
};

#define LIST_FLAG(name, field, help)                                                               \
    {                                                                                              \
        name, FLAG_LIST, offsetof(struct options, field), "PUB", help, false, 0, 0                 \
    }
#define THRESHOLD_FLAG(name, field, help)                                                          \
    {                                                                                              \
        name, FLAG_NUMBER, offsetof(struct options, field), "K", help, false, 1, ROOT_KEYS_MAX     \
    }

static const struct flag flags[] = {
    LIST_FLAG("add-release-key", add_release, "let this key sign releases"),
    LIST_FLAG("drop-release-key", drop_release, "no longer let this key sign releases"),
    THRESHOLD_FLAG("threshold", threshold, "so many keys must sign a release"),
    LIST_FLAG("add-root-key", add_root, "let this key sign roots"),
    LIST_FLAG("drop-root-key", drop_root, "no longer let this key sign roots"),
    THRESHOLD_FLAG("root-threshold", root_threshold, "so many keys must sign the next root"),
    {"add-enrol-key", FLAG_TEXT, offsetof(struct options, add_enrol), "PUB",
     "let this key enrol devices with the indices --first-index to --last-index", false, 0, 0},
    {"first-index", FLAG_NUMBER, offsetof(struct options, first), "I",
     "first index of the new enrolment key", false, 0, VERIFY_INDEX_FIRST - 1},
    {"last-index", FLAG_NUMBER, offsetof(struct options, last), "I",
     "last index of the new, or last one that stands of the dropped, enrolment key", false, 0,
     VERIFY_INDEX_FIRST - 1},
    {"drop-enrol-key", FLAG_TEXT, offsetof(struct options, drop_enrol), "PUB",
     "no longer let this key enrol; certificates up to --last-index stand", false, 0, 0},
    THRESHOLD_FLAG("enrol-threshold", enrol_threshold,
                   "so many enrolment keys must sign a revocation list"),
    LIST_FLAG("add-publisher-key", add_publisher, "let this key publish"),
    LIST_FLAG("drop-publisher-key", drop_publisher, "no longer let this key publish"),
    LIST_FLAG("add-verify-key", add_verify, "let this key be a verify node (see `device enrol`)"),
    {"verify-index", FLAG_NUMBER, offsetof(struct options, index), "I",
     "index of the first verify node added; the others follow", false, VERIFY_INDEX_FIRST,
     UINT32_MAX - ROOT_VERIFY_MAX},
    LIST_FLAG("drop-verify-key", drop_verify, "no longer let this key be a verify node"),
    {"audit-key", FLAG_TEXT, offsetof(struct options, audit), "PUB",
     "seal alarms to this key from now on", false, 0, 0},
    FLAG_KEYS(struct options),
    FLAG_PASSWORDS(struct options),
    FLAG_FORCE(struct options, "replace a next root that waits for signatures"),
    FLAG_END,
};

static int set_change(struct key_set *set, const char *kind, const struct list *add,
                      const struct list *drop)
{
    struct key key;

    for (uint32_t i = 0; i < drop->count; i++) {
        int status = pub_read(drop->item[i], kind, &key);
        if (status != STATUS_OK)
            return status;
        uint32_t at = 0;
        while (at < set->count && !key_equal(&set->key[at], &key))
            at++;
        if (at == set->count)
            return fail_err(E_UNLISTED, drop->item[i], "see `fleet show` for the %s keys", kind);
        memmove(&set->key[at], &set->key[at + 1], (set->count - at - 1) * sizeof set->key[0]);
        set->count--;
    }
    for (uint32_t i = 0; i < add->count; i++) {
        int status = pub_read(add->item[i], kind, &key);
        if (status != STATUS_OK)
            return status;
        if (key_set_has(set, &key))
            return fail_err(E_DUPLICATE, add->item[i], "leave it out");
        if (set->count == ROOT_KEYS_MAX)
            return fail_err(E_LIMIT, add->item[i], "a root lists at most %u %s keys: drop one",
                            ROOT_KEYS_MAX, kind);
        set->key[set->count++] = key;
    }
    return STATUS_OK;
}

static int set_threshold(struct key_set *set, const char *what, const struct number *to)
{
    if (to->set)
        set->threshold = (uint32_t)to->value;
    if (set->count == 0)
        return fail(STATUS_USAGE, "root rotate: no %s key would be left: add one", what);
    if (set->threshold > set->count)
        return fail(STATUS_USAGE,
                    "root rotate: %s threshold %u: more than the %u keys: lower it or add keys",
                    what, set->threshold, set->count);
    return STATUS_OK;
}

static int add_enrol(struct root *r, const struct options *o)
{
    struct key key;

    if (!o->first.set || !o->last.set)
        return fail(STATUS_USAGE,
                    "root rotate: --add-enrol-key %s: needs --first-index and --last-index",
                    o->add_enrol);
    int status = pub_read(o->add_enrol, "enrol", &key);
    if (status != STATUS_OK)
        return status;
    if (r->enrol_count == ROOT_KEYS_MAX)
        return fail_err(E_LIMIT, o->add_enrol, "a root lists at most %u enrolment keys",
                        ROOT_KEYS_MAX);
    struct enrol_lease *lease = &r->enrol[r->enrol_count++];
    *lease = (struct enrol_lease){key, (uint32_t)o->first.value, (uint32_t)o->last.value, false};
    if (lease->first > lease->last)
        return fail(STATUS_USAGE, "root rotate: --first-index %u: above --last-index %u: swap them",
                    lease->first, lease->last);
    for (uint32_t i = 0; i + 1 < r->enrol_count; i++) {
        const struct enrol_lease *other = &r->enrol[i];
        if (key_equal(&other->key, &key))
            return fail_err(E_DUPLICATE, o->add_enrol, "leave it out");
        if (other->first <= lease->last && lease->first <= other->last)
            return fail(STATUS_REFUSED,
                        "root rotate: indices %u to %u: overlap the lease %u to %u of another key: "
                        "choose others",
                        lease->first, lease->last, other->first, other->last);
    }
    return STATUS_OK;
}

static int drop_enrol(struct root *r, const struct options *o)
{
    struct key key;

    if (!o->last.set)
        return fail(STATUS_USAGE,
                    "root rotate: --drop-enrol-key %s: needs --last-index, the last index whose "
                    "certificate stands",
                    o->drop_enrol);
    int status = pub_read(o->drop_enrol, "enrol", &key);
    if (status != STATUS_OK)
        return status;
    for (uint32_t i = 0; i < r->enrol_count; i++) {
        struct enrol_lease *lease = &r->enrol[i];
        if (!key_equal(&lease->key, &key))
            continue;
        if (o->last.value > lease->last)
            return fail(STATUS_USAGE,
                        "root rotate: --last-index %u: beyond its lease, which ends "
                        "at %u: lower it",
                        (uint32_t)o->last.value, lease->last);
        lease->last = (uint32_t)o->last.value;
        lease->retired = true;
        return STATUS_OK;
    }
    return fail_err(E_UNLISTED, o->drop_enrol, "see `fleet show` for the enrolment keys");
}

static int enrol_change(struct root *r, const struct options *o)
{
    int status = STATUS_OK;
    uint32_t active = 0;

    if (o->drop_enrol != NULL && o->add_enrol != NULL)
        return fail(STATUS_USAGE, "root rotate: --add-enrol-key and --drop-enrol-key: both need "
                                  "--last-index: rotate twice");
    if (o->drop_enrol != NULL)
        status = drop_enrol(r, o);
    if (status == STATUS_OK && o->add_enrol != NULL)
        status = add_enrol(r, o);
    if (status != STATUS_OK)
        return status;
    for (uint32_t i = 0; i < r->enrol_count; i++)
        active += !r->enrol[i].retired;
    if (o->enrol_threshold.set)
        r->enrol_threshold = (uint32_t)o->enrol_threshold.value;
    else if (r->enrol_threshold > active)
        r->enrol_threshold = active; /* rootstep_explain says so */
    else if (r->enrol_threshold == 0 && active > 0)
        r->enrol_threshold = 1;
    if (r->enrol_threshold > active)
        return fail(STATUS_USAGE,
                    "root rotate: --enrol-threshold %u: more than the %u keys: lower "
                    "it",
                    r->enrol_threshold, active);
    return STATUS_OK;
}

static int verify_change(struct root *r, const struct options *o)
{
    struct key key;

    for (uint32_t i = 0; i < o->drop_verify.count; i++) {
        int status = pub_read(o->drop_verify.item[i], "node", &key);
        if (status != STATUS_OK)
            return status;
        uint32_t at = 0;
        while (at < r->verify_count && !key_equal(&r->verify[at].key, &key))
            at++;
        if (at == r->verify_count)
            return fail_err(E_UNLISTED, o->drop_verify.item[i],
                            "see `fleet show` for the verify nodes");
        r->verify[at] = r->verify[--r->verify_count];
    }
    if (o->add_verify.count > 0 && !o->index.set)
        return fail(STATUS_USAGE, "root rotate: --add-verify-key %s: needs --verify-index",
                    o->add_verify.item[0]);
    for (uint32_t i = 0; i < o->add_verify.count; i++) {
        int status = pub_read(o->add_verify.item[i], "node", &key);
        if (status != STATUS_OK)
            return status;
        if (r->verify_count == ROOT_VERIFY_MAX)
            return fail_err(E_LIMIT, o->add_verify.item[i], "a root lists at most %u verify nodes",
                            ROOT_VERIFY_MAX);
        r->verify[r->verify_count].key = key;
        r->verify[r->verify_count++].index = (uint32_t)o->index.value + i;
    }
    return STATUS_OK;
}

static int change(struct root *r, const struct options *o)
{
    int status = set_change(&r->root, "root", &o->add_root, &o->drop_root);

    if (status == STATUS_OK)
        status = set_threshold(&r->root, "root", &o->root_threshold);
    if (status == STATUS_OK)
        status = set_change(&r->release, "release", &o->add_release, &o->drop_release);
    if (status == STATUS_OK)
        status = set_threshold(&r->release, "release", &o->threshold);
    if (status == STATUS_OK)
        status = set_change(&r->publisher, "publisher", &o->add_publisher, &o->drop_publisher);
    r->publisher.threshold = r->publisher.count > 0 ? 1 : 0;
    if (status == STATUS_OK)
        status = enrol_change(r, o);
    if (status == STATUS_OK)
        status = verify_change(r, o);
    if (status == STATUS_OK && o->audit != NULL)
        status = pub_read(o->audit, "audit", &r->audit);
    return status;
}

static int run(const struct verb *v, int argc, char **argv)
{
    struct options opt = {0};
    struct list operands;
    struct fleet_dir d;
    struct keyring ring;
    struct rootstep step;
    int status;

    if (!args_parse(v, argc, argv, &opt, &operands, &status))
        return status;
    status = fleet_dir_open(&d, operands.item[0], true);
    if (status != STATUS_OK)
        return status;
    status = rootstep_begin(&step, &d, opt.force);
    if (status == STATUS_OK)
        status = change(&step.next, &opt);
    if (status == STATUS_OK)
        status = keyring_open(&ring, &opt.passwords);
    if (status == STATUS_OK) {
        status = rootstep_collect(&step, &d, &ring, &opt.keys);
        if (status == STATUS_OK)
            status = rootstep_sign(&step, &d, &ring);
        keyring_close(&ring);
    }
    fleet_dir_close(&d);
    return status;
}

const struct verb verb_root_rotate = {
    "root",
    "rotate",
    "DIR",
    1,
    1,
    "Make the next version of the fleet's root and sign it with root keys",
    "It must be signed by as many keys as the present root asks for and as many as it asks for\n"
    "itself.  When the keys here suffice it is appended to DIR/root.pub; else it waits in\n"
    "DIR/root.next for `root sign` on other machines and `root merge` here.  PUB is a .pub file\n"
    "or a public key in hex.  What has to be signed again is printed.",
    flags,
    run,
};
