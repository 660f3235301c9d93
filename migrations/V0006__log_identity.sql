-- Which log this is, which log this installation works with, and what a group is about to do.
SET LOCAL lock_timeout = '2s';
SET LOCAL statement_timeout = '60s';

-- A database that is made anew has another identity, so its offsets cannot be taken for those of the old one.
CREATE TABLE log_identity (
    sole boolean PRIMARY KEY DEFAULT true CHECK (sole),
    id   uuid NOT NULL DEFAULT gen_random_uuid()
);
INSERT INTO log_identity DEFAULT VALUES;

-- Kept here for every kind of log: this database is the installation's memory.
CREATE TABLE log_known (
    sole     boolean PRIMARY KEY DEFAULT true CHECK (sole),
    identity text NOT NULL,
    since    timestamptz NOT NULL DEFAULT now()
);

-- What the group is about to do from next_offset on; its next owner repeats exactly that.
ALTER TABLE log_groups ADD COLUMN intent text CHECK (length(intent) <= 4000);

GRANT SELECT ON log_identity TO trunkline_app;
GRANT SELECT, INSERT, UPDATE ON log_known TO trunkline_app;
