# SPDX-License-Identifier: Apache-2.0
"""From agents into the collector's store: records a second, bytes a record, memory, and how soon a question is answered."""
import json
import os
import re
import shutil
import sqlite3
import statistics
import subprocess
import tempfile
import time
import urllib.request

import reasons
from harness import Broken, Target, aim, end, spawn, wait_attached, wait_detached
from peers import Bpftrace

PROBE = "f_push(a, b, s)"
PRINTF = 'uprobe:WHERE { printf("%d %d %s\\n", arg0, arg1, str(arg2, 16)); }'
ANSWERS = {
    "the last three days, in hours": "function=parse_order&by=build&step=3600",
    "one day, in steps of ten minutes, all functions": "service=orderd&step=600&day=1",
    "five minutes, in seconds": "function=parse_order&by=host&step=1&minutes=5",
}


def cpu_seconds(pid):
    with open("/proc/%d/stat" % pid) as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Collector:
    """A plumb-collector on a directory of its own, on the disk that the build is on."""

    def __init__(self, env, data=None):
        self.dir = data or tempfile.mkdtemp(prefix="collector.", dir=env.dir)
        self.log = open(os.path.join(self.dir, "log"), "w+")
        self.process = spawn([os.path.join(env.build, "plumb-collector"), "--data", self.dir, "--listen", "127.0.0.1:0",
                              "--http", "127.0.0.1:0"], stderr=self.log)
        deadline = time.monotonic() + 20
        ready = None
        while not ready:
            if time.monotonic() > deadline or self.process.poll() is not None:
                with open(self.log.name) as f:
                    raise Broken("plumb-collector does not start: %s" % f.read().strip())
            time.sleep(0.02)
            with open(self.log.name) as f:
                ready = re.search(r"event=ready listen=(\S+:\d+) .*?http=(\S+)", f.read())
        self.address, self.http = ready.groups()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        end(self.process)
        self.log.close()
        shutil.rmtree(self.dir, ignore_errors=True)

    def ask(self, sql):
        db = sqlite3.connect("file:%s/plumb.db?mode=ro" % self.dir, uri=True, timeout=10)
        try:
            return db.execute(sql).fetchone()
        finally:
            db.close()

    def rss_mib(self):
        with open("/proc/%d/status" % self.process.pid) as f:
            return int(re.search(r"^VmHWM:\s+(\d+)", f.read(), re.M).group(1)) / 1024

    def file_bytes(self):
        return sum(os.stat(os.path.join(self.dir, n)).st_size for n in ("plumb.db",))

    def token(self):
        with open(os.path.join(self.dir, "admin.token")) as f:
            return f.read().strip()


# ---- from the decode stage on ----

def flood_once(env, millions):
    with Collector(env) as c, tempfile.TemporaryDirectory(dir=env.dir) as spool:
        began = cpu_seconds(c.process.pid)
        p = subprocess.run([env.program("flood"), c.address, os.path.join(spool, "spool"), str(millions)], capture_output=True,
                           text=True, timeout=600)
        if p.returncode:
            raise Broken(p.stderr.strip() or "flood failed")
        r = json.loads(p.stdout)
        r["collector_cpu"] = cpu_seconds(c.process.pid) - began
        stored, frames = c.ask("SELECT sum(records), sum(length(frame)) FROM chunk")
        if stored != r["records"]:
            raise RuntimeError("%d records were sent, %d are stored" % (r["records"], stored))
        r["stored_bytes"], r["file_bytes"], r["rss"] = frames, c.file_bytes(), c.rss_mib()
        return r


def collector_rate(env):
    millions, load = 3 if env.quick else 10, os.getloadavg()[0]
    runs = [flood_once(env, millions) for _ in range(1 if env.quick else 3)]
    rows = [["{:,.0f}".format(r["records"] / r["seconds"]), "{:.0f}".format(r["cpu_seconds"] * 1e9 / r["records"]),
             "{:.0f}".format(r["collector_cpu"] * 1e9 / r["records"]), "{:.1f}".format(r["raw_bytes"] / r["records"]),
             "{:.2f}".format(r["wire_bytes"] / r["records"]), "{:.2f}".format(r["file_bytes"] / r["records"]), "{:.0f}".format(r["rss"])]
            for r in runs]
    rate = statistics.median(r["records"] / r["seconds"] for r in runs)
    return {"id": "collector", "title": "From the agent's decode stage into the collector's store, over loopback",
            "tables": [{"columns": ["records/s", "agent, CPU ns a record", "collector, CPU ns a record", "bytes a record, packed",
                                    "on the wire", "in the store's file", "collector's largest RSS, MiB"], "rows": rows}],
            "notes": ["bench/flood.c: f(id, size, user) -> $ret; id rises, size and duration are random of 12 bits, one of 100 users, "
                      "4 probes and 4 threads in random order. The disk is written by both; every record is in the store at the end. "
                      "Load average before: %.1f on %d CPUs." % (load, env.cpus)],
            "aims": [aim("records per second through pack, wire, ingest and store", rate, 1e6, at_least=True, unit="/s",
                         reason=reasons.COLLECTOR_RATE),
                     aim("bytes a record on the wire, random values", max(r["wire_bytes"] / r["records"] for r in runs), 8, unit=" bytes",
                         reason=reasons.COLLECTOR_BYTES),
                     aim("collector's RSS", max(r["rss"] for r in runs), 64, unit=" MiB", reason=reasons.COLLECTOR_RSS)]}


# ---- from a probe on ----

def stored_from_probe(env, rate, threads, ms):
    """-> calls per second made, records stored, lost, bytes a record on the wire"""
    socket = env.socket + ".c"
    with Collector(env) as c, tempfile.TemporaryDirectory(dir=env.dir) as dir, Target(env, pin=False) as target:
        agent = spawn([os.path.join(env.build, "plumbd"), "-q", "--socket", socket, "--budget", "10000", "--max-budget", "10000",
                       "--collector", c.address, "--spool", os.path.join(dir, "spool")])
        plumb = [os.path.join(env.build, "plumb"), "--collector", c.address, "--token-file", os.path.join(c.dir, "admin.token")]
        try:
            deadline = time.monotonic() + 20
            while not c.ask("SELECT count(*) FROM agent WHERE acked > 0")[0]:
                if time.monotonic() > deadline or agent.poll() is not None:
                    raise Broken("the agent does not connect")
                time.sleep(0.05)
            p = spawn([*plumb, "trace", "-x", target.path, "--keep", "--ttl", "5m", "--budget", "10000%", PROBE])
            wait_attached(target, "f_push", 2, process=p)
            end(p)
            time.sleep(1)
            calls, ns = map(int, target.ask("pace f_push %d %d %d" % (rate, ms, threads)).split())
            subprocess.run([*plumb, "rm", "1"], check=True, capture_output=True, timeout=30)
            deadline = time.monotonic() + 60
            while not c.ask("SELECT count(*) FROM request_agent WHERE state = 'ended'")[0]:
                if time.monotonic() > deadline:
                    raise Broken("the request does not end")
                time.sleep(0.05)
            all_calls, dropped = c.ask("SELECT sum(calls), sum(drop_ring + drop_rate + drop_nomem + drop_client) FROM rollup WHERE span = 1")
            stored, frames = c.ask("SELECT coalesce(sum(records), 0), coalesce(sum(length(frame)), 0) FROM chunk")
            if all_calls != stored + dropped:
                raise RuntimeError("%d calls, %d stored, %d dropped" % (all_calls, stored, dropped))
            return calls * 1e9 / ns, stored, dropped, frames / max(stored, 1), c.rss_mib()
        finally:
            end(agent)


def bpftrace_file(env, rate, threads, ms):
    with Target(env, pin=False) as target:
        s = Bpftrace("bpftrace printf", PRINTF)
        s.start(env, target, "f_push")
        try:
            wait_attached(target, "f_push", 2, process=s.process)
            calls, ns = map(int, target.ask("pace f_push %d %d %d" % (rate, ms, threads)).split())
            time.sleep(0.3)
            size = os.stat(s.out.name).st_size
        finally:
            s.stop()
        wait_detached(target, "f_push", 2)
    return calls * 1e9 / ns, s.lines, max(s.lost, calls - s.lines), size / max(s.lines, 1)


def collector_from_probe(env):
    ms, load = 1000 if env.quick else 3000, os.getloadavg()[0]
    rows, best, wire = [], 0.0, []
    for rate, threads in [(320000, 1)] if env.quick else [(100000, 1), (320000, 1), (400000, 1), (600000, 2), (0, 1)]:
        made, stored, lost, size, rss = stored_from_probe(env, rate, threads, ms)
        rows.append(["plumb into the store", "{:,}".format(rate) if rate else "flat out", threads, "{:,.0f}".format(made),
                     "{:,}".format(stored), "{:,}".format(lost), "{:.2f}".format(size), "{:.0f}".format(rss)])
        best = max(best, made if lost == 0 else 0)
        wire.append(size)
    for rate, threads in [(100000, 1)] if env.quick else [(50000, 1), (100000, 1), (300000, 1)]:
        made, lines, lost, size = bpftrace_file(env, rate, threads, ms)
        rows.append(["bpftrace printf into a file", "{:,}".format(rate), threads, "{:,.0f}".format(made), "{:,}".format(lines),
                     "{:,}".format(lost), "{:.1f}".format(size), "-"])
    return {"id": "collector_probe", "title": "From a real probe into the collector's store, and bpftrace into a file (in memory)",
            "tables": [{"columns": ["reader", "asked calls/s", "threads", "calls/s made", "records stored", "lost", "bytes a record",
                                    "collector's largest RSS, MiB"], "rows": rows}],
            "notes": ["Target, agent, collector and this share %d CPUs; load average before: %.1f." % (env.cpus, load)],
            "aims": [aim("records per second without loss from a probe into the store", best, 3e5, at_least=True, unit="/s",
                         reason=reasons.COLLECTOR_PROBE),
                     aim("bytes a record on the wire, from a probe", statistics.median(wire), 8, unit=" bytes", reason=reasons.COLLECTOR_BYTES)]}


# ---- answers ----

def ask_series(c, query):
    now = time.time_ns()
    back = 86400 if "day=1" in query else 300 if "minutes=5" in query else 3 * 86400
    query = re.sub(r"&(day|minutes)=\d+", "", query)
    url = "http://%s/api/v1/series?%s&from=%d&to=%d" % (c.http, query, now - back * 10 ** 9, now)
    request = urllib.request.Request(url, headers={"Authorization": "Bearer " + c.token()})
    began = time.monotonic()
    with urllib.request.urlopen(request, timeout=30) as f:
        data = f.read()
    return (time.monotonic() - began) * 1000, json.loads(data)


def collector_answers(env):
    rows, worst, calls = [], 0.0, 0
    with tempfile.TemporaryDirectory(dir=env.dir) as data:
        filled = json.loads(subprocess.run([env.program("rollups"), data, "100", "3"], check=True, capture_output=True, text=True).stdout)
        with Collector(env, data) as c:
            for name, query in ANSWERS.items():
                times = [ask_series(c, query) for _ in range(20)]
                groups = times[0][1]["groups"]
                calls = sum(g["total"]["calls"] for g in ask_series(c, "service=orderd&step=3600")[1]["groups"])
                points = sum(len(g["points"]) for g in groups)
                ms = sorted(t for t, _ in times)
                rows.append([name, len(groups), points, "{:,}".format(sum(g["total"]["calls"] for g in groups)), "{:.1f}".format(ms[0]),
                             "{:.1f}".format(statistics.median(ms)), "{:.1f}".format(ms[-1])])
                worst = max(worst, statistics.median(ms))
    return {"id": "collector_answers", "title": "Quantiles over 100 million calls, over HTTP",
            "tables": [{"columns": ["asked", "groups", "points", "calls in the answer", "fastest of 20, ms", "median", "slowest"], "rows": rows}],
            "notes": ["The store: {:,} calls in {:,} STATS rows over three days: 4 functions, 2 builds, 3 hosts (bench/rollups.c); "
                      "a question over all of it sees {:,}.".format(filled["calls"], filled["rows"], calls)],
            "aims": [aim("p50 and p99 over 100 million stored calls, slowest question's median", worst, 100, unit=" ms",
                         reason=reasons.COLLECTOR_ANSWERS)]}


QUESTIONS = [collector_rate, collector_from_probe, collector_answers]
