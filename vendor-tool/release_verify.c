/* `release verify`: the judgement that a device would make, and the image against the manifest. */
#include "verbs.h"

#include "suitfile.h"

#include <inttypes.h>
#include <stdlib.h>

struct options {
    const char *fleet, *image;
};

static const struct flag flags[] = {
    {"fleet", FLAG_TEXT, offsetof(struct options, fleet), "ROOT.pub",
     "the fleet's root chain, or its directory", true, 0, 0},
    {"image", FLAG_TEXT, offsetof(struct options, image), "FILE", "check this image too", false, 0,
     0},
    FLAG_END,
};

static const char *mend_of(enum err e)
{
    if (e == E_THRESHOLD)
        return "more release keys must sign it; `release merge` joins their parts";
    if (e == E_UNLISTED)
        return "sign it with the release keys of the newest root";
    if (e == E_FLEET)
        return "name the root.pub of its own fleet";
    if (e == E_STALE || e == E_STATE)
        return "its root version is not known here: take the newest root.pub, or sign it again";
    return "do not use it";
}

static int check_image(const char *path, const struct manifest *m)
{
    struct image_facts image;

    int status = image_hash(path, &image);
    if (status != STATUS_OK)
        return status;
    if (image.geo.size != m->size)
        return fail(STATUS_REFUSED,
                    "%s: %" PRIu64 " bytes: the release has %" PRIu64
                    ": take the image that was signed",
                    path, image.geo.size, m->size);
    if (!digest_equal(&image.digest, &m->digest))
        return fail(STATUS_REFUSED,
                    "%s: SHA-256 %s: the release has %s: take the image that was "
                    "signed",
                    path, hex32(image.digest.b).s, hex32(m->digest.b).s);
    if (!digest_equal(&image.root, &m->tree_root))
        return fail(STATUS_REFUSED, "%s: tree root %s: the release has %s: sign it again", path,
                    hex32(image.root.b).s, hex32(m->tree_root.b).s);
    return STATUS_OK;
}

static int verify_stop(const char *path, const struct trust *t)
{
    uint8_t encoded[COSIGN_BYTES_MAX];
    struct withdrawal wd;
    struct cosign c;

    int status = cosign_read(&c, path);
    if (status != STATUS_OK)
        return status;
    enum err e = c.count == 0 ? E_THRESHOLD : withdrawal_open(&wd, cosign_encode(&c, encoded), t);
    if (e != E_OK)
        return fail_err(e, path, "%s", mend_of(e));
    say("good: withdraws manifest %s, sequence %" PRIu64, hex32(wd.manifest.b).s, wd.sequence);
    return STATUS_OK;
}

static int verify_suit(const char *path, const struct trust *t, const char *image)
{
    struct suit s;
    struct manifest m;

    int status = suit_read(&s, path);
    if (status != STATUS_OK)
        return status;
    /* Said first, because the keys of another fleet are merely unlisted in this one. */
    enum err e = digest_equal(&s.m.fleet, &t->root.fleet)
                     ? manifest_open(&m, bytes_of(s.data, s.len), t)
                     : E_FLEET;
    if (e != E_OK)
        return fail_err(e, path, "%s", mend_of(e));
    if (image != NULL)
        status = check_image(image, &m);
    if (status == STATUS_OK)
        say("good: model %s, version %s, sequence %" PRIu64 ", root version %u, %u signatures%s",
            m.model, m.version, m.sequence, m.root_version, m.signers_count,
            image != NULL ? ", image matches" : "");
    return status;
}

static int run(const struct verb *v, int argc, char **argv)
{
    struct options opt = {0};
    struct list operands;
    struct trust t;
    uint8_t *chain;
    size_t n;
    int status;

    if (!args_parse(v, argc, argv, &opt, &operands, &status))
        return status;
    status = root_chain_read(opt.fleet, &t, &chain, &n);
    if (status != STATUS_OK)
        return status;
    free(chain);
    return file_is_stop(operands.item[0]) ? verify_stop(operands.item[0], &t)
                                          : verify_suit(operands.item[0], &t, opt.image);
}

const struct verb verb_release_verify = {
    "release",
    "verify",
    "FILE.suit",
    1,
    1,
    "Judge a release, or a withdrawal, as a device of the fleet would",
    "Exits 0 when it is good, 1 when it is not.",
    flags,
    run,
};
