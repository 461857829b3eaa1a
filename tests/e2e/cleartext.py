"""Captures what crosses an interface, and looks in it for what must not be there.

    cleartext.py capture FILE       all frames of lo, each with its length ahead, until SIGTERM
    cleartext.py count FILE PROTOCOL            bytes of payload of TCP (6) or UDP (17)
    cleartext.py find FILE PROTOCOL NAME=SECRET... each prints `clear NAME` or `found NAME`

A SECRET is @FILE, hex:DIGITS or text.  A file counts as found when any run of 32 bytes of it
crosses: every such run covers a whole aligned word of 16, so those words are looked for at every
offset.  Payloads of one direction of a connection are joined before they are searched.
"""
import signal
import socket
import struct
import sys

WORD = 16
RUN = 32


def capture(path):
    stop = []
    signal.signal(signal.SIGTERM, lambda number, frame: stop.append(number))
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as sniffer, \
            open(path, "wb", buffering=0) as out:
        sniffer.setsockopt(socket.SOL_SOCKET, 33, 256 << 20)  # SO_RCVBUFFORCE: nothing is lost
        sniffer.bind(("lo", 0))
        sniffer.settimeout(0.2)
        print("ready", flush=True)
        while True:
            try:
                frame, address = sniffer.recvfrom(1 << 17)
            except socket.timeout:
                if stop:
                    break
                continue
            if address[2] != socket.PACKET_OUTGOING:  # on lo each frame is seen twice
                out.write(struct.pack("!I", len(frame)) + frame)
        _, dropped = struct.unpack("II", sniffer.getsockopt(263, 6, 8))  # PACKET_STATISTICS
        print("dropped", dropped, flush=True)


def frames(path):
    with open(path, "rb") as file:
        while head := file.read(4):
            yield file.read(struct.unpack("!I", head)[0])


def payloads(path, protocol):
    """(flow, payload) of each IPv4 or IPv6 packet of a protocol."""
    for frame in frames(path):
        kind, packet = frame[12:14], frame[14:]
        if kind == b"\x08\x00":
            head, total = (packet[0] & 15) * 4, struct.unpack("!H", packet[2:4])[0]
            found, ends, body = packet[9], packet[12:20], packet[head:total]
        elif kind == b"\x86\xdd":
            found, ends, body = packet[6], packet[8:40], packet[40:]
        else:
            continue
        if found == protocol:
            skip = (body[12] >> 4) * 4 if protocol == 6 else 8
            yield ends + body[:4], body[skip:]


def streams(path, protocol):
    flows = {}
    for flow, payload in payloads(path, protocol):
        flows.setdefault(flow, []).append(payload)
        if protocol == 17:
            flows[flow].append(b"\0" * RUN)  # datagrams do not join
    return [b"".join(parts) for parts in flows.values()]


def secret(text):
    if text.startswith("@"):
        with open(text[1:], "rb") as file:
            return file.read()
    return bytes.fromhex(text[4:]) if text.startswith("hex:") else text.encode()


def crosses(data, all_streams):
    if len(data) <= RUN:
        return any(data in stream for stream in all_streams)
    words = {data[i:i + WORD] for i in range(0, len(data) - WORD + 1, WORD)}
    for stream in all_streams:
        for i in range(len(stream) - WORD + 1):
            if stream[i:i + WORD] not in words:
                continue
            for start in range(max(0, i - WORD), i + 1):
                run = stream[start:start + RUN]
                if len(run) == RUN and run in data:
                    return True
    return False


def main():
    verb, path = sys.argv[1:3]
    if verb == "capture":
        capture(path)
    elif verb == "count":
        print(sum(len(payload) for _, payload in payloads(path, int(sys.argv[3]))))
    elif verb == "find":
        all_streams = streams(path, int(sys.argv[3]))
        for pair in sys.argv[4:]:
            name, _, text = pair.partition("=")
            print("found" if crosses(secret(text), all_streams) else "clear", name)


main()
