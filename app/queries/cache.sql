-- What the cache needs to know when it invalidates.

-- name: naming(did)
-- What shows somebody's name besides their own page and the lists of everything: objects they have,
-- had or are offered, and people with whom an offer is open; and the handle that now means them.
SELECT 'object' AS scope, id::text AS key FROM objects WHERE owner_did = :did
UNION SELECT 'object', object_id::text FROM transactions WHERE to_did = :did
UNION SELECT 'object', object_id::text FROM transactions WHERE from_did = :did
UNION SELECT 'object', object_id::text FROM gifts WHERE recipient_did = :did AND status = 'pending'
UNION SELECT 'user', giver_did FROM gifts WHERE recipient_did = :did AND status = 'pending'
UNION SELECT 'user', gifts.recipient_did
-- Who offers an object owns it, and objects have an index by owner.
FROM gifts JOIN objects ON objects.id = gifts.object_id
WHERE objects.owner_did = :did AND gifts.status = 'pending'
UNION SELECT 'handle', lower(handle) FROM users WHERE did = :did;
