-- People, objects and what happened between them. Ids are UUIDv7 made by the app and users are keyed
-- by DID, so that rows can move to shards (phase 3) without renumbering.

CREATE TABLE users (
    did           text PRIMARY KEY CHECK (did LIKE 'did:%'),
    handle        text NOT NULL,
    display_name  text,
    opted_out_at  timestamptz,
    created_at    timestamptz NOT NULL DEFAULT now(),
    updated_at    timestamptz NOT NULL DEFAULT now()
);
-- Not unique: handles move between accounts, and the old owner's row is renamed only when seen again.
CREATE INDEX users_handle ON users (lower(handle));

CREATE TABLE objects (
    id           uuid PRIMARY KEY,
    name         text NOT NULL,
    description  text NOT NULL,
    category     text NOT NULL,
    rarity       text NOT NULL CHECK (rarity IN ('common', 'uncommon', 'rare', 'epic', 'legendary')),
    region       text NOT NULL,
    seed         bigint NOT NULL,
    owner_did    text NOT NULL REFERENCES users (did),
    created_at   timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX objects_owner ON objects (owner_did, created_at DESC, id DESC);
CREATE INDEX objects_recent ON objects (created_at DESC, id DESC);
CREATE INDEX objects_rarity ON objects (rarity, created_at DESC, id DESC);
CREATE INDEX objects_name ON objects (lower(name));
CREATE INDEX objects_search ON objects USING gin
    (to_tsvector('english', name || ' ' || description || ' ' || category || ' ' || region));

-- The primary key is the rule: one claim per user and UTC day.
CREATE TABLE claims (
    did         text NOT NULL REFERENCES users (did),
    day         date NOT NULL,
    object_id   uuid NOT NULL UNIQUE REFERENCES objects (id),
    claimed_at  timestamptz NOT NULL,
    mention_uri text UNIQUE,         -- a mention delivered again finds its own claim, on any day
    PRIMARY KEY (did, day)
);
CREATE INDEX claims_day ON claims (day, claimed_at DESC);

CREATE TABLE gifts (
    id           uuid PRIMARY KEY,
    object_id    uuid NOT NULL REFERENCES objects (id),
    giver_did    text NOT NULL REFERENCES users (did),
    recipient_did text NOT NULL REFERENCES users (did),
    status       text NOT NULL DEFAULT 'pending'
                 CHECK (status IN ('pending', 'accepted', 'declined', 'expired', 'withdrawn')),
    mention_uri  text UNIQUE,
    offered_at   timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL,
    settled_at   timestamptz,
    CHECK (giver_did <> recipient_did)
);
-- An object can be on offer to one person at a time.
CREATE UNIQUE INDEX gifts_pending_object ON gifts (object_id) WHERE status = 'pending';
CREATE INDEX gifts_pending_recipient ON gifts (recipient_did, offered_at) WHERE status = 'pending';
CREATE INDEX gifts_settled ON gifts (settled_at DESC) WHERE status = 'accepted';

-- The ledger: one row for each time an object got an owner, never changed afterwards.
CREATE TABLE transactions (
    id           uuid PRIMARY KEY,
    kind         text NOT NULL CHECK (kind IN ('claim', 'gift')),
    object_id    uuid NOT NULL REFERENCES objects (id),
    from_did     text REFERENCES users (did),
    to_did       text NOT NULL REFERENCES users (did),
    gift_id      uuid UNIQUE REFERENCES gifts (id),
    at           timestamptz NOT NULL,
    CHECK ((kind = 'gift') = (from_did IS NOT NULL AND gift_id IS NOT NULL))
);
CREATE INDEX transactions_at ON transactions (at DESC, id DESC);
CREATE INDEX transactions_object ON transactions (object_id, at);
CREATE INDEX transactions_to ON transactions (to_did, at DESC);
CREATE INDEX transactions_from ON transactions (from_did, at DESC) WHERE from_did IS NOT NULL;

-- The inbox: what Bluesky told us, once per post.
CREATE TABLE mentions (
    uri          text PRIMARY KEY CHECK (uri LIKE 'at://%'),
    cid          text NOT NULL,
    author_did   text NOT NULL,
    author_handle text NOT NULL,
    text         text NOT NULL,
    facets       jsonb NOT NULL DEFAULT '[]',
    reply_root   jsonb,              -- strong ref {uri, cid}; NULL when the mention starts a thread
    reply_parent jsonb,
    source       text NOT NULL CHECK (source IN ('notifications', 'firehose', 'load')),
    indexed_at   timestamptz NOT NULL,
    received_at  timestamptz NOT NULL DEFAULT now(),
    deleted_at   timestamptz
);
CREATE INDEX mentions_received ON mentions (received_at DESC);
CREATE INDEX mentions_author ON mentions (author_did, received_at DESC);

-- The outbox: the reply to a mention, written in the transaction that has the effect. The rkey is a
-- function of the mention, so that posting twice writes the same record.
CREATE TABLE replies (
    mention_uri  text PRIMARY KEY REFERENCES mentions (uri),
    account      text NOT NULL,
    rkey         text NOT NULL,
    record       jsonb NOT NULL,     -- app.bsky.feed.post without the blob, which is uploaded on sending
    object_id    uuid REFERENCES objects (id), -- whose picture is embedded
    gift_id      uuid REFERENCES gifts (id),   -- which offer an "accept" in this thread means
    state        text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'sent', 'withheld')),
    reason       text,               -- why it was withheld
    uri          text UNIQUE,
    cid          text,
    created_at   timestamptz NOT NULL DEFAULT now(),
    sent_at      timestamptz,
    UNIQUE (account, rkey)
);
CREATE INDEX replies_sent ON replies (sent_at DESC) WHERE state = 'sent';

CREATE TABLE jobs (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind         text NOT NULL,
    key          text NOT NULL,
    payload      jsonb NOT NULL DEFAULT '{}',
    priority     smallint NOT NULL CHECK (priority BETWEEN 0 AND 2),
    state        text NOT NULL DEFAULT 'waiting'
                 CHECK (state IN ('waiting', 'leased', 'done', 'dead')),
    run_at       timestamptz NOT NULL DEFAULT now(),
    attempts     integer NOT NULL DEFAULT 0,
    leased_by    text,
    lease_until  timestamptz,
    dispatched_at timestamptz,       -- when its id was last put on a Redis stream
    last_error   text,
    created_at   timestamptz NOT NULL DEFAULT now(),
    done_at      timestamptz,
    UNIQUE (kind, key)
);
CREATE INDEX jobs_open ON jobs (priority, run_at, id) WHERE state IN ('waiting', 'leased');
CREATE INDEX jobs_dead ON jobs (done_at) WHERE state = 'dead';
CREATE INDEX jobs_done ON jobs (done_at DESC) WHERE state = 'done';

-- How far each source of mentions has been read; moved in the transaction that stores the mentions.
CREATE TABLE cursors (
    source      text PRIMARY KEY,
    position    text NOT NULL,
    updated_at  timestamptz NOT NULL DEFAULT now()
);

-- The bot accounts' sessions, encrypted with a key derived from SECRET_KEY.
CREATE TABLE bluesky_sessions (
    handle      text PRIMARY KEY,
    session     bytea NOT NULL,
    updated_at  timestamptz NOT NULL DEFAULT now()
);

-- Write points spent, per account and minute; the hour's and the day's budget are sums over it.
CREATE TABLE write_points (
    account     text NOT NULL,
    minute      timestamptz NOT NULL,
    points      integer NOT NULL CHECK (points >= 0),
    PRIMARY KEY (account, minute)
);
