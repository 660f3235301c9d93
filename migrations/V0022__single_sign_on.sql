-- Single sign-on: the provider of an organisation (OpenID Connect), the mail domains that lead to it, and who its people are there.
SET LOCAL lock_timeout = '2s';
SET LOCAL statement_timeout = '60s';

CREATE TABLE single_sign_on (
    tenant        uuid PRIMARY KEY REFERENCES organisations (id),
    issuer        text NOT NULL CHECK (length(issuer) BETWEEN 1 AND 500),
    client_id     text NOT NULL CHECK (length(client_id) BETWEEN 1 AND 255),
    client_secret text NOT NULL,
    -- Passwords are for owners only.
    required      boolean NOT NULL DEFAULT false,
    -- Of somebody who comes for the first time and was not invited; none: they do not come in.
    first_role    text CHECK (first_role IN ('admin', 'supervisor', 'analyst', 'viewer')),
    changed_ms    bigint NOT NULL
);
ALTER TABLE single_sign_on ENABLE ROW LEVEL SECURITY;
ALTER TABLE single_sign_on FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON single_sign_on TO trunkline_app
    USING (tenant = (SELECT current_tenant())) WITH CHECK (tenant = (SELECT current_tenant()));
CREATE POLICY platform ON single_sign_on FOR SELECT TO trunkline_platform USING (current_user = 'trunkline_platform');
CREATE POLICY platform_seals ON single_sign_on FOR UPDATE TO trunkline_platform
    USING (current_user = 'trunkline_platform' AND tenant = (SELECT current_tenant()))
    WITH CHECK (current_user = 'trunkline_platform' AND tenant = (SELECT current_tenant()));
GRANT SELECT, INSERT, UPDATE, DELETE ON single_sign_on TO trunkline_app;
GRANT SELECT, UPDATE (client_secret) ON single_sign_on TO trunkline_platform;
CREATE TRIGGER sealed_client_secret BEFORE INSERT OR UPDATE OF client_secret ON single_sign_on
    FOR EACH ROW WHEN (NOT is_sealed(ARRAY[NEW.client_secret])) EXECUTE FUNCTION refuse_plain_secret();

-- An address leads to one provider, so a domain belongs to one organisation.
CREATE TABLE single_sign_on_domains (
    domain text PRIMARY KEY CHECK (domain = lower(domain) AND length(domain) BETWEEN 3 AND 253),
    tenant uuid NOT NULL REFERENCES single_sign_on (tenant) ON DELETE CASCADE
);
CREATE INDEX single_sign_on_domains_by_tenant ON single_sign_on_domains (tenant, domain);
ALTER TABLE single_sign_on_domains ENABLE ROW LEVEL SECURITY;
ALTER TABLE single_sign_on_domains FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON single_sign_on_domains TO trunkline_app
    USING (tenant = (SELECT current_tenant())) WITH CHECK (tenant = (SELECT current_tenant()));
CREATE POLICY platform ON single_sign_on_domains FOR SELECT TO trunkline_platform USING (current_user = 'trunkline_platform');
GRANT SELECT, INSERT, DELETE ON single_sign_on_domains TO trunkline_app;
GRANT SELECT ON single_sign_on_domains TO trunkline_platform;

-- Who somebody is at a provider: its name for them, since addresses are given to others after a while.
CREATE TABLE user_identities (
    tenant    uuid NOT NULL,
    issuer    text NOT NULL,
    subject   text NOT NULL CHECK (length(subject) BETWEEN 1 AND 255),
    user_id   uuid NOT NULL,
    linked_ms bigint NOT NULL,
    PRIMARY KEY (tenant, issuer, subject),
    UNIQUE (tenant, issuer, user_id),
    FOREIGN KEY (tenant, user_id) REFERENCES users (tenant, id) ON DELETE CASCADE
);
CREATE INDEX user_identities_by_user ON user_identities (tenant, user_id);
ALTER TABLE user_identities ENABLE ROW LEVEL SECURITY;
ALTER TABLE user_identities FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON user_identities TO trunkline_app
    USING (tenant = (SELECT current_tenant())) WITH CHECK (tenant = (SELECT current_tenant()));
GRANT SELECT, INSERT, DELETE ON user_identities TO trunkline_app;

-- Whoever came in by the provider was asked for a second factor there, or not, as the organisation has it.
ALTER TABLE sessions ADD COLUMN by_provider boolean NOT NULL DEFAULT false;

CREATE OR REPLACE FUNCTION session_access(wanted bytea, now_ms bigint)
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
               NOT s.by_provider
                   AND (o.second_factor = 'everybody' OR (o.second_factor = 'admins' AND coalesce(u.role, '') IN ('owner', 'admin')))
        FROM sessions s JOIN users u ON u.tenant = s.tenant AND u.id = s.user_id JOIN organisations o ON o.id = s.tenant
        WHERE s.token_hash = wanted AND s.expires_ms > now_ms AND s.last_seen_ms + s.idle_ms > now_ms AND NOT u.disabled;
END
$$;

-- Where an address of this domain signs in: asked before a tenant is known.
CREATE FUNCTION single_sign_on_by_domain(wanted text) RETURNS uuid
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp
AS $$
    SELECT d.tenant FROM single_sign_on_domains d WHERE d.domain = lower(wanted)
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
    UNION ALL
    SELECT o.tenant, 'single_sign_on.client_secret', o.tenant, ARRAY[o.client_secret] FROM single_sign_on o
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
        WHEN 'single_sign_on.client_secret' THEN
            UPDATE single_sign_on SET client_secret = after[1]
            WHERE tenant = wanted_id AND tenant = current_tenant() AND client_secret = before[1];
    END CASE;
    RETURN FOUND;
END
$$;

REVOKE EXECUTE ON FUNCTION single_sign_on_by_domain(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION single_sign_on_by_domain(text) TO trunkline_app;
GRANT CREATE ON SCHEMA public TO trunkline_platform;
ALTER FUNCTION single_sign_on_by_domain(text) OWNER TO trunkline_platform;
REVOKE CREATE ON SCHEMA public FROM trunkline_platform;
