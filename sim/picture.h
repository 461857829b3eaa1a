/* Drawing: gnuplot turns the data files of a run into pictures.
 *
 * Called by plot.c.  A directory holds completion.dat, bytes.dat, rates.dat, places.dat and
 * run.txt, which says what they are of.  When a run is laid over an earlier one, that one's files
 * stand beside them with "before-" in front, so a directory can be drawn again by itself. */
#pragma once

#include "world.h"

#define PICTURE_TEXT   160u
#define PICTURE_LABELS 48u

/* What run.txt holds: legends, and the axes of the heat map. */
struct picture_run {
    char title[PICTURE_TEXT];
    char held[PICTURE_TEXT], installed[PICTURE_TEXT];
    char origins[PICTURE_TEXT], near[PICTURE_TEXT], far[PICTURE_TEXT];
    char row[PICTURE_TEXT]; /* what a row of the heat map is */
    uint64_t end, every;    /* of the run; of one column; microseconds */
    uint64_t bound;         /* when the fluid bound ends; 0: there is no single one */
    uint64_t most;          /* bytes of the source that sent most */
    uint64_t rows, shares;  /* of the heat map; shares: peers share places */
    uint64_t labels;
    struct {
        char text[SCN_NAME + 17];
        uint64_t first, count; /* rows */
    } label[PICTURE_LABELS];
};

/* Both with a line on stderr when it cannot be. */
bool picture_run_write(const char *dir, const struct picture_run *r);
bool picture_run_read(const char *dir, const char *prefix, struct picture_run *r);

/* Writes pictures.gp and runs gnuplot on it; before may be NULL.  False with a line on stderr that
 * says what to do; the data files are there in any case. */
bool picture_draw(const char *dir, const struct picture_run *now, const struct picture_run *before);

/* dir/prefix name, in a buffer of the caller's. */
#define PICTURE_PATH 1200u
const char *picture_path(char out[PICTURE_PATH], const char *dir, const char *prefix,
                         const char *name);
/* A file of the directory for writing; NULL with a line on stderr. */
FILE *picture_create(const char *dir, const char *prefix, const char *name);
/* Closes it.  False with a line on stderr when not all of it was written. */
bool picture_close(FILE *f, const char *dir, const char *name);
