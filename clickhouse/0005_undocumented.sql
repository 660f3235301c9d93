-- What of a record Retell's documentation does not list, so that new names are counted and shown, never silently ignored.
ALTER TABLE events {on_cluster} ADD COLUMN IF NOT EXISTS undocumented Array(LowCardinality(String))
    COMMENT 'as kind:name; kinds are event, value, field, unreadable. Empty for records stored before this step' AFTER masked;
