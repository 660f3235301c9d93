-- The person with this address, and whether the provider knows them by another name already.
SELECT u.id, u.disabled, EXISTS (SELECT 1 FROM user_identities i WHERE i.tenant = u.tenant AND i.user_id = u.id AND i.issuer = $2)
FROM users u WHERE u.email = $1
