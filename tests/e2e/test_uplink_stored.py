# SPDX-License-Identifier: Apache-2.0
"""From a probe on a real process to rows in the store of a real collector: exactly once, whoever is killed, and the sums are right."""
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import time

import wire
from collector import Collector
from harness import PLUMB, QUICK, UNBOUNDED, KernelCase, Process, Target, target, wait_for
from test_uplink import ALL, number_of

SUMS = 'SELECT sum(calls), sum(matched), sum(shipped), sum(sampled), sum(drop_ring + drop_rate + drop_nomem), sum(drop_client) FROM rollup WHERE span = 1'


class Stored(KernelCase):
    limit = 200

    def collector(self, *args, listen='127.0.0.1:0'):
        return Collector(self, self.path('store'), *args, listen=listen)

    def uplinked(self, c, *args, host='127.0.0.1', **more):
        return self.agent('--collector', '%s:%d' % (host, c.port), '--spool', self.path('spool'), *UNBOUNDED, *args, **more)

    def plumb(self, c, *args):
        return Process(self, [PLUMB, '--collector', '127.0.0.1:%d' % c.port, '--token-file', os.path.join(c.data, 'admin.token'),
                              *map(str, args)])

    def numbers(self, c):
        """{i of take_longs: how often it is stored}"""
        seen = {}
        for frame, in c.ask('SELECT frame FROM chunk ORDER BY id'):
            for r in wire.records(wire.Reader(frame).next()):
                seen[number_of(r[6])] = seen.get(number_of(r[6]), 0) + 1
        return seen

    def check_sums(self, c, calls=None):
        counted, matched, shipped, sampled, dropped, drop_client = c.ask(SUMS)[0]
        stored = c.one('SELECT coalesce(sum(records), 0) FROM chunk')
        lost = c.one('SELECT coalesce(sum(records), 0) FROM loss')
        self.assertEqual(shipped, stored + lost + drop_client)
        self.assertEqual(matched, shipped + sampled + dropped)
        if calls is not None:
            self.assertEqual(counted, calls)
        return stored, lost

    def test_from_the_command_to_the_store(self):
        c = self.collector()
        agent = self.uplinked(c, *ALL)
        t = Target(self, 'exact-gcc-O2', 'ints', '--calls', 8000, '--threads', 2)
        wait_for('agent', lambda: 'event=connected' in agent.stderr)
        p = self.plumb(c, 'trace', '-x', t.argv[0], '--json', '--limit', 16000, 'take_longs(p)')
        agent.wait_line('part=request event=start', stream='stderr')
        t.go()
        t.truth()
        self.assertEqual(p.wait(), 0, p.stderr)
        shown = [json.loads(line) for line in p.lines()]
        self.assertEqual(sorted(number_of(int(str(r['args']['p']), 0)) for r in shown if 'args' in r), list(range(16000)))
        wait_for('end', lambda: c.one('SELECT count(*) FROM request_agent WHERE state = "ended"'))
        self.assertEqual(self.check_sums(c, 16000), (16000, 0))
        self.assertEqual(sorted(self.numbers(c)), list(range(16000)))
        t.finish()

    def by_function(self, c, *more):
        p = self.plumb(c, 'query', '--json', '--by', 'function', *more)
        self.assertEqual(p.wait(), 0, p.stderr)
        return [(g['function'], g['total']) for g in json.loads(p.stdout)['groups']]

    def test_functions_of_a_pattern(self):
        """Counters of each function are in the store as they were in the process, and add up to the pattern's."""
        c = self.collector()
        agent = self.uplinked(c)
        t = Target(self, 'many', '--threads', 4, '--rounds', 5)
        wait_for('agent', lambda: 'event=connected' in agent.stderr)
        p = self.plumb(c, 'stat', '-x', t.argv[0], '--json', '--tick', '1s', 'step_*')
        agent.wait_line('part=request event=start', stream='stderr')
        t.go()
        facts = {n: v for n, v in t.truth()['functions'].items() if n.startswith('step_') and v[0]}
        p.signal(signal.SIGINT)
        p.wait()
        wait_for('end', lambda: c.one('SELECT count(*) FROM request_agent WHERE state = "ended"'))
        got = self.by_function(c)
        self.assertEqual({n: [s['calls'], s['errors']] for n, s in got}, {n: v[:2] for n, v in facts.items()})
        self.assertEqual(sum(s['calls'] for _, s in got), sum(v[0] for v in facts.values()))
        self.assertEqual(sum(s['errors'] for _, s in got), sum(v[1] for v in facts.values()))
        self.assertEqual(c.one('SELECT sum(calls) FROM rollup r JOIN probe p ON p.id = r.probe WHERE span = 1 AND pattern = 0'),
                         sum(v[0] for v in facts.values()))
        # the terminal has seen the same, function by function
        shown = {f['function']: f['total']['calls'] for q in json.loads(p.lines()[-2])['probes'] for f in q.get('functions', [])}
        self.assertEqual(shown, {n: v[0] for n, v in facts.items()})
        t.finish()

    def test_which_function_of_a_service_fails(self):
        c = self.collector()
        agent = self.uplinked(c)
        path = self.path('globd')
        shutil.copy(target('orderd'), path)
        service = Process(self, [path, '--port', '0'])
        port = int(service.wait_line(r'127\.0\.0\.1:(\d+)').group(1))
        wait_for('agent', lambda: 'event=connected' in agent.stderr)
        p = self.plumb(c, 'trace', '-s', 'globd', '--keep', '--ttl', '5m', '*_*')
        agent.wait_line('part=request event=start', stream='stderr')
        with socket.create_connection(('127.0.0.1', port), timeout=10) as s, s.makefile('rw') as orders:
            for i in range(40):
                orders.write('ORDER id=%d sku=7 qty=%d user=bob coupon=HALF kind=express\n' % (i, i % 4))
                orders.flush()
                orders.readline()
        number = c.one('SELECT id FROM request')
        self.assertEqual(self.plumb(c, 'rm', number).wait(), 0)
        wait_for('end', lambda: c.one('SELECT count(*) FROM request_agent WHERE state = "ended"'))
        p.wait()
        got = self.by_function(c, '-s', 'globd')
        self.assertEqual([s['errors'] for _, s in got], sorted((s['errors'] for _, s in got), reverse=True))
        functions = dict(got)
        self.assertEqual((functions['parse_order']['calls'], functions['apply_coupon']['errors']), (40, 10))
        whole = json.loads(self.plumb_output(c, 'query', '--json', '--by', 'build'))['groups'][0]['total']
        self.assertEqual(sum(s['calls'] for s in functions.values()), whole['calls'])
        self.assertEqual(sum(s['errors'] for s in functions.values()), whole['errors'])
        # records have their function's name, and are found by it
        calls = json.loads(self.plumb_output(c, 'query', 'calls', '--json', '--function', 'apply_coupon', '--errors'))['calls']
        self.assertEqual([r['function'] for r in calls], ['apply_coupon'] * 10)
        top = {f['name']: f['values'] for f in json.loads(self.plumb_output(c, 'query', 'top', '--json', '--errors'))['fields']}
        self.assertIn({'value': 'apply_coupon', 'calls': 10}, top['$function'])
        # a trace of a pattern measures no durations: none are made up
        self.assertNotIn('p50_ns', functions['parse_order'])

    def plumb_output(self, c, *args):
        p = self.plumb(c, *args)
        self.assertEqual(p.wait(), 0, p.stderr)
        return p.stdout

    def test_both_are_killed(self):
        """Under load, in turn, at random moments. What the agents accepted is stored once."""
        c = self.collector()
        agent = self.uplinked(c)
        t = Target(self, 'exact-gcc-O2', 'slow', '--calls', 1000000, '--threads', 16)     # more than it gets to
        wait_for('agent', lambda: 'event=connected' in agent.stderr)
        p = self.plumb(c, 'trace', '-x', t.argv[0], '--keep', '--ttl', '10m', 'give_slowly(i)')
        agent.wait_line('part=request event=start', stream='stderr')
        t.go()
        p.signal(signal.SIGTERM)
        p.wait()
        rng = random.Random(7)
        for n in range(3 if QUICK else 6):
            time.sleep(rng.uniform(0.1, 0.6))
            if n % 2:
                agent.signal(signal.SIGKILL)
                agent.popen.wait()
                agent = self.uplinked(c, socket=self.path('sock.%d' % n))
            else:
                c.signal(signal.SIGKILL)
                c.popen.wait()
                c = self.collector(listen='127.0.0.1:%d' % c.port)
            agent.wait_line('part=request event=start', stream='stderr')
        time.sleep(0.5)
        agent.signal(signal.SIGTERM)     # the rest is in the spool
        self.assertEqual(agent.wait(), 0)
        with open('/proc/%d/stat' % t.pid):
            t.signal(signal.SIGKILL)
        agent = self.uplinked(c, socket=self.path('sock.last'))
        wait_for('everything to be stored', lambda: ', 0 entries' in agent.run('doctor').stdout)
        seen = {}
        for frame, in c.ask('SELECT frame FROM chunk ORDER BY id'):
            for r in wire.records(wire.Reader(frame).next()):
                seen[r[6]] = seen.get(r[6], 0) + 1
        self.assertEqual(set(seen.values()), {1})
        self.assertGreater(len(seen), 300)
        self.assertEqual(c.one('SELECT count(*) FROM loss'), 0)
        # the chunks of each run are numbered without a gap
        runs = {}
        for run, frame in c.ask('SELECT run, frame FROM chunk ORDER BY sequence'):
            runs.setdefault(run, []).append(wire.Reader(frame).next()[2])
        self.assertTrue(all(ns == list(range(1, len(ns) + 1)) for ns in runs.values()))
        t.reap()

    def test_with_certificates(self):
        def openssl(*args):
            subprocess.run(['openssl', *args], check=True, capture_output=True, cwd=self.dir)
        openssl('req', '-x509', '-newkey', 'ed25519', '-nodes', '-keyout', 'ca.key', '-out', 'ca.pem', '-subj', '/CN=ca', '-days', '2')
        with open(self.path('ext'), 'w') as f:
            f.write('subjectAltName=DNS:localhost,IP:127.0.0.1\n')
        for name in ('server', 'agent', 'stranger'):
            openssl('req', '-newkey', 'ed25519', '-nodes', '-keyout', name + '.key', '-out', name + '.csr', '-subj', '/CN=' + name)
            if name == 'stranger':
                openssl('x509', '-req', '-in', name + '.csr', '-signkey', name + '.key', '-out', name + '.pem', '-days', '2')
            else:
                openssl('x509', '-req', '-in', name + '.csr', '-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-extfile', 'ext',
                        '-out', name + '.pem', '-days', '2')
        def tls(name):
            return ('--tls-cert', self.path(name + '.pem'), '--tls-key', self.path(name + '.key'), '--tls-ca', self.path('ca.pem'))
        c = self.collector(*tls('server'))
        good = self.uplinked(c, *tls('agent'), host='localhost')
        good.wait_line('event=connected', stream='stderr')
        wait_for('its RUN to be stored', lambda: ', 0 entries' in good.run('doctor').stdout)
        for n, args in enumerate((tls('stranger'), ('--tls-ca', self.path('ca.pem')), tls('agent')[:4] + ('--tls-ca', self.path('stranger.pem')), ())):
            bad = self.agent('--collector', 'localhost:%d' % c.port, '--spool', self.path('spool.%d' % n), *args, socket=self.path('bad.%d' % n))
            bad.wait_line('event=unreachable', stream='stderr')
            time.sleep(0.3)
            self.assertNotIn('event=connected', bad.stderr)
        self.assertEqual(c.one('SELECT count(*) FROM agent'), 1)
