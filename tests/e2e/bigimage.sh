#!/usr/bin/env bash
# An image over 4 GiB: signed, shown and checked with its whole size, and refused by name, before a
# byte of it is fetched, by nodes that have no room for it.  The image is a sparse file; nodes keep
# their data on small file systems, mounts in a namespace of this script's own (needs root).
[ -n "${FWSWARM_MOUNTS-}" ] || FWSWARM_MOUNTS=own exec unshare -m --propagation private bash "$0"
# shellcheck source=tests/e2e/lib.bash
. "$(dirname "$0")/lib.bash"
tidy() { umount -l "$work"/mnt-* 2>/dev/null; }

block=16384
size=$((4 * 1024 * 1024 * 1024 + 5 * block + 7))
fleet fleet v1
enrol fleet board d1
truncate -s $size image
# Three blocks that differ: the first, the last whole one, and one across the 4 GiB mark.
for at in 0 $((4 * 1024 * 1024 * 1024 - 100)) $((size - block - 7)); do
    head -c $block /dev/urandom | dd of=image bs=64K oflag=seek_bytes seek=$at conv=notrunc status=none
done
holds sparse test "$(du -k image | cut -f1)" -lt 1024

# The same with one bit changed, beyond what 32 bits count.
cp --sparse=always image changed
printf '\1' | dd of=changed bs=64K oflag=seek_bytes seek=$((4 * 1024 * 1024 * 1024 + 40000)) \
    conv=notrunc status=none

# Hashing takes seconds: two at a time.
sha256sum image >sum &
pid_of[sum]=$!
holds signed "$vendor" release sign fleet --model board --version 4.4 --image image --out 4.4.suit
ended sum
"$vendor" release show 4.4.suit --json >shown
shows() { $python -c 'import json, sys
r = json.load(open("shown"))
sys.exit(not eval("(" + sys.argv[1] + ")"))' "$1"; }
holds size-shown shows "r['size'] == $size"
holds digest-shown shows "r['digest'] == '$(cut -c1-64 sum)'"
holds pieces-shown shows "512 <= r['size'] / r['piece_length'] <= 2048 and
    r['piece_length'] & (r['piece_length'] - 1) == 0"
"$vendor" release verify 4.4.suit --fleet fleet --image changed >changed.log 2>&1 &
pid_of[changed]=$!

# ---- nodes without room ----
for name in v1 d1; do
    mkdir mnt-$name
    mount -t tmpfs -o size=64M e2e-$name mnt-$name
    rm -rf $name/data
    ln -s ../mnt-$name $name/data
done
start v1 "$tracker" --listen 127.0.0.1:0 --lan off
verify=$(address_of v1)
start d1 "$peer" --listen 127.0.0.1:0 --lan off --tracker "$verify"
# It hashes the image, which proves it whole, and hands the manifest over.
"$vendor" release publish 4.4.suit --image image --to "$verify" --timeout 20 >out 2>err &
pid_of[publish]=$!
for node in v1 d1; do
    until_state refused-$node $node 180 refused
    holds refused-by-name-$node status $node "r['error'] == 'full' and r['size'] == $size"
    holds refused-needed-$node grep -Eq "ev=store.full .*needed=$size .*mend=" $node.log
    holds refused-unfetched-$node status $node "s['bytes_down'] == 0 and r['blocks_have'] == 0"
    holds refused-runs-$node runs $node
done
holds refused-nothing-kept test "$(du -sk mnt-d1 | cut -f1)" -lt 4096
kill "${pid_of[publish]}" 2>/dev/null
ended publish
ended changed
holds changed-beyond-4g-refused test $? = 1
holds changed-beyond-4g-said grep -q 'changed: ' changed.log
holds stops-d1 stop d1
holds stops-v1 stop v1
close
