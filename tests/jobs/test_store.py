"""The file of jobs: what it refuses, and what it keeps.

Real: SQLite, on disk.
"""

import asyncio
import sqlite3

import pytest

from factotum.jobs.local.store import rows, schema
from factotum.jobs.local.store.database import Database, DatabaseError
from factotum.jobs.local.store.ledger import Ledger
from support.builders.local_jobs import row


@pytest.fixture
async def database(tmp_path):
    made = Database(tmp_path / "data")
    yield made
    made.close()


async def test_a_second_server_is_refused(database, tmp_path):
    with pytest.raises(DatabaseError, match="another server uses"):
        Database(tmp_path / "data")


async def test_what_was_written_is_there_for_the_next_server(tmp_path):
    first = Database(tmp_path / "data")
    ledger = Ledger(first)
    for _ in range(3):
        job = row(ledger.next_key())
        await ledger.add(job, rows.keep_factfile("h", "text"))
    await ledger.put(row(2, state="DONE", outcome="FAILED", ended_ms=5))
    first.close()
    second = Database(tmp_path / "data")
    ledger = Ledger(second)

    assert sorted(ledger.open) == [1, 3]
    assert ledger.get("2").outcome == "FAILED"
    assert ledger.factfile("h") == "text"
    assert (ledger.next_key(), ledger.next_place(), ledger.sequence) == (4, 4, 4)
    assert [each.key for each in ledger.changed(1, 10)] == [3, 2]
    second.close()


async def test_writes_that_wait_together_are_committed_together_and_in_order(database):
    ledger = Ledger(database)
    await asyncio.gather(*(ledger.add(row(ledger.next_key())) for _ in range(500)))

    assert [each.key for each in ledger.changed(0, 1000)] == list(range(1, 501))


async def test_a_write_that_cannot_be_leaves_memory_as_the_file_is(database):
    ledger = Ledger(database)
    await ledger.add(row(ledger.next_key()))
    database._writer.execute("PRAGMA query_only = 1")
    with pytest.raises(DatabaseError, match="cannot be written"):
        await ledger.put(row(1, state="WORKING", outcome="RUNNING"))
    with pytest.raises(DatabaseError):
        await ledger.add(row(ledger.next_key()))
    database._writer.execute("PRAGMA query_only = 0")

    assert ledger.open[1].state == "QUEUED"
    assert list(ledger.open) == [1]
    assert ledger.holder("id2") is None
    await ledger.put(row(1, state="WORKING", outcome="RUNNING"))
    assert ledger.get("1").state == "WORKING"


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param({"name": "half a character: \ud800"}, id="no text"),
        pytest.param({"ended_ms": 2**63}, id="too large a number"),
    ],
)
async def test_a_write_that_cannot_be_is_nobody_elses_problem(database, wrong):
    ledger = Ledger(database)
    await ledger.add(row(ledger.next_key()))
    # They wait together, so they are committed together if they can be.
    adding = [ledger.add(row(ledger.next_key())) for _ in range(10)]
    adding.insert(5, ledger.add(row(ledger.next_key(), **wrong)))
    ends = await asyncio.gather(*adding, return_exceptions=True)
    await ledger.add(row(ledger.next_key()))

    assert [number for number, end in enumerate(ends) if end is not None] == [5]
    assert isinstance(ends[5], DatabaseError)
    assert len(ledger.changed(0, 100)) == 12
    assert len(ledger.open) == 12


@pytest.mark.parametrize("is_replaced", [False, True])
async def test_nothing_is_said_to_be_kept_in_a_file_that_is_not_there_any_more(
    database, tmp_path, is_replaced
):
    ledger = Ledger(database)
    await ledger.add(row(ledger.next_key()))
    path = tmp_path / "data" / "jobs.sqlite"
    path.rename(tmp_path / "away")
    if is_replaced:
        path.touch()
    with pytest.raises(DatabaseError, match="removed or replaced"):
        await ledger.add(row(ledger.next_key()))
    (tmp_path / "away").rename(path)
    await ledger.add(row(ledger.next_key()))

    assert sorted(ledger.open) == [1, 3]


async def test_a_file_of_a_newer_version_is_left_alone(tmp_path):
    Database(tmp_path / "data").close()
    with sqlite3.connect(tmp_path / "data" / "jobs.sqlite") as connection:
        connection.execute(f"PRAGMA user_version = {len(schema.MIGRATIONS) + 1}")
    connection.close()
    with pytest.raises(DatabaseError, match="newer version"):
        Database(tmp_path / "data")


async def test_a_damaged_file_is_told(tmp_path):
    database = Database(tmp_path / "data")
    ledger = Ledger(database)
    await asyncio.gather(*(ledger.add(row(ledger.next_key())) for _ in range(200)))
    database.close()
    path = tmp_path / "data" / "jobs.sqlite"
    content = bytearray(path.read_bytes())
    content[4096 * 3 : 4096 * 9] = b"\xa5" * 4096 * 6
    path.write_bytes(content)
    with pytest.raises(DatabaseError, match="move it away"):
        Database(tmp_path / "data")


async def test_every_migration_brings_an_older_file_to_the_present_form(tmp_path, monkeypatch):
    later = (*schema.MIGRATIONS, "ALTER TABLE jobs ADD COLUMN more TEXT NOT NULL DEFAULT 'x'")
    database = Database(tmp_path / "data")
    await Ledger(database).add(row(1))
    database.close()
    monkeypatch.setattr(Database, "_migrations", later)
    database = Database(tmp_path / "data")

    assert database.reader.execute("SELECT more FROM jobs").fetchone()[0] == "x"
    assert database.reader.execute("PRAGMA user_version").fetchone()[0] == len(later)
    database.close()


async def test_readers_cannot_write(database):
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        database.connect().execute("DELETE FROM jobs")


async def test_the_log_of_writes_does_not_grow_without_bound(database):
    ledger = Ledger(database)
    text = "x" * 100_000
    for number in range(200):
        await ledger.write(rows.keep_factfile(str(number), text))

    assert database.wal_bytes() < 32 * 1024 * 1024
