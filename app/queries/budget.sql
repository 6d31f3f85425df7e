-- Write points spent, per account and minute.

-- name: lock(account)$
SELECT pg_advisory_xact_lock(hashtext('bluesky.budget'), hashtext(:account));

-- name: spent(account, now)^
-- Points spent in the hour and in the day before `now`.
SELECT
    coalesce(sum(points) FILTER (WHERE minute > CAST(:now AS timestamptz) - interval '1 hour'), 0)::int AS hour,
    coalesce(sum(points), 0)::int AS day
FROM write_points
WHERE account = :account AND minute > CAST(:now AS timestamptz) - interval '1 day';

-- name: history(account, since)
SELECT minute, points FROM write_points
WHERE account = :account AND minute > :since
ORDER BY minute;

-- name: spend(account, minute, points)!
INSERT INTO write_points (account, minute, points) VALUES (:account, :minute, :points)
ON CONFLICT (account, minute) DO UPDATE SET points = write_points.points + excluded.points;

-- name: forget(account, before)!
DELETE FROM write_points WHERE account = :account AND minute < :before;
