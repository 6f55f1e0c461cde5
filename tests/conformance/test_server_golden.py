"""Every recorded scenario of the original job server, played to ours.

Real: the server as a process, its runners and their shells, Consul behind a port that
remembers requests and can be closed, a receiver of webhooks. Where ours differs on
purpose, `DIFFERENT` says what it does instead; the reasons are in
docs/reference/compatibility.md.
"""

import json
import sys
from pathlib import Path

import pytest

from support.server.cluster_scene import ClusterScene
from support.server.gate import ConsulGate
from support.server.replicas import grant
from support.server.scene import ANY, Scene

pytestmark = pytest.mark.consul

RECORDS = [
    json.loads(line)
    for line in (Path(__file__).parent / "golden" / "server.jsonl").read_text().splitlines()
]
JSON = {"content-type": "application/json; charset=utf-8"}
PREFIX = "com.snowplowanalytics/factotum"
OWN = Path(sys.executable).parent / "factotum"

FOREIGN = ("SV-038", "SV-042", "SV-047", "SV-064", "SV-066", "SV-084", "SV-102", "SV-105")
"""Played again with a runner that is not known to be ours, and is started as a program."""


def record_of(name):
    return next(each for each in RECORDS if each["id"] == name)


def expected(name, step):
    return record_of(name)["steps"][step]["expect"]


def answered(status, body):
    text = body if isinstance(body, str) else json.dumps(body, separators=(",", ":"))
    return {"status": status, "headers": JSON, "body": text}


def message(status, text):
    return answered(status, {"message": text})


def status(*, active=0, waiting=0, workers=20, limit=1000, state="run"):
    return answered(
        200,
        {
            "version": "0.3.0",
            "server": {"startTime": "<TS>", "upTime": "<UPTIME>", "state": state},
            "dispatcher": {
                "workers": {"total": workers, "idle": workers - active, "active": active},
                "jobs": {"maxQueueSize": limit, "inQueue": waiting},
            },
        },
    )


def requests(name, step, prefix):
    """Give what ours asks of Consul where the original only writes: it looks, then swaps."""
    writes = [each for each in expected(name, step) if each[0] == "PUT"]
    path = f"/v1/kv/{prefix}/{CHAIN}"
    asked = []
    for write in writes:
        swap = ["PUT", f"{path}?cas=<REVISION>", "application/json", write[3]]
        asked += [["GET", path, None, ""], swap]
    return asked


CHAIN = "ba2e64467bdb14b16e17e235b7bb39269590b4d3e8b3ea81646550298b1c7087"
ACCEPTED = message(200, f"SUBMITTING JOB REQ jobId:[{CHAIN}]")
BUSY = message(400, "Job is already being processed")


def succeeded(name, step):
    document = json.loads(expected(name, step)["body"])
    return answered(200, document | {"state": "DONE", "lastOutcome": "SUCCEEDED"})


def accepted(name, step):
    return message(200, json.loads(expected(name, step)["body"])["message"])


def chain_entry(args=()):
    request = {"jobId": CHAIN, "jobName": "job", "factfilePath": "<DIR>/chain"}
    return answered(
        200,
        {
            "state": "DONE",
            "jobRequest": request | {"factfileArgs": list(args)},
            "lastRunFrom": "factotum",
            "lastOutcome": "SUCCEEDED",
        },
    )


def ended(name, step):
    return expected(name, step) | {"exit": 1}


DIFFERENT = {
    # S-Q1: a server that cannot start says so by its exit code.
    "SV-010": {0: ended("SV-010", 0)},
    "SV-099": {0: ended("SV-099", 0)},
    # S-Q2: a body is read, whatever it is announced as.
    "SV-025": {
        1: message(200, "Update acknowledged: [state: drain]"),
        2: message(200, "Update acknowledged: [state: drain]"),
        3: status(state="drain"),
    },
    "SV-035": {1: message(400, "Error decoding JSON string: missing field `factfilePath`")},
    # S-Q4: the option that the runner has.
    "SV-043": {0: ACCEPTED, 1: BUSY},
    # S-Q9: what is no entry harms nobody else.
    "SV-059": {
        2: message(400, "Error: what is stored for id='bad' is no job entry"),
        3: message(400, "Error: No job entry found for id='unknown'"),
        4: message(400, "Error: No 'id' found in URL query parameters"),
        5: ACCEPTED,
        6: message(400, "Error: No body found in POST request"),
        7: ANY,
    },
    # S-Q6: an entry is read and then swapped, so that of two servers one has the job.
    # S-Q7: at its start a server of a name of its own looks for what it may have left.
    "SV-062": {
        2: [["GET", f"/v1/kv/{PREFIX}/?recurse=1", None, ""], *requests("SV-062", 2, PREFIX)]
    },
    "SV-076": {4: ANY},
    # S-Q7: the next server takes up what the last one has left.
    "SV-071": {
        8: ANY,
        9: succeeded("SV-071", 1),
        10: succeeded("SV-071", 3),
        11: accepted("SV-071", 0),
        12: accepted("SV-071", 2),
        14: ANY,
    },
    # S-Q8: slashes at the ends of the namespace are dropped, so that the entries are found again.
    "SV-077": {2: requests("SV-077", 2, "lead"), 3: chain_entry()},
    "SV-079": {2: requests("SV-079", 2, "end"), 3: chain_entry()},
    # S-Q10: an option that the job has itself is not given to it a second time.
    "SV-085": {1: chain_entry(["--no-colour"])},
}


@pytest.fixture
def play(consul, zygote, tmp_path):
    scenes = []

    def run(record, runner):
        gate = gates.enter(consul.address)
        scene = Scene(record, tmp_path, zygote, gate, runner, DIFFERENT.get(record["id"], {}))
        scenes.append(scene)
        scene.play()

    gates = _Gates()
    yield run
    for scene in scenes:
        scene.close()
    gates.close()


class _Gates:
    def __init__(self):
        self._open = []

    def enter(self, address):
        gate = ConsulGate(address)
        self._open.append(gate.__enter__())
        return gate

    def close(self):
        for gate in self._open:
            gate.__exit__()


@pytest.mark.parametrize("record", [pytest.param(each, id=each["id"]) for each in RECORDS])
def test_behaves_as_recorded(record, play):
    play(record, OWN)


@pytest.mark.parametrize("name", FOREIGN)
def test_behaves_as_recorded_with_a_foreign_runner(name, play, tmp_path_factory):
    runner = tmp_path_factory.mktemp("runner") / "factotum"
    runner.write_text(f'#!/bin/sh\nexec {OWN} "$@"\n')
    runner.chmod(0o755)

    play(record_of(name), runner)


ON_A_CLUSTER = (
    *("SV-016", "SV-017", "SV-018", "SV-023", "SV-024", "SV-025", "SV-029", "SV-036", "SV-039"),
    *("SV-041", "SV-042"),
)
"""Played again where a cluster runs the jobs: what is answered before there is one."""
DIFFERENT_THERE = {
    # The folder of factfiles is given: what is no file below it does not exist.
    "SV-041": {
        2: message(
            400, "Validation Error: Value does not exist on host for 'factfilePath':'<DIR>'"
        ),
    },
}


@pytest.mark.cluster
@pytest.mark.longer
@pytest.mark.parametrize("name", ON_A_CLUSTER)
def test_behaves_as_recorded_where_a_cluster_runs_the_jobs(
    name, zygote, consul, tmp_path, installation
):
    granted = grant(installation, "default")
    with ConsulGate(consul.address) as gate:
        differences = {**DIFFERENT.get(name, {}), **DIFFERENT_THERE.get(name, {})}
        scene = ClusterScene(
            record_of(name), tmp_path, zygote, gate, differences, granted, "default"
        )
        try:
            scene.play()
        finally:
            scene.close()
