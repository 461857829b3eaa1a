#!/usr/bin/env bash
# The hand-over to an installer, with the real programs: what each exit status leads to, confirm and
# reject, what an installer is given and what not, and that ending the peer does not end it.
# also sanitized
# shellcheck source=tests/e2e/lib.bash
. "$(dirname "$0")/lib.bash"

model=board-7
fleet fleet v1
enrol fleet $model done reboot later fails lasting gone stopped
head -c 700001 /dev/urandom >image
head -c 50000 /dev/urandom >old
sign fleet $model 2.0 image

# Notes what it is given, then ends with the status that its first argument names.
cat >installer.py <<'PY'
import json, os, shutil, signal, sys, time
fds = sorted(os.listdir("/proc/self/fd"))[:-1]  # without that of the listing
note, status = sys.argv[1], sys.argv[2]
with open(note, "a") as out:
    json.dump({
        "env": dict(entry.split("=", 1) for entry in
                    open("/proc/self/environ").read().split("\0") if entry),
        "fds": fds,
        "stdin": os.readlink("/proc/self/fd/0"),
        "cwd": os.getcwd(),
        "session": os.getsid(0) == os.getpid(),
        "ignored": [n for n in range(1, 32) if signal.getsignal(n) == signal.SIG_IGN],
        "arguments": sys.argv[3:],
    }, out)
    out.write("\n")
slow = {"slow": 2, "slower": 6}
time.sleep(slow.get(status, 0))
if status == "0" or status in slow:
    shutil.copyfile(os.environ["FWSWARM_IMAGE"], note + ".img")
    os.rename(note + ".img", note.replace(".note", ".fw"))
sys.exit(0 if status in slow else int(status))
PY

# device NAME STATUS ARGUMENT...: one that runs `old`, with an installer of this exit status.
device() {
    local name=$1 status=$2
    shift 2
    [ -e "$name.fw" ] || cp old "$name.fw"
    start "$name" "$peer" --listen 127.0.0.1:0 --lan off --tracker "$verify" \
        --current-image "$work/$name.fw" --current-version 1.0 --install $python \
        --install-arg "$work/installer.py" --install-arg "$work/$name.note" \
        --install-arg "$status" --install-arg "two words; \$x" "$@"
}

runs_times() { [ "$(wc -l <"$1.note")" = "$2" ]; }

# note NAME EXPRESSION: about what its installer noted first.
note() {
    $python -c 'import json, sys
n = json.loads(open(sys.argv[1] + ".note").readline())
env = n["env"]
sys.exit(not eval("(" + sys.argv[2] + ")"))' "$1" "$2"
}

start v1 "$tracker" --listen 127.0.0.1:0 --lan off
verify=$(address_of v1)
holds published publish 2.0 image "$verify"

# What the installer must not see.
export SECRET=in-the-environment LD_LIBRARY_PATH=/nowhere
exec 7<image
device done 0
device reboot 4
device later 75
device fails 1
device lasting slow
exec 7<&-
unset SECRET LD_LIBRARY_PATH

# ---- exit status 0, then confirm ----
until_state done-pending done 20 pending
holds done-runs-it cmp image done.fw
within 10 status done "s['current']['version'] == '2.0'"
holds done-current status done "s['current']['version'] == '2.0' and
    s['current']['digest'] == r['digest'] and not s['current']['mismatch']"
holds done-floor-before status done "s['floor']['sequence'] == 0"
holds confirm "$peer" confirm --data done/data
until_state done-confirmed done 5 confirmed
holds done-floor-after status done "s['floor']['sequence'] == r['sequence']"
"$peer" confirm --data done/data >out 2>err
holds confirm-twice-status test $? = 1
holds confirm-twice-said grep -q 'no installed release waits' err

# ---- what it was given ----
holds given-environment note done "sorted(env) == ['FWSWARM_DIGEST', 'FWSWARM_IMAGE',
    'FWSWARM_MODEL', 'FWSWARM_SEQUENCE', 'FWSWARM_VERSION', 'PATH']"
digest=$(sha256sum image | cut -c1-64)
holds given-release note done "env['FWSWARM_VERSION'] == '2.0' and env['FWSWARM_SEQUENCE'] == '1' and
    env['FWSWARM_DIGEST'] == '$digest' and env['FWSWARM_MODEL'] == '$model'"
holds given-path note done "env['PATH'] == '/usr/sbin:/usr/bin:/sbin:/bin'"
holds given-whole-path note done "env['FWSWARM_IMAGE'].startswith('$work/done/data/')"
holds given-descriptors note done "n['fds'] == ['0', '1', '2'] and n['stdin'] == '/dev/null'"
holds given-arguments note done "n['arguments'] == ['two words; \$x']"
holds given-session note done "n['session'] and n['cwd'] == '/'"

# ---- exit status 4: installed, runs after a reboot ----
until_state reboot-pending reboot 20 pending
holds reboot-code status reboot "r['install_code'] == 4 and s['floor']['sequence'] == 0"
holds reject "$peer" reject --data reboot/data
until_state reboot-rejected reboot 5 rejected
holds reboot-stops stop reboot
device reboot 4
within 20 linked reboot
sleep 1
holds rejected-stays in_state reboot rejected
holds rejected-not-again runs_times reboot 1
holds rejected-floor status reboot "s['floor']['sequence'] == 0"

# ---- 75: later; 1: failed; neither runs hot ----
until_state later-failed later 20 failed
holds later-no-try status later "r['install_code'] == 75 and r['install_tries'] == 0"
until_state fails-failed fails 20 failed
holds fails-recorded status fails "r['install_code'] == 1 and r['install_tries'] == 1"
sleep 1
holds later-not-hot runs_times later 1
holds fails-not-hot runs_times fails 1
holds fails-stops stop fails
device fails 1
within 20 linked fails
holds fails-remembered status fails "r['install_code'] == 1 and r['install_tries'] >= 1"

# ---- the peer ends, its installer does not ----
device gone slow
within 20 in_state gone installing
within 10 test -s gone.note
holds stopped-while-installing stop gone
holds installer-was-at-work cmp old gone.fw
within 10 cmp image gone.fw
holds installer-went-on cmp image gone.fw
device gone slow
until_state resolved-by-hash gone 20 pending
holds resolved-without-a-run runs_times gone 1
until_state lasting-pending lasting 20 pending

# ---- something newer after a rejection ----
head -c 600000 /dev/urandom >image2
sign fleet $model 2.1 image2
holds published-newer publish 2.1 image2 "$verify"
within 20 status reboot "r['version'] == '2.1' and r['state'] == 'pending'"
holds newer-after-reject status reboot "r['version'] == '2.1' and r['state'] == 'pending'"
within 20 status done "r['version'] == '2.1' and r['state'] == 'pending'"
holds newer-after-confirm status done "r['version'] == '2.1' and r['state'] == 'pending'"

# ---- a stop while the installer is at work: what comes next is installed all the same ----
device stopped slower
until_state stopped-installing stopped 20 installing
"$vendor" release withdraw fleet 2.1.suit --out 2.1.stop >/dev/null 2>&1
holds stop-published "$vendor" release publish 2.1.stop --to "$verify"
state_of() { status "$1" "[i['state'] for i in s['images'] if i['version'] == '$2'] == ['$3']"; }
within 10 state_of stopped 2.1 withdrawn
holds stopped-withdrawn state_of stopped 2.1 withdrawn
holds stopped-at-work cmp old stopped.fw
head -c 500000 /dev/urandom >image3
sign fleet $model 2.2 image3
holds published-next publish 2.2 image3 "$verify"
within 40 state_of stopped 2.2 pending
holds next-after-stop state_of stopped 2.2 pending
holds next-runs cmp image3 stopped.fw
close
