# SPDX-License-Identifier: Apache-2.0
"""A plumb-collector on ports and a directory of its own, and an agent that is not plumbd: it sends what a test wants."""
import os
import re
import socket
import sqlite3
import struct
import time
import zlib

import wire
from harness import BUILD, Process

COLLECTOR = os.path.join(BUILD, 'plumb-collector')
LOCAL = 1 << 62      # requests that an agent opens itself have ids from here on
SECOND = 10 ** 9


class Collector(Process):
    """Runs on the test's directory; `data` may be used again by the next one."""

    def __init__(self, test, data, *args, listen='127.0.0.1:0', **popen):
        self.data = data
        super().__init__(test, [COLLECTOR, '--data', data, '--listen', listen, '--http', '127.0.0.1:0', *map(str, args)], **popen)
        self.port = int(self.wait_line(r'event=ready listen=\S+:(\d+) ', stream='stderr').group(1))

    def http_address(self):
        return self.wait_line(r'event=ready .*http=(\S+)', stream='stderr').group(1)

    def token(self):
        """The admin's, made at the first start."""
        with open(os.path.join(self.data, 'admin.token')) as f:
            return f.read().strip()

    def ask(self, sql, *args):
        """Rows of the store, read beside the collector."""
        db = sqlite3.connect('file:%s?mode=ro' % os.path.join(self.data, 'plumb.db'), uri=True, timeout=10)
        try:
            return db.execute(sql, args).fetchall()
        finally:
            db.close()

    def one(self, sql, *args):
        return self.ask(sql, *args)[0][0]

    def rss_kib(self):
        with open('/proc/%d/status' % self.pid) as f:
            return int(re.search(r'^VmHWM:\s+(\d+)', f.read(), re.M).group(1))


def record(probe, delta, pid, duration, value, flags=1):
    return wire.small([probe, delta, pid, pid, flags, duration, value])


class Agent(wire.Connection):
    """One connection of an agent whose entries a test makes."""

    def __init__(self, port, uid='a' * 32, run=1, next_sequence=1, requests=(), timeout=20, context=None, host='localhost', name='web-1'):
        self.timeout = timeout
        self.data = b''
        self.kept = []
        self.sock = socket.create_connection((host, port), timeout)
        if context:
            self.sock = context.wrap_socket(self.sock, server_hostname=host)
        self.send([wire.HELLO, wire.VERSION, 'plumbd test', name,
                   {'agent': uid, 'run': run, 'wall_ns': time.time_ns(), 'next': next_sequence, 'requests': list(requests)}])
        self.welcome = self.receive(wire.WELCOME)
        self.acked = self.welcome[4]['acked']

    def entry(self, sequence, frame):
        body = wire.pack([wire.ENTRY, sequence, frame if isinstance(frame, bytes) else wire.small(frame)])
        self.sock.sendall(struct.pack('>I', len(body)) + body)

    def begin(self, sequence=1, run=1, request=LOCAL, probe=1):
        """RUN, OPENED, PROBE -> the next sequence."""
        self.entry(sequence, [wire.RUN, run, time.time_ns()])
        self.entry(sequence + 1, opened(request))
        self.entry(sequence + 2, probe_frame(request, probe))
        return sequence + 3

    def wait_ack(self, sequence):
        while self.acked < sequence:
            self.acked = self.receive(wire.ACK)[1]

    def reason(self):
        """Why the collector closes the connection; it must then be closed."""
        while True:
            f = self.frame()
            if f[0] == wire.REPLY and f[1] == 0:
                break
        try:
            self.frame()
        except (EOFError, ConnectionResetError):
            return f[3]['text']
        raise AssertionError('the connection is still open')


def opened(request=LOCAL):
    return [wire.OPENED, request, {'verb': 'trace', 'target': {'name': 'orderd'}, 'probes': ['parse_order'], 'uid': 0}]


def probe_frame(request=LOCAL, number=1):
    return [wire.PROBE, request, {'probe': number, 'spec': 'parse_order', 'function': 'parse_order', 'module': 'orderd',
                                  'build_id': 'ab12', 'file': 'order.c', 'line': 12, 'call': True, 'cost_ns': 500,
                                  'fields': [['n', 0, [0, 'int', None]]]}]


def chunk_frame(count, request=LOCAL, probe=1, base=None, deflate=True, says=None):
    records = b''.join(record(probe, i * 1000, 100 + i % 3, 500 + i, i) for i in range(count))
    return [wire.CHUNK, request, 1, base or time.time_ns(), count if says is None else says, int(deflate),
            zlib.compress(records, 1) if deflate else records]


def stats_frame(calls, request=LOCAL, probe=1, pid=100, ns=None):
    return [wire.STATS, request, ns or time.time_ns(), [[probe, pid, 'orderd', {'calls': calls, 'shipped': calls, 'hist': [20, calls]}]]]
