# SPDX-License-Identifier: Apache-2.0
"""plumb verify --aa with two arms: the baseline's halves are compared first, and must not differ."""
import json
import os
import xml.etree.ElementTree

from harness import Process, target
from orders import FIXES, TRIGGER, Orders

GUARDS = ('--guard', 'error_rate < +25 %', '--guard', 'no new error values')


class Halves(Orders):
    def three(self, other):
        """Two processes of the old build, and one of the new one."""
        _, base = self.service(1)
        self.service(1, seed=3, **other)
        _, cand = self.service(2, seed=2)
        return ['-s', self.name, '--baseline', 'build:' + base[:10], '--candidate', 'build:' + cand[:10]]

    def checked(self, agent, *args, code):
        """The verdict, and that a replay gives it again; -> (text, JSON, JUnit, Markdown)"""
        reports = {kind: self.path('out.' + kind) for kind in ('json', 'junit', 'md')}
        p = self.verify(agent, *args, '--report', ','.join('%s=%s' % r for r in reports.items()), '--record', self.path('rec'), code=code)
        self.assertEqual(self.verify(agent, '--replay', self.path('rec'), code=code).stdout, p.stdout)
        with open(reports['json']) as f, open(reports['md']) as md:
            return p.stdout, json.load(f), xml.etree.ElementTree.parse(reports['junit']).getroot(), md.read()

    def test_halves_that_are_alike_let_a_fix_pass(self):
        agent, arms = self.agent(), self.three({})
        text, result, junit, md = self.checked(agent, *arms, '--function', 'checkout', '--trigger', TRIGGER, '--expect', 'gone', *GUARDS, '--aa',
                                               '--patch', os.path.join(FIXES, 'v2.diff'), '--for', '50s', code=0)
        self.assertRegex(text, r'(?m)^A/A run +the baseline, split by process \(pid \d+; pid \d+\), [\d,]+ and [\d,]+ calls in \d+ s: no difference was found')
        self.assertRegex(text, r'(?m)^baseline .* 2 processes')
        self.assertRegex(text, r'(?m)^PASS  ')
        self.assertEqual((result['aa']['state'], result['aa']['split']), ('nothing found', 'process'))
        self.assertGreater(min(result['aa']['calls']), 100)
        self.assertLess(result['deadline_s'], 41)
        case = junit.find("testcase[@name='A/A run']")
        self.assertIn('no difference was found', case.find('system-out').text)
        self.assertIn('A/A run: the baseline, split by process', md)

    def test_processes_that_differ_are_told(self):
        """One of the old processes gets other traffic: whatever the arms would show could come from that."""
        agent, arms = self.agent(), self.three({'bad': 40})
        text, result, junit, _ = self.checked(agent, *arms, '--function', 'checkout', '--trigger', TRIGGER, '--expect', 'gone', *GUARDS, '--aa',
                                              '--for', '50s', code=3)
        self.assertRegex(text, r'(?m)^INCONCLUSIVE  the A/A run found a difference between two halves of the baseline, which run the same build: '
                         r'error rate < \+25 % of checkout does not hold \([\d.]+ % of \d+ calls failed in one, [\d.]+ % of \d+ in the other\)\. '
                         r'Calls hang together, or the processes are not alike; nothing could be said of the candidate$')
        self.assertEqual((result['verdict'], result['aa']['state'], result['functions']), ('INCONCLUSIVE', 'difference found', []))
        self.assertEqual(junit.get('failures'), '0')

    def test_one_process_is_split_by_thread(self):
        agent, arms = self.agent(), self.pair(2)
        claim = self.path('claim.yaml')
        with open(claim, 'w') as f:
            f.write("target: {service: %s}\narms: {baseline: '%s', candidate: '%s', aa: true}\nfunction: apply_coupon\ntrigger: '%s'\nexpect: gone\n"
                    'guards: [error_rate < +25 %%]\ndeadline: 50s\n' % (self.name, arms[3], arms[5], TRIGGER))
        text, result, _, _ = self.checked(agent, claim, code=0)
        self.assertRegex(text, r'(?m)^A/A run +the baseline, split by thread \(not \(\$tid % 2 == 1\); \$tid % 2 == 1\), .*: no difference was found')
        self.assertEqual(result['aa']['split'], 'thread')

    def test_no_traffic_is_no_a_a_run(self):
        agent = self.agent()
        _, base = self.service(1, load=False)
        _, cand = self.service(2, load=False)
        text, result, _, _ = self.checked(agent, '-s', self.name, '--baseline', 'build:' + base[:10], '--candidate', 'build:' + cand[:10],
                                          '--function', 'checkout', '--expect', 'gone', '--aa', '--for', '8s', code=3)
        self.assertRegex(text, r'(?m)^INCONCLUSIVE  the A/A run could not be made, there were too few calls \(the baseline, split by thread .*, 0 and 0 calls')
        self.assertEqual(result['aa']['state'], 'too few calls')

    def test_a_half_that_dies_is_no_a_a_run(self):
        """So few calls that the A/A run takes the quarter of its time, and one of the old processes dies in it."""
        agent = self.agent()
        services = [self.service(version, load=False) for version in (1, 1, 2)]
        for p, _ in services:
            port = p.wait_line(r'^listening on 127.0.0.1:(\d+)').group(1)
            Process(self, [target('orderload'), '--port', port, '--rate', '50', '--seconds', '300'])
        p = Process(self, agent.command('verify', '-s', self.name, '--baseline', 'build:' + services[0][1][:10], '--candidate',
                                        'build:' + services[2][1][:10], '--function', 'checkout', '--expect', 'gone', '--aa', '--for', '200s'))
        p.wait_line(r'A/A run first: .* no difference so far', stream='stderr')
        services[1][0].popen.kill()
        self.assertEqual(p.wait(100), 3)
        self.assertRegex(p.stdout, r'(?m)^INCONCLUSIVE  the A/A run is not whole: the (first|second) half \(pid %d\) has no process any more\.' %
                         services[1][0].pid)
        self.assertRegex(p.stdout, r'(?m)^A/A run +the baseline, split by process .*: not whole, ')
