/* `device enrol`: a key, a certificate and a directory for each new device.
 *
 * An index is noted as given before its certificate exists, so a crash wastes one and never hands
 * it out twice.  A verify node has no certificate: the root lists it, so enrolling some means one
 * next root, however many. */
#include "verbs.h"

#include "newdevice.h"
#include "records.h"
#include "rootstep.h"

#include "fwswarm/manifest.h"

#include <string.h>

struct options {
    const char *role, *model;
    struct list out, serial, keys, passwords;
    struct number index;
    bool force;
};

static const struct flag flags[] = {
    {"role", FLAG_TEXT, offsetof(struct options, role), "ROLE", "normal, verify or gateway", true,
     0, 0},
    {"out", FLAG_LIST, offsetof(struct options, out), "DEVDIR",
     "directory for the device's key and papers; repeated: so many devices", true, 0, 0},
    {"model", FLAG_TEXT, offsetof(struct options, model), "MODEL",
     "model whose releases it takes; a verify node needs none", false, 0, 0},
    {"serial", FLAG_LIST, offsetof(struct options, serial), "S",
     "serial number, for your own list; one for each --out", false, 0, 0},
    {"index", FLAG_NUMBER, offsetof(struct options, index), "I",
     "index of the (first) device instead of the next one", false, 0, UINT32_MAX - 1},
    FLAG_KEYS(struct options),
    FLAG_PASSWORDS(struct options),
    FLAG_FORCE(struct options, "replace a device's key in DEVDIR, or a next root that waits"),
    FLAG_END,
};

struct enrolling {
    const struct options *opt;
    enum role role;
    struct fleet_dir dir;
    struct devices devices;
    struct keyring ring;
    struct new_device device[LIST_MAX];
    uint32_t count;
};

static int check(struct enrolling *x)
{
    const struct options *o = x->opt;

    if (strcmp(o->role, "normal") == 0)
        x->role = ROLE_NORMAL;
    else if (strcmp(o->role, "gateway") == 0)
        x->role = ROLE_GATEWAY;
    else if (strcmp(o->role, "verify") == 0)
        x->role = ROLE_VERIFY;
    else
        return fail(STATUS_USAGE, "device enrol: --role %s: say normal, verify or gateway",
                    o->role);
    if (x->role != ROLE_VERIFY && o->model == NULL)
        return fail(STATUS_USAGE, "device enrol: --role %s: needs --model MODEL", o->role);
    if (o->model != NULL && !release_name_valid(o->model, MODEL_MAX))
        return fail(STATUS_USAGE,
                    "device enrol: --model %s: say 1 to %u characters of A-Z a-z 0-9 . _ + ~ -",
                    o->model, MODEL_MAX);
    if (o->serial.count > 0 && o->serial.count != o->out.count)
        return fail(STATUS_USAGE,
                    "device enrol: %u times --serial, %u times --out: give one for "
                    "each",
                    o->serial.count, o->out.count);
    for (uint32_t i = 0; i < o->out.count; i++) {
        int status = new_device_check(o->out.item[i], o->force);
        for (uint32_t k = 0; k < i && status == STATUS_OK; k++)
            if (strcmp(o->out.item[i], o->out.item[k]) == 0)
                status = fail(STATUS_USAGE, "device enrol: --out %s: given twice: say it once",
                              o->out.item[i]);
        if (status != STATUS_OK)
            return status;
    }
    return STATUS_OK;
}

/* Makes the keys, and gives them indices of one row. */
static int make(struct enrolling *x, const struct index_row *row)
{
    const struct options *o = x->opt;
    struct device_entry entry[LIST_MAX];
    struct hex key[LIST_MAX];
    uint32_t next;

    if (!devices_next(&x->devices, row, &next))
        return fail(STATUS_REFUSED,
                    "%s: indices %u to %u: all given: add a lease by `root rotate "
                    "--add-enrol-key`",
                    x->devices.path.s, row->first, row->last);
    if (o->index.set && (o->index.value < next || o->index.value > row->last))
        return fail(STATUS_REFUSED,
                    "device enrol: --index %llu: was given already or is outside the lease: say %u "
                    "to %u",
                    (unsigned long long)o->index.value, next, row->last);
    if (o->index.set)
        next = (uint32_t)o->index.value;
    if (row->last - next < o->out.count - 1)
        return fail(STATUS_REFUSED,
                    "device enrol: %u devices: only %u indices are left: enrol "
                    "fewer",
                    o->out.count, row->last - next + 1);
    for (x->count = 0; x->count < o->out.count; x->count++) {
        struct new_device *d = &x->device[x->count];
        int status = new_device_make(d);
        if (status != STATUS_OK)
            return status;
        d->role = x->role;
        d->index = next + x->count;
        d->model = x->role == ROLE_VERIFY ? "" : o->model;
        d->serial = o->serial.count > 0 ? o->serial.item[x->count] : "";
        d->out = o->out.item[x->count];
        key[x->count] = hex32(d->pub.b);
        entry[x->count] = (struct device_entry){d->index, role_name(d->role), d->model, d->serial,
                                                key[x->count].s};
    }
    return devices_add(&x->devices, row, entry, x->count);
}

static int write_one(const struct enrolling *x, const struct new_device *d, struct bytes cert)
{
    int status = new_device_write(d, bytes_of(x->dir.chain, x->dir.chain_len), cert, x->opt->force);

    if (status == STATUS_OK)
        say("device %u: role %s, key %s, in %s", d->index, role_name(d->role), hex32(d->pub.b).s,
            d->out);
    return status;
}

/* ---- verify nodes ---- */

static int enrol_verify(struct enrolling *x)
{
    const struct index_row row = index_row_verify();
    struct rootstep step;

    int status = rootstep_begin(&step, &x->dir, x->opt->force);
    if (status != STATUS_OK)
        return status;
    struct root *r = &step.next;
    if (r->verify_count + x->opt->out.count > ROOT_VERIFY_MAX)
        return fail(STATUS_REFUSED,
                    "device enrol: %u verify nodes: a root lists at most %u: drop "
                    "some by `root rotate --drop-verify-key`",
                    r->verify_count + x->opt->out.count, ROOT_VERIFY_MAX);
    status = rootstep_collect(&step, &x->dir, &x->ring, &x->opt->keys);
    if (status == STATUS_OK)
        status = make(x, &row);
    if (status != STATUS_OK)
        return status;
    for (uint32_t i = 0; i < x->count; i++) {
        r->verify[r->verify_count].key = x->device[i].pub;
        r->verify[r->verify_count++].index = x->device[i].index;
    }
    status = rootstep_sign(&step, &x->dir, &x->ring);
    for (uint32_t i = 0; status == STATUS_OK && i < x->count; i++)
        status = write_one(x, &x->device[i], bytes_of(NULL, 0));
    if (status == STATUS_OK && !step.taken)
        note("no verify node yet: once the next root is taken, copy %s/root.pub to where they run",
             x->dir.path);
    return status;
}

/* ---- devices with a certificate ---- */

/* Finds a lease that still has indices and whose key can be opened here. */
static int find_lease(struct enrolling *x, const struct enrol_lease **out)
{
    const struct root *r = &x->dir.trust.root;
    struct key active[ROOT_KEYS_MAX];
    uint32_t n = 0, index;

    for (uint32_t i = 0; i < r->enrol_count; i++)
        if (!r->enrol[i].retired)
            active[n++] = r->enrol[i].key;
    if (x->opt->keys.count > 0) {
        const struct wanted any = {active, n, n, "enrolment key"};
        int status = keyring_collect(&x->ring, x->dir.path, &x->opt->keys, &any);
        if (status != STATUS_OK)
            return status;
    }
    *out = NULL;
    for (uint32_t i = 0; i < r->enrol_count; i++) {
        const struct enrol_lease *lease = &r->enrol[i];
        const struct index_row row = index_row_lease(lease);
        const struct wanted one = {&lease->key, 1, 1, "enrolment key"};
        if (lease->retired)
            continue;
        if (x->opt->keys.count == 0) {
            int status = keyring_collect_any(&x->ring, x->dir.path, &x->opt->keys, &one);
            if (status != STATUS_OK)
                return status;
        }
        if (!keyring_has(&x->ring, &lease->key))
            continue;
        *out = lease;
        if (devices_next(&x->devices, &row, &index))
            return STATUS_OK;
    }
    if (*out != NULL)
        return STATUS_OK; /* used up: make() says so */
    return fail(STATUS_FILE,
                "%s/keys: no enrolment key of root version %u lies there: name one "
                "with --key FILE",
                x->dir.path, r->version);
}

static const struct signer *signer_of(const struct keyring *ring, const struct key *pub)
{
    for (uint32_t i = 0; i < ring->count; i++)
        if (key_equal(&ring->key[i].pub, pub))
            return &ring->key[i];
    return NULL;
}

static int certify(struct enrolling *x, const struct new_device *d, const struct signer *enrol)
{
    const struct digest *fleet = &x->dir.trust.root.fleet;
    uint8_t cert[CERT_BYTES_MAX];
    struct wr w = wr_of(cert, sizeof cert);
    struct member member = {.node = d->pub, .index = d->index, .role = d->role}, judged;

    model_id(&member.model, fleet, d->model);
    enum err e = cert_make(&w, &member, enrol, fleet);
    if (e == E_OK)
        e = cert_judge(&judged, wr_done(&w), &d->pub, &x->dir.trust);
    if (e != E_OK)
        return fail_err(e, d->out, "certificate for index %u was not given", d->index);
    return write_one(x, d, wr_done(&w));
}

static int enrol_devices(struct enrolling *x)
{
    const struct enrol_lease *lease;

    int status = find_lease(x, &lease);
    if (status != STATUS_OK)
        return status;
    const struct index_row row = index_row_lease(lease);
    status = make(x, &row);
    for (uint32_t i = 0; status == STATUS_OK && i < x->count; i++)
        status = certify(x, &x->device[i], signer_of(&x->ring, &lease->key));
    return status;
}

static int run(const struct verb *v, int argc, char **argv)
{
    struct options opt = {0};
    struct enrolling x = {.opt = &opt};
    struct list operands;
    int status;

    if (!args_parse(v, argc, argv, &opt, &operands, &status))
        return status;
    status = check(&x);
    if (status == STATUS_OK)
        status = fleet_dir_open(&x.dir, operands.item[0], true);
    if (status != STATUS_OK)
        return status;
    status = devices_open(&x.devices, x.dir.path, opt.index.set);
    if (status == STATUS_OK)
        status = keyring_open(&x.ring, &opt.passwords);
    if (status == STATUS_OK)
        status = x.role == ROLE_VERIFY ? enrol_verify(&x) : enrol_devices(&x);
    for (uint32_t i = 0; i < LIST_MAX; i++)
        new_device_wipe(&x.device[i]);
    keyring_close(&x.ring);
    devices_close(&x.devices);
    fleet_dir_close(&x.dir);
    return status;
}

const struct verb verb_device_enrol = {
    "device",
    "enrol",
    "DIR",
    1,
    1,
    "Make a device's key and its papers: certificate, root chain, model, serial",
    "The directory goes to the device.  A verify node is listed in the root instead of holding a\n"
    "certificate: --role verify makes the next root, signed with root keys; several --out make\n"
    "one root for all.  DIR/devices.json remembers every index given.",
    flags,
    run,
};
