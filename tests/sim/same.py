#!/usr/bin/env python3
"""The same seed gives the same trace hash everywhere.

    same.py [--source DIR] [--dir DIR] [--seeds A..B] [--jobs N]

Builds the simulator with gcc and with clang, with and without optimisation, in a directory of its
own, and runs drawn scenarios with faults on each: all hashes must be equal, also the second time.
Then a small scenario under valgrind, which must find nothing and give the same hash.

Prints a line `ok` or `not ok` for each comparison and exits with 1 when one was not.
"""
import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
BUILDS = [('gcc', '2'), ('gcc', '0'), ('clang', '2'), ('clang', '0')]
# What a run is, apart from how long it took.
FIGURES = ('seeds', 'nodes', 'events', 'faults', 'failed', 'trace_hash')
SMALL = '7..9'

good = 0
bad = 0


def say(truth, what, detail=''):
    global good, bad
    good, bad = good + bool(truth), bad + (not truth)
    print(f'{"ok" if truth else "not ok"} same: {what}', flush=True)
    if not truth and detail:
        print(f'    {detail}')


def run(*command, env=None):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=900,
                          stdin=subprocess.DEVNULL, env=dict(os.environ, **(env or {})))
    return done.returncode, done.stdout, done.stderr


def build(source, folder, compiler, level, jobs):
    """The simulator, or None."""
    where = folder / f'{compiler}-O{level}'
    if not (where / 'build.ninja').exists():
        code, out, err = run('meson', 'setup', where, source, f'-Doptimization={level}',
                             '-Db_ndebug=false', env={'CC': compiler})
        if code != 0:
            say(False, f'{compiler} -O{level} is set up', out + err)
            return None
    code, out, _ = run('ninja', '-C', where, '-j', jobs, 'sim/fwswarm-sim')
    if code != 0:
        say(False, f'{compiler} -O{level} builds', out[-2000:])
        return None
    return where / 'sim' / 'fwswarm-sim'


def swarm(simulator, seeds, jobs):
    code, out, err = run(simulator, 'swarm', '--seeds', seeds, '--jobs', jobs, '--json')
    if code not in (0, 1):
        return {'error': f'status {code}: {out}{err}'}
    result = json.loads(out)
    return {name: result[name] for name in FIGURES}


def valgrind(simulator, folder):
    """A scenario of a few nodes: the one that valgrind has time for."""
    for seed in range(1, 200):
        code, text, _ = run(simulator, 'swarm', '--seeds', seed, '--peers', SMALL, '--print')
        faults = sum(line.startswith('fault') for line in text.splitlines())
        if code == 0 and 1 <= faults <= 4 and 'MiB' not in text:
            break
    scenario = folder / 'small.scn'
    scenario.write_text(text, encoding='utf-8')
    plain = run(simulator, 'run', scenario, '--json')
    # Lines of vector instructions that valgrind does not know are not what is looked for here.
    checked = run('valgrind', '-q', '--error-exitcode=9', '--track-origins=yes', simulator, 'run',
                  scenario, '--json')
    say(checked[0] == plain[0], f'valgrind finds nothing in seed {seed} with {SMALL} nodes',
        checked[2][-3000:])
    hashes = [json.loads(out)['trace_hash'] if out else None for _, out, _ in (plain, checked)]
    say(hashes[0] is not None and hashes[0] == hashes[1], f'valgrind, {hashes[0]}', str(hashes))


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument('--source', type=pathlib.Path, default=HERE.parent.parent)
    parser.add_argument('--dir', type=pathlib.Path)
    parser.add_argument('--seeds', default='1..16')
    parser.add_argument('--jobs', type=int, default=os.cpu_count() or 1)
    args = parser.parse_args()
    folder = args.dir or pathlib.Path(tempfile.mkdtemp(prefix='fwswarm-same-'))
    try:
        first = simulator = None
        for compiler, level in BUILDS:
            simulator = build(args.source.resolve(), folder, compiler, level, args.jobs)
            if simulator is None:
                continue
            result = swarm(simulator, args.seeds, args.jobs)
            if first is None:
                first = result
                again = swarm(simulator, args.seeds, 1)
                say(first == again, f'seeds {args.seeds} twice, {first.get("trace_hash")}',
                    f'{first} and {again}')
                struck = sum(first.get('faults', {}).values())
                say(struck > 10, f'{struck} faults struck', str(first))
                valgrind(simulator, folder)
            else:
                say(result == first, f'{compiler} -O{level}', f'{first} and {result}')
    finally:
        if not args.dir:
            shutil.rmtree(folder, ignore_errors=True)
    print(f'{good} of {good + bad} the same')
    return 1 if bad or not good else 0


if __name__ == '__main__':
    sys.exit(main())
