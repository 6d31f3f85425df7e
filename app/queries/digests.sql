-- Posts that answer several people at once.

-- name: add(id, job_key, account, rkey, record)!
INSERT INTO digests (id, job_key, account, rkey, record)
VALUES (:id, :job_key, :account, :rkey, :record);

-- name: of_job(job_key)^
SELECT * FROM digests WHERE job_key = :job_key;

-- name: people(digest_id)
-- Whom a digest answers: people as they are now, and whether their mention is gone.
SELECT mentions.author_did AS did,
    coalesce(users.opted_out_at IS NOT NULL, false) OR mentions.deleted_at IS NOT NULL AS hushed
FROM replies JOIN mentions ON mentions.uri = replies.mention_uri
LEFT JOIN users ON users.did = mentions.author_did
WHERE replies.digest_id = :digest_id;

-- name: mark_sent(id, uri, cid)!
UPDATE digests SET uri = :uri, cid = :cid, sent_at = now() WHERE id = :id AND sent_at IS NULL;
