# SPDX-License-Identifier: Apache-2.0
"""A real service under load: redis-server as the distribution packages it, and built from its source package with -O2 -g."""
import os
import re
import shutil
import socket
import subprocess

from harness import TARGETS, UNBOUNDED, KernelCase, Process, wait_for

FROM_SOURCE = os.path.join(os.path.dirname(TARGETS), 'redis-src', 'redis-server')
PACKAGED = shutil.which('redis-server') or '/usr/bin/redis-server'
KEYS = 10


class Redis(Process):
    """A redis-server on a unix socket, without files."""

    def __init__(self, test, program):
        self.path = os.path.join(test.dir, 'redis.sock')
        if not os.path.exists(program):
            raise AssertionError('%s is missing: it is part of what make check builds' % program)
        super().__init__(test, [program, '--port', '0', '--unixsocket', self.path, '--save', '', '--appendonly', 'no',
                                '--dir', test.dir, '--daemonize', 'no'])
        wait_for('redis', self.answers)

    def answers(self):
        try:
            return self.command('PING') == '+PONG'
        except OSError:
            return False

    def command(self, *words):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(60)
            s.connect(self.path)
            s.sendall(b'*%d\r\n' % len(words) + b''.join(b'$%d\r\n%s\r\n' % (len(w), w.encode()) for w in words))
            return s.recv(4096).decode().strip()

    def load(self, n, *more, test='set,get'):
        """n commands of each kind by redis-benchmark."""
        return subprocess.run(['redis-benchmark', '-s', self.path, '-q', '-n', str(n), '-c', '5', '-t', test, '-r', str(KEYS), *more],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=True, timeout=60)

    def calls_of(self, command):
        """What redis itself has counted."""
        found = re.search(r'cmdstat_%s:calls=(\d+)' % command, self.stats())
        return int(found.group(1)) if found else 0

    def stats(self):
        return self.command_long('INFO', 'commandstats')

    def command_long(self, *words):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(60)
            s.connect(self.path)
            s.sendall(b'*%d\r\n' % len(words) + b''.join(b'$%d\r\n%s\r\n' % (len(w), w.encode()) for w in words))
            data = s.recv(65536)
            size = int(data[1:data.index(b'\r')])
            while len(data) < size:
                data += s.recv(65536)
            return data.decode()


class Packaged(KernelCase):
    """No debug information: symbols and $arg."""
    agent_args = UNBOUNDED

    def test_counts_under_load(self):
        agent, redis = self.agent('--ring-kib', 16384), Redis(self, PACKAGED)
        tr = agent.trace('-p', redis.pid, '--json', 'processCommand($arg0) -> $ret')
        redis.load(2000)
        tr.stop()
        total = tr.total()
        n = redis.calls_of('set') + redis.calls_of('get')
        self.assertGreaterEqual(n, 4000)
        self.assertTrue(n <= total['calls'] <= n + 20, '%s, and redis has counted %d' % (total, n))   # CONFIG, INFO of the load
        self.assertEqual(total['calls'], total['shown'] + total['dropped'] + total['open'])
        self.assertEqual(total['dropped'], 0)
        self.assertTrue(all(int(str(r['args']['$arg0']), 0) > 0x1000 for r in tr.records()))
        self.assertEqual(redis.command('PING'), '+PONG')

    def test_default_captures(self):
        agent, redis = self.agent(), Redis(self, PACKAGED)
        tr = agent.trace('-p', redis.pid, 'call')
        redis.load(100, test='get')
        tr.stop()
        self.assertGreaterEqual(tr.total()['calls'], 100)
        self.assertIn('lookupKey', agent.run('funcs', '-p', redis.pid, 'lookupKey*').stdout)


class FromSource(KernelCase):
    """Typed: redis' own structures."""
    agent_args = UNBOUNDED

    def test_process_command(self):
        agent, redis = self.agent('--ring-kib', 16384), Redis(self, FROM_SOURCE)
        tr = agent.trace('-p', redis.pid, '--json', 'processCommand(c->id, c->argc, c->db->id, c->argv[0]->ptr) -> $ret')
        redis.load(2000)
        tr.stop()
        total = tr.total()
        self.assertEqual(total['calls'], total['shown'] + total['dropped'] + total['open'])
        self.assertGreaterEqual(total['calls'], 4000)
        argc = [r['args']['c->argc'] for r in tr.records()]
        self.assertGreaterEqual(argc.count(3), 2000)   # SET key value
        self.assertGreaterEqual(argc.count(2), 2000)   # GET key
        self.assertTrue(all(r['ret'] == 0 and r['args']['c->db->id'] == 0 for r in tr.records()))

    def test_whole_client(self):
        """The default captures of a function whose parameter is a structure of 100 members."""
        agent, redis = self.agent(), Redis(self, FROM_SOURCE)
        tr = agent.trace('-p', redis.pid, '--json', 'processCommand')
        redis.command('SELECT', '3')
        redis.command('PING')
        wait_for('records', lambda: len(tr.lines()) >= 2)
        tr.stop()
        c = tr.records()[0]['args']['c']
        self.assertIsInstance(c, dict)
        self.assertGreater(c['id'], 0)

    def test_call(self):
        agent, redis = self.agent(), Redis(self, FROM_SOURCE)
        tr = agent.trace('-p', redis.pid, '--json', 'call(c->cmd->fullname, c->cmd->arity, flags) if c->argc == 3')
        for i in range(20):
            redis.command('SET', 'k%d' % i, 'v')
            redis.command('GET', 'k%d' % i)
        wait_for('records', lambda: len(tr.lines()) >= 20)
        tr.stop()
        self.assertEqual(tr.total()['calls'], 40)
        self.assertEqual(tr.total()['matched'], 20)
        self.assertEqual([(r['args']['c->cmd->fullname'], r['args']['c->cmd->arity']) for r in tr.records()], [('set', -3)] * 20)
        self.assertEqual({r['args']['flags'] for r in tr.records()}, {15})

    def test_lookup_key(self):
        """NULL is the error of a function that returns a pointer: the keys that are not there."""
        agent, redis = self.agent(), Redis(self, FROM_SOURCE)
        redis.command('SET', 'there', 'x')
        tr = agent.trace('-p', redis.pid, '--json', '--errors', 'lookupKey(db->id, key->ptr, flags)  -> $ret')
        for _ in range(10):
            redis.command('GET', 'there')
            redis.command('GET', 'missing')
        wait_for('records', lambda: len(tr.lines()) >= 10)
        tr.stop()
        self.assertEqual((tr.total()['calls'], tr.total()['errors'], tr.total()['shown']), (20, 10, 10))
        self.assertTrue(all(r['ret'] == '0x0' and r['args']['db->id'] == 0 for r in tr.records()))

    def test_stat_under_load(self):
        agent, redis = self.agent(), Redis(self, FROM_SOURCE)
        tr = agent.trace('-p', redis.pid, '--json', 'call', 'lookupKey', verb='stat')
        redis.load(2000)
        tr.stop()
        last = [o for o in tr.objects() if 'probes' in o][-1]
        by_name = {p['function']: p['total'] for p in last['probes']}
        self.assertGreaterEqual(by_name['call']['calls'], 4000)
        self.assertGreater(by_name['call']['p50_ns'], 0)
        self.assertGreaterEqual(by_name['call']['p99_ns'], by_name['call']['p50_ns'])

    def test_guard_under_load(self):
        """The default budget holds against a function that is called all the time; redis does not notice."""
        agent = self.agent('--budget', 1)
        redis = Redis(self, FROM_SOURCE)
        tr = agent.trace('-p', redis.pid, '--json', 'dictFind')
        load = subprocess.Popen(['redis-benchmark', '-s', redis.path, '-q', '-n', '200000', '-c', '5', '-t', 'get'],
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(load.wait)
        self.addCleanup(load.kill)
        tr.wait_line(r'dictFind removed: probes cost process %d [\d.]+%% of one core, the budget is 1\.0%%' % redis.pid,
                     stream='stderr')
        tr.stop()    # hiredis has another dictFind, which nobody calls: its probe stays
        self.assertGreater(tr.total()['calls'], 1000)
        self.assertEqual(redis.command('PING'), '+PONG')
