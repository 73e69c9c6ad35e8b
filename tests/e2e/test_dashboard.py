# SPDX-License-Identifier: Apache-2.0
"""The dashboard in Chromium: a real collector, a real agent, a real probe, real traffic.  Screenshots: BUILD/screenshots."""
import json
import os
import shutil

import harness
from collector import Collector
from harness import BUILD, KernelCase, Process, wait_for

HERE = os.path.dirname(os.path.abspath(__file__))
NPM = os.path.join(BUILD, 'npm-test')
SHOTS = os.path.join(BUILD, 'screenshots')


class Dashboard(KernelCase):
    limit = 400

    def service(self):
        """The order service under a name of its own, and traffic for it."""
        path = self.path('shopd')
        shutil.copy(harness.target('orderd'), path)
        p = Process(self, [path, '--port', '0', '--threads', '4'])
        port = p.wait_line(r'127\.0\.0\.1:(\d+)').group(1)
        Process(self, [harness.target('orderload'), '--port', port, '--rate', '300', '--seconds', '400', '--bad-percent', '3',
                       '--unknown-percent', '1'])

    def test_page(self):
        """Every step of dashboard.mjs."""
        c = Collector(self, self.path('data'))
        http = c.http_address()
        self.service()
        self.agent('--collector', '127.0.0.1:%d' % c.port, '--spool', self.path('spool'))
        wait_for('agent', lambda: c.ask('SELECT 1 FROM agent'))
        shutil.rmtree(SHOTS, ignore_errors=True)
        os.makedirs(SHOTS)
        node = Process(self, ['node', os.path.join(HERE, 'dashboard.mjs'), 'http://%s/' % http, os.path.join(c.data, 'admin.token'), 'shopd', SHOTS],
                       env=dict(os.environ, PLUMB_NPM=NPM))
        code = node.wait(380)
        steps = [json.loads(line) for line in node.lines()]
        for step in steps:
            with self.subTest(step['step']):
                self.assertTrue(step['ok'], step.get('error'))
        self.assertEqual(code, 0, node.stderr[-2000:])
        self.assertGreater(len(steps), 10)
