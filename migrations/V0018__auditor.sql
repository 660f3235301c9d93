-- The auditor: how far each partition of the log has been compared with facts and ledger, and what was found. Platform tables, as the
-- log's are: an offset belongs to no tenant. What a finding says of a call or business is given to its owner only (audit_findings_of.sql asks so).
SET LOCAL lock_timeout = '2s';
SET LOCAL statement_timeout = '60s';

CREATE TABLE audit_positions (
    log_name     text NOT NULL CHECK (log_name <> '' AND length(log_name) <= 300),
    partition    integer NOT NULL CHECK (partition >= 0),
    -- Everything below was compared once.
    next_offset  bigint NOT NULL CHECK (next_offset >= 0),
    -- The slow second look goes on here; it begins anew when it meets next_offset.
    again_offset bigint NOT NULL CHECK (again_offset >= 0),
    -- What the log took before this moment was compared.
    to_ms        bigint,
    -- When the last pass over it ended well.
    passed_ms    bigint NOT NULL,
    PRIMARY KEY (log_name, partition)
) WITH (fillfactor = 50);
GRANT SELECT, INSERT, UPDATE ON audit_positions TO trunkline_app;

-- One row for each range, call or day that differed, written before anything is repaired, so that nothing is changed silently.
CREATE TABLE audit_findings (
    -- Of time: later findings have greater ids.
    id           uuid PRIMARY KEY,
    log_name     text NOT NULL CHECK (log_name <> '' AND length(log_name) <= 300),
    partition    integer NOT NULL CHECK (partition >= 0),
    kind         text NOT NULL CHECK (kind IN ('log_gap', 'facts_missing', 'facts_differ', 'facts_call', 'ledger_call', 'ledger_day')),
    -- The offsets that are wrong, or that the call or day was found by.
    first_offset bigint NOT NULL,
    last_offset  bigint NOT NULL CHECK (last_offset >= first_offset),
    -- Which call or day, and whose; empty for a range.
    subject      text NOT NULL DEFAULT '' CHECK (length(subject) <= 400),
    owner        uuid,
    -- What the fold of the log gives, and what was there.
    expected     text NOT NULL CHECK (length(expected) <= 500),
    found        text NOT NULL CHECK (length(found) <= 500),
    found_ms     bigint NOT NULL,
    -- Times that a repair was begun; part of the repair's name, so that each is written once.
    tries        integer NOT NULL DEFAULT 1,
    repaired_ms  bigint,
    -- What was written, or why it is not repaired.
    done         text NOT NULL DEFAULT '' CHECK (length(done) <= 500)
) WITH (fillfactor = 70);
CREATE UNIQUE INDEX audit_findings_once ON audit_findings (log_name, partition, kind, subject, first_offset);
CREATE INDEX audit_findings_open ON audit_findings (log_name) WHERE repaired_ms IS NULL;
CREATE INDEX audit_findings_repaired ON audit_findings (repaired_ms) WHERE repaired_ms IS NOT NULL;
GRANT SELECT, INSERT, UPDATE, DELETE ON audit_findings TO trunkline_app;

-- To add up one day again.
CREATE INDEX usage_calls_by_day ON usage_calls (tenant, business, day, partition);
