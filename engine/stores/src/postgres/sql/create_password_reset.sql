-- Nothing when one was made after $7: nobody's mailbox is filled by others.
INSERT INTO password_resets (tenant, id, user_id, lang, created_ms, expires_ms)
SELECT $1, $2, $3, $4, $5, $6
WHERE NOT EXISTS (SELECT 1 FROM password_resets WHERE user_id = $3 AND created_ms > $7)
RETURNING id
