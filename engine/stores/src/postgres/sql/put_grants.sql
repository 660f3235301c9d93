-- Replaces the roles of a person in single businesses; $3 businesses, $4 roles, $5 agents as a JSON array of arrays, in one order.
WITH gone AS (DELETE FROM user_grants WHERE user_id = $2 AND NOT business = ANY ($3))
INSERT INTO user_grants (tenant, user_id, business, role, agents)
SELECT $1, $2, g.business, g.role, ARRAY(SELECT jsonb_array_elements_text($5::jsonb -> (g.place - 1)::integer))
FROM unnest($3::uuid[], $4::text[]) WITH ORDINALITY AS g (business, role, place)
ON CONFLICT (tenant, user_id, business) DO UPDATE SET role = excluded.role, agents = excluded.agents
