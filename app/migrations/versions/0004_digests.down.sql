DROP INDEX jobs_open;
ALTER TABLE jobs DROP COLUMN lane;
ALTER TABLE jobs ADD COLUMN lane text NOT NULL
    GENERATED ALWAYS AS (CASE kind WHEN 'reply' THEN 'replies' ELSE 'effects' END) STORED;
CREATE INDEX jobs_open ON jobs (lane, priority, run_at, id) WHERE state IN ('waiting', 'leased');

DELETE FROM jobs WHERE kind = 'digest';
DROP INDEX replies_short, replies_digest;
ALTER TABLE replies DROP COLUMN digest_id;
UPDATE replies SET state = 'withheld', reason = 'answered in a digest' WHERE state = 'digested';
ALTER TABLE replies
    DROP CONSTRAINT replies_state_check,
    ADD CHECK (state IN ('pending', 'sent', 'withheld')),
    DROP COLUMN begun_at,
    DROP COLUMN short_at;
DROP TABLE digests;
