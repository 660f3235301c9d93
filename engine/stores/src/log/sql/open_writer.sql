-- An acknowledged record is on disk, whatever the server's default says; nobody waits longer than the caller does.
SET synchronous_commit = on;
SET statement_timeout = '7s';
SET lock_timeout = '4s';
