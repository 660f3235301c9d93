-- Who may come in: users, their sessions, and API keys.
SET LOCAL lock_timeout = '2s';
SET LOCAL statement_timeout = '60s';

CREATE TABLE users (
    tenant        uuid NOT NULL REFERENCES organisations (id),
    id            uuid PRIMARY KEY,
    email         text NOT NULL CHECK (email = lower(email) AND position('@' IN email) > 1 AND length(email) <= 254),
    name          text NOT NULL CHECK (length(name) <= 200),
    role          text NOT NULL CHECK (role IN ('owner', 'admin', 'supervisor', 'analyst', 'viewer')),
    password_hash text NOT NULL CHECK (password_hash LIKE '$argon2id$%'),
    disabled      boolean NOT NULL DEFAULT false,
    created_at    timestamptz NOT NULL DEFAULT now(),
    UNIQUE (tenant, id),
    -- One person, one organisation, until the sign-in can ask which one is meant.
    UNIQUE (email)
);
ALTER TABLE users ENABLE ROW LEVEL SECURITY;
ALTER TABLE users FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON users TO trunkline_app
    USING (tenant = (SELECT current_tenant())) WITH CHECK (tenant = (SELECT current_tenant()));
CREATE POLICY platform ON users FOR SELECT TO trunkline_platform USING (current_user = 'trunkline_platform');
GRANT SELECT, INSERT, UPDATE ON users TO trunkline_app;
GRANT SELECT ON users TO trunkline_platform;

CREATE TABLE sessions (
    tenant       uuid NOT NULL,
    token_hash   bytea PRIMARY KEY CHECK (length(token_hash) = 32),
    user_id      uuid NOT NULL,
    created_ms   bigint NOT NULL,
    last_seen_ms bigint NOT NULL,
    expires_ms   bigint NOT NULL,
    idle_ms      bigint NOT NULL CHECK (idle_ms > 0),
    FOREIGN KEY (tenant, user_id) REFERENCES users (tenant, id) ON DELETE CASCADE
);
CREATE INDEX sessions_by_user ON sessions (tenant, user_id);
CREATE INDEX sessions_by_expiry ON sessions (expires_ms);
ALTER TABLE sessions ENABLE ROW LEVEL SECURITY;
ALTER TABLE sessions FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON sessions TO trunkline_app
    USING (tenant = (SELECT current_tenant())) WITH CHECK (tenant = (SELECT current_tenant()));
CREATE POLICY platform ON sessions TO trunkline_platform
    USING (current_user = 'trunkline_platform') WITH CHECK (current_user = 'trunkline_platform');
GRANT SELECT, INSERT, DELETE ON sessions TO trunkline_app;
GRANT SELECT, UPDATE, DELETE ON sessions TO trunkline_platform;

CREATE TABLE api_keys (
    tenant      uuid NOT NULL,
    id          uuid PRIMARY KEY,
    name        text NOT NULL CHECK (name <> '' AND length(name) <= 200),
    key_hash    bytea NOT NULL UNIQUE CHECK (length(key_hash) = 32),
    last_four   text NOT NULL CHECK (length(last_four) = 4),
    scopes      text[] NOT NULL,
    created_by  uuid,
    created_at  timestamptz NOT NULL DEFAULT now(),
    revoked_at  timestamptz,
    FOREIGN KEY (tenant) REFERENCES organisations (id),
    FOREIGN KEY (tenant, created_by) REFERENCES users (tenant, id)
);
CREATE INDEX api_keys_by_tenant ON api_keys (tenant);
ALTER TABLE api_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE api_keys FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON api_keys TO trunkline_app
    USING (tenant = (SELECT current_tenant())) WITH CHECK (tenant = (SELECT current_tenant()));
CREATE POLICY platform ON api_keys FOR SELECT TO trunkline_platform USING (current_user = 'trunkline_platform');
GRANT SELECT, INSERT, UPDATE ON api_keys TO trunkline_app;
GRANT SELECT ON api_keys TO trunkline_platform;

-- The three questions asked before a tenant is known. Each answers for one exact credential, never a list.
CREATE FUNCTION user_by_email(wanted text)
    RETURNS TABLE (tenant uuid, id uuid, email text, name text, role text, password_hash text, disabled boolean)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp
AS $$
    SELECT u.tenant, u.id, u.email, u.name, u.role, u.password_hash, u.disabled FROM users u WHERE u.email = lower(wanted)
$$;

-- Finds a living session and notes that it was seen (at most once a minute, so that reading pages does not write).
CREATE FUNCTION session_by_token(wanted bytea, now_ms bigint)
    RETURNS TABLE (tenant uuid, user_id uuid, email text, name text, role text, created_ms bigint, expires_ms bigint)
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    UPDATE sessions s SET last_seen_ms = now_ms
        WHERE s.token_hash = wanted AND s.expires_ms > now_ms
          AND s.last_seen_ms + s.idle_ms > now_ms AND s.last_seen_ms + 60000 <= now_ms;
    RETURN QUERY
        SELECT s.tenant, s.user_id, u.email, u.name, u.role, s.created_ms, s.expires_ms
        FROM sessions s JOIN users u ON u.tenant = s.tenant AND u.id = s.user_id
        WHERE s.token_hash = wanted AND s.expires_ms > now_ms AND s.last_seen_ms + s.idle_ms > now_ms AND NOT u.disabled;
END
$$;

CREATE FUNCTION end_session(wanted bytea) RETURNS bigint
    LANGUAGE sql VOLATILE SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp
AS $$
    WITH gone AS (DELETE FROM sessions WHERE token_hash = wanted RETURNING 1) SELECT count(*) FROM gone
$$;

CREATE FUNCTION forget_dead_sessions(now_ms bigint) RETURNS bigint
    LANGUAGE sql VOLATILE SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp
AS $$
    WITH gone AS (DELETE FROM sessions WHERE expires_ms <= now_ms OR last_seen_ms + idle_ms <= now_ms RETURNING 1)
    SELECT count(*) FROM gone
$$;

CREATE FUNCTION api_key_by_hash(wanted bytea) RETURNS TABLE (tenant uuid, id uuid, name text, scopes text[])
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp
AS $$
    SELECT k.tenant, k.id, k.name, k.scopes FROM api_keys k WHERE k.key_hash = wanted AND k.revoked_at IS NULL
$$;

REVOKE EXECUTE ON FUNCTION user_by_email(text), session_by_token(bytea, bigint), end_session(bytea),
    forget_dead_sessions(bigint), api_key_by_hash(bytea) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION user_by_email(text), session_by_token(bytea, bigint), end_session(bytea),
    forget_dead_sessions(bigint), api_key_by_hash(bytea) TO trunkline_app;
GRANT CREATE ON SCHEMA public TO trunkline_platform;
ALTER FUNCTION user_by_email(text) OWNER TO trunkline_platform;
ALTER FUNCTION session_by_token(bytea, bigint) OWNER TO trunkline_platform;
ALTER FUNCTION end_session(bytea) OWNER TO trunkline_platform;
ALTER FUNCTION forget_dead_sessions(bigint) OWNER TO trunkline_platform;
ALTER FUNCTION api_key_by_hash(bytea) OWNER TO trunkline_platform;
REVOKE CREATE ON SCHEMA public FROM trunkline_platform;
