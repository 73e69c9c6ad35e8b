# SPDX-License-Identifier: Apache-2.0
"""Question 8 and the plot of cost against rate: what a call costs at each rate, and the rate at which records get lost."""
import os
import re
import statistics
import tempfile
import time

import reasons
from harness import Direct, Target, Unavailable, aim, end, spawn, wait_attached, wait_detached
from peers import Bpftrace, PerfProbe, Plumb, PlumbDirect

PROBE = "FUNCTION(a, b, s)"
PRINTF = 'uprobe:WHERE { printf("%d %d %s\\n", arg0, arg1, str(arg2, 16)); }'


class Floor(PlumbDirect):
    def __init__(self):
        self.name = "floor: empty program, entry"

    def start(self, env, target, function):
        self.direct = Direct(env, "floor", "entry", target.pid, target.path, function)
        self.process = self.direct.process

    def stop(self):
        if self.process:
            self.direct.close()
            self.process = None


def at_rates(env, target, subject, base, rates, ms):
    """-> {rate: mean ns per call}"""
    try:
        subject.start(env, target, "f_push")
        wait_attached(target, "f_push", base, process=subject.process)
        time.sleep(subject.settle_s)
        return {rate: float(target.ask("at f_push %d %d" % (rate, ms)).split()[1]) for rate in rates}
    finally:
        subject.stop()
        wait_detached(target, "f_push", base)


def cost_against_rate(env):
    rates = [1000, 50000, 200000] if env.quick else [100, 1000, 10000, 30000, 100000, 200000, 400000]
    subjects = [Floor(), Plumb(PROBE), Bpftrace("bpftrace printf", PRINTF)]
    if not env.quick:
        subjects.append(PerfProbe("perf probe + record", ["FUNCTION a b s:string"]))
    rounds = 1 if env.quick else 5
    seen = {s.name: {r: [] for r in rates} for s in subjects}
    notes = []
    with Target(env) as target:
        base = target.run("f_push", 100000)[0]
        for _ in range(rounds):
            for s in subjects:
                try:
                    for rate, ns in at_rates(env, target, s, base, rates, 150 if env.quick else 250).items():
                        seen[s.name][rate].append(ns)
                except Unavailable as e:
                    notes.append("%s: %s." % (s.name, e))
    series = [(n, [(r, statistics.median(v)) for r, v in by.items() if v]) for n, by in seen.items()]
    table = {"columns": ["calls per second"] + [n for n, _ in series],
             "rows": [["{:,}".format(r)] + [statistics.median(seen[n][r]) if seen[n][r] else "-" for n, _ in series] for r in rates]}
    return {"id": "rate", "title": "Cost of an entry capture against the rate of calls (mean ns per call)", "tables": [table],
            "notes": notes, "plots": [{"name": "cost_rate", "title": "cost of a probed call against the rate", "x": "calls per second",
                                       "y": "ns per call, mean", "logx": True, "logy": True, "series": series}]}


def plumb_lost(env, target, rate, threads, ms):
    """-> calls per second made, records shown, records lost, what was lost where."""
    with tempfile.TemporaryFile() as err:
        env.start_agent()
        p = spawn(env.plumb("trace", "-p", str(target.pid), "--budget", "10000%", "--msgpack", PROBE.replace("FUNCTION", "f_push")),
                  stderr=err)
        try:
            wait_attached(target, "f_push", 2, process=p)
            calls, ns = map(int, target.ask("pace f_push %d %d %d" % (rate, ms, threads)).split())
        finally:
            end(p)
        err.seek(0)
        total = [line for line in err.read().decode().splitlines() if line.startswith("total")]
    wait_detached(target, "f_push", 2)
    if not total:
        raise Unavailable("plumb printed no totals")
    shown, dropped = (int(re.search(k + r"=(\d+)", total[0]).group(1)) for k in ("shown", "dropped"))
    where = re.search(r"dropped=\d+ \(([^)]*)\)", total[0])
    dropped = max(dropped, calls - shown)
    return calls * 1e9 / ns, shown, dropped, where.group(1) if where else ""


def bpftrace_lost(env, target, rate, threads, ms):
    s = Bpftrace("bpftrace printf", PRINTF)
    s.start(env, target, "f_push")
    try:
        wait_attached(target, "f_push", 2, process=s.process)
        calls, ns = map(int, target.ask("pace f_push %d %d %d" % (rate, ms, threads)).split())
        time.sleep(0.3)
    finally:
        s.stop()
    wait_detached(target, "f_push", 2)
    return calls * 1e9 / ns, s.lines, max(s.lost, calls - s.lines), "calls made less lines read"


def ramp(env, name, measure, steps, ms):
    rows, best, first = [], 0.0, None
    with Target(env, pin=False) as target:
        for rate, threads in steps:
            made, shown, lost, where = measure(env, target, rate, threads, ms)
            rows.append([name, "{:,}".format(rate) if rate else "flat out", threads, "{:,.0f}".format(made),
                         "{:,}".format(shown), "{:,}".format(lost), where])
            if lost == 0:
                best = max(best, made) if first is None else best
            elif first is None:
                first = made
    return rows, best


def lossless(env):
    ms = 500 if env.quick else 1500
    load = os.getloadavg()[0]
    steps = [(100000, 1), (400000, 1), (0, 1)] if env.quick else [
        (100000, 1), (200000, 1), (300000, 1), (400000, 1), (600000, 1), (800000, 1), (1000000, 1), (1200000, 2), (1500000, 2), (0, 1), (0, 2)]
    rows, best = ramp(env, "plumb trace --msgpack", plumb_lost, steps, ms)
    peer_steps = [(50000, 1), (100000, 1)] if env.quick else [(20000, 1), (50000, 1), (100000, 1), (200000, 1), (400000, 1)]
    peer_rows, peer = ramp(env, "bpftrace printf", bpftrace_lost, peer_steps, ms)
    return {"id": "lossless", "title": "Records without loss from a real target",
            "tables": [{"columns": ["reader", "asked calls/s", "threads", "calls/s made", "records read", "lost", "where"],
                        "rows": rows + peer_rows}],
            "notes": ["The rate at which the target can be made to call is itself bounded by the probe's cost; the readers share "
                      "the %d CPUs with it." % env.cpus],
            "aims": [aim("records per second without loss, plumb", best, 1.5e6, at_least=True, unit="/s", reason=reasons.RATE % load),
                     aim("the same, against bpftrace's printf", best / peer if peer else None, 10, at_least=True,
                         reason="follows from the line above" if peer else "bpftrace lost records at each rate tried")]}


QUESTIONS = [cost_against_rate, lossless]
