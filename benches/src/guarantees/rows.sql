-- Rows of the run's events, one for each record.
SELECT count() FROM events
