/* Figures in integers, printed as decimals: a report is the same on every machine but for its wall
 * time and its memory. */
#include "report.h"

#include "adversary.h"
#include "fault.h"

#include <inttypes.h>
#include <stdlib.h>
#include <sys/resource.h>

/* ---- the bound ---- */

static usec time_of(uint64_t bytes, uint64_t rate)
{
    return bytes / rate * SEC + bytes % rate * SEC / rate;
}

static uint64_t slower(uint64_t a, uint64_t line)
{
    return line > 0 && line < a ? line : a;
}

static bool must_fetch(const struct sim_node *n)
{
    return n->moved && node_counts(n);
}

/* When the first release is published that some device must fetch. */
static usec first_at(const struct world *w)
{
    usec first = USEC_NEVER;
    for (uint32_t i = w->verify; i < w->count; i++)
        if (must_fetch(&w->node[i]) && w->scn.release[w->node[i].want].at < first)
            first = w->scn.release[w->node[i].want].at;
    return first != USEC_NEVER ? first : 0;
}

/* The node that a release is expected to come from. */
static uint32_t first_origin(const struct world *w)
{
    for (uint32_t i = 0; i < w->verify; i++)
        if (w->node[i].behaviour == BEHAVE_HONEST)
            return i;
    return 0;
}

/* One copy must leave the origin, and its place's line when somebody outside wants it. */
static usec bound_origin(const struct world *w, uint32_t release)
{
    const struct sim_node *o = &w->node[first_origin(w)];
    bool inside = false, outside = false;
    for (uint32_t i = w->verify; i < w->count; i++) {
        const struct sim_node *n = &w->node[i];
        if (!must_fetch(n) || n->want != release)
            continue;
        if (o->place != NONE && n->place == o->place)
            inside = true;
        else
            outside = true;
    }
    uint64_t rate =
        outside && o->place != NONE ? slower(o->up.rate, w->place[o->place].up.rate) : o->up.rate;
    return inside || outside ? time_of(w->scn.release[release].size, rate) : 0;
}

/* Each image that a place without an origin wants must come in over its line once. */
static usec bound_place(const struct world *w, const struct place *p, usec from)
{
    uint64_t bytes = 0;
    usec start = USEC_NEVER;
    bool wanted[SCN_RELEASES] = {false};
    for (uint32_t i = 0; i < p->nodes; i++) {
        const struct sim_node *n = &w->node[p->node[i]];
        if (n->member.role == ROLE_VERIFY)
            return 0;
        if (!must_fetch(n) || wanted[n->want])
            continue;
        wanted[n->want] = true;
        bytes += w->scn.release[n->want].size;
        if (w->scn.release[n->want].at < start)
            start = w->scn.release[n->want].at;
    }
    if (bytes == 0 || p->down.rate == 0)
        return 0;
    return start - from + time_of(bytes, p->down.rate);
}

usec report_bound(const struct world *w)
{
    usec from = first_at(w), bound = 0;
    uint64_t bytes = 0, ups = 0;
    for (uint32_t i = 0; i < w->count; i++) {
        const struct sim_node *n = &w->node[i];
        ups += n->up.rate;
        if (!must_fetch(n))
            continue;
        const struct scn_release *r = &w->scn.release[n->want];
        usec join = w->scn.group[n->group].join, start = r->at > join ? r->at : join;
        usec own = start - from + time_of(r->size, n->down.rate);
        bound = own > bound ? own : bound;
        bytes += r->size;
    }
    usec all = time_of(bytes, ups);
    bound = all > bound ? all : bound;
    for (uint32_t i = 0; i < w->releases; i++) {
        usec origin = bound_origin(w, i);
        if (origin > 0)
            origin += w->scn.release[i].at - from;
        bound = origin > bound ? origin : bound;
    }
    for (uint32_t i = 0; i < w->places; i++) {
        usec place = bound_place(w, &w->place[i], from);
        bound = place > bound ? place : bound;
    }
    return bound;
}

/* ---- figures ---- */

static int compare_usec(const void *a, const void *b)
{
    usec x = *(const usec *)a, y = *(const usec *)b;
    return x < y ? -1 : x > y;
}

#define NODES_MEASURED 100u

struct figures {
    uint32_t completed, confirmed, struck;
    uint32_t fetched;             /* of the completed those that did not have it from the start */
    uint64_t image_bytes, needed; /* each release that is wanted once; of all that fetched */
    usec makespan, median, p99, bound;
    uint64_t ratio, origin_copies, wan_copies, overhead; /* thousandths */
    uint64_t per_second;
    uint64_t peak_rss;
    size_t node_bytes; /* taken by the core of the device that takes most */
};

static uint64_t thousandths(uint64_t a, uint64_t b)
{
    return b > 0 ? a / b * 1000 + a % b * 1000 / b : 0;
}

/* The sizes of the releases that some of these nodes must fetch, each once; nodes: NULL for all. */
static uint64_t wanted_bytes(const struct world *w, const uint32_t *nodes, uint32_t count)
{
    bool wanted[SCN_RELEASES] = {false};
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct sim_node *n = &w->node[nodes != NULL ? nodes[i] : i];
        if (!must_fetch(n) || wanted[n->want])
            continue;
        wanted[n->want] = true;
        bytes += w->scn.release[n->want].size;
    }
    return bytes;
}

/* What came into places, in what had to. */
static uint64_t wan_copies(const struct world *w)
{
    uint64_t in = 0, wanted = 0;
    for (uint32_t i = 0; i < w->places; i++) {
        const struct place *p = &w->place[i];
        in += p->image_in;
        wanted += wanted_bytes(w, p->node, p->nodes);
    }
    return thousandths(in, wanted);
}

/* Of the devices looked at, a few of a large fleet, the core that takes most. */
static size_t node_bytes(const struct world *w)
{
    size_t most = 0;
    uint32_t step = 1 + (w->count - w->verify) / NODES_MEASURED;
    for (uint32_t i = w->verify; i < w->count; i += step) {
        const struct sim_node *n = &w->node[i];
        size_t used = n->mem != NULL ? sim_pages_used(n->mem, node_size(n->limits)) : 0;
        most = used > most ? used : most;
    }
    return most;
}

static void figures_of(const struct world *w, usec wall, struct figures *f)
{
    *f = (struct figures){.bound = report_bound(w)};
    usec *at = sim_alloc(w->devices, sizeof(*at));
    usec from = first_at(w);
    uint32_t count = 0;
    for (uint32_t i = w->verify; i < w->count; i++) {
        const struct sim_node *n = &w->node[i];
        if (!node_counts(n))
            continue;
        f->completed += n->held_at != USEC_NEVER;
        f->confirmed += n->confirmed_at != USEC_NEVER;
        if (!n->moved)
            continue;
        if (n->held_at == USEC_NEVER)
            continue;
        at[count++] = n->held_at > from ? n->held_at - from : 0;
        f->needed += w->scn.release[n->want].size;
    }
    f->fetched = count;
    qsort(at, count, sizeof(*at), compare_usec);
    if (count > 0) {
        f->makespan = at[count - 1];
        f->median = at[(count - 1) / 2];
        f->p99 = at[((uint64_t)count * 99 + 99) / 100 - 1];
    }
    free(at);
    for (uint32_t i = 0; i < w->faults; i++)
        f->struck += w->fault[i].struck;
    f->ratio = thousandths(f->makespan, f->bound);
    f->image_bytes = wanted_bytes(w, NULL, w->count);
    f->origin_copies = thousandths(w->net.payload_origin, f->image_bytes);
    f->wan_copies = wan_copies(w);
    uint64_t lines = w->net.wire_sent + w->net.acks + w->net.cast_bytes;
    if (lines > f->needed)
        f->overhead = thousandths(lines - f->needed, f->needed);
    f->per_second = wall > 0 ? w->steps * SEC / wall : 0;
    struct rusage ru;
    if (getrusage(RUSAGE_SELF, &ru) == 0)
        f->peak_rss = (uint64_t)ru.ru_maxrss * 1024;
    f->node_bytes = node_bytes(w);
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

/* How often adversaries tried what they are there for. */
static void print_attacks(const struct world *w)
{
    const char *gap = "";
    printf("\"attacks\": {");
    for (uint32_t b = BEHAVE_HONEST + 1; b < BEHAVE_COUNT; b++) {
        bool there = false;
        for (uint32_t i = 0; i < w->scn.groups; i++)
            there = there || w->scn.group[i].behaviour == (enum behaviour)b;
        if (!there)
            continue;
        printf("%s\"%s\": %" PRIu64, gap, behaviour_name[b],
               adversary_attempts(w, (enum behaviour)b));
        gap = ", ";
    }
    printf("}, ");
}

static void print_json(const struct world *w, const struct figures *f, usec wall)
{
    bool any = f->fetched > 0;
    printf("{\"seed\": %" PRIu64 ", \"peers\": %u, \"verify\": %u, \"image_bytes\": %" PRIu64 ", ",
           w->scn.seed, w->devices, w->verify, f->image_bytes);
    printf("\"completed\": %u, \"confirmed\": %u, \"excused\": %u, ", f->completed, f->confirmed,
           fault_lacking(w, true));
    print_seconds("makespan_s", f->makespan, any);
    print_seconds("median_s", f->median, any);
    print_seconds("p99_s", f->p99, any);
    print_seconds("bound_s", f->bound, true);
    print_ratio("ratio", f->ratio, any && f->bound > 0);
    print_ratio("origin_copies", f->origin_copies, true);
    print_ratio("wan_copies_per_site", f->wan_copies, w->places > 0);
    print_ratio("overhead_bytes_ratio", f->overhead, any);
    print_seconds("simulated_s", w->now, true);
    printf("\"events\": %" PRIu64 ", ", w->steps);
    print_seconds("wall_s", wall, true);
    printf("\"events_per_s\": %" PRIu64 ", \"peak_rss_bytes\": %" PRIu64 ", \"node_bytes\": %zu, ",
           f->per_second, f->peak_rss, f->node_bytes);
    printf("\"trace_hash\": \"%016" PRIx64 "\", \"faults\": %u, ", w->trace_hash, f->struck);
    printf("\"interrupted\": %s, ", w->interrupted ? "true" : "false");
    print_attacks(w);
    print_violations(w);
    printf("}\n");
}

static void print_text(const struct world *w, const struct figures *f, usec wall)
{
    if (w->interrupted)
        printf("interrupted after %" PRIu64 ".%03" PRIu64 " simulated seconds\n", w->now / SEC,
               w->now % SEC / 1000);
    printf("%u of %u devices complete, %u installed and confirmed it, seed %" PRIu64 "\n",
           f->completed, w->devices, f->confirmed, w->scn.seed);
    if (fault_lacking(w, true) > 0)
        printf("%u devices are excused: faults took what they could complete from\n",
               fault_lacking(w, true));
    if (f->fetched > 0)
        printf("last %" PRIu64 ".%03" PRIu64 " s   median %" PRIu64 ".%03" PRIu64
               " s   99 %% %" PRIu64 ".%03" PRIu64 " s\n",
               f->makespan / SEC, f->makespan % SEC / 1000, f->median / SEC, f->median % SEC / 1000,
               f->p99 / SEC, f->p99 % SEC / 1000);
    printf("bound %" PRIu64 ".%03" PRIu64 " s   ratio %" PRIu64 ".%03" PRIu64
           "   copies from origins %" PRIu64 ".%03" PRIu64 "\n",
           f->bound / SEC, f->bound % SEC / 1000, f->ratio / 1000, f->ratio % 1000,
           f->origin_copies / 1000, f->origin_copies % 1000);
    if (w->places > 0)
        printf("copies into each place %" PRIu64 ".%03" PRIu64 "\n", f->wan_copies / 1000,
               f->wan_copies % 1000);
    printf("%" PRIu64 " events in %" PRIu64 ".%03" PRIu64 " s, %" PRIu64 " a second; %zu bytes a "
           "node\n",
           w->steps, wall / SEC, wall % SEC / 1000, f->per_second, f->node_bytes);
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

void report_progress(const struct world *w, usec wall, bool live)
{
    fprintf(stderr,
            "%s%" PRIu64 ".%" PRIu64 " s simulated, %u of %u complete, %" PRIu64
            "k events, %" PRIu64 " s%s",
            live ? "\r" : "", w->now / SEC, w->now % SEC / 100000, w->devices - w->unheld,
            w->devices, w->steps / 1000, wall / SEC, live ? "   " : "\n");
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
