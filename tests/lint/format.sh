#!/usr/bin/env bash
# Format: every C file is as clang-format would write it.
#
#   format.sh ROOT
#
# messages.def is a table and left as it was written.  Versions of clang-format differ in taste, so
# only 14 (Debian 12) judges; without it the test is skipped.
set -euo pipefail

[ $# = 1 ] || { echo "usage: format.sh ROOT" >&2; exit 2; }
cd "$1"
format=
for name in clang-format-14 clang-format; do
    if "$name" --version 2>/dev/null | grep -q 'version 14\.'; then
        format=$name
        break
    fi
done
[ -n "$format" ] || { echo "clang-format 14 is not there"; exit 77; }

folders=()
for folder in include src peer tracker vendor-tool sim tests; do
    [ -d "$folder" ] && folders+=("$folder")
done
mapfile -t files < <(find "${folders[@]}" -name '*.[ch]' | sort)
[ "${#files[@]}" -gt 0 ] || { echo "no files"; exit 1; }
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! "$format" --dry-run -Werror "${files[@]}" 2>"$log"; then
    grep -F 'error:' "$log" | cut -d: -f1 | sort | uniq -c | awk '{ print $2 ": " $1 " places" }'
    exit 1
fi
echo "${#files[@]} files"
