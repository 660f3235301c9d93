-- Roles in single businesses, keys bound to businesses and to a time, and the record of who did what.
SET LOCAL lock_timeout = '2s';
SET LOCAL statement_timeout = '60s';

-- No role: nothing everywhere, only what the grants say.
ALTER TABLE users ALTER COLUMN role DROP NOT NULL;

CREATE TABLE user_grants (
    tenant   uuid NOT NULL,
    user_id  uuid NOT NULL,
    business uuid NOT NULL,
    role     text NOT NULL CHECK (role IN ('owner', 'admin', 'supervisor', 'analyst', 'viewer')),
    -- Retell's ids; empty: every agent of the business.
    agents   text[] NOT NULL DEFAULT '{}' CHECK (cardinality(agents) <= 200),
    PRIMARY KEY (tenant, user_id, business),
    FOREIGN KEY (tenant, user_id) REFERENCES users (tenant, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant, business) REFERENCES businesses (tenant, id) ON DELETE CASCADE
);
ALTER TABLE user_grants ENABLE ROW LEVEL SECURITY;
ALTER TABLE user_grants FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON user_grants TO trunkline_app
    USING (tenant = (SELECT current_tenant())) WITH CHECK (tenant = (SELECT current_tenant()));
CREATE POLICY platform ON user_grants FOR SELECT TO trunkline_platform USING (current_user = 'trunkline_platform');
GRANT SELECT, INSERT, UPDATE, DELETE ON user_grants TO trunkline_app;
GRANT SELECT ON user_grants TO trunkline_platform;

ALTER TABLE api_keys
    -- Empty: everywhere in the organisation.
    ADD COLUMN businesses   uuid[] NOT NULL DEFAULT '{}' CHECK (cardinality(businesses) <= 200),
    ADD COLUMN expires_ms   bigint,
    ADD COLUMN last_used_ms bigint;
-- Rows of every tenant, so for these statements the owner is not bound (the lock that ALTER TABLE took keeps all others out).
ALTER TABLE api_keys NO FORCE ROW LEVEL SECURITY;
-- One word for everything that can be changed became one word for each.
UPDATE api_keys SET scopes = array_remove(scopes, 'config:write')
    || ARRAY['businesses:write', 'workspaces:write', 'webhooks:write', 'people:write', 'keys:write']
    WHERE 'config:write' = ANY (scopes);
-- Who could read calls saw numbers and usage with them.
UPDATE api_keys SET scopes = scopes || ARRAY['numbers:read', 'usage:read'] WHERE 'calls:read' = ANY (scopes);
UPDATE api_keys SET scopes = scopes || ARRAY['operate:write'] WHERE 'operate:read' = ANY (scopes);
ALTER TABLE api_keys FORCE ROW LEVEL SECURITY;
GRANT UPDATE (last_used_ms) ON api_keys TO trunkline_platform;
CREATE POLICY platform_use ON api_keys FOR UPDATE TO trunkline_platform
    USING (current_user = 'trunkline_platform') WITH CHECK (current_user = 'trunkline_platform');

-- Finds a living session with everything its person may do, and notes that it was seen (at most once a minute, so that reading pages
-- does not write).
CREATE FUNCTION session_access(wanted bytea, now_ms bigint)
    RETURNS TABLE (tenant uuid, user_id uuid, email text, name text, role text, created_ms bigint, expires_ms bigint, grants jsonb)
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    UPDATE sessions s SET last_seen_ms = now_ms
        WHERE s.token_hash = wanted AND s.expires_ms > now_ms
          AND s.last_seen_ms + s.idle_ms > now_ms AND s.last_seen_ms + 60000 <= now_ms;
    RETURN QUERY
        SELECT s.tenant, s.user_id, u.email, u.name, u.role, s.created_ms, s.expires_ms,
               coalesce((SELECT jsonb_agg(jsonb_build_object('business', g.business, 'role', g.role, 'agents', g.agents) ORDER BY g.business)
                         FROM user_grants g WHERE g.tenant = s.tenant AND g.user_id = s.user_id), '[]'::jsonb)
        FROM sessions s JOIN users u ON u.tenant = s.tenant AND u.id = s.user_id
        WHERE s.token_hash = wanted AND s.expires_ms > now_ms AND s.last_seen_ms + s.idle_ms > now_ms AND NOT u.disabled;
END
$$;

-- Finds a key that is accepted, and notes that it was used (at most once a minute).
CREATE FUNCTION api_key_access(wanted bytea, now_ms bigint)
    RETURNS TABLE (tenant uuid, id uuid, name text, scopes text[], businesses uuid[])
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    UPDATE api_keys k SET last_used_ms = now_ms
        WHERE k.key_hash = wanted AND k.revoked_at IS NULL AND coalesce(k.last_used_ms, 0) + 60000 <= now_ms;
    RETURN QUERY
        SELECT k.tenant, k.id, k.name, k.scopes, k.businesses FROM api_keys k
        WHERE k.key_hash = wanted AND k.revoked_at IS NULL AND (k.expires_ms IS NULL OR k.expires_ms > now_ms);
END
$$;

-- Who did what: written once, never changed. The hash of each entry covers the one before (engine/core/src/audit.rs).
CREATE TABLE audit_entries (
    tenant     uuid NOT NULL REFERENCES organisations (id),
    number     bigint NOT NULL CHECK (number > 0),
    at_ms      bigint NOT NULL,
    actor      text NOT NULL,
    actor_id   uuid,
    actor_name text NOT NULL,
    source     text NOT NULL,
    request_id text NOT NULL,
    action     text NOT NULL CHECK (action <> '' AND length(action) <= 64),
    object     text NOT NULL,
    object_id  text NOT NULL,
    before     text NOT NULL,
    after      text NOT NULL,
    hash       bytea NOT NULL CHECK (length(hash) = 32),
    PRIMARY KEY (tenant, number)
);
CREATE INDEX audit_entries_by_object ON audit_entries (tenant, object, object_id, number);
CREATE INDEX audit_entries_by_actor ON audit_entries (tenant, actor_id, number);
ALTER TABLE audit_entries ENABLE ROW LEVEL SECURITY;
ALTER TABLE audit_entries FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON audit_entries TO trunkline_app
    USING (tenant = (SELECT current_tenant())) WITH CHECK (tenant = (SELECT current_tenant()));
GRANT SELECT, INSERT ON audit_entries TO trunkline_app;

-- Where each chain ends: what is written next goes on from here, one at a time, and a removed end shows.
CREATE TABLE audit_heads (
    tenant  uuid PRIMARY KEY REFERENCES organisations (id),
    written bigint NOT NULL CHECK (written >= 0),
    hash    bytea NOT NULL CHECK (length(hash) = 32)
);
ALTER TABLE audit_heads ENABLE ROW LEVEL SECURITY;
ALTER TABLE audit_heads FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON audit_heads TO trunkline_app
    USING (tenant = (SELECT current_tenant())) WITH CHECK (tenant = (SELECT current_tenant()));
GRANT SELECT, INSERT, UPDATE ON audit_heads TO trunkline_app;

-- Also for the owner, who has every right otherwise: taking this away is a deed of its own, and the chain shows what it was for.
CREATE FUNCTION audit_is_append_only() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RAISE EXCEPTION 'audit entries are never changed or removed' USING ERRCODE = 'insufficient_privilege';
END
$$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON audit_entries
    FOR EACH ROW EXECUTE FUNCTION audit_is_append_only();
CREATE TRIGGER append_only_whole BEFORE TRUNCATE ON audit_entries
    FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only();

REVOKE EXECUTE ON FUNCTION session_access(bytea, bigint), api_key_access(bytea, bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION session_access(bytea, bigint), api_key_access(bytea, bigint) TO trunkline_app;
GRANT CREATE ON SCHEMA public TO trunkline_platform;
ALTER FUNCTION session_access(bytea, bigint) OWNER TO trunkline_platform;
ALTER FUNCTION api_key_access(bytea, bigint) OWNER TO trunkline_platform;
REVOKE CREATE ON SCHEMA public FROM trunkline_platform;
