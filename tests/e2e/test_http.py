# SPDX-License-Identifier: Apache-2.0
"""The HTTP side of the collector: answers against docs/openapi.json, tokens and roles, limits, hostile texts, metrics for Prometheus."""
import contextlib
import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import time
import urllib.parse

import wire
from collector import COLLECTOR, LOCAL, Agent, Collector, chunk_frame, opened, probe_frame, stats_frame
from harness import Case, Process, wait_for

HERE = os.path.dirname(os.path.abspath(__file__))
with open(os.path.join(HERE, '..', '..', 'docs', 'openapi.json')) as _f:
    API = json.load(_f)

NASTY = '<img src=x onerror=alert(1)>\x1b[31m\u202e"\\\n\x00'


def check(value, schema, where='answer'):
    """Whether a value is what the schema says: the part of OpenAPI 3.0 that docs/openapi.json uses. Unknown members are an error."""
    if '$ref' in schema:
        return check(value, API['components']['schemas'][schema['$ref'].split('/')[-1]], where)
    if 'allOf' in schema:
        parts = [API['components']['schemas'][p['$ref'].split('/')[-1]] if '$ref' in p else p for p in schema['allOf']]
        merged = {k: v for p in parts for k, v in p['properties'].items()}
        return check(value, {'type': 'object', 'properties': merged, 'required': [r for p in parts for r in p['required']]}, where)
    if value is None:
        assert schema.get('nullable'), '%s is null' % where
        return
    kind = {'integer': int, 'string': str, 'boolean': bool, 'array': list, 'object': dict}.get(schema.get('type'))
    if kind:
        assert isinstance(value, kind) and not (kind is int and isinstance(value, bool)), '%s is no %s: %r' % (where, schema['type'], value)
    if 'enum' in schema:
        assert value in schema['enum'], '%s is none of %s: %r' % (where, schema['enum'], value)
    if kind is list:
        assert schema.get('minItems', 0) <= len(value) <= schema.get('maxItems', 1 << 30), '%s has %d items' % (where, len(value))
        for i, item in enumerate(value):
            check(item, schema['items'], '%s[%d]' % (where, i))
    if kind is dict and 'properties' in schema:
        for name in schema.get('required', ()):
            assert name in value, '%s has no %s' % (where, name)
        for name, member in value.items():
            assert name in schema['properties'], '%s has an unknown %s' % (where, name)
            check(member, schema['properties'][name], where + '.' + name)


def listening_port(pid):
    """Of a program that chose one itself; None: not yet."""
    links = set()
    for fd in os.listdir('/proc/%d/fd' % pid):
        with contextlib.suppress(OSError):      # closed meanwhile
            links.add(os.readlink('/proc/%d/fd/%s' % (pid, fd)))
    with open('/proc/net/tcp') as f:
        rows = [line.split() for line in f][1:]
    return next((int(r[1].split(':')[1], 16) for r in rows if r[3] == '0A' and 'socket:[%s]' % r[9] in links), None)


class HttpCase(Case):
    def start(self, *args):
        c = Collector(self, self.path('data'), *args)
        self.host, port = c.http_address().rsplit(':', 1)
        self.port = int(port)
        self.secret = c.token()
        return c

    def ask(self, path, method='GET', body=None, token=None, headers=None):
        """-> (status, headers, bytes)"""
        k = http.client.HTTPConnection(self.host, self.port, timeout=20)
        self.addCleanup(k.close)
        token = self.secret if token is None else token
        all_headers = dict(headers or {}, **({'Authorization': 'Bearer ' + token} if token else {}))
        k.request(method, path, body if body is None or isinstance(body, (bytes, str)) else json.dumps(body), all_headers)
        r = k.getresponse()
        return r.status, r.headers, r.read()

    def get(self, path, status=200, **more):
        got, headers, data = self.ask(path, **more)
        self.assertEqual(got, status, data[:500])
        self.assertEqual(headers['Content-Type'], 'application/json')
        answer = json.loads(data)
        self.check_api(path, more.get('method', 'GET'), status, answer)
        return answer

    def check_api(self, path, method, status, answer):
        plain = re.sub(r'/\d+$', '/{id}', path.split('?')[0])
        if plain not in API['paths'] and status != 200:
            return check(answer, {'$ref': '#/components/schemas/Error'})
        responses = API['paths'][plain][method.lower()]['responses']
        response = responses.get(str(status))
        if status >= 400:
            return check(answer, {'$ref': '#/components/schemas/Error'})
        return check(answer, response['content']['application/json']['schema'])

    def token(self, name, role):
        out = subprocess.run([COLLECTOR, 'token', 'add', name, role, '--data', self.path('data')], stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True, check=False)
        self.assertEqual(out.returncode, 0, out.stdout)
        return re.search(r'plumb_\w+', out.stdout).group(0)

    def fill(self, c, chunks=3):
        """A request of an agent's own with records, failing ones too, and counters."""
        a = Agent(c.port)
        self.addCleanup(a.close)
        n = a.begin()
        for _ in range(chunks):
            a.entry(n, chunk_frame(200))
            n += 1
        now = time.time_ns()
        for i, calls in enumerate((100, 350, 600)):
            a.entry(n, stats_frame(calls, ns=now - (3 - i) * 10 ** 9))
            n += 1
        a.wait_ack(n - 1)
        return a, n


class Answers(HttpCase):
    def test_every_question_answers_as_it_is_described(self):
        c = self.start()
        self.fill(c)
        request = self.get('/api/v1/requests')['requests'][0]['id']
        probe = self.get('/api/v1/probes')['probes'][0]['id']
        asked = {'/api/v1/whoami': '', '/api/v1/services': '', '/api/v1/hosts': '', '/api/v1/requests': '?open=1&service=orderd',
                 '/api/v1/requests/{id}': '', '/api/v1/probes': '?function=parse_order', '/api/v1/series': '?step=1&by=function,build,host',
                 '/api/v1/heatmap': '?step=10&probe=%d' % probe, '/api/v1/calls': '?limit=5', '/api/v1/top': '?request=%d' % request,
                 '/api/v1/audit': '?from=1', '/api/v1/verdicts': '?from=1', '/api/v1/verdicts/{id}': ''}
        for path, operations in API['paths'].items():
            if path in ('/metrics', '/healthz', '/api/v1/live', '/api/v1/verdicts/{id}/record') or 'get' not in operations:
                continue
            with self.subTest(path):
                self.get(path.replace('{id}', str(request)) + asked[path])
        total = self.get('/api/v1/series?step=0')['groups'][0]['total']
        self.assertEqual(total['calls'], 600)
        self.assertEqual(len(self.get('/api/v1/calls?limit=5')['calls']), 5)

    def test_calls_and_their_commonest_arguments(self):
        c = self.start()
        self.fill(c, chunks=2)
        calls = self.get('/api/v1/calls?limit=1000')
        self.assertEqual((len(calls['calls']), calls['more']), (400, False))
        self.assertEqual([x['ts'] for x in calls['calls']], sorted((x['ts'] for x in calls['calls']), reverse=True))
        field = self.get('/api/v1/top?limit=3')['fields'][0]
        self.assertEqual((field['name'], field['distinct'], len(field['values'])), ('n', 200, 3))
        self.assertEqual(field['values'][0]['calls'], 2)

    def test_questions_that_make_no_sense(self):
        self.start()
        for path in ('series?step=x', 'series?from=-1', 'series?from=5&to=4', 'series?by=weekday', 'series?step=90000', 'calls?request=1e3',
                     'live?request=x', 'live?request=-1', 'live?request=0', 'series?request=+1', 'series?service=%00', 'hosts?host=a%00b'):
            with self.subTest(path):
                self.get('/api/v1/' + path, 400)
        for path in ('nothing', 'requests/0', 'requests/1/2', 'services/1', 'requests/-18446744073709551615', 'requests/+1'):
            with self.subTest(path):
                self.get('/api/v1/' + path, 404)
        for path in ('requests/-18446744073709551615', 'requests/+1', 'requests/0x1', 'requests/%201'):
            with self.subTest(path):
                self.get('/api/v1/' + path, 404, method='DELETE')
        self.get('/api/v1/nothing', 404)
        self.assertEqual(self.ask('/api/v1/services', method='POST', body={})[0], 405)
        self.assertEqual(self.ask('/healthz', token='')[0], 200)

    def test_a_request_with_no_agent_waits_and_is_removed(self):
        self.start()
        body = {'verb': 'trace', 'target': {'name': 'orderd'}, 'probes': ['checkout'], 'ttl_ns': 60 * 10 ** 9}
        made = self.get('/api/v1/requests', 201, method='POST', body=body)
        self.assertIsNone(self.get('/api/v1/requests/%d' % made['id'])['requests'][0]['ended_ns'])
        self.get('/api/v1/requests/%d' % made['id'], method='DELETE')
        self.assertEqual(self.get('/api/v1/requests/%d' % made['id'])['requests'][0]['reason'], 'removed')
        self.get('/api/v1/requests/%d' % made['id'], 404, method='DELETE')
        for bad in (b'', b'[', b'[]', b'{}', {**body, 'verb': 'rm'}, {**body, 'target': {}}, {**body, 'target': {'name': 'a', 'pid': 1}},
                    {**body, 'probes': []}, {**body, 'probes': [1]}, {**body, 'limit': -1}, {**body, 'shell': 'x'}, b'{"verb":"trace","verb":"stat"}'):
            with self.subTest(bad):
                self.get('/api/v1/requests', 400, method='POST', body=bad)


class Rights(HttpCase):
    def test_tokens_and_roles(self):
        self.start()
        view, probe = self.token('viewer', 'view'), self.token('prober', 'probe')
        body = {'verb': 'trace', 'target': {'name': 'orderd'}, 'probes': ['checkout']}
        for path in ('/api/v1/whoami', '/api/v1/calls', '/api/v1/live', '/metrics'):
            for token in ('', 'plumb_' + '0' * 64, 'x' * 10000):
                with self.subTest(path=path, token=token[:10]):
                    status, headers, _ = self.ask(path, token=token)
                    self.assertEqual((status, headers['WWW-Authenticate']), (401, 'Bearer'))
        self.assertEqual(self.get('/api/v1/whoami', token=view)['role'], 'view')
        self.get('/api/v1/services', token=view)
        self.get('/api/v1/requests', 403, method='POST', body=body, token=view)
        made = self.get('/api/v1/requests', 201, method='POST', body=body, token=probe)
        self.get('/api/v1/requests/%d' % made['id'], 403, method='DELETE', token=view)
        entries = self.get('/api/v1/audit?from=1')['audit']
        self.assertIn(('prober', 'trace'), [(e['who'], e['action']) for e in entries])
        self.assertIn('login refused', [e['action'] for e in entries])

    def test_basic_authorization_is_none(self):
        self.start()
        self.assertEqual(self.ask('/api/v1/whoami', token='', headers={'Authorization': 'Basic ' + self.secret})[0], 401)


class Limits(HttpCase):
    def raw(self, data, timeout=15):
        with socket.create_connection((self.host, self.port), timeout) as s:
            s.sendall(data)
            out = b''
            try:
                while True:
                    more = s.recv(65536)
                    if not more:
                        return out
                    out += more
            except (ConnectionResetError, socket.timeout):
                return out

    def test_what_is_too_large(self):
        c = self.start()
        close = b'Connection: close\r\n'
        long_header = self.raw(b'GET /healthz HTTP/1.1\r\nHost: x\r\n' + close + b'X: ' + b'a' * 40000 + b'\r\n\r\n')
        self.assertNotIn(b'200 OK', long_header)
        large = self.raw(b'POST /api/v1/requests HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n' % self.secret.encode() + close +
                         b'Content-Length: 100000000\r\n\r\n' + b'a' * 1000)
        self.assertIn(b'413', large.split(b'\r\n')[0] + b'413' if not large else large.split(b'\r\n')[0])
        for garbage in (b'\x00\xff' * 500, b'GET\r\n\r\n', b'GET /../../etc/passwd HTTP/1.1\r\nHost: x\r\n' + close + b'\r\n',
                        b'\x16\x03\x01\x02\x00\x01\x00'):
            self.assertNotIn(b'200 OK', self.raw(garbage, timeout=2))
        self.assertEqual(self.ask('/healthz', token='')[0], 200)
        self.assertLess(c.rss_kib(), 64 << 10)

    def test_connections_are_bounded(self):
        """257 idle ones: the rest waits in the queue, and is served when others have gone."""
        c = self.start()
        idle = [socket.create_connection((self.host, self.port), 10) for _ in range(270)]
        try:
            c.wait_line(r'part=http event=crowded', stream='stderr')
            with self.assertRaises((socket.timeout, TimeoutError)):
                k = http.client.HTTPConnection(self.host, self.port, timeout=2)
                self.addCleanup(k.close)
                k.request('GET', '/healthz')
                k.getresponse()
        finally:
            for s in idle:
                s.close()
        wait_for('service again', lambda: self.ask('/healthz', token='')[0] == 200)


class Hostile(HttpCase):
    def test_texts_are_data_everywhere(self):
        """HTML, escapes for terminals, bytes that are no UTF-8, a megabyte: whatever a program holds comes out as JSON text."""
        c = self.start()
        a = Agent(c.port)
        self.addCleanup(a.close)
        a.entry(1, [wire.RUN, 1, time.time_ns()])
        a.entry(2, opened())
        a.entry(3, [wire.PROBE, LOCAL, {'probe': 1, 'spec': NASTY.replace('\0', ''), 'function': '<script>alert(1)</script>', 'module': 'm', 'build_id': '"', 'file': NASTY.replace('\0', ''),
                                        'line': 1, 'call': True, 'cost_ns': 1, 'fields': [['s', 0, [6, 'char *', None]]]}])
        texts = [b'<script>alert(1)</script>', b'\xff\xfe\x1b[2J', NASTY.encode(), b'x' * 900000]
        for i, text in enumerate(texts):
            record = wire.small([1, i * 1000, 100, 100, 1, 500, [text, False]])
            a.entry(4 + i, [wire.CHUNK, LOCAL, 1, time.time_ns(), 1, 0, record])
        a.wait_ack(3 + len(texts))
        calls = self.get('/api/v1/calls')['calls']
        self.assertEqual(len(calls), len(texts))
        shown = [x['args']['s'] for x in calls]
        self.assertIn('<script>alert(1)</script>', shown)
        self.assertIn(900000, [len(s) for s in shown])
        status, headers, data = self.ask('/api/v1/probes')
        self.assertEqual(status, 200)
        self.assertNotIn(b'\x1b', data)
        self.assertIn("script-src 'self'", headers['Content-Security-Policy'])
        self.assertEqual(headers['X-Content-Type-Options'], 'nosniff')
        page = self.ask('/', token='')
        self.assertNotIn(b'<script>', page[2])
        self.assertEqual(self.get('/api/v1/series?function=' + urllib.parse.quote("' OR 1=1 --"))['groups'], [])


class Live(HttpCase):
    def test_records_as_they_come(self):
        c = self.start()
        a, n = self.fill(c, chunks=1)
        request = self.get('/api/v1/requests')['requests'][0]['id']
        k = http.client.HTTPConnection(self.host, self.port, timeout=20)
        self.addCleanup(k.close)
        k.request('GET', '/api/v1/live?request=%d' % request, headers={'Authorization': 'Bearer ' + self.secret})
        r = k.getresponse()
        self.assertEqual((r.status, r.headers['Content-Type']), (200, 'text/event-stream'))
        a.entry(n, chunk_frame(3))
        events = []
        while len(events) < 3:
            line = r.readline().decode()
            if line.startswith('data: '):
                call = json.loads(line[6:])
                check(call, API['components']['schemas']['Call'])
                events.append(call)
        self.assertEqual([e['args']['n'] for e in events], [0, 1, 2])

    def test_too_fast_to_be_shown_is_counted(self):
        c = self.start()
        a, n = self.fill(c, chunks=1)
        k = http.client.HTTPConnection(self.host, self.port, timeout=20)
        self.addCleanup(k.close)
        k.request('GET', '/api/v1/live', headers={'Authorization': 'Bearer ' + self.secret})
        r = k.getresponse()
        a.entry(n, chunk_frame(5000))
        shown = left = 0
        while shown + left < 5000:
            line = r.readline().decode()
            if line.startswith('data: '):
                data = json.loads(line[6:])
                left += data.get('calls', 0)
                shown += 'function' in data
        self.assertEqual(shown + left, 5000)
        self.assertGreater(left, 0)


class Metrics(HttpCase):
    def test_promtool_has_nothing_to_say(self):
        c = self.start()
        self.fill(c)
        status, headers, text = self.ask('/metrics')
        self.assertEqual(status, 200)
        self.assertTrue(headers['Content-Type'].startswith('text/plain; version=0.0.4'))
        p = subprocess.run(['promtool', 'check', 'metrics'], input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        self.assertEqual((p.returncode, p.stdout), (0, b''))
        self.assertIn(b'plumb_calls_total{request="1",service="orderd",function="parse_order",build_id="ab12",host="web-1"} 600', text)
        self.assertIn(b'\nplumb_collector_clock_jumps_total 0\n', text)
        self.assertIn(b'\nplumb_collector_wrong_times_total 0\n', text)
        buckets = [int(m) for m in re.findall(rb'plumb_call_duration_seconds_bucket\{[^}]*\} (\d+)', text)]
        self.assertEqual(buckets, sorted(buckets))
        self.assertEqual(buckets[-1], 600)

    def test_a_pattern_is_one_series(self):
        """Its functions are told apart in answers; sums over what is scraped count each call once."""
        c = self.start()
        a = Agent(c.port)
        self.addCleanup(a.close)
        n, now = a.begin(), time.time_ns()
        probe = probe_frame(number=2)
        probe[2].update(spec='f_*', function='f_*', functions=2)
        a.entry(n, probe)
        a.entry(n + 1, [wire.FUNCTIONS, LOCAL, 2, 0, ['f_a', '<b>f_b']])
        a.entry(n + 2, [wire.FUNCTION_STATS, LOCAL, now, [[2, 100, 0, {'calls': 3}], [2, 100, 1, {'calls': 4, 'errors': 1}]]])
        a.entry(n + 3, stats_frame(7, probe=2, ns=now))
        a.wait_ack(n + 3)
        groups = self.get('/api/v1/series?by=function')['groups']
        self.assertEqual([(g['function'], g['total']['calls']) for g in groups], [('<b>f_b', 4), ('f_a', 3), ('parse_order', 0)])
        self.assertEqual([p['functions'] for p in self.get('/api/v1/probes')['probes']], [2, 0])
        text = self.ask('/metrics')[2].decode()
        self.assertEqual(re.findall(r'^plumb_calls_total\{.*function="(f[^"]*)".*\} (\d+)$', text, re.M), [('f_*', '7')])

    def test_prometheus_scrapes_it(self):
        c = self.start()
        self.fill(c)
        token = self.path('token')
        with open(token, 'w') as f:
            f.write(self.secret)
        with open(self.path('prometheus.yml'), 'w') as f:
            json.dump({'scrape_configs': [{'job_name': 'plumb', 'scrape_interval': '1s', 'authorization': {'credentials_file': token},
                                           'static_configs': [{'targets': ['%s:%d' % (self.host, self.port)]}]}]}, f)
        p = Process(self, [shutil.which('prometheus'), '--config.file=' + self.path('prometheus.yml'), '--storage.tsdb.path=' + self.path('tsdb'),
                       '--web.listen-address=127.0.0.1:0'])
        port = wait_for('port of prometheus', lambda: listening_port(p.pid))

        def value():
            try:
                k = http.client.HTTPConnection('127.0.0.1', port, timeout=5)
                k.request('GET', '/api/v1/query?query=plumb_calls_total')
                rows = json.loads(k.getresponse().read())['data']['result']
                return rows and rows[0]['value'][1]
            except (OSError, http.client.HTTPException, KeyError, ValueError):
                return None
            finally:
                k.close()
        self.assertEqual(wait_for('a scrape', value), '600')
