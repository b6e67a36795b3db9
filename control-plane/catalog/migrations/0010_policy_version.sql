-- Every set of policies that was in force, oldest first: who put it there, when, and what it changed. A call's row
-- names the number of the set that decided about it.

CREATE TABLE policy_version (
    number INTEGER PRIMARY KEY NOT NULL,
    hash TEXT NOT NULL,
    since_ms INTEGER NOT NULL,
    row TEXT NOT NULL
) STRICT;
