# SPDX-License-Identifier: Apache-2.0
"""plumb verify with arms by time and by host, and with processes that come and go inside an arm."""
import json
import os
import re
import shutil
import signal
import unittest

from control import Control
from harness import NO_KERNEL, PLUMBD, UNBOUNDED, Agent, Process, target, wait_for
from orders import FIXES, TRIGGER, Orders

WAITING = r'^plumb: baseline watched for \d+ s, [1-9][\d,]* calls; waiting for another build'


class ByTime(Orders):
    def start(self, agent, *args):
        """-> a verification whose baseline has been watched for a while"""
        p = Process(self, agent.command('verify', '-s', self.name, '--by-time', *args))
        p.wait_line(WAITING, stream='stderr')
        return p

    def claim(self, version):
        return ('--patch', os.path.join(FIXES, 'v%d.diff' % version), '--function', 'apply_coupon', '--trigger', TRIGGER, '--expect', 'gone')

    def test_a_restart_with_the_fix_passes(self):
        """The patch only adds lines: where they will be is found in the old build before the new one is there."""
        agent, reports = self.agent(), {kind: self.path('out.' + kind) for kind in ('json', 'md', 'junit')}
        first, _ = self.service(1)
        p = self.start(agent, *self.claim(2), '--for', '80s', '--record', self.path('rec'),
                       '--report', ','.join('%s=%s' % r for r in reports.items()))
        first.signal(signal.SIGTERM)
        first.wait()
        _, build = self.service(2, seed=2)
        self.assertEqual(p.wait(150), 0, p.stdout + p.stderr)
        self.assertRegex(p.stdout, r'(?m)^PASS  all gates of every function pass')
        self.assertRegex(p.stdout, r'(?m)^candidate  build %s  1 process, \d+ threads?, probed [\d.]+ %% of the time$' % build[:12])
        self.assertRegex(p.stdout, r'remark: the candidate ran for \d+\.\d s before its probes were set: its calls until then are not known')
        self.assertRegex(p.stdout, r'\d+ hits (~ )?\+ +return 0;')
        self.assertIn('note: the arms ran one after the other: whatever else changed', p.stdout)
        with open(reports['json']) as f:
            result = json.load(f)
        self.assertEqual(result['not_compared'], [])
        self.assertEqual({f['function'] for f in result['functions']}, {'apply_coupon', 'coupon_discount'})
        self.assertEqual((result['baseline']['ended'], result['baseline']['processes'], result['candidate']['build_id']), (1, 0, build))
        self.assertGreater(result['candidate']['probed_share'], 0)
        self.assertIn('whatever else changed between', ' '.join(result['caveats']))
        with open(reports['md']) as f:
            self.assertIn('whatever else changed between', f.read())
        again = self.verify(agent, '--replay', self.path('rec'), code=0)
        self.assertEqual(again.stdout, p.stdout)

    def test_a_rolling_restart_with_a_wrong_fix_fails(self):
        """Two processes are replaced one by one; for a while both builds run."""
        agent = self.agent()
        old = [self.service(1, seed=n)[0] for n in (1, 2)]
        p = self.start(agent, '--function', 'checkout', '--trigger', TRIGGER, '--expect', 'gone', '--for', '80s')
        for n, one in enumerate(old):
            self.service(3, seed=3 + n)
            one.signal(signal.SIGTERM)
            one.wait()
        self.assertEqual(p.wait(150), 1, p.stdout + p.stderr)
        self.assertRegex(p.stdout, r'(?m)^FAIL  the error is gone: it is not: baseline failed [1-9]\d* of \d+ trigger calls, candidate [1-9]')

    def test_no_other_build_comes(self):
        agent = self.agent()
        self.service(1)
        p = self.verify(agent, '-s', self.name, '--by-time', *self.claim(3), '--for', '4s', code=3)
        self.assertRegex(p.stdout, r'(?m)^INCONCLUSIVE  .*no other build of %s came within the time: the baseline \(build \w+\) was watched for '
                         r'\d+ s, [1-9]' % self.name)

    def test_two_builds_at_once_are_not_by_time(self):
        agent, arms = self.agent(), self.pair(2)
        p = self.verify(agent, '-s', self.name, '--by-time', '--function', 'checkout', code=2)
        self.assertIn('more than one build runs', p.stderr)
        p = self.verify(agent, '-s', self.name, '--by-time', '--candidate', arms[5], '--function', 'checkout', code=2)
        self.assertIn('runs already', p.stderr)


class Restarts(Orders):
    """Processes of an arm end, and others of the same build come: every call is counted once."""
    agent_args = UNBOUNDED

    def load(self, p, count, wait=True):
        port = p.wait_line(r'^listening on 127.0.0.1:(\d+)').group(1)
        load = Process(self, [target('orderload'), '--port', port, '--count', str(count), '--seconds', '300'])
        if wait:
            self.assertEqual(load.wait(), 0, load.stderr)
        return load

    def site(self, agent, p):
        """The address in a process of the breakpoint that checkout gets."""
        text = agent.run('explain', '-p', p.pid, 'checkout').stdout
        offset = int(re.search(r'file offset (0x[0-9a-f]+)', text).group(1), 16)
        with open('/proc/%d/maps' % p.pid) as f:
            for line in f:
                at, mode, start = line.split()[:3]
                first, last = (int(x, 16) for x in at.split('-'))
                if 'x' in mode and os.path.basename(line.split()[-1]) == self.name and 0 <= offset - int(start, 16) < last - first:
                    return first + offset - int(start, 16)
        raise AssertionError('no code at %#x' % offset)

    def wait_probed(self, agent, p):
        site = self.site(agent, p)

        def is_set():
            with open('/proc/%d/mem' % p.pid, 'rb') as f:
                f.seek(site)
                return f.read(1) == b'\xcc'
        wait_for('probe in process %d' % p.pid, is_set)

    def wait_calls(self, p, base, cand):
        """A verdict holds whole ticks: until these calls are in one. There is a line every ten seconds."""
        p.wait_line(r'comparing .*: %s and %s calls' % (base, cand), timeout=120, stream='stderr')

    def result(self, p):
        p.signal(signal.SIGINT)
        self.assertEqual(p.wait(), 3, p.stderr)
        return json.loads(p.stdout)

    def begin(self, agent):
        """Two builds without any traffic -> the verification"""
        (self.first, base), (self.second, cand) = self.service(1, load=False), self.service(2, load=False)
        arms = ['-s', self.name, '--baseline', 'build:' + base, '--candidate', 'build:' + cand]
        p = Process(self, agent.command('verify', *arms, '--function', 'checkout', '--guard', 'error_rate < +0 %', '--lines', 'none',
                                        '--for', '100s', '--json'))
        p.wait_line(r'comparing', stream='stderr')
        return p

    def again(self, p):
        """The same program once more."""
        return Process(self, p.argv)

    def test_a_canary_that_crashes_and_comes_back(self):
        agent = self.agent()
        p = self.begin(agent)
        self.load(self.second, 500)
        self.second.popen.kill()
        self.second.wait()
        back = self.again(self.second)
        back.wait_line(r'^listening')
        self.wait_probed(agent, back)
        self.load(back, 300)
        self.wait_calls(p, 0, 800)
        result = self.result(p)
        c = result['functions'][0]['candidate']
        self.assertEqual((c['calls'], c['lost'], c['unpaired']), (800, 0, 0), result)
        self.assertEqual((result['candidate']['processes'], result['candidate']['ended']), (1, 1), result)

    def test_a_baseline_that_is_restarted_one_by_one(self):
        agent = self.agent()
        p = self.begin(agent)
        old = [self.first, self.again(self.first)]
        old[1].wait_line(r'^listening')
        self.wait_probed(agent, old[1])
        for n, one in enumerate(old):
            self.load(one, 100 + n)
            one.signal(signal.SIGTERM)
            self.assertEqual(one.wait(), 0)
            new = self.again(self.first)
            new.wait_line(r'^listening')
            self.wait_probed(agent, new)
            self.load(new, 10)
        self.wait_calls(p, 221, 0)
        b = self.result(p)['functions'][0]['baseline']
        self.assertEqual((b['calls'], b['lost'], b['unpaired']), (100 + 101 + 20, 0, 0))

    def test_calls_that_a_crash_cuts_off(self):
        """Whoever was in a call when the process died has no result; the others count."""
        agent = self.agent()
        p = self.begin(agent)
        load = self.load(self.second, 10 ** 9, wait=False)   # flat out: there is always a call that is open
        self.wait_calls(p, 0, r'\d{4,}')
        self.second.popen.kill()
        load.wait()
        sent, ok, err = map(int, re.search(r'sent=(\d+) ok=(\d+) err=(\d+)', load.stdout).groups())
        back = self.again(self.second)
        back.wait_line(r'^listening')
        self.wait_probed(agent, back)
        said = p.stderr.count('comparing')
        # The processes are looked at every five seconds.
        wait_for('two more lines', lambda: p.stderr.count('comparing') >= said + 2, 120)
        c = self.result(p)['functions'][0]['candidate']
        self.assertGreaterEqual(c['calls'] + c['unpaired'], ok + err)
        self.assertLessEqual(c['calls'] + c['unpaired'], sent)
        self.assertGreaterEqual(c['calls'], 1000)
        self.assertLessEqual(c['unpaired'], 4)


@unittest.skipIf(NO_KERNEL, 'PLUMB_NO_KERNEL')
class ByHost(Control):
    """The agents are on one machine: each sees every process, so that their hosts have the same pids."""
    limit = 200

    def agent(self, name):
        Agent(self, '--host', name, '--collector', '127.0.0.1:%d' % self.c.port, '--spool', os.path.join(self.dir, 'spool-' + name), *UNBOUNDED,
              '--cache', os.path.join(self.dir, 'cache-' + name), socket=os.path.join(self.dir, name + '.sock'))
        wait_for('connection of ' + name, lambda: [h for h in self.rows('hosts') if h['host'] == name and h['connected']])

    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    def serve(self, name):
        p = Process(self, [name])
        port = p.wait_line(r'^listening on 127.0.0.1:(\d+)').group(1)
        Process(self, [target('orderload'), '--port', port, '--rate', '1000', '--seconds', '300', '--bad-percent', '5', '--unknown-percent', '5'])
        return p

    def test_two_hosts_with_one_build(self):
        for n in (1, 2, 3):
            self.agent('web-%d' % n)
        name = os.path.join(self.dir, 'ord' + os.path.basename(self.dir)[-8:])
        shutil.copy(target('orderd'), name)
        self.serve(name)
        ask = ('verify', '-s', os.path.basename(name), '--baseline', 'host:web-1', '--candidate', 'host:web-3', '--for', '120s')
        done = self.plumb(*ask, '--function', 'checkout', '--guard', 'error_rate < +60 %', '--json', timeout=150)
        result = json.loads(done.stdout)
        self.assertEqual((result['baseline']['label'], result['candidate']['label']), ('host web-1', 'host web-3'))
        b, c = (result['functions'][0][arm]['calls'] for arm in ('baseline', 'candidate'))
        self.assertGreater(b, 0)
        self.assertLess(abs(b - c), 0.5 * b)
        self.assertEqual((result['baseline']['processes'], result['candidate']['processes']), (1, 1))
        states = {r['id']: {h for h, _, _ in r['hosts']} for r in self.rows('list')}
        self.assertEqual([h for h in states.values() if 'web-2' in h], [])
        hosts = {h for h, in self.c.ask('SELECT DISTINCT agent.host FROM request_agent JOIN agent ON agent.id = request_agent.agent')}
        self.assertEqual(hosts, {'web-1', 'web-3'})
        refused = self.plumb(*ask, '--patch', os.path.join(FIXES, 'v2.diff'), code=2)
        self.assertIn('baseline and candidate are the same build', refused.stderr)

    def test_an_agent_alone_has_no_hosts(self):
        agent = Agent(self, socket=os.path.join(self.dir, 'alone.sock'))
        p = Process(self, agent.command('verify', '-x', PLUMBD, '--baseline', 'host:a', '--candidate', 'host:b', '--function', 'main'))
        self.assertEqual(p.wait(), 2)
        self.assertIn('arms by host need a collector', p.stderr)

    def test_by_time_through_a_collector(self):
        self.agent('web-1')
        paths = {}
        for version, source in ((1, 'orderd'), (3, 'orderd-v3/orderd')):
            paths[version] = self.path('v%d' % version, 'ord' + os.path.basename(self.dir)[-8:])
            os.mkdir(os.path.dirname(paths[version]))
            shutil.copy(target(source), paths[version])
        first = self.serve(paths[1])
        p = Process(self, self.command('verify', '-s', os.path.basename(paths[1]), '--by-time', '--function', 'checkout', '--expect', 'gone',
                                       '--trigger', TRIGGER, '--for', '80s'))
        p.wait_line(WAITING, stream='stderr')
        first.popen.kill()
        first.wait()
        self.serve(paths[3])
        self.assertEqual(p.wait(150), 1, p.stdout + p.stderr)
        self.assertRegex(p.stdout, r'(?m)^FAIL  the error is gone: it is not: baseline failed [1-9]\d* of \d+ trigger calls, candidate [1-9]')
        self.assertRegex(p.stdout, r'(?m)^candidate .* 1 process, \d+ threads?, probed [\d.]+ % of the time')
