# SPDX-License-Identifier: Apache-2.0
"""Questions 1 to 4: what one call of a probed function costs the program, for four things one may want to know."""
import reasons
from harness import aim, compare, row_of
from peers import (Bpftrace, Cannot, Funclatency, Gdb, Lttng, Ltrace, PerfProbe, Plumb, PlumbDirect, Tracefs, Uftrace)

# Records of this many calls (160 bytes each) fit into a ring of 2 MiB: what happens when it overflows is the question of q_rate.py.
BURST = 10000
NO_ENTRY_ARGS = "the record of the return does not have the entry's arguments, so a failing call cannot be shown with them"
NO_STATS = "records only; counting is left to reading the trace afterwards"


def ratio(rows, subject):
    row = row_of(rows, subject)
    return row["ratio"] if row else None


def lossy(rows, *subjects):
    """Why a figure of these does not count, or ""."""
    for subject in subjects:
        row = row_of(rows, subject)
        if row and row["lost"]:
            return "%s lost %s records, and a lost one is cheap" % (subject, format(row["lost"], ","))
    return ""


def against(rows, subject, peer):
    a, b = row_of(rows, subject), row_of(rows, peer)
    return a["ns"] / b["ns"] if a and b else None


def full(env, *subjects):
    return [] if env.quick else list(subjects)


def entry(env):
    probe = "FUNCTION(a, b, s)"
    subjects = [Plumb(probe), PlumbDirect(probe),
                Bpftrace("bpftrace printf", 'uprobe:WHERE { printf("%d %d %s\\n", arg0, arg1, str(arg2, 16)); }')]
    subjects += full(env, PlumbDirect(probe, "-s", "16", name="the same, text limit 16"),
                     PerfProbe("perf probe + record", ["FUNCTION a b s:string"]), Tracefs("tracefs uprobe_events"),
                     Cannot("funclatency (libbpf-tools)", "has no captures"), Lttng(), Uftrace(ret=False), Ltrace(), Gdb())
    rows = compare(env, subjects, "entry", calls=BURST)
    return {"id": "entry", "title": "Entry capture: 2 integers and a 16-byte string, every call shipped", "rows": rows,
            "aims": [aim("entry capture / empty uprobe", ratio(rows, "plumb"), 1.30, reason=reasons.ENTRY,
                         invalid=lossy(rows, "plumb"))]}


def call(env):
    probe = "FUNCTION(a, b, s) -> $ret"
    both = ('uprobe:WHERE { @a[tid] = arg0; @b[tid] = arg1; @s[tid] = str(arg2, 16); @t[tid] = nsecs; } '
            'uretprobe:WHERE /@t[tid]/ { printf("%d %d %s %d %d\\n", @a[tid], @b[tid], @s[tid], (int32)retval, nsecs - @t[tid]); '
            'delete(@a[tid]); delete(@b[tid]); delete(@s[tid]); delete(@t[tid]); }')
    subjects = [Plumb(probe), PlumbDirect(probe), Bpftrace("bpftrace printf", both)]
    subjects += full(env, PerfProbe("perf probe + record", ["FUNCTION a b s:string", "FUNCTION%return ret=$retval"]),
                     Tracefs("tracefs uprobe_events", ret=True), Uftrace(ret=True),
                     Cannot("lttng-ust, source tracepoint", "one tracepoint has no duration; two would be two records"))
    rows = compare(env, subjects, "session", calls=BURST)
    return {"id": "call", "title": "Entry, return and duration with the same captures, one record", "rows": rows,
            "aims": [aim("call / empty session", ratio(rows, "plumb"), 1.35, reason=reasons.CALL, invalid=lossy(rows, "plumb")),
                     aim("call / bpftrace's equivalent", against(rows, "plumb", "bpftrace printf"), 0.15, reason=reasons.CALL_PEER,
                         invalid=lossy(rows, "plumb", "bpftrace printf"))]}


def errors(env):
    probe = "FUNCTION(a, b, s) -> $ret"
    failing = ('uprobe:WHERE { @a[tid] = arg0; @b[tid] = arg1; @s[tid] = str(arg2, 16); @t[tid] = nsecs; } '
               'uretprobe:WHERE /@t[tid]/ { if ((int32)retval < 0) { printf("%d %d %s %d %d\\n", @a[tid], @b[tid], @s[tid], '
               '(int32)retval, nsecs - @t[tid]); } delete(@a[tid]); delete(@b[tid]); delete(@s[tid]); delete(@t[tid]); }')
    subjects = [Plumb(probe, "--errors"), PlumbDirect(probe, "-e"), Bpftrace("bpftrace, if (retval < 0) printf", failing)]
    subjects += full(env, Cannot("perf probe + record", NO_ENTRY_ARGS), Cannot("tracefs uprobe_events", NO_ENTRY_ARGS),
                     Cannot("uftrace, compiled in (-pg)", "no filter by return value"),
                     Cannot("lttng-ust, source tracepoint", "filters on its own fields only, and there is no return in them"),
                     Cannot("funclatency (libbpf-tools)", "has no filter"))
    rows = compare(env, subjects, "session")
    return {"id": "errors", "title": "The same, but only failing calls shipped (1 in 1,000 fails)", "rows": rows,
            "aims": [aim("failing calls / empty session", ratio(rows, "plumb"), 1.25, reason=reasons.ERRORS)]}


def stat(env):
    hist = 'uprobe:WHERE { @t[tid] = nsecs; } uretprobe:WHERE /@t[tid]/ { @h[pid] = hist(nsecs - @t[tid]); delete(@t[tid]); }'
    same = ('uprobe:WHERE { @t[tid] = nsecs; @n[pid] = count(); } uretprobe:WHERE /@t[tid]/ { @h[pid] = hist(nsecs - @t[tid]); '
            'if ((int32)retval < 0) { @e[pid] = count(); } delete(@t[tid]); }')
    subjects = [Plumb("FUNCTION", verb="stat"), PlumbDirect("FUNCTION", "-q"), Bpftrace("bpftrace hist()", hist)]
    subjects += full(env, Plumb("FUNCTION", verb="stat", name="plumb, its first 0.6 s (the guard measures)", settle_s=0.0),
                     Bpftrace("bpftrace hist(), count() and errors", same), Funclatency(), Cannot("perf probe + record", NO_STATS), Cannot("tracefs uprobe_events", NO_STATS),
                     Cannot("lttng-ust, source tracepoint", NO_STATS), Cannot("gdb", NO_STATS))
    rows = compare(env, subjects, "session")
    return {"id": "stat", "title": "Exact statistics only: count, errors, histogram per process", "rows": rows,
            "aims": [aim("statistics / empty session", ratio(rows, "plumb"), 1.20, reason=reasons.STAT),
                     aim("statistics / bpftrace's hist()", against(rows, "plumb", "bpftrace hist()"), 0.85, reason=reasons.STAT_PEER)]}


QUESTIONS = [entry, call, errors, stat]
