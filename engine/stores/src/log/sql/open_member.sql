-- What a group says it is about to do must be on disk before it does it, whatever the server's default says.
SET synchronous_commit = on;
