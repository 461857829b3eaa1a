/* fwswarm-vendor: the vendor's tool for keys, devices and releases.
 *
 * A command line is NOUN VERB OPERANDS; each verb is one file and one constant.  Nothing here opens
 * a socket but `release publish`, which in turn opens no signing key. */
#include "verbs.h"

#include "fwswarm/host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static const struct verb *const verbs[] = {
    &verb_fleet_create,    &verb_fleet_show,      &verb_key_create,       &verb_root_rotate,
    &verb_root_sign,       &verb_root_merge,      &verb_device_enrol,     &verb_device_list,
    &verb_device_revoke,   &verb_revocation_sign, &verb_revocation_merge, &verb_release_sign,
    &verb_release_merge,   &verb_release_show,    &verb_release_verify,   &verb_release_withdraw,
    &verb_release_publish,
};

#define VERBS (sizeof verbs / sizeof verbs[0])

static void help(void)
{
    printf("usage: fwswarm-vendor NOUN VERB ...\n\n"
           "Keys, devices and releases of a fwswarm fleet, on the vendor's machine.\n\n");
    for (size_t i = 0; i < VERBS; i++) {
        char left[32];
        snprintf(left, sizeof left, "%s %s", verbs[i]->noun, verbs[i]->name);
        printf("  %-18s %s\n", left, verbs[i]->summary);
    }
    printf(
        "\n`fwswarm-vendor NOUN VERB --help` tells more.  Exit status: 0 done, 1 refused or not\n"
        "verified, 2 command line not understood, 3 a file, key or password cannot be used,\n"
        "4 the verify node cannot be reached, or does not take what it is given.\n");
}

static bool is_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0;
}

/* The verbs of one noun, when the verb is missing or wrong. */
static int refuse(const char *noun, const char *name)
{
    char known[256] = "";
    size_t n = 0;

    for (size_t i = 0; i < VERBS; i++) {
        if (strcmp(verbs[i]->noun, noun) != 0)
            continue;
        int put = snprintf(known + n, sizeof known - n, "%s%s", n == 0 ? "" : ", ", verbs[i]->name);
        n += put > 0 ? (size_t)put : 0;
    }
    if (n == 0)
        return fail(STATUS_USAGE, "%s: not understood: see fwswarm-vendor --help", noun);
    if (is_help(name)) {
        printf("usage: fwswarm-vendor %s VERB ..., where VERB is one of %s\n", noun, known);
        return say_end(STATUS_OK);
    }
    if (name[0] == '\0')
        return fail(STATUS_USAGE, "%s: needs a verb: say one of %s", noun, known);
    return fail(STATUS_USAGE, "%s %s: not understood: say one of %s", noun, name, known);
}

int main(int argc, char **argv)
{
    const struct rlimit no_core = {0, 0};

    /* A crash must not leave opened keys in a file. */
    (void)setrlimit(RLIMIT_CORE, &no_core);
    host_process_setup();
    if (argc < 2)
        return fail(STATUS_USAGE, "needs NOUN VERB: see fwswarm-vendor --help");
    if (is_help(argv[1])) {
        help();
        return say_end(STATUS_OK);
    }
    if (strcmp(argv[1], "--version") == 0) {
        say("fwswarm-vendor " FWSWARM_VERSION);
        return say_end(STATUS_OK);
    }
    if (argc < 3)
        return refuse(argv[1], "");
    for (size_t i = 0; i < VERBS; i++)
        if (strcmp(verbs[i]->noun, argv[1]) == 0 && strcmp(verbs[i]->name, argv[2]) == 0)
            return say_end(verbs[i]->run(verbs[i], argc - 2, argv + 2));
    return refuse(argv[1], argv[2]);
}
