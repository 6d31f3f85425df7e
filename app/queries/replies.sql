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

-- name: begin(mention_uri, account, rkey)!
UPDATE replies SET account = :account, rkey = :rkey, begun_at = coalesce(begun_at, now())
WHERE mention_uri = :mention_uri AND state = 'pending' AND (begun_at IS NULL OR account = :account);

-- name: run_short(mention_uri)!
UPDATE replies SET short_at = now()
WHERE mention_uri = :mention_uri AND state = 'pending' AND begun_at IS NULL AND short_at IS NULL;

-- name: short(most)
SELECT replies.* FROM replies JOIN jobs ON jobs.kind = 'reply' AND jobs.key = replies.mention_uri
WHERE replies.state = 'pending' AND replies.begun_at IS NULL AND replies.short_at IS NOT NULL
ORDER BY jobs.priority, replies.created_at
LIMIT :most;

-- name: into_digest(mention_uri, digest_id)!
UPDATE replies SET state = 'digested', digest_id = :digest_id
WHERE mention_uri = :mention_uri AND state = 'pending' AND begun_at IS NULL;
