# SPDX-License-Identifier: Apache-2.0
"""The same build twice under traffic that is uneven and changes: what plumb verify finds between two processes that do not differ.

The share of either process lies between 5 and 95 % and is another one every few seconds, and so are the rate and the share of failing
orders, which both processes have in common: the weather.  Calls are drawn one by one, so they are independent.
"""
import json
import os
import random
import re
import shutil
import subprocess
import tempfile
import threading
import time

from harness import Broken, aim, end, spawn

NAME = "aatwin"          # of the executable: nobody else's
SEED = 20261126
TRIGGER = 'o->qty == 0 && o->coupon == "HALF"'
# title, options, deadline in seconds (None: the whole run), the verdicts that are wrong of identical arms
CLAIMS = [
    ("at the boundary: error_rate < +0 %, no new error values", ["--function", "checkout", "--guard", "error_rate < +0 %", "--guard",
     "no new error values"], None, ("PASS", "FAIL")),
    ("nothing expected, default guards", ["--function", "checkout"], 60, ("FAIL",)),
    ("latency p50 < +10 %, p99 < +25 %", ["--function", "checkout", "--guard", "latency p50 < +10 %", "--guard", "latency p99 < +25 %"], 60,
     ("FAIL",)),
    ("the error is gone (both have it)", ["--function", "checkout", "--trigger", TRIGGER, "--expect", "gone"], 60, ("PASS",)),
]


class Twin:
    """One of the two processes, and what is sent to it now."""

    def __init__(self, env, directory, number):
        self.load_program = os.path.join(env.build, "targets", "orderload")
        self.out = os.path.join(directory, "twin%d" % number)
        with open(self.out, "w") as out:
            self.process = spawn([os.path.join(directory, NAME), "--threads", "4"], stdout=out)
        deadline, port = time.monotonic() + 15, None
        while not port:
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise Broken("the order service does not start")
            time.sleep(0.02)
            with open(self.out) as f:
                port = re.search(r"127\.0\.0\.1:(\d+)", f.read())
        self.port, self.load = port.group(1), None

    def send(self, rate, seconds, bad, seed):
        self.load = spawn([self.load_program, "--port", self.port, "--rate", "%.1f" % rate, "--seconds", "%.2f" % seconds, "--bad-percent",
                           "%.2f" % bad, "--unknown-percent", "1", "--seed", str(seed)], stdout=subprocess.PIPE, text=True)

    def sent(self):
        """-> orders answered in this spell of weather"""
        text = self.load.communicate(timeout=60)[0]
        self.load = None
        return int(re.search(r"sent=(\d+)", text).group(1))

    def close(self):
        for p in (self.load, self.process):
            if p:
                end(p)


class Asker(threading.Thread):
    """Verifies one claim again and again until the time is up. The figures of a run that was cut off count too: INCONCLUSIVE."""

    def __init__(self, env, twins, claim, seconds):
        super().__init__(name=claim[0])
        self.env, self.seconds, self.claim, self.verdicts, self.failed = env, seconds, claim, [], None
        self.arms = ["-s", NAME, "--baseline", "pid:%d" % twins[0].process.pid, "--candidate", "pid:%d" % twins[1].process.pid]

    def once(self, left):
        args = self.env.plumb("verify", *self.arms, *self.claim[1], "--for", "%ds" % min(left, self.claim[2] or left), "--json")
        p = subprocess.run(args, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=left + 120)
        if p.returncode == 2:
            raise Broken(p.stderr.strip())
        self.verdicts.append(json.loads(p.stdout))

    def run(self):
        until = time.monotonic() + self.seconds
        try:
            while until - time.monotonic() >= 5:
                self.once(int(until - time.monotonic()))
        except Exception as e:    # told by the thread that waits for this one
            self.failed = e

    def count(self, state):
        return sum(v["verdict"] == state for v in self.verdicts)

    def calls(self, arm):
        return sum(v["functions"][0][arm]["calls"] for v in self.verdicts)

    def wrong(self):
        return sum(self.count(state) for state in self.claim[3])


def spells(seconds):
    """The weather: (seconds, rates of both, share of failing orders in %), seeded."""
    rnd = random.Random(SEED)
    while seconds > 0:
        length, rate, share = min(seconds, rnd.uniform(2, 8)), rnd.uniform(400, 1500), rnd.uniform(0.05, 0.95)
        seconds -= length
        yield length, (rate * share, rate * (1 - share)), rnd.uniform(1, 10)


def traffic(twins, seconds):
    """-> (orders sent to each, spells, least and largest share of the first)"""
    sent, shares, seed = [0, 0], [], SEED
    for length, rates, bad in spells(seconds):
        for twin, rate in zip(twins, rates):
            seed += 1
            twin.send(rate, length, bad, seed)
        got = [twin.sent() for twin in twins]
        sent = [a + b for a, b in zip(sent, got)]
        shares.append(got[0] / max(1, sum(got)))
    return sent, len(shares), min(shares), max(shares)


def ask_all(env, twins, seconds):
    askers = [Asker(env, twins, claim, seconds - 5) for claim in CLAIMS]    # traffic outlasts them
    for a in askers:
        a.start()
    weather = traffic(twins, seconds)
    for a in askers:
        a.join()
        if a.failed:
            raise a.failed
    return askers, weather


def notes(askers, weather, seconds):
    sent, n, least, most = weather
    found = ["Wrong: %s, %s: %s" % (a.claim[0], v["verdict"], v["reason"]) for a in askers for v in a.verdicts if v["verdict"] in a.claim[3]]
    return ["%d s, %s and %s orders in %d spells of 2 to 8 s; the first process had %.0f to %.0f %% of them, 2 to 11 %% of all failed; seed %d. "
            "Every second is a chance to be wrong." % (seconds, "{:,}".format(sent[0]), "{:,}".format(sent[1]), n, 100 * least, 100 * most, SEED),
            *found]


def aa(env):
    """Not part of a whole run unless it is named: it takes its time."""
    seconds = float(os.environ.get("AA_SECONDS") or (20 if env.quick else 600))
    twins = []
    env.start_agent()
    with tempfile.TemporaryDirectory(dir=env.dir) as directory:
        try:
            shutil.copy(os.path.join(env.build, "targets", "orderd"), os.path.join(directory, NAME))
            for number in range(2):
                twins.append(Twin(env, directory, number))
            askers, weather = ask_all(env, twins, seconds)
        finally:
            for twin in twins:
                twin.close()
    columns = ["claim", "runs", "PASS", "FAIL", "INCONCLUSIVE", "wrong", "calls, one arm", "calls, other arm"]
    rows = [[a.claim[0], *("{:,}".format(n) for n in (len(a.verdicts), a.count("PASS"), a.count("FAIL"), a.count("INCONCLUSIVE"), a.wrong(),
                                                      a.calls("baseline"), a.calls("candidate")))] for a in askers]
    return {"id": "aa", "title": "A/A: one build as both arms, real processes, uneven traffic", "tables": [{"columns": columns, "rows": rows}],
            "notes": notes(askers, weather, seconds),
            "aims": [aim("identical arms: wrong verdicts", sum(a.wrong() for a in askers), 0, unit="",
                         reason="each verdict may be wrong with a probability of 5 %; see which ones were")]}


aa.on_request = True
QUESTIONS = [aa]
