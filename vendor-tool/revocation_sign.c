/* `revocation sign`: adds a signature to a waiting revocation list, where another key lives. */
#include "verbs.h"

#include "revlist.h"

#include <stdlib.h>

struct options {
    const char *fleet, *out;
    struct list keys, passwords;
    bool force;
};

static const struct flag flags[] = {
    {"fleet", FLAG_TEXT, offsetof(struct options, fleet), "ROOT.pub",
     "the fleet's root chain, or its directory", true, 0, 0},
    {"key", FLAG_LIST, offsetof(struct options, keys), "FILE",
     "sign with this enrolment or root key; may be repeated", true, 0, 0},
    {"out", FLAG_TEXT, offsetof(struct options, out), "FILE",
     "write there instead of back into the file", false, 0, 0},
    FLAG_PASSWORDS(struct options),
    FLAG_FORCE(struct options, "replace the file named by --out"),
    FLAG_END,
};

static int sign_all(struct cosign *c, const struct trust *t, const struct options *opt)
{
    struct key may[COSIGN_MAX];
    const struct wanted want = {may, revlist_signers(&t->root, may), COSIGN_MAX,
                                "enrolment or root key"};
    struct keyring ring;

    int status = keyring_open(&ring, &opt->passwords);
    if (status == STATUS_OK)
        status = keyring_collect(&ring, "", &opt->keys, &want);
    for (uint32_t i = 0; status == STATUS_OK && i < ring.count; i++) {
        struct sig sig;
        revocations_sign(&sig, &ring.key[i], &t->root.fleet, c->body);
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
    struct revocations r;
    struct digest fleet;
    struct bytes body;

    int status = cosign_read(&c, file);
    if (status != STATUS_OK)
        return status;
    if (c.count == 0)
        return fail_err(E_FORMAT, file, "take it again from `device revoke`");
    enum err e = revocations_decode(&r, &fleet, &body, cosign_encode(&c, encoded));
    if (e != E_OK)
        return fail_err(e, file, "is no revocation list: take it from `device revoke`");
    if (!digest_equal(&fleet, &t->root.fleet))
        return fail_err(E_FLEET, file, "name the root chain of its own fleet with --fleet");
    say("revocation list %u.%u", r.root_version, r.version);
    revlist_explain(&r);
    status = sign_all(&c, t, opt);
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

const struct verb verb_revocation_sign = {
    "revocation",
    "sign",
    "REVOCATIONS.next",
    1,
    1,
    "Add a signature to a revocation list that waits for it",
    "Made by `device revoke` on another machine; bring it back there for `revocation merge`.",
    flags,
    run,
};
