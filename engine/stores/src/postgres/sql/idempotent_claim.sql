-- Begins a request, or takes one over that is too old ($6) or was left by a process that died ($7). Nothing: it is there.
INSERT INTO idempotent_requests (tenant, actor, key_hash, request_hash, id, begun_ms) VALUES ($1, $2, $3, $4, $5, $8)
ON CONFLICT (tenant, actor, key_hash) DO UPDATE
    SET request_hash = excluded.request_hash, id = excluded.id, begun_ms = excluded.begun_ms, status = NULL, location = NULL, answer = NULL
    WHERE idempotent_requests.begun_ms < $6
       OR (idempotent_requests.status IS NULL AND idempotent_requests.begun_ms < $7
           AND idempotent_requests.request_hash = excluded.request_hash)
RETURNING id
