SELECT u.email, u.name, o.name, ''::text, r.lang, r.expires_ms
FROM password_resets r JOIN organisations o ON o.id = r.tenant JOIN users u ON u.tenant = r.tenant AND u.id = r.user_id
WHERE r.id = $1 AND r.used_ms IS NULL AND r.expires_ms > $2 AND NOT u.disabled
