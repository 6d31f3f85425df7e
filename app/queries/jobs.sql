-- The job queue. PostgreSQL decides who may run a job; Redis, where there is one, only carries ids.
--
-- Urgency: a job gains one step for every 10 s (NORMAL) or 20 s (LOW) it has been due, up to HIGH,
-- so that a storm of claims cannot starve a request for help. `greatest` ignores the NULL that a
-- HIGH job's division yields. app/jobs/policy.py has the same rule in Python; a test compares them.
--
-- Lanes: replies wait for Bluesky, so threads of their own lease and are woken for them. Nothing that
-- is said here about order or urgency reaches across lanes.

-- name: put(kind, key, payload, priority, delay)^
-- The notification is sent when the caller's transaction commits.
WITH added AS (
    INSERT INTO jobs (kind, key, payload, priority, run_at)
    VALUES (:kind, :key, :payload, :priority, now() + :delay)
    ON CONFLICT (kind, key) DO NOTHING
    RETURNING id, lane
)
SELECT id, pg_notify('jobs_' || lane, '') FROM added;

-- name: lease(lane, count, least_first, worker, seconds, max_attempts)
-- The most urgent due jobs of a lane (with `least_first` those of the lowest priority), in the order
-- they became due. Candidates come from the index, a few for
-- each priority, so the cost does not grow with the backlog; `spare` leaves room for rows that other
-- workers are taking at the same moment. A job whose workers died `max_attempts` times is buried here.
WITH candidates AS (
    SELECT few.id
    FROM generate_series(0, 2) AS level,
    LATERAL (
        SELECT id FROM jobs
        WHERE lane = :lane AND priority = level
          AND ((state = 'waiting' AND run_at <= now()) OR (state = 'leased' AND lease_until <= now()))
        ORDER BY run_at, id
        LIMIT :count + 32
    ) AS few
), picked AS (
    SELECT id, state = 'leased' AS expired
    FROM jobs
    WHERE id IN (SELECT id FROM candidates)
      AND ((state = 'waiting' AND run_at <= now()) OR (state = 'leased' AND lease_until <= now()))
    ORDER BY
        CASE WHEN :least_first THEN -priority ELSE
            greatest(0, priority - floor(extract(epoch FROM now() - run_at) / (10 * nullif(priority, 0))))
        END,
        run_at, id
    LIMIT :count
    FOR UPDATE SKIP LOCKED
)
UPDATE jobs
SET state = CASE WHEN attempts < :max_attempts THEN 'leased' ELSE 'dead' END,
    attempts = CASE WHEN attempts < :max_attempts THEN attempts + 1 ELSE attempts END,
    leased_by = CASE WHEN attempts < :max_attempts THEN :worker ELSE leased_by END,
    lease_until = now() + make_interval(secs => :seconds),
    dispatched_at = NULL,
    last_error = CASE WHEN attempts < :max_attempts THEN last_error
                 ELSE coalesce(last_error || E'\n', '') || 'its lease expired in the last attempt: the worker died or hung' END,
    done_at = CASE WHEN attempts < :max_attempts THEN NULL ELSE now() END
FROM picked
WHERE jobs.id = picked.id
RETURNING jobs.*, picked.expired, now() AS leased_at;

-- name: lease_ids(ids, worker, seconds, max_attempts)
-- As `lease`, for ids that came over Redis, which carries effects only. Whatever is not due (done,
-- leased, deleted) is left out.
WITH picked AS (
    SELECT id, state = 'leased' AS expired
    FROM jobs
    WHERE id = ANY (:ids) AND lane = 'effects'
      AND ((state = 'waiting' AND run_at <= now()) OR (state = 'leased' AND lease_until <= now()))
      AND attempts < :max_attempts
    FOR UPDATE SKIP LOCKED
)
UPDATE jobs
SET state = 'leased', attempts = attempts + 1, leased_by = :worker,
    lease_until = now() + make_interval(secs => :seconds), dispatched_at = NULL
FROM picked
WHERE jobs.id = picked.id
RETURNING jobs.*, picked.expired, now() AS leased_at;

-- name: next_due(lane)$
-- Seconds until a job of a lane becomes due or a lease expires; NULL when nothing is open.
SELECT extract(epoch FROM min(due) - clock_timestamp())::float8
FROM generate_series(0, 2) AS level,
LATERAL (
    (SELECT run_at AS due FROM jobs WHERE state = 'waiting' AND lane = :lane AND priority = level
     ORDER BY run_at, id LIMIT 1)
    UNION ALL
    (SELECT lease_until FROM jobs WHERE state = 'leased' AND lane = :lane AND priority = level
     ORDER BY lease_until LIMIT 1)
) AS open_jobs;

-- name: next_undispatched()$
-- As `next_due`, for effects that are not on a stream.
SELECT extract(epoch FROM min(due) - clock_timestamp())::float8
FROM generate_series(0, 2) AS level,
LATERAL (
    (SELECT run_at AS due FROM jobs
     WHERE state = 'waiting' AND lane = 'effects' AND priority = level AND dispatched_at IS NULL
     ORDER BY run_at, id LIMIT 1)
    UNION ALL
    (SELECT lease_until FROM jobs
     WHERE state = 'leased' AND lane = 'effects' AND priority = level AND dispatched_at IS NULL
     ORDER BY lease_until LIMIT 1)
) AS open_jobs;

-- name: finish(id, worker, attempts)!
-- Runs in the transaction that has the job's effect. No row: somebody else holds the lease now.
UPDATE jobs
SET state = 'done', done_at = now(), lease_until = NULL, last_error = NULL
WHERE id = :id AND state = 'leased' AND leased_by = :worker AND attempts = :attempts;

-- name: keep_waiting(kind, key)$
-- Whether a job waits; until the transaction ends nobody leases it.
SELECT true FROM jobs WHERE kind = :kind AND key = :key AND state = 'waiting' FOR KEY SHARE;

-- name: hold(id, worker, attempts)$
-- Whether the lease is still ours; until the transaction ends nobody takes it over.
SELECT true FROM jobs
WHERE id = :id AND state = 'leased' AND leased_by = :worker AND attempts = :attempts
FOR UPDATE;

-- name: extend(ids, attempts, worker, seconds)
-- The leases that are still ours, prolonged.
UPDATE jobs
SET lease_until = now() + make_interval(secs => :seconds)
FROM unnest(CAST(:ids AS bigint[]), CAST(:attempts AS integer[])) AS held (id, attempts)
WHERE jobs.id = held.id AND jobs.state = 'leased' AND jobs.leased_by = :worker
  AND jobs.attempts = held.attempts
RETURNING jobs.id;

-- name: retry(id, worker, attempts, delay, error, refund)^
-- `refund` = 1 gives the attempt back: the job waited for something and did not fail. A lease that
-- was lost keeps its number, so (worker, attempts) never names two leases.
WITH again AS (
    UPDATE jobs
    SET state = 'waiting', run_at = now() + :delay, attempts = attempts - :refund,
        leased_by = NULL, lease_until = NULL, last_error = :error
    WHERE id = :id AND state = 'leased' AND leased_by = :worker AND attempts = :attempts
    RETURNING id, lane
)
SELECT id, pg_notify('jobs_' || lane, '') FROM again;

-- name: release(ids, attempts, worker)!
-- Leases that were never started go back as they were, for another worker to take at once.
WITH held AS (
    SELECT * FROM unnest(CAST(:ids AS bigint[]), CAST(:attempts AS integer[])) AS held (id, attempts)
), again AS (
    UPDATE jobs
    SET state = 'waiting', attempts = jobs.attempts - 1,
        leased_by = NULL, lease_until = NULL
    FROM held
    WHERE jobs.id = held.id AND jobs.state = 'leased' AND jobs.leased_by = :worker
      AND jobs.attempts = held.attempts
    RETURNING jobs.lane
)
SELECT pg_notify('jobs_' || lane, '') FROM again;

-- name: bury(id, worker, attempts, error)!
UPDATE jobs
SET state = 'dead', done_at = now(), lease_until = NULL, last_error = :error
WHERE id = :id AND state = 'leased' AND leased_by = :worker AND attempts = :attempts;

-- name: lead()$
-- Whether this session is (now) the one that relays; the lock goes with the session.
SELECT pg_try_advisory_lock(hashtext('jobs.relay'));

-- name: due_for_dispatch(level, count, redispatch)
-- Due ids of effects that belong on the stream `level` and are not there: new, or become more urgent
-- since they were dispatched, or dispatched longer ago than `redispatch` seconds (Redis may have lost
-- them).
UPDATE jobs
SET dispatched_at = now()
WHERE id IN (
    SELECT id FROM jobs
    WHERE lane = 'effects'
      AND ((state = 'waiting' AND run_at <= now()) OR (state = 'leased' AND lease_until <= now()))
      AND :level = greatest(0, priority
          - floor(extract(epoch FROM now() - run_at) / (10 * nullif(priority, 0))))
      AND (dispatched_at IS NULL
           OR dispatched_at <= now() - make_interval(secs => :redispatch)
           OR :level < greatest(0, priority
              - floor(extract(epoch FROM dispatched_at - run_at) / (10 * nullif(priority, 0)))))
    ORDER BY run_at, id
    LIMIT :count
    FOR UPDATE SKIP LOCKED
)
RETURNING id, run_at;

-- name: undispatch(ids)!
UPDATE jobs SET dispatched_at = NULL WHERE id = ANY (:ids) AND state IN ('waiting', 'leased');

-- name: depth()
-- Open jobs by lane and priority. `oldest` is the age in seconds of the job that has been due longest.
SELECT lanes.lane, level AS priority,
       count(jobs.id) FILTER (WHERE state = 'waiting' AND run_at > now()) AS delayed,
       count(jobs.id) FILTER (WHERE state = 'waiting' AND run_at <= now()) AS due,
       count(jobs.id) FILTER (WHERE state = 'leased') AS leased,
       coalesce(extract(epoch FROM now() - min(run_at) FILTER (WHERE state = 'waiting' AND run_at <= now())), 0)::float8 AS oldest
FROM unnest(ARRAY['effects', 'replies']) AS lanes (lane)
CROSS JOIN generate_series(0, 2) AS level
LEFT JOIN jobs ON jobs.lane = lanes.lane AND jobs.priority = level AND state IN ('waiting', 'leased')
GROUP BY lanes.lane, level
ORDER BY lanes.lane, level;

-- name: dead_count()$
SELECT count(*) FROM jobs WHERE state = 'dead';

-- name: done_count(seconds)$
SELECT count(*) FROM jobs WHERE state = 'done' AND done_at > now() - make_interval(secs => :seconds);

-- name: job(id)^
SELECT * FROM jobs WHERE id = :id;

-- name: dead(kind, count)
-- The newest dead letters first; of one kind, or with NULL of all.
SELECT * FROM jobs
WHERE state = 'dead' AND kind = coalesce(:kind, kind)
ORDER BY done_at DESC, id DESC
LIMIT :count;

-- name: requeue(id)^
WITH again AS (
    UPDATE jobs
    SET state = 'waiting', run_at = now(), attempts = 0, leased_by = NULL, lease_until = NULL,
        done_at = NULL
    WHERE id = :id AND state = 'dead'
    RETURNING id, lane
)
SELECT id, pg_notify('jobs_' || lane, '') FROM again;

-- name: requeue_kind(kind, until)
-- As requeue, for all dead letters of a kind that died no later than `until`.
WITH again AS (
    UPDATE jobs
    SET state = 'waiting', run_at = now(), attempts = 0, leased_by = NULL, lease_until = NULL,
        done_at = NULL
    WHERE state = 'dead' AND kind = :kind AND done_at <= :until
    RETURNING id, lane
)
SELECT id, pg_notify('jobs_' || lane, '') FROM again;

-- name: drop(id)^
DELETE FROM jobs WHERE id = :id AND state = 'dead' RETURNING *;

-- name: drop_kind(kind, until)
-- As drop, for all dead letters of a kind that died no later than `until`.
DELETE FROM jobs WHERE state = 'dead' AND kind = :kind AND done_at <= :until RETURNING *;

-- name: dead_kinds()
SELECT kind, count(*) FROM jobs WHERE state = 'dead' GROUP BY kind ORDER BY kind;

-- name: dead_ids(kind)
SELECT id FROM jobs WHERE state = 'dead' AND kind = coalesce(:kind, kind) ORDER BY id;

-- name: write_points()
-- Points each bot account spent in the last hour and the last day.
SELECT account,
       coalesce(sum(points) FILTER (WHERE minute > now() - interval '1 hour'), 0)::bigint AS hour,
       sum(points)::bigint AS day
FROM write_points
WHERE minute > now() - interval '1 day'
GROUP BY account;
