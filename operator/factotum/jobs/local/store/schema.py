"""The tables, and how an older file gets them: a migration is never changed, only followed.

A job is one row: what was asked for, how it stands, and the newest report of its
attempt as the runner sent it, which holds its tasks: they change together, once a
second at most, and a row for each of 2,000 tasks would cost as many writes.
"""

from typing import Final

_FIRST: Final = """
CREATE TABLE factfiles (
    hash TEXT PRIMARY KEY,
    text TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE jobs (
    key INTEGER PRIMARY KEY AUTOINCREMENT,
    job_id TEXT NOT NULL,
    name TEXT NOT NULL,
    factfile_path TEXT NOT NULL,
    factfile_hash TEXT NOT NULL,
    args TEXT NOT NULL,
    tags TEXT NOT NULL,
    spec TEXT NOT NULL,
    task_names TEXT NOT NULL,
    submitted_ms INTEGER NOT NULL,
    state TEXT NOT NULL,
    outcome TEXT NOT NULL,
    reason TEXT NOT NULL,
    message TEXT NOT NULL,
    wanted TEXT NOT NULL,
    place INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    launch INTEGER NOT NULL,
    token TEXT NOT NULL,
    claim_id TEXT,
    report TEXT,
    kept TEXT,
    report_sequence INTEGER NOT NULL,
    started_ms INTEGER,
    ended_ms INTEGER,
    sequence INTEGER NOT NULL
);
CREATE INDEX jobs_by_job_id ON jobs (job_id, key);
CREATE INDEX jobs_by_state ON jobs (state, key);
CREATE INDEX jobs_by_sequence ON jobs (sequence);
CREATE INDEX jobs_by_end ON jobs (ended_ms) WHERE ended_ms IS NOT NULL;
CREATE INDEX jobs_by_factfile ON jobs (factfile_hash);

CREATE TABLE attempts (
    key INTEGER NOT NULL,
    number INTEGER NOT NULL,
    reason TEXT NOT NULL,
    message TEXT NOT NULL,
    started_ms INTEGER,
    ended_ms INTEGER,
    PRIMARY KEY (key, number)
) WITHOUT ROWID;

CREATE TABLE counters (
    name TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) WITHOUT ROWID;
"""

_SECOND: Final = """
CREATE TABLE untold (
    job_id TEXT PRIMARY KEY,
    key INTEGER NOT NULL
) WITHOUT ROWID;
"""
"""The jobs whose end their entry in Consul may not say yet: the next server tells it."""

MIGRATIONS: Final[tuple[str, ...]] = (_FIRST, _SECOND)
"""Each brings the file from the version before to the next; ``user_version`` counts them."""
