#!/usr/bin/env python3
"""Layers: a file includes only what stands above it, and calls nothing that its layer must not.

    layers.py ROOT

Reads every .c and .h of the layers under ROOT, prints one line for each violation, and exits with 1
when there is any (or when nothing was found to read).  Folders are listed from the ground up; each
names what it may include.  A public header belongs to one layer, the one that defines what it
declares, and is judged like any other file of it.
"""
import pathlib
import re
import sys

CORE = ['base', 'crypto', 'wire', 'image', 'link', 'ledger', 'swarm', 'track', 'node']
BELOW_PROGRAMS = CORE + ['store', 'http', 'uv']

MAY_USE = {
    'base': [],
    'crypto': ['base'],
    'wire': ['base'],
    'image': ['base', 'crypto', 'wire'],
    'link': ['base', 'crypto', 'wire', 'image'],
    'ledger': ['base', 'crypto', 'wire'],
    'swarm': ['base', 'crypto', 'image'],
    'track': ['base', 'crypto', 'image'],
    'node': ['base', 'crypto', 'wire', 'image', 'ledger', 'swarm', 'track'],
    'store': ['base', 'crypto', 'wire', 'image'],
    'http': ['base', 'crypto', 'wire', 'image', 'link', 'node', 'store'],
    'uv': ['base', 'crypto', 'wire', 'image', 'link', 'node', 'store', 'http'],
    'peer': BELOW_PROGRAMS,
    'tracker': BELOW_PROGRAMS,
    'vendor-tool': BELOW_PROGRAMS,
    'sim': CORE,
}

# Which layer a header of include/fwswarm belongs to.  core.h is the contract between node and host:
# types that stand on those of image, without code of their own.
PUBLIC = {
    'addr.h': 'base', 'bytes.h': 'base', 'conf.h': 'base', 'err.h': 'base', 'log.h': 'base',
    'utf8.h': 'base',
    'crypto.h': 'crypto',
    'cbor.h': 'wire', 'wire.h': 'wire',
    'core.h': 'image', 'manifest.h': 'image', 'tree.h': 'image', 'trust.h': 'image',
    'link.h': 'link',
    'node.h': 'node',
    'keyfile.h': 'store', 'store.h': 'store',
    'aead_evp.h': 'uv', 'control.h': 'uv', 'daemon.h': 'uv', 'host.h': 'uv', 'publish.h': 'uv',
}

# The core may use these alone of what the system offers.
CORE_SYSTEM = {'assert.h', 'inttypes.h', 'limits.h', 'stdalign.h', 'stdarg.h', 'stdbool.h',
               'stddef.h', 'stdint.h', 'stdio.h', 'string.h'}

# Libraries, by the start of the header's name, and the layers that may know them.
LIBRARIES = {
    'sodium': ['crypto', 'store', 'uv', 'vendor-tool', 'sim'],
    'openssl/': ['crypto', 'uv'],
    'lmdb': ['store'],
    'uv': ['uv'],
    'jansson': ['uv', 'http', 'peer', 'tracker', 'vendor-tool'],
    'microhttpd': ['http'],
    'curl/': ['http'],
    'cpuid': ['crypto'],
    'immintrin': ['crypto'],
}

BANNED = ['sprintf', 'vsprintf', 'strcpy', 'strcat', 'strtok', 'gets', 'atoi', 'rand', 'srand',
          'time', 'localtime']
BANNED_CORE = ['malloc', 'calloc', 'realloc', 'reallocarray', 'free', 'strdup', 'strndup',
               'aligned_alloc', 'posix_memalign', 'alloca', 'clock', 'clock_gettime',
               'gettimeofday', 'getrandom', 'randombytes_buf', 'printf', 'fprintf', 'puts', 'fputs',
               'fopen', 'getenv', 'exit', 'abort']

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.M)
SKIP = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


def calls(names):
    return re.compile(r'(?<![\w.>])(' + '|'.join(names) + r')\s*\(')


BANNED_RE = calls(BANNED)
BANNED_CORE_RE = calls(BANNED + BANNED_CORE)


def blank(match):
    """Keeps the lines of what is taken out, so that numbers stay right."""
    return '\n' * match.group().count('\n') + ' '


def layer_of(root, path):
    """The layer a file belongs to, or None."""
    part = path.relative_to(root).parts
    if part[0] == 'include':
        return PUBLIC.get(part[-1])
    return part[1] if part[0] == 'src' and len(part) > 2 else part[0]


def resolve(root, path, name):
    """The file that #include "name" in path means, or None."""
    for base in (path.parent, root / 'src', root / 'include'):
        found = (base / name).resolve()
        if found.is_file() and root in found.parents:
            return found
    return None


def library_fault(layer, name):
    for start, layers in LIBRARIES.items():
        exact = start + '.h' == name or (start.endswith('/') and name.startswith(start))
        if exact and layer not in layers:
            return f'<{name}> is for {", ".join(layers)}'
        if exact:
            return None
    if layer in CORE and name not in CORE_SYSTEM:
        return f'<{name}> is not for the core'
    return None


def include_faults(root, path, layer, text):
    for match in INCLUDE.finditer(text):
        line = text.count('\n', 0, match.start()) + 1
        kind, name = match.groups()
        if kind == '<':
            fault = library_fault(layer, name)
        else:
            target = resolve(root, path, name)
            other = layer_of(root, target) if target else None
            if target is None:
                fault = f'"{name}" is not there'
            elif other not in MAY_USE:
                fault = f'"{name}" belongs to no layer: give it a line in tests/lint/layers.py'
            elif other != layer and other not in MAY_USE[layer]:
                fault = f'{layer} must not include "{name}" of {other}'
            else:
                fault = None
        if fault:
            yield line, fault


def call_faults(layer, text):
    code = SKIP.sub(blank, text)
    for match in (BANNED_CORE_RE if layer in CORE else BANNED_RE).finditer(code):
        yield code.count('\n', 0, match.start()) + 1, f'{match.group(1)}() is banned here'


def files(root):
    folders = [root / 'include' / 'fwswarm'] + sorted((root / 'src').glob('*'))
    folders += [root / name for name in ('peer', 'tracker', 'vendor-tool', 'sim')]
    for folder in folders:
        for path in sorted(folder.rglob('*')):
            if path.suffix in ('.c', '.h', '.def'):
                yield path


def main():
    if len(sys.argv) != 2:
        sys.exit('usage: layers.py ROOT')
    root = pathlib.Path(sys.argv[1]).resolve()
    count = faults = 0
    for path in files(root):
        count += 1
        layer = layer_of(root, path)
        text = path.read_text(encoding='utf-8')
        found = [(1, 'belongs to no layer: give it a line in tests/lint/layers.py')]
        if layer in MAY_USE:
            found = list(include_faults(root, path, layer, text)) + list(call_faults(layer, text))
        for line, fault in sorted(found):
            print(f'{path.relative_to(root)}:{line}: {fault}')
            faults += 1
    print(f'{count} files, {faults} violations')
    return 1 if faults or not count else 0


if __name__ == '__main__':
    sys.exit(main())
