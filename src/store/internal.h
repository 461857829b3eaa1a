/* What the files of the store share: the store, an open image, and the few calls between them.
 *
 * Called by this folder only.  Locks, in the order they are taken:
 *   work   whoever changes the store (a batch from begin to commit; open, shut, import; unmarking)
 *   db     inside db.h
 *   table  the slot table, held for a few instructions
 *
 * An image is counted: the table holds one reference and so does each read, so that closing a slot
 * waits for no read.  Its block bits are set only by the commit of a batch, and cleared by whoever
 * finds a block bad; both are single atomic operations on bytes, and readers look again after they
 * read. */
#pragma once

#include "db.h"
#include "fwswarm/store.h"

#include <stdatomic.h>
#include <sys/stat.h>

struct image {
    atomic_uint refs;
    atomic_bool shut;  /* no longer in a slot: nothing more is served */
    atomic_bool stale; /* an imported file changed under us: nothing more is served */
    bool written;      /* by the batch under way, and to be synced */
    enum storage storage;
    int fd;
    uint32_t slot;
    struct digest root, digest;
    struct geometry geo;
    struct image_key key;
    struct stamp stamp;
    char path[PATH_BYTES];
    /* One allocation behind this struct.  Bitmaps, first bit highest; of blocks, SLICE bytes for
     * each chunk: */
    uint8_t *blocks;  /* verified and synced */
    uint8_t *pending; /* verified and written by the batch under way */
    /* of chunks: */
    uint8_t *chunks;     /* chunk records held */
    uint8_t *chunks_new; /* put by the batch under way */
    uint8_t *dirty;      /* have pending blocks */
    uint8_t *unsaved;    /* have blocks that were found bad since their bitmap was saved */
    uint8_t *saving;     /* were unsaved, and are in the commit under way */
};

struct store_batch {
    struct store *store;
    MDB_txn *txn;
};

struct store {
    struct db db;
    struct log *log; /* lent */
    char dir[PATH_BYTES], images_dir[PATH_BYTES], image_path[PATH_BYTES];
    bool scratch;
    uint64_t reserve;
    bool two_pays; /* to hash two blocks at once */
    int lock_fd;
    pthread_mutex_t work, table;
    struct store_batch batch; /* there is never more than one */
    uint32_t slots;
    struct image *slot[]; /* guarded by table */
};

/* ---- bits ---- */
static inline bool bit_get(const uint8_t *map, uint32_t i)
{
    return (__atomic_load_n(&map[i / 8], __ATOMIC_ACQUIRE) & (0x80u >> (i % 8))) != 0;
}
static inline void bit_set(uint8_t *map, uint32_t i)
{
    (void)__atomic_fetch_or(&map[i / 8], (uint8_t)(0x80u >> (i % 8)), __ATOMIC_RELEASE);
}
static inline void bit_clear(uint8_t *map, uint32_t i)
{
    (void)__atomic_fetch_and(&map[i / 8], (uint8_t) ~(0x80u >> (i % 8)), __ATOMIC_ACQ_REL);
}

/* ---- image.c ----
 * The caller holds work, but for image_hold and image_drop. */
/* Takes a reference to the image in a slot; NULL when the slot is empty. */
struct image *image_hold(struct store *s, uint32_t slot);
void image_drop(struct image *img);
/* An image without storage (fd -1) and one reference; NULL without memory. */
struct image *image_new(uint32_t slot, const struct digest *root, const struct geometry *g);
/* Puts img into its slot (the table takes the reference), or empties the slot with NULL. */
void image_place(struct store *s, uint32_t slot, struct image *img);
/* Forgets every image bound to one of the slots first..last, or (fixed) lying at the configured
 * path, except keep's, a commit each; then deletes the files of ours. */
MUST enum err image_unbind(struct store *s, uint32_t first, uint32_t last, bool fixed,
                           const struct image_key *keep);
/* E_BUSY when another slot has the image, or (fixed) the configured path. */
MUST enum err image_check_free(struct store *s, uint32_t slot, const struct image_key *key,
                               bool fixed);
/* store_image_open without its lock. */
MUST enum err image_open(struct store *s, uint32_t slot, const struct digest *root,
                         const struct geometry *g, bool create);
bool image_is_complete(const struct image *img);
/* Writes the bitmaps of all dirty and unsaved chunks, pending blocks included.  image_saved() tells
 * how that commit ended. */
MUST enum err image_save_slices(struct db *d, MDB_txn *txn, struct image *img);
void image_saved(struct image *img, bool stored);
/* Saves what is unsaved in a commit of its own. */
MUST enum err image_save(struct store *s, struct image *img);
bool image_is_saved(const struct image *img);
/* Copies the leaf hash of a block out of its proven chunk record.  E_STATE without one. */
MUST enum err image_leaf(struct db *d, MDB_txn *txn, struct image *img, uint32_t block,
                         struct digest *out);

/* ---- image_file.c ---- */
/* Opens the bytes of an image: img->storage says where, img->path is set here.  *fresh: nothing
 * that was there before may be trusted. */
MUST enum err image_file_open(struct store *s, struct image *img, bool *fresh);
/* Opens a file to be read only; fills the stamp. */
MUST enum err image_file_import(struct store *s, const char *path, int *fd, struct stamp *stamp);
struct stamp stamp_of(const struct stat *st);
bool stamp_equal(const struct stamp *a, const struct stamp *b);
/* "ROOT-SIZE", the name of a file of ours. */
void image_file_name(char out[static 96], const struct image_key *key);
void image_file_remove(struct store *s, const char *name);
/* Makes new names in a folder last. */
MUST enum err dir_sync(struct store *s, const char *dir);
/* Deletes files of ours that no entry names. */
MUST enum err image_file_sweep(struct store *s);

/* ---- verify.c ---- */
/* Hashes the marked blocks of a range; bad ones are unmarked in memory, their chunks unsaved. */
MUST enum err image_verify(struct store *s, struct image *img, uint32_t first, uint32_t count,
                           uint32_t *bad);

/* ---- file.c ---- */
MUST enum err fd_pread(int fd, void *out, size_t n, uint64_t off);
MUST enum err fd_pwrite(int fd, const void *p, size_t n, uint64_t off);
/* Size of a file or block device; E_FORMAT when it is neither. */
MUST enum err fd_size(int fd, uint64_t *size);
struct tree_builder;
/* Hashes size bytes from the start: flat, and into a tree when tree is not NULL.  E_HASH when the
 * file ends early. */
MUST enum err fd_hash(int fd, uint64_t size, struct tree_builder *tree, struct digest *digest,
                      void (*progress)(void *ctx, uint64_t done), void *ctx);
/* Memory that goes back to the system when it is given back, however large; NULL without. */
void *scratch_get(size_t n);
void scratch_free(void *p, size_t n);

/* The start of every log line about a path: bounded, quoted where needed. */
#define PATH_SHOWN 320u
static inline const char *show_path(char out[static PATH_SHOWN], const char *path)
{
    return log_value(out, PATH_SHOWN, bytes_str(path));
}
