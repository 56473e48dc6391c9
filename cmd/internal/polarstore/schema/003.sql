-- A space has a name for people, and may come to an end.
ALTER TABLE spaces ADD COLUMN name TEXT NOT NULL DEFAULT '';
ALTER TABLE spaces ADD COLUMN expires_at INTEGER; -- NULL: never

CREATE INDEX items_by_path ON items (path);

-- What a version consists of is settled before it is in a channel. Readers of the
-- feed rely on it.
CREATE TRIGGER items_never_change BEFORE UPDATE OF version_id, name, file_type, hash, size, is_metadata, combined ON items
BEGIN SELECT RAISE(ABORT, 'items never change'); END;

CREATE TRIGGER items_come_first BEFORE INSERT ON items
WHEN (SELECT state FROM versions WHERE id = NEW.version_id) <> 'created'
BEGIN SELECT RAISE(ABORT, 'items are added to created versions only'); END;

-- The generation is another one after each change of what feeds show, whichever
-- process makes it. Hits are no change.
CREATE TABLE feed (
    generation INTEGER NOT NULL
) STRICT;

INSERT INTO feed (generation) VALUES (1);

CREATE TRIGGER feed_product_changed AFTER UPDATE OF key, requirements ON products
BEGIN UPDATE feed SET generation = generation + 1; END;

CREATE TRIGGER feed_version_changed AFTER UPDATE OF product_id, serial, state ON versions
BEGIN UPDATE feed SET generation = generation + 1; END;

-- A cluster's credential is encrypted: see seal.go.
