/* Logging: one logfmt line per event, with stable event names.
 *
 * t=… lvl=info node=… ev=image.complete key=value …  Error = the operator must act; warn = look
 * before trusting; info = state changes; debug = per message.  Secrets never reach a log; keys
 * appear as 8 hex digits.  The core logs through a struct log whose time the host sets, so a
 * simulated log is in virtual time. */
#pragma once

#include "fwswarm/bytes.h"

#define LOG_LINE_MAX 1024u /* bytes of a line, its newline included; a longer one ends in "..." */

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

struct log {
    enum log_level level;
    uint64_t now_us; /* set by the host before each step */
    char node[16];   /* short name, may be empty */
    /* Gets one line with its newline; may be NULL (silent). */
    void (*sink)(void *ctx, enum log_level level, const char *line, size_t n);
    void *ctx;
};

/* Formats and hands over one line.  Control characters and bytes that are no UTF-8 come out
 * escaped, so whatever the arguments hold, one call makes one line.  To keep a text that others
 * chose inside its own field as well, pass it through log_value(). */
void log_write(struct log *l, enum log_level level, const char *event, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

#define log_at(l, lvl, ...)                                                                        \
    do {                                                                                           \
        if ((l)->sink != NULL && (lvl) <= (l)->level)                                              \
            log_write((l), (lvl), __VA_ARGS__);                                                    \
    } while (0)
#define log_error(l, ...) log_at(l, LOG_ERROR, __VA_ARGS__)
#define log_warn(l, ...)  log_at(l, LOG_WARN, __VA_ARGS__)
#define log_info(l, ...)  log_at(l, LOG_INFO, __VA_ARGS__)
#define log_debug(l, ...) log_at(l, LOG_DEBUG, __VA_ARGS__)

/* Text from elsewhere as one logfmt value: as it is when it is plain, else in quotes with escapes,
 * and cut with "..." to fit.  Writes to out (cap >= 8, terminated) and returns it. */
const char *log_value(char *out, size_t cap, struct bytes text);

/* A key as logs show it: its first 8 hex digits.  Returns out. */
const char *log_key(char out[9], const struct key *k);
