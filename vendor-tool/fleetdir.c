/* The root chain is read whole and judged link by link, so everything that follows works with a
 * trust that is proven from the first root on.  The lock is an flock on the directory's own lock
 * file: it goes with the process, however that ends. */
#include "fleetdir.h"

#include "fwswarm/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHAIN_BYTES_MAX (4096u * ROOT_BYTES_MAX)

int path_join(struct path *out, const char *dir, const char *a, const char *b)
{
    int n = snprintf(out->s, sizeof out->s, "%s/%s%s%s", dir, a, b == NULL ? "" : "/",
                     b == NULL ? "" : b);

    if (n < 0 || (size_t)n >= sizeof out->s)
        return fail(STATUS_FILE, "%s: path is longer than %u bytes: use a shorter one", dir,
                    (unsigned)sizeof out->s);
    return STATUS_OK;
}

bool path_exists(const char *path)
{
    struct stat st;

    return lstat(path, &st) == 0;
}

int dir_make(const char *path, unsigned mode)
{
    struct stat st;

    if (mkdir(path, (mode_t)mode) == 0)
        return STATUS_OK;
    int e = errno;
    if (e == EEXIST && stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        return STATUS_OK;
    return fail(STATUS_FILE, "%s: directory cannot be made: %s: choose another place", path,
                strerror(e));
}

int file_put(const char *path, struct bytes data, unsigned mode, bool force)
{
    enum err e = file_write(path, data, mode, force);

    if (e == E_OK)
        return STATUS_OK;
    if (e == E_EXISTS)
        return fail_err(e, path, "nothing was written: choose another name, or say --force");
    return fail_err(e, path,
                    "nothing was written: see that its directory exists, is writable and "
                    "has space");
}

int root_chain_read(const char *path_or_dir, struct trust *t, uint8_t **chain, size_t *n)
{
    struct path inside;
    struct stat st;
    const char *path = path_or_dir;

    if (stat(path_or_dir, &st) == 0 && S_ISDIR(st.st_mode)) {
        if (path_join(&inside, path_or_dir, "root.pub", NULL) != STATUS_OK)
            return STATUS_FILE;
        path = inside.s;
    }
    enum err e = file_read(path, CHAIN_BYTES_MAX, chain, n);
    if (e != E_OK)
        return fail_err(e, path,
                        "give a fleet's directory or its root.pub; `fleet create` makes one");
    memset(t, 0, sizeof *t);
    e = trust_chain(t, bytes_of(*chain, *n));
    if (e == E_OK && t->root.version == 0)
        e = E_TRUNCATED;
    if (e == E_OK)
        return STATUS_OK;
    free(*chain);
    *chain = NULL;
    return fail_err(e, path, "no chain of fleet roots: take the vendor's root.pub again");
}

static int lock_take(const char *dir, int *lock)
{
    struct path path;

    if (path_join(&path, dir, ".lock", NULL) != STATUS_OK)
        return STATUS_FILE;
    int fd = open(path.s, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return fail(STATUS_FILE, "%s: cannot be opened: %s: see that the directory is writable",
                    path.s, strerror(errno));
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        note("waiting: another fwswarm-vendor works on %s", dir);
        while (flock(fd, LOCK_EX) != 0) {
            if (errno == EINTR)
                continue;
            close(fd);
            return fail(STATUS_FILE, "%s: cannot be locked: %s: use a file system that can", path.s,
                        strerror(errno));
        }
    }
    *lock = fd;
    return STATUS_OK;
}

int fleet_dir_lock(struct fleet_dir *d, const char *path)
{
    memset(d, 0, sizeof *d);
    d->path = path;
    d->lock = -1;
    return lock_take(path, &d->lock);
}

int fleet_dir_open(struct fleet_dir *d, const char *path, bool lock)
{
    struct path root;
    int status;

    memset(d, 0, sizeof *d);
    d->path = path;
    d->lock = -1;
    if (path_join(&root, path, "root.pub", NULL) != STATUS_OK)
        return STATUS_FILE;
    if (!path_exists(root.s))
        return fail_err(E_NOENT, root.s, "name a fleet's directory; `fleet create %s` makes one",
                        path);
    if (lock) {
        status = lock_take(path, &d->lock);
        if (status != STATUS_OK)
            return status;
    }
    status = root_chain_read(root.s, &d->trust, &d->chain, &d->chain_len);
    if (status != STATUS_OK)
        fleet_dir_close(d);
    return status;
}

void fleet_dir_close(struct fleet_dir *d)
{
    free(d->chain);
    d->chain = NULL;
    if (d->lock >= 0)
        close(d->lock);
    d->lock = -1;
}

int fleet_dir_append(struct fleet_dir *d, struct bytes signed_root)
{
    struct path path;

    int status = path_join(&path, d->path, "root.pub", NULL);
    if (status != STATUS_OK)
        return status;
    uint8_t *longer = malloc(d->chain_len + signed_root.n);
    if (longer == NULL)
        return fail_err(E_MEMORY, path.s, "free some and try again");
    if (d->chain_len > 0)
        memcpy(longer, d->chain, d->chain_len);
    memcpy(longer + d->chain_len, signed_root.p, signed_root.n);
    size_t n = d->chain_len + signed_root.n;

    struct trust next = d->trust;
    enum err e = trust_chain(&next, bytes_of(longer, n));
    if (e != E_OK) {
        free(longer);
        return fail_err(e, path.s, "the next root does not follow from it");
    }
    status = file_put(path.s, bytes_of(longer, n), 0644, true);
    if (status != STATUS_OK) {
        free(longer);
        return status;
    }
    free(d->chain);
    d->chain = longer;
    d->chain_len = n;
    d->trust = next;
    return STATUS_OK;
}

int fleet_dir_revocations(const struct fleet_dir *d, uint8_t **list, size_t *n, bool *present)
{
    struct path path;

    *present = false;
    *list = NULL;
    *n = 0;
    int status = path_join(&path, d->path, "revocations.bin", NULL);
    if (status != STATUS_OK)
        return status;
    enum err e = file_read(path.s, REVOCATIONS_BYTES_MAX, list, n);
    if (e == E_NOENT)
        return STATUS_OK;
    if (e != E_OK)
        return fail_err(e, path.s, "restore it from a copy");
    *present = true;
    return STATUS_OK;
}
