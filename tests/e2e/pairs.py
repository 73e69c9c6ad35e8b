# SPDX-License-Identifier: Apache-2.0
"""Small services in two builds that differ by a patch (tests/targets/pair, tests/targets/shop), for whoever compares them."""
import json
import os
import shutil
import threading

from harness import ROOT, KernelCase, Process, target
from orders import build_id


class Pairs(KernelCase):
    """They run under a name of their own: `-s` takes whatever has it."""
    limit = 200

    def service(self, program, build, again=False):
        """-> its build-id. again: it is started again whenever it ends"""
        directory = self.path('%s.%d' % (build, self.count()))
        os.mkdir(directory)
        self.name = program[:4] + os.path.basename(self.dir)[-8:]
        path = os.path.join(directory, self.name)
        shutil.copy(target('%s/%s' % (program, build)), path)
        p = Process(self, [path])
        p.wait_line('^ready')
        if again:
            self.keep_up(p)
        return build_id(path)

    def keep_up(self, p):
        over = threading.Event()

        def watch(p):
            while not over.wait(0.02):
                if p.popen.poll() is not None:
                    p = Process(self, p.argv)

        keeper = threading.Thread(target=watch, args=(p,))
        keeper.start()
        self.addCleanup(keeper.join)
        self.addCleanup(over.set)

    def compare(self, program, build, *args, code, again=False):
        """Both builds, and the patch between them unless args have another. -> (process of plumb verify, its JSON report or None)"""
        base, cand = self.service(program, 'plain'), self.service(program, build, again)
        patch = [] if '--patch' in args else ['--patch', os.path.join(ROOT, 'tests/targets', program, 'fixes', build + '.diff')]
        report = self.path('report%d.json' % self.count())
        agent = self.agent(socket=self.path('agent%d' % self.count()))
        p = agent.run('verify', '-s', self.name, '--baseline', 'build:' + base[:10], '--candidate', 'build:' + cand[:10], *patch, *args,
                      '--report', 'json=' + report, code=code, timeout=150)
        if code == 2:
            return p, None
        with open(report) as f:
            return p, json.load(f)
