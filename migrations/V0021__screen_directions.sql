-- A screen can be bound to calls of one direction.
SET LOCAL lock_timeout = '2s';
SET LOCAL statement_timeout = '60s';

ALTER TABLE tv_links ADD COLUMN direction text CHECK (direction IN ('inbound', 'outbound'));

-- As before, with the direction. The version before calls it by the same name and reads the first five columns.
DROP FUNCTION tv_link_access(bytea, bigint);
CREATE FUNCTION tv_link_access(wanted bytea, now_ms bigint)
    RETURNS TABLE (tenant uuid, id uuid, name text, business uuid, agent text, direction text)
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    UPDATE tv_links l SET last_seen_ms = now_ms
        WHERE l.token_hash = wanted AND l.revoked_ms IS NULL AND l.expires_ms > now_ms AND coalesce(l.last_seen_ms, 0) + 60000 <= now_ms;
    RETURN QUERY
        SELECT l.tenant, l.id, l.name, l.business, l.agent, l.direction FROM tv_links l
        WHERE l.token_hash = wanted AND l.revoked_ms IS NULL AND l.expires_ms > now_ms;
END
$$;
REVOKE EXECUTE ON FUNCTION tv_link_access(bytea, bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tv_link_access(bytea, bigint) TO trunkline_app;
GRANT CREATE ON SCHEMA public TO trunkline_platform;
ALTER FUNCTION tv_link_access(bytea, bigint) OWNER TO trunkline_platform;
REVOKE CREATE ON SCHEMA public FROM trunkline_platform;
