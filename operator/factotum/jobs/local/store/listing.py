"""Lists of jobs: filtered and paged by the file of jobs, in a thread of their own."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from factotum.jobs.local.store import rows
from factotum.jobs.local.store.database import Database
from factotum.jobs.local.store.rows import Row
from factotum.jobs.views import MAX_COUNT, MAX_PAGE, JobQuery


class Listing:
    """Answers queries.

    Args:
        database: the file of jobs.
    """

    def __init__(self, database: Database) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="jobs-list")
        self._connection = database.connect()

    def close(self) -> None:
        """Answer nothing more."""
        self._thread.shutdown(wait=True)
        self._connection.close()

    async def page(self, query: JobQuery) -> tuple[list[Row], str, int]:
        """Return a page, the cursor of the next one, and the total."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._page, query)

    def _page(self, query: JobQuery) -> tuple[list[Row], str, int]:
        where, values = _conditions(query)
        condition = f"WHERE {' AND '.join(where)}" if where else ""
        total = self._connection.execute(
            f"SELECT count(*) FROM (SELECT 1 FROM jobs {condition} LIMIT {MAX_COUNT})",  # noqa: S608 - built of our own words
            values,
        ).fetchone()[0]
        if query.cursor.isascii() and query.cursor.isdecimal() and len(query.cursor) < 19:
            where, values = [*where, "key < ?"], [*values, int(query.cursor)]
            condition = f"WHERE {' AND '.join(where)}"
        limit = max(1, min(MAX_PAGE, query.limit))
        found = self._connection.execute(
            f"SELECT * FROM jobs {condition} ORDER BY key DESC LIMIT ?",  # noqa: S608 - as above
            [*values, limit + 1],
        ).fetchall()
        page = [rows.read(each) for each in found[:limit]]
        return page, str(page[-1].key) if len(found) > limit else "", total


def _conditions(query: JobQuery) -> tuple[list[str], list[Any]]:
    where: list[str] = []
    values: list[Any] = []
    for column, words in (("state", query.states), ("outcome", query.outcomes)):
        if words:
            where.append(f"{column} IN ({', '.join('?' * len(words))})")
            values += words
    if query.text:
        where.append(
            "(instr(lower(name), lower(?)) OR instr(lower(factfile_path), lower(?))"
            " OR substr(job_id, 1, length(?)) = lower(?))"
        )
        values += [query.text] * 4
    if query.tag is not None:
        where.append("EXISTS (SELECT 1 FROM json_each(tags) WHERE key = ? AND value = ?)")
        values += query.tag
    return where, values
