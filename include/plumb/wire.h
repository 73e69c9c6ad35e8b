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
 *                              fields: [[name, role, shape], ...]}]          role: 0 entry, 1 return
 *   CHUNK    [5, request id, sequence, base wall-clock ns, count, codec, bytes]
 *   STATS    [6, request id, wall-clock ns, [[probe, pid, comm, {counts}], ...]]
 *   NOTICE   [7, request id, code, text]             code: "guard", "exit", "exec", "loss", "ttl", "new", ...
 *   END      [8, request id, reason, text, [stats rows as in STATS]]
 *
 *   A CHUNK's bytes (codec 0: as they are) are records, msgpack arrays without gaps:
 *     [probe, ns since base of the entry, pid, tid, flags (enum event_flags), duration ns, value of each field of PROBE...]
 *     A field with role return in a record without EVENT_RETURN is nil.
 *
 *   counts: {"calls","returns","errors","matched","undecided","shipped","sampled","unread","too_deep","unwound",
 *            "stray","drop_ring","drop_rate","drop_nomem","drop_client","sum_ns","max_ns",
 *            "hist": [bucket, count, bucket, count, ...]}; keys that are 0 are left out.
 *
 * Verbs and their arguments (all optional unless said; durations in ns):
 *   "trace", "stat": target (required), probes [text, ...] (required), error text, errors bool, limit, for_ns, sample,
 *                    rate, keep bool, unwind_ok bool, ttl_ns, budget_ppm (of one core), tick_ns, depth, bytes, string (limits of captures)
 *                    -> REPLY {id}, then PROBE..., CHUNK/STATS/NOTICE..., END
 *   "explain": target, probes, ... as trace     -> REPLY {text}
 *   "funcs": target, glob, module               -> REPLY {functions: [[name, signature, file, line, module], ...], more bool, source}
 *   "ps": {}                 -> REPLY {processes: [[pid, comm, exe, unit, container, build id, language, debug info, uid], ...]}
 *   "list": {}               -> REPLY {requests: [[id, verb, target, [probe texts], uid, age_ns, ttl_left_ns (or nil), state, calls, shipped], ...]}
 *   "rm": id                 -> REPLY {}
 *   "doctor": {}             -> REPLY {checks: [[name, state ("ok"|"missing"|"limited"), detail, what to do], ...]}
 *   "stop": id of a request of this connection  -> its END
 *   target: {"pid": n} or {"name": text} or {"path": text}
 */
#ifndef PLUMB_WIRE_H
#define PLUMB_WIRE_H

enum { WIRE_VERSION = 1, WIRE_FRAME_MAX = 1 << 20 };

enum wire_type {
	WIRE_HELLO, WIRE_WELCOME, WIRE_REQUEST, WIRE_REPLY, WIRE_PROBE, WIRE_CHUNK, WIRE_STATS, WIRE_NOTICE, WIRE_END,
	WIRE_TYPES
};

enum wire_codec { WIRE_CODEC_NONE, WIRE_CODEC_DEFLATE };

#define PLUMB_SOCKET_PATH "/run/plumb/plumbd.sock"

#endif
