/* The LMDB environment behind the store, and what lies in it.
 *
 * Called by the files of this folder only.  It promises that every transaction is begun and ended
 * on one thread, that MDB_* codes never leave it, and that an environment which a failed commit
 * made unusable is opened again before the next transaction.
 *
 *   meta     "format" -> u32, "fleet" -> 32 bytes, "node" -> 32 bytes
 *   records  u32 object -> bytes
 *   images   image key (root, u64 size) -> entry, see db_entry_put()
 *   chunks   image key, u32 chunk -> chunk record, proven
 *   blocks   image key, u32 chunk -> 64 bytes, one bit per block of the chunk, first bit highest
 *
 * All numbers are big-endian, so keys sort as numbers do. */
#pragma once

#include "fwswarm/log.h"
#include "fwswarm/tree.h"

#include <lmdb.h>
#include <pthread.h>

#define DB_FORMAT     1u
#define SLICE         (CHUNK_BLOCKS / 8u) /* bytes of a chunk's block bitmap */
#define IMAGE_KEY     40u
#define CHUNK_KEY     (IMAGE_KEY + 4u)
#define PATH_BYTES    1024u /* longest path kept, terminator included */
#define DB_PATH_SHOWN 320u

struct db {
    MDB_env *env; /* NULL when opening it again failed */
    MDB_dbi meta, records, images, chunks, blocks;
    pthread_rwlock_t lock; /* shared by transactions; alone while the environment is exchanged */
    char path[PATH_BYTES];
    uint64_t map_size;
    struct log *log; /* lent */
};

/* Opens or makes the file.  Logs the path and the mend. */
MUST enum err db_open(struct db *d, const char *path, uint64_t map_size, struct log *log);
void db_close(struct db *d);

MUST enum err db_read_begin(struct db *d, MDB_txn **txn);
void db_read_end(struct db *d, MDB_txn *txn);
MUST enum err db_write_begin(struct db *d, MDB_txn **txn);
MUST enum err db_write_commit(struct db *d, MDB_txn *txn);
void db_write_abort(struct db *d, MDB_txn *txn);

/* Puts (empty value: deletes) inside a child of txn, so that a full map costs this item only and
 * not the transaction. */
MUST enum err db_put_apart(struct db *d, MDB_txn *txn, MDB_dbi dbi, MDB_val key, MDB_val value);

/* Translates an MDB_* code or errno and logs anything but "not found". */
MUST enum err db_err(struct db *d, int rc, const char *doing);

/* ---- keys ---- */
struct image_key {
    uint8_t b[CHUNK_KEY];
};
struct image_key image_key_of(const struct digest *root, uint64_t size);
MDB_val image_key_val(const struct image_key *k);             /* without a chunk; lends k */
MDB_val image_key_chunk(struct image_key *k, uint32_t chunk); /* sets the chunk; lends k */

/* ---- image entries ---- */
enum storage {
    STORAGE_OWN = 1,    /* a file of ours in the data directory */
    STORAGE_FIXED = 2,  /* the configured file or block device */
    STORAGE_IMPORT = 3, /* somebody else's file, never written */
};

/* What tells whether an imported file is still the one that was hashed. */
struct stamp {
    uint64_t ino, size;
    uint64_t mtime_s, ctime_s;
    uint32_t mtime_ns, ctime_ns;
};

struct image_entry {
    enum storage storage;
    uint32_t slot;
    struct stamp stamp;    /* STORAGE_IMPORT */
    struct digest digest;  /* flat digest, STORAGE_IMPORT; else zero */
    char path[PATH_BYTES]; /* STORAGE_OWN: the file's name in the image folder */
};

MUST enum err db_entry_put(struct db *d, MDB_txn *txn, const struct image_key *key,
                           const struct image_entry *e);
/* E_NOENT; E_FORMAT when it does not decode. */
MUST enum err db_entry_get(struct db *d, MDB_txn *txn, const struct image_key *key,
                           struct image_entry *e);
MUST enum err db_entry_decode(struct image_entry *e, MDB_val v);

/* Forgets all chunk records and bitmaps of an image. */
MUST enum err db_image_wipe(struct db *d, MDB_txn *txn, const struct image_key *key);
/* Forgets its block bitmaps only. */
MUST enum err db_blocks_wipe(struct db *d, MDB_txn *txn, const struct image_key *key);
/* Wipes what belongs to no entry: left by an import that was cut short. */
MUST enum err db_orphans_wipe(struct db *d, MDB_txn *txn);
