# SPDX-License-Identifier: Apache-2.0
"""What one client, one probe or one moment may take of the agent, and of its targets."""
import collections
import json
import os
import re
import shutil
import signal
import struct
import time
import unittest

import wire
from harness import PLUMBD, UNBOUNDED, KernelCase, Process, Target, target, wait_for


def framed(frame):
    body = wire.pack(frame)
    return struct.pack('>I', len(body)) + body


class Named(KernelCase):
    def named(self):
        """A copy of execer by whose name no other test's processes are found."""
        path = self.path('limits-%d' % os.getpid())
        if not os.path.exists(path):
            shutil.copy(target('execer'), path)
        return path


class Budget(Named):
    def test_one_of_many_processes_is_over(self):
        """Above the budget, below twice the budget, in one process of a probe that has idle ones as well."""
        path, agent = self.named(), self.agent()
        idle = [Target(self, path) for _ in range(5)]
        for t in idle:
            t.signal(signal.SIGSTOP)
        with wire.Connection(agent.socket) as c:
            ask = {'target': {'name': os.path.basename(path)}, 'probes': ['tick'], 'sample': 1000000}
            busy = Target(self, path)
            end = c.receive(wire.END, c.trace(dict(ask, budget_ppm=1)))
            rate, ns = map(int, re.search(r'\((\d+) calls/s at about (\d+) ns each', end[3]).groups())
            wire_id = c.trace(dict(ask, budget_ppm=int(rate * ns / 1000 / 1.6)))
            end = c.receive(wire.END, wire_id)
        self.assertEqual(end[2], 'guard')
        self.assertIn('cost process %d ' % busy.pid, end[3])
        self.assertTrue(busy.running())


    def test_one_probe_for_many_processes(self):
        """A file is read and a plan loaded once, however many processes map it; each is attached and counted by itself."""
        path, agent = self.named(), self.agent(*UNBOUNDED)
        targets = [Target(self, path) for _ in range(12)]
        with wire.Connection(agent.socket) as c:
            wire_id = c.trace({'target': {'name': os.path.basename(path)}, 'probes': ['tick', 'tick(n)', 'tick(n) if n > 5']})
            late = Target(self, path)
            c.receive(wire.NOTICE, wire_id)
            seen = collections.Counter()       # (probe, process) -> records
            while len(seen) < 3 * 13 or min(seen.values()) <= 50:
                seen.update((r[0], r[2]) for r in wire.records(c.receive(wire.CHUNK, wire_id)))
            end, frames = c.stop(wire_id)
        probes = {f[2]['probe'] for f in frames if f[0] == wire.PROBE}
        every = {(probe, t.pid) for probe in probes for t in targets + [late]}
        self.assertEqual((len(probes), set(seen)), (3, every))
        self.assertEqual({(row[0], row[1]) for row in end[4] if row[3].get('calls', 0) > 50}, every)


    def test_more_processes_than_slots(self):
        """What has ended makes room; the counts of those that share a slot are exact together."""
        path, agent = self.named(), self.agent(*UNBOUNDED)
        first = Target(self, path)
        with wire.Connection(agent.socket) as c:
            wire_id = c.trace({'target': {'name': os.path.basename(path)}, 'probes': ['tick'], 'sample': 1000000})
            for n in range(1, 5):
                some = [Target(self, path) for _ in range(12)]
                self.wait_traced(agent, 12 * n)
                for t in some:
                    t.signal(signal.SIGTERM)
                    t.wait()
            last = [Target(self, path) for _ in range(2)]
            self.wait_traced(agent, 12 * 4 + 2)
            for t in (first, *last):           # each is counted: also when no other one runs
                t.signal(signal.SIGSTOP)
            for t in last:
                t.signal(signal.SIGCONT)
                calls = self.stats(agent)
                wait_for('calls of process %d' % t.pid, lambda calls=calls: self.stats(agent) > calls + 100)
                t.signal(signal.SIGSTOP)
            end, frames = c.stop(wire_id)
        self.assertEqual([f for f in frames + c.kept if f[0] == wire.NOTICE and f[2] == 'failed'], [])
        self.assertEqual([row[1] for row in end[4]].count(0), 2)  # what belongs to no process, and what to several

    def wait_traced(self, agent, n):
        """That many processes came after the request."""
        wait_for('%d newcomers' % n, lambda: agent.stderr.count('is traced from now on') == n)

    def stats(self, agent):
        return json.loads(agent.run('list', '--json').lines()[0])['calls']


class Clients(KernelCase):
    def test_questions_of_one_client(self):
        agent = self.agent()
        with wire.Connection(agent.socket) as c:
            ids = range(1, 201)
            c.sock.sendall(b''.join(map(framed, ([wire.REQUEST, n, 'ps', {}] for n in ids))))     # at once: none is answered meanwhile
            replies = [c.receive(wire.REPLY) for _ in ids]
        busy = [r for r in replies if not r[2]]
        self.assertGreater(len(busy), 0)
        self.assertLess(len(busy), 200)
        self.assertIn('busy', busy[0][3]['text'])
        agent.run('ps')

    def test_a_client_that_never_reads(self):
        """Its answers would fill the agent's memory: it is let go, and the others are served."""
        agent = self.agent()
        c = wire.Connection(agent.socket)
        ask = framed([wire.REQUEST, 1, 'doctor', {}]) * 500
        with self.assertRaises((BrokenPipeError, ConnectionResetError)):
            for _ in range(2000):
                c.sock.sendall(ask)
        c.close()
        self.assertIn('does not read its answers', agent.stderr)
        agent.run('doctor')


class Scans(KernelCase):
    def reads(self, agent):
        with open('/proc/%d/io' % agent.pid) as f:
            return int(re.search(r'syscr: (\d+)', f.read()).group(1))

    def test_all_requests_share_one_look_at_the_processes(self):
        """Newcomers are looked for once a second, however many requests wait for some."""
        agent = self.agent()
        with wire.Connection(agent.socket) as c:
            counted = []
            for more in (1, 15):
                for _ in range(more):
                    c.trace({'target': {'path': target('exact-gcc-O2')}, 'probes': ['take_ints']})
                time.sleep(1.5)           # the resolvers' answers are read as well
                before = self.reads(agent)
                time.sleep(4)
                counted.append(self.reads(agent) - before)
            self.assertGreater(counted[0], 10)
            self.assertLess(counted[1], 3 * counted[0])


class Kept(KernelCase):
    def test_a_limit_ends_a_request_that_nobody_looks_at(self):
        agent, t = self.agent(), Target(self, 'execer')
        with wire.Connection(agent.socket) as c:
            c.trace({'target': {'pid': t.pid}, 'probes': ['tick'], 'limit': 500, 'keep': True})
        wait_for('end', lambda: 'reason=limit' in agent.stderr)
        self.assertNotIn('kept', agent.requests())

    def test_what_nobody_reads_is_not_shipped(self):
        """A kept trace whose terminal is gone goes on counting; its events stay in the kernel."""
        agent, t = self.agent(), Target(self, 'execer')
        with wire.Connection(agent.socket) as c:
            c.trace({'target': {'pid': t.pid}, 'probes': ['tick'], 'keep': True})
            c.receive(wire.CHUNK)
        wait_for('kept', lambda: 'kept' in agent.requests())

        def counts():
            row = json.loads(agent.run('list', '--json').lines()[0])
            return row['calls'], row['shipped']
        calls, shipped = counts()
        self.assertGreater(shipped, 0)
        wait_for('calls', lambda: counts()[0] > calls + 100)
        self.assertEqual(counts()[1], shipped)


class SocketPath(KernelCase):
    def test_a_file_that_is_no_socket_is_left_alone(self):
        path = self.path('precious')
        with open(path, 'w') as f:
            f.write('text')
        p = Process(self, [PLUMBD, '--socket', path])
        self.assertEqual(p.wait(), 1)
        self.assertIn('no socket', p.stderr)
        with open(path) as f:
            self.assertEqual(f.read(), 'text')

    def test_the_socket_of_a_killed_agent_is_replaced(self):
        agent = self.agent()
        agent.signal(signal.SIGKILL)
        agent.wait()
        self.agent(socket=agent.socket).run('list')


if __name__ == '__main__':
    unittest.main()
