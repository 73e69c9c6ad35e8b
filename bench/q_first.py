# SPDX-License-Identifier: Apache-2.0
"""Question 7: from Enter to the first event, the agent running; on a small program, and on two with huge, compressed debug information.

libjvm runs in a process of ours that calls the function all the time.  No ceph-osd can run without its cluster: there the time until the
probe is attached counts (plumbd logs it, bpftrace and gdb print it), on the file itself, without a process.

Five states of what is stored, each with a request for one function and one for another:
  first           plumb has never seen the file: compressed sections are inflated as far as the answer needs; the file is in the page cache
  first cold      the same, the file is not in the page cache
  cold            plumb has inflated what it needs in an earlier request; neither that nor the file is in the page cache
  warm, new agent all is in the page cache
  warm            and the agent has been asked about the file less than a minute before: a child of it still has it open
In all but the last the agent was started half a second before.  "first" minus "warm, new agent" is what inflating costs, once for each file."""
import glob
import os
import shutil
import signal
import statistics
import subprocess
import threading
import time

import reasons
from harness import Unavailable, aim, end, spawn

JVM_FUNCTIONS = ("JNI_GetDefaultJavaVMInitArgs", "JVM_NanoTime")
CEPH_FUNCTIONS = (("OSD::init", "_ZN3OSD4initEv"), ("OSD::ms_fast_dispatch", "_ZN3OSD16ms_fast_dispatchEP7Message"))
STATES = ("first cold", "first", "cold", "warm, new agent", "warm")   # in this order: the first request fills what the later ones read
CALIBRATION_S = 0.5


def drop_cache(path):
    """Only the pages of this file: dropping all caches would hurt everybody on the machine."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(fd)


class PeakRss:
    """The largest sum of resident memory of a process and its children, looked at every few milliseconds."""

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
                    total += sum(int(line.split()[1]) for line in f if line.startswith(("RssAnon", "RssFile", "RssShmem")))
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


def log_says(env, argv, wanted, timeout=180):
    """ms until the agent's log has another line with `wanted` in it."""
    def count():
        with open(env.log) as f:
            return f.read().count(wanted)
    before, start = count(), time.monotonic()
    p = spawn(argv)
    try:
        while time.monotonic() - start < timeout:
            if count() > before:
                return (time.monotonic() - start) * 1e3
            if p.poll():
                raise Unavailable("plumb refused the request")
            time.sleep(0.001)
        raise Unavailable("not attached within %d s" % timeout)
    finally:
        end(p)


class Called:
    """A function that a process calls all the time."""

    def __init__(self, env, pid, path, function, module):
        probe = "%s:%s" % (module, function) if module else function
        self.runs = {
            "plumb": lambda: first_line(env.plumb("trace", "-p", str(pid), "--limit", "1", probe), function),
            "bpftrace": lambda: first_line(["bpftrace", "-p", str(pid), "-e",
                                            'uprobe:%s:%s { printf("event\\n"); exit(); }' % (path, function)], "event"),
            "gdb": lambda: first_line(["gdb", "-q", "-nx", "-batch", "-p", str(pid), "-ex", "set breakpoint pending off",
                                       "-ex", "break " + function, "-ex", "continue"], "Breakpoint 1, ")}


class Attached:
    """A function that nothing calls."""

    def __init__(self, env, path, function, symbol):
        self.runs = {
            "plumb": lambda: log_says(env, env.plumb("trace", "-x", path, "--for", "1ms", function + "(this)"), "event=start "),
            "bpftrace": lambda: first_line(["bpftrace", "-e", "uprobe:%s:%s { @ = count(); }" % (path, symbol)], "Attaching"),
            "gdb": lambda: first_line(["gdb", "-q", "-nx", "-batch", path, "-ex", "break " + function], "Breakpoint 1 at")}


def prepare(env, state, files):
    if state != "warm":
        env.stop_agent()
        env.start_agent()
        time.sleep(CALIBRATION_S)
    if state.startswith("first"):
        shutil.rmtree(env.cache, ignore_errors=True)
        os.mkdir(env.cache, 0o700)
    if state.endswith("cold"):
        for f in [*files, *glob.glob(os.path.join(env.cache, "*"))]:
            drop_cache(f)


def once(env, run, seen):
    try:
        seen.append(run())
    except Unavailable as e:
        seen.append(str(e))


def plumb_once(env, run, state, files, seen):
    """-> the peak MB of the agent and its children"""
    prepare(env, state, files)
    if state == "warm":
        once(env, run, [])
    watch = PeakRss(env.agent.pid)
    once(env, run, seen)
    return watch.mb()


def middle(seen):
    return statistics.median(seen) if all(isinstance(x, float) for x in seen) else seen[-1]


def measure(env, subject, states, files, rounds):
    """-> [[state, plumb ms, bpftrace ms, gdb ms, plumb's peak MB]]: the peers know two states only."""
    rows = []
    for state in states:
        seen, peak = {}, 0.0
        for turn in range(rounds):
            for name, run in subject.runs.items():
                if name != "plumb" and state not in ("cold", "warm"):
                    continue
                if name == "gdb" and (turn or state != "warm"):   # it takes 10 to 25 s for libjvm, a minute for ceph-osd
                    continue
                if name == "plumb":
                    peak = max(peak, plumb_once(env, run, state, files, seen.setdefault(name, [])))
                    continue
                for f in files if state == "cold" else ():
                    drop_cache(f)
                once(env, run, seen.setdefault(name, []))
        rows.append([state, *(middle(seen[n]) if n in seen else "-" for n in ("plumb", "bpftrace", "gdb")), peak])
    return rows


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
        subject = Called(env, target.pid, env.program("target"), "f_push", None)
        return [["a small program", "f_push", *row] for row in measure(env, subject, STATES[-2:], (), env.rounds)]
    finally:
        end(target, signal.SIGKILL)


def aims_of(what, rows):
    """rows: of one file, [program, function, state, plumb, bpftrace, gdb, peak]"""
    def worst(*states):
        found = [r[3] for r in rows if r[2] in states]
        return max(found) if found and all(isinstance(x, float) for x in found) else None
    warm, new, cold, first = worst("warm"), worst("warm, new agent"), worst("cold"), worst("first", "first cold")
    out = [aim("%s: first event, cold page cache" % what, cold, 500, unit="ms", reason=reasons.FIRST_COLD),
           aim("%s: first event, warm" % what, warm, 60, unit="ms", reason=reasons.FIRST_WARM),
           aim("%s: first event, warm, an agent that was not asked about it before" % what, new, 60, unit="ms", reason=reasons.FIRST_NEW),
           aim("%s: agent and resolver, peak RSS" % what, max(r[6] for r in rows), 150, unit="MB", reason=reasons.FIRST_RSS)]
    once_ms = first - new if first is not None and new is not None else None
    return out, "%s: inflating, once: %s ms at most." % (what, "?" if once_ms is None else format(once_ms, ".0f"))


def missing(what, packages):
    return [], [aim("%s: first event" % what, None, 500, unit="ms", reason="the packages %s are not installed in matching versions" % packages)], ""


def big(env, what, subjects, files):
    rows = []
    env.stop_agent()
    env.start_agent()
    for turn, (function, subject) in enumerate(subjects):
        if turn:
            subject.runs.pop("gdb")
        rows += [[what, function, *row] for row in measure(env, subject, STATES, files, 3)]
    # Another function of a file that was asked about: what the first request has inflated, and the rest of the way to this one.
    (known, before), (function, subject) = subjects
    seen = []
    plumb_once(env, before.runs["plumb"], "first", files, [])
    watch = PeakRss(env.agent.pid)
    once(env, subject.runs["plumb"], seen)
    rows.append([what, function, "warm, after %s only" % known, seen[0], "-", "-", watch.mb()])
    aims, note = aims_of(what, rows)
    return rows, aims, note


def jvm(env):
    what = "libjvm (257 MB of .debug_info)"
    found = sorted(glob.glob("/usr/lib/jvm/java-17-openjdk-*/lib/server/libjvm.so"))
    debug = debug_file(found[0]) if found else None
    if not debug:
        return missing(what, "openjdk-17-jre-headless and openjdk-17-dbg")
    callers = [spawn([env.program("caller"), found[0], f], stdout=subprocess.PIPE, text=True) for f in JVM_FUNCTIONS]
    try:
        if any(c.stdout.readline().strip() != "ready" for c in callers):
            raise Unavailable("libjvm cannot be loaded")
        subjects = [(f, Called(env, c.pid, found[0], f, "libjvm.so")) for f, c in zip(JVM_FUNCTIONS, callers)]
        return big(env, what, subjects, (found[0], debug))
    finally:
        for c in callers:
            end(c)


def ceph(env):
    what, path = "ceph-osd (381 MB of .debug_info), until attached", "/usr/bin/ceph-osd"
    debug = debug_file(path) if os.path.exists(path) else None
    if not debug:
        return missing(what, "ceph-osd and ceph-osd-dbg")
    return big(env, what, [(f, Attached(env, path, f, symbol)) for f, symbol in CEPH_FUNCTIONS], (path, debug))


def first_event(env):
    rows, aims, notes = small(env), [], []
    for question in () if env.quick else (jvm, ceph):
        more, its_aims, note = question(env)
        rows += more
        aims += its_aims
        notes += [note] if note else []
    return {"id": "first", "title": "Time to the first event (ms), the agent running",
            "tables": [{"columns": ["program", "function", "state", "plumb", "bpftrace", "gdb", "plumb's peak RSS, MB"], "rows": rows}],
            "notes": ["gdb and bpftrace include their own start; gdb was asked once for each program, warm; bpftrace does not read debug information: it shows no typed argument. "
                      "first: plumb's cache was empty. warm: the agent was asked about the file before, in all other states it has just started. "
                      "cold: the pages of the file, its debug file and plumb's cache were dropped from the page "
                      "cache. ceph-osd cannot run without a cluster: the time until the probe is attached to the file counts.", *notes],
            "aims": aims}


QUESTIONS = [first_event]
