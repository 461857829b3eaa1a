#!/usr/bin/env python3
"""Runs random scenarios with faults and adversaries; none may fail.

    seeds.py SIMULATOR A..B
"""
import json
import subprocess
import sys


def main():
    simulator, seeds = sys.argv[1:]
    done = subprocess.run([simulator, 'swarm', '--seeds', seeds, '--json', '--timeout', '300'],
                          capture_output=True, text=True)
    print(done.stderr, done.stdout)
    if done.returncode != 0:
        return 1
    result = json.loads(done.stdout)
    first, last = (int(number) for number in seeds.split('..'))
    struck = sum(result['faults'].values())
    # Where hardly anything goes wrong, that nothing fails says little.
    enough = (result['seeds'] == last - first + 1 and struck > result['seeds'] and
              result['events'] > 10000 * result['seeds'] and result['nodes'] > 20 * result['seeds'])
    print(f'{result["seeds"]} seeds, {result["nodes"]} nodes, {struck} faults, '
          f'{result["wall_s"]} s')
    return 0 if enough and result['failed'] == 0 else 1


if __name__ == '__main__':
    sys.exit(main())
