-- Which schema steps were applied. Several nodes may note the same step; the key makes it one.
CREATE TABLE IF NOT EXISTS schema_steps {on_cluster}
(
    step       UInt32,
    name       String,
    checksum   String,
    applied_at DateTime DEFAULT now()
)
ENGINE = {replicated}ReplacingMergeTree
ORDER BY step;
