# SPDX-License-Identifier: Apache-2.0
"""The documentation tells what the product prints today.

    test_docs.py            runs what README.md and docs/*.md show, and compares
    test_docs.py --update   writes into them what is printed now (then read the diff)

A comment before a fenced block says what is done with it:

    <!-- run -->            each "$ plumb ..." is run; the lines below it are its output, standard error included
    <!-- run exit=1 -->     ... and it ends with this code
    <!-- run send -->       ... and when its probes are attached, the order of the block marked <!-- order --> is sent
    <!-- run form -->       ... of its output only the form is compared: words stay, numbers and texts of a call may differ
    <!-- probes -->         each line is a probe of orderd, which is explained and traced
    <!-- errors -->         each line is a message; one of the sources must print it (N, NAME and such stand for values)

Addresses, build-ids, pids, times and what depends on the machine (costs, the kernel's way to attach) are not compared.
Every option in any block that calls plumb or plumbd must be one that the program's help names."""
import glob
import os
import re
import shlex
import socket
import subprocess
import sys
import unittest

import harness

DOCS = [os.path.join(harness.ROOT, 'README.md'), *sorted(glob.glob(os.path.join(harness.ROOT, 'docs', '*.md')))]
BLOCK = re.compile(r'^(?:<!-- (?P<mark>[^>]*?) -->\n)?```(?P<kind>\w*)\n(?P<body>.*?)^```$', re.M | re.S)

# Where the documentation says the service is installed.
SHOWN_PATH = '/srv/orderd/orderd'

# What differs from run to run and from machine to machine -> what is compared instead.
PLACES = [
    (r'\d\d:\d\d:\d\d\.\d{6}', 'TIME'),
    (r'\bbuild-id [0-9a-f]{8,}', 'build-id ID'),
    (r'"build_id":"[0-9a-f]*"', '"build_id":"ID"'),
    (r'"ts":\d+', '"ts":N'),
    (r'"host":"[^"]*"', '"host":"HOST"'),
    (r'"pid":\d+,"tid":\d+', '"pid":N,"tid":N'),
    (r'"duration_ns":\d+', '"duration_ns":N'),
    (r'\bpid=\d+', 'pid=N'),
    (r'\[\d+/\d+\]', '[PID/TID]'),
    (r'<[\d.]+(ns|us|ms|s)>', '<DURATION>'),
    (r'0x[0-9a-f]{4,}', 'ADDRESS'),
    (r'about \d+ ns', 'about N ns'),
    (r'\((measured on this machine|a default, not measured here)\)', '(MEASURED?)'),
    (r'attach   [\w -]+,', 'attach   HOW,'),
    (r'(, )(patched nop|emulated)(, at the entry: )[^\n]*', r'\1CHEAP\3'),
]
# A form: what stays when the values of calls are left out as well.
VALUES = [
    (r'"(?:[^"\\]|\\.)*"', '"S"'),
    (r'\bORDER_[A-Z]+', 'ENUM'),
    (r'\b(true|false)\b', 'BOOL'),
    (r'-?\b\d+(\.\d+)?[kM]?(ns|us|ms|s|m|h|%)?(?=\W|$)', 'N'),
    (r' (sampled|dropped|unread|missed|open|early|matched|undecided)=N(?: \([^)]*\))?', ''),
    (r'[█-▏]+', ''),
    (r' +', ' '),
]


def normal(text, form=False):
    for pattern, instead in PLACES + (VALUES if form else []):
        text = re.sub(pattern, instead, text)
    lines = [line.rstrip() for line in text.splitlines()]
    return sorted(set(lines)) if form else lines


class Block:
    def __init__(self, path, match):
        self.path, self.match = path, match
        self.kind, self.body = match.group('kind'), match.group('body')
        words = (match.group('mark') or '').split()
        self.what = words[0] if words else ''
        self.options = dict(w.partition('=')[::2] for w in words[1:])
        self.line = match.string[:match.start('body')].count('\n')
        self.where = '%s:%d' % (os.path.relpath(path, harness.ROOT), self.line)

    def steps(self):
        """-> [[command, its shown output], ...]"""
        steps = []
        for line in self.body.splitlines(keepends=True):
            if line.startswith('$ '):
                steps.append([line[2:], ''])
            elif steps and not steps[-1][1] and steps[-1][0].endswith('\\\n'):
                steps[-1][0] += line
            elif steps:
                steps[-1][1] += line
        return [[command.rstrip('\n'), shown] for command, shown in steps]

    def lines(self):
        """Without comments, which begin after two spaces and '#'."""
        return [line for line in (re.sub(r'(^|  +)# .*', '', line).rstrip() for line in self.body.splitlines()) if line]


def blocks_of(path):
    with open(path) as f:
        return [Block(path, m) for m in BLOCK.finditer(f.read())]


def all_blocks(what):
    return [b for path in DOCS for b in blocks_of(path) if b.what == what]


def order_text():
    return ''.join(re.search(r'ORDER [^\\\n\']*', b.body).group(0) for b in all_blocks('order')[:1])


class Service(harness.Process):
    """orderd, and traffic for it if wanted."""

    def __init__(self, test, load=False):
        super().__init__(test, [harness.target('orderd'), '--port', '0'])
        self.port = int(self.wait_line(r'^listening on 127\.0\.0\.1:(\d+)$').group(1))
        if load:
            harness.Process(test, [harness.target('orderload'), '--port', str(self.port), '--rate', '400', '--seconds', '300',
                                   '--bad-percent', '2', '--unknown-percent', '1'])

    def send(self, order):
        with socket.create_connection(('127.0.0.1', self.port), timeout=10) as s:
            s.sendall(order.encode() + b'\n')
            return s.recv(100)


class Runner:
    """Runs a block's commands against a service."""

    def __init__(self, test, agent, service):
        self.test, self.agent, self.service = test, agent, service

    def argv(self, command):
        words = shlex.split(command.replace('\\\n', ' '))
        if words[:1] == ['sudo']:
            words = words[1:]
        if words[:1] != ['plumb']:
            raise AssertionError('only plumb commands are run: ' + command)
        for i in range(1, len(words)):
            if words[i - 1:i + 1] == ['-s', 'orderd']:
                words[i - 1:i + 1] = ['-p', str(self.service.pid)]
        return [harness.PLUMB, '--socket', self.agent.socket, *words[1:]]

    def output(self, command, block):
        before = self.agent.starts()
        p = Merged(self.test, self.argv(command))
        if 'send' in block.options and ' trace ' in command:
            harness.wait_for('start of ' + command, lambda: self.agent.starts() > before or not p.running())
            self.service.send(order_text())
        code = p.wait()
        self.test.assertEqual(code, int(block.options.get('exit', 0)), '%s: %s\n%s' % (block.where, command, p.stdout))
        return p.stdout.replace(os.path.join(harness.TARGETS, 'orderd'), SHOWN_PATH)


class Merged(harness.Process):
    """Standard error goes where standard output goes, as on a terminal."""

    def __init__(self, test, argv):
        super().__init__(test, ['/bin/sh', '-c', 'exec "$@" 2>&1', 'sh', *argv])


class Docs(harness.KernelCase):
    limit = 240

    def setUp(self):
        super().setUp()
        self.plumbd = self.agent()

    def runner(self, load):
        return Runner(self, self.plumbd, Service(self, load))


@unittest.skipUnless(os.path.exists(harness.target('orderd')), 'the targets are not built')
class Shown(Docs):
    def check(self, path):
        runners = {}
        for block in blocks_of(path):
            if block.what != 'run':
                continue
            form = 'form' in block.options
            runner = runners.setdefault(form, self.runner(form))
            for command, shown in block.steps():
                with self.subTest(block.where, command=command):
                    printed = runner.output(command, block)
                    self.compare(normal(shown, form), normal(printed, form), form, '%s: %s' % (block.where, command))

    def compare(self, shown, printed, form, where):
        if form:
            strange = [line for line in shown if line not in printed]
            self.assertEqual(strange, [], '%s: no longer printed like this; it is:\n%s' % (where, '\n'.join(printed)))
        else:
            self.assertEqual(shown, printed, where)


def add_shown(path):
    name = os.path.basename(path)[:-3].lower()
    setattr(Shown, 'test_' + name, lambda self: self.check(path))


for doc in DOCS:
    if any(b.what == 'run' for b in blocks_of(doc)):
        add_shown(doc)


@unittest.skipUnless(os.path.exists(harness.target('orderd')), 'the targets are not built')
class Probes(Docs):
    def test_examples(self):
        """Every example of the language is understood, attached and counts calls."""
        runner = self.runner(True)
        for block in all_blocks('probes'):
            probes = block.lines()
            for probe in probes:
                with self.subTest(block.where, probe=probe):
                    self.plumbd.run('explain', '-p', runner.service.pid, probe)
            with self.subTest(block.where):
                p = self.plumbd.run('trace', '-p', runner.service.pid, '--json', '--for', '400ms', *probes)
                total = harness.json.loads(p.lines()[-1])['total']
                self.assertGreater(total['calls'], 0, block.where)


# ---- what needs no kernel ----

def sources(*folders):
    for folder in folders:
        for path in sorted(glob.glob(os.path.join(harness.ROOT, folder, '*.c'))):
            with open(path) as f:
                yield f.read()


def printed_texts():
    """Patterns of the messages in the sources: string literals, joined as the compiler joins them."""
    literal = re.compile(r'"(?:[^"\\\n]|\\.)*"(?:\s*"(?:[^"\\\n]|\\.)*")*')
    for text in sources('agent', 'cli', 'common'):
        for match in literal.finditer(text):
            whole = ''.join(re.findall(r'"((?:[^"\\\n]|\\.)*)"', match.group(0)))
            whole = whole.replace('\\"', '"').replace('\\n', '').strip()
            if len(re.sub(r'%[-+.*\d]*[a-z]+', '', whole)) >= 6:
                yield whole


def pattern_of(text):
    """A conversion stands for anything."""
    parts = re.split(r'%[-+#.*\d]*(?:ll|l|z)?[a-zA-Z]', text.replace('%%', '\0'))
    return re.compile('.*'.join(re.escape(p.replace('\0', '%')) for p in parts), re.S)


class Texts(unittest.TestCase):
    def test_messages(self):
        """Each message that the documentation explains is one that the product prints."""
        have = [pattern_of(t) for t in set(printed_texts())]
        for block in all_blocks('errors'):
            for line in block.lines():
                with self.subTest(block.where):
                    without_file = re.sub(r'^FILE (?=is|has)', '', line)
                    self.assertTrue(any(p.fullmatch(line) or p.fullmatch(without_file) for p in have),
                                    '%s: nothing prints "%s"' % (block.where, line))

    def test_links(self):
        for path in DOCS:
            with open(path) as f:
                text = f.read()
            for link in re.findall(r'\]\(([^)#:]+)(?:#[^)]*)?\)', text):
                with self.subTest(path, link=link):
                    self.assertTrue(os.path.exists(os.path.join(os.path.dirname(path), link)), 'no file ' + link)


@unittest.skipUnless(os.path.exists(harness.PLUMB), 'plumb is not built')
class Options(unittest.TestCase):
    def help_of(self, *argv):
        return subprocess.run(argv, capture_output=True, text=True, timeout=60).stdout

    def test_options(self):
        helps = {}
        for path in DOCS:
            for block in blocks_of(path):
                for name, rest in re.findall(r'^(?:\$ )?(?:sudo )?(plumbd?) ([^\n]*(?:\\\n[^\n]*)*)', block.body, re.M):
                    verb = rest.split()[0] if name == 'plumb' else ''
                    if verb.startswith('-'):
                        continue
                    argv = (harness.PLUMB, verb, '--help') if verb else (harness.PLUMBD, '--help')
                    if argv not in helps:
                        helps[argv] = self.help_of(*argv)
                    outside_quotes = re.sub(r"'[^']*'", '', rest)
                    for option in re.findall(r'(?<=\s)--[\w-]+', ' ' + outside_quotes):
                        with self.subTest(block.where, option=option):
                            self.assertIn(option, helps[argv] + ' --socket --color', '%s: %s %s' % (block.where, name, verb))


OPTION = re.compile(r'(?<![\w-])--[a-z][\w-]*')
PROGRAMS = {'plumb': harness.PLUMB, 'plumbd': harness.PLUMBD, 'plumb-collector': os.path.join(os.path.dirname(harness.PLUMB), 'plumb-collector')}
# What is said of other programs and commands.
OTHERS = {'plumb-hosts': {'--host'}, 'plumb-rm': {'--keep'}, 'plumb-query': {'--sample'}, 'plumbd': {'--keep'}, 'plumb-collector': {'--collector', '--replay'}}
# Their parser knows them, to say what to ask instead.
REFUSED = {'query': {'--pid', '--exe'}, 'verify': {'--build', '--host'}}
# plumbd --private is how plumb starts one: in the manual for whoever sees it in a list of processes.
UNTOLD = {'plumbd': {'--private'}}


def command_options():
    """{command: the options that its parser takes}, {those that all take}: from the tables in cli/."""
    groups, commands = {}, {}
    with open(os.path.join(harness.ROOT, 'cli', 'args.c')) as f:
        for name, of in re.findall(r'\{ "([\w-]+)", (?:0|\'.\'), \w+, ([A-Z_| ]+), set_\w+ \}', f.read()):
            for group in of.split(' | '):
                groups.setdefault(group, set()).add('--' + name)
    for text in sources('cli'):
        for name, of in re.findall(r'\.name = "(\w+)",\n\t\.synopsis(?:(?!^};).)*?(?:\.groups = ([A-Z_| ]+),|^};)', text, re.S | re.M):
            commands[name] = set().union(*(groups[g] for g in of.split(' | ') if g)) - REFUSED.get(name, set())
    return commands, groups['ARGS_GLOBAL'] | groups['ARGS_VERSION']


@unittest.skipUnless(os.path.exists(harness.PLUMB), 'plumb is not built')
class Manual(unittest.TestCase):
    """A page of the manual and the program's help name the same options: those that it takes."""

    def named(self, page):
        with open(os.path.join(harness.ROOT, 'docs', 'man', page)) as f:
            return set(OPTION.findall(re.sub(r'\\f[BIRP]', '', f.read()).replace('\\-', '-')))

    def help_of(self, *argv):
        p = subprocess.run(argv, capture_output=True, text=True, timeout=60)
        self.assertEqual(p.returncode, 0, argv)
        return set(OPTION.findall(p.stdout))

    def pages(self):
        return {page.rsplit('.', 1)[0]: page for page in os.listdir(os.path.join(harness.ROOT, 'docs', 'man'))}

    def test_commands(self):
        commands, shared = command_options()
        pages = self.pages()
        self.assertGreater(len(commands), 8)
        for name, takes in commands.items():
            page = 'plumb-' + name
            with self.subTest(page):
                told, written = self.help_of(harness.PLUMB, name, '--help'), self.named(pages[page])
                self.assertEqual(takes - told, set(), 'plumb %s --help is silent about them' % name)
                self.assertEqual(takes - written, set(), 'the manual is silent about them')
                self.assertEqual(told - takes - shared - OTHERS.get(page, set()), set(), 'plumb %s takes no such options' % name)
                self.assertEqual(written - takes - shared - OTHERS.get(page, set()), set(), 'plumb %s takes no such options' % name)

    def test_programs(self):
        pages = self.pages()
        for name, path in PROGRAMS.items():
            with self.subTest(name):
                told, written = self.help_of(path, '--help'), self.named(pages[name])
                self.assertEqual(told - written, set(), 'the manual is silent about them')
                if name != 'plumb':         # its page tells of the commands, too
                    self.assertEqual(written - told - {'--help', '--version'} - OTHERS.get(name, set()) - UNTOLD.get(name, set()), set())

    def test_completion(self):
        commands, shared = command_options()
        script = os.path.join(harness.ROOT, 'scripts', 'plumb.bash-completion')
        for name, takes in commands.items():
            with self.subTest(name):
                done = subprocess.run(['bash', '-c', 'source "$0"; COMP_WORDS=(plumb "$1" --); COMP_CWORD=2; _plumb; echo "${COMPREPLY[@]}"',
                                       script, name], capture_output=True, text=True, timeout=60)
                offered = set(OPTION.findall(done.stdout))
                self.assertEqual(takes - offered, set(), 'not offered')
                self.assertEqual(offered - takes - shared, set(), 'plumb %s takes no such options' % name)

    def test_there_is_a_page_for_each_command(self):
        commands, _ = command_options()
        self.assertEqual(set(self.pages()) - set(PROGRAMS), {'plumb-' + name for name in commands})


# ---- --update ----

def updated(test, text, path, runners):
    """The document, with what is printed now where that differs."""
    out, done = '', 0
    for block in blocks_of(path):
        if block.what != 'run':
            continue
        form = 'form' in block.options
        if form not in runners:
            runners[form] = test.runner(form)
        body = ''
        for command, shown in block.steps():
            printed = runners[form].output(command, block)
            old, new = normal(shown, form), normal(printed, form)
            same = set(old) <= set(new) and shown if form else old == new
            body += '$ %s\n%s' % (command, shown if same else printed)
        start, end = block.match.span('body')
        out += text[done:start] + body
        done = end
    return out + text[done:]


def update():
    class Update(Docs):
        limit = 300

        def runTest(self):
            runners = {}
            for path in DOCS:
                with open(path) as f:
                    text = f.read()
                new = updated(self, text, path, runners)
                if new != text:
                    with open(path, 'w') as f:
                        f.write(new)

    return 0 if unittest.TextTestRunner().run(Update()).wasSuccessful() else 1


if __name__ == '__main__':
    sys.exit(update()) if sys.argv[1:] == ['--update'] else unittest.main()
