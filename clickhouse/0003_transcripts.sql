-- The transcript of each call as one row of arrays in step: a shorter transcript replaces a longer one as a whole, nothing of
-- the old one is left over. Same key and same cancelling as the calls table.
CREATE TABLE IF NOT EXISTS transcripts {on_cluster}
(
    tenant        UUID,
    business      UUID,
    opened_at     DateTime64(3, 'UTC'),
    kind          LowCardinality(String),
    call_id       String,
    version       UInt64,
    is_deleted    UInt8,
    role          Array(LowCardinality(String)),
    role_raw      Array(String),
    content       Array(String) CODEC(ZSTD(3)),
    start_ms      Array(Nullable(Int64)),
    end_ms        Array(Nullable(Int64)),
    tool          Array(String),
    tool_call_id  Array(String),
    tool_type     Array(LowCardinality(String)),
    successful    Array(Nullable(Bool)),
    word_text     Array(Array(String)) CODEC(ZSTD(3)),
    word_start_ms Array(Array(Int64)) CODEC(ZSTD(1)),
    word_end_ms   Array(Array(Int64)) CODEC(ZSTD(1)),
    said          String MATERIALIZED arrayStringConcat(
                      arrayFilter((text, who) -> who IN ('agent', 'user', 'transfer_target'), content, role), '\n')
                      COMMENT 'spoken text only, for searching' CODEC(ZSTD(3)),
    INDEX by_words lowerUTF8(said) TYPE text(tokenizer = ngrams(3))
)
ENGINE = {replicated}ReplacingMergeTree(version, is_deleted)
PARTITION BY toYYYYMM(opened_at)
ORDER BY (tenant, business, opened_at, kind, call_id)
{calls_ttl}
SETTINGS non_replicated_deduplication_window = 20000,
         replicated_deduplication_window = 20000,
         replicated_deduplication_window_seconds = 604800;

ALTER TABLE transcripts {on_cluster} ADD INDEX IF NOT EXISTS by_call call_id TYPE bloom_filter(0.001) GRANULARITY 1;
