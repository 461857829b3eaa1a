/* `release withdraw`: a signed stop for one release.
 *
 * It is made under the newest root, by keys that sign releases now, also for a release that older
 * keys signed.  A withdrawn release is noted, so that signing the same image again gives it a new
 * sequence and so another name. */
#include "verbs.h"

#include "keyring.h"
#include "records.h"
#include "suitfile.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct options {
    const char *out;
    struct list keys, passwords;
    bool force;
};

static const struct flag flags[] = {
    {"out", FLAG_TEXT, offsetof(struct options, out), "FILE.stop",
     "where the withdrawal goes (FILE.stop beside FILE.suit)", false, 0, 0},
    FLAG_KEYS(struct options),
    FLAG_PASSWORDS(struct options),
    FLAG_FORCE(struct options, "replace that file"),
    FLAG_END,
};

static int seal(const struct fleet_dir *d, const struct suit *s, const struct keyring *ring,
                const struct options *opt)
{
    const struct root *r = &d->trust.root;
    const struct withdrawal wd = {s->m.model_id, s->m.id, r->version, s->m.sequence};
    uint8_t out[WITHDRAWAL_BYTES_MAX];
    struct wr w = wr_of(out, sizeof out);
    struct key keys[RING_MAX];
    struct sig sigs[RING_MAX];
    struct withdrawal judged;

    for (uint32_t i = 0; i < ring->count; i++) {
        keys[i] = ring->key[i].pub;
        withdrawal_sign(&sigs[i], &ring->key[i], &r->fleet, &wd);
    }
    enum err e = withdrawal_encode(&wd, &r->fleet, keys, sigs, ring->count, &w);
    if (e == E_OK)
        e = withdrawal_open(&judged, wr_done(&w), &d->trust);
    if (e == E_THRESHOLD && ring->count < r->release.threshold)
        e = E_OK;
    if (e != E_OK)
        return fail_err(e, opt->out, "nothing was withdrawn");
    return file_put(opt->out, wr_done(&w), 0644, opt->force);
}

static int note_withdrawn(const struct fleet_dir *d, const struct digest *manifest)
{
    struct releases releases;

    int status = releases_open(&releases, d->path);
    if (status == STATUS_OK)
        status = releases_withdraw(&releases, manifest);
    releases_close(&releases);
    return status;
}

static int withdraw(const struct fleet_dir *d, const char *file, const struct options *opt)
{
    const struct root *r = &d->trust.root;
    const struct wanted want = {r->release.key, r->release.count, r->release.threshold,
                                "release key"};
    struct keyring ring;
    struct suit s;

    int status = suit_read(&s, file);
    if (status != STATUS_OK)
        return status;
    if (!digest_equal(&s.m.fleet, &r->fleet))
        return fail_err(E_FLEET, file, "name the directory of its own fleet");
    status = keyring_open(&ring, &opt->passwords);
    if (status == STATUS_OK)
        status = keyring_collect(&ring, d->path, &opt->keys, &want);
    if (status == STATUS_OK)
        status = note_withdrawn(d, &s.m.id);
    if (status == STATUS_OK)
        status = seal(d, &s, &ring, opt);
    if (status == STATUS_OK)
        say("withdrawn %s: model %s, version %s, sequence %" PRIu64 ", %u of %u signatures",
            opt->out, s.m.model, s.m.version, s.m.sequence, ring.count, r->release.threshold);
    if (status == STATUS_OK && ring.count < r->release.threshold)
        note("devices want %u signatures: withdraw it where the other keys are too, then `release "
             "merge`",
             r->release.threshold);
    else if (status == STATUS_OK)
        note("it takes effect where it is known: `release publish %s --to ADDR:PORT`", opt->out);
    keyring_close(&ring);
    return status;
}

/* FILE.suit is stopped by FILE.stop. */
static int name_out(struct path *out, const char *file)
{
    size_t n = strlen(file);

    if (n > 5 && strcmp(file + n - 5, ".suit") == 0)
        n -= 5;
    if (snprintf(out->s, sizeof out->s, "%.*s.stop", (int)n, file) >= (int)sizeof out->s)
        return fail(STATUS_FILE, "%s: path is too long: say --out FILE.stop", file);
    return STATUS_OK;
}

static int run(const struct verb *v, int argc, char **argv)
{
    struct options opt = {0};
    struct list operands;
    struct fleet_dir d;
    struct path out;
    int status;

    if (!args_parse(v, argc, argv, &opt, &operands, &status))
        return status;
    if (opt.out == NULL) {
        status = name_out(&out, operands.item[1]);
        if (status != STATUS_OK)
            return status;
        opt.out = out.s;
    }
    if (!opt.force && path_exists(opt.out))
        return fail_err(E_EXISTS, opt.out, "choose another --out, or say --force");
    status = fleet_dir_open(&d, operands.item[0], true);
    if (status != STATUS_OK)
        return status;
    status = withdraw(&d, operands.item[1], &opt);
    fleet_dir_close(&d);
    return status;
}

const struct verb verb_release_withdraw = {
    "release",
    "withdraw",
    "DIR FILE.suit",
    2,
    2,
    "Sign a stop for a release: no device serves or installs it any more",
    "`release publish FILE.stop --to ADDR:PORT` hands it to a verify node; from there it reaches\n"
    "every node, ahead of images.",
    flags,
    run,
};
