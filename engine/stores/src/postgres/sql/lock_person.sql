SELECT u.role,
       coalesce((SELECT jsonb_agg(jsonb_build_object('business', g.business, 'role', g.role, 'agents', g.agents) ORDER BY g.business)
                 FROM user_grants g WHERE g.tenant = u.tenant AND g.user_id = u.id), '[]'::jsonb),
       u.disabled
FROM users u WHERE u.id = $1 FOR UPDATE
