"""Jobs whose images come from a registry: by password, digest, mirror, and when it is in trouble.

Real: distribution's registry with TLS, containerd that pulls from it, kubelet, operator. Only the
registry in trouble is the test's own; where it is not it leads to a real one. All jobs run at once.
"""

import base64
import contextlib
import json
import secrets
import time
from typing import Any, NamedTuple

import pytest

from support.builders.manifests import make_factfile, make_job, make_task
from support.cluster import foreign_images, registries
from support.cluster.kube_api import KubeApi, jobs_path, pods_path
from support.cluster.registries import PASSWORD, USER, Registry, node_knows
from support.http import certificates
from support.http.receivers import Receiver, Reply, Request, reply

NAMESPACE = "registries"
BUSYBOX = next(i for i in foreign_images.all_of_them("") if i.name == "busybox")
TOOL = make_factfile(make_task("use", command="/tool", arguments=[]))
AGAIN = make_factfile(make_task("use", command="/tool; sleep 4; exit 1", arguments=[]))
ENDS = ("Succeeded", "Failed")
FRESH = secrets.token_hex(4)
"""What makes these images new to a node that is used again."""
TROUBLED = "troubled.example"
SLOW_SECONDS = 3.0
ACCEPTED = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.config.v1+json",
)


class Trouble:
    """A registry that is told by paths what goes wrong; what goes well is done by a real one."""

    def __init__(self, real: Registry, lie: bytes) -> None:
        self._real = real
        self._lie = lie
        self._failed = 0

    def __call__(self, _: int, request: Request) -> Reply:
        kind = request.target.split("/")[2]
        where = {"Location": self._real.url + request.target.replace(f"/v2/{kind}/", "/v2/team/")}
        if kind == "failing" and self._failed < 2:
            self._failed += 1
            return reply(500, body="out of order")
        if kind == "lying" and "/manifests/" in request.target:
            digest = request.target.rpartition("/")[2].partition("?")[0]
            head = f"HTTP/1.1 200 OK\r\nContent-Type: {ACCEPTED[0]}\r\n"
            head += f"Content-Length: {len(self._lie)}\r\nDocker-Content-Digest: {digest}\r\n"
            body = b"" if request.method == "HEAD" else self._lie
            return Reply(f"{head}Connection: close\r\n\r\n".encode() + body)
        return reply(307, where, delay=SLOW_SECONDS if kind == "slow" else 0.0)


class Ground(NamedTuple):
    """What the jobs of this file have in common."""

    api: KubeApi
    locked: Registry
    archives: dict[str, Any]
    digests: dict[str, str]


def archive(folder, name):
    """Write an image whose tool says its name."""
    place = folder / name
    place.mkdir()
    return BUSYBOX._replace(files={"tool": f"#!/bin/sh\necho this is {name} # {FRESH}\n"}).archive(
        place
    )


def create(ground, name, image, factfile=TOOL, **spec):
    ground.api.create_job(
        make_job(NAMESPACE, factfile, name=name, image=image, duplicatePolicy="Allow", **spec)
    )


def said(kubelet, ground, pod):
    """Give the log of a Pod, once the kubelet has told of its end, too."""
    path = pods_path(NAMESPACE, pod)
    ground.api.wait_for(path, lambda pod: pod["status"]["phase"] in ENDS, "ended")
    return kubelet.kubectl("logs", "-n", NAMESPACE, "-c", "factotum", pod)


def pod_of(job):
    return job["status"]["claim"]["podName"]


def ended(ground, name, seconds=90):
    path = jobs_path(NAMESPACE, name)
    return ground.api.wait_for(
        path, lambda job: job.get("status", {}).get("state") == "DONE", "DONE", seconds=seconds
    )


@pytest.fixture(scope="module")
def ground(kubelet, tmp_path_factory):
    """Registries, the node that knows them, a namespace that may pull, all jobs on their way."""
    folder = tmp_path_factory.mktemp("registries")
    with contextlib.ExitStack() as stack:
        api = KubeApi(kubelet.kubeconfig)
        stack.callback(api.close)
        address = api.node_address("node-1")
        locked = stack.enter_context(registries.running(folder / "locked", address))
        open_one = stack.enter_context(
            registries.running(folder / "open", "127.0.0.1", locked=False)
        )
        words = ("one", "two", "late", "mirrored", "moving", "moved", *TROUBLES)
        archives = {word: archive(folder, word) for word in words}
        digests = {}
        for word in ("one", "late", "mirrored", "moving"):
            digests[word] = locked.push(archives[word], f"team/{word}:{FRESH}")
        for word in TROUBLES:
            digests[word] = open_one.push(archives[word], f"team/{word}:{FRESH}")
        trouble = Trouble(open_one, json.dumps({"schemaVersion": 2}).encode())
        front = stack.enter_context(Receiver(trouble, tls=certificates.serving()))
        trusted = folder / "trusted.pem"
        trusted.write_text(certificates.loopback().trusted + open_one.authority.read_text())
        stack.enter_context(locked.known_to_the_node())
        stack.enter_context(locked.mirroring("docker.io"))
        stack.enter_context(node_knows(TROUBLED, front.url, trusted))
        prepare(kubelet, locked)
        made = Ground(api, locked, archives, digests)
        start_all(made)
        move_the_tag(made)
        yield made
    kubelet.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


TROUBLES = ("failing", "slow", "elsewhere", "lying")


def prepare(kubelet, locked):
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    kubelet.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=60s")
    metadata = {"name": NAMESPACE, "labels": labels}
    kubelet.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    kubelet.apply(locked.secret(NAMESPACE))
    kubelet.kubectl(
        *("wait", "serviceaccount/default", "-n", NAMESPACE, "--for=create", "--timeout=30s")
    )
    # The Secret of the second name comes later.
    names = [{"name": "puller"}]
    patch = json.dumps({"imagePullSecrets": names})
    kubelet.kubectl("patch", "serviceaccount", "default", "-n", NAMESPACE, "-p", patch)


def start_all(ground):
    base = f"{ground.locked.address}/team"
    create(ground, "by-tag", f"{base}/one:{FRESH}")
    create(ground, "by-digest", f"{base}/one@{ground.digests['one']}")
    create(ground, "mirrored", f"docker.io/team/mirrored:{FRESH}")
    retry = {"limit": 1, "backoffSeconds": 1, "mode": "Restart"}
    create(ground, "moving", f"{base}/moving:{FRESH}", AGAIN, retry=retry)
    for trouble in TROUBLES:
        name = f"{trouble}:{FRESH}" if trouble != "lying" else f"lying@{ground.digests['lying']}"
        create(ground, trouble, f"{TROUBLED}/{trouble}/{name}")


def move_the_tag(ground):
    """Have the tag of a job's image mean another one, between two of its attempts."""
    path = jobs_path(NAMESPACE, "moving")
    ground.api.wait_for(path, lambda job: "claim" in job.get("status", {}), "claimed", seconds=90)
    ground.digests["moved"] = ground.locked.push(ground.archives["moved"], f"team/moving:{FRESH}")
    assert ground.api.get(path)["status"]["attempt"] == 1
    for name, word in (("pinned", "moving"), ("current", "moved")):
        digest = ground.digests[word]
        create(ground, name, f"{ground.locked.address}/team/moving@{digest}")


@pytest.mark.parametrize("name", ["by-tag", "by-digest"])
def test_a_job_runs_in_an_image_for_which_a_password_is_needed(kubelet, ground, name):
    job = ended(ground, name)

    assert job["status"]["outcome"] == "SUCCEEDED"
    assert "this is one" in said(kubelet, ground, pod_of(job))
    pulls = [line for line in ground.locked.log.splitlines() if "GET /v2/team/one/blobs" in line]
    assert any("containerd" in line for line in pulls)


def test_a_job_runs_in_a_public_image_that_a_mirror_has(kubelet, ground):
    job = ended(ground, "mirrored")

    assert job["status"]["outcome"] == "SUCCEEDED"
    assert "this is mirrored" in said(kubelet, ground, pod_of(job))
    assert f"team/mirrored/manifests/{FRESH}?ns=docker.io" in ground.locked.log


@pytest.mark.longer
def test_an_image_whose_password_is_missing_is_told_and_runs_once_it_is_there(kubelet, ground):
    kubelet.kubectl("delete", "secret", "puller", "-n", NAMESPACE)
    try:
        create(ground, "late", f"{ground.locked.address}/team/late:{FRESH}")
        job = ground.api.wait_for(
            jobs_path(NAMESPACE, "late"),
            lambda job: job.get("status", {}).get("reason") == "ImagePullBackOff",
            "told",
            seconds=60,
        )
        print("without a password:", job["status"]["message"])
    finally:
        kubelet.apply(ground.locked.secret(NAMESPACE))
    end = ended(ground, "late")["status"]

    assert f"{ground.locked.address}/team/late:{FRESH}" in job["status"]["message"]
    assert (end["outcome"], end["attempt"], end["launch"]) == ("SUCCEEDED", 1, 1)


@pytest.mark.parametrize(
    "trouble", [pytest.param("failing", marks=pytest.mark.longer), "slow", "elsewhere"]
)
def test_a_job_outlasts_a_registry_in_trouble(kubelet, ground, trouble):
    job = ended(ground, trouble)

    status = job["status"]
    assert (status["outcome"], status["attempt"], status["launch"]) == ("SUCCEEDED", 1, 1)
    assert f"this is {trouble}" in said(kubelet, ground, pod_of(job))


def test_other_content_than_the_digest_says_is_never_run(ground):
    job = ground.api.wait_for(
        jobs_path(NAMESPACE, "lying"),
        lambda job: job.get("status", {}).get("reason") == "ImagePullBackOff",
        "told",
        seconds=60,
    )

    print("another content:", job["status"]["message"])
    assert job["status"]["state"] == "QUEUED"
    assert "startTime" not in job["status"]
    pod = ground.api.pods_of(NAMESPACE, job["metadata"]["uid"])[0]
    assert "running" not in pod["status"]["containerStatuses"][0]["state"]


def test_a_tag_that_moves_does_not_change_what_a_node_runs_and_a_digest_never(kubelet, ground):
    job = ended(ground, "moving")
    pods = ground.api.pods_of(NAMESPACE, job["metadata"]["uid"])

    assert ground.digests["moved"] != ground.digests["moving"]
    logs = [said(kubelet, ground, pod["metadata"]["name"]) for pod in pods]
    assert len(logs) == 2
    assert all("this is moving" in log for log in logs)
    assert "this is moving" in said(kubelet, ground, pod_of(ended(ground, "pinned")))
    assert "this is moved" in said(kubelet, ground, pod_of(ended(ground, "current")))


def test_the_password_is_in_no_log_event_or_status(kubelet, ground):
    time.sleep(0.5)
    pair = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    logs = kubelet.kubeconfig.parent / "log"
    texts = {
        path.name: path.read_text(errors="replace")
        for path in logs.iterdir()
        if path.name != "audit.log"
    }
    texts["registry"] = ground.locked.log
    texts["operator"] = kubelet.kubectl(
        "logs", "-n", "factotum-system", "deployment/factotum-operator"
    )
    texts["events"] = json.dumps(ground.api.items(f"/api/v1/namespaces/{NAMESPACE}/events"))
    texts["jobs"] = json.dumps(ground.api.items(jobs_path(NAMESPACE)))
    texts["pods"] = json.dumps(ground.api.items(pods_path(NAMESPACE)))

    assert {"containerd.log", "kubelet.log"} <= texts.keys()
    for name, text in texts.items():
        assert PASSWORD not in text, name
        assert pair not in text, name
