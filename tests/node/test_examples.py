"""Every example on a real kubelet: its end, each task's state, its log, its events, its entry.

Real: everything, by the images and the chart as users have them. The namespace admits restricted
Pods only. All examples run at once; expected states are those of the original (spec of the runner).
"""

import base64
import json

import pytest

from support.cluster.clusters import ROOT

NAMESPACE = "examples"
OK, NO_OP, BAD, SKIPPED = (
    ("SUCCEEDED", 0),
    ("SUCCEEDED_NO_OP", 3),
    "FAILED",
    ("SKIPPED", None),
)

EXPECTED = {
    "echo": ("SUCCEEDED", "3/3", {"say hello": OK, "say more": OK, "say goodbye": OK}),
    "noop": (
        "SUCCEEDED",
        "2/3",
        {"list the inbox": OK, "anything new?": NO_OP, "load the files": SKIPPED},
    ),
    "sleep": ("SUCCEEDED", "4/4", dict.fromkeys(["lie down", "dream", "snore", "wake up"], OK)),
    "variables": ("SUCCEEDED", "3/3", dict.fromkeys(["greet", "quote", "miss"], OK)),
    "tagged": ("SUCCEEDED", "2/2", {"build for staging": OK, "roll out": OK}),
    "cascade": (
        "FAILED",
        None,
        {
            "prepare": OK,
            "source north": (BAD, 7),
            "source east": OK,
            "source south": (BAD, 4),
            "load north": SKIPPED,
            "load east": OK,
            "load south": SKIPPED,
            "report": SKIPPED,
        },
    ),
    "large-output": ("SUCCEEDED", "3/3", dict.fromkeys(["count", "complain", "sum up"], OK)),
    "heartbeat": ("SUCCEEDED", "2/2", {"begin": OK, "work slowly": OK}),
    "stubborn": ("SUCCEEDED", "2/2", {"ignore the signal": OK, "rest": OK}),
    "streams": ("SUCCEEDED", "5/5", dict.fromkeys(["open", "fast", "steady", "slow", "close"], OK)),
    "from-configmap": ("SUCCEEDED", "1/1", {"say hello": OK}),
    "secret": ("SUCCEEDED", "1/1", {"log in": OK}),
    "on-host": ("SUCCEEDED", "1/1", {"say hello": OK}),
}


@pytest.fixture(scope="module")
def examples(kubelet):
    """All examples applied, in a namespace of their own."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    metadata = {"name": NAMESPACE, "labels": labels}
    kubelet.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=60s")
    kubelet.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    folder = ROOT / "examples"
    kubelet.kubectl("apply", "-n", NAMESPACE, "-f", str(folder / "webhook-sink.yaml"))
    kubelet.kubectl(
        "rollout", "status", "deployment/webhook-sink", "-n", NAMESPACE, "--timeout=60s"
    )
    for name in EXPECTED:
        kubelet.kubectl("apply", "-n", NAMESPACE, "-f", str(folder / f"{name}.yaml"))
    yield kubelet
    kubelet.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


@pytest.mark.parametrize("name", EXPECTED)
def test_it_ends_as_the_original_does(examples, done, name):
    outcome, progress, tasks = EXPECTED[name]

    status = done(NAMESPACE, name)["status"]

    assert (status["state"], status["outcome"]) == ("DONE", outcome)
    assert {t["name"]: (t["state"], t.get("returnCode")) for t in status["tasks"]} == tasks
    if progress:
        assert status["progress"] == progress


def test_variables_and_tags_reach_the_commands(examples, done, pod_log):
    variables = pod_log(done(NAMESPACE, "variables"))
    tagged = pod_log(done(NAMESPACE, "tagged"))

    assert "[greet] good evening, Ada!" in variables
    assert "[quote] R&amp;D or R&D" in variables
    assert "[build for staging] building staging" in tagged


def test_a_secret_reaches_the_command_and_nothing_else(examples, done, pod_log):
    job = done(NAMESPACE, "secret")
    others = examples.kubectl("get", "events,pods", "-n", NAMESPACE, "-o", "json")

    assert "[log in] 11" in pod_log(job)
    assert "open sesame" not in json.dumps(job) + others


def test_large_output_is_in_the_log_and_not_in_the_resource(examples, done, pod_log):
    job = done(NAMESPACE, "large-output")
    log, size = pod_log(job), len(json.dumps(job["status"]))
    print(f"large-output: {len(log) / 1e6:.1f} MB of log, {size} bytes of status")

    assert log.count("[count] line ") == 30000
    assert log.count("[complain] warning ") == 2000
    assert size < 4096


def test_the_webhook_gets_the_originals_sequence_and_heartbeats(examples, done):
    done(NAMESPACE, "heartbeat")
    lines = examples.kubectl("logs", "-n", NAMESPACE, "deployment/webhook-sink").splitlines()
    events = [json.loads(line) for line in lines]
    kinds = [event["schema"].split("/")[1] for event in events]
    changes = [
        event["data"] for event, kind in zip(events, kinds, strict=True) if kind != "heartbeat"
    ]

    assert changes[0]["jobTransition"] == {"previousState": None, "currentState": "WAITING"}
    assert changes[1]["jobTransition"] == {"previousState": "WAITING", "currentState": "RUNNING"}
    assert changes[-1]["jobTransition"] == {"previousState": "RUNNING", "currentState": "SUCCEEDED"}
    factfile = json.loads(base64.b64decode(changes[0]["factfile"]))
    assert factfile["data"]["name"] == "Watch a slow task"


def test_the_jobs_entry_is_in_consul(examples, done):
    job_id = done(NAMESPACE, "echo")["status"]["jobId"]
    key = f"com.snowplowanalytics/factotum/{NAMESPACE}/{job_id}"
    service = "/api/v1/namespaces/factotum-system/services/factotum-operator-consul:http"

    entry = json.loads(examples.kubectl("get", "--raw", f"{service}/proxy/v1/kv/{key}?raw"))

    assert (entry["state"], entry["lastOutcome"]) == ("DONE", "SUCCEEDED")
    assert entry["jobRequest"]["jobName"] == f"{NAMESPACE}/echo"


def test_the_job_owns_its_pod_and_takes_it_along(examples, done):
    job = done(NAMESPACE, "echo")
    pod = examples.get("pod", job["status"]["claim"]["podName"], "-n", NAMESPACE)
    (owner,) = pod["metadata"]["ownerReferences"]

    examples.kubectl("delete", "fj", "echo", "-n", NAMESPACE)
    examples.kubectl(
        *("wait", "pod", pod["metadata"]["name"], "-n", NAMESPACE, "--for=delete", "--timeout=60s")
    )

    assert (owner["uid"], owner["controller"]) == (job["metadata"]["uid"], True)
