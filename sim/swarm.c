/* Random scenarios, run in child processes. */
#include "swarm.h"

#include <stdio.h>

int swarm_main(int argc, char **argv)
{
    (void)argc;
    fprintf(stderr, "fwswarm-sim: %s: not there yet\n", argv[1]);
    return 2;
}
