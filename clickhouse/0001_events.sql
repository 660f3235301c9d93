-- One row per log record, whatever became of it. The raw truth of analytics: everything else here is derived from it.
-- The order key ends in the record's place in the log, so a record that is written twice collapses to one row.
CREATE TABLE IF NOT EXISTS events {on_cluster}
(
    tenant        UUID,
    workspace     UUID,
    log           LowCardinality(String) COMMENT 'identity of the event log; a new log begins its offsets anew',
    log_partition UInt32,
    log_offset    Int64,
    received_at   DateTime64(3, 'UTC'),
    event         LowCardinality(String) COMMENT 'event name as it came; empty when there was none',
    kind          LowCardinality(String) COMMENT 'call, chat, or empty when the record belongs to neither',
    call_id       String,
    routing_key   String,
    content       String COMMENT 'SHA-256 of the canonical body, lower-case hex (rule B1)' CODEC(ZSTD(1)),
    source        LowCardinality(String) COMMENT 'webhook, backfill, reaper',
    set_aside     LowCardinality(String) COMMENT 'reason why it could not be read; empty when it could',
    masked        Bool COMMENT 'a credential in the body was overwritten (rule A12)',
    body          String CODEC(ZSTD(3))
)
ENGINE = {replicated}ReplacingMergeTree
PARTITION BY toYYYYMM(received_at)
ORDER BY (tenant, kind, call_id, log, log_partition, log_offset)
{events_ttl}
SETTINGS non_replicated_deduplication_window = 20000,
         replicated_deduplication_window = 20000,
         replicated_deduplication_window_seconds = 604800;
