/* Scenarios from text: one statement a line, words between blanks, "#" to the end of the line.
 *
 * The text is gone through twice.  First the names of sites, groups and models are taken, so that a
 * line may speak of what stands below it; then every line is read by the tables of
 * scenario_table.h.  What no line says is put in at the end: a verify node, devices, a release.
 * Then the judge has its say, and what it blames is turned into a line number. */
#include "scenario_table.h"

#include "fwswarm/log.h"
#include "units.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define LINES_MAX    SCN_FAULTS /* of the thing that there may be most of */
#define WORDS_MAX    64u        /* of a list that suggestions are made from */

struct reader {
    struct scenario *s;
    struct bytes line; /* what is left of it */
    uint32_t number;
    char *why;
    size_t cap;
    bool naming;                        /* the first time through: names only */
    uint32_t at[SCN_THINGS][LINES_MAX]; /* line numbers; 0: no line said it */
    uint32_t model_at[SCN_MODELS];      /* of the group line that names it; 0: a line of its own */
    bool has_model[SCN_GROUPS];         /* the line names it */
    bool has_sequence[SCN_RELEASES], has_version[SCN_RELEASES], has_release_model[SCN_RELEASES];
    bool has_seed, has_until, has_honest, has_verify;
};

/* ---- complaints ---- */

/* Returns false, so that readers can return what it returns. */
__attribute__((format(printf, 2, 3))) static bool complain(struct reader *r, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(r->why, r->cap, fmt, ap);
    va_end(ap);
    return false;
}

/* Complains about a word that is none of these, and says which of them it is most like, or all. */
static bool complain_unknown(struct reader *r, const char *what, const char *word,
                             const char *const *words, size_t count)
{
    char shown[SCN_TEXT_MAX + 8], all[400] = "";
    size_t used = 0;
    const char *nearest = scn_nearest(word, words, count);
    for (size_t i = 0; i < count && used < sizeof(all) - SCN_TEXT_MAX; i++)
        used +=
            (size_t)snprintf(all + used, sizeof(all) - used, "%s%s", i > 0 ? ", " : "", words[i]);
    log_value(shown, sizeof(shown), bytes_str(word));
    if (nearest != NULL)
        return complain(r, "there is no %s %s; did you mean %s?", what, shown, nearest);
    if (count == 0)
        return complain(r, "there is no %s %s, nor any other", what, shown);
    return complain(r, "there is no %s %s; write one of: %s", what, shown, all);
}

/* ---- words ---- */

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static void skip(struct bytes *b, size_t n)
{
    *b = bytes_of(b->p + n, b->n - n);
}

/* Takes the next word of the line; empty at its end.  False, with a complaint, for a word that is
 * too long for anything or holds what nobody can see. */
static bool next_word(struct reader *r, char out[SCN_TEXT_MAX + 1])
{
    struct bytes *b = &r->line;
    char shown[24];
    size_t n = 0;
    while (b->n > 0 && is_blank(b->p[0]))
        skip(b, 1);
    if (b->n > 0 && b->p[0] == '#')
        skip(b, b->n);
    for (; n < b->n && !is_blank(b->p[n]); n++) {
        if (b->p[n] < 0x20 || b->p[n] == 0x7f)
            return complain(r, "a control character (%u) in the line; write plain text", b->p[n]);
        if (n == SCN_TEXT_MAX)
            return complain(r, "a word of more than %u letters, %s; write a shorter one",
                            SCN_TEXT_MAX, log_value(shown, sizeof(shown), bytes_of(b->p, n)));
        out[n] = (char)b->p[n];
    }
    out[n] = '\0';
    skip(b, n);
    return true;
}

/* Is this one of the words left in the line? */
static bool has_word(const struct reader *r, const char *word)
{
    struct reader ahead = *r;
    char text[SCN_TEXT_MAX + 1];
    while (next_word(&ahead, text) && text[0] != '\0')
        if (strcmp(text, word) == 0)
            return true;
    return false;
}

/* Nothing may follow. */
static bool at_end(struct reader *r)
{
    char word[SCN_TEXT_MAX + 1], shown[SCN_TEXT_MAX + 8];
    if (!next_word(r, word))
        return false;
    if (word[0] == '\0')
        return true;
    return complain(r, "%s is one word too many; write one statement a line",
                    log_value(shown, sizeof(shown), bytes_str(word)));
}

static bool complain_value(struct reader *r, const char *key, const char *value, const char *mend)
{
    char shown[SCN_TEXT_MAX + 8];
    return complain(r, "%s=%s is not understood; %s", key,
                    log_value(shown, sizeof(shown), bytes_str(value)), mend);
}

/* ---- names ---- */

static uint32_t find_site(const struct scenario *s, const char *name)
{
    for (uint32_t i = 0; i < s->sites; i++)
        if (strcmp(s->site[i].name, name) == 0)
            return i;
    return NONE;
}

static uint32_t find_group(const struct scenario *s, const char *name)
{
    for (uint32_t i = 0; i < s->groups; i++)
        if (strcmp(s->group[i].name, name) == 0)
            return i;
    return NONE;
}

static uint32_t find_model(const struct scenario *s, const char *name)
{
    for (uint32_t i = 0; i < s->models; i++)
        if (strcmp(s->model[i], name) == 0)
            return i;
    return NONE;
}

static bool complain_missing(struct reader *r, const char *what, const char *name)
{
    const struct scenario *s = r->s;
    const char *words[WORDS_MAX];
    size_t count = 0;
    if (strcmp(what, "site") == 0) {
        for (; count < s->sites; count++)
            words[count] = s->site[count].name;
    } else if (strcmp(what, "group") == 0) {
        for (; count < s->groups; count++)
            words[count] = s->group[count].name;
    } else {
        for (; count < s->models; count++)
            words[count] = s->model[count];
    }
    return complain_unknown(r, what, name, words, count);
}

/* Takes the name that follows the statement's first word. */
static bool read_name(struct reader *r, const char *what, char *out, size_t max)
{
    char word[SCN_TEXT_MAX + 1], shown[SCN_TEXT_MAX + 8];
    if (!next_word(r, word))
        return false;
    if (word[0] == '\0' || strchr(word, '=') != NULL)
        return complain(r, "a %s needs a name, first of all; write: %s NAME ...", what, what);
    if (!release_name_valid(word, max))
        return complain(r, "%s is no name for a %s; write 1 to %zu of A-Z a-z 0-9 . _ + ~ -",
                        log_value(shown, sizeof(shown), bytes_str(word)), what, max);
    memcpy(out, word, strlen(word) + 1);
    return true;
}

static bool add_model(struct reader *r, const char *name, bool by_group)
{
    struct scenario *s = r->s;
    uint32_t i = find_model(s, name);
    if (i != NONE && !by_group && r->model_at[i] == 0)
        return complain(r, "there is a model %s already; name it once", name);
    if (i == NONE) {
        if (s->models == SCN_MODELS)
            return complain(r, "model %s is one too many; %u are the most", name, SCN_MODELS);
        i = s->models++;
        memcpy(s->model[i], name, strlen(name) + 1);
        r->model_at[i] = r->number;
    }
    if (!by_group)
        r->model_at[i] = 0;
    return true;
}

/* The models that a group's line names are there by that. */
static bool name_models(struct reader *r)
{
    struct reader ahead = *r;
    char word[SCN_TEXT_MAX + 1];
    while (next_word(&ahead, word) && word[0] != '\0') {
        if (strncmp(word, "model=", 6) != 0 || !release_name_valid(word + 6, MODEL_MAX))
            continue;
        if (!add_model(r, word + 6, true))
            return false;
    }
    return true;
}

/* ---- fields ---- */

static bool read_number(struct reader *r, const struct scn_field *f, const char *value, uint8_t *to)
{
    uint64_t v = 0;
    bool ok = false;
    const char *mend = "write a whole number";
    if (f->kind == SCN_RATE) {
        ok = units_rate(&v, value);
        mend = "write a rate such as 64kbit or 10Mbit";
    } else if (f->kind == SCN_SIZE) {
        ok = units_size(&v, value);
        mend = "write a size such as 64KiB or 16MiB";
    } else if (f->kind == SCN_TIME || f->kind == SCN_STOP) {
        ok = units_time(&v, value);
        mend = "write a time such as 20ms, 1.5s or 2h";
    } else {
        ok = units_count(&v, value, 0, UINT64_MAX);
    }
    if (!ok)
        return complain_value(r, f->key, value, mend);
    if (!scn_in_range(f, v)) {
        scn_range_text(r->why, r->cap, f, value);
        return false;
    }
    uint32_t small = (uint32_t)v;
    if (f->kind == SCN_U32)
        memcpy(to, &small, sizeof(small));
    else
        memcpy(to, &v, sizeof(v));
    return true;
}

static bool read_strength(struct reader *r, struct scn_fault *fault, const char *value)
{
    const struct scn_strength_row *row = &scn_strength[fault->kind];
    char low[CONF_NUMBER_TEXT], high[CONF_NUMBER_TEXT], mend[100];
    uint64_t v = UINT64_MAX;
    bool ok = false;
    switch (row->kind) {
    case STRENGTH_NONE:
        return complain(r, "%s has no strength; leave it out", fault_name[fault->kind]);
    case STRENGTH_SHARE:
        ok = units_share(&v, value);
        break;
    case STRENGTH_NUMBER:
        ok = units_count(&v, value, 0, UINT64_MAX);
        break;
    case STRENGTH_SECONDS:
        ok = units_time(&v, value) && v % SEC == 0;
        v /= SEC;
        break;
    case STRENGTH_CLOCK:
        if (strcmp(value, "1970") != 0 && strcmp(value, "ahead") != 0)
            return complain_value(r, "strength", value, "write 1970 or ahead");
        fault->strength = strcmp(value, "ahead") == 0;
        return true;
    }
    if (!ok || v < row->min || v > row->max) {
        (void)snprintf(mend, sizeof(mend), "write %s to %s",
                       scn_strength_text(low, row->kind, row->min),
                       scn_strength_text(high, row->kind, row->max));
        return complain_value(r, "strength", value, mend);
    }
    fault->strength = (uint32_t)v;
    return true;
}

static bool read_reference(struct reader *r, const struct scn_field *f, const char *value,
                           uint8_t *to)
{
    uint32_t i = f->kind == SCN_IN_SITE    ? find_site(r->s, value)
                 : f->kind == SCN_IN_GROUP ? find_group(r->s, value)
                                           : find_model(r->s, value);
    if (i == NONE)
        return complain_missing(r, f->key, value);
    memcpy(to, &i, sizeof(i));
    return true;
}

static bool read_value(struct reader *r, enum scn_thing thing, uint32_t i,
                       const struct scn_field *f, const char *value)
{
    uint8_t *to = (uint8_t *)scn_at(r->s, thing, i) + f->at;
    bool on = true;
    switch (f->kind) {
    case SCN_U32:
    case SCN_RATE:
    case SCN_SIZE:
    case SCN_TIME:
        return read_number(r, f, value, to);
    case SCN_U64:
        if (thing == SCN_RELEASE)
            r->has_sequence[i] = true;
        return read_number(r, f, value, to);
    case SCN_STOP:
        r->s->release[i].withdrawn = true;
        return read_number(r, f, value, to);
    case SCN_FLAG:
        memcpy(to, &on, sizeof(on));
        return true;
    case SCN_IN_SITE:
    case SCN_IN_GROUP:
        return read_reference(r, f, value, to);
    case SCN_OF_MODEL:
        if (thing == SCN_GROUP)
            r->has_model[i] = true;
        else
            r->has_release_model[i] = true;
        return read_reference(r, f, value, to);
    case SCN_VERSION:
        if (!release_name_valid(value, VERSION_MAX))
            return complain_value(r, f->key, value, "write 1 to 64 of A-Z a-z 0-9 . _ + ~ -");
        memcpy(to, value, strlen(value) + 1);
        r->has_version[i] = true;
        return true;
    case SCN_STRENGTH:
        return read_strength(r, &r->s->fault[i], value);
    }
    assert(false);
    return false;
}

static bool complain_key(struct reader *r, enum scn_thing thing, const char *key)
{
    const char *words[WORDS_MAX];
    size_t count = 0;
    for (; count < scn_line[thing].count; count++)
        words[count] = scn_line[thing].field[count].key;
    return complain_unknown(r, "field", key, words, count);
}

static bool read_field(struct reader *r, enum scn_thing thing, uint32_t i, char *word,
                       bool seen[WORDS_MAX])
{
    char *equals = strchr(word, '=');
    const char *value = equals != NULL ? equals + 1 : NULL;
    if (equals != NULL)
        *equals = '\0';
    const struct scn_line *line = &scn_line[thing];
    size_t k = 0;
    while (k < line->count && strcmp(line->field[k].key, word) != 0)
        k++;
    if (k == line->count)
        return complain_key(r, thing, word);
    const struct scn_field *f = &line->field[k];
    if (seen[k])
        return complain(r, "%s is given twice; keep one", word);
    seen[k] = true;
    if (f->device && r->s->group[i].verify)
        return complain(r, "%s is for devices; verify nodes have none, leave it out", word);
    if (f->kind == SCN_FLAG && value != NULL)
        return complain(r, "%s takes no value; write it alone, or not at all", word);
    if (f->kind != SCN_FLAG && (value == NULL || value[0] == '\0'))
        return complain(r, "%s needs a value; write %s=VALUE, without blanks", word, word);
    return read_value(r, thing, i, f, value);
}

/* The fields of a thing, to the end of the line. */
static bool read_fields(struct reader *r, enum scn_thing thing, uint32_t i)
{
    char word[SCN_TEXT_MAX + 1];
    bool seen[WORDS_MAX] = {false};
    assert(scn_line[thing].count <= WORDS_MAX);
    r->at[thing][i] = r->number;
    for (;;) {
        if (!next_word(r, word))
            return false;
        if (word[0] == '\0')
            return true;
        /* It was looked for ahead of all fields, which depend on it. */
        if (thing == SCN_GROUP && r->s->group[i].behaviour != BEHAVE_HONEST &&
            strcmp(word, "verify") == 0)
            continue;
        if (!read_field(r, thing, i, word, seen))
            return false;
    }
}

/* ---- statements ---- */

static bool read_seed(struct reader *r)
{
    char word[SCN_TEXT_MAX + 1], shown[SCN_TEXT_MAX + 8];
    if (r->has_seed)
        return complain(r, "the seed is given twice; keep one");
    if (!next_word(r, word))
        return false;
    if (!units_count(&r->s->seed, word, 0, UINT64_MAX))
        return complain(r, "seed %s is not understood; write a whole number, as: seed 7",
                        log_value(shown, sizeof(shown), bytes_str(word)));
    r->has_seed = true;
    return at_end(r);
}

static bool read_until(struct reader *r)
{
    char word[SCN_TEXT_MAX + 1], shown[SCN_TEXT_MAX + 8];
    if (r->has_until)
        return complain(r, "until is given twice; keep one");
    if (!next_word(r, word))
        return false;
    if (conf_parse_duration(bytes_str(word), &r->s->until) != E_OK || r->s->until == 0 ||
        r->s->until > SCN_TIME_MAX)
        return complain(
            r, "until %s is not understood; write a time with its unit, to 365d, as: until 2h",
            log_value(shown, sizeof(shown), bytes_str(word)));
    r->has_until = true;
    return at_end(r);
}

static bool read_vendor_gone(struct reader *r)
{
    if (r->s->vendor_gone)
        return complain(r, "vendor-gone is given twice; keep one");
    r->s->vendor_gone = true;
    return at_end(r);
}

static bool name_model(struct reader *r)
{
    char name[MODEL_MAX + 1];
    return read_name(r, "model", name, MODEL_MAX) && add_model(r, name, false) && at_end(r);
}

static bool name_site(struct reader *r)
{
    struct scenario *s = r->s;
    char name[SCN_NAME + 1];
    if (!read_name(r, "site", name, SCN_NAME))
        return false;
    if (find_site(s, name) != NONE)
        return complain(r, "there is a site %s already; give each its own name", name);
    if (s->sites == SCN_SITES)
        return complain(r,
                        "site %s is one too many; %u lines are the most (count= makes many of "
                        "one)",
                        name, SCN_SITES);
    memcpy(s->site[s->sites++].name, name, sizeof(name));
    return true;
}

static bool name_group(struct reader *r, const char *what)
{
    struct scenario *s = r->s;
    char name[SCN_NAME + 1] = "";
    if (!read_name(r, what, name, SCN_NAME))
        return false;
    if (find_group(s, name) != NONE)
        return complain(r, "there is a group %s already; give each its own name", name);
    if (s->groups == SCN_GROUPS)
        return complain(r, "group %s is one too many; %u are the most", name, SCN_GROUPS);
    memcpy(s->group[s->groups++].name, name, sizeof(name));
    return name_models(r);
}

/* The second time the names are known, and lead to their places. */
static bool read_site(struct reader *r)
{
    char name[SCN_NAME + 1];
    if (!read_name(r, "site", name, SCN_NAME))
        return false;
    uint32_t i = find_site(r->s, name);
    assert(i != NONE);
    scn_site_default(&r->s->site[i]);
    memcpy(r->s->site[i].name, name, strlen(name));
    return read_fields(r, SCN_SITE, i);
}

static bool read_group(struct reader *r, const char *what, bool verify, bool hostile)
{
    char name[SCN_NAME + 1], word[SCN_TEXT_MAX + 1];
    enum behaviour behaviour = BEHAVE_HONEST;
    if (!read_name(r, what, name, SCN_NAME))
        return false;
    if (hostile) {
        if (!next_word(r, word))
            return false;
        uint32_t b = BEHAVE_HONEST + 1;
        while (b < BEHAVE_COUNT && strcmp(word, behaviour_name[b]) != 0)
            b++;
        if (b == BEHAVE_COUNT)
            return complain_unknown(r, "behaviour", word, behaviour_name + 1, BEHAVE_COUNT - 1);
        behaviour = (enum behaviour)b;
        verify = behaviour == BEHAVE_LYING_VERIFY || has_word(r, "verify");
    }
    uint32_t i = find_group(r->s, name);
    assert(i != NONE);
    scn_group_default(&r->s->group[i], verify, behaviour);
    memcpy(r->s->group[i].name, name, strlen(name));
    return read_fields(r, SCN_GROUP, i);
}

static bool read_release(struct reader *r)
{
    struct scenario *s = r->s;
    if (s->releases == SCN_RELEASES)
        return complain(r, "one release too many; %u are the most", SCN_RELEASES);
    scn_release_default(&s->release[s->releases]);
    return read_fields(r, SCN_RELEASE, s->releases++);
}

static bool read_fault(struct reader *r)
{
    struct scenario *s = r->s;
    char word[SCN_TEXT_MAX + 1], shown[SCN_TEXT_MAX + 8];
    uint64_t number = 1;
    uint32_t k = 0;
    for (uint32_t i = 0; i < s->faults; i++)
        if (s->fault[i].number >= number)
            number = (uint64_t)s->fault[i].number + 1;
    if (!next_word(r, word))
        return false;
    if (word[0] >= '0' && word[0] <= '9') {
        if (!units_count(&number, word, 1, UINT32_MAX))
            return complain(r, "fault %s is no number; count from 1",
                            log_value(shown, sizeof(shown), bytes_str(word)));
        if (!next_word(r, word))
            return false;
    }
    while (k < FAULT_COUNT && strcmp(word, fault_name[k]) != 0)
        k++;
    if (k == FAULT_COUNT)
        return complain_unknown(r, "fault", word, fault_name, FAULT_COUNT);
    if (s->faults == SCN_FAULTS || number > UINT32_MAX)
        return complain(r, "one fault too many; %u are the most", SCN_FAULTS);
    struct scn_fault *f = &s->fault[s->faults];
    scn_fault_default(f, (enum fault_kind)k);
    f->number = (uint32_t)number;
    return read_fields(r, SCN_FAULT, s->faults++);
}

/* ---- lines ---- */

enum statement {
    DO_SEED,
    DO_UNTIL,
    DO_MODEL,
    DO_SITE,
    DO_VERIFY,
    DO_PEERS,
    DO_ADVERSARY,
    DO_RELEASE,
    DO_FAULT,
    DO_VENDOR_GONE,
    DO_KEYS,
    STATEMENTS,
};

static const char *const statement_name[STATEMENTS] = {
    [DO_SEED] = "seed",           [DO_UNTIL] = "until",
    [DO_MODEL] = "model",         [DO_SITE] = "site",
    [DO_VERIFY] = "verify",       [DO_PEERS] = "peers",
    [DO_RELEASE] = "release",     [DO_FAULT] = "fault",
    [DO_ADVERSARY] = "adversary", [DO_VENDOR_GONE] = "vendor-gone",
    [DO_KEYS] = "keys",
};

static bool name_statement(struct reader *r, enum statement what)
{
    switch (what) {
    case DO_MODEL:
        return name_model(r);
    case DO_SITE:
        return name_site(r);
    case DO_VERIFY:
        r->has_verify = true;
        return name_group(r, "verify");
    case DO_PEERS:
        r->has_honest = true;
        return name_group(r, "peers");
    case DO_ADVERSARY:
        return name_group(r, "adversary");
    case DO_SEED:
    case DO_UNTIL:
    case DO_RELEASE:
    case DO_FAULT:
    case DO_VENDOR_GONE:
    case DO_KEYS:
    case STATEMENTS:
        return true;
    }
    return true;
}

static bool read_statement(struct reader *r, enum statement what)
{
    switch (what) {
    case DO_SEED:
        return read_seed(r);
    case DO_UNTIL:
        return read_until(r);
    case DO_MODEL:
        return true;
    case DO_SITE:
        return read_site(r);
    case DO_VERIFY:
        return read_group(r, "verify", true, false);
    case DO_PEERS:
        return read_group(r, "peers", false, false);
    case DO_ADVERSARY:
        return read_group(r, "adversary", false, true);
    case DO_RELEASE:
        return read_release(r);
    case DO_FAULT:
        return read_fault(r);
    case DO_VENDOR_GONE:
        return read_vendor_gone(r);
    case DO_KEYS:
        if (r->at[SCN_KEYS][0] != 0)
            return complain(r, "keys are given twice; keep one line");
        return read_fields(r, SCN_KEYS, 0);
    case STATEMENTS:
        break;
    }
    return true;
}

static bool read_line(struct reader *r)
{
    char word[SCN_TEXT_MAX + 1];
    uint32_t what = 0;
    if (!next_word(r, word))
        return false;
    if (word[0] == '\0')
        return true;
    while (what < STATEMENTS && strcmp(word, statement_name[what]) != 0)
        what++;
    if (what == STATEMENTS)
        return complain_unknown(r, "statement", word, statement_name, STATEMENTS);
    return r->naming ? name_statement(r, (enum statement)what)
                     : read_statement(r, (enum statement)what);
}

static bool read_lines(struct reader *r, struct bytes text)
{
    for (r->number = 1; text.n > 0; r->number++) {
        const uint8_t *end = memchr(text.p, '\n', text.n);
        size_t n = end != NULL ? (size_t)(end - text.p) : text.n;
        r->line = bytes_of(text.p, n);
        skip(&text, end != NULL ? n + 1 : n);
        if (!read_line(r))
            return false;
    }
    r->number = 0;
    return true;
}

/* ---- what no line says ---- */

/* Behind the first time through: groups that lines may speak of though none describes them. */
static bool name_defaults(struct reader *r)
{
    struct scenario *s = r->s;
    struct scenario plain;
    scenario_default(&plain);
    for (uint32_t i = 0; i < 2; i++) {
        if (i == 0 ? r->has_verify : r->has_honest)
            continue;
        if (s->groups == SCN_GROUPS)
            return complain(r, "no group is left for %s; leave out one of the %u",
                            i == 0 ? "a verify node" : "devices", SCN_GROUPS);
        s->group[s->groups++] = plain.group[i];
    }
    if (s->models == 0) {
        s->models = 1;
        memcpy(s->model[0], plain.model[0], sizeof(s->model[0]));
    }
    return true;
}

static bool finish_models(struct reader *r)
{
    const struct scenario *s = r->s;
    for (uint32_t i = 0; i < s->groups && s->models > 1; i++) {
        const struct scn_group *g = &s->group[i];
        r->number = r->at[SCN_GROUP][i];
        if (!g->verify && g->behaviour == BEHAVE_HONEST && !r->has_model[i])
            return complain(r, "group %s: which model? there are %u; write model=%s", g->name,
                            s->models, s->model[0]);
    }
    for (uint32_t i = 0; i < s->releases && s->models > 1; i++) {
        r->number = r->at[SCN_RELEASE][i];
        if (!r->has_release_model[i])
            return complain(r, "which model is it for? there are %u; write model=%s", s->models,
                            s->model[0]);
    }
    for (uint32_t m = 0; m < s->models && s->releases > 0; m++) {
        bool released = false;
        for (uint32_t i = 0; i < s->releases; i++)
            released = released || s->release[i].model == m;
        r->number = r->model_at[m];
        if (!released && r->number != 0)
            return complain(r,
                            "there is no release for model %s; add \"release model=%s\", or "
                            "\"model %s\" where that is meant",
                            s->model[m], s->model[m], s->model[m]);
    }
    r->number = 0;
    return true;
}

/* Behind the second time: releases get what depends on the groups and on each other. */
static void finish_releases(struct reader *r)
{
    struct scenario *s = r->s;
    for (uint32_t m = 0; m < s->models && r->at[SCN_RELEASE][0] == 0; m++) {
        scn_release_default(&s->release[s->releases]);
        s->release[s->releases++].model = m;
    }
    for (uint32_t i = 0; i < s->releases; i++) {
        struct scn_release *release = &s->release[i];
        uint64_t last = 1;
        for (uint32_t k = 0; k < s->groups; k++)
            if (s->group[k].model == release->model && s->group[k].installed > last)
                last = s->group[k].installed;
        for (uint32_t k = 0; k < i; k++)
            if (s->release[k].model == release->model && s->release[k].sequence > last)
                last = s->release[k].sequence;
        if (!r->has_sequence[i])
            release->sequence = last + 1;
        if (!r->has_version[i])
            (void)snprintf(release->version, sizeof(release->version), "%" PRIu64 ".0",
                           release->sequence);
    }
}

static bool read_all(struct reader *r, struct bytes text)
{
    r->naming = true;
    if (!read_lines(r, text) || !name_defaults(r))
        return false;
    r->naming = false;
    if (!read_lines(r, text) || !finish_models(r))
        return false;
    finish_releases(r);
    struct scn_culprit who = {SCN_THINGS, 0};
    if (!scn_judge(r->s, &who, r->why, r->cap))
        return true;
    if (who.thing != SCN_THINGS)
        r->number = r->at[who.thing][who.i];
    return false;
}

bool scenario_read(struct scenario *s, const char *text, size_t len, uint32_t *line, char *why,
                   size_t cap)
{
    struct reader r = {.s = s, .why = why, .cap = cap};
    scenario_default(s);
    memset(s->group, 0, sizeof(s->group));
    memset(s->release, 0, sizeof(s->release));
    memset(s->model, 0, sizeof(s->model));
    s->groups = s->releases = s->models = 0;
    bool ok = read_all(&r, bytes_of(text, len));
    *line = r.number;
    return ok;
}
