"""`helm install`, `upgrade` and `uninstall` on a real API server. No node: nothing starts here."""

import time

import pytest

from support.cluster.clusters import ROOT, Cluster, Refused, programs

pytestmark = pytest.mark.cluster

CHART = str(ROOT / "charts" / "factotum-operator")
CRD = "factotumjobs.factotum.snowplowanalytics.com"


@pytest.fixture(scope="module")
def release(own_control_plane) -> Cluster:
    """An API server with the chart installed, its Consul for trying out included."""
    programs("helm")
    own_control_plane.run(
        "helm", "install", "factotum-operator", CHART, "--namespace", "factotum-system",
        "--create-namespace", "--set", "consul.enabled=true",
    )  # fmt: skip
    own_control_plane.kubectl("wait", "--for=condition=Established", f"crd/{CRD}")
    return own_control_plane


def may(cluster, who, verb, what, *arguments):
    try:
        return cluster.kubectl("auth", "can-i", verb, what, "--as", who, *arguments) == "yes\n"
    except Refused:
        return False  # kubectl says "no" and ends with 1


def test_jobs_can_be_created_after_the_installation(release):
    began = time.monotonic()
    release.kubectl("apply", "-f", str(ROOT / "examples" / "echo.yaml"))

    assert time.monotonic() - began < 10, "an operator that is not there holds people up"
    assert release.get("fj", "echo")["status"] == {"observedGeneration": -1}


def test_the_operator_may_do_its_work_and_no_more(release):
    operator = "system:serviceaccount:factotum-system:factotum-operator"

    for verb, what, *rest in (
        ("list", f"factotumjobs.{CRD.partition('.')[2]}", "--all-namespaces"),
        ("patch", "factotumjobs", "--subresource=status", "-n", "default"),
        ("delete", "factotumjobs", "-n", "default"),
        ("create", "pods", "-n", "default"),
        ("create", "tokenreviews"),
        ("get", "namespaces/kube-system"),
        ("update", "leases/factotum-operator", "-n", "factotum-system"),
        ("get", "secrets/factotum-operator-tls", "-n", "factotum-system"),
        ("update", "secrets/factotum-operator-tls", "-n", "factotum-system"),
        ("update", "validatingwebhookconfigurations/factotum-operator"),
    ):
        assert may(release, operator, verb, what, *rest), (verb, what)
    for verb, what, *rest in (
        ("update", "factotumjobs", "-n", "default"),
        ("deletecollection", "factotumjobs", "-n", "default"),
        ("update", "pods", "-n", "default"),
        ("update", "leases/another", "-n", "factotum-system"),
        ("get", "leases/factotum-operator", "-n", "default"),
        ("list", "secrets", "-n", "default"),
        ("list", "secrets", "-n", "factotum-system"),
        ("get", "secrets/another", "-n", "factotum-system"),
        ("create", "secrets", "-n", "default"),
        ("update", "validatingwebhookconfigurations/another"),
        ("get", "namespaces/default"),
        ("create", "pods", "--subresource=exec", "-n", "default"),
    ):
        assert not may(release, operator, verb, what, *rest), (verb, what)


def test_an_editor_of_a_namespace_may_create_jobs_and_a_viewer_may_see_them(release):
    for role in ("view", "edit"):
        name = {"view": "some-viewer", "edit": "some-editor"}[role]
        release.kubectl("create", "rolebinding", name, f"--clusterrole={role}", f"--user={name}")

    release.kubectl("auth", "can-i", "create", "factotumjobs", "--as=some-editor")
    release.kubectl("auth", "can-i", "watch", "factotumjobs", "--as=some-viewer")
    assert not may(release, "some-viewer", "create", "factotumjobs")


def test_uninstalling_keeps_the_jobs(release):
    release.run("helm", "upgrade", "factotum-operator", CHART, "-n", "factotum-system")
    release.run("helm", "uninstall", "factotum-operator", "-n", "factotum-system")

    assert release.kubectl("get", "deployments,clusterroles", "-A", "-l", "helm.sh/chart") == ""
    assert release.get("fj", "echo")["kind"] == "FactotumJob"
