/* Status for people: a short block, then a table of images and one of links. */
#include "status_print.h"

#include "fwswarm/host.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdint.h>
#include <string.h>

static const char *text(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));
    return s != NULL ? s : "-";
}

static uint64_t number(const json_t *o, const char *key)
{
    return (uint64_t)json_integer_value(json_object_get(o, key));
}

/* 17, 4.0 KiB, 64.0 MiB ... */
static const char *amount(char out[24], uint64_t n)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    uint64_t tenths = n * 10;
    unsigned u = 0;
    if (n < 1024) {
        snprintf(out, 24, "%" PRIu64 " B", n);
        return out;
    }
    while (tenths >= 10240 && u < 4) {
        tenths /= 1024;
        u++;
    }
    snprintf(out, 24, "%" PRIu64 ".%" PRIu64 " %s", tenths / 10, tenths % 10, units[u]);
    return out;
}

static const char *span(char out[24], uint64_t s)
{
    if (s < 120)
        snprintf(out, 24, "%" PRIu64 " s", s);
    else if (s < 7200)
        snprintf(out, 24, "%" PRIu64 " min", s / 60);
    else if (s < 172800)
        snprintf(out, 24, "%" PRIu64 " h", s / 3600);
    else
        snprintf(out, 24, "%" PRIu64 " d", s / 86400);
    return out;
}

static void print_head(const json_t *o, FILE *out)
{
    char a[24], b[24];
    const json_t *current = json_object_get(o, "current"), *floor = json_object_get(o, "floor");
    const json_t *listen = json_object_get(o, "listen"), *one;
    size_t i;
    fprintf(out, "node     %.16s  %s%s%s  up %s\n", text(o, "self"), text(o, "role"),
            text(o, "model")[0] != '\0' ? "  " : "", text(o, "model"),
            span(a, number(o, "uptime_s")));
    fprintf(out, "listens ");
    json_array_foreach(listen, i, one) fprintf(out, " %s", json_string_value(one));
    fprintf(out, "\n");
    const char *version = text(current, "version");
    if (version[0] != '\0' || json_is_string(json_object_get(current, "digest")))
        fprintf(out, "runs     %s  sequence %" PRIu64 "  digest %.16s%s\n",
                version[0] != '\0' ? version : "unknown", number(current, "sequence"),
                text(current, "digest"),
                json_is_true(json_object_get(current, "mismatch")) ? "  NOT THE VENDOR'S IMAGE"
                                                                   : "");
    fprintf(out, "floor    root %" PRIu64 "  sequence %" PRIu64 "\n", number(floor, "root_version"),
            number(floor, "sequence"));
    fprintf(out, "trust    root %" PRIu64 "  revocations %" PRIu64 "/%" PRIu64 "  ",
            number(o, "root_version"), number(o, "revocation_root"),
            number(o, "revocation_version"));
    if (json_is_null(json_object_get(o, "fresh_s")))
        fprintf(out, "never confirmed as newest\n");
    else
        fprintf(out, "confirmed as newest %s ago\n", span(a, number(o, "fresh_s")));
    fprintf(out, "payload  sent %s  received %s\n", amount(a, number(o, "bytes_up")),
            amount(b, number(o, "bytes_down")));
}

/* "Try later" is no try that failed; a try that this node did not see end has no exit status. */
static void print_install(const json_t *o, FILE *out)
{
    uint64_t tries = number(o, "install_tries");
    json_int_t code = json_integer_value(json_object_get(o, "install_code"));

    if (tries == 0 && code == 0)
        fputs("-", out);
    else if (tries == 0)
        fprintf(out, "put off, last exit %" JSON_INTEGER_FORMAT, code);
    else
        fprintf(out, "%" PRIu64 " %s, last ", tries, tries == 1 ? "try" : "tries");
    if (tries > 0 && code < 0)
        fputs("broken off", out);
    else if (tries > 0)
        fprintf(out, "exit %" JSON_INTEGER_FORMAT, code);
}

static void print_images(const json_t *list, FILE *out)
{
    const json_t *o;
    size_t i;
    char have[48], origin[24], peers[24], resumed[24];
    if (json_array_size(list) == 0) {
        fprintf(out, "\nno image yet\n");
        return;
    }
    fprintf(out, "\n%-20s %-16s %8s  %-11s %-11s %10s %10s %10s %s\n", "MODEL", "VERSION",
            "SEQUENCE", "STATE", "BLOCKS", "ORIGIN", "PEERS", "RESUMED", "INSTALL");
    json_array_foreach(list, i, o)
    {
        snprintf(have, sizeof(have), "%" PRIu64 "/%" PRIu64, number(o, "blocks_have"),
                 number(o, "blocks"));
        fprintf(out, "%-20s %-16s %8" PRIu64 "  %-11s %-11s %10s %10s %10s ", text(o, "model"),
                text(o, "version"), number(o, "sequence"), text(o, "state"), have,
                amount(origin, number(o, "bytes_origin")), amount(peers, number(o, "bytes_peer")),
                amount(resumed, number(o, "bytes_resumed")));
        print_install(o, out);
        if (json_is_string(json_object_get(o, "error")))
            fprintf(out, "  error: %s", text(o, "error"));
        fprintf(out, "\n");
    }
}

static void print_links(const json_t *list, FILE *out)
{
    const json_t *o;
    size_t i;
    char up[24], down[24];
    if (json_array_size(list) == 0) {
        fprintf(out, "\nno links\n");
        return;
    }
    fprintf(out, "\n%-16s %-9s %-28s %-4s %10s %10s %6s %6s\n", "PEER", "ROLE", "ADDRESS", "DIR",
            "SENT", "RECEIVED", "ASKED", "SERVES");
    json_array_foreach(list, i, o)
    {
        fprintf(out, "%.16s %-9s %-28s %-4s %10s %10s %6" PRIu64 " %6" PRIu64 "\n", text(o, "node"),
                text(o, "role"), text(o, "addr"),
                json_is_true(json_object_get(o, "dialled")) ? "out" : "in",
                amount(up, number(o, "bytes_up")), amount(down, number(o, "bytes_down")),
                number(o, "requests_out"), number(o, "requests_in"));
    }
}

int status_print(const char *program, const char *verb, const char *answer, bool json, FILE *out)
{
    json_error_t error;
    json_t *o = json_loads(answer, 0, &error);
    int status = EXIT_DONE;
    if (!json_is_true(json_object_get(o, "ok"))) {
        fprintf(stderr, "%s: %s: %s\n", program, verb,
                o != NULL ? text(o, "error") : "the node's answer is no JSON");
        status = EXIT_FAILED;
    } else if (json) {
        fputs(answer, out);
    } else if (strcmp(verb, "status") == 0) {
        print_head(o, out);
        print_images(json_object_get(o, "images"), out);
        print_links(json_object_get(o, "links"), out);
    } else if (strcmp(verb, "check") == 0) {
        fputs("all links are asked: see `status`\n", out);
    }
    json_decref(o);
    return status;
}
