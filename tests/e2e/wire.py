# SPDX-License-Identifier: Apache-2.0
"""A second implementation of include/plumb/wire.h, so that tests can be a client that plumb is not: a slow one, a rude one,
one with many requests."""
import socket
import struct

(HELLO, WELCOME, REQUEST, REPLY, PROBE, CHUNK, STATS, NOTICE, END, ACK, ENTRY, CLOCK, RUN, OPENED, LOSS) = range(15)
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


def records(chunk):
    """The records of a CHUNK frame."""
    reader = Reader(chunk[6])
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
        self.kept = [f for f in self.kept if f not in mine]
        return end, mine


def total(end, *keys):
    """The sum of counters over all rows of an END or STATS."""
    rows = end[4] if end[0] == END else end[3]
    return sum(row[3].get(k, 0) for row in rows for k in keys)
