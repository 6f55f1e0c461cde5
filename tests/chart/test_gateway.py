"""What the chart renders for the job server. Real: helm, and how the server reads its options."""

import pytest

from factotum.gateway import assembly, options
from support.cluster.chart_reading import GROUP, containers, mounted, named, of_kind, rules
from support.cluster.clusters import ROOT

CHART = ROOT / "charts" / "factotum-operator"
NAME = "factotum-operator-gateway"
ON = "gateway.enabled=true"


def test_without_being_asked_for_there_is_none(render):
    assert not [each for each in render() if "gateway" in each["metadata"]["name"]]


def test_its_arguments_are_the_servers(render):
    folder = "gateway.factfiles[{}].path={},gateway.factfiles[{}].volume.configMap.name=f"
    manifests = render(
        ON,
        folder.format(0, "/factfiles", 0),
        folder.format(1, "/more", 1),
        "consul.address=consul:8500,gateway.keepDays=7,gateway.webhook=http://hooks/",
    )
    ((_, container),) = containers([named(manifests, "Deployment", NAME)])
    assert container["command"] == ["factotum"]
    given = options.parse(options.OURS, container["args"][1:])
    assert given.uses_cluster
    assert not given.has("--no-authentication")
    shown = {
        "--namespace": "default",
        "--factfiles": "/factfiles:/more",
        "--operator": "factotum-operator-replicas.factotum-system.svc:8081",
        "--token-audience": "factotum-server",
        "--consul-address": "consul:8500",
        "--keep": "7",
        "--webhook": "http://hooks/",
    }
    assert {name: given.text(name) for name in shown} == shown
    (service,) = [s for s in of_kind(manifests, "Service") if s["metadata"]["name"] == NAME]
    assert service["spec"]["selector"]["app.kubernetes.io/component"] == "gateway"


GUARDED = (
    "consul.address=consul.example:8501,consul.token.secretName=operators",
    "consul.tls.enabled=true,consul.tls.caSecretName=authority,consul.tls.caSecretKey=pem",
    "consul.tls.clientSecretName=mine,consul.tls.serverName=server.dc1.consul",
)


@pytest.mark.parametrize(
    ("settings", "token"),
    [
        ((), ("operators", "token")),
        (("gateway.consulToken.secretName=its",), ("its", "token")),
        (
            ("gateway.consulToken.secretName=its,gateway.consulToken.secretKey=id",),
            ("its", "id"),
        ),
    ],
)
def test_it_gets_into_consul_as_the_operator_does_by_a_token_of_its_own_if_so_said(
    render, settings, token
):
    manifests = render(ON, *GUARDED, *settings)
    ((pod, container),) = containers([named(manifests, "Deployment", NAME)])
    access = assembly.consul_access(options.parse(options.OURS, container["args"][1:]))
    operator = named(manifests, "Deployment", "factotum-operator")["spec"]["template"]["spec"]

    assert mounted(pod, "consul") == {
        access.token_file: token,
        access.ca_file: ("authority", "pem"),
        access.cert_file: ("mine", "tls.crt"),
        access.key_file: ("mine", "tls.key"),
    }
    assert (access.tls, access.server_name) == (True, "server.dc1.consul")
    assert mounted(operator, "consul")["/consul/token"] == ("operators", "token")


def test_without_credentials_nothing_of_consul_is_mounted(render):
    manifests = render(ON, "consul.address=consul:8500,consul.forceName=true,consul.name=factotum")
    ((pod, container),) = containers([named(manifests, "Deployment", NAME)])

    assert "consul" not in [each["name"] for each in pod["volumes"]]
    assert options.parse(options.OURS, container["args"][1:]).text("--consul-name") == "factotum"


def test_a_token_for_a_consul_that_is_nowhere_is_refused(told):
    assert "consul.address is missing" in told(ON, "gateway.consulToken.secretName=its")


def test_odd_texts_reach_it_as_they_are(render):
    odd = "a\"b'c: {{ d }} $(HOME) $$e \\u0000 ü"
    values = {
        "gateway": {"enabled": True, "auth": {"audience": odd}, "webhook": f"http://{odd}"},
        "consul": {"address": "c:1", "name": odd},
    }
    ((_, container),) = containers([named(render(values=values), "Deployment", NAME)])
    words = [word.replace("$$", "$") for word in container["args"]]  # as a kubelet does
    given = options.parse(options.OURS, words[1:])

    for name in ("--token-audience", "--consul-name"):
        assert given.text(name) == odd
    assert given.text("--webhook") == f"http://{odd}"


def test_it_has_exactly_these_rights(render):
    manifests = render(ON, "gateway.namespace=jobs")
    role = named(manifests, "Role", NAME)
    assert role["metadata"]["namespace"] == "jobs"
    assert rules(role) == {
        (GROUP, "factotumjobs"): {"get", "list", "watch", "create", "patch", "delete"},
        ("", "pods/log"): {"get"},
        ("", "configmaps"): {"get", "list", "create", "patch", "delete"},
    }
    assert rules(named(manifests, "ClusterRole", NAME)) == {
        ("authentication.k8s.io", "tokenreviews"): {"create"},
        ("authorization.k8s.io", "subjectaccessreviews"): {"create"},
    }


def test_who_asks_is_looked_at_unless_that_is_switched_off(render):
    manifests = render(ON, "gateway.auth.enabled=false")
    ((_, container),) = containers([named(manifests, "Deployment", NAME)])
    assert "--no-authentication" in container["args"]
    roles = [each["metadata"]["name"] for each in of_kind(manifests, "ClusterRole")]
    assert NAME not in roles


def test_a_namespace_that_the_operator_does_not_serve_is_refused(helm):
    sets = ("--set", ON, "--set", "namespaces={a}")
    done = helm("template", "factotum-operator", str(CHART), *sets)
    assert done.returncode != 0
    assert "is not among namespaces" in done.stderr


@pytest.mark.parametrize(
    "setting",
    ["gateway.factfiles[0].path=relative", "gateway.port=80", "gateway.namespace=A_b"],
)
def test_values_that_cannot_be_are_refused(helm, setting):
    done = helm("template", "factotum-operator", str(CHART), "--set", f"{ON},{setting}")
    assert done.returncode != 0


def test_it_is_reached_from_outside_as_it_is_said(render):
    manifests = render(
        ON,
        "gateway.ingress.enabled=true,gateway.ingress.host=jobs.example.org",
        "gateway.httpRoute.enabled=true,gateway.httpRoute.parentRefs[0].name=outer",
    )
    ingress, route = named(manifests, "Ingress", NAME), named(manifests, "HTTPRoute", NAME)
    (rule,) = ingress["spec"]["rules"]
    assert rule["host"] == "jobs.example.org"
    assert rule["http"]["paths"][0]["backend"]["service"]["name"] == NAME
    assert route["spec"]["rules"] == [{"backendRefs": [{"name": NAME, "port": 3000}]}]
