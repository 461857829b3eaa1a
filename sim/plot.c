/* What the pictures of a run are drawn from.
 *
 * While a run goes on, a sample is taken at even moments: bytes by source, and for each row of the
 * heat map the share of the image that its devices hold.  When the samples are full, every second
 * one is dropped and the interval doubles, so a run of any length costs the same memory and about
 * the same time.  A row is a place or, where a device has none, that device; where places are few,
 * every device has its own.  With more of them than rows, neighbours in the order of the scenario
 * share one.  The completion curves come from the moments that the nodes remember, at the end.
 *
 * All numbers are integers until they are printed. */
#include "plot.h"

#include "picture.h"
#include "report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SAMPLES    512u
#define ROWS       240u
#define PLACES_FEW 10u   /* fewer do not make a picture */
#define FIRST      1000u /* microseconds between samples at first */
#define CURVE      1000u /* points of a completion curve */
#define RATES      96u   /* columns of the picture of rates */
#define FULL       1000u /* thousandths */
#define DIR_LEN    1024u
#define TITLE      64u
#define DATA_FILES 5u

static const char *const data_file[DATA_FILES] = {"run.txt", "completion.dat", "bytes.dat",
                                                  "rates.dat", "places.dat"};

struct sample {
    usec at;
    uint64_t origins, near, far;
};

struct plot {
    char dir[DIR_LEN], title[TITLE];
    bool begun;
    usec every, next;
    uint32_t count;
    struct sample sample[SAMPLES];
    uint16_t *share; /* of sample and row, thousandths */
    uint32_t rows, units;
    uint32_t *row;         /* of each node; NONE: it fetches nothing */
    uint32_t *row_devices; /* in each row */
    uint64_t *row_sum;
    bool shares;   /* peers share places */
    bool by_place; /* rows are places, not devices */
    struct picture_run run;
};

/* ---- opening ---- */

struct plot *plot_open(const char *dir, const char *title)
{
    struct stat st;
    int failed = 0;
    if (strlen(dir) >= DIR_LEN)
        failed = ENAMETOOLONG;
    else if (mkdir(dir, 0777) != 0 && errno != EEXIST)
        failed = errno;
    else if (stat(dir, &st) == 0 && !S_ISDIR(st.st_mode))
        failed = ENOTDIR;
    else if (access(dir, W_OK | X_OK) != 0)
        failed = errno;
    if (failed != 0) {
        fprintf(stderr, "fwswarm-sim: --plot %s: %s; choose a directory that can be written\n", dir,
                strerror(failed));
        return NULL;
    }
    const char *slash = strrchr(title, '/');
    title = slash != NULL ? slash + 1 : title;
    struct plot *p = sim_alloc(1, sizeof(*p));
    (void)snprintf(p->dir, sizeof(p->dir), "%s", dir);
    for (size_t i = 0, n = 0; title[i] != '\0' && n + 1 < sizeof(p->title); i++)
        if ((unsigned char)title[i] >= ' ' && title[i] != 127)
            p->title[n++] = title[i];
    p->every = FIRST;
    return p;
}

bool plot_over(const char *over)
{
    struct picture_run r;
    return picture_run_read(over, "", &r);
}

/* ---- rows ---- */

static bool fetches(const struct sim_node *n)
{
    return node_counts(n) && n->moved && n->want != NONE;
}

static void add_label(struct plot *p, const struct world *w, uint32_t node, uint32_t row)
{
    struct picture_run *r = &p->run;
    const struct sim_node *n = &w->node[node];
    const char *name = p->by_place && n->place != NONE ? w->scn.site[w->place[n->place].site].name
                                                       : w->scn.group[n->group].name;
    if (r->labels > 0 && strcmp(r->label[r->labels - 1].text, name) == 0) {
        r->label[r->labels - 1].count = row - r->label[r->labels - 1].first + 1;
        return;
    }
    /* Two names may meet in one row: the first has it. */
    bool taken =
        r->labels > 0 && r->label[r->labels - 1].first + r->label[r->labels - 1].count > row;
    if (r->labels == PICTURE_LABELS || taken)
        return;
    r->label[r->labels].first = row;
    r->label[r->labels].count = 1;
    (void)snprintf(r->label[r->labels].text, sizeof(r->label[0].text), "%s", name);
    r->labels++;
}

/* Numbers what is to have a row, in the order of the nodes; NONE: the node fetches nothing. */
static void number_units(struct plot *p, const struct world *w, uint32_t *unit)
{
    uint32_t *place_unit = sim_alloc(w->places + 1, sizeof(*place_unit));
    memset(place_unit, 0xff, (w->places + 1) * sizeof(*place_unit));
    p->units = 0;
    for (uint32_t i = 0; i < w->count; i++) {
        const struct sim_node *n = &w->node[i];
        unit[i] = NONE;
        if (!fetches(n))
            continue;
        uint32_t *of = p->by_place && n->place != NONE ? &place_unit[n->place] : &unit[i];
        p->shares = p->shares || (of != &unit[i] && *of != NONE);
        if (*of == NONE)
            *of = p->units++;
        unit[i] = *of;
    }
    free(place_unit);
}

static void begin(struct plot *p, const struct world *w)
{
    uint32_t *unit = sim_alloc(w->count, sizeof(*unit));
    p->begun = true;
    p->by_place = w->places > 0;
    number_units(p, w, unit);
    if (p->by_place && p->units < PLACES_FEW) {
        p->by_place = false;
        number_units(p, w, unit);
    }
    p->rows = p->units < ROWS ? p->units : ROWS;
    p->row = sim_alloc(w->count, sizeof(*p->row));
    p->row_devices = sim_alloc(p->rows + 1, sizeof(*p->row_devices));
    p->row_sum = sim_alloc(p->rows + 1, sizeof(*p->row_sum));
    p->share = sim_alloc((size_t)SAMPLES * (p->rows + 1), sizeof(*p->share));
    for (uint32_t i = 0; i < w->count; i++) {
        p->row[i] = NONE;
        if (unit[i] == NONE)
            continue;
        p->row[i] = (uint32_t)((uint64_t)unit[i] * p->rows / p->units);
        p->row_devices[p->row[i]]++;
        add_label(p, w, i, p->row[i]);
    }
    /* Of one kind only: rows are numbered, not named. */
    if (p->run.labels == 1)
        p->run.labels = 0;
    free(unit);
}

/* ---- sampling ---- */

static uint32_t share_of(const struct sim_node *n)
{
    for (uint32_t i = 0; i < n->disk.slots; i++) {
        const struct disk_slot *s = &n->disk.slot[i];
        if (s->bound && s->release == n->want && s->geo.blocks > 0)
            return (uint32_t)((uint64_t)s->blocks_have * FULL / s->geo.blocks);
    }
    return n->held_at != USEC_NEVER ? FULL : 0;
}

static void halve(struct plot *p)
{
    for (uint32_t i = 0; i < SAMPLES / 2; i++) {
        p->sample[i] = p->sample[2 * i];
        memcpy(&p->share[(size_t)i * p->rows], &p->share[(size_t)2 * i * p->rows],
               p->rows * sizeof(*p->share));
    }
    p->count = SAMPLES / 2;
    p->every *= 2;
    p->next = p->sample[p->count - 1].at + p->every;
}

static void take_sample(struct plot *p, const struct world *w, usec at)
{
    p->sample[p->count] = (struct sample){.at = at,
                                          .origins = w->net.payload_origin,
                                          .near = w->net.payload_near,
                                          .far = w->net.payload_peer - w->net.payload_near};
    memset(p->row_sum, 0, p->rows * sizeof(*p->row_sum));
    for (uint32_t i = 0; i < w->count; i++)
        if (p->row[i] != NONE)
            p->row_sum[p->row[i]] += share_of(&w->node[i]);
    for (uint32_t r = 0; r < p->rows; r++)
        p->share[(size_t)p->count * p->rows + r] = (uint16_t)(p->row_sum[r] / p->row_devices[r]);
    p->count++;
}

void plot_step(struct plot *p, const struct world *w)
{
    if (p->begun && w->now < p->next)
        return;
    if (!p->begun)
        begin(p, w);
    /* Nothing happened between steps: a long pause is filled with what it ended with. */
    while (p->next <= w->now) {
        if (p->count == SAMPLES) {
            halve(p);
            continue;
        }
        take_sample(p, w, p->next);
        p->next += p->every;
    }
}

/* ---- data files ---- */

static void put_seconds(FILE *f, usec at)
{
    fprintf(f, "%" PRIu64 ".%06" PRIu64, at / SEC, at % SEC);
}

static int compare_usec(const void *a, const void *b)
{
    usec x = *(const usec *)a, y = *(const usec *)b;
    return x < y ? -1 : x > y;
}

/* One curve, and what its legend says. */
static void put_curve(FILE *f, const struct world *w, const usec *at, uint32_t count,
                      const char *what, char legend[PICTURE_TEXT])
{
    fprintf(f, "# %s\n0 0 0\n", what);
    uint32_t every = 1 + count / CURVE;
    for (uint32_t i = 0; i < count; i++) {
        if ((i + 1) % every != 0 && i + 1 != count)
            continue;
        put_seconds(f, at[i]);
        uint64_t share = (uint64_t)(i + 1) * 100000 / w->devices;
        fprintf(f, " %u %" PRIu64 ".%03" PRIu64 "\n", i + 1, share / 1000, share % 1000);
    }
    put_seconds(f, w->now);
    uint64_t share = w->devices > 0 ? (uint64_t)count * 100000 / w->devices : 0;
    fprintf(f, " %u %" PRIu64 ".%03" PRIu64 "\n", count, share / 1000, share % 1000);
    usec half = count > 0 ? at[(count - 1) / 2] : 0, last = count > 0 ? at[count - 1] : 0;
    if (count == 0)
        (void)snprintf(legend, PICTURE_TEXT, "%s: no device", what);
    else
        (void)snprintf(legend, PICTURE_TEXT,
                       "%s: %u of %u devices, half of them after %" PRIu64 ".%" PRIu64
                       " s, the last after %" PRIu64 ".%" PRIu64 " s",
                       what, count, w->devices, half / SEC, half % SEC / 100000, last / SEC,
                       last % SEC / 100000);
}

static bool write_completion(struct plot *p, const struct world *w)
{
    FILE *f = picture_create(p->dir, "", "completion.dat");
    if (f == NULL)
        return false;
    usec *held = sim_alloc(w->count, sizeof(*held)), *done = sim_alloc(w->count, sizeof(*done));
    uint32_t helds = 0, dones = 0;
    for (uint32_t i = 0; i < w->count; i++) {
        const struct sim_node *n = &w->node[i];
        if (node_counts(n) && n->held_at != USEC_NEVER)
            held[helds++] = n->held_at;
        if (node_counts(n) && n->confirmed_at != USEC_NEVER)
            done[dones++] = n->confirmed_at;
    }
    qsort(held, helds, sizeof(*held), compare_usec);
    qsort(done, dones, sizeof(*done), compare_usec);
    fputs("# seconds, devices, share of the devices in %\n", f);
    put_curve(f, w, held, helds, "holds it", p->run.held);
    fputs("\n\n", f);
    put_curve(f, w, done, dones, "installed it", p->run.installed);
    free(held);
    free(done);
    return picture_close(f, p->dir, "completion.dat");
}

static bool write_bytes(const struct plot *p)
{
    FILE *f = picture_create(p->dir, "", "bytes.dat");
    if (f == NULL)
        return false;
    fputs("# image bytes sent until then: seconds, by verify nodes, by peers to their own place, "
          "by peers to elsewhere\n",
          f);
    for (uint32_t i = 0; i < p->count; i++) {
        const struct sample *s = &p->sample[i];
        put_seconds(f, s->at);
        fprintf(f, " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", s->origins, s->near, s->far);
    }
    return picture_close(f, p->dir, "bytes.dat");
}

static uint64_t bits_a_second(uint64_t bytes, usec time)
{
    return time > 0 ? bytes * 8 / time * SEC + bytes * 8 % time * SEC / time : 0;
}

/* Over several samples each: single ones show single messages. */
static bool write_rates(const struct plot *p)
{
    FILE *f = picture_create(p->dir, "", "rates.dat");
    if (f == NULL)
        return false;
    fputs("# image bits a second around then: seconds, by verify nodes, by peers to their own "
          "place, by peers to elsewhere\n",
          f);
    uint32_t every = 1 + p->count / RATES;
    for (uint32_t i = 0; i + 1 < p->count; i += every) {
        uint32_t k = i + every < p->count ? i + every : p->count - 1;
        const struct sample *a = &p->sample[i], *b = &p->sample[k];
        usec time = b->at - a->at;
        put_seconds(f, a->at + time / 2);
        fprintf(f, " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n",
                bits_a_second(b->origins - a->origins, time),
                bits_a_second(b->near - a->near, time), bits_a_second(b->far - a->far, time));
    }
    return picture_close(f, p->dir, "rates.dat");
}

static bool write_places(const struct plot *p)
{
    FILE *f = picture_create(p->dir, "", "places.dat");
    if (f == NULL)
        return false;
    fputs("# share of the image that is held, thousandths: a line is a row of the picture, from "
          "above; a column is a moment, one every ",
          f);
    put_seconds(f, p->every);
    fputs(" s\n", f);
    for (uint32_t r = 0; r < p->rows; r++) {
        for (uint32_t i = 0; i < p->count; i++)
            fprintf(f, "%s%u", i > 0 ? " " : "", p->share[(size_t)i * p->rows + r]);
        fputc('\n', f);
    }
    return picture_close(f, p->dir, "places.dat");
}

/* ---- the run's description ---- */

static void put_amount(char *out, const char *what, uint64_t bytes, uint64_t image)
{
    uint32_t shift = bytes >= UINT64_C(10) << 30 ? 30 : bytes >= 10u << 20 ? 20 : 10;
    uint64_t tenths = image > 0 ? bytes * 10 / image : 0;
    (void)snprintf(out, PICTURE_TEXT, "%s: %" PRIu64 " %s, %" PRIu64 ".%" PRIu64 " images", what,
                   bytes >> shift,
                   shift == 30   ? "GiB"
                   : shift == 20 ? "MiB"
                                 : "KiB",
                   tenths / 10, tenths % 10);
}

/* Until when there is something to see.  A run may go on for long after the last device is done,
 * because faults that it was to have are still ahead. */
static usec seen_until(const struct plot *p, const struct world *w)
{
    usec last = p->run.bound;
    for (uint32_t i = w->verify; i < w->count; i++) {
        const struct sim_node *n = &w->node[i];
        if (fetches(n) && (n->held_at == USEC_NEVER || n->confirmed_at == USEC_NEVER))
            return w->now;
        if (fetches(n) && n->confirmed_at > last)
            last = n->confirmed_at;
    }
    size_t row = p->rows * sizeof(*p->share);
    for (uint32_t i = p->count - 1; i > 0; i--) {
        const struct sample *a = &p->sample[i - 1], *b = &p->sample[i];
        const uint16_t *share = &p->share[(size_t)i * p->rows];
        if (a->origins == b->origins && a->near == b->near && a->far == b->far &&
            memcmp(share - p->rows, share, row) == 0)
            continue;
        last = b->at > last ? b->at : last;
        break;
    }
    last += last / 25;
    return last < w->now ? last : w->now;
}

static void describe(struct plot *p, const struct world *w)
{
    struct picture_run *r = &p->run;
    uint64_t near = w->net.payload_near, far = w->net.payload_peer - near;
    uint64_t image = w->releases > 0 ? w->scn.release[w->releases - 1].size : 0;
    uint32_t shift = image >= 1u << 20 ? 20 : 10;
    (void)snprintf(r->title, sizeof(r->title),
                   "%s, %u devices, image of %" PRIu64 ".%" PRIu64 " %s, seed %" PRIu64 "%s",
                   p->title, w->devices, image >> shift, (image * 10 >> shift) % 10,
                   shift == 20 ? "MiB" : "KiB", w->scn.seed, w->interrupted ? ", interrupted" : "");
    put_amount(r->origins, "verify nodes", w->net.payload_origin, image);
    put_amount(r->near, "peers, to their own place", near, image);
    put_amount(r->far, p->shares ? "peers, to elsewhere" : "peers", far, image);
    (void)snprintf(r->row, sizeof(r->row), "%s%s", p->by_place ? "places" : "devices",
                   p->units > p->rows ? ", several to a row" : "");
    r->every = p->every;
    r->rows = p->rows;
    r->shares = p->shares;
    if (w->releases == 1)
        r->bound = w->scn.release[0].at + report_bound(w);
    r->end = seen_until(p, w);
    r->end = r->end > 0 ? r->end : 1;
    r->most = w->net.payload_origin > far ? w->net.payload_origin : far;
    r->most = near > r->most ? near : r->most;
}

/* ---- closing ---- */

/* Takes an earlier run's data in beside this one's. */
static bool lay_under(const struct plot *p, const char *over)
{
    for (uint32_t i = 0; i < DATA_FILES; i++) {
        char path[PICTURE_PATH], buf[4096];
        FILE *from = fopen(picture_path(path, over, "", data_file[i]), "r");
        if (from == NULL) {
            fprintf(stderr,
                    "fwswarm-sim: --over %s: %s cannot be read: %s; give the --plot DIR of "
                    "an earlier run\n",
                    over, data_file[i], strerror(errno));
            return false;
        }
        FILE *to = picture_create(p->dir, "before-", data_file[i]);
        size_t n;
        while (to != NULL && (n = fread(buf, 1, sizeof(buf), from)) > 0)
            fwrite(buf, 1, n, to);
        fclose(from);
        if (to == NULL || !picture_close(to, p->dir, data_file[i]))
            return false;
    }
    return true;
}

static bool write_all(struct plot *p, const struct world *w, const char *over)
{
    struct picture_run *before = NULL;
    struct picture_run *earlier = sim_alloc(1, sizeof(*earlier));
    bool good = true;
    if (over != NULL) {
        good = picture_run_read(over, "", earlier) && lay_under(p, over);
        before = earlier;
    }
    describe(p, w);
    good = good && write_completion(p, w) && write_bytes(p) && write_rates(p) && write_places(p) &&
           picture_run_write(p->dir, &p->run);
    if (good && p->rows == 0) {
        fprintf(stderr, "fwswarm-sim: no device has anything to fetch, so there is nothing to "
                        "draw; publish a release that some device does not run\n");
        good = false;
    }
    good = good && picture_draw(p->dir, &p->run, before);
    free(earlier);
    return good;
}

bool plot_close(struct plot *p, const struct world *w, const char *over)
{
    plot_step(p, w);
    if (p->count == SAMPLES)
        halve(p);
    take_sample(p, w, w->now);
    bool good = write_all(p, w, over);
    free(p->row);
    free(p->row_devices);
    free(p->row_sum);
    free(p->share);
    free(p);
    return good;
}
