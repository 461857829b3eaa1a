/* Command lines: one table a verb, from which come parsing, checks, --help and completeness.
 *
 * A verb is a constant with its flags, its operands and its function; main.c lists them all.
 * Strings are lent from argv. */
#pragma once

#include "say.h"

#define LIST_MAX 64u

struct list {
    const char *item[LIST_MAX];
    uint32_t count;
};

struct number {
    bool set;
    uint64_t value;
};

enum flag_kind {
    FLAG_SWITCH, /* bool */
    FLAG_TEXT,   /* const char *, once */
    FLAG_LIST,   /* struct list, may be repeated */
    FLAG_NUMBER, /* struct number, min..max */
};

struct flag {
    const char *name; /* NULL ends the table */
    enum flag_kind kind;
    size_t offset;     /* of its field in the verb's options */
    const char *value; /* what stands after it in --help */
    const char *help;
    bool required;
    uint64_t min, max;
};

struct verb {
    const char *noun, *name;
    const char *operands; /* as shown: "DIR" */
    uint32_t operands_min, operands_max;
    const char *summary; /* one line */
    const char *detail;  /* paragraphs for --help; may be empty */
    const struct flag *flags;
    int (*run)(const struct verb *v, int argc, char **argv);
};

/* Parses argv (argv[0] is the verb's name) into options, operands into their list.  Returns
 * STATUS_OK to go on; else *status is what to exit with (help was printed, or a refusal). */
bool args_parse(const struct verb *v, int argc, char **argv, void *options, struct list *operands,
                int *status);
/* The help of one verb, to standard output. */
void args_help(const struct verb *v);

/* A decimal number without sign, blanks or junk; false when it is none or outside min..max. */
bool number_parse(const char *s, uint64_t min, uint64_t max, uint64_t *out);

/* Flags that several verbs share, worded once. */
#define FLAG_KEYS(type)                                                                            \
    {                                                                                              \
        "key", FLAG_LIST, offsetof(type, keys), "FILE",                                            \
            "sign with this key file instead of those in DIR/keys; may be repeated", false, 0, 0   \
    }
#define FLAG_PASSWORDS(type)                                                                       \
    {                                                                                              \
        "password-file", FLAG_LIST, offsetof(type, passwords), "FILE",                             \
            "read a password from the first line of FILE instead of the terminal; may be "         \
            "repeated",                                                                            \
            false, 0, 0                                                                            \
    }
#define FLAG_FORCE(type, text)                                                                     \
    {                                                                                              \
        "force", FLAG_SWITCH, offsetof(type, force), NULL, text, false, 0, 0                       \
    }
#define FLAG_JSON(type)                                                                            \
    {                                                                                              \
        "json", FLAG_SWITCH, offsetof(type, json), NULL, "print JSON, byte strings in hex", false, \
            0, 0                                                                                   \
    }
#define FLAG_END                                                                                   \
    {                                                                                              \
        NULL, FLAG_SWITCH, 0, NULL, NULL, false, 0, 0                                              \
    }
