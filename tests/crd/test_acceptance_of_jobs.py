"""What the API server accepts, what it fills in, and how it shows it. Real: API server, kubectl."""

import json

import pytest
import yaml

from support.builders.manifests import make_factfile, make_job, make_task
from support.cluster.clusters import ROOT

pytestmark = pytest.mark.cluster

EVERYTHING = {
    "start": "a",
    "env": {"message": "hello", "empty": ""},
    "envFrom": [
        {"secretRef": {"name": "creds"}},
        {"configMapRef": {"name": "vars"}, "prefix": "X_"},
    ],
    "tags": {"team": "data", "a b": ""},
    "constraints": {"host": "*"},
    "dryRun": True,
    "webhook": {"url": "https://sink/", "maxStdouterrSize": 0, "heartbeatIntervalSeconds": 30},
    "scheduling": "Eager",
    "desiredState": "Suspend",
    "duplicatePolicy": "Allow",
    "retry": {"limit": 3, "backoffSeconds": 10, "mode": "Restart"},
    "activeDeadlineSeconds": 3600,
    "ttlSecondsAfterFinished": 0,
    "image": "registry/my-tools:1",
    "resources": {"requests": {"cpu": "500m", "memory": 1}, "limits": {"example.com/gpu": 1}},
    "serviceAccountName": "loader",
    "imagePullSecrets": [{"name": "registry"}],
    "nodeSelector": {"disk": "ssd", "empty": ""},
    "tolerations": [{"key": "jobs", "operator": "Exists", "effect": "NoSchedule"}],
    "podTemplate": {
        "metadata": {"labels": {"a": "b"}, "name": "known, to be refused with words"},
        "spec": {
            "containers": [
                {
                    "name": "factotum",
                    "workingDir": "",
                    "env": [{"name": "A", "value": "b"}],
                    "resources": {"limits": {"cpu": 1, "memory": "1Gi"}},
                    "readinessProbe": {"httpGet": {"path": "/", "port": "http"}},
                }
            ],
            "initContainers": [{"name": "proxy", "image": "i", "restartPolicy": "Always"}],
            "volumes": [
                {"name": "a", "emptyDir": {"sizeLimit": "1Gi"}},
                {"name": "b", "hostPath": {"path": "/known, to be refused with words"}},
            ],
            "affinity": {
                "nodeAffinity": {
                    "requiredDuringSchedulingIgnoredDuringExecution": {
                        "nodeSelectorTerms": [
                            {"matchExpressions": [{"key": "a", "operator": "In", "values": ["b"]}]}
                        ]
                    }
                }
            },
        },
    },
}


def chain(length):
    return [make_task(f"task-{n:04}", *([f"task-{n - 1:04}"] if n else [])) for n in range(length)]


def test_every_field_is_kept_as_written(api, namespace):
    job = make_job(namespace, **EVERYTHING)

    api.apply(job)

    assert api.get("fj", "job", "-n", namespace)["spec"] == job["spec"]


def test_a_null_in_a_template_is_kept_where_it_takes_something_away(asked, namespace):
    """Whoever sends one: kubectl apply leaves it out, be it on the server's side or its own."""
    template = {
        "metadata": {"labels": {"a": None}},
        "spec": {
            "nodeSelector": {"a": None},
            "securityContext": {"runAsUser": None},
            "containers": [
                {"name": "factotum", "workingDir": None, "resources": {"requests": {"cpu": None}}}
            ],
        },
    }

    asked.create_job(make_job(namespace, podTemplate=template))

    assert asked.job(namespace)["spec"]["podTemplate"] == template


def test_nothing_is_nested_deeper_than_a_pod(asked, namespace):
    """What has no end would be read by nobody, and hold up the jobs of all namespaces."""
    deep = {}
    for _ in range(900):
        deep = {"a": deep}
    template = {
        "spec": {"odd": deep, "affinity": {"odd": deep}, "volumes": [{"name": "a", "odd": deep}]}
    }

    asked.create_job(make_job(namespace, podTemplate=template))

    stored = asked.job(namespace)["spec"]["podTemplate"]
    assert stored == {"spec": {"affinity": {}, "volumes": [{"name": "a"}]}}


def test_what_is_left_out_gets_its_default(api, namespace):
    job = make_job(namespace)

    api.apply(job)

    kept = api.get("fj", "job", "-n", namespace)
    assert kept["spec"] == job["spec"] | {
        "desiredState": "Run", "dryRun": False, "duplicatePolicy": "Queue", "scheduling": "Levels",
    }  # fmt: skip
    assert kept["status"] == {"observedGeneration": -1}


def test_a_job_without_tasks_is_accepted_as_in_the_original(api, namespace):
    api.apply(make_job(namespace, make_factfile()))

    assert api.get("fj", "job", "-n", namespace)["spec"]["factfile"]["data"]["tasks"] == []


@pytest.mark.parametrize("length", [1000, 2000])
def test_a_big_chain_is_accepted(api, namespace, length):
    api.apply(make_job(namespace, make_factfile(*chain(length))), "--server-side")

    kept = api.get("fj", "job", "-n", namespace, "--show-managed-fields")
    assert len(kept["spec"]["factfile"]["data"]["tasks"]) == length
    managed = len(json.dumps(kept["metadata"]["managedFields"]))
    print(
        f"{length} tasks: {len(json.dumps(kept)) / 1024:.0f} KiB, {managed} bytes of managedFields"
    )
    assert managed < 4096  # an atomic list: one entry, not one for each task


def test_kubectl_shows_state_and_the_wide_form_more(api, namespace):
    api.apply(make_job(namespace))
    status = {
        "state": "WORKING",
        "outcome": "RUNNING",
        "progress": "1/3",
        "attempt": 1,
        "jobId": "f00",
        "reason": "Claimed",
        "message": "at work",
        "observedGeneration": 1,
        "claim": {"id": "1", "podName": "p", "podUID": "u", "nodeName": "node-1"},
    }

    patch_status(api, namespace, status)

    short = api.kubectl("get", "factotum", "-n", namespace).split()
    wide = api.kubectl("get", "fj", "-o", "wide", "-n", namespace).split()
    assert short[:6] == ["NAME", "STATE", "OUTCOME", "REASON", "PROGRESS", "NODE"]
    assert short[6:13] == ["AGE", "job", "WORKING", "RUNNING", "Claimed", "1/3", "node-1"]
    assert wide[6:10] == ["AGE", "JOBID", "ATTEMPT", "MESSAGE"]
    assert wide[-4:] == ["f00", "1", "at", "work"]
    found = api.get("fj", "-n", namespace, "--field-selector", "status.state=WORKING")
    assert len(found["items"]) == 1


def test_every_field_is_described():
    text = (ROOT / "crds" / "factotumjobs.yaml").read_text()
    crd = yaml.load(text, Loader=yaml.CSafeLoader)
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]

    assert list(undescribed(schema, "")) == [".metadata"]  # the API server's own


def undescribed(schema, path):
    if "description" not in schema:
        yield path
    for name, child in schema.get("properties", {}).items():
        yield from undescribed(child, f"{path}.{name}")
    for name in ("items", "additionalProperties"):
        if name in schema:
            yield from undescribed(schema[name], f"{path}[]")


def test_kubectl_explains_the_whole_spec(api):
    text = api.kubectl("explain", "fj.spec", "--recursive")

    for field in EVERYTHING:
        assert f"  {field}\t" in text


def patch_status(api, namespace, status):
    patch = json.dumps({"status": status})
    api.kubectl(
        "patch", "fj", "job", "-n", namespace, "--subresource=status", "--type=merge", "-p", patch
    )
