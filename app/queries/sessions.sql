-- Sessions of the bot's accounts, encrypted. One process at a time renews an account's session.

-- name: lock(handle)$
SELECT pg_advisory_xact_lock(hashtext('bluesky.session'), hashtext(:handle));

-- name: get(handle)$
SELECT session FROM bluesky_sessions WHERE handle = :handle;

-- name: put(handle, session)!
INSERT INTO bluesky_sessions (handle, session) VALUES (:handle, :session)
ON CONFLICT (handle) DO UPDATE SET session = excluded.session, updated_at = now();

-- name: drop(handle)!
DELETE FROM bluesky_sessions WHERE handle = :handle;
