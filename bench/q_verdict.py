# SPDX-License-Identifier: Apache-2.0
"""Question 8: how often a verdict is wrong when people watch it come, and how many calls it takes. A simulation: no time is measured."""
import json
import subprocess

from harness import Broken, aim

SEED = 20261126
CASE = ("share", "rate", "ticks", "together")


def simulate(env):
    runs = "500" if env.quick else "4000"
    try:
        p = subprocess.run([env.program("verdict_sim"), runs, str(SEED)], stdout=subprocess.PIPE, text=True, check=True, timeout=1200)
    except (FileNotFoundError, subprocess.CalledProcessError) as e:
        raise Broken("bench/verdict_sim does not run: %s" % e)
    return json.loads(p.stdout)


def percent(share):
    return "%.2f %%" % (100 * share)


def bare_rows(result):
    names = [k for k in result["bare"][0] if k not in CASE]
    return [[name] + [percent(case[name]) for case in result["bare"]] for name in names]


def verdicts(env):
    r = simulate(env)
    cases = ["split 1 : %g, rate %g%s" % (c["share"], c["rate"], ", %d calls fail together" % c["together"] if c["together"] > 1 else "")
             for c in r["bare"]]
    false = [v for c in r["bare"] if c["together"] == 1 for k, v in c.items() if k not in CASE and not k.startswith("for comparison")]
    return {"id": "verdict", "title": "Verdicts under continuous peeking (simulated, %d runs, seed %d)" % (r["runs"], r["seed"]),
            "tables": [
                {"title": "What each test by itself finds in identical arms", "columns": ["test"] + cases, "rows": bare_rows(r)},
                {"title": "Verdicts that would be wrong", "columns": ["arms", "state", "share of runs", "alpha"],
                 "rows": [[c["name"], c["state"], percent(c["share"]), percent(c["alpha"])] for c in r["null"]]},
                {"title": "Verdicts on real differences",
                 "columns": ["arms", "state", "share of runs", "median calls, both arms", "90 % within"],
                 "rows": [[c["name"], c["state"], percent(c["share"]), c["median_calls"], c["p90_calls"]] for c in r["real"]]}],
            "notes": ["Each run is looked at after every tick. In the first table the split and the common error rate wander. The z-test "
                      "is the fixed-sample test that most dashboards show. The last column breaks what the tests suppose, that calls are "
                      "independent: it shows what an A/A run is for."],
            "aims": [aim("identical arms: the worst test's false alarms", 100 * max(false), 5, unit="%"),
                     aim("wrong verdicts, worst case", 100 * max(c["share"] for c in r["null"]), 5, unit="%"),
                     aim("real differences missed, worst case", 100 * (1 - min(c["share"] for c in r["real"])), 5, unit="%")]}


QUESTIONS = [verdicts]
