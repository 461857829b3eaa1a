#!/usr/bin/env bash
# Bad days: no space, a directory that cannot be written, somebody else's directory, a port that is
# taken, papers that do not fit, keys that others can read.  Each must be said in one line that
# names the thing and the mend, with the documented exit status; a node that runs goes on running.
# Needs root: the small and read-only file systems are mounts in a namespace of this script's own.
# also sanitized
[ -n "${FWSWARM_MOUNTS-}" ] || FWSWARM_MOUNTS=own exec unshare -m --propagation private bash "$0"
# shellcheck source=tests/e2e/lib.bash
. "$(dirname "$0")/lib.bash"
tidy() { umount -l "$work"/mnt-* 2>/dev/null; }

MIB=1048576
fleet fleet v1
fleet strangers
enrol fleet board d1 d2 d3 d4 full squeezed
enrol fleet other-board d5
enrol strangers board stranger
head -c $((16 * MIB)) /dev/urandom >image
sign fleet board 1.0 image

# refused NAME STATUS PATTERN DEVICE ARGUMENT...: does not start, and says one line why.
refused() {
    local name=$1 status=$2 pattern=$3 device=$4 got
    shift 4
    timeout 20 "$peer" run --device "$device" --lan off --log-level error "$@" >out 2>err </dev/null
    got=$?
    if [ $got = "$status" ] && [ "$(wc -l <err)" = 1 ] && grep -Eq "$pattern" err &&
        grep -q ' mend="' err && [ ! -s out ]; then
        pass "$name"
    else
        echo "    status $got, expected $status, one line with /$pattern/ and a mend"
        miss "$name" err
    fi
}
any=(--listen 127.0.0.1:0)

# small NAME SIZE: a file system of that size, in mnt-NAME.
small() {
    mkdir -p "mnt-$1"
    mount -t tmpfs -o "size=$2" "e2e-$1" "mnt-$1"
}

start v1 "$tracker" "${any[@]}" --lan off
verify=$(address_of v1)
holds published publish 1.0 image "$verify"

# ---- papers and keys ----
chmod 640 d1/node.key
refused key-readable 3 'd1/node.key err=exposed mend="chmod 600' d1 --data data1 "${any[@]}"
chmod 600 d1/node.key
mv d1/node.key kept
refused key-gone 3 'd1/node.key err=noent' d1 --data data1 "${any[@]}"
cp stranger/node.key d1/node.key
refused key-of-another 3 'file=node.cert .*err=' d1 --data data1 "${any[@]}"
mv kept d1/node.key
echo other-board >d1/model
refused model-edited 3 'file=model model=other-board err=model' d1 --data data1 "${any[@]}"
echo board >d1/model
cp d1/root.pub kept
cp stranger/root.pub d1/root.pub
refused root-of-another-fleet 3 'file=node.cert .*err=' d1 --data data1 "${any[@]}"
head -c 100 kept >d1/root.pub
refused root-cut 3 'file=root.pub err=truncated' d1 --data data1 "${any[@]}"
cp kept d1/root.pub
refused device-not-there 3 'nowhere/node.key err=noent' nowhere --data data1 "${any[@]}"
holds nothing-made test ! -e data1

# ---- directories ----
start d1 "$peer" "${any[@]}" --data data1 --lan off --tracker "$verify"
mkdir -p d1/data
ln -s ../../data1/control.sock d1/data/control.sock
until_state holds-it d1 20 held
refused directory-in-use 3 "data1/lock pid=${pid_of[d1]} mend=\"stop the other" d1 --data data1 \
    "${any[@]}"
port=$(sed -n 's/^127.0.0.1://p' data1/listen)
refused port-in-use 4 "addr=127.0.0.1:$port err=busy mend=\"choose another port" d2 --data data2 \
    --listen "127.0.0.1:$port"
refused address-not-ours 4 'addr=192.0.2.1:7654 .*mend="--listen must name an address' d2 \
    --data data2 --listen 192.0.2.1:7654
holds undisturbed runs d1
holds ends stop d1
refused directory-of-another-fleet 3 'data1 fleet=[0-9a-f]+ expected=[0-9a-f]+ mend=' stranger \
    --data data1 "${any[@]}"
refused directory-of-another-device 3 'data1 node=[0-9a-f]+ expected=[0-9a-f]+ mend=' d2 \
    --data data1 "${any[@]}"
: >plain
refused directory-is-a-file 3 'plain' d2 --data plain "${any[@]}"

small readonly 4M
mkdir mnt-readonly/data
mount -o remount,ro mnt-readonly
refused read-only 3 'mnt-readonly/data.* err=readonly' d2 --data mnt-readonly/data "${any[@]}"
refused read-only-new 3 'mnt-readonly/new.* err=readonly' d2 --data mnt-readonly/new "${any[@]}"

# ---- the wrong model ----
start d5 "$peer" "${any[@]}" --lan off --tracker "$verify"
within 20 linked d5
sleep 1
holds wrong-model-takes-nothing status d5 "s['images'] == [] and s['bytes_down'] == 0 and s['links']"
holds wrong-model-ends stop d5

# ---- no space for an image: refused by name before a byte is fetched ----
small full 24M
rm -rf full/data
ln -s ../mnt-full full/data
start full "$peer" "${any[@]}" --lan off --reserve 12MiB --tracker "$verify"
until_state full-refused full 20 refused
holds full-named status full "r['error'] == 'full' and r['size'] == $((16 * MIB))"
holds full-said grep -Eq 'ev=store.full .*needed=[0-9]+ reserve=12582912 free=[0-9]+ mend="free space' \
    full.log
holds full-fetched-nothing status full "s['bytes_down'] == 0 and r['blocks_have'] == 0"
holds full-runs status full "s['links']"
holds full-ends stop full
start full "$peer" "${any[@]}" --lan off --reserve 1MiB --tracker "$verify"
until_state full-mended full 20 held
holds full-mended-ends stop full

small tiny 32k
refused no-space-at-all 3 'mnt-tiny/data.*err=full.*mend="' d2 --data mnt-tiny/data "${any[@]}"

# ---- space for the image and not for the records about it ----
small squeezed 24M
head -c $((8 * MIB - 98304)) /dev/zero >mnt-squeezed/filler
rm -rf squeezed/data
ln -s ../mnt-squeezed squeezed/data
start squeezed "$peer" "${any[@]}" --lan off --reserve 0 --tracker "$verify"
within 20 status squeezed "r['state'] == 'refused'"
holds squeezed-refused status squeezed "r['state'] == 'refused' and r['error'] == 'full'"
holds squeezed-said grep -Eq 'lvl=error .*ev=store.* err=full .*mend="' squeezed.log
holds squeezed-runs status squeezed "s['links']"
holds squeezed-ends stop squeezed
rm mnt-squeezed/filler
start squeezed "$peer" "${any[@]}" --lan off --reserve 0 --tracker "$verify"
until_state squeezed-mended squeezed 20 held
holds squeezed-right status squeezed "r['digest'] == '$(sha256sum image | cut -c1-64)'"
holds squeezed-file cmp image mnt-squeezed/images/*
holds squeezed-mended-ends stop squeezed

# ---- a limit on the size of files ----
(
    ulimit -f 2048
    exec "$peer" run --device d3 --data d3/data "${any[@]}" --lan off --reserve 0 \
        --tracker "$verify" >>d3.log 2>&1 </dev/null
) &
pid_of[d3]=$!
until_state limited-refused d3 20 refused
holds limited-ends stop d3

# ---- nothing can be written for a while: what must not be forgotten is saved as soon as it can ----
start d4 "$peer" "${any[@]}" --lan off --tracker "$verify" --install /bin/true \
    --current-image "$peer" --current-version 0.9
until_state mute-pending d4 30 pending
prlimit --pid "${pid_of[d4]}" --fsize=0:unlimited
holds mute-confirm "$peer" confirm --data d4/data
sleep 1
prlimit --pid "${pid_of[d4]}" --fsize=unlimited:unlimited
sleep 7
kill -KILL "${pid_of[d4]}"
wait "${pid_of[d4]}" 2>/dev/null
start d4 "$peer" "${any[@]}" --lan off
within 20 status d4 "r['state']"
holds mute-saved-later status d4 "s['floor']['sequence'] == 1 and r['state'] == 'confirmed'"
holds mute-ends stop d4

# ---- commands ----
asked() { # NAME STATUS PATTERN ARGUMENT...
    local name=$1 status=$2 pattern=$3 got
    shift 3
    "$peer" "$@" >out 2>err </dev/null
    got=$?
    if [ $got = "$status" ] && [ "$(wc -l <err)" = 1 ] && grep -Eq "$pattern" err; then
        pass "$name"
    else
        echo "    status $got, expected $status and one line with /$pattern/"
        miss "$name" err
    fi
}
asked nobody-runs 5 'data1: no node runs on this directory' status --data data1
asked no-directory 5 'nowhere: no node runs' status --data nowhere
asked no-verb 2 'fly: no such verb' fly
asked no-flag 2 'no-such' run --no-such
asked no-device 2 'device' run --data data1
asked bad-rate 2 'up-rate' run --device d1 --data data1 --up-rate fast
asked bad-version 2 'current-version' run --device d1 --data data1 --current-version 'a b'
asked tracker-as-peer 3 'role verify: run it with fwswarm-tracker' run --device v1 --data data9 \
    --log-level error
close
