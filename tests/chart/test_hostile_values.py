"""Whatever a value holds, it stays a value; whatever a release is called, its objects can be made.

Real: helm, and Kubernetes' own schemas for what comes out.
"""

import itertools
import re

import pytest

from factotum.controller.settings import Settings
from support.cluster.chart_reading import arguments, containers, named, of_kind

ODD = (
    'a"b',
    "a'b",
    "a: b",
    "- a",
    "# a",
    "{{ .Release.Name }}",
    "$(POD_IP)",
    "a$$b$c",
    "%s%n",
    "ü€",
    "\\u0000",
    "true",
    "0x1f",
    "null",
)
LABEL = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")
SERVICE = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
OBJECT = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")


def test_odd_texts_reach_the_operator_as_they_are(render):
    together = " ".join(ODD)
    manifests = render(
        values={
            "consul": {"address": "c:1", "name": together, "namespace": together},
            "extraArgs": [f"--consul-name={word}".replace("$", "$$") for word in ODD],
            "extraEnv": [{"name": f"ODD_{n}", "value": word} for n, word in enumerate(ODD)],
            "podAnnotations": {f"odd-{n}": word for n, word in enumerate(ODD)},
            "serviceAccount": {"annotations": {f"odd-{n}": word for n, word in enumerate(ODD)}},
        }
    )
    (container,) = [c for _, c in containers(manifests) if c["name"] == "operator"]
    pod = named(manifests, "Deployment", "factotum-operator")["spec"]["template"]
    (account,) = of_kind(manifests, "ServiceAccount")
    given = arguments(manifests)

    assert f"--consul-name={together}" in given
    assert given[-len(ODD) :] == [f"--consul-name={word}" for word in ODD]
    settings = Settings.from_arguments(given[: -len(ODD)])
    assert (settings.consul_name, settings.consul_namespace) == (together, together)
    assert tuple(each["value"] for each in container["env"] if "value" in each) == ODD
    for metadata in (pod["metadata"], account["metadata"]):
        assert tuple(metadata["annotations"].values()) == ODD


LINES = "x\n---\nkind: Secret\nmetadata: {name: planted}"


PLACES = (
    "image.repository",
    "image.tag",
    "image.digest",
    "runner.image.repository",
    "claims.url",
    "claims.tokenAudience",
    "clusterDomain",
    "tls.secretName",
    "admission.url",
    "consul.address",
    "consul.namespace",
    "consul.name",
    "consul.kubernetesNamespace",
    "consul.token.secretKey",
    "consul.tls.serverName",
    "gateway.consulToken.secretName",
    "gateway.consulToken.secretKey",
    "serviceAccount.name",
    "priorityClassName",
    "fullnameOverride",
    "commonLabels.a",
    "nodeSelector.a",
    "metrics.serviceMonitor.interval",
)


def test_a_text_of_several_lines_is_refused_where_it_means_nothing(told):
    values = {}
    for place in PLACES:
        *parents, key = place.split(".")
        part = values
        for parent in parents:
            part = part.setdefault(parent, {})
        part[key] = LINES
    said = told(values=values)

    assert [each for each in PLACES if f"'/{each.replace('.', '/')}'" not in said] == []


def test_lines_in_free_texts_plant_nothing(render):
    values = {
        "podAnnotations": {"a": LINES},
        "extraEnv": [{"name": "A", "value": LINES}],
        "extraArgs": [f"--x={LINES}"],
        "tolerations": [{"key": LINES, "operator": "Exists"}],
    }
    kinds = [each["kind"] for each in render(values=values)]

    assert kinds == [each["kind"] for each in render()]


NAMES = ("x", "2nd", "a.b.c", "factotum-operator", "a" * 53, "b-" * 26 + "b", "1" * 53, "z" * 52)


@pytest.mark.parametrize("name", NAMES)
def test_every_release_name_makes_names_that_can_be(render, name):
    settings = ("consul.enabled=true", "tls.certManager.enabled=true", "namespaces={one}")
    manifests = render(*settings, name=name)

    for each in manifests:
        metadata = each["metadata"]
        shape = SERVICE if each["kind"] in ("Service", "Deployment") else OBJECT
        assert shape.fullmatch(metadata["name"]), metadata["name"]
        assert len(metadata["name"]) <= 63
        for label in metadata.get("labels", {}).values():
            assert LABEL.fullmatch(label), label
            assert len(label) <= 63
    Settings.from_arguments(arguments_of(manifests))


def arguments_of(manifests):
    (container,) = [c for _, c in containers(manifests) if c["name"] == "operator"]
    words = {"$(POD_NAME)": "pod", "$(POD_IP)": "10.0.0.1"}
    return [
        re.sub(r"\$\(POD_\w+\)", lambda found: words[found[0]], each) for each in container["args"]
    ]


def test_releases_of_different_names_share_no_object(render):
    names = ("a" * 53, "a" * 52 + "b", "a" * 52, "b.c", "b-d", "x")
    found = [
        {(each["kind"], each["metadata"]["name"]) for each in render("crds.install=false", name=n)}
        for n in names
    ]

    for one, other in itertools.combinations(found, 2):
        assert one & other == set()
