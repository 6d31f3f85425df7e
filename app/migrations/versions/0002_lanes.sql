-- Which threads do a job: those for effects, or those that wait for Bluesky. Generated, so that
-- processes of the version before put jobs into the right lane while they are replaced.
ALTER TABLE jobs ADD COLUMN lane text NOT NULL
    GENERATED ALWAYS AS (CASE kind WHEN 'reply' THEN 'replies' ELSE 'effects' END) STORED;

DROP INDEX jobs_open;
CREATE INDEX jobs_open ON jobs (lane, priority, run_at, id) WHERE state IN ('waiting', 'leased');
