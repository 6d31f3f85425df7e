-- The figures of the status page.

-- name: mentions_per_minute(minutes)
-- Oldest minute first, the current one last.
SELECT minutes.at, count(mentions.uri) AS count
FROM generate_series(
    date_trunc('minute', now()) - make_interval(mins => :minutes - 1),
    date_trunc('minute', now()), interval '1 minute') AS minutes (at)
LEFT JOIN mentions
    ON mentions.received_at >= minutes.at AND mentions.received_at < minutes.at + interval '1 minute'
GROUP BY minutes.at
ORDER BY minutes.at;

-- name: reply_seconds_per_slot(slots, seconds)
-- From the arrival of a mention to its sent reply, median and 95th percentile of each time slot;
-- NULL where none was sent.
SELECT slots.at, count(replies.mention_uri) AS count,
       percentile_cont(0.5) WITHIN GROUP (
           ORDER BY extract(epoch FROM replies.sent_at - mentions.received_at)) AS median,
       percentile_cont(0.95) WITHIN GROUP (
           ORDER BY extract(epoch FROM replies.sent_at - mentions.received_at)) AS p95
FROM generate_series(
    now() - make_interval(secs => :slots::integer * :seconds::integer),
    now() - make_interval(secs => :seconds::integer),
    make_interval(secs => :seconds::integer)) AS slots (at)
LEFT JOIN replies
    ON replies.state = 'sent' AND replies.sent_at >= slots.at
   AND replies.sent_at < slots.at + make_interval(secs => :seconds::integer)
LEFT JOIN mentions ON mentions.uri = replies.mention_uri
GROUP BY slots.at
ORDER BY slots.at;

-- name: ingest_lag()^
-- Seconds between Bluesky indexing a mention and its arrival here, over the last quarter of an hour.
SELECT count(*) AS count,
       percentile_cont(0.5) WITHIN GROUP (
           ORDER BY extract(epoch FROM received_at - indexed_at)) AS median,
       max(received_at) AS last_at
FROM mentions
WHERE received_at > now() - interval '15 minutes';

-- name: cursors()
SELECT source, updated_at FROM cursors ORDER BY source;

-- name: write_points_per_hour(hours)
-- Spent by all accounts, oldest hour first, the current one last.
SELECT hours.at, coalesce(sum(write_points.points), 0)::bigint AS points
FROM generate_series(
    date_trunc('hour', now()) - make_interval(hours => :hours - 1),
    date_trunc('hour', now()), interval '1 hour') AS hours (at)
LEFT JOIN write_points
    ON write_points.minute >= hours.at AND write_points.minute < hours.at + interval '1 hour'
GROUP BY hours.at
ORDER BY hours.at;

-- name: write_points_spent()^
-- By the account that spent most, over the last 60 minutes and the last 24 hours.
SELECT coalesce(max(spent.hour), 0)::bigint AS hour, coalesce(max(spent.day), 0)::bigint AS day
FROM (
    SELECT sum(points) FILTER (WHERE minute > now() - interval '1 hour') AS hour, sum(points) AS day
    FROM write_points
    WHERE minute > now() - interval '24 hours'
    GROUP BY account
) AS spent;

-- name: write_points_by_account()
-- Spent over the last 60 minutes and the last 24 hours. An account that is in use has a session,
-- which is renewed every two hours, also where it has written nothing.
SELECT account,
       coalesce(sum(points) FILTER (WHERE minute > now() - interval '1 hour'), 0)::bigint AS hour,
       sum(points)::bigint AS day
FROM (
    SELECT account, minute, points FROM write_points WHERE minute > now() - interval '24 hours'
    UNION ALL
    SELECT handle, now(), 0 FROM bluesky_sessions WHERE updated_at > now() - interval '24 hours'
) AS spent
GROUP BY account
ORDER BY account;

-- name: replies_in_seconds(seconds)^
-- How long the replies sent within this time took, from the arrival of their mention.
SELECT count(*) AS count,
       percentile_cont(0.5) WITHIN GROUP (
           ORDER BY extract(epoch FROM replies.sent_at - mentions.received_at)) AS median,
       percentile_cont(0.95) WITHIN GROUP (
           ORDER BY extract(epoch FROM replies.sent_at - mentions.received_at)) AS p95
FROM replies
JOIN mentions ON mentions.uri = replies.mention_uri
WHERE replies.state = 'sent' AND replies.sent_at > now() - make_interval(secs => :seconds);

-- name: history(hours, steps)
-- What the monitor measured in each of so many equal steps, 0 being the oldest: what is measured all
-- the time as its mean, and else the highest, so that a peak shows however far one looks back.
SELECT series, label, steps.step,
       CASE WHEN series IN ('hits', 'workers', 'points', 'mentions')
            THEN avg(value) ELSE max(value) END AS value
FROM samples,
LATERAL (
    SELECT :steps - 1 - floor(
        extract(epoch FROM now() - at) * :steps / (CAST(:hours AS integer) * 3600))::integer AS step
) AS steps
WHERE at > now() - make_interval(hours => :hours) AND at <= now()
GROUP BY series, label, steps.step
ORDER BY series, label, steps.step;
