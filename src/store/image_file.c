/* Where the bytes of an image lie: a preallocated file of ours, the configured file or block
 * device, or an imported file.
 *
 * Space is asked for before a byte is fetched: free space less the reserve, then fallocate, so that
 * a full disk is an answer at the start and not an error in the middle.  Files of ours are named
 * after the image's key, lie in DIR/images, and are deleted only after the commit that forgets
 * them; one that no entry names was left by a crash in between and is swept at the next start.  A
 * block device is opened exclusively (the kernel refuses it while it is mounted) and never resized.
 */
#include "internal.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define MODE_PRIVATE 0600

/* Logs one failed call on a path. */
static enum err fail(struct store *s, const char *path, const char *doing, int e, const char *mend)
{
    char shown[PATH_SHOWN];
    enum err err = err_from_errno(e);
    log_error(s->log, "store.file", "path=%s doing=%s err=%s detail=\"%s\" mend=\"%s\"",
              show_path(shown, path), doing, err_name(err), strerror(e), mend);
    return err;
}

struct stamp stamp_of(const struct stat *st)
{
    return (struct stamp){
        .ino = (uint64_t)st->st_ino,
        .size = (uint64_t)st->st_size,
        .mtime_s = (uint64_t)st->st_mtim.tv_sec,
        .mtime_ns = (uint32_t)st->st_mtim.tv_nsec,
        .ctime_s = (uint64_t)st->st_ctim.tv_sec,
        .ctime_ns = (uint32_t)st->st_ctim.tv_nsec,
    };
}

bool stamp_equal(const struct stamp *a, const struct stamp *b)
{
    return a->ino == b->ino && a->size == b->size && a->mtime_s == b->mtime_s &&
           a->mtime_ns == b->mtime_ns && a->ctime_s == b->ctime_s && a->ctime_ns == b->ctime_ns;
}

void image_file_name(char out[static 96], const struct image_key *key)
{
    struct rd r = rd_of(bytes_of(key->b + 32, 8));
    hex_encode(out, key->b, 32);
    int n = snprintf(out + 64, 96 - 64, "-%" PRIu64, rd_u64(&r));
    assert(n > 0 && n < 96 - 64);
}

/* Joins a folder and a name; both were bounded when they came in. */
static void join(char out[static PATH_BYTES], const char *dir, const char *name)
{
    int n = snprintf(out, PATH_BYTES, "%s/%s", dir, name);
    assert(n > 0 && n < (int)PATH_BYTES);
}

void image_file_remove(struct store *s, const char *name)
{
    char path[PATH_BYTES];
    join(path, s->images_dir, name);
    if (unlink(path) != 0 && errno != ENOENT)
        (void)fail(s, path, "remove", errno, "remove it by hand");
}

/* Is there room for `more` bytes beside the reserve? */
static enum err check_space(struct store *s, int fd, const char *path, uint64_t more)
{
    struct statvfs vfs;
    if (fstatvfs(fd, &vfs) != 0)
        return fail(s, path, "statvfs", errno, "check the disk");
    uint64_t free_bytes = (uint64_t)vfs.f_bavail * vfs.f_frsize;
    if (free_bytes >= more && free_bytes - more >= s->reserve)
        return E_OK;
    char shown[PATH_SHOWN];
    log_error(s->log, "store.full",
              "path=%s needed=%" PRIu64 " reserve=%" PRIu64 " free=%" PRIu64
              " mend=\"free space there, lower the reserve or choose another directory\"",
              show_path(shown, path), more, s->reserve, free_bytes);
    return E_FULL;
}

/* Makes a regular file exactly size bytes long, all of them allocated. */
static enum err reserve_file(struct store *s, int fd, const char *path, uint64_t size)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return fail(s, path, "stat", errno, "check the disk");
    uint64_t have = (uint64_t)st.st_blocks * 512;
    enum err err = check_space(s, fd, path, have < size ? size - have : 0);
    if (err)
        return err;
    if ((uint64_t)st.st_size > size && ftruncate(fd, (off_t)size) != 0)
        return fail(s, path, "truncate", errno, "check the disk");
    int rc;
    do
        rc = fallocate(fd, 0, 0, (off_t)size) == 0 ? 0 : errno;
    while (rc == EINTR);
    if (rc == EOPNOTSUPP || rc == ENOSYS) {
        /* Then the space is only counted and not kept: a later write may still find it taken. */
        log_warn(s->log, "store.sparse",
                 "size=%" PRIu64 " mend=\"none needed while space is left\"", size);
        rc = ftruncate(fd, (off_t)size) == 0 ? 0 : errno;
    }
    return rc ? fail(s, path, "allocate", rc, "free space there or choose another directory")
              : E_OK;
}

enum err dir_sync(struct store *s, const char *dir)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return fail(s, dir, "open", errno, "check the disk");
    int rc = fsync(fd) == 0 ? 0 : errno;
    (void)close(fd);
    return rc ? fail(s, dir, "sync", rc, "check the disk") : E_OK;
}

static enum err open_own(struct store *s, struct image *img, bool *fresh)
{
    char name[96];
    image_file_name(name, &img->key);
    join(img->path, s->images_dir, name);
    img->fd = open(img->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, MODE_PRIVATE);
    if (img->fd < 0)
        return fail(s, img->path, "open", errno, "let this user write there");
    struct stat st;
    if (fstat(img->fd, &st) != 0)
        return fail(s, img->path, "stat", errno, "check the disk");
    *fresh = (uint64_t)st.st_size != img->geo.size;
    if (!*fresh)
        return E_OK;
    enum err err = reserve_file(s, img->fd, img->path, img->geo.size);
    if (!err)
        err = dir_sync(s, s->images_dir);
    if (err)
        image_file_remove(s, name);
    return err;
}

/* A device's size is what it is. */
static enum err check_device(struct store *s, struct image *img)
{
    uint64_t capacity;
    enum err err = fd_size(img->fd, &capacity);
    if (err)
        return fail(s, img->path, "size", errno, "configure a block device");
    if (capacity >= img->geo.size)
        return E_OK;
    char shown[PATH_SHOWN];
    log_error(s->log, "store.full",
              "path=%s needed=%" PRIu64 " capacity=%" PRIu64
              " mend=\"configure a larger block device\"",
              show_path(shown, img->path), img->geo.size, capacity);
    return E_FULL;
}

static enum err open_fixed(struct store *s, struct image *img)
{
    (void)snprintf(img->path, sizeof img->path, "%s", s->image_path);
    struct stat st;
    bool there = stat(img->path, &st) == 0;
    if (!there && errno != ENOENT)
        return fail(s, img->path, "stat", errno, "configure another image path");
    bool device = there && S_ISBLK(st.st_mode);
    if (there && !device && !S_ISREG(st.st_mode)) {
        char shown[PATH_SHOWN];
        log_error(s->log, "store.file",
                  "path=%s err=format mend=\"configure a regular file or a block device\"",
                  show_path(shown, img->path));
        return E_FORMAT;
    }
    int flags = O_RDWR | O_CLOEXEC | O_NOCTTY | (device ? O_EXCL : 0) | (there ? 0 : O_CREAT);
    img->fd = open(img->path, flags, MODE_PRIVATE);
    if (img->fd < 0)
        return fail(s, img->path, "open", errno,
                    errno == EBUSY ? "unmount it" : "let this user write it");
    if (device)
        return check_device(s, img);
    if (there && (uint64_t)st.st_size == img->geo.size &&
        (uint64_t)st.st_blocks * 512 >= img->geo.size)
        return E_OK;
    return reserve_file(s, img->fd, img->path, img->geo.size);
}

enum err image_file_open(struct store *s, struct image *img, bool *fresh)
{
    assert(img->storage == STORAGE_OWN || img->storage == STORAGE_FIXED);
    assert(img->fd < 0);
    *fresh = false;
    return img->storage == STORAGE_OWN ? open_own(s, img, fresh) : open_fixed(s, img);
}

enum err image_file_import(struct store *s, const char *path, int *fd, struct stamp *stamp)
{
    const char *mend = "give a regular file that this user may read";
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (*fd < 0)
        return fail(s, path, "open", errno, mend);
    struct stat st;
    int rc = fstat(*fd, &st) != 0 ? errno : S_ISREG(st.st_mode) ? 0 : EISDIR;
    if (rc) {
        (void)close(*fd);
        *fd = -1;
        return fail(s, path, "stat", rc, mend);
    }
    *stamp = stamp_of(&st);
    return E_OK;
}

/* The key that a file's name stands for; false when it is no name of ours. */
static bool key_of_name(struct image_key *key, const char *name)
{
    char hex[65];
    struct digest root;
    if (strlen(name) < 66 || name[64] != '-')
        return false;
    (void)snprintf(hex, sizeof hex, "%.64s", name);
    if (!hex_decode(root.b, sizeof root.b, hex))
        return false;
    uint64_t size = 0;
    for (const char *c = name + 65; *c; c++) {
        if (*c < '0' || *c > '9' || size > IMAGE_SIZE_MAX)
            return false;
        size = size * 10 + (uint64_t)(*c - '0');
    }
    *key = image_key_of(&root, size);
    return true;
}

/* Is this a file of ours that no entry names? */
static enum err is_orphan(struct store *s, const char *name, bool *orphan)
{
    struct image_key key;
    *orphan = false;
    if (!key_of_name(&key, name))
        return E_OK;
    MDB_txn *txn;
    enum err err = db_read_begin(&s->db, &txn);
    if (err)
        return err;
    struct image_entry entry;
    err = db_entry_get(&s->db, txn, &key, &entry);
    db_read_end(&s->db, txn);
    *orphan = err == E_NOENT || (!err && entry.storage != STORAGE_OWN);
    return err == E_NOENT ? E_OK : err;
}

enum err image_file_sweep(struct store *s)
{
    DIR *dir = opendir(s->images_dir);
    if (!dir)
        return fail(s, s->images_dir, "open", errno, "let this user read it");
    enum err err = E_OK;
    for (struct dirent *d; !err && (d = readdir(dir)) != NULL;) {
        bool orphan;
        err = is_orphan(s, d->d_name, &orphan);
        if (err || !orphan)
            continue;
        char shown[PATH_SHOWN];
        log_info(s->log, "store.sweep", "file=%s", show_path(shown, d->d_name));
        image_file_remove(s, d->d_name);
    }
    (void)closedir(dir);
    return err;
}
