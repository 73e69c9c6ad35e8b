#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds what does not depend on the machine against bench/baseline.json: check.py --build DIR [--update]

Each figure has a direction and a tolerance; what cannot be had here (no BPF, no strace) is named and left out. No time is
asserted.
"""
import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

from harness import Direct, Env, Target, Unavailable, end, spawn, wait_attached

HERE = os.path.dirname(os.path.abspath(__file__))
BASELINE = os.path.join(HERE, "baseline.json")
FULL = "f_push(a, b, s) -> $ret"
EVENTS = 20000

# name, probe, options of bench/direct.c
PLANS = [
    ("entry_2_integers_text", "f_push(a, b, s)", ()),
    ("call_2_integers_text", FULL, ()),
    ("call_failing_only", FULL, ("-e",)),
    ("statistics", "f_push", ("-q",)),
    ("entry_nothing", "f_push()", ()),
    ("entry_1_integer", "f_push(a)", ()),
    ("entry_16_integers", "f_push(%s)" % ", ".join(["a", "b"] * 8), ()),
    ("condition_arguments", "f_push(a, b) if a > 10 && b != 3", ()),
    ("condition_return", "f_push(a, s) -> $ret if $ret < 0 && a > 10", ()),
    ("multi_call", FULL, ("-m", "multi")),
    ("pattern_statistics", "f_*", ("-q",)),
]
# What the distribution has compiled: this repository's own programs change with every feature.
CENSUS = ["/usr/lib/x86_64-linux-gnu/libstdc++.so.6", "/usr/bin/redis-server", "/usr/sbin/nginx"]


def instructions(env, figures):
    for name, probe, options in PLANS:
        with Direct(env, "plan", env.program("target"), *options, probe) as d:
            figures["instructions." + name] = d.ready["instructions"]
            figures["code_bytes." + name] = d.ready["code_bytes"]
            figures["event_bytes." + name] = d.ready["event_bytes"]


def shares(env, figures):
    for name in CENSUS:
        path = os.path.join(env.build, name)
        if not os.path.exists(path):
            continue
        name = os.path.basename(name)
        out = subprocess.run([env.program("site_census"), path], stdout=subprocess.PIPE, text=True,
                             check=True).stdout.splitlines()[1]
        figures["cheap_sites_percent." + name] = float(re.findall(r"([\d.]+) ?%", out)[1])


def records(env, figures):
    for name, probe, options in PLANS[:2]:
        with Target(env) as target:
            d = Direct(env, "probe", target.pid, target.path, *options, probe)
            target.run("f_push", EVENTS, 100)
            totals = d.close()
        if totals["dropped"] or totals["taken"] != totals["shipped"]:
            raise Unavailable("records were lost at a leisurely rate: %s" % totals)
        figures["record_bytes." + name] = round(totals["bytes"] / totals["taken"], 2)
        figures["allocations_per_%d_events." % EVENTS + name] = totals["warm_allocations"]



def syscalls(env, figures):
    """Of agent and terminal together, at 50,000 records a second."""
    if not shutil.which("strace"):
        raise Unavailable("strace is not installed")
    env.start_agent()
    with tempfile.TemporaryDirectory() as d, Target(env) as target:
        tracer = None
        p = spawn(env.plumb("trace", "-p", str(target.pid), "--budget", "10000%", "--msgpack", "f_push(a, b, s)"))
        try:
            wait_attached(target, "f_push", 2, process=p)
            tracer = spawn(["strace", "-f", "-c", "-U", "calls,name", "-o", d + "/calls", "-p", str(env.agent.pid), "-p", str(p.pid)])
            time.sleep(1.5)
            calls = int(target.ask("pace f_push 50000 2000 1").split()[0])
            time.sleep(0.2)
        finally:
            if tracer:
                end(tracer)
            end(p)
        with open(d + "/calls") as f:
            total = [int(line.split()[0]) for line in f if line.strip().endswith("total")]
    if not total:
        raise Unavailable("strace counted nothing")
    figures["system_calls_per_1000_events"] = round(total[0] * 1000 / calls, 1)


GROUPS = [("instructions", instructions), ("cheap sites", shares), ("records", records), ("system calls", syscalls)]


def tolerance(name):
    """-> (larger is worse, allowed share, allowed amount)"""
    if name.startswith("cheap_sites"):
        return False, 0.0, 2.0
    if name.startswith("instructions") or name.startswith("code_bytes"):
        return True, 0.03, 4       # another compiler may order a few differently
    if name.startswith("system_calls"):
        return True, 0.6, 4        # the poll's timer and the scheduler have a say
    if name.startswith("record_bytes"):
        return True, 0.0, 2.5      # pids and times are as long as their digits
    return True, 0.0, 0


def worse(name, now, then):
    larger, share, amount = tolerance(name)
    room = then * share + amount
    return now > then + room if larger else now < then - room


def measure(env):
    figures, missing = {}, []
    for title, group in GROUPS:
        try:
            group(env, figures)
        except Unavailable as e:
            missing.append("%s: %s" % (title, e))
    return figures, missing


def compare(figures, baseline):
    bad = 0
    for name, then in sorted(baseline.items()):
        if name not in figures:
            print("bench-check: %-50s not measured here" % name)
            continue
        state = "worse" if worse(name, figures[name], then) else "ok"
        bad += state == "worse"
        if state == "worse" or figures[name] != then:
            print("bench-check: %-50s %10s, baseline %s: %s" % (name, figures[name], then, state))
    return bad


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="build")
    parser.add_argument("--update", action="store_true", help="take what is measured now as the baseline")
    args = parser.parse_args()
    if os.environ.get("PLUMB_NO_KERNEL") == "1":
        print("bench-check: skipped (PLUMB_NO_KERNEL=1)")
        return 0
    env = Env(args.build, True)
    try:
        figures, missing = measure(env)
    finally:
        env.stop_agent()
    for m in missing:
        print("bench-check: not checked: %s" % m)
    if args.update:
        with open(BASELINE, "w") as f:
            json.dump(figures, f, indent=1, sort_keys=True)
            f.write("\n")
        return 0
    with open(BASELINE) as f:
        baseline = json.load(f)
    bad = compare(figures, baseline)
    print("bench-check: %d figures, %d worse than the baseline" % (len(figures), bad))
    return 1 if bad or not figures else 0


if __name__ == "__main__":
    sys.exit(main())
