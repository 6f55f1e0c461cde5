"""Ways to reach an object of another namespace through what a job may say, tried for real.

Real: the API server with our chart, the operator's process, and a user who may do nothing but
create FactotumJobs in one namespace. The resource definition's patterns refuse most of this; they
are taken away here, since the controller has to hold without them. Each way is tried twice, on an
object that is there and on one that is not: nothing may tell the two apart.
"""

import json
import re
import time

import pytest

from support.builders.manifests import make_job
from support.cluster.audit import Audit
from support.cluster.kube_api import ApiRefusedError, jobs_path, pods_path
from support.cluster.people import JOBS_ONLY, SECRET_WORD, STATUSES, Person

pytestmark = pytest.mark.cluster

OWN = {"configMapKeyRef": {"name": "own", "key": "k"}}


def factfile_of(name):
    return {"factfileFrom": {"configMapKeyRef": {"name": name, "key": "k"}}}


def factfile_at(key):
    return {"factfileFrom": {"configMapKeyRef": {"name": "own", "key": key}}}


def environment_of(kind, name):
    return {"envFrom": [{kind: {"name": name}}]}


def webhook_of(name, key="k"):
    return {"webhook": {"urlFrom": {"secretKeyRef": {"name": name, "key": key}}}}


WAYS = {
    "up": lambda v, n: factfile_of(f"../../{v}/configmaps/{n}"),
    "escaped-slashes": lambda v, n: factfile_of(f"..%2f..%2f{v}%2fconfigmaps%2f{n}"),
    "escaped-dots": lambda v, n: factfile_of(f"%2e%2e/%2e%2e/{v}/configmaps/{n}"),
    "escaped-twice": lambda v, n: factfile_of(f"%252e%252e%252f%252e%252e%252f{v}%252f{n}"),
    "absolute": lambda v, n: factfile_of(f"/api/v1/namespaces/{v}/configmaps/{n}"),
    "of-another-host": lambda v, n: factfile_of(f"//localhost/api/v1/namespaces/{v}/{n}"),
    "down-and-up": lambda v, n: factfile_of(f"own/../../../{v}/configmaps/{n}"),
    "in-its-namespace": lambda v, n: factfile_of(f"{v}/{n}"),
    "query": lambda v, n: factfile_of(f"../../{v}/configmaps/{n}?pretty=1"),
    "fragment": lambda v, n: factfile_of(f"../../{v}/configmaps/{n}#own"),
    "parameter": lambda v, n: factfile_of(f"{n};namespace={v}"),
    "backslashes": lambda v, n: factfile_of(f"..\\..\\{v}\\configmaps\\{n}"),
    "wide-slashes": lambda v, n: factfile_of(f"..\uff0f..\uff0f{v}\uff0fconfigmaps\uff0f{n}"),
    "one-dot-leaders": lambda v, n: factfile_of(f"\u2024\u2024/\u2024\u2024/{v}/configmaps/{n}"),
    "line-ends": lambda v, n: factfile_of(f"x HTTP/1.1\r\n\r\nGET /{v[-9:]}/{n}"),
    "null": lambda v, n: factfile_of(f"../../{v}/configmaps/{n}\x00"),
    "key-up": lambda v, n: factfile_at(f"../../{v}/configmaps/{n}/k"),
    "key-query": lambda v, n: factfile_at(f"k?namespace={v}&name={n}"),
    "env-secret": lambda v, n: environment_of("secretRef", f"../../{v}/secrets/{n}"),
    "env-config": lambda v, n: environment_of("configMapRef", f"..%2f..%2f{v}%2fconfigmaps%2f{n}"),
    "webhook": lambda v, n: webhook_of(f"../../{v}/secrets/{n}"),
    "webhook-key": lambda v, n: webhook_of("own", f"../../../{v}/secrets/{n}/k"),
    "host": lambda v, n: {"constraints": {"host": f"../../{v}/pods/{n}"}},
    "host-escaped": lambda v, n: {"constraints": {"host": f"%2e%2e%2f{v}%2f{n}"}},
    "start": lambda v, n: {"start": f"../../{v}/configmaps/{n}"},
    "tags": lambda v, n: {"tags": {f"../../{v}": f"../../../{v}/{n}"}, "dryRun": True},
    "env": lambda v, n: {"env": {f"../{v}": f"{{{{{v}/{n}}}}}"}, "dryRun": True},
}


def has_word(job):
    # Jobs of one way have one job id: the second waits until the first has its answer.
    return job.get("status", {}).get("reason") not in (None, "", "WaitingForJobId")


@pytest.fixture
def stranger(bench, victim):
    root = f"/api/v1/namespaces/{bench.namespace}"
    bench.api.create(f"{root}/configmaps", {"metadata": {"name": "own"}, "data": {"j": "{}"}})
    person = Person(bench.api, bench.namespace, "stranger", JOBS_ONLY)
    with pytest.raises(ApiRefusedError, match="403"):
        person.get(f"/api/v1/namespaces/{victim}/configmaps/hidden")
    with pytest.raises(ApiRefusedError, match="403"):
        person.get(f"/api/v1/namespaces/{bench.namespace}/configmaps/own")
    return person


@pytest.mark.usefixtures("open_schema")
def test_no_field_of_a_job_reaches_another_namespace_or_tells_of_it(bench, victim, stranger):
    audit = Audit(bench.installation)
    seen: dict[str, dict[str, object]] = {}
    with bench.operator(f"--namespace={victim}") as operator:
        for way, spec in WAYS.items():
            for target in ("hidden", "absent"):
                name = f"{way}-{target}"
                stranger.create_job(make_job(bench.namespace, name=name, **spec(victim, target)))
        for way in WAYS:
            for target in ("hidden", "absent"):
                name = f"{way}-{target}"
                job = stranger.wait_for(jobs_path(bench.namespace, name), has_word, "answered")
                seen.setdefault(way, {})[target] = told(job, target)
        time.sleep(1)  # for the Events
        log = operator.log.read_text()

    everything = json.dumps(
        [
            bench.api.items(jobs_path(bench.namespace)),
            bench.api.items(pods_path(bench.namespace)),
            bench.api.items(f"/api/v1/namespaces/{bench.namespace}/events"),
        ]
    )
    assert {way: told["hidden"] for way, told in seen.items()} == {
        way: told["absent"] for way, told in seen.items()
    }
    assert SECRET_WORD not in everything + log
    assert "Traceback" not in log
    paths = [request.path.partition("?")[0] for request in audit.requests()]
    assert paths
    assert [p for p in paths if f"/{victim}/" in p and not p.endswith(WATCHED)] == []
    assert [p for p in paths if ".." in p or "%" in p] == []


WATCHED = ("/factotumjobs", "/pods")


def told(job, target):
    """Give all that a user can read in a job, whatever the target was called."""
    status = job["status"]
    words = {key: status.get(key) for key in ("state", "outcome", "reason", "message")}
    text = json.dumps(words | {"conditions": [c["message"] for c in status["conditions"]]})
    # What follows from the job's own UID.
    return re.sub(r"-1-1-[0-9a-f]{8}", "-POD", text).replace(target, "TARGET")


FORGED = {
    "pod-up": {"claim": {"podName": "../../{v}/pods/{n}", "podUID": "{uid}"}},
    "pod-escaped": {"claim": {"podName": "..%2f..%2f{v}%2fpods%2f{n}", "podUID": "{uid}"}},
    "pod-named": {"claim": {"podName": "{n}", "podUID": "{uid}"}},
    "claim-id": {"claim": {"podName": "x", "podUID": "{uid}", "id": "é" * 32}},
    "job-id": {"jobId": "../../../{v}/{n}"},
    "hash": {"factfileHash": "../../{v}/configmaps/{n}"},
    "progress": {"progress": "1/99999999999999999999"},
    "times": {"nextLaunchTime": "9999-12-31t23:59:59-23:59"},
    "message": {"message": "fine\n[INFO] all is well\r\x1b[2J", "reason": "../{v}"},
    "numbers": {"attempt": 2**62, "launch": 2**62, "sequence": 2**62},
}


def forged_status(fields, **known):
    """Give the status of a run, with what a forger wrote into it."""
    status = {"state": "WORKING", "outcome": "RUNNING", "tasks": [], "progress": "0/1"}
    claim = {"id": "f" * 32, "podName": "x", "podUID": "y"} | fields.get("claim", {})
    words = json.dumps(status | fields | {"claim": claim})
    for name, value in known.items():
        words = words.replace(f"{{{name}}}", value)
    return {"status": json.loads(words)}


def test_a_forged_status_reaches_nothing_and_stops_nobody(bench, victim):
    person = Person(bench.api, bench.namespace, "forger", JOBS_ONLY, STATUSES)
    manifest = {
        "metadata": {"name": "hidden"},
        "spec": {"containers": [{"name": "factotum", "image": "none"}]},
    }
    uid = bench.api.create(pods_path(victim), manifest)["metadata"]["uid"]
    targets = {"hidden": uid, "absent": "0f0f0f0f-1111-2222-3333-444444444444"}
    seen = {}
    names = [(f"{way}-{target}", way, target) for way in FORGED for target in targets]
    with bench.operator(f"--namespace={victim}", f"--max-workers={len(names) + 1}") as operator:
        for name, _, _ in names:
            late = {"configMapKeyRef": {"name": "late", "key": "k"}}
            person.create_job(make_job(bench.namespace, name=name, factfileFrom=late))
            person.wait_for(jobs_path(bench.namespace, name), has_word, "answered")
        audit = Audit(bench.installation)
        for name, way, target in names:
            body = forged_status(FORGED[way], v=victim, n=target, uid=targets[target])
            person.patch(f"{jobs_path(bench.namespace, name)}/status", body)
        for name, way, target in names:
            path = jobs_path(bench.namespace, name)
            job = person.wait_for(path, is_answered, "answered", seconds=20)
            seen.setdefault(way, {})[target] = told(job, target)
        pod = bench.pod_side(operator, bench.create_by_hand(name="honest"))
        assert pod.claim("c" * 32)[0] == 200
        assert pod.report("c" * 32, 2, "S", final=True)[0] == 200
        assert bench.done("honest")["outcome"] == "SUCCEEDED"
        log = operator.log.read_text()

    assert [way for way, each in seen.items() if each["hidden"] != each["absent"]] == []
    paths = [request.path.partition("?")[0] for request in audit.requests()]
    assert [p for p in paths if f"/{victim}/" in p and not p.endswith(WATCHED)] == []
    assert [p for p in paths if ".." in p or "%" in p] == []
    assert [line for line in log.splitlines() if not line.startswith("[20")] == []


def is_answered(job):
    """Tell whether the operator has looked at a forged claim: its Pod is nowhere."""
    return job["status"]["reason"] in ("PodGone", "Lost")


@pytest.mark.parametrize(
    "name",
    ["../../{victim}/factotumjobs/job", "..%2f{victim}", "{victim}/job", "a?b", "ä", "a\n"],
)
def test_a_job_cannot_be_called_like_a_path(bench, victim, stranger, name):
    with pytest.raises(ApiRefusedError, match=r"metadata\.name"):
        stranger.create_job(make_job(bench.namespace, name=name.format(victim=victim)))


def test_a_job_cannot_be_made_in_a_namespace_of_others(bench, victim, stranger):
    with pytest.raises(ApiRefusedError, match="403"):
        stranger.create_job(make_job(victim))
    with pytest.raises(ApiRefusedError, match="does not match"):
        stranger.create(jobs_path(bench.namespace), make_job(victim))
