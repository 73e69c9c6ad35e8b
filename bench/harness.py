# SPDX-License-Identifier: Apache-2.0
"""What all questions share: the target, the floor, readiness, interleaving and medians.

A round measures every subject once, in a rotating order; each figure is set against the floor (an empty BPF program on
the same instruction) that was measured just before it, since a shared machine's speed changes from minute to minute.
What is reported is the median over the rounds of that ratio, not the ratio of two medians.
"""
import json
import os
import signal
import statistics
import subprocess
import time

NICE = -15  # other work on the machine must not be measured


class Unavailable(Exception):
    """A subject cannot do this, or is not installed; the text goes to the table."""


class Broken(Exception):
    """What must work here does not: the question fails."""


def _niced():
    try:
        os.setpriority(os.PRIO_PROCESS, 0, NICE)
    except PermissionError:
        pass


def spawn(argv, **kw):
    kw.setdefault("stdout", subprocess.DEVNULL)
    kw.setdefault("stderr", subprocess.DEVNULL)
    kw.setdefault("stdin", subprocess.DEVNULL)
    try:
        return subprocess.Popen(argv, preexec_fn=_niced, **kw)
    except FileNotFoundError:
        raise Unavailable("%s is not installed" % argv[0])


def end(process, sig=signal.SIGINT, timeout=20):
    """Ends a process of ours and reaps it."""
    if process.poll() is None:
        process.send_signal(sig)
    try:
        process.wait(timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream:
            stream.close()


class Env:
    """What a run of the benchmarks has at hand."""

    def __init__(self, build, quick):
        self.build = os.path.abspath(build)
        self.dir = os.path.join(self.build, "bench")
        self.quick = quick
        self.rounds = 3 if quick else 5
        self.cpus = os.cpu_count() or 1
        self.socket = os.path.join(self.dir, "plumbd.%d.sock" % os.getpid())
        self.cache = os.path.join(self.dir, "cache")     # of inflated debug information
        self.log = os.path.join(self.dir, "plumbd.log")
        self.agent = None

    def program(self, name):
        return os.path.join(self.dir, name)

    def plumb(self, *args):
        return [os.path.join(self.build, "plumb"), "--socket", self.socket, *args]

    def start_agent(self):
        """One agent for all questions; its budget must not take away what is measured flat out."""
        if self.agent and self.agent.poll() is None:
            return self.agent
        with open(self.log, "w") as log:
            self.agent = spawn([os.path.join(self.build, "plumbd"), "--socket", self.socket, "--budget", "10000",
                                "--max-budget", "10000", "--cache", self.cache], stderr=log)
        deadline = time.monotonic() + 15
        while not os.path.exists(self.socket):
            if time.monotonic() > deadline or self.agent.poll() is not None:
                raise Broken("plumbd does not start")
            time.sleep(0.02)
        return self.agent

    def stop_agent(self):
        if self.agent:
            end(self.agent, signal.SIGTERM)
            self.agent = None
        if os.path.exists(self.socket):
            os.unlink(self.socket)


class Target:
    """bench/target.c, pinned to the last CPU so that readers have another one."""

    def __init__(self, env, binary="target", argv=(), environ=None, pin=True):
        self.path = env.program(binary)
        self.process = spawn([*argv, self.path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
                             env=environ)
        self.pid = self.process.pid
        if pin:
            self.ask("pin %d" % (env.cpus - 1))

    def ask(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise Unavailable("the target died")
        return line.strip()

    def run(self, function, calls, batches=100):
        wall, cpu = self.ask("run %s %d %d" % (function, calls, batches)).split()
        return float(wall), float(cpu)

    def close(self):
        self.process.stdin.close()
        self.process.stdin = None
        end(self.process, signal.SIGTERM)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()


def wait_attached(target, function, base, timeout=30, process=None):
    """A tool is attached when calls cost more."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if target.run(function, 40, 4)[0] > 10 * base + 60:
            time.sleep(0.1)
            return
        if process is not None and process.poll() is not None:
            raise Unavailable("%s ended before it was attached" % os.path.basename(process.args[0]))
        time.sleep(0.03)
    raise Unavailable("not attached within %d s" % timeout)


def wait_detached(target, function, base, timeout=20):
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if target.run(function, 40, 4)[0] < 10 * base + 60:
            return
        time.sleep(0.02)


class Direct:
    """bench/direct.c: attaches without agent and terminal."""

    def __init__(self, env, *args):
        self.process = spawn([env.program("direct"), *map(str, args)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        if not line:
            why = self.process.stderr.read().strip()
            end(self.process)
            raise Unavailable(why or "direct did not start")
        self.ready = json.loads(line)
        self.totals = {}

    def close(self):
        out, _ = self.process.communicate(timeout=60)
        self.totals = json.loads(out) if out.strip() else {}
        return self.totals

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()


def floor_ns(env, target, kind, function, calls):
    with Direct(env, "floor", kind, target.pid, target.path, function):
        return target.run(function, calls)[0]


class Series:
    """What one subject measured over the rounds."""

    def __init__(self, subject):
        self.subject = subject
        self.ns, self.cpu, self.ratio, self.note, self.why_not = [], [], [], subject.note, subject.cannot
        self.lost = 0

    def add(self, ns, cpu, ratio):
        self.ns.append(ns)
        self.cpu.append(cpu)
        self.ratio.append(ratio)

    def row(self):
        row = {"subject": self.subject.name, "note": self.note}
        if self.why_not or not self.ns:
            row["cannot"] = self.why_not or "no figure"
            return row
        row.update(ratio=statistics.median(self.ratio), ns=statistics.median(self.ns),
                   cpu_ns=statistics.median(self.cpu), rounds=len(self.ns), least_ns=min(self.ns), most_ns=max(self.ns))
        row["lost"] = self.lost
        if self.lost:
            row["note"] = ("%s records lost over all rounds: dearer without; " % format(self.lost, ",")) + row["note"]
        if len(self.ratio) > 2:
            row["spread"] = statistics.quantiles(self.ratio, n=4)[2] - statistics.quantiles(self.ratio, n=4)[0]
        return row


def one_subject(env, target, series, floor_kind, function, base, calls):
    subject = series.subject
    floor = floor_ns(env, target, floor_kind, function, calls) - base
    own = target
    try:
        own = subject.start(env, target, function) or target
        if own is target:
            wait_attached(own, function, base, process=subject.process)
            time.sleep(subject.settle_s)
        n = min(calls, subject.calls_max)
        ns, cpu = own.run(function, n, min(100, max(4, n // 50)))
        series.add(ns - base, cpu - base, (ns - base) / floor)
    except Unavailable as e:
        series.why_not = str(e)
    finally:
        series.note = subject.stop() or series.note
        series.lost += subject.lost
    if own is target and not series.why_not:
        wait_detached(target, function, base)
    return floor


def compare(env, subjects, floor_kind, function="f_push", calls=None):
    """-> rows, the floor first: ns per call added, and its ratio to the floor measured just before."""
    calls = calls or (30000 if env.quick else 200000)
    series = [Series(s) for s in subjects]
    floors = []
    with Target(env) as target:
        base = target.run(function, 1000000)[0]
        for r in range(env.rounds):
            turn = r % len(series)
            for s in series[turn:] + series[:turn]:
                if s.why_not or r >= s.subject.rounds_max:
                    continue
                floors.append(one_subject(env, target, s, floor_kind, function, base, calls))
    rows = [{"subject": "floor: empty program, %s" % floor_kind, "note": "", "ratio": 1.0, "ns": statistics.median(floors),
             "cpu_ns": statistics.median(floors), "rounds": len(floors), "least_ns": min(floors), "most_ns": max(floors)}]
    return rows + [s.row() for s in series]


def row_of(rows, subject):
    for row in rows:
        if row["subject"] == subject and "cannot" not in row:
            return row
    return None


def aim(what, figure, limit, at_least=False, reason="", unit="x", invalid=""):
    """One line of the table of aims. figure None: not measured, with the reason. invalid: why the figure does not count."""
    met = None if figure is None or invalid else (figure >= limit if at_least else figure <= limit)
    reason = ("the figure does not count: " + invalid) if invalid else reason
    return {"what": what, "figure": figure, "limit": limit, "at_least": at_least, "unit": unit, "met": met,
            "reason": "" if met else reason}
