# SPDX-License-Identifier: Apache-2.0
"""Probes that cost too much go by themselves, and a target that runs flat out is not harmed by probes that come and go."""
import json
import re
import signal
import time

import wire
from harness import QUICK, SANITIZED, UNBOUNDED, KernelCase, Target, Trace, cpu_seconds, wait_for

THREADS = 2


class Guard(KernelCase):
    def check_busy(self, t):
        t.signal(signal.SIGTERM)
        self.assertEqual(t.wait(), 0, t.stdout)
        self.assertRegex(t.stdout, r'(?m)^ok loops=')

    def tripped(self, probe, *options, agent=None):
        """What it may take is counted in the target's own processor time: what else runs on the machine is no matter of the guard's."""
        agent, t = agent or self.agent(), Target(self, 'busy', '--threads', THREADS)
        before = cpu_seconds(t.pid)
        tr = Trace(self, agent.command('trace', '-p', t.pid, *options, probe))
        self.assertEqual(tr.wait(), 1, tr.stderr)
        self.assertLess(cpu_seconds(t.pid) - before, (2.5 if SANITIZED else 1.5) * THREADS, 'of the target, until the probe was gone')
        self.assertRegex(tr.stderr, r'removed: probes cost process %d [\d.]+%% of one core, the budget is [\d.]+%%'
                                    r' \(\d+ calls/s at about \d+ ns each' % t.pid)
        self.assertGreater(tr.total()['calls'], 1000)
        self.assertNotIn('running', agent.requests())
        self.check_busy(t)
        return tr

    def test_malloc_of_a_busy_process(self):
        tr = self.tripped('libc.so.6:malloc', '--json')
        total = tr.total()
        self.assertEqual(total['end'], 'guard')
        self.assertEqual(total['shown'], len(tr.records()))
        self.assertEqual(total['calls'], total['shown'] + total['dropped'] + total['missed'] + total['open'])

    def test_counts_only(self):
        self.tripped('work', '--sample', '1/1000000')

    def test_small_budget(self):
        self.tripped('work', '--budget', '1%', agent=self.agent('--budget', 50))

    def test_large_budget_is_limited_by_the_agent(self):
        agent, t = self.agent('--max-budget', '20'), Target(self, 'execer')
        self.assertIn('20%', agent.run('trace', '-p', t.pid, '--budget', '30%', 'tick', code=1).stderr)
        agent.run('trace', '-p', t.pid, '--budget', '20%', '--limit', 5, 'tick')

    def test_budget_of_100_percent(self):
        """A probe within its budget stays: a thousand calls a second cost next to nothing."""
        agent, t = self.agent(), Target(self, 'execer')
        self.stays(agent.trace('-p', t.pid, '--budget', '100%', '--json', 'tick'))

    def stays(self, tr):
        """The guard looks at it five times a second."""
        time.sleep(2)
        wait_for('calls', lambda: len(tr.lines()) > 1500)
        tr.stop()
        self.assertGreater(tr.total()['calls'], 1500)

    def test_a_cheap_probe_stays_with_the_default_budget(self):
        agent, t = self.agent(), Target(self, 'execer')
        self.stays(agent.trace('-p', t.pid, '--json', 'tick'))

    def test_only_the_costly_probe_goes(self):
        agent, t = self.agent(), Target(self, 'busy')
        with wire.Connection(agent.socket) as c:
            cheap = c.trace({'target': {'pid': t.pid}, 'probes': ['main']})
            costly = c.trace({'target': {'pid': t.pid}, 'probes': ['work'], 'sample': 1000000})
            end = c.receive(wire.END, costly)
            self.assertEqual(end[2], 'guard')
            self.assertGreater(wire.total(end, 'calls'), 1000)
            end, _ = c.stop(cheap)
            self.assertEqual(end[2], 'stopped')
        self.check_busy(t)

    def cycle(self, c, t, together):
        """Attaches so many probes, and detaches them as soon as all are there. -> calls"""
        probes = ('work', 'work(i)', 'libc.so.6:free($arg0)', 'work if i == 0', 'libc.so.6:malloc($arg0) -> $ret')
        ids = [c.request('trace', {'target': {'pid': t.pid}, 'probes': [probes[n % 5]], 'sample': 1000})
               for n in range(c.last_id, c.last_id + together)]
        for wire_id in ids:
            self.assertTrue(c.receive(wire.REPLY, wire_id)[2])
        for wire_id in ids:
            c.request('stop', {'id': wire_id})
        calls = sum(wire.total(c.receive(wire.END, wire_id), 'calls') for wire_id in ids)
        c.kept = []
        return calls

    def test_500_cycles(self):
        """Attach and detach, 500 times, while the target runs flat out."""
        cycles = 60 if SANITIZED or QUICK else 500
        agent = self.agent(*UNBOUNDED)
        t = Target(self, 'busy', '--threads', 2)
        self.arm(600)
        calls = 0
        with wire.Connection(agent.socket, timeout=30) as c:
            for together in [1] * (cycles // 10) + [5] * (cycles * 9 // 50):
                calls += self.cycle(c, t, together)
                self.assertTrue(t.running())
        self.assertGreater(calls, cycles)
        self.assertNotIn('running', agent.requests())
        self.check_busy(t)


class Drops(KernelCase):
    agent_args = UNBOUNDED

    def test_a_full_ring(self):
        """The smallest ring against a burst: drops are counted and shown, counts stay exact."""
        agent = self.agent('--ring-kib', 4)
        t = Target(self, 'exact-gcc-O2', 'ints', '--calls', 20000, '--threads', 2, '--busy')
        tr = agent.trace('-p', t.pid, '--json', 'take_ints')
        agent.signal(signal.SIGSTOP)    # nobody empties the ring
        t.go()
        self.assertTrue(t.truth(120)['ok'])
        agent.signal(signal.SIGCONT)
        tr.stop()
        t.finish()
        total, n = tr.total(), len(tr.records())
        self.assertEqual((total['calls'], total['errors']), (40000, 5714))
        self.assertEqual(total['shown'], n)
        self.assertGreater(total['dropped'], 30000)
        self.assertEqual(total['drop_ring'], total['dropped'])
        self.assertEqual(total['shown'] + total['dropped'], 40000)

    def test_drops_are_named(self):
        agent = self.agent('--ring-kib', 4)
        t = Target(self, 'exact-gcc-O2', 'ints', '--calls', 5000, '--busy')
        tr = agent.trace('-p', t.pid, 'take_ints')
        agent.signal(signal.SIGSTOP)
        t.go()
        t.truth(60)
        agent.signal(signal.SIGCONT)
        tr.stop()
        t.finish()
        found = re.search(r'total calls=5000 errors=714 shown=(\d+) sampled=0 dropped=(\d+) \(ring=(\d+)\) unread=0', tr.stderr)
        self.assertTrue(found, tr.stderr)
        self.assertEqual(int(found.group(1)) + int(found.group(2)), 5000)

    def test_a_client_that_does_not_read(self):
        """Its records are dropped after a while, counted; the agent and other clients do not wait for it."""
        agent, t = self.agent('--ring-kib', 16384), Target(self, 'busy')
        slow = wire.Connection(agent.socket, timeout=60)     # 16 MiB wait for it in the agent, some in the socket; a record has 14 bytes at least
        self.addCleanup(slow.close)
        wire_id = slow.trace({'target': {'pid': t.pid}, 'probes': ['work', 'libc.so.6:malloc($arg0)', 'libc.so.6:free($arg0)']})
        e = Target(self, 'execer')
        tr = agent.trace('-p', e.pid, '--json', 'tick')

        def shipped():
            return {r['probes'][0]: r['shipped'] for r in map(json.loads, agent.run('list', '--json').lines())}
        wait_for('more records than the agent holds for one client', lambda: shipped()['work'] > 1500000, every=0.2)
        records = shipped()['tick']
        wait_for('more of the other one', lambda: len(tr.lines()) > records + 1000)
        tr.stop()
        self.assertEqual((tr.total()['dropped'], tr.total()['shown']), (tr.total().get('drop_ring', 0), len(tr.records())))
        end, frames = slow.stop(wire_id)
        shown = sum(f[4] for f in frames if f[0] == wire.CHUNK)
        dropped = wire.total(end, 'drop_client')
        self.assertGreater(dropped, 0)
        self.assertEqual(shown + dropped, wire.total(end, 'shipped'))

    def test_a_client_that_is_stopped(self):
        agent = self.agent()
        t = Target(self, 'exact-gcc-O2', 'ints', '--calls', 2000)
        tr = agent.trace('-p', t.pid, '--json', 'take_ints')
        tr.signal(signal.SIGSTOP)
        t.go()
        t.truth(60)
        time.sleep(0.3)
        tr.signal(signal.SIGCONT)
        tr.stop()
        t.finish()
        self.assertEqual((tr.total()['calls'], tr.total()['shown'], len(tr.records())), (2000, 2000, 2000))
