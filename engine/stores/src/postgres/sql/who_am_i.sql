SELECT current_user::text, r.rolsuper OR r.rolbypassrls, current_setting('server_version_num')::integer
FROM pg_catalog.pg_roles r WHERE r.rolname = current_user
