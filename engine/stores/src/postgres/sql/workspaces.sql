SELECT w.id, w.name, w.enabled, w.unassigned, w.allowed_sources::text[], w.rate_per_second, (extract(epoch FROM w.created_at) * 1000)::bigint,
    s.intake_token, s.signing_keys, s.retell_api_key
FROM workspaces w, LATERAL workspace_secrets_of(w.id) s
WHERE $1::uuid IS NULL OR w.id = $1 ORDER BY w.name, w.id
