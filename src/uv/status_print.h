/* Shows what the control socket answered.  Called by daemon.c only. */
#pragma once

#include <stdbool.h>
#include <stdio.h>

/* Prints answer (one line of JSON) for verb; json: as it came, for status.  Returns the exit
 * status: a refusal goes to standard error. */
int status_print(const char *program, const char *verb, const char *answer, bool json, FILE *out);
