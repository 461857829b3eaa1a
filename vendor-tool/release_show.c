/* `release show`: what a release says of itself, unjudged. */
#include "verbs.h"

#include "suitfile.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>

struct options {
    bool json;
};

static const struct flag flags[] = {FLAG_JSON(struct options), FLAG_END};

/* JSON integers end at 2^63-1 in many readers, also in the library used here: beyond that the
 * digits are given as a string. */
static json_t *json_u64(uint64_t v)
{
    char digits[24];

    if (v <= INT64_MAX)
        return json_integer((json_int_t)v);
    snprintf(digits, sizeof digits, "%" PRIu64, v);
    return json_string(digits);
}

static void show_json(const struct manifest *m)
{
    json_t *signers = json_array();

    for (uint32_t i = 0; i < m->signers_count; i++)
        json_array_append_new(signers, json_string(hex32(m->signers[i].b).s));
    json_t *o =
        json_pack("{s:s, s:s, s:s, s:o, s:o, s:s, s:s, s:I, s:o, s:s, s:I, s:s}", "model", m->model,
                  "version", m->version, "vendor", m->vendor, "sequence", json_u64(m->sequence),
                  "size", json_u64(m->size), "digest", hex32(m->digest.b).s, "root",
                  hex32(m->tree_root.b).s, "piece_length", (json_int_t)m->piece_length, "signers",
                  signers, "fleet", hex32(m->fleet.b).s, "root_version",
                  (json_int_t)m->root_version, "manifest", hex32(m->id.b).s);
    json_dumpf(o, stdout, JSON_INDENT(1) | JSON_PRESERVE_ORDER);
    printf("\n");
    json_decref(o);
}

static void show_text(const struct manifest *m)
{
    say("model         %s", m->model);
    say("version       %s", m->version);
    say("vendor        %s", m->vendor[0] == '\0' ? "-" : m->vendor);
    say("sequence      %" PRIu64, m->sequence);
    say("size          %" PRIu64 " (%s)", m->size, size_text(m->size).s);
    say("digest        %s", hex32(m->digest.b).s);
    say("root          %s", hex32(m->tree_root.b).s);
    say("piece length  %u", m->piece_length);
    say("fleet         %s", hex32(m->fleet.b).s);
    say("root version  %u", m->root_version);
    say("manifest      %s", hex32(m->id.b).s);
    say_signers(m->signers, m->signers_count);
}

static int run(const struct verb *v, int argc, char **argv)
{
    struct options opt = {0};
    struct list operands;
    struct suit s;
    int status;

    if (!args_parse(v, argc, argv, &opt, &operands, &status))
        return status;
    status = suit_read(&s, operands.item[0]);
    if (status != STATUS_OK)
        return status;
    if (opt.json)
        show_json(&s.m);
    else
        show_text(&s.m);
    return STATUS_OK;
}

const struct verb verb_release_show = {
    "release",
    "show",
    "FILE.suit",
    1,
    1,
    "Print what a release says of itself",
    "Nothing is judged: `release verify` does that.",
    flags,
    run,
};
