-- A mail domain leads to an organisation's provider when the organisation has proved that it is its own; before, anybody could name any.
SET LOCAL lock_timeout = '2s';
SET LOCAL statement_timeout = '60s';

ALTER TABLE single_sign_on_domains
    -- What has to stand in the domain's DNS, of this organisation alone. The default makes one for each domain that is there already, too.
    ADD COLUMN token text NOT NULL DEFAULT replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', '')
        CHECK (length(token) BETWEEN 32 AND 64),
    -- Domains that are there already wait as well: nobody has proved them.
    ADD COLUMN proved_ms bigint,
    ADD COLUMN proved_by text CHECK (proved_by IN ('dns', 'operator')),
    ADD COLUMN looked_ms bigint,
    -- What the last look found.
    ADD COLUMN found text CHECK (found IN ('record', 'nothing', 'other', 'no_answer', 'taken')),
    ADD CHECK ((proved_ms IS NULL) = (proved_by IS NULL));

-- Several may wait for a domain, and one has it.
ALTER TABLE single_sign_on_domains DROP CONSTRAINT single_sign_on_domains_pkey;
ALTER TABLE single_sign_on_domains ADD PRIMARY KEY (tenant, domain);
DROP INDEX single_sign_on_domains_by_tenant;
CREATE UNIQUE INDEX single_sign_on_domains_proved ON single_sign_on_domains (domain) WHERE proved_ms IS NOT NULL;
GRANT UPDATE (proved_ms, proved_by, looked_ms, found) ON single_sign_on_domains TO trunkline_app;

-- As before, of domains that are proved.
CREATE OR REPLACE FUNCTION single_sign_on_by_domain(wanted text) RETURNS uuid
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp
AS $$
    SELECT d.tenant FROM single_sign_on_domains d WHERE d.domain = lower(wanted) AND d.proved_ms IS NOT NULL
$$;

-- Nobody has called these since V0010; later ones say more.
DROP FUNCTION session_by_token(bytea, bigint);
DROP FUNCTION api_key_by_hash(bytea);
