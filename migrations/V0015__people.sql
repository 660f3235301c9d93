-- What the administration of people and keys needs: people can be removed, and a request that is sent twice is answered twice alike.
SET LOCAL lock_timeout = '2s';
SET LOCAL statement_timeout = '60s';

GRANT DELETE ON users TO trunkline_app;
-- A key belongs to the organisation and outlives the person who made it.
ALTER TABLE api_keys
    DROP CONSTRAINT api_keys_tenant_created_by_fkey,
    ADD CONSTRAINT api_keys_created_by FOREIGN KEY (tenant, created_by) REFERENCES users (tenant, id) ON DELETE SET NULL (created_by);

-- Requests with an Idempotency-Key: what was asked, and what was answered.
CREATE TABLE idempotent_requests (
    tenant       uuid NOT NULL REFERENCES organisations (id),
    id           uuid NOT NULL UNIQUE,
    -- The person or the key that asked.
    actor        uuid NOT NULL,
    key_hash     bytea NOT NULL CHECK (length(key_hash) = 32),
    -- Of method, path and body: another request under the same key is a mistake of the caller.
    request_hash bytea NOT NULL CHECK (length(request_hash) = 32),
    begun_ms     bigint NOT NULL,
    -- Of the answer; none while the request is still being worked on.
    status       integer CHECK (status BETWEEN 200 AND 299),
    location     text CHECK (length(location) <= 300),
    answer       text CHECK (is_sealed(ARRAY[answer])),
    PRIMARY KEY (tenant, actor, key_hash),
    CHECK ((status IS NULL) = (answer IS NULL))
);
CREATE INDEX idempotent_requests_to_forget ON idempotent_requests (begun_ms);
ALTER TABLE idempotent_requests ENABLE ROW LEVEL SECURITY;
ALTER TABLE idempotent_requests FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON idempotent_requests TO trunkline_app
    USING (tenant = (SELECT current_tenant())) WITH CHECK (tenant = (SELECT current_tenant()));
CREATE POLICY platform ON idempotent_requests TO trunkline_platform
    USING (current_user = 'trunkline_platform') WITH CHECK (current_user = 'trunkline_platform');
GRANT SELECT, INSERT, UPDATE, DELETE ON idempotent_requests TO trunkline_app;
GRANT SELECT, DELETE ON idempotent_requests TO trunkline_platform;

CREATE FUNCTION forget_idempotent_requests(before_ms bigint, most integer) RETURNS bigint
    LANGUAGE sql VOLATILE SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp
AS $$
    WITH gone AS (DELETE FROM idempotent_requests WHERE id IN
        (SELECT r.id FROM idempotent_requests r WHERE r.begun_ms < before_ms LIMIT most) RETURNING 1)
    SELECT count(*) FROM gone
$$;
REVOKE EXECUTE ON FUNCTION forget_idempotent_requests(bigint, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION forget_idempotent_requests(bigint, integer) TO trunkline_app;
GRANT CREATE ON SCHEMA public TO trunkline_platform;
ALTER FUNCTION forget_idempotent_requests(bigint, integer) OWNER TO trunkline_platform;
REVOKE CREATE ON SCHEMA public FROM trunkline_platform;
