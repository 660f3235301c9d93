-- What the screens of workspaces and webhooks need: keys of a workspace for its owner, and a second secret of an endpoint for a while
-- after a rotation.
SET LOCAL lock_timeout = '2s';
SET LOCAL statement_timeout = '60s';

-- The address to paste into Retell and the keys, for the tenant that owns the workspace and no other.
CREATE FUNCTION workspace_secrets_of(wanted uuid) RETURNS TABLE (intake_token text, signing_keys text[], retell_api_key text)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp
AS $$
    SELECT s.intake_token, s.signing_keys, s.retell_api_key FROM workspace_secrets s WHERE s.workspace = wanted AND s.tenant = current_tenant()
$$;
DROP FUNCTION intake_token_of(uuid);

ALTER TABLE webhook_secrets
    ADD COLUMN previous          text,
    ADD COLUMN previous_until_ms bigint;
CREATE TRIGGER sealed_previous BEFORE INSERT OR UPDATE OF previous ON webhook_secrets
    FOR EACH ROW WHEN (NOT is_sealed(ARRAY[NEW.previous])) EXECUTE FUNCTION refuse_plain_secret();
GRANT UPDATE (previous, previous_until_ms) ON webhook_secrets TO trunkline_platform;

-- The secret in force goes on beside the new one until a moment; an older one than that is forgotten.
CREATE FUNCTION rotate_webhook_secret(wanted uuid, fresh text, until_ms bigint) RETURNS uuid
    LANGUAGE sql VOLATILE SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp
AS $$
    UPDATE webhook_secrets SET previous = secret, previous_until_ms = until_ms, secret = fresh
    WHERE endpoint = wanted AND tenant = current_tenant() RETURNING endpoint
$$;

DROP FUNCTION webhook_target(uuid);
-- Where a delivery goes, for the tenant that owns the endpoint and no other.
CREATE FUNCTION webhook_target(wanted uuid, now_ms bigint) RETURNS TABLE (url text, secret text, previous text, disabled boolean)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp
AS $$
    SELECT e.url, s.secret, CASE WHEN s.previous_until_ms > now_ms THEN s.previous END, e.disabled_ms IS NOT NULL
    FROM webhook_endpoints e JOIN webhook_secrets s ON s.tenant = e.tenant AND s.endpoint = e.id
    WHERE e.id = wanted AND e.tenant = current_tenant()
$$;

-- Both secrets of an endpoint are one place: which of them is in force does not change how they are bound.
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
    END CASE;
    RETURN FOUND;
END
$$;

REVOKE EXECUTE ON FUNCTION workspace_secrets_of(uuid), rotate_webhook_secret(uuid, text, bigint), webhook_target(uuid, bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION workspace_secrets_of(uuid), rotate_webhook_secret(uuid, text, bigint), webhook_target(uuid, bigint)
    TO trunkline_app;
GRANT CREATE ON SCHEMA public TO trunkline_platform;
ALTER FUNCTION workspace_secrets_of(uuid) OWNER TO trunkline_platform;
ALTER FUNCTION rotate_webhook_secret(uuid, text, bigint) OWNER TO trunkline_platform;
ALTER FUNCTION webhook_target(uuid, bigint) OWNER TO trunkline_platform;
REVOKE CREATE ON SCHEMA public FROM trunkline_platform;
