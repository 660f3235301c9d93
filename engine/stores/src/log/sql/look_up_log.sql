-- The log that was noted, if one was.
SELECT identity FROM log_known
