# SPDX-License-Identifier: Apache-2.0
"""The agent's way to a collector: every record that was accepted arrives once, whatever happens to the line, to the agent, to the
disk; and the counters of the end add up with what arrived."""
import os
import random
import signal
import subprocess
import time

import truth
import wire
from harness import QUICK, UNBOUNDED, WAIT, KernelCase, Target, wait_for

TRACE = 7      # the collector's number for its request


def number_of(p):
    """take_longs: p is 0x1000 + 16 * i."""
    return (int(p) - 0x1000) // 16


ALL = ('--ring-kib', '16384')      # room for every call that a test makes, whoever keeps the processor from the agent


class UplinkCase(KernelCase):
    limit = 200

    def collector(self, **more):
        c = wire.Collector(**more)
        self.addCleanup(c.down)
        return c

    def uplinked(self, c, *args, **more):
        return self.agent('--collector', '127.0.0.1:%d' % c.port, '--spool', self.path('spool'), *UNBOUNDED, *args, **more)

    def seen(self, c, wire_id, field=0):
        """{value of that field: how often} over all records of the request."""
        seen = {}
        for f in c.frames(wire.CHUNK, wire_id):
            for r in wire.records(f):
                seen[r[6 + field]] = seen.get(r[6 + field], 0) + 1
        return seen

    def check_sums(self, c, wire_id, end):
        """shipped = records that came + told as lost + dropped by name; and calls = shipped + what was not shipped, by reason."""
        came = sum(f[4] for f in c.frames(wire.CHUNK, wire_id))
        lost = sum(f[2] for f in c.frames(wire.LOSS, wire_id))
        def total(*keys):
            return wire.total(end, *keys)
        self.assertEqual(total('shipped'), came + lost + total('drop_client', 'past_limit', 'shown'))
        self.assertEqual(total('matched'), total('shipped', 'sampled', 'drop_ring', 'drop_rate'))
        return came, lost

    def end_of(self, c, wire_id):
        return wait_for('END of %d' % wire_id, lambda: c.frames(wire.END, wire_id))[0]

    def trace(self, c, target, probes, wire_id=TRACE, **args):
        c.request(wire_id, 'trace', {'target': {'pid': target.pid}, 'probes': list(probes), **args})

    def started(self, c, wire_id=TRACE, times=1):
        wait_for('answer to %d' % wire_id, lambda: len(c.frames(wire.REPLY, wire_id)) >= times or None)
        reply = c.frames(wire.REPLY, wire_id)[-1]
        self.assertTrue(reply[2], reply)

    def stop(self, c, wire_id=TRACE):
        c.requests.pop(wire_id, None)
        c.send([wire.REQUEST, 1 << 41, 'stop', {'id': wire_id}])
        return self.end_of(c, wire_id)


class Uplink(UplinkCase):
    def test_a_trace(self):
        """From the collector's request to its END: all frames, in order, deflated, and the sums."""
        c = self.collector()
        agent = self.uplinked(c, *ALL)
        t = Target(self, 'exact-gcc-O2', 'ints', '--calls', 5000, '--threads', 4)
        wait_for('agent', lambda: c.clocks or None)
        self.trace(c, t, ['take_longs(p) -> $ret', 'take_ints(a)'])
        self.started(c)
        t.go()
        t.truth()
        self.assertIn('ok', [row[1] for row in c.ask('doctor')[3]['checks'] if row[0] == 'collector'])
        end = self.stop(c)
        t.finish()
        self.check_sums(c, TRACE, end)
        frames = [f for f in c.frames() if f[0] == wire.RUN or f[1] == TRACE]
        kinds = [f[0] for f in frames]
        self.assertEqual(kinds[:4], [wire.RUN, wire.REPLY, wire.PROBE, wire.PROBE])
        self.assertEqual(kinds[-1], wire.END)
        self.assertEqual(kinds[-2], wire.STATS)
        self.assertEqual(frames[0][1], c.hellos[0]['run'])
        longs = [f[2]['probe'] for f in frames if f[0] == wire.PROBE and f[2]['function'] == 'take_longs']
        seen = [(number_of(r[6]), truth.cut(r[7], 32, True)) for f in c.frames(wire.CHUNK, TRACE) for r in wire.records(f)
                if r[0] in longs]
        self.assertEqual(sorted(seen), [(i, truth.result(i)) for i in range(20000)])
        self.assertEqual({f[5] for f in c.frames(wire.CHUNK)}, {3})
        self.assertTrue(all(any('hist' in row[3] for row in f[3]) for f in c.frames(wire.STATS, TRACE)))
        self.assertIn([t.pid, 'exact-gcc-O2'[:15]], [list(f[3].values()) for f in c.frames(wire.NOTICE, TRACE) if f[2] == 'process'])
        self.assertLess(abs(c.clocks[0][1]), 10**9)
        self.assertEqual(c.wrong, [])
        self.assertNotIn('level=error', agent.stderr)

    def test_answers_and_refusals(self):
        c = self.collector()
        self.uplinked(c)
        t = Target(self, 'exact-gcc-O2', 'ints')
        wait_for('agent', lambda: c.clocks or None)
        self.assertTrue(any(row[0] == t.pid for row in c.ask('ps')[3]['processes']))
        self.assertIn('take_longs', c.ask('explain', {'target': {'pid': t.pid}, 'probes': ['take_longs']})[3]['text'])
        refused = c.ask('explain', {'target': {'pid': t.pid}, 'probes': ['take_lungs']})
        self.assertFalse(refused[2])
        self.assertIn('take_longs', refused[3]['hint'])
        # what becomes of a trace is kept, also that there is none
        self.trace(c, t, ['take_lungs'])
        reply = wait_for('refusal', lambda: c.frames(wire.REPLY, TRACE))[0]
        self.assertFalse(reply[2])
        # what is asked twice is begun once
        for n in range(3):
            self.trace(c, t, ['take_longs(p)'], TRACE + 1)
            self.started(c, TRACE + 1, n + 1)
        self.assertEqual(len({f[3]['id'] for f in c.frames(wire.REPLY, TRACE + 1)}), 1)
        self.assertEqual(len(c.ask('list')[3]['requests']), 1)
        self.assertTrue(c.ask('rm', {'id': c.frames(wire.REPLY, TRACE + 1)[0][3]['id']})[2])
        self.assertEqual(self.end_of(c, TRACE + 1)[2], 'removed')
        t.go()
        t.truth()
        t.finish()
        self.assertEqual(c.wrong, [])

    def test_limit_sampling_and_rate_add_up(self):
        c = self.collector()
        self.uplinked(c, *ALL)
        t = Target(self, 'exact-gcc-O2', 'ints', '--calls', 8000, '--threads', 2)
        wait_for('agent', lambda: c.clocks or None)
        probes = ['take_longs(p) -> $ret if $ret < 0']
        self.trace(c, t, probes, 1, limit=100)
        self.trace(c, t, probes, 2, sample=10)
        self.trace(c, t, probes, 3, rate=50)
        self.trace(c, t, ['take_ints(a)'], 4, errors=True)
        for wire_id in range(1, 5):
            self.started(c, wire_id)
        t.go()
        facts = t.truth()['functions']
        end = {wire_id: self.stop(c, wire_id) for wire_id in (2, 3, 4)}
        end[1] = self.end_of(c, 1)
        self.assertEqual(end[1][2], 'limit')
        self.assertEqual(self.check_sums(c, 1, end[1]), (100, 0))
        for wire_id in (2, 3):
            came, _ = self.check_sums(c, wire_id, end[wire_id])
            self.assertEqual(wire.total(end[wire_id], 'calls'), facts['take_longs']['calls'])
            self.assertEqual(wire.total(end[wire_id], 'matched'), facts['take_longs']['errors'])
            self.assertEqual(came + wire.total(end[wire_id], 'sampled', 'drop_rate'), facts['take_longs']['errors'])
        self.assertEqual(sum(f[4] for f in c.frames(wire.CHUNK, 4)), facts['take_ints']['errors'])
        t.finish()

    def test_goes_on_without_the_link(self):
        """The collector is away while calls are made and the request ends; then it comes, and gets everything once, and does not
        get the request started a second time by asking again."""
        c = self.collector()
        agent = self.uplinked(c, *ALL)
        t = Target(self, 'exact-gcc-O2', 'ints', '--calls', 10000, '--threads', 2)
        wait_for('agent', lambda: c.clocks or None)
        self.trace(c, t, ['take_longs(p)'], limit=20000)
        self.started(c)
        c.down()
        wait_for('loss of the link', lambda: 'event=lost' in agent.stderr)
        t.go()
        t.truth()
        agent.wait_line(r'part=request event=end .*reason=limit', stream='stderr')
        self.assertIn('not connected', agent.run('doctor').stdout)
        c.up()
        end = self.end_of(c, TRACE)
        self.assertIn(TRACE, c.hellos[-1]['requests'])
        self.assertEqual(end[2], 'limit')
        self.assertEqual(self.check_sums(c, TRACE, end), (20000, 0))
        self.assertEqual(sorted(map(number_of, self.seen(c, TRACE))), list(range(20000)))
        self.assertEqual(len(c.frames(wire.REPLY, TRACE)), 1)
        wait_for('acknowledgement of all', lambda: c.acked == c.top)
        c.cut()
        wait_for('one more HELLO', lambda: len(c.hellos) > 2 or None)
        self.assertNotIn(TRACE, c.hellos[-1]['requests'])    # by now it knows
        t.finish()
        self.assertEqual(c.wrong, [])

    def test_cut_at_random_moments(self):
        c = self.collector()
        self.uplinked(c, *ALL)
        t = Target(self, 'exact-gcc-O2', 'ints', '--calls', 20000, '--threads', 2)
        wait_for('agent', lambda: c.clocks or None)
        self.trace(c, t, ['take_longs(p) -> $ret'])
        self.started(c)
        t.go()
        rng = random.Random(4711)
        for n in range(12):
            time.sleep(rng.uniform(0.01, 0.2))
            c.ack = n % 3 != 0
            c.cut()
        c.ack = True
        t.truth()
        c.cut()
        wait_for('link', c.linked)
        end = self.stop(c)
        t.finish()
        self.check_sums(c, TRACE, end)
        seen = self.seen(c, TRACE)
        self.assertEqual(wire.total(end, 'drop_ring', 'drop_client'), 0)
        self.assertEqual(sorted(map(number_of, seen)), list(range(40000)))
        self.assertEqual(set(seen.values()), {1})
        self.assertEqual(c.wrong, [])

    def test_killed_at_random_moments(self):
        """kill -9: what was in the spool arrives, whole and once; the collector's request goes on in the next agent."""
        c = self.collector()
        t = Target(self, 'exact-gcc-O2', 'slow', '--calls', 1000000, '--threads', 16)     # more than it gets to
        self.trace(c, t, ['give_slowly(i)'])
        t.go()
        rng = random.Random(42)
        for n in range(3 if QUICK else 8):
            agent = self.uplinked(c, socket=self.path('sock.%d' % n))
            self.started(c, TRACE, n + 1)
            time.sleep(rng.uniform(0.05, 0.8))
            c.ack = rng.random() < 0.5
            agent.signal(signal.SIGKILL)
            agent.popen.wait()
        c.ack = True
        self.uplinked(c, socket=self.path('sock.last'))
        self.started(c, TRACE, n + 2)
        wait_for('records of the last one', lambda: [f[0] for f in c.frames() if f[0] in (wire.RUN, wire.CHUNK)][-1] == wire.CHUNK, every=0.1)
        end = self.stop(c)
        runs = [f[1] for f in c.frames(wire.RUN)]
        self.assertEqual(len(runs), n + 2)
        self.assertEqual(len(set(runs)), n + 2)
        self.assertEqual(len({h['agent'] for h in c.hellos}), 1)
        self.assertEqual(set(self.seen(c, TRACE).values()), {1})
        numbers = []           # of the chunks of each run: without a gap
        for f in c.frames():
            if f[0] == wire.RUN:
                numbers.append([])
            elif f[0] == wire.CHUNK:
                numbers[-1].append(f[2])
        self.assertTrue(all(ns == list(range(1, len(ns) + 1)) for ns in numbers))
        self.assertGreater(len([ns for ns in numbers if ns]), 1)
        self.assertGreater(len(self.seen(c, TRACE)), 300)
        self.assertEqual(c.frames(wire.LOSS), [])
        last = {r[6] for f in c.frames(wire.CHUNK, TRACE)[-len(numbers[-1]):] for r in wire.records(f)}
        self.assertEqual(len(last), wire.total(end, 'shipped'))
        self.assertEqual(c.wrong, [])
        t.reap()

    def test_a_full_spool_gives_up_the_oldest(self):
        c = self.collector()
        agent = self.uplinked(c, '--spool-bytes', '1M')
        t = Target(self, 'exact-gcc-O2', 'strings', '--calls', 150000, '--threads', 2)
        wait_for('agent', lambda: c.clocks or None)
        self.trace(c, t, ['take_strings'])
        self.started(c)
        c.down()
        wait_for('loss of the link', lambda: 'event=lost' in agent.stderr)
        t.go()
        t.truth()
        used = sum(os.stat(self.path('spool/' + f)).st_size for f in os.listdir(self.path('spool')))
        self.assertLess(used, (1 << 20) + (1 << 17))
        self.assertIn('given up', agent.run('doctor').stdout)
        c.up()
        wait_for('link', c.linked)
        end = self.stop(c)
        came, lost = self.check_sums(c, TRACE, end)
        self.assertGreater(lost, 1000)
        self.assertGreater(came, 1000)
        self.assertEqual(came + lost + wire.total(end, 'drop_ring', 'drop_client'), 300000)
        numbers = [f[2] for f in c.frames(wire.CHUNK, TRACE)]     # the last ones, without a gap
        self.assertEqual(numbers, list(range(numbers[0], numbers[-1] + 1)))
        self.assertGreater(numbers[0], 1)
        t.finish()
        self.assertEqual(c.wrong, [])

    def test_a_removed_spool(self):
        """rm -rf of the spool's directory, while the agent runs: it goes on in a new one, and what was in the old one is told."""
        c = self.collector()
        agent = self.uplinked(c, *ALL)
        t = Target(self, 'exact-gcc-O2', 'ints', '--calls', 10000, '--threads', 2)
        wait_for('agent', lambda: c.clocks or None)
        self.trace(c, t, ['take_longs(p)'])
        self.started(c)
        wait_for('stored start', lambda: c.frames(wire.PROBE, TRACE))
        subprocess.run(['rm', '-rf', self.path('spool')], check=True)
        t.go()
        t.truth()
        agent.wait_line(r'part=spool event=made-again', stream='stderr')
        end = self.stop(c)
        t.finish()
        came, lost = self.check_sums(c, TRACE, end)
        self.assertEqual(wire.total(end, 'calls'), 20000)
        self.assertEqual(came + lost + wire.total(end, 'drop_ring', 'drop_client'), 20000)
        self.assertGreater(came, 10000)
        self.assertTrue(os.path.exists(self.path('spool/agent')))
        self.assertEqual(c.wrong, [])

    def test_a_full_disk(self):
        """Records that find no room are counted as dropped; what makes the others readable waits, and arrives."""
        disk = self.path('disk')
        os.mkdir(disk)
        subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=256k', 'none', disk], check=True)
        self.addCleanup(subprocess.run, ['umount', disk], check=True)
        c = self.collector()
        agent = self.agent('--collector', '127.0.0.1:%d' % c.port, '--spool', disk + '/spool', *UNBOUNDED)
        t = Target(self, 'exact-gcc-O2', 'ints', '--calls', 30000, '--threads', 2)
        wait_for('agent', lambda: c.clocks or None)
        c.down()
        wait_for('loss of the link', lambda: 'event=lost' in agent.stderr)
        tr = agent.trace('-p', t.pid, '--keep', '--ttl', '60s', 'take_longs')
        tr.signal(signal.SIGKILL)
        tr.popen.wait()
        agent.wait_line(r'event=recorded', stream='stderr')
        t.go()
        t.truth()
        agent.wait_line(r'part=request event=recorded', stream='stderr')
        wait_for('news of it', lambda: 'no room' in agent.run('doctor').stdout)
        agent.run('rm', 1)
        agent.wait_line(r'part=request event=end', stream='stderr')
        c.up()
        wire_id = wait_for('opened', lambda: c.frames(wire.OPENED))[0][1]
        end = self.end_of(c, wire_id)
        self.assertGreater(wire.total(end, 'drop_client'), 1000)
        self.check_sums(c, wire_id, end)
        self.assertEqual(wire.total(end, 'calls'), 60000)
        t.finish()
        self.assertEqual(c.wrong, [])

    def test_a_kept_trace_goes_on_at_the_collector(self):
        c = self.collector()
        agent = self.uplinked(c)
        t = Target(self, 'exact-gcc-O2', 'slow', '--calls', 400, '--threads', 4)
        tr = agent.trace('-p', t.pid, '--keep', '--ttl', '60s', 'give_slowly(i)')
        t.go()
        wait_for('records', lambda: len(tr.lines()) > 50)
        t.signal(signal.SIGSTOP)         # most calls are still to come
        tr.signal(signal.SIGTERM)
        tr.wait()
        wait_for('kept request', lambda: 'kept' in agent.requests())
        t.signal(signal.SIGCONT)
        t.truth()
        agent.run('rm', 1)
        opened = wait_for('opened', lambda: c.frames(wire.OPENED))[0]
        self.assertGreaterEqual(opened[1], wire.LOCAL_REQUEST)
        self.assertEqual(opened[2], {'verb': 'trace', 'target': {'pid': t.pid}, 'probes': ['give_slowly(i)'], 'uid': 0})
        end = self.end_of(c, opened[1])
        self.check_sums(c, opened[1], end)
        self.assertEqual(wire.total(end, 'calls'), 1600)
        self.assertGreater(wire.total(end, 'shown'), 50)
        self.assertGreater(len(self.seen(c, opened[1])), 100)
        kinds = [f[0] for f in c.frames(wire_id=opened[1])]
        self.assertEqual(kinds[:2], [wire.OPENED, wire.PROBE])
        t.finish()
        self.assertEqual(c.wrong, [])

    def test_refused_peers(self):
        """Without TLS data does not leave the machine; two agents do not share a spool; a name that is none is told."""
        def failed(*args):
            p = subprocess.run([agent.argv[0], '--socket', self.path('other'), *args], capture_output=True, text=True, timeout=WAIT)
            self.assertEqual(p.returncode, 1)
            return p.stderr
        c = self.collector()
        agent = self.uplinked(c)
        self.assertIn('another agent uses', failed('--collector', '127.0.0.1:1', '--spool', self.path('spool')))
        self.assertIn('HOST:PORT', failed('--collector', 'nothing', '--spool', self.path('s2')))
        self.assertIn('TLS', failed('--collector', '192.0.2.1:9', '--spool', self.path('s3'), '--tls-ca', '/nonexistent'))
        far = self.agent('--collector', '192.0.2.1:9', '--spool', self.path('s4'), socket=self.path('far'))
        far.wait_line(r'event=unreachable .*without TLS', stream='stderr')
        local = self.agent('--collector', 'localhost:%d' % c.port, '--spool', self.path('s5'), socket=self.path('local'))
        c.cut()
        local.wait_line(r'part=uplink event=', stream='stderr')

    def test_a_hostile_collector(self):
        """Whatever it says, the agent closes the line, comes back, and its local users notice nothing."""
        c = self.collector()
        agent = self.uplinked(c)
        for n, bad in enumerate(([99], [wire.ACK, 10**9], [wire.REQUEST, wire.LOCAL_REQUEST + 1, 'ps', {}], [wire.REQUEST, 'x', 1, 2],
                                 [wire.WELCOME, 1], [wire.REPLY, 0, False, {'text': 'go\naway'}])):
            wait_for('link', c.linked)
            before = len(c.hellos)
            c.send(bad)
            wait_for('a new connection', lambda before=before: len(c.hellos) > before or None)
        wait_for('link', c.linked)
        c.line.sendall(b'\xff' * 64)
        wait_for('one more', lambda: len(c.hellos) > n + 2 or None)
        self.assertIn('PID', agent.run('ps').stdout)
