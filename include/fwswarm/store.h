/* The store: everything a node keeps on disk.  The first layer that does I/O.
 *
 * One directory: `image files` (or one block device or file for the image, when configured) and one
 * LMDB environment `db` for the rest: meta, records, chunk records, block bitmaps.  Only blocks
 * that the signed tree proves are kept, and a block is marked present only after its bytes were
 * synced: power loss at any instruction loses at most what was not yet synced.
 *
 * Threads: one owner thread calls open/close; one worker at a time runs a batch (store_batch_*),
 * and ends it on the thread that began it.  Reads, verifying and digests may run beside a batch and
 * beside a slot being closed, on any thread; opening, closing and importing an image wait for the
 * batch. */
#pragma once

#include "fwswarm/core.h"
#include "fwswarm/log.h"

struct store;

struct store_options {
    const char *dir; /* made (0700) when absent; "" = a scratch directory, removed at close */
    const char *image_path; /* NULL, or the file or block device that holds slot images */
    struct digest fleet;    /* E_FOREIGN when the directory belongs to another fleet or node */
    struct key node;
    uint32_t slots;    /* images at once */
    uint64_t reserve;  /* bytes that must stay free on the file system */
    uint64_t map_size; /* LMDB map, fixed; 0 = default */
};

/* E_FOREIGN, E_NEWER (format), E_FORMAT (no database of ours), E_BUSY (another process has it),
 * E_NOENT (no directory above it), E_READONLY, E_PERM, E_FULL, E_IO; logs the path, the value and
 * the mend. */
MUST enum err store_open(struct store **out, const struct store_options *opt, struct log *log);
void store_close(struct store *s);

/* Calls back for each record in object order; data is lent.  The callback must not call the store.
 */
MUST enum err store_records(struct store *s,
                            void (*each)(void *ctx, uint32_t object, struct bytes data), void *ctx);
/* Copies a record out; *n = its length.  E_NOENT, E_OVERSIZED. */
MUST enum err store_record_get(struct store *s, uint32_t object, uint8_t *out, size_t cap,
                               size_t *n);

/* Opens or makes the storage of an image in slot: checks free space first, preallocates, binds the
 * slot to (root, size); what was there for the same key is resumed.  A slot bound to another image
 * is replaced.  create=false with an image that was neither imported nor made: E_NOENT.  E_BUSY
 * when another slot has the image, or the one configured path.  Hashes what is on a configured
 * path, and an imported file that changed, before it is believed. */
MUST enum err store_image_open(struct store *s, uint32_t slot, const struct digest *root,
                               const struct geometry *g, bool create);
/* The bitmaps of an open slot, first bit highest; lent until the next batch commit. */
struct bytes store_image_blocks(struct store *s, uint32_t slot);
struct bytes store_image_chunks(struct store *s, uint32_t slot);
MUST enum err store_image_shut(struct store *s, uint32_t slot, bool remove);
/* Path of the slot's image bytes, lent. */
const char *store_image_path(struct store *s, uint32_t slot);

/* Imports a whole local file as slot's image without copying it (a publisher, a first seed): hashes
 * it, keeps every chunk record, marks every block.  Fails with E_HASH when its tree or flat digest
 * is not as said. */
MUST enum err store_image_import(struct store *s, uint32_t slot, const char *path,
                                 const struct digest *root, const struct digest *digest,
                                 const struct geometry *g,
                                 void (*progress)(void *ctx, uint64_t done), void *ctx);

/* ---- reads (any thread; no copy but into out) ---- */
MUST enum err store_read(struct store *s, uint32_t slot, uint64_t off, uint32_t len, uint8_t *out);
MUST enum err store_read_chunk(struct store *s, uint32_t slot, uint32_t chunk, uint8_t *out,
                               size_t cap, size_t *n);

/* ---- one batch = one worker job: puts, then one sync, then one LMDB commit ---- */
struct store_batch;
MUST enum err store_batch_begin(struct store *s, struct store_batch **out);
/* Verifies, then writes (not yet marked).  E_HASH, E_PROOF, E_STATE (its chunk is missing), E_NOENT
 * (slot not open), E_RANGE, E_READONLY (an imported file that changed), E_FULL, E_IO concern this
 * item only; the batch goes on. */
MUST enum err store_put_block(struct store_batch *b, uint32_t slot, uint32_t block,
                              struct bytes data);
/* The same for several of one slot, in less time than one after the other. */
struct store_block {
    uint32_t block;
    struct bytes data; /* lent */
    enum err err;      /* out: what became of it */
};
void store_put_blocks(struct store_batch *b, uint32_t slot, struct store_block *list,
                      uint32_t count);
MUST enum err store_put_chunk(struct store_batch *b, uint32_t slot, uint32_t chunk,
                              struct bytes record);
/* Empty data deletes. */
MUST enum err store_put_record(struct store_batch *b, uint32_t object, struct bytes data);
/* fdatasync of the images written, then bitmaps and records in one commit.  On error nothing of the
 * batch counts as stored. Frees b. */
MUST enum err store_batch_commit(struct store_batch *b);

/* ---- hashing again from storage (worker) ---- */
/* Re-verifies blocks [first, first+count); bad ones are unmarked durably; *bad = how many. */
MUST enum err store_verify(struct store *s, uint32_t slot, uint32_t first, uint32_t count,
                           uint32_t *bad);
/* Flat SHA-256 of the slot's whole image. */
MUST enum err store_digest(struct store *s, uint32_t slot, struct digest *out);

/* ---- files ---- */
/* Flat SHA-256 and size of any file. */
MUST enum err file_digest(const char *path, struct digest *out, uint64_t *size);
/* Reads a whole small file into malloc'd memory (the caller frees); E_OVERSIZED beyond cap. */
MUST enum err file_read(const char *path, size_t cap, uint8_t **out, size_t *n);
/* Writes through a temporary file, fsync, rename, fsync of the directory.  E_EXISTS unless force.
 */
MUST enum err file_write(const char *path, struct bytes data, uint32_t mode, bool force);
/* A tree and flat digest of a file in one pass: for signing. */
MUST enum err file_tree(const char *path, struct geometry *g, struct digest *root,
                        struct digest *digest, void (*progress)(void *ctx, uint64_t done),
                        void *ctx);
enum err err_from_errno(int e);
