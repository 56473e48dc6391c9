-- Times are milliseconds since 1970, hashes of files hexadecimal.

-- What is set once for the whole server: password, keep.
CREATE TABLE settings (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;

-- A session's token itself is not kept, only its SHA-256.
CREATE TABLE sessions (
    token_hash BLOB PRIMARY KEY,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE products (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    key          TEXT NOT NULL UNIQUE COLLATE NOCASE, -- os:release:arch:variant
    requirements TEXT NOT NULL,                       -- a JSON object
    created_at   INTEGER NOT NULL
) STRICT;

CREATE TABLE versions (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    product_id INTEGER NOT NULL REFERENCES products (id),
    serial     TEXT NOT NULL COLLATE NOCASE,
    state      TEXT NOT NULL CHECK (state IN ('created', 'testing', 'active', 'inactive')),
    created_at INTEGER NOT NULL,
    UNIQUE (product_id, serial)
) STRICT;

CREATE INDEX versions_by_state ON versions (state, product_id);

CREATE TABLE version_events (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    version_id INTEGER NOT NULL REFERENCES versions (id),
    name       TEXT NOT NULL,
    from_state TEXT NOT NULL,
    to_state   TEXT NOT NULL,
    actor      TEXT NOT NULL,
    comment    TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE INDEX version_events_by_version ON version_events (version_id);

CREATE TABLE items (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    version_id  INTEGER NOT NULL REFERENCES versions (id),
    name        TEXT NOT NULL,
    file_type   TEXT NOT NULL,
    hash        TEXT NOT NULL,
    size        INTEGER NOT NULL,
    path        TEXT NOT NULL, -- below files/
    is_metadata INTEGER NOT NULL CHECK (is_metadata IN (0, 1)),
    combined    TEXT NOT NULL, -- a JSON object: hashes by their name
    hits        INTEGER NOT NULL DEFAULT 0,
    UNIQUE (version_id, name)
) STRICT;

CREATE INDEX items_by_hash ON items (hash);

CREATE TABLE checks (
    id   INTEGER PRIMARY KEY AUTOINCREMENT,
    slug TEXT NOT NULL UNIQUE COLLATE NOCASE
) STRICT;

CREATE TABLE clusters (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    name       TEXT NOT NULL UNIQUE COLLATE NOCASE,
    type       TEXT NOT NULL CHECK (type IN ('lxd', 'incus')),
    arch       TEXT NOT NULL,
    endpoint   TEXT NOT NULL,
    state      TEXT NOT NULL,
    credential BLOB NOT NULL -- a client certificate and its private key
) STRICT;

-- One row for each version, check and instance type, whatever the cluster.
CREATE TABLE assessments (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    version_id    INTEGER NOT NULL REFERENCES versions (id),
    check_id      INTEGER NOT NULL REFERENCES checks (id),
    cluster_id    INTEGER REFERENCES clusters (id) ON DELETE SET NULL,
    instance_type TEXT NOT NULL CHECK (instance_type IN ('container', 'vm')),
    state         TEXT NOT NULL CHECK (state IN ('created', 'running', 'passed', 'failed')),
    created_at    INTEGER NOT NULL,
    UNIQUE (version_id, check_id, instance_type)
) STRICT;

CREATE INDEX assessments_by_cluster ON assessments (cluster_id);

CREATE TABLE assessment_events (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    assessment_id INTEGER NOT NULL REFERENCES assessments (id),
    name          TEXT NOT NULL,
    from_state    TEXT NOT NULL,
    to_state      TEXT NOT NULL,
    actor         TEXT NOT NULL,
    comment       TEXT NOT NULL,
    created_at    INTEGER NOT NULL
) STRICT;

CREATE INDEX assessment_events_by_assessment ON assessment_events (assessment_id);

-- A space is a view of the image feed for those who have its token. The token
-- itself is not kept, only its SHA-256.
CREATE TABLE spaces (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    channel    TEXT NOT NULL CHECK (channel IN ('testing', 'active')),
    type       TEXT NOT NULL CHECK (type IN ('lxd', 'incus')),
    token_hash BLOB NOT NULL UNIQUE,
    created_at INTEGER NOT NULL
) STRICT;
