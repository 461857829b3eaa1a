"""One libtorrent peer, for scripts/bench: a process of its own, so that it can be measured.

    bench_libtorrent.py make FILE TORRENT PIECE_LENGTH
    bench_libtorrent.py seed|leech TORRENT FOLDER ADDRESS:PORT [PEER_ADDRESS:PORT]

It says `ready` when libtorrent is loaded, begins at a line on stdin, and says `done TIME` when the
file is complete and checked; it ends at the end of stdin.  The settings are libtorrent's own, but for
discovery, uTP and encryption, which are off: one plain TCP connection, in the clear.
"""
import os
import select
import sys
import time

import libtorrent


def make(path, torrent, piece_length):
    files = libtorrent.file_storage()
    libtorrent.add_files(files, path)
    maker = libtorrent.create_torrent(files, int(piece_length), libtorrent.create_torrent.v2_only)
    libtorrent.set_piece_hashes(maker, os.path.dirname(path))
    with open(torrent, "wb") as out:
        out.write(libtorrent.bencode(maker.generate()))


def session_at(address):
    return libtorrent.session({
        "listen_interfaces": address,
        "outgoing_interfaces": address.rsplit(":", 1)[0],
        "enable_dht": False, "enable_lsd": False, "enable_upnp": False, "enable_natpmp": False,
        "enable_outgoing_utp": False, "enable_incoming_utp": False,
        "in_enc_policy": int(libtorrent.enc_policy.disabled),
        "out_enc_policy": int(libtorrent.enc_policy.disabled),
        "allow_multiple_connections_per_ip": True,
        "alert_mask": libtorrent.alert.category_t.status_notification,
    })


def peer(role, torrent, folder, address, other=None):
    session = session_at(address)
    what = libtorrent.add_torrent_params()
    what.ti = libtorrent.torrent_info(torrent)
    what.save_path = folder
    what.flags &= ~(libtorrent.torrent_flags.auto_managed | libtorrent.torrent_flags.paused)
    if role == "seed":
        what.flags |= libtorrent.torrent_flags.seed_mode
    print("ready", flush=True)
    sys.stdin.readline()
    handle = session.add_torrent(what)
    if other:
        host, port = other.rsplit(":", 1)
        handle.connect_peer((host, int(port)))
    while not select.select([sys.stdin], [], [], 0)[0]:
        if not session.wait_for_alert(100):
            continue
        for alert in session.pop_alerts():
            if role == "leech" and isinstance(alert, libtorrent.torrent_finished_alert):
                print("done %.6f" % time.monotonic(), flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make(*sys.argv[2:])
    else:
        peer(*sys.argv[1:])
