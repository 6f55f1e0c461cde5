"""`helm install`, `upgrade` and `uninstall` on a real API server. No node: nothing starts here."""

import base64
import json
import os
import re
import shutil
import subprocess
import time

import pytest
import yaml

from support.cluster import before
from support.cluster.clusters import CRD, ROOT, Cluster, Refused, programs, source
from support.http.certificates import loopback

pytestmark = pytest.mark.cluster

CHART = str(ROOT / "charts" / "factotum-operator")


@pytest.fixture(scope="module")
def release(own_control_plane) -> Cluster:
    """An API server with the chart installed, its Consul for trying out included."""
    programs("helm")
    own_control_plane.run(
        "helm", "install", "factotum-operator", CHART, "--namespace", "factotum-system",
        "--create-namespace", "--set", "consul.enabled=true",
    )  # fmt: skip
    own_control_plane.established(f"crd/{CRD}")
    return own_control_plane


def test_the_first_job_of_the_notes_is_made_by_pasting_it(release):
    notes = release.run("helm", "get", "notes", "factotum-operator", "-n", "factotum-system")
    pasted = notes[notes.index("kubectl apply") : notes.index("\nJOB\n") + 5]
    path = f"{release.programs}:{os.environ['PATH']}"
    environment = os.environ | {"KUBECONFIG": str(release.kubeconfig), "PATH": path}
    words = ["bash", "-euc", pasted]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert release.get("fj", "hello")["spec"]["factfile"]["data"]["name"] == "hello"
    release.kubectl("delete", "fj", "hello")


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


def refused(cluster, *words):
    with pytest.raises(Refused) as caught:
        cluster.run("helm", *words)
    return str(caught.value)


def make_namespace(cluster, name, **labels):
    metadata = {"name": name, "labels": labels}
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})


def test_pod_security_restricted_takes_the_charts_pods(release):
    make_namespace(release, "strict", **{"pod-security.kubernetes.io/enforce": "restricted"})
    release.kubectl("create", "serviceaccount", "factotum-operator", "-n", "strict")
    text = release.run("helm", "template", "factotum-operator", CHART, "--set=consul.enabled=true")
    pods = 0
    for each in yaml.safe_load_all(text):
        template = each if each["kind"] == "Pod" else each.get("spec", {}).get("template")
        if template:
            metadata = {"name": f"pod-{pods}", "namespace": "strict"}
            pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata}
            release.apply(pod | {"spec": template["spec"]}, "--dry-run=server")
            pods += 1

    assert pods == 3


def test_a_namespace_that_is_not_there_is_named_with_its_cure(release):
    said = refused(
        release, "upgrade", "factotum-operator", CHART, "-n", "factotum-system",
        "--set", "namespaces={default,nowhere}",
    )  # fmt: skip

    assert "namespaces[1]: there is no namespace nowhere" in said
    assert "kubectl create namespace nowhere" in said


def test_a_second_release_is_told_what_it_must_do(release):
    make_namespace(release, "second")
    words = ("install", "another", CHART, "-n", "second")
    without = ("--set", "crds.install=false")

    said = refused(release, *words)
    assert "is there already, of the release factotum-system/factotum-operator" in said
    assert "--set crds.install=false" in said
    said = refused(release, *words, *without)
    assert "the release factotum-system/factotum-operator runs the jobs of all namespaces" in said
    said = refused(release, "install", "factotum-operator", CHART, "-n", "second", *without)
    assert "choose another release name, or set fullnameOverride" in said


@pytest.mark.longer
def test_two_releases_serve_two_lists_of_namespaces(release):
    make_namespace(release, "second")
    old = ("upgrade", "factotum-operator", CHART, "-n", "factotum-system")
    release.run("helm", *old, "--set", "namespaces={default,factotum-system}")
    words = ("install", "another", CHART, "-n", "second", "--set", "crds.install=false")

    said = refused(release, *words, "--set", "namespaces={second,default}")
    assert "factotum-system/factotum-operator runs the jobs of default already" in said
    release.run("helm", *words, "--set", "namespaces={second}")
    said = refused(release, *old, "--reset-values")
    assert "second/another runs the jobs of the namespaces second" in said

    other = "system:serviceaccount:second:another-factotum-operator"
    assert may(release, other, "create", "pods", "-n", "second")
    assert not may(release, other, "create", "pods", "-n", "default")
    release.run("helm", "uninstall", "another", "-n", "second")
    release.run("helm", *old, "--reset-values")


def columns(cluster):
    (version,) = cluster.get("crd", CRD)["spec"]["versions"]
    return [each["name"] for each in version["additionalPrinterColumns"]]


def test_an_upgrade_brings_a_new_definition_and_a_rollback_the_old_one(release, tmp_path):
    release.kubectl("apply", "-f", str(ROOT / "examples" / "echo.yaml"))
    newer = tmp_path / "factotum-operator"
    shutil.copytree(CHART, newer)
    definition = newer / "files" / "crds" / "factotumjobs.yaml"
    definition.write_text(definition.read_text().replace("name: PROGRESS", "name: ADVANCE"))
    before = columns(release)

    release.run("helm", "upgrade", "factotum-operator", str(newer), "-n", "factotum-system")
    assert "ADVANCE" in columns(release)
    release.run("helm", "rollback", "factotum-operator", "-n", "factotum-system")

    assert columns(release) == before
    assert release.get("fj", "echo")["kind"] == "FactotumJob"


@pytest.mark.longer
def test_an_older_release_is_upgraded_with_the_values_that_it_had(release):
    release.run("helm", "uninstall", "factotum-operator", "-n", "factotum-system")
    where = ("-n", "factotum-system")
    older = ("--set", "maxWorkers=7", "--set", "metrics.enabled=false")
    release.run("helm", "install", "factotum-operator", str(before.CHART), *where, *older)

    release.run("helm", "upgrade", "factotum-operator", CHART, *where, "--reuse-values")

    deployment = release.get("deployment", "factotum-operator", *where)
    assert "--max-workers=7" in str(deployment["spec"])
    assert "--metrics-address=0.0.0.0:0" in str(deployment["spec"])
    assert deployment["spec"]["replicas"] == 1, "as it had it"
    assert release.get("pdb", "factotum-operator", *where)["spec"]["maxUnavailable"] == 1


@pytest.mark.longer
def test_applied_twice_it_changes_nothing(release):
    """As GitOps tools do: rendered without a cluster, applied, and looked at for differences."""
    release.run("helm", "uninstall", "factotum-operator", "-n", "factotum-system")
    release.kubectl("delete", "crd", CRD)
    words = ("template", "factotum-operator", CHART, "-n", "factotum-system", "--no-hooks")
    text = release.run("helm", *words, "--set", "consul.enabled=true")
    release.run("kubectl", "apply", "-f", "-", text=text)
    webhooks = release.get("validatingwebhookconfiguration", "factotum-operator")["webhooks"]
    webhooks[0]["clientConfig"]["caBundle"] = base64.b64encode(loopback().trusted.encode()).decode()
    patch = json.dumps({"webhooks": webhooks})
    names = ("validatingwebhookconfiguration", "factotum-operator")
    release.kubectl("patch", *names, "--type=merge", "-p", patch)

    def versions():
        found = json.loads(release.run("kubectl", "get", "-f", "-", "-o", "json", text=text))
        # The Deployments' own change with what their controllers see.
        return {
            (each["kind"], each["metadata"]["name"]): each["metadata"]["resourceVersion"]
            for each in found["items"]
            if each["kind"] not in ("Deployment", "PodDisruptionBudget")
        }

    stored = versions()
    again = release.run("helm", *words, "--set", "consul.enabled=true")
    assert again == text
    release.run("kubectl", "diff", "-f", "-", text=again)  # fails where something differs
    release.run("kubectl", "apply", "-f", "-", text=again)
    assert versions() == stored


@pytest.mark.longer
def test_a_definition_applied_by_hand_is_taken_over_as_the_message_says(release):
    words = ("install", "factotum-operator", CHART, "-n", "factotum-system")
    sets = ("--set", "crds.install=false", "--set", "consul.enabled=true")
    text = release.run("helm", "template", *words[1:], *sets)
    release.run("kubectl", "delete", "--ignore-not-found", "-f", "-", text=text)
    release.kubectl("apply", "-f", str(ROOT / "examples" / "echo.yaml"))

    said = refused(release, *words)
    assert "is there already, by other means than Helm" in said
    commands = re.findall(r"^  kubectl (.+)$", said, re.MULTILINE)
    assert len(commands) == 2
    for command in commands:
        release.kubectl(*command.split())
    release.run("helm", *words, "--force-conflicts")

    assert release.get("fj", "echo")["kind"] == "FactotumJob"


def test_the_prometheus_operator_takes_its_kinds(release):
    kinds = source("prometheus-operator") / "example" / "prometheus-operator-crd"
    for name in ("servicemonitors", "prometheusrules"):
        file = str(kinds / f"monitoring.coreos.com_{name}.yaml")
        release.kubectl("apply", "--server-side", "-f", file)
        release.established(f"crd/{name}.monitoring.coreos.com")
    kinds = ("serviceMonitor", "prometheusRule", "dashboard")
    sets = [word for kind in kinds for word in ("--set", f"metrics.{kind}.enabled=true")]
    where = ("-n", "factotum-system")

    release.run("helm", "upgrade", "factotum-operator", CHART, *where, *sets)

    (monitor,) = release.get("servicemonitors", *where)["items"]
    assert monitor["spec"]["endpoints"][0]["interval"] == "30s"
    (rule,) = release.get("prometheusrules", *where)["items"]
    assert len(rule["spec"]["groups"][0]["rules"]) == 10
    monitor["spec"]["endpoints"][0]["intervall"] = "1s"
    with pytest.raises(Refused, match="intervall"):
        release.apply(monitor, "--dry-run=server", "--validate=strict")


def test_uninstalling_keeps_the_jobs(release):
    release.run("helm", "upgrade", "factotum-operator", CHART, "-n", "factotum-system")
    release.run("helm", "uninstall", "factotum-operator", "-n", "factotum-system")

    assert release.kubectl("get", "deployments,clusterroles", "-A", "-l", "helm.sh/chart") == ""
    assert release.get("fj", "echo")["kind"] == "FactotumJob"
