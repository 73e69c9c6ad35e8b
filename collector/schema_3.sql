-- SPDX-License-Identifier: Apache-2.0
-- From version 2 to 3: an agent's identity belongs to the certificate that it first came with.

ALTER TABLE agent ADD COLUMN subject TEXT NOT NULL DEFAULT '';   -- of that certificate; '': it has shown none yet
