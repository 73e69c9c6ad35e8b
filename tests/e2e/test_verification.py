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
    limit = 500

    def shop(self, build, path, bad=5):
        os.makedirs(self.path(build))
        name = os.path.join(self.path(build), 'verifyd')
        shutil.copy(harness.target(path), name)
        p = Process(self, [name, '--port', '0', '--threads', '2'])
        port = p.wait_line(r'127\.0\.0\.1:(\d+)').group(1)
        Process(self, [harness.target('orderload'), '--port', port, '--rate', '500', '--seconds', '480', '--bad-percent', str(bad)])
        out = subprocess.run(['readelf', '-n', name], stdout=subprocess.PIPE, text=True, check=True).stdout
        return out.split('Build ID: ')[1].split()[0]

    def ask_for(self, status=201, **body):
        return self.get('/api/v1/verify', status, method='POST', body=body)

    def row(self, number):
        return self.get('/api/v1/verdicts/%d' % number)['verdicts'][0]

    def ended(self, number, timeout=220):
        return wait_for('verdict', lambda: self.row(number)['state'] != 'RUNNING' and self.row(number), timeout, 0.5)

    def test_a_fix_is_verified_and_the_record_gives_the_same(self):
        base, cand = self.shop('base', 'orderd'), self.shop('cand', 'orderd-v2/orderd')
        c = self.start()
        self.agent(*UNBOUNDED, '--collector', '127.0.0.1:%d' % c.port, '--spool', self.path('spool'))
        wait_for('agent', lambda: c.ask('SELECT 1 FROM agent'))
        number = self.ask_for(service='verifyd', title='fix v2', function='apply_coupon', trigger='o->qty == 0', expect='gone',
                              guards=['no new error values'], baseline='build:' + base, candidate='build:' + cand, for_ns=150 * 10 ** 9)['id']
        seen = set()
        row = wait_for('verdict', lambda: (lambda r: seen.add((r['state'], bool((r['report'] or {}).get('functions')))) or (r['state'] != 'RUNNING' and r))(
            self.row(number)), 220, 0.5)
        self.assertEqual((row['state'], row['title'], row['service']), ('PASS', 'fix v2', 'verifyd'), json.dumps(row)[:3000])
        self.assertIn(('RUNNING', True), seen)
        self.assertEqual(row['report']['functions'][0]['function'], 'apply_coupon')
        failing = row['report']['functions'][0]['failing']
        self.assertTrue(0 < failing['baseline']['shown'] <= failing['baseline']['failed'] and not failing['candidate']['shown'], failing)
        self.assertIn({'argument': 'o->qty', 'value': '0'}, failing['always'])
        self.assertEqual(row['report']['candidate']['build_id'], cand)
        path = self.path('record')
        with open(path, 'wb') as f:
            f.write(self.ask('/api/v1/verdicts/%d/record' % number)[2])
        p = Process(self, [PLUMB, 'verify', '--replay', path, '--json'])
        self.assertEqual(p.wait(), 0, p.stderr)
        again = json.loads(p.stdout)
        self.assertEqual(again, row['report'])
        wait_for('end of the requests', lambda: not self.get('/api/v1/requests?open=1')['requests'], every=0.2)
        entries = [(e['action'], e['outcome'][:5]) for e in self.get('/api/v1/audit?from=1')['audit']]
        self.assertIn(('verdict', 'PASS:'), entries)
        self.assertIn('stat', [e[0] for e in entries])

    def keys(self, name):
        """-> (private, public), files"""
        private, public = self.path(name + '.pem'), self.path(name + '.pub')
        subprocess.run(['openssl', 'genpkey', '-algorithm', 'ed25519', '-out', private], check=True)
        subprocess.run(['openssl', 'pkey', '-in', private, '-pubout', '-out', public], check=True)
        return private, public

    def replay(self, data, public):
        path = self.path('record.%d' % self.count())
        with open(path, 'wb') as f:
            f.write(data)
        p = Process(self, [PLUMB, 'verify', '--replay', path, '--verify-key', public, '--json'])
        return p.wait(), p

    def test_two_patches_signed_records(self):
        """v2 mends the error, v3 moves it: the collector gets the patches as texts, finds the lines, and signs what it gives for good."""
        (key, public), (_, stranger) = self.keys('mine'), self.keys('other')
        builds = {'base': self.shop('base', 'orderd'), 'v2': self.shop('v2', 'orderd-v2/orderd'), 'v3': self.shop('v3', 'orderd-v3/orderd')}
        c = self.start('--sign-key', key)
        self.agent(*UNBOUNDED, '--collector', '127.0.0.1:%d' % c.port, '--spool', self.path('spool'))
        wait_for('agent', lambda: c.ask('SELECT 1 FROM agent'))
        asked = {}
        for version in ('v2', 'v3'):
            with open(os.path.join(harness.ROOT, 'tests/targets/orderd/fixes', version + '.diff')) as f:
                patch = f.read()
            claim = ('target: {service: verifyd}\nfunction: checkout\ntrigger: o->qty == 0 && o->coupon == "HALF"\nexpect: gone\n'
                     'guards: [error_rate < +25 %]\ndeadline: 200s\n')
            asked[version] = self.ask_for(claim=claim, title=version, patch=patch, baseline='build:' + builds['base'],
                                          candidate='build:' + builds[version])['id']
        for version, state, code in (('v2', 'PASS', 0), ('v3', 'FAIL', 1)):
            with self.subTest(version):
                row = self.ended(asked[version])
                self.assertEqual((row['state'], row['title']), (state, version), json.dumps(row)[:3000])
                hits = [line['hits'] for line in row['report']['lines'] if line.get('hits')]
                self.assertTrue(hits and max(hits) > 0, row['report']['lines'])
                self.assertEqual(self.get('/api/v1/verdicts?service=verifyd&title=%s&limit=1&final=1' % version)['verdicts'][0]['id'], asked[version])
                record = self.ask('/api/v1/verdicts/%d/record' % asked[version])[2]
                got, p = self.replay(record, public)
                self.assertEqual((got, json.loads(p.stdout)), (code, row['report']), p.stderr)
                self.assertIn('signed with that key', p.stderr)
                for data, other in ((record[:60] + bytes([record[60] ^ 1]) + record[61:], public), (record, stranger)):
                    got, p = self.replay(data, other)
                    self.assertEqual((got, p.stdout), (2, ''))
                    self.assertIn('the record is not signed with this key, or was changed after it was signed', p.stderr)

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
                       'no new error values', '--baseline', 'build:' + base, '--candidate', 'build:' + cand, '--for', '150s', '--title', 'c01d77', '--json')
        seen = set()

        def look():
            rows = self.get('/api/v1/verdicts?title=c01d77')['verdicts']
            seen.update(r['state'] for r in rows)
            return not p.running()
        wait_for('end', look, 220, 0.1)
        self.assertEqual(p.wait(), 0, p.stderr)
        number = int(re.search(r'the collector keeps the verdict: #/verdict/(\d+) of its dashboard', p.stderr).group(1))
        row = self.row(number)
        self.assertEqual((row['state'], row['title'], row['service'], row['who']), ('PASS', 'c01d77', 'verifyd', 'admin'))
        self.assertEqual(row['report'], json.loads(p.stdout))
        self.assertIn('RUNNING', seen)
        path = self.path('record')
        with open(path, 'wb') as f:
            f.write(self.ask('/api/v1/verdicts/%d/record' % number)[2])
        again = Process(self, [PLUMB, 'verify', '--replay', path, '--json'])
        self.assertEqual((again.wait(), again.stdout), (0, p.stdout), again.stderr)

    def test_a_host_that_refuses_is_told_at_once(self):
        """The other host's counters alone would be a verdict about half of the arm."""
        base, cand = self.shop('base', 'orderd'), self.shop('cand', 'orderd-v2/orderd')
        c = self.start()
        for name, args in (('web-1', UNBOUNDED), ('web-2', ('--max-budget', '1'))):
            harness.Agent(self, '--host', name, '--collector', '127.0.0.1:%d' % c.port, '--spool', self.path('spool-' + name), *args,
                          socket=self.path(name + '.sock'))
        wait_for('agents', lambda: len(c.ask('SELECT 1 FROM agent')) == 2)
        p = self.plumb(c, self.secret, '-s', 'verifyd', '--function', 'checkout', '--guard', 'error_rate < +0 %', '--baseline', 'build:' + base,
                       '--candidate', 'build:' + cand, '--budget', '5000%', '--for', '120s')
        self.assertIn(p.wait(220), (2, 3))     # before the probes of the others are set, or after it
        self.assertRegex(p.stdout + p.stderr, r'build \w{12} on web-2: this agent allows a budget of 1% of one core at most')

    def test_hosts_whose_clocks_differ(self):
        """A tick is what has come since the last one: no host's clock is asked. The collector measures how wrong they are."""
        base, cand = self.shop('base', 'orderd'), self.shop('cand', 'orderd-v2/orderd')
        c = self.start()
        for name, shift in (('web-1', 3600), ('web-2', -7200)):
            env = dict(os.environ, LD_PRELOAD=harness.target('libclock.so'), CLOCK_SHIFT_S=str(shift), ASAN_OPTIONS='verify_asan_link_order=0')
            harness.Agent(self, '--host', name, '--collector', '127.0.0.1:%d' % c.port, '--spool', self.path('spool-' + name), *UNBOUNDED,
                          socket=self.path(name + '.sock'), env=env)
        offsets = wait_for('offsets', lambda: (lambda r: len(r) == 2 and all(o for _, o in r) and dict(r))(c.ask('SELECT host, offset_ns FROM agent')))
        self.assertEqual({h: round(o / 1e11) for h, o in offsets.items()}, {'web-1': -36, 'web-2': 72})
        path = self.path('rec')
        p = self.plumb(c, self.secret, '-s', 'verifyd', '--function', 'apply_coupon', '--trigger', 'o->qty == 0', '--expect', 'gone', '--guard',
                       'error_rate < +25 %', '--baseline', 'build:' + base, '--candidate', 'build:' + cand, '--for', '150s', '--record', path)
        self.assertEqual(p.wait(220), 0, p.stdout + p.stderr)
        again = Process(self, [PLUMB, 'verify', '--replay', path])
        self.assertEqual((again.wait(), again.stdout), (0, p.stdout), again.stderr)

    def two_hosts(self, c):
        """Both agents see every process of this machine."""
        return {name: self.on_host(c, name) for name in ('web-1', 'web-2')}

    def on_host(self, c, name):
        a = harness.Agent(self, '--host', name, '--collector', '127.0.0.1:%d' % c.port, '--spool', self.path('spool-' + name), *UNBOUNDED,
                          socket=self.path(name + '.sock'))
        wait_for('connection of ' + name, lambda: [h for h in self.get('/api/v1/hosts')['hosts'] if h['host'] == name])
        return a

    def fixed(self, c, *args):
        """A fix that passes within seconds, if all of it is seen."""
        base, cand = self.shop('base', 'orderd'), self.shop('cand', 'orderd-v2/orderd')
        p = self.plumb(c, self.secret, '-s', 'verifyd', '--function', 'apply_coupon', '--trigger', 'o->qty == 0', '--expect', 'gone', '--guard',
                       'no new error values', '--baseline', 'build:' + base, '--candidate', 'build:' + cand, *args)
        p.wait_line('comparing', stream='stderr')
        wait_for('probes of both builds on both hosts', lambda: c.one('SELECT count(*) FROM (SELECT DISTINCT request, agent FROM probe)') == 4)
        return p

    def test_a_host_whose_agent_is_killed(self):
        """All of the candidate is on it: nothing more can be shown."""
        c = self.start()
        agents = self.two_hosts(c)
        self.shop('base', 'orderd')
        p = self.plumb(c, self.secret, '-s', 'verifyd', '--function', 'checkout', '--guard', 'error_rate < +0 %', '--baseline', 'host:web-1',
                       '--candidate', 'host:web-2', '--for', '15s')
        p.wait_line('comparing', stream='stderr')
        agents['web-2'].popen.kill()
        self.assertEqual(p.wait(220), 3, p.stdout + p.stderr)
        self.assertRegex(p.stdout, r'(?m)^INCONCLUSIVE  .*nothing comes from host web-2 any more, its connection is gone$')
        self.assertRegex(p.stdout, r'(?m)^remark: host web-2: its connection is gone; what it measures waits there until it is back$')

    def test_a_part_whose_agent_is_killed(self):
        """The other host alone would show enough for a PASS, but of its own processes only."""
        c = self.start()
        agents = self.two_hosts(c)
        p = self.fixed(c, '--for', '25s')
        agents['web-2'].popen.kill()
        self.assertEqual(p.wait(220), 3, p.stdout + p.stderr)
        self.assertRegex(p.stdout, r'(?m)^  PASS +the error is gone: ')
        self.assertRegex(p.stdout, r"(?m)^INCONCLUSIVE  .*exposure: nothing comes from 1 of the candidate's 2 processes: the agent there cannot be reached; "
                         r'nothing comes from host web-2 any more')

    def test_an_agent_that_is_started_again(self):
        c = self.start()
        agents = self.two_hosts(c)
        p = self.fixed(c, '--for', '60s')
        agents['web-2'].popen.kill()
        agents['web-2'].wait()
        self.on_host(c, 'web-2')
        self.assertEqual(p.wait(220), 0, p.stdout + p.stderr)
        self.assertIn("remark: build", p.stdout)
        self.assertIn(' on web-2: its agent was started again', p.stdout)

    def test_an_a_a_run_before(self):
        """The halves are the hosts; what the collector runs by itself takes it as well."""
        base, cand = self.shop('base', 'orderd'), self.shop('cand', 'orderd-v2/orderd')
        c = self.start()
        self.two_hosts(c)
        asked = dict(service='verifyd', function='apply_coupon', trigger='o->qty == 0', expect='gone', guards=['error_rate < +25 %'], aa=True,
                     baseline='build:' + base, candidate='build:' + cand, for_ns=60 * 10 ** 9)
        number = self.ask_for(**asked)['id']
        row = self.ended(number)
        self.assertEqual(row['state'], 'PASS', json.dumps(row)[:3000])
        self.assertEqual((row['report']['aa']['state'], row['report']['aa']['split']), ('nothing found', 'host'), row['report']['aa'])
        self.assertIn('split by host (host web-1; host web-2)', row['report']['aa']['text'])
        path = self.path('record')
        with open(path, 'wb') as f:
            f.write(self.ask('/api/v1/verdicts/%d/record' % number)[2])
        p = Process(self, [PLUMB, 'verify', '--replay', path, '--json'])
        self.assertEqual((p.wait(30), json.loads(p.stdout)), (0, row['report']), p.stderr)
        self.ask_for(400, **dict(asked, aa='yes'))

    def test_plumb_stores_why_there_is_no_verdict(self):
        c = self.start()
        p = self.plumb(c, self.secret, '-s', 'nobody-has-this', '--function', 'f')
        self.assertEqual(p.wait(), 2, p.stderr)
        row = self.get('/api/v1/verdicts')['verdicts'][0]
        self.assertEqual((row['state'], row['title']), ('INCONCLUSIVE', 'f'))
        self.assertIn('no agent is connected', row['reason'])

    def test_plumb_without_the_right_to_store(self):
        c = self.start()
        p = self.plumb(c, self.token('vera', 'view'), '-s', 'nobody-has-this', '--function', 'f')
        self.assertEqual(p.wait(), 2, p.stderr)
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
        wait_for('probes', lambda: (self.row(number)['report'] or {}).get('functions'), every=0.2)
        c.signal(signal.SIGTERM)
        self.assertEqual(c.wait(), 0, c.stderr[-2000:])
        self.assertTrue(a.running())

    def test_what_cannot_be_verified(self):
        c = self.start()
        number = self.ask_for(service='nobody-has-this', function='f', baseline='build:abcdef', candidate='build:fedcba')['id']
        row = self.ended(number)
        self.assertEqual((row['state'], row['title']), ('INCONCLUSIVE', 'nobody-has-this'))
        self.assertTrue(row['reason'])
        for bad in ({}, {'service': 'x', 'patch': 'this is no diff'}, {'service': 'x', 'baseline': 'build:xyz'}, {'service': 'x', 'shell': 'y'},
                    {'service': 'x', 'guards': 'latency'}, {'service': 'x', 'guards': ['speed']}, {'service': 1}, {'service': 'x', 'for_ns': 'long'}, {'claim': 7},
                    {'claim': 'function: f\nservice: x\n'}, {'claim': 'function: f\n'}, {'claim': 'target: {pid: 1}\nfunction: f\n'},
                    {'claim': 'target: {service: x}\nfunction: f\npatch: /etc/passwd\n'}):
            with self.subTest(bad):
                self.ask_for(400, **bad)
        view = self.token('vera', 'view')
        self.assertEqual(self.ask('/api/v1/verify', method='POST', body={'service': 'x'}, token=view)[0], 403)
        self.assertTrue(c.running())
