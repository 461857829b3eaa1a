/* Figures in integers, printed as decimals: a report is the same on every machine but for its wall
 * time and its memory. */
#include "report.h"

#include <inttypes.h>
#include <stdlib.h>
#include <sys/resource.h>

/* The largest of: the image through the origin's uplink, through one device's downlink, and all
 * copies through all uplinks together. */
usec report_bound(const struct world *w)
{
    const struct options *o = &w->opt;
    uint64_t ups = o->origin_up * o->verify + o->peer_up * o->peers;
    /* Milliseconds first: bytes times microseconds would not fit for large fleets. */
    usec origin = o->image_size * 1000 / o->origin_up;
    usec device = o->image_size * 1000 / o->peer_down;
    usec all = o->image_size * o->peers / ups * 1000 + o->image_size * o->peers % ups * 1000 / ups;
    usec bound = origin > device ? origin : device;
    return (bound > all ? bound : all) * 1000;
}

static int compare_usec(const void *a, const void *b)
{
    usec x = *(const usec *)a, y = *(const usec *)b;
    return x < y ? -1 : x > y;
}

struct figures {
    uint32_t completed, confirmed, struck;
    usec makespan, median, p99, bound;
    uint64_t ratio, origin_copies, overhead; /* thousandths */
    uint64_t per_second;
    uint64_t peak_rss;
};

static uint64_t thousandths(uint64_t a, uint64_t b)
{
    return b > 0 ? a / b * 1000 + a % b * 1000 / b : 0;
}

static void figures_of(const struct world *w, usec wall, struct figures *f)
{
    *f = (struct figures){.bound = report_bound(w)};
    usec *at = sim_alloc(w->opt.peers, sizeof(*at));
    for (uint32_t i = w->opt.verify; i < w->count; i++) {
        if (w->node[i].held_at != USEC_NEVER)
            at[f->completed++] = w->node[i].held_at;
        if (w->node[i].confirmed_at != USEC_NEVER)
            f->confirmed++;
    }
    qsort(at, f->completed, sizeof(*at), compare_usec);
    if (f->completed > 0) {
        f->makespan = at[f->completed - 1];
        f->median = at[(f->completed - 1) / 2];
        f->p99 = at[((uint64_t)f->completed * 99 + 99) / 100 - 1];
    }
    free(at);
    for (uint32_t i = 0; i < w->faults; i++)
        f->struck += w->fault[i].struck;
    f->ratio = thousandths(f->makespan, f->bound);
    f->origin_copies = thousandths(w->net.payload_origin, w->opt.image_size);
    uint64_t needed = w->opt.image_size * f->completed;
    f->overhead = w->net.wire_sent > needed ? thousandths(w->net.wire_sent - needed, needed) : 0;
    f->per_second = wall > 0 ? w->steps * SEC / wall : 0;
    struct rusage ru;
    if (getrusage(RUSAGE_SELF, &ru) == 0)
        f->peak_rss = (uint64_t)ru.ru_maxrss * 1024;
}

static void print_seconds(const char *name, usec v, bool known)
{
    if (known)
        printf("\"%s\": %" PRIu64 ".%06" PRIu64 ", ", name, v / SEC, v % SEC);
    else
        printf("\"%s\": null, ", name);
}

static void print_ratio(const char *name, uint64_t v, bool known)
{
    if (known)
        printf("\"%s\": %" PRIu64 ".%03" PRIu64 ", ", name, v / 1000, v % 1000);
    else
        printf("\"%s\": null, ", name);
}

/* The texts of violations are ours: no quotes, no control characters. */
static void print_violations(const struct world *w)
{
    printf("\"violations\": [");
    for (uint32_t i = 0; i < w->violations && i < VIOLATIONS_MAX; i++) {
        const struct violation *v = &w->violation[i];
        printf("%s{\"at_s\": %" PRIu64 ".%06" PRIu64 ", \"step\": %" PRIu64 ", ", i > 0 ? ", " : "",
               v->at / SEC, v->at % SEC, v->step);
        if (v->node != NONE)
            printf("\"node\": %u, ", v->node);
        printf("\"what\": \"%s\"}", v->what);
    }
    printf("]");
}

static void print_json(const struct world *w, const struct figures *f, usec wall)
{
    bool any = f->completed > 0;
    printf("{\"seed\": %" PRIu64 ", \"peers\": %u, \"verify\": %u, \"image_bytes\": %" PRIu64 ", ",
           w->opt.seed, w->opt.peers, w->opt.verify, w->opt.image_size);
    printf("\"completed\": %u, \"confirmed\": %u, ", f->completed, f->confirmed);
    print_seconds("makespan_s", f->makespan, any);
    print_seconds("median_s", f->median, any);
    print_seconds("p99_s", f->p99, any);
    print_seconds("bound_s", f->bound, true);
    print_ratio("ratio", f->ratio, any && f->bound > 0);
    print_ratio("origin_copies", f->origin_copies, true);
    print_ratio("overhead_bytes_ratio", f->overhead, any);
    print_seconds("simulated_s", w->now, true);
    printf("\"events\": %" PRIu64 ", ", w->steps);
    print_seconds("wall_s", wall, true);
    printf("\"events_per_s\": %" PRIu64 ", \"peak_rss_bytes\": %" PRIu64 ", \"node_bytes\": %zu, ",
           f->per_second, f->peak_rss, w->node_bytes);
    printf("\"trace_hash\": \"%016" PRIx64 "\", \"faults\": %u, ", w->trace_hash, f->struck);
    print_violations(w);
    printf("}\n");
}

static void print_text(const struct world *w, const struct figures *f, usec wall)
{
    printf("%u of %u devices complete, %u installed and confirmed it, seed %" PRIu64 "\n",
           f->completed, w->opt.peers, f->confirmed, w->opt.seed);
    if (f->completed > 0)
        printf("last %" PRIu64 ".%03" PRIu64 " s   median %" PRIu64 ".%03" PRIu64
               " s   99 %% %" PRIu64 ".%03" PRIu64 " s\n",
               f->makespan / SEC, f->makespan % SEC / 1000, f->median / SEC, f->median % SEC / 1000,
               f->p99 / SEC, f->p99 % SEC / 1000);
    printf("bound %" PRIu64 ".%03" PRIu64 " s   ratio %" PRIu64 ".%03" PRIu64
           "   copies from origins %" PRIu64 ".%03" PRIu64 "\n",
           f->bound / SEC, f->bound % SEC / 1000, f->ratio / 1000, f->ratio % 1000,
           f->origin_copies / 1000, f->origin_copies % 1000);
    printf("%" PRIu64 " events in %" PRIu64 ".%03" PRIu64 " s, %" PRIu64 " a second; %zu bytes a "
           "node\n",
           w->steps, wall / SEC, wall % SEC / 1000, f->per_second, w->node_bytes);
    printf("trace %016" PRIx64 "   faults %u   violations %u\n", w->trace_hash, f->struck,
           w->violations);
    for (uint32_t i = 0; i < w->violations && i < VIOLATIONS_MAX; i++) {
        const struct violation *v = &w->violation[i];
        printf("  at %" PRIu64 ".%06" PRIu64 " s, step %" PRIu64, v->at / SEC, v->at % SEC,
               v->step);
        if (v->node != NONE)
            printf(", node %u", v->node);
        printf(": %s\n", v->what);
    }
}

void report_progress(const struct world *w, usec wall)
{
    fprintf(stderr,
            "\r%" PRIu64 ".%" PRIu64 " s simulated, %u of %u complete, %" PRIu64
            "k events, %" PRIu64 " s   ",
            w->now / SEC, w->now % SEC / 100000, w->opt.peers - w->unheld, w->opt.peers,
            w->steps / 1000, wall / SEC);
}

void report_result(const struct world *w, usec wall)
{
    struct figures f;
    figures_of(w, wall, &f);
    if (w->opt.json)
        print_json(w, &f, wall);
    else
        print_text(w, &f, wall);
}
