# SPDX-License-Identifier: Apache-2.0
"""Bad requests are refused with their position, a caret and the nearest names: tests/cases/refused/*.case.

A case file: "target NAME SCENARIO" lines choose the program; "> REQUEST" is followed by the lines that plumb must write on
standard error, up to an empty line.  "~ EXPR" is an --error expression for take_ints.  $TARGET stands for the program's path, $PID and
$BUILDID for its own."""
import glob
import os
import re
import subprocess

from harness import ROOT, KernelCase, Target, wait_for

CASES = os.path.join(ROOT, 'tests', 'cases', 'refused')


def read_cases(path):
    """-> [(line number, target words, kind, request, [expected lines])]"""
    cases, words, current = [], None, None
    with open(path) as f:
        for n, line in enumerate(f, 1):
            line = line.rstrip('\n')
            if current is not None and line:
                current.append(line)
            elif line.startswith('target '):
                words = line.split()[1:]
            elif line[:2] in ('> ', '~ '):
                current = []
                cases.append((n, words, line[0], line[2:], current))
            elif not line:
                current = None
    return cases


class Refused(KernelCase):
    def placeless(self, text, t):
        """Without what differs from run to run."""
        text = text.replace(t.argv[0], '$TARGET').rstrip('\n')
        text = re.sub(r'[0-9a-f]{2}/[0-9a-f]{38}', '$BUILDID', text)
        return re.sub(r'(process |/proc/)%d\b' % t.pid, r'\1$PID', text)

    def check_file(self, path):
        agent, targets = self.agent(), {}
        for n, words, kind, request, want in read_cases(path):
            key = ' '.join(words)
            t = targets.get(key) or targets.setdefault(key, Target(self, *words))
            args = ['--error', request, 'take_ints'] if kind == '~' else [request]
            with self.subTest(case='%s:%d' % (os.path.basename(path), n), request=request):
                p = agent.run('trace', '-p', t.pid, '--for', '100ms', *args, code=1)
                self.assertEqual(self.placeless(p.stderr, t), '\n'.join(want))
                self.assertEqual(p.stdout, '')
        self.assertNotIn('running', agent.requests())
        for t in targets.values():
            self.assertTrue(t.running())

    def test_there_are_cases(self):
        self.assertTrue(glob.glob(os.path.join(CASES, '*.case')))

    def test_options(self):
        """Wrong use is exit code 2, says what is wrong, and needs no agent."""
        agent = self.agent()
        for args, says in ((['trace'], 'usage'), (['trace', '-p', '1'], 'PROBE'), (['trace', 'f'], '-p'),
                           (['trace', '-p', 'x', 'f'], "'x'"), (['trace', '-p', '1', '--sample', '2/3', 'f'], '1/100'),
                           (['trace', '-p', '1', '--for', 'ever', 'f'], 'ever'), (['trace', '-p', '1', '--bogus', 'f'], 'bogus'),
                           (['nonsense'], 'nonsense'), (['rm'], 'ID'), (['trace', '-p', '1', '-s', 'x', 'f'], 'one of')):
            with self.subTest(args=args):
                self.assertIn(says, agent.run(*args, code=2).stderr)

    def test_targets_that_are_not_there(self):
        agent = self.agent()
        Target(self, 'busy')
        self.assertIn('999999', agent.run('trace', '-p', 999999, 'f', code=1).stderr)
        self.assertIn("'busy'", agent.run('trace', '-s', 'bussy', 'f', code=1).stderr)
        self.assertIn('/nonexistent', agent.run('trace', '-x', '/nonexistent', 'f', code=1).stderr)
        if os.path.exists('/proc/2') and not os.path.exists('/proc/2/exe'):
            self.assertIn('kernel thread', agent.run('trace', '-p', 2, 'f', code=1).stderr)
        ended = subprocess.Popen(['true'])
        wait_for('end', lambda: open('/proc/%d/stat' % ended.pid).read().rsplit(')', 1)[1].split()[0] == 'Z')
        self.assertIn('has ended', agent.run('trace', '-p', ended.pid, 'f', code=1).stderr)
        ended.wait()
        agent.run('rm', 12345, code=1)


def add(path):
    def test(self):
        self.check_file(path)
    name = os.path.basename(path)[:-len('.case')]
    test.__doc__ = 'tests/cases/refused/%s.case' % name
    setattr(Refused, 'test_case_' + name, test)


for case_file in sorted(glob.glob(os.path.join(CASES, '*.case'))):
    add(case_file)
