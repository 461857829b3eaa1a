/* Ten updates a second at most on a terminal; elsewhere one line every five seconds, so that a log
 * of a short run holds none. */
#include "progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define LIVE_EVERY_MS  100u
#define PLAIN_EVERY_MS 5000u

static uint64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

void progress_begin(struct progress *p, const char *what, uint64_t total)
{
    *p = (struct progress){.what = what, .total = total, .begun_ms = now_ms()};
    p->shown_ms = p->begun_ms;
    p->live = isatty(STDERR_FILENO) == 1;
}

void progress_at(void *ctx, uint64_t done)
{
    struct progress *p = ctx;
    uint64_t now = now_ms();

    if (now - p->shown_ms < (p->live ? LIVE_EVERY_MS : PLAIN_EVERY_MS))
        return;
    p->shown_ms = now;
    p->shown = true;
    uint64_t percent = p->total == 0 ? 0 : done / (p->total / 100 + 1);
    uint64_t rate = done * 1000 / (now - p->begun_ms + 1);
    fprintf(stderr, "%s%s: %s of %s, %" PRIu64 " %%, %s/s%s", p->live ? "\r" : "", p->what,
            size_text(done).s, size_text(p->total).s, percent, size_text(rate).s,
            p->live ? "\033[K" : "\n");
    fflush(stderr);
}

void progress_end(struct progress *p, uint64_t done)
{
    if (!p->shown)
        return;
    if (p->live)
        fprintf(stderr, "\r\033[K");
    else
        fprintf(stderr, "%s: %s in %" PRIu64 " s\n", p->what, size_text(done).s,
                (now_ms() - p->begun_ms) / 1000);
    fflush(stderr);
}
