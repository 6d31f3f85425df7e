-- The ledger: a row for each change of ownership, never changed afterwards.

-- name: add(id, kind, object_id, from_did, to_did, gift_id, at)!
INSERT INTO transactions (id, kind, object_id, from_did, to_did, gift_id, at)
VALUES (:id, :kind, :object_id, :from_did, :to_did, :gift_id, :at);

-- name: of_object(object_id, before_at, before_id, count)
SELECT transactions.*, objects.name AS object_name,
       givers.handle AS from_handle, receivers.handle AS to_handle
FROM transactions
JOIN objects ON objects.id = transactions.object_id
JOIN users AS receivers ON receivers.did = transactions.to_did
LEFT JOIN users AS givers ON givers.did = transactions.from_did
WHERE transactions.object_id = :object_id
  AND (:before_at::timestamptz IS NULL
       OR (transactions.at, transactions.id) < (:before_at, :before_id::uuid))
ORDER BY transactions.at DESC, transactions.id DESC
LIMIT :count;
