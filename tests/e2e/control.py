# SPDX-License-Identifier: Apache-2.0
"""A collector, and plumb that talks to it."""
import json
import os
import subprocess

from collector import Collector
from harness import PLUMB, Case, Process, Trace


class Control(Case):
    """A collector, and plumb with a token."""

    def setUp(self):
        super().setUp()
        self.data = os.path.join(self.dir, 'data')
        self.c = self.collector()

    def collector(self, *args, **how):
        return Collector(self, self.data, *args, **how)

    def token(self, name, role):
        """-> the file of a new token"""
        path = os.path.join(self.dir, name + '.token')
        done = subprocess.run([self.c.argv[0], 'token', 'add', name, role, '--data', self.data], check=True, capture_output=True)
        with open(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600), 'wb') as f:
            f.write(done.stdout)
        return path

    def command(self, *args, token=None):
        return [PLUMB, '--collector', '127.0.0.1:%d' % self.c.port, '--token-file', token or os.path.join(self.data, 'admin.token'),
                *map(str, args)]

    def plumb(self, *args, code=0, token=None, timeout=40):
        p = Process(self, self.command(*args, token=token))
        got = p.wait(timeout)
        if code is not None and got != code:
            raise AssertionError('plumb %s: exit code %s, not %s\nstdout: %s\nstderr: %s' % (args, got, code, p.stdout[-3000:], p.stderr[-3000:]))
        return p

    def start(self, *args, token=None):
        return Trace(self, self.command(*args, token=token))

    def rows(self, *args, **how):
        return [json.loads(line) for line in self.plumb(*args, '--json', **how).lines()]

    def audit(self, **want):
        return [e for e in self.rows('audit') if all(e[k] == v for k, v in want.items())]
