-- SPDX-License-Identifier: Apache-2.0
-- From version 3 to 4: functions of a pattern have counters of their own. Each of them is a probe, as far as their number is bounded.

ALTER TABLE probe ADD COLUMN functions INTEGER NOT NULL DEFAULT 0; -- of a pattern: how many it has
ALTER TABLE probe ADD COLUMN pattern INTEGER NOT NULL DEFAULT 0;   -- of one of them: its pattern's probe, which counts all of them together
CREATE INDEX probe_pattern ON probe (pattern) WHERE pattern <> 0;

-- Names of a pattern's functions: FUNCTIONS as they came.
CREATE TABLE pattern_names (
	probe INTEGER NOT NULL REFERENCES probe (id),
	first INTEGER NOT NULL,               -- number of its first name
	frame BLOB NOT NULL,
	PRIMARY KEY (probe, first)
) WITHOUT ROWID;
