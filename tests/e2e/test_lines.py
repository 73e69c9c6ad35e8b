# SPDX-License-Identifier: Apache-2.0
"""Source lines: which code they are, and one build of a program among several."""
import os
import re
import shutil
import socket

from collector import Collector
from harness import ROOT, UNBOUNDED, KernelCase, Target, target, wait_for
from wire import HELLO, PROBE, STATS, VERSION, WELCOME, Connection, Refused, total

SOURCE = os.path.join(ROOT, 'tests/targets/lines.c')
HEADER = os.path.join(ROOT, 'tests/targets/lines.h')
BUILDS = ('lines-gcc-O0', 'lines-gcc-O2', 'lines-clang-O0', 'lines-clang-O2')


def marked(path=SOURCE):
    """Numbers of the lines that count themselves."""
    with open(path) as f:
        return [n for n, text in enumerate(f, 1) if re.search(r'\bLINE\b', text) and '#define' not in text and ' * ' not in text]


def line_of(text, path=SOURCE):
    with open(path) as f:
        return next(n for n, line in enumerate(f, 1) if text in line)


class Lines(KernelCase):
    def ask(self, c, where, files):
        """-> answer, {(path, line): [(function, inlined, addresses)]}"""
        answer = c.call('lines', {'target': where, 'files': files})
        functions = answer['functions']
        return answer, {(files[f][0], n): [(functions[i][0], inlined, count) for i, inlined, count, *_ in places]
                        for f, n, places in answer['lines']}

    def test_lines_of_a_running_program(self):
        agent = self.agent()
        comment = line_of('Lines that run a known number of times')
        for build in BUILDS:
            t = Target(self, build)
            with self.subTest(build), Connection(agent.socket) as c:
                files = [['targets/lines.c', [comment, *reversed(marked())]], ['lines.h', marked(HEADER)],
                         ['no/such.c', [7]]]
                answer, places = self.ask(c, {'pid': t.pid}, files)
                self.assertEqual((answer['module'], answer['more']), (build, False))
                self.assertRegex(answer['build_id'], '^[0-9a-f]{40}$')
                self.assertEqual([len(paths) > 0 for _, paths in answer['files']], [True, True, False])
                self.assertEqual(len(places), len(marked()) + 2 + len(marked(HEADER)))
                self.assertEqual((places['targets/lines.c', comment], places['no/such.c', 7]), ([], []))
                for n in marked():
                    self.assertIn('checked', [name for name, _, _ in places['targets/lines.c', n]], n)
                own = {place[3] for _, _, found in answer['lines'] for place in found}
                names = [f[0] for f in answer['functions']]
                holders = {(names[place[0]], names[place[4]]) for _, _, found in answer['lines'] for place in found}
                self.assertLessEqual({('checked', 'checked'), ('twice', 'checked' if build.endswith('O2') else 'twice')}, holders)
                self.assertEqual({bool(f[6]) for f in answer['functions'] if f[5]}, {True})
                self.assertLessEqual({f[6] for f in answer['functions']}, {'', 'emulated', 'single-stepped', 'patched nop'})
                self.assertTrue(own == {True} if build.endswith('O0') else own >= {True}, own)
                inlined = {i for name, i, _ in places['lines.h', marked(HEADER)[0]] if name == 'twice'}
                self.assertEqual(inlined, {build.endswith('O2')})
                twice = next(f for f in answer['functions'] if f[0] == 'twice')
                self.assertEqual((twice[1], os.path.basename(twice[2]), twice[3]), ('int twice(int n)', 'lines.h', line_of('inline int twice', HEADER)))
                self.assertEqual((twice[4] >= 2, twice[5]), (build.endswith('O2'), build.endswith('O0')))

    def test_bad_questions(self):
        agent, t = self.agent(), Target(self, 'lines-gcc-O0')
        with Connection(agent.socket) as c:
            for files in (None, [], 7, [['x.c']], [['x.c', 7]], [['', [1]]], [['x.c', [0]]], [['x.c', ['1']]],
                          [['x.c', [1] * 20001]], [['x.c', [1]]] * 4097):
                with self.subTest(str(files)[:40]), self.assertRaises(Refused):
                    c.call('lines', {'target': {'pid': t.pid}, 'files': files})
            everything = [['lines.c', list(range(1, 20001))]]
            self.assertEqual(len(self.ask(c, {'pid': t.pid}, everything)[1]), 20000)


class Hits(KernelCase):
    """Every run of a line is counted, once for each run of its instructions."""
    agent_args = UNBOUNDED

    def hits(self, agent, t, probes, verb='stat', **more):
        """-> truth, {probe text: [hits of each place]}"""
        with Connection(agent.socket) as c:
            request = c.trace({'target': {'pid': t.pid}, 'probes': probes, **more}, verb)
            t.go()
            truth = t.truth()
            end, frames = c.stop(request)
        texts = {f[2]['probe']: f[2]['spec'] for f in frames if f[0] == PROBE}
        hits = {text: [] for text in probes}
        for row in end[4]:
            if row[1]:
                hits[texts[row[0]]].append(row[3].get('calls', 0))
        return {int(n): ran for n, ran in truth['lines'].items()}, hits

    def test_counts_are_exact(self):
        agent = self.agent()
        once = {'targets/lines.c:%d()' % n: n for n in marked() if 'return note' not in open(SOURCE).read().splitlines()[n - 1]}
        for build in BUILDS:
            with self.subTest(build):
                t = Target(self, build, '--calls', 1000)
                truth, hits = self.hits(agent, t, list(once))
                self.assertEqual(hits, {text: [truth[n]] for text, n in once.items()})

    def test_all_copies_of_an_inlined_line(self):
        """Each copy apart: together they are all runs."""
        agent, n = self.agent(), marked(HEADER)[0]
        for build, copies in (('lines-gcc-O0', 1), ('lines-gcc-O2', 2), ('lines-clang-O0', 1), ('lines-clang-O2', 2)):
            with self.subTest(build):
                truth, hits = self.hits(agent, Target(self, build, '--calls', 300), ['lines.h:%d()' % n])
                self.assertEqual(hits, {'lines.h:%d()' % n: [truth[1000 + n] // copies] * copies})

    def test_a_loop_is_counted_where_it_is_entered_and_where_it_goes_round(self):
        agent, text = self.agent(), 'lines.c:%d' % line_of('for (int i = 0; i < step')
        for build in ('lines-gcc-O0', 'lines-clang-O0'):
            with self.subTest(build):
                truth, hits = self.hits(agent, Target(self, build, '--calls', 400), [text])
                self.assertEqual(sorted(hits[text]), sorted((400, truth[line_of('note(LINE, price)')])))

    def test_conditions_over_locals(self):
        agent, t, n = self.agent(), Target(self, 'lines-gcc-O0', '--calls', 100), line_of('note(LINE, price)')
        with Connection(agent.socket) as c:
            request = c.trace({'target': {'pid': t.pid}, 'probes': ['lines.c:%d() if i == 2' % n]}, 'stat')
            t.go()
            truth = t.truth()
            end, _ = c.stop(request)
        self.assertEqual((total(end, 'calls'), total(end, 'matched')), (truth['lines'][str(n)], 25))

    def records(self, agent, build, text, calls=60):
        t = Target(self, build, '--calls', calls)
        tr = agent.trace('-p', t.pid, '--json', text)
        t.go()
        t.truth()
        t.finish()
        self.assertEqual(tr.wait(), 1)       # its target has ended
        return tr.records()

    def test_locals_where_nothing_is_optimised(self):
        agent, n = self.agent(), line_of('note(LINE, price)')
        want = [(q % 10, 'thing', q, q % 4, i, q % 10 * 10 + i) for q in range(60) for i in range(q % 4)]
        for build in ('lines-gcc-O0', 'lines-clang-O0'):
            with self.subTest(build):
                got = self.records(agent, build, 'lines.c:%d(item->id, item->name, quantity, step, i, price, total)' % n)
                self.assertEqual([tuple(r['args'][k] for k in ('item->id', 'item->name', 'quantity', 'step', 'i', 'price')) for r in got], want)
                self.assertEqual([r['args']['total'] for r in got], [sum(range(q % 10 * 10, q % 10 * 10 + i)) for q in range(60) for i in range(q % 4)])
                self.assertEqual({(r['function'], r.get('duration_ns')) for r in got}, {('checked', None)})

    def test_locals_of_optimised_code_are_right_or_named_unreadable(self):
        agent, n = self.agent(), line_of('note(LINE, price)')
        want = {(q, i): q % 10 for q in range(60) for i in range(q % 4)}
        for build in ('lines-gcc-O2', 'lines-clang-O2'):
            with self.subTest(build):
                got = self.records(agent, build, 'lines.c:%d(item->id, quantity, i)' % n)
                self.assertEqual(len(got), len(want))
                for r, (key, item) in zip(got, sorted(want.items())):
                    for value, true in zip((r['args']['item->id'], r['args']['quantity'], r['args']['i']), (item, *key)):
                        if not isinstance(value, dict):
                            self.assertEqual(value, true, (key, r))

    def test_by_default_everything_in_scope(self):
        agent = self.agent()
        first, last = (self.records(agent, 'lines-gcc-O0', 'lines.c:%d' % n)[0]['args'] for n in (marked()[0], line_of('note(LINE, price)')))
        self.assertEqual(list(first), ['item', 'quantity', 'total', 'step'])
        self.assertEqual(list(last), ['item', 'quantity', 'total', 'step', 'i', 'price'])
        self.assertEqual(first['item'], {'id': 0, 'name': 'thing'})

    def test_arguments_where_the_function_begins(self):
        """The prologue is still to come: the arguments are in their registers."""
        agent, brace = self.agent(), line_of('checked(const struct item') + 1
        for build in ('lines-gcc-O0', 'lines-clang-O0'):
            with self.subTest(build):
                got = self.records(agent, build, 'lines.c:%d(item->id, quantity)' % brace)
                self.assertEqual([(r['args']['item->id'], r['args']['quantity']) for r in got], [(q % 10, q) for q in range(60)])

    def test_explain_shows_each_place(self):
        agent, t = self.agent(), Target(self, 'lines-gcc-O2')
        text = agent.run('explain', '-p', t.pid, 'lines.h:%d' % marked(HEADER)[0]).stdout
        self.assertEqual(len(re.findall('(?m)^place    ', text)), 2)
        self.assertEqual(len(re.findall('(?m)^at       0x', text)), 2)
        self.assertEqual(text.count('\n         int twice(int n)\n'), 2)
        self.assertEqual(text.count('targets/lines.h:%d\n' % marked(HEADER)[0]), 2)

    def test_calls_and_lines_in_one_stat(self):
        agent, n = self.agent(), marked()[0]
        truth, hits = self.hits(agent, Target(self, 'lines-gcc-O2', '--calls', 500), ['checked', 'lines.c:%d()' % n, 'note(value)'], error='$ret == -22')
        self.assertEqual((hits['checked'], hits['lines.c:%d()' % n], hits['note(value)']), ([500], [500], [sum(truth.values())]))


class Installed(KernelCase):
    """Builds of one program, under one name."""
    agent_args = UNBOUNDED

    def install(self, build, directory, name='lineserver'):
        path = self.path(os.path.join(directory, name))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        shutil.copy(target(build), path)
        return path

    def build_id(self, agent, pid):
        with Connection(agent.socket) as c:
            return next(row[5] for row in c.call('ps')['processes'] if row[0] == pid)


class Builds(Installed):
    def test_one_of_two_builds_and_a_latecomer(self):
        old, new = self.install('lines-gcc-O2', 'old'), self.install('lines-gcc-O2-v2', 'new')
        agent = self.agent()
        first, second = Target(self, old, '--calls', 200), Target(self, new, '--calls', 300)
        old_id, new_id = (self.build_id(agent, t.pid) for t in (first, second))
        self.assertNotEqual(old_id, new_id)
        with Connection(agent.socket) as c:
            arms = [c.trace({'target': {'name': 'lineserver', 'build': b}, 'probes': ['checked']}, 'stat')
                    for b in (old_id[:8].upper(), new_id)]
            third, fourth = Target(self, new, '--calls', 50), Target(self, old, '--calls', 70)
            wait_for('the newcomers', lambda: agent.stderr.count('is traced from now on') == 2)
            for t in (first, second, third, fourth):
                t.go()
                t.truth()
            ends = [c.stop(arm)[0] for arm in arms]
        calls = [{row[1]: row[3]['calls'] for row in end[4] if row[3].get('calls')} for end in ends]
        self.assertEqual(calls, [{first.pid: 200, fourth.pid: 70}, {second.pid: 300, third.pid: 50}])

    def test_the_other_questions_know_it_too(self):
        old, new = self.install('lines-gcc-O0', 'old'), self.install('lines-gcc-O2', 'new')
        agent = self.agent()
        ids = [self.build_id(agent, Target(self, path).pid) for path in (old, new)]
        for build, other in (ids, ids[::-1]):
            text = agent.run('explain', '-s', 'lineserver', '--build', build[:10], 'checked').stdout
            self.assertIn('build-id ' + build, text)
            self.assertNotIn(other[:12], text)
            with Connection(agent.socket) as c:
                answer = c.call('lines', {'target': {'name': 'lineserver', 'build': build}, 'files': [['lines.c', [1]]]})
                self.assertEqual(answer['build_id'], build)
        p = agent.run('funcs', '-s', 'lineserver', '--build', ids[0], 'check*')
        self.assertIn('checked', p.stdout)
        self.assertNotIn('also running', p.stderr)

    def test_which_of_two_builds_it_was_is_said(self):
        agent, ids = self.agent(), {}
        for name, build in (('old', 'lines-gcc-O0'), ('new', 'lines-gcc-O2')):
            t = Target(self, self.install(build, name))
            ids[self.build_id(agent, t.pid)[:12]] = t
        lines = agent.run('explain', '-s', 'lineserver', 'checked').stdout.splitlines()
        m = re.fullmatch(r'build    ([0-9a-f]{12}); also running: ([0-9a-f]{12}) \(1 process\); --build ID chooses', lines[0])
        self.assertEqual(set(m.groups()), set(ids), lines[0])
        self.assertIn('build-id ' + m.group(1), '\n'.join(lines))
        said = agent.run('funcs', '-s', 'lineserver', 'check*').stderr
        self.assertIn('plumb: build %s; also running: %s (1 process); --build ID chooses\n' % m.groups(), said)
        # one process alone, and several of one build: there is nothing to choose
        self.assertNotIn('also running', agent.run('explain', '-p', ids[m.group(1)].pid, 'checked').stdout)

    def test_what_is_refused(self):
        path = self.install('lines-gcc-O0', 'old')
        agent, t = self.agent(), Target(self, path)
        build = self.build_id(agent, t.pid)
        for where in (('-s', 'lineserver'), ('-p', t.pid), ('-x', path)):
            with self.subTest(where[0]):
                said = agent.run('stat', *where, '--build', 'abcdef123456', 'checked', code=1).stderr
                self.assertIn('none of 1 process of the target runs build abcdef123456', said)
                self.assertIn(build[:12], said)
        for bad in ('abc', 'not-hex', 'f' * 200):
            self.assertIn('build-id', agent.run('stat', '-s', 'lineserver', '--build', bad, 'checked', code=1).stderr)

    def test_a_path_target(self):
        path = self.install('lines-gcc-O0', 'old')
        agent, t = self.agent(), Target(self, path, '--calls', 40)
        with Connection(agent.socket) as c:
            arm = c.trace({'target': {'path': path, 'build': self.build_id(agent, t.pid)}, 'probes': ['checked']}, 'stat')
            t.go()
            t.truth()
            self.assertEqual(total(c.stop(arm)[0], 'calls'), 40)


class Client(Connection):
    """A plumb that talks to a collector."""

    def __init__(self, collector, timeout=20):
        with open(os.path.join(collector.data, 'admin.token')) as f:
            token = f.read().strip()
        self.sock = socket.create_connection(('127.0.0.1', collector.port), timeout)
        self.data, self.last_id, self.kept = b'', 0, []
        self.send([HELLO, VERSION, 'test', 'host', {'token': token}])
        self.welcome = self.receive(WELCOME)


class Collected(Installed):
    """The same through a collector."""

    def test_lines_and_builds_of_all_hosts(self):
        old, new = self.install('lines-gcc-O0', 'old'), self.install('lines-gcc-O2', 'new')
        collector = Collector(self, self.path('store'))
        agent = self.agent('--collector', '127.0.0.1:%d' % collector.port, '--spool', self.path('spool'))
        wait_for('agent', lambda: 'event=connected' in agent.stderr)
        first, second = Target(self, old, '--calls', 30), Target(self, new, '--calls', 50)
        build = self.build_id(agent, second.pid)
        where = {'name': 'lineserver', 'build': build[:12]}
        with Client(collector) as c:
            answer = c.call('lines', {'target': where, 'files': [['lines.c', marked()]]})
            (host, payload), = answer['answers']
            self.assertEqual((payload['build_id'], answer['failed'], answer['more']), (build, [], False))
            self.assertTrue(host)
            self.assertTrue(all(places for _, _, places in payload['lines']))
            with self.assertRaisesRegex(Refused, 'runs build 123456'):
                c.call('lines', {'target': {'name': 'lineserver', 'build': '123456'}, 'files': [['lines.c', [1]]]})
            before = agent.starts()
            c.request('stat', {'target': where, 'probes': ['checked'], 'tick_ns': 10 ** 8})
            wait_for('start', lambda: agent.starts() > before)
            for t in (first, second):
                t.go()
                t.truth()
            stats = c.receive(STATS)
            while not total(stats, 'calls'):
                stats = c.receive(STATS)
            self.assertEqual({row[1] for row in stats[3] if row[3].get('calls')}, {second.pid})
            c.request('stop', {'id': c.last_id})
