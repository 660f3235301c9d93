-- The effects group: how far it is, what it keeps of each call, and what each business has used.
SET LOCAL lock_timeout = '2s';
SET LOCAL statement_timeout = '60s';

-- How far the group is in each partition of a log. The epoch grows with every member that takes the partition; who writes under an
-- older one changes nothing. A platform table, as the log's own are: offsets belong to no tenant.
CREATE TABLE effects_offsets (
    log_name     text NOT NULL CHECK (log_name <> '' AND length(log_name) <= 300),
    partition    integer NOT NULL CHECK (partition >= 0),
    epoch        bigint NOT NULL DEFAULT 0,
    next_offset  bigint CHECK (next_offset >= 0),
    committed_ms bigint,
    PRIMARY KEY (log_name, partition)
) WITH (fillfactor = 50);
GRANT SELECT, INSERT, UPDATE ON effects_offsets TO trunkline_app;

-- One row a call or chat: the evidence it is folded from (stripped of numbers and words), what it has been announced as, and what it
-- adds now and where. No foreign keys: a call of a business or workspace that the configuration does not know (any more) is
-- accounted for as well, and one such row must never stop the group.
CREATE TABLE usage_calls (
    tenant                  uuid NOT NULL,
    kind                    text NOT NULL CHECK (kind IN ('call', 'chat')),
    call_id                 text NOT NULL CHECK (length(call_id) BETWEEN 1 AND 256),
    partition               integer NOT NULL,
    evidence                bytea NOT NULL,
    told                    smallint NOT NULL DEFAULT 0,
    workspace               uuid NOT NULL,
    owner_agent             text NOT NULL DEFAULT '' CHECK (octet_length(owner_agent) <= 1024),
    opened_ms               bigint NOT NULL,
    business                uuid NOT NULL,
    zone                    text NOT NULL,
    day                     text NOT NULL CHECK (length(day) = 10),
    calls                   bigint NOT NULL,
    connected               bigint NOT NULL,
    timed                   bigint NOT NULL,
    talk_ms                 bigint NOT NULL,
    chats                   bigint NOT NULL,
    priced                  bigint NOT NULL,
    cost_microcents         bigint NOT NULL,
    transfer_leg_microcents bigint NOT NULL,
    PRIMARY KEY (tenant, kind, call_id)
) WITH (fillfactor = 70);
-- To find what stands at a business or a day that the configuration no longer names for it.
CREATE INDEX usage_calls_by_owner ON usage_calls (tenant, partition, workspace, owner_agent, business, zone);
ALTER TABLE usage_calls ENABLE ROW LEVEL SECURITY;
ALTER TABLE usage_calls FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON usage_calls TO trunkline_app
    USING (tenant = (SELECT current_tenant())) WITH CHECK (tenant = (SELECT current_tenant()));
GRANT SELECT, INSERT, UPDATE ON usage_calls TO trunkline_app;

-- Sums of the calls of a business and day. Kept by partition of the log, so that two members never wait for each other's rows.
CREATE TABLE usage_days (
    tenant                  uuid NOT NULL,
    business                uuid NOT NULL,
    day                     text NOT NULL CHECK (length(day) = 10),
    partition               integer NOT NULL,
    calls                   bigint NOT NULL,
    connected               bigint NOT NULL,
    timed                   bigint NOT NULL,
    talk_ms                 bigint NOT NULL,
    chats                   bigint NOT NULL,
    priced                  bigint NOT NULL,
    cost_microcents         numeric(40, 0) NOT NULL,
    transfer_leg_microcents numeric(40, 0) NOT NULL,
    PRIMARY KEY (tenant, business, day, partition)
) WITH (fillfactor = 50);
ALTER TABLE usage_days ENABLE ROW LEVEL SECURITY;
ALTER TABLE usage_days FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON usage_days TO trunkline_app
    USING (tenant = (SELECT current_tenant())) WITH CHECK (tenant = (SELECT current_tenant()));
GRANT SELECT, INSERT, UPDATE ON usage_days TO trunkline_app;
