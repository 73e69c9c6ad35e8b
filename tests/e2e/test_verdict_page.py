# SPDX-License-Identifier: Apache-2.0
"""The page of a verdict in Chromium, with a report that plumb verify has just made of real processes.  Screenshots: BUILD/screenshots-verdict."""
import json
import os
import shutil

import harness
from collector import Collector
from harness import BUILD, PLUMB, UNBOUNDED, KernelCase, Process

HERE = os.path.dirname(os.path.abspath(__file__))
NPM = os.path.join(BUILD, 'npm-test')
SHOTS = os.path.join(BUILD, 'screenshots-verdict')


class VerdictPage(KernelCase):
    limit = 400

    def shop(self, build):
        """The order service of one build under a name of its own, with traffic."""
        os.makedirs(self.path(build))
        path = os.path.join(self.path(build), 'shopd')
        shutil.copy(harness.target(build), path) if build == 'orderd' else shutil.copy(harness.target(build + '/orderd'), path)
        p = Process(self, [path, '--port', '0', '--threads', '2'])
        port = p.wait_line(r'127\.0\.0\.1:(\d+)').group(1)
        Process(self, [harness.target('orderload'), '--port', port, '--rate', '500', '--seconds', '300', '--bad-percent', '5'])
        return p.pid

    def report(self):
        """What plumb verify says of the order service and its fix."""
        path = self.path('report.json')
        base, cand = self.shop('orderd'), self.shop('orderd-v2')
        a = self.agent(*UNBOUNDED)
        verify = Process(self, [PLUMB, '--socket', a.socket, 'verify', '-s', 'shopd',
                                '--function', 'apply_coupon', '--trigger', 'o->qty == 0', '--expect', 'gone',
                                '--baseline', 'pid:%d' % base, '--candidate', 'pid:%d' % cand, '--for', '20s', '--report', 'json=' + path])
        self.assertIn(verify.wait(150), (0, 1, 3), verify.stderr)
        with open(path) as f:
            report = json.load(f)
        self.assertTrue(report['functions'], report)
        return path

    def test_page(self):
        """Every step of verdict_page.mjs."""
        report = self.report()
        c = Collector(self, self.path('data'))
        shutil.rmtree(SHOTS, ignore_errors=True)
        os.makedirs(SHOTS)
        node = Process(self, ['node', os.path.join(HERE, 'verdict_page.mjs'), 'http://%s/' % c.http_address(), os.path.join(c.data, 'admin.token'), report, SHOTS],
                       env=dict(os.environ, PLUMB_NPM=NPM))
        code = node.wait(240)
        steps = [json.loads(line) for line in node.lines()]
        for step in steps:
            with self.subTest(step['step']):
                self.assertTrue(step['ok'], step.get('error'))
        self.assertEqual(code, 0, node.stderr[-2000:])
        self.assertGreater(len(steps), 9)
