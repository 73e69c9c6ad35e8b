# SPDX-License-Identifier: Apache-2.0
"""plumb verify on changes that take a comparison's footing away: another name, a parameter that the compiler leaves out, a line that runs too
often to be counted."""
import re
import unittest

from pairs import Pairs


def not_compared(report):
    return {f['function']: f['why'] for f in report['not_compared']}


class Changes(Pairs):
    def test_a_function_that_was_renamed(self):
        """Neither is compared; the function around it is."""
        p, report = self.compare('pair', 'renamed', '--function', 'work', '--for', '60s', '--guard', 'error_rate < +25 %', code=0)
        gone, came = 'settle_order', 'settle_payment'
        self.assertEqual(not_compared(report), {
            gone: 'only the baseline has it: there is nothing to compare it with (the candidate has %s there instead: renamed?)' % came,
            came: 'only the candidate has it: there is nothing to compare it with (the baseline has %s there instead: renamed?)' % gone})
        self.assertRegex(p.stdout, r'(?m)^not compared: settle_order: .*\(the candidate has settle_payment there instead: renamed\?\)$')
        self.assertEqual([f['function'] for f in report['functions']], ['work'])

    def test_a_trigger_on_a_parameter_that_the_candidate_has_no_more(self):
        """The compiler has left it out of the candidate's function: nothing is verified, whatever the lines say."""
        p, _ = self.compare('pair', 'unused', '--function', 'reserve', '--trigger', 'mode == 2', '--expect', 'gone', '--for', '20s', code=2)
        self.assertRegex(p.stderr, r"build \w{12}: trigger 'mode == 2': .*optimised out")
        self.assertIn('a trigger must be known in both builds', p.stderr)
        self.assertEqual(p.stdout, '')

    def test_the_same_function_without_that_trigger(self):
        p, report = self.compare('pair', 'unused', '--function', 'reserve', '--expect', 'gone', '--for', '60s', '--guard', 'error_rate < +25 %', '--lines', 'any',
                                 code=0)
        self.assertEqual(report['functions'][0]['candidate']['errors'], 0)

    def test_a_crash_in_few_calls(self):
        """Far below every margin, and what returns is the same: it must not pass."""
        p, report = self.compare('pair', 'crash', '--function', 'settle_order', '--lines', 'none', '--guard', 'no new error values', '--for', '20s', again=True,
                                 code=3)
        f, died = report['functions'][0], re.search('complete record: ([0-9]+) process(?:es)? of the candidate died in calls of settle_order, 0 of the '
                                                    "baseline's", report['reason'])
        self.assertTrue(died, report)
        self.assertEqual((f['candidate']['died'], f['baseline']['died']), (int(died.group(1)), 0))

    def test_a_line_that_runs_too_often(self):
        """It loses its probe and says so; the functions go on. The claim needs more calls than there are until then."""
        claim = self.path('claim.yaml')
        with open(claim, 'w') as f:
            f.write("function: settle_order\nexpect: gone\nguards: ['error_rate < +25 %']\nexposure: {triggers: 2500}\n")
        p, report = self.compare('pair', 'hot', claim, '--for', '60s', code=0)
        self.assertRegex(p.stdout, r'(?m)^ +\d+ +[1-9]\d* hits (?:~ )?-\s+sum \+= v\[i\];   <- removed: cost$')
        self.assertRegex(p.stdout, r'(?m)^ +\d+ +[1-9]\d* hits (?:~ )?\+\s+sum \+= 3L \* v\[i\];   <- removed: cost$')
        self.assertRegex(p.stdout, r'(?m)^remark: build \w+: probe on \S*pair\.c:\d+ \(sum_up\) removed: probes cost')
        removed = {l['text'].strip() for l in report['lines'] if l.get('removed')}
        self.assertEqual(removed, {'sum += v[i];', 'sum += 3L * v[i];'})


if __name__ == '__main__':
    unittest.main()
