#!/usr/bin/env bash
# Publishing to a running fleet: a release, the same image signed again, an upload that breaks off,
# a withdrawal, a revocation, and each of them twice.  One verify node and devices on loopback; what
# was moved is read from their own counters.
# also sanitized
# shellcheck source=tests/e2e/lib.bash
. "$(dirname "$0")/lib.bash"

MIB=1048576
any=(--listen 127.0.0.1:0 --lan off)

# hands NAME ARGUMENT...: a `release publish` that must work; what it said stays in `said`.
hands() {
    local name=$1
    shift
    if timeout 60 "$vendor" release publish "$@" --to "$verify" >said 2>err </dev/null; then
        pass "$name"
    else
        miss "$name" err v1.log
    fi
}

# refused NAME STATUS PATTERN ARGUMENT...: one that must not, and says why in one line.
refused() {
    local name=$1 status=$2 pattern=$3 got
    shift 3
    timeout 20 "$vendor" release publish "$@" --to "$verify" >said 2>err </dev/null
    got=$?
    if [ $got = "$status" ] && [ "$(wc -l <err)" = 1 ] && grep -Eq -e "$pattern" err &&
        [ ! -s said ]; then
        pass "$name"
    else
        echo "    status $got, expected $status and one line with /$pattern/"
        miss "$name" err
    fi
}

vendors() { "$vendor" "$@" >out 2>err </dev/null || miss "fwswarm-vendor $*" out err; }
said() { grep -Eq -e "$1" said; }
# eventually NAME WHO SECONDS EXPRESSION: its status comes to be so.
eventually() {
    if within "$3" status "$2" "$4"; then pass "$1"; else miss "$1" "$2.log"; fi
}
value() { status "$1" "$2" 2>/dev/null | head -n 1; }
# same WHO FACTS: publishing twice left it as it was.
same() { [ -n "$2" ] && [ "$(facts "$1")" = "$2" ]; }
facts() {
    status "$1" "[s['bytes_down'], s['root_version'], s['revocation_root'],
        s['revocation_version'], [(i['manifest'], i['state'], i['blocks_have'],
        i['bytes_peer'] + i['bytes_origin'] + i['bytes_wasted']) for i in s['images']]]"
}
all_hold() { # VERSION WHO...
    local version=$1 who
    shift
    for who in "$@"; do
        within 40 status "$who" "r['version'] == '$version' and r['state'] == 'held'" || return 1
    done
}
index_of() { cat "$1.index"; }
# killed NAME: as by a power cut; its status is that of the process.
killed() {
    kill -KILL "${pid_of[$1]}"
    ended "$1" 2>/dev/null
}
# uploads FILE.suit IMAGE: in the background, slowly enough to be broken off.
uploads() {
    TMPDIR=$work "$vendor" release publish "$1" --image "$2" --to "$verify" --up-rate 2MB \
        >said 2>err </dev/null &
    pid_of[publisher]=$!
}

fleet fleet v1
for device in d1 d2 d3; do
    vendors device enrol fleet --role normal --model board --serial "SN-$device" --out "$device"
done
vendors device list fleet --json
$python -c 'import json
for d in json.load(open("out")):
    if d["serial"].startswith("SN-"):
        open(d["serial"][3:] + ".index", "w").write(str(d["index"]))'
head -c $((3 * MIB + 77)) /dev/urandom >image1
head -c $((8 * MIB)) /dev/urandom >image2
head -c $((8 * MIB + 4097)) /dev/urandom >image3
digest1=$(sha256sum <image1 | cut -c1-64)
sign fleet board 1.0 image1

start v1 "$tracker" "${any[@]}"
verify=$(address_of v1)
for device in d1 d2; do start $device "$peer" "${any[@]}" --tracker "$verify"; done
for device in d1 d2; do within 20 linked $device; done

# ---- a release ----
hands release 1.0.suit --image image1
holds release-said said "^$verify holds $digest1\$"
holds release-reaches all_hold 1.0 v1 d1 d2
before=$(facts v1)
hands release-twice 1.0.suit --image image1
holds release-twice-said said "^$verify holds $digest1\$"
holds release-twice-changes-nothing same v1 "$before"

# ---- the same image under a new root ----
declare -A down=()
for who in v1 d1 d2; do down[$who]=$(value $who "s['bytes_down']"); done
vendors root rotate fleet
vendors release sign fleet --model board --version 1.0 --image image1 --out again.suit
holds again-differs test "$(cmp 1.0.suit again.suit >/dev/null; echo $?)" = 1
begun=$SECONDS
hands again again.suit --image image1
holds again-said said "^$verify holds $digest1\$"
for who in v1 d1 d2; do
    eventually again-held-$who $who 10 "r['root_version'] == $(value v1 "s['root_version']") and
        r['state'] == 'held' and r['digest'] == '$digest1'"
    holds again-moved-nothing-$who status $who "s['bytes_down'] == ${down[$who]}"
done
holds again-at-once test $((SECONDS - begun)) -le 10
holds again-one-image test "$(find d1/data/images -type f | wc -l)" = 1

# ---- an upload that breaks off ----
sign fleet board 2.0 image2
uploads 2.0.suit image2
within 20 status v1 "r['version'] == '2.0' and r['blocks_have'] >= 150"
killed publisher
holds broken-off test $? = 137
within 5 status v1 "not [l for l in s['links'] if l['role'] == 'publisher']"
sleep 0.5
had=$(value v1 "r['blocks_have']")
got=$(value v1 "r['bytes_peer'] + r['bytes_origin']")
holds broken-off-in-the-middle test "$had" -ge 150 -a "$had" -lt 480
uploads 2.0.suit image2
within 20 status v1 "r['blocks_have'] >= $had + 50"
stop publisher
holds stopped-status test $? = 4
holds stopped-said grep -q "$verify: broken off: publish again; what it has is not sent twice" err
holds stopped-leaves-nothing test -z "$(find . -path './fwswarm-*' -newer said -name db)"
hands resumed 2.0.suit --image image2
holds resumed-held all_hold 2.0 v1
rest=$(($(value v1 "r['bytes_peer'] + r['bytes_origin'] + r['bytes_wasted']") - got))
expected=$((8 * MIB - had * 16384))
echo "    $had of 512 blocks were there; $rest bytes came after, $expected were missing"
holds resumed-the-rest test $rest -ge $expected -a $rest -le $((expected + 4 * 16384))
holds resumed-reaches all_hold 2.0 d1 d2

# ---- a verify node that is started again in the middle of an upload ----
sign fleet board 3.0 image3
uploads 3.0.suit image3
within 20 status v1 "r['version'] == '3.0' and r['blocks_have'] >= 150"
killed v1
start v1 "$tracker" --listen "$verify" --lan off
ended publisher
holds restarted-goes-on test $? = 0
holds restarted-said said "^$verify holds $(sha256sum <image3 | cut -c1-64)\$"
holds restarted-resumed status v1 "r['version'] == '3.0' and r['state'] == 'held' and
    100 * 16384 <= r['bytes_resumed'] < r['size'] and
    r['bytes_resumed'] + r['bytes_peer'] + r['bytes_origin'] <= r['size'] + 16384"
holds restarted-reaches all_hold 3.0 d1 d2

# ---- a withdrawal ----
vendors release withdraw fleet 3.0.suit --out 3.0.stop
holds withdraw-says-how grep -q 'release publish 3.0.stop --to ADDR:PORT' err
hands stop 3.0.stop
holds stop-said said "^$verify holds the withdrawal of $(value v1 "r.get('manifest') or
    [i for i in s['images'] if i['version'] == '3.0'][0]['manifest']")\$"
stopped="[i['state'] for i in s['images'] if i['version'] == '3.0'] == ['withdrawn'] and not r"
for who in v1 d1 d2; do
    eventually stopped-$who $who 5 "$stopped"
    holds stopped-deleted-$who test -z "$(find $who/data/images -type f)"
done
start d3 "$peer" "${any[@]}" --tracker "$verify"
within 20 linked d3
sleep 2
holds stopped-not-fetched status d3 "s['bytes_down'] == 0 and not r"
before=$(facts v1)
hands stop-twice 3.0.stop
holds stop-twice-changes-nothing same v1 "$before"
refused stopped-not-published 1 '3.0.suit: withdrawn by the vendor: sign the image again' \
    3.0.suit --image image3
for who in v1 d1; do killed $who; done
start v1 "$tracker" --listen "$verify" --lan off
start d1 "$peer" "${any[@]}" --tracker "$verify"
for who in v1 d1; do eventually stopped-after-restart-$who $who 10 "$stopped"; done
refused stop-with-image 2 'a withdrawal has no image' 3.0.stop --image image3
sign fleet board 3.1 image3
hands after-stop 3.1.suit --image image3
holds after-stop-reaches all_hold 3.1 v1 d1 d2 d3
refused older 4 "$verify: does not take the release: .*no newer one of board" 2.0.suit \
    --image image2 --timeout 3

# ---- a device that is shut out ----
theirs="[l['index'] for l in s['links'] if l['ready']]"
for who in v1 d1; do eventually d2-linked-$who $who 20 "$(index_of d2) in $theirs"; done
vendors device revoke fleet --serial SN-d2
holds revoke-says-how grep -q 'release publish --fleet fleet --to ADDR:PORT' err
hands revoked --fleet fleet
holds revoked-said said "^$verify holds revocation list 3.1, or a newer one\$"
holds revoked-said-root said "^$verify holds root 3, or a newer one\$"
for who in v1 d1 d3; do
    eventually revoked-shut-$who $who 5 "$(index_of d2) not in $theirs"
    eventually revoked-known-$who $who 5 "s['revocation_version'] == 1"
done
eventually revoked-alone d2 5 "not s['links']"
again_linked=0
for _ in $(seq 40); do
    for who in v1 d1 d3; do
        status $who "$(index_of d2) in $theirs" >/dev/null && again_linked=1
    done
    sleep 0.1
done
holds revoked-stays-out test $again_linked = 0
stop d2
stopped_at=$(wc -l <v1.log)
start d2 "$peer" "${any[@]}" --tracker "$verify"
sign fleet board 4.0 image1
hands revoked-next 4.0.suit --image image1
holds revoked-next-list said "^$verify holds revocation list 3.1, or a newer one\$"
holds revoked-next-reaches all_hold 4.0 v1 d1 d3
sleep 2
tried() { tail -n "+$stopped_at" v1.log | grep -q 'ev=link.handshake .*err=revoked'; }
within 10 tried
holds revoked-is-told-so tried
holds revoked-learns-nothing status d2 "not s['links'] and r.get('version') != '4.0'"
before=$(facts v1)
hands revoked-twice --revocations fleet/revocations.bin
holds revoked-twice-changes-nothing same v1 "$before"

# ---- papers that are out of date, or not whole ----
refused nothing-given 2 'needs FILE.suit, FILE.stop, --revocations FILE or --fleet DIR'
refused image-alone 2 'needs the FILE.suit that signs it' --image image1
refused suit-alone 2 '4.0.suit: needs --image' 4.0.suit
head -c 60 fleet/revocations.bin >cut.bin
refused list-cut 1 'cut.bin: ' --revocations cut.bin --fleet fleet
cp fleet/revocations.bin whole.bin
cp cut.bin fleet/revocations.bin
refused list-cut-in-place 1 'fleet/revocations.bin: .*`device revoke fleet`' --fleet fleet
hands list-cut-holds-nothing-up 4.0.suit --image image1
holds list-cut-warned grep -q 'warning: ./fleet/revocations.bin: .*it does not go along' err
cp whole.bin fleet/revocations.bin
fleet strangers
refused list-of-others 1 'belongs to another fleet' --revocations fleet/revocations.bin \
    --fleet strangers
refused other-fleet 4 "$verify: hangs up at the first word: .* of this fleet" --fleet strangers
cp -r fleet stale
vendors key create fresh --kind release --no-password
vendors key create herald --kind publisher --no-password
vendors root rotate fleet --add-release-key fresh.pub --drop-release-key fleet/keys/release.pub
hands roots --fleet fleet
eventually roots-known d1 10 "s['root_version'] == 4"
vendors release sign stale --model board --version 5.0 --image image2 --out 5.0.suit
refused stale-signature 1 "$verify: holds newer roots, by which this is not signed" 5.0.suit \
    --image image2 --fleet stale
vendors root rotate fleet --add-publisher-key herald.pub \
    --drop-publisher-key fleet/keys/publisher.pub
hands herald --fleet fleet --key herald.key
refused stale-publisher 1 "$verify: holds newer roots, which do not list this publisher" \
    --fleet stale
for who in v1 d1 d2 d3; do holds "$who-ends" stop $who; done
close
