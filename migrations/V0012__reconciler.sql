-- The reconciler: how far each workspace has been compared with Retell's own list of calls, and what was found.
SET LOCAL lock_timeout = '2s';
SET LOCAL statement_timeout = '60s';

CREATE TABLE reconciled (
    tenant     uuid NOT NULL,
    workspace  uuid NOT NULL,
    -- Every call that ended before this was compared.
    to_ms      bigint,
    -- When the last pass ended well, when the last one looked far back, and when webhook settings were last read.
    passed_ms  bigint,
    deep_ms    bigint,
    audited_ms bigint,
    -- When the next pass is due, here or in another process.
    next_ms    bigint NOT NULL DEFAULT 0,
    -- Passes that failed since the last one that did not, and why.
    failures   integer NOT NULL DEFAULT 0,
    waits_for  text NOT NULL DEFAULT '' CHECK (length(waits_for) <= 500),
    PRIMARY KEY (tenant, workspace),
    FOREIGN KEY (tenant, workspace) REFERENCES workspaces (tenant, id) ON DELETE CASCADE
) WITH (fillfactor = 50);
ALTER TABLE reconciled ENABLE ROW LEVEL SECURITY;
ALTER TABLE reconciled FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON reconciled TO trunkline_app
    USING (tenant = (SELECT current_tenant())) WITH CHECK (tenant = (SELECT current_tenant()));
CREATE POLICY platform ON reconciled FOR SELECT TO trunkline_platform USING (current_user = 'trunkline_platform');
GRANT SELECT, INSERT, UPDATE ON reconciled TO trunkline_app;
GRANT SELECT ON reconciled TO trunkline_platform;

-- One row for each call and what was wrong with it, written before anything is done about it, so that nothing is changed silently.
CREATE TABLE reconciler_findings (
    tenant    uuid NOT NULL,
    -- Of time: later findings have greater ids.
    id        uuid PRIMARY KEY,
    workspace uuid NOT NULL,
    call_id   text NOT NULL CHECK (length(call_id) BETWEEN 1 AND 256),
    kind      text NOT NULL CHECK (kind IN ('unheard', 'end_missed', 'analysis_missed', 'cost_differs', 'still_running')),
    agent_id  text NOT NULL DEFAULT '' CHECK (length(agent_id) <= 256),
    -- When the call ended, by Retell; missing while it runs.
    ended_ms  bigint,
    found_ms  bigint NOT NULL,
    -- Times that events were filled in.
    tries     integer NOT NULL DEFAULT 0,
    -- Events that were filled in.
    filled    text[] NOT NULL DEFAULT '{}',
    healed_ms bigint,
    -- Why it is not healed.
    problem   text NOT NULL DEFAULT '' CHECK (length(problem) <= 500),
    UNIQUE (tenant, workspace, call_id, kind),
    FOREIGN KEY (tenant, workspace) REFERENCES workspaces (tenant, id) ON DELETE CASCADE
) WITH (fillfactor = 70);
CREATE INDEX reconciler_findings_newest ON reconciler_findings (tenant, id DESC);
CREATE INDEX reconciler_findings_open ON reconciler_findings (tenant, workspace) WHERE healed_ms IS NULL;
CREATE INDEX reconciler_findings_healed ON reconciler_findings (healed_ms) WHERE healed_ms IS NOT NULL;
ALTER TABLE reconciler_findings ENABLE ROW LEVEL SECURITY;
ALTER TABLE reconciler_findings FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON reconciler_findings TO trunkline_app
    USING (tenant = (SELECT current_tenant())) WITH CHECK (tenant = (SELECT current_tenant()));
CREATE POLICY platform ON reconciler_findings FOR SELECT TO trunkline_platform USING (current_user = 'trunkline_platform');
GRANT SELECT, INSERT, UPDATE, DELETE ON reconciler_findings TO trunkline_app;
GRANT SELECT ON reconciler_findings TO trunkline_platform;

-- What boards say of the reconciler, of every tenant that has a workspace with a key: up to where all of its workspaces are compared
-- (nothing while one of them never was), what was healed since a moment, and what is not.
CREATE FUNCTION reconciler_summary(since_ms bigint)
    RETURNS TABLE (tenant uuid, to_ms bigint, healed bigint, open bigint, waiting bigint)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp
AS $$
    SELECT w.tenant,
           CASE WHEN bool_and(r.to_ms IS NOT NULL) THEN min(r.to_ms) END,
           coalesce(sum((SELECT count(*) FROM reconciler_findings f
                         WHERE f.tenant = w.tenant AND f.workspace = w.id AND f.healed_ms >= since_ms)), 0)::bigint,
           coalesce(sum((SELECT count(*) FROM reconciler_findings f
                         WHERE f.tenant = w.tenant AND f.workspace = w.id AND f.healed_ms IS NULL)), 0)::bigint,
           count(*) FILTER (WHERE r.waits_for <> '')
    FROM workspaces w
    JOIN workspace_secrets s ON s.tenant = w.tenant AND s.workspace = w.id AND s.retell_api_key IS NOT NULL
    LEFT JOIN reconciled r ON r.tenant = w.tenant AND r.workspace = w.id
    WHERE w.enabled
    GROUP BY w.tenant
$$;

REVOKE EXECUTE ON FUNCTION reconciler_summary(bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION reconciler_summary(bigint) TO trunkline_app;
GRANT CREATE ON SCHEMA public TO trunkline_platform;
ALTER FUNCTION reconciler_summary(bigint) OWNER TO trunkline_platform;
REVOKE CREATE ON SCHEMA public FROM trunkline_platform;
