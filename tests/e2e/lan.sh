#!/usr/bin/env bash
# Two machines on one wire: a device that holds a release, and another that finds it by multicast
# alone and fetches from it; over IPv4, then over IPv6 link-local addresses only.  Needs root: each
# machine is a network namespace, the wire a pair of veth.
# also sanitized
# shellcheck source=tests/e2e/lib.bash
. "$(dirname "$0")/lib.bash"

a=fws-$$-a b=fws-$$-b
tidy() {
    ip netns del "$a" 2>/dev/null
    ip netns del "$b" 2>/dev/null
}
ip netns add "$a" && ip netns add "$b" && ip -n "$a" link add wire type veth peer name wire netns "$b" ||
    { miss namespaces; close; }
for space in "$a" "$b"; do
    ip -n "$space" link set lo up
    # Addresses are used at once: nobody else is on this wire.
    ip netns exec "$space" sysctl -qw net.ipv6.conf.wire.accept_dad=0
    ip -n "$space" link set wire up
done
# A link-local IPv4 address would be as good; there is no router and no other network.
ip -n "$a" addr add 10.77.0.1/24 dev wire
ip -n "$b" addr add 10.77.0.2/24 dev wire

fleet fleet v1
enrol fleet board d1 d2 d3 d4
head -c 1500000 /dev/urandom >image
sign fleet board 1.0 image
digest=$(sha256sum image | cut -c1-64)

# The first device learns from a verify node that ends before the others begin.
inside=(ip netns exec "$a")
start v1 "$tracker" --listen 127.0.0.1:0 --lan off
verify=$(address_of v1)
holds published publish 1.0 image "$verify"
start d1 "$peer" --listen 127.0.0.1:0 --lan off --tracker "$verify"
until_state first-holds d1 20 held
holds verify-node-ends stop v1
holds first-ends stop d1

udp_open() { # how many UDP sockets a namespace has
    ip netns exec "$1" cat /proc/net/udp /proc/net/udp6 | grep -vc sl
}

# found NAME SEEDER SEEKER FAMILY
found() {
    until_state "$1-held" "$3" 40 held
    holds "$1-digest" status "$3" "r['digest'] == '$digest'"
    holds "$1-bytes" status "$3" "r['bytes_peer'] >= r['size'] and r['bytes_origin'] == 0"
    holds "$1-address" status "$3" "all(l['addr'].startswith('$4') for l in s['links']) and s['links']"
    holds "$1-group" grep -Eq "ev=lan.joined interface=wire family=$5" "$3.log"
}

# ---- IPv4 ----
for space in "$a" "$b"; do ip -n "$space" -6 addr flush dev wire; done
inside=(ip netns exec "$a")
start d1 "$peer" --listen 10.77.0.1:0
inside=(ip netns exec "$b")
start d2 "$peer" --listen 10.77.0.2:0
found ipv4 d1 d2 10.77.0.1 4
holds ipv4-no-ipv6 test -z "$(grep 'family=6' d2.log)"
holds ipv4-ends stop d1
holds ipv4-second-ends stop d2

# ---- IPv6 link-local; a device that has nothing learns from the one that just learnt ----
for space in "$a" "$b"; do
    ip -n "$space" addr flush dev wire
    ip -n "$space" link set wire down
    ip -n "$space" link set wire up
done
link_local() { ip -n "$1" -6 addr show dev wire scope link | grep -q 'inet6 fe80'; }
within 10 link_local "$a"
within 10 link_local "$b"
holds ipv6-only test -z "$(ip -n "$b" -4 addr show dev wire)"
inside=(ip netns exec "$b")
start d2 "$peer" --listen '[::]:0'
inside=(ip netns exec "$a")
start d3 "$peer" --listen '[::]:0'
found ipv6 d2 d3 '[fe80::' 6
holds ipv6-no-ipv4 test -z "$(grep 'family=4' d3.log)"
holds ipv6-ends stop d3

# ---- LAN off: not a single UDP socket, and no neighbour ----
within 5 test "$(udp_open "$a")" = 0
start d4 "$peer" --listen '[::]:0' --lan off
within 20 status d4 "s['listen']"
sleep 3
holds off-no-socket test "$(udp_open "$a")" = 0
holds on-has-sockets test "$(udp_open "$b")" -ge 1
holds off-finds-nobody status d4 "s['images'] == [] and s['links'] == [] and s['known'] == 0"
holds off-ends stop d4
close
