# SPDX-License-Identifier: Apache-2.0
"""Targets that end, turn into something else, come later, or whose files change under the probe."""
import json
import os
import shutil
import signal
import subprocess
import time

from harness import UNBOUNDED, KernelCase, Target, target, wait_for


class Ends(KernelCase):
    def test_the_target_exits(self):
        agent, t = self.agent(), Target(self, 'execer')
        tr = agent.trace('-p', t.pid, 'tick')
        t.signal(signal.SIGTERM)
        self.assertEqual(tr.wait(), 1)
        self.assertIn('has ended', tr.stderr)
        self.assertIn(str(t.pid), tr.stderr)
        self.assertGreaterEqual(tr.total()['calls'], 0)
        self.assertNotIn('tick', agent.requests())

    def test_the_target_exits_inside_the_call(self):
        agent, t = self.agent(), Target(self, 'execer')
        tr = agent.trace('-p', t.pid, '--json', 'tick')
        tr.wait_line('"tick"')
        t.signal(signal.SIGHUP)
        self.assertEqual(tr.wait(), 1)
        self.assertEqual(t.wait(), 3)
        total = tr.total()
        self.assertEqual(total['shown'] + total['open'] + total['unwound'], total['calls'])

    def test_every_call_up_to_the_end_is_shown(self):
        agent, t = self.agent(), Target(self, 'exact-gcc-O2', 'ints', '--calls', 300)
        tr = agent.trace('-p', t.pid, '--json', 'take_ints')
        t.go()
        t.truth()
        t.go()
        t.wait()
        self.assertEqual(tr.wait(), 1)
        self.assertEqual((tr.total()['calls'], tr.total()['shown'], len(tr.records())), (300, 300, 300))

    def test_kill_9_of_the_target(self):
        agent, t = self.agent(*UNBOUNDED), Target(self, 'busy')
        tr = agent.trace('-p', t.pid, '--sample', '1/1000', 'work')
        time.sleep(0.3)
        t.popen.kill()
        self.assertEqual(tr.wait(), 1)
        self.assertIn('has ended', tr.stderr)


class Execs(KernelCase):
    def test_the_target_executes_another_program(self):
        agent, t = self.agent(), Target(self, 'execer', target('busy'))
        tr = agent.trace('-p', t.pid, '--json', 'tick')
        tr.wait_line('"tick"')
        t.signal(signal.SIGUSR2)
        self.assertEqual(tr.wait(), 1)
        self.assertIn('executes another program', tr.stderr)
        self.assertTrue(all(r['function'] == 'tick' and r['args']['generation'] == 0 for r in tr.records()))
        t.signal(signal.SIGTERM)
        self.assertEqual(t.wait(), 0)
        self.assertIn('ok loops', t.stdout)

    def test_the_target_executes_itself(self):
        """The same file, so the same probe: nothing wrong is shown, whether it goes on or ends."""
        agent, t = self.agent(), Target(self, 'execer')
        tr = agent.trace('-p', t.pid, '--json', 'tick')
        tr.wait_line('"tick"')
        t.signal(signal.SIGUSR1)
        t.wait_line('generation=1')
        time.sleep(0.5)
        tr.signal(signal.SIGINT)
        self.assertIn(tr.wait(), (0, 1))
        for r in tr.records():
            self.assertEqual(r['ret'], r['args']['n'] % 1000 + (1 if r['args']['generation'] else 0))
        t.signal(signal.SIGTERM)
        self.assertEqual(t.wait(), 0)


class Comes(KernelCase):
    def test_by_name_and_later(self):
        agent, first = self.agent(), Target(self, 'execer')
        tr = agent.trace('-s', 'execer', '--json', 'tick')
        tr.wait_line('"pid":%d,' % first.pid)
        second = Target(self, 'execer')
        tr.wait_line('"pid":%d,' % second.pid)
        first.signal(signal.SIGTERM)
        first.wait()
        wait_for('notice', lambda: 'has ended' in tr.stderr)
        n = len(tr.lines())
        wait_for('more of the second', lambda: len(tr.lines()) > n + 10)
        tr.stop()

    def test_by_path_and_later(self):
        """-x: nothing runs yet; each process that comes is seen from its first call on."""
        agent = self.agent()
        tr = agent.trace('-x', target('exact-gcc-O2'), '--json', 'take_ints')
        pids = []
        for n in (1, 2):
            t = Target(self, 'exact-gcc-O2', 'ints', '--calls', 50)
            pids.append(t.pid)
            t.go()
            t.truth()
            t.finish()
        wait_for('records', lambda: len(tr.lines()) >= 100)
        tr.stop()
        self.assertEqual((tr.total()['calls'], len(tr.records())), (100, 100))
        self.assertEqual([r['pid'] for r in tr.records()], [pids[0]] * 50 + [pids[1]] * 50)
        self.assertLessEqual({r['comm'] for r in tr.records()}, {'exact-gcc-O2', '?'})   # ?: gone before plumbd looked

    def test_by_path_with_processes_that_live_shorter_than_a_tick(self):
        agent = self.agent(*UNBOUNDED)
        tr = agent.trace('-x', target('exact-gcc-O2'), '--json', 'take_ints')
        for _ in range(20):
            p = subprocess.run([target('exact-gcc-O2'), 'ints', '--calls', '10'], stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, check=True)
            self.assertIn(b'"ok":true', p.stdout)
        wait_for('records', lambda: len(tr.lines()) >= 200)
        tr.stop()
        self.assertEqual((tr.total()['calls'], len(tr.records())), (200, 200))
        self.assertEqual(len({r['pid'] for r in tr.records()}), 20)


class Library(KernelCase):
    def check(self, tr, t, calls):
        tr.stop()
        self.assertEqual(tr.total()['calls'], calls)
        self.assertEqual(tr.total()['errors'], calls // 5)
        got = [(r['args']['pair'], r['args']['factor'], r['ret']) for r in tr.records()]
        self.assertEqual(got, [({'left': i, 'right': 2 * i, 'name': 'pair'}, i % 5, 3 * i * (i % 5) if i % 5 else -22)
                               for i in range(calls)])
        t.finish()

    def test_function_of_a_library(self):
        agent, t = self.agent(), Target(self, 'uselib', '--calls', 50)
        tr = agent.trace('-p', t.pid, '--json', 'libshared.so:shared_sum')
        t.go()
        self.assertTrue(t.truth()['ok'])
        self.check(tr, t, 50)

    def test_library_by_its_path(self):
        agent, t = self.agent(), Target(self, 'uselib', '--calls', 50)
        tr = agent.trace('-x', target('libshared.so'), '--json', 'shared_sum')
        t.go()
        self.assertTrue(t.truth()['ok'])
        self.check(tr, t, 50)

    def test_library_that_is_loaded_later(self):
        agent, t = self.agent(), Target(self, 'uselib-late', '--calls', 50, '--dlopen', target('libshared.so'))
        tr = agent.trace('-x', target('libshared.so'), '--json', 'shared_sum')
        t.go()
        self.assertTrue(t.truth()['ok'])
        self.check(tr, t, 50)

    def test_library_without_debug_information(self):
        agent, t = self.agent(), Target(self, 'busy')
        p = agent.run('trace', '-p', t.pid, '--limit', 20, '--json', 'libc.so.6:malloc($arg0)')
        sizes = [int(str(json.loads(x)['args']['$arg0']), 0) for x in p.lines()[:-1]]
        self.assertTrue(all(1 <= s <= 512 for s in sizes), sizes)


class Files(KernelCase):
    agent_args = UNBOUNDED

    def copy(self, name='exact-gcc-O2'):
        path = self.path('copy')
        shutil.copy(target(name), path)
        return path

    def trace_of(self, agent, t):
        tr = agent.trace('-p', t.pid, '--json', 'take_ints')
        t.go()
        t.truth()
        tr.stop()
        t.finish()
        self.assertEqual((tr.total()['calls'], len(tr.records())), (100, 100))
        self.assertEqual([r['args']['e'] for r in tr.records()], [-1000 * i for i in range(100)])

    def test_deleted(self):
        path = self.copy()
        agent, t = self.agent(), Target(self, path, 'ints')
        os.unlink(path)
        self.trace_of(agent, t)

    def test_replaced_by_another_program(self):
        """The path leads to another file now: what is mapped counts."""
        path = self.copy()
        agent, t = self.agent(), Target(self, path, 'ints')
        shutil.copy(target('busy'), path + '.new')
        os.rename(path + '.new', path)
        self.trace_of(agent, t)

    def test_by_path_after_a_replacement(self):
        """Old and new program under one path: -x means the file that is there now."""
        path = self.copy()
        agent, old = self.agent(), Target(self, path, 'ints')
        shutil.copy(target('exact-gcc-O0'), path + '.new')
        os.rename(path + '.new', path)
        new = Target(self, path, 'ints')
        tr = agent.trace('-x', path, '--json', 'take_ints')
        for t in (old, new):
            t.go()
            t.truth()
            t.finish()
        wait_for('records', lambda: len(tr.lines()) >= 100)
        tr.stop()
        self.assertEqual({r['pid'] for r in tr.records()}, {new.pid})
        self.assertEqual(tr.total()['calls'], 100)

    def test_overwritten_in_place(self):
        """Same inode, other code: writing to a program that runs is refused by the kernel, to a library it is not."""
        shutil.copy(target('uselib'), self.path('uselib'))
        shutil.copy(target('libshared.so'), self.path('libshared.so'))
        agent, first = self.agent(), Target(self, self.path('uselib'), '--calls', 20)
        tr = agent.trace('-x', self.path('libshared.so'), '--json', 'shared_sum')
        first.go()
        self.assertTrue(first.truth()['ok'])
        first.finish()
        wait_for('records', lambda: len(tr.lines()) >= 20)
        with open(target('libshared.so'), 'rb') as f:
            data = f.read()
        with open(self.path('libshared.so'), 'r+b') as f:   # e.g. cp new.so old.so
            f.write(data)
            f.write(b'\0' * 64)
        second = Target(self, self.path('uselib'), '--calls', 20)
        second.go()
        self.assertTrue(second.truth()['ok'], 'the probe of the old file has damaged the new one')
        second.finish()
        tr.signal(signal.SIGINT)
        self.assertIn(tr.wait(), (0, 1))
