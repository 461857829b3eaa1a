/* DIR/keys is searched in the order of names, so the same directory always yields the same signers
 * and signing twice gives the same bytes.  A key that stands open to others stops the search: it
 * has to be mended, not passed over. */
#include "keyring.h"

#include "fleetdir.h"

#include "fwswarm/keyfile.h"
#include "fwswarm/store.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define TRIES_MAX     3
#define PUB_BYTES_MAX 512u

int keyring_open(struct keyring *r, const struct list *password_files)
{
    memset(r, 0, sizeof *r);
    return passwords_open(&r->passwords, password_files);
}

void keyring_close(struct keyring *r)
{
    for (uint32_t i = 0; i < r->count; i++)
        signer_wipe(&r->key[i]);
    r->count = 0;
    passwords_wipe(&r->passwords);
}

bool keyring_has(const struct keyring *r, const struct key *pub)
{
    for (uint32_t i = 0; i < r->count; i++)
        if (key_equal(&r->key[i].pub, pub))
            return true;
    return false;
}

static int refuse_key(enum err e, const char *path)
{
    if (e == E_EXPOSED)
        return fail_err(e, path,
                        "run `chmod 600 %s`, and replace the key if others may have had it", path);
    if (e == E_NOENT)
        return fail_err(e, path, "name a key file; `key create` makes one");
    if (e == E_PERM)
        return fail_err(e, path, "run this as the owner of the key");
    return fail(STATUS_FILE, "%s: key file is %s: restore it from a copy", path, err_text(e));
}

/* Opens an encrypted key with the passwords known, then with what is typed. */
static enum err open_sealed(struct keyring *r, const char *path, struct signer *out, int *status)
{
    char prompt[PATH_MAX + 32];
    bool encrypted;

    for (uint32_t i = 0; i < r->passwords.count; i++) {
        enum err e = keyfile_read(path, out, password_bytes(&r->passwords.known[i]), &encrypted);
        if (e != E_PASSWORD)
            return e;
    }
    if (r->passwords.from_files)
        return E_PASSWORD;
    snprintf(prompt, sizeof prompt, "Password for %s", path);
    for (int i = 0; i < TRIES_MAX; i++) {
        const struct password *p = passwords_ask(&r->passwords, prompt, status);
        if (p == NULL)
            return E_PASSWORD;
        enum err e = keyfile_read(path, out, password_bytes(p), &encrypted);
        if (e != E_PASSWORD)
            return e;
        passwords_forget(&r->passwords);
        note("%s: wrong password", path);
    }
    return E_PASSWORD;
}

int keyring_take(struct keyring *r, const char *path)
{
    bool encrypted = false;
    int status = STATUS_OK;

    if (r->count == RING_MAX)
        return fail(STATUS_USAGE, "%s: more than %u keys: use fewer at once", path, RING_MAX);
    struct signer *slot = &r->key[r->count];
    enum err e = keyfile_read(path, slot, bytes_of(NULL, 0), &encrypted);
    if (e == E_PASSWORD)
        e = open_sealed(r, path, slot, &status);
    if (status != STATUS_OK)
        return status; /* why no password could be had was said */
    if (e == E_PASSWORD)
        return fail_err(e, path, "give the right one, on the terminal or by --password-file");
    if (e != E_OK)
        return refuse_key(e, path);
    for (uint32_t i = 0; i < r->count; i++) {
        if (key_equal(&r->key[i].pub, &slot->pub)) {
            signer_wipe(slot);
            return STATUS_OK;
        }
    }
    r->count++;
    return STATUS_OK;
}

static bool is_wanted(const struct wanted *w, const struct key *pub)
{
    for (uint32_t i = 0; i < w->count; i++)
        if (key_equal(&w->key[i], pub))
            return true;
    return false;
}

static uint32_t count_wanted(const struct keyring *r, const struct wanted *w)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < r->count; i++)
        n += is_wanted(w, &r->key[i].pub);
    return n;
}

static int take_named(struct keyring *r, const struct list *files, const struct wanted *w)
{
    char kind[17];
    struct key pub;

    for (uint32_t i = 0; i < files->count; i++) {
        enum err e = keyfile_public(files->item[i], &pub, kind);
        if (e != E_OK)
            return refuse_key(e, files->item[i]);
        if (!is_wanted(w, &pub))
            return fail_err(E_UNLISTED, files->item[i],
                            "%s key %.8s is no %s of this fleet: name another", kind,
                            hex32(pub.b).s, w->what);
        int status = keyring_take(r, files->item[i]);
        if (status != STATUS_OK)
            return status;
    }
    return STATUS_OK;
}

static int only_keys(const struct dirent *entry)
{
    size_t n = strlen(entry->d_name);

    return n > 4 && strcmp(entry->d_name + n - 4, ".key") == 0;
}

static int take_found(struct keyring *r, const char *path, const struct wanted *w)
{
    char kind[17];
    struct key pub;

    enum err e = keyfile_public(path, &pub, kind);
    if (e == E_EXPOSED)
        return refuse_key(e, path);
    if (e != E_OK) {
        warn("%s: passed over: %s", path, err_text(e));
        return STATUS_OK;
    }
    if (!is_wanted(w, &pub))
        return STATUS_OK;
    return keyring_take(r, path);
}

static int search(struct keyring *r, const char *dir, const struct wanted *w)
{
    struct dirent **entries = NULL;
    struct path keys, path;
    int status = path_join(&keys, dir, "keys", NULL);

    if (status != STATUS_OK)
        return status;
    int n = scandir(keys.s, &entries, only_keys, alphasort);
    if (n < 0 && errno == ENOENT)
        return STATUS_OK;
    if (n < 0)
        return fail(STATUS_FILE, "%s: cannot be read: %s: run this as its owner", keys.s,
                    strerror(errno));
    for (int i = 0; i < n; i++) {
        if (status == STATUS_OK && count_wanted(r, w) < w->enough) {
            status = path_join(&path, keys.s, entries[i]->d_name, NULL);
            if (status == STATUS_OK)
                status = take_found(r, path.s, w);
        }
        free(entries[i]);
    }
    free(entries);
    return status;
}

/* By insertion and in place: a library's sort may leave copies of keys in memory it took. */
static void sort_ring(struct keyring *r)
{
    struct signer moved;

    for (uint32_t i = 1; i < r->count; i++) {
        uint32_t at = i;
        moved = r->key[i];
        for (; at > 0 && key_compare(&r->key[at - 1].pub, &moved.pub) > 0; at--)
            r->key[at] = r->key[at - 1];
        r->key[at] = moved;
    }
    signer_wipe(&moved);
}

int keyring_collect_any(struct keyring *r, const char *dir, const struct list *files,
                        const struct wanted *w)
{
    int status = files->count > 0 ? take_named(r, files, w) : search(r, dir, w);

    sort_ring(r);
    return status;
}

int keyring_collect(struct keyring *r, const char *dir, const struct list *files,
                    const struct wanted *w)
{
    int status = keyring_collect_any(r, dir, files, w);

    if (status != STATUS_OK || count_wanted(r, w) > 0)
        return status;
    return fail(STATUS_FILE,
                "%s/keys: no %s lies there: name one with --key FILE that the newest root lists",
                dir, w->what);
}

int random_seed(uint8_t out[static 32])
{
    ssize_t n = getrandom(out, 32, 0);

    if (n == 32)
        return STATUS_OK;
    return fail(STATUS_FILE, "random numbers: cannot be had: %s: use a kernel with getrandom",
                strerror(errno));
}

int pub_write(const char *path, const char *kind, const struct key *pub, bool force)
{
    char text[PUB_BYTES_MAX];

    int n = snprintf(text, sizeof text, "fwswarm-public-key: 1\nkind: %s\npublic: %s\n", kind,
                     hex32(pub->b).s);
    assert(n > 0);
    return file_put(path, bytes_of(text, (size_t)n), 0644, force);
}

int key_make(const char *path, const char *kind, struct bytes password, bool force, struct key *pub)
{
    struct path private, public;
    struct signer signer;
    uint8_t seed[32];

    if (snprintf(private.s, sizeof private.s, "%s.key", path) >= (int)sizeof private.s ||
        snprintf(public.s, sizeof public.s, "%s.pub", path) >= (int)sizeof public.s)
        return fail(STATUS_FILE, "%s: path is too long: use a shorter one", path);
    if (!force && (path_exists(private.s) || path_exists(public.s)))
        return fail_err(E_EXISTS, path_exists(private.s) ? private.s : public.s,
                        "a key is not replaced: choose another name, or say --force");
    int status = random_seed(seed);
    if (status != STATUS_OK)
        return status;
    signer_from_seed(&signer, seed);
    *pub = signer.pub;
    signer_wipe(&signer);
    if (strcmp(kind, "audit") == 0)
        dh_public(pub->b, seed);
    enum err e = keyfile_write(private.s, seed, kind, password, force);
    crypto_wipe(seed, sizeof seed);
    if (e != E_OK)
        return fail_err(e, private.s,
                        "no key was made: see that its directory exists, is writable "
                        "and has space");
    return pub_write(public.s, kind, pub, force);
}

/* The value of `name: ` in a text of lines, or NULL; ends it at its newline. */
static const char *line_value(char *text, const char *name, char *out, size_t cap)
{
    size_t n = strlen(name);

    for (char *line = text; line != NULL && *line != '\0';) {
        char *end = strchr(line, '\n');
        size_t len = end == NULL ? strlen(line) : (size_t)(end - line);
        if (len > n + 2 && strncmp(line, name, n) == 0 && strncmp(line + n, ": ", 2) == 0 &&
            len - n - 2 < cap) {
            memcpy(out, line + n + 2, len - n - 2);
            out[len - n - 2] = '\0';
            return out;
        }
        line = end == NULL ? NULL : end + 1;
    }
    return NULL;
}

int pub_read(const char *file_or_hex, const char *kind, struct key *out)
{
    char text[PUB_BYTES_MAX + 1], value[128];
    uint8_t *data;
    size_t n;

    if (hex_decode(out->b, 32, file_or_hex))
        return STATUS_OK;
    enum err e = file_read(file_or_hex, PUB_BYTES_MAX, &data, &n);
    if (e != E_OK)
        return fail(STATUS_FILE, "%s: %s: give a .pub file or 64 hex digits", file_or_hex,
                    err_text(e));
    memcpy(text, data, n);
    text[n] = '\0';
    free(data);
    if (line_value(text, "kind", value, sizeof value) == NULL)
        return fail(STATUS_FILE, "%s: no public key file: give the .pub file of a %s key",
                    file_or_hex, kind);
    if (strcmp(value, kind) != 0)
        return fail(STATUS_REFUSED, "%s: is a %s key: give the .pub file of a %s key", file_or_hex,
                    value, kind);
    if (line_value(text, "public", value, sizeof value) == NULL || !hex_decode(out->b, 32, value))
        return fail(STATUS_FILE, "%s: malformed: take the .pub file again", file_or_hex);
    return STATUS_OK;
}
