-- Access tokens for programs of people: keys that sign them, and the refresh tokens that new ones are got by.
SET LOCAL lock_timeout = '2s';
SET LOCAL statement_timeout = '60s';

-- A browser's session lives by its cookie, one of the API by refresh tokens; both are listed, and ended, alike.
ALTER TABLE sessions ADD COLUMN kind text NOT NULL DEFAULT 'browser' CHECK (kind IN ('browser', 'api'));
GRANT UPDATE (last_seen_ms) ON sessions TO trunkline_app;

-- Counts how often a person was given other rights: a token that names an earlier count is refused.
ALTER TABLE users ADD COLUMN rights integer NOT NULL DEFAULT 0;

-- Of the platform, not of a tenant: a token is signed alike for everybody. The application reaches them by the functions below only.
CREATE TABLE token_keys (
    id            uuid PRIMARY KEY,
    public_key    bytea NOT NULL CHECK (length(public_key) = 32),
    -- PKCS #8 in base64.
    private_key   text NOT NULL,
    created_ms    bigint NOT NULL,
    -- Published before it signs, so that whoever keeps a copy of the published keys has it in time.
    signs_from_ms bigint NOT NULL,
    -- Not accepted from then on; none: in force.
    ends_ms       bigint
);
GRANT SELECT, INSERT, UPDATE, DELETE ON token_keys TO trunkline_platform;
CREATE TRIGGER sealed_private_key BEFORE INSERT OR UPDATE OF private_key ON token_keys
    FOR EACH ROW WHEN (NOT is_sealed(ARRAY[NEW.private_key])) EXECUTE FUNCTION refuse_plain_secret();

-- One row for each refresh token there ever was of a living session: one that comes a second time is a copy in other hands, and that
-- must show however late it is. They go with their session.
CREATE TABLE refresh_tokens (
    tenant     uuid NOT NULL,
    token_hash bytea PRIMARY KEY CHECK (length(token_hash) = 32),
    session    uuid NOT NULL,
    created_ms bigint NOT NULL,
    used_ms    bigint,
    -- Gives the token's successor, together with the token itself, which is not kept; none once the successor was used.
    seed       bytea CHECK (length(seed) = 32),
    FOREIGN KEY (tenant, session) REFERENCES sessions (tenant, id) ON DELETE CASCADE
);
CREATE INDEX refresh_tokens_by_session ON refresh_tokens (tenant, session);
ALTER TABLE refresh_tokens ENABLE ROW LEVEL SECURITY;
ALTER TABLE refresh_tokens FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON refresh_tokens TO trunkline_app
    USING (tenant = (SELECT current_tenant())) WITH CHECK (tenant = (SELECT current_tenant()));
CREATE POLICY platform ON refresh_tokens FOR SELECT TO trunkline_platform USING (current_user = 'trunkline_platform');
GRANT SELECT, INSERT, UPDATE (used_ms, seed) ON refresh_tokens TO trunkline_app;
GRANT SELECT ON refresh_tokens TO trunkline_platform;

-- Whose refresh token it is: asked before a tenant is known.
CREATE FUNCTION refresh_token_tenant(wanted bytea) RETURNS uuid
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp
AS $$
    SELECT r.tenant FROM refresh_tokens r WHERE r.token_hash = wanted
$$;

-- Keys that are accepted, or will be, the newest first.
CREATE FUNCTION accepted_token_keys(now_ms bigint)
    RETURNS TABLE (id uuid, public_key bytea, private_key text, created_ms bigint, signs_from_ms bigint, ends_ms bigint)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp
AS $$
    SELECT k.id, k.public_key, k.private_key, k.created_ms, k.signs_from_ms, k.ends_ms FROM token_keys k
    WHERE k.ends_ms IS NULL OR k.ends_ms > now_ms ORDER BY k.created_ms DESC, k.id DESC
$$;

-- Adds a key unless there is one that was made after a moment: of many processes that find the newest one too old, one adds the next. The
-- others end at `others_end_ms`.
CREATE FUNCTION add_token_key(fresh uuid, public bytea, sealed text, now_ms bigint, unless_after_ms bigint, publish_ms bigint, overlap_ms bigint)
    RETURNS boolean
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    from_ms bigint := now_ms;
BEGIN
    LOCK TABLE token_keys IN SHARE ROW EXCLUSIVE MODE;
    IF EXISTS (SELECT 1 FROM token_keys WHERE created_ms > unless_after_ms AND (ends_ms IS NULL OR ends_ms > now_ms)) THEN
        RETURN false;
    END IF;
    -- The first one has nothing to wait for.
    IF EXISTS (SELECT 1 FROM token_keys WHERE ends_ms IS NULL OR ends_ms > now_ms) THEN
        from_ms := now_ms + publish_ms;
    END IF;
    DELETE FROM token_keys WHERE ends_ms <= now_ms;
    UPDATE token_keys SET ends_ms = least(ends_ms, from_ms + overlap_ms);
    INSERT INTO token_keys (id, public_key, private_key, created_ms, signs_from_ms) VALUES (fresh, public, sealed, now_ms, from_ms);
    RETURN true;
END
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
    SELECT s.tenant, 'webhook_secrets.secret', s.endpoint, array_remove(ARRAY[s.secret, s.previous], NULL) FROM webhook_secrets s
    UNION ALL
    SELECT f.tenant, 'second_factors.secret', f.user_id, ARRAY[f.secret] FROM second_factors f
    UNION ALL
    SELECT '00000000-0000-0000-0000-000000000000'::uuid, 'token_keys.private_key', k.id, ARRAY[k.private_key] FROM token_keys k
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
            UPDATE webhook_secrets SET secret = after[1], previous = after[2]
            WHERE endpoint = wanted_id AND tenant = current_tenant() AND secret = before[1] AND previous IS NOT DISTINCT FROM before[2];
        WHEN 'second_factors.secret' THEN
            UPDATE second_factors SET secret = after[1]
            WHERE user_id = wanted_id AND tenant = current_tenant() AND secret = before[1];
        WHEN 'token_keys.private_key' THEN
            UPDATE token_keys SET private_key = after[1] WHERE id = wanted_id AND private_key = before[1];
    END CASE;
    RETURN FOUND;
END
$$;

REVOKE EXECUTE ON FUNCTION refresh_token_tenant(bytea), accepted_token_keys(bigint),
    add_token_key(uuid, bytea, text, bigint, bigint, bigint, bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION refresh_token_tenant(bytea), accepted_token_keys(bigint),
    add_token_key(uuid, bytea, text, bigint, bigint, bigint, bigint) TO trunkline_app;
GRANT CREATE ON SCHEMA public TO trunkline_platform;
ALTER FUNCTION refresh_token_tenant(bytea) OWNER TO trunkline_platform;
ALTER FUNCTION accepted_token_keys(bigint) OWNER TO trunkline_platform;
ALTER FUNCTION add_token_key(uuid, bytea, text, bigint, bigint, bigint, bigint) OWNER TO trunkline_platform;
REVOKE CREATE ON SCHEMA public FROM trunkline_platform;
