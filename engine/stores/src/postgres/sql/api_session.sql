-- A living session of the API with everything its person may do; it counts as seen, at most once a minute. One that has run out is deleted,
-- so that no clock that is set back revives it.
WITH ended AS (
    DELETE FROM sessions WHERE id = $1 AND kind = 'api' AND (expires_ms <= $2 OR last_seen_ms + idle_ms <= $2)
), seen AS (
    UPDATE sessions SET last_seen_ms = $2
    WHERE id = $1 AND kind = 'api' AND expires_ms > $2 AND last_seen_ms + idle_ms > $2 AND last_seen_ms + 60000 <= $2
)
SELECT s.tenant, s.user_id, u.email, u.name, u.role, s.created_ms, s.expires_ms,
       coalesce((SELECT jsonb_agg(jsonb_build_object('business', g.business, 'role', g.role, 'agents', g.agents) ORDER BY g.business)
                 FROM user_grants g WHERE g.tenant = s.tenant AND g.user_id = s.user_id), '[]'::jsonb),
       EXISTS (SELECT 1 FROM second_factors f WHERE f.tenant = s.tenant AND f.user_id = s.user_id AND f.confirmed),
       o.second_factor = 'everybody' OR (o.second_factor = 'admins' AND coalesce(u.role, '') IN ('owner', 'admin')),
       s.token_hash, u.rights
FROM sessions s JOIN users u ON u.tenant = s.tenant AND u.id = s.user_id JOIN organisations o ON o.id = s.tenant
WHERE s.id = $1 AND s.kind = 'api' AND s.expires_ms > $2 AND s.last_seen_ms + s.idle_ms > $2 AND NOT u.disabled
