# SPDX-License-Identifier: Apache-2.0
"""What must never be a PASS: claims and diffs as a hostile or hurried user writes them, and services that nothing can be said about."""
import json
import os
import resource
import unittest

from harness import PLUMB, ROOT, SANITIZED, Case, Process
from orders import TRIGGER, Orders

MEMORY = 256 << 20      # of plumb, for whatever it is given
BILLION_LAUGHS = 'a: &a [x, x]\n' + ''.join('%s: &%s [*%s, *%s, *%s, *%s]\n' % (k, k, *[chr(ord(k) - 1)] * 4) for k in 'bcdefghijklmnop')
RENAME = 'diff --git a/old.c b/new.c\nsimilarity index 100%\nrename from old.c\nrename to new.c\n'
BINARY = 'diff --git a/logo.png b/logo.png\nindex 1111111..2222222 100644\nGIT binary patch\nliteral 3\nKcmZQz00000\n\nliteral 0\nHcmV?d00001\n\n'
MODE = 'diff --git a/run.sh b/run.sh\nold mode 100644\nnew mode 100755\n'


def fix(version):
    with open(os.path.join(ROOT, 'tests/targets/orderd/fixes/v%d.diff' % version), newline='') as f:
        return f.read()


def little_memory():
    if not SANITIZED:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


class Files(Case):
    """Refused before anybody is asked: no agent runs."""

    def write(self, content):
        path = self.path('file%d' % self.count())
        with open(path, 'wb') as f:
            f.write(content if isinstance(content, bytes) else content.encode())
        return path

    def refused(self, *args):
        p = Process(self, [PLUMB, '--socket', self.path('none'), 'verify', *args], preexec_fn=little_memory)
        self.assertEqual((p.wait(), p.stdout), (2, ''), p.stderr)
        self.assertNotIn('\x1b', p.stderr)
        self.assertLess(len(p.stderr), 1000)
        return p.stderr

    def test_claims(self):
        for content, says in (
                (os.urandom(100000).replace(b'\n', b'\0'), 'the claim is no text'), ('', 'the claim is empty'), ('just words\n', 'Expecting MAPPING'),
                ('[' * 60000, 'claim'), (BILLION_LAUGHS, 'Unexpected key: a'), ('function: f\n' * 30000, 'is larger than 256 KiB'),
                ('target: {servce: x}\n', 'line 1: Unexpected key: servce'), ('target: {service: x}\nfunction: [f]\n', 'line 2'),
                ('target: {service: x}\nfunction: f\nfunction: g\n', 'claim'),
                ('target: {service: x}\nfunction: f\nalpha: nan\n', 'alpha must lie between'),
                ('target: {service: x}\nfunction: f\ndeadline: -1\n', 'key deadline'),
                ('target: {service: x}\nfunction: f\nguards: [speed]\n', "a guard is not 'speed'"),
                ('target: {service: x}\nfunction: "\\x1b[31m"\nexpect: "\\x1b[31m"\n', 'what is expected cannot be')):
            with self.subTest(says):
                self.assertIn(says, self.refused(self.write(content)))
        self.assertIn('Is a directory', self.refused(self.dir))
        self.assertIn('No such file', self.refused(self.path('nothing')))
        self.assertIn('is larger than 256 KiB', self.refused('/dev/zero'))

    def test_files_that_cannot_be_written(self):
        """Known before anything runs. A record that is there is not touched; a report is that of an earlier run, and goes."""
        there, new = self.write('kept'), self.path('new')
        for option in ('--record', '--report'):
            kind = 'md=' if option == '--report' else ''
            with self.subTest(option):
                self.assertIn('cannot write ' + self.dir + ': Is a directory', self.refused('-s', 'x', '--function', 'f', option, kind + self.dir))
                self.assertIn('No such file', self.refused('-s', 'x', '--function', 'f', option, kind + self.path('no/such')))
                self.refused('-s', 'x', '--function', 'f', option, kind + new)
        self.assertFalse(os.path.exists(new))
        self.refused('-s', 'x', '--function', 'f', '--record', there)
        with open(there) as f:
            self.assertEqual(f.read(), 'kept')

    def test_reports_of_an_earlier_run_do_not_stay(self):
        stale = {kind: self.path('stale.' + kind) for kind in ('md', 'junit', 'json')}
        option = ','.join('%s=%s' % r for r in stale.items())
        link = self.path('link')
        os.symlink(stale['md'], link)
        for args in (('-s', 'nobody-has-this-name', '--function', 'f'), ('-s', 'x'), ('--replay', self.path('none')), (self.path('no-claim'),)):
            with self.subTest(args):
                for path in stale.values():
                    with open(path, 'w') as f:
                        f.write('PASS')
                self.refused(*args, '--report', option.replace('md=' + stale['md'], 'md=' + link))
                self.assertEqual([p for p in stale.values() if os.path.exists(p)], [])

    def test_each_file_is_one(self):
        new, there, link = self.path('new'), self.write('kept'), self.path('link')
        os.symlink(there, link)
        spelled = os.path.join(os.path.dirname(new), '.', 'new')
        for args in (('--report', 'md=%s,junit=%s' % (new, new)), ('--report', 'md=%s,json=%s' % (new, spelled)), ('--report', 'md=-,json=-'),
                     ('--report', 'md=' + there, '--record', link), ('--report', 'json=' + new, '--record', spelled)):
            with self.subTest(args):
                self.assertIn('each needs a file of its own', self.refused('-s', 'x', '--function', 'f', *args))
        for args in ((there, '--report', 'md=' + link), ('--patch', there, '-s', 'x', '--record', there),
                     ('--replay', there, '--report', 'json=' + there)):
            with self.subTest(args):
                self.assertIn('is read and would be written over', self.refused(*args))
        with open(there) as f:
            self.assertEqual(f.read(), 'kept')
        self.assertFalse(os.path.exists(new))

    def test_a_replay_takes_no_claim(self):
        for extra in (('--function', 'f'), ('--guard', 'no new error values'), ('-s', 'x'), ('--aa',), ('--record', self.path('r')), ('--for', '5s')):
            with self.subTest(extra[0]):
                self.assertIn('--replay computes what the record holds', self.refused('--replay', self.path('none'), *extra))

    def test_diffs(self):
        text = fix(2)
        head = '@@ -23,6 +23,8 @@'
        self.assertIn(head, text)
        for content, says in (
                ('', 'that is no unified diff'), ('hello\n', 'that is no unified diff'), (os.urandom(1 << 20), 'that is no unified diff'),
                (BINARY, 'binary files, renames or modes only'), (RENAME + MODE, 'binary files, renames or modes only'),
                (text[:300], 'the hunk ends before its count is reached'), (text.replace(head, '@@ -23,6 +23,800 @@'), 'the hunk ends before'),
                (text.replace(head, '@@ -23,6 +23,7 @@'), 'more lines than its head says'),
                (text.replace(head, '@@ -4294967295,4294967295 +99999999999999999999,8 @@'), "no hunk's head"),
                ('--- a/x.c\n+++ b/x.c\n', 'a file without a hunk')):
            with self.subTest(says):
                self.assertIn(says, self.refused('-s', 'x', '--patch', self.write(content)))
        path = self.path('hundred')
        with open(path, 'wb') as f:
            f.truncate(100 << 20)
        self.assertIn('is larger than 16 MiB', self.refused('-s', 'x', '--patch', path))
        self.assertIn('is larger than 16 MiB', self.refused('-s', 'x', '--patch', '/dev/zero'))


class NoVerdict(Orders):
    """Real services, about which nothing can be shown."""

    def inconclusive(self, says, version=2, bad=5, load=True, args=('--function', 'apply_coupon', '--expect', 'gone')):
        agent = self.agent()
        self.first, base = self.service(1, load=load, bad=bad)
        self.second, cand = self.service(version, load=load, bad=bad, seed=2)
        p = self.verify(agent, '-s', self.name, '--baseline', 'build:' + base[:10], '--candidate', 'build:' + cand[:10], *args, '--for', '5s', '--report',
                        'json=' + self.path('json'), code=3)
        self.assertRegex(p.stdout, r'(?m)^INCONCLUSIVE  .*' + says)
        with open(self.path('json')) as f:
            self.assertEqual(json.load(f)['verdict'], 'INCONCLUSIVE')

    def test_no_traffic(self):
        self.inconclusive('apply_coupon was not called on the candidate', load=False)

    def test_triggers_never_seen(self):
        self.inconclusive('the candidate saw the trigger 0 times; 20 needed', bad=0, args=('--function', 'apply_coupon', '--trigger', TRIGGER,
                                                                                    '--expect', 'gone'))

    def test_the_error_never_happens(self):
        self.inconclusive('the baseline has shown no error yet', bad=0)

    def test_a_baseline_that_dies(self):
        agent, arms = self.agent(), self.pair(2, bad=0)
        p = Process(self, agent.command('verify', *arms, '--function', 'checkout', '--guard', 'error_rate < +0 %', '--for', '100s'))
        p.wait_line(r'comparing', stream='stderr')
        self.first.popen.kill()
        self.assertEqual(p.wait(150), 3)
        self.assertRegex(p.stdout, r'(?m)^INCONCLUSIVE  .*the baseline \(build \w+\) has no process any more')


class OddDiffs(Orders):
    def test_binary_parts_renames_carriage_returns_and_no_newline(self):
        """As mailed, and with what else a commit has: the lines are found all the same."""
        agent, arms = self.agent(), self.pair(2)
        path = self.path('odd.diff')
        with open(path, 'w', newline='') as f:
            f.write(BINARY + RENAME + MODE + fix(2).replace('\n', '\r\n').rstrip() + '\r\n\\ No newline at end of file')
        p = self.verify(agent, *arms, '--patch', path, '--function', 'checkout', '--trigger', TRIGGER, '--expect', 'gone', '--guard',
                        'error_rate < +25 %', '--for', '120s', code=0)
        self.assertRegex(p.stdout, r'\d+ hits (?:~ )?\+\s+if \(qty == 0\)')
        self.assertNotIn('\r', p.stdout)

    def test_a_patch_of_another_program(self):
        agent, arms = self.agent(), self.pair(2, load=False)
        path = self.path('other.diff')
        with open(path, 'w') as f:
            f.write(fix(2).replace('tests/targets/orderd/coupon.c', 'src/acl.c'))
        p = self.verify(agent, *arms, '--patch', path, code=2)
        self.assertIn('the patch touches nothing in the binaries', p.stderr)


if __name__ == '__main__':
    unittest.main()
