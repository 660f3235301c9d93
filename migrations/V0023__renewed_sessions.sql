-- Sessions whose person was given other rights, or proved more, get another secret with their next request; and what has ended stays ended.
SET LOCAL lock_timeout = '2s';
SET LOCAL statement_timeout = '60s';

ALTER TABLE sessions
    ADD COLUMN must_renew boolean NOT NULL DEFAULT false,
    -- The secret before the present one: taken until then, for requests that were under way.
    ADD COLUMN previous_hash bytea CHECK (length(previous_hash) = 32),
    ADD COLUMN previous_until_ms bigint,
    -- Gives the present secret, together with the one before it, which is not kept.
    ADD COLUMN seed bytea CHECK (length(seed) = 32);
CREATE UNIQUE INDEX sessions_by_previous ON sessions (previous_hash) WHERE previous_hash IS NOT NULL;
GRANT UPDATE (must_renew) ON sessions TO trunkline_app;

-- As before, and: a session that is found to have run out is deleted, so that no clock that is set back revives it; it is also found by the
-- secret it had until a moment ago, and says whether it has to get another one.
DROP FUNCTION session_access(bytea, bigint);
CREATE FUNCTION session_access(wanted bytea, now_ms bigint)
    RETURNS TABLE (tenant uuid, user_id uuid, email text, name text, role text, created_ms bigint, expires_ms bigint, grants jsonb,
                   has_factor boolean, needs_factor boolean, renew boolean, seed bytea)
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    DELETE FROM sessions s
        WHERE (s.token_hash = wanted OR s.previous_hash = wanted) AND (s.expires_ms <= now_ms OR s.last_seen_ms + s.idle_ms <= now_ms);
    UPDATE sessions s SET last_seen_ms = now_ms
        WHERE (s.token_hash = wanted OR (s.previous_hash = wanted AND s.previous_until_ms > now_ms)) AND s.last_seen_ms + 60000 <= now_ms;
    RETURN QUERY
        SELECT s.tenant, s.user_id, u.email, u.name, u.role, s.created_ms, s.expires_ms,
               coalesce((SELECT jsonb_agg(jsonb_build_object('business', g.business, 'role', g.role, 'agents', g.agents) ORDER BY g.business)
                         FROM user_grants g WHERE g.tenant = s.tenant AND g.user_id = s.user_id), '[]'::jsonb),
               EXISTS (SELECT 1 FROM second_factors f WHERE f.tenant = s.tenant AND f.user_id = s.user_id AND f.confirmed),
               NOT s.by_provider
                   AND (o.second_factor = 'everybody' OR (o.second_factor = 'admins' AND coalesce(u.role, '') IN ('owner', 'admin'))),
               -- Not while requests with the secret before are still taken: then there would be three.
               s.must_renew AND s.token_hash = wanted AND coalesce(s.previous_until_ms, 0) <= now_ms,
               CASE WHEN s.token_hash <> wanted THEN s.seed END
        FROM sessions s JOIN users u ON u.tenant = s.tenant AND u.id = s.user_id JOIN organisations o ON o.id = s.tenant
        WHERE (s.token_hash = wanted OR (s.previous_hash = wanted AND s.previous_until_ms > now_ms)) AND NOT u.disabled;
END
$$;

-- Gives a session another secret. Of requests that come at once, one does; what the session had open of an organisation goes with it.
CREATE FUNCTION renew_session(wanted bytea, fresh bytea, fresh_seed bytea, now_ms bigint, until_ms bigint) RETURNS boolean
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    UPDATE sessions s
        SET token_hash = fresh, previous_hash = wanted, previous_until_ms = until_ms, seed = fresh_seed, must_renew = false
        WHERE s.token_hash = wanted AND s.must_renew AND coalesce(s.previous_until_ms, 0) <= now_ms;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    UPDATE platform_openings p SET session_hash = fresh WHERE p.session_hash = wanted AND p.ended_ms IS NULL;
    RETURN true;
END
$$;

GRANT UPDATE (session_hash) ON platform_openings TO trunkline_platform;
CREATE POLICY platform_renewal ON platform_openings FOR UPDATE TO trunkline_platform
    USING (current_user = 'trunkline_platform') WITH CHECK (current_user = 'trunkline_platform');

-- Of an organisation that is suspended nothing goes out: its jobs wait, and go on when it is resumed.
CREATE OR REPLACE FUNCTION claim_jobs(by_worker uuid, now_ms bigint, until_ms bigint, most integer)
    RETURNS TABLE (tenant uuid, id uuid, kind text, subject uuid, topic text, body text, tries integer)
    LANGUAGE sql VOLATILE SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp
AS $$
    UPDATE jobs j SET state = 'running', tries = j.tries + 1, worker = by_worker, lease_ms = until_ms, due_ms = until_ms
    FROM (SELECT d.id FROM jobs d
          WHERE d.state IN ('queued', 'running') AND d.due_ms <= now_ms
            AND NOT EXISTS (SELECT 1 FROM organisations o WHERE o.id = d.tenant AND o.suspended_ms IS NOT NULL)
          ORDER BY d.due_ms LIMIT most FOR UPDATE SKIP LOCKED) AS due
    WHERE j.id = due.id
    RETURNING j.tenant, j.id, j.kind, j.subject, j.topic, j.body, j.tries
$$;

REVOKE EXECUTE ON FUNCTION session_access(bytea, bigint), renew_session(bytea, bytea, bytea, bigint, bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION session_access(bytea, bigint), renew_session(bytea, bytea, bytea, bigint, bigint) TO trunkline_app;
GRANT CREATE ON SCHEMA public TO trunkline_platform;
ALTER FUNCTION session_access(bytea, bigint) OWNER TO trunkline_platform;
ALTER FUNCTION renew_session(bytea, bytea, bytea, bigint, bigint) OWNER TO trunkline_platform;
REVOKE CREATE ON SCHEMA public FROM trunkline_platform;
