# SPDX-License-Identifier: Apache-2.0
"""plumbd itself: its socket, who may do what, what it lists, and how probes end."""
import grp
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import time

import wire
from harness import PLUMB, SANITIZED, UNBOUNDED, KernelCase, Process, Target, alive, target, wait_for


def uprobes_of(pid):
    """True while the process has a breakpoint in it: the kernel gives it a page for stepping and returns."""
    with open('/proc/%d/maps' % pid) as f:
        return '[uprobes]' in f.read()


class Inventory(KernelCase):
    def test_ps(self):
        agent, t = self.agent(), Target(self, 'busy')
        line = [x for x in agent.run('ps').lines() if re.match(r'\s*%d\s' % t.pid, x)]
        self.assertRegex(line[0], r'\bbusy\b.*\b[0-9a-f]{40}\b.*\bC\b.*\byes\b')
        o = [x for x in map(json.loads, agent.run('ps', '--json').lines()) if x['pid'] == t.pid][0]
        self.assertEqual((o['name'], o['language'], o['debug_info'], o['exe']), ('busy', 'C', 'yes', t.argv[0]))

    def test_funcs(self):
        agent, t = self.agent(), Target(self, 'exact-gcc-O2', 'ints')
        out = agent.run('funcs', '-p', t.pid, 'take_*').stdout
        self.assertRegex(out, r'take_ints\s+int take_ints\(int8_t a, uint8_t b, int16_t c, uint16_t d, int32_t e, uint32_t f\)'
                              r'\s+tests/targets/exact_take.c')
        self.assertNotIn('give_int', out)
        names = [json.loads(x)['function'] for x in agent.run('funcs', '-p', t.pid, '--json').lines()]
        self.assertIn('give_int', names)
        self.assertIn('hidden_static', names)
        self.assertNotIn('only_inlined', names)
        self.assertEqual(len(names), len(set(names)))

    def test_funcs_of_what_is_stripped(self):
        agent, t = self.agent(), Target(self, 'exact-stripped', 'ints')
        self.assertIn('take_ints', agent.run('funcs', '-p', t.pid, 'take_*').stdout)

    def test_explain(self):
        agent, t = self.agent(), Target(self, 'exact-gcc-O2', 'ints')
        out = agent.run('explain', '-p', t.pid, 'take_floats(f, i) -> $ret if i > 3').stdout
        for part in ('exact_take.c:', 'site', 'ns per', 'plan', 'stop unless', 'SSE', 'error if'):
            self.assertIn(part, out)
        self.assertNotIn('running', agent.requests())

    def test_doctor(self):
        agent = self.agent()
        out = agent.run('doctor').stdout
        self.assertRegex(out, r'BPF programs\s+ok')
        self.assertTrue(all(re.search(r'\b(ok|missing|limited)\b', line) for line in out.splitlines()[1:]), out)


class Starting(KernelCase):
    def test_calls_before_the_last_place_is_attached_are_shown(self):
        """One process after another is attached: the first calls come before the request is answered."""
        path = os.path.join(self.dir, 'early-birds')
        shutil.copy(target('busy'), path)
        agent = self.agent(*UNBOUNDED)
        for _ in range(4):
            Process(self, [path, '--threads', '1'])
        probe = 'work(i) if i % 2048 == 0'
        wait_for('process', lambda: agent.run('ps').stdout.count('early-birds') == 4)
        tr = agent.trace('-s', 'early-birds', '--json', '--for', '1s', *[probe] * 4)
        tr.wait()
        total, records = tr.total(), tr.records()
        self.assertGreater(len(records), 0)
        self.assertEqual({r['comm'] for r in records}, {'early-birds'})
        self.assertEqual(len(records) + total['dropped'], total['matched'])


class Output(KernelCase):
    def shell(self, agent, t, command):
        p = subprocess.run(['bash', '-c', command.format(plumb='%s --socket %s' % (PLUMB, agent.socket), pid=t.pid)], timeout=60,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        return p.returncode, p.stdout, p.stderr

    def test_a_full_disk(self):
        agent, t = self.agent(*UNBOUNDED), Target(self, 'execer', target('busy'))
        for command in ('trace -p {pid} --for 5s tick', 'stat -p {pid} --for 5s --json tick', 'ps', 'funcs -p {pid}', 'help'):
            with self.subTest(command=command):
                code, _, err = self.shell(agent, t, '{plumb} ' + command + ' >/dev/full')
                self.assertEqual((code, err.count('cannot write the output: No space left on device')), (1, 1), err)

    def test_a_reader_that_has_seen_enough(self):
        agent, t = self.agent(*UNBOUNDED), Target(self, 'execer', target('busy'))
        code, out, err = self.shell(agent, t, '{plumb} trace -p {pid} tick | head -1; exit ${{PIPESTATUS[0]}}')
        self.assertEqual((code, out.count('\n'), err), (0, 1, ''))

    def test_closed_standard_streams(self):
        """The socket must not become standard output."""
        agent, t = self.agent(*UNBOUNDED), Target(self, 'execer', target('busy'))
        code, _, err = self.shell(agent, t, '{plumb} trace -p {pid} --limit 3 tick >&-')
        self.assertEqual(code, 0, err)
        self.assertRegex(err, r'^total calls=\d+ errors=\d+ shown=3 ')
        code, out, _ = self.shell(agent, t, '{plumb} trace -p {pid} --limit 3 --json tick <&- 2>&-')
        self.assertEqual((code, out.count('"ts"')), (0, 3))


class Access(KernelCase):
    NOBODY = 65534

    def test_mode_and_group_of_the_socket(self):
        group = grp.getgrgid(os.getgid() or 1) if os.getgid() else grp.getgrgid(1)
        agent = self.agent('--group', group.gr_name)
        st = os.stat(agent.socket)
        self.assertTrue(stat.S_ISSOCK(st.st_mode))
        self.assertEqual(stat.S_IMODE(st.st_mode), 0o660)
        self.assertEqual(st.st_gid, group.gr_gid)

    def as_nobody(self, agent, *args, gid, code):
        return agent.run(*args, code=code, preexec_fn=lambda: (os.setgroups([]), os.setgid(gid), os.setuid(self.NOBODY)))

    def test_a_member_of_the_group_sees_its_own_processes_only(self):
        group = grp.getgrgid(1)
        agent = self.agent('--group', group.gr_name)
        mine = Target(self, 'execer', preexec_fn=lambda: (os.setgroups([]), os.setuid(self.NOBODY)))
        other = Target(self, 'execer')
        pids = [json.loads(x)['pid'] for x in self.as_nobody(agent, 'ps', '--json', gid=1, code=0).lines()]
        self.assertIn(mine.pid, pids)
        self.assertNotIn(other.pid, pids)
        p = self.as_nobody(agent, 'trace', '-p', mine.pid, '--limit', 3, 'tick', gid=1, code=0)
        self.assertEqual(len(p.lines()), 3)
        p = self.as_nobody(agent, 'trace', '-p', other.pid, '--limit', 3, 'tick', gid=1, code=1)
        self.assertIn('another user', p.stderr)
        self.as_nobody(agent, 'funcs', '-p', other.pid, gid=1, code=1)
        self.as_nobody(agent, 'explain', '-p', other.pid, 'tick', gid=1, code=1)
        p = self.as_nobody(agent, 'trace', '-s', 'execer', '--limit', 30, '--json', 'tick', gid=1, code=0)
        self.assertEqual({o['pid'] for o in map(json.loads, p.lines()) if 'pid' in o}, {mine.pid})
        p = self.as_nobody(agent, 'trace', '-x', mine.argv[0], '--for', '500ms', '--json', 'tick', gid=1, code=0)
        self.assertEqual({o['pid'] for o in map(json.loads, p.lines()) if 'pid' in o}, {mine.pid})

    def test_a_member_does_not_see_the_requests_of_others(self):
        agent = self.agent('--group', grp.getgrgid(1).gr_name)
        t = Target(self, 'execer')
        agent.trace('-p', t.pid, 'tick')
        self.assertNotIn('tick', self.as_nobody(agent, 'list', gid=1, code=0).stdout)
        self.as_nobody(agent, 'rm', '1', gid=1, code=1)
        self.assertIn('tick', agent.requests())

    def test_others_cannot_connect(self):
        agent, t = self.agent('--group', grp.getgrgid(1).gr_name), Target(self, 'execer')
        p = self.as_nobody(agent, 'trace', '-p', t.pid, '--limit', 1, 'tick', gid=self.NOBODY, code=1)
        self.assertTrue(p.stderr)

    def test_no_agent_and_no_root(self):
        """What is missing is said in words."""
        p = Process(self, [PLUMB, 'ps'],
                    preexec_fn=lambda: (os.setgroups([]), os.setgid(self.NOBODY), os.setuid(self.NOBODY)))
        self.assertEqual(p.wait(), 1)
        self.assertIn('root', p.stderr)


class Private(KernelCase):
    def plumb(self, *args, code=0):
        self.assertFalse(os.path.exists('/run/plumb/plumbd.sock'), 'a plumbd of this machine would answer')
        p = Process(self, [PLUMB, *map(str, args)])
        self.assertEqual(p.wait(), code, p.stderr)
        return p

    def test_first_try_needs_no_setup(self):
        t = Target(self, 'execer')
        p = self.plumb('trace', '-p', t.pid, '--limit', 5, 'tick')
        self.assertEqual(len(p.lines()), 5)
        self.assertIn('execer', self.plumb('ps').stdout)
        self.assertIn('tick', self.plumb('funcs', '-p', t.pid).stdout)
        self.plumb('doctor')
        wait_for('end of the private agents', lambda: not self.agents_of_mine())

    def agents_of_mine(self):
        p = subprocess.run(['pgrep', '-P', str(os.getpid()), 'plumbd'], stdout=subprocess.PIPE, check=False)
        return p.stdout.split()

    def test_a_private_agent_ends_with_its_command(self):
        t = Target(self, 'execer')
        p = Process(self, [PLUMB, 'trace', '-p', str(t.pid), 'tick'])
        p.wait_line('tick')
        children = wait_for('private agent', lambda: subprocess.run(
            ['pgrep', '-P', str(p.pid)], stdout=subprocess.PIPE, check=False).stdout.split())
        p.popen.kill()
        wait_for('end of the private agent', lambda: not any(alive(int(c)) for c in children))
        t.signal(signal.SIGTERM)
        self.assertEqual(t.wait(), 0)

    def test_a_socket_that_was_named_is_not_replaced_by_a_private_agent(self):
        t, none = Target(self, 'execer'), self.path('none')
        for args in (['trace', '-p', str(t.pid), '--limit', '1', 'tick'], ['ps'], ['funcs', '-p', str(t.pid)]):
            p = Process(self, [PLUMB, '--socket', none, *args])
            self.assertEqual(p.wait(), 1, p.stderr)
            self.assertIn('no plumbd listens on ' + none, p.stderr)

    def test_list_makes_no_sense_without_plumbd(self):
        self.assertIn('plumbd', self.plumb('list', code=1).stderr)


class Life(KernelCase):
    def test_list_and_rm(self):
        agent, t = self.agent(), Target(self, 'execer')
        tr = agent.trace('-p', t.pid, '--json', 'tick')
        out = agent.requests()
        self.assertRegex(out, r'\b1\s+trace\s+-p %d\s+tick\b.*\brunning\b' % t.pid)
        wait_for('calls in the list', lambda: json.loads(agent.run('list', '--json').lines()[0]).get('calls', 0) > 10)
        agent.run('rm', 1)
        self.assertEqual(tr.wait(), 0, tr.stderr)
        self.assertIn('rm', tr.stderr)
        self.assertGreater(tr.total()['calls'], 0)
        self.assertNotIn('tick', agent.requests())

    def test_keep(self):
        agent, t = self.agent(), Target(self, 'execer')
        tr = agent.trace('-p', t.pid, '--keep', 'tick')
        tr.signal(signal.SIGINT)
        self.assertEqual(tr.wait(), 0)
        wait_for('kept request', lambda: 'kept' in agent.requests())
        calls = json.loads(agent.run('list', '--json').lines()[0])['calls']
        wait_for('more calls', lambda: json.loads(agent.run('list', '--json').lines()[0])['calls'] > calls)
        agent.run('rm', 1)
        wait_for('end of the request', lambda: 'tick' not in agent.requests())

    def test_time_to_live(self):
        agent, t = self.agent(), Target(self, 'execer')
        began = time.monotonic()
        tr = agent.trace('-p', t.pid, '--ttl', '1s', 'tick')
        self.assertIn(tr.wait(), (0, 1))
        self.assertGreater(time.monotonic() - began, 0.9)
        self.assertIn('time to live', tr.stderr)
        tr = agent.trace('-p', t.pid, '--ttl', '1s', '--keep', 'tick')
        tr.signal(signal.SIGINT)
        tr.wait()
        wait_for('end of the kept request', lambda: 'tick' not in agent.requests())

    def test_default_and_longest_time_to_live(self):
        agent, t = self.agent('--ttl', 1, '--max-ttl', 5), Target(self, 'execer')
        tr = agent.trace('-p', t.pid, 'tick')
        tr.wait()
        self.assertIn('at most', agent.run('trace', '-p', t.pid, '--ttl', '1h', 'tick', code=1).stderr)

    def test_requester_is_killed(self):
        agent, t = self.agent(), Target(self, 'execer')
        tr = agent.trace('-p', t.pid, 'tick')
        tr.popen.kill()
        wait_for('end of the request', lambda: 'tick' not in agent.requests())
        self.assertTrue(t.running())

    def test_sigterm_ends_all(self):
        agent, t = self.agent(), Target(self, 'execer')
        traces = [agent.trace('-p', t.pid, 'tick') for _ in range(3)]
        agent.signal(signal.SIGTERM)
        self.assertEqual(agent.wait(), 0)
        for tr in traces:
            self.assertEqual(tr.wait(), 1)
            self.assertIn('shutting down', tr.stderr)
            self.assertGreaterEqual(tr.total()['calls'], 0)
        self.assertFalse(os.path.exists(agent.socket))
        self.check_unharmed(t)

    def check_unharmed(self, t):
        before = self.ticks(t)
        wait_for('progress of the target', lambda: self.ticks(t) > before)
        t.signal(signal.SIGTERM)
        self.assertEqual(t.wait(), 0)

    def ticks(self, t):
        with open('/proc/%d/status' % t.pid) as f:
            return int(re.search(r'voluntary_ctxt_switches:\s*(\d+)', f.read()).group(1))

    def test_kill_9_of_the_agent(self):
        """The target goes on, untouched, and the next plumbd takes the socket over."""
        agent, t = self.agent(), Target(self, 'execer')
        tr = agent.trace('-p', t.pid, 'tick')
        agent.popen.kill()
        agent.popen.wait()
        self.assertEqual(tr.wait(), 1)
        self.assertTrue(os.path.exists(agent.socket))
        again = self.agent(socket=agent.socket)
        self.assertEqual(len(again.run('trace', '-p', t.pid, '--limit', 5, 'tick').lines()), 5)
        self.check_unharmed(t)

    def test_a_second_agent_on_the_same_socket(self):
        agent = self.agent()
        second = Process(self, [agent.argv[0], '--socket', agent.socket])
        self.assertEqual(second.wait(), 1)
        self.assertIn(agent.socket, second.stderr)
        agent.run('ps')

    def test_rude_clients(self):
        """What is no frame ends the connection, and nothing else."""
        agent, t = self.agent(), Target(self, 'execer')
        tr = agent.trace('-p', t.pid, '--json', 'tick')
        for data in (b'\xff' * 64, b'\0\0\0\0', b'\0\0\0\1\xc1', b'\0\0\0\5\x95\x02\x01', b'GET / HTTP/1.1\r\n\r\n' * 4,
                     wire.pack([wire.HELLO, 1]), b'\0\x10\0\0' + b'\x91' * 0x100000, b'\0\0\0\x0a' + b'\xdd\xff\xff\xff\xff\0\0\0\0\0'):
            import socket
            with socket.socket(socket.AF_UNIX) as s:
                s.settimeout(60)
                s.connect(agent.socket)
                try:
                    s.sendall(data)
                    s.shutdown(socket.SHUT_WR)
                    while s.recv(65536):
                        pass
                except (BrokenPipeError, ConnectionResetError):
                    pass
        with wire.Connection(agent.socket) as c:
            for verb, args in (('trace', {}), ('trace', []), ('nonsense', {}), ('rm', {'id': 'x'}), ('explain', {'probes': []}),
                               ('trace', {'target': {'pid': t.pid}, 'probes': ['tick'] * 65}),
                               ('trace', {'target': {'pid': t.pid}, 'probes': ['tick'], 'limit': 0}),
                               ('trace', {'target': {'pid': 0}, 'probes': ['tick']}),
                               ('trace', {'target': {'name': 'x' * 5000}, 'probes': ['tick']}), ('stop', {'id': 77})):
                with self.subTest(verb=verb, args=str(args)[:60]), self.assertRaises(wire.Refused):
                    c.call(verb, args)
        self.assertTrue(tr.running())
        tr.stop()
        self.assertGreater(tr.total()['calls'], 0)

    def test_many_requests_at_once(self):
        agent, t = self.agent(*UNBOUNDED), Target(self, 'execer')
        n = 20 if SANITIZED else 60
        with wire.Connection(agent.socket) as c:
            ids = [c.trace({'target': {'pid': t.pid}, 'probes': ['tick']}) for _ in range(n)]
            wait_for('calls of each', lambda: min(json.loads(line)['calls'] for line in agent.run('list', '--json').lines()) > 50)
            for wire_id in ids:
                end, _ = c.stop(wire_id)
                self.assertGreater(wire.total(end, 'calls'), 50)
        self.check_unharmed(t)
