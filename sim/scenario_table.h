/* The words of a scenario, once: which lines there are, which fields a line has, what each may be.
 *
 * For scenario*.c alone: the reader, the writer and the judge go by these tables, so what one of
 * them knows the others know. */
#pragma once

#include "fwswarm/conf.h"
#include "scenario.h"

#define SCN_RATE_MIN UINT64_C(1000)         /* 8kbit */
#define SCN_RATE_MAX UINT64_C(125000000000) /* 1000Gbit */
#define SCN_TIME_MAX (365 * 24 * 3600 * SEC)
#define SCN_RTT_MAX  (60 * SEC)
#define SCN_TEXT_MAX 80u /* bytes of one value */

/* What a line describes. */
enum scn_thing { SCN_SITE, SCN_GROUP, SCN_RELEASE, SCN_FAULT, SCN_KEYS, SCN_THINGS };

enum scn_kind {
    SCN_U32,
    SCN_U64,
    SCN_RATE,
    SCN_SIZE,
    SCN_TIME,
    SCN_FLAG, /* bool: the word alone */
    SCN_IN_SITE,
    SCN_IN_GROUP,
    SCN_OF_MODEL,
    SCN_VERSION,
    SCN_STRENGTH, /* as its fault says */
    SCN_STOP,     /* a time, and that there is one */
};

struct scn_field {
    const char *key;
    enum scn_kind kind;
    size_t at;         /* in its structure */
    uint64_t min, max; /* of numbers */
    bool zero;         /* 0 as well */
    bool device;       /* verify nodes have none */
    bool always;       /* written even where the reader would take the same by itself */
};

struct scn_line {
    const struct scn_field *field;
    size_t count;
    size_t size; /* of the structure */
};
extern const struct scn_line scn_line[SCN_THINGS];

/* What a fault's strength counts. */
enum scn_strength {
    STRENGTH_NONE,
    STRENGTH_SHARE, /* thousandths; text: 5% */
    STRENGTH_NUMBER,
    STRENGTH_SECONDS, /* text: 30s */
    STRENGTH_CLOCK,   /* text: 1970, ahead */
};
struct scn_strength_row {
    enum scn_strength kind;
    uint32_t min, max, fallback;
};
extern const struct scn_strength_row scn_strength[FAULT_COUNT];

/* What stands where a line says nothing. */
void scn_site_default(struct scn_site *site);
void scn_group_default(struct scn_group *group, bool verify, enum behaviour behaviour);
void scn_release_default(struct scn_release *release);
void scn_fault_default(struct scn_fault *fault, enum fault_kind kind);

/* One line of a scenario, to be read into or written from. */
void *scn_at(struct scenario *s, enum scn_thing thing, uint32_t i);
const void *scn_at_const(const struct scenario *s, enum scn_thing thing, uint32_t i);

/* What a complaint is about, so that the reader can tell its line. */
struct scn_culprit {
    enum scn_thing thing; /* SCN_THINGS: none in particular */
    uint32_t i;
};
/* As scenario_wrong(), and says who. */
bool scn_judge(const struct scenario *s, struct scn_culprit *who, char *why, size_t cap);

/* The word that is most like this one, or NULL when it is like none. */
const char *scn_nearest(const char *word, const char *const *words, size_t count);

/* Is this number within what the field may be? */
bool scn_in_range(const struct scn_field *f, uint64_t v);
/* A number as its field is written; returns out. */
const char *scn_number_text(char out[CONF_NUMBER_TEXT], enum scn_kind kind, uint64_t v);
/* A strength as its fault is written; returns out. */
const char *scn_strength_text(char out[CONF_NUMBER_TEXT], enum scn_strength kind, uint32_t v);
/* "16MiB is out of range; write 1B to 64TiB" */
void scn_range_text(char *out, size_t cap, const struct scn_field *f, const char *value);
