# SPDX-License-Identifier: Apache-2.0
"""plumb query: what a collector has stored, as table, JSON and CSV."""
import csv
import io
import json
import os
import time

import wire
from collector import LOCAL, Agent, Collector, chunk_frame, opened, stats_frame
from harness import PLUMB, Case, Process


class Query(Case):
    def setUp(self):
        super().setUp()
        self.c = Collector(self, self.path('data'))
        self.token = self.path('token')
        with open(self.token, 'w') as f:
            f.write(self.c.token())
        os.chmod(self.token, 0o600)

    def query(self, *args, code=0):
        p = Process(self, [PLUMB, '--collector', '127.0.0.1:%d' % self.c.port, '--token-file', self.token, 'query', *map(str, args)])
        self.assertEqual(p.wait(), code, p.stderr)
        return p

    def fill(self):
        a = Agent(self.c.port)
        self.addCleanup(a.close)
        n = a.begin()
        a.entry(n, chunk_frame(200))
        now = time.time_ns()
        for i, calls in enumerate((100, 350, 600)):
            a.entry(n + 1 + i, stats_frame(calls, ns=now - (3 - i) * 10 ** 9))
        a.wait_ack(n + 3)

    def test_series(self):
        self.fill()
        table = self.query('-s', 'orderd').stdout.splitlines()
        self.assertEqual(table[0].split(), ['SERVICE', 'FUNCTION', 'BUILD', 'CALLS', 'ERRORS', 'RATE', 'P50', 'P90', 'P99', 'MAX', 'NOT', 'SHOWN'])
        self.assertEqual(table[1].split()[:5], ['orderd', 'parse_order', 'ab12', '600', '0'])
        steps = self.query('--step', '1s', '--by', 'host').stdout.splitlines()
        self.assertEqual([line.split()[4] for line in steps[1:]], ['100', '250', '250'])
        self.assertEqual(json.loads(self.query('--json').stdout)['groups'][0]['total']['calls'], 600)
        rows = list(csv.DictReader(io.StringIO(self.query('--csv', '--by', 'function,build,host').stdout)))
        self.assertEqual([(r['service'], r['function'], r['host'], r['calls']) for r in rows], [('orderd', 'parse_order', 'web-1', '600')])
        self.assertEqual(self.query('-s', 'nothing').stdout, 'nothing that is stored matches\n')

    def test_calls_top_and_lists(self):
        self.fill()
        calls = self.query('calls', '--limit', 3)
        self.assertEqual(len(calls.stdout.splitlines()), 1 + 3 + 1)
        self.assertIn('there are older ones', calls.stdout)
        top = self.query('top').stdout
        self.assertIn('over 200 recorded calls', top)
        counts = [int(line.split()[-1]) for line in top.splitlines()[1:-1]]
        self.assertEqual(counts, sorted(counts, reverse=True))
        for what, text in (('services', 'orderd'), ('hosts', 'web-1'), ('requests', 'parse_order'), ('probes', 'order.c'), ('verdicts', 'nothing that')):
            self.assertIn(text, self.query(what).stdout)

    def test_hostile_text(self):
        a = Agent(self.c.port)
        self.addCleanup(a.close)
        a.entry(1, [wire.RUN, 1, time.time_ns()])
        a.entry(2, opened())
        a.entry(3, [wire.PROBE, LOCAL, {'probe': 1, 'spec': 'f', 'function': '=cmd|"/c calc"!A1', 'module': 'm', 'build_id': 'ab', 'file': '\x1b[31m', 'line': 1,
                                        'call': True, 'cost_ns': 1, 'fields': [['s', 0, [6, 'char *', None]]]}])
        a.entry(4, [wire.CHUNK, LOCAL, 1, time.time_ns(), 1, 0, wire.small([1, 0, 100, 100, 1, 500, [b'\x1b[2J<b>,"\r\n' + b'x' * 100000, False]])])
        a.wait_ack(4)
        for args in (('calls',), ('probes',), ('top',)):
            out = self.query(*args).stdout
            self.assertNotIn('\x1b', out)
            self.assertLess(len(out), 20000)
        rows = list(csv.DictReader(io.StringIO(self.query('calls', '--csv').stdout)))
        self.assertEqual(rows[0]['function'][:2], "'=")
        self.assertIn('x' * 1000, rows[0]['args'])

    def test_refused(self):
        self.assertIn("no question 'secrets'", self.query('secrets', code=2).stderr)
        self.assertIn('by is a list', self.query('--by', 'weekday', code=1).stderr)
        self.assertIn('by service', self.query('-p', 1, code=2).stderr)
        p = Process(self, [PLUMB, 'query'])
        self.assertEqual(p.wait(), 2)
        self.assertIn('asks a collector', p.stderr)
