-- Objects, each with its one owner.

-- name: get(id)^
SELECT objects.*, users.handle AS owner_handle
FROM objects JOIN users ON users.did = objects.owner_did
WHERE objects.id = :id;

-- name: lock(id)^
-- Whoever changes an object's owner or offers it holds this lock. It joins nothing: after waiting, a
-- join would still see the owner of before.
SELECT id FROM objects WHERE id = :id FOR UPDATE;

-- name: add(id, name, description, category, rarity, region, seed, owner_did, created_at)!
INSERT INTO objects (id, name, description, category, rarity, region, seed, owner_did, created_at)
VALUES (:id, :name, :description, :category, :rarity, :region, :seed, :owner_did, :created_at);

-- name: set_owner(id, owner_did)!
UPDATE objects SET owner_did = :owner_did WHERE id = :id;

-- name: by_owner(did, before_at, before_id, count)
SELECT objects.*, users.handle AS owner_handle
FROM objects JOIN users ON users.did = objects.owner_did
WHERE objects.owner_did = :did
  AND (:before_at::timestamptz IS NULL
       OR (objects.created_at, objects.id) < (:before_at, :before_id::uuid))
ORDER BY objects.created_at DESC, objects.id DESC
LIMIT :count;

-- name: count_by_owner(did)$
SELECT count(*) FROM objects WHERE owner_did = :did;

-- name: named(did, name, count)
-- Names are plain ASCII; the caller folds what people typed.
SELECT objects.*, users.handle AS owner_handle
FROM objects JOIN users ON users.did = objects.owner_did
WHERE objects.owner_did = :did AND lower(objects.name) = :name
ORDER BY objects.created_at DESC, objects.id DESC
LIMIT :count;

-- name: exists_named(name)$
SELECT EXISTS (SELECT FROM objects WHERE lower(name) = :name);

-- name: named_partly(did, words, count)
-- Objects whose name has each of the words somewhere in it.
SELECT objects.*, users.handle AS owner_handle
FROM objects JOIN users ON users.did = objects.owner_did
WHERE objects.owner_did = :did
  AND NOT EXISTS (
      SELECT FROM unnest(:words::text[]) AS word WHERE strpos(lower(objects.name), word) = 0)
ORDER BY objects.created_at DESC, objects.id DESC
LIMIT :count;

-- name: with_digits(did, digits, count)
-- By the beginning or the end of the id's hexadecimal digits.
SELECT objects.*, users.handle AS owner_handle
FROM objects JOIN users ON users.did = objects.owner_did
WHERE objects.owner_did = :did
  AND (starts_with(replace(objects.id::text, '-', ''), :digits)
       OR right(replace(objects.id::text, '-', ''), length(:digits)) = :digits)
ORDER BY objects.created_at DESC, objects.id DESC
LIMIT :count;

-- name: resembling(did, words, count)
-- Objects whose name has one of the words, the best match first.
SELECT objects.*, users.handle AS owner_handle
FROM objects JOIN users ON users.did = objects.owner_did,
LATERAL (SELECT count(*) AS hits FROM unnest(:words::text[]) AS word
         WHERE strpos(lower(objects.name), word) > 0) AS matches
WHERE objects.owner_did = :did AND matches.hits > 0
ORDER BY matches.hits DESC, objects.created_at DESC, objects.id DESC
LIMIT :count;
