-- name: recent_mentions(did, uri)
-- When an author's mentions of the last two minutes before one mention were made, up to that mention
-- (the last row), each with the time of the tenth before it. Counted in time of the posts, so a
-- backlog read after an outage is not taken for a flood; the index on received_at bounds the scan.
WITH this AS (
    SELECT indexed_at, received_at FROM mentions WHERE uri = :uri
)
SELECT mentions.indexed_at AS at,
       lag(mentions.indexed_at, 10) OVER (ORDER BY mentions.indexed_at, mentions.uri) AS tenth_before
FROM mentions, this
WHERE mentions.author_did = :did
  AND mentions.received_at > this.indexed_at - interval '10 minutes'
  AND mentions.indexed_at > this.indexed_at - interval '3 minutes'
  AND (mentions.indexed_at, mentions.uri) <= (this.indexed_at, :uri)
ORDER BY mentions.indexed_at, mentions.uri;
