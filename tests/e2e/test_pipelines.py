# SPDX-License-Identifier: Apache-2.0
"""docs/pipelines: each file parsed, and its tool's part played against a running collector: what it asks, and what it concludes."""
import http.client
import json
import os
import re
import shlex
import subprocess
import threading
import time
import urllib.parse
import zlib

import yaml

from harness import wait_for
from test_verdicts import Verdicts

HERE = os.path.dirname(os.path.abspath(__file__))
FILES = os.path.join(HERE, '..', '..', 'docs', 'pipelines')
STATES = ('PASS', 'FAIL', 'INCONCLUSIVE', 'RUNNING', None)    # None: nothing was stored
TITLE = 'fix "7" of a&b'

# Everybody on the machine sees a command line.
CURL = '''#!/bin/sh
case "$*" in *plumb_*) echo 'a token on the command line' >&2; exit 97;; esac
PATH=%s exec curl "$@"
'''


def load(name):
    with open(os.path.join(FILES, name)) as f:
        return yaml.safe_load(f)


class Pipeline(Verdicts):
    def setUp(self):
        super().setUp()
        self.c = self.start()
        self.view = self.token('pipeline', 'view')
        self.url = 'http://%s:%d' % (self.host, self.port)
        programs = self.path('programs')
        os.mkdir(programs)
        with open(os.path.join(programs, 'curl'), 'w', opener=lambda p, flags: os.open(p, flags, 0o755)) as f:
            f.write(CURL % shlex.quote(os.environ['PATH']))
        self.programs = programs + ':' + os.environ['PATH']

    def store(self, state, title=TITLE, service='orderd', **more):
        """An older one with the opposite state, one of another service, and the newest, whose title tries to be a state."""
        other = 'FAIL' if state == 'PASS' else 'PASS'
        if state:
            self.post(service=service, title=title, state=other)
            self.post(service=service, title=title, state=state, reason='"state":"%s"' % other, **more)
        self.post(service='another', title=title, state=other)

    def post(self, **body):
        return self.get('/api/v1/verdicts', 201, method='POST', body=body)

    def shell(self, script, **env):
        """-> exit code, as a runner's shell gives it."""
        done = subprocess.run(['bash', '-e', '-c', script], env={'PATH': self.programs, 'PLUMB_COLLECTOR': self.url, 'PLUMB_TOKEN': self.view, **env},
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False, timeout=30)
        self.assertNotIn(self.view, done.stdout + done.stderr)
        return done.returncode


class Argo(Pipeline):
    """A metric of the provider web, as Argo Rollouts documents it: anything but 2xx is an error, which does not count."""

    def fill(self, text):
        values = {'service': 'orderd', 'title': urllib.parse.quote(TITLE), 'collector': self.url, 'token': self.view}
        known = {a['name'] for a in self.template['spec']['args']}
        self.assertEqual(known, set(values))
        text = re.sub(r'\{\{args\.([\w-]+)\}\}', lambda m: values[m.group(1)], text)
        self.assertNotIn('{{', text)
        return text

    def holds(self, condition, result):
        m = re.fullmatch(r'result == "(\w+)"', condition)
        self.assertTrue(m, condition)
        return result == m.group(1)

    def measure(self, metric):
        web = metric['provider']['web']
        url = urllib.parse.urlsplit(self.fill(web['url']))
        k = http.client.HTTPConnection(url.netloc, timeout=web['timeoutSeconds'])
        try:
            k.request('GET', url.path + '?' + url.query, headers={h['key']: self.fill(h['value']) for h in web['headers']})
            answer = k.getresponse()
            body = answer.read()
        finally:
            k.close()
        if not 200 <= answer.status < 300:
            return 'Error'
        self.assertEqual(web['jsonPath'], '{$.verdicts[0].state}')
        result = json.loads(body)['verdicts'][0]['state']
        good, bad = self.holds(metric['successCondition'], result), self.holds(metric['failureCondition'], result)
        return 'Failed' if bad else 'Successful' if good else 'Inconclusive'

    def test_three_ways(self):
        self.template = load('argo-rollouts.yaml')
        self.assertEqual(self.template['kind'], 'AnalysisTemplate')
        metric, = self.template['spec']['metrics']
        self.assertEqual((metric['count'], metric['failureLimit'], metric['inconclusiveLimit']), (1, 0, 0))
        self.assertGreater(metric['consecutiveErrorLimit'] * int(metric['interval'][:-1]), 600)   # the default deadline of a verification
        self.assertEqual(self.measure(metric), 'Error')
        number = None
        for state, want in (('RUNNING', 'Error'), ('PASS', 'Successful'), ('RUNNING', 'Error'), ('FAIL', 'Failed'), ('INCONCLUSIVE', 'Inconclusive')):
            with self.subTest(state):
                number = self.post(service='orderd', title=TITLE, state=state)['id']
                self.assertEqual(self.measure(metric), want)
        self.view = 'plumb_0'
        self.assertEqual(self.measure(metric), 'Error')
        self.assertIsNotNone(number)


class Flagger(Pipeline):
    def test_webhooks(self):
        hooks = {h['type']: h for h in load('flagger-webhooks.yaml')['spec']['analysis']['webhooks']}
        self.assertEqual(set(hooks), {'confirm-promotion', 'rollback'})
        want = {'PASS': (200, 500), 'FAIL': (500, 200), 'INCONCLUSIVE': (500, 500), 'RUNNING': (500, 500), None: (500, 500)}
        for state in STATES:
            with self.subTest(state):
                title = 'canary-%s' % state
                self.store(state, title=title)
                got = []
                for kind in ('confirm-promotion', 'rollback'):
                    meta = hooks[kind]['metadata']
                    self.assertEqual(meta['type'], 'bash')
                    self.assertIn('title=orderd-canary ', meta['cmd'])
                    code = self.shell(meta['cmd'].replace('title=orderd-canary ', 'title=%s ' % title))
                    got.append(200 if code == 0 else 500)
                self.assertEqual(tuple(got), want[state])


class Begin(Pipeline):
    """begin.sh, as a deployment runs it: no agent is there, so the verdict is INCONCLUSIVE."""

    def begin(self, *args, token=None):
        return subprocess.run([os.path.join(FILES, 'begin.sh'), *args], env={'PATH': self.programs, 'PLUMB_COLLECTOR': self.url,
                              'PLUMB_TOKEN': token or self.secret}, capture_output=True, text=True, check=False, timeout=30)

    def file(self, text):
        path = self.path('file%d' % self.count())
        with open(path, 'w') as f:
            f.write(text)
        return path

    def test_begin(self):
        claim = self.file('target: {service: orderd}\narms: {baseline: "build:abcdef", candidate: "build:fedcba"}\n')
        patch = os.path.join(HERE, '..', 'targets/orderd/fixes/v2.diff')
        done = self.begin(claim, TITLE, patch)
        self.assertEqual((done.returncode, done.stderr), (0, ''))
        row = wait_for('verdict', lambda: (lambda r: r['state'] != 'RUNNING' and r)(
            self.get('/api/v1/verdicts/%d' % int(done.stdout))['verdicts'][0]))
        self.assertEqual((row['state'], row['title'], row['service']), ('INCONCLUSIVE', TITLE, 'orderd'))
        record = self.ask('/api/v1/verdicts/%d/record' % row['id'])[2]
        with open(patch, 'rb') as f:
            self.assertIn(f.read(), zlib.decompress(record[32:]))     # the patch arrived as it is

    def test_what_cannot_begin(self):
        for args, token, says in (((self.file('nonsense: 1\n'), TITLE), None, 'Unexpected key'),
                                  ((self.file('target: {service: x}\nfunction: f\n'), TITLE), self.view, 'role probe'),
                                  ((self.file('target: {service: x}\n'), TITLE, self.file('no diff')), None, 'no unified diff')):
            done = self.begin(*args, token=token)
            self.assertEqual((done.returncode, done.stdout), (1, ''), done.stderr)
            self.assertIn(says, done.stderr)
        self.assertEqual(self.begin('one').returncode, 2)
        self.assertEqual(self.get('/api/v1/verdicts')['verdicts'], [])


class Jobs(Pipeline):
    codes = {'PASS': 0, 'FAIL': 1, 'INCONCLUSIVE': 3, 'RUNNING': 3, None: 3}

    def job(self, script, env):
        for state in STATES:
            with self.subTest(state):
                title = '%s %s' % (TITLE, state)
                self.store(state, title=title)
                self.assertEqual(self.shell(script, **dict(env, TITLE=title, TRIES='0')), self.codes[state])
        self.assertEqual(self.shell(script, **dict(env, TITLE='x', TRIES='0', PLUMB_COLLECTOR='http://127.0.0.1:1')), 3)
        return script, env

    def waits(self, script, env):
        """The verdict comes while it waits."""
        number = self.post(service='orderd', title='late', state='RUNNING')['id']

        def decide():
            time.sleep(1)
            self.get('/api/v1/verdicts', 200, method='POST', body={'id': number, 'state': 'FAIL'})
        t = threading.Thread(target=decide)
        t.start()
        try:
            self.assertEqual(self.shell(script, **dict(env, TITLE='late', TRIES='3')), 1)
        finally:
            t.join()

    def test_github(self):
        job, = load('github-actions.yaml')['jobs'].values()
        step, = job['steps']
        self.assertEqual(step['shell'], 'bash')
        self.assertNotIn('${{', step['run'])      # what comes from outside comes as environment, never as part of the script
        self.assertEqual(set(step['env']), {'PLUMB_COLLECTOR', 'PLUMB_TOKEN', 'SERVICE', 'TITLE', 'TRIES'})
        self.job(step['run'], {'SERVICE': step['env']['SERVICE']})
        self.waits(step['run'], {'SERVICE': step['env']['SERVICE']})

    def test_gitlab(self):
        job = load('gitlab-ci.yaml')['plumb-verdict']
        self.assertEqual(job['allow_failure'], {'exit_codes': self.codes['INCONCLUSIVE']})
        self.job('\n'.join(job['script']), {'SERVICE': job['variables']['SERVICE']})
