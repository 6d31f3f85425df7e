-- How far each source of mentions has been read.

-- name: get(source)^
SELECT position, updated_at FROM cursors WHERE source = :source;

-- name: put(source, position)!
INSERT INTO cursors (source, position) VALUES (:source, :position)
ON CONFLICT (source) DO UPDATE SET position = excluded.position, updated_at = now();

-- name: drop(source)!
DELETE FROM cursors WHERE source = :source;

-- name: lead()$
-- Whether this session is (now) the one that reads mentions; the lock goes with the session.
SELECT pg_try_advisory_lock(hashtext('bluesky.ingest'));
