# SPDX-License-Identifier: Apache-2.0
"""plumb verify on the kernel: two builds of the order service under the same traffic."""
import json
import os
import re
import signal
import socket
import subprocess
import xml.etree.ElementTree

import wire
from harness import PLUMB, ROOT, Case, Process
from orders import FIXES, TRIGGER, Orders


class Canary(Orders):
    def test_a_right_fix_passes_and_a_replay_says_the_same(self):
        agent, arms = self.agent(), self.pair(2)
        key, public = self.path('key.pem'), self.path('key.pub')
        subprocess.run(['openssl', 'genpkey', '-algorithm', 'ed25519', '-out', key], check=True)
        subprocess.run(['openssl', 'pkey', '-in', key, '-pubout', '-out', public], check=True)
        reports = {kind: self.path('out.' + kind) for kind in ('json', 'md', 'junit')}
        p = self.verify(agent, *arms, '--function', 'apply_coupon', '--trigger', TRIGGER, '--expect', 'gone', '--guard', 'error_rate < +25 %',
                        '--for', '120s', '--report', ','.join('%s=%s' % r for r in reports.items()), '--record', self.path('rec'),
                        '--sign-key', key, code=0)
        self.assertRegex(p.stdout, r'(?m)^PASS  all 4 gates pass$')
        self.assertRegex(p.stdout, r'PASS +the error is gone: baseline failed \d+ of \d+ trigger calls, candidate 0 of \d+')
        with open(reports['json']) as f:
            result = json.load(f)
        function = result['functions'][0]
        self.assertEqual((result['verdict'], function['function'], function['candidate']['trigger_errors']), ('PASS', 'apply_coupon', 0))
        self.assertGreater(function['baseline']['trigger_errors'], 0)
        self.assertEqual(xml.etree.ElementTree.parse(reports['junit']).getroot().get('failures'), '0')
        with open(reports['md']) as f:
            self.assertIn('## plumb verify: PASS', f.read())
        again = self.verify(agent, '--replay', self.path('rec'), '--verify-key', public, code=0)
        self.assertEqual(again.stdout, p.stdout)
        self.assertIn('signed with that key', again.stderr)
        with open(self.path('rec'), 'r+b') as f:
            f.seek(60)
            byte = f.read(1)
            f.seek(60)
            f.write(bytes([byte[0] ^ 1]))
        changed = self.verify(agent, '--replay', self.path('rec'), '--verify-key', public, code=2)
        self.assertIn('was changed after it was signed', changed.stderr)

    def test_an_error_that_moves_fails(self):
        """v3: apply_coupon fails no more, price_order does, with another value."""
        agent, arms = self.agent(), self.pair(3)
        p = self.verify(agent, *arms, '--function', 'checkout', '--trigger', TRIGGER, '--expect', 'gone', '--for', '50s', code=1)
        self.assertRegex(p.stdout, r'(?m)^FAIL  the error is gone: it is not: baseline failed [1-9]\d* of \d+ trigger calls, candidate [1-9]')
        self.assertRegex(p.stdout, r'(?m)^ +-34 \(ERANGE\) +0 +[1-9]\d*  candidate only$')
        self.assertRegex(p.stdout, r"(?m)^  failing calls by argument \(looked at: \d+ of the baseline's \d+, \d+ of the candidate's \d+\)$")
        self.assertRegex(p.stdout, r'(?m)^    o->qty = 0 +[1-9]\d* +[1-9]\d*$')

    def test_a_candidate_without_traffic_is_inconclusive(self):
        agent, arms = self.agent(), self.pair(2, load=False)
        p = self.verify(agent, *arms, '--function', 'apply_coupon', '--expect', 'gone', '--for', '5s', code=3)
        self.assertRegex(p.stdout, r'(?m)^INCONCLUSIVE  .*apply_coupon was not called on the candidate')

    def test_a_candidate_that_dies_is_inconclusive(self):
        agent, arms = self.agent(), self.pair(2, bad=0)
        p = Process(self, agent.command('verify', *arms, '--function', 'checkout', '--guard', 'error_rate < +0 %', '--for', '100s'))
        p.wait_line(r'comparing', stream='stderr')
        self.second.popen.kill()
        self.assertEqual(p.wait(150), 3)
        self.assertRegex(p.stdout, r'(?m)^INCONCLUSIVE  .*has no process any more')

    def removed(self, *args):
        """Calls come when all probes are set; their cost is soon beyond the budget, wherever first. -> the verdict's sentence"""
        agent, (first, base), (second, cand) = self.agent(), self.service(1, load=False), self.service(2, load=False)
        p = Process(self, agent.command('verify', '-s', self.name, '--baseline', 'build:' + base[:10], '--candidate', 'build:' + cand[:10],
                                        '--budget', '0.02%', '--for', '100s', *args))
        p.wait_line(r'comparing', stream='stderr')
        self.load(first)
        self.load(second)
        self.assertEqual(p.wait(150), 3, p.stderr)
        return p.stdout.splitlines()[-1]

    def test_a_probe_that_the_guard_removes_is_inconclusive(self):
        """Calls of one function per call of another are counted: one of the two probes goes, the other one may stay."""
        self.assertRegex(self.removed('--function', 'apply_coupon', '--guard', 'calls of price_order per checkout > -20 %'),
                         r'^INCONCLUSIVE  the probe on (apply_coupon|checkout|price_order) of the (baseline|candidate) was removed: build \w+: '
                         r'probe on \w+ removed: probes cost process \d+')

    def test_a_pattern_that_the_guard_removes_functions_of_is_inconclusive(self):
        self.assertRegex(self.removed('--function', 'c*'),
                         r'^INCONCLUSIVE  the probe on (some functions of )?c\* of the (baseline|candidate) was removed: build \w+: .* removed: probes ')

    def test_an_a_a_run_finds_nothing(self):
        agent = self.agent()
        self.service(1)
        p = self.verify(agent, '-s', self.name, '--aa', '--function', 'checkout', '--guard', 'error_rate < +60 %', '--for', '120s', code=0)
        self.assertIn('an A/A run', p.stdout)
        self.assertNotIn('FAIL', p.stdout)

    def test_the_older_build_is_the_baseline(self):
        agent, arms = self.agent(), self.pair(2)
        claim = self.path('claim.yaml')
        with open(claim, 'w') as f:
            f.write("target: {service: %s}\nfunction: apply_coupon\ntrigger: '%s'\nexpect: gone\nguards: [error_rate < +25 %%]\n"
                    'deadline: 120s\n' % (self.name, TRIGGER))
        p = self.verify(agent, claim, code=0)
        self.assertIn('older is taken as the baseline (%s' % arms[3][6:], p.stdout)

    def test_what_cannot_be_says_why(self):
        agent, arms = self.agent(), self.pair(2)
        base = arms[3]
        for args, says in (
                ((*arms, '--function', 'checkot'), "no function 'checkot'"),
                ((*arms, '--function', 'checkout', '--trigger', 'o->qnt == 0'), "no member 'qnt'"),
                (('-s', self.name, '--baseline', base, '--candidate', base, '--function', 'checkout'), 'are the same'),
                (('-s', self.name, '--baseline', base, '--candidate', 'build:00000000', '--function', 'checkout'),
                 'the candidate has no process'),
                (('-s', 'nobody-has-this-name', '--function', 'checkout'), 'no process of the target runs'),
                ((*arms, '--patch', os.path.join(ROOT, 'README.md')), 'plumb: '),
                ((*arms, '--patch', self.other_patch()), 'touches nothing in the binaries'),
                ((*arms,), 'neither a patch nor a function')):
            p = self.verify(agent, *args, code=2)
            self.assertIn(says, p.stderr, args)
            self.assertEqual(p.stdout, '', args)

    def test_a_candidate_without_the_fix(self):
        """Another build of the baseline's sources was deployed: the patch's lines are other code there."""
        _, base = self.service(1)
        _, cand = self.service(1, seed=2, other=True)
        arms = '-s', self.name, '--baseline', 'build:' + base[:10], '--candidate', 'build:' + cand[:10]
        for version, function, says in (
                (2, 'coupon_discount', 'apply_coupon begins at line 33 of tests/targets/orderd/coupon.c in both; with the patch it would begin at line 35'),
                (3, 'price_order', 'the candidate is not built from the patched sources: line 5 of tests/targets/orderd/pricing.c is empty in the patch'),
                (4, 'coupon_discount', 'the candidate is not built from the patched sources: line 21 of tests/targets/orderd/coupon.c is empty')):
            p = self.verify(self.agent(socket=self.path('a%d' % version)), *arms, '--function', function, '--patch',
                            os.path.join(FIXES, 'v%d.diff' % version), code=2)
            self.assertIn(says, p.stderr)
            self.assertEqual(p.stdout, '')

    def test_arms_that_are_swapped(self):
        agent, (target, name, _, base, _, cand) = self.agent(), self.pair(2)
        p = self.verify(agent, target, name, '--baseline', cand, '--candidate', base, '--patch', os.path.join(FIXES, 'v2.diff'), code=2)
        self.assertIn('swap --baseline and --candidate', p.stderr)

    def flagged(self, *args, condition, code):
        """One build, two features, each on for some users."""
        agent = self.agent()
        self.service(6)
        p = self.verify(agent, '-s', self.name, '--arm-by', condition, '--function', 'checkout', '--trigger', TRIGGER, '--expect', 'gone',
                        '--guard', 'error_rate < +25 %', '--record', self.path('rec'), *args, code=code)
        if code != 2:
            self.assertEqual(self.verify(agent, '--replay', self.path('rec'), code=code).stdout, p.stdout)
        return p

    def coupon_patch(self):
        with open(os.path.join(FIXES, 'v6.diff')) as f:
            parts = f.read().split('diff --git ')
        path = self.path('coupon.diff')
        with open(path, 'w') as f:
            f.write('diff --git ' + next(p for p in parts if 'coupon.c' in p))
        return path

    def test_a_feature_that_repairs_passes(self):
        p = self.flagged('--patch', self.coupon_patch(), '--lines', 'any', '--for', '120s', condition='o->features & 1', code=0)
        self.assertRegex(p.stdout, r'(?m)^PASS  ')
        self.assertRegex(p.stdout, r'(?m)^candidate +o->features & 1 +1 process')
        self.assertRegex(p.stdout, r'PASS +the error is gone: baseline failed [1-9]\d* of \d+ trigger calls, candidate 0 of [1-9]\d*')
        self.assertRegex(p.stdout, r'PASS +exposure: .*, the code of at least one of the \d+ changed lines ran')
        self.assertRegex(p.stdout, r'(?m)^ +\d+ +no code -\s+if \(discount > o->price.subtotal\)$')
        self.assertRegex(p.stdout, r'(?m)^ +\d+ +\d+ hits.* \+\s+if \(o->features & FEATURE_FREE_SAMPLES && o->qty == 0\)$')

    def test_a_feature_that_moves_the_error_fails(self):
        p = self.flagged('--for', '120s', condition='o->features & 2', code=1)
        self.assertRegex(p.stdout, r'(?m)^FAIL  the error is gone: it is not: baseline failed \d+ of \d+ trigger calls, candidate [1-9]')
        self.assertRegex(p.stdout, r'(?m)^ +-34 \(ERANGE\) +0 +[1-9]\d*  candidate only$')

    def test_a_feature_that_is_on_for_nobody_is_inconclusive(self):
        p = self.flagged('--for', '4s', condition='o->features & 64', code=3)
        self.assertRegex(p.stdout, r'(?m)^INCONCLUSIVE  .*checkout was not called on the candidate')

    def test_a_feature_that_nobody_knows(self):
        self.assertIn("no member 'feature'", self.flagged(condition='o->feature & 1', code=2).stderr)

    def test_a_default_guard_that_cannot_be_judged_is_named(self):
        agent, arms = self.agent(), self.pair(2)
        p = self.verify(agent, *arms, '--function', 'apply_coupon', '--trigger', TRIGGER, '--expect', 'gone', '--for', '50s', '--report',
                        'json=' + self.path('out'), code=0)
        self.assertRegex(p.stdout, r'(?m)^PASS  \d gates pass; not judged: latency p50 < \+10 %')
        self.assertRegex(p.stdout, r'(?m)^  not judged latency p50 < \+10 %: the probes cost ')
        self.assertEqual(p.stdout.count(': the probes cost '), len(re.findall('(?m)^  not judged ', p.stdout)), 'said twice')
        with open(self.path('out')) as f:
            gates = {g['name']: g for g in json.load(f)['functions'][0]['gates']}
        self.assertEqual((gates['latency p50 < +10 %']['state'], gates['latency p50 < +10 %']['optional']), ('not judged', True))
        self.assertFalse(gates['no new error values']['optional'])

    def test_a_default_latency_guard_does_not_take_probes_for_slowness(self):
        """The candidate's calls meet probes of changed lines below checkout, which the baseline does not have."""
        agent, arms = self.agent(), self.pair(2)
        p = self.verify(agent, *arms, '--function', 'checkout', '--patch', os.path.join(FIXES, 'v2.diff'), '--trigger', TRIGGER, '--expect', 'gone',
                        '--for', '40s', code=0)
        self.assertRegex(p.stdout, r'(?m)^  not judged latency p99 < \+25 %: the probes cost up to \d+ ns on the baseline .* too different')

    def test_nor_does_a_latency_guard_that_was_asked_for(self):
        agent, arms = self.agent(), self.pair(2)
        p = self.verify(agent, *arms, '--function', 'checkout', '--patch', os.path.join(FIXES, 'v2.diff'), '--trigger', TRIGGER, '--expect', 'gone',
                        '--guard', 'latency p90 < +25 %', '--for', '10s', code=3)
        self.assertRegex(p.stdout, r'(?m)^  blocked +latency p90 < \+25 %: the probes cost up to \d+ ns ')
        self.assertRegex(p.stdout, r'(?m)^INCONCLUSIVE  .*latency p90 < \+25 %: the probes cost up to \d+ ns ')

    def other_patch(self):
        path = self.path('other.diff')
        with open(path, 'w') as f:
            f.write('--- a/somewhere/else.c\n+++ b/somewhere/else.c\n@@ -1,1 +1,1 @@\n-a\n+b\n')
        return path


class Silent(wire.Connection):
    """An agent that answers what it is told to, and then nothing."""

    def __init__(self, sock):
        self.sock, self.data, self.last_id, self.kept = sock, b'', 0, []
        self.sock.settimeout(20)
        self.receive(wire.HELLO)
        self.send([wire.WELCOME, wire.VERSION, 'test', 'host'])

    def asked(self, verb):
        while True:
            f = self.receive(wire.REQUEST)
            if f[2] == verb:
                return f[1]


class NoAnswer(Case):
    def begin(self):
        path = self.path('socket')
        server = socket.socket(socket.AF_UNIX)
        self.addCleanup(server.close)
        server.settimeout(20)
        server.bind(path)
        server.listen(1)
        p = Process(self, [PLUMB, '--socket', path, 'verify', '-s', 'orderd', '--function', 'checkout'])
        s = Silent(server.accept()[0])
        self.addCleanup(s.close)
        return p, s, s.asked('ps')

    def interrupt(self, p):
        """The agent stays silent: nothing but the signal can end it, and no time limit of its own (20 s, 60 s) is reached."""
        p.signal(signal.SIGINT)
        self.assertEqual(p.wait(10), 2, p.stderr)
        self.assertIn('it was stopped before it was decided: nothing was compared', p.stderr)
        self.assertEqual(p.stdout, '')

    def test_a_stop_while_it_asks(self):
        p, _, _ = self.begin()
        p.wait_line('asking which processes', stream='stderr')
        self.interrupt(p)

    def test_a_stop_while_the_probes_are_set(self):
        p, s, number = self.begin()
        rows = [[100 + i, 'orderd', '/usr/sbin/orderd', '', '', build * 20, 'C', 'yes', 0, 10 ** 9 * (9 - i), 1] for i, build in enumerate('ac')]
        s.send([wire.REPLY, number, True, {'processes': rows}])
        s.asked('stat')
        p.wait_line('setting the probes', stream='stderr')
        self.interrupt(p)
