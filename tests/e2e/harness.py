# SPDX-License-Identifier: Apache-2.0
"""What end-to-end tests share: an agent on a private socket, target processes, plumb commands.  Whatever a test starts ends
with the test, by its own process id."""
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.abspath(os.environ.get('PLUMB_BUILD', os.path.join(ROOT, 'build')))
TARGETS = os.environ.get('PLUMB_TARGETS', os.path.join(BUILD, 'targets'))
PLUMB, PLUMBD = os.path.join(BUILD, 'plumb'), os.path.join(BUILD, 'plumbd')
NO_KERNEL = os.environ.get('PLUMB_NO_KERNEL', '0') not in ('', '0')
QUICK = os.environ.get('PLUMB_QUICK', '0') not in ('', '0')
SANITIZED = os.environ.get('PLUMB_SANITIZED', '0') not in ('', '0')
WAIT = 120 if SANITIZED else 60         # seconds until something is given up

SANITIZER = re.compile(r'(AddressSanitizer|LeakSanitizer|runtime error:)[^\n]*')

# The line of a record, and of the totals, as the README and the manual page have them.
TOTAL_LINE = re.compile(r'^total calls=(\d+) errors=(\d+) shown=(\d+) sampled=(\d+)'
                        r' dropped=(\d+)(?: \([^()]+\))? unread=(\d+)(?: \([^()]+\))?'
                        r'(?: matched=\d+)?(?: undecided=\d+)?(?: missed=\d+(?: \([^()]+\))?)?(?: open=\d+)?$', re.M)
RECORD_LINE = re.compile(r'^\d\d:\d\d:\d\d\.\d{6} [^\[]+\[\d+/\d+\] [\w.:$@~]+\(.*\)(?: = .+)?(?: <[\d.]+(?:ns|us|ms|s)>)?(?: error)?$')


def target(name):
    return os.path.join(TARGETS, name)


def wait_for(what, condition, timeout=WAIT, every=0.01):
    """Until condition() is true; its value."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError('no %s within %s s' % (what, timeout))
        time.sleep(every)


def alive(pid):
    """True for a process that runs, False for a zombie."""
    try:
        with open('/proc/%d/stat' % pid) as f:
            return f.read().rsplit(')', 1)[1].split()[0] != 'Z'
    except OSError:
        return False


def cpu_seconds(pid, children=False):
    """Processor time of a process; with that of its children, those that have ended among them."""
    def fields(pid):
        with open('/proc/%d/stat' % pid) as f:
            return [int(n) for n in f.read().rsplit(')', 1)[1].split()[11:15]]     # user, system, the same of children that were waited for
    ticks = fields(pid)
    if children:
        with open('/proc/%d/task/%d/children' % (pid, pid)) as f:
            living = [int(n) for n in f.read().split()]
        for child in living:
            with contextlib.suppress(OSError):
                ticks += fields(child)
    return sum(ticks if children else ticks[:2]) / os.sysconf('SC_CLK_TCK')


class Process:
    """A child whose output goes to files, so that it never waits for its reader."""

    def __init__(self, test, argv, stdin=subprocess.DEVNULL, **popen):
        self.test, self.argv = test, argv
        self.out_path = os.path.join(test.dir, 'out.%d' % test.count())
        self.err_path = self.out_path + '.err'
        with open(self.out_path, 'wb') as out, open(self.err_path, 'wb') as err:
            self.popen = subprocess.Popen(argv, stdin=stdin, stdout=out, stderr=err, **popen)
        self.pid = self.popen.pid
        test.addCleanup(self.reap)

    def reap(self):
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGCONT)
            self.popen.kill()
        self.popen.wait()
        if self.popen.stdin:
            with contextlib.suppress(BrokenPipeError):
                self.popen.stdin.close()
        if SANITIZED:
            found = SANITIZER.search(self.stderr)
            if found:
                raise AssertionError('%s: %s\n%s' % (self.argv[0], found.group(0), self.stderr[-6000:]))

    def read(self, path):
        with open(path, errors='replace') as f:
            return f.read()

    @property
    def stdout(self):
        return self.read(self.out_path)

    @property
    def stderr(self):
        return self.read(self.err_path)

    def lines(self):
        return self.stdout.splitlines()

    def running(self):
        return self.popen.poll() is None

    def catches(self, sig):
        """Before that a Ctrl-C ends it without more ado."""
        with open('/proc/%d/status' % self.pid) as f:
            caught = re.search(r'^SigCgt:\s*(\w+)', f.read(), re.M)
        return caught and int(caught.group(1), 16) >> (sig - 1) & 1

    def signal(self, sig):
        self.popen.send_signal(sig)

    def wait(self, timeout=WAIT):
        """-> exit code"""
        try:
            return self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError('%s still runs after %s s\nstdout: %s\nstderr: %s' %
                                 (' '.join(self.argv), timeout, self.stdout[-2000:], self.stderr[-2000:]))

    def wait_line(self, pattern, timeout=WAIT, stream='stdout'):
        """Until a whole line that matches is there -> match"""
        def look():
            if not self.running() and not re.search(pattern, getattr(self, stream), re.M):
                raise AssertionError('%s ended (%s) before /%s/ came\nstdout: %s\nstderr: %s' %
                                     (' '.join(self.argv), self.popen.returncode, pattern, self.stdout[-2000:],
                                      self.stderr[-2000:]))
            text = getattr(self, stream)
            return re.search(pattern, text[:text.rfind('\n') + 1], re.M)
        return wait_for('line /%s/ of %s' % (pattern, self.argv[0]), look, timeout)


class Target(Process):
    """A program of tests/targets: says "ready", waits for lines."""

    def __init__(self, test, name, *args, **popen):
        path = name if '/' in name else target(name)
        super().__init__(test, [path, *map(str, args)], stdin=subprocess.PIPE, **popen)
        self.wait_line(r'^ready ')

    def go(self):
        with contextlib.suppress(BrokenPipeError):
            self.popen.stdin.write(b'\n')
            self.popen.stdin.flush()

    def truth(self, timeout=WAIT):
        """After go: the JSON that the target prints when all calls are done."""
        return json.loads(self.wait_line(r'^\{.*\}$', timeout).group(0))

    def finish(self, code=0):
        self.go()
        self.test.assertEqual(self.wait(), code, 'the target did not end well: ' + self.stdout[-500:] + self.stderr[-500:])


class Agent(Process):
    """A plumbd on a socket of its own.  It ends well with the test, or the test has failed."""

    def __init__(self, test, *args, socket=None, **popen):
        self.socket = socket or os.path.join(test.dir, 'plumbd.sock')
        cache = ['--cache', os.path.join(test.dir, 'cache')]     # an option that comes later replaces it
        super().__init__(test, [PLUMBD, '--socket', self.socket, *cache, *map(str, args)], **popen)
        wait_for('socket of plumbd', lambda: self.is_up() or None)

    def is_up(self):
        if not self.running():
            raise AssertionError('plumbd ended: ' + self.stderr[-2000:])
        return 'part=agent event=ready' in self.stderr

    def reap(self):
        code = None
        if self.running():
            self.signal(signal.SIGCONT)
            self.signal(signal.SIGTERM)
            with contextlib.suppress(AssertionError):
                code = self.wait(20)
        super().reap()
        if code != 0 and code is not None:
            raise AssertionError('plumbd ended with %s: %s' % (code, self.stderr[-4000:]))
        if self.popen.returncode not in (0, -signal.SIGKILL):
            raise AssertionError('plumbd ended with %s: %s' % (self.popen.returncode, self.stderr[-4000:]))

    def command(self, *args):
        """The command line of a plumb that talks to this agent."""
        return [PLUMB, '--socket', self.socket, *map(str, args)]

    def run(self, *args, code=0, timeout=WAIT, **popen):
        """A plumb command from beginning to end -> Process, ended with that exit code."""
        p = Process(self.test, self.command(*args), **popen)
        got = p.wait(timeout)
        if code is not None and got != code:
            raise AssertionError('plumb %s: exit code %s, not %s\nstdout: %s\nstderr: %s' %
                                 (' '.join(map(str, args)), got, code, p.stdout[-3000:], p.stderr[-3000:]))
        return p

    def requests(self):
        """What `plumb list` says."""
        return self.run('list').stdout

    def running_requests(self):
        return len(re.findall(r'\brunning\b', self.requests()))

    def trace(self, *args, verb='trace', **popen):
        """A trace that runs, or has run and ended by itself: returns when its probes are attached."""
        before = self.starts()
        p = Trace(self.test, self.command(verb, *args), **popen)

        def started():
            running = p.running()
            if self.starts() > before:
                return not running or p.catches(signal.SIGINT)
            if not running:
                raise AssertionError('%s ended with %s\nstdout: %s\nstderr: %s' % (
                    ' '.join(p.argv), p.popen.returncode, p.stdout[-2000:], p.stderr[-2000:]))
            return False
        wait_for('start of ' + ' '.join(p.argv), started)
        return p

    def starts(self):
        return len(re.findall(r'part=request event=start ', self.stderr))


class Trace(Process):
    def stop(self, code=0):
        """Ctrl-C, as a person does it."""
        self.signal(signal.SIGINT)
        self.test.assertEqual(self.wait(), code, self.stderr[-2000:])
        return self

    def objects(self):
        """--json: every line is an object by itself."""
        return [json.loads(line) for line in self.lines()]

    def records(self):
        return [o for o in self.objects() if 'total' not in o]

    def total(self):
        """The last object of --json, or the line on stderr -> {name: number}"""
        lines = self.lines()
        if lines and lines[-1].startswith('{"total"'):
            return json.loads(lines[-1])['total']
        found = TOTAL_LINE.search(self.stderr)
        if not found:
            raise AssertionError('no totals in: ' + self.stderr[-2000:] + self.stdout[-500:])
        return dict(zip(('calls', 'errors', 'shown', 'sampled', 'dropped', 'unread'), map(int, found.groups())))


class Case(unittest.TestCase):
    """A temporary directory, and a limit of seconds for each test: several times what a slow machine needs."""
    limit = 120
    maxDiff = 4000

    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix='plumb-test.')
        os.chmod(self.dir, 0o755)
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        self.n_files = 0
        self.arm(self.limit * (4 if SANITIZED else 1))

    def count(self):
        self.n_files += 1
        return self.n_files

    def arm(self, seconds):
        def late(sig, frame):
            raise AssertionError('the test takes more than %d s' % seconds)
        old = signal.signal(signal.SIGALRM, late)
        signal.alarm(seconds)
        self.addCleanup(signal.signal, signal.SIGALRM, old)
        self.addCleanup(signal.alarm, 0)

    def path(self, name):
        return os.path.join(self.dir, name)


@unittest.skipIf(NO_KERNEL, 'PLUMB_NO_KERNEL')
class KernelCase(Case):
    """A test that attaches probes."""
    agent_args = ()

    def agent(self, *args, **more):
        return Agent(self, *self.agent_args, *args, **more)


# Where a test wants to see every call, whatever it costs the target.
UNBOUNDED = ('--budget', '10000', '--max-budget', '10000')
