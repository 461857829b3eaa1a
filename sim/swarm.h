/* Many runs, each of a scenario that its seed draws, and what is made of one that fails.
 *
 * Called by main.c for `fwswarm-sim swarm`. */
#pragma once

/* argv[1] is "swarm".  Returns the exit status: 0 when no run failed, 1 when one did, 2 when the
 * command line is not understood. */
int swarm_main(int argc, char **argv);
