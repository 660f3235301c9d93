-- Invitations and forgotten passwords: a token of each goes out by mail, and only its hash is here.
SET LOCAL lock_timeout = '2s';
SET LOCAL statement_timeout = '60s';

ALTER TABLE jobs DROP CONSTRAINT jobs_kind_check, ADD CONSTRAINT jobs_kind_check CHECK (kind IN ('webhook', 'mail'));

CREATE TABLE invitations (
    tenant      uuid NOT NULL REFERENCES organisations (id),
    id          uuid PRIMARY KEY,
    email       text NOT NULL CHECK (email = lower(email) AND position('@' IN email) > 1 AND length(email) <= 254),
    name        text NOT NULL CHECK (length(name) <= 200),
    role        text CHECK (role IN ('owner', 'admin', 'supervisor', 'analyst', 'viewer')),
    -- As user_grants: [{"business": ..., "role": ..., "agents": [...]}].
    grants      jsonb NOT NULL CHECK (jsonb_typeof(grants) = 'array'),
    -- Language of the mail.
    lang        text NOT NULL CHECK (length(lang) <= 16),
    invited_by  uuid,
    token_hash  bytea UNIQUE CHECK (length(token_hash) = 32),
    created_ms  bigint NOT NULL,
    expires_ms  bigint NOT NULL,
    accepted_ms bigint,
    revoked_ms  bigint,
    FOREIGN KEY (tenant, invited_by) REFERENCES users (tenant, id) ON DELETE SET NULL (invited_by)
);
CREATE UNIQUE INDEX invitations_open ON invitations (tenant, email) WHERE accepted_ms IS NULL AND revoked_ms IS NULL;
CREATE INDEX invitations_by_tenant ON invitations (tenant, id);
ALTER TABLE invitations ENABLE ROW LEVEL SECURITY;
ALTER TABLE invitations FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON invitations TO trunkline_app
    USING (tenant = (SELECT current_tenant())) WITH CHECK (tenant = (SELECT current_tenant()));
CREATE POLICY platform ON invitations FOR SELECT TO trunkline_platform USING (current_user = 'trunkline_platform');
GRANT SELECT, INSERT, UPDATE ON invitations TO trunkline_app;
GRANT SELECT ON invitations TO trunkline_platform;

CREATE TABLE password_resets (
    tenant     uuid NOT NULL,
    id         uuid PRIMARY KEY,
    user_id    uuid NOT NULL,
    lang       text NOT NULL CHECK (length(lang) <= 16),
    token_hash bytea UNIQUE CHECK (length(token_hash) = 32),
    created_ms bigint NOT NULL,
    expires_ms bigint NOT NULL,
    used_ms    bigint,
    FOREIGN KEY (tenant, user_id) REFERENCES users (tenant, id) ON DELETE CASCADE
);
CREATE INDEX password_resets_by_user ON password_resets (tenant, user_id, created_ms);
ALTER TABLE password_resets ENABLE ROW LEVEL SECURITY;
ALTER TABLE password_resets FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON password_resets TO trunkline_app
    USING (tenant = (SELECT current_tenant())) WITH CHECK (tenant = (SELECT current_tenant()));
CREATE POLICY platform ON password_resets FOR SELECT TO trunkline_platform USING (current_user = 'trunkline_platform');
GRANT SELECT, INSERT, UPDATE ON password_resets TO trunkline_app;
GRANT SELECT ON password_resets TO trunkline_platform;

-- The two questions asked before a tenant is known. Each answers for one exact token.
CREATE FUNCTION invitation_by_token(wanted bytea, now_ms bigint)
    RETURNS TABLE (tenant uuid, id uuid, email text, name text, organisation text)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp
AS $$
    SELECT i.tenant, i.id, i.email, i.name, o.name FROM invitations i JOIN organisations o ON o.id = i.tenant
    WHERE i.token_hash = wanted AND i.accepted_ms IS NULL AND i.revoked_ms IS NULL AND i.expires_ms > now_ms
$$;

CREATE FUNCTION password_reset_by_token(wanted bytea, now_ms bigint)
    RETURNS TABLE (tenant uuid, id uuid, user_id uuid, email text, name text, organisation text)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp
AS $$
    SELECT r.tenant, r.id, r.user_id, u.email, u.name, o.name
    FROM password_resets r JOIN users u ON u.tenant = r.tenant AND u.id = r.user_id JOIN organisations o ON o.id = r.tenant
    WHERE r.token_hash = wanted AND r.used_ms IS NULL AND r.expires_ms > now_ms AND NOT u.disabled
$$;

REVOKE EXECUTE ON FUNCTION invitation_by_token(bytea, bigint), password_reset_by_token(bytea, bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION invitation_by_token(bytea, bigint), password_reset_by_token(bytea, bigint) TO trunkline_app;
GRANT CREATE ON SCHEMA public TO trunkline_platform;
ALTER FUNCTION invitation_by_token(bytea, bigint) OWNER TO trunkline_platform;
ALTER FUNCTION password_reset_by_token(bytea, bigint) OWNER TO trunkline_platform;
REVOKE CREATE ON SCHEMA public FROM trunkline_platform;
