/* `release publish`: hands a release and its image, a withdrawal, a revocation list or the newest
 * roots to one verify node.
 *
 * The only verb that opens a socket, and it opens no signing key: the key here is a publisher's,
 * which the root lists and which can sign nothing that a device believes.  The verify node judges
 * everything again and says what it holds.  Roots it does not know yet always go along, and so does
 * the fleet's revocation list. */
#include "verbs.h"

#include "progress.h"
#include "revlist.h"
#include "suitfile.h"

#include "fwswarm/conf.h"
#include "fwswarm/publish.h"
#include "fwswarm/store.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct options {
    const char *image, *to, *fleet, *revocations, *up_rate;
    struct list keys, passwords;
    struct number timeout;
    bool verbose;
};

static const struct flag flags[] = {
    {"to", FLAG_TEXT, offsetof(struct options, to), "ADDR:PORT", "a verify node", true, 0, 0},
    {"image", FLAG_TEXT, offsetof(struct options, image), "FILE",
     "the image that was signed; needed with FILE.suit", false, 0, 0},
    {"revocations", FLAG_TEXT, offsetof(struct options, revocations), "FILE",
     "hand over this revocation list (revocations.bin of the fleet's directory)", false, 0, 0},
    {"fleet", FLAG_TEXT, offsetof(struct options, fleet), "DIR",
     "the fleet's directory, or with --key its root.pub (the directory of that fleet beside "
     "what is published, here, or one above)",
     false, 0, 0},
    {"key", FLAG_LIST, offsetof(struct options, keys), "FILE",
     "the publisher's key (DIR/keys/publisher.key)", false, 0, 0},
    {"up-rate", FLAG_TEXT, offsetof(struct options, up_rate), "RATE",
     "send at most so much a second: 500kbit, 2MB (no limit)", false, 0, 0},
    {"timeout", FLAG_NUMBER, offsetof(struct options, timeout), "SECONDS",
     "give up after so long without progress (30)", false, 1, 86400},
    FLAG_PASSWORDS(struct options),
    {"verbose", FLAG_SWITCH, offsetof(struct options, verbose), NULL,
     "show what happens on the way", false, 0, 0},
    FLAG_END,
};

struct publishing {
    const struct options *opt;
    const char *file; /* FILE.suit or FILE.stop; NULL: neither */
    bool is_stop;
    struct suit suit;
    struct cosign stop;
    uint8_t stop_bytes[COSIGN_BYTES_MAX];
    struct bytes withdrawal;
    struct withdrawal wd;
    uint8_t *list; /* the signed revocation list, or NULL */
    size_t list_len;
    struct revocations revoked; /* what it says */
    struct trust trust;
    uint8_t *chain;
    size_t chain_len;
    struct path dir; /* of the fleet */
    struct keyring ring;
    struct addr to;
    uint64_t up_rate;
};

/* ---- what is given ---- */

static int read_stop(struct publishing *x)
{
    int status = cosign_read(&x->stop, x->file);
    if (status != STATUS_OK)
        return status;
    if (x->stop.count == 0)
        return fail_err(E_THRESHOLD, x->file, "sign it first: see `release withdraw`");
    x->withdrawal = cosign_encode(&x->stop, x->stop_bytes);
    return STATUS_OK;
}

static int read_given(struct publishing *x)
{
    const struct options *opt = x->opt;
    int status = STATUS_OK;

    if (x->file == NULL && opt->image != NULL)
        return fail(STATUS_USAGE, "release publish: --image %s: needs the FILE.suit that signs it",
                    opt->image);
    if (x->file == NULL && opt->revocations == NULL && opt->fleet == NULL)
        return fail(STATUS_USAGE, "release publish: needs FILE.suit, FILE.stop, --revocations FILE "
                                  "or --fleet DIR: see fwswarm-vendor release publish --help");
    x->is_stop = x->file != NULL && file_is_stop(x->file);
    if (x->is_stop && opt->image != NULL)
        return fail(STATUS_USAGE, "release publish: --image %s: a withdrawal has no image",
                    opt->image);
    if (x->is_stop)
        status = read_stop(x);
    else if (x->file != NULL)
        status = suit_read(&x->suit, x->file);
    if (status == STATUS_OK && x->file != NULL && !x->is_stop && opt->image == NULL)
        return fail(STATUS_USAGE, "release publish: %s: needs --image, the image that was signed",
                    x->file);
    if (status != STATUS_OK || opt->revocations == NULL)
        return status;
    enum err e = file_read(opt->revocations, REVOCATIONS_BYTES_MAX, &x->list, &x->list_len);
    if (e != E_OK)
        return fail_err(e, opt->revocations, "name a revocations.bin that `device revoke` wrote");
    return STATUS_OK;
}

/* ---- which fleet ---- */

/* Is what was given this fleet's?  Whether it is any good is judged later. */
static bool is_of_fleet(struct publishing *x, const struct trust *t)
{
    struct revocations r;
    struct digest fleet;
    struct bytes body;

    if (x->is_stop)
        return withdrawal_open(&x->wd, x->withdrawal, t) != E_FLEET;
    if (x->file != NULL)
        return digest_equal(&x->suit.m.fleet, &t->root.fleet);
    return x->list == NULL ||
           revocations_decode(&r, &fleet, &body, bytes_of(x->list, x->list_len)) != E_OK ||
           digest_equal(&fleet, &t->root.fleet);
}

/* Is this a directory of that fleet, with a publisher's key in it unless one was named? */
static bool fleet_fits(struct publishing *x, const char *dir)
{
    struct path root, key;
    struct trust t;
    uint8_t *chain;
    size_t n;

    if (snprintf(root.s, sizeof root.s, "%s/root.pub", dir) >= (int)sizeof root.s ||
        snprintf(key.s, sizeof key.s, "%s/keys/publisher.key", dir) >= (int)sizeof key.s)
        return false;
    if (!path_exists(root.s) || (x->opt->keys.count == 0 && !path_exists(key.s)))
        return false;
    if (root_chain_read(root.s, &t, &chain, &n) != STATUS_OK)
        return false;
    free(chain);
    return is_of_fleet(x, &t);
}

/* Looks at a directory and at those in it. */
static bool search_fleet(struct publishing *x, const char *dir)
{
    struct dirent **entries = NULL;
    struct path *out = &x->dir;
    bool found = false;

    if (fleet_fits(x, dir))
        return snprintf(out->s, sizeof out->s, "%s", dir) < (int)sizeof out->s;
    int n = scandir(dir, &entries, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        if (!found && entries[i]->d_name[0] != '.' &&
            snprintf(out->s, sizeof out->s, "%s/%s", dir, entries[i]->d_name) < (int)sizeof out->s)
            found = fleet_fits(x, out->s);
        free(entries[i]);
    }
    free(entries);
    return found;
}

/* Looks in the directory that a file lies in, or in the one above that. */
static bool search_near(struct publishing *x, const char *file, const char *above)
{
    struct path near;
    const char *slash = file == NULL ? NULL : strrchr(file, '/');
    int n = slash == NULL ? 0 : (int)(slash - file);

    if (snprintf(near.s, sizeof near.s, "%.*s%s", slash == NULL ? 1 : n, slash == NULL ? "." : file,
                 slash != NULL && n == 0 && above[0] == '\0' ? "/" : above) >= (int)sizeof near.s)
        return false;
    return search_fleet(x, near.s);
}

/* The fleet id in what is given names its directory better than a guess by path could. */
static int find_fleet(struct publishing *x)
{
    const char *file = x->file != NULL ? x->file : x->opt->revocations;
    bool keyed = x->opt->keys.count > 0;

    if (x->opt->fleet != NULL) {
        if (snprintf(x->dir.s, sizeof x->dir.s, "%s", x->opt->fleet) < (int)sizeof x->dir.s)
            return STATUS_OK;
        return fail(STATUS_FILE, "%s: path is too long: use a shorter one", x->opt->fleet);
    }
    if (search_near(x, file, "") || search_near(x, NULL, "") || search_near(x, file, "/..") ||
        search_near(x, NULL, "/.."))
        return STATUS_OK;
    return fail(STATUS_FILE,
                "%s: no directory of its fleet with %s was found: name %s with --fleet %s", file,
                keyed ? "root.pub" : "keys/publisher.key", keyed ? "the fleet's root.pub" : "it",
                keyed ? "ROOT.pub" : "DIR");
}

/* ---- is it good? ---- */

/* The fleet's own list goes along; one that was named has been read already. */
static int add_list(struct publishing *x)
{
    const struct fleet_dir d = {.path = x->dir.s};
    struct stat st;
    bool present;

    if (x->list != NULL || stat(x->dir.s, &st) != 0 || !S_ISDIR(st.st_mode))
        return STATUS_OK;
    return fleet_dir_revocations(&d, &x->list, &x->list_len, &present);
}

static int judge_list(struct publishing *x)
{
    struct digest fleet;
    struct path own;
    struct bytes body, list = bytes_of(x->list, x->list_len);

    if (x->list == NULL)
        return STATUS_OK;
    enum err e = revocations_decode(&x->revoked, &fleet, &body, list);
    if (e == E_OK)
        e = revlist_judge(&x->trust, list);
    if (e == E_OK)
        return STATUS_OK;
    if (x->opt->revocations != NULL)
        return fail_err(e, x->opt->revocations,
                        "sign it again under the newest root: `device revoke DIR`");
    if (path_join(&own, x->dir.s, "revocations.bin", NULL) != STATUS_OK)
        return STATUS_FILE;
    if (x->file == NULL)
        return fail_err(e, own.s, "sign it again under the newest root: `device revoke %s`",
                        x->dir.s);
    /* A release is not held up by a list that nobody asked to hand over. */
    warn("%s: %s: it does not go along: sign it again under the newest root: `device revoke %s`",
         own.s, err_text(e), x->dir.s);
    free(x->list);
    x->list = NULL;
    x->list_len = 0;
    return STATUS_OK;
}

static int judge_given(struct publishing *x)
{
    struct manifest judged;
    struct stat st;
    enum err e = E_OK;

    if (!is_of_fleet(x, &x->trust))
        e = E_FLEET;
    else if (x->is_stop)
        e = withdrawal_open(&x->wd, x->withdrawal, &x->trust);
    else if (x->file != NULL)
        e = manifest_open(&judged, bytes_of(x->suit.data, x->suit.len), &x->trust);
    if (e != E_OK)
        return fail_err(e, x->file != NULL ? x->file : x->opt->revocations,
                        "no device would take it: see `release verify`");
    if (x->opt->image != NULL && stat(x->opt->image, &st) != 0)
        return fail_err(E_NOENT, x->opt->image, "name the image that was signed");
    int status = add_list(x);
    return status == STATUS_OK ? judge_list(x) : status;
}

/* ---- handing over ---- */

static void on_progress(void *ctx, uint64_t sent, uint64_t size)
{
    (void)size;
    progress_at(ctx, sent);
}

static void on_log(void *ctx, enum log_level level, const char *line, size_t n)
{
    (void)ctx;
    (void)level;
    fwrite(line, 1, n, stderr);
}

/* What the verify node would not take, and what it may be that it did not. */
static int not_taken(const struct publishing *x)
{
    const char *to = x->opt->to;

    if (x->is_stop)
        return fail(STATUS_NET, "%s: does not take the withdrawal: its log says why", to);
    if (x->file == NULL)
        return fail(STATUS_NET,
                    "%s: does not take the roots or the revocation list: its log says "
                    "why",
                    to);
    return fail(STATUS_NET,
                "%s: does not take the release: see that it holds no newer one of %s and has space "
                "for this; its log says why",
                to, x->suit.m.model);
}

static int refused(const struct publishing *x, enum err e)
{
    const char *to = x->opt->to;

    if (e == E_REFUSED)
        return fail(STATUS_NET, "%s: nobody listens there: see that the verify node runs", to);
    if (e == E_REJECTED)
        return not_taken(x);
    if (e == E_AUTH)
        return fail(STATUS_NET,
                    "%s: hangs up at the first word: see that it is a verify node of this "
                    "fleet, %.16s",
                    to, hex32(x->trust.root.fleet.b).s);
    if (e == E_WITHDRAWN)
        return fail(STATUS_REFUSED, "%s: %s: sign the image again, as a new release", x->file,
                    err_text(e));
    if (e == E_STALE)
        return fail(STATUS_REFUSED,
                    "%s: holds newer roots, by which this is not signed: take that root.pub and "
                    "sign again",
                    to);
    if (e == E_HASH || e == E_NOENT || e == E_OVERSIZED || e == E_RANGE)
        return fail(e == E_NOENT ? STATUS_FILE : STATUS_REFUSED,
                    "%s: %s: give the image that was signed, SHA-256 %s", x->opt->image,
                    err_text(e), hex32(x->suit.m.digest.b).s);
    if (e == E_FLEET || e == E_SIGNATURE)
        return fail(STATUS_REFUSED, "%s: %s: name a verify node of fleet %.16s", to, err_text(e),
                    hex32(x->trust.root.fleet.b).s);
    if (e == E_ROLE)
        return fail(STATUS_REFUSED, "%s: is no verify node: name one", to);
    if (e == E_UNLISTED)
        return fail(STATUS_REFUSED,
                    "%s: holds newer roots, which do not list this publisher: take that root.pub "
                    "and a key that it lists",
                    to);
    if (e == E_FULL || e == E_PERM || e == E_READONLY || e == E_IO || e == E_MEMORY)
        return fail_err(e, "the scratch directory", "see that $TMPDIR is writable and has space");
    if (e == E_CLOSED)
        return fail(STATUS_NET, "%s: broken off: publish again; what it has is not sent twice", to);
    return fail(STATUS_NET,
                "%s: %s: see that the verify node runs and is reached, and publish again; "
                "what it has is not sent twice",
                to, err_text(e));
}

static int hand_over(struct publishing *x, struct digest *held)
{
    char what[PATH_MAX + 32];
    struct progress progress;
    bool image = x->opt->image != NULL;
    struct log log = {
        .level = LOG_INFO, .node = "publish", .sink = x->opt->verbose ? on_log : NULL};
    const struct host_publish_options ho = {
        .identity = &x->ring.key[0],
        .root_chain = bytes_of(x->chain, x->chain_len),
        .envelope = bytes_of(x->suit.data, x->suit.len),
        .withdrawal = x->withdrawal,
        .revocations = bytes_of(x->list, x->list_len),
        .image_path = x->opt->image,
        .to = x->to,
        .up_rate = x->up_rate,
        .timeout_ms = x->opt->timeout.set ? (uint32_t)x->opt->timeout.value * 1000u : 0,
        .progress = image ? on_progress : NULL,
        .ctx = &progress,
    };

    snprintf(what, sizeof what, "publishing %s", image ? x->opt->image : "");
    progress_begin(&progress, what, x->suit.m.size);
    enum err e = host_publish(&ho, held, &log);
    progress_end(&progress, x->suit.m.size);
    return e == E_OK ? STATUS_OK : refused(x, e);
}

static void say_held(const struct publishing *x, const struct digest *held)
{
    const char *to = x->opt->to;

    if (x->is_stop)
        say("%s holds the withdrawal of %s", to, hex32(x->wd.manifest.b).s);
    else if (x->file != NULL)
        say("%s holds %s", to, hex32(held->b).s);
    else
        say("%s holds root %u, or a newer one", to, x->trust.root.version);
    if (x->list != NULL)
        say("%s holds revocation list %u.%u, or a newer one", to, x->revoked.root_version,
            x->revoked.version);
}

/* ---- the verb ---- */

static int parse_where(struct publishing *x)
{
    const struct options *opt = x->opt;

    if (conf_parse_addr(bytes_str(opt->to), &x->to) != E_OK || x->to.port == 0)
        return fail(
            STATUS_USAGE,
            "release publish: --to %s: no address: say 192.0.2.1:6900 or [2001:db8::1]:6900",
            opt->to);
    if (opt->up_rate != NULL && conf_parse_rate(bytes_str(opt->up_rate), &x->up_rate) != E_OK)
        return fail(STATUS_USAGE, "release publish: --up-rate %s: no rate: say 500kbit or 2MB",
                    opt->up_rate);
    return STATUS_OK;
}

static int open_all(struct publishing *x)
{
    int status = read_given(x);
    if (status == STATUS_OK)
        status = find_fleet(x);
    if (status == STATUS_OK)
        status = root_chain_read(x->dir.s, &x->trust, &x->chain, &x->chain_len);
    if (status == STATUS_OK)
        status = judge_given(x);
    if (status != STATUS_OK)
        return status;
    const struct root *r = &x->trust.root;
    const struct wanted want = {r->publisher.key, r->publisher.count, 1, "publisher key"};
    return keyring_collect(&x->ring, x->dir.s, &x->opt->keys, &want);
}

static int run(const struct verb *v, int argc, char **argv)
{
    struct options opt = {0};
    struct publishing x = {.opt = &opt};
    struct list operands;
    struct digest held;
    int status;

    if (!args_parse(v, argc, argv, &opt, &operands, &status))
        return status;
    x.file = operands.count > 0 ? operands.item[0] : NULL;
    status = parse_where(&x);
    if (status != STATUS_OK)
        return status;
    status = keyring_open(&x.ring, &opt.passwords);
    if (status == STATUS_OK)
        status = open_all(&x);
    if (status == STATUS_OK)
        status = hand_over(&x, &held);
    if (status == STATUS_OK)
        say_held(&x, &held);
    keyring_close(&x.ring);
    free(x.chain);
    free(x.list);
    return status;
}

const struct verb verb_release_publish = {
    "release",
    "publish",
    "[FILE.suit | FILE.stop]",
    0,
    1,
    "Hand a release, a withdrawal or a revocation list to a verify node",
    "FILE.suit goes with its --image.  FILE.stop is what `release withdraw` made.  Without "
    "either,\n"
    "--revocations FILE hands over a revocation list, and --fleet DIR the newest roots and the\n"
    "list in DIR, if there is one; both go along with a release and a withdrawal too.\n"
    "Uses the publisher's key and no signing key.  The verify node judges everything again.  An\n"
    "upload that broke off goes on where it ended; publishing twice changes nothing.",
    flags,
    run,
};
