/* What the tool says: results on standard output, warnings and refusals on standard error.
 *
 * Every verb uses it.  A refusal is one line that names the thing, what is wrong with it and the
 * mend; it yields the exit status, so that a verb writes `return fail(...)`.  Control characters
 * in names that came from outside are printed as `?`: a line stays a line. */
#pragma once

#include "fwswarm/bytes.h"

/* Exit statuses, documented in fwswarm-vendor.1. */
enum status {
    STATUS_OK = 0,
    STATUS_REFUSED = 1, /* something does not verify, or would overwrite or contradict */
    STATUS_USAGE = 2,   /* the command line is not understood */
    STATUS_FILE = 3,    /* a file, a key or a password cannot be used */
    STATUS_NET = 4,     /* the verify node cannot be reached, or broke off */
};

#define PRINTF(a, b) __attribute__((format(printf, a, b)))

/* A line of results. */
void say(const char *fmt, ...) PRINTF(1, 2);
/* `fwswarm-vendor: warning: ...` */
void warn(const char *fmt, ...) PRINTF(1, 2);
/* A line on standard error that is neither: progress of a step, what to do next. */
void note(const char *fmt, ...) PRINTF(1, 2);
/* `fwswarm-vendor: ...`; returns status. */
int fail(enum status status, const char *fmt, ...) PRINTF(2, 3);
/* `fwswarm-vendor: THING: text of e: mend`; the status follows from e. */
int fail_err(enum err e, const char *thing, const char *mend, ...) PRINTF(3, 4);

/* The exit status that an error stands for. */
enum status status_of(enum err e);

/* Standard output could not be written: found out once, at the end. */
int say_end(int status);

/* Hex of a key or digest, in memory the caller gives. */
struct hex {
    char s[65];
};
struct hex hex32(const uint8_t b[static 32]);
/* A size for people: "64.0 MiB". */
struct hex size_text(uint64_t bytes);
