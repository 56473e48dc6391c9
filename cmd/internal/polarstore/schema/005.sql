-- What the last run found out about a version as one instance type.
CREATE TABLE reports (
    version_id    INTEGER NOT NULL REFERENCES versions (id),
    instance_type TEXT NOT NULL CHECK (instance_type IN ('container', 'vm')),
    verdict       TEXT NOT NULL,
    reason        TEXT NOT NULL, -- of the image's verdict, where its checks do not say it
    failures      TEXT NOT NULL, -- a JSON object: why checks failed, by their slugs
    posted_at     INTEGER NOT NULL,
    document      BLOB NOT NULL, -- the JSON report; last, since few queries read it
    PRIMARY KEY (version_id, instance_type)
) STRICT;
