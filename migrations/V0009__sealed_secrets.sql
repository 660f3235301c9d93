-- Secrets that have to be read back are encrypted by the product before they come here (engine/stores/src/keyring.rs); what lies
-- here in plain text is encrypted at the next start. Processes of the version before cannot read what is encrypted, so this is one
-- upgrade for which all of them are stopped first.
SET LOCAL lock_timeout = '2s';
SET LOCAL statement_timeout = '60s';

-- Whether every one of these texts has the stored form of a secret: nothing in plain text gets in, whoever writes.
CREATE FUNCTION is_sealed(texts text[]) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT coalesce(bool_and(t ~ '^tl1\.[0-9a-f]{16}\.[A-Za-z0-9_-]{80}\.[A-Za-z0-9_-]{38,}$'), true) FROM unnest(texts) AS t
$$;

-- Triggers and not constraints, since those look at every column of a row whichever is written, and rows that are still plain are
-- encrypted one column after the other.
CREATE FUNCTION refuse_plain_secret() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RAISE EXCEPTION 'a secret in plain text' USING ERRCODE = 'check_violation', CONSTRAINT = 'secrets_are_sealed';
END
$$;

CREATE TRIGGER sealed_signing_keys BEFORE INSERT OR UPDATE OF signing_keys ON workspace_secrets
    FOR EACH ROW WHEN (NOT is_sealed(NEW.signing_keys)) EXECUTE FUNCTION refuse_plain_secret();
CREATE TRIGGER sealed_retell_api_key BEFORE INSERT OR UPDATE OF retell_api_key ON workspace_secrets
    FOR EACH ROW WHEN (NOT is_sealed(ARRAY[NEW.retell_api_key])) EXECUTE FUNCTION refuse_plain_secret();
ALTER TABLE webhook_secrets DROP CONSTRAINT webhook_secrets_secret_check;
CREATE TRIGGER sealed_secret BEFORE INSERT OR UPDATE OF secret ON webhook_secrets
    FOR EACH ROW WHEN (NOT is_sealed(ARRAY[NEW.secret])) EXECUTE FUNCTION refuse_plain_secret();

-- Every secret of the platform as it is stored, for the encryption of what is still plain and for the rotation of master keys.
CREATE FUNCTION stored_secrets() RETURNS TABLE (tenant uuid, place text, id uuid, stored text[])
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp
AS $$
    SELECT s.tenant, 'workspace_secrets.signing_keys', s.workspace, s.signing_keys FROM workspace_secrets s
    UNION ALL
    SELECT s.tenant, 'workspace_secrets.retell_api_key', s.workspace, ARRAY[s.retell_api_key] FROM workspace_secrets s
    WHERE s.retell_api_key IS NOT NULL
    UNION ALL
    SELECT s.tenant, 'webhook_secrets.secret', s.endpoint, ARRAY[s.secret] FROM webhook_secrets s
$$;

-- Puts the new form in place of the old one, unless somebody has written another secret meanwhile.
CREATE FUNCTION replace_stored_secret(wanted text, wanted_id uuid, before text[], after text[]) RETURNS boolean
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
    END CASE;
    RETURN FOUND;
END
$$;

CREATE POLICY platform_seals ON workspace_secrets FOR UPDATE TO trunkline_platform
    USING (current_user = 'trunkline_platform' AND tenant = (SELECT current_tenant()))
    WITH CHECK (current_user = 'trunkline_platform' AND tenant = (SELECT current_tenant()));
CREATE POLICY platform_seals ON webhook_secrets FOR UPDATE TO trunkline_platform
    USING (current_user = 'trunkline_platform' AND tenant = (SELECT current_tenant()))
    WITH CHECK (current_user = 'trunkline_platform' AND tenant = (SELECT current_tenant()));
GRANT UPDATE (signing_keys, retell_api_key) ON workspace_secrets TO trunkline_platform;
GRANT UPDATE (secret) ON webhook_secrets TO trunkline_platform;

REVOKE EXECUTE ON FUNCTION stored_secrets(), replace_stored_secret(text, uuid, text[], text[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION stored_secrets(), replace_stored_secret(text, uuid, text[], text[]) TO trunkline_app;
GRANT CREATE ON SCHEMA public TO trunkline_platform;
ALTER FUNCTION stored_secrets() OWNER TO trunkline_platform;
ALTER FUNCTION replace_stored_secret(text, uuid, text[], text[]) OWNER TO trunkline_platform;
REVOKE CREATE ON SCHEMA public FROM trunkline_platform;
