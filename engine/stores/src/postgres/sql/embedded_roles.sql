-- Signing in is a matter of the socket and the kernel (pg_hba.conf), so no role has a password.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'trunkline_owner') THEN
        CREATE ROLE trunkline_owner LOGIN NOSUPERUSER NOCREATEROLE NOCREATEDB NOBYPASSRLS;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'trunkline_app') THEN
        CREATE ROLE trunkline_app LOGIN NOSUPERUSER NOCREATEROLE NOCREATEDB NOBYPASSRLS;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'trunkline_platform') THEN
        CREATE ROLE trunkline_platform NOLOGIN NOSUPERUSER NOCREATEROLE NOCREATEDB NOBYPASSRLS;
    END IF;
    GRANT trunkline_app, trunkline_platform TO trunkline_owner;
END
$$;
