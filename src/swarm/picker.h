/* The picker: which block to ask of which neighbour, for one image.
 *
 * Pure scheduling over indices; it never sees a hash or a byte.  Two random pieces first, then
 * rarest first among the neighbours with random ties; pieces that were begun are finished first,
 * the ones begun with the same neighbour before others.  A piece can be begun only when the chunk
 * that holds its leaf hashes is there.  Endgame: when every missing block is asked for and at most
 * max(32 blocks, 1 %) remain, a block is asked a second time, never a third.
 *
 * Memory: one block sized from limits (picker_size).  Block states exist only for begun pieces:
 * limits.open_blocks / piece_blocks of them.  limits.pieces is at most 65,534, and at most
 * limits.links neighbours are counted at once. */
#pragma once

#include "fwswarm/core.h"

#define PICKER_NONE UINT32_MAX

struct picker;

size_t picker_size(const struct limits *lim);
struct picker *picker_init(void *mem, const struct limits *lim);
/* Starts over for an image.  E_LIMIT when it has more pieces, chunks or blocks a piece than the
 * limits allow (fewer than four pieces could be open at once, unless it has fewer). */
MUST enum err picker_begin(struct picker *p, const struct geometry *g);
/* What storage holds: bitmaps as in EV_OPENED.  Complete pieces become held, begun ones open.
 * Blocks of begun pieces beyond the open limit are forgotten (and fetched again). */
void picker_load(struct picker *p, struct bytes blocks, struct bytes chunks);

/* ---- what this node holds ---- */
struct bytes picker_bitmap(const struct picker *p); /* pieces held, first bit highest */
bool picker_has(const struct picker *p, uint32_t piece);
bool picker_has_block(const struct picker *p, uint32_t block); /* also in a begun piece */
bool picker_has_chunk(const struct picker *p, uint32_t chunk);
uint32_t picker_pieces_have(const struct picker *p);
uint32_t picker_blocks_have(const struct picker *p);
bool picker_complete(const struct picker *p);

/* ---- what neighbours hold; bits as in a bitfield message ---- */
void picker_peer_add(struct picker *p, struct bytes bits);
void picker_peer_remove(struct picker *p, struct bytes bits);
void picker_peer_have(struct picker *p, uint32_t piece);
void picker_peer_lost(struct picker *p, uint32_t piece);
/* Does a neighbour with these bits hold a piece that is missing here? */
bool picker_wants(const struct picker *p, struct bytes bits);
/* Availability of a piece among neighbours. */
uint32_t picker_availability(const struct picker *p, uint32_t piece);

/* ---- choosing ---- */
/* A chunk to ask of a neighbour with these bits, or PICKER_NONE.  It is then asked for. */
uint32_t picker_next_chunk(struct picker *p, struct bytes bits, struct rng *rng);
void picker_chunk_failed(struct picker *p, uint32_t chunk); /* may be asked again */
void picker_chunk_stored(struct picker *p, uint32_t chunk);
/* A block to ask of neighbour `who` (its index in the caller's link table, < limits.links) with
 * these bits, or PICKER_NONE.  mine[0..count) are the blocks already asked of it.  The block is
 * then asked for once more. */
uint32_t picker_next(struct picker *p, uint32_t who, struct bytes bits, const uint32_t *mine,
                     uint32_t count, struct rng *rng);
/* An ask that came to nothing: rejected, choked, cancelled, timed out, link gone. */
void picker_unask(struct picker *p, uint32_t block);
/* Its bytes came and are on the way to storage: nobody else is asked. False when it is not wanted
 * (held, or another copy is on the way). Counts as the end of one ask. */
bool picker_received(struct picker *p, uint32_t block);
/* The same for a block whose ask was given up (picker_unask) before it came. */
bool picker_received_late(struct picker *p, uint32_t block);
/* Storing failed: wanted again. */
void picker_failed(struct picker *p, uint32_t block);
/* Stored: true when that completed its piece. */
bool picker_stored(struct picker *p, uint32_t block);
/* Storage lost a block (bit-rot): its piece is missing again. True when the piece was held. */
bool picker_lost(struct picker *p, uint32_t block);
/* Drops everything held: a whole-image digest that disagrees, or a refetch. */
void picker_forget_all(struct picker *p);
bool picker_in_endgame(const struct picker *p);
/* Asks outstanding for a block (tests, checks). */
uint32_t picker_asks(const struct picker *p, uint32_t block);
