/* Prints src/wire/PROTOCOL.md to its standard output: `ninja protocol` writes it in place. */
#include "fwswarm/wire.h"

#include <stdio.h>

static void print(void *ctx, const char *text)
{
    fputs(text, ctx);
}

int main(void)
{
    wire_document(print, stdout);
    return ferror(stdout) || fflush(stdout) != 0;
}
