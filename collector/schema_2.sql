-- SPDX-License-Identifier: Apache-2.0
-- From version 1 to 2: a verdict is stored while it runs, its record in the parts it comes in.

ALTER TABLE verdict ADD COLUMN service TEXT NOT NULL DEFAULT '';
ALTER TABLE verdict ADD COLUMN reason TEXT NOT NULL DEFAULT '';
ALTER TABLE verdict ADD COLUMN updated_ns INTEGER NOT NULL DEFAULT 0;
ALTER TABLE verdict ADD COLUMN record_bytes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE verdict ADD COLUMN audit INTEGER NOT NULL DEFAULT 0;   -- its entry there

-- What it can be computed again from (plumb verify --replay).
CREATE TABLE verdict_record (
	verdict INTEGER NOT NULL REFERENCES verdict (id),
	at INTEGER NOT NULL,                  -- bytes before it
	bytes BLOB NOT NULL,
	PRIMARY KEY (verdict, at)
);
INSERT INTO verdict_record (verdict, at, bytes) SELECT id, 0, inputs FROM verdict WHERE length(inputs) > 0;
UPDATE verdict SET record_bytes = length(inputs), updated_ns = at_ns;
ALTER TABLE verdict DROP COLUMN inputs;
CREATE INDEX verdict_service ON verdict (service, title);
CREATE INDEX verdict_running ON verdict (updated_ns) WHERE state = 'RUNNING';
