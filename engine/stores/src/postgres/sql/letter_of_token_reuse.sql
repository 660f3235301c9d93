-- In the language that somebody chose for them last, which is known of invitations and forgotten passwords.
SELECT u.email, u.name, o.name, ''::text,
       coalesce((SELECT l.lang FROM (SELECT i.lang, i.created_ms FROM invitations i WHERE i.tenant = u.tenant AND i.email = u.email
                                     UNION ALL
                                     SELECT r.lang, r.created_ms FROM password_resets r WHERE r.tenant = u.tenant AND r.user_id = u.id) l
                 ORDER BY l.created_ms DESC LIMIT 1), 'en'),
       $2::bigint
FROM users u JOIN organisations o ON o.id = u.tenant
WHERE u.id = $1 AND NOT u.disabled
