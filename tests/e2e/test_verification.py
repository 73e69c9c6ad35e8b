# SPDX-License-Identifier: Apache-2.0
"""A verification that the collector runs itself: POST /api/v1/verify, a real agent, two real builds, and the record computed again."""
import json
import os
import re
import shutil
import signal
import subprocess

import harness
from harness import PLUMB, UNBOUNDED, KernelCase, Process, wait_for
from test_http import HttpCase


class Verification(HttpCase, KernelCase):
    limit = 150

    def shop(self, build, path):
        os.makedirs(self.path(build))
        name = os.path.join(self.path(build), 'verifyd')
        shutil.copy(harness.target(path), name)
        p = Process(self, [name, '--port', '0', '--threads', '2'])
        port = p.wait_line(r'127\.0\.0\.1:(\d+)').group(1)
        Process(self, [harness.target('orderload'), '--port', port, '--rate', '500', '--seconds', '130', '--bad-percent', '5'])
        out = subprocess.run(['readelf', '-n', name], stdout=subprocess.PIPE, text=True, check=True).stdout
        return out.split('Build ID: ')[1].split()[0]

    def ask_for(self, status=201, **body):
        return self.get('/api/v1/verify', status, method='POST', body=body)

    def row(self, number):
        return self.get('/api/v1/verdicts/%d' % number)['verdicts'][0]

    def ended(self, number, timeout=60):
        return wait_for('verdict', lambda: self.row(number)['state'] != 'RUNNING' and self.row(number), timeout, 0.5)

    def test_a_fix_is_verified_and_the_record_gives_the_same(self):
        base, cand = self.shop('base', 'orderd'), self.shop('cand', 'orderd-v2/orderd')
        c = self.start()
        self.agent(*UNBOUNDED, '--collector', '127.0.0.1:%d' % c.port, '--spool', self.path('spool'))
        wait_for('agent', lambda: c.ask('SELECT 1 FROM agent'))
        number = self.ask_for(service='verifyd', title='fix v2', function='apply_coupon', trigger='o->qty == 0', expect='gone',
                              guards=['no new error values'], baseline='build:' + base, candidate='build:' + cand, for_ns=40 * 10 ** 9)['id']
        seen = set()
        row = wait_for('verdict', lambda: (lambda r: seen.add((r['state'], bool((r['report'] or {}).get('functions')))) or (r['state'] != 'RUNNING' and r))(
            self.row(number)), 70, 0.5)
        self.assertEqual((row['state'], row['title'], row['service']), ('PASS', 'fix v2', 'verifyd'), json.dumps(row)[:3000])
        self.assertIn(('RUNNING', True), seen)
        self.assertEqual(row['report']['functions'][0]['function'], 'apply_coupon')
        self.assertEqual(row['report']['candidate']['build_id'], cand)
        path = self.path('record')
        with open(path, 'wb') as f:
            f.write(self.ask('/api/v1/verdicts/%d/record' % number)[2])
        p = Process(self, [PLUMB, 'verify', '--replay', path, '--json'])
        self.assertEqual(p.wait(30), 0, p.stderr)
        again = json.loads(p.stdout)
        self.assertEqual(again, row['report'])
        wait_for('end of the requests', lambda: not self.get('/api/v1/requests?open=1')['requests'], 30, 0.2)
        entries = [(e['action'], e['outcome'][:5]) for e in self.get('/api/v1/audit?from=1')['audit']]
        self.assertIn(('verdict', 'PASS:'), entries)
        self.assertIn('stat', [e[0] for e in entries])

    def plumb(self, c, token, *args):
        path = self.path('token.%d' % self.count())
        with open(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600), 'w') as f:
            f.write(token)
        return Process(self, [PLUMB, '--collector', '127.0.0.1:%d' % c.port, '--token-file', path, 'verify', *args])

    def test_plumb_stores_its_verdict(self):
        base, cand = self.shop('base', 'orderd'), self.shop('cand', 'orderd-v2/orderd')
        c = self.start()
        self.agent(*UNBOUNDED, '--collector', '127.0.0.1:%d' % c.port, '--spool', self.path('spool'))
        wait_for('agent', lambda: c.ask('SELECT 1 FROM agent'))
        p = self.plumb(c, self.secret, '-s', 'verifyd', '--function', 'apply_coupon', '--trigger', 'o->qty == 0', '--expect', 'gone', '--guard',
                       'no new error values', '--baseline', 'build:' + base, '--candidate', 'build:' + cand, '--for', '40s', '--title', 'c01d77', '--json')
        seen = set()

        def look():
            rows = self.get('/api/v1/verdicts?title=c01d77')['verdicts']
            seen.update(r['state'] for r in rows)
            return not p.running()
        wait_for('end', look, 70, 0.1)
        self.assertEqual(p.wait(10), 0, p.stderr)
        number = int(re.search(r'the collector keeps the verdict: #/verdict/(\d+) of its dashboard', p.stderr).group(1))
        row = self.row(number)
        self.assertEqual((row['state'], row['title'], row['service'], row['who']), ('PASS', 'c01d77', 'verifyd', 'admin'))
        self.assertEqual(row['report'], json.loads(p.stdout))
        self.assertIn('RUNNING', seen)
        path = self.path('record')
        with open(path, 'wb') as f:
            f.write(self.ask('/api/v1/verdicts/%d/record' % number)[2])
        again = Process(self, [PLUMB, 'verify', '--replay', path, '--json'])
        self.assertEqual((again.wait(30), again.stdout), (0, p.stdout), again.stderr)

    def test_plumb_stores_why_there_is_no_verdict(self):
        c = self.start()
        p = self.plumb(c, self.secret, '-s', 'nobody-has-this', '--function', 'f')
        self.assertEqual(p.wait(30), 2, p.stderr)
        row = self.get('/api/v1/verdicts')['verdicts'][0]
        self.assertEqual((row['state'], row['title']), ('INCONCLUSIVE', 'f'))
        self.assertIn('no agent is connected', row['reason'])

    def test_plumb_without_the_right_to_store(self):
        c = self.start()
        p = self.plumb(c, self.token('vera', 'view'), '-s', 'nobody-has-this', '--function', 'f')
        self.assertEqual(p.wait(30), 2, p.stderr)
        self.assertEqual(p.stderr.count('the collector does not keep the verdict: '), 1, p.stderr)
        self.assertIn('no agent is connected', p.stderr)
        self.assertEqual(self.get('/api/v1/verdicts')['verdicts'], [])

    def test_the_collector_ends_while_it_runs(self):
        base, cand = self.shop('base', 'orderd'), self.shop('cand', 'orderd-v2/orderd')
        c = self.start()
        a = self.agent(*UNBOUNDED, '--collector', '127.0.0.1:%d' % c.port, '--spool', self.path('spool'))
        wait_for('agent', lambda: c.ask('SELECT 1 FROM agent'))
        number = self.ask_for(service='verifyd', function='apply_coupon', guards=['no new error values'], baseline='build:' + base,
                              candidate='build:' + cand, for_ns=10 ** 12)['id']
        wait_for('probes', lambda: (self.row(number)['report'] or {}).get('functions'), 30, 0.2)
        c.signal(signal.SIGTERM)
        self.assertEqual(c.wait(30), 0, c.stderr[-2000:])
        self.assertTrue(a.running())

    def test_what_cannot_be_verified(self):
        c = self.start()
        number = self.ask_for(service='nobody-has-this', function='f', baseline='build:abcdef', candidate='build:fedcba')['id']
        row = self.ended(number)
        self.assertEqual((row['state'], row['title']), ('INCONCLUSIVE', 'nobody-has-this'))
        self.assertTrue(row['reason'])
        for bad in ({}, {'service': 'x', 'patch': 'this is no diff'}, {'service': 'x', 'baseline': 'build:xyz'}, {'service': 'x', 'shell': 'y'},
                    {'service': 'x', 'guards': 'latency'}, {'service': 'x', 'guards': ['speed']}, {'service': 1}, {'service': 'x', 'for_ns': 'long'}):
            with self.subTest(bad):
                self.ask_for(400, **bad)
        view = self.token('vera', 'view')
        self.assertEqual(self.ask('/api/v1/verify', method='POST', body={'service': 'x'}, token=view)[0], 403)
        self.assertTrue(c.running())
