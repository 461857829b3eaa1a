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
input      what cannot be is refused by name with status 2
"""
import json
import subprocess
import sys

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


def refused():
    for args, word in ((["--peers", "0"], "at least one"), (["--peers", "x"], "--peers"),
                       (["--image-size", "0"], "--image-size"), (["--frobnicate"], "--frobnicate"),
                       (["--peer-up", "10"], "--peer-up"), (["--crash", "60"], "more crashes"),
                       (["--verify", "33"], "--verify"), (["--seed"], "needs a value"),
                       (["--trace", "/nonexistent/x"], "/nonexistent/x")):
        text = run(*args, status=2)
        expect(f"{args} names {word}", word in text and text.count("\n") == 1, text)


{"complete": complete, "same": same, "other": other, "crash": crash, "origins": origins, "near": near,
 "crowd": crowd, "input": refused}[sys.argv[2]]()
