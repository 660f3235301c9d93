-- The ones before it have a successor that was used: it is not given out again.
WITH older AS (UPDATE refresh_tokens SET seed = NULL WHERE session = $2 AND token_hash <> $1 AND seed IS NOT NULL)
UPDATE refresh_tokens SET used_ms = $3, seed = $4 WHERE token_hash = $1
