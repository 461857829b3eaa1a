#!/bin/bash
# The vendor's tool from the first key to the last withdrawal, as its user sees it: commands, files,
# exit statuses and one-line errors.  Prints `ok NAME` or `not ok NAME` for each check and exits
# with 1 when any failed.
#
#   FWSWARM_VENDOR    the program (build/vendor-tool/fwswarm-vendor)
#   FWSWARM_TRACKER   a verify node to publish to (beside it; without one, publishing is not tried)
set -u

here=$(cd "$(dirname "$0")" && pwd)
vendor=${FWSWARM_VENDOR:-$here/../../build/vendor-tool/fwswarm-vendor}
vendor=$(realpath "$vendor")
work=$(mktemp -d)
node=
trap '[ -z "$node" ] || kill "$node"; wait; rm -rf "$work"' EXIT
cd "$work" || exit 1
failed=0
umask 022

[ -x "$vendor" ] || { echo "not ok program: $vendor is not there"; exit 1; }

pass() { echo "ok $1"; }
miss() {
    echo "not ok $1"
    sed 's/^/    /' out err 2>/dev/null
    failed=1
}

# works NAME COMMAND...: exits 0.  Its output stays in `out` and `err`.
works() {
    local name=$1
    shift
    if "$@" >out 2>err </dev/null; then pass "$name"; else miss "$name"; fi
}

# refuses NAME STATUS PATTERN COMMAND...: exits with STATUS, says one line on standard error that
# begins with the program's name and matches PATTERN, and nothing of a crash.
refuses() {
    local name=$1 status=$2 pattern=$3 got
    shift 3
    "$@" >out 2>err </dev/null
    got=$?
    if [ "$got" = "$status" ] && [ "$(wc -l <err)" = 1 ] && grep -q '^fwswarm-vendor: ' err &&
        grep -Eq -e "$pattern" err; then
        pass "$name"
    else
        echo "    status $got, expected $status and /$pattern/"
        miss "$name"
    fi
}

# holds NAME COMMAND...: a fact about the files.
holds() {
    local name=$1
    shift
    if "$@" >out2 2>&1; then pass "$name"; else miss "$name"; fi
}

said() { grep -Eq -e "$1" "$2"; }
mode_is() { [ "$(stat -c %a "$2")" = "$1" ]; }
differ() { ! cmp -s "$1" "$2"; }
json() { /usr/bin/python3 -c "
import json, sys
r = json.load(open(sys.argv[1]))
sys.exit(0 if ($2) else 1)" "$1"; }
tree_root() { /usr/bin/python3 - "$1" <<'PY'
import hashlib, sys
data = open(sys.argv[1], "rb").read()
layer = [hashlib.sha256(data[i:i + 16384]).digest() for i in range(0, len(data), 16384)]
while len(layer) & (len(layer) - 1):
    layer.append(bytes(32))
while len(layer) > 1:
    layer = [hashlib.sha256(layer[i] + layer[i + 1]).digest() for i in range(0, len(layer), 2)]
print(layer[0].hex())
PY
}

head -c 1000003 /dev/urandom >image
head -c 1000003 /dev/urandom >image2
printf 'right\nsecond line\n' >password
printf 'wrong\n' >wrong
: >empty

# ---- a fleet of one person ----
works create "$vendor" fleet create one --no-password
holds create-key-mode mode_is 600 one/keys/release.key
holds create-root-public mode_is 644 one/root.pub
refuses create-twice 1 'one/root.pub: exists already: .*another directory' \
    "$vendor" fleet create one --no-password
works create-other "$vendor" fleet create other --no-password
holds create-fleets-differ differ one/root.pub other/root.pub
refuses create-needs-password 3 'no terminal .*--no-password' setsid -w "$vendor" fleet create none
holds create-no-remains test ! -e none/root.pub
refuses create-threshold-above 2 'threshold 3: more than --signers 2' \
    "$vendor" fleet create none --signers 2 --threshold 3 --no-password
refuses create-signers-none 2 'signers 0: no number from 1' \
    "$vendor" fleet create none --signers 0 --no-password
works fleet-show "$vendor" fleet show one --json
holds fleet-show-fields json out "r['root_version'] == 1 and r['release']['threshold'] == 1 and
    len(r['fleet']) == 64 and r['enrol']['keys'][0]['last'] == 4095"
works fleet-show-file "$vendor" fleet show one/root.pub
refuses fleet-show-absent 3 'nowhere: does not exist' "$vendor" fleet show nowhere
head -c 100 one/root.pub >cut.pub
refuses fleet-show-cut 1 'cut.pub: ends too early' "$vendor" fleet show cut.pub
cat one/root.pub other/root.pub >mixed.pub
refuses fleet-show-mixed 1 'mixed.pub: belongs to another fleet' "$vendor" fleet show mixed.pub

# ---- signing ----
sign="release sign one --model gw --vendor Example"
works sign "$vendor" $sign --version 1.0 --image image --out a.suit
works sign-again "$vendor" $sign --version 1.0 --image image --out b.suit
holds sign-same-bytes cmp a.suit b.suit
works sign-sequence "$vendor" $sign --version 1.0 --image image --sequence 1 --out c.suit
holds sign-sequence-same-bytes cmp a.suit c.suit
works show "$vendor" release show a.suit --json
digest=$(sha256sum <image | cut -d' ' -f1)
root=$(tree_root image)
fleet=$("$vendor" fleet show one --json | sed -n 's/.*"fleet": "\(.*\)".*/\1/p')
signer=$(sed -n 's/^public: //p' one/keys/release.pub)
holds show-fields json out "r['model'] == 'gw' and r['version'] == '1.0' and r['sequence'] == 1 and
    r['size'] == 1000003 and r['digest'] == '$digest' and r['root'] == '$root' and
    r['piece_length'] == 16384 and r['signers'] == ['$signer'] and r['fleet'] == '$fleet' and
    r['root_version'] == 1 and len(r['manifest']) == 64 and r['vendor'] == 'Example'"
works show-text "$vendor" release show a.suit
holds show-text-digest said "^digest +$digest" out
works sign-next "$vendor" $sign --version 1.1 --image image2 --out next.suit
holds sign-next-sequence said 'sequence 2' out
works sign-old-again "$vendor" $sign --version 1.0 --image image --sequence 1 --out d.suit
holds sign-old-warned said 'warning: --sequence 1: .* sequence 2' err
holds sign-old-same-bytes cmp a.suit d.suit
works sign-after-old "$vendor" $sign --version 1.2 --image image2 --out third.suit
holds sign-after-old-sequence said 'sequence 3' out
works sign-model-own-row "$vendor" release sign one --model cam --version 1.0 --image image \
    --out cam.suit
holds sign-model-own-sequence said 'sequence 1' out
refuses sign-sequence-taken 1 'sequence 1: belongs to version 1.0' \
    "$vendor" $sign --version 9 --image image2 --sequence 1 --out e.suit
works sign-sequence-forced "$vendor" release sign other --model gw --version 1 --image image \
    --sequence 7 --out o.suit
works sign-sequence-gap "$vendor" release sign other --model gw --version 2 --image image2 \
    --out o2.suit
holds sign-sequence-gap-next said 'sequence 8' out
refuses sign-no-overwrite 1 'a.suit: exists already: .*--force' \
    "$vendor" $sign --version 1.3 --image image2 --out a.suit
holds sign-no-overwrite-kept cmp a.suit b.suit
works sign-overwrite "$vendor" $sign --version 1.0 --image image --sequence 1 --out a.suit --force
refuses sign-empty-image 3 'empty: 0 bytes' "$vendor" $sign --version 2 --image empty --out e.suit
refuses sign-no-image 3 'nofile: .* does not exist' \
    "$vendor" $sign --version 2 --image nofile --out e.suit
refuses sign-bad-model 2 'model a/b: ' \
    "$vendor" release sign one --model a/b --version 2 --image image --out e.suit
refuses sign-bad-version 2 'version a b: ' "$vendor" $sign --version 'a b' --image image --out e.suit
refuses sign-bad-sequence 2 'sequence -1: no number' \
    "$vendor" $sign --version 2 --sequence -1 --image image --out e.suit
refuses sign-no-fleet 3 'nowhere/root.pub: does not exist' \
    "$vendor" release sign nowhere --model gw --version 2 --image image --out e.suit
refuses sign-no-out-dir 3 'no/dir/e.suit: ' \
    "$vendor" $sign --version 2 --image image --out no/dir/e.suit
refuses usage-unknown 2 '--bogus' "$vendor" release sign one --bogus
refuses usage-missing 2 'needs --model' "$vendor" release sign one
refuses usage-noun 2 'frob' "$vendor" frob create
refuses usage-verb 2 'say one of create, show' "$vendor" fleet frob
works help "$vendor" --help
for verb in $(sed -n 's/^  \([a-z]*\) \([a-z]*\)  .*/\1,\2/p' out); do
    works "help-${verb/,/-}" "$vendor" ${verb/,/ } --help
done

# ---- verifying ----
works verify "$vendor" release verify a.suit --fleet one/root.pub --image image
works verify-directory "$vendor" release verify a.suit --fleet one
refuses verify-other-image 1 "image2: SHA-256 .* has $digest" \
    "$vendor" release verify a.suit --fleet one/root.pub --image image2
head -c 999999 image >short
refuses verify-short-image 1 'short: 999999 bytes: the release has 1000003' \
    "$vendor" release verify a.suit --fleet one/root.pub --image short
refuses verify-other-fleet 1 'a.suit: belongs to another fleet' \
    "$vendor" release verify a.suit --fleet other/root.pub
head -c 300 a.suit >cut.suit
refuses verify-cut 1 'cut.suit: ends too early' "$vendor" release verify cut.suit --fleet one
refuses show-cut 1 'cut.suit: ends too early' "$vendor" release show cut.suit
refuses show-empty 1 'empty: ' "$vendor" release show empty
refuses show-image 1 'image: longer than its cap' "$vendor" release show image
refuses show-absent 3 'nofile: does not exist' "$vendor" release show nofile
/usr/bin/python3 - <<'PY'
data = open("a.suit", "rb").read()
bad = 0
import os, subprocess, sys
for at in range(0, len(data), 7):
    flipped = bytearray(data)
    flipped[at] ^= 1 << (at % 8)
    open("flip-%d.suit" % at, "wb").write(flipped)
PY
survived=0
for file in flip-*.suit; do
    "$vendor" release verify "$file" --fleet one/root.pub >/dev/null 2>err
    [ $? = 1 ] || survived=1
done
rm -f flip-*.suit
holds verify-every-flip test $survived = 0
if [ -f "$here/read_suit.py" ]; then
    works second-reader /usr/bin/python3 "$here/read_suit.py" a.suit
fi

# ---- passwords ----
works create-encrypted "$vendor" fleet create sealed --password-file password
holds create-encrypted-clear test -z "$(grep -L cipher sealed/keys/*.key; grep -l 'cipher: none' \
    sealed/keys/*.key)"
sealed="release sign sealed --model gw --version 1 --image image"
works sign-password "$vendor" $sealed --password-file password --out s.suit
refuses sign-wrong-password 3 'sealed/keys/release.key: wrong password' \
    "$vendor" $sealed --password-file wrong --out s2.suit
refuses sign-empty-password 3 'empty: first line is empty' \
    "$vendor" $sealed --password-file empty --out s2.suit
refuses sign-no-terminal 3 'release.key: no terminal .*--password-file' \
    setsid -w "$vendor" $sealed --out s2.suit
works sign-either-password "$vendor" $sealed --password-file wrong --password-file password \
    --out s2.suit
holds sign-password-same-bytes cmp s.suit s2.suit
cat >typist.py <<'PY'
# Types lines at a program's prompts on a terminal of its own; exits with its status, prints what
# the terminal showed.
import os, pty, signal, sys
signal.alarm(60)
lines = sys.argv[1].split(",")
pid, tty = pty.fork()
if pid == 0:
    os.execv(sys.argv[2], sys.argv[2:])
shown = b""
while True:
    try:
        got = os.read(tty, 4096)
    except OSError:
        break
    if not got:
        break
    shown += got
    if shown.endswith(b": ") and lines:
        os.write(tty, lines.pop(0).encode() + b"\n")
sys.stdout.write(shown.decode())
status = os.waitpid(pid, 0)[1]
sys.exit(os.waitstatus_to_exitcode(status) & 255)
PY
type="/usr/bin/python3 typist.py"
works prompt $type right "$vendor" $sealed --out s3.suit
holds prompt-hidden test -z "$(grep right out)"
holds prompt-same-bytes cmp s.suit s3.suit
works prompt-second-try $type nope,right "$vendor" $sealed --out s4.suit
holds prompt-said-wrong said 'wrong password' out
works prompt-create $type new,new "$vendor" fleet create typed
works prompt-create-good $type new "$vendor" release sign typed --model gw --version 1 \
    --image image --out t.suit
$type new,other "$vendor" fleet create typo >out 2>err
holds prompt-create-differs said 'passwords differ' out
$type $'\x03' "$vendor" $sealed --out s5.suit >out 2>err
holds prompt-interrupted test $? = 254 -a ! -e s5.suit
holds prompt-create-nothing test ! -e typo/root.pub
chmod 644 one/keys/release.key
refuses key-exposed 3 'release.key: readable by others: .*chmod 600' \
    "$vendor" $sign --version 3 --image image --out e.suit
chmod 600 one/keys/release.key
mv one/keys/release.key kept.key
refuses key-absent 3 'no release key lies there: name one with --key' \
    "$vendor" $sign --version 3 --image image --out e.suit
works key-elsewhere "$vendor" $sign --version 1.0 --sequence 1 --image image --key kept.key \
    --out k.suit
holds key-elsewhere-same-bytes cmp a.suit k.suit
head -c 50 kept.key >broken.key
chmod 600 broken.key
refuses key-broken 3 'broken.key: key file is' \
    "$vendor" $sign --version 3 --image image --key broken.key --out e.suit
refuses key-stranger 1 'root.key: .*is no release key' \
    "$vendor" $sign --version 3 --image image --key one/keys/root.key --out e.suit
mv kept.key one/keys/release.key

# ---- two of three people ----
works create-2-of-3 "$vendor" fleet create trio --signers 3 --threshold 2 --no-password
trio="release sign trio --model gw --version 1 --sequence 5 --image image"
works sign-2-of-3 "$vendor" $trio --out both.suit
holds sign-2-of-3-count said '2 of 2 signatures' out
works verify-2-of-3 "$vendor" release verify both.suit --fleet trio --image image
mkdir anna bert carl
mv trio/keys/release-1.key anna/
mv trio/keys/release-2.key bert/
mv trio/keys/release-3.key carl/
for who in anna/release-1 bert/release-2 carl/release-3; do
    works "sign-part-$(dirname $who)" "$vendor" $trio --key $who.key --out "$(dirname $who).suit"
done
holds sign-part-said said '1 of 2 signatures' out
refuses verify-part 1 'anna.suit: too few valid signatures: .*merge' \
    "$vendor" release verify anna.suit --fleet trio
works merge "$vendor" release merge anna.suit bert.suit --out merged.suit
works merge-verifies "$vendor" release verify merged.suit --fleet trio --image image
holds merge-same-bytes cmp both.suit merged.suit
works merge-order "$vendor" release merge bert.suit anna.suit --out merged2.suit
holds merge-order-same-bytes cmp merged.suit merged2.suit
works merge-all "$vendor" release merge merged.suit carl.suit --out all.suit
works merge-all-verifies "$vendor" release verify all.suit --fleet trio
works merge-all-show "$vendor" release show all.suit --json
holds merge-all-signers json out "len(set(r['signers'])) == 3"
refuses merge-other 1 'is another release' "$vendor" release merge anna.suit a.suit --out x.suit
refuses merge-cut 1 'ends too early' "$vendor" release merge anna.suit cut.suit --out x.suit
refuses merge-no-overwrite 1 'all.suit: exists already' \
    "$vendor" release merge anna.suit bert.suit --out all.suit

# ---- devices ----
works enrol "$vendor" device enrol one --role normal --model gw --serial SN-1 --out dev1
for file in node.key node.cert root.pub model serial; do
    holds "enrol-$file" test -s dev1/$file
done
holds enrol-key-mode mode_is 600 dev1/node.key
holds enrol-root cmp one/root.pub dev1/root.pub
holds enrol-model test "$(cat dev1/model)" = gw
refuses enrol-no-overwrite 1 'dev1/node.key: exists already' \
    "$vendor" device enrol one --role normal --model gw --out dev1
works enrol-two "$vendor" device enrol one --role gateway --model gw --out dev2 --out dev3
works enrol-at "$vendor" device enrol one --role normal --model gw --out dev10 --index 10
refuses enrol-index-again 1 'index 10: was given already' \
    "$vendor" device enrol one --role normal --model gw --out dev11 --index 10
refuses enrol-index-outside 1 'index 4096: ' \
    "$vendor" device enrol one --role normal --model gw --out dev11 --index 4096
works enrol-after "$vendor" device enrol one --role normal --model gw --out dev11
works device-list "$vendor" device list one --json
holds device-indices json out "[d['index'] for d in r] == [0, 1, 2, 10, 11] and
    r[0]['serial'] == 'SN-1' and r[1]['role'] == 'gateway'"
refuses enrol-role 2 'role king: say normal' "$vendor" device enrol one --role king --out x
refuses enrol-no-model 2 'needs --model' "$vendor" device enrol one --role normal --out x
mv one/devices.json kept.json
refuses enrol-no-list 3 'devices.json: does not exist: restore' \
    "$vendor" device enrol one --role normal --model gw --out x
mv kept.json one/devices.json
works enrol-key-kept "$vendor" device enrol one --role normal --model gw --out dev12 \
    --key one/keys/enrol.key
refuses enrol-wrong-key 1 'is no enrolment key' \
    "$vendor" device enrol one --role normal --model gw --out x --key one/keys/release.key
for n in 1 2 3 4 5 6; do
    "$vendor" device enrol one --role normal --model gw --out par$n >/dev/null 2>&1 &
done
wait
works enrol-parallel "$vendor" device list one --json
holds enrol-parallel-distinct json out "sorted(d['index'] for d in r)[-6:] == list(range(13, 19)) and
    len({d['index'] for d in r}) == len(r)"

# ---- verify nodes: the root moves on ----
cp one/root.pub old-root.pub
works enrol-verify "$vendor" device enrol one --role verify --model gw --out ver1 --out ver2
holds enrol-verify-warned said 'warning: 2 verify nodes' err
holds enrol-verify-cert test ! -s ver1/node.cert
holds enrol-verify-root cmp one/root.pub ver2/root.pub
works enrol-verify-more "$vendor" device enrol one --role verify --out ver3 --out ver4
holds enrol-verify-quiet test ! -s err
works enrol-verify-show "$vendor" fleet show one --json
holds enrol-verify-listed json out "r['root_version'] == 3 and len(r['verify']) == 4"
works verify-with-new-root "$vendor" release verify a.suit --fleet one
# A device holds the old chain; what it is handed begins with what it knows.
holds root-chain-continues cmp -n "$(stat -c %s old-root.pub)" old-root.pub one/root.pub
works sign-new-root "$vendor" $sign --version 2.0 --image image --out new.suit
refuses verify-old-root 1 'new.suit: ' "$vendor" release verify new.suit --fleet old-root.pub
works verify-new-root "$vendor" release verify new.suit --fleet one
works create-verify "$vendor" fleet create four --no-password --verify-nodes 4
holds create-verify-dirs test -s four/verify/4/node.key
holds create-verify-root cmp four/root.pub four/verify/1/root.pub
works create-verify-show "$vendor" fleet show four --json
holds create-verify-listed json out "r['root_version'] == 1 and len(r['verify']) == 4"

# ---- rotating ----
works key-create "$vendor" key create fresh --kind release --no-password
refuses key-create-twice 1 'fresh.key: exists already' \
    "$vendor" key create fresh --kind release --no-password
refuses key-create-kind 2 'kind king: ' "$vendor" key create king --kind king --no-password
refuses rotate-wrong-kind 1 'is a root key: give the .pub file of a release key' \
    "$vendor" root rotate one --add-release-key one/keys/root.pub
refuses rotate-threshold 2 'release threshold 2: more than the 1' \
    "$vendor" root rotate one --threshold 2
works rotate-add "$vendor" root rotate one --add-release-key fresh.pub --threshold 2
holds rotate-resign said '^sign again: release gw 2.0, sequence' out
refuses rotate-old-release 1 'new.suit: too few valid signatures' \
    "$vendor" release verify new.suit --fleet one
works rotate-sign-again "$vendor" $sign --version 2.0 --image image --key one/keys/release.key \
    --key fresh.key --out again.suit
works rotate-verifies "$vendor" release verify again.suit --fleet one
works rotate-drop "$vendor" root rotate one --drop-release-key one/keys/release.pub --threshold 1
refuses rotate-dropped 1 'again.suit: signer is not listed' \
    "$vendor" release verify again.suit --fleet one
refuses rotate-drop-unknown 1 'release.pub: signer is not listed' \
    "$vendor" root rotate one --drop-release-key one/keys/release.pub
works rotate-nothing "$vendor" root rotate one
works rotate-show "$vendor" fleet show one --json
holds rotate-version json out "r['root_version'] == 6"
works rotate-enrol-add "$vendor" key create enrol2 --kind enrol --no-password
refuses rotate-enrol-overlap 1 'overlap the lease 0 to 4095' "$vendor" root rotate one \
    --add-enrol-key enrol2.pub --first-index 4000 --last-index 5000
works rotate-enrol "$vendor" root rotate one --add-enrol-key enrol2.pub --first-index 5000 \
    --last-index 5001
works rotate-enrol-use "$vendor" device enrol one --role normal --model gw --key enrol2.key \
    --out lease1 --out lease2
refuses rotate-enrol-used-up 1 'indices 5000 to 5001: all given' \
    "$vendor" device enrol one --role normal --model gw --key enrol2.key --out lease3
works rotate-enrol-drop "$vendor" root rotate one --drop-enrol-key enrol2.pub --last-index 5000
refuses rotate-enrol-dropped 1 'is no enrolment key' \
    "$vendor" device enrol one --role normal --model gw --key enrol2.key --out lease3

# Root keys on three machines.
mv trio/keys/root-1.key anna/
mv trio/keys/root-2.key bert/
mv trio/keys/root-3.key carl/
works root-waits "$vendor" root rotate trio --key anna/root-1.key
holds root-waits-file test -s trio/root.next
works root-waits-show "$vendor" fleet show trio --json
holds root-waits-old json out "r['root_version'] == 1"
refuses root-waits-again 1 'root.next: exists already' "$vendor" root rotate trio \
    --key bert/root-2.key
cp trio/root.next bert/root.next
works root-sign "$vendor" root sign bert/root.next --fleet trio/root.pub --key bert/root-2.key
refuses root-sign-stranger 1 'is no root key' \
    "$vendor" root sign bert/root.next --fleet trio/root.pub --key bert/release-2.key
refuses root-sign-other-fleet 1 'belongs to another fleet' \
    "$vendor" root sign bert/root.next --fleet other --key bert/root-2.key
works root-merge "$vendor" root merge trio bert/root.next
holds root-merge-done test ! -e trio/root.next
works root-merge-show "$vendor" fleet show trio --json
holds root-merge-version json out "r['root_version'] == 2"
refuses root-merge-old 1 '' "$vendor" root merge trio bert/root.next

# ---- revoking ----
works revoke "$vendor" device revoke one --serial SN-1 --index 10
holds revoke-file test -s one/revocations.bin
works revoke-list "$vendor" device list one --json
holds revoke-listed json out "[d['index'] for d in r if d['revoked']] == [0, 10]"
cp one/revocations.bin first.bin
works revoke-same "$vendor" device revoke one --index 10
holds revoke-same-bytes cmp first.bin one/revocations.bin
works revoke-range "$vendor" device revoke one --range 11-13 --range 1-2
holds revoke-range-joined said 'revoked: 0 to 2' out
holds revoke-range-newer differ first.bin one/revocations.bin
works revoke-many-root "$vendor" device revoke one --range 100-900
mv one/keys/root.key kept.key
works revoke-many-waits "$vendor" device revoke one --range 1000-2000
holds revoke-many-file test -s one/revocations.next
cp one/revocations.next far.next
works revoke-sign "$vendor" revocation sign far.next --fleet one/root.pub --key kept.key
works revoke-merge "$vendor" revocation merge one far.next
holds revoke-merge-done test ! -e one/revocations.next
mv kept.key one/keys/root.key
works revoke-merged "$vendor" device list one
refuses revoke-old-list 1 'is not newer' "$vendor" revocation merge one far.next
refuses revoke-nothing 2 'needs --index' "$vendor" device revoke other
refuses revoke-bad-range 2 'range 9-3: ' "$vendor" device revoke one --range 9-3
refuses revoke-no-serial 3 'SN-9: does not exist' "$vendor" device revoke one --serial SN-9

# ---- withdrawing ----
works withdraw "$vendor" release withdraw other o2.suit --out o2.stop
works withdraw-verify "$vendor" release verify o2.stop --fleet other
refuses withdraw-other-fleet 1 'o2.stop: belongs to another fleet' \
    "$vendor" release verify o2.stop --fleet one
refuses withdraw-no-overwrite 1 'o2.stop: exists already' \
    "$vendor" release withdraw other o2.suit --out o2.stop
refuses withdraw-foreign 1 'a.suit: belongs to another fleet' \
    "$vendor" release withdraw other a.suit --out x.stop
works sign-after-withdraw "$vendor" release sign other --model gw --version 2 --image image2 \
    --out o3.suit
holds sign-after-withdraw-sequence said 'sequence 9' out
works withdraw-part-anna "$vendor" release withdraw trio all.suit --key anna/release-1.key \
    --out anna.stop
refuses withdraw-part 1 'anna.stop: too few valid signatures' \
    "$vendor" release verify anna.stop --fleet trio
works withdraw-part-bert "$vendor" release withdraw trio all.suit --key bert/release-2.key \
    --out bert.stop
works withdraw-merge "$vendor" release merge anna.stop bert.stop --out all.stop
works withdraw-merged "$vendor" release verify all.stop --fleet trio

# ---- publishing ----
tracker=${FWSWARM_TRACKER:-$(dirname "$vendor")/../tracker/fwswarm-tracker}
if [ -x "$tracker" ]; then
    works publish-fleet "$vendor" fleet create swarm --no-password --verify-nodes 1
    works publish-sign "$vendor" release sign swarm --model gw --version 1 --image image \
        --out swarm.suit
    works publish-sign-next "$vendor" release sign swarm --model gw --version 2 --image image2 \
        --out swarm2.suit
    mkdir aside
    mv swarm/keys/root.key swarm/keys/release.key swarm/keys/enrol.key aside/
    "$tracker" run --device swarm/verify/1 --data held --listen 127.0.0.1:0 --lan off 2>node.log &
    node=$!
    for _ in $(seq 100); do
        to=$(sed -n 's/.* ev=listening addr=\(.*\)/\1/p' node.log)
        [ -n "$to" ] && break
        sleep 0.1
    done
    works publish "$vendor" release publish swarm.suit --image image --to "$to"
    holds publish-digest said "^$to holds $digest\$" out
    works publish-twice "$vendor" release publish swarm.suit --image image --to "$to" --fleet swarm
    holds publish-twice-digest said "^$to holds $digest\$" out
    works publish-newer "$vendor" release publish swarm2.suit --image image2 --to "$to" \
        --fleet swarm/root.pub --key swarm/keys/publisher.key
    refuses publish-wrong-image 1 'image: hash differs: give the image' \
        "$vendor" release publish swarm2.suit --image image --to "$to"
    refuses publish-no-image 3 'nofile: does not exist' \
        "$vendor" release publish swarm2.suit --image nofile --to "$to"
    refuses publish-other-fleet 1 'belongs to another fleet' \
        "$vendor" release publish swarm2.suit --image image2 --to "$to" --fleet one
    refuses publish-other-node 4 "$to: hangs up at the first word: .*of this fleet" \
        timeout 8 "$vendor" release publish o3.suit --image image2 --to "$to" --fleet other
    refuses publish-address 2 'to nowhere: no address' \
        "$vendor" release publish swarm2.suit --image image2 --to nowhere
    refuses publish-signing-key 1 'is no publisher key' \
        "$vendor" release publish swarm2.suit --image image2 --to "$to" --key aside/release.key
    kill "$node"
    wait "$node"
    node=
    refuses publish-nobody 4 "$to: nobody listens there: see that the verify node runs" \
        timeout 8 "$vendor" release publish swarm2.suit --image image2 --to "$to"
fi

# ---- the disk ----
mkdir locked
if [ "$(id -u)" != 0 ]; then
    chmod 555 locked
    refuses sign-read-only 3 'locked/e.suit: permission denied' \
        "$vendor" release sign other --model gw --version 5 --image image --out locked/e.suit
fi
holds no-leftovers test -z "$(find . -name '*.tmp*' -o -name '.*.tmp*')"
if [ -c /dev/full ]; then
    "$vendor" release show a.suit >/dev/full 2>err
    holds output-full test $? = 3
    holds output-full-said said 'standard output: cannot be written' err
fi

[ $failed = 0 ] && echo "vendor: all passed" || echo "vendor: FAILED"
exit $failed
