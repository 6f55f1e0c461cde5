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
from support.consul.process import ConsulProcess
from support.http.receivers import Receiver
from support.server.gate import ConsulGate
from support.server.original import OWN
from support.server.running import Server

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


@pytest.fixture(scope="module")
def consul(tmp_path_factory):
    with ConsulProcess.fresh(tmp_path_factory.mktemp("consul")) as process:
        yield process


@pytest.fixture
def gate(consul):
    with ConsulGate(consul.address) as gate:
        yield gate


@pytest.fixture
def make(zygote, gate, tmp_path):
    """Start servers under the original's name."""
    made = []

    def start(*options, runner=OWN, name="", log="debug"):
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        always = (f"--factotum-bin={runner}", f"--consul-port={gate.port}", f"--log-level={log}")
        server = Server(zygote, folder, *always, *options, program="factotum-server")
        made.append(server.__enter__())
        return server

    yield start
    for server in made:
        server.__exit__()


@pytest.fixture
def ended(zygote, tmp_path):
    """Start a server that is to end at once, and return its exit code and outputs."""

    def run(*argv):
        done = zygote.fork(argv, tmp_path, "factotum-server")
        return done.wait(), done.out.read_text(), done.err.read_text()

    return run


@pytest.fixture
def accepting(tmp_path):
    """A runner that accepts everything and notes what it was called with."""
    runner = tmp_path / "accepting"
    runner.write_text(f'#!/bin/sh\necho "$*" >> {tmp_path}/calls\n')
    runner.chmod(0o755)
    return runner
