/* getopt_long does the splitting; this file makes its table from ours, stores what it finds at the
 * offsets, and words the refusals itself so that each names the verb, the flag and the value. */
#include "args.h"

#include <assert.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define FLAGS_MAX 40u
#define HELP_CODE 1000

bool number_parse(const char *s, uint64_t min, uint64_t max, uint64_t *out)
{
    uint64_t v = 0;

    if (*s == '\0')
        return false;
    for (; *s != '\0'; s++) {
        if (*s < '0' || *s > '9')
            return false;
        uint64_t digit = (uint64_t)(*s - '0');
        if (v > (UINT64_MAX - digit) / 10)
            return false;
        v = v * 10 + digit;
    }
    *out = v;
    return v >= min && v <= max;
}

static uint32_t flags_count(const struct verb *v)
{
    uint32_t n = 0;

    while (v->flags[n].name != NULL)
        n++;
    assert(n < FLAGS_MAX);
    return n;
}

static int usage(const struct verb *v, const char *what, const char *value)
{
    return fail(STATUS_USAGE, "%s %s: %s%s: see fwswarm-vendor %s %s --help", v->noun, v->name,
                what, value, v->noun, v->name);
}

static int flag_store(const struct verb *v, const struct flag *f, const char *value, void *options)
{
    char *at = (char *)options + f->offset;

    switch (f->kind) {
    case FLAG_SWITCH:
        *(bool *)(void *)at = true;
        return STATUS_OK;
    case FLAG_TEXT:
        if (*(const char **)(void *)at != NULL)
            return fail(STATUS_USAGE, "%s %s: --%s %s: given twice: say it once", v->noun, v->name,
                        f->name, value);
        *(const char **)(void *)at = value;
        return STATUS_OK;
    case FLAG_LIST: {
        struct list *list = (struct list *)(void *)at;
        if (list->count == LIST_MAX)
            return fail(STATUS_USAGE, "%s %s: --%s %s: more than %u of them: use fewer", v->noun,
                        v->name, f->name, value, LIST_MAX);
        list->item[list->count++] = value;
        return STATUS_OK;
    }
    case FLAG_NUMBER: {
        struct number *number = (struct number *)(void *)at;
        if (!number_parse(value, f->min, f->max, &number->value))
            return fail(STATUS_USAGE,
                        "%s %s: --%s %s: no number from %" PRIu64 " to %" PRIu64 ": give one",
                        v->noun, v->name, f->name, value, f->min, f->max);
        number->set = true;
        return STATUS_OK;
    }
    }
    assert(false);
    return STATUS_USAGE;
}

static bool flag_is_set(const struct flag *f, const void *options)
{
    const char *at = (const char *)options + f->offset;

    switch (f->kind) {
    case FLAG_SWITCH:
        return *(const bool *)(const void *)at;
    case FLAG_TEXT:
        return *(const char *const *)(const void *)at != NULL;
    case FLAG_LIST:
        return ((const struct list *)(const void *)at)->count > 0;
    case FLAG_NUMBER:
        return ((const struct number *)(const void *)at)->set;
    }
    return false;
}

static int check_complete(const struct verb *v, const void *options, const struct list *operands)
{
    for (const struct flag *f = v->flags; f->name != NULL; f++)
        if (f->required && !flag_is_set(f, options))
            return usage(v, "needs --", f->name);
    if (operands->count < v->operands_min)
        return usage(v, "needs ", v->operands);
    if (operands->count > v->operands_max)
        return usage(v, "has no use for ", operands->item[v->operands_max]);
    return STATUS_OK;
}

/* One round of getopt_long: a flag is stored, or named in a refusal. */
static int take(const struct verb *v, int code, uint32_t count, char **argv, void *options)
{
    if (code >= 0 && (uint32_t)code < count)
        return flag_store(v, &v->flags[code], optarg, options);
    const char *word = argv[optind - 1];
    if (code == ':')
        return usage(v, "needs a value after ", word);
    return usage(v, "not understood: ", word);
}

bool args_parse(const struct verb *v, int argc, char **argv, void *options, struct list *operands,
                int *status)
{
    struct option longs[FLAGS_MAX + 2];
    uint32_t count = flags_count(v);

    memset(longs, 0, sizeof longs);
    for (uint32_t i = 0; i < count; i++) {
        longs[i].name = v->flags[i].name;
        longs[i].has_arg = v->flags[i].kind == FLAG_SWITCH ? no_argument : required_argument;
        longs[i].val = (int)i;
    }
    longs[count].name = "help";
    longs[count].val = HELP_CODE;

    operands->count = 0;
    opterr = 0;
    optind = 0; /* a full restart, as glibc defines it */
    for (;;) {
        int code = getopt_long(argc, argv, ":", longs, NULL);
        if (code == -1)
            break;
        if (code == HELP_CODE) {
            args_help(v);
            *status = STATUS_OK;
            return false;
        }
        *status = take(v, code, count, argv, options);
        if (*status != STATUS_OK)
            return false;
    }
    for (int i = optind; i < argc; i++) {
        if (operands->count == LIST_MAX) {
            *status = usage(v, "too many operands at ", argv[i]);
            return false;
        }
        operands->item[operands->count++] = argv[i];
    }
    *status = check_complete(v, options, operands);
    return *status == STATUS_OK;
}

void args_help(const struct verb *v)
{
    printf("usage: fwswarm-vendor %s %s %s", v->noun, v->name, v->operands);
    for (const struct flag *f = v->flags; f->name != NULL; f++)
        if (f->required)
            printf(" --%s %s", f->name, f->value);
    printf(" [options]\n\n%s.\n", v->summary);
    if (v->detail[0] != '\0')
        printf("\n%s\n", v->detail);
    printf("\nOptions:\n");
    for (const struct flag *f = v->flags; f->name != NULL; f++) {
        char left[48];
        snprintf(left, sizeof left, "--%s%s%s", f->name, f->value == NULL ? "" : " ",
                 f->value == NULL ? "" : f->value);
        printf("  %-26s %s%s\n", left, f->help, f->required ? " (needed)" : "");
    }
    printf("  %-26s %s\n", "--help", "print this");
}
