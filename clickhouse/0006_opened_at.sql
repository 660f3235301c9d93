-- What opened_at is, as it has been computed all along (`CallFacts::opened_at`): its first comment left out calls that never connected.
ALTER TABLE calls {on_cluster} COMMENT COLUMN IF EXISTS opened_at
    'start of the call; of one that never connected the earlier of its end and when we first heard of it';
