#!/usr/bin/env bash
# Headers: each compiles alone, so that nobody depends on the order of includes.
#
#   headers.sh ROOT [FLAG...]
#
# Public headers and those of the core see strict C11; headers of the hosts and of the programs see
# POSIX and GNU names as their sources do.  FLAGs go to the compiler (CC, else gcc).
set -euo pipefail

[ $# -ge 1 ] || { echo "usage: headers.sh ROOT [FLAG...]" >&2; exit 2; }
root=$(cd "$1" && pwd)
shift
cc=${CC:-gcc}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
count=0 failed=0

# compiles HEADER FLAG...
compiles() {
    local header=$1
    shift
    count=$((count + 1))
    printf '#include "%s"\n' "$header" >"$work/alone.c"
    # Unused static helpers are a header's right; a translation unit of nothing else is not.
    if ! "$cc" -std=c11 -Wall -Wextra -Wpedantic -Werror -Wno-unused-function -fsyntax-only \
        -I"$root/include" -I"$root/src" "$@" "$work/alone.c" 2>"$work/log"; then
        echo "${header#"$root"/} does not compile alone:"
        sed 's/^/    /' "$work/log"
        failed=$((failed + 1))
    fi
}

shopt -s nullglob
for header in "$root"/include/fwswarm/*.h; do
    compiles "$header" "$@"
done
for header in "$root"/src/*/*.h; do
    case $header in
    "$root"/src/store/* | "$root"/src/uv/* | "$root"/src/http/*)
        compiles "$header" -D_GNU_SOURCE "$@" ;;
    *) compiles "$header" "$@" ;;
    esac
done
for header in "$root"/{peer,tracker,vendor-tool,sim}/*.h; do
    compiles "$header" -D_GNU_SOURCE "$@"
done

[ "$count" -gt 0 ] || { echo "no headers under $root"; exit 1; }
echo "$count headers, $failed do not compile alone"
[ "$failed" = 0 ]
