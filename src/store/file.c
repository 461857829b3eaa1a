/* File helpers: whole small files, hashing of large ones, errno by name.
 *
 * Files are replaced through a temporary file beside them, so that a reader sees the old bytes or
 * the new ones, and never half of either.  Hashing reads through a buffer from mmap, because it is
 * done seldom and the memory must not stay with the process. */
#include "internal.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define HASH_BUFFER ((size_t)16 * BLOCK_LEN)

enum err err_from_errno(int e)
{
    switch (e) {
    case 0:
        return E_OK;
    case ENOENT:
    case ENOTDIR:
    case ENXIO:
    case ENODEV:
        return E_NOENT;
    case EEXIST:
    case ENOTEMPTY:
        return E_EXISTS;
    case EACCES:
    case EPERM:
        return E_PERM;
    case EROFS:
        return E_READONLY;
    case ENOSPC:
    case EDQUOT:
        return E_FULL;
    case EBUSY:
    case ETXTBSY:
    case EADDRINUSE:
    case EWOULDBLOCK:
        return E_BUSY;
    case ENOMEM:
        return E_MEMORY;
    case EMFILE:
    case ENFILE:
    case EFBIG:
        return E_LIMIT;
    case EISDIR:
        return E_FORMAT;
    case ENAMETOOLONG:
        return E_OVERSIZED;
    case ETIMEDOUT:
        return E_TIMEOUT;
    case ECONNREFUSED:
        return E_REFUSED;
    case ECONNRESET:
    case EPIPE:
        return E_CLOSED;
    default:
        return E_IO;
    }
}

void *scratch_get(size_t n)
{
    void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

void scratch_free(void *p, size_t n)
{
    if (p)
        (void)munmap(p, n);
}

enum err fd_pread(int fd, void *out, size_t n, uint64_t off)
{
    uint8_t *p = out;
    while (n > 0) {
        ssize_t got = pread(fd, p, n, (off_t)off);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_from_errno(errno);
        if (got == 0)
            return E_TRUNCATED;
        p += got;
        off += (uint64_t)got;
        n -= (size_t)got;
    }
    return E_OK;
}

enum err fd_pwrite(int fd, const void *data, size_t n, uint64_t off)
{
    const uint8_t *p = data;
    while (n > 0) {
        ssize_t put = pwrite(fd, p, n, (off_t)off);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return err_from_errno(errno);
        if (put == 0)
            return E_FULL;
        p += put;
        off += (uint64_t)put;
        n -= (size_t)put;
    }
    return E_OK;
}

enum err fd_size(int fd, uint64_t *size)
{
    struct stat st;
    *size = 0;
    if (fstat(fd, &st) != 0)
        return err_from_errno(errno);
    if (S_ISREG(st.st_mode)) {
        *size = (uint64_t)st.st_size;
        return E_OK;
    }
    if (S_ISBLK(st.st_mode))
        return ioctl(fd, BLKGETSIZE64, size) == 0 ? E_OK : err_from_errno(errno);
    return E_FORMAT;
}

/* One block into both; the tree may be NULL. */
static void hash_block(struct hash_sha256_state *flat, struct tree_builder *tree, const uint8_t *p,
                       size_t n, bool two_pays)
{
    struct digest leaf;
    struct hash_sha256_state own;
    if (!tree) {
        hash_sha256_update(flat, p, n);
        return;
    }
    hash_sha256_init(&own);
    hash_sha256_update_two(flat, p, &own, p, n, two_pays);
    hash_sha256_final(&own, &leaf);
    tree_builder_leaf(tree, &leaf);
}

enum err fd_hash(int fd, uint64_t size, struct tree_builder *tree, struct digest *digest,
                 void (*progress)(void *ctx, uint64_t done), void *ctx)
{
    uint8_t *buf = scratch_get(HASH_BUFFER);
    if (!buf)
        return E_MEMORY;
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    struct hash_sha256_state flat;
    hash_sha256_init(&flat);
    bool two_pays = tree && hash_sha256_two_pays();
    enum err err = E_OK;
    for (uint64_t off = 0; off < size;) {
        uint64_t left = size - off;
        size_t n = left < HASH_BUFFER ? (size_t)left : HASH_BUFFER;
        err = fd_pread(fd, buf, n, off);
        if (err)
            break;
        for (size_t at = 0; at < n; at += BLOCK_LEN)
            hash_block(&flat, tree, buf + at, n - at < BLOCK_LEN ? n - at : BLOCK_LEN, two_pays);
        off += n;
        if (progress)
            progress(ctx, off);
    }
    hash_sha256_final(&flat, digest);
    scratch_free(buf, HASH_BUFFER);
    return err == E_TRUNCATED ? E_HASH : err;
}

/* Opens a file or block device to be read; what is neither (a pipe would block) is E_FORMAT. */
static enum err open_read(const char *path, int *fd, uint64_t *size)
{
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (*fd < 0)
        return err_from_errno(errno);
    enum err err = fd_size(*fd, size);
    if (err)
        (void)close(*fd);
    return err;
}

enum err file_digest(const char *path, struct digest *out, uint64_t *size)
{
    int fd;
    enum err err = open_read(path, &fd, size);
    if (err)
        return err;
    err = fd_hash(fd, *size, NULL, out, NULL, NULL);
    (void)close(fd);
    return err;
}

enum err file_tree(const char *path, struct geometry *g, struct digest *root, struct digest *digest,
                   void (*progress)(void *ctx, uint64_t done), void *ctx)
{
    int fd;
    uint64_t size;
    enum err err = open_read(path, &fd, &size);
    if (err)
        return err;
    void *mem = NULL;
    size_t mem_size = 0;
    if (size == 0 || size > IMAGE_SIZE_MAX)
        err = E_RANGE;
    if (!err)
        err = geometry_init(g, size, tree_piece_length(size));
    if (!err) {
        mem_size = tree_builder_size(g);
        mem = scratch_get(mem_size);
        err = mem ? E_OK : E_MEMORY;
    }
    if (!err) {
        struct tree_builder *tree = tree_builder_init(mem, g);
        err = fd_hash(fd, size, tree, digest, progress, ctx);
        if (!err)
            tree_builder_root(tree, root);
    }
    scratch_free(mem, mem_size);
    (void)close(fd);
    return err;
}

/* Reads to the end, growing; n beyond cap is E_OVERSIZED. */
static enum err read_whole(int fd, size_t first, size_t cap, uint8_t **out, size_t *n)
{
    size_t room = first < cap ? first + 1 : cap + 1; /* one more, to see the end or the excess */
    uint8_t *p = malloc(room);
    *n = 0;
    while (p) {
        ssize_t got = read(fd, p + *n, room - *n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            enum err err = err_from_errno(errno);
            free(p);
            return err;
        }
        *n += (size_t)got;
        if (*n > cap) {
            free(p);
            return E_OVERSIZED;
        }
        if (got == 0) {
            *out = p;
            return E_OK;
        }
        if (*n < room)
            continue;
        room = room > (cap + 1) / 2 ? cap + 1 : room * 2;
        uint8_t *grown = realloc(p, room);
        if (!grown)
            free(p);
        p = grown;
    }
    return E_MEMORY;
}

enum err file_read(const char *path, size_t cap, uint8_t **out, size_t *n)
{
    assert(cap < SIZE_MAX / 2);
    int fd;
    uint64_t size;
    enum err err = open_read(path, &fd, &size);
    if (err)
        return err;
    size_t first = size < 4096 ? 4096 : size < cap ? (size_t)size : cap;
    err = size > cap ? E_OVERSIZED : read_whole(fd, first, cap, out, n);
    (void)close(fd);
    return err;
}

/* Gives the temporary file its name; without force, only if that is free. */
static enum err put_name(const char *temp, const char *path, bool force)
{
    if (force)
        return rename(temp, path) == 0 ? E_OK : err_from_errno(errno);
    if (renameat2(AT_FDCWD, temp, AT_FDCWD, path, RENAME_NOREPLACE) == 0)
        return E_OK;
    /* Some file systems lack the flag; a hard link refuses a taken name as well. */
    if (errno != EINVAL && errno != ENOSYS)
        return err_from_errno(errno);
    if (link(temp, path) != 0)
        return err_from_errno(errno);
    (void)unlink(temp);
    return E_OK;
}

static enum err sync_folder(const char *path)
{
    char dir[PATH_BYTES];
    const char *slash = strrchr(path, '/');
    if (!slash)
        (void)snprintf(dir, sizeof dir, ".");
    else
        (void)snprintf(dir, sizeof dir, "%.*s", slash == path ? 1 : (int)(slash - path), path);
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_from_errno(errno);
    enum err err = fsync(fd) == 0 ? E_OK : err_from_errno(errno);
    (void)close(fd);
    return err;
}

static enum err write_synced(int fd, struct bytes data, uint32_t mode)
{
    if (fchmod(fd, (mode_t)mode) != 0)
        return err_from_errno(errno);
    for (size_t at = 0; at < data.n;) {
        ssize_t put = write(fd, data.p + at, data.n - at);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return err_from_errno(errno);
        at += (size_t)put;
    }
    return fsync(fd) == 0 ? E_OK : err_from_errno(errno);
}

enum err file_write(const char *path, struct bytes data, uint32_t mode, bool force)
{
    char temp[PATH_BYTES];
    int n = snprintf(temp, sizeof temp, "%s.XXXXXX", path);
    if (n < 0 || (size_t)n >= sizeof temp)
        return E_OVERSIZED;
    struct stat st;
    if (!force && lstat(path, &st) == 0)
        return E_EXISTS;
    int fd = mkostemp(temp, O_CLOEXEC);
    if (fd < 0)
        return err_from_errno(errno);
    enum err err = write_synced(fd, data, mode);
    if (close(fd) != 0 && !err)
        err = err_from_errno(errno);
    if (!err)
        err = put_name(temp, path, force);
    if (err) {
        (void)unlink(temp);
        return err;
    }
    return sync_folder(path);
}
