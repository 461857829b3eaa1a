#!/usr/bin/env python3
"""Runs one attack of the TUF specification's list against the real core and looks at the report.

usage: attacks.py SIMULATOR SCENARIO

Every honest device comes to the release that it shall run, no check fails (so none holds, serves or
installs what the vendor did not sign, and none goes back), and the attack was really tried: each
kind of adversary in the scenario says how often it did what it is there for, and none says never.
The same scenario without its adversaries is quiet: nothing is counted as an attack.
"""
import json
import pathlib
import subprocess
import sys

SIM, SCENARIO = sys.argv[1], pathlib.Path(sys.argv[2])


def run(text):
    done = subprocess.run([SIM, 'run', '--json', '-'], input=text, capture_output=True, text=True,
                          timeout=600)
    if done.returncode != 0:
        sys.exit(f'{SCENARIO.name}: status {done.returncode}\n{done.stdout}{done.stderr}')
    return json.loads(done.stdout)


def check(ok, what, report):
    if not ok:
        sys.exit(f'{SCENARIO.name}: {what}\n{json.dumps(report, indent=1)}')


lines = SCENARIO.read_text(encoding='utf-8').splitlines(keepends=True)
kinds = {line.split()[2] for line in lines if line.startswith('adversary ')}
report = run(''.join(lines))
check(report['completed'] == report['peers'], 'not every device has its release', report)
check(report['confirmed'] == report['peers'], 'not every device runs its release', report)
check(report['violations'] == [], 'a check failed', report)
check(set(report['attacks']) == kinds, 'not the adversaries that it names', report)
for kind, tries in report['attacks'].items():
    check(tries > 0, f'{kind} never tried', report)
quiet = run(''.join(line for line in lines if not line.startswith('adversary ')))
check(quiet['attacks'] == {} and quiet['violations'] == [], 'attacks without adversaries', quiet)
