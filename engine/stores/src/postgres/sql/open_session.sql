-- Run once on each new connection: from here on the session is bound by row-level security and by time limits.
SET ROLE trunkline_app;
SET statement_timeout = '15s';
SET lock_timeout = '5s';
SET idle_in_transaction_session_timeout = '30s';
