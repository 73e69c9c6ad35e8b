# SPDX-License-Identifier: Apache-2.0
"""A second implementation of include/plumb/wire.h, so that tests can be a client that plumb is not: a slow one, a rude one,
one with many requests."""
import contextlib
import queue
import select
import socket
import struct
import threading
import time
import zlib

(HELLO, WELCOME, REQUEST, REPLY, PROBE, CHUNK, STATS, NOTICE, END, ACK, ENTRY, CLOCK, RUN, OPENED, LOSS, FUNCTIONS,
 FUNCTION_STATS) = range(17)
LOCAL_REQUEST = 1 << 62
VERSION = 1


def pack(o):
    """Python -> msgpack: what requests need, and no more."""
    if o is None:
        return b'\xc0'
    if isinstance(o, bool):
        return b'\xc3' if o else b'\xc2'
    if isinstance(o, int):
        return struct.pack('>BQ', 0xcf, o) if o >= 0 else struct.pack('>Bq', 0xd3, o)
    if isinstance(o, float):
        return struct.pack('>Bd', 0xcb, o)
    if isinstance(o, str):
        b = o.encode()
        return struct.pack('>BI', 0xdb, len(b)) + b
    if isinstance(o, bytes):
        return struct.pack('>BI', 0xc6, len(o)) + o
    if isinstance(o, (list, tuple)):
        return struct.pack('>BI', 0xdd, len(o)) + b''.join(map(pack, o))
    if isinstance(o, dict):
        return struct.pack('>BI', 0xdf, len(o)) + b''.join(pack(k) + pack(v) for k, v in o.items())
    raise TypeError(type(o))


def small(o):
    """The same, as short as it gets for small things: what an agent sends a lot of."""
    if isinstance(o, bool):
        return pack(o)
    if isinstance(o, int) and -32 <= o < 128:
        return bytes([o & 0xff])
    if isinstance(o, int) and 0 <= o < 1 << 16:
        return struct.pack('>BH', 0xcd, o)
    if isinstance(o, int) and 0 <= o < 1 << 32:
        return struct.pack('>BI', 0xce, o)
    if isinstance(o, str) and len(o.encode()) < 32:
        return bytes([0xa0 | len(o.encode())]) + o.encode()
    if isinstance(o, (list, tuple)) and len(o) < 16:
        return bytes([0x90 | len(o)]) + b''.join(map(small, o))
    if isinstance(o, dict) and len(o) < 16:
        return bytes([0x80 | len(o)]) + b''.join(small(k) + small(v) for k, v in o.items())
    return pack(o)


class Reader:
    """msgpack -> Python."""
    SCALARS = {0xcc: '>B', 0xcd: '>H', 0xce: '>I', 0xcf: '>Q', 0xd0: '>b', 0xd1: '>h', 0xd2: '>i', 0xd3: '>q',
               0xca: '>f', 0xcb: '>d'}
    CONSTANTS = {0xc0: None, 0xc2: False, 0xc3: True}
    LENGTHS = {0xc4: ('>B', 'bin'), 0xc5: ('>H', 'bin'), 0xc6: ('>I', 'bin'),
               0xd9: ('>B', 'str'), 0xda: ('>H', 'str'), 0xdb: ('>I', 'str'),
               0xdc: ('>H', 'array'), 0xdd: ('>I', 'array'), 0xde: ('>H', 'map'), 0xdf: ('>I', 'map')}

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, fmt):
        n = struct.calcsize(fmt)
        value, = struct.unpack_from(fmt, self.data, self.at)
        self.at += n
        return value

    def body(self, kind, n):
        if kind == 'array':
            return [self.next() for _ in range(n)]
        if kind == 'map':
            return {self.next(): self.next() for _ in range(n)}
        raw = self.data[self.at:self.at + n]
        if len(raw) != n:
            raise ValueError('truncated msgpack')
        self.at += n
        return raw if kind == 'bin' else raw.decode()

    def next(self):
        b = self.take('>B')
        if b < 0x80:
            return b
        if b < 0x90:
            return self.body('map', b & 15)
        if b < 0xa0:
            return self.body('array', b & 15)
        if b < 0xc0:
            return self.body('str', b & 31)
        if b >= 0xe0:
            return b - 256
        if b in self.CONSTANTS:
            return self.CONSTANTS[b]
        if b in self.SCALARS:
            return self.take(self.SCALARS[b])
        if b in self.LENGTHS:
            fmt, kind = self.LENGTHS[b]
            return self.body(kind, self.take(fmt))
        raise ValueError('msgpack type 0x%02x' % b)


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at


def unzigzag(v):
    return v >> 1 if v & 1 == 0 else -(v + 1 >> 1)


def bits(data, n, width):
    """n numbers of `width` bits, low bits first."""
    whole = int.from_bytes(data[:(n * width + 7) // 8], 'little')
    return [whole >> i * width & (1 << width) - 1 for i in range(n)]


class Columns:
    """Codec 3 (common/columns.h)."""

    def __init__(self, data):
        soft = 4 + struct.unpack('>I', data[:4])[0]
        self.soft, self.hard, self.at = zlib.decompress(data[4:soft]), data[soft:], 0

    def varint(self):
        value, self.at = varint(self.soft, self.at)
        return value

    def take(self, n):
        self.at += n
        return self.soft[self.at - n:self.at]

    def ints(self, form, n):
        low, high = self.take(2)
        base = self.varint()
        base = unzigzag(base) if form & 0x10 or form & 15 == 2 else base
        value = self.varint() if form & 0x10 else 0
        if high > 8:
            planes = [self.take(n) for _ in range(high // 8)]
            values = [int.from_bytes(bytes(v), 'little') for v in zip(*planes)]
        else:
            values = bits(self.take((n * high + 7) // 8), n, high)
        values = [v << low | b for v, b in zip(values, bits(self.hard, n, low))]
        self.hard = self.hard[(n * low + 7) // 8:]
        if form & 0x10:
            for i, v in enumerate(values):
                value += 0 if i == 0 else unzigzag(v) if form & 0x20 else base + v
                values[i] = value
        else:
            values = [base + v for v in values]
        values = [v & (1 << 64) - 1 for v in values]
        return [v - (1 << 64) if form & 15 == 2 and v >> 63 else v for v in values]

    def column(self, n):
        """-> its form, n values"""
        form = self.take(1)[0]
        if form:
            return form, self.ints(form, n)
        reader = Reader(self.take(self.varint()))
        return form, [reader.next() for _ in range(n)]

    def records(self):
        n, groups = self.varint(), [(self.varint(), self.varint(), self.varint()) for _ in range(self.varint())]
        order = self.column(n)[1] if len(groups) > 1 else [0] * n
        shared = [self.column(n)[1] for _ in range(3 if n else 0)]
        columns = [[self.column(size) for _ in range(elements - 4)] for elements, _, size in groups]
        n_words = self.varint()
        reader = Reader(self.soft[self.at:])
        words = [reader.next() for _ in range(n_words)]
        values = [[iter([words[v] for v in c] if form & 15 == 3 else c) for form, c in group] for group in columns]
        return [[groups[g][1], *(c[i] for c in shared), *(next(v) for v in values[g])] for i, g in enumerate(order)]


def records(chunk):
    """The records of a CHUNK frame."""
    if chunk[5] == 3:
        return Columns(chunk[6]).records()
    reader = Reader(zlib.decompress(chunk[6]) if chunk[5] else chunk[6])
    return [reader.next() for _ in range(chunk[4])]


class Refused(Exception):
    def __init__(self, payload):
        super().__init__(payload.get('text'))
        self.payload = payload


class Connection:
    def __init__(self, path, timeout=20):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(timeout)
        self.sock.connect(path)
        self.data = b''
        self.last_id = 0
        self.kept = []        # frames that came while another was waited for
        self.send([HELLO, VERSION, 'test', 'host'])
        self.welcome = self.receive(WELCOME)

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *what):
        self.close()

    def send(self, frame):
        body = pack(frame)
        self.sock.sendall(struct.pack('>I', len(body)) + body)

    def frame(self):
        """The next frame; EOFError: the agent has closed the connection."""
        while True:
            if len(self.data) >= 4:
                n, = struct.unpack('>I', self.data[:4])
                if len(self.data) >= 4 + n:
                    body, self.data = self.data[4:4 + n], self.data[4 + n:]
                    return Reader(body).next()
            more = self.sock.recv(1 << 18)
            if not more:
                raise EOFError
            self.data += more

    def receive(self, kind, wire_id=None):
        """The next frame of that type (and request); others are kept."""
        def wanted(f):
            return f[0] == kind and (wire_id is None or f[1] == wire_id)
        for n, f in enumerate(self.kept):
            if wanted(f):
                return self.kept.pop(n)
        while True:
            f = self.frame()
            if wanted(f):
                return f
            self.kept.append(f)

    def request(self, verb, args):
        self.last_id += 1
        self.send([REQUEST, self.last_id, verb, args])
        return self.last_id

    def call(self, verb, args=None):
        """-> the REPLY's payload."""
        wire_id = self.request(verb, args or {})
        f = self.receive(REPLY, wire_id)
        if not f[2]:
            raise Refused(f[3])
        return f[3]

    def trace(self, args, verb='trace'):
        """-> the request's number here, when the probe is attached."""
        self.call(verb, args)
        return self.last_id

    def stop(self, wire_id):
        """-> END, and the frames of this request that came before it."""
        self.request('stop', {'id': wire_id})
        end = self.receive(END, wire_id)
        mine = [f for f in self.kept if f[0] != REPLY and f[1] == wire_id]
        taken = set(map(id, mine))
        self.kept = [f for f in self.kept if id(f) not in taken]
        return end, mine


def total(end, *keys):
    """The sum of counters over all rows of an END or STATS."""
    rows = end[4] if end[0] == END else end[3]
    return sum(row[3].get(k, 0) for row in rows for k in keys)


class Collector:
    """What agents connect to: keeps every entry by its sequence, acknowledges as it is told, can be away, cut the line, or be slow.
    Whatever is wrong with what it gets is kept in `wrong`."""

    def __init__(self, ack=True, wrap=None):
        self.ack, self.wrap = ack, wrap
        self.entries = {}          # (agent, sequence) -> bytes
        self.acked = {}            # agent -> sequence, as a store would keep it
        self.hellos, self.clocks, self.wrong = [], [], []
        self.resent = 0
        self.requests = {}         # id -> (verb, arguments): open, sent to whoever lacks them
        self.answers = queue.Queue()
        self.line = self.clock_line = None
        self.port = 0
        self.last_question = 1 << 40
        self.top = {}
        self.thread = None
        self.ended = threading.Condition()   # told when `line` has ended
        self.up()

    def up(self):
        self.listener = socket.create_server(('127.0.0.1', self.port))
        self.port = self.listener.getsockname()[1]
        self.stopping = False
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def down(self):
        """Away: connections are refused."""
        self.stopping = True
        self.cut()
        self.thread.join()
        self.listener.close()

    def cut(self):
        """Ends the line, and returns when it has ended: `line` is None, or the next one."""
        line = self.line
        if line:
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
            with self.ended:
                self.ended.wait_for(lambda: self.line is not line, 30)

    def linked(self):
        """The hand-shake on the present line is over."""
        line = self.line
        return line and line is self.clock_line

    def serve(self):
        while not self.stopping:
            if not select.select([self.listener], [], [], 0.05)[0]:
                continue
            line, _ = self.listener.accept()
            try:
                self.line = self.wrap(line) if self.wrap else line
                self.talk(self.line)
            except (OSError, EOFError):
                pass
            except Exception as e:   # a test that fails must say why
                self.wrong.append(repr(e))
            with self.ended:
                self.line.close()
                self.line = None
                self.ended.notify_all()

    def send(self, frame):
        body = pack(frame)
        self.line.sendall(struct.pack('>I', len(body)) + body)

    def talk(self, line):
        data = b''
        agent = None
        while True:
            more = line.recv(1 << 18)
            if not more:
                raise EOFError
            data += more
            at, last = 0, None
            while len(data) - at >= 4:
                n, = struct.unpack_from('>I', data, at)
                if len(data) - at < 4 + n:
                    break
                f = Reader(data[at + 4:at + 4 + n]).next()
                at += 4 + n
                if f[0] == HELLO:
                    agent = self.greet(f)
                elif f[0] == ENTRY:
                    self.take(agent, f[1], f[2])
                    last = f[1]
                elif f[0] == CLOCK:
                    self.clocks.append(f)
                    self.clock_line = line
                else:
                    self.answers.put(f)
            data = data[at:]
            if last and self.ack:
                self.send([ACK, last])
                self.acked[agent] = last

    def greet(self, f):
        received = time.time_ns()
        if f[1] != VERSION or len(f) != 5:
            self.wrong.append(f)
        self.hellos.append(f[4])
        agent = f[4]['agent']
        self.send([WELCOME, VERSION, 'test', 'host', {'acked': self.acked.get(agent, 0), 'received_ns': received,
                                                      'sent_ns': time.time_ns()}])
        for wire_id, (verb, args) in list(self.requests.items()):
            if wire_id not in f[4]['requests']:
                self.send([REQUEST, wire_id, verb, args])
        return agent

    def take(self, agent, sequence, frame):
        key = (agent, sequence)
        if key in self.entries:
            self.resent += 1
            if self.entries[key] != frame and Reader(frame).next()[0] != LOSS:
                self.wrong.append('sequence %d comes with other bytes' % sequence)
            return
        if sequence <= self.top.get(agent, 0):
            self.wrong.append('sequence %d after %d' % (sequence, self.top[agent]))
        self.top[agent] = sequence
        self.entries[key] = frame

    def request(self, wire_id, verb, args):
        """Opens a trace or stat; an agent that is away gets it when it comes back."""
        self.requests[wire_id] = (verb, args)
        if self.line:
            with contextlib.suppress(OSError):
                self.send([REQUEST, wire_id, verb, args])

    def ask(self, verb, args=None, timeout=20):
        self.last_question += 1
        self.send([REQUEST, self.last_question, verb, args or {}])
        while True:
            f = self.answers.get(timeout=timeout)
            if f[1] == self.last_question:
                return f

    def frames(self, kind=None, wire_id=None):
        """The frames of all entries, in order."""
        out = [Reader(self.entries[k]).next() for k in sorted(self.entries)]
        return [f for f in out if (kind is None or f[0] == kind) and (wire_id is None or f[1] == wire_id)]


def function_names(frames):
    """Of patterns: {probe: {number: name}}"""
    names = {}
    for f in frames:
        if f[0] == FUNCTIONS:
            names.setdefault(f[2], {}).update(enumerate(f[4], f[3]))
    return names


def function_rows(frames):
    """Of patterns, in the last snapshot of a request without ticks: [[probe, pid, function, counts]]"""
    return [row for f in frames if f[0] == FUNCTION_STATS for row in f[3]]
