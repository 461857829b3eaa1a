/* `device list`: who got which index, and who is revoked. */
#include "verbs.h"

#include "records.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct options {
    bool json;
};

static const struct flag flags[] = {FLAG_JSON(struct options), FLAG_END};

static json_t *entry_json(const struct device_entry *e, bool revoked)
{
    return json_pack("{s:I, s:s, s:s, s:s, s:s, s:b}", "index", (json_int_t)e->index, "role",
                     e->role, "model", e->model, "serial", e->serial, "key", e->key, "revoked",
                     revoked);
}

static void print_json(const struct devices *d, const struct revocations *revoked)
{
    json_t *list = json_array();

    for (uint32_t i = 0; i < devices_count(d); i++) {
        struct device_entry e = devices_at(d, i);
        json_array_append_new(list, entry_json(&e, revocations_has(revoked, e.index)));
    }
    json_dumpf(list, stdout, JSON_INDENT(1) | JSON_PRESERVE_ORDER);
    printf("\n");
    json_decref(list);
}

static void print_table(const struct devices *d, const struct revocations *revoked)
{
    say("%-10s %-8s %-20s %-20s %-16s %s", "index", "role", "model", "serial", "key", "");
    for (uint32_t i = 0; i < devices_count(d); i++) {
        struct device_entry e = devices_at(d, i);
        say("%-10u %-8s %-20s %-20s %.16s %s", e.index, e.role, e.model[0] == '\0' ? "-" : e.model,
            e.serial[0] == '\0' ? "-" : e.serial, e.key,
            revocations_has(revoked, e.index) ? "revoked" : "");
    }
}

static int run(const struct verb *v, int argc, char **argv)
{
    struct options opt = {0};
    struct list operands;
    struct fleet_dir d;
    struct devices devices;
    struct trust fresh;
    uint8_t *list;
    size_t n;
    bool present;
    int status;

    if (!args_parse(v, argc, argv, &opt, &operands, &status))
        return status;
    status = fleet_dir_open(&d, operands.item[0], false);
    if (status != STATUS_OK)
        return status;
    fresh = d.trust;
    status = fleet_dir_revocations(&d, &list, &n, &present);
    if (status == STATUS_OK)
        status = devices_open(&devices, d.path, false);
    if (status == STATUS_OK) {
        enum err e = present ? trust_revoke(&fresh, bytes_of(list, n)) : E_OK;
        if (e != E_OK)
            warn("%s/revocations.bin: %s: sign it again with `device revoke %s`", d.path,
                 err_text(e), d.path);
        if (opt.json)
            print_json(&devices, &fresh.revoked);
        else
            print_table(&devices, &fresh.revoked);
        devices_close(&devices);
    }
    free(list);
    fleet_dir_close(&d);
    return status;
}

const struct verb verb_device_list = {
    "device", "list", "DIR", 1, 1, "List the devices enrolled here, and which are revoked",
    "",       flags,  run,
};
