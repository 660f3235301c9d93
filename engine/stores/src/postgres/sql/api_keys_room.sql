-- Held until the key is made, so that two requests at once do not both take the last place. Weak enough for rows that name the
-- organisation: who notes a deed holds the chain and needs the organisation, and we come the other way round.
SELECT o.api_keys_max IS NULL OR o.api_keys_max > (
    SELECT count(*) FROM api_keys k
    WHERE k.revoked_at IS NULL AND (k.expires_ms IS NULL OR k.expires_ms > extract(epoch FROM now()) * 1000))
FROM organisations o FOR NO KEY UPDATE OF o
