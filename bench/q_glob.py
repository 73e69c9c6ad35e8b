# SPDX-License-Identifier: Apache-2.0
"""Question 6: ten thousand functions at once, and all functions of a C++ library."""
import json
import os
import re
import statistics
import subprocess
import sys
import time

import reasons
from harness import Direct, Target, Unavailable, aim, end, spawn, wait_detached

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "tests", "e2e"))
import wire  # noqa: E402

COUNT = 10000
# bpftrace removes each probe by itself, 0.1 s each, and cannot be killed meanwhile: all 10,000 would take it a quarter of an hour.
PEER_GLOBS = ("many12*", "many34*", "many56*")
PEER_COUNT = 333


def memory_kb(pid):
    with open("/proc/%d/status" % pid) as f:
        return int(re.search(r"VmRSS:\s*(\d+)", f.read()).group(1))


def maps_kb():
    """What the kernel holds for BPF maps, ours and others'."""
    out = subprocess.run(["bpftool", "-j", "map", "show"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    return sum(m.get("bytes_memlock", 0) for m in json.loads(out or "[]")) / 1024


def plumb_once(env, pid, probe, maps):
    """-> ms from the request to its answer, ms from stop to END, KB of the agent and of its maps meanwhile (`maps`: before), functions"""
    with wire.Connection(env.socket, timeout=60) as c:
        start = time.monotonic()
        wire_id = c.request("stat", {"target": {"pid": pid}, "probes": [probe], "budget_ppm": 100000000})
        reply = c.receive(wire.REPLY, wire_id)
        attach = time.monotonic() - start
        if not reply[2]:
            raise Unavailable("plumb: " + reply[3]["text"])
        functions = c.receive(wire.PROBE, wire_id)[2]["functions"]
        kb = memory_kb(env.agent.pid), maps_kb() - maps
        start = time.monotonic()
        c.stop(wire_id)
        return {"attach": 1e3 * attach, "detach": 1e3 * (time.monotonic() - start), "rss_kb": kb[0], "maps_kb": kb[1],
                "functions": functions}


def read_until(stream, text, otherwise):
    """The line with the text, after others (bpftrace begins with a warning where RLIMIT_MEMLOCK cannot be raised)."""
    last = otherwise
    for line in stream:
        if text in line:
            return line.strip()
        last = line.strip()
    raise Unavailable(last)


def bpftrace_once(path, pid):
    """bpftrace attaches each function by itself, after it has said how many; it is attached when it prints the BEGIN of an interval."""
    where = ",".join("uprobe:%s:%s" % (path, g) for g in PEER_GLOBS)
    start = time.monotonic()
    p = spawn(["bpftrace", "-p", str(pid), "-e", where + ' { @[func] = count(); } interval:ms:1 { printf("attached\\n"); exit(); }'],
              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        said = read_until(p.stdout, "Attaching ", "it said nothing")
        if "Attaching %d probes" % (PEER_COUNT + 1) not in said:
            raise Unavailable(said)
        read_until(p.stdout, "attached", "it did not attach")
        attach = time.monotonic() - start
        start = time.monotonic()
        end(p, timeout=240)
        return 1e3 * attach, 1e3 * (time.monotonic() - start)
    finally:
        if p.poll() is None:
            end(p)


def mean(rounds, key):
    return statistics.median(r[key] for r in rounds)


def row(name, rounds):
    return ["%s, %s functions" % (name, format(rounds[0]["functions"], ",")), mean(rounds, "attach"), mean(rounds, "detach"),
            (mean(rounds, "rss_kb") + mean(rounds, "maps_kb")) / 1024]


def has_library(pid):
    with open("/proc/%d/maps" % pid) as f:
        return "libstdc++" in f.read()


def library(env, maps):
    """All of libstdc++, in a process that has it."""
    with Target(env, "realfns", pin=False) as target:
        deadline = time.monotonic() + 10
        while not has_library(target.pid):
            if time.monotonic() > deadline:
                raise Unavailable("the target does not load it")
            time.sleep(0.05)
        return [plumb_once(env, target.pid, "libstdc++.so.6:'*'", maps) for _ in range(env.rounds)]


def peers(env, target):
    if env.quick:
        return ["bpftrace", None, None, None], "bpftrace is left out of a quick run"
    try:
        attach, detach = bpftrace_once(target.path, target.pid)
        return ["bpftrace, one entry probe each, %d functions" % PEER_COUNT, attach, detach, None], (
            "%d functions only: it removes its probes one after the other" % PEER_COUNT)
    except (Unavailable, subprocess.TimeoutExpired) as e:
        return ["bpftrace", None, None, None], str(e)


def glob(env):
    floor = {"attach": [], "detach": []}
    rounds, notes = [], []
    env.start_agent()
    maps = maps_kb()
    with Target(env, "target-many") as target:
        base = target.run("f_push", 100000)[0]
        for _ in range(env.rounds):
            d = Direct(env, "floor", "session", target.pid, target.path, "many", COUNT)
            floor["attach"].append(d.ready["attach_ms"])
            floor["detach"].append(d.close()["detach_ms"])
            wait_detached(target, "f_push", base)
            rounds.append(plumb_once(env, target.pid, "many*", maps))
        peer, why = peers(env, target)
    table = [["the kernel alone: an empty program, one session link", statistics.median(floor["attach"]),
              statistics.median(floor["detach"]), None], row("plumb, entry and return", rounds)]
    try:
        table.append(row("plumb, libstdc++.so.6:'*', entries", library(env, maps)))
    except Unavailable as e:
        notes.append("libstdc++: %s" % e)
    table.append(peer)
    if why:
        notes.append("bpftrace: " + why)
    notes.append("plumb: from the request on the agent's socket to its answer, resolving included; from stop to END. Memory: the agent's "
                 "RSS and its BPF maps.")
    return {"id": "glob", "title": "%s functions at once" % format(COUNT, ","),
            "tables": [{"columns": ["what", "attach ms", "detach ms", "MB"], "rows": table}], "notes": notes,
            "aims": [aim("attach 10,000 functions", mean(rounds, "attach"), 500, unit="ms", reason=reasons.GLOB),
                     aim("detach 10,000 functions", mean(rounds, "detach"), 500, unit="ms", reason=reasons.GLOB),
                     aim("memory with 10,000 functions", row("", rounds)[3], 60, unit="MB", reason=reasons.GLOB)]}


QUESTIONS = [glob]
