UPDATE effects_offsets o SET next_offset = a.next_to, committed_ms = $6
FROM unnest($2::integer[], $3::bigint[], $4::bigint[], $5::bigint[]) AS a (partition, epoch, next_from, next_to)
WHERE o.log_name = $1 AND o.partition = a.partition AND o.epoch = a.epoch AND o.next_offset = a.next_from
RETURNING o.partition
