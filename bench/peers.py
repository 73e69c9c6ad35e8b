# SPDX-License-Identifier: Apache-2.0
"""The subjects: plumb and every peer, each asked for the same thing in its own words.

A subject starts, is attached to the running target, and stops. `cannot` says why it has no figure.
"""
import glob
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time

from harness import Direct, Target, Unavailable, end, spawn

TRACEFS = "/sys/kernel/tracing"


class Subject:
    name = "?"
    note = ""
    cannot = ""
    calls_max = 1 << 60
    rounds_max = 1 << 30
    settle_s = 0.0
    lost = 0        # records, since start
    process = None

    def start(self, env, target, function):
        """Attaches. Returns another Target if the subject must start its own."""

    def stop(self):
        """Detaches; may return a note."""
        if self.process:
            end(self.process)
            self.process = None


class Cannot(Subject):
    def __init__(self, name, why):
        self.name, self.cannot = name, why


class Plumb(Subject):
    """The product as it is used: agent, terminal, binary output thrown away. The agent's budget guard turns the kernel's
    BPF statistics on for 0.6 s after a probe came (and for 0.6 s in 15): what is measured is the time after that."""

    def __init__(self, probe, *args, verb="trace", name="plumb", settle_s=1.0):
        self.probe, self.args, self.verb, self.name, self.settle_s = probe, args, verb, name, settle_s

    def start(self, env, target, function):
        env.start_agent()
        self.err = tempfile.TemporaryFile()
        form = "--msgpack" if self.verb == "trace" else "--json"
        self.process = spawn(env.plumb(self.verb, "-p", str(target.pid), "--budget", "10000%", form, *self.args,
                                       self.probe.replace("FUNCTION", function)), stderr=self.err)

    def stop(self):
        super().stop()
        self.err.seek(0)
        lines = self.err.read().decode(errors="replace").strip().splitlines()
        self.err.close()
        total = next((line for line in lines if line.startswith("total")), None)
        dropped = re.search(r"dropped=(\d+)", total or "")
        self.lost = int(dropped.group(1)) if dropped else 0
        return "" if total else lines[-1] if lines else ""


class PlumbDirect(Subject):
    """The same probe, read by bench/direct.c: what is left is the probe alone."""

    def __init__(self, probe, *args, name="plumb, without agent and terminal"):
        self.probe, self.args, self.name = probe, args, name

    def start(self, env, target, function):
        self.direct = Direct(env, "probe", target.pid, target.path, *self.args, self.probe.replace("FUNCTION", function))
        self.process = self.direct.process

    def stop(self):
        if not self.process:
            return None
        t = self.direct.close()
        self.process = None
        self.lost = t["dropped"]
        return "%d instructions" % self.direct.ready["instructions"]


class Bpftrace(Subject):
    """Its output goes to a file in memory: what it lost is told there only."""

    def __init__(self, name, program):
        self.name, self.program = name, program

    def start(self, env, target, function):
        self.out = tempfile.NamedTemporaryFile(dir="/dev/shm")
        where = "%s:%s" % (target.path, function)
        self.process = spawn(["bpftrace", "-p", str(target.pid), "-o", self.out.name, "-e",
                              self.program.replace("WHERE", where)])

    def stop(self):
        if not self.process:
            return None
        super().stop()
        lost, lines = 0, 0
        with open(self.out.name, errors="replace") as f:
            for line in f:
                lines += 1
                if line.startswith("Lost "):
                    lost += int(line.split()[1])
        self.out.close()
        self.lost, self.lines = lost, lines
        return ""


class PerfProbe(Subject):
    """perf probe + perf record, output thrown away."""

    def __init__(self, name, events):
        self.name, self.events = name, events

    def start(self, env, target, function):
        if not shutil.which("perf"):
            raise Unavailable("perf is not installed")
        made = []
        for i, e in enumerate(self.events):
            event = "plumb_bench%d" % i
            r = subprocess.run(["perf", "probe", "-q", "-f", "-x", target.path, event + "=" + e.replace("FUNCTION", function)],
                               stderr=subprocess.PIPE, text=True)
            if r.returncode:
                raise Unavailable("perf probe: " + r.stderr.strip().splitlines()[-1][:120])
            made += ["-e", "probe_target:" + event + ("__return" if "%return" in e else "")]
        self.process = spawn(["perf", "record", "-q", "-m", "8M", "-p", str(target.pid), "-o", "/dev/null", *made])

    def stop(self):
        super().stop()
        subprocess.run(["perf", "probe", "-q", "-d", "probe_target:plumb_bench*"], stderr=subprocess.DEVNULL)


def tracefs_write(path, text):
    fd = os.open(os.path.join(TRACEFS, path), os.O_WRONLY | os.O_APPEND)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


class Tracefs(Subject):
    """uprobe_events in an instance of its own, its raw buffers read and thrown away."""

    def __init__(self, name, ret=False):
        self.name, self.ret = name, ret

    def start(self, env, target, function):
        self.instance = os.path.join(TRACEFS, "instances", "plumb_bench")
        self.stopping = False
        offset = int(subprocess.run(["sh", "-c", "objdump -d --no-show-raw-insn %s | sed -n 's/^0*\\([0-9a-f]*\\) <%s>:$/\\1/p'"
                                     % (target.path, function)], stdout=subprocess.PIPE, text=True).stdout.strip(), 16)
        try:
            tracefs_write("uprobe_events", "p:plumb_bench/e %s:0x%x a=%%di:s64 b=%%si:s64 s=+0(%%dx):string\n" %
                          (target.path, offset))
            if self.ret:
                tracefs_write("uprobe_events", "r:plumb_bench/r %s:0x%x ret=$retval:s32\n" % (target.path, offset))
            os.makedirs(self.instance, exist_ok=True)
            self._put("set_event_pid", str(target.pid))
            self._put("events/plumb_bench/enable", "1")
        except OSError as e:
            raise Unavailable("uprobe_events: %s" % e)
        self.thread = threading.Thread(target=self._read)
        self.thread.start()

    def _put(self, name, text):
        tracefs_write(os.path.join(self.instance, name), text)

    def _read(self):
        fds = [os.open(p, os.O_RDONLY | os.O_NONBLOCK) for p in glob.glob(self.instance + "/per_cpu/*/trace_pipe_raw")]
        while not self.stopping:
            for fd in fds:
                try:
                    while os.read(fd, 65536):
                        pass
                except BlockingIOError:
                    pass
            time.sleep(0.002)
        for fd in fds:
            os.close(fd)

    def stop(self):
        self.stopping = True
        if hasattr(self, "thread"):
            self.thread.join()
            del self.thread
        if os.path.isdir(self.instance):
            self._put("events/plumb_bench/enable", "0")
            os.rmdir(self.instance)
        for event in ("e", "r") if self.ret else ("e",):
            try:
                tracefs_write("uprobe_events", "-:plumb_bench/%s\n" % event)
            except OSError:
                pass


class Funclatency(Subject):
    name = "funclatency (libbpf-tools)"
    note = "one histogram, all processes: its -p does not work here"

    def start(self, env, target, function):
        self.process = spawn(["funclatency", "%s:%s" % (target.path, function)])


class OwnTarget(Subject):
    """A yardstick that is compiled into the program: it cannot attach to a running one."""
    binary = ""
    argv = ()

    def make(self, env):
        path = env.program(self.binary)
        if not os.path.exists(path):
            raise Unavailable("%s was not built" % self.binary)
        self.own = Target(env, self.binary, self.argv, self.environ())
        return self.own

    def environ(self):
        return None

    def stop(self):
        if getattr(self, "own", None):
            self.own.close()
            self.own = None


class Uftrace(OwnTarget):
    binary = "target-pg"

    def __init__(self, ret):
        self.name = "uftrace, compiled in (-pg)"
        self.note = "user-space yardstick: needs a rebuild and a restart"
        self.ret = ret

    def start(self, env, target, function):
        if not shutil.which("uftrace"):
            raise Unavailable("uftrace is not installed")
        self.out = tempfile.mkdtemp(dir=env.dir)
        self.argv = ("uftrace", "record", "-d", self.out + "/d", "-F", "f_push", "-A", "f_push@arg1,arg2,arg3/s",
                     *(("-R", "f_push@retval") if self.ret else ()))
        return self.make(env)

    def stop(self):
        super().stop()
        if getattr(self, "out", None):
            shutil.rmtree(self.out, ignore_errors=True)


class Lttng(OwnTarget):
    binary = "target-lttng"
    name = "lttng-ust, source tracepoint"
    note = "user-space yardstick: needs the tracepoint in the source"

    def start(self, env, target, function):
        if not shutil.which("lttng-sessiond"):
            raise Unavailable("lttng-tools is not installed")
        self.home = tempfile.mkdtemp(dir="/tmp")
        self.env_vars = dict(os.environ, LTTNG_HOME=self.home, LTTNG_UST_REGISTER_TIMEOUT="3000")
        self.daemon = None
        if not os.path.exists("/var/run/lttng/lttng-sessiond.pid"):
            self.daemon = spawn(["lttng-sessiond", "--no-kernel"], env=self.env_vars)
            time.sleep(1)
        for args in (["create", "plumb_bench", "--output", self.home + "/trace"],
                     ["enable-channel", "-u", "--subbuf-size=4M", "--num-subbuf=4", "c"],
                     ["enable-event", "-u", "-c", "c", "plumb_bench:call"], ["start"]):
            if subprocess.run(["lttng", *args], env=self.env_vars, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, timeout=30).returncode:
                raise Unavailable("lttng %s failed" % args[0])
        return self.make(env)

    def environ(self):
        return self.env_vars

    def stop(self):
        super().stop()
        if not hasattr(self, "home"):
            return
        subprocess.run(["lttng", "destroy", "--no-wait", "plumb_bench"], env=self.env_vars, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, timeout=30)
        if self.daemon:
            end(self.daemon, signal.SIGTERM)
        shutil.rmtree(self.home, ignore_errors=True)


class Ltrace(Subject):
    name = "ltrace -x"
    calls_max, rounds_max = 400, 5
    note = "stops the thread twice per call"

    def start(self, env, target, function):
        self.process = spawn(["ltrace", "-p", str(target.pid), "-L", "-x", function, "-o", "/dev/null"])


class Gdb(Subject):
    name = "gdb dprintf"
    calls_max, rounds_max = 200, 5
    note = "stops the process at each call"

    def start(self, env, target, function):
        self.process = spawn(["gdb", "-q", "-nx", "-batch", "-p", str(target.pid), "-ex", "set pagination off", "-ex",
                              'dprintf %s,"%%ld %%ld %%s\\n",a,b,s' % function, "-ex", "continue"])

    def stop(self):
        if self.process:
            end(self.process, signal.SIGINT)
            self.process = None
