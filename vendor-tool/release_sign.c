/* `release sign`: hashes an image, writes its manifest, signs it.
 *
 * Keys are opened before the image is hashed, so that a wrong password is found at once.  The
 * sequence is noted durably before the release is written: of two releases of a model none can get
 * the same one.  Nothing here depends on time or chance, so signing the same again gives the same
 * bytes. */
#include "verbs.h"

#include "keyring.h"
#include "records.h"
#include "suitfile.h"

#include <inttypes.h>
#include <string.h>

struct options {
    const char *model, *version, *vendor, *image, *out;
    struct number sequence;
    struct list keys, passwords;
    bool force;
};

static const struct flag flags[] = {
    {"model", FLAG_TEXT, offsetof(struct options, model), "MODEL", "the model it is for", true, 0,
     0},
    {"version", FLAG_TEXT, offsetof(struct options, version), "V", "its version, for people", true,
     0, 0},
    {"image", FLAG_TEXT, offsetof(struct options, image), "FILE", "the firmware image", true, 0, 0},
    {"out", FLAG_TEXT, offsetof(struct options, out), "FILE.suit", "where the release goes", true,
     0, 0},
    {"sequence", FLAG_NUMBER, offsetof(struct options, sequence), "N",
     "its place in the order of releases (one more than the last of this model)", false, 1,
     INT64_MAX},
    {"vendor", FLAG_TEXT, offsetof(struct options, vendor), "NAME", "who made it, for people",
     false, 0, 0},
    FLAG_KEYS(struct options),
    FLAG_PASSWORDS(struct options),
    FLAG_FORCE(struct options, "replace FILE.suit; give a sequence to a second release"),
    FLAG_END,
};

struct signing {
    const struct options *opt;
    struct fleet_dir dir;
    struct keyring ring;
    struct releases releases;
    struct manifest m;
    uint8_t body[MANIFEST_MAX];
    size_t body_len;
};

static int check(const struct options *o)
{
    if (!release_name_valid(o->model, MODEL_MAX))
        return fail(STATUS_USAGE,
                    "release sign: --model %s: say 1 to %u characters of A-Z a-z 0-9 . _ + ~ -",
                    o->model, MODEL_MAX);
    if (!release_name_valid(o->version, VERSION_MAX))
        return fail(STATUS_USAGE,
                    "release sign: --version %s: say 1 to %u characters of A-Z a-z 0-9 . _ + ~ -",
                    o->version, VERSION_MAX);
    if (o->vendor != NULL && strlen(o->vendor) > MODEL_MAX)
        return fail(STATUS_USAGE, "release sign: --vendor %s: longer than %u bytes: shorten it",
                    o->vendor, MODEL_MAX);
    if (!o->force && path_exists(o->out))
        return fail_err(E_EXISTS, o->out,
                        "a release is not replaced: choose another --out, or say --force");
    return STATUS_OK;
}

/* Encodes the manifest at a sequence and names it. */
static int encode(struct signing *x, uint64_t sequence)
{
    struct wr w = wr_of(x->body, sizeof x->body);

    x->m.sequence = sequence;
    enum err e = manifest_encode(&x->m, &w);
    if (e != E_OK)
        return fail_err(e, x->opt->vendor == NULL ? x->opt->out : x->opt->vendor,
                        "no manifest can say it: use plain UTF-8 text for the vendor");
    x->body_len = wr_len(&w);
    manifest_id(&x->m.id, wr_done(&w));
    return STATUS_OK;
}

static bool same_manifest(const struct signing *x, const struct release_entry *e)
{
    return strcmp(e->manifest, hex32(x->m.id.b).s) == 0;
}

static int sequence_given(struct signing *x, uint64_t sequence)
{
    struct release_entry e;

    int status = encode(x, sequence);
    if (status != STATUS_OK)
        return status;
    if (releases_find(&x->releases, x->m.model, x->m.root_version, sequence, &e) &&
        !same_manifest(x, &e) && !x->opt->force)
        return fail(STATUS_REFUSED,
                    "release sign: --sequence %" PRIu64 ": belongs to version %s of %s: give a "
                    "higher one, or say --force",
                    sequence, e.version, e.model);
    if (releases_last(&x->releases, x->m.model, &e) &&
        release_compare(x->m.root_version, sequence, e.root_version, e.sequence) < 0)
        warn("--sequence %" PRIu64 ": devices that confirmed version %s, sequence %" PRIu64
             ", will refuse it",
             sequence, e.version, e.sequence);
    return STATUS_OK;
}

/* The last one again when it is the same release, else one more. */
static int sequence_next(struct signing *x)
{
    struct release_entry last;

    if (!releases_last(&x->releases, x->m.model, &last))
        return encode(x, 1);
    bool again = !last.withdrawn && strcmp(last.version, x->m.version) == 0 &&
                 strcmp(last.digest, hex32(x->m.digest.b).s) == 0;
    if (again) {
        int status = encode(x, last.sequence);
        /* Under a newer root the same release has another manifest, at the same sequence. */
        if (status != STATUS_OK || same_manifest(x, &last) || last.root_version < x->m.root_version)
            return status;
    }
    if (last.sequence < INT64_MAX)
        return encode(x, last.sequence + 1);
    if (last.root_version < x->m.root_version)
        return encode(x, 1);
    return fail(STATUS_REFUSED,
                "release sign: sequence %" PRIu64 ": is the last there can be: "
                "`root rotate %s`, and sequences begin again",
                last.sequence, x->dir.path);
}

static void warn_same_version(const struct signing *x)
{
    struct hex digest = hex32(x->m.digest.b);

    for (uint32_t i = 0; i < releases_count(&x->releases); i++) {
        struct release_entry e = releases_at(&x->releases, i);
        if (strcmp(e.model, x->m.model) == 0 && strcmp(e.version, x->m.version) == 0 &&
            strcmp(e.digest, digest.s) != 0) {
            warn("version %s of %s was signed before, for another image (sequence %" PRIu64 ")",
                 e.version, e.model, e.sequence);
            return;
        }
    }
}

/* Signs and encodes; what comes out is judged as a device would before it is let out. */
static int seal(struct signing *x, uint8_t *out, struct bytes *envelope)
{
    const uint32_t threshold = x->dir.trust.root.release.threshold;
    struct sig sigs[SIGNERS_MAX];
    struct wr w = wr_of(out, MANIFEST_MAX);
    struct manifest judged;

    if (x->ring.count > SIGNERS_MAX)
        return fail_err(E_LIMIT, x->opt->out, "sign with at most %u keys", SIGNERS_MAX);
    x->m.signers_count = x->ring.count;
    for (uint32_t i = 0; i < x->ring.count; i++) {
        x->m.signers[i] = x->ring.key[i].pub;
        manifest_sign(&sigs[i], &x->ring.key[i], &x->m.id);
        token_sign(&x->m.tokens[i], &x->ring.key[i], &x->m);
    }
    enum err e = envelope_encode(bytes_of(x->body, x->body_len), x->m.signers, sigs, x->m.tokens,
                                 x->ring.count, &w);
    if (e != E_OK)
        return fail_err(e, x->opt->out, "nothing was signed");
    *envelope = wr_done(&w);
    e = manifest_open(&judged, *envelope, &x->dir.trust);
    if (e == E_THRESHOLD && x->ring.count < threshold)
        e = E_OK;
    if (e != E_OK)
        return fail_err(e, x->opt->out, "nothing was signed");
    return STATUS_OK;
}

static void report(const struct signing *x)
{
    const uint32_t threshold = x->dir.trust.root.release.threshold;
    const struct manifest *m = &x->m;

    say("signed %s: model %s, version %s, sequence %" PRIu64 ", %u of %u signatures", x->opt->out,
        m->model, m->version, m->sequence, m->signers_count, threshold);
    say("image %s: %" PRIu64 " bytes, SHA-256 %s", x->opt->image, m->size, hex32(m->digest.b).s);
    if (m->signers_count < threshold)
        note("devices want %u signatures: sign the same image with --sequence %" PRIu64
             " where the other keys are, then `release merge`",
             threshold, m->sequence);
}

static int sign(struct signing *x)
{
    const struct root *r = &x->dir.trust.root;
    const struct wanted want = {r->release.key, r->release.count, r->release.threshold,
                                "release key"};
    uint8_t out[MANIFEST_MAX];
    struct image_facts image;
    struct bytes envelope;

    int status = keyring_collect(&x->ring, x->dir.path, &x->opt->keys, &want);
    if (status == STATUS_OK)
        status = image_hash(x->opt->image, &image);
    if (status != STATUS_OK)
        return status;
    x->m = (struct manifest){
        .fleet = r->fleet,
        .root_version = r->version,
        .size = image.geo.size,
        .digest = image.digest,
        .tree_root = image.root,
        .piece_length = image.geo.piece_length,
    };
    memcpy(x->m.model, x->opt->model, strlen(x->opt->model));
    memcpy(x->m.version, x->opt->version, strlen(x->opt->version));
    if (x->opt->vendor != NULL)
        memcpy(x->m.vendor, x->opt->vendor, strlen(x->opt->vendor));
    model_id(&x->m.model_id, &r->fleet, x->m.model);
    status = x->opt->sequence.set ? sequence_given(x, x->opt->sequence.value) : sequence_next(x);
    if (status == STATUS_OK)
        status = seal(x, out, &envelope);
    if (status != STATUS_OK)
        return status;
    warn_same_version(x);
    status = releases_add(&x->releases, &x->m);
    if (status == STATUS_OK)
        status = file_put(x->opt->out, envelope, 0644, x->opt->force);
    if (status == STATUS_OK)
        report(x);
    return status;
}

static int run(const struct verb *v, int argc, char **argv)
{
    struct options opt = {0};
    struct signing x = {.opt = &opt};
    struct list operands;
    int status;

    if (!args_parse(v, argc, argv, &opt, &operands, &status))
        return status;
    status = check(&opt);
    if (status == STATUS_OK)
        status = fleet_dir_open(&x.dir, operands.item[0], true);
    if (status != STATUS_OK)
        return status;
    status = keyring_open(&x.ring, &opt.passwords);
    if (status == STATUS_OK)
        status = releases_open(&x.releases, x.dir.path);
    if (status == STATUS_OK)
        status = sign(&x);
    keyring_close(&x.ring);
    releases_close(&x.releases);
    fleet_dir_close(&x.dir);
    return status;
}

const struct verb verb_release_sign = {
    "release",
    "sign",
    "DIR",
    1,
    1,
    "Sign an image for a model: a SUIT manifest with its hash tree's root",
    "Signs with as many of the keys in DIR as the fleet's threshold asks, or with those named by\n"
    "--key; where fewer are at hand the release is whole once `release merge` has joined the\n"
    "parts.  The same image and version signed again gives the same bytes.",
    flags,
    run,
};
