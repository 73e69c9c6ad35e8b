# SPDX-License-Identifier: Apache-2.0
"""plumb verify on C++: a template with several instantiations, a function that is inlined in several callers, overloads, patterns, exceptions."""
import os
import unittest

from harness import ROOT
from pairs import Pairs

GUARD = ('--guard', 'error_rate < +25 %', '--for', '60s')
CLAMP = {'shop::clamp<int>', 'shop::clamp<long int>', 'shop::clamp<double>'}


def hunk(number):
    """-> the text of the fix with one of its hunks only"""
    with open(os.path.join(ROOT, 'tests/targets/shop/fixes/v2.diff')) as f:
        head, *hunks = f.read().split('\n@@ ')
    return head + '\n@@ ' + hunks[number].rstrip('\n') + '\n'


class Cpp(Pairs):
    def verify(self, *args, code=0):
        """-> (process of plumb verify, report, {function: it}, {function that is not compared: why})"""
        p, report = self.compare('shop', 'v2', '--allow-unwind', *GUARD, *args, code=code)
        return p, report, {f['function']: f for f in report['functions']}, {f['function']: f['why'] for f in report['not_compared']}

    def part(self, number):
        path = self.path('part.diff')
        with open(path, 'w') as f:
            f.write(hunk(number))
        return '--patch', path

    def test_every_instantiation_is_compared(self):
        _, report, compared, others = self.verify()
        self.assertEqual(set(compared), CLAMP | {'shop::price'})
        self.assertEqual(others, {'shop::check': 'it is inlined in the baseline and the candidate: compare a function that calls it (--function)'})
        self.assertEqual([r for r in report['remarks'] if 'counted as one' in r], ['shop::price means 2 functions, which are counted as one'])
        for name in CLAMP:
            self.assertGreater(compared[name]['baseline']['errors'], 0, name)
            self.assertEqual(compared[name]['candidate']['errors'], 0, name)

    def all_of_them(self, name, *args):
        p, report, compared, others = self.verify('--function', name, '--expect', 'gone', *args)
        self.assertEqual(set(compared), {name, 'shop::price'})
        self.assertEqual(set(others), CLAMP | {'shop::check'})
        self.assertEqual({others[n] for n in CLAMP}, {'counted with ' + name})
        self.assertIn('%s means 3 functions, which are counted as one' % name, report['remarks'])
        self.assertRegex(p.stdout, r'PASS +the error is gone: baseline failed [1-9]\d* of \d+ calls, candidate 0 of')
        self.assertRegex(p.stdout, r'(?m)^' + name.replace('*', r'\*') + r', the error is to be gone\n +PASS +exposure: .*, the code of every changed line ran')
        return p

    def test_a_template_by_its_name(self):
        self.all_of_them('shop::clamp')
        self.all_of_them('clamp')

    def test_a_pattern(self):
        self.all_of_them('shop::clamp<*>')

    def test_one_instantiation_and_its_parameters(self):
        _, _, compared, others = self.verify('--function', 'shop::clamp<int>', '--trigger', 'value == 9 && to->high == 8', '--expect', 'gone')
        self.assertEqual(set(compared), CLAMP | {'shop::price'})
        self.assertEqual(set(others), {'shop::check'})
        self.assertGreater(compared['shop::clamp<int>']['baseline']['trigger_errors'], 0)

    def test_the_parameters_of_a_pattern(self):
        p, _ = self.compare('shop', 'v2', '--allow-unwind', *GUARD, '--function', 'shop::clamp<*>', '--trigger', 'value == 9', code=2)
        self.assertIn("the functions of a pattern share one plan: 'value' cannot be looked up in each of them", p.stderr)

    def test_what_is_inlined_is_compared_where_it_is(self):
        """If nothing else can be: the function that it is a part of."""
        p, report, compared, others = self.verify(*self.part(1))
        self.assertEqual(len(compared), 1)
        name, = compared
        self.assertIn(name, ('shop::order', 'shop::refund'))
        self.assertEqual(others['shop::check'], 'it is inlined in the baseline and the candidate: compared as a part of ' + name)
        self.assertGreater(compared[name]['baseline']['errors'], 0)
        self.assertRegex(p.stdout, r'(?m)^' + name + r'\n +PASS +exposure: .*, the code of every changed line ran')

    def test_exceptions_need_consent(self):
        for function in ('shop::clamp', 'shop::clamp<*>'):
            with self.subTest(function):
                p, _ = self.compare('shop', 'v2', *GUARD, '--function', function, '--expect', 'gone', code=2)
                self.assertIn('--allow-unwind', p.stderr)
                self.assertEqual(p.stdout, '')


if __name__ == '__main__':
    unittest.main()
