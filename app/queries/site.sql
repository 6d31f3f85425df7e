-- What the website and its API show. People who opted out keep their rows and lose their names:
-- `hidden` tells, and the models leave the person out.

-- name: objects(owner_did, rarity, category, region, before_at, before_id, count)
-- Newest first; NULL leaves a filter out. (before_at, before_id) is the last row of the page before.
SELECT objects.id, objects.name, objects.category, objects.rarity, objects.region,
       objects.created_at, users.did AS owner_did, users.handle AS owner_handle,
       users.display_name AS owner_name, users.opted_out_at IS NOT NULL AS owner_hidden
FROM objects
JOIN users ON users.did = objects.owner_did
WHERE (:owner_did::text IS NULL OR objects.owner_did = :owner_did)
  AND (:rarity::text IS NULL OR objects.rarity = :rarity)
  AND (:category::text IS NULL OR objects.category = :category)
  AND (:region::text IS NULL OR objects.region = :region)
  AND (:before_at::timestamptz IS NULL
       OR (objects.created_at, objects.id) < (:before_at, :before_id::uuid))
ORDER BY objects.created_at DESC, objects.id DESC
LIMIT :count;

-- name: object_with_owner(id)^
SELECT objects.*, users.handle AS owner_handle, users.display_name AS owner_name,
       users.opted_out_at IS NOT NULL AS owner_hidden
FROM objects
JOIN users ON users.did = objects.owner_did
WHERE objects.id = :id;

-- name: search_objects(query, before_at, before_id, count)
-- Every word must occur, the last one may be unfinished; quotes and minus work as in web searches.
WITH wanted AS (
    SELECT (nullif(websearch_to_tsquery('english', :query)::text, '') || ':*')::tsquery AS words
)
SELECT objects.id, objects.name, objects.category, objects.rarity, objects.region,
       objects.created_at, users.did AS owner_did, users.handle AS owner_handle,
       users.display_name AS owner_name, users.opted_out_at IS NOT NULL AS owner_hidden
FROM wanted, objects
JOIN users ON users.did = objects.owner_did
WHERE to_tsvector('english', objects.name || ' ' || objects.description || ' ' ||
                  objects.category || ' ' || objects.region) @@ wanted.words
  AND (:before_at::timestamptz IS NULL
       OR (objects.created_at, objects.id) < (:before_at, :before_id::uuid))
ORDER BY objects.created_at DESC, objects.id DESC
LIMIT :count;

-- name: search_people(prefix, count)
-- Handles that start with the prefix (lower case, wildcards escaped).
SELECT did, handle, display_name AS name, false AS hidden
FROM users
WHERE lower(handle) LIKE :prefix AND opted_out_at IS NULL
ORDER BY lower(handle)
LIMIT :count;

-- name: did_of_handle(handle)$
-- Handles move between accounts; the row that changed last knows best.
SELECT did FROM users WHERE lower(handle) = lower(:handle) ORDER BY updated_at DESC LIMIT 1;

-- name: person(did)^
SELECT did, handle, display_name AS name, opted_out_at IS NOT NULL AS hidden, created_at
FROM users
WHERE did = :did;

-- name: people(after_did, count)
SELECT did, handle, display_name AS name, opted_out_at IS NOT NULL AS hidden, created_at
FROM users
WHERE did > :after_did AND opted_out_at IS NULL
ORDER BY did
LIMIT :count;

-- name: collection_by_rarity(did)
SELECT rarity, count(*) AS count FROM objects WHERE owner_did = :did GROUP BY rarity;

-- name: person_totals(did)^
SELECT (SELECT count(*) FROM claims WHERE did = :did) AS claims,
       (SELECT count(*) FROM transactions WHERE from_did = :did) AS given,
       (SELECT count(*) FROM transactions WHERE to_did = :did AND kind = 'gift') AS received;

-- name: claims_of_day(day, before_at, before_id, count)
SELECT objects.id, objects.name, objects.category, objects.rarity, objects.region,
       objects.created_at, owners.did AS owner_did, owners.handle AS owner_handle,
       owners.display_name AS owner_name, owners.opted_out_at IS NOT NULL AS owner_hidden,
       claims.claimed_at, claimers.did AS claimer_did, claimers.handle AS claimer_handle,
       claimers.display_name AS claimer_name, claimers.opted_out_at IS NOT NULL AS claimer_hidden
FROM claims
JOIN objects ON objects.id = claims.object_id
JOIN users AS owners ON owners.did = objects.owner_did
JOIN users AS claimers ON claimers.did = claims.did
WHERE claims.day = :day
  AND (:before_at::timestamptz IS NULL
       OR (claims.claimed_at, claims.object_id) < (:before_at, :before_id::uuid))
ORDER BY claims.claimed_at DESC, claims.object_id DESC
LIMIT :count;

-- name: provenance(object_id, count)
-- Newest first.
SELECT transactions.id, transactions.kind, transactions.at,
       givers.did AS giver_did, givers.handle AS giver_handle, givers.display_name AS giver_name,
       givers.opted_out_at IS NOT NULL AS giver_hidden,
       receivers.did AS receiver_did, receivers.handle AS receiver_handle,
       receivers.display_name AS receiver_name, receivers.opted_out_at IS NOT NULL AS receiver_hidden
FROM transactions
LEFT JOIN users AS givers ON givers.did = transactions.from_did
JOIN users AS receivers ON receivers.did = transactions.to_did
WHERE transactions.object_id = :object_id
ORDER BY transactions.at DESC, transactions.id DESC
LIMIT :count;

-- name: recent_gifts(count)
SELECT transactions.id, transactions.kind, transactions.at,
       objects.id AS object_id, objects.name AS object_name, objects.rarity AS object_rarity,
       givers.did AS giver_did, givers.handle AS giver_handle, givers.display_name AS giver_name,
       givers.opted_out_at IS NOT NULL AS giver_hidden,
       receivers.did AS receiver_did, receivers.handle AS receiver_handle,
       receivers.display_name AS receiver_name, receivers.opted_out_at IS NOT NULL AS receiver_hidden
FROM (SELECT * FROM gifts WHERE status = 'accepted' ORDER BY settled_at DESC LIMIT :count) AS settled
JOIN transactions ON transactions.gift_id = settled.id
JOIN objects ON objects.id = settled.object_id
JOIN users AS givers ON givers.did = transactions.from_did
JOIN users AS receivers ON receivers.did = transactions.to_did
ORDER BY transactions.at DESC, transactions.id DESC;

-- name: offers(object_id, recipient_did, giver_did, now, count)
-- Gifts waiting for an answer, of one object, recipient or giver; oldest first.
SELECT gifts.id, gifts.offered_at, gifts.expires_at,
       objects.id AS object_id, objects.name AS object_name, objects.rarity AS object_rarity,
       givers.did AS giver_did, givers.handle AS giver_handle, givers.display_name AS giver_name,
       givers.opted_out_at IS NOT NULL AS giver_hidden,
       receivers.did AS receiver_did, receivers.handle AS receiver_handle,
       receivers.display_name AS receiver_name, receivers.opted_out_at IS NOT NULL AS receiver_hidden
FROM gifts
JOIN objects ON objects.id = gifts.object_id
JOIN users AS givers ON givers.did = gifts.giver_did
JOIN users AS receivers ON receivers.did = gifts.recipient_did
WHERE gifts.status = 'pending' AND gifts.expires_at > :now
  AND (:object_id::uuid IS NULL OR gifts.object_id = :object_id)
  AND (:recipient_did::text IS NULL OR gifts.recipient_did = :recipient_did)
  -- Who offers an object owns it, and objects have an index by owner.
  AND (:giver_did::text IS NULL OR objects.owner_did = :giver_did)
ORDER BY gifts.offered_at
LIMIT :count;

-- name: collectors(count)
SELECT users.did, users.handle, users.display_name AS name, false AS hidden, best.count
FROM (SELECT owner_did AS did, count(*) AS count FROM objects GROUP BY owner_did) AS best
JOIN users ON users.did = best.did
WHERE users.opted_out_at IS NULL
ORDER BY best.count DESC, users.did
LIMIT :count;

-- name: givers(count)
SELECT users.did, users.handle, users.display_name AS name, false AS hidden, best.count
FROM (SELECT from_did AS did, count(*) AS count
      FROM transactions WHERE from_did IS NOT NULL GROUP BY from_did) AS best
JOIN users ON users.did = best.did
WHERE users.opted_out_at IS NULL
ORDER BY best.count DESC, users.did
LIMIT :count;

-- name: count_people()$
SELECT count(*) FROM users;

-- name: count_objects_before(at)$
SELECT count(*) FROM objects WHERE created_at < :at;

-- name: counts(day, start, cut)^
-- Claims and gifts of the day that begins at `start`; objects made since `cut`.
SELECT (SELECT count(*) FROM claims WHERE day = :day) AS claims,
       (SELECT count(*) FROM transactions WHERE at >= :start AND kind = 'gift') AS gifts,
       (SELECT count(*) FROM objects WHERE created_at >= :cut) AS objects;

-- name: claims_per_day(first, last)
-- Days without a claim are there too, with 0.
SELECT days.day::date AS day, count(claims.did) AS count
FROM generate_series(:first::date, :last::date, interval '1 day') AS days (day)
LEFT JOIN claims ON claims.day = days.day::date
GROUP BY days.day
ORDER BY days.day;
