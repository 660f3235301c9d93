-- Sessions that can be told apart and ended one by one; the second step of signing in.
SET LOCAL lock_timeout = '2s';
SET LOCAL statement_timeout = '60s';

ALTER TABLE sessions
    ADD COLUMN id     uuid NOT NULL DEFAULT gen_random_uuid(),
    -- Address it was begun from, and what the browser calls itself.
    ADD COLUMN source text NOT NULL DEFAULT '' CHECK (length(source) <= 64),
    ADD COLUMN device text NOT NULL DEFAULT '' CHECK (length(device) <= 300);
CREATE UNIQUE INDEX sessions_by_id ON sessions (tenant, id);

-- Who has to have a second factor: nobody, owners and admins, everybody.
ALTER TABLE organisations ADD COLUMN second_factor text NOT NULL DEFAULT 'admins' CHECK (second_factor IN ('nobody', 'admins', 'everybody'));

CREATE TABLE second_factors (
    tenant       uuid NOT NULL,
    user_id      uuid NOT NULL,
    secret       text NOT NULL,
    -- False until a first code has shown that the app has the secret.
    confirmed    boolean NOT NULL DEFAULT false,
    -- Last time step whose code was taken; it and earlier ones are never taken again.
    last_step    bigint NOT NULL DEFAULT 0,
    -- Wrong codes since this moment.
    wrong        integer NOT NULL DEFAULT 0,
    wrong_since_ms bigint NOT NULL DEFAULT 0,
    created_ms   bigint NOT NULL,
    PRIMARY KEY (tenant, user_id),
    FOREIGN KEY (tenant, user_id) REFERENCES users (tenant, id) ON DELETE CASCADE
);
ALTER TABLE second_factors ENABLE ROW LEVEL SECURITY;
ALTER TABLE second_factors FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON second_factors TO trunkline_app
    USING (tenant = (SELECT current_tenant())) WITH CHECK (tenant = (SELECT current_tenant()));
CREATE POLICY platform ON second_factors FOR SELECT TO trunkline_platform USING (current_user = 'trunkline_platform');
CREATE POLICY platform_seals ON second_factors FOR UPDATE TO trunkline_platform
    USING (current_user = 'trunkline_platform' AND tenant = (SELECT current_tenant()))
    WITH CHECK (current_user = 'trunkline_platform' AND tenant = (SELECT current_tenant()));
GRANT SELECT, INSERT, UPDATE, DELETE ON second_factors TO trunkline_app;
GRANT SELECT, UPDATE (secret) ON second_factors TO trunkline_platform;
CREATE TRIGGER sealed_secret BEFORE INSERT OR UPDATE OF secret ON second_factors
    FOR EACH ROW WHEN (NOT is_sealed(ARRAY[NEW.secret])) EXECUTE FUNCTION refuse_plain_secret();

-- Each lets its owner in once when the app is lost.
CREATE TABLE recovery_codes (
    tenant    uuid NOT NULL,
    user_id   uuid NOT NULL,
    code_hash bytea NOT NULL CHECK (length(code_hash) = 32),
    PRIMARY KEY (tenant, user_id, code_hash),
    FOREIGN KEY (tenant, user_id) REFERENCES second_factors (tenant, user_id) ON DELETE CASCADE
);
ALTER TABLE recovery_codes ENABLE ROW LEVEL SECURITY;
ALTER TABLE recovery_codes FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON recovery_codes TO trunkline_app
    USING (tenant = (SELECT current_tenant())) WITH CHECK (tenant = (SELECT current_tenant()));
GRANT SELECT, INSERT, DELETE ON recovery_codes TO trunkline_app;

-- Somebody whose password was right and whose code is awaited. No session: its token opens nothing but the second step.
CREATE TABLE second_steps (
    tenant     uuid NOT NULL,
    token_hash bytea PRIMARY KEY CHECK (length(token_hash) = 32),
    user_id    uuid NOT NULL,
    expires_ms bigint NOT NULL,
    FOREIGN KEY (tenant, user_id) REFERENCES users (tenant, id) ON DELETE CASCADE
);
CREATE INDEX second_steps_by_user ON second_steps (tenant, user_id);
ALTER TABLE second_steps ENABLE ROW LEVEL SECURITY;
ALTER TABLE second_steps FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON second_steps TO trunkline_app
    USING (tenant = (SELECT current_tenant())) WITH CHECK (tenant = (SELECT current_tenant()));
CREATE POLICY platform ON second_steps TO trunkline_platform
    USING (current_user = 'trunkline_platform') WITH CHECK (current_user = 'trunkline_platform');
GRANT SELECT, INSERT, DELETE ON second_steps TO trunkline_app;
GRANT SELECT, DELETE ON second_steps TO trunkline_platform;

-- Whose second step a token is; asked before a tenant is known.
CREATE FUNCTION second_step(wanted bytea, now_ms bigint) RETURNS TABLE (tenant uuid, user_id uuid, name text)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp
AS $$
    SELECT s.tenant, s.user_id, u.name FROM second_steps s JOIN users u ON u.tenant = s.tenant AND u.id = s.user_id
    WHERE s.token_hash = wanted AND s.expires_ms > now_ms AND NOT u.disabled
$$;

-- Finds a living session with everything its person may do, whether a second factor is there and whether one is demanded, and notes that
-- it was seen (at most once a minute, so that reading pages does not write).
DROP FUNCTION session_access(bytea, bigint);
CREATE FUNCTION session_access(wanted bytea, now_ms bigint)
    RETURNS TABLE (tenant uuid, user_id uuid, email text, name text, role text, created_ms bigint, expires_ms bigint, grants jsonb,
                   has_factor boolean, needs_factor boolean)
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
                         FROM user_grants g WHERE g.tenant = s.tenant AND g.user_id = s.user_id), '[]'::jsonb),
               EXISTS (SELECT 1 FROM second_factors f WHERE f.tenant = s.tenant AND f.user_id = s.user_id AND f.confirmed),
               o.second_factor = 'everybody' OR (o.second_factor = 'admins' AND coalesce(u.role, '') IN ('owner', 'admin'))
        FROM sessions s JOIN users u ON u.tenant = s.tenant AND u.id = s.user_id JOIN organisations o ON o.id = s.tenant
        WHERE s.token_hash = wanted AND s.expires_ms > now_ms AND s.last_seen_ms + s.idle_ms > now_ms AND NOT u.disabled;
END
$$;

-- Also what waits for a second step.
CREATE OR REPLACE FUNCTION forget_dead_sessions(now_ms bigint) RETURNS bigint
    LANGUAGE sql VOLATILE SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp
AS $$
    WITH steps AS (DELETE FROM second_steps WHERE expires_ms <= now_ms),
         gone AS (DELETE FROM sessions WHERE expires_ms <= now_ms OR last_seen_ms + idle_ms <= now_ms RETURNING 1)
    SELECT count(*) FROM gone
$$;

CREATE OR REPLACE FUNCTION stored_secrets() RETURNS TABLE (tenant uuid, place text, id uuid, stored text[])
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp
AS $$
    SELECT s.tenant, 'workspace_secrets.signing_keys', s.workspace, s.signing_keys FROM workspace_secrets s
    UNION ALL
    SELECT s.tenant, 'workspace_secrets.retell_api_key', s.workspace, ARRAY[s.retell_api_key] FROM workspace_secrets s
    WHERE s.retell_api_key IS NOT NULL
    UNION ALL
    SELECT s.tenant, 'webhook_secrets.secret', s.endpoint, ARRAY[s.secret] FROM webhook_secrets s
    UNION ALL
    SELECT f.tenant, 'second_factors.secret', f.user_id, ARRAY[f.secret] FROM second_factors f
$$;

CREATE OR REPLACE FUNCTION replace_stored_secret(wanted text, wanted_id uuid, before text[], after text[]) RETURNS boolean
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    CASE wanted
        WHEN 'workspace_secrets.signing_keys' THEN
            UPDATE workspace_secrets SET signing_keys = after
            WHERE workspace = wanted_id AND tenant = current_tenant() AND signing_keys = before;
        WHEN 'workspace_secrets.retell_api_key' THEN
            UPDATE workspace_secrets SET retell_api_key = after[1]
            WHERE workspace = wanted_id AND tenant = current_tenant() AND retell_api_key = before[1];
        WHEN 'webhook_secrets.secret' THEN
            UPDATE webhook_secrets SET secret = after[1]
            WHERE endpoint = wanted_id AND tenant = current_tenant() AND secret = before[1];
        WHEN 'second_factors.secret' THEN
            UPDATE second_factors SET secret = after[1]
            WHERE user_id = wanted_id AND tenant = current_tenant() AND secret = before[1];
    END CASE;
    RETURN FOUND;
END
$$;

REVOKE EXECUTE ON FUNCTION second_step(bytea, bigint), session_access(bytea, bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION second_step(bytea, bigint), session_access(bytea, bigint) TO trunkline_app;
GRANT CREATE ON SCHEMA public TO trunkline_platform;
ALTER FUNCTION second_step(bytea, bigint) OWNER TO trunkline_platform;
ALTER FUNCTION session_access(bytea, bigint) OWNER TO trunkline_platform;
REVOKE CREATE ON SCHEMA public FROM trunkline_platform;
