# SPDX-License-Identifier: Apache-2.0
"""Question 7: from Enter to the first event, the agent running; on a small program, on libjvm and its huge debug information."""
import glob
import os
import signal
import statistics
import subprocess
import threading
import time

import reasons
from harness import Unavailable, aim, end, spawn

JVM_FUNCTION = "JNI_GetDefaultJavaVMInitArgs"


def drop_cache(path):
    """Only the pages of this file: dropping all caches would hurt everybody on the machine."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(fd)


class PeakRss:
    """The largest sum of private memory of a process and its children, looked at every few milliseconds."""

    def __init__(self, pid):
        self.pid, self.peak_kb, self.stop = pid, 0, False
        self.thread = threading.Thread(target=self._watch)
        self.thread.start()

    def _sum(self):
        total = 0
        with open("/proc/%d/task/%d/children" % (self.pid, self.pid)) as f:
            pids = [self.pid] + [int(p) for p in f.read().split()]
        for pid in pids:
            try:
                with open("/proc/%d/status" % pid) as f:
                    total += sum(int(line.split()[1]) for line in f if line.startswith(("RssAnon", "RssFile")))
            except (FileNotFoundError, ProcessLookupError):
                pass
        return total

    def _watch(self):
        while not self.stop:
            try:
                self.peak_kb = max(self.peak_kb, self._sum())
            except (FileNotFoundError, ProcessLookupError):
                return
            time.sleep(0.004)

    def mb(self):
        self.stop = True
        self.thread.join()
        return self.peak_kb / 1024


def first_line(argv, wanted, timeout=180):
    """ms until a line of the output has `wanted` in it."""
    start = time.monotonic()
    p = spawn(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    killer = threading.Timer(timeout, p.kill)
    killer.start()
    try:
        for line in p.stdout:
            if wanted in line:
                return (time.monotonic() - start) * 1e3
        raise Unavailable("no event from %s" % os.path.basename(argv[0]))
    finally:
        killer.cancel()
        end(p)


def tools(env, pid, path, function, module):
    probe = "%s:%s" % (module, function) if module else function
    return {"plumb": (env.plumb("trace", "-p", str(pid), "--limit", "1", probe), function),
            "bpftrace": (["bpftrace", "-p", str(pid), "-e", 'uprobe:%s:%s { printf("event\\n"); exit(); }' % (path, function)], "event"),
            "gdb": (["gdb", "-q", "-nx", "-batch", "-p", str(pid), "-ex", "set breakpoint pending off", "-ex", "break " + function,
                     "-ex", "continue"], "Breakpoint 1, ")}


def measure(env, pid, path, function, module, files, cold, rounds):
    seen = {}
    peak = 0.0
    for _ in range(rounds):
        for name, (argv, wanted) in tools(env, pid, path, function, module).items():
            for f in files if cold else ():
                drop_cache(f)
            watch = PeakRss(env.agent.pid) if name == "plumb" else None
            try:
                seen.setdefault(name, []).append(first_line(argv, wanted))
            except Unavailable as e:
                seen.setdefault(name, []).append(str(e))
            if watch:
                peak = max(peak, watch.mb())
    return {n: (statistics.median(v) if all(isinstance(x, float) for x in v) else v[-1]) for n, v in seen.items()}, peak


def debug_file(path):
    out = subprocess.run(["readelf", "-n", path], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    for line in out.splitlines():
        if "Build ID:" in line:
            b = line.split()[-1]
            found = "/usr/lib/debug/.build-id/%s/%s.debug" % (b[:2], b[2:])
            return found if os.path.exists(found) else None
    return None


def small(env):
    env.stop_agent()
    env.start_agent()
    target = spawn([env.program("target")], stdin=subprocess.PIPE, text=True)
    target.stdin.write("pace f_push 1000 600000 1\n")
    target.stdin.flush()
    try:
        seen, peak = measure(env, target.pid, env.program("target"), "f_push", None, (), False, env.rounds)
    finally:
        end(target, signal.SIGKILL)
    return [["a small program, warm", seen.get("plumb"), seen.get("bpftrace"), seen.get("gdb"), peak]], []


def jvm(env):
    found = sorted(glob.glob("/usr/lib/jvm/java-17-openjdk-*/lib/server/libjvm.so"))
    debug = debug_file(found[0]) if found else None
    if not debug:
        return [], [aim("libjvm with openjdk-17-dbg: first event", None, 500, unit="ms",
                        reason="the packages openjdk-17-jre-headless and openjdk-17-dbg are not installed in matching versions")]
    caller = spawn([env.program("caller"), found[0], JVM_FUNCTION], stdout=subprocess.PIPE, text=True)
    rows, aims = [], []
    try:
        if caller.stdout.readline().strip() != "ready":
            raise Unavailable("libjvm cannot be loaded")
        env.stop_agent()
        env.start_agent()
        rounds = 3
        for label, cold, limit, reason in (("cold", True, 500, reasons.FIRST_COLD), ("warm", False, 60, reasons.FIRST_WARM)):
            seen, peak = measure(env, caller.pid, found[0], JVM_FUNCTION, "libjvm.so", (found[0], debug), cold, rounds)
            rows.append(["libjvm, 257 MB of debug information, " + label, seen["plumb"], seen["bpftrace"], seen["gdb"], peak])
            ms = seen["plumb"] if isinstance(seen["plumb"], float) else None
            aims.append(aim("libjvm: first event, %s cache, all of it" % label, ms, limit, unit="ms",
                            reason=reason if ms else str(seen["plumb"])))
        aims.append(aim("libjvm: agent and resolver, peak RSS", rows[-1][4], 150, unit="MB", reason=reasons.FIRST_RSS))
    finally:
        end(caller)
    return rows, aims


def first_event(env):
    rows, aims = small(env)
    if not env.quick:
        more, aims = jvm(env)
        rows += more
    return {"id": "first", "title": "Time to the first event (ms), the agent running",
            "tables": [{"columns": ["program", "plumb", "bpftrace", "gdb", "plumb's peak RSS, MB"], "rows": rows}],
            "notes": ["gdb and bpftrace include their own start. bpftrace does not read debug information: it shows no typed argument. "
                      "Cold: the pages of the library and its debug file were dropped from the page cache before each attempt. "
                      "ceph-osd-dbg (a download of 512 MB) is not measured."],
            "aims": aims}


QUESTIONS = [first_event]
