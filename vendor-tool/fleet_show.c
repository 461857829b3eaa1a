/* `fleet show`: the newest root of a fleet, from its directory or its public root. */
#include "verbs.h"

#include "fleetdir.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

struct options {
    bool json;
};

static const struct flag flags[] = {FLAG_JSON(struct options), FLAG_END};

static json_t *hex_json(const struct key *k)
{
    return json_string(hex32(k->b).s);
}

static json_t *set_json(const struct key_set *s)
{
    json_t *keys = json_array();

    for (uint32_t i = 0; i < s->count; i++)
        json_array_append_new(keys, hex_json(&s->key[i]));
    return json_pack("{s:I, s:o}", "threshold", (json_int_t)s->threshold, "keys", keys);
}

static json_t *enrol_json(const struct root *r)
{
    json_t *list = json_array();

    for (uint32_t i = 0; i < r->enrol_count; i++) {
        const struct enrol_lease *e = &r->enrol[i];
        json_array_append_new(list, json_pack("{s:o, s:I, s:I, s:b}", "key", hex_json(&e->key),
                                              "first", (json_int_t)e->first, "last",
                                              (json_int_t)e->last, "retired", e->retired));
    }
    return json_pack("{s:I, s:o}", "threshold", (json_int_t)r->enrol_threshold, "keys", list);
}

static void show_json(const struct root *r)
{
    json_t *verify = json_array();

    for (uint32_t i = 0; i < r->verify_count; i++)
        json_array_append_new(verify, json_pack("{s:o, s:I}", "key", hex_json(&r->verify[i].key),
                                                "index", (json_int_t)r->verify[i].index));
    json_t *o = json_pack("{s:s, s:I, s:o, s:o, s:o, s:o, s:o, s:o}", "fleet", hex32(r->fleet.b).s,
                          "root_version", (json_int_t)r->version, "root", set_json(&r->root),
                          "release", set_json(&r->release), "publisher", set_json(&r->publisher),
                          "enrol", enrol_json(r), "verify", verify, "audit", hex_json(&r->audit));
    json_dumpf(o, stdout, JSON_INDENT(1) | JSON_PRESERVE_ORDER);
    printf("\n");
    json_decref(o);
}

static void show_set(const char *what, const struct key_set *s, bool threshold)
{
    if (threshold)
        say("%s keys: %u, of which %u must sign", what, s->count, s->threshold);
    else
        say("%s keys: %u", what, s->count);
    for (uint32_t i = 0; i < s->count; i++)
        say("  %s", hex32(s->key[i].b).s);
}

static void show_text(const struct root *r)
{
    say("fleet %s", hex32(r->fleet.b).s);
    say("root version %u", r->version);
    show_set("root", &r->root, true);
    show_set("release", &r->release, true);
    show_set("publisher", &r->publisher, false);
    say("enrolment keys: %u, of which %u must sign a revocation list", r->enrol_count,
        r->enrol_threshold);
    for (uint32_t i = 0; i < r->enrol_count; i++)
        say("  %s indices %u to %u%s", hex32(r->enrol[i].key.b).s, r->enrol[i].first,
            r->enrol[i].last, r->enrol[i].retired ? ", retired" : "");
    say("verify nodes: %u", r->verify_count);
    for (uint32_t i = 0; i < r->verify_count; i++)
        say("  %s index %u", hex32(r->verify[i].key.b).s, r->verify[i].index);
    say("audit key %s", hex32(r->audit.b).s);
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
    status = root_chain_read(operands.item[0], &t, &chain, &n);
    if (status != STATUS_OK)
        return status;
    free(chain);
    if (opt.json)
        show_json(&t.root);
    else
        show_text(&t.root);
    return STATUS_OK;
}

const struct verb verb_fleet_show = {
    "fleet",
    "show",
    "DIR|ROOT.pub",
    1,
    1,
    "Print the newest root of a fleet: keys and thresholds",
    "The whole chain is verified first.",
    flags,
    run,
};
