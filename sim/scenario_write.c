/* Scenarios to text that scenario_read() reads back to the same: all that a line could leave out
 * and that depends on other lines is written, and of the rest what differs from its default. */
#include "scenario_table.h"

#include "units.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct writer {
    char *out;
    size_t cap, n; /* n may run past cap: it is what all would take */
};

__attribute__((format(printf, 2, 3))) static void put(struct writer *w, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    size_t room = w->n < w->cap ? w->cap - w->n : 0;
    int n = vsnprintf(room > 0 ? w->out + w->n : NULL, room, fmt, ap);
    va_end(ap);
    assert(n >= 0);
    w->n += (size_t)n;
}

static uint32_t u32_at(const uint8_t *at)
{
    uint32_t v;
    memcpy(&v, at, sizeof(v));
    return v;
}

static uint64_t u64_at(const uint8_t *at)
{
    uint64_t v;
    memcpy(&v, at, sizeof(v));
    return v;
}

static bool same(const struct scn_field *f, const uint8_t *a, const uint8_t *b)
{
    switch (f->kind) {
    case SCN_U32:
    case SCN_IN_SITE:
    case SCN_IN_GROUP:
    case SCN_OF_MODEL:
    case SCN_STRENGTH:
        return u32_at(a) == u32_at(b);
    case SCN_U64:
    case SCN_RATE:
    case SCN_SIZE:
    case SCN_TIME:
    case SCN_STOP:
        return u64_at(a) == u64_at(b);
    case SCN_FLAG:
        return *(const bool *)a == *(const bool *)b;
    case SCN_VERSION:
        return strcmp((const char *)a, (const char *)b) == 0;
    }
    assert(false);
    return false;
}

static void put_field(struct writer *w, const struct scenario *s, const struct scn_field *f,
                      const uint8_t *at)
{
    char text[CONF_NUMBER_TEXT];
    put(w, " %s", f->key);
    switch (f->kind) {
    case SCN_FLAG:
        return;
    case SCN_U32:
        put(w, "=%u", u32_at(at));
        return;
    case SCN_IN_SITE:
        put(w, "=%s", s->site[u32_at(at)].name);
        return;
    case SCN_IN_GROUP:
        put(w, "=%s", s->group[u32_at(at)].name);
        return;
    case SCN_OF_MODEL:
        put(w, "=%s", s->model[u32_at(at)]);
        return;
    case SCN_U64:
    case SCN_RATE:
    case SCN_SIZE:
    case SCN_TIME:
    case SCN_STOP:
        put(w, "=%s", scn_number_text(text, f->kind, u64_at(at)));
        return;
    case SCN_VERSION:
        put(w, "=%s", (const char *)at);
        return;
    case SCN_STRENGTH:
        assert(false); /* its fault says how */
        return;
    }
}

/* What of a thing differs from what its line would be without. */
static void put_fields(struct writer *w, const struct scenario *s, enum scn_thing thing, uint32_t i,
                       const void *plain)
{
    const struct scn_line *line = &scn_line[thing];
    for (size_t k = 0; k < line->count; k++) {
        const struct scn_field *f = &line->field[k];
        const uint8_t *at = (const uint8_t *)scn_at_const(s, thing, i) + f->at;
        bool device = thing == SCN_GROUP && !s->group[i].verify;
        bool model = f->kind == SCN_OF_MODEL && s->models > 1 && (device || thing == SCN_RELEASE);
        if (f->kind == SCN_STRENGTH || (f->kind == SCN_STOP && !s->release[i].withdrawn))
            continue;
        if (f->always || model || !same(f, at, (const uint8_t *)plain + f->at))
            put_field(w, s, f, at);
    }
}

static void put_group(struct writer *w, const struct scenario *s, uint32_t i)
{
    const struct scn_group *g = &s->group[i];
    struct scn_group plain;
    scn_group_default(&plain, g->verify, g->behaviour);
    if (g->behaviour != BEHAVE_HONEST)
        put(w, "adversary %s %s%s", g->name, behaviour_name[g->behaviour],
            g->verify && g->behaviour != BEHAVE_LYING_VERIFY ? " verify" : "");
    else
        put(w, "%s %s", g->verify ? "verify" : "peers", g->name);
    put_fields(w, s, SCN_GROUP, i, &plain);
    put(w, "\n");
}

static void put_fault(struct writer *w, const struct scenario *s, uint32_t i)
{
    const struct scn_fault *f = &s->fault[i];
    enum scn_strength kind = scn_strength[f->kind].kind;
    struct scn_fault plain;
    char text[CONF_NUMBER_TEXT];
    scn_fault_default(&plain, f->kind);
    put(w, "fault %u %s", f->number, fault_name[f->kind]);
    put_fields(w, s, SCN_FAULT, i, &plain);
    if (kind != STRENGTH_NONE)
        put(w, " strength=%s", scn_strength_text(text, kind, f->strength));
    put(w, "\n");
}

/* Only where there is anything to say. */
static void put_keys(struct writer *w, const struct scenario *s)
{
    const struct scn_keys *k = &s->keys, plain = {.count = 0};
    if (k->count == 0 && k->threshold == 0 && k->stolen == 0 && k->rotate_at == 0)
        return;
    put(w, "keys");
    put_fields(w, s, SCN_KEYS, 0, &plain);
    put(w, "\n");
}

size_t scenario_write(const struct scenario *s, char *out, size_t cap)
{
    struct writer w = {out, cap, 0};
    struct scn_site site;
    struct scn_release release;
    char text[CONF_NUMBER_TEXT];
    put(&w, "seed %" PRIu64 "\n", s->seed);
    if (s->until > 0)
        put(&w, "until %s\n", conf_print_duration(text, s->until));
    for (uint32_t i = 0; i < s->models; i++)
        put(&w, "model %s\n", s->model[i]);
    scn_site_default(&site);
    for (uint32_t i = 0; i < s->sites; i++) {
        put(&w, "site %s", s->site[i].name);
        put_fields(&w, s, SCN_SITE, i, &site);
        put(&w, "\n");
    }
    for (uint32_t i = 0; i < s->groups; i++)
        put_group(&w, s, i);
    scn_release_default(&release);
    for (uint32_t i = 0; i < s->releases; i++) {
        put(&w, "release");
        put_fields(&w, s, SCN_RELEASE, i, &release);
        put(&w, "\n");
    }
    for (uint32_t i = 0; i < s->faults; i++)
        put_fault(&w, s, i);
    put_keys(&w, s);
    if (s->vendor_gone)
        put(&w, "vendor-gone\n");
    return w.n;
}
