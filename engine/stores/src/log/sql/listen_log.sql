LISTEN trunkline_log; SET synchronous_commit = off
