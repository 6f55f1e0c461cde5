"""The original's recorded runs as FactotumJobs: the same events, task states and outcome.

Real: the API server with our chart, the operator's process, a test node with the real runner, a
webhook receiver. The records (tests/conformance/golden) are the original's own; the factfile comes
byte for byte from a ConfigMap. Left out: records that need what only a command line has (signals,
its environment, odd answers of the receiver).
"""

import contextlib
import json
import shlex
from pathlib import Path

import pytest

from support import golden
from support.acceptance import report, sized
from support.kube_api import ApiRefusedError
from support.manifests import make_job
from support.receivers import Receiver
from support.workbench import PLAYED, Workbench, states

pytestmark = pytest.mark.cluster

GOLDEN = Path(__file__).parents[1] / "conformance" / "golden" / "cli.jsonl"
OF_THE_COMMAND_LINE = {"signal", "environ", "needs", "slow", "accept", "stdin", "files"}


def spec_of(record):
    """Translate a command line; None if a manifest cannot say it."""
    webhook, tags, spec = {}, {}, {}
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


def usable():
    for record in golden.load_records(GOLDEN):
        if not record.get("posts") or OF_THE_COMMAND_LINE & set(record):
            continue
        if record["webhook"] != {"answers": [200]} or record["args"][0] != "run":
            continue
        spec = spec_of(record)
        if spec is not None:
            yield record, spec


def observe(record, receiver, folder):
    """Put what was received into the form that records have."""
    normaliser = golden._Normaliser(folder, receiver.url)
    posts = [normaliser.post(request) for request in receiver.requests]
    return golden.Observation(None, "", "", posts, list(receiver.requests), {})


def test_recorded_runs_of_the_original_are_the_same_as_jobs(bench: Workbench):
    chosen = list(usable())
    chosen = chosen[:: sized(1, 3)]
    refused, wrong, events = [], [], 0
    path = f"/api/v1/namespaces/{bench.namespace}/configmaps"
    with contextlib.ExitStack() as stack:
        stack.enter_context(bench.nodes())
        # Few at once: some records depend on the order in which tasks end.
        stack.enter_context(bench.operator("--max-workers=4"))
        started = []
        for number, (record, spec) in enumerate(chosen):
            receiver = stack.enter_context(Receiver())
            name = f"record-{number}"
            text = {"job.factfile": record["factfile"]}
            bench.api.create(path, {"metadata": {"name": name}, "data": text})
            spec["webhook"]["url"] = spec["webhook"]["url"].replace("{WEBHOOK}", receiver.url)
            reference = {"configMapKeyRef": {"name": name, "key": "job.factfile"}}
            job = make_job(bench.namespace, name=name, factfileFrom=reference, **spec)
            job["spec"]["constraints"] = {"host": PLAYED[number % 2]}
            try:
                bench.api.create_job(job)
            except ApiRefusedError as error:
                refused.append((record["id"], shlex.join(record["args"]), str(error)[:200]))
                continue
            started.append((name, record, receiver))
        jobs = bench.api.wait_all_done(bench.namespace, seconds=150)
        for name, record, receiver in started:
            receiver.wait_for(len(record["posts"]))
            seen = observe(record, receiver, bench.folder)
            events += len(seen.posts)
            found = golden._post_differences(record, seen)
            last = receiver_last(record)
            status = jobs[name]["status"]
            if status["outcome"] != last["runState"]:
                found.append(f"outcome {status['outcome']}")
            if states(status) != {t["taskName"]: t["state"] for t in last["taskStates"]}:
                found.append(f"task states {states(status)}")
            if found:
                wrong.append((record["id"], found))

    for each in refused:
        print("refused by the schema:", *each)
    report(
        "2 original's records",
        records=len(started),
        events=events,
        different=len(wrong),
        refused_by_schema=len(refused),
    )
    assert wrong == []
    assert len(refused) <= 2


def receiver_last(record):
    """Give the data of the record's last event."""
    return {**record.get("posts_common", {}), **record["posts"][-1]["body"]["data"]}
