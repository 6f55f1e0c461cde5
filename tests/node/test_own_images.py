"""Jobs in images of their own, which hold nothing of ours and nothing that the runner needs.

Real: everything, in a namespace that admits restricted Pods only. Each image runs the same jobs, all at
once: one whose events must be those of `factotum run`, one that looks around among hostile
variables, and one whose Pod is deleted while it works.
"""

import base64
import ssl
import time
from typing import Any, NamedTuple

import pytest

from factotum.controller.tls import authority
from factotum.controller.tls.authority import Lifetimes
from support import golden
from support.builders.manifests import make_factfile, make_job, make_task
from support.cluster import foreign_images
from support.cluster.acceptance import report
from support.cluster.kube_api import pods_path
from support.commands import factotum_command, run_command
from support.http import certificates
from support.http.receivers import Receiver

NAMESPACE = "own-images"
IMAGES = [image.name for image in foreign_images.all_of_them("")]
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
        'echo "folder $(readlink /proc/self/cwd)"; id -u;'
        " ls /proc/self/fd | tr '\\n' ' '; echo; tool 2>/dev/null || true"
    ), arguments=[]),
)  # fmt: skip
STOP = make_factfile(
    make_task("work", command="trap 'echo stopping; sleep 1; echo stopped; exit 0' TERM; echo ready;"
              " while :; do sleep 0.2; done", arguments=[]),
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
BY_THE_SHELL = {"PWD", "OLDPWD", "SHLVL", "_"}


class Ended(NamedTuple):
    """What is known of an image's jobs."""

    jobs: dict[str, dict[str, Any]]
    logs: dict[str, list[str]]
    pods: dict[str, dict[str, Any]]
    receivers: dict[str, Receiver]


def node_address(api):
    (node,) = (n for n in api.items("/api/v1/nodes") if n["metadata"]["name"] == "node-1")
    return next(a["address"] for a in node["status"]["addresses"] if a["type"] == "InternalIP")


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


def stop_when_ready(api, images):
    """Delete each stopping job's Pod once its task runs; a job that is DONE too early fails later."""
    for image in images:
        api.wait_state(NAMESPACE, f"stop-{image.name}", "WORKING")
    deadline = time.monotonic() + 30
    for image in images:
        name = f"stop-{image.name}"
        while not api.job(NAMESPACE, name)["status"].get("tasks"):
            assert time.monotonic() < deadline, f"{name} does not begin"
            time.sleep(0.2)
        api.delete(pods_path(NAMESPACE, api.job(NAMESPACE, name)["status"]["claim"]["podName"]))


@pytest.fixture(scope="module")
def ended(kubelet, tmp_path_factory):
    """All jobs of all images, at their end."""
    from support.cluster.kube_api import KubeApi

    api = KubeApi(kubelet.kubeconfig)
    address = node_address(api)
    material = authority.make((address,), authority_time(), Lifetimes())
    images = foreign_images.all_of_them(material.trusted)
    folder = tmp_path_factory.mktemp("images")
    kubelet.load(*(str(image.archive(folder)) for image in images))
    prepare(kubelet)
    receivers: dict[str, dict[str, Receiver]] = {}
    with contextlib.ExitStack() as stack:
        for image in images:
            tls = certificates.serving(material) if "SSL_CERT_FILE" in image.variables else None
            receivers[image.name] = {
                name: stack.enter_context(
                    Receiver(host=address, tls=tls, answers=after_a_while_for(name))
                )
                for name in ("same", "look", "stop")
            }
            start(api, image, receivers[image.name])
        stop_when_ready(api, images)
        jobs = api.wait_all_done(NAMESPACE, seconds=120)
        yield {image.name: gather(kubelet, api, image.name, jobs, receivers[image.name])
               for image in images}  # fmt: skip
    kubelet.kubectl("delete", "namespace", NAMESPACE, "--wait=false")
    api.close()
