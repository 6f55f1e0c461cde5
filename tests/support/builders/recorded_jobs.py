"""The original's recorded runs as FactotumJobs: what to create, and whether all came as recorded.

The factfile comes byte for byte from a ConfigMap. Left out are records that need what only a
command line has (signals, its environment, odd answers of the receiver).
"""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, Self

from support import golden
from support.builders.manifests import make_job
from support.cluster.kube_api import KubeApi, RawObject
from support.http.receivers import Receiver

_GOLDEN = Path(__file__).parents[2] / "conformance" / "golden" / "cli.jsonl"
_OF_THE_COMMAND_LINE = {"signal", "environ", "needs", "slow", "accept", "stdin", "files"}


def _spec_of(record: golden.Record) -> dict[str, Any] | None:
    """Translate a command line; None if a manifest cannot say it."""
    webhook: dict[str, Any] = {}
    tags: dict[str, str] = {}
    spec: dict[str, Any] = {}
    words = iter(record["args"][2:])
    for word in words:
        option, equals, value = word.partition("=")
        if not equals:
            value = next(words, "")
        match option:
            case "--webhook":
                webhook["url"] = value
            case "--heartbeat-interval":
                webhook["heartbeatIntervalSeconds"] = int(value)
            case "--max-stdouterr-size" if value:
                webhook["maxStdouterrSize"] = int(value)
            case "--tag" if value.count(",") == 1 and value.partition(",")[0]:
                key, _, text = value.partition(",")
                tags[key] = text
            case "--start":
                spec["start"] = value
            case "--env" if value.startswith("{"):
                spec["env"] = json.loads(value)
            case "--constraint" if value == "host,*":
                continue
            case _:
                return None
    return spec | {"webhook": webhook} | ({"tags": tags} if tags else {})


def usable() -> Iterator[tuple[golden.Record, dict[str, Any]]]:
    """Give the records that a job can stand for, each with the rest of its spec."""
    for record in golden.load_records(_GOLDEN):
        if not record.get("posts") or _OF_THE_COMMAND_LINE & set(record):
            continue
        if record["webhook"] != {"answers": [200]} or record["args"][0] != "run":
            continue
        spec = _spec_of(record)
        if spec is not None:
            yield record, spec


class Started(NamedTuple):
    """A job that stands for a record."""

    name: str
    record: golden.Record
    receiver: Receiver

    def differences(self, status: RawObject, folder: Path) -> list[str]:
        """Say how the job's events, outcome and task states differ from the record's."""
        self.receiver.wait_for(len(self.record["posts"]))
        normaliser = golden._Normaliser(folder, self.receiver.url)
        posts = [normaliser.post(request) for request in self.receiver.requests]
        requests = list(self.receiver.requests)
        seen = golden.Observation(None, "", "", posts, requests, {})  # type: ignore[arg-type]  # no process
        found = golden._post_differences(self.record, seen)
        last = self.record.get("posts_common", {}) | self.record["posts"][-1]["body"]["data"]
        if status["outcome"] != last["runState"]:
            found.append(f"outcome {status['outcome']}")
        states = {task["name"]: task["state"] for task in status["tasks"]}
        if states != {task["taskName"]: task["state"] for task in last["taskStates"]}:
            found.append(f"task states {states}")
        return found


class RecordedJobs:
    """Jobs for records, in one namespace; receivers listen as long as it is open."""

    def __init__(self, api: KubeApi, namespace: str, *, host: str = "127.0.0.1") -> None:
        self._api = api
        self._namespace = namespace
        self._host = host
        self._open = contextlib.ExitStack()
        self.started: list[Started] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def start(self, record: golden.Record, spec: dict[str, Any], **more: Any) -> None:
        """Create a record's job."""
        receiver = self._open.enter_context(Receiver(host=self._host))
        name = f"record-{len(self.started)}"
        self._api.create(
            f"/api/v1/namespaces/{self._namespace}/configmaps",
            {"metadata": {"name": name}, "data": {golden.FACTFILE: record["factfile"]}},
        )
        url = spec["webhook"]["url"].replace("{WEBHOOK}", receiver.url)
        spec = spec | {"webhook": spec["webhook"] | {"url": url}, "duplicatePolicy": "Allow"} | more
        reference = {"configMapKeyRef": {"name": name, "key": golden.FACTFILE}}
        self._api.create_job(make_job(self._namespace, name=name, factfileFrom=reference, **spec))
        self.started.append(Started(name, record, receiver))

    def compare(self, folder: Path, *, seconds: float) -> tuple[int, list[tuple[str, list[str]]]]:
        """Wait for all ends; give the number of events and what differs, by record."""
        jobs = self._api.wait_all_done(self._namespace, seconds=seconds)
        wrong = []
        for each in self.started:
            found = each.differences(jobs[each.name]["status"], folder)
            if found:
                wrong.append((each.record["id"], found))
        return sum(len(each.receiver.requests) for each in self.started), wrong
