# SPDX-License-Identifier: Apache-2.0
"""The demo: a right and a wrong fix of the order service, judged."""
import os
import re

from harness import BUILD, ROOT, KernelCase, Process


class Demo(KernelCase):
    limit = 240

    def test_the_quick_demo_tells_a_right_fix_from_a_wrong_one(self):
        p = Process(self, [os.path.join(ROOT, 'scripts/demo.sh'), BUILD, '2', '3'])
        p.wait(220)
        end = p.stdout.split('The verdicts')[-1]
        self.assertEqual(p.popen.returncode, 0, p.stdout + p.stderr)
        self.assertEqual(re.findall(r'(?m)^v(\d) +([A-Z]+) ', end), [('2', 'PASS'), ('3', 'FAIL')])
        self.assertRegex(end, r'(?m)^v3 .*the error is gone: it is not: baseline failed [1-9]')
        self.assertNotIn('\x1b', p.stdout)
