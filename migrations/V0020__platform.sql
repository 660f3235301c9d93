-- The platform: who runs it, what each organisation may have, and openings of an organisation's data, which the organisation sees.
SET LOCAL lock_timeout = '2s';
SET LOCAL statement_timeout = '60s';

ALTER TABLE organisations
    -- Those who run the platform belong to this one organisation. It has no businesses, and its people have no roles.
    ADD COLUMN platform          boolean NOT NULL DEFAULT false,
    ADD COLUMN plan              text NOT NULL DEFAULT '' CHECK (length(plan) <= 100),
    ADD COLUMN suspended_ms      bigint,
    ADD COLUMN suspended_why     text NOT NULL DEFAULT '' CHECK (length(suspended_why) <= 500),
    -- Events a second of all workspaces together; none: no limit.
    ADD COLUMN intake_per_second integer CHECK (intake_per_second > 0),
    -- Calls at once that were agreed on; more of them are shown, since only Retell can refuse a call.
    ADD COLUMN concurrency_limit integer CHECK (concurrency_limit > 0),
    -- API keys that are accepted at the same time.
    ADD COLUMN api_keys_max      integer CHECK (api_keys_max >= 0),
    -- Whoever runs the platform signs in with a second factor, and the platform itself cannot be shut.
    ADD CONSTRAINT platform_is_guarded CHECK (NOT platform OR (second_factor = 'everybody' AND suspended_ms IS NULL));
CREATE UNIQUE INDEX organisations_platform ON organisations (platform) WHERE platform;
-- An organisation is made as what it is and never becomes the platform.
REVOKE UPDATE ON organisations FROM trunkline_app;
GRANT UPDATE (name, second_factor, plan, suspended_ms, suspended_why, intake_per_second, concurrency_limit, api_keys_max)
    ON organisations TO trunkline_app;
CREATE TRIGGER changed AFTER INSERT OR UPDATE ON organisations
    FOR EACH STATEMENT EXECUTE FUNCTION configuration_changed();

-- Somebody of the platform may read what an organisation has: for a while, for a reason, and from one session.
CREATE TABLE platform_openings (
    tenant       uuid NOT NULL REFERENCES organisations (id),
    id           uuid PRIMARY KEY,
    -- Not a reference: the person belongs to another organisation, and the organisation keeps knowing who it was when they have left.
    opened_by    uuid NOT NULL,
    opened_name  text NOT NULL CHECK (length(opened_name) <= 200),
    session_hash bytea NOT NULL CHECK (length(session_hash) = 32),
    reason       text NOT NULL CHECK (length(reason) BETWEEN 1 AND 500),
    created_ms   bigint NOT NULL,
    expires_ms   bigint NOT NULL CHECK (expires_ms > created_ms),
    ended_ms     bigint
);
CREATE INDEX platform_openings_by_tenant ON platform_openings (tenant, created_ms);
-- One at a time: what a request sees must not depend on which of two was meant.
CREATE UNIQUE INDEX platform_openings_in_force ON platform_openings (session_hash) WHERE ended_ms IS NULL;
ALTER TABLE platform_openings ENABLE ROW LEVEL SECURITY;
ALTER TABLE platform_openings FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON platform_openings TO trunkline_app
    USING (tenant = (SELECT current_tenant())) WITH CHECK (tenant = (SELECT current_tenant()));
CREATE POLICY platform ON platform_openings FOR SELECT TO trunkline_platform USING (current_user = 'trunkline_platform');
GRANT SELECT, INSERT, UPDATE (ended_ms) ON platform_openings TO trunkline_app;
GRANT SELECT ON platform_openings TO trunkline_platform;

-- Which organisation a session has opened. Answers for one exact session, never a list.
CREATE FUNCTION opening_by_session(wanted bytea)
    RETURNS TABLE (tenant uuid, id uuid, reason text, created_ms bigint, expires_ms bigint, organisation text)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp
AS $$
    SELECT p.tenant, p.id, p.reason, p.created_ms, p.expires_ms, o.name
    FROM platform_openings p JOIN organisations o ON o.id = p.tenant
    WHERE p.session_hash = wanted AND p.ended_ms IS NULL
$$;

-- The platform's own is not found by name: nobody is made a member of it by naming an organisation.
CREATE OR REPLACE FUNCTION organisation_by_name(wanted text) RETURNS uuid
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp
AS $$
    SELECT id FROM organisations WHERE name = wanted AND NOT platform ORDER BY created_at, id LIMIT 1
$$;

-- What every process knows of organisations: no name of anybody.
CREATE FUNCTION organisation_directory()
    RETURNS TABLE (id uuid, name text, platform boolean, suspended boolean, intake_per_second integer, concurrency_limit integer)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp
AS $$
    SELECT o.id, o.name, o.platform, o.suspended_ms IS NOT NULL, o.intake_per_second, o.concurrency_limit FROM organisations o
$$;

-- Organisations as the platform sees them: what they are called, what they may have, and how much they have; one or all.
CREATE FUNCTION platform_organisations(wanted uuid)
    RETURNS TABLE (id uuid, name text, plan text, created_ms bigint, suspended_ms bigint, suspended_why text, intake_per_second integer,
                   concurrency_limit integer, api_keys_max integer, people bigint, businesses bigint, workspaces bigint, api_keys bigint,
                   failing_webhooks bigint)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp
AS $$
    SELECT o.id, o.name, o.plan, (extract(epoch FROM o.created_at) * 1000)::bigint, o.suspended_ms, o.suspended_why, o.intake_per_second,
           o.concurrency_limit, o.api_keys_max,
           (SELECT count(*) FROM users u WHERE u.tenant = o.id AND NOT u.disabled),
           (SELECT count(*) FROM businesses b WHERE b.tenant = o.id),
           (SELECT count(*) FROM workspaces w WHERE w.tenant = o.id AND w.enabled),
           (SELECT count(*) FROM api_keys k WHERE k.tenant = o.id AND k.revoked_at IS NULL
               AND (k.expires_ms IS NULL OR k.expires_ms > extract(epoch FROM now()) * 1000)),
           (SELECT count(*) FROM webhook_endpoints e WHERE e.tenant = o.id AND e.failing_since_ms IS NOT NULL)
    FROM organisations o
    WHERE NOT o.platform AND (wanted IS NULL OR o.id = wanted)
    ORDER BY lower(o.name), o.id
$$;

REVOKE EXECUTE ON FUNCTION opening_by_session(bytea), organisation_directory(), platform_organisations(uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION opening_by_session(bytea), organisation_directory(), platform_organisations(uuid) TO trunkline_app;
GRANT CREATE ON SCHEMA public TO trunkline_platform;
ALTER FUNCTION opening_by_session(bytea) OWNER TO trunkline_platform;
ALTER FUNCTION organisation_directory() OWNER TO trunkline_platform;
ALTER FUNCTION platform_organisations(uuid) OWNER TO trunkline_platform;
REVOKE CREATE ON SCHEMA public FROM trunkline_platform;
