-- People by DID. Handles change, so each mention brings the current one.

-- name: ensure(did, handle, display_name)^
-- A row that is up to date is not written again: most mentions come from people we know.
WITH changed AS (
    INSERT INTO users (did, handle, display_name)
    VALUES (:did, :handle, :display_name)
    ON CONFLICT (did) DO UPDATE
        SET handle = excluded.handle,
            display_name = coalesce(excluded.display_name, users.display_name),
            updated_at = now()
        WHERE users.handle <> excluded.handle
           OR users.display_name IS DISTINCT FROM coalesce(excluded.display_name, users.display_name)
    RETURNING *
)
SELECT * FROM changed
UNION ALL
SELECT * FROM users WHERE did = :did AND NOT EXISTS (SELECT FROM changed);

-- name: get(did)^
SELECT * FROM users WHERE did = :did;

-- name: by_handle(handle)^
-- The handle's latest bearer.
SELECT * FROM users WHERE lower(handle) = lower(:handle) ORDER BY updated_at DESC, did LIMIT 1;

-- name: opt_out(did)^
UPDATE users SET opted_out_at = coalesce(opted_out_at, now()), updated_at = now()
WHERE did = :did
RETURNING *;

-- name: opt_in(did)^
UPDATE users SET opted_out_at = NULL, updated_at = now()
WHERE did = :did
RETURNING *;
