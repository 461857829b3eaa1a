/* A script for gnuplot, and gnuplot.
 *
 * Everything in the script is known here: units, ranges and legends.  gnuplot reads only columns of
 * numbers.  It is started in the directory, so the script names files without their folder and
 * works again when the folder has moved.  Texts go into single quotes, in which gnuplot takes
 * everything as it stands but the quote itself.
 *
 * The colours are those of Okabe and Ito and the scale is cividis: both keep apart for eyes that
 * see less of red or green, and on grey paper. */
#include "picture.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SCRIPT   "pictures.gp"
#define SAID     "gnuplot.log"
#define BEFORE   "before-"
#define LINE_CAP 512u
#define NO_RUN   127 /* of the child: there is no such program */

static const char file_is[] = "fwswarm-sim plot 1";

const char *picture_path(char out[PICTURE_PATH], const char *dir, const char *prefix,
                         const char *name)
{
    (void)snprintf(out, PICTURE_PATH, "%s/%s%s", dir, prefix, name);
    return out;
}

FILE *picture_create(const char *dir, const char *prefix, const char *name)
{
    char path[PICTURE_PATH];
    FILE *f = fopen(picture_path(path, dir, prefix, name), "w");
    if (f == NULL)
        fprintf(stderr, "fwswarm-sim: %s cannot be written: %s; choose another --plot DIR\n", path,
                strerror(errno));
    return f;
}

bool picture_close(FILE *f, const char *dir, const char *name)
{
    bool bad = ferror(f) != 0;
    if (fclose(f) == 0 && !bad)
        return true;
    fprintf(stderr,
            "fwswarm-sim: %s/%s was not written whole: %s; make room, or choose another "
            "--plot DIR\n",
            dir, name, strerror(errno));
    return false;
}

/* ---- run.txt ---- */

#define TEXT(member)                                                                               \
    {                                                                                              \
#member, offsetof(struct picture_run, member), true                                        \
    }
#define NUMBER(member)                                                                             \
    {                                                                                              \
#member, offsetof(struct picture_run, member), false                                       \
    }
static const struct field {
    const char *name;
    size_t at;
    bool text;
} fields[] = {
    TEXT(title),  TEXT(held),   TEXT(installed), TEXT(origins), TEXT(near),
    TEXT(far),    TEXT(row),    NUMBER(end),     NUMBER(every), NUMBER(bound),
    NUMBER(most), NUMBER(rows), NUMBER(shares),
};

bool picture_run_write(const char *dir, const struct picture_run *r)
{
    FILE *f = picture_create(dir, "", "run.txt");
    if (f == NULL)
        return false;
    fprintf(f, "%s\n", file_is);
    for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++) {
        const char *at = (const char *)r + fields[i].at;
        uint64_t number;
        memcpy(&number, at, sizeof(number));
        if (fields[i].text)
            fprintf(f, "%s %s\n", fields[i].name, at);
        else
            fprintf(f, "%s %" PRIu64 "\n", fields[i].name, number);
    }
    for (uint32_t i = 0; i < r->labels; i++)
        fprintf(f, "label %" PRIu64 " %" PRIu64 " %s\n", r->label[i].first, r->label[i].count,
                r->label[i].text);
    return picture_close(f, dir, "run.txt");
}

/* What another program may have written goes into a script: nothing but what can be seen. */
static void take_text(char *out, size_t cap, const char *text)
{
    size_t n = 0;
    for (; *text != '\0' && n + 1 < cap; text++)
        if ((unsigned char)*text >= ' ' && *text != 127)
            out[n++] = *text;
    out[n] = '\0';
}

static void take_label(struct picture_run *r, const char *text)
{
    int used = 0;
    uint64_t first, count;
    if (r->labels == PICTURE_LABELS ||
        sscanf(text, "%" SCNu64 " %" SCNu64 " %n", &first, &count, &used) != 2)
        return;
    r->label[r->labels].first = first;
    r->label[r->labels].count = count;
    take_text(r->label[r->labels].text, sizeof(r->label[0].text), text + used);
    r->labels++;
}

static void take_line(struct picture_run *r, char *line)
{
    char *value = strchr(line, ' ');
    if (value == NULL)
        return;
    *value++ = '\0';
    if (strcmp(line, "label") == 0)
        take_label(r, value);
    for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++) {
        char *at = (char *)r + fields[i].at;
        if (strcmp(line, fields[i].name) != 0)
            continue;
        uint64_t number = strtoull(value, NULL, 10);
        if (fields[i].text)
            take_text(at, PICTURE_TEXT, value);
        else
            memcpy(at, &number, sizeof(number));
    }
}

bool picture_run_read(const char *dir, const char *prefix, struct picture_run *r)
{
    char path[PICTURE_PATH], line[LINE_CAP];
    memset(r, 0, sizeof(*r));
    FILE *f = fopen(picture_path(path, dir, prefix, "run.txt"), "r");
    bool good = f != NULL && fgets(line, sizeof(line), f) != NULL &&
                strncmp(line, file_is, strlen(file_is)) == 0;
    while (good && fgets(line, sizeof(line), f) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        take_line(r, line);
    }
    if (f != NULL)
        fclose(f);
    if (good && r->every > 0)
        return true;
    fprintf(stderr,
            "fwswarm-sim: --over %s: no earlier run is there (%s); give the --plot DIR of "
            "one\n",
            dir, path);
    return false;
}

/* ---- the script ---- */

static void put_text(FILE *f, const char *text)
{
    fputc('\'', f);
    for (; *text != '\0'; text++) {
        if (*text == '\'')
            fputc('\'', f);
        fputc(*text, f);
    }
    fputc('\'', f);
}

/* A legend; of two runs it says of which. */
static void put_legend(FILE *f, bool both, bool before, const char *text)
{
    char whole[2 * PICTURE_TEXT];
    (void)snprintf(whole, sizeof(whole), "%s%s",
                   !both    ? ""
                   : before ? "earlier, "
                            : "this, ",
                   text);
    put_text(f, whole);
}

static void put_titles(FILE *f, const char *what, const struct picture_run *now,
                       const struct picture_run *before)
{
    char line[2 * PICTURE_TEXT];
    (void)snprintf(line, sizeof(line), "%s%s", before == NULL ? "" : "this: ", now->title);
    fputs("set title ", f);
    put_text(f, what);
    fputs(".\"\\n\".", f);
    put_text(f, line);
    if (before != NULL) {
        (void)snprintf(line, sizeof(line), "earlier, dashed: %s", before->title);
        fputs(".\"\\n\".", f);
        put_text(f, line);
    }
    fputc('\n', f);
}

/* The axis of time: microseconds in the unit that reads best. */
struct span_of {
    uint64_t unit; /* microseconds */
    const char *name;
    uint64_t end; /* microseconds */
};

static struct span_of time_axis(const struct picture_run *now, const struct picture_run *before)
{
    struct span_of s = {.unit = SEC, .name = "seconds", .end = now->end};
    if (before != NULL && before->end > s.end)
        s.end = before->end;
    if (s.end > 3 * 3600 * SEC) {
        s.unit = 3600 * SEC;
        s.name = "hours";
    } else if (s.end > 5 * 60 * SEC) {
        s.unit = 60 * SEC;
        s.name = "minutes";
    }
    return s;
}

/* a / b with three decimals. */
static void put_ratio(FILE *f, uint64_t a, uint64_t b)
{
    fprintf(f, "%" PRIu64 ".%06" PRIu64, a / b, a % b * 1000000 / b);
}

static void put_time_axis(FILE *f, const struct span_of *s, bool named)
{
    fputs("set xrange [0:", f);
    put_ratio(f, s->end, s->unit);
    fprintf(f, "]\nset xlabel '%s%s'\n", named ? "simulated time, " : "", named ? s->name : "");
}

/* Column 1 of a data file is seconds. */
static void put_source(FILE *f, bool before, const char *name, const char *index,
                       const struct span_of *s, const char *column)
{
    fprintf(f, "'%s%s' %s using ($1/%" PRIu64 "):%s ", before ? BEFORE : "", name, index,
            s->unit / SEC, column);
}

static void put_line(FILE *f, bool before, const char *style, const char *colour)
{
    fprintf(f, "with %s lc rgb '%s' lw %s dt %s title ", style, colour, before ? "1.8" : "2.6",
            before ? "(7,4)" : "1");
}

/* Where things stand, in pixels from below: the legend, the lower edge of the lowest panel above
 * it, and the upper edge of the highest. */
#define LINE_HIGH   21u
#define LEGEND_HIGH 26u
struct sheet {
    uint32_t height, low, high;
};

static struct sheet begin_sheet(FILE *f, const char *file, uint32_t panels, uint32_t legends,
                                uint32_t titles)
{
    struct sheet t = {.low = legends * LEGEND_HIGH + 86};
    t.high = t.low + panels;
    t.height = t.high + titles * LINE_HIGH + 25;
    fprintf(f,
            "set terminal svg noenhanced size 960,%u background '#ffffff' font "
            "'sans-serif,14'\nset output '%s'\n"
            "set lmargin at screen 0.1\nset rmargin at screen 0.96\n"
            "set key at screen 0.1, screen 10.0/%u left bottom Left reverse maxcols 1 samplen 3 "
            "spacing 1.2\n",
            t.height, file, t.height);
    return t;
}

static void put_panel(FILE *f, const struct sheet *t, uint32_t low, uint32_t high)
{
    fprintf(f, "set bmargin at screen %u.0/%u\nset tmargin at screen %u.0/%u\n", low, t->height,
            high, t->height);
}

static void put_completion(FILE *f, const struct picture_run *now, const struct picture_run *before)
{
    struct span_of s = time_axis(now, before);
    uint32_t runs = before == NULL ? 1 : 2;
    struct sheet t = begin_sheet(f, "completion.svg", 400, 2 * runs + (now->bound > 0), 1 + runs);
    put_panel(f, &t, t.low, t.high);
    put_titles(f, "Devices that hold the release", now, before);
    put_time_axis(f, &s, true);
    fputs("set yrange [0:104]\nset ytics 0,20,100\nset ylabel 'share of the devices, %'\n", f);
    if (now->bound > 0) {
        fputs("set arrow 1 from ", f);
        put_ratio(f, now->bound, s.unit);
        fputs(", graph 0 to ", f);
        put_ratio(f, now->bound, s.unit);
        fputs(", graph 1 nohead dt 3 lw 1.8 lc rgb '#666666'\n", f);
    }
    fputs("plot ", f);
    for (uint32_t k = 0; k < 2; k++) {
        const struct picture_run *r = k == 0 ? now : before;
        if (r == NULL)
            continue;
        put_source(f, k == 1, "completion.dat", "index 0", &s, "3");
        put_line(f, k == 1, "steps", "#0072B2");
        put_legend(f, before != NULL, k == 1, r->held);
        fputs(", ", f);
        put_source(f, k == 1, "completion.dat", "index 1", &s, "3");
        put_line(f, k == 1, "steps", "#E69F00");
        put_legend(f, before != NULL, k == 1, r->installed);
        fputs(k == 0 && before != NULL ? ", " : "", f);
    }
    if (now->bound > 0)
        fputs(", keyentry with lines dt 3 lw 1.8 lc rgb '#666666' title 'fluid bound: no way of "
              "sharing would be faster'",
              f);
    fputs("\nunset arrow\n", f);
}

/* The three sources of one run, from columns 2 to 4. */
static void put_three(FILE *f, const char *file, const char *style, bool both, bool is_before,
                      const struct picture_run *r, const struct span_of *s, uint64_t unit)
{
    const struct {
        const char *colour, *legend;
        bool shown;
    } of[3] = {{"#D55E00", r->origins, true},
               {"#009E73", r->near, r->shares > 0},
               {"#0072B2", r->far, true}};
    bool first = true;
    for (uint32_t i = 0; i < 3; i++) {
        char column[32];
        if (!of[i].shown)
            continue;
        (void)snprintf(column, sizeof(column), "($%u/%" PRIu64 ".0)", i + 2, unit);
        fputs(first ? "" : ", ", f);
        first = false;
        put_source(f, is_before, file, "", s, column);
        put_line(f, is_before, style, of[i].colour);
        put_legend(f, both, is_before, of[i].legend);
    }
}

static void put_bytes(FILE *f, const struct picture_run *now, const struct picture_run *before)
{
    struct span_of s = time_axis(now, before);
    uint64_t most = now->most;
    if (before != NULL && before->most > most)
        most = before->most;
    const char *name = most >= UINT64_C(4) << 30 ? "GiB" : most >= 4u << 20 ? "MiB" : "KiB";
    uint64_t unit = most >= UINT64_C(4) << 30 ? 1u << 30 : most >= 4u << 20 ? 1u << 20 : 1024;
    uint32_t runs = before == NULL ? 1 : 2;
    uint32_t legends = runs * 2 + (now->shares > 0) + (before != NULL && before->shares > 0);
    struct sheet t = begin_sheet(f, "bytes.svg", 560, legends, 1 + runs);
    uint32_t middle = (t.low + t.high) / 2;
    fputs("set multiplot\nset yrange [0:*]\nset ytics auto\n", f);
    put_panel(f, &t, middle + 12, t.high);
    put_titles(f, "Image bytes by the node that sent them", now, before);
    put_time_axis(f, &s, false);
    fprintf(f, "set format x ''\nset ylabel 'sent so far, %s'\nset key off\nplot ", name);
    put_three(f, "bytes.dat", "lines", before != NULL, false, now, &s, unit);
    if (before != NULL) {
        fputs(", ", f);
        put_three(f, "bytes.dat", "lines", true, true, before, &s, unit);
    }
    fputs("\nunset title\nset format x '%g'\n", f);
    put_panel(f, &t, t.low, middle - 12);
    put_time_axis(f, &s, true);
    fputs("set ylabel 'rate, Mbit/s'\nset key on\nplot ", f);
    put_three(f, "rates.dat", "histeps", before != NULL, false, now, &s, 1000000);
    if (before != NULL) {
        fputs(", ", f);
        put_three(f, "rates.dat", "histeps", true, true, before, &s, 1000000);
    }
    fputs("\nunset multiplot\n", f);
}

static void put_labels(FILE *f, const struct picture_run *r)
{
    fputs("unset arrow\n", f);
    if (r->labels == 0) {
        fputs("set ytics auto\n", f);
        return;
    }
    fputs("set ytics (", f);
    uint64_t last = 0;
    bool any = false;
    for (uint32_t i = 0; i < r->labels; i++) {
        uint64_t twice = 2 * r->label[i].first + r->label[i].count - 1;
        /* Names need a line's height each. */
        if (any && (twice - last) * 13 < 2 * r->rows)
            continue;
        fputs(any ? ", " : "", f);
        put_text(f, r->label[i].text);
        fprintf(f, " %" PRIu64 ".%u", twice / 2, (unsigned)(twice % 2 * 5));
        any = true;
        last = twice;
    }
    fputs(")\n", f);
    for (uint32_t i = 1; i < r->labels && r->rows > 2 * r->labels; i++)
        fprintf(f,
                "set arrow %u from graph 0, first %" PRIu64 ".5 to graph 1, first %" PRIu64
                ".5 nohead front lw 1 lc rgb '#ffffff'\n",
                i, r->label[i].first - 1, r->label[i].first - 1);
}

static void put_map(FILE *f, const struct picture_run *r, const struct span_of *s, bool before)
{
    fprintf(f, "set yrange [%" PRIu64 ".5:-0.5]\nset ylabel ", r->rows - 1);
    put_text(f, r->row);
    fputc('\n', f);
    put_labels(f, r);
    fprintf(f, "plot '%splaces.dat' matrix using (($1+0.5)*", before ? BEFORE : "");
    put_ratio(f, r->every, s->unit);
    fputs("):2:($3/10.0) with image notitle\n", f);
}

static void put_places(FILE *f, const struct picture_run *now, const struct picture_run *before)
{
    struct span_of s = time_axis(now, before);
    fprintf(f,
            "set terminal svg noenhanced size 960,%d background '#ffffff' font "
            "'sans-serif,14'\nset output 'places.svg'\nunset key\nunset grid\n"
            "set lmargin at screen 0.14\nset rmargin at screen 0.86\n"
            "unset tmargin\nunset bmargin\n"
            "set cbrange [0:100]\nset cblabel 'blocks held, %%'\nset cbtics 20\n"
            "set tics out nomirror\n",
            before == NULL ? 600 : 1000);
    fputs("set palette defined (0 '#00224e', 1 '#123570', 2 '#3b496c', 3 '#575d6d', 4 '#707173', "
          "5 '#8a8678', 6 '#a59c74', 7 '#c3b369', 8 '#e1cc55', 9 '#fee838')\n",
          f);
    if (before != NULL)
        fputs("set multiplot layout 2,1\n", f);
    for (uint32_t k = 0; k < 2; k++) {
        const struct picture_run *r = k == 0 ? now : before;
        if (r == NULL)
            continue;
        char line[2 * PICTURE_TEXT];
        (void)snprintf(line, sizeof(line), "%s%s",
                       before == NULL ? ""
                       : k == 0       ? "this: "
                                      : "earlier: ",
                       r->title);
        fputs("set title 'Share of the image that is held, by place and time'.\"\\n\".", f);
        put_text(f, line);
        fputc('\n', f);
        put_time_axis(f, &s, true);
        put_map(f, r, &s, k == 1);
    }
    if (before != NULL)
        fputs("unset multiplot\n", f);
}

static bool write_script(const char *dir, const struct picture_run *now,
                         const struct picture_run *before)
{
    FILE *f = picture_create(dir, "", SCRIPT);
    if (f == NULL)
        return false;
    fputs("# Draws completion.svg, bytes.svg and places.svg: gnuplot " SCRIPT "\n"
          "set encoding utf8\nset border 3 lc rgb '#444444'\nset tics out nomirror\n"
          "set grid back lc rgb '#dddddd' lw 1 dt 1\nset xtics auto\n",
          f);
    put_completion(f, now, before);
    put_bytes(f, now, before);
    put_places(f, now, before);
    return picture_close(f, dir, SCRIPT);
}

/* ---- gnuplot ---- */

/* gnuplot writes a heat map as a small picture that viewers stretch, and smooth when nobody tells
 * them not to: a place would take on its neighbours' colour. */
static bool sharpen(const char *dir, const char *name)
{
    static const char mark[] = "preserveAspectRatio='none'";
    static const char sharp[] = " style='image-rendering:pixelated'";
    char path[PICTURE_PATH];
    FILE *f = fopen(picture_path(path, dir, "", name), "r");
    if (f == NULL)
        return true;
    size_t len = 0, cap = 0;
    char *text = NULL;
    for (size_t n = 1; n > 0; len += n) {
        sim_grow(&text, &cap, len + 65536, 1);
        n = fread(text + len, 1, cap - len - 1, f);
    }
    fclose(f);
    text[len] = '\0';
    f = picture_create(dir, "", name);
    if (f == NULL) {
        free(text);
        return false;
    }
    const char *from = text;
    for (const char *at; (at = strstr(from, mark)) != NULL; from = at + strlen(mark)) {
        fwrite(from, 1, (size_t)(at - from) + strlen(mark), f);
        fputs(sharp, f);
    }
    fputs(from, f);
    free(text);
    return picture_close(f, dir, name);
}

/* The child: what it says goes to a file.  Does not return. */
static void become_gnuplot(const char *dir)
{
    if (chdir(dir) != 0 || freopen(SAID, "w", stdout) == NULL ||
        dup2(STDOUT_FILENO, STDERR_FILENO) < 0)
        _exit(1);
    execlp("gnuplot", "gnuplot", SCRIPT, (char *)NULL);
    _exit(NO_RUN);
}

bool picture_draw(const char *dir, const struct picture_run *now, const struct picture_run *before)
{
    char path[PICTURE_PATH];
    int status = 0;
    if (!write_script(dir, now, before))
        return false;
    fflush(NULL);
    pid_t child = fork();
    if (child == 0)
        become_gnuplot(dir);
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    if (child > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        (void)unlink(picture_path(path, dir, "", SAID));
        return sharpen(dir, "places.svg");
    }
    if (child > 0 && WIFEXITED(status) && WEXITSTATUS(status) == NO_RUN) {
        (void)unlink(picture_path(path, dir, "", SAID));
        fprintf(stderr,
                "fwswarm-sim: gnuplot is not installed, so there are no pictures: install "
                "gnuplot-nox and run `gnuplot %s` in %s; the data is there\n",
                SCRIPT, dir);
    } else {
        fprintf(stderr,
                "fwswarm-sim: gnuplot could not draw %s/%s: see %s there; the data is "
                "there too\n",
                dir, SCRIPT, SAID);
    }
    return false;
}
