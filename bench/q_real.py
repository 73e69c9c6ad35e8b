# SPDX-License-Identifier: Apache-2.0
"""Question 5: functions as the distribution compiled them, whose first instruction the kernel has to single-step; and
for which share of a program's functions there is a cheap site."""
import collections
import glob
import hashlib
import os
import shutil
import statistics
import subprocess
import time

import reasons
from harness import Target, Unavailable, aim, end, floor_ns, spawn

COUNT, COUNT_QUICK = 40, 10
LIB_DIR = "/usr/lib/x86_64-linux-gnu"


def emulated(code):
    """The kernel's list, on the first bytes of a function: push, nop, jmp, jcc, call rel32."""
    b = bytes.fromhex(code)
    rest = b[1:] if b[0] in range(0x40, 0x50) else b
    return (rest[0] in range(0x50, 0x58) or rest[0] in (0x90, 0xe8, 0xe9, 0xeb) or rest[0] in range(0x70, 0x80)
            or (rest[0] == 0x0f and (rest[1] in range(0x80, 0x90) or rest[1] == 0x1f)))


class RealFunctions:
    def __init__(self, env):
        self.process = spawn([env.program("realfns")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        self.pid = self.process.pid
        self.all = [line.split() for line in self._ask("list")]
        stepped = [f for f in self.all if not emulated(f[3])]
        # The list in realfns.c is hand-made; which of it are taken is decided by a hash of their names.
        stepped.sort(key=lambda f: hashlib.md5(f[2].encode()).digest())
        self.chosen, self.refused = [], []
        for f in stepped:
            if len(self.chosen) < (COUNT_QUICK if env.quick else COUNT):
                self._choose(env, f)

    def _choose(self, env, f):
        """plumb refuses return probes in libraries that switch stacks (libcrypto): there is nothing to compare then."""
        r = subprocess.run(env.plumb("explain", "-p", str(self.pid), "%s:%s() -> $ret" % (f[1], f[2])), stdout=subprocess.DEVNULL,
                           stderr=subprocess.PIPE, text=True)
        if r.returncode:
            self.refused.append((f, r.stderr.strip().splitlines()[0]))
        else:
            self.chosen.append(f)

    def _ask(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        lines = []
        for line in self.process.stdout:
            if line.strip() == "end":
                return lines
            lines.append(line)
        raise Unavailable("realfns died")

    def run(self, calls):
        """-> {index: ns}"""
        return {i: float(ns) for i, ns in (line.split() for line in self._ask("run %d" % calls))}

    def wait_attached(self, base, process):
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline:
            now = self.run(20)
            if all(now[f[0]] > base[f[0]] + 100 for f in self.chosen):
                time.sleep(1.0)
                return
            if process.poll() is not None:
                raise Unavailable("ended before it was attached")
            time.sleep(0.2)
        raise Unavailable("not all functions attached")

    def close(self):
        self.process.stdin.close()
        self.process.stdin = None
        end(self.process)


def with_tool(real, base, argv, calls):
    p = spawn(argv)
    try:
        real.wait_attached(base, p)
        return real.run(calls)
    finally:
        end(p, timeout=60)
        time.sleep(0.3)


def first_word(f):
    b = f[3]
    for prefix, name in (("f30f1efa", "endbr64"), ("4883ec", "sub rsp"), ("31", "xor"), ("4531", "xor"), ("4885", "test"), ("85", "test")):
        if b.startswith(prefix):
            return name
    return "mov, lea, cmp..."


def session_floor(env):
    with Target(env) as target:
        return floor_ns(env, target, "session", "f_push", 60000) - target.run("f_push", 100000)[0]


def refusals(real):
    by = collections.Counter((f[1], why) for f, why in real.refused)
    return ["plumb refuses a return probe on %d more, of %s: \"%s\"." % (n, library, why) for (library, why), n in sorted(by.items())]


def real_functions(env):
    env.start_agent()
    real = RealFunctions(env)
    try:
        calls = 100 if env.quick else 300
        base = real.run(2000)
        plumb = env.plumb("stat", "-p", str(real.pid), "--budget", "10000%", "--json",
                          *["%s:%s" % (f[1], f[2]) for f in real.chosen])
        hist = "uprobe:%s { @t[tid] = nsecs; } uretprobe:%s /@t[tid]/ { @h[pid] = hist(nsecs - @t[tid]); delete(@t[tid]); }"
        places = ['"%s":%s' % (os.path.realpath(os.path.join(LIB_DIR, f[1])), f[2]) for f in real.chosen]
        program = hist % (", uprobe:".join(places), ", uretprobe:".join(places))
        ours, theirs, floors = {}, {}, []
        for _ in range(1 if env.quick else 5):
            floors.append(session_floor(env))
            for into, argv in ((ours, plumb), (theirs, ["bpftrace", "-p", str(real.pid), "-e", program])):
                for i, ns in with_tool(real, base, argv, calls).items():
                    into.setdefault(i, []).append(ns - base[i])
    finally:
        real.close()
    rows = []
    for f in real.chosen:
        a, b = statistics.median(ours[f[0]]), statistics.median(theirs[f[0]])
        rows.append([f[2], first_word(f), a, b, a / b])
    least = statistics.median(floors) / statistics.median(r[3] for r in rows)
    rows.sort(key=lambda r: r[4])
    median = statistics.median(r[4] for r in rows)
    step = statistics.median(r[3] for r in rows)
    return {"id": "real", "title": "%d functions of real -O2 code whose first instruction is not emulated (count, errors, histogram)" % len(rows),
            "tables": [{"columns": ["function", "first instruction", "plumb: ns added", "bpftrace hist(): ns added", "ratio"], "rows": rows}],
            "notes": ["From a hand-made list of functions that can be called without a set-up, many of them tiny or called with NULL: a "
                      "sample of convenience. The share of cheap sites in whole programs is the next question.",
                      *refusals(real),
                      "bpftrace's median on a single-stepped instruction is %.0f ns here." % step],
            "aims": [aim("cost on such functions / bpftrace, median", median, 0.05, reason=reasons.REAL.format(
                step=step, least=least), invalid="" if env.quick or len(rows) >= COUNT else
                "only %d of %d functions could be measured, plumb refuses the others" % (len(rows), COUNT))]}


def census(env, path):
    out = subprocess.run([env.program("site_census"), path], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    lines = out.strip().splitlines()
    if len(lines) < 2:
        return None
    words = lines[1].split()
    return [int(words[1])] + [float(w.rstrip("%")) for w in words if w.endswith("%")]


def rust_program(env):
    """bench/words.rs, with the standard library linked in; "" without a Rust compiler."""
    out = env.program("words-rs")
    if not os.path.exists(out) and shutil.which("rustc"):
        here = os.path.dirname(os.path.abspath(__file__))
        subprocess.run(["rustc", "-O", "-g", "-o", out, os.path.join(here, "words.rs")], check=False, stderr=subprocess.DEVNULL)
    return out


def share(env):
    programs = [("redis-server", "/usr/bin/redis-server", 84), ("nginx", "/usr/sbin/nginx", 92),
                ("libstdc++", os.path.join(LIB_DIR, "libstdc++.so.6"), 80), ("Rust program", rust_program(env), 85)]
    rows, aims = [], []
    for name, path, limit in programs:
        c = census(env, path) if os.path.exists(path) else None
        aims.append(aim("functions with a cheap site, %s" % name, c[2] if c else None, limit, at_least=True, unit="%",
                        reason=reasons.SHARE if c else "%s has no function symbols, or is not installed" % path))
        if c:
            rows.append([name] + c[:4])
    for path in sorted(glob.glob(os.path.expanduser("~/.rustup/toolchains/*/lib/libstd-*.so")) + glob.glob(LIB_DIR + "/libstd-*.so"))[:1]:
        c = census(env, path)
        rows += [["Rust's shared standard library, exported symbols only (no program: beside the aim)"] + c[:4]] if c else []
    return {"id": "share", "title": "Share of functions with a cheap site from which a return can be probed",
            "tables": [{"columns": ["program", "functions", "first instruction is cheap %", "a cheap site %", "with all arguments %"],
                        "rows": rows}],
            "notes": ["The Rust program is bench/words.rs, written for this. A cheap site is where a return probe could be put: whether "
                      "plumb agrees to put it there is another matter. It refuses return probes in libstdc++ and libcrypto here "
                      "(see the question before)."], "aims": aims}


QUESTIONS = [real_functions, share]
