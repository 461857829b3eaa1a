/* The terminal is /dev/tty, so that prompts work when input and output are redirected.  Echo is off
 * while a password is typed.  Signals are held back and watched through a signalfd meanwhile: when
 * one comes the terminal is put back first, and only then may it end the program.  That needs no
 * handler and no global state. */
#include "password.h"

#include "fwswarm/crypto.h"
#include "fwswarm/store.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

static int add(struct passwords *p, const char *text, size_t len, const char *from)
{
    if (p->count == PASSWORDS_MAX)
        return fail(STATUS_FILE, "%s: more than %u passwords: use fewer keys at once", from,
                    PASSWORDS_MAX);
    struct password *slot = &p->known[p->count];
    memcpy(slot->text, text, len);
    slot->len = len;
    p->count++;
    return STATUS_OK;
}

static int read_file(struct passwords *p, const char *path)
{
    uint8_t *data;
    size_t n;

    enum err e = file_read(path, PASSWORD_MAX, &data, &n);
    if (e != E_OK)
        return fail_err(e, path, "give a readable file with the password in its first line");
    const uint8_t *newline = memchr(data, '\n', n);
    size_t len = newline == NULL ? n : (size_t)(newline - data);
    if (len > 0 && data[len - 1] == '\r')
        len--;
    int status = len == 0 ? fail(STATUS_FILE,
                                 "%s: first line is empty: put the password there, or use "
                                 "--no-password where keys are made",
                                 path)
                          : add(p, (const char *)data, len, path);
    crypto_wipe(data, n);
    free(data);
    return status;
}

int passwords_open(struct passwords *p, const struct list *files)
{
    memset(p, 0, sizeof *p);
    for (uint32_t i = 0; i < files->count; i++) {
        int status = read_file(p, files->item[i]);
        if (status != STATUS_OK)
            return status;
    }
    p->from_files = files->count > 0;
    return STATUS_OK;
}

void passwords_wipe(struct passwords *p)
{
    crypto_wipe(p, sizeof *p);
}

/* Waits until the terminal can be read; false when a signal came first. */
static bool wait_input(int tty, int signals)
{
    struct pollfd on[2] = {{.fd = tty, .events = POLLIN}, {.fd = signals, .events = POLLIN}};

    for (;;) {
        if (poll(on, 2, -1) < 0 && errno != EINTR)
            return false;
        if (on[1].revents != 0)
            return false;
        if (on[0].revents != 0)
            return true;
    }
}

/* Reads a line without its newline: its length, or -1. */
static ssize_t read_line(int tty, int signals, char *out, size_t cap)
{
    size_t n = 0;

    while (n < cap) {
        if (!wait_input(tty, signals))
            return -1;
        ssize_t got = read(tty, out + n, 1);
        if (got <= 0)
            return -1;
        if (out[n] == '\n')
            return (ssize_t)n;
        n++;
    }
    return -1;
}

static ssize_t ask_hidden(int tty, const char *prompt, char *out, size_t cap)
{
    sigset_t watch, before;
    struct termios shown, hidden;

    if (tcgetattr(tty, &shown) != 0)
        return -1;
    sigemptyset(&watch);
    sigaddset(&watch, SIGINT);
    sigaddset(&watch, SIGTERM);
    sigaddset(&watch, SIGHUP);
    sigaddset(&watch, SIGQUIT);
    sigaddset(&watch, SIGTSTP);
    sigprocmask(SIG_BLOCK, &watch, &before);
    int signals = signalfd(-1, &watch, SFD_CLOEXEC | SFD_NONBLOCK);
    hidden = shown;
    hidden.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK | ECHONL);
    ssize_t n = -1;
    /* Drained first, or what was typed ahead would be taken for the password. */
    if (signals >= 0 && tcsetattr(tty, TCSAFLUSH, &hidden) == 0) {
        dprintf(tty, "%s: ", prompt);
        n = read_line(tty, signals, out, cap);
        tcsetattr(tty, TCSAFLUSH, &shown);
        dprintf(tty, "\n");
    }
    if (signals >= 0)
        close(signals);
    sigprocmask(SIG_SETMASK, &before, NULL);
    return n;
}

const struct password *passwords_ask(struct passwords *p, const char *prompt, int *status)
{
    char text[PASSWORD_MAX];

    int tty = p->from_files ? -1 : open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (tty < 0) {
        *status = fail(STATUS_FILE, "%s: no terminal to ask on: use --password-file FILE", prompt);
        return NULL;
    }
    ssize_t n = ask_hidden(tty, prompt, text, sizeof text);
    close(tty);
    if (n <= 0)
        *status = fail(STATUS_FILE, "%s: nothing was typed: give the password", prompt);
    else
        *status = add(p, text, (size_t)n, "terminal");
    crypto_wipe(text, sizeof text);
    return *status == STATUS_OK ? &p->known[p->count - 1] : NULL;
}

void passwords_forget(struct passwords *p)
{
    assert(p->count > 0);
    p->count--;
    crypto_wipe(&p->known[p->count], sizeof p->known[p->count]);
}

const struct password *passwords_new(struct passwords *p, const char *what, int *status)
{
    char prompt[512];

    *status = STATUS_OK;
    if (p->from_files)
        return &p->known[0];
    int tty = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (tty < 0) {
        *status = fail(STATUS_FILE,
                       "%s: no terminal to ask for a new password: use --password-file FILE, or "
                       "--no-password to leave keys in clear",
                       what);
        return NULL;
    }
    close(tty);
    snprintf(prompt, sizeof prompt, "New password for %s", what);
    const struct password *first = passwords_ask(p, prompt, status);
    if (first == NULL)
        return NULL;
    snprintf(prompt, sizeof prompt, "The same password again");
    const struct password *second = passwords_ask(p, prompt, status);
    if (second == NULL)
        return NULL;
    bool same = bytes_equal(password_bytes(first), password_bytes(second));
    passwords_forget(p);
    if (!same) {
        *status = fail(STATUS_FILE, "%s: the two passwords differ: try again", what);
        return NULL;
    }
    return first;
}
