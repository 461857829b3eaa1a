#!/usr/bin/env python3
"""Runs again what once failed: the list tests/sim/replay.txt.

    replay.py SIMULATOR
"""
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
LINE = re.compile(r'(?:file (?P<file>\S+\.scn)|seed (?P<seed>\d+) (?P<peers>\d+\.\.\d+)) (?P<why>.*\.)')


def main():
    simulator = sys.argv[1]
    count = bad = 0
    listed = set()
    for text in (HERE / 'replay.txt').read_text(encoding='utf-8').splitlines():
        if not text or text.startswith('#'):
            continue
        entry = LINE.fullmatch(text)
        if not entry:
            sys.exit(f'replay.txt: not understood: {text}')
        if entry['file']:
            listed.add(entry['file'])
            command = [simulator, 'run', str(HERE / 'replay' / entry['file'])]
        else:
            seed = entry['seed']
            command = [simulator, 'swarm', '--seeds', f'{seed}..{seed}', '--peers', entry['peers']]
        done = subprocess.run(command, capture_output=True, text=True, timeout=600)
        count += 1
        if done.returncode != 0:
            bad += 1
            print(f'{" ".join(command)}: status {done.returncode}; it once failed because: '
                  f'{entry["why"]}\n{done.stdout}{done.stderr}')
    forgotten = {path.name for path in (HERE / 'replay').glob('*.scn')} - listed
    if forgotten:
        sys.exit(f'not in replay.txt: {", ".join(sorted(forgotten))}')
    print(f'{count - bad} of {count} run without failure')
    return 1 if bad or not count else 0


if __name__ == '__main__':
    sys.exit(main())
