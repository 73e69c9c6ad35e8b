# SPDX-License-Identifier: Apache-2.0
"""plumb through a collector: real agents, real probes.  The agents are on one machine, so each of them sees every process; what
tells them apart is their name."""
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import time
import unittest

import wire
from collector import Agent as TestAgent
from collector import chunk_frame, probe_frame, stats_frame
from control import Control
from harness import NO_KERNEL, PLUMB, PLUMBD, UNBOUNDED, Agent, Process, Target, target, wait_for


PROBE = 'work'                  # of tests/targets/busy.c, which calls it all the time
RATE = ('--rate', '200/s')


# ---- who may what ----

class Tokens(Control):
    def test_roles(self):
        view, probe = self.token('vera', 'view'), self.token('paul', 'probe')
        self.plumb('hosts', token=view)
        self.plumb('list', token=view)
        p = self.plumb('trace', '-s', 'x', 'f', token=view, code=1)
        self.assertIn("'trace' needs a token with the role probe; vera has view", p.stderr)
        self.assertIn('needs a token with the role admin', self.plumb('audit', token=probe, code=1).stderr)
        self.assertEqual([e['outcome'][:8] for e in self.audit(who='vera', action='trace')], ['refused:'])
        self.assertEqual([e['role'] for e in self.audit(who='paul', action='audit')], ['probe'])

    def test_no_and_unknown_tokens(self):
        path = os.path.join(self.dir, 'forged')
        with open(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600), 'w') as f:
            f.write('plumb_' + '0' * 64 + '\n')
        self.assertIn('does not know this token', self.plumb('ps', token=path, code=1).stderr)
        self.assertIn('there is no token file', self.plumb('ps', token=path + '2', code=1).stderr)
        self.assertEqual(len(self.audit(action='login refused')), 1)
        with Client(self.c.port, 'plumb_0') as s:   # one that stays is let go
            s.request('ps', {})
            self.assertEqual(s.receive(wire.REPLY)[1], 0)
            s.receive(wire.WELCOME)
            with self.assertRaises((EOFError, ConnectionResetError)):
                while True:
                    s.frame()
        wait_for('line in the log', lambda: 'kind=login' in self.c.stderr)

    def test_a_removed_token(self):
        probe = self.token('paul', 'probe')
        self.plumb('hosts', token=probe)
        subprocess.run([self.c.argv[0], 'token', 'rm', 'paul', '--data', self.data], check=True)
        self.assertIn('does not know this token', self.plumb('hosts', token=probe, code=1).stderr)
        done = subprocess.run([self.c.argv[0], 'token', 'list', '--data', self.data], check=True, capture_output=True, text=True)
        self.assertRegex(done.stdout, r'^NAME +ROLE\nadmin +admin\n$')

    def test_many_refused_logins_are_few_entries(self):
        for n in range(60):
            with self.subTest(n=n), self.connection('wrong') as s:
                self.assertFalse(s.receive(wire.REPLY)[2])
        # 20 entries in ten seconds, and one that counts the others.
        def told():
            entries = self.audit(action='login refused')
            others = [int(e['detail'].split()[0]) for e in entries if e['detail'].endswith(' more')]
            return sum(others) + len(entries) - len(others) == 60 and (len(others), sorted(e['at_ns'] for e in entries if e['peer']))
        others, times = wait_for('entries of all', told)
        self.assertGreater(others, 0)
        self.assertLessEqual(len(times), 20 * (2 + (times[-1] - times[0]) // (10 * 10 ** 9)))

    def connection(self, token):
        return Client(self.c.port, token)


class Client(wire.Connection):
    """A plumb that a test makes."""

    def __init__(self, port, token):
        self.sock = socket.create_connection(('127.0.0.1', port), 20)
        self.data, self.kept, self.last_id = b'', [], 0
        self.send([wire.HELLO, wire.VERSION, 'plumb test', 'desk', {'token': token}])


# ---- agents that a test makes: what they are told, and when ----

class Told(Control):
    def setUp(self):
        super().setUp()
        self.client = self.connect()

    def connect(self):
        with open(os.path.join(self.data, 'admin.token')) as f:
            client = Client(self.c.port, f.read().strip())
        self.addCleanup(client.close)
        client.receive(wire.WELCOME)
        return client

    def agent(self, n, **how):
        a = TestAgent(self.c.port, uid=str(n) * 32, **how)
        self.addCleanup(a.close)
        return a

    def ask(self, verb='trace', **args):
        return self.client.request(verb, {'target': {'name': 'checkoutd'}, 'probes': ['f'], **args})

    def accept(self, a, request, sequence, run=1):
        """The agent's first frames for a request -> the next sequence."""
        a.entry(sequence, [wire.REPLY, request, True, {'id': 1}])
        a.entry(sequence + 1, probe_frame(request, 1))
        return sequence + 2

    def refuse(self, a, request, sequence, code=22, text='no'):
        a.entry(sequence, [wire.REPLY, request, False, {'code': code, 'text': text, 'hint': '', 'col': 1, 'len': 1, 'probe': 0}])

    def begin(self, a):
        a.entry(1, [wire.RUN, 1, time.time_ns()])
        return 2

    def test_merged(self):
        one, two = self.agent(1), self.agent(2)
        self.begin(one), self.begin(two)
        wire_id = self.ask(limit=3)
        asked = [a.receive(wire.REQUEST) for a in (one, two)]
        self.assertEqual([f[2] for f in asked], ['trace', 'trace'])
        self.assertEqual(asked[0][1], asked[1][1])
        request = asked[0][1]
        self.assertEqual(asked[0][3]['target'], {'name': 'checkoutd'})
        self.assertLessEqual(asked[0][3]['ttl_ns'], 600 * 10 ** 9)
        self.accept(one, request, 2), self.accept(two, request, 2)
        self.assertTrue(self.client.receive(wire.REPLY, wire_id)[2])
        sources = {}
        while len(sources) < 2:
            f = self.client.receive(wire.NOTICE, wire_id)
            self.assertEqual(f[2], 'source')
            sources[f[4]] = f[3]['agent']
        self.assertEqual(sorted(sources.values()), ['1' * 32, '2' * 32])
        self.assertEqual({self.client.receive(wire.PROBE, wire_id)[3] for _ in range(2)}, set(sources))
        one.entry(4, chunk_frame(2, request))
        f = self.client.receive(wire.CHUNK, wire_id)
        self.assertEqual((f[4], sources[f[7]]), (2, '1' * 32))
        two.entry(4, chunk_frame(1, request))
        # The sum has reached the limit: both are told to stop.
        for a in (one, two):
            stop = a.receive(wire.REQUEST)
            self.assertEqual((stop[2], stop[3]), ('stop', {'id': request}))
            a.entry(5, [wire.END, request, 'stopped', 'the requester stopped it', []])
        end = self.client.receive(wire.END, wire_id)
        self.assertEqual((end[2], end[4]), ('limit', []))

    def test_some_hosts_only(self):
        one, two = self.agent(1), self.agent(2, name='web-2')
        self.begin(one), self.begin(two)
        # A question and a request of web-2: web-1 hears of neither, nor when it comes again, nor after a restart of the collector.
        question = self.client.request('lines', {'target': {'name': 'checkoutd', 'hosts': ['web-2']}, 'files': []})
        asked = two.receive(wire.REQUEST)
        two.send([wire.REPLY, asked[1], True, {'build_id': 'ab'}])
        self.assertEqual([host for host, _ in self.client.receive(wire.REPLY, question)[3]['answers']], ['web-2'])
        wire_id = self.client.request('trace', {'target': {'name': 'checkoutd', 'hosts': ['web-2', 'web-3']}, 'probes': ['f'], 'keep': True})
        request = two.receive(wire.REQUEST)[1]
        self.accept(two, request, 2)
        self.assertTrue(self.client.receive(wire.REPLY, wire_id)[2])
        two.wait_ack(3)
        self.assertEqual([r['target'] for r in self.rows('list')], ['-s checkoutd --host web-2,web-3'])
        self.c.signal(signal.SIGKILL)
        self.c.wait()
        self.c = self.collector()
        one = self.agent(1, run=2)
        three = self.agent(3, name='web-3')
        self.assertEqual(three.receive(wire.REQUEST)[1], request)
        self.connect().request('trace', {'target': {'name': 'other'}, 'probes': ['f']})
        self.assertEqual(one.receive(wire.REQUEST)[3]['target'], {'name': 'other'})   # the first that it is asked

    def test_hosts_that_are_not_there(self):
        one = self.agent(1)
        self.begin(one)
        for hosts, says in ((['web-9'], "no agent of host 'web-9' is connected"), ([], '1 to 256 hosts'), ([7], "a host's name"),
                            (['web-1', ''], "a host's name"), (['x'] * 300, '1 to 256 hosts'), ('web-1', '1 to 256 hosts')):
            with self.subTest(str(hosts)[:30]), self.assertRaises(wire.Refused) as refused:
                self.client.call('trace', {'target': {'name': 'checkoutd', 'hosts': hosts}, 'probes': ['f']})
            self.assertIn(says, str(refused.exception))
        with self.assertRaises(wire.Refused) as refused:
            self.client.call('lines', {'target': {'name': 'checkoutd', 'hosts': ['web-9']}, 'files': []})
        self.assertIn('no agent is connected to this collector of the hosts that were named', str(refused.exception))
        p = Process(self, [PLUMB, '--socket', '/nowhere', 'trace', '-s', 'x', '--host', 'web-1', 'f'])
        self.assertEqual(p.wait(), 2)
        self.assertIn('--host is for a collector', p.stderr)

    def test_one_refuses(self):
        one, two = self.agent(1), self.agent(2)
        self.begin(one), self.begin(two)
        wire_id = self.ask()
        request = one.receive(wire.REQUEST)[1]
        self.refuse(one, request, 2, text="no function 'f'")
        self.accept(two, request, 2)
        self.assertTrue(self.client.receive(wire.REPLY, wire_id)[2])
        notices = [self.client.receive(wire.NOTICE, wire_id) for _ in range(3)]
        refused = [f for f in notices if f[2] == 'refused']
        self.assertEqual([f[3]['text'] for f in refused], ["no function 'f'"])
        states = [r[1] for r in self.client.call('list')['requests'][0][10]]
        self.assertEqual(sorted(states), ['refused', 'running'])

    def test_all_refuse(self):
        one, two = self.agent(1), self.agent(2)
        self.begin(one), self.begin(two)
        wire_id = self.ask()
        request = one.receive(wire.REQUEST)[1]
        self.refuse(one, request, 2, code=3, text='no such process')
        self.refuse(two, request, 2, code=22, text="no function 'f'")
        reply = self.client.receive(wire.REPLY, wire_id)
        self.assertFalse(reply[2])
        self.assertEqual((reply[3]['text'], reply[3]['code']), ("no function 'f'", 22))

    def test_nobody_runs_it(self):
        wire_id = self.ask()
        self.assertIn('no agent is connected', self.client.receive(wire.REPLY, wire_id)[3]['text'])
        one = self.agent(1)
        self.begin(one)
        wire_id = self.ask()
        self.refuse(one, one.receive(wire.REQUEST)[1], 2, code=3)
        self.assertIn("none of 1 host runs 'checkoutd'", self.client.receive(wire.REPLY, wire_id)[3]['text'])

    def test_asked_again_until_it_runs(self):
        one = self.agent(1)
        self.begin(one)
        wire_id = self.ask(keep=True)
        request = one.receive(wire.REQUEST)[1]
        self.refuse(one, request, 2, code=3)
        self.assertTrue(self.client.receive(wire.REPLY, wire_id)[2])
        again = one.receive(wire.REQUEST)
        self.assertEqual((again[1], again[2]), (request, 'trace'))
        self.accept(one, request, 3)
        self.client.receive(wire.PROBE, wire_id)

    def test_an_agent_that_was_away(self):
        one = self.agent(1)
        sequence = self.begin(one)
        wire_id = self.ask(keep=True)
        request = one.receive(wire.REQUEST)[1]
        sequence = self.accept(one, request, sequence)
        self.client.receive(wire.PROBE, wire_id)
        one.wait_ack(sequence - 1)
        one.close()
        self.assertEqual(self.notice(wire_id, 'away')[4], 1)
        # The same run still serves it: it is not asked again.
        one = self.agent(1, next_sequence=sequence, requests=[request])
        self.notice(wire_id, 'back')
        one.close()
        self.notice(wire_id, 'away')
        # Another run does not.
        one = self.agent(1, run=2, next_sequence=sequence)
        self.assertEqual(one.receive(wire.REQUEST)[1], request)
        one.entry(sequence, [wire.RUN, 2, time.time_ns()])
        self.accept(one, request, sequence + 1)
        self.assertEqual(self.notice(wire_id, 'source')[4], 2)   # numbers of probes begin anew
        # A second agent that comes later gets it too; one that serves what is over is told so.
        two = self.agent(2, requests=[request + 1000])
        self.assertEqual({tuple((f[2], f[3].get('id'))) for f in (two.receive(wire.REQUEST), two.receive(wire.REQUEST))},
                         {('trace', None), ('stop', request + 1000)})

    def notice(self, wire_id, code):
        while True:
            f = self.client.receive(wire.NOTICE, wire_id)
            if f[2] == code:
                return f

    def test_an_end_of_an_earlier_run(self):
        """An agent was shut down, and its END comes when the next run has been asked already: that one is stopped all the same."""
        one = self.agent(1)
        sequence = self.begin(one)
        wire_id = self.ask(keep=True)
        request = one.receive(wire.REQUEST)[1]
        sequence = self.accept(one, request, sequence)
        self.assertTrue(self.client.receive(wire.REPLY, wire_id)[2])
        one.wait_ack(sequence - 1)
        one.close()
        two = self.agent(1, run=2, next_sequence=sequence + 2)
        self.assertEqual(two.receive(wire.REQUEST)[1], request)
        two.entry(sequence, [wire.END, request, 'shutdown', 'the agent ends', []])
        two.wait_ack(sequence)
        self.plumb('rm', 1)
        self.assertEqual(two.receive(wire.REQUEST)[2:], ['stop', {'id': request}])
        two.entry(sequence + 1, [wire.RUN, 2, time.time_ns()])
        two.entry(sequence + 2, [wire.REPLY, request, True, {'id': 1}])
        two.entry(sequence + 3, [wire.END, request, 'removed', '', []])
        two.wait_ack(sequence + 3)
        wait_for('end', lambda: not self.rows('list'))
        self.assertEqual(self.c.ask('SELECT state, reason FROM request_agent'), [('ended', 'removed')])

    def test_kept_through_a_restart_of_the_collector(self):
        one = self.agent(1)
        sequence = self.begin(one)
        kept, left = self.ask(keep=True), self.ask()
        requests = [one.receive(wire.REQUEST)[1] for _ in range(2)]
        for request in requests:
            one.entry(sequence, [wire.REPLY, request, True, {'id': 1}])
            sequence += 1
        for wire_id in (kept, left):
            self.assertTrue(self.client.receive(wire.REPLY, wire_id)[2])
        one.wait_ack(sequence - 1)
        self.c.signal(signal.SIGKILL)
        self.c.wait()
        self.c = self.collector()
        two = self.agent(2)
        f = two.receive(wire.REQUEST)
        self.assertEqual((f[1], f[2]), (requests[0], 'trace'))
        one = self.agent(1, next_sequence=sequence, requests=requests)
        stop = one.receive(wire.REQUEST)
        self.assertEqual((stop[2], stop[3]), ('stop', {'id': requests[1]}))
        states = {r['id']: r['state'] for r in self.rows('list')}
        self.assertEqual(states[1], 'kept')

    def test_a_kept_request_that_cannot_be_read_after_a_restart(self):
        """A damaged row ends its request; the collector starts."""
        one = self.agent(1)
        sequence = self.begin(one)
        wire_id = self.ask(keep=True)
        request = one.receive(wire.REQUEST)[1]
        self.accept(one, request, sequence)
        self.assertTrue(self.client.receive(wire.REPLY, wire_id)[2])
        self.c.signal(signal.SIGKILL)
        self.c.wait()
        with contextlib.closing(sqlite3.connect(os.path.join(self.data, 'plumb.db'))) as db, db:
            self.assertEqual(db.execute("UPDATE request SET arguments = x'c1'").rowcount, 1)
        self.c = self.collector()
        one = self.agent(1, next_sequence=sequence + 2, requests=[request])
        self.assertEqual(one.receive(wire.REQUEST)[2:], ['stop', {'id': request}])
        self.assertEqual([r['state'] for r in self.rows('list')], ['ending'])

    def test_time_to_live(self):
        one = self.agent(1)
        self.begin(one)
        wire_id = self.ask(keep=True, ttl_ns=3 * 10 ** 9)
        request = one.receive(wire.REQUEST)[1]
        self.accept(one, request, 2)
        self.assertTrue(self.client.receive(wire.REPLY, wire_id)[2])
        self.assertEqual(one.receive(wire.REQUEST)[2], 'stop')
        one.entry(4, [wire.END, request, 'stopped', '', []])
        self.assertEqual(self.client.receive(wire.END, wire_id)[2], 'ttl')
        self.assertEqual(self.client.call('list')['requests'], [])
        self.assertRegex(self.audit(action='trace')[0]['outcome'], r'^ended \(ttl\)')

    def test_a_client_that_leaves(self):
        one = self.agent(1)
        self.begin(one)
        wire_id = self.ask()
        request = one.receive(wire.REQUEST)[1]
        self.accept(one, request, 2)
        self.assertTrue(self.client.receive(wire.REPLY, wire_id)[2])
        self.client.close()
        self.assertEqual(one.receive(wire.REQUEST)[2:], ['stop', {'id': request}])
        one.entry(4, [wire.END, request, 'stopped', '', []])
        wait_for('end', lambda: self.c.one('SELECT count(*) FROM request WHERE reason = "hangup"'))

    def test_a_slow_client(self):
        """Calls are left out for it and counted; counters are not."""
        one = self.agent(1)
        self.begin(one)
        wire_id = self.ask()
        request = one.receive(wire.REQUEST)[1]
        sequence = self.accept(one, request, 2)
        self.client.receive(wire.PROBE, wire_id)
        sent, chunk = 0, wire.small(chunk_frame(20000, request, deflate=False))
        for n in range(150):   # more than sockets and the collector hold for it
            one.entry(sequence, chunk)
            sequence += 1
            sent += 20000
        one.entry(sequence, stats_frame(sent, request))
        one.entry(sequence + 1, [wire.END, request, 'gone', 'it is gone', []])
        one.wait_ack(sequence + 1)
        end = self.client.receive(wire.END, wire_id)
        self.assertEqual(end[2], 'gone')
        mine = [f for f in self.client.kept if f[0] in (wire.CHUNK, wire.STATS, wire.NOTICE) and f[1] == wire_id]
        shown = sum(f[4] for f in mine if f[0] == wire.CHUNK)
        said = [int(f[3].split()[0]) for f in mine if f[0] == wire.NOTICE and f[2] == 'loss']
        self.assertEqual(len(said), 1)
        self.assertEqual(shown + said[0], sent)
        self.assertEqual([f[3][0][3]['calls'] for f in mine if f[0] == wire.STATS][0], sent)
        self.assertEqual(self.c.one('SELECT sum(records) FROM chunk'), sent)

    def test_hostile_requests(self):
        for args in ({}, [], 5, {'target': 5}, {'target': {'name': 'x' * 5000}, 'probes': ['f']}, {'target': {'name': 'x'}, 'probes': 'f'},
                     {'target': {'name': 'x'}, 'probes': [5]}, {'target': {'name': 'x'}, 'probes': ['f'] * 1000}, {'target': {'pid': 5}, 'probes': ['f']},
                     {'target': {'name': 'x'}, 'probes': ['f'], 'ttl_ns': 2 ** 63}, {'target': {'name': 'x'}, 'probes': ['f'], 'keep': 'yes'},
                     {'target': {'name': 'x'}, 'probes': ['f'], 'more': 'x' * 500000}):
            for verb in ('trace', 'stat'):
                wire_id = self.client.request(verb, args)
                self.assertFalse(self.client.receive(wire.REPLY, wire_id)[2], args)
        for verb in ('stop', 'rm', 'nonsense', 'explain'):
            self.assertFalse(self.client.receive(wire.REPLY, self.client.request(verb, {'id': 'x'}))[2])
        self.assertEqual(self.client.call('list'), {'requests': []})

    def test_questions(self):
        one, two = self.agent(1), self.agent(2)
        wire_id = self.client.request('funcs', {'target': {'name': 'x'}})
        for a, rows in ((one, [['f', 's'], ['g', 's']]), (two, [['f', 's']])):
            f = a.receive(wire.REQUEST)
            self.assertEqual(f[2:], ['funcs', {'target': {'name': 'x'}}])
            a.send([wire.REPLY, f[1], True, {'functions': rows, 'more': False, 'source': 'debug info'}])
        answer = self.client.receive(wire.REPLY, wire_id)[3]
        self.assertEqual([r[1:] for r in answer['functions']], [['f', 's'], ['g', 's']])
        self.assertEqual([len(r[0]) for r in answer['functions']], [2, 1])
        # One leaves without an answer, one sends nonsense.
        wire_id = self.client.request('ps', {})
        one.receive(wire.REQUEST)
        one.close()
        f = two.receive(wire.REQUEST)
        two.send([wire.REPLY, f[1], True, {'processes': [[1, 'x']]}])
        answer = self.client.receive(wire.REPLY, wire_id)[3]
        self.assertEqual((answer['processes'], [x[1] for x in answer['failed']]), ([['web-1', 1, 'x']], ['its connection is gone']))
        wire_id = self.client.request('ps', {})
        f = two.receive(wire.REQUEST)
        two.send([wire.REPLY, f[1], True, {'processes': 'many'}])
        self.assertIn('malformed', self.client.receive(wire.REPLY, wire_id)[3]['text'])


# ---- real agents, real probes ----

@unittest.skipIf(NO_KERNEL, 'PLUMB_NO_KERNEL')
class Real(Control):
    limit = 200

    def setUp(self):
        super().setUp()
        # Under a name that no other test's processes have: `-s` takes all that there are.
        self.name = 'ctl%d' % os.getpid()
        self.exe = os.path.join(self.dir, self.name)
        shutil.copy(target('busy'), self.exe)

    def agent(self, name, *args):
        a = Agent(self, '--host', name, '--collector', '127.0.0.1:%d' % self.c.port, '--spool', os.path.join(self.dir, 'spool-' + name),
                  *UNBOUNDED, *args, socket=os.path.join(self.dir, name + '.sock'))
        self.wait_connected(name)
        return a

    def wait_connected(self, name):
        wait_for('connection of ' + name, lambda: [h for h in self.rows('hosts') if h['host'] == name and h['connected']])

    def service(self):
        return Target(self, self.exe, '--threads', 1)

    def states(self):
        return {r['id']: dict((h, s) for h, s, _ in r['hosts']) for r in self.rows('list')}

    def test_trace_of_two(self):
        self.agent('web-1'), self.agent('web-2')
        self.service()
        records = [json.loads(x) for x in self.plumb('trace', '-s', self.name, '--json', '--for', '2s', *RATE, PROBE).lines()]
        total = records.pop()['total']
        self.assertEqual((total['shown'], total['end']), (len(records), 'for'))
        self.assertEqual({r['host'] for r in records}, {'web-1', 'web-2'})
        text = self.plumb('trace', '-s', self.name, '--for', '2s', *RATE, PROBE).stdout
        self.assertEqual(set(re.findall(r'^[\d:.]+ (web-\d):%s\[\d+/\d+\] %s\(' % (self.name, PROBE), text, re.M)), {'web-1', 'web-2'})
        self.assertEqual(len(self.plumb('trace', '-s', self.name, '--limit', 30, *RATE, PROBE).lines()), 30)   # of both together
        self.assertEqual([e['outcome'].split(':')[0] for e in self.audit(action='trace')], ['ended (for)', 'ended (for)', 'ended (limit)'])

    def test_stat_of_two(self):
        self.agent('web-1'), self.agent('web-2')
        self.service()
        ticks = [json.loads(x) for x in self.plumb('stat', '-s', self.name, '--json', '--for', '3s', PROBE).lines()]
        total = ticks.pop()['total']
        self.assertEqual(ticks[-1]['hosts'] and sorted(ticks[-1]['hosts']), ['web-1', 'web-2'])
        self.assertEqual(len(ticks[-1]['probes']), 1)
        self.assertEqual(ticks[-1]['probes'][0]['total']['calls'], total['calls'])
        self.assertGreater(total['calls'], 0)
        by = [json.loads(x) for x in self.plumb('stat', '-s', self.name, '--json', '--by', 'host', '--for', '2s', PROBE).lines()]
        self.assertEqual(sorted(p['host'] for p in by[-2]['probes']), ['web-1', 'web-2'])

    def test_questions(self):
        self.agent('web-1'), self.agent('web-2')
        t = self.service()
        self.assertEqual(sorted(p['host'] for p in self.rows('ps') if p['pid'] == t.pid), ['web-1', 'web-2'])
        rows = self.rows('funcs', '-s', self.name, PROBE)
        self.assertEqual([(r['function'], sorted(r['hosts'])) for r in rows], [(PROBE, ['web-1', 'web-2'])])
        # one text; what each agent has measured for itself stands behind it
        text = self.plumb('explain', '-s', self.name, PROBE).stdout
        self.assertEqual([sorted(re.findall(r'web-\d', line)) for line in re.findall(r'^web-\d.*:$', text, re.M)], [['web-1', 'web-2']])
        self.assertEqual(len(re.findall('^site ', text, re.M)), 1)
        self.assertEqual(len(re.findall('^cost ', text, re.M)), 1 + len(re.findall(r'^on web-\d$', text, re.M)))
        self.assertTrue(all(sorted(r['hosts']) == ['web-1', 'web-2'] for r in self.rows('doctor') if r['check'] == 'BPF programs'))

    def test_refusals(self):
        self.agent('web-1'), self.agent('web-2')
        self.service()
        p = self.plumb('trace', '-s', self.name, PROBE + '(nonsense)', code=1)
        self.assertIn("no parameter 'nonsense'", p.stderr)
        self.assertRegex(p.stderr, r'\n +\| +\^')
        self.assertIn('none of 2 hosts runs', self.plumb('trace', '-s', 'nosuch-service', PROBE, code=1).stderr)
        # A budget that one agent does not grant: the other one goes on.
        self.agent('web-3', '--max-budget', '1')
        p = self.plumb('trace', '-s', self.name, '--budget', '5000%', '--for', '2s', *RATE, PROBE)
        self.assertRegex(p.stderr, r'plumb: web-3: refused: this agent allows a budget of 1% of one core at most')
        self.assertEqual(set(re.findall(r' (web-\d):', p.stdout)), {'web-1', 'web-2'})

    def test_keep_list_rm(self):
        one = self.agent('web-1')
        t = self.start('trace', '-s', self.name, '--keep', *RATE, PROBE)
        t.wait_line(r'request \d+ stays', stream='stderr')
        t.signal(signal.SIGINT)
        t.wait()
        request = self.rows('list')[0]['id']
        self.assertEqual(self.states(), {request: {'web-1': 'does not run there'}})
        # The service comes, and an agent that was not there before.
        self.service()
        self.agent('web-2')
        wait_for('both', lambda: self.states()[request] == {'web-1': 'running', 'web-2': 'running'})
        wait_for('calls', lambda: self.rows('list')[0]['shipped'] > 0)
        # An agent that is killed and comes back gets it again.
        one.popen.kill()
        one.popen.wait()
        wait_for('its absence', lambda: self.states()[request]['web-1'] == 'away')
        self.agent('web-1')
        wait_for('its return', lambda: self.states()[request]['web-1'] == 'running')
        self.plumb('rm', request)
        wait_for('end', lambda: not self.rows('list'))
        self.assertRegex(self.audit(action='trace')[0]['outcome'], r'^ended \(removed\)')

    def replace_store(self):
        """The collector comes back on the same port with an empty store."""
        port = self.c.port
        self.c.signal(signal.SIGKILL)
        self.c.wait()
        for name in os.listdir(self.data):
            if name.startswith('plumb.db'):
                os.unlink(os.path.join(self.data, name))
        self.c = self.collector(listen='127.0.0.1:%d' % port)

    def local(self, agent):
        """What the agent says of its requests."""
        return [json.loads(x) for x in agent.run('list', '--json').lines()]

    def keep(self, probe):
        t = self.start('trace', '-s', self.name, '--keep', *RATE, probe)
        t.wait_line(r'request \d+ stays', stream='stderr')
        t.signal(signal.SIGINT)
        t.wait()

    def test_an_agent_of_a_store_that_was_replaced(self):
        a = self.agent('web-1')
        self.service()
        self.keep(PROBE)
        wait_for('calls', lambda: self.rows('list')[0]['shipped'] > 0)
        a.popen.send_signal(signal.SIGSTOP)   # it has data of the old request that no store has
        self.replace_store()
        self.keep(PROBE + '(i)')
        self.assertEqual([r['id'] for r in self.rows('list')], [1])   # as the old one
        a.popen.send_signal(signal.SIGCONT)
        self.wait_connected('web-1')
        wait_for('calls of the new request', lambda: self.rows('list')[0]['shipped'] > 0)
        self.assertEqual(self.c.ask('SELECT DISTINCT spec FROM probe'), [(PROBE + '(i)',)])
        wait_for('end of the old one there', lambda: [r['probes'] for r in self.local(a)] == [[PROBE + '(i)']])
        self.plumb('rm', 1)
        wait_for('end', lambda: not self.rows('list') and not self.local(a))
        wait_for('the commit of the end', lambda: self.c.ask("SELECT count(*) FROM request_agent WHERE state = 'ended'")[0][0] == 1)
        stored, sampled, matched = self.c.ask("SELECT (SELECT sum(records) FROM chunk), sum(sampled + drop_rate), sum(matched) "
                                              "FROM rollup WHERE span = 1")[0]
        self.assertEqual(stored + sampled, matched)

    def test_ttl(self):
        self.agent('web-1')
        self.service()
        p = self.plumb('stat', '-s', self.name, '--ttl', '2s', PROBE)
        self.assertRegex(p.stderr, r'ended \(ttl\)')
        self.assertEqual(self.rows('list'), [])

    def test_stopped_by_its_user(self):
        self.agent('web-1'), self.agent('web-2')
        self.service()
        t = self.start('trace', '-s', self.name, '--json', *RATE, PROBE)
        wait_for('calls of both', lambda: {o['host'] for o in map(json.loads, t.stdout.splitlines()[:-1])} >= {'web-1', 'web-2'})
        t.stop()
        self.assertGreater(t.total()['calls'], 0)
        self.assertEqual(t.total()['shown'], len(t.records()))
        self.assertRegex(self.audit(action='trace')[0]['outcome'], r'^ended \(stopped\)')


# ---- three hosts ----

def ip(*args):
    subprocess.run(['ip', *args], check=True, capture_output=True)


@unittest.skipIf(NO_KERNEL, 'PLUMB_NO_KERNEL')
class Hosts(Control):
    """Three network namespaces, each with an agent, and one collector: TLS with certificates of both ends."""
    limit = 200

    def setUp(self):
        self.tag = 'pl%d' % (os.getpid() % 100000)
        super().setUp()
        self.name = 'net%d' % os.getpid()
        self.exe = os.path.join(self.dir, self.name)
        shutil.copy(target('busy'), self.exe)

    def collector(self, *args, **how):
        self.make_network()
        for name, names in (('ca', None), ('collector', 'IP:10.213.0.254'), ('web-1', None), ('web-2', None), ('web-3', None)):
            self.identity(name, names)
        return super().collector('--tls-cert', self.file('collector.pem'), '--tls-key', self.file('collector.key'), '--tls-ca', self.file('ca.pem'),
                                 listen='10.213.0.254:0')

    def make_network(self):
        bridge = self.tag + 'br'
        ip('link', 'add', bridge, 'type', 'bridge')
        self.addCleanup(ip, 'link', 'del', bridge)
        ip('addr', 'add', '10.213.0.254/24', 'dev', bridge)
        ip('link', 'set', bridge, 'up')
        for n in (1, 2, 3):
            ns, veth = '%sn%d' % (self.tag, n), '%sv%d' % (self.tag, n)
            ip('netns', 'add', ns)
            self.addCleanup(ip, 'netns', 'del', ns)
            ip('link', 'add', veth, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', ns)
            ip('link', 'set', veth, 'master', bridge, 'up')
            ip('-n', ns, 'addr', 'add', '10.213.0.%d/24' % n, 'dev', 'eth0')
            ip('-n', ns, 'link', 'set', 'eth0', 'up')
            ip('-n', ns, 'link', 'set', 'lo', 'up')

    def file(self, name):
        return os.path.join(self.dir, name)

    def identity(self, name, names):
        args = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-keyout', self.file(name + '.key'),
                '-out', self.file(name + '.pem'), '-subj', '/CN=' + name]
        args += ['-CA', self.file('ca.pem'), '-CAkey', self.file('ca.key')] if name != 'ca' else []
        args += ['-addext', 'subjectAltName=' + names] if names else []
        subprocess.run(['openssl', *args], check=True, capture_output=True)

    def command(self, *args, token=None, tls=True):
        return [PLUMB, '--collector', '10.213.0.254:%d' % self.c.port, '--token-file', os.path.join(self.data, 'admin.token'),
                *(('--tls-ca', self.file('ca.pem')) if tls else ()), *map(str, args)]

    def agent(self, n):
        name = 'web-%d' % n
        p = Process(self, ['ip', 'netns', 'exec', '%sn%d' % (self.tag, n), PLUMBD, '--host', name, '--socket', self.file(name + '.sock'),
                           '--collector', '10.213.0.254:%d' % self.c.port, '--spool', self.file('spool-' + name), *UNBOUNDED,
                           '--tls-cert', self.file(name + '.pem'), '--tls-key', self.file(name + '.key'), '--tls-ca', self.file('ca.pem')])
        wait_for('connection of ' + name, lambda: [h for h in self.rows('hosts') if h['host'] == name and h['connected']])
        return p

    def test_one_trace_shows_all_three(self):
        agents = [self.agent(n) for n in (1, 2, 3)]
        Target(self, self.exe, '--threads', 1)
        text = self.plumb('trace', '-s', self.name, '--for', '2s', *RATE, PROBE).stdout
        self.assertEqual(set(re.findall(r'^[\d:.]+ (web-\d):%s\[' % self.name, text, re.M)), {'web-1', 'web-2', 'web-3'})
        addresses = {h['host']: h['address'].rsplit(':', 1)[0] for h in self.rows('hosts')}
        self.assertEqual(addresses, {'web-%d' % n: '10.213.0.%d' % n for n in (1, 2, 3)})
        # Without the CA the certificate is nobody's; clear text is not understood.
        p = Process(self, self.command('ps', tls=False))
        self.assertEqual(p.wait(), 1)
        self.assertIn('certificate', p.stderr)
        for a in agents:
            a.signal(signal.SIGTERM)
            self.assertEqual(a.wait(), 0)
