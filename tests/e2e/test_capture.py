# SPDX-License-Identifier: Apache-2.0
"""What is captured, which calls are shown, and that what is not shown is accounted for."""
import json
import re
import time

import truth
from harness import RECORD_LINE, TOTAL_LINE, UNBOUNDED, KernelCase, Target


class Capture(KernelCase):
    agent_args = UNBOUNDED

    def shown(self, scenario, probe, *options, calls=100, variant='gcc-O2', agent=None, json_too=True):
        """-> the trace that has ended"""
        agent = agent or self.the_agent()
        t = Target(self, 'exact-' + variant, scenario, '--calls', calls)
        tr = agent.trace('-p', t.pid, *(['--json'] if json_too else []), *options, probe)
        t.go()
        self.assertTrue(t.truth()['ok'])
        tr.stop()
        t.finish()
        return tr

    def the_agent(self):
        if not hasattr(self, 'shared'):
            self.shared = self.agent()
        return self.shared

    # ---- values ----

    def test_fields_of_pointers_that_are_null_or_wild(self):
        tr = self.shown('tree', 'take_tree(root->id, root->next->id, root->leaf->value, root->next->leaf->label, root->own.label)')
        unread = 0
        for r in tr.records():
            a, i = r['args'], r['args']['root->id']
            no_next, no_leaf = i % 4 in (1, 3), i % 4 == 2
            self.assertEqual(a['root->next->id'], None if no_next else i + 1)
            self.assertEqual(a['root->leaf->value'], None if no_leaf else 5 * i)
            self.assertEqual(a['root->next->leaf->label'], None if no_next or no_leaf else 'leaf')
            self.assertEqual(a['root->own.label'], 'own')
            unread += sum(v is None for v in a.values())
        self.assertEqual(len(tr.records()), 100)
        self.assertGreater(unread, 0)
        self.assertEqual(tr.total()['unread'], unread)
        self.assertEqual(tr.total()['unread_memory'], unread)

    def test_unreadable_places_are_named_and_counted(self):
        tr = self.shown('floats', 'take_floats', json_too=False)
        lines = tr.lines()
        self.assertEqual(len(lines), 100)
        self.assertTrue(all('f=<' in line and 'SSE' in line for line in lines), lines[0])
        self.assertEqual(tr.total()['unread'], 200)
        self.assertRegex(tr.stderr, r'unread=200 \([^)]*\d+\)')

    def test_chosen_captures(self):
        tr = self.shown('ints', 'take_longs(e, a + 1, p) -> $ret, $duration')
        for i, r in enumerate(sorted(tr.records(), key=lambda r: r['ts'])):
            self.assertEqual(r['args'], {'e': truth.COLORS[i % 4], 'a + 1': -i * 10**12 + 1, 'p': hex(0x1000 + 16 * i)})
            self.assertEqual(r['ret'], truth.result(i))
            self.assertEqual(r['returns']['$duration'], r['duration_ns'])

    def test_specials(self):
        tr = self.shown('ints', 'take_ints($pid, $tid, $ts, $cpu)')
        for r in tr.records():
            self.assertEqual((r['args']['$pid'], r['args']['$tid']), (r['pid'], r['tid']))
            self.assertIn(r['args']['$cpu'], range(1024))

    def test_entry_only(self):
        """Captures at entry and no word of the return: then there is none."""
        tr = self.shown('ints', 'take_ints(e)', json_too=False)
        self.assertEqual(tr.total()['calls'], 100)
        self.assertEqual(len(tr.lines()), 100)
        self.assertTrue(all(RECORD_LINE.match(line) for line in tr.lines()), tr.lines()[0])

    # ---- the forms ----

    def test_the_line_of_a_call(self):
        tr = self.shown('strings', 'take_strings', json_too=False)
        lines = tr.lines()
        self.assertEqual(len(lines), 100)
        for line in lines:
            self.assertRegex(line, RECORD_LINE)
        self.assertRegex(lines[0], r'^\d\d:\d\d:\d\d\.\d{6} exact-gcc-O2\[\d+/\d+\] take_strings\(text="call-0", tag="tag0",'
                                   r' none=NULL, i=0\) = 0 <[\d.]+[num]?s>$')
        self.assertRegex(lines[6], r' = -22 \(EINVAL\) <[\d.]+[num]?s> error$')
        self.assertRegex(lines[12], r'text="x{63}"\.\.\.,')
        self.assertRegex(tr.stderr, TOTAL_LINE)
        self.assertEqual(tr.total(), {'calls': 100, 'errors': 14, 'shown': 100, 'sampled': 0, 'dropped': 0, 'unread': 0})
        self.assertEqual(tr.stderr.strip().splitlines()[-1], 'total calls=100 errors=14 shown=100 sampled=0 dropped=0 unread=0')

    def test_the_object_of_a_call(self):
        tr = self.shown('strings', 'take_strings')
        now = time.time_ns()
        for line in tr.lines()[:-1]:
            o = json.loads(line)
            self.assertEqual(set(o), {'ts', 'host', 'pid', 'tid', 'comm', 'probe', 'function', 'build_id', 'args', 'ret',
                                      'duration_ns', 'error'})
            self.assertLess(abs(now - o['ts']), 60e9)
            self.assertEqual((o['comm'], o['probe'], o['function']), ('exact-gcc-O2', 'take_strings', 'take_strings'))
            self.assertRegex(o['build_id'], '^[0-9a-f]{40}$')
        self.assertIn('total', json.loads(tr.lines()[-1]))

    def test_msgpack(self):
        """--msgpack is the agent's frames as they are."""
        import wire
        agent = self.the_agent()
        t = Target(self, 'exact-gcc-O2', 'ints')
        tr = agent.trace('-p', t.pid, '--msgpack', 'take_ints')
        t.go()
        t.truth()
        tr.stop()
        t.finish()
        with open(tr.out_path, 'rb') as f:
            data = f.read()
        kinds, n = [], 0
        while data:
            size = int.from_bytes(data[:4], 'big')
            frame, data = wire.Reader(data[4:4 + size]).next(), data[4 + size:]
            kinds.append(frame[0])
            n += frame[4] if frame[0] == wire.CHUNK else 0
        self.assertEqual(n, 100)
        self.assertIn(wire.PROBE, kinds)
        self.assertEqual(kinds[-1], wire.END)

    # ---- which calls ----

    def numbers(self, tr):
        return sorted(r['args']['i'] for r in tr.records())

    CONDITIONS = (
        ('strings', 'take_strings if i < 10', lambda i: i < 10),
        ('strings', 'take_strings if i % 10 == 3 || i == 7', lambda i: i % 10 == 3 or i == 7),
        ('strings', 'take_strings if tag == "tag4"', lambda i: i % 10 == 4),
        ('strings', 'take_strings if tag != "tag4" && i >= 50', lambda i: i % 10 != 4 and i >= 50),
        ('strings', 'take_strings if text == NULL', lambda i: i % 5 == 4),
        ('strings', 'take_strings if text == "call-42"', lambda i: i == 42),
        ('strings', 'take_strings if $ret < 0', truth.fails),
        ('strings', 'take_strings if $ret == 0 && i > 90', lambda i: not truth.fails(i) and i > 90),
        ('strings', 'take_strings if !(i & 3)', lambda i: i % 4 == 0),
        ('tree', 'take_tree if root->own.value == 12', lambda i: i == 12),
        ('tree', 'take_tree if root->next->own.value == 30', lambda i: i == 20),
        ('tree', 'take_tree if root->next == NULL', lambda i: i % 4 == 1),
        ('tree', 'take_tree if root->name == "root" && $ret < 0', truth.fails),
        ('structs', 'take_bits if b->color == BLUE', lambda i: i % 4 == 2),
        ('structs', 'take_bits if ALPHA == b->color', lambda i: i % 4 == 3),
        ('ints', 'take_longs(e) if e == ALPHA', None),
        ('ints', 'take_longs(e) if e < 0', None),
        ('structs', 'take_bits if b->middle < -10', lambda i: i % 32 - 16 < -10),
        ('structs', 'take_pair if p.second == -40', lambda i: i == 40),
        ('slow', 'give_slowly if $duration > 10ms', lambda i: i % 10 == 9),
        ('slow', 'give_slowly if $duration > 10ms && i > 50', lambda i: i % 10 == 9 and i > 50),
    )

    def test_conditions(self):
        for scenario, probe, holds in self.CONDITIONS:
            with self.subTest(probe=probe):
                tr = self.shown(scenario, probe)
                if not holds:    # no i among the arguments
                    self.assertEqual([r['args']['e'] for r in tr.records()], ['ALPHA'] * 25)
                    continue
                want = [i for i in range(100) if holds(i)]
                self.assertEqual(self.numbers(tr), want)
                self.assertEqual(tr.total()['calls'], 100)
                self.assertEqual(tr.total()['matched'], len(want))

    def test_a_condition_that_cannot_be_decided(self):
        """A value that cannot be read matches nothing, and is counted."""
        tr = self.shown('tree', 'take_tree if root->next->id > 0')
        self.assertEqual(self.numbers(tr), [i for i in range(100) if i % 4 not in (1, 3)])
        self.assertEqual(tr.total()['undecided'], 50)

    def test_errors_only(self):
        tr = self.shown('strings', 'take_strings', '--errors')
        self.assertEqual(self.numbers(tr), [i for i in range(100) if truth.fails(i)])
        self.assertEqual((tr.total()['calls'], tr.total()['errors'], tr.total()['shown']), (100, 14, 14))

    def test_another_error(self):
        tr = self.shown('give', 'give_bool', '--error', '!$ret', '--errors')
        self.assertEqual(self.numbers(tr), [i for i in range(100) if truth.fails(i)])
        tr = self.shown('strings', 'take_strings', '--error', '$ret == 0 && i > 95')
        self.assertEqual(tr.total()['errors'], sum(not truth.fails(i) and i > 95 for i in range(100)))
        self.assertEqual([r['args']['i'] for r in tr.records() if r['error']], [i for i in range(96, 100) if not truth.fails(i)])

    def test_sample(self):
        tr = self.shown('ints', 'take_ints', '--sample', '1/10', calls=2000)
        total = tr.total()
        self.assertEqual((total['calls'], total['matched'], total['errors']), (2000, 2000, 285))
        self.assertEqual(total['shown'] + total['sampled'], 2000)
        self.assertTrue(120 <= total['shown'] <= 300, total)      # 200, and six standard deviations
        self.assertEqual(len(tr.records()), total['shown'])

    def test_rate(self):
        tr = self.shown('ints', 'take_ints', '--rate', '100/s', calls=5000)
        total = tr.total()
        self.assertEqual(total['calls'], 5000)
        self.assertEqual(total['shown'] + total['dropped'], 5000)
        self.assertEqual(total['drop_rate'], total['dropped'])
        self.assertGreater(total['dropped'], 0)
        records = tr.records()
        took = (records[-1]['ts'] - records[0]['ts']) / 1e9
        self.assertLessEqual(len(records), 100 * (took + 0.3))

    def test_limit(self):
        agent = self.the_agent()
        t = Target(self, 'busy')
        p = agent.run('trace', '-p', t.pid, '--limit', 100, '--json', 'work')
        self.assertEqual(len(p.lines()), 101)
        self.assertEqual(json.loads(p.lines()[-1])['total']['shown'], 100)
        self.assertNotIn('running', agent.requests())

    def test_for(self):
        agent = self.the_agent()
        t = Target(self, 'execer')
        began = time.monotonic()
        *calls, total = map(json.loads, agent.run('trace', '-p', t.pid, '--for', '1s', '--json', 'tick').lines())
        self.assertGreater(time.monotonic() - began, 0.9)
        self.assertEqual((total['total']['end'], total['total']['calls']), ('for', len(calls)))
        n = sorted(r['args']['n'] for r in calls)
        self.assertEqual(n, list(range(n[0], n[0] + len(n))), 'every call of that time')

    def test_several_probes(self):
        agent = self.the_agent()
        t = Target(self, 'exact-gcc-O2', 'longjmp', '--calls', 10)
        tr = agent.trace('-p', t.pid, '--json', 'guarded(i) -> $ret', 'leap_outer if i == 4')
        t.go()
        t.truth()
        tr.stop()
        t.finish()
        self.assertEqual([r['args']['i'] for r in tr.records() if r['function'] == 'guarded'], list(range(10)))
        self.assertEqual([r['args']['i'] for r in tr.records() if r['function'] == 'leap_outer'], [4])

    def test_stat(self):
        agent = self.the_agent()
        t = Target(self, 'exact-gcc-O2', 'slow', '--calls', 200)
        one_by_one = agent.trace('-p', t.pid, '--json', 'give_slowly')
        tr = agent.trace('-p', t.pid, '--json', 'give_slowly', verb='stat')
        t.go()
        t.truth()
        tr.stop()
        one_by_one.stop()
        t.finish()
        ticks = [o for o in tr.objects() if 'total' not in o]
        total = ticks[-1]['probes'][0]['total']
        self.assertEqual((total['calls'], total['errors']), (200, 28))
        took = sorted(r['duration_ns'] for r in one_by_one.records())     # nine of ten sleep 0.2 ms, one sleeps 20
        self.assertEqual(len(took), 200)
        for name, least, low, high in (('p50_ns', 0.2e6, took[90], took[110]), ('p99_ns', 18e6, took[190], took[-1])):
            self.assertGreater(total[name], least)
            self.assertTrue(0.9 * low <= total[name] <= 1.1 * high, (name, low, high, total))
        self.assertGreaterEqual(total['max_ns'], 20e6)
        self.assertGreaterEqual(sum(tick['probes'][0]['tick']['calls'] for tick in ticks), 200)

    def test_stat_text(self):
        agent = self.the_agent()
        t = Target(self, 'execer')
        text = agent.run('stat', '-p', t.pid, '--for', '2s', 'tick').stdout
        self.assertRegex(text, r'tick')
        self.assertRegex(text, r'P50')
        self.assertTrue(re.search(r'[█#▏▎▍▌▋▊▉*]', text), 'a histogram: ' + text)
