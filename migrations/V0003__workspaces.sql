-- Retell workspaces, their secrets, which agent belongs to which business, and what a person should look at.
SET LOCAL lock_timeout = '2s';
SET LOCAL statement_timeout = '60s';

CREATE TABLE workspaces (
    tenant          uuid NOT NULL REFERENCES organisations (id),
    id              uuid PRIMARY KEY,
    name            text NOT NULL CHECK (name <> '' AND length(name) <= 200),
    enabled         boolean NOT NULL DEFAULT true,
    -- Where calls of agents go that nobody has mapped yet: made with the workspace.
    unassigned      uuid NOT NULL,
    allowed_sources cidr[] NOT NULL DEFAULT '{}',
    rate_per_second integer CHECK (rate_per_second > 0),
    created_at      timestamptz NOT NULL DEFAULT now(),
    UNIQUE (tenant, id),
    FOREIGN KEY (tenant, unassigned) REFERENCES businesses (tenant, id)
);
ALTER TABLE workspaces ENABLE ROW LEVEL SECURITY;
ALTER TABLE workspaces FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON workspaces TO trunkline_app
    USING (tenant = (SELECT current_tenant())) WITH CHECK (tenant = (SELECT current_tenant()));
CREATE POLICY platform ON workspaces FOR SELECT TO trunkline_platform USING (current_user = 'trunkline_platform');
GRANT SELECT, INSERT, UPDATE ON workspaces TO trunkline_app;
GRANT SELECT ON workspaces TO trunkline_platform;
CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE ON workspaces
    FOR EACH STATEMENT EXECUTE FUNCTION configuration_changed();

-- Apart from `workspaces`, so that no screen and no careless query can read them: the application may write here, and reads
-- only through the two functions below. The intake token is kept as it is: it is an address that its owner must be able to
-- look up again, not a proof; the proof is the signature, made with a key of this table.
CREATE TABLE workspace_secrets (
    tenant         uuid NOT NULL,
    workspace      uuid PRIMARY KEY,
    intake_token   text NOT NULL UNIQUE CHECK (length(intake_token) BETWEEN 16 AND 128),
    signing_keys   text[] NOT NULL CHECK (cardinality(signing_keys) BETWEEN 1 AND 4),
    retell_api_key text,
    FOREIGN KEY (tenant, workspace) REFERENCES workspaces (tenant, id) ON DELETE CASCADE
);
ALTER TABLE workspace_secrets ENABLE ROW LEVEL SECURITY;
ALTER TABLE workspace_secrets FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON workspace_secrets TO trunkline_app
    USING (tenant = (SELECT current_tenant())) WITH CHECK (tenant = (SELECT current_tenant()));
CREATE POLICY platform ON workspace_secrets FOR SELECT TO trunkline_platform USING (current_user = 'trunkline_platform');
GRANT SELECT (tenant, workspace), INSERT, UPDATE (intake_token, signing_keys, retell_api_key) ON workspace_secrets TO trunkline_app;
GRANT SELECT ON workspace_secrets TO trunkline_platform;
CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE ON workspace_secrets
    FOR EACH STATEMENT EXECUTE FUNCTION configuration_changed();

CREATE TABLE workspace_agents (
    tenant     uuid NOT NULL REFERENCES organisations (id),
    agent_id   text NOT NULL CHECK (agent_id <> '' AND length(agent_id) <= 256),
    business   uuid NOT NULL,
    name       text NOT NULL DEFAULT '' CHECK (length(name) <= 200),
    mapped_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant, agent_id),
    FOREIGN KEY (tenant, business) REFERENCES businesses (tenant, id)
);
ALTER TABLE workspace_agents ENABLE ROW LEVEL SECURITY;
ALTER TABLE workspace_agents FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON workspace_agents TO trunkline_app
    USING (tenant = (SELECT current_tenant())) WITH CHECK (tenant = (SELECT current_tenant()));
CREATE POLICY platform ON workspace_agents FOR SELECT TO trunkline_platform USING (current_user = 'trunkline_platform');
GRANT SELECT, INSERT, UPDATE, DELETE ON workspace_agents TO trunkline_app;
GRANT SELECT ON workspace_agents TO trunkline_platform;
CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE ON workspace_agents
    FOR EACH STATEMENT EXECUTE FUNCTION configuration_changed();

-- Things a person should look at, one row for each thing however often it is seen.
CREATE TABLE notices (
    tenant        uuid NOT NULL,
    workspace     uuid NOT NULL,
    kind          text NOT NULL CHECK (kind <> '' AND length(kind) <= 64),
    subject       text NOT NULL CHECK (length(subject) <= 256),
    first_seen_ms bigint NOT NULL,
    last_seen_ms  bigint NOT NULL,
    seen          bigint NOT NULL DEFAULT 1,
    settled_at    timestamptz,
    PRIMARY KEY (tenant, workspace, kind, subject),
    FOREIGN KEY (tenant, workspace) REFERENCES workspaces (tenant, id) ON DELETE CASCADE
);
ALTER TABLE notices ENABLE ROW LEVEL SECURITY;
ALTER TABLE notices FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON notices TO trunkline_app
    USING (tenant = (SELECT current_tenant())) WITH CHECK (tenant = (SELECT current_tenant()));
GRANT SELECT, INSERT, UPDATE ON notices TO trunkline_app;

CREATE FUNCTION all_workspaces()
    RETURNS TABLE (tenant uuid, id uuid, name text, enabled boolean, unassigned uuid, allowed_sources text[],
                   rate_per_second integer, intake_token text, signing_keys text[], retell_api_key text)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp
AS $$
    SELECT w.tenant, w.id, w.name, w.enabled, w.unassigned, w.allowed_sources::text[], w.rate_per_second,
           s.intake_token, s.signing_keys, s.retell_api_key
    FROM workspaces w JOIN workspace_secrets s ON s.tenant = w.tenant AND s.workspace = w.id
$$;

-- The address to paste into Retell, for the tenant that owns the workspace and no other.
CREATE FUNCTION intake_token_of(wanted uuid) RETURNS text
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp
AS $$
    SELECT intake_token FROM workspace_secrets WHERE workspace = wanted AND tenant = current_tenant()
$$;

CREATE FUNCTION all_agents() RETURNS TABLE (tenant uuid, agent_id text, business uuid)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp
AS $$
    SELECT a.tenant, a.agent_id, a.business FROM workspace_agents a
$$;

REVOKE EXECUTE ON FUNCTION all_workspaces(), intake_token_of(uuid), all_agents() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION all_workspaces(), intake_token_of(uuid), all_agents() TO trunkline_app;
GRANT CREATE ON SCHEMA public TO trunkline_platform;
ALTER FUNCTION all_workspaces() OWNER TO trunkline_platform;
ALTER FUNCTION intake_token_of(uuid) OWNER TO trunkline_platform;
ALTER FUNCTION all_agents() OWNER TO trunkline_platform;
REVOKE CREATE ON SCHEMA public FROM trunkline_platform;
