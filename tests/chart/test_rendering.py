"""What the chart renders to. Real: helm, the CRD's source, the operator's own parser."""

import json

import pytest
import yaml

from factotum.controller.settings import Settings
from factotum.core.factfile.document import Factfile
from support.cluster.chart_reading import (
    CLUSTER_WIDE,
    IN_ITS_OWN_NAMESPACE,
    NAMESPACED,
    OWN,
    POD,
    arguments,
    containers,
    mounted,
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
    names = {rule["resources"][0]: rule.get("resourceNames") for rule in role["rules"]}
    assert names["namespaces"] == ["kube-system"]
    assert names["validatingwebhookconfigurations"] == ["factotum-operator"]


def test_of_all_secrets_it_may_read_and_change_the_one_of_its_certificates(render):
    role = named(render(), "Role", "factotum-operator-own")

    assert role["metadata"]["namespace"] == "factotum-system"
    assert rules(role) == OWN
    names = {tuple(rule["verbs"]): rule.get("resourceNames") for rule in role["rules"]}
    assert names == {("get", "update"): ["factotum-operator-tls"], ("create",): None}


def test_with_namespaces_the_rights_are_granted_there_only(render):
    manifests = render("namespaces={one,two}")

    assert rules(named(manifests, "ClusterRole", "factotum-operator")) == CLUSTER_WIDE
    roles = [r for r in of_kind(manifests, "Role") if r["metadata"]["name"] == "factotum-operator"]
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


def test_replicas_share_a_lease_and_have_their_pods_names(render):
    manifests = render("namespaces={one}")
    settings = Settings.from_arguments(arguments(manifests))
    (role,) = [r for r in of_kind(manifests, "Role") if r["metadata"]["name"].endswith("-lease")]

    assert settings.lease == "factotum-system/factotum-operator"
    assert settings.identity == POD["POD_NAME"]
    assert settings.advertise_address == f"{POD['POD_IP']}:8080"
    assert role["metadata"]["namespace"] == "factotum-system"
    assert {verb for rule in role["rules"] for verb in rule["verbs"]} == (
        IN_ITS_OWN_NAMESPACE["coordination.k8s.io", "leases"]
    )
    assert role["rules"] == [
        {
            "apiGroups": ["coordination.k8s.io"],
            "resources": ["leases"],
            "resourceNames": ["factotum-operator"],
            "verbs": ["get", "update"],
        },
        {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["create"]},
    ]


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


def test_defaults_of_the_jobs_pods_reach_the_operator_as_they_are_written(render):
    env = "runner.podTemplate.spec.containers[0].env[0]"
    values = (
        "runner.resources.limits.memory=1Gi",
        "runner.resources.requests.cpu=2",
        "runner.podTemplate.metadata.labels.team=data",
        "runner.podTemplate.spec.securityContext.runAsUser=1000000",
        "runner.podTemplate.spec.containers[0].name=factotum",
        f"{env}.name=URL",
        f'{env}.value=$(POD_NAME) $$(A) <&> "x"',
    )
    resources, template = Settings.from_arguments(arguments(render(*values))).runner_templates

    (container,) = resources["spec"]["containers"]
    assert container["resources"] == {"limits": {"memory": "1Gi"}, "requests": {"cpu": 2}}
    assert template["metadata"] == {"labels": {"team": "data"}}
    assert template["spec"]["securityContext"] == {"runAsUser": 1_000_000}
    # Nothing of the operator's own Pod gets into it.
    assert template["spec"]["containers"][0]["env"] == [
        {"name": "URL", "value": '$(POD_NAME) $$(A) <&> "x"'}
    ]
    assert Settings.from_arguments(arguments(render())).runner_templates == ()


def test_pods_find_the_claims_port_by_its_full_name(render):
    settings = Settings.from_arguments(arguments(render()))

    assert settings.claims_url == (
        "https://factotum-operator.factotum-system.svc.cluster.local.:8080"
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


def test_only_job_pods_and_other_replicas_reach_the_claims_port(render):
    (policy,) = of_kind(render(), "NetworkPolicy")

    assert policy["spec"]["ingress"] == [
        {
            "from": [
                {
                    "namespaceSelector": {},
                    "podSelector": {
                        "matchLabels": {"app.kubernetes.io/managed-by": "factotum-operator"}
                    },
                },
                {
                    "podSelector": {
                        "matchLabels": {
                            "app.kubernetes.io/name": "factotum-operator",
                            "app.kubernetes.io/instance": "factotum-operator",
                            "app.kubernetes.io/component": "controller",
                        }
                    },
                },
            ],
            "ports": [{"port": "claims"}],
        },
        {"ports": [{"port": "health"}]},
        {"ports": [{"port": "metrics"}]},
        {"ports": [{"port": "admission"}]},
    ]


def test_figures_are_served_on_a_port_of_their_own(render):
    manifests = render("metrics.port=9999")
    container = named(manifests, "Deployment", "factotum-operator")["spec"]["template"]["spec"][
        "containers"
    ][0]
    service = named(manifests, "Service", "factotum-operator")

    assert Settings.from_arguments(arguments(manifests)).metrics_port == 9999
    assert {"name": "metrics", "containerPort": 9999} in container["ports"]
    assert {"name": "metrics", "port": 9999, "targetPort": "metrics"} in service["spec"]["ports"]


def test_without_figures_there_is_no_port_of_theirs(render):
    manifests = render("metrics.enabled=false")

    assert Settings.from_arguments(arguments(manifests)).metrics_port == 0
    assert "name: metrics" not in yaml.safe_dump(manifests)
    (policy,) = of_kind(manifests, "NetworkPolicy")
    assert {"port": "metrics"} not in [p for r in policy["spec"]["ingress"] for p in r["ports"]]


def test_figures_can_be_kept_for_some(render):
    (policy,) = of_kind(
        render("metrics.allowFrom[0].namespaceSelector.matchLabels.name=monitoring"),
        "NetworkPolicy",
    )

    (rule,) = [r for r in policy["spec"]["ingress"] if r["ports"] == [{"port": "metrics"}]]
    assert rule == {
        "ports": [{"port": "metrics"}],
        "from": [{"namespaceSelector": {"matchLabels": {"name": "monitoring"}}}],
    }


def test_the_kubelet_asks_no_port_that_pods_can_fill(render):
    (container,) = [
        c for _, c in containers(render()) if "livenessProbe" in c and c["name"] == "operator"
    ]

    probes = {kind: container[kind]["httpGet"] for kind in container if kind.endswith("Probe")}
    assert probes == {
        "startupProbe": {"path": "/readyz", "port": "health"},
        "readinessProbe": {"path": "/readyz", "port": "health"},
        "livenessProbe": {"path": "/healthz", "port": "health"},
    }


def test_there_are_two_operators_or_as_many_as_are_wanted(render):
    for settings, replicas in (((), 2), (("replicas=1",), 1)):
        deployment = named(render(*settings), "Deployment", "factotum-operator")

        assert deployment["spec"]["replicas"] == replicas


def test_the_next_operator_is_ready_before_the_last_one_ends(render):
    deployment = named(render(), "Deployment", "factotum-operator")

    assert deployment["spec"]["strategy"] == {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}


def test_operators_are_spread_and_drained_one_after_the_other(render):
    manifests = render()
    template = named(manifests, "Deployment", "factotum-operator")["spec"]["template"]
    (budget,) = of_kind(manifests, "PodDisruptionBudget")
    (spread,) = template["spec"]["topologySpreadConstraints"]

    assert budget["spec"]["maxUnavailable"] == 1
    for selector in (budget["spec"]["selector"], spread["labelSelector"]):
        assert selector["matchLabels"].items() <= template["metadata"]["labels"].items()
    assert spread["topologyKey"] == "kubernetes.io/hostname"
    assert spread["whenUnsatisfiable"] == "ScheduleAnyway"


def test_images_may_be_given_by_digest(render):
    digest = "sha256:" + "0a" * 32
    manifests = render(f"image.digest={digest}", f"runner.image.digest={digest}")
    image = next(c["image"] for _, c in containers(manifests) if c["name"] == "operator")

    assert image == f"localhost/factotum-operator@{digest}"
    settings = Settings.from_arguments(arguments(manifests))
    assert settings.runner_image == f"localhost/factotum-runner@{digest}"


def test_common_labels_are_on_every_object_and_pod_and_select_nothing(render):
    manifests = render("commonLabels.team=data", "consul.enabled=true", "rbac.aggregate=true")

    labels = [each["metadata"]["labels"].get("team") for each in manifests
              if each["kind"] != "CustomResourceDefinition"]  # fmt: skip
    assert set(labels) == {"data"}
    for deployment in of_kind(manifests, "Deployment"):
        assert deployment["spec"]["template"]["metadata"]["labels"]["team"] == "data"
        assert "team" not in deployment["spec"]["selector"]["matchLabels"]


def test_consuls_token_and_certificates_come_from_secrets(render):
    manifests = render(
        "consul.address=consul.example:8501",
        "consul.token.secretName=consul-token",
        "consul.tls.enabled=true",
        "consul.tls.caSecretName=consul-ca",
        "consul.tls.clientSecretName=mine",
        "consul.tls.serverName=server.dc1.consul",
    )
    pod = named(manifests, "Deployment", "factotum-operator")["spec"]["template"]["spec"]
    access = Settings.from_arguments(arguments(manifests)).consul_access

    assert mounted(pod, "consul") == {
        access.token_file: ("consul-token", "token"),
        access.ca_file: ("consul-ca", "ca.crt"),
        access.cert_file: ("mine", "tls.crt"),
        access.key_file: ("mine", "tls.key"),
    }
    assert access.tls
    assert access.server_name == "server.dc1.consul"


def test_what_is_rendered_is_the_same_twice(render):
    settings = ("consul.enabled=true", "metrics.dashboard.enabled=true", "namespaces={one,two}")

    assert render(*settings) == render(*settings)


def test_the_notes_say_what_is_run_and_what_is_not(helm):
    def notes(*settings):
        sets = [word for setting in settings for word in ("--set", setting)]
        words = ("install", "x", str(CHART), "-n", "sys", "--dry-run=client", *sets)
        return helm(*words).stdout.partition("NOTES:")[2]

    assert "FactotumJobs of all namespaces" in notes()
    assert "http://x-factotum-operator.sys.svc:8082/metrics" in notes()
    some = notes("namespaces={one,two}")
    assert "these namespaces: one, two." in some
    assert "A job anywhere else is stored and nothing more: nobody runs it" in some
    assert "kubectl apply -n one -f -" in some


def test_the_first_job_of_the_notes_is_a_job(helm):
    words = ("install", "x", str(CHART), "-n", "sys", "--dry-run=client")
    text = helm(*words).stdout.partition("<<JOB\n")[2].partition("\nJOB\n")[0]
    job = yaml.safe_load(text)

    schema = yaml.safe_load(SOURCE.read_text())["spec"]["versions"][0]["schema"]
    spec = schema["openAPIV3Schema"]["properties"]["spec"]["properties"]
    assert set(job["spec"]) <= set(spec)
    assert Factfile.parse(json.dumps(job["spec"]["factfile"]), {}).name == "hello"
