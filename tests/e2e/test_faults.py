# SPDX-License-Identifier: Apache-2.0
"""Real agents, real collectors, a real probed process that numbers its calls, and what can go wrong between them, at random moments
under load: kill -9 of either, a link that is cut, slow or dead, full disks.  Afterwards every record that an agent accepted is in
the store once, and the counters add up.

  PLUMB_FAULT_ROUNDS=N   rounds over all kinds together (default 20; `make soak`: 500)
  PLUMB_FAULT_SEED=S     of the first round of each kind; a failure tells the seed of its round"""
import contextlib
import os
import random
import signal
import struct
import subprocess
import time

import wire
from collector import Collector
from faultproxy import FaultProxy
from harness import PLUMB, QUICK, SANITIZED, UNBOUNDED, KernelCase, Process, Target, wait_for
from test_uplink import number_of

KINDS = 5
ROUNDS = int(os.environ.get('PLUMB_FAULT_ROUNDS', 5 if QUICK else 20))
SEED = int(os.environ.get('PLUMB_FAULT_SEED', random.SystemRandom().randrange(1 << 30)))
ENTRY = struct.Struct('<IIIIQQQIIII')
ENTRY_MAGIC, SEGMENT_HEAD = 0x9e7d5a31, 56
PER_RUN = ('SELECT p.run, sum(calls), sum(matched), sum(shipped), sum(sampled), sum(drop_ring + drop_rate + drop_nomem), '
           'sum(drop_client + past_limit + shown) FROM rollup r JOIN probe p ON p.id = r.probe '
           'WHERE span = ? AND p.request = ? GROUP BY p.run')


def spooled_chunks(directory):
    """{sequence: records} of what lies in a spool that nobody writes to: what its agent had accepted."""
    found = {}
    for name in os.listdir(directory):
        if not name.endswith('.seg'):
            continue
        with open(os.path.join(directory, name), 'rb') as f:
            data = f.read()
        at = SEGMENT_HEAD
        while len(data) - at >= ENTRY.size:
            magic, _, length, _, sequence, _, _, records, _, kind, _ = ENTRY.unpack_from(data, at)
            at += ENTRY.size + length
            if magic != ENTRY_MAGIC or at > len(data):
                break
            if kind == wire.CHUNK:
                found[sequence] = records
    return found


class Disk:
    """A small file system that a test fills and frees."""

    def __init__(self, test, path, size):
        self.path, self.filler = path, os.path.join(path, 'filler')
        os.mkdir(path)
        subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=' + size, 'tmpfs', path], check=True)
        test.addCleanup(subprocess.run, ['umount', '-l', path], check=True)

    def fill(self):
        with open(self.filler, 'ab', buffering=0) as f, contextlib.suppress(OSError):
            while True:
                f.write(b'\0' * 4096)

    def free(self):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.filler)


class Faults(KernelCase):
    rounds = max(1, ROUNDS // KINDS)
    large = False       # many records, more than the smallest spool holds
    first = None        # what every round begins with
    lost = 0
    limit = 60 + 20 * rounds

    # ---- the two ends ----

    def set_up(self, store=None, spool=None, agent_args=(), collector_args=()):
        self.store, self.spool = store or self.path('store'), spool or self.path('spool')
        self.agent_args_here, self.collector_args, self.lives, self.disks = agent_args, collector_args, 0, []
        self.collector = None
        self.tls_args = ()
        self.start_collector('127.0.0.1:0')
        self.proxy = FaultProxy(self, self.collector.port)
        self.agent_process = None

    def start_collector(self, listen):
        """As an init system would: again and again, while it has no room to start."""
        def try_it():
            with contextlib.suppress(AssertionError):
                self.collector = Collector(self, self.store, *self.collector_args, listen=listen)
                return True
            for disk in self.disks:
                disk.free()
            return False
        wait_for('collector that starts', try_it, every=0.1)

    def start_agent(self):
        self.lives += 1
        self.agent_process = self.agent('--collector', '127.0.0.1:%d' % self.proxy.port, '--spool', self.spool, *UNBOUNDED,
                                        *self.agent_args_here, *self.tls_args, socket=self.path('sock.%d' % self.lives))

    def plumb(self, *args):
        tls = self.tls_args[-2:]
        return Process(self, [PLUMB, '--collector', '127.0.0.1:%d' % self.collector.port, *tls,
                              '--token-file', os.path.join(self.store, 'admin.token'), *map(str, args)])

    # ---- what goes wrong ----

    def kill_agent(self, rng):
        self.agent_process.signal(signal.SIGKILL)
        self.agent_process.popen.wait()
        self.kills += 1
        self.restarts += 1
        self.accepted.update(spooled_chunks(self.spool))
        time.sleep(rng.uniform(0, 0.2))
        self.start_agent()

    def stop_agent(self, rng):
        self.agent_process.signal(signal.SIGTERM)
        self.assertEqual(self.agent_process.wait(), 0)
        self.restarts += 1
        self.start_agent()

    def kill_collector(self, rng):
        self.collector.signal(signal.SIGKILL)
        self.collector.popen.wait()
        time.sleep(rng.uniform(0, 0.2))
        self.start_collector('127.0.0.1:%d' % self.collector.port)

    def cut(self, rng):
        self.proxy.cut(rng.choice((0, rng.randrange(1, 200), rng.randrange(1, 60000))))

    def stall(self, rng):
        self.proxy.stall()

    def throttle(self, rng):
        self.proxy.throttle(rng.choice((500, 20000, 200000)))

    def delay(self, rng):
        self.proxy.delay(rng.uniform(0.01, 0.3))

    def refuse(self, rng):
        self.proxy.refuse()

    def stay_away(self, rng):
        """Until the target has made all its calls."""
        self.proxy.refuse()
        self.target.truth()

    def fill(self, rng):
        for disk in self.disks:
            disk.fill()

    def free(self, rng):
        for disk in self.disks:
            disk.free()

    LINK = (cut, cut, stall, throttle, delay, refuse)
    ENDS = (kill_agent, kill_agent, stop_agent, kill_collector, kill_collector)

    # ---- a round ----

    def open_request(self, target, probe):
        before = self.agent_process.starts()
        known = self.collector.one('SELECT coalesce(max(id), 0) FROM request')
        p = self.plumb('trace', '-x', target.argv[0], '--keep', '--ttl', '10m', probe)
        wait_for('start of the trace: ' + self.agent_process.stderr[-500:], lambda: self.agent_process.starts() > before, every=0.02)
        p.signal(signal.SIGTERM)
        p.wait()
        request = self.collector.one('SELECT max(id) FROM request')
        self.assertGreater(request, known)
        return request

    def load(self, rng):
        """-> target, probe, a record's values -> number of the call"""
        if self.large:
            return Target(self, 'exact-gcc-O2', 'ints', '--calls', 200000, '--threads', 2, '--busy'), 'take_longs', lambda v: number_of(v[5])
        if rng.random() < 0.25:
            return Target(self, 'exact-gcc-O2', 'ints', '--calls', 25000, '--threads', 2), 'take_longs(p)', lambda v: number_of(v[0])
        return Target(self, 'exact-gcc-O2', 'slow', '--calls', 450, '--threads', rng.choice((8, 16, 32))), 'give_slowly(i)', lambda v: v[0]

    def trouble(self, rng, target, actions):
        for n in range(rng.randint(2, 4)):
            time.sleep(rng.uniform(0.02, 0.35))
            action = self.first if self.first and not n else rng.choice(actions)
            self.done.append(action.__name__)
            action(self, rng)
            if rng.random() < 0.6:
                time.sleep(rng.uniform(0.02, 0.3))
                self.proxy.heal()

    def one_round(self, seed, actions):
        rng = random.Random(seed)
        self.kills = self.restarts = 0
        self.accepted, self.done = {}, []
        target, probe, number = self.load(rng)
        self.target = target
        request = self.open_request(target, probe)
        target.go()
        self.trouble(rng, target, actions)
        self.proxy.heal()
        self.free(rng)
        truth = target.truth()['functions'][probe.split('(')[0]]['calls']
        self.agent_process.wait_line('part=request event=start', stream='stderr')
        self.end_request(request)
        self.check(request, truth, number)
        target.finish()

    def end_request(self, request):
        removed = self.plumb('rm', request)
        self.assertEqual(removed.wait(), 0, removed.stderr)
        wait_for('end of the request', lambda: self.collector.one(
            "SELECT count(*) FROM request_agent WHERE request = ? AND state = 'ended' AND reason <> 'shutdown'", request), every=0.05)
        wait_for('spool that is empty', lambda: ', 0 entries' in self.agent_process.run('doctor', code=None).stdout, every=0.1)

    def check(self, request, truth, number):
        c = self.collector
        seen = {}
        for frame, in c.ask('SELECT frame FROM chunk WHERE request = ?', request):
            for r in wire.records(wire.Reader(frame).next()):
                i = number(r[6:])
                seen[i] = seen.get(i, 0) + 1
        lost = c.one('SELECT coalesce(sum(records), 0) FROM loss WHERE request = ?', request)
        self.assertEqual([(i, n) for i, n in seen.items() if n > 1][:5], [], 'stored twice')
        self.assertEqual(c.ask('SELECT * FROM loss WHERE reason <> ?', 'spool-full'), [])
        kept = dict(c.ask('SELECT sequence, records FROM chunk'))
        missing = {s: n for s, n in self.accepted.items() if kept.get(s) != n}
        self.assertEqual(missing, {}, 'accepted before a kill, not stored')
        self.lost += lost
        self.check_sums(request, truth, len(seen), lost)

    def check_sums(self, request, truth, seen, lost):
        c = self.collector
        stored = dict(c.ask('SELECT run, sum(records) FROM chunk WHERE request = ? GROUP BY run', request))
        runs = c.ask(PER_RUN, 1, request)
        for span in (60, 3600):
            self.assertEqual(c.ask(PER_RUN, span, request), runs)
        self.assertEqual(sum(stored.values()), seen)
        whole = [r for r in runs if r[2] == r[3] + r[4] + r[5] and r[3] == stored.get(r[0], 0) + lost + r[6]]
        calls = sum(r[1] for r in runs)
        self.assertLessEqual(calls, truth)
        self.assertLessEqual(seen + lost, truth)
        if lost and self.restarts:      # of which run is not known
            self.assertEqual(sum(r[3] - r[6] for r in runs), seen + lost)
        else:
            self.assertGreaterEqual(len(whole), len(runs) - self.kills, (runs, stored, lost))
        if not self.restarts:
            self.assertEqual(calls, truth)
            self.assertEqual(seen + lost + sum(r[4] + r[5] + r[6] for r in runs), truth)

    def many_rounds(self, actions):
        self.start_agent()
        self.agent_process.wait_line('event=connected', stream='stderr')
        for n in range(self.rounds):
            try:
                self.one_round(SEED + n, actions)
            except Exception as e:
                raise AssertionError('round %d, PLUMB_FAULT_SEED=%d, %s: %s' % (n, SEED + n, self.done, e)) from e
        self.assertEqual(self.collector.ask('PRAGMA integrity_check'), [('ok',)])
        if not SANITIZED:
            self.assertLess(self.collector.rss_kib(), 64 << 10)

    # ---- the kinds ----

    def test_killed_and_cut(self):
        self.set_up()
        self.many_rounds(self.LINK + self.ENDS)

    def test_killed_and_cut_with_tls(self):
        def openssl(*args):
            subprocess.run(['openssl', *args], check=True, capture_output=True, cwd=self.dir)
        ec = ('-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2')
        openssl('req', '-x509', *ec, '-keyout', 'ca.key', '-out', 'ca.pem', '-subj', '/CN=ca')
        for name in ('server', 'agent'):
            openssl('req', '-x509', *ec, '-keyout', name + '.key', '-out', name + '.pem', '-subj', '/CN=' + name, '-CA', 'ca.pem',
                    '-CAkey', 'ca.key', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1')
        def tls(name):
            return ('--tls-cert', self.path(name + '.pem'), '--tls-key', self.path(name + '.key'), '--tls-ca', self.path('ca.pem'))
        self.set_up(collector_args=tls('server'))
        self.tls_args = tls('agent')
        self.many_rounds(self.LINK + self.ENDS)

    def test_the_agents_disk_fills(self):
        disk = Disk(self, self.path('spool.disk'), '4m')
        self.set_up(spool=disk.path + '/spool')
        self.disks = [disk]
        self.many_rounds((Faults.fill,) * 4 + (Faults.free,) * 2 + self.LINK + self.ENDS)

    def test_the_spools_bound(self):
        """The oldest give way to the newest; an agent at its spool's bound is not killed here, since a loss tells no run."""
        self.large, self.first, self.rounds = True, Faults.stay_away, (self.rounds + 1) // 2     # they take longer
        self.set_up(agent_args=('--spool-bytes', '1M'))
        self.many_rounds((Faults.stay_away, Faults.stay_away, Faults.throttle, Faults.kill_collector, Faults.cut))
        self.assertGreater(self.lost, 0)

    def test_the_collectors_disk_fills(self):
        disk = Disk(self, self.path('store.disk'), '24m')
        self.set_up(store=disk.path + '/store')
        self.disks = [disk]
        self.many_rounds((Faults.fill,) * 4 + (Faults.free,) * 2 + self.LINK + self.ENDS)
