"""What the chart renders to. Real: helm, the CRD's source, the operator's own parser."""

import json
import re

import pytest
import yaml

from factotum.controller.settings import Settings
from support.cluster.chart_reading import (
    CLUSTER_WIDE,
    NAMESPACED,
    containers,
    named,
    of_kind,
    rules,
)
from support.cluster.clusters import ROOT

CHART = ROOT / "charts" / "factotum-operator"
SOURCE = ROOT / "crds" / "factotumjobs.yaml"


def test_helm_finds_nothing_to_complain_of(helm):
    done = helm("lint", "--strict", str(CHART))

    assert done.returncode == 0, done.stdout


def test_the_charts_resource_definition_is_the_source(render):
    copy = CHART / "files" / "crds" / SOURCE.name
    assert copy.read_text() == SOURCE.read_text(), "run `make crds`"

    (rendered,) = of_kind(render(), "CustomResourceDefinition")
    source = yaml.safe_load(SOURCE.read_text())

    assert rendered["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    assert rendered["spec"] == source["spec"]


def test_the_resource_definition_can_be_left_out(render):
    assert of_kind(render("crds.install=false"), "CustomResourceDefinition") == []


def test_the_operator_has_exactly_these_rights(render):
    role = named(render(), "ClusterRole", "factotum-operator")

    assert rules(role) == NAMESPACED | CLUSTER_WIDE
    names = [rule["resourceNames"] for rule in role["rules"] if rule["resources"] == ["namespaces"]]
    assert names == [["kube-system"]]


def test_with_namespaces_the_rights_are_granted_there_only(render):
    manifests = render("namespaces={one,two}")

    assert rules(named(manifests, "ClusterRole", "factotum-operator")) == CLUSTER_WIDE
    roles = of_kind(manifests, "Role")
    assert {role["metadata"]["namespace"] for role in roles} == {"one", "two"}
    assert all(rules(role) == NAMESPACED for role in roles)
    assert arguments(manifests)[:2] == ["--namespace=one", "--namespace=two"]


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param([], id="defaults"),
        pytest.param(["consul.enabled=true"], id="own-consul"),
        pytest.param(
            ["consul.address=consul:8500", "consul.name=factotum", "consul.forceName=true"],
            id="consul",
        ),
        pytest.param(["namespaces={one,two}", "logFormat=json", "maxWorkers=3"], id="namespaces"),
    ],
)
def test_the_operator_knows_all_its_arguments(render, settings):
    Settings.from_arguments(arguments(render(*settings)))


def test_what_is_kept_and_how_long_a_pod_may_take_reach_the_operator(render):
    values = (
        "podPendingTimeoutSeconds=2000000",
        "history.failedJobs=3",
        "history.successfulPods=0",
    )
    settings = Settings.from_arguments(arguments(render(*values)))

    assert settings.pod_pending_timeout == 2_000_000
    assert (settings.failed_jobs_history_limit, settings.successful_pods_history_limit) == (3, 0)
    assert (settings.successful_jobs_history_limit, settings.failed_pods_history_limit) == (
        None,
    ) * 2
    assert Settings.from_arguments(arguments(render())).pod_pending_timeout == 900


def test_pods_find_the_claims_port_by_its_full_name(render):
    settings = Settings.from_arguments(arguments(render()))

    assert settings.claims_url == (
        "http://factotum-operator.factotum-system.svc.cluster.local.:8080"
    )


def test_every_container_is_restricted(render):
    for pod, container in containers(render("consul.enabled=true")):
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] == 65532
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


def test_only_job_pods_reach_the_claims_port(render):
    (policy,) = of_kind(render(), "NetworkPolicy")

    assert policy["spec"]["ingress"] == [
        {
            "from": [
                {
                    "namespaceSelector": {},
                    "podSelector": {
                        "matchLabels": {"app.kubernetes.io/managed-by": "factotum-operator"}
                    },
                }
            ],
            "ports": [{"port": "claims"}],
        },
        {"ports": [{"port": "health"}]},
    ]


def test_there_is_one_operator_at_a_time(render):
    deployment = named(render(), "Deployment", "factotum-operator")

    assert deployment["spec"]["replicas"] == 1
    assert deployment["spec"]["strategy"] == {"type": "Recreate"}


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        pytest.param("maxWorkers=0", "'/maxWorkers': minimum", id="no-worker"),
        pytest.param("maxWorkrs=1", "'maxWorkrs' not allowed", id="misspelt"),
        pytest.param("logFormat=xml", "'/logFormat'", id="log-format"),
        pytest.param("consul.address=http://consul:8500", "'/consul/address'", id="consul-url"),
        pytest.param("claims.port=80", "'/claims/port'", id="low-port"),
    ],
)
def test_a_wrong_value_is_refused_with_its_path(helm, setting, words):
    done = helm("template", "x", str(CHART), "--set", setting)

    assert done.returncode != 0
    assert words in done.stderr


def test_every_value_is_described_and_in_the_schema():
    text = (CHART / "values.yaml").read_text()
    schema = json.loads((CHART / "values.schema.json").read_text())
    bare = [
        line
        for before, line in zip(["", *text.splitlines()], text.splitlines(), strict=False)
        if re.match(r"\s*\w+: ?\S", line) and not before.strip().startswith("# -- ")
    ]

    assert [line for line in bare if not re.match(r"  (requests|limits):", line)] == []
    assert set(yaml.safe_load(text)) == set(schema["properties"]) - {"global"}


def arguments(manifests):
    (container,) = named(manifests, "Deployment", "factotum-operator")["spec"]["template"]["spec"][
        "containers"
    ]
    return container["args"]
