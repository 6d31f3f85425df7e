DROP INDEX jobs_open;
ALTER TABLE jobs DROP COLUMN lane;
CREATE INDEX jobs_open ON jobs (priority, run_at, id) WHERE state IN ('waiting', 'leased');
