-- The inbox: what Bluesky told us, once per post.

-- name: add(uri, cid, author_did, author_handle, text, facets, reply_root, reply_parent, source, indexed_at, received_at)!
INSERT INTO mentions (uri, cid, author_did, author_handle, text, facets, reply_root, reply_parent,
                      source, indexed_at, received_at)
VALUES (:uri, :cid, :author_did, :author_handle, :text, :facets, :reply_root, :reply_parent,
        :source, :indexed_at, :received_at)
ON CONFLICT (uri) DO NOTHING;

-- name: get(uri)^
SELECT * FROM mentions WHERE uri = :uri;

-- name: mark_deleted(uri)!
UPDATE mentions SET deleted_at = now() WHERE uri = :uri AND deleted_at IS NULL;
