-- Topics that keep the newest value of each key, beside the log: what the live group has again after a restart.
-- These are platform tables, as the log's are: a value names its tenant inside, and only the engine's readers see them.
SET LOCAL lock_timeout = '2s';
SET LOCAL statement_timeout = '60s';

-- Who may write a partition of a topic: the one that knows the epoch.
CREATE TABLE log_claims (
    topic     text NOT NULL CHECK (topic <> '' AND length(topic) <= 200),
    partition integer NOT NULL REFERENCES log_partitions (partition),
    epoch     bigint NOT NULL,
    PRIMARY KEY (topic, partition)
) WITH (fillfactor = 50);

-- Room in each page, so that a value that changes stays in its page and no index is written; cleaned up early, because calls in
-- progress change every few seconds.
CREATE TABLE log_values (
    topic     text NOT NULL,
    partition integer NOT NULL,
    key       bytea NOT NULL CHECK (octet_length(key) > 0),
    body      bytea NOT NULL,
    PRIMARY KEY (topic, partition, key)
) WITH (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);

DO $$
BEGIN
    ALTER TABLE log_values ALTER COLUMN body SET COMPRESSION lz4;
EXCEPTION WHEN feature_not_supported THEN
    NULL;
END
$$;

GRANT SELECT, INSERT, UPDATE ON log_claims TO trunkline_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON log_values TO trunkline_app;

-- Writes changes of keys under a claim; false, and nothing, when the partition was claimed again. A key comes once in a statement. What a
-- crash of the server takes back is taken back from the end, so nobody waits for the disk: the log itself has everything.
CREATE FUNCTION log_put_values(to_topic text, to_partition integer, under_epoch bigint, keys bytea[], bodies bytea[]) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);
    PERFORM FROM log_claims c WHERE c.topic = to_topic AND c.partition = to_partition AND c.epoch = under_epoch FOR SHARE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    DELETE FROM log_values v USING unnest(keys, bodies) AS change (key, body)
        WHERE v.topic = to_topic AND v.partition = to_partition AND v.key = change.key AND change.body IS NULL;
    INSERT INTO log_values (topic, partition, key, body)
        SELECT to_topic, to_partition, change.key, change.body FROM unnest(keys, bodies) AS change (key, body)
        WHERE change.body IS NOT NULL
        ON CONFLICT (topic, partition, key) DO UPDATE SET body = excluded.body;
    RETURN true;
END
$$;

REVOKE EXECUTE ON FUNCTION log_put_values(text, integer, bigint, bytea[], bytea[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION log_put_values(text, integer, bigint, bytea[], bytea[]) TO trunkline_app;
