# SPDX-License-Identifier: Apache-2.0
"""bench/real-fix: security fixes of redis, each proven by plumb verify with Debian's own patch, and nothing left behind."""
import os
import re
import signal

from harness import BUILD, ROOT, TARGETS, KernelCase, Process, wait_for

SOURCE = os.path.join(os.path.dirname(TARGETS), 'redis-src')


def commands():
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try:
            with open('/proc/%s/comm' % pid) as f:
                yield f.read().strip()
        except OSError:
            pass


class RealFix(KernelCase):
    limit = 240

    def begin(self, fix, seconds):
        if not os.path.exists(os.path.join(SOURCE, 'fix', fix, 'fix.patch')):
            self.skipTest("the distribution's source package of redis has no patch '%s' of bench/real-fix/fixes" % fix)
        tmp = self.path('tmp')
        os.mkdir(tmp)
        p = Process(self, [os.path.join(ROOT, 'bench/real-fix/run.sh'), BUILD, fix, '%ds' % seconds], env=dict(os.environ, TMPDIR=tmp, REDIS_SRC=SOURCE))
        self.addCleanup(self.stop, p)     # before the process is reaped: it cleans up by itself
        self.name = 'redis-%d' % p.pid
        return p, tmp

    def stop(self, p):
        if p.running():
            p.signal(signal.SIGTERM)
            p.wait()

    def left_behind(self, tmp):
        return [c for c in commands() if c == self.name] + os.listdir(tmp)

    def proven(self, fix, line):
        p, tmp = self.begin(fix, 60)
        self.assertEqual(p.wait(200), 0, p.stdout + p.stderr)
        self.assertRegex(p.stdout, r'(?m)^PASS  all \d+ gates pass')
        found = re.search(r'PASS +the error is gone: baseline failed (\d+) of (\d+) trigger calls, candidate 0 of (\d+)', p.stdout)
        self.assertTrue(found and found.group(1) == found.group(2) and int(found.group(3)) >= 20, p.stdout)
        self.assertRegex(p.stdout, r'[1-9]\d* hits? (?:~ )?\+ +' + line)
        self.assertEqual(self.left_behind(tmp), [])

    def test_a_rule_without_permissions(self):
        """CVE-2024-51741"""
        self.proven('acl', r"} else if \(op\[offset\] == '~'\) \{")

    def test_clients_that_do_not_log_in(self):
        """CVE-2025-21605"""
        self.proven('auth', r'if \(used_mem > 1024 && authRequired\(c\)\)')

    def test_stopped_it_leaves_nothing(self):
        p, tmp = self.begin('acl', 60)
        wait_for('both servers', lambda: sum(c == self.name for c in commands()) == 2)
        p.wait_line('comparing', stream='stderr')
        p.signal(signal.SIGTERM)
        self.assertEqual(p.wait(), 143, p.stderr)
        self.assertEqual(self.left_behind(tmp), [])
