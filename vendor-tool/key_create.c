/* `key create`: one key on its holder's own machine; its public half goes into the root. */
#include "verbs.h"

#include "fleetdir.h"
#include "keyring.h"

#include <stdio.h>
#include <string.h>

struct options {
    const char *kind;
    struct list passwords;
    bool no_password, force;
};

static const struct flag flags[] = {
    {"kind", FLAG_TEXT, offsetof(struct options, kind), "KIND",
     "root, release, enrol, publisher or audit", true, 0, 0},
    {"no-password", FLAG_SWITCH, offsetof(struct options, no_password), NULL,
     "leave the private key unencrypted", false, 0, 0},
    FLAG_PASSWORDS(struct options),
    FLAG_FORCE(struct options, "replace a key of that name, which is lost then"),
    FLAG_END,
};

static bool kind_known(const char *kind)
{
    static const char *const kinds[] = {"root", "release", "enrol", "publisher", "audit"};

    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (strcmp(kinds[i], kind) == 0)
            return true;
    return false;
}

/* NAME.key and NAME are the same name. */
static int stem_of(const char *name, struct path *out)
{
    size_t n = strlen(name);

    if (n > 4 && strcmp(name + n - 4, ".key") == 0)
        n -= 4;
    if (n >= sizeof out->s)
        return fail(STATUS_FILE, "%s: path is too long: use a shorter one", name);
    memcpy(out->s, name, n);
    out->s[n] = '\0';
    return STATUS_OK;
}

static int run(const struct verb *v, int argc, char **argv)
{
    struct options opt = {0};
    struct list operands;
    struct keyring ring;
    struct path stem;
    struct key pub;
    struct bytes password = bytes_of(NULL, 0);
    int status;

    if (!args_parse(v, argc, argv, &opt, &operands, &status))
        return status;
    if (!kind_known(opt.kind))
        return fail(STATUS_USAGE,
                    "key create: --kind %s: say root, release, enrol, publisher or audit",
                    opt.kind);
    if (opt.no_password && opt.passwords.count > 0)
        return fail(STATUS_USAGE, "key create: --no-password and --password-file: say one");
    status = stem_of(operands.item[0], &stem);
    if (status == STATUS_OK)
        status = keyring_open(&ring, &opt.passwords);
    if (status != STATUS_OK)
        return status;
    if (!opt.no_password) {
        const struct password *p = passwords_new(&ring.passwords, operands.item[0], &status);
        if (p != NULL)
            password = password_bytes(p);
    }
    if (status == STATUS_OK)
        status = key_make(stem.s, opt.kind, password, opt.force, &pub);
    if (status == STATUS_OK) {
        say("key %s.key: kind %s%s", stem.s, opt.kind, opt.no_password ? ", not encrypted" : "");
        say("public %s.pub: %s", stem.s, hex32(pub.b).s);
    }
    keyring_close(&ring);
    return status;
}

const struct verb verb_key_create = {
    "key",
    "create",
    "NAME",
    1,
    1,
    "Make a key on this machine: NAME.key and NAME.pub",
    "NAME.pub goes to whoever rotates the root, which then lists it; NAME.key stays here.",
    flags,
    run,
};
