/* `release merge`: signatures made on several machines, in one file.
 *
 * Releases and withdrawals alike.  Each signature is checked by the key it names before it goes in:
 * one that does not verify would spoil the whole for every device. */
#include "verbs.h"

#include "suitfile.h"

#include <stdlib.h>
#include <string.h>

struct options {
    const char *out;
    bool force;
};

static const struct flag flags[] = {
    {"out", FLAG_TEXT, offsetof(struct options, out), "FILE", "where the whole goes", true, 0, 0},
    FLAG_FORCE(struct options, "replace that file"),
    FLAG_END,
};

struct part {
    struct key key;
    struct sig sig, token;
};

static int by_key(const void *a, const void *b)
{
    return key_compare(&((const struct part *)a)->key, &((const struct part *)b)->key);
}

/* Adds what a file has and parts has not. */
static int add_parts(struct part *parts, uint32_t *count, const struct suit *s, const char *path)
{
    for (uint32_t i = 0; i < s->m.signers_count; i++) {
        bool there = false;
        for (uint32_t k = 0; k < *count && !there; k++)
            there = key_equal(&parts[k].key, &s->m.signers[i]);
        if (there)
            continue;
        if (*count == SIGNERS_MAX)
            return fail_err(E_LIMIT, path, "a release carries at most %u signatures: leave one out",
                            SIGNERS_MAX);
        parts[(*count)++] = (struct part){s->m.signers[i], s->sigs[i], s->m.tokens[i]};
    }
    return STATUS_OK;
}

static int merge_suits(const struct list *files, const struct options *opt)
{
    struct part parts[SIGNERS_MAX];
    struct key keys[SIGNERS_MAX];
    struct sig sigs[SIGNERS_MAX], tokens[SIGNERS_MAX];
    uint8_t out[MANIFEST_MAX];
    struct suit first, s;
    uint32_t count = 0;

    for (uint32_t i = 0; i < files->count; i++) {
        struct suit *to = i == 0 ? &first : &s;
        int status = suit_read(to, files->item[i]);
        if (status != STATUS_OK)
            return status;
        enum err e = suit_self_check(to);
        if (e != E_OK)
            return fail_err(e, files->item[i], "sign it again");
        if (i > 0 && !bytes_equal(first.manifest, s.manifest))
            return fail(STATUS_REFUSED,
                        "%s: is another release than %s: sign the same image, "
                        "version and sequence under the same root",
                        files->item[i], files->item[0]);
        status = add_parts(parts, &count, to, files->item[i]);
        if (status != STATUS_OK)
            return status;
    }
    qsort(parts, count, sizeof parts[0], by_key);
    for (uint32_t i = 0; i < count; i++) {
        keys[i] = parts[i].key;
        sigs[i] = parts[i].sig;
        tokens[i] = parts[i].token;
    }
    struct wr w = wr_of(out, sizeof out);
    enum err e = envelope_encode(first.manifest, keys, sigs, tokens, count, &w);
    if (e != E_OK)
        return fail_err(e, opt->out, "nothing was merged");
    int status = file_put(opt->out, wr_done(&w), 0644, opt->force);
    if (status == STATUS_OK)
        say("merged %s: %u signatures", opt->out, count);
    return status;
}

static int merge_stops(const struct list *files, const struct options *opt)
{
    struct cosign c, other;

    int status = cosign_read(&c, files->item[0]);
    for (uint32_t i = 1; status == STATUS_OK && i < files->count; i++) {
        status = cosign_read(&other, files->item[i]);
        if (status == STATUS_OK && !cosign_merge(&c, &other))
            status = fail(STATUS_REFUSED,
                          "%s: is another withdrawal than %s: withdraw the same "
                          "release under the same root",
                          files->item[i], files->item[0]);
    }
    if (status == STATUS_OK && (c.count == 0 || c.count > ROOT_KEYS_MAX))
        status = fail_err(E_LIMIT, opt->out, "a withdrawal has 1 to %u signatures", ROOT_KEYS_MAX);
    if (status == STATUS_OK)
        status = cosign_write(&c, opt->out, opt->force);
    if (status == STATUS_OK)
        say("merged %s: %u signatures", opt->out, c.count);
    return status;
}

static int run(const struct verb *v, int argc, char **argv)
{
    struct options opt = {0};
    struct list operands;
    int status;

    if (!args_parse(v, argc, argv, &opt, &operands, &status))
        return status;
    if (!opt.force && path_exists(opt.out))
        return fail_err(E_EXISTS, opt.out,
                        "a release is not replaced: choose another --out, or say --force");
    return file_is_stop(operands.item[0]) ? merge_stops(&operands, &opt)
                                          : merge_suits(&operands, &opt);
}

const struct verb verb_release_merge = {
    "release", "merge",
    "FILE...", 2,
    LIST_MAX,  "Join the signatures of several people on one release, or on one withdrawal",
    "",        flags,
    run,
};
