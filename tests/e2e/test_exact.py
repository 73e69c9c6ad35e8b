# SPDX-License-Identifier: Apache-2.0
"""Counts equal the truth, and every argument of every record is right: tests/targets/exact in all its builds, on every rung
of the ladder of attach methods."""
import os
import time

import truth
from harness import UNBOUNDED, KernelCase, Target

VARIANTS = ('gcc-O0', 'gcc-O2', 'gcc-O2-nopie', 'clang-O0', 'clang-O2', 'split')


class Exact(KernelCase):
    limit = 240
    agent_args = UNBOUNDED

    def run_scenario(self, agent, variant, scenario, functions, calls=60, threads=1, more=(), busy=False):
        """-> (trace that has ended, truth of the target)"""
        t = Target(self, 'exact-' + variant, scenario, '--calls', calls, '--threads', threads, *(['--busy'] if busy else []))
        tr = agent.trace('-p', t.pid, '--json', *more, *functions)
        t.go()
        facts = t.truth()
        self.assertTrue(facts['ok'], 'the target computed something else under the probes')
        tr.stop()
        t.finish()
        return tr, facts

    def check(self, tr, facts, functions, calls_of=None):
        """Totals and records against the truth, for functions whose every call returns or is unwound."""
        total, records = tr.total(), tr.records()
        f = [facts['functions'].get(name, {'calls': 0, 'errors': 0, 'unwound': 0}) for name in functions]
        entered, failed, unwound = (sum(x[k] for x in f) for k in ('calls', 'errors', 'unwound'))
        self.assertEqual(total['calls'], entered)
        self.assertEqual(total['errors'], failed)
        self.assertEqual(total['dropped'], 0)
        self.assertEqual(total['unwound'] + total['open'], unwound)
        self.assertEqual(total['shown'], entered - unwound)
        self.assertEqual(len(records), entered - unwound)
        wrong = []
        for name in functions:
            want = truth.wanted(name, range(facts['calls']), calls_of)
            wrong += truth.differences(truth.shown(records, name), want)
        self.assertEqual(wrong, [])
        self.assertTrue(all(r['duration_ns'] > 0 and r['pid'] == facts['pid'] for r in records))

    def every_function(self, variant, method):
        agent = self.agent('--attach', method)
        functions = [f for f in truth.ALL if f != 'descend']
        with self.subTest(variant=variant, attach=method):
            tr, facts = self.run_scenario(agent, variant, 'all', functions, calls=60, threads=2)
            self.check(tr, facts, functions)

    def test_many_threads_flat_out(self):
        agent = self.agent('--ring-kib', 16384)
        tr, facts = self.run_scenario(agent, 'gcc-O2', 'ints', ('take_ints', 'take_longs'), calls=5000, threads=8, busy=True)
        self.check(tr, facts, ('take_ints', 'take_longs'))
        self.assertEqual(len({r['tid'] for r in tr.records()}), 8)

    def test_bursts_that_fill_the_ring_between_two_polls(self):
        """They wake the agent. While little happens it polls 20 times a second: deaf in between it would lose about every third
        of these calls. (Nothing is lost on a quiet machine; where others keep the processor from the agent, a few are: so it goes
        before them.)"""
        agent, calls = self.agent('--ring-kib', 1024), 30000
        for thread in os.listdir('/proc/%d/task' % agent.pid):
            os.setpriority(os.PRIO_PROCESS, int(thread), -20)
        trickle = agent.trace('-p', Target(self, 'execer').pid, '--msgpack', 'tick')
        targets = [Target(self, 'exact-gcc-O0', 'ints', '--calls', calls, '--busy') for _ in range(8)]
        tr = agent.trace('-x', targets[0].argv[0], '--msgpack', 'take_ints(a, b, c, d, e, f)')   # push first: a cheap site
        for t in targets:
            time.sleep(0.3)       # back to the slow polling
            t.go()
            self.assertTrue(t.truth()['ok'])
        tr.stop()
        trickle.stop()
        for t in targets:
            t.finish()
        total = tr.total()
        self.assertEqual(total['calls'], len(targets) * calls)
        self.assertEqual(total['shown'] + total['dropped'], total['calls'])
        self.assertLess(total['dropped'], total['calls'] / 10)

    def test_recursion_within_the_limit(self):
        for variant in ('gcc-O2', 'clang-O0'):
            tr, facts = self.run_scenario(self.agent(socket=self.path(variant)), variant, 'recurse', ['descend'], calls=20)
            self.check(tr, facts, ['descend'])
            self.check_nesting(tr.records(), 50)

    def check_nesting(self, records, depth):
        """n is nested in n + 1: it began later and lasted shorter, in every single call."""
        by_call = {}
        for r in records:
            by_call.setdefault(r['args']['i'], {})[r['args']['n']] = r
        for calls in by_call.values():
            for n, r in calls.items():
                outer = calls.get(n + 1)
                self.assertEqual(r['ret'], n)
                if outer:
                    self.assertLess(outer['ts'], r['ts'])
                    self.assertLess(r['duration_ns'], outer['duration_ns'])
        self.assertTrue(all(max(c) == depth for c in by_call.values()))

    def deep(self, method):
        """100 nested calls, of which 64 can be open: the others are counted as missed, and nothing is paired wrongly."""
        tr, facts = self.run_scenario(self.agent('--attach', method), 'gcc-O2', 'deep', ['descend'], calls=20)
        total, records = tr.total(), tr.records()
        self.assertEqual(facts['functions']['descend']['calls'], 2000)
        self.assertEqual(total['calls'], 2000)
        self.assertEqual(total['errors'], 0)
        self.assertEqual(total['shown'], 20 * 64)
        self.assertEqual(total['too_deep'] + total['unwound'] + total['open'], 20 * 36)
        self.assertEqual({r['args']['n'] for r in records}, set(range(37, 101)))
        self.check_nesting(records, 100)

    def test_deep_recursion_session(self):
        self.deep('session')

    def test_deep_recursion_multi(self):
        self.deep('multi')

    def test_deep_recursion_perf(self):
        self.deep('perf')

    def test_durations(self):
        tr, facts = self.run_scenario(self.agent(), 'gcc-O2', 'slow', ['give_slowly'], calls=50)
        self.check(tr, facts, ['give_slowly'])
        for r in tr.records():
            slow = r['args']['i'] % 10 == 9
            self.assertGreater(r['duration_ns'], 20e6 if slow else 0.2e6)

    def test_pages_that_are_not_mapped_yet(self):
        """The kernel reads them, or says that it did not; it never shows a zero."""
        for method in ('session', 'perf'):
            agent = self.agent('--attach', method, socket=self.path(method))
            tr, facts = self.run_scenario(agent, 'gcc-O2', 'absent', ['take_absent'], calls=200)
            unread = 0
            for r in tr.records():
                if r['args']['page'] is None:
                    unread += 1
                else:
                    self.assertEqual(r['args']['page'], {'value': r['args']['i'], 'label': 'absent'})
            self.assertEqual(tr.total()['calls'], 200)
            self.assertEqual(tr.total()['unread'], unread)
            if method == 'session':
                self.assertEqual(unread, 0, 'a sleepable program can fault pages in')

    def test_threads_that_end_inside_the_call(self):
        for method in ('session', 'perf'):
            agent = self.agent('--attach', method, socket=self.path(method))
            tr, facts = self.run_scenario(agent, 'gcc-O2', 'vanish', ['vanish'], calls=60)
            self.check(tr, facts, ['vanish'])

    def test_forks_inside_the_call(self):
        """The child's returns belong to no call of the child: nothing is shown twice, nothing is paired wrongly."""
        functions = ['fork_exits', 'fork_returns']
        for method in ('session', 'multi', 'perf'):
            agent = self.agent('--attach', method, socket=self.path(method))
            tr, facts = self.run_scenario(agent, 'gcc-O2', 'fork', functions, calls=30)
            self.check(tr, facts, functions)

    def test_stripped(self):
        """No debug information: names from .dynsym, arguments by the ABI."""
        agent = self.agent()
        tr, facts = self.run_scenario(agent, 'stripped', 'ints', ['take_longs($arg0, $arg1, $arg5) -> $ret'],
                                      more=('--error', '$ret != 0'), calls=60, threads=2)
        calls = facts['functions']['take_longs']
        self.assertEqual(tr.total()['calls'], calls['calls'])
        self.assertEqual(tr.total()['errors'], calls['errors'])
        seen = set()
        for r in tr.records():
            i = (int(str(r['args']['$arg5']), 0) - 0x1000) // 16
            seen.add(i)
            self.assertEqual(truth.cut(int(str(r['args']['$arg0']), 0), 64, True), -i * 10**12)
            self.assertEqual(truth.cut(int(str(r['args']['$arg1']), 0), 64), truth.cut(i * 0x9e3779b97f4a7c15, 64))
            self.assertEqual(truth.cut(int(str(r['ret']), 0), 32, True), truth.result(i))
            self.assertEqual(r['error'], truth.fails(i))
        self.assertEqual(seen, set(range(120)))

    def test_stripped_says_what_is_missing(self):
        agent = self.agent()
        t = Target(self, 'exact-stripped', 'ints')
        self.assertIn('hidden_static', agent.run('trace', '-p', t.pid, 'hidden_static', code=1).stderr)
        self.assertIn('debug', agent.run('explain', '-p', t.pid, 'take_ints').stdout)


def add(method, variants):
    for variant in variants:
        def test(self, variant=variant, method=method):
            self.every_function(variant, method)
        test.__doc__ = 'every function of exact-%s, attached by %s' % (variant, method)
        setattr(Exact, 'test_every_function_%s_%s' % (method, variant.replace('-', '_')), test)


add('session', VARIANTS)
add('multi', ('gcc-O2', 'clang-O0'))
add('perf', ('gcc-O2', 'clang-O0'))
