/* Numbers as a person writes them: 10Mbit, 16MiB, 20 (milliseconds).
 *
 * Called by main.c.  Everything becomes an integer here; nothing behind it knows a fraction. */
#pragma once

#include "fwswarm/bytes.h"

/* Each returns false and leaves *out alone when text is not understood or out of range. */
bool units_count(uint64_t *out, const char *text, uint64_t min, uint64_t max);
/* Bytes: a number, then nothing, B, KiB, MiB or GiB. */
bool units_size(uint64_t *out, const char *text);
/* Bytes a second: a number, then bit, kbit, Mbit or Gbit. */
bool units_rate(uint64_t *out, const char *text);
/* Microseconds from a number of milliseconds, or of seconds. */
bool units_ms(uint64_t *out, const char *text);
bool units_s(uint64_t *out, const char *text);
