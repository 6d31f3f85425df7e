-- Where a server stands in the write-ahead log. Positions are bytes since the cluster was made.

-- name: standing()^
-- How far a primary has written or a replica has replayed; the timeline is 0 on a replica.
SELECT
    (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_flush_lsn() END
     - '0/0')::bigint AS position,
    CASE WHEN pg_is_in_recovery() THEN 0
    ELSE ('x' || left(pg_walfile_name(pg_current_wal_flush_lsn()), 8))::bit(32)::int END AS timeline;

-- name: written()$
-- Past everything that is committed now, on the primary.
SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint;

-- name: replayed()$
-- How far this server can show what was committed. NULL on a primary that never was a replica.
SELECT (pg_last_wal_replay_lsn() - '0/0')::bigint;
