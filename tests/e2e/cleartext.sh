#!/usr/bin/env bash
# What crosses the wire when a release is published and fetched: every frame is captured, and
# neither the image nor who the nodes are may be read in it.  Needs root: it all happens in a network
# namespace of its own, where nothing else speaks.
# shellcheck source=tests/e2e/lib.bash
. "$(dirname "$0")/lib.bash"

space=fws-$$
tidy() { ip netns del "$space" 2>/dev/null; }
ip netns add "$space" && ip -n "$space" link set lo up || { miss namespace; close; }
inside=(ip netns exec "$space")
model=model-that-nobody-reads version=version-that-nobody-reads

fleet fleet v1
enrol fleet $model d1 d2
head -c 2000003 /dev/urandom >image
sign fleet $model $version image

"${inside[@]}" $python "$here/cleartext.py" capture frames >capture.log 2>&1 &
pid_of[capture]=$!
within 10 grep -q ready capture.log

start v1 "$tracker" --listen 127.0.0.1:0 --lan-interface lo
verify=$(address_of v1)
start d1 "$peer" --listen 127.0.0.1:0 --lan-interface lo --tracker "$verify"
start d2 "$peer" --listen 127.0.0.1:0 --lan-interface lo
holds published publish $version image "$verify"
until_state fetched d1 20 held
until_state fetched-by-the-other d2 20 held

# What is held is announced within moments; the capture goes on until that was seen.
count() { $python "$here/cleartext.py" count frames "$1"; }
announced() { [ "$(count 17)" -gt 200 ]; }
holds captured-announcements within 20 announced

for node in v1 d1 d2; do
    status $node "s['self']" >$node.id
    holds "ends-$node" stop $node
done

# The eye works: text that is sent in the clear is seen.
"${inside[@]}" $python - <<'PY'
import socket
server = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(server.getsockname())
client.sendall(b"text that anyone can read, also in pieces: " + b"x" * 40)
server.accept()[0].recv(100)
PY
sleep 0.5
kill -TERM "${pid_of[capture]}"
ended capture
holds captured-everything grep -q '^dropped 0$' capture.log

tail -c +3 image | head -c 40 >sample

# The image crosses three times: to the verify node, and to each device.
holds captured-payload test "$(count 6)" -gt 6000000

$python "$here/cleartext.py" find frames 6 canary="anyone can read" run=@sample image=@image \
    v1=hex:"$(cat v1.id)" d1=hex:"$(cat d1.id)" d2=hex:"$(cat d2.id)" certificate=@d1/node.cert \
    certificate-2=@d2/node.cert root=@d1/root.pub manifest=@$version.suit model=$model \
    version=$version >tcp 2>err
# Announcements show the keyed hash of the model, which certificates hold too: of those the
# signature is looked for.
for node in d1 d2; do tail -c 64 $node/node.cert >$node.sig; done
$python "$here/cleartext.py" find frames 17 image=@image v1=hex:"$(cat v1.id)" \
    d1=hex:"$(cat d1.id)" d2=hex:"$(cat d2.id)" certificate=@d1.sig \
    certificate-2=@d2.sig model=$model version=$version >udp 2>>err
holds ids-known test "$(cat v1.id d1.id d2.id | grep -cE '^[0-9a-f]{64}$')" = 3
holds tcp-canary-found grep -q '^found canary' tcp
for name in run image v1 d1 d2 certificate certificate-2 root manifest model version; do
    holds "tcp-$name" grep -q "^clear $name\$" tcp
done
for name in image v1 d1 d2 certificate certificate-2 model version; do
    holds "udp-$name" grep -q "^clear $name\$" udp
done
[ $failed = 0 ] || cat tcp udp err
close
