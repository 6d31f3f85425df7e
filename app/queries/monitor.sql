-- What the monitor asks each PostgreSQL server, and the samples behind the charts of the site.

-- name: server()^
-- Figures since the server's statistics began. `connections` counts those of all databases.
SELECT pg_is_in_recovery() AS replica,
       (SELECT sum(numbackends) FROM pg_stat_database)::float8 AS connections,
       current_setting('max_connections')::float8 AS max_connections,
       xact_commit::float8 AS commits, xact_rollback::float8 AS rollbacks,
       blks_hit::float8 AS blocks_hit, blks_read::float8 AS blocks_read,
       deadlocks::float8 AS deadlocks, conflicts::float8 AS conflicts,
       temp_bytes::float8 AS temporary_bytes,
       pg_database_size(datname)::float8 AS size_bytes
FROM pg_stat_database WHERE datname = current_database();

-- name: written()$
-- How far the primary has written, as bytes of WAL; NULL on a replica.
SELECT CASE WHEN NOT pg_is_in_recovery()
       THEN pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint END;

-- name: replayed()$
-- How far a replica has replayed; NULL on a primary.
SELECT pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0')::bigint WHERE pg_is_in_recovery();

-- name: mentions_received(first, last)$
SELECT count(*) FROM mentions
WHERE received_at > to_timestamp(:first) AND received_at <= to_timestamp(:last);

-- name: add_samples(at, series, labels, values)!
INSERT INTO samples (at, series, label, value)
SELECT to_timestamp(:at), found.series, found.label, found.value
FROM unnest(CAST(:series AS text[]), CAST(:labels AS text[]), CAST(:values AS float8[]))
     AS found (series, label, value)
ON CONFLICT DO NOTHING;

-- name: forget_samples(hours)!
DELETE FROM samples WHERE at < now() - make_interval(hours => :hours);
