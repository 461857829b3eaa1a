/* UTF-8, strictly (RFC 3629): CBOR text, log lines and configuration use it. */
#pragma once

#include "fwswarm/bytes.h"

/* Length in bytes (1..4) of the well-formed character that b starts with, its number in *code;
 * 0 when b is empty or starts with anything else (overlong, surrogate, cut short, a stray byte). */
size_t utf8_next(struct bytes b, uint32_t *code);

bool utf8_valid(struct bytes b);

/* Must this character be escaped before a terminal or a log reader sees it?  True for the control
 * characters of ASCII and Latin-1, and for those that break lines or turn the writing direction. */
bool utf8_unsafe(uint32_t code);
