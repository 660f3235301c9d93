-- The event log for installations without Kafka: partitions with dense offsets, and what each group has done.
-- These are platform tables: a record names its tenant inside, and only the engine's readers see them.
SET LOCAL lock_timeout = '2s';
SET LOCAL statement_timeout = '60s';

-- Writers hold a partition's row until they commit: that makes offsets dense and readers see them in order.
CREATE TABLE log_partitions (
    partition    integer PRIMARY KEY CHECK (partition >= 0),
    next_offset  bigint NOT NULL DEFAULT 0,
    last_time_ms bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 10);

-- Apart from log_partitions, so that deleting old records never waits for writers.
CREATE TABLE log_starts (
    partition     integer PRIMARY KEY REFERENCES log_partitions (partition),
    begins_offset bigint NOT NULL DEFAULT 0
);

CREATE TABLE log_records (
    partition     integer NOT NULL,
    record_offset bigint NOT NULL,
    appended_ms   bigint NOT NULL,
    body          bytea NOT NULL,
    PRIMARY KEY (partition, record_offset)
) WITH (autovacuum_vacuum_insert_scale_factor = 0.05);

-- lz4 costs a tenth of the default's time; a server built without it keeps the default.
DO $$
BEGIN
    ALTER TABLE log_records ALTER COLUMN body SET COMPRESSION lz4;
EXCEPTION WHEN feature_not_supported THEN
    NULL;
END
$$;

CREATE TABLE log_groups (
    group_name   text NOT NULL CHECK (group_name <> '' AND length(group_name) <= 200),
    partition    integer NOT NULL REFERENCES log_partitions (partition),
    next_offset  bigint NOT NULL CHECK (next_offset >= 0),
    committed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (group_name, partition)
) WITH (fillfactor = 50);

GRANT SELECT, INSERT, UPDATE ON log_partitions, log_starts, log_groups TO trunkline_app;
GRANT SELECT, INSERT, DELETE ON log_records TO trunkline_app;

-- Makes the partitions when there are none, and says how many there are. One process at a time, so that two with different
-- settings cannot make a mixture.
CREATE FUNCTION log_open(wanted integer) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM log_partitions) THEN
        PERFORM pg_advisory_xact_lock(hashtextextended('trunkline log_open', 0));
        IF NOT EXISTS (SELECT FROM log_partitions) THEN
            INSERT INTO log_partitions (partition) SELECT generate_series(0, wanted - 1);
            INSERT INTO log_starts (partition) SELECT p.partition FROM log_partitions p;
        END IF;
    END IF;
    RETURN (SELECT count(*) FROM log_partitions);
END
$$;

-- Appends a batch in one statement, so that one commit acknowledges all of it. Rows of partitions are locked in ascending order:
-- two writers never wait for each other in a circle. Times never go back within a partition, so they can be searched by halves.
CREATE FUNCTION log_append(partitions integer[], bodies bytea[])
    RETURNS TABLE (taken_partition integer, first_offset bigint, record_count bigint)
    LANGUAGE plpgsql
    SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    now_ms bigint := floor(extract(epoch FROM clock_timestamp()) * 1000);
    stamp_ms bigint;
BEGIN
    FOR taken_partition, record_count IN
        SELECT u.part, count(*) FROM unnest(partitions) AS u (part) GROUP BY u.part ORDER BY u.part
    LOOP
        UPDATE log_partitions p
            SET next_offset = p.next_offset + record_count, last_time_ms = greatest(p.last_time_ms, now_ms)
            WHERE p.partition = taken_partition
            RETURNING p.next_offset - record_count, p.last_time_ms INTO first_offset, stamp_ms;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'log has no partition %', taken_partition USING ERRCODE = 'invalid_parameter_value';
        END IF;
        INSERT INTO log_records (partition, record_offset, appended_ms, body)
            SELECT taken_partition, first_offset + row_number() OVER (ORDER BY r.place) - 1, stamp_ms, r.body
            FROM unnest(partitions, bodies) WITH ORDINALITY AS r (part, body, place) WHERE r.part = taken_partition;
        RETURN NEXT;
    END LOOP;
END
$$;

-- The first offset appended at or after a moment; the end when there is none. Some twenty index reads, whatever the length.
CREATE FUNCTION log_offset_at(wanted integer, at_ms bigint) RETURNS bigint
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    low bigint;
    high bigint;
    middle bigint;
    middle_ms bigint;
BEGIN
    SELECT s.begins_offset, p.next_offset INTO low, high
        FROM log_partitions p JOIN log_starts s ON s.partition = p.partition WHERE p.partition = wanted;
    WHILE low < high LOOP
        middle := (low + high) / 2;
        SELECT r.appended_ms INTO middle_ms FROM log_records r WHERE r.partition = wanted AND r.record_offset = middle;
        IF NOT FOUND OR middle_ms < at_ms THEN
            low := middle + 1;
        ELSE
            high := middle;
        END IF;
    END LOOP;
    RETURN low;
END
$$;

-- Deletes at most `most` of the oldest records appended before a moment, always from the beginning, so that no hole appears.
CREATE FUNCTION log_forget(wanted integer, before_ms bigint, most integer) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    old_begin bigint;
    new_begin bigint;
BEGIN
    SELECT begins_offset INTO old_begin FROM log_starts WHERE partition = wanted FOR UPDATE;
    new_begin := least(log_offset_at(wanted, before_ms), old_begin + most);
    IF new_begin > old_begin THEN
        DELETE FROM log_records WHERE partition = wanted AND record_offset < new_begin;
        UPDATE log_starts SET begins_offset = new_begin WHERE partition = wanted;
    END IF;
    RETURN new_begin - old_begin;
END
$$;

REVOKE EXECUTE ON FUNCTION log_open(integer), log_append(integer[], bytea[]), log_offset_at(integer, bigint),
    log_forget(integer, bigint, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION log_open(integer), log_append(integer[], bytea[]), log_offset_at(integer, bigint),
    log_forget(integer, bigint, integer) TO trunkline_app;
