"""Jobs in images of their own, which hold nothing of ours and nothing that the runner needs.

Real: everything, in a namespace that admits restricted Pods only. Each image runs the same jobs,
all at once: one whose events must be those of `factotum run`, one that looks around among hostile
variables, and one whose Pod is deleted while it works.
"""

import base64
import contextlib
import itertools
import json
import os
import subprocess
from datetime import UTC, datetime
from typing import Any, NamedTuple

import pytest

from factotum.controller.tls import authority
from factotum.controller.tls.authority import Lifetimes
from support import golden
from support.builders.manifests import make_factfile, make_job, make_task
from support.cluster import foreign_images
from support.cluster.clusters import ROOT
from support.cluster.kube_api import KubeApi, jobs_path, pods_path
from support.commands import factotum_command, run_command
from support.http import certificates
from support.http.receivers import Receiver

NAMESPACE = "own-images"
IMAGES = [image.name for image in foreign_images.all_of_them("")]
JOBS = ("same", "look", "stop")
KEEPS_ON = {"terminateJobWithSuccess": [], "continueJob": [0, 7]}

SAME = make_factfile(
    make_task("greet", command='echo "hello $GREETING"', arguments=[]),
    make_task("warn", "greet", command="echo out; echo err >&2; exit 7", arguments=[],
              onResult=KEEPS_ON),
    make_task("fail", "warn", command="exit 4", arguments=[]),
    make_task("tidy", "fail"),
)  # fmt: skip
LOOK = make_factfile(
    make_task("variables", command="env", arguments=[]),
    make_task("surroundings", "variables", command=(
        'exec 2>/dev/null; echo "folder $(readlink /proc/self/cwd)"; id -u;'
        " ls /proc/self/fd | tr '\\n' ' '; echo; tool || true"
    ), arguments=[]),
)  # fmt: skip
STOP = make_factfile(
    make_task("work", arguments=[], command=(
        "trap 'echo stopping; sleep 1; echo stopped; exit 0' TERM;"
        " echo ready; while :; do sleep 0.2; done"
    )),
    make_task("never", "work"),
)  # fmt: skip

HOSTILE = {
    "PATH": "/evil:/opt/tools:/usr/bin:/bin",
    "LD_LIBRARY_PATH": "/evil",
    "LD_AUDIT": "/evil.so",
    "PYTHONHOME": "/evil",
    "PYTHONPATH": "/evil",
    "SSLKEYLOGFILE": "/evil/keys",
    "SSL_CERT_FILE": "/evil/authorities",
    "FACTOTUM_WEBHOOK_URL": foreign_images.HIJACKED,
    "FACTOTUM_TASK_NESTED": "mine",
    "FACTOTUM_ASIDE_PATH": "/evil",
    "BASH_ENV": "/evil/rc",
    "ENV": "/evil/rc",
    "IFS": "0",
}
"""Variables that would steer or end a runner which looked at them."""
NO_IDENTIFIERS = {"a.key-1": "x", "LD_PRELOAD.so": "/evil.so"}
"""Names that some shells pass on and some do not."""
OVER = ("SUCCEEDED", "FAILED")
ENDS = ("Succeeded", "Failed")
BY_THE_SHELL = {"PWD", "OLDPWD", "SHLVL", "_"}


class Ended(NamedTuple):
    """What is known of an image's jobs, each by its job's name without the image's.

    Attributes:
        log: of the one that looks around.
        stopped: the log of the one that was stopped.
    """

    image: foreign_images.Foreign
    statuses: dict[str, dict[str, Any]]
    pods: dict[str, dict[str, Any]]
    log: list[str]
    stopped: list[str]
    receivers: dict[str, Receiver]


def secret(name, content):
    data = {key: base64.b64encode(value.encode()).decode() for key, value in content.items()}
    return {"metadata": {"name": name, "namespace": NAMESPACE}, "data": data}


def prepare(kubelet):
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    kubelet.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=60s")
    metadata = {"name": NAMESPACE, "labels": labels}
    kubelet.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    for kind, made in (
        ("ConfigMap", {"metadata": {"name": "greeting", "namespace": NAMESPACE},
                       "data": {"GREETING": "from outside"}}),
        ("Secret", secret("hostile", HOSTILE | NO_IDENTIFIERS)),
    ):  # fmt: skip
        kubelet.apply({"apiVersion": "v1", "kind": kind} | made)


def start(api, image, receivers):
    """Create an image's jobs."""
    specs: dict[str, Any] = {
        "same": {"factfile": SAME, "envFrom": [{"configMapRef": {"name": "greeting"}}]},
        "look": {"factfile": LOOK, "envFrom": [
            {"secretRef": {"name": "hostile"}},
            {"configMapRef": {"name": "greeting"}, "prefix": "MY_"},
        ]},
        "stop": {"factfile": STOP},
    }  # fmt: skip
    for name, spec in specs.items():
        job = make_job(
            NAMESPACE,
            spec.pop("factfile"),
            name=f"{name}-{image.name}",
            image=image.tag,
            webhook={"url": receivers[name].url},
            duplicatePolicy="Allow",
            **spec,
        )
        api.create_job(job)


def stop_when_ready(kubelet, api, images):
    """Delete the Pod of each job that is to be stopped, once its task runs; give what they say."""
    saying = {}
    for image in images:
        name = f"stop-{image.name}"
        api.wait_for(
            jobs_path(NAMESPACE, name),
            lambda job: any(t["state"] == "RUNNING" for t in job["status"].get("tasks", ())),
            "at its task",
        )
        pod = api.job(NAMESPACE, name)["status"]["claim"]["podName"]
        # Its log goes with the Pod.
        saying[image.name] = subprocess.Popen(
            [kubelet.programs / "kubectl", "logs", "-f", "-n", NAMESPACE, "-c", "factotum", pod],
            env=os.environ | {"KUBECONFIG": str(kubelet.kubeconfig)},
            stdout=subprocess.PIPE,
            text=True,
        )
    for image in images:
        pod = api.job(NAMESPACE, f"stop-{image.name}")["status"]["claim"]["podName"]
        api.delete(pods_path(NAMESPACE, pod))
    return {name: process.communicate(timeout=60)[0] for name, process in saying.items()}


def gather(kubelet, api, image, receivers, stopped):
    """Read what is left of an image's jobs."""
    statuses, pods = {}, {}
    for name in JOBS:
        statuses[name] = api.job(NAMESPACE, f"{name}-{image.name}")["status"]
    for name in ("same", "look"):
        path = pods_path(NAMESPACE, statuses[name]["claim"]["podName"])
        pods[name] = api.wait_for(path, lambda pod: pod["status"]["phase"] in ENDS, "ended")
    log = kubelet.kubectl(
        *("logs", "-n", NAMESPACE, "-c", "factotum", pods["look"]["metadata"]["name"])
    )
    return Ended(image, statuses, pods, log.splitlines(), stopped.splitlines(), receivers)


@pytest.fixture(scope="module")
def ended(kubelet, tmp_path_factory):
    """All jobs of all images at their end, by image."""
    folder = tmp_path_factory.mktemp("images")
    with contextlib.ExitStack() as stack:
        api = KubeApi(kubelet.kubeconfig)
        stack.callback(api.close)
        address = api.node_address("node-1")
        material = authority.make((address,), datetime.now(UTC), Lifetimes())
        images = foreign_images.all_of_them(material.trusted)
        kubelet.load(*(str(image.archive(folder)) for image in images))
        prepare(kubelet)
        receivers: dict[str, dict[str, Receiver]] = {}
        for image in images:
            tls = certificates.serving(material) if "SSL_CERT_FILE" in image.variables else None
            receivers[image.name] = {
                name: stack.enter_context(Receiver(host=address, tls=tls)) for name in JOBS
            }
            start(api, image, receivers[image.name])
        stopped = stop_when_ready(kubelet, api, images)
        api.wait_all_done(NAMESPACE, seconds=90, names=[f"{j}-{i}" for j in JOBS for i in IMAGES])
        yield {
            image.name: gather(kubelet, api, image, receivers[image.name], stopped[image.name])
            for image in images
        }
    kubelet.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


@pytest.fixture(scope="module")
def on_the_command_line(tmp_path_factory):
    """The events of `factotum run` with the same factfile."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "job.factfile").write_text(json.dumps(SAME))
    with Receiver() as receiver:
        run = run_command(
            [factotum_command(), "run", "job.factfile", "--webhook", receiver.url],
            cwd=folder,
            environ={"GREETING": "from outside"},
        )
    return run, [golden._Normaliser(folder, receiver.url).post(r) for r in receiver.requests]


def last_event(receiver):
    """Wait for a run's last event: the job's status tells of its end before that."""
    bodies = (receiver.wait_for(count)[count - 1].body for count in itertools.count(1))
    events = (json.loads(body)["data"] for body in bodies)
    return next(event for event in events if event["runState"] in OVER)


@pytest.mark.parametrize("name", IMAGES)
def test_events_and_exit_code_are_those_of_the_command_line(
    ended, on_the_command_line, name, tmp_path
):
    run, expected = on_the_command_line
    end = ended[name]
    receiver = end.receivers["same"]

    receiver.wait_for(len(expected))

    normaliser = golden._Normaliser(tmp_path, receiver.url)
    assert [normaliser.post(request) for request in receiver.requests] == expected
    states = end.pods["same"]["status"]["containerStatuses"]
    assert [s["state"]["terminated"]["exitCode"] for s in states] == [run.exit]
    codes = {t["name"]: (t["state"], t.get("returnCode")) for t in end.statuses["same"]["tasks"]}
    assert codes == {
        "greet": ("SUCCEEDED", 0),
        "warn": ("SUCCEEDED", 7),
        "fail": ("FAILED", 4),
        "tidy": ("SKIPPED", None),
    }


@pytest.mark.parametrize("name", IMAGES)
def test_tasks_see_the_images_variables_and_their_own_and_none_of_ours(ended, name):
    end = ended[name]
    lines = [line.partition("] ")[2] for line in end.log if line.startswith("[variables] ")]
    seen = dict(line.split("=", 1) for line in lines if "=" in line)
    seen = {k: v for k, v in seen.items() if k not in BY_THE_SHELL | NO_IDENTIFIERS.keys()}

    of_the_kubelet = {k for k in seen if k.startswith("KUBERNETES_")} | {"HOSTNAME"}
    # A shell may drop what it never takes from outside.
    own = end.image.variables | HOSTILE | {"MY_GREETING": "from outside", "HOME": "/"}
    # By our own names tasks see what is meant for them, and nothing of the image.
    for hidden in ("FACTOTUM_TOKEN_FILE", "FACTOTUM_TERMINATION_LOG"):
        own.pop(hidden, None)
    assert {k: v for k, v in seen.items() if k not in of_the_kubelet} | {"IFS": "0"} == own
    assert end.statuses["look"]["outcome"] == "SUCCEEDED"


@pytest.mark.parametrize("name", IMAGES)
def test_tasks_work_in_the_jobs_folder_with_nothing_of_ours_open(ended, name):
    end = ended[name]
    said = [line.partition("] ")[2] for line in end.log if line.startswith("[surroundings] ")]
    # What the image's own loader says of the variables.
    lines = [line for line in said if not line.startswith("ERROR: ld.so")]

    has_tool = "opt/tools/tool" in end.image.files
    # The fourth is the folder that `ls` looks into.
    expected = ["folder /work", "65532", "0 1 2 3 "]
    assert lines == expected + (["a tool of the image"] if has_tool else [])


@pytest.mark.parametrize("name", IMAGES)
def test_no_variable_takes_the_events_elsewhere(ended, name):
    last = last_event(ended[name].receivers["look"])

    assert last["jobTransition"] == {"previousState": "RUNNING", "currentState": "SUCCEEDED"}


@pytest.mark.parametrize("name", IMAGES)
def test_a_task_is_given_time_to_end_when_its_pod_is_deleted(ended, name):
    end = ended[name]
    status = end.statuses["stop"]
    last = last_event(end.receivers["stop"])

    assert (status["outcome"], status["reason"]) == ("FAILED", "Interrupted")
    assert [t["state"] for t in last["taskStates"]] == ["FAILED", "SKIPPED"]
    said = [line.removeprefix("[work] ") for line in end.stopped if line.startswith("[work] ")]
    assert [line for line in said if line != "Terminated"] == ["ready", "stopping", "stopped"]
    assert {t["name"]: t["state"] for t in status["tasks"]}["never"] == "SKIPPED"


@pytest.mark.parametrize("name", IMAGES)
def test_the_runner_is_mounted_from_its_image(ended, name):
    spec = ended[name].pods["look"]["spec"]

    assert "initContainers" not in spec
    assert [v["image"]["reference"] for v in spec["volumes"] if "image" in v] == [
        "localhost/factotum-runner:0.1.0"
    ]


def test_an_image_without_a_shell_is_told_in_the_runtimes_words(kubelet, api, namespace):
    # What holds a Pod's namespaces on this node: one program, and no other.
    api.create_job(make_job(namespace, image="localhost/pause:1"))

    job = api.wait_for(
        jobs_path(namespace, "job"),
        lambda job: job.get("status", {}).get("launch", 1) > 1,
        "at its second launch",
    )
    kubelet.kubectl("delete", "fj", "job", "-n", namespace, "--wait=false")

    assert "StartError, exit code 128" in job["status"]["message"]
    assert 'exec: "sh": executable file not found' in job["status"]["message"]


def test_the_example_runs(kubelet, api, namespace, done, pod_log, tmp_path):
    # The node pulls nothing: the image's namesake is made here.
    busybox = next(i for i in foreign_images.all_of_them("") if i.name == "busybox")
    kubelet.load(str(busybox.archive(tmp_path, "docker.io/library/busybox:1.37")))
    kubelet.kubectl("apply", "-n", namespace, "-f", str(ROOT / "examples" / "own-image.yaml"))

    job = done(namespace, "own-image")

    assert job["status"]["outcome"] == "SUCCEEDED"
    log = pod_log(job)
    assert "[say who counts] BusyBox v1" in log
    assert "[add up] 5050" in log
