-- Each gets another secret with its next request; $2: only this one.
UPDATE sessions SET must_renew = true WHERE user_id = $1 AND kind = 'browser' AND ($2::bytea IS NULL OR token_hash = $2)
