-- SPDX-License-Identifier: Apache-2.0
-- The store, version 1; schema_2.sql goes on from there.  Times are wall-clock ns of the collector's clock unless said (an agent's times have its offset added).

CREATE TABLE agent (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	uid TEXT NOT NULL UNIQUE,             -- 32 hex digits, the agent's own
	host TEXT NOT NULL,
	program TEXT NOT NULL DEFAULT '',     -- "plumbd 0.1.0"
	run INTEGER NOT NULL DEFAULT 0,       -- of the last RUN entry
	acked INTEGER NOT NULL DEFAULT 0,     -- sequence of the last entry taken in
	offset_ns INTEGER NOT NULL DEFAULT 0, -- collector's clock minus the agent's
	delay_ns INTEGER NOT NULL DEFAULT 0,  -- round trip the offset was measured with
	first_seen_ns INTEGER NOT NULL,
	last_seen_ns INTEGER NOT NULL
);

-- A trace or stat.  Between collector and agents it has another id, that of no other store.  An agent's own (kept, local) requests are told apart by the agent.
CREATE TABLE request (
	id INTEGER PRIMARY KEY AUTOINCREMENT, -- never used again: agents may still refer to it
	wire_id INTEGER NOT NULL,             -- random and part of id (before 0.1.1: id), or >= 2^62: opened by an agent itself
	agent INTEGER NOT NULL DEFAULT 0,     -- the agent that opened it itself; 0: opened here
	verb TEXT NOT NULL,                   -- "trace", "stat"
	target TEXT NOT NULL,                 -- "-s orderd"
	service TEXT NOT NULL,                -- "orderd": the name, the file's base name, or "pid N"
	probes TEXT NOT NULL,                 -- JSON array of the probe texts
	arguments BLOB,                       -- msgpack map as it came
	who TEXT NOT NULL,
	keep INTEGER NOT NULL DEFAULT 0,
	opened_ns INTEGER NOT NULL,
	expires_ns INTEGER NOT NULL,
	ended_ns INTEGER,                     -- NULL: open
	reason TEXT NOT NULL DEFAULT '',
	text TEXT NOT NULL DEFAULT '',
	UNIQUE (wire_id, agent)
);

-- What became of it on each agent.
CREATE TABLE request_agent (
	request INTEGER NOT NULL REFERENCES request (id),
	agent INTEGER NOT NULL REFERENCES agent (id),
	state TEXT NOT NULL,                  -- "sent", "running", "refused", "ended"
	reason TEXT NOT NULL DEFAULT '',
	text TEXT NOT NULL DEFAULT '',
	at_ns INTEGER NOT NULL,
	PRIMARY KEY (request, agent)
) WITHOUT ROWID;
CREATE INDEX request_agent_agent ON request_agent (agent, state);

-- One probed function of one build on one agent: a PROBE frame.
CREATE TABLE probe (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	request INTEGER NOT NULL REFERENCES request (id),
	agent INTEGER NOT NULL REFERENCES agent (id),
	run INTEGER NOT NULL,
	number INTEGER NOT NULL,              -- the agent's id for it, within the run
	spec TEXT NOT NULL,
	function TEXT NOT NULL,
	module TEXT NOT NULL,
	build_id TEXT NOT NULL,
	file TEXT NOT NULL,
	line INTEGER NOT NULL,
	site_kind TEXT NOT NULL,
	cost_ns INTEGER NOT NULL,
	fields INTEGER NOT NULL,              -- values of each of its records
	frame BLOB NOT NULL,                  -- the whole PROBE frame's msgpack array
	created_ns INTEGER NOT NULL,
	UNIQUE (agent, run, number)
);
CREATE INDEX probe_request ON probe (request);
CREATE INDEX probe_function ON probe (function, build_id);

-- Names of processes.
CREATE TABLE process (
	agent INTEGER NOT NULL,
	run INTEGER NOT NULL,
	pid INTEGER NOT NULL,
	comm TEXT NOT NULL,
	PRIMARY KEY (agent, run, pid)
) WITHOUT ROWID;

-- CHUNKs as they came.
CREATE TABLE chunk (
	id INTEGER PRIMARY KEY,
	agent INTEGER NOT NULL REFERENCES agent (id),
	sequence INTEGER NOT NULL,
	run INTEGER NOT NULL,
	request INTEGER NOT NULL REFERENCES request (id),
	first_ns INTEGER NOT NULL,
	last_ns INTEGER NOT NULL,
	records INTEGER NOT NULL,
	offset_ns INTEGER NOT NULL,           -- the agent's clock offset when it came
	received_ns INTEGER NOT NULL,
	frame BLOB NOT NULL,                  -- the whole CHUNK frame's msgpack array
	UNIQUE (agent, sequence)
);
CREATE INDEX chunk_request ON chunk (request, first_ns);

-- Which probes have records in a chunk.
CREATE TABLE chunk_probe (
	probe INTEGER NOT NULL REFERENCES probe (id),
	first_ns INTEGER NOT NULL,
	chunk INTEGER NOT NULL REFERENCES chunk (id),
	records INTEGER NOT NULL,
	errors INTEGER NOT NULL,
	PRIMARY KEY (probe, first_ns, chunk)
) WITHOUT ROWID;
CREATE INDEX chunk_probe_chunk ON chunk_probe (chunk);

-- Exact counters per span (1, 60, 3600 s), from the differences of STATS.  at: seconds since the epoch, a multiple of span.
CREATE TABLE rollup (
	span INTEGER NOT NULL,
	probe INTEGER NOT NULL REFERENCES probe (id),
	at INTEGER NOT NULL,
	pid INTEGER NOT NULL,                 -- 0: counters that belong to no process
	calls INTEGER NOT NULL,
	returns INTEGER NOT NULL,
	errors INTEGER NOT NULL,
	matched INTEGER NOT NULL,
	undecided INTEGER NOT NULL,
	shipped INTEGER NOT NULL,
	sampled INTEGER NOT NULL,
	drop_ring INTEGER NOT NULL,
	drop_rate INTEGER NOT NULL,
	drop_nomem INTEGER NOT NULL,
	drop_client INTEGER NOT NULL,         -- shipped by the kernel, not accepted into the spool
	past_limit INTEGER NOT NULL,          -- shipped after the limit was reached: not sent
	shown INTEGER NOT NULL,               -- sent to its requester before the collector was told of it
	unread INTEGER NOT NULL,
	unpaired INTEGER NOT NULL,            -- too_deep + unwound + stray
	sum_ns INTEGER NOT NULL,
	max_ns INTEGER NOT NULL,              -- since the start of the request
	hist BLOB NOT NULL,                   -- hist_pack()
	PRIMARY KEY (span, probe, at, pid)
) WITHOUT ROWID;

-- The last STATS row of each, from which the next difference is taken; until its request has ended.
CREATE TABLE tally (
	probe INTEGER NOT NULL REFERENCES probe (id),
	pid INTEGER NOT NULL,
	calls INTEGER NOT NULL,
	returns INTEGER NOT NULL,
	errors INTEGER NOT NULL,
	matched INTEGER NOT NULL,
	undecided INTEGER NOT NULL,
	shipped INTEGER NOT NULL,
	sampled INTEGER NOT NULL,
	drop_ring INTEGER NOT NULL,
	drop_rate INTEGER NOT NULL,
	drop_nomem INTEGER NOT NULL,
	drop_client INTEGER NOT NULL,
	past_limit INTEGER NOT NULL,
	shown INTEGER NOT NULL,
	unread INTEGER NOT NULL,
	unpaired INTEGER NOT NULL,
	sum_ns INTEGER NOT NULL,
	max_ns INTEGER NOT NULL,
	hist BLOB NOT NULL,
	PRIMARY KEY (probe, pid)
) WITHOUT ROWID;

-- Records that were accepted by an agent and lost afterwards: LOSS entries.
CREATE TABLE loss (
	id INTEGER PRIMARY KEY,
	agent INTEGER NOT NULL,
	request INTEGER NOT NULL,
	at_ns INTEGER NOT NULL,
	records INTEGER NOT NULL,             -- 0: not known how many
	reason TEXT NOT NULL                  -- "spool-full" told by the agent; "refused": the collector could not read them
);
CREATE INDEX loss_request ON loss (request);

CREATE TABLE notice (
	id INTEGER PRIMARY KEY,
	agent INTEGER NOT NULL,
	request INTEGER NOT NULL,
	at_ns INTEGER NOT NULL,
	code TEXT NOT NULL,
	text TEXT NOT NULL
);
CREATE INDEX notice_request ON notice (request, at_ns);

CREATE TABLE audit (
	id INTEGER PRIMARY KEY,
	at_ns INTEGER NOT NULL,
	who TEXT NOT NULL,                    -- name of the token
	role TEXT NOT NULL,
	peer TEXT NOT NULL,                   -- address
	action TEXT NOT NULL,                 -- "trace", "rm", "query", "login refused", ...
	detail TEXT NOT NULL,
	request INTEGER,                      -- of a trace or stat
	outcome TEXT NOT NULL DEFAULT '',     -- "ok", "refused: ...", how a request ended
	ended_ns INTEGER
);

CREATE TABLE verdict (
	id INTEGER PRIMARY KEY,
	at_ns INTEGER NOT NULL,
	who TEXT NOT NULL,
	state TEXT NOT NULL,
	title TEXT NOT NULL,
	inputs BLOB NOT NULL,
	report TEXT NOT NULL
);
