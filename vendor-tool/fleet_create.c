/* `fleet create`: keys, a fleet id, the first root.
 *
 * N people get N root keys and N release keys under one threshold K, so that k-of-n means the same
 * k people for a release and for a change of the root.  All keys are made here; each may then move
 * to its own machine, for every verb that signs takes --key.  root.pub is written last: a directory
 * that has it is a whole fleet. */
#include "verbs.h"

#include "fleetdir.h"
#include "keyring.h"
#include "newdevice.h"
#include "records.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LEASE_LAST_DEFAULT 4095u

struct options {
    struct number signers, threshold, verify_nodes, last_index;
    struct list passwords;
    bool no_password;
};

static const struct flag flags[] = {
    {"signers", FLAG_NUMBER, offsetof(struct options, signers), "N",
     "make N root keys and N release keys (1)", false, 1, ROOT_KEYS_MAX},
    {"threshold", FLAG_NUMBER, offsetof(struct options, threshold), "K",
     "K of them must sign a release or a root (more than half of N)", false, 1, ROOT_KEYS_MAX},
    {"verify-nodes", FLAG_NUMBER, offsetof(struct options, verify_nodes), "M",
     "make M verify nodes too, in DIR/verify/1 to DIR/verify/M (0)", false, 0, ROOT_VERIFY_MAX},
    {"last-index", FLAG_NUMBER, offsetof(struct options, last_index), "I",
     "the enrolment key may hand out the indices 0 to I (4095)", false, 0, VERIFY_INDEX_FIRST - 1},
    {"no-password", FLAG_SWITCH, offsetof(struct options, no_password), NULL,
     "leave the private keys unencrypted", false, 0, 0},
    FLAG_PASSWORDS(struct options),
    FLAG_END,
};

struct making {
    const struct options *opt;
    const char *dir;
    struct bytes password;
    struct root root;
    struct new_device verify[ROOT_VERIFY_MAX];
    struct path verify_out[ROOT_VERIFY_MAX];
};

/* Makes keys/STEM.key, or keys/STEM-1.key and so on when there are several. */
static int make_keys(const struct making *m, const char *stem, uint32_t count, struct key *out)
{
    for (uint32_t i = 0; i < count; i++) {
        char name[32];
        struct path path;
        if (count == 1)
            snprintf(name, sizeof name, "%s", stem);
        else
            snprintf(name, sizeof name, "%s-%u", stem, i + 1);
        int status = path_join(&path, m->dir, "keys", name);
        if (status == STATUS_OK)
            status = key_make(path.s, stem, m->password, false, &out[i]);
        if (status != STATUS_OK)
            return status;
    }
    return STATUS_OK;
}

static int make_verify_keys(struct making *m)
{
    for (uint32_t i = 0; i < m->root.verify_count; i++) {
        char name[16];
        struct new_device *d = &m->verify[i];
        snprintf(name, sizeof name, "%u", i + 1);
        int status = path_join(&m->verify_out[i], m->dir, "verify", name);
        if (status == STATUS_OK)
            status = new_device_make(d);
        if (status != STATUS_OK)
            return status;
        d->role = ROLE_VERIFY;
        d->index = VERIFY_INDEX_FIRST + i;
        d->model = d->serial = "";
        d->out = m->verify_out[i].s;
        m->root.verify[i].key = d->pub;
        m->root.verify[i].index = d->index;
    }
    return STATUS_OK;
}

static int make_all_keys(struct making *m)
{
    struct root *r = &m->root;
    struct key enrol;

    int status = make_keys(m, "root", r->root.count, r->root.key);
    if (status == STATUS_OK)
        status = make_keys(m, "release", r->release.count, r->release.key);
    if (status == STATUS_OK)
        status = make_keys(m, "enrol", 1, &enrol);
    if (status == STATUS_OK)
        status = make_keys(m, "publisher", 1, r->publisher.key);
    if (status == STATUS_OK)
        status = make_keys(m, "audit", 1, &r->audit);
    if (status == STATUS_OK)
        status = make_verify_keys(m);
    if (status != STATUS_OK)
        return status;
    r->enrol_count = 1;
    r->enrol_threshold = 1;
    r->enrol[0].key = enrol;
    r->enrol[0].first = 0;
    r->enrol[0].last =
        m->opt->last_index.set ? (uint32_t)m->opt->last_index.value : LEASE_LAST_DEFAULT;
    return random_seed(r->fleet.b);
}

/* Signs root v1 with the first K root keys, opened from their files as any later verb does. */
static int sign_first(const struct making *m, struct keyring *ring, uint8_t *out,
                      struct bytes *done)
{
    static const struct list none;
    uint8_t body[ROOT_BYTES_MAX];
    struct key keys[RING_MAX];
    struct sig sigs[RING_MAX];
    const struct wanted want = {m->root.root.key, m->root.root.count, m->root.root.threshold,
                                "root key"};

    int status = keyring_collect(ring, m->dir, &none, &want);
    if (status != STATUS_OK)
        return status;
    struct wr w = wr_of(body, sizeof body);
    enum err e = root_encode_body(&m->root, &w);
    if (e != E_OK)
        return fail_err(e, "the first root", "use fewer keys or verify nodes");
    for (uint32_t i = 0; i < ring->count; i++) {
        keys[i] = ring->key[i].pub;
        root_sign(&sigs[i], &ring->key[i], wr_done(&w));
    }
    struct wr signed_w = wr_of(out, ROOT_BYTES_MAX);
    e = root_encode(wr_done(&w), keys, sigs, ring->count, &signed_w);
    if (e != E_OK)
        return fail_err(e, "the first root", "use fewer keys or verify nodes");
    *done = wr_done(&signed_w);
    struct trust t;
    e = trust_init(&t, *done);
    if (e != E_OK)
        return fail_err(e, "the first root", "say other numbers of keys");
    return STATUS_OK;
}

static int record_verify(const struct making *m)
{
    const struct index_row row = index_row_verify();
    struct device_entry entry[ROOT_VERIFY_MAX];
    struct hex key[ROOT_VERIFY_MAX];
    struct devices devices;

    int status = devices_create(m->dir);
    if (status != STATUS_OK || m->root.verify_count == 0)
        return status;
    status = devices_open(&devices, m->dir, false);
    for (uint32_t i = 0; i < m->root.verify_count; i++) {
        key[i] = hex32(m->verify[i].pub.b);
        entry[i] =
            (struct device_entry){m->verify[i].index, role_name(ROLE_VERIFY), "", "", key[i].s};
    }
    if (status == STATUS_OK)
        status = devices_add(&devices, &row, entry, m->root.verify_count);
    devices_close(&devices);
    return status;
}

static int write_all(struct making *m, struct bytes signed_root)
{
    struct path path;

    int status = record_verify(m);
    if (status == STATUS_OK && m->root.verify_count > 0) {
        status = path_join(&path, m->dir, "verify", NULL);
        if (status == STATUS_OK)
            status = dir_make(path.s, 0700);
    }
    for (uint32_t i = 0; status == STATUS_OK && i < m->root.verify_count; i++)
        status = new_device_write(&m->verify[i], signed_root, bytes_of(NULL, 0), false);
    if (status == STATUS_OK)
        status = path_join(&path, m->dir, "root.pub", NULL);
    if (status == STATUS_OK)
        status = file_put(path.s, signed_root, 0644, false);
    return status;
}

static int is_key(const struct dirent *entry)
{
    return strstr(entry->d_name, ".key") != NULL;
}

static int check_empty(const char *dir)
{
    struct dirent **entries = NULL;
    struct path path;

    int status = path_join(&path, dir, "root.pub", NULL);
    if (status != STATUS_OK)
        return status;
    if (path_exists(path.s))
        return fail_err(E_EXISTS, path.s, "a fleet is not replaced: choose another directory");
    status = path_join(&path, dir, "keys", NULL);
    if (status != STATUS_OK)
        return status;
    int n = scandir(path.s, &entries, is_key, NULL);
    for (int i = 0; i < n; i++)
        free(entries[i]);
    free(entries);
    if (n <= 0)
        return STATUS_OK;
    return fail_err(E_EXISTS, path.s,
                    "keys are not replaced: choose another directory, or remove "
                    "what an earlier run left unfinished");
}

static void report(const struct making *m)
{
    const struct root *r = &m->root;

    say("fleet %s", hex32(r->fleet.b).s);
    say("root %s/root.pub: version 1, %u of %u root keys, %u of %u release keys", m->dir,
        r->root.threshold, r->root.count, r->release.threshold, r->release.count);
    say("keys %s/keys%s", m->dir, m->password.n == 0 ? ", not encrypted" : "");
    for (uint32_t i = 0; i < r->verify_count; i++)
        say("verify node %u: %s", r->verify[i].index, m->verify_out[i].s);
    if (r->root.count > 1)
        note("every key is on this machine now: move each to its holder, who signs with --key");
    warn_verify_count(r->verify_count);
}

static int create(struct making *m, struct keyring *ring)
{
    uint8_t signed_root[ROOT_BYTES_MAX];
    struct path keys;
    struct bytes done;
    int status = path_join(&keys, m->dir, "keys", NULL);

    if (status == STATUS_OK && !m->opt->no_password) {
        const struct password *p =
            passwords_new(&ring->passwords, "the keys of this fleet", &status);
        if (p == NULL)
            return status;
        m->password = password_bytes(p);
    }
    if (status == STATUS_OK)
        status = dir_make(keys.s, 0700);
    if (status == STATUS_OK)
        status = make_all_keys(m);
    if (status == STATUS_OK)
        status = sign_first(m, ring, signed_root, &done);
    if (status == STATUS_OK)
        status = write_all(m, done);
    return status;
}

static int run(const struct verb *v, int argc, char **argv)
{
    struct options opt = {0};
    struct list operands;
    struct making m = {.opt = &opt};
    struct fleet_dir lock;
    struct keyring ring;
    int status;

    if (!args_parse(v, argc, argv, &opt, &operands, &status))
        return status;
    if (opt.no_password && opt.passwords.count > 0)
        return fail(STATUS_USAGE, "fleet create: --no-password and --password-file: say one");
    uint32_t n = opt.signers.set ? (uint32_t)opt.signers.value : 1;
    uint32_t k = opt.threshold.set ? (uint32_t)opt.threshold.value : n / 2 + 1;
    if (k > n)
        return fail(STATUS_USAGE, "fleet create: --threshold %u: more than --signers %u: lower it",
                    k, n);
    m.dir = operands.item[0];
    m.root.version = 1;
    m.root.root.count = m.root.release.count = n;
    m.root.root.threshold = m.root.release.threshold = k;
    m.root.publisher.count = m.root.publisher.threshold = 1;
    m.root.verify_count = opt.verify_nodes.set ? (uint32_t)opt.verify_nodes.value : 0;

    status = dir_make(m.dir, 0755);
    if (status == STATUS_OK)
        status = fleet_dir_lock(&lock, m.dir);
    if (status != STATUS_OK)
        return status;
    status = check_empty(m.dir);
    if (status == STATUS_OK)
        status = keyring_open(&ring, &opt.passwords);
    if (status == STATUS_OK) {
        status = create(&m, &ring);
        keyring_close(&ring);
    }
    for (uint32_t i = 0; i < m.root.verify_count; i++)
        new_device_wipe(&m.verify[i]);
    if (status == STATUS_OK)
        report(&m);
    fleet_dir_close(&lock);
    return status;
}

const struct verb verb_fleet_create = {
    "fleet",
    "create",
    "DIR",
    1,
    1,
    "Make a fleet: its keys, its id and the first root",
    "DIR/root.pub is the fleet's public root, DIR/keys holds the private keys, encrypted with a\n"
    "password unless --no-password is given.  The root and the releases have N signers each and\n"
    "one threshold K, so that K of N means the same K people for both.",
    flags,
    run,
};
