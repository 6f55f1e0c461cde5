"""What the chart renders to is what each Kubernetes version that it is for takes.

Real: helm; the schemas are each version's own API description, which kubernetes-validate brings.
"""

import re

import kubernetes_validate
import pytest
import yaml

from support.cluster.clusters import ROOT

CHART = ROOT / "charts" / "factotum-operator"
OTHERS = {"ServiceMonitor", "PrometheusRule", "Certificate", "Issuer"}
"""Kinds that others define; the Prometheus operator's are tried on an API server."""
OLDEST = int(re.search(r">=1\.(\d+)", (CHART / "Chart.yaml").read_text())[1])
VERSIONS = [f"1.{minor}" for minor in range(OLDEST, 38)]
BETWEEN = [pytest.param(version, marks=pytest.mark.longer) for version in VERSIONS[1:-1]]
EVERYTHING = {
    "namespaces": ["one", "two"],
    "consul": {"enabled": True},
    "metrics": {
        "dashboard": {"enabled": True},
        "allowFrom": [{"namespaceSelector": {"matchLabels": {"a": "b"}}}],
    },
    "imagePullSecrets": [{"name": "registry"}],
    "tolerations": [{"key": "a", "operator": "Exists", "effect": "NoSchedule"}],
    "affinity": {
        "podAntiAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": [
                {"topologyKey": "zone", "labelSelector": {"matchLabels": {"a": "b"}}}
            ]
        },
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [
                    {"matchExpressions": [{"key": "a", "operator": "In", "values": ["b"]}]}
                ]
            }
        },
    },
    "extraEnv": [
        {"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k", "optional": True}}}
    ],
    "podDisruptionBudget": {"maxUnavailable": "50%"},
    "priorityClassName": "system-cluster-critical",
    "nodeSelector": {"a": "b"},
    "podAnnotations": {"a": "b"},
    "commonLabels": {"team": "data"},
}
ELSEWHERE = {
    "consul": {
        "address": "consul:8501",
        "token": {"secretName": "t"},
        "tls": {"enabled": True, "caSecretName": "c", "clientSecretName": "m"},
    },
    "tls": {"certManager": {"enabled": True}},
    "admission": {"url": "https://operator.example/v1/admission"},
    "topologySpreadConstraints": [],
    "networkPolicy": {"enabled": False},
}


@pytest.fixture(scope="module", params=[{}, EVERYTHING, ELSEWHERE], ids=["plain", "all", "other"])
def rendered(request, template):
    done = template(request.param)
    assert done.returncode == 0, done.stderr
    return [each for each in yaml.load_all(done.stdout, Loader=yaml.CSafeLoader) if each]


@pytest.mark.parametrize("version", [VERSIONS[0], *BETWEEN, VERSIONS[-1]])
def test_the_schemas_of_a_version_take_everything(rendered, version):
    seen = 0
    for each in rendered:
        if each["kind"] not in OTHERS:
            kubernetes_validate.validate(each, version, strict=True)
            seen += 1
    assert seen > 10


def test_a_field_that_is_none_would_be_found(rendered):
    (deployment, *_) = [each for each in rendered if each["kind"] == "Deployment"]
    wrong = {**deployment, "spec": {**deployment["spec"], "replicsa": 2}}

    with pytest.raises(kubernetes_validate.ValidationError, match="replicsa"):
        kubernetes_validate.validate(wrong, VERSIONS[-1], strict=True)


def test_an_older_kubernetes_is_refused_with_the_version_that_it_takes(template):
    done = template({}, f"--kube-version=1.{OLDEST - 1}.0")

    assert done.returncode != 0
    assert f">=1.{OLDEST}" in done.stderr
