/* A child for each run: it shares one page with its parent and prints to a file without a name.
 *
 * An assertion ends the child, not the program; the last thing that it printed says which.  A run
 * that does not end is ended from outside by real time, or by itself after STEPS_MAX events. */
#include "trial.h"

#include "checks.h"
#include "world.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define STEPS_MAX 40000000u
#define TAIL      8192

static const char *const end_name[] = {
    [TRIAL_GOOD] = "good", [TRIAL_VIOLATION] = "violation", [TRIAL_CRASH] = "crash",
    [TRIAL_HANG] = "hang", [TRIAL_STOPPED] = "stopped",
};

const char *trial_end_name(enum trial_end e)
{
    return end_name[e];
}

usec trial_clock(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (usec)ts.tv_sec * SEC + (usec)ts.tv_nsec / 1000;
}

/* ---- in the child ---- */

void trial_world(const struct scenario *s, struct trial *out)
{
    struct world *w = sim_alloc(1, sizeof(*w));
    struct options opt = {0};
    if (!world_init(w, s, &opt))
        exit(3);
    out->nodes = w->count;
    while (w->steps < STEPS_MAX && world_step(w)) {
        out->at = w->now;
        out->step = w->steps;
    }
    if (w->steps >= STEPS_MAX) {
        out->end = TRIAL_HANG;
        snprintf(out->what, sizeof(out->what), "%u events and no end", STEPS_MAX);
    } else {
        check_end(w);
    }
    if (w->violations > 0) {
        const struct violation *v = &w->violation[0];
        out->end = TRIAL_VIOLATION;
        out->at = v->at;
        out->step = v->step;
        out->node = v->node;
        snprintf(out->what, sizeof(out->what), "%s", v->what);
    }
    out->violations = w->violations;
    out->now = w->now;
    out->steps = w->steps;
    out->trace_hash = w->trace_hash;
    for (uint32_t i = 0; i < w->faults; i++)
        out->struck[w->fault[i].kind] += w->fault[i].struck ? 1 : 0;
    world_fini(w);
    free(w);
}

static _Noreturn void child(const struct trial_job *j, trial_run *run, const struct scenario *s,
                            pid_t parent)
{
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(4);
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_UNBLOCK, &all, NULL);
    if (dup2(j->out, STDOUT_FILENO) < 0 || dup2(j->out, STDERR_FILENO) < 0)
        _exit(4);
    run(s, j->shared);
    fflush(NULL);
    _exit(0);
}

/* ---- in the parent ---- */

bool trial_open(struct trial_job *j)
{
    memset(j, 0, sizeof(*j));
    j->out = memfd_create("fwswarm-sim", MFD_CLOEXEC);
    j->shared =
        mmap(NULL, sizeof(*j->shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (j->out >= 0 && j->shared != MAP_FAILED)
        return true;
    perror("fwswarm-sim: no memory to share with a run");
    return false;
}

void trial_close(struct trial_job *j)
{
    if (j->pid != 0) {
        kill(j->pid, SIGKILL);
        waitpid(j->pid, NULL, 0);
    }
    munmap(j->shared, sizeof(*j->shared));
    close(j->out);
    j->pid = 0;
}

void trial_start(struct trial_job *j, trial_run *run, const struct scenario *s)
{
    assert(j->pid == 0);
    memset(j->shared, 0, sizeof(*j->shared));
    j->shared->node = NONE;
    j->overdue = false;
    j->began = trial_clock();
    if (ftruncate(j->out, 0) != 0 || lseek(j->out, 0, SEEK_SET) != 0) {
        perror("fwswarm-sim");
        exit(2);
    }
    fflush(NULL);
    pid_t parent = getpid(), pid = fork();
    if (pid == 0)
        child(j, run, s, parent);
    if (pid < 0) {
        perror("fwswarm-sim: no process for a run");
        exit(2);
    }
    j->pid = pid;
}

/* A file name without its folders: the same in every build directory. */
static const char *without_path(char *line)
{
    char *from = line;
    for (char *p = line; *p != '\0' && *p != ' '; p++)
        if (*p == '/')
            from = p + 1;
    return from;
}

/* Which line says best what happened: the assertion, the sanitizer's verdict, or the last one. */
static void last_words(int fd, const char *otherwise, char *what)
{
    static char tail[TAIL + 1];
    off_t size = lseek(fd, 0, SEEK_END), from = size > TAIL ? size - TAIL : 0;
    ssize_t n = pread(fd, tail, TAIL, from);
    tail[n > 0 ? n : 0] = '\0';
    char *best = NULL, *rest = tail;
    bool sure = false;
    for (char *line = strsep(&rest, "\n"); line != NULL; line = strsep(&rest, "\n")) {
        bool tells = strstr(line, "Assertion") != NULL || strstr(line, "runtime error") != NULL ||
                     strncmp(line, "SUMMARY", 7) == 0;
        if (*line == '\0' || (sure && !tells))
            continue;
        best = line;
        sure = tells;
    }
    /* The C library says the program's name first. */
    char *place = best != NULL && strstr(best, "Assertion") != NULL ? strstr(best, ": ") : NULL;
    if (place != NULL)
        best = place + 2;
    snprintf(what, TRIAL_WHAT, "%s", best != NULL ? without_path(best) : otherwise);
}

void trial_end(struct trial_job *j, int status, struct trial *out)
{
    *out = *j->shared;
    j->pid = 0;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return;
    if (j->overdue) {
        out->end = TRIAL_HANG;
        snprintf(out->what, sizeof(out->what), "it takes too long in real time");
        return;
    }
    if (WIFSIGNALED(status) && (WTERMSIG(status) == SIGINT || WTERMSIG(status) == SIGTERM)) {
        out->end = TRIAL_STOPPED;
        return;
    }
    char otherwise[64];
    if (WIFSIGNALED(status))
        snprintf(otherwise, sizeof(otherwise), "signal %d", WTERMSIG(status));
    else
        snprintf(otherwise, sizeof(otherwise), "exit status %d", WEXITSTATUS(status));
    out->end = TRIAL_CRASH;
    last_words(j->out, otherwise, out->what);
}

void trial_hurry(struct trial_job *j, usec timeout)
{
    if (j->pid == 0 || j->overdue || trial_clock() - j->began < timeout)
        return;
    j->overdue = true;
    kill(j->pid, SIGKILL);
}

void trial_once(struct trial_job *j, trial_run *run, const struct scenario *s, usec timeout,
                struct trial *out)
{
    trial_start(j, run, s);
    int status = 0;
    usec nap = SEC / 2000;
    for (;;) {
        pid_t pid = waitpid(j->pid, &status, WNOHANG);
        if (pid == j->pid)
            break;
        if (pid < 0 && errno != EINTR) {
            perror("fwswarm-sim");
            exit(2);
        }
        trial_hurry(j, timeout);
        nanosleep(&(struct timespec){.tv_nsec = (long)(nap * 1000)}, NULL);
        nap = nap < SEC / 50 ? nap + nap / 2 : nap;
    }
    trial_end(j, status, out);
}

/* ---- the same failure ---- */

/* Past a number, decimal or hexadecimal, if one begins here. */
static const char *past_number(const char *p)
{
    size_t n = strspn(p, "0123456789abcdef");
    size_t letters = strspn(p, "abcdef");
    return letters < n ? p + n : p;
}

bool trial_alike(const struct trial *a, const struct trial *b)
{
    if (a->end != b->end)
        return false;
    /* How far it came before it hung says nothing. */
    if (a->end == TRIAL_HANG)
        return true;
    const char *p = past_number(a->what), *q = past_number(b->what);
    while (*p != '\0' && *p == *q) {
        p = past_number(p + 1);
        q = past_number(q + 1);
    }
    return *p == *q;
}
