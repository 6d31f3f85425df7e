-- One claim per user and UTC day.

-- name: of_day(did, day)^
SELECT object_id FROM claims WHERE did = :did AND day = :day;

-- name: of_mention(mention_uri)^
SELECT object_id FROM claims WHERE mention_uri = :mention_uri;

-- name: lock(did, day)$
-- Two claims at once: the second waits here and then finds the first one's.
SELECT pg_advisory_xact_lock(hashtextextended('claim/' || :day::date::text || '/' || :did, 0));

-- name: add(did, day, object_id, claimed_at, mention_uri)!
INSERT INTO claims (did, day, object_id, claimed_at, mention_uri)
VALUES (:did, :day, :object_id, :claimed_at, :mention_uri);
