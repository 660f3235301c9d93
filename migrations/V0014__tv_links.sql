-- Links that show one board on a screen without a seat.
SET LOCAL lock_timeout = '2s';
SET LOCAL statement_timeout = '60s';

CREATE TABLE tv_links (
    tenant       uuid NOT NULL REFERENCES organisations (id),
    id           uuid PRIMARY KEY,
    name         text NOT NULL CHECK (name <> '' AND length(name) <= 200),
    -- None: the whole organisation.
    business     uuid,
    -- Retell's id; none: every agent of the business.
    agent        text CHECK (agent IS NULL OR (business IS NOT NULL AND agent <> '' AND length(agent) <= 256)),
    token_hash   bytea NOT NULL UNIQUE CHECK (length(token_hash) = 32),
    created_ms   bigint NOT NULL,
    expires_ms   bigint NOT NULL,
    revoked_ms   bigint,
    last_seen_ms bigint,
    FOREIGN KEY (tenant, business) REFERENCES businesses (tenant, id) ON DELETE CASCADE
);
CREATE INDEX tv_links_by_tenant ON tv_links (tenant, created_ms);
ALTER TABLE tv_links ENABLE ROW LEVEL SECURITY;
ALTER TABLE tv_links FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON tv_links TO trunkline_app
    USING (tenant = (SELECT current_tenant())) WITH CHECK (tenant = (SELECT current_tenant()));
CREATE POLICY platform ON tv_links TO trunkline_platform
    USING (current_user = 'trunkline_platform') WITH CHECK (current_user = 'trunkline_platform');
GRANT SELECT, INSERT, UPDATE (revoked_ms) ON tv_links TO trunkline_app;
GRANT SELECT, UPDATE (last_seen_ms) ON tv_links TO trunkline_platform;

-- Finds a link that holds, and notes that its screen was seen (at most once a minute).
CREATE FUNCTION tv_link_access(wanted bytea, now_ms bigint) RETURNS TABLE (tenant uuid, id uuid, name text, business uuid, agent text)
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    UPDATE tv_links l SET last_seen_ms = now_ms
        WHERE l.token_hash = wanted AND l.revoked_ms IS NULL AND l.expires_ms > now_ms AND coalesce(l.last_seen_ms, 0) + 60000 <= now_ms;
    RETURN QUERY
        SELECT l.tenant, l.id, l.name, l.business, l.agent FROM tv_links l
        WHERE l.token_hash = wanted AND l.revoked_ms IS NULL AND l.expires_ms > now_ms;
END
$$;
REVOKE EXECUTE ON FUNCTION tv_link_access(bytea, bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tv_link_access(bytea, bigint) TO trunkline_app;
GRANT CREATE ON SCHEMA public TO trunkline_platform;
ALTER FUNCTION tv_link_access(bytea, bigint) OWNER TO trunkline_platform;
REVOKE CREATE ON SCHEMA public FROM trunkline_platform;
