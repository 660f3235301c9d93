-- Jobs: what has to be done outside of this house, once and surely; and the endpoints that outbound webhooks go to.
SET LOCAL lock_timeout = '2s';
SET LOCAL statement_timeout = '60s';

CREATE TABLE webhook_endpoints (
    tenant           uuid NOT NULL REFERENCES organisations (id),
    id               uuid PRIMARY KEY,
    -- Of one business, or of all of the organisation.
    business         uuid,
    url              text NOT NULL CHECK (length(url) BETWEEN 8 AND 2000),
    events           text[] NOT NULL CHECK (cardinality(events) BETWEEN 1 AND 32),
    created_ms       bigint NOT NULL,
    -- Of the first failure since the last success.
    failing_since_ms bigint,
    disabled_ms      bigint,
    disabled_reason  text NOT NULL DEFAULT '' CHECK (length(disabled_reason) <= 500),
    UNIQUE (tenant, id),
    FOREIGN KEY (tenant, business) REFERENCES businesses (tenant, id)
);
ALTER TABLE webhook_endpoints ENABLE ROW LEVEL SECURITY;
ALTER TABLE webhook_endpoints FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON webhook_endpoints TO trunkline_app
    USING (tenant = (SELECT current_tenant())) WITH CHECK (tenant = (SELECT current_tenant()));
CREATE POLICY platform ON webhook_endpoints FOR SELECT TO trunkline_platform USING (current_user = 'trunkline_platform');
GRANT SELECT, INSERT, UPDATE, DELETE ON webhook_endpoints TO trunkline_app;
GRANT SELECT ON webhook_endpoints TO trunkline_platform;

-- Apart, as the secrets of workspaces are: no screen and no careless query can read them.
CREATE TABLE webhook_secrets (
    tenant   uuid NOT NULL,
    endpoint uuid PRIMARY KEY,
    secret   text NOT NULL CHECK (length(secret) BETWEEN 32 AND 128),
    FOREIGN KEY (tenant, endpoint) REFERENCES webhook_endpoints (tenant, id) ON DELETE CASCADE
);
ALTER TABLE webhook_secrets ENABLE ROW LEVEL SECURITY;
ALTER TABLE webhook_secrets FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON webhook_secrets TO trunkline_app
    USING (tenant = (SELECT current_tenant())) WITH CHECK (tenant = (SELECT current_tenant()));
CREATE POLICY platform ON webhook_secrets FOR SELECT TO trunkline_platform USING (current_user = 'trunkline_platform');
GRANT SELECT (tenant, endpoint), INSERT ON webhook_secrets TO trunkline_app;
GRANT SELECT ON webhook_secrets TO trunkline_platform;

-- A row is written in the transaction of the effect that causes it, so neither can be without the other. The id is what receivers
-- tell repeats by.
CREATE TABLE jobs (
    tenant     uuid NOT NULL,
    id         uuid PRIMARY KEY,
    kind       text NOT NULL CHECK (kind IN ('webhook')),
    -- What it is for: the endpoint.
    subject    uuid NOT NULL,
    topic      text NOT NULL CHECK (topic <> '' AND length(topic) <= 64),
    body       text NOT NULL,
    state      text NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'running', 'done', 'dead', 'cancelled')),
    tries      integer NOT NULL DEFAULT 0,
    due_ms     bigint NOT NULL,
    -- While it runs: who has it, and until when nobody else takes it.
    worker     uuid,
    lease_ms   bigint,
    created_ms bigint NOT NULL,
    ended_ms   bigint,
    error      text NOT NULL DEFAULT '' CHECK (length(error) <= 500)
) WITH (fillfactor = 70);
CREATE INDEX jobs_to_claim ON jobs (due_ms) WHERE state IN ('queued', 'running');
CREATE INDEX jobs_by_tenant ON jobs (tenant, created_ms DESC);
CREATE INDEX jobs_to_forget ON jobs (ended_ms) WHERE ended_ms IS NOT NULL;
ALTER TABLE jobs ENABLE ROW LEVEL SECURITY;
ALTER TABLE jobs FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON jobs TO trunkline_app
    USING (tenant = (SELECT current_tenant())) WITH CHECK (tenant = (SELECT current_tenant()));
CREATE POLICY platform ON jobs TO trunkline_platform
    USING (current_user = 'trunkline_platform') WITH CHECK (current_user = 'trunkline_platform');
GRANT SELECT, INSERT, UPDATE ON jobs TO trunkline_app;
GRANT SELECT, UPDATE, DELETE ON jobs TO trunkline_platform;

-- Takes jobs that are due, of every tenant: also those whose worker has not come back within its lease. Workers never wait for
-- each other. While it runs, `due_ms` is the end of the lease, so that one index finds both.
CREATE FUNCTION claim_jobs(by_worker uuid, now_ms bigint, until_ms bigint, most integer)
    RETURNS TABLE (tenant uuid, id uuid, kind text, subject uuid, topic text, body text, tries integer)
    LANGUAGE sql VOLATILE SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp
AS $$
    UPDATE jobs j SET state = 'running', tries = j.tries + 1, worker = by_worker, lease_ms = until_ms, due_ms = until_ms
    FROM (SELECT d.id FROM jobs d WHERE d.state IN ('queued', 'running') AND d.due_ms <= now_ms
          ORDER BY d.due_ms LIMIT most FOR UPDATE SKIP LOCKED) AS due
    WHERE j.id = due.id
    RETURNING j.tenant, j.id, j.kind, j.subject, j.topic, j.body, j.tries
$$;

-- Deletes what ended before a moment.
CREATE FUNCTION forget_jobs(before_ms bigint, most integer) RETURNS bigint
    LANGUAGE sql VOLATILE SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp
AS $$
    WITH gone AS (DELETE FROM jobs WHERE id IN (SELECT j.id FROM jobs j WHERE j.ended_ms < before_ms LIMIT most) RETURNING 1)
    SELECT count(*) FROM gone
$$;

-- How many wait, for the metrics.
CREATE FUNCTION count_open_jobs() RETURNS TABLE (kind text, open bigint)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp
AS $$
    SELECT j.kind, count(*) FROM jobs j WHERE j.state IN ('queued', 'running') GROUP BY j.kind
$$;

-- Where a delivery goes, for the tenant that owns the endpoint and no other.
CREATE FUNCTION webhook_target(wanted uuid) RETURNS TABLE (url text, secret text, disabled boolean)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp
AS $$
    SELECT e.url, s.secret, e.disabled_ms IS NOT NULL
    FROM webhook_endpoints e JOIN webhook_secrets s ON s.tenant = e.tenant AND s.endpoint = e.id
    WHERE e.id = wanted AND e.tenant = current_tenant()
$$;

REVOKE EXECUTE ON FUNCTION claim_jobs(uuid, bigint, bigint, integer), forget_jobs(bigint, integer), count_open_jobs(),
    webhook_target(uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION claim_jobs(uuid, bigint, bigint, integer), forget_jobs(bigint, integer), count_open_jobs(),
    webhook_target(uuid) TO trunkline_app;
GRANT CREATE ON SCHEMA public TO trunkline_platform;
ALTER FUNCTION claim_jobs(uuid, bigint, bigint, integer) OWNER TO trunkline_platform;
ALTER FUNCTION forget_jobs(bigint, integer) OWNER TO trunkline_platform;
ALTER FUNCTION count_open_jobs() OWNER TO trunkline_platform;
ALTER FUNCTION webhook_target(uuid) OWNER TO trunkline_platform;
REVOKE CREATE ON SCHEMA public FROM trunkline_platform;
