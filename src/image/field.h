/* Reading the fixed shapes that signed objects are made of: small helpers over the strict CBOR
 * reader, for the codecs of this folder.  Like the reader they are sticky: a wrong shape sets its
 * error, yields zeros, and is found by whoever asks at the end. */
#pragma once

#include "fwswarm/cbor.h"

/* Opens an array of exactly n items: E_FORMAT otherwise. */
void field_array(struct cbor_rd *r, uint64_t n);
/* Opens an array of min..max items and returns their number, 0 on error; E_LIMIT above max. */
uint32_t field_array_upto(struct cbor_rd *r, uint32_t min, uint32_t max);
/* Opens a map of exactly n pairs: E_FORMAT when pairs are missing, E_UNKNOWN when there are more.
 */
void field_map(struct cbor_rd *r, uint64_t n);
/* Takes the next map key, which must be want: E_UNKNOWN for a key outside 1..known, else E_FORMAT.
 */
void field_key(struct cbor_rd *r, int64_t want, int64_t known);
/* Copies a byte string of exactly n bytes. */
void field_fixed(struct cbor_rd *r, void *out, size_t n);
/* An unsigned integer of 32 bits: E_RANGE above. */
uint32_t field_u32(struct cbor_rd *r);
/* Takes an unsigned integer that must be want: E_UNKNOWN otherwise. */
void field_exactly(struct cbor_rd *r, uint64_t want);
/* Takes the format number that opens every object of ours: E_VERSION when it is not want. */
void field_format(struct cbor_rd *r, uint64_t want);
/* Copies text of at most max bytes and terminates it: E_RANGE when longer or with a zero inside. */
void field_text(struct cbor_rd *r, char *out, size_t max);
static inline bool field_ok(const struct cbor_rd *r)
{
    return r->in.err == E_OK;
}
