SELECT u.id, u.disabled FROM user_identities i JOIN users u ON u.tenant = i.tenant AND u.id = i.user_id WHERE i.issuer = $1 AND i.subject = $2
