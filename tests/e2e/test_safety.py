# SPDX-License-Identifier: Apache-2.0
"""What would end or corrupt the target is refused; what a request leaves behind does not hurt the next one."""
import subprocess

from harness import KernelCase, Process, Target

SOURCE = r"""
#include <unistd.h>
void MARK(void);
void MARK(void) { }
__attribute__((noipa)) int step(int n) { return n + 1; }
int main(void) { for (int i = 0;; i++) { step(i); usleep(2000); } }
"""


class Returns(KernelCase):
    def program(self, mark):
        """A C program that holds the mark of a run time which moves or unwinds its stacks."""
        path = self.path('marked')
        subprocess.run(['gcc', '-O2', '-g', '-DMARK=' + mark, '-x', 'c', '-', '-o', path], input=SOURCE.encode(), check=True)
        return Process(self, [path])

    def refused(self, mark, *hints):
        agent, p = self.agent(), self.program(mark)
        r = agent.run('trace', '-p', p.pid, '--limit', 1, 'step', code=1)
        for hint in (mark,) + hints:
            self.assertIn(hint, r.stderr)
        r = agent.run('trace', '-p', p.pid, '--limit', 2, '--for', '5s', 'step(n)')
        self.assertEqual(len(r.stdout.splitlines()), 2)
        self.assertTrue(p.running())
        return agent, p

    def test_exceptions(self):
        agent, p = self.refused('__cxa_throw', '--allow-unwind')
        r = agent.run('trace', '-p', p.pid, '--limit', 1, '--for', '5s', '--allow-unwind', 'step')
        self.assertIn(' = ', r.stdout)
        self.assertTrue(p.running())

    def test_rust_panics(self):
        self.refused('rust_eh_personality', '--allow-unwind')

    def test_switched_stacks(self):
        self.refused('swapcontext', 'switches stacks')


class Aftermath(KernelCase):
    def test_events_arrive_after_a_request_that_saw_none(self):
        """The end of a request drains the rings; that once withdrew the wake-up for the others' events."""
        agent, t = self.agent(), Target(self, 'execer')
        agent.run('trace', '-p', t.pid, '--for', '500ms', 'tick if $duration > 1h')
        r = agent.run('trace', '-p', t.pid, '--for', '5m', '--limit', 1, 'tick')     # without it the event would come with the end
        self.assertEqual(len(r.stdout.splitlines()), 1)
