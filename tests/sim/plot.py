#!/usr/bin/env python3
"""Looks at the pictures that fwswarm-sim draws, and at the data that they are drawn from.

usage: plot.py SIMULATOR CASE

data      counts, times and bytes in the data files are those of the report, and bounded
drawn     the pictures are well-formed and have the series, the axes and the legends
over      an earlier run is laid under a later one, also in the same directory
sites     rows are places and named; what stays in a place is a series of its own
merged    more devices than rows share rows
same      a run is the same with and without pictures
hostile   what stands in an earlier run's files is text and nothing else
failing   no gnuplot, one that fails, directories that cannot be: one line with the mend
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as xml

SIM = os.path.abspath(sys.argv[1])
MIB = 1 << 20
SMALL = ["--peers", "12", "--image-size", "2MiB", "--seed", "3"]
PICTURES = ("completion.svg", "bytes.svg", "places.svg")
SVG = "{http://www.w3.org/2000/svg}"
SITES = """
site shop count=12 up=4Mbit down=20Mbit rtt=1ms lan
site depot up=100Mbit down=100Mbit rtt=1ms lan
verify vendor up=50Mbit down=50Mbit rtt=20ms
peers tills count=3 up=50Mbit down=50Mbit rtt=20ms site=shop
peers vans count=4 up=50Mbit down=50Mbit rtt=20ms site=depot
release version=2.0 size=1MiB
"""

LATE = """
verify vendor up=50Mbit down=50Mbit rtt=20ms
peers tills count=5 up=50Mbit down=50Mbit rtt=20ms
release version=2.0 size=1MiB
fault 1 crash at=100s lasts=1s group=tills count=1
"""


def expect(what, truth, seen=""):
    if not truth:
        sys.exit("not so: %s\n%s" % (what, seen))


def run(*args, status=0, path=None):
    env = dict(os.environ, PATH=path) if path is not None else None
    done = subprocess.run([SIM, "run", "--json", *args], capture_output=True, text=True, env=env,
                          timeout=300, check=False)
    expect("%s ends with %d" % (" ".join(args), status), done.returncode == status,
           "%d\n%s%s" % (done.returncode, done.stdout, done.stderr))
    return (json.loads(done.stdout) if done.stdout else None), done.stderr


def table(folder, name):
    """The blocks of a data file, each a list of rows of numbers."""
    blocks = [[]]
    with open(os.path.join(folder, name), encoding="utf-8") as file:
        for line in file:
            words = line.split("#")[0].split()
            if words:
                blocks[-1].append([float(word) for word in words])
            elif not line.strip() and blocks[-1]:
                blocks.append([])
    return blocks


def texts(folder, name):
    """A picture's texts; the picture is XML, or this fails."""
    root = xml.parse(os.path.join(folder, name)).getroot()
    expect(name + " is an SVG", root.tag == SVG + "svg", root.tag)
    return ["".join(one.itertext()).strip() for one in root.iter(SVG + "text")]


def says(folder, name, *wanted):
    found = texts(folder, name)
    for text in wanted:
        expect("%s says %s" % (name, text), any(text in one for one in found), "\n".join(found))


def near(a, b, slack):
    return abs(a - b) <= slack


def data(folder):
    report, _ = run(*SMALL, "--plot", folder)
    held, installed = table(folder, "completion.dat")
    times = [row[0] for row in held]
    expect("moments rise", times == sorted(times), times)
    expect("each device once", [row[1] for row in held[1:-1]] == list(range(1, 13)), held)
    expect("all of them", held[-1][1:] == [report["completed"], 100.0], held[-1])
    expect("the last is the makespan", near(held[-2][0], report["makespan_s"], 1e-5), held[-2])
    expect("the sixth is the median", near(held[6][0], report["median_s"], 1e-5), held[6])
    expect("all installed", installed[-1][1] == report["confirmed"], installed[-1])
    sent = table(folder, "bytes.dat")[0]
    for column in range(4):
        rows = [row[column] for row in sent]
        expect("column %d only grows" % column, rows == sorted(rows), rows)
    expect("from the beginning to the end", sent[0][0] == 0 and
           near(sent[-1][0], report["simulated_s"], 1e-5), (sent[0], sent[-1]))
    expect("copies of the origin", near(sent[-1][1] / (2 * MIB), report["origin_copies"], 0.002),
           sent[-1])
    expect("nobody shares a place", sent[-1][2] == 0, sent[-1])
    expect("every device got a copy", sent[-1][1] + sent[-1][3] >= 12 * 2 * MIB, sent[-1])
    rates = table(folder, "rates.dat")[0]
    expect("rates are few", 10 <= len(rates) <= 200, len(rates))
    expect("rates are those of lines", max(row[3] for row in rates) <= 12 * 10e6, rates)
    held = table(folder, "places.dat")[0]
    expect("a row for each device", len(held) == 12, len(held))
    expect("a column for each sample", {len(row) for row in held} == {len(sent)}, len(sent))
    expect("samples are bounded", 200 <= len(sent) <= 513, len(sent))
    for row in held:
        expect("shares grow from 0 to all", row == sorted(row) and row[0] == 0 and row[-1] == 1000,
               row)


def drawn(folder):
    report, _ = run(*SMALL, "--plot", folder)
    expect("an even second shows", report["makespan_s"] > 1, report)
    says(folder, "completion.svg", "holds it: 12 of 12 devices", "installed it: 12 of 12",
         "fluid bound", "simulated time, seconds", "share of the devices, %", "12 devices",
         "image of 2.0 MiB, seed 3", "%.1f s" % (int(report["makespan_s"] * 10) / 10))
    says(folder, "bytes.svg", "verify nodes: ", "peers: ", "sent so far, MiB", "rate, Mbit/s")
    expect("no empty series", not any("own place" in one for one in texts(folder, "bytes.svg")))
    says(folder, "places.svg", "devices", "blocks held, %", "simulated time, seconds")
    root = xml.parse(os.path.join(folder, "places.svg")).getroot()
    maps = list(root.iter(SVG + "image"))
    expect("one heat map, not smoothed", len(maps) == 1 and
           "pixelated" in maps[0].get("style", ""), [one.attrib.keys() for one in maps])
    expect("nothing of gnuplot is left", not os.path.exists(os.path.join(folder, "gnuplot.log")))
    scenario = os.path.join(folder, "late.scn")
    with open(scenario, "w", encoding="utf-8") as file:
        file.write(LATE)
    report, _ = run(scenario, "--plot", folder)
    expect("the late fault is awaited", report["simulated_s"] > 100, report)
    with open(os.path.join(folder, "run.txt"), encoding="utf-8") as file:
        end = [int(line.split()[1]) for line in file if line.startswith("end ")]
    expect("but not drawn", report["makespan_s"] < end[0] / 1e6 < 20, (report, end))


def over(folder):
    first, second = os.path.join(folder, "first"), os.path.join(folder, "second")
    run(*SMALL, "--plot", first)
    run("--peers", "8", "--image-size", "1MiB", "--plot", second, "--over", first)
    for name in ("completion.dat", "bytes.dat", "rates.dat", "places.dat", "run.txt"):
        with open(os.path.join(first, name), "rb") as one, \
                open(os.path.join(second, "before-" + name), "rb") as other:
            expect(name + " is the earlier one's", one.read() == other.read())
    for name in PICTURES:
        says(second, name, "this: ", "8 devices", "12 devices", "seed 3")
    says(second, "completion.svg", "this, holds it: 8 of 8", "earlier, holds it: 12 of 12")
    says(second, "bytes.svg", "this, peers", "earlier, peers", "earlier, verify nodes")
    root = xml.parse(os.path.join(second, "places.svg")).getroot()
    expect("two heat maps", len(list(root.iter(SVG + "image"))) == 2)
    run("--peers", "5", "--image-size", "1MiB", "--plot", first, "--over", first)
    says(first, "completion.svg", "this, holds it: 5 of 5", "earlier, holds it: 12 of 12")


def sites(folder):
    scenario = os.path.join(folder, "shops & depots.scn")
    with open(scenario, "w", encoding="utf-8") as file:
        file.write(SITES)
    run(scenario, "--plot", folder)
    says(folder, "places.svg", "places", "shop", "depot", "shops & depots.scn")
    says(folder, "bytes.svg", "peers, to their own place: ", "peers, to elsewhere: ",
         "verify nodes: ")
    expect("a row for each place", len(table(folder, "places.dat")[0]) == 13)
    last = table(folder, "bytes.dat")[0][-1]
    expect("some stays in its place, some does not", last[2] > MIB and last[3] > MIB, last)
    expect("all 40 devices are served", sum(last[1:]) >= 40 * MIB, last)


def merged(folder):
    report, _ = run("--peers", "300", "--image-size", "64KiB", "--origin-up", "1Gbit", "--plot",
                    folder)
    rows = table(folder, "places.dat")[0]
    expect("rows are bounded", 100 < len(rows) <= 240, len(rows))
    expect("all done", all(row[-1] == 1000 for row in rows))
    says(folder, "places.svg", "devices, several to a row")
    expect("all are counted", table(folder, "completion.dat")[0][-1][1] == report["completed"])


def same(folder):
    first, _ = run(*SMALL)
    second, _ = run(*SMALL, "--plot", folder)
    expect("the same trace", first["trace_hash"] == second["trace_hash"], (first, second))


def hostile(folder):
    first, second = os.path.join(folder, "first"), os.path.join(folder, "second")
    run(*SMALL, "--plot", first)
    path = os.path.join(first, "run.txt")
    with open(path, encoding="utf-8") as file:
        text = file.read()
    bad = "a'b\"c`touch struck`@d<&\\n%s"
    with open(path, "w", encoding="utf-8") as file:
        file.write(text.replace("fwswarm-sim,", bad + ",").replace("peers:", "'.system('x').'"))
        file.write("label 1 2 %s\nlabel x\nunknown 5\nlabel 3 4 %s\n" % (bad, "long" * 100))
    run(*SMALL, "--plot", second, "--over", first)
    says(second, "completion.svg", bad)
    expect("nothing was run", not os.path.exists(os.path.join(second, "struck")))
    with open(path, "w", encoding="utf-8") as file:
        file.write("fwswarm-sim plot 1\nevery 0\n")
    refused("no earlier run is there", *SMALL, "--plot", second, "--over", first)


def refused(word, *args, path=None):
    _, text = run(*args, status=2, path=path)
    expect("%s says %s" % (" ".join(args), word), word in text, text)
    expect("on one line", text.count("\n") == 1, text)


def failing(folder):
    there, tools = os.path.join(folder, "there"), os.path.join(folder, "tools")
    os.mkdir(tools)
    refused("gnuplot-nox", *SMALL, "--plot", there, path=tools)
    expect("the data is there", len(table(there, "places.dat")[0]) == 12)
    expect("no pictures", not any(os.path.exists(os.path.join(there, p)) for p in PICTURES))
    subprocess.run(["gnuplot", "pictures.gp"], cwd=there, check=True)
    says(there, "completion.svg", "12 of 12")
    broken = os.path.join(tools, "gnuplot")
    with open(broken, "w", encoding="utf-8") as file:
        file.write("#!/bin/sh\necho trouble >&2\nexit 3\n")
    os.chmod(broken, 0o755)
    refused("gnuplot.log", *SMALL, "--plot", there, path=tools)
    with open(os.path.join(there, "gnuplot.log"), encoding="utf-8") as file:
        expect("what it said is kept", "trouble" in file.read())
    plain = os.path.join(folder, "plain")
    with open(plain, "w", encoding="utf-8"):
        pass
    refused("Not a directory", *SMALL, "--plot", plain)
    refused("Not a directory", *SMALL, "--plot", os.path.join(plain, "below"))
    refused("choose a directory", *SMALL, "--plot", os.path.join(folder, "no", "such"))
    refused("no earlier run", *SMALL, "--plot", there, "--over", tools)
    refused("--plot", *SMALL, "--over", there)
    os.unlink(os.path.join(there, "rates.dat"))
    refused("rates.dat", *SMALL, "--plot", os.path.join(folder, "new"), "--over", there)


expect("gnuplot is there", shutil.which("gnuplot"), "install gnuplot-nox")
with tempfile.TemporaryDirectory(prefix="fwswarm-plot-") as stage:
    {"data": data, "drawn": drawn, "over": over, "sites": sites, "merged": merged, "same": same,
     "hostile": hostile, "failing": failing}[sys.argv[2]](stage)
