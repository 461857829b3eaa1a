/* `root sign`: adds a signature to a next root, on the machine where a root key lives.
 *
 * It says what would change before it signs, for a signature is a person's word. */
#include "verbs.h"

#include "rootstep.h"

#include <stdlib.h>

struct options {
    const char *fleet, *out;
    struct list keys, passwords;
    bool force;
};

static const struct flag flags[] = {
    {"fleet", FLAG_TEXT, offsetof(struct options, fleet), "ROOT.pub",
     "the root chain that the next root follows, or a fleet's directory", true, 0, 0},
    {"key", FLAG_LIST, offsetof(struct options, keys), "FILE",
     "sign with this root key; may be repeated", true, 0, 0},
    {"out", FLAG_TEXT, offsetof(struct options, out), "FILE",
     "write there instead of back into the file", false, 0, 0},
    FLAG_PASSWORDS(struct options),
    FLAG_FORCE(struct options, "replace the file named by --out"),
    FLAG_END,
};

static int sign_all(struct cosign *c, const struct root *now, const struct root *next,
                    const struct options *opt)
{
    struct key may[COSIGN_MAX];
    const struct wanted want = {may, rootstep_signers(now, next, may), COSIGN_MAX, "root key"};
    struct keyring ring;

    int status = keyring_open(&ring, &opt->passwords);
    if (status != STATUS_OK)
        return status;
    status = keyring_collect(&ring, "", &opt->keys, &want);
    for (uint32_t i = 0; status == STATUS_OK && i < ring.count; i++) {
        struct sig sig;
        root_sign(&sig, &ring.key[i], c->body);
        if (!cosign_add(c, &ring.key[i].pub, &sig))
            status = fail_err(E_LIMIT, opt->keys.item[0], "sign with fewer keys");
    }
    keyring_close(&ring);
    return status;
}

static int sign_file(const char *file, const struct trust *t, const struct options *opt)
{
    uint8_t encoded[COSIGN_BYTES_MAX];
    struct cosign c;
    struct root next;
    struct bytes body;

    int status = cosign_read(&c, file);
    if (status != STATUS_OK)
        return status;
    if (c.count == 0)
        return fail_err(E_FORMAT, file, "take it again from `root rotate`");
    enum err e = root_decode(&next, &body, cosign_encode(&c, encoded));
    if (e != E_OK)
        return fail_err(e, file, "is no next root: take it again from `root rotate`");
    if (!digest_equal(&next.fleet, &t->root.fleet))
        return fail_err(E_FLEET, file, "name the root chain of its own fleet with --fleet");
    if (next.version != t->root.version + 1)
        return fail(STATUS_REFUSED,
                    "%s: root version %u: does not follow version %u: take the "
                    "newest root.pub",
                    file, next.version, t->root.version);
    say("root version %u", next.version);
    rootstep_explain(&t->root, &next);
    status = sign_all(&c, &t->root, &next, opt);
    if (status != STATUS_OK)
        return status;
    status =
        opt->out != NULL ? cosign_write(&c, opt->out, opt->force) : cosign_write(&c, file, true);
    if (status == STATUS_OK)
        say("signed %s: %u signatures", opt->out != NULL ? opt->out : file, c.count);
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
    return sign_file(operands.item[0], &t, &opt);
}

const struct verb verb_root_sign = {
    "root",
    "sign",
    "ROOT.next",
    1,
    1,
    "Add the signature of a root key to a next root that waits for it",
    "Made by `root rotate` on another machine; bring it back there for `root merge`.",
    flags,
    run,
};
