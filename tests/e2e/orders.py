# SPDX-License-Identifier: Apache-2.0
"""The order service in several builds, for whoever compares them."""
import os
import shutil
import subprocess
import time

from harness import ROOT, KernelCase, Process, target, wait_for

FIXES = os.path.join(ROOT, 'tests/targets/orderd/fixes')
TRIGGER = 'o->qty == 0 && o->coupon == "HALF"'


def build_id(path):
    notes = subprocess.run(['readelf', '-n', path], stdout=subprocess.PIPE, check=True, universal_newlines=True).stdout
    return notes.split('Build ID: ')[1].split()[0]


def relink(path):
    """What a build of the same sources elsewhere is: the same code with another build-id."""
    old = bytes.fromhex(build_id(path))
    with open(path, 'r+b') as f:
        data = f.read()
        f.seek(data.index(old))
        f.write(bytes(b ^ 0xff for b in old))


class Orders(KernelCase):
    """The services run under a name of their own: `-s` takes whatever has it."""
    limit = 200

    def service(self, version, load=True, bad=5, seed=1, other=False):
        """other: the same program, linked once more: with another build-id. -> (process, its build-id)"""
        source = target('orderd') if version == 1 else target('orderd-v%d/orderd' % version)
        directory = self.path('v%d.%d' % (version, self.count()))
        os.mkdir(directory)
        path = os.path.join(directory, 'ord' + os.path.basename(self.dir)[-8:])
        shutil.copy(source, path)
        if other:
            relink(path)
        p = Process(self, [path])
        p.wait_line(r'^listening on ')
        if load:
            self.load(p, bad, seed)
        self.name = os.path.basename(path)
        return p, build_id(path)

    def load(self, service, bad=5, seed=1):
        port = service.wait_line(r'^listening on 127.0.0.1:(\d+)').group(1)
        Process(self, [target('orderload'), '--port', port, '--rate', '1500', '--seconds', '300', '--bad-percent', str(bad),
                       '--unknown-percent', '1', '--seed', str(seed)])

    def let_it_age(self, pid):
        """/proc tells when a process was started in hundredths of a second: what is started after this is younger."""
        with open('/proc/%d/stat' % pid) as f:
            started = int(f.read().rsplit(')', 1)[1].split()[19])
        wait_for('the next tick', lambda: time.clock_gettime(time.CLOCK_BOOTTIME) * os.sysconf('SC_CLK_TCK') > started + 1)

    def pair(self, version, **candidate):
        self.first, base = self.service(1)
        self.let_it_age(self.first.pid)
        self.second, cand = self.service(version, seed=2, **candidate)
        return ['-s', self.name, '--baseline', 'build:' + base[:10], '--candidate', 'build:' + cand[:10]]

    def verify(self, agent, *args, code, timeout=150):
        return agent.run('verify', *args, code=code, timeout=timeout)
