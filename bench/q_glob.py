# SPDX-License-Identifier: Apache-2.0
"""Question 6: ten thousand functions at once. This version has no globs: what the kernel itself takes for it is measured."""
import statistics
import subprocess

import reasons
from harness import Direct, Target, aim, wait_detached

COUNT = 10000


def ask_plumb(env, pid):
    """-> why not, or None if globs work."""
    env.start_agent()
    r = subprocess.run(env.plumb("explain", "-p", str(pid), "many*"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return None if r.returncode == 0 else r.stderr.strip().splitlines()[0]


def glob(env):
    attach, detach = [], []
    with Target(env, "target-many") as target:
        why_not = ask_plumb(env, target.pid)
        base = target.run("f_push", 100000)[0]
        for _ in range(env.rounds):
            d = Direct(env, "floor", "session", target.pid, target.path, "many", COUNT)
            attach.append(d.ready["attach_ms"])
            detach.append(d.close()["detach_ms"])
            wait_detached(target, "f_push", base)
    reason = "not in this version" + (" (plumb: %s)" % why_not if why_not else "")
    return {"id": "glob", "title": "%s functions at once" % format(COUNT, ","),
            "tables": [{"columns": ["what", "attach ms", "detach ms"],
                        "rows": [["the kernel alone: an empty program, one session link", statistics.median(attach),
                                  statistics.median(detach)]]}],
            "notes": ["plumb: %s. The kernel's part alone bounds what it can reach." % reason],
            "aims": [aim("attach 10,000 functions", None, 500, unit="ms", reason=reasons.GLOB),
                     aim("detach 10,000 functions", None, 500, unit="ms", reason=reasons.GLOB),
                     aim("memory with 10,000 functions", None, 60, unit="MB", reason=reasons.GLOB)]}


QUESTIONS = [glob]
