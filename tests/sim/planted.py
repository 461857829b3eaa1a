#!/usr/bin/env python3
"""Plants faults in a copy of the source, one at a time, and sees whether the simulator finds them.

    planted.py [--source DIR] [--dir DIR] [--seeds A..B] [--jobs N] [--rotate N] [--shrink] [NAME ...]

Each file of tests/sim/planted is a sentence on what is wrong and a patch.  It is applied to the copy,
the simulator is built, and `fwswarm-sim swarm` runs until a seed fails.  A fault is caught when that
happens within the seeds (1..200), and the same seed does not fail without the patch.

--rotate N   N faults of all; which ones follows from the number of commits, or where there is no
             history from the source itself, so that they take turns as the source changes
--shrink     what was found is made smaller too, and must still fail, with few nodes
--dir DIR    where to build; what is there is used again

Prints a line `ok` or `not ok` for each and exits with 1 when one was not caught, does not apply or
does not compile.
"""
import argparse
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
SHRUNK_NODES = 20  # a node serves up to 16 neighbours: what fills these places needs as many
TIMEOUT = '20'


def run(*command, cwd=None, timeout=1200):
    done = subprocess.run([str(c) for c in command], cwd=cwd, capture_output=True, text=True,
                          timeout=timeout, stdin=subprocess.DEVNULL)
    return done.returncode, done.stdout, done.stderr


def copy_source(source, tree):
    """Brings tree up to date with source; what is the same stays, so that little is rebuilt."""
    skip = shutil.ignore_patterns('.*', 'build*', '__pycache__', 'crash-*', 'corpus')
    fresh = tree.with_name('fresh')
    shutil.rmtree(fresh, ignore_errors=True)
    shutil.copytree(source, fresh, ignore=skip)
    # The fuzzers' corpora are many files, and nothing that is built here reads them.
    for path in sorted(source.glob('tests/fuzz/corpus/*')):
        (fresh / path.relative_to(source)).mkdir(parents=True, exist_ok=True)
    wanted = {path.relative_to(fresh): path for path in fresh.rglob('*') if path.is_file()}
    for name, path in wanted.items():
        to = tree / name
        if to.is_file() and to.read_bytes() == path.read_bytes():
            continue
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, to)
    for path in list(tree.rglob('*')):
        if path.is_file() and path.relative_to(tree) not in wanted and '.git' not in path.parts:
            path.unlink()
    for path in fresh.glob('tests/fuzz/corpus/*'):
        (tree / path.relative_to(fresh)).mkdir(parents=True, exist_ok=True)
    shutil.rmtree(fresh)


class Plot:
    """A copy of the source with its build directory."""

    def __init__(self, source, folder, jobs):
        self.source, self.jobs = source, jobs
        self.tree, self.build = folder / 'tree', folder / 'build'
        self.good = folder / 'fwswarm-sim-good'
        self.tree.mkdir(parents=True, exist_ok=True)
        copy_source(source, self.tree)
        # Without a repository of its own, git would look at the one around it.
        if not (self.tree / '.git').exists():
            run('git', 'init', '-q', self.tree)
        if not (self.build / 'build.ninja').exists():
            code, out, err = run('meson', 'setup', self.build, self.tree)
            if code != 0:
                sys.exit(f'not ok planted: meson setup fails\n{out}{err}')
        error = self.compile()
        if error:
            sys.exit(f'not ok planted: the source does not compile\n{error}')
        shutil.copy(self.simulator(), self.good)

    def simulator(self):
        return self.build / 'sim' / 'fwswarm-sim'

    def compile(self):
        """The compiler's words when it fails, else nothing."""
        code, out, _ = run('ninja', '-C', self.build, '-j', self.jobs, 'sim/fwswarm-sim')
        return '\n'.join(out.splitlines()[-20:]) if code != 0 else ''

    def apply(self, patch):
        code, _, err = run('git', 'apply', '--whitespace=nowarn', '-C2', patch, cwd=self.tree)
        return err if code != 0 else ''

    def restore(self, patch):
        for line in patch.read_text(encoding='utf-8').splitlines():
            if line.startswith('+++ b/'):
                shutil.copy(self.source / line[6:], self.tree / line[6:])


def swarm(simulator, seeds, jobs, *more):
    code, out, err = run(simulator, 'swarm', '--seeds', seeds, '--jobs', jobs, '--first', '--json',
                         '--timeout', TIMEOUT, *more)
    if code not in (0, 1):
        sys.exit(f'not ok planted: {simulator} swarm ends with {code}\n{out}{err}')
    return json.loads(out)


def shrunk(plot, seed, folder):
    """What is wrong with the shrunken scenario, or nothing; and its number of nodes."""
    found = folder / f'seed-{seed}.scn'
    found.unlink(missing_ok=True)
    swarm(plot.simulator(), f'{seed}..{seed}', 1, '--shrink', '--save', folder)
    if not found.exists():
        return 'shrinking saved nothing', 0
    code, out, _ = run(plot.simulator(), 'run', found, '--json')
    if code != 1:
        return f'{found} ends with {code}', 0
    nodes = json.loads(out)['peers'] + json.loads(out)['verify']
    if nodes > SHRUNK_NODES:
        return f'shrunk to {nodes} nodes', nodes
    if run(plot.good, 'run', found)[0] != 0:
        return f'{found} fails without the fault too', nodes
    return '', nodes


def try_one(plot, patch, seeds, shrink):
    """(caught, what to say)"""
    error = plot.apply(patch)
    if error:
        return False, f'does not apply: {error.strip()}'
    try:
        error = plot.compile()
        if error:
            return False, f'does not compile\n{error}'
        result = swarm(plot.simulator(), seeds, plot.jobs)
        if result['failed'] == 0:
            return False, f'not caught by seeds {seeds}'
        failure = result['failure']
        seed, what = failure['seed'], failure['what']
        said = f'seed {seed}: {failure["kind"]}: {what}'
        if swarm(plot.good, f'{seed}..{seed}', 1)['failed'] > 0:
            return False, f'seed {seed} fails without it too: {what}'
        if shrink:
            error, nodes = shrunk(plot, seed, plot.build)
            if error:
                return False, f'{said}; {error}'
            said += f' ({nodes} nodes when shrunk)'
        return True, said
    finally:
        plot.restore(patch)


def turn(source, patches, count):
    """Which take their turn: by the number of commits, or else by what the source is."""
    code, out, _ = run('git', 'rev-list', '--count', 'HEAD', cwd=source)
    shallow = run('git', 'rev-parse', '--is-shallow-repository', cwd=source)[1].strip() != 'false'
    if code == 0 and not shallow:
        number = int(out)
    else:
        digest = hashlib.sha256()
        for path in sorted(source.glob('src/*/*.c')) + sorted(source.glob('sim/*.c')):
            digest.update(path.read_bytes())
        number = int.from_bytes(digest.digest()[:4], 'big')
    first = number * count % len(patches)
    return [patches[(first + i) % len(patches)] for i in range(min(count, len(patches)))]


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument('--source', type=pathlib.Path, default=HERE.parent.parent)
    parser.add_argument('--dir', type=pathlib.Path)
    parser.add_argument('--seeds', default='1..200')
    parser.add_argument('--jobs', type=int, default=os.cpu_count() or 1)
    parser.add_argument('--rotate', type=int)
    parser.add_argument('--shrink', action='store_true')
    parser.add_argument('name', nargs='*')
    args = parser.parse_args()
    source = args.source.resolve()
    patches = sorted((source / 'tests/sim/planted').glob('*.patch'))
    if args.name:
        patches = [source / 'tests/sim/planted' / f'{name}.patch' for name in args.name]
    if args.rotate:
        patches = turn(source, patches, args.rotate)
    if not patches:
        sys.exit('not ok planted: no faults to plant')
    folder = args.dir or pathlib.Path(tempfile.mkdtemp(prefix='fwswarm-planted-'))
    missed = 0
    try:
        plot = Plot(source, folder.resolve(), args.jobs)
        for patch in patches:
            caught, said = try_one(plot, patch, args.seeds, args.shrink)
            missed += not caught
            print(f'{"ok" if caught else "not ok"} planted {patch.stem}: {said}', flush=True)
    finally:
        if not args.dir:
            shutil.rmtree(folder, ignore_errors=True)
    print(f'{len(patches) - missed} of {len(patches)} planted faults caught')
    return 1 if missed else 0


if __name__ == '__main__':
    sys.exit(main())
