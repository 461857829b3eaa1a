/* Numbers as a person writes them: 10Mbit, 16MiB, 20ms, 5%.
 *
 * Called by everything that reads a command line or a scenario.  Everything becomes an integer
 * here; nothing behind it knows a fraction.  What a unit means is the configuration's
 * (fwswarm/conf.h), so the simulator and the programs read the same number alike. */
#pragma once

#include "fwswarm/conf.h"

/* Each returns false and leaves *out alone when text is not understood or out of range. */
bool units_count(uint64_t *out, const char *text, uint64_t min, uint64_t max);
/* Bytes: 4096, 64KiB, 1.5GiB. */
bool units_size(uint64_t *out, const char *text);
/* Bytes a second: 64kbit, 10Mbit, 2MB. */
bool units_rate(uint64_t *out, const char *text);
/* Microseconds: 250us, 20ms, 1.5s, 10min, 2h, 1h30min; a bare number is milliseconds. */
bool units_time(uint64_t *out, const char *text);
/* Thousandths, 0 to 1000: 5%, 0.5%; a bare number is thousandths. */
bool units_share(uint64_t *out, const char *text);

/* A share as text that units_share reads back; returns out. */
const char *units_print_share(char out[CONF_NUMBER_TEXT], uint64_t thousandths);
