# SPDX-License-Identifier: Apache-2.0
"""What failing calls returned: exact counts by value, in each process."""
import json

from harness import UNBOUNDED, KernelCase, Target
from wire import CHUNK, PROBE, Connection, records


def truth(n, threads=1):
    """{value: how often fails() returns it}"""
    out = {}
    for i in range(n):
        value = -22 if i % 4 == 0 else -5 if i % 10 == 1 else -71 if i % 50 == 3 else 0
        if value:
            out[value] = out.get(value, 0) + threads
    return out


def values(counts):
    flat = counts.get('error_values', [])
    return dict(zip(flat[::2], flat[1::2]))


class ErrorValues(KernelCase):
    agent_args = UNBOUNDED

    def stat(self, agent, targets, probe, verb='stat', where=None, **more):
        """-> {pid: counts}"""
        with Connection(agent.socket) as c:
            request = c.trace({'target': where or {'pid': targets[0].pid}, 'probes': [probe], **more}, verb)
            for t in targets:
                t.go()
            for t in targets:
                t.truth()
            end, _ = c.stop(request)
        return {row[1]: row[3] for row in end[4]}

    def test_exact_from_many_threads(self):
        agent, t = self.agent(), Target(self, 'errors', 4)
        got = self.stat(agent, [t], 'fails')[t.pid]
        self.assertEqual(values(got), truth(2000, 4))
        self.assertEqual(sum(values(got).values()), got['errors'])

    def test_each_process_for_itself(self):
        agent, one, three = self.agent(), Target(self, 'errors', 1), Target(self, 'errors', 3)
        got = self.stat(agent, [one, three], 'fails', where={'name': 'errors'})
        self.assertEqual((values(got[one.pid]), values(got[three.pid])), (truth(2000), truth(2000, 3)))
        self.assertNotIn('error_values', got.get(0, {}))

    def test_narrow_types_and_no_more_than_there_is_room_for(self):
        agent, t = self.agent(), Target(self, 'errors')
        got = self.stat(agent, [t], 'fails_short')[t.pid]
        self.assertEqual((got['errors'], len(values(got))), (100, 64))
        self.assertTrue(all(v in range(-199, 0) and n == 1 for v, n in values(got).items()), got)

    def test_pointers(self):
        agent, t = self.agent(), Target(self, 'errors')
        self.assertEqual(values(self.stat(agent, [t], 'fails_pointer')[t.pid]), {0: 667})

    def test_a_rule_of_the_users_own_and_a_trace(self):
        agent, t = self.agent(), Target(self, 'errors')
        got = self.stat(agent, [t], 'fails', verb='trace', error='$ret == -5 || $ret == 7', errors=True, limit=1000000)
        self.assertEqual(values(got[t.pid]), {-5: truth(2000)[-5], 7: 1})

    def test_failing_calls_beside_the_counters(self):
        """Some of them, with their arguments; what is counted is the same as without."""
        agent, counts = self.agent(), []
        for more in ({}, {'show_errors': [1], 'rate': 9}):
            t = Target(self, 'errors', 2)
            with Connection(agent.socket) as c:
                request = c.trace({'target': {'pid': t.pid}, 'probes': ['fails_pointer', 'fails'], **more}, 'stat')
                t.go()
                t.truth()
                end, frames = c.stop(request)
            probes = {f[2]['probe']: f[2] for f in frames if f[0] == PROBE}
            rows = {probes[row[0]]['spec']: row[3] for row in end[4] if row[1] == t.pid}
            shown = [r for f in frames if f[0] == CHUNK for r in records(f)]
            self.assertEqual(values(rows['fails']), truth(2000, 2))
            self.assertEqual(sum(rows['fails']['hist'][1::2]), rows['fails']['calls'])
            counts.append({spec: {k: row[k] for k in ('calls', 'matched', 'returns', 'errors')} for spec, row in rows.items()})
        self.assertEqual([f[0] for f in probes.values() if f['spec'] == 'fails' for f in f['fields']], ['n', '$ret'])
        self.assertEqual(counts[0]['fails'], counts[1]['fails'])
        self.assertTrue(0 < len(shown) <= 9 * 20, len(shown))
        self.assertEqual(rows['fails']['shipped'], len(shown))
        self.assertEqual(rows['fails']['shipped'] + rows['fails']['sampled'], rows['fails']['errors'])
        self.assertNotIn('drop_rate', rows['fails'])     # what is above the rate was not asked for
        for probe, _, _, _, flags, _, n, ret in shown:
            self.assertEqual((probes[probe]['spec'], flags, ret), ('fails', 3, -22 if n % 4 == 0 else -5 if n % 10 == 1 else -71))

    def test_nothing_where_nothing_fails(self):
        agent, t = self.agent(), Target(self, 'errors')
        got = self.stat(agent, [t], 'fails if n > 5000')
        self.assertNotIn('error_values', got.get(t.pid, {}))
        t = Target(self, 'errors')
        self.assertNotIn('error_values', self.stat(agent, [t], 'fails(n)', verb='trace')[t.pid])

    def test_what_plumb_stat_shows(self):
        agent = self.agent()
        for args in (['--json'], []):
            t = Target(self, 'errors')
            p = agent.trace('-p', t.pid, '--tick', '100ms', *args, 'fails', verb='stat')
            t.go()
            t.truth()
            t.finish()
            p.wait()
            if args:
                total = json.loads([line for line in p.lines() if '"probes"' in line][-1])['probes'][0]['total']
                self.assertEqual(dict(total['error_values']), truth(2000))
                self.assertEqual(total['error_values_missing'], 0)
            else:
                self.assertIn('errors: -22 (EINVAL) x 500, -5 (EIO) x 200, -71 (EPROTO) x 40\n', p.stdout)
