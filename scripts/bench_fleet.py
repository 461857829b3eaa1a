"""`scripts/bench fleet`: twenty real devices on shaped lines against the simulator, same figures.

Each device and the verify node run in a network namespace of their own.  A veth pair joins it to a
bridge, in a namespace too; a token bucket (tc tbf) at the near end of the pair is the line up, one
at the bridge's end the line down.  The kernel adds no delay here, so the round trip given to the
simulator is small.  scripts/bench puts all of this, this program included, into mount, process and
network namespaces that end with it: nothing of it can outlive a run.

Both sides count alike.  A run begins when the devices are let go, all at once, with the release
already at the verify node; it ends when the last device says that it holds the verified image
(image.complete in its log, whose clock is the machine's; the simulator's `held`).  The processes
stand ready before that moment and only have to be executed, as the simulator's nodes boot within
a tenth of a second.

The nodes have real-time priority, so that other work on the machine stays out of the figures.  A
run whose devices stood ready and waited for a processor for more than a tenth of the time is not
counted: its lines were not what held it up.
"""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

from bench import (BUILD, KIB, MEMORY, MIB, MODEL, PEER, TRACKER, VENDOR, VERSION, Failure, call,
                   cpu_of, make_image, say)
from demo_node import Node

SIM = os.path.join(BUILD, "sim", "fwswarm-sim")
DEVICES = 20
RTT_MS = "0.2"  # what ping says through both buckets, when nothing queues
PORT = 7654
BRIDGE = "hub"
WAIT_MOST = 0.1
FAR = 0.1  # a makespan that differs by more is not met
TRIES = 3  # of one run, until the processors had time for it
PROBE = 0.02
SETTLE = 1.0
MBIT = 1000000

# name, a device's line up and down, the verify node's line, bits a second; the image
POINTS = {
    "slow": (2 * MBIT, 8 * MBIT, 4 * MBIT, 4 * MIB),
    "medium": (6 * MBIT, 30 * MBIT, 12 * MBIT, 8 * MIB),
    "fast": (16 * MBIT, 80 * MBIT, 32 * MBIT, 24 * MIB),
}


# ---- the network ----

def address(index):
    """One /24 each, as in the simulator: nodes judge crowded networks."""
    return "10.77.%d.1" % index


def space(index):
    return "n%d" % index


def inside(name, *command):
    return ["nsenter", "--net=/run/netns/" + name, *command]


def promptly(*command):
    """With real-time priority, where that is allowed."""
    allowed = subprocess.run(["chrt", "--rr", "1", "true"], stderr=subprocess.DEVNULL, check=False)
    return (["chrt", "--rr", "1"] if allowed.returncode == 0 else []) + list(command)


def sysctl(name, *settings):
    call(*inside(name, "sysctl", "-qw", *settings))


def shape(name, device, rate, queue_ms):
    """The bucket holds two milliseconds, so that the shaper need not wake for each packet."""
    burst = max(16 * KIB, rate // 8 // 500)
    limit = burst + max(64 * 1514, rate // 8 * queue_ms // 1000)
    call("tc", "-n", name, "qdisc", "add", "dev", device, "root", "tbf", "rate", "%dbit" % rate,
         "burst", str(burst), "limit", str(limit))


def build_network(point, options):
    up, down, origin, _ = point
    call("ip", "netns", "add", BRIDGE)
    sysctl(BRIDGE, "net.ipv6.conf.all.disable_ipv6=1")
    call("ip", "-n", BRIDGE, "link", "add", "name", "bus", "type", "bridge")
    call("ip", "-n", BRIDGE, "link", "set", "bus", "up")
    for index in range(options.devices + 1):
        name = space(index)
        call("ip", "netns", "add", name)
        sysctl(name, "net.ipv6.conf.all.disable_ipv6=1")
        call("ip", "-n", BRIDGE, "link", "add", name, "type", "veth", "peer", "name", "eth0",
             "netns", name)
        call("ip", "-n", BRIDGE, "link", "set", name, "master", "bus", "up")
        call("ip", "-n", name, "addr", "add", address(index) + "/16", "dev", "eth0")
        call("ip", "-n", name, "link", "set", "eth0", "up")
        call("ip", "-n", name, "link", "set", "lo", "up")
        # By route: a namespace may not choose as its default what the machine does not allow.
        call("ip", "-n", name, "route", "replace", "10.77.0.0/16", "dev", "eth0", "proto", "kernel",
             "scope", "link", "src", address(index), "congctl", options.congestion)
        shape(name, "eth0", up if index else origin, options.queue)
        shape(BRIDGE, name, down if index else origin, options.queue)


def drop_network(devices):
    for name in [space(index) for index in range(devices + 1)] + [BRIDGE]:
        subprocess.run(["ip", "netns", "del", name], stderr=subprocess.DEVNULL, check=False)


def lines(hosts):
    """Bytes that left through the lines up so far, and packets that found any line's queue full."""
    up, drops = 0, 0
    for host in hosts:
        for name, device in ((host.name, "eth0"), (BRIDGE, host.name)):
            said = json.loads(call("tc", "-n", name, "-s", "-j", "qdisc", "show", "dev", device))
            up += said[0]["bytes"] if device == "eth0" else 0
            drops += said[0]["drops"]
    return up, drops


# ---- the nodes ----

class Host(Node):
    """A node in its namespace.  It is started when `gate`, a pipe's reading end, comes to its end:
    a shell waits there, so that all begin at one moment."""

    def __init__(self, stage, index, program, arguments):
        super().__init__(stage, space(index), program, arguments)
        self.index = index

    def start_at(self, gate):
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                inside(self.name, *promptly("sh", "-c", 'read -r go; exec "$@" </dev/null', "sh"),
                       self.program, "run", "--device", self.device, "--data", self.data,
                       "--listen", "%s:%d" % (address(self.index), PORT), "--lan", "off",
                       *self.arguments), stdin=gate, stdout=log, stderr=log)

    def said(self, event):
        """The moment of an event in the log, or None."""
        with open(self.log, encoding="utf-8") as log:
            for line in log:
                if " ev=%s " % event in line:
                    return float(line.split(" ", 1)[0].partition("=")[2])
        return None

    def image(self):
        images = self.status.get("images", [])
        return images[0] if images else {}


def start_all(hosts):
    """Lets all go together; returns the moment."""
    gate, far = os.pipe()
    try:
        for host in hosts:
            host.start_at(gate)
        time.sleep(SETTLE if len(hosts) > 1 else 0)
    finally:
        os.close(gate)
        began = time.monotonic()
        os.close(far)
    return began


def mourn(host):
    """The log is gone with the stage: its end goes into the message."""
    if host.process.poll() is None:
        return
    with open(host.log, encoding="utf-8") as log:
        last = log.read().splitlines()[-3:]
    raise Failure("%s ended with status %d: %s"
                  % (host.name, host.process.returncode, " | ".join(last) or "it said nothing"))


def await_all(hosts, done, limit):
    """Until done(host) is true of every host."""
    left = list(hosts)
    end = time.monotonic() + limit
    while left:
        if time.monotonic() > end:
            raise Failure("after %d s %d of %d are not done, the first is %s, see its log"
                          % (limit, len(left), len(hosts), left[0].name))
        left = [host for host in left if not done(host)]
        for host in left:
            mourn(host)
        time.sleep(PROBE)


def waited(pid):
    """Seconds that a process' threads were ready to run and did not."""
    total = 0
    for thread in os.listdir("/proc/%d/task" % pid):
        with open("/proc/%d/task/%s/schedstat" % (pid, thread), encoding="ascii") as file:
            total += int(file.read().split()[1])
    return total / 1e9


def machine_idle():
    """Processor time so far that nobody wanted, of all."""
    with open("/proc/stat", encoding="ascii") as file:
        fields = [int(word) for word in file.readline().split()[1:9]]
    return fields[3] + fields[4], sum(fields)


class Fleet:
    """The papers and the release of one point, and its runs."""

    def __init__(self, stage, point, options):
        self.stage, self.point, self.options = stage, point, options
        self.size = point[3]
        tracker = "%s:%d" % (address(0), PORT)
        self.origin = Host(stage, 0, TRACKER, [])
        self.devices = [Host(stage, 1 + i, PEER, ["--tracker", tracker])
                        for i in range(options.devices)]
        self.all = [self.origin, *self.devices]

    def set_up(self):
        fleet, image, suit = (os.path.join(self.stage, name) for name in
                              ("fleet", "image", "release.suit"))
        make_image(image, self.size)
        call(VENDOR, "fleet", "create", fleet, "--no-password")
        call(VENDOR, "device", "enrol", fleet, "--role", "verify", "--model", MODEL, "--out",
             self.origin.device)
        outs = [word for host in self.devices for word in ("--out", host.device)]
        call(VENDOR, "device", "enrol", fleet, "--role", "normal", "--model", MODEL, *outs)
        call(VENDOR, "release", "sign", fleet, "--model", MODEL, "--version", VERSION, "--image",
             image, "--out", suit)
        start_all([self.origin])
        await_all([self.origin], lambda host: host.said("listening"), 10)
        call(*inside(self.origin.name, VENDOR, "release", "publish", suit, "--image", image,
                     "--to", "%s:%d" % (address(0), PORT), "--fleet", fleet))
        self.stop()
        os.unlink(image)
        shutil.copytree(self.origin.data, self.origin.data + ".before")

    def stop(self):
        for host in self.all:
            host.stop()
        for host in self.all:
            host.gone()
            host.process = None

    def forget(self):
        """Every node as it was before the release was fetched."""
        for host in self.all:
            shutil.rmtree(host.data, ignore_errors=True)
        shutil.copytree(self.origin.data + ".before", self.origin.data)

    def run(self):
        self.forget()
        start_all([self.origin])
        await_all([self.origin], lambda host: host.look().get("images"), 10)
        time.sleep(SETTLE)
        before = lines(self.all)
        idle = machine_idle()
        began = start_all(self.devices)
        await_all(self.devices, lambda host: host.said("image.complete"), self.options.limit)
        idle = [b - a for a, b in zip(idle, machine_idle())]
        used = sum(cpu_of(host.process.pid) for host in self.all)
        delay = sum(waited(host.process.pid) for host in self.devices)
        sent, drops = (b - a for a, b in zip(before, lines(self.all)))
        times = sorted(host.said("image.complete") - began for host in self.devices)
        for host in self.devices:
            host.look()
        self.stop()
        needed = self.size * len(self.devices)
        return {
            "makespan_s": times[-1],
            "median_s": times[(len(times) - 1) // 2],
            "boot_s": statistics.median(host.said("listening") for host in self.devices) - began,
            "origin_copies": sum(host.image().get("bytes_origin", 0)
                                 for host in self.devices) / self.size,
            "overhead_bytes_ratio": sent / needed - 1,
            "packets_dropped": drops,
            "cpu_nodes": used / times[-1] / os.cpu_count(),
            "cpu_wait": delay / len(self.devices) / times[-1],
            "cpu_idle": idle[0] / max(1, idle[1]),
        }

    def counted_run(self):
        for _ in range(TRIES):
            one = self.run()
            if one["cpu_wait"] <= WAIT_MOST or self.options.anyway:
                return one
            say("  not counted: %.2f s, of which each device waited %.1f %% for a processor; all "
                "nodes used %.0f %% of them, idle %.0f %%"
                % (one["makespan_s"], 100 * one["cpu_wait"], 100 * one["cpu_nodes"],
                   100 * one["cpu_idle"]))
        raise Failure("the processors, not the lines, held up %d runs: choose fewer --devices, "
                      "a slower --point or a quieter machine" % TRIES)


def simulated(point, seed, options):
    up, down, origin, size = point
    command = [SIM, "run", "--peers", str(options.devices), "--image-size", str(size),
               "--peer-up", kbit(up), "--peer-down", kbit(down), "--origin-up", kbit(origin),
               "--rtt", RTT_MS, "--seed", str(seed), "--json"]
    one = json.loads(call(*command))
    return {key: one[key] for key in ("makespan_s", "median_s", "origin_copies",
                                      "overhead_bytes_ratio", "bound_s")}


def kbit(rate):
    return "%dkbit" % (rate // 1000)


# ---- the bench ----

def medians(runs):
    return {key: statistics.median(run[key] for run in runs) for key in runs[0]}


def compare(name, options):
    point = POINTS[name]
    real = []
    with tempfile.TemporaryDirectory(prefix="fwswarm-bench-", dir=MEMORY) as stage:
        fleet = Fleet(stage, point, options)
        try:
            build_network(point, options)
            fleet.set_up()
            for turn in range(options.runs):
                real.append(fleet.counted_run())
                say("%-7s run %d of %d: last %6.2f s  median %6.2f s  %.1f copies  overhead "
                    "%4.1f %%  %d dropped  processors awaited %.1f %%, used %.0f %%"
                    % (name, turn + 1, options.runs, real[-1]["makespan_s"],
                       real[-1]["median_s"], real[-1]["origin_copies"],
                       100 * real[-1]["overhead_bytes_ratio"], real[-1]["packets_dropped"],
                       100 * real[-1]["cpu_wait"], 100 * real[-1]["cpu_nodes"]))
        finally:
            fleet.stop()
            drop_network(options.devices)
    sim = [simulated(point, seed, options) for seed in range(1, options.runs + 1)]
    result = {"point": name, "up": point[0], "down": point[1], "origin": point[2],
              "size": point[3], "bound_s": sim[0]["bound_s"], "real": medians(real),
              "sim": medians(sim), "real_runs": real, "sim_runs": sim}
    for what in ("makespan", "median"):
        ours, theirs = (result[side][what + "_s"] for side in ("sim", "real"))
        result[what + "_difference"] = ours / theirs - 1
    return result


def table(results, options):
    print("%d devices, one verify node, TCP %s, queues of %d ms; seconds until held, median of %d"
          % (options.devices, options.congestion, options.queue, options.runs))
    head = ("point", "up/down/origin", "image", "bound", "last real", "sim", "differ",
            "half real", "sim", "differ", "copies r/s", "overhead r/s", "wait")
    form = "%-7s %15s %7s %7s %10s %7s %7s %10s %7s %7s %11s %13s %5s"
    print(form % head)
    for one in results:
        real, sim = one["real"], one["sim"]
        print(form % (
            one["point"], "%d/%d/%d Mbit" % tuple(one[k] // MBIT for k in ("up", "down", "origin")),
            "%d MiB" % (one["size"] // MIB), "%.2f" % one["bound_s"],
            "%.2f" % real["makespan_s"], "%.2f" % sim["makespan_s"],
            "%+.1f %%" % (100 * one["makespan_difference"]),
            "%.2f" % real["median_s"], "%.2f" % sim["median_s"],
            "%+.1f %%" % (100 * one["median_difference"]),
            "%.2f/%.2f" % (real["origin_copies"], sim["origin_copies"]),
            "%.1f/%.1f %%" % (100 * real["overhead_bytes_ratio"],
                              100 * sim["overhead_bytes_ratio"]),
            "%.1f %%" % (100 * max(run["cpu_wait"] for run in one["real_runs"]))))


def options_of(arguments):
    parser = argparse.ArgumentParser(prog="scripts/bench fleet")
    parser.add_argument("--point", action="append", choices=list(POINTS), dest="points",
                        help="only this one; may be repeated (default: all)")
    parser.add_argument("--devices", type=int, default=DEVICES, metavar="N",
                        help="so many (%d)" % DEVICES)
    parser.add_argument("--runs", type=int, default=3, metavar="N", help="of each point (3)")
    parser.add_argument("--queue", type=int, default=100, metavar="MS",
                        help="of each line, full, but at least 64 packets (100)")
    parser.add_argument("--congestion", default="cubic", metavar="NAME",
                        help="TCP congestion control of all nodes (cubic)")
    parser.add_argument("--limit", type=int, default=300, metavar="S",
                        help="give up a run after so long (300)")
    parser.add_argument("--anyway", action="store_true",
                        help="count runs that waited for the processors, too")
    parser.add_argument("--json", action="store_true", help="print figures and runs as JSON")
    options = parser.parse_args(arguments)
    if not 1 <= options.devices <= 200 or options.runs < 1 or options.queue < 1:
        parser.error("from 1 to 200 devices, at least one run, a queue of at least 1 ms")
    if not os.environ.get("FWSWARM_BENCH_ALONE"):
        parser.error("network namespaces need root: run scripts/bench fleet as root")
    for program in (VENDOR, TRACKER, PEER, SIM):
        if not os.access(program, os.X_OK):
            parser.error("%s is not there: run scripts/build" % program)
    return options


def main(arguments):
    options = options_of(arguments)
    try:
        results = [compare(name, options) for name in options.points or POINTS]
    except Failure as failure:
        say("bench: %s" % failure)
        return 1
    except KeyboardInterrupt:
        return 130
    if options.json:
        print(json.dumps({"bench": "fleet", "devices": options.devices, "runs": options.runs,
                          "queue_ms": options.queue, "congestion": options.congestion,
                          "rtt_ms": float(RTT_MS), "points": results}, indent=1))
    else:
        table(results, options)
    far = [one["point"] for one in results if abs(one["makespan_difference"]) > FAR]
    if far:
        say("bench: the simulator is further off than %.0f %%: %s" % (100 * FAR, ", ".join(far)))
    return 1 if far else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
