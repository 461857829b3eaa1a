#!/usr/bin/env bash
# SIGKILL at 50 random moments of one download.  After each, the next start counts no block as held
# that is not there; nothing that was verified and committed is fetched twice; in the end the image
# is whole.
#
#   FWSWARM_SEED    of the moments (the time)
# also sanitized
# shellcheck source=tests/e2e/lib.bash
. "$(dirname "$0")/lib.bash"

kills=50 size=$((48 * 1048576 + 4321)) seed=${FWSWARM_SEED:-$(date +%s)}
fleet fleet v1
enrol fleet board d1
head -c $size /dev/urandom >image
sign fleet board 1.0 image

start v1 "$tracker" --listen 127.0.0.1:0 --lan off --up-rate 1500kB
verify=$(address_of v1)
holds published publish 1.0 image "$verify"
echo "seed $seed"
$python "$here/kill9.py" "$peer" d1 "$verify" image $kills "$seed" >moments 2>&1 || echo "not ok moments" >>moments
cat moments
! grep -q '^not ok' moments || failed=1

# All that ever left the verify node for the device, before it is asked to be quicker.
sent=$(status v1 "s['bytes_up']")
held=$(sed -n 's/.* held //p' moments)
holds verify-node-stops stop v1
start v1 "$tracker" --listen "$verify" --lan off
start d1 "$peer" --listen 127.0.0.1:0 --lan off --reserve 0 --tracker "$verify"
until_state completes d1 30 held
holds right-digest status d1 "r['digest'] == '$(sha256sum image | cut -c1-64)'"
holds right-file cmp image d1/data/images/*
sent=$((sent + $(status v1 "s['bytes_up']")))
echo "sent $sent of $size, $(((sent - size) / kills)) more a kill; $held blocks at the last kill"
# What a kill may cost: what was on the way to the device and what it had not committed.
holds fetched-once-but-for-what-was-on-the-way test $sent -le $((size + kills * 196608))
holds device-stops stop d1
holds verify-node-stops-again stop v1
close
