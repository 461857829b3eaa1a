/* One run of a scenario in a process of its own, so that whatever it does, somebody is left to
 * tell.
 *
 * Called by swarm.c and shrink.c.  The run writes how far it is to memory that both share: of one
 * that ends by a signal, or does not end, the moment and the step are known too. */
#pragma once

#include "scenario.h"

#include <sys/types.h>

enum trial_end {
    TRIAL_GOOD,
    TRIAL_VIOLATION, /* an invariant did not hold, or a device was not done in time */
    TRIAL_CRASH,     /* an assertion, a sanitizer, a signal */
    TRIAL_HANG,      /* too many events, or too much real time */
    TRIAL_STOPPED,   /* somebody stopped it: nothing is known */
};

#define TRIAL_WHAT 240u

struct trial {
    enum trial_end end;
    usec at;       /* of the first violation, or how far it came */
    uint64_t step; /* likewise */
    uint32_t node; /* of the first violation, or NONE */
    char what[TRIAL_WHAT];
    usec now;            /* simulated time at the end */
    uint64_t steps;      /* events given to cores */
    uint64_t trace_hash; /* of a run that ended by itself */
    uint32_t nodes, violations;
    uint32_t struck[FAULT_COUNT];
};

/* Runs to the end and fills `out` as it goes; not in the process of who asks. */
typedef void trial_run(const struct scenario *s, struct trial *out);
/* The real one: the world with its checks. */
void trial_world(const struct scenario *s, struct trial *out);

struct trial_job {
    pid_t pid; /* 0: idle */
    struct trial *shared;
    int out; /* what the child prints */
    usec began;
    bool overdue; /* it was ended because it took too long */
    uint64_t tag; /* the caller's */
};

/* False with a message on stderr when the system refuses. */
bool trial_open(struct trial_job *j);
/* Ends what runs. */
void trial_close(struct trial_job *j);
/* Starts a run. */
void trial_start(struct trial_job *j, trial_run *run, const struct scenario *s);
/* What became of it: status is waitpid's.  The job is idle then. */
void trial_end(struct trial_job *j, int status, struct trial *out);
/* Ends it if it takes longer than that. */
void trial_hurry(struct trial_job *j, usec timeout);
/* All of it: start, wait, end. */
void trial_once(struct trial_job *j, trial_run *run, const struct scenario *s, usec timeout,
                struct trial *out);

/* Do two failures look like the same one?  The same end, and the same words but for numbers. */
bool trial_alike(const struct trial *a, const struct trial *b);
const char *trial_end_name(enum trial_end e);
/* Real time. */
usec trial_clock(void);
