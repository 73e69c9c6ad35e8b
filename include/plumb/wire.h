/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames between plumb, plumbd and plumb-collector: u32 big-endian length of what follows (1 .. WIRE_FRAME_MAX),
 * then one msgpack array [type, ...].
 *
 *   HELLO    [0, version, program, host]
 *   WELCOME  [1, version, program, host, {}]
 *   REQUEST  [2, request id, verb, {arguments}]
 *   REPLY    [3, request id, ok, {payload}]          ok false: {"code","text","hint","col","len","probe"}
 *   PROBE    [4, request id, {probe, spec, function, module, build_id, file, line, site, site_kind, cost_ns, call,
 *                              fields: [[name, role, shape], ...]}]          role: 0 entry, 1 return. "errno": true: the function
 *                              returns a signed integer, so a negative one may be -errno
 *   CHUNK    [5, request id, sequence, base wall-clock ns, count, codec, bytes]
 *   STATS    [6, request id, wall-clock ns, [[probe, pid, comm, {counts}], ...]]
 *   NOTICE   [7, request id, code, text]             code: "guard", "exit", "exec", "loss", "ttl", "new", ...
 *   NOTICE   [7, request id, "removed", {probe, text}]   after the "guard" that tells people: which probe it was that the guard has removed;
 *                              with "part": true some of the functions of a pattern's probe, and the others go on
 *   END      [8, request id, reason, text, [stats rows as in STATS]]
 *
 *   A probe on a pattern is for many functions; if they return values of several kinds, it is as many PROBEs. In each of them "functions"
 *   is how many they are, the first field, "$function", is the number of the one that was called; "function" is the pattern, "site" and
 *   "cost_ns" are those of its dearest site. Its rows in STATS and END are sums.
 *   FUNCTIONS [15, request id, probe, number of the first, [name, ...]]            after the PROBE
 *   FUNCTION_STATS [16, request id, ns, [[probe, pid, function's number, {counts}], ...]]  ahead of the STATS or END that it belongs to:
 *              of the functions that were called since the last one all processes, since the start of the request; of all that were called
 *              once a minute and at the end; histograms have one bucket in four. A collector gets 2,048 rows of a probe, those of the first calls
 *
 *   A CHUNK's bytes (codec 0: as they are, 1: deflated, 2: common/planes.h, 3: common/columns.h) are records, msgpack arrays without gaps:
 *     [probe, ns since base of the entry, pid, tid, flags (enum event_flags), duration ns, value of each field of PROBE...]
 *     A field with role return in a record without EVENT_RETURN is nil.
 *
 *   counts: {"calls","returns","errors","matched","undecided","shipped","sampled","unread","too_deep","unwound",
 *            "stray","drop_ring","drop_rate","drop_nomem","drop_client","past_limit","shown","sum_ns","max_ns",
 *            "hist": [bucket, count, bucket, count, ...]}; keys that are 0 are left out.
 *            "error_values": [value, count, value, count, ...]: what failing calls returned, exact (s64; pointers: 0), if $ret is an
 *            integer or a pointer; at most 64 values of a probe in a process: what found no room is errors - the sum of the counts.
 *            past_limit: shipped after --limit was reached. shown: sent to the requester before the request went on at a collector.
 *            To a collector: records in CHUNKs = shipped - drop_client - past_limit - shown, at END.
 *
 * Verbs and their arguments (all optional unless said; durations in ns):
 *   "trace", "stat": target (required), probes [text, ...] (required), error text, errors bool, limit, for_ns, sample,
 *                    rate, keep bool, unwind_ok bool, ttl_ns, budget_ppm (of one core), tick_ns, depth, bytes, string (limits of captures),
 *                    show_errors [number of a probe in probes, ...] (stat: CHUNKs with failing calls of these functions, at most `rate` a second of
 *                    each, beside the counters; of none whose captures would need a dearer breakpoint)
 *                    -> REPLY {id}, then PROBE..., CHUNK/STATS/NOTICE..., END
 *   "explain": target, probes, ... as trace     -> REPLY {text}
 *   "funcs": target, glob, module               -> REPLY {functions: [[name, signature, file, line, module], ...], more bool, source,
 *                                                         builds (a sentence if the target runs several: of which one they are, "": one)}
 *   "lines": target, files [[path, [line, ...]], ...] (required), module     (at most 20,000 lines; what code source lines are)
 *                               -> REPLY {build_id, module, files: [[path, [path in the debug information, ...]], ...],
 *                                         functions: [[name, signature, file, line, inlined copies, has code of its own bool, site kind of a call probe ("": not known)], ...],
 *                                         lines: [[index in files, line, [[index in functions, inlined bool, addresses,
 *                                                 own bool (a statement of the line begins there; else its code is shared or was moved),
 *                                                 index of the function whose code it is (another one, if inlined)], ...]], ...],
 *                                         more bool (there was no room for the rest)}
 *                                  A path means the files that end in it. A line without places has no code in this build.
 *   "ps": {}                 -> REPLY {processes: [[pid, comm, exe, unit, container, build id, language, debug info, uid,
 *                                           age ns, threads], ...]}
 *   "list": {}               -> REPLY {requests: [[id, verb, target, [probe texts], uid, age_ns, ttl_left_ns (or nil), state, calls, shipped], ...]}
 *   "rm": id                 -> REPLY {}
 *   "doctor": {}             -> REPLY {checks: [[name, state ("ok"|"missing"|"limited"), detail, what to do], ...]}
 *   "stop": id of a request of this connection  -> its END
 *   target: {"pid": n} or {"name": text} or {"path": text}, each perhaps with "build": text, the beginning of a build-id (6 hex digits
 *           or more): only processes whose executable, or a file that is named by a probe, has it, now and later; to a collector
 *           each perhaps with "hosts": [text, ...], of which only the agents are asked
 *
 * An agent and a collector.  The agent connects, and the same frames run over TCP (TLS); REQUESTs come from the collector.
 *
 *   HELLO    [0, version, program, host, {"agent": text, "run": n, "wall_ns": n, "next": sequence, "requests": [id, ...]}]
 *              agent: 32 hex digits, kept with the spool. run: random, new at each start. next: sequence of the next ENTRY.
 *              requests: ids of the collector's requests that it still serves.
 *            [0, version, program, host, {"token": text}]     a plumb that talks to a collector
 *   WELCOME  [1, version, program, host, {"acked": sequence, "received_ns": n, "sent_ns": n}]
 *              acked: the last ENTRY of this agent that is stored, 0: none. The other two are the collector's wall clock.
 *   ACK      [9, sequence]                      collector: every ENTRY up to this one is stored, for good
 *   ENTRY    [10, sequence, frame]              agent: from its spool; frame (bin) is a msgpack array as below, no length before it
 *   REPLY    [3, 0, false, {...}]               collector: why it closes this connection, an agent's or a plumb's
 *   CLOCK    [11, offset ns, delay ns]          agent, after WELCOME: collector's clock minus its own, and the round trip it
 *                                               was measured with (NTP's formula, RFC 5905 section 8)
 *
 *   Answers to ps, funcs, explain, list, doctor, rm go straight. What belongs to a trace or stat is spooled: REPLY, PROBE, CHUNK,
 *   STATS, NOTICE and END as above, with the collector's request id, and
 *   RUN      [12, run, wall-clock ns]           first of each start of the agent: ids of probes begin anew
 *   OPENED   [13, request id, {"verb","target","probes","uid"}]   a request that the agent opened itself (kept, local); id >= WIRE_LOCAL_REQUEST
 *   LOSS     [14, request id, records, reason]  records that were in CHUNKs but did not stay in the spool: "spool-full",
 *                                               "spool-corrupt" (request 0: of which request is not known)
 *
 *   Sequences rise, not always by one. At its bound the spool replaces CHUNKs by LOSS entries: one that may have been sent keeps its
 *   sequence, so that a collector that has the CHUNK drops the LOSS; others are added up, at the sequence of the last of them.
 *   While a collector records a request, STATS come every second, of a trace too, with histograms; CHUNKs are deflated.
 *
 * A plumb and a collector.  As with an agent; results of several agents come merged:
 *   PROBE, CHUNK, STATS, NOTICE, FUNCTIONS and FUNCTION_STATS have one more element at the end, the number of their source; ids of probes are the source's.
 *   NOTICE   [7, id, "source", {"host": text, "agent": text}, source]      first of each source
 *   NOTICE   [7, id, code, map or text, source]         what one agent has to say. "refused": {"code","text","hint",...}; "end":
 *            {"reason","text"}; "away", "back": text; else as the agent said it
 *   A source is one run of one agent. Times are the collector's. A token that is not known: REPLY [3, 0, false, {...}].
 *   "hosts": {}              -> REPLY {hosts: [[host, agent, program, connected, last_seen_ns, offset_ns, delay_ns, lost records, address], ...]}
 *   "audit": since_ns        -> REPLY {entries: [[at_ns, who, role, peer, action, detail, request or nil, outcome, ended_ns or nil], ...], more bool}
 *   "list"                   -> REPLY {requests: [[id, verb, target, [probe texts], who, age_ns, ttl_left_ns, state, calls, shipped,
 *                                                  [[host, state, text], ...]], ...]}
 *   "ps", "funcs", "doctor": each row has its host (ps) or its hosts (an array) before it; "explain": text with hosts as headings; all
 *            with failed: [[host, text], ...] and cut bool: not all rows fit
 *   "lines": REPLY {answers: [[host, what its agent said], ...], failed: [[host, text], ...], cut bool, more bool}
 *   "verdict": state ("RUNNING", "PASS", "FAIL", "INCONCLUSIVE"; required), title (required for a new one), service, reason, report (text or bin: a JSON
 *            object), record (bin: the bytes to compute it again from), at (how many bytes of the record were sent before), id (to go on with a RUNNING one)
 *            -> REPLY {id, record: bytes that are stored by now}
 *            What is left out stays as it is. A record longer than a frame comes in parts, each with its `at`; the last frame has the state that
 *            is not RUNNING, after which nothing can be changed. One that says RUNNING and is not heard of for VERDICT_SILENCE_S
 *            becomes INCONCLUSIVE.
 *   END      once, when every source has ended, or the request has been stopped; its rows are empty: each source's final
 *            counters came as a last STATS.
 */
#ifndef PLUMB_WIRE_H
#define PLUMB_WIRE_H

enum { WIRE_VERSION = 1, WIRE_FRAME_MAX = 1 << 20 };

enum wire_type {
	WIRE_HELLO, WIRE_WELCOME, WIRE_REQUEST, WIRE_REPLY, WIRE_PROBE, WIRE_CHUNK, WIRE_STATS, WIRE_NOTICE, WIRE_END,
	WIRE_ACK, WIRE_ENTRY, WIRE_CLOCK, WIRE_RUN, WIRE_OPENED, WIRE_LOSS, WIRE_FUNCTIONS, WIRE_FUNCTION_STATS,
	WIRE_TYPES
};

/* What an agent spools must fit into an ENTRY: all other frames stay this much below WIRE_FRAME_MAX. */
enum { WIRE_ENTRY_ROOM = 64 };
/* Requests that an agent opened by itself have ids from here on; the collector's are smaller. */
#define WIRE_LOCAL_REQUEST (1ULL << 62)

enum wire_codec { WIRE_CODEC_NONE, WIRE_CODEC_DEFLATE, WIRE_CODEC_PLANES, WIRE_CODEC_COLUMNS };

/* Bounds of the verb "verdict"; bytes, record: of all parts together. */
enum {
	VERDICT_TITLE_MAX = 200, VERDICT_SERVICE_MAX = 255, VERDICT_REASON_MAX = 1200, VERDICT_REPORT_MAX = 512 << 10,
	VERDICT_RECORD_MAX = 64 << 20, VERDICT_SILENCE_S = 120,
};

#define PLUMB_SOCKET_PATH "/run/plumb/plumbd.sock"
/* The token that a collector makes at its first start: for root, on that host. */
#define PLUMB_ADMIN_TOKEN "/var/lib/plumb-collector/admin.token"
#define PLUMB_SPOOL_DIR "/var/lib/plumb/spool"

#endif
