# SPDX-License-Identifier: Apache-2.0
"""A member of the group sees its own processes, and nothing that these are allowed to see and it is not."""
import grp
import os
import shutil
import time
import unittest

from harness import KernelCase, Target, Trace, target, wait_for

NOBODY, GROUP = 65534, 1


def become_nobody():
    os.setgroups([])
    os.setgid(GROUP)
    os.setuid(NOBODY)


def uids(pid):
    with open('/proc/%d/status' % pid) as f:
        return [line.split()[1:] for line in f if line.startswith('Uid:')][0]


class Rights(KernelCase):
    def group_agent(self):
        return self.agent('--group', grp.getgrgid(GROUP).gr_name)

    def as_nobody(self, agent, *args, code):
        return agent.run(*args, code=code, preexec_fn=become_nobody)

    def set_uid_copy(self):
        if os.statvfs(self.dir).f_flag & os.ST_NOSUID:
            self.skipTest('the temporary directory is mounted nosuid')
        copy = self.path('setuid')
        shutil.copy(target('execer'), copy)
        os.chmod(copy, 0o4755)
        return copy

    def test_a_set_uid_program_that_a_probed_process_executes(self):
        """The breakpoints in libraries stay for the moment until the exec is noticed, but count and show nothing."""
        agent = self.group_agent()
        t = Target(self, 'execer', self.set_uid_copy(), preexec_fn=become_nobody)
        tr = Trace(self, agent.command('trace', '-p', t.pid, '--json', 'libc.so.6:sigtimedwait'), preexec_fn=become_nobody)
        wait_for('record', tr.lines)
        t.signal(12)  # SIGUSR2
        wait_for('exec', lambda: uids(t.pid)[1] == '0')
        after = time.time_ns()
        self.assertEqual(tr.wait(), 1, tr.stderr)
        self.assertIn('another program', tr.stderr)
        self.assertGreater(len(tr.records()), 0)
        self.assertEqual([r for r in tr.records() if r['ts'] > after], [])
        self.assertEqual(tr.total()['calls'], len(tr.records()) + tr.total()['dropped'] + tr.total()['open'])

    def test_a_condition_on_a_process_of_another_user(self):
        """Root's conditions hold for everybody's processes: a condition is no claim to own them."""
        t = Target(self, 'execer', preexec_fn=become_nobody)
        agent = self.agent()
        agent.run('trace', '-p', t.pid, '--limit', 1, 'tick if n > 1')
        agent.run('trace', '-p', t.pid, '--limit', 1, 'tick if $duration >= 0')

    def test_a_process_with_other_uids_than_the_effective_one(self):
        agent = self.group_agent()
        t = Target(self, 'execer', preexec_fn=lambda: os.setresuid(NOBODY, NOBODY, 0))
        # The exec made the saved uid the effective one: so this process may be traced ...
        self.assertEqual(uids(t.pid), [str(NOBODY)] * 4)
        self.as_nobody(agent, 'trace', '-p', t.pid, '--limit', 1, 'tick', code=0)
        # ... and this one not: its real uid is another one.
        t = Target(self, 'execer', preexec_fn=lambda: os.setresuid(0, NOBODY, 0))
        self.assertEqual(uids(t.pid), ['0'] + [str(NOBODY)] * 3)
        for verb in ('trace', 'explain'):
            p = self.as_nobody(agent, verb, '-p', t.pid, 'tick', code=1)
            self.assertIn('kept from its own user', p.stderr)
        agent.run('trace', '-p', t.pid, '--limit', 1, 'tick')

    def test_a_process_that_is_not_dumpable(self):
        agent = self.group_agent()
        secret = self.path('unreadable')
        shutil.copy(target('execer'), secret)
        os.chmod(secret, 0o711)
        t = Target(self, secret, preexec_fn=become_nobody)
        for args in (('trace', '-p', t.pid, 'tick'), ('funcs', '-p', t.pid), ('funcs', '-x', secret)):
            self.assertIn('kept from its own user', self.as_nobody(agent, *args, code=1).stderr)
        agent.run('trace', '-p', t.pid, '--limit', 1, 'tick')


if __name__ == '__main__':
    unittest.main()
