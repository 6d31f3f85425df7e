-- The outbox: the reply to a mention, and what became of it.

-- name: add(mention_uri, account, rkey, record, object_id, gift_id)!
INSERT INTO replies (mention_uri, account, rkey, record, object_id, gift_id)
VALUES (:mention_uri, :account, :rkey, :record, :object_id, :gift_id)
ON CONFLICT (mention_uri) DO NOTHING;

-- name: get(mention_uri)^
SELECT * FROM replies WHERE mention_uri = :mention_uri;

-- name: by_uri(uri)^
SELECT * FROM replies WHERE uri = :uri;

-- name: rkey_taken(account, rkey)$
SELECT EXISTS (SELECT FROM replies WHERE account = :account AND rkey = :rkey);

-- name: mark_sent(mention_uri, uri, cid)!
UPDATE replies SET state = 'sent', reason = NULL, uri = :uri, cid = :cid, sent_at = now()
WHERE mention_uri = :mention_uri AND state <> 'sent';

-- name: withhold(mention_uri, reason)!
UPDATE replies SET state = 'withheld', reason = :reason
WHERE mention_uri = :mention_uri AND state = 'pending';

-- name: begin(mention_uri, account, rkey)$
-- Each begin has a time of its own, by which `put_back` knows that nobody has begun since.
UPDATE replies SET account = :account, rkey = :rkey, begun_at = clock_timestamp()
WHERE mention_uri = :mention_uri AND state = 'pending' AND (begun_at IS NULL OR account = :account)
RETURNING begun_at;

-- name: put_back(mention_uri, begun_at)!
UPDATE replies SET begun_at = NULL
WHERE mention_uri = :mention_uri AND state = 'pending' AND begun_at = :begun_at;

-- name: run_short(mention_uri)!
UPDATE replies SET short_at = now()
WHERE mention_uri = :mention_uri AND state = 'pending' AND begun_at IS NULL AND short_at IS NULL;

-- name: short(most)
SELECT replies.*, jobs.payload FROM replies
JOIN jobs ON jobs.kind = 'reply' AND jobs.key = replies.mention_uri
WHERE replies.state = 'pending' AND replies.begun_at IS NULL AND replies.short_at IS NOT NULL
  AND jobs.state IN ('waiting', 'leased')
ORDER BY jobs.priority, replies.created_at, replies.mention_uri
LIMIT :most;

-- name: in_digest(digest_id)
SELECT replies.*, jobs.payload FROM replies
JOIN jobs ON jobs.kind = 'reply' AND jobs.key = replies.mention_uri
WHERE replies.digest_id = :digest_id
ORDER BY jobs.priority, replies.created_at, replies.mention_uri;

-- name: into_digest(mention_uri, digest_id)^
-- The reply's own job has nothing left to do; where a worker has it just now, that finds so itself.
WITH taken AS (
    UPDATE replies SET state = 'digested', digest_id = :digest_id
    WHERE mention_uri = :mention_uri AND state = 'pending' AND begun_at IS NULL
    RETURNING mention_uri
), done AS (
    UPDATE jobs SET state = 'done', done_at = now(), last_error = NULL
    FROM taken
    WHERE jobs.kind = 'reply' AND jobs.key = taken.mention_uri AND jobs.state = 'waiting'
)
SELECT mention_uri FROM taken;

-- name: out_of_digest(mention_uri, reason)!
UPDATE replies SET state = 'withheld', reason = :reason, digest_id = NULL
WHERE mention_uri = :mention_uri AND state = 'digested';

-- name: dissolve(digest_id)!
-- Those that a digest was to answer wait again.
WITH free AS (
    UPDATE replies SET state = 'pending', digest_id = NULL
    WHERE digest_id = :digest_id
    RETURNING mention_uri
)
UPDATE jobs SET state = 'waiting', run_at = now(), done_at = NULL
FROM free
WHERE jobs.kind = 'reply' AND jobs.key = free.mention_uri AND jobs.state = 'done';

-- name: offered_in_digest(uri, did)$
-- The one offer that a posted digest brought to somebody; NULL where it brought none or several.
SELECT (array_agg(replies.gift_id))[1]
FROM digests
JOIN replies ON replies.digest_id = digests.id
JOIN gifts ON gifts.id = replies.gift_id
WHERE digests.uri = :uri AND gifts.recipient_did = :did
HAVING count(*) = 1;
