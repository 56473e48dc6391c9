-- Files that were uploaded and belong to no version yet, by their key in the
-- bucket, which is what an item has as its path. Files of this step are below
-- files/uploads.
CREATE TABLE objects (
    key        TEXT PRIMARY KEY,
    file       TEXT NOT NULL UNIQUE,
    size       INTEGER NOT NULL,
    hash       TEXT NOT NULL, -- SHA-256
    etag       TEXT NOT NULL, -- as S3 makes it: of MD5s
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Uploads in parts that are neither complete nor given up.
CREATE TABLE uploads (
    id         TEXT PRIMARY KEY,
    key        TEXT NOT NULL,
    touched_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE parts (
    upload_id TEXT NOT NULL REFERENCES uploads (id) ON DELETE CASCADE,
    number    INTEGER NOT NULL,
    file      TEXT NOT NULL UNIQUE,
    size      INTEGER NOT NULL,
    md5       TEXT NOT NULL,
    PRIMARY KEY (upload_id, number)
) STRICT, WITHOUT ROWID;
