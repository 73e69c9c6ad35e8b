# SPDX-License-Identifier: Apache-2.0
"""Verdicts in the collector: stored while they run and for good, by frames and over HTTP, with their record; who may, and bounds."""
import base64
import json
import os
import signal
import sqlite3
import unittest

import wire
from harness import wait_for
from test_control import Client
from test_http import HttpCase

REPORT = {'version': 1, 'text': '<b>\u202e"\\', 'gates': []}


class Verdicts(HttpCase):
    def client(self, token=None):
        s = Client(self.c.port, token or self.secret)
        self.addCleanup(s.close)
        s.receive(wire.WELCOME)
        return s

    def begin(self, *args):
        self.c = self.start(*args)
        return self.client()

    def say(self, s, ok=True, **args):
        number = s.request('verdict', args)
        reply = s.receive(wire.REPLY)
        self.assertEqual((reply[1], reply[2]), (number, ok), reply)
        return reply[3]

    def one(self, number):
        self.c.ask('SELECT 1')
        rows = self.get('/api/v1/verdicts/%d' % number)['verdicts']
        return rows[0] if rows else None


class Stored(Verdicts):
    def test_from_the_start_to_the_verdict(self):
        s = self.begin()
        made = self.say(s, state='RUNNING', title='orderd 8f3a21 -> c01d77', service='orderd', report=json.dumps(REPORT).encode())
        number = made['id']
        self.assertEqual(made['record'], 0)
        row = wait_for('row', lambda: self.one(number))
        self.assertEqual((row['state'], row['title'], row['service'], row['who'], row['report']),
                         ('RUNNING', 'orderd 8f3a21 -> c01d77', 'orderd', 'admin', REPORT))
        parts = [b'\x93\x00first', os.urandom(700_000), b'last\x00']
        at = 0
        for part in parts:
            self.assertEqual(self.say(s, id=number, state='RUNNING', record=part, at=at), {'id': number, 'record': at + len(part)})
            at += len(part)
        report = dict(REPORT, gates=[{'name': 'gone'}])
        self.say(s, id=number, state='PASS', reason='all 3 gates pass', report=json.dumps(report))
        row = wait_for('verdict', lambda: self.one(number) if self.one(number)['state'] == 'PASS' else None)
        self.assertEqual((row['reason'], row['record_bytes'], row['report'], row['title']), ('all 3 gates pass', at, report, 'orderd 8f3a21 -> c01d77'))
        self.assertGreater(row['updated_ns'], row['at_ns'])
        status, headers, data = self.ask('/api/v1/verdicts/%d/record' % number)
        self.assertEqual((status, headers['Content-Type'], data), (200, 'application/octet-stream', b''.join(parts)))
        refused = self.say(s, ok=False, id=number, state='FAIL')
        self.assertIn('stays as it is', refused['text'])
        entry = [e for e in self.get('/api/v1/audit?from=1')['audit'] if e['action'] == 'verdict']
        self.assertEqual([(e['detail'], e['outcome']) for e in entry], [('orderd 8f3a21 -> c01d77', 'PASS: all 3 gates pass')])

    def test_what_is_no_verdict(self):
        s = self.begin()
        good = {'state': 'RUNNING', 'title': 'fix'}
        number = self.say(s, record=b'abc', **good)['id']
        bad = [{}, {'state': 'RUNNING'}, {'title': 'fix'}, {**good, 'state': 'MAYBE'}, {**good, 'title': ''}, {**good, 'title': 'x' * 201},
               {**good, 'title': 7}, {**good, 'report': '['}, {**good, 'report': '[]'}, {**good, 'report': b'{"a":"\xff"}'},
               {**good, 'report': '{"a":1,"a":2}'}, {**good, 'report': '{"a":"' + 'x' * (512 << 10) + '"}'}, {**good, 'record': 'text'},
               {**good, 'record': b'x', 'at': 5}, {**good, 'id': -1}, {**good, 'id': number + 7}, {**good, 'reason': 'x' * 1201},
               {**good, 'id': number, 'record': b'd', 'at': 2}, {**good, 'id': number, 'record': b'd', 'at': 4},
               {**good, 'id': number, 'record': b'd', 'at': 1 << 40}]
        for args in bad:
            with self.subTest(str(args)[:100]):
                self.say(s, ok=False, **args)
        self.say(s, id=number, state='RUNNING', record=b'd', at=3)
        self.assertEqual(len(wait_for('it', lambda: self.get('/api/v1/verdicts')['verdicts'])), 1)
        status, _, data = self.ask('/api/v1/verdicts/%d/record' % number)
        self.assertEqual((status, data), (200, b'abcd'))

    def test_whose_it_is(self):
        s = self.begin()
        view, ann, bob = self.client(self.token('vera', 'view')), self.client(self.token('ann', 'probe')), self.client(self.token('bob', 'probe'))
        self.assertIn('role probe', self.say(view, ok=False, state='RUNNING', title='fix')['text'])
        number = self.say(ann, state='RUNNING', title='fix')['id']
        self.assertIn('belongs to ann', self.say(bob, ok=False, id=number, state='PASS')['text'])
        self.say(s, id=number, state='INCONCLUSIVE', reason='ended by the admin')
        self.assertEqual(wait_for('end', lambda: self.one(number)['state'] != 'RUNNING' and self.one(number))['who'], 'ann')

    def test_one_that_is_not_heard_of_any_more(self):
        """Its last word is set back by five minutes while the collector is down."""
        s = self.begin()
        number = self.say(s, state='RUNNING', title='fix', record=b'abc')['id']
        other = self.say(s, state='RUNNING', title='other')['id']
        wait_for('row', lambda: self.one(other))
        self.c.signal(signal.SIGTERM)
        self.c.wait()
        db = sqlite3.connect(os.path.join(self.c.data, 'plumb.db'))
        with db:
            db.execute('UPDATE verdict SET updated_ns = updated_ns - ? WHERE id = ?', (300 * 10 ** 9, number))
        db.close()
        s = self.begin()
        row = wait_for('end', lambda: self.one(number) if self.one(number)['state'] != 'RUNNING' else None)
        self.assertEqual((row['state'], row['record_bytes']), ('INCONCLUSIVE', 3))
        self.assertIn('was not heard of', row['reason'])
        self.assertEqual(self.one(other)['state'], 'RUNNING')
        self.say(s, ok=False, id=number, state='PASS')


class Http(Verdicts):
    def post(self, status, **body):
        return self.get('/api/v1/verdicts', status, method='POST', body=body)

    def test_the_same_over_http(self):
        self.begin()
        record = os.urandom(1000)
        made = self.post(201, state='RUNNING', title='fix', service='orderd', report=REPORT, record=base64.b64encode(record[:500]).decode())
        number = made['id']
        self.assertEqual(self.one(number)['state'], 'RUNNING')
        self.post(200, id=number, state='FAIL', reason='slower', record=base64.b64encode(record[500:]).decode(), at=500)
        row = self.one(number)
        self.assertEqual((row['state'], row['reason'], row['report'], row['record_bytes']), ('FAIL', 'slower', REPORT, 1000))
        self.assertEqual(self.ask('/api/v1/verdicts/%d/record' % number)[2], record)
        self.post(409, id=number, state='PASS')
        for bad in ({'state': 'PASS'}, {'state': 'PASS', 'title': 'x', 'record': '?'}, {'state': 'PASS', 'title': 'x', 'record': 'YQ='},
                    {'state': 'PASS', 'title': 'x', 'record': 'Y Q='}, {'state': 'PASS', 'title': 'x', 'report': 'text'},
                    {'state': 'PASS', 'title': 'x', 'shell': 1}, {'state': 'PASS', 'title': 'x', 'id': '1'}):
            with self.subTest(bad):
                self.post(400, **bad)
        self.assertEqual(self.ask('/api/v1/verdicts', method='POST', body={'state': 'PASS', 'title': 'x'}, token=self.token('vera', 'view'))[0], 403)
        self.assertEqual(len(self.get('/api/v1/verdicts')['verdicts']), 1)

    def test_the_newest_of_a_title(self):
        self.begin()
        for title, service, state in (('a', 'orderd', 'PASS'), ('a', 'orderd', 'FAIL'), ('b', 'orderd', 'PASS'), ('a', 'shopd', 'PASS')):
            self.post(201, title=title, service=service, state=state)
        rows = self.get('/api/v1/verdicts?service=orderd&title=a&limit=1')['verdicts']
        self.assertEqual([(v['title'], v['service'], v['state']) for v in rows], [('a', 'orderd', 'FAIL')])
        self.assertEqual(len(self.get('/api/v1/verdicts?service=orderd')['verdicts']), 3)
        self.assertEqual(self.get('/api/v1/verdicts?title=c')['verdicts'], [])

    def test_final_is_a_status(self):
        self.begin()
        self.get('/api/v1/verdicts/7?final=1', 404)
        self.get('/api/v1/verdicts?title=fix&limit=1&final=1', 503)
        number = self.post(201, title='fix', state='RUNNING')['id']
        for path in ('/api/v1/verdicts?title=fix&limit=1&final=1', '/api/v1/verdicts/%d?final=1' % number):
            status, headers, _ = self.ask(path)
            self.assertEqual((status, headers['Retry-After']), (503, '10'))
        self.post(200, id=number, state='INCONCLUSIVE')
        self.assertEqual(self.get('/api/v1/verdicts/%d?final=1' % number)['verdicts'][0]['state'], 'INCONCLUSIVE')

    def test_no_record(self):
        self.begin()
        number = self.post(201, title='fix', state='PASS')['id']
        self.assertEqual(self.ask('/api/v1/verdicts/%d/record' % number)[0], 404)
        self.assertEqual(self.ask('/api/v1/verdicts/77/record')[0], 404)
        self.assertEqual(self.ask('/api/v1/requests/1/record')[0], 404)


if __name__ == '__main__':
    unittest.main()
