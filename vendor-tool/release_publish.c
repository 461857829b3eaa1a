/* `release publish`: hands a release and its image to one verify node.
 *
 * The only verb that opens a socket, and it opens no signing key: the key here is a publisher's,
 * which the root lists and which can sign nothing that a device believes.  The verify node judges
 * everything again and says which digest it holds.  Roots it does not know yet go along. */
#include "verbs.h"

#include "keyring.h"
#include "progress.h"
#include "suitfile.h"

#include "fwswarm/conf.h"
#include "fwswarm/publish.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct options {
    const char *image, *to, *fleet, *up_rate;
    struct list keys, passwords;
    struct number timeout;
    bool verbose;
};

static const struct flag flags[] = {
    {"image", FLAG_TEXT, offsetof(struct options, image), "FILE", "the image that was signed", true,
     0, 0},
    {"to", FLAG_TEXT, offsetof(struct options, to), "ADDR:PORT", "a verify node", true, 0, 0},
    {"fleet", FLAG_TEXT, offsetof(struct options, fleet), "DIR",
     "the fleet's directory, or with --key its root.pub (the directory of that fleet beside "
     "FILE.suit or here)",
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
    struct suit suit;
    struct trust trust;
    uint8_t *chain;
    size_t chain_len;
    struct path dir; /* of the fleet */
    struct keyring ring;
    struct addr to;
    uint64_t up_rate;
};

/* ---- which fleet ---- */

/* Is this a directory of the release's fleet, with a publisher's key in it? */
static bool fleet_fits(const char *dir, const struct digest *fleet)
{
    struct path root, key;
    struct trust t;
    uint8_t *chain;
    size_t n;

    if (snprintf(root.s, sizeof root.s, "%s/root.pub", dir) >= (int)sizeof root.s ||
        snprintf(key.s, sizeof key.s, "%s/keys/publisher.key", dir) >= (int)sizeof key.s)
        return false;
    if (!path_exists(root.s) || !path_exists(key.s))
        return false;
    if (root_chain_read(root.s, &t, &chain, &n) != STATUS_OK)
        return false;
    free(chain);
    return digest_equal(&t.root.fleet, fleet);
}

/* Looks at a directory and at those in it. */
static bool search_fleet(const char *dir, const struct digest *fleet, struct path *out)
{
    struct dirent **entries = NULL;
    bool found = false;

    if (fleet_fits(dir, fleet))
        return snprintf(out->s, sizeof out->s, "%s", dir) < (int)sizeof out->s;
    int n = scandir(dir, &entries, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        if (!found && entries[i]->d_name[0] != '.' &&
            snprintf(out->s, sizeof out->s, "%s/%s", dir, entries[i]->d_name) < (int)sizeof out->s)
            found = fleet_fits(out->s, fleet);
        free(entries[i]);
    }
    free(entries);
    return found;
}

/* The fleet id in the release names its directory better than a guess by path could. */
static int find_fleet(struct publishing *x, const char *file)
{
    struct path beside;
    const char *slash = strrchr(file, '/');
    size_t n = slash == NULL ? 0 : (size_t)(slash - file);

    if (x->opt->fleet != NULL) {
        if (snprintf(x->dir.s, sizeof x->dir.s, "%s", x->opt->fleet) < (int)sizeof x->dir.s)
            return STATUS_OK;
        return fail(STATUS_FILE, "%s: path is too long: use a shorter one", x->opt->fleet);
    }
    if (n < sizeof beside.s) {
        memcpy(beside.s, n == 0 ? "." : file, n == 0 ? 1 : n);
        beside.s[n == 0 ? 1 : n] = '\0';
        if (search_fleet(beside.s, &x->suit.m.fleet, &x->dir))
            return STATUS_OK;
    }
    if (search_fleet(".", &x->suit.m.fleet, &x->dir))
        return STATUS_OK;
    return fail(STATUS_FILE,
                "%s: no directory of its fleet with keys/publisher.key was found: name "
                "it with --fleet DIR",
                file);
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

static int refused(const struct publishing *x, enum err e)
{
    const char *to = x->opt->to;

    if (e == E_REFUSED)
        return fail(STATUS_NET,
                    "%s: refused: see that a verify node listens there and holds no newer "
                    "release of %s",
                    to, x->suit.m.model);
    if (e == E_HASH || e == E_NOENT || e == E_OVERSIZED || e == E_RANGE)
        return fail(e == E_NOENT ? STATUS_FILE : STATUS_REFUSED,
                    "%s: %s: give the image that was signed, SHA-256 %s", x->opt->image,
                    err_text(e), hex32(x->suit.m.digest.b).s);
    if (e == E_AUTH || e == E_FLEET || e == E_SIGNATURE)
        return fail(STATUS_REFUSED, "%s: %s: name a verify node of fleet %.16s", to, err_text(e),
                    hex32(x->suit.m.fleet.b).s);
    if (e == E_ROLE)
        return fail(STATUS_REFUSED, "%s: is no verify node: name one", to);
    if (e == E_UNLISTED)
        return fail(STATUS_REFUSED,
                    "%s: does not know this publisher: hand it the newest root first", to);
    if (e == E_FULL || e == E_PERM || e == E_READONLY || e == E_IO || e == E_MEMORY)
        return fail_err(e, "the scratch directory", "see that $TMPDIR is writable and has space");
    return fail(STATUS_NET,
                "%s: %s: see that the verify node runs and is reached, and publish again; "
                "what it has is not sent twice",
                to, err_text(e));
}

static int hand_over(struct publishing *x, struct digest *held)
{
    char what[PATH_MAX + 32];
    struct progress progress;
    struct log log = {
        .level = LOG_INFO, .node = "publish", .sink = x->opt->verbose ? on_log : NULL};
    const struct host_publish_options ho = {
        .identity = &x->ring.key[0],
        .root_chain = bytes_of(x->chain, x->chain_len),
        .envelope = bytes_of(x->suit.data, x->suit.len),
        .image_path = x->opt->image,
        .to = x->to,
        .up_rate = x->up_rate,
        .timeout_ms = x->opt->timeout.set ? (uint32_t)x->opt->timeout.value * 1000u : 0,
        .progress = on_progress,
        .ctx = &progress,
    };

    snprintf(what, sizeof what, "publishing %s", x->opt->image);
    progress_begin(&progress, what, x->suit.m.size);
    enum err e = host_publish(&ho, held, &log);
    progress_end(&progress, x->suit.m.size);
    return e == E_OK ? STATUS_OK : refused(x, e);
}

static int open_all(struct publishing *x, const char *file)
{
    struct manifest judged;
    struct stat st;

    int status = suit_read(&x->suit, file);
    if (status == STATUS_OK)
        status = find_fleet(x, file);
    if (status == STATUS_OK)
        status = root_chain_read(x->dir.s, &x->trust, &x->chain, &x->chain_len);
    if (status != STATUS_OK)
        return status;
    const struct root *r = &x->trust.root;
    enum err e = digest_equal(&x->suit.m.fleet, &r->fleet)
                     ? manifest_open(&judged, bytes_of(x->suit.data, x->suit.len), &x->trust)
                     : E_FLEET;
    if (e != E_OK)
        return fail_err(e, file, "no device would take it: see `release verify`");
    if (stat(x->opt->image, &st) != 0)
        return fail_err(E_NOENT, x->opt->image, "name the image that was signed");
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
    if (conf_parse_addr(bytes_str(opt.to), &x.to) != E_OK || x.to.port == 0)
        return fail(
            STATUS_USAGE,
            "release publish: --to %s: no address: say 192.0.2.1:6900 or [2001:db8::1]:6900",
            opt.to);
    if (opt.up_rate != NULL && conf_parse_rate(bytes_str(opt.up_rate), &x.up_rate) != E_OK)
        return fail(STATUS_USAGE, "release publish: --up-rate %s: no rate: say 500kbit or 2MB",
                    opt.up_rate);
    status = keyring_open(&x.ring, &opt.passwords);
    if (status == STATUS_OK)
        status = open_all(&x, operands.item[0]);
    if (status == STATUS_OK)
        status = hand_over(&x, &held);
    keyring_close(&x.ring);
    free(x.chain);
    if (status == STATUS_OK)
        say("%s holds %s", opt.to, hex32(held.b).s);
    return status;
}

const struct verb verb_release_publish = {
    "release",
    "publish",
    "FILE.suit",
    1,
    1,
    "Hand a release and its image to a verify node, and print the digest it holds",
    "Uses the publisher's key and no signing key.  The verify node judges everything again.  An\n"
    "upload that broke off goes on where it ended; publishing twice changes nothing.  Roots that\n"
    "the verify node does not know go along.",
    flags,
    run,
};
