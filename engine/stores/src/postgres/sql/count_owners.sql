SELECT count(*) FROM users WHERE role = 'owner' AND NOT disabled
