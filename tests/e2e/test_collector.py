# SPDX-License-Identifier: Apache-2.0
"""plumb-collector with agents that are not plumbd: what comes is stored once, whatever dies; what is hostile ends only itself."""
import http.client
import json
import os
import random
import re
import signal
import socket
import ssl
import struct
import subprocess
import threading
import time
import unittest
import zlib

import wire
from collector import COLLECTOR, LOCAL, SECOND, Agent, Collector, chunk_frame, opened, probe_frame, record, stats_frame
from harness import QUICK, SANITIZED, Case, wait_for

RSS_KIB = (64 if not SANITIZED else 512) << 10


def raw_connection(port):
    return socket.create_connection(('localhost', port), 20)


def closed(sock):
    """Reads until the other end closes."""
    sock.settimeout(20)
    try:
        while sock.recv(1 << 16):
            pass
    except ConnectionResetError:
        pass
    return True


class CollectorCase(Case):
    def setUp(self):
        super().setUp()
        self.data = os.path.join(self.dir, 'data')

    def collector(self, *args, **how):
        return Collector(self, self.data, *args, **how)

    def agent(self, c, **how):
        a = Agent(c.port, **how)
        self.addCleanup(a.close)
        return a


class Taken(CollectorCase):
    def test_everything_is_stored(self):
        c = self.collector()
        a = self.agent(c)
        self.assertEqual(a.acked, 0)
        n = a.begin()
        a.send([wire.CLOCK, -5 * SECOND, 1000])
        a.entry(n, [wire.REPLY, LOCAL, True, {}])
        a.entry(n + 1, chunk_frame(100))
        a.entry(n + 2, chunk_frame(50, deflate=False))
        a.entry(n + 3, stats_frame(150))
        a.entry(n + 4, [wire.NOTICE, LOCAL, 'guard', 'too \x1b[31mdear <b>'])
        a.entry(n + 5, [wire.LOSS, LOCAL, 12, 'spool-full'])
        a.entry(n + 6, [wire.END, LOCAL, 'ttl', 'over', stats_frame(160)[3]])
        a.wait_ack(n + 6)
        self.assertEqual(c.one('SELECT sum(records) FROM chunk'), 150)
        self.assertEqual(c.one('SELECT sum(calls) FROM rollup WHERE span = 3600'), 160)
        self.assertEqual(c.one('SELECT max(offset_ns) FROM chunk'), -5 * SECOND)
        self.assertEqual(c.one('SELECT sum(records) FROM loss'), 12)
        self.assertEqual(c.one('SELECT text FROM notice'), 'too \\x1b[31mdear <b>')
        self.assertEqual(c.ask('SELECT reason, service, probes FROM request'), [('ttl', 'orderd', '["parse_order"]')])
        c.signal(signal.SIGTERM)
        self.assertEqual(c.wait(), 0)

    def test_a_second_connection_replaces_the_first(self):
        c = self.collector()
        first = self.agent(c)
        n = first.begin()
        first.entry(n, chunk_frame(10))
        first.wait_ack(n)
        second = self.agent(c, next_sequence=n + 1)
        self.assertEqual(second.acked, n)
        self.assertTrue(closed(first.sock))
        second.entry(n, chunk_frame(10))        # again: dropped
        second.entry(n + 1, chunk_frame(5))     # its probe is found in the store
        second.wait_ack(n + 1)
        self.assertEqual(c.one('SELECT sum(records) FROM chunk'), 15)

    def test_two_agents_with_copies_of_one_spool(self):
        """Their sequences are the same: one of them is turned away and told why; what it has stays in its spool."""
        c = self.collector()
        first = self.agent(c, run=1)
        n = first.begin(run=1)
        first.entry(n, chunk_frame(10))
        first.wait_ack(n)
        second = self.agent(c, run=2, next_sequence=n + 1)     # a restart looks the same
        self.assertTrue(closed(first.sock))
        back = Agent.__new__(Agent)
        with self.assertRaises((EOFError, ConnectionResetError)):
            back.__init__(c.port, run=1, next_sequence=n + 1)
        self.assertIn('has the same identity', back.kept[0][3]['text'])
        back.close()
        n = second.begin(n + 1, run=2, request=LOCAL + 1)
        second.entry(n, chunk_frame(5, request=LOCAL + 1))
        second.wait_ack(n)
        self.assertEqual(c.one('SELECT sum(records) FROM chunk'), 15)
        again = self.agent(c, run=2, next_sequence=n + 1)      # its own line was cut: that is no other agent
        self.assertEqual(again.acked, n)

    def test_two_machines_of_one_name(self):
        """Both are served; that nothing tells them apart is said, as long as both are there."""
        c = self.collector()
        first = self.agent(c, uid='a' * 32)
        self.agent(c, uid='b' * 32, name='web-2')
        self.assertNotIn('event=same-host', c.stderr)
        second = self.agent(c, uid='c' * 32)
        wait_for('a warning', lambda: re.search(r'event=same-host .*host="?web-1"? agent=c{32} .*other=a{32} ', c.stderr))
        first.close()
        second.close()
        wait_for('both to be gone', lambda: c.stderr.count('event=disconnected') == 2)
        self.agent(c, uid='d' * 32)                # came back with a new spool
        self.assertEqual(c.stderr.count('event=same-host'), 1)

    def test_clock_of_the_welcome(self):
        before = time.time_ns()
        a = self.agent(self.collector())
        self.assertTrue(before <= a.welcome[4]['received_ns'] <= a.welcome[4]['sent_ns'] <= time.time_ns())

    def test_only_one_collector_on_a_store(self):
        c = self.collector()
        other = subprocess.run([*c.argv[:3], '--listen', '127.0.0.1:0'], capture_output=True, text=True, timeout=20)
        self.assertEqual(other.returncode, 1)
        self.assertIn('another plumb-collector uses', other.stderr)


class Options(CollectorCase):
    def refused(self, *args):
        p = subprocess.run([COLLECTOR, '--data', self.data, *args], capture_output=True, text=True, timeout=20)
        self.assertNotEqual(p.returncode, 0)
        return p.stderr

    def test_plain_beyond_this_machine(self):
        self.assertIn('--insecure', self.refused('--listen', '0.0.0.0:0'))
        c = self.collector('--insecure', listen='0.0.0.0:0')
        self.assertEqual(self.agent(c).acked, 0)

    def test_bad_values(self):
        self.assertIn('no HOST:PORT', self.refused('--listen', 'localhost'))
        self.assertIn('no size', self.refused('--max-bytes', 'much'))
        self.assertIn('days', self.refused('--keep-days', '-1'))
        self.assertIn('three files', self.refused('--tls-cert', '/nowhere'))
        self.assertIn('unexpected argument', self.refused('what'))


class Hostile(CollectorCase):
    """Each ends its own connection, with a reason in the log; an agent beside it goes on."""

    def setUp(self):
        super().setUp()
        self.c = self.collector()
        self.good = self.agent(self.c, uid='b' * 32)
        self.next = self.good.begin()

    def tearDown(self):
        """The other agent has not noticed."""
        self.good.entry(self.next, chunk_frame(10))
        self.good.wait_ack(self.next)
        self.assertEqual(self.c.one('SELECT sum(records) FROM chunk c JOIN agent a ON a.id = c.agent WHERE uid = ?', 'b' * 32), 10)
        self.assertLess(self.c.rss_kib(), RSS_KIB)
        super().tearDown()

    def log_has(self, pattern):
        self.c.wait_line(r'event=closing peer=\S+ agent=\S+ kind=%s ' % pattern, stream='stderr')

    def bad_bytes(self, data, kind):
        s = raw_connection(self.c.port)
        s.sendall(data)
        self.assertTrue(closed(s))
        s.close()
        self.log_has(kind)

    def bad_frame(self, frame, kind='protocol'):
        body = frame if isinstance(frame, bytes) else wire.pack(frame)
        self.bad_bytes(struct.pack('>I', len(body)) + body, kind)

    def test_no_frames(self):
        self.bad_bytes(b'\0\0\0\0', 'frame')
        self.bad_bytes(b'\xff\xff\xff\xff', 'frame')
        self.bad_bytes(b'GET / HTTP/1.1\r\n\r\n', 'frame')
        self.bad_frame(b'\x91' * 70 + b'\xc0', 'frame')
        self.bad_frame(b'\xdd\xff\xff\xff\xff', 'frame')
        self.bad_frame(b'\xc1', 'frame')
        self.bad_frame(b'\x91\x63', 'frame')

    def test_first_frames(self):
        hello = [wire.HELLO, wire.VERSION, 'x', 'h']
        ok = {'agent': 'c' * 32, 'run': 1, 'next': 1, 'requests': []}
        self.bad_frame([wire.REQUEST, 1, 'ps', {}])
        self.bad_frame([wire.HELLO])
        self.bad_frame([wire.HELLO, 99, 'x', 'h', ok])
        self.bad_frame(hello)
        self.bad_frame([*hello, {}])
        self.bad_frame([wire.HELLO, wire.VERSION, 7, 'h', ok])
        for change in ({'agent': 'c' * 31}, {'agent': 'C' * 32}, {'agent': 5}, {'run': 0}, {'run': -1}, {'next': None},
                       {'requests': {}}, {'requests': ['x']}, {'requests': [1] * 5000}):
            self.bad_frame([*hello, {**ok, **change}])
        self.bad_frame([*hello, {'token': 'no such'}], 'login')
        self.bad_frame([*hello, {**ok, 'filler': 'x' * 70000}], 'frame')

    def test_a_cut_frame(self):
        """It waits for the rest, and ends with the connection."""
        s = raw_connection(self.c.port)
        s.sendall(b'\0\0\1\0half')
        s.close()

    def test_silence(self):
        s = raw_connection(self.c.port)
        self.assertTrue(closed(s))
        s.close()
        self.log_has('slow')

    def entries(self, *frames, kind='entry', after=()):
        """An agent of its own sends these; the last one must end the connection. Its sequence counts as taken."""
        uid = '%032x' % random.getrandbits(128)
        a = self.agent(self.c, uid=uid)
        n = a.begin()
        for f in frames[:-1]:
            a.entry(n, f)
            n += 1
        a.entry(n, frames[-1])
        reason = a.reason()
        self.log_has(kind)
        again = self.agent(self.c, uid=uid, next_sequence=n + 1)
        self.assertEqual(again.acked, n)
        again.close()
        return reason

    def test_entries(self):
        for bad in (b'', b'\xc1', b'\x91' * 70, [99], [wire.HELLO], [wire.ACK, 1], [wire.ENTRY, 5, b'\x91\x05'], [wire.CHUNK, LOCAL],
                    [wire.STATS, LOCAL, 1, 5], [wire.STATS, LOCAL, 1, [[1, 1, 'x', {'hist': [99999, 1]}]]], [wire.RUN, 0, 0],
                    opened(5), opened(), [wire.PROBE, LOCAL, {}], probe_frame(), [wire.END, LOCAL, 1, 2, 3], [wire.LOSS, LOCAL, -1, 'x'],
                    [wire.NOTICE, LOCAL, 'process', {'pid': -1}], [wire.REPLY, LOCAL, False, {}]):
            self.entries(bad)
        self.assertGreater(self.c.one("SELECT count(*) FROM loss WHERE reason = 'refused'"), 10)

    def test_lying_counts(self):
        for says in (0, 9, 11, 2 ** 32 - 1, 2 ** 64 - 1):
            self.entries(chunk_frame(10, says=says))
        self.assertEqual(self.c.one('SELECT count(*) FROM chunk'), 0)

    def test_records(self):
        whole = record(1, 0, 1, 1, 1)
        for records in (whole[:-1], whole + b'\xc1', b'\x91\x01', wire.small([1, 0, 1, 1, 1, 1]), wire.small([1, 'x', 1, 1, 1, 1, 1]),
                        wire.small([1, 0, 1, 1, 1, 1]) + b'\x91' * 70, b'\xdd\xff\xff\xff\xff'):
            self.entries([wire.CHUNK, LOCAL, 1, time.time_ns(), 1, 0, records])
        self.assertEqual(self.c.one('SELECT count(*) FROM chunk'), 0)

    def test_bombs(self):
        z = zlib.compressobj(9)
        bomb = b''.join(z.compress(b'\0' * (1 << 20)) for _ in range(200)) + z.flush()
        self.assertLess(len(bomb), 1 << 20)
        self.assertIn('inflates to more than', self.entries([wire.CHUNK, LOCAL, 1, time.time_ns(), 1, 1, bomb], kind='bomb'))
        self.entries([wire.CHUNK, LOCAL, 1, time.time_ns(), 1, 1, zlib.compress(b'x' * 1000)[:-3]])
        self.entries([wire.CHUNK, LOCAL, 1, time.time_ns(), 1, 1, zlib.compress(b'x') + b'more'])

    def test_frames_of_others(self):
        a = self.agent(self.c, uid='d' * 32)
        a.send([wire.REQUEST, 1, 'ps', {}])
        self.assertIn('unexpected', a.reason())
        a = self.agent(self.c, uid='d' * 32)
        a.send([wire.CLOCK, 1 << 62, 0])
        self.assertIn('CLOCK', a.reason())
        a = self.agent(self.c, uid='d' * 32)
        a.send([wire.ENTRY, 'x', b''])
        self.assertIn('ENTRY', a.reason())

    def test_what_the_store_does_not_know_is_a_loss(self):
        """A collector with a new store hears of probes that were told to the old one: the connection goes on."""
        a = self.agent(self.c, uid='e' * 32)
        a.entry(700, chunk_frame(10))
        a.entry(701, stats_frame(10))
        a.entry(702, [wire.END, 12345, 'ttl', '', []])
        a.wait_ack(702)
        self.assertEqual(self.c.one("SELECT sum(records) FROM loss WHERE reason = 'unknown-probe'"), 10)


class Sender(threading.Thread):
    """An agent with a spool: sends chunks and counters, comes back when the connection goes, begins after what is acknowledged."""

    def __init__(self, test, number, entries, per_chunk=200, timeout=5):
        super().__init__(daemon=True)
        self.timeout = timeout
        self.test, self.uid, self.per_chunk = test, '%032x' % number, per_chunk
        self.last = entries
        self.attempts = self.connections = self.acked = 0
        self.failure = None
        self.stop = False
        self.chunk = wire.small(chunk_frame(per_chunk))

    def frame(self, sequence):
        if sequence <= 3:
            return ([wire.RUN, 1, time.time_ns()], opened(), probe_frame())[sequence - 1]
        return stats_frame(sequence) if sequence % 10 == 0 else self.chunk

    def records(self):
        return self.per_chunk * sum(n % 10 != 0 for n in range(4, self.last + 1))

    def once(self):
        self.attempts += 1
        a = Agent(self.test.port, uid=self.uid, timeout=self.timeout)
        self.connections += 1
        try:
            if a.acked < self.acked:
                self.failure = 'what was acknowledged up to %d is stored up to %d' % (self.acked, a.acked)
                self.stop = True
                return
            self.acked = sent = a.acked
            while self.acked < self.last and not self.stop:
                while sent < self.last and sent < self.acked + 200:
                    sent += 1
                    a.entry(sent, self.frame(sent))
                a.wait_ack(self.acked + 1)
                self.acked = a.acked
        finally:
            a.close()

    def run(self):
        while self.acked < self.last and not self.stop:
            try:
                self.once()
            except (OSError, EOFError):
                time.sleep(0.02)


class Faults(CollectorCase):
    def check_exact(self, c, senders):
        for s in senders:
            self.assertIsNone(s.failure)
            self.assertEqual(s.acked, s.last)
            agent = c.one('SELECT id FROM agent WHERE uid = ?', s.uid)
            self.assertEqual(c.one('SELECT sum(records) FROM chunk WHERE agent = ?', agent), s.records())
            self.assertEqual(c.one('SELECT sum(records) FROM chunk_probe JOIN probe ON probe.id = probe WHERE agent = ?', agent), s.records())
            self.assertEqual(c.ask('SELECT sequence FROM chunk WHERE agent = ? GROUP BY sequence HAVING count(*) > 1', agent), [])
            calls = c.ask('SELECT span, sum(calls) FROM rollup JOIN probe ON probe.id = probe WHERE agent = ? GROUP BY span', agent)
            self.assertEqual(calls, [(span, s.last // 10 * 10) for span in (1, 60, 3600)])
        self.assertEqual(c.one('SELECT count(*) FROM loss'), 0)
        self.assertEqual(c.ask('PRAGMA integrity_check'), [('ok',)])

    def test_killed_at_any_moment(self):
        rounds = 6 if QUICK else 20
        c = self.collector()
        self.port = c.port
        senders = [Sender(self, n, 600 * rounds) for n in (1, 2, 3)]
        for s in senders:
            s.start()
        seed = random.randrange(1 << 32)
        rng = random.Random(seed)
        for _ in range(rounds):
            time.sleep(rng.uniform(0.01, 0.4))
            c.signal(signal.SIGKILL)
            c.wait()
            c = self.collector(listen='127.0.0.1:%d' % self.port)
        for s in senders:
            s.join(120)
        self.check_exact(c, senders)
        self.assertGreater(min(s.connections for s in senders), 1, 'seed %d' % seed)

    def test_full_disk(self):
        """Ingest stops, questions are answered, and it goes on when there is room."""
        if os.geteuid() != 0:
            self.skipTest('mounting needs root')
        os.mkdir(self.data)
        subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=3m', 'tmpfs', self.data], check=True)
        self.addCleanup(subprocess.run, ['umount', '-l', self.data], check=True)
        c = self.collector()
        self.port = c.port
        senders = [Sender(self, n, 3000) for n in (1, 2)]
        for s in senders:
            s.start()
        c.wait_line(r'event=not-stored ', stream='stderr')
        wait_for('agents that try again', lambda: min(s.attempts for s in senders) > 3)
        stored = c.one('SELECT sum(records) FROM chunk')
        self.assertGreater(stored, 0)
        self.assertLess(max(s.acked for s in senders), 3000)
        subprocess.run(['mount', '-o', 'remount,size=200m', self.data], check=True)
        for s in senders:
            s.join(120)
        self.check_exact(c, senders)
        self.assertLess(c.rss_kib(), RSS_KIB)
        c.signal(signal.SIGKILL)
        c.wait()

    def test_size_is_kept(self):
        c = self.collector('--max-bytes', '3M')
        self.port = c.port
        s = Sender(self, 1, 8000)
        s.start()
        s.join(120)
        self.assertEqual(s.acked, s.last)
        used = 'SELECT (page_count - freelist_count) * page_size FROM pragma_page_count(), pragma_freelist_count(), pragma_page_size()'
        wait_for('less than 3 MiB', lambda: c.one(used) <= 3 << 20)
        self.assertGreater(c.one('SELECT count(*) FROM chunk'), 100)
        self.assertEqual(c.one('SELECT sum(calls) FROM rollup WHERE span = 3600'), 8000)


    def test_age_is_kept_while_agents_send(self):
        """Seconds of an hour ago go while new ones come in; minutes and hours stay, and nobody is cut off."""
        c = self.collector()
        self.port = c.port
        a = self.agent(c, uid='f' * 32)
        n = a.begin()
        old = time.time_ns() - 3600 * SECOND
        for i in range(1000):
            a.entry(n + i, stats_frame(10 * (i + 1), ns=old + i * SECOND))
        a.wait_ack(n + 999)
        a.close()
        c.signal(signal.SIGTERM)
        c.wait()
        c = self.collector('--keep-days', '0.02', listen='127.0.0.1:%d' % self.port)      # half an hour; a pass begins at the start
        s = Sender(self, 1, 4000, timeout=60)
        s.start()
        seconds = 'SELECT count(*) FROM rollup JOIN probe ON probe.id = probe WHERE span = 1 AND at < ? AND agent = (SELECT id FROM agent WHERE uid = ?)'
        wait_for('no seconds of an hour ago', lambda: c.one(seconds, old // SECOND + 1000, 'f' * 32) == 0)
        s.join(120)
        self.assertEqual(s.acked, s.last)
        for span in (60, 3600):
            self.assertEqual(c.one('SELECT sum(calls) FROM rollup JOIN probe ON probe.id = probe JOIN agent ON agent.id = agent '
                                   'WHERE span = ? AND uid = ?', span, 'f' * 32), 10000)
        agent = c.one('SELECT id FROM agent WHERE uid = ?', s.uid)
        self.assertEqual(c.one('SELECT sum(records) FROM chunk WHERE agent = ?', agent), s.records())
        self.assertEqual(s.connections, 1)


# The wall clock of one process, set by whoever writes the file. Clocks that only count on are as they are; one of them also counts sleep.
CLOCK = r"""
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static const volatile struct { long ahead, slept; } *shift;

__attribute__((constructor)) static void begin(void)
{
	int fd = open(getenv("CLOCK_FILE"), O_RDONLY);

	shift = mmap(NULL, sizeof(*shift), PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
}

int clock_gettime(clockid_t id, struct timespec *ts)
{
	int rc = (int)syscall(SYS_clock_gettime, id, ts);

	if (!rc && id == CLOCK_REALTIME && shift)
		ts->tv_sec += shift->ahead + shift->slept;
	if (!rc && id == CLOCK_BOOTTIME && shift)
		ts->tv_sec += shift->slept;
	return rc;
}
"""


class Clock(CollectorCase):
    """The clock of the collector's machine is set while it runs, or the machine sleeps."""

    def setUp(self):
        super().setUp()
        source, library, self.file = (os.path.join(self.dir, name) for name in ('clock.c', 'clock.so', 'clock'))
        with open(source, 'w') as f:
            f.write(CLOCK)
        subprocess.run(['gcc', '-D_GNU_SOURCE', '-shared', '-fPIC', '-o', library, source], check=True)
        self.set(0)
        self.c = self.collector('--keep-days', '0.02', env=dict(os.environ, LD_PRELOAD=library, CLOCK_FILE=self.file,
                                                                ASAN_OPTIONS=os.environ.get('ASAN_OPTIONS', '') + ':verify_asan_link_order=0'))

    def set(self, seconds, slept=0):
        with open(self.file, 'r+b' if os.path.exists(self.file) else 'wb') as f:
            f.write(struct.pack('qq', seconds, slept))

    def post(self, path, body):
        host, port = self.c.http_address().rsplit(':', 1)
        k = http.client.HTTPConnection(host, int(port), timeout=20)
        self.addCleanup(k.close)
        k.request('POST', '/api/v1/' + path, json.dumps(body), {'Authorization': 'Bearer ' + self.c.token()})
        answer = json.loads(k.getresponse().read())
        return answer['id']

    def test_set_by_an_hour(self):
        request = self.post('requests', {'verb': 'trace', 'target': {'name': 'nosuch'}, 'probes': ['f'], 'ttl_ns': 600 * SECOND})
        verdict = self.post('verdicts', {'state': 'RUNNING', 'title': 'fix', 'service': 'orderd'})
        a = self.agent(self.c)
        a.send([wire.CLOCK, 0, 0])
        n = a.begin()
        a.entry(n, chunk_frame(100))
        left = self.c.one('SELECT expires_ns FROM request WHERE id = ?', request)
        for i, (ahead, jump) in enumerate(((3600, 3600), (-3600, -7200), (365 * 86400, 365 * 86400 + 3600), (0, -365 * 86400))):
            with self.subTest(ahead=ahead):
                self.set(ahead)
                self.c.wait_line('event=clock-was-set seconds=%d$' % jump, stream='stderr')
                a.entry(n + 1 + i, stats_frame(100 * (i + 1)))
                a.wait_ack(n + 1 + i)
                self.assertEqual(self.c.one('SELECT expires_ns - ? FROM request WHERE id = ? AND ended_ns IS NULL', left, request) // SECOND // 60,
                                 ahead // 60)
                self.assertEqual(self.c.one('SELECT state FROM verdict WHERE id = ?', verdict), 'RUNNING')
                # what the agent, whose clock was not set, has counted now is of now
                self.assertEqual(self.c.one('SELECT calls FROM rollup WHERE span = 3600 AND at BETWEEN ?1 - 3599 AND ?1',
                                            int(time.time()) + ahead) // 100, 1)
                # and nothing has become too old
                self.assertEqual(self.c.one('SELECT sum(records) FROM chunk'), 100)

    def test_a_sleep_sets_no_clock(self):
        request = self.post('requests', {'verb': 'trace', 'target': {'name': 'nosuch'}, 'probes': ['f'], 'ttl_ns': 7200 * SECOND})
        a = self.agent(self.c)
        n = a.begin()
        left = self.c.one('SELECT expires_ns FROM request WHERE id = ?', request)
        self.set(0, slept=3600)
        for i in range(3):     # each ACK comes with a tick
            a.entry(n + i, stats_frame(100 * (i + 1)))
            a.wait_ack(n + i)
        self.assertEqual(self.c.one('SELECT expires_ns - ? FROM request WHERE id = ?', left, request), 0)
        self.set(60, slept=3600)
        self.c.wait_line('event=clock-was-set', stream='stderr')
        self.assertEqual(re.findall(r'event=clock-was-set seconds=(\S+)', self.c.stderr), ['60'])


def openssl(*args):
    subprocess.run(['openssl', *args], check=True, capture_output=True)


class Certificates(CollectorCase):
    def identity(self, name, ca=None, names=None):
        key, cert = (os.path.join(self.dir, name + end) for end in ('.key', '.pem'))
        args = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-keyout', key, '-out', cert,
                '-subj', '/CN=' + name]
        args += ['-CA', self.file(ca + '.pem'), '-CAkey', self.file(ca + '.key')] if ca else []
        args += ['-addext', 'subjectAltName=' + names] if names else []
        openssl(*args)

    def file(self, name):
        return os.path.join(self.dir, name)

    def setUp(self):
        super().setUp()
        self.identity('ca')
        self.identity('other')
        self.identity('collector', 'ca', 'DNS:localhost')
        self.identity('web-1', 'ca')
        self.identity('stranger', 'other')
        self.c = self.collector('--tls-cert', self.file('collector.pem'), '--tls-key', self.file('collector.key'),
                                '--tls-ca', self.file('ca.pem'), listen='0.0.0.0:0')

    def context(self, name=None):
        context = ssl.create_default_context(cafile=self.file('ca.pem'))
        if name:
            context.load_cert_chain(self.file(name + '.pem'), self.file(name + '.key'))
        return context

    def test_agent_with_certificate(self):
        a = self.agent(self.c, context=self.context('web-1'))
        self.assertEqual(a.sock.version(), 'TLSv1.3')
        n = a.begin()
        for i in range(50):
            a.entry(n + i, chunk_frame(500))
        a.wait_ack(n + 49)
        self.assertEqual(self.c.one('SELECT sum(records) FROM chunk'), 25000)
        self.assertIn('subject="CN=web-1"', self.c.stderr)

    def test_an_agent_belongs_to_its_first_certificate(self):
        self.identity('web-2', 'ca')
        a = self.agent(self.c, context=self.context('web-1'))
        n = a.begin()
        a.entry(n, chunk_frame(10))
        a.wait_ack(n)
        # another host's certificate, the same identity: it is sent away, and the connection that is there stays
        thief = Agent.__new__(Agent)
        with self.assertRaises((EOFError, OSError)):
            thief.__init__(self.c.port, context=self.context('web-2'))
        self.assertIn('another subject', thief.kept[0][3]['text'])
        self.assertNotIn('web-1', thief.kept[0][3]['text'])
        thief.close()
        self.c.wait_line('event=not-its-certificate agent=%s .*subject="CN=web-2" bound="CN=web-1"' % ('a' * 32), stream='stderr')
        a.entry(n + 1, chunk_frame(10))
        a.wait_ack(n + 1)
        a.close()
        # a renewed certificate is another one with the same subject
        self.identity('web-1', 'ca')
        a = self.agent(self.c, context=self.context('web-1'))
        self.assertEqual(a.acked, n + 1)
        a.close()
        unbind = [COLLECTOR, 'agent', 'unbind', '--data', self.data]
        self.assertEqual(subprocess.run([*unbind, 'f' * 32], capture_output=True).returncode, 1)
        subprocess.run([*unbind, 'a' * 32], check=True)
        self.assertEqual(self.agent(self.c, context=self.context('web-2')).acked, n + 1)
        with self.assertRaises((EOFError, OSError)):
            self.agent(self.c, context=self.context('web-1'))

    def test_agent_without_certificate(self):
        a = Agent.__new__(Agent)
        with self.assertRaises((EOFError, OSError)):
            a.__init__(self.c.port, context=self.context())
        self.assertIn('certificate', a.kept[0][3]['text'])
        a.close()
        self.c.wait_line('kind=tls reason="an agent needs a certificate', stream='stderr')

    def test_who_is_turned_away(self):
        with self.assertRaises((EOFError, OSError)):
            self.agent(self.c, context=self.context('stranger'))
        self.c.wait_line('kind=tls reason="the TLS hand-shake', stream='stderr')
        with self.assertRaises((EOFError, OSError)):
            self.agent(self.c)
        old = self.context('web-1')
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        with self.assertRaises((EOFError, OSError)):
            self.agent(self.c, context=old)
        self.assertEqual(self.agent(self.c, context=self.context('web-1')).acked, 0)


if __name__ == '__main__':
    unittest.main()
