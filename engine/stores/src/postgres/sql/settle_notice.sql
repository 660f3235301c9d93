UPDATE notices SET settled_at = now() WHERE workspace = $1 AND kind = $2 AND subject = $3 AND settled_at IS NULL RETURNING kind
