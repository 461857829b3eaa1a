"""The measuring of scripts/bench: the real programs on loopback, their files in memory.

`link`: a verify node holds one image, a device fetches it; each run starts both anew and gives the
device an empty data directory.  Times come from the device's own log, whose clock is the machine's
monotonic one; CPU and memory come from /proc.  Another engine, when asked for, takes turns with ours
on the same image, in the same network namespace, with the same congestion control.

What is measured, of every engine alike:
  flow       the time from the first block to the last one kept and verified
  makespan   the time from the leecher's start (its program loaded) to the image being complete, with
             the check of the whole image that ours ends with
  cpu        seconds of CPU in that time, per GiB; ours counts the whole process of the leecher
  peak       the most private (anonymous) memory seen; VmHWM also counts mapped files
  rest       private memory of the seed before anybody asked, and of the leecher, now a seed, after
"""
import argparse
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.abspath(os.environ.get("FWSWARM_BUILD") or os.path.join(TOP, "build"))
VENDOR, TRACKER, PEER = (os.path.join(BUILD, folder, "fwswarm-" + folder.split("-")[0])
                         for folder in ("vendor-tool", "tracker", "peer"))
LIBTORRENT = [sys.executable, os.path.join(TOP, "scripts", "bench_libtorrent.py")]
ALONE = bool(os.environ.get("FWSWARM_BENCH_ALONE"))
MEMORY = "/dev/shm"
MODEL, VERSION = "bench-board", "2.0"
KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
TICKS = os.sysconf("SC_CLK_TCK")
LOOK_EVERY = 0.01
REST = 3.0  # seconds until a node counts as at rest: buffers are given back after one
RUN_MAX = 300


class Failure(Exception):
    """The bench cannot go on; the message says why."""


def say(text):
    print(text, file=sys.stderr, flush=True)


def call(*command):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        raise Failure("%s: %s" % (" ".join(command[:3]), (done.stderr or done.stdout).strip()))
    return done.stdout


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as one:
        return one.getsockname()[1]


# ---- looking at a process ----

def cpu_of(pid):
    with open("/proc/%d/stat" % pid) as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory_of(pid):
    """Bytes by name: RssAnon, the private memory; VmHWM, the most that was resident, files too."""
    found = {}
    with open("/proc/%d/status" % pid) as file:
        for line in file:
            name, _, value = line.partition(":")
            if name in ("RssAnon", "VmHWM"):
                found[name] = int(value.split()[0]) * KIB
    return found


def memory_free():
    with open("/proc/meminfo") as file:
        return int(re.search(r"^MemAvailable: *([0-9]+) kB", file.read(), re.M).group(1)) * KIB


class Watch(threading.Thread):
    """Samples the private memory of processes, by role, until it is stopped."""

    def __init__(self, pids):
        super().__init__(daemon=True)
        self.pids = pids
        self.peak = {role: {"RssAnon": 0, "VmHWM": 0} for role in pids}
        self.over = threading.Event()

    def look(self):
        for role, pid in self.pids.items():
            try:
                for name, value in memory_of(pid).items():
                    self.peak[role][name] = max(self.peak[role][name], value)
            except OSError:
                pass

    def run(self):
        while not self.over.wait(LOOK_EVERY):
            self.look()

    def stop(self):
        self.look()
        self.over.set()
        self.join()
        return self.peak


# ---- the engines ----

class Engine:
    """What both have: a stage, processes that end with it, and the turn of one run."""

    def __init__(self, stage, image, size):
        self.stage, self.image, self.size = stage, image, size
        self.children = []

    def start(self, command, **options):
        child = subprocess.Popen(command, **options)
        self.children.append(child)
        return child

    def warm(self):
        """Has the machine's memory at hand.  A virtual machine may have given freed memory back to
        its host, and taking it again costs time that is no engine's.  Several times the image,
        because nobody can say which of the free pages will be next."""
        path = os.path.join(self.stage, "warm")
        piece = b"\1" * MIB
        with open(path, "wb") as out:
            for _ in range(min(4 * self.size, memory_free() // 2) // MIB):
                out.write(piece)
        os.unlink(path)

    def stop(self):
        for child in self.children:
            if child.stdin is not None:
                child.stdin.close()
            if child.poll() is None:
                child.terminate()
        for child in self.children:
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        self.children = []

    def figures(self, begun, first, last, end, cpu, peak, rest):
        per_gib = GIB / self.size
        return {
            "rate_mb_s": self.size / 1e6 / (last - first),
            "makespan_s": end - begun,
            "cpu_seed_s": cpu["seed"] * per_gib,
            "cpu_leech_s": cpu["leech"] * per_gib,
            "cpu_s": (cpu["seed"] + cpu["leech"]) * per_gib,
            "peak_seed_mib": peak["seed"]["RssAnon"] / MIB,
            "peak_leech_mib": peak["leech"]["RssAnon"] / MIB,
            "hwm_seed_mib": peak["seed"]["VmHWM"] / MIB,
            "hwm_leech_mib": peak["leech"]["VmHWM"] / MIB,
            "rest_seed_mib": rest["seed"] / MIB,
            "rest_leech_mib": rest["leech"] / MIB,
        }


class Fwswarm(Engine):
    name = "fwswarm"

    def set_up(self):
        self.fleet = os.path.join(self.stage, "fleet")
        call(VENDOR, "fleet", "create", self.fleet, "--no-password")
        for role, name in (("verify", "v1"), ("normal", "d1")):
            call(VENDOR, "device", "enrol", self.fleet, "--role", role, "--model", MODEL,
                 "--out", os.path.join(self.stage, name))
        suit = os.path.join(self.stage, "release.suit")
        call(VENDOR, "release", "sign", self.fleet, "--model", MODEL, "--version", VERSION,
             "--image", self.image, "--out", suit)
        _, port = self.run_seed()
        call(VENDOR, "release", "publish", suit, "--image", self.image, "--to",
             "127.0.0.1:%d" % port, "--fleet", self.fleet)
        self.stop()

    def node(self, program, device, data, *more):
        log = os.path.join(self.stage, device + ".log")
        port = free_port()
        with open(log, "wb") as out:
            child = self.start(
                [program, "run", "--device", os.path.join(self.stage, device), "--data",
                 os.path.join(self.stage, data), "--listen", "127.0.0.1:%d" % port, "--lan", "off",
                 *more], stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        return child, port, log

    def run_seed(self):
        child, port, log = self.node(TRACKER, "v1", "seed")
        self.await_line(child, log, "listening")
        return child, port

    @staticmethod
    def await_line(child, log, event):
        """The time of an event in a log, once it is there."""
        pattern = re.compile(r"^t=([0-9.]+) .*ev=%s( |$)" % event, re.MULTILINE)
        end = time.monotonic() + RUN_MAX
        while time.monotonic() < end:
            with open(log) as file:
                found = pattern.search(file.read())
            if found:
                return float(found.group(1))
            if child.poll() is not None:
                break
            time.sleep(LOOK_EVERY)
        raise Failure("no %s in %s" % (event, log))

    def run(self):
        seed, port = self.run_seed()
        time.sleep(REST)
        rest = {"seed": memory_of(seed.pid)["RssAnon"]}
        self.warm()
        before = cpu_of(seed.pid)
        begun = time.monotonic()
        leech, _, log = self.node(PEER, "d1", "leech", "--tracker", "127.0.0.1:%d" % port)
        watch = Watch({"seed": seed.pid, "leech": leech.pid})
        watch.start()
        end = self.await_line(leech, log, "image.complete")
        cpu = {"seed": cpu_of(seed.pid) - before, "leech": cpu_of(leech.pid)}
        peak = watch.stop()
        first = self.await_line(leech, log, "image.open")
        last = self.await_line(leech, log, "release.state .*state=checking")
        time.sleep(REST)
        rest["leech"] = memory_of(leech.pid)["RssAnon"]
        self.stop()
        shutil.rmtree(os.path.join(self.stage, "leech"))
        return self.figures(begun, first, last, end, cpu, peak, rest)


class Libtorrent(Engine):
    name = "libtorrent"
    piece_length = 1 * MIB

    def set_up(self):
        self.torrent = os.path.join(self.stage, "image.torrent")
        call(*LIBTORRENT, "make", self.image, self.torrent, str(self.piece_length))

    def peer(self, role, folder, *more):
        address = "127.0.0.1:%d" % free_port()
        child = self.start([*LIBTORRENT, role, self.torrent, folder, address, *more],
                           stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if child.stdout.readline().strip() != "ready":
            raise Failure("libtorrent did not start")
        return child, address

    @staticmethod
    def go(child):
        child.stdin.write("go\n")
        child.stdin.flush()

    def await_first(self, path):
        """The time when the file has its first bytes."""
        end = time.monotonic() + RUN_MAX
        while time.monotonic() < end:
            try:
                if os.stat(path).st_blocks > 0:
                    return time.monotonic()
            except FileNotFoundError:
                pass
            time.sleep(LOOK_EVERY / 4)
        raise Failure("libtorrent fetched nothing")

    def run(self):
        folder = os.path.join(self.stage, "leech")
        os.makedirs(folder)
        seed, address = self.peer("seed", os.path.dirname(self.image))
        self.go(seed)
        time.sleep(REST)
        rest = {"seed": memory_of(seed.pid)["RssAnon"]}
        leech, _ = self.peer("leech", folder, address)
        self.warm()
        before = {"seed": cpu_of(seed.pid), "leech": cpu_of(leech.pid)}
        watch = Watch({"seed": seed.pid, "leech": leech.pid})
        watch.start()
        begun = time.monotonic()
        self.go(leech)
        first = self.await_first(os.path.join(folder, os.path.basename(self.image)))
        said = leech.stdout.readline().split()
        if said[:1] != ["done"]:
            raise Failure("libtorrent did not finish")
        end = float(said[1])
        cpu = {"seed": cpu_of(seed.pid) - before["seed"],
               "leech": cpu_of(leech.pid) - before["leech"]}
        peak = watch.stop()
        time.sleep(REST)
        rest["leech"] = memory_of(leech.pid)["RssAnon"]
        self.stop()
        shutil.rmtree(folder)
        return self.figures(begun, first, end, end, cpu, peak, rest)


# ---- the bench ----

ROWS = (
    ("rate_mb_s", "MB/s while data flows", "%.0f"),
    ("makespan_s", "makespan, s", "%.2f"),
    ("cpu_s", "CPU s per GiB, both sides", "%.2f"),
    ("cpu_seed_s", "  seed", "%.2f"),
    ("cpu_leech_s", "  leecher", "%.2f"),
    ("peak_seed_mib", "peak private MiB, seed", "%.1f"),
    ("peak_leech_mib", "  leecher", "%.1f"),
    ("hwm_seed_mib", "peak resident MiB, seed", "%.1f"),
    ("hwm_leech_mib", "  leecher", "%.1f"),
    ("rest_seed_mib", "private MiB at rest, seed", "%.1f"),
    ("rest_leech_mib", "  leecher, after", "%.1f"),
)


def summary(runs):
    return {key: {"median": statistics.median(run[key] for run in runs),
                  "min": min(run[key] for run in runs), "max": max(run[key] for run in runs)}
            for key, _, _ in ROWS}


def congestion(name):
    """Chooses the congestion control where that concerns nobody else; returns the one in force.

    By route, because a namespace may not choose as its default what the machine has not allowed to
    all.  What is in force is asked of a connection, not believed.
    """
    if ALONE:
        call("ip", "link", "set", "lo", "up")
        for place in ("127.0.0.0/8", "127.0.0.1"):
            call("ip", "route", "replace", "local", place, "dev", "lo", "table", "local", "proto",
                 "kernel", "scope", "host", "src", "127.0.0.1", "congctl", name)
    with socket.create_server(("127.0.0.1", 0)) as listener, \
            socket.create_connection(listener.getsockname()) as one, listener.accept()[0] as other:
        names = {end.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16).rstrip(b"\0")
                 for end in (one, other)}
    found = "/".join(sorted(name.decode() for name in names))
    if ALONE and found != name:
        raise Failure("--congestion %s: this machine gives %s" % (name, found))
    return found


def make_image(path, size):
    with open(path, "wb") as out:
        left = size
        while left > 0:
            out.write(os.urandom(min(left, MIB)))
            left -= MIB


def link(options):
    control = congestion(options.congestion)
    free = shutil.disk_usage(MEMORY).free
    if free < 3 * options.size + 64 * MIB:
        raise Failure("%s has %d MiB free, three images of %d MiB do not fit: choose a smaller "
                      "--size" % (MEMORY, free // MIB, options.size // MIB))
    kinds = [Fwswarm] + ([Libtorrent] if options.against else [])
    engines, runs = [], {kind.name: [] for kind in kinds}
    with tempfile.TemporaryDirectory(prefix="fwswarm-bench-", dir=MEMORY) as stage:
        image = os.path.join(stage, "image")
        say("making an image of %d MiB, random bytes" % (options.size // MIB))
        make_image(image, options.size)
        try:
            for kind in kinds:
                folder = os.path.join(stage, kind.name)
                os.mkdir(folder)
                engines.append(kind(folder, image, options.size))
                say("%s: preparing" % kind.name)
                engines[-1].set_up()
            for turn in range(options.runs + 1):
                for engine in engines if turn % 2 == 0 else reversed(engines):
                    one = engine.run()
                    if turn > 0:  # the first is for warming up
                        runs[engine.name].append(one)
                    say("run %d of %d, %-10s  %4.0f MB/s  makespan %5.2f s  CPU %.2f s per GiB"
                        % (turn, options.runs, engine.name, one["rate_mb_s"],
                           one["makespan_s"], one["cpu_s"]))
        finally:
            for engine in engines:
                engine.stop()
    return {"bench": "link", "size": options.size, "runs": options.runs, "congestion": control,
            "engines": {name: {"figures": summary(of), "runs": of} for name, of in runs.items()}}


def table(result):
    names = list(result["engines"])
    say("")
    print("One seed, one leecher, loopback, %d MiB in memory, TCP %s, median of %d (least - most)"
          % (result["size"] // MIB, result["congestion"], result["runs"]))
    head = "%-28s" % "" + "".join("%26s" % name for name in names)
    print(head + ("%12s" % "ratio" if len(names) == 2 else ""))
    for key, label, form in ROWS:
        line = "%-28s" % label
        for name in names:
            value = result["engines"][name]["figures"][key]
            spread = "(%s - %s)" % (form % value["min"], form % value["max"])
            line += "%9s %-16s" % (form % value["median"], spread)
        if len(names) == 2:
            ours, theirs = (result["engines"][name]["figures"][key]["median"] for name in names)
            line += "%11.2fx" % (ours / theirs) if theirs else ""
        print(line.rstrip())


def size_of(text):
    match = re.fullmatch(r"([0-9]+)(KiB|MiB|GiB)?", text)
    if not match:
        raise argparse.ArgumentTypeError("a size is a number and KiB, MiB or GiB")
    return int(match.group(1)) * {None: 1, "KiB": KIB, "MiB": MIB, "GiB": GIB}[match.group(2)]


def options_of(arguments):
    parser = argparse.ArgumentParser(prog="scripts/bench")
    benches = parser.add_subparsers(dest="bench", required=True, metavar="BENCH")
    one = benches.add_parser("link", help="one seed to one leecher over loopback")
    one.add_argument("--size", type=size_of, default=GIB, metavar="SIZE", help="of the image")
    one.add_argument("--runs", type=int, default=5, metavar="N", help="of each engine")
    one.add_argument("--against", choices=["libtorrent"], help="measure this engine too, in turns")
    one.add_argument("--congestion", default="cubic", metavar="NAME",
                     help="TCP congestion control for all; without root, the machine's is used")
    one.add_argument("--json", action="store_true", help="print figures and runs as JSON")
    options = parser.parse_args(arguments)
    if options.runs < 1 or options.size < MIB:
        parser.error("at least one run and 1 MiB")
    for program in (VENDOR, TRACKER, PEER):
        if not os.access(program, os.X_OK):
            parser.error("%s is not there: run scripts/build" % program)
    return options


def main(arguments):
    options = options_of(arguments)
    try:
        result = link(options)
    except Failure as failure:
        say("bench: %s" % failure)
        return 1
    except KeyboardInterrupt:
        return 130
    if options.json:
        print(json.dumps(result, indent=1))
    else:
        table(result)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
