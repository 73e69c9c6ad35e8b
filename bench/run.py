#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the questions: run.py --build DIR [--quick] [--out NAME] [QUESTION...]"""
import argparse
import glob
import importlib
import os
import sys
import time
import traceback

import report
from harness import Env, Unavailable

# The order of the table; a file q_*.py has a list QUESTIONS of functions (env) -> result.
FILES = ["q_cost", "q_real", "q_glob", "q_first", "q_rate", "q_rest", "q_growth", "q_collector", "q_verdict", "q_aa"]


def questions():
    here = os.path.dirname(os.path.abspath(__file__))
    known = {os.path.basename(p)[:-3] for p in glob.glob(os.path.join(here, "q_*.py"))}
    for name in [f for f in FILES if f in known] + sorted(known - set(FILES)):
        yield from importlib.import_module(name).QUESTIONS


def answer(question, env):
    start = time.monotonic()
    print("bench: %s ..." % question.__name__, end="", file=sys.stderr, flush=True)
    try:
        result = question(env)
    except Unavailable as e:
        result = {"id": question.__name__, "title": question.__name__, "notes": ["Not measured: %s." % e]}
    except Exception:  # one broken question must not take the others' figures with it
        result = {"id": question.__name__, "title": question.__name__, "failed": True,
                  "notes": ["This measurement broke:\n\n```\n%s```" % traceback.format_exc()]}
    result["seconds"] = time.monotonic() - start
    print(" %.0f s" % result["seconds"], file=sys.stderr)
    return result


def choose(names):
    """The questions of these names; without any, all but those that want to be named."""
    known = list(questions())
    unknown = sorted(set(names) - {q.__name__ for q in known})
    if unknown:
        sys.exit("bench: no question %s; there are: %s" % (", ".join(unknown), ", ".join(q.__name__ for q in known)))
    return [q for q in known if q.__name__ in names or not (names or getattr(q, "on_request", False))]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="build")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--out", default="results", help="name of the files with the results")
    parser.add_argument("only", nargs="*")
    args = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("bench: needs root, as plumbd does")
    chosen = choose(args.only)
    env = Env(args.build, args.quick)
    info = report.machine()
    results = []
    text = ""
    try:
        for q in chosen:
            results.append(answer(q, env))
            text = report.write(env.dir, args.out, results, info) # what a run has found stays when it is cut short
    finally:
        env.stop_agent()
    print(text)
    print("bench: written to %s/%s.{md,json} and *.png" % (env.dir, args.out), file=sys.stderr)
    return 1 if any(r.get("failed") for r in results) else 0


if __name__ == "__main__":
    sys.exit(main())
