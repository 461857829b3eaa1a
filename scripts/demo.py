"""The play of scripts/demo: real programs on loopback, with rates at which the swarm does the work.

The acts: a vendor makes a fleet and signs an image; four verify nodes and all devices but one
start; the release is published once, to one verify node; one device is killed in the middle of its
download and started again; when all run the image the verify nodes are stopped, and the last device
starts, with nobody but devices left to learn from.  Numbers come from the processes' own counters,
over their control sockets; digests from hashing the files that the devices' installers wrote.
"""
import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from demo_node import Device, Failure, Node, digest_of, free_ports

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.abspath(os.environ.get("FWSWARM_BUILD") or os.path.join(TOP, "build"))
VENDOR, TRACKER, PEER = (os.path.join(BUILD, folder, "fwswarm-" + folder.split("-")[0])
                         for folder in ("vendor-tool", "tracker", "peer"))
IMAGE = "/usr/share/AAVMF/AAVMF_CODE.fd"
MODEL, OLD, NEW = "demo-board", "1.0", "2.0"
# The first verify node is published to and brings new pieces into the swarm; the others repeat.
VERIFY_UPS = ("3MB", "1MB", "1MB", "1MB")
DEVICE_UP, DEVICE_DOWN = "4MB", "10MB"
ORIGIN_IMAGES_MAX = 3  # for twelve devices; the share grows with larger fleets
LOOK_EVERY = 0.5
FETCH_MAX, LATE_MAX, LAN_MAX = 240, 120, 15  # seconds: a play that hangs is a play that failed
KILL_FROM, KILL_TO = 0.40, 0.70
MIB = 1 << 20

INSTALLER = """#!/bin/sh
# Puts the proven image in the place of what the device runs, in one step.
set -e
cp "$FWSWARM_IMAGE" "$1.new"
mv "$1.new" "$1"
"""


class Screen:
    """A table that is redrawn on a terminal, plain lines elsewhere."""

    def __init__(self):
        self.live = sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        self.drawn = 0
        self.begun = time.monotonic()
        self.told = 0.0

    def clock(self):
        return time.monotonic() - self.begun

    def say(self, text):
        self.erase()
        print("%6.1f s  %s" % (self.clock(), text), flush=True)

    def erase(self):
        if self.drawn:
            sys.stdout.write("\033[%dA\033[J" % self.drawn)
            sys.stdout.flush()
            self.drawn = 0

    def show(self, devices):
        if self.live:
            self.erase()
            self.draw(devices)
        elif self.clock() - self.told >= 3:
            self.told = self.clock()
            self.summary(devices)

    def summary(self, devices):
        done = sum(device.done() for device in devices)
        share = sum(device.share() for device in devices) / len(devices)
        origin = sum(device.bytes("origin") for device in devices) / MIB
        peer = sum(device.bytes("peer") for device in devices) / MIB
        self.say("%d of %d devices run %s, %3.0f %% fetched, %.0f MiB from origins, "
                 "%.0f MiB from peers" % (done, len(devices), NEW, 100 * share, origin, peer))

    def draw(self, devices):
        room = shutil.get_terminal_size().lines - 2
        rows = ["%-5s %-10s %-28s %10s %10s %9s" % ("", "", "", "origins", "peers", "rate")]
        for device in devices:
            share = device.share()
            rows.append("%-5s %-10s %-22s %4.0f %% %6.1f MiB %6.1f MiB %4.1f MB/s  %s" % (
                device.name, device.state(), "#" * int(22 * share) or ".", 100 * share,
                device.bytes("origin") / MIB, device.bytes("peer") / MIB, device.rate / 1e6,
                device.part))
        width = shutil.get_terminal_size().columns
        rows = rows[:max(room, 2)]
        sys.stdout.write("".join(row[:width - 1] + "\n" for row in rows))
        sys.stdout.flush()
        self.drawn = len(rows)


class Demo:
    def __init__(self, options, stage):
        self.options, self.stage = options, stage
        self.screen = Screen()
        self.image = os.path.abspath(options.image)
        self.size = os.path.getsize(self.image)
        self.digest = digest_of(self.image)
        self.suit = os.path.join(stage, "release.suit")
        self.fleet = os.path.join(stage, "fleet")
        self.verify = []
        self.devices = []
        self.published = 0.0
        self.publisher = None
        self.by_lan = True

    # ---- the stage ----

    def vendor(self, *arguments):
        run = subprocess.run([VENDOR, *arguments], stdin=subprocess.DEVNULL, text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        if run.returncode != 0:
            raise Failure("fwswarm-vendor %s: %s" % (" ".join(arguments[:2]), run.stderr.strip()))
        return run.stdout

    def enrol(self, role, names):
        out = []
        for name in names:
            out += ["--out", os.path.join(self.stage, name)]
        self.vendor("device", "enrol", self.fleet, "--role", role, "--model", MODEL, *out)

    def make_fleet(self):
        count = self.options.peers
        parts = {0: "tampered", 1: "killed", count - 1: "late"}
        self.vendor("fleet", "create", self.fleet, "--no-password")
        names = ["v%d" % (i + 1) for i in range(len(VERIFY_UPS))]
        self.enrol("verify", names)
        # Devices are handed the root that lists the verify nodes.
        self.enrol("normal", ["d%02d" % (i + 1) for i in range(count)])
        self.vendor("release", "sign", self.fleet, "--model", MODEL, "--version", NEW,
                    "--image", self.image, "--out", self.suit)
        self.verify = [Node(self.stage, name, TRACKER, []) for name in names]
        self.devices = [Device(self.stage, "d%02d" % (i + 1), PEER, parts.get(i, ""), (OLD, NEW))
                        for i in range(count)]
        self.screen.say("made a fleet, enrolled %d verify nodes and %d devices, signed %s %s: %s, "
                        "%.1f MiB" % (len(names), count, MODEL, NEW,
                                      os.path.basename(self.image), self.size / MIB))

    def device_of(self, part):
        return next(device for device in self.devices if device.part == part)

    def give_firmware(self):
        """Everyone runs an older image; one runs the newest with a few bytes changed."""
        old = os.path.join(self.stage, "old.img")
        with open(self.image, "rb") as source, open(old, "wb") as file:
            file.write(b"firmware 1.0" + source.read(self.size // 2))
        for device in self.devices:
            if device.part == "tampered":
                shutil.copyfile(self.image, device.current)
                with open(device.current, "r+b") as file:
                    file.seek(self.size // 3)
                    here = file.read(4)
                    file.seek(self.size // 3)
                    file.write(bytes(byte ^ 0xff for byte in here))
                device.version = NEW
            else:
                os.link(old, device.current)

    def give_arguments(self):
        installer = os.path.join(self.stage, "install")
        with open(installer, "w", encoding="ascii") as file:
            file.write(INSTALLER)
        os.chmod(installer, 0o755)
        ports = free_ports(len(self.verify) + len(self.devices) + 1)
        for node, port in zip(self.verify + self.devices, ports):
            node.port = port
        for node, rate in zip(self.verify, VERIFY_UPS):
            node.arguments = ["--lan", "off", "--up-rate", rate, *self.trackers(node)]
        for device in self.devices:
            device.arguments = [
                "--lan-interface", "lo", "--lan-port", str(ports[-1]), "--up-rate", DEVICE_UP,
                "--down-rate", DEVICE_DOWN,
                "--install", installer, "--install-arg", device.current, "--confirm-on-install",
                "--current-image", device.current, "--current-version", device.version,
                *self.trackers()]

    def trackers(self, without=None):
        words = []
        for node in self.verify:
            if node is not without:
                words += ["--tracker", "127.0.0.1:%d" % node.port]
        return words

    # ---- looking ----

    def every_look(self, seconds, what):
        """Yields after each look at everyone who runs, until the time is up."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for node in self.verify:
                node.look()
            for device in self.devices:
                device.observe(time.monotonic())
                if device.done() and device.finished is None:
                    device.finished = time.monotonic()
                device.mourn()
            self.screen.show(self.devices)
            yield
            time.sleep(LOOK_EVERY)
        raise Failure("%s took more than %d s" % (what, seconds))

    # ---- the acts ----

    def start(self):
        for node in self.verify + [one for one in self.devices if one.part != "late"]:
            node.start()
        for _ in self.every_look(30, "starting"):
            if all(device.status.get("links") for device in self.devices if device.part != "late"):
                break
        for node in self.verify:
            node.mourn()
        self.screen.say("verify nodes run, with uplinks of %s/s; %d devices run and are linked, "
                        "with %s/s each"
                        % (", ".join(VERIFY_UPS), len(self.devices) - 1, DEVICE_UP))

    def publish(self):
        to = "127.0.0.1:%d" % self.verify[0].port
        self.published = time.monotonic()
        for device in self.devices:
            device.begun = self.published
        self.publisher = subprocess.Popen(
            [VENDOR, "release", "publish", self.suit, "--image", self.image, "--to", to,
             "--fleet", self.fleet], stdin=subprocess.DEVNULL, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.screen.say("publishing once, to %s" % self.verify[0].name)

    def publish_done(self):
        """The verify node answers the publisher with the digest that it holds."""
        if self.publisher is None or self.publisher.poll() is None:
            return
        said, complaint = self.publisher.communicate()
        if self.publisher.returncode != 0 or self.digest not in said:
            raise Failure("release publish: %s" % (complaint.strip() or said.strip()))
        self.publisher = None
        self.screen.say("published: %s" % said.strip())

    def fetch(self):
        """All devices but the late one; kills one on the way and starts it again."""
        victim = self.device_of("killed")
        killed = False
        for _ in self.every_look(FETCH_MAX, "the update"):
            self.publish_done()
            if not killed and KILL_FROM <= victim.share() <= KILL_TO:
                killed = True
                self.kill(victim)
            elif killed and victim.resumed == 0:
                victim.resumed = victim.image().get("bytes_resumed", 0)
            if self.publisher is None and all(
                    device.done() for device in self.devices if device.part != "late"):
                break
        if not killed:
            raise Failure("%s fetched too fast to be killed in the middle" % victim.name)
        self.screen.say("%d devices run %s" % (len(self.devices) - 1, NEW))

    def kill(self, victim):
        victim.look()
        image = victim.image()
        victim.process.send_signal(signal.SIGKILL)
        victim.process.wait()
        victim.before = {"origin": image["bytes_origin"], "peer": image["bytes_peer"]}
        self.screen.say("killed %s (SIGKILL) with %.0f %% of the image; starting it again"
                        % (victim.name, 100 * victim.share()))
        victim.status = {}
        victim.start()

    def stop_verify(self):
        for node in self.verify:
            node.look()
            node.stop()
        for node in self.verify:
            node.gone()
        if any(node.process.returncode != 0 for node in self.verify):
            raise Failure("a verify node did not end cleanly when it was asked to")
        self.screen.say("stopped every verify node")

    def late(self):
        device = self.device_of("late")
        device.start()
        device.begun = time.monotonic()
        device.rate_from = (device.begun, 0)
        self.screen.say("started %s, which has devices to learn from and nobody else" % device.name)
        begun = time.monotonic()
        for _ in self.every_look(LATE_MAX, "the late device's update"):
            if device.done():
                break
            waited = time.monotonic() - begun
            if self.by_lan and waited > LAN_MAX and not device.status.get("links"):
                self.by_lan = False
                device.stop()
                device.gone()
                other = self.devices[0]
                device.start(["--peer", "127.0.0.1:%d" % other.port])
                self.screen.say("multicast does not work on this loopback: telling %s the address "
                                "of %s" % (device.name, other.name))

    # ---- the end ----

    def finish(self):
        for device in self.devices:
            device.look()
            device.stop()
        for device in self.devices:
            device.gone()

    def judge(self):
        """The figures, and what is wrong with them."""
        tampered, victim, late = (self.device_of(p) for p in ("tampered", "killed", "late"))
        updated = [one for one in self.devices if digest_of(one.current) == self.digest and
                   one.status["current"]["version"] == NEW]
        result = {
            "peers": len(self.devices),
            "updated": len(updated),
            "image_bytes": self.size,
            "seconds": round(max(one.finished for one in self.devices) - self.published, 1),
            "origin_bytes": sum(one.bytes("origin") for one in self.devices),
            "peer_bytes": sum(one.bytes("peer") for one in self.devices),
            "resumed_bytes": victim.resumed,
            "tampered_repaired": tampered.mismatch and tampered in updated,
            "late_joined": late in updated and late.bytes("origin") == 0,
        }
        images = ORIGIN_IMAGES_MAX * max(1, len(self.devices) / 12)
        wrong = [text for bad, text in (
            (result["updated"] != result["peers"], "not every device holds the signed image"),
            (not result["tampered_repaired"], "the tampered image was not found and mended"),
            (not result["late_joined"], "the late device did not learn from devices alone"),
            (not 0.25 <= victim.resumed / self.size <= 0.75,
             "the killed device did not go on where it was"),
            (result["origin_bytes"] > images * self.size,
             "origins sent more than %g images" % images),
        ) if bad]
        return result, wrong

    def table(self):
        self.screen.erase()
        print("\n%-5s %-9s %-12s %12s %12s %8s  %-18s %s" % (
            "", "", "version", "origins", "peers", "time", "SHA-256", ""))
        for device in self.devices:
            digest = digest_of(device.current)
            print("%-5s %-9s %-12s %8.1f MiB %8.1f MiB %6.1f s  %s.. %s" % (
                device.name, device.part,
                "%s -> %s" % (device.version, device.status["current"]["version"]),
                device.bytes("origin") / MIB, device.bytes("peer") / MIB,
                device.finished - device.begun,
                digest[:16], "signed" if digest == self.digest else "NOT THE SIGNED IMAGE"))

    def play(self):
        self.make_fleet()
        self.give_firmware()
        self.give_arguments()
        self.start()
        self.publish()
        self.fetch()
        self.stop_verify()
        self.late()
        self.screen.show(self.devices)
        self.finish()
        return self.judge()

    def close(self):
        """Ends every process that was started here, and no other."""
        if self.publisher is not None and self.publisher.poll() is None:
            self.publisher.terminate()
            self.publisher.communicate()
        for node in self.verify + self.devices:
            node.stop()
        for node in self.verify + self.devices:
            node.gone()


def sentence(demo, result):
    late = "by multicast" if demo.by_lan else "from one given address"
    return ("%d of %d devices went to %s in %.0f s: origins sent %.1f images, peers %.1f; the "
            "tampered one was mended, the killed one kept %.0f %%, and the late one found its "
            "neighbours %s."
            % (result["updated"], result["peers"], NEW, result["seconds"],
               result["origin_bytes"] / demo.size, result["peer_bytes"] / demo.size,
               100 * result["resumed_bytes"] / demo.size, late))


def options_of(arguments):
    parser = argparse.ArgumentParser(prog="scripts/demo")
    parser.add_argument("--peers", type=int, default=12, metavar="N", help="devices, at least 4")
    parser.add_argument("--image", default=IMAGE, metavar="FILE", help="the firmware to send")
    parser.add_argument("--json", metavar="FILE", help="write the figures there")
    options = parser.parse_args(arguments)
    if not 4 <= options.peers <= 99:
        parser.error("--peers: say 4 to 99")
    if not os.path.isfile(options.image) or os.path.getsize(options.image) < 4 * MIB:
        parser.error("--image %s: needs a file of at least 4 MiB" % options.image)
    for program in (VENDOR, TRACKER, PEER):
        if not os.access(program, os.X_OK):
            parser.error("%s is not there: run scripts/build" % program)
    return options


def interrupted(number, frame):
    raise KeyboardInterrupt


def main():
    options = options_of(sys.argv[1:])
    signal.signal(signal.SIGTERM, interrupted)
    signal.signal(signal.SIGHUP, interrupted)
    stage = tempfile.mkdtemp(prefix="fwswarm-demo-")
    demo = Demo(options, stage)
    wrong, interrupt = [], False
    try:
        result, wrong = demo.play()
        demo.table()
        print("\n" + (sentence(demo, result) if not wrong else "FAILED: %s." % "; ".join(wrong)))
        if options.json:
            with open(options.json, "w", encoding="ascii") as file:
                json.dump(result, file, indent=2)
                file.write("\n")
    except KeyboardInterrupt:
        interrupt = True
        print("demo: interrupted", file=sys.stderr)
    except Failure as failure:
        wrong = [str(failure)]
        print("demo: FAILED: %s" % failure, file=sys.stderr)
    finally:
        demo.close()
    if wrong:
        print("demo: everything is kept in %s" % stage, file=sys.stderr)
        return 1
    shutil.rmtree(stage, ignore_errors=True)
    return 130 if interrupt else 0


if __name__ == "__main__":
    sys.exit(main())
