# SPDX-License-Identifier: Apache-2.0
"""Both daemons as ops sees them: option files, reload, readiness, what they give up, units, log lines."""
import os
import re
import signal
import socket
import subprocess

import harness
from collector import COLLECTOR, Collector
from harness import BUILD, SANITIZED, Case, KernelCase, Process, wait_for

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..')
PLUMBD = os.path.join(BUILD, 'plumbd')
LOG_LINE = re.compile(r'ts=\S+Z level=(debug|info|warn|error) part=[a-z]+ event=[a-z-]+( [a-z_]+=("[^"]*"|[^\s"]*))*$')


def status(pid, key):
    with open('/proc/%d/status' % pid) as f:
        return re.search(r'^%s:\s*(\S+)' % key, f.read(), re.M).group(1)


class NotifySocket:
    """What systemd would hear."""

    def __init__(self, test):
        self.path = test.path('notify')
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(self.path)
        self.sock.settimeout(60)
        test.addCleanup(self.sock.close)

    def next(self):
        return self.sock.recv(4096).decode()


class Files(Case):
    def check(self, program, text, code, says):
        path = self.path('file%d.yaml' % self.count())
        with open(path, 'w') as f:
            f.write(text)
        p = Process(self, [program, '--config', path, '--check-config'])
        self.assertEqual(p.wait(), code, p.stderr)
        self.assertIn(says, p.stdout + p.stderr)

    def test_check_config(self):
        self.check(COLLECTOR, 'listen: 127.0.0.1:0\nkeep-days: 3\n', 0, 'can be used')
        self.check(COLLECTOR, 'listne: 127.0.0.1:0\n', 2, 'listne')
        self.check(COLLECTOR, 'keep-days: many\n', 2, "'many'")
        self.check(COLLECTOR, 'tls-cert: /nonexistent\ntls-key: /nonexistent\ntls-ca: /nonexistent\n', 2, '/nonexistent')
        for name, kind in (('ed.pem', ['ed25519']), ('rsa.pem', ['rsa', '-pkeyopt', 'rsa_keygen_bits:2048']),
                           ('locked.pem', ['ed25519', '-aes-256-cbc', '-pass', 'pass:secret'])):
            subprocess.run(['openssl', 'genpkey', '-quiet', '-out', self.path(name), '-algorithm', *kind], check=True)
        self.check(COLLECTOR, 'sign-key: %s\n' % self.path('ed.pem'), 0, 'can be used')
        self.check(COLLECTOR, 'sign-key: %s\n' % self.path('rsa.pem'), 2, 'no private Ed25519 key')
        self.check(COLLECTOR, 'sign-key: %s\n' % self.path('locked.pem'), 2, 'without a password')
        self.check(COLLECTOR, 'sign-key: /nonexistent\n', 2, 'cannot read /nonexistent')
        self.check(PLUMBD, 'budget: 5\ncollector: 127.0.0.1:7717\nspool-bytes: 64M\n', 0, 'can be used')
        self.check(PLUMBD, 'budget: lots\n', 2, "'lots'")
        self.check(PLUMBD, 'attach: kprobe\n', 2, "'kprobe'")
        self.check(PLUMBD, 'private: 3\n', 2, 'private')

    def test_units(self):
        """systemd's own judgement, of at most 4.0 of 10."""
        for unit in ('plumb-collector.service', 'plumbd.service'):
            with open(os.path.join(ROOT, 'scripts', unit)) as f:
                text = f.read().replace('@SBINDIR@', BUILD)
            with open(self.path(unit), 'w') as f:
                f.write(text)
            with self.subTest(unit):
                p = subprocess.run(['systemd-analyze', 'security', '--offline=yes', '--threshold=40', self.path(unit)], stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, text=True, check=False)
                self.assertEqual(p.returncode, 0, p.stdout[-300:])


class CollectorRuns(Case):
    def collector(self, text, **popen):
        self.file = self.path('collector.yaml')
        with open(self.file, 'w') as f:
            f.write(text)
        return Collector(self, self.path('data'), '--config', self.file, **popen)

    def reload(self, c, text, event):
        before = c.stderr.count('event=' + event)
        with open(self.file, 'w') as f:
            f.write(text)
        c.signal(signal.SIGHUP)
        wait_for(event, lambda: c.stderr.count('event=' + event) > before)

    def test_reload(self):
        c = self.collector('keep-days: 3\n')
        self.reload(c, 'keep-days: 5\nmax-bytes: 1G\n', 'reloaded')
        self.assertIn('keep_days=5 max_bytes=1073741824', c.stderr)
        self.reload(c, 'keep-days: {}\n', 'not-reloaded')
        self.reload(c, 'keep-days: 6\nsign-key: /nonexistent\n', 'not-reloaded')
        self.reload(c, 'keep-days: 6\n', 'reloaded')
        c.signal(signal.SIGTERM)
        self.assertEqual(c.wait(), 0)

    def test_log_lines(self):
        c = self.collector('keep-days: 3\n')
        c.signal(signal.SIGHUP)
        wait_for('reload', lambda: 'event=reloaded' in c.stderr)
        c.signal(signal.SIGTERM)
        c.wait()
        for line in c.stderr.splitlines():
            self.assertRegex(line, LOG_LINE)

    def test_readiness(self):
        notify = NotifySocket(self)
        c = Process(self, [COLLECTOR, '--data', self.path('data'), '--listen', '127.0.0.1:0', '--http', '127.0.0.1:0'],
                    env=dict(os.environ, NOTIFY_SOCKET=notify.path))
        self.assertEqual(notify.next(), 'READY=1')
        c.signal(signal.SIGHUP)
        self.assertEqual([notify.next(), notify.next()], ['RELOADING=1', 'READY=1'])
        c.signal(signal.SIGTERM)
        self.assertEqual(notify.next(), 'STOPPING=1')
        self.assertEqual(c.wait(), 0)

    def test_what_it_gives_up(self):
        c = self.collector('')
        for thread in os.listdir('/proc/%d/task' % c.pid):
            self.assertEqual(int(status(int(thread), 'CapEff'), 16) & ~(1 << 10), 0, 'more than CAP_NET_BIND_SERVICE')
            self.assertEqual(int(status(int(thread), 'CapBnd'), 16) & ~(1 << 10), 0)
            self.assertEqual(status(int(thread), 'NoNewPrivs'), '1')
            if not SANITIZED:
                self.assertEqual(status(int(thread), 'Seccomp'), '2')


class AgentRuns(KernelCase):
    def test_what_it_gives_up_and_reloads(self):
        path = self.path('plumbd.yaml')
        with open(path, 'w') as f:
            f.write('budget: 5\n')
        agent = self.agent('--config', path)
        kept = {2, 0, 19, 21, 24, 38, 39, 40}    # DAC_READ_SEARCH CHOWN SYS_PTRACE SYS_ADMIN SYS_RESOURCE PERFMON BPF CHECKPOINT_RESTORE
        for thread in os.listdir('/proc/%d/task' % agent.pid):
            caps = int(status(int(thread), 'CapEff'), 16)
            self.assertEqual({i for i in range(64) if caps >> i & 1} - kept, set())
            self.assertEqual(status(int(thread), 'NoNewPrivs'), '1')
            if not SANITIZED:
                self.assertEqual(status(int(thread), 'Seccomp'), '2')
        with open(path, 'w') as f:
            f.write('budget: 7\n')
        agent.signal(signal.SIGHUP)
        wait_for('reload', lambda: 'budget_ppm=70000' in agent.stderr)
        t = harness.Target(self, 'execer')
        agent.run('trace', '-p', t.pid, '--limit', 1, 'tick')
        for line in agent.stderr.splitlines():
            self.assertRegex(line, LOG_LINE)
