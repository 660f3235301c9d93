SELECT u.tenant, u.id, u.email, u.name, u.role, u.password_hash, u.disabled,
       coalesce((SELECT jsonb_agg(jsonb_build_object('business', g.business, 'role', g.role, 'agents', g.agents) ORDER BY g.business)
                 FROM user_grants g WHERE g.tenant = u.tenant AND g.user_id = u.id), '[]'::jsonb) AS grants
FROM users u
ORDER BY u.email
