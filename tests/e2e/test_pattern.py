# SPDX-License-Identifier: Apache-2.0
"""One probe on many functions: counts of each function equal the truth, on every rung of the ladder; what cannot be asked of a
pattern is refused, what cannot be probed is left out and said."""
import re
import signal
import subprocess
import time

import wire
from harness import QUICK, SANITIZED, UNBOUNDED, KernelCase, Target, wait_for


def functions_of(view):
    """A line of `stat --json` -> {function: total}, over all kinds of results."""
    return {f['function']: f['total'] for p in view['probes'] for f in p.get('functions', [])}


class Pattern(KernelCase):
    limit = 240
    agent_args = UNBOUNDED

    def counted(self, agent, pattern, *more, threads=4, rounds=5):
        """-> (trace that has ended, truth of the target)"""
        t = Target(self, 'many', '--threads', threads, '--rounds', rounds)
        tr = agent.trace('-p', t.pid, '--json', '--tick', '10s', *more, pattern, verb='stat')
        t.go()
        facts = t.truth()
        tr.stop()
        t.finish()
        return tr, facts

    def check_counts(self, tr, facts, prefix):
        want = {n: f for n, f in facts['functions'].items() if n.startswith(prefix) and f[0]}
        got = functions_of(tr.objects()[-2])
        self.assertEqual({n: [t['calls'], t['errors']] for n, t in got.items()}, want)
        self.assertEqual(tr.total()['calls'], sum(f[0] for f in want.values()))
        self.assertEqual(tr.total()['errors'], sum(f[1] for f in want.values()))
        self.assertEqual(tr.total()['returns'], tr.total()['calls'])
        for t in got.values():
            self.assertLessEqual(t['p50_ns'], t['max_ns'])
            self.assertGreater(t['max_ns'], 0)

    def test_every_function_is_counted_session(self):
        self.check_counts(*self.counted(self.agent('--attach', 'session'), 'step_*'), 'step_')

    def test_every_function_is_counted_multi(self):
        self.check_counts(*self.counted(self.agent('--attach', 'multi'), 'step_*'), 'step_')

    def test_every_function_is_counted_perf(self):
        self.check_counts(*self.counted(self.agent('--attach', 'perf'), 'step_01?', rounds=50), 'step_01')

    def test_functions_that_call_and_jump_into_each_other(self):
        for method in ('session', 'multi', 'perf'):
            agent = self.agent('--attach', method, socket=self.path(method))
            self.check_counts(*self.counted(agent, 'nest_*', rounds=20), 'nest_')

    def test_entry_only(self):
        """A pattern that asks for entries alone has no results and no durations."""
        t = Target(self, 'many', '--threads', 2)
        tr = self.agent().trace('-p', t.pid, '--json', 'nest_*($arg0)')
        t.go()
        facts = t.truth()
        tr.stop()
        t.finish()
        got = [r['function'] for r in tr.records()]
        self.assertEqual({n: got.count(n) for n in got}, {n: f[0] for n, f in facts['functions'].items() if n.startswith('nest_')})
        for r in tr.records():
            self.assertLess(int(str(r['args']['$arg0']), 0), 6)
            self.assertIsNone(r['duration_ns'])

    def test_many_processes(self):
        """Each process has counters of its own; the sums are right."""
        agent = self.agent()
        targets = [Target(self, 'many', '--threads', 2, '--rounds', 3) for _ in range(3)]
        with wire.Connection(agent.socket) as c:
            wire_id = c.request('stat', {'target': {'name': 'many'}, 'probes': ['step_*'], 'tick_ns': 60000000000})
            self.assertTrue(c.receive(wire.REPLY, wire_id)[2])
            for t in targets:
                t.go()
            facts = [t.truth() for t in targets]
            end, frames = c.stop(wire_id)
        names, rows = wire.function_names(frames + c.kept), wire.function_rows(frames)
        for t, f in zip(targets, facts):
            got = {names[r[0]][r[2]]: r[3]['calls'] for r in rows if r[1] == t.pid}
            self.assertEqual(got, {n: v[0] for n, v in f['functions'].items() if n.startswith('step_') and v[0]})
        for t in targets:
            t.finish()

    def test_trace(self):
        """Records name their function, with its result by its own type."""
        agent = self.agent('--ring-kib', 16384)
        t = Target(self, 'many', '--threads', 2, '--rounds', 2)
        tr = agent.trace('-p', t.pid, '--json', 'step_00?')
        t.go()
        facts = t.truth()
        tr.stop()
        t.finish()
        got = {}
        for r in tr.records():
            f = got.setdefault(r['function'], [0, 0])
            f[0] += 1
            f[1] += r['error']
            n = int(r['function'][-3:])
            self.assertEqual(r['args'], {})
            self.assertGreater(r['duration_ns'], 0)
            if n % 10 in (0, 4, 8):
                self.assertEqual(r['error'], r['ret'] < 0)
            elif n % 10 in (1, 5):
                self.assertIn(r['ret'] & 0xffffffff, [(c - 3) & 0xffffffff for c in range(20)])
            elif n % 10 in (3, 7):
                self.assertIsNone(r['ret'])
        self.assertEqual(got, {n: f for n, f in facts['functions'].items() if re.match('step_00.', n) and f[0]})
        self.assertEqual(tr.total()['dropped'], 0)

    def test_trace_errors(self):
        """Failing calls only: functions that cannot fail are left out, and it is said."""
        agent = self.agent('--ring-kib', 16384)
        t = Target(self, 'many', '--threads', 2)
        tr = agent.trace('-p', t.pid, '--errors', 'step_00*')
        t.go()
        facts = t.truth()
        tr.stop()
        t.finish()
        want = {n: f[1] for n, f in facts['functions'].items() if n.startswith('step_00') and f[1]}
        got = re.findall(r'\] (step_\d+)\(\) = .* error$', tr.stdout, re.M)
        self.assertEqual({n: got.count(n) for n in got}, want)
        self.assertRegex(tr.stderr, r'plumb: step_00\*: \d+ left out, ')

    def test_condition(self):
        """Of pointers the first call of a round returns NULL, of ints it returns -1: $ret is compared by each one's type."""
        tr, facts = self.counted(self.agent(), "'step_0[0-9][02]' if $ret <= 0 && $arg0 == 0", threads=2, rounds=3)
        want = {n: 6 for n in facts['functions'] if re.match('step_0.[02]$', n)}
        self.assertEqual({n: t['calls'] for n, t in functions_of(tr.objects()[-2]).items()}, want)
        self.assertEqual(tr.total()['matched'], 6 * len(want))

    def test_explain(self):
        agent = self.agent()
        t = Target(self, 'many')
        text = agent.run('explain', '-p', t.pid, 'step_*').stdout
        for kind, n in (('int', 300), ('unsigned int', 300), (r'void \*', 200), ('void', 200)):
            self.assertRegex(text, r'(?m)^place    %d functions step_\* that return %s$' % (n, kind))
        self.assertRegex(text, r'(?m)^sites    .*about \d+ ns per call')
        self.assertRegex(text, r'(?m)^  and \d+ more$')
        self.assertRegex(agent.run('explain', '-p', t.pid, '*').stdout, r'1 left out, functions whose return must not be probed \(_start\)')

    def test_refused(self):
        agent = self.agent()
        t = Target(self, 'many')
        for text, column, length, want in (
                ('step_*(call)', 8, 4, "share one plan: 'call' cannot be looked up"),
                ('step_* if $ret < 0 && call', 23, 4, "share one plan: 'call' cannot be looked up"),
                ('nothing_*', 1, 9, "no function of .* is called 'nothing_\\*'"),
                ('step_003* -> $ret', 14, 4, 'returns nothing')):
            err = agent.run('trace', '-p', t.pid, text, code=1).stderr
            self.assertRegex(err, want)
            self.assertIn('\n  1:%d | %s\n' % (column, text), err)
            self.assertIn('^' + '~' * (length - 1) + '\n', err + '\n')
        err = agent.run('trace', '-p', t.pid, '--errors', 'step_003*', code=1).stderr
        self.assertIn('has no default for what an error is', err)
        self.assertIn('at most 64 functions', self.agent('--attach', 'perf', socket=self.path('perf'))
                      .run('stat', '-p', t.pid, 'step_*', code=1).stderr)
        self.assertNotIn('running', agent.requests())

    def code_of(self, t):
        """The text segment of a process as it is in memory now."""
        with open('/proc/%d/maps' % t.pid) as f:
            lo, hi = next(line.split()[0].split('-') for line in f if 'r-xp' in line and line.rstrip().endswith('/many'))
        with open('/proc/%d/mem' % t.pid, 'rb') as f:
            f.seek(int(lo, 16))
            return f.read(int(hi, 16) - int(lo, 16))

    def test_no_breakpoint_stays(self):
        agent, t = self.agent(), Target(self, 'many')
        before = self.code_of(t)
        tr = agent.trace('-p', t.pid, 'step_*', verb='stat')
        during = self.code_of(t)
        self.assertGreaterEqual(sum(a != b for a, b in zip(before, during)), 1000)
        tr.stop()
        self.assertEqual(self.code_of(t), before)
        tr = agent.trace('-p', t.pid, '*', verb='stat')
        tr.signal(signal.SIGKILL)
        wait_for('removal of the breakpoints', lambda: self.code_of(t) == before)

    def test_many_cycles(self):
        """Attach and detach a thousand functions while they run."""
        cycles = 30 if SANITIZED or QUICK else 150
        agent = self.agent()
        t = Target(self, 'many', '--flat-out', '--threads', 2)
        t.go()
        self.arm(600)
        calls = 0
        with wire.Connection(agent.socket, timeout=60) as c:
            for n in range(cycles):
                wire_id = c.request('stat', {'target': {'pid': t.pid}, 'probes': ['step_*' if n % 50 == 0 else 'step_%d*' % (n % 10)]})
                self.assertTrue(c.receive(wire.REPLY, wire_id)[2])
                c.request('stop', {'id': wire_id})
                calls += wire.total(c.receive(wire.END, wire_id), 'calls')
                c.kept = []
                self.assertTrue(t.running())
        self.assertGreater(calls, cycles)
        t.signal(signal.SIGTERM)
        self.assertEqual(t.wait(), 0)
        self.assertIn('"calls"', t.stdout)


class Guard(KernelCase):
    def hot(self, *agent_args):
        """-> (stat of functions of which one is called all the time, after the guard was at work; its target). The others are called 200
        times in 200 ms: whatever a call costs on this machine, together they are far below the budget."""
        agent, t = self.agent(*agent_args), Target(self, 'many', '--flat-out', '--hot', '--threads', 1, '--pause', 200)
        tr = agent.trace('-p', t.pid, '--json', 'step_5[01]*', verb='stat')
        t.go()
        tr.wait_line('removed: probes cost process %d' % t.pid, stream='stderr')
        return tr, t

    def others(self, tr, t):
        """Ends the target. -> counts of all functions but the hot one, as plumb has them, as they are."""
        time.sleep(1.5)
        self.assertTrue(tr.running())
        t.signal(signal.SIGTERM)
        facts = t.truth()
        self.assertEqual(t.wait(), 0)
        tr.wait()
        return ({n: c['calls'] for n, c in functions_of(tr.objects()[-2]).items() if n != 'step_500'},
                {n: f[0] for n, f in facts['functions'].items() if re.match('step_5[01]', n) and f[0] and n != 'step_500'})

    def test_only_the_costly_function_goes(self):
        """The others' breakpoints are set anew without it, and no call of theirs is missed."""
        tr, t = self.hot()
        self.assertRegex(tr.stderr, r"step_500 of 'step_5\[01\]\*' removed: probes cost process \d+ [\d.]+% of one core, the budget is 10.0%"
                                    r" \(\d+ calls/s at about \d+ ns each\); counts up to now are exact")
        got, want = self.others(tr, t)
        self.assertEqual(got, want)
        self.assertEqual(tr.stderr.count('removed: '), 1)

    def test_programs_are_told_that_functions_have_gone(self):
        """The sum over the others is not what it was: a NOTICE says so, of which probe, with the words that people get."""
        agent, t = self.agent(), Target(self, 'many', '--flat-out', '--hot', '--threads', 1, '--pause', 200)
        with wire.Connection(agent.socket) as c:
            request = c.request('stat', {'target': {'pid': t.pid}, 'probes': ['step_5[01]*']})
            self.assertTrue(c.receive(wire.REPLY, request)[2])
            t.go()
            notices = {}
            while 'removed' not in notices:
                n = c.receive(wire.NOTICE, request)
                notices[n[2]] = n[3]
            end, frames = c.stop(request)
            self.assertEqual(end[2], 'stopped')
        probe = notices['removed'].pop('probe')
        self.assertIn('step_500', wire.function_names(frames)[probe].values())
        self.assertEqual(notices['removed'], {'text': notices['guard'], 'part': True})
        self.assertIn("step_500 of 'step_5[01]*' removed: ", notices['guard'])
        t.signal(signal.SIGTERM)
        self.assertEqual(t.wait(), 0)

    def test_where_a_function_cannot_go_its_kind_does(self):
        """Two links for entry and return: all functions that return an int are one probe, and go together."""
        tr, t = self.hot('--attach', 'multi')
        self.assertRegex(tr.stderr, r'probe on step_5\[01\]\*, most of all step_500 removed: ')
        got, want = self.others(tr, t)
        stay = {n: calls for n, calls in want.items() if int(n[-3:]) % 10 not in (0, 4, 8)}
        self.assertEqual({n: calls for n, calls in got.items() if n in stay}, stay)

    def test_on_perf_events(self):
        agent, t = self.agent('--attach', 'perf'), Target(self, 'many', '--flat-out', '--hot', '--threads', 1)
        tr = agent.trace('-p', t.pid, '--json', 'step_50?', verb='stat')
        t.go()
        tr.wait_line("step_500.* of 'step_50\\?' removed: ", stream='stderr')
        time.sleep(1)
        tr.stop()
        t.signal(signal.SIGTERM)
        self.assertEqual(t.wait(), 0)


# A C program that refers to what code with exceptions refers to.
MARKED = """
#include <stdio.h>
#include <unistd.h>
int __cxa_throw(void) { return 0; }
__attribute__((noinline)) int caller_b(int n) { __asm__ volatile("" : "+r"(n)); return n + 1; }
__attribute__((noinline)) int caller_a(int n) { return n % 3 ? n : caller_b(n) * 2; }
int main(void)
{
	int sum = 0;

	printf("ready %d\\n", getpid());
	fflush(stdout);
	getchar();
	for (int i = 0; i < 3000; i++)
		sum += caller_a(i);
	printf("{\\"sum\\": %d}\\n", sum);
	fflush(stdout);
	getchar();
	return sum == 0;
}
"""


class Exceptions(KernelCase):
    agent_args = UNBOUNDED

    def test_calls_only(self):
        """Where an exception could meet a return probe, a pattern counts calls, says so, and no return is touched."""
        source, program = self.path('marked.c'), self.path('marked')
        with open(source, 'w') as f:
            f.write(MARKED)
        subprocess.run(['gcc', '-O1', '-g', '-o', program, source], check=True)
        agent, t = self.agent(), Target(self, program)
        tr = agent.trace('-p', t.pid, '--json', '--tick', '10s', '*er_[ab]', verb='stat')
        t.go()
        t.truth()
        tr.stop()
        t.finish()
        self.assertEqual({n: c['calls'] for n, c in functions_of(tr.objects()[-2]).items()}, {'caller_a': 3000, 'caller_b': 1000})
        self.assertRegex(tr.stderr, r'calls only are counted, not their returns: .*exception')
        self.assertIn('exception', agent.run('explain', '-p', Target(self, program).pid, '*er_[ab] -> $ret', code=1).stderr)
