-- Organisations (the tenants), their businesses, and the rule that keeps tenants apart.
SET LOCAL lock_timeout = '2s';
SET LOCAL statement_timeout = '60s';

-- The tenant of the running transaction. Raises when none is set, so that a forgotten tenant is an error, never an empty list.
CREATE FUNCTION current_tenant() RETURNS uuid
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    setting text := current_setting('app.tenant', true);
BEGIN
    IF setting IS NULL OR setting = '' THEN
        RAISE EXCEPTION 'no tenant is set in this transaction' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN setting::uuid;
END
$$;

-- Wakes every process that keeps the directory in memory.
CREATE FUNCTION configuration_changed() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM pg_notify('trunkline_configuration', '');
    RETURN NULL;
END
$$;

CREATE TABLE organisations (
    id         uuid PRIMARY KEY,
    name       text NOT NULL CHECK (name <> '' AND length(name) <= 200),
    created_at timestamptz NOT NULL DEFAULT now()
);
ALTER TABLE organisations ENABLE ROW LEVEL SECURITY;
ALTER TABLE organisations FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON organisations TO trunkline_app
    USING (id = (SELECT current_tenant())) WITH CHECK (id = (SELECT current_tenant()));
-- Named by current_user as well, since a policy also holds for members of its role, and the owner is one.
CREATE POLICY platform ON organisations FOR SELECT TO trunkline_platform USING (current_user = 'trunkline_platform');
GRANT SELECT, INSERT, UPDATE ON organisations TO trunkline_app;
GRANT SELECT ON organisations TO trunkline_platform;

CREATE TABLE businesses (
    tenant            uuid NOT NULL REFERENCES organisations (id),
    id                uuid PRIMARY KEY,
    name              text NOT NULL CHECK (name <> '' AND length(name) <= 200),
    zone              text NOT NULL CHECK (zone <> '' AND length(zone) <= 64),
    day_start_minute  integer NOT NULL DEFAULT 0 CHECK (day_start_minute BETWEEN 0 AND 1439),
    concurrency_limit integer CHECK (concurrency_limit > 0),
    targets           jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(targets) = 'object'),
    created_at        timestamptz NOT NULL DEFAULT now(),
    UNIQUE (tenant, id)
);
ALTER TABLE businesses ENABLE ROW LEVEL SECURITY;
ALTER TABLE businesses FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON businesses TO trunkline_app
    USING (tenant = (SELECT current_tenant())) WITH CHECK (tenant = (SELECT current_tenant()));
CREATE POLICY platform ON businesses FOR SELECT TO trunkline_platform USING (current_user = 'trunkline_platform');
GRANT SELECT, INSERT, UPDATE ON businesses TO trunkline_app;
GRANT SELECT ON businesses TO trunkline_platform;
CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE ON businesses
    FOR EACH STATEMENT EXECUTE FUNCTION configuration_changed();

-- Which organisation has this name; asked before a tenant is known (first start, command line).
CREATE FUNCTION organisation_by_name(wanted text) RETURNS uuid
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp
AS $$
    SELECT id FROM organisations WHERE name = wanted ORDER BY created_at, id LIMIT 1
$$;

-- Every organisation of the platform: for the operator and for jobs that go from tenant to tenant.
CREATE FUNCTION all_organisations() RETURNS TABLE (id uuid, name text)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp
AS $$
    SELECT o.id, o.name FROM organisations o ORDER BY o.created_at, o.id
$$;

CREATE FUNCTION all_businesses()
    RETURNS TABLE (tenant uuid, id uuid, name text, zone text, day_start_minute integer, concurrency_limit integer, targets jsonb)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp
AS $$
    SELECT b.tenant, b.id, b.name, b.zone, b.day_start_minute, b.concurrency_limit, b.targets FROM businesses b
$$;

-- These functions see every tenant, so they belong to a role that may read only what they need and cannot sign in.
REVOKE EXECUTE ON FUNCTION organisation_by_name(text), all_organisations(), all_businesses() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION organisation_by_name(text), all_organisations(), all_businesses() TO trunkline_app;
GRANT CREATE ON SCHEMA public TO trunkline_platform;
ALTER FUNCTION organisation_by_name(text) OWNER TO trunkline_platform;
ALTER FUNCTION all_organisations() OWNER TO trunkline_platform;
ALTER FUNCTION all_businesses() OWNER TO trunkline_platform;
REVOKE CREATE ON SCHEMA public FROM trunkline_platform;
