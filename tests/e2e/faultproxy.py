# SPDX-License-Identifier: Apache-2.0
"""A bad network on loopback: a TCP proxy in front of one port whose delay, bandwidth and cuts a test controls."""
import collections
import contextlib
import select
import socket
import struct
import threading
import time

TICK = 0.005
READ = 1 << 16


def connection_socket():
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return s


class Flow:
    """One direction of a connection."""

    def __init__(self, source, sink):
        self.source, self.sink = source, sink
        self.waiting = collections.deque()    # (when it may go, bytes)
        self.bytes = 0                        # in waiting
        self.credit = 0.0                     # bytes that the bandwidth allows now
        self.ended = False


class FaultProxy(threading.Thread):
    """Each fault stays until heal(). What is not read any more backs up into the sender, as behind a real link."""

    def __init__(self, test, to_port):
        super().__init__(daemon=True)
        self.to_port = to_port
        self.lock = threading.Lock()
        self.pairs = []                       # [Flow up, Flow down]
        self.connections = self.cuts = self.passed = 0
        self.stopping = False
        self.heal_now()
        self.listener = connection_socket()
        self.listener.bind(('127.0.0.1', 0))
        self.listener.listen(16)
        self.port = self.listener.getsockname()[1]
        self.start()
        test.addCleanup(self.stop)

    # ---- what a test says ----

    def heal_now(self):
        self.delay_s = 0.0
        self.rate = None                      # bytes a second and direction
        self.stalled = False
        self.cut_after = None                 # bytes, of both directions
        self.refusing = False

    def heal(self):
        with self.lock:
            self.heal_now()

    def delay(self, seconds):
        with self.lock:
            self.delay_s = seconds

    def throttle(self, bytes_per_second):
        with self.lock:
            self.rate = bytes_per_second

    def stall(self):
        """Nothing passes; nobody is told."""
        with self.lock:
            self.stalled = True

    def cut(self, after=0):
        """Resets all connections, wherever in a frame that is, when `after` more bytes have passed."""
        with self.lock:
            self.cut_after = after

    def refuse(self):
        """Nobody listens any more, and what is connected is reset."""
        with self.lock:
            self.refusing = True

    def stop(self):
        self.stopping = True
        self.join(10)

    # ---- the loop ----

    def run(self):
        while not self.stopping:
            with self.lock:
                self.listen_or_not()
                readable = self.sources()
            ready, _, _ = select.select(readable, [], [], TICK)
            with self.lock:
                for s in ready:
                    self.readable(s)
                self.forward()
                if self.cut_after is not None and self.cut_after <= 0:
                    self.reset_all()
                    self.cut_after = None
        self.reset_all()
        self.close_listener()

    def close_listener(self):
        if self.listener:
            self.listener.close()
        self.listener = None

    def listen_or_not(self):
        if self.refusing and self.listener:
            self.close_listener()
            self.reset_all()
        elif not self.refusing and not self.listener:
            s = connection_socket()
            s.bind(('127.0.0.1', self.port))
            s.listen(16)
            self.listener = s

    def may_read(self, flow):
        room = READ if self.rate is None and not self.delay_s else 4 * READ
        return not self.stalled and not flow.ended and flow.bytes < room

    def sources(self):
        flows = [f.source for pair in self.pairs for f in pair if self.may_read(f)]
        return flows + ([self.listener] if self.listener else [])

    def readable(self, s):
        if s is self.listener:
            self.accept()
            return
        for pair in self.pairs:
            for flow in pair:
                if flow.source is s:
                    self.read(pair, flow)
                    return

    def accept(self):
        client, _ = self.listener.accept()
        server = connection_socket()
        try:
            server.connect(('127.0.0.1', self.to_port))
        except OSError:
            self.reset(client)
            return
        for s in (client, server):
            s.setblocking(False)
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connections += 1
        self.pairs.append([Flow(client, server), Flow(server, client)])

    def read(self, pair, flow):
        try:
            data = flow.source.recv(READ)
        except BlockingIOError:
            return
        except OSError:
            self.reset_pair(pair)
            return
        flow.ended = not data
        if data:
            flow.waiting.append((time.monotonic() + self.delay_s, data))
            flow.bytes += len(data)

    def forward(self):
        for pair in list(self.pairs):
            try:
                for flow in pair:
                    self.send(flow)
                if any(f.ended and not f.waiting for f in pair):
                    self.close_pair(pair)
            except OSError:
                self.reset_pair(pair)

    def send(self, flow):
        if self.rate is not None:
            flow.credit = min(flow.credit + self.rate * TICK, max(self.rate / 10, 1))
        while flow.waiting and not self.stalled and flow.waiting[0][0] <= time.monotonic():
            when, data = flow.waiting[0]
            limits = [n for n in (self.cut_after, None if self.rate is None else int(flow.credit)) if n is not None]
            part = data[:max(0, min(limits))] if limits else data
            if not part:
                return
            try:
                n = flow.sink.send(part)
            except BlockingIOError:
                return
            self.account(flow, n)
            flow.waiting.popleft()
            if n < len(data):
                flow.waiting.appendleft((when, data[n:]))

    def account(self, flow, n):
        self.passed += n
        flow.bytes -= n
        if self.rate is not None:
            flow.credit -= n
        if self.cut_after is not None:
            self.cut_after -= n

    # ---- ends ----

    def reset(self, s):
        with contextlib.suppress(OSError):
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        s.close()

    def reset_pair(self, pair):
        if pair in self.pairs:
            self.pairs.remove(pair)
        for flow in pair:
            self.reset(flow.source)

    def close_pair(self, pair):
        self.pairs.remove(pair)
        for flow in pair:
            flow.source.close()

    def reset_all(self):
        for pair in list(self.pairs):
            self.cuts += 1
            self.reset_pair(pair)
