#!/usr/bin/env python3
"""Runs fwswarm-sim with the real core and looks at its report.

usage: run.py SIMULATOR CASE

complete   50 devices complete, no violation, within the bound's liveness limit
same       the same seed gives the same trace hash twice
other      another seed gives another trace hash
crash      a third of the devices lose power once; all complete, no violation
origins    three verify nodes, of which one has the image at first
near       no delay at all: nothing is served before it is durable
crowd      more devices than the verify node has links: all complete
sites      places behind thin lines: what comes in over them, with a LAN and without
real       the true channel changes nothing
input      what cannot be is refused by name with status 2
read       a scenario file: its mistakes by line, and the same run in other ways
examples   the scenarios of sim/scenarios complete
flags      flags prevail over the file
stop       signals, and what a failed run says
live       progress on a terminal
"""
import json
import os
import pathlib
import pty
import signal
import subprocess
import sys
import tempfile
import time

SIM = sys.argv[1]
SMALL = ["--peers", "12", "--image-size", "2MiB"]


def run(*args, status=0):
    done = subprocess.run([SIM, "run", "--json", *args], capture_output=True, text=True,
                          timeout=600)
    if done.returncode != status:
        sys.exit(f"{' '.join(args)}: status {done.returncode}\n{done.stdout}{done.stderr}")
    return json.loads(done.stdout) if status != 2 else done.stderr


def expect(what, truth, report):
    if not truth:
        sys.exit(f"not so: {what}\n{json.dumps(report, indent=1)}")


def whole(report, peers):
    expect("all complete", report["completed"] == peers, report)
    expect("all confirmed", report["confirmed"] == peers, report)
    expect("no violations", report["violations"] == [], report)
    expect("no faster than the bound", report["makespan_s"] >= report["bound_s"], report)
    limit = 3 * report["bound_s"] + 600
    expect("within the liveness limit", report["makespan_s"] <= limit, report)


def complete():
    report = run("--peers", "50", "--image-size", "4MiB", "--seed", "1")
    whole(report, 50)
    expect("peers do the work", report["origin_copies"] < 25, report)


def same():
    first, second = run(*SMALL, "--seed", "7"), run(*SMALL, "--seed", "7")
    expect("same hash", first["trace_hash"] == second["trace_hash"], [first, second])
    expect("same events", first["events"] == second["events"], [first, second])
    crash = [run(*SMALL, "--seed", "7", "--crash", "4") for _ in range(2)]
    expect("same hash with crashes", crash[0]["trace_hash"] == crash[1]["trace_hash"], crash)
    expect("crashes show", crash[0]["trace_hash"] != first["trace_hash"], [first, crash])


def other():
    hashes = {run(*SMALL, "--seed", str(s))["trace_hash"] for s in range(4)}
    expect("four seeds, four hashes", len(hashes) == 4, sorted(hashes))


def crash():
    for seed in range(3):
        report = run("--peers", "24", "--image-size", "4MiB", "--crash", "8", "--seed", str(seed))
        whole(report, 24)
        expect("crashes happened", report["faults"] >= 4, report)


def origins():
    whole(run(*SMALL, "--verify", "3", "--seed", "5"), 12)


def near():
    for seed in range(3):
        whole(run(*SMALL, "--rtt", "0", "--peer-up", "100Mbit", "--seed", str(seed)), 12)


def crowd():
    whole(run("--peers", "230", "--image-size", "1MiB", "--seed", "1"), 230)


def sites():
    """Behind a NAT only the LAN lets neighbours find each other."""
    copies = {}
    with tempfile.TemporaryDirectory() as folder:
        for lan in ("lan", ""):
            path = pathlib.Path(folder) / "scenario.scn"
            path.write_text(f"site shop count=3 up=10Mbit down=20Mbit rtt=2ms {lan}\n"
                            "verify vendor count=1 up=100Mbit down=100Mbit rtt=20ms\n"
                            "peers tills site=shop count=6 up=100Mbit down=100Mbit rtt=20ms nat\n"
                            "release version=2.0 size=2MiB\n")
            report = run(str(path))
            whole(report, 18)
            copies[lan] = report["wan_copies_per_site"]
    expect("nobody shares without a LAN", copies[""] >= 6, copies)
    expect("a LAN saves most of it", 1 <= copies["lan"] < 3, copies)
    expect("no sites, no copies", run(*SMALL)["wan_copies_per_site"] is None, copies)


def real():
    """Every message through the true channel: the model's sizes and moments are its own."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "scenario.scn"
        path.write_text("site shop count=2 up=10Mbit down=20Mbit rtt=2ms lan\n"
                        "verify vendor count=2\n"
                        "peers tills site=shop count=3 nat\n"
                        "peers alone count=4\n"
                        "peers late count=2 join=20s\n"
                        "keys count=2 threshold=1 rotate-at=2s\n"
                        "release version=2.0 size=1MiB\n"
                        "release version=3.0 size=1MiB at=5s\n"
                        "fault 1 crash at=2s lasts=5s group=alone count=2\n"
                        "fault 2 break at=1s lasts=20s strength=20\n")
        for args in ([*SMALL, "--crash", "4"], [str(path)]):
            model, true = run(*args), run(*args, "--link", "real")
            expect("no violations", true["violations"] == [], true)
            expect("same hash", model["trace_hash"] == true["trace_hash"], [model, true])


def refused():
    """What the command line cannot mean."""
    for args, word in ((["--peers", "0"], "write a value from 1 to 60000"),
                       (["--peers", "x"], "--peers: x"), (["--image-size", "0"], "--image-size"),
                       (["--frobnicate"], "--frobnicate"), (["--peer"], "did you mean --peers"),
                       (["--peer-up", "10"], "--peer-up"), (["--peer-up", "1bit"], "from 8kbit"),
                       (["--crash", "60"], "there are 50 devices"), (["--verify", "33"], "from 1 to 32"),
                       (["--seed"], "needs a value"), (["--rtt", "slow"], "--rtt slow"),
                       (["--rtt", "61s"], "write 0 to 1min"), (["--until", "90"], "such as 20ms or 90s"),
                       (["--without", "2"], "no fault of that number"),
                       (["--link", "wire"], "model|real"), (["--link", "real", "--peers", "201"], "at most 200"),
                       (["--over", "x"], "--plot"),
                       (["a.scn", "b.scn"], "one scenario at a time"),
                       (["/nonexistent/x.scn"], "/nonexistent/x.scn: cannot be read"),
                       (["/"], "/: cannot be read"),
                       (["--trace", "/nonexistent/x"], "/nonexistent/x")):
        text = run(*args, status=2)
        expect(f"{args} names {word}", word in text and text.count("\n") == 1, text)
    for args in ([], ["fly"], ["run", "--help"], ["show", "--help"], ["--help"]):
        done = subprocess.run([SIM, *args], capture_output=True, text=True, timeout=60)
        helped = "--help" in args
        expect(f"{args}: status", done.returncode == (0 if helped else 2), done.stderr)
        expect(f"{args}: says how", ("usage" in done.stdout) if helped else
               (done.stdout == "" and "run" in done.stderr), done.stdout + done.stderr)


def read():
    """Scenario files: what is wrong with them is told with file and line, ahead of anything else."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "some.scn")
        trace = pathlib.Path(folder, "trace")
        for text, line, what, mend in (
                ("seed 1\npear tills\n", 2, "pear", "did you mean peers?"),
                ("peers a up=1bit\n", 1, "up=1bit", "write 8kbit to 1000Gbit"),
                ("# nobody\npeers a count=0\n", 2, "count=0", "write 1 to 60000"),
                ("peers a\nfault crash group=b\n", 2, "group b", "did you mean"),
                ("peers a count=60000\nverify b\n", 2, "60001 nodes", "lower count=")):
            path.write_text(text)
            said = run(str(path), "--trace", str(trace), status=2)
            expect(f"{text} at its line", said.startswith(f"{path}:{line}: "), said)
            expect(f"{text} with a mend", what in said and mend in said, said)
            expect("one line, and nothing ran", said.count("\n") == 1 and not trace.exists(), said)
        path.write_text("peers a count=59000\nrelease size=64GiB\n")
        said = run(str(path), status=2)
        expect("memory", "MiB are free" in said and "lower count=" in said, said)
        # A file, standard input, and what show makes of it are the same run.
        path.write_text("seed 7\npeers a count=12\nrelease size=1MiB\nfault crash at=500ms count=3\n")
        first = run(str(path))
        shown = subprocess.run([SIM, "show", str(path)], capture_output=True, text=True, timeout=60)
        expect("show", shown.returncode == 0 and "fault 1 crash at=500ms" in shown.stdout, shown.stdout)
        again = subprocess.run([SIM, "run", "--json", "-"], input=shown.stdout, capture_output=True,
                               text=True, timeout=600)
        expect("the same run", json.loads(again.stdout)["trace_hash"] == first["trace_hash"], first)
        wrong = subprocess.run([SIM, "run", "-"], input="\npear a\n", capture_output=True, text=True,
                               timeout=60)
        expect("its place", wrong.returncode == 2 and wrong.stderr.startswith("stdin:2: "), wrong.stderr)
        without = run(str(path), "--without", "1")
        expect("a fault less", without["faults"] == 0 < first["faults"], [first, without])


def examples():
    """The scenarios that come with the simulator run to their end, faults and all."""
    folder = pathlib.Path(__file__).resolve().parents[2] / "sim" / "scenarios"
    files = sorted(folder.glob("*.scn"))
    expect("some examples", len(files) >= 4, [])
    for path in files:
        report = run(str(path))
        expect(f"{path}: all complete", report["completed"] == report["peers"], report)
        expect(f"{path}: no violations", report["violations"] == [], report)
        expect(f"{path}: its faults strike", report["faults"] > 0, report)


def flags():
    """Flags prevail over the file, and are refused where it has to say it."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "some.scn")
        path.write_text("seed 7\nverify v up=1Mbit\npeers a count=3 up=1Mbit\nrelease size=4MiB\n")
        one = run(str(path), "--peers", "12", "--image-size", "2MiB", "--origin-up", "100Mbit",
                  "--peer-up=10Mbit", "--rtt", "20ms", "--seed", "8")
        whole(one, 12)
        expect("flags prevail", one["seed"] == 8 and one["image_bytes"] == 2 << 20, one)
        two = run(*SMALL, "--rtt", "20", "--seed", "8")
        expect("as from flags alone", one["bound_s"] == two["bound_s"], [one, two])
        path.write_text("peers a count=3\npeers b count=3\n")
        said = run(str(path), "--peers", "9", status=2)
        expect("ambiguous", "2 groups of devices; write count= in the file" in said, said)
        said = run(str(path), "--rtt", "2min", status=2)
        expect("judged again", said.startswith(f"{path}: ") and "rtt=2min" in said, said)


def stop():
    """A signal ends a run with its result so far; a failed run says how to see it again."""
    for sign in (signal.SIGINT, signal.SIGTERM):
        with tempfile.TemporaryDirectory() as folder:
            trace = pathlib.Path(folder, "trace")
            with subprocess.Popen([SIM, "run", "--json", "--peers", "60", "--image-size", "64MiB",
                                   "--trace", str(trace)], stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, text=True) as child:
                while child.poll() is None and not (trace.exists() and trace.stat().st_size > 0):
                    time.sleep(0.01)
                child.send_signal(sign)
                out, err = child.communicate(timeout=60)
            expect("its status", child.returncode == 130, [child.returncode, out, err])
            report = json.loads(out)
            expect("marked", report["interrupted"] is True and report["completed"] < 60, report)
            expect("not held against it", report["violations"] == [], report)
    args = [SIM, "run", *SMALL, "--seed", "3", "--until", "900ms"]
    text = [subprocess.run(a, capture_output=True, text=True, timeout=60)
            for a in (args, args + ["--json"])]
    expect("failed", text[0].returncode == 1, text[0].stdout)
    replay = [line for line in text[0].stderr.splitlines() if line.startswith("replay: ")]
    expect("one line to replay", len(replay) == 1, text[0].stderr)
    again = subprocess.run(replay[0][8:], shell=True, capture_output=True, text=True, timeout=60)
    sums = [[line for line in r.stdout.splitlines() if line.startswith("trace ")]
            for r in (text[0], again)]
    expect("the same again", sums[0] == sums[1] != [], sums)
    expect("finished", json.loads(text[1].stdout)["interrupted"] is False, text[1].stdout)


def live():
    """Progress goes to a terminal while there is one, and never into the result."""
    near, far = pty.openpty()
    with subprocess.Popen([SIM, "run", "--json", "--peers", "60", "--image-size", "16MiB"],
                          stdout=subprocess.PIPE, stderr=far, text=True) as child:
        os.close(far)
        seen = b""
        while b"simulated" not in seen:
            seen += os.read(near, 4096)
        child.send_signal(signal.SIGINT)
        report = json.loads(child.stdout.read())
    os.close(near)
    expect("progress", b"of 60 complete" in seen, seen.decode())
    expect("ended", report["interrupted"] is True, report)


{"complete": complete, "same": same, "other": other, "crash": crash, "origins": origins, "near": near,
 "crowd": crowd, "sites": sites, "real": real, "input": refused,
 "read": read, "examples": examples, "flags": flags, "stop": stop, "live": live}[sys.argv[2]]()
