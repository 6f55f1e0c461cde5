"""Broken factfiles: refused with their path or DONE/FAILED with the original's words, never a Pod.

Real: the API server with our chart, kubectl, the operator's process. The words of the original are
its own recorded answers (tests/conformance/golden); what it has no record of, because it crashes
there, has words of ours.
"""

import json
import re
from pathlib import Path

import pytest

from support.builders.manifests import SCHEMA, make_factfile, make_job, make_task
from support.cluster.acceptance import report
from support.cluster.clusters import Refused
from support.cluster.kube_api import PodWatch
from support.cluster.workbench import Workbench

pytestmark = pytest.mark.cluster

GOLDEN = Path(__file__).parents[1] / "conformance" / "golden" / "cli.jsonl"
BROKEN = "'job.factfile' is not a valid factotum factfile: "


def codes(stop, go_on):
    return {"onResult": {"terminateJobWithSuccess": stop, "continueJob": go_on}}


def as_raw(**data):
    return {"schema": SCHEMA, "data": data}


# Each with the path that the API server must name, or the message that the job must end with.
INLINE = {
    "no-schema": (as_raw(name="x", tasks=[]) | {"schema": None}, "spec.factfile.schema"),
    "no-iglu-schema": (make_factfile(schema="http://x/y"), "spec.factfile.schema"),
    "no-data": ({"schema": SCHEMA}, "spec.factfile.data"),
    "no-name": (as_raw(tasks=[]), "spec.factfile.data.name"),
    "no-tasks": (as_raw(name="x"), "spec.factfile.data.tasks"),
    "tasks-no-list": (as_raw(name="x", tasks={}), "spec.factfile.data.tasks"),
    "unknown-field": (make_factfile(make_task(colour="red")), "tasks[0].colour"),
    "no-task-name": (make_factfile(make_task(name=None)), "tasks[0].name"),
    "no-executor": (make_factfile(make_task(executor=None)), "tasks[0].executor"),
    "no-command": (make_factfile(make_task(command=None)), "tasks[0].command"),
    "command-a-number": (make_factfile(make_task(command=1)), "tasks[0].command"),
    "argument-a-number": (make_factfile(make_task(arguments=[1])), "tasks[0].arguments[0]"),
    "no-dependencies": (make_factfile(make_task(dependsOn=None)), "tasks[0].dependsOn"),
    "no-on-result": (make_factfile(make_task(onResult=None)), "tasks[0].onResult"),
    "code-too-big": (make_factfile(make_task(**codes([], [32768]))), "continueJob[0]"),
    "code-negative": (make_factfile(make_task(**codes([-1], [0]))), "terminateJobWithSuccess[0]"),
    "code-a-text": (make_factfile(make_task(**codes([], ["0"]))), "continueJob[0]"),
    "no-way-on": (make_factfile(make_task(**codes([3], []))), "onResult.continueJob"),
    "name-twice": (make_factfile(make_task("a"), make_task("a")), "spec.factfile.data.tasks"),
    "codes-in-conflict": (
        make_factfile(make_task(**codes([0], [0]))),
        "'job' is not a valid factotum factfile: the task 'a' has conflicting actions.",
    ),
    "unknown-dependency": (
        make_factfile(make_task("a", "b")),
        "'job' is not a valid factotum factfile: the task 'a' depends on 'b', which is not defined"
        " earlier in the factfile",
    ),
    "own-dependency": (
        make_factfile(make_task("a", "a")),
        "'job' is not a valid factotum factfile: the task 'a' cannot depend on itself",
    ),
    "cycle": (
        make_factfile(make_task("a", "b"), make_task("b", "a")),
        "'job' is not a valid factotum factfile: the task 'a' depends on 'b', which is not defined"
        " earlier in the factfile",
    ),
    "template": (
        make_factfile(make_task(command="{{#open}}")),
        "'job' is not a valid factotum factfile: ",
    ),
    "same-name-by-template": (
        make_factfile(make_task("{{x}}"), make_task("{{y}}")),
        "'job' is not a valid factotum factfile: the task '' is defined more than once",
    ),
}


def test_broken_factfiles_in_manifests_are_refused_or_end_the_job(bench: Workbench):
    job_api = bench.installation.cluster
    refused, ended = [], []
    with PodWatch(bench.api, bench.namespace) as watch, bench.operator():
        for kind, (factfile, _) in INLINE.items():
            inline = {key: value for key, value in factfile.items() if value is not None}
            job = make_job(bench.namespace, inline, name=kind)
            try:
                job_api.apply(job)
                ended.append(kind)
            except Refused as error:
                said = str(error).replace('"', "").replace("\\", "")
                assert INLINE[kind][1] in said, f"{kind}: {said}"
                refused.append(kind)
        jobs = bench.api.wait_all_done(bench.namespace, seconds=30)
        pods = list(watch.pods.values())
    assert sorted(jobs) == sorted(ended)
    for kind, job in jobs.items():
        status = job["status"]
        wanted = INLINE[kind][1].replace("'job' is", f"'{kind}' is")
        assert (status["outcome"], status["reason"]) == ("FAILED", "InvalidFactfile"), kind
        assert status["message"].startswith(wanted), f"{kind}: {status['message']}"
    assert not pods
    report("3 manifests", kinds=len(INLINE), refused=len(refused), failed=len(ended), pods=0)


def recorded():
    """Give the original's records of broken factfiles, with the job that stands for each."""
    for line in GOLDEN.read_text().rstrip().split("\n"):
        record = json.loads(line)
        said = re.sub(r"\x1b\[\d+m", "", record.get("stdout") or "")
        if record.get("exit") != 1 or not said.startswith(BROKEN) or "webhook" in record:
            continue
        options = record["args"][2:]
        spec = dict(
            zip((option.lstrip("-") for option in options[::2]), options[1::2], strict=True)
        )
        if "env" in spec:
            spec["env"] = json.loads(spec["env"])
        if set(spec) <= {"env", "start"}:
            yield record["id"], record["factfile"], spec, said.removeprefix(BROKEN).strip()


def test_broken_factfiles_in_config_maps_end_with_the_words_of_the_original(bench: Workbench):
    expected = {}
    path = f"/api/v1/namespaces/{bench.namespace}/configmaps"
    with PodWatch(bench.api, bench.namespace) as watch, bench.operator():
        for record, text, spec, words in recorded():
            name = re.sub("[^a-z0-9.-]", "-", record.lower())
            expected[name] = words
            bench.api.create(path, {"metadata": {"name": name}, "data": {"job.factfile": text}})
            reference = {"configMapKeyRef": {"name": name, "key": "job.factfile"}}
            bench.api.create_job(
                make_job(bench.namespace, name=name, factfileFrom=reference, **spec)
            )
        jobs = bench.api.wait_all_done(bench.namespace, seconds=60)
        pods = list(watch.pods.values())

    wrong = []
    for name, words in expected.items():
        status = jobs[name]["status"]
        said = status["message"].removeprefix(BROKEN).splitlines()
        right = status["message"].startswith(BROKEN) and sorted(said) == sorted(words.splitlines())
        if not right or (status["outcome"], status["reason"]) != ("FAILED", "InvalidFactfile"):
            wrong.append((name, words, status["reason"], status["message"]))
    assert not wrong
    assert not pods
    report("3 original's records", kinds=len(expected), same_words=len(expected), pods=0)
