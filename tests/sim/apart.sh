#!/usr/bin/env bash
# What builds the simulator by itself: one trace hash from each compiler, and planted faults, four of
# them in turn, of which each must be caught.
set -uo pipefail

here=$(cd "$(dirname "$0")" && pwd)
status=0
python3 "$here/same.py" || status=1
python3 "$here/planted.py" --rotate 4 || status=1
exit "$status"
