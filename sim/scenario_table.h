/* The words of a scenario, once: which lines there are, which fields a line has, what each may be.
 *
 * For scenario*.c alone: the reader, the writer and the judge go by these tables, so what one of
 * them knows the others know. */
#pragma once

#include "scenario.h"

#define SCN_RATE_MIN  UINT64_C(1000)         /* 8kbit */
#define SCN_RATE_MAX  UINT64_C(125000000000) /* 1000Gbit */
#define SCN_TIME_MAX  (365 * 24 * 3600 * SEC)
#define SCN_RTT_MAX   (60 * SEC)
#define SCN_UNTIL_MIN 1u

/* What begins a line that describes a thing. */
enum scn_thing { SCN_SITE, SCN_GROUP, SCN_RELEASE, SCN_FAULT, SCN_THINGS };

enum scn_kind {
    SCN_U32,
    SCN_U64,
    SCN_RATE,
    SCN_SIZE,
    SCN_TIME,
    SCN_FLAG, /* bool: the word alone */
    SCN_SITE_REF,
    SCN_GROUP_REF,
    SCN_MODEL_REF,
    SCN_BEHAVIOUR,
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
};

struct scn_fields {
    const struct scn_field *field;
    size_t count;
};
extern const struct scn_fields scn_fields[SCN_THINGS];

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

/* What a complaint is about, so that the reader can tell its line. */
struct scn_culprit {
    enum scn_thing thing; /* SCN_THINGS: none in particular */
    uint32_t number;      /* its place in the structure */
};
/* As scenario_wrong(), and says who. */
bool scn_judge(const struct scenario *s, struct scn_culprit *who, char *why, size_t cap);

/* The word that text is most like, or NULL when it is like none. */
const char *scn_nearest(const char *text, const char *const *words, size_t count);
