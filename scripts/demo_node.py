"""The processes of scripts/demo: a node, and a device with the firmware that it runs."""
import hashlib
import json
import os
import socket
import subprocess


class Failure(Exception):
    """The play cannot go on; the message says why."""


def digest_of(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def free_ports(count):
    """Ports that nobody listens on now; all are held until all are found."""
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


class Node:
    """One process, its directories, and what it last said of itself."""

    def __init__(self, stage, name, program, arguments):
        self.name, self.program, self.arguments = name, program, arguments
        self.device = os.path.join(stage, name)
        self.data = os.path.join(stage, name, "data")
        self.log = os.path.join(stage, name, "log")
        self.port = 0
        self.process = None
        self.status = {}

    def start(self, extra=()):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [self.program, "run", "--device", self.device, "--data", self.data,
                 "--listen", "127.0.0.1:%d" % self.port, *self.arguments, *extra],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def running(self):
        return self.process is not None and self.process.poll() is None

    def look(self):
        """Asks for status; what was known before stays when no answer comes."""
        if not self.running():
            return self.status
        try:
            with socket.socket(socket.AF_UNIX) as control:
                control.settimeout(5)
                control.connect(os.path.join(self.data, "control.sock"))
                control.sendall(b'{"cmd":"status"}\n')
                with control.makefile("rb") as answer:
                    self.status = json.loads(answer.readline())
        except (OSError, ValueError):
            pass
        return self.status

    def stop(self):
        if self.running():
            self.process.terminate()

    def gone(self, seconds=10):
        """Waits for the end of the process, and sees to it."""
        if self.process is None:
            return
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def mourn(self):
        """An end that nobody asked for."""
        if self.process is not None and self.process.poll() is not None:
            raise Failure("%s ended with status %d, see %s"
                          % (self.name, self.process.returncode, self.log))


class Device(Node):
    """A device of the fleet, with the file that stands for the firmware it runs."""

    def __init__(self, stage, name, program, part, versions):
        super().__init__(stage, name, program, [])
        self.current = os.path.join(stage, name, "firmware.img")
        self.part = part  # in the play; "" has none
        self.version, self.newest = versions
        self.mismatch = False  # it once found that its image is not the one that was signed
        self.before = {}  # bytes that an earlier process fetched, until it was killed
        self.resumed = 0  # bytes that the next one found and did not fetch again
        self.begun = self.finished = None  # when it could begin to fetch, and when all was done
        self.rate_from = (0.0, 0)
        self.rate = 0.0

    def image(self):
        for image in self.status.get("images", []):
            if image["version"] == self.newest:
                return image
        return {}

    def share(self):
        image = self.image()
        return image["blocks_have"] / image["blocks"] if image else 0.0

    def bytes(self, source):
        """From origins or from peers, over all lives of the device."""
        return self.image().get("bytes_" + source, 0) + self.before.get(source, 0)

    def observe(self, now):
        self.look()
        self.mismatch |= self.status.get("current", {}).get("mismatch", False)
        got = self.bytes("origin") + self.bytes("peer")
        if now - self.rate_from[0] >= 1:
            self.rate = max(0, got - self.rate_from[1]) / (now - self.rate_from[0])
            self.rate_from = (now, got)

    def done(self):
        """Runs the release, as far as its process knows."""
        current = self.status.get("current", {})
        return (self.image().get("state") == "confirmed" and
                current.get("digest") == self.image()["digest"])

    def state(self):
        if self.process is None:
            return "off"
        if not self.running():
            return "killed"
        return self.image().get("state", "waiting")
