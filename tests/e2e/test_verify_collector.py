# SPDX-License-Identifier: Apache-2.0
"""What cannot be verified, by way of an agent and of a collector with two: the same sentences, the same exit codes."""
import os
import re

import harness
from harness import PLUMB, ROOT, UNBOUNDED, Process, wait_for
from orders import TRIGGER, Orders
from test_http import HttpCase


class Both(HttpCase, Orders):
    """The agents are on one machine: each sees every process, and an arm by build has all of its processes twice."""
    limit = 170

    def setUp(self):
        super().setUp()
        self.collector = self.start()
        for name in ('web-1', 'web-2'):
            harness.Agent(self, '--host', name, '--collector', '127.0.0.1:%d' % self.collector.port, '--spool', self.path('spool-' + name), *UNBOUNDED,
                          '--cache', self.path('cache-' + name), socket=self.path(name + '.sock'))
            wait_for('connection of ' + name, lambda: [h for h in self.get('/api/v1/hosts')['hosts'] if h['host'] == name])
        self.token = self.path('token')
        with open(os.open(self.token, os.O_CREAT | os.O_WRONLY, 0o600), 'w') as f:
            f.write(self.secret)

    def verify_by(self, way, *args):
        how = ['--socket', self.path('web-1.sock')] if way == 'agent' else ['--collector', '127.0.0.1:%d' % self.collector.port, '--token-file', self.token]
        return Process(self, [PLUMB, *how, 'verify', *args])

    def both(self, args, code, says):
        for way in ('agent', 'collector'):
            with self.subTest(way, args=args):
                p = self.verify_by(way, *args)
                self.assertEqual(p.wait(60), code, p.stdout + p.stderr)
                self.assertRegex(p.stdout if code == 3 else p.stderr, says)
                if code == 2:
                    self.assertEqual(p.stdout, '')

    def diff(self, name, path, line):
        with open(self.path(name), 'w') as f:
            f.write('--- a/%s\n+++ b/%s\n@@ -%d,1 +%d,1 @@\n-a\n+b\n' % (path, path, line, line))
        return self.path(name)

    def test_bad_input(self):
        arms = self.pair(2)
        s, base, cand = arms[:2], arms[3], arms[5]
        rate = ('--guard', 'error_rate < +25 %')
        for args, code, says in (
                ((*arms, '--patch', self.diff('else.diff', 'somewhere/else.c', 1)), 2, 'the patch touches nothing in the binaries'),
                ((*arms, '--patch', self.diff('comment.diff', 'coupon.c', 2)), 2, 'the patch touches nothing in the binaries'),
                ((*arms, '--patch', os.path.join(ROOT, 'README.md')), 2, 'that is no unified diff'),
                ((*arms, '--function', 'checkot'), 2, r"no function 'checkot' in .*\n *hint: did you mean 'checkout'\?"),
                ((*arms, '--function', 'checkout', '--trigger', 'o->qnt == 0'), 2, "trigger 'o->qnt == 0': no member 'qnt'"),
                ((*arms, '--function', 'checkout', '--trigger', 'zz == 0'), 2, "trigger 'zz == 0': no parameter 'zz'"),
                ((*arms, '--function', 'checkout', '--guard', 'calls of nobody per checkout > -20 %'), 2, "no function 'nobody'"),
                ((*s, '--baseline', base, '--candidate', base, '--function', 'checkout'), 2, 'baseline and candidate are the same'),
                ((*s, '--baseline', base, '--candidate', base[:-1], '--function', 'checkout'), 2, r'baseline and candidate are the same: process \d+ is in both'),
                ((*s, '--baseline', base, '--candidate', 'build:00000000', '--function', 'checkout'), 2, r'the candidate has no process: build 00000000 matches none'
                 r'\n *hint: of the target there run: (web-1:)?\d+ \(build '),
                (('-s', 'nobody-has-this-name', '--function', 'checkout'), 2, 'no process of the target runs'),
                ((*s, '--arm-by', 'o->qty == 1', '--function', 'checkout'), 2, 'more than one build runs, .*: --arm-by and --aa compare one with itself'),
                ((*arms, '--function', 'checkout', '--trigger', 'o->qty == 123456', '--expect', 'gone', *rate, '--for', '3s'), 3,
                 r'(?m)^INCONCLUSIVE  exposure: the candidate saw the trigger 0 times; 20 needed'),
                ((*arms, '--function', 'main', *rate, '--for', '3s'), 3, r'(?m)^INCONCLUSIVE  exposure: main was not called on the candidate')):
            self.both(args, code, says)

    def test_arms_of_the_other_kind(self):
        """Hosts are known to a collector only, processes by their numbers to an agent only."""
        self.pair(2)
        for way, args, says in (
                ('agent', ('-s', self.name, '--baseline', 'host:web-1', '--candidate', 'host:web-2'), 'arms by host need a collector'),
                ('collector', ('-s', self.name, '--baseline', 'host:web-1', '--candidate', 'host:web-2'),
                 'the processes of the baseline do not run one build: .*\n *hint: of the target there run: web-1:'),
                ('collector', ('-s', self.name, '--baseline', 'pid:%d' % self.first.popen.pid, '--candidate', 'pid:%d' % self.second.popen.pid),
                 'a process number means another process on each host'),
                ('collector', ('-p', str(self.first.popen.pid)), 'a process number means another process on each host')):
            p = self.verify_by(way, *args, '--function', 'checkout', '--for', '3s')
            self.assertEqual(p.wait(60), 2, p.stdout + p.stderr)
            self.assertRegex(p.stderr, says)

    def test_a_host_that_nobody_has(self):
        self.service(1)
        p = self.verify_by('collector', '-s', self.name, '--baseline', 'host:web-1', '--candidate', 'host:web-9', '--function', 'checkout')
        self.assertEqual(p.wait(60), 2, p.stdout + p.stderr)
        self.assertIn('the candidate has no process: host web-9 matches none', p.stderr)

    def test_no_traffic_and_an_arm_that_dies(self):
        arms = self.pair(2, load=False)
        self.both((*arms, '--function', 'checkout', '--expect', 'gone', '--for', '3s'), 3, r'(?m)^INCONCLUSIVE  .*checkout was not called on the candidate')
        running = {way: self.verify_by(way, *arms, '--function', 'checkout', '--guard', 'error_rate < +0 %', '--for', '100s') for way in ('agent', 'collector')}
        for p in running.values():
            p.wait_line('comparing', stream='stderr')
        self.second.popen.kill()
        for way, p in running.items():
            self.assertEqual(p.wait(60), 3, p.stdout + p.stderr)
            self.assertRegex(p.stdout, r'(?m)^INCONCLUSIVE  the candidate \(build \w+\) has no process any more')

    def test_a_collector_that_ends(self):
        """No verdict, whatever was seen by then."""
        arms = self.pair(2)
        p = self.verify_by('collector', *arms, '--function', 'checkout', '--trigger', TRIGGER, '--guard', 'error_rate < +0 %', '--for', '100s')
        p.wait_line('comparing', stream='stderr')
        self.collector.popen.kill()
        self.assertEqual(p.wait(60), 2, p.stdout + p.stderr)
        self.assertTrue(re.search(r'(?m)^plumb: .*(closed|connection|gone)', p.stderr), p.stderr)

    def test_the_same_by_http(self):
        arms = self.pair(2)
        base, cand = arms[3], arms[5]
        with open(self.diff('else.diff', 'somewhere/else.c', 1)) as f:
            patch = f.read()
        asked = dict(service=self.name, baseline=base, candidate=cand, for_ns=3 * 10 ** 9)
        for body, says in (
                (dict(asked, patch=patch), 'the patch touches nothing in the binaries'), (dict(asked, function='checkot'), "no function 'checkot'"),
                (dict(asked, function='checkout', trigger='o->qnt == 0'), "no member 'qnt'"),
                (dict(asked, function='checkout', candidate='build:00000000'), 'the candidate has no process'),
                (dict(asked, function='checkout', candidate=base[:-1]), 'baseline and candidate are the same'),
                (dict(asked, function='checkout', baseline='pid:1', candidate='pid:2'), 'a process number means another process on each host'),
                (dict(asked, function='checkout', trigger='o->qty == 123456', expect='gone'), 'the candidate saw the trigger 0 times; 20 needed'),
                (dict(asked, function='main'), 'main was not called on the candidate')):
            with self.subTest(body):
                number = self.get('/api/v1/verify', 201, method='POST', body=body)['id']
                row = wait_for('verdict', lambda: (lambda r: r['state'] != 'RUNNING' and r)(self.get('/api/v1/verdicts/%d' % number)['verdicts'][0]), 30, 0.2)
                self.assertEqual(row['state'], 'INCONCLUSIVE')
                self.assertIn(says, row['reason'])
