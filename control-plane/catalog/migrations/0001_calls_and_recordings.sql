-- Each row is kept whole as JSON, in the form that the outside reads; columns are what is searched and sorted by.
-- Times are milliseconds since the Unix epoch. Tables with whole rows keep SQLite's rowid: rows are long and ids are
-- hashes, so that new rows go to the table's end and only the small index of ids is written to at random.

CREATE TABLE call (
    id TEXT PRIMARY KEY NOT NULL,
    call_id TEXT NOT NULL,
    started_ms INTEGER NOT NULL,
    ended_ms INTEGER,
    state TEXT NOT NULL,
    from_party TEXT,
    to_party TEXT,
    recorded INTEGER NOT NULL,
    row TEXT NOT NULL
) STRICT;

CREATE INDEX call_by_start ON call (started_ms, id);
CREATE INDEX call_by_call_id ON call (call_id);
-- Calls that a stopped process left open are few among many.
CREATE INDEX call_open ON call (state, started_ms) WHERE state <> 'ended';

CREATE TABLE recording (
    id TEXT PRIMARY KEY NOT NULL,
    call TEXT NOT NULL REFERENCES call (id),
    call_id TEXT NOT NULL,
    started_ms INTEGER NOT NULL,
    from_party TEXT,
    to_party TEXT,
    path TEXT NOT NULL UNIQUE,
    row TEXT NOT NULL
) STRICT;

CREATE INDEX recording_by_start ON recording (started_ms, id);
CREATE INDEX recording_by_call ON recording (call);
CREATE INDEX recording_by_call_id ON recording (call_id);

-- Where the packets of a call lie in the segment log, as the control plane wrote it, for export.
CREATE TABLE place (
    call TEXT PRIMARY KEY NOT NULL REFERENCES call (id),
    places BLOB NOT NULL
) WITHOUT ROWID, STRICT;

-- What the control plane must remember between two runs, by name: where in the log it goes on reading.
CREATE TABLE memory (
    name TEXT PRIMARY KEY NOT NULL,
    value BLOB NOT NULL
) WITHOUT ROWID, STRICT;
