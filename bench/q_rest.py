# SPDX-License-Identifier: Apache-2.0
"""Question 9: what the agent costs the host when little happens: 20 probes open, 100 hits a second each."""
import glob
import os
import threading
import time

import reasons
from harness import Target, aim, end, spawn, wait_attached

PROBES = 20
TICK = os.sysconf("SC_CLK_TCK")


def usage(pid):
    """-> CPU seconds, wake-ups of all threads"""
    with open("/proc/%d/schedstat" % pid) as f:
        ns = int(f.read().split()[0])
    switches = 0
    for status in glob.glob("/proc/%d/task/*/status" % pid):
        with open(status) as f:
            switches += sum(int(line.split()[1]) for line in f if line.startswith("voluntary_ctxt"))
    return ns / 1e9, switches


def rss_mb(pid):
    """-> resident MB, of which shared with the kernel or other processes (event rings, libraries)"""
    kb = {}
    with open("/proc/%d/status" % pid) as f:
        for line in f:
            if line.startswith(("VmRSS", "RssAnon", "RssShmem", "RssFile")):
                kb[line.split(":")[0]] = int(line.split()[1])
    return kb["VmRSS"] / 1024, kb["RssAnon"] / 1024


def watch(env, argv, seconds, hits):
    agent = env.start_agent()
    with Target(env) as target:
        p = spawn(env.plumb(argv[0], "-p", str(target.pid), "--budget", "10000%", *argv[1:], *["f_push"] * PROBES))
        try:
            wait_attached(target, "f_push", 2, timeout=60, process=p)
            time.sleep(2)
            pace = threading.Thread(target=target.ask, args=("pace f_push %d %d 1" % (hits, (seconds + 3) * 1000),))
            if hits:
                pace.start()
            time.sleep(1.5)
            before, start = usage(agent.pid), time.monotonic()
            time.sleep(seconds)
            after, took = usage(agent.pid), time.monotonic() - start
            rss = rss_mb(agent.pid)
            if hits:
                pace.join()
        finally:
            end(p)
    return [100 * (after[0] - before[0]) / took, rss[0], rss[1], (after[1] - before[1]) / took]


def rest(env):
    seconds = 3 if env.quick else 16 # the guard measures for 0.6 s in 15
    cases = [("plumb trace --msgpack", ["trace", "--msgpack"], 100)]
    if not env.quick:
        cases.append(("plumb stat", ["stat", "--json"], 100))
        cases.append(("plumb trace --msgpack, no hits at all", ["trace", "--msgpack"], 0))
    env.stop_agent()
    rows = [[name, hits] + watch(env, argv, seconds, hits) for name, argv, hits in cases]
    trace = rows[0]
    return {"id": "rest", "title": "The agent at rest: %d probes at 100 hits/s each" % PROBES,
            "tables": [{"columns": ["open", "hits/s each", "CPU %", "RSS MB", "of it private MB", "wake-ups/s"], "rows": rows}],
            "aims": [aim("agent at rest, CPU", trace[2], 0.3, unit="%", reason=reasons.REST_CPU),
                     aim("agent at rest, RSS", trace[3], 20, unit="MB", reason=reasons.REST_RSS),
                     aim("agent at rest, wake-ups", trace[5], 25, unit="/s", reason=reasons.REST_WAKE)]}


QUESTIONS = [rest]
