INSERT INTO log_groups (group_name, partition, next_offset, intent)
SELECT $1, mark.partition, mark.next_offset, mark.intent
FROM unnest($2::integer[], $3::bigint[], $4::text[]) AS mark (partition, next_offset, intent)
ORDER BY mark.partition
ON CONFLICT (group_name, partition) DO UPDATE
    SET next_offset = excluded.next_offset, intent = excluded.intent, committed_at = now()
