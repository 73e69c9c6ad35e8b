# SPDX-License-Identifier: Apache-2.0
"""Question 10: how the cost of a call grows with the plan, the text, the threads and the number of probes."""
import statistics

import reasons
from harness import Direct, Target, Unavailable, aim, wait_detached


def sizes(env, quick, full):
    return quick if env.quick else full


def rounds(env):
    return 2 if env.quick else 5


def probe_ns(env, target, args, probe, calls=40000):
    with Direct(env, "probe", target.pid, target.path, *args, probe) as d:
        return target.run("f_push", calls)[0], d.ready


def grow(env, target, xs, measure):
    """-> {x: median ns}; the sizes interleaved."""
    seen = {x: [] for x in xs}
    base = target.run("f_push", 1000000)[0]
    for _ in range(rounds(env)):
        for x in xs:
            try:
                seen[x].append(measure(x) - base)
                wait_detached(target, "f_push", base)
            except Unavailable:
                pass
    return [(x, statistics.median(v)) for x, v in seen.items() if v]


def result(name, title, x, points, note="", label="plumb", more=(), logx=True):
    return {"id": name, "title": title, "tables": [{"columns": [x, "ns per call added"], "rows": [list(p) for p in points]}],
            "notes": [note] if note else [],
            "plots": [{"name": name, "title": title, "x": x, "y": "ns per call", "logx": logx, "series": [(label, points), *more]}]}


def bend(points):
    """Growth of the last step per unit, against the growth of the whole: above 1 it is steeper than a straight line."""
    if len(points) < 3 or points[-2][1] <= points[0][1]:
        return None
    last = (points[-1][1] - points[-2][1]) / (points[-1][0] - points[-2][0])
    whole = (points[-2][1] - points[0][1]) / (points[-2][0] - points[0][0])
    return last / whole if whole > 0 else None


def growth_plan(env):
    captures = sizes(env, [1, 8, 24], [1, 2, 4, 8, 12, 16, 20, 24, 30])
    ops = {}

    with Target(env) as target:
        def measure(n):
            ns, ready = probe_ns(env, target, (), "f_push(%s)" % ", ".join("ab"[i % 2] for i in range(n)))
            ops[n] = ready["entry_ops"]
            return ns
        points = [(ops[n], ns) for n, ns in grow(env, target, captures, measure)]
    r = result("growth_plan", "Cost against the plan's length (operations at entry)", "operations", points,
               "A capture of an integer is two operations: load the register, store it. Every call shipped.", logx=False)
    r["aims"] = [aim("plan length: last step against a straight line", bend(points), 1.5, reason=reasons.PLAN)]
    return r


def growth_string(env):
    with Target(env) as target:
        def measure(n):
            target.ask("string %d" % n)
            return probe_ns(env, target, ("-s", n + 1), "f_push(s)", 20000)[0]
        points = grow(env, target, sizes(env, [8, 512, 4000], [8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4000]), measure)
    r = result("growth_string", "Cost against the length of a captured text", "bytes", points, "Every call shipped.")
    r["aims"] = [aim("text length: last step against a straight line", bend(points), 1.5, reason=reasons.TEXT)]
    return r


def threads_ns(env, target, args, n):
    with Direct(env, *args):
        return float(target.ask("threads f_push %d %d" % (max(1000, 40000 // n), n)).split()[1])


def growth_threads(env):
    counts = sizes(env, [1, 2, 16], [1, 2, 4, 8, 16, 32, 64])
    with Target(env, pin=False) as target:
        who = {"plumb": ("probe", target.pid, target.path, "f_push(a, b, s) -> $ret"),
               "plumb, counters only": ("probe", target.pid, target.path, "-q", "f_push"),
               "floor: empty program, session": ("floor", "session", target.pid, target.path, "f_push")}
        series = [(name, grow(env, target, counts, lambda n, a=args: threads_ns(env, target, a, n))) for name, args in who.items()]
    rows = [[n] + [dict(points).get(n, "-") for _, points in series] for n in counts]
    plumb = dict(series[0][1])
    floor = dict(series[2][1])
    flat = (plumb[counts[-1]] / floor[counts[-1]]) / (plumb[1] / floor[1]) if 1 in plumb and counts[-1] in plumb else None
    return {"id": "growth_threads", "title": "CPU time of a call against the number of threads on the same probe",
            "tables": [{"columns": ["threads"] + [n for n, _ in series], "rows": rows}],
            "notes": ["CPU ns of the calling thread, on %d CPUs: what a lock or a shared cache line would cost shows from the "
                      "second thread on, beside the same for an empty program." % env.cpus],
            "plots": [{"name": "growth_threads", "title": "CPU time of a call against threads", "x": "threads", "y": "CPU ns per call",
                       "logx": True, "series": series}],
            "aims": [aim("threads: x floor with %d threads, against 1 thread" % counts[-1], flat, 1.25, reason=reasons.THREADS)]}


def growth_probes(env):
    """Breakpoints elsewhere in the program; and several probes on the same function."""
    with Target(env, "target-many") as target:
        def elsewhere(n):
            with Direct(env, "floor", "session", target.pid, target.path, "many", n):
                with Direct(env, "probe", target.pid, target.path, "-q", "f_push"):
                    return target.run("f_push", 40000)[0]
        far = grow(env, target, sizes(env, [1, 1000, 10000], [1, 10, 100, 1000, 10000]), elsewhere)

        def same(n):
            return probe_ns(env, target, ("-q", "-n", n), "f_push", 20000)[0]
        near = grow(env, target, sizes(env, [1, 4], [1, 2, 4, 8, 16]), same)
    r = result("growth_probes", "Cost against the number of probes", "probed functions", far,
               "A call of one probed function (counters only) while N others hold a breakpoint.", label="N other functions probed",
               more=[("N probes on the same function", near)])
    r["tables"].append({"title": "N probes on the same function:", "columns": ["probes", "ns per call added"],
                        "rows": [list(p) for p in near]})
    r["aims"] = [aim("probes elsewhere: cost with %d against 1" % far[-1][0], far[-1][1] / far[0][1], 1.25, reason=reasons.ELSEWHERE)]
    return r


QUESTIONS = [growth_plan, growth_string, growth_threads, growth_probes]
