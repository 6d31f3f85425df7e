-- Posts that answer several people at once, when there are no write points to answer each of them.
CREATE TABLE digests (
    id          uuid PRIMARY KEY,
    job_key     text NOT NULL UNIQUE,  -- a job that is done again finds its digest
    account     text NOT NULL,
    rkey        text NOT NULL,
    record      jsonb NOT NULL,
    uri         text UNIQUE,
    cid         text,
    created_at  timestamptz NOT NULL DEFAULT now(),
    sent_at     timestamptz,
    UNIQUE (account, rkey)
);

ALTER TABLE replies
    ADD COLUMN begun_at timestamptz,   -- from then on it may be on Bluesky, by this account
    ADD COLUMN short_at timestamptz,   -- when there were no points for it
    ADD COLUMN digest_id uuid REFERENCES digests (id) DEFERRABLE INITIALLY DEFERRED,
    DROP CONSTRAINT replies_state_check,
    ADD CHECK (state IN ('pending', 'sent', 'digested', 'withheld')),
    ADD CHECK ((state = 'digested') = (digest_id IS NOT NULL));
-- The version before does not say which it has begun to send.
UPDATE replies SET begun_at = created_at WHERE state <> 'withheld';
CREATE INDEX replies_short ON replies (short_at)
    WHERE state = 'pending' AND begun_at IS NULL AND short_at IS NOT NULL;
CREATE INDEX replies_digest ON replies (digest_id) WHERE digest_id IS NOT NULL;

-- Digests are sent by the threads that wait for Bluesky.
DROP INDEX jobs_open;
ALTER TABLE jobs DROP COLUMN lane;
ALTER TABLE jobs ADD COLUMN lane text NOT NULL
    GENERATED ALWAYS AS
    (CASE WHEN kind IN ('reply', 'digest') THEN 'replies' ELSE 'effects' END) STORED;
CREATE INDEX jobs_open ON jobs (lane, priority, run_at, id) WHERE state IN ('waiting', 'leased');
