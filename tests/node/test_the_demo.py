"""`make demo CLUSTER=current REGISTRY=...` from end to end, and `make down` after it.

Real: everything. To the demo the local cluster is any cluster that a kubeconfig leads to: it is
told of a registry with TLS and a password, pushes the images there, and the node, from which they
were taken away before, pulls them.
"""

import base64
import json
import os
import subprocess

import pytest

from support.cluster import registries
from support.cluster.clusters import ROOT
from support.cluster.kube_api import KubeApi
from support.cluster.registries import PASSWORD, USER

pytestmark = pytest.mark.longer

SYSTEM = "factotum-system"
SECRET = "factotum-registry"
SOCKET = "/run/factotum-node/containerd.sock"


@pytest.fixture(scope="module")
def registry(kubelet, bring_back, tmp_path_factory):
    """A registry that the node knows, while the operator comes from it."""
    api = KubeApi(kubelet.kubeconfig)
    node = api.get("/api/v1/nodes/node-1")
    api.close()
    address = next(a["address"] for a in node["status"]["addresses"] if a["type"] == "InternalIP")
    folder = tmp_path_factory.mktemp("demo") / "registry"
    with registries.running(folder, address) as made, made.known_to_the_node():
        yield made
    bring_back()


@pytest.fixture(scope="module")
def surroundings(kubelet, registry):
    """The variables of a person who is logged in at the registry and uses this cluster."""
    # What jobs pulled with before stays.
    account = ("serviceaccount", "default", "-n", "default", "--type=merge", "-p")
    given = json.dumps({"imagePullSecrets": [{"name": "from-before"}]})
    kubelet.kubectl("patch", *account, given)
    config = registry.folder / "config.json"
    entries = registry.credentials()
    other = base64.b64encode(b"me:a password of another registry").decode()
    entries["auths"]["other.example"] = {"auth": other}
    config.write_text(json.dumps(entries))
    yield os.environ | {
        "PATH": f"{kubelet.programs}:{os.environ['PATH']}",
        "KUBECONFIG": str(kubelet.kubeconfig),
        "REGISTRY_AUTH_FILE": str(config),
        "SSL_CERT_FILE": str(registry.authority),
        "BASE_IMAGE": "local",
    }
    kubelet.kubectl("patch", *account, json.dumps({"imagePullSecrets": None}))


def make(target, registry, surroundings):
    return subprocess.run(
        [
            *("make", target, "CLUSTER=current", f"REGISTRY={registry.address}/team"),
            f"PULL_CONFIG={registry.folder / 'config.json'}",
        ],
        cwd=ROOT,
        env=surroundings,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
        check=False,
    )


@pytest.fixture(scope="module")
def demo(kubelet, registry, surroundings):
    """What the demo printed."""
    ctr = [str(kubelet.programs / "ctr"), "--address", SOCKET, "--namespace", "k8s.io", "images"]
    listed = subprocess.run([*ctr, "ls", "-q"], capture_output=True, text=True, check=True).stdout
    ours = [name for name in listed.split() if "pause" not in name]
    subprocess.run([*ctr, "rm", "--sync", *ours], capture_output=True, check=True)
    done = make("demo", registry, surroundings)
    print(done.stdout)
    assert done.returncode == 0
    return done.stdout


def test_the_job_is_done_and_shown(demo):
    assert "DONE/SUCCEEDED" in demo
    assert "==> Its entry in Consul" in demo


@pytest.mark.parametrize("name", ["factotum-operator", "factotum-runner", "consul"])
def test_what_runs_was_pulled_from_there_by_its_digest(kubelet, registry, demo, name):
    namespace = "default" if name == "factotum-runner" else SYSTEM
    pods = kubelet.get("pods", "-n", namespace)["items"]
    images = {c["image"] for pod in pods for c in pod["spec"]["containers"]}
    (image,) = (each for each in images if f"/{name}@" in each)
    pulled = [
        line
        for line in registry.log.splitlines()
        if f"GET /v2/team/{name}/blobs" in line and "containerd" in line
    ]

    assert image.startswith(f"{registry.address}/team/{name}@sha256:")
    assert image in demo
    assert pulled


def test_the_clusters_secret_holds_that_registry_alone(kubelet, registry, demo):
    for namespace in (SYSTEM, "default"):
        secret = kubelet.get("secret", SECRET, "-n", namespace)
        content = json.loads(base64.b64decode(secret["data"][".dockerconfigjson"]))

        account = kubelet.get("serviceaccount", "default", "-n", namespace)

        assert {"name": SECRET} in account["imagePullSecrets"]
        assert list(content["auths"]) == [f"{registry.address}/team"]
        assert "last-applied" not in json.dumps(secret["metadata"])
    deployment = kubelet.get("deployment", "factotum-operator", "-n", SYSTEM)
    assert deployment["spec"]["template"]["spec"]["imagePullSecrets"] == [{"name": SECRET}]


def test_it_prints_no_password(demo):
    pair = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()

    assert PASSWORD not in demo
    assert pair not in demo


def test_what_it_brought_can_be_taken_away_again(kubelet, registry, surroundings, demo):
    done = make("down", registry, surroundings)

    assert done.returncode == 0, done.stdout
    left = kubelet.get("serviceaccount", "default", "-n", "default")
    assert left["imagePullSecrets"] == [{"name": "from-before"}]
    assert SECRET not in kubelet.kubectl("get", "secrets", "-n", "default", "-o", "name")
    assert SYSTEM not in kubelet.kubectl("get", "namespaces", "-o", "name")
