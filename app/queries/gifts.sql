-- Offers of objects. A pending one changes once, to any other status.

-- name: get(id)^
SELECT gifts.*, objects.name AS object_name,
       givers.handle AS giver_handle, recipients.handle AS recipient_handle
FROM gifts
JOIN objects ON objects.id = gifts.object_id
JOIN users AS givers ON givers.did = gifts.giver_did
JOIN users AS recipients ON recipients.did = gifts.recipient_did
WHERE gifts.id = :id;

-- name: of_mention(mention_uri)$
SELECT id FROM gifts WHERE mention_uri = :mention_uri;

-- name: pending_for_object(object_id)$
SELECT id FROM gifts WHERE object_id = :object_id AND status = 'pending';

-- name: pending_for_recipient(did, now, count)
-- Oldest first: that is the order in which they are answered.
SELECT gifts.*, objects.name AS object_name,
       givers.handle AS giver_handle, recipients.handle AS recipient_handle
FROM gifts
JOIN objects ON objects.id = gifts.object_id
JOIN users AS givers ON givers.did = gifts.giver_did
JOIN users AS recipients ON recipients.did = gifts.recipient_did
WHERE gifts.recipient_did = :did AND gifts.status = 'pending' AND gifts.expires_at > :now
ORDER BY gifts.offered_at, gifts.id
LIMIT :count;

-- name: add(id, object_id, giver_did, recipient_did, mention_uri, offered_at, expires_at)!
INSERT INTO gifts (id, object_id, giver_did, recipient_did, mention_uri, offered_at, expires_at)
VALUES (:id, :object_id, :giver_did, :recipient_did, :mention_uri, :offered_at, :expires_at);

-- name: settle(id, status, now)!
UPDATE gifts SET status = :status, settled_at = :now WHERE id = :id AND status = 'pending';

-- name: settle_all_of_user(did, now)!
-- Somebody leaves: what was offered to them is declined, what they offered is withdrawn.
UPDATE gifts
SET status = CASE WHEN recipient_did = :did THEN 'declined' ELSE 'withdrawn' END,
    settled_at = :now
WHERE status = 'pending' AND (recipient_did = :did OR giver_did = :did);
