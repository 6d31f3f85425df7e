-- Posts that answer several people at once.

-- name: add(id, job_key, account, rkey, record)!
INSERT INTO digests (id, job_key, account, rkey, record)
VALUES (:id, :job_key, :account, :rkey, :record);

-- name: of_job(job_key)^
SELECT * FROM digests WHERE job_key = :job_key;

-- name: revise(id, record)!
UPDATE digests SET record = :record WHERE id = :id AND sent_at IS NULL;

-- name: drop(id)!
DELETE FROM digests WHERE id = :id AND sent_at IS NULL;

-- name: count_people(id)$
SELECT count(*) FROM replies WHERE digest_id = :id;

-- name: mark_sent(id, uri, cid)!
UPDATE digests SET uri = :uri, cid = :cid, sent_at = now() WHERE id = :id AND sent_at IS NULL;
