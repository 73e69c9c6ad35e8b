# SPDX-License-Identifier: Apache-2.0
"""What plumb must say about the calls of tests/targets/exact.c: the list at the top of that file, once more, independent of
it and of plumb."""
import collections
import json
import struct

COLORS = ('RED', 'GREEN', 'BLUE', 'ALPHA')
LEVELS = ('LOW', 'MID', 'HIGH')
IN_SSE, SOMEWHERE = {'unreadable': 'SSE'}, 'an address'

# Functions of each scenario; those of "all" are the union of what is not in APART.
SCENARIOS = {
    'ints': ('take_ints', 'take_longs'), 'strings': ('take_strings', 'take_names'), 'tree': ('take_tree',),
    'structs': ('take_pair', 'take_mixed', 'take_large', 'take_union', 'take_bits'),
    'floats': ('take_floats', 'take_float_members'), 'many': ('take_many',), 'static': ('take_static', 'hidden_static'),
    'give': ('give_void', 'give_int', 'give_long', 'give_byte', 'give_bool', 'give_enum', 'give_pointer', 'give_text',
             'give_pair', 'give_wide', 'give_double'),
    'early': ('give_early',), 'recurse': ('descend',), 'mutual': ('ping', 'pong'),
    'longjmp': ('guarded', 'leap_outer', 'leap_inner'), 'tail': ('tail_sum',),
    'slow': ('give_slowly',), 'absent': ('take_absent',), 'vanish': ('vanish',), 'fork': ('fork_exits', 'fork_returns'),
}
APART = ('slow', 'absent', 'vanish', 'fork')
ALL = tuple(f for s, fs in SCENARIOS.items() if s not in APART for f in fs)


def fails(i):
    return i % 7 == 6


def result(i):
    return -22 if fails(i) else 0


def cut(value, bits, signed=False):
    value &= (1 << bits) - 1
    return value - (1 << bits) if signed and value >> (bits - 1) else value


def double_of(bits):
    return struct.unpack('<d', struct.pack('<q', bits))[0]


def whole_of(real):
    return struct.unpack('<q', struct.pack('<d', real))[0]


def number(whole):
    return {'whole': whole, 'real': double_of(whole), 'bytes': list(struct.pack('<q', whole))}


def text(i):
    return '0x0' if i % 5 == 4 else '' if i % 11 == 10 else 'x...' if i % 13 == 12 else 'call-%d' % i


def names(i):
    return {'fixed': 'name%04d' % (i % 1000) if i % 3 == 2 else 'n%d' % (i % 1000), 'text': 'text %d\t"q"' % i,
            'bytes': [cut(i + k, 8) for k in range(4)], 'numbers': [cut(i, 16, True), cut(-i, 16, True), 7]}


def tree(i):
    return {'id': i, 'next': '0x0' if i % 4 == 1 else SOMEWHERE, 'leaf': '0x1' if i % 4 == 2 else SOMEWHERE, 'name': 'root',
            'own': {'value': i, 'label': 'own'}}


def bits(i):
    code = cut(i * 65537, 32)
    return {'low': i % 8, 'middle': i % 32 - 16, 'high': i % (1 << 24), 'wide': i * 0x100000001 % (1 << 33),
            'flag': i % 2 == 1, 'code': code, 'minor': code & 0xffff, 'major': code >> 16, 'color': COLORS[i % 4]}


def early(i):
    v = -i - 1 if fails(i) else i % 5
    return {'v': v}, -22 if v < 0 else 1 if v == 0 else 2 if v % 2 else 4


# Function -> the calls with number i: a list of (arguments, return value); None: it has none.
CALLS = {
    'take_ints': lambda i: [({'a': cut(i, 8, True), 'b': cut(3 * i, 8), 'c': cut(-i, 16, True), 'd': cut(7 * i, 16),
                              'e': cut(-1000 * i, 32, True), 'f': cut(i * 2654435761, 32)}, result(i))],
    'take_longs': lambda i: [({'a': -i * 10**12, 'b': cut(i * 0x9e3779b97f4a7c15, 64), 'c': 97 + i % 26, 'd': i % 2 == 1,
                               'e': COLORS[i % 4], 'p': hex(0x1000 + 16 * i)}, result(i))],
    'take_strings': lambda i: [({'text': text(i), 'tag': 'tag%d' % (i % 10), 'none': '0x0', 'i': i}, result(i))],
    'take_names': lambda i: [({'names': names(i), 'i': i}, result(i))],
    'take_tree': lambda i: [({'root': tree(i), 'i': i}, result(i))],
    'take_absent': lambda i: [({'page': {'value': i, 'label': 'absent'}, 'i': i}, result(i))],
    'take_pair': lambda i: [({'p': {'first': i, 'second': -i}, 'i': i}, result(i))],
    'take_mixed': lambda i: [({'m': IN_SSE, 'i': i}, result(i))],
    'take_large': lambda i: [({'l': {'id': i, 'values': [i, i + 1, i + 2, i + 3], 'name': 'large-%d' % i}, 'i': i},
                              result(i))],
    'take_union': lambda i: [({'n': number(i << 8 | 1), 'p': number(whole_of(i + 0.5)), 'i': i}, result(i))],
    'take_bits': lambda i: [({'b': bits(i), 'i': i}, result(i))],
    'take_floats': lambda i: [({'f': IN_SSE, 'd': IN_SSE, 'i': i}, result(i))],
    'take_float_members': lambda i: [({'f': {'single': i * 0.5, 'twice': i * -0.125,
                                             'vector': [float(i), i + 1.0, i + 2.0]}, 'i': i}, result(i))],
    'take_many': lambda i: [({'a': i, 'b': i + 1, 'c': i + 2, 'd': i + 3, 'e': i + 4, 'f': i + 5, 'g': -i, 'h': 'h%d' % i,
                              'i': cut(i, 8)}, result(i))],
    'take_static': lambda i: [({'i': i}, result(i))],
    'hidden_static': lambda i: [({'i': i}, result(i))],
    'give_void': lambda i: [({'i': i}, None)],
    'give_int': lambda i: [({'i': i}, -22 if fails(i) else i % 65536)],
    'give_long': lambda i: [({'i': i}, -22 if fails(i) else i << 32 | 1)],
    'give_byte': lambda i: [({'i': i}, i % 256)],
    'give_bool': lambda i: [({'i': i}, not fails(i))],
    'give_enum': lambda i: [({'i': i}, LEVELS[i % 3])],
    'give_pointer': lambda i: [({'i': i}, '0x0' if fails(i) else {'value': 4711, 'label': 'given'})],
    'give_text': lambda i: [({'i': i}, '0x0' if fails(i) else 'text-%d' % i)],
    'give_pair': lambda i: [({'i': i}, {'first': i, 'second': -i})],
    'give_wide': lambda i: [({'i': i}, {'a': i, 'b': i + 1, 'c': i + 2, 'd': i + 3})],
    'give_double': lambda i: [({'i': i}, IN_SSE)],
    'give_early': lambda i: [early(i)],
    'give_slowly': lambda i: [({'i': i}, result(i))],
    'ping': lambda i: [({'n': n}, n + 1) for n in (10, 8, 6, 4, 2, 0)],
    'pong': lambda i: [({'n': n}, n + 1) for n in (9, 7, 5, 3, 1)],
    'guarded': lambda i: [({'i': i}, 100 if i % 2 else 3)],
    'leap_outer': lambda i: [] if i % 2 else [({'i': i}, 2)],
    'leap_inner': lambda i: [] if i % 2 else [({'i': i}, 1)],
    'vanish': lambda i: [] if i % 2 else [({'i': i}, 1)],
    'fork_exits': lambda i: [({'i': i}, i % 128)],
    'fork_returns': lambda i: [({'i': i, 'child': SOMEWHERE}, 1)],
    'tail_sum': lambda i: [({'n': n, 'sum': sum(range(n + 1, 11))}, 55) for n in range(10, -1, -1)],
}


def descend(depth):
    return lambda i: [({'n': n, 'i': i}, n) for n in range(depth, 0, -1)]


CALLS['descend'] = descend(50)

ERRORS_BY_RETURN = {f for f in CALLS if f.startswith(('take_', 'hidden_'))} | {
    'give_int', 'give_long', 'give_pointer', 'give_text', 'give_early', 'give_slowly'}


def is_error(function, ret):
    """The default by return type: pointer NULL, signed integer < 0."""
    return function in ERRORS_BY_RETURN and (ret == '0x0' or (isinstance(ret, int) and not isinstance(ret, bool) and ret < 0))


def normal(value):
    """Takes out of a value what differs from run to run."""
    if isinstance(value, dict):
        if set(value) == {'unreadable'}:
            return IN_SSE if 'SSE' in value['unreadable'] else value
        return {k: normal(v) for k, v in value.items()}
    if isinstance(value, list):
        return [normal(v) for v in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)   # JSON has one kind of number
    if isinstance(value, str):
        if value.startswith('0x') and len(value) > 8:   # 0x1000 and the like are the target's own
            return SOMEWHERE
        if value.startswith('x' * 40) and value.endswith('\u2026') and set(value[:-1]) == {'x'}:
            return 'x...'
    return value


def key(function, args, ret, error):
    return json.dumps([function, args, ret, error], sort_keys=True)


def wanted(function, numbers, calls=None):
    """What the records of a function must be, as a multiset."""
    calls = calls or CALLS[function]
    return collections.Counter(key(function, normal(args), normal(ret), is_error(function, ret))
                               for i in numbers for args, ret in calls(i))


def shown(records, function):
    return collections.Counter(key(function, normal(r['args']), normal(r['ret']), r['error'])
                               for r in records if r['function'] == function)


def differences(got, want, limit=4):
    """Empty if they are the same."""
    lines = ['%d x not shown: %s' % (n, k) for k, n in sorted((want - got).items())[:limit]]
    return lines + ['%d x not true: %s' % (n, k) for k, n in sorted((got - want).items())[:limit]]
