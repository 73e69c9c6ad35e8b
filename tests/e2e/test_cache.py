# SPDX-License-Identifier: Apache-2.0
"""Programs with compressed debug information: the same answers as without, and what was inflated serves the next request."""
import os
import re
import shutil
import signal
import stat
import subprocess

from harness import UNBOUNDED, Agent, KernelCase, Target, alive, target, wait_for


def children(pid):
    with open('/proc/%d/task/%d/children' % (pid, pid)) as f:
        return [int(p) for p in f.read().split()]


class Cache(KernelCase):
    limit = 200

    def packed(self):
        """A copy of a program, its debug sections compressed."""
        path = self.path('packed')
        subprocess.run(['objcopy', '--compress-debug-sections=zlib', target('exact-gcc-O2'), path], check=True)
        return path

    def with_cache(self, cache):
        return Agent(self, *UNBOUNDED, '--cache', cache)

    def anew(self, agent, cache):
        """Another agent: no process of it has the file open any more."""
        agent.reap()
        return self.with_cache(cache)

    def entries(self, cache):
        return sorted(os.path.join(cache, name) for name in os.listdir(cache)) if os.path.isdir(cache) else []

    def explained(self, agent, path):
        t = Target(self, path, 'ints', '--calls', 20)
        text = agent.run('explain', '-p', t.pid, 'take_tree').stdout
        t.go()
        t.finish()
        return re.sub(r'(?m)^cost .*$|in %s,' % os.path.basename(path), '', text)

    def test_the_second_request_reads_what_the_first_one_inflated(self):
        cache, path = self.path('cache'), self.packed()
        agent = self.with_cache(cache)
        plain = self.explained(agent, target('exact-gcc-O2'))
        self.assertIn('take_tree(', plain)
        self.assertEqual(self.entries(cache), [])
        self.assertEqual(self.explained(agent, path), plain)
        entry, = self.entries(cache)
        st = os.stat(entry)
        self.assertEqual(stat.S_IMODE(st.st_mode), 0o600)
        self.assertEqual(stat.S_IMODE(os.stat(cache).st_mode), 0o700)
        with open(entry, 'rb') as f:
            content = f.read()
        self.assertGreater(st.st_blocks, 0)
        agent = self.anew(agent, cache)
        self.assertEqual(self.explained(agent, path), plain)
        with open(entry, 'rb') as f:
            self.assertEqual(f.read(), content, 'it was inflated again')
        self.assertGreater(os.stat(entry).st_mtime_ns, st.st_mtime_ns, 'the entry was not used')

    def test_trace(self):
        agent = self.with_cache(self.path('cache'))
        for path in (self.packed(), self.path('packed')):
            t = Target(self, path, 'ints', '--calls', 20)
            trace = agent.trace('-p', t.pid, '--json', '--limit', '20', 'take_ints')
            t.go()
            self.assertEqual(trace.wait(), 0)
            self.assertTrue(t.truth()['ok'])
            self.assertEqual(len(trace.records()), 20)
            self.assertNotIn('$arg0', trace.records()[0]['args'])
            t.finish()

    def test_an_agent_without_a_cache_answers_too(self):
        bad, path = self.path('open'), self.packed()
        os.mkdir(bad)
        os.chmod(bad, 0o777)
        agent = self.with_cache(bad)
        self.assertIn('event=cache_unusable', agent.stderr)
        text = self.explained(agent, path)
        self.assertIn('take_tree(', text)
        self.assertEqual(self.entries(bad), [])
        agent.reap()
        agent = Agent(self, *UNBOUNDED, '--cache', 'none', socket=self.path('none.sock'))
        self.assertNotIn('cache_unusable', agent.stderr)
        self.assertEqual(self.explained(agent, path), text)

    def test_a_damaged_cache_is_made_again(self):
        cache, path = self.path('cache'), self.packed()
        agent = self.with_cache(cache)
        text = self.explained(agent, path)
        entry, = self.entries(cache)
        shutil.copy(entry, self.path('good'))
        with open(entry, 'r+b') as f:
            for at in range(8192, os.path.getsize(entry), 997):
                f.seek(at)
                f.write(b'\xa5\x5a')
        for _ in range(2):
            agent = self.anew(agent, cache)
            self.assertEqual(self.explained(agent, path), text)

    def test_a_file_that_is_replaced_is_inflated_anew(self):
        cache, path = self.path('cache'), self.packed()
        agent = self.with_cache(cache)
        text = self.explained(agent, path)
        subprocess.run(['objcopy', '--compress-debug-sections=zlib', target('exact-clang-O2'), self.path('other')], check=True)
        shutil.copyfile(self.path('other'), path)         # the same inode
        plain = self.explained(agent, target('exact-clang-O2'))
        self.assertNotEqual(plain, text)
        self.assertEqual(self.explained(agent, path), plain)
        self.assertEqual(len(self.entries(cache)), 1)

    def kept(self, agent):
        """The child that has answered, when the one that calibrates has ended -> its pid"""
        def only():
            found = children(agent.pid)
            return found[0] if len(found) == 1 else None
        return wait_for('one child of plumbd', only)

    def test_the_child_that_has_answered_is_asked_again(self):
        agent = self.with_cache(self.path('cache'))
        path = target('exact-gcc-O2')
        text = self.explained(agent, path)
        child = self.kept(agent)
        self.assertEqual(self.explained(agent, path), text)
        t = Target(self, path, 'ints', '--calls', 20)
        trace = agent.trace('-p', t.pid, '--json', '--limit', '20', 'take_ints')
        t.go()
        self.assertEqual(trace.wait(), 0)
        self.assertEqual(len(trace.records()), 20)
        t.finish()
        self.assertEqual(self.kept(agent), child)
        os.kill(child, signal.SIGKILL)
        wait_for('plumbd to notice', lambda: not children(agent.pid))
        self.assertEqual(self.explained(agent, path), text)
        child = self.kept(agent)
        agent.popen.kill()
        wait_for('the child to end with plumbd', lambda: not alive(child))
