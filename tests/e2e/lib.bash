# shellcheck shell=bash
# What the end-to-end scripts share: a directory to work in, the programs, a fleet, processes that
# are ended by their own script, waiting, and the lines `ok NAME` and `not ok NAME`.  Sourced by
# them; the working directory is then the temporary one.
#
#   FWSWARM_BUILD   the build directory whose programs are tested (build)
set -u
umask 022

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
build=$(realpath "${FWSWARM_BUILD:-$here/../../build}")
vendor=$build/vendor-tool/fwswarm-vendor
tracker=$build/tracker/fwswarm-tracker
peer=$build/peer/fwswarm-peer
python=/usr/bin/python3
for program in "$vendor" "$tracker" "$peer"; do
    [ -x "$program" ] || { echo "not ok program: $program is not there"; exit 1; }
done

failed=0
pass() { echo "ok $1"; }

# miss NAME [FILE...]: the files are what explains it.
miss() {
    local file
    echo "not ok $1"
    failed=1
    shift
    for file in "$@"; do
        echo "    --- $file"
        tail -n 40 "$file" 2>/dev/null | sed 's/^/    /'
    done
}

# holds NAME COMMAND...: a fact.
holds() {
    local name=$1
    shift
    if "$@" >out2 2>&1; then pass "$name"; else miss "$name" out2; fi
}

# ---- processes ----
declare -A pid_of=()

finish() {
    local name
    for name in "${!pid_of[@]}"; do kill -KILL "${pid_of[$name]}" 2>/dev/null; done
    wait 2>/dev/null
    cd /
    if type -t tidy >/dev/null; then tidy; fi
    rm -rf "$work"
}
work=$(mktemp -d "${TMPDIR:-/tmp}/fwswarm-e2e-XXXXXX")
trap finish EXIT
trap 'exit 1' INT TERM HUP
cd "$work" || exit 1

# Words before a program: `inside=(ip netns exec NAME)` starts it in a namespace.
inside=()

# start NAME PROGRAM ARGUMENT...: a node, with device directory NAME and data in NAME/data.
start() {
    local name=$1 program=$2
    shift 2
    rm -f "$name/data/listen"
    ${inside[@]+"${inside[@]}"} "$program" run --device "$name" --data "$name/data" "$@" \
        </dev/null >>"$name.log" 2>&1 &
    pid_of[$name]=$!
}

# Asks for its end, and waits for it: the status of the process.
stop() {
    local pid=${pid_of[$1]}
    kill -TERM "$pid" 2>/dev/null
    ended "$1"
}

# ended NAME: waits for the end of a process, and gives its exit status.
ended() {
    local pid=${pid_of[$1]} status
    wait "$pid"
    status=$?
    unset "pid_of[$1]"
    return $status
}

runs() { kill -0 "${pid_of[$1]}" 2>/dev/null; }

# within SECONDS COMMAND...: until it succeeds.
within() {
    local end=$((SECONDS + $1 + 1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $end ] || return 1
        sleep 0.1
    done
}

# The address that a node listens on, once it does.
address_of() {
    within 20 test -s "$1/data/listen" || return 1
    head -n 1 "$1/data/listen"
}

# status NAME EXPRESSION: a Python expression over its status `s`; `r` is its newest release, or
# an empty one.
status() {
    "$peer" status --data "$1/data" --json 2>/dev/null | $python -c '
import json, sys
s = json.load(sys.stdin)
r = next((i for i in s["images"] if i["newest"]), {})
value = eval("(" + sys.argv[1] + ")")
print(value)
sys.exit(not value)' "$2" 2>/dev/null
}

# in_state NAME STATE: of its newest release.
in_state() { status "$1" "r.get('state') == '$2'"; }
linked() { status "$1" "len([l for l in s['links'] if l['ready']]) > 0"; }

# until_state NAME WHO SECONDS STATE: the test NAME is that it gets there.
until_state() {
    if within "$3" in_state "$2" "$4"; then
        pass "$1"
    else
        miss "$1" "$2.log"
    fi
}

# ---- fleets ----

# fleet DIR VERIFY-DIR... : a fleet with these verify nodes.
fleet() {
    local dir=$1 out=()
    shift
    "$vendor" fleet create "$dir" --no-password >/dev/null || exit 1
    for name in "$@"; do out+=(--out "$name"); done
    if [ $# -gt 0 ]; then
        "$vendor" device enrol "$dir" --role verify "${out[@]}" >/dev/null 2>&1 || exit 1
    fi
}

# enrol FLEET MODEL DIR...: devices.
enrol() {
    local fleet=$1 model=$2 out=() name
    shift 2
    for name in "$@"; do out+=(--out "$name"); done
    "$vendor" device enrol "$fleet" --role normal --model "$model" "${out[@]}" >/dev/null || exit 1
}

# sign FLEET MODEL VERSION IMAGE: to VERSION.suit.
sign() {
    "$vendor" release sign "$1" --model "$2" --version "$3" --image "$4" --out "$3.suit" \
        >/dev/null || exit 1
}

publish() {
    ${inside[@]+"${inside[@]}"} "$vendor" release publish "$1.suit" --image "$2" --to "$3" \
        >publish.log 2>&1
}

# The end of a script: its exit status.
close() {
    exit $failed
}
