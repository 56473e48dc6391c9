-- What came of the requests that a client named with a key of its own, so that
-- the same one again is answered as the first time. Kept for some days.
CREATE TABLE requests (
    key        TEXT PRIMARY KEY,
    asked      BLOB NOT NULL, -- the SHA-256 of what it asked for
    answer     TEXT NOT NULL, -- JSON
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX requests_by_time ON requests (created_at);
