# SPDX-License-Identifier: Apache-2.0
"""Programs that run, but whose symbols or debug information are damaged: refused in words and in bounded time, or right."""
import os
import random
import re
import shutil
import struct

from harness import QUICK, SANITIZED, UNBOUNDED, KernelCase, Target, cpu_seconds, target

SECONDS = 20 if SANITIZED else 5     # of processor time: what else runs on the machine does not count


def sections(path):
    """{name: (offset, size)} of an ELF file"""
    with open(path, 'rb') as f:
        data = f.read()
    shoff, = struct.unpack_from('<Q', data, 0x28)
    entsize, count, names = struct.unpack_from('<HHH', data, 0x3a)
    raw = [struct.unpack_from('<IIQQQQ', data, shoff + i * entsize) for i in range(count)]
    table = raw[names][4]
    return {data[table + r[0]:data.index(b'\0', table + r[0])].decode(): (r[4], r[5]) for r in raw}


class Corrupt(KernelCase):
    limit = 300
    agent_args = UNBOUNDED

    def damaged(self, damage, source='exact-gcc-O2'):
        """A copy of a program, changed by damage(bytearray, sections); it must still run."""
        path = self.path('damaged.%d' % self.count())
        shutil.copy(target(source), path)
        with open(path, 'rb') as f:
            data = bytearray(f.read())
        damage(data, sections(path))
        with open(path, 'wb') as f:
            f.write(data)
        return path

    def ask(self, agent, *args):
        """It is answered, and it takes the agent and its readers no longer than it may."""
        before = cpu_seconds(agent.pid, children=True)
        p = agent.run(*args, code=None)
        self.assertIn(p.popen.returncode, (0, 1), '%s: %s' % (args, p.stderr))
        self.assertLess(cpu_seconds(agent.pid, children=True) - before, SECONDS, args)
        return p

    def check(self, agent, path):
        """Everything that reads the file answers soon, and the target goes on."""
        t = Target(self, path, 'ints', '--calls', 20)
        for args in (['explain', '-p', t.pid, 'take_tree'], ['funcs', '-p', t.pid], ['ps']):
            p = self.ask(agent, *args)
            self.assertTrue(p.popen.returncode == 0 or p.stderr.startswith('plumb: '), p.stderr)
        p = agent.run('trace', '-p', t.pid, '--for', '20ms', 'take_ints', code=None)
        self.assertIn(p.popen.returncode, (0, 1), p.stderr)
        t.go()
        self.assertTrue(t.truth()['ok'])
        t.finish()
        self.assertTrue(agent.running())

    def test_truncated(self):
        """Cut behind what is loaded: no section headers, no symbols, no debug information."""
        agent = self.agent()

        def cut(data, s):
            last = max(o + n for name, (o, n) in s.items() if name in ('.data', '.init_array', '.dynamic', '.got', '.got.plt'))
            del data[last + 64:]
        self.check(agent, self.damaged(cut))

    def test_cut_in_the_middle_of_the_debug_information(self):
        agent = self.agent()

        def cut(data, s):
            del data[s['.debug_info'][0] + s['.debug_info'][1] // 2:]
        self.check(agent, self.damaged(cut))

    def test_random_bytes_in_each_section(self):
        agent, rng = self.agent(), random.Random(1)
        for name in ('.debug_info', '.debug_abbrev', '.debug_line', '.debug_str', '.debug_loclists', '.debug_rnglists',
                     '.debug_aranges', '.symtab', '.strtab', '.shstrtab'):
            with self.subTest(section=name):
                def flip(data, s, name=name):
                    offset, size = s.get(name, (0, 0))
                    for _ in range(max(size // 50, 4) if size else 0):
                        data[offset + rng.randrange(size)] = rng.randrange(256)
                self.check(agent, self.damaged(flip))

    def test_single_bytes_all_over_the_debug_information(self):
        agent, rng = self.agent(), random.Random(2)
        for n in range(10 if QUICK or SANITIZED else 40):
            def flip(data, s):
                for name in ('.debug_info', '.debug_abbrev'):
                    offset, size = s[name]
                    data[offset + rng.randrange(size)] ^= 1 << rng.randrange(8)
            with self.subTest(n=n):
                path = self.damaged(flip)
                t = Target(self, path, 'ints')
                self.ask(agent, 'explain', '-p', t.pid, rng.choice(('take_ints', 'take_tree', 'take_names', 'give_pair')))
                t.go()
                t.finish()
                os.unlink(path)

    def test_section_headers_of_impossible_size(self):
        agent = self.agent()

        def huge(data, s):
            shoff, = struct.unpack_from('<Q', data, 0x28)
            entsize, count = struct.unpack_from('<HH', data, 0x3a)
            for i in range(1, count):
                at = shoff + i * entsize
                if struct.unpack_from('<Q', data, at + 8)[0] & 2 == 0:   # not loaded
                    struct.pack_into('<Q', data, at + 32, 0x7fffffffffff)
        self.check(agent, self.damaged(huge))

    def test_a_debuglink_to_another_program(self):
        """The separate file is not this program's: it must not be believed."""
        directory = self.path('split')
        os.mkdir(directory)
        shutil.copy(target('exact-split'), directory)
        shutil.copy(target('busy'), os.path.join(directory, 'exact-split.debug'))
        agent = self.agent()
        t = Target(self, os.path.join(directory, 'exact-split'), 'ints')
        p = agent.run('explain', '-p', t.pid, 'take_ints(a)', code=None)
        self.assertFalse(re.search(r'work|busy\.c', p.stdout), p.stdout)
        self.assertEqual(p.popen.returncode, 1, p.stdout)
