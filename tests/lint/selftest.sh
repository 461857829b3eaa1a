#!/usr/bin/env bash
# Each lint must be able to fail: small trees with one planted violation each, and a clean one.
#
#   selftest.sh
#
# Prints a line for each case; exits with 1 when a violation went unseen or a clean tree was refused.
#
# Functions are called by name, through finds and passes:
# shellcheck disable=SC2317
set -uo pipefail

here=$(cd "$(dirname "$0")" && pwd)
cc=${CC:-gcc}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

verdict() {
    if [ "$1" = yes ]; then
        echo "ok $2"
    else
        echo "not ok $2"
        sed 's/^/    /' "$work/log"
        failed=1
    fi
}

# finds NAME PATTERN COMMAND...: fails, and says PATTERN.
finds() {
    local name=$1 pattern=$2
    shift 2
    if ! "$@" >"$work/log" 2>&1 && grep -Eq -e "$pattern" "$work/log"; then
        verdict yes "$name"
    else
        verdict no "$name"
    fi
}

# passes NAME COMMAND...
passes() {
    local name=$1
    shift
    if "$@" >"$work/log" 2>&1; then verdict yes "$name"; else verdict no "$name"; fi
}

# A small clean tree in $tree.
plant() {
    tree=$work/tree
    rm -rf "$tree"
    mkdir -p "$tree"/include/fwswarm "$tree"/src/{base,crypto,link,node,store,uv} "$tree"/peer
    printf '#pragma once\n\n#include <stdint.h>\n' >"$tree/include/fwswarm/bytes.h"
    printf '#pragma once\n\n#include "fwswarm/bytes.h"\n' >"$tree/include/fwswarm/node.h"
    printf '#pragma once\n\n#include "fwswarm/bytes.h"\n' >"$tree/include/fwswarm/link.h"
    printf '#include "fwswarm/bytes.h"\n\n#include <string.h>\n\n/* time() */\n' \
        >"$tree/src/base/bytes.c"
    printf '#include "fwswarm/node.h"\n\n#include "fwswarm/bytes.h"\n' >"$tree/src/node/node.c"
    printf '#include "fwswarm/node.h"\n\n#include <stdlib.h>\n' >"$tree/peer/main.c"
}

add() { printf '%s\n' "$2" >>"$tree/$1"; }

layers() { python3 "$here/layers.py" "$tree"; }

plant
passes "layers: a clean tree" layers
add src/base/bytes.c '#include "fwswarm/node.h"'
finds "layers: base includes a header of node" 'bytes.c:6: base must not include' layers
plant
add include/fwswarm/bytes.h '#include "../../src/node/inner.h"'
add src/node/inner.h '#pragma once'
finds "layers: a public header includes upward" 'bytes.h:4: base must not include' layers
plant
add src/node/node.c '#include "fwswarm/link.h"'
finds "layers: node includes link" 'node must not include' layers
plant
add src/node/node.c '#include <time.h>'
finds "layers: the core includes time.h" 'not for the core' layers
plant
add src/node/node.c '#include <sodium.h>'
finds "layers: libsodium outside crypto" 'sodium.h> is for' layers
plant
add include/fwswarm/stray.h '#pragma once'
finds "layers: a header of no layer" 'stray.h:1: belongs to no layer' layers
plant
add peer/main.c 'void f(char *s, char *t) { strcpy(s, t); }'
finds "layers: strcpy in a program" 'strcpy\(\) is banned' layers
plant
add peer/main.c 'void *f(void) { return malloc(1); }'
passes "layers: malloc in a program" layers
add src/base/bytes.c 'void *f(void) { return malloc(1); }'
finds "layers: malloc in the core" 'bytes.c:6: malloc\(\) is banned' layers
plant
add src/base/bytes.c '#include "fwswarm/gone.h"'
finds "layers: a header that is not there" 'is not there' layers
rm -rf "$tree"
mkdir "$tree"
finds "layers: nothing to read" '^0 files' layers

# archive SOURCE...: one object of each line of C.
archive() {
    local n=0 line
    lib=$(mktemp -d -p "$work")
    for line in "$@"; do
        n=$((n + 1))
        printf '%s\n' "$line" >"$lib/part$n.c"
        "$cc" -std=c11 -O1 -fPIE -c "$lib/part$n.c" -o "$lib/part$n.o" || failed=1
    done
    ar crs "$lib/core.a" "$lib"/*.o
}

purity() { "$here/purity.sh" "$@" "$lib/core.a"; }

pure='#include <string.h>
int twice(int); int g(const char *s) { static const char *const t[] = {"a", "b"}; return twice((int)strlen(t[s[0] & 1])); }'
own='int twice(int x) { return 2 * x; }'
archive "$pure" "$own"
passes "purity: clean objects" purity
archive "$pure" "$own" '#include <time.h>
long now(void) { return (long)time(NULL); }'
finds "purity: an object that calls time()" 'part3.o: needs time,' purity
finds "purity: the same, instrumented" 'part3.o: needs time,' purity --instrumented
archive "$pure" "$own" 'void *malloc(unsigned long); void *f(void) { return malloc(3); }'
finds "purity: an object that allocates" 'part3.o: needs malloc,' purity
archive 'int crypto_box_seal(void); int f(void) { return crypto_box_seal(); }'
finds "purity: a function of libsodium that draws randomness" 'needs crypto_box_seal,' purity
archive 'void *EVP_MD_fetch(void); void *f(void) { return EVP_MD_fetch(); }'
finds "purity: a function of libcrypto that fetches" 'needs EVP_MD_fetch,' purity
archive 'int f(void) { static int n; return ++n; }'
finds "purity: a counter between calls" 'static data that can change' purity
archive 'int n = 3; int f(void) { return ++n; }'
finds "purity: a global variable" 'n is static data that can change' purity
archive 'static _Thread_local int n; int f(void) { return ++n; }'
finds "purity: a thread-local variable" 'n is static data that can change' purity
archive 'void __asan_report_load4(void); void f(void) { __asan_report_load4(); }'
finds "purity: a sanitizer's call in an ordinary build" 'needs __asan_report_load4,' purity
passes "purity: a sanitizer's call in an instrumented build" purity --instrumented

headers() { "$here/headers.sh" "$tree"; }
plant
passes "headers: a clean tree" headers
add include/fwswarm/node.h 'size_t node_size(void);'
finds "headers: one that needs another before it" 'node.h does not compile alone' headers
plant
add src/base/inner.h 'void f(struct late *l);'
finds "headers: a private one with a warning" 'inner.h does not compile alone' headers

format() { "$here/format.sh" "$tree"; }
plant
cp "$here/../../.clang-format" "$tree/"
format >"$work/log" 2>&1
if [ $? = 77 ]; then
    echo "ok format: not judged, clang-format 14 is not there"
else
    passes "format: a clean tree" format
    add src/node/node.c 'int  f( void ){return 1;}'
    finds "format: a line of another taste" 'src/node/node.c: [0-9]+ places' format
fi

exit $failed
