"""What the conformance tests share: the installed command, and recorded runs made ahead.

Hundreds of short processes and a few dozen that mostly sleep: a small pool runs the
records of the selected tests while earlier tests compare, the sleeping ones in a pool
of their own. Each record still has its own folder, process and server.
"""

import itertools
import json
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from support import golden
from support.commands import Run, factotum_command, run_command
from support.http.receivers import Receiver

QUICK_TRIES = ("--webhook-backoff", "0.05")
"""The pauses between tries are a matter of tests/events; here they only cost time."""


@pytest.fixture(scope="session")
def command() -> str:
    return factotum_command()


@pytest.fixture
def factotum(command, tmp_path):
    """Run the installed command in the test's folder; returns what it left."""

    def run(*args: str | bytes, environ: Mapping[str, str] | None = None, **options) -> Run:
        quick = QUICK_TRIES if "--webhook" in args else ()
        return run_command([command, *args, *quick], cwd=tmp_path, environ=environ, **options)

    return run


class Posted:
    """A run with a webhook: what it left, and what it posted."""

    def __init__(self, run, receiver):
        self.run = run
        self.requests = receiver.requests
        self.documents = [json.loads(request.body) for request in receiver.requests]
        self.events = [document["data"] for document in self.documents]


@pytest.fixture
def post(factotum, tmp_path):
    """Run a factfile with a webhook."""

    def run(text, *args, answers=(200,), path="/", **options):
        (tmp_path / "job").write_text(text)
        with Receiver(answers) as receiver:
            url = receiver.url + path
            return Posted(factotum("run", "job", "--webhook", url, *args, **options), receiver)

    return run


DEVIATIONS = pytest.StashKey[list[str]]()


@pytest.fixture(scope="session")
def deviations(request) -> list[str]:
    """Ids of the records that this run differed from on purpose; told at the end."""
    return request.config.stash.setdefault(DEVIATIONS, [])


def pytest_terminal_summary(terminalreporter, config):
    passed = terminalreporter.getreports("passed")
    ids = [report.nodeid for report in passed if "tests/conformance" in report.nodeid]
    if ids:
        records = sum("test_golden.py" in each for each in ids)
        different = sorted(config.stash.get(DEVIATIONS, []))
        terminalreporter.write_line(
            f"conformance: {records} recorded runs and {len(ids) - records} cases pass; "
            f"{len(different)} runs differ on purpose (docs/reference/compatibility.md): "
            f"{' '.join(different)}"
        )


class Replays:
    """Runs records, ahead of the tests that ask for them."""

    def __init__(self, command: str, folder: Path, records: list[golden.Record]) -> None:
        self._command = command
        self._folder = folder
        self._numbers = itertools.count()
        self._brisk = ThreadPoolExecutor(2)
        self._sleepy = ThreadPoolExecutor(4)
        records = sorted(records, key=lambda record: not _sleeps(record))
        self._ahead: dict[str, Future[golden.Observation]] = {
            record["id"]: (self._sleepy if _sleeps(record) else self._brisk).submit(
                self.run, record
            )
            for record in records
        }

    def first(self, record: golden.Record) -> golden.Observation:
        """Return the run made ahead."""
        return self._ahead[record["id"]].result()

    def run(self, record: golden.Record) -> golden.Observation:
        """Run the record now."""
        folder = self._folder / f"{next(self._numbers)}"
        folder.mkdir()
        if record.get("slow"):
            record = {**record, "args": [*record["args"], *QUICK_TRIES]}
        return golden.replay(record, [self._command], folder)

    def close(self) -> None:
        for pool in (self._brisk, self._sleepy):
            pool.shutdown(cancel_futures=True)


def _sleeps(record: golden.Record) -> bool:
    return bool(record.get("timing") or record.get("slow") or record.get("signal"))


@pytest.fixture(scope="session")
def replays(request, command, tmp_path_factory) -> Iterator[Replays]:
    selected = [
        item.callspec.params["record"]
        for item in request.session.items
        if "record" in getattr(getattr(item, "callspec", None), "params", {})
    ]
    made = Replays(command, tmp_path_factory.mktemp("golden"), selected)
    yield made
    made.close()
